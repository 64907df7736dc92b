#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# layers.sh DIR: do the files of kmod, built in DIR, keep to the order of Kbuild?
# A file calls only those that come after it there; the first comment of each tells
# by which it is called.  From the object files' symbols; TAP lines come out.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

order=$(sed -n '/^kvm_chariot-y/,/[^\\]$/p' Kbuild | grep -o '[a-z_0-9]*\.o' | sed 's/\.o$//')
edges=$(for f in $order; do
	nm "$1/$f.o" | awk -v f="$f" '{ print f, $(NF - 1), $NF }'
done | awk '
$2 == "U" { uses[$1, $3]; next }
$2 ~ /[TDBRCV]/ { home[$3] = $1 }
END {
	for (u in uses) {
		split(u, p, SUBSEP)
		if ((p[2] in home) && home[p[2]] != p[1] && home[p[2]] != "trace")
			print p[1], home[p[2]]
	}
}' | sort -u)

upwards=$(awk 'NR == FNR { at[$1] = NR; next } at[$2] < at[$1] { print $1 " calls " $2 }' \
	<(echo "$order") <(echo "$edges"))
if [ -z "$upwards" ] && [ -n "$edges" ]; then
	echo "ok - $(wc -w <<<"$order") files, and none calls one above it"
else
	echo "not ok - against the order of Kbuild: ${upwards:-no calls at all}"
	# who reaches himself
	awk '{ r[$1, $2]; f[$1]; f[$2] }
	END {
		for (k in f) for (i in f) if ((i, k) in r)
			for (j in f) if ((k, j) in r) r[i, j]
		for (i in f) if ((i, i) in r) c = c " " i
		if (c) print "# in circles:" c
	}' <<<"$edges"
fi

for f in $order; do
	[ "$f" = trace ] && continue
	callers=$(awk -v f="$f" '$2 == f { print $1 }' <<<"$edges" | paste -sd' ')
	case $(wc -w <<<"$callers") in
	0)	callers='the kernel' ;;
	[1-4])	callers=$(sed 's/ \([a-z]*\)$/ and \1/; s/ /, /g; s/, and, / and /' <<<"$callers") ;;
	*)	callers='all above it' ;;
	esac
	told=$(sed -n '1,20s/.*Called by \([^.]*\)\..*/\1/p' "kmod/$f.c" | head -n 1)
	if [ "$told" = "$callers" ]; then
		echo "ok - $f.c tells who calls it"
	else
		echo "not ok - $f.c: called by $callers; it tells: $told"
	fi
done
