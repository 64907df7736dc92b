// SPDX-License-Identifier: GPL-2.0
/*
 * fault_locks: locks that chariot_faulty takes, which is isolated; this is not.
 * /proc/fault_locks says which of them are held.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

DEFINE_SPINLOCK(fault_spin);
EXPORT_SYMBOL_GPL(fault_spin);
DEFINE_RWLOCK(fault_rwlock);
EXPORT_SYMBOL_GPL(fault_rwlock);
DEFINE_MUTEX(fault_mutex);
EXPORT_SYMBOL_GPL(fault_mutex);
DECLARE_RWSEM(fault_rwsem);
EXPORT_SYMBOL_GPL(fault_rwsem);

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
	return proc_create_single("fault_locks", 0444, NULL, show) ? 0 : -ENOMEM;
}

static void __exit locks_exit(void)
{
	remove_proc_entry("fault_locks", NULL);
}

module_init(locks_init);
module_exit(locks_exit);
MODULE_DESCRIPTION("Locks for chariot_faulty");
MODULE_LICENSE("GPL");
