// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A kernel's file of any bytes: vmlinuz, vmlinux, and what they are packed with.
 */
#include <elf.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "mini.h"

#define SETUP_SECTS	1
#define PAYLOAD_AT	((SETUP_SECTS + 1) * 512 + 64)
#define SEED_MAX	(256UL << 10)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct image img;
	struct ksyms k;

	if (image_from_file(&img, fuzz_file(data, len)))
		return 0;
	fuzz_touch(img.data, img.len < 65536 ? img.len : 65536);
	image_at(&img, img.base + img.len - 1, 1);
	image_at(&img, img.base - 1, 1);
	/* Larger ones are mostly zeroes: fuzz-kallsyms has better ones. */
	if (img.len < 1UL << 20 && !ksyms_find(&k, &img))
		ksyms_free(&k);
	image_free(&img);
	return 0;
}

/* ---- seeds ---------------------------------------------------------------------- */

static size_t make_elf(uint8_t *out, const uint8_t *body, size_t len)
{
	Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
		.e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
	};
	Elf64_Phdr ph[2] = {
		{ .p_type = PT_LOAD, .p_offset = sizeof(eh) + sizeof(ph),
		  .p_vaddr = MINI_TEXT, .p_paddr = 0x1000000, .p_filesz = len,
		  .p_memsz = len + 64 },
		{ .p_type = PT_LOAD, .p_offset = sizeof(eh) + sizeof(ph),
		  .p_vaddr = MINI_TEXT + 65536, .p_paddr = 0x1010000,
		  .p_filesz = 16, .p_memsz = 4096 },
	};

	memcpy(out, &eh, sizeof(eh));
	memcpy(out + sizeof(eh), ph, sizeof(ph));
	memcpy(out + sizeof(eh) + sizeof(ph), body, len);
	return sizeof(eh) + sizeof(ph) + len;
}

static size_t pack(int how, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0;
	z_stream z = { .next_in = (uint8_t *)in, .avail_in = len,
		       .next_out = out, .avail_out = SEED_MAX };

	if (how == 0) {
		fuzz_assert(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, in,
						    len, out, &n, SEED_MAX) == LZMA_OK);
	} else if (how == 1) {
		n = ZSTD_compress(out, SEED_MAX, in, len, 3);
	} else {
		fuzz_assert(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0) == Z_OK &&
			    deflate(&z, Z_FINISH) == Z_STREAM_END);
		n = z.total_out;
		deflateEnd(&z);
	}
	return n;
}

/* Offsets as the boot protocol has them. */
static size_t make_vmlinuz(uint8_t *out, const uint8_t *payload, size_t len)
{
	uint32_t at = PAYLOAD_AT - (SETUP_SECTS + 1) * 512, n = len;
	uint16_t version = 0x20f;

	memset(out, 0, PAYLOAD_AT);
	out[0x1f1] = SETUP_SECTS;
	memcpy(out + 0x202, "HdrS", 4);
	memcpy(out + 0x206, &version, 2);
	memcpy(out + 0x248, &at, 4);
	memcpy(out + 0x24c, &n, 4);
	memcpy(out + PAYLOAD_AT, payload, len);
	return PAYLOAD_AT + len;
}

void fuzz_seeds(fuzz_emit emit)
{
	static const char *const packers[] = { "xz", "zstd", "gzip" };
	uint8_t *elf = malloc(SEED_MAX), *packed = malloc(SEED_MAX);
	uint8_t *file = malloc(2 * SEED_MAX);
	struct mini *m = mini_get(false);
	size_t len, n;

	fuzz_assert(elf && packed && file);
	len = make_elf(elf, m->btf, 512);
	emit("vmlinux", elf, len);
	for (int i = 0; i < 3; i++) {
		n = pack(i, elf, len, packed);
		emit(packers[i], file, make_vmlinuz(file, packed, n));
	}
	free(elf);
	free(packed);
	free(file);
}
