# Mode fast: the same traffic with fewer exits, and what it gives up.
echo 'mode fast' >"$OUT/fast.policy"
serve 1000000

# exits FILE...: isolate e1000 with these policies, fetch, exits of that
run_e1000()
{
	local before

	VM_POLICY=$* iso_start a e1000 skip $NET || return 1
	net_up a >/dev/null
	before=$(iso_stat a exits)
	SUM_GOT=$(fetch a)
	EXITS=$(($(iso_stat a exits) - before))
	VIOLATIONS=$(iso_stat a violations)
	STACKS=$(iso_stat a stack_grants)
	MODE=$(chariot -j domain list a | sed -n 's/.*"mode":"\([a-z]*\)".*/\1/p')
	vm_stop a
	iso_detach a
}

run_e1000 || exit 1
strict=$EXITS
is "strict: the transfer is right" "$SUM_GOT" "$SUM"
is "strict: no stack page is open" "$STACKS" 0
is "strict: its domain says so" "$MODE" strict

run_e1000 "$OUT/fast.policy" || exit 1
is "fast: the transfer is right" "$SUM_GOT" "$SUM"
is "fast: no violation" "$VIOLATIONS" 0
is "fast: its domain says so" "$MODE" fast
echo "# exits for 1 MB: strict $strict, fast $EXITS; stack pages opened: $STACKS"
check "fast: fewer exits" [ "$EXITS" -lt "$strict" ]
unserve

echo 'mode furious' >"$OUT/bad.policy"
vm_start a -S || exit 1
VM_POLICY=$OUT/bad.policy iso_guard a e1000 skip 2>/dev/null
check "a mode that is none is refused, with its line" \
	grep -q 'bad.policy:1: mode is strict, fast or inline, not furious' "$OUT/a.guard"
vm_kill a
