#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# init.sh: init of the nested host of a campaign, which has all it needs in its
# initramfs (ram.sh). l1.sh does the rest; its lines go by the second serial port.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/tmp OUT=/run/out TERM=dumb LANG=C.UTF-8 TMPDIR=/tmp

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
stty -F /dev/ttyS1 115200 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
mkdir -p /dev/pts /dev/shm $OUT
mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
ip link set lo up
hostname l1
# sets the environment, L1_DIR
. /campaign.env
# shellcheck disable=SC2086 # a list
modprobe kvm-amd ${KVM_AMD_ARGS:-} || echo "FAILED no KVM"
cd "$L1_DIR" && bash selftests/campaign/l1.sh
poweroff -f
