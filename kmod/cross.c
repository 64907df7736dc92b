// SPDX-License-Identifier: GPL-2.0
/* Every way of a driver into and out of isolation.  Called by fault, inline and interrupt. */
#include "cross.h"
#include "access.h"
#include "ask.h"
#include "call.h"
#include "event.h"
#include "frame.h"
#include "gate.h"
#include "held.h"
#include "life.h"
#include "open.h"
#include "record.h"
#include "recover.h"
#include "ret.h"
#include "stack.h"
#include "storm.h"
#include "trace.h"
#include "view.h"
#include "violation.h"

#include <asm/trapnr.h>
#include <linux/slab.h>

/* ---- what all have in common --------------------------------------------- */

enum chariot_action chariot_to_view(struct chariot_fault *f, unsigned int view,
				    const char *why)
{
	trace_chariot_gate(f->vcpu->vcpu_idx, f->dom->nr, why, f->rip, f->rsp);
	/* It has none. */
	if (f->dom->mode == CHARIOT_MODE_INLINE)
		return CHARIOT_RETRY;
	if (view)
		chariot_open_enter(f->dom, f->vs, chariot_vcpu_cr(f->vcpu).cr3);
	else
		chariot_open_leave(f->dom);
	f->vs->view = view;
	chariot_view_set(f->vcpu, view);
	return CHARIOT_RETRY;
}

enum chariot_action chariot_end_isolation(struct chariot_fault *f, int err,
					  const char *what)
{
	chariot_vm_fail(f->vm, err, "%s%s", what,
			err == -ENOSPC ? ": a VM may have no more of the host" :
			err == -ENOMEM ? ": no memory" : "");
	return CHARIOT_RETRY;
}

static void end_entry(struct chariot_fault *f)
{
	kfree(f->vs->entry);
	f->vs->entry = NULL;
}

static void read_values(struct chariot_fault *f, struct chariot_values *val)
{
	int i;

	for (i = 0; i < 6; i++)
		val->v[i] = chariot_reg_read(f->vcpu, chariot_arg_regs[i]);
	val->v[CHARIOT_RET] = chariot_reg_read(f->vcpu, VCPU_REGS_RAX);
}

static void set_pc(struct chariot_fault *f, u64 rip, u64 rsp)
{
	chariot_reg_write(f->vcpu, CHARIOT_REG_RIP, rip);
	chariot_reg_write(f->vcpu, VCPU_REGS_RSP, rsp);
}

/* Let driver code wait until the guest comes back to (rip, rsp). */
struct chariot_frame *chariot_push(struct chariot_fault *f, u64 rip, u64 rsp,
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

enum chariot_action chariot_no_frame(struct chariot_fault *f)
{
	return chariot_end_isolation(f, -ENOSPC, "calls and interrupts without end");
}

static u32 violate(struct chariot_fault *f, u32 why, u64 gva, u32 len)
{
	struct chariot_violation v = {
		.why = why, .gva = gva, .len = len, .gpa = ~0ULL,
	};

	return chariot_violation(f->dom, f->vs, f->vcpu, &v);
}

/* ---- a driver that has failed -------------------------------------------- */

/* Back to the kernel, as if the driver's function had told of an error. */
enum chariot_action chariot_give_up(struct chariot_fault *f)
{
	const struct chariot_gate *gate = f->vs->entry->gate;
	int err = chariot_recover_return(f->dom, f->vcpu, f->vs->entry, true);

	end_entry(f);
	chariot_to_view(f, 0, "failed");
	if (err)
		return chariot_end_isolation(f, err, "a driver that failed cannot be left");
	if (gate && gate->flags & CHARIOT_GATE_INIT)
		chariot_domain_init_done(f->dom, gate->gva, -EIO);
	return CHARIOT_RETRY;
}

enum chariot_action chariot_fail_driver(struct chariot_fault *f, u32 why)
{
	chariot_recover_fail(f->dom, f->vs, f->vcpu, why, f->rip);
	return chariot_give_up(f);
}

/* For what no other verdict is about. */
static enum chariot_action stop_driver(struct chariot_fault *f, u32 why,
				       u64 gva)
{
	violate(f, why, gva, 0);
	return chariot_fail_driver(f, why);
}

/* ---- the kernel calls the driver, which returns -------------------------- */

/* @gate NULL: at a bad place, or on a bad stack. */
enum chariot_action chariot_enter(struct chariot_fault *f, const struct chariot_gate *gate)
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
		return chariot_end_isolation(f, -ENOMEM, "an entry");
	memset(e, 0, offsetof(struct chariot_entry, got));
	read_values(f, &val);
	memcpy(e->args, val.v, sizeof(e->args));
	e->gate = gate;
	e->rip = f->rip;
	e->ret = ret;
	e->slot = f->rsp;
	e->when = ++f->dom->clock;
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
		return err < 0 ? chariot_end_isolation(f, err, "a driver that failed was called") :
				 CHARIOT_RETRY;
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
		return chariot_end_isolation(f, -ENOMEM, "an argument");
	return chariot_to_view(f, f->dom->nr, "entry");
}

