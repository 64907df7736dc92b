// SPDX-License-Identifier: GPL-2.0
/* Our hooks in kvm.ko: where the hooked functions land.  Called by main. */
#include "hook.h"
#include "emulate.h"
#include "fault.h"
#include "inline.h"
#include "spte.h"
#include "view.h"

#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/rcupdate.h>

/*
 * A hooked call runs code of ours that can sleep.  The counter goes up where
 * the call is still inside ftrace and comes down in our code, so that unload
 * knows when nobody is left in it.
 */
static DEFINE_PER_CPU(long, in_flight);

static long flights(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(in_flight, cpu);
	return sum;
}

/* ret name(vcpu, ...): what the hooked function is replaced by. */
#define LANDING(name, target, params, ...)				\
static noinline __noclone int land_##name params			\
{									\
	int r = target(__VA_ARGS__);					\
									\
	this_cpu_dec(in_flight);					\
	return r;							\
}
LANDING(page_fault, chariot_page_fault,
	(struct kvm_vcpu *vcpu, gpa_t gpa, u64 code, void *insn, int len),
	vcpu, gpa, code, insn, len)
LANDING(emulate, chariot_emulate_instruction,
	(struct kvm_vcpu *vcpu, gpa_t gpa, int type, void *insn, int len),
	vcpu, gpa, type, insn, len)
LANDING(hypercall, chariot_hypercall, (struct kvm_vcpu *vcpu), vcpu)

/* The first argument of every redirected function is the vCPU. */
static void notrace redirect(unsigned long ip, unsigned long parent_ip,
			     struct ftrace_ops *op, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	struct kvm_vcpu *vcpu = (void *)regs->di;
	bool ours;

	rcu_read_lock();
	ours = chariot_vm_attached(vcpu->kvm);
	rcu_read_unlock();
	if (!ours)
		return;
	this_cpu_inc(in_flight);
	regs->ip = (unsigned long)op->private;
}

/* make_spte(vcpu, sp, slot, pte_access, gfn, ...): edit pte_access. */
static void notrace edit_access(unsigned long ip, unsigned long parent_ip,
				struct ftrace_ops *op,
				struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	struct kvm_vcpu *vcpu = (void *)regs->di;
	u32 role = *(u32 *)((char *)regs->si + LAYOUT_PAGE_ROLE);

	rcu_read_lock();
	if (chariot_vm_attached(vcpu->kvm))
		regs->cx = chariot_spte_access(vcpu->kvm, role, regs->r8,
					       regs->cx);
	rcu_read_unlock();
}

/* kvm_mmu_load(vcpu) */
static void notrace keep_view(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *op, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	rcu_read_lock();
	chariot_view_keep((void *)regs->di);
	rcu_read_unlock();
}

#define REDIRECT_FLAGS	(FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY)

static struct hook {
	const char *name;
	struct ftrace_ops ops;
	bool on;
} hooks[] = {
	{ "kvm:make_spte", {
		.func = edit_access,
		.flags = FTRACE_OPS_FL_SAVE_REGS,
	} },
	{ "kvm:kvm_mmu_load", {
		.func = keep_view,
		.flags = FTRACE_OPS_FL_SAVE_REGS,
	} },
	{ "kvm:kvm_mmu_page_fault", {
		.func = redirect,
		.flags = REDIRECT_FLAGS,
		.private = land_page_fault,
	} },
	{ "kvm:x86_emulate_instruction", {
		.func = redirect,
		.flags = REDIRECT_FLAGS,
		.private = land_emulate,
	} },
	{ "kvm:kvm_emulate_hypercall", {
		.func = redirect,
		.flags = REDIRECT_FLAGS,
		.private = land_hypercall,
	} },
};

static const char *why_busy(int err)
{
	const int *on = chariot_kvm_find("ftrace_enabled");

	if (err != -EBUSY)
		return "";
	if (on && !*on)
		return ": ftrace is off: sysctl kernel.ftrace_enabled=1";
	return ": something else redirects it, a livepatch or another module (/sys/kernel/tracing/enabled_functions)";
}

static int hook_install(struct hook *h)
{
	unsigned long addr = (unsigned long)chariot_kvm_find(h->name);
	int err;

	if (!addr)
		return -ENOENT;
	err = ftrace_set_filter_ip(&h->ops, addr, 0, 0);
	if (err) {
		pr_err("%s cannot be traced: %d\n", h->name, err);
		return err;
	}
	/* With PERMANENT nobody can switch ftrace off, and us with it. */
	h->ops.flags |= FTRACE_OPS_FL_PERMANENT;
	err = register_ftrace_function(&h->ops);
	if (err) {
		pr_err("%s cannot be hooked: %d%s\n", h->name, err, why_busy(err));
		ftrace_free_filter(&h->ops);
		return err;
	}
	h->on = true;
	return 0;
}

void chariot_hooks_remove(void)
{
	int i;

	for (i = ARRAY_SIZE(hooks) - 1; i >= 0; i--) {
		if (!hooks[i].on)
			continue;
		unregister_ftrace_function(&hooks[i].ops);
		ftrace_free_filter(&hooks[i].ops);
		hooks[i].on = false;
	}
	/* Who was sent to a landing before the hook went is still there ... */
	while (flights())
		msleep(20);
	/* ... and may have yet to execute its last instructions. */
	synchronize_rcu_tasks();
}

int chariot_hooks_install(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		err = hook_install(&hooks[i]);
		if (err) {
			chariot_hooks_remove();
			return err;
		}
	}
	return 0;
}
