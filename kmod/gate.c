// SPDX-License-Identifier: GPL-2.0
#include "gate.h"
#include "frame.h"

#include <linux/overflow.h>

static int read_u64(struct chariot_domain *dom, u64 gva, u64 *val)
{
	return chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, val,
				     sizeof(*val));
}

static bool null_or_err(u64 ptr)
{
	return !ptr || ptr >= (u64)-4095;
}

/* ---- values of an op ---------------------------------------------------- */

/* False: there is nothing to do for this op. */
static bool op_base(struct chariot_domain *dom, const struct chariot_op *op,
		    const struct chariot_values *val, u64 *base)
{
	const struct chariot_kernel *k = &dom->kernel;
	u64 b = val->v[op->base];
	int i;

	if (null_or_err(b))
		return false;
	for (i = 0; i < op->nr_deref; i++)
		if (read_u64(dom, b + op->deref[i], &b) || null_or_err(b))
			return false;
	b += op->offset;
	if (op->map == CHARIOT_MAP_PAGE) {
		if (!k->page_struct_size || b < k->vmemmap_base)
			return false;
		b = k->page_offset + PAGE_SIZE *
			div64_u64(b - k->vmemmap_base, k->page_struct_size);
	}
	*base = b;
	return true;
}

static u64 op_arg(const struct chariot_op *op, const struct chariot_values *val,
		  u8 n)
{
	return op->len_off & BIT(n) ? (u32)val->v[n] : val->v[n];
}

#define MAX_STRING	(64 << 10)

/* One page table walk for each page. */
static bool string_len(struct chariot_domain *dom, u64 at, u64 *len)
{
	struct kvm *kvm = dom->vm->kvm;
	struct chariot_walk w = {};
	char buf[64];
	u64 n;

	for (*len = 0; *len < MAX_STRING; *len += n, at += n) {
		if (!w.left && chariot_guest_walk(kvm, dom->cr, at, &w))
			return false;
		n = min_t(u64, w.left, sizeof(buf) - at % sizeof(buf));
		if (chariot_guest_read(kvm, w.gpa, buf, n))
			return false;
		if (memchr(buf, 0, n)) {
			*len += strnlen(buf, n);
			return true;
		}
		w.gpa += n;
		w.left -= n;
	}
	return false;
}

/* -EFAULT: it cannot be read; -EOVERFLOW. */
static int op_length(struct chariot_domain *dom, const struct chariot_op *op,
		     const struct chariot_values *val, u64 *len)
{
	u64 v = 0, w = 0;

	switch (op->len_kind) {
	case CHARIOT_LEN_ARG:
		v = op_arg(op, val, op->len_a);
		break;
	case CHARIOT_LEN_ARG_MUL:
		if (check_mul_overflow(op_arg(op, val, op->len_a),
				       op_arg(op, val, op->len_b), &v))
			return -EOVERFLOW;
		break;
	case CHARIOT_LEN_ORDER:
		v = 1ULL << (val->v[op->len_a] & 31);
		break;
	case CHARIOT_LEN_FIELD_SUM:
		if (null_or_err(val->v[op->len_a]) ||
		    chariot_guest_read_va(dom->vm->kvm, dom->cr,
					  val->v[op->len_a] + op->deref[1],
					  &w, op->len_b))
			return -EFAULT;
		fallthrough;
	case CHARIOT_LEN_FIELD:
		if (null_or_err(val->v[op->len_a]) ||
		    chariot_guest_read_va(dom->vm->kvm, dom->cr,
					  val->v[op->len_a] + op->len_off,
					  &v, op->len_b))
			return -EFAULT;
		break;
	case CHARIOT_LEN_FIELD_AT:
		if (null_or_err(val->v[op->len_a]) ||
		    read_u64(dom, val->v[op->len_a] + op->len_off, &w) ||
		    null_or_err(w) ||
		    chariot_guest_read_va(dom->vm->kvm, dom->cr,
					  w + op->deref[1], &v, op->len_b))
			return -EFAULT;
		w = 0;
		break;
	case CHARIOT_LEN_STRING:
		if (null_or_err(val->v[op->len_a]) ||
		    !string_len(dom, val->v[op->len_a], &v))
			return -EFAULT;
		break;
	}
	if (check_add_overflow(v >> op->len_shift, w, &v) ||
	    check_mul_overflow(v, op->len_mul, &v) ||
	    check_add_overflow(v, op->len_add, &v))
		return -EOVERFLOW;
	*len = v;
	return 0;
}