static enum chariot_action bad_entry(struct chariot_fault *f)
{
	switch (violate(f, CHARIOT_WHY_ENTRY, f->rip, 0)) {
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(f->vcpu, X86_TRAP_GP, 0);
		return CHARIOT_RETRY;
	case CHARIOT_VERDICT_PAUSE:
		return CHARIOT_WAIT;
	}
	/* Nothing to skip to: let it run, isolated, from here. */
	return chariot_enter(f, NULL);
}

static enum chariot_action leave(struct chariot_fault *f)
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
	chariot_to_view(f, 0, more ? "held" : "return");
	if (more)
		return CHARIOT_RETRY;
	if (gate && gate->flags & CHARIOT_GATE_INIT)
		chariot_domain_init_done(f->dom, gate->gva, result);
	else if (gate && gate->flags & CHARIOT_GATE_EXIT)
		chariot_domain_unloaded(f->dom, gate->gva);
	return CHARIOT_RETRY;
}

/* The function that the driver's function ended in has returned: so has it. */
static enum chariot_action leave_tail(struct chariot_fault *f)
{
	struct chariot_entry *e = f->vs->entry;

	set_pc(f, e->ret, e->slot + 8);
	return leave(f);
}

/* ---- the driver calls the kernel ----------------------------------------- */

enum chariot_action chariot_bad_fetch(struct chariot_fault *f)
{
	switch (violate(f, CHARIOT_WHY_FETCH, f->rip, 0)) {
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(f->vcpu, X86_TRAP_GP, 0);
		break;
	case CHARIOT_VERDICT_PAUSE:
		return CHARIOT_WAIT;
	case CHARIOT_VERDICT_RECOVER:
		return chariot_fail_driver(f, CHARIOT_WHY_FETCH);
	}
	end_entry(f);
	return chariot_to_view(f, 0, "bad fetch");
}

/* As if it had returned. */
static enum chariot_action skip_call(struct chariot_fault *f, u64 ret,
				     bool tail, u64 result)
{
	chariot_reg_write(f->vcpu, VCPU_REGS_RAX, result);
	if (tail)
		return leave_tail(f);
	set_pc(f, ret, f->rsp + 8);
	return CHARIOT_RETRY;
}

/*
 * A CHECK found that the function would write where the driver may not, or that it
 * would give back what the driver does not have.
 * CHARIOT_EMULATE: go on with the call all the same.
 */
static enum chariot_action refuse(struct chariot_fault *f,
				  const struct chariot_refusal *r, u64 ret,
				  bool tail)
{
	struct chariot_violation v = {
		.why = r->why, .gva = r->gva,
		.len = min_t(u64, r->len, U32_MAX), .gpa = ~0ULL,
	};
	enum chariot_answer a = chariot_ask(f->dom, f->vs, f->vcpu, &v);

	if (a == CHARIOT_ASK_WAIT)
		return CHARIOT_WAIT;
	/* That it is not known to be the driver's does not tell that it is not. */
	if (a == CHARIOT_ASK_NOBODY && r->why == CHARIOT_WHY_FREE)
		return CHARIOT_EMULATE;
	switch (chariot_violation(f->dom, f->vs, f->vcpu, &v)) {
	case CHARIOT_VERDICT_SKIP:
		return skip_call(f, ret, tail, r->result);
	case CHARIOT_VERDICT_OOPS:
		kvm_call(kvm_queue_exception_e)(f->vcpu, X86_TRAP_GP, 0);
		if (tail)
			end_entry(f);
		else if (!chariot_push(f, ret, f->rsp + 8, false))
			return chariot_no_frame(f);
		return chariot_to_view(f, 0, "oops");
	case CHARIOT_VERDICT_PAUSE:
		return CHARIOT_WAIT;
	case CHARIOT_VERDICT_RECOVER:
		return chariot_fail_driver(f, r->why);
	}
	return CHARIOT_EMULATE;
}

