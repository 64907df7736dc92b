// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rewriter: a module's text as functions and instructions.
 */
#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "inline.h"

#define ALIGN_MAX	4096	/* that RSP is aligned to */

/* ---- functions, and what lies between them ------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->sec != y->sec)
		return x->sec < y->sec ? -1 : 1;
	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static bool is_cold(const char *name)
{
	const char *at = strstr(name, ".cold");

	return at && at != name;
}

/* objtool's and clang's names for what lies before functions are none of functions. */
static bool is_function(const struct module *m, const struct symbol *y)
{
	return GELF_ST_TYPE(y->s.st_info) == STT_FUNC && y->s.st_size &&
	       y->s.st_shndx < m->old_secs && m->secs[y->s.st_shndx].code &&
	       !starts_with(y->name, "__pfx_") && !starts_with(y->name, "__cfi_");
}

static int collect_functions(struct module *m)
{
	for (uint32_t i = 0; i < m->nr_syms; i++) {
		const struct symbol *y = &m->syms[i];
		const struct sec *s;

		if (!is_function(m, y))
			continue;
		s = &m->secs[y->s.st_shndx];
		if (y->s.st_value >= s->size || y->s.st_size > s->size - y->s.st_value) {
			log_err("function %s: is not in its section", y->name);
			return -EBADMSG;
		}
		m->pieces[m->nr_pieces++] = (struct piece){
			.name = y->name, .sec = y->s.st_shndx, .off = y->s.st_value,
			.size = y->s.st_size, .cold = is_cold(y->name), .root = true,
		};
	}
	if (m->nr_pieces)
		qsort(m->pieces, m->nr_pieces, sizeof(*m->pieces), by_place);
	return 0;
}

/* One of several names for a place; functions that overlap are one. */
static void merge_functions(struct module *m)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < m->nr_pieces; i++) {
		struct piece *p = &m->pieces[i], *last = left ? &m->pieces[left - 1] : NULL;
		uint32_t end = p->off + p->size;

		if (!left || last->sec != p->sec || p->off >= last->off + last->size) {
			m->pieces[left++] = *p;
			continue;
		}
		if (end > last->off + last->size)
			last->size = end - last->off;
		last->taken |= p->taken;
	}
	m->nr_pieces = left;
}

static bool has_fentry(const struct sec *s, uint32_t off)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	return s->mark[off] & MARK_FENTRY ||
	       (s->size - off > 4 && s->mark[off + 4] & MARK_FENTRY &&
		!memcmp(s->data + off, endbr, sizeof(endbr)));
}

static struct piece *add_piece(struct module *m, struct piece piece)
{
	struct piece *v = m->pieces;

	if (m->nr_pieces == m->room_pieces) {
		m->room_pieces = m->room_pieces ? 2 * m->room_pieces : 256;
		v = realloc(m->pieces, m->room_pieces * sizeof(*v));
		if (!v)
			return NULL;
		m->pieces = v;
	}
	v[m->nr_pieces] = piece;
	return &v[m->nr_pieces++];
}

/* What ftrace knows there are functions whose names were lost. */
static int add_gap(struct module *m, uint32_t sec, uint32_t from, uint32_t to)
{
	const struct sec *s = &m->secs[sec];

	while (from < to) {
		bool gap = !has_fentry(s, from);
		uint32_t end = from + 5;

		while (end < to && !has_fentry(s, end))
			end++;
		if (end > to || gap)
			for (end = from + 1; end < to && !has_fentry(s, end);)
				end++;
		if (!add_piece(m, (struct piece){
				.name = gap ? "" : "(no name)", .sec = sec, .off = from,
				.size = end - from, .gap = gap, .root = !gap, .taken = !gap }))
			return -ENOMEM;
		from = end;
	}
	return 0;
}

