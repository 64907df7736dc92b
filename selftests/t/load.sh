# chariot-load in a guest: it asks through the device's BAR.
LOAD=/c/chariot-load
try() { vm_run a "$LOAD $*; echo status \$?" 2>&1 | tr '\n' ' '; }

# said NAME PATTERN ARG...: what chariot-load says
said()
{
	local got

	got=$(try "${@:3}")
	if echo "$got" | grep -qE "$2"; then
		ok "$1"
	else
		not_ok "$1" "$got"
	fi
}

export VM_FILES="$PWD/.build/tools/chariot-load:$LOAD"
vm_start a || exit 1
vm_wait a || exit 1
said "no device" 'has no chariot device status 1' e1000
said "no arguments" 'Usage: .*status 2'
vm_kill a

serve 200000
# shellcheck disable=SC2086 # a list
vm_start a $NET -plugin "file=$PLUGIN" -device chariot,verdict=recover || exit 1
vm_wait a || exit 1
said "requests are off" 'takes no requests .*status 1' e1000
is "nothing was loaded" "$(vm_run a 'grep -c ^e1000 /proc/modules')" 0
vm_kill a

# shellcheck disable=SC2086 # a list
vm_start a $NET -plugin "file=$PLUGIN" -device chariot,requests=on,verdict=recover || exit 1
vm_wait a || exit 1
said "a name that is none" 'is no name of a module status 1' "'a/b'"
said "a module that is none" 'nosuch is not loaded status 1' nosuch
said "e1000" '^e1000: isolated status 0' e1000
is "so says the host" "$(chariot -j domain list a |
	grep -c '"driver":"e1000".*"verdict":"recover"')" 1
net_up a >/dev/null
is "receive" "$(fetch a)" "$SUM"
is "no violation" "$(chariot -j stats show a | grep -c '"violations":0')" 1
said "again: it is loaded" '^e1000: isolated status 0' e1000
vm_run a 'modprobe dummy'
said "one that was loaded before" \
	'dummy is loaded, but not isolated: .*reports.*status 3' dummy
vm_run a "i=0; while [ \$i -lt 70 ]; do $LOAD m\$i; i=\$((i+1)); done 2>&1 |
	tail -n 1" >"$OUT/many" 2>&1
check "no more than 64 requests" grep -q 'too many requests' "$OUT/many"
is "receive" "$(fetch a)" "$SUM"
vm_stop a
unserve
