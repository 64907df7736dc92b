/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image that looks like a kernel's to who looks for its symbols: whatever their
 * names are, and no more of a kernel than that.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include "internal.h"

#define FAKE_SYMS	4096	/* the fewest that are looked for */
#define FAKE_TABLES	(1UL << 20)	/* they lie in the first bytes of the image */

/* The name of symbol @i, of at most 100 bytes. */
typedef void (*fake_name_fn)(unsigned int i, char *name);

/* @len: a multiple of 2M; behind the tables all is 0.  The symbols are evenly apart,
 * those of the second half are data. */
int fake_kernel(struct image *img, size_t len, fake_name_fn name);

#endif
