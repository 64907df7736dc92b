#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# report-test.sh: does report.sh count right? TAP lines; needs no VM.

# shellcheck disable=SC2016 # $ is jq's, ` Markdown's
set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
R="$DIR/all of it.json"
export BENCH=
# shellcheck source=selftests/tap.sh
. "$HERE/../tap.sh"

# has NAME FILE TEXT: has FILE a line with TEXT?
has()
{
	if grep -qF -- "$3" "$2"; then
		ok "$1"
	else
		not_ok "$1" "'$3' is not there"
	fi
}

report() { bash "$HERE/report.sh" "$@" 2>"$DIR/notes"; }

# result DRIVER CONFIG SEED TYPE OUTCOME [JSON]: a line; JSON has more members
result()
{
	printf '{"driver":"%s","class":"net","guest":"6.1","host":"6.12","config":"%s",' "$1" "$2"
	[ "$2" = none ] || printf '"verdict":"recover",'
	printf '"seed":%s,"type":"%s","function":"f","offset":"0x%x","address":"0xffffffffc0000000",' "$3" "$4" "$3"
	printf '"old":"90","new":"91","before":"movl (%%rax), %%ecx","after":"nop","asked":"random",'
	printf '"outcome":"%s","why":"","wrong_steps":1,"seconds":1%s}\n' "$5" "${6:+,$6}"
}

# row FILE WORD...: figures of the table's row that begins with these words
row()
{
	awk -v want="${*:2}" '
		BEGIN { n = split(want, w, " ") }
		{
			for (i = 1; i <= n; i++)
				if ($i != w[i])
					next
			for (i = n + 1; i <= NF; i++)
				printf "%s%s", $i, i < NF ? " " : "\n"
			exit
		}' "$1"
}

# part FILE TITLE: of the table
part() { awk -v t="$2" '$0 == t { on = 1; next } /^WITH/ { on = 0 } on' "$1"; }

known()
{
	local more='"violations":1,"faults":0,"recoveries":0'
	local stopped='"violations":0,"faults":1,"recoveries":1'

	result e1000 none 1 nop inactive
	result e1000 none 2 nop benign
	result e1000 none 3 nop wrong
	result e1000 none 4 nop warn
	result e1000 none 5 nop corrupt
	result e1000 none 6 nop oops
	result e1000 none 7 text hang
	result e1000 none 8 text crash
	result e1000 none 9 text unjudged
	result e1000 none 10 text crash
	result e1000 none 11 text crash
	result e1000 strict 5 nop benign "$more,\"wrong_steps\":0,\"service\":\"\""
	result e1000 strict 6 nop wrong "$stopped,\"service\":\"ok\""
	result e1000 strict 7 text warn '"violations":0,"faults":0,"service":"wrong x"'
	result e1000 strict 8 text unjudged "$more,\"why\":\"qemu: /home/me/x y: no\""
	result e1000 strict 10 text crash '"violations":0,"faults":1,"recoveries":0'
	result e1000 fast 5 nop corrupt '"violations":0,"faults":0,"recoveries":0,"why":"mem changed rodata x 0x1|mem changed 1"'
	result e1000 fast 6 nop oops '"violations":0,"why":"log [   9.1] BUG: kernel NULL pointer dereference|log [   9.2] RIP: 0010:f+0x1/0x2 [e1000]"'
	result e1000 fast 7 text hang '"violations":0,"why":"guest hung|log [  1.0] watchdog: BUG: soft lockup - CPU#0 stuck"'
	result e1000 fast 8 text benign "$more"
	result snd-ens1370 none 5 nop crash
	result snd-ens1370 strict 5 nop oops '"violations":0,"why":"log [ 9.1] general protection fault|log [ 9.2] RIP: 0010:g+0x1/0x2 [snd_ens1370]"'
	result snd-ens1370 fast 5 nop oops '"violations":0,"why":"log [ 9.1] general protection fault|log [ 9.2] RIP: 0010:memcpy+0x1/0x2"'
}

