// SPDX-License-Identifier: LGPL-2.1-or-later
#include <elf.h>
#include <gelf.h>

#include "mini.h"

#define IMAGE_GPA	(1UL << 20)
#define MODULE_GPA	(3UL << 20)
#define GUEST_SIZE	(4UL << 20)
#define TEXT_SIZE	(256UL << 10)
#define FILL_SIZE	(20UL << 10)	/* of it, at its end: unused */
#define DATA_SIZE	(16UL << 10)
#define VMEMMAP		0xffffea0000000000ULL
#define SPACING		32		/* of functions */
#define MIN_SYMBOLS	4200
#define SPINS		"spin", "read", "write"

extern const uint8_t mini_old_btf[], mini_old_btf_end[], mini_new_btf[],
	mini_new_btf_end[], mini_old_ko[], mini_old_ko_end[], mini_new_ko[],
	mini_new_ko_end[];

/* Made by the Makefile out of guest/. */
#define TAKE_IN(name, file) \
	asm(".pushsection .rodata\n" \
	    ".balign 16\n" #name ": .incbin \"" GUEST_DIR "/" file "\"\n" \
	    #name "_end: .byte 0\n.popsection\n")
TAKE_IN(mini_old_btf, "kernel-old.btf");
TAKE_IN(mini_new_btf, "kernel-new.btf");
TAKE_IN(mini_old_ko, "driver-old.ko");
TAKE_IN(mini_new_ko, "driver-new.ko");

const char *const mini_names[] = {
#include "names.inc"
};
const size_t mini_nr_names = ARRAY_SIZE(mini_names);

/* ---- symbols ---------------------------------------------------------------- */

struct sym {
	char name[64];
	uint64_t addr;
	char type;
};

struct maker {
	struct mini *m;
	struct sym *syms;
	size_t nr;
	uint64_t text, data;		/* where the next one goes */
	size_t pos;			/* in the image */
};

static void add(struct maker *k, const char *name, uint64_t addr, char type)
{
	struct sym *s = &k->syms[k->nr++];

	snprintf(s->name, sizeof(s->name), "%s", name);
	s->addr = addr;
	s->type = type;
}

static uint64_t add_data(struct maker *k, const char *name, size_t len)
{
	uint64_t addr = k->data;

	add(k, name, addr, 'D');
	k->data += (len + 15) & ~15UL;
	return addr;
}

static bool has(const struct maker *k, const char *name)
{
	for (size_t i = 0; i < k->nr; i++)
		if (!strcmp(k->syms[i].name, name))
			return true;
	return false;
}

static void add_func(struct maker *k, const char *name)
{
	if (has(k, name))
		return;
	add(k, name, k->text, 'T');
	k->text += SPACING;
}

static void add_variables(struct maker *k)
{
	static const char *const names[] = {
		"modules", "btf_modules", "__per_cpu_offset", "nr_cpu_ids",
		"__cpu_possible_mask", "module_notify_list", "page_offset_base",
		"vmemmap_base", "usb_hcds_loaded", "jiffies",
	};

	k->data = MINI_TEXT + TEXT_SIZE;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_data(k, names[i], 64);
	add_data(k, "linux_banner", 256);
	/* Half of the kernels have one, half the other. */
	if (k->m->btf == mini_old_btf) {
		add(k, "__preempt_count", 0x20000, 'A');
		add(k, "current_task", 0x20008, 'A');
	} else {
		add(k, "pcpu_hot", 0x20000, 'A');
	}
	add(k, "__irq_regs", 0x20010, 'A');
}

static void add_functions(struct maker *k)
{
	static const char *const spins[] = { SPINS };
	static const char *const ends[] = {
		"lock", "unlock", "lock_bh", "unlock_bh", "lock_irq",
		"unlock_irq", "lock_irqsave", "unlock_irqrestore",
	};
	static const char *const things[] = {
		"thing_alloc", "thing_alloc_priv", "thing_new", "thing_peek",
		"thing_get", "thing_find", "thing_opaque", "thing_huge",
		"thing_values", "thing_many", "thing_print", "thing_float",
		"thing_empty", "entry_SYSCALL_64", "do_init_module",
		"__x86_indirect_thunk_rax", "__x86_indirect_thunk_rbx",
	};
	char name[64];

	k->text = MINI_TEXT;
	add(k, "_text", k->text, 'T');
	add(k, "_stext", k->text, 'T');
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		add_func(k, things[i]);
	for (size_t i = 0; i < ARRAY_SIZE(spins); i++)
		for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
			snprintf(name, sizeof(name), "_raw_%s_%s", spins[i],
				 ends[e]);
			add_func(k, name);
		}
	for (size_t i = 0; i < mini_nr_names; i++)
		if (strcmp(mini_names[i], "__asan_load8") &&
		    strcmp(mini_names[i], "init_top_pgt"))
			add_func(k, mini_names[i]);
	for (size_t i = 0; k->nr < MIN_SYMBOLS; i++) {
		snprintf(name, sizeof(name), "other_%zu", i);
		add_func(k, name);
	}
	fuzz_assert(k->text + FILL_SIZE + PAGE_SIZE < MINI_TEXT + TEXT_SIZE);
}

