// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: which instruction needs what.
 *
 * Documentation/inline.rst has the table.  Whether a store by a register is to the
 * function's own frame is found later, by frame.c.
 */
#include <Zydis/Zydis.h>

#include "inline.h"

#define SIZE_MAX_STORE	64

static int gpr(ZydisRegister r)
{
	return r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15 ?
	       (int)(r - ZYDIS_REGISTER_RAX) : -1;
}

static bool is_string(const ZydisDecodedInstruction *z)
{
	return z->meta.category == ZYDIS_CATEGORY_STRINGOP ||
	       z->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

/* Caches, not memory. */
static bool only_hints(const ZydisDecodedInstruction *z)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_CLDEMOTE:
	case ZYDIS_MNEMONIC_INVLPG:
		return true;
	default:
		return z->meta.category == ZYDIS_CATEGORY_PREFETCH ||
		       z->meta.category == ZYDIS_CATEGORY_NOP ||
		       z->meta.category == ZYDIS_CATEGORY_WIDENOP;
	}
}

static bool is_push(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *o)
{
	return o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
	       (z->meta.category == ZYDIS_CATEGORY_PUSH ||
		z->meta.category == ZYDIS_CATEGORY_CALL ||
		z->mnemonic == ZYDIS_MNEMONIC_PUSHFQ);
}

/* State of a size that depends on the processor; elements at addresses of their own. */
static bool size_unknown(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *o)
{
	return z->meta.category == ZYDIS_CATEGORY_XSAVE ||
	       z->meta.category == ZYDIS_CATEGORY_XSAVEOPT ||
	       o->mem.type == ZYDIS_MEMOP_TYPE_MIB || o->mem.type == ZYDIS_MEMOP_TYPE_VSIB ||
	       !o->size || o->size % 8 || o->size > SIZE_MAX_STORE * 8;
}

static bool bit_string(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
	return (z->mnemonic == ZYDIS_MNEMONIC_BTS || z->mnemonic == ZYDIS_MNEMONIC_BTR ||
		z->mnemonic == ZYDIS_MNEMONIC_BTC) &&
	       ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

static enum cls refuse(struct insn *i, enum why why)
{
	i->why = why;
	return CLS_REFUSE;
}

/* A section that the driver may write as long as it is there. */
static bool is_data(const struct sec *s)
{
	return (s->sh.sh_flags & SHF_WRITE) && (s->sh.sh_flags & SHF_ALLOC) &&
	       (!strncmp(s->name, ".data", 5) || !strncmp(s->name, ".bss", 4)) &&
	       strcmp(s->name, ".data..ro_after_init") &&
	       strncmp(s->name, ".data..percpu", 13);
}

/* A constant address: of what? */
static enum cls constant(struct module *m, struct insn *i)
{
	const struct rel *r = inl_disp_rel(m, i);
	struct place p;

	if (!r || !inl_place(m, r, r->add + (i->flags & F_RIP ? i->len - i->disp_at : 0),
			     &p))
		return CLS_PLAIN;
	return is_data(&m->secs[p.sec]) && p.off + i->size <= m->secs[p.sec].size ?
	       CLS_OWN : CLS_PLAIN;
}

static enum cls by_segment(struct module *m, struct insn *i)
{
	if (i->base < 0 && i->index < 0)
		return CLS_PERCPU;
	if (m->opts.this_cpu_off == CHARIOT_INLINE_NO_PERCPU)
		return refuse(i, WHY_PERCPU);
	return CLS_GS;
}

static enum cls store(struct module *m, struct insn *i, const ZydisDecodedInstruction *z,
		      const ZydisDecodedOperand *ops, const ZydisDecodedOperand *o)
{
	bool rep = z->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				    ZYDIS_ATTRIB_HAS_REPNE);

	if (is_push(z, o))
		return CLS_PUSH;
	if (size_unknown(z, o))
		return refuse(i, WHY_SIZE);
	i->size = o->size / 8;
	i->base = gpr(o->mem.base);
	i->index = gpr(o->mem.index);
	i->scale = o->mem.scale;
	i->disp = o->mem.disp.value;
	if (z->address_width != 64 ||
	    (i->base < 0 && o->mem.base != ZYDIS_REGISTER_NONE &&
	     o->mem.base != ZYDIS_REGISTER_RIP) ||
	    (i->index < 0 && o->mem.index != ZYDIS_REGISTER_NONE))
		return refuse(i, WHY_FORM);
	if (is_string(z))
		return i->base != RDI ? refuse(i, WHY_FORM) : rep ? CLS_REP : CLS_STRING;
	if (o->mem.segment == ZYDIS_REGISTER_GS)
		return by_segment(m, i);
	if (o->mem.segment == ZYDIS_REGISTER_FS)
		return refuse(i, WHY_FORM);
	if (bit_string(z, ops)) {
		i->bit_reg = gpr(ZydisRegisterGetLargestEnclosing(
			ZYDIS_MACHINE_MODE_LONG_64, ops[1].reg.value));
		return ops[1].size < 32 || i->bit_reg < 0 ? refuse(i, WHY_FORM) : CLS_BIT;
	}
	return i->base < 0 && i->index < 0 ? constant(m, i) : CLS_PLAIN;
}

void inl_classify(struct module *m, struct insn *i, const ZydisDecodedInstruction *z,
		  const ZydisDecodedOperand *ops)
{
	if (only_hints(z))
		return;
	if (z->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ || z->mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU ||
	    z->mnemonic == ZYDIS_MNEMONIC_VMASKMOVDQU || z->mnemonic == ZYDIS_MNEMONIC_CLZERO) {
		i->cls = refuse(i, WHY_FORM);
		return;
	}
	for (int k = 0; k < z->operand_count; k++) {
		const ZydisDecodedOperand *o = &ops[k];

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
		    !(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		/* One at most writes, besides what goes to the stack. */
		if (i->cls != CLS_NONE && i->cls != CLS_PUSH)
			i->cls = refuse(i, WHY_FORM);
		else
			i->cls = store(m, i, z, ops, o);
	}
}
