#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suites-test.sh: is suites.tsv right, and does check.sh run what it says, all of
# it, and fail if something did not run? TAP lines; a stub stands in for L1.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

# what `make check` was asked for is not for this test
unset TESTS LIST HOST GUEST VCPUS NPT JOBS "${!VM_@}"
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
# shellcheck source=selftests/tap.sh
. selftests/tap.sh

# ---- the table ----------------------------------------------------------------

# of its rows, by what they say: two at a time take 25 minutes, and the build 2 to 3
LIMIT=3000

known_tests() { (cd selftests/t && printf '%s\n' *.sh) | sed 's/\.sh$//'; }

# tests_of TARGET: those of its rows
tests_of()
{
	awk -F'\t' -v t="$1" '!/^(#|$)/ && $2 ~ t { gsub(" ", "\n", $10); print $10 }' \
		selftests/suites.tsv | sort -u
}

test_table()
{
	local t

	is "each row is right" "$(awk -F'\t' -v known="$(known_tests | xargs)" '
		/^(#|$)/ { next }
		{
			bad = ""
			machine = $10 != "unit"
			if (NF != 10) bad = NF " fields"
			else if ($1 !~ /^[a-z0-9.-]+$/ || seen[$1]++) bad = "name"
			else if ($2 !~ /^(check|full|debug)(,(check|full|debug))*$/) bad = "targets"
			else if ($3 " " $4 !~ (machine ? "^(old|new) (old|new)$" : "^- -$")) bad = "kernels"
			else if ($5 !~ (machine ? "^[12]$" : "^-$")) bad = "vcpus"
			else if ($6 !~ (machine ? "^(npt|shadow)$" : "^-$")) bad = "paging"
			else if ($7 !~ (machine ? "^(strict|fast)$" : "^-$")) bad = "mode"
			else if ($8 !~ /^(-|[A-Z_]+=[^ ]+( [A-Z_]+=[^ ]+)*)$/) bad = "settings"
			else if ($9 !~ /^[0-9]+$/) bad = "seconds"
			else if ($10 !~ /^(unit|campaign)$/) {
				n = split($10, t, " ")
				for (i = 1; i <= n; i++)
					if (!index(" " known " ", " " t[i] " "))
						bad = "test " t[i]
			}
			if (bad != "")
				print FNR ": " bad
		}' selftests/suites.tsv)" ""
	is "make check takes below 30 minutes: on one CPU, without what is built, $LIMIT s" \
		"$([ "$(awk -F'\t' '!/^#/ && $2 ~ /check/ { n += $9 } END { print n }' selftests/suites.tsv)" -le $LIMIT ] || echo longer)" ""
	is "make check has every test but those that take too long" \
		"$(comm -23 <(known_tests | sort) <(tests_of check) | xargs)" "modules ops smm"
	for t in $(known_tests) unit campaign; do
		grep -q "^\`\`$t\`\`" selftests/README.rst || echo "$t"
	done >"$DIR/untold"
	is "README.rst tells of every test" "$(xargs <"$DIR/untold")" ""
	is "LIST=1 has every test" "$(LIST=1 bash selftests/check.sh | sed '1d; s/ .*//' | sort -u | xargs)" \
		"$({ known_tests; echo unit; echo campaign; } | sort -u | xargs)"
	is "LIST=1 TESTS=dirty has that one" \
		"$(LIST=1 TESTS=dirty bash selftests/check.sh | sed '1d; s/ .*//' | sort -u | xargs)" dirty
	is "LIST=1 has a setting where it is read, only" \
		"$(LIST=1 TESTS="act recover" bash selftests/check.sh | grep VM_ | sed 's/ .*//' | sort -u | xargs)" recover
}

# ---- the runs -----------------------------------------------------------------

# A stub of l1.sh: it says with what it was run, by file for the order; what
# happens in the row is what the name of its only test says.
stub()
{
	cat >"$DIR/l1" <<'END'
#!/bin/bash
while [ "$1" != -- ]; do
	case $1 in -k) host=$2 ;; -o) dir=$2; : >"$dir/l1.reports" ;; esac
	shift
done
shift 3
row=${dir##*/check-}
mkdir "$STUB/runs.$row"
echo "$row $(ls -d "$STUB"/runs.* | wc -l)" >>"$STUB/order"
echo "$row $host $GUEST $VCPUS $NPT ${VM_MODE:--} ${VM_TOOLS:--}: $*" >>"$STUB/ran"
status=0
case $* in
bad)	echo "ok - a"; echo "not ok - b" ;;
dies)	echo "ok - a"; status=125 ;;
silent)	;;
skips)	echo "ok - a # SKIP it cannot" ;;
slow)	sleep 3; echo "ok - a" ;;
hangs)	echo $$ >"$STUB/hangs"; sleep 300 ;;
ends)	kill -KILL $PPID; sleep 1 ;;
*)	for t; do echo "# test $t"; echo "ok - $t: a"; done ;;
esac
rmdir "$STUB/runs.$row"
exit $status
END
	chmod +x "$DIR/l1"
}

# row NAME TARGETS SECONDS TESTS [SETTINGS]
row() { printf '%s\t' "$1" "$2" new old 2 shadow fast "${5:--}" "$3"; echo "$4"; }

