# SPDX-License-Identifier: GPL-2.0
#
# report.jq: what report.sh makes of campaign.sh's results. Its input are lines
# (jq -nR), its one result "summary", an object:
#
#	read		records, repeated, broken, saved, unmatched, undamaged
#	configs		[CONFIG, VERDICT] of all runs with Chariot, in order
#	groups		of a driver, guest and host: driver, guest, host, class, distinct
#			(different faults), rows, iommu, loads (of each that was asked:
#			the first and last of seeds, runs: those of configs that it has)
#	all		rows over all groups
#	by_asked	a row for each of the types that were asked for, which it has
#	common		config and counts, of the faults that all were run with
#	failures	what was not contained, in classes
#
# A row has type (or "total"), without (counts by outcome), and with: for each of
# configs damage, run, contained, recovered, unjudged, host. share() adds a
# share and its interval.

def damages: ["corrupt", "oops", "hang", "crash"];
def is_damage: IN(damages[]);
def is_contained: IN("benign", "wrong", "warn");
def is_outcome: is_damage or is_contained or IN("inactive", "unjudged", "host");

# ---- reading ------------------------------------------------------------------

def is_record:
	type == "object" and .seed != null and (.seed | type) == "number" and
	([.driver, .guest, .host, .config, .type, .outcome] | all(type == "string"));

# What an ended writer began, another may have gone on with on the same line.
def last_record:
	split("{\"driver\":") | select(length > 2) | "{\"driver\":" + last;

def parse: (fromjson? | select(is_record)) // null;

