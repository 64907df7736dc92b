/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stores in machine code: find one, and make it go elsewhere.
 */
#ifndef SITE_H
#define SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SITE_MAX	16		/* bytes of an instruction */
#define SITE_MIN	7		/* of the shortest wild store */

struct site {
	uint64_t gva;
	size_t len;
	uint8_t bytes[SITE_MAX];
	char text[96];			/* disassembled */
};

/* Call @fn for each plain store of at least @min bytes, in order, until it
 * returns true.  How many bytes of @code made sense, or -errno. */
int64_t site_scan(const uint8_t *code, size_t len, uint64_t gva, size_t min,
		  bool (*fn)(void *ctx, const struct site *s), void *ctx);

/*
 * A store of @value at @target, in exactly s->len bytes at s->gva.  @width is
 * 1, 2 or 4 bytes, or 0 for as many as fit.  Returns the width; -ENOSPC: the
 * instruction there is too short; -ERANGE: @target is out of reach.
 */
int site_encode(const struct site *s, uint64_t target, uint64_t value,
		unsigned int width, uint8_t bytes[SITE_MAX]);

/* "movl ...; nop" into @buf. */
void site_disassemble(const uint8_t *code, size_t len, uint64_t gva, char *buf,
		      size_t size);

/* Nothing, in as few instructions as will do. */
void site_nops(uint8_t *at, size_t len);

#endif
