// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where does a function write?  Its instructions are gone through along all ways, with
 * the origin of what each register and each word of its stack has, not the value.
 */
#include <capstone/capstone.h>
#include <stdlib.h>

#include "pure.h"

#define SLOTS		128	/* words of the stack that are told apart */
#define STACK_ARGS	8
#define MAX_HEADS	2048	/* places that are jumped to */

struct val {
	uint16_t from;
	bool exact;		/* @from is one thing, and this @off behind it */
	int32_t off;
};

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, NR_REGS = 16 };

struct state {
	struct val reg[NR_REGS];
	struct val slot[SLOTS];	/* the last one is below the return address */
	uint16_t smear;		/* may be anywhere on the stack */
};

struct head {
	uint64_t at;
	bool queued;
	struct state st;
};

struct walk {
	struct flow *w;
	struct pure_fn *f;
	struct head *heads[MAX_HEADS];
	size_t nr_heads;
	uint16_t *index;	/* by byte of the function: of its head + 1 */
	struct state st;	/* here */
	cs_insn *insn;
	bool trapped;		/* nothing but nops since a ud2 */
	int err;
};

static const struct val number;

static void refuse(struct walk *k, enum pure_why why)
{
	if (k->f->why)
		return;
	k->f->why = why;
	k->f->at = k->insn->address;
}

/* ---- states -------------------------------------------------------------- */

static bool join(struct val *to, const struct val *v)
{
	struct val old = *to;

	to->from |= v->from;
	if (old.exact && (!v->exact || v->from != old.from || v->off != old.off))
		to->exact = false;
	return to->from != old.from || to->exact != old.exact;
}

static bool join_states(struct state *to, const struct state *st)
{
	uint16_t smear = to->smear;
	bool more = false;

	for (int i = 0; i < NR_REGS; i++)
		more |= join(&to->reg[i], &st->reg[i]);
	for (int i = 0; i < SLOTS; i++)
		more |= join(&to->slot[i], &st->slot[i]);
	to->smear |= st->smear;
	return more || to->smear != smear;
}

/* All ways that lead to @at, which is in the function. */
static void go_to(struct walk *k, uint64_t at)
{
	uint16_t *i = &k->index[at - k->f->start];
	struct head *h;

	if (*i) {
		h = k->heads[*i - 1];
		h->queued |= join_states(&h->st, &k->st);
		return;
	}
	if (k->nr_heads == MAX_HEADS) {
		refuse(k, PURE_STEPS);
		return;
	}
	h = malloc(sizeof(*h));
	if (!h) {
		k->err = -ENOMEM;
		return;
	}
	*h = (struct head){ .at = at, .queued = true, .st = k->st };
	k->heads[k->nr_heads++] = h;
	*i = k->nr_heads;
}

/* ---- the stack ----------------------------------------------------------- */

static struct val *slot(struct walk *k, int32_t off)
{
	if (off & 7 || off >= 0 || off < -8 * SLOTS)
		return NULL;
	return &k->st.slot[SLOTS + off / 8];
}

static uint16_t any_slot(const struct walk *k)
{
	uint16_t from = k->st.smear | FROM_ARG(6);

	for (int i = 0; i < SLOTS; i++)
		from |= k->st.slot[i].from;
	return from;
}

/* What is in memory to which @from leads. */
static uint16_t inside(const struct walk *k, uint16_t from)
{
	uint16_t in = (from & (FROM_MEMORY | FROM_KERNEL)) |
		      (from & FROM_ARGS) << 7;

	return from & FROM_STACK ? in | any_slot(k) : in;
}

/* ---- loads and stores ---------------------------------------------------- */

static struct val load(struct walk *k, const struct val *p, unsigned int size)
{
	struct val *s, v = number;

	if (size < 8)
		return number;
	if (p->exact && p->from == FROM_STACK) {
		if (p->off >= 8) {
			if (p->off > 8 * STACK_ARGS)
				refuse(k, PURE_STACK);
			v.from = FROM_ARG(6);
			return v;
		}
		s = slot(k, p->off);
		if (s) {
			v = *s;
			if (k->st.smear & ~v.from) {
				v.from |= k->st.smear;
				v.exact = false;
			}
			return v;
		}
	}
	v.from = inside(k, p->from);
	return v;
}