/*
 * The driver calls what ends the guest, or what sleeps where that must not be; or it
 * gives something else for a lock, which that would corrupt, or takes one that it
 * has, or gives back one that nobody has.  Without the latter who cleans up goes on.
 * CHARIOT_EMULATE: all is well.
 */
static enum chariot_action look_at_lock(struct chariot_fault *f,
					const struct chariot_lock *lock,
					u64 ret, bool tail)
{
	u64 gva = chariot_reg_read(f->vcpu, VCPU_REGS_RDI);

	if (!f->vs->entry->caller.known)
		return CHARIOT_EMULATE;
	if (lock->flags & CHARIOT_LOCK_PANICS)
		return stop_driver(f, CHARIOT_WHY_PANIC, f->rip);
	if (lock->flags & CHARIOT_LOCK_SLEEPS &&
	    chariot_atomic(f->dom, f->vcpu))
		return stop_driver(f, CHARIOT_WHY_ATOMIC, f->rip);
	if (!(lock->flags & CHARIOT_LOCK_QUEUED))
		return CHARIOT_EMULATE;
	switch (chariot_held_look(f->dom, gva)) {
	case CHARIOT_HELD_NO_LOCK:
		violate(f, CHARIOT_WHY_WRITE, gva, 4);
		return chariot_fail_driver(f, CHARIOT_WHY_WRITE);
	case CHARIOT_HELD_FREE:
		if (lock->release)
			break;
		if (!chariot_stops(f->dom))
			return stop_driver(f, CHARIOT_WHY_UNBALANCED, gva);
		if (tail)
			return leave_tail(f);
		set_pc(f, ret, f->rsp + 8);
		return CHARIOT_RETRY;
	case CHARIOT_HELD_TAKEN:
		if (!lock->release || lock->when != CHARIOT_LOCK_ALWAYS ||
		    !chariot_held_has(f->vs->entry, gva))
			break;
		return stop_driver(f, CHARIOT_WHY_UNBALANCED, gva);
	default:
		break;
	}
	return CHARIOT_EMULATE;
}

/* ---- library code ------------------------------------------------------- */

/* It writes what the driver may, in a view where it can be executed. */
static bool is_library(struct chariot_fault *f, const struct chariot_gate *gate)
{
	return f->dom->library && gate && gate->flags & CHARIOT_GATE_LIBRARY;
}

static enum chariot_action to_library(struct chariot_fault *f, u64 ret, bool tail,
				      const struct chariot_values *val)
{
	struct chariot_entry *e = f->vs->entry;

	e->library.rip = ret;
	e->library.rsp = f->rsp + 8;
	e->library.fn = f->rip;
	e->library.tail = tail;
	memcpy(e->library.args, val->v, sizeof(e->library.args));
	f->dom->stats.calls++;
	f->dom->stats.library_calls++;
	return chariot_to_view(f, f->dom->library, "library");
}

/* What it comes to is no library code: the rest of it is an ordinary call. */
static enum chariot_action leave_library(struct chariot_fault *f, const char *why)
{
	int err = chariot_frame_push_library(f->dom, f->vs);

	if (err)
		return err == -ENOMEM ? chariot_end_isolation(f, err, "a call of library code") :
					chariot_no_frame(f);
	f->dom->stats.beside++;
	return chariot_to_view(f, 0, why);
}

/* ---- the driver calls the kernel: all of it ------------------------------- */

