// SPDX-License-Identifier: GPL-2.0
/*
 * What a driver may do, and which must come out right.
 */
#include <linux/completion.h>
#include <linux/cpufeature.h>
#include <linux/delay.h>
#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <asm/desc.h>

#include "conform.h"

/* Whatever happens does so on the slowest machine. */
#define TIMEOUT		(600 * HZ)

static u64 initialized[64] = { [0 ... 63] = CHARIOT_MARK };
static u64 zeroed[64];
static struct kmem_cache *cache;

int fill(void *p, size_t len)
{
	volatile u64 *q = p;
	size_t i, n = len / 8;

	if (!p)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		q[i] = CHARIOT_WILD + i;
	for (i = 0; i < n; i++)
		if (q[i] != CHARIOT_WILD + i)
			return -EIO;
	return 0;
}

int pass_data(struct job *job)
{
	int ret = fill(initialized, sizeof(initialized));

	return ret ? ret : fill(zeroed, sizeof(zeroed));
}

int pass_kmalloc(struct job *job)
{
	size_t size;
	int ret = 0;
	void *p;

	for (size = 8; size <= 65536 && !ret; size *= 2) {
		p = kmalloc(size, GFP_KERNEL);
		ret = fill(p, size);
		kfree(p);
	}
	return ret;
}

int pass_vmalloc(struct job *job)
{
	void *p = vmalloc(10 * PAGE_SIZE);
	int ret = fill(p, 10 * PAGE_SIZE);

	vfree(p);
	return ret;
}

int pass_cache(struct job *job)
{
	void *p = kmem_cache_alloc(cache, GFP_KERNEL);
	int ret = fill(p, 120);

	if (p)
		kmem_cache_free(cache, p);
	return ret;
}

/* The kernel calls it for all objects of a slab, before any is allocated. */
static void construct(void *p)
{
	u64 *q = p;
	int i;

	for (i = 0; i < 15; i++)
		q[i] = CHARIOT_MARK;
}

int pass_cache_ctor(struct job *job)
{
	struct kmem_cache *ctor_cache;
	int ret = 0;
	u64 *p;

	ctor_cache = kmem_cache_create("chariot_conform_ctor", 120, 0, 0,
				       construct);
	if (!ctor_cache)
		return -ENOMEM;
	p = kmem_cache_alloc(ctor_cache, GFP_KERNEL);
	if (!p)
		ret = -ENOMEM;
	else if (p[0] != CHARIOT_MARK || p[14] != CHARIOT_MARK)
		ret = -EIO;
	else
		ret = fill(p, 120);
	if (p)
		kmem_cache_free(ctor_cache, p);
	kmem_cache_destroy(ctor_cache);
	return ret;
}

int pass_page(struct job *job)
{
	struct page *page = alloc_pages(GFP_KERNEL, 1);
	int ret;

	if (!page)
		return -ENOMEM;
	ret = fill(page_address(page), 2 * PAGE_SIZE);
	__free_pages(page, 1);
	return ret;
}

int pass_alloc_percpu(struct job *job)
{
	u64 __percpu *p = alloc_percpu(u64);
	u64 sum = 0, want = 0;
	int cpu;

	if (!p)
		return -ENOMEM;
	this_cpu_inc(*p);
	this_cpu_dec(*p);
	for_each_possible_cpu(cpu) {
		*per_cpu_ptr(p, cpu) += cpu + 1;
		want += cpu + 1;
	}
	for_each_possible_cpu(cpu)
		sum += *per_cpu_ptr(p, cpu);
	free_percpu(p);
	return sum == want ? 0 : -EIO;
}

static DEFINE_PER_CPU(u64, counter);

int pass_percpu(struct job *job)
{
	u64 sum = 0;
	int cpu, i;

	for_each_possible_cpu(cpu)
		per_cpu(counter, cpu) = 0;
	for (i = 0; i < 1000; i++)
		this_cpu_inc(counter);
	for_each_possible_cpu(cpu)
		sum += per_cpu(counter, cpu);
	return sum == 1000 ? 0 : -EIO;
}

