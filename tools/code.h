/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver's function, decoded.
 */
#ifndef CODE_H
#define CODE_H

#include <capstone/capstone.h>

#include "fault.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NEAR		16	/* instructions from an argument to its call */
#define NAME_MAX_LEN	256

struct rng;

struct code {
	const struct fault_driver *d;
	const struct fault_function *f;
	csh cs;
	cs_insn *insn;		/* operands as Intel orders them */
	size_t nr;
	bool *target;		/* an instruction that is jumped to */
	bool frame;		/* %rbp is the frame's pointer */
	struct rng *rng;
};

int code_open(struct code *c);
int code_load(struct code *c, const struct fault_function *f);
void code_close(struct code *c);

static inline const cs_x86 *x86(const cs_insn *insn)
{
	return &insn->detail->x86;
}

bool code_in_group(const struct code *c, const cs_insn *insn, unsigned int group);
/* Does it jump, call, return or trap? */
bool code_ends_block(const struct code *c, const cs_insn *insn);
/* The call of __fentry__, instruction @i? */
bool code_is_entry_hook(const struct code *c, size_t i);
/* A bit for each of the arguments' registers that @insn writes. */
unsigned int code_arguments(const struct code *c, const cs_insn *insn);
/* Is it on the function's stack? */
bool code_is_local(const struct code *c, const cs_x86_op *op);
/* What the direct call or jump goes to; NULL: no symbol begins there. */
const char *code_callee(const struct code *c, const cs_insn *insn, char *buf, size_t size);

bool insn_is_jcc(const cs_insn *insn);
bool insn_is_nop(const cs_insn *insn);
bool insn_is_direct(const cs_insn *insn);
bool insn_is_tail_call(const cs_insn *insn);
/* Number of the argument that is passed in @reg, -1: none. */
int insn_argument(unsigned int reg);
bool insn_same_operand(const cs_x86_op *a, const cs_x86_op *b);
/* NULL: it has none. */
const cs_x86_op *insn_memory(const cs_insn *insn);

#endif