/* False: there is nothing to grant. */
static bool op_len(struct chariot_domain *dom, const struct chariot_op *op,
		   const struct chariot_values *val, u64 *len)
{
	return !op_length(dom, op, val, len) && *len &&
	       *len <= CHARIOT_MAX_OBJECT;
}

/* ---- what is reached from a value ---------------------------------------- */

#define MAX_DEPTH	4
#define MAX_STEPS	4096
#define MAX_ELEMENTS	1024

/* The elements of a WALK, one after the other. */
struct elements {
	u64 at, left, first;
};

static bool elements_first(struct chariot_domain *dom,
			   const struct chariot_op *op,
			   const struct chariot_values *val,
			   struct elements *el)
{
	el->left = MAX_ELEMENTS;
	if (!op_base(dom, op, val, &el->at))
		return false;
	el->first = el->at;
	if (op->len_kind == CHARIOT_LEN_LIST)
		return true;
	if (op_length(dom, op, val, &el->left))
		return false;
	el->left = min_t(u64, el->left, MAX_ELEMENTS);
	return el->left;
}

static bool elements_next(struct chariot_domain *dom,
			  const struct chariot_op *op, struct elements *el)
{
	if (!--el->left)
		return false;
	if (op->len_kind != CHARIOT_LEN_LIST) {
		el->at += op->stride;
		return true;
	}
	if (read_u64(dom, el->at + op->len_off, &el->at) ||
	    null_or_err(el->at))
		return false;
	el->at -= op->stride;
	return el->at != el->first;
}

/* ---- actions ------------------------------------------------------------ */

static int grant_one(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
		     u64 site)
{
	int err = chariot_domain_grant(dom, gva, len, CHARIOT_SRC_ALLOCATION,
				       gate, site);

	if (!err)
		dom->stats.allocations++;
	/* The guest does not map what it says it allocated: its problem. */
	return err == -EFAULT || err == -EINVAL ? 0 : err;
}

static void revoke_one(struct chariot_domain *dom, u64 gva)
{
	if (chariot_domain_freed(dom, gva) == -ENOENT)
		dom->stats.unknown_frees++;
	else
		dom->stats.frees++;
}

static int act_on(struct chariot_domain *dom, const struct chariot_op *op,
		  u64 gva, u64 len, u64 gate, u64 site)
{
	if (op->op == CHARIOT_OP_GRANT)
		return grant_one(dom, gva, len, gate, site);
	revoke_one(dom, gva);
	return 0;
}

static int act_on_percpu(struct chariot_domain *dom,
			 const struct chariot_op *op, u64 base, u64 len,
			 u64 gate, u64 site)
{
	u64 cpu, offset;
	int err = 0;

	for (cpu = 0; cpu < min(dom->kernel.nr_cpus, 8192ULL) && !err; cpu++) {
		if (read_u64(dom, dom->kernel.percpu_offsets + 8 * cpu,
			     &offset))
			continue;
		err = act_on(dom, op, base + offset, len, gate, site);
	}
	return err;
}

/* Start of the object that @gva lies in; @gva if there is none. */
static u64 object_of(struct chariot_domain *dom, u64 gva)
{
	struct chariot_obj *obj = chariot_act_prev(&dom->act, gva + 1);

	return obj && obj->last >= gva ? obj->start : gva;
}

