// SPDX-License-Identifier: GPL-2.0
/*
 * Every second-stage fault of a VM with Chariot arrives here first.  This is
 * the decision table of Documentation/design.rst, row by row.
 */
#include "call.h"
#include "emulate.h"
#include "event.h"
#include "frame.h"
#include "gate.h"
#include "held.h"
#include "open.h"
#include "recover.h"
#include "storm.h"
#include "view.h"
#include "violation.h"
#include "watch.h"

#include <asm/irq_vectors.h>
#include <asm/trapnr.h>
#include <linux/slab.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

#define KERNEL_CS	0x10	/* __KERNEL_CS of every x86-64 Linux */
#define MAX_INSN	15	/* bytes */

enum action {
	PASS,			/* KVM's business */
	RETRY,			/* done; let the guest try again */
	EMULATE,		/* a write that has to be looked at */
	WAIT,			/* for CONTINUE, then try again */
	STEP,			/* emulate this one instruction of the kernel's */
};

struct fault {
	struct chariot_vm *vm;
	struct chariot_vcpu *vs;
	struct kvm_vcpu *vcpu;
	struct chariot_domain *dom;
	u64 code;		/* PFERR_* */
	u64 gpa;
	u64 rip, rsp;		/* of the code that the fault is about */
	u64 frame;		/* gva where the CPU has saved them, 0: registers */
	u64 handler;		/* of the interrupt, if the CPU is there already */
};

/* ---- moving between views ----------------------------------------------- */

static enum action to_view(struct fault *f, unsigned int view, const char *why)
{
	trace_chariot_gate(f->vcpu->vcpu_idx, f->dom->nr, why, f->rip, f->rsp);
	if (view)
		chariot_open_enter(f->dom, f->vs, chariot_vcpu_cr(f->vcpu).cr3);
	else
		chariot_open_leave(f->dom);
	f->vs->view = view;
	chariot_view_set(f->vcpu, view);
	return RETRY;
}

static enum action fail(struct fault *f, int err, const char *what)
{
	chariot_vm_fail(f->vm, err, "%s%s", what,
			err == -ENOSPC ? ": a VM may have no more of the host" :
			err == -ENOMEM ? ": no memory" : "");
	return RETRY;
}

static void end_entry(struct fault *f)
{
	kfree(f->vs->entry);
	f->vs->entry = NULL;
}

static void read_values(struct fault *f, struct chariot_values *val)
{
	static const int regs[7] = {
		VCPU_REGS_RDI, VCPU_REGS_RSI, VCPU_REGS_RDX, VCPU_REGS_RCX,
		VCPU_REGS_R8, VCPU_REGS_R9, VCPU_REGS_RAX,
	};
	int i;

	for (i = 0; i < 7; i++)
		val->v[i] = chariot_reg_read(f->vcpu, regs[i]);
}

static void set_pc(struct fault *f, u64 rip, u64 rsp)
{
	chariot_reg_write(f->vcpu, VCPU_REGS_RIP, rip);
	chariot_reg_write(f->vcpu, VCPU_REGS_RSP, rsp);
}

/* Let driver code wait until the guest comes back to (rip, rsp). */
static struct chariot_frame *push(struct fault *f, u64 rip, u64 rsp,
				  bool interrupt)
{
	struct chariot_frame *frame = kzalloc(sizeof(*frame),
					      GFP_KERNEL_ACCOUNT);

	if (!frame)
		return NULL;
	frame->rip = rip;
	frame->rsp = rsp;
	frame->interrupt = interrupt;
	frame->entry = f->vs->entry;
	f->vs->entry = NULL;
	return chariot_frame_push(f->dom, frame) ? NULL : frame;
}

static enum action no_frame(struct fault *f)
{
	return fail(f, -ENOSPC, "calls and interrupts without end");
}

static u32 violate(struct fault *f, u32 why, u64 gva, u32 len)
{
	struct chariot_violation v = {
		.why = why, .gva = gva, .len = len, .gpa = ~0ULL,
	};

	return chariot_violation(f->dom, f->vs, f->vcpu, &v);
}

/* ---- a driver that has failed --------------------------------------------- */

/* Back to the kernel, as if the driver's function had told of an error. */
static enum action give_up(struct fault *f)
{
	const struct chariot_gate *gate = f->vs->entry->gate;
	int err = chariot_recover_return(f->dom, f->vcpu, f->vs->entry, true);

	end_entry(f);
	to_view(f, 0, "failed");
	if (err)
		return fail(f, err, "a driver that failed cannot be left");
	if (gate && gate->flags & CHARIOT_GATE_INIT)
		chariot_domain_init_done(f->dom, -EIO);
	return RETRY;
}

