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
gcov -n lib/*.gcda tools/*.gcda fuzz/fuzz-hook.gcda 2>/dev/null |
	awk -F"'" '/^File/ { file = $2 }
		/^Lines executed/ && file ~ /(libchariot|tools)\/[^\/]*\.c$|hook\.c$/ {
			sub(/.*:/, "", $0); sub(/.*\//, "", file)
			printf "%-14s %s\n", file, $0; file = "" }' | sort -u
