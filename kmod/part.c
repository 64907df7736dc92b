// SPDX-License-Identifier: GPL-2.0
/* Modules of a domain: how they come and go.  Called by life. */
#include "part.h"
#include "check.h"
#include "frame.h"
#include "held.h"
#include "cache.h"
#include "recover.h"
#include "ret.h"
#include "view.h"

#include <linux/slab.h>

struct chariot_part *chariot_part_create(const struct chariot_domain_create *args,
					 const char *name)
{
	struct chariot_part *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	int err;

	if (!p)
		return ERR_PTR(-ENOMEM);
	strscpy(p->name, name, sizeof(p->name));
	p->tables = sizeof(*p);
	err = chariot_check_tables(p, args) ?:
	      chariot_recover_create(p, &args->recover);
	if (!err)
		return p;
	chariot_part_free(p);
	return ERR_PTR(err);
}

void chariot_part_free(struct chariot_part *p)
{
	kvfree(p->ranges);
	kvfree(p->gates);
	kvfree(p->entries);
	kvfree(p->ops);
	chariot_cache_free(p->cache);
	chariot_recover_free(p);
	kfree(p);
}

/* Ranges are by kind, and those come last. */
bool chariot_part_library(const struct chariot_part *p)
{
	return p->nr_ranges &&
	       p->ranges[p->nr_ranges - 1].kind == CHARIOT_RANGE_LIBRARY;
}

/* ---- pages ---------------------------------------------------------------- */

/* In dom->exec: text has its part's slot, and so has the rest of an image. */
#define INHERITED	xa_mk_value(CHARIOT_MAX_MODULES)
#define WANTED		XA_MARK_0	/* inherited by the part that comes, too */

/* In vm->text. */
static void *text_of(const struct chariot_domain *dom)
{
	return xa_mk_value(dom->nr | (dom->mode == CHARIOT_MODE_INLINE ?
				      CHARIOT_RUNS_INLINE : 0));
}

