// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: which stores are provably to the function's own frame; and where RSP is
 * not known to be in it: nobody checks what is pushed.
 *
 * Forwards from each function's entry: what registers, and what was saved in the frame,
 * have in common with what registers had there.
 */
#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "inline.h"

enum kind {
	ANY,
	NUMBER,
	STACK,		/* RSP at entry, and a distance */
	LOW,		/* RSP as it was aligned last, somewhere below, and a distance */
	SAVED,		/* what a register that calls keep had at entry */
};

#define V_MAX	((1 << 27) - 1)

/*
 * @loaded: read back from the frame, where others may have written.  What was saved is
 * taken to be there still when RSP is made of it, as a return address is, and what a call
 * has saved; but no store goes unchecked by it.
 */
struct val {
	unsigned int kind : 3, loaded : 1;
	signed int v : 28;
};

#define SLOTS	12

struct state {
	struct val r[16];
	struct slot { struct val at, is; } slot[SLOTS];	/* words of the frame */
	bool seen, queued;
};

struct walk {
	struct module *m;
	uint32_t *index;	/* by instruction: its state + 1, for leaders */
	struct state *states;
	uint32_t *queue, nr_queue, nr_states;
	bool *loses;		/* by piece: registers that a call should keep */
};

static const struct val any;

static struct val make_val(enum kind kind, int64_t v)
{
	return v < -V_MAX || v > V_MAX ? any : (struct val){ .kind = kind, .v = v };
}

static bool on_stack(struct val v)
{
	return v.kind == STACK || v.kind == LOW;
}

static bool same(struct val a, struct val b)
{
	return a.kind == b.kind && a.v == b.v;
}

static struct val moved_by(struct val v, int64_t by)
{
	struct val to = on_stack(v) ? make_val(v.kind, v.v + by) : any;

	to.loaded = v.loaded;
	return to;
}

static void forget(struct state *st, uint32_t regs)
{
	for (int r = 0; r < 16; r++)
		if (regs & REG(r))
			st->r[r] = any;
}

static struct state at_entry(void)
{
	struct state st = {};

	for (int r = 0; r < 16; r++)
		if (REGS_CALLEE & REG(r))
			st.r[r] = make_val(SAVED, r);
	st.r[RSP] = make_val(STACK, 0);
	return st;
}

/* ---- the frame ------------------------------------------------------------ */

/* [@at, @at + @len) is written.  What was aligned last is below all that was saved before. */
static void overwrite(struct state *st, struct val at, int64_t len)
{
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &st->slot[i];
		bool hit = s->at.kind == at.kind ? s->at.v < at.v + len && at.v < s->at.v + 8 :
			   at.kind == STACK ? at.v < 0 : at.v + len > 0;

		if (hit)
			*s = (struct slot){};
	}
}

static void save(struct state *st, struct val at, struct val is)
{
	overwrite(st, at, 8);
	if (is.kind < STACK)
		return;
	for (int i = 0; i < SLOTS; i++)
		if (st->slot[i].at.kind == ANY) {
			st->slot[i] = (struct slot){ at, is };
			return;
		}
}

static struct val load(const struct state *st, struct val at)
{
	struct val is = any;

	for (int i = 0; i < SLOTS && on_stack(at); i++)
		if (same(st->slot[i].at, at))
			is = st->slot[i].is;
	is.loaded = true;
	return is;
}

/* What is below RSP is nobody's. */
static void set_sp(struct state *st, struct val sp)
{
	st->r[RSP] = sp;
	for (int i = 0; i < SLOTS; i++) {
		struct val at = st->slot[i].at;

		if (sp.kind == ANY || (sp.kind == STACK && at.kind == LOW) ||
		    (sp.kind == at.kind && at.v < sp.v))
			st->slot[i] = (struct slot){};
	}
}

static void set(struct state *st, int r, struct val v)
{
	if (r == RSP)
		set_sp(st, v);
	else if (r < 16)
		st->r[r] = v;
}

/* RSP aligned: what was counted from where it was aligned before is not known any more. */
static void align(struct state *st)
{
	struct val low = on_stack(st->r[RSP]) ? make_val(LOW, 0) : any;

	low.loaded = st->r[RSP].loaded;
	for (int r = 0; r < 16; r++)
		if (st->r[r].kind == LOW)
			st->r[r] = any;
	for (int i = 0; i < SLOTS; i++)
		if (st->slot[i].at.kind == LOW || st->slot[i].is.kind == LOW)
			st->slot[i] = (struct slot){};
	set_sp(st, low);
}

