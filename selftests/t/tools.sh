# The guest's tools see the guest's text: tracers, probes, livepatch, kexec and
# hibernation do in an attached guest what they do without Chariot, before, while and
# after a driver is isolated, and nothing in its text is ours.
#
# VM_TOOLS	some of its parts only (text tools kexec hibernate)
serve 100000

no_start() { not_ok "$1: a guest starts" "$(tail -n 1 "$OUT/tools.err")"; }

# ---- the text -----------------------------------------------------------------

# text_at: where the guest's kernel is: "ADDRESS LENGTH", physical
text_at()
{
	local range

	range=$(vm_run a 'grep "Kernel code" /proc/iomem' | cut -d: -f1 | tr -d ' ')
	echo "$((0x${range%-*})) $((0x${range#*-} - 0x${range%-*} + 1))"
}

# save FILE ADDRESS LENGTH: the text of a VM that is stopped then, and stays so
save()
{
	vm_qmp a stop >/dev/null &&
	vm_qmp a "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":$2,\"size\":$3,\"filename\":\"$1\"}}" >/dev/null
}

# same NAME FILE FILE: they are
same()
{
	if cmp -l "$2" "$3" >/tmp/text.diff; then
		ok "$1"
	else
		not_ok "$1" "$(wc -l </tmp/text.diff) bytes, at text+$(awk '{ printf "%s0x%x", sep, $1 - 1; sep = " " }' /tmp/text.diff)"
	fi
}

# The kernel patches itself when it uses something for the first time, and that a
# moment later.
settled()
{
	vm_qmp a cont >/dev/null
	vm_run a 'sleep 1; :' >/dev/null
	mv /tmp/text.0 /tmp/text.1
	# shellcheck disable=SC2086 # two
	save /tmp/text.0 $AT
	cmp -s /tmp/text.0 /tmp/text.1
}

waits_for_loads() { chariot -j vm show a | grep -q '"watch":"drivers'; }

part_text()
{
	# shellcheck disable=SC2086 # a list
	vm_start a $NET && vm_wait a || { no_start text; return; }
	AT=$(text_at)
	: >/tmp/text.0
	check "text: that of an idle guest does not change" wait_until settled
	iso_guard a e1000 recover || { no_start text; return; }
	vm_qmp a cont >/dev/null
	check "text: attached" wait_until waits_for_loads
	# shellcheck disable=SC2086 # two
	save /tmp/text.1 $AT
	same "text: attached, it is as before" /tmp/text.0 /tmp/text.1
	iso_detach a
	# shellcheck disable=SC2086 # two
	save /tmp/text.1 $AT
	same "text: detached, too" /tmp/text.0 /tmp/text.1
	rm /tmp/vm/a/guard*
	iso_guard a e1000 recover || { no_start text; return; }
	vm_qmp a cont >/dev/null
	check "text: attached again" wait_until waits_for_loads
	net_up a >/dev/null
	is "text: isolated" "$(chariot -j domain list a | grep -c '"driver":"e1000"')" 1
	is "text: receive" "$(fetch a)" "$SUM"
	: >/tmp/text.0
	check "text: it does not change while a driver is isolated" wait_until settled
	iso_detach a
	# shellcheck disable=SC2086 # two
	save /tmp/text.1 $AT
	same "text: detached, it is as while a driver was isolated" /tmp/text.0 /tmp/text.1
	vm_qmp a cont >/dev/null
	is "text: receive, detached" "$(fetch a)" "$SUM"
	vm_stop a
}

# ---- tools --------------------------------------------------------------------

tool_files()
{
	local perf=/usr/bin/perf f

	VM_FILES="$PWD/.build/selftests/count:/t/count $PWD/selftests/work/tools.sh:/t/tools.sh
		$PWD/.build/driver/$GUEST/chariot_livepatch.ko:/t/chariot_livepatch.ko"
	[ -x $perf ] || return
	VM_FILES="$VM_FILES $perf:/t/perf"
	for f in $(ldd $perf | grep -o '/[^ ]*'); do
		VM_FILES="$VM_FILES $f:$f"
	done
}

