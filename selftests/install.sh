#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# install.sh: "make install" into a directory, use it there, "make uninstall".

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=selftests/iso.sh
OUT=/tmp . selftests/iso.sh

DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
OLD=$(selftests/env/kernels.sh --old) && NEW=$(selftests/env/kernels.sh --new) || exit 1
KERNEL=$PWD/.cache/kernels/$OLD
ARGS=(--no-print-directory DESTDIR="$DIR" PREFIX=/usr KVER="$OLD"
	KDIR="$KERNEL/build" VMLINUX="$KERNEL/vmlinuz"
	KVM_KO="$(echo "$KERNEL"/modules/kernel/arch/x86/kvm/kvm.ko*)")

check "make install" make "${ARGS[@]}" install
for f in usr/sbin/chariot usr/sbin/chariot-load usr/lib/libchariot.so usr/lib/libchariot.so.1 \
	 usr/lib/udev/rules.d/60-chariot.rules usr/lib/modules-load.d/chariot.conf etc/libvirt/hooks/qemu.d/chariot \
	 usr/include/chariot.h usr/include/linux/chariot.h \
	 usr/lib/pkgconfig/libchariot.pc usr/share/man/man8/chariot.8 usr/share/man/man5/chariot.policy.5 \
	 usr/lib/x86_64-linux-gnu/qemu/chariot.so \
	 usr/sbin/chariot-exporter usr/lib/systemd/system/chariot-exporter.socket \
	 usr/lib/systemd/system/chariot-exporter.service usr/lib/systemd/system/chariot-journal.service \
	 usr/share/chariot/chariot.rules.yml usr/share/chariot/chariot-dashboard.json \
	 lib/modules/$OLD/updates/kvm_chariot.ko; do
	check "there is $f" test -s "$DIR/$f"
done
check "the command runs" "$DIR/usr/sbin/chariot" version
is "libchariot.so.1 is a link to this version" "$(readlink "$DIR/usr/lib/libchariot.so.1")" \
	"libchariot.so.$(cat VERSION)"
is "the module has this version" "$(modinfo -F version "$DIR/lib/modules/$OLD/updates/kvm_chariot.ko")" \
	"$(cat VERSION)"
is "and the library" "$("$DIR/usr/sbin/chariot" version | sed 's/,.*//')" "chariot $(cat VERSION)"
is "units start what was installed" \
	"$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$DIR"/usr/lib/systemd/system/*.service | xargs)" \
	"/usr/sbin/chariot-exporter /usr/sbin/chariot"
cat >"$DIR/user.c" <<'END'
#include <chariot.h>
int main(void) { return chariot_verdict_by_name("skip") != CHARIOT_VERDICT_SKIP; }
END
# shellcheck disable=SC2046 # a list
check "a program is built with pkg-config" cc -o "$DIR/user" "$DIR/user.c" \
	$(PKG_CONFIG_PATH=$DIR/usr/lib/pkgconfig \
	  PKG_CONFIG_SYSROOT_DIR=$DIR pkg-config --cflags --libs libchariot)
check "and runs" env LD_LIBRARY_PATH="$DIR/usr/lib" "$DIR/user"
rm -f "$DIR/user" "$DIR/user.c"
# A host without KVM, or whose kernel has it built in: the rest is made, the module is refused.
NONE=(--no-print-directory KVER=0-none DESTDIR="$DIR/none" PREFIX=/usr)
is "no kvm.ko: all says so, and goes on" "$(make "${NONE[@]}" all 2>&1 | grep -c 'SKIP kmod: .*0-none has no KVM module')" 1
check "and so does install" make "${NONE[@]}" install
check "the rest is there" test -x "$DIR/none/usr/sbin/chariot"
is "the module alone is refused" "$(make "${NONE[@]}" kmod 2>&1 | grep -c '0-none has no KVM module')" 1
mkdir -p "$DIR/none/m"
echo kernel/arch/x86/kvm/kvm.ko >"$DIR/none/m/modules.builtin"
is "KVM that is built in: it says so" "$(make -s -C kmod MODULES="$DIR/none/m" KVER=0-none why | grep -c 'built into kernel 0-none')" 1
is "no headers: it says so" "$(make -s -C kmod KVM_KO=kvm.ko KVER=0-none why | grep -c 'no headers of kernel 0-none')" 1
rm -r "$DIR/none"
# The types of kvm.ko continue those of its own kernel: with another one's there is no
# module, rather than a wrong one.
OTHER=$PWD/.cache/kernels/$NEW/vmlinuz
if [ "$NEW" != "$OLD" ] && [ -f "$OTHER" ]; then
	xz -dcf "$KERNEL"/modules/kernel/arch/x86/kvm/kvm.ko* >"$DIR/kvm.ko"
	is "another kernel's types are refused" "$(.build/kmod/layout "$OTHER" "$DIR/kvm.ko" \
		2>&1 >/dev/null | grep -c "is of $NEW.* is of $OLD")" 1
	check "its own are not" .build/kmod/layout "$KERNEL/vmlinuz" "$DIR/kvm.ko"
	rm -f "$DIR/kvm.ko"
else
	skip "another kernel's types are refused" "no second kernel in .cache"
fi
# Nor are functions that have another prototype there: no header would tell.
mkdir -p "$DIR/l/layout"
sed 's/X(bool, file_is_kvm, struct file \*)/X(int, file_is_kvm, struct file *, u32)/' kmod/proto.h >"$DIR/l/proto.h"
cp kmod/layout/layout.c "$DIR/l/layout/"
xz -dcf "$KERNEL"/modules/kernel/arch/x86/kvm/kvm.ko* >"$DIR/l/kvm.ko"
check "layout.c with another prototype" cc -o "$DIR/l/layout/layout" "$DIR/l/layout/layout.c" \
	-Ilibchariot/include -Ikmod/include/uapi .build/libchariot/libchariot.a \
	-lcapstone -lbpf -lelf -lz -llzma -lzstd -lpthread
is "another prototype is refused" "$("$DIR/l/layout/layout" "$KERNEL/vmlinuz" "$DIR/l/kvm.ko" \
	2>&1 >/dev/null | grep -c 'file_is_kvm is bool (struct file \*) in this kernel, not int')" 1
rm -r "$DIR/l"
check "make uninstall" make "${ARGS[@]}" uninstall
is "nothing is left" "$(find "$DIR" ! -type d)" ""
