// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Actions of a policy into operations of the module: names of types and
 * members become offsets and sizes of one guest kernel.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "policy.h"

/* ---- types, by name ----------------------------------------------------- */

/* Types of other modules (sound, ATA) are only in the driver's own BTF. */
static int64_t driver_type_size(const struct btf *btf, const char *name)
{
	int32_t id;

	if (!btf)
		return -ENOENT;
	id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	if (id < 0)
		id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
	return id < 0 ? -ENOENT : btf__resolve_size(btf, id);
}

static int type_size(const struct compiler *c, const char *name, uint64_t *size)
{
	int64_t n;

	*size = *name == '*' ? 8 : 1;
	if (!c->profile || *name == '*')
		return 0;
	n = chariot_profile__type_size(c->profile, name);
	if (n < 0)
		n = driver_type_size(c->btf, name);
	if (n < 0)
		return -ENOENT;
	*size = n;
	return 0;
}

static int type_member(const struct compiler *c, const char *type,
		       const char *member, int32_t *offset, uint64_t *size)
{
	int64_t n;
	int32_t id;

	*offset = 0;
	*size = 8;
	if (!c->profile)
		return 0;
	n = chariot_profile__member(c->profile, type, member, size);
	if (n < 0 && c->btf) {
		id = btf__find_by_name_kind(c->btf, type, BTF_KIND_STRUCT);
		if (id > 0)
			n = btf_member_path(c->btf, id, member, size, NULL);
	}
	if (n < 0 || n > INT32_MAX)
		return -ENOENT;
	*offset = n;
	return 0;
}

/* ---- expressions -------------------------------------------------------- */

static int refuse(struct compiler *c, const char *why)
{
	c->why = why;
	return -EINVAL;
}

int compile_const(struct compiler *c, const struct expr *e, uint64_t *value)
{
	uint64_t a, b;
	int32_t offset;
	int err;

	switch (e->kind) {
	case EXPR_NUM:
		*value = e->num;
		return 0;
	case EXPR_SIZEOF:
		return type_size(c, e->name, value);
	case EXPR_OFFSETOF:
		err = type_member(c, e->name, e->member, &offset, &a);
		*value = offset;
		return err;
	case EXPR_ALIGN:
		err = compile_const(c, e->a, &a);
		*value = (a + e->num - 1) & -e->num;
		return err;
	case EXPR_ADD:
	case EXPR_MUL:
	case EXPR_SHIFT:
		err = compile_const(c, e->a, &a) ?: compile_const(c, e->b, &b);
		if (err)
			return err;
		*value = e->kind == EXPR_ADD ? a + b :
			 e->kind == EXPR_MUL ? a * b : b < 64 ? a << b : 0;
		return 0;
	default:
		return refuse(c, "not constant");
	}
}

struct scope {			/* what "this" is, in an object */
	const struct expr *this_is;
	const char *this_type;
};

static int compile_base(struct compiler *c, const struct scope *sc,
			const struct expr *e, struct chariot_op *op);

/* One more dereference: what was added before it becomes its displacement. */
static int add_deref(struct compiler *c, struct chariot_op *op, int32_t offset)
{
	if (op->nr_deref == 2)
		return refuse(c, "more than two dereferences");
	op->deref[op->nr_deref++] = op->offset + offset;
	op->offset = 0;
	return 0;
}

static int compile_field(struct compiler *c, const struct scope *sc,
			 const struct expr *e, struct chariot_op *op)
{
	const char *type = e->name;
	uint64_t size;
	int32_t offset;
	int err = compile_base(c, sc, e->a, op);

	if (err)
		return err;
	if (!type && e->a->kind == EXPR_THIS)
		type = sc->this_type;
	if (!type)
		return refuse(c, "member without its type: write ->TYPE.MEMBER");
	err = type_member(c, type, e->member, &offset, &size);
	return err ?: add_deref(c, op, offset);
}

