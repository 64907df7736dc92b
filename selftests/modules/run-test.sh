#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run-test.sh: is the plan of modules right, and is what guests and guards say
# recorded as it was? TAP lines; needs no VM, stubs stand in for it.

# shellcheck disable=SC2317,SC1010 # stubs, which run.sh calls; words
set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
export OUT=$DIR WAIT=10 GUEST=6.1 VM=stub
# shellcheck source=selftests/tap.sh
. "$HERE/../tap.sh"

# shellcheck source=selftests/modules/plan.sh
. "$HERE/plan.sh"
# shellcheck source=selftests/modules/run.sh
. "$HERE/run.sh"

# ---- the plan -----------------------------------------------------------------

test_plan()
{
	local i

	mkdir "$DIR/root"
	cat >"$DIR/root/modules.dep" <<-'END'
		kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz
		kernel/fs/jbd2/jbd2.ko.xz:
		kernel/lib/crc16.ko.xz:
		kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz:
		kernel/drivers/usb/host/xhci-pci.ko.xz: kernel/fs/jbd2/jbd2.ko.xz
	END
	modules_of "$DIR/root" >"$DIR/all"
	is "what depends on little is first" "$(cut -d' ' -f1 "$DIR/all" | xargs)" "crc16 e1000 jbd2 xhci_pci ext4"
	is "subsystems" "$(subsystem_of <"$DIR/all" | cut -d' ' -f2 | xargs)" "lib drivers/net fs drivers/usb fs"
	printf '# a comment\n\nxhci-pci\tit bites\n' >"$DIR/excluded.tsv"
	MODULES_EXCLUDED=$DIR/excluded.tsv excluded >"$DIR/excluded"
	is "excluded ones" "$(without "$DIR/excluded" <"$DIR/all" | cut -d' ' -f1 | xargs)" "crc16 e1000 jbd2 ext4"
	is "these only, by any spelling" "$(only xhci-pci crc16 <"$DIR/all" | cut -d' ' -f1 | xargs)" "crc16 xhci_pci"
	is "all, if none are named" "$(only <"$DIR/all" | wc -l)" 5
	is "batches" "$(batches 2 1/1 <"$DIR/all" | cut -d' ' -f1,2 | paste -sd,)" \
		"1 crc16,1 e1000,2 jbd2,2 xhci_pci,3 ext4"
	is "each batch is in one shard" \
		"$({ batches 2 1/2 <"$DIR/all"; batches 2 2/2 <"$DIR/all"; } | sort | cut -d' ' -f2 | xargs)" \
		"crc16 e1000 jbd2 xhci_pci ext4"
	is "a shard" "$(batches 2 2/2 <"$DIR/all" | cut -d' ' -f2 | xargs)" "jbd2 xhci_pci"
	for i in {1..40}; do
		printf 'm%d_%d drivers/s%02d/x\n' "$i" 1 "$i" "$i" 2 "$i" "$i" 3 "$i"
	done >"$DIR/many"
	is "the sample" "$(sample <"$DIR/many" | wc -l)" 60
	is "two of each of thirty subsystems" \
		"$(sample <"$DIR/many" | subsystem_of | cut -d' ' -f2 | uniq -c | awk '{ print $1 }' | sort | uniq -c | xargs)" "30 2"
	is "the same ones, whatever the order" "$(tac "$DIR/many" | sample | sort | md5sum)" \
		"$(sample <"$DIR/many" | sort | md5sum)"
	is "each excluded module has a reason, once" "$(awk -F'\t' '!/^(#|$)/ && (NF != 2 || $2 == "" || seen[$1]++)' \
		"$HERE/excluded.tsv")" ""
}

# ---- one module ---------------------------------------------------------------

