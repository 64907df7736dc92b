#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [check | full | debug HOST]: the rows of suites.tsv that are for that
# target, debug with a host kernel of debug-kernel.sh instead of the row's. TAP lines
# from every part come out, prefixed by the part, and each whole report of a host
# kernel; the last line is "N passed, N failed, N skipped".
#
#	TESTS	these tests only, in the rows that have them
#	LIST	1: print the table, by test, and run nothing
#	HOST, GUEST, VCPUS, NPT
#		one set-up of a nested host instead of the rows, with TESTS or most of
#		what there is (the unit tests run, too, if there is no TESTS)
#	JOBS	rows at the same time (2); each has one CPU and 3 GB
#	SUITES, L1, OUT
#		another table, another l1.sh, another .cache/out (suites-test.sh)

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

SUITES=${SUITES:-selftests/suites.tsv}
L1=${L1:-selftests/env/l1.sh}
OUT=${OUT:-.cache/out}
L1_ARGS=(-t 3600)
# with debug, the host is the argument
SETUP=${GUEST:-}${VCPUS:-}${NPT:-}
JOBS=${JOBS:-2}
ALL_TESTS="act e1000 fault recover conform fast plugin defer load ioctl plain refuse life dirty machine host smm stress tools"

LOGS=$(mktemp -d)
trap 'rm -rf "$LOGS"' EXIT
trap 'stop_rows; exit 130' INT TERM HUP
# shellcheck source=selftests/env/l1-end.sh
. selftests/env/l1-end.sh

die() { echo "check: error: $*" >&2; exit 2; }

# ---- one part -----------------------------------------------------------------

# part NAME COMMAND...: its TAP lines are counted; a part that fails without a
# "not ok" of its own counts as one failure, and so does one in which nothing ran.
part()
{
	local name=$1 out status began=$SECONDS

	shift
	out=$(mktemp "$LOGS/part.XXXXXX")
	echo "# part $name"
	"$@" 2>&1 | tee "$out" | grep --line-buffered -aE '^(ok|not ok|#)' |
		sed -u -E "s/^(not ok|ok) ?[0-9]* ?-? ?/\1 - $name: /; s/^# (test .*)/# $name: \1/"
	status=${PIPESTATUS[0]}
	# no "grep -q" behind a pipe: with pipefail, what it leaves unread is a failure
	if [ "$(grep -aE '^(ok|not ok)' "$out" | grep -cvi '# *skip')" = 0 ] ||
	   { [ "$status" != 0 ] && ! grep -qa '^not ok' "$out"; }; then
		echo "not ok - $name: ended with status $status"
		tail -n 30 "$out" | sed 's/^/# /'
		printf '\nnot ok\n' >>"$out"
	fi
	echo "# part $name took $((SECONDS - began)) s"
}

unit_tests()
{
	part libchariot make --no-print-directory -C libchariot check
	part tools make --no-print-directory -C tools check
	part plugin make --no-print-directory -C qemu-plugin check
	part install bash selftests/install.sh
	part report bash selftests/campaign/report-test.sh
	part plan bash selftests/campaign/plan-test.sh
	part cases make --no-print-directory -C selftests/driver check
	part modules bash selftests/modules/run-test.sh
	part modules-report bash selftests/modules/report-test.sh
	part suites bash selftests/suites-test.sh
	part layers bash selftests/layers.sh ".build/kmod/$OLD"
}

# nested ROW HOST TEST...: in L1, with the guest of GUEST, VCPUS, NPT
nested()
{
	local dir=$OUT/check-$1 host=$2
	local name="$1 (host $2 guest $GUEST vcpus $VCPUS npt $NPT)"

	shift 2
	rm -rf "$dir"
	mkdir -p "$dir"
	# what its guest boots from: L1 would take long for that
	[[ " $* " != *" modules "* ]] || bash selftests/drivers-all.sh --sample >/dev/null
	part "$name" "$L1" -k "$host" -o "$dir" "${L1_ARGS[@]}" -- \
		bash selftests/run-tests.sh "$@"
	# after a panic there is the console only
	[ -f "$dir/l1.reports" ] || bad_reports <"$dir/l1.log" >"$dir/l1.reports"
	sed 's/^/# /' "$dir/l1.reports"
}

# ---- rows ---------------------------------------------------------------------

# The kernels that the table calls old and new
OLD=$(selftests/env/kernels.sh --old) && NEW=$(selftests/env/kernels.sh --new) || exit 2

