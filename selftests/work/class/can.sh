# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# CAN: frames between two interfaces, both ways.
# modules: can-raw can-gw can-dev vcan
# tools: ip

cans() { ls /sys/class/net | grep can; }

# can [TYPE [gw]]: two that appear; or made, one for both ends, or two with routes
work()
{
	local a b

	modprobe can_raw || fail "can_raw" || return
	case ${1:-} in
	'')	a=$(wait_new $WAIT /tmp/old.net cans | sed -n 1p)
		b=$(wait_new $WAIT /tmp/old.net cans | sed -n 2p)
		[ -n "$b" ] || fail "no two interfaces appeared" || return
		ip link set "$a" type can bitrate 500000 && ip link set "$b" type can bitrate 500000 ||
			fail "bit rate" || return ;;
	slcan)	$W/work relay 17 /tmp/name.a /tmp/name.b >/tmp/relay 2>&1 &
		until_ok $WAIT grep -q . /tmp/relay
		grep -q ready /tmp/relay || fail "$(cat /tmp/relay)" || return
		a=$(cans | sed -n 1p) b=$(cans | sed -n 2p)
		a=${a:-$(ls /sys/class/net | grep slc | sed -n 1p)}
		ip link set "$a" type can bitrate 500000 2>/dev/null
		ip link set "$b" type can bitrate 500000 2>/dev/null ;;
	vxcan)	ip link add can0 type vxcan peer name can1 || fail "vxcan" || return
		a=can0 b=can1 ;;
	*)	ip link add can0 type "$1" || fail "$1" || return
		a=can0 b=can0 ;;
	esac
	ip link set "$a" up && ip link set "$b" up || fail "link up" || return
	$W/work can "$a" "$b" >/tmp/can 2>&1 || fail "$(tail -n 1 /tmp/can)" || return
	cat /tmp/can
	ip link set "$a" down && ip link set "$b" down || fail "link down" || return
	case ${1:-} in
	'')	;;
	slcan)	kill $! && wait $! 2>/dev/null ;;
	*)	ip link del can0 || fail "link del" || return ;;
	esac
	result="frames both ways"
}
