// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which of the kernel's code runs in the driver's view: what the policy names, and
 * library code.  What shares a page with code whose calls must be seen does not.
 */
#include <bpf/btf.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "tables.h"

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
	bool apart;		/* it is called, and runs in a view of its own */
	bool dropped;
};

static bool is_code(char type)
{
	return strchr("tTwW", type) != NULL;
}

bool inherit_has(const struct builder *b, uint64_t gva, bool dropped)
{
	const struct shared *sh = b->shared.v;

	for (size_t i = 0; i < b->shared.nr; i++)
		if (sh[i].dropped == dropped && gva >= sh[i].start && gva < sh[i].end)
			return true;
	return false;
}

/* ---- code that runs in the driver's view -------------------------------- */

#define SHARED_MAX	512

static void add_code(struct builder *b, struct vec *to, uint64_t start, uint64_t end,
		     const char *name, const struct stmt *st)
{
	struct shared *sh;

	if (!start || end <= start || to->nr > SHARED_MAX)
		return;
	if (to->nr == SHARED_MAX)
		log_warn("the kernel has too much code that drivers share: %s and what follows is not",
			 name);
	sh = tables_add(b, to, sizeof(*sh));
	if (sh)
		*sh = (struct shared){
			.start = start, .end = end, .name = name, .st = st,
			.pinned = st->kind != STMT_INHERIT,
		};
}

