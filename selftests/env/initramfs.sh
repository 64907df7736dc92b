#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh l1 VERSION
# initramfs.sh ram INIT VERSION MODULE...
# initramfs.sh guest VERSION [MODULE...]
# initramfs.sh files [SOURCE:DEST...]
#
# Print the path of an initramfs, which is made if it is not in the cache:
# L1's, the base of one for ram.sh, a guest's with the named modules (and what they depend
# on) in it, or one with extra files only, to be appended to another (cpio
# archives concatenate). DEST is absolute; the mode is that of SOURCE.
#
# The cache is .cache/initramfs; where that is read-only (L1), what is not there
# is kept in /tmp. What is in it is never changed: its name is a hash of all
# that went in.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KERNELS=$TOP/.cache/kernels
CACHE=$TOP/.cache/initramfs
PATH=$PATH:/usr/sbin:/sbin

# Root over 9p, and a stream for output that is not the console
L1_MODULES="virtio_pci virtio_console 9pnet_virtio 9p"

# What a guest gets when nothing is asked for: drivers that tests isolate
GUEST_MODULES="e1000 virtio_balloon button evdev e1000e 8139too virtio_pci virtio_net virtio_blk null_blk
	brd dummy nvme loop"

die() { echo "initramfs: error: $*" >&2; exit 1; }

find_busybox()
{
	local b

	for b in /bin/busybox /usr/bin/busybox; do
		[ -x "$b" ] || continue
		# a dynamic one would need its libraries
		ldd "$b" >/dev/null 2>&1 && continue
		echo "$b"
		return
	done
	return 1
}

# with_deps VERSION MODULE...: paths of the modules and of their dependencies
with_deps()
{
	local ver=$1 release m

	release=$(cat "$KERNELS/$ver/release")
	shift
	for m; do
		modprobe -d "$KERNELS/$ver/root" -S "$release" \
			-C /dev/null --show-depends "$m" ||
			die "$ver has no module $m"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

add_modules()
{
	local ver=$1 root=$2 release dest f rel list

	release=$(cat "$KERNELS/$ver/release")
	dest=$root/lib/modules/$release
	shift 2
	mkdir -p "$dest"
	cp "$KERNELS/$ver/modules"/modules.{order,builtin,builtin.modinfo} "$dest"
	list=$(with_deps "$ver" "$@") || exit 1
	for f in $list; do
		rel=${f##*/lib/modules/"$release"/}
		mkdir -p "$dest/$(dirname "$rel")"
		case $f in
		*.xz)	xz -dc "$f" >"$dest/${rel%.xz}" ;;
		*.zst)	zstd -qdc "$f" >"$dest/${rel%.zst}" ;;
		*)	cp "$f" "$dest/$rel" ;;
		esac || die "cannot copy $f"
	done
	depmod -b "$root" "$release" || die "depmod failed"
}

add_base()
{
	local root=$1 init=$2

	mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,mnt,etc,root}
	cp "$BUSYBOX" "$root/bin/busybox" || die "cannot copy busybox"
	# the image's own applets, so that no step at boot is needed
	"$root/bin/busybox" --list | while read -r a; do
		[ "$a" = busybox ] || ln -s busybox "$root/bin/$a"
	done
	ln -s bin "$root/sbin"
	install -m 755 "$TOP/selftests/$init" "$root/init" || die "no $init"
}

# Times and owners are left out, so the archive is a function of its contents.
# No compression: unpacking is the slow part under emulation.
pack()
{
	local root=$1 out=$2

	find "$root" -depth -exec touch -hd @0 {} +
	(cd "$root" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
		cpio -o -0 -H newc -R 0:0 --reproducible --quiet) >"$out" ||
		die "cpio failed"
}

