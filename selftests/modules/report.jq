# SPDX-License-Identifier: GPL-2.0
#
# report.jq: what report.sh makes of results of modules (modules/run.sh). Its input
# are lines (jq -nR), its one result "summary", an object:
#
#	read	records, broken
#	plain	of each guest: guest, rows (of subsystems), errors (how often each),
#		outcomes (by module)
#	setups	of each guest, host and config with Chariot: guest, host, config, rows,
#		modules (module, dir, class, why)
#
# class of a module is
#
#	ok		it loads with Chariot as without, and does no wrong
#	refused, unwell	without Chariot it does not load, or not well: not judged
#	missing		it has not been loaded with Chariot
#	else		what went wrong; it has failed

def is_record:
	type == "object" and
	([.module, .dir, .guest, .host, .config, .outcome] | all(type == "string"));

def lines: [inputs | select(test("[^ \t\r]")) | (fromjson? | select(is_record)) // null];

def subsystem: split("/") |
	if length > 1 and (.[0] | IN("arch", "drivers", "net", "sound")) then .[:2] | join("/")
	else .[0] end;

def fails: IN("ok", "refused", "unwell", "missing") | not;

# ---- one module ---------------------------------------------------------------

# Is it as good as without ($p; null if it was not loaded without)?
def class($p):
	if $p != null and ($p.outcome | IN("before", "oops", "hang", "crash")) then "unwell"
	elif .outcome == "refused" then
		if $p != null and $p.outcome == "refused" then "refused" else "not loaded" end
	elif .outcome != "loaded" then .outcome
	elif .isolated | not then "not isolated"
	elif .violations > 0 then "violations"
	elif .unload != "0" and ($p == null or $p.unload != .unload) then "not unloaded"
	elif .log != "" and ($p == null or $p.log == "") then "complaint"
	else "ok" end;

def told: [(.error | select(. != "" and . != null)), (.unload | select(. != "0" and . != "" and . != null)
	| "unload: \(.)"), (.log | select(. != "" and . != null)), (.why | select(. != "" and . != null))] |
	join("; ") | if . == "" then "-" else gsub("[\t\r\n]"; " ") end;

# of a guest's modules: with Chariot, at $host with $config
def judged($host; $config):
	def run($c; $h): map(select(.config == $c and .host == $h)) | last;
	map(run($config; $host) as $i | (run("none"; $host) // run("none"; "-")) as $p |
	    select($p != null or $i != null) |
	    {module: .[0].module, dir: .[0].dir, i: $i,
	     class: (if $i != null then $i | class($p)
		elif $p.outcome == "loaded" then "missing"
		elif $p.outcome == "refused" then "refused"
		else "unwell" end),
	     why: (($i // $p) | told)});

# classes of those of $plan (names), "missing" if there is no result
def classes($plan; $guest; $host; $configs):
	((.plain[] | select(.guest == $guest) | .outcomes) // {}) as $outcome |
	if $configs == [] then
		$plan[] | $outcome[.] // "missing" | if IN("unjudged", "host") then . else
			if . == "missing" then . else "ok" end end
	else
		$configs[] as $c |
		((.setups[] | select(.guest == $guest and .host == $host and .config == $c) |
		 .modules | map({(.module): .class}) | add) // {}) as $class |
		($class["(host)"] // empty),
		($plan[] | $class[.] // (if $outcome[.] | IN("loaded", null) then "missing" else "refused" end))
	end;

# ---- rows of subsystems -------------------------------------------------------

def sum(f): map(f // 0) | add // 0 | . * 10 | round / 10;
def count(f): map(select(f)) | length;

def by_subsystem(f): (group_by(.dir | subsystem) | map({subsystem: (.[0].dir | subsystem)} + f)) +
	[{subsystem: "all"} + f];

def plain_row: {modules: length, loaded: count(.outcome == "loaded"),
	refused: count(.outcome == "refused"),
	stays: count(.outcome == "loaded" and .unload != "0"),
	unwell: count(.outcome | IN("before", "oops", "hang", "crash")),
	complaints: count((.log // "") != ""),
	unjudged: count(.outcome | IN("unjudged", "host")),
	seconds: sum(.seconds)};

def with_row: {modules: length, loaded: count(.i.outcome == "loaded"),
	refused: count(.class == "refused"), unwell: count(.class == "unwell"),
	violated: count((.i.violations // 0) > 0), violations: sum(.i.violations),
	evidence: sum(.i.evidence), failed: count(.class | fails),
	missing: count(.class == "missing"), seconds: sum(.i.seconds)};

def errors: map(select(.outcome == "refused") | .error) | group_by(.) |
	map({error: .[0], n: length}) | sort_by([-.n, .error]);

def summary:
	lines as $lines | [$lines[] | select(. != null)] as $r |
	{read: {records: ($r | length), broken: ($lines | count(. == null))},
	 plain: [$r | map(select(.config == "none" and .host == "-")) | group_by(.guest)[] |
		(group_by(.module) | map(last)) as $m |
		{guest: $m[0].guest, rows: ($m | by_subsystem(plain_row)), errors: ($m | errors),
		 outcomes: ($m | map({(.module): .outcome}) | add)}],
	 setups: [$r | group_by(.guest)[] | . as $all | ($all | group_by(.module)) as $m |
		([$all[] | select(.config != "none") | [.host, .config]] | unique)[] as [$host, $config] |
		($m | judged($host; $config)) as $j |
		{guest: $all[0].guest, host: $host, config: $config,
		 rows: ($j | by_subsystem(with_row)), modules: ($j | map(del(.i)))}]};
