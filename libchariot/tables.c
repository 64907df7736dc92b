// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The module's tables for one driver: all of it.
 */
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>

#include "tables.h"

#define MAX_CPUS	8192

/* ---- growing tables ----------------------------------------------------- */

void *tables_add(struct builder *b, struct vec *vec, size_t size)
{
	void *v;

	if (b->err)
		return NULL;
	if (vec->nr == vec->room) {
		v = reallocarray(vec->v, 2 * vec->room + 16, size);
		if (!v) {
			b->err = -ENOMEM;
			return NULL;
		}
		vec->v = v;
		vec->room = 2 * vec->room + 16;
	}
	v = (char *)vec->v + vec->nr++ * size;
	return memset(v, 0, size);
}

void tables_add_range(struct builder *b, uint64_t gva, uint64_t len,
		      uint32_t kind)
{
	struct chariot_range *r;

	if (!len)
		return;
	r = tables_add(b, &b->t->ranges, sizeof(*r));
	if (r)
		*r = (struct chariot_range){ .gva = gva, .len = len,
					     .kind = kind };
}

/* Most gates do one of a few things: runs of ops are kept once. */
struct seq tables_add_ops(struct builder *b, const struct chariot_op *ops,
			  size_t nr)
{
	const struct chariot_op *all = b->t->ops.v;
	struct seq *seq = b->seqs.v;
	struct chariot_op *op;

	if (!nr)
		return (struct seq){ 0, 0 };
	for (size_t i = 0; i < b->seqs.nr; i++)
		if (seq[i].nr == nr &&
		    !memcmp(all + seq[i].op, ops, nr * sizeof(*ops)))
			return seq[i];
	/* finish() tells.  To look through yet more would take for ever. */
	if (b->t->ops.nr > CHARIOT_MAX_OPS)
		return (struct seq){ 0, 0 };
	seq = tables_add(b, &b->seqs, sizeof(*seq));
	if (!seq)
		return (struct seq){ 0, 0 };
	seq->op = b->t->ops.nr;
	seq->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		op = tables_add(b, &b->t->ops, sizeof(*op));
		if (op)
			*op = ops[i];
	}
	return *seq;
}

struct compiler tables_compiler(struct builder *b, bool entry)
{
	return (struct compiler){
		.policy = b->policy, .profile = b->p, .btf = b->btf,
		.entry = entry, .object = handed_ops, .ctx = b,
	};
}

/* Of a function of the kernel; or NULL. */
const struct btf_type *tables_kernel_proto(struct builder *b, const char *name)
{
	const struct btf *btf = profile_btf(b->p);
	int32_t id = profile_type_id(b->p, name, BTF_KIND_FUNC);

	return id > 0 ? btf__type_by_id(btf, btf__type_by_id(btf, id)->type) :
			NULL;
}

static void know_args(struct compiler *c, struct builder *b, const char *name)
{
	const struct btf_type *proto = tables_kernel_proto(b, name);

	if (!proto)
		return;
	c->narrow = proto_narrow(profile_btf(b->p), proto);
	c->missing = proto_missing(proto);
}

/* @st NULL: nothing is known of it. */
void tables_add_gate(struct builder *b, uint64_t gva, const char *name,
		     const struct stmt *st)
{
	struct compiler c = tables_compiler(b, false);
	struct chariot_gate *g;
	struct seq seq;
	int err = 0;

	if (st) {
		know_args(&c, b, name);
		err = compile_actions(&c, st->actions, NULL, NULL);
	}
	if (err == -ENOMEM)
		b->err = err;
	else if (err)
		log_warn("%s:%d: %s", st->file, st->line,
			 c.why ? c.why : "cannot be done");
	seq = tables_add_ops(b, c.ops, c.nr);
	free(c.ops);
	g = tables_add(b, &b->t->gates, sizeof(*g));
	if (g)
		*g = (struct chariot_gate){ .gva = gva, .op = seq.op,
					    .nr_ops = seq.nr };
}

static int gate_cmp(const void *x, const void *y)
{
	const struct chariot_gate *a = x, *b = y;

	if (a->gva != b->gva)
		return a->gva < b->gva ? -1 : 1;
	return b->nr_ops - a->nr_ops;
}

/* Of two names of a function one may have no type: what is known counts. */
static uint16_t merge_flags(uint16_t a, uint16_t b)
{
	const uint16_t result = CHARIOT_GATE_RETURN(7) |
				CHARIOT_GATE_STAND_IN(15);
	bool known = (a & result) != recover_flags(NULL, NULL, NULL, NULL);

	return ((a | b) & ~result) | ((known ? a : b) & result);
}

/* One row for an address: the one that does most. */
void tables_sort_gates(struct vec *vec)
{
	struct chariot_gate *g = vec->v;
	size_t n = 0;

	if (!vec->nr)
		return;
	qsort(g, vec->nr, sizeof(*g), gate_cmp);
	for (size_t i = 0; i < vec->nr; i++) {
		if (n && g[n - 1].gva == g[i].gva)
			g[n - 1].flags = merge_flags(g[n - 1].flags, g[i].flags);
		else
			g[n++] = g[i];
	}
	vec->nr = n;
}

