// SPDX-License-Identifier: GPL-2.0
/* Interrupts that their handler does not end.  Called by cross. */
#include "storm.h"
#include "recover.h"
#include "stack.h"

#include <linux/preempt.h>

/* Linux itself gives an interrupt up that nobody wants after 100,000. */
#define MAX_CALLS	4000

/* struct pt_regs, as entry_64.S builds it in every x86-64 kernel. */
#define PT_REGS_IP	(16 * 8)

static bool is_handler(const struct chariot_domain *dom,
		       const struct chariot_entry *e)
{
	const struct chariot_stand_in *s = chariot_stand_in_of(dom, e->gate);

	return s && s->flags & CHARIOT_STAND_IN_IRQ && e->caller.known &&
	       e->caller.preempt_count & HARDIRQ_MASK;
}

/* What is interrupted: ip cs flags sp, and where the kernel has saved them. */
static bool read_where(const struct chariot_domain *dom,
		       struct kvm_vcpu *vcpu, u64 where[5])
{
	return chariot_percpu_read(dom, vcpu, dom->kernel.irq_regs, &where[4],
				   8) &&
	       !chariot_guest_read_va(vcpu->kvm, dom->cr,
				      where[4] + PT_REGS_IP, where, 4 * 8);
}

/*
 * Nothing but the handler since it was called last: no other function of the driver,
 * and the vCPU has not halted.  Where it never does, that does not tell.
 */
static bool is_next(const struct chariot_storm *s, struct kvm_vcpu *vcpu,
		    const struct chariot_entry *e)
{
	return s->gate == e->gate && s->halts &&
	       s->halts == vcpu->stat.halt_exits;
}

/*
 * A busy device may have its handler called like that, too; but then the guest comes
 * to the next instruction.  In user space there may be a loop of one.
 */
bool chariot_storm_enter(struct chariot_domain *dom, struct chariot_vcpu *vs,
			 const struct chariot_entry *e)
{
	struct chariot_storm *s = &vs->storm;
	u64 where[5] = {};

	if (!is_handler(dom, e)) {
		/* What the handler leads to is part of it. */
		if (!s->runs)
			s->gate = NULL;
		return false;
	}
	if (!is_next(s, vs->vcpu, e) || !read_where(dom, vs->vcpu, where) ||
	    where[1] & SEGMENT_RPL_MASK || memcmp(where, s->where, sizeof(where))) {
		s->calls = 0;
		memcpy(s->where, where, sizeof(where));
	}
	s->gate = e->gate;
	s->runs = true;
	s->halts = vs->vcpu->stat.halt_exits;
	if (++s->calls < MAX_CALLS)
		return false;
	s->gate = NULL;
	return true;
}

void chariot_storm_leave(struct chariot_vcpu *vs, const struct chariot_entry *e)
{
	if (e->gate && e->gate == vs->storm.gate)
		vs->storm.runs = false;
}
