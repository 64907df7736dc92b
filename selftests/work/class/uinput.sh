# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# An input device that a program makes.
# modules: uinput evdev

work()
{
	modprobe uinput && modprobe evdev || fail "modules" || return
	until_ok 20 test -c /dev/uinput || fail "no node" || return
	$W/work uinput >/tmp/uinput 2>&1 || fail "$(tail -n 1 /tmp/uinput)" || return
	cat /tmp/uinput
	result="events arrive"
}
