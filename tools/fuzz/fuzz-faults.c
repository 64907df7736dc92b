// SPDX-License-Identifier: GPL-2.0
/*
 * A driver's file of any bytes, as "chariot inject" reads it: its functions, the
 * names of what they call, and the faults that can be made in them.
 */
#include "ko.h"
#include "mini.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	return 0;
}

static void check_fault(const struct fault *f)
{
	fuzz_assert(f->function && f->offset <= f->function->len &&
		    f->len <= f->function->len - f->offset &&
		    f->len <= SITE_MAX);
	fuzz_touch_str(f->before);
	fuzz_touch_str(f->after);
}

static void use(const struct ko *ko, uint32_t how)
{
	const struct fault_driver *d = ko_functions(ko);
	struct fault f;
	char buf[64];

	for (size_t i = 0; i < d->nr && i < 64; i++) {
		const struct fault_function *fn = &d->functions[i];
		const char *name;

		fuzz_touch_str(fn->name);
		fuzz_touch(fn->code, fn->len);
		name = d->name(d->ctx, fn->gva + 1, fn->gva + 5, buf, sizeof(buf));
		if (name)
			fuzz_touch_str(name);
	}
	if (!fault_pick(d, how % FAULT_NR_TYPES, how, &f))
		check_fault(&f);
	if (!fault_pick(d, FAULT_RANDOM, how, &f))
		check_fault(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char id[64];
	struct ko *ko;

	if (len < 4)
		return 0;
	build_id_find(data, len, id, sizeof(id));
	ko = ko_open(fuzz_file(data, len - 2));
	if (ko)
		use(ko, data[len - 1] << 8 | data[len - 2]);
	ko_close(ko);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	for (int i = 0; i < 2 * FAULT_NR_TYPES; i++) {
		struct mini *m = mini_get(i & 1);
		uint8_t *seed = malloc(m->ko_len + 2);
		char name[16];

		fuzz_assert(seed);
		memcpy(seed, m->ko, m->ko_len);
		seed[m->ko_len] = i / 2;
		seed[m->ko_len + 1] = 0;
		snprintf(name, sizeof(name), "%d", i);
		emit(name, seed, m->ko_len + 2);
		free(seed);
	}
}
