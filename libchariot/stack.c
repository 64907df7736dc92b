// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Locals of the functions on a stack, by the rows that the kernel's own unwinder has
 * (arch/x86/kernel/unwind_orc.c).
 *
 * A row says for the instructions from its address on where the frame of the caller
 * begins (the CFA).  Below that is the return address, below that are the registers
 * that the function has pushed, and the rest, down to the stack pointer, are locals.
 */
#include <stdio.h>

#include "object-index.h"

#define FRAMES_MAX	64
#define STACK_MAX	(64UL << 10)
#define ROWS_MAX	(1U << 24)
#define FUNCTION_ROWS	512	/* of one function that are looked at */
#define SAVED_MAX	6	/* registers that a function has to save */

/* Registers, as ORC_REG_* in asm/orc_types.h. */
enum {
	REG_UNDEFINED, REG_PREV_SP, REG_DX, REG_DI, REG_BP, REG_SP, REG_R10,
	REG_R13, REG_BP_INDIRECT, REG_SP_INDIRECT,
};

/* Offsets in struct pt_regs, and in what the CPU pushes. */
#define REGS_BP		32
#define REGS_IRET	128
#define IRET_CS		8
#define IRET_SP		24

struct row {
	enum { ROW_NONE, ROW_CALL, ROW_REGS, ROW_IRET } kind;
	int16_t sp_offset, bp_offset;
	uint8_t sp_reg, bp_reg;
};

struct rows {
	uint64_t ips, rows, nr;
	uint64_t function;	/* where it begins; 0: not known */
	char name[64];
};

struct unwind {
	struct object_index *x;
	const struct chariot_space *s;
	uint64_t ip, sp, bp, top;
	bool bp_known;
	bool interrupted;	/* @ip is where it will go on, not behind a call */
	struct rows rows;
	struct row row;
	uint64_t cfa;
};

/* ---- rows ------------------------------------------------------------------------ */

static int row_ip(const struct unwind *u, uint64_t i, uint64_t *ip)
{
	uint64_t at = u->rows.ips + 4 * i, v;
	int err = space_read_uint(u->s, at, 4, &v);

	*ip = at + (int64_t)(int32_t)v;
	return err;
}

/* The last one at or below @ip. */
static int find_row(const struct unwind *u, uint64_t ip, uint64_t *idx)
{
	uint64_t lo = 0, hi = u->rows.nr, mid, at;
	int err;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		err = row_ip(u, mid, &at);
		if (err)
			return err;
		if (at <= ip)
			lo = mid + 1;
		else
			hi = mid;
	}
	*idx = lo - 1;
	return lo ? 0 : -ENOENT;
}

/* Up to 6.3 the types count from 0, and "end" is a bit of its own. */
static void set_kind(struct row *r, uint64_t type, bool old)
{
	uint64_t n = old ? type + ROW_CALL : type - 1;

	r->kind = n >= ROW_CALL && n <= ROW_IRET ? n : ROW_NONE;
	if (r->sp_reg == REG_UNDEFINED)
		r->kind = ROW_NONE;
}

static int read_row(const struct unwind *u, uint64_t i, struct row *r)
{
	const struct object_index *x = u->x;
	struct copy c;
	int err = copy_struct(x, u->s, C_ORC,
			      u->rows.rows + i * x->type_size[C_ORC], &c);

	if (err)
		return err;
	r->sp_offset = copy_get(x, &c, ORC_SP_OFFSET);
	r->bp_offset = copy_get(x, &c, ORC_BP_OFFSET);
	r->sp_reg = copy_get(x, &c, ORC_SP_REG);
	r->bp_reg = copy_get(x, &c, ORC_BP_REG);
	set_kind(r, copy_get(x, &c, ORC_TYPE), has_member(x, ORC_END));
	return 0;
}

static uint64_t symbol(const struct unwind *u, const char *name)
{
	return chariot_profile__symbol(u->x->p, name);
}

