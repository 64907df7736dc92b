/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Gate actions: what a call between driver and kernel does to the ACT.  To add
 * one, see Documentation/gates.rst.
 */
#ifndef CHARIOT_GATE_H
#define CHARIOT_GATE_H

#include "op.h"

/* Where a CHECK refused, or a REVOKE. */
struct chariot_refusal {
	u32 why;		/* CHARIOT_WHY_WRITE or _FREE */
	u64 gva, len;
	u64 result;		/* what the function returns if it is not run */
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

#endif
