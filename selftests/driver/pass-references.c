// SPDX-License-Identifier: GPL-2.0
/*
 * References to objects of the kernel, counted by code that is inline in the
 * driver, and what a driver may set in such objects.
 */
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include <net/net_namespace.h>

#include "conform.h"

int pass_task_reference(struct job *job)
{
	struct task_struct *task = current;
	unsigned int before = refcount_read(&task->usage);
	int ret = 0;

	get_task_struct(task);
	if (refcount_read(&task->usage) <= before)
		ret = -EIO;
	put_task_struct(task);
	return ret;
}

int pass_cred_reference(struct job *job)
{
	const struct cred *mine = get_current_cred();
	const struct cred *again = get_cred(mine);
	int ret = mine == current_cred() && again == mine ? 0 : -EIO;

	put_cred(again);
	put_cred(mine);
	return ret;
}

/* Changed before the task takes them on, as overlayfs and nfsd do. */
int pass_cred_made(struct job *job)
{
	struct cred *made = prepare_creds();
	const struct cred *old;
	int ret;

	if (!made)
		return -ENOMEM;
	made->fsuid = KUIDT_INIT(7);
	made->fsgid = KGIDT_INIT(8);
	old = override_creds(made);
	ret = uid_eq(current_fsuid(), KUIDT_INIT(7)) &&
	      gid_eq(current_fsgid(), KGIDT_INIT(8)) ? 0 : -EIO;
	revert_creds(old);
	put_cred(made);
	return ret;
}

int pass_mm_reference(struct job *job)
{
	struct mm_struct *mm = current->mm;
	int before = atomic_read(&mm->mm_count), ret = 0;

	mmgrab(mm);
	if (atomic_read(&mm->mm_count) <= before)
		ret = -EIO;
	if (!mmget_not_zero(mm))
		ret = -EIO;
	else
		mmput(mm);
	mmdrop(mm);
	return ret;
}

int pass_pid_reference(struct job *job)
{
	struct pid *pid = get_pid(task_tgid(current));
	int ret = pid_nr(pid) == current->tgid ? 0 : -EIO;

	put_pid(pid);
	return ret;
}

/* The count of a network device is per-CPU memory of the kernel's. */
int pass_netdev_reference(struct job *job)
{
	struct net_device *dev = dev_get_by_name(&init_net, "lo");
	int before, ret = 0;

	if (!dev)
		return -ENODEV;
	before = netdev_refcnt_read(dev);
	dev_hold(dev);
	if (netdev_refcnt_read(dev) != before + 1)
		ret = -EIO;
	dev_put(dev);
	dev_put(dev);
	return ret;
}

/* What goes on in the kernel for this thread may not wait for I/O. */
int pass_task_flags(struct job *job)
{
	unsigned int noio = memalloc_noio_save();
	unsigned int nofs = memalloc_nofs_save();
	int ret = 0;

	if (current_gfp_context(GFP_KERNEL) & (__GFP_IO | __GFP_FS))
		ret = -EIO;
	memalloc_nofs_restore(nofs);
	memalloc_noio_restore(noio);
	if (current_gfp_context(GFP_KERNEL) != GFP_KERNEL)
		ret = -EIO;
	return ret;
}

static int write_and_read(struct file *file, void *buf, size_t len)
{
	u8 back[64] = {};
	loff_t pos = 0;

	if (kernel_write(file, buf, len, &pos) != len || pos != len)
		return -EIO;
	pos = 0;
	if (kernel_read(file, back, len, &pos) != len)
		return -EIO;
	return memcmp(back, buf, len) ? -EIO : 0;
}

/*
 * A driver that has a file: reference, start of a write (a per-CPU
 * rw-semaphore of the file system's), allocation mask of the mapping.
 */
int pass_file(struct job *job)
{
#ifdef HAVE_VMA_FLAGS
	struct file *file = shmem_file_setup("chariot", PAGE_SIZE, (vma_flags_t){});
#else
	struct file *file = shmem_file_setup("chariot", PAGE_SIZE, 0);
#endif
	struct address_space *mapping;
	u8 buf[64];
	gfp_t gfp;
	int ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	memset(buf, 0x3c, sizeof(buf));
	mapping = file->f_mapping;
	gfp = mapping_gfp_mask(mapping);
	mapping_set_gfp_mask(mapping, gfp & ~(__GFP_IO | __GFP_FS));
	get_file(file);
	file_start_write(file);
	file_end_write(file);
	ret = write_and_read(file, buf, sizeof(buf));
	mapping_set_gfp_mask(mapping, gfp);
	fput(file);
	fput(file);
	return ret;
}

static int wait_for_stop(void *arg)
{
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 42;
}

/* A thread of the driver's that is kept for after its end. */
int pass_kthread(struct job *job)
{
	struct task_struct *task = kthread_create(wait_for_stop, NULL,
						  "chariot_wait");
	int ret;

	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	ret = kthread_stop(task);
	put_task_struct(task);
	return ret == 42 || ret == -EINTR ? 0 : -EIO;
}

static int anon_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct file_operations anon_fops = {
	.owner		= THIS_MODULE,
	.release	= anon_release,
};

int pass_anon_file(struct job *job)
{
	u64 *priv = kzalloc(64, GFP_KERNEL);
	struct file *file;
	int ret;

	if (!priv)
		return -ENOMEM;
	file = anon_inode_getfile("chariot", &anon_fops, NULL, O_RDWR);
	if (IS_ERR(file)) {
		kfree(priv);
		return PTR_ERR(file);
	}
	file->private_data = priv;
	file->f_mode |= FMODE_NOWAIT;
	ret = fill(file->private_data, 64);
	fput(file);
	return ret;
}

int pass_module_reference(struct job *job)
{
	int before = module_refcount(THIS_MODULE), ret = -EIO;

	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	__module_get(THIS_MODULE);
	if (module_refcount(THIS_MODULE) == before + 2)
		ret = 0;
	module_put(THIS_MODULE);
	module_put(THIS_MODULE);
	return ret;
}