static int by_addr(const void *a, const void *b)
{
	const struct sym *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* ---- kallsyms ---------------------------------------------------------------- */

static void put(struct maker *k, const void *data, size_t len)
{
	memcpy(k->m->img.data + k->pos, data, len);
	k->pos += len;
}

static void put32(struct maker *k, uint32_t v)
{
	put(k, &v, sizeof(v));
}

static void pad(struct maker *k, enum mini_layout l)
{
	size_t align = l == MINI_7_0 ? 4 : 8;

	while (k->pos & (align - 1))
		k->m->img.data[k->pos++] = 0;
}

/* What is negative counts down from the base, the rest is as it is. */
static void put_offsets(struct maker *k, enum mini_layout l)
{
	uint64_t base = MINI_TEXT;

	for (size_t i = 0; i < k->nr; i++) {
		uint64_t addr = k->syms[i].addr;

		if (l == MINI_7_0)
			put32(k, addr - (k->m->img.base + k->pos));
		else if (addr < base)
			put32(k, addr);
		else
			put32(k, base - 1 - addr);
	}
	pad(k, l);
	if (l != MINI_7_0)
		put(k, &base, sizeof(base));
}

/* Each character is its own token; above there are two of longer ones. */
static void put_tokens(struct maker *k, enum mini_layout l)
{
	uint16_t index[256];
	char token[8];

	k->m->tokens = k->pos;
	for (int i = 0; i < 256; i++) {
		index[i] = k->pos - k->m->tokens;
		snprintf(token, sizeof(token), "%s", i == 1 ? "alloc" :
			 i == 2 ? "_lock" : "");
		if (i > ' ' && i < 127)
			token[0] = i, token[1] = 0;
		put(k, token, strlen(token) + 1);
	}
	pad(k, l);
	put(k, index, sizeof(index));
}

static void put_name(struct maker *k, const struct sym *s)
{
	uint8_t packed[80] = { 0, s->type };
	size_t n = 2;

	for (const char *p = s->name; *p; ) {
		int token = !strncmp(p, "alloc", 5) ? 1 :
			    !strncmp(p, "_lock", 5) ? 2 : *p;

		packed[n++] = token;
		p += token < ' ' ? 5 : 1;
	}
	packed[0] = n - 1;
	put(k, packed, n);
}

static void put_kallsyms(struct maker *k, enum mini_layout l)
{
	uint32_t markers[MIN_SYMBOLS / 256 + 2];
	size_t names;

	pad(k, MINI_6_1);
	if (l == MINI_6_1)
		put_offsets(k, l);
	pad(k, l);
	put32(k, k->nr);
	pad(k, l);
	names = k->pos;
	for (size_t i = 0; i < k->nr; i++) {
		if (!(i & 255))
			markers[i / 256] = k->pos - names;
		put_name(k, &k->syms[i]);
	}
	pad(k, l);
	put(k, markers, (k->nr + 255) / 256 * 4);
	pad(k, l);
	put_tokens(k, l);
	pad(k, l);
	if (l != MINI_6_1)
		put_offsets(k, l);
}

/* ---- the image ---------------------------------------------------------------- */

static size_t off(uint64_t addr)
{
	return addr - MINI_TEXT;
}

static uint64_t lookup(const struct maker *k, const char *name)
{
	for (size_t i = 0; i < k->nr; i++)
		if (!strcmp(k->syms[i].name, name))
			return k->syms[i].addr;
	return 0;
}

static void put_contents(struct maker *k, uint64_t notes)
{
	static const char banner[] = "Linux version 6.9.0-mini (fuzz)";
	static const uint8_t note[] = {
		4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0,
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
	};
	static const uint8_t nop[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0, 0 };
	uint64_t cpus = 2, mask = 3, offsets[2] = { 0xffff888000100000,
						    0xffff888000200000 };
	struct mini *m = k->m;
	uint8_t *d = m->img.data;

	for (size_t i = 0; i < off(k->text); i += SPACING)
		memcpy(d + i, nop, sizeof(nop));
	memset(d + TEXT_SIZE - FILL_SIZE, 0xcc, FILL_SIZE);
	memcpy(d + off(lookup(k, "linux_banner")), banner, sizeof(banner));
	memcpy(d + off(lookup(k, "nr_cpu_ids")), &cpus, sizeof(cpus));
	memcpy(d + off(lookup(k, "__cpu_possible_mask")), &mask, sizeof(mask));
	memcpy(d + off(lookup(k, "__per_cpu_offset")), offsets, sizeof(offsets));
	memcpy(d + off(lookup(k, "page_offset_base")),
	       &(uint64_t){ 0xffff888000000000 }, 8);
	memcpy(d + off(lookup(k, "vmemmap_base")),
	       &(uint64_t){ VMEMMAP }, 8);
	memcpy(d + off(notes), note, sizeof(note));
	memcpy(d + off(notes) + sizeof(note), m->btf, m->btf_len);
}

void mini_image(struct mini *m, enum mini_layout layout)
{
	struct maker k = { .m = m };
	uint64_t notes, btf;

	k.syms = calloc(MIN_SYMBOLS + 16, sizeof(*k.syms));
	m->img.base = MINI_TEXT;
	m->img.len = TEXT_SIZE + DATA_SIZE + m->btf_len + MIN_SYMBOLS * 48 +
		     (64UL << 10);
	m->img.len &= PAGE_MASK;
	m->img.data = calloc(1, m->img.len);
	fuzz_assert(k.syms && m->img.data);
	add_variables(&k);
	notes = k.data;
	add(&k, "__start_notes", notes, 'R');
	btf = notes + 36;
	add(&k, "__stop_notes", btf, 'R');
	add(&k, "__start_BTF", btf, 'R');
	add(&k, "__stop_BTF", btf + m->btf_len, 'R');
	add(&k, "_etext", MINI_TEXT + TEXT_SIZE, 'T');
	add(&k, "_end", MINI_TEXT + m->img.len, 'B');
	add_functions(&k);
	put_contents(&k, notes);
	/* From 7.0 on per-CPU variables are linked among the others. */
	for (size_t i = 0; layout == MINI_7_0 && i < k.nr; i++)
		if (k.syms[i].addr < MINI_TEXT)
			k.syms[i].addr += MINI_TEXT + TEXT_SIZE - 0x20000;
	qsort(k.syms, k.nr, sizeof(*k.syms), by_addr);
	k.pos = off(btf + m->btf_len) + 64;
	put_kallsyms(&k, layout);
	fuzz_assert(k.pos <= m->img.len);
	free(k.syms);
}

/* ---- memory ------------------------------------------------------------------ */

struct undo {
	uint64_t gpa;
	size_t len;
	uint8_t was[PAGE_SIZE];
};
static struct undo *undos;
static size_t nr_undos;
#define MAX_UNDOS	4096

static int read_mem(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct mini *m = ctx;

	if (gpa > m->g.len || len > m->g.len - gpa)
		return -EFAULT;
	memcpy(buf, m->g.mem + gpa, len);
	return 0;
}

static int write_mem(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct mini *m = ctx;
	struct undo *u = &undos[nr_undos];

	if (gpa > m->g.len || len > m->g.len - gpa || len > sizeof(u->was) ||
	    nr_undos == MAX_UNDOS)
		return -EFAULT;
	u->gpa = gpa;
	u->len = len;
	memcpy(u->was, m->g.mem + gpa, len);
	nr_undos++;
	memcpy(m->g.mem + gpa, buf, len);
	return 0;
}

static const struct chariot_mem_ops mem_ops = {
	.sz = sizeof(mem_ops), .read = read_mem, .write = write_mem,
};

void mini_poke(struct mini *m, uint64_t gva, const void *data, size_t len)
{
	chariot_space__write(&m->g.space, gva, data, len);
}

void mini_undo(struct mini *m)
{
	while (nr_undos) {
		const struct undo *u = &undos[--nr_undos];

		memcpy(m->g.mem + u->gpa, u->was, u->len);
	}
}

/* ---- the driver in it ---------------------------------------------------------- */

static void set(struct mini *m, const char *type, uint64_t gva,
		const char *path, uint64_t v)
{
	uint64_t size;
	int64_t at = chariot_profile__member(m->profile, type, path, &size);

	if (at >= 0)
		mini_poke(m, gva + at, &v, size);
}

static void set_memory(struct mini *m)
{
	static const uint64_t start[] = { 0, 12, 4, 8, 16, 20, 24 };
	static const char *const sizes[] = {
		"text_size", "ro_size", "ro_after_init_size", "size",
	};
	char path[64];

	for (int i = 0; i < 7; i++) {
		snprintf(path, sizeof(path), "mem[%d].base", i);
		set(m, "module", MINI_THIS, path, MINI_AT(start[i]));
		snprintf(path, sizeof(path), "mem[%d].size", i);
		set(m, "module", MINI_THIS, path, 4 * PAGE_SIZE);
	}
	set(m, "module", MINI_THIS, "core_layout.base", MINI_AT(0));
	set(m, "module", MINI_THIS, "init_layout.base", MINI_AT(16));
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "core_layout.%s", sizes[i]);
		set(m, "module", MINI_THIS, path, (4 + 4 * i) * PAGE_SIZE);
		snprintf(path, sizeof(path), "init_layout.%s", sizes[i]);
		set(m, "module", MINI_THIS, path, (i < 3 ? 4 : 12) * PAGE_SIZE);
	}
}

