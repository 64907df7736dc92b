#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# host.sh VM: the host's part of a workload. Lines come from the guest's third
# serial port, and each is answered with one:
#
#	qmp JSON	done, or failed
#	screen		the SHA-256 of what is on the screen, as a PPM file
#	sum FILE	the SHA-256 of the first megabyte of a back end's file
#	event NAME	how often QMP told of it

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=selftests/env/vm.sh
. selftests/env/vm.sh

vm=$1
file=$2/screen.ppm

while read -r what rest; do
	case $what in
	qmp)	vm_qmp "$vm" "$rest" >/dev/null 2>&1 && echo "done" || echo failed ;;
	screen)	rm -f "$file"
		vm_qmp "$vm" "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"$file\"}}" >/dev/null 2>&1
		sha256sum <"$file" | cut -c1-64 ;;
	sum)	head -c 1048576 "$2/$rest" | sha256sum | cut -c1-64 ;;
	event)	grep -c "\"event\": *\"$rest\"" "$OUT/$vm.events" ;;
	*)	echo "unknown" ;;
	esac
done
