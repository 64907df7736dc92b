#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tutorial.sh: run what Documentation/tutorial.rst does, in a nested host, and make its
# pictures anew: Documentation/tutorial/*.rec and *.svg.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

OUT_DIR=.cache/out/tutorial
rm -rf $OUT_DIR
mkdir -p $OUT_DIR Documentation/tutorial
HOST=${HOST:-$(selftests/env/kernels.sh --old)} || exit 1
export HOST
selftests/env/l1.sh -k "$HOST" -o $OUT_DIR -t 3600 -- \
	bash selftests/tutorial-l1.sh || exit 1
for rec in $OUT_DIR/*.rec; do
	name=$(basename "$rec" .rec)
	cp "$rec" "Documentation/tutorial/$name.rec"
	/usr/bin/python3 selftests/picture.py "$rec" "Documentation/tutorial/$name.svg" || exit 1
done
