# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Flash: erased, written, read; and as a block device.
# modules: mtdram mtdblock brd

# mtd [device]: one that a block device makes
work()
{
	if [ "${1:-}" = device ]; then
		modprobe brd rd_nr=1 rd_size=4096
		echo /dev/ram0,65536 >/sys/module/block2mtd/parameters/block2mtd ||
			fail "block2mtd" || return
	fi
	[ -c /dev/mtd0 ] || modprobe mtdram total_size=4096 erase_size=64
	until_ok $WAIT test -c /dev/mtd0 || fail "no flash" || return
	$W/work mtd /dev/mtd0 >/tmp/mtd 2>&1 || fail "$(tail -n 1 /tmp/mtd)" || return
	cat /tmp/mtd
	modprobe mtdblock
	result="erased, written and read"
	# one of NAND may not be overwritten
	[ "$(cat /sys/class/mtd/mtd0/type)" != nand ] || return 0
	until_ok 20 test -b /dev/mtdblock0 || fail "no block device" || return
	block_raw /dev/mtdblock0 || return
	modprobe -r mtdblock
	[ "$driver" = mtdram ] || modprobe -r mtdram 2>/dev/null
	result="erased, written and read, as a block device"
}
