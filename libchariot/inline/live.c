// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: which registers and flags are live before each instruction.
 *
 * Backwards over the whole module until nothing changes.  In doubt, live: what calls
 * write is not looked at, and who returns from assembler may return anything.
 */
#include "inline.h"

#define ALL	(REGS_ALL | FLAGS_ALL)

/* What is live behind @i, where no branch is taken from it. */
static uint32_t behind(const struct module *m, uint32_t k)
{
	const struct insn *i = &m->insns[k];

	if (i->flags & F_STOP)
		return 0;
	if (k + 1 == m->nr_insns || i[1].sec != i->sec)
		return ALL;
	return i[1].live;
}

static uint32_t by_branch(const struct module *m, const struct insn *i)
{
	uint32_t out = 0;

	if (i->flags & F_INTO || (i->flags & F_JMP && i->flags & F_INDIRECT))
		return ALL;
	if (i->target < 0)
		return 0;
	out = m->insns[i->target].live;
	if (i->flags & F_TAIL)
		out |= REGS_ARGS | REGS_CALLEE;
	return out;
}

static uint32_t by_return(const struct module *m, const struct insn *i)
{
	if (!(i->flags & F_RET))
		return 0;
	return m->pieces[i->piece].compiled ? REG(RAX) | REG(RDX) | REGS_CALLEE : ALL;
}

static uint32_t live_before(const struct module *m, uint32_t k)
{
	const struct insn *i = &m->insns[k];
	uint32_t out = behind(m, k), use = i->use | by_return(m, i), def = i->def;

	if (i->mark & (MARK_PATCHED | MARK_INSIDE)) {
		/* What replaces a call keeps to what a call may read. */
		use = i->flags & F_CALL ? ALL & ~(REG(R10) | REG(R11)) : ALL;
		def = 0;
	}
	if (m->label_target[k] >= 0)
		out |= m->insns[m->label_target[k]].live;
	else if (i->mark & (MARK_FAULTS | MARK_JUMP))
		out = ALL;
	/* What a call needs is needed before it. */
	if (i->flags & F_CALL)
		use |= by_branch(m, i);
	else
		out |= by_branch(m, i);
	return (out & ~def) | use;
}

void inl_live(struct module *m)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (uint32_t k = m->nr_insns; k--;) {
			uint32_t live = live_before(m, k);

			changed |= live != m->insns[k].live;
			m->insns[k].live = live;
		}
	}
}
