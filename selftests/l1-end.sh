# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# l1-end.sh: how a run in L1 ends. Sourced by the inits of L1; busybox's sh.

# What no test may leave in the log of the host under test
LOG_BAD='BUG:|WARNING:|Oops|general protection|soft lockup|hung task|blocked for more than|rcu:? .*(detected stalls|self-detected stall|kthread starved)|UBSAN|KASAN|Call Trace'

judge_log()
{
	dmesg >"$OUT/l1.dmesg"
	if grep -E "$LOG_BAD" "$OUT/l1.dmesg" | grep -v 'ommand line: ' >/tmp/l1.bad; then
		echo "l1: the kernel log of L1 has:"
		head -n 20 /tmp/l1.bad | sed 's/^/l1:   /'
		return 1
	fi
}

# All in the background goes, so that a VM's end is in the log before it is
# judged.
end_all()
{
	n=0

	kill -TERM -1 2>/dev/null
	while [ $n -lt 600 ] && pidof -s qemu-system-x86_64 >/dev/null; do
		sleep 0.1
		n=$((n + 1))
	done
	kill -KILL -1 2>/dev/null
}
