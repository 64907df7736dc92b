// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A module of any bytes, rewritten; what comes out is one again, and its map holds.
 */
#include "../tests/inline/check.h"
#include "chariot-inline.h"
#include "fuzz.h"
#include "mini.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	mini_get(true);
	return 0;
}

static void use_checks(const struct chariot_inline *x)
{
	const struct chariot_inline_check *c;
	uint32_t sec, off;
	size_t nr;

	c = chariot_inline__checks(x, &nr);
	for (size_t i = 0; i < nr; i++) {
		fuzz_assert(c[i].start <= c[i].store && c[i].store < c[i].next);
		fuzz_assert(!chariot_inline__to_new(x, c[i].sec, c[i].off, true, &sec, &off) &&
			    sec == c[i].new_sec && off == c[i].store);
		fuzz_assert(!chariot_inline__to_old(x, c[i].new_sec, c[i].slow, &sec, &off) &&
			    sec == c[i].sec && off == c[i].off);
	}
}

static void use_functions(const struct chariot_inline *x)
{
	const struct chariot_inline_function *f;
	struct chariot_inline_totals t;
	uint64_t checks = 0;
	size_t nr;

	f = chariot_inline__functions(x, &nr);
	for (size_t i = 0; i < nr; i++) {
		fuzz_touch_str(f[i].name);
		if (f[i].why)
			fuzz_touch_str(f[i].why);
		fuzz_assert(!f[i].why || !f[i].checks);
		checks += f[i].checks;
	}
	chariot_inline__totals(x, &t);
	fuzz_assert(t.checks == checks && t.functions == nr);
}

static void use_layout(const struct chariot_inline *x)
{
	const struct chariot_inline_layout *l = chariot_inline__layout(x);
	struct chariot_inline_fill f = { .sz = sizeof(f) };
	struct chariot_inline_write *w;
	uint32_t sec, off;
	uint8_t *arms;
	size_t nr;

	arms = malloc(l->nr_gates + 1);
	fuzz_assert(arms);
	memset(arms, CHARIOT_INLINE_BOTH, l->nr_gates + 1);
	f.arms = arms;
	fuzz_assert(!chariot_inline__fill(x, &f, &w, &nr) && nr == l->nr_gates + 2);
	for (size_t i = 0; i < nr; i++)
		fuzz_assert(w[i].gva + w[i].len <= l->runtime_len && w[i].len <= sizeof(w->bytes));
	for (size_t i = 0; i < l->nr_gates; i++) {
		fuzz_touch_str(l->gates[i].name);
		fuzz_assert(l->gates[i].slot < l->gates[i].body &&
			    l->gates[i].body + 64 <= l->runtime_len);
	}
	for (size_t i = 0; i < l->nr_entries; i++)
		fuzz_assert(!chariot_inline__to_old(x, l->entries[i].sec, l->entries[i].call, &sec,
						    &off));
	free(w);
	free(arms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct chariot_inline_opts opts = {
		.sz = sizeof(opts), .this_cpu_off = 0x7000, .cache_lines = 64 << (len % 4),
	};
	struct chariot_inline *x, *again;
	const void *image;
	size_t n;

	x = chariot_inline__rewrite(data, len, &opts);
	if (!x)
		return 0;
	image = chariot_inline__image(x, &n);
	fuzz_touch(image, n);
	use_checks(x);
	use_functions(x);
	use_layout(x);
	again = chariot_inline__rewrite(image, n, &opts);
	chariot_inline__free(again);
	chariot_inline__free(x);
	return 0;
}

static void made(fuzz_emit emit, const char *name, const char *hex, bool compiled)
{
	uint64_t len;
	void *ko = ko_make(hex, compiled, &len);

	fuzz_assert(ko);
	emit(name, ko, len);
	free(ko);
}

void fuzz_seeds(fuzz_emit emit)
{
	for (int old = 0; old < 2; old++) {
		struct mini *m = mini_get(old);

		emit(old ? "old" : "new", m->ko, m->ko_len);
	}
	made(emit, "store", "89 07 c3", true);
	made(emit, "saved", "89 07 c3", false);
	made(emit, "data", "89 05 D c7 05 D+4 01 00 00 00 89 05 K 65 ff 05 K c3", true);
	made(emit, "array", "89 04 bd S f0 0f c1 04 b7 48 0f ab 37 c3", true);
	made(emit, "strings", "f3 48 ab f3 a4 ab f3 6c c3", true);
	made(emit, "frame", "55 48 89 e5 48 83 ec 20 48 89 7d f8 48 89 e0 89 38 c9 c3", true);
	made(emit, "jumps", "85 f6 74 02 89 07 e3 02 89 07 e8 00 00 00 00 eb f2", true);
	made(emit, "refused", "89 07 eb 03 | fd 90 90 fc c3", true);
	made(emit, "two", "89 07 e8 01 00 00 00 c3 | 89 07 ff e0", false);
	made(emit, "calls", "48 83 ec 08 e8 K 48 83 c4 08 e9 K", true);
	made(emit, "aligned", "4c 8d 54 24 08 48 83 e4 f0 41 ff 72 f8 55 48 89 e5 41 52 "
	     "48 83 ec 18 48 89 7d e8 4c 8b 55 f8 c9 49 8d 62 f8 c3", true);
	made(emit, "labels", "85 f6 74 03 57 eb 02 BUG 57 58 58 48 8d 05 T 55 31 ed 5d e9 J", false);
	made(emit, "percpu", "65 89 07 64 89 07 0f ae 07 c3", true);
}
