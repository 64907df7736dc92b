// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What lies at an address of the guest's kernel: by ranges of addresses, then by
 * what the kernel has written down about each.
 */
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>

#include "object-index.h"

#define DIRECT_MAX	(1ULL << 52)
#define MODULES_END	0xffffffffff000000ULL
#define VMALLOC_SIZE	(32ULL << 40)
#define VMALLOC_SIZE_57	(12800ULL << 40)
/* Up to 6.9: types of pages are bits of page_type that are cleared. */
#define OLD_TYPE_BASE	0xf0000000
#define OLD_PG_BUDDY	0x00000080
#define OLD_PG_TABLE	0x00000200

/* ---- reads ------------------------------------------------------------------ */

/* Each search has an end; this is the end of them together. */
static int read_limited(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct limited *l = ctx;

	if (!l->left)
		return -E2BIG;
	l->left--;
	return l->s->ops->read(l->s->ctx, gpa, buf, len);
}

void limit_reads(struct limited *l, const struct chariot_space *s)
{
	static const struct chariot_mem_ops ops = {
		.sz = sizeof(ops), .read = read_limited,
	};

	l->s = s;
	l->left = READS_MAX;
	l->space = *s;
	l->space.ops = &ops;
	l->space.ctx = l;
}

/* ---- structs ---------------------------------------------------------------- */

static const struct {
	enum copied in;
	const char *path;
} members[NR_MEMBERS] = {
	[PAGE_FLAGS] = { C_PAGE, "flags" },
	[PAGE_HEAD] = { C_PAGE, "compound_head" },
	[PAGE_TYPE] = { C_PAGE, "page_type" },
	[PAGE_REFS] = { C_PAGE, "_refcount.counter" },
	[PAGE_LIST] = { C_PAGE, "lru.next" },
	[PAGE_PRIVATE] = { C_PAGE, "private" },
	[PAGE_ORDER] = { C_PAGE, "compound_order" },
	[SLAB_CACHE] = { C_SLAB, "slab_cache" },
	[SLAB_FREE] = { C_SLAB, "freelist" },
	[SLAB_COUNTERS] = { C_SLAB, "counters" },
	[SLAB_OBJECTS] = { C_SLAB, "objects" },
	[CACHE_SIZE] = { C_CACHE, "size" },
	[CACHE_OBJECT_SIZE] = { C_CACHE, "object_size" },
	[CACHE_LEFT] = { C_CACHE, "red_left_pad" },
	[CACHE_OFFSET] = { C_CACHE, "offset" },
	[CACHE_RANDOM] = { C_CACHE, "random" },
	[CACHE_CPU_SLAB] = { C_CACHE, "cpu_slab" },
	[CACHE_NAME] = { C_CACHE, "name" },
	[CACHE_USERS] = { C_CACHE, "refcount" },
	[CPU_CACHE_FREE] = { C_CPU_CACHE, "freelist" },
	[CPU_CACHE_SLAB] = { C_CPU_CACHE, "slab" },
	[CHUNK_LIST] = { C_CHUNK, "list.next" },
	[CHUNK_BASE] = { C_CHUNK, "base_addr" },
	[CHUNK_ALLOCATED] = { C_CHUNK, "alloc_map" },
	[CHUNK_BOUNDS] = { C_CHUNK, "bound_map" },
	[CHUNK_BLOCKS] = { C_CHUNK, "md_blocks" },
	[CHUNK_START] = { C_CHUNK, "start_offset" },
	[CHUNK_END] = { C_CHUNK, "end_offset" },
	[CHUNK_PAGES] = { C_CHUNK, "nr_pages" },
	[MODULE_LIST] = { C_MODULE, "list.next" },
	[MODULE_NAME] = { C_MODULE, "name" },
	[MODULE_CORE] = { C_MODULE, "core_layout" },
	[MODULE_INIT] = { C_MODULE, "init_layout" },
	[MODULE_MEM] = { C_MODULE, "mem" },
	[MODULE_PERCPU] = { C_MODULE, "percpu" },
	[MODULE_PERCPU_SIZE] = { C_MODULE, "percpu_size" },
	[MODULE_ORC_IP] = { C_MODULE, "arch.orc_unwind_ip" },
	[MODULE_ORC] = { C_MODULE, "arch.orc_unwind" },
	[MODULE_NR_ORCS] = { C_MODULE, "arch.num_orcs" },
	[MODULE_KALLSYMS] = { C_MODULE, "kallsyms" },
	[KALLSYMS_SYMBOLS] = { C_KALLSYMS, "symtab" },
	[KALLSYMS_NR] = { C_KALLSYMS, "num_symtab" },
	[KALLSYMS_STRINGS] = { C_KALLSYMS, "strtab" },
	[LAYOUT_BASE] = { C_LAYOUT, "base" },
	[LAYOUT_SIZE] = { C_LAYOUT, "size" },
	[LAYOUT_TEXT] = { C_LAYOUT, "text_size" },
	[LAYOUT_RO] = { C_LAYOUT, "ro_size" },
	[LAYOUT_RO_INIT] = { C_LAYOUT, "ro_after_init_size" },
	[ORC_SP_OFFSET] = { C_ORC, "sp_offset" },
	[ORC_BP_OFFSET] = { C_ORC, "bp_offset" },
	[ORC_SP_REG] = { C_ORC, "sp_reg" },
	[ORC_BP_REG] = { C_ORC, "bp_reg" },
	[ORC_TYPE] = { C_ORC, "type" },
	[ORC_SIGNAL] = { C_ORC, "signal" },
	[ORC_END] = { C_ORC, "end" },
};

