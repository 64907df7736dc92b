# Verdict auto, the default: a build that is not known proves itself, or is held.
S=/tmp/probation
rm -rf $S
mkdir -p $S
echo "probation 50 2" >$S/policy

is_verdict() { chariot verdict show a | grep -q "e1000.*$1"; }
is_state() { chariot driver list e1000 --state $S/state | grep -q "^e1000.* $1 "; }
attach() { check "$1" chariot attach a e1000 --policy $S/policy --state $S/state; }

serve 200000
# shellcheck disable=SC2086 # a list
vm_start a $NET || exit 1
vm_wait a || exit 1
attach "attach, without a verdict"
net_up a >/dev/null
is "receive" "$(fetch a)" "$SUM"
check "without a report it is promoted" wait_until is_verdict recover
check "and proved" is_state proved
vm_run a 'ip link set eth0 down; rmmod e1000' >/dev/null
net_up a >/dev/null
check "loaded again, it is enforced from its start" is_verdict recover
is "receive" "$(fetch a)" "$SUM"
is "without a violation" "$(chariot -j stats show a | grep -c '"violations":0')" 1

check "detach" chariot detach a
vm_run a 'ip link set eth0 down; rmmod e1000' >/dev/null
check "the operator takes it back" chariot driver trust e1000 --probation --state $S/state
echo "probation 50 86400" >$S/policy
attach "attach again"
net_up a >/dev/null
check "it is on probation" is_verdict report
chariot inject a e1000 --function e1000_intr --wild-store init_uts_ns.name.nodename \
	--width 4 --value 0x41414141 >"$OUT/inject" 2>&1 || cat "$OUT/inject" >&2
vm_run a 'ping -c 2 -W 1 10.0.2.2' >/dev/null 2>&1
check "a wild write: it is held" wait_until is_state held
chariot driver list e1000 --state $S/state >$S/out
check "with its reason" grep -q '^e1000 .* is held: e1000: e1000_intr+.* wrote 4 bytes at init_uts_ns' $S/out
check "and what would allow it" grep -q '^  rule init_uts_ns + ' $S/out
check "it is not stopped" is_verdict report
check "the operator trusts it" chariot driver trust e1000 --state $S/state
check "the guard sees that" wait_until is_verdict recover
check "detach" chariot detach a
vm_stop a
unserve
rm -rf $S
