// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Library code of the kernel's: made-up functions, one for each thing that is found in
 * them, and what is true of those of stock kernels.
 *
 * CHARIOT_KERNELS: where selftests/env/kernels.sh put the kernels.
 */
#include <capstone/capstone.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "pure.h"
#include "tap.h"

#define TEXT	0xffffffff81000000ULL
#define OTHER	(TEXT + 0x1000)		/* writes through its first argument */
#define LOCKS	(TEXT + 0x2000)		/* is left for */
#define THUNK	(TEXT + 0x3000)		/* a return thunk */
#define INDIRECT (TEXT + 0x4000)
#define ONCE	(TEXT + 0x5000)

static csh cs;
static const struct jump_label *label;

static const struct pure_fn other = {
	.start = OTHER, .end = OTHER + 16, .returns = true,
	.writes = FROM_ARG(0), .result = FROM_ARG(1), .bytes = { 0xf },
};

static const struct pure_fn *callee(void *ctx, uint64_t target)
{
	return target == OTHER ? &other : NULL;
}

static enum target target(void *ctx, uint64_t gva)
{
	switch (gva) {
	case THUNK:
		return TARGET_RETURN;
	case INDIRECT:
		return TARGET_INDIRECT;
	case OTHER:
	case LOCKS:
		return TARGET_FUNCTION;
	}
	return TARGET_NONE;
}

static const struct jump_label *labels(void *ctx, uint64_t code, size_t *nr)
{
	*nr = label && label->code == code;
	return label;
}

static struct pure_fn look(const uint8_t *code, size_t len, uint32_t steps)
{
	struct pure_fn f = { .start = TEXT, .end = TEXT + len };
	struct flow w = {
		.code = code, .f = &f, .callee = callee, .labels = labels,
		.target = target, .cs = cs, .steps = &steps,
		.once = ONCE, .once_end = ONCE + 4,
	};

	if (flow_run(&w))
		f.why = PURE_NR;
	free(f.calls);
	free(f.exits);
	return f;
}

/* Bytes in hex, and "call X"/"jmp X" as e8/e9 with @to in place of "?". */
static struct pure_fn run(const char *hex, uint64_t to)
{
	uint8_t code[256];
	size_t n = 0;
	int32_t rel;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		if (*hex == '?') {
			rel = to - (TEXT + n + 4);
			memcpy(code + n, &rel, 4);
			n += 4;
			continue;
		}
		code[n++] = strtoul((char[]){ hex[0], hex[1], 0 }, NULL, 16);
		hex++;
	}
	return look(code, n, 1000);
}