/* NULL is success here, for functions that return an int. */
static bool failed(u64 ret)
{
	return ret >= (u64)-4095 || (ret >> 32 == 0 && (u32)ret >= (u32)-4095);
}

static int run_op(struct chariot_domain *dom, const struct chariot_op *op,
		  const struct chariot_values *val, u64 gate, u64 site)
{
	u64 base, len = 0;

	if (op->op == CHARIOT_OP_REACH)
		return 0;
	if (op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND) {
		if ((op->phase == CHARIOT_PHASE_POST &&
		     failed(val->v[CHARIOT_RET])) ||
		    !op_base(dom, op, val, &base) ||
		    !op_len(dom, op, val, &len))
			return 0;
		return chariot_domain_hand(dom, base, len, gate, site,
					   op->op == CHARIOT_OP_LEND);
	}

	if (op->op == CHARIOT_OP_REVOKE && op->phase == CHARIOT_PHASE_POST &&
	    null_or_err(val->v[CHARIOT_RET]))
		return 0;
	if (!op_base(dom, op, val, &base))
		return 0;
	if (op->map == CHARIOT_MAP_OBJECT)
		base = object_of(dom, base);
	if (op->op == CHARIOT_OP_GRANT && !op_len(dom, op, val, &len))
		return 0;
	if (op->map == CHARIOT_MAP_PERCPU)
		return act_on_percpu(dom, op, base, len, gate, site);
	return act_on(dom, op, base, len, gate, site);
}

/* What the function would write or give back.  False: nothing.  U64_MAX: too much. */
static bool op_span(struct chariot_domain *dom, const struct chariot_op *op,
		    const struct chariot_values *val, u64 *base, u64 *len)
{
	int err;

	if (!op_base(dom, op, val, base))
		return false;
	err = op_length(dom, op, val, len);
	if (err == -EOVERFLOW)
		*len = U64_MAX;
	return err ? err == -EOVERFLOW : *len;
}

static bool check_refuses(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  const struct chariot_op *op,
			  const struct chariot_values *val,
			  struct chariot_refusal *refusal)
{
	u64 base, len;

	if (!op_span(dom, op, val, &base, &len))
		return false;
	/* A length that was negative is refused, whatever is there. */
	if (len <= CHARIOT_MAX_OBJECT &&
	    chariot_may_write(dom, vs, base, len) &&
	    !(op->flags && chariot_act_apart(&dom->act,
					     val->v[CHARIOT_CHECK_IN_OF(op->flags)],
					     base, len)))
		return false;
	refusal->gva = base;
	refusal->len = len;
	refusal->result = op->deref[1] == CHARIOT_RET ? 0 :
			  val->v[op->deref[1]];
	return true;
}

/* What the function gives back has more pages than the driver has got there. */
static bool revoke_refuses(struct chariot_domain *dom,
			   const struct chariot_op *op,
			   const struct chariot_values *val,
			   struct chariot_refusal *refusal)
{
	struct chariot_obj *obj;
	u64 base, len;

	if (!(op->len_kind || op->len_add) ||
	    !op_span(dom, op, val, &base, &len))
		return false;
	len = min(len, U64_MAX - base);
	obj = chariot_act_prev(&dom->act, base + 1);
	if (!obj || obj->start != base || obj->source != CHARIOT_SRC_ALLOCATION ||
	    len <= obj->last - base + 1 ||
	    (len - 1 + offset_in_page(base)) >> PAGE_SHIFT < obj->nr)
		return false;
	refusal->gva = obj->last + 1;
	refusal->len = base + len - refusal->gva;
	refusal->result = 0;
	return true;
}

bool chariot_gate_check(struct chariot_domain *dom, struct chariot_vcpu *vs,
			const struct chariot_gate *gate,
			const struct chariot_values *val,
			struct chariot_refusal *refusal)
{
	const struct chariot_op *op = dom->ops + gate->op;
	const struct chariot_op *end = op + gate->nr_ops;

