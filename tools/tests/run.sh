#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of the command that need no VM: grammar, exit status, JSON; files where
# they are there; and all objects over a made-up VM (tests/mock.c).

OUT=${CHARIOT_OUT:?} TOP=${CHARIOT_TOP:?} SRC=${CHARIOT_SRC:?}
REAL=$OUT/chariot MOCK=$OUT/chariot-mock
KERNELS=${CHARIOT_KERNELS:-$TOP/.cache/kernels}
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT
CMD=$REAL
N=0 FAILED=0

ok()
{
	N=$((N + 1))
	if [ "$1" = 0 ]; then
		echo "ok $N - $2"
		return
	fi
	echo "not ok $N - $2"
	sed 's/^/#   /' "$DIR/out" "$DIR/err"
	FAILED=$((FAILED + 1))
}

skip() { N=$((N + 1)); echo "ok $N - $1 # SKIP $2"; }

run() { "$CMD" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null; }

# t STATUS REGEX ARG...: it ends so and prints that, on either stream
t()
{
	local want=$1 re=$2 got

	shift 2
	run "$@"
	got=$?
	cat "$DIR/out" "$DIR/err" | grep -Eq -- "$re" && [ $got = "$want" ]
	ok $? "$got: chariot $*"
}

# The counters are those of the uapi header, and so are the rows that the man page shows.
counters()
{
	local names key text n=0 bad=0

	names=$(sed -n 's/^\tX(\([a-z_]*\), [01], ".*/\1/p' \
		"$TOP/kmod/include/uapi/linux/chariot.h" | tr '\n' ' ')
	j 0 "sorted(o['counters']) == sorted('$names'.split()) and len(o['counters']) > 20" \
		-j stats show mock demo
	run stats show mock demo
	while read -r key text; do
		n=$((n + 1))
		grep -q "^$key .*  $text\$" "$DIR/out" && continue
		echo "chariot-stats(8): $key: $text" >>"$DIR/err"
		bad=1
	done < <(sed -n 's/\\(aq/'\''/g; s/\\-/-/g
		s/^\([a-z_]*\)  *[0-9]*  *[0-9.-]*  \([a-z].*\)/\1 \2/p' \
		"$SRC/man/chariot-stats.8")
	[ $bad = 0 ] && [ $n -gt 5 ]
	ok $? "$n rows of chariot-stats(8) are as printed"
}

is_json_lines() { python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]'; }

# j STATUS CHECK PYTHON ARG...: standard output is JSON, and PYTHON of o is true
j()
{
	local want=$1 expr=$2 got

	shift 2
	run "$@"
	got=$?
	python3 -c "import json, sys; o = json.load(sys.stdin); sys.exit(not ($expr))" \
		<"$DIR/out" 2>>"$DIR/err" && [ $got = "$want" ] && [ ! -s "$DIR/err" ]
	ok $? "$got: chariot $*: $expr"
}

OBJECTS="vm domain isolate release attach detach guard act top event stats verdict guest driver
	profile policy inject"

test_grammar()
{
	t 2 'no object given'
	t 0 '^Usage: chariot' help
	t 0 '^Usage: chariot' -h
	t 0 '^chariot [0-9]+\.' version
	t 0 '^chariot [0-9]+\.' -V
	t 0 '^chariot [0-9]+\.' --version
	j 0 'o["api_version"] == 3' -j version
	t 2 'no object "bogus"' bogus
	t 2 'no option --bogus' --bogus
	for o in $OBJECTS; do
		t 0 "^Usage: chariot $o" "$o" help
		t 0 "^Usage: chariot $o" "$o" --help
	done
	for o in $OBJECTS; do
		case $o in
		vm | domain | event | isolate | release | attach | detach | \
		guard | inject | policy | top) ;;
		*) t 2 'no command "bogus"' "$o" bogus
		   t 2 'too few' "$o" ;;
		esac
	done
	for o in isolate release attach detach guard inject; do
		t 2 'too few' "$o"
	done
	t 2 'no object "v"' v list
	t 0 '^Usage: chariot verdict' ver help
	j 2 '"bogus" in o["error"]' -j bogus
	j 2 '"bogus" in o["error"]' vm bogus -j
	j 2 'o["error"]' -p stats show
	t 2 'one argument too many: "b"' vm show a b
	t 2 'too few' vm audit
	t 2 'no option --bogus here' vm list --bogus
	t 2 'no option -x here' vm list -x
	t 2 'needs a value' event watch --count
	t 2 'bad value "many"' event watch --count many
	t 2 'bad value "-1"' event watch --timeout=-1
	t 2 'takes no value' act show a b --raw=1
	t 2 'is none of' act show a b --source bogus
	t 2 'no type of event' event watch --type violation,bogus
	t 2 'goes with --watch' stats show a --count 3
	t 2 'no terminal' top
	t 2 'less than' top -b --delay 0
	t 1 'no (KVM )?VM' top -b no-such-vm
	t 2 'for all VMs' stats show a --prometheus
	t 2 'too few' stats --watch 1
	j 2 '"no JSON" in o["error"]' -j stats --prometheus
	t 0 '^chariot_module_loaded [01]$' stats --prometheus
	t 2 'is none of' verdict set a b bogus
	t 2 'no name of a driver' isolate a ../b
	t 2 'no name of a driver' isolate a "$(printf 'x%.0s' {1..60})"
	t 2 'is none of' guard a b --verdict bogus
	t 2 'is none of' verdict set a b auto
	t 2 'is needed' driver trust
	t 2 'exclude' driver trust --from x --probation
	t 1 'x: ' driver trust --from "$DIR/x"
	t 2 'no number' vm continue a b
	t 2 'no DRIVER' inject a --list
	t 2 'are needed' inject a b
	t 2 'are needed' inject a b --function f
	t 2 'exclude' inject a b --list --wild-store x
	t 2 'width is' inject a b --list --width 3
	t 2 'undo goes' inject a --undo x --list
	t 2 'no type of fault' inject a b --type bogus --seed 1
	t 2 'needs --seed' inject a b --type nop
	t 2 'neither N nor N-M' inject a b --type nop --seed 18446744073709551616
	t 2 'neither N nor N-M' inject a b --type nop --seed 000000000000000000000000000000000000001
	t 2 'neither N nor N-M' inject a b --type nop --seed -1
	t 2 'go with --type' inject a b --seed 1 --list
	t 2 'neither N nor N-M' inject a b --type nop --seed 5-2 --dry-run
	t 2 'neither N nor N-M' inject a b --type nop --seed 5- --dry-run
	t 2 'goes with --dry-run' inject a b --type nop --seed 1-2
	t 2 'neither N nor N-M' inject a b --type nop --seed 1-2-3 --dry-run
	t 2 'goes with' inject a b --type nop --seed 1 --nth 2
	t 2 'without VM' inject a b --type nop --seed 1 --file x
	t 2 'no DRIVER' inject a --type nop --seed 1
	t 1 'none: ' inject --file "$DIR/none" --type nop --seed 1
	t 1 'no (KVM )?VM' vm show no-such-vm
	j 1 'o["error"]' -j vm show no-such-vm
	t 1 'is no record' inject a --undo /dev/null
	if [ -e /dev/chariot ]; then
		t 0 'PID' vm list
		j 0 'isinstance(o, list)' -j vm list
		j 0 'isinstance(o, list)' -p vm
	else
		t 1 '^chariot: /dev/chariot: No such file.*(no KVM: modprobe|no module kvm_chariot for|modprobe kvm_chariot)' vm list
		j 1 '"/dev/chariot" in o["error"]' -j vm list
	fi
	t 0 '^Usage: chariot vm list' help vm
	t 0 '^Usage: chariot event watch' help ev
	t 2 'no object "bogus"' help bogus
	"$CMD" version >/dev/full 2>/dev/null
	[ $? = 1 ]
	ok $? "a full disk is an error"
}

