// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Is the runtime in an instrumented module what it should be: who calls it where, what its
 * loader relocates, and can it be unwound everywhere?  Its code is decoded and followed.
 */
#include <Zydis/Zydis.h>
#include <chariot-inline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define SLOT		16
#define ENTER		0x100
#define PARAMS		0x180
#define BODY_PRE	40
#define THUNK		"__x86_return_thunk"

struct rt {
	const struct ko_file *old, *new;
	const struct chariot_inline_layout *l;
	const struct ko_section *s;
	ZydisDecoder d;
	int32_t *depth;		/* by offset: of the stack, -1: nothing begins there */
	unsigned int returns;	/* by the kernel's thunk */
	unsigned int plain;	/* without it */
	unsigned int bad;
};

#define wrong(rt, ...) do { \
	if ((rt)->bad++ < 8) { printf("# runtime: " __VA_ARGS__); putchar('\n'); } \
} while (0)

/* ---- gates and relocations --------------------------------------------------------- */

static bool is_import(const struct rt *rt, uint32_t off, const char *name)
{
	const struct ko_rel *r = ko_rel_in(rt->s, off, off + 1);

	return r && r->import && r->type == R_X86_64_PLT32 && r->target == -4 &&
	       (!name || !strcmp(r->import, name));
}

static bool has_import(const struct ko_file *k, const char *name)
{
	for (uint32_t i = 1; i < k->nr_syms; i++)
		if (k->syms[i].st_shndx == SHN_UNDEF &&
		    !strcmp(k->strings + k->syms[i].st_name, name))
			return true;
	return false;
}

static void verify_gates(struct rt *rt)
{
	for (size_t i = 0; i < rt->l->nr_gates; i++) {
		const struct chariot_inline_gate *g = &rt->l->gates[i];
		const uint8_t *body = rt->s->data + g->body;
		uint32_t number, pre;

		if (g->body + 64 > rt->s->size || g->slot % SLOT || !has_import(rt->old, g->name)) {
			wrong(rt, "gate %s: is none", g->name);
			continue;
		}
		memcpy(&number, body + 1, 4);
		memcpy(&pre, body + BODY_PRE + 1, 4);
		if (rt->s->data[g->slot] != 0xe9 || !is_import(rt, g->slot + 1, g->name) ||
		    body[0] != 0x68 || number != i || body[BODY_PRE] != 0x68 || pre != i ||
		    !ko_rel_in(rt->s, g->body, g->body + BODY_PRE) ||
		    !is_import(rt, ko_rel_in(rt->s, g->body, g->body + BODY_PRE)->off, g->name) ||
		    !ko_rel_in(rt->s, g->body + BODY_PRE, g->body + 64) ||
		    !is_import(rt, ko_rel_in(rt->s, g->body + BODY_PRE, g->body + 64)->off, g->name))
			wrong(rt, "gate %s: does not lead there", g->name);
	}
}

/* The loader wants zeros where it relocates. */
static void verify_relocations(struct rt *rt)
{
	static const uint8_t zeros[4];
	uint32_t imports = 0;

	for (uint32_t i = 0; i < rt->s->nr_rels; i++) {
		const struct ko_rel *r = &rt->s->rels[i];
		bool data = !r->import && r->type == R_X86_64_32S && !r->target &&
			    (r->sec == rt->l->data || r->sec == rt->l->cache);

		if (r->import && !strcmp(r->import, THUNK) && is_import(rt, r->off, THUNK)) {
			rt->returns++;
			continue;
		}
		imports += !!r->import;
		if ((!data && !is_import(rt, r->off, NULL)) ||
		    memcmp(rt->s->data + r->off, zeros, 4))
			wrong(rt, "the relocation at 0x%x", r->off);
	}
	if (imports != 3 * rt->l->nr_gates)
		wrong(rt, "%u relocations for %zu gates", imports, rt->l->nr_gates);
}

/* ---- how deep the stack is ------------------------------------------------------------ */

struct code {
	ZydisDecodedInstruction z;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
};

/* What @c does to the depth. */
static int moves(const struct code *c)
{
	const ZydisDecodedOperand *o = c->o;

	switch (c->z.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHFQ:
		return 8;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_POPFQ:
		return -8;
	case ZYDIS_MNEMONIC_LEA:
		return o[0].reg.value == ZYDIS_REGISTER_RSP ? -(int)o[1].mem.disp.value : 0;
	default:
		return 0;
	}
}

