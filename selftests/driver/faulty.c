// SPDX-License-Identifier: GPL-2.0
/*
 * chariot_faulty: a driver that fails when it is told to.  What is written to
 * /proc/chariot_faulty is how; a kernel oops then, without Chariot.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/objtool.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>
#include <linux/workqueue.h>

void fault_sleep(void);
extern spinlock_t fault_spin;
extern rwlock_t fault_rwlock;
extern struct mutex fault_mutex;
extern struct rw_semaphore fault_rwsem;

static int *volatile null;
static volatile int zero;

static int read_null(void) { return *null; }

static int write_null(void) { *null = 1; return 0; }

/* Where it is stopped, not where it is told of. */
static int wild(void)
{
	utsname()->nodename[0] = 'X';
	return 0;
}

static int divide(void) { return 100 / zero; }

static int bug(void) { BUG(); return 0; }

static int jump(void)
{
	int (*volatile f)(void) = (void *)0xdead000000000100UL;

	return f();
}

/* In a function of the kernel that the driver calls. */
static int in_kernel(void)
{
	mutex_lock((struct mutex *)0x10);
	return 0;
}

static int free_wild(void)
{
	kfree((void *)0xffff0123456789abUL);
	return 0;
}

static int locked(void)
{
	unsigned long flags;

	mutex_lock(&fault_mutex);
	down_write(&fault_rwsem);
	spin_lock_irqsave(&fault_spin, flags);
	write_lock(&fault_rwlock);
	*null = 1;
	write_unlock(&fault_rwlock);
	spin_unlock_irqrestore(&fault_spin, flags);
	up_write(&fault_rwsem);
	mutex_unlock(&fault_mutex);
	return 0;
}

/* What it has given back is not given back again. */
static int half_locked(void)
{
	unsigned long flags;

	if (mutex_lock_interruptible(&fault_mutex))
		return -EINTR;
	spin_lock_irqsave(&fault_spin, flags);
	spin_unlock_irqrestore(&fault_spin, flags);
	mutex_unlock(&fault_mutex);
	if (down_read_trylock(&fault_rwsem))
		up_read(&fault_rwsem);
	preempt_disable();
	*null = 1;
	preempt_enable();
	return 0;
}

/* The kernel itself would complain a moment later. */
static int leak_lock(void) { spin_lock(&fault_spin); return 0; }

static int give_too_much(void) { preempt_enable(); return 0; }

static int sleep_locked(void)
{
	spin_lock(&fault_spin);
	msleep(10);
	spin_unlock(&fault_spin);
	return 0;
}

/*
 * Give back a page as if it were two.  The other one is the driver's, too, so that it
 * can tell: the next that asks for two pages gets it.
 */
static int free_more(void)
{
	static unsigned long page[256];
	unsigned long two, other = 0;
	int i, k, err = 0;

	for (i = 0; i < ARRAY_SIZE(page) && !other; i++) {
		page[i] = __get_free_page(GFP_KERNEL);
		for (k = 0; k < i && !other; k++)
			if ((page[k] ^ page[i]) == PAGE_SIZE)
				other = max(page[k], page[i]);
	}
	if (!other)
		return -ENOMEM;
	memset((void *)other, 'x', PAGE_SIZE);
	free_pages(other - PAGE_SIZE, 1);
	two = __get_free_pages(GFP_KERNEL | __GFP_ZERO, 1);
	if (!memchr((void *)other, 'x', PAGE_SIZE))
		err = -EIO;
	free_pages(two, 1);
	while (i--)
		if (page[i] != other && page[i] != other - PAGE_SIZE)
			free_page(page[i]);
	return err;
}

static int smash(void)
{
	char buf[16];
	volatile char *p = buf;
	int i;

	for (i = 0; i < 40; i++)
		p[i] = 'x';
	return p[3] == 'y';
}

static volatile int forever = 1;

static int loop(void) { while (forever) cpu_relax(); return 0; }

/* The first push has nowhere to go. */
static int lose_stack(void)
{
	asm volatile("movl $0x1000, %esp; pushq %rax; popq %rax");
	return 0;
}

/* There is room, in what it may write: nobody sees the push of the exception. */
static int stack_in_object(void)
{
	unsigned long page = __get_free_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;
	asm volatile("movq %0, %%rsp; movl $1, 0"
		     : : "r" (page + PAGE_SIZE / 2) : "memory");
	return 0;
}
STACK_FRAME_NON_STANDARD(stack_in_object);

/* QEMU's device "edu": it asks until it is answered. */
#define EDU_RAISE	0x60
#define EDU_ANSWER	0x64

static void __iomem *edu_regs;
static int (*fail_in_remove)(void);

static irqreturn_t on_interrupt(int irq, void *data) { return IRQ_HANDLED; }

