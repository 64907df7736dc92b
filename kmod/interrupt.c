// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts and exceptions of a driver, and of kernel code in its view.
 * Called by fault.
 */
#include "interrupt.h"
#include "cross.h"
#include "open.h"
#include "ret.h"
#include "stack.h"

#include <asm/desc.h>
#include <asm/irq_vectors.h>
#include <asm/trapnr.h>

#define KERNEL_CS	0x10	/* __KERNEL_CS of every x86-64 Linux */
#define NR_EXCEPTIONS	32

static int read_idt(struct chariot_fault *f, int first, gate_desc *gates, int nr)
{
	struct desc_ptr dt;

	chariot_x86_ops->get_idt(f->vcpu, &dt);
	return chariot_guest_read_va(f->vm->kvm, f->dom->cr,
				     dt.address + first * sizeof(*gates),
				     gates, nr * sizeof(*gates));
}

/* The guest's clock; LOCAL_TIMER_VECTOR is the same in all Linux kernels. */
static bool is_tick(struct chariot_fault *f)
{
	struct kvm_vcpu_arch *arch = &f->vcpu->arch;
	gate_desc gate;

	if (!f->frame)
		return arch->interrupt.injected &&
		       arch->interrupt.nr == LOCAL_TIMER_VECTOR;
	return !read_idt(f, LOCAL_TIMER_VECTOR, &gate, 1) &&
	       gate_offset(&gate) == f->handler;
}

/* Is it the CPU that asks for the handler, and not a device? */
static bool is_exception(struct chariot_fault *f)
{
	struct kvm_vcpu_arch *arch = &f->vcpu->arch;
	gate_desc idt[NR_EXCEPTIONS];
	int i;

	if (!f->frame)
		return arch->exception.injected || arch->interrupt.soft;
	if (read_idt(f, 0, idt, NR_EXCEPTIONS))
		return true;
	for (i = 0; i < NR_EXCEPTIONS; i++)
		if (i != X86_TRAP_NMI && gate_offset(&idt[i]) == f->handler)
			return true;
	return false;
}

#define FRAME_RIP	0
#define FRAME_RSP	3
#define FRAME_SS	4
#define FRAME_WORDS	5	/* rip cs rflags rsp ss */
#define FRAME_MOVE	16	/* bytes; the CPU aligns them so */

/*
 * Have the interrupt return to the "ret" in the driver's text, and that to f->rip,
 * whose place is just below f->rsp: if the CPU's frame reaches there it is moved.
 */
static int return_by_ret(struct chariot_fault *f, u64 ret)
{
	struct kvm *kvm = f->vm->kvm;
	u64 at = chariot_reg_read(f->vcpu, VCPU_REGS_RSP), slot = f->rsp - 8;
	u64 buf[1 + FRAME_WORDS], len = f->frame + FRAME_WORDS * 8 - at;
	u64 *w = buf + (f->frame - at) / 8;

	/* There may be an error code below. */
	if (len > sizeof(buf) || f->frame < at ||
	    !chariot_on_stack(f->dom, f->vs->entry, slot, 8) ||
	    chariot_guest_read_va(kvm, f->dom->cr, at, buf, len))
		return -EFAULT;
	w[FRAME_RIP] = ret;
	w[FRAME_RSP] = slot;
	if (f->frame + FRAME_SS * 8 == slot)
		at -= FRAME_MOVE;
	if (chariot_guest_write_va(kvm, f->dom->cr, at, buf, len) ||
	    chariot_guest_write_va(kvm, f->dom->cr, slot, &f->rip,
				   sizeof(f->rip)))
		return -EFAULT;
	chariot_reg_write(f->vcpu, VCPU_REGS_RSP, at);
	return 0;
}

/*
 * An interrupt in kernel code that runs in the driver's view, or on the way
 * there.  To come back to that code would not be seen, so the guest is made to
 * come back through the driver's text; it goes on at f->rip from there.
 */
static enum chariot_action park(struct chariot_fault *f, const char *why)
{
	u64 ret = chariot_ret_of(f->dom, f->vs->entry);
	struct chariot_frame *frame;