static bool writes_rsp(const struct code *c)
{
	return c->z.mnemonic != ZYDIS_MNEMONIC_LEA && c->z.operand_count_visible &&
	       c->o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       c->o[0].reg.value == ZYDIS_REGISTER_RSP &&
	       c->o[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
}

static void follow(struct rt *rt, uint32_t off, int depth)
{
	while (off < rt->s->size) {
		bool branch, imported;
		struct code c;
		uint32_t to;

		if (rt->depth[off] >= 0) {
			if (rt->depth[off] != depth)
				wrong(rt, "0x%x: %d and %d bytes deep", off, depth, rt->depth[off]);
			return;
		}
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&rt->d, rt->s->data + off,
							 rt->s->size - off, &c.z, c.o))) {
			wrong(rt, "0x%x: no instruction", off);
			return;
		}
		rt->depth[off] = depth;
		branch = c.o[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && c.o[0].imm.is_relative;
		imported = branch && is_import(rt, off + 1, NULL);
		to = branch ? off + c.z.length + c.o[0].imm.value.s : 0;
		depth += moves(&c);
		if (c.z.mnemonic == ZYDIS_MNEMONIC_LEA && depth < 8)
			depth = 8;	/* to the caller's caller */
		off += c.z.length;
		if (writes_rsp(&c) && c.z.mnemonic != ZYDIS_MNEMONIC_PUSH)
			wrong(rt, "0x%x: takes its stack from elsewhere", off);
		if (c.z.meta.category == ZYDIS_CATEGORY_RET ||
		    (imported && is_import(rt, off - 4, THUNK))) {
			rt->plain += c.z.meta.category == ZYDIS_CATEGORY_RET;
			if (depth != 8)
				wrong(rt, "0x%x: returns %d bytes deep", off, depth);
			return;
		}
		if (branch && !imported)
			follow(rt, to, c.z.mnemonic == ZYDIS_MNEMONIC_CALL ? 8 : depth);
		if (c.z.mnemonic == ZYDIS_MNEMONIC_JMP && !branch)
			wrong(rt, "0x%x: jumps by a register", off);
		if (c.z.mnemonic == ZYDIS_MNEMONIC_JMP)
			return;
		if (c.z.mnemonic == ZYDIS_MNEMONIC_UD2)		/* the hypercall to be */
			off++;
	}
}

/* Gates again, and what checks call to look at the cache. */
static void follow_lookups(struct rt *rt)
{
	for (uint32_t n = 1; n < rt->new->nr_secs; n++) {
		const struct ko_section *s = &rt->new->secs[n];

		for (uint32_t i = 0; i < s->nr_rels && s->code; i++) {
			const struct ko_rel *r = &s->rels[i];

			if (!r->import && r->sec == rt->l->runtime && r->target + 4 >= PARAMS + 64)
				follow(rt, r->target + 4, 8);
		}
	}
}

static void follow_all(struct rt *rt)
{
	for (uint32_t r = 0; r < 16; r++)
		follow(rt, r * SLOT, 8);
	for (uint32_t n = 0; n < 8; n++)
		follow(rt, ENTER + n * SLOT, 8);
	follow(rt, rt->l->left, 16);
	rt->depth[rt->l->left - 1] = 16;	/* where what has returned there is looked for */
	for (size_t i = 0; i < rt->l->nr_gates; i++) {
		follow(rt, rt->l->gates[i].slot, 8);
		follow(rt, rt->l->gates[i].body, 8);
		follow(rt, rt->l->gates[i].body + BODY_PRE, 8);
	}
	follow_lookups(rt);
}

/* ---- what the unwinder would find -------------------------------------------------------- */

