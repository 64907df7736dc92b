// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Is an instrumented module what should have become of the original?  Both are decoded
 * again, and nothing is taken from the rewriter but its map and its report.
 */
#include <Zydis/Zydis.h>
#include <chariot-inline.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TOLD_MAX	8

struct verify {
	const struct ko_file *old;
	struct ko_file new;
	const struct chariot_inline *x;
	const struct chariot_inline_check *checks;
	size_t nr_checks;
	ZydisDecoder d;
	const struct chariot_inline_layout *l;
	uint8_t **starts;	/* by new section: an instruction begins there */
	uint8_t **replaced;	/* by section of the old one */
	unsigned int bad;
};

static void __attribute__((format(printf, 2, 3)))
wrong(struct verify *v, const char *fmt, ...)
{
	va_list ap;

	if (v->bad++ >= TOLD_MAX)
		return;
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- one place ----------------------------------------------------------------- */

struct at {
	uint32_t sec, off;
};

static bool moved(const struct verify *v, struct at p, bool exact, struct at *to)
{
	const struct ko_section *s = &v->old->secs[p.sec];

	*to = p;
	if (!s->code)
		return true;
	if (p.off < s->size)
		return !chariot_inline__to_new(v->x, p.sec, p.off, exact, &to->sec,
					       &to->off);
	return true;		/* the end: compared by nobody */
}

struct code {
	ZydisDecodedInstruction z;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	const struct ko_section *s;
	const uint8_t *at;
	uint32_t sec, off, end;
};

static bool decode(const struct verify *v, const struct ko_file *k, struct at p,
		   struct code *c)
{
	memset(c, 0, sizeof(*c));
	c->s = &k->secs[p.sec];
	c->sec = p.sec;
	c->off = p.off;
	if (!c->s->data || p.off >= c->s->size)
		return false;
	c->at = c->s->data + p.off;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&v->d, c->at, c->s->size - p.off, &c->z,
						 c->o)))
		return false;
	c->end = p.off + c->z.length;
	return true;
}

