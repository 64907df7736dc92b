// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The module's tables for one driver: a policy, which has names, meets one
 * guest's profile and one loaded driver, which have addresses.
 */
#include <bpf/btf.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy.h"
#include "proto.h"
#include "pure.h"

#define MAX_CPUS	8192

struct vec {
	void *v;
	size_t nr, room;
};

/* Code that is to run in the driver's view. */
struct shared {
	uint64_t start, end;
	const char *name;
	const struct stmt *st;
	bool pinned, dropped;
};

/* An import that is library code, and all that runs with it. */
struct library {
	const char *name;
	const struct pure_fn **fn;
	size_t nr;
	bool dropped;
};

struct seq {			/* a run of ops that gates share */
	uint32_t op, nr;
};

struct func {			/* of the driver's own BTF */
	const char *name;
	uint32_t proto;
};

/* Ops for an object of a type, which WALK runs. */
struct type_ops {
	char *name;
	uint8_t op, phase;
	bool reach;
	struct seq seq;
};

/* Another module, of which the driver calls functions. */
struct provider {
	struct chariot_driver *d;
	struct vec funcs;
};

struct chariot_tables {
	struct chariot_domain_create create;
	struct recover recover;
	struct vec ranges, gates, entries, ops;
};

struct builder {
	struct chariot_tables *t;
	const struct chariot_policy *policy;
	const struct chariot_profile *p;
	const struct chariot_space *s;
	const struct chariot_driver *d;
	const struct btf *btf;
	struct vec seqs, shared, funcs, types, providers, libraries;
	size_t imports[2];	/* gates that are not the policy's: from, to */
	struct pure *pure;	/* NULL: "library off" */
	unsigned int tries_providers;
	int err;
};

/* ---- growing tables ----------------------------------------------------- */

static void *vec_add(struct builder *b, struct vec *vec, size_t size)
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

static void add_range(struct builder *b, uint64_t gva, uint64_t len,
		      uint32_t kind)
{
	struct chariot_range *r;

	if (!len)
		return;
	r = vec_add(b, &b->t->ranges, sizeof(*r));
	if (r)
		*r = (struct chariot_range){ .gva = gva, .len = len,
					     .kind = kind };
}

/* Most gates do one of a few things: runs of ops are kept once. */
static struct seq add_ops(struct builder *b, const struct chariot_op *ops,
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
	seq = vec_add(b, &b->seqs, sizeof(*seq));
	if (!seq)
		return (struct seq){ 0, 0 };
	seq->op = b->t->ops.nr;
	seq->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		op = vec_add(b, &b->t->ops, sizeof(*op));
		if (op)
			*op = ops[i];
	}
	return *seq;
}

static int object_ops(void *ctx, const char *type, uint8_t op, uint8_t phase,
		      bool reach);

static struct compiler compiler(struct builder *b, bool entry)
{
	return (struct compiler){
		.policy = b->policy, .profile = b->p, .btf = b->btf,
		.entry = entry, .object = object_ops, .ctx = b,
	};
}

/* Arguments that have 32 bits or less. */
static uint8_t narrow_proto(const struct btf *btf, const struct btf_type *proto)
{
	uint8_t narrow = 0;
	int64_t size;

	for (int i = 0; i < btf_vlen(proto) && i < 6; i++) {
		size = btf__resolve_size(btf, btf_params(proto)[i].type);
		if (size > 8)
			break;		/* in two registers, or none */
		if (size > 0 && size <= 4)
			narrow |= 1 << i;
	}
	return narrow;
}

/* Of functions in assembler that is not known, nor what "..." is. */
static uint8_t missing_args(const struct btf_type *proto)
{
	uint32_t nr = btf_vlen(proto);

	if ((!nr && !proto->type) || (nr && !btf_params(proto)[nr - 1].type))
		return 0;
	return nr < 6 ? 0x3f & 0x3f << nr : 0;
}

/* Of a function of the kernel; or NULL. */
static const struct btf_type *kernel_proto(struct builder *b, const char *name)
{
	const struct btf *btf = profile_btf(b->p);
	int32_t id = profile_type_id(b->p, name, BTF_KIND_FUNC);

	return id > 0 ? btf__type_by_id(btf, btf__type_by_id(btf, id)->type) :
			NULL;
}

static void know_args(struct compiler *c, struct builder *b, const char *name)
{
	const struct btf_type *proto = kernel_proto(b, name);

	if (!proto)
		return;
	c->narrow = narrow_proto(profile_btf(b->p), proto);
	c->missing = missing_args(proto);
}

