// SPDX-License-Identifier: GPL-2.0
#include "violation.h"
#include "event.h"
#include "trace.h"

#include <linux/slab.h>

/* preempt_count(): hardirq, softirq and NMI.  An oops there is a panic. */
#define INTERRUPT_MASK	0x00ffff00

static bool oops_would_panic(struct chariot_domain *dom, struct kvm_vcpu *vcpu)
{
	u64 gs = chariot_x86_ops->get_segment_base(vcpu, VCPU_SREG_GS);
	u32 count;

	if (!dom->kernel.preempt_count)
		return false;
	if (chariot_guest_read_va(dom->vm->kvm, dom->cr,
				  gs + dom->kernel.preempt_count, &count,
				  sizeof(count)))
		return false;
	return count & INTERRUPT_MASK;
}

#define MAX_WORDS	512	/* of stack that is searched */

u64 chariot_find_caller(struct chariot_domain *dom,
			const struct chariot_entry *e, u64 rsp, u64 *slot)
{
	u64 words[32], end = rsp + MAX_WORDS * 8;
	int i, n;

	if (e)
		end = min(end, e->slot);
	for (; rsp < end; rsp += n * 8) {
		n = min_t(u64, ARRAY_SIZE(words), (end - rsp) / 8);
		if (!n || chariot_guest_read_va(dom->vm->kvm, dom->cr, rsp,
						words, n * 8))
			return 0;
		for (i = 0; i < n; i++) {
			if (!chariot_domain_text(dom, words[i]))
				continue;
			*slot = rsp + i * 8;
			return words[i];
		}
	}
	return 0;
}

static void fill(struct chariot_event *ev, struct chariot_domain *dom,
		 struct chariot_vcpu *vs, struct kvm_vcpu *vcpu)
{
	u64 slot;

	ev->vcpu = vcpu->vcpu_idx;
	ev->domain = dom->nr;
	ev->u.violation.rip = kvm_call(kvm_get_linear_rip)(vcpu);
	ev->u.violation.rsp = chariot_reg_read(vcpu, VCPU_REGS_RSP);
	ev->u.violation.cr3 = chariot_vcpu_cr(vcpu).cr3;
	if (vs->entry)
		ev->u.violation.entry = vs->entry->rip;
	if (!chariot_domain_text(dom, ev->u.violation.rip))
		ev->u.violation.caller =
			chariot_find_caller(dom, vs->entry,
					    ev->u.violation.rsp, &slot);
}

u32 chariot_violation(struct chariot_domain *dom, struct chariot_vcpu *vs,
		      struct kvm_vcpu *vcpu, const struct chariot_violation *v)
{
	struct chariot_event ev = { .type = CHARIOT_EV_VIOLATION };
	u32 verdict = dom->verdict;

	lockdep_assert_held(&dom->vm->lock);
	if (verdict == CHARIOT_VERDICT_PAUSE && v->no_pause)
		verdict = CHARIOT_VERDICT_SKIP;
	/* Nothing to go back to, or it cleans up, and can go on doing so. */
	if (verdict == CHARIOT_VERDICT_RECOVER &&
	    (v->no_pause || !vs->entry ||
	     (dom->stopping && v->why == CHARIOT_WHY_WRITE) ||
	     !vs->entry->caller.known))
		verdict = CHARIOT_VERDICT_SKIP;
	if (verdict == CHARIOT_VERDICT_OOPS && oops_would_panic(dom, vcpu))
		verdict = CHARIOT_VERDICT_SKIP;
	dom->stats.violations++;
	if (v->why != CHARIOT_WHY_WRITE)
		dom->stats.bad_control_flow++;
	fill(&ev, dom, vs, vcpu);
	ev.verdict = verdict;
	ev.u.violation.why = v->why;
	ev.u.violation.len = v->len;
	ev.u.violation.gva = v->gva;
	ev.u.violation.gpa = v->gpa;
	if (v->bytes)
		memcpy(ev.u.violation.bytes, v->bytes,
		       min_t(u32, v->len, sizeof(ev.u.violation.bytes)));
	if (v->gva)
		chariot_domain_near(dom, v->gva, ev.u.violation.near);
	trace_chariot_violation(dom->nr, ev.u.violation.rip, v->gva, v->len,
				v->why, verdict);
	if (verdict == CHARIOT_VERDICT_PAUSE)
		chariot_wait_begin(dom->vm, vs, &ev);
	else
		chariot_event_send(dom->vm, &ev, NULL);
	return verdict;
}

void chariot_unemulated(struct chariot_domain *dom, struct chariot_vcpu *vs,
			struct kvm_vcpu *vcpu, u64 gpa)
{
	struct chariot_event ev = { .type = CHARIOT_EV_UNEMULATED };

	fill(&ev, dom, vs, vcpu);
	ev.u.violation.gpa = gpa;
	dom->stats.unemulated_grants++;
	chariot_event_send(dom->vm, &ev, NULL);
}
