// SPDX-License-Identifier: GPL-2.0
/*
 * What lies at an address of the guest's direct map: an object of a slab cache,
 * or a page.  For a driver that was isolated after it had allocated them.
 */
#include "vm.h"

#define PG_HEAD_BIT	1	/* of page.compound_head: it is a tail page */

static int page_of(const struct chariot_kernel *k, uint64_t gva, uint64_t *page)
{
	if (!k->page_struct_size || gva < k->page_offset ||
	    gva - k->page_offset > 1ULL << 46)
		return -ENOENT;
	*page = k->vmemmap_base + (gva - k->page_offset) / PAGE_SIZE *
		k->page_struct_size;
	return 0;
}

/* The first page of what @page is part of. */
static int head_of(const struct chariot_profile *p,
		   const struct chariot_space *s, uint64_t *page)
{
	uint64_t head;
	int err = profile_read_member(p, s, "page", *page, "compound_head",
				      &head);

	if (!err && head & PG_HEAD_BIT)
		*page = head & ~1ULL;
	return err;
}

/* Up to 6.9 a flag, later a type in the upper byte of page_type. */
static bool is_slab(const struct chariot_profile *p,
		    const struct chariot_space *s, uint64_t page)
{
	int64_t bit, type;
	uint64_t v;

	if (!chariot_profile__enumerator(p, "pagetype", "PGTY_slab", &type))
		return !profile_read_member(p, s, "page", page, "page_type",
					    &v) && v >> 24 == (uint64_t)type;
	return !chariot_profile__enumerator(p, "pageflags", "PG_slab", &bit) &&
	       !profile_read_member(p, s, "page", page, "flags", &v) &&
	       v >> bit & 1;
}

static int slab_object(const struct chariot_profile *p,
		       const struct chariot_space *s, uint64_t slab,
		       uint64_t base, uint64_t gva, uint64_t *start,
		       uint64_t *len)
{
	uint64_t cache, size;
	int err = profile_read_member(p, s, "slab", slab, "slab_cache", &cache);

	if (!err)
		err = profile_read_member(p, s, "kmem_cache", cache, "size",
					  &size);
	if (err)
		return err;
	if (!size || size > 1 << 20)
		return -EBADMSG;
	*start = base + (gva - base) / size * size;
	*len = size;
	return 0;
}

int learn_object(const struct chariot_profile *p, const struct chariot_space *s,
		 uint64_t gva, uint64_t *start, uint64_t *len)
{
	struct chariot_kernel k;
	uint64_t page, base;
	int err = chariot_profile__kernel(p, s, &k);

	if (!err)
		err = page_of(&k, gva, &page);
	if (!err)
		err = head_of(p, s, &page);
	if (err)
		return err;
	if (page < k.vmemmap_base)
		return -EBADMSG;
	base = k.page_offset + (page - k.vmemmap_base) / k.page_struct_size *
	       PAGE_SIZE;
	if (is_slab(p, s, page) && base <= gva)
		return slab_object(p, s, page, base, gva, start, len);
	*start = gva & PAGE_MASK;
	*len = PAGE_SIZE;
	return 0;
}
