// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: where all goes.
 *
 * All code is emitted over and over, with the places of the time before, until none of
 * them changes; branches begin short and only ever become long.  Then once more, with
 * relocations.
 */
#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "inline.h"

#define PASSES_MAX	64
#define ALIGN_FUNCTION	16

struct pass {
	struct emit e;
	bool first, changed, last;
};

static void put(struct emit *e, const void *data, uint32_t len)
{
	if (!e->err)
		e->err = bytes_put(e->out, data, len);
}

static void put4(struct emit *e, uint32_t v)
{
	put(e, &v, 4);
}

/* ---- instructions as they were ---------------------------------------------- */

static bool pc_relative(uint32_t type)
{
	return type == R_X86_64_PC32 || type == R_X86_64_PLT32 || type == R_X86_64_PC64;
}

/* Relocations of @i, which is at @at now. */
static void take_relocations(struct emit *e, const struct insn *i, uint32_t at)
{
	const struct module *m = e->m;
	const struct rels *rels = &m->secs[i->sec].rel;

	for (uint32_t k = rels_from(rels, i->off);
	     k < rels->nr && rels->v[k].off < i->off + i->len && !e->err; k++) {
		const struct rel *r = &rels->v[k];
		uint32_t off = r->off - i->off;
		int64_t bias = pc_relative(r->type) ? i->len - off : 0;
		struct place to;

		if (inl_gate(m, i))
			e->err = rels_add(e->rel, at + off, r->type,
					  inl_section_symbol(m, m->runtime),
					  m->gates[inl_gate(m, i) - 1].slot + r->add);
		else if (inl_place(m, r, r->add + bias, &to) && m->secs[to.sec].code)
			e->err = inl_put_rel(e->m, e->rel, r, at + off,
					     inl_moved(m, to, false), -bias);
		else
			e->err = rels_add(e->rel, at + off, r->type,
					  m->syms[r->sym].ndx, r->add);
	}
}

/* An operand by RIP that needed no relocation, as both ends were in one section. */
static void fix_rip(struct emit *e, const struct insn *i, uint32_t at)
{
	struct place p = { i->sec, i->off + i->len + i->disp }, to;
	struct rel r = { .type = R_X86_64_PC32 };
	uint32_t here = e->m->pieces[i->piece].new_sec, field = at + i->disp_at;
	int32_t disp;

	if (p.off > e->m->secs[i->sec].size) {
		e->err = -EBADMSG;
		return;
	}
	to = inl_moved(e->m, p, false);
	disp = to.sec == here ? to.off - (at + i->len) : 0;
	memcpy(e->out->v + field, &disp, 4);
	if (to.sec != here)
		e->err = inl_put_rel(e->m, e->rel, &r, field, to, -(i->len - i->disp_at));
}

static void copy_insn(struct pass *p, const struct insn *i)
{
	struct emit *e = &p->e;
	uint32_t at = emit_at(e);

	put(e, e->m->secs[i->sec].data + i->off, i->len);
	if (!p->last || e->err)
		return;
	take_relocations(e, i, at);
	if (i->flags & F_RIP && !inl_disp_rel(e->m, i) && !e->err)
		fix_rip(e, i, at);
}

/* ---- branches ------------------------------------------------------------------ */

/* A 32-bit distance to @to, from the field that is next. */
static void put_distance(struct pass *p, const struct insn *i, struct place to)
{
	struct emit *e = &p->e;
	struct rel r = { .type = R_X86_64_PLT32 };
	bool here = to.sec == e->m->pieces[i->piece].new_sec;

	if (!here && p->last && !e->err)
		e->err = inl_put_rel(e->m, e->rel, &r, emit_at(e), to, -4);
	put4(e, here ? to.off - (emit_at(e) + 4) : 0);
}

/* loop, jrcxz: to a jump behind it, and over that. */
static void put_short_only(struct pass *p, const struct insn *i, struct place to)
{
	struct emit *e = &p->e;
	uint8_t over[] = { 2, 0xeb, 5, 0xe9 };

	put(e, e->m->secs[i->sec].data + i->off, i->len - 1);
	put(e, over, sizeof(over));
	put_distance(p, i, to);
}

static bool fits(struct pass *p, const struct insn *i, struct place to)
{
	int64_t distance = (int64_t)to.off - (emit_at(&p->e) + 2);

	return to.sec == p->e.m->pieces[i->piece].new_sec && distance == (int8_t)distance;
}

static struct place branch_target(const struct module *m, const struct insn *i)
{
	if (i->target >= 0) {
		const struct insn *t = &m->insns[i->target];
		const struct piece *p = &m->pieces[t->piece];
		/* A loop over all of a function does not enter it again. */
		bool inside = p->enter && !p->enter_after && i->piece == t->piece &&
			      t == m->insns + p->first && !(i->flags & F_CALL);

		return (struct place){ p->new_sec, t->stub + (inside ? ENTER_LEN : 0) };
	}
	return inl_moved(m, (struct place){ i->sec, i->off + i->len + i->imm }, false);
}

