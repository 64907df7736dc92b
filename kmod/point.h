/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Points: an instruction of the guest's kernel, the first of a function, before
 * which the guest stops.  Nothing is written into the guest: the page that it is
 * on cannot be executed in the kernel view, but in CHARIOT_WATCH_VIEW, where
 * nothing else can.  So each way onto the page, and off it, is a fault, and whoever
 * comes to the point from another page is seen.
 */
#ifndef CHARIOT_POINT_H
#define CHARIOT_POINT_H

#include "vm.h"

/* -EFAULT: not mapped; -EEXIST: a driver's text is there; -ENOMEM, -ENOSPC. */
int chariot_point_arm(struct chariot_vm *vm, struct chariot_point *p,
		      struct chariot_cr cr, u64 gva);
void chariot_point_disarm(struct chariot_vm *vm, struct chariot_point *p);
/* Is something else there now? */
bool chariot_point_moved(struct chariot_vm *vm, const struct chariot_point *p,
			 struct chariot_cr cr);

#endif
