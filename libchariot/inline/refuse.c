// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: what it does not do, and why.
 */
#include <Zydis/Zydis.h>

#include "inline.h"

const char *const why_text[WHY_NR] = {
	[WHY_TABLE] = "jumps by a register or a table",
	[WHY_TARGET] = "jumps to where no instruction begins",
	[WHY_SIZE] = "a store whose size depends on the processor",
	[WHY_PATCHED] = "a store within code that the kernel replaces",
	[WHY_SITE] = "code that the kernel replaces, of a form that is not known",
	[WHY_STACK] = "takes its stack from elsewhere",
	[WHY_DOWN] = "string instructions downwards (std)",
	[WHY_END] = "runs on past its end",
	[WHY_ODD] = "leaves the kernel, or goes far",
	[WHY_PERCPU] = "stores to per-CPU data through a pointer",
	[WHY_FORM] = "a store by an operand that is not known",
	[WHY_LINKED] = "jumps into a function that is refused, or the reverse",
};

/* 2 or 5 bytes, a jump or a nop: kernel/jump_label.c wants no other. */
static bool jump_site(const struct module *m, const struct insn *i)
{
	static const uint8_t nop2[] = { 0x66, 0x90 }, nop5[] = { 0x0f, 0x1f, 0x44, 0, 0 };
	const uint8_t *at = m->secs[i->sec].data + i->off;

	if (i->flags & F_JMP)
		return !(i->flags & F_INDIRECT) && (i->len == 2 || i->len == 5);
	return (i->len == 2 && !memcmp(at, nop2, 2)) || (i->len == 5 && !memcmp(at, nop5, 5));
}

/* A branch in what the kernel replaces keeps its length: to within that, or far. */
static bool fixed_branch(const struct module *m, const struct insn *i)
{
	const struct insn *to = i->target >= 0 ? &m->insns[i->target] : NULL;

	if (!(i->flags & (F_JMP | F_JCC)) || i->flags & F_INDIRECT || i->imm_len == 4)
		return true;
	for (; to > i; to--)
		if (!(to->mark & MARK_INSIDE))
			return false;
	return to == i;
}

static enum why why_not(const struct module *m, const struct insn *i)
{
	bool inside = i->mark & MARK_INSIDE;

	if (i->why)
		return i->why;
	if (i->flags & F_JMP && i->flags & F_INDIRECT && !(i->mark & MARK_PATCHED))
		return WHY_TABLE;
	if (i->flags & F_INTO)
		return WHY_TARGET;
	if (inside && needs_check(i->cls))
		return WHY_PATCHED;
	if (i->mark & MARK_JUMP && !jump_site(m, i))
		return WHY_SITE;
	if ((inside || i->mark & MARK_PATCHED) && !fixed_branch(m, i))
		return WHY_SITE;
	if (i->cls == CLS_PLAIN && i->mnemonic == ZYDIS_MNEMONIC_POP)
		return WHY_FORM;
	if (needs_check(i->cls) && ((int64_t)i->disp + 256 > INT32_MAX || !check_has_registers(i)))
		return WHY_FORM;
	return WHY_NOT;
}

/* ---- what replaces ----------------------------------------------------------- */

/* Its own stores would go unchecked, unless it is the one that it replaces. */
static bool replaces_well(const struct module *m, const struct insn *old, struct place p,
			  uint32_t len)
{
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction z;
	const uint8_t *data = m->secs[p.sec].data;
	ZydisDecoder d;

	if (!data || len > m->secs[p.sec].size - p.off)
		return false;
	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint32_t at = 0; at < len; at += z.length) {
		struct insn i = { .off = p.off + at, .sec = p.sec, .base = -1, .index = -1,
				  .bit_reg = -1 };

		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, data + p.off + at, len - at,
							 &z, ops)))
			return false;
		i.disp_at = z.raw.disp.offset;
		i.disp_len = z.raw.disp.size / 8;
		i.len = z.length;
		inl_classify((struct module *)m, &i, &z, ops);
		if (i.cls <= CLS_PERCPU)
			continue;
		if (i.cls != old->cls || i.base != old->base || i.index != old->index ||
		    i.disp != old->disp || i.size > old->size)
			return false;
	}
	return true;
}

