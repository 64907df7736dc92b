// SPDX-License-Identifier: GPL-2.0
/*
 * site.c: what it finds, and that what it writes is decoded as what was meant.
 */
#include "../site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HERE	0xffffffffc0123456ULL
#define KERNEL	0xffffffff82a14045ULL

static int nr, failed;

static void ok(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++nr, what);
	failed += !good;
}

static bool count(void *ctx, const struct site *s)
{
	(void)s;
	++*(int *)ctx;
	return false;
}

static int found(const char *hex)
{
	uint8_t code[64];
	unsigned int v;
	size_t len = 0;
	int n = 0, used;

	for (; sscanf(hex, " %2x%n", &v, &used) == 1; hex += used)
		code[len++] = v;
	site_scan(code, len, HERE, SITE_MIN, count, &n);
	return n;
}

static void test_scan(void)
{
	static const struct { const char *hex; int found; const char *what; }
	t[] = {
		{ "c7 83 10 02 00 00 01 00 00 00", 1, "movl $imm,disp32(reg)" },
		{ "48 c7 43 18 00 00 00 00", 1, "movq $imm,disp8(reg)" },
		{ "48 89 83 00 01 00 00", 1, "movq reg,disp32(reg)" },
		{ "c7 05 00 01 00 00 01 00 00 00", 1, "movl $imm,disp(rip)" },
		{ "c7 84 88 10 02 00 00 01 00 00 00", 1, "with an index" },
		{ "66 c7 83 10 02 00 00 01 00", 1, "movw $imm,disp32(reg)" },
		{ "89 07", 0, "too short" },
		{ "48 8b 83 00 01 00 00", 0, "a load" },
		{ "48 c7 c0 00 00 00 00", 0, "to a register" },
		{ "81 83 10 02 00 00 01 00 00 00", 0, "adc to memory" },
		{ "65 c7 05 00 00 00 00 01 00 00 00", 0, "to per-CPU data" },
		{ "48 c7 44 24 08 00 00 00 00", 0, "to the stack" },
		{ "8c 9c 24 00 01 00 00", 0, "a segment register" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ok(found(t[i].hex) == t[i].found, t[i].what);
}

/* What does the CPU's decoder make of it? */
static void test_one(size_t len, unsigned int width, int want,
		     const char *asm_text)
{
	struct site s = { .gva = HERE, .len = len };
	char text[160], what[200];
	uint8_t bytes[SITE_MAX];
	int r = site_encode(&s, KERNEL, 0x41424344, width, bytes);

	text[0] = 0;
	if (r > 0)
		site_disassemble(bytes, len, HERE, text, sizeof(text));
	snprintf(what, sizeof(what), "%zu bytes, width %u: %d \"%s\"", len,
		 width, r, text);
	ok(r == want && !strncmp(text, asm_text, strlen(asm_text)) &&
	   (r < 0 || !strstr(text, ".byte")), what);
}

static void test_encode(void)
{
	static const char abs4[] =
		"movl $0x41424344, 0xffffffff82a14045";
	struct site s = { .gva = HERE, .len = 11 };
	uint8_t b[SITE_MAX];

	test_one(6, 0, -ENOSPC, "");
	test_one(7, 0, 1, "movb $0x44, ");
	test_one(8, 0, 1, "movb $0x44, 0xffffffff82a14045");
	test_one(9, 0, 2, "movw $0x4344, ");
	test_one(10, 0, 4, "movl $0x41424344, ");
	test_one(11, 0, 4, abs4);
	test_one(15, 0, 4, abs4);
	test_one(11, 1, 1, "movb $0x44, 0xffffffff82a14045");
	test_one(11, 2, 2, "movw $0x4344, 0xffffffff82a14045");
	test_one(8, 4, -ENOSPC, "");
	ok(site_encode(&s, KERNEL, 0x41424344, 0, b) == 4 &&
	   !memcmp(b, "\xc7\x04\x25\x45\x40\xa1\x82\x44\x43\x42\x41", 11),
	   "the very bytes of movl $imm32,abs32");
	ok(site_encode(&s, 0xffff888003fe0000ULL, 1, 0, b) == -ERANGE,
	   "the direct map is out of reach");
}

int main(void)
{
	test_scan();
	test_encode();
	printf("1..%d\n", nr);
	return failed ? 1 : 0;
}
