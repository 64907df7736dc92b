#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# l1.sh: the campaign's part in the nested host. It brings a guest with the
# driver up and its golden runs behind it, and says READY: campaign.sh saves the
# machine just then, and goes on from there as often as it likes, by these lines:
#
#	plan TYPE SEEDS	the faults of these seeds: one line of JSON
#	golden N	N rounds of the workload, without a fault
#	run TYPE SEED	plant the fault, run the workload, look at the guest
#	sh COMMAND	for who looks into a run (KEEP=, SH=)
#
# Each is answered by lines "WHAT ...", the last one END. Those of run:
#
#	fault JSON			what was planted
#	step NAME ok|wrong WHY		of the workload; "step run wrong" if it ended
#	guest alive|hung|dead WHY
#	log LINE			of the guest's kernel, what is bad
#	mem LINE, canary LINE		memory that is not what it was
#	stat NAME N, event LINE		of the isolated driver
#	service ok|wrong WHY		after a recovery
#	host LINE			of L1's own kernel: never
#
# CONFIG is none or isolates the driver: strict, fast, or deferN, with VERDICT.

# shellcheck source=selftests/iso.sh
. selftests/iso.sh
# shellcheck source=selftests/env/l1-end.sh
. selftests/env/l1-end.sh

MEMCHECK=.build/selftests/memcheck
GUEST_BAD='BUG:|Oops|general protection|divide error|invalid opcode|stack segment|Kernel panic|double fault|Bad page|soft lockup|detected stalls|blocked for more than'
GUEST_WARN='WARNING:|list_(add|del) corruption|refcount_t|nobody cared'

failed()
{
	{ echo "FAILED $*"; dmesg | tail -n 4
	  [ ! -s "$OUT/a.qemu" ] || tail -n 40 "$OUT/a.qemu"; tail -n 60 "$(vm_log a)"; } | tr "\n" "|"
	echo
	exec sleep 100000
}

work() { vm_run a -t "$LIMIT" "sh /c/workload.sh $1 $CLASS $DRIVER"; }

# ---- the guest ----------------------------------------------------------------

policy()
{
	case $CONFIG in
	fast)	echo "mode fast" ;;
	defer*)	echo "defer ${CONFIG#defer}" ;;
	esac >/tmp/campaign.policy
}

start_guest()
{
	local isolate=()

	if [ "$CONFIG" != none ]; then
		policy
		isolate=(-plugin "file=$PLUGIN" -device
			"chariot,drivers=${DRIVER//-/_},verdict=$VERDICT,policy=/tmp/campaign.policy")
	fi
	# shellcheck disable=SC2046 # a list
	vm_start a $(back_ends /tmp/campaign "$ARGS") "${isolate[@]}" && vm_wait a
}

serve_all()
{
	serve 150000
	echo "$SUM" >/tmp/www/sum
	socat TCP-LISTEN:8081,bind=127.0.0.1,reuseaddr,fork EXEC:sha256sum &
}

# ask_memcheck [COMMAND]: its answer; without one, what it says at first
ask_memcheck()
{
	local line

	[ -z "$*" ] || echo "$*" >&"${MEM[1]}"
	while read -r -t "$WAIT" line <&"${MEM[0]}"; do
		[ "$line" != end ] || return 0
		echo "$line"
	done
	echo "mem failed: no answer"
}

bad_steps() { grep -E '^step [^ ]* wrong' <<<"$1"; }

# golden N: they must be right; what they change may change
golden()
{
	local i out

	for i in $(seq "$1"); do
		out=$(work run) || failed "golden run $i: $out"
		! bad_steps "$out" >/tmp/bad || failed "golden run $i: $(cat /tmp/bad)"
	done
}

counter() { sed -n "s/.*\"$1\": *\\([0-9]*\\).*/\\1/p" /tmp/stats | head -n 1; }

stats()
{
	[ "$CONFIG" != none ] || return
	chariot -j stats show a >/tmp/stats 2>&1
	for s in violations bad_control_flow faults refused recoveries down_ms unemulated_grants exits; do
		echo "stat $s $(counter $s)"
	done
}

# The kernel patches itself when it uses something for the first time, and that a
# moment later: not for ever.
mask_memory()
{
	local i

	for i in 1 2 3; do
		ask_memcheck mask /tmp/mem /tmp/mask
		golden 1
		MEM_NOW=$(ask_memcheck compare /tmp/mem /tmp/mask)
		[ "$MEM_NOW" = "mem ok" ] && return
	done
	return 1
}

