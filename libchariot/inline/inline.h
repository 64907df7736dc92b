/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the rewriter share.  In the order in which they are run:
 *
 *	elf-in.c	the file: sections, relocations, symbols
 *	tables.c	the kernel's tables of places in the text: marks on instructions
 *	decode.c	the text: functions, and instructions with what they read and write
 *	classify.c	which store needs what
 *	live.c		which registers and flags are free where
 *	frame.c		which stores are provably to the function's own frame
 *	check.c		what is emitted before a store
 *	layout.c	where all goes
 *	refs.c		relocations and tables, to where things have gone
 *	orc.c		the unwinder's tables
 *	elf-out.c	the new file
 *	report.c	map and report
 */
#ifndef INLINE_H
#define INLINE_H

#include <gelf.h>

#include "../include/chariot-inline.h"
#include "internal.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
#define NO_REG		16
#define REG(r)		(1u << (r))
#define REGS_ALL	0xffffu
#define FLAGS_ALL	(0x3fu << 16)
#define REGS_CALLEE	(REG(RBX) | REG(RBP) | REG(RSP) | REG(R12) | REG(R13) | \
			 REG(R14) | REG(R15))
#define REGS_CALLER	(REGS_ALL & ~REGS_CALLEE)
#define REGS_ARGS	(REG(RDI) | REG(RSI) | REG(RDX) | REG(RCX) | REG(R8) | \
			 REG(R9) | REG(RAX))

/* ---- what is there ------------------------------------------------------ */

enum mark {
	MARK_PATCHED	= 1 << 0,	/* the kernel replaces it, or more from here */
	MARK_INSIDE	= 1 << 1,	/* part of what it replaces: nothing goes between */
	MARK_FAULTS	= 1 << 2,	/* in __ex_table */
	MARK_JUMP	= 1 << 3,	/* in __jump_table */
	MARK_LEADER	= 1 << 4,	/* a table leads here */
	MARK_FENTRY	= 1 << 5,
	MARK_TAKEN	= 1 << 6,	/* somebody has its address */
	MARK_STATIC	= 1 << 7,	/* a static call */
};

struct rel {
	uint32_t off, type, sym;
	int64_t add;
};

struct rels {
	struct rel *v;
	uint32_t nr, room;
};

struct bytes {
	uint8_t *v;
	uint32_t nr, room;
};

struct sec {
	GElf_Shdr sh;
	const char *name;
	const uint8_t *data;	/* NULL: no bits */
	uint32_t size, old_size;
	uint32_t rela;		/* section with its relocations, or 0 */
	struct rels rel;	/* sorted by offset */
	bool code;		/* laid out anew */
	bool exec;
	uint32_t *at;		/* of code: instruction that begins there, + 1 */
	uint8_t *mark;
	uint32_t symbol;	/* its section symbol, in the new table */
	/* what becomes of it */
	bool changed, fresh;
	struct bytes out;
	struct rels rel_out;
};

enum why {
	WHY_NOT,
	WHY_TABLE,	/* jumps by a table */
	WHY_TARGET,	/* jumps to where no instruction begins */
	WHY_SIZE,	/* a store of a size that nobody knows */
	WHY_PATCHED,	/* a store within what the kernel patches */
	WHY_SITE,	/* a place that the kernel patches is not of a form known */
	WHY_STACK,	/* takes its stack from elsewhere */
	WHY_DOWN,	/* string instructions downwards */
	WHY_END,	/* runs on past its end */
	WHY_ODD,	/* iret and the like */
	WHY_PERCPU,	/* this_cpu_off is not known */
	WHY_FORM,	/* an operand that is not known */
	WHY_LINKED,	/* jumps between it and one that is refused */
	WHY_NR,
};
extern const char *const why_text[WHY_NR];

/* What a store is to. */
enum cls {
	CLS_NONE,	/* no store */
	CLS_PUSH,	/* push, call */
	CLS_FRAME,	/* provably the own frame */
	CLS_OWN,	/* the module's data, by its name */
	CLS_PERCPU,	/* per-CPU data, by its name */
	/* these need a check: */
	CLS_PLAIN,	/* a memory operand */
	CLS_GS,		/* per-CPU data by a pointer */
	CLS_BIT,	/* bts, btr, btc with a register */
	CLS_STRING,	/* stos, movs, ins: once */
	CLS_REP,	/* and with a count */
	CLS_REFUSE,	/* insn.why */
};
static inline bool needs_check(enum cls c)
{
	return c >= CLS_PLAIN && c <= CLS_REP;
}

