// SPDX-License-Identifier: GPL-2.0
/* What a second-stage entry may give, in each view.  Called by audit and hook. */
#include "spte.h"
#include "access.h"
#include "view.h"

static unsigned long in_kernel_view(struct chariot_vm *vm, gfn_t gfn,
				    unsigned long access)
{
	if (chariot_view_traps(vm, gfn))
		access &= ~CHARIOT_ACC_EXEC;
	return access;
}

static unsigned long in_watch_view(struct chariot_vm *vm, gfn_t gfn,
				   unsigned long access)
{
	if (!chariot_view_watched(vm, gfn))
		access &= ~CHARIOT_ACC_EXEC;
	return access;
}

/* In both of its views the same may be written. */
static unsigned long in_driver_view(struct chariot_domain *dom, unsigned int view,
				    gfn_t gfn, unsigned long access)
{
	if (!chariot_may_execute(dom, view, gfn))
		access &= ~CHARIOT_ACC_EXEC;
	if (!chariot_may_write_page(dom, gfn))
		access &= ~CHARIOT_ACC_WRITE;
	return access;
}

/*
 * What make_spte() may put into an SPTE for @gfn, in a table of this role.  Runs in
 * any context that maps guest memory, under rcu_read_lock() and KVM's mmu_lock:
 * who changes what is read here zaps afterwards, and so comes after this.
 */
unsigned long chariot_spte_access(struct kvm *kvm, u32 role, gfn_t gfn,
				  unsigned long access)
{
	struct chariot_vm *vm = chariot_vm_find(kvm);
	union kvm_mmu_page_role r = { .word = role };
	unsigned int view = chariot_role_view(role);
	struct chariot_domain *dom;

	/* Faults of SMM and of nested guests are KVM's alone (chariot_vcpu_elsewhere()). */
	if (!vm || r.smm || r.guest_mode)
		return access;
	/* Memory slots were made anew, and nobody has faulted since: when he does,
	 * chariot_view_slots() comes first. */
	if (chariot_view_is_large(vm, role, gfn))
		return access & ~(CHARIOT_ACC_EXEC | CHARIOT_ACC_WRITE);
	if (!view)
		return in_kernel_view(vm, gfn, access);
	if (view == CHARIOT_WATCH_VIEW)
		return in_watch_view(vm, gfn, access);
	dom = rcu_dereference(vm->domains[view]);
	/* A vCPU that has not noticed yet that its domain is gone. */
	return dom ? in_driver_view(dom, view, gfn, access) :
		     in_kernel_view(vm, gfn, access);
}
