#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernels.sh VERSION...		(VERSION: 6.1, 6.12, 7.3, 6.1-debug, or 6.1-kcsan)
# kernels.sh --offered | --old | --new
#
# Print those that tests run on, the older first, or one of them: what KERNELS says, or
# what this machine's own Debian offers, in its stable suite and as the newest of its
# backports, as far as a host with it is known to work.
#
# Or fetch distribution kernels and their headers into .cache/kernels/VERSION:
#
#	vmlinuz		the image
#	release		what uname -r says
#	modules/	the contents of /lib/modules/RELEASE, with modules.dep
#	root/		so that "modprobe -d root -S RELEASE" finds modules/
#	headers/	the unpacked header packages
#	build		the directory for "make -C", inside headers/
#
# A version comes from the first release that has it (private-apt.sh): this machine's
# own, then others of Debian. Programs in a newer one's headers may need a newer libc:
# such a kernel is for guests only, and has no build. 6.1-debug and 6.1-kcsan are for
# nested hosts only and are built, by debug-kernel.sh.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$TOP/.cache
PATH=$PATH:/usr/sbin:/sbin
HOSTS="6.1 6.12"	# what runs as a host

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

# Of a release that this machine may be too old for
guest_only() { [[ $1 = trixie* && $OWN = bookworm ]]; }

# Lists that this run has read already
read_lists()
{
	[[ " $KNOWN " = *" $1 "* ]] || prepare_apt "$1"
	KNOWN="$KNOWN $1"
}

default_image() { depends_of "$1" linux-image-amd64 '^linux-image-[0-9].*-amd64$'; }

# find_image VERSION: sets RELEASE, and IMAGE, its package. First what a release installs
# by default: it may have others besides.
find_image()
{
	for RELEASE in $(releases); do
		read_lists "$RELEASE"
		IMAGE=$(default_image "$RELEASE")
		[[ $IMAGE != "linux-image-$1".* ]] || return
	done
	for RELEASE in $(releases); do
		IMAGE=$(newest_image "$RELEASE" "$1")
		[ -z "$IMAGE" ] || return
	done
	die "$1: no release of Debian here has it ($(releases | xargs))"
}

# packages_of VERSION: what is to be unpacked, of RELEASE and IMAGE
packages_of()
{
	local name=${IMAGE#linux-image-} parts common kbuild

	# 7.x: the image is in parts
	parts=$(private_apt "$RELEASE" apt-cache show --no-all-versions "$IMAGE" |
		sed -n 's/^Depends: //p' | grep -oE "linux-(base|binary|modules)-${name//+/\\+}" | sort -u | xargs)
	echo "${parts:-$IMAGE}"
	! guest_only "$RELEASE" || return 0
	common=$(depends_of "$RELEASE" "linux-headers-$name" '^linux-headers-.*-common$')
	kbuild=$(depends_of "$RELEASE" "linux-headers-$name" '^linux-kbuild-')
	[ -n "$common" ] && [ -n "$kbuild" ] ||
		die "$1: linux-headers-$name does not depend on -common and kbuild"
	echo "linux-headers-$name $common $kbuild"
}

is_there()
{
	local final=$CACHE/kernels/$1

	[ -f "$final/release" ] && { [ -d "$final/build/" ] || [ -f "$final/.guest-only" ]; } &&
		[ "$(cat "$final/.top" 2>/dev/null)" = "$final" ]
}

fetch()
{
	local ver=$1 final=$CACHE/kernels/$1 tmp release deb packages

	if is_there "$ver"; then
		say "$ver: $(cat "$final/release") is there"
		return
	fi
	find_image "$ver"
	release=${IMAGE#linux-image-}
	packages=$(packages_of "$ver") || exit 1
	mkdir -p "$CACHE/kernels"
	tmp=$(mktemp -d "$CACHE/kernels/.tmp-$ver.XXXXXX") || die "mktemp"
	# shellcheck disable=SC2064 # this very directory
	trap "rm -rf '$tmp'" EXIT
	mkdir "$tmp/debs"
	# shellcheck disable=SC2086 # a list
	say "$ver: downloading of $RELEASE:" $packages
	# shellcheck disable=SC2086 # a list
	download "$RELEASE" "$tmp/debs" $packages
	say "$ver: unpacking"
	for deb in "$tmp"/debs/linux-{image,base,binary,modules}-*.deb; do
		[ ! -f "$deb" ] || unpack "$ver" "$deb" "$tmp/image"
	done
	for deb in "$tmp"/debs/linux-{headers,kbuild}-*.deb; do
		[ ! -f "$deb" ] || unpack "$ver" "$deb" "$tmp/headers"
	done
	lay_out_image "$ver" "$tmp" "$release"
	if guest_only "$RELEASE"; then
		touch "$tmp/.guest-only"
	else
		lay_out_headers "$ver" "$tmp" "$release" "$final"
	fi
	rm -rf "$tmp/debs"
	# a moved repository has to rewrite the paths: remember this one
	echo "$final" >"$tmp/.top"
	chmod 755 "$tmp"
	rm -rf "$final"
	mv "$tmp" "$final" || die "$ver: cannot move into $final"
	trap - EXIT
	say "$ver: $release"
}

# Asked for once: "make distclean" forgets it.
offered()
{
	local file=$CACHE/offered-$OWN release image version

	if [ ! -s "$file" ]; then
		for release in "$OWN" "$OWN-backports"; do
			read_lists "$release" >&2
			image=$(default_image "$release")
			version=$(grep -oE '^[0-9]+\.[0-9]+' <<<"${image#linux-image-}") || continue
			[[ " $HOSTS " != *" $version "* ]] || echo "$version"
		done | sort -uV >"$file.tmp"
		[ -s "$file.tmp" ] || die "$OWN offers no kernel that runs as a host ($HOSTS): say KERNELS="
		mv "$file.tmp" "$file"
	fi
	xargs <"$file"
}

KNOWN=
[ $# -gt 0 ] || usage
mkdir -p "$CACHE" || die "cannot make $CACHE"
case $1 in
--offered | --old | --new)
	if [ -z "${KERNELS:-}" ]; then
		exec 9>"$CACHE/kernels.lock"
		flock 9
		KERNELS=$(offered) || exit 1
	fi
	case $1 in
	--old)	echo "${KERNELS%% *}" ;;
	--new)	echo "${KERNELS##* }" ;;
	*)	echo "$KERNELS" ;;
	esac
	exit ;;
esac
fetched=()
for ver; do
	case $ver in
	6.1-debug)	"$TOP/selftests/env/debug-kernel.sh" asan || exit ;;
	6.1-kcsan)	"$TOP/selftests/env/debug-kernel.sh" kcsan || exit ;;
	*)	[[ $ver =~ ^[0-9]+\.[0-9]+$ ]] || die "$ver is no version of a kernel (6.1, 6.12, 7.3)"
		fetched+=("$ver") ;;
	esac
done
[ ${#fetched[@]} -gt 0 ] || exit 0
# What it has is replaced when it is of another place: not another tree's.
[ ! -L "$CACHE/kernels" ] || die "$CACHE/kernels is a symbolic link: every tree has its own"
exec 9>"$CACHE/kernels.lock"
flock 9
for ver in "${fetched[@]}"; do
	fetch "$ver"
done
