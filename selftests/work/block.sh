# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# block.sh: work on a block device.

drop() { sync; echo 3 >/proc/sys/vm/drop_caches; blockdev --flushbufs "$1"; }

head_sum() { head -c "$2" "$1" | sha256sum | cut -c1-64; }

block_raw()
{
	local n=1048576 want got

	head -c $n /dev/urandom >/tmp/data
	want=$(head_sum /tmp/data $n)
	dd if=/tmp/data of="$1" bs=64k conv=notrunc 2>/dev/null ||
		fail "write" || return
	drop "$1"
	got=$(head_sum "$1" $n)
	echo "ops $((2 * n / 4096))"
	[ "$got" = "$want" ] && return
	# a device that keeps nothing (null_blk) reads as zeroes
	if [ "$got" = "$(head -c $n /dev/zero | sha256sum | cut -c1-64)" ]; then
		keeps=0
		return
	fi
	fail "read: checksum"
}

block_fs()
{
	local n=1500000 want block=1024

	[ "$(blockdev --getss "$1")" -le 1024 ] || block=4096
	mke2fs -F -b $block "$1" $((8388608 / block)) >/dev/null 2>&1 || fail "mke2fs" || return
	mkdir -p /mnt/b
	mount -t ext4 "$1" /mnt/b || fail "mount" || return
	head -c $n /dev/urandom >/mnt/b/file
	mkdir /mnt/b/dir
	seq 1 2000 >/mnt/b/dir/seq
	want=$(head_sum /mnt/b/file $n)
	umount /mnt/b || fail "umount" || return
	drop "$1"
	mount -t ext4 "$1" /mnt/b || fail "mount again" || return
	[ "$(head_sum /mnt/b/file $n)" = "$want" ] || fail "file: checksum"
	[ "$(tail -n 1 /mnt/b/dir/seq)" = 2000 ] || fail "file: contents"
	rm /mnt/b/file
	sync
	fstrim /mnt/b 2>/dev/null && result="$result, trim"
	umount /mnt/b || fail "umount" || return
	echo "ops $((2 * n / 4096))"
}

# block_work DEVICE: all of it
block_work()
{
	[ "$(blockdev --getsize64 "$1")" -gt 0 ] || fail "no medium" || return
	keeps=1
	block_raw "$1" || return
	result="raw"
	[ $keeps = 1 ] || { result="raw (it keeps nothing)"; return; }
	result="raw, file system"
	block_fs "$1" || return
	blkdiscard -o 0 -l 1048576 "$1" 2>/dev/null &&
		result="$result, discard"
	return 0
}
