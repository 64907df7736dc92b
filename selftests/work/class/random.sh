# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A source of random numbers: it gives, and never the same.

RNG=/sys/class/misc/hw_random

work()
{
	local n=4096 a b

	until_ok $WAIT grep -q . $RNG/rng_available || fail "no source" || return
	sed 's/ .*//' $RNG/rng_available >$RNG/rng_current
	a=$(dd if=/dev/hwrng bs=512 count=8 iflag=fullblock 2>/dev/null | tee /tmp/a | sha256sum)
	b=$(dd if=/dev/hwrng bs=512 count=8 iflag=fullblock 2>/dev/null | sha256sum)
	[ "$(wc -c </tmp/a)" = $n ] || fail "too few bytes" || return
	[ "$a" != "$b" ] || fail "the same twice" || return
	[ "$(gzip -c /tmp/a | wc -c)" -gt $((n * 9 / 10)) ] || fail "not random" || return
	echo "ops 16"
	result="read"
}
