# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# net.sh: work on a network device.

counter() { cat "/sys/class/net/$1/statistics/$2"; }

net_address()
{
	ip addr flush dev "$1" 2>/dev/null
	ip link set "$1" up || fail "link up" || return
	ip addr add 10.0.2.15/24 dev "$1"
	ip route replace default via 10.0.2.2 dev "$1" 2>/dev/null
}

# The link may take its time.
net_ready()
{
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		ping -c 1 -W 2 10.0.2.2 >/dev/null 2>&1 && return
	done
	fail "no answer from the peer"
}

net_down_up()
{
	ip link set "$1" down || fail "link down" || return
	net_address "$1" && net_ready
}

# Fetch, and compare with the sum that is served, too; send, and have it summed.
net_transfer()
{
	local want got mine theirs

	want=$(wget -q -O - http://10.0.2.2:8080/sum) || fail "fetch" || return
	got=$(wget -q -O - http://10.0.2.2:8080/f | sha256sum | cut -c1-64)
	[ "$got" = "$want" ] || fail "receive: checksum" || return
	head -c 200000 /dev/urandom >/tmp/up
	mine=$(sha256sum </tmp/up | cut -c1-64)
	theirs=$(nc -w $WAIT 10.0.2.2 8081 </tmp/up | cut -c1-64)
	[ "$mine" = "$theirs" ] || fail "send: checksum" || return
	echo "ops $(($(counter "$1" rx_packets) + $(counter "$1" tx_packets)))"
}

# Nobody there: what is sent must be counted.
net_alone()
{
	local before

	ip link set "$1" up || fail "link up" || return
	ip addr add 10.7.0.1/24 dev "$1"
	before=$(counter "$1" tx_packets)
	arp -s 10.7.0.2 02:00:00:00:00:02 -i "$1" 2>/dev/null
	ping -c 5 -i 0.1 -W 1 10.7.0.2 >/dev/null 2>&1
	ip link set "$1" mtu 1400 || fail "MTU" || return
	ping -c 5 -W 1 10.7.0.2 >/dev/null 2>&1
	echo "ops $(($(counter "$1" tx_packets) - before))"
	[ "$(counter "$1" tx_packets)" -gt "$before" ] || fail "nothing was sent" || return
	ip link set "$1" down || fail "link down"
}

# ---- two name spaces --------------------------------------------------------
# What follows is for classes with iproute2's ip.

here() { "$@"; }
there() { ip netns exec there "$@"; }

# A pair of veths, u0 here and u0 there.
underlay()
{
	mkdir -p /var/run
	ip netns add there && ip link add u0 type veth peer name u0 netns there ||
		fail "veth" || return
	there ip link set lo up
	ip link set u0 address 02:00:00:00:09:01
	there ip link set u0 address 02:00:00:00:09:02
	ip addr add 10.9.0.1/24 dev u0
	there ip addr add 10.9.0.2/24 dev u0
	ip addr add fd09::1/64 dev u0 nodad 2>/dev/null
	there ip addr add fd09::2/64 dev u0 nodad 2>/dev/null
	ip link set u0 up && there ip link set u0 up || fail "underlay"
}

underlay_end() { ip link del u0 && ip netns del there; }

answers() { ping -c 1 -W 1 "$1.2" >/dev/null 2>&1; }

listens() { $1 netstat -ltn | grep -q ':7 '; }

# traffic NET DEVICE: data to NET.2 and back; the device must have seen it
traffic()
{
	local sum before now

	before=$(($(counter "$2" rx_packets) + $(counter "$2" tx_packets)))
	until_ok 60 answers "$1" || fail "no answer" || return
	head -c 200000 /dev/urandom >/tmp/up
	sum=$(sha256sum </tmp/up)
	there nc -l -p 7 -e sha256sum &
	until_ok 20 listens there
	[ "$(nc -w $WAIT "$1.2" 7 </tmp/up)" = "$sum" ] || fail "data to the peer" || return
	wait $!
	nc -l -p 7 -e sha256sum &
	until_ok 20 listens here
	[ "$(there nc -w $WAIT "$1.1" 7 </tmp/up)" = "$sum" ] ||
		fail "data from the peer" || return
	wait $!
	now=$(($(counter "$2" rx_packets) + $(counter "$2" tx_packets)))
	[ $((now - before)) -gt 20 ] || fail "$2 counted $((now - before)) packets" || return
	echo "ops $((now - before))"
}
