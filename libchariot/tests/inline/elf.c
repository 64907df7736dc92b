// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int by_offset(const void *a, const void *b)
{
	const struct ko_rel *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

static bool is_code(const struct ko_section *s)
{
	return s->sh->sh_flags & SHF_EXECINSTR && s->sh->sh_flags & SHF_ALLOC &&
	       s->sh->sh_type == SHT_PROGBITS && s->size &&
	       strcmp(s->name, ".altinstr_replacement") &&
	       strcmp(s->name, ".altinstr_aux") && strcmp(s->name, ".static_call.text") &&
	       strcmp(s->name, ".plt") && strcmp(s->name, ".init.plt") &&
	       strcmp(s->name, ".text.ftrace_trampoline") && strcmp(s->name, ".text.chariot");
}

static int read_rels(struct ko_file *k, const Elf64_Shdr *sh)
{
	struct ko_section *s = &k->secs[sh->sh_info];
	const Elf64_Rela *ra = (void *)(k->file + sh->sh_offset);

	s->nr_rels = sh->sh_size / sizeof(*ra);
	s->rels = calloc(s->nr_rels + 1, sizeof(*s->rels));
	if (!s->rels)
		return -1;
	for (uint32_t i = 0; i < s->nr_rels; i++) {
		const Elf64_Sym *y = &k->syms[ELF64_R_SYM(ra[i].r_info)];
		struct ko_rel *r = &s->rels[i];

		r->off = ra[i].r_offset;
		r->type = ELF64_R_TYPE(ra[i].r_info);
		r->target = ra[i].r_addend;
		if (y->st_shndx == SHN_UNDEF || y->st_shndx >= k->nr_secs) {
			r->import = k->strings + y->st_name;
		} else {
			r->sec = y->st_shndx;
			r->target += y->st_value;
		}
	}
	qsort(s->rels, s->nr_rels, sizeof(*s->rels), by_offset);
	return 0;
}

int ko_file_read(struct ko_file *k, const void *data, uint64_t len)
{
	const Elf64_Ehdr *eh;
	const Elf64_Shdr *sh;
	const char *names;
	int err = 0;

	memset(k, 0, sizeof(*k));
	k->file = malloc(len);
	if (!k->file)
		return -1;
	memcpy(k->file, data, len);
	k->len = len;
	eh = (void *)k->file;
	sh = (void *)(k->file + eh->e_shoff);
	names = (char *)k->file + sh[eh->e_shstrndx].sh_offset;
	k->nr_secs = eh->e_shnum;
	k->secs = calloc(k->nr_secs, sizeof(*k->secs));
	if (!k->secs)
		return -1;
	for (uint32_t i = 0; i < k->nr_secs; i++) {
		struct ko_section *s = &k->secs[i];

		s->sh = &sh[i];
		s->name = names + sh[i].sh_name;
		s->size = sh[i].sh_size;
		if (sh[i].sh_type != SHT_NOBITS)
			s->data = k->file + sh[i].sh_offset;
		s->code = is_code(s);
		if (sh[i].sh_type == SHT_SYMTAB) {
			k->syms = (void *)s->data;
			k->nr_syms = s->size / sizeof(*k->syms);
			k->strings = (char *)k->file + sh[sh[i].sh_link].sh_offset;
		}
	}
	for (uint32_t i = 0; i < k->nr_secs && !err; i++)
		if (sh[i].sh_type == SHT_RELA)
			err = read_rels(k, &sh[i]);
	return err ?: k->syms ? 0 : -1;
}

void ko_file_free(struct ko_file *k)
{
	for (uint32_t i = 0; k->secs && i < k->nr_secs; i++)
		free(k->secs[i].rels);
	free(k->secs);
	free(k->file);
}

const struct ko_section *ko_file_section(const struct ko_file *k, const char *name)
{
	for (uint32_t i = 0; i < k->nr_secs; i++)
		if (!strcmp(k->secs[i].name, name))
			return &k->secs[i];
	return NULL;
}

const struct ko_rel *ko_rel_in(const struct ko_section *s, uint32_t from, uint32_t to)
{
	uint32_t low = 0, high = s->nr_rels;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (s->rels[mid].off < from)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->nr_rels && s->rels[low].off < to ? &s->rels[low] : NULL;
}
