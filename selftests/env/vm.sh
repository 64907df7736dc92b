# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# vm.sh: start L2 guests and talk to them. Source it, in L1.
#
#	vm_start NAME [QEMU ARG...]	start a guest in the background
#	wait_until COMMAND...		until it succeeds; 1 after $WAIT seconds
#	vm_wait NAME [SECONDS]		until its agent answers
#	vm_run NAME [-t SECONDS] CMD	run CMD with the guest's sh: its output, its
#					status; 124 on timeout, 125 if the guest is
#					gone. It ends when CMD ends.
#	vm_put NAME FILE PATH		copy a small file into the guest
#	vm_qmp NAME JSON|COMMAND	one QMP command; 1 if it answers with an error
#	vm_stop NAME			power off; kill if it does not
#	vm_gone NAME [SECONDS]		until its QEMU has ended
#	vm_kill NAME			end QEMU at once
#	vm_alive NAME			is its QEMU there?
#	vm_pid NAME			QEMU's process id
#	vm_log NAME			the path of its console log
#
# Beside $OUT/NAME.log, the console, there are NAME.events, all that QMP told
# (the last SHUTDOWN says why a guest went), and NAME.qemu, QEMU's own messages.
#
# A test waits for what happens, and only one that fails waits for $WAIT seconds:
# what no working machine, however slow, ever takes. SECONDS is for what is expected
# not to happen.
#
# What vm_start takes from the environment:
#
#	GUEST		kernel, 6.1, 6.12, 7.2	VCPUS		1
#	VM_MEM		256 (MB)		VM_MACHINE	pc,smm=off
#	VM_MODULES	modules in the guest's initramfs, if not the usual
#	VM_FILES	SOURCE:DEST... to have in the guest from the start
#	VM_INITRD	an initramfs that is made already, with all of these in it
#	VM_APPEND	more kernel arguments	VM_QEMU		qemu-system-x86_64
#	VM_ACCEL	kvm			VM_DIR		/tmp/vm
#	VM_CPU		host; for a 7.x guest without what needs XSAVE: the
#			emulated host's XSAVE does not fit, and that kernel dies
#			then (fpstate_reset(), also without Chariot)
#
# A guest has no network, no disk, and no driver module loaded at first. With
# "-netdev user,id=n0 -device e1000,netdev=n0", the guest is 10.0.2.15/24 and
# 10.0.2.2 is L1's 127.0.0.1. One vm_run at a time per guest: others wait.

VM_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VM_DIR=${VM_DIR:-/tmp/vm}
VM_SH=$VM_TOP/.cache/bin/vmsh
OUT=${OUT:-$VM_DIR}
export WAIT=${WAIT:-600}

# L1 has one CPU: who asks is not to take it from the guest that is waited for. So it
# rests for twice the time that it has asked, 0.1 s to 1 s.
wait_until()
{
	local end=$((SECONDS + WAIT)) began rest

	while began=${EPOCHREALTIME/[^0-9]/}; ! "$@"; do
		[ $SECONDS -lt $end ] || return 1
		rest=$((2 * (${EPOCHREALTIME/[^0-9]/} - began)))
		rest=$((rest < 100000 ? 100000 : rest > 1000000 ? 1000000 : rest))
		printf -v rest '%d.%06d' $((rest / 1000000)) $((rest % 1000000))
		sleep "$rest"
	done
}

vm_log() { echo "$OUT/$1.log"; }

vm_pid() { cat "$VM_DIR/$1/pid" 2>/dev/null; }

vm_alive()
{
	local pid stat

	# no other program is asked: one that did not start would say "dead"
	{ read -r pid <"$VM_DIR/$1/pid" && read -r stat <"/proc/$pid/stat"; } 2>/dev/null ||
		return 1
	# a process that nobody waited for yet is dead, too
	stat=${stat##*) }
	[ "${stat%% *}" != Z ]
}

vm_initramfs()
{
	local base extra

	[ -z "${VM_INITRD:-}" ] || { echo "$VM_INITRD"; return; }
	# shellcheck disable=SC2086 # a list
	base=$("$VM_TOP/selftests/env/initramfs.sh" guest "$1" ${VM_MODULES:-}) ||
		return 1
	[ -n "${VM_FILES:-}" ] || { echo "$base"; return; }
	# shellcheck disable=SC2086 # a list
	extra=$("$VM_TOP/selftests/env/initramfs.sh" files $VM_FILES) || return 1
	cat "$base" "$extra" >"$2" && echo "$2"
}

vm_cpu()
{
	case $1 in
	7.*)	echo host,-xsave,-avx,-avx2,-fma,-f16c,-vaes,-vpclmulqdq ;;
	*)	echo host ;;
	esac
}