/* All bytes of all code in pieces, in order. */
static int find_pieces(struct module *m)
{
	struct piece *functions;
	uint32_t nr, k = 0;
	int err;

	m->pieces = calloc(m->nr_syms + 1, sizeof(*m->pieces));
	if (!m->pieces)
		return -ENOMEM;
	err = collect_functions(m);
	if (err)
		return err;
	merge_functions(m);
	functions = m->pieces;
	nr = m->nr_pieces;
	m->pieces = NULL;
	m->nr_pieces = 0;
	for (uint32_t i = 1; i < m->old_secs && !err; i++) {
		uint32_t at = 0;

		if (!m->secs[i].code)
			continue;
		for (; k < nr && functions[k].sec == i && !err; k++) {
			err = add_gap(m, i, at, functions[k].off);
			if (!err && !add_piece(m, functions[k]))
				err = -ENOMEM;
			at = functions[k].off + functions[k].size;
		}
		if (!err)
			err = add_gap(m, i, at, m->secs[i].size);
	}
	free(functions);
	return err;
}

/* ---- one instruction ------------------------------------------------------ */

static const struct rel *rel_between(const struct sec *s, uint32_t from, uint32_t to)
{
	uint32_t i = rels_from(&s->rel, from);

	return i < s->rel.nr && s->rel.v[i].off < to ? &s->rel.v[i] : NULL;
}

const struct rel *inl_disp_rel(const struct module *m, const struct insn *i)
{
	uint32_t at = i->off + i->disp_at;

	return i->disp_len ? rel_between(&m->secs[i->sec], at, at + i->disp_len) : NULL;
}

const struct rel *inl_branch_rel(const struct module *m, const struct insn *i)
{
	uint32_t at = i->off + i->imm_at;

	if (!(i->flags & (F_CALL | F_JMP | F_JCC)) || (i->flags & F_INDIRECT))
		return NULL;
	return rel_between(&m->secs[i->sec], at, at + i->imm_len);
}

static int gpr(ZydisRegister r)
{
	ZydisRegister e = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);

	return e >= ZYDIS_REGISTER_RAX && e <= ZYDIS_REGISTER_R15 ?
	       (int)(e - ZYDIS_REGISTER_RAX) : -1;
}

/* CF PF AF ZF SF OF as bits from 16. */
static uint32_t flag_bits(uint32_t f)
{
	return (uint32_t)((f & 1) | (f >> 2 & 1) << 1 | (f >> 4 & 1) << 2 |
			  (f >> 6 & 1) << 3 | (f >> 7 & 1) << 4 | (f >> 11 & 1) << 5) << 16;
}

static bool has_rep(const ZydisDecodedInstruction *z)
{
	return z->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				ZYDIS_ATTRIB_HAS_REPNE);
}

static bool is_zeroing(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *o)
{
	return (z->mnemonic == ZYDIS_MNEMONIC_XOR || z->mnemonic == ZYDIS_MNEMONIC_SUB) &&
	       o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       o[0].reg.value == o[1].reg.value && o[0].size >= 32;
}

