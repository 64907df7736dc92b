# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Two radios that join a network without an access point, in two name spaces.
# modules: mac80211_hwsim ctr ccm
# tools: ip iw

phy() { cat "/sys/class/net/$1/phy80211/name"; }

work()
{
	until_ok $WAIT test -e /sys/class/net/wlan1/phy80211/name || fail "no radios" || return
	iw dev wlan1 scan >/dev/null 2>&1
	ip netns add there && iw phy "$(phy wlan1)" set netns name there || fail "name space" || return
	iw dev wlan0 set type ibss && there iw dev wlan1 set type ibss || fail "type" || return
	ip addr add 10.8.0.1/24 dev wlan0
	there ip addr add 10.8.0.2/24 dev wlan1
	ip link set wlan0 up && there ip link set wlan1 up || fail "link up" || return
	iw dev wlan0 ibss join test 2412 fixed-freq 02:11:22:33:44:55 && there iw dev wlan1 ibss join test 2412 fixed-freq 02:11:22:33:44:55 ||
		fail "join" || return
	until_ok $WAIT answers 10.8.0 || fail "no answer" || return
	iw dev wlan0 scan >/tmp/scan 2>&1
	traffic 10.8.0 wlan0 || return
	iw dev wlan0 station dump | grep -q Station || fail "no station" || return
	iw dev wlan0 ibss leave && there iw dev wlan1 ibss leave || fail "leave" || return
	there iw phy "$(there cat /sys/class/net/wlan1/phy80211/name)" set netns 1
	ip netns del there
	result="joined, both ways"
}
