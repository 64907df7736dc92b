#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# check.sh OUT NAME...: each harness with its seeds, the inputs that once failed
# (regress/NAME), and a few changes of both.  TAP.

set -u

OUT=$1
shift
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CHANGES=${CHANGES:-3}		# of each input

failed=0
for name in "$@"; do
	args=()
	for d in libchariot tools; do
		[ -d "$TOP/$d/fuzz/regress/$name" ] &&
			args+=("$TOP/$d/fuzz/regress/$name")
	done
	log=$OUT/check-$name
	if runs=$(timeout 120 "$OUT/replay/fuzz-$name" -n "$CHANGES" \
		  ${args[@]+"${args[@]}"} 2>"$log"); then
		echo "ok - fuzz $name: $runs executions"
	else
		echo "not ok - fuzz $name"
		grep -aE 'ERROR:|runtime error|^SUMMARY|    #[0-7] |\.c:[0-9]+: ' "$log" |
			head -n 12 | sed 's/^/# /'
		failed=1
	fi
done
exit $failed
