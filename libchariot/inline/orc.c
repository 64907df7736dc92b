// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: the unwinder's table (arch/x86/include/asm/orc_types.h), with rows for
 * what checks push, and for their slow parts.
 */
#include <stdlib.h>

#include "inline.h"
#include "runtime.h"

#define ROW		6	/* struct orc_entry */
#define REG_SP		5	/* ORC_REG_SP */
#define REG_SP_INDIRECT	9

struct row {
	uint32_t sec, off;
	uint32_t rank;		/* of several for one place: the highest */
	uint8_t data[ROW];
};

struct rows {
	struct row *v;
	uint32_t nr, room;
};

int orc_add(struct orc *o, uint32_t sec, uint32_t off, const struct insn *like,
	    unsigned int pushed)
{
	if (o->nr == o->room) {
		uint32_t room = o->room ? 2 * o->room : 256;
		struct orc_row *v = reallocarray(o->v, room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		o->v = v;
		o->room = room;
	}
	o->v[o->nr++] = (struct orc_row){ sec, off, like, pushed };
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->sec != y->sec)
		return x->sec < y->sec ? -1 : 1;
	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int add(struct rows *r, struct place at, uint32_t rank, const uint8_t *data)
{
	if (r->nr == r->room) {
		uint32_t room = r->room ? 2 * r->room : 1024;
		struct row *v = reallocarray(r->v, room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->room = room;
	}
	r->v[r->nr] = (struct row){ at.sec, at.off, rank, {} };
	if (data)
		memcpy(r->v[r->nr].data, data, ROW);
	r->nr++;
	return 0;
}

/* The rows as they were, by old place. */
static int read_rows(const struct module *m, const struct sec *ip, const struct sec *info,
		     struct rows *old)
{
	int err = 0;

	if (!info->data || ip->size % 4 || info->size / ROW != ip->size / 4 ||
	    ip->rel.nr != ip->size / 4)
		return -EBADMSG;
	for (uint32_t i = 0; i < ip->rel.nr && !err; i++) {
		struct place p;

		if (ip->rel.v[i].off != 4 * i ||
		    !inl_place(m, &ip->rel.v[i], ip->rel.v[i].add, &p))
			return -EBADMSG;
		err = add(old, p, i, info->data + i * ROW);
	}
	if (old->nr)
		qsort(old->v, old->nr, sizeof(*old->v), by_place);
	return err;
}

/* What holds at a place: the last row at or before it, NULL. */
static const uint8_t *in_effect(const struct rows *old, uint32_t sec, uint32_t off)
{
	uint32_t low = 0, high = old->nr;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct row *r = &old->v[mid];

		if (r->sec < sec || (r->sec == sec && r->off <= off))
			low = mid + 1;
		else
			high = mid;
	}
	return low && old->v[low - 1].sec == sec ? old->v[low - 1].data : NULL;
}

/* The same with words on the stack. */
static int deeper(uint8_t *data, unsigned int pushed)
{
	int16_t offset;

	if ((data[4] & 15) == REG_SP_INDIRECT && pushed)
		return -ENOTSUP;
	if ((data[4] & 15) != REG_SP)
		return 0;
	memcpy(&offset, data, 2);
	offset += 8 * pushed;
	memcpy(data, &offset, 2);
	return 0;
}

/* Both ends of each piece, as its neighbours may be others now. */
static int add_pieces(const struct module *m, const struct rows *old, struct rows *rows)
{
	int err = 0;

	for (uint32_t n = 0; n < m->nr_pieces && !err; n++) {
		const struct piece *p = &m->pieces[n];

		err = add(rows, (struct place){ p->new_sec, p->start }, 0,
			  in_effect(old, p->sec, p->off));
		if (!err && p->end != p->body_end)
			err = add(rows, (struct place){ p->new_sec, p->end }, 0, NULL);
	}
	return err;
}

static int add_checks(const struct module *m, const struct orc *orc,
		      const struct rows *old, struct rows *rows)
{
	int err = 0;

	for (uint32_t i = 0; i < orc->nr && !err; i++) {
		const struct orc_row *r = &orc->v[i];
		const uint8_t *data = in_effect(old, r->like->sec, r->like->off);

		err = add(rows, (struct place){ r->sec, r->off }, 2, data);
		if (!err)
			err = deeper(rows->v[rows->nr - 1].data, r->pushed);
	}
	return err;
}

/* What holds at the beginning of a function, and so wherever nothing was pushed. */
static const uint8_t *at_entry(const struct module *m, const struct rows *old)
{
	for (uint32_t n = 0; n < m->nr_pieces; n++) {
		const struct piece *p = &m->pieces[n];
		const uint8_t *data = in_effect(old, p->sec, p->off);
		int16_t offset;

		if (!data || p->gap || p->cold || !p->root || data[4] != REG_SP)
			continue;
		memcpy(&offset, data, 2);
		if (offset == 8)
			return data;
	}
	return NULL;
}

static int add_runtime_row(const struct module *m, struct rows *rows, const uint8_t *entry,
			   uint32_t off, uint32_t depth)
{
	int16_t offset = depth;
	int err = add(rows, (struct place){ m->runtime, off }, 1, entry);

	if (!err)
		memcpy(rows->v[rows->nr - 1].data, &offset, 2);
	return err;
}

/* Without a function to learn a row from nothing can be called from there either. */
static int add_runtime(const struct module *m, const struct rows *old, struct rows *rows)
{
	const uint8_t *entry = at_entry(m, old);
	uint32_t len = inl_rt_end - inl_rt;
	int err = 0;

	if (!entry)
		return add(rows, (struct place){ m->runtime, 0 }, 0, NULL);
	for (const struct rt_row *r = inl_rt_rows; r < inl_rt_rows_end && !err; r++) {
		if (r->off < len)
			err = add_runtime_row(m, rows, entry, r->off, r->depth);
		for (uint32_t n = 0; r->off >= len && n < m->nr_gates && !err; n++)
			err = add_runtime_row(m, rows, entry, m->gates[n].body + r->off - len,
					      r->depth);
	}
	for (uint32_t n = 0; n < m->nr_gates && !err; n++)
		err = add_runtime_row(m, rows, entry, m->gates[n].slot, 8);
	if (!err && m->nr_lookups)
		err = add_runtime_row(m, rows, entry, m->lookups_at, 8);
	return err;
}

static int make_rows(const struct module *m, const struct orc *orc, const struct rows *old,
		     struct rows *rows)
{
	uint32_t left = 0;
	int err = 0;

	for (uint32_t i = 0; i < old->nr && !err; i++) {
		struct place p = { old->v[i].sec, old->v[i].off };

		err = add(rows, inl_moved(m, p, false), 1, old->v[i].data);
	}
	if (!err)
		err = add_runtime(m, old, rows);
	if (!err)
		err = add_pieces(m, old, rows);
	if (!err)
		err = add_checks(m, orc, old, rows);
	if (err)
		return err;
	qsort(rows->v, rows->nr, sizeof(*rows->v), by_place);
	for (uint32_t i = 0; i < rows->nr; i++) {
		struct row *r = &rows->v[i], *last = left ? &rows->v[left - 1] : NULL;

		if (last && last->sec == r->sec && last->off == r->off)
			left--;		/* the higher one replaces it */
		last = left ? &rows->v[left - 1] : NULL;
		if (last && last->sec == r->sec && !memcmp(last->data, r->data, ROW))
			continue;
		rows->v[left++] = *r;
	}
	rows->nr = left;
	return 0;
}

static int write_rows(struct module *m, struct sec *ip, struct sec *info,
		      const struct rows *rows)
{
	int err = 0;

	ip->changed = info->changed = true;
	for (uint32_t i = 0; i < rows->nr && !err; i++) {
		const struct row *r = &rows->v[i];

		err = bytes_fill(&ip->out, 0, 4) ?: bytes_put(&info->out, r->data, ROW);
		if (!err)
			err = rels_add(&ip->rel_out, 4 * i, R_X86_64_PC32,
				       inl_section_symbol(m, r->sec), r->off);
	}
	return err;
}

/* A row for a place outside of the code that moves has to keep its section symbol. */
static bool has_symbols(const struct module *m, const struct rows *rows)
{
	for (uint32_t i = 0; i < rows->nr; i++)
		if (!m->secs[rows->v[i].sec].symbol)
			return false;
	return true;
}

int inl_orc(struct module *m, struct orc *orc)
{
	struct sec *ip = NULL, *info = NULL;
	struct rows old = {}, rows = {};
	int err;

	for (uint32_t i = 1; i < m->old_secs; i++) {
		if (inl_name_is(&m->secs[i], ".orc_unwind_ip"))
			ip = &m->secs[i];
		else if (inl_name_is(&m->secs[i], ".orc_unwind"))
			info = &m->secs[i];
	}
	if (!ip || !info || !ip->size)
		return 0;
	err = read_rows(m, ip, info, &old);
	if (!err)
		err = make_rows(m, orc, &old, &rows);
	if (!err)
		err = has_symbols(m, &rows) ? write_rows(m, ip, info, &rows) : -ENOTSUP;
	if (err)
		log_err("section .orc_unwind: does not fit what it is a table of");
	free(old.v);
	free(rows.v);
	return err;
}
