// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Symbols, types and drivers of stock kernels: from their files, and from the
 * memory of a fake guest; and what bad input does (nothing).
 *
 * CHARIOT_KERNELS: where selftests/env/kernels.sh put the kernels.
 * CHARIOT_FUZZ: mutations for each kind, 0 for none.
 * CHARIOT_TRACE: print the library's log.
 */
#include <bpf/btf.h>
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake-guest.h"
#include "tap.h"

#define SHIFT	0x12600000ULL	/* what KASLR might choose */
#define LOAD	(64UL << 20)	/* where the fake guest has its kernel */
#define EXTRA	(64UL << 20)	/* and from here on, a module */
#define MODULE	0xffffffffc0400000ULL

static const char *kernels;
static unsigned int fuzz = 100;
static uint64_t seed = 0x9e3779b97f4a7c15ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void trace(void *ctx, enum chariot_log_level level, const char *text)
{
	printf("# log %d: %s\n", level, text);
}

/* ---- known facts ----------------------------------------------------------- */

static const struct facts {
	const char *version;
	size_t symbols;			/* at least */
	int64_t net_device;
	size_t e1000_imports;		/* or two less or more, in other builds */
	const char *allocator;
} facts[] = {
	{ "6.1", 90000, 2432, 154, "kmalloc_trace" },
	{ "6.12", 150000, 2560, 150, "__kmalloc_cache_noprof" },
	{ "7.2", 200000, 2816, 154, "__kmalloc_cache_noprof" },
};

static bool kernel_path(const struct facts *f, const char *file, char *path)
{
	struct stat st;

	snprintf(path, 512, "%s/%s/%s", kernels, f->version, file);
	return !stat(path, &st);
}

static bool e1000_path(const struct facts *f, char *path)
{
	static const char *const suffix[] = { "", ".xz", ".zst" };
	char name[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(suffix); i++) {
		snprintf(name, sizeof(name),
			 "modules/kernel/drivers/net/ethernet/intel/e1000/e1000.ko%s",
			 suffix[i]);
		if (kernel_path(f, name, path))
			return true;
	}
	return false;
}

/* Each symbol is found by its name, and its place has a name there. */
static size_t round_trips(const struct chariot_profile *p)
{
	size_t i, bad = 0, named = 0;
	const char *name, *back;
	uint64_t addr, offset;

	for (i = 0; !profile_symbol_at(p, i, &name, &addr, NULL); i++) {
		uint64_t first = chariot_profile__symbol(p, name);

		bad += first > addr;
		back = chariot_profile__name(p, addr, &offset);
		if (!back)
			continue;
		named++;
		bad += offset != 0;
	}
	return named > 80000 ? bad : ~0UL;
}

static void check_types(const struct facts *f, const struct chariot_profile *p)
{
	uint64_t size;
	int64_t value;

	tap_ok(chariot_profile__type_size(p, "sk_buff") == 232,
	       "%s: sizeof(struct sk_buff)", f->version);
	tap_ok(chariot_profile__type_size(p, "net_device") == f->net_device,
	       "%s: sizeof(struct net_device)", f->version);
	tap_ok(chariot_profile__type_size(p, "no_such_thing") == -ENOENT,
	       "%s: no such type", f->version);
	tap_ok(chariot_profile__member(p, "sk_buff", "len", &size) == 112 &&
	       size == 4, "%s: sk_buff.len", f->version);
	tap_ok(chariot_profile__member(p, "sk_buff", "cb[3]", &size) == 43 &&
	       size == 1, "%s: sk_buff.cb[3]", f->version);
	/* next is in an anonymous struct in an anonymous union */
	tap_ok(chariot_profile__member(p, "sk_buff", "next", &size) == 0 &&
	       size == 8, "%s: sk_buff.next", f->version);
	tap_ok(chariot_profile__member(p, "module", "list.prev", &size) == 16,
	       "%s: module.list.prev", f->version);
	tap_ok(chariot_profile__member(p, "sk_buff", "cb[48]", NULL) < 0 &&
	       chariot_profile__member(p, "sk_buff", "cb[", NULL) < 0 &&
	       chariot_profile__member(p, "sk_buff", "", NULL) < 0 &&
	       chariot_profile__member(p, "sk_buff", "len.x", NULL) < 0 &&
	       chariot_profile__member(p, "sk_buff", ".", NULL) < 0,
	       "%s: bad paths", f->version);
	tap_ok(!chariot_profile__symbol(p, NULL) &&
	       chariot_profile__type_size(p, NULL) == -ENOENT &&
	       chariot_profile__member(p, NULL, "len", NULL) == -ENOENT &&
	       chariot_profile__member(p, "sk_buff", NULL, NULL) == -ENOENT &&
	       chariot_profile__enumerator(p, NULL, "X", &value) == -ENOENT &&
	       chariot_profile__enumerator(p, "module_state", NULL, &value) ==
	       -ENOENT, "%s: NULL is no name", f->version);
	tap_ok(!chariot_profile__enumerator(p, "module_state",
					    "MODULE_STATE_COMING", &value) &&
	       value == 1, "%s: enumerator", f->version);
	tap_ok(chariot_profile__enumerator(p, "module_state", "X", &value) ==
	       -ENOENT, "%s: no such enumerator", f->version);
}