static void note_register(struct insn *i, const ZydisDecodedInstruction *z,
			  const ZydisDecodedOperand *o, bool zeroing)
{
	int r = gpr(o->reg.value);
	bool part = o->size < 32 || (o->actions & ZYDIS_OPERAND_ACTION_CONDWRITE) ||
		    has_rep(z);

	if (r < 0)
		return;
	if ((o->actions & ZYDIS_OPERAND_ACTION_MASK_READ) && !zeroing)
		i->use |= REG(r);
	if (!(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return;
	i->wrote |= REG(r);
	if (part)
		i->use |= REG(r);
	else
		i->def |= REG(r);
}

static void note_memory(struct insn *i, const ZydisDecodedOperand *o)
{
	int base = gpr(o->mem.base), index = gpr(o->mem.index);

	if (base >= 0)
		i->use |= REG(base);
	if (index >= 0)
		i->use |= REG(index);
	if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
		i->flags |= F_RIP;
}

/* A count of 0 leaves flags alone; bsf of 0 its result. */
static void note_flags(struct insn *i, const ZydisDecodedInstruction *z,
		       const ZydisDecodedOperand *o)
{
	bool maybe = has_rep(z) || z->meta.category == ZYDIS_CATEGORY_SHIFT ||
		     z->meta.category == ZYDIS_CATEGORY_ROTATE;

	for (int k = 0; maybe && k < z->operand_count; k++)
		if (z->meta.category == ZYDIS_CATEGORY_SHIFT &&
		    o[k].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && (o[k].imm.value.u & 31))
			maybe = false;
	if (z->cpu_flags) {
		const ZydisAccessedFlags *f = z->cpu_flags;

		i->use |= flag_bits(f->tested);
		if (!maybe)
			i->def |= flag_bits(f->modified | f->set_0 | f->set_1 |
					    f->undefined);
	}
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_PUSHFQ:
		i->use |= FLAGS_ALL;
		break;
	case ZYDIS_MNEMONIC_POPFQ:
		i->def |= FLAGS_ALL;
		break;
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR:
	case ZYDIS_MNEMONIC_TZCNT:
	case ZYDIS_MNEMONIC_LZCNT:
		i->use |= i->def & REGS_ALL;
		break;
	default:
		break;
	}
}

static bool is_trap(ZydisMnemonic n)
{
	return n == ZYDIS_MNEMONIC_UD0 || n == ZYDIS_MNEMONIC_UD1 ||
	       n == ZYDIS_MNEMONIC_UD2 || n == ZYDIS_MNEMONIC_INT3;
}

/* Of all that only the kernel may do these read and write what their operands tell. */
static bool stores_system_register(ZydisMnemonic n)
{
	return n == ZYDIS_MNEMONIC_SGDT || n == ZYDIS_MNEMONIC_SIDT ||
	       n == ZYDIS_MNEMONIC_SLDT || n == ZYDIS_MNEMONIC_STR ||
	       n == ZYDIS_MNEMONIC_SMSW;
}

/* Who knows what it reads and writes: hypercalls, and what only the kernel may do. */
static void note_special(struct insn *i, const ZydisDecodedInstruction *z)
{
	if (stores_system_register(z->mnemonic))
		return;
	switch (z->meta.category) {
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
		if (!is_trap(z->mnemonic))
			i->why = WHY_ODD;
		break;
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_VTX:
	case ZYDIS_CATEGORY_SGX:
		i->use |= REGS_ALL;
		i->def = 0;
		break;
	default:
		break;
	}
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_STD:
		i->why = WHY_DOWN;
		break;
	case ZYDIS_MNEMONIC_VMRUN:
	case ZYDIS_MNEMONIC_VMMCALL:
	case ZYDIS_MNEMONIC_VMCALL:
	case ZYDIS_MNEMONIC_TDCALL:
	case ZYDIS_MNEMONIC_SEAMCALL:
		i->use |= REGS_ALL;
		i->def = 0;
		break;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_ENTER:
		i->why = WHY_ODD;
		break;
	default:
		if (z->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) {
			i->use |= REGS_ALL;
			i->def = 0;
		}
	}
}

