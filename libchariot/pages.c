// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pages: in the direct map, their struct page, and mappings of them.
 */
#include "object-index.h"

#define PAGE_TAIL	1	/* bit of compound_head: the rest is where the head is */
#define ORDER_MAX	18	/* 1 GiB */
#define BUDDY_MAX	10	/* the highest order of free pages */
#define MAPPING_MAX	(64ULL << 20)
#define STACK_END	0x57ac6e9d	/* STACK_END_MAGIC, at the end of a thread's stack */

/* A page, or the compound page that it is part of. */
struct page {
	uint64_t gva;		/* of the first struct page */
	uint64_t base, len;	/* of its memory, in the direct map */
	struct copy c;
};

/* ---- struct page ----------------------------------------------------------------- */

static uint64_t page_of(const struct object_index *x, uint64_t gva)
{
	return x->k.vmemmap_base + (gva - x->k.page_offset) / PAGE_SIZE *
				   x->k.page_struct_size;
}

/* Is there a struct page at @page? */
static bool good_page(const struct object_index *x, uint64_t page)
{
	return page >= x->k.vmemmap_base && page < x->vmemmap_end &&
	       !((page - x->k.vmemmap_base) % x->k.page_struct_size);
}

uint64_t object_page_memory(const struct object_index *x, uint64_t page)
{
	return x->k.page_offset + (page - x->k.vmemmap_base) /
				  x->k.page_struct_size * PAGE_SIZE;
}

static bool page_is(const struct object_index *x, const struct copy *c,
		    enum page_is what)
{
	const struct page_mark m = x->marks[what];

	switch (m.how) {
	case MARK_FLAG:
		return m.v < 64 && copy_get(x, c, PAGE_FLAGS) >> m.v & 1;
	case MARK_UPPER:
		return copy_get(x, c, PAGE_TYPE) >> 24 == m.v;
	case MARK_CLEARED:
		return (copy_get(x, c, PAGE_TYPE) & m.v) == (m.v & 0xf0000000);
	default:
		return false;
	}
}

static bool has_flag(const struct object_index *x, const struct copy *c,
		     unsigned int bit)
{
	return bit < 64 && copy_get(x, c, PAGE_FLAGS) >> bit & 1;
}

/* The order of a compound page is in its second struct page. */
static int read_order(const struct object_index *x,
		      const struct chariot_space *s, uint64_t head,
		      uint64_t *order)
{
	uint64_t second = head + x->k.page_struct_size;
	enum member m = has_member(x, FOLIO_ORDER) ? FOLIO_ORDER :
						     FOLIO_FLAGS_1;
	int err;

	if (has_member(x, PAGE_ORDER))
		err = space_read_uint(s, second + x->field[PAGE_ORDER].bit / 8,
				      1, order);
	else if (has_member(x, m))
		err = space_read_uint(s, head + x->field[m].bit / 8, 1, order);
	else
		err = -ENOENT;
	return err ?: *order > ORDER_MAX ? -EBADMSG : 0;
}

/* The page that @page, a struct page, is part of. */
static int read_page(const struct object_index *x,
		     const struct chariot_space *s, uint64_t page,
		     struct page *pg)
{
	uint64_t v, order = 0;
	int err = copy_struct(x, s, C_PAGE, page, &pg->c);

	pg->gva = page;
	if (!err && (v = copy_get(x, &pg->c, PAGE_HEAD)) & PAGE_TAIL) {
		pg->gva = v - PAGE_TAIL;
		if (!good_page(x, pg->gva) || pg->gva >= page)
			return -EBADMSG;
		err = copy_struct(x, s, C_PAGE, pg->gva, &pg->c);
		if (!err && !has_flag(x, &pg->c, x->head_bit))
			err = -EBADMSG;
	}
	if (!err && has_flag(x, &pg->c, x->head_bit))
		err = read_order(x, s, pg->gva, &order);
	if (err)
		return err;
	pg->base = object_page_memory(x, pg->gva);
	pg->len = PAGE_SIZE << order;
	return (page - pg->gva) / x->k.page_struct_size < 1ULL << order ? 0 :
	       -EBADMSG;
}