def lines:
	[inputs | select(test("[^ \t\r]")) | parse as $r |
	 if $r then {r: $r} else {broken: 1, r: ((last_record | parse) // null)} end];

# A guest with an IOMMU is another one.
def with_iommu: if .iommu then
	.guest += " with IOMMU" | if .config != "none" then .config += "+iommu" else . end
	else . end;
def has_iommu: .[0] | endswith("+iommu");	# of a run_key

def fault_key: [.driver, .guest, .host, (.asked // .type), .seed];
def run_key: [.config, (.verdict // "")];
def same_fault($r): [.type, .function, .offset] == ($r | [.type, .function, .offset]);

def known: if .outcome | is_outcome then . else
	.why = "outcome \(.outcome)" | .outcome = "unjudged" end;

# One object for each fault: base, and runs with Chariot. state tells if a run
# counts.
def faults:
	map(known | with_iommu) | group_by(fault_key) | map(
		(map(select(.config == "none")) | last) as $base |
		{key: (.[0] | fault_key), driver: .[0].driver, guest: .[0].guest,
		 host: .[0].host, class: .[0].class, iommu: (.[0].iommu // false),
		 asked: (.[0].asked // .[0].type),
		 base: $base, type: ($base // .[0]).type,
		 damage: ($base != null and ($base.outcome | is_damage)),
		 runs: (map(select(.config != "none")) | group_by(run_key) | map(last |
			.state = if $base == null or (same_fault($base) | not) then "unmatched"
				elif $base.outcome | is_damage | not then "undamaged"
				else "counts" end))});

# ---- counting -----------------------------------------------------------------

def config_order: (.[0] | rtrimstr("+iommu")) as $c | [(.[0] != $c),
	({strict: 0, fast: 1}[$c] // (if $c | test("^defer[0-9]+$") then 2 else 3 end)),
	(if $c | test("^defer[0-9]+$") then $c[5:] | tonumber else 0 end), .];

# of faults
def without:
	[.[] | .base | select(. != null) | .outcome] as $o |
	reduce $o[] as $x ({seeds: ($o | length), inactive: 0, benign: 0, wrong: 0, warn: 0,
		corrupt: 0, oops: 0, hang: 0, crash: 0, unjudged: 0, host: 0}; .[$x] += 1) |
	.damage = .corrupt + .oops + .hang + .crash;

def recovered: .service == "ok" or .wrong_steps == 0;

# Nothing was stopped, no failure of the driver seen: it may be chance.
def idle: (.violations // 0) == 0 and (.faults // 0) == 0;

# of runs with one config
def outcomes:
	map(select(.state == "counts")) as $c |
	[$c[] | select(.outcome | is_contained)] as $good |
	{run: ($c | length), contained: ($good | length),
	 idle: ([$good[] | select(idle)] | length),
	 recovered: ([$good[] | select(recovered)] | length),
	 unjudged: (map(select(.outcome == "unjudged")) | length),
	 host: (map(select(.outcome == "host")) | length)};

def row($type; $configs):
	. as $f | {type: $type, without: without, with: [$configs[] as $c |
		[$f[].runs[] | select(run_key == $c)] | outcomes |
		.damage = ([$f[] | select(.damage and .iommu == ($c | has_iommu))] | length)]};

def rows($configs):
	(group_by(.type) | map(row(.[0].type; $configs))) + [row("total"; $configs)];

def distinct: [.[] | .base // .runs[0] | [.type, .function, .offset, .after]] | unique | length;

def common:
	map(select(.iommu | not)) | ([.[].runs[] | select(.state == "counts") | run_key] | unique | sort_by(config_order)) as $configs |
	[.[] | select(.damage) | [.runs[] | select(.state == "counts")] |
	 select(length == ($configs | length))] as $f |
	[$configs[] as $c | {config: $c} + ([$f[][] | select(run_key == $c)] | outcomes)];

# ---- why it was not contained -------------------------------------------------

# No times, no dates: two runs of the same say the same.
def clean:
	gsub("\\[ *[0-9]+\\.[0-9]+\\] "; "") |
	gsub("{\"timestamp\"[^|]*\"event\": \"(?<e>[A-Z_]+)\"[^|]*\"reason\": \"(?<r>[a-z-]+)\"[^|]*"; .e + " " + .r) |
	gsub("{\"timestamp\": {[^}]*}, "; "{") | gsub("qemu-system-[a-z0-9_]+: "; "") |
	gsub("[\t\r\n]"; " ") | gsub(" *\\|+ *"; "; ") | gsub("(?<a>^|; )log "; .a);

# Paths tell of the machine that it ran on.
def without_paths: gsub("/[^ ;|]*/(?<last>[^/ ;|]+)"; .last);

def kind:
	if test("soft lockup|detected stalls") then "endless loop"
	elif test("blocked for more than") then "a task waits forever"
	elif test("invalid opcode") then "invalid instruction"
	elif test("general protection|stack segment") then "address that is none"
	elif test("NULL pointer|page fault|paging request|Oops") then "bad address"
	elif test("divide error") then "division by zero"
	elif test("Bad page") then "bad page"
	elif test("double fault") then "double fault"
	elif test("scheduling while atomic|sleeping function") then "sleep while atomic"
	elif test("kernel BUG") then "BUG"
	elif test("Kernel panic") then "panic"
	elif test("leaked lock") then "lock that is not released"
	elif test("BUG:") then "complaint of the kernel"
	else "" end;

# Whose instruction was it?
def place($driver):
	if test("soft lockup|detected stalls|blocked for more than") then ""
	elif test("RIP: 0010:[^|]*\\[" + ($driver | gsub("-"; "_")) + "\\]") then "in the driver"
	elif test("RIP: 0010:0x") then "after a jump to where no code is"
	elif test("RIP: 0010:") then "in the kernel on behalf of the driver"
	else "" end;

# During a recovery it has failed more often than it was loaded again.
def phase:
	if (.faults // 0) == 0 and (.recoveries // 0) == 0 then ""
	elif (.faults // 0) > (.recoveries // 0) then "during recovery"
	else "after recovery" end;

def violated:
	if .violations == null then "violations are not known"
	elif .violations > 0 then "after a violation that was stopped"
	else "no violation" end;

def victim:
	if test("mem changed") then "kernel text, read-only data or tables"
	elif test("canary bad") then "memory of others"
	elif test("guest alive:") then "work of other programs"
	else "memory" end;

def cause:
	.driver as $d | (.why // "") as $why | phase as $phase |
	($why | [kind, place($d)] | map(select(. != "")) | join(" ")) as $what |
	if .outcome == "host" then "the host was affected"
	elif .outcome == "unjudged" then "could not be judged, counts as not contained"
	elif $phase != "" then
		{crash: "guest died", hang: "guest hung", oops: "oops",
		 corrupt: "\($why | victim) corrupted"}[.outcome] + " " + $phase +
		(if .outcome != "corrupt" and $what != "" then ": " + $what else "" end)
	elif .outcome == "corrupt" then
		"\($why | victim) corrupted, " +
		(if .violations == 0 then "no violation: the ACT allowed the write, or it was no write of the CPU"
		 else violated end)
	elif .outcome == "oops" then "oops: " + (if $what == "" then "not told" else $what end)
	else .outcome + (if $what == "" then ", " + violated else ": " + $what end) end;

def failure($base):
	{driver, guest, host, config, verdict: (.verdict // ""), asked: (.asked // .type), seed, type,
	 function, offset, before, after, without: $base.outcome, with: .outcome,
	 why: (.why // "" | clean | if test("^$") then "-" else . end),
	 event: (.event // "" | clean | if test("^$") then "-" else . end),
	 violations, faults, recoveries, cause: cause} |
	if .with == "unjudged" or .with == "host" then .why |= without_paths else . end;

# What left a mark in the host is told even when it counts for nothing else.
def failures:
	[.[] | .base as $b | .runs[] |
	 select((.state == "counts" and (.outcome | is_contained | not)) or .outcome == "host") |
	 failure($b // {outcome: "not run"})] |
	group_by(.cause) | map({cause: .[0].cause, count: length,
		seeds: sort_by([.driver, .guest, .host, ([.config, .verdict] | config_order), .asked, .seed])}) |
	sort_by([-.count, .cause]);

def summary:
	lines as $lines | [$lines[].r | select(. != null)] as $records | ($records | faults) as $f |
	([$f[].runs[] | run_key] | unique | sort_by(config_order)) as $configs |
	{read: {records: ($records | length),
		repeated: (($records | length) - ([$f[] | (.runs | length) + (if .base then 1 else 0 end)] | add // 0)),
		broken: ([$lines[] | select(.broken)] | length),
		saved: ([$lines[] | select(.broken and .r != null)] | length),
		unmatched: ([$f[].runs[] | select(.state == "unmatched")] | length),
		undamaged: ([$f[].runs[] | select(.state == "undamaged")] | length)},
	 configs: $configs,
	 groups: ($f | group_by([.driver, .guest, .host]) | map(
		{driver: .[0].driver, guest: .[0].guest, host: .[0].host, class: .[0].class,
		 distinct: distinct, rows: rows($configs),
		 iommu: .[0].iommu, loads: (group_by(.asked) | map({asked: .[0].asked,
			seeds: ([.[] | .base // .runs[0] | .seed] | [min, max]),
			runs: ([.[].runs[] | run_key] | unique | sort_by(config_order))}))})),
	 all: ($f | rows($configs)),
	 by_asked: ($f | group_by(.asked) | map({asked: .[0].asked} + row("total"; $configs))),
	 common: ($f | common),
	 failures: ($f | failures)};

# ---- figures ------------------------------------------------------------------

# [low, high], at 95 %
def wilson($k; $n):
	if $n == 0 then null else
		1.959963984540054 as $z | ($k / $n) as $p | (1 + $z * $z / $n) as $d |
		(($p + $z * $z / (2 * $n)) / $d) as $c |
		($z / $d * ($p * (1 - $p) / $n + $z * $z / (4 * $n * $n) | sqrt)) as $h |
		[(if $k == 0 then 0 else $c - $h end), (if $k == $n then 1 else $c + $h end)]
	end;

def tenths: (. + 0.5 | floor) as $t | "\($t / 10 | floor).\($t % 10)";

# What is not all does not read 100.0, what is not none not 0.0.
def percent($k; $n):
	if $n == 0 then "-" else ($k / $n * 1000) |
		(if $k < $n and . > 999 then 999 elif $k > 0 and . < 1 then 1 else . end) | tenths end;

def interval($k; $n):
	wilson($k; $n) | if . == null then "-" else map(. * 1000 | tenths) | join("-") end;

def config_name($configs): . as $c |
	if [$configs[] | select(.[0] == $c[0])] | length > 1 then "\($c[0]) (\($c[1]))" else $c[0] end;

def config_long: (.[0] | sub("\\+iommu$"; ", guest with IOMMU")) +
	(if .[1] == "" then "" else ", verdict \(.[1])" end);

def missing: [.configs[][0]] as $have |
	(("strict", "fast") | select(IN($have[]) | not)),
	("defer" | select([$have[] | startswith("defer")] | any | not));

# ---- tables: arrays of rows ---------------------------------------------------

def outcome_names: ["seeds", "inactive", "benign", "wrong", "warn", "damage"] + damages +
	["unjudged", "host"];

# [[driver, guest, type], row] of all groups, and over all
def named_rows:
	(.groups[] as $g | $g.rows[] | {name: [$g.driver, "\($g.guest) on \($g.host)", .type], iommu: $g.iommu, row: .}),
	(if (.groups | length) > 1 then .all[] | {name: ["all", "all", .type], row: .}
	 else empty end);

def without_table:
	["driver", "guest", "type"] + outcome_names,
	(named_rows | .name + [.row.without[outcome_names[]]]);

def with_cells:
	[.damage, .run, .contained, percent(.contained; .run), interval(.contained; .run), .idle,
	 .recovered, percent(.recovered; .contained), interval(.recovered; .contained),
	 .unjudged, .host];

def with_table($i):
	["driver", "guest", "type", "damage", "run", "contained", "%", "95 %", "idle",
	 "recovered", "%", "95 %", "unjudged", "host"],
	(.configs[$i] | has_iommu) as $iommu |
	(named_rows | select(.iommu == null or .iommu == $iommu) |
	 select(.row.type == "total" or (.row.with[$i] | .damage + .unjudged + .host > 0)) |
	 .name + (.row.with[$i] | with_cells));

def any_run($i): .all[-1].with[$i] | .run + .unjudged + .host > 0;

def not_run: "none of the faults that do damage was run";

def notes: .read |
	(select(.broken > 0) | "lines that are broken, skipped: \(.broken)" +
		(if .saved > 0 then " (results at their ends, used: \(.saved))" else "" end)),
	(select(.repeated > 0) | "of runs that are there again the last one counts: \(.repeated)"),
	(select(.unmatched > 0) | "not counted: with Chariot \(.unmatched), since there is no run of the same fault without it"),
	(select(.undamaged > 0) | "not counted: with Chariot \(.undamaged), since the fault does no damage without it");