static const struct {
	const char *what, *hex;
	uint64_t to;
	enum pure_why why;
	uint16_t writes;
} rows[] = {
	{ "mov %esi,(%rdi)", "89 37 c3", 0, PURE_OK, FROM_ARG(0) },
	{ "by an index", "89 04 b7 c3", 0, PURE_OK, FROM_ARG(0) | FROM_ARG(1) },
	{ "through a pointer in it", "48 8b 07 89 30 c3", 0, PURE_OK, FROM_IN(0) },
	{ "its own stack", "48 83 ec 10 48 89 3c 24 48 83 c4 10 c3", 0, PURE_OK, 0 },
	{ "a pointer that was on the stack", "57 58 89 30 c3", 0, PURE_OK, FROM_ARG(0) },
	{ "the copy of a pointer", "48 89 f8 c6 40 05 00 c3", 0, PURE_OK, FROM_ARG(0) },
	{ "either pointer", "48 89 f8 48 85 d2 48 0f 44 c6 89 10 c3", 0, PURE_OK,
	  FROM_ARG(0) | FROM_ARG(1) },
	{ "rep stosb", "48 89 d1 f3 aa c3", 0, PURE_OK, FROM_ARG(0) },
	{ "a return thunk", "89 37 e9 ?", THUNK, PURE_OK, FROM_ARG(0) },
	{ "a call of what writes", "48 89 f7 e8 ? c3", OTHER, PURE_OK, FROM_ARG(1) },
	{ "it as the last act", "e9 ?", OTHER, PURE_OK, FROM_ARG(0) },
	{ "a register that a call leaves alone", "49 89 f0 e8 ? 41 89 00 c3", OTHER, PURE_OK,
	  FROM_ARG(0) | FROM_ARG(1) },
	{ "what it returned", "e8 ? 89 10 c3", OTHER, PURE_OK, FROM_ARG(0) | FROM_ARG(1) },
	{ "a lock, now and then", "85 f6 74 05 e8 ? 89 37 c3", LOCKS, PURE_OK, FROM_ARG(0) },
	{ "a warning", "85 f6 74 02 0f 0b 89 37 c3", 0, PURE_OK, FROM_ARG(0) },
	{ "a BUG() at the end", "85 f6 75 03 89 37 c3 0f 0b 90", 0, PURE_OK, FROM_ARG(0) },
	{ "that it has warned", "c6 05 ? 01 c3", ONCE - 1, PURE_OK, 0 },
	{ "more than that flag", "c6 05 ? 01 c3", ONCE + 3, PURE_GLOBAL, 0 },
	{ "a lock each time", "e8 ? 89 37 c3", LOCKS, PURE_NO_RETURN, 0 },
	{ "no end", "eb fe", 0, PURE_NO_RETURN, 0 },
	{ "a variable", "89 35 ? c3", TEXT + 0x9000, PURE_GLOBAL, 0 },
	{ "an array of the kernel's", "89 34 bd 00 00 00 82 c3", 0, PURE_GLOBAL, 0 },
	{ "what a variable points to", "48 8b 05 ? 89 30 c3", TEXT + 0x9000, PURE_GLOBAL, 0 },
	{ "a variable whose address is a constant", "48 c7 c0 00 00 00 82 89 30 c3", 0,
	  PURE_GLOBAL, 0 },
	{ "a variable or an argument", "48 8d 05 ? 48 85 ff 48 0f 45 c7 89 30 c3",
	  TEXT + 0x9000, PURE_GLOBAL, 0 },
	{ "a variable by what is called", "48 8d 3d ? e8 f4 0f 00 00 c3", TEXT + 0x9000,
	  PURE_GLOBAL, 0 },
	{ "a variable that was on the stack", "48 8d 05 ? 50 58 89 30 c3", TEXT + 0x9000,
	  PURE_GLOBAL, 0 },
	{ "per-CPU data", "65 ff 05 ? c3", TEXT + 0x9000, PURE_PERCPU, 0 },
	{ "what per-CPU data points to", "65 48 8b 04 25 00 01 00 00 89 30 c3", 0,
	  PURE_GLOBAL, 0 },
	{ "nowhere", "31 c0 89 30 c3", 0, PURE_WHERE, 0 },
	{ "half a pointer", "89 f8 89 30 c3", 0, PURE_WHERE, 0 },
	{ "its return address", "48 89 3c 24 c3", 0, PURE_STACK, 0 },
	{ "a return with a word too much", "57 c3", 0, PURE_STACK, 0 },
	{ "another stack", "48 89 fc c3", 0, PURE_STACK, 0 },
	{ "a pop of its caller's", "58 58 c3", 0, PURE_STACK, 0 },
	{ "call *%rax", "ff d0 c3", 0, PURE_INDIRECT, 0 },
	{ "jmp *%rax", "ff e0", 0, PURE_INDIRECT, 0 },
	{ "an indirect thunk", "e8 ? c3", INDIRECT, PURE_INDIRECT, 0 },
	{ "a jump into another function", "e9 ?", OTHER + 1, PURE_JUMP, 0 },
	{ "what follows it", "89 37", 0, PURE_JUMP, 0 },
	{ "cli", "fa c3", 0, PURE_CODE, 0 },
	{ "in", "ec c3", 0, PURE_CODE, 0 },
	{ "wrmsr", "0f 30 c3", 0, PURE_CODE, 0 },
	{ "mov to CR3", "0f 22 df c3", 0, PURE_CODE, 0 },
	{ "hlt", "f4 c3", 0, PURE_CODE, 0 },
	{ "swapgs", "0f 01 f8 c3", 0, PURE_CODE, 0 },
	{ "iretq", "48 cf", 0, PURE_CODE, 0 },
	{ "int $3", "cc c3", 0, PURE_CODE, 0 },
	{ "stac", "0f 01 cb c3", 0, PURE_CODE, 0 },
	{ "popf", "9d c3", 0, PURE_CODE, 0 },
	{ "no instruction", "06 c3", 0, PURE_CODE, 0 },
	{ "half an instruction", "48 8b", 0, PURE_CODE, 0 },
	{ "an instruction within another", "eb 01 b8 fa c3", 0, PURE_CODE, 0 },
};

static void test_rows(void)
{
	struct pure_fn f;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		f = run(rows[i].hex, rows[i].to);
		tap_ok(f.why == rows[i].why &&
		       (f.why || f.writes == rows[i].writes),
		       "%s: %s, writes %#x (found: %s, %#x)", rows[i].what,
		       pure_why_name(rows[i].why), rows[i].writes,
		       pure_why_name(f.why), f.writes);
	}
}