/* @st NULL: nothing is known of it. */
static void add_gate(struct builder *b, uint64_t gva, const char *name,
		     const struct stmt *st)
{
	struct compiler c = compiler(b, false);
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
	seq = add_ops(b, c.ops, c.nr);
	free(c.ops);
	g = vec_add(b, &b->t->gates, sizeof(*g));
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
static void sort_gates(struct vec *vec)
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

/* ---- addresses ---------------------------------------------------------- */

static bool is_code(char type)
{
	return strchr("tTwW", type) != NULL;
}

/* ---- code that runs in the driver's view -------------------------------- */

#define SHARED_MAX	512

static void add_shared(struct builder *b, uint64_t start, uint64_t end,
		       const char *name, const struct stmt *st)
{
	struct shared *sh;

	if (!start || end <= start || b->shared.nr > SHARED_MAX)
		return;
	if (b->shared.nr == SHARED_MAX)
		log_warn("the kernel has too much code that drivers share: %s and what follows is not",
			 name);
	sh = vec_add(b, &b->shared, sizeof(*sh));
	if (sh)
		*sh = (struct shared){
			.start = start, .end = end, .name = name, .st = st,
			.pinned = st->kind != STMT_INHERIT,
		};
}

static void add_pattern(struct builder *b, const char *pattern,
			const struct stmt *st)
{
	const char *name;
	uint64_t addr;
	char type;

	for (size_t i = 0; !profile_symbol_at(b->p, i, &name, &addr, &type);
	     i++)
		if (is_code(type) && !fnmatch(pattern, name, 0))
			add_shared(b, addr, chariot_profile__next(b->p, addr),
				   name, st);
}

static void collect_shared(struct builder *b)
{
	const struct stmt *st;
	uint64_t addr;

	for (st = b->policy->first; st; st = st->next) {
		if (st->kind == STMT_THUNK_RANGE)
			add_shared(b, chariot_profile__symbol(b->p,
							      st->names.v[0]),
				   chariot_profile__symbol(b->p, st->names.v[1]),
				   st->names.v[0], st);
		if (st->kind != STMT_INHERIT && st->kind != STMT_THUNK)
			continue;
		for (size_t i = 0; i < st->names.nr; i++) {
			if (strchr(st->names.v[i], '*')) {
				add_pattern(b, st->names.v[i], st);
				continue;
			}
			addr = chariot_profile__symbol(b->p, st->names.v[i]);
			add_shared(b, addr, chariot_profile__next(b->p, addr),
				   st->names.v[i], st);
		}
	}
}

/* Pages are executable as a whole: what else would not be seen on them? */
static const char *hides(struct builder *b, const struct shared *sh,
			 uint64_t *at)
{
	uint64_t start = sh->start & PAGE_MASK;
	uint64_t end = (sh->end + PAGE_SIZE - 1) & PAGE_MASK;
	const struct chariot_gate *g = b->t->gates.v;
	const struct chariot_range *r = b->t->ranges.v;

	for (size_t i = 0; i < b->t->gates.nr; i++) {
		*at = g[i].gva;
		if (i >= b->imports[0] && i < b->imports[1])
			continue;
		if (g[i].nr_ops && *at >= start && *at < end &&
		    (*at < sh->start || *at >= sh->end))
			return "gate";
	}
	for (size_t i = 0; i < b->t->ranges.nr; i++) {
		*at = r[i].gva;
		if (r[i].kind == CHARIOT_RANGE_INTR && *at < end &&
		    *at + r[i].len > start)
			return "interrupt entry";
	}
	return NULL;
}

static bool drop_one(struct builder *b, struct shared *sh)
{
	const char *what, *name;
	uint64_t at, offset;

	if (sh->dropped)
		return false;
	what = hides(b, sh, &at);
	if (!what)
		return false;
	name = chariot_profile__name(b->p, at, &offset);
	if (sh->pinned) {
		log_warn("%s shares a page with the %s %s: calls of that are not seen",
			 sh->name, what, name ? name : "?");
		sh->pinned = false;	/* say it once */
		return false;
	}
	if (sh->st->kind != STMT_INHERIT)
		return false;
	log_debug("%s is not inherited: it shares a page with the %s %s",
		  sh->name, what, name ? name : "?");
	sh->dropped = true;
	/* Its own check now is an op, which others must not hide either. */
	if (sh->st->actions)
		add_gate(b, sh->start, sh->name, sh->st);
	return true;
}

static int shared_cmp(const void *x, const void *y)
{
	const struct shared *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

static void drop_shared(struct builder *b)
{
	struct shared *sh = b->shared.v;
	bool again = true;

	while (again && !b->err) {
		again = false;
		for (size_t i = 0; i < b->shared.nr; i++)
			again |= drop_one(b, &sh[i]);
	}
}

/* Neighbours become one range: the module goes through them one by one. */
static void add_inherit(struct builder *b)
{
	struct shared *sh = b->shared.v;
	uint64_t start = 0, end = 0;

	if (b->shared.nr)
		qsort(sh, b->shared.nr, sizeof(*sh), shared_cmp);
	for (size_t i = 0; i < b->shared.nr; i++) {
		if (sh[i].dropped)
			continue;
		if (end && sh[i].start <= end + 16) {
			end = end > sh[i].end ? end : sh[i].end;
			continue;
		}
		add_range(b, start, end - start, CHARIOT_RANGE_INHERIT);
		start = sh[i].start;
		end = sh[i].end;
	}
	add_range(b, start, end - start, CHARIOT_RANGE_INHERIT);
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
		add_range(b, start, end - start, sec[i].kind);
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
			add_range(b, start, end - start, CHARIOT_RANGE_INTR);
	}
}

static void add_rule_bytes(struct builder *b, uint64_t gva, uint64_t len)
{
	uint64_t gpa, left;

	/* One page that is not there would make the module refuse it all. */
	for (uint64_t at = gva & PAGE_MASK; at < gva + len; at += PAGE_SIZE)
		if (chariot_space__translate(b->s, at, &gpa, &left))
			return;
	add_range(b, gva, len, CHARIOT_RANGE_RULE);
}

static void add_rule(struct builder *b, const struct stmt *st)
{
	const struct expr *e = st->actions->base;
	bool percpu = e->kind == EXPR_PERCPU;
	struct compiler c = compiler(b, false);
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
		add_rule_bytes(b, gva, len);
		return;
	}
	for (uint64_t cpu = 0; cpu < cpus && cpu < MAX_CPUS; cpu++)
		if (!space_read_uint(b->s, b->t->create.kernel.percpu_offsets +
				     8 * cpu, 8, &offset))
			add_rule_bytes(b, gva + offset, len);
}

