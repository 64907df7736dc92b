// SPDX-License-Identifier: GPL-2.0
#include "gate.h"
#include "frame.h"

#include <linux/overflow.h>

static int read_u64(struct chariot_domain *dom, u64 gva, u64 *val)
{
	return chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, val,
				     sizeof(*val));
}

static bool null_or_err(u64 ptr)
{
	return !ptr || ptr >= (u64)-4095;
}

/* ---- values of an op ---------------------------------------------------- */

/* False: there is nothing to do for this op. */
static bool op_base(struct chariot_domain *dom, const struct chariot_op *op,
		    const struct chariot_values *val, u64 *base)
{
	const struct chariot_kernel *k = &dom->kernel;
	u64 b = val->v[op->base];
	int i;

	if (null_or_err(b))
		return false;
	for (i = 0; i < op->nr_deref; i++)
		if (read_u64(dom, b + op->deref[i], &b) || null_or_err(b))
			return false;
	b += op->offset;
	if (op->map == CHARIOT_MAP_PAGE) {
		if (!k->page_struct_size || b < k->vmemmap_base)
			return false;
		b = k->page_offset + PAGE_SIZE *
			div64_u64(b - k->vmemmap_base, k->page_struct_size);
	}
	*base = b;
	return true;
}

static u64 op_arg(const struct chariot_op *op, const struct chariot_values *val,
		  u8 n)
{
	return op->len_off & BIT(n) ? (u32)val->v[n] : val->v[n];
}

#define MAX_STRING	(64 << 10)

static bool string_len(struct chariot_domain *dom, u64 at, u64 *len)
{
	char buf[64];
	u64 n;

	for (*len = 0; *len < MAX_STRING; *len += n, at += n) {
		n = sizeof(buf) - at % sizeof(buf);
		if (chariot_guest_read_va(dom->vm->kvm, dom->cr, at, buf, n))
			return false;
		if (memchr(buf, 0, n)) {
			*len += strnlen(buf, n);
			return true;
		}
	}
	return false;
}

/* -EFAULT: it cannot be read; -EOVERFLOW. */
static int op_length(struct chariot_domain *dom, const struct chariot_op *op,
		     const struct chariot_values *val, u64 *len)
{
	u64 v = 0;

	switch (op->len_kind) {
	case CHARIOT_LEN_ARG:
		v = op_arg(op, val, op->len_a);
		break;
	case CHARIOT_LEN_ARG_MUL:
		if (check_mul_overflow(op_arg(op, val, op->len_a),
				       op_arg(op, val, op->len_b), &v))
			return -EOVERFLOW;
		break;
	case CHARIOT_LEN_ORDER:
		v = 1ULL << (val->v[op->len_a] & 31);
		break;
	case CHARIOT_LEN_FIELD:
		if (null_or_err(val->v[op->len_a]) ||
		    chariot_guest_read_va(dom->vm->kvm, dom->cr,
					  val->v[op->len_a] + op->len_off,
					  &v, op->len_b))
			return -EFAULT;
		break;
	case CHARIOT_LEN_STRING:
		if (null_or_err(val->v[op->len_a]) ||
		    !string_len(dom, val->v[op->len_a], &v))
			return -EFAULT;
		break;
	}
	if (check_mul_overflow(v, op->len_mul, &v) ||
	    check_add_overflow(v, op->len_add, &v))
		return -EOVERFLOW;
	*len = v;
	return 0;
}

/* False: there is nothing to grant. */
static bool op_len(struct chariot_domain *dom, const struct chariot_op *op,
		   const struct chariot_values *val, u64 *len)
{
	return !op_length(dom, op, val, len) && *len &&
	       *len <= CHARIOT_MAX_OBJECT;
}

/* ---- actions ------------------------------------------------------------ */

static int grant_one(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
		     u64 site)
{
	int err = chariot_domain_grant(dom, gva, len, CHARIOT_SRC_ALLOCATION,
				       gate, site);

	if (!err)
		dom->stats.allocations++;
	/* The guest does not map what it says it allocated: its problem. */
	return err == -EFAULT || err == -EINVAL ? 0 : err;
}

static void revoke_one(struct chariot_domain *dom, u64 gva)
{
	if (chariot_domain_revoke(dom, gva) == -ENOENT)
		dom->stats.unknown_frees++;
	else
		dom->stats.frees++;
}