static void verify_rows(struct rt *rt)
{
	const struct ko_section *ip = ko_file_section(rt->new, ".orc_unwind_ip");
	const struct ko_section *info = ko_file_section(rt->new, ".orc_unwind");
	int16_t *at = calloc(rt->s->size + 1, sizeof(*at));
	int16_t last = 0;

	for (uint32_t i = 0; at && ip && info && i < ip->nr_rels; i++) {
		const struct ko_rel *r = &ip->rels[i];
		const uint8_t *row = info->data + r->off / 4 * 6;

		if (r->sec != rt->l->runtime)
			continue;
		if (r->target < 0 || r->target >= rt->s->size || at[r->target])
			wrong(rt, "0x%x: two rows", (int)r->target);
		else
			memcpy(&at[r->target], row, 2);
		if ((row[4] & 15) != 5 || row[4] >> 4 || row[2] || row[3])
			wrong(rt, "0x%x: another kind of row", (int)r->target);
	}
	for (uint32_t off = 0; at && ip && ip->nr_rels && off < rt->s->size; off++) {
		last = at[off] ?: last;
		if (rt->depth[off] >= 0 && rt->depth[off] != last)
			wrong(rt, "0x%x: a row says %d, it is %d bytes deep", off, last,
			      rt->depth[off]);
	}
	free(at);
}

/* The kernel has a table of places that return by its thunk. */
static void verify_returns(struct rt *rt)
{
	const struct ko_section *a = ko_file_section(rt->old, ".return_sites");
	const struct ko_section *b = ko_file_section(rt->new, ".return_sites");
	uint32_t more = b ? b->size / 4 - a->size / 4 : 0;

	if (more != rt->returns || (more && (rt->plain || b->nr_rels != b->size / 4)) ||
	    (!more && b && has_import(rt->old, THUNK)))
		wrong(rt, "%u sites for %u returns, %u of them plain", more, rt->returns, rt->plain);
	for (uint32_t i = 0; i < more; i++) {
		const struct ko_rel *r = &b->rels[a->nr_rels + i];

		if (r->import || r->sec != rt->l->runtime || r->type != R_X86_64_PC32 ||
		    rt->s->data[r->target] != 0xe9 || !is_import(rt, r->target + 1, THUNK))
			wrong(rt, "the return at 0x%x", (int)r->target);
	}
}

/* ---- who calls "enter" ------------------------------------------------------------------- */

/* From the beginning on: endbr64, what ftrace has, the call; how far, or -1. */
static int call_of_enter(const struct rt *rt, const struct chariot_inline_function *f)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa }, nop[] = { 0x0f, 0x1f, 0x44 };
	const struct ko_section *s = &rt->new->secs[f->new_sec];
	const uint8_t *at = s->data + f->new_off;
	const struct ko_rel *r;
	uint32_t off = 0;

	if (f->new_len >= 4 && !memcmp(at, endbr, 4))
		off = 4;
	for (int tries = 0; tries < 2 && off + 5 <= f->new_len; tries++, off += 5) {
		r = ko_rel_in(s, f->new_off + off + 1, f->new_off + off + 5);
		if (at[off] == 0xe8 && r && !r->import && r->sec == rt->l->runtime &&
		    r->target + 4 >= ENTER && r->target + 4 < PARAMS)
			return off;
		if (at[off] != 0xe8 && memcmp(at + off, nop, 3))
			break;
	}
	return -1;
}

static bool asks(const struct rt *rt, const struct chariot_inline_function *f)
{
	for (uint32_t i = 1; i < rt->old->nr_syms; i++) {
		const Elf64_Sym *y = &rt->old->syms[i];
		const char *name = rt->old->strings + y->st_name;

		if (y->st_shndx == f->sec && y->st_value == f->off &&
		    (!strcmp(name, "init_module") || !strcmp(name, "cleanup_module")))
			return true;
	}
	return false;
}

static const struct chariot_inline_entry *entry_of(const struct rt *rt,
						   const struct chariot_inline_function *f)
{
	for (size_t i = 0; i < rt->l->nr_entries; i++)
		if (rt->l->entries[i].sec == f->new_sec && rt->l->entries[i].off == f->new_off)
			return &rt->l->entries[i];
	return NULL;
}

