#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run conformance cases in a guest: run-cases.sh [CASE...]
#
# Loads the modules that lie beside it, if they are not there yet, and prints a
# line for each case:
#
#	CASE damaged|unchanged DETAIL	one that a host must stop
#	CASE ok				one that must work
#	CASE error DETAIL		it did not, or nothing was tried
#	CASE skip DETAIL		this machine cannot
#
# and at last "# done CASES".  The exit status is that of all: EXPECT is what
# to find of what a host must stop, "unchanged" (default) or "damaged".
#
# CONFORM: parameters for chariot_conform, such as storm=1000.
# TIMEOUT: seconds that a trigger may take.

DIR=$(cd "$(dirname "$0")" && pwd)
EXPECT=${EXPECT:-unchanged}
TIMEOUT=${TIMEOUT:-1200}
DEBUG=/sys/kernel/debug
VICTIM=$DEBUG/chariot_victim
DRIVER=/dev/chariot_conform
FILES=$DEBUG/chariot_conform
KNOB=/sys/module/chariot_conform/parameters/knob
TAB=$(printf '\t')
failed=0

# A column of the case's row in the list.
column()
{
	sed -n "s/^$1$TAB//p" $VICTIM/list | cut -f "$2"
}

loaded()
{
	[ -d "/sys/module/$1" ]
}

# load NAME [PARAM...]
load()
{
	loaded "$1" && return
	name=$1
	shift
	insmod "$DIR/$name.ko" "$@" && return
	echo "# error insmod $name"
	exit 1
}

# once NAME: a module that is a case by itself
once()
{
	insmod "$DIR/$1.ko" || return
	rmmod "$1"
}

# fail_init must fail as it does, and be loadable again.
fail_twice()
{
	for _ in 1 2; do
		insmod "$DIR/fail_init.ko" 2>&1 |
			grep -q 'No such device' || return
		loaded fail_init && return 1
	done
	return 0
}

# What is done before the case, and goes to the driver after its name.
argument()
{
	if [ "$1" = param_write ]; then
		echo 4711 >$KNOB
		cat $KNOB
	elif [ -r "$FILES/$1" ]; then
		tail -n 1 "$FILES/$1"
	fi
}

trigger()
{
	case $1 in
	wild_init|second)
		once "$1"
		;;
	fail_init)
		fail_twice
		echo "fail_init $?" >$VICTIM/report
		;;
	*)
		echo "$1 $(argument "$1")" >$DRIVER
		;;
	esac
}

# The status of a trigger, from the file $1.  It may hang in the kernel, where
# nothing ends it.
await()
{
	n=0
	while [ ! -s "$1" ]; do
		[ $n -ge $((TIMEOUT * 20)) ] && return 124
		usleep 50000 2>/dev/null || sleep 0.05
		n=$((n + 1))
	done
	return "$(cat "$1")"
}

# The trigger has a process of its own, which a stop may end.
try()
{
	rc=$(mktemp) || exit 1
	(sh "$0" --trigger "$1" >"$rc.out" 2>&1; echo $? >"$rc") &
	await "$rc"
	ret=$?
	why=
	[ $ret -eq 0 ] || why=" (exit $ret: $(tr '\n' ' ' <"$rc.out"))"
	echo "$(cat $VICTIM/judge)$why"
	rm -f "$rc" "$rc.out"
}

run_case()
{
	if [ "$(column "$1" 3)" = smp ] && [ "$(nproc)" -lt 2 ]; then
		echo "$1 skip needs smp"
	elif echo "$1" 2>/dev/null >$VICTIM/prepare; then
		try "$1"
	else
		echo "$1 error cannot prepare it"
	fi
}

# as_wanted CASE RESULT...
as_wanted()
{
	case $(column "$1" 1),$2 in
	*,skip|pass,ok|"stop,$EXPECT")
		return 0
		;;
	esac
	return 1
}

if [ "$1" = --trigger ]; then
	trigger "$2"
	exit
fi

[ -d $DEBUG/bdi ] || mount -t debugfs debugfs $DEBUG || exit 1
load chariot_victim
# shellcheck disable=SC2086 # parameters are words
load chariot_conform $CONFORM
# shellcheck disable=SC2046 # and so are names
[ $# -gt 0 ] || set -- $(sed 1d $VICTIM/list | cut -f 1)
for name; do
	line=$(run_case "$name")
	echo "$line"
	# shellcheck disable=SC2086 # and results
	as_wanted $line || failed=1
done
echo "# done $#"
exit $failed
