// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is told when there is no /dev/chariot, by what a made-up root has. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tap.h"
#include "vm.h"

static char root[] = "/tmp/chariot-device.XXXXXX";

static void make_dir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", root, name);
	mkdir(path, 0755);
}

static void make_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static bool says(const char *what)
{
	char why[256];

	return strstr(device_why(root, "6.1.0-9", why, sizeof(why)), what) != NULL;
}

int main(void)
{
	char command[64];

	tap_ok(mkdtemp(root), "a root");
	tap_ok(says("runs no KVM: modprobe kvm_amd or kvm_intel"), "no KVM");
	make_dir("/sys");
	make_dir("/sys/module");
	make_dir("/sys/module/kvm");
	tap_ok(says("no module kvm_chariot for this kernel, 6.1.0-9: "), "no modules at all");
	make_dir("/lib");
	make_dir("/lib/modules");
	make_dir("/lib/modules/6.1.0-9");
	make_file("/lib/modules/6.1.0-9/modules.dep", "kernel/a.ko: kernel/kvm_chariot.kox\n");
	tap_ok(says("dkms autoinstall, or make install"), "a kernel without the module");
	make_file("/lib/modules/6.1.0-9/modules.dep",
		  "kernel/a.ko: kernel/b.ko\nupdates/dkms/kvm_chariot.ko.xz: kernel/kvm.ko\n");
	tap_ok(says("is not loaded: modprobe kvm_chariot"), "not loaded");
	make_dir("/sys/kernel");
	make_dir("/sys/kernel/security");
	make_file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	tap_ok(says("is not loaded"), "lockdown is off");
	make_file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	tap_ok(says("has to be signed with a key that is enrolled"), "Secure Boot");
	make_dir("/sys/module/kvm_chariot");
	tap_ok(says("is loaded, but has no node here"), "loaded, and no node");
	snprintf(command, sizeof(command), "rm -r %s", root);
	tap_ok(!system(command), "and away");
	return tap_done();
}
