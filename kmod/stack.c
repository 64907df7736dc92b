// SPDX-License-Identifier: GPL-2.0
/*
 * Stacks of the guest's threads, and what its kernel keeps of a CPU.
 * Called by all above it.
 */
#include "stack.h"

/* ---- the CPU that runs --------------------------------------------------- */

u64 chariot_percpu(struct kvm_vcpu *vcpu, u64 offset)
{
	return chariot_x86_ops->get_segment_base(vcpu, VCPU_SREG_GS) + offset;
}

bool chariot_percpu_read(const struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			 u64 offset, void *buf, size_t len)
{
	return offset && !chariot_guest_read_va(vcpu->kvm, dom->cr,
						chariot_percpu(vcpu, offset),
						buf, len);
}

/* ---- stacks -------------------------------------------------------------- */

/*
 * Kernel stacks are mapped with a guard page at either end, so the stack
 * reaches down from @slot as far as pages are mapped.
 */
u64 chariot_entry_base(struct chariot_domain *dom, struct chariot_entry *e)
{
	struct chariot_walk w;
	u64 page = e->slot & PAGE_MASK;
	int i;

	if (e->base)
		return e->base;
	for (i = 1; i < chariot_stack_size(dom) >> PAGE_SHIFT; i++) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, page - PAGE_SIZE,
				       &w))
			break;
		page -= PAGE_SIZE;
	}
	e->base = page;
	return page;
}

u64 chariot_stack_gva(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gpa)
{
	struct chariot_walk w;
	u64 at;

	if (!e)
		return 0;
	for (at = chariot_entry_base(dom, e); at < e->slot; at += PAGE_SIZE)
		if (!chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w) &&
		    w.gpa >> PAGE_SHIFT == gpa >> PAGE_SHIFT)
			return at + offset_in_page(gpa);
	return 0;
}

bool chariot_on_stack(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gva, u64 len)
{
	return e && gva < e->slot && len <= e->slot - gva &&
	       e->slot - gva <= chariot_stack_size(dom) &&
	       gva >= chariot_entry_base(dom, e);
}

#define MAX_WORDS	512	/* of stack that is searched */

u64 chariot_find_caller(struct chariot_domain *dom,
			const struct chariot_entry *e, u64 rsp, u64 *slot)
{
	u64 words[32], end = rsp + MAX_WORDS * 8;
	int i, n;

	if (e)
		end = min(end, e->slot);
	for (; rsp < end; rsp += n * 8) {
		n = min_t(u64, ARRAY_SIZE(words), (end - rsp) / 8);
		if (!n || chariot_guest_read_va(dom->vm->kvm, dom->cr, rsp,
						words, n * 8))
			return 0;
		for (i = 0; i < n; i++) {
			if (!chariot_domain_text(dom, words[i]))
				continue;
			*slot = rsp + i * 8;
			return words[i];
		}
	}
	return 0;
}
