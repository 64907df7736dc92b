// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/chariot and the ioctls of its handles.  The contract is in the uapi
 * header.
 *
 * Called by main.
 */
#include "dev.h"
#include "ask.h"
#include "audit.h"
#include "cache.h"
#include "event.h"
#include "image.h"
#include "life.h"
#include "watch.h"

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/*
 * Arguments are copied in, checked, worked on and copied out by one place:
 * every ioctl is a row of a table.
 */
union args {
	struct {
		__u32 argsz, flags;
	};
	struct chariot_info info;
	struct chariot_attach attach;
	struct chariot_vm_info vm_info;
	struct chariot_mem mem;
	struct chariot_watch watch;
	struct chariot_continue cont;
	struct chariot_call_guest call;
	struct chariot_reset reset;
	struct chariot_post post;
	struct chariot_audit audit;
	struct chariot_domain_create create;
	struct chariot_domain_op domain;
	struct chariot_domain_info domain_info;
	struct chariot_grant grant;
	struct chariot_act_read act_read;
	struct chariot_stats stats;
	struct chariot_given given;
};

struct call {
	unsigned int cmd;
	u32 min, size;		/* of its structure: as first published, and now */
	enum { CALL_IN, CALL_IN_OUT } dir;
	u32 flags;		/* known ones */
	long (*fn)(struct chariot_handle *h, union args *a);
};

/* @last was the last member when version 3 of the interface was published: what is
 * behind it an older program does not have.  So it never changes. */
#define CALL(cmd, type, last, dir, flags, fn)				\
	{ cmd, offsetofend(struct type, last), sizeof(struct type), dir, flags, fn }

/* What the caller does not have is 0; what we do not have must be. */
static long copy_in(const struct call *c, union args *a, void __user *arg)
{
	u32 argsz;
	int err;

	if (get_user(argsz, (u32 __user *)arg))
		return -EFAULT;
	if (argsz < c->min)
		return -EINVAL;
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(a, c->size, arg, argsz);
	if (err)
		return err;
	a->argsz = argsz;	/* the caller's memory may have changed since */
	return a->flags & ~c->flags ? -EINVAL : 0;
}

static long run_call(const struct call *calls, size_t nr,
		     struct chariot_handle *h, unsigned int cmd,
		     void __user *arg)
{
	const struct call *c = calls;
	union args *a;
	long r;

	while (c < calls + nr && c->cmd != cmd)
		c++;
	if (c == calls + nr)
		return -ENOTTY;
	a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);
	if (!a)
		return -ENOMEM;
	r = copy_in(c, a, arg) ?: c->fn(h, a);
	if (r >= 0 && c->dir == CALL_IN_OUT &&
	    copy_to_user(arg, a, min(a->argsz, c->size)))
		r = -EFAULT;
	kfree(a);
	return r;
}

/* ---- calls that need no domain ------------------------------------------- */

static long do_vm_info(struct chariot_handle *h, union args *a)
{
	struct chariot_vm_info *i = &a->vm_info;
	struct chariot_vm *vm = h->vm;
	u32 nr;

	if (chariot_vm_lock(vm))
		return -EINTR;
	i->state = vm->dead ? CHARIOT_VM_DEAD :
		   vm->nr_domains ? CHARIOT_VM_ISOLATING : CHARIOT_VM_PLAIN;
	i->nr_vcpus = atomic_read(&vm->kvm->online_vcpus);
	i->vmm_pid = vm->pid;
	i->domains = 0;
	for (nr = 1; nr < CHARIOT_NR_VIEWS; nr++)
		if (chariot_domain_of(vm, nr))
			i->domains |= 1U << nr;
	i->watch = vm->watch;
	i->nr_handles = READ_ONCE(vm->nr_handles);
	i->cr3 = vm->cr.cr3;
	i->cr4 = vm->cr.cr4;
	i->lstar = vm->lstar;
	spin_lock(&h->lock);
	i->events_lost = h->lost;
	spin_unlock(&h->lock);
	chariot_vm_unlock(vm);
	return 0;
}