static void add_rules(struct builder *b)
{
	const struct stmt *st;

	for (st = b->policy->first; st; st = st->next)
		if (st->kind == STMT_RULE)
			add_rule(b, st);
}

/* ---- gates -------------------------------------------------------------- */

static bool is_shared(const struct builder *b, uint64_t gva, bool dropped)
{
	const struct shared *sh = b->shared.v;

	for (size_t i = 0; i < b->shared.nr; i++)
		if (sh[i].dropped == dropped && gva >= sh[i].start && gva < sh[i].end)
			return true;
	return false;
}

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
				add_gate(b, gva, st->names.v[i], st);
		}
	}
}

static bool add_returned(struct builder *b, const char *name, uint64_t gva);

/*
 * The rest of the imports, so that the table says what the driver may call;
 * what their prototypes say they return is handed over.  Those that were not inherited
 * after all are @dropped.
 */
static void add_imports(struct builder *b, bool dropped)
{
	const struct chariot_kernel *k = &b->t->create.kernel;
	const struct chariot_symbol *sym;
	uint64_t gva, end;
	size_t nr;

	end = chariot_profile__symbol(b->p, "_end");
	sym = chariot_driver__imports(b->d, &nr);
	for (size_t i = 0; i < nr; i++) {
		gva = sym[i].gva ? sym[i].gva :
		      chariot_profile__symbol(b->p, sym[i].name);
		if (gva < k->text_start || (gva >= k->text_end && gva < end) ||
		    is_shared(b, gva, false) ||
		    is_shared(b, gva, true) != dropped)
			continue;
		if (policy_find(b->policy, STMT_GATE, sym[i].name) ||
		    !add_returned(b, sym[i].name, gva))
			add_gate(b, gva, NULL, NULL);
	}
}

/* ---- library code of the kernel's --------------------------------------- */

#define LIBRARIES_MAX	128

static const struct pure_fn *look_at(struct builder *b, uint64_t gva);

static bool library_is_on(const struct chariot_policy *policy)
{
	const struct stmt *st;
	bool on = false;

	for (st = policy->first; st; st = st->next)
		if (st->kind == STMT_LIBRARY)
			on = !strcmp(st->names.v[0], "on");
	return on;
}

/*
 * Does it write where its caller says, by the types?  Into plain data: an object of the
 * kernel's may be one that the driver knows of and does not have.  Nor, but for what is
 * linked, into what data leads to.
 */
static bool writes_data(const struct btf *btf, const struct btf_type *proto,
			uint16_t writes)
{
	const struct btf_param *params = btf_params(proto);
	bool some = false;
	struct param p;
	int reg = 0;

	for (int i = 0; i < btf_vlen(proto); i++) {
		proto_param(btf, params[i].type, &reg, &p);
		if (p.arg < 0 || !p.pointer)
			continue;
		if (!(writes & (FROM_ARG(p.arg) | FROM_IN(p.arg))))
			continue;
		if (!proto_is_data(btf, p.to))
			return false;
		if (writes & FROM_IN(p.arg) && !proto_is_link(btf, p.to))
			return false;
		some |= !p.is_const;
	}
	return some;
}

/* Does it do without other code, but for what ends the guest and warnings? */
static bool keeps_on(struct builder *b, const struct pure_fn *f)
{
	const char *name;
	uint64_t off;

	for (uint32_t i = 0; i < f->nr_exits; i++) {
		name = chariot_profile__name(b->p, f->exits[i], &off);
		if (!name || (!strstr(name, ".cold") &&
			      !policy_find(b->policy, STMT_PANICS, name)))
			return false;
	}
	return true;
}

/*
 * How many of them leave?  Few do where it is for the sake of something rare, such as a
 * format that only the kernel knows; where it is the function's work, its rest would not
 * be checked, and what it works on may be the kernel's.
 */
static bool mostly_stays(struct builder *b, const struct library *lib, bool few)
{
	size_t leave = 0;

	for (size_t i = 0; i < lib->nr; i++)
		leave += !keeps_on(b, lib->fn[i]);
	return !leave || (few && 6 * leave < lib->nr && keeps_on(b, lib->fn[0]));
}

/* Is it more than a check of what it writes, which inheriting does better? */
static bool acts(const struct builder *b, const struct chariot_gate *g)
{
	const struct chariot_op *op = (struct chariot_op *)b->t->ops.v + g->op;

	for (size_t i = 0; i < g->nr_ops; i++)
		if (op[i].op != CHARIOT_OP_CHECK)
			return true;
	return false;
}

static bool has_gate_ops(const struct builder *b, uint64_t gva)
{
	const struct chariot_gate *g = b->t->gates.v;

	for (size_t i = 0; i < b->t->gates.nr; i++)
		if (g[i].gva == gva && acts(b, &g[i]))
			return true;
	return false;
}

