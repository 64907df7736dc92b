# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A sound card whose playback is another device's record.

work()
{
	until_ok $WAIT test -c /dev/snd/pcmC0D1c || fail "no PCM device" || return
	$W/work loopback /dev/snd/pcmC0D0p /dev/snd/pcmC0D1c >/tmp/loopback 2>&1 ||
		fail "$(tail -n 1 /tmp/loopback)" || return
	cat /tmp/loopback
	result="what was played was recorded"
}
