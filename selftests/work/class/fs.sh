# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A file system: four processes at once, then it is mounted anew and compared.
# modules: brd loop crc32c_generic nls_cp437 nls_ascii nls_utf8 nls_iso8859-1
# tools: mkfs.xfs mkfs.btrfs mkfs.f2fs mkfs.exfat jfs_mkfs mkfs.nilfs2 mkudffs

FS=/mnt/fs

# fs TYPE SIZE [COMMAND...]: of a file system in MB, on a ram disk that COMMAND makes;
# fs TYPE - SOURCE [OPTIONS]: what is there already
work()
{
	local type=$1 size=$2 from=/dev/ram0 opts=''

	shift 2
	mkdir -p $FS
	ln -sf /proc/mounts /etc/mtab
	if [ "$size" = - ]; then
		from=$1 opts=${2:-}
		mkdir -p /tmp/lower /tmp/upper/u /tmp/upper/w
	else
		modprobe brd rd_nr=1 rd_size=$((size * 1024)) || fail "brd" || return
		"$@" /dev/ram0 >/tmp/mkfs 2>&1 || fail "$1: $(tail -n 1 /tmp/mkfs)" || return
	fi
	fs_mount || return
	rm -rf ${FS:?}/p?
	$W/work files make $FS "$round" >/tmp/files 2>&1 || fail "$(head -n 1 /tmp/files)" || return
	cat /tmp/files
	head -c 1000000 /dev/urandom >/tmp/data
	cp /tmp/data $FS/big && sync || fail "big file" || return
	df $FS >/dev/null
	umount $FS || fail "umount" || return
	echo 3 >/proc/sys/vm/drop_caches
	fs_mount || return
	$W/work files check $FS "$round" >/tmp/files 2>&1 ||
		fail "mounted anew: $(head -n 1 /tmp/files)" || return
	cmp /tmp/data $FS/big || fail "mounted anew: big file" || return
	find $FS | grep -q p3 || fail "no names" || return
	rm -r $FS/p? $FS/big || fail "remove" || return
	umount $FS || fail "umount again" || return
	[ "$size" = - ] || modprobe -r brd
	result="work of four, mounted anew"
}

fs_mount()
{
	mount -t "$type" ${opts:+-o "$opts"} "$from" $FS 2>/tmp/mount ||
		fail "mount: $(head -n 1 /tmp/mount) $(dmesg | tail -n 1)"
}
