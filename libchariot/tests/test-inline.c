// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: made-up functions, one for each thing that is decided; a sample of stock
 * modules rewritten, decoded again, and executed beside the originals.
 *
 *	test-inline			that
 *	test-inline -n RUNS FILE...	these modules; RUNS functions of each executed
 *	test-inline -n RUNS -s FILE	the names of modules from a file, one a line; a function
 *					of RUNS in 1000 modules executed
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
			wrong = inline_run(&old, x, len, false, functions, states, &s->runs) +
				inline_run(&old, x, len, true, functions, states, &s->runs);
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
		printf("# %lu functions executed (%lu align their stack), %lu runs, "
		       "%lu events compared, %lu misses, "
		       "%lu calls of gates, %lu stores denied, %lu left out, "
		       "%lu stopped elsewhere, %lu differ\n",
		       s->runs.functions, s->runs.aligned, s->runs.runs, s->runs.events,
		       s->runs.misses, s->runs.gates, s->runs.denied, s->runs.skipped,
		       s->runs.passed, s->runs.different);
}

/* ---- made-up functions ---------------------------------------------------------- */

/*
 * As GCC aligns a stack: where it was is in %r10, and in the frame.
 *	lea 8(%rsp),%r10; and $-16,%rsp; push -8(%r10); push %rbp; mov %rsp,%rbp
 *	push %r10; sub $24,%rsp
 *	mov -8(%rbp),%r10; leave; lea -8(%r10),%rsp; ret
 */
#define ALIGNED	"4c 8d 54 24 08 48 83 e4 f0 41 ff 72 f8 55 48 89 e5 41 52 48 83 ec 18 "
#define BACK	" 4c 8b 55 f8 c9 49 8d 62 f8 c3"
/* push %rbp; mov %rsp,%rbp; call what follows leave; ret */
#define CALLS	"55 48 89 e5 e8 02 00 00 00 c9 c3 | "

