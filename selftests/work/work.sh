#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# work.sh CLASS PEER DRIVER [PARAM...] -- [MODULE...]
#
# In the guest: load the MODULEs and the DRIVER, run the workload of its CLASS,
# "NAME [ARGUMENT...]", on what appeared, unload and reload it, and run the
# workload again. PEER is 1 if the network device has somebody behind it.
#
# /w/class.sh (class/NAME.sh) has work(), which is called with the ARGUMENTs, sets
# the device up, checks what comes of it, says in $result what that was, and takes
# down again what keeps the driver from being unloaded. With "once" among them, it
# is not unloaded.
#
# Lines: "ops N" (add up), "FAIL WHAT", "reload yes|no WHY", "# ...", and at the
# end "result WHAT". Exit status 0 if the result is right.

W=/w
PATH=$W/bin:$PATH
# Busybox would take its own
for f in "$W"/bin/ip "$W"/bin/tc; do
	[ ! -e "$f" ] || eval "${f##*/}() { $f \"\$@\"; }"
done
# for what comes if anything works
WAIT=120

fail()
{
	echo "FAIL $*"
	status=1
	return 1
}

# What is there before the driver is. (An empty file of patterns is not one
# for busybox.)
snap()
{
	{ echo .; ls /sys/class/net; } >/tmp/old.net
	{ echo .; ls /sys/block; } >/tmp/old.block
	{ echo .; ls /dev/snd; } >/tmp/old.snd 2>/dev/null
	{ echo .; ls /sys/class/input; } >/tmp/old.input 2>/dev/null
}

# wait_new SECONDS OLD COMMAND...: what it prints and did not before
wait_new()
{
	local end=$(($(date +%s) + $1)) old=$2

	shift 2
	while :; do
		"$@" 2>/dev/null | grep -vxFf "$old" >/tmp/new 2>/dev/null
		[ -s /tmp/new ] && break
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.2
	done
	sleep 0.3
	"$@" 2>/dev/null | grep -vxFf "$old"
}

# host COMMAND...: the host's answer (host.sh)
host()
{
	local answer=

	stty -F /dev/ttyS2 raw -echo || return
	{
		echo "$*" >&3
		read -r -t $WAIT answer <&3
	} 3<>/dev/ttyS2
	echo "$answer"
}

# until SECONDS COMMAND...: it succeeds
until_ok()
{
	local end=$(($(date +%s) + $1))

	shift
	until "$@"; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.2
	done
}

# Its status may be that of a module below, which others use
unload()
{
	modprobe -r "$1" 2>/tmp/unload
	! grep -q "^$1 " /proc/modules
}

load()
{
	modprobe "$driver" $params || fail "modprobe $driver" || return
	grep -q "^$driver " /proc/modules || fail "it is not loaded"
}

# shellcheck source=/dev/null
for f in net block class; do
	. $W/$f.sh
done

class=$1 PEER=$2 driver=$(echo "$3" | tr - _)
shift 3
params=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	params="$params $1"
	shift
done
shift

status=0 result=
snap
for round in 1 2; do
	for m; do
		modprobe "$m" || fail "modprobe $m" || break
	done
	load || break
	: >/tmp/ready
	# shellcheck disable=SC2086 # a list
	work ${class#"${class%% *}"} || { [ $status != 0 ] || fail "workload"; }
	[ $status = 0 ] || break
	# what is above the driver goes first
	for m in $(for m; do echo "$m"; done | tac); do
		if grep -q "^$driver .*[ ,]$(echo "$m" | tr - _)," /proc/modules; then
			modprobe -r "$m" 2>/dev/null
		fi
	done
	case " $class " in
	*' once '*)
		echo "reload no: once"
		break ;;
	esac
	if ! unload "$driver"; then
		echo "reload no $(head -n 1 /tmp/unload)"
		break
	fi
	[ $round = 1 ] || echo "reload yes"
done
echo "result ${result:-nothing}"
exit $status
