# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A disk that appears.
# modules: ext4 crc32c_generic

work()
{
	local dev

	dev=$(wait_new $WAIT /tmp/old.block ls /sys/block | head -n 1)
	[ -n "$dev" ] || fail "no disk appeared" || return
	block_work "/dev/$dev"
}
