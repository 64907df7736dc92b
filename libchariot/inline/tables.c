// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: the kernel's tables of places in a module's text.
 */
#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "inline.h"

/*
 * Rows of @row bytes (0: each relocation is one).  @field of a row is a place in the
 * text; @exact: that instruction itself, not where a jump to it goes.
 */
static const struct table {
	const char *name;
	uint8_t row, field, mark;
	bool exact;
} tables[] = {
	{ "__ex_table", 12, 0, MARK_FAULTS, true },
	{ "__ex_table", 12, 4, MARK_LEADER, false },
	{ "__bug_table", 12, 0, 0, true },
	{ "__jump_table", 16, 0, MARK_JUMP, true },
	{ "__jump_table", 16, 4, MARK_LEADER, false },
	{ ".static_call_sites", 8, 0, MARK_STATIC, true },
	{ ".altinstructions", 0, 0, 0, true },
	{ ".parainstructions", 0, 0, 0, true },
	{ ".retpoline_sites", 0, 0, 0, true },
	{ ".return_sites", 0, 0, 0, true },
	{ ".call_sites", 0, 0, 0, true },
	{ ".smp_locks", 0, 0, 0, true },
	{ "__mcount_loc", 0, 0, MARK_FENTRY, true },
	{ ".ibt_endbr_seal", 0, 0, 0, true },
	{ ".cfi_sites", 0, 0, 0, true },
	{ "__patchable_function_entries", 0, 0, 0, true },
	{ ".orc_unwind_ip", 0, 0, 0, false },
	{ ".init.orc_unwind_ip", 0, 0, 0, false },
	{ "_kprobe_blacklist", 0, 0, 0, false },
	{ "_error_injection_whitelist", 0, 0, 0, false },
};

static const struct table *find(const struct sec *s, uint32_t off)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (inl_name_is(s, tables[i].name) &&
		    (!tables[i].row || off % tables[i].row == tables[i].field))
			return &tables[i];
	return NULL;
}

bool inl_exact(const struct sec *s, uint32_t off)
{
	const struct table *t = find(s, off);

	return t && t->exact;
}

static bool is_table(const struct sec *s)
{
	if (!(s->sh.sh_flags & SHF_ALLOC) || !strncmp(s->name, ".discard", 8))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (inl_name_is(s, tables[i].name))
			return true;
	return false;
}

static int mark_section(struct module *m, const struct sec *s)
{
	for (uint32_t i = 0; i < s->rel.nr; i++) {
		const struct rel *r = &s->rel.v[i];
		const struct table *t = find(s, r->off);
		struct place p;

		if (!inl_place(m, r, r->add, &p) || !m->secs[p.sec].code)
			continue;
		if (t && t->exact && p.off == m->secs[p.sec].size)
			return -EBADMSG;
		if (t)
			m->secs[p.sec].mark[p.off] |= t->mark;
		else if (!is_table(s))
			m->secs[p.sec].mark[p.off] |= MARK_TAKEN;
	}
	return 0;
}

/* ---- what is replaced as a whole ----------------------------------------- */

static int mark_patched(struct module *m, const struct rel *r, uint32_t len)
{
	struct place p;
	struct sec *s;

	if (!inl_place(m, r, r->add, &p))
		return -EBADMSG;
	s = &m->secs[p.sec];
	if (!s->code)
		return 0;
	if (len > s->size - p.off)
		return -EBADMSG;
	s->mark[p.off] |= MARK_PATCHED;
	for (uint32_t i = 1; i < len; i++)
		s->mark[p.off + i] |= MARK_INSIDE;
	return 0;
}

