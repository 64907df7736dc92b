/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Beginning and end of domains, and of a VM's isolation.  It is above all that a
 * domain has; what is below it asks by vm->drop and vm->reset, and who closes a
 * handle by vm->ended and vm->unwatch.
 */
#ifndef CHARIOT_LIFE_H
#define CHARIOT_LIFE_H

#include "domain.h"

/* Not under vm->lock: it copies from user memory first. */
int chariot_domain_create(struct chariot_vm *vm,
			  const struct chariot_domain_create *args);
/* A further module of one; the same. */
int chariot_domain_add(struct chariot_vm *vm,
		       const struct chariot_domain_create *args);
/* Under vm->lock.  The domain lives until that is given back. */
void chariot_domain_drop(struct chariot_domain *dom);
/* The module's init, at @gva, has returned: what only it needed is no longer the
 * driver's. */
void chariot_domain_init_done(struct chariot_domain *dom, u64 gva, s64 result);
/* And its exit, at @gva; with the last module the domain goes. */
void chariot_domain_unloaded(struct chariot_domain *dom, u64 gva);
/* Drop all domains and watches. */
void chariot_vm_reset(struct chariot_vm *vm);
/* And tell: the guest began anew. */
void chariot_vm_restarted(struct chariot_vm *vm, struct kvm_vcpu *vcpu);

/* Not under vm->lock, and does not wait for it. */
void chariot_handle_close(struct chariot_handle *h);

int chariot_life_init(void);
void chariot_life_uninit(void);

#endif
