// SPDX-License-Identifier: GPL-2.0
#include "ko.h"

#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sections get addresses from here on, each at a whole page.  No relocated place has one
 * like these, so the two cannot be mistaken for each other. */
#define BASE		0x100000000ULL

struct section {
	uint64_t gva, len;
	const uint8_t *data;
};

struct reloc {
	uint64_t field;
	const char *name;	/* NULL: @target is in this file */
	uint64_t target;
};

struct ko {
	struct chariot_driver *d;
	Elf *elf;
	size_t shstr, nr_sections;
	struct section *sections;	/* by number; len 0: no text */
	Elf_Data *symtab;
	size_t strings;			/* number of the section */
	struct reloc *relocs;		/* by field */
	size_t nr_relocs;
	struct fault_function *functions;
	struct fault_driver faults;
};

/* ---- sections ----------------------------------------------------------- */

static bool is_text(const struct ko *ko, const GElf_Shdr *sh)
{
	const char *name = elf_strptr(ko->elf, ko->shstr, sh->sh_name);

	return (sh->sh_flags & SHF_EXECINSTR) && (sh->sh_flags & SHF_ALLOC) &&
	       sh->sh_type == SHT_PROGBITS && name &&
	       strncmp(name, ".init", 5);
}

static int read_sections(struct ko *ko)
{
	uint64_t at = BASE;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	Elf_Data *data;

	if (elf_getshdrstrndx(ko->elf, &ko->shstr) ||
	    elf_getshdrnum(ko->elf, &ko->nr_sections))
		return -ENOEXEC;
	ko->sections = calloc(ko->nr_sections + 1, sizeof(*ko->sections));
	if (!ko->sections)
		return -ENOMEM;
	while ((scn = elf_nextscn(ko->elf, scn))) {
		if (!gelf_getshdr(scn, &sh))
			continue;
		data = elf_getdata(scn, NULL);
		if (sh.sh_type == SHT_SYMTAB) {
			ko->symtab = data;
			ko->strings = sh.sh_link;
		}
		if (!is_text(ko, &sh) || !data || !data->d_buf)
			continue;
		ko->sections[elf_ndxscn(scn)] = (struct section){
			at, data->d_size, data->d_buf };
		at += (data->d_size + 4095) & ~4095ULL;
	}
	return ko->symtab ? 0 : -ENOEXEC;
}

static const struct section *section(const struct ko *ko, size_t nr)
{
	return nr < ko->nr_sections && ko->sections[nr].len ?
	       &ko->sections[nr] : NULL;
}

static const char *symbol_name(const struct ko *ko, const GElf_Sym *sym)
{
	return elf_strptr(ko->elf, ko->strings, sym->st_name) ?: "";
}

/* ---- relocations -------------------------------------------------------- */