/*
 * The driver calls the function at f->rip.  With @tail it jumps there as its
 * last act.  Then we make a call of it that returns to @ret, a "ret" in the
 * driver's text, so that the return is seen.
 */
enum chariot_action chariot_call(struct chariot_fault *f, const struct chariot_gate *gate,
				u64 ret, bool tail)
{
	struct chariot_refusal refusal;
	const struct chariot_lock *lock;
	struct chariot_frame *frame;
	bool library = is_library(f, gate);
	struct chariot_values val;
	enum chariot_action a;
	int err;

	f->vs->entry->ticks = 0;
	if (gate && !gate->nr_ops)
		gate = NULL;
	lock = chariot_held_row(f->dom, f->rip);
	a = lock ? look_at_lock(f, lock, ret, tail) : CHARIOT_EMULATE;
	if (a != CHARIOT_EMULATE)
		return a;
	read_values(f, &val);
	if (lock && chariot_held_gone(f->dom, lock, val.v))
		return skip_call(f, ret, tail, 0);
	if (gate) {
		if (!chariot_gate_check(f->dom, f->vs, gate, &val, &refusal)) {
			a = refuse(f, &refusal, ret, tail);
			if (a != CHARIOT_EMULATE)
				return a;
		}
		err = chariot_gate_run(f->dom, gate, CHARIOT_PHASE_PRE, &val,
				       ret);
		if (err)
			return chariot_end_isolation(f, err, "a gate action failed");
	}
	if (tail) {
		f->rsp -= 8;
		if (chariot_guest_write_va(f->vm->kvm, f->dom->cr, f->rsp,
					   &ret, sizeof(ret)))
			return chariot_bad_fetch(f);
		set_pc(f, f->rip, f->rsp);
	}
	if (!lock && library)
		return to_library(f, ret, tail, &val);
	if (lock)
		chariot_held_call(f->dom, f->vs->entry, lock, val.v);
	frame = chariot_push(f, ret, f->rsp + 8, false);
	if (!frame)
		return chariot_no_frame(f);
	frame->tail = tail;
	frame->gate = gate;
	frame->lock = lock;
	frame->fn = f->rip;
	memcpy(frame->args, val.v, sizeof(frame->args));
	f->dom->stats.calls++;
	return chariot_to_view(f, 0, "call");
}

/*
 * The driver's function ends in a jump to a kernel function.  Who jumps to what it
 * does not import may be lost: if that oopses somebody has to be found.
 */
static enum chariot_action jump(struct chariot_fault *f,
				const struct chariot_gate *gate)
{
	struct chariot_entry *e = f->vs->entry;
	u64 ret = chariot_ret_of(f->dom, e);

	if (ret &&
	    (!gate || gate->nr_ops || is_library(f, gate) || chariot_held_row(f->dom, f->rip) ||
	     (e->gate && e->gate->flags & (CHARIOT_GATE_INIT |
					   CHARIOT_GATE_EXIT))))
		return chariot_call(f, gate, ret, true);
	f->dom->stats.calls++;
	return leave(f);
}

/*
 * Leave an inherit function, or code on the same page.  In the kernel view it
 * is not trapped; what comes back is its caller in the driver, unless it
 * returns straight to the kernel.
 */
enum chariot_action chariot_suspend_caller(struct chariot_fault *f,
					   const char *why)
{
	struct chariot_frame *frame;
	u64 slot, ret;

	if (f->vs->entry->library.rip)
		return leave_library(f, why);
	ret = chariot_find_caller(f->dom, f->vs->entry, f->rsp, &slot);
	f->dom->stats.beside++;
	/* Then it is for an oops alone to know who was the last to be called. */
	frame = ret ? chariot_push(f, ret, slot + 8, false) :
		      chariot_push(f, f->rip, f->rsp, false);
	if (!frame)
		return chariot_no_frame(f);
	frame->left = ret ? f->rsp : 0;
	return chariot_to_view(f, 0, why);
}

/*
 * The driver has returned to code that is executable in its view, and which has gone on:
 * back, or with a call of its own, whose return address is where the driver's was.
 */
