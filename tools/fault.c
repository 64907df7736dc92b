// SPDX-License-Identifier: GPL-2.0
#include "fault.h"

#include <capstone/capstone.h>
#include <chariot.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES		64	/* then every function is looked at once */
#define NEAR		16	/* instructions from an argument to its call */
#define PAGE		4096
#define NAME_MAX_LEN	256
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const char *const type_names[FAULT_NR_TYPES + 1] = {
	[FAULT_SOURCE] = "source", [FAULT_DESTINATION] = "destination",
	[FAULT_POINTER] = "pointer", [FAULT_INTERFACE] = "interface",
	[FAULT_BRANCH] = "branch", [FAULT_LOOP] = "loop",
	[FAULT_TEXT] = "text", [FAULT_NOP] = "nop", [FAULT_INIT] = "init",
	[FAULT_IRQ] = "irq", [FAULT_FREE] = "free", [FAULT_ALLOC] = "alloc",
	[FAULT_OVERRUN] = "overrun", [FAULT_OFF_BY_ONE] = "off-by-one",
	[FAULT_LOCK] = "lock", [FAULT_EARLY] = "free-early",
	[FAULT_RANDOM] = "random",
};

const char *fault_type_name(enum fault_type type)
{
	return type <= FAULT_NR_TYPES ? type_names[type] : "?";
}

int fault_type_by_name(const char *name)
{
	for (int i = 0; i <= FAULT_NR_TYPES; i++)
		if (!strcmp(type_names[i], name))
			return i;
	return -1;
}

/* ---- random numbers: splitmix64, so that a seed is a fault for good ------ */

struct rng {
	uint64_t state;
};

static uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (unsigned __int128)rng_next(r) * n >> 64;
}

/* By the type's name: more types do not change what a seed means. */
static struct rng rng_of(uint64_t seed, enum fault_type type)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	struct rng r;

	for (const char *c = fault_type_name(type); *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ULL;
	r.state = hash ^ seed;
	r.state = rng_next(&r);
	return r;
}

/* ---- a function, decoded ------------------------------------------------ */

struct code {
	const struct fault_driver *d;
	const struct fault_function *f;
	csh cs;
	cs_insn *insn;		/* operands as Intel orders them */
	size_t nr;
	bool *target;		/* an instruction that is jumped to */
	bool frame;		/* %rbp is the frame's pointer */
	struct rng *rng;
};

static const cs_x86 *x86(const cs_insn *insn)
{
	return &insn->detail->x86;
}

static bool in_group(const struct code *c, const cs_insn *insn,
		     unsigned int group)
{
	return cs_insn_group(c->cs, insn, group);
}

static bool is_jcc(const cs_insn *insn)
{
	const uint8_t *op = x86(insn)->opcode;

	return (op[0] & 0xf0) == 0x70 ||
	       (op[0] == 0x0f && (op[1] & 0xf0) == 0x80);
}

static bool ends_block(const struct code *c, const cs_insn *insn)
{
	return in_group(c, insn, X86_GRP_JUMP) ||
	       in_group(c, insn, X86_GRP_CALL) ||
	       in_group(c, insn, X86_GRP_RET) || in_group(c, insn, X86_GRP_INT);
}

static bool is_endbr(const cs_insn *insn)
{
	return insn->size == 4 && !memcmp(insn->bytes, "\xf3\x0f\x1e\xfa", 4);
}

/* Also int3, which is between functions and behind returns. */
static bool is_nop(const cs_insn *insn)
{
	const uint8_t *op = x86(insn)->opcode;

	return insn->id == X86_INS_NOP || is_endbr(insn) || op[0] == 0xcc ||
	       (op[0] == 0x0f && op[1] == 0x1f);
}

/* The call of __fentry__: the guest has made it a nop, or uses it to trace. */
static bool is_entry_hook(const struct code *c, size_t i)
{
	return c->insn[i].bytes[0] == 0xe8 &&
	       (!i || (i == 1 && is_endbr(&c->insn[0])));
}

static ssize_t insn_at(const struct code *c, uint64_t gva)
{
	size_t lo = 0, hi = c->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->insn[mid].address < gva)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->nr && c->insn[lo].address == gva ? (ssize_t)lo : -1;
}