/* Where the kernel has put a section of the file. */
static uint64_t home(const char *section)
{
	return !strcmp(section, ".text") ? MINI_AT(0) :
	       !strcmp(section, ".rodata") ? MINI_AT(4) :
	       !strcmp(section, ".init.text") ? MINI_AT(16) : MINI_AT(14);
}

static void set_symbols(struct mini *m)
{
	Elf *elf = elf_memory((char *)m->ko, m->ko_len);
	Elf_Scn *scn = NULL;
	Elf_Data *syms = NULL, *strings;
	GElf_Shdr sh;
	Elf64_Sym sym;
	size_t nr, names;

	fuzz_assert(elf && !elf_getshdrstrndx(elf, &names));
	while ((scn = elf_nextscn(elf, scn)) && gelf_getshdr(scn, &sh))
		if (sh.sh_type == SHT_SYMTAB)
			break;
	syms = scn ? elf_getdata(scn, NULL) : NULL;
	strings = syms ? elf_getdata(elf_getscn(elf, sh.sh_link), NULL) : NULL;
	fuzz_assert(syms && strings && syms->d_size <= PAGE_SIZE);
	nr = syms->d_size / sizeof(sym);
	for (size_t i = 0; i < nr; i++) {
		Elf_Scn *in;

		memcpy(&sym, (Elf64_Sym *)syms->d_buf + i, sizeof(sym));
		in = elf_getscn(elf, sym.st_shndx);
		if (sym.st_shndx == SHN_UNDEF)
			sym.st_value = chariot_profile__symbol(m->profile,
				(char *)strings->d_buf + sym.st_name);
		else if (in && gelf_getshdr(in, &sh))
			sym.st_value += home(elf_strptr(elf, names, sh.sh_name));
		mini_poke(m, MINI_SYMTAB + i * sizeof(sym), &sym, sizeof(sym));
	}
	mini_poke(m, MINI_STRTAB, strings->d_buf, strings->d_size);
	elf_end(elf);
	set(m, "module", MINI_THIS, "kallsyms", MINI_KALLSYMS);
	set(m, "mod_kallsyms", MINI_KALLSYMS, "symtab", MINI_SYMTAB);
	set(m, "mod_kallsyms", MINI_KALLSYMS, "num_symtab", nr);
	set(m, "mod_kallsyms", MINI_KALLSYMS, "strtab", MINI_STRTAB);
}

