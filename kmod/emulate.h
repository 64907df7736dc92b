/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes one by one: KVM's emulator with a check before each write.
 */
#ifndef CHARIOT_EMULATE_H
#define CHARIOT_EMULATE_H

#include "vm.h"

/*
 * Emulate the instruction that faulted in a driver view.  Not under vm->lock.
 * Returns what kvm_mmu_page_fault() returns.
 */
int chariot_emulate_write(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, u64 gpa,
			  void *insn, int insn_len);
/*
 * Go on emulating behind it, while that spares exits: what follows a write to
 * the stack is often another, or a call.  Stops where the guest has to run.
 * Returns what kvm_mmu_page_fault() returns.
 */
int chariot_emulate_ahead(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu);

/* In place of x86_emulate_instruction(). */
int chariot_emulate_instruction(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa,
				int type, void *insn, int insn_len);

/* Emulate one instruction of the guest's kernel.  Not under vm->lock. */
int chariot_emulate_step(struct chariot_vm *vm, struct kvm_vcpu *vcpu);

#endif
