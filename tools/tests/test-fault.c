// SPDX-License-Identifier: GPL-2.0
/*
 * fault.c: what fits a type, what becomes of it, and that it is always within
 * one instruction; by hand-made code, and by the drivers in CHARIOT_KERNELS.
 */
#include "../fault.h"
#include "../ko.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HERE	0xffffffffc0123000ULL
#define SEEDS	200

static int nr, failed;

static void ok(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++nr, what);
	failed += !good;
}

static size_t parse(const char *hex, uint8_t *code)
{
	unsigned int v;
	size_t len = 0;
	int used;

	for (; sscanf(hex, " %2x%n", &v, &used) == 1; hex += used)
		code[len++] = v;
	return len;
}

/* Whatever is called: @ctx. */
static const char *name_it(void *ctx, uint64_t field, uint64_t target,
			   char *buf, size_t size)
{
	(void)field;
	(void)target;
	snprintf(buf, size, "%s", (const char *)ctx);
	return *buf ? buf : NULL;
}

static int pick(const char *hex, const char *callee, enum fault_type type,
		uint64_t seed, struct fault *f)
{
	static uint8_t code[128];
	static struct fault_function fn = { "f", HERE, code, 0 };
	struct fault_driver d = { &fn, 1, false, name_it, (void *)callee };

	memset(code, 0xcc, sizeof(code));
	fn.len = parse(hex, code);
	return fault_pick(&d, type, seed, f);
}

/* ---- one instruction that fits, or none ---------------------------------- */

struct one {
	enum fault_type type;
	const char *what, *code, *callee;
	size_t offset;
	const char *new;	/* NULL: nothing fits */
};

