// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Page tables of a guest, of any bytes: walks, reads, strings, and the kernel's
 * image by them.
 */
#include "mini.h"

#define PAGES	16

static uint8_t mem[PAGES * PAGE_SIZE];

static int read_mem(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	if (gpa > sizeof(mem) || len > sizeof(mem) - gpa)
		return -EFAULT;
	memcpy(buf, mem + gpa, len);
	return 0;
}

static int write_mem(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	if (gpa > sizeof(mem) || len > sizeof(mem) - gpa)
		return -EFAULT;
	memcpy(mem + gpa, buf, len);
	return 0;
}

static const struct chariot_mem_ops ops = {
	.sz = sizeof(ops), .read = read_mem, .write = write_mem,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

/* An entry leads to one of the pages, or anywhere. */
static void put_entry(struct choices *c)
{
	uint32_t page = choose(c, PAGES), index, flags = choose(c, 256);
	uint64_t to = choose(c, 2) ? (uint64_t)choose(c, PAGES) << PAGE_SHIFT :
				     choose_bytes(c, 8) & PAGE_MASK;

	/* Those of the kernel's half are at the end. */
	index = flags & 2 ? 511 - choose(c, 4) : choose(c, 512);
	to |= flags & 0x85;
	memcpy(mem + page * PAGE_SIZE + 8 * index, &to, 8);
}

static int touch_leaf(void *ctx, uint64_t gva, uint64_t gpa, uint64_t len)
{
	uint64_t *next = ctx;

	fuzz_assert(gva >= *next && len);
	*next = gva + len - 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	uint32_t how = choose(&c, 256);
	struct chariot_space s = {
		.ops = &ops, .cr3 = (uint64_t)choose(&c, PAGES) << PAGE_SHIFT,
		.cr4 = how & 1 ? 1 << 12 : 0,
	};
	uint64_t start = 0xffffffff80000000ULL, next = start, gva, v;
	struct image img = {};
	char buf[100];

	memset(mem, 0, sizeof(mem));
	gva = start + (choose_bytes(&c, 4) & 0x3fffffff);
	while (c.n)
		put_entry(&c);
	chariot_space__read(&s, gva, buf, sizeof(buf));
	if (!space_read_str(&s, gva, buf, sizeof(buf)))
		fuzz_touch_str(buf);
	space_read_uint(&s, gva, 1 << (how & 3), &v);
	chariot_space__write(&s, gva, buf, 16);
	space_walk(&s, start, 0xffffffffc0000000ULL, touch_leaf, &next);
	space_walk(&s, gva, gva + (how << 12), touch_leaf, &(uint64_t){ 0 });
	if (how & 2 && !image_from_guest(&img, &s, gva))
		fuzz_touch(img.data, img.len < 65536 ? img.len : 65536);
	image_free(&img);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	/* 4 levels in pages 0 to 3, then a page, and the same with a large one. */
	static const uint8_t small[] = {
		2, 0, 0, 0, 0, 0,
		0, 3, 1, 1, 0, 1, 3, 1, 2, 1, 2, 3, 1, 3, 1, 3, 1, 1, 4, 0, 0,
	}, large[] = {
		2, 0, 0, 0, 0, 0,
		0, 3, 1, 1, 0, 1, 3, 1, 2, 1, 2, 0x83, 1, 0, 1,
	};

	emit("small", small, sizeof(small));
	emit("large", large, sizeof(large));
}
