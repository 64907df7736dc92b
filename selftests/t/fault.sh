# A wild store planted in the isolated driver's text: stopped, named, survived.
serve 200000
inject()
{
	.build/tools/chariot inject "$(vm_pid a)" e1000 \
		--function e1000_intr \
		--wild-store init_uts_ns.name.nodename --width 4 \
		--value 0x41414141
}

# shellcheck disable=SC2086 # a list
vm_start a $NET || exit 1
vm_wait a || exit 1
net_up a >/dev/null
before=$(vm_run a 'uname -n')
inject >"$OUT/inject.without" 2>&1 || cat "$OUT/inject.without" >&2
fetch a >/dev/null
is "without Chariot the fault damages the guest" \
	"$(vm_run a 'uname -n' | cut -c1-4)" AAAA
vm_kill a

# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
is "no violation before the fault" "$(iso_stat a violations)" 0
inject >"$OUT/inject.with" 2>&1 || cat "$OUT/inject.with" >&2
is "traffic goes on" "$(fetch a)" "$SUM"
is "the guest is unharmed" "$(vm_run a 'uname -n')" "$before"
check "the violation names function and target" grep -qE \
	'e1000_intr\+0x[0-9a-f]+ wrote 4 bytes at init_uts_ns' \
	"$OUT/a.guard"
iso_events a violation | head -n 2 | sed 's/^/# /'
vm_stop a
iso_detach a
unserve
