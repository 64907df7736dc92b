#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# packages.sh [DEBIAN...]: Debian's packages, made, installed, upgraded, removed and
# purged in a fresh Debian (12 and 13 without arguments). TAP lines. Needs root and apt's
# mirror; nothing is done to this machine.
#
#	REUSE	1: take the packages that the last run has made
#
# .cache/roots/DEBIAN is what debootstrap makes, and stays; all else goes into layers
# above it, which the end of this script takes away. No kernel module is loaded: a VM
# runs with the plugin in it, by emulation.

set -o pipefail
cd "$(dirname "$0")/.." || exit 1

# Whatever is mounted from here on is gone with this process.
[ -n "${PACKAGES_ALONE:-}" ] || exec env PACKAGES_ALONE=1 unshare -m -- bash "$0" "$@"

# shellcheck source=selftests/iso.sh
OUT=/tmp . selftests/iso.sh
TOP=$PWD
ROOTS=$TOP/.cache/roots
# shellcheck disable=SC2034 # for private-apt.sh
CACHE=$TOP/.cache
say() { echo "# $*"; }
die() { echo "not ok - packages: $*"; exit 1; }
# shellcheck source=selftests/env/private-apt.sh
. selftests/env/private-apt.sh

NEW=$(cat VERSION)
OLD=0.0.1
PACKAGES="chariot chariot-dkms chariot-guest chariot-qemu libchariot-dev libchariot1"
SO=/usr/lib/x86_64-linux-gnu/qemu/chariot.so

# ---- roots --------------------------------------------------------------------

suite_of() { case $1 in 12) echo bookworm ;; 13) echo trixie ;; *) die "which Debian is $1?" ;; esac; }

mirror_of()
{
	local suite

	for suite in "$1" bookworm trixie; do
		site_of "$suite" | grep . && return
	done
	die "apt's configuration has no mirror of Debian"
}

fresh_root()
{
	local suite

	suite=$(suite_of "$1")
	[ ! -d "$ROOTS/$1" ] || return 0
	say "debootstrap $suite"
	rm -rf "$ROOTS/$1.tmp"
	mkdir -p "$ROOTS"
	debootstrap --variant=minbase --include=ca-certificates "$suite" "$ROOTS/$1.tmp" \
		"$(mirror_of "$suite")" >"$TMP/debootstrap" 2>&1 ||
		die "$(tail -n 1 "$TMP/debootstrap")"
	mv "$ROOTS/$1.tmp" "$ROOTS/$1"
}

# layer NAME DEBIAN: $TMP/NAME, of which only what is written there is new
layer()
{
	local dir=$TMP/$1 node

	mkdir -p "$dir" "$dir.up" "$dir.work"
	mount -t overlay -o "lowerdir=$ROOTS/$2,upperdir=$dir.up,workdir=$dir.work" overlay "$dir" ||
		die "no overlay"
	mount -t proc proc "$dir/proc"
	mount -t tmpfs -o mode=755 dev "$dir/dev"
	for node in null zero full random urandom tty; do
		cp -a /dev/$node "$dir/dev"
	done
	ln -s /proc/self/fd "$dir/dev/fd"
	# what is fetched once is enough
	mkdir -p "$ROOTS/debs-$2"
	mount --bind "$ROOTS/debs-$2" "$dir/var/cache/apt/archives"
	rm -f "$dir/etc/apt/apt.conf.d/docker-clean"
	cp -L /etc/resolv.conf /etc/hosts "$dir/etc/"
	printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
	chmod 755 "$dir/usr/sbin/policy-rc.d"
	ROOT=$dir
	run apt-get update
}

inside()
{
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 INITRD=No \
		DEBIAN_FRONTEND=noninteractive chroot "$ROOT" "$@"
}

# run COMMAND...: in the root; what it says is kept, and shown if it fails
run()
{
	inside "$@" >"$TMP/said" 2>&1 </dev/null && return
	tail -n 20 "$TMP/said" | sed 's/^/# /'
	return 1
}

add() { run apt-get install -y --no-install-recommends "$@"; }

add_debs() { run sh -c "apt-get install -y --no-install-recommends /debs/$1/*.deb"; }

# ---- the packages -------------------------------------------------------------

# make_debs DEBIAN: into $DEBS, old/ and new/
make_debs()
{
	local v version

	DEBS=$TOP/.cache/out/packages-$1
	[ -z "${REUSE:-}" ] || [ ! -d "$DEBS/new" ] || return 0
	rm -rf "$DEBS"
	layer build "$1"
	add make || die "no build dependencies"
	mkdir "$ROOT/src"
	tar --exclude=./.git --exclude=./.build --exclude=./.cache -c . | tar -x -C "$ROOT/src"
	for v in old new; do
		version=$NEW
		[ $v = new ] || version=$OLD
		mkdir -p "$DEBS/$v"
		echo "$version" >"$ROOT/src/VERSION"
		sed -i "1s/(.*)/($version)/" "$ROOT/src/debian/changelog"
		# the older one is for upgrades only
		check "make deb, version $version" run make -C /src deb "LINTIAN=$([ $v = new ] && echo lintian || echo true)"
		cp "$ROOT"/src/.build/deb/*.deb "$DEBS/$v/" || die "no packages"
	done
	is "there are all packages" "$(cd "$DEBS/new" && echo *.deb | sed 's/_[^ ]*//g')" "$PACKAGES"
}

