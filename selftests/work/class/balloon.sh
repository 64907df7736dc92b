# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A balloon: the host takes memory, and gives it back.

total() { awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo; }

balloon()
{
	[ "$(host qmp "{\"execute\":\"balloon\",\"arguments\":{\"value\":$(($1 << 20))}}")" = "done" ]
}

work()
{
	local all

	all=$(total)
	balloon 192 || fail "QEMU refuses" || return
	until_ok $WAIT sh -c "[ \$(awk '\$1 == \"MemTotal:\" { print \$2 }' /proc/meminfo) -le $((all - 60000)) ]" ||
		fail "no memory was taken" || return
	balloon 256 || fail "QEMU refuses" || return
	until_ok $WAIT sh -c "[ \$(awk '\$1 == \"MemTotal:\" { print \$2 }' /proc/meminfo) -eq $all ]" ||
		fail "it was not given back" || return
	echo "ops $((2 * 16384))"
	result="64 MiB taken and given back"
}