static void test_more(void)
{
	struct jump_label patched = { TEXT, TEXT + 6 };
	uint8_t code[16384];
	struct pure_fn f;

	f = run("c7 07 01 00 00 00 66 89 77 04 c3", 0);
	tap_ok(f.bytes[0] == 0x3f, "which bytes it writes");
	f = run("48 8d 7e 08 e8 ? c3", OTHER);
	tap_ok(f.bytes[1] == 0xf00, "which bytes what it calls writes");
	f = run("f0 ff 07 c3", 0);
	tap_ok(!f.why && f.atomic && !f.bytes[0], "what others have, too, is told");
	f = run("0f 1f 44 00 00 c3 fa c3", 0);
	tap_ok(!f.why, "a nop");
	label = &patched;
	f = run("0f 1f 44 00 00 c3 fa c3", 0);
	tap_ok(f.why == PURE_CODE, "the same, that may become a jump");
	label = NULL;
	memset(code, 0x90, sizeof(code));
	f = look(code, sizeof(code), 1000);
	tap_ok(f.why == PURE_STEPS, "it gives up");
	/* Each jumps to all that is behind it: "jne +0" a thousand times. */
	for (size_t i = 0; i + 2 <= sizeof(code); i += 2)
		memcpy(code + i, "\x75\x00", 2);
	f = look(code, sizeof(code), 30000);
	tap_ok(f.why == PURE_STEPS || f.why == PURE_JUMP, "also on too many jumps");
}

/* Whatever the bytes are, it comes to an end. */
static void test_hostile(void)
{
	const char *times = getenv("CHARIOT_FUZZ");
	uint8_t code[512];
	int n = times ? atoi(times) : 2000, ok = 0;

	srand(1);
	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(code); k++)
			code[k] = rand() % 4 ? rand() :
				  "\xe8\xe9\x75\xeb\x48\x89\x50\xc3"[rand() % 8];
		ok += look(code, 1 + rand() % sizeof(code), 5000).why < PURE_NR;
	}
	tap_ok(ok == n, "%d functions of random bytes", n);
}

/* ---- stock kernels --------------------------------------------------------- */

static const char *const library[] = {
	"sprintf", "snprintf", "vsnprintf", "scnprintf", "kstrtoint", "kstrtoull",
	"sscanf", "hex2bin", "bin2hex", "sg_init_table", "sg_init_one",
	"nla_strscpy", "nla_memcpy", "memcpy", "memset", "memmove", "crc32_le",
	"rb_insert_color", "rb_erase", "strsep",
};
static const char *const none[] = {
	"kfree", "mutex_lock", "_raw_spin_lock", "printk", "schedule", "msleep",
	"list_sort", "panic", "kmem_cache_alloc",
};

static void test_kernel(const char *dir, const char *version)
{
	const struct pure_fn *f, *all[PURE_CLOSURE];
	struct chariot_profile *p;
	char path[PATH_MAX];
	struct pure *pu;
	uint64_t gva;

	snprintf(path, sizeof(path), "%s/%s/vmlinuz", dir, version);
	if (access(path, R_OK)) {
		tap_skip(version, "no such kernel");
		return;
	}
	p = chariot_profile__from_file(path);
	pu = p ? pure_new(p, NULL) : NULL;
	for (size_t i = 0; pu && i < ARRAY_SIZE(library); i++) {
		f = pure_look(pu, chariot_profile__symbol(p, library[i]));
		tap_ok(f && !f->why && pure_closure(pu, f, all),
		       "%s: %s is library code (%s)", version, library[i],
		       f ? pure_why_name(f->why) : "?");
	}
	for (size_t i = 0; pu && i < ARRAY_SIZE(none); i++) {
		gva = chariot_profile__symbol(p, none[i]);
		f = gva ? pure_look(pu, gva) : NULL;
		tap_ok(!gva || (f && f->why), "%s: %s is not (%s)", version,
		       none[i], f ? pure_why_name(f->why) : "there is none");
	}
	f = pu ? pure_look(pu, chariot_profile__symbol(p, "_text") + 1) : NULL;
	tap_ok(f && f->why == PURE_UNREADABLE, "%s: the middle of something",
	       version);
	pure_free(pu);
	chariot_profile__free(p);
}

int main(void)
{
	const char *top = getenv("CHARIOT_TOP"), *dir = getenv("CHARIOT_KERNELS");
	char path[PATH_MAX];

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs))
		return 1;
	cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
	test_rows();
	test_more();
	test_hostile();
	cs_close(&cs);
	snprintf(path, sizeof(path), "%s/.cache/kernels", top ? top : ".");
	test_kernel(dir ? dir : path, "6.1");
	test_kernel(dir ? dir : path, "6.12");
	return tap_done();
}
