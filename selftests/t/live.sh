# A driver that the guest had loaded long before Chariot came: isolated in
# report mode, and enforced when it is loaded anew.
count() { chariot -j stats show a | sed -n 's/.*"violations": *\([0-9]*\).*/\1/p'; }

serve 300000
# shellcheck disable=SC2086 # a list
vm_start a $NET || exit 1
vm_wait a || exit 1
net_up a >/dev/null
is "without Chariot: receive" "$(fetch a)" "$SUM"
check "attach" chariot attach a --verdict recover
chariot isolate a e1000 >/tmp/live 2>&1
check "isolate says what it can do" grep -q 'loaded already' /tmp/live
check "its verdict is report" wait_until sh -c \
	".build/tools/chariot -n verdict show a | grep -q 'e1000.*report'"
is "receive while it is learned" "$(fetch a)" "$SUM"
check "what it writes is learned" sh -c \
	".build/tools/chariot -n act show a e1000 | grep -q learned"
vm_run a 'ip link set eth0 down; rmmod e1000' >/dev/null
is "unload" $? 0
net_up a >/dev/null
check "loaded anew, it is enforced" sh -c \
	".build/tools/chariot -n verdict show a | grep -q 'e1000.*recover'"
before=$(count)
is "receive" "$(fetch a)" "$SUM"
is "without a violation" "$(count)" "$before"
check "detach" chariot detach a
is "receive after it" "$(fetch a)" "$SUM"
vm_stop a
unserve
