#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# work.sh CLASS PEER DRIVER [PARAM...] -- [MODULE...]
#
# In the guest: load the MODULEs and the DRIVER, run the workload of its CLASS
# on what appeared, unload and reload it, and run the workload again. PEER is 1
# if the network device has somebody behind it.
#
# Lines: "ops N" (add up), "FAIL WHAT", "reload yes|no WHY", "# ...", and at the
# end "result WHAT". Exit status 0 if the result is right.

W=/w
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
	{ echo .; find /dev -type c; } >/tmp/old.char 2>/dev/null
	{ echo .; ls /dev/snd; } >/tmp/old.snd 2>/dev/null
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

unload()
{
	modprobe -r "$1" 2>/tmp/unload && ! grep -q "^$1 " /proc/modules
}

# ---- net --------------------------------------------------------------------

counter() { cat "/sys/class/net/$1/statistics/$2"; }

net_address()
{
	ip addr flush dev "$1" 2>/dev/null
	ip link set "$1" up || fail "link up" || return
	ip addr add 10.0.2.15/24 dev "$1"
	ip route replace default via 10.0.2.2 dev "$1" 2>/dev/null
}

# The link may take its time.
net_ready()
{
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		ping -c 1 -W 2 10.0.2.2 >/dev/null 2>&1 && return
	done
	fail "no answer from the peer"
}

net_down_up()
{
	ip link set "$1" down || fail "link down" || return
	net_address "$1" && net_ready
}

# Fetch, and compare with the sum that is served, too; send, and have it summed.
net_transfer()
{
	local want got mine theirs

	want=$(wget -q -O - http://10.0.2.2:8080/sum) || fail "fetch" || return
	got=$(wget -q -O - http://10.0.2.2:8080/f | sha256sum | cut -c1-64)
	[ "$got" = "$want" ] || fail "receive: checksum" || return
	head -c 200000 /dev/urandom >/tmp/up
	mine=$(sha256sum </tmp/up | cut -c1-64)
	theirs=$(nc -w $WAIT 10.0.2.2 8081 </tmp/up | cut -c1-64)
	[ "$mine" = "$theirs" ] || fail "send: checksum" || return
	echo "ops $(($(counter "$1" rx_packets) + $(counter "$1" tx_packets)))"
}

# Nobody there: what is sent must be counted.
net_alone()
{
	local before

	ip link set "$1" up || fail "link up" || return
	ip addr add 10.7.0.1/24 dev "$1"
	before=$(counter "$1" tx_packets)
	arp -s 10.7.0.2 02:00:00:00:00:02 -i "$1" 2>/dev/null
	ping -c 5 -i 0.1 -W 1 10.7.0.2 >/dev/null 2>&1
	ip link set "$1" mtu 1400 || fail "MTU" || return
	ping -c 5 -W 1 10.7.0.2 >/dev/null 2>&1
	echo "ops $(($(counter "$1" tx_packets) - before))"
	[ "$(cat "/sys/class/net/$1/carrier" 2>/dev/null)" != 1 ] ||
		[ "$(counter "$1" tx_packets)" -gt "$before" ] ||
		[ "$(counter "$1" tx_dropped)" -gt 0 ] ||
		fail "nothing was sent" || return
	ip link set "$1" down || fail "link down"
}

work_net()
{
	local dev=

	dev=$(wait_new 15 /tmp/old.net ls /sys/class/net | head -n 1)
	if [ -z "$dev" ]; then
		ip link add x0 type "$driver" 2>/tmp/add && dev=x0
	fi
	[ -n "$dev" ] || fail "no network device appeared" || return
	if [ "$PEER" != 1 ]; then
		net_alone "$dev" && result="sent"
		[ "$dev" != x0 ] || ip link del x0
		return
	fi
	net_address "$dev" && net_ready && net_transfer "$dev" || return
	if [ "$round" = 1 ]; then
		net_down_up "$dev" || return
		ip link set "$dev" down
		ip link set "$dev" mtu 1400 || fail "MTU" || return
		net_address "$dev" && net_ready && net_transfer "$dev" || return
	fi
	ip link set "$dev" down
	result="both ways"
}

# ---- block ------------------------------------------------------------------

drop() { sync; echo 3 >/proc/sys/vm/drop_caches; blockdev --flushbufs "$1"; }

head_sum() { head -c "$2" "$1" | sha256sum | cut -c1-64; }

block_raw()
{
	local n=1048576 want got

	head -c $n /dev/urandom >/tmp/data
	want=$(head_sum /tmp/data $n)
	dd if=/tmp/data of="$1" bs=64k conv=notrunc 2>/dev/null ||
		fail "write" || return
	drop "$1"
	got=$(head_sum "$1" $n)
	echo "ops $((2 * n / 4096))"
	[ "$got" = "$want" ] && return
	# a device that keeps nothing (null_blk) reads as zeroes
	if [ "$got" = "$(head -c $n /dev/zero | sha256sum | cut -c1-64)" ]; then
		keeps=0
		return
	fi
	fail "read: checksum"
}

block_fs()
{
	local n=1500000 want

	mke2fs -F "$1" 8192 >/dev/null 2>&1 || fail "mke2fs" || return
	mkdir -p /mnt/b
	mount -t ext4 "$1" /mnt/b || fail "mount" || return
	head -c $n /dev/urandom >/mnt/b/file
	mkdir /mnt/b/dir
	seq 1 2000 >/mnt/b/dir/seq
	want=$(head_sum /mnt/b/file $n)
	umount /mnt/b || fail "umount" || return
	drop "$1"
	mount -t ext4 "$1" /mnt/b || fail "mount again" || return
	[ "$(head_sum /mnt/b/file $n)" = "$want" ] || fail "file: checksum"
	[ "$(tail -n 1 /mnt/b/dir/seq)" = 2000 ] || fail "file: contents"
	rm /mnt/b/file
	sync
	fstrim /mnt/b 2>/dev/null && result="$result, trim"
	umount /mnt/b || fail "umount" || return
	echo "ops $((2 * n / 4096))"
}

work_block()
{
	local dev

	dev=$(wait_new $WAIT /tmp/old.block ls /sys/block | head -n 1)
	[ -n "$dev" ] || fail "no disk appeared" || return
	dev=/dev/$dev
	[ "$(blockdev --getsize64 "$dev")" -gt 0 ] ||
		{ result="no medium"; return; }
	keeps=1
	block_raw "$dev" || return
	result="raw"
	[ $keeps = 1 ] || { result="raw (it keeps nothing)"; return; }
	result="raw, file system"
	block_fs "$dev" || return
	blkdiscard -o 0 -l 1048576 "$dev" 2>/dev/null &&
		result="$result, discard"
	return 0
}

# ---- sound ------------------------------------------------------------------

pcms() { ls /dev/snd | grep pcm; }

work_sound()
{
	local dev p='' c=''

	for dev in $(wait_new $WAIT /tmp/old.snd pcms); do
		case $dev in
		pcm*p)	[ -n "$p" ] || p=/dev/snd/$dev ;;
		# of more than one, that of the last card
		pcm*c)	c=/dev/snd/$dev ;;
		esac
	done
	[ -n "$p$c" ] || fail "no PCM device appeared" || return
	if [ -n "$p" ]; then
		$W/work play "$p" 40000 || fail "play" || return
		result="played"
	fi
	if [ -n "$c" ]; then
		$W/work record "$c" 20000 || fail "record" || return
		result="$result${result:+, }recorded"
	fi
}