# tools PHASE: what they say is what they say without Chariot, and good
tools()
{
	local name result why plain

	vm_run a -t $((4 * WAIT)) 'sh /t/tools.sh' >"$OUT/tools.$1" 2>&1
	while read -r name result why; do
		plain="$result${why:+ $why}"
		[ ! -f "$OUT/tools.plain" ] || plain=$(awk -v n="$name" '$1 == n { sub(/^[^ ]* /, ""); print }' "$OUT/tools.plain")
		case $result in
		ok)	is "$1: $name" "$result${why:+ $why}" "$plain" ;;
		skip)	skip "$1: $name" "$why" ;;
		*)	not_ok "$1: $name" "$result $why" ;;
		esac
	done <"$OUT/tools.$1"
	is "$1: all ran" "$(grep -c . "$OUT/tools.$1")" 11
}

# Its functions are among those that are traced, and it works.
traced_driver()
{
	vm_run a 'echo function >/sys/kernel/tracing/current_tracer' >/dev/null
	is "$1: with all functions traced: receive" "$(fetch a)" "$SUM"
	vm_run a 'cd /sys/kernel/tracing; echo nop >current_tracer
		echo "*:mod:e1000" >set_ftrace_filter; echo function >current_tracer' >/dev/null
	is "$1: with those of the driver traced: receive" "$(fetch a)" "$SUM"
	is "$1: they are in the trace" "$(vm_run a 'cd /sys/kernel/tracing
		grep -c -m 1 " e1000_clean" trace; echo nop >current_tracer; echo >set_ftrace_filter')" 1
}

part_tools()
{
	tool_files
	export VM_MEM=384
	# shellcheck disable=SC2086 # a list
	vm_start a $NET && vm_wait a || { no_start tools; return; }
	tools plain
	net_up a >/dev/null
	traced_driver plain
	vm_kill a

	# shellcheck disable=SC2086 # a list
	iso_start a e1000 recover $NET || { no_start tools; return; }
	tools attached
	net_up a >/dev/null
	is "isolated" "$(chariot -j domain list a | grep -c '"driver":"e1000"')" 1
	tools isolated
	traced_driver isolated
	is "isolated: no violation" "$(iso_stat a violations)" 0
	iso_events a violation | head -n 5 | sed 's/^/# /'
	is "isolated: no fault" "$(iso_stat a faults)" 0
	vm_run a 'ip link set eth0 down; rmmod e1000' >/dev/null
	tools released
	is "no error" "$(iso_events a error | grep -c .)" 0
	iso_detach a
	tools detached
	vm_stop a
	unset VM_MEM
}

# ---- another kernel -----------------------------------------------------------

# Not those of the boot about the CPU's flaws; nor those that a kernel has of the
# emulated CPU itself, as it begins: the guest's first one has shown them.
complaints()
{
	vm_run a "dmesg | grep -E 'WARNING: CPU|BUG:|Oops|ftrace_bug'" |
		sed 's/^\[[^]]*\] //' | grep -vxF "${AT_BOOT:-none}"
}

# loads PHASE: a module, and the driver, which is isolated or not
loads()
{
	is "$1: a module loads" "$(vm_run a 'modprobe dummy && rmmod dummy && echo yes')" yes
	[ "$(vm_run a 'grep -c ^e1000 /proc/modules')" = 1 ] || net_up a >/dev/null
	is "$1: receive" "$(fetch a)" "$SUM"
	is "$1: isolated" "$(chariot -j domain list a | grep -c '"driver":"e1000"')" "$2"
	is "$1: the kernel has no complaint" "$(complaints)" ""
}

