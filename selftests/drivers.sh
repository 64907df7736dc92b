#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# drivers.sh: stock drivers, each isolated from its init, under the workload of
# its class; a table, and "N passed, N failed" (make drivers).
#
#	DRIVERS="a b"		rows to run; all
#	DRIVERS_FILE=path	the rows; selftests/drivers.tsv
#	HOST GUEST VCPUS NPT	one set-up instead of the two below;
#				SETUPS=all: the older and the newer kernel, 1 and 2 vCPUs,
#				NPT on and off
#	SHARDS=N		nested hosts at a time (2)
#	VERDICT=report		what to do about violations (skip)
#	POLICY=path		a policy file beside the built-in ones
#	RESULTS=path		the table as tab-separated lines, too
#	PLAIN=1			without Chariot: the rows' guests (of GUEST, VCPUS) in
#				QEMU on this machine, one after the other. A row
#				must pass so before it says anything about a driver.
#
# A row has four columns, separated by tabs; "-" is an empty one:
#
#	driver		module to isolate, [PARAMETER=VALUE...] for it
#	class		a workload of selftests/work/class, [ARGUMENT...] for it;
#			with "once" among them for a driver that damages its
#			kernel when it is unloaded, also without Chariot; or
#			"skip WHY", for what cannot be shown
#	QEMU arguments	as on its command line. What they name and do not define
#			is made, as iso.sh says: a user network for netdev=ID, a
#			disk for drive=ID, ...
#	modules before	loaded before the driver
#
# A row passes when init ran isolated, the workload's result is right, and there
# was no violation; again after unload and reload, where the driver unloads. One
# whose modules the guest's kernel does not have is skipped.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

FILE=${DRIVERS_FILE:-selftests/drivers.tsv}
LOGS=.cache/out/drivers
# shellcheck source=selftests/work/files.sh
. selftests/work/files.sh

die() { echo "drivers: error: $*" >&2; exit 2; }

# rows: the chosen ones, without comments; line numbers for errors
rows()
{
	local n=0 driver class args before rest name

	while IFS= read -r line || [ -n "$line" ]; do
		n=$((n + 1))
		line=${line%$'\r'}
		case $line in
		'#'*|'') continue ;;
		esac
		IFS=$'\t' read -r driver class args before rest <<<"$line"
		case $driver in
		name|driver|module) continue ;;		# a header
		esac
		[ "${class%% *}" = skip ] || work_class "${class%% *}" ||
			die "$FILE:$n: '${class%% *}' is no class (selftests/work/class)"
		[ -z "$rest" ] || die "$FILE:$n: more than four columns"
		name=${driver%% *}
		if [ -n "${DRIVERS:-}" ]; then
			case " ${DRIVERS//-/_} " in
			*" ${name//-/_} "*) ;;
			*) continue ;;
			esac
		fi
		printf '%s\t%s\t%s\t%s\n' "$driver" "$class" "${args:--}" "${before:--}"
	done <"$FILE"
}