static void find_targets(struct code *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		const cs_x86 *x = x86(&c->insn[i]);
		ssize_t to;

		if (!in_group(c, &c->insn[i], X86_GRP_JUMP) ||
		    x->operands[0].type != X86_OP_IMM)
			continue;
		to = insn_at(c, x->operands[0].imm);
		if (to >= 0)
			c->target[to] = true;
	}
}

static bool sets_frame(const cs_insn *insn)
{
	const cs_x86 *x = x86(insn);

	return insn->id == X86_INS_MOV && x->op_count == 2 &&
	       x->operands[0].type == X86_OP_REG &&
	       x->operands[0].reg == X86_REG_RBP &&
	       x->operands[1].type == X86_OP_REG &&
	       x->operands[1].reg == X86_REG_RSP;
}

static int code_open(struct code *c)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &c->cs))
		return -ENOMEM;
	cs_option(c->cs, CS_OPT_DETAIL, CS_OPT_ON);
	return 0;
}

static void code_drop(struct code *c)
{
	if (c->nr)
		cs_free(c->insn, c->nr);
	free(c->target);
	c->insn = NULL;
	c->target = NULL;
	c->nr = 0;
}

/* What cannot be decoded is where the function ends. */
static int code_load(struct code *c, const struct fault_function *f)
{
	if (c->f == f && c->nr)
		return 0;
	code_drop(c);
	c->f = f;
	c->frame = false;
	c->nr = cs_disasm(c->cs, f->code, f->len, f->gva, 0, &c->insn);
	c->target = calloc(c->nr + 1, sizeof(*c->target));
	if (!c->target)
		return -ENOMEM;
	find_targets(c);
	for (size_t i = 0; i < c->nr && i < NEAR; i++)
		c->frame |= sets_frame(&c->insn[i]);
	return 0;
}

static void code_close(struct code *c)
{
	code_drop(c);
	cs_close(&c->cs);
}

/* ---- results ------------------------------------------------------------ */

static void begin(const struct code *c, const cs_insn *insn, const char *what,
		  struct fault *f)
{
	f->function = c->f;
	f->offset = insn->address - c->f->gva;
	f->len = insn->size;
	f->what = what;
	memcpy(f->old, insn->bytes, insn->size);
	memcpy(f->new, insn->bytes, insn->size);
}

static bool to_nops(const struct code *c, const cs_insn *insn,
		    const char *what, struct fault *f)
{
	begin(c, insn, what, f);
	site_nops(f->new, f->len);
	return true;
}

/* ---- source, destination, pointer --------------------------------------- */

/* Where modrm, or else the displacement or the immediate begins. */
static size_t behind_opcode(const cs_insn *insn)
{
	const cs_x86_encoding *e = &x86(insn)->encoding;
	size_t at = insn->size;

	if (e->modrm_offset)
		return e->modrm_offset;
	if (e->disp_offset)
		at = e->disp_offset;
	if (e->imm_offset && e->imm_offset < at)
		at = e->imm_offset;
	return at;
}

static bool same_operand(const cs_x86_op *a, const cs_x86_op *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == X86_OP_REG)
		return a->reg == b->reg;
	if (a->type == X86_OP_IMM)
		return a->imm == b->imm;
	return a->mem.segment == b->mem.segment && a->mem.base == b->mem.base &&
	       a->mem.index == b->mem.index && a->mem.scale == b->mem.scale &&
	       a->mem.disp == b->mem.disp;
}

/* Capstone 4 takes the first operand of some of these for written. */
static unsigned int access_of(const cs_insn *insn, size_t operand)
{
	switch (insn->id) {
	case X86_INS_CMP:
	case X86_INS_TEST:
	case X86_INS_BT:
	case X86_INS_PUSH:
		return CS_AC_READ;
	}
	return x86(insn)->operands[operand].access;
}

/* Is it @old with one operand changed, and is that of @access? */
static bool changes_operand(const cs_insn *old, const cs_insn *new,
			    unsigned int access)
{
	const cs_x86 *x = x86(old), *y = x86(new);
	unsigned int changed = 0, what = 0;

	if (old->id != new->id || x->op_count != y->op_count)
		return false;
	for (size_t i = 0; i < x->op_count; i++)
		if (!same_operand(&x->operands[i], &y->operands[i])) {
			what = access_of(old, i);
			changed++;
		}
	if (access == CS_AC_READ)
		return changed == 1 && what == CS_AC_READ;
	return changed == 1 && (what & access);
}