static const struct one exact[] = {
	{ FAULT_INTERFACE, "mov %rdi,%rbx", "53 48 89 fb c3", "", 1,
	  "0f 1f 00" },
	{ FAULT_INTERFACE, "behind __fentry__",
	  "e8 00 00 00 00 53 48 89 fb c3", "", 6, "0f 1f 00" },
	{ FAULT_INTERFACE, "behind endbr64 and __fentry__",
	  "f3 0f 1e fa e8 00 00 00 00 89 f5 c3", "", 9, "66 90" },
	{ FAULT_INTERFACE, "mov %rsi,8(%rsp)", "48 89 74 24 08 c3", "", 0,
	  "0f 1f 44 00 00" },
	{ FAULT_INTERFACE, "movzwl %dx,%r12d", "44 0f b7 e2 c3", "", 0,
	  "0f 1f 40 00" },
	{ FAULT_INTERFACE, "not to the heap", "48 89 73 08 c3", "", 0, NULL },
	{ FAULT_INTERFACE, "not when overwritten", "31 ff 48 89 fb c3", "", 0,
	  NULL },
	{ FAULT_INTERFACE, "not behind a call",
	  "90 90 e8 00 00 00 00 48 89 fb c3", "", 0, NULL },
	{ FAULT_INTERFACE, "not mov %edi,%edi", "89 ff c3", "", 0, NULL },
	{ FAULT_INTERFACE, "not of another register", "48 89 c3 c3", "", 0,
	  NULL },
	{ FAULT_BRANCH, "je rel8", "74 00 c3", "", 0, "66 90" },
	{ FAULT_BRANCH, "jne rel32", "0f 85 00 00 00 00 c3", "", 0,
	  "66 0f 1f 44 00 00" },
	{ FAULT_BRANCH, "not jmp", "eb 00 c3", "", 0, NULL },
	{ FAULT_LOOP, "je: jne", "74 00 c3", "", 0, "75 00" },
	{ FAULT_LOOP, "jg rel32: jle", "0f 8f 00 00 00 00 c3", "", 0,
	  "0f 8e 00 00 00 00" },
	{ FAULT_LOOP, "a prefix before", "3e 74 00 c3", "", 0, "3e 75 00" },
	{ FAULT_LOOP, "rep stos", "f3 48 ab c3", "", 0, "f2 48 ab" },
	{ FAULT_LOOP, "repne scas", "f2 ae c3", "", 0, "f3 ae" },
	{ FAULT_LOOP, "not pause", "f3 90 c3", "", 0, NULL },
	{ FAULT_NOP, "11 bytes", "48 c7 83 a0 0b 00 00 00 00 00 00", "", 0,
	  "0f 1f 84 00 00 00 00 00 0f 1f 00" },
	{ FAULT_NOP, "not nops, int3, endbr64",
	  "f3 0f 1e fa 90 66 90 0f 1f 44 00 00 cc", "", 0, NULL },
	{ FAULT_INIT, "movl $0,8(%rsp)", "c7 44 24 08 00 00 00 00 c3", "", 0,
	  "0f 1f 84 00 00 00 00 00" },
	{ FAULT_INIT, "8(%rbp) as a frame",
	  "55 48 89 e5 c7 45 f8 00 00 00 00 c3", "", 4,
	  "0f 1f 80 00 00 00 00" },
	{ FAULT_INIT, "not 8(%rbp) otherwise", "c7 45 08 00 00 00 00 c3", "",
	  0, NULL },
	{ FAULT_INIT, "not of a register", "48 89 44 24 08 c3", "", 0, NULL },
	{ FAULT_INIT, "not addl", "83 44 24 08 01 c3", "", 0, NULL },
	{ FAULT_IRQ, "cli", "fa c3", "", 0, "90" },
	{ FAULT_IRQ, "sti", "fb c3", "", 0, "90" },
	{ FAULT_IRQ, "pushf", "9c c3", "", 0, "90" },
	{ FAULT_IRQ, "popf", "9d c3", "", 0, "90" },
	{ FAULT_IRQ, "not cld", "fc c3", "", 0, NULL },
	{ FAULT_FREE, "call kfree", "90 e8 00 00 00 00 c3", "kfree", 1,
	  "0f 1f 44 00 00" },
	{ FAULT_FREE, "jmp kfree", "90 90 e9 00 10 00 00", "kfree", 2,
	  "c3 0f 1f 40 00" },
	{ FAULT_FREE, "dma_free_attrs", "90 e8 00 00 00 00 c3",
	  "dma_free_attrs", 1, "0f 1f 44 00 00" },
	{ FAULT_FREE, "not free_irq", "90 e8 00 00 00 00 c3", "free_irq", 0,
	  NULL },
	{ FAULT_FREE, "not an unknown place", "90 e8 00 00 00 00 c3", "", 0,
	  NULL },
	{ FAULT_ALLOC, "call __kmalloc", "90 e8 00 00 00 00 c3", "__kmalloc",
	  1, "31 c0 0f 1f 00" },
	{ FAULT_ALLOC, "jmp vmalloc", "90 e9 00 10 00 00", "vmalloc", 1,
	  "31 c0 c3 66 90" },
	{ FAULT_ALLOC, "not kfree", "90 e8 00 00 00 00 c3", "kfree", 0, NULL },
	{ FAULT_OVERRUN, "memcpy of what is not constant",
	  "48 89 c2 e8 00 00 00 00 c3", "memcpy", 0, NULL },
	{ FAULT_OVERRUN, "memcpy in another block",
	  "ba 06 00 00 00 74 00 e8 00 00 00 00 c3", "memcpy", 0, NULL },
	{ FAULT_OVERRUN, "a jump to between",
	  "ba 06 00 00 00 90 e8 00 00 00 00 eb f8", "memcpy", 0, NULL },
	{ FAULT_OVERRUN, "strlen", "ba 06 00 00 00 e8 00 00 00 00 c3",
	  "strlen", 0, NULL },
	{ FAULT_OFF_BY_ONE, "jl: jle", "7c 00 c3", "", 0, "7e 00" },
	{ FAULT_OFF_BY_ONE, "jle: jl", "7e 00 c3", "", 0, "7c 00" },
	{ FAULT_OFF_BY_ONE, "jg: jge", "7f 00 c3", "", 0, "7d 00" },
	{ FAULT_OFF_BY_ONE, "jge: jg", "7d 00 c3", "", 0, "7f 00" },
	{ FAULT_OFF_BY_ONE, "jb: jbe", "72 00 c3", "", 0, "76 00" },
	{ FAULT_OFF_BY_ONE, "jae: ja", "73 00 c3", "", 0, "77 00" },
	{ FAULT_OFF_BY_ONE, "ja rel32: jae", "0f 87 00 00 00 00 c3", "", 0,
	  "0f 83 00 00 00 00" },
	{ FAULT_OFF_BY_ONE, "not je", "74 00 c3", "", 0, NULL },
	{ FAULT_OFF_BY_ONE, "not js", "78 00 c3", "", 0, NULL },
	{ FAULT_LOCK, "lock orb", "f0 80 20 fe c3", "", 0, "0f 1f 40 00" },
	{ FAULT_LOCK, "what one CPU makes of it", "3e 80 20 fe c3", "", 0,
	  "0f 1f 40 00" },
	{ FAULT_LOCK, "_raw_spin_lock", "90 e8 00 00 00 00 c3",
	  "_raw_spin_lock", 1, "0f 1f 44 00 00" },
	{ FAULT_LOCK, "jmp mutex_unlock", "90 e9 00 10 00 00", "mutex_unlock",
	  1, "c3 0f 1f 40 00" },
	{ FAULT_LOCK, "not __mutex_init", "90 e8 00 00 00 00 c3",
	  "__mutex_init", 0, NULL },
	{ FAULT_SOURCE, "not nop, jmp", "0f 1f 44 00 00 eb 00", "", 0, NULL },
	{ FAULT_DESTINATION, "not cmp, test, jmp",
	  "83 f8 01 f6 47 08 01 39 d8 eb 00", "", 0, NULL },
	{ FAULT_POINTER, "not a register, nor %rip",
	  "48 89 d8 48 8b 05 00 00 00 00 c3", "", 0, NULL },
};