/* The policy's word counts, and what the function returns must be seen. */
static bool may_be_library(struct builder *b, const char *name, uint64_t gva)
{
	return kernel_proto(b, name) && !has_gate_ops(b, gva) &&
	       !is_shared(b, gva, false) && !is_shared(b, gva, true) &&
	       !policy_find(b->policy, STMT_GATE, name) &&
	       !catalogue_find(b->policy, name);
}

static void add_library(struct builder *b, const char *name, uint64_t gva)
{
	const struct btf_type *proto = kernel_proto(b, name);
	const struct pure_fn *all[PURE_CLOSURE], *f;
	struct library *lib, l = { .name = name, .fn = all };

	if (b->libraries.nr == LIBRARIES_MAX || !may_be_library(b, name, gva))
		return;
	f = look_at(b, gva);
	l.nr = f ? pure_closure(b->pure, f, all) : 0;
	if (!l.nr || f->atomic || !mostly_stays(b, &l, f->writes) ||
	    (f->writes && !writes_data(profile_btf(b->p), proto, f->writes)))
		return;
	l.fn = malloc(l.nr * sizeof(*l.fn));
	lib = l.fn ? vec_add(b, &b->libraries, sizeof(*lib)) : NULL;
	if (!lib) {
		free(l.fn);
		b->err = -ENOMEM;
		return;
	}
	memcpy(l.fn, all, l.nr * sizeof(*l.fn));
	*lib = l;
}

static void collect_libraries(struct builder *b)
{
	const struct chariot_symbol *sym;
	uint64_t gva;
	size_t nr;

	sym = chariot_driver__imports(b->d, &nr);
	for (size_t i = 0; i < nr && !b->err; i++) {
		gva = chariot_profile__symbol(b->p, sym[i].name);
		if (gva && (!sym[i].gva || sym[i].gva == gva))
			add_library(b, sym[i].name, gva);
	}
}

static bool runs_along(const struct builder *b, uint64_t gva)
{
	const struct library *lib = b->libraries.v;

	for (size_t i = 0; i < b->libraries.nr; i++)
		for (size_t k = 0; k < lib[i].nr && !lib[i].dropped; k++)
			if (lib[i].fn[k]->start == gva)
				return true;
	return is_shared(b, gva, false);
}

/*
 * A function that ends the guest by BUG() is seen all the same, as an oops.  One that
 * calls panic() is not.
 */
static bool ends_in_oops(struct builder *b, uint64_t gva)
{
	uint64_t len = chariot_profile__next(b->p, gva) - gva, off;
	bool trap = false;
	uint8_t code[256];
	const char *name;
	int32_t rel;

	if (len > sizeof(code) || pure_read(b->pure, gva, code, len))
		return false;
	for (size_t i = 0; i + 2 <= len; i++) {
		trap |= code[i] == 0x0f && code[i + 1] == 0x0b;
		if ((code[i] != 0xe8 && code[i] != 0xe9) || i + 5 > len)
			continue;
		memcpy(&rel, code + i + 1, sizeof(rel));
		name = chariot_profile__name(b->p, gva + i + 5 + (int64_t)rel,
					     &off);
		if (name && policy_find(b->policy, STMT_PANICS, name))
			return false;
	}
	return trap;
}

/*
 * A call of what is on the same page would not be seen.  That must not matter: it has no
 * actions, and is not known to take, give back, end or sleep.
 */
static const char *hidden_beside(struct builder *b, const struct pure_fn *f)
{
	struct shared sh = { .start = f->start, .end = f->end };
	const struct chariot_gate *g = b->t->gates.v;
	uint64_t first = f->start & PAGE_MASK, at, off;
	uint64_t len = ((f->end + PAGE_SIZE - 1) & PAGE_MASK) - first;
	const struct stmt *st;
	const char *name;

	/* The policy's, and interrupts. */
	if (hides(b, &sh, &at))
		return chariot_profile__name(b->p, at, &off) ?: "?";
	for (size_t i = b->imports[0]; i < b->imports[1]; i++) {
		if (g[i].gva - first >= len || runs_along(b, g[i].gva))
			continue;
		name = chariot_profile__name(b->p, g[i].gva, &off);
		st = name ? catalogue_find(b->policy, name) : NULL;
		if (acts(b, &g[i]) || !name ||
		    (st && (st->kind != STMT_PANICS ||
			    !ends_in_oops(b, g[i].gva))))
			return name ?: "?";
	}
	return NULL;
}

static const char *why_not(struct builder *b, const struct library *lib)
{
	const char *name;
	uint64_t gva, off;

	for (size_t i = 0; i < lib->nr; i++) {
		gva = lib->fn[i]->start;
		name = chariot_profile__name(b->p, gva, &off);
		if (is_shared(b, gva, false))
			continue;
		/* The driver may call it, too. */
		if (is_shared(b, gva, true) || has_gate_ops(b, gva) ||
		    (name && catalogue_find(b->policy, name)))
			return name ?: "?";
		name = hidden_beside(b, lib->fn[i]);
		if (name)
			return name;
	}
	return NULL;
}

