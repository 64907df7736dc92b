/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Views: two or more sets of second-stage permissions inside KVM's own MMU.
 *
 * A view's number lives in bits of the MMU page role that KVM does not use.
 * KVM then keeps a root, and all tables below it, for each view.
 */
#ifndef CHARIOT_VIEW_H
#define CHARIOT_VIEW_H

#include "vm.h"

/* Does it run in this view?  KVM makes the role anew and keeps the tables when the
 * guest changes CR0.WP, so both are asked. */
bool chariot_view_is(struct kvm_vcpu *vcpu, unsigned int view);
/* On the vCPU's own thread, outside the guest. */
void chariot_view_set(struct kvm_vcpu *vcpu, unsigned int view);
/* Have @gfn mapped by a 4K SPTE of its own from now on, in every view.  -ENOMEM;
 * -ENOSPC: there are too many that have no memory. */
int chariot_view_split(struct chariot_vm *vm, gfn_t gfn);
/* Splits from here on are kept, or undone, by what ends it. */
void chariot_view_splits_begin(struct chariot_vm *vm);
void chariot_view_splits_end(struct chariot_vm *vm, bool keep);
/* Before a fault is looked at, under kvm->srcu: are the splits still there? */
void chariot_view_slots(struct chariot_vm *vm);
/* Undo all splits. */
void chariot_view_join(struct chariot_vm *vm);
/* Is anything in a table of @role for @gfn mapped by larger pages than we want? */
bool chariot_view_is_large(struct chariot_vm *vm, u32 role, gfn_t gfn);
/* Is a watched point on it (watch.h)?  Under vm->lock or RCU. */
static inline bool chariot_view_watched(struct chariot_vm *vm, gfn_t gfn)
{
	return xa_load(&vm->text, gfn) == xa_mk_value(CHARIOT_WATCH_VIEW);
}
/* Is it a driver's text, and not to be executed in the kernel view? */
static inline bool chariot_view_traps(struct chariot_vm *vm, gfn_t gfn)
{
	void *nr = xa_load(&vm->text, gfn);

	return nr && !(xa_to_value(nr) & CHARIOT_RUNS_INLINE);
}
/* Under RCU: the vCPU will look for the tables to run with. */
void chariot_view_keep(struct kvm_vcpu *vcpu);
/* Permissions of @gfn shrank. */
void chariot_view_zap(struct chariot_vm *vm, gfn_t gfn);
void chariot_view_zap_all(struct chariot_vm *vm);

#endif
