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
#include "layout.h"	/* made by layout/layout.c */

struct x86_exception;

/*
 * X(return type, name, arguments...): functions of kvm.ko that are redirected to
 * ours.  A call of the original goes behind its ftrace site, and so past the hook.
 */
#define CHARIOT_KVM_ORIGINALS(X)					\
	X(int, kvm_mmu_page_fault, struct kvm_vcpu *, gpa_t, u64,	\
	  void *, int)							\
	X(int, x86_emulate_instruction, struct kvm_vcpu *, gpa_t, int,	\
	  void *, int)							\
	X(int, kvm_emulate_hypercall, struct kvm_vcpu *)

/* Others of kvm.ko. */
#define CHARIOT_KVM_CALLS(X)						\
	X(void, kvm_mmu_new_pgd, struct kvm_vcpu *, gpa_t)		\
	X(void, kvm_zap_gfn_range, struct kvm *, gfn_t, gfn_t)		\
	X(struct kvm_memory_slot *, gfn_to_memslot, struct kvm *, gfn_t) \
	X(unsigned long, gfn_to_hva, struct kvm *, gfn_t)		\
	X(bool, kvm_is_visible_gfn, struct kvm *, gfn_t)		\
	X(void, mark_page_dirty, struct kvm *, gfn_t)			\
	X(struct kvm_vcpu *, kvm_get_running_vcpu, void)		\
	X(void, kvm_queue_exception_e, struct kvm_vcpu *, unsigned int,	\
	  u32)								\
	X(int, kvm_get_msr, struct kvm_vcpu *, u32, u64 *)		\
	X(unsigned long, kvm_get_linear_rip, struct kvm_vcpu *)		\
	X(unsigned long, kvm_get_rflags, struct kvm_vcpu *)		\
	X(bool, file_is_kvm, struct file *)				\
	X(bool, kvm_get_kvm_safe, struct kvm *)				\
	X(void, kvm_put_kvm, struct kvm *)

/* Functions of the kernel proper that are not exported. */
#define CHARIOT_CORE_CALLS(X)						\
	X(int, access_remote_vm, struct mm_struct *, unsigned long,	\
	  void *, int, unsigned int)					\
	X(bool, ptrace_may_access, struct task_struct *, unsigned int)	\
	X(unsigned long, ftrace_location, unsigned long)

#define CHARIOT_DECLARE_CALL(ret, name, args...)			\
	ret chariot_proto_##name(args);					\
	DECLARE_STATIC_CALL(chariot_##name, chariot_proto_##name);
CHARIOT_KVM_ORIGINALS(CHARIOT_DECLARE_CALL)
CHARIOT_KVM_CALLS(CHARIOT_DECLARE_CALL)
CHARIOT_CORE_CALLS(CHARIOT_DECLARE_CALL)

#define kvm_call(name)	static_call(chariot_##name)

/* Access bits of make_spte(), the same from 5.x to 6.17. */
#define CHARIOT_ACC_EXEC	1UL
#define CHARIOT_ACC_WRITE	2UL

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
	return vcpu->arch.regs[reg];
}

static inline void chariot_reg_write(struct kvm_vcpu *vcpu, int reg,
				     unsigned long val)
{
	vcpu->arch.regs[reg] = val;
	__set_bit(reg, (unsigned long *)&vcpu->arch.regs_avail);
	__set_bit(reg, (unsigned long *)&vcpu->arch.regs_dirty);
}

/* The view of tables with this role. */
static inline unsigned int chariot_role_view(u32 role)
{
	return (role & CHARIOT_ROLE_MASK) >> LAYOUT_ROLE_SHIFT;
}

#endif
