#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# campaign.sh: what becomes of a guest when its driver has a fault, without
# Chariot and with it. The last line is "N passed, N failed": a run has failed
# if it could not be judged, or has left a mark in the host. A campaign that has
# nothing to plant, or whose faults chariot-inject(8) refuses, is an error.
#
#	DRIVER	e1000, nvme, snd-ens1370: a row of campaign/drivers.tsv (e1000)
#	TYPES	types of faults as chariot-inject(8) has them, or all (all)
#	SEEDS	N or N-M, or several (1-100); each of TYPES has all of them. Any
#		number will do, up to 2^53 - 1
#	CONFIGS	with Chariot: strict, fast, deferN (strict)
#	VERDICT	of the isolated driver (recover)
#	HOST, GUEST	kernels (the older one of "kernels.sh --offered")
#	IOMMU	1: the guest has an IOMMU (Intel's), without lazy unmapping: what a
#		device is told to write where the driver has not mapped it is stopped by
#		that, without Chariot, too
#	SHARD	I/N: only each Nth seed, from the Ith on; put results together
#		with cat
#	RESULTS	the file of results, one JSON object a line, which is added to:
#		what is in it is not run again (.cache/campaign/DRIVER-GUEST-HOST.json,
#		DRIVER-GUEST-HOST-iommu.json)
#	JOBS	runs at the same time (as many as there are CPUs)
#
# A nested host with a booted guest in it, whose driver has done its work a few
# times, is saved once for each CONFIG; each run is restored from there
# (campaign/l1.sh says what it does). RAM is a file, mapped privately: to restore
# takes 0.1 s. A seed is run without Chariot; if that did damage, with each of
# CONFIGS. What the golden runs never execute is not run: "inactive".
#
# A line of results: driver class guest host iommu config verdict seed type function
# offset address old new before after outcome why violations recoveries service
# exits seconds. At the end there is a table of them (campaign/report.sh, which has
# more). outcome is one of
#
#	inactive	the workload does not come by that instruction
#	benign		no difference
#	wrong		the driver's own work is wrong, the guest is well
#	warn		the guest's kernel warns, and is well
#	corrupt		kernel memory is not what it was, and nothing told so
#	oops		a kernel thread died, the guest lives
#	hang, crash	the guest does not
#	unjudged, host	see above

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ST=$TOP/selftests
VMSH=$TOP/.cache/bin/vmsh
PATH=$PATH:/usr/sbin:/sbin
MB=768
# What happens has happened by then on the slowest machine; what a run may take is for
# campaign/l1.sh to say.
WAIT=${WAIT:-600}
RUN_LIMIT=$((4 * WAIT))

die() { echo "campaign: error: $*" >&2; exit 1; }

# shellcheck source=selftests/env/ram.sh
. "$ST/env/ram.sh"
# shellcheck source=selftests/campaign/plan.sh
. "$ST/campaign/plan.sh"

export DRIVER=${DRIVER:-e1000} TYPES=${TYPES:-all} SEEDS=${SEEDS:-1-100}
export CONFIGS=${CONFIGS-strict} VERDICT=${VERDICT:-recover}
OLD=$(selftests/env/kernels.sh --old) || exit 1
export HOST=${HOST:-$OLD} GUEST=${GUEST:-$OLD} VCPUS=1 IOMMU=${IOMMU:-}
[ "$TYPES" != all ] || TYPES=random
[ "$IOMMU" != 0 ] || IOMMU=
BASE=$TOP/.cache/campaign
NAME=$DRIVER-$GUEST-$HOST${IOMMU:+-iommu}
export RESULTS=${RESULTS:-$BASE/$NAME.json}

# ---- the saved machines -------------------------------------------------------

