// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables are those of Linux 6.4 and later: kallsyms.c tells how they are laid out. */
#include <stdio.h>
#include <stdlib.h>

#include "fake-kernel.h"

#define BASE	0xffffffff81000000ULL

struct out {
	uint8_t *data;
	size_t at;
};

static void put(struct out *o, const void *what, size_t len)
{
	memcpy(o->data + o->at, what, len);
	o->at += len;
}

static void put32(struct out *o, uint32_t v)
{
	put(o, &v, sizeof(v));
}

static void align(struct out *o)
{
	o->at = (o->at + 7) & ~7UL;
}

/* Each token is one character, but the first, which is nothing. */
static void put_names(struct out *o, fake_name_fn fn)
{
	uint32_t markers[FAKE_SYMS / 256];
	size_t start = o->at;
	char name[128];

	for (unsigned int i = 0; i < FAKE_SYMS; i++) {
		if (i % 256 == 0)
			markers[i / 256] = o->at - start;
		name[0] = i < FAKE_SYMS / 2 ? 'T' : 'D';
		fn(i, name + 1);
		o->data[o->at++] = strlen(name);
		put(o, name, strlen(name));
	}
	align(o);
	put(o, markers, sizeof(markers));
	align(o);
}

static void put_tokens(struct out *o)
{
	uint16_t index[256];
	size_t start = o->at;

	for (int i = 0; i < 256; i++) {
		index[i] = o->at - start;
		if (i)
			o->data[o->at++] = i;
		o->data[o->at++] = 0;
	}
	align(o);
	put(o, index, sizeof(index));
}

int fake_kernel(struct image *img, size_t len, fake_name_fn name)
{
	struct out o = { .data = calloc(1, len), .at = 64 };
	uint64_t base = BASE;

	if (!o.data)
		return -ENOMEM;
	put32(&o, FAKE_SYMS);
	align(&o);
	put_names(&o, name);
	put_tokens(&o);
	for (unsigned int i = 0; i < FAKE_SYMS; i++)
		put32(&o, len / FAKE_SYMS * i);
	align(&o);
	put(&o, &base, sizeof(base));
	if (o.at > FAKE_TABLES)
		abort();
	*img = (struct image){ .base = BASE, .len = len, .data = o.data };
	return 0;
}