# rows TARGET...: those that any of these has, with only the tests of TESTS, the
# longest first; the host is DEBUG_HOST if there is one
rows()
{
	awk -F'\t' -v OFS='\t' -v targets="$*" -v only="${TESTS:-}" -v host="${DEBUG_HOST:-}" \
		-v old="$OLD" -v new="$NEW" '
		function kernel(k) { return k == "old" ? old : k == "new" ? new : k }
		function has(list, one) { gsub(",", " ", list); return index(" " list " ", " " one " ") }
		/^(#|$)/ { next }
		{
			n = split(targets, t, " ")
			for (i = 1; i <= n && !has($2, t[i]); i++)
				;
			if (i > n)
				next
			n = split($10, t, " ")
			$10 = ""
			for (i = 1; i <= n; i++)
				if (only ~ /^ *$/ || has(only, t[i]))
					$10 = $10 ($10 == "" ? "" : " ") t[i]
			if ($10 == "")
				next
			$3 = host != "" ? host : kernel($3)
			$4 = kernel($4)
			print
		}' "$SUITES" | sort -t "$(printf '\t')" -s -k9,9nr
}

# The set-up that HOST, GUEST, VCPUS, NPT name, as a row
chosen()
{
	local npt=npt

	[ "${NPT:-1}" = 1 ] || npt=shadow
	[ -n "${TESTS:-}" ] || [ -n "${DEBUG_HOST:-}" ] || TESTS=unit rows check
	printf '%s\t' "${HOST:-$OLD}-${GUEST:-$OLD}-${VCPUS:-1}-$npt" - "${HOST:-$OLD}" "${GUEST:-$OLD}" \
		"${VCPUS:-1}" $npt - - 0
	echo "${TESTS:-$ALL_TESTS}"
}

run_row()
{
	local name host settings tests setting paging mode

	IFS=$'\t' read -r name _ host GUEST VCPUS paging mode settings _ tests <<<"$1"
	NPT=1
	[ "$paging" != shadow ] || NPT=0
	[ "$mode" != fast ] || export VM_MODE=fast
	for setting in ${settings#-}; do
		export "${setting//,/ }"
	done
	export GUEST VCPUS NPT
	# shellcheck disable=SC2086 # a list
	case $tests in
	unit)		unit_tests ;;
	campaign)	part "$name" bash selftests/campaign/check.sh ;;
	*)		nested "$name" "$host" $tests ;;
	esac
	: >"$LOGS/ended.$name"
}

# Each is a process group: one in the background would not end by ^C.
stop_rows()
{
	local pid

	for pid in $(jobs -p); do
		kill -TERM -- "-$pid"
	done 2>/dev/null
}

# As soon as one has ended the next one begins.
run_rows()
{
	local row running=0

	set -m
	for row; do
		if [ $running -ge "$JOBS" ]; then
			wait -n
			running=$((running - 1))
		fi
		run_row "$row" </dev/null &
		running=$((running + 1))
	done
	wait
	for row; do
		[ -e "$LOGS/ended.${row%%$'\t'*}" ] && continue
		echo "not ok - ${row%%$'\t'*}: did not run to its end" | tee "$LOGS/part.${row%%$'\t'*}"
	done
}

# settings_of TEST SETTINGS: those that it reads
settings_of()
{
	local file=selftests/t/$1.sh setting some=

	[ "$1" != campaign ] || file=selftests/campaign/check.sh
	for setting in ${2#-}; do
		! grep -qsw "${setting%%=*}" "$file" || some="$some $setting"
	done
	echo "${some:- -}"
}

# For people: by test
list()
{
	local row targets host guest vcpus paging mode settings tests t

	{
		printf '%s\t' TEST HOST GUEST VCPUS PAGING MODE TARGETS ROW
		echo SETTINGS
		rows check full debug |
		while IFS=$'\t' read -r row targets host guest vcpus paging mode settings _ tests; do
			for t in $tests; do
				printf '%s\t' "$t" "$host" "$guest" "$vcpus" "$paging" "$mode" \
					"$targets" "$row"
				settings_of "$t" "$settings"
			done
		done | sort -s -k1,1
	} | column -t -s $'\t'
}

# ---- all ----------------------------------------------------------------------

case $#${1:-} in
0 | 1check)
	SETUP=$SETUP${HOST:-} TARGETS=check ;;
1full)
	SETUP=$SETUP${HOST:-} TARGETS="check full" ;;
2debug)
	HOST=$2 DEBUG_HOST=$2 TARGETS=debug
	L1_ARGS=(-t 10800 -m 6144)
	export WAIT=3000 ;;
*)
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2 ;;
esac
[ -f "$SUITES" ] || die "no table $SUITES"
if [ -n "${LIST:-}" ]; then
	list
	exit
fi
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || die "JOBS: '$JOBS' is no number of rows"

# shellcheck disable=SC2086 # a list
if [ -n "$SETUP" ]; then
	mapfile -t ROWS < <(chosen)
else
	mapfile -t ROWS < <(rows $TARGETS)
	for t in ${TESTS:-}; do
		[ -n "$(TESTS=$t rows $TARGETS)" ] || die "TESTS: no row of $SUITES for $TARGETS has '$t'"
	done
fi
run_rows "${ROWS[@]}"

cat "$LOGS"/part.* >"$LOGS/all"
passed=$(grep -a '^ok' "$LOGS/all" | grep -cvi '# *skip')
skipped=$(grep -a '^ok' "$LOGS/all" | grep -ci '# *skip')
failed=$(grep -ca '^not ok' "$LOGS/all")
echo "# took $SECONDS s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