prepare()
{
	local began

	insmod "$MODULE" || failed "load $MODULE"
	mkdir -p /tmp/campaign
	serve_all
	start_guest || failed "start the guest"
	vm_run a 'insmod /c/canary.ko' || failed "load canary.ko"
	LIMIT=$WAIT
	work setup || failed "set the driver up"
	coproc MEM { exec $MEMCHECK "$(vm_pid a)" serve 2>&1; }
	ask_memcheck
	ask_memcheck save /tmp/mem "${DRIVER//-/_}"
	golden 2
	began=${EPOCHREALTIME/./}
	golden 2
	# Of two rounds, perhaps on an idle machine: four times what one takes. A guest
	# that hangs takes all of it.
	LIMIT=$(((${EPOCHREALTIME/./} - began) * 2 / 1000000 + 30))
	mask_memory || failed "memory after golden runs: $MEM_NOW"
	[ "$(vm_run a 'tail -n 1 /proc/chariot_canary' | cut -d' ' -f-2)" = "canary ok" ] ||
		failed "the canaries after golden runs"
	stats
	[ "$CONFIG" = none ] || [ "$(counter violations)" = 0 ] ||
		failed "violations in golden runs: $(grep -a wrote "$OUT/a.qemu" | head -n 3)"
	vm_run a 'head -c 300000 /dev/urandom >/tmp/other; sha256sum </tmp/other >/tmp/other.sum'
	SEEN=$(stat -c %s "$(vm_log a)")
	dmesg -c >$OUT/l1.boot
	! grep -E "$LOG_BAD" $OUT/l1.boot >/tmp/bad || failed "L1: $(head -n 3 /tmp/bad)"
	echo "limit $LIMIT"
}

# ---- a run --------------------------------------------------------------------

# The agent answers, and a program that has nothing to do with the driver works.
look_at_guest()
{
	local out

	if ! vm_alive a; then
		echo "guest dead $(grep -a SHUTDOWN "$OUT/a.events" | tail -n 1)"
		return 1
	fi
	out=$(vm_run a -t 60 '[ "$(sha256sum </tmp/other)" = "$(cat /tmp/other.sum)" ] && echo right')
	case $?:$out in
	*:right) echo "guest alive" ;;
	124:*)	echo "guest hung"; return 1 ;;
	125:*)	echo "guest dead it went"; return 1 ;;
	*)	echo "guest alive: other work is wrong: $out" ;;
	esac
}

look_at_log()
{
	tail -c +$((SEEN + 1)) "$(vm_log a)" | tr -d '\r' >/tmp/log
	grep -aE "$GUEST_BAD" /tmp/log | head -n 3 | sed 's/^/log /'
	grep -aE "$GUEST_WARN" /tmp/log | head -n 2 | sed 's/^/warn /'
	grep -aE 'RIP: 0010' /tmp/log | head -n 2 | sed 's/^/log /'
}

look_at_memory()
{
	ask_memcheck compare /tmp/mem /tmp/mask
	[ "$1" = 0 ] || return
	vm_run a -t 60 'cat /proc/chariot_canary'
}

# Users of the device may keep the module for a while.
wait_for_restart()
{
	wait_until restarted
}

restarted()
{
	! grep -aE 'failed at|loaded again|stays loaded' "$OUT/a.qemu" | tail -n 1 |
		grep -q 'failed at'
}

# Does the driver serve again? What a distribution would configure is, by "again".
again()
{
	local out status

	wait_for_restart
	out=$(work again)
	status=$?
	if [ $status = 0 ] && ! bad_steps "$out" >/dev/null; then
		echo "service ok"
	else
		echo "service wrong $(bad_steps "$out" | head -n 1) (status $status)"
	fi
}

run()
{
	local out status alive

	echo "fault $(chariot -j inject a "$DRIVER" --type "$1" --seed "$2" 2>&1)"
	out=$(work run)
	status=$?
	grep '^step' <<<"$out"
	[ $status = 0 ] || echo "step run wrong status $status"
	look_at_guest
	alive=$?
	[ "$CONFIG" = none ] || [ $alive != 0 ] || ! bad_steps "$out" >/dev/null ||
		again
	look_at_log
	look_at_memory $alive
	stats
	grep -aE 'wrote|called|jumped|entered|fault|recover|NOT' "$OUT/a.qemu" |
		head -n 5 | sed 's/^/event /'
	dmesg | grep -E "$LOG_BAD" | head -n 3 | sed 's/^/host /'
}

prepare
echo READY
while read -r command a b; do
	case $command in
	plan)	echo "plan $(chariot -j inject a "$DRIVER" --type "$a" --seed "$b" --dry-run 2>&1 | tr -d '\n')" ;;
	golden)	golden "$a" ;;
	run)	run "$a" "$b" ;;
	sh)	eval "$a $b" ;;
	*)	echo "what? $command" ;;
	esac
	echo END
done