static void store_stack(struct walk *k, const struct val *p, unsigned int size,
			const struct val *v)
{
	struct val *s = p->exact ? slot(k, p->off) : NULL;

	/* The return address and what lies above are the caller's. */
	if (p->exact && p->off + (int64_t)size > 0)
		refuse(k, PURE_STACK);
	else if (s && size == 8)
		*s = *v;
	else if (size >= 8)
		k->st.smear |= v->from;
}

static bool is_atomic(const cs_insn *insn)
{
	return insn->detail->x86.prefix[0] == X86_PREFIX_LOCK ||
	       insn->id == X86_INS_XCHG || insn->id == X86_INS_CMPXCHG ||
	       insn->id == X86_INS_XADD;
}

static void store(struct walk *k, const struct val *p, unsigned int size,
		  const struct val *v)
{
	uint16_t to = p->from & (FROM_ARGS | FROM_MEMORY);

	if (!p->from)
		refuse(k, PURE_WHERE);
	else if (p->from & FROM_KERNEL)
		refuse(k, PURE_GLOBAL);
	else if (p->exact && p->from == FROM_STACK)
		store_stack(k, p, size, v);
	else if (p->from & FROM_STACK && size >= 8)
		k->st.smear |= v->from;
	k->f->writes |= to;
	if (to && size >= 8)
		k->f->stored |= v->from;
	if (to && is_atomic(k->insn))
		k->f->atomic = true;
	for (int i = 0; i < 6; i++)
		if (p->exact && !is_atomic(k->insn) && p->from == FROM_ARG(i))
			for (int64_t n = p->off; n < p->off + (int64_t)size; n++)
				if (n >= 0 && n < 64)
					k->f->bytes[i] |= 1ULL << n;
}

/* ---- operands ------------------------------------------------------------ */

/* Of a general register; -1: it is none. */
static int reg_nr(x86_reg r)
{
	static const x86_reg regs[][NR_REGS] = {
		{ X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX,
		  X86_REG_RSP, X86_REG_RBP, X86_REG_RSI, X86_REG_RDI,
		  X86_REG_R8, X86_REG_R9, X86_REG_R10, X86_REG_R11,
		  X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15 },
		{ X86_REG_EAX, X86_REG_ECX, X86_REG_EDX, X86_REG_EBX,
		  X86_REG_ESP, X86_REG_EBP, X86_REG_ESI, X86_REG_EDI,
		  X86_REG_R8D, X86_REG_R9D, X86_REG_R10D, X86_REG_R11D,
		  X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D },
		{ X86_REG_AX, X86_REG_CX, X86_REG_DX, X86_REG_BX,
		  X86_REG_SP, X86_REG_BP, X86_REG_SI, X86_REG_DI,
		  X86_REG_R8W, X86_REG_R9W, X86_REG_R10W, X86_REG_R11W,
		  X86_REG_R12W, X86_REG_R13W, X86_REG_R14W, X86_REG_R15W },
		{ X86_REG_AL, X86_REG_CL, X86_REG_DL, X86_REG_BL,
		  X86_REG_SPL, X86_REG_BPL, X86_REG_SIL, X86_REG_DIL,
		  X86_REG_R8B, X86_REG_R9B, X86_REG_R10B, X86_REG_R11B,
		  X86_REG_R12B, X86_REG_R13B, X86_REG_R14B, X86_REG_R15B },
		{ X86_REG_AH, X86_REG_CH, X86_REG_DH, X86_REG_BH },
	};

	for (size_t set = 0; set < ARRAY_SIZE(regs); set++)
		for (int i = 0; i < NR_REGS; i++)
			if (regs[set][i] == r && r != X86_REG_INVALID)
				return i;
	return -1;
}

/* An address of the kernel's, as a constant or a displacement has it. */
static bool is_kernel(int64_t n)
{
	return n >= INT32_MIN && n < -(1LL << 28);
}

static void add(struct val *v, const struct val *to)
{
	v->from |= to->from;
	v->exact = false;
}

static struct val address(struct walk *k, const cs_x86_op *op)
{
	const x86_op_mem *m = &op->mem;
	int base = reg_nr(m->base), index = reg_nr(m->index);
	struct val v = number;