static enum action fail_driver(struct fault *f, u32 why)
{
	chariot_recover_fail(f->dom, f->vs, f->vcpu, why, f->rip);
	return give_up(f);
}

/* For what no other verdict is about. */
static enum action stop_driver(struct fault *f, u32 why, u64 gva)
{
	violate(f, why, gva, 0);
	return fail_driver(f, why);
}

/* ---- kernel view, fetch in driver text ---------------------------------- */

/* @gate NULL: at a bad place, or on a bad stack. */
static enum action enter(struct fault *f, const struct chariot_gate *gate)
{
	struct chariot_entry *e;
	struct chariot_values val;
	u64 ret;
	int err;

	if (chariot_guest_read_va(f->vm->kvm, f->dom->cr, f->rsp, &ret,
				  sizeof(ret)))
		ret = 0;
	e = kmalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return fail(f, -ENOMEM, "an entry");
	memset(e, 0, offsetof(struct chariot_entry, got));
	read_values(f, &val);
	memcpy(e->args, val.v, sizeof(e->args));
	e->gate = gate;
	e->rip = f->rip;
	e->ret = ret;
	e->slot = f->rsp;
	chariot_frames_prune(f->dom, e);
	f->dom->stats.entries++;
	err = 0;
	if (gate && gate->flags & (CHARIOT_GATE_EXIT | CHARIOT_GATE_REMOVE))
		err = chariot_recover_exit(f->dom, f->vcpu, e);
	chariot_recover_enter(f->dom, f->vcpu, e);
	if (!err && !chariot_recover_runs(f->dom, e))
		err = chariot_recover_return(f->dom, f->vcpu, e, false) ?: 1;
	if (err) {
		trace_chariot_gate(f->vcpu->vcpu_idx, f->dom->nr, "refused",
				   f->rip, f->rsp);
		kfree(e);
		return err < 0 ? fail(f, err, "a driver that failed was called") :
				 RETRY;
	}
	kfree(f->vs->entry);
	f->vs->entry = e;
	/* What becomes of the domain depends on what these return. */
	if (gate && gate->flags & (CHARIOT_GATE_INIT | CHARIOT_GATE_EXIT))
		chariot_domain_trap(f->dom, ret);
	if (chariot_storm_enter(f->dom, f->vs, e)) {
		f->dom->deaf = true;
		return stop_driver(f, CHARIOT_WHY_LOOP, 0);
	}
	if (gate && chariot_gate_hand(f->dom, e, &val))
		return fail(f, -ENOMEM, "an argument");
	return to_view(f, f->dom->nr, "entry");
}

static enum action leave(struct fault *f)
{
	const struct chariot_gate *gate = f->vs->entry->gate;
	s64 result = (s32)chariot_reg_read(f->vcpu, VCPU_REGS_RAX);
	bool more;

	if (!chariot_caller_balanced(f->dom, f->vcpu, f->vs->entry))
		return stop_driver(f, CHARIOT_WHY_UNBALANCED, 0);
	chariot_storm_leave(f->vs, f->vs->entry);
	f->dom->stats.returns++;
	more = chariot_recover_returned(f->dom, f->vcpu, f->vs->entry);
	end_entry(f);
	to_view(f, 0, more ? "held" : "return");
	if (more)
		return RETRY;
	if (gate && gate->flags & CHARIOT_GATE_INIT)
		chariot_domain_init_done(f->dom, result);
	else if (gate && gate->flags & CHARIOT_GATE_EXIT)
		chariot_domain_drop(f->dom);
	return RETRY;
}

/* The function that the driver's function ended in has returned: so has it. */
static enum action leave_tail(struct fault *f)
{
	struct chariot_entry *e = f->vs->entry;

	set_pc(f, e->ret, e->slot + 8);
	return leave(f);
}

#define MAX_TICKS	2000	/* 2 to 20 s, by the guest's HZ */
#define MAX_ATOMIC	1000

/* Where it must not sleep, calls are no sign of life. */
static bool loops(const struct chariot_entry *e)
{
	return e->ticks > MAX_TICKS || e->atomic_ticks > MAX_ATOMIC;
}

static void count_tick(struct chariot_entry *e)
{
	e->ticks++;
	if (e->caller.preempt_count & ~PREEMPT_NEED_RESCHED)
		e->atomic_ticks++;
}

static enum action resume(struct fault *f, struct chariot_frame *frame)
{
	struct chariot_domain *dom = f->dom;
	bool tail = frame->tail, interrupt = frame->interrupt;
	struct chariot_values val;
	int err = 0;

