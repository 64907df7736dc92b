// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: what the image has of the runtime (runtime-code.S), and what calls it but
 * checks: the driver's functions that the kernel may call, and calls of the kernel's.
 */
#include <stdlib.h>

#include "inline.h"
#include "runtime.h"

static uint32_t rt_len(void)
{
	return inl_rt_end - inl_rt;
}

/* ---- calls of the kernel ----------------------------------------------------- */

/* Not functions of the kernel's that do something for a driver. */
static bool has_no_gate(const char *name)
{
	static const char *const names[] = {
		"__x86_", "__fentry__", "__stack_chk_fail", "__SC", "__get_user_",
		"__put_user_", "__sanitizer_", "__asan_", "__tsan_",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return !*name;
}

/* The symbol that @i calls or jumps to, if that may have a gate; 0. */
static uint32_t callee(const struct module *m, const struct insn *i)
{
	const struct rel *r = inl_branch_rel(m, i);

	if (!r || m->syms[r->sym].s.st_shndx != SHN_UNDEF || i->imm_len != 4 || r->add != -4 ||
	    r->type == R_X86_64_NONE || m->pieces[i->piece].why ||
	    i->mark & (MARK_PATCHED | MARK_INSIDE | MARK_STATIC | MARK_JUMP | MARK_FENTRY) ||
	    has_no_gate(m->syms[r->sym].name))
		return 0;
	return r->sym;
}

uint32_t inl_gate(const struct module *m, const struct insn *i)
{
	return m->gate_of[callee(m, i)];
}

static int find_gates(struct module *m)
{
	uint32_t nr = 0;

	m->gate_of = calloc(m->nr_syms, sizeof(*m->gate_of));
	if (!m->gate_of)
		return -ENOMEM;
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		uint32_t sym = callee(m, &m->insns[k]);

		if (sym && !m->gate_of[sym])
			m->gate_of[sym] = ++nr;
	}
	m->gates = calloc(nr + 1, sizeof(*m->gates));
	if (!m->gates)
		return -ENOMEM;
	m->nr_gates = nr;
	m->lookups_at = rt_len() + nr * (CHARIOT_INLINE_SLOT + RT_BODY);
	for (uint32_t s = 0; s < m->nr_syms; s++) {
		uint32_t n = m->gate_of[s] - 1;

		if (m->gate_of[s])
			m->gates[n] = (struct gate){
				s, rt_len() + n * CHARIOT_INLINE_SLOT,
				rt_len() + nr * CHARIOT_INLINE_SLOT + n * RT_BODY };
	}
	return 0;
}

/* ---- calls by the kernel -------------------------------------------------------- */

static bool is_init_or_exit(const struct module *m, const struct piece *p)
{
	for (uint32_t i = m->first_global; i < m->nr_syms; i++) {
		const struct symbol *y = &m->syms[i];

		if (y->s.st_shndx == p->sec && y->s.st_value == p->off &&
		    (!strcmp(y->name, "init_module") || !strcmp(y->name, "cleanup_module")))
			return true;
	}
	return false;
}

/* Behind what the kernel may replace at the beginning: endbr64, and what ftrace has. */
static void find_entry(const struct module *m, struct piece *p)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const struct insn *i = &m->insns[p->first];

	p->enter = p->taken && !p->gap && !p->cold && !p->why && p->nr;
	if (!p->enter)
		return;
	p->enter_asks = is_init_or_exit(m, p);
	if (p->nr > 1 && i->len == 4 && !memcmp(m->secs[i->sec].data + i->off, endbr, 4)) {
		p->enter_after = 4;
		i++;
	}
	if (p->nr > (uint32_t)(i + 1 - &m->insns[p->first]) && i->mark & MARK_FENTRY && i->len == 5)
		p->enter_after += 5;
}

void enter_emit(struct emit *e, const struct piece *p)
{
	static const uint8_t slot[] = { [0] = 0, [4] = 1, [5] = 2, [9] = 3 };

	emit_call(e, RT_ENTER + CHARIOT_INLINE_SLOT *
		     (slot[p->enter_after] + (p->enter_asks ? 4 : 0)));
}

int inl_gates(struct module *m)
{
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		find_entry(m, &m->pieces[n]);
	return find_gates(m);
}

/* ---- how it returns ------------------------------------------------------------------ */