/* As long as before: one bit is not to move the instructions behind it. */
static cs_insn *decode_as_long(const struct code *c, const struct fault *f)
{
	cs_insn *insn;
	size_t nr;

	nr = cs_disasm(c->cs, f->new, f->len, c->f->gva + f->offset, 1, &insn);
	if (nr && insn->size == f->len)
		return insn;
	if (nr)
		cs_free(insn, nr);
	return NULL;
}

static void flip(struct fault *f, size_t bit)
{
	f->new[bit / 8] ^= 1U << bit % 8;
}

/* @access 0: any change will do. */
static bool bit_fits(const struct code *c, const cs_insn *insn,
		     struct fault *f, size_t bit, unsigned int access)
{
	cs_insn *new;
	bool fits;

	flip(f, bit);
	new = decode_as_long(c, f);
	flip(f, bit);
	if (!new)
		return false;
	fits = !access || changes_operand(insn, new, access);
	cs_free(new, 1);
	return fits;
}

/* Flip one of the bits of @mask, byte by byte from where @from is. */
static bool flip_one(const struct code *c, const cs_insn *insn, size_t from,
		     const uint8_t *mask, unsigned int access,
		     struct fault *f)
{
	size_t bits[8 * SITE_MAX], nr = 0;

	for (size_t bit = 8 * from; bit < 8U * insn->size; bit++)
		if (mask[bit / 8] >> bit % 8 & 1 &&
		    bit_fits(c, insn, f, bit, access))
			bits[nr++] = bit;
	if (!nr)
		return false;
	flip(f, bits[rng_below(c->rng, nr)]);
	return true;
}

static bool flip_operand(const struct code *c, size_t i, unsigned int access,
			 const char *what, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	uint8_t mask[SITE_MAX];

	if (ends_block(c, insn) || is_nop(insn) || insn->size >= SITE_MAX)
		return false;
	memset(mask, 0xff, sizeof(mask));
	begin(c, insn, what, f);
	return flip_one(c, insn, behind_opcode(insn), mask, access, f);
}

static bool fit_source(const struct code *c, size_t i, struct fault *f)
{
	return flip_operand(c, i, CS_AC_READ,
			    "a bit of the source operand flipped", f);
}

static bool fit_destination(const struct code *c, size_t i, struct fault *f)
{
	return flip_operand(c, i, CS_AC_WRITE,
			    "a bit of the destination operand flipped", f);
}

static const cs_x86_op *memory_operand(const cs_insn *insn)
{
	const cs_x86 *x = x86(insn);

	for (size_t i = 0; i < x->op_count; i++)
		if (x->operands[i].type == X86_OP_MEM)
			return &x->operands[i];
	return NULL;
}

/* Bits of modrm's low half, SIB and the displacement; how string instructions
 * address memory is in no bit. */
static bool fit_pointer(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	const cs_x86_op *op = memory_operand(insn);
	size_t at = x86(insn)->encoding.modrm_offset;
	uint8_t mask[SITE_MAX] = {}, modrm;

	if (!op || !at || is_nop(insn) || op->mem.base == X86_REG_RIP)
		return false;
	modrm = insn->bytes[at];
	if (modrm >> 6 == 3)
		return false;
	mask[at] = 0x0f;
	if ((modrm & 7) == 4)
		mask[at + 1] = 0xff;
	if (x86(insn)->encoding.disp_offset)
		memset(mask + x86(insn)->encoding.disp_offset, 0xff,
		       x86(insn)->encoding.disp_size);
	begin(c, insn, "a bit of the address flipped", f);
	return flip_one(c, insn, at, mask, 0, f);
}

/* ---- interface, init ---------------------------------------------------- */

/* Number of the argument that is passed in @reg, -1: none. */
static int argument_of(unsigned int reg)
{
	static const unsigned int regs[][4] = {
		{ X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL },
		{ X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL },
		{ X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL },
		{ X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL },
		{ X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B },
		{ X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B },
	};

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		for (size_t j = 0; j < 4; j++)
			if (regs[i][j] == reg)
				return i;
	return -1;
}