/* The kernel's objects around ours are as they were; so is what we wrote. */
int pass_shared_page(struct job *job)
{
	u8 *mine = find_pair(victim_cache(), CHARIOT_OBJ);
	u64 *next = (u64 *)(mine + CHARIOT_OBJ);
	int i, ret = mine ? 0 : -ENOENT;

	OPTIMIZER_HIDE_VAR(next);
	for (i = 0; i < 100 && !ret; i++) {
		ret = fill(mine, CHARIOT_OBJ);
		if (!ret && READ_ONCE(*next) != CHARIOT_MARK)
			ret = -EIO;
	}
	free_pairs();
	return ret;
}

int pass_memcpy(struct job *job)
{
	size_t len = 3000;
	u8 *p = kmalloc(2 * len, GFP_KERNEL);
	int ret;

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(len);
	ret = fill(p, len);
	memcpy(p + len, p, len);
	if (!ret && memcmp(p, p + len, len))
		ret = -EIO;
	kfree(p);
	return ret;
}

int pass_memset(struct job *job)
{
	size_t len = 3001;
	u8 *p = kmalloc(len, GFP_KERNEL);
	int ret;

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(len);
	memset(p, 0xee, len);
	ret = memchr_inv(p, 0xee, len) ? -EIO : 0;
	kfree(p);
	return ret;
}

int pass_from_user(struct job *job)
{
	char *p = kzalloc(job->ulen, GFP_KERNEL);
	int ret = 0;

	if (!p)
		return -ENOMEM;
	if (copy_from_user(p, job->ubuf, job->ulen))
		ret = -EFAULT;
	else if (strncmp(p, "own_copy_from_user", 18))
		ret = -EIO;
	kfree(p);
	return ret;
}

int pass_list_add(struct job *job)
{
	static LIST_HEAD(head);
	static struct list_head nodes[3];
	struct list_head *pos;
	int i, n = 0;

	INIT_LIST_HEAD(&head);
	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		list_add(&nodes[i], &head);
	list_for_each(pos, &head)
		n++;
	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		list_del(&nodes[i]);
	return n == 3 && list_empty(&head) ? 0 : -EIO;
}

int pass_cmpxchg(struct job *job)
{
	static u64 word;

	word = 1;
	if (cmpxchg64(&word, 2, 3) != 1 || cmpxchg64(&word, 1, 4) != 1)
		return -EIO;
	return READ_ONCE(word) == 4 ? 0 : -EIO;
}

int pass_cmpxchg16b(struct job *job)
{
	static u64 pair[2] __aligned(16);

	if (!boot_cpu_has(X86_FEATURE_CX16))
		return 0;
	pair[0] = 1;
	pair[1] = 2;
	if (cas16(pair, 2, 1, 7) || !cas16(pair, 1, 2, 9))
		return -EIO;
	return READ_ONCE(pair[0]) == 9 && READ_ONCE(pair[1]) == 9 ? 0 : -EIO;
}

int pass_atomic(struct job *job)
{
	static atomic_t n;
	static atomic64_t m;
	static unsigned long bits;

	atomic_set(&n, 5);
	atomic64_set(&m, 5);
	bits = 0;
	atomic_inc(&n);
	if (atomic64_fetch_add(7, &m) != 5 || !atomic_dec_return(&n))
		return -EIO;
	if (test_and_set_bit(9, &bits) || !test_and_clear_bit(9, &bits))
		return -EIO;
	return atomic_read(&n) == 5 && atomic64_read(&m) == 12 ? 0 : -EIO;
}

int pass_rep_movs(struct job *job)
{
	size_t len = 2 * PAGE_SIZE;
	u8 *p = kmalloc(2 * len, GFP_KERNEL);
	int ret = 0;

	if (!p)
		return -ENOMEM;
	rep_stosq(p, CHARIOT_WILD, len / 8);
	rep_movsb(p + len, p, len);
	if (memcmp(p, p + len, len) || *(u64 *)p != CHARIOT_WILD)
		ret = -EIO;
	kfree(p);
	return ret;
}

int pass_sidt(struct job *job)
{
	struct desc_ptr idt = {}, *mine = kzalloc(sizeof(*mine), GFP_KERNEL);
	int ret;

	if (!mine)
		return -ENOMEM;
	store_idt(&idt);
	asm volatile("sidt %0" : "=m" (*mine));
	ret = memcmp(mine, &idt, sizeof(idt)) || !idt.address ? -EIO : 0;
	kfree(mine);
	return ret;
}

