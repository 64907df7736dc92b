#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# plan-test.sh: does a campaign that has nothing to plant fail, and say why? TAP
# lines; needs no VM.

set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
# shellcheck source=selftests/tap.sh
. "$HERE/../tap.sh"

# shellcheck source=selftests/campaign/plan.sh
. "$HERE/plan.sh"

# told NAME STATUS TEXT COMMAND...: it ends so, and has said TEXT
told()
{
	local name=$1 status=$2 text=$3 got

	shift 3
	"$@" >"$DIR/out" 2>"$DIR/err"
	got=$?
	if [ $got = "$status" ] && [[ $(cat "$DIR/err") == *"$text"* ]]; then
		ok "$name"
	else
		not_ok "$name" "status $got, said '$(cat "$DIR/err")'"
	fi
}

# shellcheck disable=SC2317 # told runs it
# The whole of it, which ends before any machine starts
campaign() { env "$@" RESULTS="$DIR/results" timeout 60 bash "$HERE/../campaign.sh"; }

test_usage()
{
	local seeds

	for seeds in 0 7 900001-900040 "1-3 900001 4294967296" 008-9 9007199254740991; do
		is "SEEDS=$seeds is good" "$(check_seeds "$seeds" 2>&1)" ""
	done
	for seeds in x 1- -1 1-2-3 0x10 1,2 '*' 9007199254740992 18446744073709551617; do
		told "SEEDS=$seeds is none" 1 "SEEDS: '$seeds' is neither N nor N-M" check_seeds "$seeds"
	done
	told "SEEDS in the wrong order" 1 "'9-3' ends before it begins" check_seeds "1 9-3"
	told "no SEEDS" 1 "SEEDS: there are none" check_seeds " "
	told "a campaign with bad SEEDS" 1 "campaign: error: SEEDS: '1-x' is neither" campaign SEEDS="5 1-x"
	told "a campaign with no SEEDS" 1 "campaign: error: SEEDS: there are none" campaign SEEDS=" "
	told "a campaign with a bad SHARD" 1 "campaign: error: SHARD: '1/0' is not I/N" campaign SHARD=1/0
	told "a campaign of no driver that it knows" 1 "has no nosuch" campaign DRIVER=nosuch
	is "none of these has made a file of results" "$(ls "$DIR")" "$(printf 'err\nout')"
}

# shellcheck disable=SC2317 # told runs it
# plan ANSWER: what becomes of it
plan() { printf 'golden\nplan %s\nEND\n' "$1" | plan_faults nop 900001-900040; }

test_plan()
{
	told "a plan of two" 0 "" plan '[{"seed":1,"type":"nop"},{"seed":2,"type":"nop"}]'
	is "they are lines" "$(cat "$DIR/out")" \
		"$(printf '%s\n' '{"seed":1,"type":"nop","asked":"nop"}' '{"seed":2,"type":"nop","asked":"nop"}')"
	told "a plan of one" 0 "" plan '{"seed":1,"state":"not written (dry run)"}'
	is "it is a line" "$(cat "$DIR/out")" '{"seed":1,"state":"not written (dry run)","asked":"nop"}'
	told "seeds that are refused" 1 "type nop, seeds 900001-900040: --seed: no" \
		plan '{"error":"--seed: no"}'
	is "are not planned" "$(cat "$DIR/out")" ""
	told "an empty plan" 1 "type nop, seeds 900001-900040: nothing in the driver fits" plan '[]'
	told "an answer that is none" 1 "seeds 900001-900040: Killed" plan 'Killed'
	told "no answer" 1 "type nop, seeds 900001-900040: no answer" plan_faults nop 900001-900040 </dev/null
}

results()
{
	local config seed outcome

	while read -r config seed outcome; do
		printf '{"config":"%s","seed":%s,"asked":"nop","outcome":"%s"}\n' \
			"$config" "$seed" "$outcome"
	done
}

test_results()
{
	printf '{"seed":%s,"asked":"nop"}\n' 1 2 3 >"$DIR/plan"
	: >"$DIR/none"
	is "nothing was run" "$(without_result "$DIR/plan" "$DIR/none" strict | xargs)" \
		"none 1 nop none 2 nop none 3 nop"
	results >"$DIR/some" <<-END
		none 1 benign
		none 2 crash
		strict 2 benign
		none 3 oops
		none 4 oops
	END
	is "what did damage is run with all configurations" \
		"$(without_result "$DIR/plan" "$DIR/some" strict fast | xargs)" \
		"fast 2 nop strict 3 nop fast 3 nop"
	is "without any" "$(without_result "$DIR/plan" "$DIR/some")" ""
	printf 'x' >>"$DIR/some"
	is "results that cannot be read are an error" \
		"$(without_result "$DIR/plan" "$DIR/some" strict 2>/dev/null || echo error)" error
}

test_usage
test_plan
test_results
exit $failed
