// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The runtime of mode inline, executed: each place that the driver calls; calls of the
 * driver that nest, return and are interrupted at each instruction; more stacks than there
 * is room for.  The host is played.
 */
#include <stdlib.h>
#include <string.h>

#include "inline/rt.h"
#include "internal.h"
#include "tap.h"

#define MAIN_RSP	(RT_STACKS + 0x3f00)
#define WAYS		4	/* places that a stack can have */

static bool same_regs(const struct rt_regs *a, const struct rt_regs *b, bool flags)
{
	for (int i = 0; i < (flags ? 17 : 16); i++)
		if (a->r[i] != b->r[i]) {
			printf("# register %d: 0x%lx, was 0x%lx\n", i, (long)b->r[i],
			       (long)a->r[i]);
			return false;
		}
	return true;
}

static void clear(struct rt *rt)
{
	memset(rt->data, 0, sizeof(*rt->data));
	memset(rt->cache, 0, 8 * rt->l->cache_lines);
	rt->asked = rt->called = 0;
	rt->result = 0;
	rt->change = -1;
}

static void let(struct rt *rt, uint64_t at)
{
	rt->cache[(at >> 6) % rt->l->cache_lines] = at | 63;
}

/* ---- a store ------------------------------------------------------------------------ */

/* The check of @slot, with its address in @reg: was the host asked? */
static int check(struct rt *rt, unsigned int slot, unsigned int size, struct rt_regs *r,
		 bool flags)
{
	uint64_t at = rt_check(rt, slot, size);
	struct rt_regs after;

	rt->asked = 0;
	rt_set(rt, r);
	if (!rt_run(rt, at, rt_check_behind(slot), 0))
		return -1;
	rt_get(rt, &after);
	return same_regs(r, &after, flags) ? (int)rt->asked : -1;
}

static bool good_frame(const struct rt *rt, const struct rt_regs *r, uint64_t ret,
		       uint64_t rsp)
{
	struct rt_regs saved = *r, seen = *r;

	memcpy(seen.r, rt->f.r, sizeof(rt->f.r));
	saved.r[RSP] = rsp;
	return same_regs(&saved, &seen, false) && rt->f.ret == ret;
}

static void test_miss(struct rt *rt, int reg)
{
	struct rt_regs r, after;

	clear(rt);
	rt_random_regs(&r, MAIN_RSP);
	r.r[reg] = RT_HEAP + 0x1238;
	tap_ok(check(rt, reg, 8, &r, false) == 1 && rt->reason == CHARIOT_HC_MISS &&
	       rt->f.what == r.r[reg] && good_frame(rt, &r, rt_check_behind(reg), MAIN_RSP),
	       "register %d: the host is asked, and told all", reg);
	rt->result = -1000;
	tap_ok(check(rt, reg, 8, &r, false) == 1, "register %d: nobody is there", reg);
	let(rt, r.r[reg]);
	tap_ok(check(rt, reg, 8, &r, false) == 0, "register %d: it is in the cache", reg);
	rt->cache[(r.r[reg] >> 6) % rt->l->cache_lines] = 0;
	rt->result = RT_KERNEL + 64;
	rt_set(rt, &r);
	tap_ok(rt_run(rt, rt_check(rt, reg, 8), RT_KERNEL + 64, 0) &&
	       (rt_get(rt, &after), same_regs(&r, &after, false)),
	       "register %d: the store is left out", reg);
}

static void test_lines(struct rt *rt)
{
	struct rt_regs r;

	clear(rt);
	rt_random_regs(&r, MAIN_RSP);
	r.r[RDI] = RT_HEAP + 0x103c;
	let(rt, RT_HEAP + 0x1000);
	tap_ok(check(rt, RDI, 4, &r, false) == 0 && check(rt, RDI, 5, &r, false) == 1,
	       "over the end of a line");
	let(rt, RT_HEAP + 0x1040);
	tap_ok(check(rt, RDI, 5, &r, false) == 0, "two lines are in the cache");
	let(rt, RT_HEAP + 0x1000 + 64 * rt->l->cache_lines);
	tap_ok(check(rt, RDI, 5, &r, false) == 1, "another one at its place");
	rt->change = R12;
	rt_set(rt, &r);
	rt_run(rt, rt_check(rt, RDI, 5), rt_check_behind(RDI), 0);
	rt->change = -1;
	rt_get(rt, &r);
	tap_ok(r.r[R12] == 0x1234567, "the host changes a register");
	r.r[RDI] = ~3ULL;
	tap_ok(check(rt, RDI, 8, &r, false) == 1, "over the end of memory");
}

