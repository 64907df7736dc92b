#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test.sh: the plugin and the device under TCG, as TAP. "make check" runs it.
#
# Guards and refusals run with the real libchariot. What the device does with
# a VM runs with mock.c, which acts one out: no KVM is needed.

set -u

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
O=${O:-$TOP/.build}
SRC=$TOP/qemu-plugin
SO=$O/qemu-plugin/chariot.so
MOCK=$O/qemu-plugin/mock/libchariot.so.1
QEMU=${QEMU:-qemu-system-x86_64}
TMP=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$TMP"' EXIT

# What happens has happened by then on the slowest machine.
WAIT=${WAIT:-600}
n=0 failed=0

ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok()
{
	n=$((n + 1)) failed=$((failed + 1))
	echo "not ok $n - $1"
	[ -z "${2:-}" ] || echo "# ${2//$'\n'/$'\n'# }"
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
check() { local name=$1; shift; if "$@"; then ok "$name"; else not_ok "$name"; fi; }

has() { grep -qF -- "$2" "$1"; }

# qemu PLUGIN ARG...: to its end, which is at once. Options are parsed and
# devices made, but nothing runs.
qemu()
{
	local plugin=$1

	shift
	timeout "$WAIT" env ${PRELOAD:+"LD_PRELOAD=$PRELOAD"} "$QEMU" -display none \
		-nodefaults -S -monitor stdio -plugin "file=$plugin" "$@" \
		<<<quit >"$TMP/out" 2>"$TMP/err"
}

# refuses NAME TEXT QEMU-ARG...: QEMU ends with status 1, and says TEXT
refuses()
{
	local name=$1 text=$2 status

	shift 2
	qemu "$@"
	status=$?
	if [ $status -eq 1 ] && has "$TMP/err" "$text"; then
		ok "$name"
	else
		not_ok "$name" "status $status, expected: $text
$(cat "$TMP/err")"
	fi
}

# ---- the file -------------------------------------------------------------

nm -D --defined-only "$SO" | awk '{ print $3 }' | sort >"$TMP/exports"
check "exports are the two of a plugin" \
	[ "$(tr '\n' ' ' <"$TMP/exports")" = "qemu_plugin_install qemu_plugin_version " ]

libs=$(ldd "$SO" | awk '$3 ~ /^\// { print $3 }')
# shellcheck disable=SC2046,SC2086 # lists
nm -D --defined-only "$(command -v "$QEMU")" $(ldd "$(command -v "$QEMU")" |
	awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }') $libs 2>/dev/null |
	awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort -u >"$TMP/there"
missing=$(nm -D -u "$SO" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' |
	sort -u | comm -23 - "$TMP/there")
if [ -z "$missing" ]; then
	ok "QEMU and the libraries have all that is undefined"
else
	not_ok "QEMU and the libraries have all that is undefined" "$missing"
fi

# ---- guards of the plugin -------------------------------------------------

qemu "$SO"
check "loads, and without a device changes nothing" [ $? -eq 0 ]
check "and says nothing" [ ! -s "$TMP/err" ]
refuses "an argument of -plugin" \
	'takes no argument "drivers=e1000"' "$SO,drivers=e1000"
# QEMU itself ignores the same path again
ln -s "$SO" "$TMP/again.so"
refuses "-plugin twice" "given twice" "$SO" -plugin "file=$TMP/again.so"

# variant NAME CPPFLAGS: the plugin, built a little wrong
variant()
{
	make -s -C "$SRC" -f "$SRC/Makefile" O="$TMP/$1" CPPFLAGS="$2" \
		LIB="$O/libchariot/libchariot.so.1" \
		LDFLAGS="-L$O/libchariot -Wl,-rpath,$O/libchariot" \
		>"$TMP/make" 2>&1 || { cat "$TMP/make" >&2; return 1; }
	cp "$TMP/$1/qemu-plugin/chariot.so" "$TMP/$1.so"
}

if variant major -DCHARIOT_TEST_QEMU_MAJOR=99; then
	refuses "built for another QEMU" "was built for QEMU 99." \
		"$TMP/major.so" -device chariot
else
	not_ok "built for another QEMU" "does not build"
fi
if variant size -DCHARIOT_TEST_SIZE_ERROR=24; then
	refuses "built with another size of PCIDevice" \
		'a PCIDevice has 2' "$TMP/size.so" -device chariot
else
	not_ok "built with another size of PCIDevice" "does not build"
fi
if variant int128 -DCHARIOT_TEST_NO_INT128; then
	refuses "built without CONFIG_INT128" \
		'a PCIDevice has 2' "$TMP/int128.so" -device chariot
else
	not_ok "built without CONFIG_INT128" "does not build"
fi

# ---- properties -----------------------------------------------------------

refuses "accel=tcg" "accel=tcg: chariot needs KVM" \
	"$SO" -accel tcg -device chariot,drivers=e1000
refuses "accel=tcg, device as JSON" "accel=tcg: chariot needs KVM" \
	"$SO" -device '{"driver":"chariot","drivers":"e1000,nvme"}'
for list in e1000++nvme +nvme a::b :a "a,,,,b" 'a b' /a --help e1000:-x \
	aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
	refuses "drivers=$list" "is no name of a driver (expected" \
		"$SO" -device "chariot,drivers=$list"
done
refuses "drivers=e1000:" "ends in a separator" \
	"$SO" -device chariot,drivers=e1000:
for v in '' foo SKIP; do
	refuses "verdict=$v" "verdict: \"$v\" is none of report, skip, oops, pause, recover, auto" \
		"$SO" -device "chariot,verdict=$v"
done
refuses "fail=foo" 'fail: "foo" is none of continue, pause' \
	"$SO" -device chariot,fail=foo
refuses "policy file that is not there" \
	"policy: $TMP/no.policy: No such file" \
	"$SO" -device "chariot,policy=$TMP/no.policy"
printf 'gate x { }\nnonsense\n' >"$TMP/bad.policy"
refuses "policy file with a mistake" "$TMP/bad.policy:2:" \
	"$SO" -device "chariot,policy=$TMP/bad.policy"
refuses "empty name of a policy file" "empty file name" \
	"$SO" -device "chariot,policy=$TMP/bad.policy::"
refuses "a property that is none" "Property 'chariot.foo' not found" \
	"$SO" -device chariot,foo=1
refuses "a property that is read-only" "stats" \
	"$SO" -device chariot,stats=1

# ---- /dev/chariot ---------------------------------------------------------

if [ -e /dev/chariot ]; then
	skip "without the module" "/dev/chariot is here"
elif ! qemu "$SO" -accel kvm; then
	skip "without the module" "no KVM here"
else
	refuses "without the module" \
		"/dev/chariot is not there: load kvm_chariot.ko first" \
		"$SO" -accel kvm -device chariot
fi

export PRELOAD=$MOCK
for e in 2:"is not there: load kvm_chariot.ko first" \
	13:"which may not read and write it" \
	6:"load kvm_chariot.ko first" \
	95:"cannot attach to this VM: Operation not supported"; do
	[ "${e%%:*}" = 2 ] && [ -e /dev/chariot ] && continue
	CHARIOT_MOCK_ATTACH=${e%%:*} refuses "attach fails with errno ${e%%:*}" \
		"${e#*:}" "$SO" -device chariot
done
refuses "two of them" "there is a chariot device already" \
	"$SO" -device chariot -device chariot
refuses "-only-migratable" "not migratable" \
	"$SO" -only-migratable -device chariot
PRELOAD=

# ---- the device, with a VM that is acted out ------------------------------

mkfifo "$TMP/mock" "$TMP/qmp"
export CHARIOT_MOCK=$TMP/mock

# until FILE TEXT [NR]: FILE has NR lines (1) with TEXT
until_has()
{
	local end=$((SECONDS + WAIT))

	while [ "$(grep -cF -- "$2" "$1")" -lt "${3:-1}" ]; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# qmp JSON: give a command, print the answer
qmp()
{
	local id end=$((SECONDS + WAIT))

	# also in a subshell
	id=$(($(grep -c '"id": ' "$TMP/out") + 1))
	echo "${1%\}}, \"id\": $id}" >&7
	# it may also be first
	until grep "\"id\": ${id}[,}]" "$TMP/out"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

qom_get() { qmp "{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"c\", \"property\": \"$1\"}}"; }
qom_set() { qmp "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"c\", \"property\": \"$1\", \"value\": \"$2\"}}"; }
run() { qmp "{\"execute\": \"$1\"}" >/dev/null; }
hmp() { qmp "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"$1\"}}"; }
say() { echo "$1" >"$TMP/mock"; }

# is NAME TEXT OUTPUT: OUTPUT has TEXT in it
is()
{
	case $3 in
	*"$2"*)	ok "$1" ;;
	*)	not_ok "$1" "expected: $2
$3" ;;
	esac
}
# said NAME TEXT [NR]: QEMU or the mock says so
said()
{
	if until_has "$TMP/err" "$2" "${3:-1}"; then
		ok "$1"
	else
		not_ok "$1" "expected: $2
$(tail -n 20 "$TMP/err")"
	fi
}
event() { check "$1" until_has "$TMP/out" "\"event\": \"$2\"" "$3"; }

start()
{
	timeout $((10 * WAIT)) env LD_PRELOAD="$MOCK" "$QEMU" -display none -nodefaults \
		-machine pc -qmp stdio -plugin "file=$SO" "$@" \
		<"$TMP/qmp" >"$TMP/out" 2>"$TMP/err" &
	pid=$!
	exec 7>"$TMP/qmp"
	until_has "$TMP/out" '"QMP"' && run qmp_capabilities
}
finish()
{
	echo '{"execute": "quit"}' >&7
	wait $pid
	status=$?
	exec 7>&-
}

start -S -device chariot,id=c,addr=5,drivers=e1000:snd-dummy,,nvme,verdict=pause,fail=pause,state-dir=/s ||
	not_ok "starts" "$(cat "$TMP/err")"
said "the guard gets the properties, and a thread without signals" \
	"mock: start drivers=e1000,snd-dummy,nvme verdict=pause fail_stop=1 signals=blocked state=/s"
is "ids on the bus" "1234:c4a7" "$(hmp 'info pci')"
is "state" '"return": "isolating"' "$(qom_get state)"
is "stats: first" '"entries": 12' "$(qom_get stats)"
is "stats: another" '"exits_kvm": 34' "$(qom_get stats)"
is "stats: last" '"down_ms": 0' "$(qom_get stats)"
is "domains" '"e1000": {"memory": 0, "verdict": "oops", "objects": 56}' \
	"$(qom_get domains)"
is "verdict can be read" '"return": "pause"' "$(qom_get verdict)"
is "verdict can be set at run time" '"return": {}' "$(qom_set verdict skip)"
said "and reaches the guard" "mock: verdict skip"
is "to a known one" "is none of report, skip, oops, pause, recover, auto" \
	"$(qom_set verdict foo)"
for p in drivers policy fail state-dir; do
	is "$p cannot be set at run time" "after it was realized" \
		"$(qom_set $p pause)"
done
is "a second device" "there is a chariot device already" \
	"$(qmp '{"execute": "device_add", "arguments": {"driver": "chariot"}}')"
is "migration is refused" "non-migratable device" \
	"$(qmp '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}')"
is "so is a snapshot" "non-migratable device" "$(hmp 'savevm x')"
check "the first reset is none" [ "$(grep -c 'mock: reset' "$TMP/err")" = 0 ]

say "error before the start"
said "a failure before the VM runs is told" "chariot: before the start"
said "and does not block the guard" "mock: on_event returned"
run cont
event "and stops the VM as soon as it runs" STOP 1
run cont
event "which then goes on" RESUME 2

say "violation 7"
event "a violation with verdict pause stops the VM" STOP 2
is "for the debugger" '"status": "debug"' "$(qmp '{"execute": "query-status"}')"
said "and is told" "warning: chariot: e1000 writes where it must not"
check "the vCPU is held" [ "$(grep -c 'mock: continue' "$TMP/err")" = 0 ]
run cont
said "and continues with the VM" "mock: continue 7"
run stop
run cont
check "once" [ "$(grep -c 'mock: continue' "$TMP/err")" = 1 ]

say "error no symbols"
event "a failure with fail=pause stops the VM" STOP 4
said "and is told" "chariot: no symbols"
said "after that the guard answers" "mock: on_event returned" 2
run cont

resets() { grep -c 'mock: reset' "$TMP/err"; }
# The firmware resets the machine once more, of its own.
run system_reset
said "a reset reaches the guard" "mock: reset"
run stop
m=$(resets)
run system_reset
said "so does one of a stopped VM" "mock: reset" $((m + 1))
m=$(grep -c '"RESET"' "$TMP/out")
run system_reset
event "but not" RESET $((m + 1))
m=$(resets)
run system_reset
sleep 0.3
check "one of a VM that has not run since" [ "$(resets)" = "$m" ]
run cont

say "flood 20000"
said "a flood of messages" "chariot: again" 20
said "has an end" "mock: flooded"
# 50 a second, for as long as it takes
check "is cut" [ "$(grep -c 'chariot: again' "$TMP/err")" -lt 20000 ]

# What the guest's ACPI code does when it is asked
run stop
qmp '{"execute": "device_del", "arguments": {"id": "c"}}' >/dev/null
hmp 'o/w 0xae10 0' >/dev/null
hmp 'o/w 0xae08 0x20' >/dev/null
event "unplugged" DEVICE_DELETED 1
said "the guard stops" "mock: stop"
said "what was cut is counted" "more messages suppressed"
is "plugged again" '"return": {}' "$(qmp '{"execute": "device_add",
	"arguments": {"driver": "chariot", "id": "c", "drivers": "nvme"}}' )"
