#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# intel.sh: tests on kvm-intel with EPT, in L1 under bochs, which emulates VMX.
# TAP lines come out as they are written; the last line is
# "N passed, N failed, N skipped".
#
#	INTEL_CPU	only these of the CPU models below
#	HOST, GUEST	kernels of L1 (see below) and of the guest (the older one)
#	TESTS		instead of those below
#	INTEL_APPEND	more arguments for the kernel of L1
#	INTEL_LIMIT	real seconds that a model may take (14400)
#	VM_*		as in vm.sh and the tests
#
# bochs has no 9p: all that L1 needs is in its initramfs, at its own path.
# What L1 leaves in its $OUT is then in .cache/out/intel-MODEL/.

set -u -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ST=$TOP/selftests
PACKAGES="bochs bochs-term bochsbios vgabios isolinux syslinux-common xorriso"
PATH=$PATH:/usr/sbin:/sbin

# bochs's CPU model, the kernel of L1 (kernels.sh --old, --new), what kvm-intel's eptad is there, tests.
# With accessed and dirty bits in EPT page walks write. No model with PML: bochs
# 2.7 logs addresses that are not those of pages, and KVM warns of each.
MODELS="
corei7_sandy_bridge_2600k	new	N	e1000 conform
corei7_haswell_4770		old	Y	e1000 conform dirty
"

# The clock of bochs goes with the instructions that it has done: with this
# many for a second, what the scripts wait for has all the time it needs,
# however slow the real machine is. Time in which L1 is idle is skipped.
IPS=300000000

LIMIT=${INTEL_LIMIT:-14400}
MB=1024

die() { echo "intel: error: $*" >&2; exit 1; }

# shellcheck source=selftests/env/ram.sh
. "$ST/env/ram.sh"

guest_files()
{
	# shellcheck disable=SC2034 # used by vm_initramfs
	VM_MODULES=e1000
	conform_files
}

# Not compressed: bochs takes 4 s of CPU longer to boot from zstd, 9 from gzip.
make_base()
{
	ram_base env/intel-init.sh kvm-intel "$WORK/base" &&
		ram_guest "$WORK/guest.cpio" guest_files &&
		ram_files "$WORK" guest.cpio >>"$WORK/base" ||
		die "no initramfs for L1"
}

# env_file EPTAD TESTS: what intel-init.sh reads
env_file()
{
	ram_env
	printf "%s='%s'\n" EPTAD "$1" TESTS "$2"
	echo "export VM_INITRD=/guest.cpio"
}

# make_iso DIR EPTAD TESTS: L1, with the environment of this run
make_iso()
{
	local dir=$1

	shift
	mkdir -p "$dir/iso"
	ln -f "$WORK/base" "$dir/iso/base"
	ln -sf "$TOP/.cache/kernels/$HOST/vmlinuz" "$dir/iso/vmlinuz"
	cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 \
		"$dir/iso" || return
	env_file "$@" >"$WORK/intel.env"
	ram_files "$WORK" intel.env >"$dir/iso/env"
	cat >"$dir/iso/isolinux.cfg" <<-EOT
	DEFAULT l1
	LABEL l1
	LINUX /vmlinuz
	INITRD /base,/env
	APPEND $APPEND
	EOT
	xorriso -as mkisofs -quiet -f -o "$dir/l1.iso" -b isolinux.bin \
		-c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
		"$dir/iso" >"$dir/xorriso.log" 2>&1 ||
		{ cat "$dir/xorriso.log" >&2; return 1; }
}

write_bochsrc()
{
	cat <<-EOT
	megs: $MB
	cpu: model=$1, count=1, ips=$IPS, reset_on_triple_fault=0
	romimage: file=/usr/share/bochs/BIOS-bochs-latest
	vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
	ata0-master: type=cdrom, path=$2/l1.iso, status=inserted
	boot: cdrom
	display_library: rfb, options="timeout=0"
	vga: update_freq=1
	clock: sync=none
	com1: enabled=1, mode=file, dev=$2/l1.log
	com2: enabled=1, mode=file, dev=$2/tests.log
	log: $2/bochs.log
	debugger_log: -
	speaker: enabled=0
	sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
	panic: action=fatal
	error: action=ignore
	info: action=ignore
	debug: action=ignore
	EOT
}

