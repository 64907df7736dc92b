# A driver that fails is stopped, and loaded anew by the guest's own means.
# VM_MODE	of what all kinds of faults are tried in: strict, or fast
# VM_RECOVER	some of its parts only (net without all_kinds cleanup_fails no_types block)
serve 200000

configure()
{
	vm_run a "until ip link set eth0 up; do sleep 0.1; done 2>/dev/null
		ip addr add 10.0.2.15/24 dev eth0
		ip route replace default via 10.0.2.2; $ANSWERS" >/dev/null
}

oopses() { grep -acE 'BUG:|Oops|Kernel panic' "$(vm_log "$1")"; }

works_again()
{
	check "$1: it is loaded again" wait_stat a recoveries "$2"
	configure
	is "$1: traffic continues" "$(fetch a)" "$SUM"
	is "$1: the guest's kernel has not oopsed" "$(oopses a)" 0
}

part_net()
{
	# shellcheck disable=SC2086 # a list
	iso_start a e1000 recover $NET || return
	net_up a >/dev/null
	is "no fault at first" "$(fetch a)" "$SUM"
	is "no fault counted" "$(iso_stat a faults)" 0
	chariot inject a e1000 --function e1000_intr --wild-store init_uts_ns.name.nodename \
		--width 4 --value 0x41414141 >"$OUT/inject" 2>&1 || cat "$OUT/inject" >&2
	vm_run a 'ping -c 2 -W 1 10.0.2.2' >/dev/null 2>&1
	check "a wild write in an interrupt: the driver has failed" wait_stat a faults 1
	works_again "after a wild write in an interrupt" 1
	is "the write was not done" "$(vm_run a 'uname -n')" guest
	iso_events a fault | sed 's/^/# /'
	vm_stop a
	iso_detach a
}

load_faulty()
{
	vm_run "$1" 'depmod && modprobe chariot_faulty && cat /proc/chariot_faulty' |
		tail -n 1
}

# fails HOW RESULT: the driver does; who called it gets RESULT, if anybody did
fails()
{
	local n=$((faults + 1)) got

	got=$(vm_run b "echo $1 >/proc/chariot_faulty && echo done" 2>&1 |
		sed 's/.*: //' | tail -n 1)
	case $got in
	$2)	ok "$1: its caller gets $got" ;;
	*)	not_ok "$1: its caller gets" "$got, not $2" ;;
	esac
	check "$1: the driver has failed" wait_stat b faults $n
	check "$1: it is loaded again" wait_stat b recoveries $((recoveries + 1))
	is "$1: it works" "$(vm_run b 'cat /proc/chariot_faulty')" well
	is "$1: no lock is held" "$(vm_run b 'cat /proc/fault_locks')" "irqs on"
	faults=$(iso_stat b faults)
	recoveries=$(iso_stat b recoveries)
}

EIO="Input/output error"

