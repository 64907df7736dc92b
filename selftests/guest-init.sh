#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# guest-init.sh: init of an L2 guest, busybox only. It loads no driver unless
# the kernel's arguments have chariot.modprobe=NAME[,NAME...]. Then it serves
# commands on the second serial port until that ends, and powers off.
#
# Requests are lines, "R ID LENGTH BASE64" to run a command and "K ID" to end
# one; the answer is one line, "@ ID STATUS raw|gz LENGTH BASE64", after the
# command has ended. See vmsh.c for the other side.

PORT=/dev/ttyS1
RUN=/run/chariot

# Every byte costs the host several exits: compress. One write() each: the tty
# layer does not mix those of different processes.
answer()
{
	f=$RUN/$1
	form=raw
	if [ "$(stat -c %s "$f.out")" -gt 1024 ]; then
		form=gz
		gzip -1 <"$f.out" >"$f.gz"
		mv "$f.gz" "$f.out"
	fi
	base64 -w 0 <"$f.out" >"$f.b64"
	{
		printf '\n@ %s %s %s %s ' "$1" "$2" $form "$(stat -c %s "$f.b64")"
		cat "$f.b64"
		echo
	} >"$f.reply"
	dd if="$f.reply" of=$PORT bs=64M 2>/dev/null
	rm -f "$f".*
}

# In a process group of its own, and nobody but this waits for it: an oops or
# a hang of the command leaves the agent alive.
run()
{
	f=$RUN/$1
	echo "$2" | base64 -d >"$f.sh"
	setsid sh "$f.sh" </dev/null >"$f.out" 2>&1 &
	echo $! >"$f.pid"
	wait $!
	status=$?
	# only one of run() and end() answers
	mv "$f.pid" "$f.done" 2>/dev/null || return
	answer "$1" $status
}

end()
{
	f=$RUN/$1
	pid=$(cat "$f.pid" 2>/dev/null)
	mv "$f.pid" "$f.done" 2>/dev/null || return
	kill -KILL "-$pid"
	answer "$1" 124
}

agent()
{
	exec 3<>$PORT
	stty -F $PORT 115200 raw -echo -onlcr
	mkdir -p $RUN
	printf '\n@ ready\n' >&3
	while read -r verb id len data <&3; do
		case $verb in
		R)	# a line that lost its beginning or end is no command
			[ "${#data}" = "$len" ] && run "$id" "$data" & ;;
		K)	end "$id" & ;;
		esac
	done
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ln -sf /proc/self/fd /dev/fd
export PATH=/bin:/sbin HOME=/root TERM=dumb
hostname guest
ip link set lo up

mods=$(sed -n 's/.*chariot\.modprobe=\([^ ]*\).*/\1/p' /proc/cmdline)
for m in $(echo "$mods" | tr , ' '); do
	modprobe "$m" || echo "guest-init: cannot load $m"
done

(agent)
poweroff -f
