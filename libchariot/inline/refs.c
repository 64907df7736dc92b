// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: symbols, relocations and tables, to where things have gone.
 */
#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "inline.h"

struct place inl_moved(const struct module *m, struct place p, bool exact)
{
	const struct sec *s = &m->secs[p.sec];
	const struct piece *pc;
	const struct insn *i;
	int64_t k;

	if (!s->code || p.off > s->size)
		return p;
	k = inl_insn_at(m, p.off == s->size ? (struct place){ p.sec, p.off - 1 } : p);
	if (k < 0)
		return p;
	i = &m->insns[k];
	pc = &m->pieces[i->piece];
	if (p.off == s->size)
		return (struct place){ pc->new_sec, pc->end };
	if (p.off == i->off)
		return (struct place){ pc->new_sec, exact ? i->pos : i->stub };
	return (struct place){ pc->new_sec, i->pos + (p.off - i->off) };
}

uint32_t inl_section_symbol(const struct module *m, uint32_t sec)
{
	return m->secs[sec].symbol;
}

/* By the same symbol, if that is in the same section still. */
int inl_put_rel(struct module *m, struct rels *out, const struct rel *r, uint32_t off,
		struct place to, int64_t bias)
{
	const struct symbol *y = &m->syms[r->sym];
	struct place base = { to.sec, 0 };
	uint32_t sym = inl_section_symbol(m, to.sec);

	if (r->sym && y->s.st_shndx < m->old_secs && m->secs[y->s.st_shndx].code &&
	    GELF_ST_TYPE(y->s.st_info) != STT_SECTION) {
		struct place at = { y->s.st_shndx, y->s.st_value };

		if (at.off <= m->secs[at.sec].size && inl_moved(m, at, false).sec == to.sec) {
			base = inl_moved(m, at, false);
			sym = y->ndx;
		}
	}
	return rels_add(out, off, r->type, sym, (int64_t)to.off - base.off + bias);
}

/* ---- relocations of what is not laid out anew -------------------------------- */

/* In code that stays: how far the instruction goes on behind the field. */
static int64_t bias_in_code(const struct sec *s, const struct rel *r)
{
	ZydisDecodedInstruction z;
	ZydisDecoder d;

	if (r->type != R_X86_64_PC32 && r->type != R_X86_64_PLT32)
		return 0;
	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint32_t at = 0; at <= r->off; at += z.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d, NULL, s->data + at,
								s->size - at, &z)))
			break;
		if (r->off < at + z.length)
			return at + z.length - r->off;
	}
	return 4;
}

static int move_relocations(struct module *m, struct sec *s)
{
	int err = 0;

	for (uint32_t i = 0; i < s->rel.nr && !err; i++) {
		const struct rel *r = &s->rel.v[i];
		int64_t bias = s->exec ? bias_in_code(s, r) : 0;
		struct place to;

		if (inl_place(m, r, r->add + bias, &to) && m->secs[to.sec].code)
			err = inl_put_rel(m, &s->rel_out, r, r->off,
					  inl_moved(m, to, inl_exact(s, r->off)), -bias);
		else
			err = rels_add(&s->rel_out, r->off, r->type, m->syms[r->sym].ndx,
				       r->add);
	}
	return err;
}

/* ---- symbols -------------------------------------------------------------------- */

static void move_symbol(const struct module *m, struct symbol *y)
{
	struct place p = { y->s.st_shndx, y->s.st_value }, end, to;
	int64_t k;

	if (p.sec >= m->old_secs || !m->secs[p.sec].code ||
	    GELF_ST_TYPE(y->s.st_info) == STT_SECTION || p.off > m->secs[p.sec].size)
		return;
	to = inl_moved(m, p, false);
	if (y->s.st_size && y->s.st_size <= m->secs[p.sec].size - p.off) {
		end = (struct place){ p.sec, p.off + y->s.st_size - 1 };
		k = inl_insn_at(m, end);
		/* With the slow parts of its checks, when it is all of a function. */
		if (k >= 0 && m->insns[k].off + m->insns[k].len >= end.off + 1) {
			const struct piece *pc = &m->pieces[m->insns[k].piece];
			bool whole = pc->off + pc->size == end.off + 1;

			end = whole ? (struct place){ pc->new_sec, pc->end } :
				      inl_moved(m, (struct place){ p.sec, end.off + 1 }, false);
			if (end.sec == to.sec && end.off >= to.off)
				y->s.st_size = end.off - to.off;
		}
	}
	y->s.st_shndx = to.sec;
	y->s.st_value = to.off;
}

int inl_refs(struct module *m)
{
	int err = 0;

	for (uint32_t i = 1; i < m->old_secs && !err; i++) {
		struct sec *s = &m->secs[i];

		if (!s->code && s->rel.nr && !s->rel_out.nr)
			err = move_relocations(m, s);
	}
	for (uint32_t i = 1; i < m->nr_syms; i++)
		move_symbol(m, &m->syms[i]);
	return err;
}
