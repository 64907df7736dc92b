#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vm-smoke.sh: the test harness tests itself. Run by l1.sh.

set -u
cd "$(dirname "$0")/../.." || exit 1
. selftests/tap.sh
. selftests/env/vm.sh

uptime() { cut -d' ' -f1 /proc/uptime; }

mkdir -p /tmp/www
echo "hello from L1" >/tmp/www/index.html
busybox httpd -p 127.0.0.1:8080 -h /tmp/www

t0=$(uptime)
vm_start smoke -netdev user,id=n0 -device e1000,netdev=n0 || exit 1
vm_wait smoke || exit 1
t1=$(uptime)
is release "$(vm_run smoke uname -r)" "$(cat ".cache/kernels/$GUEST/release")"
is cpus "$(vm_run smoke nproc)" "${VCPUS:-1}"
vm_run smoke 'exit 7'
is status $? 7
is binary "$(vm_run smoke 'printf "a\r\n\000\377b"' | od -An -tx1)" " 61 0d 0a 00 ff 62"
is 'no driver' "$(vm_run smoke 'lsmod | grep -c e1000')" 0
vm_run smoke 'modprobe e1000 && ip link set eth0 up &&
	ip addr add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2'
is e1000 $? 0
is fetch "$(vm_run smoke 'wget -q -O - http://10.0.2.2:8080/')" "hello from L1"
vm_run smoke -t 15 'echo begun; sleep 1000000' >/tmp/partial
is timeout $? 124
is partial "$(cat /tmp/partial)" begun
seq 3000 >/tmp/many
is 'long output' "$(vm_run smoke 'seq 3000' | md5sum)" "$(md5sum </tmp/many)"
head -c 3000 /dev/urandom >/tmp/blob
vm_put smoke /tmp/blob /tmp/blob
is put "$(vm_run smoke 'md5sum </tmp/blob')" "$(md5sum </tmp/blob)"
case $(vm_qmp smoke query-status) in
*'"running"'*)	is qmp running running ;;
*)		is qmp other running ;;
esac
t2=$(uptime)
vm_stop smoke
is stop $? 0
t3=$(uptime)
vm_run smoke true 2>/dev/null
is 'gone guest' $? 125
echo "# L2 up $(echo "$t1 - $t0" | bc) s, tests $(echo "$t2 - $t1" | bc) s," \
	"down $(echo "$t3 - $t2" | bc) s; L1 had needed $t0 s"
exit $failed
