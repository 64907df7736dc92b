// SPDX-License-Identifier: GPL-2.0
/*
 * Writes one by one: KVM's emulator, with a check before each write.
 * Called by fault and hook.
 */
#include "emulate.h"
#include "access.h"
#include "ask.h"
#include "event.h"
#include "trace.h"
#include "open.h"
#include "violation.h"

#include <asm/trapnr.h>

struct x86_emulate_ctxt;

typedef int (*write_fn)(struct x86_emulate_ctxt *, unsigned long, const void *,
			unsigned int, struct x86_exception *);
typedef int (*write_std_fn)(struct x86_emulate_ctxt *, unsigned long, void *,
			    unsigned int, struct x86_exception *, bool);
typedef int (*cmpxchg_fn)(struct x86_emulate_ctxt *, unsigned long,
			  const void *, const void *, unsigned int,
			  struct x86_exception *);

/* A member of one of KVM's private structures. */
#define AT(ptr, offset, type)	(*(type *)((char *)(ptr) + (offset)))

static_assert(LAYOUT_OPS_WRITE + sizeof(void *) <= LAYOUT_OPS_SIZE);
static_assert(LAYOUT_OPS_WRITE_STD + sizeof(void *) <= LAYOUT_OPS_SIZE);
static_assert(LAYOUT_OPS_CMPXCHG + sizeof(void *) <= LAYOUT_OPS_SIZE);

static void count(struct chariot_stats *st, enum chariot_may may)
{
	st->emulated_writes++;
	if (may == CHARIOT_MAY_STACK)
		st->stack_writes++;
	else if (may == CHARIOT_MAY_ARGUMENT)
		st->argument_writes++;
}

/* More is written there: copies come in words.  No memory: then so do exits. */
static void open_whole(struct chariot_domain *dom, struct chariot_vcpu *vs,
		       u64 gva)
{
	if (chariot_within(vs->found, vs->found_len, gva & PAGE_MASK,
			   PAGE_SIZE))
		chariot_open_call(dom, gva);
}

/* CHARIOT_NR_VERDICTS: the write is granted.  PAUSE: also to ask. */
static u32 judge(struct chariot_domain *dom, struct chariot_vcpu *vs,
		 struct kvm_vcpu *vcpu, unsigned long gva, const void *bytes,
		 unsigned int len)
{
	struct chariot_violation v = {
		.why = CHARIOT_WHY_WRITE, .len = len, .gva = gva, .gpa = ~0ULL,
		.bytes = bytes,
		/* What KVM began to emulate for itself cannot be begun anew. */
		.no_pause = !vs->emulating,
	};
	enum chariot_may may = chariot_may_write(dom, vs, gva, len);
	struct chariot_walk w;

	if (may) {
		count(&dom->stats, may);
		if (may == CHARIOT_MAY_ARGUMENT)
			open_whole(dom, vs, gva);
		trace_chariot_write(dom->nr, *chariot_reg(vcpu, CHARIOT_REG_RIP),
				    gva, len, may);
		return CHARIOT_NR_VERDICTS;
	}
	if (!chariot_guest_walk(dom->vm->kvm, dom->cr, gva, &w))
		v.gpa = w.gpa;
	if (chariot_ask(dom, vs, vcpu, &v) == CHARIOT_ASK_WAIT)
		return CHARIOT_VERDICT_PAUSE;
	return chariot_violation(dom, vs, vcpu, &v);
}

/* A #GP as if the address were not canonical. */
static void fill_gp(struct x86_exception *fault)
{
	memset(fault, 0, LAYOUT_EXC_SIZE);	/* and so the error's code */
	AT(fault, LAYOUT_EXC_VECTOR, u8) = X86_TRAP_GP;
	AT(fault, LAYOUT_EXC_HAS_CODE, bool) = true;
}

/* Result of check(): pretend that the write was done.  Others are the emulator's. */
#define DROP	(-1)

