#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# intel-init.sh: init of the nested host under bochs (intel.sh), where all that
# it needs is in the initramfs. It loads KVM, runs the tests, judges the kernel
# log, sends $OUT, says the last word, and powers off. All this goes to the
# second serial port, where the kernel's messages do not get into it.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/tmp OUT=/run/out TERM=dumb LANG=C.UTF-8 TMPDIR=/tmp

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
stty -F /dev/ttyS1 115200 raw
exec </dev/null >/dev/ttyS1 2>&1
mkdir -p /dev/pts /dev/shm $OUT
mount -t devpts devpts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ln -sf /proc/self/fd /dev/fd
ip link set lo up
hostname l1

# sets the environment, L1_DIR, TESTS, EPTAD
. /intel.env
cd "$L1_DIR" || poweroff -f
. selftests/env/l1-end.sh

say()
{
	[ "$3" = "$4" ] && echo "ok - $1: $2 is $3" || echo "not ok - $1: $2 is $3, not $4"
}

parameter()
{
	cat "/sys/module/$1/parameters/$2" 2>/dev/null || echo missing
}

# What bochs's CPUID makes the kernel say at boot is not about us.
dmesg -c >$OUT/l1.boot
echo "# init after $(cut -d' ' -f1 /proc/uptime) s of its clock, $(uname -r)"
verdict=clean
# shellcheck disable=SC2086 # a list
if modprobe kvm-intel ${KVM_INTEL_ARGS:-} && [ -c /dev/kvm ]; then
	echo "# kvm_intel:$(cd /sys/module/kvm_intel/parameters &&
		for p in ept eptad pml vpid unrestricted_guest enable_apicv; do
			printf ' %s' "$p=$(cat $p)"
		done)"
	say KVM ept "$(parameter kvm_intel ept)" Y
	say KVM eptad "$(parameter kvm_intel eptad)" "$EPTAD"
	# shellcheck disable=SC2086 # a list
	setsid bash selftests/run-tests.sh $TESTS
	status=$?
else
	echo "l1: cannot load KVM"
	status=99
fi
end_all
judge_log || verdict=dirty
echo OUT-BEGIN
tar -C $OUT -cz . | base64
echo OUT-END
echo "# end after $(cut -d' ' -f1 /proc/uptime) s of its clock"
echo "INTEL-END $status $verdict"
sleep 1
poweroff -f
