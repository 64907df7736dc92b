// SPDX-License-Identifier: GPL-2.0
#include "recover.h"
#include "event.h"
#include "frame.h"
#include "gate.h"
#include "trace.h"
#include "watch.h"

#include <linux/bsearch.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define KERNEL_HALF	0xffff800000000000ULL
#define MAX_STAND_INS	15
#define MAX_CALLS	64
#define MAX_PENDING	512	/* a guest may never return from them */

/* Functions of the guest that are called one after the other. */
struct chariot_calls {
	struct list_head node;
	u64 slot;		/* rsp at the trap; where the return address is */
	struct chariot_cr cr;
	struct chariot_call list[MAX_CALLS];
	u32 nr, next;
	u32 spinning;		/* so many of the first have interrupts off */
	u64 preempt_gva;	/* 0: not known */
	bool hold;		/* never return */
	u32 drop;		/* this domain, at the end */
	/* then: */
	struct chariot_caller caller;
	u64 rip, rsp, rax;
};

/* ---- tables ------------------------------------------------------------- */

static int lock_cmp(const void *a, const void *b)
{
	u64 x = ((const struct chariot_lock *)a)->gva;
	u64 y = ((const struct chariot_lock *)b)->gva;

	return x < y ? -1 : x > y;
}

static int check_locks(const struct chariot_lock *l, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (l[i].gva < KERNEL_HALF || l[i].arg[0] > CHARIOT_NO_ARG ||
		    l[i].arg[1] > CHARIOT_NO_ARG ||
		    (l[i].release && l[i].release < KERNEL_HALF) ||
		    l[i].when >= CHARIOT_NR_LOCK_WHENS ||
		    l[i].flags & ~(CHARIOT_LOCK_SPINS | CHARIOT_LOCK_RESOURCE |
				   CHARIOT_LOCK_RUNS | CHARIOT_LOCK_PANICS) ||
		    (i && l[i].gva <= l[i - 1].gva))
			return -EINVAL;
	return 0;
}

static int check_stand_ins(const struct chariot_stand_in *s, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (s[i].fn < KERNEL_HALF || s[i].arg > 5 ||
		    s[i].flags & ~(CHARIOT_STAND_IN_TEST |
				   CHARIOT_STAND_IN_RAN |
				   CHARIOT_STAND_IN_ONCE) ||
		    (s[i].undo && s[i].undo < KERNEL_HALF))
			return -EINVAL;
	return 0;
}

static void *copy(u64 ptr, u32 nr, size_t size)
{
	return nr ? memdup_user(u64_to_user_ptr(ptr), nr * size) : NULL;
}

int chariot_recover_create(struct chariot_domain *dom,
			   const struct chariot_recover *r)
{
	void *p;

	if (!memchr_inv(r, 0, sizeof(*r)))
		return chariot_recovers(dom) ? -EOPNOTSUPP : 0;
	if (r->trap < KERNEL_HALF || (r->oops && r->oops < KERNEL_HALF) ||
	    (r->hold && r->hold < KERNEL_HALF) ||
	    (r->irq_exit && r->irq_exit < KERNEL_HALF) ||
	    (r->restart.fn && r->restart.fn < KERNEL_HALF) ||
	    r->flags & ~CHARIOT_RECOVER_COMPLETE)
		return -EINVAL;
	if (r->nr_stand_ins > MAX_STAND_INS || r->nr_locks > CHARIOT_MAX_LOCKS)
		return -E2BIG;
	dom->recover = *r;
	p = copy(r->stand_ins, r->nr_stand_ins, sizeof(*dom->stand_ins));
	if (IS_ERR(p))
		return PTR_ERR(p);
	dom->stand_ins = p;
	dom->nr_stand_ins = r->nr_stand_ins;
	p = copy(r->locks, r->nr_locks, sizeof(*dom->locks));
	if (IS_ERR(p))
		return PTR_ERR(p);
	dom->locks = p;
	dom->nr_locks = r->nr_locks;
	return check_stand_ins(dom->stand_ins, dom->nr_stand_ins) ?:
	       check_locks(dom->locks, dom->nr_locks);
}

