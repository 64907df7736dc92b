# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# iso.sh: what tests in L1 have in common. Sources tap.sh and vm.sh.
#
#	chariot ARGS...			the command, without colours
#	serve MB			make a file, serve it at 10.0.2.2:8080/f
#	iso_start VM DRIVERS VERDICT [QEMU ARG...]
#					start a guest whose DRIVERS are isolated,
#					with the policy files $VM_POLICY
#	iso_stat VM COUNTER		a counter of struct chariot_stats
#	wait_stat VM COUNTER N		until it is at least N
#	iso_events VM TYPE		the events of a type so far
#	came NAME VM TYPE N		one TAP line: N of them have come
#	iso_detach VM			the guard's handle is closed
#	audit VM			one TAP line: no second-stage mapping that
#					should not be. vm_stop does it, too.
#	net_up VM [DRIVER]		load the driver, configure eth0, until L1 answers
#	listens PORT			somebody does, in L1
#	back_ends DIR ARGS		QEMU's ARGS, and the back ends that they name and
#					do not define, whose files are in DIR; - for none:
#					netdev=ID	a user network
#					drive=ID	a disk of 64 MiB; a disc of
#							numbers for cd..., a floppy disk
#							for fd...
#					audiodev=ID	silence; a file for wav...
#					chardev=ID	nothing; for ...-a and ...-b,
#							one another
#					fsdev=ID	an empty directory
#	fetch VM			fetch the served file: its SHA-256
#	boot_id VM			which boot of it this is
#	booted_anew VM ID		is it another one than that?
#	reset_count VM			how often QEMU has told of a reset
#	was_reset VM N			so often, at least?
#	module_files MODULE...		put test modules into the next VM, for modprobe
#	conform_files			put the conformance modules into the next VM
#	conform VM EXPECT NAME...	run cases of it: the lines of run-cases.sh

# shellcheck source=selftests/tap.sh
. selftests/tap.sh
# shellcheck source=selftests/env/vm.sh
. selftests/env/vm.sh

MODULE=.build/kmod/$HOST/kvm_chariot.ko
GUARD=.build/selftests/guard
PLUGIN=$PWD/.build/qemu-plugin/chariot.so
NET="-netdev user,id=n0 -device e1000,netdev=n0"

chariot() { .build/tools/chariot -n "$@"; }

serve()
{
	mkdir -p /tmp/www
	head -c "$1" /dev/urandom >/tmp/www/f
	SUM=$(sha256sum </tmp/www/f | cut -d' ' -f1)
	busybox httpd -p 127.0.0.1:8080 -h /tmp/www
}

unserve() { busybox killall httpd 2>/dev/null || :; }

iso_guard()
{
	local vm=$1 in=/tmp/vm/$1/guard

	mkfifo "$in"
	# not what one said before, of a VM of that name
	: >"$OUT/$vm.guard"
	# shellcheck disable=SC2086 # a list
	"$GUARD" "$(vm_pid "$vm")" "$2" "$3" ${VM_POLICY:-} <"$in" >"$OUT/$vm.guard" 2>&1 &
	echo $! >"/tmp/vm/$vm/guard.pid"
	disown $!
	# keeps it running; iso_detach kills it
	sleep 1000000 >"$in" &
	echo $! >"/tmp/vm/$vm/guard.in"
	disown $!
	wait_until guard_began "$vm"
	grep -q '^ready' "$OUT/$vm.guard" && return
	cat "$OUT/$vm.guard" >&2
	return 1
}

# Or has ended
guard_began() { grep -q '^ready' "$OUT/$1.guard" || guard_gone "$1"; }

guard_gone() { [ ! -d "/proc/$(cat "/tmp/vm/$1/guard.pid")" ]; }

iso_start()
{
	local vm=$1 drivers=$2 verdict=$3

	shift 3
	vm_start "$vm" -S "$@" || return 1
	iso_guard "$vm" "$drivers" "$verdict" || return 1
	vm_qmp "$vm" '{"execute":"cont"}' >/dev/null || return 1
	vm_wait "$vm"
}

iso_stat()
{
	local n

	n=$(stat_count "$1")
	kill -USR1 "$(cat "/tmp/vm/$1/guard.pid")" || return
	wait_until stats_came "$1" "$n"
	sed -n "s/^stat $2 //p" "$OUT/$1.guard" | tail -n 1
}

# The last one of all
stat_count() { grep -c '^stat evidence' "$OUT/$1.guard"; }

stats_came() { [ "$(stat_count "$1")" -gt "$2" ] || guard_gone "$1"; }

wait_stat() { wait_until stat_is_at_least "$@"; }

stat_is_at_least() { [ "$(iso_stat "$1" "$2")" -ge "$3" ]; }

iso_events() { grep "^$2 " "$OUT/$1.guard"; }

event_count() { iso_events "$1" "$2" | grep -c .; }

at_least() { [ "$(event_count "$1" "$2")" -ge "$3" ]; }

came()
{
	wait_until at_least "$2" "$3" "$4"
	is "$1" "$(event_count "$2" "$3")" "$4"
}