# What they need is there, nothing of ours; and what kernels need.
install_needs()
{
	local needs

	mkdir -p "$ROOT/debs"
	cp -r "$DEBS"/* "$ROOT/debs"
	needs=$(inside sh -c 'apt-get -s install --no-install-recommends /debs/new/*.deb' |
		sed -n 's/^Inst \([^ ]*\).*/\1/p' | grep -vxF "$(tr ' ' '\n' <<<"$PACKAGES")")
	# shellcheck disable=SC2086 # a list
	add $needs initramfs-tools apparmor libvirt-daemon-system || die "no dependencies"
}

# Each file and its kind, but not what apt, dpkg, DKMS and kernels keep by themselves
files()
{
	(cd "$ROOT" && find . -xdev \( -path ./debs -o -path ./tmp -o -path ./proc -o -path ./dev -o -path ./run \
		-o -path ./boot -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache/apt \
		-o -path ./var/log -o -path ./var/cache/ldconfig -o -path ./var/cache/man \
		-o -path './var/lib/dkms/mok.*' -o -path ./root \) -prune -o -printf '%y %m %u %g %p\n') | sort
}

# ---- what is looked at --------------------------------------------------------

has_version()
{
	local p

	for p in $PACKAGES; do
		# shellcheck disable=SC2016 # dpkg's variables
		is "$p is installed" "$(inside dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$p")" "ii $1"
	done
	is "the command is of $1" "$(inside chariot version | sed 's/,.*//')" "chariot $1"
	is "libchariot.so.1 is a link" "$(inside readlink /usr/lib/x86_64-linux-gnu/libchariot.so.1)" \
		"libchariot.so.$1"
	is "and pkg-config knows it" "$(inside pkg-config --modversion libchariot)" "$1"
	is "DKMS has it, and no other" "$(inside dkms status chariot | sed 's/[,:].*//' | sort -u)" "chariot/$1"
}

module_is_built()
{
	local kernel ko

	kernel=$(cd "$ROOT/lib/modules" && echo *-amd64)
	ko=$(cd "$ROOT" && echo lib/modules/"$kernel"/updates/dkms/kvm_chariot.ko*)
	check "DKMS has built the module for $kernel" test -f "$ROOT/$ko"
	is "it has the version" "$(inside modinfo -F version "/$ko")" "$1"
	is "it is for this kernel" "$(inside modinfo -F vermagic "/$ko" | sed 's/ .*//')" "$kernel"
	is "it is signed with the key of DKMS" "$(inside modinfo -F signer "/$ko")" "DKMS module signing key"
	is "modprobe finds it" "$(inside modprobe -S "$kernel" -n -v kvm_chariot | grep -c updates/dkms/kvm_chariot)" 1
}

# What QEMU says to the device: it refuses, since this is emulation
device()
{
	inside timeout 300 qemu-system-x86_64 -accel tcg -display none -nodefaults -S -monitor none \
		-plugin file=$SO -device chariot,drivers=e1000 2>&1 </dev/null
}

set_up_is_right()
{
	is "the state is the group's" "$(inside stat -c '%a %U %G' /var/lib/chariot /var/lib/chariot/.lock | tr '\n' ' ')" \
		"2775 root kvm 660 root kvm "
	check "udev has the rule" grep -q 'KERNEL=="chariot".*GROUP="kvm"' "$ROOT/usr/lib/udev/rules.d/60-chariot.rules"
	is "the module is loaded at boot" "$(grep -v '^#' "$ROOT/usr/lib/modules-load.d/chariot.conf")" kvm_chariot
	is "its services are off" "$(inside systemctl is-enabled chariot-exporter.socket chariot-journal.service |
		sort -u)" disabled
	check "libvirt's hook is a program" inside test -x /etc/libvirt/hooks/qemu.d/chariot
	check "which takes a domain without Chariot" inside sh -c \
		'echo "<domain/>" | /etc/libvirt/hooks/qemu.d/chariot d prepare begin -'
	printf 'include <tunables/global>\nprofile p {\ninclude <abstractions/libvirt-qemu>\n}\n' >"$ROOT/tmp/p"
	check "libvirt's QEMU may open /dev/chariot" inside sh -c \
		'apparmor_parser --preprocess /tmp/p | grep -q "^ *../dev/chariot rw,"'
	check "and the profile is a good one" inside sh -c 'apparmor_parser -Q -K -S /tmp/p >/tmp/p.out'
	check "man pages" inside test -f /usr/share/man/man8/chariot.8.gz
	check "the guest's command is static" inside sh -c '! ldd /usr/sbin/chariot-load'
	is "the plugin is this QEMU's" "$(device | grep -c 'accel=tcg: chariot needs KVM')" 1
}

# ---- a VM ---------------------------------------------------------------------

