// SPDX-License-Identifier: GPL-2.0
/*
 * Where a type of fault fits, and into what the instruction is changed.
 */
#include "fit.h"

#include <chariot.h>
#include <string.h>

#define PAGE		4096

/* ---- results ------------------------------------------------------------ */

void fit_begin(const struct code *c, const cs_insn *insn, const char *what,
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
	fit_begin(c, insn, what, f);
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
		if (!insn_same_operand(&x->operands[i], &y->operands[i])) {
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

void fit_flip(struct fault *f, size_t bit)
{
	f->new[bit / 8] ^= 1U << bit % 8;
}

/* @access 0: any change will do. */
static bool bit_fits(const struct code *c, const cs_insn *insn,
		     struct fault *f, size_t bit, unsigned int access)
{
	cs_insn *new;
	bool fits;

	fit_flip(f, bit);
	new = decode_as_long(c, f);
	fit_flip(f, bit);
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
	fit_flip(f, bits[rng_below(c->rng, nr)]);
	return true;
}

static bool flip_operand(const struct code *c, size_t i, unsigned int access,
			 const char *what, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	uint8_t mask[SITE_MAX];

	if (code_ends_block(c, insn) || insn_is_nop(insn) || insn->size >= SITE_MAX)
		return false;
	memset(mask, 0xff, sizeof(mask));
	fit_begin(c, insn, what, f);
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

/* Bits of modrm's low half, SIB and the displacement; how string instructions
 * address memory is in no bit. */
static bool fit_pointer(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	const cs_x86_op *op = insn_memory(insn);
	size_t at = x86(insn)->encoding.modrm_offset;
	uint8_t mask[SITE_MAX] = {}, modrm;

	if (!op || !at || insn_is_nop(insn) || op->mem.base == X86_REG_RIP)
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
	fit_begin(c, insn, "a bit of the address flipped", f);
	return flip_one(c, insn, at, mask, 0, f);
}

/* ---- interface, init ---------------------------------------------------- */

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
	arg = insn_argument(from->reg);
	if (arg < 0 || !(live >> arg & 1))
		return false;
	return to->type == X86_OP_REG ? insn_argument(to->reg) != arg :
	       code_is_local(c, to);
}

/* Until something is called the registers are those of the caller. */
static bool fit_interface(const struct code *c, size_t i, struct fault *f)
{
	unsigned int live = 0x3f;

	for (size_t at = 0; at < i && live; at++) {
		const cs_insn *insn = &c->insn[at];

		if (code_is_entry_hook(c, at) || insn_is_jcc(insn))
			continue;
		if (code_ends_block(c, insn))
			return false;
		live &= ~code_arguments(c, insn);
	}
	return loads_argument(c, &c->insn[i], live) &&
	       to_nops(c, &c->insn[i], "the load of an argument left out", f);
}

static bool fit_init(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	const cs_x86 *x = x86(insn);

	return insn->id == X86_INS_MOV && x->op_count == 2 &&
	       code_is_local(c, &x->operands[0]) &&
	       x->operands[1].type == X86_OP_IMM &&
	       to_nops(c, insn, "a local variable not initialized", f);
}

/* ---- branch, loop, off-by-one ------------------------------------------- */

static bool fit_branch(const struct code *c, size_t i, struct fault *f)
{
	return insn_is_jcc(&c->insn[i]) &&
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

	if (insn_is_jcc(insn)) {
		fit_begin(c, insn, "a condition inverted", f);
		*condition(insn, f) ^= 1;
		return true;
	}
	if (!is_repeated(insn))
		return false;
	fit_begin(c, insn, "rep and repne swapped", f);
	rep = memchr(f->new, x86(insn)->prefix[0], f->len);
	*rep ^= 0xf2 ^ 0xf3;
	return true;
}

static bool fit_off_by_one(const struct code *c, size_t i, struct fault *f)
{
	const cs_insn *insn = &c->insn[i];
	uint8_t *cc;

	if (!insn_is_jcc(insn))
		return false;
	fit_begin(c, insn, "a comparison off by one", f);
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
	return !insn_is_nop(&c->insn[i]) && !code_is_entry_hook(c, i) &&
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

/* The built-in policy, which says what a call does; NULL: no memory. */
const struct chariot_policy *fit_catalogue(void)
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
	const char *name = code_callee(c, insn, buf, sizeof(buf));

	*arg = -1;
	return name && chariot_policy__call(fit_catalogue(), what, name, arg);
}

/* In place of the call @bytes, and what a jump there would have gone on to. */
static bool replace_call(const struct code *c, const cs_insn *insn,
			 const char *bytes, const char *what, struct fault *f)
{
	size_t len = strlen(bytes);

	fit_begin(c, insn, what, f);
	memcpy(f->new, bytes, len);
	if (insn_is_tail_call(insn))
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
		if (code_ends_block(c, &c->insn[i]))
			return NULL;
		if (code_arguments(c, &c->insn[i]) >> arg & 1)
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
	       (code_is_local(c, &op[1]) ||
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

	if (c->d->unlinked || insn->id != X86_INS_CALL || !insn_is_direct(insn) ||
	    code_is_entry_hook(c, i) || calls(c, insn, CHARIOT_CALL_FREES, &arg))
		return false;
	object = object_of(c, i);
	for (size_t k = i + 1; object && k < c->nr; k++) {
		if (!calls(c, &c->insn[k], CHARIOT_CALL_FREES, &arg) || arg)
			continue;
		freed = object_of(c, k);
		if (!freed || !insn_same_operand(object, freed))
			continue;
		fit_begin(c, insn, "an object freed before its use", f);
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
	       insn_memory(insn) && insn->id != X86_INS_CALL &&
	       insn->id != X86_INS_JMP && !insn_is_nop(insn);
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
	       insn_argument(x->operands[0].reg) == arg &&
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
	fit_begin(c, insn, what, f);
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

const fit_fn fit_by_type[FAULT_NR_TYPES] = {
	[FAULT_SOURCE] = fit_source, [FAULT_DESTINATION] = fit_destination,
	[FAULT_POINTER] = fit_pointer, [FAULT_INTERFACE] = fit_interface,
	[FAULT_BRANCH] = fit_branch, [FAULT_LOOP] = fit_loop,
	[FAULT_NOP] = fit_nop, [FAULT_INIT] = fit_init, [FAULT_IRQ] = fit_irq,
	[FAULT_FREE] = fit_free, [FAULT_ALLOC] = fit_alloc,
	[FAULT_OVERRUN] = fit_overrun, [FAULT_OFF_BY_ONE] = fit_off_by_one,
	[FAULT_LOCK] = fit_lock, [FAULT_EARLY] = fit_early,
};
