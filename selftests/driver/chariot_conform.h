/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cases of the conformance driver and what its two sides share.
 *
 * chariot_victim is "the rest of the kernel": it has the targets and it is
 * the judge.  chariot_conform is the driver under test.  A driver may read
 * anything, so the addresses of targets travel as integers.
 */
#ifndef CHARIOT_CONFORM_H
#define CHARIOT_CONFORM_H

#include <linux/types.h>

/* Where a trigger runs. */
enum chariot_context {
	CTX_PROCESS,		/* in write(2) on the run file */
	CTX_TASKLET,		/* softirq */
	CTX_TIMER,		/* softirq, timer wheel */
	CTX_IRQWORK,		/* hardirq, self-IPI */
	CTX_HRTIMER,		/* hardirq, timer interrupt */
	CTX_WORK,		/* a kworker */
	CTX_KTHREAD,		/* a thread of the driver */
	CTX_MIGRATE,		/* such a thread, which goes from CPU to CPU */
};

/*
 * Cases the host must stop: name, the target the victim prepares, what the
 * driver does to it, and where.  With target "none" the driver and the
 * victim arrange the target while the case runs.
 */
#define CHARIOT_STOP_CASES(X)						\
	X(kernel_data,		kdata,	store,		CTX_PROCESS)	\
	X(victim_data,		data,	store,		CTX_PROCESS)	\
	X(victim_text,		text,	store,		CTX_PROCESS)	\
	X(own_text,		none,	own_text,	CTX_PROCESS)	\
	X(slab_cache,		cache,	store,		CTX_PROCESS)	\
	X(slab_kmalloc,		kmalloc, store,		CTX_PROCESS)	\
	X(foreign_page,		page,	store,		CTX_PROCESS)	\
	X(foreign_vmalloc,	vmalloc, store,		CTX_PROCESS)	\
	X(vmap_alias,		alias,	store,		CTX_PROCESS)	\
	X(foreign_percpu,	percpu,	store,		CTX_PROCESS)	\
	X(past_end,		none,	past_end,	CTX_PROCESS)	\
	X(use_after_free,	none,	use_after_free,	CTX_PROCESS)	\
	X(thread_stack,		stack,	store,		CTX_PROCESS)	\
	X(caller_frame,		none,	caller_frame,	CTX_PROCESS)	\
	X(cross_page,		none,	cross_page,	CTX_PROCESS)	\
	X(rep_movsb,		none,	rep_movsb,	CTX_PROCESS)	\
	X(rep_stosq,		none,	rep_stosq,	CTX_PROCESS)	\
	X(memcpy,		data,	memcpy,		CTX_PROCESS)	\
	X(memset,		data,	memset,		CTX_PROCESS)	\
	X(copy_from_user,	data,	from_user,	CTX_PROCESS)	\
	X(list_add,		list,	list_add,	CTX_PROCESS)	\
	X(cmpxchg,		data,	cmpxchg,	CTX_PROCESS)	\
	X(cmpxchg16b,		data,	cmpxchg16b,	CTX_PROCESS)	\
	X(xadd,			data,	xadd,		CTX_PROCESS)	\
	X(atomic_inc,		data,	atomic_inc,	CTX_PROCESS)	\
	X(store_byte,		data,	store_byte,	CTX_PROCESS)	\
	X(set_bit,		data,	set_bit,	CTX_PROCESS)	\
	X(store_tasklet,	data,	store,		CTX_TASKLET)	\
	X(store_timer,		data,	store,		CTX_TIMER)	\
	X(store_irqwork,	data,	store,		CTX_IRQWORK)	\
	X(store_hrtimer,	data,	store,		CTX_HRTIMER)	\
	X(store_work,		data,	store,		CTX_WORK)	\
	X(store_kthread,	data,	store,		CTX_KTHREAD)	\
	X(store_migrate,	data,	store,		CTX_MIGRATE)

