// SPDX-License-Identifier: GPL-2.0
/*
 * chariot_bench: what one operation of a driver costs.
 *
 *	echo "OP N" > /sys/module/chariot_bench/parameters/run
 *	cat /sys/module/chariot_bench/parameters/mark
 *
 * The first has two marks for selftests/insns.c, with N times OP between them.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "chariot_conform.h"

static u64 *object;		/* shares its page with others */
static u64 *page;		/* has it for itself */

static __always_inline void mark(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 'R', 'A', 'H', 'C'");
}

static int nothing(void *arg)
{
	return 0;
}

static __always_inline void use_page(void)
{
	u64 *p = (u64 *)__get_free_page(GFP_KERNEL);

	if (p)
		WRITE_ONCE(*p, 1);
	free_page((unsigned long)p);
}

/* Expanded in place: a call would be a write to the stack. */
#define OPS(X)								\
	/* the loop alone */						\
	X(none, barrier())						\
	/* the kernel is called, and returns */				\
	X(call, victim_nop())						\
	/* the same, and in between it calls the driver, which returns */ \
	X(entry, victim_call(nothing, NULL))				\
	X(shared, WRITE_ONCE(*object, 1))				\
	X(page, WRITE_ONCE(*page, 1))					\
	X(stack, here = 1)						\
	X(kmalloc, kfree(kmalloc(64, GFP_KERNEL)))			\
	X(pages, use_page())						\
	/* for interrupts to come */					\
	X(busy, cpu_relax())

#define FN(_name, _what)						\
static noinline void op_##_name(u32 n)					\
{									\
	volatile u64 here __maybe_unused;				\
									\
	mark();								\
	while (n--)							\
		_what;							\
	mark();								\
}
OPS(FN)

#define ROW(_name, _what) { #_name, op_##_name },
static const struct {
	const char *name;
	void (*fn)(u32 n);
} ops[] = { OPS(ROW) };

static int run_set(const char *text, const struct kernel_param *kp)
{
	char name[16];
	u32 n;
	int i;

	if (sscanf(text, "%15s %u", name, &n) != 2)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, name))
			continue;
		ops[i].fn(n);
		return 0;
	}
	return -ENOENT;
}

static const struct kernel_param_ops run_ops = { .set = run_set };
module_param_cb(run, &run_ops, NULL, 0200);

static int mark_get(char *buf, const struct kernel_param *kp)
{
	mark();
	return scnprintf(buf, PAGE_SIZE, "\n");
}

static const struct kernel_param_ops mark_ops = { .get = mark_get };
module_param_cb(mark, &mark_ops, NULL, 0400);

static int __init bench_init(void)
{
	object = kmalloc(sizeof(*object), GFP_KERNEL);
	page = (u64 *)__get_free_page(GFP_KERNEL);
	if (object && page)
		return 0;
	kfree(object);
	free_page((unsigned long)page);
	return -ENOMEM;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	kfree(object);
	free_page((unsigned long)page);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Chariot bench: one operation, many times");
MODULE_LICENSE("GPL");
