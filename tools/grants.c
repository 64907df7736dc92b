// SPDX-License-Identifier: GPL-2.0
/*
 * chariot policy check --kernel --driver: what a policy grants.
 */
#include "cli.h"
#include "grants.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH	4

struct text {
	char buf[4096];
	size_t at;
};

struct names {
	const struct chariot_profile *profile;
	const struct chariot_driver *driver;
	const struct chariot_domain_create *c;
};

static void put(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->at, sizeof(t->buf) - t->at, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->at += n;
	if (t->at >= sizeof(t->buf))
		t->at = sizeof(t->buf) - 1;
}

static void put_value(struct text *t, unsigned int v)
{
	static const char *const names[] = {
		[CHARIOT_RET] = "ret", [CHARIOT_THIS] = "this",
		[CHARIOT_CURRENT] = "current",
	};

	if (v <= CHARIOT_ARG(5))
		put(t, "arg%u", v);
	else
		put(t, "%s", v <= CHARIOT_CURRENT ? names[v] : "?");
}

static void put_address(struct text *t, const struct chariot_op *op)
{
	static const char *const maps[CHARIOT_NR_MAPS] = {
		[CHARIOT_MAP_PAGE] = "page", [CHARIOT_MAP_PERCPU] = "percpu",
		[CHARIOT_MAP_OBJECT] = "object",
	};

	if (op->map)
		put(t, "%s(", maps[op->map]);
	for (int i = 0; i < op->nr_deref; i++)
		put(t, "*(");
	put_value(t, op->base);
	for (int i = 0; i < op->nr_deref; i++)
		put(t, op->deref[i] ? " + %d)" : ")", op->deref[i]);
	if (op->offset)
		put(t, " %c %d", op->offset < 0 ? '-' : '+', abs(op->offset));
	if (op->map)
		put(t, ")");
}

static void put_variable(struct text *t, const struct chariot_op *op)
{
	switch (op->len_kind) {
	case CHARIOT_LEN_ARG:
		put_value(t, op->len_a);
		break;
	case CHARIOT_LEN_ARG_MUL:
		put_value(t, op->len_a);
		put(t, " * ");
		put_value(t, op->len_b);
		break;
	case CHARIOT_LEN_ORDER:
		put(t, "2^");
		put_value(t, op->len_a);
		break;
	case CHARIOT_LEN_STRING:
		put(t, "strlen(");
		put_value(t, op->len_a);
		put(t, ")");
		break;
	case CHARIOT_LEN_FIELD_AT:
		put(t, "u%u at *(", op->len_b * 8);
		put_value(t, op->len_a);
		put(t, " + %d) + %d", op->len_off, op->deref[1]);
		break;
	case CHARIOT_LEN_LIST:
		put(t, "list by +%d", op->len_off);
		break;
	default:
		put(t, "u%u at ", op->len_b * 8);
		put_value(t, op->len_a);
		put(t, " + %d", op->len_off);
	}
	if (op->len_shift)
		put(t, " / %llu", 1ULL << op->len_shift);
	if (op->len_kind == CHARIOT_LEN_FIELD_SUM) {
		put(t, " + u%u at ", op->len_b * 8);
		put_value(t, op->len_a);
		put(t, " + %d", op->deref[1]);
	}
}

static void put_length(struct text *t, const struct chariot_op *op)
{
	put(t, " [");
	if (op->len_kind) {
		put_variable(t, op);
		if (op->len_mul != 1 && op->len_kind != CHARIOT_LEN_LIST)
			put(t, " * %llu", (unsigned long long)op->len_mul);
		if (op->len_add)
			put(t, " + %llu", (unsigned long long)op->len_add);
	} else {
		put(t, "%llu", (unsigned long long)op->len_add);
	}
	put(t, "]");
}

