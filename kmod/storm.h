/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An interrupt that its handler does not end: the handler is called again and
 * again, and what it interrupts does not come to one more instruction.
 */
#ifndef CHARIOT_STORM_H
#define CHARIOT_STORM_H

#include "vm.h"

/* The kernel calls @e.  True: the guest comes to nothing else any more. */
bool chariot_storm_enter(struct chariot_domain *dom, struct chariot_vcpu *vs,
			 const struct chariot_entry *e);
/* @e returns. */
void chariot_storm_leave(struct chariot_vcpu *vs, const struct chariot_entry *e);

#endif
