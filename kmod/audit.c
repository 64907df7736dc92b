// SPDX-License-Identifier: GPL-2.0
/*
 * Look through all second-stage tables of a VM for what should not be there: an SPTE
 * that lets a view write or execute what chariot_spte_access() would not.  There is
 * none, whichever way it came to be made: what is looked for is a mistake of ours, or
 * a way into the tables that we do not know (Documentation/hooks.rst).
 *
 * Under vm->lock, so that nothing that decides about SPTEs changes.
 *
 * Called by dev.
 */
#include "audit.h"
#include "spte.h"

#include <linux/mem_encrypt.h>

#define SPTE_PRESENT	BIT_ULL(11)	/* SPTE_MMU_PRESENT_MASK */
#define SPTE_LARGE	BIT_ULL(7)
#define SPTE_WRITE	BIT_ULL(1)
#define SPTE_EPT_EXEC	BIT_ULL(2)
#define SPTE_NX		BIT_ULL(63)
/* What fast_page_fault() may give back without make_spte(). */
#define SPTE_MAY_WRITE		BIT_ULL(10)	/* MMU-writable */
#define SPTE_EPT_MAY_WRITE	BIT_ULL(58)
#define SPTE_EPT_MAY_EXEC	BIT_ULL(56)	/* not accessed yet, without A/D bits */
#define SPTE_ADDR	GENMASK_ULL(51, 12)
#define ENTRIES		512

#define CHUNK		(1ULL << 15)	/* gfns that are looked at in one go */

struct audit {
	struct chariot_vm *vm;
	struct chariot_audit *out;
	gfn_t start, end;
};

/* A member of struct kvm_mmu_page. */
#define PAGE_AT(sp, offset, type)	(*(type *)((char *)(sp) + (offset)))

static union kvm_mmu_page_role role_of(const void *sp)
{
	return PAGE_AT(sp, LAYOUT_PAGE_ROLE, union kvm_mmu_page_role);
}

static bool is_leaf(u64 spte, int level)
{
	return level == PG_LEVEL_4K || spte & SPTE_LARGE;
}

static unsigned long access_of(u64 spte)
{
	bool ept = *chariot_tdp_enabled && !chariot_kvm_is_amd();
	unsigned long access = 0;

	if (spte & (SPTE_WRITE | (ept ? SPTE_EPT_MAY_WRITE : SPTE_MAY_WRITE)))
		access |= CHARIOT_ACC_WRITE;
	if (ept ? spte & (SPTE_EPT_EXEC | SPTE_EPT_MAY_EXEC) :
		  !(spte & SPTE_NX))
		access |= CHARIOT_ACC_EXEC;
	return access;
}

static void look_at(struct audit *a, union kvm_mmu_page_role role, int level,
		    gfn_t gfn, u64 spte)
{
	unsigned long has = access_of(spte), may;

	role.level = level;
	may = chariot_spte_access(a->vm->kvm, role.word, gfn,
				  CHARIOT_ACC_WRITE | CHARIOT_ACC_EXEC);
	a->out->checked++;
	if (!(has & ~may) || a->out->bad++)
		return;
	a->out->gpa = gfn << PAGE_SHIFT;
	a->out->view = chariot_role_view(role.word);
	a->out->level = level;
	a->out->access = (has & ~may & CHARIOT_ACC_WRITE ?
			  CHARIOT_AUDIT_WRITE : 0) |
			 (has & ~may & CHARIOT_ACC_EXEC ?
			  CHARIOT_AUDIT_EXEC : 0);
}

/* ---- the TDP MMU: trees that are read under RCU -------------------------- */

static void walk_table(struct audit *a, union kvm_mmu_page_role role,
		       const u64 *table, int level, gfn_t base)
{
	gfn_t size = KVM_PAGES_PER_HPAGE(level), gfn = base;
	u64 spte;
	int i;

	for (i = 0; i < ENTRIES && gfn < a->end; i++, gfn += size) {
		if (gfn + size <= a->start)
			continue;
		spte = READ_ONCE(table[i]);
		if (!(spte & SPTE_PRESENT))
			continue;
		if (is_leaf(spte, level))
			look_at(a, role, level, gfn, spte);
		else
			walk_table(a, role, __va(__sme_clr(spte) & SPTE_ADDR),
				   level - 1, gfn);
	}
}

static void walk_roots(struct audit *a)
{
	struct list_head *roots = &a->vm->kvm->arch.tdp_mmu_roots, *link;
	union kvm_mmu_page_role role;
	void *root;

	/* KVM has never made the list where the TDP MMU is off. */
	if (!READ_ONCE(roots->next))
		return;
	rcu_read_lock();
	for (link = rcu_dereference(list_next_rcu(roots)); link != roots;
	     link = rcu_dereference(list_next_rcu(link))) {
		root = (char *)link - LAYOUT_PAGE_LINK;
		role = role_of(root);
		/* On its way out, no vCPU has it, and a zap may pass it by. */
		if (role.invalid)
			continue;
		walk_table(a, role, PAGE_AT(root, LAYOUT_PAGE_SPT, u64 *),
			   role.level, 0);
	}
	rcu_read_unlock();
}

static gfn_t last_gfn(struct kvm *kvm)
{
	int idx = srcu_read_lock(&kvm->srcu), bucket;
	struct kvm_memory_slot *slot;
	gfn_t end = 0;

	kvm_for_each_memslot(slot, bucket, kvm_memslots(kvm))
		end = max(end, slot->base_gfn + slot->npages);
	srcu_read_unlock(&kvm->srcu, idx);
	return end;
}

/* ---- the shadow MMU: one list of tables ---------------------------------- */

static gfn_t shadow_gfn(const void *sp, union kvm_mmu_page_role role, int i)
{
	const u64 *guest = PAGE_AT(sp, LAYOUT_PAGE_TRANSLATION, u64 *);
	gfn_t gfn = PAGE_AT(sp, LAYOUT_PAGE_GFN, gfn_t);

	if (role.passthrough)
		return gfn;
	return role.direct || !guest ?
	       gfn + i * KVM_PAGES_PER_HPAGE(role.level) : guest[i] >> PAGE_SHIFT;
}

static void walk_shadow_page(struct audit *a, const void *sp)
{
	const u64 *table = PAGE_AT(sp, LAYOUT_PAGE_SPT, u64 *);
	union kvm_mmu_page_role role = role_of(sp);
	int i;

	if (role.invalid)
		return;
	for (i = 0; i < ENTRIES; i++)
		if (table[i] & SPTE_PRESENT && is_leaf(table[i], role.level))
			look_at(a, role, role.level, shadow_gfn(sp, role, i),
				table[i]);
}

static void walk_shadow(struct audit *a)
{
	struct kvm *kvm = a->vm->kvm;
	struct list_head *link;

	write_lock(&kvm->mmu_lock);
	rcu_read_lock();
	list_for_each(link, &kvm->arch.active_mmu_pages)
		walk_shadow_page(a, (char *)link - LAYOUT_PAGE_LINK);
	rcu_read_unlock();
	write_unlock(&kvm->mmu_lock);
}

int chariot_vm_audit(struct chariot_vm *vm, struct chariot_audit *out)
{
	struct audit a = { .vm = vm, .out = out };
	gfn_t end = last_gfn(vm->kvm);

	lockdep_assert_held(&vm->lock);
	for (; a.start < end; a.start = a.end) {
		a.end = min(a.start + CHUNK, end);
		walk_roots(&a);
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	walk_shadow(&a);
	return 0;
}