static const char *type_name(const struct object_index *x, enum copied what)
{
	static const char *const names[NR_COPIED] = {
		[C_PAGE] = "page", [C_SLAB] = "slab", [C_CACHE] = "kmem_cache",
		[C_CPU_CACHE] = "kmem_cache_cpu", [C_CHUNK] = "pcpu_chunk",
		[C_MODULE] = "module", [C_LAYOUT] = "module_memory",
		[C_KALLSYMS] = "mod_kallsyms", [C_ORC] = "orc_entry",
	};

	if (what == C_LAYOUT &&
	    chariot_profile__type_size(x->p, "module_layout") > 0)
		return "module_layout";		/* up to 6.3 */
	return names[what];
}

static void find_member(struct object_index *x, enum member m,
			const char *type, const char *path)
{
	enum copied in = members[m].in;
	uint64_t bit, bits, end;

	if (!path || profile_member_bits(x->p, type, path, &bit, &bits))
		return;
	end = (bit + bits + 7) / 8;
	if (!bits || bit > COPY_MAX * 8 || end > COPY_MAX)
		return;
	x->field[m] = (struct field){ bit, bits };
	if (x->copied[in] < end)
		x->copied[in] = end;
}

static void find_members(struct object_index *x)
{
	for (int i = 0; i < NR_COPIED; i++) {
		int64_t size = chariot_profile__type_size(x->p,
							  type_name(x, i));

		x->type_size[i] = size > 0 ? size : 0;
	}
	for (int i = 0; i < NR_MEMBERS; i++)
		find_member(x, i, type_name(x, members[i].in), members[i].path);
	/* The second struct page of a compound page, which folio has in it. */
	find_member(x, FOLIO_ORDER, "folio", "_folio_order");
	find_member(x, FOLIO_FLAGS_1, "folio", "_flags_1");
	x->copied[C_PAGE] = x->type_size[C_PAGE];
}

int copy_struct(const struct object_index *x, const struct chariot_space *s,
		enum copied what, uint64_t gva, struct copy *c)
{
	c->gva = gva;
	c->len = x->copied[what];
	return c->len ? chariot_space__read(s, gva, c->b, c->len) : -ENOENT;
}

uint64_t copy_get(const struct object_index *x, const struct copy *c,
		  enum member m)
{
	const struct field f = x->field[m];
	unsigned int shift = f.bit % 8, bytes = (shift + f.bits + 7) / 8;
	uint64_t v = 0;

	if (!f.bits || bytes > sizeof(v) || f.bit / 8 + bytes > c->len)
		return 0;
	memcpy(&v, c->b + f.bit / 8, bytes);
	v >>= shift;
	return f.bits < 64 ? v & ((1ULL << f.bits) - 1) : v;
}

