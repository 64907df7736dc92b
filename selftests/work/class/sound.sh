# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A sound card; drivers-l1.sh looks at what it played.

pcms() { ls /dev/snd | grep pcm; }

work()
{
	local dev p='' c=''

	for dev in $(wait_new $WAIT /tmp/old.snd pcms); do
		case $dev in
		pcm*p)	[ -n "$p" ] || p=/dev/snd/$dev ;;
		# of more than one, that of the last card
		pcm*c)	c=/dev/snd/$dev ;;
		esac
	done
	[ -n "$p$c" ] || fail "no PCM device appeared" || return
	if [ -n "$p" ]; then
		$W/work play "$p" 40000 || fail "play" || return
		result="played"
	fi
	if [ -n "$c" ]; then
		$W/work record "$c" 20000 || fail "record" || return
		result="$result${result:+, }recorded"
	fi
}
