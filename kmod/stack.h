/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stacks of the guest's threads, and what its kernel keeps of the CPU that runs.
 * Under vm->lock.
 */
#ifndef CHARIOT_STACK_H
#define CHARIOT_STACK_H

#include "domain.h"

/* Address of a per-CPU variable, and its value; offset 0: not known. */
u64 chariot_percpu(struct kvm_vcpu *vcpu, u64 offset);
bool chariot_percpu_read(const struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			 u64 offset, void *buf, size_t len);
static inline bool chariot_preempt_count(const struct chariot_domain *dom,
					 struct kvm_vcpu *vcpu, u32 *count)
{
	return chariot_percpu_read(dom, vcpu, dom->kernel.preempt_count, count,
				   sizeof(*count));
}

/* Of a thread or of interrupts. */
static inline u64 chariot_stack_size(const struct chariot_domain *dom)
{
	return dom->kernel.stack_size ?: 16384;
}
/* Lowest address of the stack of @e. */
u64 chariot_entry_base(struct chariot_domain *dom, struct chariot_entry *e);
/* The gva of @gpa, if it is on the stack of @e, below where that came in; else 0. */
u64 chariot_stack_gva(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gpa);
/* Is [gva, gva + len) on it, below where @e has come in? */
bool chariot_on_stack(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gva, u64 len);
/* Return address into the driver on the stack above @rsp, 0 if none is found;
 * *@slot is where it is. */
u64 chariot_find_caller(struct chariot_domain *dom,
			const struct chariot_entry *e, u64 rsp, u64 *slot);

#endif
