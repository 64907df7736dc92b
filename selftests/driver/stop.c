// SPDX-License-Identifier: GPL-2.0
/*
 * What the host must stop.  Without a host each does its damage, which the
 * victim sees and undoes.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cpufeature.h>
#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "conform.h"

#define PAIRS	128

static void wild(unsigned long addr)
{
	WRITE_ONCE(*(u64 *)addr, CHARIOT_WILD);
}

int stop_store(struct job *job)
{
	if (!target(job))
		return -ENXIO;
	wild(target(job));
	return 0;
}

/* Should a stop end the thread in here, then the victim sets CR0.WP again. */
static void wild_without_wp(unsigned long addr)
{
	unsigned long flags, cr0;

	local_irq_save(flags);
	asm volatile("mov %%cr0, %0" : "=r" (cr0));
	asm volatile("mov %0, %%cr0" : : "r" (cr0 & ~X86_CR0_WP) : "memory");
	wild(addr);
	asm volatile("mov %0, %%cr0" : : "r" (cr0) : "memory");
	local_irq_restore(flags);
}

int stop_store_wp(struct job *job)
{
	if (!target(job))
		return -ENXIO;
	wild_without_wp(target(job));
	return 0;
}

int stop_store_byte(struct job *job)
{
	WRITE_ONCE(*(u8 *)(target(job) + 5), 1);
	return 0;
}

int stop_set_bit(struct job *job)
{
	change_bit(77, (unsigned long *)target(job));
	return 0;
}

int stop_sidt(struct job *job)
{
	asm volatile("sidt (%0)" : : "r" (target(job)) : "memory");
	return 0;
}

/* Nothing runs this: it is there for its bytes. */
static noinline __used __aligned(64) void chariot_conform_code(void)
{
	asm volatile(".fill 64, 1, 0x90");
}

int stop_own_text(struct job *job)
{
	unsigned long alias = victim_alias((unsigned long)chariot_conform_code);

	if (!alias)
		return -ENOMEM;
	wild(alias);
	return 0;
}

int stop_own_text_wp(struct job *job)
{
	unsigned long addr = (unsigned long)chariot_conform_code;

	/* The judge looks through the alias. */
	if (!victim_alias(addr))
		return -ENOMEM;
	wild_without_wp(addr);
	return 0;
}

/* The objects of the last search for neighbours; the other's are inverted: a driver
 * that has a pointer to them would have come by them honestly. */
static struct kmem_cache *own_cache;
static u8 *own[PAIRS];
static unsigned long not_foreign[PAIRS];

static u8 *own_alloc(void)
{
	if (own_cache)
		return kmem_cache_alloc(own_cache, GFP_KERNEL);
	return kmalloc(CHARIOT_OBJ, CHARIOT_GFP);
}

void free_pairs(void)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		if (own[i] && own_cache)
			kmem_cache_free(own_cache, own[i]);
		else
			kfree(own[i]);
		own[i] = NULL;
	}
}

static bool neighbours(int i, int j, int distance)
{
	unsigned long addr = (unsigned long)own[i];

	return addr + distance == ~not_foreign[j] &&
	       addr >> PAGE_SHIFT == ~not_foreign[j] >> PAGE_SHIFT;
}

/* None need be there for kmalloc(): a host may well keep them apart. */
u8 *find_pair(struct kmem_cache *cache, int distance)
{
	int i, j;

	free_pairs();
	own_cache = cache;
	for (i = 0; i < PAIRS; i++) {
		own[i] = own_alloc();
		not_foreign[i] = victim_object(cache);
		if (!own[i] || !~not_foreign[i])
			return NULL;
	}
	for (i = 0; i < PAIRS; i++)
		for (j = 0; j < PAIRS; j++)
			if (neighbours(i, j, distance) &&
			    !victim_claim(~not_foreign[j]))
				return own[i];
	return NULL;
}

int with_pair(struct kmem_cache *cache, int distance, void (*fn)(u8 *mine))
{
	u8 *mine = find_pair(cache, distance);

	OPTIMIZER_HIDE_VAR(mine);
	if (mine)
		fn(mine);
	free_pairs();
	return mine ? 0 : -ENOENT;
}

static void past_end(u8 *mine)
{
	wild((unsigned long)mine + CHARIOT_OBJ);
}

static void before_start(u8 *mine)
{
	wild((unsigned long)mine - 8);
}

