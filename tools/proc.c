// SPDX-License-Identifier: GPL-2.0
/*
 * KVM VMs of this host, as /proc shows them.
 */
#include "cli.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CMDLINE_MAX	65536

/* ---- command lines ------------------------------------------------------ */

/* NUL-separated words, two NULs at the end; free() it. */
static char *read_cmdline(pid_t pid)
{
	char path[64], *text = malloc(CMDLINE_MAX + 2);
	ssize_t n = 0, at = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (text && fd >= 0 && at < CMDLINE_MAX &&
	       (n = read(fd, text + at, CMDLINE_MAX - at)) > 0)
		at += n;
	if (fd >= 0)
		close(fd);
	if (!text)
		return NULL;
	text[at] = text[at + 1] = 0;
	return text;
}

static const char *next_word(const char *word)
{
	return word + strlen(word) + 1;
}

/* QEMU's own syntax: "guest=NAME,..." or "NAME,..."; ",," is a comma. */
static void parse_name(char *dst, size_t len, const char *arg)
{
	const char *guest = strstr(arg, "guest=");
	size_t at = 0;

	if (guest && (guest == arg || guest[-1] == ','))
		arg = guest + 6;
	else if (strcspn(arg, "=") < strcspn(arg, ","))
		return;		/* "process=..." alone */
	for (; *arg && at + 1 < len; arg++) {
		if (*arg == ',' && *++arg != ',')
			break;
		dst[at++] = *arg;
	}
	dst[at] = 0;
}

static bool says_kvm(const char *arg, const char *value)
{
	return !strcmp(arg, "-enable-kvm") || !strcmp(arg, "--enable-kvm") ||
	       ((!strcmp(arg, "-accel") || !strcmp(arg, "--accel")) &&
		!strncmp(value, "kvm", 3)) ||
	       strstr(arg, "accel=kvm");
}

/* True: its command line asks for KVM. */
static bool read_command(struct kvm_vm *vm)
{
	char *text = read_cmdline(vm->pid);
	const char *w = text;
	bool kvm = false;

	for (; w && *w; w = next_word(w)) {
		if (!strcmp(w, "-name") || !strcmp(w, "--name"))
			parse_name(vm->name, sizeof(vm->name), next_word(w));
		kvm |= says_kvm(w, next_word(w));
	}
	/* Any user's process may say that it is a VM. */
	chariot_printable(vm->name);
	free(text);
	return kvm;
}

/* ---- descriptors -------------------------------------------------------- */

/* 1: has a VM, 0: has none, -errno. */
static int read_descriptors(struct kvm_vm *vm)
{
	char path[300], link[64];
	struct dirent *e;
	bool found = false;
	DIR *dir;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd", vm->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", vm->pid,
			 e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = 0;
		found |= !strcmp(link, "anon_inode:kvm-vm");
		vm->vcpus += !strncmp(link, "anon_inode:kvm-vcpu:", 20);
	}
	closedir(dir);
	return found;
}

/* Is it a VM, as far as can be seen? */
static bool look_at(struct kvm_vm *vm, pid_t pid, unsigned int *hidden)
{
	int r;

	*vm = (struct kvm_vm){ .pid = pid };
	r = read_descriptors(vm);
	if (r > 0) {
		vm->readable = true;
		read_command(vm);
		return true;
	}
	if (r != -EACCES && r != -EPERM)
		return false;
	if (read_command(vm))
		return true;
	(*hidden)++;
	return false;
}

static int by_pid(const void *a, const void *b)
{
	const struct kvm_vm *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int vms_find(struct kvm_vm **vms, unsigned int *hidden)
{
	struct kvm_vm *v = NULL, *more, vm;
	DIR *dir = opendir("/proc");
	struct dirent *e;
	int nr = 0;

	*hidden = 0;
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (!isdigit((unsigned char)e->d_name[0]) ||
		    !look_at(&vm, atoi(e->d_name), hidden))
			continue;
		more = realloc(v, (nr + 1) * sizeof(*v));
		if (!more)
			break;
		v = more;
		v[nr++] = vm;
	}
	closedir(dir);
	if (nr)
		qsort(v, nr, sizeof(*v), by_pid);
	*vms = v;
	return nr;
}
