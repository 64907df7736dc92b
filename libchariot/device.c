// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Is /dev/chariot there, and if not, what is there to do?  For a person who reads it
 * on a command line.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "internal.h"
#include "vm.h"

/* Does depmod's list for that kernel, below @root, have the module? */
static bool is_built(const char *root, const char *release)
{
	char path[512], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/lib/modules/%s/modules.dep", root, release);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, ":\n")] = 0;
		found = strstr(line, "/kvm_chariot.ko") != NULL;
	}
	if (f)
		fclose(f);
	return found;
}

static bool exists(const char *root, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s", root, name);
	return !access(path, F_OK);
}

/* The first line of a file. */
static const char *read_line(const char *root, const char *name, char *buf, size_t len)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	f = fopen(path, "re");
	if (!f || !fgets(buf, len, f))
		*buf = 0;
	if (f)
		fclose(f);
	return buf;
}

static bool is_locked_down(const char *root)
{
	char line[128];

	read_line(root, "/sys/kernel/security/lockdown", line, sizeof(line));
	return strstr(line, "[integrity]") || strstr(line, "[confidentiality]");
}

const char *device_why(const char *root, const char *release, char *buf, size_t len)
{
	if (!exists(root, "/sys/module/kvm"))
		snprintf(buf, len, "this host runs no KVM: modprobe kvm_amd or kvm_intel (virtualization may be off in the firmware)");
	else if (exists(root, "/sys/module/kvm_chariot"))
		snprintf(buf, len, "the module kvm_chariot is loaded, but has no node here: does udev run, is this a container?");
	else if (!is_built(root, release))
		snprintf(buf, len, "there is no module kvm_chariot for this kernel, %s: dkms autoinstall, or make install in its sources", release);
	else if (is_locked_down(root))
		snprintf(buf, len, "modprobe kvm_chariot: this kernel is locked down (Secure Boot), so the module has to be signed with a key that is enrolled: mokutil --import, dkms");
	else
		snprintf(buf, len, "the module is not loaded: modprobe kvm_chariot (dmesg says why it cannot be)");
	return buf;
}

int device_error(int err)
{
	char why[256];
	struct utsname u;

	if (err == -ENOENT && !uname(&u))
		log_err(DEVICE ": %s: %s", strerror(-err),
			device_why("", u.release, why, sizeof(why)));
	else if (err == -EACCES)
		log_err(DEVICE ": %s: are you root, or in its group, kvm?",
			strerror(-err));
	else
		log_err(DEVICE ": %s", strerror(-err));
	return err;
}

int device_supports(int err)
{
	char line[16];

	if (err != -EOPNOTSUPP)
		return err;
	read_line("", "/sys/module/kvm/parameters/nx_huge_pages", line, sizeof(line));
	if (*line == 'Y')
		log_err("kvm's nx_huge_pages is on, and no driver can be isolated with it: echo off >/sys/module/kvm/parameters/nx_huge_pages, at boot kvm.nx_huge_pages=off");
	return err;
}

int chariot_device_check(void)
{
	return access(DEVICE, R_OK | W_OK) ? device_error(-errno) : 0;
}