	/* The handler has not begun: nobody else knows of the CPU's frame yet. */
	if (!ret || return_by_ret(f, ret))
		return chariot_suspend_caller(f, why);
	frame = chariot_push(f, ret, f->rsp - 8, true);
	if (!frame)
		return chariot_no_frame(f);
	frame->park = f->rip;
	return chariot_to_view(f, 0, why);
}

/* Error code rip cs rflags rsp ss, aligned; and where return_by_ret() moves it. */
#define INTERRUPT_FRAME	(64 + FRAME_MOVE)

/*
 * The stack pointer was in somebody's object, which the driver may write.  What was
 * there is lost; but 0 is what code looks for, and not where the driver was.
 */
static void clear_frame(struct chariot_fault *f)
{
	static const u64 zero[INTERRUPT_FRAME / sizeof(u64)];
	u64 at = chariot_reg_read(f->vcpu, VCPU_REGS_RSP);
	u64 len = f->frame + 5 * sizeof(u64) - at;

	if (f->frame && len <= sizeof(zero))
		chariot_guest_write_va(f->vm->kvm, f->dom->cr, at, zero, len);
}

/* No room on the driver's stack: what comes is a double fault, and a dead guest. */
static bool stack_is_lost(struct chariot_fault *f)
{
	struct chariot_entry *e = f->vs->entry;

	return e->caller.known &&
	       (f->rsp > e->slot + chariot_stack_size(f->dom) ||
		f->rsp < chariot_entry_base(f->dom, e) + INTERRUPT_FRAME);
}

/* The CPU's frame is to come on the page of f->gpa: the handler's fetch is next. */
static enum chariot_action deliver(struct chariot_fault *f)
{
	if (chariot_open_until_left(f->dom, f->gpa >> PAGE_SHIFT))
		return chariot_end_isolation(f, -ENOMEM, "a page that an interrupt's frame is on");
	return CHARIOT_PASS;
}

/* The driver's code at (f->rip, f->rsp) is interrupted. */
enum chariot_action chariot_suspend(struct chariot_fault *f, const char *why)
{
	bool text = chariot_domain_text(f->dom, f->rip);

	/* What is parked is so in the CPU's frame: that has to be there. */
	if (!f->frame && !text && !is_exception(f) && !stack_is_lost(f))
		return deliver(f);
	f->dom->stats.interrupts++;
	if (stack_is_lost(f)) {
		clear_frame(f);
		f->vcpu->arch.exception.injected = false;
		return chariot_fail_driver(f, CHARIOT_WHY_OOPS);
	}
	if (text) {
		if (f->vs->entry->caller.known && is_tick(f))
			chariot_count_tick(f->vs->entry);
		if (!chariot_push(f, f->rip, f->rsp, true))
			return chariot_no_frame(f);
		return chariot_to_view(f, 0, why);
	}
	/* The handler of an exception wants to know where it was. */
	if (is_exception(f))
		return chariot_suspend_caller(f, why);
	return park(f, why);
}

/*
 * The CPU has pushed [error code] rip cs rflags rsp ss.  If that is not there it was
 * not the CPU that came here, but a jump of the driver's.
 */
enum chariot_action chariot_interrupt(struct chariot_fault *f)
{
	u64 w[5], *p = w, rsp;

	if (chariot_guest_read_va(f->vm->kvm, f->dom->cr, f->rsp, w, 5 * 8))
		return chariot_bad_fetch(f);
	if (p[1] != KERNEL_CS && p[2] == KERNEL_CS)
		p++;
	if (p[1] != KERNEL_CS ||
	    chariot_guest_read_va(f->vm->kvm, f->dom->cr,
				  f->rsp + (p - w) * 8 + 24, &rsp, sizeof(rsp)))
		return chariot_bad_fetch(f);
	f->frame = f->rsp + (p - w) * 8;
	f->handler = f->rip;
	f->rip = p[0];
	f->rsp = rsp;
	return chariot_suspend(f, p == w ? "interrupt" : "exception");
}
