// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: a module as a file, checked.
 */
#include <stdlib.h>

#include "inline.h"
#include "runtime.h"

#define NAME_VIEW	".text.chariot.view"
#define NAME_INIT_VIEW	".init.text.chariot.view"
#define ADDEND_MAX	(1LL << 40)
#define FRESH_SECTIONS	12	/* at most, with their relocations */
#define OWN_SYMBOLS	(CHARIOT_INLINE_SLOTS + 5)

bool inl_name_is(const struct sec *s, const char *name)
{
	return s->name && !strcmp(s->name, name);
}

/* These are only ever copied from, or are rewritten by the guest's loader. */
static bool moves(const struct sec *s)
{
	static const char *const stay[] = {
		".altinstr_replacement", ".static_call.text", ".plt", ".init.plt",
		".altinstr_aux", ".text.ftrace_trampoline",
	};

	if (!s->exec)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(stay); i++)
		if (inl_name_is(s, stay[i]))
			return false;
	return true;
}

static int read_section(struct module *m, Elf_Scn *scn, size_t names)
{
	size_t ndx = elf_ndxscn(scn);
	struct sec *s = &m->secs[ndx];

	if (!gelf_getshdr(scn, &s->sh))
		return -EBADMSG;
	s->name = elf_strptr(m->elf, names, s->sh.sh_name);
	if (!s->name || s->sh.sh_size > UINT32_MAX / 4)
		return -EBADMSG;
	s->size = s->old_size = s->sh.sh_size;
	if (s->sh.sh_type != SHT_NOBITS) {
		if (s->sh.sh_offset > m->len || s->size > m->len - s->sh.sh_offset)
			return -EBADMSG;
		s->data = m->data + s->sh.sh_offset;
	}
	s->exec = (s->sh.sh_flags & SHF_EXECINSTR) && (s->sh.sh_flags & SHF_ALLOC) &&
		  s->sh.sh_type == SHT_PROGBITS && s->size;
	s->code = moves(s);
	if (s->code) {
		s->at = calloc(s->size + 1, sizeof(*s->at));
		s->mark = calloc(s->size + 1, sizeof(*s->mark));
		if (!s->at || !s->mark)
			return -ENOMEM;
	}
	if (s->sh.sh_type == SHT_SYMTAB) {
		if (m->symtab)
			return -EBADMSG;
		m->symtab = ndx;
	}
	if (inl_name_is(s, ".text.chariot")) {
		log_err("section %s: the module is instrumented already", s->name);
		return -ENOTSUP;
	}
	if (s->sh.sh_type == SHT_REL || s->sh.sh_type == SHT_GROUP ||
	    s->sh.sh_type == SHT_SYMTAB_SHNDX) {
		log_err("section %s: of a kind that is not known in modules", s->name);
		return -ENOTSUP;
	}
	return 0;
}

static int read_sections(struct module *m)
{
	Elf_Scn *scn = NULL;
	size_t names, nr;
	int err = 0;

	if (elf_getshdrstrndx(m->elf, &names) || elf_getshdrnum(m->elf, &nr) ||
	    !nr || nr >= SHN_LORESERVE - FRESH_SECTIONS)
		return -ENOEXEC;
	m->secs = calloc(nr + FRESH_SECTIONS, sizeof(*m->secs));
	if (!m->secs)
		return -ENOMEM;
	m->nr_secs = m->old_secs = nr;
	m->secs[0].name = "";
	while (!err && (scn = elf_nextscn(m->elf, scn)))
		err = read_section(m, scn, names);
	if (!err && !m->symtab)
		err = -ENOEXEC;
	return err;
}

/* ---- symbols ------------------------------------------------------------ */

static int read_symbols(struct module *m)
{
	const struct sec *tab = &m->secs[m->symtab];
	uint32_t nr = tab->size / sizeof(Elf64_Sym);

	m->strtab = tab->sh.sh_link;
	m->first_global = tab->sh.sh_info;
	if (!tab->data || m->strtab >= m->nr_secs || m->first_global > nr || !nr ||
	    !m->secs[m->strtab].data)
		return -EBADMSG;
	m->syms = calloc(nr, sizeof(*m->syms));
	if (!m->syms)
		return -ENOMEM;
	m->nr_syms = nr;
	for (uint32_t i = 0; i < nr; i++) {
		struct symbol *y = &m->syms[i];
		Elf64_Sym s;

		memcpy(&s, tab->data + i * sizeof(s), sizeof(s));
		y->s = s;
		y->name = elf_strptr(m->elf, m->strtab, s.st_name);
		if (!y->name || (s.st_shndx >= m->nr_secs && s.st_shndx < SHN_LORESERVE))
			return -EBADMSG;
	}
	return 0;
}

