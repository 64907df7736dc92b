/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Library code of a guest's kernel: functions that write only where their caller says,
 * by a look at their instructions.  flow.c has one function, pure.c what it calls.
 *
 * A function that runs in the driver's view writes as the driver does, and so must have
 * no store to the kernel's own data.  Where it calls or jumps to what is not library
 * code (a lock, an allocation, its .cold part) it *leaves* that view, and the rest of it
 * runs unchecked, as today: that is no false alarm, so it is allowed.
 */
#ifndef CHARIOT_PURE_H
#define CHARIOT_PURE_H

#include "internal.h"

/* Where a value comes from: a set of these; none: it is a number. */
#define FROM_ARG(n)	(1U << (n))		/* arguments 0..5; 6: on the stack */
#define FROM_ARGS	0x7fU
#define FROM_IN(n)	(1U << ((n) + 7))	/* memory that this leads to */
#define FROM_MEMORY	(FROM_ARGS << 7)
#define FROM_STACK	(1U << 14)		/* the function's own */
#define FROM_KERNEL	(1U << 15)		/* its variables and per-CPU data */

enum pure_why {
	PURE_OK,
	PURE_UNREADABLE,	/* not mapped, or no function of the kernel's text */
	PURE_SIZE,		/* larger than we look at */
	PURE_STEPS,		/* more to look at than we do */
	PURE_DEPTH,
	PURE_CODE,		/* no instruction, or one that it may not have */
	PURE_INDIRECT,
	PURE_JUMP,		/* into the middle of another function */
	PURE_STACK,		/* it is not known where the stack is, or it is another's */
	PURE_GLOBAL,		/* a store to the kernel's data */
	PURE_PERCPU,
	PURE_WHERE,		/* a store, it is not known where */
	PURE_NO_RETURN,		/* there is no way to its end that does not leave */
	PURE_NR
};

struct pure_fn {
	uint64_t start, end;
	enum pure_why why;
	uint64_t at;		/* of what was found, unless why is OK */
	bool busy, again, stale;	/* while it is looked at */
	size_t time;
	bool returns;
	bool atomic;		/* it shares what it writes with others */
	bool once;		/* it, or what it calls, may warn once */
	uint16_t writes;	/* through what it writes: FROM_ARG, FROM_IN */
	uint16_t stored;	/* what pointers it leaves there */
	uint16_t result;
	uint64_t bytes[6];	/* of these first 64 from an argument on, some are written */
	uint32_t insns;
	/* Functions that it calls, and where it leaves for. */
	uint64_t *calls, *exits;
	uint32_t nr_calls, nr_exits;
};

struct pure;

/* @s NULL: of a profile that was made from a file.  Both must live longer. */
struct pure *pure_new(const struct chariot_profile *p,
		      const struct chariot_space *s);
void pure_free(struct pure *pu);
/* What the function at @gva does; NULL: -ENOMEM or -ENOSPC in errno. */
const struct pure_fn *pure_look(struct pure *pu, uint64_t gva);
/* The kernel's bytes; 0 or -EFAULT. */
int pure_read(struct pure *pu, uint64_t gva, void *buf, size_t len);
/* "a store to the kernel's data" */
const char *pure_why_name(enum pure_why why);

#define PURE_CLOSURE	128

/*
 * It, and all that runs with it in the driver's view.  Their number, or 0: it is none of
 * library code, or they are too many.
 */
size_t pure_closure(struct pure *pu, const struct pure_fn *f,
		    const struct pure_fn *all[PURE_CLOSURE]);

/* ---- flow.c -------------------------------------------------------------- */

/* Another way that a jump label may lead. */
struct jump_label {
	uint64_t code, target;
};

enum target {
	TARGET_NONE,
	TARGET_FUNCTION,
	TARGET_RETURN,			/* one that does but return */
	TARGET_INDIRECT,		/* goes on where a register says */
};

struct flow {
	const uint8_t *code;		/* of [f->start, f->end) */
	struct pure_fn *f;
	/* What is at @target: a function that runs along, or NULL: it is left for. */
	const struct pure_fn *(*callee)(void *ctx, uint64_t target);
	/* Those of the instruction at @code, *@nr of them. */
	const struct jump_label *(*labels)(void *ctx, uint64_t code, size_t *nr);
	enum target (*target)(void *ctx, uint64_t gva);
	uint64_t once, once_end;	/* the kernel's "it was warned of" */
	void *ctx;
	size_t cs;			/* Capstone's handle */
	uint32_t *steps;		/* that are left */
};

/* Fills in @f, but for start and end.  0, or -ENOMEM. */
int flow_run(struct flow *w);

#endif
