# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A mapped device, on ram disks.
# modules: brd ext4 crc32c_generic
# tools: dmsetup

# dm SECTORS TARGET...: a table's line; ";" begins another device, and the last one
# is worked on; "message DEVICE WORDS" in between are for one
work()
{
	local n=0 bad=0 line

	modprobe brd rd_nr=4 rd_size=16384 || fail "ram disks" || return
	for dev in 0 1 2 3; do
		dd if=/dev/zero of=/dev/ram$dev bs=1M count=16 2>/dev/null
	done
	echo "$*" | sed 's/ *; */\n/g' >/tmp/tables
	while read -r line; do
		case $line in
		message*)
			dmsetup message "$(echo "$line" | cut -d' ' -f2)" 0 "$(echo "$line" | cut -d' ' -f3-)" ||
				fail "$line" || return
			continue ;;
		esac
		dmsetup create t$n --table "0 ${line%% *} ${line#* }" >/tmp/dm 2>&1 ||
			fail "table '$line': $(head -n 1 /tmp/dm)" || return
		dmsetup mknodes
		n=$((n + 1))
	done </tmp/tables
	block_work "/dev/mapper/t$((n - 1))" || bad=1
	while [ $n -gt 0 ]; do
		n=$((n - 1))
		until_ok 20 dmsetup remove t$n >/dev/null 2>&1 || fail "remove t$n"
	done
	modprobe -r brd
	return $bad
}