	if (m->base == X86_REG_RIP || is_kernel(m->disp) ||
	    (base < 0 && index < 0))
		v.from = FROM_KERNEL;
	if (base >= 0 && v.from) {
		add(&v, &k->st.reg[base]);
	} else if (base >= 0) {
		v = k->st.reg[base];
		v.off += (int32_t)m->disp;
		if (m->disp > 1 << 20 || m->disp < -(1 << 20) ||
		    v.off > 1 << 28 || v.off < -(1 << 28))
			v.exact = false;
	}
	if (index >= 0)
		add(&v, &k->st.reg[index]);
	return v;
}

static bool is_percpu(const cs_x86_op *op)
{
	return op->mem.segment == X86_REG_GS || op->mem.segment == X86_REG_FS;
}

/* The stack protector's. */
static bool is_canary(const cs_x86_op *op)
{
	return op->mem.segment == X86_REG_GS && op->mem.disp == 40 &&
	       op->mem.base == X86_REG_INVALID &&
	       op->mem.index == X86_REG_INVALID;
}

static struct val get(struct walk *k, const cs_x86_op *op)
{
	struct val v = number;
	int r;

	switch (op->type) {
	case X86_OP_REG:
		r = reg_nr(op->reg);
		return r < 0 || op->size < 8 ? number : k->st.reg[r];
	case X86_OP_IMM:
		v.from = op->size == 8 && is_kernel(op->imm) ? FROM_KERNEL : 0;
		return v;
	case X86_OP_MEM:
		if (is_percpu(op)) {
			if (op->size == 8 && !is_canary(op))
				v.from = FROM_KERNEL;
			return v;
		}
		v = address(k, op);
		return load(k, &v, op->size);
	default:
		return number;
	}
}

/* "It was warned of", which drivers may write: WARN_ONCE() does it before it calls. */
static bool is_once(struct walk *k, const cs_x86_op *op)
{
	uint64_t at = k->insn->address + k->insn->size + op->mem.disp;

	if (op->mem.base != X86_REG_RIP || op->size != 1 ||
	    at < k->w->once || at >= k->w->once_end)
		return false;
	k->f->once = true;
	return true;
}

static void set(struct walk *k, const cs_x86_op *op, const struct val *v)
{
	struct val p;
	int r;

	if (op->type == X86_OP_REG) {
		r = reg_nr(op->reg);
		if (r < 0)
			refuse(k, PURE_CODE);
		else if (op->size == 8)
			k->st.reg[r] = *v;
		else if (op->size == 4)
			k->st.reg[r] = number;
		else
			k->st.reg[r].exact = false;
		if (r == RSP && !(v->exact && v->from == FROM_STACK))
			refuse(k, PURE_STACK);
	} else if (op->type == X86_OP_MEM) {
		if (is_percpu(op)) {
			refuse(k, PURE_PERCPU);
			return;
		}
		if (is_once(k, op))
			return;
		p = address(k, op);
		store(k, &p, op->size, v);
	} else {
		refuse(k, PURE_CODE);
	}
}

/* ---- calculations -------------------------------------------------------- */

static struct val sum(struct walk *k, const cs_x86 *x, bool sub)
{
	struct val v = get(k, &x->operands[0]);
	struct val b = get(k, &x->operands[1]);
	int64_t n = x->operands[1].imm;

	if (x->operands[1].type == X86_OP_IMM && !b.from) {
		if (n < -(1 << 20) || n > 1 << 20 ||
		    v.off > 1 << 28 || v.off < -(1 << 28))
			v.exact = false;
		else
			v.off += sub ? -n : n;
		return v;
	}
	/* How far they are apart. */
	if (sub && v.from && b.from)
		return number;
	if (sub) {
		v.exact = false;
		return v;
	}
	add(&b, &v);
	return b;
}

static struct val logic(struct walk *k, const cs_x86 *x, unsigned int id)
{
	const cs_x86_op *a = &x->operands[0], *b = &x->operands[1];
	struct val v = get(k, a), w = get(k, b);

	if (id == X86_INS_XOR && a->type == X86_OP_REG &&
	    b->type == X86_OP_REG && a->reg == b->reg)
		return number;
	if (id == X86_INS_AND && b->type == X86_OP_IMM && b->imm >= 0)
		return number;
	add(&v, &w);
	return v;
}

