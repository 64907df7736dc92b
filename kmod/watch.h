/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches: see the guest kernel come up, and see it load a module, before the
 * module's first instruction.
 */
#ifndef CHARIOT_WATCH_H
#define CHARIOT_WATCH_H

#include "vm.h"

/* All under vm->lock, except where said. */
int chariot_watch_set(struct chariot_vm *vm, struct chariot_handle *h,
		      const struct chariot_watch *w);
void chariot_watch_disarm(struct chariot_vm *vm);
/* Replace the 5-byte nop at @gva by a hypercall.  -ENOEXEC: there is none. */
int chariot_watch_plant(struct chariot_vm *vm, struct chariot_cr cr, u64 gva,
			u64 *gpa);
void chariot_watch_unplant(struct chariot_vm *vm, u64 gpa);
/* Is it a hypercall instruction of this host's CPU, and a "ret"? */
bool chariot_watch_is_trap(struct chariot_vm *vm, struct chariot_cr cr,
			   u64 gva);
/* At a fault: the guest starts anew, if the first CPU is in real mode. */
void chariot_watch_reset(struct chariot_vm *vm, struct kvm_vcpu *vcpu);
/* At an access to a device: another kernel runs, if the load point is not ours. */
void chariot_watch_kexec(struct chariot_vm *vm, struct kvm_vcpu *vcpu);
/* At a fault: true if this vCPU has to wait for an answer to KERNEL. */
bool chariot_watch_kernel(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu);

#endif
