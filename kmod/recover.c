// SPDX-License-Identifier: GPL-2.0
/* Recovery of a driver that has failed.  Called by all above it. */
#include "recover.h"
#include "call.h"
#include "check.h"
#include "event.h"
#include "held.h"
#include "cache.h"
#include "point.h"
#include "stack.h"

#include <linux/preempt.h>
#include <linux/slab.h>

/* ---- tables -------------------------------------------------------------- */

static int check_stand_ins(const struct chariot_stand_in *s, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (s[i].fn < CHARIOT_KERNEL_HALF || s[i].arg > 5 ||
		    s[i].flags & ~(CHARIOT_STAND_IN_TEST |
				   CHARIOT_STAND_IN_RAN |
				   CHARIOT_STAND_IN_ONCE |
				   CHARIOT_STAND_IN_IRQ |
				   CHARIOT_STAND_IN_OFF) ||
		    (s[i].undo && s[i].undo < CHARIOT_KERNEL_HALF))
			return -EINVAL;
	return 0;
}

int chariot_recover_create(struct chariot_part *part,
			   const struct chariot_recover *r)
{
	void *p;
	u32 i;

	if (!memchr_inv(r, 0, sizeof(*r)))
		return 0;
	if (r->trap < CHARIOT_KERNEL_HALF || (r->oops && r->oops < CHARIOT_KERNEL_HALF) ||
	    (r->hold && r->hold < CHARIOT_KERNEL_HALF) ||
	    (r->irq_exit && r->irq_exit < CHARIOT_KERNEL_HALF) ||
	    (r->restart.fn && r->restart.fn < CHARIOT_KERNEL_HALF) ||
	    r->flags & ~CHARIOT_RECOVER_COMPLETE)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(r->replace); i++)
		if (r->replace[i].fn && r->replace[i].fn < CHARIOT_KERNEL_HALF)
			return -EINVAL;
	part->recover = *r;
	p = chariot_copy_table(part, r->stand_ins, r->nr_stand_ins,
			       sizeof(*part->stand_ins), CHARIOT_MAX_STAND_INS);
	if (IS_ERR(p))
		return PTR_ERR(p);
	part->stand_ins = p;
	part->nr_stand_ins = r->nr_stand_ins;
	p = chariot_copy_table(part, r->locks, r->nr_locks, sizeof(*part->locks),
			       CHARIOT_MAX_LOCKS);
	if (IS_ERR(p))
		return PTR_ERR(p);
	part->locks = p;
	part->nr_locks = r->nr_locks;
	return check_stand_ins(part->stand_ins, part->nr_stand_ins) ?:
	       chariot_held_check(part->locks, part->nr_locks);
}

void chariot_recover_free(struct chariot_part *p)
{
	kvfree(p->stand_ins);
	kvfree(p->locks);
}

/* A hypercall of this CPU's kind, and a "ret". */
static bool is_trap(struct chariot_vm *vm, struct chariot_cr cr, u64 gva)
{
	static const u8 vmmcall[4] = { 0x0f, 0x01, 0xd9, 0xc3 };
	static const u8 vmcall[4] = { 0x0f, 0x01, 0xc1, 0xc3 };
	u8 insn[4];

	return !chariot_guest_read_va(vm->kvm, cr, gva, insn, sizeof(insn)) &&
	       !memcmp(insn, chariot_kvm_is_amd() ? vmmcall : vmcall,
		       sizeof(insn));
}

/* The trap and the hook are of the kernel, and so the same for all domains. */
int chariot_recover_arm(struct chariot_domain *dom, const struct chariot_part *p)
{
	const struct chariot_recover *r = &p->recover;
	struct chariot_vm *vm = dom->vm;
	bool others = dom->nr_slots > 1;
	u32 flags = r->flags;
	int err;

	if (!r->trap)
		return chariot_recovers(dom) || dom->recover.trap ? -EOPNOTSUPP : 0;
	/* What one of them has taken could not be given back. */
	if (others && !dom->recover.trap)
		return 0;
	if (vm->trap && vm->trap != r->trap)
		return -EBUSY;
	if (!is_trap(vm, dom->cr, r->trap))
		return -ENOEXEC;
	if (r->oops && !vm->oops.gva) {
		err = chariot_point_arm(vm, &vm->oops, dom->cr, r->oops);
		if (err)
			return err;
	}
	vm->trap = r->trap;
	if (others)
		flags &= dom->recover.flags;
	dom->recover = *r;
	dom->recover.flags = flags;
	return 0;
}

/* ---- who is called ------------------------------------------------------- */

