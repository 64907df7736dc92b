// SPDX-License-Identifier: LGPL-2.1-or-later
#include <bpf/btf.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake-kernel.h"
#include "fake-objects.h"
#include "vm.h"

#define die(what) do { \
	printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, what); \
	exit(1); } while (0)

/* ---- types ------------------------------------------------------------------- */

/*
 * struct NAME SIZE, then MEMBER TYPE BYTE [BIT:BITS]; old: in 6.1 only, new: in 6.12.
 */
static const char types[] =
	"struct list_head 16; next u64 0; prev u64 8; "
	"struct atomic_t 4; counter u32 0; "
	"struct refcount_t 4; refs atomic_t 0; "
	"struct page 64; flags u64 0; compound_head u64 8; "
	"lru list_head 8; compound_order u8 17 old; private u64 40; "
	"page_type u32 48; _refcount atomic_t 52; "
	"struct folio 128; page page 0; _flags_1 u64 64; "
	"struct slab 64; slab_cache u64 24 old; slab_cache u64 8 new; "
	"freelist u64 32; counters u64 40; objects u32 40 16:15; "
	"struct kmem_cache 128; cpu_slab u64 0; size u32 8; "
	"object_size u32 12; offset u32 16; red_left_pad u32 20; "
	"refcount u32 24; name u64 32; random u64 40; "
	"struct kmem_cache_cpu 24; freelist u64 0; slab u64 16; "
	"struct pcpu_chunk 128; list list_head 0; base_addr u64 16; "
	"alloc_map u64 24; bound_map u64 32; md_blocks u64 40; "
	"start_offset u32 48; end_offset u32 52; nr_pages u32 56; "
	"struct module_layout 32 old; base u64 0 old; size u32 8 old; "
	"text_size u32 12 old; ro_size u32 16 old; "
	"ro_after_init_size u32 20 old; "
	"struct module_memory 16 new; base u64 0 new; size u32 8 new; "
	"struct orcs 24; orc_unwind_ip u64 0; orc_unwind u64 8; "
	"num_orcs u32 16; "
	"struct module 512; list list_head 8; name name 24; "
	"core_layout module_layout 96 old; "
	"init_layout module_layout 128 old; mem mems 96 new; "
	"arch orcs 256; kallsyms u64 288; "
	"struct mod_kallsyms 32; symtab u64 0; num_symtab u32 8; "
	"strtab u64 16; "
	"struct orc_entry 6; sp_offset s16 0; bp_offset s16 2; "
	"sp_reg u32 4 0:4; bp_reg u32 4 4:4; type u32 4 8:2 old; "
	"end u32 4 10:1 old; type u32 4 8:3 new; signal u32 4 11:1 new; "
	"struct task_struct 192; flags u64 0; usage refcount_t 16; "
	"signals counts 32; "
	"struct cred 96; usage atomic_t 0; user_ns u64 16; "
	"struct vmap_area 64; va_start u64 0; list list_head 40; "
	"struct thing 72; flags u64 0; count atomic_t 8; ";

static int type_id(struct btf *btf, const char *name)
{
	int id = btf__find_by_name(btf, name);

	if (id <= 0)
		die(name);
	return id;
}

static void add_enum(struct btf *btf, const char *name, const char *const *names,
		     const int *values)
{
	btf__add_enum(btf, name, 4);
	for (; *names; names++, values++)
		btf__add_enum_value(btf, *names, *values);
}

static void add_enums(struct btf *btf, bool old)
{
	static const char *const flags[] = { "PG_head", "PG_reserved", "PG_slab", NULL };
	static const char *const new_flags[] = { "PG_head", "PG_reserved", NULL };
	static const char *const types[] = { "PGTY_buddy", "PGTY_table", "PGTY_slab", NULL };
	static const char *const mems[] = { "MOD_TEXT", "MOD_DATA", "MOD_RODATA", NULL };

	add_enum(btf, "pageflags", old ? flags : new_flags,
		 (int[]){ old ? 16 : 6, old ? 12 : 13, 9 });
	if (old)
		return;
	add_enum(btf, "pagetype", types, (int[]){ 0xf0, 0xf2, 0xf5 });
	add_enum(btf, "mod_mem_type", mems, (int[]){ 0, 1, 2 });
}