static struct chariot_profile *check_file(const struct facts *f)
{
	struct chariot_profile *p;
	char path[512];
	double start = now();

	if (!kernel_path(f, "vmlinuz", path)) {
		tap_skip(f->version, "no kernel in CHARIOT_KERNELS");
		return NULL;
	}
	p = chariot_profile__from_file(path);
	if (!tap_ok(p, "%s: profile from vmlinuz", f->version))
		return NULL;
	printf("# %s, build-id %s, %zu symbols, %.3f s\n",
	       chariot_profile__release(p), chariot_profile__build_id(p),
	       chariot_profile__nr_symbols(p), now() - start);
	tap_ok(!strncmp(chariot_profile__release(p), f->version,
			strlen(f->version)), "%s: release", f->version);
	tap_ok(strlen(chariot_profile__build_id(p)) == 40, "%s: build-id",
	       f->version);
	tap_ok(chariot_profile__nr_symbols(p) > f->symbols, "%s: symbols",
	       f->version);
	tap_ok(chariot_profile__symbol(p, "do_init_module"),
	       "%s: do_init_module", f->version);
	tap_ok(!chariot_profile__symbol(p, "no_such_symbol"),
	       "%s: no such symbol", f->version);
	tap_ok(round_trips(p) == 0, "%s: names and addresses agree",
	       f->version);
	check_types(f, p);
	return p;
}

static bool imports(const struct chariot_driver *d, const char *name)
{
	const struct chariot_symbol *v;
	size_t nr, i;

	v = chariot_driver__imports(d, &nr);
	for (i = 0; i < nr; i++)
		if (!strcmp(v[i].name, name))
			return v[i].func;
	return false;
}

static struct chariot_driver *check_driver_file(const struct facts *f,
						const struct chariot_profile *p)
{
	struct chariot_driver *d;
	size_t nr, nr_sections;
	char path[512];

	if (!e1000_path(f, path)) {
		tap_skip("e1000.ko", "not in CHARIOT_KERNELS");
		return NULL;
	}
	d = chariot_driver__from_file(path);
	if (!tap_ok(d, "%s: e1000.ko", f->version))
		return NULL;
	chariot_driver__imports(d, &nr);
	chariot_driver__sections(d, &nr_sections);
	tap_ok(!strcmp(chariot_driver__name(d), "e1000"), "%s: its name",
	       f->version);
	tap_ok(nr + 2 >= f->e1000_imports && nr <= f->e1000_imports + 2, "%s: imports: %zu", f->version, nr);
	tap_ok(imports(d, f->allocator) && imports(d, "__napi_alloc_skb") |
	       imports(d, "napi_alloc_skb") && !imports(d, "jiffies"),
	       "%s: calls the allocators", f->version);
	tap_ok(nr_sections > 10, "%s: %zu sections", f->version, nr_sections);
	tap_ok(!chariot_driver__link(d, p) &&
	       btf__find_by_name_kind(chariot_driver__btf(d),
				      "e1000_xmit_frame", BTF_KIND_FUNC) > 0,
	       "%s: types over the kernel's", f->version);
	return d;
}

/* ---- a fake guest ------------------------------------------------------------ */

/* Relocations: the one that matters here is the base of the symbol table. */
static void relocate(struct fake_guest *g, const struct image *img,
		     uint64_t text)
{
	uint64_t v, moved = text + SHIFT;
	size_t off;

	for (off = 0; off + 8 <= img->len; off += 8) {
		memcpy(&v, img->data + off, 8);
		if (v == text)
			memcpy(g->mem + LOAD + off, &moved, 8);
	}
}

/* As mark_rodata_ro() and free_initmem() leave it. */
static void make_holes(struct fake_guest *g, const struct chariot_profile *p)
{
	uint64_t etext = chariot_profile__symbol(p, "_etext");
	uint64_t init = chariot_profile__symbol(p, "__init_begin") + SHIFT;
	uint64_t end = chariot_profile__symbol(p, "__init_end") + SHIFT;
	uint64_t gva = ((etext + PAGE_SIZE - 1) & PAGE_MASK) + SHIFT;

	for (; gva & ((2 << 20) - 1); gva += PAGE_SIZE)
		fake_unmap(g, gva);
	for (gva = init; gva < end; gva += 2 << 20)
		if (!(gva & ((2 << 20) - 1)) && gva + (2 << 20) <= end)
			fake_map(g, gva, 1ULL << 40, 2);	/* no memory */
}

