// SPDX-License-Identifier: GPL-2.0
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Decimal, or hexadecimal with 0x. */
bool parse_u64(const char *text, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &end, strncasecmp(text, "0x", 2) ? 10 : 16);
	return !errno && !*end;
}

/* Seconds, with a fraction if need be. */
bool parse_ms(const char *text, int *ms)
{
	double s;
	char *end;

	s = strtod(text, &end);
	if (end == text || *end || !(s >= 0) || s > INT_MAX / 1000)
		return false;
	*ms = lrint(s * 1000);
	return true;
}

static bool set_option(const struct option_def *d, const char *arg)
{
	struct option_list *list;

	switch (d->kind) {
	case OPT_FLAG:
		*(bool *)d->value = true;
		return true;
	case OPT_STRING:
		*(const char **)d->value = arg;
		return *arg;
	case OPT_U64:
		return parse_u64(arg, d->value);
	case OPT_MS:
		return parse_ms(arg, d->value);
	case OPT_LIST:
		list = d->value;
		if (list->nr == ARRAY_SIZE(list->v) - 1)
			return false;
		list->v[list->nr++] = arg;
		return *arg;
	}
	return false;
}

static const struct option_def *find_option(const struct option_def *defs,
					    const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (; defs && defs->name; defs++)
		if (strlen(defs->name) == len &&
		    !strncmp(defs->name, arg, len))
			return defs;
	return NULL;
}

static const struct option_def *find_letter(const struct option_def *defs,
					    char letter)
{
	while (defs && defs->name && defs->letter != letter)
		defs++;
	return defs && defs->name ? defs : NULL;
}

/* Number of words that the option at @argv takes, or -EXIT_USAGE. */
static int take_option(int argc, char **argv, const struct option_def *defs)
{
	const struct option_def *d = NULL;
	const char *value = strchr(argv[0], '=');
	int nr = 1;

	if (argv[0][1] == '-')
		d = find_option(defs, argv[0] + 2);
	else if (!argv[0][2])	/* a letter is that of an option's name */
		d = find_letter(defs, argv[0][1]);
	if (!d)
		return -usage("no option %s here", argv[0]);
	if (d->kind == OPT_FLAG) {
		if (value)
			return -usage("--%s takes no value", d->name);
	} else if (value) {
		value++;
	} else if (argc < 2) {
		return -usage("--%s needs a value", d->name);
	} else {
		value = argv[1];
		nr = 2;
	}
	if (!set_option(d, value))
		return -usage("--%s: bad value \"%s\"", d->name, value);
	return nr;
}

int parse_options(int *argc, char **argv, const struct option_def *defs)
{
	int left = 0, i, r;

	for (i = 0; i < *argc && strcmp(argv[i], "--"); i += r) {
		r = 1;
		if (argv[i][0] == '-' && argv[i][1])
			r = take_option(*argc - i, argv + i, defs);
		else
			argv[left++] = argv[i];
		if (r < 0)
			return -r;
	}
	for (i++; i < *argc; i++)
		argv[left++] = argv[i];
	*argc = left;
	return 0;
}

int parse_args(int *argc, char **argv, const struct option_def *defs,
	       int min, int max)
{
	int r = parse_options(argc, argv, defs);

	if (r)
		return r;
	if (*argc < min)
		return usage("too few arguments");
	if (max >= 0 && *argc > max)
		return usage("one argument too many: \"%s\"", argv[max]);
	return 0;
}