/* A bit for each of the arguments' registers that @insn writes. */
static unsigned int arguments_written(const struct code *c,
				      const cs_insn *insn)
{
	uint8_t nr_read = 0, nr_write = 0;
	cs_regs read, write;
	unsigned int written = 0;

	if (cs_regs_access(c->cs, insn, read, &nr_read, write, &nr_write))
		return ~0U;
	for (size_t i = 0; i < nr_write; i++)
		if (argument_of(write[i]) >= 0)
			written |= 1U << argument_of(write[i]);
	return written;
}

static bool is_local(const struct code *c, const cs_x86_op *op)
{
	return op->type == X86_OP_MEM &&
	       (op->mem.base == X86_REG_RSP ||
		(c->frame && op->mem.base == X86_REG_RBP));
}

static bool is_move(const cs_insn *insn)
{
	return (insn->id == X86_INS_MOV || insn->id == X86_INS_MOVSX ||
		insn->id == X86_INS_MOVSXD || insn->id == X86_INS_MOVZX) &&
	       x86(insn)->op_count == 2;
}

/* To another register or to the stack. */
static bool loads_argument(const struct code *c, const cs_insn *insn,
			   unsigned int live)
{
	const cs_x86_op *to = &x86(insn)->operands[0];
	const cs_x86_op *from = &x86(insn)->operands[1];
	int arg;

	if (!is_move(insn) || from->type != X86_OP_REG)
		return false;
	arg = argument_of(from->reg);
	if (arg < 0 || !(live >> arg & 1))
		return false;
	return to->type == X86_OP_REG ? argument_of(to->reg) != arg :
	       is_local(c, to);
}

/* Until something is called the registers are those of the caller. */
static bool fit_interface(const struct code *c, size_t i, struct fault *f)
{
	unsigned int live = 0x3f;

	for (size_t at = 0; at < i && live; at++) {
		const cs_insn *insn = &c->insn[at];

		if (is_entry_hook(c, at) || is_jcc(insn))
			continue;
		if (ends_block(c, insn))
			return false;
		live &= ~arguments_written(c, insn);
	}
	return loads_argument(c, &c->insn[i], live) &&
	       to_nops(c, &c->insn[i], "the load of an argument left out", f);
}

static bool fit_init(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	const cs_x86 *x = x86(insn);

	return insn->id == X86_INS_MOV && x->op_count == 2 &&
	       is_local(c, &x->operands[0]) &&
	       x->operands[1].type == X86_OP_IMM &&
	       to_nops(c, insn, "a local variable not initialized", f);
}

/* ---- branch, loop, off-by-one ------------------------------------------- */

static bool fit_branch(const struct code *c, size_t i, struct fault *f)
{
	return is_jcc(&c->insn[i]) &&
	       to_nops(c, &c->insn[i], "a conditional jump left out", f);
}

static uint8_t *condition(const cs_insn *insn, struct fault *f)
{
	size_t at = 0;

	/* Prefixes are hints, or pad. */
	while (at < insn->size - 1U && insn->bytes[at] != x86(insn)->opcode[0])
		at++;
	return &f->new[x86(insn)->opcode[0] == 0x0f ? at + 1 : at];
}

/* Of movs, cmps, stos, lods, scas, ins and outs. */
static bool is_string(const cs_insn *insn)
{
	uint8_t op = x86(insn)->opcode[0];

	return (op >= 0xa4 && op <= 0xaf && op != 0xa8 && op != 0xa9) ||
	       (op >= 0x6c && op <= 0x6f);
}

static bool is_repeated(const cs_insn *insn)
{
	uint8_t prefix = x86(insn)->prefix[0];

	return (prefix == 0xf2 || prefix == 0xf3) && is_string(insn);
}

static bool fit_loop(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	uint8_t *rep;

	if (is_jcc(insn)) {
		begin(c, insn, "a condition inverted", f);
		*condition(insn, f) ^= 1;
		return true;
	}
	if (!is_repeated(insn))
		return false;
	begin(c, insn, "rep and repne swapped", f);
	rep = memchr(f->new, x86(insn)->prefix[0], f->len);
	*rep ^= 0xf2 ^ 0xf3;
	return true;
}