static const struct {
	const char *what, *hex;
	uint32_t checks, frame, own, percpu;
	enum why why;
} rows[] = {
	{ "a store through an argument", "89 07 c3", .checks = 1 },
	{ "of one byte", "c6 07 01 c3", .checks = 1 },
	{ "through an index", "89 04 b7 c3", .checks = 1 },
	{ "to an array of its own, by an index", "89 04 bd S c3", .checks = 1 },
	{ "locked", "f0 0f c1 07 c3", .checks = 1 },
	{ "of 16 bytes", "48 0f c7 0f c3", .checks = 1 },
	{ "of a vector", "0f 29 07 c3", .checks = 1 },
	{ "a bit by its number", "48 0f ab 37 c3", .checks = 1 },
	{ "a bit by a constant", "0f ba 2f 03 c3", .checks = 1 },
	{ "that looks at a bit", "0f a3 37 c3", .checks = 0 },
	{ "stos", "ab c3", .checks = 1 },
	{ "rep stos", "f3 aa c3", .checks = 1 },
	{ "rep movs", "f3 a4 c3", .checks = 1 },
	{ "rep ins", "f3 6c c3", .checks = 1 },
	{ "rep cmps", "f3 a6 c3", .checks = 0 },
	{ "two stores", "89 07 89 77 04 c3", .checks = 2 },
	{ "one that crosses lines, behind one that does not",
	  "c6 47 38 01 48 89 47 3c c3", .checks = 2 },
	{ "push and pop", "57 58 c3", .checks = 0 },
	{ "a nop with an operand", "0f 1f 07 c3", .checks = 0 },
	{ "prefetch", "0f 0d 0f c3", .checks = 0 },
	{ "clflush", "0f ae 3f c3", .checks = 0 },
	{ "lea", "48 8d 07 c3", .checks = 0 },
	{ "its frame", "48 83 ec 10 48 89 3c 24 48 83 c4 10 c3", .frame = 1 },
	{ "all of its frame", "48 83 ec 10 48 89 7c 24 08 48 83 c4 10 c3", .frame = 1 },
	{ "over the edge of its frame", "48 83 ec 10 48 89 7c 24 09 48 83 c4 10 c3",
	  .checks = 1 },
	{ "its return address", "48 89 3c 24 c3", .checks = 1 },
	{ "its caller's frame", "48 83 ec 10 48 89 7c 24 18 48 83 c4 10 c3", .checks = 1 },
	{ "below its stack", "48 89 7c 24 f8 c3", .checks = 1 },
	{ "a frame by RBP", "55 48 89 e5 48 83 ec 10 48 89 7d f8 c9 c3", .frame = 1 },
	{ "the same behind an unknown amount", "55 48 89 e5 48 83 ec 10 48 83 e4 f0 48 89 7d f8 c9 c3",
	  .checks = 1 },
	{ "its saved RBP's neighbour", "55 48 89 e5 48 89 7d 08 5d c3", .checks = 1 },
	{ "the same with a frame below", "55 48 89 e5 48 83 ec 10 48 83 e4 f0 48 83 ec 20 48 89 7d f8 c9 c3",
	  .checks = 1 },
	{ "a pointer to its frame", "48 83 ec 10 48 89 e0 89 38 48 83 c4 10 c3", .frame = 1 },
	{ "lea of its frame", "48 83 ec 10 48 8d 44 24 04 89 38 48 83 c4 10 c3", .frame = 1 },
	{ "a pointer that a call loses", "48 83 ec 18 48 89 e0 e8 K 89 38 48 83 c4 18 c3",
	  .checks = 1 },
	{ "one that a call keeps", "53 48 83 ec 10 48 89 e3 e8 K 89 3b 48 83 c4 10 5b c3",
	  .frame = 1 },
	{ "a pointer on one way only", "48 83 ec 10 85 f6 74 03 48 89 e7 89 07 48 83 c4 10 c3",
	  .checks = 1 },
	{ "half of a pointer", "48 83 ec 10 48 89 e0 89 c0 89 38 48 83 c4 10 c3", .checks = 1 },
	{ "its frame cleared", "48 83 ec 40 48 89 e7 b9 08 00 00 00 31 c0 f3 48 ab 48 83 c4 40 c3",
	  .frame = 1 },
	{ "more than its frame", "48 83 ec 40 48 89 e7 b9 09 00 00 00 31 c0 f3 48 ab 48 83 c4 40 c3",
	  .checks = 1 },
	{ "its frame, as often as somebody says",
	  "48 83 ec 40 48 89 e7 89 f1 f3 48 ab 48 83 c4 40 c3", .checks = 1 },
	{ "an aligned stack", ALIGNED "48 89 7d e8" BACK, .frame = 1 },
	{ "an aligned stack, by a register that is saved twice",
	  "41 55 4c 8d 6c 24 10 48 83 e4 e0 41 ff 75 f8 55 48 89 e5 41 55 53 48 83 ec 28 "
	  "48 89 7d d8 48 8d 65 f0 5b 41 5d 5d 49 8d 65 f0 41 5d c3", .frame = 1 },
	{ "above an aligned stack", ALIGNED "48 89 7d 10" BACK, .checks = 1 },
	{ "below an aligned stack", ALIGNED "48 89 7c 24 f8" BACK, .checks = 1 },
	{ "aligned twice: where it was the first time",
	  "55 48 89 e5 48 83 e4 f0 48 89 e0 48 83 e4 c0 48 83 ec 10 48 89 78 f8 c9 c3",
	  .checks = 1 },
	{ "an aligned stack, from another word", ALIGNED "4c 8b 55 e8 c9 49 8d 62 f8 c3",
	  .why = WHY_STACK },
	{ "from a word that was written since", ALIGNED "48 89 7d f8" BACK, .why = WHY_STACK },
	{ "half of it", ALIGNED "48 89 7d f4" BACK, .why = WHY_STACK },
	{ "by a string instruction",
	  ALIGNED "48 8d 7d f0 b9 02 00 00 00 f3 48 ab" BACK, .why = WHY_STACK },
	{ "from what others may have pushed over",
	  "48 89 e0 50 59 48 8b 64 24 f8 c3", .why = WHY_STACK },
	{ "a pointer to its frame, read back from there",
	  "48 83 ec 10 48 89 e0 50 59 89 39 48 83 c4 10 c3", .checks = 1 },
	{ "aligned to 65536", "55 48 89 e5 48 81 e4 00 00 ff ff 57 c9 c3", .why = WHY_STACK },
	{ "aligned to no power of two", "55 48 89 e5 48 83 e4 f5 57 c9 c3", .why = WHY_STACK },
	{ "a stack of an unknown size", "55 48 89 e5 48 29 f4 57 c9 c3", .why = WHY_STACK },
	{ "a stack of a symbol's size", "48 81 ec S c3", .why = WHY_STACK },
	{ "its frame and a symbol", "48 83 ec 40 48 8d 84 24 S 89 38 48 83 c4 40 c3",
	  .checks = 1 },
	{ "a symbol's times of its frame",
	  "48 83 ec 40 48 89 e7 b9 S 31 c0 f3 48 ab 48 83 c4 40 c3", .checks = 1 },
	{ "push where its return address was", "58 57 50 c3", .why = WHY_STACK },
	{ "a jump from there", "58 e9 K | c3", .why = WHY_STACK },
	{ "push at one of two depths", "85 f6 74 01 57 57 58 c3", .why = WHY_STACK },
	{ "the same, but for a WARN", "85 f6 74 03 57 eb 02 WARN 57 58 58 c3",
	  .why = WHY_STACK },
	{ "the same, but for a BUG", "85 f6 74 03 57 eb 02 BUG 57 58 58 c3", .checks = 0 },
	{ "pushf and popf", "9c 9d c3", .checks = 0 },
	{ "a function that keeps RBP", CALLS "55 31 ed 5d c3", .checks = 0 },
	{ "one that does not", CALLS "31 ed c3", .why = WHY_STACK },
	{ "one that saves RBP, and loses it", CALLS "55 48 89 3c 24 5d c3", .why = WHY_STACK },
	{ "one that loses it on one way", CALLS "55 85 ff 74 02 5d c3 5d 31 ed c3", .why = WHY_STACK },
	{ "one that jumps where nobody knows", CALLS "ff e0", .why = WHY_STACK },
	{ "its own data", "89 05 D c3", .own = 1 },
	{ "the last of it", "89 05 D+60 c3", .own = 1 },
	{ "over its end", "89 05 D+61 c3", .checks = 1 },
	{ "before it", "89 05 D+-1 c3", .checks = 1 },
	{ "a variable of the kernel's", "89 05 K c3", .checks = 1 },
	{ "per-CPU data", "65 ff 05 K c3", .percpu = 1 },
	{ "per-CPU data through a pointer", "65 89 07 c3", .checks = 1 },
	{ "the same through two", "65 89 04 37 c3", .checks = 1 },
	{ "through one, times 8", "65 89 04 fd 10 00 00 00 c3", .checks = 1 },
	{ "a loop", "e3 04 89 07 eb fa c3", .checks = 1 },
	{ "sgdt", "0f 01 07 c3", .checks = 1 },
	{ "a jump over a store", "85 f6 74 02 89 07 c3", .checks = 1 },
	{ "two functions", "89 07 c3 | 89 07 c3", .checks = 1 },
	{ "fxsave", "0f ae 07 c3", .why = WHY_SIZE },
	{ "xsave", "0f ae 27 c3", .why = WHY_SIZE },
	{ "std", "fd fc c3", .why = WHY_DOWN },
	{ "jmp *%rax", "ff e0", .why = WHY_TABLE },
	{ "another stack", "48 89 fc c3", .why = WHY_STACK },
	{ "pop %rsp", "5c c3", .why = WHY_STACK },
	{ "leave without a frame", "c9 c3", .why = WHY_STACK },
	{ "iretq", "48 cf", .why = WHY_ODD },
	{ "syscall", "0f 05 c3", .why = WHY_ODD },
	{ "no end", "89 07", .why = WHY_END },
	{ "into an instruction", "eb 01 b8 c3 90 90 90 90 c3", .why = WHY_TARGET },
	{ "pop to memory", "8f 07 c3", .why = WHY_FORM },
	{ "%fs", "64 89 07 c3", .why = WHY_FORM },
	{ "32-bit addresses", "67 89 07 c3", .why = WHY_FORM },
	{ "vmread: nobody knows what it reads", "0f 78 07 c3", .why = WHY_FORM },
	{ "maskmovdqu", "66 0f f7 c1 c3", .why = WHY_FORM },
	{ "a jump into one that is refused", "89 07 eb 03 | fd 90 90 fc c3", .why = WHY_LINKED },
};

