// SPDX-License-Identifier: GPL-2.0
#include "watch.h"
#include "event.h"
#include "recover.h"
#include "view.h"

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

static const u8 nop5[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

/* A hypercall of this CPU's kind, and a two-byte nop. */
static void trap_insn(u8 insn[5])
{
	static const u8 vmmcall[5] = { 0x0f, 0x01, 0xd9, 0x66, 0x90 };
	static const u8 vmcall[5] = { 0x0f, 0x01, 0xc1, 0x66, 0x90 };

	memcpy(insn, chariot_kvm_is_amd() ? vmmcall : vmcall, 5);
}

int chariot_watch_plant(struct chariot_vm *vm, struct chariot_cr cr, u64 gva,
			u64 *gpa)
{
	struct chariot_walk walk;
	u8 insn[5];

	if (chariot_guest_walk(vm->kvm, cr, gva, &walk) ||
	    walk.left < sizeof(insn) ||
	    chariot_guest_read(vm->kvm, walk.gpa, insn, sizeof(insn)))
		return -EFAULT;
	if (memcmp(insn, nop5, sizeof(nop5)))
		return -ENOEXEC;
	trap_insn(insn);
	if (chariot_guest_write(vm->kvm, walk.gpa, insn, sizeof(insn)))
		return -EFAULT;
	*gpa = walk.gpa;
	return 0;
}

void chariot_watch_unplant(struct chariot_vm *vm, u64 gpa)
{
	u8 ours[5], insn[5];

	trap_insn(ours);
	/* After a reset of the guest something else may be there. */
	if (!chariot_guest_read(vm->kvm, gpa, insn, sizeof(insn)) &&
	    !memcmp(insn, ours, sizeof(insn)))
		chariot_guest_write(vm->kvm, gpa, nop5, sizeof(nop5));
}

bool chariot_watch_is_trap(struct chariot_vm *vm, struct chariot_cr cr, u64 gva)
{
	u8 ours[5], insn[4];

	trap_insn(ours);
	ours[3] = 0xc3;
	return !chariot_guest_read_va(vm->kvm, cr, gva, insn, sizeof(insn)) &&
	       !memcmp(insn, ours, sizeof(insn));
}

static int load_arm(struct chariot_vm *vm, const struct chariot_watch *w)
{
	struct chariot_cr cr = { w->cr3, w->cr4 };
	int err = chariot_watch_plant(vm, cr, w->load_gva, &vm->load_gpa);

	if (err)
		return err;
	vm->load_gva = w->load_gva;
	/* Lasting ones; those of a KERNEL event may be a process's. */
	vm->cr = cr;
	vm->watch |= CHARIOT_WATCH_LOAD;
	return 0;
}

static void load_disarm(struct chariot_vm *vm)
{
	if (!(vm->watch & CHARIOT_WATCH_LOAD))
		return;
	vm->watch &= ~CHARIOT_WATCH_LOAD;
	chariot_watch_unplant(vm, vm->load_gpa);
}

void chariot_watch_disarm(struct chariot_vm *vm)
{
	load_disarm(vm);
	vm->watch = 0;
	vm->watcher = NULL;
}

int chariot_watch_set(struct chariot_vm *vm, struct chariot_handle *h,
		      const struct chariot_watch *w)
{
	bool same = vm->watch & CHARIOT_WATCH_LOAD &&
		    vm->load_gva == w->load_gva;
	int err;

	lockdep_assert_held(&vm->lock);
	if (vm->watcher && vm->watcher != h)
		return w->flags ? -EBUSY : 0;
	if (w->flags & CHARIOT_WATCH_LOAD && !same) {
		if (vm->watch & CHARIOT_WATCH_LOAD)
			return -EBUSY;
		err = load_arm(vm, w);
		if (err)
			return err;
	} else if (!(w->flags & CHARIOT_WATCH_LOAD)) {
		load_disarm(vm);
	}
	vm->watch &= ~CHARIOT_WATCH_KERNEL;
	vm->watch |= w->flags & CHARIOT_WATCH_KERNEL;
	vm->watcher = vm->watch ? h : NULL;
	if (w->flags)
		vm->timeout_ms = w->timeout_ms;
	/* Make a guest that runs from mapped memory alone fault once. */
	if (w->flags & CHARIOT_WATCH_KERNEL)
		chariot_view_zap_all(vm);
	return 0;
}

static void reset(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_RESET, .vcpu = vcpu->vcpu_idx,
	};

	chariot_vm_reset(vm);
	chariot_event_send(vm, &ev, NULL);
}

