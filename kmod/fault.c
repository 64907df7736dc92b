// SPDX-License-Identifier: GPL-2.0
/*
 * Every second-stage fault of a VM with Chariot arrives here first.  This is
 * the decision table of Documentation/design.rst, row by row.
 *
 * Called by hook.
 */
#include "fault.h"
#include "access.h"
#include "cross.h"
#include "emulate.h"
#include "event.h"
#include "image.h"
#include "interrupt.h"
#include "life.h"
#include "open.h"
#include "stack.h"
#include "view.h"
#include "watch.h"

#define MAX_INSN	15	/* bytes */

/* ---- driver view, fetch outside the driver ------------------------------- */

static enum chariot_action driver_fetch(struct chariot_fault *f)
{
	if (chariot_domain_range(f->dom, f->rip) == CHARIOT_RANGE_INTR)
		return chariot_interrupt(f);
	if (f->vs->view == f->dom->library)
		return chariot_library_fetch(f);
	return chariot_leave_for(f);
}

/* ---- driver view, write -------------------------------------------------- */

/* The CPU itself writes, on the way to an interrupt or exception handler. */
static bool delivering(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.exception.injected || vcpu->arch.interrupt.injected ||
	       vcpu->arch.nmi_injected;
}

static enum chariot_action walk_write(struct chariot_fault *f)
{
	gfn_t gfn = f->gpa >> PAGE_SHIFT;

	if (chariot_may_write_page(f->dom, gfn))
		return CHARIOT_PASS;
	if (chariot_open_table(f->dom, f->vs, gfn))
		return chariot_end_isolation(f, -ENOMEM, "a page that a page walk writes");
	return CHARIOT_PASS;
}

/* Objects are on most other pages: then there is no need to look. */
static bool open_stack(struct chariot_fault *f)
{
	u64 gva, gfn = f->gpa >> PAGE_SHIFT;

	if (chariot_act_some(&f->dom->act, gfn))
		return false;
	gva = chariot_stack_gva(f->dom, f->vs->entry, f->gpa);
	return gva && !chariot_open_stack(f->dom, gva, gfn);
}

static enum chariot_action driver_write(struct chariot_fault *f)
{
	gfn_t gfn = f->gpa >> PAGE_SHIFT;

	if (delivering(f->vcpu))
		return chariot_suspend(f, "delivery");
	if (chariot_may_write_page(f->dom, gfn)) {
		f->dom->stats.page_grants++;
		return CHARIOT_PASS;
	}
	if (f->dom->mode == CHARIOT_MODE_FAST && open_stack(f))
		return CHARIOT_PASS;
	switch (chariot_domain_range(f->dom, f->rip)) {
	case CHARIOT_RANGE_INHERIT:
	case CHARIOT_RANGE_LIBRARY:
		/* For the kernel's function that had called the driver, as return thunks. */
		if (f->vs->entry && !f->vs->entry->library.rip &&
		    chariot_has_returned(f))
			break;
		return CHARIOT_EMULATE;
	case CHARIOT_RANGE_TEXT:
	case CHARIOT_RANGE_INIT_TEXT:
		return CHARIOT_EMULATE;
	}
	/* A kernel function that shares a page with such a one. */
	return chariot_suspend_caller(f, "beside");
}

/* ---- the fault ----------------------------------------------------------- */

/* gva to gpa under shadow paging; false if the guest itself forbids it. */
static bool resolve(struct chariot_fault *f, u64 cr2_or_gpa)
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

/* ---- the watched pages --------------------------------------------------- */

static bool is_watched(struct chariot_fault *f, u64 gfn)
{
	return chariot_view_watched(f->vm, gfn);
}

static enum chariot_action to_watch(struct chariot_fault *f, unsigned int view)
{
	f->vs->view = view;
	chariot_view_set(f->vcpu, view);
	return CHARIOT_RETRY;
}

/* An instruction that lies on two pages, of which one is watched, runs in no view. */
static bool straddles(struct chariot_fault *f)
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
static enum chariot_action watched_fetch(struct chariot_fault *f)
{
	enum chariot_action a;

	if (straddles(f))
		return CHARIOT_STEP;
	if (chariot_watch_load(f->vm, f->vs, f->vcpu, f->rip, f->rsp))
		return CHARIOT_WAIT;
	if (f->rip == f->vm->oops.gva && chariot_oops(f) == CHARIOT_RETRY)
		return CHARIOT_RETRY;
	a = chariot_image_fetch(f);
	if (a != CHARIOT_PASS)
		return a;
	return to_watch(f, CHARIOT_WATCH_VIEW);
}

static enum chariot_action in_watch_view(struct chariot_fault *f)
{
	bool wait;

	if (!(f->code & PFERR_FETCH_MASK) || is_watched(f, f->gpa >> PAGE_SHIFT))
		return CHARIOT_PASS;
	if (straddles(f))
		return CHARIOT_STEP;
	wait = chariot_image_left(f);
	to_watch(f, 0);
	return wait ? CHARIOT_WAIT : CHARIOT_RETRY;
}

static enum chariot_action in_kernel_view(struct chariot_fault *f)
{
	u64 gfn = f->gpa >> PAGE_SHIFT;

	if (!(f->code & PFERR_FETCH_MASK) || !chariot_view_traps(f->vm, gfn))
		return CHARIOT_PASS;
	if (is_watched(f, gfn))
		return watched_fetch(f);
	f->dom = chariot_domain_of(f->vm, xa_to_value(xa_load(&f->vm->text, gfn)));
	f->dom->stats.exits++;
	return chariot_kernel_fetch(f);
}

static enum chariot_action in_driver_view(struct chariot_fault *f)
{
	enum chariot_action a = CHARIOT_PASS;

