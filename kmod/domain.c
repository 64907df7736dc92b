// SPDX-License-Identifier: GPL-2.0
/*
 * Domains: what is the driver's, and what it has been granted.
 * Called by all above it.
 */
#include "domain.h"
#include "cache.h"
#include "view.h"

#include <linux/bsearch.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

static int gate_cmp(const void *a, const void *b)
{
	u64 x = ((const struct chariot_gate *)a)->gva;
	u64 y = ((const struct chariot_gate *)b)->gva;

	return x < y ? -1 : x > y;
}

static const struct chariot_gate *find(const struct chariot_gate *table, u32 nr,
				       u64 gva)
{
	struct chariot_gate key = { .gva = gva };

	return bsearch(&key, table, nr, sizeof(key), gate_cmp);
}

struct chariot_part *chariot_part_next(const struct chariot_domain *dom,
				       const struct chariot_part *p)
{
	u32 i = p ? p->slot + 1 : 0;

	while (i < dom->nr_slots && !dom->parts[i])
		i++;
	return i < dom->nr_slots ? dom->parts[i] : NULL;
}

/* Ranges are by kind (check.c), text first. */
struct chariot_part *chariot_part_at(const struct chariot_domain *dom, u64 gva)
{
	const struct chariot_range *r;
	struct chariot_part *p;

	for_each_part(p, dom)
		for (r = p->ranges; r < p->ranges + p->nr_ranges &&
		     r->kind <= CHARIOT_RANGE_INIT_TEXT; r++)
			if (gva - r->gva < r->len)
				return p;
	return NULL;
}

struct chariot_part *chariot_part_with(const struct chariot_domain *dom,
				       const struct chariot_gate *entry)
{
	struct chariot_part *p;

	for_each_part(p, dom)
		if (entry >= p->entries && entry < p->entries + p->nr_entries)
			return p;
	return NULL;
}

u32 chariot_domain_range(const struct chariot_domain *dom, u64 gva)
{
	u32 i, kind = CHARIOT_NR_RANGE_KINDS;
	struct chariot_part *p;

	for_each_part(p, dom)
		for (i = 0; i < p->nr_ranges && p->ranges[i].kind < kind; i++)
			if (gva - p->ranges[i].gva < p->ranges[i].len)
				kind = p->ranges[i].kind;
	return kind;
}

const struct chariot_gate *chariot_gate_of(const struct chariot_domain *dom, u64 gva)
{
	const struct chariot_gate *g, *found = NULL;
	struct chariot_part *p;

	for_each_part(p, dom) {
		g = find(p->gates, p->nr_gates, gva);
		if (g && (!found || g->nr_ops))
			found = g;
		if (found && found->nr_ops)
			break;
	}
	return found;
}

const struct chariot_gate *chariot_entry_of(const struct chariot_domain *dom, u64 gva)
{
	const struct chariot_gate *g = NULL;
	struct chariot_part *p;

	for_each_part(p, dom) {
		g = find(p->entries, p->nr_entries, gva);
		if (g)
			break;
	}
	return g;
}

/* In one go: by the ops of a gate, or by one call of ours. */
#define MAX_RUN_PAGES	(2 * CHARIOT_MAX_OBJECT >> PAGE_SHIFT)

static void lost_page(void *ctx, u64 gfn, bool whole)
{
	struct chariot_domain *dom = ctx;
	struct chariot_part *p;

	for_each_part(p, dom)
		if (p->cache)
			chariot_cache_lost(dom, p->cache, gfn);
	if (whole && dom->mode != CHARIOT_MODE_INLINE)
		chariot_view_zap(dom->vm, gfn);
}

/* Of the host's memory, for this domain; frames are limited by their number. */
void chariot_domain_account(struct chariot_domain *dom)
{
	u64 now = sizeof(*dom) + dom->tables + dom->act.memory +
		  chariot_gone_memory(&dom->gone_back);

	/* Then it is no longer counted. */
	if (dom->gone)
		return;
	dom->vm->memory += now - dom->memory;
	dom->memory = now;
}

/* A page on which nothing was granted yet costs an entry and, mostly, a byte map. */
#define PAGE_COST	1200

static bool has_room(struct chariot_domain *dom, u64 len)
{
	u64 nr = (len >> PAGE_SHIFT) + 2, parts = min(nr, 2ULL);

	return dom->vm->memory + chariot_act_obj_size(nr) + nr * 16 +
	       parts * PAGE_COST <= CHARIOT_MAX_MEMORY;
}

