# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A disk by SCSI commands.

# One whose type is that of a disk
disks() { grep -lx 0 /sys/class/scsi_generic/*/device/type; }

work()
{
	local dev

	echo . >/tmp/none
	dev=$(wait_new $WAIT /tmp/none disks | cut -d/ -f5 | head -n 1)
	[ -n "$dev" ] || fail "no node" || return
	$W/work sg "/dev/$dev" >/tmp/sg 2>&1 || fail "$(tail -n 1 /tmp/sg)" || return
	cat /tmp/sg
	result="inquiry, written and read"
}
