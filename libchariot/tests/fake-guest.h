/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest without a CPU: physical memory in a buffer, page tables in it, and a
 * kernel image mapped by them.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include "internal.h"

struct fake_guest {
	uint8_t *mem;
	size_t len;
	size_t used;			/* page tables grow from here */
	struct chariot_space space;
	size_t reads;
};

int fake_init(struct fake_guest *g, size_t len, bool la57);
void fake_free(struct fake_guest *g);
/* @level 1: 4K, 2: 2M, 3: 1G */
void fake_map(struct fake_guest *g, uint64_t gva, uint64_t gpa, int level);
void fake_unmap(struct fake_guest *g, uint64_t gva);
/*
 * Put @img at @gpa and map it at its base + @shift: 2M pages, but 4K in the
 * 2M around @split.
 */
void fake_load(struct fake_guest *g, const struct image *img, uint64_t gpa,
	       uint64_t shift, uint64_t split);

#endif
