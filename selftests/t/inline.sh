# The stock e1000 driver in mode inline: checks in it, and few exits.
echo 'mode inline' >"$OUT/inline.policy"
serve 1048576

# shellcheck disable=SC2086 # a list
VM_POLICY=$OUT/inline.policy iso_start a e1000 "${VM_VERDICT:-report}" $NET || exit 1
complained=$(vm_run a 'dmesg | grep -cE "WARNING|BUG|Oops|Call Trace"')
net_up a >/dev/null
came "isolated before init" a domain-new 1
came "init succeeds" a init-done 1
is "its domain says so" "$(chariot -j domain list a | sed -n 's/.*"mode":"\([a-z]*\)".*/\1/p')" inline
before=$(iso_stat a exits)
is "receive 1 MiB" "$(fetch a)" "$SUM"
echo "# exits for 1 MiB: $(($(iso_stat a exits) - before))"
is "down, MTU, up: receive" "$(vm_run a "ip link set eth0 down; ip link set eth0 mtu 1400; ip link set eth0 up; ip route add default via 10.0.2.2; $ANSWERS" >/dev/null; fetch a)" "$SUM"
is "no violation" "$(iso_stat a violations)" 0
iso_events a violation | sort | uniq -c | sort -rn | head -n 20 | sed 's/^/# /'
reload_e1000 a
is "no error" "$(iso_events a error | grep -c .)" 0
iso_events a error | sed 's/^/# /'
is "the guest has complained about nothing" \
	"$(vm_run a 'dmesg | grep -cE "WARNING|BUG|Oops|Call Trace"')" "$complained"
grep '^stat' "$OUT/a.guard" | tail -n 70 | grep -v ' 0$' | sed 's/^/# /'
vm_stop a
iso_detach a
unserve