	lockdep_assert_held(&dom->vm->lock);
	for (; op < end; op++)
		if ((op->op == CHARIOT_OP_CHECK &&
		     check_refuses(dom, vs, op, val, refusal)) ||
		    (op->op == CHARIOT_OP_REVOKE &&
		     revoke_refuses(dom, op, val, refusal)))
			return false;
	return true;
}

static int run_ops(struct chariot_domain *dom, u32 first, u32 nr,
		   unsigned int phase, const struct chariot_values *val,
		   u64 gate, u64 site, int depth, int *steps)
{
	const struct chariot_op *op = dom->ops + first, *end = op + nr;
	struct chariot_values sub;
	struct elements el;
	int err = 0;

	for (; op < end && !err && --*steps >= 0; op++) {
		if (op->phase != phase || op->op == CHARIOT_OP_CHECK)
			continue;
		if (op->op != CHARIOT_OP_WALK) {
			err = run_op(dom, op, val, gate, site);
			continue;
		}
		if (depth == MAX_DEPTH || !elements_first(dom, op, val, &el))
			continue;
		sub = *val;
		do {
			sub.v[CHARIOT_THIS] = el.at;
			err = run_ops(dom, op->sub, op->nr_sub, phase, &sub,
				      gate, site, depth + 1, steps);
		} while (!err && *steps > 0 && elements_next(dom, op, &el));
	}
	return err;
}

int chariot_gate_run(struct chariot_domain *dom,
		     const struct chariot_gate *gate, unsigned int phase,
		     const struct chariot_values *val, u64 site)
{
	int steps = MAX_STEPS;

	lockdep_assert_held(&dom->vm->lock);
	dom->run_pages = 0;
	return run_ops(dom, gate->op, gate->nr_ops, phase, val, gate->gva, site,
		       0, &steps);
}

static void get(struct chariot_entry *e, u64 at, const struct chariot_op *op)
{
	u32 i = e->nr_got++ % ARRAY_SIZE(e->got);

	e->got[i].at = at;
	e->got[i].op = op;
}

void chariot_gate_returned(struct chariot_domain *dom,
			   const struct chariot_gate *gate,
			   const struct chariot_values *val,
			   struct chariot_entry *e)
{
	const struct chariot_op *op = dom->ops + gate->op;
	const struct chariot_op *end = op + gate->nr_ops;
	u64 at;

	for (; op < end; op++) {
		if (op->op != CHARIOT_OP_REACH ||
		    failed(val->v[CHARIOT_RET]) || !op_base(dom, op, val, &at))
			continue;
		get(e, at, op);
	}
}

static int hand_each(struct chariot_domain *dom, struct chariot_entry *e,
		     u32 first, u32 nr, const struct chariot_values *val,
		     int depth, int *steps)
{
	const struct chariot_op *op = dom->ops + first, *end = op + nr;
	struct chariot_values sub;
	struct elements el;
	int err = 0;

	for (; op < end && !err && --*steps >= 0; op++) {
		if (op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND)
			err = run_op(dom, op, val, e->rip, 0);
		if (!(op->flags & CHARIOT_WALK_NOW) || depth == MAX_DEPTH ||
		    !elements_first(dom, op, val, &el))
			continue;
		sub = *val;
		do {
			sub.v[CHARIOT_THIS] = el.at;
			get(e, el.at, op);
			err = hand_each(dom, e, op->sub, op->nr_sub, &sub,
					depth + 1, steps);
		} while (!err && *steps > 0 && elements_next(dom, op, &el));
	}
	return err;
}

int chariot_gate_hand(struct chariot_domain *dom, struct chariot_entry *e,
		      const struct chariot_values *val)
{
	int steps = MAX_STEPS;

	lockdep_assert_held(&dom->vm->lock);
	dom->run_pages = 0;
	return hand_each(dom, e, e->gate->op, e->gate->nr_ops, val, 0, &steps);
}