# run_bochs MODEL DIR: until L1 powers off, or dies, or the time is over
run_bochs()
{
	local dir=$2 lines end

	write_bochsrc "$1" "$dir" >"$dir/bochsrc"
	echo c >"$dir/bochs.rc"
	: >"$dir/l1.log"
	: >"$dir/tests.log"
	end=$((SECONDS + LIMIT))
	(cd "$dir" && exec setpriv --pdeathsig KILL \
		bochs-bin -q -f bochsrc -rc bochs.rc) </dev/null >"$dir/bochs.out" 2>&1 &
	BOCHS=$!
	tail -n +1 -s 0.5 -f --pid=$BOCHS "$dir/tests.log" 2>/dev/null |
		grep --line-buffered -aE '^(ok |not ok |# |l1: )' |
		sed -u -E "s/^(not ok|ok) - /\1 - $1: /" &
	lines=$!
	while kill -0 $BOCHS 2>/dev/null; do
		sleep 1
		if [ $SECONDS -ge $end ]; then
			echo "# $1: TIMEOUT after $LIMIT s"
			break
		elif grep -qa 'Kernel panic' "$dir/l1.log"; then
			sleep 3
			break
		fi
	done
	kill -KILL $BOCHS 2>/dev/null
	wait $BOCHS 2>/dev/null
	BOCHS=
	wait $lines
}

# one MODEL HOST EPTAD TESTS: its TAP lines
one()
{
	local model=$1 dir=$TOP/.cache/out/intel-$1 word status verdict
	local began=$SECONDS

	HOST=$2
	shift 2
	echo "# $model, host $HOST, guest $GUEST"
	rm -rf "$dir"
	mkdir -p "$dir"
	make_base
	make_iso "$dir" "$@" || { echo "not ok - $model: make the CD"; return; }
	run_bochs "$model" "$dir"
	read -r word status verdict < <(grep -a '^INTEL-END ' "$dir/tests.log")
	sed -n '/^OUT-BEGIN/,/^OUT-END/{/^OUT/!p}' "$dir/tests.log" |
		base64 -d 2>/dev/null | tar -C "$dir" -xz 2>/dev/null
	sed -i '/^OUT-BEGIN/,/^OUT-END/d' "$dir/tests.log"
	rm -rf "$dir/iso" "$dir/l1.iso"
	if [ "${word:-}" != INTEL-END ]; then
		echo "not ok - $model: ran to its end"
		tail -n 40 "$dir/l1.log" | tr -d '\r' | sed 's/^/#   /'
		grep -ah '>>PANIC<<' "$dir/bochs.log" | sed 's/^/#   /'
	elif [ "$status" != 0 ]; then
		echo "not ok - $model: the tests ran: status $status"
	elif [ "$verdict" != clean ]; then
		echo "not ok - $model: the kernel log of L1 is clean"
	else
		echo "ok - $model: ran to its end, the kernel log of L1 is clean"
	fi
	echo "# $model: $((SECONDS - began)) s"
}

OLD=$("$ST/env/kernels.sh" --old) && NEW=$("$ST/env/kernels.sh" --new) || exit 1
ONLY_HOST=${HOST:-}
# shellcheck disable=SC2034 # env_file writes them
GUEST=${GUEST:-$OLD} VCPUS=1 VM_STORM=${VM_STORM:-2000}
PROGRAMS=("$TOP/.build/tools/chariot" "$TOP/.build/selftests/guard" "$TOP/.cache/bin/vmsh")
# no reboot on a panic: bochs would boot again
APPEND="console=ttyS0 no_timer_check panic=0 oops=panic mitigations=off
	quiet loglevel=4 tsc=reliable log_buf_len=4M rcupdate.rcu_cpu_stall_timeout=90
	watchdog_thresh=30 kvm.halt_poll_ns=0 ${INTEL_APPEND:-}"
APPEND=${APPEND//[$'\n\t']/ }

# shellcheck disable=SC2086 # a list
bash "$ST/deps.sh" $PACKAGES || exit 1
WORK=$(mktemp -d) || exit 1
BOCHS=
trap '[ -z "$BOCHS" ] || kill -KILL "$BOCHS" 2>/dev/null; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
# No pipe: the tests run in this shell, whose traps end bochs.
exec 9> >(exec tee "$WORK/all")
tee=$!
while read -r model host ad tests; do
	case " ${INTEL_CPU:-$model} " in
	*" $model "*) ;;
	*) continue ;;
	esac
	[ $host = old ] && host=$OLD || host=$NEW
	one "$model" "${ONLY_HOST:-$host}" "$ad" "${TESTS-$tests}" </dev/null >&9
done < <(grep . <<<"$MODELS")
exec 9>&-
wait $tee

passed=$(grep -a '^ok' "$WORK/all" | grep -cvi '# *skip')
skipped=$(grep -a '^ok' "$WORK/all" | grep -ci '# *skip')
failed=$(grep -ca '^not ok' "$WORK/all")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
