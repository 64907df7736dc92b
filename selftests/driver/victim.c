// SPDX-License-Identifier: GPL-2.0
/*
 * The rest of the kernel, as the conformance driver sees it: memory which is
 * not the driver's, and the judge of what the driver did.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>
#include <linux/uuid.h>
#include <linux/vmalloc.h>

#include "chariot_conform.h"

#define OBJECTS		512
#define NOT_RUN		1	/* no report came: no errno is positive */

struct vcase {
	const char	*name;
	bool		stop;
	int		(*prepare)(void);
};

/* The target of the case at hand. */
static struct {
	const struct vcase *vc;
	unsigned long	addr;		/* where its bytes are */
	unsigned long	wild;		/* where the driver shall write */
	size_t		len;
	u8		saved[CHARIOT_LEN];
	bool		armed;		/* the trigger has run */
	bool		frame;		/* on a stack: judged on return */
	bool		gone;		/* the stack may be gone */
	int		bad;		/* offset of the damage of a frame */
	int		err;		/* what the driver reported */
} now;

static struct dentry *dir;
static struct kmem_cache *cache;
static struct task_struct *thread;
static void *memory;			/* kmalloc, cache object */
static void *vmemory;
static void *mapping;
static struct page *page;
static u64 __percpu *pcpu;
static void *objects[OBJECTS];
static int nr_objects;
static bool from_cache;			/* so are they all */

/* A driver may write a variable that it imports (before); what is behind that it may
 * not (data). */