vm_start()
{
	mkfifo "$TMP/monitor"
	inside qemu-system-x86_64 -accel tcg -display none -nodefaults -m 64 -monitor stdio \
		-plugin file=$SO <"$TMP/monitor" >"$TMP/vm" 2>&1 &
	VM_PID=$!
	exec 7>"$TMP/monitor"
	vm_runs "a VM runs"
}

vm_runs()
{
	local n end=$((SECONDS + 300))

	n=$(grep -c 'VM status: running' "$TMP/vm")
	echo "info status" >&7
	until [ "$(grep -c 'VM status: running' "$TMP/vm")" -gt "$n" ]; do
		[ $SECONDS -lt $end ] || break
		kill -0 $VM_PID 2>/dev/null || break
		sleep 0.2
	done
	check "$1" [ "$(grep -c 'VM status: running' "$TMP/vm")" -gt "$n" ]
}

vm_holds_old() { check "with the files that it has opened" grep -q "chariot.so.* (deleted)$" /proc/$VM_PID/maps; }

vm_end()
{
	echo quit >&7
	wait $VM_PID
	exec 7>&-
}

# ---- the course of things -----------------------------------------------------

# A kernel comes, as when it is upgraded.
new_kernel()
{
	check "a new kernel is installed" add linux-image-amd64 linux-headers-amd64
	module_is_built "$1"
}

# QEMU is upgraded: the plugin was built for another one until then.
new_qemu()
{
	run make -s -C /usr/share/chariot-qemu/qemu-plugin O=/tmp/99 QEMU_CACHE=/var/cache/chariot/qemu \
		LIB=/usr/lib/x86_64-linux-gnu/libchariot.so.1 LIBS=/usr/lib/x86_64-linux-gnu/libchariot.so.1 \
		CPPFLAGS=-DCHARIOT_TEST_QEMU_MAJOR=99
	inside cp /tmp/99/qemu-plugin/chariot.so $SO
	echo other >"$ROOT/var/cache/chariot/built"
	is "a plugin for another QEMU refuses, and says so" \
		"$(device | grep -c 'was built for QEMU 99.*dpkg-reconfigure chariot-qemu')" 1
	rm -rf "$ROOT"/var/cache/chariot/qemu
	check "without a network it stays so, and nothing fails" unshare -n \
		chroot "$ROOT" /usr/libexec/chariot/build-plugin
	is "and refuses as before" "$(device | grep -c 'was built for QEMU 99')" 1
	check "QEMU is installed again" add --reinstall qemu-system-x86
	is "and so the plugin is built again" "$(device | grep -c 'chariot needs KVM')" 1
}

upgrade()
{
	vm_start
	check "version $NEW is installed over $OLD" add_debs new
	vm_runs "the VM runs on"
	vm_holds_old
	has_version "$NEW"
	module_is_built "$NEW"
	set_up_is_right
}

remove()
{
	# shellcheck disable=SC2086 # a list
	check "all are removed" run apt-get remove -y $PACKAGES
	vm_runs "the VM runs on without them"
	vm_end
	is "the state stays until it is purged" "$(cat "$ROOT/var/lib/chariot/e1000.json")" kept
	check "but no plugin" test ! -e "$ROOT$SO"
	is "nor a module" "$(find "$ROOT/lib/modules" -name 'kvm_chariot*')" ""
	# shellcheck disable=SC2086 # a list
	check "all are purged" run apt-get purge -y $PACKAGES
	run sh -c 'apt-get purge -y "linux-image-*" "linux-headers-*"' && run apt-get autoremove -y --purge
}

test_debian()
{
	say "Debian $1"
	fresh_root "$1"
	make_debs "$1"
	layer use "$1"
	install_needs
	files >"$TMP/before"
	check "version $OLD is installed" add_debs old
	has_version "$OLD"
	set_up_is_right
	new_kernel "$OLD"
	echo kept >"$ROOT/var/lib/chariot/e1000.json"
	upgrade
	is "what is known of drivers is kept" "$(cat "$ROOT/var/lib/chariot/e1000.json")" kept
	new_qemu
	remove
	files >"$TMP/after"
	is "nothing is left, and nothing is missing" \
		"$(diff "$TMP/before" "$TMP/after" | grep '^[<>]' | head -n 20)" ""
}

end()
{
	[ -z "${VM_PID:-}" ] || kill "$VM_PID" 2>/dev/null
	cd /
	umount -R "$TMP/build" "$TMP/use" 2>/dev/null
	rm -rf --one-file-system "$TMP"
}

[ "$(id -u)" = 0 ] || die "needs root"
bash selftests/deps.sh debootstrap || exit 1
[ $# -gt 0 ] || set -- 12 13
mkdir -p "$ROOTS"
LINES=$(mktemp) || exit 1
trap 'rm -f "$LINES"' EXIT
for debian; do
	(
		TMP=$(mktemp -d "$ROOTS/.tmp.XXXXXX") || die "mktemp"
		trap end EXIT
		trap 'exit 130' INT TERM
		test_debian "$debian"
	) | sed -u "s/^\(not ok\|ok\) - /\1 - Debian $debian: /" | tee -a "$LINES"
done
! grep -q '^not ok' "$LINES"
