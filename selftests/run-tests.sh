#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run-tests.sh TEST...: run selftests/t/TEST.sh, each with a module loaded
# anew, in L1. TAP lines come out. A test must leave a module that unloads and
# a clean kernel log.

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=selftests/iso.sh
. selftests/iso.sh
# shellcheck source=selftests/env/l1-end.sh
. selftests/env/l1-end.sh

for t; do
	echo "# test $t"
	began=$SECONDS
	echo "chariot-test: $t" >/dev/kmsg
	insmod "$MODULE" || { not_ok "$t: load the module"; continue; }
	(. "selftests/t/$t.sh") 2>"$OUT/$t.err" || {
		not_ok "$t: ran to its end"
		sed 's/^/# /' "$OUT/$t.err"
	}
	for vm in /tmp/vm/*; do
		[ -d "$vm" ] || continue
		vm_kill "${vm##*/}" 2>/dev/null
		kill "$(cat "$vm/guard.pid" 2>/dev/null)" \
			"$(cat "$vm/guard.in" 2>/dev/null)" 2>/dev/null
	done
	rm -rf /tmp/vm
	wait_until rmmod kvm_chariot 2>/tmp/rmmod
	is "$t: module unloads" "$(lsmod | grep -c '^kvm_chariot')" 0
	dmesg | sed -n "/chariot-test: $t\$/,\$p" | bad_reports >/tmp/bad
	if [ -s /tmp/bad ]; then
		not_ok "$t: kernel log is clean" "$(head -n 1 /tmp/bad)"
	else
		ok "$t: kernel log is clean"
	fi
	echo "# test $t took $((SECONDS - began)) s"
done
exit 0
