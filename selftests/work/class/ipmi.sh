# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A BMC, which is asked.
# modules: ipmi_devintf ipmi_si

work()
{
	modprobe ipmi_si 2>/dev/null
	modprobe ipmi_devintf || fail "ipmi_devintf" || return
	until_ok $WAIT test -c /dev/ipmi0 || fail "no interface" || return
	$W/work ipmi /dev/ipmi0 >/tmp/ipmi 2>&1 || fail "$(tail -n 1 /tmp/ipmi)" || return
	cat /tmp/ipmi
	modprobe -r ipmi_devintf
	result="asked and answered"
}