static void add_shared(struct builder *b, uint64_t start, uint64_t end,
		       const char *name, const struct stmt *st)
{
	add_code(b, &b->shared, start, end, name, st);
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

void inherit_collect(struct builder *b)
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

static bool gives(struct builder *b, const char *name, uint64_t gva);

/* The same of imports that the policy does not know, where their text is looked at. */
static const char *hides_import(struct builder *b, const struct shared *sh,
				uint64_t *at)
{
	const struct chariot_gate *g = b->t->gates.v;
	uint64_t start = sh->start & PAGE_MASK;
	uint64_t end = (sh->end + PAGE_SIZE - 1) & PAGE_MASK, off;

	for (size_t i = b->imports[0]; b->pure && i < b->imports[1]; i++) {
		*at = g[i].gva;
		if (*at >= start && *at < end && !inherit_has(b, *at, false) &&
		    gives(b, chariot_profile__name(b->p, *at, &off), *at))
			return "import";
	}
	return NULL;
}

/* Interrupts that go unseen are worse than a write. */
static bool beside_entry(const struct builder *b, uint64_t start, uint64_t end)
{
	const struct chariot_range *r = b->t->ranges.v;

	for (size_t i = 0; i < b->t->ranges.nr; i++)
		if (r[i].kind == CHARIOT_RANGE_INTR &&
		    r[i].gva < ((end + PAGE_SIZE - 1) & PAGE_MASK) &&
		    r[i].gva + r[i].len > (start & PAGE_MASK))
			return true;
	return false;
}

/* Called it is, and checked where it writes. */
static void set_apart(struct builder *b, const struct shared *sh)
{
	const struct pure_fn *f = tables_look_at(b, sh->start);

	if (b->pure && (!f || f->why || f->writes) &&
	    !beside_entry(b, sh->start, sh->end))
		add_code(b, &b->apart, sh->start, sh->end, sh->name, sh->st);
}

static bool drop_one(struct builder *b, struct shared *sh)
{
	const char *what, *name;
	uint64_t at, offset;

	if (sh->dropped)
		return false;
	what = hides(b, sh, &at);
	if (!what && sh->st->kind == STMT_INHERIT)
		what = hides_import(b, sh, &at);
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
		tables_add_gate(b, sh->start, sh->name, sh->st);
	set_apart(b, sh);
	return true;
}

static int shared_cmp(const void *x, const void *y)
{
	const struct shared *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

void inherit_drop(struct builder *b)
{
	struct shared *sh = b->shared.v;
	bool again = true;

	while (again && !b->err) {
		again = false;
		for (size_t i = 0; i < b->shared.nr; i++)
			again |= drop_one(b, &sh[i]);
	}
}

void inherit_drop_all(struct builder *b)
{
	struct shared *sh = b->shared.v;

	for (size_t i = 0; i < b->shared.nr; i++) {
		sh[i].dropped = true;
		if (sh[i].st->kind == STMT_INHERIT && sh[i].st->actions)
			tables_add_gate(b, sh[i].start, sh[i].name, sh[i].st);
	}
}

/* Neighbours become one range: the module goes through them one by one. */
static void add_ranges(struct builder *b, struct vec *code, uint32_t kind)
{
	struct shared *sh = code->v;
	uint64_t start = 0, end = 0;

	if (code->nr)
		qsort(sh, code->nr, sizeof(*sh), shared_cmp);
	for (size_t i = 0; i < code->nr; i++) {
		if (sh[i].dropped)
			continue;
		if (end && sh[i].start <= end + 16) {
			end = end > sh[i].end ? end : sh[i].end;
			continue;
		}
		tables_add_range(b, start, end - start, kind);
		start = sh[i].start;
		end = sh[i].end;
	}
	tables_add_range(b, start, end - start, kind);
}

void inherit_add(struct builder *b)
{
	add_ranges(b, &b->shared, CHARIOT_RANGE_INHERIT);
	add_ranges(b, &b->apart, CHARIOT_RANGE_LIBRARY);
}

/* ---- library code of the kernel's --------------------------------------- */

#define LIBRARIES_MAX	128

bool inherit_library_is_on(const struct chariot_policy *policy)
{
	const struct stmt *st;
	bool on = true;

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
		/* What "..." leads to is the caller's. */
		some |= !params[i].type;
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
	return tables_kernel_proto(b, name) && !has_gate_ops(b, gva) &&
	       !inherit_has(b, gva, false) &&
	       !policy_find(b->policy, STMT_GATE, name) &&
	       !catalogue_find(b->policy, name);
}

static void add_library(struct builder *b, const char *name, uint64_t gva)
{
	const struct btf_type *proto = tables_kernel_proto(b, name);
	const struct pure_fn *all[PURE_CLOSURE], *f;
	struct library *lib, l = { .name = name, .fn = all };

	if (b->libraries.nr == LIBRARIES_MAX || !may_be_library(b, name, gva))
		return;
	f = tables_look_at(b, gva);
	l.nr = f ? pure_closure(b->pure, f, all) : 0;
	if (!l.nr || f->atomic || !mostly_stays(b, &l, f->writes) ||
	    (f->writes && !writes_data(profile_btf(b->p), proto, f->writes)))
		return;
	l.fn = malloc(l.nr * sizeof(*l.fn));
	lib = l.fn ? tables_add(b, &b->libraries, sizeof(*lib)) : NULL;
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
		for (size_t k = 0; k < lib[i].nr && !lib[i].apart; k++)
			if (lib[i].fn[k]->start == gva)
				return true;
	return inherit_has(b, gva, false);
}

/* Numbers, or bytes with their length behind. */
static bool is_buffer(const struct btf *btf, const struct btf_type *proto, int i,
		      const struct param *p)
{
	const struct btf_type *next = NULL;
	uint32_t id;

	if (p->id)
		return btf_is_int(btf__type_by_id(btf, p->id));
	while (++i < btf_vlen(proto) && !next) {
		id = btf_params(proto)[i].type;
		next = id ? btf_strip(btf, &id, NULL) : NULL;
		if (next && btf_is_ptr(next))
			next = NULL;
	}
	return next && btf_is_int(next);
}

/*
 * May the driver come by an object of the kernel's with it, by its text and its types?
 * Then its call must be seen: what it gives is evidence.
 */
static bool gives(struct builder *b, const char *name, uint64_t gva)
{
	const uint16_t from = FROM_MEMORY | FROM_KERNEL;
	const struct pure_fn *f = tables_look_at(b, gva);
	const struct btf_type *proto = name ? tables_kernel_proto(b, name) : NULL;
	const struct btf *btf = profile_btf(b->p);
	struct param p;
	int reg = 0;

	if (f && !f->why && !((f->result | f->stored) & from))
		return false;
	if (!proto || proto_is_pointer(btf, proto->type))
		return true;
	for (int i = 0; i < btf_vlen(proto); i++) {
		proto_param(btf, btf_params(proto)[i].type, &reg, &p);
		if (p.pointer && !p.is_const && !is_buffer(btf, proto, i, &p))
			return true;
	}
	/* What "..." leads to, only the text tells. */
	return !(f && !f->why) && btf_vlen(proto) &&
	       !btf_params(proto)[btf_vlen(proto) - 1].type;
}

/*
 * A call of what is on the same page would not be seen.  That must not matter: it has no
 * actions, gives nothing, and is not known to take, give back, end or sleep.
 */
static const char *hidden_beside(struct builder *b, const struct pure_fn *f)
{
	struct shared sh = { .start = f->start, .end = f->end };
	const struct chariot_gate *g = b->t->gates.v;
	uint64_t first = f->start & PAGE_MASK, at, off;
	uint64_t len = ((f->end + PAGE_SIZE - 1) & PAGE_MASK) - first;
	const char *name;

	/* The policy's, and interrupts. */
	if (hides(b, &sh, &at))
		return chariot_profile__name(b->p, at, &off) ?: "?";
	for (size_t i = b->imports[0]; i < b->imports[1]; i++) {
		if (g[i].gva - first >= len || runs_along(b, g[i].gva))
			continue;
		name = chariot_profile__name(b->p, g[i].gva, &off);
		if (acts(b, &g[i]) || !name || gives(b, name, g[i].gva) ||
		    catalogue_find(b->policy, name))
			return name ?: "?";
	}
	return NULL;
}

/* Why it does not run in the driver's own view; NULL: it does, and its calls are not seen. */
static const char *why_not(struct builder *b, const struct library *lib)
{
	const char *name;
	uint64_t gva, off;

	if (gives(b, lib->name, lib->fn[0]->start))
		return lib->name;
	for (size_t i = 0; i < lib->nr; i++) {
		gva = lib->fn[i]->start;
		name = chariot_profile__name(b->p, gva, &off);
		if (inherit_has(b, gva, false))
			continue;
		/* The driver may call it, too. */
		if (inherit_has(b, gva, true) || has_gate_ops(b, gva) ||
		    (name && catalogue_find(b->policy, name)))
			return name ?: "?";
		name = hidden_beside(b, lib->fn[i]);
		if (name)
			return name;
	}
	return NULL;
}

static bool is_beside_entry(const struct builder *b, const struct library *lib)
{
	for (size_t i = 0; i < lib->nr; i++)
		if (beside_entry(b, lib->fn[i]->start, lib->fn[i]->end))
			return true;
	return false;
}

/* What writes nothing has nothing to be checked. */
static void part_libraries(struct builder *b)
{
	struct library *lib = b->libraries.v;
	const char *name;
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < b->libraries.nr; i++) {
			name = lib[i].apart ? NULL : why_not(b, &lib[i]);
			if (!name)
				continue;
			log_debug("%s is not inherited: it shares a page with %s, or calls it",
				  lib[i].name, name);
			lib[i].apart = again = true;
			lib[i].dropped = !lib[i].fn[0]->writes ||
					 is_beside_entry(b, &lib[i]);
		}
	}
}

