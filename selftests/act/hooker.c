// SPDX-License-Identifier: GPL-2.0
/* Somebody else who redirects a function of kvm.ko, as a livepatch does. */
#include <linux/ftrace.h>
#include <linux/module.h>

static void notrace go_on(unsigned long ip, unsigned long parent_ip,
			  struct ftrace_ops *op, struct ftrace_regs *fregs)
{
}

static struct ftrace_ops ops = {
	.func = go_on,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY,
};

static int __init hooker_init(void)
{
	static char name[] = "kvm_emulate_hypercall";

	return ftrace_set_filter(&ops, name, strlen(name), 1) ?:
	       register_ftrace_function(&ops);
}

static void __exit hooker_exit(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

module_init(hooker_init);
module_exit(hooker_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Redirects a function of kvm.ko");
