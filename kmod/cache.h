/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mode inline: the permission cache in the image of a driver's module, and the rest that
 * the host knows of that image.  Stores that the cache knows come to nobody; an entry of
 * it is the last byte of a line (64 bytes) that is the driver's, all of it.  It has what
 * is in the ACT, and nothing that is only granted for a call; and memory of devices, which
 * nobody need be kept from.
 *
 * It is guest memory, and the guest can write there what it likes: it does so to its own
 * driver.  All under vm->lock but alloc and free.
 */
#ifndef CHARIOT_CACHE_H
#define CHARIOT_CACHE_H

#include "vm.h"

#define CHARIOT_LINE	64ULL

/* An entry that is filled. */
struct chariot_fill {
	struct hlist_node node;		/* by gfn */
	u64 last;			/* as it is in the cache; 0: it is not filled */
	u64 gfn;
	bool device;			/* in no slot, and so in no ACT */
};

#define CHARIOT_FILL_BITS	8

struct chariot_cache {
	u64 cache, data, runtime, left;
	u32 cache_lines, runtime_len, nr_stores, nr_functions, flags;
	u32 next;			/* for chariot_cache_look() */
	struct chariot_store *stores;	/* sorted by ret */
	u64 *functions;
	struct chariot_fill *fills;	/* one for each entry */
	struct hlist_head by_gfn[1 << CHARIOT_FILL_BITS];
};

/* Without its tables; NULL: no memory. */
struct chariot_cache *chariot_cache_alloc(const struct chariot_domain_create *args);
void chariot_cache_free(struct chariot_cache *img);

/* It comes to @dom: an empty cache.  -EFAULT: it is not mapped.  @asks: its init has
 * yet to run, which asks. */
int chariot_cache_join(struct chariot_domain *dom, struct chariot_cache *img, u32 slot,
		       bool asks);
/* What the guest's runtime does from now on (struct chariot_inline_params). */
void chariot_cache_ask(struct chariot_domain *dom, struct chariot_cache *img, bool ask);
void chariot_cache_loaded(struct chariot_domain *dom, struct chariot_cache *img);
void chariot_cache_off(struct chariot_domain *dom, struct chariot_cache *img, bool off);
/* Nothing is known any more. */
void chariot_cache_clear(struct chariot_domain *dom, struct chariot_cache *img);

/* The store whose check the runtime returns to; NULL: there is none. */
const struct chariot_store *chariot_cache_store(const struct chariot_cache *img, u64 ret);

/* The line that @gva is on, if the ACT has all of it; or with @device if no slot has.
 * False: it has not. */
bool chariot_cache_fill(struct chariot_domain *dom, struct chariot_cache *img, u64 gva,
			bool device);
/* The ACT has lost something of @gfn. */
void chariot_cache_lost(struct chariot_domain *dom, struct chariot_cache *img, u64 gfn);
/* Are the next lines of it still right?  The guest may have mapped something else there. */
void chariot_cache_look(struct chariot_domain *dom, struct chariot_cache *img);
/* Count what is in the cache and not in the ACT. */
void chariot_cache_compare(struct chariot_domain *dom, struct chariot_cache *img);

#endif
