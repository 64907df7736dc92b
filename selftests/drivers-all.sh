#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# drivers-all.sh: every module of a guest's kernel, loaded and unloaded: without
# Chariot, and isolated, with the verdict report (make drivers-all). A table by
# subsystem, what failed, and "N passed, N failed".
#
#	GUEST, HOST	kernels (the older one of "kernels.sh --offered"; HOST as GUEST)
#	VCPUS, NPT	of the guest; 0: shadow paging (1, 1)
#	CONFIGS		with Chariot: strict, fast; empty: only without (strict)
#	MODULES		these only; all
#	SHARD		I/N: only each Nth batch, from the Ith on; put results together
#			with cat
#	RESULTS		the file of results, one JSON object a line, which is added to:
#		what is in it is not run again (.cache/modules/GUEST.json)
#	JOBS		machines at the same time (2)
#	BATCH		modules for one machine (200)
#
# Without Chariot a module is loaded in a guest of its kernel on this machine, once
# for all hosts; what is refused, or does not leave that guest well, is not loaded
# with Chariot. With it, in a nested host for each batch (modules/l1.sh); there what
# was not all right is loaded without Chariot, too, and that counts then. A guest is
# used for all modules of a batch, as long as it stands. Results are told by
# modules/run.sh, counted by modules/report.sh. modules/excluded.tsv is left out.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

CACHE=.cache/modules
GUEST=${GUEST:-${HOST:-$(selftests/env/kernels.sh --old)}} || exit 1
export GUEST
export HOST=${HOST:-$GUEST} VCPUS=${VCPUS:-1} NPT=${NPT:-1}
CONFIGS=${CONFIGS-strict}
RESULTS=${RESULTS:-$CACHE/$GUEST.json}
SHARD=${SHARD:-1/1} JOBS=${JOBS:-2} BATCH=${BATCH:-200}
ROUNDS=5

# shellcheck source=selftests/modules/plan.sh
. selftests/modules/plan.sh

die() { echo "drivers-all: error: $*" >&2; exit 2; }

# taken FILE: whole lines of it are results; not again
taken()
{
	grep '^{.*}$' "$1" | add
	mv "$1" "$1.taken"
}

add() { flock "$RESULTS.lock" tee -a "$RESULTS" >/dev/null; }

# have CONFIG HOST: names of those with a result; "-" is no host
have()
{
	jq -nRr --arg c "$1" --arg h "$2" --arg g "$GUEST" 'inputs | fromjson? |
		select(.config == $c and .host == $h and .guest == $g) | .module' "$RESULTS"
}

# well: "MODULE DIRECTORY UNLOAD" of those that a guest without Chariot loaded
well()
{
	jq -nRr --arg g "$GUEST" 'inputs | fromjson? | select(.config == "none" and .host == "-" and
		.guest == $g and .outcome == "loaded") | "\(.module) \(.dir) \(.unload)"' "$RESULTS" |
		awk '{ last[$1] = $0 } END { for (i in last) print last[i] }'
}

# todo BATCH CONFIG OUT: lines of modules of the batch that have no result
todo()
{
	local host=-

	[ "$2" = none ] || host=$HOST
	have "$2" "$host" >"$WORK/have.$1"
	awk -v b="$1" '$1 == b { print $2, $3 }' "$WORK/plan" | without "$WORK/have.$1" >"$3"
	[ "$2" != none ] || return 0
	well >"$WORK/well.$1"
	awk -v file="$WORK/well.$1" 'BEGIN { while ((getline l <file) > 0) { split(l, w, " "); well[w[1]] = l } }
		$1 in well { print well[$1] }' "$3" >"$3.new"
	mv "$3.new" "$3"
}

# What guests boot from; L1 cannot write to the cache
make_images()
{
	# shellcheck disable=SC2086 # a list
	IMAGE=$(selftests/env/initramfs.sh guest "$GUEST" $VM_MODULES) &&
		selftests/env/initramfs.sh files "$VM_FILES" >/dev/null
}

# plain DIR: without Chariot, on this machine
plain()
(
	export OUT=$PWD/$1 VM_ACCEL=tcg VM_CPU=EPYC WAIT=120 CONFIG=none VM=modules-$BASHPID
	unset MODULES_HOST
	# shellcheck source=selftests/env/vm.sh
	. selftests/env/vm.sh
	# shellcheck source=selftests/modules/run.sh
	. selftests/modules/run.sh
	trap 'guest_end' EXIT
	trap 'exit 130' INT TERM HUP
	modules_run none "$1/list" "$1/results"
)

nested()
{
	CHARIOT_CONFIG=$2 selftests/env/l1.sh -k "$HOST" -o "$1" -t 36000 -- \
		bash selftests/modules/l1.sh >"$1/log" 2>&1
}