/* struct alt_instr: two places, then what differs by kernel, then two lengths. */
static int mark_alternatives(struct module *m, const struct sec *s)
{
	uint32_t nr = s->rel.nr / 2, row = nr ? s->size / nr : 0;
	int err = 0;

	if (!s->data || (nr && (row * nr != s->size || row < 10 || row > 32 ||
				s->rel.nr % 2)))
		return -EBADMSG;
	for (uint32_t i = 0; i < nr && !err; i++) {
		const struct rel *r = &s->rel.v[2 * i];

		if (r->off != i * row || r[1].off != i * row + 4)
			return -EBADMSG;
		err = mark_patched(m, r, s->data[(i + 1) * row - 2]);
	}
	return err;
}

/* struct paravirt_patch_site: address, type, length; aligned. */
static int mark_paravirt(struct module *m, const struct sec *s)
{
	int err = 0;

	for (uint32_t i = 0; i < s->rel.nr && !err; i++) {
		uint32_t off = s->rel.v[i].off;

		if (!s->data || s->size - off < 10)
			return -EBADMSG;
		err = mark_patched(m, &s->rel.v[i], s->data[off + 9]);
	}
	return err;
}

int inl_marks(struct module *m)
{
	int err = 0;

	for (uint32_t i = 1; i < m->old_secs && !err; i++) {
		const struct sec *s = &m->secs[i];

		if (s->exec)
			continue;
		err = mark_section(m, s);
		if (!err && inl_name_is(s, ".altinstructions"))
			err = mark_alternatives(m, s);
		if (!err && inl_name_is(s, ".parainstructions"))
			err = mark_paravirt(m, s);
		if (err)
			log_err("section %s: does not fit what it is a table of",
				s->name);
	}
	return err;
}

/* ---- with instructions ---------------------------------------------------- */

/* Rows of a place and where it may go from there, of @row bytes. */
static int read_labels(struct module *m, const struct sec *s, uint32_t row)
{
	for (uint32_t i = 0; i + 1 < s->rel.nr; i++) {
		const struct rel *r = &s->rel.v[i];
		struct place site, to;
		int64_t from;

		if (r->off % row || r[1].off != r->off + 4)
			continue;
		if (!inl_place(m, r, r->add, &site) ||
		    !inl_place(m, r + 1, r[1].add, &to))
			return -EBADMSG;
		if (!m->secs[site.sec].code)
			continue;
		from = inl_insn_at(m, site);
		if (from < 0 || m->insns[from].off != site.off)
			return -EBADMSG;
		if (m->secs[to.sec].code)
			m->label_target[from] = inl_insn_at(m, to);
	}
	return 0;
}

/*
 * struct bug_entry: two places, the line, flags.  Behind ud2 of WARN() it goes on, behind
 * that of BUG() it does not.
 */
static void read_bugs(struct module *m, const struct sec *s)
{
	const uint32_t row = 12, flags = 10;

	for (uint32_t i = 0; i < s->rel.nr && s->data && !(s->size % row); i++) {
		const struct rel *r = &s->rel.v[i];
		struct place p;
		int64_t k;

		if (r->off % row || s->data[r->off + flags] & 1 /* BUGFLAG_WARNING */ ||
		    !inl_place(m, r, r->add, &p) || !m->secs[p.sec].code)
			continue;
		k = inl_insn_at(m, p);
		if (k >= 0 && m->insns[k].off == p.off &&
		    m->insns[k].mnemonic == ZYDIS_MNEMONIC_UD2)
			m->insns[k].flags |= F_STOP;
	}
}

int inl_labels(struct module *m)
{
	int err = 0;

	m->label_target = malloc((m->nr_insns + 1) * sizeof(*m->label_target));
	if (!m->label_target)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->nr_insns; i++)
		m->label_target[i] = -1;
	for (uint32_t i = 1; i < m->old_secs && !err; i++) {
		if (inl_name_is(&m->secs[i], "__jump_table"))
			err = read_labels(m, &m->secs[i], 16);
		else if (inl_name_is(&m->secs[i], "__ex_table"))
			err = read_labels(m, &m->secs[i], 12);
		else if (inl_name_is(&m->secs[i], "__bug_table"))
			read_bugs(m, &m->secs[i]);
	}
	return err;
}
