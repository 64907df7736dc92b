/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The access control table of a domain: what it may write.
 *
 * Pages by gfn, for the check: a page is wholly the domain's, or shared and
 * has a byte map.  Objects by gva, for revocation and provenance; they may
 * overlap.  Pure data: nothing here knows of KVM.
 *
 * Changes are serialised by the caller.  chariot_act_full() may run at any
 * time under rcu_read_lock().
 */
#ifndef CHARIOT_ACT_H
#define CHARIOT_ACT_H

#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <linux/chariot.h>

struct chariot_obj {
	struct rb_node rb;
	u64 start, last, subtree_last;	/* gva, inclusive */
	u64 gate, site;
	u64 when;			/* act->clock, when it was granted */
	struct list_head handed;	/* of SRC_ARGUMENT and _EVIDENCE, or of SRC_FREED */
	u32 source;			/* CHARIOT_SRC_* */
	u32 nr;
	u64 gfns[];			/* of each page that it touches */
};

struct chariot_act {
	struct xarray pages;
	struct rb_root_cached objects;
	struct list_head handed, freed;	/* oldest first */
	u32 nr_handed, nr_freed, defer;
	u64 nr_objects, nr_full, nr_shared, memory;
	u64 clock;			/* of the last grant */
};

/* Called for each page of which something is lost; @whole: it was writable as a
 * whole, and no longer is. */
typedef void (*chariot_act_lost_fn)(void *ctx, u64 gfn, bool whole);

void chariot_act_init(struct chariot_act *act);
/* No reader may be left. */
void chariot_act_destroy(struct chariot_act *act);

struct chariot_obj *chariot_act_obj_alloc(u64 gva, u64 len);
/* Bytes of one that touches @nr pages. */
size_t chariot_act_obj_size(u32 nr);
/* Takes @obj over, also on failure.  An object at the same start is replaced. */
int chariot_act_grant(struct chariot_act *act, struct chariot_obj *obj,
		      chariot_act_lost_fn lost, void *ctx);
/* The driver has freed it: as revoke, when act->defer others are freed, too.
 * -ENOENT: no object that is not freed starts at @gva. */
int chariot_act_free(struct chariot_act *act, u64 gva,
		     chariot_act_lost_fn lost, void *ctx);
/* -ENOENT: no object starts at @gva; -EAGAIN: it was granted after @clock, 0: never. */
int chariot_act_revoke(struct chariot_act *act, u64 gva, u64 clock,
		       chariot_act_lost_fn lost, void *ctx);
/* Drop the oldest objects of SRC_ARGUMENT and SRC_EVIDENCE until there are @max. */
void chariot_act_trim(struct chariot_act *act, u32 max,
		      chariot_act_lost_fn lost, void *ctx);
/* Does one object have [gva, gva + len)?  One of SRC_ARGUMENT is
 * granted anew. */
bool chariot_act_has(struct chariot_act *act, u64 gva, u64 len);
bool chariot_act_full(struct chariot_act *act, u64 gfn);
/* Is anything granted on the page? */
bool chariot_act_some(struct chariot_act *act, u64 gfn);
bool chariot_act_covers(struct chariot_act *act, u64 gfn, unsigned int offset,
			unsigned int len);
/* Is there an object with @gva in it, and none that has [at, at + len) as well? */
bool chariot_act_apart(struct chariot_act *act, u64 gva, u64 at, u64 len);
/* First object that starts at or after @gva; last one that starts below. */
struct chariot_obj *chariot_act_next(struct chariot_act *act, u64 gva);
struct chariot_obj *chariot_act_prev(struct chariot_act *act, u64 gva);

#endif