/* value, its dereferences, and a constant behind: op->base .. op->offset. */
static int compile_base(struct compiler *c, const struct scope *sc,
			const struct expr *e, struct chariot_op *op)
{
	static const struct scope none;
	int32_t offset;
	uint64_t n;
	int err;

	switch (e->kind) {
	case EXPR_VALUE:
		if (op->phase != CHARIOT_PHASE_CALLBACK &&
		    c->missing >> e->num & 1)
			return -ENOENT;
		op->base = e->num;
		return 0;
	case EXPR_THIS:
		if (!sc->this_is)
			return refuse(c, "'this' is for objects");
		return compile_base(c, &none, sc->this_is, op);
	case EXPR_FIELD:
		return compile_field(c, sc, e, op);
	case EXPR_DEREF:
		return compile_base(c, sc, e->a, op) ?: add_deref(c, op, 0);
	case EXPR_ADD:
		err = compile_base(c, sc, e->a, op) ?:
		      compile_const(c, e->b, &n);
		if (!err && n > INT32_MAX / 2)
			return refuse(c, "offset too large");
		op->offset += err ? 0 : n;
		return err;
	case EXPR_CONTAINER:
		err = compile_base(c, sc, e->a, op) ?:
		      type_member(c, e->name, e->member, &offset, &n);
		op->offset -= err ? 0 : offset;
		return err;
	case EXPR_STRLEN:
		return refuse(c, "strlen() is a length");
	case EXPR_PAGE:
	case EXPR_PERCPU:
	case EXPR_OBJECT:
		return refuse(c, "page(), percpu() and object() go around the whole base");
	default:
		return refuse(c, "not an address");
	}
}

static int compile_address(struct compiler *c, const struct scope *sc,
			   const struct expr *e, struct chariot_op *op)
{
	if (e->kind == EXPR_PAGE)
		op->map = CHARIOT_MAP_PAGE;
	else if (e->kind == EXPR_PERCPU)
		op->map = CHARIOT_MAP_PERCPU;
	else if (e->kind == EXPR_OBJECT)
		op->map = CHARIOT_MAP_OBJECT;
	return compile_base(c, sc, op->map ? e->a : e, op);
}

/* len = len_mul * V + len_add, with at most one V. */
static int compile_len(struct compiler *c, const struct scope *sc,
		       const struct expr *e, struct chariot_op *op);

static int len_field(struct compiler *c, const struct scope *sc,
		     const struct expr *e, struct chariot_op *op)
{
	struct chariot_op at = {};
	const char *type = e->name;
	uint64_t size;
	int32_t offset;
	int err = compile_base(c, sc, e->a, &at);

	if (err)
		return err;
	if (at.nr_deref > 1 || (at.nr_deref && at.offset))
		return refuse(c, "a length is read at argN, ret or this, or behind one pointer of theirs");
	if (!type && e->a->kind == EXPR_THIS)
		type = sc->this_type;
	if (!type)
		return refuse(c, "member without its type: write ->TYPE.MEMBER");
	err = type_member(c, type, e->member, &offset, &size);
	if (err)
		return err;
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return -ENOENT;
	op->len_kind = at.nr_deref ? CHARIOT_LEN_FIELD_AT : CHARIOT_LEN_FIELD;
	op->len_a = at.base;
	op->len_b = size;
	op->len_off = at.nr_deref ? at.deref[0] : at.offset + offset;
	op->deref[1] = at.nr_deref ? offset : 0;
	op->len_mul = 1;
	return 0;
}

/* Lengths that use deref[1], which the address then cannot have. */
static bool len_has_deref(const struct chariot_op *len)
{
	return len->len_kind == CHARIOT_LEN_FIELD_SUM ||
	       len->len_kind == CHARIOT_LEN_FIELD_AT;
}

static int len_string(struct compiler *c, const struct expr *e,
		      struct chariot_op *op)
{
	if (e->a->kind != EXPR_VALUE)
		return refuse(c, "strlen() is of argN or ret only");
	op->len_kind = CHARIOT_LEN_STRING;
	op->len_a = e->a->num;
	op->len_mul = 1;
	return 0;
}

static bool unit_arg(const struct chariot_op *op)
{
	return op->len_kind == CHARIOT_LEN_ARG && op->len_mul == 1 &&
	       !op->len_add && !op->len_shift;
}

/* Rounded down. */
static int len_quotient(struct compiler *c, const struct scope *sc,
			const struct expr *e, struct chariot_op *op)
{
	int err = compile_len(c, sc, e->a, op);

	if (err)
		return err;
	if (!op->len_kind || op->len_mul != 1 || op->len_add || op->len_shift ||
	    op->len_kind == CHARIOT_LEN_FIELD_SUM)
		return refuse(c, "only an argument or a member can be divided");
	op->len_shift = __builtin_ctzll(e->num);
	return 0;
}