static int act_on(struct chariot_domain *dom, const struct chariot_op *op,
		  u64 gva, u64 len, u64 gate, u64 site)
{
	if (op->op == CHARIOT_OP_GRANT)
		return grant_one(dom, gva, len, gate, site);
	revoke_one(dom, gva);
	return 0;
}

static int act_on_percpu(struct chariot_domain *dom,
			 const struct chariot_op *op, u64 base, u64 len,
			 u64 gate, u64 site)
{
	u64 cpu, offset;
	int err = 0;

	for (cpu = 0; cpu < min(dom->kernel.nr_cpus, 8192ULL) && !err; cpu++) {
		if (read_u64(dom, dom->kernel.percpu_offsets + 8 * cpu,
			     &offset))
			continue;
		err = act_on(dom, op, base + offset, len, gate, site);
	}
	return err;
}

/* Start of the object that @gva lies in; @gva if there is none. */
static u64 object_of(struct chariot_domain *dom, u64 gva)
{
	struct chariot_obj *obj = chariot_act_prev(&dom->act, gva + 1);

	return obj && obj->last >= gva ? obj->start : gva;
}

static int run_op(struct chariot_domain *dom, const struct chariot_op *op,
		  const struct chariot_values *val, u64 gate, u64 site)
{
	u64 base, len = 0;

	if (op->op == CHARIOT_OP_REVOKE && op->phase == CHARIOT_PHASE_POST &&
	    null_or_err(val->v[CHARIOT_RET]))
		return 0;
	if (!op_base(dom, op, val, &base))
		return 0;
	if (op->map == CHARIOT_MAP_OBJECT)
		base = object_of(dom, base);
	if (op->op == CHARIOT_OP_GRANT && !op_len(dom, op, val, &len))
		return 0;
	if (op->map == CHARIOT_MAP_PERCPU)
		return act_on_percpu(dom, op, base, len, gate, site);
	return act_on(dom, op, base, len, gate, site);
}

static bool check_refuses(struct chariot_domain *dom, struct chariot_vcpu *vs,
			  const struct chariot_op *op,
			  const struct chariot_values *val,
			  struct chariot_refusal *refusal)
{
	u64 base, len;
	int err;

	if (!op_base(dom, op, val, &base))
		return false;
	err = op_length(dom, op, val, &len);
	if (err == -EOVERFLOW)
		len = U64_MAX;
	else if (err || !len)
		return false;
	/* A length that was negative is refused, whatever is there. */
	if (len <= CHARIOT_MAX_OBJECT && chariot_may_write(dom, vs, base, len))
		return false;
	refusal->gva = base;
	refusal->len = len;
	refusal->result = op->deref[1] == CHARIOT_RET ? 0 :
			  val->v[op->deref[1]];
	return true;
}

bool chariot_gate_check(struct chariot_domain *dom, struct chariot_vcpu *vs,
			const struct chariot_gate *gate,
			const struct chariot_values *val,
			struct chariot_refusal *refusal)
{
	const struct chariot_op *op = dom->ops + gate->op;
	const struct chariot_op *end = op + gate->nr_ops;

	lockdep_assert_held(&dom->vm->lock);
	for (; op < end; op++)
		if (op->op == CHARIOT_OP_CHECK &&
		    check_refuses(dom, vs, op, val, refusal))
			return false;
	return true;
}

int chariot_gate_run(struct chariot_domain *dom,
		     const struct chariot_gate *gate, unsigned int phase,
		     const struct chariot_values *val, u64 site)
{
	const struct chariot_op *op = dom->ops + gate->op;
	const struct chariot_op *end = op + gate->nr_ops;
	int err;

	lockdep_assert_held(&dom->vm->lock);
	for (; op < end; op++) {
		if (op->phase != phase || op->op == CHARIOT_OP_CHECK)
			continue;
		err = run_op(dom, op, val, gate->gva, site);
		if (err)
			return err;
	}
	return 0;
}

/* ---- may it write? ------------------------------------------------------ */

/*
 * Kernel stacks are mapped with a guard page at either end, so the stack
 * reaches down from @slot as far as pages are mapped.
 */
