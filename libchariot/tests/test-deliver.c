// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A module's image is exchanged: each step, each way that it fails, and images and
 * load_infos that are nonsense.  The guest is a stock kernel's image without a CPU:
 * what it is to call is played here.
 *
 * CHARIOT_KERNELS: where selftests/env/kernels.sh put the kernels.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <chariot-inline.h>

#include "deliver.h"
#include "fake-guest.h"
#include "instrument.h"
#include "place.h"
#include "tap.h"

#define GPA	0x1000000ULL
#define ROOM	0xffffc90000000000ULL	/* what the guest has allocated by pages */
#define OLD	(ROOM + 0x1000)
#define INFO	(ROOM + 0x8000)
#define NEW	(ROOM + 0x10000)
#define PAGES	64
#define FLAGS	5

static struct {
	struct fake_guest guest;
	/* the last answer */
	unsigned long cmd;
	uint32_t flags;
	uint64_t value, fn, arg[6], cookie;
	int answers;
	/* of the caller's */
	bool no_image, want;
	char wanted[CHARIOT_NAME_LEN], why[256];
	size_t made_of;
	int done, failed, err;
} m;

static struct chariot_vm *vm;
static struct deliver *d;

/* ---- mocks ----------------------------------------------------------------- */

static int mock_call(unsigned long cmd, void *arg)
{
	const struct chariot_mem_ops *ops = m.guest.space.ops;
	struct chariot_call_guest *c = arg;
	struct chariot_continue *k = arg;
	struct chariot_mem *a = arg;

	if (cmd == CHARIOT_MEM)
		return a->flags & CHARIOT_MEM_WRITE ?
		       ops->write(&m.guest, a->gpa, (void *)(uintptr_t)a->buf, a->len) :
		       ops->read(&m.guest, a->gpa, (void *)(uintptr_t)a->buf, a->len);
	m.cmd = cmd;
	m.flags = k->flags;
	m.answers++;
	if (cmd == CHARIOT_CONTINUE) {
		m.value = k->value;
		return 0;
	}
	if (cmd != CHARIOT_CALL)
		return -ENOTTY;
	m.fn = c->call.fn;
	m.cookie = c->cookie;
	memcpy(m.arg, c->call.arg, sizeof(m.arg));
	return 0;
}

