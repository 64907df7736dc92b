// SPDX-License-Identifier: GPL-2.0
/* Access control tables: which bytes a driver may write.  Called by all above it. */
#include "act.h"

#include <linux/bitmap.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/slab.h>

/*
 * An entry of the XArray is the number of objects that have the page as a whole
 * (more than one: it is mapped at several addresses), or this.
 */
struct act_page {
	struct rcu_head rcu;
	unsigned int whole;		/* objects that have it as a whole */
	unsigned int count;		/* bytes of the others */
	DECLARE_BITMAP(map, PAGE_SIZE);
};

#define OBJ_START(o)	((o)->start)
#define OBJ_LAST(o)	((o)->last)
INTERVAL_TREE_DEFINE(struct chariot_obj, rb, u64, subtree_last,
		     OBJ_START, OBJ_LAST, static, obj)

void chariot_act_init(struct chariot_act *act)
{
	memset(act, 0, sizeof(*act));
	xa_init_flags(&act->pages, XA_FLAGS_ACCOUNT);
	act->objects = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&act->handed);
	INIT_LIST_HEAD(&act->freed);
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

size_t chariot_act_obj_size(u32 nr)
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
	obj = kvzalloc(chariot_act_obj_size(nr), GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->start = gva;
	obj->last = last;
	obj->nr = nr;
	INIT_LIST_HEAD(&obj->handed);
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
	struct act_page *page = entry;

	if (!entry || xa_is_value(entry))
		return entry;
	return READ_ONCE(page->whole) || READ_ONCE(page->count) == PAGE_SIZE;
}

bool chariot_act_full(struct chariot_act *act, u64 gfn)
{
	return entry_full(xa_load(&act->pages, gfn));
}

bool chariot_act_some(struct chariot_act *act, u64 gfn)
{
	return xa_load(&act->pages, gfn);
}

bool chariot_act_covers(struct chariot_act *act, u64 gfn, unsigned int offset,
			unsigned int len)
{
	struct act_page *page = xa_load(&act->pages, gfn);

	if (entry_full(page))
		return true;
	return page && find_next_zero_bit(page->map, offset + len, offset) >=
		       offset + len;
}

static void count_entry(struct chariot_act *act, void *entry, int n)
{
	if (xa_is_value(entry)) {
		act->nr_full += n;
	} else if (entry) {
		act->nr_shared += n;
		act->memory += n * (int)sizeof(struct act_page);
	}
}

static int page_store(struct chariot_act *act, u64 gfn, void *entry)
{
	void *old = xa_store(&act->pages, gfn, entry, GFP_KERNEL_ACCOUNT);

	if (xa_is_err(old))
		return xa_err(old);
	count_entry(act, old, -1);
	count_entry(act, entry, 1);
	if (old && !xa_is_value(old))
		kfree_rcu((struct act_page *)old, rcu);
	return 0;
}

/* The page's byte map, made if there is none. */
static struct act_page *page_map(struct chariot_act *act, u64 gfn)
{
	void *entry = xa_load(&act->pages, gfn);
	struct act_page *page;
	int err;

	if (entry && !xa_is_value(entry))
		return entry;
	page = kzalloc(sizeof(*page), GFP_KERNEL_ACCOUNT);
	if (!page)
		return ERR_PTR(-ENOMEM);
	page->whole = entry ? xa_to_value(entry) : 0;
	err = page_store(act, gfn, page);
	if (err) {
		kfree(page);
		return ERR_PTR(err);
	}
	return page;
}

static int page_set_whole(struct chariot_act *act, u64 gfn)
{
	struct act_page *page = xa_load(&act->pages, gfn);

	if (page && !xa_is_value(page)) {
		WRITE_ONCE(page->whole, page->whole + 1);
		return 0;
	}
	return page_store(act, gfn,
			  xa_mk_value(page ? xa_to_value(page) + 1 : 1));
}

static int page_set(struct chariot_act *act, u64 gfn, unsigned int offset,
		    unsigned int len)
{
	struct act_page *page;

	if (len == PAGE_SIZE)
		return page_set_whole(act, gfn);
	page = page_map(act, gfn);
	if (IS_ERR(page))
		return PTR_ERR(page);
	bitmap_set(page->map, offset, len);
	WRITE_ONCE(page->count, bitmap_weight(page->map, PAGE_SIZE));
	return 0;
}

static void page_clear_whole(struct chariot_act *act, u64 gfn)
{
	struct act_page *page = xa_load(&act->pages, gfn);

	if (xa_is_value(page) && xa_to_value(page) > 1)
		/* In place: needs no memory. */
		page_store(act, gfn, xa_mk_value(xa_to_value(page) - 1));
	else if (xa_is_value(page) || (page && page->whole == 1 && !page->count))
		page_store(act, gfn, NULL);
	else if (page && page->whole)
		WRITE_ONCE(page->whole, page->whole - 1);
}

/*
 * Take those bytes off the map, and put back what other objects have of them.
 * Parts of a page that lie at another address are not looked for: nobody gets
 * the same part of a page twice.
 */
static void page_clear_part(struct chariot_act *act, u64 gva, u64 gfn,
			    unsigned int offset, unsigned int len)
{
	struct act_page *page = xa_load(&act->pages, gfn);
	struct chariot_obj *o;
	u32 i;

	if (!page || xa_is_value(page))
		return;
	bitmap_clear(page->map, offset, len);
	gva &= PAGE_MASK;
	for (o = obj_iter_first(&act->objects, gva, gva + PAGE_SIZE - 1); o;
	     o = obj_iter_next(o, gva, gva + PAGE_SIZE - 1)) {
		i = (gva >> PAGE_SHIFT) - (o->start >> PAGE_SHIFT);
		offset = obj_part(o, i, &len);
		if (o->gfns[i] == gfn && len < PAGE_SIZE)
			bitmap_set(page->map, offset, len);
	}
	WRITE_ONCE(page->count, bitmap_weight(page->map, PAGE_SIZE));
	if (!page->count && !page->whole)
		page_store(act, gfn, NULL);
}

