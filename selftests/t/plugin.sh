# -device chariot on the distribution's QEMU, and the chariot command beside it.

# has NAME PATTERN COMMAND...: the command's output has a line like that
has()
{
	local name=$1 pattern=$2 out

	shift 2
	out=$("$@" 2>&1)
	if echo "$out" | grep -qE "$pattern"; then
		ok "$name"
	else
		not_ok "$name" "$(echo "$out" | head -n 5 | tr '\n' '|')"
	fi
}

domains() { chariot domain list a | sed 1d | grep -c .; }

is_paused() { vm_qmp a query-status | grep '"debug"'; }

# Others who have the VM open: "event watch" is there when it is one more
handles() { chariot -j vm show a | sed -n 's/.*"handles": *\([0-9]*\).*/\1/p'; }
one_more() { [ "$(handles)" -gt "$1" ]; }

sleeps() { [ "$(cut -d' ' -f3 "/proc/$1/stat")" = S ]; }

T=/sys/kernel/tracing
[ -d $T/events ] || mount -t tracefs tracefs $T
conform_files
vm_start a -action reboot=reset -plugin "file=$PLUGIN" \
	-device chariot,drivers=chariot_conform,verdict=skip || exit 1
vm_wait a || exit 1

has "vm list has the VM" "^$(vm_pid a) +a +plain" chariot vm list
has "vm list -j" '"pid": *'"$(vm_pid a)" chariot -j vm list
has "an unknown VM is an error" 'no.*nosuch|nosuch.*no' chariot vm show nosuch
is "no domain yet" "$(domains)" 0
echo 1 >$T/events/chariot/enable
: >$T/trace
has "a case that must be stopped is" 'victim_data unchanged' \
	conform a unchanged victim_data
echo 0 >$T/events/chariot/enable
has "tracepoint chariot_gate: entry" 'chariot_gate: .*entry' cat $T/trace
has "tracepoint chariot_gate: call" 'chariot_gate: .* call' cat $T/trace
has "tracepoint chariot_write" 'chariot_write: ' cat $T/trace
has "tracepoint chariot_violation" 'chariot_violation: ' cat $T/trace

has "domain list" 'chariot_conform.* skip' chariot domain list a
has "domain list -j" '"driver": *"chariot_conform"' chariot -j domain list
has "domain show" 'chariot_conform' chariot domain show a chariot_conform
has "act show: a section" 'section' chariot act show a chariot_conform
has "act show: a rule of the policy" '4  rule ' \
	chariot act show a chariot_conform
has "act show -j" '"source": *"section"' chariot -j act show a chariot_conform
has "stats show" '^violations +1( |$)' chariot stats show a
has "stats show -j" '"violations": *1[,}]?$' chariot -j -p stats show a
has "verdict show" 'skip' chariot verdict show a

check "verdict set report" chariot verdict set a chariot_conform report
has "verdict report lets it happen" 'victim_data damaged' \
	conform a damaged victim_data

.build/tools/chariot policy learn a chariot_conform >"$OUT/learned" 2>"$OUT/learn" &
learn=$!
wait_until grep -q '^watching' "$OUT/learn"
conform a damaged victim_data >/dev/null
# it has read the event of that
wait_until sleeps $learn
kill -INT $learn
wait $learn
is "policy learn: Ctrl-C ends it" $? 0
has "policy learn: the place, and what would explain it" \
	'^rule victim_data' cat "$OUT/learned"

check "verdict set pause" chariot verdict set a chariot_conform pause
handles=$(handles)
chariot -j event watch a --type violation --count 1 --timeout $WAIT \
	>"$OUT/watch" 2>&1 &
watch=$!
wait_until one_more $handles
conform a unchanged victim_data >"$OUT/paused" 2>&1 &
case=$!
wait $watch
is "event watch sees the violation" $? 0
has "by function and target" 'stop_store.*victim_data' cat "$OUT/watch"
has "verdict pause stops the VM" '"status": *"debug"' wait_until is_paused
check "verdict set skip" chariot verdict set a chariot_conform skip
vm_qmp a '{"execute":"cont"}' >/dev/null
wait $case
has "cont: the store is tried again, and skipped" 'victim_data unchanged' \
	cat "$OUT/paused"

has "second is not isolated" 'second ok' conform a unchanged second
check "isolate" chariot isolate a second
has "now it is" 'second ok' conform a unchanged second
has "events tell" 'second' cat "$OUT/a.qemu"
check "release" chariot release a chariot_conform
is "no domain left" "$(domains)" 0
has "released, it does damage" 'victim_data damaged' \
	conform a damaged victim_data

check "isolate it again" chariot isolate a chariot_conform
resets=$(reset_count a)
vm_qmp a '{"execute":"system_reset"}' >/dev/null
check "reset: it is done" wait_until was_reset a $((resets + 1))
check "reset: the guest boots again" vm_wait a
has "and the driver is isolated from its start" 'victim_data unchanged' \
	conform a unchanged victim_data
vm_stop a
