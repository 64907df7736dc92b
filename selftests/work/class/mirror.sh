# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What comes in takes a way through another device.
# modules: veth act_mirred cls_matchall sch_ingress ifb
# tools: ip tc

work()
{
	underlay || return
	ip link set ifb0 up && tc qdisc add dev u0 ingress &&
		tc filter add dev u0 ingress matchall action mirred egress redirect dev ifb0 ||
		fail "redirect" || return
	traffic 10.9.0 ifb0 || return
	ip link set ifb0 down
	tc qdisc del dev u0 ingress || fail "qdisc del" || return
	underlay_end
	modprobe -r act_mirred 2>/dev/null
	result="both ways, what came in redirected"
}