# A guest with an IOMMU is another one, and so is the mode.
test_iommu()
{
	{
		known
		result e1000 none 5 nop crash '"iommu":true'
		result e1000 none 6 nop wrong '"iommu":true'
		result e1000 strict 5 nop hang '"iommu":true,"violations":1'
		result e1000 strict 6 nop crash '"iommu":true,"violations":1'
	} >"$DIR/iommu.json"
	report table "$DIR/iommu.json" >"$DIR/table"
	part "$DIR/table" "WITHOUT CHARIOT" >"$DIR/none"
	is "IOMMU: without Chariot" "$(row "$DIR/none" e1000 6.1 with IOMMU on 6.12 total)" \
		"2 0 0 1 0 1 0 0 0 1 0 0"
	part "$DIR/table" "WITH CHARIOT: strict, guest with IOMMU, verdict recover" >"$DIR/iommu"
	is "IOMMU: with Chariot" "$(row "$DIR/iommu" all all total)" \
		"1 1 0 0.0 0.0-79.3 0 0 - - 0 0"
	part "$DIR/table" "WITH CHARIOT: strict, verdict recover" >"$DIR/strict"
	is "IOMMU: not counted with those that have none" "$(row "$DIR/strict" all all total)" \
		"7 6 3 50.0 18.8-81.2 1 2 66.7 20.8-93.9 1 0"
	is "IOMMU: no others beside it" "$(row "$DIR/iommu" snd-ens1370)" ""
	report document "$DIR/iommu.json" >"$DIR/document"
	has "IOMMU: the others have their faults in common" "$DIR/document" \
		"| strict, verdict recover | 5 | 3 | 60.0 |"
	has "IOMMU: how to make it again" "$DIR/document" \
		"    make campaign DRIVER=e1000 GUEST=6.1 HOST=6.12 IOMMU=1 TYPES=all SEEDS=5-6 CONFIGS=strict VERDICT=recover"
	has "IOMMU: in the document" "$DIR/document" \
		"- strict, guest with IOMMU, verdict recover: 0 of 1 faults"
}

test_table()
{
	known >"$R"
	report table "$R" >"$DIR/table"
	is "no note where there is nothing to note" "$(cat "$DIR/notes")" ""
	part "$DIR/table" "WITHOUT CHARIOT" >"$DIR/none"
	part "$DIR/table" "WITH CHARIOT: strict, verdict recover" >"$DIR/strict"
	part "$DIR/table" "WITH CHARIOT: fast, verdict recover" >"$DIR/fast"
	is "without: a type" "$(row "$DIR/none" e1000 6.1 on 6.12 nop)" "6 1 1 1 1 2 1 1 0 0 0 0"
	is "without: another type" "$(row "$DIR/none" e1000 6.1 on 6.12 text)" "5 0 0 0 0 4 0 0 1 3 1 0"
	is "without: a driver" "$(row "$DIR/none" e1000 6.1 on 6.12 total)" "11 1 1 1 1 6 1 1 1 3 1 0"
	is "without: over all" "$(row "$DIR/none" all all total)" "12 1 1 1 1 7 1 1 1 4 1 0"
	is "strict: a type" "$(row "$DIR/strict" e1000 6.1 on 6.12 nop)" \
		"2 2 2 100.0 34.2-100.0 0 2 100.0 34.2-100.0 0 0"
	is "strict: idle, not recovered, unjudged" "$(row "$DIR/strict" e1000 6.1 on 6.12 text)" \
		"4 3 1 33.3 6.1-79.2 1 0 0.0 0.0-79.3 1 0"
	is "strict: a driver" "$(row "$DIR/strict" e1000 6.1 on 6.12 total)" \
		"6 5 3 60.0 23.1-88.2 1 2 66.7 20.8-93.9 1 0"
	is "fast: a driver" "$(row "$DIR/fast" e1000 6.1 on 6.12 total)" \
		"6 4 1 25.0 4.6-69.9 0 0 0.0 0.0-79.3 0 0"
	is "strict: over all" "$(row "$DIR/strict" all all total)" \
		"7 6 3 50.0 18.8-81.2 1 2 66.7 20.8-93.9 1 0"
	is "what was not run is told" "$(part "$DIR/table" "WITH CHARIOT: defer" | head -n 1)" "not run"
}