static struct chariot_inline *make(const char *hex, bool compiled, uint64_t this_cpu_off,
				   struct ko_file *old)
{
	struct chariot_inline_opts opts = { .sz = sizeof(opts), .this_cpu_off = this_cpu_off };
	struct chariot_inline *x;
	uint64_t len;
	void *ko = ko_make(hex, compiled, &len);

	x = ko ? chariot_inline__rewrite(ko, len, &opts) : NULL;
	if (x && ko_file_read(old, ko, len)) {
		chariot_inline__free(x);
		x = NULL;
	}
	free(ko);
	return x;
}

static void test_row(int i, bool compiled)
{
	const struct chariot_inline_function *f;
	const char *why = why_text[rows[i].why];
	struct inline_runs runs = {};
	struct ko_file old = {};
	struct chariot_inline *x = make(rows[i].hex, compiled, 0x7000, &old);
	size_t nr;
	bool good;

	if (!x) {
		tap_ok(false, "%s: %s", rows[i].what, strerror(errno));
		return;
	}
	f = chariot_inline__functions(x, &nr);
	good = rows[i].why ? f->why && !strcmp(f->why, why) :
	       !f->why && f->checks == rows[i].checks && f->frame == rows[i].frame &&
	       f->own == rows[i].own && f->percpu == rows[i].percpu &&
	       (compiled || f->spilled <= f->checks);
	good = good && !inline_verify(&old, x);
	if (good && !rows[i].why)
		good = !inline_run(&old, x, i, false, 2, 12, &runs) &&
		       !inline_run(&old, x, i, true, 2, 12, &runs) &&
		       !runs.passed && !runs.different;
	tap_ok(good, "%s%s: %u checks, %u to the frame, %u to its data (%s)",
	       rows[i].what, compiled ? ", compiled" : "", f->checks, f->frame, f->own,
	       f->why ?: "instrumented");
	chariot_inline__free(x);
	ko_file_free(&old);
}