/* What the function does, by its text; NULL: not known. */
const struct pure_fn *tables_look_at(struct builder *b, uint64_t gva)
{
	const struct pure_fn *f = b->pure ? pure_look(b->pure, gva) : NULL;

	if (!f && b->pure && errno == ENOMEM)
		b->err = -ENOMEM;
	return f;
}

/* ---- other ranges ------------------------------------------------------- */

static void add_sections(struct builder *b)
{
	const struct chariot_section *sec;
	uint64_t start, end;
	size_t nr;

	sec = chariot_driver__sections(b->d, &nr);
	for (size_t i = 0; i < nr; i++) {
		start = sec[i].gva;
		end = start + sec[i].len;
		if (sec[i].kind >= CHARIOT_NR_RANGE_KINDS || end <= start)
			continue;
		if (sec[i].kind <= CHARIOT_RANGE_INIT_TEXT) {
			start &= PAGE_MASK;
			end = (end + PAGE_SIZE - 1) & PAGE_MASK;
		}
		tables_add_range(b, start, end - start, sec[i].kind);
	}
}

static void add_intr(struct builder *b)
{
	const struct stmt *st;
	uint64_t start, end;

	for (st = b->policy->first; st; st = st->next) {
		if (st->kind != STMT_INTR_RANGE)
			continue;
		start = chariot_profile__symbol(b->p, st->names.v[0]);
		end = chariot_profile__symbol(b->p, st->names.v[1]);
		if (start && end > start)
			tables_add_range(b, start, end - start, CHARIOT_RANGE_INTR);
	}
}

void tables_add_bytes(struct builder *b, uint64_t gva, uint64_t len)
{
	uint64_t gpa, left;

	/* One page that is not there would make the module refuse it all. */
	for (uint64_t at = gva & PAGE_MASK; at < gva + len; at += PAGE_SIZE)
		if (chariot_space__translate(b->s, at, &gpa, &left))
			return;
	tables_add_range(b, gva, len, CHARIOT_RANGE_RULE);
}

static void add_rule(struct builder *b, const struct stmt *st)
{
	const struct expr *e = st->actions->base;
	bool percpu = e->kind == EXPR_PERCPU;
	struct compiler c = tables_compiler(b, false);
	uint64_t len, gva, offset = 0, cpus = b->t->create.kernel.nr_cpus;

	if (percpu)
		e = e->a;
	if (rule_is_current(e))
		return;			/* add_current() */
	if (compile_const(&c, st->actions->len, &len) ||
	    (e->kind == EXPR_ADD && compile_const(&c, e->b, &offset)))
		return;
	gva = driver_address_of(b->d, b->p, e->kind == EXPR_ADD ? e->a->name : e->name);
	if (!gva || !b->s)
		return;
	gva += offset;
	if (!percpu) {
		tables_add_bytes(b, gva, len);
		return;
	}
	for (uint64_t cpu = 0; cpu < cpus && cpu < MAX_CPUS; cpu++)
		if (!space_read_uint(b->s, b->t->create.kernel.percpu_offsets +
				     8 * cpu, 8, &offset))
			tables_add_bytes(b, gva + offset, len);
}

static void add_rules(struct builder *b)
{
	const struct stmt *st;

	for (st = b->policy->first; st; st = st->next)
		if (st->kind == STMT_RULE)
			add_rule(b, st);
}

/* ---- gates -------------------------------------------------------------- */

/* All that the policy knows: the driver may call them through pointers. */
static void add_policy_gates(struct builder *b)
{
	const struct stmt *st;
	uint64_t gva;

	for (st = b->policy->first; st; st = st->next) {
		if (st->kind != STMT_GATE)
			continue;
		for (size_t i = 0; i < st->names.nr; i++) {
			gva = driver_address_of(b->d, b->p, st->names.v[i]);
			if (gva && policy_find(b->policy, STMT_GATE,
					       st->names.v[i]) == st)
				tables_add_gate(b, gva, st->names.v[i], st);
		}
	}
}

/* ---- rules for the running task -------------------------------------------- */

/* The first ops of the table. */
static void add_current(struct builder *b)
{
	struct compiler c = tables_compiler(b, true);
	const struct stmt *st;
	const struct expr *e;
	uint64_t len, offset;
	struct chariot_op op;
	int64_t member;

	for (st = b->policy->first; st; st = st->next) {
		if (st->kind != STMT_RULE)
			continue;
		e = st->actions->base;
		if (!rule_is_current(e) || compile_const(&c, e->b, &offset) ||
		    compile_const(&c, st->actions->len, &len))
			continue;
		op = (struct chariot_op){ .base = CHARIOT_CURRENT,
					  .offset = offset, .len_add = len };
		if (e->a->kind == EXPR_FIELD) {
			member = chariot_profile__member(b->p, e->a->name,
							 e->a->member, NULL);
			if (member < 0)
				continue;
			op.deref[op.nr_deref++] = member;
		}
		tables_add_ops(b, &op, 1);
	}
	b->t->create.nr_rules = b->t->ops.nr;
}

