/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Gate actions: what a call between driver and kernel does to the ACT.  To add
 * one, see Documentation/gates.rst.
 */
#ifndef CHARIOT_GATE_H
#define CHARIOT_GATE_H

#include "domain.h"

/* Values that an op can name: six arguments, the return value, THIS, CURRENT. */
struct chariot_values {
	u64 v[9];
};

/* Where a CHECK refused, or a REVOKE with a length. */
struct chariot_refusal {
	u64 gva, len;
	u64 result;		/* what the function returns if it is not run */
};

/* What was found for a write. */
enum chariot_may {
	CHARIOT_MAY_NOT,
	CHARIOT_MAY_ACT,
	CHARIOT_MAY_STACK,
	CHARIOT_MAY_ARGUMENT,
	CHARIOT_MAY_DEVICE,	/* no memory */
};

/* May the driver call the function?  False: an op refuses. */
bool chariot_gate_check(struct chariot_domain *dom, struct chariot_vcpu *vs,
			const struct chariot_gate *gate,
			const struct chariot_values *val,
			struct chariot_refusal *refusal);
/* Run the ops of @gate that are due.  -errno: our own failure. */
int chariot_gate_run(struct chariot_domain *dom,
		     const struct chariot_gate *gate, unsigned int phase,
		     const struct chariot_values *val, u64 site);
/* What a function has returned to @e (CHARIOT_OP_REACH). */
void chariot_gate_returned(struct chariot_domain *dom,
			   const struct chariot_gate *gate,
			   const struct chariot_values *val,
			   struct chariot_entry *e);
/* What the kernel hands over with the call @e of the driver, for good. */
int chariot_gate_hand(struct chariot_domain *dom, struct chariot_entry *e,
		      const struct chariot_values *val);
/* May the driver code that runs on @vs write [gva, gva + len)?  ARGUMENT: then
 * it is part of vs->found. */
enum chariot_may chariot_may_write(struct chariot_domain *dom,
				   struct chariot_vcpu *vs, u64 gva, u64 len);
/* Does [base, base + size) have all of [gva, gva + len)? */
static inline bool chariot_within(u64 base, u64 size, u64 gva, u64 len)
{
	return gva >= base && len <= size && gva - base <= size - len;
}
/* Of a thread or of interrupts. */
static inline u64 chariot_stack_size(const struct chariot_domain *dom)
{
	return dom->kernel.stack_size ?: 16384;
}
/* The gva of @gpa, if it is on the stack that the driver runs on; else 0. */
u64 chariot_stack_gva(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gpa);
/* Is [gva, gva + len) on it, below where @e has come in? */
bool chariot_on_stack(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gva, u64 len);
/* Lowest address of the stack of @e. */
u64 chariot_entry_base(struct chariot_domain *dom, struct chariot_entry *e);

#endif
