/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One op of a gate (struct chariot_op): which object it is about, with the values
 * of a call.  It looks at guest memory, and changes nothing.
 */
#ifndef CHARIOT_OP_H
#define CHARIOT_OP_H

#include "domain.h"

#define CHARIOT_MAX_DEPTH	4	/* of WALKs */
#define CHARIOT_MAX_STEPS	4096	/* ops for one call, or one question */

/* Values that an op can name: six arguments, the return value, THIS, CURRENT. */
struct chariot_values {
	u64 v[9];
};

static inline bool chariot_null_or_err(u64 ptr)
{
	return !ptr || ptr >= (u64)-4095;
}

/* Of what a function returned.  NULL is success for those that return an int. */
static inline bool chariot_op_failed(u64 ret)
{
	return ret >= (u64)-4095 || (ret >> 32 == 0 && (u32)ret >= (u32)-4095);
}

/* Before the ops of a call, or a question, are looked at: what is mapped where may have
 * changed. */
void chariot_op_begin(struct chariot_domain *dom);
/* -EFAULT.  A vector of thousands lies on few pages: one page table walk for each. */
int chariot_op_read(struct chariot_domain *dom, u64 gva, void *buf, size_t len);

static inline int chariot_read_u64(struct chariot_domain *dom, u64 gva, u64 *val)
{
	return chariot_op_read(dom, gva, val, sizeof(*val));
}

/* False: there is nothing to do for this op. */
bool chariot_op_base(struct chariot_domain *dom, const struct chariot_op *op,
		     const struct chariot_values *val, u64 *base);
/* -EFAULT: it cannot be read; -EOVERFLOW. */
int chariot_op_length(struct chariot_domain *dom, const struct chariot_op *op,
		      const struct chariot_values *val, u64 *len);
/* False: there is nothing to grant. */
bool chariot_op_len(struct chariot_domain *dom, const struct chariot_op *op,
		    const struct chariot_values *val, u64 *len);
/* What the function would write or give back.  False: nothing.  U64_MAX: too much. */
bool chariot_op_span(struct chariot_domain *dom, const struct chariot_op *op,
		     const struct chariot_values *val, u64 *base, u64 *len);

/* The elements of a WALK, one after the other; false: that was the last one. */
struct chariot_elements {
	u64 at, left, first;
};
bool chariot_elements_first(struct chariot_domain *dom,
			    const struct chariot_op *op,
			    const struct chariot_values *val,
			    struct chariot_elements *el);
bool chariot_elements_next(struct chariot_domain *dom,
			   const struct chariot_op *op,
			   struct chariot_elements *el);

#endif