enum insn_flag {
	F_CALL		= 1 << 0,
	F_JMP		= 1 << 1,
	F_JCC		= 1 << 2,
	F_RET		= 1 << 3,
	F_STOP		= 1 << 4,	/* what follows it is not come to from here */
	F_RIP		= 1 << 5,	/* operand relative to it */
	F_INDIRECT	= 1 << 6,	/* jmp or call of a register or memory */
	F_TAIL		= 1 << 7,	/* a jump that is a call and a return */
	F_LEADER	= 1 << 8,
	F_RAW		= 1 << 9,	/* a byte that was not decoded */
	F_LONG		= 1 << 10,	/* a branch that needs 32 bits */
	F_SHORT_ONLY	= 1 << 11,	/* loop, jrcxz */
	F_NOP		= 1 << 12,
	F_CHECK		= 1 << 13,
	F_INTO		= 1 << 14,	/* a jump whose target is no instruction */
	F_MERGED	= 1 << 15,	/* another check covers it */
	F_CALLED	= 1 << 16,	/* called, and no function begins there */
	F_LOOP		= 1 << 17,	/* in a short loop that calls nobody */
};

/* What an instruction does to registers, for frame.c. */
enum effect {
	EFFECT_OTHER,	/* what it writes is not known */
	EFFECT_PUSH, EFFECT_POP, EFFECT_MOVE, EFFECT_LEA, EFFECT_ADD, EFFECT_SET,
	EFFECT_LEAVE, EFFECT_LOAD, EFFECT_STORE,
	EFFECT_ALIGN,	/* and with a small negative number: down by less than that */
};

struct insn {
	uint32_t off;
	uint16_t sec, mnemonic;
	uint8_t len, cls, why, size;	/* size: bytes that it stores */
	int8_t base, index, bit_reg;	/* -1: none */
	uint8_t scale, mark;
	uint8_t effect, dst, src;
	uint8_t a, b;			/* registers that its check has; the same: not picked */
	int32_t disp, imm;
	uint8_t disp_at, disp_len, imm_at, imm_len;
	uint32_t flags;
	uint32_t use, def, wrote, live;	/* wrote: also in part, or perhaps */
	int32_t target;			/* instruction jumped to, -1: elsewhere */
	uint32_t piece;
	/* layout.c */
	uint32_t stub, pos, slow, check;
};

/* A function, or what lies between functions. */
struct piece {
	const char *name;
	uint32_t sec, off, size;
	uint32_t first, nr;	/* instructions */
	uint8_t why;
	bool gap, cold, taken, root;
	bool enter;		/* the kernel may call it: "enter" is called, */
	uint8_t enter_after;	/*	behind so many bytes, */
	bool enter_asks;	/*	and tells the host each time */
	bool compiled;		/* by the rules of C: ftrace has it, or it is a .cold part */
	uint32_t cluster;	/* pieces that jump into each other */
	bool labels, jumps;	/* it has labels of which somebody has the address; jumps
				 * that may be to such, or calls: as nobody knows */
	uint32_t align;
	uint32_t new_sec, start, body_end, end;
	uint32_t spilled, merged;
};

struct symbol {
	GElf_Sym s;
	const char *name;
	uint32_t ndx;		/* in the new table */
};

/* A function of the kernel's that the module calls: by way of a slot of the runtime. */
struct gate {
	uint32_t sym, slot, body;
};

/* Code of the runtime's that looks at the cache for checks of @size bytes. */
struct lookup {
	uint8_t a, b, size;
	uint32_t off, end;	/* from the first one */
};

/* Offset by offset, where what was there has gone; what has not moved apart is one run. */
struct run {
	uint32_t sec, off, new_sec, stub, pos;
	bool slow;		/* a check's part behind the function: [stub, pos) */
};

struct module {
	Elf *elf;
	uint8_t *file;		/* unpacked */
	const uint8_t *data;
	size_t len;
	GElf_Ehdr eh;
	struct chariot_inline_opts opts;
	struct sec *secs;
	uint32_t nr_secs, old_secs;
	uint32_t symtab, strtab, first_global;
	struct symbol *syms;
	uint32_t nr_syms;
	struct symbol fresh[80];	/* symbols of ours */
	uint32_t nr_fresh;
	struct piece *pieces;
	uint32_t nr_pieces, room_pieces;
	struct insn *insns;
	uint32_t nr_insns, room_insns;
	int32_t *label_target;	/* by instruction: where its jump label, or a fault of
				 * it, leads, or -1 */
	uint32_t cache, own_data, runtime, view, init_view;	/* sections */
	uint32_t *gate_of;	/* by symbol: its gate + 1, 0: none */
	struct gate *gates;
	uint32_t nr_gates;
	struct lookup *lookups;
	uint32_t nr_lookups, lookups_at;	/* where they begin in the runtime */
	struct bytes lookup_code;
	struct rels lookup_rels;
	uint32_t thunk;		/* symbol of the kernel's that the module returns by, 0 */
	uint32_t return_sites;	/* section: the kernel's table of these */
	struct rels returns;	/* of the runtime's */
	struct chariot_inline_layout layout;
	struct chariot_inline_check *checks;
	uint32_t nr_checks;
	struct run *runs, *by_new;
	uint32_t nr_runs, nr_old_runs;
	struct chariot_inline_function *functions;
	uint32_t nr_functions;
	struct chariot_inline_totals totals;
	struct bytes image;
};

