// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: what is emitted before a store.
 *
 * Nothing else knows it; Documentation/inline.rst has it in assembler.  By which line of
 * the cache is asked is decided by the last byte, what has to be there by the first: a
 * store that crosses lines is never found, as a line's neighbour has another entry.
 */
#include <stdlib.h>

#include "inline.h"

#define SCRATCH		(REGS_ALL & ~(REG(RSP) | REG(RBP)))
#define LOOP_MAX	32	/* instructions; in longer ones a call counts for little */
#define ARRAY_OF_SCRATCH { RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11, RBX, R12, R13, R14, R15 }

/* ---- encoding ------------------------------------------------------------- */

static void put(struct emit *e, const void *data, uint32_t len)
{
	if (!e->err)
		e->err = bytes_put(e->out, data, len);
}

static void put1(struct emit *e, uint8_t v)
{
	put(e, &v, 1);
}

static void put4(struct emit *e, uint32_t v)
{
	put(e, &v, 4);
}

uint32_t emit_at(const struct emit *e)
{
	return e->out->nr;
}

static uint8_t rex(bool wide, int reg, int index, int base)
{
	return 0x40 | wide << 3 | (reg > 7) << 2 | (index > 7) << 1 | (base > 7);
}

/* A prefix only where one is needed; @wide: 64 bits. */
static void put_rex(struct emit *e, bool wide, int reg, int index, int base)
{
	uint8_t v = rex(wide, reg, index, base);

	if (v != 0x40)
		put1(e, v);
}

struct operand {
	int base, index;	/* -1: none */
	unsigned int scale;
	int32_t disp;
	bool wide_disp;		/* 4 bytes, whatever it is: to be relocated */
};

