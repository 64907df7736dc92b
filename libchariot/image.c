// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A kernel's image as one piece of bytes: out of guest memory, or out of a
 * vmlinuz or vmlinux file.
 */
#include <elf.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "internal.h"

#define KERNEL_START	0xffffffff80000000ULL	/* __START_KERNEL_map */
#define KERNEL_END	0xffffffffc0000000ULL	/* with KASLR: modules from here */
#define IMAGE_MAX	(256UL << 20)
#define FILE_MAX	(1UL << 30)
/*
 * Between text, read-only data and data there are unmapped pages up to the
 * next 2M, and the init sections are unmapped once the kernel has booted.
 */
#define GAP_MAX		(32UL << 20)

void image_free(struct image *img)
{
	free(img->data);
	memset(img, 0, sizeof(*img));
}

const void *image_at(const struct image *img, uint64_t addr, size_t len)
{
	uint64_t off = addr - img->base;

	if (addr < img->base || off > img->len || len > img->len - off)
		return NULL;
	return img->data + off;
}

/* ---- from guest memory --------------------------------------------------- */

struct extent {
	uint64_t gva, gpa, len;
};

struct extents {
	struct extent *v;
	size_t nr, room;
};

static int add_extent(void *ctx, uint64_t gva, uint64_t gpa, uint64_t len)
{
	struct extents *e = ctx;
	struct extent *last = e->nr ? &e->v[e->nr - 1] : NULL;

	if (last && last->gva + last->len == gva &&
	    last->gpa + last->len == gpa && last->len + len <= CHARIOT_MEM_MAX) {
		last->len += len;
		return 0;
	}
	if (e->nr == e->room) {
		size_t room = e->room ? 2 * e->room : 64;
		struct extent *v = realloc(e->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->v = v;
		e->room = room;
	}
	e->v[e->nr++] = (struct extent){ gva, gpa, len };
	return 0;
}

/*
 * The extents that belong to the image: around the one with @lstar, as far as
 * the gaps are small.  [*first, *last], or -ENOENT.
 */
static int choose_extents(const struct extents *e, uint64_t lstar,
			  size_t *first, size_t *last)
{
	const struct extent *v = e->v;
	size_t i, lo, hi;

	for (i = 0; i < e->nr; i++)
		if (lstar >= v[i].gva && lstar - v[i].gva < v[i].len)
			break;
	if (i == e->nr)
		return -ENOENT;
	if (v[i].len > IMAGE_MAX)
		return -EFBIG;
	lo = hi = i;
	while (lo > 0 &&
	       v[lo].gva - (v[lo - 1].gva + v[lo - 1].len) <= GAP_MAX &&
	       v[hi].gva + v[hi].len - v[lo - 1].gva <= IMAGE_MAX)
		lo--;
	while (hi + 1 < e->nr &&
	       v[hi + 1].gva - (v[hi].gva + v[hi].len) <= GAP_MAX &&
	       v[hi + 1].gva + v[hi + 1].len - v[lo].gva <= IMAGE_MAX)
		hi++;
	*first = lo;
	*last = hi;
	return 0;
}

static int read_extents(struct image *img, const struct chariot_space *s,
			const struct extent *first, const struct extent *last)
{
	const struct extent *e;
	int err;

	img->base = first->gva;
	img->len = last->gva + last->len - first->gva;
	img->data = calloc(1, img->len);
	if (!img->data)
		return -ENOMEM;
	for (e = first; e <= last; e++) {
		err = s->ops->read(s->ctx, e->gpa,
				   img->data + (e->gva - img->base), e->len);
		if (err)	/* not memory: a hole */
			log_debug("image: %#llx+%#llx (gpa %#llx): %s",
				  (unsigned long long)e->gva,
				  (unsigned long long)e->len,
				  (unsigned long long)e->gpa, strerror(-err));
	}
	return 0;
}

int image_from_guest(struct image *img, const struct chariot_space *s,
		     uint64_t lstar)
{
	struct extents e = {};
	size_t first, last;
	int err;

	memset(img, 0, sizeof(*img));
	err = space_walk(s, KERNEL_START, KERNEL_END, add_extent, &e);
	if (!err)
		err = choose_extents(&e, lstar, &first, &last);
	if (err)
		log_err("image: %s mapped around %#llx (cr3 %#llx): %s",
			err == -EFBIG ? "too much" : "nothing",
			(unsigned long long)lstar, (unsigned long long)s->cr3,
			strerror(-err));
	else
		err = read_extents(img, s, &e.v[first], &e.v[last]);
	free(e.v);
	return err;
}

/* ---- decompression -------------------------------------------------------- */

struct sink {
	uint8_t *data;
	size_t len, room;
};

/* Room for at least one more byte; the result is at most FILE_MAX. */
static int sink_grow(struct sink *k)
{
	size_t room = k->room ? 2 * k->room : 1UL << 20;
	uint8_t *data;

	if (k->len < k->room)
		return 0;
	if (room > FILE_MAX)
		return -EFBIG;
	data = realloc(k->data, room);
	if (!data)
		return -ENOMEM;
	k->data = data;
	k->room = room;
	return 0;
}

static int unpack_xz(const uint8_t *src, size_t len, struct sink *k)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret ret = LZMA_OK;
	int err = 0;

	if (lzma_stream_decoder(&z, 256UL << 20, 0) != LZMA_OK)
		return -ENOMEM;
	z.next_in = src;
	z.avail_in = len;
	while (ret == LZMA_OK && !err) {
		err = sink_grow(k);
		if (err)
			break;
		z.next_out = k->data + k->len;
		z.avail_out = k->room - k->len;
		ret = lzma_code(&z, LZMA_FINISH);
		k->len = k->room - z.avail_out;
	}
	lzma_end(&z);
	if (!err && ret != LZMA_STREAM_END)
		err = -EBADMSG;
	return err;
}