	kfree(f->vs->entry);
	f->vs->entry = frame->entry;
	if (frame->interrupt)
		dom->stats.interrupt_returns++;
	else
		dom->stats.call_returns++;
	if (frame->gate) {
		read_values(f, &val);
		memcpy(val.v, frame->args, sizeof(frame->args));
		err = chariot_gate_run(dom, frame->gate, CHARIOT_PHASE_POST,
				       &val, frame->rip);
		chariot_gate_returned(dom, frame->gate, &val, f->vs->entry);
	}
	if (frame->lock)
		chariot_held_returned(dom, f->vs->entry, frame,
				       chariot_reg_read(f->vcpu,
							VCPU_REGS_RAX));
	if (frame->park)
		set_pc(f, frame->park, f->rsp + 8);
	kfree(frame);
	if (err)
		return fail(f, err, "a gate action failed");
	if (f->vs->entry && !chariot_recover_runs(dom, f->vs->entry))
		return give_up(f);
	/* Also when it cleans up. */
	if (interrupt && f->vs->entry && loops(f->vs->entry))
		return stop_driver(f, CHARIOT_WHY_LOOP, 0);
	if (tail)
		return leave_tail(f);
	return to_view(f, dom->nr, "resume");
}

/*
 * A kernel function that the driver called ends in a jump to a function of the
 * driver: the caller's frame waits for the return, but first the callee runs.
 */
static bool resume_callee(struct fault *f)
{
	struct chariot_frame *frame;
	u64 ret;

	if (chariot_guest_read_va(f->vm->kvm, f->dom->cr, f->rsp, &ret,
				  sizeof(ret)) ||
	    !chariot_domain_text(f->dom, ret))
		return false;
	frame = chariot_frame_pop(f->dom, ret, f->rsp + 8);
	if (!frame)
		return false;
	kfree(f->vs->entry);
	f->vs->entry = frame->entry;
	kfree(frame);
	f->dom->stats.call_returns++;
	if (chariot_recover_runs(f->dom, f->vs->entry))
		to_view(f, f->dom->nr, "callee");
	else
		give_up(f);
	return true;
}

static enum action bad_entry(struct fault *f)
{
	switch (violate(f, CHARIOT_WHY_ENTRY, f->rip, 0)) {
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(f->vcpu, X86_TRAP_GP, 0);
		return RETRY;
	case CHARIOT_VERDICT_PAUSE:
		return WAIT;
	}
	/* Nothing to skip to: let it run, isolated, from here. */
	return enter(f, NULL);
}

static bool stack_is_mapped(struct fault *f)
{
	struct chariot_walk w;

	return !chariot_guest_walk(f->vm->kvm, f->dom->cr, f->rsp, &w);
}

static enum action kernel_fetch(struct fault *f)
{
	const struct chariot_gate *gate;
	struct chariot_frame *frame;

	frame = chariot_frame_pop(f->dom, f->rip, f->rsp);
	if (frame)
		return resume(f, frame);
	if (resume_callee(f))
		return RETRY;
	gate = chariot_gate_find(f->dom->entries, f->dom->nr_entries, f->rip);
	if (gate && stack_is_mapped(f))
		return enter(f, gate);
	frame = chariot_frame_pop_left(f->dom, f->rip, f->rsp);
	if (frame)
		return resume(f, frame);
	return bad_entry(f);
}

/* ---- driver view, fetch outside the driver ------------------------------ */

static enum action bad_fetch(struct fault *f)
{
	switch (violate(f, CHARIOT_WHY_FETCH, f->rip, 0)) {
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(f->vcpu, X86_TRAP_GP, 0);
		break;
	case CHARIOT_VERDICT_PAUSE:
		return WAIT;
	case CHARIOT_VERDICT_RECOVER:
		return fail_driver(f, CHARIOT_WHY_FETCH);
	}
	end_entry(f);
	return to_view(f, 0, "bad fetch");
}

/* As if it had returned. */
static enum action skip_call(struct fault *f, u64 ret, bool tail, u64 result)
{
	chariot_reg_write(f->vcpu, VCPU_REGS_RAX, result);
	if (tail)
		return leave_tail(f);
	set_pc(f, ret, f->rsp + 8);
	return RETRY;
}

/*
 * A CHECK found that the function would write where the driver may not.
 * EMULATE: go on with the call all the same.
 */