/* Where a store goes, and how far; false: nobody knows. */
static bool store_at(const struct module *m, const struct insn *i, const struct state *st,
		     struct val *at, int64_t *len)
{
	*at = any;
	*len = i->size;
	if (i->cls == CLS_STRING || i->cls == CLS_REP)
		*at = st->r[RDI];
	else if ((i->cls == CLS_PLAIN || i->cls == CLS_FRAME) && i->base >= 0 &&
		 i->index < 0 && !inl_disp_rel(m, i))
		*at = moved_by(st->r[i->base], i->disp);
	if (i->cls == CLS_REP) {
		if (st->r[RCX].kind != NUMBER)
			return false;
		*len *= st->r[RCX].v;
	}
	return on_stack(*at);
}

/* ---- one instruction ------------------------------------------------------ */

/* What ftrace has is by the rules of C.  The rest may be assembler, with rules of its own. */
static bool loses(const struct walk *w, int32_t k)
{
	const struct piece *p = &w->m->pieces[w->m->insns[k].piece];

	return (!p->compiled || p->cold) && w->loses[p - w->m->pieces];
}

static uint32_t lost_in_call(const struct walk *w, const struct insn *i)
{
	const struct module *m = w->m;

	if (i->target >= 0 && (loses(w, i->target) || i->target !=
			       (int32_t)m->pieces[m->insns[i->target].piece].first))
		return REGS_ALL & ~REG(RSP);
	return REGS_ALL & ~REGS_CALLEE;
}

static void effect(const struct walk *w, const struct insn *i, struct state *st)
{
	struct val sp = st->r[RSP], v, at;
	int64_t len;

	if (i->flags & F_CALL) {
		forget(st, lost_in_call(w, i));
		return;
	}
	if (i->flags & F_RET)
		return;
	switch (i->effect) {
	case EFFECT_PUSH:
		v = i->src < 16 ? st->r[i->src] : any;
		set_sp(st, moved_by(sp, -8));
		if (on_stack(sp))
			save(st, st->r[RSP], v);
		return;
	case EFFECT_POP:
		v = load(st, sp);
		forget(st, i->wrote & ~REG(RSP));
		set_sp(st, moved_by(sp, 8));
		set(st, i->dst, v);
		return;
	case EFFECT_LEAVE:
		v = load(st, st->r[RBP]);
		set_sp(st, moved_by(st->r[RBP], 8));
		st->r[RBP] = v;
		return;
	case EFFECT_MOVE:
		set(st, i->dst, st->r[i->src]);
		return;
	case EFFECT_LEA:
		set(st, i->dst, moved_by(st->r[i->src], i->imm));
		return;
	case EFFECT_ADD:
		set(st, i->dst, moved_by(st->r[i->dst], i->imm));
		return;
	case EFFECT_SET:
		set(st, i->dst, make_val(NUMBER, i->imm));
		return;
	case EFFECT_LOAD:
		set(st, i->dst, load(st, moved_by(st->r[i->src], i->imm)));
		return;
	case EFFECT_ALIGN:
		if (i->dst == RSP)
			align(st);
		else
			forget(st, i->wrote);
		return;
	}
	if (store_at(w->m, i, st, &at, &len) && !at.loaded) {
		if (i->effect == EFFECT_STORE)
			save(st, at, st->r[i->src]);
		else
			overwrite(st, at, len);
	}
	forget(st, i->wrote & ~REG(RSP));
	if (i->wrote & REG(RSP))
		set_sp(st, any);
}

/* ---- where states meet ---------------------------------------------------- */

static bool meet_val(struct val *to, struct val v)
{
	if (same(*to, v) && to->loaded >= v.loaded)
		return false;
	if (same(*to, v))
		to->loaded = true;
	else if (to->kind == ANY)
		return false;
	else
		*to = any;
	return true;
}

static bool meet(struct state *to, const struct state *st)
{
	bool changed = false;

	if (!to->seen) {
		memcpy(to->r, st->r, sizeof(to->r));
		memcpy(to->slot, st->slot, sizeof(to->slot));
		to->seen = true;
		return true;
	}
	for (int r = 0; r < 16; r++)
		changed |= meet_val(&to->r[r], st->r[r]);
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &to->slot[i];

		if (s->at.kind == ANY)
			continue;
		changed |= meet_val(&s->is, load(st, s->at));
		if (s->is.kind == ANY)
			*s = (struct slot){};
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
	if (i->target >= 0 && !(i->flags & (F_CALL | F_TAIL)))
		go_to(w, i->target, st);
}

typedef void (*look_fn)(struct walk *w, struct insn *i, const struct state *st,
			const struct state *after);

