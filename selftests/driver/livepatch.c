// SPDX-License-Identifier: GPL-2.0
/*
 * chariot_livepatch: while it is enabled, /proc/cmdline says "patched".  To take it
 * back: echo 0 >/sys/kernel/livepatch/chariot_livepatch/enabled
 */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int cmdline(struct seq_file *m, void *v)
{
	seq_puts(m, "patched\n");
	return 0;
}

static struct klp_func funcs[] = {
	{ .old_name = "cmdline_proc_show", .new_func = cmdline },
	{ }
};

/* No name: it is the kernel's own. */
static struct klp_object objs[] = {
	{ .funcs = funcs },
	{ }
};

static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objs };

static int __init livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit livepatch_exit(void)
{
}

module_init(livepatch_init);
module_exit(livepatch_exit);
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("A livepatch, for a guest's tools");
MODULE_LICENSE("GPL");