static bool same_symbols(const struct chariot_profile *a,
			 const struct chariot_profile *b)
{
	size_t i, nr = chariot_profile__nr_symbols(a);
	uint64_t start = chariot_profile__symbol(a, "_text");
	uint64_t x, y;
	const char *s, *t;

	if (nr != chariot_profile__nr_symbols(b))
		return false;
	for (i = 0; i < nr; i++) {
		profile_symbol_at(a, i, &s, &x, NULL);
		profile_symbol_at(b, i, &t, &y, NULL);
		if (strcmp(s, t) || y != (x < start ? x : x + SHIFT))
			return false;
	}
	return true;
}

static void check_load_point(const struct facts *f, struct fake_guest *g,
			     const struct chariot_profile *p)
{
	uint64_t addr = chariot_profile__symbol(p, "do_init_module");
	uint64_t beside = (addr & ~0xfffULL) + (addr % 4096 < 64 ? 128 : 0);
	int32_t rel = addr - (beside + 5);
	uint8_t call[5] = { 0xe8 }, was[5];

	memcpy(call + 1, &rel, sizeof(rel));
	tap_ok(chariot_profile__load_point(p, &g->space) == addr,
	       "%s: load point", f->version);
	chariot_space__read(&g->space, beside, was, sizeof(was));
	chariot_space__write(&g->space, beside, call, sizeof(call));
	tap_ok(!chariot_profile__load_point(p, &g->space) && errno == ENOEXEC,
	       "%s: no load point that is called from its own page", f->version);
	chariot_space__write(&g->space, beside, was, sizeof(was));
	tap_ok(profile_point(p, &g->space, "oops_enter"),
	       "%s: where the kernel comes when it dies", f->version);
}

static void check_kernel(const struct facts *f, struct fake_guest *g,
			 const struct chariot_profile *p)
{
	uint64_t base = 0xffff9a8000000000ULL;
	struct chariot_kernel k;

	chariot_space__write(&g->space, chariot_profile__symbol(p,
			     "page_offset_base"), &base, 8);
	tap_ok(!chariot_profile__kernel(p, &g->space, &k) &&
	       k.page_offset == base && k.page_struct_size == 64 &&
	       k.stack_size == 16384 && k.preempt_count &&
	       /* from 6.15 on, per-CPU data is not linked at 0 */
	       (k.preempt_count < 0x100000 || k.preempt_count > k.text_end) &&
	       k.percpu_offsets > k.text_end &&
	       k.nr_cpus && k.text_start == chariot_profile__symbol(p, "_text"),
	       "%s: constants of the kernel", f->version);
	printf("# vmemmap %#llx, preempt count %#llx, %llu CPUs\n", k.vmemmap_base,
	       k.preempt_count, k.nr_cpus);
}

static struct chariot_profile *boot(const struct facts *f,
				    struct fake_guest *g, bool la57,
				    const struct chariot_profile *file)
{
	uint64_t text = chariot_profile__symbol(file, "_text");
	uint64_t lstar = chariot_profile__symbol(file, "entry_SYSCALL_64");
	struct chariot_profile *p;
	struct image img;
	char path[512];
	double start;

	kernel_path(f, "vmlinuz", path);
	if (image_from_file(&img, path) ||
	    fake_init(g, LOAD + img.len + EXTRA, la57))
		return NULL;
	fake_load(g, &img, LOAD, SHIFT, chariot_profile__symbol(file, "_etext"));
	relocate(g, &img, text);
	make_holes(g, file);
	image_free(&img);
	start = now();
	p = chariot_profile__from_guest(&g->space, lstar + SHIFT);
	printf("# from guest: %.3f s, %zu reads\n", now() - start, g->reads);
	return p;
}

/* ---- a module in it ------------------------------------------------------------ */

static void put(struct fake_guest *g, const struct chariot_profile *p,
		const char *type, uint64_t gva, const char *path, uint64_t v)
{
	uint64_t size;
	int64_t off = chariot_profile__member(p, type, path, &size);

	if (off >= 0)
		chariot_space__write(&g->space, gva + off, &v, size);
}

/*
 * MODULE: text, +4: rodata, +8: ro_after_init, +12: data with struct module,
 * +16: init text, +20: init data with the symbols; in pages.
 */
#define AT(page)	(MODULE + (page) * PAGE_SIZE)
#define THIS		AT(12)

