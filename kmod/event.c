// SPDX-License-Identifier: GPL-2.0
/*
 * Handles, their events, and vCPUs that wait for an answer.
 * Called by all above it.
 */
#include "event.h"

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

int chariot_handle_init(struct chariot_handle *h)
{
	size_t size = CHARIOT_EVENT_DEPTH * sizeof(struct chariot_event);
	static atomic64_t last;

	spin_lock_init(&h->lock);
	init_waitqueue_head(&h->readers);
	h->id = atomic64_inc_return(&last);
	/* kfifo_alloc() wants it in one piece. */
	h->buf = kvmalloc(size, GFP_KERNEL_ACCOUNT);
	if (!h->buf)
		return -ENOMEM;
	return kfifo_init(&h->fifo, h->buf, size);
}

void chariot_handle_uninit(struct chariot_handle *h)
{
	kvfree(h->buf);
}

/* For those that a vCPU waits for: no flood of others has them lost. */
#define KEPT_FREE	64

void chariot_event_send(struct chariot_vm *vm, struct chariot_event *ev,
			const struct chariot_handle *except)
{
	bool for_watcher = ev->type == CHARIOT_EV_ASK ||
			   ev->type == CHARIOT_EV_IMAGE;
	struct chariot_handle *h;

	lockdep_assert_held(&vm->lock);
	ev->size = sizeof(*ev);
	ev->seq = ++vm->seq;
	ev->time_ns = ktime_get_ns();
	spin_lock(&vm->handles_lock);
	list_for_each_entry(h, &vm->handles, node) {
		if (h == except || (for_watcher && h->id != vm->watcher))
			continue;
		spin_lock(&h->lock);
		if ((!(ev->flags & CHARIOT_EV_WAITS) &&
		     kfifo_avail(&h->fifo) <= KEPT_FREE) ||
		    !kfifo_put(&h->fifo, *ev))
			h->lost++;
		spin_unlock(&h->lock);
		wake_up_interruptible(&h->readers);
	}
	spin_unlock(&vm->handles_lock);
}

void chariot_event_name(struct chariot_domain *dom, u32 type)
{
	struct chariot_event ev = {
		.type = type, .vcpu = ~0U, .domain = dom->nr,
		.verdict = dom->verdict,
	};

	strscpy(ev.u.name.name, dom->name, sizeof(ev.u.name.name));
	chariot_event_send(dom->vm, &ev, NULL);
}

void chariot_vm_fail(struct chariot_vm *vm, int err, const char *fmt, ...)
{
	struct chariot_event ev = { .type = CHARIOT_EV_ERROR, .vcpu = ~0U };
	va_list ap;

	lockdep_assert_held(&vm->lock);
	ev.u.error.error = err;
	va_start(ap, fmt);
	vsnprintf(ev.u.error.text, sizeof(ev.u.error.text), fmt, ap);
	va_end(ap);
	chariot_event_send(vm, &ev, NULL);
	if (vm->dead)
		return;
	vm->dead = true;
	pr_notice("VM of pid %d: isolation is off: %s\n", vm->pid,
		  ev.u.error.text);
	/* Who called us may still use them. */
	vm->reset = true;
}

void chariot_wait_begin(struct chariot_vm *vm, struct chariot_vcpu *vs,
			struct chariot_event *ev)
{
	ev->flags |= CHARIOT_EV_WAITS;
	chariot_event_send(vm, ev, NULL);
	vs->wait_seq = ev->seq;
	vs->wait_done = false;
	vs->wait_until = jiffies + msecs_to_jiffies(vm->timeout_ms);
}

static bool wait_over(struct chariot_vcpu *vs)
{
	return READ_ONCE(vs->wait_done);
}

/* On the vCPU's thread, inside KVM_RUN. */
int chariot_wait(struct chariot_vm *vm, struct chariot_vcpu *vs,
		 struct kvm_vcpu *vcpu)
{
	long left = (long)(vs->wait_until - jiffies);
	long r = 1;

	/* Whoever changes memslots waits for this. */
	kvm_vcpu_srcu_read_unlock(vcpu);
	if (!wait_over(vs) && left > 0)
		r = wait_event_interruptible_timeout(vm->wait, wait_over(vs),
						     left);
	kvm_vcpu_srcu_read_lock(vcpu);
	if (r == -ERESTARTSYS)
		return -EINTR;

	if (chariot_vm_lock(vm))
		return -EINTR;
	if (!vs->wait_done)
		chariot_vm_fail(vm, -ETIMEDOUT,
				"nobody answered event %llu in %u ms",
				vs->wait_seq, vm->timeout_ms);
	vs->wait_seq = 0;
	chariot_vm_unlock(vm);
	return 0;
}

struct chariot_vcpu *chariot_waiting(struct chariot_vm *vm, u64 seq)
{
	struct chariot_vcpu *vs;
	unsigned long i;

	lockdep_assert_held(&vm->lock);
	if (seq)
		xa_for_each(&vm->vcpus, i, vs)
			if (vs->wait_seq == seq)
				return vs;
	return NULL;
}

int chariot_continue(struct chariot_vm *vm, u64 seq, bool never)
{
	struct chariot_vcpu *vs = chariot_waiting(vm, seq);
	unsigned long i;

	if (!vs)
		return -ENOENT;
	vs->asked.never = never;
	/* A thread of the guest may have come on to another one meanwhile. */
	xa_for_each(&vm->vcpus, i, vs)
		if (vs->wait_seq == seq)
			WRITE_ONCE(vs->wait_done, true);
	wake_up_all(&vm->wait);
	return 0;
}

void chariot_continue_all(struct chariot_vm *vm)
{
	struct chariot_vcpu *vs;
	unsigned long i;

	xa_for_each(&vm->vcpus, i, vs)
		if (vs->wait_seq)
			WRITE_ONCE(vs->wait_done, true);
	wake_up_all(&vm->wait);
}
