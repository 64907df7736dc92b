/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A place in the driver's text where a "ret" is executed.
 *
 * What we have the guest return to, so that we see it (a tail call, a parked
 * interrupt), is such a place: the kernel view traps it, and if nobody is attached
 * any more the guest goes on by itself.
 */
#ifndef CHARIOT_RET_H
#define CHARIOT_RET_H

#include "domain.h"

/* In the ranges of that kind; 0: there is none. */
u64 chariot_ret_find(struct chariot_domain *dom, u32 kind);
/* For what is on the stack of @e.  The init function's text goes when it returns, so
 * nobody else may return there. */
static inline u64 chariot_ret_of(const struct chariot_domain *dom,
				 const struct chariot_entry *e)
{
	if (!dom->ret && e->gate && e->gate->flags & CHARIOT_GATE_INIT)
		return dom->init_ret;
	return dom->ret;
}

#endif
