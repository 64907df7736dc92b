# A driver that fails is stopped, and loaded anew by the guest's own means.
serve 200000

# Until the counter of VM is at least N
wait_stat()
{
	local i

	for i in $(seq 60); do
		[ "$(iso_stat "$1" "$2")" -lt "$3" ] || return 0
		sleep 0.5
	done
	return 1
}

configure()
{
	vm_run a -t 60 'for i in 1 2 3 4 5 6 7 8 9 10; do
			ip link set eth0 up && break; sleep 1; done 2>/dev/null
		ip addr add 10.0.2.15/24 dev eth0
		ip route replace default via 10.0.2.2; sleep 1' >/dev/null
}

works_again()
{
	check "$1: it is loaded again" wait_stat a recoveries "$2"
	configure
	is "$1: traffic continues" "$(fetch a)" "$SUM"
	is "$1: the guest's kernel has not oopsed" \
		"$(grep -acE 'BUG:|Oops|Kernel panic' "$(vm_log a)")" 0
}

# shellcheck disable=SC2086 # a list
iso_start a e1000 recover $NET || exit 1
net_up a >/dev/null
is "no fault at first" "$(fetch a)" "$SUM"
is "no fault counted" "$(iso_stat a faults)" 0

chariot inject a e1000 --function e1000_intr --wild-store init_uts_ns.name.nodename \
	--width 4 --value 0x41414141 >"$OUT/inject" 2>&1 || cat "$OUT/inject" >&2
vm_run a -t 5 'ping -c 2 -W 1 10.0.2.2' >/dev/null 2>&1
check "a wild write in an interrupt: the driver has failed" wait_stat a faults 1
works_again "after a wild write in an interrupt" 1
is "the write was not done" "$(vm_run a 'uname -n')" guest
vm_run a 'dmesg | tail -n 5' | sed 's/^/# /'
iso_events a fault | sed 's/^/# /'
iso_events a recovered | sed 's/^/# /'
vm_stop a
iso_detach a
unserve
