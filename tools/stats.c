// SPDX-License-Identifier: GPL-2.0
/*
 * chariot stats: the module's counters.
 */
#include "cli.h"
#include "counters.h"
#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct column cols[] = {
	{ "key", "COUNTER" }, { "value", "VALUE", COL_NUMBER },
	{ "share", "% EXITS", COL_NUMBER }, { "text", "WHAT" }, {},
};
static const struct column rate_cols[] = {
	{ "key", "COUNTER" }, { "value", "VALUE", COL_NUMBER },
	{ "rate", "PER S", COL_NUMBER }, { "share", "% EXITS", COL_NUMBER },
	{ "text", "WHAT" }, {},
};

/* ---- as JSON ------------------------------------------------------------ */

static struct json_object *stats_json(const struct chariot_stats *st,
				      const struct chariot_stats *last,
				      double seconds)
{
	struct json_object *o = json_map(), *all = json_map();
	struct json_object *exits = json_map(), *rate = json_map();

	for (size_t i = 0; i < NR_COUNTERS; i++) {
		const struct counter *c = &counters[i];
		uint64_t v = counter_value(st, c);

		put_u64(all, c->key, v);
		if (c->exit)
			put_u64(exits, c->key, v);
		if (last)
			json_object_object_add(rate, c->key,
				json_object_new_double((v - counter_value(last, c)) /
						       seconds));
	}
	put_u64(exits, "other", counter_other_exits(st));
	json_object_object_add(o, "counters", all);
	json_object_object_add(o, "exits_by_cause", exits);
	if (last)
		json_object_object_add(o, "rates", rate);
	else
		json_object_put(rate);
	return o;
}

/* ---- as a table --------------------------------------------------------- */

static void add_row(struct json_object *list, struct json_object *o,
		    const char *key, const char *text, uint64_t v,
		    uint64_t exits)
{
	struct json_object *row = json_map(), *rate = get(o, "rates");
	struct json_object *r = rate ? get(rate, key) : NULL;

	put_str(row, "key", key);
	put_u64(row, "value", v);
	if (r)
		json_object_object_add(row, "rate", json_object_get(r));
	if (exits)
		json_object_object_add(row, "share",
			json_object_new_double(100.0 * v / exits));
	put_str(row, "text", text);
	json_object_array_add(list, row);
}

static uint64_t number(struct json_object *o, const char *map, const char *key)
{
	return json_object_get_uint64(get(get(o, map), key));
}

static void print_group(struct json_object *o, bool exits)
{
	uint64_t total = number(o, "counters", "exits");
	struct json_object *list = json_list();

	if (!exits)
		total = 0;
	for (size_t i = 0; i < NR_COUNTERS; i++)
		if (counters[i].exit == exits)
			add_row(list, o, counters[i].key, counters[i].text,
				number(o, "counters", counters[i].key), total);
	if (exits)
		add_row(list, o, "other", "repeated faults and the like",
			number(o, "exits_by_cause", "other"), total);
	rows(list, get(o, "rates") ? rate_cols : cols);
	json_object_put(list);
}

static void show(struct json_object *o)
{
	const char *driver = get_str(o, "driver");

	printf("VM %s%s%s\n", get_str(o, "vm"), *driver ? ", driver " : "",
	       driver);
	title("Exits by cause");
	print_group(o, true);
	title("Counters");
	print_group(o, false);
}

/* ---- command ------------------------------------------------------------ */

struct stats {
	struct chariot_vm *vm;
	const char *vm_name, *driver;
	uint32_t domain;
	int every_ms;
	uint64_t count;
};

static int read_stats(const struct stats *s, struct chariot_stats *st)
{
	int err = chariot_vm__stats(s->vm, s->domain, st);

	if (err == -ENOENT)
		return fail("%s is not isolated any more", s->driver);
	return err ? fail_lib(err, "VM %s", s->vm_name) : EXIT_OK;
}

static void print_stats(const struct stats *s, const struct chariot_stats *st,
			const struct chariot_stats *last)
{
	struct json_object *o = stats_json(st, last, s->every_ms / 1000.0);

	put_str(o, "vm", s->vm_name);
	if (s->driver)
		put_str(o, "driver", s->driver);
	if (s->every_ms && cli.json)
		out_line(o);
	else if (s->every_ms && cli.color)
		fputs("\033[H\033[2J", stdout);
	if (s->every_ms && cli.json)
		json_object_put(o);
	else
		out(o, show);
	fflush(stdout);
}

static void sleep_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);	/* a signal ends it, and then all */
}

static int repeat(const struct stats *s)
{
	struct chariot_stats st, last;
	int r = read_stats(s, &last);

	for (uint64_t n = 0; !r && (!s->count || n < s->count); n++) {
		sleep_ms(s->every_ms);
		if (stopped)
			break;
		r = read_stats(s, &st);
		if (!r)
			print_stats(s, &st, &last);
		last = st;
	}
	return r;
}

static int run(struct stats *s)
{
	struct chariot_stats st;
	int r;

	if (s->driver) {
		r = vm_domain(s->vm, s->driver);
		if (r < 0)
			return -r;
		s->domain = r;
	}
	if (s->every_ms) {
		catch_signals();
		return repeat(s);
	}
	r = read_stats(s, &st);
	if (!r)
		print_stats(s, &st, NULL);
	return r;
}

static int print_metrics(void)
{
	char *text = metrics_text();

	if (!text)
		return fail_lib(errno, "metrics");
	fputs(text, stdout);
	free(text);
	return EXIT_OK;
}

static int stats_show(int argc, char **argv)
{
	struct stats s = {};
	bool prometheus = false;
	const struct option_def options[] = {
		{ "watch", OPT_MS, &s.every_ms },
		{ "count", OPT_U64, &s.count },
		{ "prometheus", OPT_FLAG, &prometheus },
		{},
	};
	int r;

	if (parse_args(&argc, argv, options, 0, 2))
		return EXIT_USAGE;
	if (prometheus)
		return argc || s.every_ms || s.count || cli.json ?
		       usage("--prometheus is for all VMs, once, and no JSON") :
		       print_metrics();
	if (!argc)
		return usage("too few arguments");
	if (s.count && !s.every_ms)
		return usage("--count goes with --watch");
	s.vm_name = argv[0];
	s.driver = argc > 1 ? argv[1] : NULL;
	s.vm = vm_open(argv[0], NULL);
	if (!s.vm)
		return EXIT_FAIL;
	r = run(&s);
	chariot_vm__free(s.vm);
	return r;
}

static const struct command commands[] = {
	{ "show", "{ VM [DRIVER] [--watch S [--count N]] | --prometheus }",
	  stats_show },
	{},
};

const struct object stats_object = {
	.name = "stats", .summary = "counters: exits by cause, violations, ...",
	.options =
"  --watch S     again every S seconds, with rates, until Ctrl-C\n"
"  --count N     only N times\n"
"  --prometheus  of all VMs, as text for Prometheus (node exporter's textfile)\n",
	.commands = commands,
};