static long do_mem(struct chariot_handle *h, union args *a)
{
	struct chariot_mem *m = &a->mem;
	bool write = m->flags & CHARIOT_MEM_WRITE;
	void *page;
	u64 at, n;
	int err = 0;

	if (m->len > CHARIOT_MEM_MAX || m->gpa + m->len < m->gpa)
		return -EINVAL;
	page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	for (at = 0; at < m->len && !err; at += n) {
		void __user *buf = u64_to_user_ptr(m->buf + at);

		n = min_t(u64, m->len - at,
			  PAGE_SIZE - offset_in_page(m->gpa + at));
		if (write && copy_from_user(page, buf, n))
			err = -EFAULT;
		else if (write)
			err = chariot_guest_write(h->vm->kvm, m->gpa + at,
						  page, n);
		else
			err = chariot_guest_read(h->vm->kvm, m->gpa + at, page,
						 n);
		if (!err && !write && copy_to_user(buf, page, n))
			err = -EFAULT;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	free_page((unsigned long)page);
	return err;
}

static long do_watch(struct chariot_handle *h, union args *a)
{
	struct chariot_watch *w = &a->watch;
	long r;

	if (w->reserved || (w->flags & CHARIOT_WATCH_IMAGE ?
			    !(w->flags & CHARIOT_WATCH_LOAD) :
			    w->image_gva || w->image_site) ||
	    (w->flags && (!w->timeout_ms || w->timeout_ms > 600000)))
		return -EINVAL;
	if (chariot_vm_lock(h->vm))
		return -EINTR;
	r = h->vm->dead && w->flags ? -ESHUTDOWN :
	    chariot_watch_set(h->vm, h, w);
	chariot_vm_unlock(h->vm);
	return r;
}

static long do_continue(struct chariot_handle *h, union args *a)
{
	const struct chariot_continue *c = &a->cont;
	long r;

	if (c->flags & CHARIOT_CONTINUE_RETURN ? c->flags & CHARIOT_CONTINUE_NEVER :
						 c->value)
		return -EINVAL;
	if (chariot_vm_lock(h->vm))
		return -EINTR;
	r = chariot_image_continue(h->vm, c);
	chariot_vm_unlock(h->vm);
	return r;
}

static long do_call(struct chariot_handle *h, union args *a)
{
	const struct chariot_call_guest *c = &a->call;
	long r;

	if (chariot_vm_lock(h->vm))
		return -EINTR;
	r = chariot_image_call(h->vm, c->seq, &c->call, c->cookie);
	chariot_vm_unlock(h->vm);
	return r;
}

static long do_reset(struct chariot_handle *h, union args *a)
{
	if (chariot_vm_lock(h->vm))
		return -EINTR;
	chariot_vm_reset(h->vm);
	h->vm->dead = false;
	h->vm->cr = (struct chariot_cr){};
	h->vm->lstar = 0;
	chariot_vm_unlock(h->vm);
	return 0;
}

static bool name_ok(const char *name)
{
	return name[0] && strnlen(name, CHARIOT_NAME_LEN) < CHARIOT_NAME_LEN;
}

static long do_post(struct chariot_handle *h, union args *a)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_REQUEST, .vcpu = ~0U,
	};
	struct chariot_post *p = &a->post;

	if (p->what >= CHARIOT_NR_REQUESTS || p->reserved || !name_ok(p->name))
		return -EINVAL;
	ev.u.request.what = p->what;
	strscpy(ev.u.request.name, p->name, sizeof(ev.u.request.name));
	if (chariot_vm_lock(h->vm))
		return -EINTR;
	chariot_event_send(h->vm, &ev, h);
	chariot_vm_unlock(h->vm);
	return 0;
}

static long do_audit(struct chariot_handle *h, union args *a)
{
	struct chariot_audit *out = &a->audit;
	long r;

	*out = (struct chariot_audit){ .argsz = out->argsz };
	if (chariot_vm_lock(h->vm))
		return -EINTR;
	r = chariot_vm_audit(h->vm, out);
	chariot_vm_unlock(h->vm);
	return r;
}

/* ---- domains ------------------------------------------------------------- */

static long do_create(struct chariot_handle *h, union args *a)
{
	return chariot_domain_create(h->vm, &a->create);
}

static long do_add(struct chariot_handle *h, union args *a)
{
	return chariot_domain_add(h->vm, &a->create);
}

typedef long (*domain_fn)(struct chariot_domain *dom, union args *a);

