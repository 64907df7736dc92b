/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runtime of an image alone in a guest that Unicorn plays, with kernel stacks, and
 * functions of a driver that call it.
 */
#ifndef INLINE_RT_H
#define INLINE_RT_H

#include <chariot-inline.h>
#include <unicorn/unicorn.h>

#define RT_STACKS	0x60000000ULL	/* 256, of 16 KiB each */
#define RT_NR_STACKS	256
#define RT_STACK_SIZE	0x4000ULL
#define RT_HEAP		0x61000000ULL
#define RT_DRIVER	0x10000ULL	/* functions of the driver, 32 bytes each */
#define RT_CHECKS	0x18000ULL	/* calls of each slot, 32 bytes each */
#define RT_KERNEL	0x20000ULL	/* what gates call */
#define RT_PREEMPT	0x7100
#define RT_COUNT	0x80000003U	/* what is there */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, FLAGS };

struct rt_regs {
	uint64_t r[17];
};

struct rt {
	uc_engine *uc;
	struct chariot_inline *x;
	const struct chariot_inline_layout *l;
	uint64_t runtime;
	struct chariot_inline_data *data;	/* of the guest */
	uint64_t *cache, data_gva;
	/* the host that is played */
	unsigned int asked;		/* hypercalls since it was set to 0 */
	unsigned int reason;		/* of the last one, and */
	uint64_t frame_at;
	struct chariot_inline_frame f;
	uint64_t result, rdx, r8;	/* what it answers, the first time; then 0 */
	int change;			/* a register that it changes, -1 */
	/* the kernel's function */
	unsigned int called;
	struct rt_regs seen;
	uint64_t seen_stack[24], returns;
	unsigned long insns;		/* executed */
};

int rt_open(struct rt *rt);
void rt_close(struct rt *rt);
/* Params, and gate 0 armed. */
void rt_fill(struct rt *rt, enum chariot_inline_arm arm);
void rt_params(struct rt *rt, const struct chariot_inline_params *p);
struct chariot_inline_params rt_usual(const struct rt *rt);

void rt_get(struct rt *rt, struct rt_regs *r);
void rt_set(struct rt *rt, const struct rt_regs *r);
uint64_t rt_read(struct rt *rt, uint64_t at);
void rt_write(struct rt *rt, uint64_t at, uint64_t v);
uint64_t rt_rand(void);
void rt_random_regs(struct rt_regs *r, uint64_t rsp);

/* From @at until @until, or @insns instructions (0: any number): false when it fails. */
bool rt_run(struct rt *rt, uint64_t at, uint64_t until, unsigned long insns);
/* Goes on where it is. */
bool rt_go(struct rt *rt, uint64_t until, unsigned long insns);

/* Function @n: where it begins, and where "enter" returns to in it. */
uint64_t rt_function(unsigned int n);
uint64_t rt_behind(unsigned int n);
uint64_t rt_call_at(unsigned int n);
/* The check of @slot with @size bytes: where it calls from, and where that returns to. */
uint64_t rt_check(struct rt *rt, unsigned int slot, unsigned int size);
uint64_t rt_check_behind(unsigned int slot);

#endif
