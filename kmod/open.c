// SPDX-License-Identifier: GPL-2.0
#include "open.h"
#include "view.h"

#define ROOT	XA_MARK_1
#define USER	XA_MARK_2

bool chariot_open_has(struct chariot_domain *dom, u64 gfn)
{
	return xa_load(&dom->open, gfn);
}

int chariot_open_page(struct chariot_domain *dom, u64 gfn)
{
	chariot_view_split(dom->vm, gfn);
	return xa_err(xa_store(&dom->open, gfn, xa_mk_value(1),
			       GFP_KERNEL_ACCOUNT));
}

int chariot_open_table(struct chariot_domain *dom, struct chariot_vcpu *vs,
		       u64 gfn)
{
	int err = chariot_open_page(dom, gfn);

	if (err)
		return err;
	dom->stats.walk_grants++;
	if (chariot_guest_kernel_table(dom->vm->kvm, dom->cr, gfn))
		return 0;
	xa_set_mark(&dom->open, gfn, gfn == vs->root ? ROOT : USER);
	return 0;
}

static void close_page(struct chariot_domain *dom, u64 gfn)
{
	xa_erase(&dom->open, gfn);
	chariot_view_zap(dom->vm, gfn);
}

static bool runs_on(struct chariot_domain *dom, u64 root)
{
	struct chariot_vcpu *vs;
	unsigned long i;

	xa_for_each(&dom->vm->vcpus, i, vs)
		if (vs->view == dom->nr && vs->root == root)
			return true;
	return false;
}

void chariot_open_enter(struct chariot_domain *dom, struct chariot_vcpu *vs,
			u64 cr3)
{
	unsigned long gfn;
	void *entry;

	lockdep_assert_held(&dom->vm->lock);
	vs->root = (cr3 & GENMASK_ULL(51, 12)) >> PAGE_SHIFT;
	xa_for_each_marked(&dom->open, gfn, entry, ROOT)
		if (gfn != vs->root && !runs_on(dom, gfn))
			close_page(dom, gfn);
}

void chariot_open_leave(struct chariot_domain *dom)
{
	unsigned long gfn;
	void *entry;

	lockdep_assert_held(&dom->vm->lock);
	xa_for_each_marked(&dom->open, gfn, entry, USER)
		close_page(dom, gfn);
}