/* Where a branch, or an operand by RIP, leads: -1 nothing, 0 an import, 1 a place. */
static int leads(const struct code *c, struct at *to, const struct ko_rel **import)
{
	const struct ko_rel *r = NULL;
	int64_t rel = 0;
	bool branch = c->o[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && c->o[0].imm.is_relative;

	if (branch) {
		uint32_t f = c->off + c->z.raw.imm[0].offset;

		r = ko_rel_in(c->s, f, f + c->z.raw.imm[0].size / 8);
		rel = c->o[0].imm.value.s;
	} else if (c->z.attributes & ZYDIS_ATTRIB_IS_RELATIVE) {
		uint32_t f = c->off + c->z.raw.disp.offset;

		r = ko_rel_in(c->s, f, f + 4);
		rel = c->z.raw.disp.value;
	} else {
		return -1;
	}
	*import = r;
	if (r && r->import)
		return 0;
	if (r)
		*to = (struct at){ r->sec, r->target + (c->end - r->off) };
	else
		*to = (struct at){ c->sec, c->end + rel };
	return 1;
}

/* ---- instructions ---------------------------------------------------------------- */

static bool same_operands(const struct code *a, const struct code *b)
{
	for (int i = 0; i < a->z.operand_count_visible; i++) {
		const ZydisDecodedOperand *x = &a->o[i], *y = &b->o[i];

		bool branch = x->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && x->imm.is_relative;

		if (x->type != y->type || (x->size != y->size && !branch) ||
		    x->actions != y->actions)
			return false;
		if (x->type == ZYDIS_OPERAND_TYPE_REGISTER && x->reg.value != y->reg.value)
			return false;
		if (x->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && !x->imm.is_relative &&
		    x->imm.value.u != y->imm.value.u)
			return false;
		if (x->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    (x->mem.base != y->mem.base || x->mem.index != y->mem.index ||
		     x->mem.scale != y->mem.scale || x->mem.segment != y->mem.segment ||
		     (x->mem.base != ZYDIS_REGISTER_RIP &&
		      x->mem.disp.value != y->mem.disp.value)))
			return false;
	}
	return true;
}

/* Relocations other than of branches and RIP: the same, to where things have gone. */
static bool same_rels(const struct verify *v, const struct code *a, const struct code *b)
{
	for (uint32_t i = 0; i < a->z.length; i++) {
		const struct ko_rel *r = ko_rel_in(a->s, a->off + i, a->off + i + 1);
		const struct ko_rel *q = ko_rel_in(b->s, b->off + i, b->off + i + 1);
		struct at to;

		if (!r || r->type == R_X86_64_PC32 || r->type == R_X86_64_PLT32)
			continue;
		if (!q || r->type != q->type || !r->import != !q->import)
			return false;
		/* Before a table's beginning, with an index that makes up for it. */
		if (!r->import && !v->old->secs[r->sec].code) {
			if (r->sec != q->sec || r->target != q->target)
				return false;
			continue;
		}
		if (r->import ? strcmp(r->import, q->import) || r->target != q->target :
		    !moved(v, (struct at){ r->sec, r->target }, false, &to) ||
		    to.sec != q->sec || to.off != (uint32_t)q->target)
			return false;
	}
	return true;
}

#define REPLACED	1
#define PERHAPS		2	/* how much is not in every table */

/* What the kernel replaces. */
static void find_replaced(struct verify *v)
{
	static const struct { const char *name; uint32_t len, row; } all[] = {
		{ ".altinstructions", 16, 1 }, { ".parainstructions", 16, 1 },
		{ ".static_call_sites", 1, 8 }, { "__jump_table", 1, 16 },
		{ "__mcount_loc", 1, 1 },
	};

	v->replaced = calloc(v->old->nr_secs, sizeof(*v->replaced));
	for (uint32_t i = 0; i < v->old->nr_secs; i++)
		v->replaced[i] = calloc(v->old->secs[i].size + 17, 1);
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		const struct ko_section *s = ko_file_section(v->old, all[k].name);

		for (uint32_t i = 0; s && i < s->nr_rels; i++) {
			const struct ko_rel *r = &s->rels[i];
			uint8_t *at = r->import ? NULL : v->replaced[r->sec] + r->target;

			if (!at || r->off % all[k].row || r->target < 0 ||
			    r->target > v->old->secs[r->sec].size)
				continue;
			for (uint32_t n = 0; n < all[k].len; n++)
				at[n] |= PERHAPS;
			*at |= REPLACED;
		}
	}
}

/* Functions of the kernel's are called by way of gates. */
static bool to_gate(const struct verify *v, const struct code *a, const struct ko_rel *r,
		    struct at to)
{
	size_t n = (to.off - v->l->gates[0].slot) / CHARIOT_INLINE_SLOT;

	return v->l->nr_gates && to.sec == v->l->runtime && n < v->l->nr_gates &&
	       v->l->gates[n].slot == to.off && !strcmp(v->l->gates[n].name, r->import) &&
	       r->target == -4 && a->end - r->off == 4 && !(v->replaced[a->sec][a->off] & REPLACED);
}