/* ---- the index ---------------------------------------------------------------- */

uint64_t read_variable(const struct object_index *x,
		       const struct chariot_space *s, const char *name,
		       size_t len)
{
	uint64_t at = chariot_profile__symbol(x->p, name), v;

	return at && !space_read_uint(s, at, len, &v) ? v : 0;
}

static void find_marks(struct object_index *x)
{
	static const char *const upper[NR_PAGE_IS] = {
		"PGTY_slab", "PGTY_buddy", "PGTY_table",
	};
	static const uint64_t old[NR_PAGE_IS] = {
		0, OLD_PG_BUDDY, OLD_PG_TABLE,
	};
	int64_t v;

	for (int i = 0; i < NR_PAGE_IS; i++) {
		if (!chariot_profile__enumerator(x->p, "pagetype", upper[i], &v))
			x->marks[i] = (struct page_mark){ MARK_UPPER, v };
		else if (old[i])
			x->marks[i] = (struct page_mark){
				MARK_CLEARED, OLD_TYPE_BASE | old[i],
			};
	}
	if (!x->marks[IS_SLAB].how &&
	    !chariot_profile__enumerator(x->p, "pageflags", "PG_slab", &v))
		x->marks[IS_SLAB] = (struct page_mark){ MARK_FLAG, v };
	x->head_bit = x->reserved_bit = 64;
	if (!chariot_profile__enumerator(x->p, "pageflags", "PG_head", &v))
		x->head_bit = v;
	if (!chariot_profile__enumerator(x->p, "pageflags", "PG_reserved", &v))
		x->reserved_bit = v;
}

/* The lower of both that is above @base. */
static uint64_t range_end(uint64_t base, uint64_t size, uint64_t a, uint64_t b)
{
	uint64_t end = base + size < base ? ~0ULL : base + size;

	if (a > base && a < end)
		end = a;
	return b > base && b < end ? b : end;
}

static void find_ranges(struct object_index *x, const struct chariot_space *s)
{
	bool la57 = s->cr4 & 1 << 12;
	uint64_t direct = x->k.page_offset, vmemmap = x->k.vmemmap_base;

	x->vmalloc = read_variable(x, s, "vmalloc_base", 8);
	if (!x->vmalloc)
		x->vmalloc = la57 ? 0xffa0000000000000 : 0xffffc90000000000;
	x->direct_end = range_end(direct, la57 ? DIRECT_MAX : 1ULL << 46,
				  x->vmalloc, vmemmap);
	x->vmalloc_end = range_end(x->vmalloc, la57 ? VMALLOC_SIZE_57 :
				   VMALLOC_SIZE, direct, vmemmap);
	x->vmemmap_end = range_end(vmemmap, (x->direct_end - direct) /
				   PAGE_SIZE * x->k.page_struct_size,
				   direct, x->vmalloc);
	x->image = chariot_profile__symbol(x->p, "_text");
	x->image_end = chariot_profile__symbol(x->p, "_end");
	if (chariot_space__translate(s, x->image, &x->image_gpa, NULL))
		x->image_end = x->image;
}

static int find_cpus(struct object_index *x, const struct chariot_space *s)
{
	uint64_t mask = chariot_profile__symbol(x->p, "__cpu_possible_mask"), v;

	x->nr_cpus = x->k.nr_cpus;
	if (!x->k.percpu_offsets || x->nr_cpus > CPUS_MAX)
		return -EBADMSG;
	x->cpus = calloc(x->nr_cpus + 1, sizeof(*x->cpus));
	if (!x->cpus)
		return -ENOMEM;
	for (uint64_t i = 0; i < x->nr_cpus; i++) {
		if (mask && !space_read_uint(s, mask + i / 8, 1, &v) &&
		    !(v >> i % 8 & 1))
			continue;
		if (!space_read_uint(s, x->k.percpu_offsets + 8 * i, 8, &v))
			x->cpus[i] = v;
	}
	return 0;
}

