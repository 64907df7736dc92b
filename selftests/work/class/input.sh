# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the host presses and moves arrives.
# modules: evdev

inputs() { ls /sys/class/input | grep '^input'; }

# Of the new devices, the node of that which has such events
node()
{
	local i

	for i in $(wait_new $WAIT /tmp/old.input inputs); do
		[ "$(cat "/sys/class/input/$i/capabilities/$1")" != 0 ] || continue
		echo "/dev/input/$(ls "/sys/class/input/$i" | grep '^event')"
		return
	done
	return 1
}

send() { [ "$(host qmp "{\"execute\":\"input-send-event\",\"arguments\":{\"events\":[$1]}}")" = "done" ]; }

key() { echo "{\"type\":\"key\",\"data\":{\"down\":$2,\"key\":{\"type\":\"qcode\",\"data\":\"$1\"}}}"; }

axis() { echo "{\"type\":\"$1\",\"data\":{\"axis\":\"$2\",\"value\":$3}}"; }

button() { echo "{\"type\":\"btn\",\"data\":{\"button\":\"left\",\"down\":$1}}"; }

# listen CAPABILITY N: in the background, to /tmp/events
listen()
{
	local dev

	modprobe evdev
	dev=$(node "$1") || fail "no input device with $1" || return
	rm -f /tmp/events
	$W/work input "$dev" "$2" 60 >/tmp/events 2>&1 &
	until_ok $WAIT grep -q ready /tmp/events
}

# expect "TYPE CODE VALUE"...: these, and in this order
expect()
{
	local e

	wait $! || { fail "only: $(grep -c event /tmp/events) events"; return; }
	for e; do echo "event $e"; done >/tmp/want
	grep event /tmp/events | cmp -s - /tmp/want ||
		{ fail "other events: $(grep event /tmp/events | tr '\n' ' ')"; return; }
	grep ops /tmp/events
}

# Keys a, shift and 1, down and up
keys()
{
	local k

	listen key 6 || return
	for k in a shift 1; do
		send "$(key $k true)" && send "$(key $k false)" || fail "QEMU refuses" || return
	done
	expect "1 30 1" "1 30 0" "1 42 1" "1 42 0" "1 2 1" "1 2 0"
}

moves()
{
	listen rel 4 || return
	send "$(axis rel x 10),$(axis rel y -5)" && send "$(button true)" &&
		send "$(button false)" || fail "QEMU refuses" || return
	# up is another sign for PS/2
	wait $! || fail "only: $(grep -c event /tmp/events) events" || return
	grep -q "event 2 0 10" /tmp/events && grep -q "event 2 1 -5" /tmp/events &&
		grep -q "event 1 272 1" /tmp/events && grep -q "event 1 272 0" /tmp/events ||
		fail "other events: $(grep event /tmp/events | tr '\n' ' ')" || return
	grep ops /tmp/events
}

# Right, and not so far down, and a button or the tip of a pen
pointed()
{
	awk '$2 == 3 && $3 == 0 { x = $4 }
		$2 == 3 && $3 == 1 { y = $4 }
		$2 == 1 && $4 == 1 { down = 1 }
		END { exit !(x && y && x > y && down) }' /tmp/events
}

points()
{
	listen abs 100 || return
	send "$(axis abs x 20000),$(axis abs y 3000)" && send "$(button true)" ||
		fail "QEMU refuses" || return
	until_ok 60 pointed || fail "other events: $(grep event /tmp/events | tr '\n' ' ')" || return
	send "$(button false)"
	kill $!
	echo "ops $(grep -c event /tmp/events)"
}

# input keys|moves|points
work()
{
	"$1" || return
	result="$1 arrive"
}
