// SPDX-License-Identifier: GPL-2.0
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct cli cli;

static const struct object *const objects[] = {
	&vm_object, &domain_object, &isolate_object, &release_object,
	&attach_object, &detach_object, &guard_object, &act_object, &top_object, &event_object,
	&stats_object,
	&verdict_object, &guest_object, &driver_object, &profile_object,
	&policy_object, &inject_object,
};

static const char options_text[] =
	"OPTIONS := { -j | --json } | { -p | --pretty } | { -n | --no-color } |\n"
	"           { -d | --debug } | { -V | --version } | { -h | --help }\n";

static struct { bool help, version; } asked;

/* ---- help --------------------------------------------------------------- */

static int help(void)
{
	printf("Usage: chariot [OPTIONS] OBJECT { COMMAND | help }\n       chariot help [OBJECT]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		printf("  %-9s %s\n", objects[i]->name, objects[i]->summary);
	printf("  %-9s version of this program and of the module's interface\n",
	       "version");
	printf("\nVM is a process id or the name given to QEMU with -name.\n%s",
	       options_text);
	return EXIT_OK;
}

static int help_object(const struct object *obj)
{
	const struct command *c;

	for (c = obj->commands; c->run; c++)
		printf("%s chariot %s%s%s%s%s\n",
		       c == obj->commands ? "Usage:" : "      ", obj->name,
		       c->name ? " " : "", c->name ? c->name : "",
		       *c->args ? " " : "", c->args);
	printf("       chariot %s help\n", obj->name);
	if (obj->options)
		printf("\n%s", obj->options);
	printf("\n%s\nSee chariot-%s(8).\n", options_text, obj->name);
	return EXIT_OK;
}

static int version(void)
{
	struct json_object *o;

	if (!cli.json) {
		printf("chariot %s, interface %d\n", chariot_version(),
		       CHARIOT_API_VERSION);
		return EXIT_OK;
	}
	o = json_map();
	put_str(o, "version", chariot_version());
	put_u64(o, "api_version", CHARIOT_API_VERSION);
	return out(o, NULL);
}

/* ---- options that all commands have ------------------------------------- */

static bool global_short(char c)
{
	switch (c) {
	case 'p':
		cli.pretty = true;
		cli.json = true;
		return true;
	case 'j':
		cli.json = true;
		return true;
	case 'n':
		cli.color = false;
		return true;
	case 'd':
		cli.debug = true;
		return true;
	case 'V':
		asked.version = true;
		return true;
	case 'h':
		asked.help = true;
		return true;
	}
	return false;
}

static bool is_global(const char *arg)
{
	static const char *const names[] = {
		"json", "pretty", "no-color", "debug", "help",
	};

	if (arg[0] != '-' || !arg[1])
		return false;
	if (arg[1] != '-')
		return arg[1 + strspn(arg + 1, "jpndVh")] == '\0';
	if (!strcmp(arg, "--version"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(arg + 2, names[i]))
			return true;
	return false;
}

static void take_global(const char *arg)
{
	if (!strcmp(arg, "--version"))
		asked.version = true;
	else if (arg[1] == '-')
		global_short(arg[2]);
	else
		while (*++arg)
			global_short(*arg);
}

/* They may stand anywhere before a "--". */
static int take_globals(int argc, char **argv)
{
	int n = 0, i;

	for (i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (is_global(argv[i]))
			take_global(argv[i]);
		else
			argv[n++] = argv[i];
	while (i < argc)
		argv[n++] = argv[i++];
	argv[n] = NULL;
	return n;
}

/* ---- dispatch ----------------------------------------------------------- */

/* The one that is named, or the only one that begins so. */
static const struct object *find_object(const char *name)
{
	const struct object *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		if (!strcmp(objects[i]->name, name))
			return objects[i];
		if (strncmp(objects[i]->name, name, strlen(name)))
			continue;
		if (found)
			return NULL;
		found = objects[i];
	}
	return found;
}

static const struct command *find_command(const struct object *obj,
					  const char *name)
{
	const struct command *c, *found = NULL;

	for (c = obj->commands; c->run; c++) {
		if (!strcmp(c->name, name))
			return c;
		if (strncmp(c->name, name, strlen(name)))
			continue;
		if (found)
			return NULL;
		found = c;
	}
	return found;
}

static int run_object(const struct object *obj, int argc, char **argv)
{
	const struct command *c = obj->commands;

	if (asked.help || (argc && !strcmp(argv[0], "help")))
		return help_object(obj);
	/* Options alone are the first command's. */
	if (!c->name || !argc || argv[0][0] == '-')
		return c->run(argc, argv);
	c = find_command(obj, argv[0]);
	if (!c)
		return usage("%s: no command \"%s\", see: chariot %s help",
			     obj->name, argv[0], obj->name);
	return c->run(argc - 1, argv + 1);
}

static int run(int argc, char **argv)
{
	const struct object *obj;

	if (asked.version || (argc && !strcmp(argv[0], "version")))
		return version();
	if (!argc && !asked.help) {
		if (!cli.json)
			help();
		return usage("no object given, see: chariot help");
	}
	if (argc > 1 && !strcmp(argv[0], "help")) {
		asked.help = true;
		argc--;
		argv++;
	}
	if (!argc || !strcmp(argv[0], "help"))
		return help();
	if (argv[0][0] == '-')
		return usage("no option %s, see: chariot help", argv[0]);
	obj = find_object(argv[0]);
	if (!obj)
		return usage("no object \"%s\", see: chariot help", argv[0]);
	return run_object(obj, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int r;

	cli.color = isatty(STDOUT_FILENO);
	argc = take_globals(argc - 1, argv + 1);
	lib_log_init();
	r = run(argc, argv + 1);
	if (fflush(stdout) || ferror(stdout))
		return EXIT_FAIL;
	return r;
}