int pass_cross_page(struct job *job)
{
	u8 *p = vmalloc(2 * PAGE_SIZE);
	u64 *q = (u64 *)(p + PAGE_SIZE - 4);
	int ret = 0;

	if (!p)
		return -ENOMEM;
	WRITE_ONCE(*q, CHARIOT_WILD);
	if (READ_ONCE(*q) != CHARIOT_WILD)
		ret = -EIO;
	vfree(p);
	return ret;
}

int pass_stack_object(struct job *job)
{
	u64 frame[32];

	return fill(frame, sizeof(frame));
}

/* Each depth is a call from the victim, and writes the frame above. */
struct nest {
	struct nest	*up;
	u64		val;
	int		depth;
};

static int nest(void *arg)
{
	struct nest *up = arg;
	struct nest mine = { .up = up, .depth = up->depth + 1 };
	int ret;

	up->val = CHARIOT_WILD + up->depth;
	if (up->up)
		up->up->val++;
	if (mine.depth == 3)
		return 0;
	ret = victim_call(nest, &mine);
	if (ret)
		return ret;
	/* Written by the depth below, and by the one below that. */
	if (mine.val != CHARIOT_WILD + mine.depth + (mine.depth < 2))
		return -EIO;
	return 0;
}

int pass_nested(struct job *job)
{
	struct nest top = { .depth = 0 };
	int ret = victim_call(nest, &top);

	if (!ret && top.val != CHARIOT_WILD + 1)
		ret = -EIO;
	return ret;
}

struct stack_work {
	struct work_struct	work;
	struct completion	done;
	u64			val;
};

static void stack_work_fn(struct work_struct *work)
{
	struct stack_work *w = container_of(work, struct stack_work, work);

	w->val = CHARIOT_WILD;
	complete(&w->done);
}

int pass_stack_completion(struct job *job)
{
	struct stack_work w = { .val = 0 };

	INIT_WORK_ONSTACK(&w.work, stack_work_fn);
	init_completion(&w.done);
	schedule_work(&w.work);
	wait_for_completion(&w.done);
	flush_work(&w.work);
	destroy_work_on_stack(&w.work);
	return READ_ONCE(w.val) == CHARIOT_WILD ? 0 : -EIO;
}

int pass_sleep(struct job *job)
{
	ktime_t start = ktime_get();

	msleep(1000);
	return ktime_ms_delta(ktime_get(), start) >= 1000 ? 0 : -EIO;
}

int pass_busy_loop(struct job *job)
{
	static volatile u64 turns;
	u64 n, start = get_cycles();

	turns = 0;
	for (n = 0; get_cycles() - start < 200ULL * tsc_khz; n++)
		turns++;
	return turns == n ? 0 : -EIO;
}

int pass_bad_user(struct job *job)
{
	void __user * const bad[] = {
		(void __user *)0x1000, (void __user *)PAGE_OFFSET,
	};
	u64 val = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (copy_from_user(&val, bad[i], sizeof(val)) != sizeof(val))
			return -EIO;
		if (copy_to_user(bad[i], &val, sizeof(val)) != sizeof(val))
			return -EIO;
	}
	return 0;
}

static int copy_both(void __user *user, u64 *val)
{
	u64 back = 0;

	if (copy_to_user(user, val, sizeof(*val)) ||
	    copy_from_user(&back, user, sizeof(back)))
		return -EFAULT;
	return back == *val ? 0 : -EIO;
}

/* The first page is there on demand, the second is not. */
static int copy_over_end(u8 __user *user)
{
	u8 buf[64] = { 1, 2, 3 };
	size_t left = copy_to_user(user + PAGE_SIZE - 32, buf, sizeof(buf));

	if (left < 32 || left >= 64)
		return -EIO;
	left = copy_from_user(buf, user + PAGE_SIZE - 32, sizeof(buf));
	return left < 32 || left >= 64 ? -EIO : 0;
}

