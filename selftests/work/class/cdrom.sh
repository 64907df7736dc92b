# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A CD-ROM drive: what is on the disc (back_ends in iso.sh), and out it goes.
# modules: isofs

SIZE=4194304

# The disc as it should be
disc() { seq 1 10000000 | head -c $SIZE; }

work()
{
	local dev

	dev=$(wait_new $WAIT /tmp/old.block ls /sys/block | grep sr | head -n 1)
	[ -n "$dev" ] || fail "no drive appeared" || return
	until_ok 60 sh -c "[ \"\$(blockdev --getsize64 /dev/$dev 2>/dev/null || echo 0)\" = $SIZE ]" ||
		fail "size" || return
	[ "$(sha256sum </dev/"$dev" | cut -c1-64)" = "$(disc | sha256sum | cut -c1-64)" ] ||
		fail "read: checksum" || return
	drop "/dev/$dev"
	[ "$(dd if=/dev/"$dev" bs=2048 skip=100 count=7 2>/dev/null | sha256sum)" = \
		"$(disc | dd bs=2048 skip=100 count=7 2>/dev/null | sha256sum)" ] ||
		fail "read a part" || return
	! dd if=/dev/zero of=/dev/"$dev" bs=2048 count=1 conv=fsync 2>/dev/null ||
		fail "it can be written" || return
	echo "ops $((SIZE / 2048))"
	$W/work cdrom "/dev/$dev" || fail "tray" || return
	result="read, table of contents, ejected and back"
}
