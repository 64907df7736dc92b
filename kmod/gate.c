// SPDX-License-Identifier: GPL-2.0
/* Gates: what a call between driver and kernel does to the ACT.  Called by cross and record. */
#include "gate.h"
#include "access.h"

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

static void revoke_one(struct chariot_domain *dom, u64 gva, bool for_good)
{
	if (chariot_domain_freed(dom, gva, for_good) == -ENOENT)
		dom->stats.unknown_frees++;
	else
		dom->stats.frees++;
}

static int act_on(struct chariot_domain *dom, const struct chariot_op *op,
		  u64 gva, u64 len, u64 gate, u64 site)
{
	if (op->op == CHARIOT_OP_GRANT)
		return grant_one(dom, gva, len, gate, site);
	revoke_one(dom, gva, op->flags & CHARIOT_REVOKE_FREE);
	return 0;
}

static int act_on_percpu(struct chariot_domain *dom,
			 const struct chariot_op *op, u64 base, u64 len,
			 u64 gate, u64 site)
{
	u64 cpu, offset;
	int err = 0;

	for (cpu = 0; cpu < min(dom->kernel.nr_cpus, 8192ULL) && !err; cpu++) {
		if (chariot_read_u64(dom, dom->kernel.percpu_offsets + 8 * cpu,
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

static int run_op(struct chariot_domain *dom, const struct chariot_op *op,
		  const struct chariot_values *val, u64 gate, u64 site)
{
	u64 base, len = 0;

	if (op->op == CHARIOT_OP_REACH)
		return 0;
	if (op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND) {
		if ((op->phase == CHARIOT_PHASE_POST &&
		     chariot_op_failed(val->v[CHARIOT_RET])) ||
		    !chariot_op_base(dom, op, val, &base) ||
		    !chariot_op_len(dom, op, val, &len))
			return 0;
		return chariot_domain_hand(dom, base, len, gate, site,
					   op->op == CHARIOT_OP_LEND);
	}

	if (op->op == CHARIOT_OP_REVOKE && op->phase == CHARIOT_PHASE_POST &&
	    chariot_null_or_err(val->v[CHARIOT_RET]))
		return 0;
	if (!chariot_op_base(dom, op, val, &base))
		return 0;
	if (op->map == CHARIOT_MAP_OBJECT)
		base = object_of(dom, base);
	if (op->op == CHARIOT_OP_GRANT && !chariot_op_len(dom, op, val, &len))
		return 0;
	if (op->map == CHARIOT_MAP_PERCPU)
		return act_on_percpu(dom, op, base, len, gate, site);
	return act_on(dom, op, base, len, gate, site);
}

static bool check_refuses(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  const struct chariot_op *op,
			  const struct chariot_values *val,
			  struct chariot_refusal *refusal)
{
	u64 base, len;

	if (!chariot_op_span(dom, op, val, &base, &len))
		return false;
	/* A length that was negative is refused, whatever is there. */
	if (len <= CHARIOT_MAX_OBJECT &&
	    chariot_may_write(dom, vs, base, len) &&
	    !(op->flags && chariot_act_apart(&dom->act,
					     val->v[CHARIOT_CHECK_IN_OF(op->flags)],
					     base, len)))
		return false;
	refusal->why = CHARIOT_WHY_WRITE;
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
	    !chariot_op_span(dom, op, val, &base, &len))
		return false;
	len = min(len, U64_MAX - base);
	obj = chariot_act_prev(&dom->act, base + 1);
	if (!obj || obj->start != base || obj->source != CHARIOT_SRC_ALLOCATION ||
	    len <= obj->last - base + 1 ||
	    (len - 1 + offset_in_page(base)) >> PAGE_SHIFT < obj->nr)
		return false;
	refusal->why = CHARIOT_WHY_WRITE;
	refusal->gva = obj->last + 1;
	refusal->len = base + len - refusal->gva;
	refusal->result = 0;
	return true;
}

/* It is not known that the driver has it. */
static bool free_refuses(struct chariot_domain *dom, const struct chariot_op *op,
			 const struct chariot_values *val,
			 struct chariot_refusal *refusal)
{
	struct chariot_obj *obj;
	u64 base;

	if (!(op->flags & CHARIOT_REVOKE_FREE) ||
	    !chariot_op_base(dom, op, val, &base) || base < PAGE_SIZE)
		return false;
	obj = chariot_act_prev(&dom->act, base + 1);
	if (obj && obj->start == base && obj->source != CHARIOT_SRC_FREED)
		return false;
	*refusal = (struct chariot_refusal){ CHARIOT_WHY_FREE, base, 1 };
	return true;
}

bool chariot_gate_check(struct chariot_domain *dom, struct chariot_vcpu *vs,
			const struct chariot_gate *gate,
			const struct chariot_values *val,
			struct chariot_refusal *refusal)
{
	const struct chariot_op *op = chariot_op_at(dom, gate->op);
	const struct chariot_op *end = op + gate->nr_ops;

	lockdep_assert_held(&dom->vm->lock);
	chariot_op_begin(dom);
	for (; op < end; op++)
		if ((op->op == CHARIOT_OP_CHECK &&
		     check_refuses(dom, vs, op, val, refusal)) ||
		    (op->op == CHARIOT_OP_REVOKE &&
		     (revoke_refuses(dom, op, val, refusal) ||
		      free_refuses(dom, op, val, refusal))))
			return false;
	return true;
}

static int run_ops(struct chariot_domain *dom, u32 first, u32 nr,
		   unsigned int phase, const struct chariot_values *val,
		   u64 gate, u64 site, int depth, int *steps)
{
	const struct chariot_op *op = chariot_op_at(dom, first), *end = op + nr;
	struct chariot_values sub;
	struct chariot_elements el;
	int err = 0;

	for (; op < end && !err && --*steps >= 0; op++) {
		if (op->phase != phase || op->op == CHARIOT_OP_CHECK)
			continue;
		if (op->op != CHARIOT_OP_WALK) {
			err = run_op(dom, op, val, gate, site);
			continue;
		}
		if (depth == CHARIOT_MAX_DEPTH || !chariot_elements_first(dom, op, val, &el))
			continue;
		sub = *val;
		do {
			sub.v[CHARIOT_THIS] = el.at;
			err = run_ops(dom, op->sub, op->nr_sub, phase, &sub,
				      gate, site, depth + 1, steps);
		} while (!err && *steps > 0 && chariot_elements_next(dom, op, &el));
	}
	return err;
}

int chariot_gate_run(struct chariot_domain *dom,
		     const struct chariot_gate *gate, unsigned int phase,
		     const struct chariot_values *val, u64 site)
{
	int steps = CHARIOT_MAX_STEPS;

	lockdep_assert_held(&dom->vm->lock);
	dom->run_pages = 0;
	chariot_op_begin(dom);
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
	const struct chariot_op *op = chariot_op_at(dom, gate->op);
	const struct chariot_op *end = op + gate->nr_ops;
	u64 at;

	chariot_op_begin(dom);
	for (; op < end; op++) {
		if (op->op != CHARIOT_OP_REACH ||
		    chariot_op_failed(val->v[CHARIOT_RET]) || !chariot_op_base(dom, op, val, &at))
			continue;
		get(e, at, op);
	}
}

static int hand_each(struct chariot_domain *dom, struct chariot_entry *e,
		     u32 first, u32 nr, const struct chariot_values *val,
		     int depth, int *steps)
{
	const struct chariot_op *op = chariot_op_at(dom, first), *end = op + nr;
	struct chariot_values sub;
	struct chariot_elements el;
	int err = 0;

	for (; op < end && !err && --*steps >= 0; op++) {
		if (op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND)
			err = run_op(dom, op, val, e->rip, 0);
		if (!(op->flags & CHARIOT_WALK_NOW) || depth == CHARIOT_MAX_DEPTH ||
		    !chariot_elements_first(dom, op, val, &el))
			continue;
		sub = *val;
		do {
			sub.v[CHARIOT_THIS] = el.at;
			get(e, el.at, op);
			err = hand_each(dom, e, op->sub, op->nr_sub, &sub,
					depth + 1, steps);
		} while (!err && *steps > 0 && chariot_elements_next(dom, op, &el));
	}
	return err;
}

int chariot_gate_hand(struct chariot_domain *dom, struct chariot_entry *e,
		      const struct chariot_values *val)
{
	int steps = CHARIOT_MAX_STEPS;

	lockdep_assert_held(&dom->vm->lock);
	dom->run_pages = 0;
	chariot_op_begin(dom);
	return hand_each(dom, e, e->gate->op, e->gate->nr_ops, val, 0, &steps);
}

