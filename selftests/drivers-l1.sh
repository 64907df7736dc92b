#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# drivers-l1.sh: drivers.sh's part in L1: $OUT/rows -> $OUT/results.tsv. With
# CHARIOT_PLAIN, it runs on the machine itself, and isolates nothing.

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=selftests/iso.sh
. selftests/iso.sh
# shellcheck source=selftests/work/files.sh
. selftests/work/files.sh

CHARIOT=.build/tools/chariot
VERDICT=${CHARIOT_VERDICT:-skip}
PLAIN=${CHARIOT_PLAIN:-}
TMP=$VM_DIR/drivers

# counter NAME: of the whole VM
counter() { sed -n "s/.*\"$1\": *\\([0-9]*\\).*/\\1/p" "$TMP/stats" | head -n 1; }

# The ramp that work.c plays, of which much must have reached the device. A
# device that plays nothing (muted) is no fault of the driver.
wav_is_wrong()
{
	local f

	for f in "$TMP"/*.wav; do
		[ -s "$f" ] || continue
		tail -c +45 "$f" | od -An -v -tu2 -w4 | awk '
			$1 != 0 { some++ }
			$1 == $2 && ($1 - last) % 65536 == 37 { run++ }
			$1 == $2 && last - $1 == 65536 - 37 { run++ }
			{ last = $1 }
			END { exit !(some > 20000 && run < 10000) }' && return
	done
	return 1
}

# host_side VM: answer what the workload asks the host for
host_side()
{
	socat "UNIX-CONNECT:$TMP/host" "EXEC:bash selftests/work/host.sh $1 $TMP" 2>/dev/null &
	disown $!
}

# workload VM DRIVER CLASS PARAMS ARGS BEFORE: in a guest with what ARGS name
workload()
{
	local vm=$1 driver=$2 class=$3 peer=0

	case $5 in *netdev*) peer=1 ;; esac
	[ -n "$PLAIN" ] || set -- "$@" -plugin "file=$PLUGIN" -device \
		"chariot,drivers=${driver//-/_},verdict=$VERDICT${CHARIOT_POLICY:+,policy=$CHARIOT_POLICY}"
	# shellcheck disable=SC2046 # lists
	VM_MODULES="$driver $6 $(work_modules "${class%% *}" "$GUEST")" \
		VM_FILES=$(work_files "${class%% *}") \
		vm_start "$vm" $(back_ends "$TMP" "$5") "${@:7}" -serial chardev:host \
		-chardev "socket,id=host,path=$TMP/host,server=on,wait=off" &&
		vm_wait "$vm" || return
	host_side "$vm"
	vm_run "$vm" -t $((4 * WAIT)) "sh /w/work.sh '$class' $peer $driver $4 -- $6"
}

# row DRIVER CLASS ARGS BEFORE: one line of results.tsv
row()
{
	local driver=${1%% *} params='' class=$2 before=${4#-}
	local vm=${driver//_/-} status result reload ops exits per verdict=ok init

	[ "$1" = "$driver" ] || params=${1#* }
	rm -rf "$TMP"
	mkdir -p "$TMP"
	workload "$vm" "$driver" "$class" "$params" "$3" "$before" >"$TMP/work" 2>&1
	status=$?
	: >"$TMP/stats"
	[ -n "$PLAIN" ] || $CHARIOT -j stats show "$vm" >"$TMP/stats" 2>/dev/null
	result=$(sed -n 's/^result //p' "$TMP/work")
	reload=$(sed -n 's/^reload \([a-z]*\).*/\1/p' "$TMP/work")
	ops=$(awk '$1 == "ops" { n += $2 } END { print n + 0 }' "$TMP/work")
	exits=$(counter exits)
	per=$(awk -v e="${exits:-0}" -v o="$ops" 'BEGIN { if (o) printf "%.1f", e / o; else print "-" }')
	# each load of the driver is a domain whose init was entered and returned
	init=$(grep -c ': init done' "$OUT/$vm.qemu")
	if [ $status != 0 ]; then
		verdict=FAIL
		result=$(sed -n 's/^FAIL //p' "$TMP/work" | head -n 1)
		[ -n "$result" ] || result="status $status: $(tail -n 1 "$TMP/work")"
	elif [ -n "$PLAIN" ]; then
		:
	elif [ "$init" -lt $([ "$reload" = yes ] && echo 2 || echo 1) ]; then
		verdict=FAIL
		result="init was not isolated"
	elif [ "$(counter violations)" != 0 ]; then
		verdict=FAIL
		result="$result; VIOLATIONS"
	fi
	if ! vm_alive "$vm"; then
		verdict=FAIL
		result="the guest died; $result"
	fi
	vm_stop "$vm" >/dev/null 2>&1
	if [ $verdict = ok ] && [ "${class%% *}" = sound ] && wav_is_wrong; then
		verdict=FAIL
		result="what was played is not what arrived"
	fi
	cp "$TMP/work" "$OUT/$vm.work"
	cp "$TMP/stats" "$OUT/$vm.stats"
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$driver" "${class%% *}" \
		"$GUEST" "$HOST" "$VCPUS" "$NPT" "${result:--}" "${reload:--}" \
		"$(counter entries)" "$per" \
		"$(counter allocations)/$(counter argument_writes)/$(counter stack_writes)/$(counter page_grants)" \
		"$(counter violations)" "$verdict" >>"$OUT/results.tsv"
	grep -aE 'wrote|called|jumped|entered|not isolated|NOT' "$OUT/$vm.qemu" |
		sed "s/^/$GUEST $driver: /" >>"$OUT/violations"
}

[ -n "$PLAIN" ] || insmod "$MODULE" || exit 1
WWW=$VM_DIR/www
mkdir -p "$WWW"
head -c 500000 /dev/urandom >"$WWW/f"
sha256sum <"$WWW/f" | cut -c1-64 >"$WWW/sum"
busybox httpd -f -p 127.0.0.1:8080 -h "$WWW" &
trap 'kill $(jobs -p)' EXIT
socat TCP-LISTEN:8081,bind=127.0.0.1,reuseaddr,fork 'SYSTEM:sha256sum' &

while IFS=$'\t' read -r driver class args before <&3; do
	began=$SECONDS
	row "$driver" "$class" "$args" "$before"
	echo "$driver: $((SECONDS - began)) s"
done 3<"$OUT/rows"
exit 0
