// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which object an address lies in, in a fake guest with bookkeeping as Linux 6.1 and
 * as 6.12 have it; and with such as no kernel has.  No kernel is needed.
 */
#include <stdlib.h>

#include "fake-objects.h"
#include "tap.h"

static struct fake_objects f;
static const char *version;

static void is(const char *what, uint64_t gva, enum object_kind kind,
	       enum object_never never, uint64_t start, uint64_t len)
{
	struct object o;
	int err = object_at(f.x, &f.g.space, gva, &o);

	if (!tap_ok(!err && o.kind == kind && o.never == never &&
		    o.start == start && o.len == len, "%s: %s", version, what))
		printf("# %d: kind %d never %d start %#llx+%lld len %llu\n", err,
		       o.kind, o.never, (unsigned long long)gva,
		       (long long)(o.start - gva), (unsigned long long)o.len);
}

static void unknown(const char *what, uint64_t gva)
{
	struct object o;
	int err = object_at(f.x, &f.g.space, gva, &o);

	tap_ok(err == -ENOENT && !o.kind && !o.len, "%s: %s is not known",
	       version, what);
}

static bool named(uint64_t gva, const char *name)
{
	struct object o;

	return !object_at(f.x, &f.g.space, gva, &o) && !strcmp(o.name, name);
}

/* ---- slabs --------------------------------------------------------------------- */

static void slab_is(const char *what, int i, enum object_never never)
{
	is(what, object(i) + 5, OBJECT_SLAB, never, object(i), OBJECT_SIZE);
}

static void test_slab(void)
{
	put_slab(&f);
	slab_is("an object", 0, OBJECT_MAY);
	is("its last byte", object(0) + OBJECT_SIZE - 1, OBJECT_SLAB, OBJECT_MAY,
	   object(0), OBJECT_SIZE);
	tap_ok(named(object(3), "thing"), "%s: the name of its cache", version);
	slab_is("the last one, on a tail page", NR - 1, OBJECT_MAY);
	unknown("padding behind an object", object(0) + OBJECT_SIZE);
	unknown("padding before one", object(1) - 1);
	unknown("what is left behind the last one", object(NR));
	slab_is("the first one of the slab's free list", 1, OBJECT_FREE);
	slab_is("one in the middle of it", 4, OBJECT_FREE);
	slab_is("its last one", 2, OBJECT_FREE);
	slab_is("the first one of a CPU's free list", 7, OBJECT_FREE);
	slab_is("the last one of that", 9, OBJECT_FREE);
	put_member(&f, "kmem_cache_cpu", AREA + CPU_STEP + 4096, "slab",
		   SLAB_PAGE + 128);
	slab_is("one on the list of a CPU that allocates elsewhere", 7, OBJECT_MAY);
}

static void test_caches(void)
{
	uint64_t list = object(5) + 40;

	put_slab(&f);
	put_variable(&f, "task_struct_cachep", CACHE);
	objects_again(&f);
	slab_is("a task", 5, OBJECT_IDENTITY);
	slab_is("a free one", 4, OBJECT_FREE);
	put_variable(&f, "task_struct_cachep", 0);
	put_variable(&f, "cred_jar", CACHE);
	objects_again(&f);
	slab_is("credentials", 5, OBJECT_IDENTITY);
	put_member(&f, "kmem_cache", CACHE, "refcount", 3);
	put_member(&f, "cred", object(5), "user_ns", symbol(&f, "init_user_ns"));
	slab_is("credentials among others", 5, OBJECT_IDENTITY);
	slab_is("the others", 6, OBJECT_MAY);
	put_variable(&f, "cred_jar", 0);
	put_variable(&f, "vmap_area_cachep", CACHE);
	objects_again(&f);
	put_member(&f, "vmap_area", object(5), "list.next", LISTS);
	put_member(&f, "vmap_area", object(5), "list.prev", LISTS);
	put(&f, LISTS + 8, list, 8);
	slab_is("a vmap_area among others", 5, OBJECT_BOOKKEEPING);
	put(&f, LISTS + 8, list + 8, 8);
	slab_is("what only looks like one", 5, OBJECT_MAY);
	put_variable(&f, "vmap_area_cachep", 0);
	objects_again(&f);
}

