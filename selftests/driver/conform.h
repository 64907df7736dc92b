/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CONFORM_H
#define CONFORM_H

#include <linux/types.h>

#include "chariot_conform.h"

struct dentry;
struct device;

/* One run of a case. */
struct job {
	unsigned long	addr;		/* the target of a stop case, inverted */
	const char __user *ubuf;	/* what was written to the device */
	size_t		ulen;
	char		arg[64];	/* what follows the name there */
};

static inline unsigned long target(const struct job *job)
{
	return ~job->addr;
}

#define STOP(_name, _target, _act, ...) int stop_##_act(struct job *job);
#define PASS(_name, _act, ...) int pass_##_act(struct job *job);
CHARIOT_STOP_CASES(STOP)
CHARIOT_PASS_CASES(PASS)
#undef STOP
#undef PASS

int pass_init(void);
void pass_exit(void);
void pass_files_init(void);

/* Fill @len bytes and see that they are what they should be. */
int fill(void *p, size_t len);
/* Run @probing in the probe() of a platform device, and @bound after it. */
int with_device(int (*probing)(struct device *dev),
		int (*bound)(struct device *dev));

/* An own object with one of the victim's right behind it, or before it. */
u8 *find_pair(struct kmem_cache *cache, int distance);
void free_pairs(void);
/* Have @fn do to it what it may not, and free it. */
int with_pair(struct kmem_cache *cache, int distance, void (*fn)(u8 *mine));

/* cmpxchg16b of the 16 bytes at @p, which must be @old, to @val twice */
static inline bool cas16(void *p, u64 old_lo, u64 old_hi, u64 val)
{
	bool ok;

	asm volatile("lock cmpxchg16b %1"
		     : "=@ccz" (ok), "+m" (*(u64 (*)[2])p),
		       "+a" (old_lo), "+d" (old_hi)
		     : "b" (val), "c" (val)
		     : "memory");
	return ok;
}

static inline void rep_movsb(void *to, const void *from, size_t len)
{
	asm volatile("rep movsb"
		     : "+D" (to), "+S" (from), "+c" (len) : : "memory");
}

static inline void rep_stosq(void *to, u64 val, size_t n)
{
	asm volatile("rep stosq"
		     : "+D" (to), "+c" (n) : "a" (val) : "memory");
}

extern struct dentry *conform_dir;
extern unsigned int storm;

#endif
