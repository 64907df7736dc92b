// SPDX-License-Identifier: GPL-2.0
/*
 * chariot_bench: what one operation of a driver costs.
 *
 *	echo "OP N" > /sys/module/chariot_bench/parameters/run
 *	cat /sys/module/chariot_bench/parameters/run	"OP N TICKS"
 *	cat /sys/module/chariot_bench/parameters/tsc
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/msr.h>

#include "chariot_conform.h"

static u64 *object;		/* shares its page with others */
static u64 *page;		/* has it for itself */
static char last[64];

static int nothing(void *arg)
{
	return 0;
}

static void op_none(void)
{
	barrier();
}

/* The kernel is called, and returns. */
static void op_call(void)
{
	victim_nop();
}

/* The same, and in between it calls the driver, which returns. */
static void op_entry(void)
{
	victim_call(nothing, NULL);
}

static void op_shared(void)
{
	WRITE_ONCE(*object, 1);
}

static void op_page(void)
{
	WRITE_ONCE(*page, 1);
}

static void op_stack(void)
{
	volatile u64 here;

	here = 1;
	(void)here;
}

static void op_kmalloc(void)
{
	kfree(kmalloc(64, GFP_KERNEL));
}

/* Long enough for interrupts to come. */
static void op_busy(void)
{
	int i;

	for (i = 0; i < 1000; i++)
		barrier();
}

static const struct {
	const char *name;
	void (*fn)(void);
} ops[] = {
	{ "none", op_none }, { "call", op_call }, { "entry", op_entry },
	{ "shared", op_shared }, { "page", op_page }, { "stack", op_stack },
	{ "kmalloc", op_kmalloc }, { "busy", op_busy },
};

static noinline u64 repeat(void (*fn)(void), u32 n)
{
	u64 start = rdtsc_ordered();

	while (n--)
		fn();
	return rdtsc_ordered() - start;
}

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
		scnprintf(last, sizeof(last), "%s %u %llu", name, n,
			  repeat(ops[i].fn, n));
		return 0;
	}
	return -ENOENT;
}

static int run_get(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%s\n", last);
}

static int tsc_get(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%llu\n", rdtsc_ordered());
}

static const struct kernel_param_ops run_ops = {
	.set = run_set, .get = run_get,
};
module_param_cb(run, &run_ops, NULL, 0600);

static const struct kernel_param_ops tsc_ops = { .get = tsc_get };
module_param_cb(tsc, &tsc_ops, NULL, 0400);

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