static void put_memory(struct fake_guest *g, const struct chariot_profile *p)
{
	static const uint64_t start[] = { 0, 12, 4, 8, 16, 20, 24 };
	char path[32];
	int i;

	for (i = 0; i < 7; i++) {
		snprintf(path, sizeof(path), "mem[%d].base", i);
		put(g, p, "module", THIS, path, AT(start[i]));
		snprintf(path, sizeof(path), "mem[%d].size", i);
		put(g, p, "module", THIS, path, 4 * PAGE_SIZE);
	}
	put(g, p, "module", THIS, "core_layout.base", AT(0));
	put(g, p, "module", THIS, "core_layout.text_size", 4 * PAGE_SIZE);
	put(g, p, "module", THIS, "core_layout.ro_size", 8 * PAGE_SIZE);
	put(g, p, "module", THIS, "core_layout.ro_after_init_size",
	    12 * PAGE_SIZE);
	put(g, p, "module", THIS, "core_layout.size", 16 * PAGE_SIZE);
	put(g, p, "module", THIS, "init_layout.base", AT(16));
	put(g, p, "module", THIS, "init_layout.text_size", 4 * PAGE_SIZE);
	put(g, p, "module", THIS, "init_layout.ro_size", 4 * PAGE_SIZE);
	put(g, p, "module", THIS, "init_layout.ro_after_init_size",
	    4 * PAGE_SIZE);
	put(g, p, "module", THIS, "init_layout.size", 8 * PAGE_SIZE);
}

static void put_symbols(struct fake_guest *g, const struct chariot_profile *p)
{
	static const char strings[] =
		"\0demo_init\0demo_open\0demo_data\0kfree\0jiffies\0"
		"__pfx_demo_open\0weak\0percpu_var\0rude\x1b[2J\0";
	Elf64_Sym s[10] = {
		[1] = { 1, STT_FUNC, 0, 1, AT(16), 64 },
		[2] = { 11, STT_FUNC, 0, 2, AT(0) + 16, 128 },
		[3] = { 21, STT_OBJECT, 0, 3, AT(13), 8 },
		[4] = { 31, 0, 0, 0, chariot_profile__symbol(p, "kfree"), 0 },
		[5] = { 37, 0, 0, 0, chariot_profile__symbol(p, "jiffies"), 0 },
		[6] = { 45, STT_FUNC, 0, 2, AT(0), 16 },
		[7] = { 61, STB_WEAK << 4, 0, 0, 0, 0 },
		[8] = { 66, STT_OBJECT, 0, 4, 0x38010, 8 },
		[9] = { 77, STT_FUNC, 0, 2, AT(2), 8 },
	};

	put(g, p, "module", THIS, "kallsyms", AT(20));
	put(g, p, "mod_kallsyms", AT(20), "symtab", AT(21));
	put(g, p, "mod_kallsyms", AT(20), "num_symtab", ARRAY_SIZE(s));
	put(g, p, "mod_kallsyms", AT(20), "strtab", AT(22));
	chariot_space__write(&g->space, AT(21), s, sizeof(s));
	chariot_space__write(&g->space, AT(22), strings, sizeof(strings));
}

/* The types of a real driver, in the kernel's list. */
static void put_btf(struct fake_guest *g, const struct chariot_profile *p,
		    const struct chariot_driver *file)
{
	uint64_t head = chariot_profile__symbol(p, "btf_modules");

	put(g, p, "btf_module", AT(28), "module", THIS);
	put(g, p, "btf_module", AT(28), "btf", AT(29));
	put(g, p, "btf_module", AT(28), "list.next", head);
	put(g, p, "list_head", head, "next", AT(28));
	put(g, p, "btf", AT(29), "data", AT(32));
	put(g, p, "btf", AT(29), "data_size", file->raw_btf_len);
	chariot_space__write(&g->space, AT(32), file->raw_btf,
			     file->raw_btf_len);
}

static void put_module(struct fake_guest *g, const struct chariot_profile *p,
		       const struct chariot_driver *file)
{
	uint64_t head = chariot_profile__symbol(p, "modules");
	uint64_t offsets = chariot_profile__symbol(p, "__per_cpu_offset");
	uint64_t cpu[2] = { 0xffff888000100000, 0xffff888000200000 };
	uint64_t list = chariot_profile__member(p, "module", "list", NULL);
	uint64_t gpa = g->len - EXTRA / 2;
	uint64_t mask = 3, two = 2;
	int i;

	for (i = 0; i < 2048; i++)
		fake_map(g, AT(i), gpa + i * PAGE_SIZE, 1);
	put_memory(g, p);
	put_symbols(g, p);
	put_btf(g, p, file);
	chariot_space__write(&g->space, THIS + chariot_profile__member(p,
			     "module", "name", NULL), "demo_drv", 9);
	put(g, p, "module", THIS, "state", 1);
	put(g, p, "module", THIS, "init", AT(16));
	put(g, p, "module", THIS, "exit", AT(0) + 64);
	put(g, p, "module", THIS, "percpu", 0x38000);
	put(g, p, "module", THIS, "percpu_size", 0x40);
	put(g, p, "module", THIS, "list.next", head);
	put(g, p, "list_head", head, "next", THIS + list);
	chariot_space__write(&g->space, offsets, cpu, sizeof(cpu));
	chariot_space__write(&g->space, chariot_profile__symbol(p,
			     "nr_cpu_ids"), &two, 4);
	chariot_space__write(&g->space, chariot_profile__symbol(p,
			     "__cpu_possible_mask"), &mask, 8);
}

