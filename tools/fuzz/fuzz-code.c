// SPDX-License-Identifier: GPL-2.0
/*
 * Machine code of any bytes: stores in it, faults in it, what they become.
 */
#include "fault.h"
#include "fuzz.h"
#include "site.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

struct encode {
	uint64_t target, value;
	unsigned int width;
};

static bool encode(void *ctx, const struct site *s)
{
	const struct encode *e = ctx;
	uint8_t bytes[SITE_MAX];

	fuzz_touch_str(s->text);
	fuzz_assert(s->len && s->len <= SITE_MAX);
	site_encode(s, e->target, e->value, e->width, bytes);
	return false;
}

static const char *any_name(void *ctx, uint64_t field, uint64_t target,
			    char *buf, size_t size)
{
	static const char *const names[] = {
		"kfree", "_raw_spin_lock", "mutex_lock", "kmalloc_trace", "memcpy",
		"_raw_spin_unlock_irqrestore", NULL,
	};

	return names[target % ARRAY_SIZE(names)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	uint32_t how = choose(&c, 65536);
	uint64_t gva = 0xffffffffc0400000ULL;
	struct encode e = { .width = 1 << choose(&c, 4) };
	struct fault_function fn[2];
	struct fault_driver d = {
		.functions = fn, .nr = 2, .unlinked = how & 1, .name = any_name,
	};
	struct fault f;
	char text[96];

	e.target = choose(&c, 2) ? gva + choose(&c, 65536) : choose_bytes(&c, 8);
	e.value = choose_bytes(&c, 8);
	site_scan(c.p, c.n, gva, how & 15, encode, &e);
	site_disassemble(c.p, c.n < SITE_MAX ? c.n : SITE_MAX, gva, text, sizeof(text));
	fn[0] = (struct fault_function){ "a", gva, c.p, c.n / 2 };
	fn[1] = (struct fault_function){ "b", gva + c.n / 2, c.p + c.n / 2,
					 c.n - c.n / 2 };
	for (int i = 0; c.n > 1 && i < 3; i++)
		if (!fault_pick(&d, (how >> i) % (FAULT_NR_TYPES + 1), how, &f))
			fuzz_assert(f.function && f.offset <= f.function->len &&
				    f.len <= f.function->len - f.offset);
	return 0;
}

/* Stores, calls, branches and a loop. */
void fuzz_seeds(fuzz_emit emit)
{
	static const uint8_t code[] = {
		0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55, 0x48, 0x89, 0xe5, 0x53,
		0x48, 0x8b, 0x5f, 0x10, 0xc7, 0x83, 0x10, 0x02, 0x00, 0x00, 1, 0, 0, 0,
		0x48, 0xc7, 0x43, 0x18, 0, 0, 0, 0, 0x66, 0xc7, 0x43, 0x08, 1, 0,
		0x89, 0x4f, 0x40, 0x48, 0x89, 0x93, 0x88, 0, 0, 0,
		0xbf, 0x40, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0x48, 0x85, 0xc0, 0x74, 0x05,
		0x0f, 0xb6, 0x03, 0x83, 0xc1, 0x01, 0x83, 0xf9, 0x10, 0x75, 0xf2,
		0xfa, 0xf3, 0xa4, 0xfb, 0x5b, 0x5d, 0xc3, 0xcc,
	};
	uint8_t seed[24 + 2 * sizeof(code)];
	char name[16];

	for (int i = 0; i <= FAULT_NR_TYPES; i++) {
		memset(seed, 0, sizeof(seed));
		seed[0] = i;
		seed[2] = i & 3;
		memcpy(seed + 24, code, sizeof(code));
		memcpy(seed + 24 + sizeof(code), code, sizeof(code));
		snprintf(name, sizeof(name), "%d", i);
		emit(name, seed, sizeof(seed));
	}
}
