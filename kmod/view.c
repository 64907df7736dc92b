// SPDX-License-Identifier: GPL-2.0
/* Views: sets of second-stage tables inside KVM's MMU.  Called by all above it. */
#include "view.h"

#define GFN_END		(1ULL << (52 - PAGE_SHIFT))
#define BLOCK_SHIFT	(KVM_HPAGE_GFN_SHIFT(PG_LEVEL_2M))

/* The role of the tables in use: KVM's struct kvm_mmu_page is behind their page. */
static u32 root_role(const struct kvm_mmu *mmu)
{
	void *sp = NULL;

	if (mmu->root_role.direct && VALID_PAGE(mmu->root.hpa))
		sp = (void *)page_private(pfn_to_page(mmu->root.hpa >>
						      PAGE_SHIFT));
	return sp ? *(u32 *)(sp + LAYOUT_PAGE_ROLE) : mmu->root_role.word;
}

bool chariot_view_is(struct kvm_vcpu *vcpu, unsigned int view)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	return chariot_role_view(mmu->root_role.word) == view &&
	       chariot_role_view(root_role(mmu)) == view;
}

static void set_role(struct kvm_vcpu *vcpu, unsigned int view)
{
	union kvm_mmu_page_role *role = &vcpu->arch.mmu->root_role;

	role->word &= ~CHARIOT_ROLE_MASK;
	role->word |= view << LAYOUT_ROLE_SHIFT;
}

/* KVM may have made the role anew, at a change of mode or the end of an SMI. */
void chariot_view_keep(struct kvm_vcpu *vcpu)
{
	struct chariot_vm *vm = chariot_vm_find(vcpu->kvm);
	struct chariot_vcpu *vs;

	if (!vm || chariot_vcpu_elsewhere(vcpu))
		return;
	vs = xa_load(&vm->vcpus, vcpu->vcpu_idx);
	if (vs)
		set_role(vcpu, READ_ONCE(vs->view));
}

void chariot_view_set(struct kvm_vcpu *vcpu, unsigned int view)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	set_role(vcpu, view);
	kvm_call(kvm_mmu_new_pgd)(vcpu, mmu->root.pgd);
	/* A root that KVM has kept of a shadowed guest is in sync when CR3 is loaded
	 * next, which the guest does not do here. */
	kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
	/* One ASID (or VPID, with shadow paging) covers the roots of all views;
	 * EPT tags by root and does not need it, but then it is cheap. */
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

/*
 * KVM maps a block large while it is not disallow_lpage, which is a count.  Ours is
 * in units that KVM's own, one for each page table of a nested or shadowed guest
 * and one for a block that is not all in its slot, do not reach: so it is seen
 * whether it is there still.  The record goes with the memory slot, and one of
 * another slot may come to lie at the same address.
 */
#define SPLIT	(1 << 20)

/* In vm->blocks: there was memory, or none, when it was named first. */
#define SEEN	xa_mk_value(1)
#define BLIND	xa_mk_value(2)

static struct kvm_lpage_info *info_of(struct kvm_memory_slot *slot, gfn_t gfn,
				      int level)
{
	int shift = KVM_HPAGE_GFN_SHIFT(level);

	return &slot->arch.lpage_info[level - PG_LEVEL_2M]
		[(gfn >> shift) - (slot->base_gfn >> shift)];
}

/* The slot that has all of a block; what is not all in one is never mapped large. */
static struct kvm_memory_slot *slot_of(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_memory_slot *slot = kvm_call(gfn_to_memslot)(kvm, gfn);

	return slot && gfn >= slot->base_gfn &&
	       gfn + (1UL << BLOCK_SHIFT) <= slot->base_gfn + slot->npages ?
	       slot : NULL;
}

static void count_split(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			int n)
{
	int level;

	write_lock(&kvm->mmu_lock);
	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++)
		info_of(slot, gfn, level)->disallow_lpage += n;
	write_unlock(&kvm->mmu_lock);
}

static bool is_split(struct kvm_memory_slot *slot, gfn_t gfn)
{
	/* 6.12 has a flag in the top bit. */
	return (READ_ONCE(info_of(slot, gfn, PG_LEVEL_2M)->disallow_lpage) &
		INT_MAX) >= SPLIT;
}

/* Have @block mapped by 4K SPTEs from now on.  Under kvm->srcu. */
static void split(struct chariot_vm *vm, unsigned long block)
{
	gfn_t gfn = (gfn_t)block << BLOCK_SHIFT;
	struct kvm_memory_slot *slot = slot_of(vm->kvm, gfn);

	if (!slot || is_split(slot, gfn))
		return;
	count_split(vm->kvm, slot, gfn, SPLIT);
	kvm_call(kvm_zap_gfn_range)(vm->kvm, gfn, gfn + (1UL << BLOCK_SHIFT));
}

