#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# demo-l1.sh: demo.sh's part in L1.

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=selftests/iso.sh
. selftests/iso.sh

MB=${DEMO_MB:-4}

say() { echo "demo: $*"; }

# run NAME [QEMU ARG...]: sets got_NAME_fetch, _fault, _after, _name
run()
{
	local vm=$1 out

	shift
	# shellcheck disable=SC2086 # a list
	vm_start "$vm" "$@" $NET || return 1
	vm_wait "$vm" || return 1
	say "$vm: guest is up: $(vm_run "$vm" 'uname -sr'), hostname $(vm_run "$vm" 'uname -n')"
	net_up "$vm" >/dev/null || return 1
	say "$vm: e1000 loaded; fetching $MB MiB"
	out=$(fetch "$vm")
	[ "$out" = "$SUM" ] && out=good
	eval "got_${vm}_fetch=\$out"
	say "$vm: planting the fault in e1000_intr"
	.build/tools/chariot inject "$(vm_pid "$vm")" e1000 \
		--function e1000_intr \
		--wild-store init_uts_ns.name.nodename --width 4 \
		--value 0x41414141 || return 1
	out=$(fetch "$vm")
	[ "$out" = "$SUM" ] && out=good
	eval "got_${vm}_after=\$out"
	out=$(vm_run "$vm" 'uname -n')
	eval "got_${vm}_name=\$out"
	say "$vm: hostname is now $out"
}

insmod "$MODULE" || exit 1
say "preparing a file of $MB MiB"
serve $((MB * 1048576))
run without || exit 1
vm_kill without
run with -plugin "file=$PLUGIN" -device chariot,drivers=e1000,verdict=skip || {
	cat "$OUT/with.qemu"
	exit 1
}
violations=$(.build/tools/chariot -j stats show "$(vm_pid with)" 2>/dev/null |
	sed -n 's/.*"violations": *\([0-9]*\).*/\1/p' | head -n 1)
plain_vm_stop with

echo
printf '%-34s %-18s %s\n' "" "without Chariot" "with -device chariot"
# shellcheck disable=SC2154 # set by eval in run()
{
printf '%-34s %-18s %s\n' "$MB MiB over e1000, SHA-256" \
	"$got_without_fetch" "$got_with_fetch"
printf '%-34s %-18s %s\n' "after the fault: $MB MiB again" \
	"${got_without_after:-none}" "$got_with_after"
printf '%-34s %-18s %s\n' "after the fault: hostname" \
	"$got_without_name" "$got_with_name"
}
printf '%-34s %-18s %s\n' "violations stopped" "-" "${violations:-?}"
echo
echo "The report:"
grep -a 'wrote' "$OUT/with.qemu" | head -n 2
case $got_without_name in AAAA*) ;; *) say "no damage without Chariot?"; exit 1 ;; esac
[ "$got_with_name" = guest ] && [ "$got_with_fetch" = good ] &&
	[ "$got_with_after" = good ] && grep -qa wrote "$OUT/with.qemu"