/* ---- relocations -------------------------------------------------------- */

static unsigned int field_len(uint32_t type)
{
	switch (type) {
	case R_X86_64_NONE:
		return 0;
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	case R_X86_64_32:
	case R_X86_64_32S:
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return 4;
	}
	return ~0u;
}

static int read_rela(struct module *m, uint32_t ndx)
{
	const struct sec *ra = &m->secs[ndx];
	struct sec *s;
	int err = 0;

	if (ra->sh.sh_info >= m->nr_secs || ra->sh.sh_link != m->symtab || !ra->data)
		return -EBADMSG;
	s = &m->secs[ra->sh.sh_info];
	if (s->rela)
		return -EBADMSG;
	s->rela = ndx;
	for (uint32_t i = 0; i < ra->size / sizeof(Elf64_Rela) && !err; i++) {
		Elf64_Rela r;
		unsigned int len;

		memcpy(&r, ra->data + i * sizeof(r), sizeof(r));
		len = field_len(ELF64_R_TYPE(r.r_info));
		if (len == ~0u) {
			log_err("section %s: a relocation of type %u", s->name,
				(unsigned int)ELF64_R_TYPE(r.r_info));
			return -ENOTSUP;
		}
		if (ELF64_R_SYM(r.r_info) >= m->nr_syms || len > s->size ||
		    r.r_offset > s->size - len || r.r_addend > ADDEND_MAX ||
		    r.r_addend < -ADDEND_MAX)
			return -EBADMSG;
		err = rels_add(&s->rel, r.r_offset, ELF64_R_TYPE(r.r_info),
			       ELF64_R_SYM(r.r_info), r.r_addend);
	}
	rels_sort(&s->rel);
	return err;
}

static int read_relocations(struct module *m)
{
	int err = 0;

	for (uint32_t i = 1; i < m->old_secs && !err; i++) {
		const GElf_Shdr *sh = &m->secs[i].sh;

		if (sh->sh_type != SHT_RELA)
			continue;
		if (sh->sh_flags & 0x00100000) {	/* SHF_RELA_LIVEPATCH */
			log_err("section %s: a live patch", m->secs[i].name);
			return -ENOTSUP;
		}
		err = read_rela(m, i);
	}
	return err;
}

bool inl_place(const struct module *m, const struct rel *r, int64_t add,
	       struct place *p)
{
	const GElf_Sym *s = &m->syms[r->sym].s;
	int64_t off = s->st_value + (uint64_t)add;

	if (s->st_shndx == SHN_UNDEF || s->st_shndx >= m->old_secs)
		return false;
	if (off < 0 || off > m->secs[s->st_shndx].size)
		return false;
	*p = (struct place){ s->st_shndx, off };
	return true;
}

/* ---- sections of ours --------------------------------------------------- */

static uint32_t add_section(struct module *m, const char *name, uint32_t type,
			    uint64_t flags, uint64_t align)
{
	struct sec *s = &m->secs[m->nr_secs];

	s->name = name;
	s->fresh = s->changed = true;
	s->sh.sh_type = type;
	s->sh.sh_flags = flags;
	s->sh.sh_addralign = align;
	return m->nr_secs++;
}

static void add_symbol(struct module *m, const char *name, uint32_t type, uint32_t sec,
		       uint32_t off, uint32_t size)
{
	struct symbol *y = &m->fresh[m->nr_fresh++];

	y->name = name;
	y->s.st_info = GELF_ST_INFO(STB_LOCAL, type);
	y->s.st_shndx = sec;
	y->s.st_value = off;
	y->s.st_size = size;
}