int pass_user_fault(struct job *job)
{
	unsigned long addr = vm_mmap(NULL, 0, 2 * PAGE_SIZE,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	u64 val = CHARIOT_WILD;
	int ret;

	if (IS_ERR_VALUE(addr))
		return addr;
	ret = copy_both((void __user *)addr, &val);
	if (!ret)
		ret = put_user(val + 1, (u64 __user *)(addr + PAGE_SIZE));
	if (!ret)
		ret = get_user(val, (u64 __user *)(addr + PAGE_SIZE));
	if (!ret && val != CHARIOT_WILD + 1)
		ret = -EIO;
	vm_munmap(addr + PAGE_SIZE, PAGE_SIZE);
	if (!ret)
		ret = copy_over_end((u8 __user *)addr);
	vm_munmap(addr, PAGE_SIZE);
	return ret;
}

int pass_storm(struct job *job)
{
	static u64 *held[64];
	unsigned int i, slot;
	int ret = 0;

	for (i = 0; i < storm && !ret; i++) {
		slot = (i * 7) % ARRAY_SIZE(held);
		if (held[slot] && *held[slot] != slot)
			ret = -EIO;
		kfree(held[slot]);
		held[slot] = kmalloc(8 + (i * 37) % 9000, GFP_KERNEL);
		if (!held[slot])
			ret = -ENOMEM;
		else
			*held[slot] = slot;
		if (!(i % 1024))
			cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(held); i++) {
		kfree(held[i]);
		held[i] = NULL;
	}
	return ret;
}

static int typed_callback(struct chariot_arg *arg)
{
	arg->id = 7;
	arg->value = CHARIOT_WILD;
	arg->pair.lo = 1;
	arg->pair.hi = 2;
	strscpy(arg->name, "conform", sizeof(arg->name));
	return 0;
}

int pass_typed(struct job *job)
{
	return victim_call_arg(typed_callback);
}

int pass_krealloc(struct job *job)
{
	size_t size;
	int ret = 0;
	u8 *p = NULL, *q;

	for (size = 16; size <= 32768 && !ret; size *= 2) {
		q = krealloc(p, size, GFP_KERNEL);
		if (!q) {
			ret = -ENOMEM;
			break;
		}
		p = q;
		if (size > 16 && memchr_inv(p, 0x77, size / 2))
			ret = -EIO;
		memset(p, 0x77, size);
	}
	kfree(p);
	return ret;
}

int pass_kvmalloc(struct job *job)
{
	void *small = kvmalloc(1024, GFP_KERNEL);
	void *large = kvzalloc(8 << 20, GFP_KERNEL);
	int ret = fill(small, 1024);

	if (!ret)
		ret = fill(large, 8 << 20);
	kvfree(small);
	kvfree(large);
	return ret;
}

int pass_task_state(struct job *job)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_timeout(1);
	set_current_state(TASK_INTERRUPTIBLE);
	__set_current_state(TASK_RUNNING);
	pagefault_disable();
	pagefault_enable();
	return 0;
}

int pass_strings(struct job *job)
{
	char *a = kstrdup("chariot", GFP_KERNEL);
	char *b = kasprintf(GFP_KERNEL, "%s-%d", a, 42);
	char *c = kmemdup("chariot-42", 11, GFP_KERNEL);
	int ret = -EIO;

	if (a && b && c && !strcmp(b, c)) {
		a[0] = 'C';
		b[0] = 'C';
		ret = strcmp(a, "Chariot") || strcmp(b, "Chariot-42") ?
		      -EIO : 0;
	}
	kfree(a);
	kfree(b);
	kfree(c);
	return ret;
}

static struct {
	struct timer_list	timer;
	struct completion	done;
	int			left;
} rearm;

static void rearm_fn(struct timer_list *t)
{
	if (--rearm.left)
		mod_timer(t, jiffies + 2);
	else
		complete(&rearm.done);
}

int pass_timer_rearm(struct job *job)
{
	long left;

	rearm.left = 4;
	init_completion(&rearm.done);
	timer_setup(&rearm.timer, rearm_fn, 0);
	mod_timer(&rearm.timer, jiffies + 2);
	left = wait_for_completion_timeout(&rearm.done, TIMEOUT);
	timer_delete_sync(&rearm.timer);
	return left && !rearm.left ? 0 : -ETIMEDOUT;
}

struct rcu_object {
	struct rcu_head		rcu;
	struct completion	*done;
	u64			val[8];
};

static void rcu_fn(struct rcu_head *rcu)
{
	struct rcu_object *o = container_of(rcu, struct rcu_object, rcu);
	struct completion *done = o->done;

	fill(o->val, sizeof(o->val));
	kfree(o);
	complete(done);
}

int pass_call_rcu(struct job *job)
{
	static DECLARE_COMPLETION(done);
	struct rcu_object *o = kzalloc(sizeof(*o), GFP_KERNEL);

	if (!o)
		return -ENOMEM;
	reinit_completion(&done);
	o->done = &done;
	call_rcu(&o->rcu, rcu_fn);
	return wait_for_completion_timeout(&done, TIMEOUT) ? 0 : -ETIMEDOUT;
}