guest_files()
{
	local dir=.build/driver/$GUEST

	VM_MODULES="$DRIVER $BEFORE"
	# shellcheck disable=SC2034 # used by vm_initramfs
	VM_FILES="$dir/chariot_canary.ko:/c/canary.ko selftests/campaign/workload.sh:/c/workload.sh
		.build/selftests/work:/c/work"
	VM_FILES=${VM_FILES//[$'\n\t']/ }
}

# make_initrd OUT: of L1
make_initrd()
{
	local work

	work=$(mktemp -d) || return
	PROGRAMS=("$TOP"/.build/{tools/chariot,qemu-plugin/chariot.so,selftests/memcheck}
		"$VMSH")
	{
		ram_env
		printf "export %s='%s'\n" DRIVER "$DRIVER" CLASS "$CLASS" ARGS "$ARGS" \
			BEFORE "$BEFORE" CONFIG "$CONFIG" VERDICT "$VERDICT" VM_APPEND "$APPEND"
		echo "export VM_INITRD=/guest.cpio VM_MEM=192"
	} >"$work/campaign.env"
	ram_base campaign/init.sh kvm-amd "$1" &&
		ram_guest "$work/guest.cpio" guest_files &&
		ram_files "$work" guest.cpio campaign.env >>"$1"
	rm -rf "$work"
}

# l1 WORK SHARE ARG...: L1, whose lines then are on descriptors 3 (from) and 4 (to)
l1()
{
	local work=$1 share=$2

	shift 2
	mkfifo "$work/line.in" "$work/line.out" || return
	setpriv --pdeathsig KILL qemu-system-x86_64 \
		-accel tcg,thread=multi -cpu EPYC,+svm,+npt \
		-M q35,memory-backend=ram -m $MB -smp 1 \
		-object "memory-backend-file,id=ram,size=${MB}M,mem-path=$SAVED/ram,share=$share" \
		-nodefaults -no-user-config -no-reboot -display none -nic none \
		-kernel "$TOP/.cache/kernels/$HOST/vmlinuz" -initrd "$SAVED/initrd" \
		-append "console=ttyS0 no_timer_check panic=-1 oops=panic mitigations=off
			quiet loglevel=5 highres=off nohz=off watchdog_thresh=30
			rcupdate.rcu_cpu_stall_timeout=90 tsc=reliable" \
		-serial "file:$work/l1.log" -serial "pipe:$work/line" \
		-qmp "unix:$work/qmp,server=on,wait=off" "$@" \
		</dev/null >"$work/qemu" 2>&1 &
	L1=$!
	exec 3<>"$work/line.out" 4<>"$work/line.in"
	until [ -S "$work/qmp" ]; do
		kill -0 $L1 2>/dev/null || { cat "$work/qemu" >&2; return 1; }
		sleep 0.02
	done
}

end_l1()
{
	kill -KILL "$L1" 2>/dev/null
	wait "$L1" 2>/dev/null
	exec 3<&- 4<&-
}

qmp() { "$VMSH" qmp "$1/qmp" "$WAIT" "$2"; }

capable()
{
	qmp "$1" '{"execute":"migrate-set-capabilities","arguments":{"capabilities":
		[{"capability":"x-ignore-shared","state":true}]}}' >/dev/null
}

# lines SECONDS LAST...: what L1 says, to the line that is one of LAST
lines()
{
	local limit=$1 end line

	shift
	end=$((SECONDS + limit))
	while read -r -t $((end > SECONDS ? end - SECONDS : 0)) line <&3; do
		echo "$line"
		case " $* " in
		*" ${line%% *} "*) return 0 ;;
		esac
	done
	return 1
}

wait_for()
{
	local end=$((SECONDS + WAIT))

	while [ $SECONDS -lt $end ]; do
		kill -0 "$L1" 2>/dev/null || return
		case $(qmp "$1" "{\"execute\":\"$2\"}") in
		*"\"status\": \"$3\""*) return ;;
		esac
		sleep 0.05
	done
	return 1
}

# QEMU does not take the state of a CPU that is in a guest of its own just then.
state_is_good()
{
	local work status

	work=$(mktemp -d) || return
	restored "$work" 2>/dev/null
	status=$?
	end_l1
	rm -rf "$work"
	return $status
}

