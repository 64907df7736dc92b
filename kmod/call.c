// SPDX-License-Identifier: GPL-2.0
/* Calls of the guest's functions, by us.  Called by cross, life and recover. */
#include "call.h"
#include "recover.h"
#include "stack.h"

#include <linux/slab.h>

#define MAX_PENDING	512	/* a guest may never return from them */

/* ---- what the caller wants to have back ---------------------------------- */

static const int callee_saved[6] = {
	VCPU_REGS_RBX, VCPU_REGS_RBP, VCPU_REGS_R12, VCPU_REGS_R13,
	VCPU_REGS_R14, VCPU_REGS_R15,
};

void chariot_caller_save(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			struct chariot_caller *c)
{
	int i;

	for (i = 0; i < 6; i++)
		c->regs[i] = chariot_reg_read(vcpu, callee_saved[i]);
	c->rflags = kvm_call(kvm_get_rflags)(vcpu);
	c->known = true;
	if (!chariot_preempt_count(dom, vcpu, &c->preempt_count))
		c->preempt_count = 0;
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

bool chariot_atomic(struct chariot_domain *dom, struct kvm_vcpu *vcpu)
{
	u32 now;

	return chariot_preempt_count(dom, vcpu, &now) &&
	       now & ~PREEMPT_NEED_RESCHED;
}

bool chariot_caller_balanced(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			      const struct chariot_entry *e)
{
	u32 now;

	if (!chariot_recovers(dom) || !e->caller.known ||
	    !e->gate || !(e->gate->flags & CHARIOT_GATE_BALANCED) ||
	    (chariot_stops(dom) && !(e->gate->flags & CHARIOT_GATE_REQUEST)) ||
	    !chariot_preempt_count(dom, vcpu, &now))
		return true;
	return !((now ^ e->caller.preempt_count) & ~PREEMPT_NEED_RESCHED);
}

/* ---- calls --------------------------------------------------------------- */

struct chariot_calls *chariot_calls_alloc(struct chariot_domain *dom,
					  struct kvm_vcpu *vcpu,
					  const struct chariot_entry *e)
{
	struct chariot_calls *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return NULL;
	c->slot = e->slot;
	c->cr = dom->cr;
	c->preempt_gva = dom->kernel.preempt_count ?
			 chariot_percpu(vcpu, dom->kernel.preempt_count) : 0;
	c->caller = e->caller;
	memcpy(c->args, e->args, sizeof(c->args));
	c->rip = e->ret;
	c->rsp = e->slot + 8;
	return c;
}

void chariot_calls_push(struct chariot_calls *c, const struct chariot_call *call)
{
	if (call->fn && c->nr < CHARIOT_MAX_CALLS)
		c->list[c->nr++] = *call;
}

void chariot_calls_add(struct chariot_calls *c, u64 fn, u64 arg)
{
	chariot_calls_push(c, &(struct chariot_call){ fn, { arg } });
}

static void finish(struct kvm_vcpu *vcpu, struct chariot_calls *c)
{
	int i;

	restore_preempt_count(vcpu, c);
	for (i = 0; i < 6; i++) {
		chariot_reg_write(vcpu, callee_saved[i], c->caller.regs[i]);
		chariot_reg_write(vcpu, chariot_arg_regs[i], c->args[i]);
	}
	chariot_reg_write(vcpu, VCPU_REGS_RAX, c->rax);
	chariot_reg_write(vcpu, CHARIOT_REG_RIP, c->rip);
	chariot_reg_write(vcpu, VCPU_REGS_RSP, c->rsp);
	chariot_rflags_write(vcpu, c->caller.rflags);
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
		chariot_reg_write(vcpu, chariot_arg_regs[i], call->arg[i]);
		chariot_reg_write(vcpu, callee_saved[i], c->caller.regs[i]);
	}
	chariot_reg_write(vcpu, CHARIOT_REG_RIP, call->fn);
	chariot_reg_write(vcpu, VCPU_REGS_RSP, c->slot - 8);
	chariot_rflags_write(vcpu, rflags);
	/* The last one again and again. */
	if (!c->hold || c->next + 1 < c->nr)
		c->next++;
	return 0;
}

int chariot_calls_run(struct chariot_vm *vm, struct kvm_vcpu *vcpu,
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
		if (c->drop) {
			vm->drop = c->drop;
			vm->drop_at = c->drop_at;
		}
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

bool chariot_calls_returned(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	u64 rsp = chariot_reg_read(vcpu, VCPU_REGS_RSP);
	struct chariot_calls *c;

	list_for_each_entry(c, &vm->calls, node) {
		if (c->slot != rsp)
			continue;
		list_del(&c->node);
		/* A stack that is not mapped any more: the "ret" will tell. */
		return !chariot_calls_run(vm, vcpu, c);
	}
	return false;
}

void chariot_calls_dropped(struct chariot_domain *dom)
{
	struct chariot_calls *c;

	list_for_each_entry(c, &dom->vm->calls, node)
		if (c->drop == dom->nr)
			c->drop = 0;
}

void chariot_calls_forget(struct chariot_vm *vm)
{
	struct chariot_calls *c, *tmp;

	list_for_each_entry_safe(c, tmp, &vm->calls, node)
		kfree(c);
	INIT_LIST_HEAD(&vm->calls);
}
