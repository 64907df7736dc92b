// SPDX-License-Identifier: GPL-2.0
/*
 * chariot driver: a driver as a file, and what is known of builds of drivers.
 */
#include "cli.h"
#include "inline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_ID	12	/* digits of a build-id, for people */
#define MIN_ID		8	/* that name a build */

static const struct column head_cols[] = {
	{ "name", "Driver" }, { "build_id", "Build-id" }, { "init", "Init" },
	{ "exit", "Exit" }, { "types", "Has types (BTF)" }, {},
};
static const struct column trust_cols[] = {
	{ "driver", "DRIVER" }, { "build", "BUILD" }, { "release", "KERNEL" },
	{ "chariot", "CHARIOT" }, { "state", "STATE", COL_STATE },
	{ "by", "BY" }, { "entries", "ENTRIES", COL_NUMBER },
	{ "seconds", "SECONDS", COL_NUMBER }, {},
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
	if (*chariot_driver__build_id(d))
		put_str(o, "build_id", chariot_driver__build_id(d));
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

/* ---- builds ------------------------------------------------------------- */

struct builds {
	struct chariot_trust *v;
	size_t nr;
	struct json_object *list;
	const char *driver;	/* only this one's, or NULL */
	bool spoilt;
};

static struct json_object *rules_json(const char *rules)
{
	struct json_object *list = json_list();
	char *copy = strdup(rules), *rule = copy, *end;

	for (; rule && (end = strchr(rule, '\n')); rule = end + 1) {
		*end = 0;
		put_str(list, NULL, rule);
	}
	free(copy);
	return list;
}

static struct json_object *build_json(const struct chariot_trust *t,
				      const char *path)
{
	struct json_object *o = json_map();
	char build[SHORT_ID + 1];

	snprintf(build, sizeof(build), "%.*s", SHORT_ID, t->module);
	put_str(o, "driver", t->driver);
	put_str(o, "build", build);
	put_str(o, "module", t->module);
	put_str(o, "kernel", t->kernel);
	put_str(o, "release", t->release);
	put_str(o, "chariot", t->chariot);
	put_str(o, "state", chariot_trust_state_name(t->state));
	put_str(o, "by", chariot_trust_by_name(t->by));
	put_u64(o, "entries", t->entries);
	put_u64(o, "seconds", t->seconds);
	put_str(o, "reason", t->reason);
	json_object_object_add(o, "rules", rules_json(t->rules));
	put_str(o, "file", path);
	return o;
}

static void show_builds(struct json_object *list)
{
	struct json_object *o, *rules;

	rows(list, trust_cols);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (strcmp(get_str(o, "state"), "held"))
			continue;
		printf("\n%s %s is held: %s\n", get_str(o, "driver"),
		       get_str(o, "build"), get_str(o, "reason"));
		rules = get(o, "rules");
		for (size_t k = 0; k < json_object_array_length(rules); k++)
			printf("  %s\n", json_object_get_string(
				json_object_array_get_idx(rules, k)));
	}
}

static int list_one(void *ctx, const char *path, int err,
		    const struct chariot_trust *t)
{
	struct builds *b = ctx;

	if (err)
		b->spoilt = true;
	else if (!b->driver || chariot_same_driver(b->driver, t->driver))
		json_object_array_add(b->list, build_json(t, path));
	return 0;
}

/* What is spoilt the library has told of, by its name and place. */
static int driver_list(int argc, char **argv)
{
	const char *dir = NULL;
	const struct option_def options[] = {
		{ "state", OPT_STRING, &dir },
		{},
	};
	struct builds b = {};
	int err;

	if (parse_args(&argc, argv, options, 0, 1))
		return EXIT_USAGE;
	b.driver = argc ? argv[0] : NULL;
	b.list = json_list();
	err = chariot_trust__each(dir, list_one, &b);
	if (!err)
		return out(b.list, show_builds), b.spoilt ? EXIT_FAIL : EXIT_OK;
	json_object_put(b.list);
	return fail_lib(err, "%s", chariot_trust__dir(dir));
}

/* ---- trust -------------------------------------------------------------- */

struct wanted {
	struct builds found;
	const char *name;
};

static bool same_build(const struct chariot_trust *a,
		       const struct chariot_trust *b)
{
	return !strcmp(a->driver, b->driver) && !strcmp(a->module, b->module) &&
	       !strcmp(a->kernel, b->kernel) && !strcmp(a->chariot, b->chariot);
}

