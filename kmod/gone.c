// SPDX-License-Identifier: GPL-2.0
/* What a driver has given back.  Called by ask, domain and life. */
#include "gone.h"

#include <linux/interval_tree_generic.h>
#include <linux/slab.h>

struct gone {
	struct rb_node rb;
	u64 start, last, subtree_last;	/* gva, inclusive */
	u64 when;
	struct list_head node;
};

#define GONE_START(o)	((o)->start)
#define GONE_LAST(o)	((o)->last)
INTERVAL_TREE_DEFINE(struct gone, rb, u64, subtree_last, GONE_START, GONE_LAST,
		     static __maybe_unused, gone)

void chariot_gone_init(struct chariot_gone *g)
{
	g->tree = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&g->list);
	g->nr = 0;
}

static void drop(struct chariot_gone *g, struct gone *o)
{
	gone_remove(o, &g->tree);
	list_del(&o->node);
	g->nr--;
	kfree(o);
}

void chariot_gone_destroy(struct chariot_gone *g)
{
	struct gone *o, *next;

	list_for_each_entry_safe(o, next, &g->list, node)
		kfree(o);
}

size_t chariot_gone_memory(const struct chariot_gone *g)
{
	return g->nr * sizeof(struct gone);
}

void chariot_gone_forget(struct chariot_gone *g, u64 gva, u64 len)
{
	struct gone *o;

	while ((o = gone_iter_first(&g->tree, gva, gva + len - 1)))
		drop(g, o);
}

void chariot_gone_add(struct chariot_gone *g, u64 gva, u64 len, u64 when)
{
	struct gone *o;

	chariot_gone_forget(g, gva, len);
	if (g->nr == CHARIOT_MAX_GONE)
		drop(g, list_first_entry(&g->list, struct gone, node));
	o = kmalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	if (!o)
		return;
	o->start = gva;
	o->last = gva + len - 1;
	o->when = when;
	gone_insert(o, &g->tree);
	list_add_tail(&o->node, &g->list);
	g->nr++;
}

bool chariot_gone_has(struct chariot_gone *g, u64 gva, u64 len)
{
	return gone_iter_first(&g->tree, gva, gva + len - 1);
}

bool chariot_gone_after(struct chariot_gone *g, u64 gva, u64 when)
{
	struct gone *o = g->nr ? gone_iter_first(&g->tree, gva, gva) : NULL;

	return o && o->when > when;
}