struct object_index *object_index_new(const struct chariot_profile *p,
				      const struct chariot_space *s)
{
	struct object_index *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return NULL;
	x->p = p;
	err = chariot_profile__kernel(p, s, &x->k);
	if (!err && (x->k.page_struct_size < 32 ||
		     x->k.page_struct_size > 256))
		err = -EBADMSG;
	if (!err) {
		find_members(x);
		find_marks(x);
		find_ranges(x, s);
		err = find_cpus(x, s);
	}
	if (!err)
		return x;
	object_index_free(x);
	return err_null(err);
}

void object_index_free(struct object_index *x)
{
	int saved = errno;

	if (x)
		free(x->cpus);
	free(x);
	errno = saved;
}

/* ---- symbols ------------------------------------------------------------------- */

static const struct {
	const char *name, *type;
	enum object_never never;
} known[] = {
	{ "init_task", "task_struct", OBJECT_IDENTITY },
	{ "init_cred", "cred", OBJECT_IDENTITY },
	{ "init_mm", "mm_struct", OBJECT_IDENTITY },
	{ "init_signals", "signal_struct", OBJECT_IDENTITY },
	{ "init_sighand", "sighand_struct", OBJECT_IDENTITY },
	{ "init_files", "files_struct", OBJECT_IDENTITY },
	{ "init_fs", "fs_struct", OBJECT_IDENTITY },
	{ "init_nsproxy", "nsproxy", OBJECT_IDENTITY },
	{ "init_user_ns", "user_namespace", OBJECT_IDENTITY },
	{ "init_groups", "group_info", OBJECT_IDENTITY },
	{ "root_user", "user_struct", OBJECT_IDENTITY },
	{ "root_task_group", "task_group", OBJECT_IDENTITY },
	{ "init_thread_union", NULL, OBJECT_OTHER_STACK },
	{ "init_stack", NULL, OBJECT_OTHER_STACK },
	{ "__top_init_kernel_stack", NULL, OBJECT_OTHER_STACK },
	{ "irq_stack_backing_store", NULL, OBJECT_OTHER_STACK },
	{ "exception_stacks", NULL, OBJECT_OTHER_STACK },
	{ "entry_stack_storage", NULL, OBJECT_OTHER_STACK },
	{ "swapper_pg_dir", NULL, OBJECT_TABLE },
	{ "idt_table", NULL, OBJECT_TABLE },
	{ "gdt_page", NULL, OBJECT_TABLE },
	{ "cpu_tss_rw", NULL, OBJECT_TABLE },
	{ "early_dynamic_pgts", NULL, OBJECT_TABLE },
	{ "empty_zero_page", NULL, OBJECT_TEXT },
	{ "current_task", NULL, OBJECT_IDENTITY },
	{ "pcpu_hot", "pcpu_hot", OBJECT_IDENTITY },
	{ "slab_caches", NULL, OBJECT_BOOKKEEPING },
	{ "slab_mutex", NULL, OBJECT_BOOKKEEPING },
	{ "vmap_area_root", NULL, OBJECT_BOOKKEEPING },
	{ "vmap_area_list", NULL, OBJECT_BOOKKEEPING },
	{ "free_vmap_area_root", NULL, OBJECT_BOOKKEEPING },
	{ "free_vmap_area_list", NULL, OBJECT_BOOKKEEPING },
	{ "contig_page_data", NULL, OBJECT_BOOKKEEPING },
	{ "mem_section", NULL, OBJECT_BOOKKEEPING },
};

/* init_top_pgt, level2_kernel_pgt, level1_fixmap_pgt ... */
static bool is_table_name(const char *name)
{
	size_t len = strlen(name);

	return len > 4 && !strcmp(name + len - 4, "_pgt");
}

void set_symbol(const struct object_index *x, const char *name,
		struct object *o)
{
	int32_t type = 0;

	snprintf(o->name, sizeof(o->name), "%s", name);
	if (is_table_name(name))
		o->never = OBJECT_TABLE;
	if (!strncmp(name, "pcpu_", 5))
		o->never = OBJECT_BOOKKEEPING;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name))
			continue;
		o->never = known[i].never;
		type = profile_aggregate(x->p, known[i].type ?: "");
	}
	o->type = type > 0 ? type : 0;
}

