// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A module's image is exchanged in the guest before its loader looks at it.
 *
 * load_module(info) first calls module_sig_check(), and then makes everything from
 * info->hdr and info->len.  What is called in between is a part of it in all kernels
 * (inlined), and module_sig_check() is in a file of its own.  So we stop before that, have
 * the guest call it for us, exchange the image when the signature is good, and have it
 * return.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "deliver.h"

#define IMAGE_MAX	(64UL << 20)
#define SECTIONS_MAX	4096
#define STRINGS_MAX	(1UL << 20)
#define MODINFO_MAX	(256UL << 10)
#define JOBS_MAX	64
#define BYTES_MAX	(256UL << 20)	/* of all that is being exchanged */
#define INFO_MAX	1024	/* bytes of a struct load_info */

#define VM_MAP		4	/* flag of vmap() */
#define PAGE_KERNEL	0x8000000000000163ULL	/* as far as __default_kernel_pte_mask has it */

/* What we have the guest do; cookies of CHARIOT_CALL. */
enum step {
	STEP_CHECK = 1,		/* module_sig_check() */
	STEP_ROOM,		/* vmalloc() */
	STEP_AREA,		/* find_vm_area() of that, */
	STEP_MAP,		/*	and vmap() */
	STEP_FREE,		/* vfree() or module_decompress_cleanup(): all is done */
};

struct job {
	struct job *next;
	uint64_t info;		/* gva of its struct load_info */
	enum step step;
	char name[CHARIOT_NAME_LEN];
	uint64_t hdr, len;	/* as the guest had it */
	bool packed;		/* the kernel has unpacked it, into pages */
	void *image;
	size_t image_len;
	uint64_t room;
};

struct deliver {
	struct chariot_vm *vm;
	const struct deliver_ops *ops;
	void *ctx;
	uint64_t point, site, alloc, free;
	uint64_t area, map, cleanup;	/* 0: not all of them are there */
	int64_t hdr, len;	/* in struct load_info */
	int64_t pages, max, used;	/* there; used < 0: it has none */
	int64_t size;		/* of it */
	struct job *jobs;
	unsigned int nr_jobs;
	size_t bytes;		/* of their images */
};

/* ---- the guest's kernel ---------------------------------------------------- */

static int64_t member(const struct deliver *d, const char *name, uint64_t want)
{
	uint64_t size;
	int64_t off = chariot_profile__member(d->vm->profile, "load_info", name, &size);

	return off >= 0 && size != want ? -ENOENT : off;
}

#define TEXT_MAX_LEN	(64UL << 10)	/* of one function */
#define CALL_LEN	5
#define MAX_INSN	15	/* so near to a page's end it would be emulated */

/* From one watched page to another nothing is seen: no way may lead there. */
static int stays_seen(const struct deliver *d)
{
	static const char *const watched[] = { "do_init_module", "oops_enter" };
	uint64_t page = d->site & PAGE_MASK, fn;
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(watched) && !err; i++) {
		fn = chariot_profile__symbol(d->vm->profile, watched[i]);
		if (fn && profile_called_on(chariot_vm__space(d->vm), page, fn, &err))
			err = -ENOEXEC;
		if ((fn & PAGE_MASK) == (d->point & PAGE_MASK))
			err = -ENOEXEC;
	}
	return err;
}

/* The one call of the function in load_module(). */
static int find_site(struct deliver *d)
{
	const struct chariot_profile *p = d->vm->profile;
	uint64_t start = chariot_profile__symbol(p, "load_module");
	uint64_t len = start ? chariot_profile__next(p, start) - start : 0, at;
	uint8_t *text = len && len <= TEXT_MAX_LEN ? malloc(len) : NULL;
	int err = text ? chariot_space__read(chariot_vm__space(d->vm), start, text, len) :
			 -ENOENT;
	int32_t rel;

	for (uint64_t i = 0; !err && i + CALL_LEN <= len; i++) {
		memcpy(&rel, text + i + 1, sizeof(rel));
		at = start + i;
		if (text[i] != 0xe8 || at + CALL_LEN + (int64_t)rel != d->point)
			continue;
		if (d->site || at / PAGE_SIZE != (at + MAX_INSN) / PAGE_SIZE)
			err = -ENOEXEC;
		d->site = at;
	}
	free(text);
	return err ?: d->site ? stays_seen(d) : -ENOENT;
}

