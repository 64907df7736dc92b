# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A network block device, whose server is in the same guest.
# modules: ext4 crc32c_generic

work()
{
	local bad=0

	dd if=/dev/zero of=/tmp/file bs=1M count=10 2>/dev/null
	$W/work nbd /dev/nbd0 /tmp/file >/tmp/nbd 2>&1 &
	until_ok $WAIT grep -q . /tmp/nbd
	grep -q ready /tmp/nbd || fail "$(cat /tmp/nbd)" || return
	until_ok 20 sh -c '[ "$(blockdev --getsize64 /dev/nbd0)" -gt 0 ]'
	block_work /dev/nbd0 || bad=1
	$W/work nbd-end /dev/nbd0 || fail "disconnect"
	wait
	rm /tmp/file
	return $bad
}
