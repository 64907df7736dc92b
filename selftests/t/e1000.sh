# The stock e1000 driver, isolated from its first instruction, at work.
serve 1048576
# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
came "isolated before init" a domain-new 1
came "init succeeds" a init-done 1
is "receive 1 MiB" "$(fetch a)" "$SUM"
socat -u TCP-LISTEN:8081,bind=127.0.0.1 OPEN:/tmp/up,creat,trunc &
wait_until listens 8081
vm_run a 'head -c 300000 /dev/urandom >/tmp/up; nc 10.0.2.2 8081 </tmp/up; sha256sum </tmp/up' >/tmp/up.sum
wait
is "transmit 300 kB" "$(sha256sum </tmp/up)" "$(cat /tmp/up.sum)"
vm_run a "ip link set eth0 down; ip link set eth0 mtu 1400; ip link set eth0 up; ip route add default via 10.0.2.2; $ANSWERS" >/dev/null
is "down, MTU, up: receive" "$(fetch a)" "$SUM"
reload_e1000 a
is "no violation" "$(iso_stat a violations)" 0
iso_events a violation | head -n 20 | sed 's/^/# /'
is "nothing unemulated" "$(iso_stat a unemulated_grants)" 0
is "no error" "$(iso_events a error | grep -c .)" 0
grep '^stat' "$OUT/a.guard" | tail -n 20 | sed 's/^/# /'
vm_stop a
iso_detach a
unserve