static int add_reloc(struct ko *ko, const struct section *sec,
		     const GElf_Rela *rel)
{
	const struct section *to;
	GElf_Sym sym;
	struct reloc *v;

	if ((GELF_R_TYPE(rel->r_info) != R_X86_64_PLT32 &&
	     GELF_R_TYPE(rel->r_info) != R_X86_64_PC32) ||
	    !gelf_getsym(ko->symtab, GELF_R_SYM(rel->r_info), &sym))
		return 0;
	v = realloc(ko->relocs, (ko->nr_relocs + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	ko->relocs = v;
	v += ko->nr_relocs++;
	*v = (struct reloc){ .field = sec->gva + rel->r_offset };
	to = section(ko, sym.st_shndx);
	if (to)
		v->target = to->gva + sym.st_value + rel->r_addend + 4;
	else
		v->name = rel->r_addend == -4 ? symbol_name(ko, &sym) : "";
	return 0;
}

static int by_field(const void *a, const void *b)
{
	const struct reloc *x = a, *y = b;

	return x->field < y->field ? -1 : x->field > y->field;
}

static int read_relocs(struct ko *ko)
{
	const struct section *sec;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	GElf_Rela rel;
	int err = 0;

	while ((scn = elf_nextscn(ko->elf, scn)) && !err) {
		Elf_Data *data;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_RELA)
			continue;
		sec = section(ko, sh.sh_info);
		data = sec ? elf_getdata(scn, NULL) : NULL;
		for (int i = 0; data && gelf_getrela(data, i, &rel); i++)
			err = err ?: add_reloc(ko, sec, &rel);
	}
	if (ko->nr_relocs)
		qsort(ko->relocs, ko->nr_relocs, sizeof(*ko->relocs),
		      by_field);
	return err;
}

static const char *name_by_file(void *ctx, uint64_t field, uint64_t target,
				char *buf, size_t size)
{
	struct reloc key = { .field = field }, *r = NULL;
	const struct ko *ko = ctx;

	(void)buf;
	(void)size;
	if (ko->nr_relocs)
		r = bsearch(&key, ko->relocs, ko->nr_relocs, sizeof(key),
			    by_field);
	if (r && r->name)
		return *r->name ? r->name : NULL;
	if (r)
		target = r->target;
	for (size_t i = 0; i < ko->faults.nr; i++)
		if (ko->functions[i].gva == target)
			return ko->functions[i].name;
	return NULL;
}

/* ---- functions ---------------------------------------------------------- */

/* As libchariot sorts symbols: of two names the longer function, then the
 * alphabet. */
static int by_address(const void *a, const void *b)
{
	const struct fault_function *x = a, *y = b;

	if (x->gva != y->gva)
		return x->gva < y->gva ? -1 : 1;
	if (x->len != y->len)
		return x->len > y->len ? -1 : 1;
	return strcmp(x->name, y->name);
}

size_t functions_sort(struct fault_function *v, size_t nr)
{
	size_t left = 0;

	if (nr)
		qsort(v, nr, sizeof(*v), by_address);
	for (size_t i = 0; i < nr; i++) {
		if (!v[i].len || (left && v[i].gva == v[left - 1].gva))
			continue;
		if (left && v[i].gva < v[left - 1].gva + v[left - 1].len)
			v[left - 1].len = v[i].gva - v[left - 1].gva;
		v[left++] = v[i];
	}
	return left;
}

/* objtool's names for the padding before functions begin with __pfx_. */
static void add_function(struct ko *ko, const GElf_Sym *sym)
{
	const struct section *sec = section(ko, sym->st_shndx);
	const char *name = symbol_name(ko, sym);

	if (!sec || GELF_ST_TYPE(sym->st_info) != STT_FUNC ||
	    !strncmp(name, "__pfx_", 6) || sym->st_value >= sec->len ||
	    sym->st_size > sec->len - sym->st_value)
		return;
	ko->functions[ko->faults.nr++] = (struct fault_function){
		.name = name, .gva = sec->gva + sym->st_value,
		.code = sec->data + sym->st_value, .len = sym->st_size,
	};
}

static int read_functions(struct ko *ko)
{
	size_t nr = ko->symtab->d_size / sizeof(Elf64_Sym);
	GElf_Sym sym;

	ko->functions = calloc(nr + 1, sizeof(*ko->functions));
	if (!ko->functions)
		return -ENOMEM;
	for (size_t i = 1; i < nr; i++)
		if (gelf_getsym(ko->symtab, i, &sym))
			add_function(ko, &sym);
	ko->faults.nr = functions_sort(ko->functions, ko->faults.nr);
	ko->faults.functions = ko->functions;
	ko->faults.unlinked = true;
	ko->faults.name = name_by_file;
	ko->faults.ctx = ko;
	return 0;
}

/* ---- all of it ---------------------------------------------------------- */

static int read_all(struct ko *ko)
{
	const void *data;
	size_t len;

	data = chariot_driver__file(ko->d, &len);
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	ko->elf = elf_memory((char *)data, len);
	if (!ko->elf)
		return -ENOEXEC;
	return read_sections(ko) ?: read_relocs(ko) ?: read_functions(ko);
}

struct ko *ko_open(const char *path)
{
	struct ko *ko = calloc(1, sizeof(*ko));
	int err = ENOMEM;

	if (!ko)
		return NULL;
	ko->d = chariot_driver__from_file(path);
	if (!ko->d)
		err = errno;
	else
		err = -read_all(ko);
	if (!err)
		return ko;
	ko_close(ko);
	errno = err;
	return NULL;
}

void ko_close(struct ko *ko)
{
	if (!ko)
		return;
	elf_end(ko->elf);
	chariot_driver__free(ko->d);
	free(ko->sections);
	free(ko->relocs);
	free(ko->functions);
	free(ko);
}

const struct chariot_driver *ko_driver(const struct ko *ko)
{
	return ko->d;
}

const struct fault_driver *ko_functions(const struct ko *ko)
{
	return &ko->faults;
}

bool build_id_find(const uint8_t *data, size_t len, char *buf, size_t size)
{
	static const uint8_t note[] = {
		4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0 };
	const uint8_t *at = memmem(data, len, note, sizeof(note));

	if (!at || data + len - at < (ptrdiff_t)sizeof(note) + 20 || size < 41)
		return false;
	for (size_t i = 0; i < 20; i++)
		sprintf(buf + 2 * i, "%02x", at[sizeof(note) + i]);
	return true;
}