/* Arrays have no name: this one is found by a typedef. */
static void add_array(struct btf *btf, const char *name, const char *of, int nr)
{
	int id = btf__add_array(btf, type_id(btf, "u32"), type_id(btf, of), nr);

	btf__add_typedef(btf, name, id);
}

static void add_struct(struct btf *btf, const char *name, unsigned int size)
{
	size_t len = strlen(name);

	if (!strcmp(name, "module") && btf__find_by_name(btf, "module_memory") > 0)
		add_array(btf, "mems", "module_memory", 7);
	if (!strcmp(name, "task_struct"))
		add_array(btf, "counts", "atomic_t", 4);
	/* What follows goes into the struct, which is the last type. */
	if (len > 2 && !strcmp(name + len - 2, "_t")) {
		btf__add_typedef(btf, name, btf__type_cnt(btf) + 1);
		name = NULL;
	}
	btf__add_struct(btf, name, size);
}

static void add_row(struct btf *btf, const char *row, bool old)
{
	unsigned int at, bit = 0, bits = 0;
	char name[32], type[32];

	if (strstr(row, old ? " new" : " old"))
		return;
	if (sscanf(row, " struct %31s %u", name, &at) == 2)
		add_struct(btf, name, at);
	else if (sscanf(row, " %31s %31s %u %u:%u", name, type, &at, &bit,
			&bits) < 3 ||
		 btf__add_field(btf, name, type_id(btf, type), 8 * at + bit, bits))
		die(row);
}

/* "", "thing", "thing*", "const thing*" */
static int type_of(struct btf *btf, const char *text)
{
	size_t len = strlen(text);
	char name[32];

	if (!len)
		return 0;
	if (text[len - 1] == '*') {
		snprintf(name, sizeof(name), "%.*s", (int)len - 1, text);
		return btf__add_ptr(btf, type_of(btf, name));
	}
	if (!strncmp(text, "const ", 6))
		return btf__add_const(btf, type_of(btf, text + 6));
	return type_id(btf, text);
}

static void add_functions(struct btf *btf)
{
	static const struct {
		const char *name, *result, *args[8];
	} functions[] = {
		{ "walker", "", { "thing*" } },
		{ "caller", "thing*", { "const thing*", "thing**" } },
		{ "pointer", "u32", { "u32", "u64*" } },
		{ "plain", "", { "u64", "u64", "u64", "u64", "u64", "u64", "u64",
				 "u32" } },
	};
	int args[8], result, nr;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		result = type_of(btf, functions[i].result);
		for (nr = 0; nr < 8 && functions[i].args[nr]; nr++)
			args[nr] = type_of(btf, functions[i].args[nr]);
		btf__add_func_proto(btf, result);
		for (int n = 0; n < nr; n++)
			btf__add_func_param(btf, "arg", args[n]);
		btf__add_func(btf, functions[i].name, BTF_FUNC_GLOBAL,
			      btf__type_cnt(btf) - 1);
	}
}

static struct btf *make_types(bool old)
{
	struct btf *btf = btf__new_empty();
	char *text = strdup(types), *rest = text, *row;

	btf__add_int(btf, "u8", 1, 0);
	btf__add_int(btf, "u32", 4, 0);
	btf__add_int(btf, "u64", 8, 0);
	btf__add_int(btf, "s16", 2, BTF_INT_SIGNED);
	add_enums(btf, old);
	add_array(btf, "name", "u8", 56);
	while ((row = strsep(&rest, ";")))
		if (row[strspn(row, " ")])
			add_row(btf, row, old);
	add_functions(btf);
	free(text);
	return btf;
}

/* ---- the kernel ---------------------------------------------------------------- */

