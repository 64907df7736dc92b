#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# l1.sh [OPTIONS] -- COMMAND [ARG...]
#
# Run COMMAND in L1: a virtual machine with a stock distribution kernel and its
# KVM, whose root is this machine's / (read-only). Its output comes out here as
# it is written, and its exit status is this script's. 1 if L1's kernel log has
# an oops, a warning or the like; 124 on timeout; 125 if L1 ended without a
# verdict (panic, hang, power loss).
#
#	-k VERSION	kernel of L1: 6.1, 6.12 (default: "kernels.sh --old"),
#			or one that complains, 6.1-debug or 6.1-kcsan (several
#			times slower, and needs -m 6144; debug-kernel.sh); also
#			$HOST
#	-c N		CPUs of L1 (1; see below)
#	-m MB		memory of L1 (3072)
#	-t SECONDS	time limit (3600)
#	-o DIR		$OUT of COMMAND, /run/out in L1, writable; l1.log (console)
#			and l1.dmesg (whole kernel log) are written there too, and
#			l1.reports: what in it may not be there
#			(a directory in .cache/out/, of which the last 20 stay)
#	-a ARGS		more arguments for L1's kernel
#
# Passed on to COMMAND: HOST GUEST VCPUS NPT V WAIT KVM_*_ARGS VM_* CHARIOT_*
# STRESS_*.
# NPT=0 gives kvm_amd npt=0 (shadow paging).
# L1_CPU, L1_QEMU, L1_QEMU_ARGS: another CPU model for L1, another QEMU, more
# arguments for it.
#
# TCG before QEMU 8.1 can lose a change of code that one CPU makes while another
# translates it. With 2 CPUs, KVM's static keys, which change at each start of a
# VM, then hang L1 ("soft lockup" in __apic_accept_irq(), or "Oops: int3") or end
# a guest with 2 VCPUS, about once in ten. One CPU cannot race with itself.
#
# TCG's VMRUN sets a bit of the CPU's pending interrupts without the lock that
# its devices hold (helper_vmrun(): interrupt_request |= CPU_INTERRUPT_VIRQ), and
# so can lose the local timer's interrupt. A one-shot timer never comes again: L1
# hung whenever a guest's CPU just then waited, spinning, for another one of its
# CPUs. So L1's timer is periodic: highres=off nohz=off.
#
# TCG's TSC is this machine's. L1 is told how fast it is: on a busy machine it finds
# out wrong, its clock was six times too fast, and what tests wait for was late.

set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=${HERE%/selftests/env}
LOG_TAIL=40

die() { echo "l1: error: $*" >&2; exit 125; }