static enum action refuse(struct fault *f, const struct chariot_refusal *r,
			  u64 ret, bool tail)
{
	switch (violate(f, CHARIOT_WHY_WRITE, r->gva,
			min_t(u64, r->len, U32_MAX))) {
	case CHARIOT_VERDICT_SKIP:
		return skip_call(f, ret, tail, r->result);
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(f->vcpu, X86_TRAP_GP, 0);
		if (tail)
			end_entry(f);
		else if (!push(f, ret, f->rsp + 8, false))
			return no_frame(f);
		return to_view(f, 0, "oops");
	case CHARIOT_VERDICT_PAUSE:
		return WAIT;
	case CHARIOT_VERDICT_RECOVER:
		return fail_driver(f, CHARIOT_WHY_WRITE);
	}
	return EMULATE;
}

/*
 * The driver calls what ends the guest, or what sleeps where that must not be; or it
 * gives something else for a lock, which that would corrupt, or takes one that it
 * has, or gives back one that nobody has.  Without the latter who cleans up goes on.
 * EMULATE: all is well.
 */
static enum action look_at_lock(struct fault *f, const struct chariot_lock *lock,
				u64 ret, bool tail)
{
	u64 gva = chariot_reg_read(f->vcpu, VCPU_REGS_RDI);

	if (!f->vs->entry->caller.known)
		return EMULATE;
	if (lock->flags & CHARIOT_LOCK_PANICS)
		return stop_driver(f, CHARIOT_WHY_PANIC, f->rip);
	if (lock->flags & CHARIOT_LOCK_SLEEPS &&
	    chariot_atomic(f->dom, f->vcpu))
		return stop_driver(f, CHARIOT_WHY_ATOMIC, f->rip);
	if (!(lock->flags & CHARIOT_LOCK_QUEUED))
		return EMULATE;
	switch (chariot_held_look(f->dom, gva)) {
	case CHARIOT_HELD_NO_LOCK:
		violate(f, CHARIOT_WHY_WRITE, gva, 4);
		return fail_driver(f, CHARIOT_WHY_WRITE);
	case CHARIOT_HELD_FREE:
		if (lock->release)
			break;
		if (!f->dom->stopping)
			return stop_driver(f, CHARIOT_WHY_UNBALANCED, gva);
		if (tail)
			return leave_tail(f);
		set_pc(f, ret, f->rsp + 8);
		return RETRY;
	case CHARIOT_HELD_TAKEN:
		if (!lock->release || lock->when != CHARIOT_LOCK_ALWAYS ||
		    !chariot_held_has(f->vs->entry, gva))
			break;
		return stop_driver(f, CHARIOT_WHY_UNBALANCED, gva);
	default:
		break;
	}
	return EMULATE;
}

/*
 * The driver calls the function at f->rip.  With @tail it jumps there as its
 * last act.  Then we make a call of it that returns to @ret, a "ret" in the
 * driver's text, so that the return is seen.
 */
static enum action call(struct fault *f, const struct chariot_gate *gate,
			u64 ret, bool tail)
{
	struct chariot_refusal refusal;
	const struct chariot_lock *lock;
	struct chariot_frame *frame;
	struct chariot_values val;
	enum action a;
	int err;

	f->vs->entry->ticks = 0;
	if (gate && !gate->nr_ops)
		gate = NULL;
	lock = chariot_held_row(f->dom, f->rip);
	a = lock ? look_at_lock(f, lock, ret, tail) : EMULATE;
	if (a != EMULATE)
		return a;
	if (gate || lock)
		read_values(f, &val);
	if (lock && chariot_held_gone(f->dom, lock, val.v))
		return skip_call(f, ret, tail, 0);
	if (gate) {
		if (!chariot_gate_check(f->dom, f->vs, gate, &val, &refusal)) {
			a = refuse(f, &refusal, ret, tail);
			if (a != EMULATE)
				return a;
		}
		err = chariot_gate_run(f->dom, gate, CHARIOT_PHASE_PRE, &val,
				       ret);
		if (err)
			return fail(f, err, "a gate action failed");
	}
	if (tail) {
		f->rsp -= 8;
		if (chariot_guest_write_va(f->vm->kvm, f->dom->cr, f->rsp,
					   &ret, sizeof(ret)))
			return bad_fetch(f);
		set_pc(f, f->rip, f->rsp);
	}
	if (lock)
		chariot_held_call(f->dom, f->vs->entry, lock, val.v);
	frame = push(f, ret, f->rsp + 8, false);
	if (!frame)
		return no_frame(f);
	frame->tail = tail;
	frame->gate = gate;
	frame->lock = lock;
	if (gate || lock)
		memcpy(frame->args, val.v, sizeof(frame->args));
	f->dom->stats.calls++;
	return to_view(f, 0, "call");
}

/*
 * The driver's function ends in a jump to a kernel function.  Who jumps to what it
 * does not import may be lost: if that oopses somebody has to be found.
 */
static enum action jump(struct fault *f, const struct chariot_gate *gate)
{
	struct chariot_entry *e = f->vs->entry;