/* Each of these once, then all is as it was. */
static void test_bad_slab(void)
{
	static const struct {
		const char *what, *type, *member;
		uint64_t v;
	} bad[] = {
		{ "a slab of no objects", "slab", "objects", 0 },
		{ "a slab of too many", "slab", "objects", 32767 },
		{ "a slab of no cache", "slab", "slab_cache", 0 },
		{ "a cache of user space", "slab", "slab_cache", 0x400000 },
		{ "a cache that is not there", "slab", "slab_cache",
		  0xffff900000000000 },
		{ "size 0", "kmem_cache", "size", 0 },
		{ "a size of 4 GiB", "kmem_cache", "size", 0xffffffff },
		{ "object size 0", "kmem_cache", "object_size", 0 },
		{ "objects larger than their place", "kmem_cache",
		  "object_size", SIZE + 1 },
		{ "a pad larger than an object", "kmem_cache", "red_left_pad",
		  0xffffffff },
		{ "a pointer behind the object", "kmem_cache", "offset",
		  SIZE - 4 },
		{ "an offset of 4 GiB", "kmem_cache", "offset", 0xffffffff },
	};

	uint64_t at;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_slab(&f);
		put_member(&f, bad[i].type, strcmp(bad[i].type, "slab") ? CACHE :
			   SLAB_PAGE, bad[i].member, bad[i].v);
		unknown(bad[i].what, object(3));
	}
	put_slab(&f);
	put_next(&f, 2, object(1));
	unknown("a free list that is a ring", object(3));
	put_next(&f, 2, object(3) + 1);
	unknown("a free list to the middle of an object", object(3));
	at = object(3) + 8 + 32;
	put_next(&f, 2, object(3) + 8);
	put(&f, at, object(5) ^ SECRET ^ __builtin_bswap64(at), 8);
	unknown("what such a list leads to", object(5));
	put_next(&f, 2, 0xffff888123456780);
	unknown("a free list that leaves the slab", object(3));
	put_next(&f, 2, 0);
	put_next(&f, 9, object(7));
	unknown("a CPU's free list that is a ring", object(3));
	put_slab(&f);
	put_member(&f, "kmem_cache", CACHE, "name", 0x123);
	tap_ok(named(object(3), ""), "%s: a name that is not there", version);
	put_member(&f, "kmem_cache", CACHE, "name", STRINGS);
	chariot_space__write(&f.g.space, STRINGS, "a\x1b[31m", 7);
	tap_ok(named(object(3), "a?[31m"), "%s: a name that is not printable",
	       version);
}

/* ---- pages ----------------------------------------------------------------------- */