struct {
	u64 empty[CHARIOT_LEN / 8 - 1];
	u64 before;
	u64 data[CHARIOT_LEN / 8];
} victim_all __aligned(CHARIOT_LEN) = {
	.data = { [0 ... CHARIOT_LEN / 8 - 1] = CHARIOT_MARK },
};
#define PART(name, at, size)						\
	asm(".globl " #name "\n.type " #name ", @object\n"		\
	    ".set " #name ", victim_all + " __stringify(at) "\n"	\
	    ".size " #name ", " __stringify(size))
PART(victim_before, CHARIOT_LEN - 8, 8);
PART(victim_data, CHARIOT_LEN, CHARIOT_LEN);
EXPORT_SYMBOL_GPL(victim_before);
static LIST_HEAD(list);

/* Nothing runs this: it is there for its bytes. */
static noinline __used __aligned(64) void chariot_victim_code(void)
{
	asm volatile(".fill 64, 1, 0x90");
}

static void set_target(unsigned long addr, size_t len)
{
	now.len = min_t(size_t, len, CHARIOT_LEN);
	memcpy(now.saved, (void *)addr, now.len);
	now.addr = addr;
	now.wild = addr;
}

static int mark(void *p)
{
	if (!p)
		return -ENOMEM;
	memset64(p, CHARIOT_MARK, CHARIOT_LEN / 8);
	set_target((unsigned long)p, CHARIOT_LEN);
	return 0;
}

static struct page *page_of(unsigned long addr)
{
	if (is_vmalloc_addr((void *)addr) ||
	    (addr >= MODULES_VADDR && addr < MODULES_END))
		return vmalloc_to_page((void *)addr);
	return virt_to_page((void *)addr);
}

/* Make a writable alias of @addr the target. */
static unsigned long alias_of(unsigned long addr)
{
	struct page *pg = page_of(addr);

	if (!pg)
		return 0;
	mapping = vmap(&pg, 1, VM_MAP, PAGE_KERNEL);
	if (!mapping)
		return 0;
	set_target((unsigned long)mapping + offset_in_page(addr),
		   PAGE_SIZE - offset_in_page(addr));
	return now.addr;
}

static int prepare_none(void)
{
	return 0;
}

static int prepare_kdata(void)
{
	char *name = init_uts_ns.name.domainname;

	set_target((unsigned long)name, CHARIOT_LEN);
	return 0;
}

static int prepare_data(void)
{
	return mark(victim_data);
}

static int prepare_text(void)
{
	return alias_of((unsigned long)chariot_victim_code) ? 0 : -ENOMEM;
}

/* A function of the kernel that nothing in a test guest calls. */
static int prepare_ktext(void)
{
	return alias_of((unsigned long)uuid_is_valid) ? 0 : -ENOMEM;
}

static int prepare_ktext_wp(void)
{
	int ret = prepare_ktext();

	now.wild = (unsigned long)uuid_is_valid;
	return ret;
}

static int prepare_cache(void)
{
	memory = kmem_cache_alloc(cache, GFP_KERNEL);
	return mark(memory);
}

static int prepare_kmalloc(void)
{
	memory = kmalloc(CHARIOT_OBJ, CHARIOT_GFP);
	return mark(memory);
}

static int prepare_page(void)
{
	page = alloc_page(GFP_KERNEL);
	return page ? mark(page_address(page)) : -ENOMEM;
}

static int prepare_vmalloc(void)
{
	vmemory = vmalloc(PAGE_SIZE);
	return mark(vmemory);
}

static int prepare_alias(void)
{
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	mapping = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	return mark(mapping);
}

static int prepare_percpu(void)
{
	pcpu = __alloc_percpu(CHARIOT_LEN, 16);
	return pcpu ? mark(per_cpu_ptr(pcpu, 0)) : -ENOMEM;
}

static int prepare_list(void)
{
	INIT_LIST_HEAD(&list);
	set_target((unsigned long)&list, sizeof(list));
	return 0;
}

static int sleeper(void *ready)
{
	u64 frame[CHARIOT_LEN / 8];

	mark(frame);
	OPTIMIZER_HIDE_VAR(ready);
	complete(ready);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	barrier_data(frame);
	return 0;
}

static int prepare_stack(void)
{
	DECLARE_COMPLETION_ONSTACK(ready);
	struct task_struct *t;

	t = kthread_run(sleeper, &ready, "chariot_victim");
	if (IS_ERR(t))
		return PTR_ERR(t);
	thread = t;
	wait_for_completion(&ready);
	return 0;
}

static int prepare_task(void)
{
	int ret = prepare_stack();

	if (!ret)
		set_target((unsigned long)thread->comm, sizeof(thread->comm));
	return ret;
}

#define STOP(_name, _target, ...) \
	{ .name = #_name, .stop = true, .prepare = prepare_##_target },
#define PASS(_name, ...) \
	{ .name = #_name, .prepare = prepare_none },

static const struct vcase cases[] = {
	CHARIOT_STOP_CASES(STOP)
	CHARIOT_PASS_CASES(PASS)
	CHARIOT_STOP_MODULES(STOP)
	CHARIOT_PASS_MODULES(PASS)
};

/* The offset of the first byte which is not as it was, or -1. */
static int damage(void)
{
	const u8 *p = (const u8 *)now.addr;
	int i;

	if (!now.addr)
		return -1;
	for (i = 0; i < now.len; i++)
		if (READ_ONCE(p[i]) != now.saved[i])
			return i;
	return -1;
}

static void set_wp(void *unused)
{
	unsigned long cr0;

	asm volatile("mov %%cr0, %0" : "=r" (cr0));
	if (!(cr0 & X86_CR0_WP))
		asm volatile("mov %0, %%cr0"
			     : : "r" (cr0 | X86_CR0_WP) : "memory");
}

static void restore(void)
{
	on_each_cpu(set_wp, NULL, 1);
	if (!now.gone && damage() >= 0)
		memcpy((void *)now.addr, now.saved, now.len);
}

static void free_object(void *p)
{
	if (from_cache)
		kmem_cache_free(cache, p);
	else
		kfree(p);
}

static void release_memory(void)
{
	if (thread)
		kthread_stop(thread);
	thread = NULL;
	if (mapping)
		vunmap(mapping);
	mapping = NULL;
	if (page)
		__free_page(page);
	page = NULL;
	kfree(memory);
	memory = NULL;
	vfree(vmemory);
	vmemory = NULL;
	free_percpu(pcpu);
	pcpu = NULL;
	while (nr_objects)
		free_object(objects[--nr_objects]);
}

static void finish(void)
{
	restore();
	release_memory();
	memset(&now, 0, sizeof(now));
}

static int prepare(const char *name)
{
	int i;

	finish();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (strcmp(cases[i].name, name))
			continue;
		now.vc = &cases[i];
		now.bad = -1;
		now.err = NOT_RUN;
		return cases[i].prepare();
	}
	return -ENOENT;
}

/*
 * What the driver calls.
 */

unsigned long victim_target(void)
{
	now.armed = true;
	return ~now.wild;
}
EXPORT_SYMBOL_GPL(victim_target);

void victim_report(const char *name, int err)
{
	if (now.vc && !strcmp(now.vc->name, name))
		now.err = err;
}
EXPORT_SYMBOL_GPL(victim_report);

unsigned long victim_alias(unsigned long addr)
{
	return mapping ? 0 : alias_of(addr);
}
EXPORT_SYMBOL_GPL(victim_alias);

struct kmem_cache *victim_cache(void)
{
	return cache;
}
EXPORT_SYMBOL_GPL(victim_cache);

static unsigned long new_object(struct kmem_cache *from)
{
	void *p;

	if (nr_objects == OBJECTS)
		return 0;
	from_cache = from;
	p = from ? kmem_cache_alloc(from, GFP_KERNEL) :
	    kmalloc(CHARIOT_OBJ, CHARIOT_GFP);
	if (p)
		objects[nr_objects++] = p;
	return (unsigned long)p;
}

unsigned long victim_object(struct kmem_cache *from)
{
	return ~new_object(from);
}
EXPORT_SYMBOL_GPL(victim_object);

int victim_claim(unsigned long addr)
{
	int i;

	for (i = 0; i < nr_objects; i++)
		if ((unsigned long)objects[i] == addr)
			return mark(objects[i]);
	return -ENOENT;
}
EXPORT_SYMBOL_GPL(victim_claim);

int victim_reown(struct kmem_cache *from, unsigned long addr)
{
	unsigned long p;
	int i;

	for (i = 0; i < 16; i++) {
		p = new_object(from);
		if (!p)
			return -ENOMEM;
		if (p == addr)
			return victim_claim(addr);
	}
	return -EAGAIN;
}
EXPORT_SYMBOL_GPL(victim_reown);

unsigned long victim_map_after(unsigned long addr)
{
	struct page *pages[2];

	if (mapping || page)
		return ~0ul;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return ~0ul;
	pages[0] = virt_to_page((void *)addr);
	pages[1] = page;
	mapping = vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	if (!mapping)
		return ~0ul;
	mark(mapping + PAGE_SIZE);
	return ~(unsigned long)mapping;
}
EXPORT_SYMBOL_GPL(victim_map_after);

static int sink(int depth, int (*fn)(void), int far);

/*
 * The frame is judged here, for it is gone when this returns.  If the thread
 * ends in the callback then its stack stays, for judge_gone(): the reference
 * is dropped here only, where it cannot be the last one.
 */
static noinline int frame_call(int (*fn)(void), int far)
{
	u64 frame[CHARIOT_LEN / 8];
	int ret;

	if (!try_get_task_stack(current))
		return -ESRCH;
	mark(frame);
	now.frame = true;
	now.gone = true;
	barrier_data(frame);
	ret = far ? sink(far, fn, -1) : fn();
	barrier_data(frame);
	now.gone = false;
	now.bad = damage();
	now.addr = 0;
	refcount_dec(&current->stack_refcount);
	return ret;
}

/* Go down the stack by @depth KiB, to the frame or, below that, to @fn. */
static noinline int sink(int depth, int (*fn)(void), int far)
{
	u8 room[1024];
	int ret;

	barrier_data(room);
	if (depth > 1)
		ret = sink(depth - 1, fn, far);
	else
		ret = far < 0 ? fn() : frame_call(fn, far);
	barrier_data(room);
	return ret;
}

/* Deep enough that the end of a thread, from the top, spares the frame. */
int victim_call_frame(int (*fn)(void), bool far)
{
	return sink(4, fn, far ? 4 : 0);
}
EXPORT_SYMBOL_GPL(victim_call_frame);

noinline void victim_nop(void)
{
	barrier();
}
EXPORT_SYMBOL_GPL(victim_nop);

noinline int victim_call(int (*fn)(void *arg), void *arg)
{
	int ret = fn(arg);

	barrier();
	return ret;
}
EXPORT_SYMBOL_GPL(victim_call);

static int check_arg(const struct chariot_arg *arg)
{
	if (arg->id != 7 || arg->value != CHARIOT_WILD)
		return -EINVAL;
	if (arg->pair.lo != 1 || arg->pair.hi != 2)
		return -EINVAL;
	return strcmp(arg->name, "conform") ? -EINVAL : 0;
}

int victim_call_arg(int (*fn)(struct chariot_arg *arg))
{
	struct chariot_arg *arg = kzalloc(sizeof(*arg), GFP_KERNEL);
	int ret;

	if (!arg)
		return -ENOMEM;
	ret = fn(arg);
	if (!ret)
		ret = check_arg(arg);
	kfree(arg);
	return ret;
}
EXPORT_SYMBOL_GPL(victim_call_arg);

/*
 * debugfs
 */

static ssize_t prepare_write(struct file *file, const char __user *ubuf,
			     size_t len, loff_t *pos)
{
	char name[32];
	int ret;

	if (len >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, ubuf, len))
		return -EFAULT;
	name[len] = '\0';
	ret = prepare(strim(name));
	return ret ? ret : len;
}

static const struct file_operations prepare_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= prepare_write,
};