void chariot_recover_free(struct chariot_domain *dom)
{
	kfree(dom->stand_ins);
	kfree(dom->locks);
	kfree(dom->resources);
}

/* The trap and the hook are of the kernel, and so the same for all domains. */
int chariot_recover_arm(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	int err;

	if (!dom->recover.trap)
		return 0;
	if (vm->trap && vm->trap != dom->recover.trap)
		return -EBUSY;
	if (!chariot_watch_is_trap(vm, dom->cr, dom->recover.trap))
		return -ENOEXEC;
	if (dom->recover.oops && !vm->oops_gva) {
		err = chariot_watch_plant(vm, dom->cr, dom->recover.oops,
					  &vm->oops_gpa);
		if (err)
			return err;
		vm->oops_gva = dom->recover.oops;
	}
	vm->trap = dom->recover.trap;
	return 0;
}

void chariot_recover_disarm(struct chariot_vm *vm)
{
	if (vm->oops_gva)
		chariot_watch_unplant(vm, vm->oops_gpa);
	vm->oops_gva = 0;
	vm->trap = 0;
}

/* ---- the caller's state --------------------------------------------------- */

static const int callee_saved[6] = {
	VCPU_REGS_RBX, VCPU_REGS_RBP, VCPU_REGS_R12, VCPU_REGS_R13,
	VCPU_REGS_R14, VCPU_REGS_R15,
};

static const int arg_regs[6] = {
	VCPU_REGS_RDI, VCPU_REGS_RSI, VCPU_REGS_RDX, VCPU_REGS_RCX,
	VCPU_REGS_R8, VCPU_REGS_R9,
};

/* Of the CPU that runs: 0 if it is not known. */
static u64 preempt_gva(struct chariot_domain *dom, struct kvm_vcpu *vcpu)
{
	return dom->kernel.preempt_count ?
	       chariot_x86_ops->get_segment_base(vcpu, VCPU_SREG_GS) +
	       dom->kernel.preempt_count : 0;
}

static void save_caller(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			struct chariot_caller *c)
{
	u64 at = preempt_gva(dom, vcpu);
	int i;

	for (i = 0; i < 6; i++)
		c->regs[i] = chariot_reg_read(vcpu, callee_saved[i]);
	c->rflags = kvm_call(kvm_get_rflags)(vcpu);
	c->preempt_count = 0;
	if (at && chariot_guest_read_va(dom->vm->kvm, dom->cr, at,
					&c->preempt_count,
					sizeof(c->preempt_count)))
		c->preempt_count = 0;
}

static u64 running_task(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			u32 *flags)
{
	u64 gs = chariot_x86_ops->get_segment_base(vcpu, VCPU_SREG_GS), task;

	*flags = 0;
	if (!dom->kernel.current_task ||
	    chariot_guest_read_va(dom->vm->kvm, dom->cr,
				  gs + dom->kernel.current_task, &task,
				  sizeof(task)))
		return 0;
	if (chariot_guest_read_va(dom->vm->kvm, dom->cr,
				  task + dom->recover.task_flags, flags,
				  sizeof(*flags)))
		*flags = 0;
	return task;
}

/* preempt_count(): NMI, hardirq, and serving a softirq. */
#define IN_INTERRUPT	0x00ff0100

static void save_task(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
		      struct chariot_entry *e)
{
	u32 flags;

	/* Of use only then, and it costs. */
	if (!dom->failed)
		return;
	e->task = running_task(dom, vcpu, &flags);
	e->in_task = !(e->caller.preempt_count & IN_INTERRUPT) &&
		     !(flags & dom->recover.kthread);
}

void chariot_recover_enter(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e)
{
	if (!chariot_recovers(dom))
		return;
	save_caller(dom, vcpu, &e->caller);
	save_task(dom, vcpu, e);
	e->stopping = dom->stopping;
}

/* The need-resched bit is of the moment. */
static void restore_preempt_count(struct kvm_vcpu *vcpu,
				  struct chariot_calls *c)
{
	u32 now;

	if (!c->preempt_gva ||
	    chariot_guest_read_va(vcpu->kvm, c->cr, c->preempt_gva, &now,
				  sizeof(now)))
		return;
	now = (now & PREEMPT_NEED_RESCHED) |
	      (c->caller.preempt_count & ~PREEMPT_NEED_RESCHED);
	chariot_guest_write_va(vcpu->kvm, c->cr, c->preempt_gva, &now,
			       sizeof(now));
	/* From here on it may be another CPU. */
	c->preempt_gva = 0;
}

