// SPDX-License-Identifier: GPL-2.0
#include "act.h"

#include <linux/bitmap.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/slab.h>

struct act_page {
	struct rcu_head rcu;
	unsigned int count;		/* granted bytes */
	DECLARE_BITMAP(map, PAGE_SIZE);
};

#define FULL	xa_mk_value(1)

#define OBJ_START(o)	((o)->start)
#define OBJ_LAST(o)	((o)->last)
INTERVAL_TREE_DEFINE(struct chariot_obj, rb, u64, subtree_last,
		     OBJ_START, OBJ_LAST, static, obj)

void chariot_act_init(struct chariot_act *act)
{
	memset(act, 0, sizeof(*act));
	xa_init(&act->pages);
	act->objects = RB_ROOT_CACHED;
}

void chariot_act_destroy(struct chariot_act *act)
{
	struct chariot_obj *obj, *next;
	unsigned long gfn;
	void *entry;

	xa_for_each(&act->pages, gfn, entry)
		if (!xa_is_value(entry))
			kfree(entry);
	xa_destroy(&act->pages);
	rbtree_postorder_for_each_entry_safe(obj, next,
					     &act->objects.rb_root, rb)
		kvfree(obj);
}

static size_t obj_size(u32 nr)
{
	return struct_size((struct chariot_obj *)0, gfns, nr);
}

struct chariot_obj *chariot_act_obj_alloc(u64 gva, u64 len)
{
	u64 last = gva + len - 1;
	struct chariot_obj *obj;
	u32 nr;

	if (!len || last < gva || len > CHARIOT_MAX_OBJECT)
		return ERR_PTR(-EINVAL);
	nr = (last >> PAGE_SHIFT) - (gva >> PAGE_SHIFT) + 1;
	obj = kvzalloc(obj_size(nr), GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->start = gva;
	obj->last = last;
	obj->nr = nr;
	return obj;
}

/* Offset and length of the part of @obj that lies on its page @i. */
static unsigned int obj_part(const struct chariot_obj *obj, u32 i,
			     unsigned int *len)
{
	u64 page = (obj->start & PAGE_MASK) + ((u64)i << PAGE_SHIFT);
	u64 from = max(obj->start, page);
	u64 to = min(obj->last, page + PAGE_SIZE - 1);

	*len = to - from + 1;
	return from - page;
}

static bool entry_full(void *entry)
{
	if (!entry)
		return false;
	if (xa_is_value(entry))
		return true;
	return READ_ONCE(((struct act_page *)entry)->count) == PAGE_SIZE;
}

bool chariot_act_full(struct chariot_act *act, u64 gfn)
{
	return entry_full(xa_load(&act->pages, gfn));
}

bool chariot_act_covers(struct chariot_act *act, u64 gfn, unsigned int offset,
			unsigned int len)
{
	struct act_page *page = xa_load(&act->pages, gfn);

	if (!page || xa_is_value(page))
		return page;
	return find_next_zero_bit(page->map, offset + len, offset) >=
	       offset + len;
}

static void page_put(struct chariot_act *act, void *entry)
{
	if (xa_is_value(entry)) {
		act->nr_full--;
	} else if (entry) {
		act->nr_shared--;
		act->memory -= sizeof(struct act_page);
		kfree_rcu((struct act_page *)entry, rcu);
	}
}

static int page_make_full(struct chariot_act *act, u64 gfn)
{
	void *old = xa_store(&act->pages, gfn, FULL, GFP_KERNEL_ACCOUNT);

	if (xa_is_err(old))
		return xa_err(old);
	page_put(act, old);
	act->nr_full++;
	return 0;
}

static struct act_page *page_make_shared(struct chariot_act *act, u64 gfn)
{
	struct act_page *page = kzalloc(sizeof(*page), GFP_KERNEL_ACCOUNT);
	void *old;

