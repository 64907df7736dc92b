# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# files.sh: what a workload needs in the guest. Source it at the top of the tree.
#
#	work_class CLASS		is there one of that name? (class/NAME.sh)
#	work_modules CLASS GUEST	the modules that it needs, and this kernel has
#	work_files CLASS		SOURCE:DEST for each file: VM_FILES
#
# A class names what it needs in comments: "# modules: NAME..." and
# "# tools: NAME..." of this machine, which come with their libraries.

work_class() { [ -f "selftests/work/class/$1.sh" ]; }

work_needs() { sed -n "s/^# $2: //p" "selftests/work/class/$1.sh"; }

work_modules()
{
	local m dep

	dep=$(echo ".cache/kernels/$2"/root/lib/modules/*/modules.dep)
	for m in $(work_needs "$1" modules); do
		! grep -qE "^[^:]*/${m//[-_]/[-_]}\.ko[.a-z]*:" "$dep" || printf '%s ' "$m"
	done
}

# tool NAME...: as it is here, and its libraries where it looks for them
tool_files()
{
	local t path

	for t; do
		path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$t") || {
			echo "work: no $t here (make deps)" >&2
			return 1
		}
		echo "$path:/w/bin/$t"
		ldd "$path" | awk '$2 == "=>" { print $3 ":" $3 } $1 ~ "^/" { print $1 ":" $1 }'
	done | sort -u
}

work_files()
{
	local f

	echo "$PWD/.build/selftests/work:/w/work"
	for f in work net block; do
		echo "$PWD/selftests/work/$f.sh:/w/$f.sh"
	done
	echo "$PWD/selftests/work/class/$1.sh:/w/class.sh"
	# shellcheck disable=SC2046 # a list
	tool_files $(work_needs "$1" tools)
}
