# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Two serial ports with a cable between them (pair of chardevs: iso.sh).

there_are() { [ -c "/dev/$1" ] && [ -c "/dev/$2" ]; }

# serial PORT PORT
work()
{
	local a=/dev/$1 b=/dev/$2

	until_ok $WAIT there_are "$1" "$2" || fail "no two ports" || return
	$W/work serial "$a" "$b" >/tmp/serial 2>&1 || fail "$(tail -n 1 /tmp/serial)" || return
	cat /tmp/serial
	result="bytes both ways"
}
