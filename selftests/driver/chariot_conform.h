/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the sides of the conformance test share.
 *
 * chariot_victim is "the rest of the kernel": it has the targets and it is
 * the judge.  chariot_conform is the driver under test.  A driver may read
 * anything, so the addresses of targets travel as integers.
 */
#ifndef CHARIOT_CONFORM_H
#define CHARIOT_CONFORM_H

#include <linux/types.h>

#include "cases.h"

#define CHARIOT_MARK	0x5aa5c0de5aa5c0deULL	/* what a target holds */
#define CHARIOT_WILD	0xdeadf00ddeadf00dULL	/* what a wild store leaves */
#define CHARIOT_LEN	64			/* bytes of a target */

/* The size which conform and victim both allocate, and how. */
#define CHARIOT_OBJ	64
#define CHARIOT_GFP	(GFP_KERNEL | __GFP_ACCOUNT)

struct kmem_cache;

struct chariot_arg {
	u32	id;
	u64	value;
	char	name[16];
	struct {
		u16	lo;
		u16	hi;
	} pair;
};

/* What a subsystem has around an argument. */
struct chariot_box {
	u64			before[4];
	struct chariot_arg	arg;
	u8			sense[16];
	u32			state;
};

#define CHARIOT_READ_TOC	0x5306

struct chariot_toc {
	u8	first;
	u8	last;
	u32	address;
};

/* An array that grows by @step elements; its owner has the memory. */
struct chariot_array {
	unsigned int	used;
	unsigned int	alloced;
	unsigned int	elem_size;
	unsigned int	step;
	void		*list;
};

/* victim: the target of most cases */
extern u64 victim_before, victim_data[CHARIOT_LEN / 8];

/* victim: where the driver shall write; from here on its trigger counts.  Inverted:
 * that an address came from the kernel is evidence that it is the driver's. */
unsigned long victim_target(void);
/* victim: what the driver made of the case: 0, or an error */
void victim_report(const char *name, int err);
/* victim: a writable alias of @addr, which becomes the target */
unsigned long victim_alias(unsigned long addr);
/* victim: a slab cache for objects of CHARIOT_OBJ bytes */
struct kmem_cache *victim_cache(void);
/* victim: allocate an object of its own, from @cache or with kmalloc() */
unsigned long victim_object(struct kmem_cache *cache);	/* inverted, too */
/* victim: make the object at @addr the target */
int victim_claim(unsigned long addr);
/* victim: the same until @addr is its own; then make it the target */
int victim_reown(struct kmem_cache *cache, unsigned long addr);
/* victim: map the page at @addr and then one of its own; inverted */
unsigned long victim_map_after(unsigned long addr);
/* victim: call back with a frame which is the target, near or far */
int victim_call_frame(int (*fn)(void), bool far);
/* victim: nothing */
void victim_nop(void);
/* victim: call back */
int victim_call(int (*fn)(void *arg), void *arg);
/* victim: call back with an argument of the victim's; judge its fields */
int victim_call_arg(int (*fn)(struct chariot_arg *arg));

/* conform: called by second; calls back */
int conform_call(int (*fn)(u64 *val), u64 *val);

/* victim: subsystems; each call returns 0 if the driver did what it should */
extern int (*victim_hook)(u64 *val);
int victim_call_hook(void);
int victim_call_member(int (*fn)(struct chariot_arg *arg));
int victim_call_opaque(int (*fn)(unsigned int cmd, void *arg));
int victim_call_read(int (*fn)(void *priv, loff_t from, size_t len,
			       size_t *retlen, u8 *buf));
void *victim_array_new(struct chariot_array *array);
void victim_array_free(struct chariot_array *array);

#endif