static int string(struct rt *rt, uint64_t at, uint64_t count, unsigned int size, bool down)
{
	struct rt_regs r;

	rt_random_regs(&r, MAIN_RSP);
	r.r[RDI] = at;
	r.r[RCX] = count;
	r.r[FLAGS] |= down ? 0x400 : 0;
	return check(rt, CHARIOT_INLINE_RANGE, size, &r, true);
}

static void test_range(struct rt *rt)
{
	struct chariot_inline_params p = rt_usual(rt);
	struct rt_regs r;

	clear(rt);
	tap_ok(string(rt, RT_HEAP, 0, 8, false) == 0, "a string of nothing");
	tap_ok(string(rt, RT_HEAP, 1, 8, false) == 1 && rt->reason == CHARIOT_HC_RANGE &&
	       rt->f.what == RT_HEAP && rt->f.r[RCX] == 1 &&
	       rt->f.ret == rt_check_behind(CHARIOT_INLINE_RANGE) && rt->f.r[RSP] == MAIN_RSP,
	       "a string: the host is asked");
	for (int i = 0; i < 5; i++)
		let(rt, RT_HEAP + 64 * i);
	tap_ok(string(rt, RT_HEAP + 1, 319, 1, false) == 0, "all of its lines are in the cache");
	tap_ok(string(rt, RT_HEAP + 8, 40, 8, false) == 1, "all but one byte");
	tap_ok(string(rt, RT_HEAP + 8, 4, 8, true) == 1, "downwards");
	tap_ok(string(rt, RT_HEAP, 1ULL << 61, 8, false) == 1 &&
	       string(rt, RT_HEAP, 1ULL << 32, 1, false) == 1, "longer than memory");
	tap_ok(string(rt, ~0ULL - 7, 2, 8, false) == 1, "over the end of memory");
	rt->result = RT_KERNEL + 64;
	rt_random_regs(&r, MAIN_RSP);
	r.r[RCX] = 16;
	rt_set(rt, &r);
	tap_ok(rt_run(rt, rt_check(rt, CHARIOT_INLINE_RANGE, 8), RT_KERNEL + 64, 0),
	       "a string is left out");
	p.off = 1;
	rt_params(rt, &p);
	tap_ok(string(rt, RT_HEAP + 0x8000, 16, 8, false) == 0 &&
	       (rt_random_regs(&r, MAIN_RSP), check(rt, R9, 8, &r, false)) == 0,
	       "nobody isolates: nobody is asked");
	p.off = 0;
	rt_params(rt, &p);
}

/* ---- the driver is called ---------------------------------------------------------------- */

struct call {
	uint64_t ret;
	unsigned int fn;
	struct rt_regs r;	/* at its entry: there @r.r[RSP] leads to @ret */
	bool told;		/* the host was, as there was no room */
};

static uint64_t some_ret(void)
{
	return 0xffffffff81000000ULL + (rt_rand() & 0xffffff);
}

/* As the kernel does it, with RSP at @rsp before; up to @insns instructions. */
static bool call_begin(struct rt *rt, struct call *c, uint64_t rsp, unsigned long insns)
{
	rt_random_regs(&c->r, rsp - 8);
	rt_write(rt, rsp - 8, c->ret);
	rt_set(rt, &c->r);
	rt->asked = 0;
	return rt_run(rt, rt_call_at(c->fn), rt_behind(c->fn), insns);
}

/* Did it keep all registers? */
static bool call_end(struct rt *rt, struct call *c)
{
	struct rt_regs after;

	rt_get(rt, &after);
	c->told = rt->asked && rt->reason == CHARIOT_HC_SPILL;
	return same_regs(&c->r, &after, false);
}

static bool make_call(struct rt *rt, struct call *c, uint64_t rsp)
{
	c->ret = some_ret();
	c->fn = rt_rand() % 256;
	c->told = false;
	return call_begin(rt, c, rsp, 0) && call_end(rt, c);
}

/* The live record with the lowest RSP, as linux/chariot.h says. */
static const struct chariot_inline_record *newest(struct rt *rt, uint64_t rsp)
{
	const struct chariot_inline_record *best = NULL;

	for (int i = 0; i < CHARIOT_INLINE_STACKS; i++) {
		const struct chariot_inline_stack *s = &rt->data->s[i];

		if (s->base != (rsp & ~(RT_STACK_SIZE - 1)))
			continue;
		for (uint32_t n = 0; n < s->nr && n < CHARIOT_INLINE_RECORDS; n++)
			if (s->r[n].rsp >= rsp && rt_read(rt, s->r[n].rsp) == s->r[n].ret &&
			    (!best || s->r[n].rsp < best->rsp))
				best = &s->r[n];
	}
	return best;
}