static const struct chariot_section *section(const struct chariot_driver *d,
					     const char *name)
{
	const struct chariot_section *v;
	size_t nr, i;

	v = chariot_driver__sections(d, &nr);
	for (i = nr; i-- > 0; )
		if (!strcmp(v[i].name, name))
			return &v[i];
	return NULL;
}

static bool section_is(const struct chariot_driver *d, const char *name,
		       uint64_t gva, uint64_t len, uint32_t kind)
{
	const struct chariot_section *s = section(d, name);

	return s && s->gva == gva && s->len == len && s->kind == kind;
}

static void check_module(const struct facts *f, struct fake_guest *g,
			 const struct chariot_profile *p)
{
	struct chariot_driver *d;
	size_t nr, nr_imports;
	const char *name;
	uint64_t off;

	tap_ok(chariot_driver__find(p, &g->space, "demo-drv") == THIS,
	       "%s: find a module", f->version);
	tap_ok(!chariot_driver__find(p, &g->space, "nope") && errno == ENOENT &&
	       !chariot_driver__find(p, &g->space, NULL) && errno == ENOENT,
	       "%s: find no module", f->version);
	d = chariot_driver__from_guest(p, &g->space, THIS);
	if (!tap_ok(d, "%s: driver from guest", f->version))
		return;
	chariot_driver__symbols(d, &nr);
	chariot_driver__imports(d, &nr_imports);
	tap_ok(!strcmp(chariot_driver__name(d), "demo_drv") &&
	       chariot_driver__init(d) == AT(16) &&
	       chariot_driver__exit(d) == AT(0) + 64 && nr == 6 &&
	       nr_imports == 3, "%s: its parts", f->version);
	tap_ok(section_is(d, "text", AT(0), 4 * PAGE_SIZE,
			  CHARIOT_RANGE_TEXT) &&
	       section_is(d, "rodata", AT(4), 4 * PAGE_SIZE,
			  CHARIOT_NR_RANGE_KINDS) &&
	       section_is(d, "ro_after_init", AT(8), 4 * PAGE_SIZE,
			  CHARIOT_RANGE_INIT_DATA) &&
	       section_is(d, "data", AT(12), 4 * PAGE_SIZE,
			  CHARIOT_RANGE_DATA) &&
	       section_is(d, "init.text", AT(16), 4 * PAGE_SIZE,
			  CHARIOT_RANGE_INIT_TEXT) &&
	       section_is(d, "init.data", AT(20), 4 * PAGE_SIZE,
			  CHARIOT_RANGE_INIT_DATA), "%s: its sections",
	       f->version);
	tap_ok(section_is(d, "percpu", 0xffff888000238000, 0x40,
			  CHARIOT_RANGE_DATA), "%s: its per-CPU data",
	       f->version);
	tap_ok(imports(d, "kfree") && !imports(d, "jiffies") &&
	       !imports(d, "weak"), "%s: its imports", f->version);
	name = chariot_driver__name_of(d, AT(0) + 20, &off);
	tap_ok(name && !strcmp(name, "demo_open") && off == 4,
	       "%s: name of an address", f->version);
	name = chariot_driver__name_of(d, AT(2) + 1, &off);
	tap_ok(name && !strcmp(name, "rude?[2J"),
	       "%s: a name that is not printable", f->version);
	name = chariot_driver__name_of(d, 0xffff888000138018, &off);
	tap_ok(name && !strcmp(name, "percpu_var") && off == 8,
	       "%s: name of a per-CPU address", f->version);
	tap_ok(chariot_driver__btf(d) &&
	       btf__find_by_name_kind(chariot_driver__btf(d),
				      "e1000_xmit_frame", BTF_KIND_FUNC) > 0,
	       "%s: its types", f->version);
	chariot_driver__free(d);
}

