#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tutorial-l1.sh: what Documentation/tutorial.rst does, in L1, and pictures of it:
# recordings for picture.py in $OUT. tutorial.sh runs it.

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=selftests/iso.sh
. selftests/iso.sh

export PATH=$PWD/.build/tools:$PATH CHARIOT_STATE=/run/state
POLICY=/run/e1000.policy
HERE=$PWD/selftests
unset -f chariot

# rec NAME LINES SECONDS COMMAND...: a picture of them
rec() { /usr/bin/python3 "$HERE/record.py" "$OUT/$1.rec" "100x$2" "$3" "${@:4}"; }

die() { echo "tutorial: error: $*" >&2; exit 1; }

domains() { chariot -n domain list web | sed 1d | grep -c .; }
isolated() { [ "$(domains)" = 1 ]; }
gone() { [ "$(domains)" = 0 ]; }

# The driver goes, and comes anew
reload()
{
	vm_run web 'ip link set eth0 down 2>/dev/null; rmmod e1000 2>/dev/null; :' >/dev/null
	net_up web >/dev/null && wait_until isolated
}

fault()
{
	chariot inject web e1000 --function e1000_intr \
		--wild-store init_uts_ns.name.nodename --width 4 --value 0x41414141
}

traffic()
{
	while vm_alive web; do
		fetch web >/dev/null || sleep 1
	done
}

# Somebody has it open beside the guard and who asks
watched() { [ "$(chariot -j vm show web | jq .handles)" -ge 2 ]; }

# The command waits for some seconds, a slow machine's guard may take more.
detach()
{
	chariot detach web >/dev/null 2>&1
	wait_until gone && wait_until detached
}
detached() { [ ! -e "/run/chariot/$(vm_pid web)" ]; }

insmod "$MODULE" || die "no module"
serve 400000
# shellcheck disable=SC2086 # a list
vm_start web $NET && vm_wait web || die "no VM"

# A plain VM, and its driver isolated
rec attach 12 300 'chariot vm list' 'chariot attach web e1000'
reload || die "e1000 is not isolated"
rec isolated 18 300 'chariot vm list' 'chariot domain list' \
	'chariot stats show web e1000 | head -n 8'
traffic &
sleep 3
rec top 24 60 'chariot top --delay 2'

# On probation: a violation is reported, and happens
(wait_until watched; fault) >/dev/null 2>&1 &
rec violation 10 600 'chariot event watch web --type violation --count 1'
rec held 16 300 'chariot driver list e1000'
echo "tutorial: the guest's name: $(vm_run web 'uname -n')"
rec topviolation 24 60 'chariot top --delay 2'
detach || die "cannot detach"

# A policy
printf '# The stacks are open to it: half the exits.\nmode fast\n' >$POLICY
printf '# A false alarm, from: chariot driver list e1000\n' >>$POLICY
chariot -n driver list e1000 | sed -n 's/^  //p' | head -n 1 >>$POLICY
(cd "${POLICY%/*}" && rec policy 16 300 'cat e1000.policy' 'chariot policy check e1000.policy')
chariot attach web e1000 --policy $POLICY --verdict skip || die "no guard with a policy"
reload || die "e1000 is not isolated by a policy"
rec fast 8 300 'chariot domain list'
detach || die "cannot detach"

# Recovery
chariot attach web e1000 --verdict recover || die "cannot attach"
reload || die "e1000 is not isolated to be recovered"
vm_run web 'hostname guest'
(wait_until watched; fault) >/dev/null 2>&1 &
rec recovery 14 600 \
	'chariot event watch web --type violation,fault,recovered --count 3'
is "tutorial: the guest's name is as it was" "$(vm_run web 'uname -n')" guest
rec after 14 300 "chariot -j stats show web e1000 | jq -c '.counters | {violations, faults, recoveries, down_ms}'" \
	'chariot stats --prometheus | grep -E "^chariot_domain_(violations|recoveries|down_seconds)_total"'
is "tutorial: receive, after the recovery" "$(fetch web)" "$SUM"
detach
vm_kill web
