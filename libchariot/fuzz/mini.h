/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that is small enough to be made anew thousands of times a second: a
 * kernel of a few hundred kilobytes with the symbols and types that the library
 * and its policy name (guest/kernel.c), and a driver (guest/driver.c) as the
 * guest has it when it loads it.
 */
#ifndef MINI_H
#define MINI_H

#include "fake-guest.h"
#include "fuzz.h"

#define MINI_TEXT	0xffffffff81000000ULL
#define MINI_MODULE	0xffffffffc0400000ULL
#define MINI_AT(page)	(MINI_MODULE + (page) * PAGE_SIZE)
/* Pages of the module: text, rodata, ro_after_init, data, init text, init data. */
#define MINI_THIS	MINI_AT(12)	/* struct module */
#define MINI_LISTS	MINI_AT(13)	/* struct btf_module, struct btf */
#define MINI_KALLSYMS	MINI_AT(20)
#define MINI_SYMTAB	MINI_AT(21)
#define MINI_STRTAB	MINI_AT(22)
#define MINI_BTF	MINI_AT(24)
#define MINI_PAGES	28

/* As kallsyms.c has them. */
enum mini_layout { MINI_6_1, MINI_6_4, MINI_7_0, MINI_NR_LAYOUTS };

struct mini {
	struct fake_guest g;
	struct image img;		/* the kernel */
	struct chariot_profile *profile;
	const uint8_t *btf, *ko;	/* of the kernel, and the driver's file */
	size_t btf_len, ko_len;
	size_t tokens;			/* offset of the token table in img */
};

/* With types of before 6.4 or later ones. */
struct mini *mini_get(bool old);
/* A kernel image with its symbol table so; img.data is the caller's. */
void mini_image(struct mini *m, enum mini_layout layout);

/* Names that the library's sources and policy have. */
extern const char *const mini_names[];
extern const size_t mini_nr_names;

/* Write to the guest's memory, until mini_undo(). */
void mini_poke(struct mini *m, uint64_t gva, const void *data, size_t len);
void mini_undo(struct mini *m);
/* Writes that @c chooses: into the driver, its lists, the kernel's variables. */
void mini_poke_any(struct mini *m, struct choices *c);

#endif
