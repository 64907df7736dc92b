# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A floppy disk: it is slow, a little is enough.

work()
{
	local n=73728 want

	until_ok $WAIT test -b /dev/fd0 || fail "no drive" || return
	head -c $n /dev/urandom >/tmp/data
	want=$(head_sum /tmp/data $n)
	dd if=/tmp/data of=/dev/fd0 bs=18k conv=notrunc 2>/dev/null || fail "write" || return
	drop /dev/fd0
	[ "$(head_sum /dev/fd0 $n)" = "$want" ] || fail "read: checksum" || return
	echo "ops $((2 * n / 4096))"
	result="written and read"
}