/* The VM may have been attached anew meanwhile, and what did that saw our count. */
static void look_again(struct chariot_vm *vm)
{
	struct chariot_vm *now;

	rcu_read_lock();
	now = chariot_vm_find(vm->kvm);
	if (now && now != vm)
		WRITE_ONCE(now->slots, ~0ULL);	/* never a generation */
	rcu_read_unlock();
}

/* What is mapped 4K stays so until it is zapped for another reason. */
static void join(struct chariot_vm *vm, unsigned long block)
{
	gfn_t gfn = (gfn_t)block << BLOCK_SHIFT;
	struct kvm_memory_slot *slot = slot_of(vm->kvm, gfn);

	vm->nr_blind -= xa_erase(&vm->blocks, block) == BLIND;
	if (!slot || !is_split(slot, gfn))
		return;
	count_split(vm->kvm, slot, gfn, -SPLIT);
	look_again(vm);
}

#define NEW		XA_MARK_0	/* since chariot_view_splits_begin() */
#define MAX_BLIND	4096		/* the guest may name any address */

/* What has no slot yet, or no whole one, is looked at again later. */
static int note_block(struct chariot_vm *vm, unsigned long block)
{
	bool blind = !kvm_call(gfn_to_memslot)(vm->kvm,
					       (gfn_t)block << BLOCK_SHIFT);
	int err;

	if (xa_load(&vm->blocks, block))
		return 0;
	if (blind && vm->nr_blind == MAX_BLIND)
		return -ENOSPC;
	err = xa_err(xa_store(&vm->blocks, block, blind ? BLIND : SEEN,
			      GFP_KERNEL_ACCOUNT));
	if (err)
		return err;
	xa_set_mark(&vm->blocks, block, NEW);
	vm->nr_blind += blind;
	return 0;
}

int chariot_view_split(struct chariot_vm *vm, gfn_t gfn)
{
	int idx = srcu_read_lock(&vm->kvm->srcu), err;

	lockdep_assert_held(&vm->lock);
	err = note_block(vm, gfn >> BLOCK_SHIFT);
	if (!err)
		split(vm, gfn >> BLOCK_SHIFT);
	srcu_read_unlock(&vm->kvm->srcu, idx);
	return err;
}

void chariot_view_splits_begin(struct chariot_vm *vm)
{
	unsigned long block;
	void *entry;

	lockdep_assert_held(&vm->lock);
	xa_for_each_marked(&vm->blocks, block, entry, NEW)
		xa_clear_mark(&vm->blocks, block, NEW);
}

void chariot_view_splits_end(struct chariot_vm *vm, bool keep)
{
	int idx = srcu_read_lock(&vm->kvm->srcu);
	unsigned long block;
	void *entry;

	lockdep_assert_held(&vm->lock);
	if (!keep)
		xa_for_each_marked(&vm->blocks, block, entry, NEW)
			join(vm, block);
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
	void *entry;

	lockdep_assert_held(&vm->lock);
	if (READ_ONCE(vm->slots) == generation)
		return;
	WRITE_ONCE(vm->slots, generation);
	xa_for_each(&vm->blocks, block, entry)
		split(vm, block);
}

/* Give back to KVM what it may map large. */
void chariot_view_join(struct chariot_vm *vm)
{
	int idx = srcu_read_lock(&vm->kvm->srcu);
	unsigned long block;
	void *entry;

	lockdep_assert_held(&vm->lock);
	xa_for_each(&vm->blocks, block, entry)
		join(vm, block);
	srcu_read_unlock(&vm->kvm->srcu, idx);
	chariot_view_zap_all(vm);
}

/* KVM looks through the memory slots for it. */
static void zap(struct kvm *kvm, gfn_t start, gfn_t end)
{
	int idx = srcu_read_lock(&kvm->srcu);

	kvm_call(kvm_zap_gfn_range)(kvm, start, end);
	srcu_read_unlock(&kvm->srcu, idx);
}

void chariot_view_zap(struct chariot_vm *vm, gfn_t gfn)
{
	zap(vm->kvm, gfn, gfn + 1);
}

void chariot_view_zap_all(struct chariot_vm *vm)
{
	zap(vm->kvm, 0, GFN_END);
}

bool chariot_view_is_large(struct chariot_vm *vm, u32 role, gfn_t gfn)
{
	unsigned long first = gfn >> BLOCK_SHIFT, last;
	int level = ((union kvm_mmu_page_role){ .word = role }).level;

	if (level < PG_LEVEL_2M)
		return false;
	last = (gfn + KVM_PAGES_PER_HPAGE(level) - 1) >> BLOCK_SHIFT;
	return xa_find(&vm->blocks, &first, last, XA_PRESENT);
}