	if (!page)
		return ERR_PTR(-ENOMEM);
	old = xa_store(&act->pages, gfn, page, GFP_KERNEL_ACCOUNT);
	if (xa_is_err(old)) {
		kfree(page);
		return ERR_PTR(xa_err(old));
	}
	act->nr_shared++;
	act->memory += sizeof(*page);
	return page;
}

static int page_set(struct chariot_act *act, u64 gfn, unsigned int offset,
		    unsigned int len)
{
	struct act_page *page = xa_load(&act->pages, gfn);

	if (xa_is_value(page))
		return 0;
	if (len == PAGE_SIZE)
		return page_make_full(act, gfn);
	if (!page) {
		page = page_make_shared(act, gfn);
		if (IS_ERR(page))
			return PTR_ERR(page);
	}
	bitmap_set(page->map, offset, len);
	WRITE_ONCE(page->count, bitmap_weight(page->map, PAGE_SIZE));
	return 0;
}

/* Grant again what other objects have of the page that lost @gone's part. */
static int page_regrant(struct chariot_act *act, u64 gva, u64 gfn)
{
	struct chariot_obj *o;
	unsigned int offset, len;
	u32 i;
	int err;

	gva &= PAGE_MASK;
	for (o = obj_iter_first(&act->objects, gva, gva + PAGE_SIZE - 1); o;
	     o = obj_iter_next(o, gva, gva + PAGE_SIZE - 1)) {
		i = (gva >> PAGE_SHIFT) - (o->start >> PAGE_SHIFT);
		if (o->gfns[i] != gfn)
			continue;
		offset = obj_part(o, i, &len);
		err = page_set(act, gfn, offset, len);
		if (err)
			return err;
	}
	return 0;
}

static int page_clear(struct chariot_act *act, u64 gva, u64 gfn,
		      unsigned int offset, unsigned int len)
{
	struct act_page *page = xa_load(&act->pages, gfn);

	if (!page)
		return 0;
	if (!xa_is_value(page)) {
		bitmap_clear(page->map, offset, len);
		WRITE_ONCE(page->count, bitmap_weight(page->map, PAGE_SIZE));
	}
	if (xa_is_value(page) || !page->count) {
		xa_erase(&act->pages, gfn);
		page_put(act, page);
	}
	return page_regrant(act, gva, gfn);
}

static int obj_clear(struct chariot_act *act, struct chariot_obj *obj,
		     chariot_act_lost_fn lost, void *ctx)
{
	unsigned int offset, len;
	bool was;
	u64 gva;
	u32 i;
	int r, err = 0;

	for (i = 0; i < obj->nr; i++) {
		offset = obj_part(obj, i, &len);
		gva = (obj->start & PAGE_MASK) + ((u64)i << PAGE_SHIFT);
		was = chariot_act_full(act, obj->gfns[i]);
		r = page_clear(act, gva, obj->gfns[i], offset, len);
		if (r)
			err = r;
		if (was && !chariot_act_full(act, obj->gfns[i]))
			lost(ctx, obj->gfns[i]);
	}
	return err;
}

static int obj_drop(struct chariot_act *act, struct chariot_obj *obj,
		    chariot_act_lost_fn lost, void *ctx)
{
	int err;

	obj_remove(obj, &act->objects);
	act->nr_objects--;
	act->memory -= obj_size(obj->nr);
	err = obj_clear(act, obj, lost, ctx);
	kvfree(obj);
	return err;
}

static struct chariot_obj *obj_at(struct chariot_act *act, u64 gva)
{
	struct chariot_obj *o = obj_iter_first(&act->objects, gva, gva);

	while (o && o->start != gva)
		o = obj_iter_next(o, gva, gva);
	return o;
}

int chariot_act_grant(struct chariot_act *act, struct chariot_obj *obj,
		      chariot_act_lost_fn lost, void *ctx)
{
	struct chariot_obj *old = obj_at(act, obj->start);
	unsigned int offset, len;
	u32 i;
	int err = 0;

	if (old)
		err = obj_drop(act, old, lost, ctx);
	for (i = 0; i < obj->nr && !err; i++) {
		offset = obj_part(obj, i, &len);
		err = page_set(act, obj->gfns[i], offset, len);
	}
	obj_insert(obj, &act->objects);
	act->nr_objects++;
	act->memory += obj_size(obj->nr);
	if (err)
		obj_drop(act, obj, lost, ctx);
	return err;
}

int chariot_act_revoke(struct chariot_act *act, u64 gva,
		       chariot_act_lost_fn lost, void *ctx)
{
	struct chariot_obj *obj = obj_at(act, gva);

	if (!obj)
		return -ENOENT;
	return obj_drop(act, obj, lost, ctx);
}

struct chariot_obj *chariot_act_next(struct chariot_act *act, u64 gva)
{
	struct rb_node *n = act->objects.rb_root.rb_node;
	struct chariot_obj *o, *best = NULL;

	while (n) {
		o = rb_entry(n, struct chariot_obj, rb);
		if (o->start >= gva) {
			best = o;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return best;
}

struct chariot_obj *chariot_act_prev(struct chariot_act *act, u64 gva)
{
	struct rb_node *n = act->objects.rb_root.rb_node;
	struct chariot_obj *o, *best = NULL;

	while (n) {
		o = rb_entry(n, struct chariot_obj, rb);
		if (o->start < gva) {
			best = o;
			n = n->rb_right;
		} else {
			n = n->rb_left;
		}
	}
	return best;
}
