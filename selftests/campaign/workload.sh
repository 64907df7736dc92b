#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# workload.sh setup|run|again CLASS DRIVER
#
# In the guest: what the driver under test has to do. CLASS is net, block or
# sound.
#
#	setup	load DRIVER, configure its device, one proof of service
#	run	a round of work that takes the driver through most of its code
#	again	the host has loaded the driver anew: wait for its device, configure
#		it, a proof of service; nothing is loaded
#
# Lines: "step NAME ok" or "step NAME wrong WHAT" for each step, "# ..." and
# at the end "done". Exit status 0 if all steps were ok.
#
# L1 is 10.0.2.2: an httpd at port 8080 has a file f and its checksum in sum, and
# port 8081 answers with the checksum of what it gets. /c/work is work/work.c.
# LIMIT is how long a step may take (40), in seconds: it takes 2, but a machine may be
# slow. Once a step was wrong the others have a shorter time. With TIMES=1 it tells when
# each step ended.
#
# A driver that is broken leaves processes that cannot be killed. So steps run in
# the background, and nobody waits for their end but for a word of theirs.

WORK=/c/work
HOST=10.0.2.2
DIR=/tmp/campaign
LIMIT=${LIMIT:-40}
SHORT=10

nr=0 status=0 why=

wrong()
{
	why=$*
	return 1
}

kill_tree()
{
	local child

	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		kill_tree "$child"
	done
	kill -KILL "$1" 2>/dev/null
}

# Of a step that was given up a word may come later.
word_of()
{
	# shellcheck disable=SC3045 # busybox has it
	while read -r -t "$LIMIT" line <&3; do
		case $line in
		"$1 "*)	line=${line#* }; return 0 ;;
		esac
	done
	return 1
}

# step NAME COMMAND...: COMMAND fails with wrong()
step()
{
	local name=$1 line pid

	shift
	nr=$((nr + 1))
	(
		if "$@"; then
			echo "$nr ok" >&3
		else
			echo "$nr wrong ${why:-?}" >&3
		fi
	) >/dev/null 2>&1 </dev/null &
	pid=$!
	if word_of $nr; then
		wait $pid
	else
		line="wrong no end after $LIMIT s"
		kill_tree $pid 2>/dev/null
	fi
	echo "step $name $line"
	[ "$line" = ok ] || { status=1; LIMIT=$SHORT; }
	[ -z "${TIMES:-}" ] || echo "# $(cut -d' ' -f1 /proc/uptime)"
}

sum() { sha256sum | cut -c1-64; }

random() { head -c "$1" /dev/urandom; }

# poll SECONDS COMMAND...: until it is true
poll()
{
	local end=$(($(date +%s) + $1))

	shift
	until "$@"; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.05
	done
}

# Not all can be read.
read_all()
{
	cat "$@"
	return 0
}

# work ARG...: the program; its last words if it fails
work()
{
	local out

	out=$($WORK "$@") || wrong "${out##*work: }"
}

# is_ours PATH: is it of a device that $driver drives?
is_ours()
{
	local at=$1 m

	for _ in 1 2 3; do
		at=$at/device
		m=$(readlink "$at/driver/module") || continue
		[ "${m##*/}" = "$driver" ] && return
	done
	return 1
}

# Devices come and go: their names are looked up each time.
find_ours()
{
	local at

	for at in "$@"; do
		[ -e "$at" ] && is_ours "$at" && echo "${at##*/}"
	done
}

# ---- net --------------------------------------------------------------------