static bool is_record(const struct chariot_inline_record *q, const struct call *c)
{
	static const int args[] = { RDI, RSI, RDX, RCX, R8, R9 };
	static const int saved[] = { RBX, RBP, R12, R13, R14, R15 };
	bool good = q && q->rsp == c->r.r[RSP] && q->ret == c->ret &&
		    q->entry == rt_function(c->fn) && (uint32_t)q->count == RT_COUNT &&
		    q->count >> 63 == 0 && (q->count >> 32 & 0x200);

	for (int i = 0; i < 6 && good; i++)
		good = q->args[i] == c->r.r[args[i]] && q->saved[i] == c->r.r[saved[i]];
	if (!good && q)
		printf("# a record of 0x%lx at 0x%lx, not of 0x%lx at 0x%lx\n", (long)q->entry,
		       (long)q->rsp, (long)rt_function(c->fn), (long)c->r.r[RSP]);
	return good;
}

static void test_enter(struct rt *rt)
{
	struct chariot_inline_params p = rt_usual(rt);
	struct call c = {};

	clear(rt);
	for (int i = 0; i < 4; i++) {
		c.fn = i;
		c.ret = some_ret();
		tap_ok(call_begin(rt, &c, MAIN_RSP, 0) && call_end(rt, &c) && !rt->asked &&
		       is_record(newest(rt, MAIN_RSP - 8), &c), "a call of function %d", i);
	}
	c.ret = RT_DRIVER + 0x100;
	clear(rt);
	tap_ok(call_begin(rt, &c, MAIN_RSP, 0) && call_end(rt, &c) &&
	       !newest(rt, MAIN_RSP - 8), "a call by the driver itself is none");
	p.text = 0x90000;
	p.init = RT_DRIVER;
	p.init_len = 0x1000;
	rt_params(rt, &p);
	tap_ok(call_begin(rt, &c, MAIN_RSP, 0) && call_end(rt, &c) &&
	       !newest(rt, MAIN_RSP - 8), "nor one by its init");
	p.init_len = 0;
	rt_params(rt, &p);
	tap_ok(call_begin(rt, &c, MAIN_RSP, 0) && call_end(rt, &c) &&
	       is_record(newest(rt, MAIN_RSP - 8), &c), "but of what is there later");
	p = rt_usual(rt);
	p.ask = 1;
	rt_params(rt, &p);
	c.ret = some_ret();
	tap_ok(call_begin(rt, &c, MAIN_RSP, 0) && call_end(rt, &c) && rt->asked == 1 &&
	       rt->reason == CHARIOT_HC_ENTER && is_record(newest(rt, MAIN_RSP - 8), &c) &&
	       rt->f.what == rt_behind(c.fn) && good_frame(rt, &c.r, c.ret, c.r.r[RSP]),
	       "the host wants to be told");
	p.ask = 0;
	rt_params(rt, &p);
	c.fn = 500;
	tap_ok(call_begin(rt, &c, MAIN_RSP, 0) && call_end(rt, &c) && rt->asked == 1 &&
	       rt->reason == CHARIOT_HC_ENTER && is_record(newest(rt, MAIN_RSP - 8), &c),
	       "init and exit always tell it");
}

static void test_full(struct rt *rt)
{
	uint64_t rsp = MAIN_RSP;
	bool good = true;
	struct call c;

	clear(rt);
	for (int i = 0; i < CHARIOT_INLINE_RECORDS; i++, rsp -= 64)
		good &= make_call(rt, &c, rsp) && !rt->asked && is_record(newest(rt, rsp - 8), &c);
	tap_ok(good, "%d calls nest", CHARIOT_INLINE_RECORDS);
	tap_ok(make_call(rt, &c, rsp) && rt->asked == 1 && c.told &&
	       rt->f.what == rt_behind(c.fn) && good_frame(rt, &c.r, c.ret, c.r.r[RSP]),
	       "of one more the host is told");
	tap_ok(make_call(rt, &c, rsp + 64) && !rt->asked && is_record(newest(rt, rsp + 56), &c),
	       "when one has returned there is room");
	rt_write(rt, rsp + 56, 0);
	tap_ok(make_call(rt, &c, rsp) && !rt->asked && is_record(newest(rt, rsp - 8), &c),
	       "or when its return address is gone");
}

/* ---- any of it ------------------------------------------------------------------------------- */

#define NEST_MAX	12

struct stack {
	uint64_t base, rsp;
	struct call live[NEST_MAX];
	int nr;
};

static void fill_stack(struct rt *rt, uint64_t from, uint64_t to)
{
	for (; from < to; from += 8)
		rt_write(rt, from, rt_rand());
}

/* Of what records tell, the innermost call that there was room for. */
static bool good_newest(struct rt *rt, const struct stack *s)
{
	int n = s->nr;

	while (n && s->live[n - 1].told)
		n--;
	if (!n)
		return !newest(rt, s->rsp);
	return is_record(newest(rt, s->rsp), &s->live[n - 1]);
}

