// SPDX-License-Identifier: GPL-2.0
/*
 * Is it a violation?  Asked of who knows the guest's bookkeeping.
 * Called by all above it.
 */
#include "ask.h"
#include "event.h"
#include "frame.h"
#include "open.h"
#include "stack.h"

/* What is no use costs the host time: so many in a row, then one each MISS_JIFFIES. */
#define MAX_MISSES	256
#define MISS_JIFFIES	(HZ / 50 ?: 1)
#define MAX_AGAIN	4	/* in a row, about the same */

/* Another call is another question. */
static u64 call_of(const struct chariot_vcpu *vs)
{
	return vs->entry ? vs->entry->when : 0;
}

static bool has_answer(struct chariot_vcpu *vs, u64 rip,
		       struct chariot_violation *v)
{
	bool same = vs->asked.rip == rip && vs->asked.gva == v->gva &&
		    vs->asked.len == v->len && vs->asked.why == v->why &&
		    vs->asked.when == call_of(vs);
	u32 again = vs->asked.again;
	bool granted = same && vs->asked.granted;

	v->no_report = same && vs->asked.never;
	memset(&vs->asked, 0, sizeof(vs->asked));
	/* What was granted then may be gone: it was for a call, or others came. */
	if (granted && again < MAX_AGAIN) {
		vs->asked.again = again + 1;
		return false;
	}
	return same;
}

/* That one was a violation. */
static void missed(struct chariot_domain *dom)
{
	if (!dom->ask_misses)
		dom->ask_since = jiffies;
	dom->ask_misses++;
}

static bool has_patience(struct chariot_domain *dom)
{
	unsigned long back = (jiffies - dom->ask_since) / MISS_JIFFIES;

	if (back) {
		dom->ask_misses -= min_t(unsigned long, back, dom->ask_misses);
		dom->ask_since = jiffies;
	}
	return dom->ask_misses < MAX_MISSES;
}

enum chariot_answer chariot_ask(struct chariot_domain *dom,
				struct chariot_vcpu *vs, struct kvm_vcpu *vcpu,
				struct chariot_violation *v)
{
	struct chariot_event ev = { .type = CHARIOT_EV_ASK };
	u64 rip = chariot_vcpu_rip(vs);

	lockdep_assert_held(&dom->vm->lock);
	if (!(dom->vm->watch & CHARIOT_WATCH_ASK) || v->no_pause || !v->gva)
		return CHARIOT_ASK_NOBODY;
	if (has_answer(vs, rip, v)) {
		missed(dom);
		return CHARIOT_ASK_NO;
	}
	if (!has_patience(dom))
		return CHARIOT_ASK_NOBODY;
	vs->asked.rip = rip;
	vs->asked.gva = v->gva;
	vs->asked.len = v->len;
	vs->asked.why = v->why;
	vs->asked.when = call_of(vs);
	dom->stats.asked++;
	chariot_violation_fill(&ev, dom, vs, vcpu, v);
	ev.verdict = dom->verdict;
	if (chariot_gone_has(&dom->gone_back, v->gva, v->len ?: 1))
		ev.flags |= CHARIOT_EV_GAVE_BACK;
	chariot_wait_begin(dom->vm, vs, &ev);
	return CHARIOT_ASK_WAIT;
}

/* ---- what the answer is looked for in ------------------------------------ */

static void keep(struct chariot_domain *dom, struct chariot_past *p, u64 fn,
		 const u64 args[6], u64 result)
{
	p->fn = fn;
	p->result = result;
	p->when = ++dom->clock;
	memcpy(p->args, args, sizeof(p->args));
}

void chariot_ask_returned(struct chariot_domain *dom, struct chariot_entry *e,
			  u64 fn, const u64 args[6], u64 result)
{
	keep(dom, &e->past[e->nr_past++ % ARRAY_SIZE(e->past)], fn, args, result);
}

void chariot_ask_jumped(struct chariot_domain *dom, struct chariot_entry *e,
			u64 fn, const u64 args[6])
{
	keep(dom, &e->jumped, fn, args, 0);
	e->has_jumped = true;
}

struct rows {
	struct chariot_domain *dom;
	struct chariot_value *row;
	u32 nr, max;
};