/* Symbols of the image by their number; the rest are functions and variables. */
static const struct {
	unsigned int nr;
	const char *name;
} names[] = {
	{ 0, "_text" }, { 1, "_stext" }, { 1500, "walker" }, { 1501, "caller" },
	{ 1502, "pointer" }, { 1503, "interrupted" }, { 1504, "looping" },
	{ 1505, "plain" }, { 1506, "caller.cold" }, { 1600, "_etext" },
	{ 2048, "init_task" }, { 2049, "init_user_ns" }, { 2050, "jiffies" },
	{ 2052, "init_top_pgt" }, { 2056, "modules" },
	{ 2057, "__per_cpu_offset" }, { 2058, "nr_cpu_ids" },
	{ 2059, "pcpu_chunk_lists" }, { 2060, "pcpu_nr_slots" },
	{ 2061, "pcpu_base_addr" }, { 2062, "task_struct_cachep" },
	{ 2063, "cred_jar" }, { 2064, "vmap_area_cachep" },
	{ 2065, "user_ns_cachep" }, { 2066, "pcpu_reserved_chunk" },
	{ 2100, "__per_cpu_start" }, { 2101, "counters" },
	{ 2102, "irq_stack_backing_store" }, { 2103, "current_task" },
	{ 2104, "__per_cpu_end" },
	{ 2200, "__start_orc_unwind_ip" }, { 2201, "__stop_orc_unwind_ip" },
	{ 2202, "__start_orc_unwind" }, { 2300, "__start_rodata" },
	{ 2301, "a_constant" }, { 2302, "__end_rodata" },
	{ 3000, "__start_BTF" }, { 3100, "__stop_BTF" }, { 4095, "_end" },
};

static void name_symbol(unsigned int i, char *name)
{
	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		if (names[n].nr == i) {
			strcpy(name, names[n].name);
			return;
		}
	sprintf(name, "other_%u", i);
}

static void make_kernel(struct fake_objects *f)
{
	struct btf *btf = make_types(f->old);
	struct image img;
	const void *raw;
	uint32_t len;

	if (fake_kernel(&img, IMAGE_LEN, name_symbol))
		die("no kernel");
	raw = btf__raw_data(btf, &len);
	if (!raw || len > 100 * SYMBOL_LEN)
		die("types");
	memcpy(img.data + 3000 * SYMBOL_LEN, raw, len);
	btf__free(btf);
	fake_load(&f->g, &img, IMAGE_GPA, 0, 0);
	image_free(&img);
	f->p = chariot_profile__from_guest(&f->g.space, IMAGE + 4096);
	if (!f->p)
		die("no profile");
}

void objects_init(struct fake_objects *f, bool old)
{
	memset(f, 0, sizeof(*f));
	f->old = old;
	if (fake_init(&f->g, GUEST_LEN, false))
		die("no memory");
	for (uint64_t at = 0; at < GUEST_LEN; at += 2UL << 20)
		fake_map(&f->g, DIRECT + at, at, 2);
	for (uint64_t at = 0; at < GUEST_LEN / PAGE_SIZE * 64; at += PAGE_SIZE)
		fake_map(&f->g, VMEMMAP + at, PAGES_GPA + at, 1);
	make_kernel(f);
	put_variable(f, "nr_cpu_ids", 2);
	put_variable(f, "modules", symbol(f, "modules"));
	for (int cpu = 0; cpu < 2; cpu++)
		put(f, symbol(f, "__per_cpu_offset") + 8 * cpu, DIRECT + FREE_GPA +
		    (2UL << 20) + cpu * CPU_STEP - symbol(f, "__per_cpu_start"), 8);
	for (uint64_t gpa = 0; gpa < GUEST_LEN; gpa += PAGE_SIZE)
		put_page(f, gpa);
	objects_again(f);
}

void objects_again(struct fake_objects *f)
{
	object_index_free(f->x);
	f->x = object_index_new(f->p, &f->g.space);
	if (!f->x)
		die("no index");
}

void objects_free(struct fake_objects *f)
{
	object_index_free(f->x);
	chariot_profile__free(f->p);
	fake_free(&f->g);
}

/* ---- what is in it --------------------------------------------------------------- */

uint64_t symbol(const struct fake_objects *f, const char *name)
{
	uint64_t addr = chariot_profile__symbol(f->p, name);

	if (!addr)
		die(name);
	return addr;
}