bool chariot_recover_balanced(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			      const struct chariot_entry *e)
{
	u64 at = preempt_gva(dom, vcpu);
	u32 now;

	if (!chariot_recovers(dom) || dom->stopping || !at || !e->gate ||
	    !(e->gate->flags & CHARIOT_GATE_BALANCED) ||
	    chariot_guest_read_va(dom->vm->kvm, dom->cr, at, &now, sizeof(now)))
		return true;
	return !((now ^ e->caller.preempt_count) & ~PREEMPT_NEED_RESCHED);
}

/* ---- locks and resources ------------------------------------------------ */

#define MAX_RESOURCES	256

static u64 held_arg(const struct chariot_lock *lock, int i, const u64 args[6],
		    u64 result)
{
	return lock->arg[i] < 6 ? args[lock->arg[i]] :
	       lock->arg[i] == CHARIOT_RET ? result : 0;
}

static struct chariot_held held_of(const struct chariot_lock *lock,
				   const u64 args[6], u64 result)
{
	return (struct chariot_held){
		lock, { held_arg(lock, 0, args, result),
			held_arg(lock, 1, args, result) }
	};
}

/* What @by gives back: of locks not by which of its functions. */
static bool gives(const struct chariot_held *by, const struct chariot_held *h)
{
	if (by->arg[0] != h->arg[0] ||
	    (by->lock->flags ^ h->lock->flags) & CHARIOT_LOCK_SPINS)
		return false;
	return !(by->lock->flags & CHARIOT_LOCK_RESOURCE) ||
	       (by->lock->gva == h->lock->release &&
		(by->lock->arg[1] == CHARIOT_NO_ARG ||
		 by->arg[1] == h->arg[1]));
}

static void take_out(struct chariot_held *list, u32 *nr, u32 i)
{
	--*nr;
	memmove(list + i, list + i + 1, (*nr - i) * sizeof(*list));
}

static void give(struct chariot_held *list, u32 *nr,
		 const struct chariot_held *by)
{
	u32 i;

	for (i = *nr; i--;)
		if (gives(by, &list[i])) {
			take_out(list, nr, i);
			return;
		}
}

/* Timers and work are taken again and again. */
static void take_resource(struct chariot_domain *dom, struct chariot_held h)
{
	struct chariot_held *list = dom->resources;
	u32 i;

	for (i = 0; i < dom->nr_resources; i++)
		if (list[i].lock->release == h.lock->release &&
		    list[i].arg[0] == h.arg[0] && list[i].arg[1] == h.arg[1])
			return;
	if (!list)
		list = dom->resources = kcalloc(MAX_RESOURCES, sizeof(*list),
						GFP_KERNEL_ACCOUNT);
	if (!list || dom->nr_resources == MAX_RESOURCES)
		dom->lost_resource = true;
	else
		list[dom->nr_resources++] = h;
}

const struct chariot_lock *chariot_recover_lock(struct chariot_domain *dom,
						u64 fn)
{
	struct chariot_lock key = { .gva = fn };

	return chariot_recovers(dom) ?
	       bsearch(&key, dom->locks, dom->nr_locks, sizeof(key), lock_cmp) :
	       NULL;
}

void chariot_recover_call(struct chariot_domain *dom, struct chariot_entry *e,
			  const struct chariot_lock *lock, const u64 args[6])
{
	struct chariot_held by;

	if (lock->release)
		return;
	by = held_of(lock, args, 0);
	if (lock->flags & CHARIOT_LOCK_RESOURCE)
		give(dom->resources, &dom->nr_resources, &by);
	else
		give(e->locks, &e->nr_locks, &by);
}

