# SPDX-License-Identifier: GPL-2.0
# align.sh: a table for people, for who sources it.

# align N: lines with tabs are rows of a table, which ends where a line has none; the
# first N columns begin at the left.
align()
{
	awk -F'\t' -v left="$1" '
		function flush(   i, j, s) {
			for (i = 1; i <= n; i++) {
				s = ""
				for (j = 1; j <= cols; j++)
					s = s sprintf("%" (j <= left ? "-" : "") w[j] "s  ", cell[i, j])
				sub(/ +$/, "", s)
				print s
			}
			n = cols = 0
			split("", w)
		}
		NF < 2 { flush(); print; next }
		{
			n++
			for (j = 1; j <= NF; j++) {
				cell[n, j] = $j
				if (length($j) > w[j])
					w[j] = length($j)
			}
			if (NF > cols)
				cols = NF
		}
		END { flush() }'
}