static long on_domain(struct chariot_handle *h, u32 nr, union args *a,
		      domain_fn fn)
{
	struct chariot_domain *dom;
	long r = -ENOENT;

	if (chariot_vm_lock(h->vm))
		return -EINTR;
	dom = chariot_domain_of(h->vm, nr);
	if (dom)
		r = fn(dom, a);
	chariot_vm_unlock(h->vm);
	return r;
}

static long drop(struct chariot_domain *dom, union args *a)
{
	if (a->domain.verdict)
		return -EINVAL;
	chariot_domain_drop(dom);
	return 0;
}

static long do_drop(struct chariot_handle *h, union args *a)
{
	return on_domain(h, a->domain.domain, a, drop);
}

static long set(struct chariot_domain *dom, union args *a)
{
	if (a->domain.verdict >= CHARIOT_NR_VERDICTS)
		return -EINVAL;
	if (a->domain.verdict == CHARIOT_VERDICT_RECOVER && !dom->recover.trap)
		return -EOPNOTSUPP;
	dom->verdict = a->domain.verdict;
	return 0;
}

static long do_set(struct chariot_handle *h, union args *a)
{
	return on_domain(h, a->domain.domain, a, set);
}

static long info(struct chariot_domain *dom, union args *a)
{
	const struct chariot_part *p = chariot_part_next(dom, NULL);
	struct chariot_domain_info *i = &a->domain_info;

	i->verdict = dom->verdict;
	memcpy(i->name, dom->name, sizeof(i->name));
	i->text = p->nr_ranges ? p->ranges[0].gva : 0;
	i->text_len = p->nr_ranges ? p->ranges[0].len : 0;
	i->nr_modules = 0;
	for_each_part(p, dom)
		i->nr_modules++;
	i->nr_objects = dom->act.nr_objects;
	i->nr_pages_full = dom->act.nr_full;
	i->nr_pages_shared = dom->act.nr_shared;
	i->nr_frames = dom->nr_frames;
	i->memory = dom->memory +
		    dom->nr_frames * (sizeof(struct chariot_frame) +
				      sizeof(struct chariot_entry));
	i->mode = dom->mode;
	memset(i->reserved, 0, sizeof(i->reserved));
	return 0;
}

static long do_info(struct chariot_handle *h, union args *a)
{
	return on_domain(h, a->domain_info.domain, a, info);
}

static long grant(struct chariot_domain *dom, union args *a)
{
	struct chariot_grant *g = &a->grant;
	int err;

	if (g->flags & CHARIOT_GRANT_REVOKE)
		return g->len ? -EINVAL :
				chariot_domain_revoke(dom, g->gva, g->seq);
	if (g->source == CHARIOT_SRC_EVIDENCE) {
		err = g->flags & CHARIOT_GRANT_CALL ?
		      chariot_ask_lend(dom, g->seq, g->gva, g->len) :
		      chariot_domain_evident(dom, g->gva, g->len, g->gate,
					     g->site);
		if (!err)
			chariot_ask_granted(dom);
		return err;
	}
	if (g->source != CHARIOT_SRC_RULE && g->source != CHARIOT_SRC_LEARNED)
		return -EINVAL;
	dom->run_pages = 0;
	return chariot_domain_grant(dom, g->gva, g->len, g->source, 0, 0);
}

static long do_grant(struct chariot_handle *h, union args *a)
{
	const struct chariot_grant *g = &a->grant;
	bool evident = g->source == CHARIOT_SRC_EVIDENCE;

	if (g->flags == (CHARIOT_GRANT_REVOKE | CHARIOT_GRANT_CALL) ||
	    (g->flags & CHARIOT_GRANT_CALL ?
	     !evident || !g->len || g->gate || g->site :
	     g->seq && !(g->flags & CHARIOT_GRANT_REVOKE)) ||
	    (!evident && (g->gate || g->site)))
		return -EINVAL;
	return on_domain(h, a->grant.domain, a, grant);
}

/* Rows that are copied at a time: the caller's memory may not come, and so must not be
 * written under the lock. */
#define ACT_ROWS	64
#define MAX_GIVEN	4096

