#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# report.sh: what campaign.sh's results say.
#
#	report.sh table FILE...		counts by driver and type of fault
#	report.sh failures FILE...	what was not contained, by cause
#	report.sh document FILE...	the report, as Markdown (Documentation/containment.md)
#	report.sh plot FILE...		contained share against speed, as SVG
#
# FILEs are results of campaign.sh, of one machine or of many. What is there twice
# counts once, as it was last. Lines that are broken are skipped; notes about that
# are on stderr, and in the document.
#
#	BENCH	for the last two: what `make bench` has written (.build/bench.json, if
#		it is there); empty for none
#
# A fault does damage if its outcome without Chariot is corrupt, oops, hang or
# crash. Of those that were run with Chariot are contained whose outcome then is
# benign, wrong or warn; of these are recovered whose driver serves afterwards.
# Shares have 95 % intervals (Wilson). idle: contained although Chariot had nothing
# to stop: it may be chance.

# shellcheck disable=SC2016 # $ is jq's, ` Markdown's
set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
# shellcheck source=selftests/align.sh
. "$HERE/../align.sh"

die() { echo "report: error: $*" >&2; exit 1; }

usage() { sed -n '6,9s/^#\t//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

# ---- what there is ------------------------------------------------------------

# Each file ends its last line, even if its writer did not.
lines_of()
{
	local f

	for f; do
		cat -- "$f" || return
		echo
	done
}

# q PROGRAM [ARG...]: of the summary
q()
{
	jq -r -L "$HERE" --slurpfile bench "$WORK/bench" "${@:2}" \
		"include \"report\"; $1" "$WORK/summary" || die "the results could not be told"
}

read_bench()
{
	local bench=

	case $1 in
	document|plot)	bench=${BENCH-$TOP/.build/bench.json} ;;
	esac
	if [ -n "$bench" ] && { [ -n "${BENCH-}" ] || [ -e "$bench" ]; }; then
		jq -e 'select(.ratios and .measured)' "$bench" >"$WORK/bench" 2>/dev/null ||
			die "$bench: not what 'make bench' writes"
	else
		echo '{"ratios": {}, "measured": {}}' >"$WORK/bench"
	fi
}

read_results()
{
	local f

	for f; do
		if [ ! -r "$f" ] || [ -d "$f" ]; then
			die "$f: cannot be read"
		fi
	done
	lines_of "$@" | jq -nR -L "$HERE" 'include "report"; summary' >"$WORK/summary" ||
		die "the results could not be counted"
	q 'notes | "report: note: " + .' >&2
}

# ---- tables -------------------------------------------------------------------

table()
{
	q '
	def upper: map(ascii_upcase);
	def lines(f): [f] | (.[0] | upper), .[1:][] | map(tostring) | join("\t");
	. as $s | if .read.records == 0 then "no results" else
		"WITHOUT CHARIOT", lines(without_table),
		(range(.configs | length) as $i | $s | "",
			"WITH CHARIOT: \(.configs[$i] | config_long)",
			if any_run($i) then lines(with_table($i)) else not_run end),
		(missing | "", "WITH CHARIOT: \(.)", "not run")
	end' | align 3
}

failures()
{
	q '
	if (.failures | length) == 0 then
		if .configs == [] then "not run with Chariot" else "all contained" end
	else .failures[] | "\(.count)  \(.cause)", (.seeds[] |
		"   \(.driver), \(.guest) on \(.host), \([.config, .verdict] | config_long)" +
			", \(.asked) seed \(.seed)",
		"\t\(.type): \(.function)+\(.offset): \(.before) -> \(.after)",
		"\twithout: \(.without), with: \(.with)",
		"\twhy: \(.why)", "\tevent: \(.event)"), ""
	end'
}

# ---- the document -------------------------------------------------------------