static void drop_libraries(struct builder *b)
{
	struct library *lib = b->libraries.v;
	const char *name;
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < b->libraries.nr; i++) {
			name = lib[i].dropped ? NULL : why_not(b, &lib[i]);
			if (!name)
				continue;
			log_debug("%s is not inherited: it shares a page with %s, or calls it",
				  lib[i].name, name);
			lib[i].dropped = again = true;
		}
	}
}

/* WARN_ONCE() notes that it has warned before it leaves. */
static void add_once(struct builder *b)
{
	uint64_t start = chariot_profile__symbol(b->p, "__start_once");
	uint64_t end = chariot_profile__symbol(b->p, "__end_once");

	if (b->s && end > start)
		add_rule_bytes(b, start, end - start);
}

static void share_libraries(struct builder *b)
{
	static const struct stmt by_itself = { .kind = STMT_INHERIT };
	struct library *lib = b->libraries.v;
	bool once = false;

	for (size_t i = 0; i < b->libraries.nr; i++) {
		if (lib[i].dropped)
			continue;
		log_debug("%s is library code: inherited with %zu others",
			  lib[i].name, lib[i].nr - 1);
		once |= lib[i].fn[0]->once;
		for (size_t k = 0; k < lib[i].nr; k++)
			if (!is_shared(b, lib[i].fn[k]->start, false))
				add_shared(b, lib[i].fn[k]->start,
					   lib[i].fn[k]->end, lib[i].name,
					   &by_itself);
	}
	if (once)
		add_once(b);
}

/* Imports that write but where their caller says are inherited without being named. */
static void add_libraries(struct builder *b)
{
	if (b->err || !b->pure)
		return;
	collect_libraries(b);
	drop_libraries(b);
	share_libraries(b);
}

/* Calls of what is on such a page are not seen: no check can be promised for them. */
static void forget_unseen(struct builder *b)
{
	const struct chariot_range *r = b->t->ranges.v;
	struct chariot_gate *g = b->t->gates.v;

	for (size_t i = b->imports[0]; i < b->imports[1]; i++) {
		if (!g[i].nr_ops || acts(b, &g[i]))
			continue;
		for (size_t k = 0; k < b->t->ranges.nr; k++)
			if (r[k].kind == CHARIOT_RANGE_INHERIT &&
			    g[i].gva >= (r[k].gva & PAGE_MASK) &&
			    (g[i].gva & PAGE_MASK) < r[k].gva + r[k].len)
				g[i].op = g[i].nr_ops = 0;
	}
}

static void free_libraries(struct builder *b)
{
	struct library *lib = b->libraries.v;

	for (size_t i = 0; i < b->libraries.nr; i++)
		free(lib[i].fn);
	free(lib);
}

/* ---- entries ------------------------------------------------------------ */

static int func_cmp(const void *x, const void *y)
{
	return strcmp(((const struct func *)x)->name,
		      ((const struct func *)y)->name);
}

/* Of a module's own part of its BTF: the kernel's functions are not wanted. */
static void collect_funcs(struct builder *b, const struct btf *btf,
			  struct vec *funcs)
{
	const struct btf *base = btf ? btf__base_btf(btf) : NULL;
	uint32_t id = base ? btf__type_cnt(base) : 1;
	const struct btf_type *t;
	struct func *f;

	for (; btf && id < btf__type_cnt(btf); id++) {
		t = btf__type_by_id(btf, id);
		if (!btf_is_func(t))
			continue;
		f = vec_add(b, funcs, sizeof(*f));
		if (!f)
			return;
		f->name = btf__name_by_offset(btf, t->name_off);
		f->proto = t->type;
	}
	if (funcs->nr)
		qsort(funcs->v, funcs->nr, sizeof(*f), func_cmp);
}

static const struct btf_type *find_proto(const struct btf *btf,
					 const struct vec *funcs,
					 const char *name)
{
	struct func key = { .name = name }, *f = NULL;

	if (funcs->nr)
		f = bsearch(&key, funcs->v, funcs->nr, sizeof(key), func_cmp);
	return f ? btf__type_by_id(btf, f->proto) : NULL;
}

static void warn_actions(const struct compiler *c, const struct stmt *st,
			 int err)
{
	if (err == -EINVAL)
		log_warn("%s:%d: %s", st->file, st->line,
			 c->why ? c->why : "cannot be done");
}

/*
 * An object of type @name that the kernel hands over, at @base: what the policy
 * says of the type, or all of it.
 */
static int compile_handed(struct compiler *c, const struct expr *base,
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
		warn_actions(c, obj, err);
		return err;
	}
	if (size <= 0 || size > (int64_t)CHARIOT_MAX_OBJECT || c->in_const)
		return 0;
	return compile_action(c, &a, NULL, NULL);
}

/* What pointers in it lead to, too. */
static int compile_reached(struct compiler *c, const struct expr *base,
			   const struct param *p, const char *name)
{
	if (!name || p->size <= 0 || c->in_const ||
	    policy_find(c->policy, STMT_OBJECT, name))
		return 0;
	return compile_reach(c, base, name);
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
	err = compile_handed(c, &self, name, p->size, CHARIOT_PHASE_PRE) ?:
	      compile_reached(c, &self, p, name);
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
			warn_actions(c, st, compile_actions(c, st->actions,
							    NULL, NULL));
	}
}