static bool fit_off_by_one(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	uint8_t *cc;

	if (!is_jcc(insn))
		return false;
	begin(c, insn, "a comparison off by one", f);
	cc = condition(insn, f);
	switch (*cc & 0xf) {
	case 0x2: case 0x6: case 0x3: case 0x7:	/* b, be; ae, a */
		*cc ^= 4;
		return true;
	case 0xc: case 0xe: case 0xd: case 0xf:	/* l, le; ge, g */
		*cc ^= 2;
		return true;
	}
	return false;
}

/* ---- nop, irq ----------------------------------------------------------- */

static bool fit_nop(const struct code *c, size_t i, struct fault *f)
{
	return !is_nop(&c->insn[i]) && !is_entry_hook(c, i) &&
	       to_nops(c, &c->insn[i], "an instruction left out", f);
}

static bool fit_irq(const struct code *c, size_t i, struct fault *f)
{
	switch (x86(&c->insn[i])->opcode[0]) {
	case 0x9c: case 0x9d: case 0xfa: case 0xfb:
		return to_nops(c, &c->insn[i],
			       "what masks or unmasks interrupts left out", f);
	}
	return false;
}

/* ---- calls -------------------------------------------------------------- */

/* A jump to another function returns to this one's caller. */
static bool is_tail_call(const cs_insn *insn)
{
	return insn->bytes[insn->size - 5] == 0xe9;
}

static bool is_direct(const cs_insn *insn)
{
	return insn->size >= 5 &&
	       (insn->id == X86_INS_CALL || insn->id == X86_INS_JMP) &&
	       (insn->bytes[insn->size - 5] == 0xe8 || is_tail_call(insn)) &&
	       x86(insn)->operands[0].type == X86_OP_IMM;
}

static const char *callee_name(const struct code *c, const cs_insn *insn,
			       char *buf, size_t size)
{
	if (!is_direct(insn) || !c->d->name)
		return NULL;
	return c->d->name(c->d->ctx, insn->address + insn->size - 4,
			  x86(insn)->operands[0].imm, buf, size);
}

/* The built-in policy, which says what a call does; NULL: no memory. */
static const struct chariot_policy *catalogue(void)
{
	static struct chariot_policy *policy;

	if (!policy)
		policy = chariot_policy__load(NULL);
	return policy;
}

/* Does the instruction call such a function?  *@arg: its size, or what is freed; -1. */
static bool calls(const struct code *c, const cs_insn *insn,
		  enum chariot_call_kind what, int *arg)
{
	char buf[NAME_MAX_LEN];
	const char *name = callee_name(c, insn, buf, sizeof(buf));

	*arg = -1;
	return name && chariot_policy__call(catalogue(), what, name, arg);
}

/* In place of the call @bytes, and what a jump there would have gone on to. */
static bool replace_call(const struct code *c, const cs_insn *insn,
			 const char *bytes, const char *what, struct fault *f)
{
	size_t len = strlen(bytes);

	begin(c, insn, what, f);
	memcpy(f->new, bytes, len);
	if (is_tail_call(insn))
		f->new[len++] = 0xc3;
	site_nops(f->new + len, f->len - len);
	return true;
}

static bool fit_free(const struct code *c, size_t i, struct fault *f)
{
	int arg;

	return calls(c, &c->insn[i], CHARIOT_CALL_FREES, &arg) &&
	       replace_call(c, &c->insn[i], "", "memory not freed", f);
}

static bool is_saved(unsigned int reg)
{
	return reg == X86_REG_RBX || reg == X86_REG_RBP ||
	       (reg >= X86_REG_R12 && reg <= X86_REG_R15);
}

/* What loads argument @arg of instruction @i, if nothing else can get there; or NULL. */
static const cs_insn *loader_of(const struct code *c, size_t i, int arg)
{
	for (size_t n = 0; n < NEAR && i > 0 && arg >= 0; n++) {
		if (c->target[i])
			return NULL;
		i--;
		if (ends_block(c, &c->insn[i]))
			return NULL;
		if (arguments_written(c, &c->insn[i]) >> arg & 1)
			return &c->insn[i];
	}
	return NULL;
}

