// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a guest may write into its memory to do harm: names that a terminal would obey,
 * tables that take for ever.  No kernel is needed, and no test measures time: tries
 * are counted, and what is kept.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "fake-guest.h"
#include "fake-kernel.h"
#include "tap.h"

#define SIZE_2M	(2UL << 20)
#define GPA	(2UL << 20)
#define ESC	"\x1b[31m\x9b""2J\x07\r\x7f\xc2\x9b"

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* ---- text ---------------------------------------------------------------- */

static void rude_name(unsigned int i, char *name)
{
	sprintf(name, i % 2 ? "fn_%u" ESC : "fn_%u", i);
}

static void test_symbols(void)
{
	struct image img;
	struct ksyms k;
	size_t rude = 0;

	fake_kernel(&img, SIZE_2M, rude_name);
	if (!tap_ok(!ksyms_find(&k, &img), "symbols of a fake kernel"))
		return;
	for (size_t i = 0; i < k.nr; i++)
		rude += !is_printable(ksyms_name(&k, &k.syms[i]));
	tap_ok(k.nr == FAKE_SYMS && !rude, "%zu of its names are not printable",
	       rude);
	tap_ok(ksyms_by_name(&k, "fn_8") && ksyms_by_name(&k, "fn_9?[31m?2J?????"),
	       "they are found by what they are called now");
	ksyms_free(&k);
	image_free(&img);
}

static void test_strings(void)
{
	struct fake_guest g;
	char buf[64];

	fake_init(&g, SIZE_2M, false);
	fake_map(&g, 0xffffffff81000000, 0x100000, 1);
	strcpy((char *)g.mem + 0x100000, "demo" ESC);
	tap_ok(!space_read_str(&g.space, 0xffffffff81000000, buf, sizeof(buf)) &&
	       !strcmp(buf, "demo?[31m?2J?????"), "a string of the guest: %s",
	       is_printable(buf) ? buf : "");
	fake_free(&g);
}

/* A struct of that name, with as many members. */
static struct btf *make_btf(const char *name, uint32_t members)
{
	struct btf *btf = btf__new_empty(), *checked;
	const void *raw;
	uint32_t len;

	btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	btf__add_struct(btf, name, 4 * members);
	for (uint32_t i = 0; i < members; i++)
		btf__add_field(btf, "m", 1, 32 * i, 0);
	raw = btf__raw_data(btf, &len);
	checked = btf_new_checked(raw, len, NULL);
	btf__free(btf);
	return checked;
}

static void test_btf_names(void)
{
	struct btf *btf = make_btf("good", 3);
	char name[1024] = "";

	tap_ok(btf, "BTF");
	btf__free(btf);
	btf = make_btf("bad" ESC, 3);
	tap_ok(!btf && errno == EBADMSG, "BTF with names that are not printable");
	btf__free(btf);
	memset(name, 'x', sizeof(name) - 1);
	btf = make_btf(name, 3);
	tap_ok(!btf && errno == EBADMSG, "BTF with names that are too long");
	btf__free(btf);
}

static char logged[512];

static void keep_log(void *ctx, enum chariot_log_level level, const char *text)
{
	snprintf(logged, sizeof(logged), "%s", text);
}

static void test_log(void)
{
	chariot_set_log(keep_log, NULL);
	log_info("say %s", ESC);
	chariot_set_log(NULL, NULL);
	tap_ok(is_printable(logged), "the log");
	tap_ok(!chariot_printable(NULL), "no text");
}

/* ---- work without end ------------------------------------------------------ */

static void plain_name(unsigned int i, char *name)
{
	sprintf(name, "fn_%u", i);
}

static unsigned int nr_logged;

static void count_log(void *ctx, enum chariot_log_level level, const char *text)
{
	nr_logged++;
	if (level == CHARIOT_LOG_ERROR)
		snprintf(logged, sizeof(logged), "%s", text);
}

/* Each looks like the start of BTF as large as a kernel's. */
static void fill_with_headers(uint8_t *mem, size_t len)
{
	struct btf_header h = {
		.magic = BTF_MAGIC, .version = BTF_VERSION,
		.hdr_len = sizeof(h), .type_len = 65536, .str_off = 65536,
		.str_len = 16,
	};

	for (size_t at = 0; at + sizeof(h) <= len; at += sizeof(h))
		memcpy(mem + at, &h, sizeof(h));
}