void chariot_recover_called(struct chariot_domain *dom, struct chariot_entry *e,
			    const struct chariot_frame *frame, u64 result)
{
	const struct chariot_lock *lock = frame->lock;

	if (!lock->release || (lock->when == CHARIOT_LOCK_TRUE && !(u32)result) ||
	    (lock->when == CHARIOT_LOCK_ZERO && (u32)result))
		return;
	if (lock->flags & CHARIOT_LOCK_RESOURCE)
		take_resource(dom, held_of(lock, frame->args, result));
	else if (e->nr_locks < ARRAY_SIZE(e->locks))
		e->locks[e->nr_locks++] = held_of(lock, frame->args, result);
}

/* ---- calls of guest functions ----------------------------------------------- */

static struct chariot_calls *calls_alloc(struct chariot_domain *dom,
					 struct kvm_vcpu *vcpu,
					 const struct chariot_entry *e)
{
	struct chariot_calls *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return NULL;
	c->slot = e->slot;
	c->cr = dom->cr;
	c->preempt_gva = preempt_gva(dom, vcpu);
	c->caller = e->caller;
	c->rip = e->ret;
	c->rsp = e->slot + 8;
	return c;
}

static void add_call(struct chariot_calls *c, u64 fn, u64 arg0, u64 arg1)
{
	if (!fn || c->nr == MAX_CALLS)
		return;
	c->list[c->nr++] = (struct chariot_call){ fn, { arg0, arg1 } };
}

static void set_rflags(struct kvm_vcpu *vcpu, u64 rflags)
{
	chariot_x86_ops->set_rflags(vcpu, rflags);
	kvm_make_request(KVM_REQ_EVENT, vcpu);
}

static void finish(struct kvm_vcpu *vcpu, struct chariot_calls *c)
{
	int i;

	restore_preempt_count(vcpu, c);
	for (i = 0; i < 6; i++)
		chariot_reg_write(vcpu, callee_saved[i], c->caller.regs[i]);
	chariot_reg_write(vcpu, VCPU_REGS_RAX, c->rax);
	chariot_reg_write(vcpu, VCPU_REGS_RIP, c->rip);
	chariot_reg_write(vcpu, VCPU_REGS_RSP, c->rsp);
	set_rflags(vcpu, c->caller.rflags);
}

/* Have the guest run the next one.  -EFAULT. */
static int call_next(struct chariot_vm *vm, struct kvm_vcpu *vcpu,
		     struct chariot_calls *c)
{
	const struct chariot_call *call = &c->list[c->next];
	u64 stack[2] = { vm->trap, c->rip };
	u64 rflags = c->caller.rflags;
	int i;

	if (c->next == c->spinning)
		restore_preempt_count(vcpu, c);
	else if (c->next < c->spinning)
		rflags &= ~X86_EFLAGS_IF;
	if (chariot_guest_write_va(vm->kvm, c->cr, c->slot - 8, stack,
				   sizeof(stack)))
		return -EFAULT;
	for (i = 0; i < 6; i++) {
		chariot_reg_write(vcpu, arg_regs[i], call->arg[i]);
		chariot_reg_write(vcpu, callee_saved[i], c->caller.regs[i]);
	}
	chariot_reg_write(vcpu, VCPU_REGS_RIP, call->fn);
	chariot_reg_write(vcpu, VCPU_REGS_RSP, c->slot - 8);
	set_rflags(vcpu, rflags);
	/* The last one again and again. */
	if (!c->hold || c->next + 1 < c->nr)
		c->next++;
	return 0;
}

/* Takes @c over. */
static int run_calls(struct chariot_vm *vm, struct kvm_vcpu *vcpu,
		     struct chariot_calls *c)
{
	struct chariot_calls *old, *tmp;
	u32 nr = 0;
	int err;

	/* Whose stack it was has ended. */
	list_for_each_entry_safe(old, tmp, &vm->calls, node)
		if (old->slot == c->slot) {
			list_del(&old->node);
			kfree(old);
		} else {
			nr++;
		}
	if (c->next == c->nr) {
		finish(vcpu, c);
		if (chariot_domain_of(vm, c->drop))
			chariot_domain_drop(chariot_domain_of(vm, c->drop));
		kfree(c);
		return 0;
	}
	err = call_next(vm, vcpu, c);
	if (err) {
		kfree(c);
		return err;
	}
	list_add(&c->node, &vm->calls);
	if (++nr > MAX_PENDING) {
		old = list_last_entry(&vm->calls, struct chariot_calls, node);
		list_del(&old->node);
		kfree(old);
	}
	return 0;
}

