/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that are open in a driver's view though they are not in its ACT.
 *
 * AMD's nested page walk takes every access to a guest page table for a write,
 * so the tables that the driver's code is reached through must be writable in
 * its view, and a wild write of the driver to one of them is not seen.  They
 * are closed as soon as they may be something else:
 *
 *   kernel	a table of the kernel's half: stays
 *   root	the top table of a process: while a vCPU runs the driver on it
 *   user	a table of a process's half: until the driver is left
 *
 * Others save exits, or have the CPU write:
 *
 *   call	a page of an object granted for a call: until the driver is left
 *   frame	where the CPU saves what an interrupt returns to: likewise
 *   stack	CHARIOT_MODE_FAST: while it is mapped there
 */
#ifndef CHARIOT_OPEN_H
#define CHARIOT_OPEN_H

#include "vm.h"

bool chariot_open_has(struct chariot_domain *dom, u64 gfn);
/* For a page walk of @vs. */
int chariot_open_table(struct chariot_domain *dom, struct chariot_vcpu *vs,
		       u64 gfn);
/* Until the driver is left, such as for the frame of an interrupt. */
int chariot_open_until_left(struct chariot_domain *dom, u64 gfn);
/* The page that @gva is on lies wholly in what is granted for this call. */
int chariot_open_call(struct chariot_domain *dom, u64 gva);
/* The page of a stack that @gva is on. */
int chariot_open_stack(struct chariot_domain *dom, u64 gva, u64 gfn);
/* For good: KVM cannot emulate what writes there. */
int chariot_open_page(struct chariot_domain *dom, u64 gfn);
/* @vs comes into the driver's view, with its top table at @cr3; leaves it. */
void chariot_open_enter(struct chariot_domain *dom, struct chariot_vcpu *vs,
			u64 cr3);
void chariot_open_leave(struct chariot_domain *dom);

#endif
