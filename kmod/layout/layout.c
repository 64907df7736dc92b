// SPDX-License-Identifier: GPL-2.0
/*
 * Print, as C defines, what kvm_chariot needs to know of KVM's private
 * structures.  They are in no header package; the BTF of the very kvm.ko that
 * the module is built for has them.
 *
 * usage: layout VMLINUX KVM.KO
 *
 * VMLINUX is the vmlinux or vmlinuz of the same kernel, or /sys/kernel/btf/vmlinux.
 * The types of kvm.ko continue those of its very own kernel: with another one's they
 * may be read without an error, and be wrong.  So both must have one release, and the
 * module compares both build-ids when it is loaded.
 *
 * It also compares the prototypes of what is called and hooked (proto.h), and refuses a
 * kernel in which one is another.
 */
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/utsname.h>
#include <bpf/btf.h>
#include <chariot.h>
#include <bpf/libbpf.h>
#include "../proto.h"

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

/* Byte offset of a member that is no bit field and has @size bytes. */
static unsigned int member(const char *type, const char *name, unsigned int size)
{
	const struct btf_type *t = type_of(type, BTF_KIND_STRUCT);
	const struct btf_member *m = btf_members(t);

	for (int i = 0; i < btf_vlen(t); i++) {
		if (strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			continue;
		if (btf_member_bitfield_size(t, i) ||
		    btf_member_bit_offset(t, i) % 8)
			die("is a bit field", name);
		if (btf__resolve_size(btf, m[i].type) != size)
			die("has another size than before", name);
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

/* ---- where registers are, and access bits ------------------------------------ */

/* The one of two names that an enum has. */
static int enumerator(const char *name, const char *a, const char *b)
{
	const struct btf_type *t = type_of(name, BTF_KIND_ENUM);
	const struct btf_enum *e = btf_enum(t);

	for (int i = 0; i < btf_vlen(t); i++) {
		const char *is = btf__name_by_offset(btf, e[i].name_off);

		if (!strcmp(is, a) || !strcmp(is, b))
			return e[i].val;
	}
	die("is not in enum kvm_reg", a);
	return 0;
}

static const struct btf_type *member_type(const char *type, const char *name)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, id);
	const struct btf_member *m = t ? btf_members(t) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			return btf__type_by_id(btf, btf__resolve_type(btf, m[i].type));
	return NULL;
}

static void registers(void)
{
	printf("#define LAYOUT_REG_RIP\t\t%d\n",
	       enumerator("kvm_reg", "VCPU_REGS_RIP", "VCPU_REG_RIP"));
	printf("#define LAYOUT_REG_CR3\t\t%d\n",
	       enumerator("kvm_reg", "VCPU_EXREG_CR3", "VCPU_REG_CR3"));
	if (member_type("kvm_vcpu_arch", "rip"))
		printf("#define LAYOUT_RIP_APART\n");
}

/*
 * permissions[] of a guest's page tables has a bit for each combination of access bits:
 * 8 of EXEC, WRITE, USER; 16 of READ, WRITE, USER, EXEC.
 */
static void access_bits(void)
{
	const struct btf_type *t = member_type("kvm_mmu", "permissions") ?:
				   member_type("kvm_page_format", "permissions");
	int size = t && btf_is_array(t) ? btf__resolve_size(btf, btf_array(t)->type) : 0;

	if (size != 1 && size != 2)
		die("are neither three nor four", "access bits (permissions[] of a guest's page tables)");
	printf("#define LAYOUT_ACC_EXEC\t\t%d\n", size == 1 ? 1 : 8);
}

/* ---- prototypes --------------------------------------------------------------- */

static bool differs;

/* A type as C has it, behind what is in @buf. */
static void spell(__u32 id, char *buf, size_t len)
{
	static const char *const ints[][2] = {
		{ "long unsigned int", "unsigned long" }, { "long int", "long" },
	};
	const struct btf_type *t = btf__type_by_id(btf, id);
	const char *name = btf__name_by_offset(btf, t->name_off);
	size_t n;

	if (btf_is_const(t))
		strncat(buf, "const ", len - strlen(buf) - 1);
	if (btf_is_mod(t) || btf_is_ptr(t)) {
		if (btf_is_typedef(t))
			goto named;
		spell(t->type, buf, len);
		n = strlen(buf);
		if (btf_is_ptr(t))
			strncat(buf, buf[n - 1] == '*' ? "*" : " *", len - n - 1);
		return;
	}
	if (btf_is_struct(t) || btf_is_union(t) || btf_is_enum(t) || btf_is_fwd(t))
		strncat(buf, btf_is_union(t) ? "union " : btf_is_enum(t) ? "enum " :
			"struct ", len - strlen(buf) - 1);
	for (size_t i = 0; i < 2; i++)
		if (!strcmp(name, ints[i][0]))
			name = ints[i][1];
named:
	strncat(buf, btf_is_void(t) ? "void" : name, len - strlen(buf) - 1);
}

/* @first: only the arguments that are asked for are compared. */
static void compare(const char *what, const struct btf_type *proto, bool first,
		    const char *ret, const char *args)
{
	char has[512] = "", returns[128] = "";
	const struct btf_param *p;
	int nr = 1;

	if (!proto || !btf_is_func_proto(proto))
		die("is not in this kernel, or not as a function that has a prototype", what);
	for (const char *c = args; *c; c++)
		nr += *c == ',';
	p = btf_params(proto);
	for (int i = 0; i < btf_vlen(proto) && (!first || i < nr); i++) {
		strncat(has, i ? ", " : "", sizeof(has) - strlen(has) - 1);
		spell(p[i].type, has, sizeof(has));
	}
	if (!btf_vlen(proto))
		strcpy(has, "void");
	spell(proto->type, returns, sizeof(returns));
	if (!strcmp(has, args) && !strcmp(returns, ret))
		return;
	fprintf(stderr, "layout: %s is %s (%s%s) in this kernel, not %s (%s%s)\n",
		what, returns, has, first ? ", ..." : "", ret, args,
		first ? ", ..." : "");
	differs = true;
}

static void compare_func(const char *name, bool first, const char *ret, const char *args)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	compare(name, id < 0 ? NULL :
		btf__type_by_id(btf, btf__type_by_id(btf, id)->type), first, ret, args);
}