static bool ends_in(const char *name, const char *const *ends)
{
	size_t n = strlen(name), len;

	for (; *ends; ends++) {
		len = strlen(*ends);
		if (n >= len && !strcasecmp(name + n - len, *ends))
			return true;
	}
	return false;
}

static const char *const len_names[] = {
	"len", "length", "size", "count", "bytes", "max", "n", NULL,
};

/* The next argument that is named like a length, -1: none. */
static int length_after(const struct param *p, int nr, int i)
{
	while (++i < nr && !p[i].pointer)
		if (p[i].arg >= 0 && p[i].integer &&
		    ends_in(p[i].name, len_names))
			return i;
	return -1;
}

/* A buffer of bytes, and behind it an argument that is named like a length. */
static int compile_buffers(struct builder *b, struct compiler *c,
			   const struct param *p, int nr)
{
	struct expr base = { .kind = EXPR_VALUE }, len = base;
	struct action a = { .op = CHARIOT_OP_GRANT, .base = &base,
			    .len = &len };
	const struct btf_type *t;
	int err = 0, n;

	for (int i = 0; i + 1 < nr && !err; i++) {
		n = length_after(p, nr, i);
		if (n < 0 || p[i].arg < 0 || !p[i].pointer || p[i].is_const)
			continue;
		t = p[i].id ? btf__type_by_id(b->btf, p[i].id) : NULL;
		if (t && !(btf_is_int(t) && t->size == 1))
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
	const struct btf_type *proto = find_proto(b->btf, &b->funcs, name);
	struct compiler c = compiler(b, true);
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
	seq = add_ops(b, c.ops, c.nr);
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

	g = init ? vec_add(b, &b->t->entries, sizeof(*g)) : NULL;
	if (g)
		*g = (struct chariot_gate){ .gva = init,
					    .flags = flags | CHARIOT_GATE_INIT };
	g = exit ? vec_add(b, &b->t->entries, sizeof(*g)) : NULL;
	if (g)
		*g = (struct chariot_gate){ .gva = exit,
					    .flags = flags | CHARIOT_GATE_EXIT };
}

static void add_entries(struct builder *b)
{
	const struct chariot_symbol *sym;
	struct chariot_gate *g;
	struct seq seq;
	size_t nr;

	collect_funcs(b, b->btf, &b->funcs);
	sym = chariot_driver__symbols(b->d, &nr);
	for (size_t i = 0; i < nr && b->t->entries.nr <= CHARIOT_MAX_GATES; i++) {
		if (!is_entry(&sym[i]) || !in_text(b, sym[i].gva))
			continue;
		/* A clone has its own calling convention: no arguments. */
		seq = strchr(sym[i].name, '.') ? (struct seq){ 0, 0 } :
		      entry_ops(b, sym[i].name);
		g = vec_add(b, &b->t->entries, sizeof(*g));
		if (g)
			*g = (struct chariot_gate){
				.gva = sym[i].gva, .op = seq.op,
				.nr_ops = seq.nr,
				.flags = recover_flags(&b->t->recover, b->btf,
					find_proto(b->btf, &b->funcs,
						   sym[i].name), sym[i].name),
			};
	}
	add_init_exit(b);
	sort_gates(&b->t->entries);
}

/* ---- what objects lead to ------------------------------------------------ */

#define MAX_REACH	256	/* pointers of one object */
#define MAX_REACHED	65536	/* bytes of an object that is reached */
#define MAX_REACH_STEPS	100000	/* members looked at for one object */

static int object_ops(void *ctx, const char *type, uint8_t op, uint8_t phase,
		      bool reach)
{
	struct builder *b = ctx;
	struct type_ops *t = b->types.v;

	for (size_t i = 0; i < b->types.nr; i++)
		if (t[i].op == op && t[i].phase == phase &&
		    t[i].reach == reach && !strcmp(t[i].name, type))
			return i;
	t = vec_add(b, &b->types, sizeof(*t));
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
	struct compiler c = compiler(b, t->phase == CHARIOT_PHASE_PRE);
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

		err = object_ops(b, name + 1, t->op, t->phase, false);
		op.sub = err;
		err = err < 0 ? err : compile_emit(&c, &op);
	} else {
		err = compile_object(&c, obj, name, &self, t->op, t->phase);
	}
	if (err == -ENOMEM)
		b->err = err;
	seq = add_ops(b, c.ops, c.nr);
	free(c.ops);
	/* The table may have moved. */
	((struct type_ops *)b->types.v)[i].seq = seq;
}

/* Types may name other types; then WALKs get the place of their ops. */
static void add_types(struct builder *b)
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

#define PROVIDERS_MAX	64	/* modules that are looked at, or not found */

/* ---- what kernel functions return ----------------------------------------- */

static struct provider *provider_of(struct builder *b, uint64_t gva)
{
	struct provider *v = b->providers.v;
	const struct chariot_section *sec;
	uint64_t module;
	size_t nr;