	if (f->dom->ret &&
	    (!gate || gate->nr_ops || chariot_held_row(f->dom, f->rip) ||
	     (e->gate && e->gate->flags & (CHARIOT_GATE_INIT |
					   CHARIOT_GATE_EXIT))))
		return call(f, gate, f->dom->ret, true);
	f->dom->stats.calls++;
	return leave(f);
}

/*
 * Leave an inherit function, or code on the same page.  In the kernel view it
 * is not trapped; what comes back is its caller in the driver, unless it
 * returns straight to the kernel.
 */
static enum action suspend_caller(struct fault *f, const char *why)
{
	u64 slot, ret = chariot_find_caller(f->dom, f->vs->entry, f->rsp,
					    &slot);
	struct chariot_frame *frame;

	f->dom->stats.beside++;
	/* Then it is for an oops alone to know who was the last to be called. */
	frame = ret ? push(f, ret, slot + 8, false) :
		      push(f, f->rip, f->rsp, false);
	if (!frame)
		return no_frame(f);
	frame->left = ret ? f->rsp : 0;
	return to_view(f, 0, why);
}

/* The driver has returned to code that is executable in its view. */
static bool has_returned(struct fault *f)
{
	struct chariot_entry *e = f->vs->entry;
	struct chariot_walk w;

	return f->rsp > e->slot &&
	       f->rsp - e->slot < chariot_stack_size(f->dom) &&
	       !chariot_guest_walk(f->vm->kvm, f->dom->cr, e->ret, &w) &&
	       xa_load(&f->dom->exec, w.gpa >> PAGE_SHIFT);
}

/* What the driver called may be executable in its view, beside an inherit function. */
static bool ends_guest(struct fault *f)
{
	const struct chariot_lock *lock = chariot_held_row(f->dom, f->rip);

	return lock && lock->flags & CHARIOT_LOCK_PANICS &&
	       f->vs->entry->caller.known;
}

/* The driver has left its text for (f->rip, f->rsp). */
static enum action leave_for(struct fault *f)
{
	struct chariot_entry *e = f->vs->entry;
	const struct chariot_gate *gate;
	u64 top, slot;

	if (f->rip == e->ret && f->rsp == e->slot + 8)
		return leave(f);
	/* On another vCPU. */
	if (!chariot_recover_runs(f->dom, e))
		return give_up(f);
	if (chariot_guest_read_va(f->vm->kvm, f->dom->cr, f->rsp, &top,
				  sizeof(top)))
		return bad_fetch(f);
	gate = chariot_gate_find(f->dom->gates, f->dom->nr_gates, f->rip);
	if (chariot_domain_text(f->dom, top))
		return call(f, gate, top, false);
	if (f->rsp == e->slot && top == e->ret)
		return jump(f, gate);
	if (ends_guest(f))
		return stop_driver(f, CHARIOT_WHY_PANIC, f->rip);
	if (chariot_find_caller(f->dom, e, f->rsp, &slot) || has_returned(f))
		return suspend_caller(f, "beside");
	return bad_fetch(f);
}

/* ---- the driver is interrupted -------------------------------------------- */

#define NR_EXCEPTIONS	32

static int read_idt(struct fault *f, int first, gate_desc *gates, int nr)
{
	struct desc_ptr dt;

	chariot_x86_ops->get_idt(f->vcpu, &dt);
	return chariot_guest_read_va(f->vm->kvm, f->dom->cr,
				     dt.address + first * sizeof(*gates),
				     gates, nr * sizeof(*gates));
}

/* The guest's clock; LOCAL_TIMER_VECTOR is the same in all Linux kernels. */
static bool is_tick(struct fault *f)
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
static bool is_exception(struct fault *f)
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
static int return_by_ret(struct fault *f)
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
	w[FRAME_RIP] = f->dom->ret;
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
static enum action park(struct fault *f, const char *why)
{
	struct chariot_frame *frame;

	/* The handler has not begun: nobody else knows of the CPU's frame yet. */
	if (!f->dom->ret || return_by_ret(f))
		return suspend_caller(f, why);
	frame = push(f, f->dom->ret, f->rsp - 8, true);
	if (!frame)
		return no_frame(f);
	frame->park = f->rip;
	return to_view(f, 0, why);
}

/* Error code rip cs rflags rsp ss, aligned; and where return_by_ret() moves it. */
#define INTERRUPT_FRAME	(64 + FRAME_MOVE)

/*
 * The stack pointer was in somebody's object, which the driver may write.  What was
 * there is lost; but 0 is what code looks for, and not where the driver was.
 */
