#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench-l1.sh: bench.sh's part in L1.

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=selftests/iso.sh
. selftests/iso.sh

KB=${BENCH_KB:-1024}
PARAM=/sys/module/chariot_bench/parameters
# operation, repetitions
OPS="none:20000 call:2000 entry:2000 kmalloc:1000 pages:1000 shared:5000 stack:5000
page:20000 busy:5000000"
COUNTERS="exits entries returns calls call_returns interrupts
interrupt_returns emulated_writes stack_writes page_grants walk_grants
stack_grants call_grants beside
exits_kvm ahead allocations frees"

say() { echo "bench: $*" >&2; }

declare -A V	# V[phase.name]: what was measured

# kvm_exits: of all VMs, so far
kvm_exits() { cat /sys/kernel/debug/kvm/exits; }

# counters: of the VM's isolation, "name value" lines
counters()
{
	.build/tools/chariot -p -j stats show a 2>/dev/null |
		sed -n '/"counters"/,/}/{/counters/d;s/.*"\([a-z_]*\)": *\([0-9]*\).*/\1 \2/p}'
}

# measure PHASE NAME COMMAND...: instructions and exits from COMMAND's first mark
# to its last, in the guest
measure()
{
	local phase=$1 name=$2 exits marks c v
	local -A before

	shift 2
	while read -r c v; do before[$c]=$v; done < <(counters)
	exits=$(kvm_exits)
	vm_run a -t $((4 * WAIT)) "$*" >/dev/null
	V[$phase.$name.kvm_exits]=$(($(kvm_exits) - exits))
	while read -r c v; do
		V[$phase.$name.$c]=$((v - ${before[$c]:-0}))
	done < <(counters)
	mapfile -t marks < <(tail -n 2 "$OUT/insns")
	V[$phase.$name.insns]=$((marks[1] - marks[0]))
}