int page_struct_object(const struct object_index *x,
		       const struct chariot_space *s, uint64_t gva,
		       struct object *o)
{
	uint64_t size = x->k.page_struct_size;
	uint64_t page = gva - (gva - x->k.vmemmap_base) % size;
	int32_t type = profile_aggregate(x->p, "page");
	struct page pg;
	int err = read_page(x, s, page, &pg);

	/* Of one that is no good tail its own is still known. */
	if (err && copy_struct(x, s, C_PAGE, page, &pg.c))
		return err;
	o->kind = OBJECT_PAGE_STRUCT;
	o->never = OBJECT_BOOKKEEPING;
	o->start = o->page = err ? page : pg.gva;
	o->len = err ? size : pg.len / PAGE_SIZE * size;
	o->type = type > 0 ? type : 0;
	return 0;
}

/* ---- free pages ------------------------------------------------------------------- */

/* In a block of free pages, of which only the first is marked. */
static bool in_free_block(const struct object_index *x,
			  const struct chariot_space *s, uint64_t page)
{
	uint64_t size = x->k.page_struct_size;
	uint64_t pfn = (page - x->k.vmemmap_base) / size;
	struct copy c;

	for (uint64_t order = 0; order <= BUDDY_MAX; order++) {
		uint64_t first = pfn & ~((1ULL << order) - 1);

		if (copy_struct(x, s, C_PAGE, x->k.vmemmap_base + first * size,
				&c))
			return false;
		if (page_is(x, &c, IS_FREE))
			return copy_get(x, &c, PAGE_PRIVATE) >= order;
	}
	return false;
}

/* On the list of a CPU: its neighbours lead to it. */
static bool on_free_list(const struct object_index *x,
			 const struct chariot_space *s, uint64_t page,
			 const struct copy *c)
{
	uint64_t at = page + x->field[PAGE_LIST].bit / 8, v, prev;
	uint64_t next = copy_get(x, c, PAGE_LIST);

	/* One that was on none yet leads to itself. */
	return has_member(x, PAGE_LIST) && next >= KERNEL_MIN && next != at &&
	       !space_read_uint(s, next + 8, 8, &v) && v == at &&
	       !space_read_uint(s, at + 8, 8, &prev) && prev >= KERNEL_MIN &&
	       !space_read_uint(s, prev, 8, &v) && v == at;
}

/* Also the later pages of an allocation that is no compound page count 0 users. */
static bool is_free(const struct object_index *x, const struct chariot_space *s,
		    const struct page *pg)
{
	if (page_is(x, &pg->c, IS_FREE))
		return true;
	return has_member(x, PAGE_REFS) && !copy_get(x, &pg->c, PAGE_REFS) &&
	       (in_free_block(x, s, pg->gva) ||
		on_free_list(x, s, pg->gva, &pg->c));
}

/*
 * Of an allocation that is no compound page only the first page counts users, and leads to
 * it: the first one before @pg that does.  How many are behind @pg nothing tells.
 */
static void find_first(const struct object_index *x,
		       const struct chariot_space *s, const struct page *pg,
		       struct object *o)
{
	uint64_t size = x->k.page_struct_size, most = 1ULL << BUDDY_MAX;
	uint64_t last = (pg->gva - x->k.vmemmap_base) / size, mask;
	struct page at;