static bool calculate(struct walk *k, unsigned int id, const cs_x86 *x)
{
	struct val v, w;

	switch (id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVNTI:
		v = get(k, &x->operands[1]);
		break;
	case X86_INS_LEA:
		v = address(k, &x->operands[1]);
		break;
	case X86_INS_ADD:
	case X86_INS_SUB:
		v = sum(k, x, id == X86_INS_SUB);
		break;
	case X86_INS_INC:
	case X86_INS_DEC:
		v = get(k, &x->operands[0]);
		v.exact = false;
		break;
	case X86_INS_AND:
	case X86_INS_OR:
	case X86_INS_XOR:
		v = logic(k, x, id);
		break;
	case X86_INS_XCHG:
	case X86_INS_XADD:
		w = get(k, &x->operands[0]);
		v = get(k, &x->operands[1]);
		add(&v, &w);
		set(k, &x->operands[1], &v);
		break;
	case X86_INS_CMPXCHG:
		w = get(k, &x->operands[0]);
		add(&k->st.reg[RAX], &w);
		v = get(k, &x->operands[1]);
		break;
	default:
		return false;
	}
	set(k, &x->operands[0], &v);
	return true;
}

/* Conditional moves: either is there then. */
static bool moves(struct walk *k, unsigned int id, const cs_x86 *x)
{
	struct val v, w;

	switch (id) {
	case X86_INS_CMOVA: case X86_INS_CMOVAE: case X86_INS_CMOVB:
	case X86_INS_CMOVBE: case X86_INS_CMOVE: case X86_INS_CMOVG:
	case X86_INS_CMOVGE: case X86_INS_CMOVL: case X86_INS_CMOVLE:
	case X86_INS_CMOVNE: case X86_INS_CMOVNO: case X86_INS_CMOVNP:
	case X86_INS_CMOVNS: case X86_INS_CMOVO: case X86_INS_CMOVP:
	case X86_INS_CMOVS:
		v = get(k, &x->operands[0]);
		w = get(k, &x->operands[1]);
		join(&v, &w);
		set(k, &x->operands[0], &v);
		return true;
	}
	return false;
}

/* The result is a number, wherever it goes. */
static bool makes_number(unsigned int id)
{
	switch (id) {
	case X86_INS_MOVZX: case X86_INS_MOVSX: case X86_INS_MOVSXD:
	case X86_INS_ADC: case X86_INS_SBB: case X86_INS_NOT: case X86_INS_NEG:
	case X86_INS_SHL: case X86_INS_SAL: case X86_INS_SHR: case X86_INS_SAR:
	case X86_INS_ROL: case X86_INS_ROR: case X86_INS_RCL: case X86_INS_RCR:
	case X86_INS_SHLD: case X86_INS_SHRD: case X86_INS_BSWAP:
	case X86_INS_BTS: case X86_INS_BTR: case X86_INS_BTC:
	case X86_INS_BSF: case X86_INS_BSR: case X86_INS_TZCNT:
	case X86_INS_LZCNT: case X86_INS_POPCNT: case X86_INS_CRC32:
	case X86_INS_SETA: case X86_INS_SETAE: case X86_INS_SETB:
	case X86_INS_SETBE: case X86_INS_SETE: case X86_INS_SETG:
	case X86_INS_SETGE: case X86_INS_SETL: case X86_INS_SETLE:
	case X86_INS_SETNE: case X86_INS_SETNO: case X86_INS_SETNP:
	case X86_INS_SETNS: case X86_INS_SETO: case X86_INS_SETP:
	case X86_INS_SETS:
		return true;
	}
	return false;
}

/* Writes nothing but flags. */
static bool only_looks(unsigned int id)
{
	switch (id) {
	case X86_INS_CMP: case X86_INS_TEST: case X86_INS_BT: case X86_INS_NOP:
	case X86_INS_ENDBR64: case X86_INS_LFENCE: case X86_INS_MFENCE:
	case X86_INS_SFENCE: case X86_INS_PAUSE: case X86_INS_PREFETCH:
	case X86_INS_PREFETCHW: case X86_INS_PREFETCHNTA:
	case X86_INS_PREFETCHT0: case X86_INS_PREFETCHT1:
	case X86_INS_PREFETCHT2: case X86_INS_CLD: case X86_INS_STD: case X86_INS_CLC:
	case X86_INS_STC: case X86_INS_CMC:
	case X86_INS_UD2:	/* WARN_ON(): an exception, which leaves */
		return true;
	}
	return false;
}