static void note_branch(struct insn *i, const ZydisDecodedInstruction *z,
			const ZydisDecodedOperand *o)
{
	bool relative = z->operand_count && o[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
			o[0].imm.is_relative;

	switch (z->meta.category) {
	case ZYDIS_CATEGORY_RET:
		i->flags |= F_RET | F_STOP;
		if (z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			i->why = WHY_ODD;
		return;
	case ZYDIS_CATEGORY_CALL:
		i->flags |= F_CALL;
		break;
	case ZYDIS_CATEGORY_UNCOND_BR:
		i->flags |= F_JMP | F_STOP;
		break;
	case ZYDIS_CATEGORY_COND_BR:
		i->flags |= F_JCC;
		if (z->mnemonic == ZYDIS_MNEMONIC_JRCXZ || z->mnemonic == ZYDIS_MNEMONIC_JECXZ ||
		    z->mnemonic == ZYDIS_MNEMONIC_LOOP || z->mnemonic == ZYDIS_MNEMONIC_LOOPE ||
		    z->mnemonic == ZYDIS_MNEMONIC_LOOPNE)
			i->flags |= F_SHORT_ONLY;
		break;
	default:
		return;
	}
	if (!relative)
		i->flags |= F_INDIRECT;
	else
		i->imm = o[0].imm.value.s;
	if (z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		i->why = WHY_ODD;
}

static int whole_register(const ZydisDecodedOperand *o)
{
	int r = o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->size == 64 ? gpr(o->reg.value) : -1;

	return r < 0 ? NO_REG : r;
}

/* A register, or something else that frame.c does not follow. */
static void note_mov(struct insn *i, const ZydisDecodedOperand *o)
{
	const ZydisDecodedOperandMem *mem = &o[1].mem;

	i->src = whole_register(&o[1]);
	if (i->dst != NO_REG && i->src != NO_REG) {
		i->effect = EFFECT_MOVE;
	} else if (o[0].type == ZYDIS_OPERAND_TYPE_MEMORY && i->src != NO_REG) {
		i->effect = EFFECT_STORE;
	} else if (i->dst != NO_REG && o[1].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		   gpr(mem->base) >= 0 && mem->index == ZYDIS_REGISTER_NONE &&
		   mem->segment != ZYDIS_REGISTER_GS && mem->segment != ZYDIS_REGISTER_FS) {
		i->effect = EFFECT_LOAD;
		i->src = gpr(mem->base);
		i->imm = mem->disp.value;
	} else if (o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].size >= 32 &&
		   gpr(o[0].reg.value) >= 0 && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		   o[1].imm.value.u <= INT32_MAX) {
		i->effect = EFFECT_SET;
		i->dst = gpr(o[0].reg.value);
		i->imm = o[1].imm.value.u;
	}
}

static void note_arithmetic(struct insn *i, const ZydisDecodedInstruction *z,
			    const ZydisDecodedOperand *o)
{
	int64_t n = o[1].imm.value.s;

	if (i->dst == NO_REG || o[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return;
	if (z->mnemonic == ZYDIS_MNEMONIC_AND) {
		if (n < 0 && n >= -ALIGN_MAX && !(-n & (-n - 1)))
			i->effect = EFFECT_ALIGN;
	} else if (n >= -INT32_MAX && n <= INT32_MAX) {
		i->effect = EFFECT_ADD;
		i->imm = z->mnemonic == ZYDIS_MNEMONIC_ADD ? n : -n;
	}
}

/* What frame.c wants to know. */
static void note_effect(struct insn *i, const ZydisDecodedInstruction *z,
			const ZydisDecodedOperand *o)
{
	i->dst = whole_register(&o[0]);
	i->src = NO_REG;
	if (z->operand_width != 64 && z->mnemonic != ZYDIS_MNEMONIC_MOV)
		return;
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		i->effect = EFFECT_PUSH;
		i->src = i->dst;
		break;
	case ZYDIS_MNEMONIC_PUSHFQ:
		i->effect = EFFECT_PUSH;
		break;
	case ZYDIS_MNEMONIC_POP:
		i->effect = EFFECT_POP;
		break;
	case ZYDIS_MNEMONIC_POPFQ:
		i->effect = EFFECT_POP;
		i->dst = NO_REG;
		break;
	case ZYDIS_MNEMONIC_LEAVE:
		i->effect = EFFECT_LEAVE;
		break;
	case ZYDIS_MNEMONIC_MOV:
		note_mov(i, o);
		break;
	case ZYDIS_MNEMONIC_LEA:
		if (i->dst != NO_REG && gpr(o[1].mem.base) >= 0 && gpr(o[1].mem.index) < 0) {
			i->effect = EFFECT_LEA;
			i->src = gpr(o[1].mem.base);
			i->imm = o[1].mem.disp.value;
		}
		break;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_AND:
		note_arithmetic(i, z, o);
		break;
	default:
		break;
	}
}

/* A number that is to be relocated is not the one that stands there. */
static bool moves_by_symbol(const struct module *m, const struct insn *i)
{
	switch (i->effect) {
	case EFFECT_LEA:
	case EFFECT_LOAD:
		return inl_disp_rel(m, i);
	case EFFECT_SET:
	case EFFECT_ADD:
	case EFFECT_ALIGN:
		return rel_between(&m->secs[i->sec], i->off, i->off + i->len);
	}
	return false;
}

static void note_all(struct module *m, struct insn *i, const ZydisDecodedInstruction *z,
		     const ZydisDecodedOperand *o)
{
	bool zeroing = is_zeroing(z, o);

	i->len = z->length;
	i->mnemonic = z->mnemonic;
	i->disp_at = z->raw.disp.offset;
	i->disp_len = z->raw.disp.size / 8;
	i->imm_at = z->raw.imm[0].offset;
	i->imm_len = z->raw.imm[0].size / 8;
	for (int k = 0; k < z->operand_count; k++) {
		if (o[k].type == ZYDIS_OPERAND_TYPE_REGISTER)
			note_register(i, z, &o[k], zeroing);
		else if (o[k].type == ZYDIS_OPERAND_TYPE_MEMORY)
			note_memory(i, &o[k]);
	}
	if (zeroing && gpr(o[0].reg.value) >= 0)
		i->def |= REG(gpr(o[0].reg.value));
	note_flags(i, z, o);
	note_branch(i, z, o);
	note_effect(i, z, o);
	if (moves_by_symbol(m, i))
		i->effect = EFFECT_OTHER;
	note_special(i, z);
	if (z->meta.category == ZYDIS_CATEGORY_NOP ||
	    z->meta.category == ZYDIS_CATEGORY_WIDENOP)
		i->flags |= F_NOP;
	if (z->mnemonic == ZYDIS_MNEMONIC_INT3)
		i->flags |= F_STOP;
	inl_classify(m, i, z, o);
}

/* ---- all of them ------------------------------------------------------------ */

static struct insn *add_insn(struct module *m, uint32_t piece, uint32_t off)
{
	const struct piece *p = &m->pieces[piece];
	struct sec *s = &m->secs[p->sec];
	struct insn *v = m->insns;

	if (m->nr_insns == m->room_insns) {
		m->room_insns = m->room_insns ? 2 * m->room_insns : 4096;
		v = realloc(m->insns, m->room_insns * sizeof(*v));
		if (!v)
			return NULL;
		m->insns = v;
	}
	s->at[off] = m->nr_insns + 1;
	v += m->nr_insns++;
	memset(v, 0, sizeof(*v));
	v->off = off;
	v->sec = p->sec;
	v->len = 1;
	v->piece = piece;
	v->base = v->index = v->bit_reg = v->target = -1;
	v->mark = s->mark[off];
	return v;
}

static int decode_piece(struct module *m, const ZydisDecoder *d, uint32_t n)
{
	struct piece *p = &m->pieces[n];
	uint32_t off = p->off, end = p->off + p->size;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction z;
	struct insn *i;

	p->first = m->nr_insns;
	p->compiled = p->cold;
	for (; off < end; off += i->len) {
		i = add_insn(m, n, off);
		if (!i)
			return -ENOMEM;
		p->compiled |= !!(i->mark & MARK_FENTRY);
		p->taken |= off == p->off && (i->mark & MARK_TAKEN);
		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(d, m->secs[p->sec].data + off,
							end - off, &z, ops))) {
			note_all(m, i, &z, ops);
			if (!p->gap || (i->flags & F_NOP) || is_trap(z.mnemonic))
				continue;
		}
		if (!p->gap) {
			log_err("function %s: no instruction at +0x%x", p->name,
				off - p->off);
			return -ENOTSUP;
		}
		/* What is no padding is data, until something says that it is not. */
		*i = (struct insn){ .off = off, .sec = p->sec, .len = 1, .base = -1,
				    .index = -1, .bit_reg = -1, .target = -1, .piece = n,
				    .mark = i->mark, .flags = F_RAW | F_STOP };
	}
	p->nr = m->nr_insns - p->first;
	return 0;
}

int64_t inl_insn_at(const struct module *m, struct place p)
{
	const struct sec *s = &m->secs[p.sec];

	for (uint32_t k = 0; k < 16 && k <= p.off; k++)
		if (s->at[p.off - k])
			return (int64_t)s->at[p.off - k] - 1;
	return -1;
}

/* ---- where branches lead ------------------------------------------------------ */

bool inl_is_thunk(const char *name)
{
	return starts_with(name, "__x86_indirect_");
}

/* __x86_indirect_thunk_r11 */
static uint32_t thunk_register(const char *name)
{
	static const char *const names[] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9",
		"r10", "r11", "r12", "r13", "r14", "r15",
	};
	const char *end = strrchr(name, '_');

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(end + 1, names[i]))
			return REG(i);
	return REGS_ALL;
}