/* What it has freed since it was given is no more than an address. */
static void add(struct rows *r, u32 kind, u32 arg, u64 value, u64 fn, u64 when)
{
	if (r->nr < r->max && !chariot_gone_after(&r->dom->gone_back, value, when))
		r->row[r->nr++] = (struct chariot_value){
			.value = value, .fn = fn, .kind = kind, .arg = arg,
		};
}

static void add_past(struct rows *r, const struct chariot_entry *e)
{
	u32 i, j, n, nr = min_t(u32, e->nr_past, ARRAY_SIZE(e->past));

	for (n = 1; n <= nr; n++) {
		i = (e->nr_past - n) % ARRAY_SIZE(e->past);
		add(r, CHARIOT_GIVEN_RET, 0, e->past[i].result, e->past[i].fn,
		    e->past[i].when);
		for (j = 0; j < 6; j++)
			if (e->past[i].args[j] >= PAGE_SIZE)
				add(r, CHARIOT_GIVEN_OUT, j, e->past[i].args[j],
				    e->past[i].fn, e->past[i].when);
	}
}

static void add_entry(struct rows *r, struct chariot_entry *e)
{
	u32 i;

	for (i = 0; i < 6; i++)
		add(r, CHARIOT_GIVEN_ARG, i, e->args[i], e->rip, e->when);
	for (i = 0; e->has_jumped && i < 6; i++)
		add(r, CHARIOT_GIVEN_ARG, i, e->jumped.args[i], e->jumped.fn,
		    e->jumped.when);
	add_past(r, e);
	add(r, CHARIOT_GIVEN_STACK, 0, e->slot + 8, e->ret, e->when);
}

int chariot_ask_given(struct chariot_vm *vm, u64 seq, struct chariot_value *row,
		      u32 max)
{
	struct chariot_vcpu *vs = chariot_waiting(vm, seq);
	struct chariot_domain *dom = vs ? chariot_domain_on(vs) : NULL;
	struct rows r = { dom, row, 0, max };
	struct chariot_entry *e;
	struct chariot_frame *f;
	u64 size;

	if (!dom || !vs->entry)
		return -ENOENT;
	e = vs->entry;
	size = chariot_stack_size(dom);
	add_entry(&r, e);
	for_each_frame(f, dom, e->slot, e->slot + size)
		if (f->entry && f->entry->slot > e->slot &&
		    f->entry->slot - e->slot < size)
			add_entry(&r, f->entry);
	return r.nr;
}

/* ---- what was found for the call ------------------------------------------ */

void chariot_ask_granted(struct chariot_domain *dom)
{
	struct chariot_vcpu *vs;
	unsigned long i;

	xa_for_each(&dom->vm->vcpus, i, vs)
		if (vs->wait_seq && chariot_runs(vs, dom))
			vs->asked.granted = true;
}

int chariot_ask_lend(struct chariot_domain *dom, u64 seq, u64 gva, u64 len)
{
	struct chariot_vcpu *vs = chariot_waiting(dom->vm, seq);
	struct chariot_entry *e = vs ? vs->entry : NULL;
	u32 i;

	if (!e || !chariot_runs(vs, dom))
		return -ENOENT;
	i = e->nr_lent++ % ARRAY_SIZE(e->lent);
	e->lent[i].gva = gva;
	e->lent[i].len = len;
	dom->stats.evidence++;
	/* Then all that is written there needs no emulation. */
	if (vs->asked.why == CHARIOT_WHY_WRITE && dom->mode != CHARIOT_MODE_INLINE &&
	    chariot_within(gva, len, vs->asked.gva & PAGE_MASK, PAGE_SIZE))
		chariot_open_call(dom, vs->asked.gva);
	return 0;
}

bool chariot_ask_lent(struct chariot_vcpu *vs, const struct chariot_entry *e,
		      u64 gva, u64 len)
{
	u32 i;

	for (i = 0; i < min_t(u32, e->nr_lent, ARRAY_SIZE(e->lent)); i++) {
		if (!chariot_within(e->lent[i].gva, e->lent[i].len, gva, len))
			continue;
		vs->found = e->lent[i].gva;
		vs->found_len = e->lent[i].len;
		return true;
	}
	return false;
}
