// SPDX-License-Identifier: GPL-2.0
/*
 * Mode inline: from records in the guest to entries.  Called by cross and inline.
 *
 * The guest may write there what it likes, and while we read: all is read once, and a
 * record counts for what the stack says, too.
 */
#include "record.h"
#include "frame.h"
#include "gate.h"
#include "cache.h"
#include "recover.h"
#include "stack.h"

#include <linux/slab.h>

#define SEEN		BIT_ULL(63)	/* of chariot_inline_record.count; we set it */
#define MAX_RESTING	1024		/* frames; then those that rest are forgotten */
#define NEIGHBOURS	4
/* A stack need not be aligned to its size, and a driver may be several modules. */
#define MAX_LIVE	(4 * CHARIOT_INLINE_RECORDS)

struct live {
	struct chariot_inline_record r;
	u64 gva;		/* where it is */
};

struct span {
	u64 rsp, size;		/* of the stack pointer, and of any stack */
};

struct stack {
	struct span at;
	struct live rec[MAX_LIVE];	/* the innermost first */
	u32 nr;
};

/* ---- what is in guest memory ---------------------------------------------- */

static bool canonical(const struct chariot_domain *dom, u64 gva)
{
	int shift = dom->cr.cr4 & X86_CR4_LA57 ? 7 : 16;

	return (u64)((s64)(gva << shift) >> shift) == gva;
}

/* Another one may be near, behind a page that is not mapped. */
static bool same_stack(struct chariot_domain *dom, const struct span *s, u64 slot)
{
	struct chariot_walk w;
	u64 at;

	if (slot < s->rsp || slot - s->rsp >= s->size || slot % sizeof(u64))
		return false;
	for (at = (s->rsp & PAGE_MASK) + PAGE_SIZE; at < slot; at += PAGE_SIZE)
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return false;
	return true;
}

static bool is_alive(struct chariot_domain *dom, const struct span *s, u64 slot, u64 ret)
{
	u64 top;

	return same_stack(dom, s, slot) && canonical(dom, ret) &&
	       !chariot_guest_read_va(dom->vm->kvm, dom->cr, slot, &top, sizeof(top)) &&
	       top == ret;
}

static void add(struct stack *s, const struct chariot_inline_record *r, u64 gva)
{
	u32 i, n;

	for (i = 0; i < s->nr && s->rec[i].r.rsp < r->rsp; i++)
		;
	/* The later one of two. */
	if (i == s->nr || s->rec[i].r.rsp != r->rsp) {
		if (s->nr == MAX_LIVE)
			return;
		for (n = s->nr++; n > i; n--)
			s->rec[n] = s->rec[n - 1];
	}
	s->rec[i] = (struct live){ *r, gva };
}

static void read_stack(struct chariot_domain *dom, struct stack *s, u64 gva, u64 base)
{
	struct chariot_inline_record r;
	struct { u64 base; u32 nr, state; } head;
	u32 i;

	if (chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, &head, sizeof(head)) ||
	    head.base != base)
		return;
	gva += offsetof(struct chariot_inline_stack, r);
	for (i = 0; i < min_t(u32, head.nr, CHARIOT_INLINE_RECORDS); i++, gva += sizeof(r))
		if (!chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, &r, sizeof(r)) &&
		    is_alive(dom, &s->at, r.rsp, r.ret))
			add(s, &r, gva);
}

static void read_base(struct chariot_domain *dom, struct stack *s, u64 data, u64 base)
{
	u32 n = ((u32)(base >> 12) * 0x9e3779b1U) >> 25, i;

	for (i = n; i < n + NEIGHBOURS; i++)
		read_stack(dom, s, data + offsetof(struct chariot_inline_data, s[i]), base);
}

static void read_all(struct chariot_domain *dom, struct stack *s, u64 rsp)
{
	struct chariot_part *p;
	u64 base;

	s->nr = 0;
	s->at = (struct span){ rsp, chariot_stack_size(dom) };
	base = rsp & ~(s->at.size - 1);
	for_each_part(p, dom) {
		if (!p->cache)
			continue;
		read_base(dom, s, p->cache->data, base);
		read_base(dom, s, p->cache->data, base + s->at.size);
	}
}

/* ---- entries --------------------------------------------------------------- */

static struct chariot_entry *make_entry(struct chariot_domain *dom,
					struct chariot_vcpu *vs,
					const struct chariot_inline_record *r)
{
	struct chariot_entry *e = kmalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	struct chariot_values val = {};

	if (!e)
		return NULL;
	memset(e, 0, offsetof(struct chariot_entry, got));
	e->gate = chariot_entry_of(dom, r->entry);
	e->rip = r->entry;
	e->ret = r->ret;
	e->slot = r->rsp;
	e->when = ++dom->clock;
	memcpy(e->args, r->args, sizeof(e->args));
	memcpy(e->caller.regs, r->saved, sizeof(e->caller.regs));
	e->caller.preempt_count = r->count;
	e->caller.rflags = (r->count >> 32 & CHARIOT_RECORD_FLAGS) | X86_EFLAGS_FIXED;
	e->caller.known = chariot_recovers(dom);
	chariot_recover_enter(dom, vs->vcpu, e);
	/* It began before it could be told that it must not. */
	e->stopping = false;
	memcpy(val.v, e->args, sizeof(e->args));
	/* No memory: what it is handed is looked for when it is written. */
	if (e->gate)
		chariot_gate_hand(dom, e, &val);
	return e;
}