static bool returned(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	u64 rsp = chariot_reg_read(vcpu, VCPU_REGS_RSP);
	struct chariot_calls *c;

	list_for_each_entry(c, &vm->calls, node) {
		if (c->slot != rsp)
			continue;
		list_del(&c->node);
		/* A stack that is not mapped any more: the "ret" will tell. */
		return !run_calls(vm, vcpu, c);
	}
	return false;
}

void chariot_recover_dropped(struct chariot_domain *dom)
{
	struct chariot_calls *c;

	list_for_each_entry(c, &dom->vm->calls, node)
		if (c->drop == dom->nr)
			c->drop = 0;
}

void chariot_recover_forget(struct chariot_vm *vm)
{
	struct chariot_calls *c, *tmp;

	list_for_each_entry_safe(c, tmp, &vm->calls, node)
		kfree(c);
	INIT_LIST_HEAD(&vm->calls);
	memset(vm->down, 0, sizeof(vm->down));
}

/* ---- failing ------------------------------------------------------------------ */

bool chariot_recover_runs(const struct chariot_domain *dom,
			  const struct chariot_entry *e)
{
	/* What init leaves undone when it does not go on is worse. */
	if (!dom->failed ||
	    (e->gate && e->gate->flags & (CHARIOT_GATE_INIT |
					  CHARIOT_GATE_EXIT)))
		return true;
	if (!dom->stopping || !e->stopping)
		return false;
	/* Who cleans up, and what that may wait for. */
	return e->in_task ? e->task == dom->exit_task : !dom->broken;
}

static void note_down(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	int i, at = -1;

	for (i = 0; i < CHARIOT_NR_VIEWS; i++) {
		if (!vm->down[i].since)
			at = i;
		else if (!strcmp(vm->down[i].name, dom->name))
			return;
	}
	if (at < 0)
		return;
	strscpy(vm->down[at].name, dom->name, sizeof(vm->down[at].name));
	vm->down[at].since = ktime_get_ns();
}

void chariot_recover_loaded(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	int i;

	for (i = 0; i < CHARIOT_NR_VIEWS; i++) {
		if (!vm->down[i].since || strcmp(vm->down[i].name, dom->name))
			continue;
		dom->stats.recoveries++;
		dom->stats.down_ms += div_u64(ktime_get_ns() -
					      vm->down[i].since, NSEC_PER_MSEC);
		vm->down[i].since = 0;
		chariot_event_name(dom, CHARIOT_EV_RECOVERED);
	}
}

void chariot_recover_fail(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu, u32 why, u64 rip)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_FAULT, .vcpu = vcpu->vcpu_idx,
		.domain = dom->nr, .verdict = CHARIOT_VERDICT_RECOVER,
	};

	dom->stats.faults++;
	if (dom->failed && !dom->stopping)
		return;
	if (dom->stopping)
		dom->broken = true;
	note_down(dom);
	ev.u.violation.why = why;
	ev.u.violation.rip = rip;
	ev.u.violation.rsp = chariot_reg_read(vcpu, VCPU_REGS_RSP);
	ev.u.violation.gpa = ~0ULL;
	if (vs->entry)
		ev.u.violation.entry = vs->entry->rip;
	chariot_event_send(dom->vm, &ev, NULL);
}

static bool was_done(struct chariot_domain *dom,
		     const struct chariot_stand_in *s, u64 arg)
{
	u32 i;

	for (i = 0; i < dom->nr_once; i++)
		if (dom->once[i].fn == s->fn && dom->once[i].arg == arg)
			return true;
	if (dom->nr_once < ARRAY_SIZE(dom->once)) {
		dom->once[dom->nr_once].fn = s->fn;
		dom->once[dom->nr_once].undo = s->undo;
		dom->once[dom->nr_once++].arg = arg;
	}
	return false;
}

