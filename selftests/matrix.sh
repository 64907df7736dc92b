#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# matrix.sh FILE...: the table of the README, out of what RESULTS=FILE made
# drivers.sh write.

awk -F'\t' '
	{
		s = $3 "/" $4 "/" $5 "/" ($6 == 1 ? "npt" : "shadow")
		if (!(s in seen)) { seen[s]; setup[++n] = s }
		if (!($1 in class)) { class[$1] = $2; driver[++m] = $1 }
		cell[$1, s] = $13
		per[$1] = per[$1] == "" ? $10 : per[$1]
	}
	END {
		printf "DRIVER\tCLASS"
		for (i = 1; i <= n; i++)
			printf "\t%s", setup[i]
		printf "\tEXITS/OP\n"
		for (j = 1; j <= m; j++) {
			printf "%s\t%s", driver[j], class[driver[j]]
			for (i = 1; i <= n; i++)
				printf "\t%s", ((driver[j], setup[i]) in cell) ? cell[driver[j], setup[i]] : "-"
			printf "\t%s\n", per[driver[j]]
		}
	}' "$@" | column -t -s $'\t' | sed 's/^/  /'
