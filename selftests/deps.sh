#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# deps.sh [PACKAGE...]: install the Debian packages that building and testing
# need, or those named, saying which. Nothing is done when all are there.
# "deps.sh fuzz" is for those that "make fuzz" needs besides, "deps.sh deb" for those of
# "make deb".

set -u

PACKAGES="bc bpftool bsdextrautils busybox-static cpio dpkg-dev flex bison
	jq kmod libbpf-dev libcapstone-dev libelf-dev libglib2.0-dev libjson-c-dev
	liblzma-dev libmicrohttpd-dev libncurses-dev libssl-dev libsystemd-dev libvirt-clients libvirt-daemon
	libunicorn-dev libvirt-daemon-driver-qemu libxml2-dev libzstd-dev libzydis-dev pkg-config python3-docutils python3-minimal python3-pyte
	qemu-system-x86 qemu-utils socat xz-utils zlib1g-dev zstd patch pahole
	btrfs-progs dmsetup exfatprogs f2fs-tools iproute2 iw jfsutils libdrm-dev libteam-utils
	nilfs-tools udftools wireguard-tools xfsprogs"
[ $# -eq 0 ] || PACKAGES=$*
[ "$PACKAGES" != fuzz ] || PACKAGES="clang libclang-rt-dev"
[ "$PACKAGES" != deb ] || PACKAGES="build-essential debhelper dh-dkms libbpf-dev libcapstone-dev libelf-dev
	libjson-c-dev liblzma-dev libmicrohttpd-dev libncurses-dev libsystemd-dev libxml2-dev libzstd-dev libzydis-dev lintian pkg-config python3-docutils zlib1g-dev"

missing=
for p in $PACKAGES; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
		grep -q '^install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "deps: installing$missing"
if [ "$(id -u)" != 0 ]; then
	echo "deps: needs root" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # a list
if ! { apt-get update && apt-get install -y --no-install-recommends $missing
     } >"$log" 2>&1; then
	cat "$log" >&2
	echo "deps: error: the packages above could not be installed" >&2
	exit 1
fi
rm -f "$log"