static void clear_frame(struct fault *f)
{
	static const u64 zero[INTERRUPT_FRAME / sizeof(u64)];
	u64 at = chariot_reg_read(f->vcpu, VCPU_REGS_RSP);
	u64 len = f->frame + 5 * sizeof(u64) - at;

	if (f->frame && len <= sizeof(zero))
		chariot_guest_write_va(f->vm->kvm, f->dom->cr, at, zero, len);
}

/* No room on the driver's stack: what comes is a double fault, and a dead guest. */
static bool stack_is_lost(struct fault *f)
{
	struct chariot_entry *e = f->vs->entry;

	return e->caller.known &&
	       (f->rsp > e->slot + chariot_stack_size(f->dom) ||
		f->rsp < chariot_entry_base(f->dom, e) + INTERRUPT_FRAME);
}

/* The CPU's frame is to come on the page of f->gpa: the handler's fetch is next. */
static enum action deliver(struct fault *f)
{
	if (chariot_open_until_left(f->dom, f->gpa >> PAGE_SHIFT))
		return fail(f, -ENOMEM, "a page that an interrupt's frame is on");
	return PASS;
}

/* The driver's code at (f->rip, f->rsp) is interrupted. */
static enum action suspend(struct fault *f, const char *why)
{
	bool text = chariot_domain_text(f->dom, f->rip);

	/* What is parked is so in the CPU's frame: that has to be there. */
	if (!f->frame && !text && !is_exception(f) && !stack_is_lost(f))
		return deliver(f);
	f->dom->stats.interrupts++;
	if (stack_is_lost(f)) {
		clear_frame(f);
		f->vcpu->arch.exception.injected = false;
		return fail_driver(f, CHARIOT_WHY_OOPS);
	}
	if (text) {
		if (f->vs->entry->caller.known && is_tick(f))
			count_tick(f->vs->entry);
		if (!push(f, f->rip, f->rsp, true))
			return no_frame(f);
		return to_view(f, 0, why);
	}
	/* The handler of an exception wants to know where it was. */
	if (is_exception(f))
		return suspend_caller(f, why);
	return park(f, why);
}

/*
 * The CPU has pushed [error code] rip cs rflags rsp ss.  If that is not there it was
 * not the CPU that came here, but a jump of the driver's.
 */
static enum action interrupt(struct fault *f)
{
	u64 w[5], *p = w, rsp;

	if (chariot_guest_read_va(f->vm->kvm, f->dom->cr, f->rsp, w, 5 * 8))
		return bad_fetch(f);
	if (p[1] != KERNEL_CS && p[2] == KERNEL_CS)
		p++;
	if (p[1] != KERNEL_CS ||
	    chariot_guest_read_va(f->vm->kvm, f->dom->cr,
				  f->rsp + (p - w) * 8 + 24, &rsp, sizeof(rsp)))
		return bad_fetch(f);
	f->frame = f->rsp + (p - w) * 8;
	f->handler = f->rip;
	f->rip = p[0];
	f->rsp = rsp;
	return suspend(f, p == w ? "interrupt" : "exception");
}

static enum action driver_fetch(struct fault *f)
{
	if (chariot_domain_range(f->dom, f->rip) == CHARIOT_RANGE_INTR)
		return interrupt(f);
	return leave_for(f);
}

/* ---- driver view, write ------------------------------------------------- */

/* The CPU itself writes, on the way to an interrupt or exception handler. */
static bool delivering(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.exception.injected || vcpu->arch.interrupt.injected ||
	       vcpu->arch.nmi_injected;
}

static enum action walk_write(struct fault *f)
{
	gfn_t gfn = f->gpa >> PAGE_SHIFT;

	if (chariot_act_full(&f->dom->act, gfn) ||
	    chariot_open_has(f->dom, gfn))
		return PASS;
	if (chariot_open_table(f->dom, f->vs, gfn))
		return fail(f, -ENOMEM, "a page that a page walk writes");
	return PASS;
}

/* Objects are on most other pages: then there is no need to look. */
static bool open_stack(struct fault *f)
{
	u64 gva, gfn = f->gpa >> PAGE_SHIFT;

	if (chariot_act_some(&f->dom->act, gfn))
		return false;
	gva = chariot_stack_gva(f->dom, f->vs->entry, f->gpa);
	return gva && !chariot_open_stack(f->dom, gva, gfn);
}

static enum action driver_write(struct fault *f)
{
	gfn_t gfn = f->gpa >> PAGE_SHIFT;

