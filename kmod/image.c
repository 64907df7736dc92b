// SPDX-License-Identifier: GPL-2.0
/*
 * The image of a module, before the guest's loader looks at it.
 * Called by dev, fault and watch.
 */
#include "image.h"
#include "event.h"
#include "point.h"
#include "view.h"

#include <linux/slab.h>

#define MAX_IMAGES	64
#define NR_REGS		16
#define OP_RET		0xc3
#define OP_INT3		0xcc
#define MAX_INSN	15	/* bytes */

enum state {
	COMES,		/* from an interrupt; then it is asked about */
	ASKED,		/* an event waits for its answer */
	ANSWERED,	/* done when the guest comes here again */
	CALLS,		/* a function that we have it call, and that returns here */
};

/* A call of the loader's function, which has not begun; "here" is vm->image_ret. */
struct chariot_image {
	struct list_head node;		/* vm->images, the newest first */
	enum state state;
	u64 rsp;			/* where its return address is */
	u64 seq;			/* ASKED */
	unsigned long until;		/*	jiffies */
	u64 regs[NR_REGS], rflags;	/* as the function is to have them */
	struct chariot_call call;	/* ANSWERED: fn 0: none; CALLS */
	u64 cookie;
	bool returns;			/* ANSWERED: it does not run, and returns */
	u64 value;
};

static struct chariot_image *find(struct chariot_vm *vm, u64 rsp)
{
	struct chariot_image *m;

	list_for_each_entry(m, &vm->images, node)
		if (m->rsp == rsp)
			return m;
	return NULL;
}

static struct chariot_image *find_asked(struct chariot_vm *vm, u64 seq)
{
	struct chariot_image *m;

	list_for_each_entry(m, &vm->images, node)
		if (m->state == ASKED && m->seq == seq)
			return m;
	return NULL;
}

static void forget(struct chariot_image *m)
{
	list_del(&m->node);
	kfree(m);
}

/* ---- the point ------------------------------------------------------------ */

/* One that ends a function, else any byte that is one: see chariot_ret_find().  Not so
 * near to the page's end that KVM would emulate it. */
static u64 find_ret(struct chariot_vm *vm, u64 gpa, u64 gva)
{
	u8 *page = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	int i, found = -1;

	if (!page || chariot_guest_read(vm->kvm, gpa & PAGE_MASK, page, PAGE_SIZE)) {
		kfree(page);
		return 0;
	}
	for (i = 0; i <= PAGE_SIZE - MAX_INSN; i++) {
		if (page[i] != OP_RET)
			continue;
		if (page[i + 1] == OP_INT3) {
			found = i;
			break;
		}
		if (found < 0)
			found = i;
	}
	kfree(page);
	return found < 0 ? 0 : (gva & PAGE_MASK) + found;
}

static bool is_watched(struct chariot_vm *vm, struct chariot_cr cr, u64 gva)
{
	struct chariot_walk w;

	return !chariot_guest_walk(vm->kvm, cr, gva, &w) &&
	       chariot_view_watched(vm, w.gpa >> PAGE_SHIFT);
}

int chariot_image_arm(struct chariot_vm *vm, struct chariot_cr cr, u64 site, u64 fn)
{
	int err = chariot_point_arm(vm, &vm->image, cr, site);

	if (err)
		return err;
	vm->image_fn = fn;
	vm->image_ret = find_ret(vm, vm->image.gpa, site);
	if (vm->image_ret && !is_watched(vm, cr, fn))
		return 0;
	chariot_point_disarm(vm, &vm->image);
	return -ENOEXEC;
}

void chariot_image_disarm(struct chariot_vm *vm)
{
	struct chariot_image *m, *tmp;

	list_for_each_entry_safe(m, tmp, &vm->images, node)
		forget(m);
	chariot_point_disarm(vm, &vm->image);
}

/* ---- the guest ------------------------------------------------------------ */

