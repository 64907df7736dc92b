#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# debug-kernel.sh [asan|kcsan]
#
# Build a kernel that complains, for the nested host only, from Debian's
# linux-source-6.1 into .cache/kernels/6.1-debug (asan, the default: KASAN) or
# .cache/kernels/6.1-kcsan, laid out as kernels.sh does it: HOST=6.1-debug works
# wherever HOST=6.1 does. Nothing is done when it is there and debug-kernel.config
# is the one that it was built from. A build that was interrupted goes on.
#
# It takes 20 to 40 minutes of two CPUs, once, and 4 GB while it is built. JOBS=2
#
# headers/ has vmlinux and *.ko with all their symbols beside it: for an address
# in a report, "scripts/faddr2line vmlinux FUNCTION+OFFSET/SIZE" there.

set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=${HERE%/selftests/env}
CACHE=$TOP/.cache
BASE=6.1
PATH=$PATH:/usr/sbin:/sbin

say() { echo "debug-kernel: $*"; }
die() { echo "debug-kernel: error: $*" >&2; exit 1; }

# shellcheck source=selftests/env/private-apt.sh
. "$HERE/private-apt.sh"

# The two cannot be in one kernel.
sanitizer()
{
	echo "CONFIG_LOCALVERSION=\"-chariot-${VER#*-}\""
	case $VARIANT in
	asan)	cat <<-'END'
		CONFIG_KASAN=y
		CONFIG_KASAN_GENERIC=y
		CONFIG_KASAN_INLINE=y
		CONFIG_KASAN_VMALLOC=y
		END
		;;
	# The watcher: a race needs no second CPU, a preempted task will do.
	kcsan)	cat <<-'END'
		CONFIG_KCSAN=y
		CONFIG_KCSAN_INTERRUPT_WATCHER=y
		CONFIG_KCSAN_PERMISSIVE=y
		END
		;;
	esac
}

config() { cat "$HERE/debug-kernel.config" && sanitizer; }

# What the kernel is made of: another id is another kernel.
id() { { config; declare -f unpack configure; } | sha256sum | cut -c1-16; }

there()
{
	[ -f "$FINAL/release" ] && [ "$(cat "$FINAL/.id" 2>/dev/null)" = "$ID" ]
}

fetch_source()
{
	local dir=$1

	exec 8>"$CACHE/kernels.lock"
	flock 8
	prepare_apt bookworm
	say "downloading linux-source-$BASE"
	download bookworm "$dir" "linux-source-$BASE"
	exec 8>&-
}

# Debian's own patches are in it. KVM checks its page tables when asked to, but
# has no option for it.
unpack()
{
	rm -rf "$BUILD"
	mkdir -p "$BUILD/deb" "$BUILD/linux"
	fetch_source "$BUILD/deb"
	say "unpacking"
	dpkg -x "$BUILD"/deb/linux-source-*.deb "$BUILD/deb" &&
		tar -C "$BUILD/linux" --strip-components=1 \
			-xf "$BUILD"/deb/usr/src/linux-source-$BASE.tar.xz ||
		die "cannot unpack the source"
	rm -rf "$BUILD/deb"
	sed -i 's/^#undef MMU_DEBUG$/#define MMU_DEBUG/' \
		"$BUILD/linux/arch/x86/kvm/mmu/mmu_internal.h" ||
		die "KVM's source is not what it was"
}

# make's output is in a log. O, B and the like are this project's own.
kbuild()
{
	env -u O -u B -u V -u MAKEFLAGS -u MFLAGS -u KVER -u KDIR \
		make -C "$BUILD/linux" ARCH=x86_64 "$@" >>"$LOG" 2>&1 && return
	grep -E -m 5 '(error|Error|\*\*\*)' "$LOG" >&2
	die "make $1 failed: see $LOG"
}