struct rows {
	u64 start;			/* as in struct chariot_act_read */
	u32 nr;
	u64 clock;			/* of the ACT, the first time */
	struct chariot_object row[ACT_ROWS];
};

static void fill_rows(struct chariot_domain *dom, struct rows *r, u32 max)
{
	struct chariot_obj *obj = chariot_act_next(&dom->act, r->start);

	for (r->nr = 0; obj && r->nr < max; r->nr++) {
		r->row[r->nr] = (struct chariot_object){
			.gva = obj->start, .len = obj->last - obj->start + 1,
			.gate = obj->gate, .site = obj->site,
			.source = obj->source,
		};
		obj = chariot_act_next(&dom->act, obj->start + 1);
	}
	r->start = obj ? obj->start : 0;
}

/* The next rows; -ENOENT, -EINTR. */
static int next_rows(struct chariot_vm *vm, u32 nr, struct rows *r, u32 max)
{
	struct chariot_domain *dom;
	struct chariot_part *p;

	if (chariot_vm_lock(vm))
		return -EINTR;
	dom = chariot_domain_of(vm, nr);
	if (dom) {
		r->clock = r->clock ?: dom->act.clock;
		fill_rows(dom, r, max);
		/* The guard looks at the clock now and then. */
		for_each_part(p, dom)
			if (!max && p->cache)
				chariot_cache_look(dom, p->cache);
	}
	chariot_vm_unlock(vm);
	return dom ? 0 : -ENOENT;
}

static long do_act_read(struct chariot_handle *h, union args *a)
{
	struct chariot_act_read *q = &a->act_read;
	struct chariot_object __user *buf = u64_to_user_ptr(q->buf);
	struct rows *r;
	u32 n = 0;
	int err;

	if (q->nr > INT_MAX)
		return -EINVAL;
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return -ENOMEM;
	r->start = q->start;
	do {
		err = next_rows(h->vm, q->domain, r,
				min_t(u32, q->nr - n, ACT_ROWS));
		if (!err && copy_to_user(buf + n, r->row,
					 r->nr * sizeof(*r->row)))
			err = -EFAULT;
		n += r->nr;
	} while (!err && r->start && n < q->nr);
	q->start = r->start;
	q->clock = r->clock;
	kfree(r);
	return err ?: n;
}

static long do_given(struct chariot_handle *h, union args *a)
{
	const struct chariot_given *q = &a->given;
	struct chariot_value *row;
	long n = -EINTR;

	if (q->reserved || q->nr > MAX_GIVEN)
		return -EINVAL;
	row = kvcalloc(max(q->nr, 1U), sizeof(*row), GFP_KERNEL_ACCOUNT);
	if (!row)
		return -ENOMEM;
	if (!chariot_vm_lock(h->vm)) {
		n = h->vm->dead ? -ESHUTDOWN :
		    chariot_ask_given(h->vm, q->seq, row, q->nr);
		chariot_vm_unlock(h->vm);
	}
	if (n > 0 && copy_to_user(u64_to_user_ptr(q->buf), row, n * sizeof(*row)))
		n = -EFAULT;
	kvfree(row);
	return n;
}

/* The order of CHARIOT_COUNTERS() is the callers', too. */
static_assert(offsetof(struct chariot_stats, entries) == 16);
static_assert(offsetof(struct chariot_stats, down_ms) == 16 + 26 * sizeof(u64));
static_assert(offsetofend(struct chariot_stats, asked) == 240);

static void clear_stats(struct chariot_stats *st)
{
	*st = (struct chariot_stats){
		.argsz = st->argsz, .domain = st->domain,
	};
}

static long domain_stats(struct chariot_domain *dom, union args *a)
{
	clear_stats(&a->stats);
	chariot_stats_add(&a->stats, &dom->stats);
	return 0;
}

static long do_stats(struct chariot_handle *h, union args *a)
{
	struct chariot_vm *vm = h->vm;
	struct chariot_domain *dom;
	u32 nr;

	if (a->stats.reserved)
		return -EINVAL;
	if (a->stats.domain)
		return on_domain(h, a->stats.domain, a, domain_stats);
	clear_stats(&a->stats);
	if (chariot_vm_lock(vm))
		return -EINTR;
	chariot_stats_add(&a->stats, &vm->stats);
	for (nr = 1; nr < CHARIOT_NR_VIEWS; nr++) {
		dom = chariot_domain_of(vm, nr);
		if (dom)
			chariot_stats_add(&a->stats, &dom->stats);
	}
	chariot_vm_unlock(vm);
	return 0;
}