static u64 running_task(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			u32 *flags)
{
	u64 task;

	*flags = 0;
	if (!chariot_percpu_read(dom, vcpu, dom->kernel.current_task, &task,
				 sizeof(task)))
		return 0;
	if (chariot_guest_read_va(dom->vm->kvm, dom->cr,
				  task + dom->recover.task_flags, flags,
				  sizeof(*flags)))
		*flags = 0;
	return task;
}

#define IN_INTERRUPT	(NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET)	/* serving one */

static bool in_interrupt_of(const struct chariot_entry *e)
{
	return e->caller.preempt_count & IN_INTERRUPT;
}

static void save_task(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
		      struct chariot_entry *e)
{
	u32 flags;

	/* Of use only then, and it costs. */
	if (!chariot_failed(dom))
		return;
	e->task = running_task(dom, vcpu, &flags);
	e->in_task = !in_interrupt_of(e) && !(flags & dom->recover.kthread);
}

void chariot_recover_enter(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e)
{
	if (!chariot_recovers(dom))
		return;
	/* Mode inline: a record had it. */
	if (!e->caller.known)
		chariot_caller_save(dom, vcpu, &e->caller);
	save_task(dom, vcpu, e);
	e->stopping = chariot_stops(dom);
}

/* ---- failing ------------------------------------------------------------- */

static bool cleans_up(const struct chariot_domain *dom,
		      const struct chariot_entry *e)
{
	return e->in_task && (e->task == dom->exit_tasks[0] ||
			      e->task == dom->exit_tasks[1]);
}

bool chariot_recover_runs(const struct chariot_domain *dom,
			  const struct chariot_entry *e)
{
	/* What init leaves undone when it does not go on is worse. */
	if (!chariot_failed(dom) || !e->caller.known ||
	    (e->gate && e->gate->flags & (CHARIOT_GATE_INIT |
					  CHARIOT_GATE_EXIT)))
		return true;
	if (!chariot_stops(dom) || !e->stopping)
		return false;
	/* Who cleans up, and what that may wait for. */
	if (e->in_task)
		return cleans_up(dom, e);
	return in_interrupt_of(e) ? !dom->deaf : !chariot_broken(dom);
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

void chariot_recover_forget(struct chariot_vm *vm)
{
	chariot_calls_forget(vm);
	chariot_point_disarm(vm, &vm->oops);
	vm->trap = 0;
	memset(vm->down, 0, sizeof(vm->down));
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

/* Does what cleans up wait for it? */
static bool ends_requests(const struct chariot_domain *dom,
			  const struct chariot_entry *e)
{
	const struct chariot_stand_in *s = chariot_stand_in_of(dom, e->gate);

	return s && s->flags & CHARIOT_STAND_IN_OFF;
}

/* The driver fails while it cleans up. */
static void fail_stopping(struct chariot_domain *dom,
			  const struct chariot_entry *e)
{
	if (!e || (e->gate && e->gate->flags & CHARIOT_GATE_REQUEST &&
		   !ends_requests(dom, e)))
		return;
	if (cleans_up(dom, e) || ends_requests(dom, e))
		dom->state = CHARIOT_BROKEN;
	if (chariot_broken(dom) || in_interrupt_of(e))
		dom->deaf = true;
}

void chariot_recover_fail(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu, u32 why, u64 rip)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_FAULT, .vcpu = vcpu->vcpu_idx,
		.domain = dom->nr, .verdict = CHARIOT_VERDICT_RECOVER,
	};

	dom->stats.faults++;
	if (chariot_failed(dom) && !chariot_stops(dom))
		return;
	if (chariot_stops(dom))
		fail_stopping(dom, vs->entry);
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
	const struct chariot_stand_in *s = chariot_stand_in_of(dom, e->gate);
	u32 word;
	u64 arg;

	if (!s)
		return;
	arg = e->args[s->arg];
	if ((ran && !(s->flags & CHARIOT_STAND_IN_RAN)) ||
	    (s->flags & CHARIOT_STAND_IN_OFF && !chariot_held_off(dom)))
		return;
	if (s->flags & CHARIOT_STAND_IN_TEST &&
	    (chariot_guest_read_va(dom->vm->kvm, dom->cr, arg + s->test_off,
				   &word, sizeof(word)) ||
	     !(word & s->test_mask)))
		return;
	if (s->flags & CHARIOT_STAND_IN_ONCE && was_done(dom, s, arg))
		return;
	chariot_calls_push(c, &(struct chariot_call){ s->fn, { arg, s->value } });
}

static bool is_idle(struct chariot_domain *dom, struct kvm_vcpu *vcpu)
{
	u32 flags;

	running_task(dom, vcpu, &flags);
	return dom->recover.irq_exit && flags & dom->recover.idle;
}

