# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# l1-end.sh: what the kernel log of L1 may not have, and how a run in L1 ends.
# Sourced by the inits of L1 and by run-tests.sh; busybox's sh.

# What no test may leave in the log of the host under test. What is not in
# capitals comes from a kernel of debug-kernel.sh only; most of its complaints
# are one of BUG: and WARNING:.
LOG_BAD='BUG:|BUG [a-z]|WARNING:|Oops|general protection|soft lockup|hung task|blocked for more than|rcu:? .*(detected stalls|self-detected stall|kthread starved)|UBSAN|KASAN|Call Trace|ODEBUG:|suspicious RCU usage|trying to register non-static key|kmemleak: ([0-9]+ new suspected|.*detector disabled)'

# bad_reports: those of a kernel log on stdin that may not be there, each from its
# first bad line to its end, and once: with other numbers it is the same one. The
# kernel's own races are many: a report of KCSAN counts only if we are in it.
# DEBUG_VM shows where it is when access_remote_vm() meets a page of userfaultfd;
# any read of another process's memory does that, so it is no report.
bad_reports()
{
	tr -d '\r' | awk -v bad="$LOG_BAD" '
		function end_report(i, key) {
			key = line[1]
			sub(/^\[[ 0-9.]*\] /, "", key)
			gsub(/0x[0-9a-f]+|[0-9a-f]*[0-9][0-9a-f]*/, "N", key)
			if (ours && !seen[key]++)
				for (i = 1; i <= n; i++)
					print line[i]
			n = 0
		}
		/FAULT_FLAG_ALLOW_RETRY missing/ { skip = 60 }
		skip > 0 { skip = /<\/TASK>/ ? 0 : skip - 1; next }
		/ommand line: / || (!n && $0 !~ bad) { next }
		!n {
			ours = !/KCSAN/
			last = "<\/(TASK|IRQ|NMI)>"
			if (/KASAN|KCSAN/)
				last = "=========="
			else if (/WARNING: CPU|BUG: (kernel|unable)|Oops|general prot/)
				last = "end trace"
			else if (/kmemleak|INFO:/)
				last = "."
		}
		{ line[++n] = $0 }
		/\[kvm_chariot\]/ { ours = 1 }
		n > 120 || $0 ~ last { end_report() }
		END { if (n) end_report() }'
}

# scan_leaks: have kmemleak, if it is there, say in the log what it finds. It
# does not report what is younger than 5 s, nor what has changed since its last
# scan.
scan_leaks()
{
	leaks=/sys/kernel/debug/kmemleak

	[ -w $leaks ] || return 0
	for n in 1 2; do
		sleep 6
		echo scan >$leaks || return 0
	done
	cat $leaks >"$OUT/l1.kmemleak"
}

judge_log()
{
	scan_leaks
	dmesg >"$OUT/l1.dmesg"
	bad_reports <"$OUT/l1.dmesg" >"$OUT/l1.reports"
	if [ -s "$OUT/l1.reports" ]; then
		[ ! -s "$OUT/l1.kmemleak" ] || cat "$OUT/l1.kmemleak" >>"$OUT/l1.reports"
		echo "l1: the kernel log of L1 has:"
		head -n 200 "$OUT/l1.reports" | sed 's/^/l1:   /'
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