static int unpack_gzip(const uint8_t *src, size_t len, struct sink *k)
{
	z_stream z = { .next_in = (uint8_t *)src, .avail_in = len };
	int ret = Z_OK, err = 0;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -ENOMEM;
	while (ret == Z_OK && !err) {
		err = sink_grow(k);
		if (err)
			break;
		z.next_out = k->data + k->len;
		z.avail_out = k->room - k->len;
		ret = inflate(&z, Z_NO_FLUSH);
		k->len = k->room - z.avail_out;
	}
	inflateEnd(&z);
	if (!err && ret != Z_STREAM_END)
		err = -EBADMSG;
	return err;
}

static int unpack_zstd(const uint8_t *src, size_t len, struct sink *k)
{
	ZSTD_inBuffer in = { .src = src, .size = len };
	ZSTD_DStream *z = ZSTD_createDStream();
	size_t ret = 1;
	int err = 0;

	if (!z)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 28);
	while (ret && !err) {
		ZSTD_outBuffer out;
		size_t before = in.pos + k->len;

		err = sink_grow(k);
		if (err)
			break;
		out = (ZSTD_outBuffer){ k->data, k->room, k->len };
		ret = ZSTD_decompressStream(z, &out, &in);
		k->len = out.pos;
		/* No error, no end, nothing moves: the input is cut off. */
		if (ZSTD_isError(ret) || (ret && before == in.pos + k->len))
			err = -EBADMSG;
	}
	ZSTD_freeDStream(z);
	return err;
}

static const struct {
	char magic[6];
	size_t len;
	int (*unpack)(const uint8_t *src, size_t len, struct sink *k);
} packers[] = {
	{ "\xfd" "7zXZ", 6, unpack_xz },
	{ "\x28\xb5\x2f\xfd", 4, unpack_zstd },
	{ "\x1f\x8b", 2, unpack_gzip },
};

int unpack(const uint8_t *src, size_t len, uint8_t **data, size_t *out_len)
{
	struct sink k = {};
	int err = -ENOEXEC;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(packers); i++) {
		if (len < packers[i].len ||
		    memcmp(src, packers[i].magic, packers[i].len))
			continue;
		err = packers[i].unpack(src, len, &k);
		break;
	}
	if (err) {
		free(k.data);
		return err;
	}
	*data = k.data;
	*out_len = k.len;
	return 0;
}

/* ---- files ---------------------------------------------------------------- */

int file_read(const char *path, uint8_t **data, size_t *len)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, err = 0;
	struct stat st;
	size_t done = 0;

	if (!path)
		return -ENOENT;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (st.st_size > (off_t)FILE_MAX)
		err = -EFBIG;
	else if (!(*data = malloc(st.st_size + 1)))
		err = -ENOMEM;
	while (!err && done < (size_t)st.st_size) {
		ssize_t n = read(fd, *data + done, st.st_size - done);

		if (n == 0)
			break;
		if (n > 0)
			done += n;
		else if (errno != EINTR) {
			err = -errno;
			free(*data);
		}
	}
	close(fd);
	*len = done;
	return err;
}