test_files()
{
	local k=$KERNELS/$1 ko

	if [ ! -e "$k/vmlinuz" ]; then
		skip "files of $1" "no $k"
		return
	fi
	ko=$(ls "$k"/modules/kernel/drivers/net/ethernet/intel/e1000/e1000.ko*)
	t 0 '^Driver: +e1000' driver show "$ko"
	t 0 '^Build-id: +[0-9a-f]{40}$' driver show "$ko"
	t 0 '^calls +kfree +revoke arg0' policy check --kernel "$k/vmlinuz" \
		--driver "$ko"
	j 0 'any(r["function"] == "e1000_xmit_frame" for r in o)' -j policy \
		check --kernel "$k/vmlinuz" --driver "$ko"
	j 0 'o["name"] == "e1000" and o["init"] == "e1000_init_module"' \
		-j driver show "$ko"
	j 0 '"e1000_xmit_frame" in o["functions"] and "__kmalloc" in " ".join(o["calls"])' \
		-j driver show "$ko"
	t 0 '^Checked: +[0-9]{3}' driver inline "$ko"
	j 0 'o["functions"] > 100 and o["refused"] == 0 and o["checks"] > 1000' -j driver inline "$ko"
	j 0 'sum(f["checks"] for f in o["list"]) == o["checks"] and o["growth"] > "x1."' \
		-j driver inline "$ko"
	j 0 'o["type"] == "branch" and o["seed"] == 900001 and len(o["build_id"]) == 40 and len(o["old"]) == len(o["new"])' \
		-j inject --file "$ko" --type branch --seed 900001
	j 0 'o["function"] == "e1000_probe" and o["before"].startswith("call ")' \
		-j inject --file "$ko" --type alloc --seed 4 \
		--function e1000_probe
	t 0 '^New code: ' inject --file "$ko" --type random --seed 1
	t 1 'no instruction in e1000 fits type irq' inject --file "$ko" \
		--type irq --seed 1
	t 1 'no instruction in e1000: e1000_intr fits type free' inject \
		--file "$ko" --type free --seed 1 --function e1000_intr
	t 1 'no function bogus' inject --file "$ko" --type nop --seed 1 \
		--function bogus
	t 0 "^Release: +$1" profile show "$k/vmlinuz"
	j 0 'o["symbols"] > 50000 and len(o["build_id"]) == 40' \
		-j profile show "$k/vmlinuz"
}