# check ARG...: check.sh with the table on stdin; what it said is in $DIR/said
check()
{
	rm -rf "$DIR/stub"
	mkdir "$DIR/stub"
	cat >"$DIR/table"
	STUB=$DIR/stub KERNELS="6.1 6.12" SUITES=$DIR/table L1=$DIR/l1 OUT=$DIR/out bash selftests/check.sh "$@" >"$DIR/said" 2>&1
	echo "status $?" >>"$DIR/said"
}

ran() { sort "$DIR/stub/ran" 2>/dev/null | paste -sd'|'; }

ended() { tail -n 2 "$DIR/said" | paste -sd' '; }

some_rows()
{
	row stub-short check,debug 1 "a b"
	row stub-full full 5 c
	row stub-long check 9 "b d" "VM_TOOLS=x,y"
}

test_runs()
{
	some_rows | JOBS=1 check
	is "rows of check" "$(ran)" "stub-long 6.12 6.1 2 0 fast x y: b d|stub-short 6.12 6.1 2 0 fast -: a b"
	is "they pass" "$(ended)" "4 passed, 0 failed, 0 skipped status 0"
	is "the longest is first, one at a time" "$(paste -sd'|' "$DIR/stub/order")" "stub-long 1|stub-short 1"
	is "a line says of which row it is" "$(grep -c '^ok - stub-long (host 6.12 guest 6.1 vcpus 2 npt 0): d: a' "$DIR/said")" 1
	some_rows | check full
	is "check-full has those of check, too" "$(ran | grep -o 'stub-[a-z]*' | xargs)" "stub-full stub-long stub-short"
	some_rows | check debug 6.1-debug
	is "check-debug has its own host" "$(ran)" "stub-short 6.1-debug 6.1 2 0 fast -: a b"
	some_rows | TESTS="b" check
	is "TESTS: in the rows that have them" "$(ran | grep -o 'stub[^|]*' | sed 's/ .*:/:/' | xargs)" "stub-long: b stub-short: b"
	some_rows | TESTS="b nosuch" check
	is "TESTS: one that no row has is an error" "$(ended)" \
		"check: error: TESTS: no row of $DIR/table for check has 'nosuch' status 2"
	is "and nothing runs" "$(ran)" ""
	some_rows | HOST=6.12 NPT=0 TESTS="x y" check
	is "HOST, NPT: one set-up" "$(ran)" "6.12-6.1-1-shadow 6.12 6.1 1 0 - -: x y"
	some_rows | HOST=6.1 TESTS="" check
	is "HOST alone: most of what there is" "$(ran | grep -c 'act e1000 .* tools$')" 1
	some_rows | VCPUS=2 check debug 6.1-debug
	is "check-debug, VCPUS" "$(ran | cut -c-30)" "6.1-debug-6.1-2-npt 6.1-debug "
	{ row stub-slow check 9 slow; row stub-a check 3 a; row stub-b check 2 b; row stub-c check 1 c; } | check
	is "two at a time; the next begins when one has ended" "$(sed -n '3,$p' "$DIR/stub/order" | paste -sd'|')" \
		"stub-b 2|stub-c 2"
}

test_failures()
{
	{ row stub-a check 1 a; row stub-bad check 1 bad; } | check
	is "a test that fails" "$(ended)" "2 passed, 1 failed, 0 skipped status 1"
	{ row stub-a check 1 a; row stub-dies check 1 dies; } | check
	is "a machine that dies" "$(ended)" "2 passed, 1 failed, 0 skipped status 1"
	{ row stub-a check 1 a; row stub-silent check 1 silent; } | check
	is "a row that says nothing" "$(ended)" "1 passed, 1 failed, 0 skipped status 1"
	{ row stub-a check 1 a; row stub-skips check 1 skips; } | check
	is "a row that is skipped" "$(ended)" "1 passed, 1 failed, 1 skipped status 1"
	{ row stub-a check 1 a; row stub-ends check 1 ends; } | check
	is "a row that does not come to its end" "$(ended)" "1 passed, 1 failed, 0 skipped status 1"
	is "is named" "$(grep -c '^not ok - stub-ends: did not run to its end' "$DIR/said")" 1
	row stub-full full 1 a | check
	is "no row at all" "$(ended)" "0 passed, 0 failed, 0 skipped status 1"
	some_rows | check nonsense
	is "a target that is none" "$(tail -n 1 "$DIR/said")" "status 2"
	some_rows | JOBS=0 check
	is "no rows at a time" "$(ended)" "check: error: JOBS: '0' is no number of rows status 2"
}

test_stop()
{
	local pid n=0

	mkdir "$DIR/s"
	row stub-hangs check 1 hangs >"$DIR/table"
	STUB=$DIR/s KERNELS="6.1 6.12" SUITES=$DIR/table L1=$DIR/l1 OUT=$DIR/out bash selftests/check.sh >"$DIR/said" 2>&1 &
	pid=$!
	until [ -s "$DIR/s/hangs" ] || [ $((n += 1)) -gt 300 ]; do
		sleep 0.1
	done
	kill -TERM $pid
	wait $pid
	is "a check that is ended" $? 130
	n=0
	while kill -0 "$(cat "$DIR/s/hangs")" 2>/dev/null && [ $((n += 1)) -le 300 ]; do
		sleep 0.1
	done
	is "leaves no machine behind" "$(kill -0 "$(cat "$DIR/s/hangs")" 2>/dev/null && echo running)" ""
}

test_table
stub
test_runs
test_failures
test_stop
exit $failed
