#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fetch-source.sh [DIR]
#
# Fetch the source package of the QEMU that is installed (QEMU_PACKAGE,
# qemu-system-x86) and put what a build against its headers needs into DIR,
# .cache/qemu/VERSION (QEMU_CACHE/VERSION): include/, qapi/, scripts/, with the distribution's
# patches. Does nothing when it is there.
#
# fetch-source.sh --version
#
# Print the version of that source package, without its epoch.
#
# Nothing is installed, and this machine's apt stays as it is: its mirrors are
# asked through a private state, with sources (deb-src) switched on. The
# installed version may have come from the updates or the security suite, so
# all suites that are configured are asked.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${QEMU_CACHE:-$TOP/.cache/qemu}
PACKAGE=${QEMU_PACKAGE:-qemu-system-x86}

say() { echo "qemu source: $*"; }
die() { echo "qemu source: error: $*" >&2; exit 1; }

# "qemu 1:7.2+dfsg-7+deb12u18": not the version of the package, which a mere
# rebuild changes.
installed()
{
	local s

	# shellcheck disable=SC2016 # these are dpkg's variables, not ours
	s=$(dpkg-query -W -f '${db:Status-Status} ${source:Package} ${source:Version}' \
		"$PACKAGE" 2>/dev/null)
	case $s in
	"installed "*)	echo "${s#installed }" ;;
	*)		die "the package $PACKAGE is not installed" ;;
	esac
}

# One "deb-src" line for each suite of a "deb" line. Without release files,
# so that it works before the first apt-get update, too.
write_sources()
{
	local list=$1 k keys=''

	for k in /usr/share/keyrings/*-archive-keyring.gpg; do
		[ ! -r "$k" ] || keys=$keys,$k
	done
	# shellcheck disable=SC2016 # these are apt's variables, not ours
	apt-get indextargets --no-release-info \
		--format '$(RELEASE) $(COMPONENT) $(REPO_URI)' \
		'Identifier: Packages' 2>/dev/null | sort -u |
	awk -v o="${keys:+[signed-by=${keys#,}] }" '$2 == "main" {
		print "deb-src " o $3 " " $1 " main" }' >"$list"
	[ -s "$list" ] || die "apt's configuration has no mirror"
}

# Its own lists and cache; no other sources, no pins, and no package counts as
# installed.
private_apt()
{
	local dir=$CACHE/apt

	apt-get -q -o Dir::Etc::sourcelist="$dir/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$dir/state" -o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none "$@"
}

prepare_apt()
{
	local dir=$CACHE/apt

	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" ||
		die "cannot write $dir"
	: >"$dir/status"
	write_sources "$dir/sources.list"
	say "reading the lists of sources of$(awk '{ printf " %s", $(NF-1) }' \
		"$dir/sources.list")"
	# one suite that does not answer is no reason to give up
	private_apt update >"$dir/log" 2>&1 || tail -n 5 "$dir/log" >&2
}

# Some 400 MB are not needed.
prune()
{
	find "$1" -mindepth 1 -maxdepth 1 ! -name include ! -name qapi \
		! -name scripts ! -name VERSION ! -name 'COPYING*' \
		! -name LICENSE -exec rm -rf {} +
}

fetch()
{
	local dest=$1 name=$2 version=$3 tmp

	for p in dpkg-source xz patch; do
		command -v $p >/dev/null ||
			die "$p is missing (packages dpkg-dev, xz-utils, patch)"
	done
	prepare_apt
	tmp=$(mktemp -d "$CACHE/.tmp.XXXXXX") || die "cannot write $CACHE"
	# shellcheck disable=SC2064 # this very directory
	trap "rm -rf '$tmp'" EXIT
	say "downloading $name $version"
	(cd "$tmp" && private_apt --only-source --download-only source \
		"$name=$version") >"$CACHE/apt/log" 2>&1 || {
		tail -n 5 "$CACHE/apt/log" >&2
		die "no mirror that apt knows has the source of $name $version;" \
			"is the installed version outdated?"
	}
	say "unpacking"
	# apt has checked the hashes, up to the signed release file
	dpkg-source --no-check -x "$tmp"/*.dsc "$tmp/src" \
		>"$CACHE/apt/log" 2>&1 || {
		tail -n 5 "$CACHE/apt/log" >&2
		die "cannot unpack"
	}
	prune "$tmp/src"
	mkdir -p "$(dirname "$dest")"
	rm -rf "$dest"
	mv "$tmp/src" "$dest" || die "cannot write $dest"
}

src=$(installed) || exit 1
name=${src% *} version=${src#* }
if [ "${1:-}" = --version ]; then
	echo "${version#*:}"
	exit
fi
dest=${1:-$CACHE/${version#*:}}
mkdir -p "$CACHE" || die "cannot make $CACHE"
exec 9>"$CACHE/lock"
flock 9
if [ -f "$dest/VERSION" ]; then
	say "$name $version is there"
else
	fetch "$dest" "$name" "$version"
	say "$name $version: $dest"
fi
