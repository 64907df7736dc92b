#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# matrix.sh FILE...: the table of the README, out of what RESULTS=FILE made
# drivers.sh write: of the set-ups (1 or 2 vCPUs, nested or shadow paging) of a
# guest on a host, how many passed.

awk -F'\t' '
	{
		s = $3 " on " $4
		if (!(s in seen)) { seen[s]; setup[++n] = s }
		if (!($1 in class)) { class[$1] = $2; driver[++m] = $1 }
		all[$1, s]++
		good[$1, s] += $13 == "ok"
		per[$1] = per[$1] == "" ? $10 : per[$1]
	}
	END {
		printf "DRIVER\tCLASS"
		for (i = 1; i <= n; i++)
			printf "\t%s", setup[i]
		printf "\tEXITS/OP\n"
		for (j = 1; j <= m; j++) {
			d = driver[j]
			printf "%s\t%s", d, class[d]
			for (i = 1; i <= n; i++)
				printf "\t%s", all[d, setup[i]] ? good[d, setup[i]] + 0 "/" all[d, setup[i]] : "-"
			printf "\t%s\n", per[d]
		}
	}' "$@" | column -t -s $'\t' | sed 's/^/  /'