/* It does not come back. */
static bool is_noreturn(const char *name)
{
	static const char *const names[] = {
		"__stack_chk_fail", "panic", "fortify_panic", "__fortify_panic",
		"usercopy_abort", "do_exit", "make_task_dead", "kthread_exit",
		"kthread_complete_and_exit", "__module_put_and_kthread_exit",
		"__ubsan_handle_builtin_unreachable",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/*
 * Helpers in assembler have rules of their own: they may read more than arguments, and
 * keep most registers.  What calls to them read; 0: it is none of these.
 */
static uint32_t odd_use(const char *name)
{
	static const char *const any[] = {
		"__SCT__xen", "xen_", "hypercall", "hv_", "pv_", "paravirt", "asm_",
		"native_",
	};
	static const char *const most[] = {
		"__get_user", "__put_user", "preempt_schedule", "__SC", "__sw_hweight",
		"copy_user", "rep_", "clear_", "copy_page", "copy_mc", "__raw_callee",
		"__copy_user", "cmpxchg", "this_cpu_cmpxchg", "__rdgs", "__memcpy",
		"__memset", "__memmove", "memcpy_orig",
	};

	if (inl_is_thunk(name))
		return REGS_ARGS | REGS_CALLEE | thunk_register(name);
	for (size_t i = 0; i < ARRAY_SIZE(any); i++)
		if (starts_with(name, any[i]))
			return REGS_ALL;
	for (size_t i = 0; i < ARRAY_SIZE(most); i++)
		if (starts_with(name, most[i]))
			return REGS_ALL & ~(REG(R10) | REG(R11));
	return 0;
}

static void import_branch(struct insn *i, const char *name)
{
	bool call = i->flags & F_CALL;
	uint32_t odd = odd_use(name);

	if (call && !strcmp(name, "__fentry__"))	/* keeps all */
		return;
	if (!strcmp(name, "__x86_return_thunk")) {
		i->flags |= F_RET;
		return;
	}
	if (call && is_noreturn(name))
		i->flags |= F_STOP;
	if (!call)
		i->flags |= F_TAIL;
	i->use |= odd ?: REGS_ARGS | REG(RSP);
	if (call && !odd)
		i->def |= REGS_CALLER | FLAGS_ALL;
	else if (call)
		i->def |= FLAGS_ALL;
	if (i->flags & F_TAIL)
		i->use |= REGS_CALLEE;
}

static void own_branch(struct module *m, struct insn *i, struct place to)
{
	const struct sec *s = &m->secs[to.sec];
	const struct insn *t;

	if (!s->code) {		/* a static call's trampoline, most likely */
		i->use |= REGS_ALL;
		i->flags |= i->flags & F_CALL ? 0 : F_TAIL;
		return;
	}
	if (to.off == s->size || !s->at[to.off]) {
		i->flags |= F_INTO;
		return;
	}
	i->target = s->at[to.off] - 1;
	t = &m->insns[i->target];
	if (i->flags & F_CALL) {
		i->use |= REGS_ARGS | REG(RSP);
		i->def |= FLAGS_ALL;
		if (m->pieces[t->piece].compiled)
			i->def |= REGS_CALLER;
		if (i->target != (int32_t)m->pieces[t->piece].first)
			m->insns[i->target].flags |= F_CALLED;
		return;
	}
	if (t->piece != i->piece && i->target == (int32_t)m->pieces[t->piece].first &&
	    !m->pieces[t->piece].cold && !m->pieces[i->piece].cold)
		i->flags |= F_TAIL;
	m->insns[i->target].flags |= F_LEADER;
}

static void resolve(struct module *m, struct insn *i)
{
	const struct rel *r = inl_branch_rel(m, i);
	struct place to = { i->sec, i->off + i->len + i->imm };

	if (!(i->flags & (F_CALL | F_JMP | F_JCC)))
		return;
	if (i->flags & F_INDIRECT) {
		i->use |= REGS_ALL;
		return;
	}
	if (r && m->syms[r->sym].s.st_shndx == SHN_UNDEF) {
		import_branch(i, m->syms[r->sym].name);
	} else if (r) {
		if (inl_place(m, r, r->add + i->len - i->imm_at, &to))
			own_branch(m, i, to);
		else
			i->flags |= F_INTO;
	} else if (i->imm > 0 ? to.off <= m->secs[i->sec].size && to.off > i->off :
				to.off <= i->off + i->len) {
		own_branch(m, i, to);
	} else {
		i->flags |= F_INTO;
	}
}

static void mark_place(struct module *m, const struct rel *r, int64_t add)
{
	struct place p;

	if (inl_place(m, r, add, &p) && m->secs[p.sec].code && m->secs[p.sec].at[p.off])
		m->insns[m->secs[p.sec].at[p.off] - 1].mark |= MARK_TAKEN;
}

/* Addresses that the text itself takes: one instruction may take two. */
static void mark_taken(struct module *m)
{
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		const struct insn *i = &m->insns[k];
		const struct rel *r = inl_disp_rel(m, i);

		if (r)
			mark_place(m, r, r->add + (i->flags & F_RIP ?
						   i->len - i->disp_at : 0));
		if (i->imm_len != 4 || i->flags & (F_CALL | F_JMP | F_JCC))
			continue;
		r = rel_between(&m->secs[i->sec], i->off + i->imm_at,
				i->off + i->imm_at + 4);
		if (r)
			mark_place(m, r, r->add);
	}
	for (uint32_t k = 0; k < m->nr_pieces; k++)
		if (m->pieces[k].nr)
			m->pieces[k].taken |=
				!!(m->insns[m->pieces[k].first].mark & MARK_TAKEN);
}

static void mark_leaders(struct module *m)
{
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		struct insn *i = &m->insns[k];

		if (i->mark & (MARK_LEADER | MARK_TAKEN) || i->flags & F_CALLED ||
		    k == m->pieces[i->piece].first)
			i->flags |= F_LEADER;
		if (k + 1 < m->nr_insns &&
		    (i->flags & (F_JMP | F_JCC | F_RET | F_CALL | F_STOP) ||
		     i->mark & MARK_JUMP))
			m->insns[k + 1].flags |= F_LEADER;
	}
}