static int edu_probe(struct pci_dev *edu, const struct pci_device_id *id)
{
	int err = pci_enable_device(edu);

	if (err)
		return err;
	edu_regs = pci_ioremap_bar(edu, 0);
	err = edu_regs ? request_irq(edu->irq, on_interrupt, 0, "chariot_faulty",
				     edu) : -ENOMEM;
	if (!err)
		return 0;
	if (edu_regs)
		iounmap(edu_regs);
	edu_regs = NULL;
	pci_disable_device(edu);
	return err;
}

static void edu_remove(struct pci_dev *edu)
{
	if (fail_in_remove)
		fail_in_remove();
	writel(~0, edu_regs + EDU_ANSWER);
	free_irq(edu->irq, edu);
	iounmap(edu_regs);
	pci_disable_device(edu);
}

static const struct pci_device_id edu_ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };

static struct pci_driver edu_driver = {
	.name = "chariot_faulty", .id_table = edu_ids,
	.probe = edu_probe, .remove = edu_remove,
};

static int storm(void)
{
	if (!edu_regs)
		return -ENODEV;
	writel(1, edu_regs + EDU_RAISE);
	return 0;
}

static struct timer_list timer;
static struct work_struct work;
static struct tasklet_struct tasklet;

static void on_timer(struct timer_list *t)
{
	spin_lock(&fault_spin);
	*null = 1;
	spin_unlock(&fault_spin);
}

static void on_work(struct work_struct *w)
{
	mutex_lock(&fault_mutex);
	*null = 1;
	mutex_unlock(&fault_mutex);
}

static void on_tasklet(struct tasklet_struct *t) { wild(); }

static int in_timer(void) { mod_timer(&timer, jiffies + 1); return 0; }

static int in_work(void) { schedule_work(&work); return 0; }

static int in_tasklet(void) { tasklet_schedule(&tasklet); return 0; }

/* A thread of the kernel's own waits in the driver meanwhile. */
static int sleep_then(void)
{
	fault_sleep();
	return 0;
}

static int (*fail_in_exit)(void);

static int later(void) { fail_in_exit = write_null; return 0; }

static int later_in_remove(void) { fail_in_remove = write_null; return 0; }

static const struct {
	const char *name;
	int (*fn)(void);
} ways[] = {
	{ "read-null", read_null }, { "write-null", write_null },
	{ "wild", wild }, { "divide", divide }, { "bug", bug },
	{ "jump", jump }, { "in-kernel", in_kernel },
	{ "free-wild", free_wild }, { "locked", locked },
	{ "half-locked", half_locked }, { "leak-lock", leak_lock },
	{ "give-too-much", give_too_much }, { "loop", loop },
	{ "sleep-locked", sleep_locked }, { "free-more", free_more },
	{ "smash", smash }, { "lose-stack", lose_stack },
	{ "stack-in-object", stack_in_object },
	{ "storm", storm }, { "timer", in_timer },
	{ "work", in_work }, { "tasklet", in_tasklet },
	{ "sleep", sleep_then }, { "exit", later },
	{ "remove", later_in_remove },
};

static ssize_t faulty_write(struct file *file, const char __user *ubuf,
			    size_t n, loff_t *pos)
{
	char buf[32] = "";
	int i;

	if (n >= sizeof(buf) || copy_from_user(buf, ubuf, n))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (sysfs_streq(buf, ways[i].name))
			return ways[i].fn() < 0 ? -EINVAL : n;
	return -ENOENT;
}

static ssize_t faulty_read(struct file *file, char __user *ubuf, size_t n,
			   loff_t *pos)
{
	return simple_read_from_buffer(ubuf, n, pos, "well\n", 5);
}

static const struct proc_ops ops = {
	.proc_write = faulty_write,
	.proc_read = faulty_read,
};

static int __init faulty_init(void)
{
	int err;

	timer_setup(&timer, on_timer, 0);
	INIT_WORK(&work, on_work);
	tasklet_setup(&tasklet, on_tasklet);
	if (!proc_create("chariot_faulty", 0644, NULL, &ops))
		return -ENOMEM;
	err = pci_register_driver(&edu_driver);
	if (err)
		remove_proc_entry("chariot_faulty", NULL);
	return err;
}

static void __exit faulty_exit(void)
{
	if (fail_in_exit)
		fail_in_exit();
	remove_proc_entry("chariot_faulty", NULL);
	pci_unregister_driver(&edu_driver);
	timer_delete_sync(&timer);
	cancel_work_sync(&work);
	tasklet_kill(&tasklet);
}

module_init(faulty_init);
module_exit(faulty_exit);
MODULE_DESCRIPTION("A driver that fails when it is told to");
MODULE_LICENSE("GPL");
