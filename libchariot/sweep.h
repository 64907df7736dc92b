/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel has freed on its own, of what drivers may write: no gate sees that.
 * The guest's own bookkeeping tells; it is asked from time to time, a part each time.
 */
#ifndef CHARIOT_SWEEP_H
#define CHARIOT_SWEEP_H

#include "object.h"
#include "vm.h"

struct sweep;

/* NULL: no memory. */
struct sweep *sweep_new(void);
void sweep_free(struct sweep *w);

/* Another domain has that number: its ACT's clock begins anew. */
void sweep_forget(struct sweep *w, uint32_t domain);

/* @now: milliseconds, of a clock that does not go back. */

/* Milliseconds until there may be something to do; -1: there is no domain. */
int sweep_timeout(const struct sweep *w, int64_t now);

/* Does nothing before its time.  @x: of the kernel that @vm runs. */
void sweep_run(struct sweep *w, struct chariot_vm *vm, struct object_index *x,
	       int64_t now);

#endif