/* Without a relocation. */
static void put_branch(struct pass *p, struct insn *i)
{
	struct emit *e = &p->e;
	const uint8_t *old = e->m->secs[i->sec].data + i->off;
	struct place to = branch_target(e->m, i);
	int8_t near = to.off - (emit_at(e) + i->imm_at + 1);

	if (i->imm_len == 4) {
		put(e, old, i->imm_at);
		put_distance(p, i, to);
		return;
	}
	if (i->flags & F_SHORT_ONLY) {
		put_short_only(p, i, to);
		return;
	}
	if (!p->first && !(i->flags & F_LONG) && !fits(p, i, to)) {
		i->flags |= F_LONG;
		p->changed = true;
	}
	if (!(i->flags & F_LONG) && !(i->mark & MARK_JUMP)) {
		put(e, old, i->imm_at);
		put(e, &near, 1);
		return;
	}
	/* A hint in front stays there. */
	put(e, old, i->imm_at - 1);
	if (i->flags & F_JMP)
		put(e, "\xe9", 1);
	else
		put(e, (uint8_t[]){ 0x0f, 0x80 | (old[i->imm_at - 1] & 15) }, 2);
	put_distance(p, i, to);
}

static bool is_branch(const struct insn *i)
{
	return i->flags & (F_CALL | F_JMP | F_JCC) && !(i->flags & F_INDIRECT);
}

/* A jump label of 2 bytes reaches its target only as long as they keep their distance. */
static bool label_stays(const struct module *m, const struct insn *i)
{
	int32_t to = m->label_target[i - m->insns];

	return !(i->mark & MARK_JUMP) || i->len != 2 ||
	       (to >= 0 && m->insns[to].piece == i->piece);
}

/* What was refused keeps its length, byte by byte; so does what the kernel replaces. */
static void put_as_it_was(struct pass *p, struct insn *i)
{
	struct module *m = p->e.m;
	uint32_t at = emit_at(&p->e);
	struct place to;

	if (is_branch(i) && !inl_branch_rel(m, i) && i->imm_len == 4)
		put_branch(p, i);
	else
		copy_insn(p, i);
	to = is_branch(i) && i->imm_len == 1 ? branch_target(m, i) :
	     (struct place){ m->pieces[i->piece].new_sec, at + i->len + i->imm };
	if (p->last && (!label_stays(m, i) || to.sec != m->pieces[i->piece].new_sec ||
			to.off - (at + i->len) != (uint32_t)i->imm)) {
		log_err("function %s: was refused (%s), and has a short jump that leaves it",
			m->pieces[i->piece].name, why_text[m->pieces[i->piece].why]);
		p->e.err = -ENOTSUP;
	}
}

static void put_insn(struct pass *p, struct insn *i)
{
	const struct module *m = p->e.m;

	if (m->pieces[i->piece].why || i->mark & (MARK_PATCHED | MARK_INSIDE))
		put_as_it_was(p, i);
	else if (i->mark & MARK_JUMP && !(i->flags & F_JMP) && i->len == 2)
		/* What becomes a jump of 5 bytes needs the room from the beginning. */
		put(&p->e, "\x0f\x1f\x44\0\0", 5);
	else if (is_branch(i) && !inl_branch_rel(m, i))
		put_branch(p, i);
	else
		copy_insn(p, i);
}

/* ---- pieces ---------------------------------------------------------------------- */

static void set(struct pass *p, uint32_t *where, uint32_t at)
{
	p->changed |= *where != at;
	*where = at;
}

static void align(struct pass *p, uint32_t n)
{
	const struct module *m = p->e.m;
	uint32_t behind = 0;

	/* A gap belongs to what follows it. */
	for (; n < m->nr_pieces && m->pieces[n].gap; n++)
		behind += m->pieces[n].size;
	if (n == m->nr_pieces || m->pieces[n].align < 2 || p->e.err)
		return;
	p->e.err = bytes_fill(p->e.out, 0xcc, -(emit_at(&p->e) + behind) &
			      (m->pieces[n].align - 1));
}