static void obj_clear(struct chariot_act *act, struct chariot_obj *obj,
		     chariot_act_lost_fn lost, void *ctx)
{
	unsigned int offset, len;
	bool was;
	u64 gva;
	u32 i;

	for (i = 0; i < obj->nr; i++) {
		offset = obj_part(obj, i, &len);
		gva = (obj->start & PAGE_MASK) + ((u64)i << PAGE_SHIFT);
		was = chariot_act_full(act, obj->gfns[i]);
		if (len == PAGE_SIZE)
			page_clear_whole(act, obj->gfns[i]);
		else
			page_clear_part(act, gva, obj->gfns[i], offset, len);
		if (!chariot_act_full(act, obj->gfns[i]))
			lost(ctx, obj->gfns[i], was);
	}
}

/* Off the list of those that go when there are too many. */
static void unlist(struct chariot_act *act, struct chariot_obj *obj)
{
	if (list_empty(&obj->handed))
		return;
	list_del_init(&obj->handed);
	if (obj->source == CHARIOT_SRC_FREED)
		act->nr_freed--;
	else
		act->nr_handed--;
}

static void obj_drop(struct chariot_act *act, struct chariot_obj *obj,
		    chariot_act_lost_fn lost, void *ctx)
{
	obj_remove(obj, &act->objects);
	unlist(act, obj);
	act->nr_objects--;
	act->memory -= chariot_act_obj_size(obj->nr);
	obj_clear(act, obj, lost, ctx);
	kvfree(obj);
}

/* No two start at the same address. */
static struct chariot_obj *obj_at(struct chariot_act *act, u64 gva)
{
	struct chariot_obj *o = chariot_act_next(act, gva);

	return o && o->start == gva ? o : NULL;
}

int chariot_act_grant(struct chariot_act *act, struct chariot_obj *obj,
		      chariot_act_lost_fn lost, void *ctx)
{
	struct chariot_obj *old = obj_at(act, obj->start);
	unsigned int offset, len;
	int err = 0;
	u32 i;

	for (i = 0; i < obj->nr && !err; i++) {
		offset = obj_part(obj, i, &len);
		err = page_set(act, obj->gfns[i], offset, len);
	}
	if (err) {
		/* What was set, and no more. */
		obj->nr = i - 1;
		obj_clear(act, obj, lost, ctx);
		kvfree(obj);
		return err;
	}
	obj->when = ++act->clock;
	obj_insert(obj, &act->objects);
	if (obj->source == CHARIOT_SRC_ARGUMENT ||
	    obj->source == CHARIOT_SRC_EVIDENCE) {
		list_add_tail(&obj->handed, &act->handed);
		act->nr_handed++;
	}
	act->nr_objects++;
	act->memory += chariot_act_obj_size(obj->nr);
	/* Last: what both have stays writable in between. */
	if (old)
		obj_drop(act, old, lost, ctx);
	return 0;
}

int chariot_act_revoke(struct chariot_act *act, u64 gva, u64 clock,
		       chariot_act_lost_fn lost, void *ctx)
{
	struct chariot_obj *obj = obj_at(act, gva);

	if (!obj)
		return -ENOENT;
	if (clock && obj->when > clock)
		return -EAGAIN;
	obj_drop(act, obj, lost, ctx);
	return 0;
}

int chariot_act_free(struct chariot_act *act, u64 gva,
		     chariot_act_lost_fn lost, void *ctx)
{
	struct chariot_obj *obj = obj_at(act, gva);

	if (!obj || obj->source == CHARIOT_SRC_FREED)
		return -ENOENT;
	unlist(act, obj);
	obj->source = CHARIOT_SRC_FREED;
	list_add_tail(&obj->handed, &act->freed);
	act->nr_freed++;
	if (act->nr_freed > act->defer)
		obj_drop(act, list_first_entry(&act->freed, struct chariot_obj,
					       handed), lost, ctx);
	return 0;
}

void chariot_act_trim(struct chariot_act *act, u32 max,
		      chariot_act_lost_fn lost, void *ctx)
{
	while (act->nr_handed > max)
		obj_drop(act, list_first_entry(&act->handed, struct chariot_obj,
					       handed), lost, ctx);
}

bool chariot_act_has(struct chariot_act *act, u64 gva, u64 len)
{
	u64 last = gva + len - 1;
	struct chariot_obj *o;

	for (o = obj_iter_first(&act->objects, gva, gva); o;
	     o = obj_iter_next(o, gva, gva)) {
		if (o->last < last || o->source == CHARIOT_SRC_FREED)
			continue;
		if (!list_empty(&o->handed)) {
			list_move_tail(&o->handed, &act->handed);
			o->when = ++act->clock;
		}
		return true;
	}
	return false;
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

bool chariot_act_apart(struct chariot_act *act, u64 gva, u64 at, u64 len)
{
	struct chariot_obj *first = obj_iter_first(&act->objects, gva, gva), *o;

	for (o = first; o; o = obj_iter_next(o, gva, gva))
		if (at >= o->start && at <= o->last &&
		    len - 1 <= o->last - at)
			return false;
	return first;
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
