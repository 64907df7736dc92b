// SPDX-License-Identifier: GPL-2.0
/*
 * A driver which does everything a driver may do, and much it may not:
 * "echo CASE > /sys/kernel/debug/chariot_conform/run".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "conform.h"

#define TIMEOUT		(20 * HZ)

struct ccase {
	const char		*name;
	bool			stop;
	int			(*act)(struct job *job);
	enum chariot_context	ctx;
};

#define STOP(_name, _target, _act, _ctx) \
	{ .name = #_name, .stop = true, .act = stop_##_act, .ctx = _ctx },
#define PASS(_name, _act, _ctx) \
	{ .name = #_name, .act = pass_##_act, .ctx = _ctx },

static const struct ccase cases[] = {
	CHARIOT_STOP_CASES(STOP)
	CHARIOT_PASS_CASES(PASS)
};

unsigned int storm = 20000;
module_param(storm, uint, 0644);
MODULE_PARM_DESC(storm, "Number of allocations of alloc_storm");

struct dentry *conform_dir;

/*
 * The one asynchronous run.  The objects which start it are static: if a
 * stop ends the trigger half-way, no frame is left that they would point to.
 */
static struct {
	const struct ccase	*cc;
	struct job		*job;
	struct completion	done;
	int			ret;
} run;

static void run_act(void)
{
	run.ret = run.cc->act(run.job);
	complete(&run.done);
}

static void tasklet_fn(struct tasklet_struct *t)
{
	run_act();
}

static void timer_fn(struct timer_list *t)
{
	run_act();
}

static void irqwork_fn(struct irq_work *work)
{
	run_act();
}

static enum hrtimer_restart hrtimer_fn(struct hrtimer *t)
{
	run_act();
	return HRTIMER_NORESTART;
}

static void work_fn(struct work_struct *work)
{
	run_act();
}

static DECLARE_TASKLET(tasklet, tasklet_fn);
static DEFINE_TIMER(timer, timer_fn);
static struct irq_work irqwork = IRQ_WORK_INIT_HARD(irqwork_fn);
static struct hrtimer hrtimer;
static DECLARE_WORK(work, work_fn);

static int thread_fn(void *unused)
{
	run_act();
	return 0;
}

bool next_cpu(void)
{
	unsigned int cpu = cpumask_next(raw_smp_processor_id(),
					cpu_online_mask);

	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	if (cpu == raw_smp_processor_id())
		return false;
	return !set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

u64 migrate_words[16];

/* Write own memory on one CPU after the other; act on the way. */
static int migrate_fn(void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(migrate_words); i++) {
		next_cpu();
		schedule();
		WRITE_ONCE(migrate_words[i], i + 1);
		if (i == ARRAY_SIZE(migrate_words) / 2)
			run.ret = run.cc->act(run.job);
	}
	for (i = 0; i < ARRAY_SIZE(migrate_words); i++)
		if (READ_ONCE(migrate_words[i]) != i + 1)
			run.ret = -EIO;
	memset(migrate_words, 0, sizeof(migrate_words));
	complete(&run.done);
	return 0;
}

static int run_thread(int (*fn)(void *))
{
	struct task_struct *t = kthread_run(fn, NULL, "chariot_conform");

	return PTR_ERR_OR_ZERO(t);
}

static int start(enum chariot_context ctx)
{
	switch (ctx) {
	case CTX_TASKLET:
		tasklet_schedule(&tasklet);
		return 0;
	case CTX_TIMER:
		mod_timer(&timer, jiffies + 2);
		return 0;
	case CTX_IRQWORK:
		return irq_work_queue(&irqwork) ? 0 : -EBUSY;
	case CTX_HRTIMER:
		hrtimer_start(&hrtimer, ms_to_ktime(5),
			      HRTIMER_MODE_REL_HARD);
		return 0;
	case CTX_WORK:
		return schedule_work(&work) ? 0 : -EBUSY;
	case CTX_KTHREAD:
		return run_thread(thread_fn);
	case CTX_MIGRATE:
		return run_thread(migrate_fn);
	default:
		return -EINVAL;
	}
}

static int run_case(const struct ccase *cc, struct job *job)
{
	int ret;

	if (cc->ctx == CTX_PROCESS)
		return cc->act(job);
	run.cc = cc;
	run.job = job;
	run.ret = 0;
	reinit_completion(&run.done);
	ret = start(cc->ctx);
	if (ret)
		return ret;
	if (!wait_for_completion_timeout(&run.done, TIMEOUT))
		return -ETIMEDOUT;
	return run.ret;
}

static const struct ccase *find_case(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (!strcmp(cases[i].name, name))
			return &cases[i];
	return NULL;
}

/* Static: an asynchronous trigger may outlive the write it is from. */
static struct job the_job;

static ssize_t run_write(struct file *file, const char __user *ubuf,
			 size_t len, loff_t *pos)
{
	const struct ccase *cc;
	char buf[96], *arg, *name;
	int ret;

	if (len >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, len))
		return -EFAULT;
	buf[len] = '\0';
	arg = strim(buf);
	name = strsep(&arg, " ");
	cc = find_case(name);
	if (!cc)
		return -ENOENT;
	memset(&the_job, 0, sizeof(the_job));
	the_job.ubuf = ubuf;
	the_job.ulen = len;
	strscpy(the_job.arg, arg ? arg : "", sizeof(the_job.arg));
	if (cc->stop)
		the_job.addr = victim_target();
	ret = run_case(cc, &the_job);
	victim_report(cc->name, ret);
	return ret ? ret : len;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= run_write,
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

	init_completion(&run.done);
	hrtimer_init(&hrtimer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hrtimer.function = hrtimer_fn;
	conform_dir = debugfs_create_dir("chariot_conform", NULL);
	ret = pass_init();
	if (ret) {
		debugfs_remove(conform_dir);
		return ret;
	}
	debugfs_create_file("run", 0200, conform_dir, NULL, &run_fops);
	return 0;
}
module_init(conform_init);

static void __exit conform_exit(void)
{
	debugfs_remove(conform_dir);
	tasklet_kill(&tasklet);
	del_timer_sync(&timer);
	irq_work_sync(&irqwork);
	hrtimer_cancel(&hrtimer);
	cancel_work_sync(&work);
	pass_exit();
}
module_exit(conform_exit);

MODULE_DESCRIPTION("Chariot conformance: the driver");
MODULE_LICENSE("GPL");