/* Code that has no name is beyond us; data is not, as long as nothing jumps there. */
static int check_places(const struct module *m)
{
	for (uint32_t k = 0; k < m->nr_insns; k++) {
		const struct insn *i = &m->insns[k];
		const struct sec *s = &m->secs[i->sec];

		if (i->flags & F_INTO && !inl_branch_rel(m, i) &&
		    i->off + i->len + i->imm > s->size) {
			log_err("section %s: a jump at 0x%x leads nowhere", s->name, i->off);
			return -EBADMSG;
		}
		if (!(i->flags & F_RAW))
			continue;
		if (rel_between(s, i->off, i->off + 1) ||
		    i->flags & F_CALLED ||
		    (i->flags & F_LEADER && i->mark & (MARK_LEADER | MARK_TAKEN))) {
			log_err("section %s: code at 0x%x is of no function", s->name,
				i->off);
			return -ENOTSUP;
		}
	}
	return 0;
}

int inl_decode(struct module *m)
{
	ZydisDecoder d;
	int err;

	if (!ZYAN_SUCCESS(ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64,
					   ZYDIS_STACK_WIDTH_64)))
		return -ENOSYS;
	err = find_pieces(m);
	for (uint32_t n = 0; n < m->nr_pieces && !err; n++)
		err = decode_piece(m, &d, n);
	if (err)
		return err;
	for (uint32_t k = 0; k < m->nr_insns; k++)
		resolve(m, &m->insns[k]);
	mark_taken(m);
	mark_leaders(m);
	return check_places(m);
}