/* The page tables are the guest's, and may be changed while we look. */
static int find_pages(struct chariot_domain *dom, struct chariot_obj *obj)
{
	u64 at = obj->start & PAGE_MASK;
	struct chariot_walk w;
	int err = 0;
	u32 i;

	for (i = 0; i < obj->nr && !err; i++, at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		obj->gfns[i] = w.gpa >> PAGE_SHIFT;
		/* Before it can become writable as part of a larger page. */
		if (dom->mode != CHARIOT_MODE_INLINE)
			err = chariot_view_split(dom->vm, obj->gfns[i]);
		if (i % 256 == 255) {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
	}
	return err;
}

int chariot_domain_grant(struct chariot_domain *dom, u64 gva, u64 len,
			 u32 source, u64 gate, u64 site)
{
	struct chariot_obj *obj;
	int err;

	if (len && len <= CHARIOT_MAX_OBJECT && !has_room(dom, len))
		return -ENOSPC;
	obj = chariot_act_obj_alloc(gva, len);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	dom->run_pages += obj->nr;
	err = dom->run_pages > MAX_RUN_PAGES ? -ENOSPC : find_pages(dom, obj);
	if (err) {
		kvfree(obj);
		return err;
	}
	obj->source = source;
	obj->gate = gate;
	obj->site = site;
	if (dom->gone_back.nr)
		chariot_gone_forget(&dom->gone_back, gva, len);
	err = chariot_act_grant(&dom->act, obj, lost_page, dom);
	chariot_domain_account(dom);
	return err;
}

#define MAX_HANDED	8192

static int hand(struct chariot_domain *dom, u64 gva, u64 len, u32 source,
		u64 gate, u64 site)
{
	int err = chariot_domain_grant(dom, gva, len, source, gate, site);

	chariot_act_trim(&dom->act, MAX_HANDED, lost_page, dom);
	chariot_domain_account(dom);
	return err;
}

int chariot_domain_hand(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
			u64 site, bool anywhere)
{
	u64 gfn = (gva - dom->kernel.page_offset) >> PAGE_SHIFT;
	int err;

	/* Stacks are not in the direct map; what is on them goes with the call. */
	if (!anywhere && (!dom->kernel.page_offset ||
			  gva < dom->kernel.page_offset ||
			  !kvm_call(kvm_is_visible_gfn)(dom->vm->kvm, gfn)))
		return 0;
	if (chariot_act_has(&dom->act, gva, len))
		return 0;
	err = hand(dom, gva, len, CHARIOT_SRC_ARGUMENT, gate, site);
	return err == -EFAULT || err == -EINVAL ? 0 : err;
}

/* Whatever is said: no code, under which address ever. */
static int has_code(struct chariot_domain *dom, u64 gva, u64 len)
{
	struct chariot_walk w;
	u64 at;

	for (at = gva; at - gva < len; at += w.left) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		if (xa_load(&dom->vm->text, w.gpa >> PAGE_SHIFT) ||
		    xa_load(&dom->exec, w.gpa >> PAGE_SHIFT) ||
		    xa_load(&dom->library_exec, w.gpa >> PAGE_SHIFT))
			return -EPERM;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

int chariot_domain_evident(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
			   u64 site)
{
	int err;

	if (!len || len > CHARIOT_MAX_OBJECT || gva + len < gva)
		return -EINVAL;
	err = has_code(dom, gva, len);
	if (err)
		return err;
	dom->run_pages = 0;
	err = hand(dom, gva, len, CHARIOT_SRC_EVIDENCE, gate, site);
	if (!err)
		dom->stats.evidence++;
	return err;
}

int chariot_domain_revoke(struct chariot_domain *dom, u64 gva, u64 clock)
{
	int err = chariot_act_revoke(&dom->act, gva, clock, lost_page, dom);

	chariot_domain_account(dom);
	return err;
}

int chariot_domain_freed(struct chariot_domain *dom, u64 gva, bool for_good)
{
	struct chariot_obj *obj = for_good ? chariot_act_next(&dom->act, gva) :
					     NULL;
	int err;

	if (obj && obj->start == gva)
		chariot_gone_add(&dom->gone_back, gva, obj->last - gva + 1,
				 ++dom->clock);
	err = chariot_act_free(&dom->act, gva, lost_page, dom);
	chariot_domain_account(dom);
	return err;
}

static void fill_object(struct chariot_object *row,
			const struct chariot_obj *obj)
{
	row->gva = obj->start;
	row->len = obj->last - obj->start + 1;
	row->gate = obj->gate;
	row->site = obj->site;
	row->source = obj->source;
}

void chariot_domain_near(struct chariot_domain *dom, u64 gva,
			 struct chariot_object near[2])
{
	struct chariot_obj *below = chariot_act_prev(&dom->act, gva);
	struct chariot_obj *above = chariot_act_next(&dom->act, gva);

	if (below)
		fill_object(&near[0], below);
	if (above)
		fill_object(&near[1], above);
}

void chariot_domain_trap(struct chariot_domain *dom, u64 gva)
{
	struct chariot_walk w;

	if (!chariot_guest_walk(dom->vm->kvm, dom->cr, gva, &w) &&
	    xa_erase(&dom->exec, w.gpa >> PAGE_SHIFT))
		chariot_view_zap(dom->vm, w.gpa >> PAGE_SHIFT);
}

void chariot_stats_add(struct chariot_stats *to,
		       const struct chariot_stats *from)
{
#define ADD(name, exit, text)	to->name += from->name;
	CHARIOT_COUNTERS(ADD)
#undef ADD
}
