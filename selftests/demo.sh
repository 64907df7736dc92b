#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh: the main job, twice: a stock guest with its stock e1000 driver works,
# a fault is planted in the driver, the guest is looked at. First without
# Chariot, then with it. Status 0 only if the first shows damage and the second
# shows none.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

OUT_DIR=.cache/out/demo
rm -rf "$OUT_DIR"
mkdir -p "$OUT_DIR"
HOST=${HOST:-$(selftests/env/kernels.sh --old)} || exit 1
export HOST
echo "demo: starting the nested host (Linux $HOST), module kvm_chariot"
selftests/env/l1.sh -k "$HOST" -o "$OUT_DIR" -t 3600 -- \
	bash selftests/demo-l1.sh
