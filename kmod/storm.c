// SPDX-License-Identifier: GPL-2.0
#include "storm.h"
#include "recover.h"

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
	u64 gs = chariot_x86_ops->get_segment_base(vcpu, VCPU_SREG_GS);

	return dom->kernel.irq_regs &&
	       !chariot_guest_read_va(vcpu->kvm, dom->cr,
				      gs + dom->kernel.irq_regs, &where[4], 8) &&
	       !chariot_guest_read_va(vcpu->kvm, dom->cr,
				      where[4] + PT_REGS_IP, where, 4 * 8);
}

/*
 * It is called again at once: there is less time between the calls than in them,
 * and the vCPU does not halt.  That alone a busy device may do; so where the guest
 * is tells.
 */
static bool at_once(const struct chariot_storm *s, struct kvm_vcpu *vcpu,
		    const struct chariot_entry *e)
{
	return s->gate == e->gate && s->between <= s->within &&
	       s->halts == vcpu->stat.halt_exits;
}

bool chariot_storm_enter(struct chariot_domain *dom, struct chariot_vcpu *vs,
			 const struct chariot_entry *e)
{
	struct chariot_storm *s = &vs->storm;
	u64 now, where[5] = {};

	if (!is_handler(dom, e)) {
		/* What the handler leads to is part of it. */
		if (!s->runs)
			s->gate = NULL;
		return false;
	}
	now = ktime_get_ns();
	s->between += now - s->since;
	if (!at_once(s, vs->vcpu, e) ||
	    !read_where(dom, vs->vcpu, where) ||
	    memcmp(where, s->where, sizeof(where))) {
		s->calls = 0;
		s->between = s->within = 0;
		memcpy(s->where, where, sizeof(where));
	}
	s->gate = e->gate;
	s->runs = true;
	s->since = now;
	s->halts = vs->vcpu->stat.halt_exits;
	if (++s->calls < MAX_CALLS)
		return false;
	s->gate = NULL;
	return true;
}

void chariot_storm_leave(struct chariot_vcpu *vs, const struct chariot_entry *e)
{
	struct chariot_storm *s = &vs->storm;
	u64 now;

	if (!e->gate || e->gate != s->gate)
		return;
	now = ktime_get_ns();
	s->within += now - s->since;
	s->since = now;
	s->runs = false;
}