/* From a leader to the next one; @look: the last time, with what is known. */
static void follow(struct walk *w, uint32_t k, look_fn look)
{
	struct module *m = w->m;
	struct state st = w->states[w->index[k] - 1];

	for (;; k++) {
		struct insn *i = &m->insns[k];
		struct state before = st;

		effect(w, i, &st);
		if (look)
			look(w, i, &before, &st);
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

static void look_at_all(struct walk *w, look_fn look)
{
	for (uint32_t k = 0; k < w->m->nr_insns; k++)
		if (w->index[k] && w->states[w->index[k] - 1].seen)
			follow(w, k, look);
}

/* ---- what is decided ------------------------------------------------------ */

/* What is pushed, here or by whoever is called, goes below what was there at entry. */
static bool good_stack(const struct insn *i, struct val sp, struct val after)
{
	if ((i->effect == EFFECT_PUSH || i->flags & (F_CALL | F_TAIL)) &&
	    (!on_stack(sp) || (sp.kind == STACK && sp.v > 0)))
		return false;
	return i->flags & F_RET || on_stack(after) || sp.kind == ANY;
}

static void judge(struct walk *w, struct insn *i, const struct state *st,
		  const struct state *after)
{
	struct val at, sp = st->r[RSP];
	int64_t len;

	if (!good_stack(i, sp, after->r[RSP]) && !i->why)
		i->why = WHY_STACK;
	if (needs_check(i->cls) && store_at(w->m, i, st, &at, &len) && !at.loaded &&
	    !sp.loaded && at.kind == sp.kind && at.v >= sp.v && at.v + len <= 0)
		i->cls = CLS_FRAME;
}

/* ---- functions that keep to the rules of C, without ftrace's word for it ------ */

static bool intact(const struct state *st)
{
	for (int r = 0; r < 16; r++)
		if (REGS_CALLEE & REG(r) && r != RSP && !same(st->r[r], make_val(SAVED, r)))
			return false;
	return same(st->r[RSP], make_val(STACK, 0));
}

static bool runs_on(const struct module *m, const struct insn *i)
{
	const struct piece *p = &m->pieces[i->piece];

	return i == &m->insns[p->first + p->nr - 1] && !(i->flags & (F_STOP | F_CALL)) &&
	       i->mnemonic != ZYDIS_MNEMONIC_UD2;
}

/* Does it leave with what it was entered with?  Where it goes is asked in its turn. */
static void look_at_kept(struct walk *w, struct insn *i, const struct state *st,
			 const struct state *after)
{
	const struct module *m = w->m;
	int32_t to = i->flags & F_CALL ? -1 : i->target, label = m->label_target[i - m->insns];

	if ((i->flags & (F_RET | F_TAIL) && !intact(st)) || runs_on(m, i) ||
	    i->flags & F_INTO || (i->flags & F_JMP && i->flags & F_INDIRECT) ||
	    (to >= 0 && loses(w, to)) || (label >= 0 && loses(w, label)))
		w->loses[i->piece] = true;
}

static uint32_t nr_losing(const struct walk *w)
{
	uint32_t nr = 0;

	for (uint32_t n = 0; n < w->m->nr_pieces; n++)
		nr += w->loses[n];
	return nr;
}

/* ---- all of it -------------------------------------------------------------- */

static int start(struct walk *w)
{
	struct module *m = w->m;

	for (uint32_t k = 0; k < m->nr_insns; k++)
		if (m->insns[k].flags & F_LEADER)
			w->index[k] = ++w->nr_states;
	w->states = calloc(w->nr_states + 1, sizeof(*w->states));
	w->queue = calloc(w->nr_states + 1, sizeof(*w->queue));
	return w->states && w->queue ? 0 : -ENOMEM;
}

/*
 * A label in a function of C, whose address somebody has, is gone to from there only: by
 * a jump that nobody knows, for which refuse.c refuses it.
 */
static void walk(struct walk *w)
{
	struct state unknown = {}, entry = at_entry();
	struct module *m = w->m;

	memset(w->states, 0, w->nr_states * sizeof(*w->states));
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		const struct insn *i = &m->insns[k];
		const struct piece *p = &m->pieces[i->piece];

		if (k == p->first && p->root && !p->cold)
			go_to(w, k, &entry);
		else if (i->flags & F_CALLED || (i->mark & MARK_TAKEN && !p->compiled))
			go_to(w, k, &unknown);
	}
	while (w->nr_queue) {
		uint32_t k = w->queue[--w->nr_queue];

		w->states[w->index[k] - 1].queued = false;
		follow(w, k, NULL);
	}
}

/* All functions keep what calls keep, until one is seen that does not. */
static void walk_all(struct walk *w)
{
	uint32_t nr;

	do {
		nr = nr_losing(w);
		walk(w);
		look_at_all(w, look_at_kept);
	} while (nr_losing(w) != nr);
}

int inl_frames(struct module *m)
{
	struct walk w = { .m = m };
	int err = -ENOMEM;

	w.index = calloc(m->nr_insns + 1, sizeof(*w.index));
	w.loses = calloc(m->nr_pieces + 1, sizeof(*w.loses));
	if (w.index && w.loses)
		err = start(&w);
	if (!err) {
		walk_all(&w);
		look_at_all(&w, judge);
	}
	free(w.index);
	free(w.loses);
	free(w.states);
	free(w.queue);
	return err;
}
