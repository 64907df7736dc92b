/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A parsed policy.  Types, members and symbols are names here; tables.c and its like
 * (tables.h) look them up in one guest's profile.  Documentation/policy.rst has the
 * grammar.
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
	EXPR_DIV,		/* a / num */
	EXPR_PAGE,		/* page(a) */
	EXPR_PERCPU,		/* percpu(a) */
	EXPR_OBJECT,		/* object(a) */
	EXPR_STRLEN,		/* strlen(a) */
	EXPR_CONTAINER,		/* container(a, name.member) */
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
	uint8_t in;		/* CHECK: value[] in whose object it is; RET: any */
	struct expr *base;
	struct expr *len;	/* NULL: REVOKE, or @as is set */
	char *as;		/* name of an object type, or NULL */
	struct expr *count;	/* with @as: an array of so many, or NULL */
	char *list;		/* with @as: a list by that member, or NULL */
	bool embedded;		/* that is a list_head */
	bool for_good;		/* REVOKE: written as "free" */
};

/* In place of an op: all that a pointer in "this" leads to, by its type. */
#define ACTION_REACH	255

enum stmt_kind {
	STMT_INHERIT,		/* names, actions: when it cannot be inherited */
	STMT_THUNK,		/* names; never dropped */
	STMT_THUNK_RANGE,	/* names[0], names[1] */
	STMT_INTR_RANGE,	/* names[0], names[1] */
	STMT_GATE,		/* names, actions */
	STMT_ENTRY,		/* names: pointees of the parameters, actions */
	STMT_OBJECT,		/* names[0], actions */
	STMT_RULE,		/* actions: one GRANT */
	STMT_MODE,		/* names[0]: chariot_mode_by_name() */
	STMT_DEFER,		/* num */
	STMT_LIBRARY,		/* names[0]: on or off */
	STMT_RESTART,		/* num, seconds */
	STMT_EVIDENCE,		/* names[0]: off, on or ask */
	STMT_PROBATION,		/* num: entries, seconds */
	STMT_LOCK,		/* names, flags, when, calls; no calls: it is none */
	STMT_UNLOCK,		/* names, flags */
	STMT_RESOURCE,		/* as LOCK, and without */
	STMT_RELEASE,		/* names */
	STMT_PANICS,		/* names */
	STMT_SLEEPS,		/* names */
	STMT_REGISTERS,		/* names, except */
	STMT_ERROR,		/* names: types of results, num */
	STMT_BALANCED,		/* signatures, named, except, but */
	STMT_REMOVES,		/* the same */
	STMT_FREES,		/* names: patterns, num: argument or CHARIOT_NO_ARG */
	STMT_ALLOCATES,		/* the same */
	STMT_COPIES,		/* the same */
	STMT_LOCKING,		/* the same */
	STMT_STANDIN,		/* signatures: one; calls: one or none, and the rest */
};

/* FN(ARG, ...) */
struct call {
	struct call *next;	/* in place of it, where there is no @fn */
	char *fn;
	uint8_t arg[3];		/* as chariot_lock.arg */
	uint8_t nr;
};

struct names {
	char **v;
	size_t nr;
};

/* RESULT(TYPE, ...): of functions of the driver. */
struct signature {
	struct signature *next;
	char *result;		/* NULL: any */
	struct names types;
	bool more;		/* parameters may follow */
};

struct stmt {
	struct stmt *next;
	enum stmt_kind kind;
	const char *file;
	int line;
	struct names names;
	uint32_t num, seconds;
	struct action *actions;
	struct call *calls;	/* what gives back: the first that there is */
	char *without;		/* not for drivers that import this, or NULL */
	uint32_t flags;		/* CHARIOT_LOCK_*, of STANDIN: CHARIOT_STAND_IN_* */
	struct signature *signatures;
	struct names named, except, but;	/* patterns */
	char *undo;		/* STANDIN: a function, or NULL */
	char *member;		/* STANDIN: TYPE.MEMBER that is tested for @num, or NULL */
	bool request;		/* STANDIN: who called is told of the error */
	bool returns_0;		/* STANDIN: whatever its type is */
	uint8_t when;		/* CHARIOT_LOCK_ALWAYS.. */
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
void names_free(struct names *names);
/* Is a write that nothing allows looked at for evidence (evidence.h)? */
enum policy_evidence {
	EVIDENCE_OFF,
	EVIDENCE_ON,
	EVIDENCE_ASK,		/* and only told of */
	NR_EVIDENCE
};
enum policy_evidence policy_evidence(const struct chariot_policy *p);
/* CHARIOT_MODE_*; INLINE only of a driver whose image is instrumented, else STRICT. */
uint32_t policy_mode(const struct chariot_policy *p);
bool rule_is_current(const struct expr *e);
/* How often a driver is restarted, at most, in how long a time. */
void policy_restart(const struct chariot_policy *p, unsigned int *max,
		    unsigned int *seconds);
/* When a driver has proved itself. */
void policy_probation(const struct chariot_policy *p, uint64_t *entries,
		      uint64_t *seconds);

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
	bool lenient;		/* rows that are not possible here are left out */
	bool in_const;		/* of an object only what it points to */
	uint8_t narrow;		/* bit n: the gate's arg<n> has 32 bits */
	uint8_t missing;	/* bit n: in this kernel it has no arg<n> */
	/*
	 * Index of the ops for an object of a type, which WALK runs: put in
	 * chariot_op.sub, where handed.c replaces it.  NULL: there are none.
	 */
	int (*object)(void *ctx, const char *type, uint8_t op, uint8_t phase,
		      bool reach);
	void *ctx;
	struct chariot_op *ops;
	size_t nr, room;
	const char *why;
};
int compile_actions(struct compiler *c, const struct action *a,
		    const struct expr *this_is, const char *this_type);
int compile_action(struct compiler *c, const struct action *a,
		   const struct expr *this_is, const char *this_type);
/* What @st grants of the object at @base: with @op in place of its own ops. */
int compile_object(struct compiler *c, const struct stmt *st, const char *type,
		   const struct expr *base, uint8_t op, uint8_t phase);
/* "reach": what pointers in the object of @type at @base lead to. */
int compile_reach(struct compiler *c, const struct expr *base,
		  const char *type);
int compile_emit(struct compiler *c, const struct chariot_op *op);
/* A constant: numbers, sizeof(), offsetof(), align(). */
int compile_const(struct compiler *c, const struct expr *e, uint64_t *value);

#define POLICY_MAX_RESTARTS	16
#define POLICY_MAX_ERRORS	6	/* different values of all "error" statements */

/* ---- catalogue.c --------------------------------------------------------- */

struct parser;

/* The block of a statement of the catalogue; what may be missing is its empty one. */
void catalogue_parse_block(struct parser *s, struct stmt *st);
/* The rest of the statement, behind its word. */
void catalogue_parse_registers(struct parser *s, struct stmt *st);
void catalogue_parse_calls(struct parser *s, struct stmt *st);
void catalogue_parse_error(struct parser *s, struct stmt *st);
void catalogue_parse_signatures(struct parser *s, struct stmt *st);
void catalogue_parse_standin(struct parser *s, struct stmt *st);
void catalogue_free(struct stmt *st);
/* Does one of the patterns fit? */
bool catalogue_matches(const struct names *patterns, const char *name);
/* Is it a statement about what functions take and give back, or what a call means? */
bool catalogue_has(const struct stmt *st);
/* The last of these that names the kernel function; NULL: there is none. */
const struct stmt *catalogue_find(const struct chariot_policy *p,
				  const char *name);

#endif
