// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: made-up functions, one for each thing that is decided; a sample of stock
 * modules rewritten, decoded again, and executed beside the originals.
 *
 *	test-inline			that
 *	test-inline -n RUNS FILE...	these modules; RUNS functions of each executed
 *	test-inline -s FILE		the names of modules from a file, one a line
 *
 * CHARIOT_KERNELS: where selftests/env/kernels.sh put the kernels.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "inline/check.h"
#include "inline/inline.h"
#include "tap.h"

struct sums {
	unsigned long modules, refused_whole, wrong;
	struct chariot_inline_totals t;
	struct { const char *why; unsigned long nr; } why[WHY_NR];
	struct inline_runs runs;
	double seconds;
};

static void add_function(struct sums *s, const struct chariot_inline_function *f)
{
	int i = 0;

	if (!f->why)
		return;
	while (s->why[i].why && strcmp(s->why[i].why, f->why))
		i++;
	s->why[i].why = f->why;
	s->why[i].nr++;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void add_totals(struct sums *s, const struct chariot_inline *x)
{
	const struct chariot_inline_function *f;
	struct chariot_inline_totals t;
	uint64_t *to = (uint64_t *)&s->t, *from = (uint64_t *)&t;
	size_t nr;

	chariot_inline__totals(x, &t);
	for (size_t i = 0; i < sizeof(t) / sizeof(*to); i++)
		to[i] += from[i];
	f = chariot_inline__functions(x, &nr);
	for (size_t i = 0; i < nr; i++)
		add_function(s, &f[i]);
}

/* A module: true if it was rewritten and is as it should be, or refused. */
static bool one_module(const char *path, unsigned int functions, unsigned int states,
		       struct sums *s)
{
	struct chariot_inline_opts opts = { .sz = sizeof(opts), .this_cpu_off = 0x7000 };
	struct inline_runs before = s->runs;
	struct chariot_inline *x;
	struct ko_file old = {};
	unsigned int wrong = 1;
	uint8_t *data;
	double start;
	size_t len;

	if (file_read_unpacked(path, &data, &len))
		return false;
	s->modules++;
	start = now();
	x = chariot_inline__rewrite(data, len, &opts);
	s->seconds += now() - start;
	if (!x) {
		printf("# refused: %s: %s\n", path, strerror(errno));
		s->refused_whole++;
		wrong = errno != ENOTSUP;
	} else if (!ko_file_read(&old, data, len)) {
		add_totals(s, x);
		wrong = inline_verify(&old, x);
		if (functions && !wrong)
			wrong = inline_run(&old, x, len, functions, states, &s->runs);
	}
	wrong += s->runs.different - before.different + s->runs.passed - before.passed;
	if (wrong)
		printf("# %s: %u differences\n", path, wrong);
	s->wrong += !!wrong;
	ko_file_free(&old);
	chariot_inline__free(x);
	free(data);
	return !wrong;
}

static void tell(const struct sums *s)
{
	printf("# %lu modules (%lu refused), %lu functions, %lu of them refused; %lu instructions, "
	       "%lu stores, %lu checks, %lu merged, %lu spilled; text x%.3f, file x%.3f; %.1f s\n",
	       s->modules, s->refused_whole, s->t.functions, s->t.refused, s->t.instructions,
	       s->t.stores, s->t.checks, s->t.merged, s->t.spilled,
	       (double)s->t.new_text / (s->t.text ?: 1),
	       (double)s->t.new_file / (s->t.file ?: 1), s->seconds);
	for (int i = 0; i < WHY_NR && s->why[i].why; i++)
		printf("#   %lu: %s\n", s->why[i].nr, s->why[i].why);
	if (s->runs.runs)
		printf("# %lu functions executed, %lu runs, %lu events compared, %lu misses, "
		       "%lu stores denied, %lu stopped elsewhere, %lu differ\n",
		       s->runs.functions, s->runs.runs, s->runs.events, s->runs.misses,
		       s->runs.denied, s->runs.passed, s->runs.different);
}

static int from_list(const char *list, unsigned int functions)
{
	FILE *f = fopen(list, "r");
	struct sums s = {};
	char path[PATH_MAX];

	if (!f)
		return 1;
	while (fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = 0;
		one_module(path, functions, 3, &s);
	}
	fclose(f);
	tell(&s);
	tap_ok(s.modules && !s.wrong, "%lu modules, %lu are wrong", s.modules, s.wrong);
	return tap_done();
}

int main(int argc, char **argv)
{
	unsigned int functions = 0;
	const char *list = NULL;
	struct sums s = {};
	int opt;

	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		if (opt == 'n')
			functions = atoi(optarg);
		else if (opt == 's')
			list = optarg;
		else
			return 2;
	}
	if (list)
		return from_list(list, functions);
	for (int i = optind; i < argc; i++)
		tap_ok(one_module(argv[i], functions, 8, &s), "%s", argv[i]);
	if (argc > optind) {
		tell(&s);
		return tap_done();
	}
	return tap_done();
}