	for (size_t i = 0; i < b->providers.nr; i++) {
		sec = v[i].d ? chariot_driver__sections(v[i].d, &nr) : NULL;
		for (size_t k = 0; sec && k < nr; k++)
			if (gva - sec[k].gva < sec[k].len)
				return &v[i];
	}
	/* Each look is a walk of the guest's list. */
	if (b->tries_providers >= PROVIDERS_MAX)
		return NULL;
	if (++b->tries_providers == PROVIDERS_MAX)
		log_warn("%s: it imports from too many modules: what the rest returns is not known",
			 chariot_driver__name(b->d));
	module = b->s ? driver_module_at(b->p, b->s, gva) : 0;
	if (!module)
		return NULL;
	v = vec_add(b, &b->providers, sizeof(*v));
	if (!v)
		return NULL;
	v->d = chariot_driver__from_guest(b->p, b->s, module);
	if (!v->d) {
		b->providers.nr--;
		return NULL;
	}
	collect_funcs(b, chariot_driver__btf(v->d), &v->funcs);
	return v;
}

/* A pointer to a struct, by its type: its name and size. */
static const char *pointer_to_struct(const struct btf *btf, uint32_t id,
				     int64_t *size)
{
	bool is_const = false;
	const struct btf_type *t = btf_strip(btf, &id, NULL);
	const char *name;

	if (!t || !btf_is_ptr(t))
		return NULL;
	id = t->type;
	t = id ? btf_strip(btf, &id, &is_const) : NULL;
	if (!t || is_const || !btf_is_composite(t))
		return NULL;
	name = btf__name_by_offset(btf, t->name_off);
	*size = t->size;
	return name && *name ? name : NULL;
}

/* Not "create": kmem_cache_create() has a size that is another's. */
static bool is_allocator(const char *func)
{
	return strstr(func, "alloc") || strstr(func, "_new");
}

/*
 * An allocator that no policy knows: the size that its caller asks for, or of
 * what lies behind the struct.
 */
static int compile_allocated(struct compiler *c, const struct btf *btf,
			     const struct btf_type *proto, const char *name,
			     int64_t size)
{
	static const char *const ends[] = {
		"size", "len", "priv", "extra", "privsize", "bytes", NULL,
	};
	struct expr ret = { .kind = EXPR_VALUE, .num = CHARIOT_RET };
	struct expr arg = { .kind = EXPR_VALUE };
	struct expr own = { .kind = EXPR_NUM, .num = name ? size + 64 : 0 };
	struct expr sum = { .kind = EXPR_ADD, .a = &arg, .b = &own };
	struct action a = {
		.op = CHARIOT_OP_GRANT, .phase = CHARIOT_PHASE_POST,
		.base = &ret, .len = &sum,
	};
	uint32_t id = proto->type;
	const struct btf_type *t = id ? btf_strip(btf, &id, NULL) : NULL;
	const struct stmt *obj = name ? policy_find(c->policy, STMT_OBJECT,
						    name) : NULL;
	const struct btf_param *params = btf_params(proto);
	const char *param;
	struct param p;
	int reg = 0;

	if (!t || !btf_is_ptr(t) || (!name && t->type) ||
	    (obj && !obj->actions))
		return 0;
	for (int i = 0; i < btf_vlen(proto) && i < 6; i++) {
		proto_param(btf, params[i].type, &reg, &p);
		param = btf__name_by_offset(btf, params[i].name_off);
		if (p.arg < 0 || !p.integer || !param ||
		    !(ends_in(param, ends) || (name && strstr(param, "priv"))))
			continue;
		arg.num = p.arg;
		return compile_action(c, &a, NULL, NULL);
	}
	return 0;
}

/* What the object leads to, while the driver's function runs. */
static int compile_reach_returned(struct compiler *c, const struct expr *value,
				  const char *name)
{
	const struct stmt *obj = policy_find(c->policy, STMT_OBJECT, name);
	struct chariot_op op = {
		.op = CHARIOT_OP_REACH, .phase = CHARIOT_PHASE_POST,
	};
	int n;

	if (obj && !obj->actions)
		return 0;
	op.base = value->kind == EXPR_DEREF ? value->a->num : value->num;
	op.nr_deref = value->kind == EXPR_DEREF;
	n = object_ops(c->ctx, name, CHARIOT_OP_GRANT, CHARIOT_PHASE_PRE, !obj);
	op.sub = n;
	return n < 0 ? n : compile_emit(c, &op);
}

static int compile_returned(struct compiler *c, const struct btf *btf,
			    const struct btf_type *proto, const char *func)
{
	struct expr value = { .kind = EXPR_VALUE, .num = CHARIOT_RET };
	struct expr deref = { .kind = EXPR_DEREF, .a = &value };
	struct param p;
	const char *name;
	int64_t size;
	int reg = 0, err = 0;

	name = pointer_to_struct(btf, proto->type, &size);
	c->narrow = narrow_proto(btf, proto);
	if (is_allocator(func))
		err = compile_allocated(c, btf, proto, name, size);
	if (!err && name && !c->nr)
		err = compile_handed(c, &value, name, size, CHARIOT_PHASE_POST);
	if (!err && name)
		err = compile_reach_returned(c, &value, name);
	for (int i = 0; i < btf_vlen(proto) && i < 6 && !err; i++) {
		proto_param(btf, btf_params(proto)[i].type, &reg, &p);
		if (p.arg < 0 || !p.pointer || p.is_const || !p.id)
			continue;
		/* Where it puts a pointer. */
		name = pointer_to_struct(btf, p.id, &size);
		value.num = p.arg;
		if (name)
			err = compile_handed(c, &deref, name, size,
					     CHARIOT_PHASE_POST) ?:
			      compile_reach_returned(c, &deref, name);
	}
	return err;
}