/* Where the first argument of the call @i is, if that outlives calls; or NULL. */
static const cs_x86_op *object_of(const struct code *c, size_t i)
{
	const cs_insn *insn = loader_of(c, i, 0);
	const cs_x86_op *op;

	if (!insn || insn->id != X86_INS_MOV)
		return NULL;
	op = x86(insn)->operands;
	return op[0].type == X86_OP_REG && op[0].reg == X86_REG_RDI &&
	       (is_local(c, &op[1]) ||
		(op[1].type == X86_OP_REG && is_saved(op[1].reg))) ?
	       &op[1] : NULL;
}

/*
 * Who gets an object that the function frees further on frees it instead: so it is
 * used after that, and freed twice.
 */
static bool fit_early(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	const cs_x86_op *object, *freed;
	int32_t to;
	int arg;

	if (c->d->unlinked || insn->id != X86_INS_CALL || !is_direct(insn) ||
	    is_entry_hook(c, i) || calls(c, insn, CHARIOT_CALL_FREES, &arg))
		return false;
	object = object_of(c, i);
	for (size_t k = i + 1; object && k < c->nr; k++) {
		if (!calls(c, &c->insn[k], CHARIOT_CALL_FREES, &arg) || arg)
			continue;
		freed = object_of(c, k);
		if (!freed || !same_operand(object, freed))
			continue;
		begin(c, insn, "an object freed before its use", f);
		to = x86(&c->insn[k])->operands[0].imm - insn->address -
		     insn->size;
		memcpy(f->new + f->len - sizeof(to), &to, sizeof(to));
		return true;
	}
	return false;
}

/* On one CPU the kernel makes %ds of a lock prefix. */
static bool is_locked(const cs_insn *insn)
{
	const cs_x86 *x = x86(insn);

	return (x->prefix[0] == 0xf0 || x->prefix[1] == 0x3e) &&
	       memory_operand(insn) && insn->id != X86_INS_CALL &&
	       insn->id != X86_INS_JMP && !is_nop(insn);
}

static bool fit_lock(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	int arg;

	if (is_locked(insn))
		return to_nops(c, insn, "a locked operation left out", f);
	return calls(c, insn, CHARIOT_CALL_LOCKING, &arg) &&
	       replace_call(c, insn, "", "locking or unlocking left out", f);
}

/* ---- calls with a constant length --------------------------------------- */

static bool loads_constant(const cs_insn *insn, int arg)
{
	const cs_x86 *x = x86(insn);

	return insn->id == X86_INS_MOV && x->op_count == 2 &&
	       x->operands[0].type == X86_OP_REG &&
	       argument_of(x->operands[0].reg) == arg &&
	       x->operands[1].type == X86_OP_IMM &&
	       x->encoding.imm_offset && x->encoding.imm_size == 4;
}

/* The mov of a constant to argument @arg of instruction @i; or NULL. */
static const cs_insn *find_constant(const struct code *c, size_t i, int arg)
{
	const cs_insn *insn = loader_of(c, i, arg);

	return insn && loads_constant(insn, arg) ? insn : NULL;
}

static uint32_t constant(const cs_insn *insn)
{
	uint32_t v;

	memcpy(&v, insn->bytes + x86(insn)->encoding.imm_offset, sizeof(v));
	return v;
}

static void change_constant(const struct code *c, const cs_insn *insn,
			    uint32_t v, const char *what, struct fault *f)
{
	begin(c, insn, what, f);
	memcpy(f->new + x86(insn)->encoding.imm_offset, &v, sizeof(v));
}

static bool fit_alloc(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *size;
	int arg;

	if (!calls(c, &c->insn[i], CHARIOT_CALL_ALLOCATES, &arg))
		return false;
	size = find_constant(c, i, arg);
	if (!size || !constant(size) || rng_below(c->rng, 2))
		return replace_call(c, &c->insn[i], "\x31\xc0",
				    "an allocation fails", f);
	change_constant(c, size, rng_below(c->rng, 2) ? constant(size) / 2 : 0,
			"an allocation too small", f);
	return true;
}

static uint32_t overrun_bytes(struct rng *r)
{
	uint64_t percent = rng_below(r, 100);

	if (percent < 50)
		return 8;
	if (percent < 94)
		return 2 + rng_below(r, 1023);
	return PAGE * (2 + rng_below(r, 3));
}

