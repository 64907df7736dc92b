# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A block device on a file.
# modules: ext4 crc32c_generic

work()
{
	local dev bad=0

	dd if=/dev/zero of=/tmp/file bs=1M count=10 2>/dev/null
	dev=$(losetup -f)
	losetup "$dev" /tmp/file || fail "losetup" || return
	block_work "$dev" || bad=1
	losetup -d "$dev" || fail "losetup -d"
	rm /tmp/file
	return $bad
}
