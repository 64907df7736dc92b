#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# l1-init.sh: L1's init, in two stages. The first runs from the initramfs with
# busybox only and makes a root out of the host's / (9p, read-only) with RAM
# over what has to be writable. The second runs in that root with the host's
# bash: it loads KVM, runs the command, judges the kernel log, and powers off.

NEW=/mnt/root

# The word that a panic, a hang or a loss of power cannot say
TOKEN=/dev/virtio-ports/chariot.token
OUTPUT=/dev/virtio-ports/chariot.out

arg()
{
	sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline
}

fail()
{
	echo "l1-init: $*" >/dev/kmsg
	poweroff -f
}

mount_9p()
{
	mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2" ||
		fail "cannot mount $1"
}

# No udev here: give the ports their names
name_ports()
{
	mkdir -p /dev/virtio-ports
	for p in /sys/class/virtio-ports/*; do
		[ -f "$p/name" ] || continue
		ln -sf "/dev/${p##*/}" "/dev/virtio-ports/$(cat "$p/name")"
	done
}

# A repository below a directory that gets a tmpfs would vanish: keep it.
overlay_tmpfs()
{
	mkdir -p /mnt/repo
	mount -o bind "$NEW$1" /mnt/repo || fail "no $1 on the host"
	for d in /tmp /run /var/tmp; do
		[ -d "$NEW$d" ] && [ ! -L "$NEW$d" ] || continue
		mount -t tmpfs -o mode=1777 tmpfs "$NEW$d"
		case $1 in
		"$d"/*)
			mkdir -p "$NEW$1"
			mount -o bind /mnt/repo "$NEW$1" ;;
		esac
	done
	umount /mnt/repo
}

stage1()
{
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs devtmpfs /dev
	for m in virtio_pci virtio_console 9pnet_virtio 9p; do
		modprobe $m || fail "cannot load $m"
	done
	name_ports
	mkdir -p $NEW
	mount_9p root $NEW ro,cache=loose
	repo=$(arg chariot.repo)
	overlay_tmpfs "$repo"
	mkdir -p $NEW/run/out
	mount_9p out $NEW/run/out rw,cache=none
	mount -o move /dev $NEW/dev
	mount -o move /proc $NEW/proc
	mount -o move /sys $NEW/sys
	exec switch_root $NEW /bin/bash "$repo/selftests/env/l1-init.sh" stage2
}

mount_rest()
{
	mkdir -p /dev/pts /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	ln -sf /proc/self/fd /dev/fd
	ln -sf /proc/self/fd/0 /dev/stdin
	ln -sf /proc/self/fd/1 /dev/stdout
	ln -sf /proc/self/fd/2 /dev/stderr
	busybox ip link set lo up
	busybox hostname l1
}

# The very modules of the kernel package, by insmod: parameters from the
# host's /etc/modprobe.d would not be the test's.
load_kvm()
{
	vendor=kvm-amd args=${KVM_AMD_ARGS:-}

	if grep -qw vmx /proc/cpuinfo; then
		vendor=kvm-intel args=${KVM_INTEL_ARGS:-}
	fi
	modprobe -d "$L1_MODROOT" -C /dev/null --show-depends $vendor |
	while read -r _ ko _; do
		set --
		# shellcheck disable=SC2086 # a list
		[ "${ko##*/"$vendor".}" = "$ko" ] || set -- $args
		insmod "$ko" "$@" || return 1
	done || return 1
	[ -c /dev/kvm ]
}

stage2()
{
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	export HOME=/tmp OUT=/run/out TERM=dumb LANG=C.UTF-8 TMPDIR=/tmp
	mount_rest
	exec </dev/null >$OUTPUT 2>&1
	# sets the environment, L1_MODROOT, L1_DIR
	. $OUT/.l1-command
	cd "$L1_DIR" || fail "no $L1_DIR"
	. selftests/env/l1-end.sh
	verdict=clean
	if load_kvm; then
		setsid bash $OUT/.l1-run
		status=$?
	else
		echo "l1: cannot load KVM"
		status=99
	fi
	end_all
	judge_log || verdict=dirty
	exec >/dev/null 2>&1
	umount $OUT
	echo "L1-END $status $verdict" >$TOKEN
	busybox poweroff -f
}

case ${1:-} in
stage2)	stage2 ;;
*)	stage1 ;;
esac