/* As the module does. */
static void find_thunk(struct module *m)
{
	for (uint32_t i = 1; i < m->old_secs; i++) {
		const struct sec *s = &m->secs[i];

		if (inl_name_is(s, ".return_sites") && s->data && s->rela && s->size % 4 == 0)
			m->return_sites = i;
	}
	for (uint32_t i = 1; i < m->nr_syms && m->return_sites; i++)
		if (m->syms[i].s.st_shndx == SHN_UNDEF &&
		    !strcmp(m->syms[i].name, "__x86_return_thunk"))
			m->thunk = i;
}

/* The kernel replaces them by what the processor needs. */
int inl_returns(struct module *m)
{
	struct sec *s = &m->secs[m->return_sites];
	int err = 0;

	if (!m->returns.nr)
		return 0;
	err = bytes_put(&s->out, s->data, s->size);
	s->changed = true;
	for (uint32_t i = 0; i < m->returns.nr && !err; i++) {
		err = rels_add(&s->rel_out, s->out.nr, R_X86_64_PC32,
			       inl_section_symbol(m, m->runtime), m->returns.v[i].off);
		if (!err)
			err = bytes_fill(&s->out, 0, 4);
	}
	return err;
}

static int put_return(struct module *m, uint32_t at)
{
	struct sec *s = &m->secs[m->runtime];
	int err;

	if (!m->thunk)
		return 0;
	s->out.v[at - 1] = 0xe9;
	memset(s->out.v + at, 0, 4);
	err = rels_add(&m->returns, at - 1, 0, 0, 0);
	return err ?: rels_add(&s->rel_out, at, R_X86_64_PLT32, m->syms[m->thunk].ndx, -4);
}

/* ---- the code ---------------------------------------------------------------------- */

static int fill(struct module *m, const struct rt_fix *f, uint32_t at, uint32_t gate)
{
	struct sec *s = &m->secs[m->runtime];
	uint32_t value = 0;
	int err = 0;

	switch (f->kind) {
	case RT_RETURN:
		return put_return(m, at);
	case RT_DATA:
		err = rels_add(&s->rel_out, at, R_X86_64_32S,
			       inl_section_symbol(m, m->own_data), 0);
		break;
	case RT_CACHE:
		err = rels_add(&s->rel_out, at, R_X86_64_32S,
			       inl_section_symbol(m, m->cache), 0);
		break;
	case RT_LINES:
		value = m->opts.cache_lines - 1;
		break;
	case RT_RUNTIME:
		value = f->value - (at + 4);
		break;
	case RT_GATE:
		value = gate;
		break;
	case RT_SYMBOL:
		err = rels_add(&s->rel_out, at, R_X86_64_PLT32,
			       m->syms[m->gates[gate].sym].ndx, -4);
		break;
	}
	memcpy(s->out.v + at, &value, 4);
	return err;
}

/* Of the part of the runtime that is copied to @at. */
static int fill_all(struct module *m, uint32_t from, uint32_t to, uint32_t at, uint32_t gate)
{
	int err = 0;

	for (const struct rt_fix *f = inl_rt_fixes; f < inl_rt_fixes_end && !err; f++)
		if (f->off >= from && f->off < to)
			err = fill(m, f, at + f->off - from, gate);
	return err;
}

static int put_slot(struct module *m, const struct gate *g)
{
	struct sec *s = &m->secs[m->runtime];
	int err = rels_add(&s->rel_out, g->slot + 1, R_X86_64_PLT32, m->syms[g->sym].ndx, -4);

	if (!err)
		err = bytes_put(&s->out, "\xe9\0\0\0\0", 5);
	return err ?: bytes_fill(&s->out, 0xcc, CHARIOT_INLINE_SLOT - 5);
}

/* What looks at the cache: check.c has made it. */
static int put_lookups(struct module *m)
{
	struct sec *s = &m->secs[m->runtime];
	int err = bytes_put(&s->out, m->lookup_code.v, m->lookup_code.nr);

	for (uint32_t i = 0; i < m->lookup_rels.nr && !err; i++) {
		const struct rel *r = &m->lookup_rels.v[i];

		err = rels_add(&s->rel_out, m->lookups_at + r->off, r->type, r->sym, r->add);
	}
	for (uint32_t n = 0; n < m->nr_lookups && !err; n++)
		err = put_return(m, m->lookups_at + m->lookups[n].end - 4);
	return err;
}