/* Anything in struct module and the symbols: no crash. */
static void fuzz_module(const struct facts *f, struct fake_guest *g,
			const struct chariot_profile *p)
{
	uint64_t size = chariot_profile__type_size(p, "module"), was;
	unsigned int i, good = 0;

	for (i = 0; i < 4 * fuzz; i++) {
		uint64_t at = i & 1 ? THIS + (rnd() % size & ~7ULL) :
				      AT(20) + (rnd() % (3 * PAGE_SIZE) & ~7ULL);
		uint64_t v = rnd() >> rnd() % 64;
		struct chariot_driver *d;

		chariot_space__read(&g->space, at, &was, 8);
		if (i & 2)
			v ^= was;
		chariot_space__write(&g->space, at, &v, 8);
		d = chariot_driver__from_guest(p, &g->space, THIS);
		good += d != NULL;
		chariot_driver__free(d);
		chariot_driver__find(p, &g->space, "nope");
		chariot_space__write(&g->space, at, &was, 8);
	}
	tap_ok(true, "%s: %u bad modules, %u were good enough", f->version,
	       i, good);
}

static void check_guest(const struct facts *f, bool la57,
			const struct chariot_profile *file,
			const struct chariot_driver *ko)
{
	struct chariot_profile *p;
	struct fake_guest g;

	p = boot(f, &g, la57, file);
	if (tap_ok(p, "%s: profile from guest, %d levels", f->version,
		   la57 ? 5 : 4)) {
		tap_ok(same_symbols(file, p), "%s: as in the file",
		       f->version);
		tap_ok(!strcmp(chariot_profile__release(p),
			       chariot_profile__release(file)) &&
		       !strcmp(chariot_profile__build_id(p),
			       chariot_profile__build_id(file)),
		       "%s: the same kernel", f->version);
		tap_ok(!chariot_profile__from_guest(&g.space, SHIFT),
		       "%s: LSTAR in no kernel", f->version);
		check_load_point(f, &g, p);
		check_kernel(f, &g, p);
		if (ko) {
			put_module(&g, p, ko);
			check_module(f, &g, p);
			fuzz_module(f, &g, p);
		}
	}
	chariot_profile__free(p);
	fake_free(&g);
}

/* ---- bad input ------------------------------------------------------------------ */

#define CUT	(8UL << 20)

/*
 * The symbol table's surroundings as an image of their own, for speed.  *@mid
 * gets the place of the token table's digits there.
 */
static int cut_image(const struct image *img, struct image *cut, size_t *mid)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const uint8_t *end = img->data + img->len, *hit = img->data;
	struct ksyms k;

	cut->base = img->base;
	cut->len = CUT;
	cut->data = malloc(CUT);
	while ((hit = memmem(hit, end - hit, digits, sizeof(digits)))) {
		size_t at = hit++ - img->data, from;

		from = at > CUT / 2 ? (at - CUT / 2) & ~7UL : 0;
		if (from + CUT > img->len)
			break;
		memcpy(cut->data, img->data + from, CUT);
		*mid = at - from;
		if (ksyms_find(&k, cut))
			continue;
		ksyms_free(&k);
		/* The right one when it cannot be done without. */
		cut->data[*mid]++;
		if (ksyms_find(&k, cut)) {
			cut->data[*mid]--;
			return 0;
		}
		ksyms_free(&k);
	}
	return -ENOENT;
}

static void mutate(uint8_t *data, size_t len, size_t mid)
{
	size_t at = rnd() % 4 ? mid + rnd() % 4096 - 2048 : rnd() % len, i, n;

	switch (rnd() % 5) {
	case 0:
		data[at] ^= 1 << rnd() % 8;
		break;
	case 1:
		data[at] = rnd();
		break;
	case 2:
		n = rnd() % 64;
		for (i = at; i < at + n && i < len; i++)
			data[i] = rnd();
		break;
	case 3:
		n = rnd() % 4096;
		for (i = at; i < at + n && i < len; i++)
			data[i] = 0;
		break;
	case 4:
		n = rnd() % 4096 & ~7UL;
		at &= ~7UL;
		for (i = at; i + 8 <= at + n && i + 8 <= len; i += 4) {
			uint32_t v = (i - at) * 512;

			memcpy(data + i, &v, 4);
		}
	}
}

