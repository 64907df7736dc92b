#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# l1.sh: drivers-all.sh's part in L1: $OUT/list -> $OUT/results.

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=selftests/iso.sh
. selftests/iso.sh
# a module that takes as long as this hangs
MODULE_WAIT=$((WAIT / 2))
VM=modules MODULES_HOST=$HOST
# shellcheck source=selftests/modules/run.sh
. selftests/modules/run.sh

insmod "$MODULE" || exit 1
modules_run "$CHARIOT_CONFIG" "$OUT/list" "$OUT/results"
modules_again "$OUT/list" "$OUT/results" >"$OUT/again"
modules_run none "$OUT/again" "$OUT/results"
grep '^not ok' "$OUT/audit" && exit 1
wait_until rmmod kvm_chariot