# What jq programs of the document have in common. Ratios are of 0 to 1, or null.
MARKDOWN='
	def cell: tostring | gsub("\\|"; "\\|") | gsub("<"; "&lt;");
	def code: "`" + (tostring | gsub("`"; "'"'"'") | gsub("\\|"; "\\|")) + "`";
	def line: "| " + join(" | ") + " |";
	def markdown(f; $left): [f] | (.[0] | map(cell) | line),
		(.[0] | [range(length) | if . < $left then "---" else "---:" end] | line),
		(.[1:][] | map(cell) | line);
	def bench_name: if . == "strict" then "isolated" else . end;
	def measured($c; $what): $bench[0].measured["\($c | bench_name).\($what)"];
	def ratio($c; $what): $bench[0].ratios[$what][$c | bench_name] //
		(measured("none"; $what + ".insns") as $n | measured($c; $what + ".insns") as $i |
		 if $n and $i and $i > 0 then $n / $i else null end);
	def per($c; $op; $what): measured($c; "\($op).\($what)") as $v | measured($c; "\($op).n") as $n |
		if $v and $n and $n > 0 then $v / $n else null end;
	def op_ratio($c; $op): per("none"; $op; "insns") as $n | per($c; $op; "insns") as $i |
		if $n and $i and $i > 0 then $n / $i else null end;
	def digits($n): if . == null then "not measured" else
		pow(10; $n) as $p | (. * $p + 0.5 | floor) as $v |
		"\($v / $p | floor).\("000\($v % $p)"[-$n:])" end;
	# deferN: what there is of them in results and in the bench file
	def modes: ([.configs[] | select(has_iommu | not)[0]] + [$bench[0].measured | keys[] |
		capture("^(?<c>defer[0-9]+)\\.").c] + ["strict", "fast"]) | unique |
		map([., ""]) | sort_by(config_order) | map(.[0]);
	def total($i): .all[-1].with[$i];
'

doc() { q "$MARKDOWN $1" "${@:2}"; }

provenance()
{
	doc '
	if .read.records == 0 then "No results." else
		markdown(["driver", "class", "guest kernel", "host kernel", "fault types asked for",
				"seeds", "different faults"],
			(.groups[] | [.driver, .class, .guest, .host, (.loads | map(.asked) | join(", ")),
				.rows[-1].without.seeds, .distinct]); 5),
		"", "With Chariot: \(if .configs == [] then "not run" else
			[.configs[] | config_long] | join("; ") end)."
	end,
	([notes] | select(length > 0) | "", "Of the input: \(join("; ")).")'
}

# What makes such lines, in a clone of this repository.
commands()
{
	doc '
	def set: select(.[1] != "") | "\(.[0])=\(.[1] | if test(" ") then "\u0027\(.)\u0027" else . end)";
	def verdicts: [.runs[][1]] | unique | if . == [] then [""] else . end | .[];
	.groups[] as $g | $g.loads[] | verdicts as $v | ["make campaign", ([["DRIVER", $g.driver],
		["GUEST", ($g.guest | rtrimstr(" with IOMMU"))], ["HOST", $g.host],
		["IOMMU", if $g.iommu then "1" else "" end],
		["TYPES", (.asked | if . == "random" then "all" else . end)],
		["SEEDS", (.seeds | map(tostring) | unique | join("-"))],
		["CONFIGS", ([.runs[] | select(.[1] == $v)[0] | rtrimstr("+iommu")] | join(" "))],
		["VERDICT", $v]][] | set)] | join(" ")'
	echo "make bench"
	echo "bash selftests/campaign/report.sh document .cache/campaign/*.json >Documentation/containment.md"
	echo "bash selftests/campaign/report.sh plot .cache/campaign/*.json >Documentation/containment.svg"
}

results()
{
	doc '
	def heading($s): "### \($s)", "";
	. as $s | if .read.records == 0 then "not run" else
		heading("Without Chariot"), markdown(without_table; 3),
		(range(.configs | length) as $i | $s | "",
			heading("With Chariot: \(.configs[$i] | config_long)"),
			(.all[-1].with[$i] | if .run == 0 then empty else "**\(.contained) of \(.run) contained: \(percent(.contained; .run)) %** " +
				"(\(interval(.contained; .run)) %); \(.recovered) of these \(.contained) " +
				"recovered: \(percent(.recovered; .contained)) % " +
				"(\(interval(.recovered; .contained)) %).", "" end),
			if any_run($i) then markdown(with_table($i); 3) else not_run end),
		(missing | "", heading("With Chariot: \(.)"), "not run")
	end'
}

not_contained()
{
	doc '
	def looked_at: . as $s | [$looked | split("\n")[] | split("\t") |
		select(.[0] == $s.driver and .[1] == $s.guest and .[2] == "\($s.seed)")[3]][0];
	if .configs == [] then "not run"
	elif (.failures | length) == 0 then "None."
	else
		markdown(["cause", "runs"], (.failures[] | [.cause, .count]); 1),
		(.failures[] | "", "### \(.cause) (\(.count))", "", (.seeds[] |
			"- \(.driver), \(.guest) on \(.host), \([.config, .verdict] | config_long), " +
			"\(.asked) seed \(.seed), \(.type): " +
			("\(.function)+\(.offset)" | code) + ": \(.before | code) becomes \(.after | code)\n" +
			"  - without Chariot: \(.without); with it: \(.with)\n" +
			"  - why: \(.why | code)" +
			(looked_at | if . then "\n  - cause: \(.)" else "" end) +
			(if .event == "-" then "" else "\n  - told: \(.event | code)" end)))
	end' --rawfile looked "$HERE/looked-at.tsv"
}

price()
{
	doc '
	. as $s | modes as $modes |
	markdown(["mode", "speed receiving", "speed sending", "page allocated, written, freed: exits",
		"speed of that", "contained", "%", "95 %"],
		($modes[] as $m | $s |
		 ([range(.configs | length) as $i | select(.configs[$i][0] == $m) | $i] |
		  if length == 0 then [null] else . end)[] as $i |
		 [(if $i == null then $m else .configs[$i] | config_name($s.configs) end),
		  (ratio($m; "rx") | digits(2)), (ratio($m; "tx") | digits(2)),
		  (per($m; "pages"; "exits") | digits(2)), (op_ratio($m; "pages") | digits(3))] +
		 (if $i == null or total($i).run == 0 then ["not run", "-", "-"] else total($i) |
			["\(.contained) of \(.run)", percent(.contained; .run), interval(.contained; .run)]
		  end)); 1),
	(if [$modes[] | startswith("defer")] | any | not then "", "defer: not measured, not run" else empty end)'
}

# Configs may have been run with different faults.
common()
{
	doc '
	if (.common | length) < 2 then empty else
		"", "Of the damaging faults that were run with all of these:", "",
		markdown(["mode", "run", "contained", "%", "95 %"], (.common[] |
			[(.config | config_long), .run, .contained, percent(.contained; .run),
			 interval(.contained; .run)]); 1)
	end'
}

published()
{
	doc '
	. as $s |
	markdown(["system", "source", "contained", "price"],
		(range(.configs | length) as $i | $s | total($i) as $t | .configs[$i] as $c |
		 ["**this Chariot: \($c | config_long)**", "above",
		  (if $t.run == 0 then "not run" else "\($t.contained) of \($t.run) that do damage, " +
			"\(percent($t.contained; $t.run)) % (\(interval($t.contained; $t.run)) %)" end),
		  (ratio($c[0]; "rx") | if . == null then "not measured" else
			"e1000 receives at \(digits(2)) of the speed" end)]),
		(if .configs == [] then ["**this Chariot**", "above", "not run", "see above"] else empty end),
		($published | split("\n")[] | select(test("^[^#]")) | split("\t")); 4)' \
		--rawfile published "$HERE/published.tsv"
}

method()
{
	cat <<-'END'
	## Method

	One instruction of a driver that runs in a guest is made wrong, the driver does a
	round of work, and the guest is looked at. What does damage is done once more with
	the driver isolated by Chariot.

	**Faults.** The types are those of Rio and Nooks: mistakes of programmers, made in
	the machine code. From a seed follow a random place in the driver's text, the first
	instruction from there on that fits the type, and what becomes of it. The same seed
	is the same fault. The text of the driver's init is left alone.

	| type | what is done to the instruction |
	| --- | --- |
	| source | a bit of the source operand is flipped |
	| destination | a bit of the destination operand is flipped |
	| pointer | a bit of the address of a memory operand is flipped |
	| interface | the load of an argument, at the beginning of a function, is left out |
	| branch | a conditional jump is left out |
	| loop | the condition of a jump is inverted; rep and repne are swapped |
	| text | any bit of the text is flipped |
	| nop | any instruction is left out |
	| init | the store of a constant to a local variable is left out |
	| irq | cli, sti, pushf or popf is left out |
	| free | memory is not freed |
	| free-early | who is given an object that the function frees further on frees it |
	| alloc | an allocation returns NULL, or is too small |
	| overrun | the length of a copy grows: by 8 bytes (50 %), 2 to 1024 bytes (44 %), 2 to 4 pages (6 %) |
	| off-by-one | a condition is true for equals, too, or no longer (jl and jle, jb and jbe, ...) |
	| lock | an instruction with a lock prefix, or the call that locks or unlocks, is left out |
	| random | one of these, by the seed; not free-early |

	**Work.** Each class of drivers has its round. Network: data received and sent with
	their checksums, pings of several sizes, MAC address, filters, MTU, ethtool's
	operations, link down and up, statistics. Block: reads and writes through the page
	cache and beside it, several at a time, flushes, discards, a reset of the controller
	where there is one, statistics. Sound: playing what is checked for what is heard,
	recording, both at a time, mixers, opening and closing.

	**Golden run.** The same round without a fault, a few times: it must be right, with
	Chariot without a violation, and what it changes in memory may change. Faults in
	instructions that it does not execute are *inactive* and not run.

	**Snapshot.** A host with the booted guest, whose driver has done its golden runs,
	is saved. Each run is restored from there: all begin in the same state, and no run
	sees what another one has left. With each mode of Chariot there is a guest that was
	isolated from the driver's first instruction on.

	**IOMMU.** Groups *with IOMMU* are of a guest that has one (Intel's, as QEMU makes it,
	with iommu.strict=1), without Chariot, too: the device cannot write where the driver
	has not mapped memory for it.

	END
	outcomes
}

outcomes()
{
	cat <<-'END'
	**What is looked at.** Whether the guest answers, and a program that has nothing to
	do with the driver works; its kernel's log; its kernel's text, read-only data,
	descriptor tables and page tables, read from outside; patterns in memory between the
	driver's allocations; the host's own log. The outcome is the worst that was seen:

	| outcome | meaning | damage |
	| --- | --- | --- |
	| inactive | the work does not come by that instruction | no |
	| benign | no difference | no |
	| wrong | the driver's own work is wrong, the guest is well | no |
	| warn | the guest's kernel warns, and is well | no |
	| corrupt | memory of the kernel is not what it was, and nothing told so | yes |
	| oops | a thread of the kernel died, the guest lives | yes |
	| hang | the guest does not answer | yes |
	| crash | the guest has died | yes |
	| unjudged | the run could not be judged | - |
	| host | there was a mark in the host: never to be | - |

	**Damage** is what the outcome without Chariot says. The share **contained** is, of
	the faults that do damage and were run with Chariot, those whose outcome with it is
	benign, wrong or warn. *unjudged* and *host* count as not contained. **Recovered**
	are, of the contained ones, those whose driver gives proof of its service afterwards,
	or never was wrong. *idle* are, of the contained ones, those where Chariot stopped
	nothing and saw no failure of the driver: these may be chance. Intervals are Wilson's
	for 95 %.

	END
}

limits()
{
	cat <<-'END'
	## Limits

	- Faults are planted by a seed in instructions that the work executes. Bugs of real
	  drivers are others, and lie where tests do not come by.
	- Damage is what is looked at. Data of the kernel that is wrong without a trace in
	  what is listed above is taken for benign or wrong, without Chariot and with it.
	- Faults that do no damage are not run with Chariot. What it would make of them is
	  not among these figures.
	- A run is done once. Where the time of an interrupt decides, another one may end
	  otherwise, with Chariot and without.
	- Several seeds may be the same fault: the number of different ones is above. The
	  intervals are about the choice of faults, not about other drivers, other work or
	  other kernels.
	- Guests have one CPU, hosts are emulated (SVM with nested paging). Speeds are
	  instructions of the host, which are no times.
	- What is stopped are wrong writes of the CPU and wrong jumps out of the driver; with
	  the verdict recover a driver is stopped, too, when the guest's kernel is about to
	  die of an exception in it, or hangs in it in a way that design.rst lists. What a
	  device writes by DMA, to an address that the driver made wrong, is for an IOMMU in
	  the guest to stop (qemu.rst), which *guest with IOMMU* has.
	- Recovery loads the same driver again, so a planted fault is gone then; but it is
	  still there while the driver cleans up. If it fails once more in that, it may be
	  kept, stopped, and be loaded a second time beside: that counts as recovered.
	END
}

document()
{
	cat <<-'END'
	<!-- SPDX-License-Identifier: GPL-2.0 -->
	<!-- Written by selftests/campaign/report.sh document: do not edit. -->

	# Containment: what becomes of a guest when its driver has a fault

	END
	doc '
	if .configs == [] then "- without Chariot: \(.all[-1].without.damage) of " +
		"\(.all[-1].without.seeds) faults do damage; with Chariot: not run"
	else . as $s | range(.configs | length) as $i | $s | .configs[$i] as $c | total($i) |
		"- \($c | config_long): " + (if .run == 0 then "not run" else
		"\(.contained) of \(.run) faults that do damage are contained, " +
		"\(percent(.contained; .run)) % (95 %: \(interval(.contained; .run)) %)" +
		([$s.by_asked[] | .with[$i] + {asked} | select(.run > 0) |
			"\(.asked) \(.contained) of \(.run)"] |
		 if length > 1 then ": " + join(", ") else "" end) end) end,
	(missing | "- \(.): not run"), "",
	"![Damage contained against speed](containment.svg)", ""'
	method
	printf '## Input\n\n'
	provenance
	printf '\nThis makes it all again, from a clone, as root (hours; SHARD=I/N has machines share it):\n\n'
	commands | sed 's/^/    /'
	printf '\n## Results\n\nPer cent are of the faults in the column before; `95 %%` is its interval.\n\n'
	results
	printf '\n## What was not contained\n\n'
	not_contained
	cat <<-'END'

	## The price

	Speed of the e1000 and of one operation of a driver, relative to the same without
	Chariot (1.00), beside what is contained, over all drivers. From `make bench`.
	`defer N` is strict mode that keeps what the driver frees until it has freed N other
	objects.

	END
	doc '$bench[0] | if .host then "Measured with \(.guest) on \(.host), verdict \(.domains[0].verdict // "not told").", "" else empty end'
	price
	common
	cat <<-'END'

	## Beside others

	Published figures, from the abstracts or first pages of the papers. **The loads of
	faults differ** (types, number, drivers, work, what counts as a failure), and so do
	machines and benchmarks: the rows cannot be ranked by these figures. `-` is what these
	pages do not say.

	END
	published
	echo
	limits
}

# ---- the plot -----------------------------------------------------------------

plot()
{
	doc '
	. as $s |
	["panel", "1", "e1000 receives", "speed (1: without Chariot)"],
	["panel", "2", "a page allocated, written, freed", "speed (1: without Chariot)"] |
		. + [if $s.configs == [] then "not run"
		     elif $bench[0].measured == {} then "speed: not measured"
		     else "nothing both run and measured" end] | @tsv' || return
	doc '
	. as $s | range(.configs | length) as $i | $s | .configs[$i] as $c | total($i) |
	select(.run > 0) | . as $t | wilson(.contained; .run) as $w |
	($c | config_name($s.configs)) as $name |
	(["1", ratio($c[0]; "rx")], ["2", op_ratio($c[0]; "pages")]) | select(.[1] != null) |
	["point", .[0], ($c[0] | if startswith("defer") then "defer" else . end),
	 "\($name), n = \($t.run)", .[1], $t.contained / $t.run, $w[]] | @tsv'
}

command=${1:-}
[ $# -ge 2 ] || usage
shift
case $command in
table|failures|document|plot) ;;
*)	usage ;;
esac
command -v jq >/dev/null || die "jq is missing (selftests/deps.sh)"
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
read_bench "$command"
read_results "$@"
case $command in
plot)	plot | awk -f "$HERE/plot.awk" ;;
*)	$command ;;
esac
