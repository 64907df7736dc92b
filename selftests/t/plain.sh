# A VM without Chariot does not notice the module, whatever is done with it.
# VM_LOADS	how often it is loaded anew (50)
loads=${VM_LOADS:-50}
vm_start a || exit 1
vm_wait a || exit 1
vm_run a 'i=0; while [ $i -lt 400 ]; do ls -lR /sys/bus >/dev/null; i=$((i+1)); [ -e /tmp/stop ] && break; done; echo $i >/tmp/n' &
n=0
for i in $(seq "$loads"); do
	rmmod kvm_chariot && insmod "$MODULE" && n=$((n + 1))
done
is "module loaded anew $loads times beside a running VM" $n "$loads"
vm_kill a
wait
vm_start b || exit 1
check "a VM boots" vm_wait b
is "and works" "$(vm_run b 'echo fine')" fine
vm_stop b
users() { awk '$1 == "kvm" { print $3 }' /proc/modules; }
with=$(users)
check "the module unloads" rmmod kvm_chariot
is "kvm.ko is kept in use by the module" "$(users)" $((with - 1))
check "and loads" insmod "$MODULE"
