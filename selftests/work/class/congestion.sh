# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# TCP's congestion control, on the way between two name spaces.
# modules: veth
# tools: ip

# congestion NAME
work()
{
	local sysctl=net/ipv4/tcp_congestion_control old

	underlay || return
	read -r old </proc/sys/$sysctl
	echo "$1" >/proc/sys/$sysctl || fail "$1" || return
	there sh -c "echo $1 >/proc/sys/$sysctl" || fail "$1 there" || return
	traffic 10.9.0 u0 || return
	echo "$old" >/proc/sys/$sysctl
	underlay_end
	result="both ways"
}
