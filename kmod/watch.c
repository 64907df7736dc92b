// SPDX-License-Identifier: GPL-2.0
/*
 * Watches: the guest kernel comes up, and loads a module.
 * Called by dev, fault and life.
 */
#include "watch.h"
#include "domain.h"
#include "event.h"
#include "image.h"
#include "point.h"
#include "view.h"

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

static int load_arm(struct chariot_vm *vm, const struct chariot_watch *w)
{
	struct chariot_cr cr = { w->cr3, w->cr4 };
	int err = chariot_point_arm(vm, &vm->load, cr, w->load_gva);

	if (err)
		return err;
	/* Lasting ones; those of a KERNEL event may be a process's. */
	vm->cr = cr;
	memset(vm->told, 0, sizeof(vm->told));
	vm->watch |= CHARIOT_WATCH_LOAD;
	return 0;
}

static void load_disarm(struct chariot_vm *vm)
{
	vm->watch &= ~CHARIOT_WATCH_LOAD;
	chariot_point_disarm(vm, &vm->load);
}

static void image_disarm(struct chariot_vm *vm)
{
	vm->watch &= ~CHARIOT_WATCH_IMAGE;
	chariot_image_disarm(vm);
}

static int image_arm(struct chariot_vm *vm, const struct chariot_watch *w)
{
	int err = chariot_image_arm(vm, (struct chariot_cr){ w->cr3, w->cr4 },
				    w->image_site, w->image_gva);

	if (!err)
		vm->watch |= CHARIOT_WATCH_IMAGE;
	return err;
}

void chariot_watch_disarm(struct chariot_vm *vm)
{
	image_disarm(vm);
	load_disarm(vm);
	vm->watch = 0;
	vm->watcher = 0;
}

/* The points that are asked for and not yet armed; all of them, or -errno. */
static int arm(struct chariot_vm *vm, const struct chariot_watch *w)
{
	u32 new = w->flags & ~vm->watch, armed = w->flags & vm->watch;
	int err;

	if ((armed & CHARIOT_WATCH_LOAD && vm->load.gva != w->load_gva) ||
	    (armed & CHARIOT_WATCH_IMAGE && (vm->image.gva != w->image_site ||
					     vm->image_fn != w->image_gva)))
		return -EBUSY;
	err = new & CHARIOT_WATCH_LOAD ? load_arm(vm, w) : 0;
	if (err || !(new & CHARIOT_WATCH_IMAGE))
		return err;
	err = image_arm(vm, w);
	if (err && new & CHARIOT_WATCH_LOAD)
		load_disarm(vm);
	return err;
}

int chariot_watch_set(struct chariot_vm *vm, struct chariot_handle *h,
		      const struct chariot_watch *w)
{
	int err;

	lockdep_assert_held(&vm->lock);
	if (vm->watcher && vm->watcher != h->id)
		return w->flags ? -EBUSY : 0;
	if (w->flags && chariot_kvm_nx_huge_pages(vm->kvm))
		return -EOPNOTSUPP;
	err = arm(vm, w);
	if (err)
		return err;
	if (!(w->flags & CHARIOT_WATCH_IMAGE))
		image_disarm(vm);
	if (!(w->flags & CHARIOT_WATCH_LOAD))
		load_disarm(vm);
	vm->watch &= ~(CHARIOT_WATCH_KERNEL | CHARIOT_WATCH_ASK);
	vm->watch |= w->flags & (CHARIOT_WATCH_KERNEL | CHARIOT_WATCH_ASK);
	vm->watcher = vm->watch ? h->id : 0;
	if (w->flags)
		vm->timeout_ms = w->timeout_ms;
	/* Make a guest that runs from mapped memory alone fault once. */
	if (w->flags & CHARIOT_WATCH_KERNEL)
		chariot_view_zap_all(vm);
	return 0;
}

bool chariot_watch_reset(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	lockdep_assert_held(&vm->lock);
	return !vcpu->vcpu_id && !(vcpu->arch.cr0 & X86_CR0_PE) &&
	       (vm->nr_domains || vm->watch & CHARIOT_WATCH_LOAD);
}

/* The first range is text, but for a module that has none. */
static bool text_moved(struct chariot_domain *dom, struct chariot_cr cr)
{
	const struct chariot_range *r;
	struct chariot_walk walk;
	struct chariot_part *p;

	for_each_part(p, dom) {
		r = p->ranges;
		if (p->nr_ranges && r->kind == CHARIOT_RANGE_TEXT &&
		    (chariot_guest_walk(dom->vm->kvm, cr, r->gva, &walk) ||
		     !xa_load(&dom->exec, walk.gpa >> PAGE_SHIFT)))
			return true;
	}
	return false;
}

