// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An object that the kernel hands over: what the policy says of its type, or all of it,
 * and what it leads to.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "tables.h"

/* Ops for an object of a type, which WALK runs. */
struct type_ops {
	char *name;
	uint8_t op, phase;
	bool reach;
	struct seq seq;
};

void handed_warn(const struct compiler *c, const struct stmt *st, int err)
{
	if (err == -EINVAL)
		log_warn("%s:%d: %s", st->file, st->line,
			 c->why ? c->why : "cannot be done");
}

/*
 * An object of type @name that the kernel hands over, at @base: what the policy
 * says of the type, or all of it.
 */
int handed_compile(struct compiler *c, const struct expr *base,
		   const char *name, int64_t size, uint8_t phase)
{
	const struct stmt *obj = name ? policy_find(c->policy, STMT_OBJECT,
						    name) : NULL;
	struct action a = {
		.op = name ? CHARIOT_OP_HAND : CHARIOT_OP_GRANT, .phase = phase,
		.base = (struct expr *)base,
		.len = &(struct expr){ .kind = EXPR_NUM, .num = size },
	};
	int err;

	if (obj) {
		err = compile_object(c, obj, name, base, c->entry ?
				     CHARIOT_OP_GRANT : CHARIOT_OP_HAND, phase);
		handed_warn(c, obj, err);
		return err;
	}
	if (size <= 0 || size > (int64_t)CHARIOT_MAX_OBJECT || c->in_const)
		return 0;
	return compile_action(c, &a, NULL, NULL);
}

/* What pointers in it lead to, too. */
int handed_reached(struct compiler *c, const struct expr *base,
		   const struct param *p, const char *name)
{
	if (!name || p->size <= 0 || c->in_const ||
	    policy_find(c->policy, STMT_OBJECT, name))
		return 0;
	return compile_reach(c, base, name);
}

/* ---- what objects lead to ------------------------------------------------ */

#define MAX_REACH	256	/* pointers of one object */
#define MAX_REACHED	65536	/* bytes of an object that is reached */
#define MAX_REACH_STEPS	100000	/* members looked at for one object */