static void compare_member(const char *type, const char *name, const char *ret,
			   const char *args)
{
	const struct btf_type *t = member_type(type, name);

	if (t && btf_is_ptr(t))
		t = btf__type_by_id(btf, btf__resolve_type(btf, t->type));
	compare(name, t, false, ret, args);
}

static void prototypes(void)
{
#define FUNC(ret, name, args...)	compare_func(#name, false, #ret, #args);
#define EDITED(ret, name, args...)	compare_func(#name, true, #ret, #args);
#define MEMBER(ret, type, name, args...) compare_member(#type, #name, #ret, #args);
	CHARIOT_KVM_ORIGINALS(FUNC)
	CHARIOT_KVM_CALLS(FUNC)
	CHARIOT_CORE_CALLS(FUNC)
	CHARIOT_KVM_EDITED(EDITED)
	CHARIOT_KVM_MEMBERS(MEMBER)
	if (!differs)
		return;
	fprintf(stderr, "layout: this kernel is not supported (Documentation/hooks.rst)\n");
	exit(1);
}

/* ---- which kvm.ko, and which kernel ------------------------------------------ */

/* A build-id as lower-case hex, of 20 bytes. */
struct id {
	char hex[41];
};

/* The one of the notes at @buf; false: there is none. */
static bool find_id(char *buf, size_t len, struct id *id)
{
	Elf_Data d = {
		.d_buf = buf, .d_size = len, .d_type = ELF_T_NHDR,
		.d_version = EV_CURRENT,
	};
	size_t at = 0, name, desc;
	GElf_Nhdr n;

	while ((at = gelf_getnote(&d, at, &n, &name, &desc))) {
		if (n.n_type != NT_GNU_BUILD_ID || n.n_descsz != 20 ||
		    n.n_namesz != 4 || memcmp(buf + name, "GNU", 4))
			continue;
		for (int i = 0; i < 20; i++)
			sprintf(id->hex + 2 * i, "%02x",
				(unsigned char)buf[desc + i]);
		return true;
	}
	return false;
}

static Elf_Data *section(Elf *elf, const char *path, const char *want)
{
	Elf_Scn *scn = NULL;
	size_t shstrndx;
	GElf_Shdr sh;

	if (!elf || elf_getshdrstrndx(elf, &shstrndx))
		die("is no ELF file", path);
	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) &&
		    !strcmp(elf_strptr(elf, shstrndx, sh.sh_name) ?: "", want))
			return elf_getdata(scn, NULL);
	return NULL;
}

/* The kernel that a module is for: the first word of its vermagic. */
static char *release_of(const Elf_Data *modinfo, const char *path)
{
	static const char key[] = "vermagic=";
	const char *at = modinfo ? modinfo->d_buf : NULL;
	const char *end = modinfo ? at + modinfo->d_size : NULL;

	for (; at < end; at += strnlen(at, end - at) + 1)
		if ((size_t)(end - at) > strlen(key) &&
		    !memcmp(at, key, strlen(key))) {
			at += strlen(key);
			return strndup(at, strcspn(at, " "));
		}
	die("has no vermagic", path);
	return NULL;
}

