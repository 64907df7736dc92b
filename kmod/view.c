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

/* KVM's own record of a 2M block.  It goes with the memory slot. */
static struct kvm_lpage_info *block_info(struct kvm *kvm, unsigned long block,
					 struct kvm_memory_slot **slot)
{
	gfn_t gfn = (gfn_t)block << BLOCK_SHIFT;

	*slot = kvm_call(gfn_to_memslot)(kvm, gfn);
	/* A block that is not all in one slot is never mapped large. */
	if (!*slot || gfn + (1UL << BLOCK_SHIFT) >
		      (*slot)->base_gfn + (*slot)->npages)
		return NULL;
	return &(*slot)->arch.lpage_info[0][block - ((*slot)->base_gfn >>
						     BLOCK_SHIFT)];
}

/* Have @block mapped by 4K SPTEs from now on. */
static void split(struct chariot_vm *vm, unsigned long block)
{
	struct kvm *kvm = vm->kvm;
	struct kvm_memory_slot *slot;
	struct kvm_lpage_info *info = block_info(kvm, block, &slot);

	if (!info ||
	    (xa_load(&vm->blocks, block) == info && info->disallow_lpage))
		return;
	if (xa_err(xa_store(&vm->blocks, block, info, GFP_KERNEL_ACCOUNT)))
		return;		/* tried again with the next page of it */
	write_lock(&kvm->mmu_lock);
	kvm_call(kvm_mmu_gfn_disallow_lpage)(slot, block << BLOCK_SHIFT);
	write_unlock(&kvm->mmu_lock);
	kvm_call(kvm_zap_gfn_range)(kvm, block << BLOCK_SHIFT,
				    (block + 1) << BLOCK_SHIFT);
}

void chariot_view_split(struct chariot_vm *vm, gfn_t gfn)
{
	int idx = srcu_read_lock(&vm->kvm->srcu);

	lockdep_assert_held(&vm->lock);
	/* What has no slot yet, or no whole one, is looked at again later. */
	if (!xa_load(&vm->blocks, gfn >> BLOCK_SHIFT))
		xa_store(&vm->blocks, gfn >> BLOCK_SHIFT, xa_mk_value(0),
			 GFP_KERNEL_ACCOUNT);
	split(vm, gfn >> BLOCK_SHIFT);
	srcu_read_unlock(&vm->kvm->srcu, idx);
}

/*
 * VMMs make memory slots anew, with large pages allowed again: at a reset, and
 * when a BIOS maps its shadow memory.  The guest's memory has no mapping then,
 * so the next fault is early enough.
 */
void chariot_view_slots(struct chariot_vm *vm)
{
	u64 generation = kvm_memslots(vm->kvm)->generation;
	unsigned long block;
	void *info;

	lockdep_assert_held(&vm->lock);
	if (vm->slots == generation)
		return;
	vm->slots = generation;
	xa_for_each(&vm->blocks, block, info)
		split(vm, block);
}

/* Give back to KVM what it may map large. */
void chariot_view_join(struct chariot_vm *vm)
{
	struct kvm *kvm = vm->kvm;
	struct kvm_memory_slot *slot;
	unsigned long block;
	void *info;
	int idx;

	lockdep_assert_held(&vm->lock);
	idx = srcu_read_lock(&kvm->srcu);
	xa_for_each(&vm->blocks, block, info) {
		xa_erase(&vm->blocks, block);
		if (block_info(kvm, block, &slot) != info ||
		    !((struct kvm_lpage_info *)info)->disallow_lpage)
			continue;
		write_lock(&kvm->mmu_lock);
		kvm_call(kvm_mmu_gfn_allow_lpage)(slot, block << BLOCK_SHIFT);
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
