# A wild store planted in the isolated driver's text: stopped, named, survived.
serve 200000
inject()
{
	.build/tools/chariot inject "$(vm_pid a)" e1000 \
		--function e1000_intr \
		--wild-store init_uts_ns.name.nodename --width 4 \
		--value 0x41414141
}

# shellcheck disable=SC2086 # a list
vm_start a $NET || exit 1
vm_wait a || exit 1
net_up a >/dev/null
before=$(vm_run a 'uname -n')
inject >"$OUT/inject.without" 2>&1 || cat "$OUT/inject.without" >&2
fetch a >/dev/null
is "without Chariot the fault damages the guest" \
	"$(vm_run a 'uname -n' | cut -c1-4)" AAAA
vm_kill a

# A fault by type and seed is the same in a file and in a guest. What was there
# may not be: the guest patches calls and lock prefixes.
KO=$(echo .cache/kernels/"$GUEST"/modules/kernel/drivers/net/ethernet/intel/e1000/e1000.ko*)
record() { chariot -j inject "$@" 2>&1 | grep -oE '"(error|function|offset|new)":"[^"]*"' | tr '\n' ' '; }

# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
is "no violation before the fault" "$(iso_stat a violations)" 0
inject >"$OUT/inject.with" 2>&1 || cat "$OUT/inject.with" >&2
is "traffic goes on" "$(fetch a)" "$SUM"
is "the guest is unharmed" "$(vm_run a 'uname -n')" "$before"
check "the violation names function and target" grep -qE \
	'e1000_intr\+0x[0-9a-f]+ wrote 4 bytes at init_uts_ns' \
	"$OUT/a.guard"
iso_events a violation | head -n 2 | sed 's/^/# /'

for type in source pointer branch nop alloc lock text; do
	want=$(record --file "$KO" --type $type --seed 11)
	got=$(record a e1000 --type $type --seed 11 --dry-run)
	is "inject --type $type: in the guest as in the file" "$got" "$want"
done
case $got in *function*) ;; *) not_ok "inject --type: a record" "$got" ;; esac
is "a dry run writes nothing: the driver goes on" "$(fetch a)" "$SUM"

# One for real: it is there, and taken back.
chariot -j inject a e1000 --type nop --seed 4 --function e1000_watchdog >$OUT/nop.json 2>&1
check "inject --type nop" grep -q '"state":"planted"' "$OUT/nop.json"
check "inject --undo" chariot inject a --undo "$OUT/nop.json"
is "and the driver works" "$(fetch a)" "$SUM"
vm_stop a
iso_detach a
unserve
