# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# plan.sh: which modules there are, and in what order they are loaded. Sourced.
#
#	modules_of ROOT		"MODULE DIRECTORY" of all in a kernel's modules.dep: what
#				depends on little comes first, so that a guest seldom has in
#				it already what is to be loaded
#	subsystem_of		the same with SUBSYSTEM in place of DIRECTORY
#	excluded		names that modules/excluded.tsv has
#	without FILE		those of stdin that FILE, a list of names, does not have
#	only NAME...		those of stdin that are among these; all if there are none
#	sample			60 of stdin, in its order: of the 30 largest subsystems the
#				two whose names' hashes are the smallest
#	sample_of GUEST FILE	that of this kernel's that are not excluded, to FILE
#	for_guest LIST		sets what vm.sh needs for a guest with the modules of LIST
#	batches N I/M		each Ith of M parts of stdin, of N lines: "BATCH LINE"
#
# Names are as the kernel has them, with '_'.

MODULES_EXCLUDED=${MODULES_EXCLUDED:-$(dirname "${BASH_SOURCE[0]}")/excluded.tsv}

modules_of()
{
	awk -F: '
		{
			n = split($1, part, "/")
			name = part[n]
			sub(/\.ko.*/, "", name)
			gsub("-", "_", name)
			dir = $1
			sub("/[^/]*$", "", dir)
			sub("^kernel/", "", dir)
			print split($2, dep, " "), name, dir
		}' "$1/modules.dep" | LC_ALL=C sort -k1,1n -k2,2 | cut -d' ' -f2-
}

# drivers/net/ethernet/intel: drivers/net; fs/ext4: fs
subsystem_of()
{
	awk '{
		n = split($2, part, "/")
		s = part[1]
		if (n > 1 && s ~ /^(arch|drivers|net|sound)$/)
			s = s "/" part[2]
		print $1, s
	}'
}

excluded()
{
	awk -F'\t' '!/^(#|$)/ { gsub("-", "_", $1); print $1 }' "$MODULES_EXCLUDED"
}

without() { awk -v file="$1" 'BEGIN { while ((getline l <file) > 0) { sub(" .*", "", l); no[l] } } !($1 in no)'; }

only()
{
	awk -v names="${*//-/_}" 'BEGIN { n = split(names, a, " "); for (i in a) yes[a[i]] } !n || $1 in yes'
}

sample()
{
	local all

	all=$(mktemp) || return
	cat >"$all"
	subsystem_of <"$all" | awk '
		BEGIN {
			for (i = 32; i < 127; i++)
				code[sprintf("%c", i)] = i
		}
		# djb2, of 32 bits
		function hash(s,   i, h) {
			h = 5381
			for (i = 1; i <= length(s); i++)
				h = (h * 33 + code[substr(s, i, 1)]) % 4294967296
			return h
		}
		{ size[$2]++; name[NR] = $1; of[NR] = $2 }
		END {
			for (i = 1; i <= NR; i++)
				printf "%d %s %010d %s\n", size[of[i]], of[i], hash(name[i]), name[i]
		}' | LC_ALL=C sort -k1,1nr -k2,2 -k3,3 | awk '
		$2 != last { subsystems++; n = 0; last = $2 }
		subsystems <= 30 && n++ < 2 { print $4 }' >"$all.chosen"
	mapfile -t chosen <"$all.chosen"
	only "${chosen[@]}" <"$all"
	rm -f "$all" "$all.chosen"
}

batches()
{
	awk -v size="$1" -v i="${2%/*}" -v n="${2#*/}" '{
		b = int((NR - 1) / size) + 1
		if (b % n == i % n)
			print b, $0
	}'
}

sample_of()
{
	excluded >"$2.excluded"
	modules_of ".cache/kernels/$1/modules" | without "$2.excluded" | sample >"$2"
	rm -f "$2.excluded"
}

for_guest()
{
	VM_MODULES=$(cut -d' ' -f1 "$1" | xargs)
	VM_FILES=$PWD/.build/selftests/module:/c/module
	VM_MEM=512
	export VM_MODULES VM_FILES VM_MEM
}