static int find_kernel(struct deliver *d)
{
	static const char *const alloc[] = { "vmalloc", "vmalloc_noprof", NULL };
	const struct chariot_profile *p = d->vm->profile;

	d->point = chariot_profile__symbol(p, "module_sig_check");
	d->alloc = profile_symbol_any(p, alloc);
	d->free = chariot_profile__symbol(p, "vfree");
	d->hdr = member(d, "hdr", 8);
	d->len = member(d, "len", 8);
	d->pages = member(d, "pages", 8);
	d->max = member(d, "max_pages", 4);
	d->used = member(d, "used_pages", 4);
	d->size = chariot_profile__type_size(p, "load_info");
	d->area = chariot_profile__symbol(p, "find_vm_area");
	d->map = chariot_profile__symbol(p, "vmap");
	if (d->pages >= 0 && d->max >= 0 && d->size <= INFO_MAX && d->area && d->map)
		d->cleanup = chariot_profile__symbol(p, "module_decompress_cleanup");
	if (!d->point || !d->alloc || !d->free || d->hdr < 0 || d->len < 0)
		return -ENOENT;
	return find_site(d);
}

struct deliver *deliver_new(struct chariot_vm *vm, const struct deliver_ops *ops, void *ctx)
{
	struct deliver *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return NULL;
	d->vm = vm;
	d->ops = ops;
	d->ctx = ctx;
	err = find_kernel(d);
	if (!err)
		return d;
	deliver_free(d);
	return err_null(err);
}

static void free_job(struct job *j)
{
	free(j->image);
	free(j);
}

void deliver_free(struct deliver *d)
{
	struct job *j;

	if (!d)
		return;
	while ((j = d->jobs)) {
		d->jobs = j->next;
		free_job(j);
	}
	free(d);
}

uint64_t deliver_point(const struct deliver *d)
{
	return d->point;
}

uint64_t deliver_site(const struct deliver *d)
{
	return d->site;
}

/* ---- the image ------------------------------------------------------------- */

/* A piece of it; all lengths in it are the guest's. */
struct source {
	const struct chariot_space *s;
	uint64_t hdr, len;
};

static int read_at(const struct source *r, uint64_t off, void *buf, uint64_t len)
{
	if (off > r->len || len > r->len - off)
		return -EBADMSG;
	return chariot_space__read(r->s, r->hdr + off, buf, len);
}

static void *read_piece(const struct source *r, uint64_t off, uint64_t len, uint64_t max)
{
	uint8_t *buf = len && len <= max ? malloc(len + 1) : NULL;

	if (!buf)
		return NULL;
	buf[len] = 0;
	if (!read_at(r, off, buf, len))
		return buf;
	free(buf);
	return NULL;
}

static const Elf64_Shdr *find_section(const Elf64_Shdr *v, unsigned int nr,
				      const char *strings, uint64_t len,
				      const char *name)
{
	for (unsigned int i = 1; i < nr; i++)
		if (v[i].sh_name < len && !strcmp(strings + v[i].sh_name, name))
			return &v[i];
	return NULL;
}

/* "name=" in strings that follow each other. */
static int find_name(const char *text, size_t len, char name[CHARIOT_NAME_LEN])
{
	size_t at, n;

	for (at = 0; at < len; at += n + 1) {
		n = strnlen(text + at, len - at);
		if (n <= 5 || strncmp(text + at, "name=", 5))
			continue;
		if (n - 5 >= CHARIOT_NAME_LEN)
			return -EBADMSG;
		text_fold(name, text + at + 5, n - 5);
		text_make_printable(name, n - 5);
		return 0;
	}
	return -ENOENT;
}

