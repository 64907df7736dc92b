// SPDX-License-Identifier: GPL-2.0
/*
 * A driver of two modules: "echo WHAT > /sys/module/chariot_whole/parameters/run",
 *
 *	work	it uses what the other module has allocated for it
 *	wild	it writes where it must not
 *	core	the other module does, called by it
 */
#include <linux/module.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include "whole.h"

static struct whole_user {
	struct list_head node;
	int calls;
} me;

static int add_one(void *thing)
{
	u8 *data = thing;
	int i;

	for (i = 0; i < WHOLE_LEN; i++)
		data[i]++;
	me.calls++;
	return 0;
}

static int work(void)
{
	u8 *a = whole_new(), *b = whole_new();
	int ret = -ENOMEM;

	if (!a || !b)
		goto out;
	memset(a, 1, WHOLE_LEN);
	WRITE_ONCE(b[WHOLE_LEN - 1], 1);
	ret = whole_each(add_one);
	if (!ret && (a[0] != 2 || a[WHOLE_LEN - 1] != 2 ||
		     b[WHOLE_LEN - 1] != 2))
		ret = -EILSEQ;
out:
	if (a)
		whole_delete(a);
	if (b)
		whole_delete(b);
	return ret;
}

static int run(const char *what, const struct kernel_param *kp)
{
	if (sysfs_streq(what, "work"))
		return work();
	if (sysfs_streq(what, "wild"))
		WRITE_ONCE(*(u32 *)utsname()->nodename, 0x41414141);
	else if (sysfs_streq(what, "core"))
		whole_damage();
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops run_ops = { .set = run };
module_param_cb(run, &run_ops, NULL, 0200);

static int __init whole_init(void)
{
	whole_register(&me.node);
	return work();
}
module_init(whole_init);

static void __exit whole_exit(void)
{
	whole_unregister(&me.node);
}
module_exit(whole_exit);

MODULE_DESCRIPTION("Chariot: a driver of two modules");
MODULE_LICENSE("GPL");
