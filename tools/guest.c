// SPDX-License-Identifier: GPL-2.0
/*
 * chariot guest: the guest's kernel, as its memory shows it.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX	4096

struct guest {
	struct chariot_vm *vm;
	const struct chariot_profile *p;
	const struct chariot_space *s;
};

static int open_guest(struct guest *g, const char *arg)
{
	g->vm = vm_open_kernel(arg, &g->p);
	if (!g->vm)
		return EXIT_FAIL;
	g->s = chariot_vm__space(g->vm);
	return EXIT_OK;
}

/* ---- modules ------------------------------------------------------------ */

static const struct column module_cols[] = {
	{ "name", "MODULE" }, { "text", "TEXT" },
	{ "size", "SIZE", COL_SIZE }, { "state", "STATE" },
	{ "users", "USERS", COL_NUMBER }, { "isolated", "ISOLATED" }, {},
};

static bool read_at(const struct guest *g, uint64_t gva, void *buf, size_t len)
{
	return !chariot_space__read(g->s, gva, buf, len);
}

static uint64_t member(const struct guest *g, uint64_t module,
		       const char *path)
{
	uint64_t size = 0, v = 0;
	int64_t at = chariot_profile__member(g->p, "module", path, &size);

	if (at < 0 || !size || size > sizeof(v) ||
	    !read_at(g, module + at, &v, size))
		return 0;
	return v;
}

/* Up to 6.3 two blocks, from 6.4 one for each kind. */
static void put_memory(const struct guest *g, struct json_object *o,
		       uint64_t module)
{
	uint64_t size = member(g, module, "core_layout.size");
	uint64_t text = member(g, module, "core_layout.base");
	char path[24];

	if (!text)
		text = member(g, module, "mem[0].base");
	size += member(g, module, "init_layout.size");
	for (int i = 0; i < 7; i++) {
		snprintf(path, sizeof(path), "mem[%d].size", i);
		size += member(g, module, path);
	}
	put_hex(o, "text", text);
	put_u64(o, "size", size);
}

static const char *state_name(uint64_t state)
{
	static const char *const names[] = {
		"live", "coming", "going", "unformed",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static void add_module(const struct guest *g, struct json_object *list,
		       uint64_t module)
{
	int64_t name_at = chariot_profile__member(g->p, "module", "name",
						  NULL);
	char name[CHARIOT_NAME_LEN + 1] = "";
	struct json_object *o;
	uint64_t refs;

	if (name_at < 0 ||
	    !read_at(g, module + name_at, name, CHARIOT_NAME_LEN))
		return;
	o = json_map();
	put_str(o, "name", name);
	put_hex(o, "module", module);
	put_memory(g, o, module);
	put_str(o, "state", state_name(member(g, module, "state")));
	refs = member(g, module, "refcnt");
	put_u64(o, "users", refs ? refs - 1 : 0);	/* MODULE_REF_BASE */
	put_bool(o, "isolated",
		 chariot_vm__domain_by_name(g->vm, name) > 0);
	json_object_array_add(list, o);
}

static int walk_modules(const struct guest *g, struct json_object *list)
{
	uint64_t head = chariot_profile__symbol(g->p, "modules"), at = head;
	int64_t link = chariot_profile__member(g->p, "module", "list", NULL);

	if (!head || link < 0)
		return -ENOENT;
	for (int i = 0; i < LIST_MAX; i++) {
		if (!read_at(g, at, &at, sizeof(at)))
			return -EFAULT;
		if (at == head)
			return 0;
		add_module(g, list, at - link);
	}
	return -ELOOP;
}

static void show_modules(struct json_object *list)
{
	rows(list, module_cols);
}

static int guest_modules(int argc, char **argv)
{
	struct json_object *list;
	struct guest g;
	int err;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	if (open_guest(&g, argv[0]))
		return EXIT_FAIL;
	list = json_list();
	err = walk_modules(&g, list);
	chariot_vm__free(g.vm);
	if (!err)
		return out(list, show_modules);
	json_object_put(list);
	return fail_lib(err, "cannot read the guest's list of modules");
}

/* ---- symbols ------------------------------------------------------------ */

static const struct column symbol_cols[] = {
	{ "address", "ADDRESS" }, { "symbol", "SYMBOL" },
	{ "size", "SIZE", COL_NUMBER }, {},
};

/* With or without 0x. */
static bool parse_address(const char *text, uint64_t *addr)
{
	char *end;

	if (!strncmp(text, "0x", 2))
		return parse_u64(text, addr);
	errno = 0;
	*addr = strtoull(text, &end, 16);
	return strlen(text) == 16 && !errno && !*end && *addr >= KERNEL_HALF;
}

static bool add_address(const struct guest *g, struct json_object *list,
			uint64_t addr)
{
	struct json_object *o = json_map();
	char buf[256];

	chariot_vm__symbolize(g->vm, addr, buf, sizeof(buf));
	put_hex(o, "address", addr);
	if (strncmp(buf, "0x", 2))
		put_str(o, "symbol", buf);
	json_object_array_add(list, o);
	return strncmp(buf, "0x", 2);
}

static bool add_symbol(const struct guest *g, struct json_object *list,
		       const char *name)
{
	uint64_t addr = chariot_profile__symbol(g->p, name), next;
	struct json_object *o;

	if (!addr)
		return false;
	o = json_map();
	put_hex(o, "address", addr);
	put_str(o, "symbol", name);
	next = chariot_profile__next(g->p, addr);
	if (next > addr)
		put_u64(o, "size", next - addr);
	json_object_array_add(list, o);
	return true;
}

static void show_symbols(struct json_object *list)
{
	rows(list, symbol_cols);
}

static int look_up(const struct guest *g, int nr, char **names)
{
	struct json_object *list = json_list();
	const char *missing = NULL;
	uint64_t addr;
	bool ok;

	for (int i = 0; i < nr; i++) {
		ok = parse_address(names[i], &addr) ?
		     add_address(g, list, addr) :
		     add_symbol(g, list, names[i]);
		if (!ok && !missing)
			missing = names[i];
	}
	if (missing && (cli.json || !json_object_array_length(list))) {
		json_object_put(list);
		return fail("this kernel has no symbol for %s", missing);
	}
	out(list, show_symbols);
	return missing ? fail("this kernel has no symbol for %s", missing) :
	       EXIT_OK;
}

static int guest_symbols(int argc, char **argv)
{
	struct guest g;
	int r;

	if (parse_args(&argc, argv, NULL, 2, -1))
		return EXIT_USAGE;
	if (open_guest(&g, argv[0]))
		return EXIT_FAIL;
	r = look_up(&g, argc - 1, argv + 1);
	chariot_vm__free(g.vm);
	return r;
}

static const struct command commands[] = {
	{ "modules", "VM", guest_modules },
	{ "symbols", "VM { NAME | ADDR }...", guest_symbols },
	{},
};

const struct object guest_object = {
	.name = "guest", .summary = "modules and symbols of the guest's kernel",
	.commands = commands,
};