static void stand_in(struct chariot_domain *dom, struct chariot_calls *c,
		     const struct chariot_entry *e, bool ran)
{
	u32 nr = e->gate ? e->gate->flags >> 8 & 15 : 0, word;
	const struct chariot_stand_in *s;
	u64 arg;

	if (!nr || nr > dom->nr_stand_ins)
		return;
	s = &dom->stand_ins[nr - 1];
	arg = e->args[s->arg];
	if (ran && !(s->flags & CHARIOT_STAND_IN_RAN))
		return;
	if (s->flags & CHARIOT_STAND_IN_TEST &&
	    (chariot_guest_read_va(dom->vm->kvm, dom->cr, arg + s->test_off,
				   &word, sizeof(word)) ||
	     !(word & s->test_mask)))
		return;
	if (s->flags & CHARIOT_STAND_IN_ONCE && was_done(dom, s, arg))
		return;
	add_call(c, s->fn, arg, 0);
}

static bool is_idle(struct chariot_domain *dom, struct kvm_vcpu *vcpu)
{
	u32 flags;

	running_task(dom, vcpu, &flags);
	return dom->recover.irq_exit && flags & dom->recover.idle;
}

static void add_release(struct chariot_calls *c, const struct chariot_held *h)
{
	add_call(c, h->lock->release, h->arg[0], h->arg[1]);
}

/* Those that spin first: they are the inner ones. */
static void add_locks(struct chariot_calls *c, const struct chariot_entry *e)
{
	u32 i;

	for (i = e->nr_locks; i--;)
		if (e->locks[i].lock->flags & CHARIOT_LOCK_SPINS)
			add_release(c, &e->locks[i]);
	c->spinning = c->nr;
	for (i = e->nr_locks; i--;)
		if (!(e->locks[i].lock->flags & CHARIOT_LOCK_SPINS))
			add_release(c, &e->locks[i]);
}

/* All that has these @flags.  False: not all had room. */
static bool add_resources(struct chariot_domain *dom, struct chariot_calls *c,
			  u32 flags)
{
	u32 i;

	for (i = dom->nr_resources; i-- && c->nr < MAX_CALLS;) {
		if (flags & ~dom->resources[i].lock->flags)
			continue;
		add_release(c, &dom->resources[i]);
		take_out(dom->resources, &dom->nr_resources, i);
	}
	return c->nr < MAX_CALLS;
}

static void tell_held(struct chariot_domain *dom)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_ERROR, .vcpu = ~0U, .domain = dom->nr,
		.u.error.error = -EBUSY,
	};

	snprintf(ev.u.error.text, sizeof(ev.u.error.text),
		 "%s cannot clean up: it stays loaded, and stopped", dom->name);
	chariot_event_send(dom->vm, &ev, NULL);
}

/* The exit function ends, and has not cleaned up. */
static void end_exit(struct chariot_domain *dom, struct chariot_calls *c)
{
	u32 nr = c->nr;

	if (dom->recover.flags & CHARIOT_RECOVER_COMPLETE &&
	    !dom->lost_resource && add_resources(dom, c, 0)) {
		c->drop = dom->nr;
		return;
	}
	tell_held(dom);
	c->nr = nr;
	c->hold = true;
	add_call(c, dom->recover.hold, U32_MAX, 0);
	dom->stopping = false;
}

static int give_up(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
		   struct chariot_entry *e, bool ran, bool irq_exit)
{
	struct chariot_calls *c;

	if (!ran)
		save_caller(dom, vcpu, &e->caller);
	c = calls_alloc(dom, vcpu, e);
	if (!c)
		return -ENOMEM;
	c->rax = e->gate ? dom->recover.returns[e->gate->flags >> 4 & 7] : 0;
	if (irq_exit)
		add_call(c, dom->recover.irq_exit, 0, 0);
	add_locks(c, e);
	stand_in(dom, c, e, ran);
	/* It cannot clean up; what could still call it must not. */
	if (dom->broken && e->task == dom->exit_task && e->in_task)
		add_resources(dom, c, CHARIOT_LOCK_RUNS);
	if (!dom->failed && c->nr < MAX_CALLS && dom->recover.restart.fn)
		c->list[c->nr++] = dom->recover.restart;
	dom->failed = true;
	if (dom->broken && e->gate && e->gate->flags & CHARIOT_GATE_EXIT)
		end_exit(dom, c);
	return run_calls(dom->vm, vcpu, c);
}

int chariot_recover_return(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e, bool ran)
{
	if (!ran)
		dom->stats.refused++;
	return give_up(dom, vcpu, e, ran, false);
}

