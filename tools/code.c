// SPDX-License-Identifier: GPL-2.0
/*
 * A driver's function, decoded.
 */
#include "code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool code_in_group(const struct code *c, const cs_insn *insn,
		   unsigned int group)
{
	return cs_insn_group(c->cs, insn, group);
}

bool insn_is_jcc(const cs_insn *insn)
{
	const uint8_t *op = x86(insn)->opcode;

	return (op[0] & 0xf0) == 0x70 ||
	       (op[0] == 0x0f && (op[1] & 0xf0) == 0x80);
}

bool code_ends_block(const struct code *c, const cs_insn *insn)
{
	return code_in_group(c, insn, X86_GRP_JUMP) ||
	       code_in_group(c, insn, X86_GRP_CALL) ||
	       code_in_group(c, insn, X86_GRP_RET) || code_in_group(c, insn, X86_GRP_INT);
}

static bool insn_is_endbr(const cs_insn *insn)
{
	return insn->size == 4 && !memcmp(insn->bytes, "\xf3\x0f\x1e\xfa", 4);
}

/* Also int3, which is between functions and behind returns. */
bool insn_is_nop(const cs_insn *insn)
{
	const uint8_t *op = x86(insn)->opcode;

	return insn->id == X86_INS_NOP || insn_is_endbr(insn) || op[0] == 0xcc ||
	       (op[0] == 0x0f && op[1] == 0x1f);
}

/* The call of __fentry__: the guest has made it a nop, or uses it to trace. */
bool code_is_entry_hook(const struct code *c, size_t i)
{
	return c->insn[i].bytes[0] == 0xe8 &&
	       (!i || (i == 1 && insn_is_endbr(&c->insn[0])));
}

static ssize_t insn_at(const struct code *c, uint64_t gva)
{
	size_t lo = 0, hi = c->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->insn[mid].address < gva)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->nr && c->insn[lo].address == gva ? (ssize_t)lo : -1;
}

static void find_targets(struct code *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		const cs_x86 *x = x86(&c->insn[i]);
		ssize_t to;

		if (!code_in_group(c, &c->insn[i], X86_GRP_JUMP) ||
		    x->operands[0].type != X86_OP_IMM)
			continue;
		to = insn_at(c, x->operands[0].imm);
		if (to >= 0)
			c->target[to] = true;
	}
}

static bool sets_frame(const cs_insn *insn)
{
	const cs_x86 *x = x86(insn);

	return insn->id == X86_INS_MOV && x->op_count == 2 &&
	       x->operands[0].type == X86_OP_REG &&
	       x->operands[0].reg == X86_REG_RBP &&
	       x->operands[1].type == X86_OP_REG &&
	       x->operands[1].reg == X86_REG_RSP;
}

int code_open(struct code *c)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &c->cs))
		return -ENOMEM;
	cs_option(c->cs, CS_OPT_DETAIL, CS_OPT_ON);
	return 0;
}

static void code_drop(struct code *c)
{
	if (c->nr)
		cs_free(c->insn, c->nr);
	free(c->target);
	c->insn = NULL;
	c->target = NULL;
	c->nr = 0;
}

/* What cannot be decoded is where the function ends. */
int code_load(struct code *c, const struct fault_function *f)
{
	if (c->f == f && c->nr)
		return 0;
	code_drop(c);
	c->f = f;
	c->frame = false;
	c->nr = cs_disasm(c->cs, f->code, f->len, f->gva, 0, &c->insn);
	c->target = calloc(c->nr + 1, sizeof(*c->target));
	if (!c->target)
		return -ENOMEM;
	find_targets(c);
	for (size_t i = 0; i < c->nr && i < NEAR; i++)
		c->frame |= sets_frame(&c->insn[i]);
	return 0;
}

void code_close(struct code *c)
{
	code_drop(c);
	cs_close(&c->cs);
}

/* Number of the argument that is passed in @reg, -1: none. */
int insn_argument(unsigned int reg)
{
	static const unsigned int regs[][4] = {
		{ X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL },
		{ X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL },
		{ X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL },
		{ X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL },
		{ X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B },
		{ X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B },
	};

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		for (size_t j = 0; j < 4; j++)
			if (regs[i][j] == reg)
				return i;
	return -1;
}

/* A bit for each of the arguments' registers that @insn writes. */
unsigned int code_arguments(const struct code *c,
			    const cs_insn *insn)
{
	uint8_t nr_read = 0, nr_write = 0;
	cs_regs read, write;
	unsigned int written = 0;

	if (cs_regs_access(c->cs, insn, read, &nr_read, write, &nr_write))
		return ~0U;
	for (size_t i = 0; i < nr_write; i++)
		if (insn_argument(write[i]) >= 0)
			written |= 1U << insn_argument(write[i]);
	return written;
}

bool code_is_local(const struct code *c, const cs_x86_op *op)
{
	return op->type == X86_OP_MEM &&
	       (op->mem.base == X86_REG_RSP ||
		(c->frame && op->mem.base == X86_REG_RBP));
}

bool insn_same_operand(const cs_x86_op *a, const cs_x86_op *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == X86_OP_REG)
		return a->reg == b->reg;
	if (a->type == X86_OP_IMM)
		return a->imm == b->imm;
	return a->mem.segment == b->mem.segment && a->mem.base == b->mem.base &&
	       a->mem.index == b->mem.index && a->mem.scale == b->mem.scale &&
	       a->mem.disp == b->mem.disp;
}

const cs_x86_op *insn_memory(const cs_insn *insn)
{
	const cs_x86 *x = x86(insn);

	for (size_t i = 0; i < x->op_count; i++)
		if (x->operands[i].type == X86_OP_MEM)
			return &x->operands[i];
	return NULL;
}

/* A jump to another function returns to this one's caller. */
bool insn_is_tail_call(const cs_insn *insn)
{
	return insn->bytes[insn->size - 5] == 0xe9;
}

bool insn_is_direct(const cs_insn *insn)
{
	return insn->size >= 5 &&
	       (insn->id == X86_INS_CALL || insn->id == X86_INS_JMP) &&
	       (insn->bytes[insn->size - 5] == 0xe8 || insn_is_tail_call(insn)) &&
	       x86(insn)->operands[0].type == X86_OP_IMM;
}

const char *code_callee(const struct code *c, const cs_insn *insn,
			char *buf, size_t size)
{
	if (!insn_is_direct(insn) || !c->d->name)
		return NULL;
	return c->d->name(c->d->ctx, insn->address + insn->size - 4,
			  x86(insn)->operands[0].imm, buf, size);
}
