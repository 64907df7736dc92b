/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults of software in machine code, after Rio and Nooks: which instruction
 * of a driver is changed, and into what, follows from a seed.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "site.h"

enum fault_type {
	FAULT_SOURCE, FAULT_DESTINATION, FAULT_POINTER, FAULT_INTERFACE,
	FAULT_BRANCH, FAULT_LOOP, FAULT_TEXT, FAULT_NOP, FAULT_INIT, FAULT_IRQ,
	FAULT_FREE, FAULT_ALLOC, FAULT_OVERRUN, FAULT_OFF_BY_ONE, FAULT_LOCK,
	FAULT_NR_RANDOM,		/* seeds are for good: no more of them */
	FAULT_EARLY = FAULT_NR_RANDOM,
	FAULT_NR_TYPES,
	FAULT_RANDOM = FAULT_NR_TYPES,	/* one of the first, by the seed */
};

struct fault_function {
	const char *name;
	uint64_t gva;
	const uint8_t *code;
	size_t len;
};

/*
 * What lies at @target, which the call or jump whose 4 bytes of displacement
 * are at @field goes to: a symbol's name, in @buf if need be.  NULL: no symbol
 * begins there.
 */
typedef const char *(*fault_name_fn)(void *ctx, uint64_t field,
				     uint64_t target, char *buf, size_t size);

struct fault_driver {
	const struct fault_function *functions;
	size_t nr;
	bool unlinked;			/* calls do not go yet where they will */
	fault_name_fn name;
	void *ctx;
};

struct fault {
	enum fault_type type;
	const struct fault_function *function;
	size_t offset, len;		/* of one instruction */
	uint8_t old[SITE_MAX], new[SITE_MAX];
	char before[128], after[128];	/* disassembled */
	const char *what;		/* was done */
};

const char *fault_type_name(enum fault_type type);
/* -1: no such type. */
int fault_type_by_name(const char *name);

/*
 * The fault of @seed.  The same functions and seed are the same fault,
 * wherever they were loaded to.  0; -ENOENT: nothing in the driver fits the
 * type; -ENOMEM.
 */
int fault_pick(const struct fault_driver *d, enum fault_type type,
	       uint64_t seed, struct fault *f);

#endif