# operations PHASE: each operation of chariot_bench
operations()
{
	local op n

	say "$1: operations"
	for op in $OPS; do
		n=${op#*:} op=${op%:*}
		measure "$1" "$op" "echo $op $n >$PARAM/run"
		V[$1.$op.n]=$n
	done
}

# work PHASE NAME COMMAND...
work() { measure "$1" "$2" "cat $PARAM/mark; { ${*:3}; } >/tmp/o 2>&1; cat $PARAM/mark"; }

workloads()
{
	say "$1: e1000 receives, then sends $KB KiB"
	work "$1" rx "wget -q -O /dev/null http://10.0.2.2:8080/f"
	socat -u TCP-LISTEN:8081,bind=127.0.0.1,reuseaddr OPEN:/dev/null &
	vm_run a "head -c $((KB * 1024)) /dev/zero >/tmp/up" >/dev/null
	work "$1" tx "nc 10.0.2.2 8081 </tmp/up"
	wait $!
	say "$1: the CPU alone"
	work "$1" cpu 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'
}

boot()
{
	local phase=$1

	shift
	say "$phase: guest boots"
	"$@" || exit 1
	vm_wait a || exit 1
	vm_run a 'insmod /c/chariot_victim.ko && insmod /c/chariot_bench.ko' ||
		exit 1
}

memory()
{
	say "$1: fresh memory"
	work "$1" memory 'dd if=/dev/zero of=/tmp/m bs=1M count=48; rm /tmp/m'
}

conform_files
serve $((KB * 1024))
# shellcheck disable=SC2086 # a list
boot "no module" vm_start a $NET
memory none
operations none
net_up a >/dev/null
workloads none
vm_kill a

insmod "$MODULE" || exit 1
# shellcheck disable=SC2086 # a list
boot "module loaded, VM without Chariot" vm_start a $NET
memory module
net_up a >/dev/null
workloads module
vm_kill a

# isolated PHASE MODE
isolated()
{
	echo "mode $2" >/tmp/mode.policy
	# shellcheck disable=SC2086 # a list
	boot "$1" vm_start a $NET -plugin "file=$PLUGIN" \
		-device chariot,drivers=e1000,verdict=recover,policy=/tmp/mode.policy
	vm_run a 'rmmod chariot_bench' >/dev/null
	.build/tools/chariot isolate a chariot_bench >/dev/null || exit 1
	vm_run a 'insmod /c/chariot_bench.ko' || exit 1
	operations "$1"
	memory "$1"
	vm_run a 'rmmod chariot_bench' >/dev/null
	.build/tools/chariot release a chariot_bench >/dev/null
	vm_run a 'insmod /c/chariot_bench.ko' || exit 1
	net_up a >/dev/null
	workloads "$1"
	domain=$(.build/tools/chariot -j domain list a)
	plain_vm_stop a
}
# deferred N: the knob "defer"
deferred()
{
	echo "defer $1" >/tmp/mode.policy
	# shellcheck disable=SC2086 # a list
	boot "defer $1" vm_start a -plugin "file=$PLUGIN" \
		-device chariot,drivers=chariot_bench,verdict=recover,policy=/tmp/mode.policy
	OPS="kmalloc:1000 pages:1000" operations "defer$1"
	V[defer$1.memory]=$(.build/tools/chariot -j domain list a |
		sed -n 's/.*"memory":\([0-9]*\).*/\1/p')
	vm_kill a
}
DEFER="0 1 16 256 4096"
for n in $DEFER; do deferred "$n"; done
isolated fast fast
isolated isolated strict

# ---- what came of it --------------------------------------------------------

div() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'; }

# per PHASE OP WHAT: of one operation
per() { div "${V[$1.$2.$3]:-0}" "${V[$1.$2.n]}"; }

# cost PHASE OP: instructions of one operation beyond those without Chariot
cost() { div $((V[$1.$2.insns] - V[none.$2.insns])) "${V[$1.$2.n]}"; }

# op TEXT OP: its row, both modes
op()
{
	printf '%-40s %8s %13s %8s %13s\n' "$1" \
		"$(per isolated "$2" exits)" "$(cost isolated "$2")" \
		"$(per fast "$2" exits)" "$(cost fast "$2")"
}

echo
echo "host $HOST, guest $GUEST, npt $NPT; instructions are the host's, more than without Chariot"
echo
printf '%-40s %8s %13s %8s %13s\n' "OPERATION OF A DRIVER" \
	EXITS INSTRUCTIONS "FAST: E." INSTRUCTIONS
op "call of a kernel function + return" call
op "the same + entry of the driver + return" entry
op "kmalloc(64) + kfree()" kmalloc
op "page allocated, written, freed" pages
op "write to a page shared with others" shared
op "write to its stack" stack
op "write to a page of its own" page
# per interrupt, not per loop
for p in isolated fast; do V[$p.busy.n]=${V[$p.busy.interrupts]}; done
op "interrupt in driver code (${V[isolated.busy.n]})" busy
echo
printf '%-30s %12s %12s %12s %6s %12s %6s\n' "WORKLOAD, instructions" "no module" \
	"module only" "isolated" "ratio" "fast" "ratio"
ratios=
for w in "rx:e1000 receives $KB KiB" "tx:e1000 sends $KB KiB" \
	 "cpu:CPU-bound, idle driver" "memory:48 MiB of fresh memory"; do
	k=${w%%:*}
	r=$(div "${V[none.$k.insns]}" "${V[isolated.$k.insns]}")
	m=$(div "${V[none.$k.insns]}" "${V[module.$k.insns]}")
	f=$(div "${V[none.$k.insns]}" "${V[fast.$k.insns]}")
	printf '%-30s %12d %12d %12d %6s %12d %6s\n' "${w#*:}" \
		"${V[none.$k.insns]}" "${V[module.$k.insns]}" \
		"${V[isolated.$k.insns]}" "$r" "${V[fast.$k.insns]}" "$f"
	ratios="$ratios${ratios:+, }\"$k\": {\"isolated\": $r, \"fast\": $f, \"module_only\": $m}"
done
echo "(ratio: speed isolated to speed without the module)"
echo
where() { printf '%-30s %12s %12s %14s %12s\n' "$@"; }
where "WHERE THE EXITS GO" receive send "fast: receive" send
for c in $COUNTERS; do
	where "$c" "${V[isolated.rx.$c]:-0}" "${V[isolated.tx.$c]:-0}" \
		"${V[fast.rx.$c]:-0}" "${V[fast.tx.$c]:-0}"
done
where "all exits of KVM" "${V[isolated.rx.kvm_exits]}" \
	"${V[isolated.tx.kvm_exits]}" "${V[fast.rx.kvm_exits]}" \
	"${V[fast.tx.kvm_exits]}"
where "  the same without Chariot" "${V[none.rx.kvm_exits]}" \
	"${V[none.tx.kvm_exits]}" "" ""
echo
printf '%-30s %12s %12s %14s\n' "OBJECTS KEPT AFTER FREE (defer)" "EXITS: page" "kmalloc(64)" "MEMORY"
for n in $DEFER; do
	printf '%-31s %12s %12s %14s\n' "$n" "$(per "defer$n" pages exits)" \
		"$(per "defer$n" kmalloc exits)" "${V[defer$n.memory]}"
done
echo
echo "memory of the host for e1000's domain: $(echo "$domain" |
	sed -n 's/.*"driver":"e1000".*"memory":\([0-9]*\).*/\1/p') bytes"

{
	printf '{"host": "%s", "guest": "%s", "npt": %s, "ratios": {%s},\n' \
		"$HOST" "$GUEST" "$NPT" "$ratios"
	printf ' "domains": %s,\n "measured": {\n' "$domain"
	for k in "${!V[@]}"; do
		printf '  "%s": %s\n' "$k" "${V[$k]}"
	done | sort | sed '$!s/$/,/'
	echo ' }}'
} >"$OUT/bench.json"
