// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The driver's functions: what the kernel hands over with a call, as far as policy and
 * prototypes tell, and what becomes of it when the driver has failed.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "tables.h"

struct func {			/* of a module's own BTF */
	const char *name;
	uint32_t proto;
};

static int func_cmp(const void *x, const void *y)
{
	return strcmp(((const struct func *)x)->name,
		      ((const struct func *)y)->name);
}

/* Of a module's own part of its BTF: the kernel's functions are not wanted. */
void entries_funcs(struct builder *b, const struct btf *btf, struct vec *funcs)
{
	const struct btf *base = btf ? btf__base_btf(btf) : NULL;
	uint32_t id = base ? btf__type_cnt(base) : 1;
	const struct btf_type *t;
	struct func *f;

	for (; btf && id < btf__type_cnt(btf); id++) {
		t = btf__type_by_id(btf, id);
		if (!btf_is_func(t))
			continue;
		f = tables_add(b, funcs, sizeof(*f));
		if (!f)
			return;
		f->name = btf__name_by_offset(btf, t->name_off);
		f->proto = t->type;
	}
	if (funcs->nr)
		qsort(funcs->v, funcs->nr, sizeof(*f), func_cmp);
}

const struct btf_type *entries_proto(const struct btf *btf,
				     const struct vec *funcs,
				     const char *name)
{
	struct func key = { .name = name }, *f = NULL;

	if (funcs->nr)
		f = bsearch(&key, funcs->v, funcs->nr, sizeof(key), func_cmp);
	return f ? btf__type_by_id(btf, f->proto) : NULL;
}

static int compile_param(struct builder *b, struct compiler *c,
			 const struct param *p)
{
	struct expr self = { .kind = EXPR_VALUE, .num = p->arg };
	const char *name;
	int err;

	if (p->arg < 0 || !p->pointer)
		return 0;
	name = proto_struct_name(b->btf, p);
	c->in_const = p->is_const;
	err = handed_compile(c, &self, name, p->size, CHARIOT_PHASE_PRE) ?:
	      handed_reached(c, &self, p, name);
	c->in_const = false;
	return err;
}

static void compile_signature(struct builder *b, struct compiler *c,
			      const struct param *p, int nr)
{
	const struct stmt *st;
	int i;

	for (st = b->policy->first; st; st = st->next) {
		if (st->kind != STMT_ENTRY || st->names.nr != (size_t)nr)
			continue;
		for (i = 0; i < nr && proto_param_fits(b->btf, p[i].type, st->names.v[i]);
		     i++)
			;
		if (i == nr)
			handed_warn(c, st, compile_actions(c, st->actions,
							   NULL, NULL));
	}
}

static bool is_bytes(struct builder *b, const struct param *p)
{
	const struct btf_type *t = p->id ? btf__type_by_id(b->btf, p->id) : NULL;

	return p->pointer && t && btf_is_int(t) && t->size == 1;
}

/* Behind the buffer @i; or before it, if there is no other buffer and no other length. */
static int length_of(struct builder *b, const struct param *p, int nr, int i)
{
	int n = proto_length_after(p, nr, i);

	if (n >= 0 || !is_bytes(b, &p[i]))
		return n;
	for (int j = 0; j < nr; j++) {
		if (j != i && is_bytes(b, &p[j]))
			return -1;
		if (!proto_is_length(&p[j]))
			continue;
		if (n >= 0)
			return -1;
		n = j;
	}
	return n;
}

/* A buffer of bytes, and an argument that is named like a length. */
static int compile_buffers(struct builder *b, struct compiler *c,
			   const struct param *p, int nr)
{
	struct expr base = { .kind = EXPR_VALUE }, len = base;
	struct action a = { .op = CHARIOT_OP_GRANT, .base = &base,
			    .len = &len };
	int err = 0, n;

	for (int i = 0; i < nr && !err; i++) {
		n = length_of(b, p, nr, i);
		if (n < 0 || p[i].arg < 0 || !p[i].pointer || p[i].is_const)
			continue;
		if (p[i].id && !is_bytes(b, &p[i]))
			continue;
		base.num = p[i].arg;
		len.num = p[n].arg;
		c->narrow = 1 << len.num;
		if (btf__resolve_size(b->btf, p[n].type) > 4)
			c->narrow = 0;
		err = compile_action(c, &a, NULL, NULL);
	}
	return err;
}

