# What is freed stays granted for a while, if the policy says so: a write to it
# is stopped without, and not with "defer".
# of 2000 allocations, for the module's parameter: it is loaded by the first case
export VM_STORM=2000
conform_files
for n in 0 64; do
	echo "defer $n" >"$OUT/defer.policy"
	VM_POLICY=$OUT/defer.policy iso_start a chariot_conform skip || exit 1
	got=$(conform a unchanged use_after_free | head -n 1)
	is "defer $n: a write to freed memory" "$(echo "$got" | cut -d" " -f1,2)" \
		"use_after_free $([ $n = 0 ] && echo unchanged || echo damaged)"
	is "defer $n: an alloc storm" \
		"$(conform a unchanged alloc_storm | head -n 1)" "alloc_storm ok"
	is "defer $n: what is freed and still granted" \
		"$(chariot act show a chariot_conform | grep -c ' freed ')" "$n"
	vm_kill a
	iso_detach a
done
