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

/* Kind of the first range with @gva, CHARIOT_NR_RANGE_KINDS if none. */
u32 chariot_domain_range(const struct chariot_domain *dom, u64 gva);
bool chariot_domain_text(const struct chariot_domain *dom, u64 gva);
const struct chariot_gate *
chariot_gate_find(const struct chariot_gate *table, u32 nr, u64 gva);
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
int chariot_domain_revoke(struct chariot_domain *dom, u64 gva);
/* The driver has freed what starts there; @for_good: nothing else has it. */
int chariot_domain_freed(struct chariot_domain *dom, u64 gva, bool for_good);
void chariot_domain_near(struct chariot_domain *dom, u64 gva,
			 struct chariot_object near[2]);
void chariot_stats_add(struct chariot_stats *to,
		       const struct chariot_stats *from);
/* Count its memory anew in that of the VM. */
void chariot_domain_account(struct chariot_domain *dom);

#endif