struct chariot_inline {
	struct module m;
};

/* A place by section and offset. */
struct place {
	uint32_t sec, off;
};

/* ---- buffers: elf-out.c -------------------------------------------------- */

int bytes_put(struct bytes *b, const void *data, uint32_t len);
int bytes_fill(struct bytes *b, uint8_t value, uint32_t len);
int rels_add(struct rels *r, uint32_t off, uint32_t type, uint32_t sym, int64_t add);
void rels_sort(struct rels *r);
/* The first one at or behind @off, as an index. */
uint32_t rels_from(const struct rels *r, uint32_t off);

/* ---- the steps ----------------------------------------------------------- */

int inl_read(struct module *m);
void inl_release(struct module *m);
/* Where a relocation's symbol and @add lead: false, if not into the module. */
bool inl_place(const struct module *m, const struct rel *r, int64_t add,
	       struct place *p);
bool inl_name_is(const struct sec *s, const char *name);

/* The kernel's tables. */
int inl_marks(struct module *m);
/* Fields of @s that mean an instruction itself, not where a jump to it goes. */
bool inl_exact(const struct sec *s, uint32_t off);
/* Once there are instructions: targets of jump labels, replacements. */
int inl_labels(struct module *m);

int inl_decode(struct module *m);
/* The instruction at or around a place, -1. */
int64_t inl_insn_at(const struct module *m, struct place p);
bool inl_is_thunk(const char *name);

struct ZydisDecodedInstruction_;
struct ZydisDecodedOperand_;
/* The relocation of @i's displacement, or NULL. */
const struct rel *inl_disp_rel(const struct module *m, const struct insn *i);
const struct rel *inl_branch_rel(const struct module *m, const struct insn *i);
void inl_classify(struct module *m, struct insn *i,
		  const struct ZydisDecodedInstruction_ *z,
		  const struct ZydisDecodedOperand_ *ops);

void inl_live(struct module *m);
int inl_frames(struct module *m);
void inl_refuse(struct module *m);

/* ---- check.c ------------------------------------------------------------- */

/* Code being made, at @base of its section. */
struct emit {
	struct module *m;
	struct bytes *out;
	struct rels *rel;	/* NULL: not the last pass */
	struct orc *orc;	/* the same */
	int err;
};

/* What the check of @i saves, and which registers it has: decided by live registers. */
struct plan {
	int a, b;		/* the address; what it is looked up by */
	bool save_a, save_b, save_flags;
	unsigned int pushed;
};
void check_plan(const struct insn *i, struct plan *p);
/* False: @i reads nearly all of them, or nobody knows which. */
bool check_has_registers(const struct insn *i);
/*
 * Where the cache is looked at: in line in loops that call nobody, else by a call of code
 * that checks with the same registers share.  Decided once, with the room that it needs.
 */
int inl_lookups(struct module *m);
/* Before the store; and what it needs behind the function, if anything. */
void check_emit(struct emit *e, const struct insn *i);
bool check_has_slow(const struct insn *i);
void check_emit_slow(struct emit *e, const struct insn *i);
uint32_t emit_at(const struct emit *e);
void emit_jump(struct emit *e, const struct insn *i, struct place to, bool wide);

/* ---- runtime.c ------------------------------------------------------------ */

/* Which functions have gates, and which of the module's call "enter". */
int inl_gates(struct module *m);
/* @i's, + 1; 0: it is no call of one. */
uint32_t inl_gate(const struct module *m, const struct insn *i);
/* Bytes of a call of "enter" */
#define ENTER_LEN	5
void enter_emit(struct emit *e, const struct piece *p);
int inl_runtime(struct module *m);
int inl_returns(struct module *m);
int inl_told(struct module *m);
void inl_forget(struct module *m);
void emit_call(struct emit *e, uint32_t off);

/* ---- layout.c, refs.c, orc.c, elf-out.c, report.c ------------------------ */

/* Where what was at a place is now; also for sections that are not code. */
struct place inl_moved(const struct module *m, struct place p, bool exact);
/* A relocation to (@to + @bias) of the new module, for one that was @r. */
int inl_put_rel(struct module *m, struct rels *out, const struct rel *r, uint32_t off,
		struct place to, int64_t bias);
uint32_t inl_section_symbol(const struct module *m, uint32_t sec);
int inl_refs(struct module *m);

/* Rows that checks need: @at in @sec of the new module, @i's row with @pushed words. */
struct orc_row {
	uint32_t sec, off;
	const struct insn *like;
	unsigned int pushed;
};
struct orc {
	struct orc_row *v;
	uint32_t nr, room;
};
int orc_add(struct orc *o, uint32_t sec, uint32_t off, const struct insn *like,
	    unsigned int pushed);

int inl_layout(struct module *m, struct orc *orc);
int inl_orc(struct module *m, struct orc *orc);
int inl_write(struct module *m);

#endif
