# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A network device, with the host behind it or nobody.

work()
{
	local dev=

	dev=$(wait_new 15 /tmp/old.net ls /sys/class/net | head -n 1)
	if [ -z "$dev" ]; then
		ip link add x0 type "$driver" 2>/tmp/add && dev=x0
	fi
	[ -n "$dev" ] || fail "no network device appeared" || return
	if [ "$PEER" != 1 ]; then
		net_alone "$dev" && result="sent"
		[ "$dev" != x0 ] || ip link del x0
		return
	fi
	net_address "$dev" && net_ready && net_transfer "$dev" || return
	if [ "$round" = 1 ]; then
		net_down_up "$dev" || return
		ip link set "$dev" down
		ip link set "$dev" mtu 1400 || fail "MTU" || return
		net_address "$dev" && net_ready && net_transfer "$dev" || return
	fi
	ip link set "$dev" down
	result="both ways"
}
