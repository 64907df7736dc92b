// SPDX-License-Identifier: GPL-2.0
/*
 * Points: instructions of the guest's kernel that are not passed unseen.
 * Called by image, recover and watch.
 */
#include "point.h"
#include "view.h"

/* Behind endbr64 and the nop or call of the guest's ftrace: what no tool changes. */
#define POINT_INSN	9

int chariot_point_arm(struct chariot_vm *vm, struct chariot_point *p,
		      struct chariot_cr cr, u64 gva)
{
	void *nr = xa_mk_value(CHARIOT_WATCH_VIEW), *old;
	struct chariot_walk walk;
	u8 insn[sizeof(p->insn)];
	int err;

	lockdep_assert_held(&vm->lock);
	if (chariot_guest_walk(vm->kvm, cr, gva, &walk) || !walk.executable ||
	    chariot_guest_read_va(vm->kvm, cr, gva + POINT_INSN, insn,
				  sizeof(insn)))
		return -EFAULT;
	old = xa_load(&vm->text, walk.gpa >> PAGE_SHIFT);
	if (old && old != nr)
		return -EEXIST;
	err = chariot_view_split(vm, walk.gpa >> PAGE_SHIFT) ?:
	      xa_err(xa_store(&vm->text, walk.gpa >> PAGE_SHIFT, nr,
			      GFP_KERNEL_ACCOUNT));
	if (err)
		return err;
	p->gva = gva;
	p->gpa = walk.gpa;
	memcpy(p->insn, insn, sizeof(insn));
	/* Also what was mapped in this view while nobody was attached. */
	chariot_view_zap_all(vm);
	return 0;
}

static bool is_on(const struct chariot_point *p, u64 gfn)
{
	return p->gva && p->gpa >> PAGE_SHIFT == gfn;
}

void chariot_point_disarm(struct chariot_vm *vm, struct chariot_point *p)
{
	u64 gfn = p->gpa >> PAGE_SHIFT;

	lockdep_assert_held(&vm->lock);
	if (!p->gva)
		return;
	p->gva = 0;
	if (is_on(&vm->load, gfn) || is_on(&vm->oops, gfn) || is_on(&vm->image, gfn))
		return;
	xa_erase(&vm->text, gfn);
	chariot_view_zap(vm, gfn);
}

bool chariot_point_moved(struct chariot_vm *vm, const struct chariot_point *p,
			 struct chariot_cr cr)
{
	u8 insn[sizeof(p->insn)];
	struct chariot_walk walk;

	return chariot_guest_walk(vm->kvm, cr, p->gva, &walk) ||
	       walk.gpa != p->gpa ||
	       chariot_guest_read_va(vm->kvm, cr, p->gva + POINT_INSN, insn,
				     sizeof(insn)) ||
	       memcmp(insn, p->insn, sizeof(insn));
}
