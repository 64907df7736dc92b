// SPDX-License-Identifier: GPL-2.0
/*
 * Which fault a seed is.
 */
#include "fit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TRIES		64	/* then every function is looked at once */

static const char *const type_names[FAULT_NR_TYPES + 1] = {
	[FAULT_SOURCE] = "source", [FAULT_DESTINATION] = "destination",
	[FAULT_POINTER] = "pointer", [FAULT_INTERFACE] = "interface",
	[FAULT_BRANCH] = "branch", [FAULT_LOOP] = "loop",
	[FAULT_TEXT] = "text", [FAULT_NOP] = "nop", [FAULT_INIT] = "init",
	[FAULT_IRQ] = "irq", [FAULT_FREE] = "free", [FAULT_ALLOC] = "alloc",
	[FAULT_OVERRUN] = "overrun", [FAULT_OFF_BY_ONE] = "off-by-one",
	[FAULT_LOCK] = "lock", [FAULT_EARLY] = "free-early",
	[FAULT_RANDOM] = "random",
};

const char *fault_type_name(enum fault_type type)
{
	return type <= FAULT_NR_TYPES ? type_names[type] : "?";
}

int fault_type_by_name(const char *name)
{
	for (int i = 0; i <= FAULT_NR_TYPES; i++)
		if (!strcmp(type_names[i], name))
			return i;
	return -1;
}

/* ---- random numbers: splitmix64, so that a seed is a fault for good ------ */

static uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (unsigned __int128)rng_next(r) * n >> 64;
}

/* By the type's name: more types do not change what a seed means. */
static struct rng rng_of(uint64_t seed, enum fault_type type)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	struct rng r;

	for (const char *c = fault_type_name(type); *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ULL;
	r.state = hash ^ seed;
	r.state = rng_next(&r);
	return r;
}

/* ---- choosing ----------------------------------------------------------- */

/* Any bit of the instruction's word at @at, which may make another of it. */
static bool fit_text(const struct code *c, size_t at, struct fault *f)
{
	size_t word = at & ~3UL, end = word + 4;
	size_t bit, i;

	if (end > c->f->len)
		end = c->f->len;
	bit = 8 * word + rng_below(c->rng, 8 * (end - word));
	for (i = 0; i < c->nr; i++)
		if (bit / 8 - (c->insn[i].address - c->f->gva) <
		    c->insn[i].size)
			break;
	if (i == c->nr)
		return false;
	fit_begin(c, &c->insn[i], "a bit of the text flipped", f);
	fit_flip(f, bit - 8 * f->offset);
	return true;
}

/* The first instruction that fits from @at on.  1, 0 or -errno. */
static int search(struct code *c, const struct fault_function *fn, size_t at,
		  struct fault *f)
{
	int err = code_load(c, fn);

	if (err)
		return err;
	if (f->type == FAULT_TEXT)
		return fit_text(c, at, f);
	for (size_t i = 0; i < c->nr; i++)
		if (c->insn[i].address - fn->gva >= at &&
		    fit_by_type[f->type](c, i, f))
			return 1;
	return 0;
}

static const struct fault_function *
random_place(const struct fault_driver *d, struct rng *r, size_t *at)
{
	uint64_t total = 0;

	for (size_t i = 0; i < d->nr; i++)
		total += d->functions[i].len;
	*at = rng_below(r, total);
	for (size_t i = 0; i < d->nr; i++) {
		if (*at < d->functions[i].len)
			return &d->functions[i];
		*at -= d->functions[i].len;
	}
	return NULL;
}

static int search_all(struct code *c, struct fault *f)
{
	const struct fault_driver *d = c->d;
	const struct fault_function *fn = NULL;
	size_t first, at;
	int r = 0;

	for (int n = 0; n < TRIES && !r; n++) {
		fn = random_place(d, c->rng, &at);
		if (!fn)
			return -ENOENT;
		r = search(c, fn, at, f);
	}
	/* It is rare, or there is none: then say so and be right. */
	first = fn - d->functions;
	for (size_t i = 1; i <= d->nr && !r; i++)
		r = search(c, &d->functions[(first + i) % d->nr], 0, f);
	return r > 0 ? 0 : r ?: -ENOENT;
}

