# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# private-apt.sh: packages of Debian's kernels, fetched with an apt that has a
# state of its own for each release (bookworm, trixie-backports ...): nothing is
# installed. Sourced; needs CACHE, say and die, and .cache/kernels.lock.
#
# The mirror is the one that this machine's apt uses.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Of this machine, "bookworm" or "trixie"
# shellcheck source=/dev/null
OWN=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

# All that may have a kernel, its own first
releases() { printf '%s\n' "$OWN" "$OWN-backports" {bookworm,trixie}{,-backports} | awk '!seen[$0]++'; }

suites_of()
{
	case $1 in
	*-backports)	echo "$1" ;;
	*)	echo "$1 $1-updates $1-security" ;;
	esac
}

# site_of SUITE: print the mirror that apt's own configuration has for it. Before the first
# apt-get update apt knows a suite only as it is written there.
site_of()
{
	local info

	# shellcheck disable=SC2016 # these are apt's variables, not ours
	for info in "" --no-release-info; do
		apt-get indextargets $info --format '$(CODENAME) $(SUITE) $(RELEASE) $(COMPONENT) $(SITE)' \
			'Identifier: Packages' 2>/dev/null
	done | awk -v want="$1" '{
		for (i = 1; i <= NF - 2; i++)
			if ($i == want && $(NF - 1) == "main") {
				print $NF
				exit
			}
	}'
}

write_sources()
{
	local release=$1 list=$2 suite site opt=''

	[ ! -r "$KEYRING" ] || opt="[signed-by=$KEYRING] "
	: >"$list"
	for suite in $(suites_of "$release"); do
		site=$(site_of "$suite")
		# What apt does not know yet is expected beside what it does.
		[ -n "$site" ] || site=$(site_of "$OWN${suite#"${release%-backports}"}")
		[ -n "$site" ] || site=$(site_of "$OWN")
		# updates and security are welcome, but not needed
		[ -n "$site" ] || continue
		echo "deb $opt$site $suite main" >>"$list"
	done
	[ -s "$list" ] ||
		die "apt's configuration has no mirror of $OWN, nor of $release"
}

# private_apt RELEASE PROGRAM ARGS...: apt with a state of its own, in which
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
	local release=$1 dir=$CACHE/apt/$1

	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	write_sources "$release" "$dir/sources.list"
	say "reading package lists of $(suites_of "$release")"
	private_apt "$release" apt-get update >"$dir/log" 2>&1 ||
		{ tail -n 20 "$dir/log" >&2; die "$release: apt-get update failed"; }
}

# newest_image RELEASE VERSION: the newest package with an image of that kernel
newest_image()
{
	private_apt "$1" apt-cache pkgnames "linux-image-$2" |
		grep -E -- "^linux-image-${2//./\\.}\\.[0-9.]+([+-][^-]*)?-amd64\$" |
		sort -V | tail -n 1
}

# depends_of RELEASE PACKAGE PATTERN: the first dependency of the candidate
# version that matches
depends_of()
{
	private_apt "$1" apt-cache show --no-all-versions "$2" 2>/dev/null |
		sed -n 's/^Depends: //p' | tr ',|' '\n\n' |
		sed 's/^ *//; s/ .*//' | grep -E -m1 -- "$3"
}

download()
{
	local release=$1 dir=$2

	shift 2
	(cd "$dir" && private_apt "$release" apt-get download "$@") \
		>"$dir/log" 2>&1 ||
		{ tail -n 20 "$dir/log" >&2; die "$release: cannot download $*"; }
}
