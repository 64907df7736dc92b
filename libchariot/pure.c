// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which functions of a guest's kernel are library code?  pure.h has what that is.
 *
 * The guest's text is looked at when somebody asks, function by function, and what was
 * found is kept.  The text is the guest's: all is bounded, and whatever is not
 * understood is not library code.
 */
#include <capstone/capstone.h>
#include <stdlib.h>

#include "pure.h"

#define MAX_FUNCTION	16384		/* bytes */
#define MAX_DEPTH	24
#define MAX_TRIES	8		/* of one that calls itself */
#define MAX_FUNCTIONS	16384		/* of one kernel; a power of 2 */
#define MAX_STEPS	30000		/* instructions for one function */
#define MAX_ALL_STEPS	(8U << 20)	/* for a kernel: some seconds */
#define MAX_LABELS	(1U << 17)

struct pure {
	const struct chariot_profile *p;
	const struct chariot_space *s;
	csh cs;
	struct pure_fn *fn[2 * MAX_FUNCTIONS];	/* by a hash of where they start */
	struct pure_fn *all[MAX_FUNCTIONS];
	size_t nr, time;
	unsigned int depth;
	uint32_t steps;
	struct jump_label *labels;
	size_t nr_labels;
	int err;
};

const char *pure_why_name(enum pure_why why)
{
	static const char *const names[PURE_NR] = {
		[PURE_OK] = "library code",
		[PURE_UNREADABLE] = "no function of the kernel's text",
		[PURE_SIZE] = "too large",
		[PURE_STEPS] = "too much to look at",
		[PURE_DEPTH] = "calls too deep",
		[PURE_CODE] = "an instruction that is none of library code",
		[PURE_INDIRECT] = "an indirect call or jump",
		[PURE_JUMP] = "a jump into the middle of something",
		[PURE_STACK] = "a stack that is not understood",
		[PURE_GLOBAL] = "a store to the kernel's data",
		[PURE_PERCPU] = "a store to per-CPU data",
		[PURE_WHERE] = "a store, it is not known where",
		[PURE_NO_RETURN] = "no way to its end without other code",
	};

	return why < PURE_NR ? names[why] : "?";
}

/* ---- functions ----------------------------------------------------------- */

static const char *name_at(const struct pure *pu, uint64_t gva)
{
	uint64_t off;
	const char *name = chariot_profile__name(pu->p, gva, &off);

	return name && !off ? name : NULL;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* Thunks are part of a function's own flow: they are executable in every view. */
static enum target target(void *ctx, uint64_t gva)
{
	struct pure *pu = ctx;
	uint64_t off;
	const char *name = chariot_profile__name(pu->p, gva, &off);

	if (!name || (off && !strstr(name, ".cold")))
		return TARGET_NONE;
	if (ends_with(name, "return_thunk") || !strcmp(name, "__fentry__"))
		return TARGET_RETURN;
	return strncmp(name, "__x86_indirect", 14) ? TARGET_FUNCTION :
						     TARGET_INDIRECT;
}

/*
 * What is not come to in the run of things is not taken along: there are the warnings,
 * with their flags in the kernel's data.  Static calls change.
 */
static bool never_runs_along(const char *name)
{
	return strstr(name, ".cold") || !strncmp(name, "__SCT__", 7);
}

static struct pure_fn **find(struct pure *pu, uint64_t gva)
{
	size_t i = gva * 0x9e3779b97f4a7c15ULL >> 40;

	for (;; i++) {
		i &= ARRAY_SIZE(pu->fn) - 1;
		if (!pu->fn[i] || pu->fn[i]->start == gva)
			return &pu->fn[i];
	}
}

static const struct pure_fn *callee(void *ctx, uint64_t target)
{
	struct pure *pu = ctx;
	const char *name = name_at(pu, target);
	const struct pure_fn *f;

	if (!name || never_runs_along(name))
		return NULL;
	f = pure_look(pu, target);
	if (!f)
		pu->err = -errno;
	/* It calls itself: what is known of it so far; look() sees whether that was all. */
	if (f && f->busy)
		(*find(pu, target))->again = true;
	return f && !f->why ? f : NULL;
}

static const struct jump_label *labels(void *ctx, uint64_t code, size_t *nr)
{
	struct pure *pu = ctx;
	size_t lo = 0, hi = pu->nr_labels, end;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (pu->labels[mid].code < code)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < pu->nr_labels && pu->labels[end].code == code; end++)
		;
	*nr = end - lo;
	return pu->labels + lo;
}

int pure_read(struct pure *pu, uint64_t gva, void *buf, size_t len)
{
	if (pu->s)
		return chariot_space__read(pu->s, gva, buf, len);
	return profile_read(pu->p, gva, buf, len);
}

/* Until it does what was thought of it when it called itself. */
static int run(struct pure *pu, struct flow *w)
{
	struct pure_fn *f = w->f, was;
	int err = 0, tries = 0;

	do {
		/* What was found with less known of it. */
		for (size_t i = 0; tries && i < pu->nr; i++)
			if (pu->all[i]->time > f->time)
				pu->all[i]->stale = true;
		was = *f;
		f->again = false;
		err = flow_run(w);
	} while (!err && !pu->err && !f->why && f->again &&
		 ++tries < MAX_TRIES &&
		 (was.writes != f->writes || was.stored != f->stored ||
		  was.result != f->result || was.once != f->once));
	if (tries == MAX_TRIES)
		f->why = PURE_STEPS;
	return err;
}

