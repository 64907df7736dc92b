// SPDX-License-Identifier: GPL-2.0
/*
 * Print, as C defines, what kvm_chariot needs to know of KVM's private
 * structures.  They are in no header package; the BTF of the very kvm.ko that
 * the module is built for has them.
 *
 * usage: layout VMLINUX KVM.KO
 *
 * VMLINUX is raw BTF (/sys/kernel/btf/vmlinux), a vmlinux or a vmlinuz.
 */
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/btf.h>
#include <chariot.h>
#include <bpf/libbpf.h>

static const struct btf *btf;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "layout: %s: %s\n", name, what);
	exit(1);
}

static const struct btf_type *type_of(const char *name, __u32 kind)
{
	int id = btf__find_by_name_kind(btf, name, kind);

	if (id < 0)
		die("no such type in the BTF of this kvm.ko", name);
	return btf__type_by_id(btf, id);
}

/* Byte offset of a member that is no bit field. */
static unsigned int member(const char *type, const char *name)
{
	const struct btf_type *t = type_of(type, BTF_KIND_STRUCT);
	const struct btf_member *m = btf_members(t);

	for (int i = 0; i < btf_vlen(t); i++) {
		if (strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			continue;
		if (btf_member_bitfield_size(t, i) ||
		    btf_member_bit_offset(t, i) % 8)
			die("is a bit field", name);
		return btf_member_bit_offset(t, i) / 8;
	}
	die("no such member", name);
	return 0;
}

/* Bits that a bit field or a plain member of @t occupies. */
static __u64 bits_of(const struct btf_type *t, int i)
{
	unsigned int at = btf_member_bit_offset(t, i);
	unsigned int n = btf_member_bitfield_size(t, i);
	const char *name = btf__name_by_offset(btf, btf_members(t)[i].name_off);

	if (!n)
		n = 8 * btf__resolve_size(btf, btf_members(t)[i].type);
	/* An unnamed bit field is padding. */
	if (!*name || at + n > 32)
		return 0;
	return ((1ULL << n) - 1) << at;
}

/* The longest run of bits of the role that no field uses. */
static void role(void)
{
	const struct btf_type *u = type_of("kvm_mmu_page_role", BTF_KIND_UNION);
	const struct btf_member *m = btf_members(u);
	__u64 used = 0;
	int run = 0, best = 0, at = 0;

	for (int i = 0; i < btf_vlen(u); i++) {
		const struct btf_type *s = btf__type_by_id(btf, m[i].type);

		if (!btf_is_struct(s))
			continue;
		for (int j = 0; j < btf_vlen(s); j++)
			used |= bits_of(s, j);
	}
	if (!used)
		die("has no bit fields", "union kvm_mmu_page_role");
	for (int b = 0; b < 32; b++) {
		run = used & (1ULL << b) ? 0 : run + 1;
		if (run > best) {
			best = run;
			at = b - run + 1;
		}
	}
	if (best < 2)
		die("has too few spare bits", "union kvm_mmu_page_role");
	if (best > 5)
		best = 5;	/* 32 views: struct chariot_vm_info has a bit for each */
	printf("#define LAYOUT_ROLE_SHIFT\t%d\n", at);
	printf("#define LAYOUT_ROLE_BITS\t%d\n", best);
}

/* Which kvm.ko this is. */
static void build_id(const char *path)
{
	int fd = open(path, O_RDONLY);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	size_t shstrndx, at = 0, name, desc;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	GElf_Nhdr n;
	Elf_Data *d;

	if (!elf || elf_getshdrstrndx(elf, &shstrndx))
		die("is no ELF file", path);
	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE &&
		    !strcmp(elf_strptr(elf, shstrndx, sh.sh_name),
			    ".note.gnu.build-id"))
			break;
	d = scn ? elf_getdata(scn, NULL) : NULL;
	if (!d || !gelf_getnote(d, at, &n, &name, &desc) || n.n_descsz != 20)
		die("has no build-id", path);
	printf("#define LAYOUT_BUILD_ID\t\"");
	for (int i = 0; i < 20; i++)
		printf("%02x", ((unsigned char *)d->d_buf)[desc + i]);
	printf("\"\n");
	elf_end(elf);
	close(fd);
}

static struct btf *vmlinux_btf(const char *path)
{
	struct btf *base = btf__parse(path, NULL);
	struct chariot_profile *p;

	if (base)
		return base;
	p = chariot_profile__from_file(path);
	if (!p)
		die("cannot read its BTF", path);
	return (struct btf *)chariot_profile__btf(p);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: layout VMLINUX KVM.KO\n");
		return 2;
	}
	elf_version(EV_CURRENT);
	libbpf_set_print(NULL);
	btf = btf__parse_split(argv[2], vmlinux_btf(argv[1]));
	if (!btf)
		die("cannot read its BTF", argv[2]);

	printf("/* Made by kmod/layout from the BTF of %s. */\n", argv[2]);
	build_id(argv[2]);
	printf("#define LAYOUT_PAGE_ROLE\t%u\n", member("kvm_mmu_page", "role"));
	printf("#define LAYOUT_CTXT_VCPU\t%u\n",
	       member("x86_emulate_ctxt", "vcpu"));
	printf("#define LAYOUT_CTXT_OPS\t\t%u\n",
	       member("x86_emulate_ctxt", "ops"));
	printf("#define LAYOUT_CTXT_NEXT_IP\t%u\n",
	       member("x86_emulate_ctxt", "_eip"));
	printf("#define LAYOUT_OPS_SIZE\t\t%u\n",
	       type_of("x86_emulate_ops", BTF_KIND_STRUCT)->size);
	printf("#define LAYOUT_OPS_WRITE\t%u\n",
	       member("x86_emulate_ops", "write_emulated"));
	printf("#define LAYOUT_OPS_CMPXCHG\t%u\n",
	       member("x86_emulate_ops", "cmpxchg_emulated"));
	printf("#define LAYOUT_EXC_VECTOR\t%u\n",
	       member("x86_exception", "vector"));
	printf("#define LAYOUT_EXC_HAS_CODE\t%u\n",
	       member("x86_exception", "error_code_valid"));
	printf("#define LAYOUT_EXC_CODE\t\t%u\n",
	       member("x86_exception", "error_code"));
	printf("#define LAYOUT_EXC_NESTED\t%u\n",
	       member("x86_exception", "nested_page_fault"));
	role();
	return 0;
}
