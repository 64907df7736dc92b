# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A bus with an EEPROM at 0x50, which keeps what is written.
# modules: i2c-dev

# kept BYTE_OFFSET VALUE b|w
kept() { i2cset -y 0 0x50 "$1" "$2" "$3" && [ "$(i2cget -y 0 0x50 "$1" "$3")" = "$2" ]; }

work()
{
	modprobe i2c-dev || fail "i2c-dev" || return
	until_ok $WAIT test -c /dev/i2c-0 || fail "no bus" || return
	kept 0x10 "0x5$round" b && kept 0x20 "0x${round}234" w || fail "it is not kept" || return
	i2cdump -y 0 0x50 b >/tmp/dump 2>/dev/null
	grep -q "^10: 5$round" /tmp/dump || fail "dump" || return
	echo "ops 260"
	modprobe -r i2c-dev
	result="written and read"
}
