// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A driver as a file: what it would have in memory and what it imports.
 *
 * Nothing has an address yet: sections start at 0, and symbols are at their
 * offset in their section.
 */
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

struct ko {
	const char *path;
	Elf *elf;
	size_t shstr;		/* section with the sections' names */
	Elf_Scn *symtab;
	struct chariot_driver *d;
};

static const char *section_name(const struct ko *k, const GElf_Shdr *sh)
{
	const char *name = elf_strptr(k->elf, k->shstr, sh->sh_name);

	return name ? name : "";
}

static uint32_t section_kind(const char *name, const GElf_Shdr *sh)
{
	bool init = !strncmp(name, ".init", 5);

	if (sh->sh_flags & SHF_EXECINSTR)
		return init ? CHARIOT_RANGE_INIT_TEXT : CHARIOT_RANGE_TEXT;
	if (!strcmp(name, ".data..ro_after_init"))
		return CHARIOT_RANGE_INIT_DATA;
	if (sh->sh_flags & SHF_WRITE)
		return init ? CHARIOT_RANGE_INIT_DATA : CHARIOT_RANGE_DATA;
	return CHARIOT_NR_RANGE_KINDS;
}

/* "name=e1000", among the strings of .modinfo. */
static void read_modinfo(struct ko *k, Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	const char *pos, *end;

	if (!data || !data->d_buf)
		return;
	pos = data->d_buf;
	end = pos + data->d_size;
	while (pos < end) {
		size_t len = strnlen(pos, end - pos);

		if (len > 5 && !strncmp(pos, "name=", 5)) {
			len -= 5;
			if (len >= sizeof(k->d->name))
				len = sizeof(k->d->name) - 1;
			memcpy(k->d->name, pos + 5, len);
			chariot_printable(k->d->name);
			return;
		}
		pos += len + 1;
	}
}

static void keep_build_id(struct ko *k, Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);

	if (data && data->d_buf)
		driver_note(k->d, data->d_buf, data->d_size);
}

static int keep_btf(struct ko *k, Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);

	if (!data || !data->d_buf || !data->d_size || k->d->raw_btf)
		return 0;
	k->d->raw_btf = malloc(data->d_size);
	if (!k->d->raw_btf)
		return -ENOMEM;
	memcpy(k->d->raw_btf, data->d_buf, data->d_size);
	k->d->raw_btf_len = data->d_size;
	return 0;
}

/* Names live in the file's memory, which goes away: collect their copies. */
static int add_section(struct ko *k, const char *name, const GElf_Shdr *sh,
		       size_t *used, size_t room)
{
	char *copy = k->d->section_strings + *used;
	size_t len = strlen(name) + 1;

	if (len > room - *used)
		return -EBADMSG;
	memcpy(copy, name, len);
	chariot_printable(copy);
	*used += len;
	return driver_add_section(k->d, 0, sh->sh_size, section_kind(name, sh),
				  copy);
}

static int read_ko_sections(struct ko *k)
{
	size_t used = 0, room = 0;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	int err = 0;

	while ((scn = elf_nextscn(k->elf, scn)))
		if (gelf_getshdr(scn, &sh))
			room += strlen(section_name(k, &sh)) + 1;
	k->d->section_strings = malloc(room + 1);
	if (!k->d->section_strings)
		return -ENOMEM;
	while (!err && (scn = elf_nextscn(k->elf, scn))) {
		const char *name;

		if (!gelf_getshdr(scn, &sh))
			continue;
		name = section_name(k, &sh);
		if (sh.sh_type == SHT_SYMTAB)
			k->symtab = scn;
		else if (!strcmp(name, ".modinfo"))
			read_modinfo(k, scn);
		else if (!strcmp(name, ".note.gnu.build-id"))
			keep_build_id(k, scn);
		else if (!strcmp(name, ".BTF"))
			err = keep_btf(k, scn);
		else if ((sh.sh_flags & SHF_ALLOC) && sh.sh_size)
			err = add_section(k, name, &sh, &used, room);
	}
	return err;
}

/* ---- symbols ---------------------------------------------------------------- */

/* Symbols that something calls: their index is set in @called. */
static void find_calls(const struct ko *k, bool *called, size_t nr)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	GElf_Rela rel;
	int i;

	while ((scn = elf_nextscn(k->elf, scn))) {
		Elf_Data *data;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_RELA)
			continue;
		data = elf_getdata(scn, NULL);
		for (i = 0; data && gelf_getrela(data, i, &rel); i++)
			if (GELF_R_TYPE(rel.r_info) == R_X86_64_PLT32 &&
			    GELF_R_SYM(rel.r_info) < nr)
				called[GELF_R_SYM(rel.r_info)] = true;
	}
}