# record STATE BY ENTRIES [REASON]: a file of what is known of a build of e1000
record()
{
	cat <<-END
		{ "format": 1, "driver": "e1000",
		  "module": "7d9962e57a79949f3cee8427d90dd6629b35edd5",
		  "kernel": "eb4fbcd037e7253717950bf2b93bd5566f47c56f",
		  "release": "6.1.0-56-amd64", "chariot": "1.0.0",
		  "state": "$1", "by": "$2", "entries": $3, "seconds": 7,
		  "reason": "${4:-}", "rules": [${4:+\"rule jiffies 8\"}] }
	END
}

# What the operator sees and says of builds.
test_trust()
{
	local s=$DIR/state name=e1000.7d9962e57a79949f3cee8427.eb4fbcd037e7253717950bf2.1.0.0.json

	CMD=$REAL
	export CHARIOT_STATE=$s CHARIOT_PROVED=$DIR/proved
	t 0 '^DRIVER +BUILD' driver list
	j 0 'o == []' -j driver list
	t 1 "no build \"e1000\" in $s" driver trust e1000
	mkdir "$s" "$DIR/proved"
	record held probation 5 'e1000: wrote' >"$s/$name"
	t 0 'e1000 +7d9962e57a79 +6.1.0-56-amd64 +1.0.0 +held +probation +5 +7' driver list
	t 0 '^e1000 7d9962e57a79 is held: e1000: wrote' driver list e1000
	t 0 '^  rule jiffies 8' driver list e1000
	j 0 'o == []' -j driver list nvme
	j 0 'len(o) == 1 and o[0]["reason"] == "e1000: wrote" and o[0]["rules"] == ["rule jiffies 8"] and o[0]["file"].endswith(".json")' \
		-j driver list
	t 1 'was reported: e1000: wrote' driver trust --from "$s/$name"
	t 1 'no build "bogus"' driver trust e1000 bogus
	j 0 'o[0]["state"] == "held"' -j driver list
	t 1 'no build "7d9962e"' driver trust 7d9962e
	j 0 'o[0]["state"] == "proved" and o[0]["by"] == "operator" and not o[0]["reason"]' \
		-j driver trust 7d9962e5
	j 0 'o[0]["state"] == "proved" and o[0]["entries"] == 5' -j driver list
	t 0 'e1000 .*probation +operator +0 +0' driver trust e1000 --probation
	j 0 'o[0]["state"] == "probation" and o[0]["entries"] == 0' -j driver list
	t 1 'was never called' driver trust --from "$s/$name"
	record probation probation 9 >"$DIR/one.json"
	t 0 'e1000 .*proved +measured +9 +7' driver trust --from "$DIR/one.json" --state "$DIR/proved"
	j 0 'len(o) == 2 and o[1]["by"] == "measured"' -j driver list
	[ -e "$DIR/proved/$name" ]
	ok $? "a file for a package: $name"
	rm "$s/$name"
	t 0 'e1000 .*probation +operator' driver trust e1000 --probation
	[ -e "$s/$name" ]
	ok $? "what is shipped can be taken back"
	printf '{ "format": 1,\n"driver" }' >"$s/bad.json"
	t 1 'bad.json:2: byte ' driver list
	t 0 'e1000 .*proved +operator' driver trust e1000
	rm "$s/bad.json"
	touch "$DIR/file"
	t 1 'file: Not a directory' driver trust --from "$DIR/one.json" --state "$DIR/file"
	unset CHARIOT_STATE CHARIOT_PROVED
}

test_bad_files()
{
	t 1 'chariot: ' driver show "$DIR/none"
	t 1 'chariot: ' driver show /bin/true
	t 1 'chariot: ' driver inline "$DIR/none"
	t 1 'chariot: ' driver inline /bin/true
	t 2 'too few' driver inline
	t 1 'chariot: ' profile show /bin/true
	j 1 '"/dev/null" in o["error"]' -j driver show /dev/null
	t 2 'too few' policy learn
	t 0 ': ok$' policy check "$TOP/libchariot/policy/core.policy"
	printf 'gate a_function {\n\tbogus 1\n}\n' >"$DIR/bad.policy"
	t 1 'bad.policy:2: ' policy check "$DIR/bad.policy"
	t 1 'none: ' policy check "$DIR/none"
	j 1 'o[0]["ok"] and not o[1]["ok"] and ":2:" in o[1]["error"]' -j policy \
		check "$TOP/libchariot/policy/core.policy" "$DIR/bad.policy"
	t 2 'go together' policy check --kernel x
	t 2 'no policy file' policy check
	t 1 'none: ' policy check --kernel "$DIR/none" --driver "$DIR/none"
}

# A VM can have any name: what completion makes of it is a word, and no command.
test_completion()
{
	local got

	got=$(
		# shellcheck source=tools/chariot.bash-completion
		. "$TOP/tools/chariot.bash-completion"
		# shellcheck disable=SC2317 # called by it
		chariot() { echo "[{\"name\":\"\$(touch\${IFS}$DIR/owned)\"},{\"name\":\"web\"}]"; }
		COMP_WORDS=(chariot vm show "$1") COMP_CWORD=3
		_chariot
		echo "${COMPREPLY[@]}"
	)
	[ ! -e "$DIR/owned" ]
	ok $? "completion runs nothing that is in a name"
	eval "set -- $got"
	[ "$#-$2" = 2-web ] && [ ! -e "$DIR/owned" ]
	ok $? "completion: a name is one word for the shell: $got"
}

test_mock()
{
	CMD=$MOCK
	t 0 '4711 +mock' vm list
	t 0 'not be looked into' vm list
	j 0 'o[1]["name"] == "other,one" and "vcpus" not in o[1]' -j vm list
	t 0 '^State: +isolating' vm show mock
	j 0 'o["pid"] == 4711 and o["domains"] == ["demo"]' -j vm show 4711
	t 1 'not permitted' vm show 4712
	t 1 'are you root' vm show bogus
	t 0 'mock +1 +demo +strict +skip' domain list
	j 0 'len(o) == 1 and o[0]["driver"] == "demo"' -j domain list mock
	t 0 '^Violations: +2' domain show mock demo
	j 0 'sum(a["bytes"] for a in o["act"]) == 5184' -j domain show mock demo
	t 1 'not isolated' domain show mock bogus
	t 0 'at demo_open\+0x5' act show mock demo
	j 0 'o["totals"][-1]["bytes"] == 5184' -j act show mock demo
	j 0 'len(o["objects"]) == 1 and "what" not in o["objects"][0]' \
		-j act show mock demo --raw --source section
	t 0 'emulated_writes +30' stats show mock demo
	counters
	j 0 'sum(o["exits_by_cause"].values()) == o["counters"]["exits"]' \
		-j stats show mock
	j 0 'o["rates"]["entries"] == 100' -j stats show mock --watch 0.1 --count 1
	t 0 '^mock +demo +skip +2 +0\.0 +[1-9]' top -b --count 1 --delay 0.1
	t 0 '^2 VMs, 1 driver, 2 violations' top --batch --count 2 --delay 0.1
	t 0 '^[0-9:]{8} mock demo: event 6' top -b --count 1 --delay 0.1 mock
	j 0 'len(o) == 1 and o[0]["rates"]["exits"] == o[0]["exit_rate"] > 0 and o[0]["counters"]["violations"] == 2' \
		-j top mock --count 1 --delay 0.1
	t 0 'demo +1 +oops' verdict set mock demo oops
	j 0 'o[0]["verdict"] == "skip"' -j verdict show mock demo
	t 1 'no verdict recover' verdict set mock demo recover
	t 0 'isolated already' isolate mock demo
	t 0 'when the guest loads it' isolate mock e1000
	t 1 'not loaded e1000 yet' isolate mock e1000 --wait 0.2
	t 0 'without isolation' release mock demo
	j 0 'o["state"] == "released"' -j release mock demo
	MOCK_PLAIN=1 t 1 'has no guard' isolate mock e1000
	t 1 'no vCPU|ioctl' vm continue mock 3
}

test_events()
{
	CMD=$MOCK
	t 0 'violation .*waits: event 2' event watch mock --count 3
	if [ -e /dev/chariot ]; then
		t 0 'violation' event watch --count 2 --type violation
	else
		CMD=$REAL
		t 1 '/dev/chariot: No such file.*(modprobe|make install)' event watch
		CMD=$MOCK
	fi
	t 0 'violation' event watch mock --count 2 --type violation
	t 1 '3 of 9' event watch mock --count 9 --timeout 5
	t 0 . event watch mock --timeout 5
	run -j event watch mock --count 3
	is_json_lines <"$DIR/out" >>"$DIR/err" 2>&1 &&
		[ "$(wc -l <"$DIR/out")" = 3 ]
	ok $? "three JSON objects, one a line"
	! grep -q $'\x1b' "$DIR/out"
	ok $? "what a guest says is made printable"
	# The lines of the one before are no sign that this one runs.
	: >"$DIR/out"
	"$CMD" event watch mock >"$DIR/out" 2>"$DIR/err" &
	until [ "$(wc -l <"$DIR/out")" -ge 3 ] || ! kill -0 $!; do sleep 0.05; done
	kill -INT $!
	wait $!
	ok $? "SIGINT ends it, without an error"
}

# With a socket of our own in place of the journal's, in a mount namespace.
test_journal()
{
	cat >"$DIR/journal.sh" <<-'END'
		mkdir -p /run/systemd/journal && mount -t tmpfs none /run/systemd/journal || exit 77
		"$MOCK" event watch mock --count 1 --journal >"$DIR/out" 2>"$DIR/err" && exit 1
		grep -q 'there is no journal' "$DIR/err" || exit 1
		python3 - "$MOCK" >"$DIR/out" 2>"$DIR/err" <<-'PYTHON'
			import os, socket, subprocess, sys
			s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
			s.bind("/run/systemd/journal/socket")
			def watch(out, **env):
			    subprocess.run([sys.argv[1], "event", "watch", "mock", "--count", "3"] +
			                   ([] if env else ["--journal"]), check=True, stdout=out,
			                   env=dict(os.environ, **env))
			    return [dict(l.split("=", 1) for l in s.recv(65536).decode().splitlines())
			            for i in range(3)]
			new, violation, _ = watch(subprocess.PIPE)
			assert new["CHARIOT_EVENT"] == "domain-new" and new["PRIORITY"] == "5"
			v = violation
			assert v["CHARIOT_VM"] == "mock" and v["CHARIOT_VM_PID"] == "4711"
			assert v["CHARIOT_DRIVER"] == "demo" and v["CHARIOT_VERDICT"] == "skip"
			assert v["CHARIOT_WHY"] == "write" and v["CHARIOT_RIP_SYMBOL"] == "demo_open+0x17"
			assert v["MESSAGE"].startswith("mock: demo: ") and v["PRIORITY"] == "4"
			assert len(v["MESSAGE_ID"]) == 32 and v["MESSAGE_ID"].endswith("06")
			assert v["MESSAGE_ID"][:30] == new["MESSAGE_ID"][:30]
			assert "CHARIOT_BELOW" not in v and "CHARIOT_TEXT" not in v
			# A service: its output is the journal's.
			with open(os.environ["DIR"] + "/stream", "w+") as f:
			    st = os.fstat(f.fileno())
			    watch(f, JOURNAL_STREAM="%d:%d" % (st.st_dev, st.st_ino))
			    assert f.seek(0, 2) == 0
		PYTHON
	END
	DIR=$DIR MOCK=$MOCK unshare -m bash "$DIR/journal.sh" 2>"$DIR/err"
	case $? in
	0) ok 0 "events in the journal, with fields" ;;
	77) skip "events in the journal" "no mount namespace: $(cat "$DIR/err")" ;;
	*) ok 1 "events in the journal, with fields" ;;
	esac
}