/* A store somewhere around: is it known to be to the driver's own stack? */
static bool good_store(struct rt *rt, const struct stack *s)
{
	const struct chariot_inline_record *q = newest(rt, s->rsp);
	unsigned int size = 1 << rt_rand() % 4;
	uint64_t at = s->rsp - 32 + rt_rand() % 256;
	bool own = q && at >= s->rsp && at + size <= q->rsp;
	struct rt_regs r;
	bool rep = rt_rand() % 4 == 0;
	int reg = rt_rand() % 16, asked;

	reg = rep ? CHARIOT_INLINE_RANGE : reg == RSP ? RDI : reg;
	rt_random_regs(&r, s->rsp);
	r.r[rep ? RDI : reg] = at;
	if (rep) {
		r.r[RCX] = rt_rand() % 4 + 1;
		own = own && at + size * r.r[RCX] <= q->rsp;
	}
	asked = check(rt, reg, size, &r, rep);
	if (asked != !own)
		printf("# a store of %u to 0x%lx with RSP 0x%lx: asked %d\n", size, (long)at,
		       (long)s->rsp, asked);
	return asked == !own;
}

/* Calls the driver, and is perhaps interrupted by another call of it, which returns. */
static bool nest(struct rt *rt, struct stack *s, int depth)
{
	uint64_t rsp = s->rsp - 16 * (rt_rand() % 8);
	struct call one = {}, *c = &one;
	uc_context *saved;
	bool good;

	fill_stack(rt, rsp - 512, s->rsp);
	if (s->nr + 1 == NEST_MAX || depth == 3 || rt_rand() % 2) {
		good = make_call(rt, c, rsp);
	} else {
		uint64_t was = s->rsp;
		unsigned int asked;
		struct rt_regs r;

		c->ret = some_ret();
		c->fn = rt_rand() % 256;
		good = call_begin(rt, c, rsp, 1 + rt_rand() % 70);
		rt_get(rt, &r);
		uc_context_alloc(rt->uc, &saved);
		uc_context_save(rt->uc, saved);
		s->rsp = r.r[RSP] - 8 * (rt_rand() % 16);
		asked = rt->asked;
		good = good && nest(rt, s, depth + 1);
		/* The innermost call alone is compared: others are in the middle. */
		if (good && s->nr)
			s->nr--;
		s->rsp = was;
		uc_context_restore(rt->uc, saved);
		uc_context_free(saved);
		rt->asked = asked;
		good = good && rt_go(rt, rt_behind(c->fn), 0) && call_end(rt, c);
	}
	s->rsp = rsp - 8;
	s->live[s->nr++] = one;
	return good;
}

static void test_random(struct rt *rt, int rounds)
{
	static struct stack stacks[4];
	int calls = 0, told = 0, deepest = 0;
	bool good = true;

	clear(rt);
	memset(stacks, 0, sizeof(stacks));
	for (int i = 0; i < 4; i++) {
		stacks[i].base = RT_STACKS + RT_STACK_SIZE * (i + 5);
		stacks[i].rsp = stacks[i].base + RT_STACK_SIZE - 256;
	}
	for (int i = 0; i < rounds && good; i++) {
		struct stack *s = &stacks[rt_rand() % 4];

		if (s->nr && (rt_rand() % 2 || s->nr > 9)) {
			int back = rt_rand() % 3 ? s->nr - 1 : (int)(rt_rand() % s->nr);

			s->rsp = s->live[back].r.r[RSP] + 8;
			s->nr = back;
		} else {
			good = nest(rt, s, 0);
			calls++;
			told += good && s->live[s->nr - 1].told;
			deepest = s->nr > deepest ? s->nr : deepest;
		}
		good = good && good_newest(rt, s) && good_store(rt, s);
	}
	for (int i = 0; i < CHARIOT_INLINE_STACKS; i++)
		good = good && !(rt->data->s[i].state & 0xffff);
	tap_ok(good && told && deepest > CHARIOT_INLINE_RECORDS,
	       "%d calls and returns: %d calls, up to %d deep, the host was told of %d", rounds,
	       calls, deepest, told);
}

static int places(struct rt *rt, uint64_t base)
{
	int nr = 0;

	for (int i = 0; i < CHARIOT_INLINE_STACKS; i++)
		nr += rt->data->s[i].base == base;
	return nr;
}

