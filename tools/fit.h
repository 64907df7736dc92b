/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a type of fault fits, and into what the instruction is changed.
 */
#ifndef FIT_H
#define FIT_H

#include "code.h"

struct rng {
	uint64_t state;
};

uint64_t rng_below(struct rng *r, uint64_t n);

/* Does it fit instruction @i?  Then @f has it. */
typedef bool (*fit_fn)(const struct code *c, size_t i, struct fault *f);
extern const fit_fn fit_by_type[FAULT_NR_TYPES];	/* NULL for FAULT_TEXT */

/* What does calls do?  The built-in policy; NULL: no memory. */
const struct chariot_policy *fit_catalogue(void);
/* @f is of @insn, whose bytes are not changed yet. */
void fit_begin(const struct code *c, const cs_insn *insn, const char *what,
	       struct fault *f);
void fit_flip(struct fault *f, size_t bit);

#endif