static int mock_ioctl(int fd, unsigned long cmd, void *arg)
{
	int r = mock_call(cmd, arg);

	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static bool wanted(void *ctx, const char *name)
{
	snprintf(m.wanted, sizeof(m.wanted), "%s", name);
	return m.want;
}

/* Twice the image. */
static void *make(void *ctx, const char *name, const void *image, size_t len,
		  size_t *new_len, char *why)
{
	char *new = m.no_image ? NULL : malloc(2 * len);

	m.made_of = len;
	if (!new) {
		strcpy(why, "of no reason");
		errno = ENOTSUP;
		return NULL;
	}
	memcpy(new, image, len);
	memcpy(new + len, image, len);
	*new_len = 2 * len;
	return new;
}

static void done(void *ctx, const char *name, size_t len, size_t new_len)
{
	m.done++;
}

static void failed(void *ctx, const char *name, int err, const char *why)
{
	m.failed++;
	m.err = err;
	snprintf(m.why, sizeof(m.why), "%s", why);
}

static const struct deliver_ops ops = {
	.wanted = wanted, .make = make, .done = done, .failed = failed,
};

/* ---- the guest --------------------------------------------------------------- */

/* A module of three sections. */
static struct file {
	Elf64_Ehdr h;
	Elf64_Shdr s[4];
	char names[32], info[32], note[40];
} file;

static void make_file(void)
{
	static const char names[] = "\0.shstrtab\0.modinfo";
	static const char info[] = "license=GPL\0name=snd-some";
	const Elf64_Nhdr note = { 4, 20, NT_GNU_BUILD_ID };

	memset(&file, 0, sizeof(file));
	memcpy(file.h.e_ident, ELFMAG, SELFMAG);
	file.h.e_ident[EI_CLASS] = ELFCLASS64;
	file.h.e_shentsize = sizeof(Elf64_Shdr);
	file.h.e_shoff = offsetof(struct file, s);
	file.h.e_shnum = 3;
	file.h.e_shstrndx = 1;
	file.s[1] = (Elf64_Shdr){ .sh_name = 1, .sh_size = sizeof(names),
				  .sh_offset = offsetof(struct file, names) };
	file.s[2] = (Elf64_Shdr){ .sh_name = 11, .sh_size = sizeof(info),
				  .sh_offset = offsetof(struct file, info) };
	memcpy(file.names, names, sizeof(names));
	memcpy(file.info, info, sizeof(info));
	memcpy(file.note, &note, sizeof(note));
	memcpy(file.note + 12, "GNU", 4);
}

static void put(uint64_t gva, const void *buf, size_t len)
{
	chariot_space__write(&m.guest.space, gva, buf, len);
}

static uint64_t get_u64(uint64_t gva)
{
	uint64_t v = 0;

	chariot_space__read(&m.guest.space, gva, &v, 8);
	return v;
}

static uint64_t at(const char *name)
{
	return INFO + chariot_profile__member(vm->profile, "load_info", name, NULL);
}

static void put_u64(uint64_t gva, uint64_t v)
{
	put(gva, &v, 8);
}

static void begin(void)
{
	static const char zero[512];

	make_file();
	put(OLD, &file, sizeof(file));
	put(INFO, zero, sizeof(zero));
	put_u64(at("hdr"), OLD);
	put_u64(at("len"), sizeof(file));
	m.want = true;
	m.no_image = false;
	m.wanted[0] = 0;
	m.done = m.failed = 0;
}

static struct chariot_event event(void)
{
	static uint64_t seq;

	return (struct chariot_event){
		.type = CHARIOT_EV_IMAGE, .seq = ++seq,
		.u.image.arg = { INFO, FLAGS },
	};
}

static void arrives(void)
{
	struct chariot_event ev = event();

	m.answers = 0;
	deliver_event(d, &ev);
}

static void returns(uint64_t result)
{
	struct chariot_event ev = event();

	ev.flags = CHARIOT_EV_RETURNED;
	ev.u.image.cookie = m.cookie;
	ev.u.image.result = result;
	m.answers = 0;
	deliver_event(d, &ev);
}

static uint64_t symbol(const char *name)
{
	return chariot_profile__symbol(vm->profile, name);
}

static bool calls(uint64_t fn, uint64_t arg)
{
	return m.answers == 1 && m.cmd == CHARIOT_CALL && fn && m.fn == fn &&
	       m.arg[0] == arg;
}

static bool goes_on(void)
{
	return m.answers == 1 && m.cmd == CHARIOT_CONTINUE && !m.flags;
}

static bool gets(int value)
{
	return m.answers == 1 && m.cmd == CHARIOT_CONTINUE &&
	       m.flags == CHARIOT_CONTINUE_RETURN && (int)m.value == value;
}

static bool unchanged(void)
{
	return get_u64(at("hdr")) == OLD && get_u64(at("len")) == sizeof(file);
}

/* ---- tests ------------------------------------------------------------------- */

static uint64_t alloc(void)
{
	return symbol("vmalloc") ?: symbol("vmalloc_noprof");
}

static void test_delivered(void)
{
	struct file twice[2];

	begin();
	arrives();
	tap_ok(calls(symbol("module_sig_check"), INFO) && m.arg[1] == FLAGS &&
	       !strcmp(m.wanted, "snd_some"), "%s: the guest checks it", m.wanted);
	/* What is behind a signature is cut off. */
	put_u64(at("len"), sizeof(file) - 4);
	returns(0);
	tap_ok(calls(alloc(), 2 * (sizeof(file) - 4)) && m.made_of == sizeof(file) - 4,
	       "and makes room");
	returns(NEW);
	tap_ok(calls(symbol("vfree"), OLD) && m.done == 1, "and frees the old one");
	chariot_space__read(&m.guest.space, NEW, twice, sizeof(twice));
	tap_ok(get_u64(at("hdr")) == NEW &&
	       get_u64(at("len")) == 2 * (sizeof(file) - 4) &&
	       !memcmp(&twice[0], &file, sizeof(file) - 4), "which is exchanged");
	returns(77);
	tap_ok(gets(0) && !m.failed, "the loader goes on");
	returns(0);
	tap_ok(goes_on(), "what nobody has called is let alone");
}

static void test_not_wanted(void)
{
	begin();
	m.want = false;
	arrives();
	tap_ok(goes_on() && !strcmp(m.wanted, "snd_some"), "not wanted");
	m.want = true;
	arrives();
	returns(0xffffffffffffff81ULL);
	tap_ok(gets(-127) && unchanged() && !m.failed && !m.done,
	       "not signed well: the loader is told");
	begin();
	m.no_image = true;
	arrives();
	returns(0);
	tap_ok(gets(0) && unchanged() && m.failed == 1 && m.err == -ENOTSUP &&
	       !strcmp(m.why, "of no reason"), "no image: %s", m.why);
}

static void test_no_room(void)
{
	begin();
	arrives();
	returns(0);
	returns(0);
	tap_ok(gets(0) && unchanged() && m.failed == 1 && m.err == -ENOMEM, "no room: %s",
	       m.why);
	begin();
	arrives();
	returns(0);
	returns(ROOM + PAGES * PAGE_SIZE - 8);
	tap_ok(calls(symbol("vfree"), ROOM + PAGES * PAGE_SIZE - 8) && unchanged() &&
	       m.failed == 1, "room that is not there: %s", m.why);
	returns(0);
	tap_ok(gets(0), "it is given back");
	begin();
	arrives();
	returns(0);
	returns(0x1000);
	tap_ok(gets(0) && unchanged() && m.failed == 1, "room in user space: %s", m.why);
	begin();
	arrives();
	arrives();
	tap_ok(calls(symbol("module_sig_check"), INFO), "one that never returned: anew");
	returns(0);
	returns(NEW);
	returns(0);
	tap_ok(gets(0) && m.done == 1, "and it is done");
}

#define AREA		(ROOM + 0x9000)
#define PAGE_ARRAY	(ROOM + 0xa000)
#define MAPPED		(ROOM + 0xb000)
#define COPY		((2 * sizeof(file) + 15) & ~15ULL)

static void put_member(const char *type, uint64_t gva, const char *name, uint64_t v)
{
	put_u64(gva + chariot_profile__member(vm->profile, type, name, NULL), v);
}

static void pack(void)
{
	begin();
	put(at("used_pages"), &(uint32_t){ 3 }, 4);
	put_u64(at("pages"), 0x1234);
	put_member("vm_struct", AREA, "pages", PAGE_ARRAY);
	put_member("vm_struct", AREA, "nr_pages", 2);
}

static void test_packed(void)
{
	int64_t size = chariot_profile__type_size(vm->profile, "load_info");
	uint64_t want = (2 * sizeof(file) + PAGE_SIZE - 1) / PAGE_SIZE;

	if (chariot_profile__member(vm->profile, "load_info", "used_pages", NULL) < 0)
		return;
	pack();
	arrives();
	returns(0);
	tap_ok(calls(alloc(), COPY + size), "unpacked by the kernel: room");
	returns(NEW);
	tap_ok(calls(symbol("find_vm_area"), NEW), "whose pages");
	returns(AREA);
	tap_ok(calls(symbol("vmap"), PAGE_ARRAY) && m.arg[1] == want && m.arg[2] == 4 &&
	       (m.arg[3] | 0x100) == 0x8000000000000163ULL, "are mapped");
	returns(MAPPED);
	tap_ok(calls(symbol("module_decompress_cleanup"), NEW + COPY) && m.done == 1,
	       "and the old ones freed");
	tap_ok(get_u64(at("hdr")) == MAPPED && get_u64(at("len")) == 2 * sizeof(file) &&
	       get_u64(at("pages")) == NEW && !(uint32_t)get_u64(at("used_pages")) &&
	       !(uint32_t)get_u64(at("max_pages")), "those of the room take their place");
	tap_ok(get_u64(NEW + COPY + at("hdr") - INFO) == OLD &&
	       get_u64(NEW + COPY + at("pages") - INFO) == 0x1234 &&
	       (uint32_t)get_u64(NEW + COPY + at("used_pages") - INFO) == 3,
	       "as they were");
	returns(0);
	tap_ok(gets(0) && !m.failed, "the loader goes on");
	pack();
	arrives();
	returns(0);
	returns(NEW);
	returns(0);
	tap_ok(calls(symbol("vfree"), NEW) && m.failed == 1 && unchanged(), "no area: %s",
	       m.why);
	returns(0);
	pack();
	put_member("vm_struct", AREA, "nr_pages", 0);
	arrives();
	returns(0);
	returns(NEW);
	returns(AREA);
	tap_ok(calls(symbol("vfree"), NEW) && m.failed == 1 && unchanged(),
	       "too few pages: %s", m.why);
	returns(0);
	pack();
	arrives();
	returns(0);
	returns(NEW);
	returns(AREA);
	returns(0);
	tap_ok(calls(symbol("vfree"), NEW) && m.failed == 1 && unchanged(), "not mapped: %s",
	       m.why);
	returns(0);
	tap_ok(gets(0), "the loader goes on");
}

#define BAD(what, ...) do {						\
	begin();							\
	__VA_ARGS__;							\
	put(OLD, &file, sizeof(file));					\
	arrives();							\
	tap_ok(goes_on() && !m.wanted[0] && unchanged() && !m.failed,	\
	       "bad image: " what);					\
} while (0)

