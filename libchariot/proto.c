// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the prototype of a function tells: which register an argument is in, what it
 * points to, and whether a signature of the policy fits.
 */
#include <bpf/btf.h>

#include "proto.h"

void proto_param(const struct btf *btf, uint32_t id, int *reg,
		 struct param *out)
{
	const struct btf_type *t = btf_strip(btf, &id, NULL);
	int64_t size = t ? btf__resolve_size(btf, id) : 0;
	int regs = size > 16 ? 0 : size > 8 ? 2 : 1;

	*out = (struct param){ .arg = -1, .type = id };
	if (!regs || *reg + regs > 6)
		return;
	out->arg = *reg;
	*reg += regs;
	out->integer = t && btf_is_int(t);
	if (!t || !btf_is_ptr(t))
		return;
	out->pointer = true;
	out->to = out->id = t->type;
	if (!t->type)
		return;
	t = btf_strip(btf, &out->id, &out->is_const);
	if (t && out->id && !btf_is_func_proto(t) && !btf_is_fwd(t))
		out->size = btf__resolve_size(btf, out->id);
}

const char *proto_struct_name(const struct btf *btf, const struct param *p)
{
	const struct btf_type *t = btf__type_by_id(btf, p->id);

	return p->pointer && p->id && (btf_is_composite(t) || btf_is_fwd(t)) ?
	       btf__name_by_offset(btf, t->name_off) : NULL;
}

bool proto_param_fits(const struct btf *btf, uint32_t id, const char *name)
{
	const struct btf_type *t = btf_strip(btf, &id, NULL);
	bool pointer = t && btf_is_ptr(t);

	if (!strcmp(name, "any"))
		return true;
	if (!strcmp(name, "_"))
		return !pointer;
	if (!pointer)
		return false;
	id = t->type;
	if (*name == '*') {
		t = id ? btf_strip(btf, &id, NULL) : NULL;
		if (!t || !btf_is_ptr(t))
			return false;
		id = t->type;
		name++;
	}
	return btf_is_named(btf, id, name);
}

/* In a signature a type that is no pointer is called by its name. */
static bool fits(const struct btf *btf, uint32_t id, const char *name)
{
	const struct btf_type *t;
	uint32_t bare = id;

	if (proto_param_fits(btf, id, name))
		return true;
	t = btf_strip(btf, &bare, NULL);
	return t && !btf_is_ptr(t) && btf_is_named(btf, id, name);
}

bool proto_fits(const struct btf *btf, const struct btf_type *proto,
		const struct signature *sig)
{
	size_t nr = btf_vlen(proto);

	if (nr < sig->types.nr || (nr > sig->types.nr && !sig->more))
		return false;
	if (sig->result && !btf_is_named(btf, proto->type, sig->result))
		return false;
	for (size_t i = 0; i < sig->types.nr; i++)
		if (!fits(btf, btf_params(proto)[i].type, sig->types.v[i]))
			return false;
	return true;
}

#define DATA_DEPTH	8
#define DATA_STEPS	512

struct looking {
	const struct btf *btf;
	uint32_t seen[DATA_DEPTH];
	unsigned int depth, steps;
};

static bool is_atomic(const char *name)
{
	return !strncmp(name, "atomic", 6) || !strcmp(name, "refcount_t");
}

/* Without what has atomic_t, refcount_t as a name on its way. */
static const struct btf_type *strip_data(struct looking *l, uint32_t *id)
{
	const struct btf_type *t = btf__type_by_id(l->btf, *id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
		if (++l->steps > DATA_STEPS ||
		    (btf_is_typedef(t) &&
		     is_atomic(btf__name_by_offset(l->btf, t->name_off))))
			return NULL;
		*id = t->type;
		t = btf__type_by_id(l->btf, *id);
	}
	return t;
}

static bool holds_data(struct looking *l, uint32_t id);