static void put_piece(struct pass *p, uint32_t n)
{
	struct module *m = p->e.m;
	struct piece *pc = &m->pieces[n];

	if (pc->gap || !n || !m->pieces[n - 1].gap || m->pieces[n - 1].sec != pc->sec)
		align(p, n);
	set(p, &pc->start, emit_at(&p->e));
	for (uint32_t k = pc->first; k < pc->first + pc->nr && !p->e.err; k++) {
		struct insn *i = &m->insns[k];

		set(p, &i->stub, emit_at(&p->e));
		if (pc->enter && !pc->enter_after && k == pc->first)
			enter_emit(&p->e, pc);
		if (i->flags & F_CHECK)
			check_emit(&p->e, i);
		set(p, &i->pos, emit_at(&p->e));
		put_insn(p, i);
		if (pc->enter && i->off + i->len - pc->off == pc->enter_after)
			enter_emit(&p->e, pc);
	}
	set(p, &pc->body_end, emit_at(&p->e));
	for (uint32_t k = pc->first; k < pc->first + pc->nr && !p->e.err; k++) {
		struct insn *i = &m->insns[k];

		if (!check_has_slow(i))
			continue;
		set(p, &i->slow, emit_at(&p->e));
		check_emit_slow(&p->e, i);
	}
	set(p, &pc->end, emit_at(&p->e));
}

static int one_pass(struct module *m, struct pass *p, struct orc *orc)
{
	p->e.m = m;
	for (uint32_t i = 1; i < m->nr_secs; i++)
		if (m->secs[i].code || i == m->view || i == m->init_view)
			m->secs[i].out.nr = 0;
	for (uint32_t n = 0; n < m->nr_pieces && !p->e.err; n++) {
		struct sec *s = &m->secs[m->pieces[n].new_sec];

		p->e.out = &s->out;
		p->e.rel = p->last ? &s->rel_out : NULL;
		p->e.orc = p->last ? orc : NULL;
		put_piece(p, n);
	}
	return p->e.err;
}

/* Refused functions go to a section of their own, gaps with what follows them. */
static void assign(struct module *m)
{
	for (uint32_t n = m->nr_pieces; n--;) {
		struct piece *p = &m->pieces[n], *next = p + 1;
		const struct sec *s = &m->secs[p->sec];

		p->new_sec = p->sec;
		if (p->gap && n + 1 < m->nr_pieces && next->sec == p->sec)
			p->new_sec = next->new_sec;
		else if (p->why)
			p->new_sec = strncmp(s->name, ".init", 5) ? m->view : m->init_view;
		p->align = p->gap || p->off % ALIGN_FUNCTION ||
			   s->sh.sh_addralign < ALIGN_FUNCTION ? 1 : ALIGN_FUNCTION;
		m->secs[p->sec].changed = true;
	}
}

static int number_checks(struct module *m)
{
	uint32_t nr = 0;

	for (uint32_t k = 0; k < m->nr_insns; k++)
		if (m->insns[k].flags & F_CHECK)
			m->insns[k].check = nr++;
	if (nr >= 1 << 24)
		return -ENOTSUP;
	m->checks = calloc(nr + 1, sizeof(*m->checks));
	m->nr_checks = nr;
	return m->checks ? 0 : -ENOMEM;
}

static void fill_check(struct module *m, uint32_t k)
{
	const struct insn *i = &m->insns[k];
	struct chariot_inline_check *c = &m->checks[i->check];
	const struct piece *p = &m->pieces[i->piece];

	c->kind = i->cls == CLS_REP ? CHARIOT_INLINE_STRING : CHARIOT_INLINE_STORE;
	c->sec = i->sec;
	c->off = i->off;
	c->new_sec = p->new_sec;
	c->start = i->stub;
	c->store = i->pos;
	c->next = k + 1 < p->first + p->nr ? i[1].stub : p->body_end;
	if (!c->skip)
		c->skip = c->next;
	c->size = i->size;
	c->user = i->mark & MARK_FAULTS;
}

/* The runtime, and whole pages of what runs under the view. */
static int fill_own(struct module *m)
{
	const uint32_t views[] = { m->view, m->init_view };
	int err = inl_runtime(m);

	for (size_t k = 0; k < ARRAY_SIZE(views) && !err; k++) {
		struct sec *s = &m->secs[views[k]];

		if (!s->out.nr)
			s->sh.sh_addralign = 1;
		err = bytes_fill(&s->out, 0xcc, -s->out.nr & (PAGE_SIZE - 1));
	}
	return err;
}

int inl_layout(struct module *m, struct orc *orc)
{
	struct pass p = { .first = true, .changed = true };
	int err = number_checks(m);

	assign(m);
	for (int n = 0; p.changed && !err; n++) {
		p.changed = false;
		err = n < PASSES_MAX ? one_pass(m, &p, orc) : -ENOTSUP;
		p.changed |= p.first;
		p.first = false;
	}
	p.last = true;
	if (!err)
		err = one_pass(m, &p, orc);
	if (!err && p.changed)
		err = -ENOTSUP;
	for (uint32_t k = 0; k < m->nr_insns && !err; k++)
		if (m->insns[k].flags & F_CHECK)
			fill_check(m, k);
	return err ?: fill_own(m);
}