/* ---- may it write? ------------------------------------------------------ */

/*
 * Kernel stacks are mapped with a guard page at either end, so the stack
 * reaches down from @slot as far as pages are mapped.
 */
u64 chariot_entry_base(struct chariot_domain *dom, struct chariot_entry *e)
{
	struct chariot_walk w;
	u64 page = e->slot & PAGE_MASK;
	int i;

	if (e->base)
		return e->base;
	for (i = 1; i < chariot_stack_size(dom) >> PAGE_SHIFT; i++) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, page - PAGE_SIZE,
				       &w))
			break;
		page -= PAGE_SIZE;
	}
	e->base = page;
	return page;
}

u64 chariot_stack_gva(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gpa)
{
	struct chariot_walk w;
	u64 at;

	if (!e)
		return 0;
	for (at = chariot_entry_base(dom, e); at < e->slot; at += PAGE_SIZE)
		if (!chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w) &&
		    w.gpa >> PAGE_SHIFT == gpa >> PAGE_SHIFT)
			return at + offset_in_page(gpa);
	return 0;
}

bool chariot_on_stack(struct chariot_domain *dom, struct chariot_entry *e,
		      u64 gva, u64 len)
{
	return e && gva < e->slot && len <= e->slot - gva &&
	       e->slot - gva <= chariot_stack_size(dom) &&
	       gva >= chariot_entry_base(dom, e);
}

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
	const struct chariot_op *op = dom->ops + first, *end = op + nr;
	struct chariot_values sub;
	struct elements el;

	if (depth > MAX_DEPTH)
		return false;
	for (; op < end; op++) {
		if (--s->steps < 0)
			return false;
		if (op->phase != s->phase)
			continue;
		if (op->op == CHARIOT_OP_GRANT || op->op == CHARIOT_OP_HAND ||
		    op->op == CHARIOT_OP_LEND) {
			if (op_base(dom, op, val, &s->base) &&
			    s->gva >= s->base &&
			    op_len(dom, op, s->len_of ?: val, &s->size) &&
			    chariot_within(s->base, s->size, s->gva, s->len)) {
				s->op = op;
				return true;
			}
			continue;
		}
		if (op->op != CHARIOT_OP_WALK ||
		    !elements_first(dom, op, val, &el))
			continue;
		sub = *val;
		do {
			sub.v[CHARIOT_THIS] = el.at;
			if (search(dom, s, op->sub, op->nr_sub, &sub,
				   depth + 1))
				return true;
		} while (s->steps > 0 && elements_next(dom, op, &el));
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
		s->steps = MAX_STEPS;
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
		.steps = MAX_STEPS,
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
		.steps = MAX_STEPS, .len_of = &val,
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
		.steps = MAX_STEPS,
	};
	struct chariot_values val = {};
	u64 gs;

	if (!dom->nr_rules || !dom->kernel.current_task)
		return false;
	gs = chariot_x86_ops->get_segment_base(vs->vcpu, VCPU_SREG_GS);
	return !read_u64(dom, gs + dom->kernel.current_task,
			 &val.v[CHARIOT_CURRENT]) &&
	       search(dom, &s, 0, dom->nr_rules, &val, 0);
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

	if (chariot_on_stack(dom, e, gva, len))
		return CHARIOT_MAY_STACK;
	may = in_act(dom, gva, len);
	if (may)
		return may;
	if (chariot_frames_own(dom, gva, len))
		return CHARIOT_MAY_STACK;
	vs->found_len = 0;
	dom->run_pages = 0;
	if (e && (in_argument(dom, vs, e, gva, len) ||
		  in_outer_argument(dom, vs, gva, len)))
		return CHARIOT_MAY_ARGUMENT;
	if (in_rule(dom, vs, gva, len))
		return CHARIOT_MAY_ARGUMENT;
	return CHARIOT_MAY_NOT;
}
