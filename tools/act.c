// SPDX-License-Identifier: GPL-2.0
/*
 * chariot act: what an isolated driver may write.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct column cols[] = {
	{ "address", "ADDRESS" }, { "length", "LENGTH", COL_NUMBER },
	{ "source", "SOURCE" }, { "what", "WHAT" }, {},
};
static const struct column total_cols[] = {
	{ "source", "TOTAL" }, { "objects", "OBJECTS", COL_NUMBER },
	{ "bytes", "BYTES", COL_NUMBER }, {},
};

struct act {
	struct chariot_vm *vm;
	struct chariot_object *row;
	ssize_t nr;
	const char *source;	/* only these, or NULL */
	bool raw;		/* no symbols */
};

static const char *name(const struct act *a, uint64_t addr, char *buf,
			size_t len)
{
	if (!a->raw)
		return chariot_vm__symbolize(a->vm, addr, buf, len);
	snprintf(buf, len, "0x%llx", (unsigned long long)addr);
	return buf;
}

/* "by GATE at SITE", or the symbol that lies there. */
static void put_what(const struct act *a, struct json_object *o,
		     const struct chariot_object *row)
{
	char gate[128], site[128], what[300];

	if (row->gate && row->site)
		snprintf(what, sizeof(what), "by %s at %s",
			 name(a, row->gate, gate, sizeof(gate)),
			 name(a, row->site, site, sizeof(site)));
	else if (row->gate)
		snprintf(what, sizeof(what), "by %s",
			 name(a, row->gate, gate, sizeof(gate)));
	else if (!a->raw)
		name(a, row->gva, what, sizeof(what));
	else
		return;
	/* No symbol lies there: its address is told already. */
	if (strncmp(what, "0x", 2))
		put_str(o, "what", what);
}

static void add_row(const struct act *a, struct json_object *list,
		    const struct chariot_object *row)
{
	struct json_object *o = json_map();

	put_hex(o, "address", row->gva);
	put_u64(o, "length", row->len);
	put_str(o, "source", chariot_source_name(row->source));
	if (row->gate)
		put_hex(o, "gate", row->gate);
	if (row->site)
		put_hex(o, "site", row->site);
	put_what(a, o, row);
	json_object_array_add(list, o);
}

static bool wanted(const struct act *a, const struct chariot_object *row)
{
	return !a->source ||
	       !strcmp(a->source, chariot_source_name(row->source));
}

static void add_total(struct json_object *list, const char *source,
		      uint64_t nr, uint64_t bytes)
{
	struct json_object *o = json_map();

	put_str(o, "source", source);
	put_u64(o, "objects", nr);
	put_u64(o, "bytes", bytes);
	json_object_array_add(list, o);
}

static struct json_object *totals(const struct act *a)
{
	struct json_object *list = json_list();
	uint64_t all = 0, all_bytes = 0, nr, bytes;

	for (uint32_t src = 0; src < CHARIOT_NR_SRCS; src++) {
		nr = bytes = 0;
		for (ssize_t i = 0; i < a->nr; i++) {
			if (a->row[i].source != src || !wanted(a, &a->row[i]))
				continue;
			nr++;
			bytes += a->row[i].len;
		}
		if (nr)
			add_total(list, chariot_source_name(src), nr, bytes);
		all += nr;
		all_bytes += bytes;
	}
	add_total(list, "all", all, all_bytes);
	return list;
}

static void show(struct json_object *o)
{
	rows(get(o, "objects"), cols);
	putchar('\n');
	rows(get(o, "totals"), total_cols);
}

static int print_act(struct act *a, const char *driver)
{
	int domain = vm_domain(a->vm, driver);
	struct json_object *o, *list;

	if (domain < 0)
		return -domain;
	a->nr = chariot_vm__act(a->vm, domain, &a->row);
	if (a->nr < 0)
		return fail_lib(a->nr, "%s", driver);
	o = json_map();
	put_str(o, "driver", driver);
	list = json_list();
	for (ssize_t i = 0; i < a->nr; i++)
		if (wanted(a, &a->row[i]))
			add_row(a, list, &a->row[i]);
	json_object_object_add(o, "objects", list);
	json_object_object_add(o, "totals", totals(a));
	free(a->row);
	return out(o, show);
}

static bool is_source(const char *source)
{
	for (uint32_t i = 0; i < CHARIOT_NR_SRCS; i++)
		if (!strcmp(source, chariot_source_name(i)))
			return true;
	return false;
}

static int act_show(int argc, char **argv)
{
	struct act a = {};
	const struct option_def options[] = {
		{ "raw", OPT_FLAG, &a.raw },
		{ "source", OPT_STRING, &a.source },
		{},
	};
	int r;

	if (parse_args(&argc, argv, options, 2, 2))
		return EXIT_USAGE;
	if (a.source && !is_source(a.source))
		return usage("--source: \"%s\" is none of section, allocation, argument, page-walk, rule, learned, freed, evidence",
			     a.source);
	a.vm = vm_open(argv[0], NULL);
	if (!a.vm)
		return EXIT_FAIL;
	r = print_act(&a, argv[1]);
	chariot_vm__free(a.vm);
	return r;
}

static const struct command commands[] = {
	{ "show", "VM DRIVER [--raw] [--source SOURCE]", act_show },
	{},
};

const struct object act_object = {
	.name = "act", .summary = "what an isolated driver may write",
	.options =
"  --raw            addresses only: no symbols are looked up\n"
"  --source SOURCE  only section, allocation, argument, page-walk, rule, learned,\n"
"                   freed or evidence\n",
	.commands = commands,
};