# round BATCH CONFIG DIR: 1 if there is nothing more to do
round()
{
	local dir=$3 status

	mkdir -p "$dir"
	todo "$1" "$2" "$dir/list"
	[ -s "$dir/list" ] || { rm -rf "$dir"; return 1; }
	for_guest "$dir/list"
	make_images || { echo "# batch $1: no image for its guests" >&2; return 1; }
	touch "$dir/results"
	if [ "$2" = none ]; then
		plain "$dir" >"$dir/log" 2>&1
	else
		nested "$dir" "$2"
	fi
	status=$?
	rm -f "$IMAGE"
	taken "$dir/results"
	[ $status = 0 ] || host_failed "$dir" "$2" $status
	echo "# batch $1, $2: $(wc -l <"$dir/results.taken") of $(wc -l <"$dir/list") modules" >&2
}

# The module that ran when L1 died has that for a result; what L1's log has, none has.
host_failed()
{
	local name dir=$1 host=$HOST

	[ "$2" != none ] || host=-
	name=$(cat "$dir/now" 2>/dev/null)
	if [ -z "$name" ] || grep -q "\"module\":\"$name\",.*\"config\":\"$2\"" "$dir/results.taken"; then
		name="(host)"
	fi
	jq -nc --arg m "$name" --arg d "$(awk -v m="$name" '$1 == m { print $2 }' "$dir/list")" \
		--arg g "$GUEST" --arg h "$host" --arg c "$2" \
		--arg why "status $3: $(grep '^l1:' "$dir/log" | head -n 3 | paste -sd'|'); see $dir" \
		'{module: $m, dir: $d, guest: $g, host: $h, config: $c, outcome: "host", why: $why}' | add
}

batch()
{
	local config i dir f

	for config in none $CONFIGS; do
		dir=.cache/out/modules-$GUEST-$HOST-$config-$1
		# of a run that was ended
		for f in "$dir".*/results; do
			[ ! -e "$f" ] || taken "$f"
		done
		rm -rf "$dir".*
		for ((i = 1; i <= ROUNDS; i++)); do
			round "$1" "$config" "$dir.$i" || break
		done
	done
}

[[ $SHARD =~ ^[0-9]{1,9}/[1-9][0-9]{0,8}$ ]] || die "SHARD: '$SHARD' is not I/N"
[[ $BATCH =~ ^[1-9][0-9]{0,5}$ ]] || die "BATCH: '$BATCH' is no number of modules"
[[ $JOBS =~ ^[1-9][0-9]{0,3}$ ]] || die "JOBS: '$JOBS' is no number of machines"
for c in $CONFIGS; do
	case $c in
	strict|fast) ;;
	*)	die "CONFIGS: '$c' is neither strict nor fast" ;;
	esac
done
ROOT=.cache/kernels/$GUEST/modules
[ -f "$ROOT/modules.dep" ] || die "GUEST: no kernel $GUEST here: run selftests/env/kernels.sh $GUEST"

case ${1:-} in
--sample)		# what the guest of t/modules.sh boots from
	LIST=$(mktemp) || exit 1
	trap 'rm -f "$LIST"' EXIT
	sample_of "$GUEST" "$LIST" && for_guest "$LIST" && make_images
	exit ;;
--batch)
	batch "$2"
	exit ;;
esac
WORK=$(mktemp -d) || exit 1
export WORK RESULTS CONFIGS
trap '[ -z "${JOB:-}" ] || kill -TERM -- "-$JOB" 2>/dev/null; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
modules_of "$ROOT" >"$WORK/all"
excluded >"$WORK/excluded"
for m in ${MODULES:-}; do
	grep -q "^${m//-/_} " "$WORK/all" || die "MODULES: $GUEST has no module '$m'"
done
# shellcheck disable=SC2086 # a list
without "$WORK/excluded" <"$WORK/all" | only ${MODULES:-} | batches "$BATCH" "$SHARD" >"$WORK/plan"
[ -s "$WORK/plan" ] || die "SHARD=$SHARD has no modules"
mkdir -p "${RESULTS%/*}"
touch "$RESULTS"
# what could not be judged is run again
sed -i -E '/"outcome":"(unjudged|host)"/d' "$RESULTS"
echo "# $(wc -l <"$WORK/plan") modules of $GUEST" >&2
# a process group: all of it ends when this does
set -m
cut -d' ' -f1 "$WORK/plan" | uniq | xargs -P "$JOBS" -n 1 bash "$0" --batch &
JOB=$(jobs -p %%)
wait
JOB=
bash selftests/modules/report.sh table "$RESULTS"
bash selftests/modules/report.sh verdict "$WORK/plan" "$GUEST" "$HOST" "$CONFIGS" "$RESULTS"