static void test_pages(void)
{
	uint64_t page = put_page(&f, P0), list = page + 8;

	/* No table has such bytes. */
	chariot_space__write(&f.g.space, kva(P0), "some text, as data has it", 24);
	is("a page", kva(P0) + 100, OBJECT_PAGES, OBJECT_MAY, kva(P0), PAGE_SIZE);
	mark_page(&f, page, "table");
	is("a page table", kva(P0), OBJECT_PAGES, OBJECT_TABLE, kva(P0), PAGE_SIZE);
	put_page(&f, P0);
	put_member(&f, "page", page, "flags", 1 << (f.old ? 12 : 13));
	is("a page from before the allocator", kva(P0), OBJECT_PAGES,
	   OBJECT_BOOKKEEPING, kva(P0), PAGE_SIZE);
	put_page(&f, P0);
	put_member(&f, "page", page, "_refcount.counter", 0);
	is("a later page of an allocation", kva(P0), OBJECT_PAGES, OBJECT_MAY,
	   kva(P0), PAGE_SIZE);
	put_member(&f, "page", page, "lru.next", list);
	put_member(&f, "page", page, "lru.prev", list);
	is("one that was on no list yet", kva(P0), OBJECT_PAGES, OBJECT_MAY,
	   kva(P0), PAGE_SIZE);
	put_member(&f, "page", page, "lru.next", LISTS);
	put_member(&f, "page", page, "lru.prev", LISTS);
	put(&f, LISTS, list, 8);
	put(&f, LISTS + 8, list, 8);
	is("a page on a CPU's free list", kva(P0), OBJECT_PAGES, OBJECT_FREE,
	   kva(P0), PAGE_SIZE);
	put_page(&f, P0);
	mark_page(&f, page, "buddy");
	put_member(&f, "page", page, "private", 2);
	put_member(&f, "page", page, "_refcount.counter", 0);
	is("a free page", kva(P0), OBJECT_PAGES, OBJECT_FREE, kva(P0), PAGE_SIZE);
	put_member(&f, "page", page + 3 * 64, "_refcount.counter", 0);
	is("a later page of that block", kva(P0) + 3 * PAGE_SIZE, OBJECT_PAGES,
	   OBJECT_FREE, kva(P0) + 3 * PAGE_SIZE, PAGE_SIZE);
	put_member(&f, "page", page + 4 * 64, "_refcount.counter", 0);
	is("a page behind it", kva(P0) + 4 * PAGE_SIZE, OBJECT_PAGES, OBJECT_MAY,
	   kva(P0) + 4 * PAGE_SIZE, PAGE_SIZE);
	for (int i = 0; i < 8; i++)
		put_page(&f, P0 + i * PAGE_SIZE);
}

/* Pages @from to @to of P0's are of an allocation that begins with @from. */
static void put_block(int from, int to)
{
	uint64_t page = put_page(&f, P0);

	for (int i = 0; i < 8; i++) {
		put_page(&f, P0 + i * PAGE_SIZE);
		chariot_space__write(&f.g.space, kva(P0) + i * PAGE_SIZE,
				     "some text, as data has it", 24);
		if (i > from && i <= to)
			put_member(&f, "page", page + i * 64, "_refcount.counter", 0);
	}
}

static void test_block(void)
{
	put_block(4, 7);
	is("the last page of four", kva(P0) + 7 * PAGE_SIZE + 9, OBJECT_PAGES,
	   OBJECT_MAY, kva(P0) + 4 * PAGE_SIZE, 4 * PAGE_SIZE);
	is("the second", kva(P0) + 5 * PAGE_SIZE, OBJECT_PAGES, OBJECT_MAY,
	   kva(P0) + 4 * PAGE_SIZE, 2 * PAGE_SIZE);
	is("the first", kva(P0) + 4 * PAGE_SIZE, OBJECT_PAGES, OBJECT_MAY,
	   kva(P0) + 4 * PAGE_SIZE, PAGE_SIZE);
	is("one of its own before it", kva(P0) + 3 * PAGE_SIZE, OBJECT_PAGES,
	   OBJECT_MAY, kva(P0) + 3 * PAGE_SIZE, PAGE_SIZE);
	put_block(3, 5);
	is("where no block of four begins", kva(P0) + 5 * PAGE_SIZE, OBJECT_PAGES,
	   OBJECT_MAY, kva(P0) + 5 * PAGE_SIZE, PAGE_SIZE);
	put_block(-1, -1);
}

