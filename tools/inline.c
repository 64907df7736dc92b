// SPDX-License-Identifier: GPL-2.0
/*
 * chariot driver inline: what mode inline would make of a driver.
 */
#include "cli.h"
#include "inline.h"

#include <chariot-inline.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct column total_cols[] = {
	{ "name", "Driver" }, { "build_id", "Build-id" },
	{ "functions", "Functions" }, { "refused", "Refused" },
	{ "instructions", "Instructions" }, { "stores", "Stores" },
	{ "checks", "Checked" }, { "merged", "Merged" },
	{ "spilled", "That save registers" }, { "text", "Code", COL_SIZE },
	{ "new_text", "Code then", COL_SIZE }, { "growth", "Growth" }, {},
};
static const struct column refused_cols[] = {
	{ "function", "REFUSED" }, { "length", "LENGTH", COL_NUMBER }, { "why", "WHY" }, {},
};

static struct json_object *function_json(const struct chariot_inline_function *f)
{
	struct json_object *o = json_map();

	put_str(o, "function", f->name);
	put_u64(o, "length", f->len);
	put_u64(o, "new_length", f->new_len);
	put_u64(o, "checks", f->checks);
	put_u64(o, "merged", f->merged);
	put_u64(o, "spilled", f->spilled);
	put_u64(o, "frame", f->frame);
	put_u64(o, "own", f->own);
	put_u64(o, "percpu", f->percpu);
	put_bool(o, "entry", f->entry);
	if (f->why)
		put_str(o, "why", f->why);
	return o;
}

static struct json_object *inline_json(const struct chariot_driver *d,
				       const struct chariot_inline *x)
{
	struct json_object *o = json_map(), *list = json_list();
	const struct chariot_inline_function *f;
	struct chariot_inline_totals t;
	char growth[32];
	size_t nr;

	chariot_inline__totals(x, &t);
	put_str(o, "name", chariot_driver__name(d));
	if (*chariot_driver__build_id(d))
		put_str(o, "build_id", chariot_driver__build_id(d));
	put_u64(o, "functions", t.functions);
	put_u64(o, "refused", t.refused);
	put_u64(o, "instructions", t.instructions);
	put_u64(o, "stores", t.stores);
	put_u64(o, "checks", t.checks);
	put_u64(o, "merged", t.merged);
	put_u64(o, "spilled", t.spilled);
	put_u64(o, "text", t.text);
	put_u64(o, "new_text", t.new_text);
	snprintf(growth, sizeof(growth), "x%.2f",
		 t.text ? (double)t.new_text / t.text : 1.0);
	put_str(o, "growth", growth);
	f = chariot_inline__functions(x, &nr);
	for (size_t i = 0; i < nr; i++)
		json_object_array_add(list, function_json(&f[i]));
	json_object_object_add(o, "list", list);
	return o;
}

static void show(struct json_object *o)
{
	struct json_object *all = get(o, "list"), *refused = json_list(), *f;

	fields(o, total_cols);
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		f = json_object_array_get_idx(all, i);
		if (get(f, "why"))
			json_object_array_add(refused, json_object_get(f));
	}
	if (json_object_array_length(refused)) {
		putchar('\n');
		rows(refused, refused_cols);
	}
	json_object_put(refused);
}

int driver_inline(int argc, char **argv)
{
	/* What is shown does not depend on where that variable is. */
	struct chariot_inline_opts opts = { .sz = sizeof(opts), .this_cpu_off = 0 };
	struct chariot_driver *d;
	struct chariot_inline *x;
	struct json_object *o;
	const void *file;
	size_t len;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	d = chariot_driver__from_file(argv[0]);
	if (!d)
		return fail_lib(errno, "%s", argv[0]);
	file = chariot_driver__file(d, &len);
	x = chariot_inline__rewrite(file, len, &opts);
	if (!x) {
		int err = errno;

		chariot_driver__free(d);
		return fail_lib(err, "%s", argv[0]);
	}
	o = inline_json(d, x);
	chariot_inline__free(x);
	chariot_driver__free(d);
	return out(o, show);
}
