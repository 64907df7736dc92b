// SPDX-License-Identifier: GPL-2.0
/* Violations: told, with the verdict on them.  Called by ask, cross, emulate and inline. */
#include "violation.h"
#include "event.h"
#include "stack.h"
#include "trace.h"

#include <linux/preempt.h>

/* An oops in an interrupt is a panic. */
static bool oops_would_panic(struct chariot_domain *dom, struct kvm_vcpu *vcpu)
{
	u32 count;

	return chariot_preempt_count(dom, vcpu, &count) &&
	       count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK);
}

static void fill_where(struct chariot_event *ev, struct chariot_domain *dom,
		       struct chariot_vcpu *vs, struct kvm_vcpu *vcpu)
{
	u64 slot;

	ev->vcpu = vcpu->vcpu_idx;
	ev->domain = dom->nr;
	ev->u.violation.rip = chariot_vcpu_rip(vs);
	ev->u.violation.rsp = chariot_vcpu_rsp(vs);
	ev->u.violation.cr3 = chariot_vcpu_cr(vcpu).cr3;
	if (vs->entry)
		ev->u.violation.entry = vs->entry->rip;
	if (!chariot_domain_text(dom, ev->u.violation.rip))
		ev->u.violation.caller =
			chariot_find_caller(dom, vs->entry,
					    ev->u.violation.rsp, &slot);
}

void chariot_violation_fill(struct chariot_event *ev, struct chariot_domain *dom,
			    struct chariot_vcpu *vs, struct kvm_vcpu *vcpu,
			    const struct chariot_violation *v)
{
	fill_where(ev, dom, vs, vcpu);
	ev->u.violation.why = v->why;
	ev->u.violation.len = v->len;
	ev->u.violation.gva = v->gva;
	ev->u.violation.gpa = v->gpa;
	ev->u.violation.origin = v->origin;
	if (v->bytes)
		memcpy(ev->u.violation.bytes, v->bytes,
		       min_t(u32, v->len, sizeof(ev->u.violation.bytes)));
	if (v->gva)
		chariot_domain_near(dom, v->gva, ev->u.violation.near);
}

static void count(struct chariot_stats *st, u32 why)
{
	st->violations++;
	if (why != CHARIOT_WHY_WRITE && why != CHARIOT_WHY_FREE)
		st->bad_control_flow++;
	switch (why) {
#define COUNT(WHY, name)					\
	case CHARIOT_WHY_##WHY:					\
		st->violations_##name++;			\
		break;
	COUNT(WRITE, write)
	COUNT(FETCH, fetch)
	COUNT(ENTRY, entry)
	COUNT(UNBALANCED, unbalanced)
	COUNT(LOOP, loop)
	COUNT(PANIC, panic)
	COUNT(ATOMIC, atomic)
	COUNT(FREE, free)
#undef COUNT
	}
}

u32 chariot_violation(struct chariot_domain *dom, struct chariot_vcpu *vs,
		      struct kvm_vcpu *vcpu, const struct chariot_violation *v)
{
	struct chariot_event ev = { .type = CHARIOT_EV_VIOLATION };
	u32 verdict = dom->verdict;

	lockdep_assert_held(&dom->vm->lock);
	if ((verdict == CHARIOT_VERDICT_PAUSE && v->no_pause) ||
	    (verdict == CHARIOT_VERDICT_REPORT && v->no_report))
		verdict = CHARIOT_VERDICT_SKIP;
	/* Nothing to go back to, or it cleans up, and can go on doing so. */
	if (verdict == CHARIOT_VERDICT_RECOVER &&
	    (v->no_pause || !vs->entry ||
	     (chariot_stops(dom) && v->why == CHARIOT_WHY_WRITE) ||
	     !vs->entry->caller.known))
		verdict = CHARIOT_VERDICT_SKIP;
	if (verdict == CHARIOT_VERDICT_OOPS && oops_would_panic(dom, vcpu))
		verdict = CHARIOT_VERDICT_SKIP;
	count(&dom->stats, v->why);
	chariot_violation_fill(&ev, dom, vs, vcpu, v);
	ev.verdict = verdict;
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

	fill_where(&ev, dom, vs, vcpu);
	ev.u.violation.gpa = gpa;
	dom->stats.unemulated_grants++;
	chariot_event_send(dom->vm, &ev, NULL);
}
