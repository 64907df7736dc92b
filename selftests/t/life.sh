# Ends: of the handle, of QEMU, with a driver running isolated.
serve 8000000
# shellcheck disable=SC2086 # a list
for wait in 0.5 1.3 2.2 4; do
	iso_start a e1000 skip $NET || exit 1
	net_up a >/dev/null
	vm_run a -t 300 'wget -q -O - http://10.0.2.2:8080/f | sha256sum' \
		>/tmp/sum &
	sleep $wait
	iso_detach a
	is "handle closed after $wait s of traffic: the module is free" \
		"$(rmmod kvm_chariot 2>&1)" ""
	insmod "$MODULE"
	wait
	is "and the transfer goes on" "$(cut -d' ' -f1 /tmp/sum)" "$SUM"
	vm_stop a
done
# shellcheck disable=SC2086 # a list
iso_start b e1000 skip $NET || exit 1
vm_start plain || exit 1
net_up b >/dev/null
vm_run b -t 300 'wget -q -O /dev/null http://10.0.2.2:8080/f' &
sleep 4
vm_kill b
wait
vm_wait plain
is "QEMU killed mid-run: a VM beside it is unharmed" \
	"$(vm_run plain 'echo fine')" fine
iso_detach b
sleep 1
check "QEMU killed mid-run: the module unloads" rmmod kvm_chariot
insmod "$MODULE"
is "plain VM after that" "$(vm_run plain 'echo fine')" fine
vm_stop plain
unserve