static void test_compound(void)
{
	uint64_t page = put_compound(&f, P0, 3), tail = page + 5 * 64;
	uint64_t in = kva(P0) + 5 * PAGE_SIZE + 7;

	is("a tail page", in, OBJECT_PAGES, OBJECT_MAY, kva(P0), 8 * PAGE_SIZE);
	is("its struct page", tail + 9, OBJECT_PAGE_STRUCT, OBJECT_BOOKKEEPING,
	   page, 8 * 64);
	put_member(&f, "page", tail, "compound_head", page + 64 + 1);
	unknown("a tail of a tail", in);
	put_member(&f, "page", tail, "compound_head", page + 8 + 1);
	unknown("a tail of what is no struct page", in);
	put_member(&f, "page", tail, "compound_head", 0x1001);
	unknown("a tail of user space", in);
	put_member(&f, "page", tail, "compound_head", tail + 1);
	unknown("a tail of itself", in);
	put_member(&f, "page", tail, "compound_head", page + 640 + 1);
	unknown("a tail of a later page", in);
	is("the struct page of such a one", tail + 9, OBJECT_PAGE_STRUCT,
	   OBJECT_BOOKKEEPING, tail, 64);
	put_compound(&f, P0, 3);
	if (f.old)
		put_member(&f, "page", page + 64, "compound_order", 200);
	else
		put_member(&f, "folio", page, "_flags_1", 200);
	unknown("a page of order 200", in);
	if (f.old)
		put_member(&f, "page", page + 64, "compound_order", 1);
	else
		put_member(&f, "folio", page, "_flags_1", 1);
	unknown("a tail behind its page's end", in);
	for (int i = 0; i < 8; i++)
		put_page(&f, P0 + i * PAGE_SIZE);
}

static void test_tables(void)
{
	uint64_t gva = VMALLOC + (1ULL << 32), gpa = P0 + 0x20000, table, top;

	fake_map(&f.g, gva, gpa, 1);
	/* The page table of that address is the last one that was made. */
	table = f.g.used - PAGE_SIZE;
	is("a table of the kernel's, not marked", kva(table) + 8, OBJECT_PAGES,
	   OBJECT_TABLE, kva(table), PAGE_SIZE);
	top = P0 + 0x30000;
	memcpy(f.g.mem + top, f.g.mem + f.g.space.cr3, PAGE_SIZE);
	memset(f.g.mem + top, 0, PAGE_SIZE / 2);
	is("the top table of a process", kva(top), OBJECT_PAGES, OBJECT_TABLE,
	   kva(top), PAGE_SIZE);
	memset(f.g.mem + top, 0, PAGE_SIZE);
	is("a page of zeroes", kva(top), OBJECT_PAGES, OBJECT_MAY, kva(top),
	   PAGE_SIZE);
	mark_page(&f, VMEMMAP + (P0 + 0x40000) / PAGE_SIZE * 64, "table");
	put(&f, kva(top) + 8 * 17, (P0 + 0x40000) | 0x67, 8);
	is("a table that leads to one", kva(top), OBJECT_PAGES, OBJECT_TABLE,
	   kva(top), PAGE_SIZE);
	put(&f, kva(top) + 8 * 17, (P0 + 0x50000) | 0x67, 8);
	is("a page that leads to none", kva(top), OBJECT_PAGES, OBJECT_MAY,
	   kva(top), PAGE_SIZE);
	put_page(&f, P0 + 0x40000);
	fake_unmap(&f.g, gva);
}

static void test_image(void)
{
	uint64_t task = symbol(&f, "init_task");

	is("the kernel's text", IMAGE + 1500 * SYMBOL_LEN + 3, OBJECT_SYMBOL,
	   OBJECT_TEXT, symbol(&f, "walker"), SYMBOL_LEN);
	is("read-only data", symbol(&f, "a_constant"), OBJECT_SYMBOL, OBJECT_TEXT,
	   symbol(&f, "a_constant"), SYMBOL_LEN);
	is("a variable", symbol(&f, "jiffies") + 5, OBJECT_SYMBOL, OBJECT_MAY,
	   symbol(&f, "jiffies"), SYMBOL_LEN);
	is("the first task", task + 5, OBJECT_SYMBOL, OBJECT_IDENTITY, task,
	   SYMBOL_LEN);
	is("a page table of the image", symbol(&f, "init_top_pgt"), OBJECT_SYMBOL,
	   OBJECT_TABLE, symbol(&f, "init_top_pgt"), SYMBOL_LEN);
	put_member(&f, "page", VMEMMAP + (task - IMAGE + IMAGE_GPA) / 4096 * 64,
		   "flags", 1 << (f.old ? 12 : 13));
	is("the first task in the direct map", kva(task - IMAGE + IMAGE_GPA) + 5,
	   OBJECT_SYMBOL, OBJECT_IDENTITY, kva(task - IMAGE + IMAGE_GPA),
	   SYMBOL_LEN);
	unknown("an address of user space", 0x400000);
	unknown("an address that none has", 0xff12345678000000);
	unknown("the last byte of all", ~0ULL);
	unknown("the direct map where there is no memory", DIRECT + (1UL << 40));
}

