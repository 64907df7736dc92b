/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a driver has given back for good, the last of it: what was given before that is
 * no evidence, and the driver cannot give it back again.  Pure data.
 */
#ifndef CHARIOT_GONE_H
#define CHARIOT_GONE_H

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#define CHARIOT_MAX_GONE	8192

struct chariot_gone {
	struct rb_root_cached tree;
	struct list_head list;		/* oldest first */
	u32 nr;
};

void chariot_gone_init(struct chariot_gone *g);
void chariot_gone_destroy(struct chariot_gone *g);
/* Bytes of the host. */
size_t chariot_gone_memory(const struct chariot_gone *g);
/* Without memory it is not remembered. */
void chariot_gone_add(struct chariot_gone *g, u64 gva, u64 len, u64 when);
/* It is the driver's again. */
void chariot_gone_forget(struct chariot_gone *g, u64 gva, u64 len);
bool chariot_gone_has(struct chariot_gone *g, u64 gva, u64 len);
/* Was what is at @gva freed after @when? */
bool chariot_gone_after(struct chariot_gone *g, u64 gva, u64 when);

#endif