/* An interrupt that calls the driver, at each instruction of "enter". */
static void test_interrupts(struct rt *rt, int before, bool dead)
{
	unsigned long n = 1;
	bool good = true;

	for (; good; n++) {
		struct stack s = { .base = RT_STACKS, .rsp = MAIN_RSP };
		struct call inner, c = { .fn = n % 8, .ret = some_ret() };
		unsigned int asked;
		struct rt_regs r;
		uc_context *saved;
		uint64_t rip;

		clear(rt);
		for (int i = 0; i < before; i++, s.rsp -= 72)
			good &= make_call(rt, &s.live[s.nr++], s.rsp);
		if (dead && before) {
			s.nr--;
			s.rsp += 72 - 8;
		}
		good = good && call_begin(rt, &c, s.rsp, n);
		uc_reg_read(rt->uc, UC_X86_REG_RIP, &rip);
		if (rip == rt_behind(c.fn))
			break;
		rt_get(rt, &r);
		uc_context_alloc(rt->uc, &saved);
		uc_context_save(rt->uc, saved);
		asked = rt->asked;
		good = good && make_call(rt, &inner, r.r[RSP] - 64) &&
		       (inner.told || is_record(newest(rt, inner.r.r[RSP]), &inner));
		uc_context_restore(rt->uc, saved);
		uc_context_free(saved);
		rt->asked = asked;
		good = good && rt_go(rt, rt_behind(c.fn), 0) && call_end(rt, &c) &&
		       (c.told || is_record(newest(rt, c.r.r[RSP]), &c)) &&
		       places(rt, s.base) == 1;
		s.live[s.nr++] = c;
		s.rsp = c.r.r[RSP] + 8 + 72;
	}
	tap_ok(good && n > 50, "interrupted at each of %lu instructions, %d calls before%s", n,
	       before, dead ? ", one has returned" : "");
}

/* ---- more stacks than there is room for --------------------------------------------------------- */

static uint64_t stack_of(int i)
{
	return RT_STACKS + i * RT_STACK_SIZE;
}

static unsigned int number_of(uint64_t base)
{
	return (uint32_t)((uint32_t)(base >> 12) * 0x9e3779b1) >> 25;
}

static struct chariot_inline_stack *place_of(struct rt *rt, uint64_t base)
{
	for (int i = 0; i < CHARIOT_INLINE_STACKS; i++)
		if (rt->data->s[i].base == base)
			return &rt->data->s[i];
	return NULL;
}

static void test_many(struct rt *rt)
{
	static struct call calls[RT_NR_STACKS];
	int told = 0, kept = 0;
	bool good = true;

	clear(rt);
	for (int i = 0; i < RT_NR_STACKS; i++)
		good &= make_call(rt, &calls[i], stack_of(i) + 0x3000);
	for (int i = 0; i < RT_NR_STACKS; i++) {
		const struct chariot_inline_stack *s = place_of(rt, stack_of(i));
		unsigned int n = s ? s - rt->data->s - number_of(stack_of(i)) : 0;

		told += calls[i].told;
		kept += !!s;
		good &= calls[i].told ? !s : s && n < WAYS &&
			is_record(newest(rt, calls[i].r.r[RSP]), &calls[i]);
	}
	tap_ok(good && told && kept > 100, "%d stacks: %d have room, the host is told of %d",
	       RT_NR_STACKS, kept, told);
}

/* A stack that is not aligned to its size: the host knows what the lower part does not. */
static void test_two_bases(struct rt *rt)
{
	uint64_t middle = stack_of(3);
	struct rt_regs r;
	struct call c;

	clear(rt);
	rt_random_regs(&r, middle - 64);
	r.r[RDI] = middle - 32;
	tap_ok(make_call(rt, &c, middle + 32) && is_record(newest(rt, middle + 24), &c) &&
	       check(rt, RDI, 8, &r, false) == 1 && rt->f.r[RSP] == middle - 64,
	       "a stack of two bases: the host is asked");
	r.r[RSP] = middle + 8;
	r.r[RDI] = middle + 16;
	tap_ok(check(rt, RDI, 8, &r, false) == 0 && check(rt, RDI, 9, &r, false) == 1,
	       "and not in the part where it was called");
}

/* All places are others', which are nowhere. */
static uint64_t fill_places(struct rt *rt)
{
	clear(rt);
	for (unsigned int i = 0; i < CHARIOT_INLINE_STACKS; i++)
		rt->data->s[i].base = 0x70000000ULL + i * RT_STACK_SIZE;
	return RT_STACKS;
}

/* Another stack that could be at the place that this one has first. */
static uint64_t rival_of(uint64_t base)
{
	for (int i = 1; i < RT_NR_STACKS; i++)
		if (number_of(base) - number_of(stack_of(i)) < WAYS)
			return stack_of(i);
	return 0;
}

