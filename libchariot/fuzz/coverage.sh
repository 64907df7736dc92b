#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# coverage.sh OUT NAME...: lines of each file that the seeds and what runs have
# kept in .cache/fuzz reach.

set -u

OUT=$1
shift
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

find "$OUT/coverage" -name '*.gcda' -delete
for name in "$@"; do
	dirs=()
	for d in "$TOP/.cache/fuzz/$name" "$TOP"/{libchariot,tools}/fuzz/regress/"$name"; do
		[ -d "$d" ] && dirs+=("$d")
	done
	"$OUT/coverage/fuzz-$name" -n 0 ${dirs[@]+"${dirs[@]}"} >"$OUT/coverage/$name.log" 2>&1 ||
		echo "coverage: $name fails: $OUT/coverage/$name.log" >&2
done
cd "$OUT/coverage" || exit 1
# gcov says "File 'PATH'", then "Lines executed:99.21% of 253".
gcov -n lib/*.gcda tools/*.gcda fuzz/fuzz-hook.gcda 2>/dev/null |
	awk -F"'" -v top="$TOP/" '
		/^File/ { file = $2; sub(top, "", file) }
		/^Lines executed/ && file ~ /^(libchariot|tools)\/([^\/]*|libvirt\/hook)\.c$/ {
			sub(/.*:/, "")
			if ($0 !~ /^0.00/)
				printf "%-24s %s\n", file, $0
			file = "" }' | sort -u
