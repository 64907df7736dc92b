// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A module of one or two functions, from hexadecimal digits.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DATA_LEN	64
#define CODE_MAX	65536
#define RELS_MAX	64
#define BUGS_MAX	4
#define BUG_LEN		12	/* struct bug_entry */

enum { S_NULL, S_TEXT, S_RELA, S_DATA, S_MCOUNT, S_RELA_MCOUNT, S_BUG, S_RELA_BUG,
       S_SYMTAB, S_STRTAB, S_SHSTRTAB, S_NR };
enum { Y_NULL, Y_TEXT, Y_F, Y_G, Y_DATA, Y_KERNEL, Y_THUNK, Y_NR };

static const char names[] = "\0.text\0.rela.text\0.data\0__mcount_loc\0.rela__mcount_loc\0"
			    "__bug_table\0.rela__bug_table\0.symtab\0.strtab\0.shstrtab";
static const char strings[] = "\0f\0g\0data\0kernel\0__x86_indirect_thunk_rax";

struct making {
	uint8_t code[CODE_MAX];
	Elf64_Rela rels[RELS_MAX], mcount;
	uint32_t len, nr_rels;
	uint32_t f, g;			/* where they begin; no g: 0 */
	uint8_t bugs[BUGS_MAX * BUG_LEN];
	Elf64_Rela bug_rels[BUGS_MAX];
	uint32_t nr_bugs;
	uint8_t *file;
	uint64_t file_len;
	Elf64_Shdr sh[S_NR];
};

static uint32_t offset_of(const char *text, uint32_t len, const char *name)
{
	uint32_t at = 1;

	while (at < len && strcmp(text + at, name))
		at += strlen(text + at) + 1;
	return at;
}

static uint32_t symbol_of(char what)
{
	return what == 'K' ? Y_KERNEL : what == 'J' ? Y_THUNK : what == 'T' ? Y_TEXT : Y_DATA;
}

/*
 * D+n of 4 bytes: data + n by RIP; S: data as an address; T+n: f + n; K: the kernel's
 * symbol; J: its thunk for jumps by RAX.
 */
static void relocation(struct making *k, const char **hex)
{
	char what = *(*hex)++;
	long n = **hex == '+' ? strtol(*hex + 1, (char **)hex, 10) : 0;
	Elf64_Rela *r = &k->rels[k->nr_rels++];

	r->r_offset = k->len;
	r->r_info = ELF64_R_INFO(symbol_of(what),
				 what == 'S' ? R_X86_64_32S : R_X86_64_PC32);
	r->r_addend = what == 'S' ? n : what == 'T' ? k->f + n - 4 : n - 4;
	memset(k->code + k->len, 0, 4);
	k->len += 4;
}

/* ud2 of BUG(), or of WARN() */
static void bug(struct making *k, bool warns)
{
	k->bugs[k->nr_bugs * BUG_LEN + 10] = warns;
	k->bug_rels[k->nr_bugs] = (Elf64_Rela){
		.r_offset = k->nr_bugs * BUG_LEN,
		.r_info = ELF64_R_INFO(Y_TEXT, R_X86_64_PC32), .r_addend = k->len,
	};
	k->nr_bugs++;
	memcpy(k->code + k->len, "\x0f\x0b", 2);
	k->len += 2;
}

static void read_hex(struct making *k, const char *hex)
{
	while (*hex) {
		if (strchr("DSTKJ", *hex)) {
			relocation(k, &hex);
		} else if (!strncmp(hex, "BUG", 3) || *hex == 'W') {	/* BUG, WARN */
			bug(k, *hex == 'W');
			hex += *hex == 'W' ? 4 : 3;
		} else if (*hex == '|') {
			k->g = k->len;
			hex++;
		} else if (*hex == ' ') {
			hex++;
		} else {
			k->code[k->len++] = strtoul((char[]){ hex[0], hex[1], 0 }, NULL, 16);
			hex += 2;
		}
	}
}

static void put_section(struct making *k, int n, const char *name, uint32_t type,
			uint64_t flags, const void *data, uint64_t len)
{
	k->sh[n] = (Elf64_Shdr){
		.sh_name = offset_of(names, sizeof(names), name), .sh_type = type,
		.sh_flags = flags, .sh_offset = k->file_len, .sh_size = len,
		.sh_addralign = 16,
	};
	memcpy(k->file + k->file_len, data, len);
	k->file_len = (k->file_len + len + 15) & ~15ULL;
}

