// SPDX-License-Identifier: GPL-2.0
/*
 * chariot policy: are policy files right?
 */
#include "cli.h"
#include "grants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is wrong with the last of @nr files, to be freed, or NULL.  As in a guard it is loaded
 * on top of those before it, which may change what it means. */
static char *check(const char **files, int nr)
{
	const char *said, *last = files[nr];
	struct chariot_policy *p;
	char *why = NULL;

	files[nr] = NULL;
	p = chariot_policy__load(files);
	files[nr] = last;
	if (!p) {
		said = lib_said();
		why = strdup(said ? said : strerror(errno));
	}
	chariot_policy__free(p);
	return why;
}

static void add_result(struct json_object *list, const char *file,
		       const char *why)
{
	struct json_object *o = json_map();

	put_str(o, "file", file);
	put_bool(o, "ok", !why);
	if (why)
		put_str(o, "error", why);
	json_object_array_add(list, o);
}

static void show(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (get(o, "error"))
			fprintf(stderr, "%s\n", get_str(o, "error"));
		else
			printf("%s: ok\n", get_str(o, "file"));
	}
}

static const struct column grant_cols[] = {
	{ "what", "DRIVER" }, { "function", "FUNCTION" },
	{ "actions", "ACTIONS" }, {},
};

static void show_grants(struct json_object *list)
{
	rows(list, grant_cols);
}

static int check_grants(const char *const *files, const char *kernel,
			const char *driver)
{
	struct chariot_policy *p = chariot_policy__load(files);
	struct json_object *list;

	if (!p)
		return fail_lib(errno, "policy");
	list = grants_json(p, kernel, driver);
	chariot_policy__free(p);
	return list ? out(list, show_grants) : EXIT_FAIL;
}

static int policy_check(int argc, char **argv)
{
	const char *kernel = NULL, *driver = NULL;
	const struct option_def options[] = {
		{ "kernel", OPT_STRING, &kernel },
		{ "driver", OPT_STRING, &driver },
		{},
	};
	struct json_object *list;
	const char **good;
	int nr = 0, bad = 0;
	char *why;

	if (parse_args(&argc, argv, options, 0, -1))
		return EXIT_USAGE;
	if (!kernel != !driver)
		return usage("--kernel and --driver go together");
	if (!kernel && !argc)
		return usage("no policy file");
	good = calloc(argc + 1, sizeof(*good));
	if (!good)
		return fail_lib(ENOMEM, "policy");
	list = json_list();
	for (int i = 0; i < argc; i++) {
		good[nr] = argv[i];
		why = check(good, nr + 1);
		add_result(list, argv[i], why);
		/* One that is wrong does not spoil the others. */
		if (why)
			bad++;
		else
			nr++;
		free(why);
	}
	if (kernel && !bad) {
		json_object_put(list);
		bad = check_grants(good, kernel, driver);
		free(good);
		return bad;
	}
	free(good);
	out(list, show);
	return bad ? EXIT_FAIL : EXIT_OK;
}

static const struct command commands[] = {
	{ "check", "[FILE]... [--kernel FILE --driver FILE.ko]", policy_check },
	{ "learn", "VM DRIVER [--timeout S]", policy_learn },
	{},
};

const struct object policy_object = {
	.name = "policy", .summary = "check policy files, propose rules",
	.options =
"  --kernel FILE      vmlinuz or vmlinux, and\n"
"  --driver FILE.ko   a module of it: show what is granted to it. Without a policy\n"
"                     file: by the built-in one\n"
"  --timeout S        end after S seconds\n",
	.commands = commands,
};