test_guest()
{
	CMD=$MOCK
	t 1 'no 64-bit Linux kernel' guest modules mock
	local kernel

	kernel=$(ls "$KERNELS"/*/vmlinuz 2>/dev/null | sort -V | head -n 1)
	if [ -z "$kernel" ]; then
		skip "a guest's kernel" "no kernel in $KERNELS"
		return
	fi
	export MOCK_KERNEL=$kernel MOCK_TEXT=$DIR/text
	t 0 '^demo .*live +0 +yes' guest modules mock
	j 0 'o[0]["name"] == "demo"' -j guest modules mock
	t 0 '0xffffffff8[0-9a-f]+ +init_uts_ns' guest symbols mock init_uts_ns
	t 0 'demo_open\+0x3' guest symbols mock ffffffffc0400003
	t 1 'no symbol for bogus' guest symbols mock bogus
	test_inject
}

same_text() { cmp -s "$DIR/text" "$DIR/text.0"; }

test_inject()
{
	local nodename=init_uts_ns.name.nodename

	j 0 'len(o) == 4 and o[0]["width"] == 4' -j inject mock demo --list
	j 0 'len(o) == 3' -j inject mock demo --list --function demo_open
	cp "$DIR/text" "$DIR/text.0"
	t 0 'dry run' inject mock demo --function demo_open \
		--wild-store $nodename --dry-run
	t 1 'no function bogus' inject mock demo --function bogus --wild-store $nodename
	t 1 'no store' inject mock demo --function demo_short --wild-store $nodename
	t 1 'has 3 stores' inject mock demo --function demo_open --nth 4 \
		--wild-store $nodename
	t 1 'no room' inject mock demo --function demo_open --nth 2 --width 4 \
		--wild-store $nodename
	t 1 'within reach' inject mock demo --function demo_open \
		--wild-store 0xffff888003fe0000
	t 1 'no address of the kernel' inject mock demo --function demo_open \
		--wild-store 0x1000
	t 1 'has no bogus' inject mock demo --function demo_open --wild-store bogus
	t 1 'has not loaded' inject mock bogus --list
	same_text
	ok $? "nothing was written by any of these"

	j 0 'o["state"] == "planted" and o["new"].startswith("c7 04 25") and o["target_symbol"] == "init_uts_ns+0x41"' \
		-j inject mock demo --function demo_open --nth 3 \
		--wild-store $nodename --value 0x44434241
	cp "$DIR/out" "$DIR/record"
	[ "$(cmp -l "$DIR/text" "$DIR/text.0" | awk '$1 < 42 || $1 > 52' | wc -l)" = 0 ] &&
		! same_text
	ok $? "only that instruction has changed"
	t 0 'undone' inject mock --undo "$DIR/record"
	same_text
	ok $? "as it was before"
	t 1 'there already' inject mock --undo "$DIR/record"
	printf '\x90' | dd of="$DIR/text" bs=1 seek=43 conv=notrunc status=none
	t 1 'other bytes' inject mock demo --undo "$DIR/record"
	"$CMD" inject mock demo --undo - <"$DIR/record" >"$DIR/out" 2>"$DIR/err"
	[ $? = 1 ]
	ok $? "a record from standard input"
	sed 's/0x29/0x10000/' "$DIR/record" >"$DIR/record.bad"
	t 1 'does not fit' inject mock demo --undo "$DIR/record.bad"
	test_faults
}

# Changed bytes of the text, as offsets from 1.
changed() { cmp -l "$DIR/text" "$DIR/text.0" | awk '{ print $1 }'; }

test_faults()
{
	local fault seed type

	rm -f "$DIR/text"
	run inject mock demo --list
	cp "$DIR/text" "$DIR/text.0"
	t 1 'no instruction in demo fits type irq' inject mock demo --type irq \
		--seed 1
	t 1 'no function bogus' inject mock demo --type nop --seed 1 \
		--function bogus
	t 0 'dry run' inject mock demo --type nop --seed 1 --dry-run
	same_text
	ok $? "nothing was written by any of these"
	for type in source destination pointer interface text nop init random; do
		for seed in 1 2 3; do
			fault="--type $type --seed $seed"
			j 0 'o["state"] == "planted" and o["before"] != o["after"] and "old" in o and o["address"]' \
				-j inject mock demo $fault
			cp "$DIR/out" "$DIR/record"
			[ -n "$(changed)" ] && [ "$(changed | sort -n | tail -1)" -le 64 ]
			ok $? "$fault: only the text has changed"
			t 0 'undone' inject mock --undo "$DIR/record"
			same_text
			ok $? "$fault: as it was before"
		done
	done
	j 0 'o["function"] == "demo_xmit.isra.0"' -j inject mock demo \
		--type nop --seed 9 --function demo_xmit --dry-run
	j 0 '[f["seed"] for f in o] == list(range(900001, 900004))' -j inject mock demo \
		--type nop --seed 900001-900003 --dry-run
	j 0 '[f["seed"] for f in o] == [2**64 - 2, 2**64 - 1]' -j inject mock demo \
		--type nop --seed 18446744073709551614-0xffffffffffffffff --dry-run
}

# What the hook says and runs; libvirt's XML is $1, the rest its arguments.
hook()
{
	local xml=$1

	shift
	rm -f "$DIR/args"
	printf '%s' "$xml" | CHARIOT_COMMAND=$DIR/cmd CHARIOT_ARGS=$DIR/args \
		"$OUT/chariot-libvirt-hook" "$@" >"$DIR/out" 2>"$DIR/err"
}

# xml ATTRIBUTES CONTENT: a domain whose <chariot:isolation> has these
xml()
{
	printf '<domain><name>x</name><metadata><o:o xmlns:o="urn:o"/><chariot:isolation xmlns:chariot="urn:chariot:isolation:1" %s>%s</chariot:isolation>%s</metadata></domain>' \
		"$1" "$2" "${3:-}"
}

# hook_bad REGEX ATTRIBUTES CONTENT [MORE]: it refuses, says that, and runs nothing
hook_bad()
{
	hook "$(xml "$2" "$3" "${4:-}")" vm started begin -
	[ $? = 1 ] && grep -Eq -- "^chariot: domain vm: .*$1" "$DIR/err" &&
		[ "$(wc -l <"$DIR/err")" = 1 ] && [ ! -e "$DIR/args" ]
	ok $? "hook: $1"
}

test_hook()
{
	local d='<chariot:driver name="e1000"/>' name

	CMD=$REAL

	printf '#!/bin/sh\nprintf "%%s\\n" "$@" >"$CHARIOT_ARGS"\n' >"$DIR/cmd"
	chmod +x "$DIR/cmd"
	for name in vm help --version -h; do
		hook "$(xml 'verdict="skip"' " $d<!-- and --><chariot:driver name='snd-dummy'/> ")" \
			"$name" started begin -
		[ $? = 0 ] && [ "$(paste -sd' ' "$DIR/args")" = "attach --verdict skip -- $name e1000,snd-dummy" ]
		ok $? "hook: domain $name"
		# The command takes it as the name of a VM, which is not there.
		t 1 "no (KVM )?VM \"?$name" attach --verdict skip -- "$name" e1000
	done
	hook "$(xml "" "$d<chariot:policy file='/a b'/>")" vm started begin -
	[ $? = 0 ] && [ "$(paste -sd' ' "$DIR/args")" = "attach --verdict auto --policy /a b -- vm e1000" ]
	ok $? "hook: a policy"
	mkdir "$DIR/bin"
	cp "$DIR/cmd" "$DIR/bin/chariot"
	cp "$DIR/cmd" "$DIR/bin/modprobe"
	if [ -x /usr/local/sbin/chariot ]; then
		skip "hook: the command is looked for in PATH" "one is installed"
	else
		xml "" "$d" | PATH=$DIR/bin:$PATH CHARIOT_ARGS=$DIR/args \
			"$OUT/chariot-libvirt-hook" vm started begin - >"$DIR/out" 2>"$DIR/err"
		[ $? = 0 ] && [ "$(paste -sd' ' "$DIR/args")" = "attach --verdict auto -- vm e1000" ]
		ok $? "hook: the command is looked for in PATH"
	fi
	if [ -e /dev/chariot ]; then
		skip "hook: the module is loaded" "it is"
	else
		PATH=$DIR/bin:$PATH hook "$(xml "" "$d")" vm prepare begin -
		[ $? = 1 ] && [ "$(paste -sd' ' "$DIR/args")" = "-q kvm_chariot" ] &&
			grep -Eq '^chariot: domain vm: /dev/chariot: No such file.*(modprobe|make install)' "$DIR/err"
		ok $? "hook: the module is loaded, and if it cannot be, it says why"
	fi
	hook '<domain><metadata><o:o xmlns:o="urn:o"/></metadata></domain>' vm started begin -
	[ $? = 0 ] && [ ! -e "$DIR/args" ] && [ ! -s "$DIR/err" ]
	ok $? "hook: a domain without"
	for name in --help -x 'a,b' 'a b' ../a "$(printf 'x%.0s' {1..60})"; do
		hook_bad 'is no name of a driver' "" "<chariot:driver name='$name'/>"
	done
	hook_bad '<chariot:isolation> has no attribute "chariot:verdict": attributes are without prefix' \
		'chariot:verdict="skip"' "$d"
	hook_bad '<chariot:isolation> has no attribute "chariot:verdict"' \
		'verdict="skip" chariot:verdict="skip"' "$d"
	hook_bad '<chariot:isolation> has no attribute "bogus"$' 'bogus="1"' "$d"
	hook_bad 'verdict="bogus" is none of' 'verdict="bogus"' "$d"
	hook_bad 'verdict="" is none of' 'verdict=""' "$d"
	hook_bad 'on-restore="" is neither' 'on-restore=""' "$d"
	hook_bad '<chariot:driver> has no attribute "chariot:name"' "" \
		'<chariot:driver chariot:name="e1000"/>'
	hook_bad '<chariot:driver> has no attribute "verdict"' "" \
		'<chariot:driver name="e1000" verdict="skip"/>'
	hook_bad '<chariot:driver> has no name=' "" '<chariot:driver/>'
	hook_bad '<chariot:driver> has no name=' "" '<chariot:driver name=""/>'
	hook_bad '<chariot:driver> has no name=' "" '<chariot:driver>e1000</chariot:driver>'
	hook_bad '<chariot:driver> has no text' "" \
		'<chariot:driver name="e1000">x</chariot:driver>'
	hook_bad '<chariot:driver> has no element <chariot:driver>' "" \
		"<chariot:driver name='a'>$d</chariot:driver>"
	hook_bad '<chariot:isolation> has no text' "" "$d e1000"
	hook_bad '<chariot:isolation> has no element <driver>' "" \
		"$d<driver name='a'/>"
	hook_bad '<chariot:isolation> has no element <chariot:bogus>' "" \
		"$d<chariot:bogus/>"
	hook_bad 'names no driver' "" ""
	hook_bad 'driver snd_dummy is there twice' "" \
		"<chariot:driver name='snd-dummy'/>$d<chariot:driver name='snd_dummy'/>"
	hook_bad '<chariot:policy> has no file=' "" "$d<chariot:policy/>"
	hook_bad 'file="a" is no absolute path' "" "$d<chariot:policy file='a'/>"
	hook_bad 'policy /a is there twice' "" \
		"$d<chariot:policy file='/a'/><chariot:policy file='/a'/>"
	hook_bad '<isolation> of namespace "urn:chariot:isolation:2" is not known' "" \
		"$d" '<isolation xmlns="urn:chariot:isolation:2"/>'
	hook_bad '<driver> of namespace "urn:chariot:isolation:1" is not known' "" \
		"$d" '<c:driver xmlns:c="urn:chariot:isolation:1" name="a"/>'
	hook_bad 'a second <isolation>' "" "$d" \
		"<c:isolation xmlns:c='urn:chariot:isolation:1'><c:driver name='a'/></c:isolation>"
	hook_bad 'a second <isolation>' "" "$d" \
		"</metadata><metadata><c:isolation xmlns:c='urn:chariot:isolation:1'><c:driver name='a'/></c:isolation>"
	hook '<domain>' vm started begin -
	[ $? = 1 ] && grep -q 'XML cannot be read' "$DIR/err"
	ok $? "hook: XML that ends too early"
	hook "$(xml "" "<chariot:bogus/>")" $'rude\x1b[2J' started begin -
	[ $? = 1 ] && grep -Fq 'domain rude?[2J: ' "$DIR/err"
	ok $? "hook: what it says is printable"
}

test_names()
{
	local pid

	CMD=$MOCK
	MOCK_NAMES=1 t 1 '2 VMs have 4711 for their name or process id' vm show 4711
	MOCK_NAMES=1 t 0 '^Process: +4711' vm show mock
	MOCK_NAMES=1 t 1 'VM 4714: .*not permitted' vm show 4714
	CMD=$REAL
	t 2 'no name of a driver' isolate a -- --help
	t 2 '^chariot: "rude\?\[2J" is no name' isolate a $'rude\x1b[2J'
	if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
		skip "a process that says it is a VM" "needs root and setpriv"
		return
	fi
	python3 -c 'import time; time.sleep(60)' -enable-kvm \
		-name $'rude\x1b[2J\x9b' &
	pid=$!
	sleep 0.5
	setpriv --reuid 65534 --clear-groups "$REAL" vm show 'rude?[2J?' \
		>"$DIR/out" 2>"$DIR/err"
	! grep -q 'no KVM VM' "$DIR/err"
	ok $? "a name of a VM is made printable"
	setpriv --reuid 65534 --clear-groups "$REAL" vm show $'rude\x1b[2J\x9b' \
		>"$DIR/out" 2>"$DIR/err"
	! grep -q 'no KVM VM' "$DIR/err" && ! grep -q $'\x1b' "$DIR/err"
	ok $? "it is found by its own name as well"
	kill $pid
}

# syslog_has REGEX: at one line of the system log
syslog_has()
{
	[ "$(grep -Ec -- "$1" "$DIR/syslog")" = 1 ]
	ok $? "system log: $1"
}

test_guard()
{
	CMD=$MOCK
	t 0 '^chariot: demo: bad symbols' guard mock demo
	t 0 '^libchariot: demo has no usable BTF' guard mock demo
	t 0 'domain-new +demo: event of the mock' guard mock demo
	! grep -Eq 'nobody asked|event [0-9]+ of the mock' "$DIR/out" "$DIR/err"
	ok $? "and nothing twice"
	run -j guard mock demo
	is_json_lines <"$DIR/out" 2>>"$DIR/err"
	ok $? "JSON lines"
	if [ "$(id -u)" != 0 ]; then
		skip "attach" "needs root, for /run/chariot"
		return
	fi
	rm -f "$DIR/syslog"
	MOCK_PLAIN=1 MOCK_SYSLOG=$DIR/syslog t 0 'mock: attached' \
		attach mock demo
	for _ in $(seq 300); do
		grep -q 'has ended' "$DIR/syslog" && break
		sleep 0.1
	done
	syslog_has '<6>mock: the guest loads demo'
	syslog_has '<4>mock: demo has no usable BTF'
	syslog_has '<3>mock: demo: bad symbols'
	syslog_has '<6>mock: domain-new: demo: event of the mock'
	! grep -Eq 'nobody asked|event [0-9]+ of the mock' "$DIR/syslog"
	ok $? "and nothing twice"
	rmdir /run/chariot 2>/dev/null
}

test_install()
{
	CMD=$REAL
	make -s -C "$SRC" OUT="$OUT" DESTDIR="$DIR/root" PREFIX=/usr install >"$DIR/out" 2>"$DIR/err" &&
		[ -x "$DIR/root/usr/sbin/chariot" ] &&
		[ -e "$DIR/root/usr/share/man/man8/chariot-inject.8" ]
	ok $? "make install"
	make -s -C "$SRC" OUT="$OUT" DESTDIR="$DIR/root" PREFIX=/usr uninstall >"$DIR/out" 2>"$DIR/err" &&
		[ -z "$(find "$DIR/root" -type f)" ]
	ok $? "make uninstall leaves no file"
}

# Every object has a page, every page is well-formed.
test_man()
{
	local o

	for o in $OBJECTS; do
		[ -e "$SRC/man/chariot-$o.8" ]
		ok $? "chariot-$o(8) exists"
	done
	if ! command -v groff >/dev/null; then
		skip "pages are well-formed" "no groff"
		return
	fi
	for o in "$SRC"/man/*.[78]; do
		grep -q '^\.so ' "$o" && continue
		groff -man -Tutf8 -ww -z "$o" >"$DIR/out" 2>"$DIR/err"
		[ ! -s "$DIR/err" ]
		ok $? "${o##*/} is well-formed"
	done
}

unset MOCK_KERNEL MOCK_TEXT MOCK_PLAIN
test_grammar
test_bad_files
test_trust
test_files 6.1
test_files 6.12
test_mock
test_events
test_journal
test_guest
test_names
test_guard
test_hook
test_install
test_man
test_completion
echo "1..$N"
[ $FAILED = 0 ]
