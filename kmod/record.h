/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mode inline: calls of the driver by the kernel, which nobody has seen.  The runtime in
 * the guest records them (struct chariot_inline_record); here they become entries, as
 * those of the other modes are, so that the judge and recovery see no difference.  An
 * entry of which no driver code runs just now *rests* in a frame, as what waits does.
 * All under vm->lock.
 */
#ifndef CHARIOT_RECORD_H
#define CHARIOT_RECORD_H

#include "domain.h"

#include <asm/processor-flags.h>

/* Of RFLAGS as the guest has saved them: what code of the kernel may have set. */
#define CHARIOT_RECORD_FLAGS						\
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF |	\
	 X86_EFLAGS_SF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_OF |	\
	 X86_EFLAGS_AC | X86_EFLAGS_ID)

/* The entry of the driver code that runs on @vs with that stack pointer; it is the
 * caller's then.  Those further up on the stack wait in frames.  NULL: there is none. */
struct chariot_entry *chariot_record_take(struct chariot_domain *dom,
					  struct chariot_vcpu *vs, u64 rsp);
/* Takes @e over, until it is looked for again. */
void chariot_record_rest(struct chariot_domain *dom, struct chariot_entry *e);
/* The same of a call that has no record (SPILL); it is to be put to rest.  NULL: no
 * memory. */
struct chariot_entry *chariot_record_keep(struct chariot_domain *dom,
					  struct chariot_vcpu *vs,
					  const struct chariot_inline_record *r);
/* @e was seen when it began, whether it has a record or not. */
void chariot_record_kept(struct chariot_domain *dom, struct chariot_entry *e);
/* All that is on this stack waits in frames. */
void chariot_record_rest_all(struct chariot_domain *dom, struct chariot_vcpu *vs,
			     u64 rsp);

#endif
