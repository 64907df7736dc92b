// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of a domain's module, copied from a caller and checked.
 * Called by part and recover.
 */
#include "check.h"
#include "domain.h"
#include "cache.h"

#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

/* By kind: code of the driver, which is looked up most, comes first. */
static int range_cmp(const void *a, const void *b)
{
	const struct chariot_range *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->gva < y->gva ? -1 : x->gva > y->gva;
}

static int check_range(const struct chariot_range *r)
{
	if (r->kind >= CHARIOT_NR_RANGE_KINDS || r->flags || !r->len ||
	    r->len > CHARIOT_MAX_OBJECT || r->gva + r->len < r->gva)
		return -EINVAL;
	if (r->kind <= CHARIOT_RANGE_INIT_TEXT &&
	    (offset_in_page(r->gva) || offset_in_page(r->len)))
		return -EINVAL;
	return 0;
}

static bool flags_ok(const struct chariot_op *op)
{
	switch (op->op) {
	case CHARIOT_OP_WALK:
		return !(op->flags & ~CHARIOT_WALK_NOW);
	case CHARIOT_OP_REVOKE:
		return !(op->flags & ~CHARIOT_REVOKE_FREE) &&
		       (!op->flags || (!op->phase && !op->map));
	case CHARIOT_OP_CHECK:
		return !(op->flags & 15) && op->flags <= CHARIOT_CHECK_IN(5);
	default:
		return !op->flags;
	}
}

static int check_op(const struct chariot_op *op, u32 nr_ops)
{
	if (op->op >= CHARIOT_NR_OPS || op->phase >= CHARIOT_NR_PHASES ||
	    op->base > CHARIOT_CURRENT || op->nr_deref > 2 ||
	    op->map >= CHARIOT_NR_MAPS || op->len_kind >= CHARIOT_NR_LENS ||
	    op->len_a > CHARIOT_THIS || op->len_mul > CHARIOT_MAX_OBJECT ||
	    op->len_add > CHARIOT_MAX_OBJECT || op->len_shift > 63 ||
	    !flags_ok(op))
		return -EINVAL;
	if ((op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	     op->len_kind == CHARIOT_LEN_FIELD_AT) && op->nr_deref > 1)
		return -EINVAL;
	if (op->len_kind == CHARIOT_LEN_FIELD ||
	    op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	    op->len_kind == CHARIOT_LEN_FIELD_AT ?
	    op->len_b > 8 || !is_power_of_2(op->len_b) : op->len_b > 5)
		return -EINVAL;
	if (op->phase == CHARIOT_PHASE_CALLBACK &&
	    (op->op != CHARIOT_OP_GRANT || op->base >= CHARIOT_RET ||
	     op->map == CHARIOT_MAP_PERCPU))
		return -EINVAL;
	if (op->map == CHARIOT_MAP_OBJECT && op->op != CHARIOT_OP_REVOKE)
		return -EINVAL;
	if (op->op == CHARIOT_OP_REVOKE && (op->len_kind || op->len_add) &&
	    (op->phase || op->map > CHARIOT_MAP_PAGE))
		return -EINVAL;
	if (op->op == CHARIOT_OP_REACH && op->phase != CHARIOT_PHASE_POST)
		return -EINVAL;
	if (op->op == CHARIOT_OP_WALK || op->op == CHARIOT_OP_REACH ?
	    op->map || op->sub > nr_ops || op->nr_sub > nr_ops - op->sub :
	    op->sub || op->nr_sub || op->stride ||
	    op->len_kind == CHARIOT_LEN_LIST)
		return -EINVAL;
	if ((op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND) &&
	    op->map == CHARIOT_MAP_PERCPU)
		return -EINVAL;
	if (op->op == CHARIOT_OP_CHECK &&
	    (op->phase || op->nr_deref > 1 || op->map ||
	     /* Both want deref[1]. */
	     op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	     op->len_kind == CHARIOT_LEN_FIELD_AT ||
	     op->deref[1] < 0 || op->deref[1] > CHARIOT_RET))
		return -EINVAL;
	return 0;
}

static int check_rule(const struct chariot_op *op)
{
	return op->op == CHARIOT_OP_GRANT && op->phase == CHARIOT_PHASE_PRE &&
	       op->base == CHARIOT_CURRENT && !op->map &&
	       op->len_kind == CHARIOT_LEN_CONST ? 0 : -EINVAL;
}

/* They are all run at each call, and may read a string each. */
static int check_checks(const struct chariot_op *op, u32 nr)
{
	u32 n = 0;

	for (; nr--; op++)
		n += op->op == CHARIOT_OP_CHECK ||
		     op->len_kind == CHARIOT_LEN_STRING;
	return n > CHARIOT_MAX_CHECKS ? -E2BIG : 0;
}

static int check_gates(const struct chariot_part *p,
		       const struct chariot_gate *g, u32 nr, u16 flags)
{
	u32 i;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		if (g[i].flags & ~flags || g[i].op > p->nr_ops ||
		    g[i].nr_ops > p->nr_ops - g[i].op ||
		    (i && g[i].gva <= g[i - 1].gva))
			return -EINVAL;
		err = check_checks(p->ops + g[i].op, g[i].nr_ops);
	}
	return err;
}

void *chariot_copy_table(struct chariot_part *p, u64 ptr, u32 nr,
			 size_t size, u32 max)
{
	void *table;

	if (nr > max)
		return ERR_PTR(-E2BIG);
	table = kvmalloc_array(nr + 1, size, GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(table, u64_to_user_ptr(ptr), nr * size)) {
		kvfree(table);
		return ERR_PTR(-EFAULT);
	}
	p->tables += nr * size;
	return table;
}