static bool multiplies(struct walk *k, unsigned int id, const cs_x86 *x)
{
	switch (id) {
	case X86_INS_IMUL:
		if (x->op_count > 1) {
			set(k, &x->operands[0], &number);
			return true;
		}
		break;
	case X86_INS_MUL:
	case X86_INS_DIV:
	case X86_INS_IDIV:
		break;
	case X86_INS_CDQ:
	case X86_INS_CQO:
	case X86_INS_CWD:
		k->st.reg[RDX] = number;
		return true;
	case X86_INS_CBW:
	case X86_INS_CWDE:
	case X86_INS_CDQE:
		k->st.reg[RAX] = number;
		return true;
	default:
		return false;
	}
	k->st.reg[RAX] = k->st.reg[RDX] = number;
	return true;
}

/* rep movs, stos, and those that compare. */
static bool strings(struct walk *k, unsigned int id, const cs_x86 *x)
{
	struct val *si = &k->st.reg[RSI], *di = &k->st.reg[RDI], v = number;
	unsigned int size = 0;

	/* That of SSE is called the same. */
	if (id == X86_INS_MOVSD && (x->operands[0].type != X86_OP_MEM ||
				    x->operands[1].type != X86_OP_MEM))
		return false;
	switch (id) {
	case X86_INS_MOVSQ:
		v.from = inside(k, si->from);
		/* fall through */
	case X86_INS_STOSQ:
		if (id == X86_INS_STOSQ)
			v = k->st.reg[RAX];
		/* fall through */
	case X86_INS_MOVSD: case X86_INS_MOVSW: case X86_INS_MOVSB:
	case X86_INS_STOSD: case X86_INS_STOSW: case X86_INS_STOSB:
		/* How far it goes is not known, and bytes may be pointers. */
		if (id == X86_INS_MOVSB)
			v.from = inside(k, si->from);
		size = 8;
		break;
	case X86_INS_SCASB: case X86_INS_CMPSB: case X86_INS_CMPSW:
		break;
	case X86_INS_LODSB:
	case X86_INS_LODSQ:
		k->st.reg[RAX] = number;
		break;
	default:
		return false;
	}
	si->exact = di->exact = false;
	if (size)
		store(k, di, size, &v);
	k->st.reg[RCX] = number;
	return true;
}

/* ---- the stack's instructions -------------------------------------------- */

static void push(struct walk *k, const struct val *v)
{
	struct val *sp = &k->st.reg[RSP];

	sp->off -= 8;
	if (sp->off < -(1 << 16))
		refuse(k, PURE_STACK);
	store(k, sp, 8, v);
}

static struct val pop(struct walk *k)
{
	struct val *sp = &k->st.reg[RSP], v = load(k, sp, 8);

	sp->off += 8;
	if (sp->off > 0)
		refuse(k, PURE_STACK);
	return v;
}

static bool stack(struct walk *k, unsigned int id, const cs_x86 *x)
{
	struct val v;

	switch (id) {
	case X86_INS_PUSH:
		v = get(k, &x->operands[0]);
		push(k, &v);
		return true;
	case X86_INS_POP:
		v = pop(k);
		set(k, &x->operands[0], &v);
		return true;
	case X86_INS_LEAVE:
		v = k->st.reg[RBP];
		if (!v.exact || v.from != FROM_STACK)
			refuse(k, PURE_STACK);
		k->st.reg[RSP] = v;
		k->st.reg[RBP] = pop(k);
		return true;
	}
	return false;
}

/* ---- calls and jumps ----------------------------------------------------- */

static const int arg_regs[6] = { RDI, RSI, RDX, RCX, R8, R9 };

/* What is pushed for a callee. */
static uint16_t stack_args(struct walk *k)
{
	uint16_t from = k->st.smear;
	const struct val *s;

	for (int i = 0; i < STACK_ARGS; i++) {
		s = slot(k, k->st.reg[RSP].off + 8 * i);
		from |= s ? s->from : FROM_ARG(6);
	}
	return from;
}