# cached NAME BUILDER ARGS...: build into a temporary root unless it is there
cached()
{
	local out=$CACHE/$1.cpio tmp

	if [ ! -f "$out" ] && { ! mkdir -p "$CACHE" || [ ! -w "$CACHE" ]; } 2>/dev/null; then
		out=/tmp/initramfs/$1.cpio
	fi
	shift
	if [ ! -f "$out" ]; then
		mkdir -p "${out%/*}"
		tmp=$(mktemp -d "${out%/*}/.tmp.XXXXXX") || die "cannot write ${out%/*}"
		# shellcheck disable=SC2064 # this very directory
		trap "rm -rf '$tmp'" EXIT
		"$@" "$tmp/root" || exit 1
		pack "$tmp/root" "$tmp/cpio"
		mv "$tmp/cpio" "$out"
		rm -rf "$tmp"
		trap - EXIT
	fi
	echo "$out"
}

hash() { sha256sum | cut -c1-16; }

need_kernel()
{
	[ -f "$KERNELS/$1/release" ] ||
		die "no kernel $1 here: run selftests/env/kernels.sh $1"
}

# In L1 the cache is read-only, but there the program was built before.
add_agent()
{
	local src=$TOP/selftests/env/guest-agent.c bin=$TOP/.cache/bin/guest-agent

	if [ ! "$bin" -nt "$src" ] || [ ! "$bin" -nt "${src%/*}/b64.h" ]; then
		mkdir -p "${bin%/*}"
		${CC:-gcc} -static -O2 -Wall -Wextra -o "$bin.$$" "$src" ||
			die "cannot build guest-agent (a static libc is needed)"
		mv "$bin.$$" "$bin" || exit 1
	fi
	install -m 755 -s "$bin" "$1/bin/guest-agent" || die "no guest-agent"
}

build_image()
{
	local init=$1 ver=$2 mods=$3 root=$4

	add_base "$root" "$init"
	[ "$init" != env/guest-init.sh ] || add_agent "$root"
	# shellcheck disable=SC2086 # a list
	add_modules "$ver" "$root" $mods
}

image()
{
	local kind=$1 init=$2 ver=$3 mods=$4 key

	need_kernel "$ver"
	key=$({ cat "$KERNELS/$ver/release" "$TOP/selftests/$init" \
			"$TOP"/selftests/env/{guest-agent.c,b64.h} \
			"${BASH_SOURCE[0]}"; echo "$mods"
		stat -Lc '%s %Y' "$BUSYBOX"; } | hash)
	cached "$kind-$ver-$key" build_image "$init" "$ver" "$mods"
}

build_files()
{
	local root=${*: -1} pair src dst

	mkdir -p "$root"
	for pair in "${@:1:$#-1}"; do
		src=${pair%%:*} dst=${pair#*:}
		mkdir -p "$root/$(dirname "$dst")"
		cp -L "$src" "$root/$dst" || die "cannot copy $src"
	done
}

files()
{
	local key pair

	key=$(for pair; do
		echo "$pair"
		stat -Lc %a "${pair%%:*}"
		cat "${pair%%:*}" || exit 1
	done | hash) || die "cannot read: $*"
	cached "files-$key" build_files "$@"
}

BUSYBOX=$(find_busybox) || die "no static busybox (package busybox-static)"

case ${1:-} in
l1)
	[ $# -eq 2 ] || die "usage: initramfs.sh l1 VERSION"
	image l1 env/l1-init.sh "$2" "$L1_MODULES" ;;
ram)
	[ $# -ge 4 ] || die "usage: initramfs.sh ram INIT VERSION MODULE..."
	image "ram-${2##*/}" "$2" "$3" "${*:4}" ;;
guest)
	[ $# -ge 2 ] || die "usage: initramfs.sh guest VERSION [MODULE...]"
	ver=$2
	shift 2
	# shellcheck disable=SC2086 # a list
	[ $# -gt 0 ] || set -- $GUEST_MODULES
	image guest env/guest-init.sh "$ver" "$*" ;;
files)
	shift
	files "$@" ;;
*)
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2 ;;
esac