	if (!has_member(x, PAGE_REFS) || copy_get(x, &pg->c, PAGE_REFS) ||
	    has_flag(x, &pg->c, x->head_bit))
		return;
	for (uint64_t n = 1; n < most && n <= last; n++) {
		if (read_page(x, s, pg->gva - n * size, &at) ||
		    at.gva != pg->gva - n * size || at.len != PAGE_SIZE ||
		    page_is(x, &at.c, IS_SLAB) || is_free(x, s, &at))
			return;
		if (!copy_get(x, &at.c, PAGE_REFS))
			continue;
		for (mask = n; mask & (mask + 1); mask |= mask >> 1)
			;
		if ((last - n) & mask)
			return;		/* no block of that size begins there */
		o->start = at.base;
		o->len = (n + 1) * PAGE_SIZE;
		o->page = at.gva;
		return;
	}
}

/* ---- page tables ------------------------------------------------------------------ */

/*
 * Only those of the lower levels of a process are marked (up to 6.12, by version):
 * not those of the kernel's half, and not those above.
 */
#define PTE_NEVER	0x79f0000000000000ULL	/* bits that no entry has */
#define PTE_USER_TABLE	0x07		/* present, writable, a user's */

static bool marked_table(const struct object_index *x,
			 const struct chariot_space *s, uint64_t gpa)
{
	uint64_t page = page_of(x, x->k.page_offset + gpa);
	struct copy c;

	return good_page(x, page) && !copy_struct(x, s, C_PAGE, page, &c) &&
	       page_is(x, &c, IS_TABLE);
}

/* An upper one of a process: it leads to a marked one, in @depth steps. */
static bool is_upper_table(const struct object_index *x,
			   const struct chariot_space *s, const uint64_t *pte,
			   int depth)
{
	uint64_t below[PTES];
	int tries = 4;

	for (int i = 0; i < PTES && tries; i++) {
		uint64_t gpa = pte[i] & PTE_ADDR;

		if (!gpa || (pte[i] & (PTE_USER_TABLE | PTE_LARGE)) !=
			    PTE_USER_TABLE)
			continue;
		if (marked_table(x, s, gpa))
			return true;
		tries--;
		if (depth > 1 &&
		    !s->ops->read(s->ctx, gpa, below, sizeof(below)) &&
		    is_upper_table(x, s, below, depth - 1))
			return true;
	}
	return false;
}

/* The top one of a process has the entries of the kernel's half as all have. */
static bool is_top_table(const struct chariot_space *s, const uint64_t *pte)
{
	uint64_t top[PTES];

	if (s->ops->read(s->ctx, s->cr3 & PTE_ADDR, top, sizeof(top)))
		return false;
	for (int i = PTES / 2; i < PTES; i++)
		if (top[i] & PTE_PRESENT && top[i] == pte[i])
			return true;
	return false;
}

/* 1, 0, or -errno. */
static int is_table(const struct object_index *x, const struct chariot_space *s,
		    const struct page *pg)
{
	uint64_t gpa = pg->base - x->k.page_offset, pte[PTES];
	int err;

	if (page_is(x, &pg->c, IS_TABLE))
		return 1;
	if (pg->len != PAGE_SIZE)
		return 0;
	err = s->ops->read(s->ctx, gpa, pte, sizeof(pte));
	if (err)
		return err;
	for (int i = 0; i < PTES; i++)
		if (pte[i] & PTE_NEVER)
			return 0;
	if (is_top_table(s, pte) || is_upper_table(x, s, pte, 2))
		return 1;
	return space_has_table(s, gpa);
}

/* ---- the direct map ---------------------------------------------------------------- */

/* From before there was an allocator: the image, per-CPU memory, tables. */
static int reserved_object(const struct object_index *x,
			   const struct chariot_space *s, uint64_t gva,
			   struct object *o)
{
	uint64_t gpa = gva - x->k.page_offset, addr;

	if (gpa - x->image_gpa < x->image_end - x->image) {
		addr = x->image + (gpa - x->image_gpa);
		if (image_object(x, s, addr, o))
			return -ENOENT;
		o->start += gva - addr;
		return 0;
	}
	if (!percpu_object(x, s, gva, o))
		return 0;
	o->kind = OBJECT_PAGES;
	o->never = OBJECT_BOOKKEEPING;
	return 0;
}