static void test_hostile(void)
{
	BAD("no ELF file", file.h.e_ident[1] = 'X');
	BAD("of 32 bits", file.h.e_ident[EI_CLASS] = ELFCLASS32);
	BAD("sections of another size", file.h.e_shentsize = 1);
	BAD("too many sections", file.h.e_shnum = 65535);
	BAD("no sections", file.h.e_shnum = 0);
	BAD("sections behind its end", file.h.e_shoff = sizeof(file) - 8);
	BAD("sections nowhere", file.h.e_shoff = ~0ULL - 8);
	BAD("no names of sections", file.h.e_shstrndx = 3);
	BAD("names behind its end", file.s[1].sh_offset = sizeof(file));
	BAD("names without end", file.s[1].sh_size = ~0ULL);
	BAD("a name behind the names", file.s[2].sh_name = 1000);
	BAD(".modinfo behind its end", file.s[2].sh_offset = ~0ULL);
	BAD(".modinfo without end", file.s[2].sh_size = 1ULL << 40);
	BAD("no name", memset(file.info, 'x', sizeof(file.info)));
	BAD("an empty name", memcpy(file.info + 12, "name=\0", 6));
	begin();
	put_u64(at("hdr"), 0x1000);
	arrives();
	tap_ok(goes_on() && !m.wanted[0], "an image in user space");
	put_u64(at("hdr"), OLD);
	put_u64(at("len"), 1ULL << 40);
	arrives();
	tap_ok(goes_on() && !m.wanted[0], "an image without end");
	/* Between the check and the copy the guest changes it. */
	begin();
	arrives();
	file.info[17] = 'X';
	put(OLD, &file, sizeof(file));
	returns(0);
	tap_ok(gets(0) && m.failed == 1 && unchanged(), "another name: %s", m.why);
}

