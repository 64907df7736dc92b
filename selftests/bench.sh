#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh: what isolation costs, in exits and in instructions of the host,
# beside the same run without Chariot. A table; bench.json has the same.
#
# A plugin of L1's QEMU counts the instructions of the host and of what runs in
# it (insns.c): the figures are the same on every machine. They are no times.
#
# HOST, GUEST, NPT choose the set-up (the older kernel, the same, 1).

cd "$(dirname "$0")/.." || exit 1
OLD=$(selftests/env/kernels.sh --old) || exit 1
export GUEST=${GUEST:-$OLD} VCPUS=1 NPT=${NPT:-1}
OUT=$PWD/.cache/out/bench
mkdir -p "$OUT"
L1_TCG=1 L1_QEMU_ARGS="-plugin $PWD/.build/selftests/insns.so,out=$OUT/insns" \
	selftests/env/l1.sh -k "${HOST:-$OLD}" -o "$OUT" \
	-t 14400 -- bash selftests/bench-l1.sh || exit 1
cp "$OUT/bench.json" .build/bench.json
echo "bench: the same as JSON: .build/bench.json"
