# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Packets through /dev/net/tun.

work()
{
	$W/work tun || fail "tun" || return
	result="packets both ways"
}