#define COPY_TABLE2(p, to, args, what, max)				\
({									\
	void *t = chariot_copy_table(p, (args)->what, (args)->nr_##what, \
				     sizeof(*(to)->what), max);	\
	if (!IS_ERR(t)) {						\
		(to)->what = t;						\
		(to)->nr_##what = (args)->nr_##what;			\
	}								\
	PTR_ERR_OR_ZERO(t);						\
})
#define COPY_TABLE(p, args, what, max) COPY_TABLE2(p, p, args, what, max)

/* ---- mode inline ----------------------------------------------------------- */

static bool overlaps(const struct chariot_range *r, u64 gva, u64 len)
{
	return r->gva < gva + len && gva < r->gva + r->len;
}

/* The driver may write none of it, nor be checked elsewhere than by its own code. */
static int check_ranges(const struct chariot_part *p, const struct chariot_cache *img)
{
	const struct chariot_range *r;
	bool runs = false;

	for (r = p->ranges; r < p->ranges + p->nr_ranges; r++) {
		switch (r->kind) {
		case CHARIOT_RANGE_TEXT:
			runs |= chariot_within(r->gva, r->len, img->runtime,
					       img->runtime_len);
			break;
		case CHARIOT_RANGE_INHERIT:
		case CHARIOT_RANGE_LIBRARY:
			return -EINVAL;
		case CHARIOT_RANGE_DATA:
		case CHARIOT_RANGE_INIT_DATA:
		case CHARIOT_RANGE_RULE:
			if (overlaps(r, img->cache, img->cache_lines * sizeof(u64)) ||
			    overlaps(r, img->data, sizeof(struct chariot_inline_data)) ||
			    overlaps(r, img->runtime, img->runtime_len))
				return -EINVAL;
		}
	}
	return runs ? 0 : -EINVAL;
}

static int check_stores(const struct chariot_cache *img)
{
	const struct chariot_store *s = img->stores;
	u32 i;

	for (i = 0; i < img->nr_stores; i++)
		if (!s[i].len || s[i].len > CHARIOT_LINE || s[i].pushed > 16 ||
		    s[i].reserved ||
		    (i && s[i].ret <= s[i - 1].ret))
			return -EINVAL;
	return 0;
}

static bool image_ok(const struct chariot_domain_create *a)
{
	return a->cache_lines >= 64 && a->cache_lines <= 65536 &&
	       is_power_of_2(a->cache_lines) && !(a->runtime % sizeof(u64)) &&
	       a->runtime_len >= CHARIOT_INLINE_PARAMS +
				 sizeof(struct chariot_inline_params) &&
	       chariot_within(a->runtime, a->runtime_len, a->left, 1) &&
	       a->runtime + a->runtime_len > a->runtime &&
	       !(a->cache % sizeof(u64)) && !(a->data % sizeof(u64)) &&
	       a->cache + a->cache_lines * sizeof(u64) > a->cache &&
	       a->data + sizeof(struct chariot_inline_data) > a->data &&
	       !(a->inline_flags & ~CHARIOT_INLINE_COMPARE) && !a->reserved2;
}

static int check_image(struct chariot_part *p, const struct chariot_domain_create *a)
{
	struct chariot_cache *img;
	int err;

	if (a->mode != CHARIOT_MODE_INLINE)
		return memchr_inv(&a->cache, 0, offsetofend(typeof(*a), reserved2) -
						offsetof(typeof(*a), cache)) ?
		       -EINVAL : 0;
	if (!image_ok(a))
		return -EINVAL;
	img = p->cache = chariot_cache_alloc(a);
	if (!img)
		return -ENOMEM;
	p->tables += sizeof(*img) + img->cache_lines * sizeof(*img->fills);
	err = COPY_TABLE2(p, img, a, stores, CHARIOT_MAX_STORES) ?:
	      COPY_TABLE2(p, img, a, functions, CHARIOT_MAX_GATES);
	return err ?: check_ranges(p, img) ?: check_stores(img);
}

int chariot_check_tables(struct chariot_part *p,
		       const struct chariot_domain_create *a)
{
	u32 i;
	int err;

	err = COPY_TABLE(p, a, ranges, CHARIOT_MAX_RANGES) ?:
	      COPY_TABLE(p, a, gates, CHARIOT_MAX_GATES) ?:
	      COPY_TABLE(p, a, entries, CHARIOT_MAX_GATES) ?:
	      COPY_TABLE(p, a, ops, CHARIOT_MAX_OPS);
	for (i = 0; i < p->nr_ranges && !err; i++) {
		err = check_range(&p->ranges[i]);
		p->len += p->ranges[i].len;
	}
	if (!err && p->len > CHARIOT_MAX_OBJECT)
		err = -E2BIG;
	for (i = 0; i < p->nr_ops && !err; i++)
		err = check_op(&p->ops[i], p->nr_ops);
	if (!err && a->nr_rules > p->nr_ops)
		err = -EINVAL;
	p->nr_rules = a->nr_rules;
	for (i = 0; !err && i < p->nr_rules; i++)
		err = check_rule(&p->ops[i]);
	if (err)
		return err;
	sort(p->ranges, p->nr_ranges, sizeof(*p->ranges), range_cmp,
	     NULL);
	return check_image(p, a) ?:
	       check_gates(p, p->gates, p->nr_gates, CHARIOT_GATE_LIBRARY) ?:
	       check_gates(p, p->entries, p->nr_entries,
			   CHARIOT_GATE_INIT | CHARIOT_GATE_EXIT |
			   CHARIOT_GATE_BALANCED | CHARIOT_GATE_REMOVE |
			   CHARIOT_GATE_REQUEST |
			   CHARIOT_GATE_RETURN(7) | CHARIOT_GATE_STAND_IN(15));
}
