// SPDX-License-Identifier: GPL-2.0
#include "site.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- finding ------------------------------------------------------------ */

/*
 * "mov" of an immediate or a register to memory.  Not to per-CPU data, as its
 * segment is of more than one meaning, and not to the stack: what is not
 * written there would break the driver in ways that are not asked for.
 */
static bool is_plain_store(const cs_insn *insn)
{
	const cs_x86 *x = &insn->detail->x86;
	const cs_x86_op *to = &x->operands[0], *from = &x->operands[1];

	return insn->id == X86_INS_MOV && x->op_count == 2 &&
	       to->type == X86_OP_MEM && x->prefix[0] == 0 &&
	       to->mem.segment == X86_REG_INVALID &&
	       to->mem.base != X86_REG_RSP && to->mem.index != X86_REG_RSP &&
	       (from->type == X86_OP_IMM || from->type == X86_OP_REG) &&
	       insn->size < SITE_MAX;
}

static void fill(struct site *s, const cs_insn *insn)
{
	*s = (struct site){ .gva = insn->address, .len = insn->size };
	memcpy(s->bytes, insn->bytes, insn->size);
	site_disassemble(s->bytes, s->len, s->gva, s->text, sizeof(s->text));
}

static int open_decoder(csh *cs)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, cs))
		return -ENOMEM;
	cs_option(*cs, CS_OPT_DETAIL, CS_OPT_ON);
	cs_option(*cs, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	return 0;
}

/* Capstone swaps the operands under AT&T syntax; decode as Intel does. */
static int64_t scan(csh cs, const uint8_t *code, size_t len, uint64_t gva,
		    size_t min, bool (*fn)(void *ctx, const struct site *s),
		    void *ctx)
{
	const uint8_t *at = code;
	cs_insn *insn = cs_malloc(cs);
	struct site s;

	if (!insn)
		return -ENOMEM;
	cs_option(cs, CS_OPT_SYNTAX, CS_OPT_SYNTAX_INTEL);
	while (cs_disasm_iter(cs, &at, &len, &gva, insn)) {
		if (insn->size < min || !is_plain_store(insn))
			continue;
		fill(&s, insn);
		if (fn(ctx, &s))
			break;
	}
	cs_free(insn, 1);
	return at - code;
}

int64_t site_scan(const uint8_t *code, size_t len, uint64_t gva, size_t min,
		  bool (*fn)(void *ctx, const struct site *s), void *ctx)
{
	int64_t r;
	csh cs;

	r = open_decoder(&cs);
	if (r)
		return r;
	r = scan(cs, code, len, gva, min, fn, ctx);
	cs_close(&cs);
	return r;
}

void site_disassemble(const uint8_t *code, size_t len, uint64_t gva, char *buf,
		      size_t size)
{
	cs_insn *insn;
	size_t nr, at = 0;
	csh cs;

	*buf = 0;
	if (open_decoder(&cs))
		return;
	nr = cs_disasm(cs, code, len, gva, 0, &insn);
	for (size_t i = 0; i < nr && at < size; i++)
		at += snprintf(buf + at, size - at, "%s%s%s%s", i ? "; " : "",
			       insn[i].mnemonic, *insn[i].op_str ? " " : "",
			       insn[i].op_str);
	if (nr)
		cs_free(insn, nr);
	cs_close(&cs);
}

/* ---- encoding ----------------------------------------------------------- */

/* Wider ones first, and of the same width absolute ones. */
static const struct form {
	uint8_t op[4], len, width;
	bool relative;		/* to the next instruction, else absolute */
} forms[] = {
	{ { 0xc7, 0x04, 0x25 }, 3, 4, false },
	{ { 0xc7, 0x05 }, 2, 4, true },
	{ { 0x66, 0xc7, 0x04, 0x25 }, 4, 2, false },
	{ { 0x66, 0xc7, 0x05 }, 3, 2, true },
	{ { 0xc6, 0x04, 0x25 }, 3, 1, false },
	{ { 0xc6, 0x05 }, 2, 1, true },
};

static size_t form_len(const struct form *f)
{
	return f->len + 4 + f->width;
}

static bool displacement(const struct form *f, uint64_t gva, uint64_t target,
			 int32_t *disp)
{
	int64_t d = target;

	if (f->relative)
		d = target - (gva + form_len(f));
	*disp = d;
	return *disp == d;
}

/* The recommended ones, of 1 to 8 bytes. */
void site_nops(uint8_t *at, size_t len)
{
	static const uint8_t nops[][8] = {
		{ 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 },
		{ 0x0f, 0x1f, 0x40 }, { 0x0f, 0x1f, 0x44 },
		{ 0x66, 0x0f, 0x1f, 0x44 }, { 0x0f, 0x1f, 0x80 },
		{ 0x0f, 0x1f, 0x84 },
	};
	size_t n;

	for (; len; len -= n, at += n) {
		n = len < 8 ? len : 8;
		memcpy(at, nops[n - 1], n);
	}
}

int site_encode(const struct site *s, uint64_t target, uint64_t value,
		unsigned int width, uint8_t bytes[SITE_MAX])
{
	int err = -ENOSPC;
	int32_t disp;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];

		if ((width && f->width != width) || form_len(f) > s->len)
			continue;
		if (!displacement(f, s->gva, target, &disp)) {
			err = -ERANGE;
			continue;
		}
		memset(bytes, 0, SITE_MAX);
		memcpy(bytes, f->op, f->len);
		memcpy(bytes + f->len, &disp, sizeof(disp));
		memcpy(bytes + f->len + 4, &value, f->width);
		site_nops(bytes + form_len(f), s->len - form_len(f));
		return f->width;
	}
	return err;
}
