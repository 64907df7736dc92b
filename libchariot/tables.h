/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that make the module's tables for one driver share: a policy, which
 * has names, meets one guest's profile and one loaded driver, which have addresses.
 *
 *	tables.c	all of it; ranges, rules, the policy's gates
 *	inherit.c	which of the kernel's code runs in the driver's view
 *	imports.c	what the kernel's functions return and write
 *	entries.c	what the driver's functions are called with
 *	handed.c	an object that is handed over, and what it leads to
 */
#ifndef CHARIOT_TABLES_H
#define CHARIOT_TABLES_H

#include "policy.h"
#include "proto.h"
#include "pure.h"

struct vec {
	void *v;
	size_t nr, room;
};

struct seq {			/* a run of ops that gates share */
	uint32_t op, nr;
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
	struct vec seqs;
	struct vec shared, apart, libraries;	/* inherit.c */
	struct vec funcs;		/* entries.c: of the driver */
	struct vec types;		/* handed.c */
	struct vec providers;		/* imports.c */
	size_t imports[2];	/* gates that are not the policy's: from, to */
	struct pure *pure;	/* NULL: "library off" */
	unsigned int tries_providers;
	int err;
};

/* ---- tables.c ------------------------------------------------------------- */

/* chariot_tables__build() of this mode, and not of the policy's. */
struct chariot_tables *
tables_build(const struct chariot_policy *policy, const struct chariot_profile *p,
	     const struct chariot_space *s, const struct chariot_driver *d, uint32_t mode);

/* One more, of zeroes; NULL: b->err. */
void *tables_add(struct builder *b, struct vec *vec, size_t size);
void tables_add_range(struct builder *b, uint64_t gva, uint64_t len, uint32_t kind);
/* A range of kind RULE, if all of its pages are there. */
void tables_add_bytes(struct builder *b, uint64_t gva, uint64_t len);
struct seq tables_add_ops(struct builder *b, const struct chariot_op *ops, size_t nr);
/* @st NULL: nothing is known of it. */
void tables_add_gate(struct builder *b, uint64_t gva, const char *name,
		     const struct stmt *st);
/* By address, one row for each. */
void tables_sort_gates(struct vec *vec);
struct compiler tables_compiler(struct builder *b, bool entry);
/* Of a function of the kernel; or NULL. */
const struct btf_type *tables_kernel_proto(struct builder *b, const char *name);
/* What the kernel's function does, by its text; NULL: not known. */
const struct pure_fn *tables_look_at(struct builder *b, uint64_t gva);

/* ---- inherit.c ------------------------------------------------------------ */

bool inherit_library_is_on(const struct chariot_policy *policy);
void inherit_collect(struct builder *b);
/* Those that hide what is to be seen, once all gates are there. */
void inherit_drop(struct builder *b);
/* There is no view to run it in: its calls are checked. */
void inherit_drop_all(struct builder *b);
void inherit_libraries(struct builder *b);
void inherit_add(struct builder *b);
/* Gates of what runs in the library view. */
void inherit_mark(struct builder *b);
void inherit_forget_unseen(struct builder *b);
/* Does it run in the driver's view, or was it to and is @dropped? */
bool inherit_has(const struct builder *b, uint64_t gva, bool dropped);
void inherit_free(struct builder *b);

/* ---- imports.c ------------------------------------------------------------ */

void imports_add(struct builder *b, bool dropped);
void imports_free(struct builder *b);

/* ---- entries.c ------------------------------------------------------------ */

void entries_add(struct builder *b);
/* The functions that a module's own part of BTF has, and the prototype of one. */
void entries_funcs(struct builder *b, const struct btf *btf, struct vec *funcs);
const struct btf_type *entries_proto(const struct btf *btf, const struct vec *funcs,
				     const char *name);

/* ---- handed.c ------------------------------------------------------------- */

void handed_warn(const struct compiler *c, const struct stmt *st, int err);
/* An object of type @name at @base; NULL: of @size bytes. */
int handed_compile(struct compiler *c, const struct expr *base, const char *name,
		   int64_t size, uint8_t phase);
/* What pointers in it lead to, too. */
int handed_reached(struct compiler *c, const struct expr *base,
		   const struct param *p, const char *name);
/* struct compiler.object */
int handed_ops(void *ctx, const char *type, uint8_t op, uint8_t phase, bool reach);
/* The ops of all types that were asked for. */
void handed_types(struct builder *b);

#endif
