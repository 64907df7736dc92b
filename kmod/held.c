// SPDX-License-Identifier: GPL-2.0
/* What a driver has taken and has to give back.  Called by cross, part and recover. */
#include "held.h"

#include <linux/bsearch.h>
#include <linux/slab.h>

static int lock_cmp(const void *a, const void *b)
{
	u64 x = ((const struct chariot_lock *)a)->gva;
	u64 y = ((const struct chariot_lock *)b)->gva;

	return x < y ? -1 : x > y;
}

static bool args_ok(const u8 arg[3])
{
	u32 i;

	for (i = 0; i < 3; i++)
		if (arg[i] > CHARIOT_NO_ARG && !CHARIOT_LOCK_IS_CONST(arg[i]))
			return false;
	return true;
}

int chariot_held_check(const struct chariot_lock *l, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (l[i].gva < CHARIOT_KERNEL_HALF || !args_ok(l[i].arg) ||
		    (l[i].release && l[i].release < CHARIOT_KERNEL_HALF) ||
		    l[i].when >= CHARIOT_NR_LOCK_WHENS ||
		    l[i].flags & ~(CHARIOT_LOCK_SPINS | CHARIOT_LOCK_RESOURCE |
				   CHARIOT_LOCK_RUNS | CHARIOT_LOCK_PANICS |
				   CHARIOT_LOCK_QUEUED | CHARIOT_LOCK_DEVICE |
				   CHARIOT_LOCK_POWER | CHARIOT_LOCK_SLEEPS) ||
		    (i && l[i].gva <= l[i - 1].gva))
			return -EINVAL;
	return 0;
}

#define MAX_RESOURCES	256

static u64 held_arg(const struct chariot_lock *lock, int i, const u64 args[6],
		    u64 result)
{
	u8 arg = lock->arg[i];

	if (CHARIOT_LOCK_IS_CONST(arg))
		return CHARIOT_LOCK_CONST_OF(arg);
	return arg < 6 ? args[arg] : arg == CHARIOT_RET ? result : 0;
}

static struct chariot_held held_of(const struct chariot_lock *lock,
				   const u64 args[6], u64 result)
{
	return (struct chariot_held){
		lock, { held_arg(lock, 0, args, result),
			held_arg(lock, 1, args, result),
			held_arg(lock, 2, args, result) }
	};
}

/* What @by gives back: of locks not by which of its functions. */
static bool gives(const struct chariot_held *by, const struct chariot_held *h)
{
	u32 i;

	if (by->arg[0] != h->arg[0] ||
	    (by->lock->flags ^ h->lock->flags) & CHARIOT_LOCK_SPINS)
		return false;
	if (!(by->lock->flags & CHARIOT_LOCK_RESOURCE))
		return true;
	for (i = 1; i < 3; i++)
		if (by->lock->arg[i] != CHARIOT_NO_ARG &&
		    by->arg[i] != h->arg[i])
			return false;
	return by->lock->gva == h->lock->release;
}

void chariot_held_take_out(struct chariot_held *list, u32 *nr, u32 i)
{
	--*nr;
	memmove(list + i, list + i + 1, (*nr - i) * sizeof(*list));
}

static int find(const struct chariot_held *list, u32 nr,
		const struct chariot_held *by)
{
	int i;

	for (i = nr - 1; i >= 0 && !gives(by, &list[i]); i--)
		;
	return i;
}

bool chariot_held_off(const struct chariot_domain *dom)
{
	u32 i;

	for (i = 0; i < dom->nr_resources; i++)
		if (dom->resources[i].lock->flags & CHARIOT_LOCK_POWER)
			return false;
	return dom->powered;
}

static void give(struct chariot_held *list, u32 *nr,
		 const struct chariot_held *by)
{
	int i = find(list, *nr, by);

	if (i >= 0)
		chariot_held_take_out(list, nr, i);
}

bool chariot_held_gone(struct chariot_domain *dom,
		       const struct chariot_lock *lock, const u64 args[6])
{
	struct chariot_held by;

	if (!chariot_broken(dom) || lock->release ||
	    !(lock->flags & CHARIOT_LOCK_RESOURCE))
		return false;
	by = held_of(lock, args, 0);
	return find(dom->resources, dom->nr_resources, &by) < 0;
}