bool chariot_has_returned(struct chariot_fault *f)
{
	struct chariot_entry *e = f->vs->entry;
	struct chariot_walk w;
	u64 ret;

	if (f->rsp - e->slot - 1 >= chariot_stack_size(f->dom) &&
	    (e->slot - f->rsp >= chariot_stack_size(f->dom) ||
	     chariot_guest_read_va(f->vm->kvm, f->dom->cr, e->slot, &ret,
				   sizeof(ret)) || ret == e->ret))
		return false;
	return !chariot_guest_walk(f->vm->kvm, f->dom->cr, e->ret, &w) &&
	       xa_load(&f->dom->exec, w.gpa >> PAGE_SHIFT);
}

/* What the driver called may be executable in its view, beside an inherit function. */
static bool ends_guest(struct chariot_fault *f)
{
	const struct chariot_lock *lock = chariot_held_row(f->dom, f->rip);

	return lock && lock->flags & CHARIOT_LOCK_PANICS &&
	       f->vs->entry->caller.known;
}

/* The driver has left its text for (f->rip, f->rsp). */
enum chariot_action chariot_leave_for(struct chariot_fault *f)
{
	struct chariot_entry *e = f->vs->entry;
	const struct chariot_gate *gate;
	u64 top, slot;

	if (f->rip == e->ret && f->rsp == e->slot + 8)
		return leave(f);
	/* On another vCPU. */
	if (!chariot_recover_runs(f->dom, e))
		return chariot_give_up(f);
	if (chariot_guest_read_va(f->vm->kvm, f->dom->cr, f->rsp, &top,
				  sizeof(top)))
		return chariot_bad_fetch(f);
	gate = chariot_gate_of(f->dom, f->rip);
	if (chariot_domain_text(f->dom, top))
		return chariot_call(f, gate, top, false);
	if (f->rsp == e->slot && top == e->ret)
		return jump(f, gate);
	if (ends_guest(f))
		return stop_driver(f, CHARIOT_WHY_PANIC, f->rip);
	if (chariot_find_caller(f->dom, e, f->rsp, &slot) || chariot_has_returned(f))
		return chariot_suspend_caller(f, "beside");
	return chariot_bad_fetch(f);
}

/* ---- and runs on --------------------------------------------------------- */

#define MAX_TICKS	2000	/* 2 to 20 s, by the guest's HZ */
#define MAX_ATOMIC	1000

/* Where it must not sleep, calls are no sign of life. */
static bool loops(const struct chariot_entry *e)
{
	return e->ticks > MAX_TICKS || e->atomic_ticks > MAX_ATOMIC;
}

void chariot_count_tick(struct chariot_entry *e)
{
	e->ticks++;
	if (e->caller.preempt_count & ~PREEMPT_NEED_RESCHED)
		e->atomic_ticks++;
}

/* It was interrupted in library code, perhaps. */
static enum chariot_action run_on(struct chariot_fault *f)
{
	const struct chariot_entry *e = f->vs->entry;

	if (!e || !e->library.rip)
		return chariot_to_view(f, f->dom->nr, "resume");
	if (f->dom->library)
		return chariot_to_view(f, f->dom->library, "resume");
	return leave_library(f, "resume");
}

enum chariot_action chariot_resume(struct chariot_fault *f, struct chariot_frame *frame)
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
	read_values(f, &val);
	if (frame->fn && frame->entry)
		chariot_ask_returned(dom, frame->entry, frame->fn, frame->args,
				     val.v[CHARIOT_RET]);
	if (frame->gate) {
		memcpy(val.v, frame->args, sizeof(frame->args));
		err = chariot_gate_run(dom, frame->gate, CHARIOT_PHASE_POST,
				       &val, frame->rip);
		chariot_gate_returned(dom, frame->gate, &val, f->vs->entry);
	}
	if (frame->lock)
		chariot_held_returned(dom, f->vs->entry, frame,
				       val.v[CHARIOT_RET]);
	if (frame->park)
		set_pc(f, frame->park, f->rsp + 8);
	kfree(frame);
	if (err)
		return chariot_end_isolation(f, err, "a gate action failed");
	if (f->vs->entry && !chariot_recover_runs(dom, f->vs->entry))
		return chariot_give_up(f);
	/* Also when it cleans up. */
	if (interrupt && f->vs->entry && loops(f->vs->entry))
		return stop_driver(f, CHARIOT_WHY_LOOP, 0);
	if (tail)
		return leave_tail(f);
	return run_on(f);
}

