// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tables are of a form that the module takes, whatever they were made from: as
 * check_op(), check_rule() and check_gates() of kmod/check.c have it.  Ranges
 * are not looked at: they may be a guest's, and the module says no then.
 */
#include "fuzz.h"

#define MAX_OBJECT	(1ULL << 30)

static bool is_field(const struct chariot_op *op)
{
	return op->len_kind == CHARIOT_LEN_FIELD ||
	       op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	       op->len_kind == CHARIOT_LEN_FIELD_AT;
}

static bool flags_ok(const struct chariot_op *op)
{
	switch (op->op) {
	case CHARIOT_OP_WALK:
		return !(op->flags & ~CHARIOT_WALK_NOW);
	case CHARIOT_OP_REVOKE:
		return !(op->flags & ~CHARIOT_REVOKE_FREE) &&
		       (!op->flags || (!op->phase && !op->map));
	case CHARIOT_OP_CHECK:
		return !(op->flags & 15) && op->flags <= CHARIOT_CHECK_IN(5);
	default:
		return !op->flags;
	}
}

static const char *bad_numbers(const struct chariot_op *op)
{
	if (op->op >= CHARIOT_NR_OPS || op->phase >= CHARIOT_NR_PHASES ||
	    op->base > CHARIOT_CURRENT || op->nr_deref > 2 ||
	    op->map >= CHARIOT_NR_MAPS || op->len_kind >= CHARIOT_NR_LENS ||
	    op->len_a > CHARIOT_THIS)
		return "a number is out of range";
	if (op->len_mul > MAX_OBJECT || op->len_add > MAX_OBJECT ||
	    op->len_shift > 63)
		return "a length is too large";
	return flags_ok(op) ? NULL : "flags";
}

static const char *bad_length(const struct chariot_op *op)
{
	bool two = is_field(op) && op->len_kind != CHARIOT_LEN_FIELD;

	if (two && op->nr_deref > 1)
		return "a length of two fields behind two dereferences";
	if (is_field(op) ? op->len_b > 8 || !op->len_b ||
			   (op->len_b & (op->len_b - 1)) : op->len_b > 5)
		return "the size of a length's field";
	if (op->op == CHARIOT_OP_CHECK &&
	    (op->phase || op->nr_deref > 1 || op->map || two ||
	     op->deref[1] < 0 || op->deref[1] > CHARIOT_RET))
		return "what a check cannot do";
	return NULL;
}

static const char *bad_op(const struct chariot_op *op, uint32_t nr)
{
	bool walks = op->op == CHARIOT_OP_WALK || op->op == CHARIOT_OP_REACH;

	if (op->phase == CHARIOT_PHASE_CALLBACK &&
	    (op->op != CHARIOT_OP_GRANT || op->base >= CHARIOT_RET ||
	     op->map == CHARIOT_MAP_PERCPU))
		return "what a callback cannot do";
	if (op->map == CHARIOT_MAP_OBJECT && op->op != CHARIOT_OP_REVOKE)
		return "object() but of a revoke";
	if (op->op == CHARIOT_OP_REVOKE && (op->len_kind || op->len_add) &&
	    (op->phase || op->map > CHARIOT_MAP_PAGE))
		return "a revoke with a length";
	if (op->op == CHARIOT_OP_REACH && op->phase != CHARIOT_PHASE_POST)
		return "a reach that is not post";
	if (walks ? op->map || op->sub > nr || op->nr_sub > nr - op->sub :
	    op->sub || op->nr_sub || op->stride ||
	    op->len_kind == CHARIOT_LEN_LIST)
		return "operations of a walk";
	if ((op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND) &&
	    op->map == CHARIOT_MAP_PERCPU)
		return "per-CPU memory that is handed over";
	return bad_numbers(op) ?: bad_length(op);
}

static bool good_gates(const struct chariot_gate *g, uint32_t nr,
		       uint32_t nr_ops)
{
	for (uint32_t i = 0; i < nr; i++)
		if (g[i].op > nr_ops || g[i].nr_ops > nr_ops - g[i].op ||
		    (i && g[i].gva <= g[i - 1].gva))
			return false;
	return true;
}

/* chariot_held_check() of kmod/held.c. */
static bool good_locks(const struct chariot_lock *l, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		for (int k = 0; k < 3; k++)
			if (l[i].arg[k] > CHARIOT_NO_ARG &&
			    l[i].arg[k] < CHARIOT_LOCK_CONST(0))
				return false;
		if (l[i].when >= CHARIOT_NR_LOCK_WHENS || l[i].flags >> 8 ||
		    (i && l[i].gva <= l[i - 1].gva))
			return false;
	}
	return nr <= CHARIOT_MAX_LOCKS;
}

/* check_stand_ins() of kmod/recover.c, and what entries say of them. */
static bool good_stand_ins(const struct chariot_domain_create *c)
{
	const struct chariot_stand_in *s = (void *)(uintptr_t)c->recover.stand_ins;
	const struct chariot_gate *g = (void *)(uintptr_t)c->entries;

	for (uint32_t i = 0; i < c->recover.nr_stand_ins; i++)
		if (!s[i].fn || s[i].arg > 5 || s[i].flags >> 5)
			return false;
	for (uint32_t i = 0; i < c->nr_entries; i++)
		if ((g[i].flags >> 8 & 15U) > c->recover.nr_stand_ins)
			return false;
	return c->recover.nr_stand_ins <= 15;
}

void fuzz_check_tables(const struct chariot_tables *t)
{
	const struct chariot_domain_create *c;
	const struct chariot_op *op;
	const char *bad;

	if (!t)
		return;
	c = chariot_tables__create(t);
	op = (void *)(uintptr_t)c->ops;
	for (uint32_t i = 0; i < c->nr_ops; i++) {
		bad = bad_op(&op[i], c->nr_ops);
		if (bad)
			fprintf(stderr, "op %u of kind %u: %s\n", i, op[i].op, bad);
		fuzz_assert(!bad);
	}
	fuzz_assert(c->nr_rules <= c->nr_ops);
	for (uint32_t i = 0; i < c->nr_rules; i++)
		fuzz_assert(op[i].op == CHARIOT_OP_GRANT &&
			    op[i].phase == CHARIOT_PHASE_PRE &&
			    op[i].base == CHARIOT_CURRENT && !op[i].map &&
			    op[i].len_kind == CHARIOT_LEN_CONST);
	fuzz_assert(good_gates((void *)(uintptr_t)c->gates, c->nr_gates,
			       c->nr_ops));
	fuzz_assert(good_gates((void *)(uintptr_t)c->entries, c->nr_entries,
			       c->nr_ops));
	fuzz_assert(good_locks((void *)(uintptr_t)c->recover.locks,
			       c->recover.nr_locks));
	fuzz_assert(good_stand_ins(c));
}
