// SPDX-License-Identifier: GPL-2.0
/*
 * chariot verdict: what is done about a violation.
 */
#include "cli.h"

#include <errno.h>

static const struct column cols[] = {
	{ "driver", "DRIVER" }, { "domain", "DOMAIN", COL_NUMBER },
	{ "verdict", "VERDICT", COL_STATE }, {},
};

static int add_row(struct chariot_vm *vm, uint32_t nr,
		   const struct chariot_domain_info *d, void *ctx)
{
	struct json_object *o = json_map();

	(void)vm;
	put_str(o, "driver", d->name);
	put_u64(o, "domain", nr);
	put_str(o, "verdict", chariot_verdict_name(d->verdict));
	json_object_array_add(ctx, o);
	return 0;
}

static void show(struct json_object *list)
{
	rows(list, cols);
}

static int print_all(struct chariot_vm *vm)
{
	struct json_object *list = json_list();
	int err = vm_each_domain(vm, add_row, list);

	if (!err)
		return out(list, show);
	json_object_put(list);
	return fail_lib(err, "cannot read the domains");
}

static int print_one(struct chariot_vm *vm, const char *driver)
{
	int nr = vm_domain(vm, driver), err;
	struct chariot_domain_info d;
	struct json_object *list;

	if (nr < 0)
		return -nr;
	err = chariot_vm__domain_info(vm, nr, &d);
	if (err)
		return fail_lib(err, "%s", driver);
	list = json_list();
	add_row(vm, nr, &d, list);
	return out(list, show);
}

static int verdict_show(int argc, char **argv)
{
	struct chariot_vm *vm;
	int r;

	if (parse_args(&argc, argv, NULL, 1, 2))
		return EXIT_USAGE;
	vm = vm_open(argv[0], NULL);
	if (!vm)
		return EXIT_FAIL;
	r = argc > 1 ? print_one(vm, argv[1]) : print_all(vm);
	chariot_vm__free(vm);
	return r;
}

static int set(struct chariot_vm *vm, const char *driver, uint32_t verdict)
{
	int nr = vm_domain(vm, driver), err;

	if (nr < 0)
		return -nr;
	err = chariot_vm__set_verdict(vm, nr, verdict);
	if (err == -EOPNOTSUPP)
		return fail("this version has no verdict %s",
			    chariot_verdict_name(verdict));
	return err ? fail_lib(err, "%s", driver) : print_one(vm, driver);
}

static int verdict_set(int argc, char **argv)
{
	struct chariot_vm *vm;
	int verdict, r;

	if (parse_args(&argc, argv, NULL, 3, 3))
		return EXIT_USAGE;
	verdict = chariot_verdict_by_name(argv[2]);
	/* Only a guard knows what auto is. */
	if (verdict < 0 || verdict == CHARIOT_VERDICT_AUTO)
		return usage("\"%s\" is none of " VERDICTS,
			     argv[2]);
	vm = vm_open(argv[0], NULL);
	if (!vm)
		return EXIT_FAIL;
	r = set(vm, argv[1], verdict);
	chariot_vm__free(vm);
	return r;
}

static const struct command commands[] = {
	{ "show", "VM [DRIVER]", verdict_show },
	{ "set", "VM DRIVER { report | skip | oops | pause | recover }", verdict_set },
	{},
};

const struct object verdict_object = {
	.name = "verdict", .summary = "what is done about a violation",
	.commands = commands,
};
