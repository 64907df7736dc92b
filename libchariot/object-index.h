/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that find objects share: object.c, pages.c, slab.c, percpu.c, modules.c,
 * stack.c, count.c.
 */
#ifndef CHARIOT_OBJECT_INDEX_H
#define CHARIOT_OBJECT_INDEX_H

#include "object.h"

#define CPUS_MAX	8192
#define LIST_MAX	4096	/* elements of a list of the guest's */
#define COPY_MAX	2048	/* bytes of a struct that are looked at */
#define READS_MAX	65536	/* of the guest's memory, for one question */
#define WINDOW		32768	/* bytes of a slab that are read at once */

/* Structs of the guest's, and members of them. */
enum copied {
	C_PAGE, C_SLAB, C_CACHE, C_CPU_CACHE, C_CHUNK, C_MODULE, C_LAYOUT,
	C_KALLSYMS, C_ORC,
	NR_COPIED
};

enum member {
	PAGE_FLAGS, PAGE_HEAD, PAGE_TYPE, PAGE_REFS, PAGE_LIST, PAGE_PRIVATE,
	PAGE_ORDER, FOLIO_ORDER, FOLIO_FLAGS_1,
	SLAB_CACHE, SLAB_FREE, SLAB_COUNTERS, SLAB_OBJECTS,
	CACHE_SIZE, CACHE_OBJECT_SIZE, CACHE_LEFT, CACHE_OFFSET, CACHE_RANDOM,
	CACHE_CPU_SLAB, CACHE_NAME, CACHE_USERS,
	CPU_CACHE_FREE, CPU_CACHE_SLAB,
	CHUNK_LIST, CHUNK_BASE, CHUNK_ALLOCATED, CHUNK_BOUNDS, CHUNK_START,
	CHUNK_END, CHUNK_PAGES, CHUNK_BLOCKS,
	MODULE_LIST, MODULE_NAME, MODULE_CORE, MODULE_INIT, MODULE_MEM,
	MODULE_PERCPU, MODULE_PERCPU_SIZE, MODULE_ORC_IP, MODULE_ORC,
	MODULE_NR_ORCS, MODULE_KALLSYMS,
	KALLSYMS_SYMBOLS, KALLSYMS_NR, KALLSYMS_STRINGS,
	LAYOUT_BASE, LAYOUT_SIZE, LAYOUT_TEXT, LAYOUT_RO, LAYOUT_RO_INIT,
	ORC_SP_OFFSET, ORC_BP_OFFSET, ORC_SP_REG, ORC_BP_REG, ORC_TYPE, ORC_SIGNAL,
	ORC_END,
	NR_MEMBERS
};

struct field {
	uint32_t bit, bits;	/* 0 bits: this kernel has none */
};

/* The bytes of a struct of the guest's. */
struct copy {
	uint64_t gva;
	size_t len;
	uint8_t b[COPY_MAX + 8];
};

/* What a page is said to be, by a flag or by page_type. */
enum page_is { IS_SLAB, IS_FREE, IS_TABLE, NR_PAGE_IS };

struct page_mark {
	enum { MARK_NONE, MARK_FLAG, MARK_UPPER, MARK_CLEARED } how;
	uint64_t v;
};

#define NR_CACHES	20	/* that object.c knows by a variable */

struct object_index {
	const struct chariot_profile *p;
	struct chariot_kernel k;
	uint64_t direct_end, vmalloc, vmalloc_end, vmemmap_end;
	uint64_t image, image_end, image_gpa;
	struct field field[NR_MEMBERS];
	size_t copied[NR_COPIED];	/* bytes up to the last member */
	size_t type_size[NR_COPIED];
	struct page_mark marks[NR_PAGE_IS];
	unsigned int head_bit, reserved_bit;
	uint64_t caches[NR_CACHES];	/* addresses, once they are known */
	uint64_t nr_cpus, *cpus;	/* per-CPU offsets */
	uint8_t window[WINDOW];
};

/* Someone else's address space, of which only so much is read. */
struct limited {
	struct chariot_space space;	/* for who asks */
	const struct chariot_space *s;
	unsigned int left;
};

/* ---- object.c ------------------------------------------------------------ */

void limit_reads(struct limited *l, const struct chariot_space *s);
/* As much of a struct at @gva as is looked at. */
int copy_struct(const struct object_index *x, const struct chariot_space *s,
		enum copied what, uint64_t gva, struct copy *c);
/* 0 if the kernel has no such member. */
uint64_t copy_get(const struct object_index *x, const struct copy *c,
		  enum member m);
static inline bool has_member(const struct object_index *x, enum member m)
{
	return x->field[m].bits;
}

/* Value of a variable of the kernel's of @len bytes, 0 if there is none. */
uint64_t read_variable(const struct object_index *x,
		       const struct chariot_space *s, const char *name,
		       size_t len);
/* The symbol that has @addr: where it is and its name, to the next one or @end. */
int symbol_around(const struct object_index *x, uint64_t addr, uint64_t end,
		  struct object *o);
/* What is said of symbol @name, and what struct it is. */
void set_symbol(const struct object_index *x, const char *name,
		struct object *o);
/* The kernel's image at @addr, which is in it. */
int image_object(const struct object_index *x, const struct chariot_space *s,
		 uint64_t addr, struct object *o);

/* ---- pages.c ------------------------------------------------------------- */

/* In the direct map; what is not there is not asked for. */
int direct_object(struct object_index *x, const struct chariot_space *s,
		  uint64_t gva, struct object *o);
int page_struct_object(const struct object_index *x,
		       const struct chariot_space *s, uint64_t gva,
		       struct object *o);
/* The slab cache that @gva is of, or 0. */
uint64_t cache_at(const struct object_index *x, const struct chariot_space *s,
		  uint64_t gva);
int mapping_object(struct object_index *x, const struct chariot_space *s,
		   uint64_t gva, struct object *o);

/* ---- slab.c -------------------------------------------------------------- */

/* @page: the first one of the slab, at @base, of @len bytes. */
int slab_object(struct object_index *x, const struct chariot_space *s,
		uint64_t page, uint64_t base, uint64_t len, uint64_t gva,
		struct object *o);

/* ---- percpu.c ------------------------------------------------------------ */

int percpu_object(const struct object_index *x, const struct chariot_space *s,
		  uint64_t gva, struct object *o);
/* Is [@start, @start + @len) a struct pcpu_chunk or one of its maps? */
bool is_percpu_chunk(const struct object_index *x, const struct chariot_space *s,
		     uint64_t start, uint64_t len);

/* ---- modules.c ----------------------------------------------------------- */

int module_object(const struct object_index *x, const struct chariot_space *s,
		  uint64_t gva, struct object *o);
/* What the page at @gpa is, if a module's memory is there; else MAY. */
enum object_never module_page(const struct object_index *x,
			      const struct chariot_space *s, uint64_t gpa);
/* The struct module that has code at @ip. */
int module_of_code(const struct object_index *x, const struct chariot_space *s,
		   uint64_t ip, struct copy *module);
/* The module's symbol that has @addr, to the next one: start, len and name of @o. */
int module_symbol(const struct object_index *x, const struct chariot_space *s,
		  const struct copy *module, uint64_t addr, struct object *o);

#endif
