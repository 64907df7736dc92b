// SPDX-License-Identifier: GPL-2.0
/*
 * chariot policy: are policy files right?
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL when it is right; as the guard does, on top of those before it. */
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

static int policy_check(int argc, char **argv)
{
	struct json_object *list;
	const char **good;
	int nr = 0, bad = 0;
	char *why;

	if (parse_args(&argc, argv, NULL, 1, -1))
		return EXIT_USAGE;
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
	free(good);
	out(list, show);
	return bad ? EXIT_FAIL : EXIT_OK;
}

static const struct command commands[] = {
	{ "check", "FILE...", policy_check },
	{},
};

const struct object policy_object = {
	.name = "policy", .summary = "check policy files",
	.commands = commands,
};