static void test_exact(void)
{
	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
		const struct one *t = &exact[i];
		uint8_t new[SITE_MAX];
		char what[160];
		struct fault f;
		int good = 1, r;

		for (uint64_t seed = 0; seed < 20 && good; seed++) {
			r = pick(t->code, t->callee, t->type, seed, &f);
			if (!t->new)
				good = r == -ENOENT;
			else
				good = !r && f.offset == t->offset &&
				       f.len == parse(t->new, new) &&
				       !memcmp(new, f.new, f.len);
		}
		snprintf(what, sizeof(what), "%s: %s",
			 fault_type_name(t->type), t->what);
		ok(good, what);
	}
}

/* At HERE + 0x1000 and + 0x2000 */
static const char *use_or_free(void *ctx, uint64_t field, uint64_t target,
			       char *buf, size_t size)
{
	(void)ctx;
	(void)field;
	snprintf(buf, size, "%s", target == HERE + 0x2000 ? "kfree" : "use");
	return buf;
}

static int early(const char *hex, bool unlinked, struct fault *f)
{
	static uint8_t code[128];
	struct fault_function fn = { "f", HERE, code, parse(hex, code) };
	struct fault_driver d = { &fn, 1, unlinked, use_or_free, NULL };

	return fault_pick(&d, FAULT_EARLY, 1, f);
}

#define USE(arg)  arg " e8 f8 0f 00 00 "
#define FREE(arg) arg " e8 f0 1f 00 00 c3"
#define RBX	  "48 89 df"		/* mov %rbx,%rdi */

static void test_early(void)
{
	static const uint8_t new[] = { 0xe8, 0xf8, 0x1f, 0, 0 };
	struct fault f;

	ok(!early(USE(RBX) FREE(RBX), false, &f) && f.offset == 3 &&
	   f.len == 5 && !memcmp(f.new, new, 5) &&
	   !strcmp(f.before, "call use") && !strcmp(f.after, "call kfree"),
	   "free-early: who gets what is freed later");
	ok(early(USE(RBX) FREE("4c 89 e7"), false, &f) == -ENOENT,
	   "free-early: not another object");
	ok(early(USE("48 89 c7") FREE("48 89 c7"), false, &f) == -ENOENT,
	   "free-early: not one that the call may change");
	ok(early(USE("89 df 90") FREE("89 df 90"), false, &f) == -ENOENT,
	   "free-early: not half a pointer");
	ok(early(USE(RBX) FREE("eb 08 90"), false, &f) == -ENOENT,
	   "free-early: not what came from elsewhere");
	ok(early(USE(RBX) FREE(RBX), true, &f) == -ENOENT,
	   "free-early: not in a file");
}