# A guest: what it says is in $DIR/say.MODULE, with its status in the first line.
# $DIR/began has a line for each that was started, $DIR/did what was asked of it.
vm_alive() { [ -e "$DIR/alive" ]; }
vm_start()
{
	echo plain >>"$DIR/began"
	: >"$DIR/alive"
	: >"$DIR/loaded"
}
vm_wait() { :; }
vm_kill() { rm -f "$DIR/alive"; }
vm_log() { echo "$DIR/console"; }
vm_run()
{
	local name=${4#/c/module } status

	name=${name%% *}
	echo "load $name" >>"$DIR/did"
	if grep -q "^$name$" "$DIR/loaded"; then
		printf 'before\ndone\n'
		return
	fi
	{ read -r status; cat; } <"$DIR/say.$name"
	[ ! -e "$DIR/stays.$name" ] || cat "$DIR/stays.$name" >>"$DIR/loaded"
	[ ! -e "$DIR/guard.$name" ] || cat "$DIR/guard.$name" >>"$DIR/stub.guard"
	[ "$status" != 125 ] || rm "$DIR/alive"
	return "$status"
}

# A guard, whose counters are in $DIR/stats
iso_start()
{
	echo "$VM_POLICY $2 $3" >>"$DIR/began"
	: >"$DIR/alive"
	: >"$DIR/loaded"
	: >"$DIR/stub.guard"
	printf 'stat violations 0\nstat evidence 0\n' >"$DIR/stats"
	mkdir -p /tmp/vm
}
chariot()
{
	echo "$1 $3" >>"$DIR/did"
	[ ! -e "$DIR/no_guard" ] || { echo "VM stub has no guard"; return 1; }
	echo "chariot: the guest has not loaded $3 yet; it will be isolated when it does"
	return 1
}
stat_count() { echo 0; }
stats_came() { cat "$DIR/stats" >>"$DIR/stub.guard"; }
audit() { echo "ok - $1: no mapping that should not be"; }
kill() { :; }
guard_pid() { echo 1; }
wait_until() { "$@"; }

# say MODULE STATUS LINE...
say() { printf '%s\n' "${@:2}" >"$DIR/say.$1"; }

# run CONFIG MODULE...
run()
{
	printf '%s drivers/x 0\n' "${@:2}" >"$DIR/list"
	rm -f "$DIR"/{alive,results,audit}
	: >"$DIR/began"; : >"$DIR/did"; : >"$DIR/console"
	modules_run "$1" "$DIR/list" "$DIR/results"
}

# of MODULE JQ: of its result
of() { jq -r "select(.module == \"$1\") | $2" "$DIR/results"; }

began() { wc -l <"$DIR/began"; }

test_plain()
{
	say good 0 "load 0 12" "unload 0 3" "left 0" done
	say stays 0 "load 0 12" "unload EBUSY 3" "left 1" done
	say refused 0 "load ENODEV 2" "left 0" done
	say dep 0 "dep other ENXIO" "left 0" done
	say warns 0 "load 0 1" "unload 0 1" "left 0" 'log WARNING: a "b" \c' done
	run none good stays refused dep warns
	is "plain: each has a result that can be read" "$(jq -r .module "$DIR/results" | xargs)" "good stays refused dep warns"
	is "plain: in one guest" "$(began)" 1
	is "plain: loaded and unloaded" "$(of good '"\(.outcome) \(.unload) \(.left) \(.host) \(.config) \(.guest) \(.dir)"')" \
		"loaded 0 0 - none 6.1 drivers/x"
	is "plain: nothing of Chariot" "$(of good 'has("isolated")')" false
	is "plain: stays" "$(of stays '"\(.outcome) \(.unload) \(.left)"')" "loaded EBUSY 1"
	is "plain: refused" "$(of refused '"\(.outcome) \(.error)"')" "refused ENODEV"
	is "plain: what it depends on is" "$(of dep '"\(.outcome) \(.error) \(.why)"')" "refused ENXIO dependency other"
	is "plain: the kernel's complaint" "$(of warns .log)" 'WARNING: a "b" \c'
}

test_bad_guests()
{
	say dies 125
	say hangs 124 "load 0 1"
	say oopses 0 "load killed 1" "left 1" "log BUG: kernel NULL pointer dereference" done
	say silent 3 "sh: no such thing"
	run none dies good hangs oopses silent good
	is "it dies" "$(of dies .outcome)" crash
	is "it hangs" "$(of hangs '"\(.outcome) \(.why)"')" "hang in unload"
	is "it oopses" "$(of oopses '"\(.outcome) \(.why)"')" "oops BUG: kernel NULL pointer dereference"
	is "what cannot be judged" "$(of silent '"\(.outcome) \(.why)"')" "unjudged status 3: sh: no such thing"
	is "each time a new guest goes on" "$(began)" 5
	is "with the next" "$(of good .outcome | xargs)" "loaded loaded"
	say first 0 "load 0 1" "unload EBUSY 1" "left 2" done
	echo good >"$DIR/stays.first"
	run none first good
	is "what is there already is loaded in a new guest" "$(of good .outcome) $(began)" "loaded 2"
	echo base >"$DIR/stays.first"
	vm_start() { echo plain >>"$DIR/began"; : >"$DIR/alive"; echo good >"$DIR/loaded"; }
	run none first good
	is "what is there in that, too, is told" "$(of good .outcome) $(began)" "before 2"
	rm "$DIR/stays.first"
	vm_start() { return 1; }
	run none good
	is "no guest" "$(of good .outcome)" unjudged
	vm_start() { echo plain >>"$DIR/began"; : >"$DIR/alive"; : >"$DIR/loaded"; }
}

test_isolated()
{
	export MODULES_HOST=6.12
	printf 'domain-new good: isolated as domain 1\ndomain-gone good: gone\n' >"$DIR/guard.good"
	printf 'domain-new my_mod: isolated as domain 1\nviolation my_mod wrote: x "y"\n' >"$DIR/guard.my-mod"
	say my-mod 0 "load 0 1" "unload 0 1" "left 0" done
	printf 'error plain: is NOT isolated: cannot read the driver\n' >"$DIR/guard.not"
	say not 0 "load 0 1" "unload 0 1" "left 0" done
	printf 'violation dies wrote: x\nviolation dies wrote: y\n' >"$DIR/guard.dies"
	run strict dies good my-mod not
	is "isolated" "$(of good '"\(.outcome) \(.isolated) \(.violations) \(.host) \(.config)"')" "loaded true 0 6.12 strict"
	is "by its other spelling" "$(of my-mod .isolated)" true
	is "the violation is told" "$(of my-mod .why)" 'violation my_mod wrote: x "y"'
	is "not isolated, and why" "$(of not '"\(.isolated) \(.why)"')" \
		"false error plain: is NOT isolated: cannot read the driver"
	is "it dies; its violations are counted" "$(of dies '"\(.outcome) \(.violations)"')" "crash 2"
	is "the guard reports" "$(cut -d' ' -f2- "$DIR/began" | sort -u)" "none_of_them report"
	is "each guest that did not die is audited" "$(wc -l <"$DIR/audit")" 1
	is "each is asked for, loaded, released" "$(tail -n +4 "$DIR/did" | head -n 3 | paste -sd,)" "isolate good,load good,release good"
	: >"$DIR/no_guard"
	run strict good
	rm "$DIR/no_guard"
	is "no guard" "$(of good '"\(.outcome) \(.why)"')" "unjudged no guard: VM stub has no guard"
	is "then nothing is loaded" "$(grep -c load "$DIR/did")" 0
}

test_counters()
{
	local so_far=0

	stats_came()
	{
		so_far=$((so_far + 3))
		printf 'stat violations %d\nstat evidence %d\n' "$so_far" $((so_far * 2)) >>"$DIR/stub.guard"
	}
	run strict good my-mod
	is "counters are of this module" "$(jq -r '"\(.violations) \(.evidence)"' "$DIR/results" | paste -sd,)" "3 6,3 6"
	is "in one guest" "$(began)" 1
	stats_came() { echo 'stat violations 1001' >>"$DIR/stub.guard"; }
	run strict good my-mod
	is "after a flood a new guest goes on" "$(began)" 2
	stats_came() { echo 'stat violations 0' >>"$DIR/stub.guard"; }
	run strict good
	is "a counter that is not there is 0" "$(of good '"\(.outcome) \(.evidence)"')" "loaded 0"
	printf '%s drivers/x 0\n' good my-mod stays refused >"$DIR/list"
	run strict good my-mod stays refused not
	is "again, what was not all right" "$(modules_again "$DIR/list" "$DIR/results" | cut -d' ' -f1 | xargs)" \
		"stays refused not"
	sed -i 's/^stays .*/stays drivers\/x EBUSY/' "$DIR/list"
	printf 'domain-new stays: isolated as domain 1\n' >"$DIR/guard.stays"
	run strict stays
	echo "stays drivers/x EBUSY" >"$DIR/list"
	is "not what stays without Chariot, too" "$(modules_again "$DIR/list" "$DIR/results")" ""
}

# The whole of it, which ends before any machine starts
told()
{
	local got

	got=$(env "${@:3}" RESULTS="$DIR/none.json" bash "$HERE/../drivers-all.sh" 2>&1 | tail -n 1)
	is "$1" "$got" "drivers-all: error: $2"
	[ ! -e "$DIR/none.json" ] || is "$1: no results" yes no
}

test_usage()
{
	told "a bad SHARD" "SHARD: '1/0' is not I/N" SHARD=1/0
	told "a bad BATCH" "BATCH: 'x' is no number of modules" BATCH=x
	told "bad JOBS" "JOBS: '0' is no number of machines" JOBS=0
	told "bad CONFIGS" "CONFIGS: 'slow' is neither strict nor fast" CONFIGS="strict slow"
	told "a kernel that is not there" "GUEST: no kernel 5.0 here: run selftests/env/kernels.sh 5.0" GUEST=5.0
}

test_plan
test_plain
test_bad_guests
test_isolated
test_counters
test_usage
exit $failed
