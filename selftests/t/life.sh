# Ends: of the handle, of QEMU, with a driver running isolated.
serve 3000000
# so often was the driver entered, or the transfer has ended
entered() { [ "$(iso_stat "$1" entries)" -ge "$2" ] || ! kill -0 $!; }

# shellcheck disable=SC2086 # a list
for entries in 100 1500; do
	iso_start a e1000 skip $NET || exit 1
	net_up a >/dev/null
	n=$(($(iso_stat a entries) + entries))
	fetch a >/tmp/sum &
	wait_until entered a $n
	iso_detach a
	is "handle closed after $entries entries: the module is free" \
		"$(rmmod kvm_chariot 2>&1)" ""
	insmod "$MODULE"
	wait
	is "and the transfer goes on" "$(cat /tmp/sum)" "$SUM"
	vm_stop a
done
# shellcheck disable=SC2086 # a list
iso_start b e1000 skip $NET || exit 1
vm_start plain || exit 1
net_up b >/dev/null
n=$(($(iso_stat b entries) + 1500))
fetch b >/tmp/sum &
wait_until entered b $n
vm_kill b
wait
vm_wait plain
is "QEMU killed mid-run: a VM beside it is unharmed" \
	"$(vm_run plain 'echo fine')" fine
iso_detach b
check "QEMU killed mid-run: the module unloads" wait_until rmmod kvm_chariot
insmod "$MODULE"
is "plain VM after that" "$(vm_run plain 'echo fine')" fine
vm_stop plain
unserve
