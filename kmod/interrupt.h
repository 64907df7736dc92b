/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts and exceptions of a driver, and of kernel code that runs in its view:
 * that is parked (Documentation/design.rst).  Under vm->lock.
 */
#ifndef CHARIOT_INTERRUPT_H
#define CHARIOT_INTERRUPT_H

#include "cross.h"

/* The CPU is on its way to a handler, and cannot save where it was. */
enum chariot_action chariot_suspend(struct chariot_fault *f, const char *why);
/* The fetch of a handler's first instruction. */
enum chariot_action chariot_interrupt(struct chariot_fault *f);

#endif