static void test_marked(void)
{
	struct file *copy;
	size_t len = 0;

	make_file();
	copy = image_marked(&file, sizeof(file), &len);
	tap_ok(copy && len == sizeof(file) && copy->note[16] == 1 &&
	       !memcmp(copy, &file, offsetof(struct file, note)), "a mark");
	free(copy);
}

/* ---- where it is, when it is loaded ------------------------------------------- */

#define MODULE		(ROOM + 0x20000)
#define KALLSYMS	(ROOM + 0x21000)
#define SYMTAB		(ROOM + 0x22000)
/* What a loader may make of it: any order. */
#define BASE_OF(sec)	(0xffffffffc0400000ULL + ((sec) * 37 % 64 << 16))

/* The symbols of @image as the guest's loader has them; how many. */
static size_t load_symbols(const void *image, Elf64_Sym *syms)
{
	const Elf64_Ehdr *h = image;
	const Elf64_Shdr *s = image + h->e_shoff;
	size_t nr = 0;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		if (s[i].sh_type != SHT_SYMTAB)
			continue;
		nr = s[i].sh_size / sizeof(*syms);
		memcpy(syms, image + s[i].sh_offset, s[i].sh_size);
	}
	for (size_t i = 1; i < nr; i++)
		if (syms[i].st_shndx && syms[i].st_shndx < SHN_LORESERVE)
			syms[i].st_value += BASE_OF(syms[i].st_shndx);
	return nr;
}