static void set_lists(struct mini *m)
{
	uint64_t modules = chariot_profile__symbol(m->profile, "modules");
	uint64_t btfs = chariot_profile__symbol(m->profile, "btf_modules");
	int64_t list = chariot_profile__member(m->profile, "module", "list", NULL);
	uint64_t btf = MINI_LISTS + 64;
	struct chariot_driver *ko = chariot_driver__from_file(
					fuzz_file(m->ko, m->ko_len));

	fuzz_assert(ko && ko->raw_btf && ko->raw_btf_len <= 3 * PAGE_SIZE);
	mini_poke(m, MINI_BTF, ko->raw_btf, ko->raw_btf_len);
	set(m, "btf", btf, "data", MINI_BTF);
	set(m, "btf", btf, "data_size", ko->raw_btf_len);
	set(m, "btf_module", MINI_LISTS, "module", MINI_THIS);
	set(m, "btf_module", MINI_LISTS, "btf", btf);
	set(m, "list_head", MINI_LISTS, "next", btfs);
	set(m, "list_head", btfs, "next", MINI_LISTS);
	set(m, "module", MINI_THIS, "list.next", modules);
	set(m, "list_head", modules, "next", MINI_THIS + list);
	chariot_driver__free(ko);
}

/* It depends on itself, as far as the guest says. */
static void set_uses(struct mini *m)
{
	static const char *const lists[] = { "source_list", "target_list" };
	uint64_t use = MINI_LISTS + 512, head, node;

	for (int i = 0; i < 2; i++) {
		head = MINI_THIS + chariot_profile__member(m->profile, "module",
							   lists[i], NULL);
		node = use + chariot_profile__member(m->profile, "module_use",
						     lists[i], NULL);
		set(m, "list_head", head, "next", node);
		set(m, "list_head", node, "next", head);
	}
	set(m, "module_use", use, "source", MINI_THIS);
	set(m, "module_use", use, "target", MINI_THIS);
}