/* ---- several ways -------------------------------------------------------- */

/* Bits that some seed changes, of the code's first 8 bytes. */
static uint64_t flipped(const char *code, enum fault_type type)
{
	uint64_t bits = 0, one;
	struct fault f;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		if (pick(code, "", type, seed, &f))
			return 0;
		one = 0;
		for (size_t i = 0; i < f.len && f.offset + i < 8; i++)
			one |= (uint64_t)(f.old[i] ^ f.new[i])
			       << 8 * (f.offset + i);
		if (__builtin_popcountll(one) != 1)
			return 0;
		bits |= one;
	}
	return bits;
}

static void test_flips(void)
{
	uint64_t bits;

	/* mov %rdx,0x10(%rbx): reg is the source, the rest where it goes */
	ok(flipped("48 89 53 10", FAULT_SOURCE) == 0x00380000,
	   "source: modrm's reg of a store");
	ok(flipped("48 89 53 10", FAULT_DESTINATION) == 0xff070000,
	   "destination: modrm's r/m of a store, and the displacement");
	/* mov 0x10(%rbx),%rdx: the other way round */
	ok(flipped("48 8b 53 10", FAULT_SOURCE) == 0xff070000,
	   "source: modrm's r/m of a load, and the displacement");
	ok(flipped("48 8b 53 10", FAULT_DESTINATION) == 0x00380000,
	   "destination: modrm's reg of a load");
	ok(flipped("6a 01", FAULT_SOURCE) == 0xff00,
	   "source: an immediate without modrm");
	ok(flipped("48 8b 53 10", FAULT_POINTER) == 0xff0f0000,
	   "pointer: modrm's low half and the displacement");
	ok(flipped("48 8b 54 24 10", FAULT_POINTER) == 0xffff080000,
	   "pointer: not what takes the SIB away");
	ok(flipped("90 90 90 90", FAULT_TEXT) == 0xffffffff,
	   "text: each bit of a word");
	bits = flipped("90 90 90 90 90 90", FAULT_TEXT);
	ok(bits >> 32 && !(bits >> 48), "text: never behind the function");
}

static uint32_t changed_constant(const char *callee, const char *code,
				 enum fault_type type, uint64_t seed)
{
	struct fault f;
	uint32_t v;

	if (pick(code, callee, type, seed, &f) || f.len != 5 || f.offset ||
	    f.new[0] != f.old[0])
		return UINT32_MAX;
	memcpy(&v, f.new + 1, 4);
	return v;
}

static void test_alloc(void)
{
	static const char code[] = "bf 30 00 00 00 31 f6 e8 00 00 00 00 c3";
	unsigned int fails = 0, halves = 0, none = 0, other = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++)
		switch (changed_constant("__kmalloc", code, FAULT_ALLOC,
					 seed)) {
		case UINT32_MAX: fails++; break;
		case 0x18: halves++; break;
		case 0: none++; break;
		default: other++;
		}
	ok(fails > 60 && halves > 20 && none > 20 && !other,
	   "alloc: fails, half, nothing");
}

