# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# tap.sh: one TAP line each; $failed is 1 when one was "not ok". Source it.
#
#	ok NAME
#	not_ok NAME [WHY]
#	skip NAME WHY
#	is NAME GOT WANTED
#	check NAME COMMAND...

# shellcheck disable=SC2034 # for who sources this
failed=0

ok() { echo "ok - $*"; }
not_ok() { echo "not ok - $1${2:+: $2}"; failed=1; }
skip() { echo "ok - $1 # SKIP $2"; }

is()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got '$2', not '$3'"
	fi
}

check()
{
	local name=$1 out

	shift
	if out=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "'$*' failed: $(echo "$out" | tail -n 3)"
	fi
}
