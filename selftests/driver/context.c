// SPDX-License-Identifier: GPL-2.0
/* The contexts in which a driver can find itself. */
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "context.h"

/* Only what is stopped does not end, and mostly that is seen. */
#define TIMEOUT		(600 * HZ)
#define SLICE		(HZ / 5)

static void run_act(struct run *run)
{
	run->ret = run->act(&run->job);
	complete(&run->done);
}

static void tasklet_fn(struct tasklet_struct *t)
{
	run_act(container_of(t, struct run, tasklet));
}

static void timer_fn(struct timer_list *t)
{
	run_act(container_of(t, struct run, timer));
}

static void irqwork_fn(struct irq_work *work)
{
	run_act(container_of(work, struct run, irqwork));
}

static enum hrtimer_restart hrtimer_fn(struct hrtimer *t)
{
	run_act(container_of(t, struct run, hrtimer));
	return HRTIMER_NORESTART;
}

static void ipi_fn(void *arg)
{
	run_act(arg);
}

static void work_fn(struct work_struct *work)
{
	struct run *run = container_of(work, struct run, work);

	/* A stop may end the worker, as a thread of ours. */
	WRITE_ONCE(run->pid[0], task_pid_nr(current));
	run->ret = run->act(&run->job);
	WRITE_ONCE(run->pid[0], 0);
	complete(&run->done);
}

static int thread_fn(void *arg)
{
	run_act(arg);
	return 0;
}

/* Any other CPU that is online, or -1. */
static int other_cpu(void)
{
	int me = raw_smp_processor_id();
	int cpu = cpumask_next(me, cpu_online_mask);

	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	return cpu == me ? -1 : cpu;
}

/* Write own memory time and again, with @move in between; act on the way. */
static int write_words(struct run *run, u64 *words, int (*act)(struct job *),
		       void (*move)(void))
{
	int i, ret = 0;

	for (i = 0; i < RUN_WORDS; i++) {
		move();
		WRITE_ONCE(words[i], i + 1);
		if (act && i == RUN_WORDS / 2)
			ret = act(&run->job);
	}
	for (i = 0; i < RUN_WORDS; i++)
		if (READ_ONCE(words[i]) != i + 1)
			ret = -EIO;
	return ret;
}

/* With preempt=full the switch happens anywhere in here. */
static void spin_and_switch(void)
{
	static volatile u64 turns;
	u64 n;

	for (n = 0; n < 20000; n++)
		turns++;
	yield();
}

static int preempt_fn(void *arg)
{
	struct run *run = arg;

	int ret = write_words(run, run->words[0], run->act, spin_and_switch);

	if (ret)
		WRITE_ONCE(run->ret, ret);
	complete(&run->done);
	return 0;
}

static int companion_fn(void *arg)
{
	struct run *run = arg;

	if (write_words(run, run->words[1], NULL, spin_and_switch))
		WRITE_ONCE(run->ret, -EIO);
	complete(&run->done);
	return 0;
}

static void next_cpu(void)
{
	int cpu = other_cpu();

	if (cpu >= 0)
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
	schedule_timeout_uninterruptible(1);
}

static int migrate_fn(void *arg)
{
	struct run *run = arg;

	run->ret = write_words(run, run->words[0], run->act, next_cpu);
	complete(&run->done);
	return 0;
}

static struct task_struct *new_thread(struct run *run, int (*fn)(void *))
{
	return kthread_create(fn, run, "chariot_conform");
}

static int start_one_thread(struct run *run, int (*fn)(void *))
{
	struct task_struct *t = new_thread(run, fn);

	if (IS_ERR(t))
		return PTR_ERR(t);
	run->pid[0] = task_pid_nr(t);
	wake_up_process(t);
	return 0;
}

static int start_two_threads(struct run *run)
{
	struct task_struct *a, *b;
	int cpu = raw_smp_processor_id();

	b = new_thread(run, companion_fn);
	if (IS_ERR(b))
		return PTR_ERR(b);
	a = new_thread(run, preempt_fn);
	if (IS_ERR(a)) {
		kthread_stop(b);
		return PTR_ERR(a);
	}
	run->pid[0] = task_pid_nr(a);
	run->pid[1] = task_pid_nr(b);
	kthread_bind(a, cpu);
	kthread_bind(b, cpu);
	wake_up_process(b);
	wake_up_process(a);
	return 0;
}

