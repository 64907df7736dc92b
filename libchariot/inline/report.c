// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: from one end to the other; map and report.
 */
#include <stdlib.h>

#include "inline.h"

#define DEFAULT_LINES	4096
#define MIN_LINES	64
#define MAX_LINES	65536

/* ---- the map ------------------------------------------------------------------- */

static bool joins(const struct run *r, const struct piece *p, const struct insn *i)
{
	return !r->slow && r->sec == i->sec && r->new_sec == p->new_sec &&
	       i->stub == i->pos && i->pos - r->pos == i->off - r->off;
}

static void add_runs(struct module *m, const struct piece *p, struct run *last)
{
	for (uint32_t k = p->first; k < p->first + p->nr; k++) {
		const struct insn *i = &m->insns[k];

		if (last && joins(last, p, i))
			continue;
		last = &m->runs[m->nr_runs++];
		*last = (struct run){ i->sec, i->off, p->new_sec, i->stub, i->pos, false };
	}
}

static void add_slow_runs(struct module *m, const struct piece *p)
{
	struct run *last = NULL;

	for (uint32_t k = p->first; k < p->first + p->nr; k++) {
		const struct insn *i = &m->insns[k];

		if (!check_has_slow(i))
			continue;
		if (last)
			last->pos = i->slow;
		last = &m->runs[m->nr_runs++];
		*last = (struct run){ i->sec, i->off, p->new_sec, i->slow, p->end, true };
	}
}

/* A call of "enter" is part of what follows it. */
static void add_enter_run(struct module *m, const struct piece *p)
{
	for (uint32_t k = p->first; k < p->first + p->nr && p->enter; k++) {
		const struct insn *i = &m->insns[k];

		if (i->off - p->off == p->enter_after && p->enter_after)
			m->runs[m->nr_runs++] = (struct run){ i->sec, i->off, p->new_sec,
							      i->stub - ENTER_LEN, i->stub,
							      true };
	}
}

static int by_new(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->new_sec != y->new_sec)
		return x->new_sec < y->new_sec ? -1 : 1;
	return x->stub < y->stub ? -1 : x->stub > y->stub;
}

static int make_map(struct module *m)
{
	m->runs = calloc(m->nr_insns + m->nr_checks + m->nr_pieces + 1, sizeof(*m->runs));
	if (!m->runs)
		return -ENOMEM;
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		add_runs(m, &m->pieces[n], NULL);
	m->nr_old_runs = m->nr_runs;
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		add_slow_runs(m, &m->pieces[n]);
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		add_enter_run(m, &m->pieces[n]);
	m->by_new = calloc(m->nr_runs + 1, sizeof(*m->by_new));
	if (!m->by_new)
		return -ENOMEM;
	memcpy(m->by_new, m->runs, m->nr_runs * sizeof(*m->runs));
	if (m->nr_runs)
		qsort(m->by_new, m->nr_runs, sizeof(*m->by_new), by_new);
	return 0;
}

int chariot_inline__to_new(const struct chariot_inline *x, uint32_t sec, uint32_t off,
			   bool exact, uint32_t *new_sec, uint32_t *new_off)
{
	uint32_t low = 0, high = x->m.nr_old_runs;
	const struct run *r;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		r = &x->m.runs[mid];
		if (r->sec < sec || (r->sec == sec && r->off <= off))
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || x->m.runs[low - 1].sec != sec)
		return -ENOENT;
	r = &x->m.runs[low - 1];
	*new_sec = r->new_sec;
	*new_off = off == r->off && !exact ? r->stub : r->pos + (off - r->off);
	return 0;
}

int chariot_inline__to_old(const struct chariot_inline *x, uint32_t sec, uint32_t off,
			   uint32_t *old_sec, uint32_t *old_off)
{
	uint32_t low = 0, high = x->m.nr_runs;
	const struct run *r;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		r = &x->m.by_new[mid];
		if (r->new_sec < sec || (r->new_sec == sec && r->stub <= off))
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || x->m.by_new[low - 1].new_sec != sec)
		return -ENOENT;
	r = &x->m.by_new[low - 1];
	*old_sec = r->sec;
	*old_off = r->slow || off < r->pos ? r->off : r->off + (off - r->pos);
	return 0;
}

/* ---- the report ------------------------------------------------------------------ */

static void count(struct module *m, const struct piece *p, struct chariot_inline_function *f)
{
	for (uint32_t k = p->first; k < p->first + p->nr; k++) {
		const struct insn *i = &m->insns[k];
		struct plan plan;

		m->totals.instructions++;
		m->totals.stores += i->cls != CLS_NONE;
		f->frame += i->cls == CLS_FRAME;
		f->own += i->cls == CLS_OWN;
		f->percpu += i->cls == CLS_PERCPU;
		if (!(i->flags & F_CHECK))
			continue;
		f->checks++;
		check_plan(i, &plan);
		f->spilled += plan.pushed != 0;
	}
}

