# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A virtual network between two name spaces, over a pair of veths.
# modules: veth
# tools: ip tc wg teamnl

# link ARGUMENT...: of "ip link add t0", in which U is the underlying device, and L
# and R are the addresses here and there, of IPv4, and L6 and R6 of IPv6; and what
# is after "then" are more words for "ip", ";" between the commands
work()
{
	local side

	underlay || return
	for side in here there; do
		overlay $side "$@" || return
	done
	traffic 10.8.0 t0 || return
	if [ "$round" = 1 ]; then
		ip link set t0 down && ip link set t0 up || fail "down and up" || return
		ip link set t0 mtu 1300 2>/dev/null
		there ip link set t0 mtu 1300 2>/dev/null
		until_ok 60 answers 10.8.0 || fail "no answer after it was down" || return
	fi
	there ip link del t0 && ip link del t0 || fail "link del" || return
	underlay_end
	result="both ways"
}

# overlay here|there ARGUMENT...
overlay()
{
	local side=$1 args then='' l=1 r=2

	shift
	[ $side = here ] || { l=2 r=1; }
	args=$(echo "$*" | sed "s/\<L6\>/fd09::$l/g; s/\<R6\>/fd09::$r/g; s/\<U\>/u0/g
		s/\<L\>/10.9.0.$l/g; s/\<R\>/10.9.0.$r/g; s/\<N\>/$l/g; s/\<M\>/$r/g")
	case $args in
	*' then '*)	then=${args#* then } args=${args%% then *} ;;
	esac
	# shellcheck disable=SC2086 # words
	$side ip link add t0 $args 2>/tmp/add ||
		fail "ip link add t0 $args: $(head -n 1 /tmp/add)" || return
	echo "$then" | sed 's/ *; */\n/g' | while read -r args; do
		[ -n "$args" ] || continue
		case ${args%% *} in
		wireguard_keys|macsec_keys) ;;
		*)	args="$side $args" ;;
		esac
		$args >/tmp/then 2>&1 || fail "$args: $(head -n 1 /tmp/then)" || exit
	done || { status=1; return 1; }
	$side ip addr add 10.8.0.$l/24 dev t0
	$side ip link set t0 up || fail "link up"
}

# Each knows the other's key: wireguard_keys N M
wireguard_keys()
{
	local side=here

	[ "$1" = 1 ] || side=there
	wireguard_key "$1" >/tmp/key
	$side wg set t0 private-key /tmp/key listen-port 51820 \
		peer "$(wireguard_key "$2" | wg pubkey)" \
		allowed-ips 10.8.0.0/24 endpoint "10.9.0.$2:51820"
}

wireguard_key() { yes "key $1" | head -c 32 | base64; }

macsec_keys()
{
	local side=here

	[ "$1" = 1 ] || side=there
	$side ip macsec add t0 tx sa 0 pn 1 on key 01 0123456789abcdef0123456789abcde"$1" &&
		$side ip macsec add t0 rx address "02:00:00:00:09:0$2" port 1 &&
		$side ip macsec add t0 rx address "02:00:00:00:09:0$2" port 1 sa 0 pn 1 on \
			key 02 0123456789abcdef0123456789abcde"$2"
}
