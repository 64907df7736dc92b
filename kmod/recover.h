/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Recovery of a driver that has failed: its functions return at once, the
 * guest's own functions put right what they left (call.h), and start it anew.
 */
#ifndef CHARIOT_RECOVER_H
#define CHARIOT_RECOVER_H

#include "domain.h"

static inline bool chariot_recovers(const struct chariot_domain *dom)
{
	return dom->verdict == CHARIOT_VERDICT_RECOVER;
}

/* What is done in place of the function that the kernel calls at @gate, or NULL. */
static inline const struct chariot_stand_in *
chariot_stand_in_of(const struct chariot_domain *dom,
		    const struct chariot_gate *gate)
{
	u32 nr = gate ? CHARIOT_GATE_STAND_IN_OF(gate->flags) : 0;
	const struct chariot_part *p = nr ? chariot_part_with(dom, gate) : NULL;

	return p && nr <= p->nr_stand_ins ? &p->stand_ins[nr - 1] : NULL;
}

/* Copy and check the tables of @p.  -EINVAL, -EFAULT, -ENOMEM, -E2BIG. */
int chariot_recover_create(struct chariot_part *p, const struct chariot_recover *r);
void chariot_recover_free(struct chariot_part *p);
/* @p comes to @dom: arm what is common to all domains.  -EOPNOTSUPP: the others can
 * be recovered, and it cannot. */
int chariot_recover_arm(struct chariot_domain *dom, const struct chariot_part *p);

/* The driver is entered: what its caller will want to have back. */
void chariot_recover_enter(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e);
/* May @e, which the kernel calls or which waits, run? */
bool chariot_recover_runs(const struct chariot_domain *dom,
			  const struct chariot_entry *e);
/* The driver has failed. */
void chariot_recover_fail(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu, u32 why, u64 rip);
/*
 * Go back to the caller of @e as if it had failed; @ran: its code has begun to.
 * -errno: our own failure.
 */
int chariot_recover_return(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e, bool ran);
/* The same for what the kernel oopses about. */
int chariot_recover_oopsed(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			   struct chariot_entry *e);
/* The exit function @e begins, or CHARIOT_GATE_REMOVE, which may run.  1: it will
 * be entered again; or -errno. */
int chariot_recover_exit(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			 struct chariot_entry *e);
/* @e has returned, and something is called before it may.  False: it may. */
bool chariot_recover_returned(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			      const struct chariot_entry *e);
/* The init of the driver that the domain has its name from has returned. */
void chariot_recover_loaded(struct chariot_domain *dom);

/* A hypercall: is it the trap's?  Then it is done. */
bool chariot_recover_trapped(struct chariot_vm *vm, struct kvm_vcpu *vcpu);
void chariot_recover_forget(struct chariot_vm *vm);

#endif
