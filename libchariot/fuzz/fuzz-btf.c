// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * BTF of any bytes: checked, searched, and as types of a driver over a kernel's.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "mini.h"

static struct recover recover;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct chariot_policy *policy = chariot_policy__load(NULL);

	if (!policy)
		abort();
	recover_begin(&recover, policy, mini_get(false)->profile);
	return 0;
}

static void search(const struct btf_names *n, const struct btf *btf, uint32_t id)
{
	static const char *const paths[] = {
		"", "a", "next", "list.next", "cell[1][2]", "b[2].x", "[0]", "cb[48]",
	};
	const struct btf_type *t = btf__type_by_id(btf, id);
	const char *name = btf__str_by_offset(btf, t->name_off);
	int32_t found = btf_names_find_aggregate(n, name);
	uint32_t member;
	uint64_t size;
	int64_t v;

	fuzz_touch_str(name);
	btf_names_find(n, name, btf_kind(t));
	for (size_t i = 0; found >= 0 && i < ARRAY_SIZE(paths); i++)
		btf_member_path(btf, found, paths[i], &size, &member);
	if (found >= 0 && btf_vlen(btf__type_by_id(btf, found))) {
		t = btf__type_by_id(btf, found);
		btf_member_path(btf, found, btf__str_by_offset(btf,
				btf_members(t)->name_off), &size, &member);
	}
	t = btf__type_by_id(btf, id);
	if (btf_is_any_enum(t))
		btf_enumerator(btf, id, "MOD_TEXT", &v);
	btf__resolve_size(btf, id);
	if (btf_is_func(t))
		recover_flags(&recover, btf, btf__type_by_id(btf, t->type), name);
}

static void use(const struct btf *btf, uint32_t first)
{
	struct btf_names n = {};

	if (!btf_names_init(&n, btf))
		for (uint32_t id = first; id < btf__type_cnt(btf) &&
		     id < first + 256; id++)
			search(&n, btf, id);
	btf_names_free(&n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct btf *kernel = profile_btf(mini_get(false)->profile), *btf, *split;

	btf = btf_new_checked(data, len, NULL);
	if (btf) {
		use(btf, 1);
		btf__free(btf_new_checked(data, len, btf));
	}
	split = btf_new_checked(data, len, kernel);
	if (split)
		use(split, btf__type_cnt(kernel));
	btf__free(split);
	btf__free(btf);
	return 0;
}

/* The types of both kernels and drivers. */
void fuzz_seeds(fuzz_emit emit)
{
	struct chariot_driver *d;

	for (int old = 0; old < 2; old++) {
		struct mini *m = mini_get(old);

		emit(old ? "kernel-old" : "kernel-new", m->btf, m->btf_len);
		d = chariot_driver__from_file(fuzz_file(m->ko, m->ko_len));
		fuzz_assert(d);
		emit(old ? "driver-old" : "driver-new", d->raw_btf, d->raw_btf_len);
		chariot_driver__free(d);
	}
}
