/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory, from the VMM's threads and from any other process.
 */
#ifndef CHARIOT_GUEST_H
#define CHARIOT_GUEST_H

#include <linux/types.h>

struct kvm;

/* The page tables to look through. */
struct chariot_cr {
	u64 cr3, cr4;
};

struct chariot_walk {
	u64 gpa;
	u64 left;		/* bytes to the end of the mapping's page */
	bool writable, executable;
};

/* All or nothing; 0 or -EFAULT. */
int chariot_guest_read(struct kvm *kvm, u64 gpa, void *buf, size_t len);
int chariot_guest_write(struct kvm *kvm, u64 gpa, const void *buf, size_t len);
/* -EFAULT: the guest does not map @gva. */
int chariot_guest_walk(struct kvm *kvm, struct chariot_cr cr, u64 gva,
		       struct chariot_walk *w);
/* Is @gfn a page table of the kernel's half of the address space? */
bool chariot_guest_kernel_table(struct kvm *kvm, struct chariot_cr cr, u64 gfn);
int chariot_guest_read_va(struct kvm *kvm, struct chariot_cr cr, u64 gva,
			  void *buf, size_t len);
int chariot_guest_write_va(struct kvm *kvm, struct chariot_cr cr, u64 gva,
			   const void *buf, size_t len);
/* At once; @gva is a multiple of 8. */
int chariot_guest_write_u64(struct kvm *kvm, struct chariot_cr cr, u64 gva, u64 val);

#endif