static void test_evict(struct rt *rt)
{
	struct chariot_inline_stack *victim;
	struct call c = {};
	uint64_t base;

	base = fill_places(rt);
	victim = &rt->data->s[number_of(base) + 2];
	victim->nr = 2;
	victim->state = 0x50000;
	rt->result = 2;
	rt->rdx = rt->data_gva + ((uint8_t *)victim - (uint8_t *)rt->data);
	rt->r8 = 0x50000;
	tap_ok(make_call(rt, &c, MAIN_RSP) && rt->asked == 1 && victim->base == base &&
	       victim->nr == 1 && is_record(newest(rt, MAIN_RSP - 8), &c),
	       "the host takes over what another one had");
	base = fill_places(rt);
	victim->state = 0x60000;
	rt->result = 2;
	tap_ok(make_call(rt, &c, MAIN_RSP) && rt->asked == 2 && victim->base &&
	       victim->base != base && !newest(rt, MAIN_RSP - 8),
	       "it is not free when there was a call since");
	base = fill_places(rt);
	victim->state = 0x50001;
	rt->result = 2;
	tap_ok(make_call(rt, &c, MAIN_RSP) && rt->asked == 2 && victim->base != base,
	       "nor when one is in the middle");
}

/*
 * On another CPU the host takes the place of a stack, at each instruction of a call there:
 * it is recorded, or the host is told, and neither stack has what is the other's.
 */
static void test_evict_race(struct rt *rt)
{
	struct call old, a = {}, b = {};
	unsigned long n = 1, taken = 0;
	bool good = true;

	for (; good; n++) {
		struct chariot_inline_stack *s;
		uint64_t base, rip;
		uc_context *saved;

		base = fill_places(rt);
		s = &rt->data->s[number_of(base)];
		memset(s, 0, sizeof(*s));
		good = make_call(rt, &old, MAIN_RSP);
		rt->rdx = rt->data_gva + ((uint8_t *)s - (uint8_t *)rt->data);
		rt->r8 = s->state;
		a.fn = n % 8;
		a.ret = some_ret();
		good = good && call_begin(rt, &a, MAIN_RSP - 128, n);
		uc_reg_read(rt->uc, UC_X86_REG_RIP, &rip);
		if (rip == rt_behind(a.fn))
			break;
		uc_context_alloc(rt->uc, &saved);
		uc_context_save(rt->uc, saved);
		rt->result = 2;
		base = rival_of(base);
		good = good && base && make_call(rt, &b, base + 0x3000);
		taken += s->base == base;
		uc_context_restore(rt->uc, saved);
		uc_context_free(saved);
		rt->asked = 0;
		good = good && rt_go(rt, rt_behind(a.fn), 0) && call_end(rt, &a);
		good = good && (a.told || is_record(newest(rt, a.r.r[RSP]), &a)) &&
		       (b.told || is_record(newest(rt, b.r.r[RSP]), &b)) && !(s->state & 0xffff);
	}
	tap_ok(good && n > 50 && taken > 5 && taken < n - 5,
	       "the host takes its place at each of %lu instructions: %lu times it gets it", n, taken);
}

/* A store is looked up while another stack gets the place; what that has is not mapped. */
static void test_lookup_race(struct rt *rt)
{
	unsigned long n = 1;
	bool good = true;
	struct call c;

	for (; good; n++) {
		struct chariot_inline_stack *s;
		struct rt_regs r, after;
		uint64_t rip;

		clear(rt);
		good = make_call(rt, &c, MAIN_RSP);
		s = place_of(rt, RT_STACKS);
		rt_random_regs(&r, MAIN_RSP - 128);
		r.r[RDI] = MAIN_RSP - 64;
		rt_set(rt, &r);
		good = good && s && rt_run(rt, rt_check(rt, RDI, 8), rt_check_behind(RDI), n);
		uc_reg_read(rt->uc, UC_X86_REG_RIP, &rip);
		if (!good || rip == rt_check_behind(RDI))
			break;
		s->base = 0x90000000ULL;
		s->r[0].rsp = 0x90001000ULL;
		good = rt_go(rt, rt_check_behind(RDI), 0);
		rt_get(rt, &after);
		good = good && same_regs(&r, &after, false);
	}
	tap_ok(good && n > 30, "its place goes to another at each of %lu instructions", n);
}

/* ---- the driver calls ------------------------------------------------------------------------- */

/* By gate 0: what the function sees, and what is left. */
static bool call_gate(struct rt *rt, struct rt_regs *r, uint64_t ret, uint64_t until)
{
	uint64_t rsp = MAIN_RSP - 0x400;

	rt->asked = rt->called = 0;
	rt_random_regs(r, rsp);
	rt_write(rt, rsp, ret);
	for (int i = 1; i < 32; i++)
		rt_write(rt, rsp + 8 * i, 0xabc00 + i);
	rt_set(rt, r);
	return rt_run(rt, rt->runtime + rt->l->gates[0].slot, until, 0);
}

static bool kept(struct rt *rt, const struct rt_regs *r)
{
	static const int regs[] = { RBX, RBP, R12, R13, R14, R15 };
	struct rt_regs after;
	bool good;

	rt_get(rt, &after);
	good = after.r[RSP] == r->r[RSP] + 8;
	for (int i = 0; i < 6; i++)
		good &= after.r[regs[i]] == r->r[regs[i]];
	return good;
}