/* What the function does, by its text; NULL: not known. */
static const struct pure_fn *look_at(struct builder *b, uint64_t gva)
{
	const struct pure_fn *f = b->pure ? pure_look(b->pure, gva) : NULL;

	if (!f && b->pure && errno == ENOMEM)
		b->err = -ENOMEM;
	return f;
}

/*
 * Numbers that it puts where an argument points to: by the type it may, and by its text
 * it does.  If it is told how many there are, it may be none.
 */
static int compile_written(struct builder *b, struct compiler *c,
			   const struct btf *btf, const struct btf_type *proto,
			   uint64_t gva)
{
	const struct btf_param *params = btf_params(proto);
	const struct pure_fn *f = look_at(b, gva);
	struct chariot_op op = { .op = CHARIOT_OP_CHECK,
				 .deref[1] = CHARIOT_RET };
	const struct btf_type *t;
	struct param p[6];
	int nr, reg = 0, err = 0;

	for (nr = 0; f && nr < btf_vlen(proto) && nr < 6; nr++) {
		proto_param(btf, params[nr].type, &reg, &p[nr]);
		p[nr].name = btf__name_by_offset(btf, params[nr].name_off) ?: "";
	}
	for (int i = 0; f && i < nr && !err; i++) {
		if (p[i].arg < 0 || !p[i].pointer || p[i].is_const || !p[i].id)
			continue;
		t = btf__type_by_id(btf, p[i].id);
		if (!btf_is_int(t) || !t->size || t->size > 8 ||
		    length_after(p, nr, i) >= 0 ||
		    ~f->bytes[p[i].arg] & ((1ULL << t->size) - 1))
			continue;
		op.base = p[i].arg;
		op.len_add = t->size;
		err = compile_emit(c, &op);
	}
	return err;
}

/* False: the function is not known, or returns and writes nothing of the kind. */
static bool add_returned(struct builder *b, const char *name, uint64_t gva)
{
	const struct btf_type *proto = kernel_proto(b, name);
	const struct btf *btf = profile_btf(b->p);
	struct compiler c = compiler(b, false);
	struct chariot_gate *g;
	struct provider *v;
	struct seq seq;
	int err;

	if (!proto && gva >= b->t->create.kernel.text_end) {
		v = provider_of(b, gva);
		btf = v ? chariot_driver__btf(v->d) : NULL;
		proto = btf ? find_proto(btf, &v->funcs, name) : NULL;
	}
	if (!proto)
		return false;
	c.btf = btf;
	c.lenient = true;
	err = compile_returned(&c, btf, proto, name) ?:
	      compile_written(b, &c, btf, proto, gva);
	if (err == -ENOMEM)
		b->err = err;
	seq = add_ops(b, c.ops, c.nr);
	free(c.ops);
	if (!seq.nr)
		return false;
	g = vec_add(b, &b->t->gates, sizeof(*g));
	if (g)
		*g = (struct chariot_gate){ .gva = gva, .op = seq.op,
					    .nr_ops = seq.nr };
	return true;
}

static void free_providers(struct builder *b)
{
	struct provider *v = b->providers.v;

	for (size_t i = 0; i < b->providers.nr; i++) {
		chariot_driver__free(v[i].d);
		free(v[i].funcs.v);
	}
	free(v);
}

/* ---- rules for the running task -------------------------------------------- */

/* The first ops of the table. */
static void add_current(struct builder *b)
{
	struct compiler c = compiler(b, true);
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
		add_ops(b, &op, 1);
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
static void set_mode(struct builder *b)
{
	const struct stmt *st;

	for (st = b->policy->first; st; st = st->next) {
		if (st->kind == STMT_MODE)
			b->t->create.mode = chariot_mode_by_name(st->names.v[0]);
		else if (st->kind == STMT_DEFER)
			b->t->create.defer = st->num;
	}
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
	struct builder b = {
		.policy = policy, .p = p, .s = s, .d = d,
		.btf = chariot_driver__btf(d),
	};

	b.t = calloc(1, sizeof(*b.t));
	if (!b.t)
		return NULL;
	b.err = add_kernel(&b);
	set_mode(&b);
	recover_begin(&b.t->recover, policy, p);
	add_current(&b);
	add_sections(&b);
	add_intr(&b);
	add_policy_gates(&b);
	collect_shared(&b);
	if (!b.err && library_is_on(policy)) {
		b.pure = pure_new(p, s);
		b.err = b.pure ? 0 : -errno;
	}
	b.imports[0] = b.t->gates.nr;
	add_imports(&b, false);
	b.imports[1] = b.t->gates.nr;
	drop_shared(&b);
	add_libraries(&b);
	add_inherit(&b);
	forget_unseen(&b);
	add_rules(&b);
	add_imports(&b, true);
	sort_gates(&b.t->gates);
	add_entries(&b);
	add_types(&b);
	free_providers(&b);
	if (!b.btf)
		log_warn("%s has no usable BTF: what its arguments point to is not granted, and when it has failed, each of its functions returns -EIO",
			 chariot_driver__name(d));
	if (!b.err)
		b.err = recover_build(&b.t->recover, p, s, d);
	b.t->create.recover = b.t->recover.r;
	finish(&b);
	free(b.seqs.v);
	free(b.shared.v);
	free_libraries(&b);
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
