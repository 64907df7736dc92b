// SPDX-License-Identifier: GPL-2.0
/* A place in the driver's text where a "ret" is executed.  Called by part. */
#include "ret.h"

#define OP_CALL		0xe8	/* rel32 */
#define OP_JMP		0xe9
#define OP_RET		0xc3
#define OP_INT3		0xcc
#define BRANCH_LEN	5
#define MAX_JUMPS	256	/* looked behind, of one range */

static bool read_text(struct chariot_domain *dom, u64 gva, void *buf, size_t len)
{
	return !chariot_guest_read_va(dom->vm->kvm, dom->cr, gva, buf, len);
}

static u64 target(u64 gva, const u8 *insn)
{
	s32 rel;

	memcpy(&rel, insn + 1, sizeof(rel));
	return gva + BRANCH_LEN + rel;
}

/*
 * The kernel's return thunks, which functions jump to where a bare "ret" must not
 * be (retbleed, SRSO): a "ret", or a call of what takes its own return address from
 * the stack and returns.  By what they do, not by their names.
 */
static bool is_thunk(struct chariot_domain *dom, u64 gva)
{
	static const u8 lea_ret[] = { 0x48, 0x8d, 0x64, 0x24, 0x08, OP_RET };
	static const u8 add_ret[] = { 0x48, 0x83, 0xc4, 0x08, OP_RET };
	u8 insn[BRANCH_LEN], safe[sizeof(lea_ret)];

	if (!read_text(dom, gva, insn, sizeof(insn)))
		return false;
	if (insn[0] == OP_RET)
		return true;
	return insn[0] == OP_CALL &&
	       read_text(dom, target(gva, insn), safe, sizeof(safe)) &&
	       (!memcmp(safe, lea_ret, sizeof(lea_ret)) ||
		!memcmp(safe, add_ret, sizeof(add_ret)));
}

/* The first "ret" that has an int3 behind it, as compilers end functions; or with
 * @any the first byte, also in the middle of an instruction. */
static u64 find_byte(struct chariot_domain *dom, const struct chariot_range *r,
		     bool any)
{
	u64 at, end = r->gva + r->len;
	u8 buf[256 + 1];
	int i, n;

	for (at = r->gva; at < end; at += 256) {
		n = min_t(u64, sizeof(buf), end - at);
		if (!read_text(dom, at, buf, n))
			break;
		for (i = 0; i < n; i++)
			if (buf[i] == OP_RET &&
			    (any || (i + 1 < n && buf[i + 1] == OP_INT3)))
				return at + i;
	}
	return 0;
}

/* The first jump to a thunk. */
static u64 find_jump(struct chariot_domain *dom, const struct chariot_range *r)
{
	u64 at, end = r->gva + r->len;
	u8 buf[256 + BRANCH_LEN - 1];
	int i, n, tries = MAX_JUMPS;

	for (at = r->gva; at < end && tries; at += 256) {
		n = min_t(u64, sizeof(buf), end - at);
		if (!read_text(dom, at, buf, n))
			break;
		for (i = 0; i + BRANCH_LEN <= n && tries; i++)
			if (buf[i] == OP_JMP && tries-- &&
			    is_thunk(dom, target(at + i, buf + i)))
				return at + i;
	}
	return 0;
}

/* A byte that only looks like one may be of what the guest patches: it comes last. */
static u64 find_in(struct chariot_domain *dom, const struct chariot_range *r)
{
	return find_byte(dom, r, false) ?: find_jump(dom, r) ?:
	       find_byte(dom, r, true);
}

u64 chariot_ret_find(struct chariot_domain *dom, const struct chariot_part *p,
		     u32 kind)
{
	u64 at = 0;
	u32 i;

	for (i = 0; i < p->nr_ranges && !at; i++)
		if (p->ranges[i].kind == kind)
			at = find_in(dom, &p->ranges[i]);
	return at;
}