test_repeated()
{
	{
		result e1000 strict 8 text crash
		known
		result e1000 none 2 nop wrong
		result e1000 strict 10 text benign '"violations":1,"service":"ok"'
	} >"$DIR/twice.json"
	report table "$DIR/twice.json" >"$DIR/table"
	part "$DIR/table" "WITHOUT CHARIOT" >"$DIR/none"
	part "$DIR/table" "WITH CHARIOT: strict, verdict recover" >"$DIR/strict"
	is "twice: the last one counts, without" "$(row "$DIR/none" e1000 6.1 on 6.12 nop)" \
		"6 1 0 2 1 2 1 1 0 0 0 0"
	is "twice: the last one counts, with" "$(row "$DIR/strict" e1000 6.1 on 6.12 text)" \
		"4 3 2 66.7 20.8-93.9 1 1 50.0 9.5-90.5 1 0"
	has "twice: it is noted" "$DIR/notes" "the last one counts: 3"
	known | head -n 11 >"$DIR/a.json"
	known | tail -n +12 >"$DIR/x=b.json"
	(cd "$DIR" && report table a.json x=b.json) >"$DIR/shards"
	report table "$R" >"$DIR/table"
	is "shards are the same as one file" "$(cat "$DIR/shards")" "$(cat "$DIR/table")"
	{ known; known | sed 's/recover"/skip"/'; } >"$DIR/verdicts.json"
	report table "$DIR/verdicts.json" >"$DIR/table"
	has "verdicts are told apart" "$DIR/table" "WITH CHARIOT: strict, verdict skip"
	{ known; known | sed 's/"guest":"6.1"/"guest":"7.2"/'; } >"$DIR/guests.json"
	report table "$DIR/guests.json" >"$DIR/table"
	is "guests are told apart" "$(row "$DIR/table" e1000 7.2 on 6.12 total)" "11 1 1 1 1 6 1 1 1 3 1 0"
}

test_broken()
{
	{ known; printf '{"driver":"e1000","cla'; } >"$DIR/broken.json"
	report table "$DIR/broken.json" >"$DIR/out"
	report table "$R" >"$DIR/table"
	is "a broken last line is skipped" "$(cat "$DIR/out")" "$(cat "$DIR/table")"
	report table "$DIR/broken.json" >"$DIR/out"
	has "a broken last line is noted" "$DIR/notes" "skipped: 1"
	report table "$DIR/broken.json" "$R" >"$DIR/out"
	is "a broken last line does not harm the next file" "$(cat "$DIR/out")" "$(cat "$DIR/table")"
	{ printf '{"driver":"e1000","cl'; known; echo '[1]'; echo 'null'; echo '{"driver":1}'; } >"$DIR/resumed.json"
	report table "$DIR/resumed.json" >"$DIR/out"
	is "what follows a broken line on it counts" "$(cat "$DIR/out")" "$(cat "$DIR/table")"
	has "what is no result is noted" "$DIR/notes" "skipped: 4"
	: >"$DIR/empty.json"
	report table "$DIR/empty.json" >"$DIR/out"
	is "empty: status" $? 0
	is "empty: table" "$(cat "$DIR/out")" "no results"
	is "empty: failures" "$(report failures "$DIR/empty.json")" "not run with Chariot"
	report table "$DIR/missing" >"$DIR/out"
	is "a file that is not there" "$?$(cat "$DIR/out")" 1
	report table >"$DIR/out"
	is "no file" $? 2
	report what "$R" >"$DIR/out"
	is "no such command" $? 2
	BENCH="$R" report document "$R" >"$DIR/out"
	is "a bench file that is none" $? 1
}

test_unpaired()
{
	{
		known
		result e1000 strict 2 nop benign
		result e1000 strict 3 nop host
		result e1000 strict 40 nop benign
		result e1000 strict 11 text benign '"offset":"0x77"'
		result e1000 none 12 lock strange
	} >"$DIR/more.json"
	report table "$DIR/more.json" >"$DIR/table"
	part "$DIR/table" "WITH CHARIOT: strict, verdict recover" >"$DIR/strict"
	is "runs that are of no damage do not count, but for the host" \
		"$(row "$DIR/strict" e1000 6.1 on 6.12 total)" "6 5 3 60.0 23.1-88.2 1 2 66.7 20.8-93.9 1 1"
	has "runs without the same fault without Chariot are noted" "$DIR/notes" "with Chariot 2, since there is no run"
	has "runs whose fault does no damage are noted" "$DIR/notes" "with Chariot 2, since the fault does no"
	is "an outcome that is not known is unjudged" \
		"$(row "$DIR/table" e1000 6.1 on 6.12 lock)" "1 0 0 0 0 0 0 0 0 0 1 0"
	report failures "$DIR/more.json" >"$DIR/out"
	has "a mark in the host is always told" "$DIR/out" "1  the host was affected"
}