static void fuzz_kallsyms(const struct facts *f)
{
	struct image img, cut = {};
	unsigned int i, good = 0;
	size_t mid = 0, at, n;
	uint8_t saved[16384];
	struct ksyms k;
	char path[512];
	double start = now(), worst = 0, one;

	kernel_path(f, "vmlinuz", path);
	if (image_from_file(&img, path))
		return;
	if (!tap_ok(!cut_image(&img, &cut, &mid), "%s: symbols in a cut image",
		    f->version))
		goto out;
	for (i = 0; i < 4 * fuzz; i++) {
		/* in the tables around the tokens, or in the names */
		at = i & 1 ? mid - 8192 : rnd() % (cut.len - sizeof(saved));
		memcpy(saved, cut.data + at, sizeof(saved));
		for (n = 1 + rnd() % 3; n; n--)
			mutate(cut.data + at, sizeof(saved), 8192);
		one = now();
		if (!ksyms_find(&k, &cut)) {
			good++;
			ksyms_by_name(&k, "do_init_module");
			ksyms_below(&k, img.base + 12345);
			ksyms_free(&k);
		}
		one = now() - one;
		if (one > worst)
			worst = one;
		memcpy(cut.data + at, saved, sizeof(saved));
	}
	tap_ok(worst < 5, "%s: %u bad symbol tables, %u were good enough, "
	       "%.1f s, worst %.3f s", f->version, i, good, now() - start,
	       worst);
out:
	free(cut.data);
	image_free(&img);
}

static void fuzz_btf(const struct facts *f, const struct chariot_profile *p)
{
	uint32_t len;
	const uint8_t *raw = btf__raw_data(chariot_profile__btf(p), &len);
	uint8_t *copy = malloc(len);
	unsigned int i, good = 0;

	memcpy(copy, raw, len);
	for (i = 0; i < fuzz / 2; i++) {
		size_t at = i & 1 ? rnd() % len : rnd() % 4096;
		struct btf_names n = {};
		uint8_t was = copy[at];
		struct btf *btf;
		int32_t id;

		copy[at] = rnd();
		btf = btf_new_checked(copy, i & 2 ? len : rnd() % len, NULL);
		if (btf && !btf_names_init(&n, btf)) {
			good++;
			id = btf_names_find_aggregate(&n, "net_device");
			if (id >= 0)
				btf_member_path(btf, id, "dev.kobj.name", NULL,
						NULL);
		}
		btf_names_free(&n);
		btf__free(btf);
		copy[at] = was;
	}
	free(copy);
	tap_ok(true, "%s: %u bad BTFs, %u were good enough", f->version, i,
	       good);
}

