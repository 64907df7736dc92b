# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# run.sh: load and unload modules in a guest, one after the other. Sourced, on this
# machine (without Chariot) and in L1; vm.sh or iso.sh was before.
#
#	modules_run CONFIG LIST RESULTS
#		each line of LIST is "MODULE DIRECTORY [UNLOAD]"; a line for each is
#		added to RESULTS. CONFIG: none, strict, fast
#	modules_again LIST RESULTS
#		to stdout: the lines of LIST that were not all right with Chariot
#
# A result is a JSON object: module dir guest host config outcome error unload left
# log why seconds; with Chariot also isolated violations evidence. host is "-" if the
# guest was not nested. outcome is one of
#
#	loaded		unload is 0, or the error that this had
#	refused		error is the kernel's; why names a dependency that was refused
#	before		it was there already, in a guest that is new
#	oops, hang, crash
#			of the kernel meanwhile; no new guest goes on with it
#	unjudged	there was no guest, or no guard
#
# The guest is used for as many modules as it stands: one that was wrong, or has in
# it already what is to be loaded, is replaced by a new one.

# How long one module may take
MODULE_WAIT=${MODULE_WAIT:-$WAIT}
# What the guard has to do at first: no module has this name
NO_MODULE=none_of_them
COUNTERS="violations evidence"
FLOOD=1000

guest_start()
{
	local c

	FRESH=1
	for c in $COUNTERS; do
		printf -v "last_$c" 0
	done
	if [ "$CONFIG" = none ]; then
		vm_start "$VM" && vm_wait "$VM"
	else
		printf 'mode %s\n' "$CONFIG" >"/tmp/$VM.policy"
		VM_POLICY=/tmp/$VM.policy iso_start "$VM" $NO_MODULE report
	fi
}

# With Chariot, $OUT/audit gets a TAP line
guest_end()
{
	[ "$CONFIG" = none ] || ! vm_alive "$VM" || audit "$VM" >>"$OUT/audit"
	if [ "$CONFIG" != none ]; then
		kill "$(guard_pid)" "$(cat "/tmp/vm/$VM/guard.in")"
	fi 2>/dev/null
	vm_kill "$VM"
}

guard_pid() { cat "/tmp/vm/$VM/guard.pid"; }

# What the guard says from here on is about this module
ask_for()
{
	[ "$CONFIG" != none ] || return 0
	said_before=$(stat -c %s "$OUT/$VM.guard")
	# it is posted, and not waited for: the guard sees it before the load
	chariot isolate "$VM" "$1" --wait 0.001 >"$OUT/$VM.asked" 2>&1
	grep -q 'will be isolated when it does' "$OUT/$VM.asked"
}

# try MODULE: lines of module.c in $OUT/VM.said; sets STATUS
try()
{
	vm_run "$VM" -t "$MODULE_WAIT" "/c/module $1 ${MODULE_MS:-300}" >"$OUT/$VM.said" 2>&1
	STATUS=$?
}

# What was said: load, unload, left, log, dep, said_done
read_said()
{
	local word rest

	load='' unload='' left=0 log='' dep='' said_done='' before=''
	while read -r word rest; do
		case $word in
		load)	load=${rest%% *} ;;
		unload)	unload=${rest%% *} ;;
		left)	left=$rest ;;
		log)	log=${log:-$rest} ;;
		dep)	dep=$rest ;;
		before)	before=1 ;;
		done)	said_done=1 ;;
		esac
	done <"$OUT/$VM.said"
}

# The kernel's last words
console() { tr -d '\r' <"$(vm_log "$VM")" | grep -aE 'BUG|Oops|panic|RIP: 0010|Killed' | head -n 3 | paste -sd'|'; }