int direct_object(struct object_index *x, const struct chariot_space *s,
		  uint64_t gva, struct object *o)
{
	struct page pg;
	int err = read_page(x, s, page_of(x, gva), &pg);

	if (err)
		return err;
	if (page_is(x, &pg.c, IS_SLAB))
		return slab_object(x, s, pg.gva, pg.base, pg.len, gva, o);
	o->kind = OBJECT_PAGES;
	o->start = pg.base;
	o->len = pg.len;
	o->page = pg.gva;
	if (has_flag(x, &pg.c, x->reserved_bit))
		return reserved_object(x, s, gva, o);
	if (is_free(x, s, &pg)) {
		o->never = OBJECT_FREE;
		return 0;
	}
	err = is_table(x, s, &pg);
	if (err > 0)
		o->never = OBJECT_TABLE;
	else if (!err)
		find_first(x, s, &pg, o);
	return err < 0 ? err : 0;
}

uint64_t cache_at(const struct object_index *x, const struct chariot_space *s,
		  uint64_t gva)
{
	struct page pg;
	struct copy c;

	if (gva < x->k.page_offset || gva >= x->direct_end ||
	    read_page(x, s, page_of(x, gva), &pg) ||
	    !page_is(x, &pg.c, IS_SLAB) ||
	    copy_struct(x, s, C_SLAB, pg.gva, &c))
		return 0;
	return copy_get(x, &c, SLAB_CACHE);
}

/* ---- mappings ----------------------------------------------------------------------- */

struct run {
	uint64_t gva;		/* it must have this */
	uint64_t start, end;
};

static int add_leaf(void *ctx, uint64_t gva, uint64_t gpa, uint64_t len)
{
	struct run *r = ctx;

	if (gva != r->end) {
		if (r->start <= r->gva && r->gva < r->end)
			return 1;
		r->start = gva;
	}
	r->end = gva + len;
	return 0;
}

static bool is_stack(const struct object_index *x,
		     const struct chariot_space *s, const struct run *r)
{
	uint64_t size = x->k.stack_size, v;

	return r->end - r->start == size && !(r->start % size) &&
	       !space_read_uint(s, r->start, 8, &v) && v == STACK_END;
}

/* What is mapped may be something that is mapped elsewhere as well. */
static enum object_never alias_never(struct object_index *x,
				     const struct chariot_space *s, uint64_t gva)
{
	struct object o = {};
	uint64_t gpa;

	if (chariot_space__translate(s, gva, &gpa, NULL) ||
	    gpa >= x->direct_end - x->k.page_offset ||
	    direct_object(x, s, x->k.page_offset + gpa, &o))
		return OBJECT_MAY;
	return o.never;
}

int mapping_object(struct object_index *x, const struct chariot_space *s,
		   uint64_t gva, struct object *o)
{
	uint64_t start = gva & PAGE_MASK, from, to;
	struct run r = { .gva = gva };
	int err;

	from = start - x->vmalloc > MAPPING_MAX ? start - MAPPING_MAX :
						  x->vmalloc;
	to = x->vmalloc_end - start > MAPPING_MAX ? start + MAPPING_MAX :
						    x->vmalloc_end;
	/* A walk is in one entry of the table above. */
	if (from >> 39 != start >> 39)
		from = start >> 39 << 39;
	if ((to - 1) >> 39 != start >> 39)
		to = ((start >> 39) + 1) << 39;
	err = space_walk(s, from, to, add_leaf, &r);
	if (err < 0)
		return err;
	if (r.start > gva || r.end <= gva)
		return -ENOENT;
	o->kind = OBJECT_MAPPING;
	o->start = r.start;
	o->len = r.end - r.start;
	if (is_stack(x, s, &r))
		o->never = OBJECT_OTHER_STACK;
	else if (is_percpu_chunk(x, s, o->start, o->len))
		o->never = OBJECT_BOOKKEEPING;
	else
		o->never = alias_never(x, s, gva);
	return 0;
}