static void test_registers(void)
{
	struct ko_file old = {};
	struct chariot_inline *x = make("89 07 c3", true, 0, &old);
	size_t nr;

	tap_ok(x && !chariot_inline__functions(x, &nr)->spilled,
	       "at the end of a compiled function registers are free");
	chariot_inline__free(x);
	ko_file_free(&old);
	x = make("89 07 c3", false, 0, &old);
	tap_ok(x && chariot_inline__functions(x, &nr)->spilled == 1,
	       "at the end of another all are saved");
	chariot_inline__free(x);
	ko_file_free(&old);
	x = make("65 89 07 c3", true, CHARIOT_INLINE_NO_PERCPU, &old);
	tap_ok(x && chariot_inline__functions(x, &nr)->why,
	       "without this_cpu_off per-CPU data is not stored to");
	chariot_inline__free(x);
	ko_file_free(&old);
}

/* In a short loop that calls nobody the cache is looked at in line, else by a call. */
static void test_forms(void)
{
	static const struct { const char *what, *hex; bool in_line; } v[] = {
		{ "no loop", "89 07 c3", false },
		{ "a loop", "89 07 ff ce 75 fa c3", true },
		{ "a long loop", "89 07 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 "
		  "90 90 90 90 90 90 90 90 90 90 90 ff ce 75 db c3", false },
		{ "behind a loop", "ff ce 75 fc 89 07 c3", false },
		{ "a loop with a call", "53 48 89 fb 89 03 e8 K ff c8 75 f5 5b c3", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		const struct chariot_inline_check *c = NULL;
		struct inline_runs runs = {};
		struct ko_file old = {};
		struct chariot_inline *x = make(v[i].hex, true, 0, &old);
		size_t nr = 0;

		if (x)
			c = chariot_inline__checks(x, &nr);
		tap_ok(nr == 1 && (c->slow > c->next) == v[i].in_line && !inline_verify(&old, x) &&
		       !inline_run(&old, x, i, true, 1, 4, &runs) && !runs.different &&
		       !runs.passed, "a check in %s is %s", v[i].what,
		       v[i].in_line ? "in line" : "a call");
		chariot_inline__free(x);
		ko_file_free(&old);
	}
}

/* Different places behind the slots that the text calls. */
static uint32_t lookups_called(const struct ko_file *k, uint32_t runtime, int64_t *seen)
{
	const struct ko_section *s = ko_file_section(k, ".text");
	uint32_t nr = 0, n;

	for (uint32_t i = 0; i < s->nr_rels && nr < 16; i++) {
		const struct ko_rel *r = &s->rels[i];

		if (r->import || r->sec != runtime || r->target < 0x1c0)
			continue;
		for (n = 0; n < nr && seen[n] != r->target; n++)
			;
		if (n == nr)
			seen[nr++] = r->target;
	}
	return nr;
}

/* Those that can have the same registers, of one size. */
static void test_lookups(void)
{
	static const struct { const char *hex; uint32_t calls; } v[] = {
		{ "89 07 89 77 04 c3", 1 }, { "89 07 88 0f c3", 2 },
		{ "89 06 89 07 89 02 89 01 c3", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct ko_file old = {}, new = {};
		struct chariot_inline *x = make(v[i].hex, true, 0, &old);
		const void *image;
		int64_t seen[16];
		uint32_t nr = 0;
		size_t len;

		image = x ? chariot_inline__image(x, &len) : NULL;
		if (image && !ko_file_read(&new, image, len))
			nr = lookups_called(&new, chariot_inline__layout(x)->runtime, seen);
		tap_ok(nr == v[i].calls, "%s: checks call %u lookups", v[i].hex, nr);
		chariot_inline__free(x);
		ko_file_free(&old);
		ko_file_free(&new);
	}
}

/* lea of a place in the function itself. */
static void test_labels(void)
{
	static const struct { const char *what, *hex; bool compiled; enum why why; } v[] = {
		{ "in C, with no jump to it", "48 8d 05 T+7 57 58 c3", true, WHY_NOT },
		{ "in assembler", "48 8d 05 T+7 57 58 c3", false, WHY_STACK },
		{ "in C, with a jump that may be to it", "48 8d 05 T+7 57 58 e9 J", true, WHY_TABLE },
		{ "with a jump in another part", "48 8d 05 T+7 57 58 eb 01 | c3 e9 J", true,
		  WHY_LINKED },
		{ "which is called", "e8 01 00 00 00 c3 57 58 c3", true, WHY_STACK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct inline_runs runs = {};
		struct ko_file old = {};
		struct chariot_inline *x = make(v[i].hex, v[i].compiled, 0, &old);
		const char *why = "no module";
		size_t nr;

		if (x)
			why = chariot_inline__functions(x, &nr)->why ?: "";
		tap_ok(x && !strcmp(why, why_text[v[i].why] ?: "") && !inline_verify(&old, x) &&
		       !inline_run(&old, x, i, false, 2, 4, &runs) && !runs.different,
		       "a label %s: %s", v[i].what, why);
		chariot_inline__free(x);
		ko_file_free(&old);
	}
}

/* A jump forward, and one back, over @n stores: short ones become long. */
static void test_distance(int n)
{
	char hex[32768] = "85 f6 74";
	struct ko_file old = {};
	struct chariot_inline *x;
	struct at { uint32_t sec, off; } to = {};
	size_t nr;

	sprintf(hex + strlen(hex), "%02x", 2 * n + 2);
	for (int i = 0; i < n; i++)
		strcat(hex, "8907");
	sprintf(hex + strlen(hex), "eb%02x c3", (uint8_t)-(2 * n + 2));
	x = make(hex, true, 0, &old);
	if (x)
		chariot_inline__to_new(x, 1, 9 + 2 * n, true, &to.sec, &to.off);
	tap_ok(x && !inline_verify(&old, x) && chariot_inline__functions(x, &nr)->checks ==
	       (uint32_t)n && to.off > 9 + 2 * (uint32_t)n, "jumps over %d stores", n);
	chariot_inline__free(x);
	ko_file_free(&old);
}

static void test_map(void)
{
	struct ko_file old = {};
	struct chariot_inline *x = make("89 07 89 77 04 c3", true, 0, &old);
	const struct chariot_inline_check *c;
	uint32_t sec, off;
	size_t nr = 0;

	c = x ? chariot_inline__checks(x, &nr) : NULL;
	tap_ok(nr == 2 && c[0].off == 5 && c[1].off == 7 && c[0].start == 5 &&
	       c[0].store > c[0].start && c[0].next == c[0].store + 2 &&
	       c[1].start == c[0].next && c[1].slow > c[0].slow, "checks, in order");
	if (nr != 2)
		return;
	tap_ok(!chariot_inline__to_new(x, 1, 5, false, &sec, &off) && off == c[0].start,
	       "a jump to a store goes to its check");
	tap_ok(!chariot_inline__to_new(x, 1, 5, true, &sec, &off) && off == c[0].store,
	       "what is exact is not");
	tap_ok(!chariot_inline__to_old(x, 1, c[1].start + 3, &sec, &off) && off == 7,
	       "a check is of its store");
	tap_ok(!chariot_inline__to_old(x, 1, c[1].slow, &sec, &off) && off == 7,
	       "and so is its slow part");
	tap_ok(chariot_inline__to_new(x, 99, 0, true, &sec, &off) == -ENOENT &&
	       chariot_inline__to_old(x, 99, 0, &sec, &off) == -ENOENT, "no such section");
	chariot_inline__free(x);
	ko_file_free(&old);
}

static void test_same(void)
{
	uint64_t len;
	void *ko = ko_make("89 07 c3", true, &len);
	struct chariot_inline *a = chariot_inline__rewrite(ko, len, NULL);
	struct chariot_inline *b = chariot_inline__rewrite(ko, len, NULL);
	size_t n, m;

	tap_ok(a && b && !memcmp(chariot_inline__image(a, &n), chariot_inline__image(b, &m), n) &&
	       n == m, "the same image each time");
	chariot_inline__free(a);
	chariot_inline__free(b);
	free(ko);
}

/* ---- what is refused as a whole ------------------------------------------------------ */

static void test_options(void)
{
	static const struct chariot_inline_opts bad[] = {
		{ .sz = 1 },
		{ .sz = sizeof(bad[0]), .cache_lines = 100 },
		{ .sz = sizeof(bad[0]), .cache_lines = 32 },
		{ .sz = sizeof(bad[0]), .cache_lines = 1 << 20 },
		{ .sz = sizeof(bad[0]), .this_cpu_off = 1ULL << 40 },
	};
	uint64_t len;
	void *ko = ko_make("89 07 c3", true, &len);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		errno = 0;
		tap_ok(!chariot_inline__rewrite(ko, len, &bad[i]) && errno == EINVAL,
		       "options that are none, %zu", i);
	}
	tap_ok(!chariot_inline__rewrite(NULL, 0, NULL) && errno == EINVAL, "no module");
	tap_ok(!chariot_inline__rewrite("MZ", 2, NULL) && errno == ENOEXEC, "no ELF file");
	tap_ok(!chariot_inline__rewrite(ko, len / 2, NULL), "half a module");
	free(ko);
	ko = ko_make("06 c3", true, &len);
	tap_ok(!chariot_inline__rewrite(ko, len, NULL) && errno == ENOTSUP,
	       "what is no instruction");
	free(ko);
	chariot_inline__free(NULL);
}

static void test_made_up(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		test_row(i, true);
		if (!rows[i].why)
			test_row(i, false);
	}
	test_registers();
	test_labels();
	test_forms();
	test_lookups();
	for (int n = 1; n < 62; n += 6)
		test_distance(n);
	test_map();
	test_same();
	test_options();
}

/* ---- stock modules -------------------------------------------------------------------- */

static const char *const sample[] = {
	"drivers/net/ethernet/intel/e1000/e1000", "drivers/net/virtio_net",
	"drivers/net/ethernet/realtek/8139cp", "drivers/net/tun", "drivers/net/macvlan",
	"drivers/nvme/host/nvme", "drivers/block/null_blk/null_blk", "drivers/block/virtio_blk",
	"drivers/block/loop", "drivers/usb/storage/usb-storage", "drivers/usb/host/uhci-hcd",
	"drivers/input/mousedev", "drivers/hid/hid-generic", "drivers/cdrom/cdrom",
	"drivers/md/raid456", "sound/pci/snd-ens1370", "fs/fat/fat", "net/can/can-raw",
	"lib/raid6/raid6_pq", "crypto/twofish_common", "drivers/gpu/drm/bochs",
	"drivers/gpu/drm/tiny/bochs", "arch/x86/crypto/sha256-ssse3",
};

static const char *const suffixes[] = { ".ko", ".ko.xz", ".ko.zst" };

static bool find_module(char *path, size_t size, const char *dir, const char *kernel,
			const char *name)
{
	for (size_t k = 0; k < ARRAY_SIZE(suffixes); k++) {
		snprintf(path, size, "%s/%s/modules/kernel/%s%s", dir, kernel, name,
			 suffixes[k]);
		if (!access(path, R_OK))
			return true;
	}
	return false;
}

static void test_sample(const char *dir, const char *kernel)
{
	char path[PATH_MAX];
	struct sums s = {};

	for (size_t i = 0; i < ARRAY_SIZE(sample); i++)
		if (find_module(path, sizeof(path), dir, kernel, sample[i]))
			tap_ok(one_module(path, 5, 3, &s), "%s: %s", kernel, sample[i]);
	if (!s.modules) {
		tap_skip(kernel, "no such kernel");
		return;
	}
	tell(&s);
	tap_ok(s.modules >= 18 && s.runs.runs > 100 && s.runs.denied > 30 &&
	       s.runs.aligned >= 5, "%s: %lu modules, %lu runs, %lu stores denied, %lu functions "
	       "that align their stack", kernel, s.modules, s.runs.runs, s.runs.denied,
	       s.runs.aligned);
}

/* Every module of a list; @functions of them all executed, chosen by chance. */
static int from_list(const char *list, unsigned int functions)
{
	FILE *f = fopen(list, "r");
	struct sums s = {};
	char path[PATH_MAX];

	if (!f)
		return 1;
	srand(1);
	while (fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = 0;
		one_module(path, rand() % 1000 < (int)functions, 8, &s);
	}
	fclose(f);
	tell(&s);
	tap_ok(s.modules && !s.wrong, "%lu modules, %lu are wrong", s.modules, s.wrong);
	return tap_done();
}

int main(int argc, char **argv)
{
	const char *top = getenv("CHARIOT_TOP"), *dir = getenv("CHARIOT_KERNELS");
	unsigned int functions = 0;
	const char *list = NULL;
	char path[PATH_MAX];
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
	test_made_up();
	snprintf(path, sizeof(path), "%s/.cache/kernels", top ? top : ".");
	test_sample(dir ? dir : path, "6.1");
	test_sample(dir ? dir : path, "6.12");
	return tap_done();
}
