// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a guest may write into its memory to do harm: names that a terminal would obey.
 * No kernel is needed, and no test measures time.
 */
#include <bpf/btf.h>
#include <stdlib.h>

#include "fake-guest.h"
#include "fake-kernel.h"
#include "tap.h"

#define LEN	(16UL << 20)
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

int main(void)
{
	test_symbols();
	test_strings();
	test_btf_names();
	test_log();
	return tap_done();
}