# ---- the rest ---------------------------------------------------------------

work_tun()
{
	$W/work tun || fail "tun" || return
	result="packets both ways"
}

work_char()
{
	local dev n=0

	for dev in $(wait_new $WAIT /tmp/old.char find /dev -type c); do
		case $dev in
		/dev/pts/*|/dev/net/tun) continue ;;
		esac
		[ $n -lt 8 ] || break
		if $W/work char "$dev"; then
			n=$((n + 1))
		else
			echo "# $dev does not open"
		fi
	done
	[ ! -c /dev/net/tun ] || grep -qx /dev/net/tun /tmp/old.char ||
		{ work_tun; return; }
	[ $n -gt 0 ] || fail "no device node to open appeared" || return
	result="$n opened"
}

# Read what the driver shows in sysfs, and nothing more.
work_other()
{
	local f n=0

	sleep 1
	for f in "/sys/module/$driver"/parameters/* \
		/sys/bus/*/drivers/*/module; do
		[ -e "$f" ] || continue
		case $f in
		*/module)
			[ "$(readlink -f "$f")" = "/sys/module/$driver" ] || continue
			ls "${f%/module}" >/dev/null; n=$((n + 1)) ;;
		*)	cat "$f" >/dev/null 2>&1; n=$((n + 1)) ;;
		esac
	done
	for f in $(find /sys/class/rtc/ /sys/class/watchdog/ /sys/class/hwmon/ \
			/sys/class/input/ -maxdepth 1 -type l 2>/dev/null); do
		find "$f/" -maxdepth 1 -type f -readable -exec cat {} + \
			>/dev/null 2>&1
	done
	echo "ops $((n + 1))"
	result="loaded"
}

load()
{
	modprobe "$driver" $params || fail "modprobe $driver" || return
	grep -q "^$driver " /proc/modules || fail "it is not loaded"
}

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
	[ $round = 1 ] || unload_ok=1
	for m; do
		modprobe "$m" || fail "modprobe $m" || break
	done
	load || break
	: >/tmp/ready
	"work_$class" || { [ $status != 0 ] || fail "workload"; }
	[ $status = 0 ] || break
	# what is above the driver goes first
	for m in $(for m; do echo "$m"; done | tac); do
		if grep -q "^$driver .*[ ,]$(echo "$m" | tr - _)," /proc/modules; then
			modprobe -r "$m" 2>/dev/null
		fi
	done
	if ! unload "$driver"; then
		echo "reload no $(head -n 1 /tmp/unload)"
		break
	fi
	[ $round = 1 ] || echo "reload yes"
done
echo "result ${result:-nothing}"
exit $status
