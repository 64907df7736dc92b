// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers in mode inline: hypercalls of their runtime.  Called by hook.
 *
 * Whatever is to be done but "go on" is done by us: the vCPU gets the registers that the
 * driver had, as if it had faulted where it stands, and the same code as for the other
 * modes decides.  If it leaves RIP there, the runtime goes on.
 */
#include "inline.h"
#include "access.h"
#include "ask.h"
#include "cross.h"
#include "event.h"
#include "frame.h"
#include "gate.h"
#include "cache.h"
#include "record.h"
#include "recover.h"
#include "stack.h"
#include "trace.h"
#include "violation.h"

#include <asm/trapnr.h>
#include <linux/slab.h>

#define INSN		3	/* bytes of vmcall, vmmcall */
#define REGS		16

/* What becomes of the vCPU. */
enum outcome {
	NOT_OURS,
	GO_ON,			/* the runtime, with a result */
	LOADED,			/* where we have put it */
	WAIT,			/* and do it again */
};

struct hypercall {
	struct chariot_fault f;
	struct chariot_cache *img;
	struct chariot_inline_frame regs;
	u64 result;
	struct {
		u64 r[REGS], rip, rflags;
	} saved;
};

/* ---- the driver's registers ------------------------------------------------- */

/* The driver is at @rip. */
static void load(struct hypercall *c, u64 rip, u64 rsp)
{
	struct kvm_vcpu *vcpu = c->f.vcpu;
	int i;

	for (i = 0; i < REGS; i++) {
		c->saved.r[i] = chariot_reg_read(vcpu, i);
		chariot_reg_write(vcpu, i, c->regs.r[i]);
	}
	c->saved.rip = chariot_reg_read(vcpu, CHARIOT_REG_RIP);
	c->saved.rflags = kvm_call(kvm_get_rflags)(vcpu);
	chariot_reg_write(vcpu, VCPU_REGS_RSP, rsp);
	chariot_reg_write(vcpu, CHARIOT_REG_RIP, rip);
	chariot_rflags_write(vcpu, (c->regs.flags & CHARIOT_RECORD_FLAGS) | X86_EFLAGS_FIXED);
	c->f.rip = c->f.vs->inlined.rip = rip;
	c->f.rsp = c->f.vs->inlined.rsp = rsp;
}

static enum outcome unload(struct hypercall *c, enum outcome o)
{
	struct kvm_vcpu *vcpu = c->f.vcpu;
	int i;

	for (i = 0; i < REGS; i++)
		chariot_reg_write(vcpu, i, c->saved.r[i]);
	chariot_reg_write(vcpu, CHARIOT_REG_RIP, c->saved.rip);
	chariot_rflags_write(vcpu, c->saved.rflags);
	return o;
}

/* Is it still where load() has put it? */
static bool stays(struct hypercall *c)
{
	return chariot_reg_read(c->f.vcpu, CHARIOT_REG_RIP) == c->f.rip &&
	       chariot_reg_read(c->f.vcpu, VCPU_REGS_RSP) == c->f.rsp &&
	       !c->f.vcpu->arch.exception.pending;
}

/* What the guest has made of its own runtime. */
static enum outcome general_protection(struct hypercall *c)
{
	kvm_call(kvm_queue_exception_e)(c->f.vcpu, X86_TRAP_GP, 0);
	return LOADED;
}

/* Whose code it is, on the stack at @rsp. */
static void find_entry(struct hypercall *c, u64 rsp)
{
	c->f.vs->entry = chariot_record_take(c->f.dom, c->f.vs, rsp);
}

/* The driver was stopped, and this is no code that may run on. */
static bool must_not_run(const struct hypercall *c)
{
	return c->f.vs->entry && !chariot_recover_runs(c->f.dom, c->f.vs->entry);
}

/* ---- stores ------------------------------------------------------------------ */

struct write {
	const struct chariot_store *store;
	u64 gva, len;
	bool range;
};

static bool string_of(const struct hypercall *c, struct write *w)
{
	u64 nr = c->regs.r[VCPU_REGS_RCX];

	if (check_mul_overflow(nr, w->len, &w->len))
		w->len = U64_MAX;
	w->gva = c->regs.r[VCPU_REGS_RDI];
	if (nr && c->regs.flags & X86_EFLAGS_DF)
		w->gva -= (nr - 1) * w->store->len;
	return nr;
}

static enum chariot_may may_write(struct hypercall *c, const struct write *w)
{
	/* As a CHECK: a length that was negative is refused, whatever is there. */
	return w->len > CHARIOT_MAX_OBJECT ? CHARIOT_MAY_NOT :
	       chariot_may_write(c->f.dom, c->f.vs, w->gva, w->len);
}

