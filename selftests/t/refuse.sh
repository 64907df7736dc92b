# What a host may have that does not go with Chariot: each is refused, and told.
mark() { echo "chariot-refuse: $1" >/dev/kmsg; NOW=$1; }
logged() { dmesg | sed -n "/chariot-refuse: $NOW\$/,\$p" | grep -cE "kvm_chariot: .*$1"; }

# refused NAME LOG: the module does not load, and the kernel's log says that, once
refused()
{
	mark "$1"
	if insmod "$MODULE" 2>/dev/null; then
		not_ok "$1: does not load"
	else
		ok "$1: does not load"
	fi
	is "$1: the log says why" "$(logged "$2")" 1
}

switch_ftrace() { echo "$1" >/proc/sys/kernel/ftrace_enabled; } 2>/dev/null
FORCE=/sys/module/kvm/parameters/nx_huge_pages

if switch_ftrace 0; then
	not_ok "ftrace stays on while the module is loaded"
	switch_ftrace 1
else
	ok "ftrace stays on while the module is loaded"
fi
vm_start a || exit 1
vm_wait a || exit 1
check "chariot vm list" chariot vm list
echo force >$FORCE
chariot attach a e1000 --verdict skip >/tmp/said 2>&1
is "nx_huge_pages: attach is refused" $? 1
is "nx_huge_pages: and says what to do" "$(grep -c 'nx_huge_pages is on.*echo off' /tmp/said)" 1
rmmod kvm_chariot
mark "nx_huge_pages"
check "nx_huge_pages: the module loads" insmod "$MODULE"
is "nx_huge_pages: and warns" "$(logged 'nx_huge_pages is on')" 1
echo off >$FORCE
check "nx_huge_pages: off, and the driver is isolated" chariot attach a e1000 --verdict skip
check "detach" chariot detach a
vm_stop a
wait_until rmmod kvm_chariot

chariot vm list >/tmp/said 2>&1
is "no module: vm list fails" $? 1
is "no module: and says what to do" "$(grep -cE '/dev/chariot: No such file.*(make install|modprobe)' /tmp/said)" 1
switch_ftrace 0
refused "ftrace is off" 'ftrace is off: sysctl kernel.ftrace_enabled=1'
switch_ftrace 1
check "another one redirects a function of KVM" insmod ".build/act/$HOST/hooker.ko"
refused "hooked already" 'cannot be hooked: -16: something else redirects it'
check "it goes" rmmod hooker
vendor=$(lsmod | awk '/^kvm_(amd|intel) / { print $1 }')
check "KVM goes" rmmod "$vendor" kvm
refused "no KVM" 'kvm is not loaded: modprobe kvm_amd or kvm_intel'
chariot vm list >/tmp/said 2>&1
is "no KVM: vm list says so" "$(grep -c 'runs no KVM: modprobe kvm_amd or kvm_intel' /tmp/said)" 1
# shellcheck disable=SC2086 # a list
modprobe -d "$PWD/.cache/kernels/$HOST/root" -C /dev/null "$vendor" ${KVM_AMD_ARGS:-}
check "and with it again the module loads" insmod "$MODULE"
