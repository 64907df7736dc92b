# libvirt's daemon and virsh: a domain whose XML names drivers to isolate.
# ran COMMAND...: virsh, its output in $T/out
T=/tmp/virsh
mkdir -p $T $VM_DIR/v
for d in /etc/libvirt /var/lib /var/log /var/cache; do
	mount -t tmpfs tmpfs $d
done
# The user that libvirt-daemon-system makes; its units would start a daemon.
for f in passwd group; do
	cp /etc/$f $T/$f
done
grep -q '^libvirt-qemu:' $T/passwd ||
	echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>$T/passwd
for g in libvirt-qemu:x:64055: kvm:x:64056: libvirt:x:64057:; do
	grep -q "^${g%%:*}:" $T/group || echo "$g" >>$T/group
done
mount --bind $T/passwd /etc/passwd
mount --bind $T/group /etc/group
mkdir -p /etc/libvirt/hooks/qemu.d /var/lib/libvirt/qemu /var/log/libvirt/qemu \
	/var/cache/libvirt/qemu
cat >/etc/libvirt/libvirtd.conf <<END
auth_unix_rw = "none"
log_outputs = "3:file:$OUT/libvirtd.log"
END
cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
END
# The hook says where chariot is by its build; here it is elsewhere.
printf '#!/bin/sh\nexport CHARIOT_COMMAND=%s\nexec %s "$@"\n' \
	"$PWD/.build/tools/chariot" "$PWD/.build/tools/chariot-libvirt-hook" \
	>/etc/libvirt/hooks/qemu.d/chariot
chmod +x /etc/libvirt/hooks/qemu.d/chariot
# What a system log gets, here in a file.
socat -u UNIX-RECV:/dev/log,mode=666 OPEN:$T/syslog,creat,append &
libvirtd -d || { not_ok "libvirtd starts"; exit 1; }


ran() { virsh -q "$@" >$T/out 2>&1; }
says() { if grep -qE "$2" $T/out; then ok "$1"; else not_ok "$1" "$(tail -n 3 $T/out | tr '\n' '|')"; fi; }

# domain METADATA: define it
domain()
{
	cat >$T/v.xml <<END
<domain type='kvm'>
  <name>v</name>
  <uuid>5b9a4f0c-6a55-4a3e-9d3c-0c4f2b7c1e11</uuid>
  <memory unit='MiB'>256</memory>
  <vcpu>$VCPUS</vcpu>
  <metadata>$1</metadata>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>$VM_TOP/.cache/kernels/$GUEST/vmlinuz</kernel>
    <initrd>$(vm_initramfs "$GUEST" $T/initrd)</initrd>
    <cmdline>console=ttyS0 no_timer_check panic=-1 quiet</cmdline>
  </os>
  <features><acpi/><smm state='off'/></features>
  <cpu mode='host-passthrough' check='none'/>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='$OUT/v.log'/></serial>
    <serial type='unix'><source mode='bind' path='$VM_DIR/v/cmd'/></serial>
    <interface type='user'><model type='e1000'/></interface>
    <memballoon model='none'/>
  </devices>
</domain>
END
	ran define $T/v.xml
}

NS="xmlns:chariot='urn:chariot:isolation:1'"
conform_files
wait_until ran list || { not_ok "libvirtd answers" "$(tail -n 1 "$OUT/libvirtd.log")"; exit 1; }

domain "<chariot:isolation $NS verdict='maybe'><chariot:driver name='e1000'/></chariot:isolation>"
is "define" $? 0
ran start v
says "a bad verdict refuses the start, and virsh says why" 'verdict="maybe" is none of'
domain "<chariot:isolation $NS><chariot:driver name='../x'/></chariot:isolation>"
ran start v
says "a bad name of a driver" '"../x" is no name of a driver'
domain "<chariot:isolation $NS><chariot:driver name='e1000'/><chariot:policy file='$T/no'/></chariot:isolation>"
ran start v
says "a policy that is not there" "$T/no"
domain "<chariot:isolation $NS/>"
ran start v
says "no driver at all" 'names no driver'
is "and nothing runs" "$(virsh -q list | grep -c .)" 0

domain "<chariot:isolation $NS verdict='skip'><chariot:driver name='chariot_conform'/><chariot:driver name='e1000'/></chariot:isolation>"
check "virsh start" virsh -q start v
cat /run/libvirt/qemu/v.pid >$VM_DIR/v/pid
check "the guest boots" vm_wait v
conform v unchanged victim_data >$T/conform 2>&1
check "a driver is isolated from its init" grep -q 'victim_data unchanged' $T/conform
check "and another" vm_run v 'modprobe e1000'
is "chariot knows the domain by its name" "$(chariot domain list v | grep -cE 'chariot_conform|e1000')" 2
check "events are in the system log" wait_until grep -q 'v: violation: chariot_conform' $T/syslog

check "virsh suspend" virsh -q suspend v
check "virsh resume" virsh -q resume v
conform v unchanged victim_data >$T/conform 2>&1
check "still isolated" grep -q 'victim_data unchanged' $T/conform

before=$(boot_id v)
check "virsh reset" virsh -q reset v
check "the guest boots again" wait_until booted_anew v "$before"
conform v unchanged victim_data >$T/conform 2>&1
check "isolated from its init again" grep -q 'victim_data unchanged' $T/conform

# The power button, which the guest obeys; libvirt starts it anew.
vm_run v 'modprobe -a button evdev && mkdir -p /etc/acpi/PWRF &&
	printf "#!/bin/sh\npoweroff -f\n" >/etc/acpi/PWRF/00000080 &&
	chmod +x /etc/acpi/PWRF/00000080 && acpid -l /tmp/acpid.log
	until ls -l /proc/$(pidof acpid)/fd | grep -q input; do sleep 0.1; done'
before=$(boot_id v)
check "virsh reboot" virsh -q reboot v --mode acpi
check "the guest boots once more" wait_until booted_anew v "$before"
conform v unchanged victim_data >$T/conform 2>&1
check "isolated from its init after a reboot" \
	grep -q 'victim_data unchanged' $T/conform

check "virsh save" virsh -q save v $T/saved
ran restore $T/saved
says "virsh restore refuses, and says why" 'cannot be isolated from their start'

check "virsh start again" virsh -q start v
cat /run/libvirt/qemu/v.pid >$VM_DIR/v/pid
check "virsh destroy" virsh -q destroy v
wait_until [ ! -e "/run/chariot/$(cat $VM_DIR/v/pid)" ]
is "the guard has gone with it" "$(ls /run/chariot | grep -c .)" 0

domain ""
check "a domain without it starts" virsh -q start v
cat /run/libvirt/qemu/v.pid >$VM_DIR/v/pid
check "and boots" vm_wait v
# Live attach: a running VM that was started without Chariot.
vm_run v 'insmod /c/chariot_victim.ko; insmod /c/second.ko' >/dev/null
check "chariot attach" chariot attach v --verdict recover
chariot isolate v chariot_conform >$T/out 2>&1
conform v unchanged victim_data >$T/conform 2>&1
check "a driver that is loaded then is isolated" grep -q 'victim_data unchanged' $T/conform
chariot attach v >$T/out 2>&1
says "a second attach is refused" 'has a guard already'
check "chariot detach" chariot detach v
conform v damaged victim_data >$T/conform 2>&1
check "then it is not, and the VM runs on" grep -q 'victim_data damaged' $T/conform
check "destroy" virsh -q destroy v
kill "$(cat /run/libvirtd.pid)"
