# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# plan.sh: which faults a campaign plants, and whether all of them were. Sourced
# by campaign.sh. What is wrong is told on stderr, and the status then is 1.
#
#	check_seeds SEEDS	each is N or N-M
#	check_shard SHARD	it is I/N
#	plan_faults TYPE SEEDS	what L1 has answered (on stdin) to "plan TYPE SEEDS",
#				one fault a line; there must be one
#	without_result PLAN RESULTS CONFIG...
#				of the faults in PLAN, which were to be run: what
#				has no result without Chariot, or did damage and
#				has none with CONFIG

# jq's numbers are doubles.
SEED_MAX=9007199254740991

wrong() { echo "campaign: error: $*" >&2; return 1; }

is_seed() { [[ $1 =~ ^[0-9]{1,16}$ ]] && [ $((10#$1)) -le $SEED_MAX ]; }

check_seeds()
{
	local list seeds

	read -r -d '' -a list <<<"$1"
	[ ${#list[@]} != 0 ] || wrong "SEEDS: there are none" || return
	for seeds in "${list[@]}"; do
		is_seed "${seeds%%-*}" && is_seed "${seeds#*-}" ||
			wrong "SEEDS: '$seeds' is neither N nor N-M, up to $SEED_MAX" || return
		[ $((10#${seeds%%-*})) -le $((10#${seeds#*-})) ] ||
			wrong "SEEDS: '$seeds' ends before it begins" || return
	done
}

check_shard()
{
	[[ $1 =~ ^[0-9]{1,9}/[1-9][0-9]{0,8}$ ]] || wrong "SHARD: '$1' is not I/N"
}

plan_faults()
{
	local answer faults why

	answer=$(sed -n 's/^plan //p')
	faults=$(jq -c --arg asked "$1" 'if type == "array" then .[] else . end |
		select(has("seed")) | .asked = $asked' <<<"$answer" 2>/dev/null)
	if [ -n "$faults" ]; then
		echo "$faults"
		return
	fi
	why=$(jq -r '.error' <<<"$answer" 2>/dev/null) || why=$answer
	[ "$answer" != "[]" ] || why="nothing in the driver fits that type"
	wrong "type $1, seeds $2: ${why:-no answer}"
}

# shellcheck disable=SC2016 # $ is jq's
without_result()
{
	local plan=$1 results=$2

	shift 2
	jq -r --slurpfile all "$results" --arg configs "$*" '
		def key($config): "\($config) \(.seed) \(.asked)";
		($all | map({(key(.config)): .outcome}) | add // {}) as $of |
		key("none") as $none |
		($none, (select($of[$none] | IN("corrupt", "oops", "hang", "crash")) |
			key($configs | split(" ")[]))) |
		select($of[.] | not)' "$plan"
}