int symbol_around(const struct object_index *x, uint64_t addr, uint64_t end,
		  struct object *o)
{
	ssize_t i = profile_symbol_below(x->p, addr);
	uint64_t next = chariot_profile__next(x->p, addr);
	const char *name;

	if (i < 0 || profile_symbol_at(x->p, i, &name, &o->start, NULL))
		return -ENOENT;
	if (next > addr && next < end)
		end = next;
	o->len = end - o->start;
	set_symbol(x, name, o);
	return 0;
}

static bool between(const struct object_index *x, uint64_t addr,
		    const char *from, const char *to)
{
	uint64_t a = chariot_profile__symbol(x->p, from);
	uint64_t b = chariot_profile__symbol(x->p, to);

	return a && addr >= a && addr < b;
}

int image_object(const struct object_index *x, const struct chariot_space *s,
		 uint64_t addr, struct object *o)
{
	uint64_t gpa = x->image_gpa + (addr & PAGE_MASK) - x->image;
	int err = symbol_around(x, addr, x->image_end, o);
	char type = 0;

	if (err)
		return err;
	o->kind = OBJECT_SYMBOL;
	profile_symbol_at(x->p, profile_symbol_below(x->p, addr), NULL, NULL,
			  &type);
	if (addr < x->k.text_end || (type && strchr("TtRr", type)) ||
	    between(x, addr, "__start_rodata", "__end_rodata") ||
	    between(x, addr, "__init_begin", "__init_end"))
		o->never = OBJECT_TEXT;
	/* The first page tables are taken from there. */
	else if (between(x, addr, "__brk_base", "_end"))
		o->never = OBJECT_TABLE;
	/* Some have names of which one would not think it. */
	if (!o->never && !(o->start & ~PAGE_MASK) && o->len >= PAGE_SIZE)
		err = space_has_table(s, gpa);
	if (err > 0)
		o->never = OBJECT_TABLE;
	return err < 0 ? err : 0;
}

/* ---- which kind of address? ------------------------------------------------------ */

/* What is mapped there has a place of its own, too, and that decides. */
static int mapping(struct object_index *x, const struct chariot_space *s,
		   uint64_t gva, struct object *o)
{
	int err = mapping_object(x, s, gva, o);
	struct object there = {};
	uint64_t gpa;

	if (err || o->never || chariot_space__translate(s, gva, &gpa, NULL))
		return err;
	if (x->k.page_offset + gpa < x->direct_end &&
	    !direct_object(x, s, x->k.page_offset + gpa, &there))
		o->never = there.never;
	if (!o->never)
		o->never = module_page(x, s, gpa);
	return 0;
}

static int find_object(struct object_index *x, const struct chariot_space *s,
		       uint64_t gva, struct object *o)
{
	if (gva >= x->image && gva < x->image_end)
		return image_object(x, s, gva, o);
	if (gva >= x->k.page_offset && gva < x->direct_end)
		return direct_object(x, s, gva, o);
	if (gva >= x->k.vmemmap_base && gva < x->vmemmap_end)
		return page_struct_object(x, s, gva, o);
	if (gva >= x->vmalloc && gva < x->vmalloc_end)
		return percpu_object(x, s, gva, o) ? mapping(x, s, gva, o) : 0;
	if (gva >= x->image_end && gva < MODULES_END)
		return module_object(x, s, gva, o);
	return -ENOENT;
}

int object_at(struct object_index *x, const struct chariot_space *s, uint64_t gva,
	      struct object *o)
{
	struct limited l;
	int err;

	limit_reads(&l, s);
	memset(o, 0, sizeof(*o));
	err = gva < KERNEL_MIN ? -ENOENT : find_object(x, &l.space, gva, o);
	if (!err && (o->start > gva || gva - o->start >= o->len ||
		     o->start + o->len < o->start))
		err = -EBADMSG;
	if (!err)
		return 0;
	log_debug("object: %#llx: %s", (unsigned long long)gva, strerror(-err));
	memset(o, 0, sizeof(*o));
	return -ENOENT;
}
