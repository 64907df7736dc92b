# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A graphics adapter, and what the host sees on its screen.

cards() { find /dev/dri -name 'card*'; }

# display [unseen|once]: the host does not see it
work()
{
	local card want got

	echo . >/tmp/none
	card=$(wait_new $WAIT /tmp/none cards | head -n 1)
	[ -n "$card" ] || fail "no card appeared" || return
	rm -f /tmp/more /tmp/display
	mkfifo /tmp/more
	$W/work display "$card" </tmp/more >/tmp/display 2>&1 &
	exec 4>/tmp/more
	until_ok $WAIT grep -qE '^(drawn|work:)' /tmp/display
	cat /tmp/display
	want=$(sha256sum </tmp/screen.ppm | cut -c1-64)
	# it shows what it has at the next refresh
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "${1:-}" != unseen ] || break
		got=$(host screen)
		[ "$got" != "$want" ] || break
		sleep 1
	done
	exec 4>&-
	wait $! || fail "$(tail -n 1 /tmp/display)" || return
	[ "${1:-}" = unseen ] || [ "$got" = "$want" ] || fail "the screen does not show it" || return
	result=$(sed -n 's/^drawn/drawn, seen:/p' /tmp/display)
}
