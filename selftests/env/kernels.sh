#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernels.sh VERSION...		(VERSION: 6.1, 6.12, 7.2, 6.1-debug, or 6.1-kcsan)
#
# Fetch distribution kernels and their headers into .cache/kernels/VERSION:
#
#	vmlinuz		the image
#	release		what uname -r says
#	modules/	the contents of /lib/modules/RELEASE, with modules.dep
#	root/		so that "modprobe -d root -S RELEASE" finds modules/
#	headers/	the unpacked header packages
#	build		the directory for "make -C", inside headers/
#
# 7.2 is for guests only, without headers: those need a newer libc. 6.1-debug and
# 6.1-kcsan are for nested hosts only and are built, by debug-kernel.sh.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$TOP/.cache
PATH=$PATH:/usr/sbin:/sbin

say() { echo "kernels: $*"; }
die() { echo "kernels: error: $*" >&2; exit 1; }

usage()
{
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

# shellcheck source=selftests/env/private-apt.sh
. "$TOP/selftests/env/private-apt.sh"

unpack()
{
	local ver=$1 deb=$2 dest=$3

	mkdir -p "$dest"
	dpkg -x "$deb" "$dest" || die "$ver: cannot unpack $deb"
}

# The image package: vmlinuz and modules/
lay_out_image()
{
	local ver=$1 tmp=$2 release=$3 mods vmlinuz

	mods=$tmp/image/lib/modules/$release
	vmlinuz=$tmp/image/boot/vmlinuz-$release
	[ -d "$mods" ] || mods=$tmp/image/usr/lib/modules/$release
	[ -f "$vmlinuz" ] || vmlinuz=$mods/vmlinuz
	mv "$vmlinuz" "$tmp/vmlinuz" &&
		mv "$mods" "$tmp/modules" || die "$ver: unexpected image package"
	rm -rf "$tmp/image"
	mkdir -p "$tmp/root/lib/modules"
	ln -s ../../../modules "$tmp/root/lib/modules/$release"
	echo "$release" >"$tmp/release"
	depmod -b "$tmp/root" "$release" || die "$ver: depmod failed"
}

# The header packages refer to one another by absolute paths: point those to
# FINAL, where the tree is moved to at the end.
lay_out_headers()
{
	local ver=$1 tmp=$2 release=$3 final=$4 hdr=$2/headers f link

	find "$hdr" -type f \( -name Makefile -o -name '.kernelvariables' \) \
		-size -64k -exec grep -lE '/usr/(src|lib)/linux-' {} + |
	while read -r f; do
		sed -i -E "s#(^|[^A-Za-z0-9_.)}-])/usr/(src|lib)/linux-#\1$final/headers/usr/\2/linux-#g" "$f"
	done
	find "$hdr" -type l -lname '/usr/*' | while read -r link; do
		ln -sfn "$final/headers$(readlink "$link")" "$link"
	done
	# scripts and tools are symlinks to ../../lib/linux-kbuild-*: relative
	ln -s "headers/usr/src/linux-headers-$release" "$tmp/build"
	[ -f "$tmp/build/Makefile" ] || die "$ver: unexpected header packages"
}

guest_only() { [ "$1" = 7.2 ]; }

fetch()
{
	local ver=$1 final=$CACHE/kernels/$1
	local tmp image headers release common kbuild deb

	if [ -f "$final/release" ] &&
	   { [ -d "$final/build/" ] || guest_only "$ver"; } &&
	   [ "$(cat "$final/.top" 2>/dev/null)" = "$final" ]; then
		say "$ver: $(cat "$final/release") is there"
		return
	fi
	prepare_apt "$ver"
	image=$(depends_of "$ver" linux-image-amd64 '^linux-image-[0-9].*-amd64$')
	headers=$(depends_of "$ver" linux-headers-amd64 '^linux-headers-[0-9].*-amd64$')
	# its suite has newer ones, and an image in two packages
	if guest_only "$ver"; then
		image=$(private_apt "$ver" apt-cache pkgnames "linux-image-$ver" |
			grep -E -- '^linux-image-[0-9.]+\+deb[0-9]+-amd64$' |
			sort -V | tail -n 1)
	fi
	release=${image#linux-image-}
	case $release in
	"$ver".*) ;;
	*) die "$ver: linux-image-amd64 there is '$image'" ;;
	esac
	if guest_only "$ver"; then
		headers=linux-headers-$release
	fi
	[ "${headers#linux-headers-}" = "$release" ] ||
		die "$ver: image is $image, but headers are '$headers'"
	if guest_only "$ver"; then
		headers='' common='' kbuild=''
		image="linux-base-$release linux-binary-$release linux-modules-$release"
	else
	common=$(depends_of "$ver" "$headers" '^linux-headers-.*-common$')
	kbuild=$(depends_of "$ver" "$headers" '^linux-kbuild-')
	[ -n "$common" ] && [ -n "$kbuild" ] ||
		die "$ver: $headers does not depend on -common and kbuild"
	fi

	mkdir -p "$CACHE/kernels"
	tmp=$(mktemp -d "$CACHE/kernels/.tmp-$ver.XXXXXX") || die "mktemp"
	# shellcheck disable=SC2064 # this very directory
	trap "rm -rf '$tmp'" EXIT
	mkdir "$tmp/debs"
	say "$ver: downloading $image $headers $common $kbuild"
	# shellcheck disable=SC2086 # lists
	download "$ver" "$tmp/debs" $image $headers $common $kbuild
	say "$ver: unpacking"
	for deb in "$tmp"/debs/linux-{image,base,binary,modules}-*.deb; do
		[ ! -f "$deb" ] || unpack "$ver" "$deb" "$tmp/image"
	done
	guest_only "$ver" ||
	for deb in "$tmp"/debs/linux-headers-*.deb "$tmp"/debs/linux-kbuild-*.deb; do
		unpack "$ver" "$deb" "$tmp/headers"
	done
	lay_out_image "$ver" "$tmp" "$release"
	guest_only "$ver" || lay_out_headers "$ver" "$tmp" "$release" "$final"
	rm -rf "$tmp/debs"
	# a moved repository has to rewrite the paths: remember this one
	echo "$final" >"$tmp/.top"
	chmod 755 "$tmp"
	rm -rf "$final"
	mv "$tmp" "$final" || die "$ver: cannot move into $final"
	trap - EXIT
	say "$ver: $release"
}

[ $# -gt 0 ] || usage
fetched=()
for ver; do
	case $ver in
	6.1-debug)	"$TOP/selftests/env/debug-kernel.sh" asan || exit ;;
	6.1-kcsan)	"$TOP/selftests/env/debug-kernel.sh" kcsan || exit ;;
	*)	suites_of "$ver" >/dev/null ||
			die "no suite is known for $ver (6.1, 6.12, 7.2)"
		fetched+=("$ver") ;;
	esac
done
[ ${#fetched[@]} -gt 0 ] || exit 0
mkdir -p "$CACHE" || die "cannot make $CACHE"
# What it has is replaced when it is of another place: not another tree's.
[ ! -L "$CACHE/kernels" ] || die "$CACHE/kernels is a symbolic link: every tree has its own"
exec 9>"$CACHE/kernels.lock"
flock 9
for ver in "${fetched[@]}"; do
	fetch "$ver"
done