# Known ones: Newcombe, Statistics in Medicine 1998; 0 and all of 10
test_wilson()
{
	local k n want

	while read -r k n want; do
		is "Wilson: $k of $n" "$(jq -n -L "$HERE" -r --argjson k "$k" --argjson n "$n" \
			'include "report"; wilson($k; $n) | map(. * 10000 + 0.5 | floor) | join(" ")')" "$want"
	done <<-END
		81 263 2553 3662
		15 148 624 1605
		0 20 0 1611
		1 29 61 1718
		0 10 0 2775
		10 10 7225 10000
		5 10 2366 7634
	END
	is "shares that are not all or none do not read so" "$(jq -n -L "$HERE" -r \
		'include "report"; [percent(2999; 3000), percent(1; 3000), percent(3; 3), percent(0; 3), percent(0; 0)] | join(" ")')" \
		"99.9 0.1 100.0 0.0 -"
}

test_failures()
{
	report failures "$R" >"$DIR/out"
	is "failures: as many as are not contained" "$(grep -c '^	why: ' "$DIR/out")" 7
	for f in "could not be judged" "guest died during recovery" \
		"kernel text, read-only data or tables corrupted, no violation: the ACT allowed" \
		"oops: bad address in the driver" "hang: endless loop" "oops: address that is none in the driver" \
		"oops: address that is none in the kernel on behalf of the driver"; do
		has "failures: $f" "$DIR/out" "1  $f"
	done
	has "failures: no times" "$DIR/out" "why: BUG: kernel NULL pointer dereference; RIP: 0010:f+0x1/0x2 [e1000]"
	has "failures: no paths of the machine" "$DIR/out" "why: qemu: x y: no"
	{ known; result e1000 strict 11 text crash '"violations":0,"faults":2,"recoveries":1'; } >"$DIR/more.json"
	report failures "$DIR/more.json" | head -n 1 >"$DIR/out"
	is "failures: the most frequent cause is first" "$(cat "$DIR/out")" "2  guest died during recovery"
	{ known; result e1000 strict 11 text hang '"violations":0,"faults":1,"recoveries":1'; } >"$DIR/more.json"
	report failures "$DIR/more.json" >"$DIR/out"
	has "failures: after recovery" "$DIR/out" "1  guest hung after recovery"
	known | grep '"none"' >"$DIR/none.json"
	is "failures: not run" "$(report failures "$DIR/none.json")" "not run with Chariot"
}

# bench [RX]: as make bench writes it
bench()
{
	cat <<-END
		{"host": "6.1", "guest": "6.1", "npt": 1, "ratios": {"rx": {"isolated": 0.12,
		 "fast": 0.24${1:-}}, "tx": {"isolated": 0.05, "fast": 0.1}},
		 "domains": [{"verdict": "skip"}], "measured": {
		 "none.pages.insns": 100, "none.pages.n": 10, "isolated.pages.insns": 1000,
		 "isolated.pages.n": 10, "isolated.pages.exits": 51, "defer1.pages.insns": 500,
		 "defer1.pages.n": 10, "defer1.pages.exits": 41}}
	END
}

