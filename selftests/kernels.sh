#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernels.sh VERSION...		(VERSION: 6.1, 6.12, or 7.2)
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
# 7.2 is for guests only, without headers: those need a newer libc.
#
# Nothing is installed. The mirror is the one that this machine's apt uses.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$TOP/.cache
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
PATH=$PATH:/usr/sbin:/sbin

say() { echo "kernels: $*"; }
die() { echo "kernels: error: $*" >&2; exit 1; }

usage()
{
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

# The suites that carry a version. A suite that apt does not know yet is
# expected beside bookworm, on the same mirror.
suites_of()
{
	case $1 in
	6.1)	echo bookworm bookworm-updates bookworm-security ;;
	6.12)	echo bookworm-backports ;;
	7.2)	echo trixie-backports ;;
	*)	return 1 ;;
	esac
}

# site_of SUITE: print the mirror that apt's own configuration has for it
site_of()
{
	# shellcheck disable=SC2016 # these are apt's variables, not ours
	apt-get indextargets --format '$(CODENAME) $(SUITE) $(RELEASE) $(COMPONENT) $(SITE)' \
		'Identifier: Packages' 2>/dev/null |
		awk -v want="$1" '$4 == "main" && ($1 == want || $2 == want ||
			$3 == want) { print $5; exit }'
}

write_sources()
{
	local ver=$1 list=$2 suite site opt=''

	[ ! -r "$KEYRING" ] || opt="[signed-by=$KEYRING] "
	: >"$list"
	for suite in $(suites_of "$ver"); do
		site=$(site_of "$suite")
		[ -n "$site" ] || site=$(site_of "${suite%-backports}")
		[ -n "$site" ] || site=$(site_of bookworm)
		# updates and security are welcome, but not needed
		[ -n "$site" ] || continue
		echo "deb $opt$site $suite main" >>"$list"
	done
	[ -s "$list" ] ||
		die "apt's configuration has no mirror for any of: $(suites_of "$ver")"
}

# private_apt VERSION PROGRAM ARGS...: apt with a state of its own, in which
# no package is installed and no other suite is known
private_apt()
{
	local dir=$CACHE/apt/$1 prog=$2

	shift 2
	"$prog" -q -o Dir::Etc::sourcelist="$dir/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$dir/state" -o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o APT::Architecture=amd64 "$@"
}

prepare_apt()
{
	local ver=$1 dir=$CACHE/apt/$1

	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	write_sources "$ver" "$dir/sources.list"
	say "$ver: reading package lists of $(suites_of "$ver")"
	private_apt "$ver" apt-get update >"$dir/log" 2>&1 ||
		{ tail -n 20 "$dir/log" >&2; die "$ver: apt-get update failed"; }
}

# depends_of VERSION PACKAGE PATTERN: the first dependency of the candidate
# version that matches
depends_of()
{
	private_apt "$1" apt-cache show --no-all-versions "$2" 2>/dev/null |
		sed -n 's/^Depends: //p' | tr ',|' '\n\n' |
		sed 's/^ *//; s/ .*//' | grep -E -m1 -- "$3"
}

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

download()
{
	local ver=$1 dir=$2

	shift 2
	(cd "$dir" && private_apt "$ver" apt-get download "$@") \
		>"$dir/log" 2>&1 ||
		{ tail -n 20 "$dir/log" >&2; die "$ver: cannot download $*"; }
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
for ver; do
	suites_of "$ver" >/dev/null || die "no suite is known for $ver (6.1, 6.12, 7.2)"
done
mkdir -p "$CACHE" || die "cannot make $CACHE"
exec 9>"$CACHE/kernels.lock"
flock 9
for ver; do
	fetch "$ver"
done