vm_start()
{
	local name=$1 dir=$VM_DIR/$1 guest=${GUEST:-${HOST:-6.1}} initrd pid
	local append="console=ttyS0 no_timer_check panic=-1 quiet"

	shift
	if vm_alive "$name"; then
		echo "vm: $name is running" >&2
		return 1
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	# not what was told of another one of that name
	: >"$OUT/$name.events"
	initrd=$(vm_initramfs "$guest" "$dir/initrd") || return 1
	"${VM_QEMU:-qemu-system-x86_64}" -accel "${VM_ACCEL:-kvm}" -cpu "${VM_CPU:-$(vm_cpu "$guest")}" \
		-M "${VM_MACHINE:-pc,smm=off}" -m "${VM_MEM:-256}" -smp "${VCPUS:-1}" \
		-nodefaults -no-user-config -no-reboot -display none \
		-global pci-device.romfile= \
		-name "guest=$name,process=vm-$name" \
		-kernel "$VM_TOP/.cache/kernels/$guest/vmlinuz" -initrd "$initrd" \
		-append "$append ${VM_APPEND:-}" \
		-serial "file:$OUT/$name.log" \
		-serial "unix:$dir/cmd,server=on,wait=off" \
		-qmp "unix:$dir/qmp,server=on,wait=off" \
		-qmp "unix:$dir/events,server=on,wait=off" \
		"$@" </dev/null >"$OUT/$name.qemu" 2>&1 &
	pid=$!
	# no word from bash about its end
	disown $pid
	echo $pid >"$dir/pid"
	# QEMU makes those of QMP first, long before those of serial ports
	until [ -S "$dir/cmd" ] && [ -S "$dir/events" ]; do
		vm_alive "$name" || break
		sleep 0.05
	done
	if vm_alive "$name"; then
		"$VM_SH" events "$dir/events" 100000 >"$OUT/$name.events" 2>&1 &
		disown $!
		return
	fi
	echo "vm: $name: QEMU failed:" >&2
	cat "$OUT/$name.qemu" >&2
	return 1
}

vm_wait()
{
	local status

	"$VM_SH" wait "$VM_DIR/$1/cmd" "${2:-$WAIT}"
	status=$?
	[ $status -eq 0 ] && return
	echo "vm: $1 is not up (status $status):" >&2
	{ cat "$OUT/$1.qemu"; tail -n 30 "$(vm_log "$1")"; } >&2
	return $status
}

vm_run()
{
	local name=$1 limit=$WAIT

	shift
	if [ "$1" = -t ]; then
		limit=$2
		shift 2
	fi
	"$VM_SH" run "$VM_DIR/$name/cmd" $limit "$*"
}

# The channel is slow; VM_FILES is the way for anything big.
vm_put()
{
	local name=$1 src=$2 dst=$3 off=0 size step=24576 data

	size=$(stat -Lc %s "$src") || return 1
	vm_run "$name" ": >'$dst' && chmod $(stat -Lc %a "$src") '$dst'" || return
	while [ "$off" -lt "$size" ]; do
		data=$(tail -c +$((off + 1)) "$src" | head -c $step | base64 -w 0)
		vm_run "$name" "echo $data | base64 -d >>'$dst'" || return
		off=$((off + step))
	done
}

vm_qmp() { "$VM_SH" qmp "$VM_DIR/$1/qmp" "$WAIT" "$2"; }

vm_kill()
{
	local pid

	pid=$(vm_pid "$1") || return 0
	kill -KILL "$pid" 2>/dev/null
	vm_gone "$1"
}

vm_gone()
{
	local end=$((SECONDS + ${2:-$WAIT}))

	while vm_alive "$1"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

vm_stop()
{
	vm_alive "$1" || return 0
	# its answer may not come any more
	vm_run "$1" 'poweroff -f' >/dev/null 2>&1
	vm_gone "$1" && return
	echo "vm: $1 did not power off: killed" >&2
	vm_kill "$1"
	return 1
}