static int read_name(const struct source *r, char name[CHARIOT_NAME_LEN])
{
	const Elf64_Shdr *strings, *info = NULL;
	char *names = NULL, *text = NULL;
	Elf64_Shdr *v = NULL;
	Elf64_Ehdr h;
	int err = read_at(r, 0, &h, sizeof(h));

	if (err)
		return err;
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_shentsize != sizeof(*v) || h.e_shnum > SECTIONS_MAX ||
	    h.e_shstrndx >= h.e_shnum)
		return -ENOEXEC;
	v = read_piece(r, h.e_shoff, h.e_shnum * sizeof(*v), SECTIONS_MAX * sizeof(*v));
	strings = v ? &v[h.e_shstrndx] : NULL;
	if (v)
		names = read_piece(r, strings->sh_offset, strings->sh_size, STRINGS_MAX);
	if (names)
		info = find_section(v, h.e_shnum, names, strings->sh_size, ".modinfo");
	if (info)
		text = read_piece(r, info->sh_offset, info->sh_size, MODINFO_MAX);
	err = text ? find_name(text, info->sh_size, name) : -EBADMSG;
	free(text);
	free(names);
	free(v);
	return err;
}

/* What the loader has now. */
static int read_info(const struct deliver *d, uint64_t info, struct source *r)
{
	int err;

	r->s = chariot_vm__space(d->vm);
	err = space_read_uint(r->s, info + d->hdr, 8, &r->hdr);
	if (!err)
		err = space_read_uint(r->s, info + d->len, 8, &r->len);
	if (!err && (r->hdr < KERNEL_MIN || r->len > IMAGE_MAX ||
		     r->hdr + r->len < r->hdr))
		err = -EBADMSG;
	return err;
}

static bool is_packed(const struct deliver *d, uint64_t info)
{
	uint64_t pages = 0;

	return d->used >= 0 &&
	       (space_read_uint(chariot_vm__space(d->vm), info + d->used, 4, &pages) ||
		pages);
}

/* ---- a job, step by step ------------------------------------------------------ */

static struct job **find_job(struct deliver *d, uint64_t info)
{
	struct job **at = &d->jobs;

	while (*at && (*at)->info != info)
		at = &(*at)->next;
	return at;
}

static void drop_job(struct deliver *d, struct job *j)
{
	*find_job(d, j->info) = j->next;
	d->nr_jobs--;
	d->bytes -= j->image_len;
	free_job(j);
}

/* The loader goes on. */
static void go_on(struct deliver *d, uint64_t seq, struct job *j, int result)
{
	int err = j->step ? vm_return(d->vm, seq, (int64_t)result) :
			    vm_continue(d->vm, seq, 0);

	if (err < 0 && err != -ENOENT)
		log_warn("%s: the guest's loader cannot go on: %s", j->name, strerror(-err));
	drop_job(d, j);
}

static void give_up(struct deliver *d, uint64_t seq, struct job *j, int err,
		    const char *why)
{
	d->ops->failed(d->ctx, j->name, err, why);
	go_on(d, seq, j, 0);
}

static int have_called(struct deliver *d, uint64_t seq, struct job *j, enum step step,
		       uint64_t fn, const uint64_t arg[6])
{
	int err = vm_call_guest(d->vm, seq, fn, arg, step);

	if (!err)
		j->step = step;
	return err;
}
#define call(d, seq, j, step, fn, ...)	\
	have_called(d, seq, j, step, fn, (uint64_t[6]){ __VA_ARGS__ })

/* Of one that is unpacked, behind the image a copy of its struct load_info. */
static uint64_t info_copy(const struct job *j)
{
	return (j->image_len + 15) & ~15ULL;
}

