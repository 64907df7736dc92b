// SPDX-License-Identifier: GPL-2.0
/*
 * kmod/act.c against a twin that is too simple to be wrong: a byte is granted
 * when any object of a plain list has it.  Loaded in L1; TAP lines go to the
 * kernel log.
 *
 * Pages ALIAS and up are other addresses of pages 0 and up; only whole pages
 * are granted there.
 */
#include <linux/module.h>
#include <linux/random.h>

#include "act.c"

#define BASE	0xffff888000000000ULL
#define ALIAS	24
#define PAGES	(ALIAS + 8)
#define OBJECTS	64
#define ROUNDS	20000

static struct {
	u64 gva, len;		/* len 0: none */
} twin[OBJECTS];
static struct rnd_state rnd;
static u64 lost_gfns;		/* bit n: gfn n was told to be lost as a whole */
static u64 some_gfns;		/* or in part */
static int tests;

static u64 gfn_of(u64 gva)
{
	u64 page = (gva - BASE) >> PAGE_SHIFT;

	return page < ALIAS ? page : page - ALIAS;
}

static bool twin_has(u64 gfn, unsigned int offset)
{
	u64 at[2] = {
		BASE + (gfn << PAGE_SHIFT) + offset,
		BASE + ((gfn + ALIAS) << PAGE_SHIFT) + offset,
	};
	int i, k;

	for (i = 0; i < OBJECTS; i++)
		for (k = 0; k < 2; k++)
			if (at[k] - twin[i].gva < twin[i].len)
				return true;
	return false;
}

static bool twin_full(u64 gfn)
{
	unsigned int offset;

	for (offset = 0; offset < PAGE_SIZE; offset++)
		if (!twin_has(gfn, offset))
			return false;
	return true;
}

static void on_lost(void *ctx, u64 gfn, bool whole)
{
	some_gfns |= BIT_ULL(gfn);
	if (whole)
		lost_gfns |= BIT_ULL(gfn);
}

static u32 below(u32 n)
{
	return prandom_u32_state(&rnd) % n;
}

/* A place for an object: small ones, whole pages, and what crosses pages. */
static void choose(u64 *gva, u64 *len)
{
	u32 page = below(PAGES), room;

	if (page >= ALIAS || !below(4)) {
		room = (page < ALIAS ? ALIAS : PAGES) - page;
		*gva = BASE + ((u64)page << PAGE_SHIFT);
		*len = (1 + below(min(room, 3U))) << PAGE_SHIFT;
		return;
	}
	*gva = BASE + ((u64)page << PAGE_SHIFT) + below(PAGE_SIZE);
	*len = 1 + below(below(3) ? 200 : 6000);
	*len = min(*len, BASE + ((u64)ALIAS << PAGE_SHIFT) - *gva);
}

static int twin_at(u64 gva)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (twin[i].len && twin[i].gva == gva)
			return i;
	return -1;
}

static int twin_free(void)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (!twin[i].len)
			return i;
	return -1;
}

/* Freed ones go in their order, when there are more than act->defer. */
static u64 freed[OBJECTS + 1];
static int nr_freed;

static bool is_freed(u64 gva)
{
	int i;

	for (i = 0; i < nr_freed; i++)
		if (freed[i] == gva)
			return true;
	return false;
}

static void unfree(u64 gva)
{
	int i, k;

	for (i = k = 0; i < nr_freed; i++)
		if (freed[i] != gva)
			freed[k++] = freed[i];
	nr_freed = k;
}

static bool grant(struct chariot_act *act)
{
	struct chariot_obj *obj;
	u64 gva, len;
	int slot;
	u32 i;

	choose(&gva, &len);
	slot = twin_at(gva);
	if (slot < 0)
		slot = twin_free();
	if (slot < 0)
		return true;
	obj = chariot_act_obj_alloc(gva, len);
	if (IS_ERR(obj))
		return false;
	for (i = 0; i < obj->nr; i++)
		obj->gfns[i] = gfn_of((gva & PAGE_MASK) +
				      ((u64)i << PAGE_SHIFT));
	if (chariot_act_grant(act, obj, on_lost, NULL))
		return false;
	twin[slot].gva = gva;
	twin[slot].len = len;
	unfree(gva);
	return true;
}

static bool free_one(struct chariot_act *act)
{
	int slot = below(OBJECTS);
	u64 gva = twin[slot].len ? twin[slot].gva : BASE + below(100);
	int want = twin_at(gva) < 0 || is_freed(gva) ? -ENOENT : 0;

	if (!want) {
		freed[nr_freed++] = gva;
		if (nr_freed > act->defer) {
			twin[twin_at(freed[0])].len = 0;
			unfree(freed[0]);
		}
	}
	return chariot_act_free(act, gva, on_lost, NULL) == want &&
	       act->nr_freed == nr_freed;
}

