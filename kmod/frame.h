/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames: driver code that waits somewhere in the guest for its turn.
 *
 * A frame belongs to a guest thread, not to a vCPU: it is found by the stack
 * pointer at which the driver will run again.  All under vm->lock.
 *
 * The guest can always do without us: what a tail call and a parked interrupt
 * return to is a "ret" of the driver's, which does by itself what we would do.
 */
#ifndef CHARIOT_FRAME_H
#define CHARIOT_FRAME_H

#include "domain.h"

/*
 * Takes @frame over, also on failure; an older frame at the same place is stale and
 * goes.  -ENOSPC: there are CHARIOT_MAX_FRAMES that may still run.
 */
int chariot_frame_push(struct chariot_domain *dom, struct chariot_frame *frame);
/* What waits for the library code that runs on @vs; NULL: no memory. */
struct chariot_frame *chariot_frame_library(struct chariot_domain *dom,
					    struct chariot_vcpu *vs);
/* That is an ordinary call from now on, and runs in the kernel view.  -ENOMEM, -ENOSPC. */
int chariot_frame_push_library(struct chariot_domain *dom, struct chariot_vcpu *vs);
/* Take out the frame that runs on at (rip, rsp); NULL if none does. */
struct chariot_frame *chariot_frame_pop(struct chariot_domain *dom, u64 rip,
					u64 rsp);
/* Take out the frame whose kernel code may have come to (rip, rsp) by itself. */
struct chariot_frame *chariot_frame_pop_left(struct chariot_domain *dom,
					     u64 rip, u64 rsp);
/* Take out @frame, which is the caller's then. */
void chariot_frame_take(struct chariot_domain *dom, struct chariot_frame *frame);
void chariot_frames_free(struct chariot_domain *dom);
/* Forget what waits below @e on its stack: those threads were ended there. */
void chariot_frames_prune(struct chariot_domain *dom, struct chariot_entry *e);
/* Is [gva, gva + len) on the part of a stack that waiting driver code uses? */
bool chariot_frames_own(struct chariot_domain *dom, u64 gva, u64 len);

/* Frames with from <= rsp < to, by rsp. */
struct chariot_frame *chariot_frame_from(struct chariot_domain *dom, u64 from);
static inline struct chariot_frame *
chariot_frame_after(const struct chariot_frame *f)
{
	struct rb_node *n = rb_next(&f->node);

	return n ? rb_entry(n, struct chariot_frame, node) : NULL;
}
#define for_each_frame(f, dom, from, to)				\
	for (f = chariot_frame_from(dom, from); f && f->rsp < (to);	\
	     f = chariot_frame_after(f))

#endif
