// SPDX-License-Identifier: GPL-2.0
/*
 * chariot profile: what a kernel's file tells of its symbols and types.
 */
#include "cli.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>

static const struct column head_cols[] = {
	{ "release", "Release" }, { "build_id", "Build-id" },
	{ "symbols", "Symbols" }, { "types", "Types (BTF)" },
	{ "types_size", "Size of the types", COL_SIZE },
	{ "text", "Text at" }, { "text_size", "Size of text", COL_SIZE },
	{ "image_size", "Size in memory", COL_SIZE }, {},
};
static const struct column size_cols[] = {
	{ "type", "STRUCT" }, { "size", "SIZE", COL_NUMBER }, {},
};

static void put_difference(struct json_object *o, const char *key,
			   const struct chariot_profile *p, const char *from,
			   const char *to)
{
	uint64_t a = chariot_profile__symbol(p, from);
	uint64_t b = chariot_profile__symbol(p, to);

	if (a && b > a)
		put_u64(o, key, b - a);
}

static struct json_object *sizes_json(const struct chariot_profile *p)
{
	static const char *const types[] = {
		"module", "page", "task_struct", "net_device", "sk_buff",
		"pci_dev", "device", "request", "scsi_cmnd",
	};
	struct json_object *list = json_list(), *o;
	int64_t size;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		size = chariot_profile__type_size(p, types[i]);
		if (size < 0)
			continue;
		o = json_map();
		put_str(o, "type", types[i]);
		put_u64(o, "size", size);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *profile_json(const struct chariot_profile *p)
{
	const struct btf *btf = chariot_profile__btf(p);
	struct json_object *o = json_map();
	uint32_t size = 0;

	put_str(o, "release", chariot_profile__release(p));
	put_str(o, "build_id", chariot_profile__build_id(p));
	put_u64(o, "symbols", chariot_profile__nr_symbols(p));
	if (btf) {
		btf__raw_data(btf, &size);
		put_u64(o, "types", btf__type_cnt(btf) - 1);
		put_u64(o, "types_size", size);
	}
	put_hex(o, "text", chariot_profile__symbol(p, "_text"));
	put_difference(o, "text_size", p, "_text", "_etext");
	put_difference(o, "image_size", p, "_text", "_end");
	json_object_object_add(o, "sizes", sizes_json(p));
	return o;
}

static void show(struct json_object *o)
{
	fields(o, head_cols);
	putchar('\n');
	rows(get(o, "sizes"), size_cols);
}

static int profile_show(int argc, char **argv)
{
	struct chariot_profile *p;
	struct json_object *o;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	p = chariot_profile__from_file(argv[0]);
	if (!p)
		return fail_lib(errno, "%s", argv[0]);
	o = profile_json(p);
	chariot_profile__free(p);
	return out(o, show);
}

static const struct command commands[] = {
	{ "show", "FILE", profile_show },
	{},
};

const struct object profile_object = {
	.name = "profile", .summary = "symbols and types in a vmlinuz or vmlinux",
	.commands = commands,
};
