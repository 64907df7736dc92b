# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Two terminals with a line between them, as network interfaces in two name spaces.
# tools: ip

# line ppp, or another line discipline's number
work()
{
	local what=$1 a b

	modprobe ppp_async 2>/dev/null
	ip netns add there || fail "name space" || return
	$W/work relay "$what" /tmp/name.a /tmp/name.b >/tmp/relay 2>&1 &
	until_ok $WAIT grep -q . /tmp/relay
	grep -q ready /tmp/relay || fail "$(cat /tmp/relay)" || return
	a=$(cat /tmp/name.a) b=$(cat /tmp/name.b)
	# there is nothing for it to wait for
	ip link set "$b" netns there || fail "name space of '$b'" || return
	ip addr add 10.8.0.1 peer 10.8.0.2 dev "$a"
	there ip addr add 10.8.0.2 peer 10.8.0.1 dev "$b"
	ip link set "$a" up && there ip link set "$b" up || fail "link up" || return
	traffic 10.8.0 "$a" || return
	kill "$(cat /tmp/relay.pid)"
	until_ok 20 gone "$a"
	ip netns del there
	result="both ways"
}

gone() { [ ! -e "/sys/class/net/$1" ]; }
