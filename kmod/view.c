// SPDX-License-Identifier: GPL-2.0
#include "view.h"
#include "open.h"

#define GFN_END		(1ULL << (52 - PAGE_SHIFT))
#define BLOCK_SHIFT	(KVM_HPAGE_GFN_SHIFT(PG_LEVEL_2M))

unsigned int chariot_view_get(struct kvm_vcpu *vcpu)
{
	return chariot_role_view(vcpu->arch.mmu->root_role.word);
}

void chariot_view_set(struct kvm_vcpu *vcpu, unsigned int view)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	mmu->root_role.word &= ~CHARIOT_ROLE_MASK;
	mmu->root_role.word |= view << LAYOUT_ROLE_SHIFT;
	kvm_call(kvm_mmu_new_pgd)(vcpu, mmu->root.pgd);
	/* One ASID (or VPID, with shadow paging) covers the roots of all views;
	 * EPT tags by root and does not need it, but then it is cheap. */
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

void chariot_view_split(struct chariot_vm *vm, gfn_t gfn)
{
	struct kvm *kvm = vm->kvm;
	unsigned long block = gfn >> BLOCK_SHIFT;
	struct kvm_memory_slot *slot;
	int idx;

	lockdep_assert_held(&vm->lock);
	if (xa_load(&vm->blocks, block))
		return;
	if (xa_err(xa_store(&vm->blocks, block, xa_mk_value(1),
			    GFP_KERNEL_ACCOUNT)))
		return;		/* tried again with the next page of it */
	idx = srcu_read_lock(&kvm->srcu);
	slot = kvm_call(gfn_to_memslot)(kvm, gfn);
	if (slot) {
		write_lock(&kvm->mmu_lock);
		kvm_call(kvm_mmu_gfn_disallow_lpage)(slot, gfn);
		write_unlock(&kvm->mmu_lock);
		kvm_call(kvm_zap_gfn_range)(kvm, block << BLOCK_SHIFT,
					    (block + 1) << BLOCK_SHIFT);
	}
	srcu_read_unlock(&kvm->srcu, idx);
}

void chariot_view_zap(struct chariot_vm *vm, gfn_t gfn)
{
	kvm_call(kvm_zap_gfn_range)(vm->kvm, gfn, gfn + 1);
}

void chariot_view_zap_all(struct chariot_vm *vm)
{
	kvm_call(kvm_zap_gfn_range)(vm->kvm, 0, GFN_END);
}

/*
 * What make_spte() may put into an SPTE of @view for @gfn.  Runs in any
 * context that maps guest memory, under rcu_read_lock() and KVM's mmu_lock:
 * who changes what is read here zaps afterwards, and so comes after this.
 */
unsigned long chariot_spte_access(struct kvm *kvm, unsigned int view,
				  gfn_t gfn, unsigned long access)
{
	struct chariot_vm *vm = chariot_vm_find(kvm);
	struct chariot_domain *dom;

	if (!vm)
		return access;
	if (!view) {
		if (xa_load(&vm->text, gfn))
			access &= ~CHARIOT_ACC_EXEC;
		return access;
	}
	dom = rcu_dereference(vm->domains[view]);
	/* A vCPU that has not noticed yet that its domain is gone. */
	if (!dom)
		return access;
	if (!xa_load(&dom->exec, gfn))
		access &= ~CHARIOT_ACC_EXEC;
	if (!chariot_act_full(&dom->act, gfn) && !chariot_open_has(dom, gfn))
		access &= ~CHARIOT_ACC_WRITE;
	return access;
}
