# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Two network interfaces with a cable between them, one in a name space of its own.
# tools: ip

interfaces() { ls /sys/class/net; }

two() { [ "$(interfaces | grep -cvxFf /tmp/old.net)" = 2 ]; }

# pair [MODULE...]: which are the other end, and go first
work()
{
	local a b m

	for m; do
		modprobe "$m" || fail "modprobe $m" || return
	done
	until_ok $WAIT two || fail "no two interfaces" || return
	a=$(interfaces | grep -vxFf /tmp/old.net | sed -n 1p)
	b=$(interfaces | grep -vxFf /tmp/old.net | sed -n 2p)
	ip netns add there && ip link set "$b" netns there || fail "name space" || return
	ip addr add 10.8.0.1/24 dev "$a"
	there ip addr add 10.8.0.2/24 dev "$b"
	ip link set "$a" up && there ip link set "$b" up || fail "link up" || return
	traffic 10.8.0 "$a" || return
	ip link set "$a" down
	there ip link set "$b" netns 1
	ip netns del there
	for m; do
		modprobe -r "$m" || fail "modprobe -r $m" || return
	done
	result="both ways"
}