static void test_overrun(void)
{
	static const char call[] = "ba 06 00 00 00 e8 00 00 00 00 c3";
	static const char rep[] = "b9 02 00 00 00 f3 48 ab c3";
	unsigned int eight = 0, few = 0, pages = 0, other = 0, words = 0;

	for (uint64_t seed = 0; seed < 10 * SEEDS; seed++) {
		uint32_t more = changed_constant("memcpy", call,
						 FAULT_OVERRUN, seed) - 6;

		if (more == 8)
			eight++;
		else if (more >= 2 && more <= 1025)
			few++;
		else if (more == 8192 || more == 12288 || more == 16384)
			pages++;
		else
			other++;
		more = changed_constant("", rep, FAULT_OVERRUN, seed) - 2;
		words += more >= 1 && more <= 2048;
	}
	ok(eight > 900 && eight < 1100 && few > 780 && few < 980 &&
	   pages > 70 && pages < 180 && !other,
	   "overrun: by 8 bytes, by some, by pages");
	ok(words == 10 * SEEDS, "overrun: rep stosq counts words");
}

/* ---- the same fault wherever it is --------------------------------------- */

static void test_names(void)
{
	int good = 1;

	for (int i = 0; i <= FAULT_NR_TYPES; i++)
		good &= fault_type_by_name(fault_type_name(i)) == i;
	ok(good && fault_type_by_name("bogus") < 0, "types have names");
}

static void test_same(void)
{
	static const char code[] =
		"55 48 89 fd 48 8b 47 10 83 f8 05 7c 04 c7 00 00 00 00 00 c3";
	uint8_t bytes[64];
	struct fault_function here = { "f", HERE, bytes, parse(code, bytes) };
	struct fault_function there = here;
	struct fault_driver a = { &here, 1 }, b = { &there, 1 };
	struct fault f, g, h;
	int good = 1, differ = 0;

	there.gva += 0x7654000;
	for (int t = 0; t <= FAULT_NR_TYPES; t++)
		for (uint64_t seed = 0; seed < 50; seed++) {
			int r = fault_pick(&a, t, seed, &f);

			good &= fault_pick(&b, t, seed, &g) == r;
			if (r || fault_pick(&a, t, seed + 1, &h))
				continue;
			good &= f.offset == g.offset && f.len == g.len &&
				f.type == g.type &&
				!memcmp(f.new, g.new, f.len);
			differ += f.offset != h.offset ||
				  memcmp(f.new, h.new, f.len);
		}
	ok(good, "the same, wherever the driver was loaded to");
	ok(differ > 100, "another seed is another fault");
	good = !pick(code, "", FAULT_RANDOM, 7, &f) &&
	       !pick(code, "", f.type, 7, &g);
	ok(good && !memcmp(f.new, g.new, f.len) && f.offset == g.offset,
	   "random: as if its type had been asked for");
	ok(!pick("cc cc cc cc", "", FAULT_RANDOM, 1, &f) &&
	   f.type == FAULT_TEXT, "random: a type that something fits");
	ok(fault_pick(&(struct fault_driver){}, FAULT_NOP, 1, &f) == -ENOENT,
	   "a driver without functions");
}

/* What the numbers are is fixed: records of campaigns name seeds. */
static void test_fixed(void)
{
	static const char code[] = "48 8b 53 10 48 89 53 10 48 01 d8 c3";
	static const struct { size_t offset; uint8_t new[4]; } want[] = {
		{ 0, { 0x48, 0x8b, 0x51, 0x10 } },
		{ 4, { 0x48, 0x89, 0x53, 0x50 } },
		{ 4, { 0x48, 0x89, 0x57, 0x10 } },
		{ 4, { 0x48, 0x89, 0x53, 0x18 } },
	};
	struct fault f;
	int good = 1;

	for (uint64_t seed = 0; seed < 4; seed++)
		good &= !pick(code, "", FAULT_POINTER, seed, &f) &&
			f.offset == want[seed].offset && f.len == 4 &&
			!memcmp(f.new, want[seed].new, 4);
	ok(good, "a seed means what it always did");
}

/* ---- real drivers -------------------------------------------------------- */

/* Does the decoder get to @f from where the function begins? */
static int on_boundary(csh cs, const struct fault *f)
{
	const uint8_t *at = f->function->code;
	uint64_t gva = f->function->gva;
	size_t len = f->offset + f->len;
	cs_insn *insn = cs_malloc(cs);
	uint64_t last = 0;

	while (cs_disasm_iter(cs, &at, &len, &gva, insn))
		last = insn->address;
	cs_free(insn, 1);
	return !len && last == f->function->gva + f->offset;
}

