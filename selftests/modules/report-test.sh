#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# report-test.sh: does report.sh judge and count right? TAP lines; needs no VM.

set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
R="$DIR/all of it.json"
# shellcheck source=selftests/tap.sh
. "$HERE/../tap.sh"

report() { bash "$HERE/report.sh" "$@" 2>"$DIR/notes"; }

# result MODULE DIR CONFIG OUTCOME [JSON]: a line; JSON has other members. Host and
# guest are $H, $G.
result()
{
	local more=

	[ "$3" = none ] || more=',"isolated":true,"violations":0,"evidence":0'
	printf '{"module":"%s","dir":"%s","guest":"%s","host":"%s","config":"%s","outcome":"%s",' \
		"$1" "$2" "${G:-6.1}" "${H:--}" "$3" "$4"
	printf '"error":"","unload":"0","left":0,"log":"","why":"","seconds":0.5%s%s}\n' "$more" "${5:+,$5}"
}

# row TITLE SUBSYSTEM: figures of the table's row
row()
{
	awk -v t="$1" -v s="$2" '
		index($0, t) == 1 { on = 1; next }
		/^WITH/ { on = 0 }
		on && $1 == s { $1 = ""; print substr($0, 2); exit }' "$DIR/table"
}

known()
{
	result good drivers/net/a none loaded
	result better drivers/net/b none loaded
	result wrote drivers/net/a none loaded
	result stays fs/x none loaded '"unload":"EBUSY"'
	result stuck fs/y none loaded
	result nodev drivers/usb none refused '"error":"ENODEV"'
	result nodev2 drivers/usb none refused '"error":"ENODEV"'
	result noent drivers/usb none refused '"error":"ENOENT"'
	result bites lib none crash
	result warns lib none loaded '"log":"WARNING: x"'
	result warned lib none loaded
	result open lib none loaded
	result dies lib/z none loaded
	result vague lib/z none loaded
	H=6.12
	result good drivers/net/a strict loaded '"evidence":3'
	result better drivers/net/b strict loaded '"evidence":4'
	result wrote drivers/net/a strict loaded '"violations":7,"why":"violation wrote: x"'
	result stays fs/x strict loaded '"unload":"EBUSY"'
	result stuck fs/y strict loaded '"unload":"EWOULDBLOCK"'
	result warns lib strict loaded '"log":"WARNING: x"'
	result warned lib strict loaded '"log":"WARNING: y"'
	result dies lib/z strict crash '"why":"BUG: no"'
	result vague lib/z strict loaded '"isolated":false,"why":"error vague is NOT isolated"'
	unset H
}

test_table()
{
	known >"$R"
	report table "$R" >"$DIR/table"
	is "no note where there is nothing to note" "$(cat "$DIR/notes")" ""
	is "without: a subsystem" "$(row WITHOUT drivers/usb)" "3 0 3 0 0 0 0 1.5"
	is "without: stays" "$(row WITHOUT fs)" "2 2 0 1 0 0 0 1"
	is "without: dies, and complains" "$(row WITHOUT lib)" "6 5 0 0 1 1 0 3"
	is "without: all" "$(row WITHOUT all)" "14 10 3 1 1 1 0 7"
	is "why they are refused" "$(grep '^refused:' "$DIR/table")" "refused: ENODEV 2, ENOENT 1"
	is "with: a subsystem" "$(row 'WITH CHARIOT: guest 6.1, host 6.12, strict' drivers/net)" "3 3 0 0 1 7 7 1 0 1.5"
	is "with: refused is not judged" "$(row 'WITH CHARIOT' drivers/usb)" "3 0 3 0 0 0 0 0 0 0"
	is "with: what is not run is told" "$(row 'WITH CHARIOT' lib)" "6 3 0 1 0 0 0 3 1 2"
	is "with: all" "$(row 'WITH CHARIOT' all)" "14 8 3 1 1 7 7 5 1 4.5"
	is "each failure is told" "$(grep -A1 '^FAILED: violations' "$DIR/table" | paste -sd'|')" \
		"FAILED: violations: 1|wrote (drivers/net/a): violation wrote: x"
	is "all of them" "$(grep -c '^FAILED' "$DIR/table")" 5
}

# class_of PLAIN WITH [NESTED]: what is said of a module; "-" is no run, else outcome
# and other members
class_of()
{
	{
		[ "$1" = - ] || result m lib none "${1%% *}" "${1#* }"
		[ -z "${3:-}" ] || H=6.1 result m lib none "${3%% *}" "${3#* }"
		H=6.1 result m lib strict "${2%% *}" "${2#* }"
	} >"$DIR/one.json"
	report tap "$DIR/one.json" | sed 's/^not ok - m: \([^:]*\):.*/\1/; s/^ok - m$/ok/; s/.*# SKIP \([a-z]*\).*/skip \1/'
}