static bool seen_all(const struct rt *rt, const struct rt_regs *r, int words)
{
	for (int i = 0; i < 16; i++)
		if (i != RSP && rt->seen.r[i] != r->r[i])
			return false;
	for (int i = 1; i <= words; i++)
		if (rt->seen_stack[i] != 0xabc00ULL + i)
			return false;
	return rt->called == 1;
}

static uint64_t rax(struct rt *rt)
{
	struct rt_regs r;

	rt_get(rt, &r);
	return r.r[RAX];
}

static void test_gates(struct rt *rt)
{
	uint64_t ret = RT_DRIVER + 0x800;
	struct rt_regs r;

	clear(rt);
	rt->returns = 0x777;
	tap_ok(call_gate(rt, &r, ret, ret) && !rt->asked && seen_all(rt, &r, 20) &&
	       kept(rt, &r) && rax(rt) == 0x777, "a gate that is not armed");
	rt_fill(rt, CHARIOT_INLINE_PRE);
	tap_ok(call_gate(rt, &r, ret, ret) && rt->asked == 1 && rt->reason == CHARIOT_HC_PRE &&
	       rt->f.what == 0 && good_frame(rt, &r, ret, r.r[RSP]) && seen_all(rt, &r, 20) &&
	       rt->seen.r[RSP] == r.r[RSP] && kept(rt, &r) && rax(rt) == 0x777,
	       "PRE: asked before it; all arguments on the stack are there");
	rt->result = 1;
	rt->rdx = 0x999;
	tap_ok(call_gate(rt, &r, ret, ret) && rt->asked == 1 && !rt->called && kept(rt, &r) &&
	       rax(rt) == 0x999, "PRE: it is not run");
	rt_fill(rt, CHARIOT_INLINE_BOTH);
	tap_ok(call_gate(rt, &r, ret, ret) && rt->asked == 2 && rt->reason == CHARIOT_HC_POST &&
	       rt->f.what == 0 && rt->f.ret == ret && rt->f.r[RAX] == 0x777 &&
	       rt->f.r[RSP] == r.r[RSP] && seen_all(rt, &r, 16) && kept(rt, &r) &&
	       rax(rt) == 0x777 && (rt->seen.r[RSP] & 15) == (r.r[RSP] & 15),
	       "BOTH: asked before and behind it, its stack is aligned as it was");
	rt->result = 1;
	tap_ok(call_gate(rt, &r, ret, ret) && rt->asked == 1 && !rt->called && kept(rt, &r) &&
	       rax(rt) == 0x999, "BOTH: it is not run");
	rt->result = -1000;
	tap_ok(call_gate(rt, &r, ret, ret) && rt->called == 1 && rax(rt) == 0x777,
	       "nobody is there");
	rt_fill(rt, CHARIOT_INLINE_DIRECT);
}

static void test_off(struct rt *rt)
{
	struct chariot_inline_params p = rt_usual(rt);
	uint64_t ret = RT_DRIVER + 0x800;
	bool good = true;
	struct rt_regs r;

	p.off = 1;
	for (int arm = CHARIOT_INLINE_PRE; arm < CHARIOT_INLINE_NR_ARMS; arm++) {
		rt_fill(rt, arm);
		rt_params(rt, &p);
		good &= call_gate(rt, &r, ret, ret) && !rt->asked && seen_all(rt, &r, 16) &&
			kept(rt, &r) && rax(rt) == 0x777;
	}
	tap_ok(good, "nobody isolates: gates just call");
	rt_fill(rt, CHARIOT_INLINE_DIRECT);
}

static void test_left(struct rt *rt)
{
	struct rt_regs r, after;
	uint64_t to = RT_KERNEL + 64;

	clear(rt);
	rt_random_regs(&r, MAIN_RSP);
	rt_write(rt, MAIN_RSP, 0);
	rt_write(rt, MAIN_RSP + 8, to);
	rt_set(rt, &r);
	tap_ok(rt_run(rt, rt->runtime + rt->l->left, to, 0) && rt->asked == 1 &&
	       rt->reason == CHARIOT_HC_LEFT && rt->f.r[RAX] == r.r[RAX] &&
	       rt->f.r[RSP] == MAIN_RSP, "where init returns to the host is told");
	rt_get(rt, &after);
	r.r[RSP] += 16;
	tap_ok(same_regs(&r, &after, true), "and it returns to the kernel");
}

/* ---- what is written there ----------------------------------------------------------------------- */