save()
{
	local work=$1 last end tries=0

	l1 "$work" on || return
	last=$(lines $RUN_LIMIT READY FAILED | tee "$SAVED/said" | tail -n 1)
	if [ "$last" != READY ]; then
		echo "campaign: $CONFIG: L1 did not get ready:" >&2
		tail -n 20 "$SAVED/said" "$work/l1.log" >&2
		return 1
	fi
	capable "$work" || return
	end=$((SECONDS + WAIT))
	while [ $SECONDS -lt $end ]; do
		tries=$((tries + 1))
		qmp "$work" "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"exec:cat >$SAVED/state\"}}" >/dev/null &&
			wait_for "$work" query-migrate completed || return
		if (state_is_good); then
			echo "# $DRIVER, $CONFIG: saved after $tries tries" >&2
			return
		fi
		qmp "$work" '{"execute":"cont"}' >/dev/null
		# Never in step with what the guest does now and then.
		sleep "0.$((RANDOM % 9 + 1))"
	done
	echo "campaign: $CONFIG: QEMU did not take the state of L1, in $tries tries" >&2
	return 1
}

# Everything that goes into L1 is in its initramfs: that names what is saved.
# Sets SAVED.
saved()
{
	local work key err

	CONFIG=$1
	mkdir -p "$BASE/saved"
	work=$(mktemp -d "$BASE/saved/.new.XXXXXX") || return
	make_initrd "$work/initrd" || die "no initramfs for L1"
	key=$({ cat "$work/initrd"; declare -f l1; echo $MB; qemu-system-x86_64 --version; } |
		sha256sum | cut -c1-12)
	SAVED=$BASE/saved/$NAME-$CONFIG-$key
	if [ -f "$SAVED/state" ]; then
		rm -rf "$work"
		return
	fi
	rm -rf "$BASE/saved/$NAME-$CONFIG-"*
	SAVED=$work
	echo "# $DRIVER, $CONFIG: saving a host with its guest" >&2
	save "$work"
	err=$?
	end_l1
	if [ $err != 0 ]; then
		rm -rf "$work"
		return 1
	fi
	rm -f "$work"/line.* "$work/qmp"
	SAVED=$BASE/saved/$NAME-$CONFIG-$key
	mv "$work" "$SAVED"
}

# restored WORK ARG...: a machine that goes on where SAVED was
restored()
{
	local work=$1

	l1 "$work" off -incoming defer "${@:2}" && capable "$work" &&
		qmp "$work" "{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"exec:cat $SAVED/state\"}}" >/dev/null &&
		wait_for "$work" query-status running
}

# ask SECONDS COMMAND...: L1's answer, without its END
ask()
{
	local limit=$1 answer

	shift
	echo "$*" >&4
	answer=$(lines "$limit" END)
	local status=$?
	grep -v '^END$' <<<"$answer"
	return $status
}

# ---- the plan -----------------------------------------------------------------

