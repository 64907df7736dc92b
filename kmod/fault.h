/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every second-stage fault of a VM with Chariot, and what is decided about it.
 */
#ifndef CHARIOT_FAULT_H
#define CHARIOT_FAULT_H

#include "vm.h"

/* In place of kvm_mmu_page_fault(). */
int chariot_page_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, u64 code,
		       void *insn, int insn_len);

#endif
