#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# tools.sh: in the guest: what looks at the kernel's text, or changes it. Each loads
# and unloads a module meanwhile, and what it watches has to be seen.
#
# A line for each: "NAME ok", "NAME wrong WHY", "NAME skip WHY"; at last "log ..." of
# the kernel's complaints since the start.
#
# /t has count, chariot_livepatch.ko, and perf or not.

T=/sys/kernel/tracing
LP=/sys/kernel/livepatch/chariot_livepatch
WAIT=${WAIT:-600}

nr=0 why=

wrong()
{
	why=$(echo "$*" | tr '\n' ' ' | sed 's/ *$//')
	return 1
}

load() { modprobe dummy && rmmod dummy; }

# put WHERE WHAT: the kernel takes it
put()
{
	(echo "$2" >"$T/$1") 2>/tmp/put || wrong "'$2' to $1: $(sed 's/.*: //' /tmp/put)"
}

seen() { grep -q "$1" $T/trace || wrong "the trace has no $1"; }

clean()
{
	echo nop >$T/current_tracer
	echo 0 >$T/events/enable
	echo >$T/set_ftrace_filter
	echo >$T/set_ftrace_pid
	echo >$T/kprobe_events
	echo 1 >$T/tracing_on
	echo >$T/trace
}

# ---- function tracer --------------------------------------------------------

function_one()
{
	put set_ftrace_filter do_init_module && put current_tracer function || return
	load || wrong "load" || return
	seen do_init_module
}

# All functions. Those of one process fill the buffer up to the module's init.
function_all()
{
	put current_tracer function || return
	load || wrong "load" || return
	seen '<-' || return
	put current_tracer nop && put trace ''
	echo do_one_initcall:traceoff >$T/set_ftrace_filter &&
		put current_tracer function || wrong "traceoff" || return
	sh -c "echo \$\$ >$T/set_ftrace_pid; exec modprobe dummy"
	echo '!do_one_initcall:traceoff' >>$T/set_ftrace_filter
	rmmod dummy || wrong "load" || return
	seen ' do_init_module <-'
}

function_oops()
{
	put set_ftrace_filter oops_begin && put current_tracer function || return
	load || wrong "load"
}

# ---- probes -----------------------------------------------------------------

# probe NAME WHERE: of tracefs
probe()
{
	(echo "p:$1 $2" >>$T/kprobe_events) 2>/tmp/put ||
		wrong "probe on $2: $(sed 's/.*: //' /tmp/put)" || return
	put "events/kprobes/$1/enable" 1
}

kprobe()
{
	probe k0 do_init_module || return
	load || wrong "load" || return
	seen ' k0: '
}

# On the first instructions behind the entry: the kernel refuses what is not one.
kprobe_inside()
{
	local at=1 n=0 i=0

	while [ $at -lt 64 ] && [ $n -lt 3 ]; do
		probe k$n "do_init_module+$at" && n=$((n + 1))
		at=$((at + 1))
	done
	[ $n = 3 ] || wrong "$n of 3 are taken: $why" || return
	load || wrong "load" || return
	while [ $i -lt $n ]; do
		seen " k$i: " || return
		i=$((i + 1))
	done
}

# The kernel does not allow one there: the same answer without Chariot.
kprobe_oops()
{
	probe k0 oops_begin
	detail=${why:-taken} why=
}

bpf_entry() { /t/count fentry do_init_module 'modprobe dummy' >/tmp/count 2>&1 && rmmod dummy ||
	wrong "$(cat /tmp/count)"; }

bpf_probe() { /t/count kprobe do_init_module 'modprobe dummy' >/tmp/count 2>&1 && rmmod dummy ||
	wrong "$(cat /tmp/count)"; }

perf() { HOME=/tmp /t/perf "$@" >/tmp/perf.out 2>&1 || wrong "perf $1: $(tail -n 2 /tmp/perf.out)"; }

perf_probe()
{
	perf probe -f --add do_init_module || return
	perf record -o /tmp/perf.data -e probe:do_init_module -a -- modprobe dummy &&
		perf script -i /tmp/perf.data && rmmod dummy || return
	grep -q probe:do_init_module /tmp/perf.out || wrong "not recorded" || return
	perf probe --del probe:do_init_module
}

# ---- livepatch --------------------------------------------------------------

livepatch()
{
	local line end=$(($(date +%s) + WAIT))

	line=$(cat /proc/cmdline)
	insmod /t/chariot_livepatch.ko || wrong "load" || return
	[ "$(cat /proc/cmdline)" = patched ] || wrong "it is not patched"
	load || wrong "load"
	echo 0 >$LP/enabled || wrong "take it back"
	until rmmod chariot_livepatch 2>/dev/null; do
		[ "$(date +%s)" -lt $end ] || wrong "it does not unload" || return
		sleep 0.1
	done
	[ -z "$why" ] || return
	[ "$(cat /proc/cmdline)" = "$line" ] || wrong "it stays patched"
}

# -----------------------------------------------------------------------------

step()
{
	why='' detail=''
	if "$1" 2>/tmp/step; then
		echo "$1 ok${detail:+ $detail}"
	else
		echo "$1 wrong ${why:-$(tail -n 1 /tmp/step)}"
	fi
	clean 2>/dev/null
	! grep -q '^dummy ' /proc/modules || rmmod dummy
}

dmesg -c >/dev/null
clean 2>/dev/null
step function_one
step function_all
step function_oops
step kprobe
step kprobe_inside
step kprobe_oops
step bpf_entry
step bpf_probe
if [ -x /t/perf ]; then
	step perf_probe
else
	echo "perf_probe skip no perf on this machine"
fi
step livepatch
dmesg | grep -E 'WARNING: CPU|ftrace_bug|BUG:|Oops|stall' >/tmp/bad
if [ -s /tmp/bad ]; then
	echo "log wrong $(head -n 1 /tmp/bad)"
else
	echo "log ok"
fi
