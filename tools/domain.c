// SPDX-License-Identifier: GPL-2.0
/*
 * chariot domain: the drivers that are isolated.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>

static const struct column list_cols[] = {
	{ "pid", "PID", COL_NUMBER }, { "vm", "VM" },
	{ "domain", "DOMAIN", COL_NUMBER }, { "driver", "DRIVER" },
	{ "mode", "MODE" }, { "verdict", "VERDICT", COL_STATE },
	{ "objects", "OBJECTS", COL_NUMBER },
	{ "pages_full", "PAGES", COL_NUMBER },
	{ "pages_shared", "SHARED", COL_NUMBER },
	{ "memory", "MEMORY", COL_SIZE }, {},
};

static const struct column show_cols[] = {
	{ "driver", "Driver" }, { "domain", "Domain" },
	{ "mode", "Mode" }, { "verdict", "Verdict", COL_STATE },
	{ "text", "Text" },
	{ "objects", "Objects in its ACT" },
	{ "pages_full", "Pages wholly its own" },
	{ "pages_shared", "Pages with a byte map" },
	{ "frames", "Calls under way" },
	{ "memory", "Memory of the host", COL_SIZE },
	{ "violations", "Violations" }, {},
};

static const struct column section_cols[] = {
	{ "name", "SECTION" }, { "start", "START" },
	{ "length", "LENGTH", COL_SIZE }, { "access", "DRIVER MAY" }, {},
};

static const struct column act_cols[] = {
	{ "source", "ACT FROM" }, { "objects", "OBJECTS", COL_NUMBER },
	{ "bytes", "BYTES", COL_NUMBER }, {},
};

static void put_domain(struct json_object *o, uint32_t nr,
		       const struct chariot_domain_info *d)
{
	put_u64(o, "domain", nr);
	put_str(o, "driver", d->name);
	put_str(o, "mode", chariot_mode_name(d->mode));
	put_str(o, "verdict", chariot_verdict_name(d->verdict));
	put_hex(o, "text", d->text);
	put_u64(o, "text_length", d->text_len);
	put_u64(o, "objects", d->nr_objects);
	put_u64(o, "pages_full", d->nr_pages_full);
	put_u64(o, "pages_shared", d->nr_pages_shared);
	put_u64(o, "frames", d->nr_frames);
	put_u64(o, "memory", d->memory);
}

/* ---- list --------------------------------------------------------------- */

struct listing {
	struct json_object *list;
	const struct kvm_vm *vm;
};

static int add_domain(struct chariot_vm *vm, uint32_t nr,
		      const struct chariot_domain_info *d, void *ctx)
{
	struct listing *l = ctx;
	struct json_object *o = json_map();

	(void)vm;
	put_u64(o, "pid", l->vm->pid);
	if (l->vm->name[0])
		put_str(o, "vm", l->vm->name);
	put_domain(o, nr, d);
	json_object_array_add(l->list, o);
	return 0;
}

static void show_list(struct json_object *list)
{
	rows(list, list_cols);
}

static int list_all(struct json_object *list)
{
	struct listing l = { .list = list };
	struct kvm_vm *vms = NULL;
	unsigned int hidden;
	struct chariot_vm *vm;
	int nr = vms_find(&vms, &hidden), unseen = hidden;

	for (int i = 0; i < nr; i++) {
		l.vm = &vms[i];
		vm = chariot_vm__attach_pid(vms[i].pid);
		if (!vm || vm_each_domain(vm, add_domain, &l))
			unseen++;
		chariot_vm__free(vm);
	}
	free(vms);
	return nr < 0 ? nr : unseen;
}

static int list_one(struct json_object *list, const char *arg)
{
	struct listing l = { .list = list };
	struct kvm_vm found;
	struct chariot_vm *vm = vm_open(arg, &found);
	int err;

	if (!vm)
		return EXIT_FAIL;
	l.vm = &found;
	err = vm_each_domain(vm, add_domain, &l);
	chariot_vm__free(vm);
	return err ? fail_lib(err, "VM %s", arg) : EXIT_OK;
}

static int domain_list(int argc, char **argv)
{
	struct json_object *list;
	int r;

	if (parse_args(&argc, argv, NULL, 0, 1))
		return EXIT_USAGE;
	list = json_list();
	r = argc ? list_one(list, argv[0]) : list_all(list);
	if (argc && r) {
		json_object_put(list);
		return r;
	}
	out(list, show_list);
	if (!argc && r > 0)
		note("\n%d processes or VMs could not be looked into: see more as root",
		     r);
	return EXIT_OK;
}

