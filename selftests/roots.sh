#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# roots.sh [-k] [NUMBER...] [-- COMMAND]: the README's two commands on a fresh machine
# with Debian NUMBER (12, 13; 13): a root made by debootstrap, and in it a clone of what
# is committed here. TAP lines come out; the last is "N passed, N failed".
#
#	-k		keep the root of the last run, with what was installed and built
#	COMMAND		a line for bash instead, in the clone
#
# .cache/roots/NUMBER.base is the root as debootstrap made it, NUMBER the copy that is
# run in: by chroot, with /proc, /sys and /dev of this machine, in name spaces of its own.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$TOP/.cache
ROOTS=${ROOTS:-$CACHE/roots}	# elsewhere, for a trial
PATH=$PATH:/usr/sbin:/sbin

say() { echo "# roots: $*"; }
die() { echo "roots: error: $*" >&2; exit 1; }

# shellcheck source=selftests/env/private-apt.sh
. "$TOP/selftests/env/private-apt.sh"

name_of()
{
	case $1 in
	12)	echo bookworm ;;
	13)	echo trixie ;;
	*)	die "Debian $1 is not known (12, 13)" ;;
	esac
}

# A README's reader has these: gcc, make and git.
make_base()
{
	local base=$1 name=$2 site

	site=$(site_of "$OWN")
	[ -n "$site" ] || die "apt's configuration has no mirror of $OWN"
	bash "$TOP/selftests/deps.sh" debootstrap || exit 1
	say "debootstrap $name"
	rm -rf "$base" "$base.tmp"
	mkdir -p "$base.tmp"
	debootstrap --variant=minbase --include=ca-certificates,git,make,gcc,libc6-dev,debian-archive-keyring \
		"$name" "$base.tmp" "$site" >"$base.log" 2>&1 ||
		{ tail -n 20 "$base.log"; die "debootstrap $name has failed"; }
	write_sources "$name" "$base.tmp/etc/apt/sources.list"
	mv "$base.tmp" "$base"
}

# inside ROOT COMMAND: nothing that it mounts or starts outlives it
inside()
{
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --propagation private --pid --fork --kill-child bash -c '
		mount --bind "$1" "$1" && mount -t proc proc "$1/proc" &&
		mount --rbind /sys "$1/sys" && mount --rbind /dev "$1/dev" &&
		mount -t tmpfs tmpfs "$1/run" && mount -t tmpfs tmpfs "$1/tmp" || exit 1
		exec chroot "$1" env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			bash -c "cd /root/chariot && $2"' - "$1" "$2" </dev/null
}

prepare()
{
	local root=$1 base=$1.base name=$2

	[ -d "$base" ] || make_base "$base" "$name"
	if [ -z "$KEEP" ] || [ ! -d "$root" ]; then
		rm -rf "$root"
		cp -a --reflink=auto "$base" "$root" || die "cannot copy $base"
	fi
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	[ -d "$root/root/chariot" ] || git clone -q "$TOP" "$root/root/chariot" ||
		die "cannot clone $TOP"
}

# one NUMBER
one()
{
	local command began root=$ROOTS/$1 name

	name=$(name_of "$1") || exit 1
	prepare "$root" "$name"
	for command in "${COMMANDS[@]}"; do
		say "Debian $1: $command"
		began=$SECONDS
		if inside "$root" "$command" 2>&1 | sed -u 's/^/# /' | tee "$root.log"; then
			echo "ok - Debian $1: $command ($((SECONDS - began)) s)"
			PASSED=$((PASSED + 1))
		else
			echo "not ok - Debian $1: $command"
			FAILED=$((FAILED + 1))
		fi
	done
}

KEEP='' NUMBERS=() COMMANDS=("make demo" "make check") PASSED=0 FAILED=0
while [ $# -gt 0 ]; do
	case $1 in
	-k)	KEEP=1 ;;
	--)	COMMANDS=("${2:?a command}"); break ;;
	[0-9]*)	NUMBERS+=("$1") ;;
	*)	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
[ "$(id -u)" = 0 ] || die "needs root"
mkdir -p "$ROOTS" || exit 1
for n in "${NUMBERS[@]:-13}"; do
	one "$n"
done
echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ]