int handed_ops(void *ctx, const char *type, uint8_t op, uint8_t phase,
	       bool reach)
{
	struct builder *b = ctx;
	struct type_ops *t = b->types.v;

	for (size_t i = 0; i < b->types.nr; i++)
		if (t[i].op == op && t[i].phase == phase &&
		    t[i].reach == reach && !strcmp(t[i].name, type))
			return i;
	t = tables_add(b, &b->types, sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = (struct type_ops){ .name = strdup(type), .op = op, .phase = phase,
				.reach = reach };
	if (!t->name)
		b->err = -ENOMEM;
	return b->types.nr - 1;
}

/* A pointer at @offset of the object, to type @id. */
static int reach_pointer(struct compiler *c, const struct btf *btf, uint32_t id,
			 uint64_t offset)
{
	struct chariot_op op = {
		.op = CHARIOT_OP_HAND, .base = CHARIOT_THIS, .nr_deref = 1,
		.deref[0] = offset,
	};
	bool is_const = false;
	const struct btf_type *t = btf_strip(btf, &id, &is_const);
	const struct stmt *obj;
	const char *name;
	int n;

	if (!t || !id || is_const || !btf_is_composite(t) || !t->size ||
	    t->size > MAX_REACHED || c->nr >= MAX_REACH)
		return 0;
	name = btf__name_by_offset(btf, t->name_off);
	obj = name && *name ? policy_find(c->policy, STMT_OBJECT, name) : NULL;
	/* None of it is the driver's, or only what it stands for. */
	if (obj && (!obj->actions || !obj->actions->base ||
		    obj->actions->base->kind != EXPR_THIS))
		return 0;
	op.len_add = t->size;
	if (obj) {
		op.op = CHARIOT_OP_WALK;
		op.len_add = 1;
		n = c->object(c->ctx, name, CHARIOT_OP_GRANT, CHARIOT_PHASE_PRE,
			      false);
		if (n < 0)
			return n;
		op.sub = n;
	}
	return compile_emit(c, &op);
}

/* All pointers in a struct or union @id that lies at @offset of the object. */
static int reach_members(struct compiler *c, const struct btf *btf, uint32_t id,
			 uint64_t offset, int depth, unsigned int *steps)
{
	const struct btf_type *s = btf__type_by_id(btf, id), *t;
	const struct btf_member *m = btf_members(s);
	bool is_const;
	uint64_t at;
	uint32_t to;
	int err = 0;

	for (int i = 0; i < btf_vlen(s) && !err && depth < 8; i++) {
		/* Structs in structs: the guest's types could multiply them. */
		if (++*steps > MAX_REACH_STEPS)
			break;
		if (btf_member_bitfield_size(s, i))
			continue;
		at = offset + btf_member_bit_offset(s, i) / 8;
		to = m[i].type;
		is_const = false;
		t = btf_strip(btf, &to, &is_const);
		if (t && btf_is_ptr(t))
			err = reach_pointer(c, btf, t->type, at);
		else if (t && btf_is_composite(t))
			err = reach_members(c, btf, to, at, depth + 1, steps);
	}
	return err;
}

/* The type by its name, in the driver's BTF or its base. */
static void compile_type(struct builder *b, size_t i)
{
	struct type_ops *t = (struct type_ops *)b->types.v + i;
	struct compiler c = tables_compiler(b, t->phase == CHARIOT_PHASE_PRE);
	struct expr self = { .kind = EXPR_VALUE, .num = CHARIOT_THIS };
	const struct stmt *obj = policy_find(b->policy, STMT_OBJECT, t->name);
	const char *name = t->name;
	unsigned int steps = 0;
	struct seq seq;
	int32_t id;
	int err;

	if (t->reach) {
		id = profile_type_id(b->p, name, BTF_KIND_STRUCT);
		if (id < 0 && b->btf)
			id = btf__find_by_name_kind(b->btf, name,
						    BTF_KIND_STRUCT);
		err = id > 0 ? reach_members(&c, b->btf ? b->btf :
					     profile_btf(b->p), id, 0, 0,
				     &steps) : 0;
	} else if (*name == '*') {
		struct chariot_op op = {
			.op = CHARIOT_OP_WALK, .phase = t->phase,
			.base = CHARIOT_THIS, .nr_deref = 1, .len_add = 1,
			.flags = c.entry && t->op != CHARIOT_OP_GRANT ?
				 CHARIOT_WALK_NOW : 0,
		};

		err = handed_ops(b, name + 1, t->op, t->phase, false);
		op.sub = err;
		err = err < 0 ? err : compile_emit(&c, &op);
	} else {
		err = compile_object(&c, obj, name, &self, t->op, t->phase);
	}
	if (err == -ENOMEM)
		b->err = err;
	seq = tables_add_ops(b, c.ops, c.nr);
	free(c.ops);
	/* The table may have moved. */
	((struct type_ops *)b->types.v)[i].seq = seq;
}

/* Types may name other types; then WALKs get the place of their ops. */
void handed_types(struct builder *b)
{
	struct chariot_op *op;
	struct type_ops *t;

	for (size_t i = 0; i < b->types.nr && !b->err; i++)
		compile_type(b, i);
	op = b->t->ops.v;
	t = b->types.v;
	for (size_t i = 0; i < b->t->ops.nr && !b->err; i++) {
		if (op[i].op != CHARIOT_OP_WALK &&
		    op[i].op != CHARIOT_OP_REACH)
			continue;
		op[i].nr_sub = t[op[i].sub].seq.nr;
		op[i].sub = t[op[i].sub].seq.op;
	}
	for (size_t i = 0; i < b->types.nr; i++)
		free(t[i].name);
}