static int add_build(struct builds *b, const struct chariot_trust *t)
{
	struct chariot_trust *v;

	/* One that is here as well as shipped. */
	for (size_t i = 0; i < b->nr; i++)
		if (same_build(&b->v[i], t))
			return 0;
	v = reallocarray(b->v, b->nr + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v[b->nr++] = *t;
	b->v = v;
	return 0;
}

static int want_one(void *ctx, const char *path, int err,
		    const struct chariot_trust *t)
{
	struct wanted *w = ctx;
	size_t len = strlen(w->name);

	(void)path;
	if (err || (!chariot_same_driver(w->name, t->driver) &&
		    (len < MIN_ID || strncmp(w->name, t->module, len))))
		return 0;
	return add_build(&w->found, t);
}

/* The builds that @name means, with their new state. */
static int want_name(struct wanted *w, const char *dir, const char *name,
		     bool probation)
{
	size_t before = w->found.nr;
	int err;

	w->name = name;
	err = chariot_trust__each(dir, want_one, w);
	if (err)
		return fail_lib(err, "%s", chariot_trust__dir(dir));
	for (size_t i = before; i < w->found.nr; i++) {
		struct chariot_trust *t = &w->found.v[i];

		t->by = CHARIOT_TRUST_BY_OPERATOR;
		t->state = probation ? CHARIOT_TRUST_PROBATION :
				       CHARIOT_TRUST_PROVED;
		t->reason[0] = t->rules[0] = 0;
		if (probation)
			t->entries = t->seconds = 0;
	}
	return w->found.nr > before ? EXIT_OK :
	       fail("no build \"%s\" in %s, see: chariot driver list", name,
		    chariot_trust__dir(dir));
}

/* A file that a guard has left after tests, with verdict auto. */
static int want_file(struct wanted *w, const char *path)
{
	struct chariot_trust t = { .sz = sizeof(t) };
	int err = chariot_trust__read(path, &t);

	if (err)
		return fail_lib(err, "%s", path);
	if (t.state == CHARIOT_TRUST_HELD)
		return fail("%s: %s was reported: %s", path, t.driver, t.reason);
	if (!t.entries)
		return fail("%s: nothing was measured, %s was never called",
			    path, t.driver);
	t.state = CHARIOT_TRUST_PROVED;
	t.by = CHARIOT_TRUST_BY_MEASURED;
	err = add_build(&w->found, &t);
	return err ? fail_lib(err, "%s", path) : EXIT_OK;
}

static int write_builds(const struct builds *b, const char *dir)
{
	struct json_object *list = json_list();
	int err = 0;

	for (size_t i = 0; i < b->nr && !err; i++) {
		err = chariot_trust__write(dir, &b->v[i]);
		if (!err)
			json_object_array_add(list, build_json(&b->v[i], ""));
	}
	if (!err)
		return out(list, show_builds);
	json_object_put(list);
	return fail_lib(err, "%s", chariot_trust__dir(dir));
}

/* Nothing is written unless all of it can be. */
static int driver_trust(int argc, char **argv)
{
	struct option_list from = {};
	const char *dir = NULL;
	bool probation = false;
	const struct option_def options[] = {
		{ "from", OPT_LIST, &from },
		{ "probation", OPT_FLAG, &probation },
		{ "state", OPT_STRING, &dir },
		{},
	};
	struct wanted w = {};
	int r;

	r = parse_args(&argc, argv, options, 0, -1);
	if (r)
		return r;
	if (!argc && !from.nr)
		return usage("a DRIVER, a BUILD or --from is needed");
	if (probation && from.nr)
		return usage("--from and --probation exclude each other");
	for (int i = 0; i < argc && !r; i++)
		r = want_name(&w, dir, argv[i], probation);
	for (unsigned int i = 0; i < from.nr && !r; i++)
		r = want_file(&w, from.v[i]);
	if (!r)
		r = write_builds(&w.found, dir);
	free(w.found.v);
	return r;
}

static const struct command commands[] = {
	{ "show", "FILE.ko", driver_show },
	{ "inline", "FILE.ko", driver_inline },
	{ "list", "[DRIVER] [--state DIR]", driver_list },
	{ "trust", "[DRIVER | BUILD]... [--from FILE]... [--probation] [--state DIR]",
	  driver_trust },
	{},
};

const struct object driver_object = {
	.name = "driver",
	.summary = "a driver as a file, and which builds have proved themselves",
	.options =
	"  --from FILE        a file of a build that tests have been through\n"
	"  --probation        they are to prove themselves, from the beginning\n"
	"  --state DIR        where these files are (/var/lib/chariot)\n",
	.commands = commands,
};
