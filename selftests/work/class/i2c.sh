# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A bus with a memory module's EEPROM at 0x50, which is read two ways.
# modules: i2c-dev i2c-stub

# i2c [written]: it keeps what is written
work()
{
	local a b

	modprobe i2c-dev || fail "i2c-dev" || return
	until_ok $WAIT test -c /dev/i2c-0 || fail "no bus" || return
	if [ "${1:-}" = written ]; then
		i2cset -y 0 0x50 0x10 0x5a b && [ "$(i2cget -y 0 0x50 0x10)" = 0x5a ] &&
			i2cset -y 0 0x50 0x20 0x1234 w && [ "$(i2cget -y 0 0x50 0x20 w)" = 0x1234 ] ||
			fail "it is not kept" || return
		echo "ops 4"
		result="written and read"
	else
		# the size of an EEPROM of 256 bytes comes first, then what is used of it
		a=$(i2cget -y 0 0x50 0) b=$(i2cget -y 0 0x50 1)
		[ "$a" = 0x80 ] && [ "$b" = 0x08 ] || fail "it begins with $a $b" || return
		i2cdump -y 0 0x50 b >/tmp/dump 2>/dev/null
		grep -q '^00: 80 08' /tmp/dump || fail "dump" || return
		echo "ops 258"
		result="read"
	fi
	modprobe -r i2c-dev
}
