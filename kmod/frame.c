// SPDX-License-Identifier: GPL-2.0
#include "frame.h"
#include "gate.h"

#include <linux/delay.h>
#include <linux/slab.h>

static void frame_free(struct chariot_domain *dom, struct chariot_frame *f)
{
	hash_del(&f->node);
	dom->nr_frames--;
	kfree(f->entry);
	kfree(f);
}

void chariot_frame_push(struct chariot_domain *dom, struct chariot_frame *frame)
{
	struct chariot_frame *f;
	struct hlist_node *tmp;

	lockdep_assert_held(&dom->vm->lock);
	hash_for_each_possible_safe(dom->frames, f, tmp, node, frame->rsp)
		if (f->rsp == frame->rsp)
			frame_free(dom, f);
	hash_add(dom->frames, &frame->node, frame->rsp);
	dom->nr_frames++;
}

/*
 * An exception may resume elsewhere than where it came from: behind an int3
 * that the guest's text patching emulates, or at a fixup.  The stack pointer
 * is the same.
 */
static bool resumes(const struct chariot_domain *dom,
		    const struct chariot_frame *f, u64 rip, u64 rsp)
{
	if (f->rsp != rsp)
		return false;
	return f->rip == rip ||
	       (f->interrupt && chariot_domain_text(dom, f->rip));
}

struct chariot_frame *chariot_frame_pop(struct chariot_domain *dom, u64 rip,
					u64 rsp)
{
	struct chariot_frame *f;

	lockdep_assert_held(&dom->vm->lock);
	hash_for_each_possible(dom->frames, f, node, rsp) {
		if (!resumes(dom, f, rip, rsp))
			continue;
		hash_del(&f->node);
		dom->nr_frames--;
		return f;
	}
	return NULL;
}

/*
 * Where kernel code that left the driver's view returns to was looked for on
 * the stack, where old return addresses lie, too.  It is in the driver's text,
 * and above.
 */
struct chariot_frame *chariot_frame_pop_left(struct chariot_domain *dom,
					     u64 rip, u64 rsp)
{
	struct chariot_frame *f;
	int i;

	lockdep_assert_held(&dom->vm->lock);
	hash_for_each(dom->frames, i, f, node) {
		if (!f->left || rsp <= f->left || rsp > f->entry->slot ||
		    !chariot_domain_text(dom, rip))
			continue;
		hash_del(&f->node);
		dom->nr_frames--;
		return f;
	}
	return NULL;
}

/*
 * What is parked would run the driver's function again from its start.  An
 * interrupt that was about to be delivered when it was parked is seen a moment
 * later only.
 */
static void unpark(struct chariot_domain *dom, const struct chariot_frame *f)
{
	struct kvm *kvm = dom->vm->kvm;
	int tries;
	u64 at;

	for (tries = 0; tries < 10; tries++) {
		if (chariot_guest_read_va(kvm, dom->cr, f->saved, &at,
					  sizeof(at)))
			return;
		if (at == f->rip) {
			chariot_guest_write_va(kvm, dom->cr, f->saved,
					       &f->park, sizeof(f->park));
			return;
		}
		usleep_range(500, 1000);
	}
}

void chariot_frames_free(struct chariot_domain *dom)
{
	struct chariot_frame *f;
	struct hlist_node *tmp;
	int i;

	hash_for_each_safe(dom->frames, i, tmp, f, node) {
		if (f->park)
			unpark(dom, f);
		frame_free(dom, f);
	}
}

void chariot_frames_prune(struct chariot_domain *dom, struct chariot_entry *e)
{
	struct chariot_frame *f;
	struct hlist_node *tmp;
	int i;

	if (!dom->nr_frames)
		return;
	hash_for_each_safe(dom->frames, i, tmp, f, node)
		if (f->rsp <= e->slot &&
		    e->slot - f->rsp < chariot_stack_size(dom) &&
		    f->rsp > chariot_entry_base(dom, e))
			frame_free(dom, f);
}

bool chariot_frames_own(struct chariot_domain *dom, u64 gva, u64 len)
{
	struct chariot_frame *f;
	int i;

	hash_for_each(dom->frames, i, f, node)
		if (gva >= f->rsp && gva < f->entry->slot &&
		    len <= f->entry->slot - gva)
			return true;
	return false;
}