static const char *write_temp(const void *data, size_t len)
{
	static char path[] = "/tmp/chariot-test-XXXXXX";
	int fd;

	strcpy(path, "/tmp/chariot-test-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		return NULL;
	close(fd);
	return path;
}

static void try_file(const void *data, size_t len)
{
	const char *path = write_temp(data, len);

	if (!path)
		return;
	chariot_profile__free(chariot_profile__from_file(path));
	chariot_driver__free(chariot_driver__from_file(path));
	unlink(path);
}

static void fuzz_files(const struct facts *f)
{
	char path[512];
	uint8_t *data, was[8];
	unsigned int i;
	size_t len;

	if (kernel_path(f, "vmlinuz", path) && !file_read(path, &data, &len)) {
		for (i = 0; i < 24; i++)
			try_file(data, i < 12 ? (size_t)1 << i * 2 >> 1 :
					rnd() % len);
		free(data);
		tap_ok(true, "%s: %u truncated vmlinuz", f->version, i);
	}
	if (!e1000_path(f, path) || file_read_unpacked(path, &data, &len))
		return;
	for (i = 0; i < fuzz; i++) {
		size_t at = i & 1 ? rnd() % (len - 8) : rnd() % 64;

		/* the section headers are at the end */
		if (i % 4 == 3)
			at = len - 8 - rnd() % 4096;
		memcpy(was, data + at, 8);
		memset(data + at, rnd(), 1 + rnd() % 8);
		data[at] ^= rnd();
		try_file(data, i & 7 ? len : rnd() % len);
		memcpy(data + at, was, 8);
	}
	free(data);
	tap_ok(true, "%s: %u bad modules", f->version, i);
}

static void check_bad_files(void)
{
	uint8_t junk[65536];
	size_t i;

	for (i = 0; i < sizeof(junk); i++)
		junk[i] = rnd();
	try_file(junk, 0);
	try_file(junk, sizeof(junk));
	memcpy(junk, "\x7f" "ELF\2\1\1", 7);
	try_file(junk, sizeof(junk));
	memcpy(junk + 0x202, "HdrS", 4);
	try_file(junk, sizeof(junk));
	tap_ok(!chariot_profile__from_file("/nonexistent") && errno == ENOENT,
	       "no such file");
	tap_ok(!chariot_profile__from_file("/") && errno, "a directory");
	tap_ok(!chariot_driver__from_file("/nonexistent") && errno == ENOENT,
	       "no such module");
}

/* ---- page tables ------------------------------------------------------------------ */

static void check_space(bool la57)
{
	uint64_t gva = 0xffffffff81000000ULL, gpa, left, v = 0;
	struct fake_guest g;
	char buf[64];

	fake_init(&g, 8 << 20, la57);
	fake_map(&g, gva, 0x200000, 2);
	fake_map(&g, gva + (2 << 20), 0x401000, 1);
	fake_map(&g, 0xffff888000000000ULL, 0, 3);
	tap_ok(!chariot_space__translate(&g.space, gva + 0x12345, &gpa,
					 &left) && gpa == 0x212345 &&
	       left == (2 << 20) - 0x12345, "2M page");
	tap_ok(!chariot_space__translate(&g.space, gva + (2 << 20) + 5, &gpa,
					 &left) && gpa == 0x401005 &&
	       left == PAGE_SIZE - 5, "4K page");
	tap_ok(!chariot_space__translate(&g.space, 0xffff888000654321ULL, &gpa,
					 &left) && gpa == 0x654321 &&
	       left == (1 << 30) - 0x654321, "1G page");
	tap_ok(chariot_space__translate(&g.space, 0x800000000000ULL << 9, &gpa,
					NULL) == -EFAULT, "not canonical");
	memcpy(g.mem + 0x3ffffc, "over", 4);
	memcpy(g.mem + 0x401000, " the edge", 10);
	tap_ok(!chariot_space__read(&g.space, gva + (2 << 20) - 4, buf, 14) &&
	       !strcmp(buf, "over the edge"), "read over two pages");
	tap_ok(!space_read_str(&g.space, gva + (2 << 20) - 4, buf, 64) &&
	       !strcmp(buf, "over the edge"), "string over two pages");
	tap_ok(chariot_space__read(&g.space, gva + (2 << 20) + 0xff8, buf,
				   16) == -EFAULT, "read into a hole");
	tap_ok(!chariot_space__write(&g.space, gva + (2 << 20) - 4,
				     "OVER AND", 8) &&
	       !memcmp(g.mem + 0x401000, " AND", 4), "write over two pages");
	tap_ok(space_read_uint(&g.space, gva, 3, &v) == -EINVAL, "odd size");
	fake_free(&g);
}

static int count_leaf(void *ctx, uint64_t gva, uint64_t gpa, uint64_t len)
{
	++*(size_t *)ctx;
	return 0;
}

/* A table that leads to itself at every entry. */
static void check_loops(void)
{
	uint64_t *table, gpa;
	struct fake_guest g;
	size_t i, leaves = 0;
	double start = now();

	fake_init(&g, 1 << 20, false);
	table = (uint64_t *)(g.mem + PAGE_SIZE);
	for (i = 0; i < 512; i++)
		table[i] = PAGE_SIZE | 7;
	tap_ok(!chariot_space__translate(&g.space, 0xffffffff81000000ULL, &gpa,
					 NULL) && gpa == PAGE_SIZE,
	       "page tables that loop");
	tap_ok(!space_walk(&g.space, 0xffffffff80000000ULL,
			   0xffffffffc0000000ULL, count_leaf, &leaves) &&
	       leaves == 1 << 18, "walk of page tables that loop");
	tap_ok(!chariot_profile__from_guest(&g.space, 0xffffffff81000000ULL),
	       "no kernel in page tables that loop, %.1f s", now() - start);
	for (i = 0; i < 512; i++)
		table[i] = rnd() | 1;
	chariot_profile__free(chariot_profile__from_guest(&g.space,
			      0xffffffff81000000ULL));
	g.space.cr3 = 1ULL << 45;
	tap_ok(!chariot_profile__from_guest(&g.space, 0xffffffff81000000ULL),
	       "CR3 outside of memory");
	fake_free(&g);
}

int main(void)
{
	const char *top = getenv("CHARIOT_TOP"), *env;
	static char path[512];
	size_t i;

	kernels = getenv("CHARIOT_KERNELS");
	if (!kernels) {
		snprintf(path, sizeof(path), "%s/.cache/kernels",
			 top ? top : ".");
		kernels = path;
	}
	env = getenv("CHARIOT_FUZZ");
	if (env)
		fuzz = atoi(env);
	if (getenv("CHARIOT_TRACE"))
		chariot_set_log(trace, NULL);
	check_space(false);
	check_space(true);
	check_loops();
	check_bad_files();
	for (i = 0; i < ARRAY_SIZE(facts); i++) {
		struct chariot_profile *p = check_file(&facts[i]);
		struct chariot_driver *ko;

		if (!p)
			continue;
		ko = check_driver_file(&facts[i], p);
		check_guest(&facts[i], false, p, ko);
		check_guest(&facts[i], true, p, NULL);
		chariot_driver__free(ko);
		fuzz_kallsyms(&facts[i]);
		fuzz_btf(&facts[i], p);
		fuzz_files(&facts[i]);
		chariot_profile__free(p);
	}
	return tap_done();
}
