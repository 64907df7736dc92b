#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# guest-init.sh: init of an L2 guest, busybox only. It loads no driver unless
# the kernel's arguments have chariot.modprobe=NAME[,NAME...]. Then it serves
# commands on the second serial port until that ends, and powers off.

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ln -sf /proc/self/fd /dev/fd
export PATH=/bin:/sbin HOME=/root TERM=dumb
hostname guest
ip link set lo up

mods=$(sed -n 's/.*chariot\.modprobe=\([^ ]*\).*/\1/p' /proc/cmdline)
for m in $(echo "$mods" | tr , ' '); do
	modprobe "$m" || echo "guest-init: cannot load $m"
done

guest-agent /dev/ttyS1
poweroff -f
