// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The symbol tables in a kernel's image, of each layout: the input says which,
 * and what is written over them.
 */
#include "mini.h"

#define BEFORE	(320UL << 10)	/* of the image, around the token table */
#define BEHIND	(64UL << 10)

static struct mini kernels[MINI_NR_LAYOUTS];
static uint8_t *saved[MINI_NR_LAYOUTS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct mini *m = mini_get(false);

	for (int i = 0; i < MINI_NR_LAYOUTS; i++) {
		kernels[i].btf = m->btf;
		kernels[i].btf_len = m->btf_len;
		mini_image(&kernels[i], i);
		saved[i] = malloc(kernels[i].img.len);
		fuzz_assert(saved[i]);
		memcpy(saved[i], kernels[i].img.data, kernels[i].img.len);
	}
	return 0;
}

/* Nearby, where numbers are, or anywhere. */
static size_t place(const struct mini *m, struct choices *c)
{
	uint32_t kind = choose(c, 4);
	size_t at = choose_bytes(c, 3);

	if (kind < 2)
		return m->tokens - 256 + at % 2048;
	if (kind == 2)
		return m->tokens - 65536 + at % 65536;
	return at % m->img.len;
}

static void use(struct mini *m)
{
	struct ksyms k;

	if (ksyms_find(&k, &m->img))
		return;
	for (size_t i = 0; i < k.nr; i += 97)
		fuzz_touch_str(ksyms_name(&k, &k.syms[i]));
	ksyms_by_name(&k, "do_init_module");
	ksyms_by_name(&k, "no such");
	for (uint64_t a = MINI_TEXT - 8; a < MINI_TEXT + 65536; a += 4093)
		ksyms_below(&k, a);
	ksyms_free(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	int layout = choose(&c, MINI_NR_LAYOUTS);
	struct mini *m = &kernels[layout];
	size_t at[64] = {}, n[64] = {};
	int nr = 0;

	while (c.n && nr < 64) {
		at[nr] = place(m, &c);
		n[nr] = 1 + choose(&c, 32);
		if (n[nr] > m->img.len - at[nr])
			n[nr] = m->img.len - at[nr];
		for (size_t i = 0; i < n[nr]; i++)
			m->img.data[at[nr] + i] = choose_bytes(&c, 1);
		nr++;
	}
	use(m);
	while (nr--)
		memcpy(m->img.data + at[nr], saved[layout] + at[nr], n[nr]);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	static const uint8_t seeds[][8] = {
		{ 0 }, { 1 }, { 2 },
		{ 0, 0, 0, 1, 0, 4, 0, 1 }, { 1, 1, 8, 0, 0, 2, 9, 9 },
		{ 2, 2, 255, 255, 0, 1, 1, 1 }, { 1, 3, 0, 0, 4, 2, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		char name[16];

		snprintf(name, sizeof(name), "%zu", i);
		emit(name, seeds[i], i < 3 ? 1 : 8);
	}
}