/* Cases which must work: name, what the driver does, and where. */
#define CHARIOT_PASS_CASES(X)						\
	X(own_data,		data,		CTX_PROCESS)		\
	X(own_kmalloc,		kmalloc,	CTX_PROCESS)		\
	X(own_vmalloc,		vmalloc,	CTX_PROCESS)		\
	X(own_cache,		cache,		CTX_PROCESS)		\
	X(own_page,		page,		CTX_PROCESS)		\
	X(own_alloc_percpu,	alloc_percpu,	CTX_PROCESS)		\
	X(own_percpu,		percpu,		CTX_PROCESS)		\
	X(own_memcpy,		memcpy,		CTX_PROCESS)		\
	X(own_memset,		memset,		CTX_PROCESS)		\
	X(own_copy_from_user,	from_user,	CTX_PROCESS)		\
	X(own_list_add,		list_add,	CTX_PROCESS)		\
	X(own_cmpxchg,		cmpxchg,	CTX_PROCESS)		\
	X(own_cmpxchg16b,	cmpxchg16b,	CTX_PROCESS)		\
	X(own_atomic,		atomic,		CTX_PROCESS)		\
	X(own_rep_movs,		rep_movs,	CTX_PROCESS)		\
	X(own_cross_page,	cross_page,	CTX_PROCESS)		\
	X(own_tasklet,		data,		CTX_TASKLET)		\
	X(own_timer,		data,		CTX_TIMER)		\
	X(own_irqwork,		data,		CTX_IRQWORK)		\
	X(own_hrtimer,		data,		CTX_HRTIMER)		\
	X(own_work,		data,		CTX_WORK)		\
	X(own_kthread,		data,		CTX_KTHREAD)		\
	X(own_migrate,		data,		CTX_MIGRATE)		\
	X(stack_object,		stack_object,	CTX_PROCESS)		\
	X(nested,		nested,		CTX_PROCESS)		\
	X(stack_completion,	stack_completion, CTX_PROCESS)		\
	X(sleep,		sleep,		CTX_PROCESS)		\
	X(busy_loop,		busy_loop,	CTX_PROCESS)		\
	X(bad_user_address,	bad_user,	CTX_PROCESS)		\
	X(alloc_storm,		storm,		CTX_PROCESS)		\
	X(typed_argument,	typed,		CTX_PROCESS)		\
	X(krealloc,		krealloc,	CTX_PROCESS)		\
	X(kvmalloc,		kvmalloc,	CTX_PROCESS)		\
	X(strings,		strings,	CTX_PROCESS)		\
	X(timer_rearm,		timer_rearm,	CTX_PROCESS)		\
	X(call_rcu,		call_rcu,	CTX_PROCESS)		\
	X(kfree_rcu,		kfree_rcu,	CTX_PROCESS)		\
	X(wait_queue,		wait_queue,	CTX_PROCESS)		\
	X(locks,		locks,		CTX_PROCESS)		\
	X(skb,			skb,		CTX_PROCESS)		\
	X(seq_file,		seq_file,	CTX_PROCESS)		\
	X(param_write,		param_write,	CTX_PROCESS)		\
	X(delayed_work,		delayed_work,	CTX_PROCESS)

#define CHARIOT_MARK	0x5aa5c0de5aa5c0deULL	/* what a target holds */
#define CHARIOT_WILD	0xdeadf00ddeadf00dULL	/* what a wild store leaves */
#define CHARIOT_LEN	64			/* bytes of a target */

/* The size which conform and victim both allocate, and how. */
#define CHARIOT_OBJ	64
#define CHARIOT_GFP	(GFP_KERNEL | __GFP_ACCOUNT)

struct chariot_arg {
	u32	id;
	u64	value;
	char	name[16];
	struct {
		u16	lo;
		u16	hi;
	} pair;
};

/* victim: the target of the case, as prepared */
unsigned long victim_target(void);
/* victim: what the driver made of the case: 0, or an error */
void victim_report(const char *name, int err);
/* victim: a writable alias of @addr, which becomes the target */
unsigned long victim_alias(unsigned long addr);
/* victim: allocate an object of CHARIOT_OBJ bytes of its own */
unsigned long victim_object(void);
/* victim: make the object at @addr the target */
int victim_claim(unsigned long addr);
/* victim: allocate until @addr is its own; then make it the target */
int victim_reown(unsigned long addr);
/* victim: map the page at @addr and then one of its own */
unsigned long victim_map_after(unsigned long addr);
/* victim: call back with a frame which is the target */
int victim_call_frame(int (*fn)(void));
/* victim: call back */
int victim_call(int (*fn)(void *arg), void *arg);
/* victim: call back with an argument of the victim's; judge its fields */
int victim_call_arg(int (*fn)(struct chariot_arg *arg));

/* conform: called by chariot_second; calls back */
int conform_call(int (*fn)(u64 *val), u64 *val);

#endif