static void rest(struct chariot_domain *dom, struct chariot_entry *e, u64 rip, u64 rsp)
{
	struct chariot_frame *f;

	if (dom->nr_frames >= MAX_RESTING)
		chariot_frames_free(dom);
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f) {
		kfree(e);
		return;
	}
	f->entry = e;
	f->rip = rip;
	f->rsp = rsp;
	chariot_frame_push(dom, f);
}

void chariot_record_rest(struct chariot_domain *dom, struct chariot_entry *e)
{
	if (e)
		rest(dom, e, 0, e->slot);
}

static void forget(struct chariot_domain *dom, struct chariot_frame *f)
{
	chariot_frame_take(dom, f);
	kfree(f->entry);
	kfree(f);
}

/* ---- who is on this stack -------------------------------------------------- */

static struct live *record_of(struct stack *s, const struct chariot_entry *e)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (s->rec[i].r.rsp == e->slot && s->rec[i].r.ret == e->ret &&
		    s->rec[i].r.entry == e->rip && s->rec[i].r.count & SEEN)
			return &s->rec[i];
	return NULL;
}

/* What is known of this stack and is not there any more. */
static void forget_dead(struct chariot_domain *dom, struct stack *s)
{
	u64 end = s->at.rsp + s->at.size;
	struct chariot_frame *f, *next;
	struct chariot_entry *e;

	f = chariot_frame_from(dom, s->at.rsp & ~(s->at.size - 1));
	for (; f && f->rsp < end; f = next) {
		next = chariot_frame_after(f);
		e = f->entry;
		if (e && !(e->kept ? is_alive(dom, &s->at, e->slot, e->ret) :
				     !!record_of(s, e)))
			forget(dom, f);
	}
}

/* The innermost frame of which an entry begins at @slot or above. */
static struct chariot_frame *frame_above(struct chariot_domain *dom, const struct span *s,
					 u64 slot)
{
	struct chariot_frame *f, *best = NULL;

	for_each_frame(f, dom, s->rsp, s->rsp + s->size)
		if (f->entry && f->entry->slot >= slot &&
		    f->entry->slot - s->rsp < s->size &&
		    (!best || f->entry->slot < best->entry->slot))
			best = f;
	return best;
}

static void mark(struct chariot_domain *dom, const struct live *l)
{
	chariot_guest_write_u64(dom->vm->kvm, dom->cr,
				l->gva + offsetof(struct chariot_inline_record, count),
				l->r.count | SEEN);
}

static void see(struct chariot_domain *dom, struct chariot_vcpu *vs, const struct span *s,
		const struct live *l)
{
	struct chariot_frame *f = frame_above(dom, s, l->r.rsp);
	struct chariot_entry *e;

	if (f && f->entry->slot == l->r.rsp) {
		if (l->r.count & SEEN)
			return;
		forget(dom, f);
	}
	e = make_entry(dom, vs, &l->r);
	mark(dom, l);
	chariot_record_rest(dom, e);
}

/* Driver code waits for the kernel's function that has called what is at @below. */
static void locate(struct chariot_domain *dom, struct chariot_entry *e, u64 below)
{
	u64 slot, rip = chariot_find_caller(dom, e, below + 8, &slot);

	rest(dom, e, rip, rip ? slot + 8 : e->slot);
}

static void locate_outer(struct chariot_domain *dom, const struct span *s)
{
	struct chariot_frame *f = frame_above(dom, s, s->rsp);
	struct chariot_entry *e;
	u64 below, slot;

	while (f) {
		below = f->entry->slot;
		f = frame_above(dom, s, below + 1);
		if (!f || f->fn || f->rsp != f->entry->slot)
			continue;
		e = f->entry;
		slot = e->slot;
		chariot_frame_take(dom, f);
		kfree(f);
		locate(dom, e, below);
		f = frame_above(dom, s, slot);
	}
}

void chariot_record_rest_all(struct chariot_domain *dom, struct chariot_vcpu *vs, u64 rsp)
{
	struct stack *s = kmalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	u32 i;

	lockdep_assert_held(&dom->vm->lock);
	if (!s)
		return;
	read_all(dom, s, rsp);
	forget_dead(dom, s);
	for (i = 0; i < s->nr; i++)
		see(dom, vs, &s->at, &s->rec[i]);
	locate_outer(dom, &s->at);
	kfree(s);
}

struct chariot_entry *chariot_record_take(struct chariot_domain *dom,
					  struct chariot_vcpu *vs, u64 rsp)
{
	struct span s = { rsp, chariot_stack_size(dom) };
	struct chariot_frame *f;
	struct chariot_entry *e;

	chariot_record_rest_all(dom, vs, rsp);
	f = frame_above(dom, &s, rsp);
	if (!f)
		return NULL;
	e = f->entry;
	chariot_frame_take(dom, f);
	kfree(f);
	return e;
}

struct chariot_entry *chariot_record_keep(struct chariot_domain *dom,
					  struct chariot_vcpu *vs,
					  const struct chariot_inline_record *r)
{
	struct chariot_entry *e = make_entry(dom, vs, r);

	if (e)
		e->kept = true;
	return e;
}

void chariot_record_kept(struct chariot_domain *dom, struct chariot_entry *e)
{
	struct stack *s = kmalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

	e->kept = true;
	if (!s)
		return;
	read_all(dom, s, e->slot);
	if (s->nr && s->rec[0].r.rsp == e->slot)
		mark(dom, &s->rec[0]);
	kfree(s);
}
