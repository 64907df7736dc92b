#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# report.sh: what drivers-all.sh's results say.
#
#	report.sh table FILE...		by subsystem, and what failed
#	report.sh tap FILE...		a TAP line for each module that was loaded with Chariot
#	report.sh verdict PLAN GUEST HOST CONFIGS FILE...
#					"N passed, N failed", of the modules in PLAN ("BATCH
#					MODULE DIRECTORY" lines); one without a result has
#					failed; the status is 1 if there are any
#
# FILEs are results of one machine or of many. What is there twice counts as it was
# last. A module that does not load without Chariot is not judged. One that does has
# to load with it, be isolated, have no violation, unload if it does so without, and
# make the kernel complain of nothing that it does not complain of without.

# shellcheck disable=SC2016 # $ is jq's
set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=selftests/align.sh
. "$HERE/../align.sh"

die() { echo "report: error: $*" >&2; exit 2; }

usage() { sed -n '6,8s/^#\t//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

read_results()
{
	local f

	for f; do
		if [ ! -r "$f" ] || [ -d "$f" ]; then
			die "$f: cannot be read"
		fi
	done
	# each file ends its last line, even if its writer did not
	for f; do
		cat -- "$f" && echo
	done | jq -nR -L "$HERE" 'include "report"; summary' >"$WORK/summary" ||
		die "the results could not be counted"
	q '.read.broken | select(. > 0) | "report: note: lines that are broken, skipped: \(.)"' >&2
}

q() { jq -r -L "$HERE" "${@:2}" "include \"report\"; $1" "$WORK/summary" || die "the results could not be told"; }

table()
{
	q '
	def cells($names): ["subsystem", $names[]], (.rows[] | [.subsystem, .[$names[]]]);
	def lines(f): f | map(tostring) | join("\t");
	if .read.records == 0 then "no results" else
	(.plain[] | "WITHOUT CHARIOT: guest \(.guest)",
		lines(cells(["modules", "loaded", "refused", "stays", "unwell", "complaints", "unjudged", "seconds"])),
		"refused: \(.errors | map("\(.error) \(.n)") | join(", "))", ""),
	(.setups[] | "WITH CHARIOT: guest \(.guest), host \(.host), \(.config)",
		lines(cells(["modules", "loaded", "refused", "unwell", "violated", "violations",
			"evidence", "failed", "missing", "seconds"])), "",
		(.modules | map(select(.class | fails)) | group_by(.class) | sort_by(-length)[] |
			"FAILED: \(.[0].class): \(length)", (.[] | "\(.module) (\(.dir)): \(.why)"[:300]), ""))
	end' | align 1
}

tap()
{
	q '.setups[] | .modules[] | select(.class != "missing") |
		if .class | fails then "not ok - \(.module): \(.class): \(.why)"[:400]
		elif .class == "ok" then "ok - \(.module)"
		else "ok - \(.module) # SKIP \(.class) without Chariot: \(.why)" end'
}

# With no CONFIGS a module passes if there is a result.
verdict()
{
	cut -d' ' -f2 "$PLAN" | jq -R . | jq -s . >"$WORK/plan"
	q '[classes($plan[0]; $guest; $host; $configs | split(" ") | map(select(. != "")))] |
		(map(select(. == "ok")) | length) as $passed |
		(map(select(fails or . == "missing")) | length) as $failed |
		"\($passed) passed, \($failed) failed"' \
		--slurpfile plan "$WORK/plan" --arg guest "$GUEST" --arg host "$HOST" \
		--arg configs "$CONFIGS" | tee "$WORK/verdict"
	grep -q '^[1-9][0-9]* passed, 0 failed$' "$WORK/verdict"
}

command=${1:-}
[ $# -ge 2 ] || usage
shift
case $command in
table|tap) ;;
verdict)
	[ $# -ge 5 ] || usage
	PLAN=$1 GUEST=$2 HOST=$3 CONFIGS=$4
	[ -r "$PLAN" ] || die "$PLAN: cannot be read"
	shift 4 ;;
*)	usage ;;
esac
command -v jq >/dev/null || die "jq is missing (selftests/deps.sh)"
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
read_results "$@"
$command