static bool needs_gate(const struct verify *v, const struct code *a, const char *name)
{
	static const char *const none[] = {
		"__x86_", "__fentry__", "__stack_chk_fail", "__SCT__", "__get_user_",
		"__put_user_", "__sanitizer_", "__asan_", "__tsan_",
	};
	struct chariot_inline_function f;
	size_t nr;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (!strncmp(name, none[i], strlen(none[i])))
			return false;
	for (size_t i = 0; i < (chariot_inline__functions(v->x, &nr), nr); i++) {
		f = chariot_inline__functions(v->x, &nr)[i];
		if (f.sec == a->sec && a->off >= f.off && a->off < f.off + f.len && f.why)
			return false;
	}
	return a->o[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	       !v->replaced[a->sec][a->off];
}

/* A function that calls "enter" first of all may begin with a loop. */
static bool behind_enter(const struct verify *v, struct at from, struct at to)
{
	for (size_t i = 0; i < v->l->nr_entries; i++)
		if (v->l->entries[i].sec == to.sec && v->l->entries[i].off == to.off - 5 &&
		    v->l->entries[i].call == to.off - 5)
			return from.sec == to.sec && from.off == to.off - 5;
	return false;
}

static bool same_target(struct verify *v, const struct code *a, const struct code *b)
{
	const struct ko_rel *r = NULL, *q = NULL;
	struct at from = {}, to = {}, want;
	int x = leads(a, &from, &r), y = leads(b, &to, &q);

	if (!x && y == 1)
		return to_gate(v, a, r, to);
	if (x != y)
		return false;
	if (x < 0)
		return true;
	if (!x)
		return !needs_gate(v, a, r->import) && !strcmp(r->import, q->import) &&
		       r->target + (a->end - r->off) == q->target + (b->end - q->off);
	if (from.off >= v->old->secs[from.sec].size)
		return from.sec == to.sec || v->old->secs[from.sec].code;
	return moved(v, from, false, &want) &&
	       ((want.sec == to.sec && want.off == to.off) || behind_enter(v, want, to));
}

static bool is_nop(const struct code *c)
{
	return c->z.meta.category == ZYDIS_CATEGORY_NOP ||
	       c->z.meta.category == ZYDIS_CATEGORY_WIDENOP;
}

/* loop and jrcxz go over a jump; nops where a jump label is may be longer. */
static bool same_insn(struct verify *v, const struct code *a, struct code *b)
{
	struct code far;

	if (is_nop(a) && is_nop(b))
		return b->z.length >= a->z.length;
	if (a->z.mnemonic != b->z.mnemonic ||
	    a->z.operand_count_visible != b->z.operand_count_visible ||
	    (a->z.attributes & ZYDIS_ATTRIB_HAS_LOCK) !=
	    (b->z.attributes & ZYDIS_ATTRIB_HAS_LOCK) ||
	    !same_operands(a, b) || !same_rels(v, a, b))
		return false;
	if (same_target(v, a, b))
		return true;
	if (!decode(v, &v->new, (struct at){ b->sec, b->end + 2 }, &far))
		return false;
	return b->z.raw.imm[0].size == 8 && b->o[0].imm.value.s == 2 &&
	       same_target(v, a, &far);
}

static bool writes(const struct code *c)
{
	if (is_nop(c) || c->z.meta.category == ZYDIS_CATEGORY_PREFETCH ||
	    c->z.mnemonic == ZYDIS_MNEMONIC_CLFLUSH || c->z.mnemonic == ZYDIS_MNEMONIC_CLWB ||
	    c->z.mnemonic == ZYDIS_MNEMONIC_CLFLUSHOPT || c->z.mnemonic == ZYDIS_MNEMONIC_INVLPG)
		return false;
	for (int i = 0; i < c->z.operand_count; i++)
		if (c->o[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    c->o[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
		    c->o[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
		    !(c->o[i].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
		      (c->o[i].mem.base == ZYDIS_REGISTER_RSP)))
			return true;
	return false;
}

/* From one instruction to the next, where both are one piece. */
static void verify_function(struct verify *v, const struct chariot_inline_function *f)
{
	uint32_t stores = 0;
	struct code a, b;
	struct at to, p = { f->sec, f->off };

	for (; p.off < f->off + f->len; p.off = a.end) {
		if (!decode(v, v->old, p, &a) || !moved(v, p, true, &to) ||
		    !decode(v, &v->new, to, &b)) {
			wrong(v, "%s+0x%x: nothing is there", f->name, p.off - f->off);
			return;
		}
		stores += writes(&a);
		if (!same_insn(v, &a, &b))
			wrong(v, "%s+0x%x: is another instruction at 0x%x", f->name,
			      p.off - f->off, to.off);
		if (!v->starts[to.sec][to.off])
			wrong(v, "%s+0x%x: not where instructions begin", f->name,
			      p.off - f->off);
	}
	if (!f->why && stores != f->checks + f->frame + f->own + f->percpu)
		wrong(v, "%s: %u stores, %u are accounted for", f->name, stores,
		      f->checks + f->frame + f->own + f->percpu);
	if (f->why && f->checks)
		wrong(v, "%s: is refused, and has checks", f->name);
}

/* All of a function's code, checks and their slow parts too. */
static void find_starts(struct verify *v, const struct chariot_inline_function *f)
{
	struct at p = { f->new_sec, f->new_off };
	struct code c;

	for (; p.off < f->new_off + f->new_len; p.off = c.end) {
		if (!decode(v, &v->new, p, &c)) {
			wrong(v, "%s: no instruction at 0x%x", f->name, p.off);
			return;
		}
		v->starts[p.sec][p.off] = 1;
	}
	if (p.off != f->new_off + f->new_len)
		wrong(v, "%s: ends within an instruction", f->name);
}

static void verify_branches(struct verify *v, const struct chariot_inline_function *f)
{
	struct at p = { f->new_sec, f->new_off }, to;
	const struct ko_rel *r;
	struct code c;

	for (; p.off < f->new_off + f->new_len && decode(v, &v->new, p, &c); p.off = c.end) {
		if (c.o[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !c.o[0].imm.is_relative ||
		    leads(&c, &to, &r) != 1 || !v->new.secs[to.sec].code)
			continue;
		if (to.off > v->new.secs[to.sec].size || !v->starts[to.sec][to.off])
			wrong(v, "%s: a branch at 0x%x into an instruction", f->name, p.off);
	}
}

/* ---- checks ---------------------------------------------------------------------- */

/* Where the store is left out: what was pushed, and on behind it. */
static bool good_skip(struct verify *v, const struct chariot_inline_check *c)
{
	uint32_t off = c->skip;
	struct code i;

	if (!c->pushed)
		return c->skip == c->next;
	for (int n = 0; n < c->pushed; n++, off = i.end)
		if (!decode(v, &v->new, (struct at){ c->new_sec, off }, &i) ||
		    (i.z.mnemonic != ZYDIS_MNEMONIC_POP && i.z.mnemonic != ZYDIS_MNEMONIC_POPFQ))
			return false;
	return decode(v, &v->new, (struct at){ c->new_sec, off }, &i) &&
	       i.z.mnemonic == ZYDIS_MNEMONIC_JMP && i.end + i.o[0].imm.value.s == c->next;
}

/*
 * What several checks call to look at the cache: by the last byte's line, whose entry has
 * to be the first one's, in a register that it is told (@address), which it keeps.
 */
static bool good_lookup(struct verify *v, struct at p, ZydisRegister address, unsigned int size)
{
	static const ZydisMnemonic order[] = {
		ZYDIS_MNEMONIC_LEA, ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_MOV,
		ZYDIS_MNEMONIC_TEST, ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_SHR,
		ZYDIS_MNEMONIC_JNZ,
	};
	const uint32_t n = sizeof(order) / sizeof(order[0]);
	struct code i[sizeof(order) / sizeof(order[0]) + 1];
	uint32_t slot = (address - ZYDIS_REGISTER_RAX) * CHARIOT_INLINE_SLOT;
	const struct ko_rel *cache;
	ZydisRegister b;

	for (uint32_t k = 0; k <= n; k++, p.off = i[k - 1].end)
		if (!decode(v, &v->new, p, &i[k]) || (k < n && i[k].z.mnemonic != order[k]))
			return false;
	b = i[4].o[1].reg.value;
	for (uint32_t k = 0; k < n - 1; k++)
		if (k != 5 && ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
						     i[k].o[0].reg.value) != b)
			return false;
	cache = ko_rel_in(i[3].s, i[3].off, i[3].end);
	if (!cache || cache->sec != chariot_inline__layout(v->x)->cache || cache->target ||
	    i[3].o[1].mem.base != ZYDIS_REGISTER_NONE || i[3].o[1].mem.scale != 8)
		return false;
	return b != address && i[0].o[1].mem.base == address &&
	       i[0].o[1].mem.disp.value == size - 1 && i[3].o[1].mem.index == b &&
	       i[6].o[1].reg.value == address && i[7].o[1].imm.value.u == 6 &&
	       i[5].end + i[5].o[0].imm.value.s == slot &&
	       i[8].end + i[8].o[0].imm.value.s == slot &&
	       (i[n].z.mnemonic == ZYDIS_MNEMONIC_RET ||
		(i[n].z.mnemonic == ZYDIS_MNEMONIC_JMP && ko_rel_in(i[n].s, i[n].off, i[n].end)));
}

/* A call of that, with the address made by the instruction before. */
static bool good_call(struct verify *v, const struct chariot_inline_check *c)
{
	const struct ko_rel *r = ko_rel_in(&v->new.secs[c->new_sec], c->slow - 4, c->slow);
	uint32_t off = c->start;
	struct code last = {}, i = {};

	for (; off < c->slow; off = i.end) {
		last = i;
		if (!decode(v, &v->new, (struct at){ c->new_sec, off }, &i))
			return false;
	}
	return off == c->slow && i.z.mnemonic == ZYDIS_MNEMONIC_CALL && r && !r->import &&
	       last.o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && last.o[0].size == 64 &&
	       good_lookup(v, (struct at){ r->sec, r->target + 4 }, last.o[0].reg.value, c->size) &&
	       good_skip(v, c);
}

/* Is there a jne before the store, to what calls, is told the number, and returns? */
static bool good_check(struct verify *v, const struct chariot_inline_check *c, uint32_t nr)
{
	const struct ko_section *s = &v->new.secs[c->new_sec];
	uint32_t nop = 0, number = 0, off = c->start, jne = 0;
	struct code i;

	if (c->slow + 7 > s->size)
		return false;
	memcpy(&nop, s->data + c->slow, 3);
	memcpy(&number, s->data + c->slow + 3, 4);
	if (nop != CHARIOT_INLINE_NOP || number != (nr << 8 | c->size))
		return false;
	for (; off < c->store; off = i.end) {
		if (!decode(v, &v->new, (struct at){ c->new_sec, off }, &i))
			return false;
		if (i.z.mnemonic == ZYDIS_MNEMONIC_JNZ)
			jne = i.end + i.o[0].imm.value.s;
	}
	if (off != c->store)
		return false;
	if (c->kind == CHARIOT_INLINE_STRING)
		return c->slow > c->start && c->slow < c->store && c->skip == c->next;
	if (c->slow < c->store)
		return !jne && good_call(v, c);
	if (!jne || jne >= c->slow || !v->starts[c->new_sec][jne])
		return false;
	if (!decode(v, &v->new, (struct at){ c->new_sec, c->slow + 7 }, &i))
		return false;
	off = i.end + i.o[0].imm.value.s;
	return i.z.mnemonic == ZYDIS_MNEMONIC_JMP && off > c->start && off <= c->store &&
	       good_skip(v, c);
}

static void verify_checks(struct verify *v)
{
	for (size_t i = 0; i < v->nr_checks; i++) {
		const struct chariot_inline_check *c = &v->checks[i];
		struct at a, b;

		if (!moved(v, (struct at){ c->sec, c->off }, false, &a) ||
		    !moved(v, (struct at){ c->sec, c->off }, true, &b) ||
		    a.sec != c->new_sec || a.off != c->start || b.off != c->store ||
		    !good_check(v, c, i))
			wrong(v, "check %zu of the store at 0x%x", i, c->off);
		if (chariot_inline__to_old(v->x, c->new_sec, c->slow, &b.sec, &b.off) ||
		    b.sec != c->sec || b.off != c->off)
			wrong(v, "check %zu: its slow part is not of its store", i);
	}
}

/* ---- tables ------------------------------------------------------------------------- */

static bool points_exactly(const char *name, uint32_t off)
{
	static const char *const all[] = {
		".altinstructions", ".parainstructions", ".retpoline_sites",
		".return_sites", ".call_sites", ".smp_locks", "__mcount_loc",
		".ibt_endbr_seal", ".cfi_sites", "__patchable_function_entries",
	};

	if (!strcmp(name, "__ex_table") || !strcmp(name, "__bug_table"))
		return off % 12 == 0;
	if (!strcmp(name, "__jump_table"))
		return off % 16 == 0;
	if (!strcmp(name, ".static_call_sites"))
		return off % 8 == 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(name, all[i]))
			return true;
	return false;
}

static void verify_section(struct verify *v, uint32_t n)
{
	const struct ko_section *a = &v->old->secs[n], *b = &v->new.secs[n];

	bool longer = !strcmp(a->name, ".return_sites");	/* verify-runtime.c */

	if ((longer ? b->size < a->size : a->size != b->size || a->nr_rels != b->nr_rels) ||
	    (a->data && memcmp(a->data, b->data, a->size))) {
		wrong(v, "section %s: is not what it was", a->name);
		return;
	}
	for (uint32_t i = 0; i < a->nr_rels; i++) {
		const struct ko_rel *r = &a->rels[i], *q = &b->rels[i];
		int64_t bias = a->sh->sh_flags & SHF_EXECINSTR &&
			       (r->type == R_X86_64_PC32 || r->type == R_X86_64_PLT32) ? 4 : 0;
		struct at to;
		bool same = r->off == q->off && r->type == q->type && !r->import == !q->import;

		if (same && r->import)
			same = !strcmp(r->import, q->import) && r->target == q->target;
		else if (same && r->target + bias < v->old->secs[r->sec].size)
			same = moved(v, (struct at){ r->sec, r->target + bias },
				     points_exactly(a->name, r->off), &to) &&
			       to.sec == q->sec && to.off == q->target + bias;
		if (!same)
			wrong(v, "section %s: 0x%x leads elsewhere", a->name, r->off);
	}
}

static bool is_special(const struct ko_section *s)
{
	return s->code || s->sh->sh_type == SHT_SYMTAB || s->sh->sh_type == SHT_STRTAB ||
	       s->sh->sh_type == SHT_RELA || !strncmp(s->name, ".orc_unwind", 11);
}

static void verify_symbols(struct verify *v)
{
	uint32_t fresh = v->new.nr_syms - v->old->nr_syms, k = 0;

	for (uint32_t i = 0; i < v->old->nr_syms; i++, k++) {
		const Elf64_Sym *a = &v->old->syms[i], *b;
		const char *name = v->old->strings + a->st_name;
		struct at to = { a->st_shndx, a->st_value };

		if (ELF64_ST_BIND(a->st_info) != STB_LOCAL && k == i)
			k += fresh;
		b = &v->new.syms[k];
		if (a->st_shndx && a->st_shndx < v->old->nr_secs &&
		    ELF64_ST_TYPE(a->st_info) != STT_SECTION &&
		    v->old->secs[a->st_shndx].code &&
		    (a->st_value >= v->old->secs[a->st_shndx].size ||
		     !moved(v, to, false, &to)))
			continue;
		if (strcmp(name, v->new.strings + b->st_name) || a->st_info != b->st_info ||
		    b->st_shndx != to.sec || b->st_value != to.off)
			wrong(v, "symbol %s: is not where it was", name);
	}
}

/* ---- unwinding ----------------------------------------------------------------------- */

struct orc {
	struct row { struct at at; const uint8_t *data; } *v;
	uint32_t nr;
};

static int by_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->at.sec != y->at.sec)
		return x->at.sec < y->at.sec ? -1 : 1;
	return x->at.off < y->at.off ? -1 : x->at.off > y->at.off;
}

static bool read_orc(const struct ko_file *k, struct orc *o)
{
	const struct ko_section *ip = ko_file_section(k, ".orc_unwind_ip");
	const struct ko_section *info = ko_file_section(k, ".orc_unwind");

	o->nr = ip && info ? ip->nr_rels : 0;
	o->v = calloc(o->nr + 1, sizeof(*o->v));
	for (uint32_t i = 0; o->v && i < o->nr; i++)
		o->v[i] = (struct row){ { ip->rels[i].sec, ip->rels[i].target },
					info->data + ip->rels[i].off / 4 * 6 };
	if (o->v)
		qsort(o->v, o->nr, sizeof(*o->v), by_place);
	return o->v && o->nr;
}

static const uint8_t *row_at(const struct orc *o, struct at p)
{
	static const uint8_t none[6];
	uint32_t low = 0, high = o->nr;
	struct row key = { p, NULL };

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (by_place(&o->v[mid], &key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low && o->v[low - 1].at.sec == p.sec ? o->v[low - 1].data : none;
}

static bool same_row(const uint8_t *a, const uint8_t *b, int pushed)
{
	int16_t x, y;

	memcpy(&x, a, 2);
	memcpy(&y, b, 2);
	if ((a[4] & 15) == 5)
		x += 8 * pushed;
	return x == y && !memcmp(a + 2, b + 2, 4);
}

static void verify_unwinding(struct verify *v, const struct chariot_inline_function *f, size_t nr)
{
	struct orc old, new;
	struct code c;

	if (read_orc(v->old, &old) & read_orc(&v->new, &new)) {
		for (size_t i = 0; i < nr; i++) {
			struct at p = { f[i].sec, f[i].off }, stub, pos;

			for (; p.off < f[i].off + f[i].len && decode(v, v->old, p, &c);
			     p.off = c.end) {
				moved(v, p, false, &stub);
				moved(v, p, true, &pos);
				if (!same_row(row_at(&old, p), row_at(&new, stub), 0) ||
				    !same_row(row_at(&old, p), row_at(&new, pos), 0))
					wrong(v, "%s+0x%x: is unwound otherwise", f[i].name,
					      p.off - f[i].off);
			}
		}
		for (size_t i = 0; i < v->nr_checks; i++) {
			const struct chariot_inline_check *k = &v->checks[i];

			if (!same_row(row_at(&old, (struct at){ k->sec, k->off }),
				      row_at(&new, (struct at){ k->new_sec, k->slow - 1 }),
				      k->pushed))
				wrong(v, "check %zu: its slow part is unwound otherwise", i);
		}
	}
	free(old.v);
	free(new.v);
}

/* ---- all of it ------------------------------------------------------------------------ */

unsigned int inline_verify(const struct ko_file *old, const struct chariot_inline *x)
{
	struct verify v = { .old = old, .x = x };
	const struct chariot_inline_function *f;
	size_t len, nr;
	const void *image = chariot_inline__image(x, &len);

	v.l = chariot_inline__layout(x);
	ZydisDecoderInit(&v.d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (ko_file_read(&v.new, image, len)) {
		wrong(&v, "the new file is none");
		return v.bad;
	}
	f = chariot_inline__functions(x, &nr);
	v.checks = chariot_inline__checks(x, &v.nr_checks);
	v.starts = calloc(v.new.nr_secs, sizeof(*v.starts));
	for (uint32_t i = 0; i < v.new.nr_secs; i++)
		v.starts[i] = calloc(v.new.secs[i].size + 1, 1);
	find_replaced(&v);
	for (size_t i = 0; i < nr; i++)
		find_starts(&v, &f[i]);
	for (size_t i = 0; i < nr; i++) {
		verify_function(&v, &f[i]);
		if (!f[i].why)
			verify_branches(&v, &f[i]);
	}
	verify_checks(&v);
	for (uint32_t i = 1; i < old->nr_secs; i++)
		if (!is_special(&old->secs[i]))
			verify_section(&v, i);
	verify_symbols(&v);
	verify_unwinding(&v, f, nr);
	v.bad += inline_verify_runtime(old, &v.new, x);
	for (uint32_t i = 0; i < v.new.nr_secs; i++)
		free(v.starts[i]);
	free(v.starts);
	for (uint32_t i = 0; i < old->nr_secs; i++)
		free(v.replaced[i]);
	free(v.replaced);
	ko_file_free(&v.new);
	return v.bad;
}
