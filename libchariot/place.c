// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the sections of a delivered image are in a guest whose loader has been through.
 *
 * The loader decides where sections go, differently in each kernel, and keeps no list of
 * them that all kernels have alike.  But at do_init_module() the module's symbols are those
 * of the file, one by one, with their addresses: one symbol tells where its section is, and
 * all others of that section must agree.
 */
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>

#include "place.h"

#define SYMBOLS_MAX	(1UL << 18)

struct table {			/* the symbols, in the image and in the guest */
	Elf_Data *file;
	Elf64_Sym *guest;
	size_t nr;
};

static int read_sections(struct places *out, Elf *elf, struct table *t)
{
	Elf_Scn *scn = NULL;
	size_t shstr, i;
	GElf_Shdr sh;

	if (elf_getshdrnum(elf, &out->nr) || elf_getshdrstrndx(elf, &shstr))
		return -EBADMSG;
	out->v = calloc(out->nr + 1, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	while ((scn = elf_nextscn(elf, scn))) {
		i = elf_ndxscn(scn);
		if (!gelf_getshdr(scn, &sh) || i >= out->nr)
			return -EBADMSG;
		out->v[i] = (struct place){ .len = sh.sh_size, .flags = sh.sh_flags };
		snprintf(out->v[i].name, sizeof(out->v[i].name), "%s",
			 elf_strptr(elf, shstr, sh.sh_name) ?: "");
		if (sh.sh_type == SHT_SYMTAB) {
			t->file = elf_getdata(scn, NULL);
			t->nr = t->file ? t->file->d_size / sizeof(Elf64_Sym) : 0;
		}
	}
	return t->nr && t->nr <= SYMBOLS_MAX ? 0 : -EBADMSG;
}

static int read_guest(struct table *t, const struct chariot_profile *p,
		      const struct chariot_space *s, uint64_t module)
{
	uint64_t kallsyms, symtab = 0, nr = 0;
	int err;

	err = profile_read_member(p, s, "module", module, "kallsyms", &kallsyms);
	if (!err)
		err = profile_read_member(p, s, "mod_kallsyms", kallsyms, "symtab", &symtab);
	if (!err)
		err = profile_read_member(p, s, "mod_kallsyms", kallsyms, "num_symtab", &nr);
	if (!err && nr != t->nr)
		err = -EBADMSG;
	if (err)
		return err;
	t->guest = malloc(nr * sizeof(*t->guest));
	return t->guest ? chariot_space__read(s, symtab, t->guest, nr * sizeof(*t->guest)) :
			  -ENOMEM;
}

static int find_places(struct places *out, const struct table *t)
{
	struct place *at;
	uint64_t gva;
	GElf_Sym sym;

	for (size_t i = 1; i < t->nr; i++) {
		if (!gelf_getsym(t->file, i, &sym))
			return -EBADMSG;
		if (sym.st_shndx != t->guest[i].st_shndx)
			return -EBADMSG;
		if (sym.st_shndx == SHN_UNDEF || sym.st_shndx >= out->nr)
			continue;
		at = &out->v[sym.st_shndx];
		/* Others stay in the file's copy, or have an offset of per-CPU data. */
		gva = t->guest[i].st_value - sym.st_value;
		if (!(at->flags & SHF_ALLOC) || gva < KERNEL_HALF)
			continue;
		if (at->gva && at->gva != gva)
			return -EBADMSG;
		at->gva = gva;
	}
	return 0;
}

int places_find(struct places *out, const struct chariot_profile *p,
		const struct chariot_space *s, uint64_t module, const void *image,
		size_t len)
{
	struct table t = {};
	Elf *elf;
	int err;

	memset(out, 0, sizeof(*out));
	elf_version(EV_CURRENT);
	elf = elf_memory((char *)image, len);
	if (!elf)
		return -EBADMSG;
	err = gelf_getclass(elf) == ELFCLASS64 ? read_sections(out, elf, &t) : -EBADMSG;
	if (!err)
		err = read_guest(&t, p, s, module);
	if (!err)
		err = find_places(out, &t);
	free(t.guest);
	elf_end(elf);
	if (err)
		places_free(out);
	return err;
}

void places_free(struct places *p)
{
	free(p->v);
	memset(p, 0, sizeof(*p));
}

const struct place *places_by_name(const struct places *p, const char *name)
{
	for (size_t i = 1; i < p->nr; i++)
		if (p->v[i].gva && !strcmp(p->v[i].name, name))
			return &p->v[i];
	return NULL;
}

uint64_t places_at(const struct places *p, uint32_t sec, uint64_t off)
{
	return sec < p->nr && p->v[sec].gva && off <= p->v[sec].len ? p->v[sec].gva + off : 0;
}