static void add_function(struct module *m, const struct piece *p)
{
	struct chariot_inline_function *f = &m->functions[m->nr_functions++];
	struct chariot_inline_totals *t = &m->totals;

	*f = (struct chariot_inline_function){
		.name = strdup(p->name), .why = p->why ? why_text[p->why] : NULL,
		.sec = p->sec, .off = p->off, .len = p->size, .new_sec = p->new_sec,
		.new_off = p->start, .new_len = p->end - p->start, .entry = p->taken,
	};
	chariot_printable((char *)f->name);
	count(m, p, f);
	t->functions++;
	t->refused += !!p->why;
	t->checks += f->checks;
	t->merged += f->merged;
	t->spilled += f->spilled;
}

static int make_report(struct module *m)
{
	m->functions = calloc(m->nr_pieces + 1, sizeof(*m->functions));
	if (!m->functions)
		return -ENOMEM;
	for (uint32_t n = 0; n < m->nr_pieces; n++)
		if (!m->pieces[n].gap)
			add_function(m, &m->pieces[n]);
	for (uint32_t i = 1; i < m->nr_secs; i++) {
		const struct sec *s = &m->secs[i];

		if (s->code)
			m->totals.text += s->old_size;
		if (s->code || i == m->view || i == m->init_view)
			m->totals.new_text += s->out.nr;
	}
	m->totals.new_text += m->lookup_code.nr;
	m->totals.file = m->len;
	m->totals.new_file = m->image.nr;
	return 0;
}

/* ---- all of it --------------------------------------------------------------------- */

static int rewrite(struct module *m)
{
	struct orc orc = {};
	int err;

	err = inl_read(m);
	if (!err)
		err = inl_marks(m);
	if (!err)
		err = inl_decode(m);
	if (!err)
		err = inl_labels(m);
	if (!err) {
		inl_live(m);
		err = inl_frames(m);
	}
	if (!err) {
		inl_refuse(m);
		err = inl_gates(m);
	}
	if (!err)
		err = inl_lookups(m);
	if (!err)
		err = inl_layout(m, &orc);
	if (!err)
		err = inl_orc(m, &orc);
	if (!err)
		err = inl_refs(m);
	if (!err)
		err = inl_returns(m);
	if (!err)
		err = inl_write(m);
	if (!err)
		err = make_map(m);
	if (!err)
		err = make_report(m);
	if (!err)
		err = inl_told(m);
	free(orc.v);
	inl_release(m);
	return err;
}

static int take_opts(struct module *m, const struct chariot_inline_opts *opts)
{
	struct chariot_inline_opts *o = &m->opts;

	o->this_cpu_off = CHARIOT_INLINE_NO_PERCPU;
	if (opts) {
		if (opts->sz != sizeof(*opts))
			return -EINVAL;
		*o = *opts;
	}
	if (!o->cache_lines)
		o->cache_lines = DEFAULT_LINES;
	if (o->cache_lines < MIN_LINES || o->cache_lines > MAX_LINES ||
	    o->cache_lines & (o->cache_lines - 1) ||
	    (o->this_cpu_off != CHARIOT_INLINE_NO_PERCPU && o->this_cpu_off > INT32_MAX))
		return -EINVAL;
	return 0;
}

struct chariot_inline *chariot_inline__rewrite(const void *ko, size_t len,
					       const struct chariot_inline_opts *opts)
{
	struct chariot_inline *x = calloc(1, sizeof(*x));
	struct module *m = x ? &x->m : NULL;
	int err;

	if (!x)
		return NULL;
	err = ko ? take_opts(m, opts) : -EINVAL;
	if (!err) {
		err = unpack(ko, len, &m->file, &m->len);
		if (!err) {
			m->data = m->file;
		} else if (err == -ENOEXEC) {	/* not packed */
			m->data = ko;
			m->len = len;
			err = 0;
		}
	}
	if (!err)
		err = rewrite(m);
	free(m->file);
	m->file = NULL;
	if (!err)
		return x;
	chariot_inline__free(x);
	return err_null(err);
}

void chariot_inline__free(struct chariot_inline *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; x->m.functions && i < x->m.nr_functions; i++)
		free((char *)x->m.functions[i].name);
	free(x->m.functions);
	inl_forget(&x->m);
	free(x->m.checks);
	free(x->m.runs);
	free(x->m.by_new);
	free(x->m.image.v);
	free(x);
}

const void *chariot_inline__image(const struct chariot_inline *x, size_t *len)
{
	*len = x->m.image.nr;
	return x->m.image.v;
}

const struct chariot_inline_function *
chariot_inline__functions(const struct chariot_inline *x, size_t *nr)
{
	*nr = x->m.nr_functions;
	return x->m.functions;
}

void chariot_inline__totals(const struct chariot_inline *x, struct chariot_inline_totals *t)
{
	*t = x->m.totals;
}

const struct chariot_inline_check *
chariot_inline__checks(const struct chariot_inline *x, size_t *nr)
{
	*nr = x->m.nr_checks;
	return x->m.checks;
}
