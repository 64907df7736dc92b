/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Violations: tell, and decide what to do about it.
 */
#ifndef CHARIOT_VIOLATION_H
#define CHARIOT_VIOLATION_H

#include "domain.h"

struct chariot_violation {
	u32 why;		/* CHARIOT_WHY_* */
	u32 len;		/* 0: not known */
	u64 gva;		/* 0: not known */
	u64 gpa;		/* ~0: not known */
	const void *bytes;	/* NULL: not known */
	u32 origin;		/* 0: not known */
	bool no_pause;		/* skip it instead */
	bool no_report;		/* the same */
};

/*
 * Send the event; returns the CHARIOT_VERDICT_* to carry out.  With PAUSE the
 * vCPU has to chariot_wait().  Under vm->lock.
 */
u32 chariot_violation(struct chariot_domain *dom, struct chariot_vcpu *vs,
		      struct kvm_vcpu *vcpu, const struct chariot_violation *v);
/* The event's part that tells what happened. */
void chariot_violation_fill(struct chariot_event *ev, struct chariot_domain *dom,
			    struct chariot_vcpu *vs, struct kvm_vcpu *vcpu,
			    const struct chariot_violation *v);
/* Tell that a page was opened since KVM cannot emulate the instruction. */
void chariot_unemulated(struct chariot_domain *dom, struct chariot_vcpu *vs,
			struct kvm_vcpu *vcpu, u64 gpa);

#endif
