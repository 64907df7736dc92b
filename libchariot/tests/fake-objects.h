/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fake guest with the types and variables by which object.c finds its way, as in
 * Linux 6.1 or as in 6.12; what there is in it, a test makes by hand.
 */
#ifndef FAKE_OBJECTS_H
#define FAKE_OBJECTS_H

#include "fake-guest.h"
#include "object.h"

#define DIRECT		0xffff888000000000ULL
#define VMEMMAP		0xffffea0000000000ULL
#define VMALLOC		0xffffc90000000000ULL
#define MODULES		0xffffffffc0000000ULL
#define IMAGE		0xffffffff81000000ULL
#define IMAGE_GPA	(8UL << 20)
#define IMAGE_LEN	(4UL << 20)
#define SYMBOL_LEN	1024		/* they are as far apart */
#define PAGES_GPA	(12UL << 20)	/* struct page of all */
#define FREE_GPA	(13UL << 20)	/* the test's own, from here on */
#define GUEST_LEN	(16UL << 20)
#define CPU_STEP	(64UL << 10)	/* between per-CPU areas */

struct fake_objects {
	struct fake_guest g;
	struct chariot_profile *p;
	struct object_index *x;
	bool old;
};

/* Aborts where it cannot be made. */
void objects_init(struct fake_objects *f, bool old);
void objects_free(struct fake_objects *f);
/* Made anew: what is looked up once. */
void objects_again(struct fake_objects *f);

uint64_t symbol(const struct fake_objects *f, const char *name);
void put(struct fake_objects *f, uint64_t gva, uint64_t v, size_t len);
/* A member of struct @type at @gva. */
void put_member(struct fake_objects *f, const char *type, uint64_t gva,
		const char *path, uint64_t v);
/* A variable of the kernel's, of 8 bytes. */
void put_variable(struct fake_objects *f, const char *name, uint64_t v);
/* The struct page of that memory, as of a page in use. */
uint64_t put_page(struct fake_objects *f, uint64_t gpa);
/* A compound page. */
uint64_t put_compound(struct fake_objects *f, uint64_t gpa, unsigned int order);
/* What a page is marked as: "slab", "buddy", "table". */
void mark_page(struct fake_objects *f, uint64_t page, const char *what);

/* ---- made ready ------------------------------------------------------------ */

#define SLAB_GPA	FREE_GPA
#define CACHE		(DIRECT + FREE_GPA + 0x80000)	/* struct kmem_cache */
#define LISTS		(DIRECT + FREE_GPA + 0x90000)	/* small things */
#define CHUNK		(DIRECT + FREE_GPA + 0xa0000)
#define MAPS		(DIRECT + FREE_GPA + 0xb0000)
#define STRINGS		(DIRECT + FREE_GPA + 0xc0000)
#define SECRET		0x1122334455667788ULL
#define AREA		(DIRECT + FREE_GPA + (2UL << 20))	/* CPU 0's */

#define SIZE		96	/* of a place in the slab */
#define OBJECT_SIZE	72
#define LEFT		8	/* before an object in it */
#define NR		80	/* in two pages */
#define SLAB_PAGE	(VMEMMAP + SLAB_GPA / PAGE_SIZE * 64)
#define P0		(FREE_GPA + 0x100000)	/* for pages */
#define CHUNK_OFF	0x4000	/* of the chunk in each area */
#define MODULE		(MODULES + 0x6000)
#define SYMTAB		(MODULES + 0x7000)
#define STACK		(DIRECT + FREE_GPA + 0x40000)
#define TOP		(STACK + 0x4000)

enum { ORC_CALL, ORC_REGS };
enum { ORC_PREV_SP = 1, ORC_BP = 4, ORC_SP = 5 };

uint64_t kva(uint64_t gpa);
uint64_t object(int i);
/* The pointer in free object @i, as a hardened kernel has it. */
void put_next(struct fake_objects *f, int i, uint64_t next);
/* A slab of "thing"s: objects 1, 4, 2 are free by it, 7 and 9 by CPU 1. */
void put_slab(struct fake_objects *f);
/* A chunk: allocated are 40 bytes from 16 on, and up to the end the last 64. */
void put_chunk(struct fake_objects *f);
/* Text, then read-only data, then data, of a page each. */
void put_module(struct fake_objects *f);
/* Rows of the functions walker, caller, pointer, interrupted, looping, plain. */
void put_rows(struct fake_objects *f);

/* All ioctls of the library end there, which gives a result or -errno. */
void objects_mock(int (*call)(unsigned long cmd, void *arg));

#endif