static int len_product(struct compiler *c, const struct scope *sc,
		       const struct expr *e, struct chariot_op *op)
{
	struct chariot_op a = {}, b = {};
	uint64_t k;
	int err = compile_len(c, sc, e->a, &a) ?: compile_len(c, sc, e->b, &b);

	if (err)
		return err;
	if (unit_arg(&a) && unit_arg(&b)) {
		*op = a;
		op->len_kind = CHARIOT_LEN_ARG_MUL;
		op->len_b = b.len_a;
		return 0;
	}
	if (a.len_kind && b.len_kind)
		return refuse(c, "only two arguments can be multiplied");
	*op = a.len_kind ? a : b;
	k = a.len_kind ? b.len_add : a.len_add;
	op->len_mul *= k;
	op->len_add *= k;
	return 0;
}

static int len_sum(struct compiler *c, const struct scope *sc,
		   const struct expr *e, struct chariot_op *op)
{
	struct chariot_op a = {}, b = {};
	int err = compile_len(c, sc, e->a, &a) ?: compile_len(c, sc, e->b, &b);

	if (err)
		return err;
	if (a.len_kind == CHARIOT_LEN_FIELD && b.len_kind == a.len_kind &&
	    a.len_a == b.len_a && a.len_b == b.len_b && a.len_mul == 1 &&
	    b.len_mul == 1 && !b.len_shift) {
		*op = a;
		op->len_kind = CHARIOT_LEN_FIELD_SUM;
		op->deref[1] = b.len_off;
		op->len_add += b.len_add;
		return 0;
	}
	if (a.len_kind && b.len_kind)
		return refuse(c, "two variable parts in a length");
	*op = a.len_kind ? a : b;
	op->len_add = a.len_add + b.len_add;
	return 0;
}

/* CONST << arg: pages by their order. */
static int len_shift(struct compiler *c, const struct scope *sc,
		     const struct expr *e, struct chariot_op *op)
{
	struct chariot_op b = {};
	uint64_t k;
	int err;

	if (!compile_const(c, e, &k)) {
		op->len_add = k;
		return 0;
	}
	c->why = NULL;
	err = compile_const(c, e->a, &k);
	if (err == -EINVAL)
		return refuse(c, "only a constant can be shifted");
	err = err ?: compile_len(c, sc, e->b, &b);
	if (err)
		return err;
	if (!unit_arg(&b))
		return refuse(c, "a shift is by an argument");
	*op = b;
	op->len_kind = CHARIOT_LEN_ORDER;
	op->len_mul = k;
	return 0;
}

static int compile_len(struct compiler *c, const struct scope *sc,
		       const struct expr *e, struct chariot_op *op)
{
	uint64_t k = 0;
	int err;

	switch (e->kind) {
	case EXPR_VALUE:
		if (e->num > CHARIOT_ARG(5))
			return refuse(c, "only arguments are lengths");
		op->len_kind = CHARIOT_LEN_ARG;
		op->len_a = e->num;
		op->len_off = c->narrow;
		op->len_mul = 1;
		return 0;
	case EXPR_FIELD:
		return len_field(c, sc, e, op);
	case EXPR_STRLEN:
		return len_string(c, e, op);
	case EXPR_ADD:
		return len_sum(c, sc, e, op);
	case EXPR_MUL:
		return len_product(c, sc, e, op);
	case EXPR_SHIFT:
		return len_shift(c, sc, e, op);
	case EXPR_DIV:
		return len_quotient(c, sc, e, op);
	default:
		err = compile_const(c, e, &k);
		op->len_add = k;
		return err;
	}
}

/* ---- actions ------------------------------------------------------------ */

int compile_emit(struct compiler *c, const struct chariot_op *op)
{
	struct chariot_op *ops;

	if (c->nr == c->room) {
		ops = realloc(c->ops, (2 * c->room + 8) * sizeof(*ops));
		if (!ops)
			return -ENOMEM;
		c->ops = ops;
		c->room = 2 * c->room + 8;
	}
	c->ops[c->nr++] = *op;
	return 0;
}