static void verify_entry(struct rt *rt, const struct chariot_inline_function *f)
{
	static const int slots[] = { [0] = 0, [4] = 1, [5] = 2, [9] = 3 };
	const struct chariot_inline_entry *e = entry_of(rt, f);
	const struct ko_section *s = &rt->new->secs[f->new_sec];
	bool wanted = f->entry && !f->why && !strstr(f->name, ".cold");
	int off = call_of_enter(rt, f);
	const struct ko_rel *r;

	if (wanted != (off >= 0) || wanted != !!e) {
		wrong(rt, "%s: is%s an entry, and does %scall \"enter\"", f->name,
		      wanted ? "" : " not", off >= 0 ? "" : "not ");
		return;
	}
	if (!wanted)
		return;
	r = ko_rel_in(s, f->new_off + off + 1, f->new_off + off + 5);
	if (e->call != f->new_off + off || e->asks != asks(rt, f) ||
	    r->target + 4 != ENTER + SLOT * (slots[off] + (e->asks ? 4 : 0)))
		wrong(rt, "%s: calls \"enter\" at 0x%x otherwise", f->name, off);
}

/* Does @s have pointers to functions, and not places in them? */
static bool has_pointers(const struct ko_section *s)
{
	static const char *const tables[] = {
		".orc_unwind", "__mcount_loc", "__bug_table", "__ex_table", "__jump_table",
		".static_call", ".altinstr", ".para", ".retpoline", ".return_sites", ".call_sites",
		".smp_locks", ".ibt_", ".cfi_", "_kprobe", "_error_inj", "__patchable",
		".discard", ".init.orc",
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strncmp(s->name, tables[i], strlen(tables[i])))
			return false;
	return s->sh->sh_flags & SHF_ALLOC && !(s->sh->sh_flags & SHF_EXECINSTR);
}

static int by_place(const void *a, const void *b)
{
	const struct chariot_inline_function *x = a, *y = b;

	if (x->sec != y->sec)
		return x->sec < y->sec ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* As an immediate: no table of data begins where a function does. */
static bool is_absolute(const struct ko_rel *r)
{
	return r->type == R_X86_64_32S || r->type == R_X86_64_32 || r->type == R_X86_64_64;
}

/* What data or an instruction has the address of, or is exported, is an entry. */
static void verify_pointers(struct rt *rt, const struct chariot_inline_function *f, size_t nr)
{
	for (uint32_t i = 1; i < rt->old->nr_secs; i++) {
		const struct ko_section *s = &rt->old->secs[i];

		for (uint32_t n = 0; n < s->nr_rels; n++) {
			struct chariot_inline_function key = { .sec = s->rels[n].sec,
							       .off = s->rels[n].target }, *g;

			if (s->rels[n].import ||
			    !(has_pointers(s) || (s->code && is_absolute(&s->rels[n]))))
				continue;
			g = bsearch(&key, f, nr, sizeof(*f), by_place);
			if (g && !g->entry)
				wrong(rt, "%s: section %s has its address, and it is no entry",
				      g->name, s->name);
		}
	}
}

/* ---- all of it ------------------------------------------------------------------------------ */

unsigned int inline_verify_runtime(const struct ko_file *old, const struct ko_file *new,
				   const struct chariot_inline *x)
{
	struct rt rt = { .old = old, .new = new, .l = chariot_inline__layout(x) };
	const struct chariot_inline_function *f;
	size_t nr;

	rt.s = &new->secs[rt.l->runtime];
	if (strcmp(rt.s->name, ".text.chariot") ||
	    strcmp(new->secs[rt.l->data].name, ".chariot.data") ||
	    strcmp(new->secs[rt.l->cache].name, ".chariot.cache") ||
	    rt.s->size != rt.l->runtime_len ||
	    new->secs[rt.l->data].size != sizeof(struct chariot_inline_data) ||
	    new->secs[rt.l->cache].size != 8 * rt.l->cache_lines) {
		wrong(&rt, "its sections are not there");
		return rt.bad;
	}
	ZydisDecoderInit(&rt.d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	rt.depth = malloc((rt.s->size + 1) * sizeof(*rt.depth));
	for (uint32_t i = 0; i <= rt.s->size; i++)
		rt.depth[i] = -1;
	verify_gates(&rt);
	verify_relocations(&rt);
	follow_all(&rt);
	verify_rows(&rt);
	verify_returns(&rt);
	f = chariot_inline__functions(x, &nr);
	for (size_t i = 0; i < nr; i++)
		verify_entry(&rt, &f[i]);
	verify_pointers(&rt, f, nr);
	free(rt.depth);
	return rt.bad;
}