/* Timers and work are taken again and again. */
static void take_resource(struct chariot_domain *dom, struct chariot_held h)
{
	struct chariot_held *list = dom->resources;
	u32 i;

	if (h.lock->flags & CHARIOT_LOCK_POWER)
		dom->powered = true;
	for (i = 0; i < dom->nr_resources; i++)
		if (list[i].lock->release == h.lock->release &&
		    !memcmp(list[i].arg, h.arg, sizeof(h.arg)))
			return;
	if (!list)
		list = dom->resources = kcalloc(MAX_RESOURCES, sizeof(*list),
						GFP_KERNEL_ACCOUNT);
	if (!list || dom->nr_resources == MAX_RESOURCES)
		dom->lost_resource = true;
	else
		list[dom->nr_resources++] = h;
}

static const struct chariot_lock *row_of(struct chariot_domain *dom, u64 fn)
{
	struct chariot_lock key = { .gva = fn }, *row = NULL;
	struct chariot_part *p;

	for_each_part(p, dom) {
		row = bsearch(&key, p->locks, p->nr_locks, sizeof(key), lock_cmp);
		if (row)
			break;
	}
	return row;
}

const struct chariot_lock *chariot_held_row(struct chariot_domain *dom,
						u64 fn)
{
	return dom->verdict == CHARIOT_VERDICT_RECOVER ? row_of(dom, fn) : NULL;
}

/* The same row of a module that stays; NULL: no other has it. */
const struct chariot_lock *chariot_held_other(struct chariot_domain *dom,
					      const struct chariot_part *gone,
					      const struct chariot_lock *lock)
{
	return lock >= gone->locks && lock < gone->locks + gone->nr_locks ?
	       row_of(dom, lock->gva) : lock;
}

void chariot_held_move(struct chariot_domain *dom, const struct chariot_part *gone,
		       struct chariot_held *list, u32 *nr)
{
	u32 i;

	for (i = *nr; i--;) {
		list[i].lock = chariot_held_other(dom, gone, list[i].lock);
		if (!list[i].lock)
			chariot_held_take_out(list, nr, i);
	}
}

void chariot_held_call(struct chariot_domain *dom, struct chariot_entry *e,
			  const struct chariot_lock *lock, const u64 args[6])
{
	struct chariot_held by;

	if (lock->release || lock->flags & CHARIOT_LOCK_SLEEPS)
		return;
	by = held_of(lock, args, 0);
	if (lock->flags & CHARIOT_LOCK_RESOURCE)
		give(dom->resources, &dom->nr_resources, &by);
	else
		give(e->locks, &e->nr_locks, &by);
}

void chariot_held_returned(struct chariot_domain *dom, struct chariot_entry *e,
			    const struct chariot_frame *frame, u64 result)
{
	const struct chariot_lock *lock = frame->lock;

	if (!lock->release || (lock->when == CHARIOT_LOCK_TRUE && !(u32)result) ||
	    (lock->when == CHARIOT_LOCK_ZERO && (u32)result))
		return;
	if (lock->flags & CHARIOT_LOCK_RESOURCE)
		take_resource(dom, held_of(lock, frame->args, result));
	else if (e->nr_locks < ARRAY_SIZE(e->locks))
		e->locks[e->nr_locks++] = held_of(lock, frame->args, result);
}

/*
 * asm-generic/qspinlock_types.h: a byte that tells who has it (3: it kicks the next
 * one), one bit for the first that waits, 16 bits for the last: its CPU + 1, and at
 * which of four depths it is.  While there are fewer than 16,000 CPUs.
 */
enum chariot_held_word chariot_held_look(struct chariot_domain *dom, u64 gva)
{
	u64 cpus = dom->kernel.nr_cpus;
	u32 word;

	/* What is not mapped the guest's own kernel will tell of. */
	if (chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, &word,
				  sizeof(word)))
		return CHARIOT_HELD_UNKNOWN;
	if (((word & 0xff) > 1 && (word & 0xff) != 3) ||
	    (word >> 8 & 0xff) > 1 || (cpus && word >> 18 > cpus))
		return CHARIOT_HELD_NO_LOCK;
	return word & 0xff ? CHARIOT_HELD_TAKEN : CHARIOT_HELD_FREE;
}

bool chariot_held_has(const struct chariot_entry *e, u64 gva)
{
	u32 i;

	for (i = 0; i < e->nr_locks; i++)
		if (e->locks[i].lock->flags & CHARIOT_LOCK_QUEUED &&
		    e->locks[i].arg[0] == gva)
			return true;
	return false;
}