static int add_elf_symbol(struct ko *k, const GElf_Sym *sym, bool called)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);
	const char *name = k->d->strings + sym->st_name;
	bool func;

	if (!sym->st_name || type == STT_SECTION || type == STT_FILE)
		return 0;
	if (sym->st_shndx == SHN_UNDEF)
		return driver_add_symbol(&k->d->imports, name, 0, 0, called);
	if (sym->st_shndx >= SHN_LORESERVE)
		return 0;
	func = type == STT_FUNC && strncmp(name, "__pfx_", 6);
	if (!strcmp(name, "init_module"))
		k->d->init = sym->st_value;
	if (!strcmp(name, "cleanup_module"))
		k->d->exit = sym->st_value;
	return driver_add_symbol(&k->d->symbols, name, sym->st_value,
				 sym->st_size, func);
}

/* The strings, with a NUL behind, as names go on being used. */
static int copy_strings(struct ko *k, size_t link, size_t *len)
{
	Elf_Scn *scn = elf_getscn(k->elf, link);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;

	if (!data || !data->d_buf || !data->d_size)
		return -EBADMSG;
	k->d->strings = malloc(data->d_size + 1);
	if (!k->d->strings)
		return -ENOMEM;
	memcpy(k->d->strings, data->d_buf, data->d_size);
	k->d->strings[data->d_size] = 0;
	text_make_printable(k->d->strings, data->d_size);
	*len = data->d_size;
	return 0;
}

static int read_elf_symbols(struct ko *k)
{
	Elf_Data *data = k->symtab ? elf_getdata(k->symtab, NULL) : NULL;
	size_t nr, i, strings_len;
	GElf_Shdr sh;
	GElf_Sym sym;
	bool *called;
	int err;

	if (!data || !data->d_buf || !gelf_getshdr(k->symtab, &sh))
		return -EBADMSG;
	err = copy_strings(k, sh.sh_link, &strings_len);
	if (err)
		return err;
	nr = data->d_size / sizeof(Elf64_Sym);
	called = calloc(nr + 1, sizeof(*called));
	if (!called)
		return -ENOMEM;
	find_calls(k, called, nr);
	for (i = 1; i < nr && !err; i++)
		if (gelf_getsym(data, i, &sym) && sym.st_name < strings_len)
			err = add_elf_symbol(k, &sym, called[i]);
	free(called);
	return err;
}

/* ---- all of it --------------------------------------------------------------- */

/* "/lib/.../snd-dummy.ko.xz": "snd_dummy" */
static void name_by_path(struct ko *k)
{
	const char *base = strrchr(k->path, '/');
	size_t len;

	base = base ? base + 1 : k->path;
	len = strcspn(base, ".");
	if (len >= sizeof(k->d->name))
		len = sizeof(k->d->name) - 1;
	text_fold(k->d->name, base, len);
	chariot_printable(k->d->name);
}

static int read_ko(struct ko *k, uint8_t *data, size_t len)
{
	GElf_Ehdr eh;
	int err;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	k->elf = elf_memory((char *)data, len);
	if (!k->elf)
		return -ENOEXEC;
	if (elf_kind(k->elf) != ELF_K_ELF || !gelf_getehdr(k->elf, &eh) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_type != ET_REL ||
	    eh.e_machine != EM_X86_64 || elf_getshdrstrndx(k->elf, &k->shstr))
		err = -ENOEXEC;
	else
		err = read_ko_sections(k);
	if (!err)
		err = read_elf_symbols(k);
	if (!err && !k->d->name[0])
		name_by_path(k);
	elf_end(k->elf);
	return err;
}

struct chariot_driver *chariot_driver__from_file(const char *path)
{
	struct ko k = { .path = path };
	uint8_t *data;
	size_t len;
	int err;

	k.d = calloc(1, sizeof(*k.d));
	if (!k.d)
		return NULL;
	err = file_read_unpacked(path, &data, &len);
	if (!err) {
		k.d->file = data;
		k.d->file_len = len;
		err = read_ko(&k, data, len);
	}
	if (err) {
		log_err("%s: no Linux module for x86-64: %s", path ?: "no file",
			strerror(-err));
		chariot_driver__free(k.d);
		return err_null(err);
	}
	driver_finish(k.d);
	return k.d;
}
