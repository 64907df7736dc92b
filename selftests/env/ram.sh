# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# ram.sh: an L1 that has all it needs in its initramfs, each file at its own
# path, for where L1 cannot have this machine's root by 9p: under bochs
# (intel.sh), and where L1 is saved and restored (campaign.sh). Source it.
#
#	ram_base INIT MODULE OUT	write that initramfs: INIT of selftests/,
#					kernel $HOST with MODULE, guest kernel $GUEST,
#					PROGRAMS (a bash array, of the project's)
#	ram_files DIR FILE...		an archive of more, in the root of L1, to stdout
#	ram_guest OUT COMMAND...	write the guest's initramfs, after COMMAND has
#					set VM_MODULES and VM_FILES as vm.sh wants them
#	ram_env				the environment that L1 gets, as lines for sh

# libraries PROGRAM...: what the loader would load
libraries()
{
	local p

	for p; do
		ldd "$p"
	done | grep -o '/[^ ]*' | sort -u
}

# Pairs SOURCE:DEST for initramfs.sh: what is not the project's
system_files()
{
	local qemu bash socat p

	qemu=$(command -v qemu-system-x86_64) bash=$(command -v bash)
	socat=$(command -v socat)
	echo "$bash:/bin/bash"
	for p in "$qemu" "$socat" /usr/share/qemu/{kvmvapic,linuxboot_dma}.bin \
		/usr/share/seabios/bios-256k.bin \
		$(libraries "$qemu" "$bash" "$socat" "${PROGRAMS[@]}"); do
		[ -f "$p" ] || { echo "ram: no $p" >&2; return 1; }
		echo "$p:$p"
	done
}

# ram_files DIR FILE...: to stdout, a function of what is in them: who keeps what it
# has made of an archive knows it again. cpio wants a directory before what is in it.
ram_files()
{
	(cd "$1" && shift && find "$@" -depth -exec touch -hd @0 {} + &&
		find "$@" | LC_ALL=C sort |
			cpio -o -H newc -R 0:0 --reproducible --quiet)
}

# The project's files
project_archive()
{
	local list=("$TOP/selftests" "${PROGRAMS[@]}"
		"$TOP/.build/kmod/$HOST/kvm_chariot.ko"
		"$TOP/.cache/kernels/$GUEST/vmlinuz") root status

	root=$(mktemp -d) || return
	(cd / && cp -rL --parents -t "$root" "${list[@]#/}") &&
		ram_files "$root" .
	status=$?
	rm -rf "$root"
	return $status
}

# By the functions that make it in L1
ram_guest()
{
	local out=$1

	shift
	(
		cd "$TOP" || exit
		export HOST GUEST
		# shellcheck source=selftests/iso.sh
		. selftests/iso.sh
		"$@"
		vm_initramfs "$GUEST" "$out.files" >"$out.path" &&
			cp "$(cat "$out.path")" "$out"
	)
}

# Not compressed: it takes longer to unpack than it takes to load.
ram_base()
{
	local base files sys

	base=$("$TOP/selftests/env/initramfs.sh" ram "$1" "$HOST" "$2") &&
		sys=$(system_files) || return
	# shellcheck disable=SC2086 # a list
	files=$("$TOP/selftests/env/initramfs.sh" files $sys) || return
	{ cat "$base" "$files" && project_archive; } >"$3"
}

ram_env()
{
	local v

	for v in HOST GUEST VCPUS V "${!KVM_@}" "${!VM_@}" "${!CHARIOT_@}"; do
		[ -z "${!v+set}" ] || printf "export %s='%s'\n" "$v" "${!v//\'/\'\\\'\'}"
	done
	printf "%s='%s'\n" L1_DIR "$TOP"
}