static void add_release(struct chariot_calls *c, const struct chariot_held *h)
{
	chariot_calls_push(c, &(struct chariot_call){
		h->lock->release, { h->arg[0], h->arg[1], h->arg[2] } });
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

#define MAX_RELEASES	(CHARIOT_MAX_CALLS - 8)	/* others come behind them */

/*
 * All that has these @flags, of @device if not 0.  What is a device's must be asked
 * for: after it was taken from the driver the kernel has no place for it.
 * False: not all had room.
 */
static bool add_resources(struct chariot_domain *dom, struct chariot_calls *c,
			  u32 flags, u64 device)
{
	u32 i, has;

	if (dom->lost_resource)
		return false;
	for (i = dom->nr_resources; i-- && c->nr < MAX_RELEASES;) {
		has = dom->resources[i].lock->flags;
		if (flags & ~has || (has & ~flags & CHARIOT_LOCK_DEVICE) ||
		    (device && dom->resources[i].arg[0] != device))
			continue;
		add_release(c, &dom->resources[i]);
		chariot_held_take_out(dom->resources, &dom->nr_resources, i);
	}
	return c->nr < MAX_RELEASES;
}

static void tell_held(struct chariot_domain *dom, bool replaced)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_ERROR, .vcpu = ~0U, .domain = dom->nr,
		.u.error.error = -EBUSY,
	};

	snprintf(ev.u.error.text, sizeof(ev.u.error.text),
		 "%s cannot clean up: it stays loaded, and stopped%s", dom->name,
		 replaced ? "; another one is loaded in its place" : "");
	chariot_event_send(dom->vm, &ev, NULL);
}

/* Another one may be loaded: but for what is lost its device is free. */
static bool replace(struct chariot_domain *dom, struct chariot_calls *c)
{
	const struct chariot_recover *r = &dom->recover;
	u32 i;

	if (!memchr_inv(r->replace, 0, sizeof(r->replace)) ||
	    !add_resources(dom, c, CHARIOT_LOCK_RUNS, 0))
		return false;
	for (i = 0; i < ARRAY_SIZE(r->replace); i++)
		chariot_calls_push(c, &r->replace[i]);
	chariot_calls_push(c, &r->restart);
	return r->restart.fn;
}

/*
 * The exit function ends, and has not cleaned up.  If it has @returned it was not at
 * fault itself: nothing else has the names that another one will register.
 */
static void end_exit(struct chariot_domain *dom, struct chariot_calls *c,
		     const struct chariot_entry *e, bool returned)
{
	size_t len = strlen(dom->name);
	u32 nr = c->nr;

	if (dom->recover.flags & CHARIOT_RECOVER_COMPLETE &&
	    add_resources(dom, c, 0, 0)) {
		c->drop = dom->nr;
		c->drop_at = e->gate->gva;
		return;
	}
	c->nr = nr;
	tell_held(dom, returned && replace(dom, c));
	strscpy(dom->name + len, "~held", sizeof(dom->name) - len);
	c->hold = true;
	chariot_calls_add(c, dom->recover.hold, U32_MAX);
	dom->state = CHARIOT_HELD;
}

/* What it returns when the driver has failed. */
static u64 result_of(const struct chariot_domain *dom,
		     const struct chariot_gate *gate)
{
	const struct chariot_part *p = gate ? chariot_part_with(dom, gate) : NULL;

	return p ? p->recover.returns[CHARIOT_GATE_RETURN_OF(gate->flags)] : 0;
}

/* In mode inline nothing is known from now on, and no call of the driver is unseen. */
static void ask_for_all(struct chariot_domain *dom)
{
	struct chariot_part *p;

	for_each_part(p, dom) {
		if (!p->cache)
			continue;
		chariot_cache_ask(dom, p->cache, true);
		chariot_cache_clear(dom, p->cache);
	}
}

static int send_back(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
		   struct chariot_entry *e, bool ran, bool irq_exit)
{
	struct chariot_calls *c;