static bool find_places(struct places *p, const void *image, size_t len)
{
	return !places_find(p, vm->profile, &m.guest.space, MODULE, image, len);
}

static void check_places(const struct chariot_inline *x, const void *image, size_t len)
{
	const struct chariot_inline_check *c;
	const struct place *cache, *text;
	struct places p;
	size_t nr, bad = 0;

	if (!tap_ok(find_places(&p, image, len), "places"))
		return;
	cache = places_by_name(&p, ".chariot.cache");
	text = places_by_name(&p, ".text.chariot");
	tap_ok(cache && cache->gva == BASE_OF(cache - p.v) && cache->len == 4096 * 8 &&
	       text && text->gva == BASE_OF(text - p.v), "of sections of ours");
	c = chariot_inline__checks(x, &nr);
	for (size_t i = 0; i < nr; i++)
		bad += places_at(&p, c[i].new_sec, c[i].slow) !=
		       BASE_OF(c[i].new_sec) + c[i].slow;
	tap_ok(nr > 1000 && !bad, "of all %zu checks", nr);
	tap_ok(!places_by_name(&p, ".symtab") && !places_by_name(&p, "none") &&
	       !places_at(&p, 100000, 0) && !places_at(&p, text - p.v, 1 << 20),
	       "nothing is where nothing is");
	places_free(&p);
}

static void check_bad_places(const void *image, size_t len, Elf64_Sym *syms, size_t nr)
{
	struct places p;
	size_t i = nr - 1;

	while (ELF64_ST_TYPE(syms[i].st_info) != STT_FUNC || !syms[i].st_shndx)
		i--;
	syms[i].st_value += 16;
	put(SYMTAB, syms, nr * sizeof(*syms));
	tap_ok(!find_places(&p, image, len), "symbols that disagree");
	syms[i].st_value -= 16;
	syms[i].st_shndx--;
	put(SYMTAB, syms, nr * sizeof(*syms));
	tap_ok(!find_places(&p, image, len), "symbols of another file");
	syms[i].st_shndx++;
	put(SYMTAB, syms, nr * sizeof(*syms));
	put_member("mod_kallsyms", KALLSYMS, "num_symtab", nr + 1);
	tap_ok(!find_places(&p, image, len), "one too many");
	put_member("module", MODULE, "kallsyms", 0x1000);
	tap_ok(!find_places(&p, image, len), "no symbols");
	tap_ok(!find_places(&p, image, 100) && !find_places(&p, "\177ELF", 4),
	       "no image");
}

/* ---- mode inline --------------------------------------------------------------- */

static uint32_t get_u32(uint64_t gva)
{
	return get_u64(gva);
}

/* Which way do the calls of @name go? */
static uint32_t goes_to(const struct chariot_inline_layout *l, uint64_t runtime,
			const char *name)
{
	for (size_t i = 0; i < l->nr_gates; i++)
		if (!strcmp(l->gates[i].name, name))
			return l->gates[i].slot + 5 +
			       get_u32(runtime + l->gates[i].slot + 1) - l->gates[i].body;
	return ~0U;
}

/* Of all stores, by going through all functions for each. */
static uint64_t sum_of_origins(const struct chariot_inline *x)
{
	const struct chariot_inline_function *f;
	const struct chariot_inline_check *k;
	size_t nr_checks, nr;
	uint64_t sum = 0;

	k = chariot_inline__checks(x, &nr_checks);
	f = chariot_inline__functions(x, &nr);
	for (size_t i = 0; i < nr_checks; i++)
		for (size_t j = 0; j < nr; j++)
			if (f[j].sec == k[i].sec && k[i].off >= f[j].off &&
			    k[i].off < f[j].off + f[j].len)
				sum += k[i].off - f[j].off + 1;
	return sum;
}

