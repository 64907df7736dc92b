/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM handle, as vm.c, symbolize.c and guard.c share it.
 */
#ifndef CHARIOT_VM_H
#define CHARIOT_VM_H

#include "internal.h"

struct object;
struct object_index;

#define DEVICE		"/dev/chariot"
#define NR_DOMAINS	32		/* numbers are bits of vm_info.domains */

struct vm_module {			/* a driver that addresses were found in */
	struct vm_module *next;
	uint64_t gva;			/* of its struct module */
	struct chariot_driver *driver;	/* NULL: it cannot be read */
};

struct vm_event {			/* read while something else was awaited */
	struct vm_event *next;
	struct chariot_event ev;
};

struct chariot_vm {
	int fd;
	struct chariot_space space;
	struct chariot_profile *profile;
	struct vm_module *modules;
	struct vm_event *queue, **tail;
	struct object_index *objects;	/* NULL: not needed yet */
	char names[NR_DOMAINS][CHARIOT_NAME_LEN];
};

/* Tell why it cannot be opened, and what to do; returns @err. */
int device_error(int err);
/* Tell it if @err is that the host's KVM is set up in a way that is not supported;
 * returns @err. */
int device_supports(int err);
/* Why it is not there, for a kernel @release; @root is "" but in tests.  Returns @buf. */
const char *device_why(const char *root, const char *release, char *buf, size_t len);

/* All ioctls go through here: tests put a mock in its place. */
extern int (*vm_ioctl)(int fd, unsigned long cmd, void *arg);
/* 0 or a positive result, or -errno. */
int vm_call(int fd, unsigned long cmd, void *arg);

/* Takes @fd over, a handle. */
struct chariot_vm *vm_new(int fd);
int vm_watch(struct chariot_vm *vm, uint32_t flags, uint32_t timeout_ms,
	     uint64_t load_gva, uint64_t image_gva, uint64_t image_site);
int vm_continue(struct chariot_vm *vm, uint64_t seq, uint32_t flags);
/* Answers to an IMAGE event: CHARIOT_CONTINUE_RETURN, CHARIOT_CALL. */
int vm_return(struct chariot_vm *vm, uint64_t seq, uint64_t value);
int vm_call_guest(struct chariot_vm *vm, uint64_t seq, uint64_t fn,
		  const uint64_t arg[6], uint64_t cookie);
/* From what the last KERNEL or LOAD event told; -EAGAIN: none yet. */
int vm_make_profile(struct chariot_vm *vm, uint64_t lstar);
/* The guest's kernel is another one now, or its modules are. */
void vm_forget_modules(struct chariot_vm *vm);
void vm_forget_kernel(struct chariot_vm *vm);
/* symbolize.c: the module that @addr is in; NULL: none, or it cannot be read. */
const struct chariot_driver *vm_module_at(struct chariot_vm *vm, uint64_t addr);
/* Name of a domain, "domain 3" when it has gone. */
const char *vm_domain_name(struct chariot_vm *vm, uint32_t domain, char *buf,
			   size_t len);

/* What lies at an address, as object_at(); -EAGAIN: the kernel is not known yet. */
int vm_object_at(struct chariot_vm *vm, uint64_t gva, struct object *o);

#endif