/* What @set of a callee's is here. */
static uint16_t map(struct walk *k, uint16_t set)
{
	uint16_t from = set & FROM_KERNEL, v;

	for (int i = 0; i < 7; i++) {
		v = i < 6 ? k->st.reg[arg_regs[i]].from : stack_args(k);
		if (set & FROM_ARG(i))
			from |= v;
		if (set & FROM_IN(i))
			from |= inside(k, v);
	}
	return from;
}

static void add_place(struct walk *k, uint64_t **v, uint32_t *nr, uint64_t gva)
{
	uint64_t *more;

	for (uint32_t i = 0; i < *nr; i++)
		if ((*v)[i] == gva)
			return;
	if (*nr & (*nr - 1)) {
		(*v)[(*nr)++] = gva;
		return;
	}
	more = reallocarray(*v, *nr ? 2 * *nr : 1, sizeof(*more));
	if (!more) {
		k->err = -ENOMEM;
		return;
	}
	*v = more;
	more[(*nr)++] = gva;
}

static void leave(struct walk *k, uint64_t target)
{
	add_place(k, &k->f->exits, &k->f->nr_exits, target);
}

/* Bytes of our arguments, where the callee is given what they lead to. */
static void map_bytes(struct walk *k, const struct pure_fn *g)
{
	const struct val *v;

	for (int i = 0; i < 6; i++) {
		v = &k->st.reg[arg_regs[i]];
		for (int j = 0; j < 6 && v->exact; j++)
			if (v->from == FROM_ARG(j) && v->off >= 0 && v->off < 64)
				k->f->bytes[j] |= g->bytes[i] << v->off;
	}
}

/* False: that was the end of this way. */
static bool call(struct walk *k, uint64_t target)
{
	const struct pure_fn *g = k->w->callee(k->w->ctx, target);
	uint16_t to, stored;

	if (k->w->target(k->w->ctx, target) == TARGET_INDIRECT) {
		refuse(k, PURE_INDIRECT);
		return false;
	}
	if (!g) {
		leave(k, target);
		return false;
	}
	add_place(k, &k->f->calls, &k->f->nr_calls, g->start);
	k->f->once |= g->once;
	k->f->atomic |= g->atomic;
	map_bytes(k, g);
	to = map(k, g->writes);
	stored = map(k, g->stored);
	if (to & FROM_KERNEL)
		refuse(k, PURE_GLOBAL);
	if (to & FROM_STACK)
		k->st.smear |= stored;
	to &= FROM_ARGS | FROM_MEMORY;
	k->f->writes |= to;
	if (to)
		k->f->stored |= stored;
	/* Others that the callee may change keep theirs: what is used behind the call was
	 * not changed (-fipa-ra). */
	k->st.reg[RAX] = (struct val){ .from = map(k, g->result) };
	return true;
}

static void end(struct walk *k)
{
	if (k->st.reg[RSP].off)
		refuse(k, PURE_STACK);
	k->f->returns = true;
	k->f->result |= k->st.reg[RAX].from;
}

static void jump(struct walk *k, uint64_t target)
{
	const struct pure_fn *f = k->f;

	if (target >= f->start && target < f->end) {
		go_to(k, target);
		return;
	}
	switch (k->w->target(k->w->ctx, target)) {
	case TARGET_NONE:
		refuse(k, PURE_JUMP);
		break;
	case TARGET_RETURN:
		end(k);
		break;
	case TARGET_INDIRECT:
		refuse(k, PURE_INDIRECT);
		break;
	case TARGET_FUNCTION:	/* its last act, or its .cold part */
		if (k->st.reg[RSP].off)
			leave(k, target);
		else if (call(k, target))
			end(k);
	}
}

/* A nop, or a call of ftrace's, as the guest has it. */
static bool is_fentry(struct walk *k, uint64_t target)
{
	uint64_t at = k->insn->address - k->f->start;
	enum target what = k->w->target(k->w->ctx, target);

	return (at == 0 || at == 4) &&
	       (what == TARGET_NONE || what == TARGET_RETURN);
}