/* The vCPU that is here now waits, maybe for the same as one that was here before. */
static enum chariot_action wait_for(struct chariot_fault *f, struct chariot_image *m)
{
	f->vs->wait_seq = m->seq;
	f->vs->wait_done = false;
	f->vs->wait_until = m->until;
	return CHARIOT_WAIT;
}

static enum chariot_action ask(struct chariot_fault *f, struct chariot_image *m)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_IMAGE, .vcpu = f->vcpu->vcpu_idx,
	};
	struct chariot_cr cr = chariot_vcpu_cr(f->vcpu);

	ev.u.image.arg[0] = m->regs[VCPU_REGS_RDI];
	ev.u.image.arg[1] = m->regs[VCPU_REGS_RSI];
	ev.u.image.arg[2] = m->regs[VCPU_REGS_RDX];
	ev.u.image.cr3 = cr.cr3;
	ev.u.image.cr4 = cr.cr4;
	if (m->state == CALLS) {
		ev.flags = CHARIOT_EV_RETURNED;
		ev.u.image.cookie = m->cookie;
		ev.u.image.result = chariot_reg_read(f->vcpu, VCPU_REGS_RAX);
	}
	m->state = ASKED;
	chariot_wait_begin(f->vm, f->vs, &ev);
	m->seq = ev.seq;
	m->until = f->vs->wait_until;
	return CHARIOT_WAIT;
}

/* The oldest may be of a stack that is gone. */
static void make_room(struct chariot_vm *vm)
{
	struct chariot_image *m;
	u32 nr = 0;

	list_for_each_entry(m, &vm->images, node)
		nr++;
	if (nr >= MAX_IMAGES)
		forget(list_last_entry(&vm->images, struct chariot_image, node));
}

/* NULL: no memory; it is then not asked about. */
static struct chariot_image *new_image(struct chariot_fault *f, u64 rsp, u64 rflags)
{
	struct chariot_image *m = find(f->vm, rsp);
	int i;

	/* One that never came back. */
	if (m)
		forget(m);
	m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	if (!m)
		return NULL;
	make_room(f->vm);
	m->rsp = rsp;
	for (i = 0; i < NR_REGS; i++)
		m->regs[i] = chariot_reg_read(f->vcpu, i);
	m->rflags = rflags;
	/* If we are gone when it goes on, it has returned that. */
	chariot_reg_write(f->vcpu, VCPU_REGS_RAX, -EINTR);
	list_add(&m->node, &f->vm->images);
	return m;
}

static void set_regs(struct chariot_fault *f, const struct chariot_image *m, u64 rip,
		     u64 rsp)
{
	int i;

	for (i = 0; i < NR_REGS; i++)
		chariot_reg_write(f->vcpu, i, m->regs[i]);
	chariot_reg_write(f->vcpu, VCPU_REGS_RSP, rsp);
	chariot_reg_write(f->vcpu, CHARIOT_REG_RIP, rip);
	chariot_rflags_write(f->vcpu, m->rflags);
}

static bool begin_call(struct chariot_fault *f, struct chariot_image *m)
{
	u64 ret = f->vm->image_ret;
	int i;

	if (chariot_guest_write_va(f->vm->kvm, chariot_vcpu_cr(f->vcpu), m->rsp - 8, &ret,
				   sizeof(ret)))
		return false;
	set_regs(f, m, m->call.fn, m->rsp - 8);
	for (i = 0; i < 6; i++)
		chariot_reg_write(f->vcpu, chariot_arg_regs[i], m->call.arg[i]);
	m->state = CALLS;
	return true;
}

/* The loader's function has returned. */
static bool do_return(struct chariot_fault *f, struct chariot_image *m)
{
	u64 ret;

	if (chariot_guest_read_va(f->vm->kvm, chariot_vcpu_cr(f->vcpu), m->rsp, &ret,
				  sizeof(ret)))
		return false;
	set_regs(f, m, ret, m->rsp + 8);
	chariot_reg_write(f->vcpu, VCPU_REGS_RAX, m->value);
	forget(m);
	return true;
}

