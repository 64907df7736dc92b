// SPDX-License-Identifier: GPL-2.0
/*
 * What the host must stop.  Without a host each does its damage, which the
 * victim sees and undoes.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cpufeature.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "conform.h"

#define PAIRS	128

static void wild(unsigned long addr)
{
	WRITE_ONCE(*(u64 *)addr, CHARIOT_WILD);
}

int stop_store(struct job *job)
{
	if (!job->addr)
		return -ENXIO;
	wild(job->addr);
	return 0;
}

int stop_store_byte(struct job *job)
{
	WRITE_ONCE(*(u8 *)(job->addr + 5), 1);
	return 0;
}

int stop_set_bit(struct job *job)
{
	change_bit(77, (unsigned long *)job->addr);
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

/* The objects of the last search for neighbours. */
static u8 *own[PAIRS];
static unsigned long foreign[PAIRS];

static void free_pairs(void)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		kfree(own[i]);
		own[i] = NULL;
	}
}

static bool neighbours(int i, int j)
{
	unsigned long addr = (unsigned long)own[i] + CHARIOT_OBJ;

	return addr == foreign[j] && offset_in_page(addr);
}

/*
 * An object of ours with one of the victim's right behind it.  None need be
 * there: a host may well keep them apart.
 */
static u8 *find_pair(void)
{
	int i, j;

	for (i = 0; i < PAIRS; i++) {
		own[i] = kmalloc(CHARIOT_OBJ, CHARIOT_GFP);
		foreign[i] = victim_object();
		if (!own[i] || !foreign[i])
			return NULL;
	}
	for (i = 0; i < PAIRS; i++)
		for (j = 0; j < PAIRS; j++)
			if (neighbours(i, j) && !victim_claim(foreign[j]))
				return own[i];
	return NULL;
}

static int with_pair(void (*fn)(u8 *mine))
{
	u8 *mine;

	free_pairs();
	mine = find_pair();
	if (mine)
		fn(mine);
	free_pairs();
	return mine ? 0 : -ENOENT;
}

static void past_end(u8 *mine)
{
	OPTIMIZER_HIDE_VAR(mine);
	wild((unsigned long)mine + CHARIOT_OBJ);
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
	return with_pair(past_end);
}

int stop_rep_movsb(struct job *job)
{
	return with_pair(movs_past_end);
}

int stop_rep_stosq(struct job *job)
{
	return with_pair(stos_past_end);
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
		if (addr && !victim_reown(addr)) {
			wild(addr);
			return 0;
		}
	}
	return -ENOENT;
}

static int callback_frame(void)
{
	wild(victim_target());
	return 0;
}

int stop_caller_frame(struct job *job)
{
	return victim_call_frame(callback_frame);
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
	map = victim_map_after(mine);
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
	memcpy((void *)job->addr, from, len);
	return 0;
}

int stop_memset(struct job *job)
{
	size_t len = 48;

	OPTIMIZER_HIDE_VAR(len);
	memset((void *)job->addr, 0xee, len);
	return 0;
}

int stop_from_user(struct job *job)
{
	size_t len = min_t(size_t, job->ulen, 8);

	return copy_from_user((void *)job->addr, job->ubuf, len) ? -EFAULT : 0;
}

int stop_list_add(struct job *job)
{
	static struct list_head node;

	list_add(&node, (struct list_head *)job->addr);
	return 0;
}

int stop_cmpxchg(struct job *job)
{
	u64 was = cmpxchg64((u64 *)job->addr, CHARIOT_MARK, CHARIOT_WILD);

	return was == CHARIOT_MARK ? 0 : -EIO;
}

int stop_cmpxchg16b(struct job *job)
{
	if (!boot_cpu_has(X86_FEATURE_CX16))
		return -EOPNOTSUPP;
	return cas16((void *)job->addr, CHARIOT_MARK, CHARIOT_MARK,
		     CHARIOT_WILD) ? 0 : -EIO;
}

int stop_xadd(struct job *job)
{
	atomic64_fetch_add(3, (atomic64_t *)job->addr);
	return 0;
}

int stop_atomic_inc(struct job *job)
{
	atomic_inc((atomic_t *)job->addr);
	return 0;
}