part_all_kinds()
{
	module_files chariot_faulty fault_locks
	faults=0 recoveries=0
	printf 'restart 16 1\nmode %s\n' "${VM_MODE:-strict}" >/tmp/recover.policy
	VM_POLICY=/tmp/recover.policy iso_start b chariot_faulty recover -device edu || return
	is "the faulty driver works" "$(load_faulty b)" well
	fails read-null "$EIO"
	fails write-null "$EIO"
	fails wild "$EIO"
	fails divide "$EIO"
	fails bug "$EIO"
	fails jump "$EIO"
	fails in-kernel "$EIO"
	fails free-wild "$EIO"
	fails locked "$EIO"
	fails half-locked "$EIO"
	fails leak-lock "$EIO"
	fails give-too-much "$EIO"
	fails sleep-locked "$EIO"
	fails free-more "$EIO"
	fails loop "$EIO"
	fails smash "$EIO"
	fails lose-stack "$EIO"
	fails stack-in-object "$EIO"
	# sooner or later than the write returns
	fails storm "[dI]*"
	fails timer "[dI]*"
	fails work "[dI]*"
	fails tasklet "[dI]*"
	# who waits in the driver does not run on in it: it wakes when the driver has failed,
	# and only then can that be unloaded
	vm_run b '(echo sleep >/proc/chariot_faulty) 2>/tmp/slept &
		until [ "$(cat /proc/fault_sleep)" = 1 ]; do sleep 0.1; done
		(while cat /proc/chariot_faulty; do sleep 0.1; done
		echo >/proc/fault_sleep) >/dev/null 2>&1 &' >/dev/null
	fails wild "$EIO"
	is "who slept in the driver got" "$(vm_run b 'until [ -s /tmp/slept ]; do sleep 0.1; done
		sed "s/.*: //" /tmp/slept')" "$EIO"
	is "the guest's kernel has not oopsed" \
		"$(grep -acE 'BUG:|Oops|Kernel panic|scheduling while atomic' "$(vm_log b)")" 0
	vm_run b 'dmesg | grep -E "WARNING|BUG|RIP" | head -n 5' | sed 's/^/# /'
	vm_kill b
	iso_detach b
}

part_cleanup_fails()
{
	module_files chariot_faulty fault_locks
	iso_start d chariot_faulty recover -device edu || return
	is "the faulty driver works" "$(load_faulty d)" well
	vm_run d 'dmesg -c' >/dev/null
	# what cannot let go of its device stays; another one gets the device
	vm_run d 'echo remove >/proc/chariot_faulty; echo wild >/proc/chariot_faulty' >/dev/null 2>&1
	check "a fault as it leaves its device, too: another one is loaded beside it" \
		wait_stat d recoveries 1
	is "that works" "$(vm_run d 'cat /proc/chariot_faulty')" well
	is "and has the device" "$(vm_run d 'ls -d /sys/module/chariot_faulty/drivers/*/*/driver | wc -l')" 1
	is "the first is held" "$(vm_run d 'cut -d" " -f1 /proc/modules | grep faulty | xargs')" \
		"chariot_faulty chariot_faulty~held"
	is "no lock is" "$(vm_run d 'cat /proc/fault_locks')" "irqs on"
	is "and the kernel has no complaint" "$(vm_run d 'dmesg | grep -E "WARNING|BUG|Oops|duplicate"')" ""
	# what cannot clean up stays, and stays stopped: its module must not be freed
	vm_run d 'echo exit >/proc/chariot_faulty; echo wild >/proc/chariot_faulty' >/dev/null 2>&1
	check "a fault in exit, too: the operator is told" wait_until grep -q 'cannot clean up' "$OUT/d.guard"
	is "and it stays stopped" "$(vm_run d 'cat /proc/chariot_faulty 2>&1' | sed 's/.*: //')" "$EIO"
	is "and the guest is well" "$(vm_run d 'echo yes')" yes
	is "no oops then either" "$(oopses d)" 0
	vm_kill d
	iso_detach d
}

# Of a driver whose types are not known a failed call must not look like one that did
# nothing: who called would try for ever.
part_no_types()
{
	module_files chariot_faulty fault_locks
	objcopy -R .BTF -R .BTF_ids -R .BTF.base \
		".build/driver/$GUEST/chariot_faulty.ko" /tmp/faulty.ko || return
	VM_FILES=${VM_FILES/.build\/driver\/$GUEST\/chariot_faulty.ko//tmp/faulty.ko}
	iso_start f chariot_faulty recover -device edu || return
	is "no types: the faulty driver works" "$(load_faulty f)" well
	check "no types: the operator is told" grep -q 'BTF' "$OUT/f.guard"
	is "no types: its caller gets" "$(vm_run f 'echo read-null >/proc/chariot_faulty' 2>&1 |
		sed 's/.*: //' | tail -n 1)" "$EIO"
	check "no types: the driver has failed" wait_stat f faults 1
	check "no types: it is loaded again" wait_stat f recoveries 1
	is "no types: nobody has tried for ever" \
		"$(iso_events f error | grep -c 'the guest has called it')" 0
	vm_stop f
	iso_detach f
}