/* The image is final: make another one, and have the guest make room. */
static void make(struct deliver *d, uint64_t seq, struct job *j)
{
	char name[CHARIOT_NAME_LEN], why[256] = "it cannot be read";
	struct source r;
	void *image = NULL;
	int err;

	err = read_info(d, j->info, &r);
	if (!err)
		err = read_name(&r, name);
	if (!err && strcmp(name, j->name)) {
		snprintf(why, sizeof(why), "it has another name now");
		err = -EAGAIN;
	}
	j->hdr = r.hdr;
	j->len = r.len;
	if (!err) {
		image = read_piece(&r, 0, r.len, IMAGE_MAX);
		err = image ? 0 : -EFAULT;
	}
	if (!err) {
		snprintf(why, sizeof(why), "no other image can be made of it");
		j->image = d->ops->make(d->ctx, j->name, image, r.len, &j->image_len, why);
		err = j->image ? 0 : -errno ?: -EIO;
		if (err)
			j->image_len = 0;
		d->bytes += j->image_len;
	}
	free(image);
	if (!err && d->bytes > BYTES_MAX) {
		snprintf(why, sizeof(why), "too much is loaded at once");
		err = -ENOSPC;
	}
	if (!err) {
		snprintf(why, sizeof(why), "the guest cannot make room");
		err = call(d, seq, j, STEP_ROOM, d->alloc,
			   j->packed ? info_copy(j) + d->size : j->image_len);
	}
	if (err)
		give_up(d, seq, j, err, why);
}

/*
 * The image is at @hdr, which is the room, or, of one that was unpacked, another mapping of
 * its pages.  module_decompress_cleanup() will then unmap it, free no pages, and free the
 * room as if it were the list of pages.  All is changed at once: in a copy.
 */
static int exchange(struct deliver *d, const struct job *j, uint64_t hdr)
{
	const struct chariot_space *s = chariot_vm__space(d->vm);
	uint64_t len = j->image_len;
	uint8_t info[INFO_MAX];
	int err = d->size < 0 || d->size > INFO_MAX ? -ENOENT : 0;

	if (!err)
		err = chariot_space__write(s, j->room, j->image, len);
	if (!err)
		err = chariot_space__read(s, j->info, info, d->size);
	if (!err && j->packed)
		err = chariot_space__write(s, j->room + info_copy(j), info, d->size);
	if (err)
		return err;
	memcpy(info + d->hdr, &hdr, 8);
	memcpy(info + d->len, &len, 8);
	if (j->packed) {
		memcpy(info + d->pages, &j->room, 8);
		memset(info + d->max, 0, 4);
		memset(info + d->used, 0, 4);
	}
	return chariot_space__write(s, j->info, info, d->size);
}

/* What is not freed is lost, and all else is as it should be. */
static void free_room(struct deliver *d, uint64_t seq, struct job *j, int err,
		      const char *why)
{
	d->ops->failed(d->ctx, j->name, err, why);
	if (j->room < KERNEL_MIN ||
	    call(d, seq, j, STEP_FREE, d->free, j->room))
		go_on(d, seq, j, 0);
}

static void put(struct deliver *d, uint64_t seq, struct job *j, uint64_t hdr)
{
	int err = exchange(d, j, hdr);

	if (err) {
		free_room(d, seq, j, err, "it cannot be written");
		return;
	}
	d->ops->done(d->ctx, j->name, j->len, j->image_len);
	err = j->packed ? call(d, seq, j, STEP_FREE, d->cleanup, j->room + info_copy(j)) :
			  call(d, seq, j, STEP_FREE, d->free, j->hdr);
	if (err)
		go_on(d, seq, j, 0);
}

/* There is room, or none. */
static void use_room(struct deliver *d, uint64_t seq, struct job *j, uint64_t room)
{
	if (room < KERNEL_MIN)
		give_up(d, seq, j, -ENOMEM, "the guest has no memory for it");
	else if (!j->packed)
		put(d, seq, j, room);
	else if (call(d, seq, j, STEP_AREA, d->area, room))
		free_room(d, seq, j, -EIO, "the guest cannot be asked for its pages");
}

