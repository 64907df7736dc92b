/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Crossings: everything that carries a driver into or out of isolation, whichever
 * way it was noticed.  Called by the decision table (fault.c) and for interrupts
 * (interrupt.c).  Under vm->lock.
 *
 *	enter	the kernel calls a function of the driver
 *	leave	that returns
 *	call	the driver calls a kernel function
 *	resume	that, or an interrupt, returns
 *	give up	the driver has failed: back to its caller
 *	oops	the kernel has, in something that the driver called
 */
#ifndef CHARIOT_CROSS_H
#define CHARIOT_CROSS_H

#include "domain.h"

enum chariot_action {
	CHARIOT_PASS,			/* KVM's business */
	CHARIOT_RETRY,			/* done; let the guest try again */
	CHARIOT_EMULATE,		/* a write that has to be looked at */
	CHARIOT_WAIT,			/* for CONTINUE, then try again */
	CHARIOT_STEP,			/* emulate this one instruction of the kernel's */
};

struct chariot_fault {
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

/* Kernel view, fetch in the driver's text: an entry, or something returns there. */
enum chariot_action chariot_kernel_fetch(struct chariot_fault *f);
/* Driver view, fetch outside the driver: it calls, or returns. */
enum chariot_action chariot_leave_for(struct chariot_fault *f);
/* Library view, fetch outside of library code: it returns, or leaves. */
enum chariot_action chariot_library_fetch(struct chariot_fault *f);
/* A jump to where no function begins. */
enum chariot_action chariot_bad_fetch(struct chariot_fault *f);
/* Kernel code that runs in the driver's view goes on in the kernel's; its caller in
 * the driver waits for it. */
enum chariot_action chariot_suspend_caller(struct chariot_fault *f,
					   const char *why);

/* Kernel view, the kernel is about to die.  RETRY: not of it, a driver that waits on
 * this stack has failed, and its function returns.  PASS: of something else. */
enum chariot_action chariot_oops(struct chariot_fault *f);

/* Has the driver returned to code that is executable in its view, unseen? */
bool chariot_has_returned(struct chariot_fault *f);

/* The parts.  @why is for the trace point. */
/* @gate NULL: at a bad place, or on a bad stack.  With vs->entry it may run. */
enum chariot_action chariot_enter(struct chariot_fault *f, const struct chariot_gate *gate);
/* At its first instruction; @ret is where it returns to. */
enum chariot_action chariot_call(struct chariot_fault *f, const struct chariot_gate *gate,
				 u64 ret, bool tail);
/* What @frame, which was taken out, waits for has returned. */
enum chariot_action chariot_resume(struct chariot_fault *f, struct chariot_frame *frame);
/* Back to the kernel, as if the driver's function had told of an error. */
enum chariot_action chariot_give_up(struct chariot_fault *f);
enum chariot_action chariot_to_view(struct chariot_fault *f, unsigned int view,
				    const char *why);
/* Let driver code wait until the guest comes back to (rip, rsp).  NULL: then
 * chariot_no_frame(). */
struct chariot_frame *chariot_push(struct chariot_fault *f, u64 rip, u64 rsp,
				   bool interrupt);
enum chariot_action chariot_no_frame(struct chariot_fault *f);
/* A failure of ours: isolation of the VM ends, the guest goes on. */
enum chariot_action chariot_end_isolation(struct chariot_fault *f, int err,
					  const char *what);
/* The driver has failed. */
enum chariot_action chariot_fail_driver(struct chariot_fault *f, u32 why);
/* A tick of the guest's clock while @e runs. */
void chariot_count_tick(struct chariot_entry *e);

#endif