/* ---- all of it ---------------------------------------------------------- */

static int add_kernel(struct builder *b)
{
	struct chariot_kernel *k = &b->t->create.kernel;

	if (b->s)
		return chariot_profile__kernel(b->p, b->s, k);
	/* Without a guest: enough to look at the tables. */
	k->text_start = chariot_profile__symbol(b->p, "_stext");
	k->text_end = chariot_profile__symbol(b->p, "_etext");
	return 0;
}

/* The last one wins. */
static void set_defer(struct builder *b)
{
	const struct stmt *st;

	for (st = b->policy->first; st; st = st->next)
		if (st->kind == STMT_DEFER)
			b->t->create.defer = st->num;
}

static void finish(struct builder *b)
{
	struct chariot_domain_create *c = &b->t->create;

	c->argsz = sizeof(*c);
	c->verdict = CHARIOT_VERDICT_SKIP;
	snprintf(c->name, sizeof(c->name), "%s", chariot_driver__name(b->d));
	c->ranges = (uintptr_t)b->t->ranges.v;
	c->nr_ranges = b->t->ranges.nr;
	c->gates = (uintptr_t)b->t->gates.v;
	c->nr_gates = b->t->gates.nr;
	c->entries = (uintptr_t)b->t->entries.v;
	c->nr_entries = b->t->entries.nr;
	c->ops = (uintptr_t)b->t->ops.v;
	c->nr_ops = b->t->ops.nr;
	if (c->nr_ranges > CHARIOT_MAX_RANGES || c->nr_ops > CHARIOT_MAX_OPS ||
	    c->nr_gates > CHARIOT_MAX_GATES ||
	    c->nr_entries > CHARIOT_MAX_GATES) {
		log_err("%s: tables too large", c->name);
		b->err = -E2BIG;
	}
}

struct chariot_tables *
chariot_tables__build(const struct chariot_policy *policy,
		      const struct chariot_profile *p,
		      const struct chariot_space *s,
		      const struct chariot_driver *d)
{
	uint32_t mode = policy_mode(policy);

	return tables_build(policy, p, s, d,
			    mode == CHARIOT_MODE_INLINE ? CHARIOT_MODE_STRICT : mode);
}

struct chariot_tables *
tables_build(const struct chariot_policy *policy, const struct chariot_profile *p,
	     const struct chariot_space *s, const struct chariot_driver *d, uint32_t mode)
{
	bool views = mode != CHARIOT_MODE_INLINE;
	struct builder b = {
		.policy = policy, .p = p, .s = s, .d = d,
		.btf = chariot_driver__btf(d),
	};

	b.t = calloc(1, sizeof(*b.t));
	if (!b.t)
		return NULL;
	b.err = add_kernel(&b);
	b.t->create.mode = mode;
	set_defer(&b);
	recover_begin(&b.t->recover, policy, p);
	add_current(&b);
	add_sections(&b);
	add_intr(&b);
	add_policy_gates(&b);
	inherit_collect(&b);
	if (!b.err && inherit_library_is_on(policy)) {
		b.pure = pure_new(p, s);
		b.err = b.pure ? 0 : -errno;
	}
	b.imports[0] = b.t->gates.nr;
	imports_add(&b, false);
	b.imports[1] = b.t->gates.nr;
	if (views) {
		inherit_drop(&b);
		inherit_libraries(&b);
		inherit_add(&b);
		inherit_forget_unseen(&b);
	} else {
		inherit_drop_all(&b);
	}
	add_rules(&b);
	imports_add(&b, true);
	if (views)
		inherit_mark(&b);
	tables_sort_gates(&b.t->gates);
	entries_add(&b);
	handed_types(&b);
	imports_free(&b);
	if (!b.btf)
		log_warn("%s has no usable BTF: what its arguments point to is not granted, and when it has failed, each of its functions returns -EIO",
			 chariot_driver__name(d));
	if (!b.err)
		b.err = recover_build(&b.t->recover, p, s, d);
	b.t->create.recover = b.t->recover.r;
	finish(&b);
	free(b.seqs.v);
	free(b.shared.v);
	free(b.apart.v);
	inherit_free(&b);
	pure_free(b.pure);
	free(b.funcs.v);
	free(b.types.v);
	if (b.err) {
		chariot_tables__free(b.t);
		return err_null(b.err);
	}
	log_debug("%s: %u ranges, %u gates, %u entries, %u ops",
		  b.t->create.name, b.t->create.nr_ranges,
		  b.t->create.nr_gates, b.t->create.nr_entries,
		  b.t->create.nr_ops);
	return b.t;
}

void chariot_tables__free(struct chariot_tables *t)
{
	if (!t)
		return;
	free(t->ranges.v);
	free(t->gates.v);
	free(t->entries.v);
	free(t->ops.v);
	recover_free(&t->recover);
	free(t);
}

const struct chariot_domain_create *
chariot_tables__create(const struct chariot_tables *t)
{
	return &t->create;
}