int file_read_unpacked(const char *path, uint8_t **data, size_t *len)
{
	uint8_t *raw, *out;
	size_t out_len;
	int err;

	err = file_read(path, &raw, len);
	if (err)
		return err;
	*data = raw;
	err = unpack(raw, *len, &out, &out_len);
	if (err == -ENOEXEC)		/* not packed */
		return 0;
	free(raw);
	if (err)
		return err;
	*data = out;
	*len = out_len;
	return 0;
}

/* ---- vmlinuz and vmlinux -------------------------------------------------- */

/* Documentation/arch/x86/boot.rst */
#define SETUP_SECTS	0x1f1
#define HDR_MAGIC	0x202
#define PAYLOAD_OFFSET	0x248
#define PAYLOAD_LENGTH	0x24c

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The packed kernel inside a bzImage. */
static int find_payload(const uint8_t *data, size_t len, const uint8_t **p,
			size_t *plen)
{
	uint64_t sects, off, n;

	if (len < 0x260 || memcmp(data + HDR_MAGIC, "HdrS", 4))
		return -ENOEXEC;
	sects = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4;
	off = (sects + 1) * 512 + get32(data + PAYLOAD_OFFSET);
	n = get32(data + PAYLOAD_LENGTH);
	if (off > len || n > len - off || !n)
		return -EBADMSG;
	*p = data + off;
	*plen = n;
	return 0;
}

/*
 * Where a segment is once the kernel runs.  The per-CPU data is linked at 0,
 * and lies where its physical address says.
 */
static uint64_t segment_addr(const Elf64_Phdr *ph)
{
	return ph->p_vaddr >= KERNEL_START ? ph->p_vaddr :
					     KERNEL_START + ph->p_paddr;
}

static bool segment_good(const Elf64_Phdr *ph, size_t len)
{
	uint64_t addr = segment_addr(ph);

	return ph->p_type == PT_LOAD && ph->p_memsz <= IMAGE_MAX &&
	       ph->p_filesz <= ph->p_memsz && ph->p_offset <= len &&
	       ph->p_filesz <= len - ph->p_offset && addr >= KERNEL_START &&
	       addr < KERNEL_END;
}

static int load_segments(struct image *img, const uint8_t *elf, size_t len,
			 uint64_t phoff, size_t phnum)
{
	uint64_t start = ~0ULL, end = 0;
	Elf64_Phdr ph;
	size_t i;

	for (i = 0; i < phnum; i++) {
		memcpy(&ph, elf + phoff + i * sizeof(ph), sizeof(ph));
		if (!segment_good(&ph, len))
			continue;
		if (segment_addr(&ph) < start)
			start = segment_addr(&ph);
		if (segment_addr(&ph) + ph.p_memsz > end)
			end = segment_addr(&ph) + ph.p_memsz;
	}
	if (start >= end || end - start > IMAGE_MAX)
		return -EBADMSG;
	img->base = start;
	img->len = end - start;
	img->data = calloc(1, img->len);
	if (!img->data)
		return -ENOMEM;
	for (i = 0; i < phnum; i++) {
		memcpy(&ph, elf + phoff + i * sizeof(ph), sizeof(ph));
		if (segment_good(&ph, len))
			memcpy(img->data + (segment_addr(&ph) - start),
			       elf + ph.p_offset, ph.p_filesz);
	}
	return 0;
}

static int image_from_elf(struct image *img, const uint8_t *elf, size_t len)
{
	Elf64_Ehdr eh;

	if (len < sizeof(eh))
		return -ENOEXEC;
	memcpy(&eh, elf, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64)
		return -ENOEXEC;
	if (eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phoff > len ||
	    eh.e_phnum > (len - eh.e_phoff) / sizeof(Elf64_Phdr))
		return -EBADMSG;
	return load_segments(img, elf, len, eh.e_phoff, eh.e_phnum);
}

int image_from_file(struct image *img, const char *path)
{
	uint8_t *data = NULL, *elf = NULL;
	const uint8_t *payload;
	size_t len, plen, elf_len;
	int err;

	memset(img, 0, sizeof(*img));
	err = file_read(path, &data, &len);
	if (err)
		goto out;
	err = find_payload(data, len, &payload, &plen);
	if (!err)
		err = unpack(payload, plen, &elf, &elf_len);
	else if (err == -ENOEXEC)
		err = image_from_elf(img, data, len);
	if (!err && elf)
		err = image_from_elf(img, elf, elf_len);
	free(elf);
	free(data);
out:
	if (err)
		log_err("%s: no Linux kernel image for x86-64: %s",
			path ?: "no file",
			strerror(-err));
	return err;
}
