# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A block device of compressed memory; and swap on it.
# modules: ext4 crc32c_generic lzo-rle

work()
{
	echo 10M >/sys/block/zram0/disksize || fail "disksize" || return
	block_work /dev/zram0 || return
	mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 && swapoff /dev/zram0 ||
		fail "swap" || return
	echo 1 >/sys/block/zram0/reset || fail "reset"
}