/* ---- mappings ---------------------------------------------------------------------- */

static void map(uint64_t gva, int pages)
{
	for (int i = 0; i < pages; i++)
		fake_map(&f.g, gva + i * PAGE_SIZE, P0 + i * PAGE_SIZE, 1);
}

static void unmap(uint64_t gva, int pages)
{
	for (int i = 0; i < pages; i++)
		fake_unmap(&f.g, gva + i * PAGE_SIZE);
}

static void test_mapping(void)
{
	uint64_t gva = VMALLOC + 0x104000;

	for (int i = 0; i < 16; i++)
		put_page(&f, P0 + i * PAGE_SIZE);
	map(gva, 3);
	map(gva + 0x4000, 2);
	is("a mapping", gva + 0x2010, OBJECT_MAPPING, OBJECT_MAY, gva, 0x3000);
	is("the next one", gva + 0x4000, OBJECT_MAPPING, OBJECT_MAY, gva + 0x4000,
	   0x2000);
	unknown("the guard page between them", gva + 0x3000);
	unmap(gva, 6);
	map(gva, 4);
	is("one that is as large as a stack", gva + 0x20, OBJECT_MAPPING,
	   OBJECT_MAY, gva, 0x4000);
	put(&f, gva, 0x57ac6e9d, 8);
	is("a thread's stack", gva + 0x3020, OBJECT_MAPPING, OBJECT_OTHER_STACK,
	   gva, 0x4000);
	put(&f, gva, 0, 8);
	mark_page(&f, VMEMMAP + (P0 + 0x1000) / PAGE_SIZE * 64, "table");
	is("a mapping of a page table", gva + 0x1004, OBJECT_MAPPING, OBJECT_TABLE,
	   gva, 0x4000);
	put_page(&f, P0 + 0x1000);
	unmap(gva, 4);
	/* 512 GiB further, across a table of the third level. */
	fake_map(&f.g, VMALLOC + (64ULL << 20), P0, 2);
	is("of one that has no end, what is near", VMALLOC + (64ULL << 20) + 5,
	   OBJECT_MAPPING, OBJECT_MAY, VMALLOC + (64ULL << 20), 2UL << 20);
}

/* ---- per-CPU memory ------------------------------------------------------------------ */

static void test_percpu(void)
{
	uint64_t at = AREA + CPU_STEP + CHUNK_OFF + 16, offset;
	struct object o;

	put_chunk(&f);
	is("per-CPU memory", at + 8, OBJECT_PERCPU, OBJECT_MAY, at, 40);
	space_read_uint(&f.g.space, symbol(&f, "__per_cpu_offset") + 8, 8, &offset);
	tap_ok(!object_at(f.x, &f.g.space, at, &o) && o.cpu_offset == offset &&
	       o.start - o.cpu_offset + AREA - symbol(&f, "__per_cpu_start") ==
	       AREA + CHUNK_OFF + 16, "%s: of which CPU it is", version);
	is("what is not allocated", at + 41, OBJECT_PERCPU, OBJECT_FREE, at + 40, 4);
	is("what ends with its chunk", AREA + CHUNK_OFF + 0x3fff, OBJECT_PERCPU,
	   OBJECT_MAY, AREA + CHUNK_OFF + 0x4000 - 64, 64);
	is("a variable for each CPU", AREA + CPU_STEP + SYMBOL_LEN + 9,
	   OBJECT_PERCPU, OBJECT_MAY, AREA + CPU_STEP + SYMBOL_LEN, SYMBOL_LEN);
	tap_ok(named(AREA + SYMBOL_LEN, "counters"), "%s: its name", version);
	is("a stack for each CPU", AREA + 2 * SYMBOL_LEN, OBJECT_PERCPU,
	   OBJECT_OTHER_STACK, AREA + 2 * SYMBOL_LEN, SYMBOL_LEN);
	/* The chunk is in a slab. */
	put_slab(&f);
	put_member(&f, "pcpu_chunk", CHUNK, "md_blocks", object(20));
	chariot_space__write(&f.g.space, STRINGS, "kmalloc-96", 11);
	slab_is("a map of such memory", 20, OBJECT_BOOKKEEPING);
	slab_is("another object of its size", 21, OBJECT_MAY);
	map(VMALLOC, 2);
	put_member(&f, "pcpu_chunk", CHUNK, "md_blocks", VMALLOC);
	is("a large map", VMALLOC + 0x1004, OBJECT_MAPPING, OBJECT_BOOKKEEPING,
	   VMALLOC, 0x2000);
	unmap(VMALLOC, 2);
}

