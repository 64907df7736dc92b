/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is called and hooked in the kernel, with its prototypes.  Read by kvm.h and by
 * layout/layout.c, which compares them with the BTF of the kernel that is built for:
 * no header has them, so the compiler would take a wrong one.
 */
#ifndef CHARIOT_PROTO_H
#define CHARIOT_PROTO_H

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

/* Hooked, and gone on with: only these arguments, the first ones, are looked at. */
#define CHARIOT_KVM_EDITED(X)						\
	X(bool, make_spte, struct kvm_vcpu *, struct kvm_mmu_page *,	\
	  const struct kvm_memory_slot *, unsigned int, gfn_t)		\
	X(int, kvm_mmu_load, struct kvm_vcpu *)

/* Members that are called, or replaced by functions of ours. */
#define CHARIOT_KVM_MEMBERS(X)						\
	X(int, x86_emulate_ops, write_emulated, struct x86_emulate_ctxt *, \
	  unsigned long, const void *, unsigned int, struct x86_exception *) \
	X(int, x86_emulate_ops, cmpxchg_emulated, struct x86_emulate_ctxt *, \
	  unsigned long, const void *, const void *, unsigned int,	\
	  struct x86_exception *)					\
	X(int, x86_emulate_ops, write_std, struct x86_emulate_ctxt *,	\
	  unsigned long, void *, unsigned int, struct x86_exception *, bool)

#endif