said "the guard starts" "mock: start drivers=nvme verdict=auto fail_stop=0"
said "and has the default directory" "signals=blocked state=default"
finish
check "QEMU ends well" [ $status -eq 0 ]
check "and has nothing else to complain about" \
	[ -z "$(grep -vE '^mock: |chariot: ' "$TMP/err")" ]

start -device chariot,id=c,addr=5,fail=continue
say "error let it go on"
said "a failure with fail=continue is told" "chariot: let it go on"
said "and nothing waits" "mock: on_event returned"
check "nor stops" [ "$(grep -c '"STOP"' "$TMP/out")" = 0 ]
finish

# QEMU's own -daemonize needs what spawn=deny takes away.
daemon()
{
	local name=$1

	shift
	LD_PRELOAD=$MOCK "$QEMU" -display none -nodefaults -plugin "file=$SO" \
		-device chariot,drivers=e1000 -pidfile "$TMP/pid" -daemonize \
		"$@" >"$TMP/out" 2>"$TMP/err"
	check "$name" [ $? -eq 0 ]
	sleep 0.3
	check "and runs" kill "$(cat "$TMP/pid")"
}
daemon "-daemonize"
if PRELOAD=$MOCK qemu "$SO" -device chariot,drivers=e1000 \
	-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny; then
	check "-sandbox with all denied" has "$TMP/err" "mock: start drivers=e1000"
else
	not_ok "-sandbox with all denied" "$(cat "$TMP/err")"
fi

echo "1..$n"
[ $failed -eq 0 ]