test_document()
{
	bench >"$DIR/bench.json"
	report document "$R" >"$DIR/doc"
	is "document: status" $? 0
	has "document: not measured" "$DIR/doc" "| strict | not measured | not measured |"
	BENCH=$DIR/bench.json report document "$R" >"$DIR/doc"
	has "document: price" "$DIR/doc" "| strict | 0.12 | 0.05 | 5.10 | 0.100 | 3 of 6 | 50.0 | 18.8-81.2 |"
	has "document: a price without runs" "$DIR/doc" "| defer1 | not measured | not measured | 4.10 | 0.200 | not run |"
	has "document: share" "$DIR/doc" "**3 of 6 contained: 50.0 %** (18.8-81.2 %)"
	has "document: not run" "$DIR/doc" "- defer: not run"
	{ known; result e1000 none 5 free-early crash '"asked":"free-early"'
	  result e1000 strict 5 free-early crash '"asked":"free-early"'; } >"$DIR/early.json"
	report document "$DIR/early.json" >"$DIR/early"
	has "document: by what was asked for" "$DIR/early" ": free-early 0 of 1, random 3 of 6"
	has "document: faults that all modes were run with" "$DIR/doc" "| strict, verdict recover | 5 | 3 | 60.0 |"
	has "document: provenance" "$DIR/doc" "| e1000 | net | 6.1 | 6.12 | random | 11 | 11 |"
	has "document: how to make it again" "$DIR/doc" \
		"    make campaign DRIVER=e1000 GUEST=6.1 HOST=6.12 TYPES=all SEEDS=1-11 CONFIGS='strict fast' VERDICT=recover"
	has "document: others" "$DIR/doc" "| Nooks |"
	has "document: what was not contained" "$DIR/doc" 'snd-ens1370, 6.1 on 6.12, strict, verdict recover, random seed 5, nop: `f+0x5`'
	is "document: tables have as many cells as their heads" "$(awk -F' [|] ' '
		/^[|]/ { if (!on) n = NF; else if (NF != n) bad++; on = 1; next }
		{ on = 0 }
		END { print bad + 0 }' "$DIR/doc")" 0
	BENCH=$DIR/bench.json report document "$R" >"$DIR/again"
	is "document: the same again" "$(cat "$DIR/again")" "$(cat "$DIR/doc")"
	report document "$DIR/empty.json" >"$DIR/doc"
	is "document of nothing: status" $? 0
	has "document of nothing" "$DIR/doc" "No results."
}

svg()
{
	if ! command -v xmllint >/dev/null; then
		echo "ok - $1 # SKIP no xmllint"
	elif xmllint --noout "$2" 2>"$DIR/lint"; then
		ok "$1"
	else
		not_ok "$1" "$(head -n 1 "$DIR/lint")"
	fi
}

test_plot()
{
	BENCH=$DIR/bench.json report plot "$R" >"$DIR/plot.svg"
	is "plot: status" $? 0
	svg "plot: is XML" "$DIR/plot.svg"
	is "plot: points" "$(grep -c 'class="k[1-3]"' "$DIR/plot.svg")" 3
	has "plot: labels" "$DIR/plot.svg" ">fast, n = 5<"
	bench ', "defer1": 0.13' >"$DIR/bench.json"
	{ known; result e1000 defer1 5 nop benign; } >"$DIR/defer.json"
	BENCH=$DIR/bench.json report plot "$DIR/defer.json" >"$DIR/plot.svg"
	is "plot: points with defer" "$(grep -c 'class="k[1-3]"' "$DIR/plot.svg")" 5
	report plot "$R" >"$DIR/plot.svg"
	svg "plot without speeds: is XML" "$DIR/plot.svg"
	has "plot without speeds" "$DIR/plot.svg" ">speed: not measured<"
	report plot "$DIR/empty.json" >"$DIR/plot.svg"
	svg "plot of nothing: is XML" "$DIR/plot.svg"
	has "plot of nothing" "$DIR/plot.svg" ">not run<"
}

# A campaign has thousands of lines.
test_long()
{
	awk '{ l[NR] = $0 }
		END {
			for (i = 0; i < 300; i++)
				for (j = 1; j <= NR; j++) {
					s = l[j]
					sub(/"asked":"random"/, "\"asked\":\"t" i "\"", s)
					print s
				}
		}' "$R" >"$DIR/long.json"
	report table "$DIR/long.json" >"$DIR/table"
	is "long: over all" "$(row "$DIR/table" all all total)" \
		"3600 300 300 300 300 2100 300 300 300 1200 300 0"
}

test_table
test_repeated
test_broken
test_unpaired
test_wilson
test_failures
test_document
test_plot
test_long
test_iommu
exit $failed
