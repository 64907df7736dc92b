// SPDX-License-Identifier: GPL-2.0
/*
 * Memory given back that the driver does not have: given back before, or the middle
 * of an object.  (Another one's that it never had is not told from what it was handed
 * in a way that is not known.)
 *
 * Without a host it is then free although the victim has it, and the kernel
 * hands it out again, zeroed: to the driver, which asks for it until it comes.
 * That is the damage, and from then on it is allocated once, as before.
 */
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include "conform.h"

#define MOST	512

static void *get(struct kmem_cache *cache)
{
	if (cache)
		return kmem_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
	return kmalloc(CHARIOT_OBJ, CHARIOT_GFP | __GFP_ZERO);
}

static void (*give_back)(const void *p) = kfree;

static void put(struct kmem_cache *cache, void *p)
{
	if (cache)
		kmem_cache_free(cache, p);
	else
		give_back(p);
}

/* Allocate until @addr comes, and free all else. */
static void take(struct kmem_cache *cache, unsigned long addr)
{
	static void *got[MOST];
	int n = 0;

	while (n < MOST) {
		got[n] = get(cache);
		if (!got[n] || (unsigned long)got[n] == addr)
			break;
		n++;
	}
	while (n)
		put(cache, got[--n]);
	/* A pointer that the driver keeps is evidence. */
	memset(got, 0, sizeof(got));
}

static void put_and_take(struct kmem_cache *cache, unsigned long addr)
{
	OPTIMIZER_HIDE_VAR(addr);
	put(cache, (void *)addr);
	take(cache, addr);
}

/* What a CPU was given back it hands out first: all that happens on one. */
static int on_one_cpu(struct kmem_cache *cache,
		      int (*fn)(struct kmem_cache *cache))
{
	int ret;

	migrate_disable();
	ret = fn(cache);
	migrate_enable();
	return ret;
}

static int put_twice(struct kmem_cache *cache)
{
	unsigned long addr;
	void *p;
	int i;

	for (i = 0; i < 24; i++) {
		p = get(cache);
		addr = (unsigned long)p;
		OPTIMIZER_HIDE_VAR(addr);
		if (!p)
			return -ENOMEM;
		put(cache, p);
		if (!victim_reown(cache, addr)) {
			put_and_take(cache, addr);
			return 0;
		}
	}
	return -ENOENT;
}

int stop_kfree_twice(struct job *job)
{
	return on_one_cpu(NULL, put_twice);
}

static int put_by(void (*fn)(const void *p), int (*put)(struct kmem_cache *cache))
{
	int ret;

	give_back = fn;
	ret = on_one_cpu(NULL, put);
	give_back = kfree;
	return ret;
}

int stop_kvfree_twice(struct job *job)
{
	return put_by(kvfree, put_twice);
}

int stop_sensitive_twice(struct job *job)
{
	return put_by(kfree_sensitive, put_twice);
}

int stop_cache_free_twice(struct job *job)
{
	return on_one_cpu(victim_cache(), put_twice);
}

/* What begins in the middle of our object ends in the victim's. */
static void middle(u8 *mine)
{
	put_and_take(NULL, (unsigned long)mine + 16);
}

static void middle_of_cache(u8 *mine)
{
	put_and_take(victim_cache(), (unsigned long)mine + 16);
}

static int put_middle(struct kmem_cache *cache)
{
	return with_pair(cache, CHARIOT_OBJ, cache ? middle_of_cache : middle);
}

int stop_kfree_middle(struct job *job)
{
	return on_one_cpu(NULL, put_middle);
}

int stop_kvfree_middle(struct job *job)
{
	return put_by(kvfree, put_middle);
}

int stop_cache_free_middle(struct job *job)
{
	return on_one_cpu(victim_cache(), put_middle);
}