static void test_bad_percpu(void)
{
	uint64_t at = AREA + CHUNK_OFF + 16, page = at & PAGE_MASK;

	put_chunk(&f);
	put_member(&f, "pcpu_chunk", CHUNK, "list.next", CHUNK);
	is("a list of chunks that is a ring", at + (32 << 10), OBJECT_PAGES,
	   OBJECT_BOOKKEEPING, page + (32 << 10), PAGE_SIZE);
	put_chunk(&f);
	put_member(&f, "pcpu_chunk", CHUNK, "nr_pages", 0x7fffffff);
	is("a chunk of all there is", at, OBJECT_PAGES, OBJECT_BOOKKEEPING, page,
	   PAGE_SIZE);
	put_chunk(&f);
	put_member(&f, "pcpu_chunk", CHUNK, "bound_map", 0x1234);
	is("a map that is not there", at, OBJECT_PAGES, OBJECT_BOOKKEEPING, page,
	   PAGE_SIZE);
	put_chunk(&f);
	put(&f, MAPS + 0x1000, 0, 8);
	is("a map in which nothing begins", at, OBJECT_PAGES, OBJECT_BOOKKEEPING,
	   page, PAGE_SIZE);
	put_chunk(&f);
	put_variable(&f, "pcpu_nr_slots", 0xffffffff);
	put(&f, LISTS + 0x120, 0x33, 8);
	is("lists without end", at, OBJECT_PERCPU, OBJECT_MAY, at, 40);
	put_chunk(&f);
	put_variable(&f, "nr_cpu_ids", 0xffffffff);
	object_index_free(f.x);
	f.x = object_index_new(f.p, &f.g.space);
	tap_ok(!f.x && errno == EBADMSG, "%s: four thousand million CPUs", version);
	put_variable(&f, "nr_cpu_ids", 2);
	objects_again(&f);
}

/* ---- modules ------------------------------------------------------------------------- */

static void test_module(void)
{
	put_module(&f);
	is("a module's text", MODULES + 9, OBJECT_SYMBOL, OBJECT_TEXT, MODULES,
	   PAGE_SIZE);
	is("its read-only data", MODULES + 0x1009, OBJECT_SYMBOL, OBJECT_TEXT,
	   MODULES + 0x1000, PAGE_SIZE);
	is("a variable of a module", MODULES + 0x2050, OBJECT_SYMBOL,
	   OBJECT_MODULE, MODULES + 0x2040, 0x20);
	tap_ok(named(MODULES + 0x2050, "two"), "%s: its name", version);
	tap_ok(named(MODULES + 9, "demo"), "%s: the module's, where it has none",
	       version);
	unknown("what no module has", MODULES + 0x5000);
	put_member(&f, "module", MODULE, "list.next", MODULE + 8);
	unknown("in a ring of modules, what none has", MODULES + 0x5000);
	put_member(&f, "module", MODULE, "list.next", 0x1234);
	unknown("in a torn list of them, what none has", MODULES + 0x5000);
	put_module(&f);
	put_member(&f, "mod_kallsyms", SYMTAB + 0x800, "num_symtab", 0xffffffff);
	is("with symbols without number, the section", MODULES + 0x2050,
	   OBJECT_SYMBOL, OBJECT_MODULE, MODULES + 0x2000, PAGE_SIZE);
	put_variable(&f, "modules", symbol(&f, "modules"));
}

