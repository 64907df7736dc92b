// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: which stores are provably to the function's own frame; and which
 * functions are refused.
 *
 * Forwards from each function's entry: what registers have in common with RSP there.
 */
#include <stdlib.h>

#include "inline.h"

enum kind { ANY, NUMBER, STACK };	/* STACK: RSP at entry, and a distance */

struct val {
	uint8_t kind;
	int32_t v;
};

struct state {
	struct val r[16];
	bool seen, queued;
};

struct walk {
	struct module *m;
	uint32_t *index;	/* by instruction: its state + 1, for leaders */
	struct state *states;
	uint32_t *queue, nr_queue;
};

static struct val moved_by(struct val v, int64_t by)
{
	int64_t n = v.v + by;

	if (v.kind != STACK || n != (int32_t)n)
		return (struct val){ ANY, 0 };
	v.v = n;
	return v;
}

static void forget(struct state *st, uint32_t regs)
{
	for (int r = 0; r < 16; r++)
		if (regs & REG(r))
			st->r[r] = (struct val){ ANY, 0 };
}

/* ---- one instruction ------------------------------------------------------ */

/* Assembler of the module's own has rules of its own. */
static uint32_t lost_in_call(const struct module *m, const struct insn *i)
{
	if (i->target >= 0 && !m->pieces[m->insns[i->target].piece].compiled)
		return REGS_ALL & ~REG(RSP);
	return REGS_ALL & ~REGS_CALLEE;
}

/* False: RSP now has something that did not come from it. */
static bool effect(const struct module *m, const struct insn *i, struct state *st)
{
	struct val sp = st->r[RSP];
	uint32_t wrote = i->wrote;

	if (i->flags & F_CALL) {
		forget(st, lost_in_call(m, i));
		return true;
	}
	switch (i->effect) {
	case EFFECT_PUSH:
		st->r[RSP] = moved_by(sp, -8);
		return true;
	case EFFECT_POP:
		forget(st, wrote & ~REG(RSP));
		st->r[RSP] = moved_by(sp, 8);
		return i->dst != RSP;
	case EFFECT_LEAVE:
		st->r[RSP] = moved_by(st->r[RBP], 8);
		forget(st, REG(RBP));
		return st->r[RSP].kind == STACK;
	case EFFECT_MOVE:
		st->r[i->dst] = st->r[i->src];
		return i->dst != RSP || st->r[RSP].kind == STACK;
	case EFFECT_LEA:
		st->r[i->dst] = moved_by(st->r[i->src], i->imm);
		return i->dst != RSP || i->src == RSP || st->r[RSP].kind == STACK;
	case EFFECT_ADD:
		st->r[i->dst] = moved_by(st->r[i->dst], i->imm);
		return true;
	case EFFECT_SET:
		st->r[i->dst] = (struct val){ NUMBER, i->imm };
		return i->dst != RSP;
	case EFFECT_DOWN:
		forget(st, REG(i->dst));
		return true;
	}
	forget(st, wrote);
	return !(wrote & REG(RSP)) || i->flags & F_RET;
}

/* ---- where states meet ---------------------------------------------------- */

static bool meet(struct state *to, const struct state *st)
{
	bool changed = false;

	if (!to->seen) {
		memcpy(to->r, st->r, sizeof(to->r));
		to->seen = true;
		return true;
	}
	for (int r = 0; r < 16; r++) {
		struct val *v = &to->r[r];

		if (v->kind == ANY || (v->kind == st->r[r].kind && v->v == st->r[r].v))
			continue;
		*v = (struct val){ ANY, 0 };
		changed = true;
	}
	return changed;
}

static void go_to(struct walk *w, uint32_t k, const struct state *st)
{
	struct state *to;

	if (!w->index[k])
		return;
	to = &w->states[w->index[k] - 1];
	if (!meet(to, st) || to->queued)
		return;
	to->queued = true;
	w->queue[w->nr_queue++] = k;
}

static void branch(struct walk *w, const struct insn *i, const struct state *st)
{
	struct state at_entry = {};

	if (i->target < 0 || i->flags & F_CALL)
		return;
	at_entry.r[RSP] = st->r[RSP];
	go_to(w, i->target, i->flags & F_TAIL ? &at_entry : st);
}

/* From a leader to the next one; @judge: the last time, with what is decided. */
static void follow(struct walk *w, uint32_t k,
		   void (*judge)(struct module *m, struct insn *i, const struct state *st,
				 bool good))
{
	struct module *m = w->m;
	struct state st = w->states[w->index[k] - 1];

	for (;; k++) {
		struct insn *i = &m->insns[k];
		struct state before = st;
		bool good = effect(m, i, &st);

		if (judge)
			judge(m, i, &before, good);
		branch(w, i, &st);
		if (m->label_target[k] >= 0)
			go_to(w, m->label_target[k], &before);
		if (i->flags & F_STOP || k + 1 == m->nr_insns ||
		    (i[1].piece != i->piece))
			return;
		if (w->index[k + 1]) {
			go_to(w, k + 1, &st);
			return;
		}
	}
}

static void judge(struct module *m, struct insn *i, const struct state *st, bool good)
{
	struct val at = { ANY, 0 }, sp = st->r[RSP];
	int64_t from, len = i->size;

	if (!good && !i->why)
		i->why = WHY_STACK;
	if (i->cls == CLS_STRING || i->cls == CLS_REP)
		at = st->r[RDI];
	else if (i->cls == CLS_PLAIN && i->base >= 0 && i->index < 0 &&
		 !inl_disp_rel(m, i))
		at = st->r[i->base];
	if (i->cls == CLS_REP) {
		if (st->r[RCX].kind != NUMBER)
			return;
		len *= st->r[RCX].v;
	}
	if (at.kind != STACK || sp.kind != STACK)
		return;
	from = (int64_t)at.v + (i->cls == CLS_PLAIN ? i->disp : 0);
	if (from >= sp.v && from + len <= 0)
		i->cls = CLS_FRAME;
}

static int start(struct walk *w)
{
	struct module *m = w->m;
	struct state any = {}, entry = {};
	uint32_t nr = 0;

	entry.r[RSP].kind = STACK;
	for (uint32_t k = 0; k < m->nr_insns; k++)
		if (m->insns[k].flags & F_LEADER)
			w->index[k] = ++nr;
	w->states = calloc(nr + 1, sizeof(*w->states));
	w->queue = calloc(nr + 1, sizeof(*w->queue));
	if (!w->states || !w->queue)
		return -ENOMEM;
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		const struct insn *i = &m->insns[k];
		const struct piece *p = &m->pieces[i->piece];

		if (k == p->first && p->root && !p->cold)
			go_to(w, k, &entry);
		else if (i->mark & MARK_TAKEN)
			go_to(w, k, &any);
	}
	return 0;
}

int inl_frames(struct module *m)
{
	struct walk w = { .m = m };
	int err = -ENOMEM;

	w.index = calloc(m->nr_insns + 1, sizeof(*w.index));
	if (w.index)
		err = start(&w);
	while (!err && w.nr_queue) {
		uint32_t k = w.queue[--w.nr_queue];

		w.states[w.index[k] - 1].queued = false;
		follow(&w, k, NULL);
	}
	for (uint32_t k = 0; k < m->nr_insns && !err; k++)
		if (w.index[k] && w.states[w.index[k] - 1].seen)
			follow(&w, k, judge);
	free(w.index);
	free(w.states);
	free(w.queue);
	return err;
}
