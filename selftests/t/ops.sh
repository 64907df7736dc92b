# What an operator looks at: top, metrics, the journal, and the one-liners of
# Documentation/tracing.rst, while an isolated driver works and has a fault.
serve 1000000

# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null || exit 1
is "receive" "$(fetch a)" "$SUM"

# Traffic, until the end of the test
traffic()
{
	while vm_alive a; do
		fetch a >/dev/null || sleep 1
	done
}

DIR=$(mktemp -d)
traffic &
TRAFFIC=$!

# ---- top and metrics, without a violation -----------------------------------------

top_has() { chariot top -b --count 1 --delay 1 | grep -Eq "$1"; }
check "top: the driver, with exits a second" \
	wait_until top_has '^a +e1000 +skip +0 +0\.0 +[1-9][0-9.]* +[1-9]'

.build/tools/chariot-exporter --listen 127.0.0.1:0 2>"$DIR/exporter" &
EXPORTER=$!
wait_until grep -q http: "$DIR/exporter"
URL=$(grep -o 'http://.*' "$DIR/exporter")
# value METRIC [LABELS]: what the exporter says
value()
{
	busybox wget -q -O - "$URL" |
		sed -n "s/^$1{vm=\"a\",pid=\"$(vm_pid a)\",driver=\"e1000\",domain=\"1\"${2:-}} //p"
}
more_than() { [ "$(value "$2" "${3:-}")" -gt "$1" ]; }
check "exporter: exits" more_than 100 chariot_domain_exits_total
check "exporter: the ACT has objects" more_than 100 chariot_domain_act_objects
is "exporter: no violation" "$(value chariot_domain_violations_total)" 0
is "exporter: the verdict" "$(value chariot_domain_verdict ',verdict="skip"')" 1

# ---- a fault -----------------------------------------------------------------------

# In place of the journal, which L1 has not
mkdir -p /run/systemd/journal
python3 - "$DIR/journal" <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
while True:
    data = s.recv(65536)
    open(sys.argv[1], "ab", 0).write(data + b"\n")
END
JOURNAL=$!
wait_until test -S /run/systemd/journal/socket
chariot event watch a --type violation --count 1 --timeout "$WAIT" --journal >"$DIR/watch" &
WATCH=$!
handles() { chariot -j vm show a | sed -n 's/.*"handles": *\([0-9]*\).*/\1/p'; }
two() { [ "$(handles)" -ge 2 ]; }
wait_until two
check "a fault is planted" chariot inject a e1000 --function e1000_intr \
	--wild-store init_uts_ns.name.nodename --width 4 --value 0x41414141
wait $WATCH
is "event watch: a violation" "$(grep -c 'e1000_intr.* wrote 4 bytes' "$DIR/watch")" 1
for field in CHARIOT_VM=a CHARIOT_DRIVER=e1000 CHARIOT_EVENT=violation CHARIOT_VERDICT=skip \
	 CHARIOT_WHY=write "CHARIOT_VM_PID=$(vm_pid a)" PRIORITY=4; do
	check "journal: $field" grep -qx "$field" "$DIR/journal"
done
kill $JOURNAL
check "exporter: violations" wait_until more_than 0 chariot_domain_violations_total
check "exporter: by a write" more_than 0 chariot_domain_violations_by_cause_total ',cause="write"'
is "exporter: and by nothing else" \
	"$(value chariot_domain_violations_by_cause_total ',cause="fetch"')" 0
check "top: a violation in a second" \
	wait_until top_has '^a +e1000 +skip +[1-9][0-9]* +(0\.[1-9]|[1-9])'
check "top: which one" wait_until top_has ' a e1000: e1000_intr.* wrote 4 bytes'

# ---- the one-liners ----------------------------------------------------------------

# one_liner COMMAND: it succeeds and says what it should
one_liner()
{
	local cmd=$1 want

	case $cmd in
	*'perf list'*)	want='chariot:chariot_gate' ;;
	*'perf stat'*)	want='[1-9][0-9,]* +chariot:chariot_gate' ;;
	*'perf record'*) want='^' ;;
	*'-F trace'*)	want='^ +[1-9][0-9]* [0-9a-f]{16}$' ;;
	*'perf script'*) want='chariot:chariot_violation: .* write: skip' ;;
	*'@us'*)	want='^\[.*\|@' ;;
	*'str(args'*)	want='^@\[1, entry\]: [1-9]' ;;
	*lhist*)	want='^@\[1\]:|^@\[2\]:' ;;
	*printf*)	want='domain 1 at ffffffff.* wrote 4 bytes at ffff' ;;
	*'head -n'*)	want='chariot_gate: vcpu' ;;
	*)		want='^|^$' ;;
	esac
	if bash -c "$cmd" >"$DIR/out" 2>"$DIR/err" &&
	   { [ "$want" = '^' ] || [ "$want" = '^|^$' ] || grep -Eq "$want" "$DIR/out" "$DIR/err"; }; then
		ok "tracing.rst: $cmd"
	else
		not_ok "tracing.rst: $cmd" "$(tail -n 5 "$DIR/out" "$DIR/err" | tr '\n' '|')"
	fi
}

# What another test has traced.
echo >/sys/kernel/tracing/trace 2>/dev/null
while IFS= read -r cmd <&3; do
	case $cmd in
	perf*) command -v perf >/dev/null || { skip "$cmd" "no perf"; continue; } ;;
	bpftrace*) command -v bpftrace >/dev/null || { skip "$cmd" "no bpftrace"; continue; } ;;
	esac
	one_liner "$cmd"
done 3< <(sed -n 's/^  # //p' Documentation/tracing.rst)
is "tracing.rst has one-liners" "$(grep -c '^  # ' Documentation/tracing.rst)" 13

# ---- the end -----------------------------------------------------------------------

kill $EXPORTER
wait $EXPORTER
is "exporter ends" $? 0
is "the guest's name is as it was" "$(vm_run a 'uname -n')" guest
chariot top -b --count 3 --delay 1 >/dev/null &
TOP=$!
vm_stop a
check "top goes on when a VM ends" wait $TOP
wait $TRAFFIC
rm -rf "$DIR"