/* ---- stacks --------------------------------------------------------------------------- */

static void on_stack(const char *what, const char *at, uint64_t sp, uint64_t gva,
		     const char *name, uint64_t start, uint64_t len)
{
	struct object o;
	int err = object_on_stack(f.x, &f.g.space, symbol(&f, at) + 100, sp, TOP,
				  gva, &o);

	if (!tap_ok(name ? !err && o.kind == OBJECT_FRAME && !o.never &&
		    o.start == start && o.len == len && !strcmp(o.name, name) :
		    err == -ENOENT, "%s: %s", version, what))
		printf("# %d: %s %#llx %llu, for %#llx\n", err, o.name,
		       (unsigned long long)o.start, (unsigned long long)o.len,
		       (unsigned long long)gva);
}

static void test_stack(void)
{
	uint64_t sp = STACK + 0x1000, caller = sp + 24 + 0x40;
	uint64_t behind = caller + 24 + 0x18;

	put_rows(&f);
	put(&f, caller - 8, symbol(&f, "caller") + 50, 8);
	put(&f, behind - 8, symbol(&f, "plain") + 50, 8);
	on_stack("locals", "walker", sp, sp + 5, "walker", sp, 0x40);
	on_stack("the last one", "walker", sp, sp + 0x3f, "walker", sp, 0x40);
	on_stack("a saved register is none", "walker", sp, sp + 0x40, NULL, 0, 0);
	on_stack("the other one neither", "walker", sp, sp + 0x48, NULL, 0, 0);
	on_stack("nor the return address", "walker", sp, sp + 0x50, NULL, 0, 0);
	on_stack("locals of the caller", "walker", sp, caller, "caller", caller,
		 0x18);
	on_stack("its registers are none", "walker", sp, caller + 0x18, NULL, 0, 0);
	on_stack("below the stack pointer is nothing", "walker", sp, sp - 8, NULL,
		 0, 0);
	on_stack("nor above the top", "walker", sp, TOP, NULL, 0, 0);
	on_stack("of a part that was moved away, six registers are none",
		 "caller.cold", sp, sp + 120 - 49, "caller.cold", sp, 120 - 48);
	on_stack("the first of them", "caller.cold", sp, sp + 120 - 48, NULL, 0, 0);
	on_stack("a frame pointer that is not known", "pointer", sp, sp, NULL, 0, 0);
}

static void test_exception(void)
{
	uint64_t sp = STACK + 0x1000, regs = sp + 168;

	put_rows(&f);
	put(&f, sp + 128, symbol(&f, "caller") + 50, 8);
	put(&f, sp + 136, 0x10, 8);
	put(&f, sp + 152, regs, 8);
	on_stack("registers of an exception are no locals", "interrupted", sp,
		 sp + 16, NULL, 0, 0);
	on_stack("what was interrupted has some", "interrupted", sp, regs + 8,
		 "caller", regs, 0x18);
	put(&f, sp + 136, 0x33, 8);
	on_stack("not what was interrupted in user space", "interrupted", sp,
		 regs + 8, NULL, 0, 0);
	put(&f, sp + 136, 0x10, 8);
	put(&f, sp + 128, symbol(&f, "walker") + 50, 8);
	put(&f, sp + 152, sp - 32, 8);
	on_stack("not downwards", "interrupted", sp, sp + 8, NULL, 0, 0);
	on_stack("a frame of no size", "looping", sp, sp + 32, NULL, 0, 0);
	for (uint64_t at = sp; at < TOP; at += 8)
		put(&f, at, symbol(&f, "plain") + 50, 8);
	put(&f, sp + 8 * 39, symbol(&f, "walker") + 50, 8);
	on_stack("locals of the 41st frame", "plain", sp, sp + 8 * 41, "walker",
		 sp + 8 * 40, 0x40);
	put(&f, sp + 8 * 39, symbol(&f, "plain") + 50, 8);
	put(&f, sp + 8 * 69, symbol(&f, "walker") + 50, 8);
	on_stack("not of the 71st", "plain", sp, sp + 8 * 71, NULL, 0, 0);
}

