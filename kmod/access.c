// SPDX-License-Identifier: GPL-2.0
/* The judge: may a driver write there?  Called by all above it. */
#include "access.h"
#include "ask.h"
#include "frame.h"
#include "open.h"
#include "stack.h"

/* ---- pages --------------------------------------------------------------- */

bool chariot_may_write_page(struct chariot_domain *dom, u64 gfn)
{
	return chariot_act_full(&dom->act, gfn) || chariot_open_has(dom, gfn);
}

bool chariot_may_execute(struct chariot_domain *dom, unsigned int view, u64 gfn)
{
	return xa_load(view == dom->nr ? &dom->exec : &dom->library_exec, gfn);
}

/* ---- bytes --------------------------------------------------------------- */

struct search {
	u64 gva, len;
	unsigned int phase;
	const struct chariot_values *len_of;	/* NULL: as for the base */
	int steps;
	/* found: */
	const struct chariot_op *op;
	u64 base, size;
};

/* Do those ops grant it, with a base and a length of these values? */
static bool search(struct chariot_domain *dom, struct search *s, u32 first,
		   u32 nr, const struct chariot_values *val, int depth)
{
	const struct chariot_op *op = chariot_op_at(dom, first), *end = op + nr;
	struct chariot_values sub;
	struct chariot_elements el;

	if (depth > CHARIOT_MAX_DEPTH)
		return false;
	for (; op < end; op++) {
		if (--s->steps < 0)
			return false;
		if (op->phase != s->phase)
			continue;
		if (op->op == CHARIOT_OP_GRANT || op->op == CHARIOT_OP_HAND ||
		    op->op == CHARIOT_OP_LEND) {
			if (chariot_op_base(dom, op, val, &s->base) &&
			    s->gva >= s->base &&
			    chariot_op_len(dom, op, s->len_of ?: val, &s->size) &&
			    chariot_within(s->base, s->size, s->gva, s->len)) {
				s->op = op;
				return true;
			}
			continue;
		}
		if (op->op != CHARIOT_OP_WALK ||
		    !chariot_elements_first(dom, op, val, &el))
			continue;
		sub = *val;
		do {
			sub.v[CHARIOT_THIS] = el.at;
			if (search(dom, s, op->sub, op->nr_sub, &sub,
				   depth + 1))
				return true;
		} while (s->steps > 0 && chariot_elements_next(dom, op, &el));
	}
	return false;
}

static struct chariot_values values_of(const u64 args[6])
{
	struct chariot_values val = {};

	memcpy(val.v, args, 6 * sizeof(*args));
	return val;
}

static bool in_got(struct chariot_domain *dom, struct chariot_entry *e,
			struct search *s)
{
	struct chariot_values val = {};
	u32 i;

	for (i = 0; i < min_t(u32, e->nr_got, ARRAY_SIZE(e->got)); i++) {
		val.v[CHARIOT_THIS] = e->got[i].at;
		s->steps = CHARIOT_MAX_STEPS;
		if (search(dom, s, e->got[i].op->sub, e->got[i].op->nr_sub,
			   &val, 0))
			return true;
	}
	return false;
}

/* The objects that the kernel handed over with the call @e. */
static bool in_argument(struct chariot_domain *dom, struct chariot_vcpu *vs,
			struct chariot_entry *e, u64 gva, u64 len)
{
	struct search s = {
		.gva = gva, .len = len, .phase = CHARIOT_PHASE_PRE,
		.steps = CHARIOT_MAX_STEPS,
	};
	struct chariot_values val = values_of(e->args);

	if (!chariot_within(e->found, e->found_len, gva, len)) {
		if (!(e->gate && search(dom, &s, e->gate->op, e->gate->nr_ops,
					&val, 0)) &&
		    !in_got(dom, e, &s))
			return false;
		e->found = s.base;
		e->found_len = s.size;
		/* No memory: then it is looked for again. */
		if (s.op->op == CHARIOT_OP_HAND)
			chariot_domain_hand(dom, s.base, s.size, e->rip, 0,
					    false);
	}
	vs->found = e->found;
	vs->found_len = e->found_len;
	return true;
}

/*
 * The same for what waits further up on this stack: entries, and the functions
 * that they have called, which may hand an object to a callback.
 */
static bool in_outer_argument(struct chariot_domain *dom,
			      struct chariot_vcpu *vs, u64 gva, u64 len)
{
	struct chariot_entry *e = vs->entry;
	struct chariot_values mine = values_of(e->args), val;
	u64 size = chariot_stack_size(dom);
	struct search s = {
		.gva = gva, .len = len, .phase = CHARIOT_PHASE_CALLBACK,
		.steps = CHARIOT_MAX_STEPS, .len_of = &val,
	};
	struct chariot_frame *f;