/* With the same kernel at the same place again the load point is right as it is. */
bool chariot_watch_kexec(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	struct chariot_domain *dom;
	struct chariot_cr cr;
	bool moved;
	u32 nr;

	lockdep_assert_held(&vm->lock);
	if (!(vm->watch & CHARIOT_WATCH_LOAD) ||
	    !(vcpu->arch.efer & EFER_LMA) || chariot_x86_ops->get_cpl(vcpu))
		return false;
	cr = chariot_vcpu_cr(vcpu);
	moved = chariot_point_moved(vm, &vm->load, cr);
	for (nr = 1; nr < CHARIOT_WATCH_VIEW && !moved; nr++) {
		dom = chariot_domain_of(vm, nr);
		moved = dom && text_moved(dom, cr);
	}
	return moved;
}

/* After a kexec LSTAR is that of the kernel before, for a while. */
static bool is_kernel_of(struct chariot_vm *vm, struct kvm_vcpu *vcpu, u64 rip,
			 u64 lstar)
{
	struct chariot_walk walk;

	return (rip > lstar ? rip - lstar : lstar - rip) < SZ_64M &&
	       !chariot_guest_walk(vm->kvm, chariot_vcpu_cr(vcpu), lstar,
				   &walk) &&
	       walk.executable;
}

bool chariot_watch_kernel(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_KERNEL, .vcpu = vcpu->vcpu_idx,
	};
	struct msr_data lstar = { .index = MSR_LSTAR };
	u64 rip = kvm_call(kvm_get_linear_rip)(vcpu);

	lockdep_assert_held(&vm->lock);
	if (!(vm->watch & CHARIOT_WATCH_KERNEL) || vs->wait_seq)
		return false;
	if (!(vcpu->arch.efer & EFER_LMA) || rip < CHARIOT_KERNEL_HALF ||
	    chariot_x86_ops->get_cpl(vcpu) ||
	    chariot_x86_ops->get_msr(vcpu, &lstar) ||
	    lstar.data < CHARIOT_KERNEL_HALF || !is_kernel_of(vm, vcpu, rip, lstar.data))
		return false;
	vm->watch &= ~CHARIOT_WATCH_KERNEL;
	vm->cr = chariot_vcpu_cr(vcpu);
	vm->lstar = lstar.data;
	ev.u.kernel.cr3 = vm->cr.cr3;
	ev.u.kernel.cr4 = vm->cr.cr4;
	ev.u.kernel.lstar = lstar.data;
	ev.u.kernel.rip = rip;
	chariot_wait_begin(vm, vs, &ev);
	return true;
}

/* Calls of the function whose first instruction may be yet to come, on each stack. */
static bool was_told(struct chariot_vm *vm, u64 rsp, u64 module)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(vm->told); i++)
		if (vm->told[i].rsp == rsp && vm->told[i].module == module)
			return true;
	i = vm->nr_told++ % ARRAY_SIZE(vm->told);
	vm->told[i].rsp = rsp;
	vm->told[i].module = module;
	return false;
}

/* The function calls others, and is back from one.  Not another thread on another
 * vCPU, whose stack is further away. */
static void forget_told(struct chariot_vm *vm, u64 rsp)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(vm->told); i++)
		if (vm->told[i].rsp - rsp < PAGE_SIZE)
			vm->told[i].rsp = 0;
}

/*
 * Once for each call of the function: an interrupt may come before its first
 * instruction is executed, and the fetch is seen again when that returns.
 */
bool chariot_watch_load(struct chariot_vm *vm, struct chariot_vcpu *vs,
			struct kvm_vcpu *vcpu, u64 rip, u64 rsp)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_LOAD, .vcpu = vcpu->vcpu_idx,
	};
	u64 module = chariot_reg_read(vcpu, VCPU_REGS_RDI);
	struct chariot_cr cr;

	lockdep_assert_held(&vm->lock);
	if (rip != vm->load.gva) {
		forget_told(vm, rsp);
		return false;
	}
	if (!(vm->watch & CHARIOT_WATCH_LOAD) ||
	    chariot_x86_ops->get_cpl(vcpu) || was_told(vm, rsp, module))
		return false;
	cr = chariot_vcpu_cr(vcpu);
	ev.u.load.module = module;
	ev.u.load.cr3 = cr.cr3;
	ev.u.load.cr4 = cr.cr4;
	chariot_wait_begin(vm, vs, &ev);
	return true;
}
