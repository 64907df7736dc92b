// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The profile: symbols, types and constants of one guest kernel.
 */
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

#define BUILD_ID_MAX	32

struct chariot_profile {
	struct ksyms syms;
	struct btf *btf;
	struct btf_names types;
	uint64_t text, end;		/* _text, _end */
	struct image img;		/* of a file */
	char release[128];
	char build_id[2 * BUILD_ID_MAX + 1];
};

/* ---- making one ----------------------------------------------------------- */

static const void *between(const struct chariot_profile *p,
			   const struct image *img, const char *start,
			   const char *stop, size_t *len)
{
	uint64_t from = chariot_profile__symbol(p, start);
	uint64_t to = chariot_profile__symbol(p, stop);

	if (!from || to <= from)
		return NULL;
	*len = to - from;
	return image_at(img, from, *len);
}

static int find_btf(struct chariot_profile *p, const struct image *img)
{
	const void *data;
	size_t len;
	int err;

	data = between(p, img, "__start_BTF", "__stop_BTF", &len);
	if (data)
		p->btf = btf_new_checked(data, len, NULL);
	if (!p->btf)
		p->btf = btf_search(img->data, img->len);
	if (!p->btf) {
		err = -errno;
		log_err("profile: the kernel %s has no usable BTF%s", p->release,
			err == -E2BIG ? ", but too much that looks like it" : "");
		return err;
	}
	err = btf_names_init(&p->types, p->btf);
	if (err)
		log_err("profile: names of types of the kernel %s: %s",
			p->release, err == -E2BIG ? "too many collide" :
			strerror(-err));
	return err;
}

/* "Linux version 6.1.0-43-amd64 (...": the third word. */
static void find_release(struct chariot_profile *p, const struct image *img)
{
	static const char start[] = "Linux version ";
	uint64_t addr = chariot_profile__symbol(p, "linux_banner");
	const char *banner = NULL;
	size_t len = sizeof(start) - 1, i;

	if (addr)
		banner = image_at(img, addr, len + sizeof(p->release));
	if (!banner || memcmp(banner, start, len))
		return;
	banner += len;
	for (i = 0; i < sizeof(p->release) - 1; i++) {
		if (banner[i] <= ' ' || banner[i] > '~')
			break;
		p->release[i] = banner[i];
	}
}

static void set_build_id(struct chariot_profile *p, const uint8_t *id,
			 size_t len)
{
	size_t i;

	for (i = 0; i < len && i < BUILD_ID_MAX; i++)
		sprintf(p->build_id + 2 * i, "%02x", id[i]);
}

/* The GNU build-id among the ELF notes at @pos. */
static bool parse_notes(struct chariot_profile *p, const uint8_t *pos,
			size_t len)
{
	uint32_t h[3];		/* namesz, descsz, type */

	while (len >= sizeof(h)) {
		uint64_t name, desc;

		memcpy(h, pos, sizeof(h));
		pos += sizeof(h);
		len -= sizeof(h);
		name = ((uint64_t)h[0] + 3) & ~3ULL;
		desc = ((uint64_t)h[1] + 3) & ~3ULL;
		if (name + desc > len)
			return false;
		if (h[2] == 3 && h[0] == 4 && !memcmp(pos, "GNU", 4) &&
		    h[1] && h[1] <= BUILD_ID_MAX) {
			set_build_id(p, pos + name, h[1]);
			return true;
		}
		pos += name + desc;
		len -= name + desc;
	}
	return false;
}

static void find_build_id(struct chariot_profile *p, const struct image *img)
{
	static const uint8_t head[] = {
		4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0
	};
	const uint8_t *notes;
	size_t len;

	notes = between(p, img, "__start_notes", "__stop_notes", &len);
	if (notes && parse_notes(p, notes, len))
		return;
	notes = memmem(img->data, img->len, head, sizeof(head));
	if (notes)
		parse_notes(p, notes, img->data + img->len - notes);
}

static struct chariot_profile *profile_make(const struct image *img)
{
	struct chariot_profile *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return NULL;
	err = ksyms_find(&p->syms, img);
	if (err)
		goto fail;
	p->text = chariot_profile__symbol(p, "_text");
	p->end = chariot_profile__symbol(p, "_end");
	find_release(p, img);
	find_build_id(p, img);
	err = find_btf(p, img);
	if (err)
		goto fail;
	log_info("profile: Linux %s, build-id %s, text at %#llx, %zu symbols, %u types",
		 p->release, p->build_id, (unsigned long long)p->text,
		 p->syms.nr, btf__type_cnt(p->btf) - 1);
	return p;
fail:
	chariot_profile__free(p);
	return err_null(err);
}

struct chariot_profile *
chariot_profile__from_guest(const struct chariot_space *s, uint64_t lstar)
{
	struct chariot_profile *p;
	struct image img;
	int err = image_from_guest(&img, s, lstar);

	if (err)
		return err_null(err);
	p = profile_make(&img);
	image_free(&img);
	return p;
}

