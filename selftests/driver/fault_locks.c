// SPDX-License-Identifier: GPL-2.0
/*
 * fault_locks: locks that chariot_faulty takes, which is isolated; this is not.
 * /proc/fault_locks says which of them are held.  /proc/fault_sleep says how many
 * sleep in fault_sleep(), and wakes them when it is written to.
 */
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

DEFINE_SPINLOCK(fault_spin);
EXPORT_SYMBOL_GPL(fault_spin);
DEFINE_RWLOCK(fault_rwlock);
EXPORT_SYMBOL_GPL(fault_rwlock);
DEFINE_MUTEX(fault_mutex);
EXPORT_SYMBOL_GPL(fault_mutex);
DECLARE_RWSEM(fault_rwsem);
EXPORT_SYMBOL_GPL(fault_rwsem);

static DECLARE_WAIT_QUEUE_HEAD(sleepers);
static atomic_t nr_sleepers, nr_wakes;

void fault_sleep(void);
void fault_sleep(void)
{
	int wakes = atomic_read(&nr_wakes);

	atomic_inc(&nr_sleepers);
	wait_event(sleepers, atomic_read(&nr_wakes) != wakes);
	atomic_dec(&nr_sleepers);
}
EXPORT_SYMBOL_GPL(fault_sleep);

static int sleep_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d\n", atomic_read(&nr_sleepers));
	return 0;
}

static int sleep_open(struct inode *inode, struct file *file)
{
	return single_open(file, sleep_show, NULL);
}

static ssize_t sleep_write(struct file *file, const char __user *ubuf, size_t n,
			   loff_t *pos)
{
	atomic_inc(&nr_wakes);
	wake_up_all(&sleepers);
	return n;
}

static const struct proc_ops sleep_ops = {
	.proc_open = sleep_open,
	.proc_read = seq_read,
	.proc_release = single_release,
	.proc_write = sleep_write,
};

static int show(struct seq_file *m, void *v)
{
	seq_printf(m, "%s%s%s%sirqs %s\n",
		   spin_is_locked(&fault_spin) ? "spin " : "",
		   mutex_is_locked(&fault_mutex) ? "mutex " : "",
		   rwsem_is_locked(&fault_rwsem) ? "rwsem " : "",
		   write_trylock(&fault_rwlock) ?
		   (write_unlock(&fault_rwlock), "") : "rwlock ",
		   irqs_disabled() ? "off" : "on");
	return 0;
}

static int __init locks_init(void)
{
	if (!proc_create_single("fault_locks", 0444, NULL, show))
		return -ENOMEM;
	if (proc_create("fault_sleep", 0644, NULL, &sleep_ops))
		return 0;
	remove_proc_entry("fault_locks", NULL);
	return -ENOMEM;
}

static void __exit locks_exit(void)
{
	remove_proc_entry("fault_sleep", NULL);
	remove_proc_entry("fault_locks", NULL);
}

module_init(locks_init);
module_exit(locks_exit);
MODULE_DESCRIPTION("Locks for chariot_faulty");
MODULE_LICENSE("GPL");