int inl_runtime(struct module *m)
{
	struct bytes *b = &m->secs[m->runtime].out;
	uint32_t len = rt_len();
	int err = bytes_put(b, inl_rt, len);

	find_thunk(m);
	if (!err)
		err = fill_all(m, 0, len, 0, 0);
	for (uint32_t n = 0; n < m->nr_gates && !err; n++)
		err = put_slot(m, &m->gates[n]);
	for (uint32_t n = 0; n < m->nr_gates && !err; n++) {
		err = bytes_put(b, inl_rt_body, RT_BODY);
		if (!err)
			err = fill_all(m, len, len + RT_BODY, m->gates[n].body, n);
	}
	return err ?: put_lookups(m);
}

/* ---- what is told of it ---------------------------------------------------------------- */

static int tell_entries(struct module *m, struct chariot_inline_layout *l)
{
	struct chariot_inline_entry *v = calloc(m->nr_pieces + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->entries = v;
	for (uint32_t n = 0; n < m->nr_pieces; n++) {
		const struct piece *p = &m->pieces[n];

		if (p->enter)
			v[l->nr_entries++] = (struct chariot_inline_entry){
				.sec = p->new_sec, .off = p->start,
				.call = p->start + p->enter_after, .asks = p->enter_asks };
	}
	return 0;
}

int inl_told(struct module *m)
{
	struct chariot_inline_layout *l = &m->layout;
	struct chariot_inline_gate *v = calloc(m->nr_gates + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->gates = v;
	l->nr_gates = m->nr_gates;
	for (uint32_t n = 0; n < m->nr_gates; n++) {
		const struct gate *g = &m->gates[n];

		v[n] = (struct chariot_inline_gate){ strdup(m->syms[g->sym].name), g->slot,
						     g->body };
		if (!v[n].name)
			return -ENOMEM;
	}
	l->runtime = m->runtime;
	l->data = m->own_data;
	l->cache = m->cache;
	l->cache_lines = m->opts.cache_lines;
	l->runtime_len = m->secs[m->runtime].out.nr;
	l->hypercall = inl_rt_hypercall - inl_rt;
	l->left = inl_rt_left - inl_rt;
	return tell_entries(m, l);
}

void inl_forget(struct module *m)
{
	for (uint32_t n = 0; m->layout.gates && n < m->layout.nr_gates; n++)
		free((char *)m->layout.gates[n].name);
	free((void *)m->layout.gates);
	free((void *)m->layout.entries);
}

const struct chariot_inline_layout *chariot_inline__layout(const struct chariot_inline *x)
{
	return &x->m.layout;
}

/* ---- what the host fills in --------------------------------------------------------------- */

static void put_write(struct chariot_inline_write *w, uint64_t gva, const void *bytes,
		      uint32_t len)
{
	w->gva = gva;
	w->len = len;
	memcpy(w->bytes, bytes, len);
}

int chariot_inline__fill(const struct chariot_inline *x, const struct chariot_inline_fill *f,
			 struct chariot_inline_write **writes, size_t *nr)
{
	const struct chariot_inline_layout *l = &x->m.layout;
	struct chariot_inline_write *w;
	size_t n = 0;

	if (f->sz != sizeof(*f) || f->params.stack_mask & 0xfff)
		return -EINVAL;
	for (size_t i = 0; f->arms && i < l->nr_gates; i++)
		if (f->arms[i] >= CHARIOT_INLINE_NR_ARMS)
			return -EINVAL;
	w = calloc(l->nr_gates + 2, sizeof(*w));
	if (!w)
		return -ENOMEM;
	put_write(&w[n++], f->runtime + RT_PARAMS, &f->params, sizeof(f->params));
	for (size_t i = 0; f->arms && i < l->nr_gates; i++) {
		const struct chariot_inline_gate *g = &l->gates[i];
		uint32_t body = g->body + (f->arms[i] == CHARIOT_INLINE_PRE ? RT_BODY_PRE : 0);
		int32_t distance = body - (g->slot + 5);

		if (f->arms[i])
			put_write(&w[n++], f->runtime + g->slot + 1, &distance, 4);
	}
	put_write(&w[n++], f->runtime + l->hypercall, f->amd ? "\x0f\x01\xd9" : "\x0f\x01\xc1", 3);
	*writes = w;
	*nr = n;
	return 0;
}