void put(struct fake_objects *f, uint64_t gva, uint64_t v, size_t len)
{
	if (chariot_space__write(&f->g.space, gva, &v, len))
		die("not mapped");
}

void put_member(struct fake_objects *f, const char *type, uint64_t gva,
		const char *path, uint64_t v)
{
	uint64_t bit, bits, was, mask;
	size_t len;

	if (profile_member_bits(f->p, type, path, &bit, &bits))
		die(path);
	len = (bit % 8 + bits + 7) / 8;
	mask = bits < 64 ? (1ULL << bits) - 1 : ~0ULL;
	was = 0;
	if (chariot_space__read(&f->g.space, gva + bit / 8, &was, len))
		die(path);
	was &= ~(mask << bit % 8);
	put(f, gva + bit / 8, was | (v & mask) << bit % 8, len);
}

void put_variable(struct fake_objects *f, const char *name, uint64_t v)
{
	put(f, symbol(f, name), v, 8);
}

uint64_t put_page(struct fake_objects *f, uint64_t gpa)
{
	uint64_t page = VMEMMAP + gpa / PAGE_SIZE * 64;

	for (int i = 0; i < 64; i += 8)
		put(f, page + i, 0, 8);
	put_member(f, "page", page, "page_type", 0xffffffff);
	put_member(f, "page", page, "_refcount.counter", 1);
	return page;
}

uint64_t put_compound(struct fake_objects *f, uint64_t gpa, unsigned int order)
{
	uint64_t page = put_page(f, gpa);

	put_member(f, "page", page, "flags", 1ULL << (f->old ? 16 : 6));
	for (uint64_t i = 1; i < 1ULL << order; i++) {
		put_page(f, gpa + i * PAGE_SIZE);
		put_member(f, "page", page + 64 * i, "compound_head", page + 1);
		put_member(f, "page", page + 64 * i, "_refcount.counter", 0);
	}
	if (f->old)
		put_member(f, "page", page + 64, "compound_order", order);
	else
		put_member(f, "folio", page, "_flags_1", order);
	return page;
}

void mark_page(struct fake_objects *f, uint64_t page, const char *what)
{
	bool slab = !strcmp(what, "slab"), buddy = !strcmp(what, "buddy");
	uint64_t flags = 0;

	if (f->old && slab) {
		space_read_uint(&f->g.space, page, 8, &flags);
		put_member(f, "page", page, "flags", flags | 1 << 9);
	} else if (f->old) {
		put_member(f, "page", page, "page_type",
			   0xffffffff & ~(buddy ? 0x80 : 0x200));
	} else {
		put_member(f, "page", page, "page_type",
			   (slab ? 0xf5ULL : buddy ? 0xf0 : 0xf2) << 24);
	}
}

/* ---- made ready ----------------------------------------------------------------- */

uint64_t kva(uint64_t gpa)
{
	return DIRECT + gpa;
}

uint64_t object(int i)
{
	return kva(SLAB_GPA) + i * SIZE + LEFT;
}

void put_next(struct fake_objects *f, int i, uint64_t next)
{
	uint64_t at = object(i) + 32;

	put(f, at, next ^ SECRET ^ __builtin_bswap64(at), 8);
}

static void put_cache(struct fake_objects *f, const char *name)
{
	for (int i = 0; i < 128; i += 8)
		put(f, CACHE + i, 0, 8);
	put_member(f, "kmem_cache", CACHE, "size", SIZE);
	put_member(f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE);
	put_member(f, "kmem_cache", CACHE, "offset", 32);
	put_member(f, "kmem_cache", CACHE, "red_left_pad", LEFT);
	put_member(f, "kmem_cache", CACHE, "refcount", 1);
	put_member(f, "kmem_cache", CACHE, "random", SECRET);
	put_member(f, "kmem_cache", CACHE, "cpu_slab",
		   symbol(f, "__per_cpu_start") + 4096);
	put_member(f, "kmem_cache", CACHE, "name", STRINGS);
	chariot_space__write(&f->g.space, STRINGS, name, strlen(name) + 1);
}