/* WARN_ONCE() notes that it has warned before it leaves. */
static void add_once(struct builder *b)
{
	uint64_t start = chariot_profile__symbol(b->p, "__start_once");
	uint64_t end = chariot_profile__symbol(b->p, "__end_once");

	if (b->s && end > start)
		tables_add_bytes(b, start, end - start);
}

static const struct stmt by_itself = { .kind = STMT_INHERIT };

static void share_libraries(struct builder *b)
{
	struct library *lib = b->libraries.v;
	bool once = false;

	for (size_t i = 0; i < b->libraries.nr; i++) {
		if (lib[i].dropped)
			continue;
		log_debug("%s is library code: %s with %zu others", lib[i].name,
			  lib[i].apart ? "called" : "inherited", lib[i].nr - 1);
		once |= lib[i].fn[0]->once;
		for (size_t k = 0; k < lib[i].nr; k++)
			if (!inherit_has(b, lib[i].fn[k]->start, false))
				add_code(b, lib[i].apart ? &b->apart : &b->shared,
					 lib[i].fn[k]->start, lib[i].fn[k]->end,
					 lib[i].name, &by_itself);
	}
	if (once)
		add_once(b);
}

/* Imports that write but where their caller says are inherited, or run in the second view. */
void inherit_libraries(struct builder *b)
{
	if (b->err || !b->pure)
		return;
	collect_libraries(b);
	part_libraries(b);
	share_libraries(b);
}

static void mark_gate(struct builder *b, uint64_t gva)
{
	struct chariot_gate *g = b->t->gates.v;
	bool found = false;

	for (size_t i = 0; i < b->t->gates.nr; i++) {
		if (g[i].gva != gva)
			continue;
		g[i].flags |= CHARIOT_GATE_LIBRARY;
		found = true;
	}
	if (found)
		return;
	g = tables_add(b, &b->t->gates, sizeof(*g));
	if (g)
		*g = (struct chariot_gate){ .gva = gva, .flags = CHARIOT_GATE_LIBRARY };
}

/* What is called, and not what that calls: some of it only reads. */
void inherit_mark(struct builder *b)
{
	const struct library *lib = b->libraries.v;
	const struct shared *sh = b->apart.v;

	for (size_t i = 0; i < b->libraries.nr; i++)
		if (lib[i].apart && !lib[i].dropped)
			mark_gate(b, lib[i].fn[0]->start);
	for (size_t i = 0; i < b->apart.nr; i++)
		if (sh[i].st != &by_itself)
			mark_gate(b, sh[i].start);
}

/* Calls of what is on such a page are not seen: no check can be promised for them. */
void inherit_forget_unseen(struct builder *b)
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

void inherit_free(struct builder *b)
{
	struct library *lib = b->libraries.v;

	for (size_t i = 0; i < b->libraries.nr; i++)
		free(lib[i].fn);
	free(lib);
}
