#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [debug HOST]: all tests, or the nested ones with a host kernel of
# debug-kernel.sh. TAP lines from every part come out, prefixed by the part, and
# each whole report of a host kernel; the last line is "N passed, N failed, N
# skipped".
#
# HOST, GUEST, VCPUS, NPT choose one nested set-up instead of the lists below;
# TESTS (with debug, TESTS alone, too) the tests that run there.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

LOGS=$(mktemp -d)
trap 'rm -rf "$LOGS"' EXIT
# shellcheck source=selftests/l1-end.sh
. selftests/l1-end.sh

# part NAME COMMAND...: its TAP lines are counted; a part that fails without a
# "not ok" of its own counts as one failure, and so does one without any line.
part()
{
	local name=$1 out status began=$SECONDS

	shift
	out=$(mktemp "$LOGS/part.XXXXXX")
	echo "# part $name"
	"$@" 2>&1 | tee "$out" | grep --line-buffered -aE '^(ok|not ok|#)' |
		sed -u -E "s/^(not ok|ok) ?[0-9]* ?-? ?/\1 - $name: /"
	status=${PIPESTATUS[0]}
	if ! grep -qaE '^(ok|not ok)' "$out" ||
	   { [ "$status" != 0 ] && ! grep -qa '^not ok' "$out"; }; then
		echo "not ok - $name: ended with status $status"
		tail -n 30 "$out" | sed 's/^/# /'
		printf '\nnot ok\n' >>"$out"
	fi
	echo "# part $name took $((SECONDS - began)) s"
}

L1_ARGS=(-t 3600)

# nested HOST GUEST VCPUS NPT TEST...
nested()
{
	local name="host $1 guest $2 vcpus $3 npt $4"
	local host=$1 dir

	export GUEST=$2 VCPUS=$3 NPT=$4
	shift 4
	dir=.cache/out/check-$host-$GUEST-$VCPUS-$NPT
	rm -rf "$dir"
	mkdir -p "$dir"
	part "$name" selftests/l1.sh -k "$host" -o "$dir" "${L1_ARGS[@]}" -- \
		bash selftests/run-tests.sh "$@"
	# after a panic there is the console only
	[ -f "$dir/l1.reports" ] || bad_reports <"$dir/l1.log" >"$dir/l1.reports"
	sed 's/^/# /' "$dir/l1.reports"
}

unit_tests()
{
	part libchariot make --no-print-directory -C libchariot check
	part tools make --no-print-directory -C tools check
	part plugin make --no-print-directory -C qemu-plugin check
	part install bash selftests/install.sh
	part report bash selftests/campaign/report-test.sh
	part plan bash selftests/campaign/plan-test.sh
	part layers bash selftests/layers.sh .build/kmod/6.1
}

all_nested()
{
	# Each has one CPU, so two at a time.
	nested 6.1 6.1 1 1 act e1000 fault recover plugin load virsh live ioctl plain life dirty host stress &
	nested 6.12 6.12 2 1 act e1000 recover conform plugin host stress
	wait
	VM_VERDICT=oops nested 6.12 6.1 1 1 conform &
	VM_STORM=2000 nested 6.12 6.1 1 0 e1000 conform host stress
	wait
	VM_MODE=fast VM_RECOVER=all_kinds_recover nested 6.1 6.1 2 1 fast recover conform &
	VM_TOOLS="text tools" nested 6.12 6.12 1 1 machine defer tools
	wait
	part campaign bash selftests/campaign/check.sh
}

# The same tests, of the same set-ups as far as there is one host kernel. It is
# several times slower, and its memory has shadows.
debug_nested()
{
	local host=$1

	nested "$host" 6.1 1 1 act e1000 fault recover plugin load virsh live ioctl plain life dirty host stress tools &
	VM_STORM=2000 nested "$host" 6.1 1 0 e1000 conform host stress
	wait
	VM_MODE=fast VM_RECOVER=all_kinds_recover nested "$host" 6.1 2 1 fast recover conform &
	nested "$host" 6.12 1 1 machine defer
	wait
}

# shellcheck disable=SC2086 # a list
one_nested()
{
	nested "${HOST:-6.1}" "${GUEST:-6.1}" "${VCPUS:-1}" "${NPT:-1}" \
		${TESTS:-act e1000 fault recover conform fast plugin defer load ioctl plain life dirty machine host stress tools}
}

case $#${1:-} in
2debug)
	HOST=$2
	L1_ARGS=(-t 10800 -m 6144)
	export WAIT=3000
	if [ -n "${TESTS:-}${GUEST:-}${VCPUS:-}${NPT:-}" ]; then
		one_nested
	else
		debug_nested "$HOST"
	fi ;;
0)
	unit_tests
	if [ -n "${HOST:-}${GUEST:-}${VCPUS:-}${NPT:-}" ]; then
		one_nested
	else
		all_nested
	fi ;;
*)
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2 ;;
esac

cat "$LOGS"/part.* >"$LOGS/all"
passed=$(grep -a '^ok' "$LOGS/all" | grep -cvi '# *skip')
skipped=$(grep -a '^ok' "$LOGS/all" | grep -ci '# *skip')
failed=$(grep -ca '^not ok' "$LOGS/all")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