/* The second page of the guest is one of a slab cache, the third its tail. */
static void set_slab(struct mini *m)
{
	uint64_t cache = MINI_LISTS + 128;

	set(m, "page", VMEMMAP + 64, "page_type", 0xf5000000);
	set(m, "page", VMEMMAP + 64, "flags", 1 << 9);
	set(m, "slab", VMEMMAP + 64, "slab_cache", cache);
	set(m, "kmem_cache", cache, "size", 192);
	set(m, "page", VMEMMAP + 128, "compound_head", VMEMMAP + 64 + 1);
}

static void load_driver(struct mini *m)
{
	int64_t name = chariot_profile__member(m->profile, "module", "name", NULL);

	for (size_t i = 0; i < MINI_PAGES; i++)
		fake_map(&m->g, MINI_AT(i), MODULE_GPA + i * PAGE_SIZE, 1);
	set_memory(m);
	set_symbols(m);
	set_lists(m);
	set_uses(m);
	set_slab(m);
	mini_poke(m, MINI_THIS + name, "demo_drv", 9);
	set(m, "module", MINI_THIS, "state", 1);
	set(m, "module", MINI_THIS, "init", MINI_AT(16));
	set(m, "module", MINI_THIS, "exit", MINI_AT(0) + 16);
	set(m, "module", MINI_THIS, "percpu", 0x38000);
	set(m, "module", MINI_THIS, "percpu_size", 0x40);
	nr_undos = 0;		/* all this is to stay */
}

