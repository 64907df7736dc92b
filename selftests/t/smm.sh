# The stock e1000 driver at work on a machine that has SMM, while a CPU is there again
# and again.
SMIS=40
T=/sys/kernel/tracing
serve 1048576
VM_MACHINE=q35,smm=on
# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
came "isolated before init" a domain-new 1
came "init succeeds" a init-done 1
[ -d $T/events ] || mount -t tracefs tracefs $T
echo 1 >$T/events/kvm/kvm_smm_transition/enable
echo >$T/trace
# Each write to the port of APM commands is an SMI.
vm_run a -t $((4 * WAIT)) "for i in \$(seq $SMIS); do
		printf '\\001' | dd of=/dev/port bs=1 seek=178 conv=notrunc 2>/dev/null
	done &
	wget -q -O - http://10.0.2.2:8080/f | sha256sum; wait" | cut -d' ' -f1 >/tmp/smm.sum
is "receive 1 MiB" "$(cat /tmp/smm.sum)" "$SUM"
entered=$(grep -c 'kvm_smm_transition.*entering' $T/trace)
echo 0 >$T/events/kvm/kvm_smm_transition/enable
echo "# $entered SMIs"
check "a CPU was in SMM meanwhile, $SMIS times" [ "$entered" -ge $SMIS ]
is "no violation" "$(iso_stat a violations)" 0
is "no error" "$(iso_events a error | grep -c .)" 0
vm_stop a
iso_detach a
unserve