void put_slab(struct fake_objects *f)
{
	uint64_t page = put_compound(f, SLAB_GPA, 1);
	uint64_t cpu = AREA + CPU_STEP + 4096;

	mark_page(f, page, "slab");
	put_member(f, "slab", page, "slab_cache", CACHE);
	put_member(f, "slab", page, "objects", NR);
	put_member(f, "slab", page, "freelist", object(1));
	put_next(f, 1, object(4));
	put_next(f, 4, object(2));
	put_next(f, 2, 0);
	put_member(f, "kmem_cache_cpu", cpu, "slab", page);
	put_member(f, "kmem_cache_cpu", cpu, "freelist", object(7));
	put_next(f, 7, object(9));
	put_next(f, 9, 0);
	put_cache(f, "thing");
}

static void set_bits(struct fake_objects *f, uint64_t map, int from, int to)
{
	uint64_t v;

	for (int i = from; i < to; i++) {
		space_read_uint(&f->g.space, map + i / 8, 1, &v);
		put(f, map + i / 8, v | 1 << i % 8, 1);
	}
}

void put_chunk(struct fake_objects *f)
{
	uint64_t lists = LISTS + 0x100;
	int last = 4 * 4096 / 4;

	for (uint64_t i = 0; i < 0x800; i += 8) {
		put(f, CHUNK + i % 128, 0, 8);
		put(f, MAPS + i, 0, 8);
		put(f, MAPS + 0x1000 + i, 0, 8);
	}
	for (uint64_t i = 0; i < 2 * CPU_STEP; i += PAGE_SIZE) {
		uint64_t page = put_page(f, AREA - DIRECT + i);

		put_member(f, "page", page, "flags", 1 << (f->old ? 12 : 13));
	}
	put_variable(f, "pcpu_base_addr", AREA);
	put_variable(f, "pcpu_chunk_lists", lists);
	put_variable(f, "pcpu_nr_slots", 2);
	put(f, lists, lists, 8);
	put(f, lists + 16, CHUNK, 8);
	put_member(f, "pcpu_chunk", CHUNK, "list.next", lists + 16);
	put_member(f, "pcpu_chunk", CHUNK, "base_addr", AREA + CHUNK_OFF);
	put_member(f, "pcpu_chunk", CHUNK, "nr_pages", 4);
	put_member(f, "pcpu_chunk", CHUNK, "alloc_map", MAPS);
	put_member(f, "pcpu_chunk", CHUNK, "bound_map", MAPS + 0x1000);
	set_bits(f, MAPS, 4, 14);
	set_bits(f, MAPS, last - 16, last);
	set_bits(f, MAPS + 0x1000, 0, 1);
	set_bits(f, MAPS + 0x1000, 4, 5);
	set_bits(f, MAPS + 0x1000, 14, 15);
	set_bits(f, MAPS + 0x1000, last - 16, last - 15);
}

static void put_symbol(struct fake_objects *f, int i, uint64_t value, uint32_t name)
{
	Elf64_Sym sym = { .st_value = value, .st_name = name, .st_shndx = 1 };

	chariot_space__write(&f->g.space, SYMTAB + i * sizeof(sym), &sym,
			     sizeof(sym));
}

