// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: the new file, and buffers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "inline.h"

#define BYTES_MAX	(1U << 30)

/* ---- buffers ---------------------------------------------------------------- */

static int grow(struct bytes *b, uint32_t len)
{
	uint64_t room = b->room ? b->room : 256;
	uint8_t *v;

	if (len <= b->room - b->nr)
		return 0;
	while (room < (uint64_t)b->nr + len)
		room *= 2;
	if (room > BYTES_MAX)
		return -EFBIG;
	v = realloc(b->v, room);
	if (!v)
		return -ENOMEM;
	b->v = v;
	b->room = room;
	return 0;
}

int bytes_put(struct bytes *b, const void *data, uint32_t len)
{
	int err = grow(b, len);

	if (!err && len) {
		memcpy(b->v + b->nr, data, len);
		b->nr += len;
	}
	return err;
}

int bytes_fill(struct bytes *b, uint8_t value, uint32_t len)
{
	int err = grow(b, len);

	if (!err && len) {
		memset(b->v + b->nr, value, len);
		b->nr += len;
	}
	return err;
}

int rels_add(struct rels *r, uint32_t off, uint32_t type, uint32_t sym, int64_t add)
{
	if (r->nr == r->room) {
		uint32_t room = r->room ? 2 * r->room : 64;
		struct rel *v = reallocarray(r->v, room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->room = room;
	}
	r->v[r->nr++] = (struct rel){ off, type, sym, add };
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct rel *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

void rels_sort(struct rels *r)
{
	if (r->nr)
		qsort(r->v, r->nr, sizeof(*r->v), by_offset);
}

uint32_t rels_from(const struct rels *r, uint32_t off)
{
	uint32_t low = 0, high = r->nr;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (r->v[mid].off < off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- tables of the file ------------------------------------------------------ */

/* Names of ours follow those that were there. */
static int add_names(struct module *m, uint32_t strings, uint32_t *at, const char *name)
{
	struct sec *s = &m->secs[strings];
	int err = 0;

	if (!s->changed) {
		err = bytes_put(&s->out, s->data, s->size);
		s->changed = true;
	}
	*at = s->out.nr;
	return err ?: bytes_put(&s->out, name, strlen(name) + 1);
}

static int put_symbol(struct bytes *out, const GElf_Sym *s)
{
	return bytes_put(out, s, sizeof(Elf64_Sym));
}

/* Local symbols come first, ours last among them. */
static int write_symbols(struct module *m)
{
	struct sec *s = &m->secs[m->symtab];
	int err = 0;

	for (uint32_t i = 0; i < m->nr_fresh && !err; i++) {
		uint32_t name = 0;

		if (*m->fresh[i].name)
			err = add_names(m, m->strtab, &name, m->fresh[i].name);
		m->fresh[i].s.st_name = name;
	}
	for (uint32_t i = 0; i <= m->nr_syms && !err; i++) {
		for (uint32_t k = 0; i == m->first_global && k < m->nr_fresh && !err; k++)
			err = put_symbol(&s->out, &m->fresh[k].s);
		if (i < m->nr_syms && !err)
			err = put_symbol(&s->out, &m->syms[i].s);
	}
	s->sh.sh_info = m->first_global + m->nr_fresh;
	s->changed = true;
	return err;
}

/* A section of relocations for one that had none. */
static int fresh_rela(struct module *m, uint32_t sec)
{
	struct sec *s = &m->secs[m->nr_secs];

	s->name = ".rela";
	s->fresh = true;
	s->sh.sh_type = SHT_RELA;
	s->sh.sh_flags = SHF_INFO_LINK;
	s->sh.sh_addralign = 8;
	s->sh.sh_entsize = sizeof(Elf64_Rela);
	s->sh.sh_link = m->symtab;
	s->sh.sh_info = sec;
	m->secs[sec].rela = m->nr_secs;
	return m->nr_secs++;
}

static int write_relocations(struct module *m)
{
	uint32_t nr = m->nr_secs;
	int err = 0;

	for (uint32_t i = 1; i < nr && !err; i++) {
		struct sec *s = &m->secs[i], *ra;

		if (!s->rela && !s->rel_out.nr)
			continue;
		if (!s->rela)
			fresh_rela(m, i);
		ra = &m->secs[s->rela];
		ra->changed = true;
		for (uint32_t k = 0; k < s->rel_out.nr && !err; k++) {
			const struct rel *r = &s->rel_out.v[k];
			Elf64_Rela out = { r->off, ELF64_R_INFO((uint64_t)r->sym, r->type),
					   r->add };

			err = bytes_put(&ra->out, &out, sizeof(out));
		}
	}
	return err;
}

static int name_sections(struct module *m, size_t names)
{
	int err = 0;

	for (uint32_t i = m->old_secs; i < m->nr_secs && !err; i++) {
		struct sec *s = &m->secs[i];
		char name[64];

		snprintf(name, sizeof(name), "%s%s", s->name,
			 s->sh.sh_type == SHT_RELA ? m->secs[s->sh.sh_info].name : "");
		err = add_names(m, names, &s->sh.sh_name, name);
	}
	return err;
}

/* ---- the file ------------------------------------------------------------------ */

static int write_section(struct module *m, struct sec *s)
{
	uint64_t align = s->sh.sh_addralign > 1 ? s->sh.sh_addralign : 1;
	const uint8_t *data = s->changed ? s->out.v : s->data;
	int err;

	if (s->changed && s->sh.sh_type != SHT_NOBITS)
		s->size = s->out.nr;
	s->sh.sh_size = s->size;
	if (align > PAGE_SIZE || align & (align - 1))
		return -EBADMSG;
	/* Large alignment is one of addresses. */
	err = bytes_fill(&m->image, 0, -m->image.nr & (align > 64 ? 63 : align - 1));
	s->sh.sh_offset = m->image.nr;
	if (err || s->sh.sh_type == SHT_NOBITS)
		return err;
	return bytes_put(&m->image, data, s->size);
}

static int write_headers(struct module *m, size_t names)
{
	Elf64_Ehdr eh;
	int err;

	err = bytes_fill(&m->image, 0, -m->image.nr & 7);
	memcpy(&eh, m->data, sizeof(eh));
	eh.e_shoff = m->image.nr;
	eh.e_shnum = m->nr_secs;
	eh.e_shstrndx = names;
	eh.e_shentsize = sizeof(Elf64_Shdr);
	for (uint32_t i = 0; i < m->nr_secs && !err; i++)
		err = bytes_put(&m->image, &m->secs[i].sh, sizeof(Elf64_Shdr));
	if (!err)
		memcpy(m->image.v, &eh, sizeof(eh));
	return err;
}

int inl_write(struct module *m)
{
	size_t names;
	int err;

	if (elf_getshdrstrndx(m->elf, &names) || names >= m->old_secs ||
	    !m->secs[names].data || names == m->symtab)
		return -EBADMSG;
	err = write_symbols(m);
	if (!err)
		err = write_relocations(m);
	if (!err)
		err = name_sections(m, names);
	if (!err)
		err = bytes_fill(&m->image, 0, sizeof(Elf64_Ehdr));
	for (uint32_t i = 1; i < m->nr_secs && !err; i++)
		err = write_section(m, &m->secs[i]);
	return err ?: write_headers(m, names);
}
