// SPDX-License-Identifier: GPL-2.0
/* One op of a gate: which object it is about.  Called by access and gate. */
#include "op.h"

#include <linux/overflow.h>

void chariot_op_begin(struct chariot_domain *dom)
{
	memset(dom->walked, 0, sizeof(dom->walked));
}

int chariot_op_read(struct chariot_domain *dom, u64 gva, void *buf, size_t len)
{
	u64 page = gva & PAGE_MASK, i = gva / PAGE_SIZE % ARRAY_SIZE(dom->walked);
	struct chariot_walk w;

	if (len > PAGE_SIZE - offset_in_page(gva))
		return chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, buf, len);
	if (dom->walked[i].page != page + 1) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, page, &w))
			return -EFAULT;
		dom->walked[i].page = page + 1;
		dom->walked[i].gpa = w.gpa;
	}
	return chariot_guest_read(dom->vm->kvm,
				  dom->walked[i].gpa + offset_in_page(gva), buf,
				  len);
}

/* False: there is nothing to do for this op. */
bool chariot_op_base(struct chariot_domain *dom, const struct chariot_op *op,
		    const struct chariot_values *val, u64 *base)
{
	const struct chariot_kernel *k = &dom->kernel;
	u64 b = val->v[op->base];
	int i;

	if (chariot_null_or_err(b))
		return false;
	for (i = 0; i < op->nr_deref; i++)
		if (chariot_read_u64(dom, b + op->deref[i], &b) || chariot_null_or_err(b))
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

/* One page table walk for each page. */
static bool string_len(struct chariot_domain *dom, u64 at, u64 *len)
{
	struct kvm *kvm = dom->vm->kvm;
	struct chariot_walk w = {};
	char buf[64];
	u64 n;

	for (*len = 0; *len < MAX_STRING; *len += n, at += n) {
		if (!w.left && chariot_guest_walk(kvm, dom->cr, at, &w))
			return false;
		n = min_t(u64, w.left, sizeof(buf) - at % sizeof(buf));
		if (chariot_guest_read(kvm, w.gpa, buf, n))
			return false;
		if (memchr(buf, 0, n)) {
			*len += strnlen(buf, n);
			return true;
		}
		w.gpa += n;
		w.left -= n;
	}
	return false;
}

/* -EFAULT: it cannot be read; -EOVERFLOW. */
int chariot_op_length(struct chariot_domain *dom, const struct chariot_op *op,
		     const struct chariot_values *val, u64 *len)
{
	u64 v = 0, w = 0;

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
	case CHARIOT_LEN_FIELD_SUM:
		if (chariot_null_or_err(val->v[op->len_a]) ||
		    chariot_op_read(dom, val->v[op->len_a] + op->deref[1], &w,
				    op->len_b))
			return -EFAULT;
		fallthrough;
	case CHARIOT_LEN_FIELD:
		if (chariot_null_or_err(val->v[op->len_a]) ||
		    chariot_op_read(dom, val->v[op->len_a] + op->len_off, &v,
				    op->len_b))
			return -EFAULT;
		break;
	case CHARIOT_LEN_FIELD_AT:
		if (chariot_null_or_err(val->v[op->len_a]) ||
		    chariot_read_u64(dom, val->v[op->len_a] + op->len_off, &w) ||
		    chariot_null_or_err(w) ||
		    chariot_op_read(dom, w + op->deref[1], &v, op->len_b))
			return -EFAULT;
		w = 0;
		break;
	case CHARIOT_LEN_STRING:
		if (chariot_null_or_err(val->v[op->len_a]) ||
		    !string_len(dom, val->v[op->len_a], &v))
			return -EFAULT;
		break;
	}
	if (check_add_overflow(v >> op->len_shift, w, &v) ||
	    check_mul_overflow(v, op->len_mul, &v) ||
	    check_add_overflow(v, op->len_add, &v))
		return -EOVERFLOW;
	*len = v;
	return 0;
}

/* False: there is nothing to grant. */
bool chariot_op_len(struct chariot_domain *dom, const struct chariot_op *op,
		   const struct chariot_values *val, u64 *len)
{
	return !chariot_op_length(dom, op, val, len) && *len &&
	       *len <= CHARIOT_MAX_OBJECT;
}

/* What the function would write or give back.  False: nothing.  U64_MAX: too much. */
bool chariot_op_span(struct chariot_domain *dom, const struct chariot_op *op,
		    const struct chariot_values *val, u64 *base, u64 *len)
{
	int err;

	if (!chariot_op_base(dom, op, val, base))
		return false;
	err = chariot_op_length(dom, op, val, len);
	if (err == -EOVERFLOW)
		*len = U64_MAX;
	return err ? err == -EOVERFLOW : *len;
}

#define MAX_ELEMENTS	1024

bool chariot_elements_first(struct chariot_domain *dom,
			   const struct chariot_op *op,
			   const struct chariot_values *val,
			   struct chariot_elements *el)
{
	el->left = MAX_ELEMENTS;
	if (!chariot_op_base(dom, op, val, &el->at))
		return false;
	el->first = el->at;
	if (op->len_kind == CHARIOT_LEN_LIST)
		return true;
	if (chariot_op_length(dom, op, val, &el->left))
		return false;
	el->left = min_t(u64, el->left, MAX_ELEMENTS);
	return el->left;
}

bool chariot_elements_next(struct chariot_domain *dom,
			  const struct chariot_op *op, struct chariot_elements *el)
{
	if (!--el->left)
		return false;
	if (op->len_kind != CHARIOT_LEN_LIST) {
		el->at += op->stride;
		return true;
	}
	if (chariot_read_u64(dom, el->at + op->len_off, &el->at) ||
	    chariot_null_or_err(el->at))
		return false;
	el->at -= op->stride;
	return el->at != el->first;
}