static void check_create(const struct chariot_domain_create *c,
			 const struct chariot_inline_layout *l, size_t checks,
			 uint64_t sum)
{
	const struct chariot_range *r = (void *)(uintptr_t)c->ranges;
	const struct chariot_store *s = (void *)(uintptr_t)c->stores;
	const uint64_t *fn = (void *)(uintptr_t)c->functions;
	bool sorted = true, known = true, apart = true;
	uint64_t origins = 0;

	for (uint32_t i = 0; i < c->nr_stores; i++)
		origins += s[i].origin;
	tap_ok(origins == sum, "where they were in their functions");
	for (uint32_t i = 1; i < c->nr_stores; i++)
		sorted &= s[i - 1].ret < s[i].ret && s[i].rip && s[i].skip && s[i].len;
	tap_ok(c->mode == CHARIOT_MODE_INLINE && c->nr_stores == checks && sorted,
	       "%u stores", c->nr_stores);
	for (uint32_t i = 0; i < c->nr_functions; i++)
		known &= fn[i] && fn[i] == symbol(l->gates[i].name);
	tap_ok(c->nr_functions > 50 && known, "%u functions", c->nr_functions);
	for (uint32_t i = 0; i < c->nr_ranges; i++)
		apart &= r[i].gva + r[i].len <= c->cache ||
			 r[i].gva >= c->cache + 8 * c->cache_lines;
	tap_ok(c->cache == BASE_OF(l->cache) && c->data == BASE_OF(l->data) &&
	       c->runtime == BASE_OF(l->runtime) && c->left == c->runtime + l->left && apart,
	       "the runtime and its data");
}

static void test_instrument(struct chariot_inline *x, struct chariot_driver *d)
{
	const struct chariot_inline_layout *l = chariot_inline__layout(x);
	struct chariot_policy *policy = chariot_policy__load(NULL);
	struct chariot_inline_params params;
	uint64_t runtime = BASE_OF(l->runtime);
	struct chariot_tables *t;
	struct instrument in;
	uint8_t hypercall[3];
	size_t checks;

	for (uint64_t i = 0; i < l->runtime_len; i += PAGE_SIZE)
		fake_map(&m.guest, runtime + i, (152 << 20) + i, 1);
	t = tables_build(policy, vm->profile, NULL, d, CHARIOT_MODE_INLINE);
	t->create.kernel.stack_size = 16384;
	/* All of the module's data, in one. */
	((struct chariot_range *)t->ranges.v)[0] = (struct chariot_range){
		.gva = BASE_OF(l->cache) - 64, .kind = CHARIOT_RANGE_DATA,
		.len = 8 * l->cache_lines + 128 };
	tap_ok(!instrument_load(&in, x, vm->profile, &m.guest.space, MODULE, d, t),
	       "instrumented");
	chariot_inline__checks(x, &checks);
	check_create(chariot_tables__create(t), l, checks, sum_of_origins(x));
	chariot_space__read(&m.guest.space, runtime + l->hypercall, hypercall, 3);
	chariot_space__read(&m.guest.space, runtime + CHARIOT_INLINE_PARAMS, &params,
			    sizeof(params));
	tap_ok(hypercall[0] == 0x0f && hypercall[1] == 0x01 &&
	       params.stack_mask == ~16383ULL && params.off == 1, "its runtime is filled in");
	tap_ok(!goes_to(l, runtime, "kfree") || goes_to(l, runtime, "kfree") == 40,
	       "kfree() is seen");
	tap_ok(goes_to(l, runtime, "__x_none") == ~0U &&
	       goes_to(l, runtime, "msleep") > 64, "msleep() is not");
	tap_ok(!instrument_off(x, vm->profile, &m.guest.space, MODULE), "off");
	chariot_space__read(&m.guest.space, runtime + CHARIOT_INLINE_PARAMS, &params,
			    sizeof(params));
	tap_ok(params.off == 1, "and all is allowed");
	instrument_free(&in);
	chariot_tables__free(t);
	chariot_policy__free(policy);
}