struct chariot_profile *chariot_profile__from_file(const char *path)
{
	struct chariot_profile *p;
	struct image img;
	int err = image_from_file(&img, path);

	if (err)
		return err_null(err);
	p = profile_make(&img);
	if (p)
		p->img = img;
	else
		image_free(&img);
	return p;
}

void chariot_profile__free(struct chariot_profile *p)
{
	int saved = errno;

	if (!p)
		return;
	btf_names_free(&p->types);
	btf__free(p->btf);
	ksyms_free(&p->syms);
	image_free(&p->img);
	free(p);
	errno = saved;
}

/* ---- symbols -------------------------------------------------------------- */

const char *chariot_profile__release(const struct chariot_profile *p)
{
	return p->release;
}

int profile_read(const struct chariot_profile *p, uint64_t gva, void *buf,
		 size_t len)
{
	const void *at = image_at(&p->img, gva, len);

	if (!at)
		return -EFAULT;
	memcpy(buf, at, len);
	return 0;
}

const char *chariot_profile__build_id(const struct chariot_profile *p)
{
	return p->build_id;
}

size_t chariot_profile__nr_symbols(const struct chariot_profile *p)
{
	return p->syms.nr;
}

uint64_t chariot_profile__symbol(const struct chariot_profile *p,
				 const char *name)
{
	const struct ksym *sym = ksyms_by_name(&p->syms, name);

	return sym ? sym->addr : 0;
}

uint64_t profile_symbol_any(const struct chariot_profile *p,
			    const char *const *names)
{
	uint64_t addr = 0;

	for (; *names && !addr; names++)
		addr = chariot_profile__symbol(p, *names);
	return addr;
}

int profile_symbol_at(const struct chariot_profile *p, size_t idx,
		      const char **name, uint64_t *addr, char *type)
{
	const struct ksym *sym;

	if (idx >= p->syms.nr)
		return -ENOENT;
	sym = &p->syms.syms[idx];
	if (name)
		*name = ksyms_name(&p->syms, sym);
	if (addr)
		*addr = sym->addr;
	if (type)
		*type = sym->type;
	return 0;
}

ssize_t profile_symbol_below(const struct chariot_profile *p, uint64_t addr)
{
	const struct ksym *syms = p->syms.syms;
	ssize_t i = ksyms_below(&p->syms, addr);

	while (i > 0 && syms[i - 1].addr == syms[i].addr)
		i--;
	return i;
}

/* Of several names of one place the first, as the kernel prints it. */
const char *chariot_profile__name(const struct chariot_profile *p,
				  uint64_t addr, uint64_t *offset)
{
	const struct ksym *syms = p->syms.syms;
	ssize_t i;

	if (addr < p->text || addr >= p->end)
		return NULL;
	i = profile_symbol_below(p, addr);
	if (i < 0)
		return NULL;
	if (offset)
		*offset = addr - syms[i].addr;
	return ksyms_name(&p->syms, &syms[i]);
}

uint64_t chariot_profile__next(const struct chariot_profile *p, uint64_t addr)
{
	size_t i = ksyms_below(&p->syms, addr) + 1;

	return i < p->syms.nr ? p->syms.syms[i].addr : 0;
}

/* ---- types ---------------------------------------------------------------- */

const struct btf *chariot_profile__btf(const struct chariot_profile *p)
{
	return p->btf;
}

struct btf *profile_btf(const struct chariot_profile *p)
{
	return p->btf;
}

int32_t profile_type_id(const struct chariot_profile *p, const char *name,
			uint32_t kind)
{
	return btf_names_find(&p->types, name, kind);
}

int64_t chariot_profile__type_size(const struct chariot_profile *p,
				   const char *name)
{
	int32_t id = btf_names_find_aggregate(&p->types, name);

	return id < 0 ? id : (int64_t)btf__type_by_id(p->btf, id)->size;
}

int64_t chariot_profile__member(const struct chariot_profile *p,
				const char *type, const char *path,
				uint64_t *size)
{
	int32_t id = btf_names_find_aggregate(&p->types, type);

	return id < 0 ? id : btf_member_path(p->btf, id, path, size, NULL);
}

int32_t profile_aggregate(const struct chariot_profile *p, const char *name)
{
	return btf_names_find_aggregate(&p->types, name);
}

int profile_member_bits(const struct chariot_profile *p, const char *type,
			const char *path, uint64_t *bit, uint64_t *bits)
{
	int32_t id = btf_names_find_aggregate(&p->types, type);

	return id < 0 ? id : btf_member_bits(p->btf, id, path, bit, bits);
}

int chariot_profile__enumerator(const struct chariot_profile *p,
				const char *type, const char *name,
				int64_t *value)
{
	int32_t id = btf_names_find(&p->types, type, BTF_KIND_ENUM);

	if (id < 0)
		id = btf_names_find(&p->types, type, BTF_KIND_ENUM64);
	return id < 0 ? id : btf_enumerator(p->btf, id, name, value);
}

