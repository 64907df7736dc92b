#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# drivers.sh: stock drivers, each isolated from its init, under the workload of
# its class; a table, and "N passed, N failed" (make drivers).
#
#	DRIVERS="a b"		rows to run; all
#	DRIVERS_FILE=path	the rows; selftests/drivers.tsv
#	HOST GUEST VCPUS NPT	one set-up instead of the two below;
#				SETUPS=all: guests 6.1 and 6.12, 1 and 2 vCPUs,
#				NPT on and off
#	VERDICT=report		what to do about violations (skip)
#	POLICY=path		a policy file beside the built-in ones
#	RESULTS=path		the table as tab-separated lines, too
#
# A row has four columns, separated by tabs; "-" is an empty one:
#
#	driver		module to isolate, [PARAMETER=VALUE...] for it
#	class		net, block, sound, char, other
#	QEMU arguments	as on its command line. What they name and do not define
#			is made: a user network for netdev=ID, a disk of 64 MiB
#			for drive=ID, a file for audiodev=wav... (what was played
#			is looked for there) and silence for other audiodev=ID,
#			nothing behind chardev=ID.
#	modules before	loaded before the driver
#
# A row passes when init ran isolated, the workload's result is right, and there
# was no violation; again after unload and reload, where the driver unloads.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

FILE=${DRIVERS_FILE:-selftests/drivers.tsv}
LOGS=.cache/out/drivers
# Modules that the workloads of a class need
WORK_block="ext4 crc32c_generic"	# where it is a module

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
		case $class in
		net|block|sound|char|other) ;;
		*)	die "$FILE:$n: '$class' is no class (net, block, sound, char, other)" ;;
		esac
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

# work_modules GUEST LIST: those of a list that this kernel has as modules
work_modules()
{
	local m

	for m in ${!2:-}; do
		[ -n "$(find -L ".cache/kernels/$1/root" -name "$m.ko*")" ] &&
			printf '%s ' "$m"
	done
}

# run HOST GUEST VCPUS NPT SHARD ROWS
run()
{
	local host=$1 guest=$2 vcpus=$3 npt=$4 rows=$6
	local dir=$LOGS/$1-$2-$3-$4-$5 driver class args before work files

	[ -s "$rows" ] || return 0
	mkdir -p "$dir"
	cp "$rows" "$dir/rows"
	# L1 cannot write to the cache: make what its guests boot from
	files="$PWD/.build/selftests/work:/w/work $PWD/selftests/work/work.sh:/w/work.sh"
	# shellcheck disable=SC2086 # lists
	selftests/env/initramfs.sh files $files >/dev/null || return
	while IFS=$'\t' read -r driver class args before; do
		work=$(work_modules "$guest" "WORK_$class")
		# shellcheck disable=SC2086 # lists
		selftests/env/initramfs.sh guest "$guest" ${driver%% *} \
			${before#-} $work >/dev/null 2>"$dir/initramfs.err" ||
			echo "# $driver: $(cat "$dir/initramfs.err")"
	done <"$rows"
	GUEST=$guest VCPUS=$vcpus NPT=$npt VM_FILES=$files \
		CHARIOT_VERDICT=${VERDICT:-skip} CHARIOT_POLICY=${POLICY:+$(realpath "$POLICY")} \
		CHARIOT_WORK_block=$(work_modules "$guest" WORK_block) \
		selftests/env/l1.sh -k "$host" -o "$dir" -t 36000 -- \
		bash selftests/drivers-l1.sh >"$dir/log" 2>&1
	echo "$?" >"$dir/status"
}

# setup HOST GUEST VCPUS NPT: its rows, in two nested hosts at a time
setup()
{
	local id="host $1 guest $2 vcpus $3 npt $4" i n=0 shown=0 all

	all=$(wc -l <"$LOGS/rows")
	echo "# $id: $all drivers"
	rm -rf "$LOGS/$1-$2-$3-$4-"*
	awk -v out="$LOGS/shard" '{ print > (out "." (NR % 2)) }' "$LOGS/rows"
	for i in 0 1; do
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
	for i in 0 1; do
		[ -s "$LOGS/shard.$i" ] || continue
		finish "$LOGS/$1-$2-$3-$4-$i" "$LOGS/shard.$i" "$@"
	done
	rm -f "$LOGS"/shard.*
}

# finish DIR ROWS HOST GUEST VCPUS NPT: rows without a result have failed, and
# so has what left a host behind that is not clean
finish()
{
	local dir=$1 rows=$2 driver class rest name

	shift 2
	touch "$dir/results.tsv"
	while IFS=$'\t' read -r driver class rest; do
		name=${driver%% *}
		grep -q "^$name	" "$dir/results.tsv" ||
			printf '%s\t%s\t%s\t%s\t%s\t%s\tno result: see %s/log\t-\t-\t-\t-\t-\tFAIL\n' \
				"$name" "$class" "$2" "$1" "$3" "$4" "$dir" >>"$dir/results.tsv"
	done <"$rows"
	if [ "$(cat "$dir/status")" != 0 ]; then
		printf '(host)\t-\t%s\t%s\t%s\t%s\t%s\t-\t-\t-\t-\t-\tFAIL\n' \
			"$2" "$1" "$3" "$4" "$(tail -n 1 "$dir/log")" >>"$dir/results.tsv"
	fi
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

if [ "${SETUPS:-}" = all ]; then
	for v in 1 2; do
		for npt in 1 0; do
			setup 6.1 6.1 $v $npt
			setup 6.12 6.12 $v $npt
		done
	done
elif [ -n "${HOST:-}${GUEST:-}${VCPUS:-}${NPT:-}" ]; then
	setup "${HOST:-6.1}" "${GUEST:-6.1}" "${VCPUS:-1}" "${NPT:-1}"
else
	setup 6.1 6.1 1 1
	setup 6.12 6.12 2 1
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
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