/* ---- the handle's file --------------------------------------------------- */

static const struct call vm_calls[] = {
	CALL(CHARIOT_VM_INFO, chariot_vm_info, events_lost, CALL_IN_OUT, 0,
	     do_vm_info),
	CALL(CHARIOT_MEM, chariot_mem, buf, CALL_IN, CHARIOT_MEM_WRITE, do_mem),
	CALL(CHARIOT_WATCH, chariot_watch, cr4, CALL_IN,
	     CHARIOT_WATCH_KERNEL | CHARIOT_WATCH_LOAD | CHARIOT_WATCH_ASK |
	     CHARIOT_WATCH_IMAGE, do_watch),
	CALL(CHARIOT_CONTINUE, chariot_continue, seq, CALL_IN,
	     CHARIOT_CONTINUE_NEVER | CHARIOT_CONTINUE_RETURN, do_continue),
	CALL(CHARIOT_CALL, chariot_call_guest, cookie, CALL_IN, 0, do_call),
	CALL(CHARIOT_RESET, chariot_reset, flags, CALL_IN, 0, do_reset),
	CALL(CHARIOT_POST, chariot_post, name, CALL_IN, 0, do_post),
	CALL(CHARIOT_AUDIT, chariot_audit, reserved, CALL_IN_OUT, 0, do_audit),
	CALL(CHARIOT_DOMAIN_CREATE, chariot_domain_create, recover.flags,
	     CALL_IN, 0, do_create),
	CALL(CHARIOT_DOMAIN_ADD, chariot_domain_create, module, CALL_IN, 0,
	     do_add),
	CALL(CHARIOT_DOMAIN_DROP, chariot_domain_op, verdict, CALL_IN, 0,
	     do_drop),
	CALL(CHARIOT_DOMAIN_SET, chariot_domain_op, verdict, CALL_IN, 0, do_set),
	CALL(CHARIOT_DOMAIN_INFO, chariot_domain_info, reserved, CALL_IN_OUT, 0,
	     do_info),
	CALL(CHARIOT_GRANT, chariot_grant, len, CALL_IN,
	     CHARIOT_GRANT_REVOKE | CHARIOT_GRANT_CALL, do_grant),
	CALL(CHARIOT_ACT_READ, chariot_act_read, buf, CALL_IN_OUT, 0,
	     do_act_read),
	CALL(CHARIOT_STATS, chariot_stats, asked, CALL_IN_OUT, 0, do_stats),
	CALL(CHARIOT_GIVEN, chariot_given, buf, CALL_IN, 0, do_given),
};

static long handle_ioctl(struct file *file, unsigned int cmd,
			 unsigned long arg)
{
	return run_call(vm_calls, ARRAY_SIZE(vm_calls), file->private_data,
			cmd, (void __user *)arg);
}

static bool handle_next(struct chariot_handle *h, struct chariot_event *ev)
{
	bool got;

	spin_lock(&h->lock);
	got = kfifo_get(&h->fifo, ev);
	spin_unlock(&h->lock);
	return got;
}

static bool handle_ready(struct chariot_handle *h)
{
	bool empty;

	spin_lock(&h->lock);
	empty = kfifo_is_empty(&h->fifo);
	spin_unlock(&h->lock);
	return !empty;
}

static ssize_t handle_read(struct file *file, char __user *buf, size_t len,
			   loff_t *pos)
{
	struct chariot_handle *h = file->private_data;
	struct chariot_event ev;
	size_t done = 0;
	int err;

	if (len < sizeof(ev))
		return -EINVAL;
	while (len - done >= sizeof(ev)) {
		if (handle_next(h, &ev)) {
			if (copy_to_user(buf + done, &ev, sizeof(ev)))
				return done ?: -EFAULT;
			done += sizeof(ev);
			continue;
		}
		if (done)
			break;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(h->readers, handle_ready(h));
		if (err)
			return err;
	}
	return done;
}