	for_each_frame(f, dom, e->slot - size, e->slot + size) {
		if (!f->entry || f->entry->slot <= e->slot ||
		    f->entry->slot - e->slot >= size)
			continue;
		if (in_argument(dom, vs, f->entry, gva, len))
			return true;
		val = values_of(f->args);
		if (f->gate && search(dom, &s, f->gate->op, f->gate->nr_ops,
				      &mine, 0)) {
			vs->found = s.base;
			vs->found_len = s.size;
			return true;
		}
	}
	return false;
}

/* What a rule grants of the running task. */
static bool in_rule(struct chariot_domain *dom, struct chariot_vcpu *vs,
		    u64 gva, u64 len)
{
	struct search s = {
		.gva = gva, .len = len, .phase = CHARIOT_PHASE_PRE,
		.steps = CHARIOT_MAX_STEPS,
	};
	struct chariot_values val = {};
	struct chariot_part *p;

	if (!chariot_percpu_read(dom, vs->vcpu, dom->kernel.current_task,
				 &val.v[CHARIOT_CURRENT], sizeof(val.v[0])))
		return false;
	for_each_part(p, dom)
		if (search(dom, &s, p->slot << CHARIOT_OPS_SHIFT, p->nr_rules,
			   &val, 0))
			return true;
	return false;
}

/* What evidence has granted for the calls further up on this stack. */
static bool in_lent(struct chariot_domain *dom, struct chariot_vcpu *vs,
		    u64 gva, u64 len)
{
	struct chariot_entry *e = vs->entry;
	u64 size = chariot_stack_size(dom);
	struct chariot_frame *f;

	if (!e)
		return false;
	for_each_frame(f, dom, e->slot, e->slot + size)
		if (f->entry && chariot_ask_lent(vs, f->entry, gva, len))
			return true;
	return false;
}

/* Of a kernel that lives in the upper half the lower one is its processes'. */
static bool is_user(const struct chariot_domain *dom, u64 gva, u64 len)
{
	return gva < BIT_ULL(63) && len <= BIT_ULL(63) - gva &&
	       dom->kernel.text_start >= CHARIOT_KERNEL_HALF;
}

static enum chariot_may in_act(struct chariot_domain *dom, u64 gva, u64 len)
{
	struct kvm *kvm = dom->vm->kvm;
	struct chariot_walk w;
	u64 n;

	for (; len; len -= n, gva += n) {
		if (chariot_guest_walk(kvm, dom->cr, gva, &w))
			return CHARIOT_MAY_NOT;
		n = min(len, w.left);
		if (chariot_act_covers(&dom->act, w.gpa >> PAGE_SHIFT,
				       offset_in_page(gva), n))
			continue;
		if (!kvm_call(kvm_is_visible_gfn)(kvm, w.gpa >> PAGE_SHIFT))
			return CHARIOT_MAY_DEVICE;
		return CHARIOT_MAY_NOT;
	}
	return CHARIOT_MAY_ACT;
}

enum chariot_may chariot_may_write(struct chariot_domain *dom,
				   struct chariot_vcpu *vs, u64 gva, u64 len)
{
	struct chariot_entry *e = vs->entry;
	enum chariot_may may;

	if (is_user(dom, gva, len))
		return CHARIOT_MAY_USER;
	if (chariot_on_stack(dom, e, gva, len))
		return CHARIOT_MAY_STACK;
	may = in_act(dom, gva, len);
	if (may)
		return may;
	if (chariot_frames_own(dom, gva, len))
		return CHARIOT_MAY_STACK;
	vs->found_len = 0;
	dom->run_pages = 0;
	chariot_op_begin(dom);
	/* First: a search in what is long, for each word, takes long. */
	if (e && chariot_ask_lent(vs, e, gva, len))
		return CHARIOT_MAY_ARGUMENT;
	if (e && (in_argument(dom, vs, e, gva, len) ||
		  in_outer_argument(dom, vs, gva, len)))
		return CHARIOT_MAY_ARGUMENT;
	if (in_rule(dom, vs, gva, len) || in_lent(dom, vs, gva, len))
		return CHARIOT_MAY_ARGUMENT;
	return CHARIOT_MAY_NOT;
}

bool chariot_may_write_at(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  u64 gpa, u64 *gva)
{
	*gva = chariot_stack_gva(dom, vs->entry, gpa);
	return chariot_act_covers(&dom->act, gpa >> PAGE_SHIFT,
				  offset_in_page(gpa), 1) ||
	       (*gva && chariot_may_write(dom, vs, *gva, 1));
}
