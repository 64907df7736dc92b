/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Handles and the events that they read; vCPUs that wait for an answer.
 */
#ifndef CHARIOT_EVENT_H
#define CHARIOT_EVENT_H

#include <linux/kfifo.h>
#include "vm.h"

#define CHARIOT_EVENT_DEPTH	256	/* events that a slow reader is kept */

struct chariot_handle {
	struct list_head node;		/* vm->handles, under vm->handles_lock */
	struct chariot_vm *vm;
	u64 id;				/* never again another's */
	spinlock_t lock;		/* fifo, lost */
	wait_queue_head_t readers;
	u64 lost;
	DECLARE_KFIFO_PTR(fifo, struct chariot_event);
	void *buf;			/* of the fifo */
};

int chariot_handle_init(struct chariot_handle *h);
void chariot_handle_uninit(struct chariot_handle *h);

/* Under vm->lock: number @ev and give it to all handles but @except. */
void chariot_event_send(struct chariot_vm *vm, struct chariot_event *ev,
			const struct chariot_handle *except);
void chariot_event_name(struct chariot_domain *dom, u32 type);

/* A failure of our own: tell, let the guest go on; all domains are dropped when the
 * lock is given back. */
__printf(3, 4)
void chariot_vm_fail(struct chariot_vm *vm, int err, const char *fmt, ...);

/*
 * Hold this vCPU until CONTINUE answers the event that chariot_wait_begin()
 * sent, or @vm->timeout_ms has passed.  Not under vm->lock.  -EINTR: the VMM wants
 * its thread back, or is killed; the caller returns that to KVM and comes here
 * again when the guest retries.
 */
void chariot_wait_begin(struct chariot_vm *vm, struct chariot_vcpu *vs,
			struct chariot_event *ev);
int chariot_wait(struct chariot_vm *vm, struct chariot_vcpu *vs,
		 struct kvm_vcpu *vcpu);
/* The vCPU that waits for event @seq; NULL: none does. */
struct chariot_vcpu *chariot_waiting(struct chariot_vm *vm, u64 seq);
/* @never: CHARIOT_CONTINUE_NEVER */
int chariot_continue(struct chariot_vm *vm, u64 seq, bool never);
void chariot_continue_all(struct chariot_vm *vm);

#endif