/* False: the next instruction is not come to. */
static bool branches(struct walk *k, unsigned int id, const cs_x86 *x, bool *go)
{
	const cs_x86_op *to = &x->operands[0];
	bool cond = cs_insn_group(k->w->cs, k->insn, X86_GRP_JUMP);

	*go = true;
	if (id == X86_INS_RET) {
		if (x->op_count)
			refuse(k, PURE_CODE);
		end(k);
		*go = false;
		return true;
	}
	if (id != X86_INS_CALL && !cond)
		return false;
	if (to->type != X86_OP_IMM) {
		refuse(k, PURE_INDIRECT);
		return true;
	}
	if (id == X86_INS_CALL) {
		if (!is_fentry(k, to->imm))
			*go = call(k, to->imm);
		return true;
	}
	jump(k, to->imm);
	*go = id != X86_INS_JMP;
	return true;
}

/* ---- all of it ----------------------------------------------------------- */

/* What may be patched while the guest runs; false: the next one is not come to. */
static void other_ways(struct walk *k, bool *go)
{
	const struct jump_label *l;
	size_t nr;

	l = k->w->labels(k->w->ctx, k->insn->address, &nr);
	for (size_t i = 0; l && i < nr; i++) {
		jump(k, l[i].target);
		*go = true;
	}
}

static bool step(struct walk *k)
{
	const cs_x86 *x = &k->insn->detail->x86;
	unsigned int id = k->insn->id;
	bool go = true;

	k->trapped = id == X86_INS_UD2 || (k->trapped && id == X86_INS_NOP);
	if (branches(k, id, x, &go) || only_looks(id) || calculate(k, id, x) ||
	    moves(k, id, x) || multiplies(k, id, x) || strings(k, id, x) ||
	    stack(k, id, x))
		;
	else if (makes_number(id))
		set(k, &x->operands[0], &number);
	else
		refuse(k, PURE_CODE);
	other_ways(k, &go);
	return go && !k->f->why && !k->err;
}

/* From a head to where its ways part, end, or lead to another head. */
static void follow(struct walk *k, uint64_t at)
{
	struct pure_fn *f = k->f;
	const uint8_t *code = k->w->code + (at - f->start);
	size_t left = f->end - at;

	k->trapped = false;
	while (left) {
		k->insn->address = at;
		if (!*k->w->steps) {
			refuse(k, PURE_STEPS);
			return;
		}
		--*k->w->steps;
		if (!cs_disasm_iter(k->w->cs, &code, &left, &at, k->insn)) {
			refuse(k, PURE_CODE);
			return;
		}
		f->insns++;
		if (!step(k))
			return;
		if (left && k->index[at - f->start]) {
			go_to(k, at);
			return;
		}
	}
	/* Behind a BUG() there is nothing. */
	if (!k->trapped)
		refuse(k, PURE_JUMP);
}

static bool next_head(struct walk *k, uint64_t *at)
{
	for (size_t i = 0; i < k->nr_heads; i++) {
		if (!k->heads[i]->queued)
			continue;
		k->heads[i]->queued = false;
		k->st = k->heads[i]->st;
		*at = k->heads[i]->at;
		return true;
	}
	return false;
}

static void begin(struct walk *k)
{
	for (int i = 0; i < 6; i++)
		k->st.reg[arg_regs[i]] = (struct val){ FROM_ARG(i), true, 0 };
	k->st.reg[RSP] = (struct val){ FROM_STACK, true, 0 };
	go_to(k, k->f->start);
}

int flow_run(struct flow *w)
{
	struct walk *k = calloc(1, sizeof(*k));
	uint64_t at;
	int err;

	if (!k)
		return -ENOMEM;
	k->w = w;
	k->f = w->f;
	k->insn = cs_malloc(w->cs);
	k->index = calloc(w->f->end - w->f->start, sizeof(*k->index));
	k->err = k->insn && k->index ? 0 : -ENOMEM;
	if (!k->err)
		begin(k);
	while (!k->err && !k->f->why && next_head(k, &at))
		follow(k, at);
	if (!k->err && !k->f->why && !k->f->returns)
		k->f->why = PURE_NO_RETURN;
	for (size_t i = 0; i < k->nr_heads; i++)
		free(k->heads[i]);
	if (k->insn)
		cs_free(k->insn, 1);
	free(k->index);
	err = k->err;
	free(k);
	return err;
}
