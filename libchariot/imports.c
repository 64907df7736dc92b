// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel's functions that the driver imports: what they return and write by their
 * prototypes, where the policy does not say it.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "tables.h"

#define PROVIDERS_MAX	64	/* modules that are looked at, or not found */

/* Another module, of which the driver calls functions. */
struct provider {
	struct chariot_driver *d;
	struct vec funcs;
};

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
	v = tables_add(b, &b->providers, sizeof(*v));
	if (!v)
		return NULL;
	v->d = chariot_driver__from_guest(b->p, b->s, module);
	if (!v->d) {
		b->providers.nr--;
		return NULL;
	}
	entries_funcs(b, chariot_driver__btf(v->d), &v->funcs);
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
		    !(proto_ends_in(param, ends) || (name && strstr(param, "priv"))))
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
	n = handed_ops(c->ctx, name, CHARIOT_OP_GRANT, CHARIOT_PHASE_PRE, !obj);
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
	c->narrow = proto_narrow(btf, proto);
	if (is_allocator(func))
		err = compile_allocated(c, btf, proto, name, size);
	if (!err && name && !c->nr)
		err = handed_compile(c, &value, name, size, CHARIOT_PHASE_POST);
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
			err = handed_compile(c, &deref, name, size,
					     CHARIOT_PHASE_POST) ?:
			      compile_reach_returned(c, &deref, name);
	}
	return err;
}

/* Plain data, for which it is not told how much there is: that may be none. */
static uint32_t writes_plainly(const struct btf *btf, const struct param *p, int nr,
			       int i)
{
	const struct btf_type *t;

	if (p[i].arg < 0 || !p[i].pointer || p[i].is_const || proto_has_length(p, nr, i))
		return 0;
	if (!p[i].id)
		return 1;
	t = btf__type_by_id(btf, p[i].id);
	return btf_is_int(t) && t->size <= 8 ? t->size : 0;
}

/*
 * What it puts where an argument points to: by the type it may, and by its text it does.
 * Of what is not known (void) it is one byte.
 */
static int compile_written(struct builder *b, struct compiler *c,
			   const struct btf *btf, const struct btf_type *proto,
			   uint64_t gva)
{
	const struct btf_param *params = btf_params(proto);
	const struct pure_fn *f = tables_look_at(b, gva);
	struct chariot_op op = { .op = CHARIOT_OP_CHECK,
				 .deref[1] = CHARIOT_RET };
	struct param p[6];
	int nr, reg = 0, err = 0;
	uint32_t size;

	for (nr = 0; f && nr < btf_vlen(proto) && nr < 6; nr++) {
		proto_param(btf, params[nr].type, &reg, &p[nr]);
		p[nr].name = btf__name_by_offset(btf, params[nr].name_off) ?: "";
	}
	for (int i = 0; f && i < nr && !err; i++) {
		size = writes_plainly(btf, p, nr, i);
		if (!size || ~f->bytes[p[i].arg] & ((1ULL << size) - 1))
			continue;
		op.base = p[i].arg;
		op.len_add = size;
		err = compile_emit(c, &op);
	}
	return err;
}

/* False: the function is not known, or returns and writes nothing of the kind. */
static bool add_returned(struct builder *b, const char *name, uint64_t gva)
{
	const struct btf_type *proto = tables_kernel_proto(b, name);
	const struct btf *btf = profile_btf(b->p);
	struct compiler c = tables_compiler(b, false);
	struct chariot_gate *g;
	struct provider *v;
	struct seq seq;
	int err;

	if (!proto && gva >= b->t->create.kernel.text_end) {
		v = provider_of(b, gva);
		btf = v ? chariot_driver__btf(v->d) : NULL;
		proto = btf ? entries_proto(btf, &v->funcs, name) : NULL;
	}
	if (!proto)
		return false;
	c.btf = btf;
	c.lenient = true;
	err = compile_returned(&c, btf, proto, name) ?:
	      compile_written(b, &c, btf, proto, gva);
	if (err == -ENOMEM)
		b->err = err;
	seq = tables_add_ops(b, c.ops, c.nr);
	free(c.ops);
	if (!seq.nr)
		return false;
	g = tables_add(b, &b->t->gates, sizeof(*g));
	if (g)
		*g = (struct chariot_gate){ .gva = gva, .op = seq.op,
					    .nr_ops = seq.nr };
	return true;
}

void imports_free(struct builder *b)
{
	struct provider *v = b->providers.v;

	for (size_t i = 0; i < b->providers.nr; i++) {
		chariot_driver__free(v[i].d);
		free(v[i].funcs.v);
	}
	free(v);
}

/*
 * The rest of the imports, so that the table says what the driver may call;
 * what their prototypes say they return is handed over.  Those that were not inherited
 * after all are @dropped.
 */
void imports_add(struct builder *b, bool dropped)
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
		    inherit_has(b, gva, false) ||
		    inherit_has(b, gva, true) != dropped)
			continue;
		if (policy_find(b->policy, STMT_GATE, sym[i].name) ||
		    !add_returned(b, sym[i].name, gva))
			tables_add_gate(b, gva, NULL, NULL);
	}
}