# The driver's file, unpacked to OUT
driver_file()
{
	local f

	f=$(echo "$TOP/.cache/kernels/$GUEST"/modules/kernel/{drivers,sound}/*/"$DRIVER".ko* \
		"$TOP/.cache/kernels/$GUEST"/modules/kernel/drivers/*/{host,ethernet/*/*}/"$DRIVER".ko* |
		tr ' ' '\n' | grep -v '\*' | head -n 1)
	case $f in
	*.xz)	xz -dc "$f" ;;
	*.zst)	zstd -qdc "$f" ;;
	*.ko)	cat "$f" ;;
	esac >"$1"
	[ -s "$1" ]
}

# executed KO FAULTS STARTS: addresses of the instructions in blocks that begin at
# STARTS. TCG ends a block at each jump, call and return, and names where it
# begins; what is in a nested guest's it cannot always read.
executed()
{
	jq -r '[.function, .offset, .address] | @tsv' "$2" >"$2.at"
	objdump -dw --no-show-raw-insn "$1" | awk -v faults="$2.at" -v starts="$3" '
		function hex(s,   i, v) {
			sub(/^0x/, "", s)
			for (v = 0; s != ""; s = substr(s, 2))
				v = v * 16 + index("0123456789abcdef", substr(s, 1, 1)) - 1
			return v
		}
		# What one module has in common is left out: awk may not have the digits.
		function low(s) { return hex(substr(s, length(s) - 6)) }
		BEGIN {
			while ((getline l <faults) > 0) {
				split(l, f, "\t")
				at[f[1]] = low(f[3]) - hex(f[2])
				top = substr(f[3], 1, length(f[3]) - 7)
			}
			while ((getline l <starts) > 0)
				start[low(l)] = 1
		}
		/^Disassembly/ { section++; next }
		/^[0-9a-f]+ <.*>:$/ {
			name = $2; gsub(/[<>:]/, "", name)
			if (name in at && !(section in base) && !(name in seen))
				base[section] = at[name] - hex($1)
			seen[name] = 1
			next
		}
		/^ +[0-9a-f]+:/ {
			n++
			where[n] = section
			addr[n] = hex(substr($1, 1, length($1) - 1))
			ends[n] = $2 ~ /^(j|call|ret|loop|ud2|int|iret|hlt)/ || $3 ~ /^(jmp|call|ret)/
		}
		END {
			for (i = 1; i <= n; i++) {
				if (!(where[i] in base))
					continue
				a = base[where[i]] + addr[i]
				if (a in start)
					live = 1
				if (live)
					printf "%s%07x\n", top, a
				if (ends[i])
					live = 0
			}
		}'
}

# The faults of all seeds of SHARD, one JSON object a line, and "active": whether
# the golden runs come by.
make_plan()
{
	local work type seeds range

	work=$(mktemp -d) || return
	driver_file "$work/ko" || return
	restored "$work" || return
	for type in $TYPES; do
		for seeds in $SEEDS; do
			ask $RUN_LIMIT plan "$type" "$seeds" |
				plan_faults "$type" "$seeds" || return
		done
	done >"$work/faults"
	end_l1
	[ -s "$work/faults" ] || wrong "TYPES: there are none" || return
	rm -f "$work"/line.* "$work/qmp"
	range=$(jq -r .address "$work/faults" | sort | sed -n '1p;$p' | paste -sd' ')
	# shellcheck disable=SC2086 # two
	set -- $range
	[ $# = 2 ] || { cat "$work/faults" >&2; return 1; }
	restored "$work" -d in_asm -D "$work/asm" \
		-dfilter "$(printf '0x%x..0x%x' $(($1 - 4096)) $(($2 + 16)))" || return
	ask $RUN_LIMIT golden 3 >"$work/said" || { cat "$work/said" >&2; return 1; }
	# its log is written when it ends
	qmp "$work" '{"execute":"quit"}' >/dev/null
	wait $L1
	end_l1
	grep -ao '^0x[0-9a-f]*' "$work/asm" | sort -u >"$work/starts"
	executed "$work/ko" "$work/faults" "$work/starts" >"$work/executed"
	echo "# $(wc -l <"$work/executed") of $(objdump -dw "$work/ko" | grep -c '^ .*:	') instructions are executed" >&2
	jq -R . "$work/executed" | jq -s 'map({(.): true}) | add' >"$work/active"
	jq -c --slurpfile a "$work/active" --argjson i "${SHARD%/*}" --argjson n "${SHARD#*/}" \
		'select(.seed % $n == $i % $n) | .active = ($a[0][.address] // false)' "$work/faults"
	rm -rf "$work"
}

# ---- one seed -----------------------------------------------------------------

# judge LINES: outcome, and why
judge()
{
	local l=$1

	if grep -q '^host ' "$l"; then
		echo host; sed -n 's/^host //p' "$l"
	elif ! grep -q '^fault {' "$l" || ! grep -q '^guest ' "$l"; then
		echo unjudged; tail -n 2 "$l"
	elif grep -q '^guest dead' "$l"; then
		echo crash; grep -m2 -E '^(log|guest) ' "$l"
	elif grep -q '^guest hung' "$l"; then
		echo hang; grep -m2 -E '^(log|guest) ' "$l"
	elif grep -q '^log ' "$l"; then
		echo oops; grep -m2 '^log ' "$l"
	elif grep -qE '^(mem changed|canary bad|guest alive:)' "$l"; then
		echo corrupt; grep -m2 -E '^(mem changed|canary bad|guest alive:)' "$l"
	elif grep -q '^warn ' "$l"; then
		echo warn; grep -m2 '^warn ' "$l"
	elif grep -qE '^step [^ ]* wrong' "$l"; then
		echo wrong; grep -m2 -E '^step [^ ]* wrong' "$l"
	else
		echo benign
	fi
}

stat_of() { sed -n "s/^stat $2 //p" "$1" | tail -n 1; }

# result PROGRAM ARG...: jq; "group" is what all lines of a campaign begin with
result()
{
	jq -c --arg driver "$DRIVER" --arg class "$CLASS" --arg guest "$GUEST" \
		--arg host "$HOST" --arg iommu "$IOMMU" \
		'def group: {driver: $driver, class: $class, guest: $guest, host: $host}
			+ if $iommu == "" then {} else {iommu: true} end; '"$1" "${@:2}"
}

# record FAULT LINES SECONDS: one line of results
record()
{
	local verdict

	judge "$2" >"$2.verdict"
	{ read -r verdict; } <"$2.verdict"
	result 'def n: if . == "" then null else tonumber end;
		 group + {config: $config}
		 + (if $config == "none" then {} else {verdict: $verdict} end)
		 + {seed, type, function, offset, address, old, new, before, after, asked}
		 + {outcome: $outcome, why: $why, wrong_steps: ($steps | n), seconds: ($seconds | n)}
		 + (if $config == "none" then {} else {violations: ($violations | n),
			faults: ($faults | n), recoveries: ($recoveries | n), exits: ($exits | n),
			service: $service, event: $event} end)' \
		--arg config "$CONFIG" --arg verdict "$VERDICT" \
		--arg outcome "$verdict" --arg why "$(tail -n +2 "$2.verdict" | paste -sd'|')" \
		--arg event "$(sed -n 's/^event //p' "$2" | head -n 2 | paste -sd'|')" \
		--arg service "$(sed -n 's/^service //p' "$2")" \
		--arg violations "$(stat_of "$2" violations)" --arg faults "$(stat_of "$2" faults)" \
		--arg recoveries "$(stat_of "$2" recoveries)" --arg exits "$(stat_of "$2" exits)" \
		--arg steps "$(grep -cE '^step [^ ]* wrong' "$2")" --arg seconds "$3" <<<"$1"
}

add() { flock "$RESULTS.lock" tee -a "$RESULTS" >/dev/null; }

# run FAULT CONFIG: a line of results, also to stdout
run()
{
	local work type seed began=$EPOCHREALTIME

	CONFIG=$2
	SAVED=$(cat "$BASE/plan/$PLAN.$CONFIG")
	work=$(mktemp -d) || return
	read -r type seed < <(jq -r '"\(.asked) \(.seed)"' <<<"$1")
	restored "$work" && ask $RUN_LIMIT run "$type" "$seed" >"$work/lines"
	end_l1
	[ -s "$work/lines" ] || tail -n 3 "$work/qemu" "$work/l1.log" >"$work/lines" 2>&1
	record "$1" "$work/lines" \
		"$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')" |
		tee >(add)
	[ -z "${KEEP:-}" ] || cp "$work/lines" "$KEEP/$seed.$type.$CONFIG"
	rm -rf "$work"
}

is_done()
{
	jq -e --arg c "$2" --argjson f "$1" -n 'first(inputs | select(.config == $c and
		.seed == $f.seed and .asked == $f.asked))' "$RESULTS" >/dev/null 2>&1
}