/* What the kernel hands over with a call, as far as the prototype tells. */
static struct seq entry_ops(struct builder *b, const char *name)
{
	const struct btf_type *proto = entries_proto(b->btf, &b->funcs, name);
	struct compiler c = tables_compiler(b, true);
	struct param params[6];
	int reg = 0, nr = 0, err = 0;
	struct seq seq;

	for (; proto && nr < btf_vlen(proto) && nr < 6 && !err; nr++) {
		proto_param(b->btf, btf_params(proto)[nr].type, &reg,
			    &params[nr]);
		params[nr].name = btf__name_by_offset(b->btf,
					btf_params(proto)[nr].name_off) ?: "";
		err = compile_param(b, &c, &params[nr]);
	}
	if (nr && nr == btf_vlen(proto))
		compile_signature(b, &c, params, nr);
	if (err == -ENOMEM)
		b->err = err;
	if (!err && compile_buffers(b, &c, params, nr) == -ENOMEM)
		b->err = -ENOMEM;
	seq = tables_add_ops(b, c.ops, c.nr);
	free(c.ops);
	return seq;
}

static bool is_entry(const struct chariot_symbol *sym)
{
	return sym->func && strncmp(sym->name, "__pfx_", 6);
}

static bool in_text(struct builder *b, uint64_t gva)
{
	const struct chariot_section *sec;
	size_t nr;

	sec = chariot_driver__sections(b->d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (sec[i].kind <= CHARIOT_RANGE_INIT_TEXT &&
		    gva - sec[i].gva < sec[i].len)
			return true;
	return false;
}

/* init and exit may have no symbol of their own, and so no type. */
static void add_init_exit(struct builder *b)
{
	uint16_t flags = recover_flags(NULL, NULL, NULL, NULL);
	uint64_t init = chariot_driver__init(b->d);
	uint64_t exit = chariot_driver__exit(b->d);
	struct chariot_gate *g;

	g = init ? tables_add(b, &b->t->entries, sizeof(*g)) : NULL;
	if (g)
		*g = (struct chariot_gate){ .gva = init,
					    .flags = flags | CHARIOT_GATE_INIT };
	g = exit ? tables_add(b, &b->t->entries, sizeof(*g)) : NULL;
	if (g)
		*g = (struct chariot_gate){ .gva = exit,
					    .flags = flags | CHARIOT_GATE_EXIT };
}

void entries_add(struct builder *b)
{
	const struct chariot_symbol *sym;
	struct chariot_gate *g;
	struct seq seq;
	size_t nr;

	entries_funcs(b, b->btf, &b->funcs);
	sym = chariot_driver__symbols(b->d, &nr);
	for (size_t i = 0; i < nr && b->t->entries.nr <= CHARIOT_MAX_GATES; i++) {
		if (!is_entry(&sym[i]) || !in_text(b, sym[i].gva))
			continue;
		/* A clone has its own calling convention: no arguments. */
		seq = strchr(sym[i].name, '.') ? (struct seq){ 0, 0 } :
		      entry_ops(b, sym[i].name);
		g = tables_add(b, &b->t->entries, sizeof(*g));
		if (g)
			*g = (struct chariot_gate){
				.gva = sym[i].gva, .op = seq.op,
				.nr_ops = seq.nr,
				.flags = recover_flags(&b->t->recover, b->btf,
					entries_proto(b->btf, &b->funcs,
						      sym[i].name), sym[i].name),
			};
	}
	add_init_exit(b);
	tables_sort_gates(&b->t->entries);
}
