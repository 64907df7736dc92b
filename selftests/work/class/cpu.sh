# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A CPU's registers as files.

# cpu cpuid|msr
work()
{
	until_ok $WAIT test -c "/dev/cpu/0/$1" || fail "no file" || return
	$W/work cpu "$1" >/tmp/cpu 2>&1 || fail "$(tail -n 1 /tmp/cpu)" || return
	cat /tmp/cpu
	result="read"
}