static bool revoke(struct chariot_act *act)
{
	int slot = below(OBJECTS);
	u64 gva = twin[slot].len ? twin[slot].gva : BASE + below(100);
	int want = twin_at(gva) < 0 ? -ENOENT : 0;

	if (!want)
		twin[twin_at(gva)].len = 0;
	unfree(gva);
	return chariot_act_revoke(act, gva, 0, on_lost, NULL) == want;
}

/* One page in detail, and who starts next to some address. */
static bool same(struct chariot_act *act)
{
	u64 gfn = below(ALIAS), gva = BASE + below(PAGES << PAGE_SHIFT);
	unsigned int offset = below(PAGE_SIZE), len = 1 + below(64), i;
	struct chariot_obj *next = chariot_act_next(act, gva);
	struct chariot_obj *prev = chariot_act_prev(act, gva);
	u64 above = U64_MAX, under = 0;
	bool all = true;

	len = min_t(unsigned int, len, PAGE_SIZE - offset);
	for (i = 0; i < len; i++)
		all &= twin_has(gfn, offset + i);
	if (chariot_act_covers(act, gfn, offset, len) != all)
		return false;
	for (i = 0; i < OBJECTS; i++) {
		if (!twin[i].len)
			continue;
		if (twin[i].gva >= gva)
			above = min(above, twin[i].gva);
		else
			under = max(under, twin[i].gva);
	}
	return (next ? next->start : U64_MAX) == above &&
	       (prev ? prev->start : 0) == under;
}

/* A line of which bytes have gone is on a page that was told. */
static bool lines_as_told(struct chariot_act *act, u64 gfn)
{
	static u64 were[ALIAS];
	u64 now = 0, old = were[gfn];
	u32 i;

	for (i = 0; i < 64; i++)
		if (chariot_act_covers(act, gfn, i * 64, 64))
			now |= BIT_ULL(i);
	were[gfn] = now;
	return !(old & ~now) || some_gfns & BIT_ULL(gfn);
}

static bool full_as_told(struct chariot_act *act, u64 *full)
{
	u64 gfn, now = 0;

	for (gfn = 0; gfn < ALIAS; gfn++) {
		if (chariot_act_full(act, gfn) != twin_full(gfn) ||
		    !lines_as_told(act, gfn))
			return false;
		now |= (u64)twin_full(gfn) << gfn;
	}
	/* What was writable and is not must have been told. */
	if (*full & ~now & ~lost_gfns)
		return false;
	*full = now;
	lost_gfns = some_gfns = 0;
	return true;
}

static void tap(bool good, const char *what)
{
	pr_info("act-test: %sok %d - %s\n", good ? "" : "not ", ++tests, what);
}

static void test_random(struct chariot_act *act)
{
	bool ops = true, pages = true, full = true;
	u64 was = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		/* Freed ones stay for a while, or not at all */
		if (i == ROUNDS / 2)
			act->defer = 8;
		ops &= below(5) < 3 ? grant(act) : below(2) ? revoke(act) :
							      free_one(act);
		pages &= same(act);
		if (i % 50 == 0)
			full &= full_as_told(act, &was);
		cond_resched();
	}
	tap(ops, "grants and revokes succeed as in the twin");
	tap(pages, "the same bytes are granted, the same neighbours found");
	tap(full, "the same pages are whole, and each loss is told");
}

static void test_empty(struct chariot_act *act)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (twin[i].len)
			chariot_act_revoke(act, twin[i].gva, 0, on_lost, NULL);
	tap(xa_empty(&act->pages) && !act->nr_objects && !act->nr_full &&
	    !act->nr_shared && !act->memory, "nothing is left at the end");
}

static void test_bad(void)
{
	tap(IS_ERR(chariot_act_obj_alloc(BASE, 0)) &&
	    IS_ERR(chariot_act_obj_alloc(BASE, CHARIOT_MAX_OBJECT + 1)) &&
	    IS_ERR(chariot_act_obj_alloc(-8ULL, 16)),
	    "lengths that cannot be are refused");
}

static int __init act_test_init(void)
{
	struct chariot_act act;

	prandom_seed_state(&rnd, 1);
	chariot_act_init(&act);
	test_random(&act);
	test_empty(&act);
	test_bad();
	chariot_act_destroy(&act);
	return 0;
}
module_init(act_test_init);

static void __exit act_test_exit(void)
{
	/* Of kfree_rcu() in act.c nothing comes back here. */
}
module_exit(act_test_exit);

MODULE_DESCRIPTION("Chariot: kmod/act.c against a simple twin");
MODULE_LICENSE("GPL");
