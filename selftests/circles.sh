#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# circles.sh DIR: which object files in DIR call each other in a circle, from their
# symbols; TAP lines, "not ok" if a circle has more than three files.

set -u -o pipefail
MOST=3

for o in "$1"/*.o; do
	case ${o##*/} in
	kvm_chariot.o | *.mod.o) continue ;;
	esac
	nm "$o" | awk -v f="$(basename "$o" .o)" '{ print f, $(NF - 1), $NF }'
done | awk -v most=$MOST '
$2 == "U" { uses[$1, $3]; next }
$2 ~ /[TDBRCV]/ { home[$3] = $1; files[$1] }
END {
	for (u in uses) {
		split(u, p, SUBSEP)
		if ((p[2] in home) && home[p[2]] != p[1])
			r[p[1], home[p[2]]] = 1
	}
	# who reaches whom
	for (k in files) for (i in files) if ((i, k) in r)
		for (j in files) if ((k, j) in r) r[i, j] = 1
	for (i in files) {
		n++
		if (i in seen || !((i, i) in r)) continue
		circles++; size = 0; names = ""
		for (j in files)
			if (((i, j) in r) && ((j, i) in r)) { seen[j]; size++; names = names " " j }
		print (size > most ? "not ok" : "ok") " - a circle of " size ":" names
	}
	print (n > 1 ? "ok" : "not ok") " - " n " object files, " circles + 0 " circles"
}'