# row_files GUEST DRIVER CLASS BEFORE: L1 cannot write to the cache, so what its
# guests boot from is made here
row_files()
{
	local class=${3%% *}

	# shellcheck disable=SC2046,SC2086 # lists
	selftests/env/initramfs.sh files $(work_files "$class") >/dev/null &&
		selftests/env/initramfs.sh guest "$1" ${2%% *} ${4#-} \
			$(work_modules "$class" "$1") >/dev/null
}

# prepare GUEST DIR: the rows that there is everything for; the others have their
# result
prepare()
{
	local driver class args before why verdict

	while IFS=$'\t' read -r driver class args before; do
		verdict=SKIP
		if [ "${class%% *}" = skip ]; then
			why=${class#skip } class=-
		elif why=$(row_files "$1" "$driver" "$class" "$before" 2>&1); then
			printf '%s\t%s\t%s\t%s\n' "$driver" "$class" "$args" "$before" >>"$2/rows"
			continue
		elif [[ $why != *'has no module'* ]]; then
			verdict=FAIL
		fi
		result "$driver" "$class" "$1" "$why" $verdict >>"$2/results.tsv"
	done
}

# result DRIVER CLASS GUEST WHAT VERDICT: a line for a row that did not run
result()
{
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t-\t-\t-\t-\t-\t%s\n' "${1%% *}" "${2%% *}" \
		"$3" "${host:-}" "${vcpus:-}" "${npt:-}" "$(echo "$4" | tr '\n\t' '  ')" "$5"
}

# run HOST GUEST VCPUS NPT SHARD ROWS
run()
{
	local host=$1 guest=$2 vcpus=$3 npt=$4
	local dir=$LOGS/$1-$2-$3-$4-$5

	[ -s "$6" ] || return 0
	mkdir -p "$dir"
	prepare "$guest" "$dir" <"$6"
	[ -s "$dir/rows" ] || { echo 0 >"$dir/status"; return; }
	export GUEST=$guest VCPUS=$vcpus NPT=$npt CHARIOT_VERDICT=${VERDICT:-skip} \
		CHARIOT_POLICY=${POLICY:+$(realpath "$POLICY")}
	if [ -n "${PLAIN:-}" ]; then
		HOST=- OUT=$(realpath "$dir") CHARIOT_PLAIN=1 VM_ACCEL=tcg VM_CPU=max \
			VM_DIR=/tmp/drivers.$$ bash selftests/drivers-l1.sh >"$dir/log" 2>&1
	else
		selftests/env/l1.sh -k "$host" -o "$dir" -t 36000 -- \
			bash selftests/drivers-l1.sh >"$dir/log" 2>&1
	fi
	echo "$?" >"$dir/status"
}

# setup HOST GUEST VCPUS NPT: its rows, in SHARDS nested hosts at a time
setup()
{
	local id="host $1 guest $2 vcpus $3 npt $4" i n=0 shown=0 all shards=${PLAIN:-${SHARDS:-2}}

	all=$(wc -l <"$LOGS/rows")
	echo "# $id: $all drivers"
	rm -rf "$LOGS/$1-$2-$3-$4-"*
	awk -v out="$LOGS/shard" -v n="$shards" '{ print > (out "." (NR % n)) }' "$LOGS/rows"
	for i in $(seq 0 $((shards - 1))); do
		run "$@" "$i" "$LOGS/shard.$i" &
	done
	# a line for each as it comes
	while [ "$(jobs -r | wc -l)" -gt 0 ]; do
		sleep 2
		n=$(cat "$LOGS/$1-$2-$3-$4-"*/results.tsv 2>/dev/null | wc -l)
		if [ "$n" -gt "$shown" ]; then
			echo "# $id: $n of $all done"
			shown=$n
		fi
	done
	wait
	for i in $(seq 0 $((shards - 1))); do
		[ -s "$LOGS/shard.$i" ] || continue
		finish "$LOGS/$1-$2-$3-$4-$i" "$LOGS/shard.$i" "$@"
	done
	rm -f "$LOGS"/shard.*
}

# finish DIR ROWS HOST GUEST VCPUS NPT: rows without a result have failed, and
# so has what left a host behind that is not clean
finish()
{
	local dir=$1 rows=$2 host=$3 vcpus=$5 npt=$6 driver class rest

	touch "$dir/results.tsv"
	while IFS=$'\t' read -r driver class rest; do
		grep -q "^${driver%% *}	" "$dir/results.tsv" ||
			result "$driver" "$class" "$4" "no result: see $dir/log" FAIL \
				>>"$dir/results.tsv"
	done <"$rows"
	[ "$(cat "$dir/status")" = 0 ] ||
		result "(host)" - "$4" "$(tail -n 1 "$dir/log")" FAIL >>"$dir/results.tsv"
	cat "$dir/results.tsv" >>"$LOGS/results.tsv"
}

table()
{
	{
		printf 'DRIVER\tCLASS\tGUEST\tHOST\tVCPUS\tNPT\tRESULT\tRELOAD\tENTRIES\tEXITS/OP\tGRANTS (alloc/arg/stack/rule)\tVIOLATIONS\t\n'
		cat "$LOGS/results.tsv"
	} | column -t -s $'\t'
}

[ -r "$FILE" ] || die "cannot read $FILE"
rm -rf "$LOGS"
mkdir -p "$LOGS"
rows >"$LOGS/rows" || exit 2
[ -s "$LOGS/rows" ] || die "no row of $FILE is chosen"
: >"$LOGS/results.tsv"

OLD=$(selftests/env/kernels.sh --old) && NEW=$(selftests/env/kernels.sh --new) || exit 1
if [ -n "${PLAIN:-}" ]; then
	PLAIN=1
	setup - "${GUEST:-$OLD}" "${VCPUS:-1}" -
elif [ "${SETUPS:-}" = all ]; then
	for v in 1 2; do
		for npt in 1 0; do
			setup "$OLD" "$OLD" $v $npt
			[ "$NEW" = "$OLD" ] || setup "$NEW" "$NEW" $v $npt
		done
	done
elif [ -n "${HOST:-}${GUEST:-}${VCPUS:-}${NPT:-}" ]; then
	setup "${HOST:-$OLD}" "${GUEST:-$OLD}" "${VCPUS:-1}" "${NPT:-1}"
else
	setup "$OLD" "$OLD" 1 1
	setup "$NEW" "$NEW" 2 1
fi

echo
table
[ -z "${RESULTS:-}" ] || cp "$LOGS/results.tsv" "$RESULTS"
echo
# what was wrong, each place once
cat "$LOGS"/*/violations 2>/dev/null | sed 's/ wrote.*: / wrote: /' |
	sort | uniq -c | sort -rn | head -n 100
failed=$(grep -c 'FAIL$' "$LOGS/results.tsv")
passed=$(grep -c 'ok$' "$LOGS/results.tsv")
skipped=$(grep -c 'SKIP$' "$LOGS/results.tsv")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
