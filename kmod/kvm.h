/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All contact with kvm.ko but for the hooks in it (hook.c): its functions, its
 * private layouts.  Calls nothing of ours.
 *
 * Nothing of KVM is linked to: every function is found by name at load and
 * called through a static call, which is a direct call and so works where the
 * target's endbr64 was sealed away.
 */
#ifndef CHARIOT_KVM_H
#define CHARIOT_KVM_H

#include <linux/kvm_host.h>
#include <linux/static_call.h>
#include "compat.h"
#include "proto.h"

struct x86_exception;

#define CHARIOT_DECLARE_CALL(ret, name, args...)			\
	ret chariot_proto_##name(args);					\
	DECLARE_STATIC_CALL(chariot_##name, chariot_proto_##name);
CHARIOT_KVM_ORIGINALS(CHARIOT_DECLARE_CALL)
CHARIOT_KVM_CALLS(CHARIOT_DECLARE_CALL)
CHARIOT_CORE_CALLS(CHARIOT_DECLARE_CALL)

#define kvm_call(name)	static_call(chariot_##name)

/* Results of an emulator operation (kvm_emulate.h). */
#define CHARIOT_EMUL_CONTINUE		0
#define CHARIOT_EMUL_UNHANDLEABLE	1
#define CHARIOT_EMUL_PROPAGATE_FAULT	2

#define CHARIOT_NR_VIEWS	(1U << LAYOUT_ROLE_BITS)
#define CHARIOT_ROLE_MASK	((CHARIOT_NR_VIEWS - 1) << LAYOUT_ROLE_SHIFT)

extern struct kvm_x86_ops *chariot_x86_ops;
extern bool *chariot_tdp_enabled;

/* Finds all symbols, and compares the layouts' origin.  -ENOENT, -ENOEXEC. */
int chariot_kvm_init(void);
void chariot_kvm_uninit(void);
/* Of the kernel, or "kvm:NAME"; NULL, and told. */
void *chariot_kvm_find(const char *name);
bool chariot_kvm_is_amd(void);
/* 6.1 has it for the whole host, later kernels for each VM as well. */
bool chariot_kvm_nx_huge_pages(struct kvm *kvm);

/* Registers; KVM caches them lazily on Intel. */
static inline unsigned long chariot_reg_read(struct kvm_vcpu *vcpu, int reg)
{
	if (!test_bit(reg, (unsigned long *)&vcpu->arch.regs_avail))
		chariot_x86_ops->cache_reg(vcpu, reg);
	return *chariot_reg(vcpu, reg);
}

static inline void chariot_reg_write(struct kvm_vcpu *vcpu, int reg,
				     unsigned long val)
{
	*chariot_reg(vcpu, reg) = val;
	__set_bit(reg, (unsigned long *)&vcpu->arch.regs_avail);
	__set_bit(reg, (unsigned long *)&vcpu->arch.regs_dirty);
}

static inline void chariot_rflags_write(struct kvm_vcpu *vcpu, u64 rflags)
{
	chariot_x86_ops->set_rflags(vcpu, rflags);
	/* An interrupt may be let in. */
	kvm_make_request(KVM_REQ_EVENT, vcpu);
}

/* Where a function has its arguments. */
extern const int chariot_arg_regs[6];

/* The view of tables with this role. */
static inline unsigned int chariot_role_view(u32 role)
{
	return (role & CHARIOT_ROLE_MASK) >> LAYOUT_ROLE_SHIFT;
}

#endif
