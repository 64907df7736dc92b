/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver that is two modules, as many are: chariot_whole_core allocates for
 * chariot_whole, and keeps lists of what that has.  Pointers are "void *": no type
 * tells what they lead to.
 */
#ifndef CHARIOT_WHOLE_H
#define CHARIOT_WHOLE_H

#include <linux/list.h>

#define WHOLE_LEN	64	/* bytes of a thing */

void *whole_new(void);
void whole_delete(void *thing);
/* Call @fn for each; the first result but 0 ends it. */
int whole_each(int (*fn)(void *thing));
/* @node is the caller's, and in a list of the core's while it is registered. */
void whole_register(struct list_head *node);
void whole_unregister(struct list_head *node);
/* A wild write. */
void whole_damage(void);

#endif