void put_module(struct fake_objects *f)
{
	for (int i = 0; i < 8; i++)
		fake_map(&f->g, MODULES + i * PAGE_SIZE, P0 + 0x60000 + i * PAGE_SIZE, 1);
	for (int i = 0; i < 512; i += 8)
		put(f, MODULE + i, 0, 8);
	put_variable(f, "modules", MODULE + 8);
	put_member(f, "module", MODULE, "list.next", symbol(f, "modules"));
	chariot_space__write(&f->g.space, MODULE + 24, "demo", 5);
	put_member(f, "module", MODULE, "kallsyms", SYMTAB + 0x800);
	put_member(f, "mod_kallsyms", SYMTAB + 0x800, "symtab", SYMTAB);
	put_member(f, "mod_kallsyms", SYMTAB + 0x800, "num_symtab", 4);
	put_member(f, "mod_kallsyms", SYMTAB + 0x800, "strtab", SYMTAB + 0x900);
	chariot_space__write(&f->g.space, SYMTAB + 0x900, "\0one\0two\0three", 14);
	put_symbol(f, 1, MODULES + 0x2040, 5);
	put_symbol(f, 2, MODULES + 0x2000, 1);
	put_symbol(f, 3, MODULES + 0x2060, 9);
	if (f->old) {
		put_member(f, "module", MODULE, "core_layout.base", MODULES);
		put_member(f, "module", MODULE, "core_layout.text_size", 0x1000);
		put_member(f, "module", MODULE, "core_layout.ro_size", 0x1800);
		put_member(f, "module", MODULE, "core_layout.ro_after_init_size", 0x2000);
		put_member(f, "module", MODULE, "core_layout.size", 0x3000);
	} else {
		put_member(f, "module", MODULE, "mem[0].base", MODULES);
		put_member(f, "module", MODULE, "mem[0].size", 0x1000);
		put_member(f, "module", MODULE, "mem[2].base", MODULES + 0x1000);
		put_member(f, "module", MODULE, "mem[2].size", 0x1000);
		put_member(f, "module", MODULE, "mem[1].base", MODULES + 0x2000);
		put_member(f, "module", MODULE, "mem[1].size", 0x1000);
	}
}

static int nr_rows;

static void put_row(struct fake_objects *f, uint64_t ip, int kind, int reg, int offset)
{
	uint64_t ips = symbol(f, "__start_orc_unwind_ip");
	uint64_t row = symbol(f, "__start_orc_unwind") + nr_rows * 6;

	if (nr_rows == SYMBOL_LEN / 4)
		abort();
	put(f, ips + 4 * nr_rows, ip - (ips + 4 * nr_rows), 4);
	put_member(f, "orc_entry", row, "sp_offset", offset);
	put_member(f, "orc_entry", row, "sp_reg", reg);
	put_member(f, "orc_entry", row, "type", f->old ? kind : kind + 2);
	nr_rows++;
}

/* endbr64; push rbp; push r12; sub rsp, 0x40; ...: three rows behind the first. */
static void put_function(struct fake_objects *f, const char *name, int frame)
{
	static const uint8_t code[] = {
		0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x41, 0x54, 0x48, 0x83, 0xec, 0x40,
	};
	uint64_t at = symbol(f, name);

	chariot_space__write(&f->g.space, at, code, sizeof(code));
	put_row(f, at, ORC_CALL, ORC_SP, 8);
	put_row(f, at + 5, ORC_CALL, ORC_SP, 16);
	put_row(f, at + 7, ORC_CALL, ORC_SP, 24);
	put_row(f, at + 11, ORC_CALL, ORC_SP, 24 + frame);
}

void put_rows(struct fake_objects *f)
{
	nr_rows = 0;
	put_function(f, "walker", 0x40);
	put_function(f, "caller", 0x18);
	put_function(f, "pointer", 0);
	put_row(f, symbol(f, "pointer") + 15, ORC_CALL, ORC_BP, 16);
	put_row(f, symbol(f, "interrupted"), ORC_REGS, ORC_SP, 0);
	put_row(f, symbol(f, "looping"), ORC_CALL, ORC_SP, 0);
	put_row(f, symbol(f, "plain"), ORC_CALL, ORC_SP, 8);
	put_row(f, symbol(f, "caller.cold"), ORC_CALL, ORC_SP, 128);
	put_row(f, symbol(f, "caller.cold") + 512, ORC_CALL, ORC_SP, 8);
	/* The rest is for nothing. */
	while (nr_rows < SYMBOL_LEN / 4)
		put_row(f, IMAGE + IMAGE_LEN - 4096 + nr_rows, ORC_CALL, 0, 0);
}

/* ---- the module ---------------------------------------------------------------- */

static int (*mock)(unsigned long cmd, void *arg);

static int mock_ioctl(int fd, unsigned long cmd, void *arg)
{
	int r = mock(cmd, arg);

	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

void objects_mock(int (*call)(unsigned long cmd, void *arg))
{
	mock = call;
	vm_ioctl = mock_ioctl;
}