u64 chariot_entry_base(struct chariot_domain *dom, struct chariot_entry *e)
{
	struct chariot_walk w;
	u64 page = e->slot & PAGE_MASK;
	int i;

	if (e->base)
		return e->base;
	for (i = 1; i < chariot_stack_size(dom) >> PAGE_SHIFT; i++) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, page - PAGE_SIZE,
				       &w))
			break;
		page -= PAGE_SIZE;
	}
	e->base = page;
	return page;
}

static bool on_own_stack(struct chariot_domain *dom, struct chariot_entry *e,
		     u64 gva, u64 len)
{
	return e && gva < e->slot && len <= e->slot - gva &&
	       e->slot - gva <= chariot_stack_size(dom) &&
	       gva >= chariot_entry_base(dom, e);
}

/* Does an op of @gate grant it, with a base and a length of these values? */
static bool granted(struct chariot_domain *dom, const struct chariot_gate *gate,
		    unsigned int phase, const struct chariot_values *base_of,
		    const struct chariot_values *len_of, u64 gva, u64 len)
{
	const struct chariot_op *op = dom->ops + gate->op;
	const struct chariot_op *end = op + gate->nr_ops;
	u64 base, size;

	for (; op < end; op++)
		if (op->op == CHARIOT_OP_GRANT && op->phase == phase &&
		    op_base(dom, op, base_of, &base) &&
		    op_len(dom, op, len_of, &size) &&
		    gva >= base && len <= size && gva - base <= size - len)
			return true;
	return false;
}

static struct chariot_values values_of(const u64 args[6])
{
	struct chariot_values val = {};

	memcpy(val.v, args, 6 * sizeof(*args));
	return val;
}

/* The objects that the kernel handed over with this call. */
static bool in_argument(struct chariot_domain *dom, struct chariot_entry *e,
			u64 gva, u64 len)
{
	struct chariot_values val = values_of(e->args);

	return e->gate && granted(dom, e->gate, CHARIOT_PHASE_PRE, &val, &val,
				  gva, len);
}

/*
 * The same for what waits further up on this stack: entries, and the functions
 * that they have called, which may hand an object to a callback.
 */
static bool in_outer_argument(struct chariot_domain *dom,
			      struct chariot_entry *e, u64 gva, u64 len)
{
	struct chariot_values mine = values_of(e->args), val;
	struct chariot_frame *f;
	int i;

	hash_for_each(dom->frames, i, f, node) {
		if (f->entry->slot <= e->slot ||
		    f->entry->slot - e->slot >= chariot_stack_size(dom))
			continue;
		if (in_argument(dom, f->entry, gva, len))
			return true;
		val = values_of(f->args);
		if (f->gate && granted(dom, f->gate, CHARIOT_PHASE_CALLBACK,
				       &mine, &val, gva, len))
			return true;
	}
	return false;
}

static enum chariot_may in_act(struct chariot_domain *dom, u64 gva, u64 len)
{
	struct kvm *kvm = dom->vm->kvm;
	struct chariot_walk w;
	u64 n;

	for (; len; len -= n, gva += n) {
		if (chariot_guest_walk(kvm, dom->cr, gva, &w))
			return CHARIOT_MAY_NOT;
		n = min(len, w.left);
		if (chariot_act_covers(&dom->act, w.gpa >> PAGE_SHIFT,
				       offset_in_page(gva), n))
			continue;
		if (!kvm_call(kvm_is_visible_gfn)(kvm, w.gpa >> PAGE_SHIFT))
			return CHARIOT_MAY_DEVICE;
		return CHARIOT_MAY_NOT;
	}
	return CHARIOT_MAY_ACT;
}

enum chariot_may chariot_may_write(struct chariot_domain *dom,
				   struct chariot_vcpu *vs, u64 gva, u64 len)
{
	struct chariot_entry *e = vs->entry;
	enum chariot_may may;

	if (on_own_stack(dom, e, gva, len))
		return CHARIOT_MAY_STACK;
	may = in_act(dom, gva, len);
	if (may)
		return may;
	if (chariot_frames_own(dom, gva, len))
		return CHARIOT_MAY_STACK;
	if (e && (in_argument(dom, e, gva, len) ||
		  in_outer_argument(dom, e, gva, len)))
		return CHARIOT_MAY_ARGUMENT;
	return CHARIOT_MAY_NOT;
}
