// SPDX-License-Identifier: GPL-2.0
/* Driver code that waits for its turn.  Called by all above it. */
#include "frame.h"
#include "stack.h"

#include <linux/slab.h>

void chariot_frame_take(struct chariot_domain *dom, struct chariot_frame *f)
{
	rb_erase(&f->node, &dom->frames);
	dom->nr_frames--;
	dom->vm->nr_frames--;
}

static void frame_free(struct chariot_domain *dom, struct chariot_frame *f)
{
	chariot_frame_take(dom, f);
	kfree(f->entry);
	kfree(f);
}

struct chariot_frame *chariot_frame_from(struct chariot_domain *dom, u64 from)
{
	struct rb_node *n = dom->frames.rb_node;
	struct chariot_frame *f, *best = NULL;

	lockdep_assert_held(&dom->vm->lock);
	while (n) {
		f = rb_entry(n, struct chariot_frame, node);
		if (f->rsp >= from) {
			best = f;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return best;
}

static struct chariot_frame *frame_at(struct chariot_domain *dom, u64 rsp)
{
	struct chariot_frame *f = chariot_frame_from(dom, rsp);

	return f && f->rsp == rsp ? f : NULL;
}

static bool frame_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct chariot_frame, node)->rsp <
	       rb_entry(b, struct chariot_frame, node)->rsp;
}

/* The stack is gone, or something else is where the driver was called. */
static bool is_dead(struct chariot_domain *dom, const struct chariot_frame *f)
{
	struct kvm *kvm = dom->vm->kvm;
	struct chariot_walk w;
	u64 ret;

	if (chariot_guest_walk(kvm, dom->cr, f->rsp, &w))
		return true;
	return f->entry && f->entry->ret &&
	       (chariot_guest_read_va(kvm, dom->cr, f->entry->slot, &ret,
				      sizeof(ret)) || ret != f->entry->ret);
}

#define MIN_DEAD	(CHARIOT_MAX_FRAMES / 16)	/* else a guest has us look for each */

/* Threads that were ended in a driver leave theirs behind.  False: too few have. */
static bool drop_dead(struct chariot_vm *vm)
{
	struct chariot_frame *f, *next;
	struct chariot_domain *dom;
	u32 nr, dead = 0;

	for (nr = 1; nr < CHARIOT_WATCH_VIEW; nr++) {
		dom = chariot_domain_of(vm, nr);
		f = dom ? chariot_frame_from(dom, 0) : NULL;
		for (; f; f = next) {
			next = chariot_frame_after(f);
			cond_resched();
			if (!is_dead(dom, f))
				continue;
			frame_free(dom, f);
			dead++;
		}
	}
	return dead >= MIN_DEAD;
}

int chariot_frame_push(struct chariot_domain *dom, struct chariot_frame *frame)
{
	struct chariot_frame *old = frame_at(dom, frame->rsp);

	if (old)
		frame_free(dom, old);
	if (dom->vm->nr_frames >= CHARIOT_MAX_FRAMES && !drop_dead(dom->vm)) {
		kfree(frame->entry);
		kfree(frame);
		return -ENOSPC;
	}
	rb_add(&frame->node, &dom->frames, frame_less);
	dom->nr_frames++;
	dom->vm->nr_frames++;
	return 0;
}

struct chariot_frame *chariot_frame_library(struct chariot_domain *dom,
					    struct chariot_vcpu *vs)
{
	struct chariot_entry *e = vs->entry;
	struct chariot_frame *frame = kzalloc(sizeof(*frame),
					      GFP_KERNEL_ACCOUNT);

	if (!frame)
		return NULL;
	frame->rip = e->library.rip;
	frame->rsp = e->library.rsp;
	frame->fn = e->library.fn;
	frame->tail = e->library.tail;
	frame->gate = chariot_gate_of(dom, frame->fn);
	memcpy(frame->args, e->library.args, sizeof(frame->args));
	frame->entry = e;
	e->library.rip = 0;
	vs->entry = NULL;
	return frame;
}

int chariot_frame_push_library(struct chariot_domain *dom, struct chariot_vcpu *vs)
{
	struct chariot_frame *frame = chariot_frame_library(dom, vs);

	vs->view = 0;
	if (!frame)
		return -ENOMEM;
	return chariot_frame_push(dom, frame);
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
	struct chariot_frame *f = frame_at(dom, rsp);

	if (!f || !resumes(dom, f, rip, rsp))
		return NULL;
	chariot_frame_take(dom, f);
	return f;
}

/*
 * Where kernel code that left the driver's view returns to was looked for on
 * the stack, where old return addresses lie, too.  It is in the driver's text,
 * and above.
 */
struct chariot_frame *chariot_frame_pop_left(struct chariot_domain *dom,
					     u64 rip, u64 rsp)
{
	u64 size = chariot_stack_size(dom);
	struct chariot_frame *f;

	if (!chariot_domain_text(dom, rip))
		return NULL;
	for_each_frame(f, dom, rsp - size, rsp + size) {
		if (!f->left || !f->entry || rsp <= f->left ||
		    rsp > f->entry->slot)
			continue;
		chariot_frame_take(dom, f);
		return f;
	}
	return NULL;
}

void chariot_frames_free(struct chariot_domain *dom)
{
	struct rb_node *n;

	while ((n = rb_first(&dom->frames)))
		frame_free(dom, rb_entry(n, struct chariot_frame, node));
}

void chariot_frames_prune(struct chariot_domain *dom, struct chariot_entry *e)
{
	u64 low = e->slot - chariot_stack_size(dom);
	struct chariot_frame *f, *next;

	f = chariot_frame_from(dom, low + 1);
	if (!f || f->rsp > e->slot)
		return;
	low = max(low, chariot_entry_base(dom, e));
	for (; f && f->rsp <= e->slot; f = next) {
		next = chariot_frame_after(f);
		if (f->rsp > low)
			frame_free(dom, f);
	}
}

bool chariot_frames_own(struct chariot_domain *dom, u64 gva, u64 len)
{
	struct chariot_frame *f;

	for_each_frame(f, dom, gva - chariot_stack_size(dom), gva + 1)
		if (f->entry && gva < f->entry->slot &&
		    len <= f->entry->slot - gva &&
		    /* Nobody has seen it return. */
		    (dom->mode != CHARIOT_MODE_INLINE || !is_dead(dom, f)))
			return true;
	return false;
}