/* Library view, fetch outside of library code. */
enum chariot_action chariot_library_fetch(struct chariot_fault *f)
{
	struct chariot_entry *e = f->vs->entry;
	struct chariot_frame *frame;

	if (f->rip != e->library.rip || f->rsp != e->library.rsp)
		return leave_library(f, "beside");
	frame = chariot_frame_library(f->dom, f->vs);
	if (!frame)
		return chariot_end_isolation(f, -ENOMEM, "a call of library code");
	return chariot_resume(f, frame);
}

/*
 * A kernel function that the driver called ends in a jump to a function of the
 * driver: the caller's frame waits for the return, but first the callee runs.
 */
static bool resume_callee(struct chariot_fault *f)
{
	struct chariot_frame *frame;
	struct chariot_values val;
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
	read_values(f, &val);
	if (f->vs->entry)
		chariot_ask_jumped(f->dom, f->vs->entry, f->rip, val.v);
	if (chariot_recover_runs(f->dom, f->vs->entry))
		chariot_to_view(f, f->dom->nr, "callee");
	else
		chariot_give_up(f);
	return true;
}

static bool stack_is_mapped(struct chariot_fault *f)
{
	struct chariot_walk w;

	return !chariot_guest_walk(f->vm->kvm, f->dom->cr, f->rsp, &w);
}

enum chariot_action chariot_kernel_fetch(struct chariot_fault *f)
{
	const struct chariot_gate *gate;
	struct chariot_frame *frame;

	frame = chariot_frame_pop(f->dom, f->rip, f->rsp);
	if (frame)
		return chariot_resume(f, frame);
	if (resume_callee(f))
		return CHARIOT_RETRY;
	gate = chariot_entry_of(f->dom, f->rip);
	if (gate && stack_is_mapped(f))
		return chariot_enter(f, gate);
	frame = chariot_frame_pop_left(f->dom, f->rip, f->rsp);
	if (frame)
		return chariot_resume(f, frame);
	return bad_entry(f);
}

/* ---- the kernel oopses --------------------------------------------------- */

/* Driver code that waits on this stack, the innermost. */
static struct chariot_frame *frame_on(struct chariot_vm *vm, struct chariot_vcpu *vs,
				      u64 rsp, struct chariot_domain **of)
{
	struct chariot_frame *f, *best = NULL;
	struct chariot_domain *dom;
	u64 end;
	u32 nr;

	for (nr = 1; nr < CHARIOT_WATCH_VIEW; nr++) {
		dom = chariot_domain_of(vm, nr);
		if (!dom || !chariot_recovers(dom))
			continue;
		if (dom->mode == CHARIOT_MODE_INLINE)
			chariot_record_rest_all(dom, vs, rsp);
		end = rsp + chariot_stack_size(dom);
		for_each_frame(f, dom, rsp + 1, end)
			if (f->entry && f->entry->caller.known &&
			    chariot_entry_base(dom, f->entry) <= rsp &&
			    (!best || f->rsp < best->rsp)) {
				best = f;
				*of = dom;
			}
	}
	return best;
}

enum chariot_action chariot_oops(struct chariot_fault *f)
{
	struct chariot_frame *frame = frame_on(f->vm, f->vs, f->rsp, &f->dom);
	struct chariot_entry *e;
	u64 rip;

	if (!frame || chariot_x86_ops->get_cpl(f->vcpu))
		return CHARIOT_PASS;
	chariot_frame_take(f->dom, frame);
	e = frame->entry;
	rip = frame->park ?: frame->rip;
	kfree(frame);
	end_entry(f);
	f->vs->entry = e;
	chariot_recover_fail(f->dom, f->vs, f->vcpu, CHARIOT_WHY_OOPS, rip);
	if (chariot_recover_oopsed(f->dom, f->vcpu, e))
		chariot_end_isolation(f, -EFAULT, "the stack of an entry is not mapped");
	end_entry(f);
	return CHARIOT_RETRY;
}
