/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The judge: may a driver write there?  Nobody else decides it.  What opens pages
 * (open.h), marks SPTEs (spte.h) or emulates (emulate.h) asks here; what is done
 * about a "no" is the verdict's business (violation.h).
 */
#ifndef CHARIOT_ACCESS_H
#define CHARIOT_ACCESS_H

#include "op.h"

/* What was found for a write. */
enum chariot_may {
	CHARIOT_MAY_NOT,
	CHARIOT_MAY_ACT,
	CHARIOT_MAY_STACK,
	CHARIOT_MAY_ARGUMENT,
	CHARIOT_MAY_DEVICE,	/* no memory */
	CHARIOT_MAY_USER,	/* not the kernel's; the guest has its own checks */
};

/* All of the page? */
bool chariot_may_write_page(struct chariot_domain *dom, u64 gfn);
/* Any of it, in this view of the domain. */
bool chariot_may_execute(struct chariot_domain *dom, unsigned int view, u64 gfn);
/* The byte at @gpa, of which *@gva is the address if it is on the stack, else 0. */
bool chariot_may_write_at(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  u64 gpa, u64 *gva);
/* May the driver code that runs on @vs write [gva, gva + len)?  ARGUMENT: then
 * it is part of vs->found. */
enum chariot_may chariot_may_write(struct chariot_domain *dom,
				   struct chariot_vcpu *vs, u64 gva, u64 len);

#endif