/* @area: the struct vm_struct of the room. */
static void map_room(struct deliver *d, uint64_t seq, struct job *j, uint64_t area)
{
	const struct chariot_space *s = chariot_vm__space(d->vm);
	uint64_t mask = chariot_profile__symbol(d->vm->profile, "__default_kernel_pte_mask");
	uint64_t pages = 0, nr = 0, prot = ~0ULL;
	uint64_t want = (j->image_len + PAGE_SIZE - 1) / PAGE_SIZE;
	int err = area < KERNEL_MIN ? -EFAULT : 0;

	if (!err)
		err = profile_read_member(d->vm->profile, s, "vm_struct", area, "pages", &pages);
	if (!err)
		err = profile_read_member(d->vm->profile, s, "vm_struct", area, "nr_pages", &nr);
	if (!err && mask)
		err = space_read_uint(s, mask, 8, &prot);
	if (!err && nr < want)
		err = -EBADMSG;
	if (!err)
		err = call(d, seq, j, STEP_MAP, d->map, pages, want, VM_MAP,
			   prot & PAGE_KERNEL);
	if (err)
		free_room(d, seq, j, err, "its pages cannot be mapped");
}

static void begin(struct deliver *d, const struct chariot_event *ev)
{
	uint64_t info = ev->u.image.arg[0];
	struct job *j = *find_job(d, info);
	char name[CHARIOT_NAME_LEN];
	struct source r;
	int err;

	/* The guest's stack has been used anew: that one never came back. */
	if (j)
		drop_job(d, j);
	err = read_info(d, info, &r) ?: read_name(&r, name);
	if (err)
		log_debug("what the guest is about to load cannot be read: %s",
			  strerror(-err));
	if (err || !d->ops->wanted(d->ctx, name)) {
		vm_continue(d->vm, ev->seq, 0);
		return;
	}
	j = d->nr_jobs < JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;
	if (!j) {
		d->ops->failed(d->ctx, name, -ENOMEM, "too many are loaded at once");
		vm_continue(d->vm, ev->seq, 0);
		return;
	}
	j->info = info;
	strcpy(j->name, name);
	j->next = d->jobs;
	d->jobs = j;
	d->nr_jobs++;
	j->packed = is_packed(d, info);
	if (j->packed && !d->cleanup)
		give_up(d, ev->seq, j, -EOPNOTSUPP,
			"the guest's kernel has unpacked it, in a way that is not known");
	else if (call(d, ev->seq, j, STEP_CHECK, d->point, info, ev->u.image.arg[1]))
		give_up(d, ev->seq, j, -EIO, "the guest cannot be made to check it");
}

void deliver_event(struct deliver *d, const struct chariot_event *ev)
{
	uint64_t result = ev->u.image.result;
	struct job *j;

	if (!(ev->flags & CHARIOT_EV_RETURNED)) {
		begin(d, ev);
		return;
	}
	j = *find_job(d, ev->u.image.arg[0]);
	if (!j || j->step != ev->u.image.cookie) {
		/* None of ours. */
		vm_continue(d->vm, ev->seq, 0);
		return;
	}
	switch (j->step) {
	case STEP_CHECK:
		/* As the guest says, which is not to load it. */
		if ((int)result)
			go_on(d, ev->seq, j, (int)result);
		else
			make(d, ev->seq, j);
		break;
	case STEP_ROOM:
		j->room = result;
		use_room(d, ev->seq, j, result);
		break;
	case STEP_AREA:
		map_room(d, ev->seq, j, result);
		break;
	case STEP_MAP:
		if (result < KERNEL_MIN)
			free_room(d, ev->seq, j, -ENOMEM, "the guest has no memory for it");
		else
			put(d, ev->seq, j, result);
		break;
	case STEP_FREE:
		go_on(d, ev->seq, j, 0);
		break;
	}
}

/* ---- for tests ---------------------------------------------------------------- */

void *image_marked(const void *image, size_t len, size_t *new_len)
{
	static const uint8_t gnu[16] = {
		4, 0, 0, 0, 20, 0, 0, 0, NT_GNU_BUILD_ID, 0, 0, 0, 'G', 'N', 'U', 0,
	};
	uint8_t *copy = malloc(len);
	uint8_t *note = copy ? memmem(memcpy(copy, image, len), len, gnu, sizeof(gnu)) : NULL;

	if (note && len - (note - copy) > sizeof(gnu))
		note[sizeof(gnu)] ^= 1;
	*new_len = len;
	return copy;
}
