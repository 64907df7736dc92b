/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The image of a module, before the guest's loader looks at it: the guest stops where its
 * loader calls a function, and calls functions of its own for whoever answers
 * (CHARIOT_CALL).
 *
 * The page of that call is a watched one, and the function is on another.  So the call
 * leaves the view of watched pages, with RIP at the function's first instruction; or an
 * interrupt does, and is to return there.  From then on the guest's thread is, as far as
 * it knows, at a "ret" on the watched page: that cannot be executed in the kernel view, so
 * whatever comes between, it is seen there again; and if we are gone, it is as if the
 * function had returned.  There, too, return the functions that we have it call.
 *
 * A thread is known by its stack, and not by the vCPU: what it calls may sleep.
 */
#ifndef CHARIOT_IMAGE_H
#define CHARIOT_IMAGE_H

#include "cross.h"

/* All under vm->lock.  @site: the call; @fn: the function. */
int chariot_image_arm(struct chariot_vm *vm, struct chariot_cr cr, u64 site, u64 fn);
void chariot_image_disarm(struct chariot_vm *vm);
/* A fetch outside of the watched pages, in their view.  True: this vCPU has to wait, in
 * the kernel view. */
bool chariot_image_left(struct chariot_fault *f);
/* A fetch on a watched page, in the kernel view.  PASS: it is none of ours. */
enum chariot_action chariot_image_fetch(struct chariot_fault *f);
/* Answers to the event @seq: -ENOENT, -EFAULT, -EINVAL.  continue() also answers others. */
int chariot_image_call(struct chariot_vm *vm, u64 seq, const struct chariot_call *call,
		       u64 cookie);
int chariot_image_continue(struct chariot_vm *vm, const struct chariot_continue *c);

#endif
