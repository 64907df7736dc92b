/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables of a module: copied from a caller of the ioctls, and checked, so that
 * all that works with them need not.  Not under vm->lock: the copy may sleep.
 */
#ifndef CHARIOT_CHECK_H
#define CHARIOT_CHECK_H

#include "vm.h"

/* -EINVAL, -EFAULT, -ENOMEM, -E2BIG: more than the interface allows. */
int chariot_check_tables(struct chariot_part *p,
			 const struct chariot_domain_create *args);
/* One table, @nr rows of @size bytes at @ptr of the caller's; kvfree().
 * -E2BIG: more than @max; -EFAULT, -ENOMEM. */
void *chariot_copy_table(struct chariot_part *p, u64 ptr, u32 nr,
			 size_t size, u32 max);

#endif