static void add_slots(struct module *m)
{
	static const char *const names[CHARIOT_INLINE_SLOTS] = {
		"__chariot_miss_rax", "__chariot_miss_rcx", "__chariot_miss_rdx",
		"__chariot_miss_rbx", "__chariot_range", "__chariot_miss_rbp",
		"__chariot_miss_rsi", "__chariot_miss_rdi", "__chariot_miss_r8",
		"__chariot_miss_r9", "__chariot_miss_r10", "__chariot_miss_r11",
		"__chariot_miss_r12", "__chariot_miss_r13", "__chariot_miss_r14",
		"__chariot_miss_r15",
	};

	for (uint32_t i = 0; i < CHARIOT_INLINE_SLOTS; i++)
		add_symbol(m, names[i], STT_FUNC, m->runtime,
			   i * CHARIOT_INLINE_SLOT, CHARIOT_INLINE_SLOT);
	add_symbol(m, "__chariot_enter", STT_FUNC, m->runtime, RT_ENTER, RT_PARAMS - RT_ENTER);
	add_symbol(m, "__chariot_runtime", STT_FUNC, m->runtime, inl_rt_code - inl_rt,
		   inl_rt_end - inl_rt_code);
	add_symbol(m, "__chariot_gates", STT_FUNC, m->runtime, inl_rt_end - inl_rt, 0);
	add_symbol(m, "__chariot_cache", STT_OBJECT, m->cache, 0, m->secs[m->cache].size);
	add_symbol(m, "__chariot_data", STT_OBJECT, m->own_data, 0, m->secs[m->own_data].size);
}

/* Sections of ours, and a section symbol for each that something can refer to. */
static int add_own(struct module *m)
{
	uint64_t text = SHF_ALLOC | SHF_EXECINSTR;
	uint32_t nr_locals = m->first_global;

	m->cache = add_section(m, ".chariot.cache", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 64);
	m->secs[m->cache].size = m->opts.cache_lines * 8;
	m->own_data = add_section(m, ".chariot.data", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 64);
	m->secs[m->own_data].size = sizeof(struct chariot_inline_data);
	m->runtime = add_section(m, ".text.chariot", SHT_PROGBITS, text, 64);
	m->view = add_section(m, NAME_VIEW, SHT_PROGBITS, text, PAGE_SIZE);
	m->init_view = add_section(m, NAME_INIT_VIEW, SHT_PROGBITS, text, PAGE_SIZE);
	for (uint32_t i = 0; i < m->nr_syms; i++) {
		const GElf_Sym *s = &m->syms[i].s;

		m->syms[i].ndx = i;
		if (GELF_ST_TYPE(s->st_info) == STT_SECTION && i < m->first_global &&
		    s->st_shndx < m->old_secs && !s->st_value)
			m->secs[s->st_shndx].symbol = i;
	}
	for (uint32_t i = 1; i < m->nr_secs; i++) {
		struct sec *s = &m->secs[i];

		if ((!s->code && !s->fresh) || s->symbol)
			continue;
		if (m->nr_fresh >= ARRAY_SIZE(m->fresh) - OWN_SYMBOLS)
			return -ENOTSUP;
		s->symbol = nr_locals + m->nr_fresh;
		add_symbol(m, "", STT_SECTION, i, 0, 0);
	}
	add_slots(m);
	for (uint32_t i = m->first_global; i < m->nr_syms; i++)
		m->syms[i].ndx = i + m->nr_fresh;
	return 0;
}

/* ---- all of it ---------------------------------------------------------- */

int inl_read(struct module *m)
{
	int err;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	m->elf = elf_memory((char *)m->data, m->len);
	if (!m->elf || elf_kind(m->elf) != ELF_K_ELF || !gelf_getehdr(m->elf, &m->eh) ||
	    m->eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    m->eh.e_ident[EI_DATA] != ELFDATA2LSB || m->eh.e_type != ET_REL ||
	    m->eh.e_machine != EM_X86_64)
		return -ENOEXEC;
	err = read_sections(m);
	if (!err)
		err = read_symbols(m);
	if (!err)
		err = read_relocations(m);
	if (!err)
		err = add_own(m);
	return err;
}

void inl_release(struct module *m)
{
	for (uint32_t i = 0; m->secs && i < m->nr_secs; i++) {
		struct sec *s = &m->secs[i];

		free(s->rel.v);
		free(s->at);
		free(s->mark);
		free(s->out.v);
		free(s->rel_out.v);
	}
	free(m->secs);
	free(m->syms);
	free(m->pieces);
	free(m->insns);
	free(m->label_target);
	free(m->gate_of);
	free(m->gates);
	free(m->returns.v);
	free(m->lookups);
	free(m->lookup_code.v);
	free(m->lookup_rels.v);
	elf_end(m->elf);
	m->secs = NULL;
	m->syms = NULL;
	m->pieces = NULL;
	m->insns = NULL;
	m->label_target = NULL;
	m->gate_of = NULL;
	m->gates = NULL;
	m->returns.v = NULL;
	m->lookups = NULL;
	m->lookup_code.v = NULL;
	m->lookup_rels.v = NULL;
	m->elf = NULL;
}