	f->dom->stats.exits++;
	if (f->code & PFERR_GUEST_PAGE_MASK) {
		if (f->code & PFERR_WRITE_MASK)
			a = walk_write(f);
	} else if (f->code & PFERR_FETCH_MASK) {
		if (!chariot_may_execute(f->dom, f->vs->view, f->gpa >> PAGE_SHIFT))
			a = driver_fetch(f);
	} else if (f->code & PFERR_WRITE_MASK) {
		a = driver_write(f);
	}
	if (a == CHARIOT_PASS)
		f->dom->stats.exits_kvm++;
	return a;
}

/* KVM's own slots, too: the local APIC's page is mapped by make_spte(). */
static bool has_slot(struct chariot_fault *f)
{
	struct kvm_memory_slot *slot =
		kvm_call(gfn_to_memslot)(f->vm->kvm, f->gpa >> PAGE_SHIFT);

	return slot && !(slot->flags & KVM_MEMSLOT_INVALID);
}

static enum chariot_action decide(struct chariot_fault *f, u64 cr2_or_gpa)
{
	struct chariot_vcpu *vs = f->vs;

	lockdep_assert_held(&f->vm->lock);
	chariot_view_slots(f->vm);
	if (vs->wait_seq)
		return CHARIOT_WAIT;
	if (chariot_vcpu_elsewhere(f->vcpu))
		return CHARIOT_PASS;
	/* KVM sets it before it zaps all, and so before anything comes of it. */
	if ((f->vm->nr_domains || f->vm->watch) &&
	    chariot_kvm_nx_huge_pages(f->vm->kvm))
		return chariot_end_isolation(f, -EOPNOTSUPP, "kvm's nx_huge_pages was switched on");
	if (chariot_watch_reset(f->vm, f->vcpu))
		chariot_vm_restarted(f->vm, f->vcpu);
	if (chariot_watch_kernel(f->vm, vs, f->vcpu))
		return CHARIOT_WAIT;
	f->dom = chariot_domain_in(f->vm, vs->view);
	if (!chariot_view_is(f->vcpu, vs->view)) {
		/* The domain went, or KVM made the role anew. */
		chariot_view_set(f->vcpu, vs->view);
		return CHARIOT_RETRY;
	}
	if (!(f->vm->nr_domains || f->vm->watch & CHARIOT_WATCH_LOAD ||
	      vs->view) || !resolve(f, cr2_or_gpa))
		return CHARIOT_PASS;
	if (!has_slot(f)) {
		/* A kernel that has just begun looks for its devices. */
		if (!vs->view && chariot_watch_kexec(f->vm, f->vcpu))
			chariot_vm_restarted(f->vm, f->vcpu);
		return CHARIOT_PASS;
	}
	f->rip = kvm_call(kvm_get_linear_rip)(f->vcpu);
	f->rsp = chariot_reg_read(f->vcpu, VCPU_REGS_RSP);
	if (vs->view == CHARIOT_WATCH_VIEW)
		return in_watch_view(f);
	return vs->view ? in_driver_view(f) : in_kernel_view(f);
}

static bool calls_next(struct chariot_fault *f)
{
	u32 kind = chariot_domain_range(f->dom, f->rip);

	return kind == CHARIOT_NR_RANGE_KINDS ||
	       (kind == CHARIOT_RANGE_LIBRARY && f->vs->view == f->dom->nr);
}

/*
 * What was emulated may have been a call: handle it now, and not in an exit of
 * its own.  Not under vm->lock.
 */
static void fetch_ahead(struct chariot_fault *f)
{
	if (chariot_vm_lock(f->vm))
		return;
	f->dom = chariot_domain_in(f->vm, f->vs->view);
	f->rip = kvm_call(kvm_get_linear_rip)(f->vcpu);
	f->rsp = chariot_reg_read(f->vcpu, VCPU_REGS_RSP);
	if (f->dom && !f->vs->wait_seq && !f->vcpu->arch.exception.pending &&
	    calls_next(f)) {
		f->dom->stats.ahead++;
		/* CHARIOT_WAIT is found again at the next fault. */
		driver_fetch(f);
	}
	chariot_vm_unlock(f->vm);
}

/* What was to be emulated is no write of a driver that goes on. */
static void fail_now(struct chariot_fault *f)
{
	if (chariot_vm_lock(f->vm))
		return;
	f->vs->failing = false;
	f->dom = chariot_domain_in(f->vm, f->vs->view);
	f->rip = kvm_call(kvm_get_linear_rip)(f->vcpu);
	if (f->dom && f->vs->entry)
		chariot_fail_driver(f, CHARIOT_WHY_WRITE);
	chariot_vm_unlock(f->vm);
}

int chariot_page_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, u64 code,
		       void *insn, int insn_len)
{
	struct chariot_fault f = { .vcpu = vcpu, .code = code };
	enum chariot_action a = CHARIOT_PASS;
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
	case CHARIOT_PASS:
		r = kvm_call(kvm_mmu_page_fault)(vcpu, cr2_or_gpa, code, insn,
						  insn_len);
		break;
	case CHARIOT_EMULATE:
		r = chariot_emulate_write(f.vm, f.vs, vcpu, cr2_or_gpa, f.gpa,
					  insn, insn_len);
		if (r > 0)
			r = chariot_emulate_ahead(f.vm, f.vs, vcpu);
		if (f.vs->failing)
			fail_now(&f);
		else if (r > 0)
			fetch_ahead(&f);
		break;
	case CHARIOT_WAIT:
		r = chariot_wait(f.vm, f.vs, vcpu) ?: 1;
		break;
	case CHARIOT_STEP:
		r = chariot_emulate_step(f.vm, vcpu);
		break;
	case CHARIOT_RETRY:
		break;
	}
put:
	chariot_vm_put(f.vm);
	return r;
}
