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
u64 chariot_ret_find(struct chariot_domain *dom, const struct chariot_part *p,
		     u32 kind);
/* For what is on the stack of @e: in its own module, which stays while it runs.  The
 * init function's text goes when it returns, so nobody else may return there. */
static inline u64 chariot_ret_of(const struct chariot_domain *dom,
				 const struct chariot_entry *e)
{
	const struct chariot_part *p = chariot_part_at(dom, e->rip);

	if (p && !p->ret && e->gate && e->gate->flags & CHARIOT_GATE_INIT)
		return p->init_ret;
	return p ? p->ret : 0;
}

#endif