# A write that the device has done, and the driver does not tell of: dd has the disk
# open and waits, so the module is busy until the device is gone.
part_block()
{
	local copy='cd /tmp; head -c 300000 /dev/urandom >a
		dd if=a of=/dev/nvme0n1 bs=64k conv=notrunc,fsync 2>&1 | grep rror
		echo 3 >/proc/sys/vm/drop_caches
		head -c 300000 /dev/nvme0n1 | cmp - a && echo same'
	local find='until [ -b /dev/nvme0n1 ]; do sleep 0.1; done'

	# shellcheck disable=SC2046 # a list
	VM_APPEND="nvme_core.io_timeout=20 nvme_core.admin_timeout=20" \
		iso_start e nvme recover $(back_ends /tmp "-device nvme,drive=d0,serial=1") || return
	vm_run e "modprobe nvme; $find" >/dev/null
	is "a disk is written and read" "$(vm_run e "$copy" | tail -n 1)" same
	chariot inject e nvme --function nvme_poll_cq --wild-store init_uts_ns.name.nodename \
		--width 1 --value 0x41 >"$OUT/inject" 2>&1 || cat "$OUT/inject" >&2
	vm_run e "$copy" >"$OUT/block" 2>&1
	check "its driver fails: who waits for it gets an error" grep -q rror "$OUT/block"
	check "and it is loaded again" wait_stat e recoveries 1
	is "and writes and reads" "$(vm_run e "$find; $copy" | tail -n 1)" same
	is "and has cleaned up before" "$(vm_run e 'grep -c held /proc/modules')" 0
	is "and the guest's kernel has not oopsed" "$(oopses e)" 0
	vm_stop e
	iso_detach e
}

# 4000 interrupts that are not the timer's (of these a guest that does nothing else has
# 250 a second)
interrupts_come()
{
	local kvm=/sys/kernel/tracing/events/kvm/kvm_inj_virq n

	echo 'vector != 0xec' >$kvm/filter
	echo 1 >$kvm/enable
	n=$(timeout "$WAIT" cat /sys/kernel/tracing/trace_pipe | head -n 4000 | wc -l)
	echo 0 >$kvm/enable
	[ "$n" = 4000 ]
}

part_without()
{
	module_files chariot_faulty fault_locks
	vm_start c -device edu && vm_wait c || return
	vm_run c 'depmod && modprobe chariot_faulty' >/dev/null
	vm_run c -t 30 'echo sleep-locked >/proc/chariot_faulty' >/dev/null 2>&1
	check "without Chariot the kernel tells of who sleeps with a lock" \
		wait_until grep -qa 'BUG: scheduling while atomic' "$(vm_log c)"
	# some kernels look at the pages: then they tell, and do not free them
	vm_run c 'echo free-more >/proc/chariot_faulty' >"$OUT/free" 2>&1
	check "and a page of another's is given back" \
		wait_until eval 'grep -qa "BUG: Bad page state" "$(vm_log c)" || grep -q Invalid "$OUT/free"'
	vm_run c -t 30 'echo locked >/proc/chariot_faulty' >/dev/null 2>&1
	check "without Chariot the same fault is an oops" \
		wait_until grep -qaE 'BUG: kernel NULL' "$(vm_log c)"
	# KVM lets such a guest come to something else only now and then: no answer
	vm_run c 'echo storm >/proc/chariot_faulty' >/dev/null 2>&1 &
	check "and an interrupt that is not answered comes thousands of times" \
		interrupts_come
	vm_kill c
	wait $!
}

for part in ${VM_RECOVER:-net without all_kinds cleanup_fails no_types block}; do
	if declare -F "part_$part" >/dev/null; then
		"part_$part"
	else
		not_ok "VM_RECOVER: there is no part $part"
	fi
done
unserve