static void movs_past_end(u8 *mine)
{
	static u8 from[CHARIOT_OBJ + 8];

	memset(from, 0xee, sizeof(from));
	rep_movsb(mine, from, sizeof(from));
}

static void stos_past_end(u8 *mine)
{
	rep_stosq(mine, CHARIOT_WILD, CHARIOT_OBJ / 8 + 2);
}

int stop_past_end(struct job *job)
{
	return with_pair(NULL, CHARIOT_OBJ, past_end);
}

int stop_past_end_cache(struct job *job)
{
	return with_pair(victim_cache(), CHARIOT_OBJ, past_end);
}

int stop_before_start(struct job *job)
{
	return with_pair(victim_cache(), -CHARIOT_OBJ, before_start);
}

int stop_rep_movsb(struct job *job)
{
	return with_pair(victim_cache(), CHARIOT_OBJ, movs_past_end);
}

int stop_rep_stosq(struct job *job)
{
	return with_pair(victim_cache(), CHARIOT_OBJ, stos_past_end);
}

int stop_use_after_free(struct job *job)
{
	unsigned long addr;
	void *p;
	int i;

	for (i = 0; i < 24; i++) {
		p = kmalloc(CHARIOT_OBJ, CHARIOT_GFP);
		addr = (unsigned long)p;
		OPTIMIZER_HIDE_VAR(addr);
		kfree(p);
		if (addr && !victim_reown(NULL, addr)) {
			wild(addr);
			return 0;
		}
	}
	return -ENOENT;
}

static int callback_frame(void)
{
	wild(~victim_target());
	return 0;
}

int stop_caller_frame(struct job *job)
{
	return victim_call_frame(callback_frame, false);
}

int stop_caller_frame_far(struct job *job)
{
	return victim_call_frame(callback_frame, true);
}

int stop_cross_page(struct job *job)
{
	static unsigned long mine;
	unsigned long map;

	/* Mapped until the judge is done: the last run's page goes now. */
	free_page(mine);
	mine = __get_free_page(GFP_KERNEL);
	if (!mine)
		return -ENOMEM;
	map = ~victim_map_after(mine);
	if (map)
		wild(map + PAGE_SIZE - 4);
	return map ? 0 : -ENOMEM;
}

int stop_memcpy(struct job *job)
{
	static const u64 from[4] = {
		CHARIOT_WILD, CHARIOT_WILD, CHARIOT_WILD, CHARIOT_WILD,
	};
	size_t len = sizeof(from);

	OPTIMIZER_HIDE_VAR(len);
	memcpy((void *)target(job), from, len);
	return 0;
}

int stop_memmove(struct job *job)
{
	static u64 from[4] = { CHARIOT_WILD, CHARIOT_WILD };
	size_t len = sizeof(from);

	OPTIMIZER_HIDE_VAR(len);
	memmove((void *)target(job), from, len);
	return 0;
}

int stop_memset(struct job *job)
{
	size_t len = 48;

	OPTIMIZER_HIDE_VAR(len);
	memset((void *)target(job), 0xee, len);
	return 0;
}

int stop_strscpy(struct job *job)
{
	const char *from = "a string of the driver";

	OPTIMIZER_HIDE_VAR(from);
	strscpy((char *)target(job), from, 40);
	return 0;
}

int stop_snprintf(struct job *job)
{
	snprintf((char *)target(job), 40, "%s", "a string of the driver");
	return 0;
}

int stop_from_user(struct job *job)
{
	size_t len = min_t(size_t, job->ulen, 8);

	/* One that is stopped may fail, or not. */
	if (copy_from_user((void *)target(job), job->ubuf, len))
		pr_debug("copy_from_user fails\n");
	return 0;
}

int stop_list_add(struct job *job)
{
	static struct list_head node;

	list_add(&node, (struct list_head *)target(job));
	return 0;
}

int stop_cmpxchg(struct job *job)
{
	cmpxchg64((u64 *)target(job), CHARIOT_MARK, CHARIOT_WILD);
	return 0;
}

int stop_cmpxchg16b(struct job *job)
{
	if (!boot_cpu_has(X86_FEATURE_CX16))
		return -EOPNOTSUPP;
	cas16((void *)target(job), CHARIOT_MARK, CHARIOT_MARK, CHARIOT_WILD);
	return 0;
}

int stop_xadd(struct job *job)
{
	atomic64_fetch_add(3, (atomic64_t *)target(job));
	return 0;
}

int stop_atomic_inc(struct job *job)
{
	atomic_inc((atomic_t *)target(job));
	return 0;
}
