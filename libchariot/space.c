// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guest-virtual memory: the guest's page tables, walked by software.
 *
 * The tables are the guest's and may hold anything.  A walk has a fixed depth,
 * so that tables that lead back to themselves do no harm.
 */
#include <stdlib.h>

#include "internal.h"

#define CR4_LA57	(1ULL << 12)
#define TABLES_MAX	4096	/* that are read for one question */

static int top_level(const struct chariot_space *s)
{
	return s->cr4 & CR4_LA57 ? 5 : 4;
}

/* Bits of an address below the index of @level (1: the last one). */
static unsigned int level_shift(int level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static bool canonical(uint64_t gva, int levels)
{
	unsigned int unused = 64 - level_shift(levels + 1);

	return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

static bool is_leaf(uint64_t pte, int level)
{
	return level == 1 || ((pte & PTE_LARGE) && level <= 3);
}

/* Large entries have the PAT bit where small ones have address bits. */
static uint64_t leaf_gpa(uint64_t pte, int level)
{
	return pte & PTE_ADDR & ~((1ULL << level_shift(level)) - 1);
}

int chariot_space__translate(const struct chariot_space *s, uint64_t gva,
			     uint64_t *gpa, uint64_t *left)
{
	uint64_t table = s->cr3 & PTE_ADDR, pte, mask;
	int level = top_level(s), err;

	if (!canonical(gva, level))
		return -EFAULT;
	for (;; level--) {
		unsigned int idx = gva >> level_shift(level) & (PTES - 1);

		err = s->ops->read(s->ctx, table + idx * 8, &pte, sizeof(pte));
		if (err)
			return err;
		if (!(pte & PTE_PRESENT))
			return -EFAULT;
		if (is_leaf(pte, level))
			break;
		table = pte & PTE_ADDR;
	}
	mask = (1ULL << level_shift(level)) - 1;
	*gpa = leaf_gpa(pte, level) | (gva & mask);
	if (left)
		*left = mask + 1 - (gva & mask);
	return 0;
}

static int access_mem(const struct chariot_space *s, uint64_t gva, void *buf,
		      size_t len, bool write)
{
	uint64_t gpa, left;
	int err;

	for (; len; gva += left, buf = (char *)buf + left, len -= left) {
		err = chariot_space__translate(s, gva, &gpa, &left);
		if (err)
			return err;
		if (left > len)
			left = len;
		if (left > CHARIOT_MEM_MAX)
			left = CHARIOT_MEM_MAX;
		err = write ? s->ops->write(s->ctx, gpa, buf, left) :
			      s->ops->read(s->ctx, gpa, buf, left);
		if (err)
			return err;
	}
	return 0;
}

int chariot_space__read(const struct chariot_space *s, uint64_t gva, void *buf,
			size_t len)
{
	return access_mem(s, gva, buf, len, false);
}

int chariot_space__write(const struct chariot_space *s, uint64_t gva,
			 const void *buf, size_t len)
{
	return access_mem(s, gva, (void *)buf, len, true);
}

int space_read_str(const struct chariot_space *s, uint64_t gva, char *buf,
		   size_t size)
{
	size_t done = 0;

	/* By pieces that end with a page: the next one may be unmapped. */
	while (done < size - 1) {
		size_t piece = PAGE_SIZE - ((gva + done) & (PAGE_SIZE - 1));
		int err;

		if (piece > size - 1 - done)
			piece = size - 1 - done;
		err = chariot_space__read(s, gva + done, buf + done, piece);
		if (err)
			return err;
		done += piece;
		if (memchr(buf + done - piece, 0, piece))
			break;
	}
	buf[done] = 0;
	chariot_printable(buf);
	return 0;
}

int space_read_uint(const struct chariot_space *s, uint64_t gva, size_t len,
		    uint64_t *value)
{
	*value = 0;		/* little endian, as the guest */
	if (len != 1 && len != 2 && len != 4 && len != 8)
		return -EINVAL;
	return chariot_space__read(s, gva, value, len);
}

struct walk {
	const struct chariot_space *s;
	uint64_t start, last;	/* both inside */
	space_leaf_fn fn;
	void *ctx;
};

static int walk_leaf(const struct walk *w, uint64_t gva, uint64_t gpa,
		     uint64_t len)
{
	uint64_t last = gva + len - 1;

	if (gva < w->start) {
		gpa += w->start - gva;
		gva = w->start;
	}
	if (last > w->last)
		last = w->last;
	return w->fn(w->ctx, gva, gpa, last - gva + 1);
}

/* @gva: address of the first entry of the table at @gpa. */
static int walk_table(const struct walk *w, uint64_t gpa, uint64_t gva,
		      int level)
{
	uint64_t span = 1ULL << level_shift(level);
	uint64_t pte[PTES];
	int i, err;

	/* A table that cannot be read maps nothing, as for the CPU. */
	if (w->s->ops->read(w->s->ctx, gpa, pte, sizeof(pte)))
		return 0;
	for (i = 0; i < PTES; i++, gva += span) {
		if (gva + span - 1 < w->start || gva > w->last)
			continue;
		if (!(pte[i] & PTE_PRESENT))
			continue;
		if (is_leaf(pte[i], level))
			err = walk_leaf(w, gva, leaf_gpa(pte[i], level), span);
		else
			err = walk_table(w, pte[i] & PTE_ADDR, gva, level - 1);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Only for ranges in one entry of the level-4 table (512 GiB), which any range
 * of kernel image or modules is: so the address of the first entry is easy.
 */
int space_walk(const struct chariot_space *s, uint64_t start, uint64_t end,
	       space_leaf_fn fn, void *ctx)
{
	struct walk w = {
		.s = s, .start = start, .last = end - 1, .fn = fn, .ctx = ctx,
	};
	uint64_t table = s->cr3 & PTE_ADDR, pte;
	int level = top_level(s), err;

	if (start >= end || !canonical(start, level))
		return -EINVAL;
	if (start >> level_shift(4) != w.last >> level_shift(4))
		return -EINVAL;
	for (; level > 3; level--) {
		unsigned int idx = start >> level_shift(level) & (PTES - 1);

		err = s->ops->read(s->ctx, table + idx * 8, &pte, sizeof(pte));
		if (err)
			return err;
		if (!(pte & PTE_PRESENT))
			return 0;
		table = pte & PTE_ADDR;
	}
	return walk_table(&w, table, start >> level_shift(4) << level_shift(4),
			  3);
}

struct hunt {
	const struct chariot_space *s;
	uint64_t gpa;		/* of the table looked for */
	unsigned int left;	/* tables that may be read */
	uint64_t seen[2 * TABLES_MAX];	/* by level and address; they have been read */
};

/* The kernel maps some tables hundreds of times (espfix). */
static bool was_seen(struct hunt *h, uint64_t gpa, int level)
{
	uint64_t key = gpa | level;
	size_t i = gpa / PAGE_SIZE % ARRAY_SIZE(h->seen);

	for (; h->seen[i]; i = (i + 1) % ARRAY_SIZE(h->seen))
		if (h->seen[i] == key)
			return true;
	h->seen[i] = key;
	return false;
}

/* Is it below the entries from @first on of the table at @gpa? */
static int hunt_table(struct hunt *h, uint64_t gpa, int level, int first)
{
	uint64_t pte[PTES];

	if (was_seen(h, gpa, level))
		return 0;
	if (!h->left--)
		return -E2BIG;
	if (h->s->ops->read(h->s->ctx, gpa, pte, sizeof(pte)))
		return 0;
	for (int i = first; i < PTES; i++) {
		int found;

		if (!(pte[i] & PTE_PRESENT) || is_leaf(pte[i], level))
			continue;
		if ((pte[i] & PTE_ADDR) == h->gpa)
			return 1;
		found = level > 2 ? hunt_table(h, pte[i] & PTE_ADDR, level - 1,
					       0) : 0;
		if (found)
			return found;
	}
	return 0;
}

int space_has_table(const struct chariot_space *s, uint64_t gpa)
{
	struct hunt h = { .s = s, .gpa = gpa & PTE_ADDR, .left = TABLES_MAX };

	if ((s->cr3 & PTE_ADDR) == h.gpa)
		return 1;
	return hunt_table(&h, s->cr3 & PTE_ADDR, top_level(s), PTES / 2);
}
