# The conformance driver: what it must not do is stopped, what it may do works.
# Each case is first run without Chariot, where it must do its damage.
#
# VM_CASES	some of selftests/cases.tsv only
# VM_VERDICT	of the isolated run (skip)
# VM_STORM	allocations of alloc_storm (100000)
# VM_MODE	strict, or fast, where these are not stopped for sure:
GIVEN_UP="thread_stack caller_frame"
# and this is accused: __kfifo_alloc() lies on a page of inherited code, so that its call
# is not seen there, and what it stores is no evidence
ACCUSED=kfifo
VERDICT=${VM_VERDICT:-skip}
conform_files

# names stop|pass: the cases of that kind
names()
{
	awk -F'\t' -v kind="$1" -v skipped=" $skipped " -v only=" ${VM_CASES:-} " '
		$2 == kind && !index(skipped, " " $1 " ") && (only == "  " || index(only, " " $1 " ")) {
			print $1 }' selftests/cases.tsv
}

# judge STATE EXPECT COUNT <LINES: one TAP line for each case
judge()
{
	local name result why n=0

	while read -r name result why; do
		case $name,$result in
		\#*)		continue ;;
		*,skip)		skip "$1: $name" "$why" ;;
		*,ok|*,"$2")	ok "$1: $name $result" ;;
		*)		not_ok "$1: $name" "$result $why" ;;
		esac
		n=$((n + 1))
	done
	is "$1: cases that ran" $n "$3"
}

# KVM's shadow paging makes the page that is written so not executable, and the
# driver's store is on that very page: the guest faults without end, also
# without Chariot.
skipped=
if [ "${NPT:-1}" = 0 ]; then
	skipped=own_text_wp
	skip own_text_wp "KVM's shadow paging cannot do it"
fi

if [ "${VM_MODE:-strict}" = fast ]; then
	skipped="$skipped $GIVEN_UP"
	echo 'mode fast' >"$OUT/fast.policy"
	VM_POLICY=$OUT/fast.policy
	skipped="$skipped $ACCUSED"
	for name in $GIVEN_UP; do
		skip "isolated: $name" "mode fast does not stop it"
	done
	for name in $ACCUSED; do
		skip "isolated: $name" "mode fast accuses it: its call is not seen"
	done
fi

for name in ${VM_CASES:-}; do
	cut -f1 selftests/cases.tsv | grep -qx "$name" || not_ok "VM_CASES: there is no case $name"
done
stop=$(names stop) pass=$(names pass)
nstop=$(echo "$stop" | grep -c .) npass=$(echo "$pass" | grep -c .)

vm_start a || exit 1
vm_wait a || exit 1
# shellcheck disable=SC2086 # a list
conform a damaged $stop | judge "without Chariot" damaged "$nstop"
vm_kill a

iso_start a chariot_conform,fail_init,wild_init,second "$VERDICT" || exit 1
# shellcheck disable=SC2086 # a list
conform a unchanged $pass | judge isolated unchanged "$npass"
is "isolated: no violation in what a driver may do" \
	"$(iso_stat a violations)" 0
# Only what the kernel frees on its own, which no gate sees.
is "isolated: what it has freed is not granted any more" \
	"$(.build/tools/chariot -n act show a chariot_conform |
	   grep ' allocation ' | grep -v -e pass_skb_ -e devres_act -e pass_cdev \
		-e spi_bound -e more_devm_act -e with_netdev -e platform_data -e pass_input -e devm_kmalloc -e private_open | tee /tmp/stale |
	   grep -c .)" 0
sed 's/^/# /' /tmp/stale
iso_events a violation | head -n 30 | sed 's/^/# /'
# What is freed is looked for in the guest's own bookkeeping, with evidence.
frees=$(for name in $stop; do case $name in *free_twice|*free_middle) echo "$name" ;; esac; done)
rest=$(for name in $stop; do case $name in *free_twice|*free_middle) ;; *) echo "$name" ;; esac; done)
# shellcheck disable=SC2086 # a list
[ -z "$frees" ] || conform a unchanged $frees |
	judge "isolated, $VERDICT" unchanged "$(echo "$frees" | grep -c .)"
iso_stat a violations >/dev/null
is "no error" "$(iso_events a error | grep -c .)" 0
grep '^stat' "$OUT/a.guard" | tail -n 20 | sed 's/^/# /'
vm_stop a
iso_detach a

# The rest without evidence: what it lets pass depends on what the kernel has put where
# in the meantime (a victim's object that the driver has come to have a pointer to).
without_evidence()
{
	echo 'evidence off' >"$OUT/off.policy"
	VM_POLICY="${VM_POLICY:-} $OUT/off.policy"
	iso_start a chariot_conform,fail_init,wild_init,second "$VERDICT" || exit 1
	# shellcheck disable=SC2086 # a list
	conform a unchanged $rest |
		judge "isolated, $VERDICT, no evidence" unchanged "$(echo "$rest" | grep -c .)"
	iso_stat a violations >/dev/null
	is "no error" "$(iso_events a error | grep -c .)" 0
	vm_stop a
	iso_detach a
}
[ -z "$rest" ] || without_evidence