static bool uses_ret(const struct chariot_op *op)
{
	return op->base == CHARIOT_RET ||
	       ((op->len_kind == CHARIOT_LEN_FIELD ||
		 len_has_deref(op) ||
		 op->len_kind == CHARIOT_LEN_STRING) &&
		op->len_a == CHARIOT_RET);
}

/* What the module's check_op() would refuse, with a reason for people. */
static int check_op(struct compiler *c, struct chariot_op *op,
		    const struct action *a)
{
	if (c->entry) {
		if (op->op != CHARIOT_OP_GRANT && op->op != CHARIOT_OP_HAND &&
		    op->op != CHARIOT_OP_LEND && op->op != CHARIOT_OP_WALK)
			return refuse(c, "only grant and hand are possible here");
		if (op->map == CHARIOT_MAP_PERCPU)
			return refuse(c, "percpu() is not possible here");
		op->phase = CHARIOT_PHASE_PRE;
	}
	if (op->base == CHARIOT_CURRENT)
		return refuse(c, "current is for rules");
	if (uses_ret(op) && op->phase != CHARIOT_PHASE_POST)
		return refuse(c, "ret is not known before the call has ended");
	if (op->map == CHARIOT_MAP_OBJECT && op->op != CHARIOT_OP_REVOKE)
		return refuse(c, "object() is for revoke only");
	if (op->map == CHARIOT_MAP_PERCPU && (op->op == CHARIOT_OP_HAND ||
						 op->op == CHARIOT_OP_LEND))
		return refuse(c, "percpu() cannot be handed over");
	if (op->phase == CHARIOT_PHASE_CALLBACK &&
	    (op->op != CHARIOT_OP_GRANT || op->map == CHARIOT_MAP_PERCPU))
		return refuse(c, "callback: only grant is possible, without percpu()");
	if (op->op == CHARIOT_OP_CHECK) {
		if (op->phase)
			return refuse(c, "check comes before the call");
		if (op->nr_deref > 1 || op->map)
			return refuse(c, "check: at most one dereference, no page() or percpu()");
		if (len_has_deref(op))
			return refuse(c, "check: a length of one member at most");
		op->deref[1] = a->instead;
		if (a->in != CHARIOT_RET)
			op->flags = CHARIOT_CHECK_IN(a->in);
	}
	if (op->op == CHARIOT_OP_REVOKE && a->for_good) {
		if (op->phase || op->map || op->len_kind || op->len_add)
			return refuse(c, "free: before the call, no page(), percpu() or object(), no length");
		op->flags = CHARIOT_REVOKE_FREE;
	}
	if (op->op == CHARIOT_OP_REVOKE && (op->len_kind || op->len_add) &&
	    (op->phase || op->map > CHARIOT_MAP_PAGE))
		return refuse(c, "a length of what is revoked: before the call, no object() or percpu()");
	if (op->len_mul > CHARIOT_MAX_OBJECT ||
	    op->len_add > CHARIOT_MAX_OBJECT)
		return refuse(c, "length too large");
	if (op->op != CHARIOT_OP_REVOKE && !op->len_kind && !op->len_add &&
	    c->profile)
		return -ENOENT;		/* an empty type */
	return 0;
}

/* Give @op, which has its address, the length of @len. */
static int set_len(struct compiler *c, struct chariot_op *op,
		   const struct chariot_op *len)
{
	op->len_kind = len->len_kind;
	op->len_a = len->len_a;
	op->len_b = len->len_b;
	op->len_off = len->len_off;
	op->len_mul = len->len_mul;
	op->len_add = len->len_add;
	op->len_shift = len->len_shift;
	if (!len_has_deref(len))
		return 0;
	if (op->nr_deref > 1)
		return refuse(c, "such a length, and two dereferences");
	op->deref[1] = len->deref[1];
	return 0;
}

/*
 * A part of an object that is an object itself, or an array or list of them:
 * the module walks over it.
 */
