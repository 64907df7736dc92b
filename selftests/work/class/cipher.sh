# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Cryptography, by AF_ALG.
# modules: algif_hash algif_skcipher cbc ecb xts ctr

# cipher hash NAME TOOL: a program that knows it, too; cipher skcipher NAME...
work()
{
	local kind=$1 want name

	shift
	if [ "$kind" = hash ]; then
		want=$(yes 0123456789 | tr -d '\n' | head -c 100000 | $2 | cut -d' ' -f1)
		$W/work cipher hash "$1" >/tmp/cipher || fail "$(cat /tmp/cipher)" || return
		cat /tmp/cipher
		[ "$(sed -n 's/^sum //p' /tmp/cipher)" = "$want" ] || fail "another sum" || return
		result="the right sum"
	else
		for name; do
			$W/work cipher skcipher "$name" >/tmp/cipher || fail "$(cat /tmp/cipher)" || return
			cat /tmp/cipher
		done
		result="encrypted and decrypted"
	fi
	grep -B 3 -A 12 "^module *: $driver" /proc/crypto | grep -q . || fail "the driver has no algorithm" || return
}