	if (!ran)
		chariot_caller_save(dom, vcpu, &e->caller);
	c = chariot_calls_alloc(dom, vcpu, e);
	if (!c)
		return -ENOMEM;
	c->rax = result_of(dom, e->gate);
	if (irq_exit)
		chariot_calls_add(c, dom->recover.irq_exit, 0);
	add_locks(c, e);
	/* It cannot clean up; what could still call it must not. */
	if (chariot_broken(dom) && cleans_up(dom, e))
		add_resources(dom, c, CHARIOT_LOCK_RUNS, 0);
	if (chariot_broken(dom) && ends_requests(dom, e))
		add_resources(dom, c, CHARIOT_LOCK_DEVICE, 0);
	if (e->gate && e->gate->flags & CHARIOT_GATE_REMOVE)
		add_resources(dom, c, CHARIOT_LOCK_DEVICE, e->args[0]);
	stand_in(dom, c, e, ran);
	if (ends_requests(dom, e) && chariot_held_off(dom))
		c->rax = 0;
	if (dom->state == CHARIOT_RUNS) {
		chariot_calls_push(c, &dom->recover.restart);
		dom->state = CHARIOT_FAILED;
		ask_for_all(dom);
	}
	if (chariot_broken(dom) && e->gate && e->gate->flags & CHARIOT_GATE_EXIT)
		end_exit(dom, c, e, false);
	return chariot_calls_run(dom->vm, vcpu, c);
}

/*
 * Its caller may try for ever, where no error is known that would end that.  Told
 * when it is 10,000 times, 100,000 times ...
 */
static void count_refused(struct chariot_domain *dom)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_ERROR, .vcpu = ~0U, .domain = dom->nr,
		.u.error.error = -ELOOP,
	};

	if (++dom->stats.refused < dom->tell_refused)
		return;
	dom->tell_refused *= 10;
	snprintf(ev.u.error.text, sizeof(ev.u.error.text),
		 "%s is stopped, and the guest has called it %llu times since it failed first",
		 dom->name, dom->stats.refused);
	chariot_event_send(dom->vm, &ev, NULL);
}

int chariot_recover_return(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e, bool ran)
{
	if (!ran)
		count_refused(dom);
	return send_back(dom, vcpu, e, ran, false);
}

/* ---- the exit function --------------------------------------------------- */

/* What stood in for the driver is undone first: it will want its interrupts. */
static int undo_stand_ins(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			  struct chariot_entry *e)
{
	struct chariot_calls *c;
	u32 i;

	chariot_caller_save(dom, vcpu, &e->caller);
	c = chariot_calls_alloc(dom, vcpu, e);
	if (!c)
		return -ENOMEM;
	c->slot = e->slot - 8;
	c->rip = e->rip;
	c->rsp = e->slot;
	for (i = 0; i < dom->nr_once; i++)
		chariot_calls_add(c, dom->once[i].undo, dom->once[i].arg);
	dom->nr_once = 0;
	return chariot_calls_run(dom->vm, vcpu, c);
}

int chariot_recover_exit(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			 struct chariot_entry *e)
{
	bool all = e->gate->flags & CHARIOT_GATE_EXIT;
	u32 flags;
	u64 task;
	int err;

	if (!chariot_failed(dom))
		return 0;
	task = running_task(dom, vcpu, &flags);
	if (flags & dom->recover.kthread && !all)
		return 0;
	if (dom->state == CHARIOT_FAILED)
		dom->state = CHARIOT_STOPS;
	else if (dom->state == CHARIOT_HELD)
		dom->state = CHARIOT_BROKEN;
	dom->exit_tasks[all] = task;
	if (!dom->nr_once || dom->deaf)
		return 0;
	err = undo_stand_ins(dom, vcpu, e);
	return err ?: 1;
}

bool chariot_recover_returned(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			      const struct chariot_entry *e)
{
	u16 flags = e->gate ? e->gate->flags : 0;
	struct chariot_calls *c;

	if (!chariot_failed(dom) || !(flags & (CHARIOT_GATE_EXIT | CHARIOT_GATE_REMOVE)))
		return false;
	c = chariot_calls_alloc(dom, vcpu, e);
	if (!c)
		return false;
	c->rax = chariot_reg_read(vcpu, VCPU_REGS_RAX);
	/* What a function that did not come to its end has had. */
	if (flags & CHARIOT_GATE_REMOVE)
		add_resources(dom, c, CHARIOT_LOCK_DEVICE, e->args[0]);
	else if (chariot_broken(dom))
		end_exit(dom, c, e, true);
	if (!c->nr) {
		kfree(c);
		return false;
	}
	return !chariot_calls_run(dom->vm, vcpu, c);
}

/* At the oops point: the interrupt, if it is one, has to end. */
int chariot_recover_oopsed(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e)
{
	return send_back(dom, vcpu, e, true, is_idle(dom, vcpu));
}

/* ---- hypercalls ---------------------------------------------------------- */

bool chariot_recover_trapped(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	lockdep_assert_held(&vm->lock);
	return vm->trap && kvm_call(kvm_get_linear_rip)(vcpu) == vm->trap &&
	       !chariot_x86_ops->get_cpl(vcpu) &&
	       chariot_calls_returned(vm, vcpu);
}