/* All of the new bytes are instructions. */
static int is_code(csh cs, const struct fault *f)
{
	const uint8_t *at = f->new;
	uint64_t gva = f->function->gva + f->offset;
	size_t len = f->len;
	cs_insn *insn = cs_malloc(cs);

	while (cs_disasm_iter(cs, &at, &len, &gva, insn))
		;
	cs_free(insn, 1);
	return !len;
}

static int bits_changed(const struct fault *f)
{
	int n = 0;

	for (size_t i = 0; i < f->len; i++)
		n += __builtin_popcount(f->old[i] ^ f->new[i]);
	return n;
}

static int is_sound(csh cs, const struct fault *f)
{
	const struct fault_function *fn = f->function;
	int bits = bits_changed(f);

	if (!bits || f->len >= SITE_MAX || f->offset + f->len > fn->len ||
	    memcmp(f->old, fn->code + f->offset, f->len) ||
	    !on_boundary(cs, f) || !*f->before || !*f->after)
		return 0;
	if (f->type == FAULT_TEXT)
		return bits == 1;
	if (f->type == FAULT_SOURCE || f->type == FAULT_DESTINATION ||
	    f->type == FAULT_POINTER)
		return bits == 1 && is_code(cs, f);
	return is_code(cs, f);
}

static void test_type(csh cs, const struct ko *ko, const char *label,
		      enum fault_type type, uint64_t seeds)
{
	const struct fault_driver *d = ko_functions(ko);
	int found = 0, good = 1;
	struct fault f, g;
	char what[160];

	for (uint64_t seed = 0; seed < seeds && good; seed++) {
		int r = fault_pick(d, type, seed, &f);

		/* That holds for every seed. */
		if (r == -ENOENT && !seed)
			break;
		good = !r && is_sound(cs, &f);
		found += good;
		if (seed % 20)
			continue;
		good &= !fault_pick(d, type, seed, &g) &&
			f.function == g.function && f.offset == g.offset &&
			!memcmp(f.new, g.new, f.len);
	}
	snprintf(what, sizeof(what), "%s: %s: %d of %d seeds", label,
		 fault_type_name(type), found, (int)seeds);
	ok(good, what);
}

static void test_driver(csh cs, const char *kernel, const char *path,
			uint64_t seeds)
{
	const char *dir = getenv("CHARIOT_KERNELS") ?: "";
	const char *base = strrchr(path, '/') + 1;
	char file[512], label[64];
	struct ko *ko = NULL;

	snprintf(label, sizeof(label), "%s %s", kernel, base);
	for (int packed = 0; packed < 2 && !ko; packed++) {
		FILE *there;

		snprintf(file, sizeof(file), "%s/%s/modules/kernel/%s%s", dir,
			 kernel, path, packed ? ".xz" : "");
		there = fopen(file, "r");
		if (!there)
			continue;
		fclose(there);
		ko = ko_open(file);
		if (!ko)
			ok(0, file);
	}
	if (!ko) {
		printf("ok %d - %s # SKIP not there\n", ++nr, label);
		return;
	}
	for (int t = 0; t < FAULT_NR_TYPES; t++)
		test_type(cs, ko, label, t, seeds);
	ko_close(ko);
}

static void test_drivers(void)
{
	static const char e1000[] =
		"drivers/net/ethernet/intel/e1000/e1000.ko";
	csh cs;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs))
		return ok(0, "capstone");
	test_driver(cs, "6.1", e1000, SEEDS);
	test_driver(cs, "6.12", e1000, SEEDS);
	test_driver(cs, "6.1", "drivers/net/virtio_net.ko", SEEDS / 10);
	test_driver(cs, "6.1", "drivers/nvme/host/nvme.ko", SEEDS / 10);
	cs_close(&cs);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_exact();
	test_early();
	test_flips();
	test_alloc();
	test_overrun();
	test_names();
	test_same();
	test_fixed();
	test_drivers();
	printf("1..%d\n", nr);
	return failed ? 1 : 0;
}
