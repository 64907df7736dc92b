# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A network between two name spaces whose packets are protected.
# modules: veth xfrm_user hmac sha1_generic
# tools: ip

KEY=0x0123456789abcdef0123456789abcdef01234567

# ipsec ah
work()
{
	local algorithms="auth hmac(sha1) $KEY" side

	modprobe -q hmac
	underlay || return
	for side in here there; do
		# shellcheck disable=SC2086 # words
		$side ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto "$1" spi 1 $algorithms &&
			$side ip xfrm state add src 10.9.0.2 dst 10.9.0.1 proto "$1" spi 2 $algorithms ||
			fail "state: $algorithms" || return
	done
	policy here 1 2 "$1" && policy there 2 1 "$1" || fail "policy" || return
	traffic 10.9.0 u0 || return
	ip -s xfrm state | grep -qE '[0-9]{6}\(bytes\)' || fail "it is not protected" || return
	for side in here there; do
		$side ip xfrm policy flush && $side ip xfrm state flush || fail "flush" || return
	done
	underlay_end
	result="both ways, protected"
}

# policy SIDE ITS_NUMBER THE_OTHERS PROTOCOL
policy()
{
	$1 ip xfrm policy add src "10.9.0.$2" dst "10.9.0.$3" dir out tmpl proto "$4" mode transport &&
		$1 ip xfrm policy add src "10.9.0.$3" dst "10.9.0.$2" dir in tmpl proto "$4" mode transport
}
