// SPDX-License-Identifier: GPL-2.0
/* Memory of the guest, by physical and virtual address.  Called by all above it. */
#include "guest.h"
#include "kvm.h"

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#define PTE_PRESENT	BIT_ULL(0)
#define PTE_WRITE	BIT_ULL(1)
#define PTE_LARGE	BIT_ULL(7)
#define PTE_NX		BIT_ULL(63)
#define PTE_ADDR	GENMASK_ULL(51, 12)
#define CR4_LA57	BIT_ULL(12)

/* @len bytes inside one page of the VMM. */
static int copy_hva(struct kvm *kvm, unsigned long hva, void *buf, size_t len,
		    bool write)
{
	int n;

	if (current->mm == kvm->mm) {
		/* A word in one go: the guest's CPUs read it meanwhile. */
		if (write && len == sizeof(u64) && !(hva % sizeof(u64)))
			return put_user(*(u64 *)buf, (u64 __user *)hva);
		if (write)
			return copy_to_user((void __user *)hva, buf, len) ?
			       -EFAULT : 0;
		return copy_from_user(buf, (void __user *)hva, len) ?
		       -EFAULT : 0;
	}
	if (!mmget_not_zero(kvm->mm))
		return -EFAULT;
	n = kvm_call(access_remote_vm)(kvm->mm, hva, buf, len,
				       write ? FOLL_WRITE : 0);
	mmput(kvm->mm);
	return n == len ? 0 : -EFAULT;
}

/*
 * For dirty logging.  KVM's own function wants to run in a vCPU's thread; from
 * an ioctl a page can be marked in the bitmap, which is what VMMs use that do
 * not ask for KVM's dirty ring.
 */
static void mark_dirty(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_memory_slot *slot = kvm_call(gfn_to_memslot)(kvm, gfn);
	struct kvm_vcpu *vcpu = kvm_call(kvm_get_running_vcpu)();

	if (vcpu && vcpu->kvm == kvm)
		kvm_call(mark_page_dirty)(kvm, gfn);
	else if (slot && slot->dirty_bitmap)
		set_bit_le(gfn - slot->base_gfn, slot->dirty_bitmap);
}

static int copy_gpa(struct kvm *kvm, u64 gpa, void *buf, size_t len, bool write)
{
	int idx = srcu_read_lock(&kvm->srcu);
	unsigned long hva;
	size_t n;
	int err = 0;

	for (; len && !err; len -= n, buf += n, gpa += n) {
		n = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		hva = kvm_call(gfn_to_hva)(kvm, gpa >> PAGE_SHIFT);
		if (kvm_is_error_hva(hva)) {
			err = -EFAULT;
			break;
		}
		err = copy_hva(kvm, hva + offset_in_page(gpa), buf, n, write);
		if (!err && write)
			mark_dirty(kvm, gpa >> PAGE_SHIFT);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return err;
}

int chariot_guest_read(struct kvm *kvm, u64 gpa, void *buf, size_t len)
{
	return copy_gpa(kvm, gpa, buf, len, false);
}

int chariot_guest_write(struct kvm *kvm, u64 gpa, const void *buf, size_t len)
{
	return copy_gpa(kvm, gpa, (void *)buf, len, true);
}

int chariot_guest_walk(struct kvm *kvm, struct chariot_cr cr, u64 gva,
		       struct chariot_walk *w)
{
	int level = cr.cr4 & CR4_LA57 ? 5 : 4;
	u64 table = cr.cr3 & PTE_ADDR, pte, size;

	w->writable = w->executable = true;
	for (; level; level--) {
		int shift = 12 + 9 * (level - 1);

		if (chariot_guest_read(kvm, table + 8 * ((gva >> shift) & 511),
				       &pte, sizeof(pte)))
			return -EFAULT;
		if (!(pte & PTE_PRESENT))
			return -EFAULT;
		w->writable &= !!(pte & PTE_WRITE);
		w->executable &= !(pte & PTE_NX);
		size = 1ULL << shift;
		if (level == 1 || (level < 4 && (pte & PTE_LARGE))) {
			w->gpa = (pte & PTE_ADDR & ~(size - 1)) |
				 (gva & (size - 1));
			w->left = PAGE_SIZE - offset_in_page(gva);
			return 0;
		}
		table = pte & PTE_ADDR;
	}
	return -EFAULT;
}

/* The guest makes its tables as it likes, also such that contain themselves. */
#define MAX_TABLES	4096

/* Is @gfn a table below @table, which has entries of @level? */
static bool table_below(struct kvm *kvm, u64 table, int level, int first,
			u64 gfn, int *left)
{
	u64 ptes[32];
	int i;

	if (!(*left)--)
		return false;
	cond_resched();
	for (i = first; i < 512 && *left >= 0; i++) {
		if (i % 32 == 0 &&
		    chariot_guest_read(kvm, table + 8 * i, ptes, sizeof(ptes)))
			return false;
		if (!(ptes[i % 32] & PTE_PRESENT) ||
		    (level < 4 && ptes[i % 32] & PTE_LARGE))
			continue;
		if ((ptes[i % 32] & PTE_ADDR) >> PAGE_SHIFT == gfn)
			return true;
		if (level > 2 && table_below(kvm, ptes[i % 32] & PTE_ADDR,
					     level - 1, 0, gfn, left))
			return true;
	}
	return false;
}

bool chariot_guest_kernel_table(struct kvm *kvm, struct chariot_cr cr, u64 gfn)
{
	u64 root = cr.cr3 & PTE_ADDR;
	int left = MAX_TABLES;

	return gfn == root >> PAGE_SHIFT ||
	       table_below(kvm, root, cr.cr4 & CR4_LA57 ? 5 : 4, 256, gfn,
			   &left);
}

static int copy_va(struct kvm *kvm, struct chariot_cr cr, u64 gva, void *buf,
		   size_t len, bool write)
{
	struct chariot_walk w;
	size_t n;
	int err;

	for (; len; len -= n, buf += n, gva += n) {
		err = chariot_guest_walk(kvm, cr, gva, &w);
		if (err)
			return err;
		n = min_t(size_t, len, w.left);
		err = copy_gpa(kvm, w.gpa, buf, n, write);
		if (err)
			return err;
	}
	return 0;
}

int chariot_guest_read_va(struct kvm *kvm, struct chariot_cr cr, u64 gva,
			  void *buf, size_t len)
{
	return copy_va(kvm, cr, gva, buf, len, false);
}

int chariot_guest_write_va(struct kvm *kvm, struct chariot_cr cr, u64 gva,
			   const void *buf, size_t len)
{
	return copy_va(kvm, cr, gva, (void *)buf, len, true);
}

int chariot_guest_write_u64(struct kvm *kvm, struct chariot_cr cr, u64 gva, u64 val)
{
	return copy_va(kvm, cr, gva, &val, sizeof(val), true);
}