static char *kvm_id(const char *path, struct id *id)
{
	int fd = open(path, O_RDONLY);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Data *d = section(elf, path, ".note.gnu.build-id");
	char *release;

	if (!d || !find_id(d->d_buf, d->d_size, id))
		die("has no build-id", path);
	release = release_of(section(elf, path, ".modinfo"), path);
	elf_end(elf);
	close(fd);
	return release;
}

#define RUNNING_BTF	"/sys/kernel/btf/vmlinux"
#define RUNNING_NOTES	"/sys/kernel/notes"

static struct btf *running_kernel(struct id *id, char **release)
{
	int fd = open(RUNNING_NOTES, O_RDONLY);
	struct utsname u;
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 || uname(&u) || !find_id(buf, n, id))
		die("has no build-id", RUNNING_NOTES);
	close(fd);
	*release = strdup(u.release);
	return btf__parse(RUNNING_BTF, NULL);
}

static struct btf *kernel_file(const char *path, struct id *id, char **release)
{
	struct chariot_profile *p = chariot_profile__from_file(path);

	if (!p)
		die("is no vmlinux or vmlinuz with BTF", path);
	if (strlen(chariot_profile__build_id(p)) != sizeof(id->hex) - 1)
		die("has no build-id", path);
	strcpy(id->hex, chariot_profile__build_id(p));
	*release = strdup(chariot_profile__release(p));
	return (struct btf *)chariot_profile__btf(p);
}

static void load(const char *vmlinux, const char *kvm_ko)
{
	char *base_release, *kvm_release;
	struct id base_id, id;
	struct btf *base;

	kvm_release = kvm_id(kvm_ko, &id);
	base = strcmp(vmlinux, RUNNING_BTF) ?
	       kernel_file(vmlinux, &base_id, &base_release) :
	       running_kernel(&base_id, &base_release);
	if (!base)
		die("cannot read its BTF", vmlinux);
	if (strcmp(base_release, kvm_release)) {
		fprintf(stderr, "layout: %s is of %s, but %s is of %s\n",
			vmlinux, base_release, kvm_ko, kvm_release);
		exit(1);
	}
	btf = btf__parse_split(kvm_ko, base);
	if (!btf)
		die("cannot read its BTF", kvm_ko);
	printf("/* Made by kmod/layout from the BTF of %s, %s. */\n", kvm_ko,
	       kvm_release);
	printf("#define LAYOUT_BUILD_ID\t\t\"%s\"\n", id.hex);
	printf("#define LAYOUT_KERNEL_BUILD_ID\t\"%s\"\n", base_id.hex);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: layout VMLINUX KVM.KO\n");
		return 2;
	}
	elf_version(EV_CURRENT);
	libbpf_set_print(NULL);
	load(argv[1], argv[2]);
	prototypes();
	printf("#define LAYOUT_PAGE_ROLE\t%u\n", member("kvm_mmu_page", "role", 4));
	printf("#define LAYOUT_PAGE_LINK\t%u\n", member("kvm_mmu_page", "link", 16));
	printf("#define LAYOUT_PAGE_SPT\t\t%u\n", member("kvm_mmu_page", "spt", 8));
	printf("#define LAYOUT_PAGE_GFN\t\t%u\n", member("kvm_mmu_page", "gfn", 8));
	printf("#define LAYOUT_PAGE_TRANSLATION\t%u\n",
	       member("kvm_mmu_page", "shadowed_translation", 8));
	printf("#define LAYOUT_CTXT_VCPU\t%u\n",
	       member("x86_emulate_ctxt", "vcpu", 8));
	printf("#define LAYOUT_CTXT_OPS\t\t%u\n",
	       member("x86_emulate_ctxt", "ops", 8));
	printf("#define LAYOUT_CTXT_NEXT_IP\t%u\n",
	       member("x86_emulate_ctxt", "_eip", 8));
	printf("#define LAYOUT_OPS_SIZE\t\t%u\n",
	       type_of("x86_emulate_ops", BTF_KIND_STRUCT)->size);
	printf("#define LAYOUT_OPS_WRITE\t%u\n",
	       member("x86_emulate_ops", "write_emulated", 8));
	printf("#define LAYOUT_OPS_WRITE_STD\t%u\n",
	       member("x86_emulate_ops", "write_std", 8));
	printf("#define LAYOUT_OPS_CMPXCHG\t%u\n",
	       member("x86_emulate_ops", "cmpxchg_emulated", 8));
	printf("#define LAYOUT_EXC_VECTOR\t%u\n",
	       member("x86_exception", "vector", 1));
	printf("#define LAYOUT_EXC_HAS_CODE\t%u\n",
	       member("x86_exception", "error_code_valid", 1));
	printf("#define LAYOUT_EXC_SIZE\t\t%u\n",
	       type_of("x86_exception", BTF_KIND_STRUCT)->size);
	role();
	registers();
	access_bits();
	return 0;
}