static void boot(struct mini *m, enum mini_layout layout)
{
	mini_image(m, layout);
	fuzz_assert(!fake_init(&m->g, GUEST_SIZE, false));
	m->g.space.ops = &mem_ops;
	m->g.space.ctx = m;
	memcpy(m->g.mem + IMAGE_GPA, m->img.data, m->img.len);
	for (size_t at = 0; at < m->img.len; at += PAGE_SIZE)
		fake_map(&m->g, MINI_TEXT + at, IMAGE_GPA + at, 1);
	/* Some of the direct map and of the array of struct page. */
	for (uint64_t at = 0; at < GUEST_SIZE; at += 2UL << 20)
		fake_map(&m->g, 0xffff888000000000 + at, at, 2);
	for (uint64_t at = 0; at < 16 * PAGE_SIZE; at += PAGE_SIZE)
		fake_map(&m->g, VMEMMAP + at, (2UL << 20) + at, 1);
	m->profile = chariot_profile__from_guest(&m->g.space, MINI_TEXT + 4096);
	fuzz_assert(m->profile);
	load_driver(m);
}

static size_t between(const uint8_t *start, const uint8_t *end)
{
	return (uintptr_t)end - (uintptr_t)start;
}

struct mini *mini_get(bool old)
{
	static struct mini minis[2];
	struct mini *m = &minis[old];

	if (m->profile)
		return m;
	if (!undos)
		undos = calloc(MAX_UNDOS, sizeof(*undos));
	fuzz_assert(undos && elf_version(EV_CURRENT) != EV_NONE);
	m->btf = old ? mini_old_btf : mini_new_btf;
	m->btf_len = old ? between(mini_old_btf, mini_old_btf_end) :
			   between(mini_new_btf, mini_new_btf_end);
	m->ko = old ? mini_old_ko : mini_new_ko;
	m->ko_len = old ? between(mini_old_ko, mini_old_ko_end) :
			  between(mini_new_ko, mini_new_ko_end);
	boot(m, old ? MINI_6_1 : MINI_6_4);
	return m;
}

/* ---- what is wrong with it ------------------------------------------------------ */

static uint64_t any_value(struct mini *m, struct choices *c)
{
	static const uint64_t values[] = {
		0, 1, ~0ULL, 1ULL << 63, 0xffff800000000000ULL, 0x7fffffff,
		0xffffffff, MINI_TEXT, MINI_THIS, MINI_BTF, MINI_KALLSYMS,
		MINI_SYMTAB, MINI_STRTAB, MINI_AT(MINI_PAGES) - 8,
		0xffff888000100000, 0xffffea0000000000,
	};
	uint32_t n = choose(c, ARRAY_SIZE(values) + 4);

	if (n < ARRAY_SIZE(values))
		return values[n] + (int8_t)choose(c, 256);
	if (n == ARRAY_SIZE(values))
		return chariot_profile__symbol(m->profile,
			mini_names[choose(c, mini_nr_names)]);
	return choose_bytes(c, 1 << (n - ARRAY_SIZE(values)));
}

void mini_poke_any(struct mini *m, struct choices *c)
{
	const struct { uint64_t gva, len; } places[] = {
		{ MINI_THIS, chariot_profile__type_size(m->profile, "module") },
		{ MINI_LISTS, 256 },
		{ MINI_KALLSYMS, 64 },
		{ MINI_SYMTAB, 1024 },
		{ MINI_STRTAB, 512 },
		{ MINI_BTF, 2048 },
		{ MINI_TEXT + TEXT_SIZE, 1024 },	/* variables */
		{ MINI_TEXT + TEXT_SIZE - FILL_SIZE, FILL_SIZE },
		{ MINI_TEXT, 8192 },
		{ 0xffffea0000000000, 8192 },
	};
	uint32_t kind = choose(c, 256), i = kind % ARRAY_SIZE(places);
	uint64_t gva = places[i].gva + choose(c, 65536) % places[i].len, v;
	uint8_t raw[64];
	size_t n;

	if (kind & 0x80) {	/* bytes as they are */
		n = 1 + choose(c, sizeof(raw));
		for (size_t b = 0; b < n; b++)
			raw[b] = choose(c, 256);
		mini_poke(m, gva, raw, n);
		return;
	}
	v = any_value(m, c);
	n = 1 << kind / ARRAY_SIZE(places) % 4;
	mini_poke(m, gva & -n, &v, n);
}
