// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The profile of a kernel in a guest's memory, of which the input has changed
 * some, and what is asked of it: names of any bytes.
 */
#include <bpf/btf.h>

#include "mini.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	mini_get(true);
	return 0;
}

static uint64_t place(struct mini *m, struct choices *c)
{
	static const char *const names[] = {
		"__start_notes", "__start_BTF", "linux_banner", "nr_cpu_ids",
		"do_init_module", "__start_BTF", "page_offset_base",
	};
	uint32_t i = choose(c, ARRAY_SIZE(names) + 2);
	uint64_t off = choose(c, 65536);

	if (i == ARRAY_SIZE(names))
		return MINI_TEXT + m->tokens - 32768 + off;
	if (i > ARRAY_SIZE(names))
		return MINI_TEXT + (choose_bytes(c, 3) % m->img.len);
	return chariot_profile__symbol(m->profile, names[i]) +
	       off % (i == 1 ? m->btf_len : 64);
}

static void ask(const struct chariot_profile *p, const char *type,
		const char *name)
{
	uint64_t size, off;
	int64_t v;

	chariot_profile__type_size(p, type);
	chariot_profile__member(p, type, name, &size);
	chariot_profile__member(p, "module", name, &size);
	chariot_profile__member(p, "matrix", name, &size);
	chariot_profile__enumerator(p, type, name, &v);
	chariot_profile__enumerator(p, "module_state", "MODULE_STATE_COMING", &v);
	chariot_profile__enumerator(p, "wide", "WIDE", &v);
	chariot_profile__symbol(p, name);
	for (uint64_t a = MINI_TEXT - 1; a < MINI_TEXT + 65536; a += 7919) {
		const char *s = chariot_profile__name(p, a, &off);

		if (s)
			fuzz_touch_str(s);
		chariot_profile__next(p, a);
	}
	fuzz_touch_str(chariot_profile__release(p));
	fuzz_touch_str(chariot_profile__build_id(p));
}

static void make_name(char *name, size_t size, struct choices *c)
{
	size_t n = choose(c, size);

	for (size_t i = 0; i < n; i++)
		name[i] = choose_bytes(c, 1);
	name[n] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	struct mini *m = mini_get(choose(&c, 2));
	char type[24], name[48];
	struct chariot_kernel k;
	struct chariot_profile *p;
	uint8_t bytes[16];

	make_name(type, sizeof(type), &c);
	make_name(name, sizeof(name), &c);
	/* Mostly the kernel is as it was, and only the questions are new. */
	if (!c.n) {
		ask(m->profile, type, name);
		return 0;
	}
	for (int i = 0; c.n && i < 64; i++) {
		uint64_t gva = place(m, &c);
		size_t n = 1 + choose(&c, sizeof(bytes));

		for (size_t b = 0; b < n; b++)
			bytes[b] = choose_bytes(&c, 1);
		mini_poke(m, gva, bytes, n);
	}
	p = chariot_profile__from_guest(&m->g.space, MINI_TEXT + 4096);
	if (p) {
		ask(p, type, name);
		chariot_profile__kernel(p, &m->g.space, &k);
		chariot_profile__load_point(p, &m->g.space);
	}
	chariot_profile__free(p);
	mini_undo(m);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	static const struct { const char *type, *name; } asks[] = {
		{ "module", "mem[2].base" }, { "module", "core_layout.size" },
		{ "sk_buff", "next" }, { "sk_buff", "cb[3]" },
		{ "matrix", "cell[1][2]" }, { "net_device", "b" },
		{ "net_device", "high" }, { "mempool_t", "pool_data" },
	};
	uint8_t seed[128];
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		size_t t = strlen(asks[i].type), n = strlen(asks[i].name);

		seed[0] = i;
		seed[1] = t;
		memcpy(seed + 2, asks[i].type, t);
		seed[2 + t] = n;
		memcpy(seed + 3 + t, asks[i].name, n);
		snprintf(name, sizeof(name), "ask-%zu", i);
		emit(name, seed, 3 + t + n);
		/* Each place, with other bytes. */
		n += 3 + t;
		seed[n++] = i;
		for (int b = 0; b < 12; b++)
			seed[n++] = b * i;
		snprintf(name, sizeof(name), "poke-%zu", i);
		emit(name, seed, n);
	}
}