static unsigned int scale_bits(unsigned int scale)
{
	return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

/* ModRM, SIB, displacement. */
static void put_operand(struct emit *e, int reg, const struct operand *o)
{
	int index = o->index < 0 ? 4 : o->index & 7, mod;
	uint8_t field = (reg & 7) << 3;

	if (o->base < 0) {
		put1(e, field | 4);
		put1(e, scale_bits(o->scale) << 6 | index << 3 | 5);
		put4(e, o->disp);
		return;
	}
	mod = o->wide_disp ? 2 : !o->disp && (o->base & 7) != 5 ? 0 :
	      o->disp == (int8_t)o->disp ? 1 : 2;
	if (o->index >= 0 || (o->base & 7) == 4) {
		put1(e, mod << 6 | field | 4);
		put1(e, scale_bits(o->scale) << 6 | index << 3 | (o->base & 7));
	} else {
		put1(e, mod << 6 | field | (o->base & 7));
	}
	if (mod == 1)
		put1(e, o->disp);
	else if (mod == 2)
		put4(e, o->disp);
}

static void put_lea(struct emit *e, bool wide, int reg, const struct operand *o)
{
	put_rex(e, wide, reg, o->index < 0 ? 0 : o->index, o->base < 0 ? 0 : o->base);
	put1(e, 0x8d);
	put_operand(e, reg, o);
}

/* shl, shr, sar by @n: @ext 4, 5, 7. */
static void put_shift(struct emit *e, bool wide, int ext, int reg, int n)
{
	put_rex(e, wide, 0, 0, reg);
	put1(e, 0xc1);
	put1(e, 0xc0 | ext << 3 | (reg & 7));
	put1(e, n);
}

/* Of what is at @off of the runtime. */
void emit_call(struct emit *e, uint32_t off)
{
	put1(e, 0xe8);
	if (e->rel && !e->err)
		e->err = rels_add(e->rel, emit_at(e), R_X86_64_PLT32,
				  inl_section_symbol(e->m, e->m->runtime), (int64_t)off - 4);
	put4(e, 0);
}

static void put_call(struct emit *e, int slot)
{
	emit_call(e, slot * CHARIOT_INLINE_SLOT);
}

/* nopl with what the runtime is to know as its displacement */
static void put_number(struct emit *e, const struct insn *i)
{
	uint32_t op = CHARIOT_INLINE_NOP;

	put(e, &op, 3);
	put4(e, i->check << 8 | i->size);
}

/* ---- which registers -------------------------------------------------------- */

void check_plan(const struct insn *i, struct plan *p)
{
	static const uint8_t order[] = ARRAY_OF_SCRATCH;

	*p = (struct plan){ .a = -1, .b = -1 };
	if (i->cls == CLS_REP)
		return;
	p->save_flags = i->live & FLAGS_ALL;
	if (i->a != i->b) {
		p->a = i->a;
		p->b = i->b;
	}
	/* Free ones first; then any that the store does not need. */
	for (int save = 0; save < 2; save++) {
		for (size_t k = 0; k < sizeof(order) && p->b < 0; k++) {
			int r = order[k];

			if ((save ? i->use : i->use | i->live) & REG(r) || r == p->a)
				continue;
			if (p->a < 0) {
				p->a = r;
				p->save_a = save;
			} else {
				p->b = r;
				p->save_b = save;
			}
		}
	}
	p->pushed = p->save_a + p->save_b + p->save_flags;
}

bool check_has_registers(const struct insn *i)
{
	struct plan p;

	check_plan(i, &p);
	return i->cls == CLS_REP || p.b >= 0;
}

/* ---- the check ---------------------------------------------------------------- */

static void row(struct emit *e, const struct insn *i, unsigned int pushed)
{
	uint32_t sec = e->m->pieces[i->piece].new_sec;

	if (e->orc && !e->err)
		e->err = orc_add(e->orc, sec, emit_at(e), i, pushed);
}

static void put_push(struct emit *e, const struct insn *i, int reg, unsigned int *n)
{
	put_rex(e, false, 0, 0, reg);
	put1(e, 0x50 | (reg & 7));
	row(e, i, ++*n);
}

static void put_pop(struct emit *e, const struct insn *i, int reg, unsigned int *n)
{
	put_rex(e, false, 0, 0, reg);
	put1(e, 0x58 | (reg & 7));
	row(e, i, --*n);
}

static void save(struct emit *e, const struct insn *i, const struct plan *p)
{
	unsigned int n = 0;

	if (p->save_a)
		put_push(e, i, p->a, &n);
	if (p->save_b)
		put_push(e, i, p->b, &n);
	if (p->save_flags) {
		put1(e, 0x9c);
		row(e, i, ++n);
	}
}

static void restore(struct emit *e, const struct insn *i, const struct plan *p)
{
	unsigned int n = p->pushed;

	if (p->save_flags) {
		put1(e, 0x9d);
		row(e, i, --n);
	}
	if (p->save_b)
		put_pop(e, i, p->b, &n);
	if (p->save_a)
		put_pop(e, i, p->a, &n);
}

/* The store's operand, as it is with @p's words on the stack. */
static void put_address_of(struct emit *e, const struct insn *i, const struct plan *p,
			   int reg)
{
	const struct rel *r = inl_disp_rel(e->m, i);
	struct operand o = { i->base, i->index, i->scale, i->disp, r };
	struct place to;
	uint32_t field;

	if (i->base == RSP)
		o.disp += 8 * p->pushed;
	if (i->flags & F_RIP) {
		put_rex(e, true, reg, 0, 0);
		put1(e, 0x8d);
		put1(e, (reg & 7) << 3 | 5);
		put4(e, r ? 0 : i->disp);
	} else {
		put_lea(e, true, reg, &o);
	}
	if (!e->rel || e->err || (!r && !(i->flags & F_RIP)))
		return;
	field = emit_at(e) - 4;
	if (!r) {		/* to the same section, by a distance that was known */
		struct rel own = { .type = R_X86_64_PC32 };

		to = inl_moved(e->m, (struct place){ i->sec, i->off + i->len + i->disp },
			       false);
		memset(e->out->v + field, 0, 4);
		e->err = inl_put_rel(e->m, e->rel, &own, field, to, -4);
	} else if (i->flags & F_RIP) {
		e->err = rels_add(e->rel, field, r->type, e->m->syms[r->sym].ndx,
				  r->add + (i->len - i->disp_at) - 4);
	} else {
		e->err = rels_add(e->rel, field, r->type, e->m->syms[r->sym].ndx, r->add);
	}
}

/* A bit's word: the register has the bit, signed. */
static void put_bit_address(struct emit *e, const struct insn *i, const struct plan *p)
{
	bool wide = i->size == 8;
	struct operand o = { p->b, p->a, i->size, 0, false };

	put_address_of(e, i, p, p->b);
	put_rex(e, true, p->a, 0, i->bit_reg);
	put1(e, wide ? 0x8b : 0x63);		/* mov, movslq */
	put1(e, 0xc0 | (p->a & 7) << 3 | (i->bit_reg & 7));
	put_shift(e, true, 7, p->a, wide ? 6 : 5);
	put_lea(e, true, p->a, &o);
}

static void put_address(struct emit *e, const struct insn *i, const struct plan *p)
{
	struct operand this_cpu = { -1, -1, 1, e->m->opts.this_cpu_off, false };
	struct operand string = { RDI, -1, 1, 0, false };

	switch (i->cls) {
	case CLS_BIT:
		put_bit_address(e, i, p);
		break;
	case CLS_STRING:
		put_lea(e, true, p->a, &string);
		break;
	case CLS_GS:
		put_address_of(e, i, p, p->a);
		put1(e, 0x65);			/* add %gs:this_cpu_off, A */
		put_rex(e, true, p->a, 0, 0);
		put1(e, 0x03);
		put_operand(e, p->a, &this_cpu);
		break;
	default:
		put_address_of(e, i, p, p->a);
	}
}

static unsigned int log2_of(uint32_t v)
{
	return 31 - __builtin_clz(v);
}

/* The entry's number, by the last byte. */
static void put_index(struct emit *e, const struct plan *p, unsigned int size)
{
	unsigned int bits = log2_of(e->m->opts.cache_lines);
	struct operand last = { p->a, -1, 1, size - 1, false };

	put_lea(e, false, p->b, &last);
	put_shift(e, false, 4, p->b, 32 - 6 - bits);
	put_shift(e, false, 5, p->b, 32 - bits);
}

/* cmp, or mov, cache(, B, 8), @reg */
static void put_entry(struct emit *e, uint8_t op, int reg, const struct plan *p)
{
	struct operand entry = { -1, p->b, 8, 0, true };

	put_rex(e, true, reg, p->b, 0);
	put1(e, op);
	put_operand(e, reg, &entry);
	if (e->rel && !e->err)
		e->err = rels_add(e->rel, emit_at(e) - 4, R_X86_64_32S,
				  inl_section_symbol(e->m, e->m->cache), 0);
}

static void put_lookup(struct emit *e, const struct plan *p, unsigned int size)
{
	put_index(e, p, size);
	put_rex(e, true, 0, 0, p->a);		/* or $63, A */
	put1(e, 0x83);
	put1(e, 0xc8 | (p->a & 7));
	put1(e, CHARIOT_INLINE_LINE - 1);
	put_entry(e, 0x3b, p->a, p);
}

/* ---- lookups that checks share -------------------------------------------------- */

/* je, jne: 4, 5 */
static void put_miss(struct emit *e, uint8_t condition, const struct plan *p)
{
	put1(e, 0x0f);
	put1(e, 0x80 | condition);
	put4(e, p->a * CHARIOT_INLINE_SLOT - (e->m->lookups_at + emit_at(e) + 4));
}

/*
 * The same with A kept; as a function, which goes on at A's slot if it finds nothing.  An
 * entry of 0 is none of line 0.
 */
static void put_shared(struct emit *e, const struct plan *p, unsigned int size)
{
	put_index(e, p, size);
	put_entry(e, 0x8b, p->b, p);
	put_rex(e, true, p->b, 0, p->b);	/* test B, B */
	put1(e, 0x85);
	put1(e, 0xc0 | (p->b & 7) << 3 | (p->b & 7));
	put_miss(e, 4, p);
	put_rex(e, true, p->a, 0, p->b);	/* xor A, B */
	put1(e, 0x31);
	put1(e, 0xc0 | (p->a & 7) << 3 | (p->b & 7));
	put_shift(e, true, 5, p->b, log2_of(CHARIOT_INLINE_LINE));
	put_miss(e, 5, p);
	put(e, "\xc3\xcc\xcc\xcc\xcc", 5);	/* ret, or jmp: runtime.c */
}

static const struct lookup *find_lookup(const struct module *m, const struct plan *p,
					unsigned int size)
{
	for (uint32_t n = 0; n < m->nr_lookups; n++) {
		const struct lookup *l = &m->lookups[n];

		if (l->a == p->a && l->b == p->b && l->size == size)
			return l;
	}
	return NULL;
}

static int add_lookup(struct module *m, const struct plan *p, unsigned int size)
{
	struct emit e = { .m = m, .out = &m->lookup_code, .rel = &m->lookup_rels };
	struct lookup *v;

	if (find_lookup(m, p, size))
		return 0;
	v = reallocarray(m->lookups, m->nr_lookups + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	m->lookups = v;
	v += m->nr_lookups++;
	*v = (struct lookup){ .a = p->a, .b = p->b, .size = size, .off = emit_at(&e) };
	put_shared(&e, p, size);
	v->end = emit_at(&e);
	return e.err;
}

static bool is_shared(const struct insn *i)
{
	return i->flags & F_CHECK && i->cls != CLS_REP && !(i->flags & F_LOOP);
}

/* Pairs of registers that are free at @i, of which either has the address. */
static bool is_free(const struct insn *i, int a, int b)
{
	uint32_t pair = REG(a) | REG(b);

	return a < b && (SCRATCH & ~(i->use | i->live) & pair) == pair;
}

/* Those that are free at most checks of that size, so that few lookups are needed. */
static int pick_registers(struct module *m)
{
	uint32_t (*fit)[256] = calloc(256, sizeof(*fit));

	if (!fit)
		return -ENOMEM;
	for (uint32_t k = 0; k < m->nr_insns; k++)
		for (int n = 0; is_shared(&m->insns[k]) && n < 256; n++)
			fit[m->insns[k].size][n] += is_free(&m->insns[k], n & 15, n >> 4);
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		struct insn *i = &m->insns[k];
		uint32_t best = 0;

		for (int n = 0; is_shared(i) && n < 256; n++)
			if (fit[i->size][n] > best && is_free(i, n & 15, n >> 4)) {
				best = fit[i->size][n];
				i->a = n & 15;
				i->b = n >> 4;
			}
	}
	free(fit);
	return 0;
}

/* What is between a jump back and where it goes, if that is short and has no call. */
static int mark_loops(struct module *m)
{
	uint32_t *calls = calloc(m->nr_insns + 2, sizeof(*calls));
	int32_t *loops = calloc(m->nr_insns + 2, sizeof(*loops)), depth = 0;
	int err = calls && loops ? 0 : -ENOMEM;

	for (uint32_t k = 0; k < m->nr_insns && !err; k++) {
		const struct insn *i = &m->insns[k];
		uint32_t to = i->target;

		calls[k + 1] = calls[k] + !!(i->flags & F_CALL);
		if (i->target < 0 || to > k || k - to >= LOOP_MAX || i->flags & (F_CALL | F_TAIL) ||
		    m->insns[to].piece != i->piece || calls[k] != calls[to])
			continue;
		loops[to]++;
		loops[k + 1]--;
	}
	for (uint32_t k = 0; k < m->nr_insns && !err; k++) {
		depth += loops[k];
		m->insns[k].flags |= depth ? F_LOOP : 0;
	}
	free(calls);
	free(loops);
	return err;
}

int inl_lookups(struct module *m)
{
	int err = mark_loops(m) ?: pick_registers(m);

	for (uint32_t k = 0; k < m->nr_insns && !err; k++) {
		const struct insn *i = &m->insns[k];
		struct plan p;

		if (!is_shared(i))
			continue;
		check_plan(i, &p);
		err = add_lookup(m, &p, i->size);
	}
	return err;
}

/* ---- one check --------------------------------------------------------------------- */

void check_emit(struct emit *e, const struct insn *i)
{
	struct chariot_inline_check *c = e->rel ? &e->m->checks[i->check] : NULL;
	struct plan p;

	check_plan(i, &p);
	if (i->cls == CLS_REP) {
		put_call(e, CHARIOT_INLINE_RANGE);
		if (c)
			c->slow = emit_at(e);
		put_number(e, i);
		return;
	}
	save(e, i, &p);
	put_address(e, i, &p);
	if (is_shared(i)) {
		emit_call(e, e->m->lookups_at + find_lookup(e->m, &p, i->size)->off);
		if (c)
			c->slow = emit_at(e);
		put_number(e, i);
	} else {
		put_lookup(e, &p, i->size);
		put1(e, 0x0f);			/* jne */
		put1(e, 0x85);
		put4(e, i->slow - (emit_at(e) + 4));
	}
	if (c) {
		c->start = emit_at(e);		/* for now: where the slow part returns to */
		c->pushed = p.pushed;
	}
	restore(e, i, &p);
}

/* Without the store: what was saved, and on behind it. */
static void put_skip(struct emit *e, const struct insn *i, const struct plan *p,
		     struct chariot_inline_check *c)
{
	const struct piece *pc = &e->m->pieces[i->piece];
	bool last = i + 1 == e->m->insns + pc->first + pc->nr;

	if (c)
		c->skip = emit_at(e);
	restore(e, i, p);
	put1(e, 0xe9);
	put4(e, (last ? pc->body_end : i[1].stub) - (emit_at(e) + 4));
}

bool check_has_slow(const struct insn *i)
{
	struct plan p;

	if (!(i->flags & F_CHECK) || i->cls == CLS_REP)
		return false;
	check_plan(i, &p);
	return !is_shared(i) || p.pushed;
}

void check_emit_slow(struct emit *e, const struct insn *i)
{
	struct chariot_inline_check *c = e->rel ? &e->m->checks[i->check] : NULL;
	struct plan p;

	check_plan(i, &p);
	row(e, i, p.pushed);
	if (!is_shared(i)) {
		put_address(e, i, &p);
		put_call(e, p.a);
		if (c)
			c->slow = emit_at(e);
		put_number(e, i);
		put1(e, 0xe9);
		put4(e, c ? c->start - (emit_at(e) + 4) : 0);
	}
	if (p.pushed)
		put_skip(e, i, &p, c);
}