/* Text of a module: fetched in the domain's view, trapped in the kernel view. */
static int map_text(struct chariot_domain *dom, const struct chariot_part *p,
		    const struct chariot_range *r)
{
	struct chariot_vm *vm = dom->vm;
	struct chariot_walk w;
	u64 at, gfn;
	int err;

	for (at = r->gva; at < r->gva + r->len; at += PAGE_SIZE) {
		if (chariot_guest_walk(vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		gfn = w.gpa >> PAGE_SHIFT;
		if (xa_load(&vm->text, gfn))
			return -EEXIST;
		err = (p->cache ? 0 : chariot_view_split(vm, gfn)) ?:
		      xa_err(xa_store(&dom->exec, gfn, xa_mk_value(p->slot),
				      GFP_KERNEL_ACCOUNT)) ?:
		      xa_err(xa_store(&vm->text, gfn, text_of(dom),
				      GFP_KERNEL_ACCOUNT));
		if (err)
			return err;
	}
	return 0;
}

/*
 * A page is inherited if all modules want it: one that does not has a gate on it,
 * and checks in its own table for what others would inherit there.
 */
static int map_inherit(struct chariot_domain *dom, bool first,
		       const struct chariot_range *r)
{
	struct chariot_walk w;
	u64 at, gfn;
	int err = 0;

	for (at = r->gva & PAGE_MASK; at < r->gva + r->len && !err; at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		gfn = w.gpa >> PAGE_SHIFT;
		if (first)
			err = chariot_view_split(dom->vm, gfn) ?:
			      xa_err(xa_store(&dom->exec, gfn, INHERITED,
					      GFP_KERNEL_ACCOUNT));
		xa_set_mark(&dom->exec, gfn, WANTED);
	}
	return err;
}

/* The pages of library code, and what it needs of those that are inherited. */
static int map_library(struct chariot_domain *dom, const struct chariot_range *r)
{
	struct chariot_walk w;
	u64 at;
	int err = 0;

	for (at = r->gva & PAGE_MASK; at < r->gva + r->len && !err; at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		if (xa_load(&dom->library_exec, w.gpa >> PAGE_SHIFT))
			continue;
		err = chariot_view_split(dom->vm, w.gpa >> PAGE_SHIFT) ?:
		      xa_err(xa_store(&dom->library_exec, w.gpa >> PAGE_SHIFT,
				      xa_mk_value(0), GFP_KERNEL_ACCOUNT));
	}
	return err;
}

static void keep_wanted(struct chariot_domain *dom)
{
	unsigned long gfn;
	void *what;

	xa_for_each(&dom->exec, gfn, what)
		if (what == INHERITED && !xa_get_mark(&dom->exec, gfn, WANTED))
			xa_erase(&dom->exec, gfn);
}

static void forget_wanted(struct chariot_domain *dom)
{
	unsigned long gfn;
	void *what;

	xa_for_each_marked(&dom->exec, gfn, what, WANTED)
		xa_clear_mark(&dom->exec, gfn, WANTED);
}

#define GRANTED		1U	/* range->flags, in which a caller has 0 */

static int grant_range(struct chariot_domain *dom, struct chariot_range *r,
		       u32 source)
{
	int err;

	/* By another module's tables: the policy is the same. */
	if (source == CHARIOT_SRC_RULE &&
	    chariot_act_has(&dom->act, r->gva, r->len))
		return 0;
	dom->run_pages = 0;
	err = chariot_domain_grant(dom, r->gva, r->len, source, 0, 0);
	if (!err)
		r->flags = GRANTED;
	return err;
}

static int map_range(struct chariot_domain *dom, struct chariot_part *p,
		     struct chariot_range *r, bool first)
{
	switch (r->kind) {
	case CHARIOT_RANGE_TEXT:
	case CHARIOT_RANGE_INIT_TEXT:
		return map_text(dom, p, r);
	case CHARIOT_RANGE_INHERIT:
		return map_inherit(dom, first, r) ?:
		       (chariot_part_library(p) ? map_library(dom, r) : 0);
	case CHARIOT_RANGE_LIBRARY:
		return map_library(dom, r);
	case CHARIOT_RANGE_DATA:
	case CHARIOT_RANGE_INIT_DATA:
		return grant_range(dom, r, CHARIOT_SRC_SECTION);
	case CHARIOT_RANGE_RULE:
		return grant_range(dom, r, CHARIOT_SRC_RULE);
	}
	return 0;
}

static void revoke_range(struct chariot_domain *dom, struct chariot_range *r)
{
	if (r->flags)
		chariot_domain_revoke(dom, r->gva, 0);
	r->flags = 0;
}

/* Its text, and what it was given of data. */
static void unmap(struct chariot_domain *dom, struct chariot_part *p, bool rules)
{
	unsigned long gfn;
	void *what;
	u32 i;

	xa_for_each(&dom->exec, gfn, what) {
		if (what != xa_mk_value(p->slot))
			continue;
		xa_erase(&dom->exec, gfn);
		if (xa_load(&dom->vm->text, gfn) == text_of(dom))
			xa_erase(&dom->vm->text, gfn);
	}
	for (i = 0; i < p->nr_ranges; i++)
		if (rules || p->ranges[i].kind != CHARIOT_RANGE_RULE)
			revoke_range(dom, &p->ranges[i]);
}

/* ---- tables --------------------------------------------------------------- */

/* Runs of ops become those of the domain: chariot_op_at(). */
static u32 moved(const struct chariot_part *p, u32 op, u32 nr)
{
	return (p->slot << CHARIOT_OPS_SHIFT) + (nr ? op : 0);
}

static void move_ops(struct chariot_part *p)
{
	u32 i;

	for (i = 0; i < p->nr_gates; i++)
		p->gates[i].op = moved(p, p->gates[i].op, p->gates[i].nr_ops);
	for (i = 0; i < p->nr_entries; i++)
		p->entries[i].op = moved(p, p->entries[i].op,
					 p->entries[i].nr_ops);
	for (i = 0; i < p->nr_ops; i++)
		p->ops[i].sub = moved(p, p->ops[i].sub, p->ops[i].nr_sub);
}

static void take_out(struct chariot_domain *dom, struct chariot_part *p)
{
	dom->parts[p->slot] = NULL;
	while (dom->nr_slots && !dom->parts[dom->nr_slots - 1])
		dom->nr_slots--;
	dom->tables -= p->tables;
	chariot_domain_account(dom);
}

static int put_in(struct chariot_domain *dom, struct chariot_part *p)
{
	struct chariot_part *other;
	u64 len = p->len;

	if (!p->cache != (dom->mode != CHARIOT_MODE_INLINE))
		return -EINVAL;
	for_each_part(other, dom)
		len += other->len;
	if (len > CHARIOT_MAX_OBJECT)
		return -E2BIG;
	for (p->slot = 0; dom->parts[p->slot]; p->slot++)
		if (p->slot == CHARIOT_MAX_MODULES - 1)
			return -EBUSY;
	dom->parts[p->slot] = p;
	dom->nr_slots = max(dom->nr_slots, p->slot + 1);
	dom->tables += p->tables;
	chariot_domain_account(dom);
	return 0;
}

/* Until its init has returned its entries ask. */
static bool has_init(const struct chariot_part *p)
{
	u32 i;

	for (i = 0; i < p->nr_entries; i++)
		if (p->entries[i].flags & CHARIOT_GATE_INIT)
			return true;
	return false;
}

int chariot_part_join(struct chariot_domain *dom, struct chariot_part *p)
{
	bool first = !dom->nr_slots;
	u32 i;
	int err;

	lockdep_assert_held(&dom->vm->lock);
	err = put_in(dom, p);
	if (err)
		return err;
	if (dom->vm->memory > CHARIOT_MAX_MEMORY)
		err = -ENOSPC;
	for (i = 0; i < p->nr_ranges && !err; i++)
		err = map_range(dom, p, &p->ranges[i], first);
	err = err ?: chariot_recover_arm(dom, p);
	if (!err && p->cache)
		err = chariot_cache_join(dom, p->cache, p->slot, has_init(p));
	if (err) {
		unmap(dom, p, true);
		take_out(dom, p);
	} else {
		keep_wanted(dom);
		move_ops(p);
		p->ret = chariot_ret_find(dom, p, CHARIOT_RANGE_TEXT);
		p->init_ret = chariot_ret_find(dom, p, CHARIOT_RANGE_INIT_TEXT);
	}
	forget_wanted(dom);
	return err;
}

/* ---- the module goes ------------------------------------------------------ */

static void drop_init_text(struct chariot_domain *dom, struct chariot_part *p,
			   struct chariot_range *r)
{
	struct chariot_walk w;
	u64 at;

	for (at = r->gva; at < r->gva + r->len; at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w) ||
		    xa_load(&dom->exec, w.gpa >> PAGE_SHIFT) !=
		    xa_mk_value(p->slot))
			continue;
		xa_erase(&dom->vm->text, w.gpa >> PAGE_SHIFT);
		xa_erase(&dom->exec, w.gpa >> PAGE_SHIFT);
		chariot_view_zap(dom->vm, w.gpa >> PAGE_SHIFT);
	}
}

