# The machine changes under an isolated driver: CPUs and memory come and go, the
# guest reboots, and then boots another kernel by itself.
export VCPUS=1
serve 300000
balloon() { vm_qmp a "{\"execute\":\"balloon\",\"arguments\":{\"value\":$(($1 << 20))}}" >/dev/null; }
total() { vm_run a "sed -n 's/MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo"; }

until_ok() { wait_until "$@" >/dev/null 2>&1; }
less_than() { [ "$(total)" -lt "$1" ]; }
more_than() { [ "$(total)" -gt "$1" ]; }
still_isolated()
{
	is "$1: receive" "$(fetch a)" "$SUM"
	is "$1: no violation" "$(iso_stat a violations)" 0
	is "$1: isolated" "$(chariot -j domain list a |
		grep -c '"driver":"e1000"')" 1
}

# shellcheck disable=SC2086 # a list
VM_APPEND=cpu0_hotplug iso_start a e1000 skip $NET -smp 1,maxcpus=3 -m 256,slots=2,maxmem=1G \
	-device virtio-balloon-pci || exit 1
vm_run a 'modprobe -a virtio_pci virtio_balloon' || exit 1
net_up a >/dev/null

for cpu in 1 2; do
	vm_qmp a "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"host-x86_64-cpu\",
		\"id\":\"cpu$cpu\",\"socket-id\":0,\"core-id\":$cpu,\"thread-id\":0}}" >/dev/null
	check "CPU $cpu is plugged in" until_ok vm_run a "[ -d /sys/devices/system/cpu/cpu$cpu ]"
	vm_run a "echo 1 >/sys/devices/system/cpu/cpu$cpu/online" >/dev/null 2>&1
done
is "CPUs that are online" "$(vm_run a 'nproc')" 3
still_isolated "three CPUs"
vm_run a 'for i in 1 2 3 4 5; do for c in 1 2; do
	echo 0 >/sys/devices/system/cpu/cpu$c/online; done; for c in 1 2; do
	echo 1 >/sys/devices/system/cpu/cpu$c/online; done; done'
is "CPUs went off and on" "$(vm_run a 'nproc')" 3
still_isolated "CPUs off and on"
# Before 6.5 CPU 0 can be taken off, too: it waits for an NMI then, and is not reset.
if vm_run a '[ -e /sys/devices/system/cpu/cpu0/online ]'; then
	vm_run a 'echo 0 >/sys/devices/system/cpu/cpu0/online &&
		echo 1 >/sys/devices/system/cpu/cpu0/online'
	is "CPU 0 went off and on" "$(vm_run a 'nproc')" 3
	still_isolated "CPU 0 off and on"
else
	skip "CPU 0 goes off and on" "this kernel cannot take it off"
fi
# The interrupt and the driver's work on another CPU than before
vm_run a 'echo 0 >/sys/devices/system/cpu/cpu1/online'
vm_qmp a '{"execute":"device_del","arguments":{"id":"cpu2"}}' >/dev/null
check "CPU 2 is unplugged" until_ok vm_run a '[ ! -d /sys/devices/system/cpu/cpu2 ]'
still_isolated "one CPU again"

before=$(total)
balloon 216
check "the balloon takes memory" until_ok less_than $((before - 20000))
still_isolated "balloon inflated"
balloon 256
check "the balloon gives it back" until_ok more_than $((before - 10000))
still_isolated "balloon deflated"

vm_run a 'echo online_movable >/sys/devices/system/memory/auto_online_blocks'
vm_qmp a '{"execute":"object-add","arguments":{"qom-type":"memory-backend-ram",
	"id":"m1","size":134217728}}' >/dev/null
vm_qmp a '{"execute":"device_add","arguments":{"driver":"pc-dimm","id":"d1",
	"memdev":"m1"}}' >/dev/null
check "memory is plugged in" until_ok more_than $((before + 100000))
vm_run a 'head -c 60000000 /dev/zero >/tmp/fill; rm /tmp/fill'
still_isolated "more memory"
vm_qmp a '{"execute":"device_del","arguments":{"id":"d1"}}' >/dev/null
check "memory is unplugged" until_ok less_than $((before + 10000))
still_isolated "less memory"

vm_qmp a '{"execute":"set-action","arguments":{"reboot":"reset"}}' >/dev/null
resets=$(reset_count a)
vm_run a 'reboot -f >/dev/null 2>&1 &'
check "the guest reboots" wait_until was_reset a $((resets + 1))
check "and boots" vm_wait a
check "its domain is gone" until_ok sh -c \
	"! .build/tools/chariot -j domain list a | grep -q e1000"
net_up a >/dev/null
still_isolated "after a reboot"

is "no error" "$(iso_events a error | grep -c .)" 0
vm_stop a
iso_detach a

VM_FILES="$PWD/.build/selftests/kexec:/k/kexec
	$PWD/.cache/kernels/$GUEST/vmlinuz:/k/vmlinuz
	$(selftests/env/initramfs.sh guest "$GUEST"):/k/initrd"
# shellcheck disable=SC2086 # a list
VM_MEM=512 iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
is "before a kexec: receive" "$(fetch a)" "$SUM"
before=$(boot_id a)
vm_run a '/k/kexec /k/vmlinuz /k/initrd >/dev/console 2>&1 &'
check "kexec: the guest boots another kernel" wait_until booted_anew a "$before"
came "kexec: the operator is told" a reset 1
net_up a >/dev/null
still_isolated "after a kexec"

iso_events a error | sed 's/^/# /'
is "kexec: no error" "$(iso_events a error | grep -c .)" 0
grep '^stat' "$OUT/a.guard" | tail -n 20 | sed 's/^/# /'
vm_stop a
iso_detach a
unserve