static void put_ops(struct text *t, const struct names *n, uint32_t first,
		    uint32_t nr, int depth)
{
	static const char *const verbs[CHARIOT_NR_OPS] = {
		[CHARIOT_OP_GRANT] = "grant", [CHARIOT_OP_REVOKE] = "revoke",
		[CHARIOT_OP_CHECK] = "check", [CHARIOT_OP_HAND] = "hand",
		[CHARIOT_OP_LEND] = "lend", [CHARIOT_OP_REACH] = "reach",
		[CHARIOT_OP_WALK] = "each",
	};
	const struct chariot_op *op =
		(const struct chariot_op *)(uintptr_t)n->c->ops + first;

	for (uint32_t i = 0; i < nr; i++, op++) {
		put(t, "%s%s ", i ? "; " : "", verbs[op->op]);
		put_address(t, op);
		if (op->op == CHARIOT_OP_REVOKE && !op->len_kind && !op->len_add)
			continue;
		if (op->op != CHARIOT_OP_REACH)
			put_length(t, op);
		if (op->op == CHARIOT_OP_CHECK && op->flags)
			put(t, " in arg%u", CHARIOT_CHECK_IN_OF(op->flags));
		if (op->op != CHARIOT_OP_REACH && op->op != CHARIOT_OP_WALK)
			continue;
		/* What types lead to is long: how much there is. */
		if (op->op == CHARIOT_OP_REACH || op->nr_sub > 4 ||
		    depth == MAX_DEPTH) {
			put(t, " { %u }", op->nr_sub);
			continue;
		}
		put(t, " { ");
		put_ops(t, n, op->sub, op->nr_sub, depth + 1);
		put(t, " }");
	}
}

static const char *name_of(const struct names *n, uint64_t gva)
{
	uint64_t offset = 0;
	const char *name = chariot_profile__name(n->profile, gva, &offset);

	if (!name || offset)
		name = chariot_driver__name_of(n->driver, gva, &offset);
	return name && !offset ? name : "?";
}

static bool imports(const struct chariot_driver *d, const char *name)
{
	const struct chariot_symbol *v;
	size_t nr;

	v = chariot_driver__imports(d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(v[i].name, name))
			return true;
	return false;
}

/* The gate table has all functions that the policy names: only those that the driver imports
 * are of interest. */
static void add_rows(struct json_object *list, const struct names *n,
		     bool calls, uint64_t table, uint32_t nr)
{
	const struct chariot_gate *g = (const struct chariot_gate *)(uintptr_t)table;
	struct json_object *o;
	const char *name;
	struct text t;

	for (uint32_t i = 0; i < nr; i++) {
		name = name_of(n, g[i].gva);
		if (!g[i].nr_ops || (calls && !imports(n->driver, name)))
			continue;
		t.at = 0;
		t.buf[0] = 0;
		put_ops(&t, n, g[i].op, g[i].nr_ops, 0);
		o = json_map();
		put_str(o, "what", calls ? "calls" : "is called");
		put_str(o, "function", name);
		put_str(o, "actions", t.buf);
		json_object_array_add(list, o);
	}
}

struct json_object *grants_json(const struct chariot_policy *policy,
				const char *kernel, const char *file)
{
	struct chariot_profile *p = chariot_profile__from_file(kernel);
	struct chariot_driver *d = p ? chariot_driver__from_file(file) : NULL;
	struct json_object *list = NULL;
	struct chariot_tables *t = NULL;
	struct names n = { p, d, NULL };
	int err = p && d ? chariot_driver__link(d, p) : 0;

	if (!p)
		fail_lib(errno, "%s", kernel);
	else if (!d)
		fail_lib(errno, "%s", file);
	else if (err && err != -ENOENT)
		fail_lib(err, "%s: its types do not fit %s", file, kernel);
	else
		t = chariot_tables__build(policy, p, NULL, d);
	if (t) {
		n.c = chariot_tables__create(t);
		list = json_list();
		add_rows(list, &n, true, n.c->gates, n.c->nr_gates);
		add_rows(list, &n, false, n.c->entries, n.c->nr_entries);
	}
	chariot_tables__free(t);
	chariot_driver__free(d);
	chariot_profile__free(p);
	return list;
}