static int look(struct pure *pu, struct pure_fn *f)
{
	uint8_t code[MAX_FUNCTION];
	uint32_t steps = pu->steps < MAX_STEPS ? pu->steps : MAX_STEPS, left = steps;
	struct flow w = {
		.code = code, .f = f, .callee = callee, .labels = labels,
		.target = target, .ctx = pu, .cs = pu->cs, .steps = &left,
		.once = chariot_profile__symbol(pu->p, "__start_once"),
		.once_end = chariot_profile__symbol(pu->p, "__end_once"),
	};
	int err;

	f->at = f->start;
	if (pu->depth >= MAX_DEPTH) {
		f->why = PURE_DEPTH;
		return 0;
	}
	if (f->end - f->start > sizeof(code)) {
		f->why = PURE_SIZE;
		return 0;
	}
	if (f->end <= f->start ||
	    pure_read(pu, f->start, code, f->end - f->start)) {
		f->why = PURE_UNREADABLE;
		return 0;
	}
	pu->depth++;
	f->time = ++pu->time;
	f->busy = true;
	err = run(pu, &w);
	f->busy = false;
	pu->depth--;
	left = steps - left;
	pu->steps = pu->steps > left ? pu->steps - left : 0;
	return err ?: pu->err;
}

static void forget(struct pure_fn *f)
{
	free(f->calls);
	free(f->exits);
	*f = (struct pure_fn){ .start = f->start, .end = f->end };
}

static struct pure_fn *new_fn(struct pure *pu, uint64_t gva)
{
	uint64_t text = chariot_profile__symbol(pu->p, "_stext");
	uint64_t end = chariot_profile__symbol(pu->p, "_etext");
	struct pure_fn *f;

	if (pu->nr >= MAX_FUNCTIONS)
		return err_null(ENOSPC);
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_null(ENOMEM);
	pu->all[pu->nr++] = f;
	f->start = f->end = gva;
	if (gva >= text && gva < end && name_at(pu, gva))
		f->end = chariot_profile__next(pu->p, gva);
	return f;
}

const struct pure_fn *pure_look(struct pure *pu, uint64_t gva)
{
	struct pure_fn **at = find(pu, gva), *f = *at;
	int err;

	if (f && !f->stale)
		return f;
	if (f)
		forget(f);
	else
		*at = f = new_fn(pu, gva);
	err = f ? look(pu, f) : -errno;
	return err ? err_null(err) : f;
}

/* ---- what runs together -------------------------------------------------- */

size_t pure_closure(struct pure *pu, const struct pure_fn *f,
		    const struct pure_fn *all[PURE_CLOSURE])
{
	size_t nr = 1, i;

	if (f->why)
		return 0;
	all[0] = f;
	for (size_t done = 0; done < nr; done++) {
		for (uint32_t c = 0; c < all[done]->nr_calls; c++) {
			f = *find(pu, all[done]->calls[c]);
			for (i = 0; f && i < nr && all[i] != f; i++)
				;
			if (f && i < nr)
				continue;
			/* What it calls itself by may have turned out otherwise. */
			if (!f || f->stale || f->why || nr == PURE_CLOSURE)
				return 0;
			all[nr++] = f;
		}
	}
	return nr;
}

/* ---- all of it ----------------------------------------------------------- */

static int label_cmp(const void *x, const void *y)
{
	const struct jump_label *a = x, *b = y;

	return a->code < b->code ? -1 : a->code > b->code;
}

/* struct jump_entry: two places and a key, each relative to itself. */
static int read_labels(struct pure *pu)
{
	uint64_t start = chariot_profile__symbol(pu->p, "__start___jump_table");
	uint64_t stop = chariot_profile__symbol(pu->p, "__stop___jump_table");
	struct { int32_t code, target; int64_t key; } *e;
	size_t nr = stop > start ? (stop - start) / sizeof(*e) : 0;

	if (!nr || nr > MAX_LABELS)
		return 0;
	e = malloc(nr * sizeof(*e));
	pu->labels = calloc(nr, sizeof(*pu->labels));
	if (!e || !pu->labels) {
		free(e);
		return -ENOMEM;
	}
	if (!pure_read(pu, start, e, nr * sizeof(*e)))
		pu->nr_labels = nr;
	for (size_t i = 0; i < pu->nr_labels; i++, start += sizeof(*e))
		pu->labels[i] = (struct jump_label){
			.code = start + e[i].code,
			.target = start + 4 + e[i].target,
		};
	free(e);
	qsort(pu->labels, pu->nr_labels, sizeof(*pu->labels), label_cmp);
	return 0;
}

struct pure *pure_new(const struct chariot_profile *p,
		      const struct chariot_space *s)
{
	struct pure *pu = calloc(1, sizeof(*pu));

	if (!pu)
		return err_null(ENOMEM);
	pu->p = p;
	pu->s = s;
	pu->steps = MAX_ALL_STEPS;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &pu->cs) || read_labels(pu)) {
		pure_free(pu);
		return err_null(ENOMEM);
	}
	cs_option(pu->cs, CS_OPT_DETAIL, CS_OPT_ON);
	return pu;
}

void pure_free(struct pure *pu)
{
	if (!pu)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(pu->fn); i++) {
		if (pu->fn[i])
			forget(pu->fn[i]);
		free(pu->fn[i]);
	}
	if (pu->cs)
		cs_close(&pu->cs);
	free(pu->labels);
	free(pu);
}
