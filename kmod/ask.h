/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions: before something is a violation, who watches the VM with ASK looks for
 * evidence that it is none, in the guest's memory, which is no kernel's business.
 * All under vm->lock.
 */
#ifndef CHARIOT_ASK_H
#define CHARIOT_ASK_H

#include "violation.h"

enum chariot_answer {
	CHARIOT_ASK_NOBODY,	/* is there to be asked */
	CHARIOT_ASK_WAIT,	/* and then do again what you were about to do */
	CHARIOT_ASK_NO,		/* there is none; v->no_report: and there never is */
};
enum chariot_answer chariot_ask(struct chariot_domain *dom,
				struct chariot_vcpu *vs, struct kvm_vcpu *vcpu,
				struct chariot_violation *v);

/* What was given to the functions on the stack of who waits for @seq: rows, or -ENOENT. */
int chariot_ask_given(struct chariot_vm *vm, u64 seq, struct chariot_value *rows,
		      u32 max);
/* Grant for the call that @seq is about: 0, -ENOENT. */
int chariot_ask_lend(struct chariot_domain *dom, u64 seq, u64 gva, u64 len);

/* Something was granted to the domain: that is not what is asked about the next time. */
void chariot_ask_granted(struct chariot_domain *dom);

/* The kernel's function @fn has returned to the driver's function. */
void chariot_ask_returned(struct chariot_domain *dom, struct chariot_entry *e,
			  u64 fn, const u64 args[6], u64 result);
/* As its last act, a function of the kernel that it called has jumped to the driver's @fn. */
void chariot_ask_jumped(struct chariot_domain *dom, struct chariot_entry *e,
			u64 fn, const u64 args[6]);
/* Has [gva, gva + len) been lent for this call?  Then vs->found is all of it. */
bool chariot_ask_lent(struct chariot_vcpu *vs, const struct chariot_entry *e,
		      u64 gva, u64 len);

#endif