/* ---- the exit function ------------------------------------------------------ */

/* What stood in for the driver is undone first: it will want its interrupts. */
static int undo_stand_ins(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			  struct chariot_entry *e)
{
	struct chariot_calls *c;
	u32 i;

	save_caller(dom, vcpu, &e->caller);
	c = calls_alloc(dom, vcpu, e);
	if (!c)
		return -ENOMEM;
	c->slot = e->slot - 8;
	c->rip = e->rip;
	c->rsp = e->slot;
	for (i = 0; i < dom->nr_once; i++)
		add_call(c, dom->once[i].undo, dom->once[i].arg, 0);
	dom->nr_once = 0;
	return run_calls(dom->vm, vcpu, c);
}

int chariot_recover_exit(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			 struct chariot_entry *e)
{
	u32 flags;
	int err;

	if (!dom->failed)
		return 0;
	dom->stopping = true;
	dom->exit_task = running_task(dom, vcpu, &flags);
	if (!dom->nr_once)
		return 0;
	err = undo_stand_ins(dom, vcpu, e);
	return err ?: 1;
}

bool chariot_recover_exited(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			    const struct chariot_entry *e)
{
	struct chariot_calls *c;

	if (!dom->broken)
		return false;
	c = calls_alloc(dom, vcpu, e);
	if (!c)
		return false;
	end_exit(dom, c);
	return !run_calls(dom->vm, vcpu, c);
}

/* ---- hypercalls ------------------------------------------------------------ */

/* Driver code that waits on this stack, the innermost. */
static struct chariot_frame *frame_on(struct chariot_vm *vm, u64 rsp,
				      struct chariot_domain **of)
{
	struct chariot_frame *f, *best = NULL;
	struct chariot_domain *dom;
	u32 nr;
	int i;

	for (nr = 1; nr < CHARIOT_NR_VIEWS; nr++) {
		dom = chariot_domain_of(vm, nr);
		if (!dom || !chariot_recovers(dom))
			continue;
		hash_for_each(dom->frames, i, f, node)
			if (f->rsp > rsp && f->entry &&
			    f->rsp - rsp < chariot_stack_size(dom) &&
			    chariot_entry_base(dom, f->entry) <= rsp &&
			    (!best || f->rsp < best->rsp)) {
				best = f;
				*of = dom;
			}
	}
	return best;
}

/* The guest's kernel is about to die: of the driver, if that waits for it. */
static void on_oops(struct chariot_vm *vm, struct chariot_vcpu *vs,
		    struct kvm_vcpu *vcpu)
{
	u64 rsp = chariot_reg_read(vcpu, VCPU_REGS_RSP);
	struct chariot_domain *dom = NULL;
	struct chariot_frame *f = frame_on(vm, rsp, &dom);
	struct chariot_entry *e;
	u64 rip;

	if (f)
		f = chariot_frame_pop(dom, f->rip, f->rsp);
	if (!f) {
		chariot_reg_write(vcpu, VCPU_REGS_RIP, vm->oops_gva + 5);
		return;
	}
	e = f->entry;
	rip = f->park ?: f->rip;
	kfree(f);
	kfree(vs->entry);
	vs->entry = e;
	chariot_recover_fail(dom, vs, vcpu, CHARIOT_WHY_OOPS, rip);
	vs->entry = NULL;
	if (give_up(dom, vcpu, e, true, is_idle(dom, vcpu)))
		chariot_vm_fail(vm, -EFAULT, "%s: the stack of an entry is not mapped",
				dom->name);
	kfree(e);
}

bool chariot_recover_hypercall(struct chariot_vm *vm, struct chariot_vcpu *vs,
			       struct kvm_vcpu *vcpu)
{
	u64 rip = kvm_call(kvm_get_linear_rip)(vcpu);

	lockdep_assert_held(&vm->lock);
	if (chariot_x86_ops->get_cpl(vcpu))
		return false;
	if (vm->trap && rip == vm->trap)
		return returned(vm, vcpu);
	if (!vm->oops_gva || rip != vm->oops_gva)
		return false;
	on_oops(vm, vs, vcpu);
	return true;
}