static __poll_t handle_poll(struct file *file, poll_table *wait)
{
	struct chariot_handle *h = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &h->readers, wait);
	if (handle_ready(h))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(h->vm->dead))
		mask |= EPOLLHUP;
	return mask;
}

static int handle_release(struct inode *inode, struct file *file)
{
	struct chariot_handle *h = file->private_data;

	chariot_handle_close(h);
	chariot_handle_uninit(h);
	kfree(h);
	return 0;
}

static const struct file_operations handle_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = handle_ioctl,
	.read = handle_read,
	.poll = handle_poll,
	.release = handle_release,
	.llseek = noop_llseek,
};

/* ---- the device ---------------------------------------------------------- */

static long do_dev_info(struct chariot_handle *unused, union args *a)
{
	struct chariot_info *i = &a->info;

	i->api_version = CHARIOT_API_VERSION;
	i->max_domains = CHARIOT_WATCH_VIEW - 1;
	i->nr_vms = chariot_vms_count();
	i->reserved = 0;
	i->caps = CHARIOT_CAP_INLINE;
	if (!*chariot_tdp_enabled)
		i->caps |= CHARIOT_CAP_SHADOW;
	else
		i->caps |= chariot_kvm_is_amd() ? CHARIOT_CAP_NPT :
						  CHARIOT_CAP_EPT;
	return 0;
}

static int handle_open(struct kvm *kvm)
{
	struct chariot_handle *h = kzalloc(sizeof(*h), GFP_KERNEL_ACCOUNT);
	int fd, err;

	if (!h)
		return -ENOMEM;
	err = chariot_handle_init(h);
	if (err)
		goto free;
	err = chariot_vm_attach(kvm, h);
	if (err)
		goto uninit;
	fd = anon_inode_getfd("chariot-vm", &handle_fops, h,
			      O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = fd;
	chariot_handle_close(h);
uninit:
	chariot_handle_uninit(h);
free:
	kfree(h);
	return err;
}

/*
 * Is the VM the caller's own, or that of a process that it may look into and change?
 * KVM itself takes a VM's descriptor from nobody but its process.
 */
static bool may_attach(struct kvm *kvm)
{
	struct task_struct *task = NULL;
	bool may;

	if (current->mm == kvm->mm)
		return true;
#ifdef CONFIG_MEMCG
	rcu_read_lock();
	task = rcu_dereference(kvm->mm->owner);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
#endif
	if (!task)
		return capable(CAP_SYS_PTRACE);
	may = kvm_call(ptrace_may_access)(task, PTRACE_MODE_ATTACH_REALCREDS);
	put_task_struct(task);
	return may;
}

static bool is_protected(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	if (kvm_arch_has_private_mem(kvm))
		return true;
	kvm_for_each_vcpu(i, vcpu, kvm)
		if (vcpu->arch.guest_state_protected)
			return true;
	return false;
}

static long do_attach(struct chariot_handle *unused, union args *a)
{
	struct file *file;
	long r = -ENOTTY;

	if (a->attach.reserved)
		return -EINVAL;
	file = fget(a->attach.vm_fd);
	if (!file)
		return -EBADF;
	if (kvm_call(file_is_kvm)(file)) {
		struct kvm *kvm = file->private_data;

		r = !may_attach(kvm) ? -EPERM :
		    is_protected(kvm) ? -EOPNOTSUPP : handle_open(kvm);
		if (r == -EOPNOTSUPP)
			pr_notice_ratelimited("VM of pid %d: the state of its vCPUs or its memory is hidden from the host (SEV-ES, SNP, TDX, guest_memfd): its drivers cannot be isolated\n",
					      kvm->userspace_pid);
	}
	fput(file);
	return r;
}

static const struct call dev_calls[] = {
	CALL(CHARIOT_INFO, chariot_info, caps, CALL_IN_OUT, 0, do_dev_info),
	CALL(CHARIOT_ATTACH, chariot_attach, reserved, CALL_IN, 0, do_attach),
};

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return run_call(dev_calls, ARRAY_SIZE(dev_calls), NULL, cmd,
			(void __user *)arg);
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "chariot",
	.fops = &dev_fops,
	.mode = 0660,
};

int chariot_dev_init(void)
{
	return misc_register(&dev);
}

void chariot_dev_uninit(void)
{
	misc_deregister(&dev);
}