/* ---- in words ------------------------------------------------------------ */

/* As it is wherever the driver was loaded to. */
static bool describe_jump(const struct code *c, const cs_insn *insn, char *buf,
			  size_t size)
{
	uint64_t to = x86(insn)->operands[0].imm;
	char name_buf[NAME_MAX_LEN];
	const char *name;

	if ((!code_in_group(c, insn, X86_GRP_JUMP) &&
	     !code_in_group(c, insn, X86_GRP_CALL)) ||
	    x86(insn)->operands[0].type != X86_OP_IMM)
		return false;
	name = code_callee(c, insn, name_buf, sizeof(name_buf));
	if (name)
		snprintf(buf, size, "%s %s", insn->mnemonic, name);
	else if (to - c->f->gva < c->f->len)
		snprintf(buf, size, "%s %s+0x%llx", insn->mnemonic, c->f->name,
			 (unsigned long long)(to - c->f->gva));
	return name || to - c->f->gva < c->f->len;
}

/* One instruction; its length, 0 if it is none. */
static size_t describe_one(const struct code *c, const uint8_t *bytes,
			   size_t len, uint64_t gva, char *buf, size_t size)
{
	cs_insn *insn;
	size_t n;

	if (!cs_disasm(c->cs, bytes, len, gva, 1, &insn)) {
		snprintf(buf, size, "(bad)");
		return 0;
	}
	n = insn->size;
	if (!describe_jump(c, insn, buf, size))
		site_disassemble(bytes, n, gva, buf, size);
	cs_free(insn, 1);
	return n;
}

/* What begins in @f->len bytes at the fault; the last may go beyond. */
static void describe(const struct code *c, const struct fault *f,
		     const uint8_t *bytes, char *buf, size_t size)
{
	const uint8_t *rest = f->function->code + f->offset + f->len;
	size_t n = f->function->len - f->offset - f->len, at = 0, used = 0;
	uint8_t all[2 * SITE_MAX];
	size_t one;

	if (n > SITE_MAX)
		n = SITE_MAX;
	memcpy(all, bytes, f->len);
	memcpy(all + f->len, rest, n);
	*buf = 0;
	while (at < f->len && used < size) {
		if (at)
			used += snprintf(buf + used, size - used, "; ");
		if (used >= size)
			break;
		one = describe_one(c, all + at, f->len + n - at,
				   f->function->gva + f->offset + at,
				   buf + used, size - used);
		if (!one)
			break;
		used += strlen(buf + used);
		at += one;
	}
}

static int pick(struct code *c, struct fault *f, enum fault_type type,
		uint64_t seed)
{
	int err;

	f->type = type;
	*c->rng = rng_of(seed, type);
	err = search_all(c, f);
	if (err)
		return err;
	describe(c, f, f->old, f->before, sizeof(f->before));
	describe(c, f, f->new, f->after, sizeof(f->after));
	return 0;
}

/* A type that nothing fits is passed over for another. */
static int pick_any(struct code *c, struct fault *f, uint64_t seed)
{
	struct rng rng = rng_of(seed, FAULT_RANDOM);
	enum fault_type types[FAULT_NR_RANDOM];
	int err = -ENOENT;

	for (size_t i = 0; i < FAULT_NR_RANDOM; i++)
		types[i] = i;
	for (size_t left = FAULT_NR_RANDOM; left && err == -ENOENT; left--) {
		size_t i = rng_below(&rng, left);

		err = pick(c, f, types[i], seed);
		types[i] = types[left - 1];
	}
	return err;
}

int fault_pick(const struct fault_driver *d, enum fault_type type,
	       uint64_t seed, struct fault *f)
{
	struct rng rng;
	struct code c = { .d = d, .rng = &rng };
	int err = fit_catalogue() ? code_open(&c) : -ENOMEM;

	if (err)
		return err;
	memset(f, 0, sizeof(*f));
	err = type == FAULT_RANDOM ? pick_any(&c, f, seed) :
	      pick(&c, f, type, seed);
	code_close(&c);
	return err;
}