static void test_bad_rows(void)
{
	uint64_t sp = STACK + 0x1000, ips = symbol(&f, "__start_orc_unwind_ip");

	put_rows(&f);
	for (uint64_t i = 0; i < SYMBOL_LEN; i += 4)
		put(&f, ips + i, 0x80000000, 4);
	on_stack("rows that begin nowhere", "walker", sp, sp + 5, NULL, 0, 0);
	put_rows(&f);
	for (uint64_t i = 0; i < SYMBOL_LEN; i += 2)
		put(&f, symbol(&f, "__start_orc_unwind") + i, 0xffff, 2);
	on_stack("rows of all ones", "walker", sp, sp + 5, NULL, 0, 0);
	put_rows(&f);
	on_stack("a stack pointer that is not aligned", "walker", sp + 4, sp + 8,
		 NULL, 0, 0);
	on_stack("a stack in user space", "walker", 0x1000, 0x1008, NULL, 0, 0);
}

/* ---- counts ----------------------------------------------------------------------------- */

static void test_counts(void)
{
	static const struct {
		const char *what;
		uint64_t off, len;
		bool yes;
	} task[] = {
		{ "a reference count", 16, 4, true },
		{ "flags", 0, 8, false },
		{ "an element of an array", 40, 4, true },
		{ "across two of them", 42, 4, false },
		{ "flags and more", 12, 8, false },
		{ "behind all", 64, 8, false },
		{ "no bytes", 16, 0, false },
		{ "all bytes", 16, ~0ULL, false },
	};
	struct object o = { .kind = OBJECT_SLAB, .start = object(0), .len = 96 };

	o.type = profile_aggregate(f.p, "task_struct");
	for (size_t i = 0; i < ARRAY_SIZE(task); i++)
		tap_ok(object_is_count(f.x, &o, o.start + task[i].off,
				       task[i].len) == task[i].yes,
		       "%s: %s: %s", version, task[i].what,
		       task[i].yes ? "a count" : "none");
	o.type = 0;
	tap_ok(!object_is_count(f.x, &o, o.start + 16, 4), "%s: of no type", version);
	o.type = 0x7fffffff;
	tap_ok(!object_is_count(f.x, &o, o.start + 16, 4), "%s: of a wrong type",
	       version);
	put_slab(&f);
	tap_ok(!object_at(f.x, &f.g.space, object(3), &o) &&
	       object_is_count(f.x, &o, o.start + 8, 4) &&
	       !object_is_count(f.x, &o, o.start, 4),
	       "%s: a cache that is called as a struct", version);
	tap_ok(!object_at(f.x, &f.g.space, SLAB_PAGE + 64, &o) &&
	       object_is_count(f.x, &o, SLAB_PAGE + 64 + 52, 4) &&
	       !object_is_count(f.x, &o, SLAB_PAGE + 64 + 8, 8),
	       "%s: of a struct page", version);
	tap_ok(object_is_count(f.x, &o, SLAB_PAGE + 64, 8) &&
	       object_is_count(f.x, &o, SLAB_PAGE + 64 + 7, 1) &&
	       !object_is_count(f.x, &o, SLAB_PAGE + 64 + 4, 8),
	       "%s: the flags of a page", version);
}

static void test_all(bool old)
{
	version = old ? "6.1" : "6.12";
	objects_init(&f, old);
	test_slab();
	test_caches();
	test_bad_slab();
	test_pages();
	test_block();
	test_compound();
	test_tables();
	test_image();
	test_mapping();
	test_percpu();
	test_bad_percpu();
	test_module();
	test_stack();
	test_exception();
	test_bad_rows();
	test_counts();
	objects_free(&f);
}

int main(void)
{
	test_all(true);
	test_all(false);
	return tap_done();
}