/* "CASE ERR": for a trigger which cannot report itself */
static ssize_t report_write(struct file *file, const char __user *ubuf,
			    size_t len, loff_t *pos)
{
	char name[32], *err = name;
	int ret;

	if (len >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, ubuf, len))
		return -EFAULT;
	name[len] = '\0';
	strsep(&err, " ");
	if (!err || kstrtoint(strim(err), 0, &ret))
		return -EINVAL;
	victim_report(name, ret ? -EIO : 0);
	return len;
}

static const struct file_operations report_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= report_write,
};

/* The thread's end may have used the stack again: know only two values. */
static const char *judge_gone(void)
{
	switch (READ_ONCE(*(u64 *)now.addr)) {
	case CHARIOT_MARK:
		return "unchanged";
	case CHARIOT_WILD:
		return "damaged at +0,";
	default:
		return "error the stack was used again,";
	}
}

/* Nothing was written, and for another reason than the host's. */
static bool failed(void)
{
	return now.err < 0 && now.err != -ESRCH && now.err != -ETIMEDOUT;
}

static void judge_stop(struct seq_file *m)
{
	int bad = now.frame ? now.bad : damage();

	if (!now.armed || failed())
		seq_puts(m, "error nothing was tried,");
	else if (now.gone)
		seq_puts(m, judge_gone());
	else if (bad >= 0)
		seq_printf(m, "damaged at +%d,", bad);
	else
		seq_puts(m, "unchanged");
	if (now.err == NOT_RUN)
		seq_puts(m, " trigger did not end");
	else
		seq_printf(m, " trigger returned %d", now.err);
}

