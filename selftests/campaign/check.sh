#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh: the part of `make check` that is a campaign: twenty faults in e1000
# that were seen to do damage without Chariot, and what becomes of them with it.
# TAP lines come out.
#
#	SAMPLE	some: six of them, none of which hangs a guest, since that is waited for;
#		rest: the others
#	JOBS	as campaign.sh has it

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# Seeds are faults of one build of the driver. Of another, some of the first ones
# will do damage, too.
BUILD=eca0fbcb2df2c1eeb484a1640b43f73f77dea469
SOME="39 56 142 195 217 251" SOME_LEAST=4
REST="49 62 82 86 116 139 147 209 228 233 243 253 299 468" REST_LEAST=8
OLD=$(selftests/env/kernels.sh --old) || exit 1
KO=.cache/kernels/$OLD/modules/kernel/drivers/net/ethernet/intel/e1000/e1000.ko
case $(.build/tools/chariot -j inject --file $KO --type nop --seed 1) in
*$BUILD*) ;;
*)	echo "# another build of e1000 than the seeds were chosen for"
	SOME=1-40 SOME_LEAST=1 REST=41-120 REST_LEAST=1 ;;
esac
case ${SAMPLE:-} in
some)	SEEDS=$SOME LEAST=$SOME_LEAST ;;
rest)	SEEDS=$REST LEAST=$REST_LEAST ;;
"")	SEEDS="$SOME $REST" LEAST=$((SOME_LEAST + REST_LEAST)) ;;
*)	echo "not ok - SAMPLE=$SAMPLE is neither some nor rest"; exit 1 ;;
esac

RESULTS=$(mktemp) || exit 1
trap 'rm -f "$RESULTS" "$RESULTS".*' EXIT
DRIVER=e1000 TYPES=all CONFIGS=strict VERDICT=recover HOST=$OLD GUEST=$OLD \
	SEEDS=$SEEDS RESULTS=$RESULTS bash selftests/campaign.sh 2>&1 | grep -E '^(#|campaign)'

count() { jq -s "map(select($1)) | length" "$RESULTS"; }

# say NAME CONDITION
say()
{
	if [ "$2" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
	fi
}

DAMAGE='(.outcome | IN("corrupt", "oops", "hang", "crash"))'
damage=$(count ".config == \"none\" and $DAMAGE")
with=$(count '.config == "strict"')
contained=$(count ".config == \"strict\" and ($DAMAGE | not) and (.outcome | IN(\"unjudged\", \"host\") | not)")
recovered=$(count '.config == "strict" and .service == "ok"')
bad=$(count '.outcome | IN("unjudged", "host")')
jq -r '"# seed \(.seed) \(.type) in \(.function), \(.config): \(.outcome) \(if .service then "(service: " + .service + ")" else "" end) \(.why)"' \
	"$RESULTS" | cut -c1-150 | sort -k3n

say "faults do damage without Chariot: $damage" "$([ "$damage" -ge $LEAST ] && echo yes)"
say "all of these were run with it" "$([ "$with" = "$damage" ] && echo yes)"
say "every run could be judged, and the host is well" "$([ "$bad" = 0 ] && echo yes)"
say "contained: $contained of $with, at least nine in ten" \
	"$([ $((contained * 10)) -ge $((with * 9)) ] && echo yes)"
say "the driver serves again: $recovered of $contained, at least eight in ten" \
	"$([ $((recovered * 10)) -ge $((contained * 8)) ] && echo yes)"