/* A stack that cannot be used: the loader's function runs, as if nobody had asked. */
static enum chariot_action carry_out(struct chariot_fault *f, struct chariot_image *m)
{
	if (m->call.fn ? begin_call(f, m) : m->returns && do_return(f, m))
		return CHARIOT_RETRY;
	set_regs(f, m, f->vm->image_fn, m->rsp);
	forget(m);
	return CHARIOT_RETRY;
}

bool chariot_image_left(struct chariot_fault *f)
{
	struct chariot_vm *vm = f->vm;
	struct chariot_image *m;
	u64 frame[4];		/* of an interrupt: rip, cs, rflags, rsp */

	lockdep_assert_held(&vm->lock);
	if (!vm->image.gva || chariot_x86_ops->get_cpl(f->vcpu))
		return false;
	if (f->rip == vm->image_fn) {
		m = new_image(f, f->rsp, kvm_call(kvm_get_rflags)(f->vcpu));
		if (!m)
			return false;
		/* Where it waits it comes to a stop again, whatever comes between. */
		chariot_reg_write(f->vcpu, CHARIOT_REG_RIP, vm->image_ret);
		ask(f, m);
		return true;
	}
	/* An interrupt, before the first instruction of the function: no other code has
	 * run, so its registers are still there. */
	if (chariot_guest_read_va(vm->kvm, chariot_vcpu_cr(f->vcpu), f->rsp, frame,
				  sizeof(frame)) || frame[0] != vm->image_fn)
		return false;
	m = new_image(f, frame[3], frame[2]);
	if (m && chariot_guest_write_va(vm->kvm, chariot_vcpu_cr(f->vcpu), f->rsp,
					&vm->image_ret, sizeof(u64))) {
		chariot_reg_write(f->vcpu, VCPU_REGS_RAX, m->regs[VCPU_REGS_RAX]);
		forget(m);
	}
	return false;
}

enum chariot_action chariot_image_fetch(struct chariot_fault *f)
{
	struct chariot_vm *vm = f->vm;
	struct chariot_image *m;

	lockdep_assert_held(&vm->lock);
	if (!vm->image.gva || f->rip != vm->image_ret ||
	    chariot_x86_ops->get_cpl(f->vcpu))
		return CHARIOT_PASS;
	m = find(vm, f->rsp);
	if (!m)
		return CHARIOT_PASS;
	switch (m->state) {
	case ASKED:
		return wait_for(f, m);
	case ANSWERED:
		return carry_out(f, m);
	case COMES:
	case CALLS:
		break;
	}
	return ask(f, m);
}

/* ---- answers -------------------------------------------------------------- */

int chariot_image_call(struct chariot_vm *vm, u64 seq, const struct chariot_call *call,
		       u64 cookie)
{
	struct chariot_image *m = find_asked(vm, seq);
	struct chariot_walk walk;

	lockdep_assert_held(&vm->lock);
	if (!m)
		return -ENOENT;
	if (chariot_guest_walk(vm->kvm, vm->cr, call->fn, &walk) || !walk.executable)
		return -EFAULT;
	/* Its return would not be seen. */
	if (chariot_view_watched(vm, walk.gpa >> PAGE_SHIFT))
		return -EINVAL;
	m->state = ANSWERED;
	m->call = *call;
	m->cookie = cookie;
	return chariot_continue(vm, seq, false);
}

int chariot_image_continue(struct chariot_vm *vm, const struct chariot_continue *c)
{
	struct chariot_image *m = find_asked(vm, c->seq);

	lockdep_assert_held(&vm->lock);
	if (m && !(c->flags & CHARIOT_CONTINUE_NEVER)) {
		m->state = ANSWERED;
		m->call.fn = 0;
		m->returns = c->flags & CHARIOT_CONTINUE_RETURN;
		m->value = c->value;
	} else if (m || c->flags & CHARIOT_CONTINUE_RETURN) {
		return chariot_waiting(vm, c->seq) ? -EINVAL : -ENOENT;
	}
	return chariot_continue(vm, c->seq, c->flags & CHARIOT_CONTINUE_NEVER);
}
