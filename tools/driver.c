// SPDX-License-Identifier: GPL-2.0
/*
 * chariot driver: a driver as a file.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct column head_cols[] = {
	{ "name", "Driver" }, { "init", "Init" }, { "exit", "Exit" },
	{ "types", "Has types (BTF)" }, {},
};
static const struct column section_cols[] = {
	{ "name", "SECTION" }, { "length", "LENGTH", COL_NUMBER },
	{ "access", "IN ITS VIEW" }, {},
};

static const char *access_name(uint32_t kind)
{
	switch (kind) {
	case CHARIOT_RANGE_TEXT:
	case CHARIOT_RANGE_INIT_TEXT:
		return "execute";
	case CHARIOT_RANGE_DATA:
		return "write";
	case CHARIOT_RANGE_INIT_DATA:
		return "write, until init is done";
	}
	return "read";
}

static struct json_object *sections_json(const struct chariot_driver *d)
{
	struct json_object *list = json_list(), *o;
	const struct chariot_section *sec;
	size_t nr;

	sec = chariot_driver__sections(d, &nr);
	for (size_t i = 0; i < nr; i++) {
		o = json_map();
		put_str(o, "name", sec[i].name);
		put_u64(o, "length", sec[i].len);
		put_str(o, "access", access_name(sec[i].kind));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *names_json(const struct chariot_symbol *v,
				      size_t nr, bool func)
{
	struct json_object *list = json_list();

	for (size_t i = 0; i < nr; i++)
		if (v[i].func == func)
			put_str(list, NULL, v[i].name);
	return list;
}

/* "e1000_init_module" for "init_module": in the file both names are there. */
static const char *own_name(const struct chariot_driver *d, const char *alias)
{
	const struct chariot_symbol *v, *a = NULL;
	size_t nr;

	v = chariot_driver__symbols(d, &nr);
	for (size_t i = 0; i < nr && !a; i++)
		if (!strcmp(v[i].name, alias))
			a = &v[i];
	for (size_t i = 0; a && i < nr; i++)
		if (&v[i] != a && v[i].func && v[i].gva == a->gva &&
		    v[i].size == a->size)
			return v[i].name;
	return a ? alias : NULL;
}

static void put_own_name(struct json_object *o, const char *key,
			 const struct chariot_driver *d, const char *alias)
{
	const char *name = own_name(d, alias);

	if (name)
		put_str(o, key, name);
}

static struct json_object *driver_json(const struct chariot_driver *d)
{
	const struct chariot_symbol *imports, *symbols;
	struct json_object *o = json_map();
	size_t nr_imports, nr_symbols;

	imports = chariot_driver__imports(d, &nr_imports);
	symbols = chariot_driver__symbols(d, &nr_symbols);
	put_str(o, "name", chariot_driver__name(d));
	put_own_name(o, "init", d, "init_module");
	put_own_name(o, "exit", d, "cleanup_module");
	json_object_object_add(o, "sections", sections_json(d));
	json_object_object_add(o, "functions",
			       names_json(symbols, nr_symbols, true));
	json_object_object_add(o, "calls",
			       names_json(imports, nr_imports, true));
	json_object_object_add(o, "uses",
			       names_json(imports, nr_imports, false));
	return o;
}

static void show(struct json_object *o)
{
	fields(o, head_cols);
	putchar('\n');
	rows(get(o, "sections"), section_cols);
	words("Kernel functions it calls", get(o, "calls"));
	words("Kernel data and functions it takes the address of",
	      get(o, "uses"));
	words("Its functions", get(o, "functions"));
}

static int driver_show(int argc, char **argv)
{
	struct chariot_driver *d;
	struct json_object *o;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	d = chariot_driver__from_file(argv[0]);
	if (!d)
		return fail_lib(errno, "%s", argv[0]);
	o = driver_json(d);
	chariot_driver__free(d);
	return out(o, show);
}

static const struct command commands[] = {
	{ "show", "FILE.ko", driver_show },
	{},
};

const struct object driver_object = {
	.name = "driver", .summary = "a driver as a file: what it is made of",
	.commands = commands,
};