static int check(struct chariot_vcpu *vs, unsigned long gva, const void *bytes,
		 unsigned int len, struct x86_exception *fault)
{
	struct chariot_domain *dom;
	u32 verdict = CHARIOT_NR_VERDICTS;

	/* The process is killed: the vCPU will not run again. */
	if (chariot_vm_lock(vs->vm))
		return CHARIOT_EMUL_UNHANDLEABLE;
	dom = chariot_domain_in(vs->vm, vs->view);
	if (dom)
		verdict = judge(dom, vs, vs->vcpu, gva, bytes, len);
	if (verdict == CHARIOT_VERDICT_PAUSE)
		vs->pausing = true;
	else if (verdict == CHARIOT_VERDICT_RECOVER)
		vs->failing = true;
	chariot_vm_unlock(vs->vm);

	switch (verdict) {
	case CHARIOT_VERDICT_SKIP:
		return DROP;
	case CHARIOT_VERDICT_OOPS:
		fill_gp(fault);
		return CHARIOT_EMUL_PROPAGATE_FAULT;
	case CHARIOT_VERDICT_PAUSE:
	case CHARIOT_VERDICT_RECOVER:
		return CHARIOT_EMUL_UNHANDLEABLE;
	}
	return CHARIOT_EMUL_CONTINUE;
}

/*
 * The emulator may have slept for a page of the guest, and the handle may have been
 * closed, and another one opened, since it began.  What it has is what it began with.
 */
static struct chariot_ops *ops_of(struct x86_emulate_ctxt *ctxt)
{
	return container_of(AT(ctxt, LAYOUT_CTXT_OPS, u8 *),
			    struct chariot_ops, table[0]);
}

static int write_emulated(struct x86_emulate_ctxt *ctxt, unsigned long addr,
			  const void *val, unsigned int bytes,
			  struct x86_exception *fault)
{
	struct chariot_ops *ops = ops_of(ctxt);
	int r = check(ops->vs, addr, val, bytes, fault);

	if (r)
		return r == DROP ? CHARIOT_EMUL_CONTINUE : r;
	return AT(ops->kvm_ops, LAYOUT_OPS_WRITE, write_fn)(ctxt, addr, val,
							    bytes, fault);
}

/*
 * FXSAVE, SGDT, SIDT.  With @system it is the CPU that writes, such as a descriptor's
 * accessed bit.
 */
static int write_std(struct x86_emulate_ctxt *ctxt, unsigned long addr,
		     void *val, unsigned int bytes,
		     struct x86_exception *fault, bool system)
{
	struct chariot_ops *ops = ops_of(ctxt);
	int r = system ? 0 : check(ops->vs, addr, val, bytes, fault);

	if (r)
		return r == DROP ? CHARIOT_EMUL_CONTINUE : r;
	return AT(ops->kvm_ops, LAYOUT_OPS_WRITE_STD, write_std_fn)(
		ctxt, addr, val, bytes, fault, system);
}

static int cmpxchg_emulated(struct x86_emulate_ctxt *ctxt, unsigned long addr,
			    const void *old, const void *new,
			    unsigned int bytes, struct x86_exception *fault)
{
	struct chariot_ops *ops = ops_of(ctxt);
	int r = check(ops->vs, addr, new, bytes, fault);

	if (r)
		return r == DROP ? CHARIOT_EMUL_CONTINUE : r;
	return AT(ops->kvm_ops, LAYOUT_OPS_CMPXCHG, cmpxchg_fn)(ctxt, addr, old,
								new, bytes,
								fault);
}

static void make_ops(struct chariot_ops *ops, const void *kvm_ops)
{
	if (ops->kvm_ops == kvm_ops)
		return;
	memcpy(ops->table, kvm_ops, LAYOUT_OPS_SIZE);
	AT(ops->table, LAYOUT_OPS_WRITE, write_fn) = write_emulated;
	AT(ops->table, LAYOUT_OPS_WRITE_STD, write_std_fn) = write_std;
	AT(ops->table, LAYOUT_OPS_CMPXCHG, cmpxchg_fn) = cmpxchg_emulated;
	ops->kvm_ops = kvm_ops;
}

/* x86_emulate_instruction(), with our operations while a driver runs. */
static int emulate(struct chariot_vcpu *vs, struct kvm_vcpu *vcpu,
		   gpa_t cr2_or_gpa, int type, void *insn, int insn_len)
{
	void *ctxt = vcpu->arch.emulate_ctxt;
	const void *kvm_ops = AT(ctxt, LAYOUT_CTXT_OPS, const void *);
	int r;

	make_ops(&vs->ops, kvm_ops);
	AT(ctxt, LAYOUT_CTXT_OPS, const void *) = vs->ops.table;
	r = kvm_call(x86_emulate_instruction)(vcpu, cr2_or_gpa, type, insn,
					      insn_len);
	AT(ctxt, LAYOUT_CTXT_OPS, const void *) = kvm_ops;
	return r;
}

