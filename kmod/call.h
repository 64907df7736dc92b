/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls of the guest's functions, by us.
 *
 * They are called on the stack of a driver's function that is given up, in the
 * place of what that would have done.  Each returns to the trap of
 * chariot_recover, a hypercall; behind it on the stack is where the driver's
 * function returns to, so the guest goes on there without us too.
 */
#ifndef CHARIOT_CALL_H
#define CHARIOT_CALL_H

#include "vm.h"

#define CHARIOT_MAX_CALLS	64

/* Functions of the guest that are called one after the other. */
struct chariot_calls {
	struct list_head node;
	u64 slot;		/* rsp at the trap; where the return address is */
	struct chariot_cr cr;
	struct chariot_call list[CHARIOT_MAX_CALLS];
	u32 nr, next;
	u32 spinning;		/* so many of the first have interrupts off */
	u64 preempt_gva;	/* 0: not known */
	bool hold;		/* never return */
	u32 drop;		/* at the end, of this domain, */
	u64 drop_at;		/*	the module whose exit is there */
	/* then: */
	struct chariot_caller caller;
	u64 rip, rsp, rax;
	u64 args[6];		/* if that is the function's beginning, it wants them */
};

/* Of the CPU: must nothing sleep now? */
bool chariot_atomic(struct chariot_domain *dom, struct kvm_vcpu *vcpu);
/* As a function is entered; has it, when it returns, kept the preempt count? */
void chariot_caller_save(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			 struct chariot_caller *c);
bool chariot_caller_balanced(struct chariot_domain *dom, struct kvm_vcpu *vcpu,
			     const struct chariot_entry *e);

/* Calls that end with the return of @e to its caller; NULL: no memory. */
struct chariot_calls *chariot_calls_alloc(struct chariot_domain *dom,
					  struct kvm_vcpu *vcpu,
					  const struct chariot_entry *e);
/* @fn 0: nothing.  What is more than CHARIOT_MAX_CALLS is left out. */
void chariot_calls_add(struct chariot_calls *c, u64 fn, u64 arg);
void chariot_calls_push(struct chariot_calls *c, const struct chariot_call *call);
/* Begin; takes @c over.  -EFAULT: the stack is not mapped. */
int chariot_calls_run(struct chariot_vm *vm, struct kvm_vcpu *vcpu,
		      struct chariot_calls *c);
/* A hypercall at the trap: is it one of ours that has returned? */
bool chariot_calls_returned(struct chariot_vm *vm, struct kvm_vcpu *vcpu);
/* The domain's number will be another's. */
void chariot_calls_dropped(struct chariot_domain *dom);
void chariot_calls_forget(struct chariot_vm *vm);

#endif