#define MAX_FILLS	64	/* by one string instruction */

static bool fill(struct hypercall *c, const struct write *w, bool device)
{
	u64 at = w->gva & ~(CHARIOT_LINE - 1);
	bool all = true;
	int i;

	for (i = 0; i < MAX_FILLS && at < w->gva + w->len; i++, at += CHARIOT_LINE)
		all &= chariot_cache_fill(c->f.dom, c->img, at, device);
	return all;
}

static void allowed(struct hypercall *c, const struct write *w, enum chariot_may may)
{
	struct chariot_domain *dom = c->f.dom;
	struct chariot_stats *st = &dom->stats;
	bool device = may == CHARIOT_MAY_DEVICE;
	bool filled = (may == CHARIOT_MAY_ACT || device) && !chariot_failed(dom) &&
		      fill(c, w, device);

	trace_chariot_write(dom->nr, c->f.rip, w->gva, w->len, may);
	if (w->range)
		st->misses_range++;
	else if (may == CHARIOT_MAY_ACT || device)
		filled ? st->misses_filled++ : st->misses_partial++;
	else if (may == CHARIOT_MAY_STACK)
		st->misses_stack++;
	else if (may == CHARIOT_MAY_ARGUMENT)
		st->misses_argument++;
	else
		st->misses_other++;
}

static enum outcome denied(struct hypercall *c, const struct write *w)
{
	struct chariot_violation v = {
		.why = CHARIOT_WHY_WRITE, .gva = w->gva, .gpa = ~0ULL,
		.len = min_t(u64, w->len, U32_MAX), .origin = w->store->origin,
	};
	struct chariot_domain *dom = c->f.dom;
	struct chariot_walk walk;

	if (!chariot_guest_walk(dom->vm->kvm, dom->cr, w->gva, &walk))
		v.gpa = walk.gpa;
	if (chariot_ask(dom, c->f.vs, c->f.vcpu, &v) == CHARIOT_ASK_WAIT)
		return WAIT;
	switch (chariot_violation(dom, c->f.vs, c->f.vcpu, &v)) {
	case CHARIOT_VERDICT_SKIP:
		c->result = w->store->skip;
		return GO_ON;
	case CHARIOT_VERDICT_OOPS:
		return general_protection(c);
	case CHARIOT_VERDICT_PAUSE:
		return WAIT;
	case CHARIOT_VERDICT_RECOVER:
		chariot_fail_driver(&c->f, CHARIOT_WHY_WRITE);
		return LOADED;
	}
	return GO_ON;
}

static enum outcome miss(struct hypercall *c, bool range)
{
	struct chariot_vcpu *vs = c->f.vs;
	struct write w = { .range = range, .gva = c->regs.what };
	enum chariot_may may = CHARIOT_MAY_NOT;

	w.store = chariot_cache_store(c->img, c->regs.ret);
	if (!w.store)
		return general_protection(c);
	w.len = w.store->len;
	c->f.rip = vs->inlined.rip = w.store->rip;
	c->f.rsp = vs->inlined.rsp = c->regs.r[VCPU_REGS_RSP] + 8 * w.store->pushed;
	if (c->img->flags & CHARIOT_INLINE_COMPARE)
		chariot_cache_compare(c->f.dom, c->img);
	if (range && !string_of(c, &w))
		return GO_ON;
	/* Mostly it does not matter in which call. */
	if (!chariot_failed(c->f.dom))
		may = may_write(c, &w);
	if (!may) {
		find_entry(c, c->f.rsp);
		if (must_not_run(c)) {
			chariot_give_up(&c->f);
			return LOADED;
		}
		/* Stopped, and there is nowhere to go back to. */
		if (chariot_failed(c->f.dom) && !vs->entry) {
			c->result = w.store->skip;
			return GO_ON;
		}
		may = may_write(c, &w);
	}
	if (!may)
		return denied(c, &w);
	allowed(c, &w, may);
	return GO_ON;
}

/* ---- calls of the kernel ------------------------------------------------------ */

static u64 function_of(const struct hypercall *c)
{
	return c->regs.what < c->img->nr_functions ? c->img->functions[c->regs.what] : 0;
}

/* The driver was called unseen: what is known is its stack. */
static struct chariot_entry *unknown_entry(struct hypercall *c)
{
	struct chariot_entry *e = kmalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);

	if (!e)
		return NULL;
	memset(e, 0, offsetof(struct chariot_entry, got));
	e->slot = c->f.rsp;
	e->ret = c->regs.ret;
	e->kept = true;
	e->when = ++c->f.dom->clock;
	return e;
}