	if (delivering(f->vcpu))
		return suspend(f, "delivery");
	if (chariot_act_full(&f->dom->act, gfn) ||
	    chariot_open_has(f->dom, gfn)) {
		f->dom->stats.page_grants++;
		return PASS;
	}
	if (f->dom->mode == CHARIOT_MODE_FAST && open_stack(f))
		return PASS;
	switch (chariot_domain_range(f->dom, f->rip)) {
	case CHARIOT_RANGE_TEXT:
	case CHARIOT_RANGE_INIT_TEXT:
	case CHARIOT_RANGE_INHERIT:
		return EMULATE;
	}
	/* A kernel function that shares a page with an inherit function. */
	return suspend_caller(f, "beside");
}

/* ---- the fault ---------------------------------------------------------- */

/* gva to gpa under shadow paging; false if the guest itself forbids it. */
static bool resolve(struct fault *f, u64 cr2_or_gpa)
{
	struct chariot_walk w;

	f->gpa = cr2_or_gpa;
	if (f->vcpu->arch.mmu->root_role.direct)
		return true;
	if (f->code & PFERR_USER_MASK ||
	    chariot_guest_walk(f->vm->kvm, chariot_vcpu_cr(f->vcpu),
			       cr2_or_gpa, &w))
		return false;
	f->gpa = w.gpa;
	return !(f->code & PFERR_WRITE_MASK && !w.writable &&
		 f->vcpu->arch.cr0 & X86_CR0_WP) &&
	       !(f->code & PFERR_FETCH_MASK && !w.executable);
}

/* ---- the watched pages ----------------------------------------------------- */

static bool is_watched(struct fault *f, u64 gfn)
{
	return chariot_view_watched(f->vm, gfn);
}

static enum action to_watch(struct fault *f, unsigned int view)
{
	f->vs->view = view;
	chariot_view_set(f->vcpu, view);
	return RETRY;
}

/* An instruction that lies on two pages, of which one is watched, runs in no view. */
static bool straddles(struct fault *f)
{
	struct chariot_walk w;

	return PAGE_SIZE - offset_in_page(f->rip) < MAX_INSN &&
	       !chariot_guest_walk(f->vm->kvm, chariot_vcpu_cr(f->vcpu), f->rip,
				   &w) &&
	       w.gpa >> PAGE_SHIFT != f->gpa >> PAGE_SHIFT &&
	       is_watched(f, w.gpa >> PAGE_SHIFT) !=
	       is_watched(f, f->gpa >> PAGE_SHIFT);
}

/* Kernel view, fetch on a watched page. */
static enum action watched_fetch(struct fault *f)
{
	if (straddles(f))
		return STEP;
	if (chariot_watch_load(f->vm, f->vs, f->vcpu, f->rip, f->rsp))
		return WAIT;
	if (f->rip == f->vm->oops.gva &&
	    chariot_recover_oops(f->vm, f->vs, f->vcpu))
		return RETRY;
	return to_watch(f, CHARIOT_WATCH_VIEW);
}

static enum action in_watch_view(struct fault *f)
{
	if (!(f->code & PFERR_FETCH_MASK) || is_watched(f, f->gpa >> PAGE_SHIFT))
		return PASS;
	return straddles(f) ? STEP : to_watch(f, 0);
}

static enum action in_kernel_view(struct fault *f)
{
	void *nr;

	if (!(f->code & PFERR_FETCH_MASK))
		return PASS;
	nr = xa_load(&f->vm->text, f->gpa >> PAGE_SHIFT);
	if (!nr)
		return PASS;
	if (is_watched(f, f->gpa >> PAGE_SHIFT))
		return watched_fetch(f);
	f->dom = chariot_domain_of(f->vm, xa_to_value(nr));
	f->dom->stats.exits++;
	return kernel_fetch(f);
}

static enum action in_driver_view(struct fault *f)
{
	enum action a = PASS;

	f->dom->stats.exits++;
	if (f->code & PFERR_GUEST_PAGE_MASK) {
		if (f->code & PFERR_WRITE_MASK)
			a = walk_write(f);
	} else if (f->code & PFERR_FETCH_MASK) {
		if (!xa_load(&f->dom->exec, f->gpa >> PAGE_SHIFT))
			a = driver_fetch(f);
	} else if (f->code & PFERR_WRITE_MASK) {
		a = driver_write(f);
	}
	if (a == PASS)
		f->dom->stats.exits_kvm++;
	return a;
}

/* KVM's own slots, too: the local APIC's page is mapped by make_spte(). */
static bool has_slot(struct fault *f)
{
	struct kvm_memory_slot *slot =
		kvm_call(gfn_to_memslot)(f->vm->kvm, f->gpa >> PAGE_SHIFT);

	return slot && !(slot->flags & KVM_MEMSLOT_INVALID);
}

static enum action decide(struct fault *f, u64 cr2_or_gpa)
{
	struct chariot_vcpu *vs = f->vs;