usage()
{
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

# TCG has SVM and is the tested way; /dev/kvm alone says nothing, it can exist
# without any virtualization.
has_kvm()
{
	[ -z "${L1_CPU:-}" ] && grep -qwE 'svm|vmx' /proc/cpuinfo &&
		[ -w /dev/kvm ] && [ -z "${L1_TCG:-}" ]
}

# accel: the arguments for L1's CPU
accel()
{
	if has_kvm; then
		echo -accel kvm -cpu host
	else
		echo -accel tcg,thread=multi -cpu "${L1_CPU:-EPYC,+svm,+npt}"
	fi
}

# build NAME: a program for here or, as vm.sh's client, for L1, which has this root
# too, but cannot write there
build()
{
	local bin=$TOP/.cache/bin/$1

	[ "$bin" -nt "$HERE/$1.c" ] && [ "$bin" -nt "$HERE/b64.h" ] && return
	mkdir -p "${bin%/*}"
	${CC:-gcc} -O2 -Wall -Wextra -o "$bin.$$" "$HERE/$1.c" &&
		mv "$bin.$$" "$bin" || die "cannot build $1"
}

# write_command: what stage 2 of l1-init.sh reads
write_command()
{
	local v

	{
		for v in HOST GUEST VCPUS NPT V WAIT "${!KVM_@}" "${!VM_@}" "${!CHARIOT_@}" \
			"${!STRESS_@}"; do
			[ -z "${!v+set}" ] || printf 'export %s=%q\n' "$v" "${!v}"
		done
		printf 'L1_DIR=%q\n' "$TOP"
		printf 'L1_MODROOT=%q\n' "$TOP/.cache/kernels/$HOST/root"
	} >"$OUTDIR/.l1-command"
	printf '%q ' exec "$@" >"$OUTDIR/.l1-run"
}

prepare()
{
	local need=("$HOST") v

	[ "$GUEST" = "$HOST" ] || need+=("$GUEST")
	for v in "${need[@]}"; do
		[ -f "$TOP/.cache/kernels/$v/release" ] || "$HERE/kernels.sh" "$v" >&2 ||
			die "no kernel $v"
	done
	build vmsh
	build tsc
	INITRD=$("$HERE/initramfs.sh" l1 "$HOST") || die "no initramfs for L1"
	# L1 cannot write into the cache: what vm.sh is likely to need is made here
	# shellcheck disable=SC2086 # a list
	"$HERE/initramfs.sh" guest "$GUEST" ${VM_MODULES:-} >/dev/null ||
		die "no initramfs for the guest"
	rm -f "$OUTDIR"/l1.{log,dmesg,reports,kmemleak,token,qemu}
}

default_outdir()
{
	local base=$TOP/.cache/out

	mkdir -p "$base"
	# shellcheck disable=SC2012 # names of our own
	ls -1dt "$base"/* 2>/dev/null | tail -n +20 | xargs -r rm -rf
	mktemp -d "$base/$(date +%m%d-%H%M%S).XXX"
}

# If this script dies, whatever the way, QEMU must not stay: pdeathsig and
# timeout pass it on. To be run in the background, as a child of this shell.
run_qemu()
{
	# shellcheck disable=SC2046,SC2086 # lists
	exec setpriv --pdeathsig TERM timeout -k 5 "$LIMIT" \
	"${L1_QEMU:-qemu-system-x86_64}" $(accel) -M q35 -m "$MB" -smp "$NCPU" \
		-nodefaults -no-user-config -no-reboot -display none -nic none \
		-kernel "$TOP/.cache/kernels/$HOST/vmlinuz" -initrd "$INITRD" \
		-append "$APPEND" \
		-serial "file:$OUTDIR/l1.log" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=out,path=$OUTDIR,security_model=none" \
		-device virtio-9p-pci,fsdev=out,mount_tag=out \
		-device virtio-rng-pci \
		-device virtio-serial-pci,max_ports=4 \
		-chardev file,id=out,path=/dev/fd/9,append=on \
		-device virtserialport,chardev=out,name=chariot.out \
		-chardev "file,id=token,path=$OUTDIR/l1.token" \
		-device virtserialport,chardev=token,name=chariot.token \
		${L1_QEMU_ARGS:-} </dev/null >"$OUTDIR/l1.qemu" 2>&1
}

no_verdict()
{
	echo "l1: $1"
	grep -v "TCG doesn't support" "$OUTDIR/l1.qemu"
	[ -f "$OUTDIR/l1.log" ] || return
	grep -m1 -E 'Kernel panic|BUG:|Oops' "$OUTDIR/l1.log"
	echo "l1: last lines of $OUTDIR/l1.log:"
	tail -n $LOG_TAIL "$OUTDIR/l1.log" | tr -d '\r' | sed 's/^/l1:   /'
}

judge()
{
	local qemu=$1 word status log

	# nothing there, not even the file, if QEMU did not start
	{ read -r word status log <"$OUTDIR/l1.token"; } 2>/dev/null
	if [ "${word:-}" != L1-END ]; then
		if [ "$qemu" -eq 124 ] || [ "$qemu" -eq 137 ]; then
			no_verdict "TIMEOUT after $LIMIT s"
			return 124
		fi
		no_verdict "L1 DIED without a verdict (QEMU's status $qemu)"
		return 125
	fi
	[ "$status" -eq 0 ] || { echo "l1: command failed with status $status"; return "$status"; }
	[ "$log" = clean ] || return 1
}

HOST=${HOST:-$("$HERE/kernels.sh" --old)} NCPU=1 MB=3072 LIMIT=3600 OUTDIR='' EXTRA=''
while getopts k:c:m:t:o:a:h opt; do
	case $opt in
	k) HOST=$OPTARG ;;
	c) NCPU=$OPTARG ;;
	m) MB=$OPTARG ;;
	t) LIMIT=$OPTARG ;;
	o) OUTDIR=$OPTARG ;;
	a) EXTRA=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage

# 6.1-debug is for hosts only
GUEST=${GUEST:-${HOST%%-*}}
[ "${NPT:-1}" = 1 ] || KVM_AMD_ARGS="${KVM_AMD_ARGS:-} npt=$NPT"
[ -n "$OUTDIR" ] || OUTDIR=$(default_outdir)
mkdir -p "$OUTDIR" && OUTDIR=$(cd "$OUTDIR" && pwd) || die "no directory $OUTDIR"
prepare
write_command "$@"

# The watchdogs are for real CPUs; emulated ones on a busy machine are slower.
APPEND="console=ttyS0 no_timer_check panic=-1 oops=panic mitigations=off
	quiet loglevel=5 highres=off nohz=off watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=90
	tsc=reliable log_buf_len=4M
	chariot.repo=$TOP $EXTRA"
has_kvm || APPEND="$APPEND tsc_early_khz=$("$TOP/.cache/bin/tsc")"
# all that KASAN finds, not the first only
case $HOST in *-debug) APPEND="$APPEND kasan_multi_shot" ;; esac
APPEND=${APPEND//[$'\n\t']/ }

qpid=
trap '[ -z "$qpid" ] || kill "$qpid" 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
exec 9> >(exec cat)
cat=$!
run_qemu &
qpid=$!
exec 9>&-
wait $qpid
status=$?
qpid=
wait $cat
judge $status
