/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which object of the guest's kernel an address lies in, by the kernel's own
 * bookkeeping: slabs, pages, vmalloc areas, per-CPU chunks, symbols, stacks.
 *
 * All of it is guest memory, which may hold anything and changes while it is read:
 * what makes no sense is "not known" (-ENOENT), and each search has an end.
 */
#ifndef CHARIOT_OBJECT_H
#define CHARIOT_OBJECT_H

#include "internal.h"

enum object_kind {
	OBJECT_NONE,
	OBJECT_SLAB,		/* @name: the cache's */
	OBJECT_PAGES,		/* a page, or a compound page, in the direct map */
	OBJECT_MAPPING,		/* vmalloc, vmap, ioremap: what is mapped between guards */
	OBJECT_PERCPU,		/* @start is of one CPU; minus @cpu_offset it is what
				 * pointers to it are; @name: the variable's, or "" */
	OBJECT_SYMBOL,		/* @name: a variable of the kernel's, or the module */
	OBJECT_PAGE_STRUCT,	/* all of struct page of a page or compound page */
	OBJECT_FRAME,		/* locals of one function on a stack; @name: the function */
};

/* Why a driver never comes by it honestly; 0: it may. */
enum object_never {
	OBJECT_MAY,
	OBJECT_FREE,		/* on a free list */
	OBJECT_TEXT,		/* code, or read-only data of the kernel or a module */
	OBJECT_TABLE,		/* a page table, or a descriptor table */
	OBJECT_BOOKKEEPING,	/* of slabs, pages, vmalloc, per-CPU memory */
	OBJECT_IDENTITY,	/* a task, credentials, a task's address space */
	OBJECT_MODULE,		/* a section of a module */
	OBJECT_OTHER_STACK,	/* part of a stack that is no function's locals */
};

struct object {
	enum object_kind kind;
	enum object_never never;
	uint64_t start, len;
	uint64_t cpu_offset;	/* PERCPU */
	uint64_t page;		/* PAGES, SLAB: gva of its first struct page */
	int32_t type;		/* what struct it is, id in the kernel's BTF; 0: not known */
	char name[64];		/* printable; "" */
};

/* What is looked up once for a guest's kernel: addresses, offsets, sizes.  It is
 * @p's: free it before.  One thread at a time may use it.  NULL with errno. */
struct object_index;
struct object_index *object_index_new(const struct chariot_profile *p,
				      const struct chariot_space *s);
void object_index_free(struct object_index *x);

/* -ENOENT: not known.  Fills in @o even if it is never a driver's. */
int object_at(struct object_index *x, const struct chariot_space *s, uint64_t gva,
	      struct object *o);

/* The memory, in the direct map, that a struct page stands for. */
uint64_t object_page_memory(const struct object_index *x, uint64_t page);

/* A stack on which kernel code was at @rip with @rsp (behind a call: what was pushed
 * is above): the locals of the frame of it, or of one of its callers up to @top, that
 * has @gva.  By the kernel's ORC rows. */
int object_on_stack(struct object_index *x, const struct chariot_space *s,
		    uint64_t rip, uint64_t rsp, uint64_t top, uint64_t gva,
		    struct object *o);

/*
 * Is @len bytes at @gva (inside of @o) what the types call a reference count or a
 * lock: refcount_t, kref, atomic_t or atomic64_t, percpu_ref, in the type that the
 * cache's name or OBJECT_PAGE_STRUCT tells; or the flags of a page?  Then also of what is never a driver's.
 */
bool object_is_count(struct object_index *x, const struct object *o, uint64_t gva,
		     uint64_t len);

#endif