static int start_ipi(struct run *run)
{
	int cpu = other_cpu();

	if (cpu < 0)
		return -ENODEV;
	return smp_call_function_single(cpu, ipi_fn, run, 0);
}

static int start(struct run *run, enum chariot_context ctx)
{
	switch (ctx) {
	case ctx_softirq:
		tasklet_schedule(&run->tasklet);
		return 0;
	case ctx_timer:
		mod_timer(&run->timer, jiffies + 2);
		return 0;
	case ctx_hardirq:
		return irq_work_queue(&run->irqwork) ? 0 : -EBUSY;
	case ctx_hrtimer:
		hrtimer_start(&run->hrtimer, ms_to_ktime(5),
			      HRTIMER_MODE_REL_HARD);
		return 0;
	case ctx_ipi:
		return start_ipi(run);
	case ctx_work:
		/* An unbound pool gets over a worker that dies. */
		queue_work(system_unbound_wq, &run->work);
		return 0;
	case ctx_kthread:
		return start_one_thread(run, thread_fn);
	case ctx_preempt:
		return start_two_threads(run);
	case ctx_migrate:
		return start_one_thread(run, migrate_fn);
	default:
		return -EINVAL;
	}
}

/* No reference to the task: that would be a write to what is not ours. */
static bool alive(int nr)
{
	struct pid *pid = nr ? find_get_pid(nr) : NULL;

	put_pid(pid);
	return pid;
}

static int wait_done(struct run *run)
{
	unsigned long end = jiffies + TIMEOUT;
	int pid;

	while (!wait_for_completion_timeout(&run->done, SLICE)) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		pid = READ_ONCE(run->pid[0]);
		if (pid && !alive(pid) && !completion_done(&run->done))
			return -ESRCH;
	}
	return 0;
}

static int wait_run(struct run *run, enum chariot_context ctx)
{
	int ret = wait_done(run);

	if (!ret && ctx == ctx_preempt)
		ret = wait_done(run);
	return ret;
}

/* The callbacks have run, but the kernel may not yet be done with them. */
static void settle(struct run *run)
{
	tasklet_kill(&run->tasklet);
	timer_delete_sync(&run->timer);
	irq_work_sync(&run->irqwork);
	hrtimer_cancel(&run->hrtimer);
	cancel_work_sync(&run->work);
	while (alive(run->pid[0]) || alive(run->pid[1]))
		schedule_timeout_uninterruptible(1);
}

struct run *run_alloc(int (*act)(struct job *job), const struct job *job)
{
	struct run *run = kzalloc(sizeof(*run), GFP_KERNEL);

	if (!run)
		return NULL;
	run->act = act;
	run->job = *job;
	init_completion(&run->done);
	tasklet_setup(&run->tasklet, tasklet_fn);
	timer_setup(&run->timer, timer_fn, 0);
	run->irqwork = IRQ_WORK_INIT_HARD(irqwork_fn);
#ifdef HAVE_HRTIMER_SETUP
	hrtimer_setup(&run->hrtimer, hrtimer_fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
#else
	hrtimer_init(&run->hrtimer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	run->hrtimer.function = hrtimer_fn;
#endif
	INIT_WORK(&run->work, work_fn);
	return run;
}

int run_in(struct run *run, enum chariot_context ctx)
{
	int ret;

	if (ctx == ctx_process) {
		ret = run->act(&run->job);
		goto out;
	}
	ret = start(run, ctx);
	if (ret)
		goto out;
	ret = wait_run(run, ctx);
	/* Nobody is told that a worker's work has ended when the worker has. */
	if (ret == -ETIMEDOUT || (ret && ctx == ctx_work)) {
		/* It may come back: run and this module must stay. */
		__module_get(THIS_MODULE);
		return ret;
	}
	settle(run);
	if (!ret)
		ret = run->ret;
out:
	kfree(run);
	return ret;
}