judge()
{
	outcome='' error='' why=''
	if [ "$STATUS" = 125 ] || ! vm_alive "$VM"; then
		outcome=crash why=$(console)
	elif [ "$load" = killed ] || [ "$unload" = killed ]; then
		outcome=oops why=$(console)
		why="${why:-$log}"
	elif [ "$STATUS" = 124 ]; then
		outcome=hang why="in ${load:+un}load"
	elif [ -z "$said_done" ]; then
		outcome=unjudged why="status $STATUS: $(tail -n 1 "$OUT/$VM.said")"
	elif [ "$before" ]; then
		outcome=before
	elif [ "$dep" ]; then
		outcome=refused error=${dep#* } why="dependency ${dep% *}"
	elif [ "$load" = 0 ]; then
		outcome=loaded
	else
		outcome=refused error=$load
	fi
}

# What came since they were read last
read_counters()
{
	local c n now

	n=$(stat_count "$VM")
	kill -USR1 "$(guard_pid)" && wait_until stats_came "$VM" "$n" || return 0
	for c in $COUNTERS; do
		now=$(sed -n "s/^stat $c //p" "$OUT/$VM.guard" | tail -n 1)
		n=last_$c
		printf -v "$c" %d $((${now:-0} - ${!n}))
		printf -v "last_$c" %d "${now:-0}"
	done
}

# isolated, and why not, and what it did
read_guard()
{
	local part=$OUT/$VM.part

	! vm_alive "$VM" || read_counters
	tail -c +$((said_before + 1)) "$OUT/$VM.guard" | grep -aE '^(domain-new|violation|error|unemulated) ' >"$part"
	# of a guest that died nobody counts any more
	vm_alive "$VM" || violations=$(grep -c '^violation' "$part")
	! grep -qE "^domain-new ${1//[-_]/[-_]}: isolated" "$part" || isolated=true
	[ -n "$why" ] || why=$(grep -v '^domain-new' "$part" | head -n 3 | paste -sd'|')
}

# text of JSON
text()
{
	local s=${1//[$'\001'-$'\037']/ }

	s=${s//\\/\\\\}
	printf '"%s"' "${s//\"/\\\"}"
}

record()
{
	{
		printf '{"module":"%s","dir":"%s","guest":"%s","host":"%s","config":"%s",' \
			"$1" "$2" "$GUEST" "${MODULES_HOST:--}" "$CONFIG"
		printf '"outcome":"%s","error":"%s","unload":"%s","left":%d,' "$outcome" "$error" \
			"$unload" "${left:-0}"
		printf '"log":%s,"why":%s,' "$(text "$log")" "$(text "$why")"
		[ "$CONFIG" = none ] || printf '"isolated":%s,"violations":%d,"evidence":%d,' \
			"$isolated" "$violations" "$evidence"
		printf '"seconds":%s}\n' "$3"
	} >>"$INTO"
}

# one MODULE DIRECTORY
one()
{
	local began=$EPOCHREALTIME us

	STATUS=0 outcome=unjudged error='' unload='' left=0 log='' isolated=false violations=0 evidence=0
	why="no guest, see $VM.log"
	while :; do
		vm_alive "$VM" || guest_start >"$OUT/$VM.start" 2>&1 || break
		began=$EPOCHREALTIME
		ask_for "$1" || { why="no guard: $(head -n 1 "$OUT/$VM.asked")"; break; }
		try "$1"
		read_said
		if [ -z "$before" ] || [ "$FRESH" = 1 ]; then
			judge
			break
		fi
		guest_end
	done
	FRESH=0
	if [ "$CONFIG" != none ] && [ "$outcome" != unjudged ]; then
		read_guard "$1"
		chariot release "$VM" "$1" >"$OUT/$VM.released" 2>&1
	fi
	us=$((${EPOCHREALTIME/./} - ${began/./}))
	record "$1" "$2" "$((us / 1000000)).$((us / 100000 % 10))"
	case $outcome$log in
	crash*|oops*|hang*|unjudged*|*'BUG'*|*Oops*|*'general protection'*)
		cp "$(vm_log "$VM")" "$OUT/$1.log" 2>/dev/null
		guest_end ;;
	*)	# what the guard has still to tell is not of the next one
		[ "$violations" -le $FLOOD ] || guest_end ;;
	esac
}

modules_run()
{
	local name dir rest

	CONFIG=$1 INTO=$3 FRESH=1
	touch "$OUT/audit"
	while read -r name dir rest <&8; do
		echo "$name" >"$OUT/now"
		one "$name" "$dir"
	done 8<"$2"
	guest_end
}

# What went well needs no comparison: loaded, isolated, no violation, and gone again.
modules_again()
{
	local name dir unload

	while read -r name dir unload; do
		grep -a "\"module\":\"$name\"," "$2" | tail -n 1 |
			grep -a '"outcome":"loaded"' | grep -a "\"unload\":\"${unload:-0}\"" |
			grep -a '"log":""' | grep -aq '"isolated":true,"violations":0,' ||
			echo "$name $dir"
	done <"$1"
}
