// SPDX-License-Identifier: GPL-2.0
/*
 * The VM that the user names, and its domains.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROFILE_MS	10000
#define NR_DOMAINS	32

/* ---- the VM that the user means ----------------------------------------- */

static int match(const struct kvm_vm *vms, int nr, const char *arg,
		 const struct kvm_vm **found)
{
	char name[VM_NAME_LEN];
	int matches = 0;
	uint64_t pid;

	/* As long and as printable as names of VMs are. */
	snprintf(name, sizeof(name), "%s", arg);
	chariot_printable(name);
	if (!parse_u64(arg, &pid))
		pid = 0;
	for (int i = 0; i < nr; i++) {
		if (strcmp(vms[i].name, name) && (uint64_t)vms[i].pid != pid)
			continue;
		*found = &vms[i];
		matches++;
	}
	return matches;
}

static int find_vm(const char *arg, struct kvm_vm *found)
{
	const struct kvm_vm *one = NULL;
	struct kvm_vm *vms = NULL;
	unsigned int hidden;
	int nr = vms_find(&vms, &hidden), r = EXIT_OK;

	if (nr < 0)
		return fail_lib(nr, "/proc");
	nr = match(vms, nr, arg, &one);
	if (nr == 1)
		*found = *one;
	else if (nr)
		r = fail("%d VMs have %s for their name or process id: use an id that is no name",
			 nr, arg);
	else if (hidden)
		r = fail("no VM %s (%u processes cannot be looked into: are you root?)",
			 arg, hidden);
	else
		r = fail("no KVM VM \"%s\", see: chariot vm list", arg);
	free(vms);
	return r;
}

struct chariot_vm *vm_open(const char *arg, struct kvm_vm *found)
{
	struct chariot_vm *vm;
	struct kvm_vm mine;

	if (!found)
		found = &mine;
	if (find_vm(arg, found))
		return NULL;
	vm = chariot_vm__attach_pid(found->pid);
	if (!vm)
		fail_lib(errno, "VM %s", arg);
	return vm;
}

struct chariot_vm *vm_open_kernel(const char *arg,
				  const struct chariot_profile **profile)
{
	struct chariot_vm *vm = vm_open(arg, NULL);

	if (!vm)
		return NULL;
	*profile = chariot_vm__profile(vm, PROFILE_MS);
	if (*profile)
		return vm;
	if (errno == ETIMEDOUT)
		fail("VM %s: no 64-bit Linux kernel was seen running in %d s",
		     arg, PROFILE_MS / 1000);
	else
		fail_lib(errno, "VM %s: cannot read its kernel", arg);
	chariot_vm__free(vm);
	return NULL;
}

bool device_missing(void)
{
	int err = chariot_device_check();

	if (err != -ENOENT)
		return false;
	fail("%s", lib_said());
	return true;
}

/* ---- domains ------------------------------------------------------------ */

int vm_each_domain(struct chariot_vm *vm,
		   int (*fn)(struct chariot_vm *vm, uint32_t nr,
			     const struct chariot_domain_info *d, void *ctx),
		   void *ctx)
{
	struct chariot_domain_info d;
	struct chariot_vm_info info;
	int r = chariot_vm__info(vm, &info);

	for (uint32_t nr = 1; !r && nr < NR_DOMAINS; nr++) {
		if (!(info.domains & 1U << nr))
			continue;
		r = chariot_vm__domain_info(vm, nr, &d);
		if (r == -ENOENT)	/* went just now */
			r = 0;
		else if (!r)
			r = fn(vm, nr, &d, ctx);
	}
	return r;
}

static int add_name(struct chariot_vm *vm, uint32_t nr,
		    const struct chariot_domain_info *d, void *ctx)
{
	(void)vm;
	(void)nr;
	put_str(ctx, NULL, d->name);
	return 0;
}

struct json_object *vm_domain_names(struct chariot_vm *vm,
				    const struct chariot_vm_info *info)
{
	struct json_object *list = json_list();

	if (info->domains)
		vm_each_domain(vm, add_name, list);
	return list;
}

int vm_domain(struct chariot_vm *vm, const char *driver)
{
	int nr = chariot_vm__domain_by_name(vm, driver);

	if (nr > 0)
		return nr;
	if (nr == -ENOENT)
		return -fail("%s is not isolated in this VM, see: chariot domain list",
			     driver);
	return -fail_lib(nr, "%s", driver);
}

const char *vm_state_name(const struct chariot_vm_info *info)
{
	switch (info->state) {
	case CHARIOT_VM_DEAD:
		return "dead";
	case CHARIOT_VM_ISOLATING:
		return "isolating";
	}
	/* Attaching made us its only handle. */
	return info->nr_handles > 1 ? "plain" : "not attached";
}
