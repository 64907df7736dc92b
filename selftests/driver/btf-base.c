// SPDX-License-Identifier: GPL-2.0
/*
 * btf-base VMLINUZ FILE: write a kernel's BTF as it is, the base for that of
 * modules where the headers come without a vmlinux.
 */
#include <bpf/btf.h>
#include <chariot.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct chariot_profile *p;
	const struct btf *btf;
	const void *raw;
	__u32 size = 0;
	FILE *f;

	if (argc != 3) {
		fprintf(stderr, "usage: btf-base VMLINUZ FILE\n");
		return 2;
	}
	p = chariot_profile__from_file(argv[1]);
	btf = p ? chariot_profile__btf(p) : NULL;
	raw = btf ? btf__raw_data(btf, &size) : NULL;
	if (!raw) {
		fprintf(stderr, "btf-base: %s: no BTF\n", argv[1]);
		return 1;
	}
	f = fopen(argv[2], "wb");
	if (!f || fwrite(raw, 1, size, f) != size || fclose(f)) {
		perror(argv[2]);
		return 1;
	}
	chariot_profile__free(p);
	return 0;
}
