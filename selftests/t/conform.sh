# The conformance driver: what it must not do is stopped, what it may do works.
# Each case is first run without Chariot, where it must do its damage.
#
# VM_CASES	some of selftests/cases.tsv only
# VM_VERDICT	of the isolated run (skip)
# VM_STORM	allocations of alloc_storm (100000)
# VM_MODE	strict, or fast, where these are not stopped for sure:
GIVEN_UP="thread_stack caller_frame"
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
	for name in $GIVEN_UP; do
		skip "isolated: $name" "mode fast does not stop it"
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
# What it has allocated, or been handed by the thousand (8300 objects), and the kernel has
# freed: no gate sees that, but the guest's bookkeeping is looked at from time to time.  An
# object that somebody else was given in the same place at once is not told from it.
left()
{
	chariot act show a chariot_conform | grep -e ' allocation ' -e among_kobjects >"$OUT/left"
}
nearly_none()
{
	left
	[ "$(grep -c . "$OUT/left")" -lt 400 ]
}
check "isolated: nearly all that was freed is not granted any more" wait_until nearly_none
echo "# $(grep -c . "$OUT/left") are"
head -n 20 "$OUT/left" | sed 's/^/# /'
iso_events a violation | head -n 30 | sed 's/^/# /'
# shellcheck disable=SC2086 # a list
conform a unchanged $stop | judge "isolated, $VERDICT" unchanged "$nstop"
iso_stat a violations >/dev/null
is "no error" "$(iso_events a error | grep -c .)" 0
grep '^stat' "$OUT/a.guard" | tail -n 20 | sed 's/^/# /'
vm_stop a
iso_detach a
