// SPDX-License-Identifier: GPL-2.0
/*
 * Contact with kvm.ko: symbols, and layouts that are not in headers.
 * Called by all above it.
 */
#include "kvm.h"

#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>

struct kvm_x86_ops *chariot_x86_ops;
bool *chariot_tdp_enabled;
static int *nx_huge_pages;

const int chariot_arg_regs[6] = {
	VCPU_REGS_RDI, VCPU_REGS_RSI, VCPU_REGS_RDX, VCPU_REGS_RCX,
	VCPU_REGS_R8, VCPU_REGS_R9,
};

#define DEFINE_CALL(ret, name, args...)					\
	DEFINE_STATIC_CALL_NULL(chariot_##name, chariot_proto_##name);
CHARIOT_KVM_ORIGINALS(DEFINE_CALL)
CHARIOT_KVM_CALLS(DEFINE_CALL)
CHARIOT_CORE_CALLS(DEFINE_CALL)

unsigned long chariot_proto_lookup(const char *name);
DEFINE_STATIC_CALL_NULL(chariot_lookup, chariot_proto_lookup);

/* ---- symbols ------------------------------------------------------------- */

/* kallsyms_lookup_name() is not exported, but a kprobe can find it. */
static int find_lookup(void)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	int err = register_kprobe(&kp);
	void *addr;

	if (err) {
		pr_err("cannot find kallsyms_lookup_name by a kprobe: %d\n",
		       err);
		return err;
	}
	addr = kp.addr;
	unregister_kprobe(&kp);
	static_call_update(chariot_lookup, addr);
	return 0;
}

void *chariot_kvm_find(const char *name)
{
	unsigned long addr = static_call(chariot_lookup)(name);

	if (!addr)
		pr_err("this kernel has no symbol %s: it is not supported\n",
		       name);
	return (void *)addr;
}

/* The instruction that a function goes on with when its hook lets it pass. */
static void *behind_hook(const char *name)
{
	unsigned long site = (unsigned long)chariot_kvm_find(name);

	if (!site)
		return NULL;
	site = kvm_call(ftrace_location)(site);
	if (!site) {
		pr_err("%s has no ftrace site: this kernel is not supported\n",
		       name);
		return NULL;
	}
	return (void *)(site + MCOUNT_INSN_SIZE);
}

static int find_symbols(void)
{
	void *addr;

#define FIND_KVM(ret, name, args...)					\
	addr = chariot_kvm_find("kvm:" #name);					\
	if (!addr)							\
		return -ENOENT;						\
	static_call_update(chariot_##name, addr);
#define FIND_CORE(ret, name, args...)					\
	addr = chariot_kvm_find(#name);						\
	if (!addr)							\
		return -ENOENT;						\
	static_call_update(chariot_##name, addr);
	CHARIOT_KVM_CALLS(FIND_KVM)
	CHARIOT_CORE_CALLS(FIND_CORE)
#define FIND_ORIGINAL(ret, name, args...)				\
	addr = behind_hook("kvm:" #name);				\
	if (!addr)							\
		return -ENOENT;						\
	static_call_update(chariot_##name, addr);
	CHARIOT_KVM_ORIGINALS(FIND_ORIGINAL)

	chariot_x86_ops = chariot_kvm_find("kvm:kvm_x86_ops");
	chariot_tdp_enabled = chariot_kvm_find("kvm:tdp_enabled");
	nx_huge_pages = chariot_kvm_find("kvm:nx_huge_pages");
	if (!chariot_x86_ops || !chariot_tdp_enabled || !nx_huge_pages)
		return -ENOENT;
	return 0;
}

#define BUILD_ID_NOTE	3	/* NT_GNU_BUILD_ID */
#define BUILD_ID_LEN	20

/* The build-id among the ELF notes in the file @path, as hex; -errno. */
static int read_build_id(const char *path, char id[2 * BUILD_ID_LEN + 1])
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	u8 buf[1024];
	loff_t pos = 0;
	ssize_t n;
	int at;

	if (IS_ERR(file)) {
		pr_err("cannot open %s: %ld\n", path, PTR_ERR(file));
		return PTR_ERR(file);
	}
	n = kernel_read(file, buf, sizeof(buf), &pos);
	filp_close(file, NULL);
	for (at = 0; at + (int)sizeof(struct elf64_note) <= n; ) {
		const struct elf64_note *note = (void *)(buf + at);
		u32 desc = at + sizeof(*note) + ALIGN(note->n_namesz, 4);

		if (note->n_namesz > n || note->n_descsz > n ||
		    desc + note->n_descsz > n)
			break;
		if (note->n_type == BUILD_ID_NOTE && note->n_namesz == 4 &&
		    !memcmp(note + 1, "GNU", 4) &&
		    note->n_descsz == BUILD_ID_LEN) {
			snprintf(id, 2 * BUILD_ID_LEN + 1, "%*phN",
				 BUILD_ID_LEN, buf + desc);
			return 0;
		}
		at = desc + ALIGN(note->n_descsz, 4);
	}
	pr_err("cannot find a build-id in %s: %zd\n", path, n);
	return n < 0 ? n : -ENOEXEC;
}

static int check_build_id(const char *what, const char *path, const char *want)
{
	char id[2 * BUILD_ID_LEN + 1];
	int err = read_build_id(path, id);

	if (err || !strcmp(id, want))
		return err;
	pr_err("built for the %s with build-id %s, but here is %s: build again for this kernel\n",
	       what, want, id);
	return -ENOEXEC;
}

/*
 * The layouts were taken from one kvm.ko, whose types continue those of one kernel.
 * The module loader has compared the kernel's version and the exported types.
 */
static int check_layout(void)
{
	return check_build_id("kernel", "/sys/kernel/notes",
			      LAYOUT_KERNEL_BUILD_ID) ?:
	       check_build_id("kvm.ko",
			      "/sys/module/kvm/notes/.note.gnu.build-id",
			      LAYOUT_BUILD_ID);
}

bool chariot_kvm_is_amd(void)
{
	return boot_cpu_has(X86_FEATURE_SVM);
}

bool chariot_kvm_nx_huge_pages(struct kvm *kvm)
{
	return READ_ONCE(*nx_huge_pages) && !kvm->arch.disable_nx_huge_pages;
}

/* Nothing is linked to kvm.ko; this keeps it where it is. */
#define PIN	"kvm_put_kvm"

static int hold_kvm(void)
{
	if (static_call(chariot_lookup)("kvm:" PIN) && __symbol_get(PIN))
		return 0;
	if (static_call(chariot_lookup)("kvm:" PIN))
		pr_err("kvm.ko exports no " PIN ": this kernel is not supported\n");
	else if (static_call(chariot_lookup)(PIN))
		pr_err("KVM is built into this kernel: boot one that has it as a module (kvm.ko)\n");
	else
		pr_err("kvm is not loaded: modprobe kvm_amd or kvm_intel first\n");
	return -ENOENT;
}

int chariot_kvm_init(void)
{
	int err;

	err = find_lookup() ?: hold_kvm();
	if (err)
		return err;
	err = find_symbols() ?: check_layout();
	if (err) {
		__symbol_put(PIN);
		return err;
	}
	if (READ_ONCE(*nx_huge_pages))
		pr_warn("kvm's nx_huge_pages is on: no driver will be isolated until it is off (kvm.nx_huge_pages=off)\n");
	return 0;
}

void chariot_kvm_uninit(void)
{
	__symbol_put(PIN);
}