/* KVM emulates for reasons of its own too: device memory, port strings. */
int chariot_emulate_instruction(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa,
				int type, void *insn, int insn_len)
{
	struct chariot_vm *vm = chariot_vm_get(vcpu->kvm);
	struct chariot_vcpu *vs = NULL;
	int r = 0;

	if (vm) {
		r = chariot_vm_lock(vm);
		if (r)
			goto put;
		vs = xa_load(&vm->vcpus, vcpu->vcpu_idx);
		if (vs && !chariot_domain_in(vm, vs->view))
			vs = NULL;
		chariot_vm_unlock(vm);
	}
	if (vs)
		r = emulate(vs, vcpu, cr2_or_gpa, type, insn, insn_len);
	else
		r = kvm_call(x86_emulate_instruction)(vcpu, cr2_or_gpa, type,
						      insn, insn_len);
put:
	if (vm)
		chariot_vm_put(vm);
	return r;
}

/* Did KVM give up on the instruction and ask its VMM to end the VM? */
static bool gave_up(struct kvm_vcpu *vcpu, int r)
{
	return !r && vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       vcpu->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
}

static void undo_give_up(struct kvm_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->arch.exception.pending = false;	/* the #UD it queued */
}

static void open_page(struct chariot_domain *dom, struct chariot_vcpu *vs,
		      struct kvm_vcpu *vcpu, u64 gpa)
{
	chariot_open_page(dom, gpa >> PAGE_SHIFT);
	chariot_unemulated(dom, vs, vcpu, gpa);
}

/* Step over the instruction that the emulator has decoded; else #GP. */
static void skip_insn(struct kvm_vcpu *vcpu)
{
	u64 rip = chariot_reg_read(vcpu, CHARIOT_REG_RIP);
	u64 next = AT(vcpu->arch.emulate_ctxt, LAYOUT_CTXT_NEXT_IP, u64);

	if (next > rip && next - rip <= 15)
		chariot_reg_write(vcpu, CHARIOT_REG_RIP, next);
	else
		kvm_call(kvm_queue_exception_e)(vcpu, X86_TRAP_GP, 0);
}

/* Where the address is not known it is this one; 0: not known either. */
static u64 direct_map(const struct chariot_domain *dom, u64 gpa)
{
	return dom->kernel.page_offset ? dom->kernel.page_offset + gpa : 0;
}

static bool asks_at(struct chariot_domain *dom, struct chariot_vcpu *vs,
		    struct kvm_vcpu *vcpu, struct chariot_violation *v)
{
	struct chariot_violation q = *v;
	enum chariot_answer a;

	q.len = 1;
	if (!q.gva)
		q.gva = direct_map(dom, q.gpa);
	a = chariot_ask(dom, vs, vcpu, &q);
	v->no_report = q.no_report;
	return a == CHARIOT_ASK_WAIT;
}

/*
 * KVM cannot emulate it, and only the place of its first byte is known.  That
 * must not end the VM: open the page if the byte is granted.
 */
static int cannot_emulate(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu, u64 gpa)
{
	struct chariot_violation v = {
		.why = CHARIOT_WHY_WRITE, .gpa = gpa,
	};
	u64 direct = direct_map(dom, gpa);

	if (chariot_may_write_at(dom, vs, gpa, &v.gva) ||
	    (!v.gva && direct && chariot_may_write(dom, vs, direct, 1))) {
		open_page(dom, vs, vcpu, gpa);
		return 1;
	}
	if (asks_at(dom, vs, vcpu, &v)) {
		vs->pausing = true;
		return 1;
	}
	switch (chariot_violation(dom, vs, vcpu, &v)) {
	case CHARIOT_VERDICT_REPORT:
		open_page(dom, vs, vcpu, gpa);
		break;
	case CHARIOT_VERDICT_SKIP:
		skip_insn(vcpu);
		break;
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(vcpu, X86_TRAP_GP, 0);
		break;
	case CHARIOT_VERDICT_PAUSE:
		vs->pausing = true;
		break;
	case CHARIOT_VERDICT_RECOVER:
		vs->failing = true;
		break;
	}
	return 1;
}

