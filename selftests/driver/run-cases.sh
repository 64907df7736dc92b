#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the conformance cases in a guest: run-cases.sh [CASE...]
#
# Output, one line each, begins with "@":
#	@ CASE stop damaged|unchanged|unknown DETAIL
#	@ CASE pass ok|error DETAIL
#	@ CASE run EXIT		the trigger's process ended badly
#	@ done CASES
# DIR: where the modules are.  CONFORM: parameters for chariot_conform.
# TIMEOUT: seconds a trigger may take.

DIR=${DIR:-$(dirname "$0")}
TIMEOUT=${TIMEOUT:-60}
DEBUG=/sys/kernel/debug
VICTIM=$DEBUG/chariot_victim
DRIVER=$DEBUG/chariot_conform
KNOB=/sys/module/chariot_conform/parameters/knob

say()
{
	echo "@ $*"
}

loaded()
{
	[ -d "/sys/module/$1" ]
}

# load NAME [PARAM...]
load()
{
	loaded "$1" && return
	file=$DIR/$1.ko
	name=$1
	shift
	insmod "$file" "$@" || say "$name insmod $?"
}

# once NAME: a module which is a case by itself
once()
{
	insmod "$DIR/$1.ko" 2>/dev/null
	ret=$?
	loaded "$1" && rmmod "$1"
	return $ret
}

# What is done before the write to run, and what is written after the name.
argument()
{
	case $1 in
	seq_file)
		tail -n 1 "$DRIVER/lines"
		;;
	param_write)
		echo 4711 > "$KNOB"
		cat "$KNOB"
		;;
	esac
}

trigger()
{
	case $1 in
	wild_init|second)
		once "$1"
		;;
	fail_init)
		if insmod "$DIR/$1.ko" 2>&1 | grep -q 'No such device'; then
			echo "fail_init 0" > "$VICTIM/report"
		else
			echo "fail_init 1" > "$VICTIM/report"
		fi
		;;
	*)
		echo "$1 $(argument "$1")" > "$DRIVER/run"
		;;
	esac
}

# Wait for the exit status in $RC, but not forever: a trigger may hang in the
# kernel, where nothing ends it.
await()
{
	n=0
	while [ ! -s "$RC" ]; do
		[ $n -ge $((TIMEOUT * 10)) ] && return 124
		usleep 100000 2>/dev/null || sleep 0.1
		n=$((n + 1))
	done
	return "$(cat "$RC")"
}

run_case()
{
	if ! echo "$1" > "$VICTIM/prepare"; then
		say "$1 prepare failed"
		return
	fi
	RC=$(mktemp) || exit 1
	(sh "$0" --trigger "$1" > /dev/null 2>&1; echo $? > "$RC") &
	await
	ret=$?
	rm -f "$RC"
	[ $ret -eq 0 ] || say "$1 run $ret"
	say "$(cat "$VICTIM/judge")"
}

if [ "$1" = --trigger ]; then
	trigger "$2"
	exit
fi

[ -d $DEBUG/bdi ] || mount -t debugfs debugfs $DEBUG 2>/dev/null
load chariot_victim
# shellcheck disable=SC2086 # parameters are words
load chariot_conform $CONFORM
# shellcheck disable=SC2046 # and so are names
[ $# -gt 0 ] || set -- $(cut -d ' ' -f 1 $VICTIM/list)
for name; do
	run_case "$name"
done
say "done $#"
