// SPDX-License-Identifier: GPL-2.0
/*
 * A driver which does everything a driver may do, and much it may not:
 * "echo CASE > /dev/chariot_conform".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "conform.h"
#include "context.h"

struct ccase {
	const char		*name;
	bool			stop;
	int			(*act)(struct job *job);
	enum chariot_context	ctx;
};

#define STOP(_name, _target, _act, _ctx, ...) \
	{ .name = #_name, .stop = true, .act = stop_##_act, \
	  .ctx = ctx_##_ctx },
#define PASS(_name, _act, _ctx, ...) \
	{ .name = #_name, .act = pass_##_act, .ctx = ctx_##_ctx },

static const struct ccase cases[] = {
	CHARIOT_STOP_CASES(STOP)
	CHARIOT_PASS_CASES(PASS)
};

unsigned int storm = 100000;
module_param(storm, uint, 0644);
MODULE_PARM_DESC(storm, "Number of allocations of alloc_storm");

struct dentry *conform_dir;

static const struct ccase *find_case(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (!strcmp(cases[i].name, name))
			return &cases[i];
	return NULL;
}

static int run_case(const char *name, const struct job *job)
{
	const struct ccase *cc = find_case(name);
	struct run *run;
	int ret;

	if (!cc)
		return -ENOENT;
	run = run_alloc(cc->act, job);
	if (!run)
		return -ENOMEM;
	if (cc->stop)
		run->job.addr = victim_target();
	ret = run_in(run, cc->ctx);
	victim_report(cc->name, ret);
	return ret;
}

/*
 * No lock is held here, and no file system's: a stop may end this thread in
 * the middle of the case, and the next case must run all the same.
 */
static ssize_t conform_write(struct file *file, const char __user *ubuf,
			     size_t len, loff_t *pos)
{
	struct job job = { .ubuf = ubuf, .ulen = len };
	char buf[96], *arg, *name;
	int ret;

	if (len >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, len))
		return -EFAULT;
	buf[len] = '\0';
	arg = strim(buf);
	name = strsep(&arg, " ");
	strscpy(job.arg, arg ? arg : "", sizeof(job.arg));
	ret = run_case(name, &job);
	return ret ? ret : len;
}

static const struct file_operations conform_fops = {
	.owner	= THIS_MODULE,
	.write	= conform_write,
	.llseek	= noop_llseek,
};

static struct miscdevice conform_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "chariot_conform",
	.fops	= &conform_fops,
	.mode	= 0600,
};

int conform_call(int (*fn)(u64 *val), u64 *val)
{
	int ret = fn(val);

	return ret ? ret : *val == CHARIOT_WILD ? 0 : -EIO;
}
EXPORT_SYMBOL_GPL(conform_call);

static int __init conform_init(void)
{
	int ret;

	conform_dir = debugfs_create_dir("chariot_conform", NULL);
	ret = pass_init();
	if (ret)
		goto err_dir;
	ret = misc_register(&conform_dev);
	if (ret)
		goto err_pass;
	return 0;

err_pass:
	pass_exit();
err_dir:
	debugfs_remove(conform_dir);
	return ret;
}
module_init(conform_init);

static void __exit conform_exit(void)
{
	misc_deregister(&conform_dev);
	debugfs_remove(conform_dir);
	free_pairs();
	pass_exit();
}
module_exit(conform_exit);

MODULE_DESCRIPTION("Chariot conformance: the driver");
MODULE_LICENSE("GPL");