/* Bytes that each round of rep movs or stos writes, 0: it is neither. */
static unsigned int rep_unit(const cs_insn *insn)
{
	const cs_x86 *x = x86(insn);
	uint8_t op = x->opcode[0];

	if (!is_repeated(insn) || ((op & 0xfe) != 0xa4 && (op & 0xfe) != 0xaa))
		return 0;
	if (!(op & 1))
		return 1;
	return x->rex & 8 ? 8 : x->prefix[2] == 0x66 ? 2 : 4;
}

static bool fit_overrun(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *len;
	unsigned int unit;
	uint32_t more;
	int arg;

	if (calls(c, &c->insn[i], CHARIOT_CALL_COPIES, &arg)) {
		unit = 1;
	} else {
		unit = rep_unit(&c->insn[i]);
		arg = 3;			/* %rcx */
	}

	if (!unit)
		return false;
	len = find_constant(c, i, arg);
	if (!len || constant(len) > INT32_MAX / 2)
		return false;
	more = overrun_bytes(c->rng);
	change_constant(c, len, constant(len) + (more + unit - 1) / unit,
			"a length too large", f);
	return true;
}

/* ---- choosing ----------------------------------------------------------- */

typedef bool (*fit_fn)(const struct code *c, size_t i, struct fault *f);

static const fit_fn fits[FAULT_NR_TYPES] = {
	[FAULT_SOURCE] = fit_source, [FAULT_DESTINATION] = fit_destination,
	[FAULT_POINTER] = fit_pointer, [FAULT_INTERFACE] = fit_interface,
	[FAULT_BRANCH] = fit_branch, [FAULT_LOOP] = fit_loop,
	[FAULT_NOP] = fit_nop, [FAULT_INIT] = fit_init, [FAULT_IRQ] = fit_irq,
	[FAULT_FREE] = fit_free, [FAULT_ALLOC] = fit_alloc,
	[FAULT_OVERRUN] = fit_overrun, [FAULT_OFF_BY_ONE] = fit_off_by_one,
	[FAULT_LOCK] = fit_lock, [FAULT_EARLY] = fit_early,
};

/* Any bit of the instruction's word at @at, which may make another of it. */
static bool fit_text(const struct code *c, size_t at, struct fault *f)
{
	size_t word = at & ~3UL, end = word + 4;
	size_t bit, i;

	if (end > c->f->len)
		end = c->f->len;
	bit = 8 * word + rng_below(c->rng, 8 * (end - word));
	for (i = 0; i < c->nr; i++)
		if (bit / 8 - (c->insn[i].address - c->f->gva) <
		    c->insn[i].size)
			break;
	if (i == c->nr)
		return false;
	begin(c, &c->insn[i], "a bit of the text flipped", f);
	flip(f, bit - 8 * f->offset);
	return true;
}

/* The first instruction that fits from @at on.  1, 0 or -errno. */
static int search(struct code *c, const struct fault_function *fn, size_t at,
		  struct fault *f)
{
	int err = code_load(c, fn);

	if (err)
		return err;
	if (f->type == FAULT_TEXT)
		return fit_text(c, at, f);
	for (size_t i = 0; i < c->nr; i++)
		if (c->insn[i].address - fn->gva >= at &&
		    fits[f->type](c, i, f))
			return 1;
	return 0;
}

static const struct fault_function *
random_place(const struct fault_driver *d, struct rng *r, size_t *at)
{
	uint64_t total = 0;

	for (size_t i = 0; i < d->nr; i++)
		total += d->functions[i].len;
	*at = rng_below(r, total);
	for (size_t i = 0; i < d->nr; i++) {
		if (*at < d->functions[i].len)
			return &d->functions[i];
		*at -= d->functions[i].len;
	}
	return NULL;
}

static int search_all(struct code *c, struct fault *f)
{
	const struct fault_driver *d = c->d;
	const struct fault_function *fn = NULL;
	size_t first, at;
	int r = 0;

	for (int n = 0; n < TRIES && !r; n++) {
		fn = random_place(d, c->rng, &at);
		if (!fn)
			return -ENOENT;
		r = search(c, fn, at, f);
	}
	/* It is rare, or there is none: then say so and be right. */
	first = fn - d->functions;
	for (size_t i = 1; i <= d->nr && !r; i++)
		r = search(c, &d->functions[(first + i) % d->nr], 0, f);
	return r > 0 ? 0 : r ?: -ENOENT;
}