static void look_at_replacements(struct module *m, const struct sec *s)
{
	uint32_t nr = s->rel.nr / 2, row = nr ? s->size / nr : 0;

	for (uint32_t i = 0; i < nr; i++) {
		struct place old, by;
		int64_t k;

		if (!inl_place(m, &s->rel.v[2 * i], s->rel.v[2 * i].add, &old) ||
		    !m->secs[old.sec].code)
			continue;
		k = inl_insn_at(m, old);
		if (k < 0)
			continue;
		if (m->insns[k].off != old.off)
			m->insns[k].why = WHY_SITE;
		else if (s->data[(i + 1) * row - 1] &&
			 (!inl_place(m, &s->rel.v[2 * i + 1], s->rel.v[2 * i + 1].add, &by) ||
			  !replaces_well(m, &m->insns[k], by, s->data[(i + 1) * row - 1])))
			m->insns[k].why = WHY_PATCHED;
	}
}

/* ---- by function --------------------------------------------------------------- */

static uint32_t cluster(struct module *m, uint32_t n)
{
	while (m->pieces[n].cluster != n)
		n = m->pieces[n].cluster = m->pieces[m->pieces[n].cluster].cluster;
	return n;
}

static void join(struct module *m, uint32_t a, uint32_t b)
{
	m->pieces[cluster(m, a)].cluster = cluster(m, b);
}

/* goto *label: nobody knows what is live there.  Said of all that jumps into each other. */
static void look_for_labels(struct module *m, uint32_t n)
{
	struct piece *p = &m->pieces[n], *all = &m->pieces[cluster(m, n)];

	for (uint32_t k = p->first; k < p->first + p->nr; k++) {
		const struct insn *i = &m->insns[k];
		const struct rel *r = i->flags & F_TAIL ? inl_branch_rel(m, i) : NULL;

		all->labels |= k != p->first && (i->mark & MARK_TAKEN || i->flags & F_CALLED);
		all->jumps |= r && inl_is_thunk(m->syms[r->sym].name);
	}
	if (all->labels && all->jumps && !all->why)
		all->why = WHY_TABLE;
}

/* What would follow it, when it does not end. */
static void look_at_end(struct module *m, uint32_t n)
{
	struct piece *p = &m->pieces[n];
	const struct insn *last = &m->insns[p->first + p->nr - 1];

	if (last->flags & (F_STOP | F_CALL | F_NOP) || last->mnemonic == ZYDIS_MNEMONIC_UD2 ||
	    last->mnemonic == ZYDIS_MNEMONIC_UD1)
		return;
	p->why = p->why ?: WHY_END;
	for (n++; n < m->nr_pieces && m->pieces[n].sec == p->sec; n++) {
		join(m, p - m->pieces, n);
		if (!m->pieces[n].gap)
			return;
	}
}

static void look_at_piece(struct module *m, uint32_t n)
{
	struct piece *p = &m->pieces[n];

	for (uint32_t k = p->first; k < p->first + p->nr; k++) {
		const struct insn *i = &m->insns[k];
		struct place into = { i->sec, i->off + i->len + i->imm };
		int64_t other;

		if (!p->why)
			p->why = why_not(m, i);
		if (i->target >= 0 && !(i->flags & (F_CALL | F_TAIL)))
			join(m, n, m->insns[i->target].piece);
		if (m->label_target[k] >= 0)
			join(m, n, m->insns[m->label_target[k]].piece);
		if (!(i->flags & F_INTO) || inl_branch_rel(m, i) ||
		    into.off >= m->secs[i->sec].size)
			continue;
		other = inl_insn_at(m, into);
		if (other >= 0)
			join(m, n, m->insns[other].piece);
	}
	look_at_end(m, n);
}

void inl_refuse(struct module *m)
{
	for (uint32_t i = 1; i < m->old_secs; i++)
		if (inl_name_is(&m->secs[i], ".altinstructions"))
			look_at_replacements(m, &m->secs[i]);
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		m->pieces[n].cluster = n;
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		if (!m->pieces[n].gap)
			look_at_piece(m, n);
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		if (!m->pieces[n].gap)
			look_for_labels(m, n);
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		if (m->pieces[n].why && !m->pieces[cluster(m, n)].why)
			m->pieces[cluster(m, n)].why = WHY_LINKED;
	for (uint32_t n = 0; n < m->nr_pieces; n++) {
		struct piece *p = &m->pieces[n];

		if (!p->why && m->pieces[cluster(m, n)].why)
			p->why = WHY_LINKED;
		for (uint32_t k = p->first; k < p->first + p->nr && !p->why && !p->gap; k++)
			if (needs_check(m->insns[k].cls))
				m->insns[k].flags |= F_CHECK;
	}
}