static enum outcome pre(struct hypercall *c)
{
	struct chariot_fault *f = &c->f;
	u64 fn = function_of(c);

	if (!fn)
		return GO_ON;
	load(c, fn, c->regs.r[VCPU_REGS_RSP]);
	find_entry(c, f->rsp);
	if (!f->vs->entry)
		f->vs->entry = unknown_entry(c);
	if (!f->vs->entry)
		return unload(c, GO_ON);
	if (must_not_run(c)) {
		chariot_give_up(f);
		return LOADED;
	}
	if (chariot_call(f, chariot_gate_of(f->dom, fn), c->regs.ret, false) ==
	    CHARIOT_WAIT)
		return unload(c, WAIT);
	return stays(c) ? unload(c, GO_ON) : LOADED;
}

static enum outcome post(struct hypercall *c)
{
	u64 rsp = c->regs.r[VCPU_REGS_RSP] + 8;
	struct chariot_frame *frame = chariot_frame_pop(c->f.dom, c->regs.ret, rsp);

	if (!frame)
		return GO_ON;
	load(c, c->regs.ret, rsp);
	chariot_resume(&c->f, frame);
	return LOADED;
}

/* ---- calls of the driver ------------------------------------------------------- */

#define MAX_PROLOGUE	32	/* bytes before "enter" is called */

/* The function that calls "enter", whose call ends at @at. */
static u64 entry_at(const struct chariot_domain *dom, u64 at)
{
	int i;

	for (i = 1; i <= MAX_PROLOGUE; i++)
		if (chariot_entry_of(dom, at - i))
			return at - i;
	return at;
}

static enum outcome spill(struct hypercall *c)
{
	const u64 *r = c->regs.r;
	struct chariot_domain *dom = c->f.dom;
	u32 count = 0;
	struct chariot_inline_record rec = {
		.rsp = r[VCPU_REGS_RSP], .ret = c->regs.ret,
		.entry = entry_at(dom, c->regs.what),
		.args = { r[VCPU_REGS_RDI], r[VCPU_REGS_RSI], r[VCPU_REGS_RDX],
			  r[VCPU_REGS_RCX], r[VCPU_REGS_R8], r[VCPU_REGS_R9] },
		.saved = { r[VCPU_REGS_RBX], r[VCPU_REGS_RBP], r[VCPU_REGS_R12],
			   r[VCPU_REGS_R13], r[VCPU_REGS_R14], r[VCPU_REGS_R15] },
	};

	chariot_preempt_count(dom, c->f.vcpu, &count);
	rec.count = count | (c->regs.flags & CHARIOT_RECORD_FLAGS) << 32;
	dom->stats.spills++;
	chariot_record_rest_all(dom, c->f.vs, rec.rsp + 8);
	chariot_record_rest(dom, chariot_record_keep(dom, c->f.vs, &rec));
	return GO_ON;
}

#define FRAME_WORDS	2	/* a return address, and one so that the stack is aligned */

/* Its return is to be seen: as if the runtime had called it. */
static void see_return(struct hypercall *c, u64 slot)
{
	u64 words[FRAME_WORDS] = { c->img->left, 0 };

	if (!chariot_guest_write_va(c->f.vm->kvm, c->f.dom->cr, slot - sizeof(words),
				    words, sizeof(words)))
		chariot_reg_write(c->f.vcpu, VCPU_REGS_RSP, slot - sizeof(words));
}

static enum outcome enter(struct hypercall *c)
{
	struct chariot_fault *f = &c->f;
	const struct chariot_gate *gate;
	u16 seen = CHARIOT_GATE_INIT | CHARIOT_GATE_EXIT;

	load(c, entry_at(f->dom, c->regs.what), c->regs.r[VCPU_REGS_RSP]);
	gate = chariot_entry_of(f->dom, f->rip);
	chariot_enter(f, gate);
	if (!f->vs->entry || !stays(c))
		return LOADED;
	chariot_record_kept(f->dom, f->vs->entry);
	if (chariot_failed(f->dom))
		seen |= CHARIOT_GATE_REMOVE;
	if (gate && gate->flags & seen)
		see_return(c, f->rsp);
	chariot_reg_write(f->vcpu, CHARIOT_REG_RIP, c->regs.what);
	return LOADED;
}

static enum outcome left(struct hypercall *c)
{
	u64 slot = c->regs.r[VCPU_REGS_RSP] + (FRAME_WORDS - 1) * sizeof(u64);
	struct chariot_entry *e;

	find_entry(c, slot);
	e = c->f.vs->entry;
	if (!e || e->slot != slot)
		return GO_ON;
	load(c, e->ret, slot + 8);
	chariot_leave_for(&c->f);
	return LOADED;
}