outcome_of()
{
	jq -r --arg c "$2" --argjson f "$1" 'select(.config == $c and .seed == $f.seed
		and .asked == $f.asked) | .outcome' "$RESULTS" | tail -n 1
}

is_damage() { case $1 in corrupt|oops|hang|crash) ;; *) return 1 ;; esac; }

one()
{
	local fault config

	fault=$(sed -n "$1p" "$BASE/plan/$PLAN")
	is_done "$fault" none || run "$fault" none >/dev/null
	is_damage "$(outcome_of "$fault" none)" || return 0
	for config in $CONFIGS; do
		is_done "$fault" "$config" || run "$fault" "$config" >/dev/null
	done
}

# ---- all ----------------------------------------------------------------------

row()
{
	local driver class args before append

	while IFS=$'\t' read -r driver class args before append; do
		[ "$driver" = "$DRIVER" ] || continue
		CLASS=$class ARGS=$args BEFORE=${before#-} APPEND=${append#-}
		[ -z "$IOMMU" ] || ARGS="-M q35 -device intel-iommu,intremap=off $ARGS" \
			APPEND="intel_iommu=on iommu.strict=1 $APPEND"
		return
	done <"$ST/campaign/drivers.tsv"
	die "campaign/drivers.tsv has no $DRIVER"
}

# What is inactive is told at once.
note_inactive()
{
	result 'select(.active | not) | group + {config: "none", seed, type, function,
		offset, address, old, new, before, after, asked, outcome: "inactive"}' \
		"$BASE/plan/$PLAN" |
	jq -c --slurpfile have "$RESULTS" '. as $f | select($have | map(select(.config == "none" and
		.seed == $f.seed and .asked == $f.asked)) | length == 0)' >"$RESULTS.new"
	cat "$RESULTS.new" >>"$RESULTS"
	rm "$RESULTS.new"
}