/* A profile of such a guest: each try says something. */
static void test_btf_flood(void)
{
	struct fake_guest g;
	struct image img;
	int err;

	fake_kernel(&img, 2 * SIZE_2M, plain_name);
	fill_with_headers(img.data + FAKE_TABLES, img.len - FAKE_TABLES);
	fake_init(&g, GPA + img.len, false);
	fake_load(&g, &img, GPA, 0, 0);
	nr_logged = 0;
	chariot_set_log(count_log, NULL);
	err = chariot_profile__from_guest(&g.space, img.base) ? 0 : errno;
	chariot_set_log(NULL, NULL);
	tap_ok(nr_logged && nr_logged <= 64, "memory full of BTF: %u lines of log",
	       nr_logged);
	tap_ok(err == E2BIG && strstr(logged, "looks like it"), "it is told: %s",
	       logged);
	image_free(&img);
	fake_free(&g);
}

static void test_large_page(void)
{
	struct fake_guest g;

	fake_init(&g, SIZE_2M, false);
	fake_map(&g, 0xffffffff80000000, 0, 3);
	chariot_set_log(count_log, NULL);
	tap_ok(!chariot_profile__from_guest(&g.space, 0xffffffff81000000) &&
	       errno == EFBIG, "a kernel in a page of 1G: %s", logged);
	chariot_set_log(NULL, NULL);
	fake_free(&g);
}

static size_t used_slots(const uint32_t *hash, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < size; i++)
		used += hash[i] != 0;
	return used;
}

static void same_name(unsigned int i, char *name)
{
	strcpy(name, "same");
}

/* As kallsyms.c and btf.c (@kind) have it. */
static uint32_t hash(const char *name, uint32_t kind)
{
	uint32_t h = 2166136261u ^ kind;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

/* The next name whose place is the first one. */
static void colliding_name(char *name, uint32_t kind)
{
	static unsigned int n;

	do
		sprintf(name, "c%u", n++);
	while (hash(name, kind) & (2 * FAKE_SYMS - 1));
}

static void colliding_symbol(unsigned int i, char *name)
{
	colliding_name(name, 0);
}

static void test_symbol_names(void)
{
	struct image img;
	struct ksyms k;

	fake_kernel(&img, SIZE_2M, same_name);
	tap_ok(!ksyms_find(&k, &img) && used_slots(k.hash, k.hash_size) == 1 &&
	       ksyms_by_name(&k, "same") == k.syms,
	       "symbols of one name: the first is found");
	ksyms_free(&k);
	image_free(&img);
	fake_kernel(&img, SIZE_2M, colliding_symbol);
	chariot_set_log(count_log, NULL);
	tap_ok(ksyms_find(&k, &img) == -ENOENT, "names that collide: %s", logged);
	chariot_set_log(NULL, NULL);
	ksyms_free(&k);
	image_free(&img);
}

/* As many types as there are symbols. */
static int names_of(bool collide, size_t *used)
{
	struct btf *btf = btf__new_empty();
	struct btf_names n = {};
	char name[128] = "same";
	int err;

	for (int i = 1; i < FAKE_SYMS; i++) {
		if (collide)
			colliding_name(name, BTF_KIND_STRUCT);
		btf__add_struct(btf, name, 0);
	}
	err = btf_names_init(&n, btf);
	*used = err ? 0 : used_slots(n.hash, n.hash_size);
	btf_names_free(&n);
	btf__free(btf);
	return err;
}

static void test_type_names(void)
{
	size_t used;

	tap_ok(!names_of(false, &used) && used == 1,
	       "types of one name: the first is found");
	tap_ok(names_of(true, &used) == -E2BIG, "types whose names collide");
}

static void test_long_symbol(void)
{
	struct symbols syms = {};
	char name[600];

	memset(name, 'x', sizeof(name));
	name[599] = 0;
	tap_ok(driver_add_symbol(&syms, name, 0, 0, true) == -ENAMETOOLONG &&
	       !driver_add_symbol(&syms, name + 100, 0, 0, true) && syms.nr == 1,
	       "a symbol with a name that is too long");
	free(syms.v);
}

int main(void)
{
	test_symbols();
	test_strings();
	test_btf_names();
	test_log();
	test_btf_flood();
	test_large_page();
	test_symbol_names();
	test_type_names();
	test_long_symbol();
	return tap_done();
}