net_find() { dev=$(find_ours /sys/class/net/* | head -n 1) && [ -n "$dev" ]; }

net_value() { cat "/sys/class/net/$dev/$1"; }

net_has_carrier() { [ "$(net_value carrier)" = 1 ]; }

net_is_up() { [ "$(net_value operstate)" = up ]; }

net_answers()
{
	for _ in 1 2 3 4 5 6 7 8; do
		ping -c 1 -W 1 $HOST && return
	done
	return 1
}

net_up()
{
	ip link set "$dev" up || wrong "link up" || return
	ip route replace default via $HOST dev "$dev"
	poll 30 net_has_carrier || wrong "no carrier" || return
	net_answers || wrong "no answer"
}

net_configure()
{
	ip addr flush dev "$dev"
	ip link set "$dev" up || wrong "link up" || return
	ip addr add 10.0.2.15/24 dev "$dev" || wrong "address" || return
	net_up
}

net_receive()
{
	local want got

	want=$(wget -q -O - http://$HOST:8080/sum) || wrong "fetch" || return
	got=$(wget -q -O - http://$HOST:8080/f | sum)
	[ "$got" = "$want" ] || wrong "checksum"
}

net_send()
{
	local mine theirs

	random 100000 >$DIR/up
	mine=$(sum <$DIR/up)
	theirs=$(nc -w 30 $HOST 8081 <$DIR/up | cut -c1-64)
	[ "$mine" = "$theirs" ] || wrong "checksum"
}

net_ping()
{
	ping -A -c 8 -s 56 -w 12 $HOST || wrong "short" || return
	ping -A -c 4 -s 1400 -w 12 $HOST || wrong "long" || return
	ping -A -c 2 -s 4000 -w 12 $HOST || wrong "fragments"
}

# Each of these four changes how QEMU's e1000 receives, which it then does not do
# for a second. So they come one after the other, and the last one waits.
net_filter()
{
	ip link set "$dev" promisc on || wrong "promisc on" || return
	ip link set "$dev" promisc off || wrong "promisc off" || return
	ifconfig "$dev" allmulti || wrong "allmulti" || return
	ifconfig "$dev" -allmulti || wrong "no allmulti"
}

net_mtu()
{
	local mtu

	for mtu in 1400 1500; do
		ip link set "$dev" mtu $mtu || wrong "refused: $mtu" || return
		[ "$(net_value mtu)" = $mtu ] || wrong "not set: $mtu" || return
	done
}

net_ethtool() { work ethtool "$dev"; }

net_down()
{
	ip link set "$dev" down || wrong "link down" || return
	! net_has_carrier || wrong "carrier" || return
	net_up
}

net_mac()
{
	local old

	old=$(net_value address)
	ip link set "$dev" address 52:54:00:c0:ff:ee || wrong "refused" || return
	[ "$(net_value address)" = 52:54:00:c0:ff:ee ] || wrong "not set" || return
	net_answers || wrong "no answer" || return
	ip link set "$dev" address "$old" || wrong "not set back" || return
	net_answers || wrong "no answer then"
}

net_sysfs()
{
	local packets

	packets=$(net_value statistics/rx_packets)
	read_all "/sys/class/net/$dev"/* "/sys/class/net/$dev"/statistics/* \
		"/sys/class/net/$dev"/device/config
	poll 30 net_is_up || wrong "state" || return
	[ "$(net_value speed)" -ge 100 ] || wrong "speed" || return
	# the driver may count only now and then
	[ "$(net_value statistics/rx_packets)" -ge "$packets" ] &&
		[ "$packets" -gt 0 ] || wrong "packets"
}

net_proof()
{
	step ping net_ping
	step receive net_receive
}

net_run()
{
	step receive net_receive
	step ping net_ping
	step mac net_mac
	step filter net_filter
	step ethtool net_ethtool
	step mtu net_mtu
	step down net_down
	step send net_send
	step receive-again net_receive
	step sysfs net_sysfs
}

# ---- block ------------------------------------------------------------------

# While it is gone somebody may have written to a file of that name.
block_node()
{
	[ -b "$disk" ] && return
	rm -f "$disk"
	tr : ' ' <"/sys/block/$dev/dev" | xargs mknod "$disk" b
}

block_find()
{
	dev=$(find_ours /sys/block/* | head -n 1) && [ -n "$dev" ] &&
		disk=/dev/$dev && block_node
}

block_has_size() { [ "$(blockdev --getsize64 "$disk")" -gt 0 ]; }

block_configure() { poll 30 block_has_size || wrong "no size"; }

drop()
{
	echo 3 >/proc/sys/vm/drop_caches
	blockdev --flushbufs "$disk"
}

# Through the page cache, at 1 MiB.
block_cached()
{
	local want got

	random 524288 >$DIR/data
	want=$(sum <$DIR/data)
	dd if=$DIR/data of="$disk" bs=64k seek=16 conv=notrunc,fsync ||
		wrong "write" || return
	drop || wrong "flush" || return
	got=$(dd if="$disk" bs=64k skip=16 count=8 | sum)
	[ "$got" = "$want" ] || wrong "checksum"
}

# block_direct BS COUNT SEEK, in blocks of BS: without the page cache
block_direct()
{
	local data=$DIR/direct.$3

	random $(($1 * $2)) >$data
	dd if=$data of="$disk" bs="$1" seek="$3" oflag=direct conv=notrunc ||
		wrong "write $1" || return
	dd if="$disk" of=$data.back bs="$1" skip="$3" count="$2" iflag=direct ||
		wrong "read $1" || return
	cmp $data $data.back || wrong "contents $1"
}

block_directs()
{
	block_direct 512 12 16384 && block_direct 16384 16 1024 &&
		block_direct 524288 1 40
}

# More than one request under way
block_parallel()
{
	local pids='' n

	for n in 100 110 120; do
		block_direct 131072 2 $n &
		pids="$pids $!"
	done
	for n in $pids; do
		wait "$n" || wrong "transfer" || return
	done
}

block_flush()
{
	local n

	random 4096 >$DIR/page
	for n in 1 2 3; do
		dd if=$DIR/page of="$disk" bs=4k seek=$((5000 + n)) \
			conv=notrunc,fsync || wrong "write" || return
	done
	blockdev --flushbufs "$disk" || wrong "flush" || return
	sync
}

# What is beside it must stay; in it there may be anything.
block_discard()
{
	local before after

	before=$(dd if="$disk" bs=64k skip=16 count=8 iflag=direct | sum)
	blkdiscard -o 2097152 -l 1048576 "$disk" || wrong "refused" || return
	after=$(dd if="$disk" bs=64k skip=16 count=8 iflag=direct | sum)
	[ "$before" = "$after" ] || wrong "contents beside" || return
	block_direct 65536 2 32
}

block_sysfs()
{
	local at=/sys/block/$dev

	[ $(($(cat $at/size) * 512)) = "$(blockdev --getsize64 "$disk")" ] ||
		wrong "size" || return
	read_all $at/* $at/queue/* $at/device/* $at/device/device/config
	blockdev --rereadpt "$disk" || wrong "partitions" || return
	[ "$(awk '{ print ($1 > 0 && $5 > 0) }' $at/stat)" = 1 ] ||
		wrong "statistics"
}

block_is_live() { [ "$(cat "/sys/block/$dev/device/state")" = live ]; }

# nvme only
block_reset()
{
	local ctrl=/sys/block/$dev/device

	if [ -w $ctrl/reset_controller ]; then
		echo 1 >$ctrl/reset_controller || wrong "refused" || return
		poll 30 block_is_live || wrong "not live" || return
		echo 1 >$ctrl/rescan_controller || wrong "rescan" || return
	fi
	block_direct 4096 4 6000
}

block_proof() { step transfer block_direct 65536 4 200; }

block_run()
{
	step cached block_cached
	step direct block_directs
	step parallel block_parallel
	step flush block_flush
	step discard block_discard
	step sysfs block_sysfs
	step reset block_reset
	step cached-again block_cached
}

# ---- sound ------------------------------------------------------------------

# The first one that plays and the last one that records: what the host hears of
# the first is nothing but the ramp.
sound_find()
{
	local pcm play='' record='' cards=''

	for pcm in $(find_ours /sys/class/sound/pcm*); do
		case $pcm in
		*p)	play="$play $pcm" ;;
		*c)	record=$pcm ;;
		esac
	done
	for pcm in $(find_ours /sys/class/sound/card*); do
		cards="$cards ${pcm#card}"
	done
	[ -n "$play" ] || return
	dev=${play# }
	dev=/dev/snd/${dev%% *}
	last=/dev/snd/${play##* }
	mike=${record:+/dev/snd/$record}
	ours=$cards
	[ -c "$dev" ]
}

sound_configure() { :; }

sound_play() { work play "$dev" "$1"; }

sound_record()
{
	[ -z "$mike" ] || $WORK record "$mike" 8192 || wrong "transfer"
}

# Both ways, on the card that nobody hears
sound_both()
{
	local pid

	sound_record &
	pid=$!
	$WORK play "$last" 8192 || wrong "play" || return
	wait $pid || wrong "record"
}

sound_open()
{
	for _ in 1 2 3; do
		$WORK char "$dev" || wrong "open" || return
	done
}

sound_mixer()
{
	local n

	for n in $ours; do
		work mixer "/dev/snd/controlC$n" || return
	done
}

sound_proc()
{
	local n

	read_all /proc/asound/*
	for n in $ours; do
		[ -d "/proc/asound/card$n" ] || wrong "no card$n" || return
		read_all "/proc/asound/card$n"/* "/proc/asound/card$n"/*/* \
			"/proc/asound/card$n"/*/*/*
	done
}

sound_proof() { step play sound_play 8192; }

sound_run()
{
	step play sound_play 16384
	step both sound_both
	step open sound_open
	step mixer sound_mixer
	step proc sound_proc
	step play-again sound_play 8192
}

# -----------------------------------------------------------------------------

load() { modprobe "$driver" || wrong "modprobe"; }

# await SECONDS: its names are needed here, so it is looked up here
await()
{
	poll "$1" "${class}_find" && return
	echo "step device wrong not there"
	status=1
	return 1
}

configured()
{
	await 80 || return
	step configure "${class}_configure"
	"${class}_proof"
}

main()
{
	rm -rf $DIR
	mkdir -p $DIR
	mkfifo $DIR/words
	exec 3<>$DIR/words
	case $command in
	setup)	step load load; configured ;;
	again)	configured ;;
	run)	await 1 && "${class}_run" ;;
	esac
	echo "done"
}

command=$1 class=$2 driver=$(echo "$3" | tr - _)
case $#:$command:$class in
3:setup:net|3:run:net|3:again:net) ;;
3:setup:block|3:run:block|3:again:block) ;;
3:setup:sound|3:run:sound|3:again:sound) ;;
*)	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
main
exit $status