part_kexec()
{
	local id

	VM_FILES="$PWD/.build/selftests/kexec:/k/kexec
		$PWD/.cache/kernels/$GUEST/vmlinuz:/k/vmlinuz
		$(selftests/env/initramfs.sh guest "$GUEST"):/k/initrd"
	# shellcheck disable=SC2086 # a list
	VM_MEM=640 iso_start a e1000 recover $NET || { no_start kexec; return; }
	AT_BOOT=
	AT_BOOT=$(complaints)
	net_up a >/dev/null
	id=$(boot_id a)
	vm_run a '/k/kexec /k/vmlinuz /k/initrd >/dev/console 2>&1 &'
	check "kexec: another kernel" wait_until booted_anew a "$id"
	came "kexec: the operator is told" a reset 1
	loads kexec 1
	is "kexec: function tracer" "$(vm_run a 'cd /sys/kernel/tracing
		echo do_init_module >set_ftrace_filter && echo function >current_tracer &&
		modprobe dummy && grep -c do_init_module trace')" 1
	is "kexec: the kernel has no complaint then either" "$(complaints)" ""
	is "kexec: no error" "$(event_count a error)" 0
	vm_stop a
	iso_detach a
}

# ---- hibernation --------------------------------------------------------------

SWAP=/tmp/swap.img
DISK="-drive if=none,id=sw,format=raw,file=$SWAP -device virtio-blk-pci,drive=sw"

# hibernate KEEP: what was started as a; its swap is kept in KEEP
hibernate()
{
	id=$(boot_id a)
	vm_run a 'modprobe -a virtio_pci virtio_blk; mkswap /dev/vda && swapon /dev/vda &&
		echo shutdown >/sys/power/disk && echo 0 >/sys/power/image_size &&
		(echo disk >/sys/power/state) >/dev/console 2>&1 &' >/dev/null
	check "hibernation: $1: the guest goes to disk" vm_gone a
	cp --sparse=always $SWAP /tmp/swap."$1"
}

# The kernel that was started first reads the other one, and is gone.
is_back() { [ "$(boot_id a)" = "$id" ]; }

resume()
{
	vm_run a '[ -b /dev/vda ] || modprobe -a virtio_pci virtio_blk
		(cat /sys/block/vda/dev >/sys/power/resume) >/dev/console 2>&1 &' >/dev/null
	check "hibernation: $1: the guest is back" wait_until is_back
}

fresh_swap() { rm -f $SWAP; truncate -s 512M $SWAP; }

part_hibernate()
{
	local id

	tool_files
	export VM_MEM=384
	fresh_swap
	# shellcheck disable=SC2086 # a list
	iso_start a e1000 recover $NET $DISK || { no_start hibernation; return; }
	AT_BOOT=
	AT_BOOT=$(complaints)
	net_up a >/dev/null
	is "hibernation: isolated" "$(chariot -j domain list a | grep -c '"driver":"e1000"')" 1
	hibernate isolated
	is "hibernation: no violation" "$(event_count a violation)" 0
	is "hibernation: no fault" "$(event_count a fault)" 0
	iso_detach a

	# Where there is no Chariot
	# shellcheck disable=SC2086 # a list
	vm_start a $NET $DISK && vm_wait a || { no_start hibernation; return; }
	resume "without Chariot"
	loads "back, without Chariot" 0
	tools back
	vm_kill a

	# Where there is: the guest's kernel is another one at once.
	mv /tmp/swap.isolated $SWAP
	# shellcheck disable=SC2086 # a list
	iso_start a e1000 recover $NET $DISK || { no_start hibernation; return; }
	resume "with Chariot"
	vm_run a 'ip link set eth0 down; rmmod e1000'
	loads "back, with Chariot" 1
	tools back-with
	is "back, with Chariot: no error" "$(event_count a error)" 0
	vm_stop a
	iso_detach a
	rm -f /tmp/swap*
	unset VM_MEM
}

for part in ${VM_TOOLS:-text tools kexec hibernate}; do
	if declare -F "part_$part" >/dev/null; then
		"part_$part"
	else
		not_ok "VM_TOOLS: there is no part $part"
	fi
done
unserve