void chariot_part_loaded(struct chariot_domain *dom, struct chariot_part *p)
{
	struct chariot_range *r;

	if (p->cache && !chariot_failed(dom))
		chariot_cache_loaded(dom, p->cache);
	for (r = p->ranges; r < p->ranges + p->nr_ranges; r++) {
		if (r->kind == CHARIOT_RANGE_INIT_TEXT)
			drop_init_text(dom, p, r);
		else if (r->kind == CHARIOT_RANGE_INIT_DATA)
			revoke_range(dom, r);
		else
			continue;
		r->len = 0;
	}
}

/* A row of the same function in the tables that stay. */
static const struct chariot_gate *other_gate(struct chariot_domain *dom,
					     const struct chariot_part *gone,
					     const struct chariot_gate *gate)
{
	return gate >= gone->gates && gate < gone->gates + gone->nr_gates ?
	       chariot_gate_of(dom, gate->gva) : gate;
}

static bool is_entry_of(const struct chariot_part *p,
			const struct chariot_gate *gate)
{
	return gate >= p->entries && gate < p->entries + p->nr_entries;
}

static void leave_entry(struct chariot_domain *dom, const struct chariot_part *gone,
			struct chariot_entry *e)
{
	u32 i, n = 0;

	if (!e)
		return;
	if (is_entry_of(gone, e->gate))
		e->gate = NULL;
	for (i = 0; i < min_t(u32, e->nr_got, ARRAY_SIZE(e->got)); i++)
		if (e->got[i].op < gone->ops ||
		    e->got[i].op >= gone->ops + gone->nr_ops)
			e->got[n++] = e->got[i];
	e->nr_got = n;
	chariot_held_move(dom, gone, e->locks, &e->nr_locks);
}

/* Nothing that outlasts it leads into its tables. */
static void forget(struct chariot_domain *dom, const struct chariot_part *gone)
{
	struct chariot_frame *f;
	struct chariot_vcpu *vs;
	unsigned long i;

	for_each_frame(f, dom, 0, U64_MAX) {
		f->gate = other_gate(dom, gone, f->gate);
		f->lock = chariot_held_other(dom, gone, f->lock);
		leave_entry(dom, gone, f->entry);
	}
	xa_for_each(&dom->vm->vcpus, i, vs) {
		if (chariot_runs(vs, dom))
			leave_entry(dom, gone, vs->entry);
		if (is_entry_of(gone, vs->storm.gate))
			vs->storm.gate = NULL;
	}
	chariot_held_move(dom, gone, dom->resources, &dom->nr_resources);
}

void chariot_part_leave(struct chariot_domain *dom, struct chariot_part *p)
{
	lockdep_assert_held(&dom->vm->lock);
	if (p->cache)
		chariot_cache_off(dom, p->cache, true);
	unmap(dom, p, false);
	take_out(dom, p);
	forget(dom, p);
	chariot_part_free(p);
	chariot_view_zap_all(dom->vm);
}
