/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A parsed policy.  Types, members and symbols are names here; tables.c looks
 * them up in one guest's profile.  Documentation/policy.rst has the grammar.
 */
#ifndef CHARIOT_POLICY_H
#define CHARIOT_POLICY_H

#include "internal.h"

enum expr_kind {
	EXPR_NUM,		/* num */
	EXPR_SIZEOF,		/* name */
	EXPR_OFFSETOF,		/* name, member */
	EXPR_ALIGN,		/* a, num */
	EXPR_VALUE,		/* num: CHARIOT_ARG(n) or CHARIOT_RET */
	EXPR_THIS,
	EXPR_SYMBOL,		/* name */
	EXPR_FIELD,		/* a -> name.member */
	EXPR_DEREF,		/* *a */
	EXPR_ADD,		/* a, b */
	EXPR_MUL,		/* a, b */
	EXPR_SHIFT,		/* a << b */
	EXPR_PAGE,		/* page(a) */
	EXPR_PERCPU,		/* percpu(a) */
	EXPR_OBJECT,		/* object(a) */
	EXPR_STRLEN,		/* strlen(a) */
};

struct expr {
	enum expr_kind kind;
	uint64_t num;
	char *name, *member;
	struct expr *a, *b;
	struct expr *all;	/* for free: next of the policy's expressions */
};

/* One line of a block. */
struct action {
	struct action *next;
	uint8_t op;		/* CHARIOT_OP_* */
	uint8_t phase;		/* CHARIOT_PHASE_* */
	uint8_t instead;	/* CHECK: value[] that is returned */
	struct expr *base;
	struct expr *len;	/* NULL: REVOKE, or @as is set */
	char *as;		/* name of an object type, or NULL */
};

enum stmt_kind {
	STMT_INHERIT,		/* names, actions: when it cannot be inherited */
	STMT_THUNK,		/* names; never dropped */
	STMT_THUNK_RANGE,	/* names[0], names[1] */
	STMT_INTR_RANGE,	/* names[0], names[1] */
	STMT_GATE,		/* names, actions */
	STMT_ENTRY,		/* names: pointees of the parameters, actions */
	STMT_OBJECT,		/* names[0], actions */
	STMT_RULE,		/* actions: one GRANT */
};

struct stmt {
	struct stmt *next;
	enum stmt_kind kind;
	const char *file;
	int line;
	char **names;
	size_t nr_names;
	struct action *actions;
};

struct chariot_policy {
	struct stmt *first, **last;
	struct expr *exprs;
	char **files;
	size_t nr_files;
};

/* The last statement of @kind that names @name wins; NULL: there is none. */
const struct stmt *policy_find(const struct chariot_policy *p,
			       enum stmt_kind kind, const char *name);
/* Parse @text, @len bytes; errors name @file.  0 or -EINVAL, -ENOMEM. */
int policy_parse(struct chariot_policy *p, const char *file, const char *text,
		 size_t len);
struct chariot_policy *policy_new(void);

/*
 * Actions into the module's operations.  What a kernel lacks (-ENOENT) is no
 * error of the policy; what no kernel could do (-EINVAL) is, and @why says so.
 * With @profile NULL every name exists, for a check of the shape alone.
 */
struct compiler {
	const struct chariot_policy *policy;
	const struct chariot_profile *profile;
	const struct btf *btf;	/* the driver's, for types of other modules */
	bool entry;		/* an entry's table: all is PRE, ret is not known */
	uint8_t narrow;		/* bit n: the gate's arg<n> has 32 bits */
	struct chariot_op *ops;
	size_t nr, room;
	const char *why;
};
int compile_actions(struct compiler *c, const struct action *a,
		    const struct expr *this_is, const char *this_type);
int compile_action(struct compiler *c, const struct action *a,
		   const struct expr *this_is, const char *this_type);
/* A constant: numbers, sizeof(), offsetof(), align(). */
int compile_const(struct compiler *c, const struct expr *e, uint64_t *value);

#endif