test_classes()
{
	local good='loaded "x":1' refused='refused "error":"ENODEV"' warns='loaded "log":"WARNING: x"'
	local stays='loaded "unload":"EBUSY"'

	is "loaded" "$(class_of "$good" "$good")" ok
	is "loaded, and nothing is known of it without" "$(class_of - "$good")" ok
	is "refused by both" "$(class_of "$refused" "$refused")" "skip refused"
	is "refused with Chariot" "$(class_of "$good" "$refused")" "not loaded"
	is "refused, and nothing is known of it without" "$(class_of - "$refused")" "not loaded"
	is "loaded only with Chariot" "$(class_of "$refused" "$good")" ok
	is "refused in a nested host without Chariot, too" "$(class_of "$good" "$refused" "$refused")" "skip refused"
	is "violations" "$(class_of "$good" 'loaded "violations":1')" violations
	is "not isolated" "$(class_of "$good" 'loaded "isolated":false')" "not isolated"
	is "does not unload" "$(class_of "$good" "$stays")" "not unloaded"
	is "does not unload without" "$(class_of "$stays" "$stays")" ok
	is "does not unload, otherwise" "$(class_of "$stays" 'loaded "unload":"killed"')" "not unloaded"
	is "does not unload, and nothing is known of it without" "$(class_of - "$stays")" "not unloaded"
	is "complaint" "$(class_of "$good" "$warns")" complaint
	is "complaint without" "$(class_of "$warns" "$warns")" ok
	is "complaint without, in a nested host" "$(class_of "$good" "$warns" "$warns")" ok
	is "dies" "$(class_of "$good" 'crash "x":1')" crash
	is "dies without" "$(class_of 'crash "x":1' 'crash "x":1')" "skip unwell"
	is "hangs where it is refused without" "$(class_of "$refused" 'hang "x":1')" hang
	is "there was no guest" "$(class_of "$good" 'unjudged "x":1')" unjudged
	is "the host died" "$(class_of "$good" 'host "x":1')" host
}

# verdict CONFIGS MODULE...: of a plan of these
verdict()
{
	printf '1 %s x\n' "${@:2}" >"$DIR/plan"
	report verdict "$DIR/plan" 6.1 6.12 "$1" "$R"
	echo "status $?"
}

test_verdict()
{
	known >"$R"
	is "passed" "$(verdict strict good better stays | xargs)" "3 passed, 0 failed status 0"
	is "failed" "$(verdict strict good wrote dies | xargs)" "1 passed, 2 failed status 1"
	is "what is refused counts for nothing" "$(verdict strict good nodev bites | xargs)" "1 passed, 0 failed status 0"
	is "what was not run has failed" "$(verdict strict good open | xargs)" "1 passed, 1 failed status 1"
	is "what is not known at all has failed" "$(verdict strict good nosuch | xargs)" "1 passed, 1 failed status 1"
	is "nothing passed" "$(verdict strict nodev | xargs)" "0 passed, 0 failed status 1"
	is "another configuration" "$(verdict fast good | xargs)" "0 passed, 1 failed status 1"
	is "both" "$(verdict "strict fast" good | xargs)" "1 passed, 1 failed status 1"
	is "only without Chariot" "$(verdict "" good nodev bites | xargs)" "3 passed, 0 failed status 0"
	is "only without Chariot: no result" "$(verdict "" good nosuch | xargs)" "1 passed, 1 failed status 1"
	H=6.12 result "(host)" "" strict host >>"$R"
	is "a host that is not well" "$(verdict strict good | xargs)" "1 passed, 1 failed status 1"
	G=6.12 H=6.12 result good drivers/net/a strict crash >>"$R"
	is "another guest is another thing" "$(verdict strict better | xargs)" "1 passed, 1 failed status 1"
}

test_bad()
{
	{ known; echo '{"module":"torn","dir'; echo 'null'; } >"$R"
	report table "$R" >"$DIR/table"
	is "broken lines are told" "$(cat "$DIR/notes")" "report: note: lines that are broken, skipped: 2"
	is "and skipped" "$(row WITHOUT all)" "14 10 3 1 1 1 0 7"
	{ known; H=6.12 result wrote drivers/net/a strict loaded; } >"$R"
	is "the last one counts" "$(verdict strict wrote | xargs)" "1 passed, 0 failed status 0"
	head -c -1 "$R" >"$R.2"
	is "two files" "$(report table "$R.2" "$R" | grep -c '^WITHOUT')" 1
	: >"$R"
	is "no results" "$(report table "$R")" "no results"
	report table "$DIR/nosuch"
	is "a file that is not there" "$? $(cat "$DIR/notes")" "2 report: error: $DIR/nosuch: cannot be read"
	report nonsense "$R"
	is "a command that is none" $? 2
	report table
	is "no file" $? 2
}

test_table
test_classes
test_verdict
test_bad
exit $failed