iso_detach()
{
	kill "$(cat "/tmp/vm/$1/guard.pid")" "$(cat "/tmp/vm/$1/guard.in")"
	wait_until guard_gone "$1"
}

audit()
{
	local got

	got=$(chariot -j vm audit "$(vm_pid "$1")" 2>&1)
	case $got in
	*'"bad":0'*) ok "$1: no mapping that should not be" ;;
	*) not_ok "$1: no mapping that should not be" "$got" ;;
	esac
}

eval "plain_$(declare -f vm_stop)"
vm_stop()
{
	! vm_alive "$1" || [ ! -c /dev/chariot ] || audit "$1"
	plain_vm_stop "$1"
}

net_up()
{
	vm_run "$1" "modprobe ${2:-e1000} && ip link set eth0 up &&
		ip addr add 10.0.2.15/24 dev eth0 &&
		ip route add default via 10.0.2.2 && $ANSWERS"
}

# In the guest: until L1 does
ANSWERS='until ping -c 1 -W 1 10.0.2.2 >/dev/null; do sleep 0.1; done'

listens() { grep -q "$(printf ':%04X 00000000:0000 0A' "$1")" /proc/net/tcp; }

fetch()
{
	vm_run "$1" -t $((4 * WAIT)) 'wget -q -O - http://10.0.2.2:8080/f | sha256sum' |
		cut -d' ' -f1
}

# Another time, with the sum of its file in SUM; it was isolated once.
reload_e1000()
{
	vm_run "$1" 'ip link set eth0 down; rmmod e1000'
	is "unload" $? 0
	came "the domain is gone" "$1" domain-gone 1
	net_up "$1" >/dev/null
	came "reload: isolated again" "$1" domain-new 2
	is "reload: receive" "$(fetch "$1")" "$SUM"
}

boot_id() { vm_run "$1" -t 20 'cat /proc/sys/kernel/random/boot_id' 2>/dev/null; }

# Who boots does not answer.
booted_anew()
{
	local id

	id=$(boot_id "$1") && [ "$id" != "$2" ]
}

reset_count() { grep -c '"RESET"' "$OUT/$1.events"; }

was_reset() { [ "$(reset_count "$1")" -ge "$2" ]; }

module_files()
{
	local dir=.build/driver/$GUEST release m

	release=$(cat ".cache/kernels/$GUEST/release")
	VM_FILES=
	for m; do
		VM_FILES="$VM_FILES $dir/$m.ko:/lib/modules/$release/extra/$m.ko"
	done
}

conform_files()
{
	local dir=.build/driver/$GUEST m

	VM_FILES="$dir/run-cases.sh:/c/run-cases.sh"
	for m in chariot_victim chariot_conform chariot_bench fail_init \
		wild_init second; do
		VM_FILES="$VM_FILES $dir/$m.ko:/c/$m.ko"
	done
}

conform()
{
	local vm=$1 expect=$2

	shift 2
	[ $# -eq 0 ] || vm_run "$vm" -t $((60 * WAIT)) "EXPECT=$expect TIMEOUT=$((4 * WAIT)) \
		CONFORM='storm=${VM_STORM:-100000}' sh /c/run-cases.sh $*"
}

# With a back end for each one that is named and not defined
back_ends()
{
	local dir=$1 args=$2 kind id

	[ "$args" != - ] || args=
	echo "$args"
	for kind in netdev drive audiodev chardev fsdev; do
		for id in $(grep -oE "\b$kind=[A-Za-z0-9_.-]+" <<<"$args" |
			    cut -d= -f2 | sort -u); do
			# -drive file=x,id=d0: defined
			grep -qE "(^| )-$kind [^ ]*\bid=$id\b|-blockdev [^ ]*\bnode-name=$id\b" \
				<<<"$args" && continue
			case $kind in
			netdev)	echo "-netdev user,id=$id" ;;
			drive)	rm -f "$dir/$id.img"
				case $id in
				cd*)	seq 1 10000000 | head -c 4M >"$dir/$id.img" ;;
				fd*)	truncate -s 1440K "$dir/$id.img" ;;
				*)	truncate -s 64M "$dir/$id.img" ;;
				esac
				echo "-drive if=none,id=$id,format=raw,file=$dir/$id.img" ;;
			audiodev) # a wav file has no microphone
				case $id in
				wav*)	;;
				*)	echo "-audiodev none,id=$id"; continue ;;
				esac
				echo "-audiodev wav,id=$id,path=$dir/$id.wav,out.frequency=44100" ;;
			chardev) case $id in
				*-a)	echo "-chardev socket,id=$id,path=$dir/${id%-a},server=on,wait=off" ;;
				*-b)	echo "-chardev socket,id=$id,path=$dir/${id%-b}" ;;
				*)	echo "-chardev null,id=$id" ;;
				esac ;;
			fsdev)	mkdir -p "$dir/$id"
				echo "-fsdev local,id=$id,path=$dir/$id,security_model=mapped-xattr" ;;
			esac
		done
	done
	# a file that is named must be there
	for id in $(grep -oE '\bfile=[^, ]+' <<<"$args" | cut -d= -f2); do
		[ -e "$id" ] || truncate -s 64M "$id"
	done
}