static void test_fill(struct rt *rt)
{
	uint8_t arms[] = { CHARIOT_INLINE_BOTH };
	struct chariot_inline_fill f = { .sz = sizeof(f), .runtime = 0x1000, .arms = arms,
					 .params = rt_usual(rt) }, bad;
	struct chariot_inline_write *w = NULL;
	const struct chariot_inline_gate *g = rt->l->gates;
	int32_t distance = g->body - (g->slot + 5);
	size_t nr = 0;

	for (int amd = 0; amd < 2; amd++) {
		f.amd = amd;
		tap_ok(!chariot_inline__fill(rt->x, &f, &w, &nr) && nr == 3 &&
		       w[0].gva == 0x1000 + CHARIOT_INLINE_PARAMS && w[0].len == sizeof(f.params) &&
		       w[1].gva == 0x1001 + g->slot && w[1].len == 4 &&
		       !memcmp(w[1].bytes, &distance, 4) &&
		       w[2].gva == 0x1000 + rt->l->hypercall && w[2].len == 3 &&
		       !memcmp(w[2].bytes, amd ? "\x0f\x01\xd9" : "\x0f\x01\xc1", 3),
		       "what is written, %s", amd ? "AMD" : "Intel");
		free(w);
	}
	arms[0] = CHARIOT_INLINE_NR_ARMS;
	tap_ok(chariot_inline__fill(rt->x, &f, &w, &nr) == -EINVAL, "no such arm");
	bad = f;
	bad.arms = NULL;
	bad.params.stack_mask = 0x3fff;
	tap_ok(chariot_inline__fill(rt->x, &bad, &w, &nr) == -EINVAL, "no mask");
	bad = f;
	bad.sz = 8;
	tap_ok(chariot_inline__fill(rt->x, &bad, &w, &nr) == -EINVAL, "no size");
}

static unsigned long insns_of_call(struct rt *rt, uint64_t ret)
{
	struct call c = { .fn = 9, .ret = ret };

	rt->insns = 0;
	call_begin(rt, &c, MAIN_RSP, 0);
	return rt->insns;
}

static unsigned long insns_of_store(struct rt *rt, uint64_t at, unsigned int size)
{
	struct rt_regs r;

	rt_random_regs(&r, MAIN_RSP - 128);
	r.r[RDI] = at;
	rt->insns = 0;
	check(rt, RDI, size, &r, false);
	return rt->insns;
}

/* Without the function itself. */
static unsigned long insns_of_gate(struct rt *rt, enum chariot_inline_arm arm)
{
	uint64_t ret = RT_DRIVER + 0x800;
	struct rt_regs r;

	rt_fill(rt, arm);
	rt->insns = 0;
	call_gate(rt, &r, ret, ret);
	rt_fill(rt, CHARIOT_INLINE_DIRECT);
	return rt->insns - 1;
}

static void tell_figures(struct rt *rt)
{
	unsigned long first, again;

	clear(rt);
	first = insns_of_call(rt, some_ret());
	again = insns_of_call(rt, some_ret());
	printf("# instructions of a call by the kernel: %lu, the first on a stack %lu; by the "
	       "driver: %lu\n", again, first, insns_of_call(rt, RT_DRIVER));
	insns_of_call(rt, some_ret());
	let(rt, RT_HEAP);
	let(rt, RT_HEAP + 64);
	printf("# of a miss: own stack %lu, two lines %lu, the host %lu\n",
	       insns_of_store(rt, MAIN_RSP - 100, 8), insns_of_store(rt, RT_HEAP + 60, 8),
	       insns_of_store(rt, RT_HEAP + 0x1000, 8));
	printf("# of a gate: not armed %lu, PRE %lu, BOTH %lu\n",
	       insns_of_gate(rt, CHARIOT_INLINE_DIRECT), insns_of_gate(rt, CHARIOT_INLINE_PRE),
	       insns_of_gate(rt, CHARIOT_INLINE_BOTH));
}

int main(void)
{
	struct rt rt;

	if (!tap_ok(!rt_open(&rt), "a guest"))
		return tap_done();
	for (int reg = 0; reg < 16; reg++)
		if (reg != RSP)
			test_miss(&rt, reg);
	test_lines(&rt);
	test_range(&rt);
	test_enter(&rt);
	test_full(&rt);
	test_random(&rt, 3000);
	for (int before = 0; before < 4; before++) {
		test_interrupts(&rt, before, false);
		test_interrupts(&rt, before, true);
	}
	test_interrupts(&rt, CHARIOT_INLINE_RECORDS, false);
	test_interrupts(&rt, CHARIOT_INLINE_RECORDS, true);
	test_many(&rt);
	test_two_bases(&rt);
	test_evict(&rt);
	test_evict_race(&rt);
	test_lookup_race(&rt);
	test_gates(&rt);
	test_off(&rt);
	test_left(&rt);
	test_fill(&rt);
	tell_figures(&rt);
	rt_close(&rt);
	return tap_done();
}