# Line numbers of the plan that are to be run
todo()
{
	jq -r '"\(input_line_number) \(.active)"' "$BASE/plan/$PLAN" | sed -n 's/ true$//p'
}

progress()
{
	local all=$1 began=$SECONDS n

	while sleep 10 && kill -0 $$ 2>/dev/null; do
		n=$(cat "$BASE/plan/$PLAN.done"/* 2>/dev/null | wc -l)
		[ "$n" -gt 0 ] || continue
		echo "# $n of $all seeds, about $(((SECONDS - began) * (all - n) / n / 60)) min left" >&2
	done
}

main()
{
	local config counter nr

	check_seeds "$SEEDS" && check_shard "${SHARD:=1/1}" || exit 1
	row
	mkdir -p "$BASE/plan" "${RESULTS%/*}"
	touch "$RESULTS"
	PLAN=$NAME.$$
	export PLAN CLASS ARGS BEFORE APPEND
	# of several at a time one saves, the others find it
	exec 9>"$BASE/lock"
	flock 9
	for config in none $CONFIGS; do
		saved "$config" || die "$config: nothing was saved"
		echo "$SAVED" >"$BASE/plan/$PLAN.$config"
	done
	flock -u 9
	SAVED=$(cat "$BASE/plan/$PLAN.none")
	echo "# $DRIVER: which instructions the workload executes" >&2
	make_plan >"$BASE/plan/$PLAN" || die "no plan: nothing was run"
	[ -s "$BASE/plan/$PLAN" ] || die "SHARD=$SHARD has none of the seeds $SEEDS"
	note_inactive
	todo >"$BASE/plan/$PLAN.todo"
	nr=$(wc -l <"$BASE/plan/$PLAN.todo")
	echo "# $(wc -l <"$BASE/plan/$PLAN") faults, $nr to run" >&2
	mkdir "$BASE/plan/$PLAN.done"
	progress "$nr" &
	counter=$!
	xargs -r -P "${JOBS:-$(nproc)}" -n 1 bash "$0" --one <"$BASE/plan/$PLAN.todo"
	kill $counter
	# shellcheck disable=SC2086 # a list
	jq -c 'select(.active)' "$BASE/plan/$PLAN" |
		without_result /dev/stdin "$RESULTS" $CONFIGS >"$BASE/plan/$PLAN.missing" ||
		die "$RESULTS cannot be read"
	mapfile -t MISSING <"$BASE/plan/$PLAN.missing"
	rm -rf "$BASE/plan/$PLAN"*
}

case ${1:-} in
--one)
	one "$2"
	echo "$2" >"$BASE/plan/$PLAN.done/$2" ;;
*)
	trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$BASE/plan/${PLAN:-none}"*' EXIT
	trap 'exit 130' INT TERM HUP
	main
	bash "$ST/campaign/report.sh" table "$RESULTS"
	[ ${#MISSING[@]} = 0 ] || printf '# no result: %s\n' "${MISSING[@]}"
	jq -s -r --argjson missing ${#MISSING[@]} '
		map(select(.outcome == "unjudged" or .outcome == "host")) as $bad |
		($bad[] | "# \(.config) seed \(.seed) \(.asked): \(.outcome): \(.why)"),
		"\(length - ($bad | length)) passed, \(($bad | length) + $missing) failed"' "$RESULTS" || exit 1
	[ ${#MISSING[@]} = 0 ] && ! grep -qE '"outcome":"(unjudged|host)"' "$RESULTS" ;;
esac
