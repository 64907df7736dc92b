/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Domains: what is the driver's, and what it has been granted.  Under vm->lock.
 */
#ifndef CHARIOT_DOMAIN_H
#define CHARIOT_DOMAIN_H

#include "vm.h"

static inline bool chariot_failed(const struct chariot_domain *dom)
{
	return dom->state != CHARIOT_RUNS;
}

/* Does it run to clean up? */
static inline bool chariot_stops(const struct chariot_domain *dom)
{
	return dom->state == CHARIOT_STOPS || dom->state == CHARIOT_BROKEN;
}

/* It cannot. */
static inline bool chariot_broken(const struct chariot_domain *dom)
{
	return dom->state >= CHARIOT_BROKEN;
}

/* From the first one, or with NULL; NULL: there is none more. */
struct chariot_part *chariot_part_next(const struct chariot_domain *dom,
				       const struct chariot_part *p);
#define for_each_part(p, dom)						\
	for (p = chariot_part_next(dom, NULL); p; p = chariot_part_next(dom, p))
/* Whose text @gva is in; whose row of the entry table it is.  NULL: nobody's. */
struct chariot_part *chariot_part_at(const struct chariot_domain *dom, u64 gva);
struct chariot_part *chariot_part_with(const struct chariot_domain *dom,
				       const struct chariot_gate *entry);

/* Kind of a range with @gva, text first, CHARIOT_NR_RANGE_KINDS if none. */
u32 chariot_domain_range(const struct chariot_domain *dom, u64 gva);
static inline bool chariot_domain_text(const struct chariot_domain *dom, u64 gva)
{
	return chariot_part_at(dom, gva);
}
/* The kernel function there, of two rows one that has ops; the driver's function. */
const struct chariot_gate *chariot_gate_of(const struct chariot_domain *dom, u64 gva);
const struct chariot_gate *chariot_entry_of(const struct chariot_domain *dom, u64 gva);
/* Behind it are the others of its run. */
static inline const struct chariot_op *
chariot_op_at(const struct chariot_domain *dom, u32 op)
{
	return dom->parts[op >> CHARIOT_OPS_SHIFT]->ops +
	       (op & (CHARIOT_MAX_OPS - 1));
}
/* Have a fetch at @gva, kernel code, leave the driver's view. */
void chariot_domain_trap(struct chariot_domain *dom, u64 gva);
int chariot_domain_grant(struct chariot_domain *dom, u64 gva, u64 len,
			 u32 source, u64 gate, u64 site);
/* The kernel hands it over (CHARIOT_OP_HAND). */
int chariot_domain_hand(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
			u64 site, bool anywhere);
/* It was found to be the driver's (CHARIOT_SRC_EVIDENCE). */
int chariot_domain_evident(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
			   u64 site);
int chariot_domain_revoke(struct chariot_domain *dom, u64 gva, u64 clock);
/* The driver has freed what starts there; @for_good: nothing else has it. */
int chariot_domain_freed(struct chariot_domain *dom, u64 gva, bool for_good);
void chariot_domain_near(struct chariot_domain *dom, u64 gva,
			 struct chariot_object near[2]);
void chariot_stats_add(struct chariot_stats *to,
		       const struct chariot_stats *from);
/* Count its memory anew in that of the VM. */
void chariot_domain_account(struct chariot_domain *dom);

/* Does [base, base + size) have all of [gva, gva + len)? */
static inline bool chariot_within(u64 base, u64 size, u64 gva, u64 len)
{
	return gva >= base && len <= size && gva - base <= size - len;
}

#endif