/* ---- the hypercall -------------------------------------------------------------- */

/* Whose runtime makes it. */
static struct chariot_cache *image_at(struct chariot_vm *vm, u64 rip,
				      struct chariot_domain **dom)
{
	struct chariot_part *p;
	u32 nr;

	for (nr = 1; nr < CHARIOT_WATCH_VIEW; nr++) {
		*dom = chariot_domain_of(vm, nr);
		if (!*dom || (*dom)->mode != CHARIOT_MODE_INLINE)
			continue;
		for_each_part(p, *dom)
			if (rip - p->cache->runtime < p->cache->runtime_len)
				return p->cache;
	}
	return NULL;
}

static enum outcome by_reason(struct hypercall *c, u64 reason)
{
	switch (reason) {
	case CHARIOT_HC_MISS:
	case CHARIOT_HC_RANGE:
		return miss(c, reason == CHARIOT_HC_RANGE);
	case CHARIOT_HC_PRE:
		return pre(c);
	case CHARIOT_HC_POST:
		return post(c);
	case CHARIOT_HC_SPILL:
		return spill(c);
	case CHARIOT_HC_ENTER:
		return enter(c);
	case CHARIOT_HC_LEFT:
		return left(c);
	}
	return GO_ON;
}

/* Until the driver is heard of again. */
static void rest(struct chariot_vcpu *vs)
{
	struct chariot_domain *dom = chariot_domain_of(vs->vm, vs->inlined.domain);

	if (dom && vs->entry && vs->entry->rip)
		chariot_record_rest(dom, vs->entry);
	else
		kfree(vs->entry);
	vs->entry = NULL;
	vs->inlined.domain = 0;
}

static void go_on(struct kvm_vcpu *vcpu, u64 result)
{
	chariot_reg_write(vcpu, VCPU_REGS_RAX, result);
	chariot_reg_write(vcpu, CHARIOT_REG_RIP,
			  chariot_reg_read(vcpu, CHARIOT_REG_RIP) + INSN);
}

static enum outcome by_domain(struct hypercall *c, struct chariot_domain *dom)
{
	u64 reason = chariot_reg_read(c->f.vcpu, VCPU_REGS_RAX) - CHARIOT_HC;
	struct chariot_vcpu *vs = c->f.vs;
	enum outcome o;

	c->f.dom = dom;
	dom->stats.exits++;
	if (chariot_guest_read_va(dom->vm->kvm, dom->cr,
				  chariot_reg_read(c->f.vcpu, VCPU_REGS_RSP),
				  &c->regs, sizeof(c->regs)))
		return general_protection(c);
	/* It was told to wait, and something else has come first. */
	rest(vs);
	vs->inlined.domain = dom->nr;
	o = by_reason(c, reason);
	/* Who answers may ask about it. */
	if (o != WAIT)
		rest(vs);
	if (o == GO_ON)
		go_on(c->f.vcpu, c->result);
	return o;
}

static enum outcome inline_call(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	u64 rip = kvm_call(kvm_get_linear_rip)(vcpu);
	struct chariot_domain *dom;
	struct hypercall *c;
	enum outcome o = GO_ON;

	if (chariot_x86_ops->get_cpl(vcpu) || chariot_vcpu_elsewhere(vcpu) ||
	    !vm->nr_domains)
		return NOT_OURS;
	c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return NOT_OURS;
	c->img = image_at(vm, rip, &dom);
	c->f.vm = vm;
	c->f.vcpu = vcpu;
	c->f.vs = c->img ? chariot_vcpu_of(vm, vcpu) : NULL;
	if (!c->f.vs)
		o = NOT_OURS;
	else if (c->f.vs->wait_seq)
		o = WAIT;
	else
		o = by_domain(c, dom);
	kfree(c);
	return o;
}

int chariot_hypercall(struct kvm_vcpu *vcpu)
{
	struct chariot_vm *vm = chariot_vm_get(vcpu->kvm);
	enum outcome o = NOT_OURS;
	struct chariot_vcpu *vs = NULL;
	int r;

	if (!vm)
		return kvm_call(kvm_emulate_hypercall)(vcpu);
	r = chariot_vm_lock(vm);
	if (!r) {
		o = chariot_recover_trapped(vm, vcpu) ? LOADED : inline_call(vm, vcpu);
		vs = o == WAIT ? chariot_vcpu_of(vm, vcpu) : NULL;
		chariot_vm_unlock(vm);
	}
	if (!r)
		r = vs ? chariot_wait(vm, vs, vcpu) ?: 1 : 1;
	chariot_vm_put(vm);
	return o == NOT_OURS && r > 0 ? kvm_call(kvm_emulate_hypercall)(vcpu) : r;
}