	lockdep_assert_held(&f->vm->lock);
	chariot_view_slots(f->vm);
	if (vs->wait_seq)
		return WAIT;
	if (chariot_vcpu_elsewhere(f->vcpu))
		return PASS;
	/* KVM sets it before it zaps all, and so before anything comes of it. */
	if ((f->vm->nr_domains || f->vm->watch) &&
	    chariot_kvm_nx_huge_pages(f->vm->kvm))
		return fail(f, -EOPNOTSUPP, "kvm's nx_huge_pages was switched on");
	chariot_watch_reset(f->vm, f->vcpu);
	if (chariot_watch_kernel(f->vm, vs, f->vcpu))
		return WAIT;
	f->dom = chariot_domain_of(f->vm, vs->view);
	if (!chariot_view_is(f->vcpu, vs->view)) {
		/* The domain went, or KVM made the role anew. */
		chariot_view_set(f->vcpu, vs->view);
		return RETRY;
	}
	if (!(f->vm->nr_domains || f->vm->watch & CHARIOT_WATCH_LOAD ||
	      vs->view) || !resolve(f, cr2_or_gpa))
		return PASS;
	if (!has_slot(f)) {
		/* A kernel that has just begun looks for its devices. */
		if (!vs->view)
			chariot_watch_kexec(f->vm, f->vcpu);
		return PASS;
	}
	f->rip = kvm_call(kvm_get_linear_rip)(f->vcpu);
	f->rsp = chariot_reg_read(f->vcpu, VCPU_REGS_RSP);
	if (vs->view == CHARIOT_WATCH_VIEW)
		return in_watch_view(f);
	return vs->view ? in_driver_view(f) : in_kernel_view(f);
}

/*
 * What was emulated may have been a call: handle it now, and not in an exit of
 * its own.  Not under vm->lock.
 */
static void fetch_ahead(struct fault *f)
{
	if (chariot_vm_lock(f->vm))
		return;
	f->dom = chariot_domain_of(f->vm, f->vs->view);
	f->rip = kvm_call(kvm_get_linear_rip)(f->vcpu);
	f->rsp = chariot_reg_read(f->vcpu, VCPU_REGS_RSP);
	if (f->dom && !f->vs->wait_seq && !f->vcpu->arch.exception.pending &&
	    chariot_domain_range(f->dom, f->rip) == CHARIOT_NR_RANGE_KINDS) {
		f->dom->stats.ahead++;
		/* WAIT is found again at the next fault. */
		driver_fetch(f);
	}
	chariot_vm_unlock(f->vm);
}

/* What was to be emulated is no write of a driver that goes on. */
static void fail_now(struct fault *f)
{
	if (chariot_vm_lock(f->vm))
		return;
	f->vs->failing = false;
	f->dom = chariot_domain_of(f->vm, f->vs->view);
	f->rip = kvm_call(kvm_get_linear_rip)(f->vcpu);
	if (f->dom && f->vs->entry)
		fail_driver(f, CHARIOT_WHY_WRITE);
	chariot_vm_unlock(f->vm);
}

int chariot_page_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, u64 code,
		       void *insn, int insn_len)
{
	struct fault f = { .vcpu = vcpu, .code = code };
	enum action a = PASS;
	int r = 1;

	f.vm = chariot_vm_get(vcpu->kvm);
	if (!f.vm)
		return kvm_call(kvm_mmu_page_fault)(vcpu, cr2_or_gpa, code, insn,
						  insn_len);

	r = chariot_vm_lock(f.vm);
	if (r)
		goto put;
	f.vs = chariot_vcpu_of(f.vm, vcpu);
	if (f.vs)
		a = decide(&f, cr2_or_gpa);
	chariot_vm_unlock(f.vm);

	r = 1;
	switch (a) {
	case PASS:
		r = kvm_call(kvm_mmu_page_fault)(vcpu, cr2_or_gpa, code, insn,
						  insn_len);
		break;
	case EMULATE:
		r = chariot_emulate_write(f.vm, f.vs, vcpu, cr2_or_gpa, f.gpa,
					  insn, insn_len);
		if (r > 0)
			r = chariot_emulate_ahead(f.vm, f.vs, vcpu);
		if (f.vs->failing)
			fail_now(&f);
		else if (r > 0)
			fetch_ahead(&f);
		break;
	case WAIT:
		r = chariot_wait(f.vm, f.vs, vcpu) ?: 1;
		break;
	case STEP:
		r = chariot_emulate_step(f.vm, vcpu);
		break;
	case RETRY:
		break;
	}
put:
	chariot_vm_put(f.vm);
	return r;
}