static bool members_hold_data(struct looking *l, const struct btf_type *t,
			      uint32_t id)
{
	const struct btf_member *m = btf_members(t);
	bool ok = true;

	for (unsigned int i = 0; i < l->depth; i++)
		if (l->seen[i] == id)
			return true;
	if (l->depth == DATA_DEPTH)
		return false;
	l->seen[l->depth++] = id;
	for (int i = 0; i < btf_vlen(t) && ok; i++)
		ok = holds_data(l, m[i].type);
	l->depth--;
	return ok;
}

static bool holds_data(struct looking *l, uint32_t id)
{
	const struct btf_type *t;

	if (!id)
		return true;
	if (++l->steps > DATA_STEPS)
		return false;
	t = strip_data(l, &id);
	if (!t)
		return false;
	if (!id || btf_is_int(t) || btf_is_any_enum(t) || btf_is_float(t))
		return true;
	if (btf_is_ptr(t))
		return holds_data(l, t->type);
	if (btf_is_array(t))
		return holds_data(l, btf_array(t)->type);
	return btf_is_composite(t) && members_hold_data(l, t, id);
}

bool proto_is_pointer(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = id ? btf_strip(btf, &id, NULL) : NULL;

	return t && btf_is_ptr(t);
}

bool proto_is_data(const struct btf *btf, uint32_t id)
{
	struct looking l = { .btf = btf };
	const struct btf_type *t = strip_data(&l, &id);

	/* A pointer is the caller's, wherever it leads. */
	return !id || (t && (btf_is_ptr(t) || holds_data(&l, id)));
}

/* A struct of pointers to such structs, and numbers. */
static bool is_linked(struct looking *l, uint32_t id)
{
	const struct btf_type *t = strip_data(l, &id), *m;
	bool ok = true;
	uint32_t to;

	if (!t || !btf_is_struct(t) || l->depth == DATA_DEPTH)
		return false;
	for (unsigned int i = 0; i < l->depth; i++)
		if (l->seen[i] == id)
			return true;
	l->seen[l->depth++] = id;
	for (int i = 0; i < btf_vlen(t) && ok; i++) {
		if (++l->steps > DATA_STEPS)
			return false;
		to = btf_members(t)[i].type;
		m = strip_data(l, &to);
		ok = m && (btf_is_int(m) || (btf_is_ptr(m) ?
			   is_linked(l, m->type) : is_linked(l, to)));
	}
	l->depth--;
	return ok;
}

bool proto_is_link(const struct btf *btf, uint32_t id)
{
	struct looking l = { .btf = btf };
	const struct btf_type *t = id ? strip_data(&l, &id) : NULL;
	uint32_t to;

	if (!t)
		return false;
	/* The caller's string, or its arguments. */
	if (btf_is_ptr(t)) {
		to = t->type;
		t = to ? strip_data(&l, &to) : NULL;
		return t && btf_is_int(t);
	}
	return btf_is_named(btf, id, "__va_list_tag") || is_linked(&l, id);
}

bool proto_ends_in(const char *name, const char *const *ends)
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

bool proto_is_length(const struct param *p)
{
	static const char *const names[] = {
		"len", "length", "size", "count", "bytes", NULL,
	};

	return p->arg >= 0 && p->integer && proto_ends_in(p->name, names);
}

/* The next argument that is named like a length, -1: none. */
int proto_length_after(const struct param *p, int nr, int i)
{
	while (++i < nr && !p[i].pointer)
		if (p[i].arg >= 0 && p[i].integer &&
		    proto_ends_in(p[i].name, len_names))
			return i;
	return -1;
}

bool proto_has_length(const struct param *p, int nr, int i)
{
	while (++i < nr)
		if (p[i].integer && proto_ends_in(p[i].name, len_names))
			return true;
	return false;
}

/* Arguments that have 32 bits or less. */
uint8_t proto_narrow(const struct btf *btf, const struct btf_type *proto)
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
uint8_t proto_missing(const struct btf_type *proto)
{
	uint32_t nr = btf_vlen(proto);

	if ((!nr && !proto->type) || (nr && !btf_params(proto)[nr - 1].type))
		return 0;
	return nr < 6 ? 0x3f & 0x3f << nr : 0;
}