/* ---- show --------------------------------------------------------------- */

static const char *access_name(uint32_t kind)
{
	switch (kind) {
	case CHARIOT_RANGE_TEXT:
		return "execute";
	case CHARIOT_RANGE_INIT_TEXT:
		return "execute, until init is done";
	case CHARIOT_RANGE_DATA:
		return "write";
	case CHARIOT_RANGE_INIT_DATA:
		return "write, until init is done";
	}
	return "read";
}

static struct json_object *sections_json(struct chariot_vm *vm,
					 const char *name)
{
	const struct chariot_profile *p = chariot_vm__profile(vm, 0);
	const struct chariot_space *s = chariot_vm__space(vm);
	struct json_object *list = json_list(), *o;
	const struct chariot_section *sec;
	struct chariot_driver *d = NULL;
	uint64_t module = p ? chariot_driver__find(p, s, name) : 0;
	size_t nr = 0;

	if (module)
		d = chariot_driver__from_guest(p, s, module);
	sec = d ? chariot_driver__sections(d, &nr) : NULL;
	for (size_t i = 0; i < nr; i++) {
		o = json_map();
		put_str(o, "name", sec[i].name);
		put_hex(o, "start", sec[i].gva);
		put_u64(o, "length", sec[i].len);
		put_str(o, "access", access_name(sec[i].kind));
		json_object_array_add(list, o);
	}
	chariot_driver__free(d);
	return list;
}

static struct json_object *act_json(struct chariot_vm *vm, uint32_t domain)
{
	struct { uint64_t nr, bytes; } sum[CHARIOT_NR_SRCS] = {};
	struct json_object *list = json_list(), *o;
	struct chariot_object *row = NULL;
	ssize_t nr = chariot_vm__act(vm, domain, &row);

	for (ssize_t i = 0; i < nr; i++) {
		if (row[i].source >= CHARIOT_NR_SRCS)
			continue;
		sum[row[i].source].nr++;
		sum[row[i].source].bytes += row[i].len;
	}
	if (nr >= 0)
		free(row);
	for (uint32_t i = 0; i < CHARIOT_NR_SRCS; i++) {
		if (!sum[i].nr)
			continue;
		o = json_map();
		put_str(o, "source", chariot_source_name(i));
		put_u64(o, "objects", sum[i].nr);
		put_u64(o, "bytes", sum[i].bytes);
		json_object_array_add(list, o);
	}
	return list;
}

static void show_domain(struct json_object *o)
{
	fields(o, show_cols);
	if (json_object_array_length(get(o, "sections"))) {
		putchar('\n');
		rows(get(o, "sections"), section_cols);
	}
	putchar('\n');
	rows(get(o, "act"), act_cols);
}

static int show(struct chariot_vm *vm, const char *driver)
{
	int nr = vm_domain(vm, driver), err;
	struct chariot_domain_info d;
	struct chariot_stats st;
	struct json_object *o;

	if (nr < 0)
		return -nr;
	err = chariot_vm__domain_info(vm, nr, &d);
	if (!err)
		err = chariot_vm__stats(vm, nr, &st);
	if (err)
		return fail_lib(err, "%s", driver);
	o = json_map();
	put_domain(o, nr, &d);
	put_u64(o, "violations", st.violations);
	json_object_object_add(o, "sections", sections_json(vm, d.name));
	json_object_object_add(o, "act", act_json(vm, nr));
	return out(o, show_domain);
}

static int domain_show(int argc, char **argv)
{
	struct chariot_vm *vm;
	int r;

	if (parse_args(&argc, argv, NULL, 2, 2))
		return EXIT_USAGE;
	vm = vm_open(argv[0], NULL);
	if (!vm)
		return EXIT_FAIL;
	r = show(vm, argv[1]);
	chariot_vm__free(vm);
	return r;
}

static const struct command commands[] = {
	{ "list", "[VM]", domain_list },
	{ "show", "VM DRIVER", domain_show },
	{},
};

const struct object domain_object = {
	.name = "domain", .summary = "the drivers that are isolated",
	.commands = commands,
};
