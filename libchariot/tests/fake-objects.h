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

#endif
