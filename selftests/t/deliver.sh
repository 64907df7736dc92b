# A driver runs from an image that was put in the place of its file's while the guest loaded
# it, and that has another build-id. All the rest is as with the file.
export CHARIOT_DELIVER=1
NOTE='od -An -v -t x1 /sys/module/e1000/notes/.note.gnu.build-id | tr -d " \n"'
FILE=/lib/modules/$(cat ".cache/kernels/$GUEST/release")/kernel/drivers/net/ethernet/intel/e1000/e1000.ko

# marked HEX: with the lowest bit of the first byte behind the note's head the other way
marked() { printf '%s%02x%s\n' "${1:0:32}" $((0x${1:32:2} ^ 1)) "${1:34}"; }

# What the guest has allocated by pages, and by whom; threads' stacks come and go, and
# addresses that are free again are kept for a while.
rooms()
{
	vm_run a 'cut -d" " -f2- /proc/vmallocinfo' |
		grep -vE 'fork|copy_process|alloc_thread|bpf_prog|vmap phys|unpurged' | sort
}

# As it boots, the emulated CPU is one.
complaints() { vm_run a 'dmesg | grep -cE "WARNING|BUG|Oops|Call Trace"'; }

delivered() { grep -c 'guard: info: e1000: the guest has got an image' "$OUT/a.guard"; }

# A file that the kernel can unpack, where modules are packed.
PACKED=$(ls ".cache/kernels/$GUEST/modules/kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz" \
	2>/dev/null)
if [ -n "$PACKED" ]; then
	VM_FILES="$PWD/.build/selftests/finit:/finit $PWD/$PACKED:/e1000.ko.xz"
fi

serve 1048576
# shellcheck disable=SC2086 # a list
vm_start a $NET || exit 1
vm_wait a || exit 1
vm_run a 'modprobe e1000'
before=$(vm_run a "$NOTE")
tainted=$(vm_run a 'cat /proc/sys/kernel/tainted')
vm_stop a

# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
complained=$(complaints)
vm_run a 'modprobe dummy && rmmod dummy'
is "a module that nobody wants is let alone" "$(delivered)" 0
net_up a >/dev/null
is "e1000 is delivered" "$(delivered)" 1
came "it is isolated" a domain-new 1
is "and it is the one that runs" "$(vm_run a "$NOTE")" "$(marked "$before")"
is "its signature was checked: the kernel is no more tainted by it" \
	"$(vm_run a 'cat /proc/sys/kernel/tainted')" "$tainted"
is "receive 1 MiB" "$(fetch a)" "$SUM"
is "no violation" "$(iso_stat a violations)" 0
vm_run a 'ip link set eth0 down; rmmod e1000'
is "unload" $? 0
came "the domain is gone" a domain-gone 1
rooms >"$OUT/rooms.1"
for i in 1 2 3; do
	vm_run a 'modprobe e1000 && rmmod e1000' || not_ok "load $i"
done
is "loaded and unloaded three times" "$(delivered)" 4
rooms >"$OUT/rooms.2"
is "nothing of it stays in the guest" "$(diff "$OUT/rooms.1" "$OUT/rooms.2")" ""

if [ -n "$PACKED" ]; then
	vm_run a '/finit /e1000.ko.xz && rmmod e1000'
	rooms >"$OUT/rooms.1"
	vm_run a '/finit /e1000.ko.xz'
	is "one that the kernel has unpacked is loaded" $? 0
	is "and delivered" "$(delivered)" 6
	is "and runs" "$(vm_run a "$NOTE")" "$(marked "$before")"
	vm_run a 'rmmod e1000'
	rooms >"$OUT/rooms.2"
	is "nothing of it stays, either" "$(diff "$OUT/rooms.1" "$OUT/rooms.2")" ""
else
	skip "one that the kernel has unpacked" "this kernel's modules are not packed"
fi
loads=$(delivered)

# What the guest would not load
vm_run a "cp $FILE /tmp/bad.ko && printf X | dd of=/tmp/bad.ko bs=1 seek=5000 conv=notrunc" \
	>/dev/null 2>&1
vm_run a 'insmod /tmp/bad.ko' >"$OUT/bad" 2>&1
is "with a wrong signature it is not loaded: EKEYREJECTED" "$?" 129
is "nor delivered" "$(delivered)" "$loads"
rooms >"$OUT/rooms.3"
is "and nothing stays" "$(diff "$OUT/rooms.1" "$OUT/rooms.3")" ""
is "no error" "$(iso_events a error | grep -c .)" 0
iso_events a error | sed 's/^/# /'

# Nobody is there any more
iso_detach a
net_up a >/dev/null
is "without us it is the file's" "$(vm_run a "$NOTE")" "$before"
is "receive" "$(fetch a)" "$SUM"
is "the guest has complained about nothing" "$(complaints)" "$complained"
vm_stop a
unserve
unset CHARIOT_DELIVER
