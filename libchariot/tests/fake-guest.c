// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>

#include "fake-guest.h"

#define TABLE	0x7		/* present, writable, user */
#define LARGE	0x80
#define ADDR	0x000ffffffffff000ULL
#define SIZE_2M	(2UL << 20)

static int fake_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct fake_guest *g = ctx;

	g->reads++;
	if (gpa > g->len || len > g->len - gpa)
		return -EFAULT;
	memcpy(buf, g->mem + gpa, len);
	return 0;
}

static int fake_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct fake_guest *g = ctx;

	if (gpa > g->len || len > g->len - gpa)
		return -EFAULT;
	memcpy(g->mem + gpa, buf, len);
	return 0;
}

static const struct chariot_mem_ops ops = {
	.sz = sizeof(ops), .read = fake_read, .write = fake_write,
};

int fake_init(struct fake_guest *g, size_t len, bool la57)
{
	memset(g, 0, sizeof(*g));
	g->mem = calloc(1, len);
	if (!g->mem)
		return -ENOMEM;
	g->len = len;
	g->space = (struct chariot_space){
		.ops = &ops, .ctx = g, .cr3 = PAGE_SIZE,
		.cr4 = la57 ? 1 << 12 : 0,
	};
	g->used = 2 * PAGE_SIZE;
	return 0;
}

void fake_free(struct fake_guest *g)
{
	free(g->mem);
	memset(g, 0, sizeof(*g));
}

static uint64_t *fake_entry(struct fake_guest *g, uint64_t gva, int level)
{
	int l = g->space.cr4 ? 5 : 4;
	uint64_t table = g->space.cr3 & ADDR, *pte;

	for (;; l--) {
		pte = (uint64_t *)(g->mem + table) +
		      (gva >> (12 + 9 * (l - 1)) & 511);
		if (l == level)
			return pte;
		if (!(*pte & 1) || *pte & LARGE) {
			*pte = g->used | TABLE;
			g->used += PAGE_SIZE;
		}
		table = *pte & ADDR;
	}
}

void fake_map(struct fake_guest *g, uint64_t gva, uint64_t gpa, int level)
{
	*fake_entry(g, gva, level) = gpa | TABLE | (level > 1 ? LARGE : 0) |
				     1ULL << 63;
}

void fake_unmap(struct fake_guest *g, uint64_t gva)
{
	*fake_entry(g, gva, 1) = 0;
}

void fake_load(struct fake_guest *g, const struct image *img, uint64_t gpa,
	       uint64_t shift, uint64_t split)
{
	size_t off, i;

	memcpy(g->mem + gpa, img->data, img->len);
	for (off = 0; off < img->len; off += SIZE_2M) {
		uint64_t gva = img->base + off + shift;

		if ((split & ~(SIZE_2M - 1)) != img->base + off) {
			fake_map(g, gva, gpa + off, 2);
			continue;
		}
		for (i = 0; i < SIZE_2M; i += PAGE_SIZE)
			fake_map(g, gva + i, gpa + off + i, 1);
	}
}