static void test_kept(const void *ko, size_t len)
{
	struct instruments *v = instruments_new();
	struct chariot_inline *x;
	size_t new_len = 0, differs = 0;
	const uint8_t *made;
	char why[256] = "";
	void *image;

	image = instruments_make(v, vm->profile, "e1000", ko, len, &new_len, why);
	tap_ok(image && new_len > len, "an image of %zu bytes: %s", new_len, why);
	x = instruments_take(v, "e1000");
	made = chariot_inline__image(x, &len);
	for (size_t i = 0; i < len; i++)
		differs += ((uint8_t *)image)[i] != made[i];
	tap_ok(x && !instruments_take(v, "e1000") && len == new_len && differs == 1 + 2,
	       "taken once; what was delivered is switched off, and has its hypercall: %zu",
	       differs);
	chariot_inline__free(x);
	free(image);
	image = instruments_make(v, vm->profile, "a", ko, 100, &new_len, why);
	tap_ok(!image && !instruments_take(v, "a"), "no image of a piece");
	instruments_free(v);
}

static void test_places(const char *version, const char *kernels)
{
	static Elf64_Sym syms[4096];
	struct chariot_driver *d;
	struct chariot_inline *x;
	const void *image;
	char path[PATH_MAX];
	size_t len, ko_len, nr;
	uint8_t *ko;

	snprintf(path, sizeof(path), "%.*s/modules/kernel/drivers/net/ethernet/intel/e1000/e1000.ko%s",
		 (int)(strlen(kernels) - strlen("/vmlinuz")), kernels,
		 strcmp(version, "6.1") ? ".xz" : "");
	if (file_read_unpacked(path, &ko, &ko_len)) {
		tap_skip(version, "no modules");
		return;
	}
	x = chariot_inline__rewrite(ko, ko_len, NULL);
	image = chariot_inline__image(x, &len);
	nr = load_symbols(image, syms);
	put(SYMTAB, syms, nr * sizeof(*syms));
	put_member("module", MODULE, "kallsyms", KALLSYMS);
	put_member("mod_kallsyms", KALLSYMS, "symtab", SYMTAB);
	put_member("mod_kallsyms", KALLSYMS, "num_symtab", nr);
	check_places(x, image, len);
	d = chariot_driver__from_file(path);
	chariot_driver__link(d, vm->profile);
	test_instrument(x, d);
	chariot_driver__free(d);
	check_bad_places(image, len, syms, nr);
	chariot_inline__free(x);
	test_kept(ko, ko_len);
	free(ko);
}

static void test_kernel(const char *version)
{
	const char *dir = getenv("CHARIOT_KERNELS");
	struct image img;
	char path[PATH_MAX];
	int fds[2];

	snprintf(path, sizeof(path), "%s%s/%s/vmlinuz",
		 dir ?: getenv("CHARIOT_TOP") ?: "..",
		 dir ? "" : "/.cache/kernels", version);
	if (access(path, R_OK) || image_from_file(&img, path)) {
		tap_skip(version, "no kernel in CHARIOT_KERNELS");
		return;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		exit(1);
	fake_init(&m.guest, 160 << 20, false);
	m.guest.used = 130 << 20;
	vm = vm_new(fds[0]);
	vm->profile = chariot_profile__from_file(path);
	vm->space.cr3 = m.guest.space.cr3;
	fake_load(&m.guest, &img, GPA, 0, symbol("module_sig_check"));
	for (uint64_t i = 0; i < PAGES; i++)
		fake_map(&m.guest, ROOM + i * PAGE_SIZE, (150 << 20) + i * PAGE_SIZE, 1);
	image_free(&img);
	d = deliver_new(vm, &ops, NULL);
	tap_ok(d && deliver_point(d) == symbol("module_sig_check") &&
	       deliver_site(d) > symbol("load_module"), "%s: the loader, at +%#llx", version,
	       d ? (unsigned long long)(deliver_site(d) - symbol("load_module")) : 0ULL);
	if (d) {
		test_delivered();
		test_not_wanted();
		test_no_room();
		test_packed();
		test_hostile();
		test_places(version, path);
	}
	deliver_free(d);
	chariot_vm__free(vm);
	close(fds[1]);
	fake_free(&m.guest);
}

int main(void)
{
	vm_ioctl = mock_ioctl;
	test_marked();
	test_kernel("6.1");
	test_kernel("6.12");
	return tap_done();
}
