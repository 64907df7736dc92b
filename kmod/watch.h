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
/* At the fetch of the instruction at (rip, rsp), on a watched page, in the kernel
 * view: true if this vCPU has to wait for an answer to LOAD. */
bool chariot_watch_load(struct chariot_vm *vm, struct chariot_vcpu *vs,
			struct kvm_vcpu *vcpu, u64 rip, u64 rsp);
/* At a fault: does the guest start anew?  Then the first CPU is in real mode. */
bool chariot_watch_reset(struct chariot_vm *vm, struct kvm_vcpu *vcpu);
/* At an access to a device: does another kernel run?  Then the load point or the text
 * of a driver is no longer where it was. */
bool chariot_watch_kexec(struct chariot_vm *vm, struct kvm_vcpu *vcpu);
/* At a fault: true if this vCPU has to wait for an answer to KERNEL. */
bool chariot_watch_kernel(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu);

#endif
