// SPDX-License-Identifier: GPL-2.0
/*
 * chariot vm: the KVM VMs of this host.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct column list_cols[] = {
	{ "pid", "PID", COL_NUMBER }, { "name", "NAME" },
	{ "state", "STATE", COL_STATE }, { "vcpus", "VCPUS", COL_NUMBER },
	{ "domains", "DOMAINS" }, {},
};

static const struct column show_cols[] = {
	{ "pid", "Process" }, { "name", "Name" },
	{ "state", "State", COL_STATE }, { "vcpus", "vCPUs" },
	{ "kernel", "Guest kernel" }, { "build_id", "Build-id" },
	{ "watch", "Waits for" }, { "handles", "Other handles" },
	{ "domains", "Domains" }, {},
};

static const struct column audit_cols[] = {
	{ "checked", "Mappings" }, { "bad", "Bad" }, { "gpa", "First" },
	{ "size", "Size" }, { "view", "View" }, { "access", "Should not" }, {},
};

static struct json_object *vm_json(const struct kvm_vm *v)
{
	struct json_object *o = json_map();

	put_u64(o, "pid", v->pid);
	if (v->name[0])
		put_str(o, "name", v->name);
	return o;
}

/* What only the module knows. */
static void put_state(struct json_object *o, struct chariot_vm *vm,
		      struct chariot_vm_info *info)
{
	if (!vm || chariot_vm__info(vm, info)) {
		put_str(o, "state", "unknown");
		return;
	}
	put_str(o, "state", vm_state_name(info));
	put_u64(o, "vcpus", info->nr_vcpus);
	json_object_object_add(o, "domains", vm_domain_names(vm, info));
}

/* ---- list --------------------------------------------------------------- */

static int add_vm(struct json_object *list, const struct kvm_vm *v)
{
	struct json_object *o = vm_json(v);
	struct chariot_vm_info info;
	struct chariot_vm *vm = NULL;

	if (v->readable)
		vm = chariot_vm__attach_pid(v->pid);
	if (v->readable)
		put_u64(o, "vcpus", v->vcpus);
	if (vm)
		put_state(o, vm, &info);
	else
		put_str(o, "state", "unknown");
	chariot_vm__free(vm);
	json_object_array_add(list, o);
	return !vm;
}

static void show_list(struct json_object *list)
{
	rows(list, list_cols);
}

static int vm_list(int argc, char **argv)
{
	struct json_object *list;
	unsigned int hidden;
	struct kvm_vm *vms = NULL;
	int nr, unknown = 0;

	if (parse_args(&argc, argv, NULL, 0, 0))
		return EXIT_USAGE;
	if (device_missing())
		return EXIT_FAIL;
	nr = vms_find(&vms, &hidden);
	if (nr < 0)
		return fail_lib(nr, "/proc");
	list = json_list();
	for (int i = 0; i < nr; i++)
		unknown += add_vm(list, &vms[i]);
	free(vms);
	out(list, show_list);
	if (unknown)
		note("\n%d of these could not be asked for their state: it takes root, or read and\nwrite access to /dev/chariot and the right to trace the VM's process",
		     unknown);
	if (hidden)
		note("\n%u processes of other users could not be looked into: see more as root",
		     hidden);
	return EXIT_OK;
}

/* ---- show --------------------------------------------------------------- */

static const char *watch_name(uint32_t watch)
{
	if (watch & CHARIOT_WATCH_LOAD)
		return "drivers that the guest loads";
	return watch & CHARIOT_WATCH_KERNEL ? "the guest's kernel" : "nothing";
}

static void put_kernel(struct json_object *o, struct chariot_vm *vm,
		       const struct chariot_vm_info *info)
{
	const struct chariot_profile *p = NULL;

	if (info->lstar)
		p = chariot_vm__profile(vm, 0);
	if (!p)
		return;
	put_str(o, "kernel", chariot_profile__release(p));
	put_str(o, "build_id", chariot_profile__build_id(p));
}

static void show_vm(struct json_object *o)
{
	fields(o, show_cols);
}

static int vm_show(int argc, char **argv)
{
	struct chariot_vm_info info = {};
	struct chariot_vm *vm;
	struct json_object *o;
	struct kvm_vm v;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	vm = vm_open(argv[0], &v);
	if (!vm)
		return EXIT_FAIL;
	o = vm_json(&v);
	put_state(o, vm, &info);
	put_kernel(o, vm, &info);
	put_str(o, "watch", watch_name(info.watch));
	put_u64(o, "handles", info.nr_handles ? info.nr_handles - 1 : 0);
	chariot_vm__free(vm);
	return out(o, show_vm);
}

/* ---- audit ---------------------------------------------------------------- */

static void put_first_bad(struct json_object *o, const struct chariot_audit *a)
{
	static const char *const size[] = { "?", "4K", "2M", "1G" };
	bool write = a->access & CHARIOT_AUDIT_WRITE;
	bool exec = a->access & CHARIOT_AUDIT_EXEC;

	put_hex(o, "gpa", a->gpa);
	put_str(o, "size", size[a->level < ARRAY_SIZE(size) ? a->level : 0]);
	put_u64(o, "view", a->view);
	put_str(o, "access", write && exec ? "write, execute" :
		write ? "write" : "execute");
}

static void show_audit(struct json_object *o)
{
	fields(o, audit_cols);
}

static int vm_audit(int argc, char **argv)
{
	struct chariot_audit a = { .argsz = sizeof(a) };
	struct json_object *o;
	struct chariot_vm *vm;
	int err;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	vm = vm_open(argv[0], NULL);
	if (!vm)
		return EXIT_FAIL;
	err = ioctl(chariot_vm__fd(vm), CHARIOT_AUDIT, &a) < 0 ? errno : 0;
	chariot_vm__free(vm);
	if (err)
		return fail_lib(err, "audit of %s", argv[0]);
	o = json_map();
	put_u64(o, "checked", a.checked);
	put_u64(o, "bad", a.bad);
	if (a.bad)
		put_first_bad(o, &a);
	return out(o, show_audit) ?: a.bad ? EXIT_FAIL : EXIT_OK;
}

/* ---- continue ----------------------------------------------------------- */

static int vm_continue(int argc, char **argv)
{
	struct chariot_continue c = { .argsz = sizeof(c) };
	struct chariot_vm *vm;
	uint64_t seq;
	int r = EXIT_OK;

	if (parse_args(&argc, argv, NULL, 2, 2))
		return EXIT_USAGE;
	if (!parse_u64(argv[1], &seq))
		return usage("\"%s\" is no number of an event", argv[1]);
	vm = vm_open(argv[0], NULL);
	if (!vm)
		return EXIT_FAIL;
	c.seq = seq;
	if (ioctl(chariot_vm__fd(vm), CHARIOT_CONTINUE, &c) < 0)
		r = errno == ENOENT ?
		    fail("no vCPU waits for event %s", argv[1]) :
		    fail_lib(errno, "event %s", argv[1]);
	chariot_vm__free(vm);
	return r ? r : out(json_map(), NULL);
}

static const struct command commands[] = {
	{ "list", "", vm_list },
	{ "show", "VM", vm_show },
	{ "audit", "VM", vm_audit },
	{ "continue", "VM SEQ", vm_continue },
	{},
};

const struct object vm_object = {
	.name = "vm", .summary = "the KVM VMs of this host",
	.commands = commands,
};
