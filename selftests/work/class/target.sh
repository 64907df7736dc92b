# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A SCSI disk that this machine offers itself.
# modules: target_core_mod target_core_file tcm_loop sd_mod ext4 crc32c_generic

T=/sys/kernel/config/target

work()
{
	local dev

	modprobe target_core_file && modprobe tcm_loop && modprobe sd_mod || fail "modules" || return
	[ -d $T ] || mount -t configfs configfs /sys/kernel/config || fail "configfs" || return
	dd if=/dev/zero of=/tmp/disk bs=1M count=10 2>/dev/null
	mkdir -p $T/core/fileio_0/disk &&
		echo fd_dev_name=/tmp/disk,fd_dev_size=10485760 >$T/core/fileio_0/disk/control &&
		echo 1 >$T/core/fileio_0/disk/enable || fail "disk" || return
	P=$T/loopback/naa.6001405000000001/tpgt_1
	mkdir -p $P && echo naa.6001405000000002 >$P/nexus && mkdir $P/lun/lun_0 &&
		ln -s $T/core/fileio_0/disk $P/lun/lun_0/disk || fail "target" || return
	dev=$(wait_new $WAIT /tmp/old.block ls /sys/block | grep sd | head -n 1)
	[ -n "$dev" ] || fail "no disk" || return
	block_work "/dev/$dev" || return
	echo 1 >"/sys/block/$dev/device/delete"
	rm $P/lun/lun_0/disk && rmdir $P/lun/lun_0 && echo NULL >$P/nexus && rmdir $P "${P%/*}" \
		$T/loopback $T/core/fileio_0/disk $T/core/fileio_0 || fail "take down" || return
	modprobe -r tcm_loop target_core_file 2>/dev/null
	umount /sys/kernel/config
	rm /tmp/disk
	return 0
}