int chariot_emulate_write(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, u64 gpa,
			  void *insn, int insn_len)
{
	struct chariot_domain *dom;
	int r;

	vs->pausing = false;
	vs->failing = false;
	vs->emulating = true;
	r = emulate(vs, vcpu, cr2_or_gpa, EMULTYPE_PF, insn, insn_len);
	vs->emulating = false;
	if (gave_up(vcpu, r)) {
		undo_give_up(vcpu);
		r = 1;
		if (!vs->pausing && !vs->failing) {
			if (chariot_vm_lock(vm))
				return -EINTR;
			dom = chariot_domain_in(vm, vs->view);
			if (dom)
				r = cannot_emulate(dom, vs, vcpu, gpa);
			chariot_vm_unlock(vm);
		}
	}
	if (vs->pausing)
		r = chariot_wait(vm, vs, vcpu) ?: 1;
	return r;
}

/* ---- ahead --------------------------------------------------------------- */

/*
 * Does the instruction at @p write to the stack?  As far as functions begin and
 * call with it; all else, and every prefix but REX, is for the CPU: what does
 * not save an exit is not worth the emulator's time.
 */
static bool writes_stack(const u8 p[4])
{
	const u8 *op = (p[0] & 0xf0) == 0x40 ? p + 1 : p;
	bool r12 = op != p && p[0] & 1;		/* is the base, not rsp */

	switch (op[0]) {
	case 0x50 ... 0x57:		/* push reg */
	case 0x68:			/* push imm */
	case 0x6a:
		return true;
	case 0xe8:			/* call */
		return op == p;
	case 0x88:			/* mov to n(%rsp) */
	case 0x89:
	case 0xc6:
	case 0xc7:
		return op[1] < 0xc0 && (op[1] & 7) == 4 && (op[2] & 7) == 4 &&
		       !r12;
	}
	return false;
}

/* In its own text, or in library code that it has called. */
static bool runs_there(struct chariot_domain *dom, const struct chariot_vcpu *vs,
		       u64 rip)
{
	if (vs->view == dom->library)
		return chariot_domain_range(dom, rip) == CHARIOT_RANGE_LIBRARY;
	return chariot_domain_text(dom, rip);
}

#define MAX_AHEAD	16	/* instructions; interrupts wait for them */

/* Is it worth to emulate what the driver does next? */
static bool worth(struct chariot_vm *vm, struct chariot_vcpu *vs,
		  struct kvm_vcpu *vcpu)
{
	struct chariot_domain *dom = chariot_domain_in(vm, vs->view);
	u64 rip = kvm_call(kvm_get_linear_rip)(vcpu);
	u8 insn[4];

	if (!dom || vs->wait_seq || vs->pausing || vs->failing ||
	    !runs_there(dom, vs, rip) || vcpu->arch.exception.pending ||
	    vcpu->arch.nmi_pending || vcpu->guest_debug ||
	    kvm_call(kvm_get_rflags)(vcpu) & X86_EFLAGS_TF ||
	    chariot_guest_read_va(vm->kvm, dom->cr, rip, insn, sizeof(insn)) ||
	    !writes_stack(insn))
		return false;
	dom->stats.ahead++;
	return true;
}

static int emulate_next(struct chariot_vcpu *vs, struct kvm_vcpu *vcpu)
{
	int r;

	vs->emulating = true;
	r = emulate(vs, vcpu, 0, 0, NULL, 0);
	vs->emulating = false;
	if (gave_up(vcpu, r)) {
		undo_give_up(vcpu);
		r = 1;
	}
	return r;
}

int chariot_emulate_ahead(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu)
{
	bool more;
	int i, r = 1;

	for (i = 0; i < MAX_AHEAD && r > 0; i++) {
		if (chariot_vm_lock(vm))
			return -EINTR;
		more = worth(vm, vs, vcpu);
		chariot_vm_unlock(vm);
		if (!more)
			break;
		r = emulate_next(vs, vcpu);
	}
	return r;
}

/* ---- one instruction of the kernel's ------------------------------------- */

int chariot_emulate_step(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	int r = kvm_call(x86_emulate_instruction)(vcpu, 0, 0, NULL, 0);

	if (!gave_up(vcpu, r))
		return r;
	undo_give_up(vcpu);
	if (chariot_vm_lock(vm))
		return -EINTR;
	chariot_vm_fail(vm, -EOPNOTSUPP, "KVM cannot emulate the instruction at %#lx, which lies on the edge of a watched page",
			kvm_call(kvm_get_linear_rip)(vcpu));
	chariot_vm_unlock(vm);
	return 1;
}
