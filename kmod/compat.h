/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the kernels differ that are supported as hosts.  What differs is told by the BTF
 * of the very kernel (layout/layout.c), or by what its headers define; never by its
 * version.
 */
#ifndef CHARIOT_COMPAT_H
#define CHARIOT_COMPAT_H

#include <linux/kvm_host.h>
#include "layout.h"	/* made by layout/layout.c */

/* Access bits of make_spte(): EXEC is 1 where there are three of them, 8 where four. */
#define CHARIOT_ACC_EXEC	((unsigned long)LAYOUT_ACC_EXEC)
#define CHARIOT_ACC_WRITE	2UL

/* In enum kvm_reg, under two names each. */
#define CHARIOT_REG_RIP		LAYOUT_REG_RIP
#define CHARIOT_REG_CR3		LAYOUT_REG_CR3

/* How kvm_mmu_page_fault() asks to emulate; later kernels have it in no header. */
#ifndef EMULTYPE_PF
#define EMULTYPE_PF		(1 << 6)
#endif

/* Memory that only the guest sees (guest_memfd): nothing of it is where there is no word. */
#ifndef kvm_arch_has_private_mem
#define kvm_arch_has_private_mem(kvm)	false
#endif

/* Where KVM keeps a register, whether it has it now or not. */
static inline unsigned long *chariot_reg(struct kvm_vcpu *vcpu, int reg)
{
#ifdef LAYOUT_RIP_APART
	if (reg == CHARIOT_REG_RIP)
		return &vcpu->arch.rip;
#endif
	return &vcpu->arch.regs[reg];
}

#endif