/* ---- in words ------------------------------------------------------------ */

/* As it is wherever the driver was loaded to. */
static bool describe_jump(const struct code *c, const cs_insn *insn, char *buf,
			  size_t size)
{
	uint64_t to = x86(insn)->operands[0].imm;
	char name_buf[NAME_MAX_LEN];
	const char *name;

	if ((!in_group(c, insn, X86_GRP_JUMP) &&
	     !in_group(c, insn, X86_GRP_CALL)) ||
	    x86(insn)->operands[0].type != X86_OP_IMM)
		return false;
	name = callee_name(c, insn, name_buf, sizeof(name_buf));
	if (name)
		snprintf(buf, size, "%s %s", insn->mnemonic, name);
	else if (to - c->f->gva < c->f->len)
		snprintf(buf, size, "%s %s+0x%llx", insn->mnemonic, c->f->name,
			 (unsigned long long)(to - c->f->gva));
	return name || to - c->f->gva < c->f->len;
}

/* One instruction; its length, 0 if it is none. */
static size_t describe_one(const struct code *c, const uint8_t *bytes,
			   size_t len, uint64_t gva, char *buf, size_t size)
{
	cs_insn *insn;
	size_t n;

	if (!cs_disasm(c->cs, bytes, len, gva, 1, &insn)) {
		snprintf(buf, size, "(bad)");
		return 0;
	}
	n = insn->size;
	if (!describe_jump(c, insn, buf, size))
		site_disassemble(bytes, n, gva, buf, size);
	cs_free(insn, 1);
	return n;
}

/* What begins in @f->len bytes at the fault; the last may go beyond. */
static void describe(const struct code *c, const struct fault *f,
		     const uint8_t *bytes, char *buf, size_t size)
{
	const uint8_t *rest = f->function->code + f->offset + f->len;
	size_t n = f->function->len - f->offset - f->len, at = 0, used = 0;
	uint8_t all[2 * SITE_MAX];
	size_t one;

	if (n > SITE_MAX)
		n = SITE_MAX;
	memcpy(all, bytes, f->len);
	memcpy(all + f->len, rest, n);
	*buf = 0;
	while (at < f->len && used < size) {
		if (at)
			used += snprintf(buf + used, size - used, "; ");
		if (used >= size)
			break;
		one = describe_one(c, all + at, f->len + n - at,
				   f->function->gva + f->offset + at,
				   buf + used, size - used);
		if (!one)
			break;
		used += strlen(buf + used);
		at += one;
	}
}

static int pick(struct code *c, struct fault *f, enum fault_type type,
		uint64_t seed)
{
	int err;

	f->type = type;
	*c->rng = rng_of(seed, type);
	err = search_all(c, f);
	if (err)
		return err;
	describe(c, f, f->old, f->before, sizeof(f->before));
	describe(c, f, f->new, f->after, sizeof(f->after));
	return 0;
}

/* A type that nothing fits is passed over for another. */
static int pick_any(struct code *c, struct fault *f, uint64_t seed)
{
	struct rng rng = rng_of(seed, FAULT_RANDOM);
	enum fault_type types[FAULT_NR_RANDOM];
	int err = -ENOENT;

	for (size_t i = 0; i < FAULT_NR_RANDOM; i++)
		types[i] = i;
	for (size_t left = FAULT_NR_RANDOM; left && err == -ENOENT; left--) {
		size_t i = rng_below(&rng, left);

		err = pick(c, f, types[i], seed);
		types[i] = types[left - 1];
	}
	return err;
}

int fault_pick(const struct fault_driver *d, enum fault_type type,
	       uint64_t seed, struct fault *f)
{
	struct rng rng;
	struct code c = { .d = d, .rng = &rng };
	int err = catalogue() ? code_open(&c) : -ENOMEM;

	if (err)
		return err;
	memset(f, 0, sizeof(*f));
	err = type == FAULT_RANDOM ? pick_any(&c, f, seed) :
	      pick(&c, f, type, seed);
	code_close(&c);
	return err;
}