static void put_symbols(struct making *k)
{
	uint32_t f_len = k->g ? k->g : k->len;
	Elf64_Sym y[Y_NR] = {
		[Y_TEXT] = { 0, ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 0, S_TEXT, 0, 0 },
		[Y_F] = { 1, ELF64_ST_INFO(STB_LOCAL, STT_FUNC), 0, S_TEXT, 0, f_len },
		[Y_G] = { 3, ELF64_ST_INFO(STB_LOCAL, k->g ? STT_FUNC : STT_NOTYPE), 0, S_TEXT,
			  k->g, k->g ? k->len - k->g : 0 },
		[Y_DATA] = { 5, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), 0, S_DATA, 0, DATA_LEN },
		[Y_KERNEL] = { 10, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0, SHN_UNDEF, 0, 0 },
		[Y_THUNK] = { 17, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0, SHN_UNDEF, 0, 0 },
	};

	put_section(k, S_SYMTAB, ".symtab", SHT_SYMTAB, 0, y, sizeof(y));
	k->sh[S_SYMTAB].sh_link = S_STRTAB;
	k->sh[S_SYMTAB].sh_info = Y_KERNEL;
}

static void link_rela(struct making *k, int n, int to)
{
	k->sh[n].sh_link = S_SYMTAB;
	k->sh[n].sh_info = to;
	k->sh[n].sh_entsize = sizeof(Elf64_Rela);
}

void *ko_make(const char *hex, bool compiled, uint64_t *len)
{
	static const uint8_t zeros[DATA_LEN];
	struct making *k = calloc(1, sizeof(*k));
	Elf64_Ehdr eh = { .e_ident = ELFMAG, .e_type = ET_REL, .e_machine = EM_X86_64,
			  .e_version = EV_CURRENT, .e_ehsize = sizeof(eh), .e_shnum = S_NR,
			  .e_shentsize = sizeof(Elf64_Shdr), .e_shstrndx = S_SHSTRTAB };
	void *file;

	if (!k)
		return NULL;
	k->file = calloc(1, 2 * CODE_MAX);
	if (!k->file)
		return NULL;
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = EV_CURRENT;
	k->file_len = sizeof(eh);
	if (compiled)
		read_hex(k, "e8K");	/* __fentry__ is whoever __mcount_loc says */
	k->f = k->len;
	read_hex(k, hex);
	k->mcount.r_info = ELF64_R_INFO(Y_F, R_X86_64_64);
	put_section(k, S_TEXT, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, k->code,
		    k->len);
	put_section(k, S_RELA, ".rela.text", SHT_RELA, 0, k->rels,
		    k->nr_rels * sizeof(Elf64_Rela));
	put_section(k, S_DATA, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, zeros, DATA_LEN);
	put_section(k, S_MCOUNT, "__mcount_loc", SHT_PROGBITS, SHF_ALLOC, zeros,
		    compiled ? 8 : 0);
	put_section(k, S_RELA_MCOUNT, ".rela__mcount_loc", SHT_RELA, 0, &k->mcount,
		    compiled ? sizeof(k->mcount) : 0);
	put_section(k, S_BUG, "__bug_table", SHT_PROGBITS, SHF_ALLOC, k->bugs,
		    k->nr_bugs * BUG_LEN);
	put_section(k, S_RELA_BUG, ".rela__bug_table", SHT_RELA, 0, k->bug_rels,
		    k->nr_bugs * sizeof(*k->bug_rels));
	put_symbols(k);
	put_section(k, S_STRTAB, ".strtab", SHT_STRTAB, 0, strings, sizeof(strings));
	put_section(k, S_SHSTRTAB, ".shstrtab", SHT_STRTAB, 0, names, sizeof(names));
	link_rela(k, S_RELA, S_TEXT);
	link_rela(k, S_RELA_MCOUNT, S_MCOUNT);
	link_rela(k, S_RELA_BUG, S_BUG);
	eh.e_shoff = k->file_len;
	memcpy(k->file, &eh, sizeof(eh));
	memcpy(k->file + k->file_len, k->sh, sizeof(k->sh));
	*len = k->file_len + sizeof(k->sh);
	file = k->file;
	free(k);
	return file;
}
