# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A watchdog: fed, it does not bark; stopped, neither; left alone, it does, where
# QEMU tells of it.

barked() { [ "$(host event WATCHDOG)" = "$1" ]; }

# watchdog [heard]: QEMU does, with -action watchdog=none
work()
{
	local dev

	until_ok $WAIT test -c /dev/watchdog0 || fail "no watchdog" || return
	dev=/dev/watchdog0
	$W/work watchdog $dev 10 >/tmp/watchdog 2>&1 || fail "$(tail -n 1 /tmp/watchdog)" || return
	cat /tmp/watchdog
	result="fed and stopped"
	[ "${1:-}" = heard ] || return 0
	sleep 12
	barked $((round - 1)) || fail "it went on" || return
	exec 4>$dev
	until_ok 100 barked "$round" || fail "it does not bark" || return
	echo V >&4
	exec 4>&-
	result="fed, stopped, and heard"
}