# An option that a newer source does not have, or whose needs are not met, would
# otherwise just be missing.
configure()
{
	local line missing=''

	config >"$BUILD/fragment"
	kbuild KCONFIG_ALLCONFIG="$BUILD/fragment" alldefconfig
	while read -r line; do
		case $line in
		CONFIG_*=n)
			! grep -q "^${line%n}" "$BUILD/linux/.config" ;;
		CONFIG_*)
			grep -qxF "$line" "$BUILD/linux/.config" ;;
		esac || missing="$missing $line"
	done <"$BUILD/fragment"
	[ -z "$missing" ] || die "this source cannot have:$missing"
}

# What "make M=" needs of a tree, and the symbols of all. An in-tree build has no
# absolute paths, so a moved repository can keep it.
lay_out_headers()
{
	local to=$1 f

	mkdir -p "$to"
	(cd "$BUILD/linux" && {
		ls -d .config Makefile Module.symvers System.map vmlinux \
			include scripts tools/objtool/objtool \
			tools/bpf/resolve_btfids/resolve_btfids
		find arch/x86 -name 'Makefile*' -o -name 'Kbuild*' -o -path '*/include/*.h'
		find . -name '*.ko'
	} | tar -cf - -T -) | tar -C "$to" -xf - || die "cannot copy the headers"
	find "$to/scripts" -name '*.o' -delete
	for f in Makefile Module.symvers scripts/basic/fixdep scripts/mod/modpost \
			scripts/module.lds tools/objtool/objtool vmlinux; do
		[ -f "$to/$f" ] || die "no $f in the build"
	done
}

lay_out()
{
	local tmp release

	tmp=$(mktemp -d "$CACHE/kernels/.tmp-$VER.XXXXXX") || die "mktemp"
	# shellcheck disable=SC2064 # this very directory
	trap "rm -rf '$tmp'" EXIT
	release=$(cat "$BUILD/linux/include/config/kernel.release")
	kbuild INSTALL_MOD_PATH="$tmp/root" INSTALL_MOD_STRIP=1 DEPMOD=true modules_install
	mv "$tmp/root/lib/modules/$release" "$tmp/modules" || die "no modules"
	rm -f "$tmp/modules"/{build,source}
	ln -s ../../../modules "$tmp/root/lib/modules/$release"
	depmod -b "$tmp/root" "$release" || die "depmod failed"
	cp "$BUILD/linux/arch/x86/boot/bzImage" "$tmp/vmlinuz" || die "no bzImage"
	lay_out_headers "$tmp/headers"
	ln -s headers "$tmp/build"
	echo "$release" >"$tmp/release"
	echo "$ID" >"$tmp/.id"
	# kernels.sh's way to say where it belongs
	echo "$FINAL" >"$tmp/.top"
	chmod 755 "$tmp"
	rm -rf "$FINAL"
	mv "$tmp" "$FINAL" || die "cannot move into $FINAL"
	trap - EXIT
	rm -rf "$BUILD"
	say "$VER: $release"
}

case ${1:-asan} in
asan)	VARIANT=asan VER=$BASE-debug ;;
kcsan)	VARIANT=kcsan VER=$BASE-kcsan ;;
*)	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2 ;;
esac
FINAL=$CACHE/kernels/$VER
BUILD=$CACHE/kernels/.build-$VER
LOG=$CACHE/kernels/.build-$VER.log
ID=$(id) || die "no $HERE/debug-kernel.config"

mkdir -p "$CACHE/kernels" || die "cannot make $CACHE/kernels"
exec 9>"$CACHE/debug-kernel.lock"
flock 9
if there; then
	say "$VER: $(cat "$FINAL/release") is there"
	exit 0
fi
bash "$TOP/selftests/deps.sh" bc bison dpkg-dev flex gcc libelf-dev libssl-dev make pahole xz-utils ||
	exit 1
: >"$LOG"
if [ "$(cat "$BUILD/.id" 2>/dev/null)" != "$ID" ]; then
	unpack
	configure
	echo "$ID" >"$BUILD/.id"
fi
say "$VER: building, which takes a while; its output is in $LOG"
kbuild "-j${JOBS:-2}" bzImage modules
lay_out