void chariot_watch_reset(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	lockdep_assert_held(&vm->lock);
	if (vcpu->vcpu_id || vcpu->arch.cr0 & X86_CR0_PE ||
	    !(vm->nr_domains || vm->watch & CHARIOT_WATCH_LOAD))
		return;
	reset(vm, vcpu);
}

void chariot_watch_kexec(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	struct chariot_walk walk;
	u8 ours[5], insn[5];

	lockdep_assert_held(&vm->lock);
	if (!(vm->watch & CHARIOT_WATCH_LOAD) ||
	    !(vcpu->arch.efer & EFER_LMA) || chariot_x86_ops->get_cpl(vcpu))
		return;
	trap_insn(ours);
	if (!chariot_guest_walk(vm->kvm, chariot_vcpu_cr(vcpu), vm->load_gva,
				&walk) &&
	    walk.gpa == vm->load_gpa &&
	    !chariot_guest_read(vm->kvm, walk.gpa, insn, sizeof(insn)) &&
	    !memcmp(insn, ours, sizeof(insn)))
		return;
	reset(vm, vcpu);
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
	u64 rip = kvm_call(kvm_get_linear_rip)(vcpu), lstar;

	lockdep_assert_held(&vm->lock);
	if (!(vm->watch & CHARIOT_WATCH_KERNEL) || vs->wait_seq)
		return false;
	if (!(vcpu->arch.efer & EFER_LMA) || rip < CHARIOT_KERNEL_HALF ||
	    chariot_x86_ops->get_cpl(vcpu) ||
	    kvm_call(kvm_get_msr)(vcpu, MSR_LSTAR, &lstar) ||
	    lstar < CHARIOT_KERNEL_HALF || !is_kernel_of(vm, vcpu, rip, lstar))
		return false;
	vm->watch &= ~CHARIOT_WATCH_KERNEL;
	vm->cr = chariot_vcpu_cr(vcpu);
	vm->lstar = lstar;
	ev.u.kernel.cr3 = vm->cr.cr3;
	ev.u.kernel.cr4 = vm->cr.cr4;
	ev.u.kernel.lstar = lstar;
	ev.u.kernel.rip = rip;
	chariot_wait_begin(vm, vs, &ev);
	return true;
}

/* kvm_emulate_hypercall(): is it the one that we planted? */
static bool at_load_point(struct chariot_vm *vm, struct chariot_vcpu *vs,
			  struct kvm_vcpu *vcpu)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_LOAD, .vcpu = vcpu->vcpu_idx,
	};
	struct chariot_cr cr;

	if (!vm->load_gva ||
	    kvm_call(kvm_get_linear_rip)(vcpu) != vm->load_gva ||
	    chariot_x86_ops->get_cpl(vcpu))
		return false;
	if (vs->wait_seq || !(vm->watch & CHARIOT_WATCH_LOAD))
		return true;
	cr = chariot_vcpu_cr(vcpu);
	ev.u.load.module = chariot_reg_read(vcpu, VCPU_REGS_RDI);
	ev.u.load.cr3 = cr.cr3;
	ev.u.load.cr4 = cr.cr4;
	chariot_wait_begin(vm, vs, &ev);
	return true;
}

int chariot_hypercall(struct kvm_vcpu *vcpu)
{
	struct chariot_vm *vm = chariot_vm_get(vcpu->kvm);
	struct chariot_vcpu *vs = NULL;
	bool ours = false, done = false;
	int err = 0;

	if (vm) {
		mutex_lock(&vm->lock);
		vs = chariot_vcpu_of(vm, vcpu);
		ours = vs && at_load_point(vm, vs, vcpu);
		done = vs && !ours && chariot_recover_hypercall(vm, vs, vcpu);
		mutex_unlock(&vm->lock);
	}
	if (done) {
		chariot_vm_put(vm);
		return 1;
	}
	if (ours) {
		if (vs->wait_seq)
			err = chariot_wait(vm, vs, vcpu);
		/* The nop that the guest meant to execute. */
		if (!err)
			chariot_reg_write(vcpu, VCPU_REGS_RIP,
					  vm->load_gva + sizeof(nop5));
		chariot_vm_put(vm);
		return err ?: 1;
	}
	if (vm)
		chariot_vm_put(vm);
	err = kvm_call(kvm_emulate_hypercall)(vcpu);
	/* Not a tail call: redirect() knows our calls by their return address. */
	barrier();
	return err;
}