int pass_kfree_rcu(struct job *job)
{
	struct rcu_object *o;
	int i, ret = 0;

	for (i = 0; i < 64 && !ret; i++) {
		o = kmalloc(sizeof(*o), GFP_KERNEL);
		ret = o ? fill(o->val, sizeof(o->val)) : -ENOMEM;
		if (o)
			kfree_rcu(o, rcu);
	}
	synchronize_rcu();
	return ret;
}

static DECLARE_WAIT_QUEUE_HEAD(queue);
static bool woken;

static void wake_fn(struct work_struct *work)
{
	WRITE_ONCE(woken, true);
	wake_up(&queue);
}

static DECLARE_DELAYED_WORK(wake_work, wake_fn);

int pass_wait_queue(struct job *job)
{
	long left;

	woken = false;
	schedule_delayed_work(&wake_work, 5);
	left = wait_event_timeout(queue, READ_ONCE(woken), TIMEOUT);
	cancel_delayed_work_sync(&wake_work);
	return left ? 0 : -ETIMEDOUT;
}

int pass_delayed_work(struct job *job)
{
	unsigned long end = jiffies + TIMEOUT;

	woken = false;
	schedule_delayed_work(&wake_work, msecs_to_jiffies(50));
	while (!READ_ONCE(woken) && time_before(jiffies, end))
		msleep(10);
	cancel_delayed_work_sync(&wake_work);
	return READ_ONCE(woken) ? 0 : -ETIMEDOUT;
}

int pass_locks(struct job *job)
{
	static DEFINE_MUTEX(mutex);
	static DEFINE_SPINLOCK(lock);
	static int n;
	unsigned long flags;
	int i;

	n = 0;
	for (i = 0; i < 1000; i++) {
		mutex_lock(&mutex);
		spin_lock_irqsave(&lock, flags);
		n++;
		spin_unlock_irqrestore(&lock, flags);
		spin_lock_bh(&lock);
		n++;
		spin_unlock_bh(&lock);
		mutex_unlock(&mutex);
	}
	return n == 2000 ? 0 : -EIO;
}

static DEFINE_STATIC_KEY_FALSE(key);

static noinline int key_value(void)
{
	return static_branch_unlikely(&key) ? 1 : 0;
}

int pass_static_key(struct job *job)
{
	int i, ret = 0;

	for (i = 0; i < 4 && !ret; i++) {
		if (key_value())
			ret = -EIO;
		static_branch_enable(&key);
		if (!key_value())
			ret = -EIO;
		static_branch_disable(&key);
	}
	return ret;
}

int pass_skb(struct job *job)
{
	struct sk_buff *copy, *skb = alloc_skb(1500, GFP_KERNEL);
	int ret = -EIO;

	if (!skb)
		return -ENOMEM;
	skb_reserve(skb, 64);
	memset(skb_put(skb, 1000), 0x33, 1000);
	memset(skb_push(skb, 14), 0x44, 14);
	copy = skb_copy(skb, GFP_KERNEL);
	if (copy && copy->len == 1014 && copy->data[14] == 0x33 &&
	    !memchr_inv(copy->data, 0x44, 14))
		ret = 0;
	kfree_skb(copy);
	kfree_skb(skb);
	return ret;
}

/* The runner writes the parameter, reads it, and hands on what it read. */
static unsigned int knob;
static unsigned int knob_seen;

static int knob_set(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_uint(val, kp);

	if (!ret)
		knob_seen = *(unsigned int *)kp->arg;
	return ret;
}

static const struct kernel_param_ops knob_ops = {
	.set	= knob_set,
	.get	= param_get_uint,
};
module_param_cb(knob, &knob_ops, &knob, 0644);
MODULE_PARM_DESC(knob, "A number, written through a callback");

int pass_param_write(struct job *job)
{
	unsigned int val;

	if (kstrtouint(job->arg, 0, &val))
		return -EINVAL;
	return knob == val && knob_seen == val ? 0 : -EIO;
}

int pass_init(void)
{
	cache = kmem_cache_create("chariot_conform", 120, 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	pass_files_init();
	return 0;
}

void pass_exit(void)
{
	cancel_delayed_work_sync(&wake_work);
	rcu_barrier();
	kmem_cache_destroy(cache);
}
