# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# An array of ram disks, set up through sysfs; and without one of them.
# modules: brd ext4 crc32c_generic md-mod

MD=/sys/block/md127/md

put() { (echo "$2" >$MD/"$1") 2>/tmp/put || fail "$1: $(tail -n 1 /tmp/put)"; }

disk() { put new_dev "$(cat /sys/block/ram"$1"/dev)" && put dev-ram"$1"/slot "$1"; }

sum() { drop /dev/md127; head_sum /dev/md127 1048576; }

# md LEVEL DISKS REDUNDANT
work()
{
	local i want

	modprobe brd rd_nr="$2" rd_size=16384 && modprobe md_mod || fail "modules" || return
	echo md127 >/sys/module/md_mod/parameters/new_array || fail "new array" || return
	put level "$1" && put chunk_size 65536 && put raid_disks "$2" &&
		put metadata_version none && put component_size 16000 || return
	i=0
	while [ $i -lt "$2" ]; do
		disk $i || return
		i=$((i + 1))
	done
	put array_state active || return
	block_work /dev/md127 || return
	until_ok $WAIT grep -qx idle $MD/sync_action || fail "resync" || return
	dd if=/dev/urandom of=/dev/md127 bs=64k count=16 2>/dev/null
	want=$(sum)
	if [ "$3" = 1 ]; then
		put dev-ram0/state faulty && [ "$(sum)" = "$want" ] || fail "without a disk" || return
		until_ok 20 put dev-ram0/state remove >/dev/null
		disk 0 && put sync_action recover || return
		until_ok $WAIT grep -qx in_sync $MD/dev-ram0/state || fail "recovery" || return
		put dev-ram1/state faulty && [ "$(sum)" = "$want" ] ||
			fail "with the disk anew" || return
		result="$result, one disk lost, replaced"
	fi
	put array_state clear || return
	until_ok 20 modprobe -r brd
}
