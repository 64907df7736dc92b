/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the harnesses share.  Each has LLVMFuzzerTestOneInput() and fuzz_seeds();
 * Documentation/fuzzing.rst says how they are run.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Inputs to begin with; @emit copies them. */
typedef void (*fuzz_emit)(const char *name, const void *data, size_t len);
void fuzz_seeds(fuzz_emit emit);

/* The input as a stream of choices; behind its end all are 0. */
struct choices {
	const uint8_t *p;
	size_t n;
};

static inline uint64_t choose_bytes(struct choices *c, size_t n)
{
	uint64_t v = 0;

	if (n > c->n)
		n = c->n;
	memcpy(&v, c->p, n);
	c->p += n;
	c->n -= n;
	return v;
}

/* Less than @max, which is at most 65536. */
static inline uint32_t choose(struct choices *c, uint32_t max)
{
	return choose_bytes(c, max > 256 ? 2 : 1) % max;
}

/* A path by which @data can be read as a file, until the next call. */
const char *fuzz_file(const void *data, size_t len);
/* Look at all bytes: a sanitizer complains if they are not there. */
void fuzz_touch(const void *data, size_t len);
void fuzz_touch_str(const char *s);

/* The module would take tables of this form; NULL is good too. */
void fuzz_check_tables(const struct chariot_tables *t);

/* What is no input's fault: the machine lacks something. */
#define fuzz_assert(cond) \
	do { if (!(cond)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
		abort(); } } while (0)

#endif
