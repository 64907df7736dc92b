// SPDX-License-Identifier: GPL-2.0
/* Pages that are open in a driver's view beside its ACT.  Called by all above it. */
#include "open.h"
#include "view.h"

#define ROOT	XA_MARK_1
#define CALL	XA_MARK_2	/* until the driver is left */
#define STACK	XA_MARK_0	/* the value is its page's number in gva */

bool chariot_open_has(struct chariot_domain *dom, u64 gfn)
{
	return xa_load(&dom->open, gfn);
}

static int open_as(struct chariot_domain *dom, u64 gfn, unsigned long value)
{
	int err = chariot_view_split(dom->vm, gfn);

	return err ?: xa_err(xa_store(&dom->open, gfn, xa_mk_value(value),
				      GFP_KERNEL_ACCOUNT));
}

int chariot_open_page(struct chariot_domain *dom, u64 gfn)
{
	return open_as(dom, gfn, 1);
}

static void close_page(struct chariot_domain *dom, u64 gfn)
{
	xa_erase(&dom->open, gfn);
	chariot_view_zap(dom->vm, gfn);
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
	xa_set_mark(&dom->open, gfn, gfn == vs->root ? ROOT : CALL);
	return 0;
}

int chariot_open_until_left(struct chariot_domain *dom, u64 gfn)
{
	int err;

	if (chariot_open_has(dom, gfn))
		return 0;
	err = chariot_open_page(dom, gfn);
	if (!err)
		xa_set_mark(&dom->open, gfn, CALL);
	return err;
}

int chariot_open_call(struct chariot_domain *dom, u64 gva)
{
	struct chariot_walk w;
	int err = chariot_guest_walk(dom->vm->kvm, dom->cr, gva, &w);

	if (err)
		return err;
	if (chariot_open_has(dom, w.gpa >> PAGE_SHIFT))
		return 0;
	err = chariot_open_until_left(dom, w.gpa >> PAGE_SHIFT);
	dom->stats.call_grants += !err;
	return err;
}

/* Those whose thread is gone may be anything by now. */
static void close_stale_stacks(struct chariot_domain *dom)
{
	struct chariot_walk w;
	unsigned long gfn;
	void *entry;

	xa_for_each_marked(&dom->open, gfn, entry, STACK)
		if (chariot_guest_walk(dom->vm->kvm, dom->cr,
				       xa_to_value(entry) << PAGE_SHIFT,
				       &w) ||
		    w.gpa >> PAGE_SHIFT != gfn)
			close_page(dom, gfn);
}

int chariot_open_stack(struct chariot_domain *dom, u64 gva, u64 gfn)
{
	int err;

	close_stale_stacks(dom);
	err = open_as(dom, gfn, gva >> PAGE_SHIFT);
	if (err)
		return err;
	dom->stats.stack_grants++;
	xa_set_mark(&dom->open, gfn, STACK);
	return 0;
}

static bool runs_on(struct chariot_domain *dom, u64 root)
{
	struct chariot_vcpu *vs;
	unsigned long i;

	xa_for_each(&dom->vm->vcpus, i, vs)
		if (chariot_runs(vs, dom) && vs->root == root)
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
	xa_for_each_marked(&dom->open, gfn, entry, CALL)
		close_page(dom, gfn);
}