static int compile_walk(struct compiler *c, const struct action *a,
			const struct scope *sc)
{
	struct chariot_op op = { .op = CHARIOT_OP_WALK, .phase = a->phase };
	struct chariot_op len = { .len_add = 1 };
	uint64_t size;
	int err, n;

	/* Only what is granted goes on further; freeing ends at the object. */
	if (a->op == CHARIOT_OP_REVOKE || a->op == CHARIOT_OP_CHECK)
		return -ENOENT;
	err = compile_base(c, sc, a->base, &op);
	if (!err && a->count)
		err = len.len_add = 0, compile_len(c, sc, a->count, &len);
	if (!err)
		err = type_size(c, a->as, &size);
	if (err)
		return err;
	err = set_len(c, &op, &len);
	if (err)
		return err;
	if (c->entry && a->op != CHARIOT_OP_GRANT)
		op.flags = CHARIOT_WALK_NOW;
	if (size > UINT16_MAX)
		return refuse(c, "objects of an array are too large");
	op.stride = a->count ? size : 0;
	if (a->list) {
		op.len_kind = CHARIOT_LEN_LIST;
		err = type_member(c, a->as, a->list, &op.len_off, &size);
		if (err)
			return err;
		if (a->embedded) {
			op.stride = op.len_off;
			op.offset -= op.len_off;
		}
	}
	if (c->object) {
		n = c->object(c->ctx, a->as, a->op, c->entry ?
			      CHARIOT_PHASE_PRE : a->phase, false);
		if (n < 0)
			return n;
		op.sub = n;
	}
	return check_op(c, &op, a) ?: compile_emit(c, &op);
}

/* What pointers in the object lead to. */
int compile_reach(struct compiler *c, const struct expr *base, const char *type)
{
	static const struct scope none;
	struct chariot_op walk = { .op = CHARIOT_OP_WALK, .len_add = 1 };
	int n, err = compile_base(c, &none, base, &walk);

	if (err || !c->entry || !c->object)
		return err;
	n = c->object(c->ctx, type, CHARIOT_OP_GRANT, CHARIOT_PHASE_PRE, true);
	walk.sub = n;
	return n < 0 ? n : compile_emit(c, &walk);
}

/*
 * The rows of a revoke go backwards, so that the struct itself is the last.  A
 * row keeps its own verb where the object is an argument, or part of one.
 */
int compile_object(struct compiler *c, const struct stmt *st, const char *type,
		   const struct expr *base, uint8_t op, uint8_t phase)
{
	const struct action *rows[32], *o;
	int err = 0, nr = 0;

	for (o = st ? st->actions : NULL; o && nr < 32; o = o->next)
		rows[nr++] = o;
	for (int i = 0; i < nr && !err; i++) {
		struct action row = *rows[op == CHARIOT_OP_REVOKE ?
					  nr - 1 - i : i];
		struct scope sc = { base, type };

		row.phase = phase;
		if (row.op == ACTION_REACH) {
			err = compile_reach(c, base, type);
			continue;
		}
		if (c->in_const && row.base->kind == EXPR_THIS)
			continue;
		if (!c->entry)
			row.op = op;
		if (row.op == CHARIOT_OP_REVOKE)
			row.len = NULL;
		err = row.as ? compile_walk(c, &row, &sc) :
			       compile_action(c, &row, base, type);
		if (err == -ENOENT || (err == -EINVAL && c->lenient))
			err = 0;
	}
	return err;
}

int compile_action(struct compiler *c, const struct action *a,
		   const struct expr *this_is, const char *this_type)
{
	struct scope sc = { this_is, this_type };
	struct chariot_op op = { .op = a->op, .phase = a->phase };
	struct chariot_op len = {};
	int err;

	if (a->op == ACTION_REACH)
		return 0;
	if (a->as) {
		if (a->op == CHARIOT_OP_CHECK)
			return refuse(c, "check needs a length");
		if (this_is || a->count || a->list)
			return compile_walk(c, a, &sc);
		/* Its base alone, for the errors that it may have. */
		err = compile_base(c, &sc, a->base, &op);
		return err ?: compile_object(c, policy_find(c->policy,
							    STMT_OBJECT, a->as),
					     a->as, a->base, a->op, a->phase);
	}
	err = compile_address(c, &sc, a->base, &op);
	if (!err && a->len) {
		err = compile_len(c, &sc, a->len, &len);
		err = err ?: set_len(c, &op, &len);
	}
	return err ?: check_op(c, &op, a) ?: compile_emit(c, &op);
}

int compile_actions(struct compiler *c, const struct action *a,
		    const struct expr *this_is, const char *this_type)
{
	int err = 0;

	for (; a && (!err || err == -ENOENT); a = a->next)
		err = compile_action(c, a, this_is, this_type);
	return err == -ENOENT ? 0 : err;
}
