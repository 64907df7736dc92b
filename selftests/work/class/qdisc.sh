# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# A queueing discipline, through which traffic goes.
# modules: veth
# tools: ip tc

# qdisc ARGUMENT...: of tc qdisc add dev u0 root
work()
{
	local sent

	underlay || return
	tc qdisc add dev u0 root "$@" 2>/tmp/tc || fail "$(head -n 1 /tmp/tc)" || return
	traffic 10.9.0 u0 || return
	sent=$(tc -s qdisc show dev u0 | sed -n 's/^ Sent \([0-9]*\) bytes.*/\1/p' | head -n 1)
	[ "${sent:-0}" -gt 200000 ] || fail "$sent bytes went through it" || return
	tc qdisc change dev u0 root "$@" 2>/dev/null
	tc qdisc del dev u0 root || fail "qdisc del" || return
	underlay_end
	result="both ways"
}
