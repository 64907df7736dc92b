#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh OUT NAME...: run harnesses under libFuzzer (Documentation/fuzzing.rst).
#
#	SECONDS_EACH	for each of them (60)
#	RUNS		executions of each, instead
#	SEED		of libFuzzer's choices (1)
#	JOBS		at a time (as many as there are CPUs)
#
# What they find out is kept in .cache/fuzz/NAME, and inputs that fail in
# .cache/fuzz/failed.

set -u

OUT=$1
shift
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$TOP/.cache/fuzz
LOGS=$OUT/logs
TIMEOUT=60			# seconds for one input: a busy machine may stand still for 10
RSS_MB=2048

mkdir -p "$CACHE/failed" "$LOGS"

# Longest input of NAME.
max_len()
{
	case $1 in
	ko|faults|image|inline) echo 65536;;
	btf) echo 16384;;
	policy|hook|tables|code) echo 4096;;
	*) echo 1024;;
	esac
}

# A few real drivers, where kernels have been fetched.
add_drivers()
{
	local dir=$1 ko

	for ko in "$TOP"/.cache/kernels/*/modules/kernel/drivers/net/{dummy,mii,nlmon}.ko*; do
		case $ko in
		*.xz) xz -dc "$ko";;
		*.zst) zstd -qdc "$ko";;
		*.ko) cat "$ko";;
		esac >"$dir/$(basename "${ko%.ko*}")-$(echo "$ko" | cksum | cut -d' ' -f1)"
	done 2>/dev/null
}

make_seeds()
{
	local name=$1 dir=$OUT/seeds/$1 args=()

	rm -rf "$dir"
	mkdir -p "$dir" "$CACHE/$name"
	for d in libchariot tools; do
		[ -d "$TOP/$d/fuzz/regress/$name" ] &&
			args+=("$TOP/$d/fuzz/regress/$name")
	done
	"$OUT/replay/fuzz-$name" -s "$dir" ${args[@]+"${args[@]}"} || return 1
	case $name in
	ko|faults|inline) add_drivers "$dir";;
	esac
	if [ "$name" = policy ]; then
		cp "$TOP"/tools/tests/*.policy "$TOP"/selftests/*/*.policy "$dir" 2>/dev/null
	fi
	return 0
}

fuzz()
{
	local name=$1 limit=-max_total_time=${SECONDS_EACH:-60} dict=

	[ -z "${RUNS:-}" ] || limit=-runs=$RUNS
	case $name in
	policy|hook) dict=-dict=$OUT/names.dict;;
	esac
	[ "$name" != hook ] || dict=-dict=$TOP/tools/fuzz/hook.dict
	"$OUT/libfuzzer/fuzz-$name" "$limit" -seed="${SEED:-1}" \
		-timeout=$TIMEOUT -report_slow_units=$TIMEOUT -rss_limit_mb=$RSS_MB -max_len="$(max_len "$name")" \
		-print_final_stats=1 -artifact_prefix="$CACHE/failed/$name-" \
		${dict:+"$dict"} "$CACHE/$name" "$OUT/seeds/$name" >"$LOGS/$name" 2>&1
	echo $? >"$LOGS/$name.status"
}

# NAME: a line of the table, and one of TAP.
report()
{
	local name=$1 log=$LOGS/$1 status runs before cov file

	status=$(cat "$log.status" 2>/dev/null || echo 1)
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	before=$(sed -n 's/.*INITED.* cov: \([0-9]*\).*/\1/p' "$log")
	cov=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
	file=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	total=$((total + ${runs:-0}))
	printf '# %-12s %12s %10s %10s %8s\n' "$name" "${runs:-0}" "${cov:-0}" \
		"+$((${cov:-0} - ${before:-0}))" "$([ -n "$file" ]; echo $((1 - $?)))"
	if [ "$status" = 0 ] && [ "${runs:-0}" != 0 ]; then
		taps+=("ok - fuzz $name: $runs executions")
		return
	fi
	failed=1
	taps+=("not ok - fuzz $name: ${file:-no execution, status $status}")
	taps+=("$(grep -aE 'ERROR:|runtime error|^SUMMARY|    #[0-7] |\.c:[0-9]+: ' "$log" |
		head -n 12 | sed 's/^/# /')")
	[ -z "$file" ] ||
		taps+=("# again: $OUT/replay/fuzz-$name $file")
}

taps=() total=0 failed=0
for name in "$@"; do
	make_seeds "$name" || { echo "not ok - fuzz $name: no seeds"; exit 1; }
done
for name in "$@"; do
	while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-$(nproc)}" ]; do
		wait -n
	done
	fuzz "$name" &
done
wait
printf '# %-12s %12s %10s %10s %8s\n' harness executions edges new failures
for name in "$@"; do
	report "$name"
done
printf '%s\n' "${taps[@]}"
echo "# $total executions"
exit $failed