int profile_read_member(const struct chariot_profile *p,
			const struct chariot_space *s, const char *type,
			uint64_t gva, const char *path, uint64_t *value)
{
	uint64_t size;
	int64_t off = chariot_profile__member(p, type, path, &size);

	*value = 0;
	return off < 0 ? (int)off : space_read_uint(s, gva + off, size, value);
}

/* ---- what the module wants to know ---------------------------------------- */

/*
 * The value of a variable that KASLR may move, else the constant.  It is set
 * in setup_arch(), long before LSTAR is.
 */
static int read_base(const struct chariot_profile *p,
		     const struct chariot_space *s, const char *name,
		     uint64_t fallback, __u64 *value)
{
	uint64_t addr = chariot_profile__symbol(p, name), v = fallback;
	int err = addr ? space_read_uint(s, addr, 8, &v) : 0;

	*value = v;
	return err;
}

/* Per-CPU offset of a variable, or of the same in pcpu_hot; 0: there is none. */
static uint64_t hot_variable(const struct chariot_profile *p, const char *name,
			     const char *member)
{
	uint64_t var = chariot_profile__symbol(p, name);
	int64_t off;

	if (var)
		return var;
	var = chariot_profile__symbol(p, "pcpu_hot");
	off = chariot_profile__member(p, "pcpu_hot", member, NULL);
	return var && off >= 0 ? var + off : 0;
}

int chariot_profile__kernel(const struct chariot_profile *p,
			    const struct chariot_space *s,
			    struct chariot_kernel *k)
{
	bool la57 = s->cr4 & 1 << 12;
	uint64_t addr, nr_cpus = 1;
	int64_t n;
	int err;

	memset(k, 0, sizeof(*k));
	k->cr3 = s->cr3;
	k->cr4 = s->cr4;
	err = read_base(p, s, "page_offset_base", la57 ? 0xff11000000000000 :
			0xffff888000000000, &k->page_offset);
	if (!err)
		err = read_base(p, s, "vmemmap_base", la57 ?
				0xffd4000000000000 : 0xffffea0000000000,
				&k->vmemmap_base);
	addr = chariot_profile__symbol(p, "nr_cpu_ids");
	if (!err && addr)
		err = space_read_uint(s, addr, 4, &nr_cpus);
	if (err) {
		log_err("profile: cannot read the kernel's variables: %s",
			strerror(-err));
		return err;
	}
	k->nr_cpus = nr_cpus;
	n = chariot_profile__type_size(p, "page");
	k->page_struct_size = n > 0 ? n : 0;
	/* THREAD_SIZE is in no type; KASAN doubles it. */
	k->stack_size = chariot_profile__symbol(p, "__asan_load8") ? 32768 :
								     16384;
	k->percpu_offsets = chariot_profile__symbol(p, "__per_cpu_offset");
	k->preempt_count = hot_variable(p, "__preempt_count", "preempt_count");
	k->current_task = hot_variable(p, "current_task", "current_task");
	k->irq_regs = chariot_profile__symbol(p, "__irq_regs");
	k->text_start = chariot_profile__symbol(p, "_stext");
	k->text_end = chariot_profile__symbol(p, "_etext");
	if (!k->text_start || !k->text_end || !k->page_struct_size) {
		log_err("profile: _stext, _etext or struct page is missing");
		return -ENOENT;
	}
	if (k->text_end < k->text_start ||
	    k->text_end - k->text_start > TEXT_MAX) {
		log_err("profile: the kernel's text is said to be %#llx to %#llx",
			(unsigned long long)k->text_start,
			(unsigned long long)k->text_end);
		return -EBADMSG;
	}
	return 0;
}

bool profile_called_on(const struct chariot_space *s, uint64_t page, uint64_t addr, int *err)
{
	uint8_t b[PAGE_SIZE];
	int32_t rel;

	*err = chariot_space__read(s, page, b, sizeof(b));
	for (size_t i = 0; !*err && i + 5 <= sizeof(b); i++) {
		if (b[i] != 0xe8 && b[i] != 0xe9)
			continue;
		memcpy(&rel, b + i + 1, sizeof(rel));
		if (page + i + 5 + (int64_t)rel == addr)
			return true;
	}
	return false;
}

/*
 * The module sees who comes to a function from another page.  A direct call from the
 * same page would be missed: is there one?
 */
static bool called_beside(const struct chariot_space *s, uint64_t addr, int *err)
{
	return profile_called_on(s, addr & PAGE_MASK, addr, err);
}

uint64_t profile_point(const struct chariot_profile *p,
		       const struct chariot_space *s, const char *function)
{
	uint64_t addr = chariot_profile__symbol(p, function);
	int err = addr ? 0 : -ENOENT;

	if (addr && called_beside(s, addr, &err)) {
		log_err("%s is called from the page that it is on: such a call would not be seen",
			function);
		errno = ENOEXEC;
		return 0;
	}
	if (!err)
		return addr;
	log_err("%s: %s", function, strerror(-err));
	errno = -err;
	return 0;
}

uint64_t chariot_profile__load_point(const struct chariot_profile *p,
				     const struct chariot_space *s)
{
	return profile_point(p, s, "do_init_module");
}