static int kernel_rows(struct unwind *u, uint64_t ip)
{
	uint64_t stop = symbol(u, "__stop_orc_unwind_ip");
	struct object o = {};
	int err;

	u->rows.ips = symbol(u, "__start_orc_unwind_ip");
	u->rows.rows = symbol(u, "__start_orc_unwind");
	if (!u->rows.ips || !u->rows.rows || stop < u->rows.ips)
		return -ENOENT;
	u->rows.nr = (stop - u->rows.ips) / 4;
	err = symbol_around(u->x, ip, u->x->image_end, &o);
	u->rows.function = o.start;
	memcpy(u->rows.name, o.name, sizeof(u->rows.name));
	return err;
}

static int module_rows(struct unwind *u, uint64_t ip)
{
	struct copy module;
	struct object o = {};
	int err = module_of_code(u->x, u->s, ip, &module);

	if (err)
		return err;
	u->rows.ips = copy_get(u->x, &module, MODULE_ORC_IP);
	u->rows.rows = copy_get(u->x, &module, MODULE_ORC);
	u->rows.nr = copy_get(u->x, &module, MODULE_NR_ORCS);
	if (!u->rows.ips || !u->rows.rows)
		return -ENOENT;
	if (!module_symbol(u->x, u->s, &module, ip, &o)) {
		u->rows.function = o.start;
		memcpy(u->rows.name, o.name, sizeof(u->rows.name));
	}
	return 0;
}

/* The row of what runs in this frame. */
static int find_rows(struct unwind *u)
{
	uint64_t ip = u->interrupted ? u->ip : u->ip - 1, i;
	int err;

	memset(&u->rows, 0, sizeof(u->rows));
	err = ip >= u->x->image && ip < u->x->image_end ? kernel_rows(u, ip) :
							  module_rows(u, ip);
	if (!err && u->rows.nr > ROWS_MAX)
		err = -EBADMSG;
	if (!err)
		err = find_row(u, ip, &i);
	return err ?: read_row(u, i, &u->row);
}

/* ---- registers that were pushed ----------------------------------------------------- */

static bool is_push(const struct unwind *u, uint64_t end)
{
	uint64_t op;

	return !space_read_uint(u->s, end - 1, 1, &op) && op >= 0x50 &&
	       op <= 0x57;
}

/*
 * How many: a push moves the CFA by 8, so there is a row behind each.  -1: this cannot
 * be told, as for a part of a function that was moved away, or with a frame pointer.
 */
static int count_pushes(const struct unwind *u)
{
	struct row last, r;
	uint64_t i, ip;
	unsigned int depths = 0;
	int n = 0;

	if (u->row.sp_reg != REG_SP || !u->rows.function ||
	    find_row(u, u->rows.function, &i) || read_row(u, i, &last) ||
	    last.sp_reg != REG_SP || last.sp_offset != 8)
		return -1;
	for (int rows = 0; ++i < u->rows.nr; rows++, last = r) {
		if (rows == FUNCTION_ROWS || row_ip(u, i, &ip))
			return -1;
		if (ip >= u->ip)
			break;
		if (read_row(u, i, &r))
			return -1;
		if (r.sp_reg == REG_SP && last.sp_reg == REG_SP &&
		    r.sp_offset == last.sp_offset + 8 && r.sp_offset <= 128 &&
		    r.sp_offset > 0 && !(r.sp_offset & 7) && is_push(u, ip))
			depths |= 1U << r.sp_offset / 8;
	}
	while (n < SAVED_MAX + 1 && depths & 4U << n)
		n++;
	return n;
}

/* The end of the frame's locals. */
static uint64_t locals_end(const struct unwind *u)
{
	uint64_t room = (u->cfa - 8 - u->sp) / 8;
	int n = count_pushes(u);

	if (n < 0)
		n = SAVED_MAX;
	return u->cfa - 8 - 8 * ((uint64_t)n < room ? (uint64_t)n : room);
}

/* ---- from frame to frame ------------------------------------------------------------- */

static int read_stack(const struct unwind *u, uint64_t gva, uint64_t *v)
{
	return space_read_uint(u->s, gva, 8, v);
}