static void judge_pass(struct seq_file *m)
{
	if (now.err == NOT_RUN)
		seq_puts(m, "error trigger did not end");
	else if (now.err)
		seq_printf(m, "error %d", now.err);
	else
		seq_puts(m, "ok");
}

static int judge_show(struct seq_file *m, void *v)
{
	if (!now.vc) {
		seq_puts(m, "- error no case\n");
		return 0;
	}
	seq_printf(m, "%s ", now.vc->name);
	if (now.vc->stop)
		judge_stop(m);
	else
		judge_pass(m);
	seq_putc(m, '\n');
	finish();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(judge);

static int list_show(struct seq_file *m, void *v)
{
	seq_puts(m, CHARIOT_CASES_TSV);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(list);

/* A module that is a case by itself is tried as soon as its init will run. */
static int module_event(struct notifier_block *nb, unsigned long state,
			void *data)
{
	struct module *mod = data;

	if (state == MODULE_STATE_COMING && now.vc &&
	    !strcmp(mod->name, now.vc->name))
		now.armed = true;
	return NOTIFY_DONE;
}

static struct notifier_block module_nb = { .notifier_call = module_event };

static int __init victim_init(void)
{
	int ret;

	cache = kmem_cache_create("chariot_victim", CHARIOT_LEN, 0,
				  SLAB_HWCACHE_ALIGN, NULL);
	if (!cache)
		return -ENOMEM;
	ret = register_module_notifier(&module_nb);
	if (ret) {
		kmem_cache_destroy(cache);
		return ret;
	}
	dir = debugfs_create_dir("chariot_victim", NULL);
	debugfs_create_file("prepare", 0200, dir, NULL, &prepare_fops);
	debugfs_create_file("report", 0200, dir, NULL, &report_fops);
	debugfs_create_file("judge", 0400, dir, NULL, &judge_fops);
	debugfs_create_file("list", 0400, dir, NULL, &list_fops);
	return 0;
}
module_init(victim_init);

static void __exit victim_exit(void)
{
	debugfs_remove(dir);
	unregister_module_notifier(&module_nb);
	finish();
	kmem_cache_destroy(cache);
}
module_exit(victim_exit);

MODULE_DESCRIPTION("Chariot conformance: the rest of the kernel");
MODULE_LICENSE("GPL");