static int find_cfa(struct unwind *u)
{
	uint64_t offset = (int64_t)u->row.sp_offset;
	int err = 0;

	switch (u->row.sp_reg) {
	case REG_SP:
		u->cfa = u->sp + offset;
		break;
	case REG_SP_INDIRECT:
		err = read_stack(u, u->sp, &u->cfa);
		u->cfa += offset;
		break;
	case REG_BP:
		u->cfa = u->bp + offset;
		err = u->bp_known ? 0 : -ENOENT;
		break;
	case REG_BP_INDIRECT:
		err = u->bp_known ? read_stack(u, u->bp + offset, &u->cfa) :
				    -ENOENT;
		break;
	default:
		return -ENOENT;
	}
	/* Only upwards, and on this stack; registers may lie right there. */
	if (!err && (u->cfa < u->sp + (u->row.kind == ROW_CALL ? 8 : 0) ||
		     u->cfa > u->top || u->cfa & 7))
		err = -ENOENT;
	return err;
}

static int find_bp(struct unwind *u)
{
	uint64_t offset = (int64_t)u->row.bp_offset;

	if (u->row.bp_reg == REG_PREV_SP) {
		u->bp_known = true;
		return read_stack(u, u->cfa + offset, &u->bp);
	}
	if (u->row.bp_reg == REG_BP && u->bp_known)
		return read_stack(u, u->bp + offset, &u->bp);
	return u->row.bp_reg == REG_UNDEFINED || u->row.bp_reg == REG_BP ? 0 :
	       -ENOENT;
}

static int to_caller(struct unwind *u)
{
	int err = find_bp(u);

	if (!err)
		err = read_stack(u, u->cfa - 8, &u->ip);
	u->sp = u->cfa;
	u->interrupted = false;
	return err;
}

/* What was interrupted goes on where its registers say. */
static int to_interrupted(struct unwind *u)
{
	bool full = u->row.kind == ROW_REGS;
	uint64_t at = u->cfa + (full ? REGS_IRET : 0), cs, sp;
	int err = read_stack(u, at + IRET_CS, &cs);

	if (!err && cs & 3)
		err = -ENOENT;
	if (!err)
		err = read_stack(u, at, &u->ip);
	if (!err)
		err = read_stack(u, at + IRET_SP, &sp);
	if (!err && full)
		err = read_stack(u, u->cfa + REGS_BP, &u->bp);
	if (err)
		return err;
	if (sp <= u->sp || sp > u->top || sp & 7)
		return -ENOENT;
	u->bp_known |= full;
	u->sp = sp;
	u->interrupted = true;
	return 0;
}

static int find_frame(struct unwind *u, uint64_t gva, struct object *o)
{
	uint64_t end;
	int err;

	for (int i = 0; i < FRAMES_MAX && u->sp <= gva; i++) {
		err = find_rows(u);
		if (!err && u->row.kind == ROW_NONE)
			err = -ENOENT;
		if (!err)
			err = find_cfa(u);
		if (err)
			return err;
		end = u->row.kind == ROW_CALL ? locals_end(u) : u->sp;
		if (gva < end) {
			o->kind = OBJECT_FRAME;
			o->start = u->sp;
			o->len = end - u->sp;
			memcpy(o->name, u->rows.name, sizeof(o->name));
			return 0;
		}
		err = u->row.kind == ROW_CALL ? to_caller(u) : to_interrupted(u);
		if (err)
			return err;
	}
	return -ENOENT;
}

int object_on_stack(struct object_index *x, const struct chariot_space *s,
		    uint64_t rip, uint64_t rsp, uint64_t top, uint64_t gva,
		    struct object *o)
{
	struct limited l;
	struct unwind u = {
		.x = x, .s = &l.space, .ip = rip, .sp = rsp, .top = top,
	};

	limit_reads(&l, s);
	memset(o, 0, sizeof(*o));
	if (rsp < KERNEL_MIN || rsp & 7 || gva < rsp || gva >= top ||
	    top - rsp > STACK_MAX)
		return -ENOENT;
	if (!find_frame(&u, gva, o))
		return 0;
	memset(o, 0, sizeof(*o));
	return -ENOENT;
}
