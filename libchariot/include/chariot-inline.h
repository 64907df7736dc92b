/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rewriter of mode inline: a relocatable module in, the same module with a check
 * before each store that is not provably to the function's own frame or data out.
 * Documentation/inline.rst tells how it works and what it gives up.
 *
 * It needs no guest, and is a pure function of its arguments.  What it cannot do it
 * refuses, by function and with the reason: such a function is as it was, in a section of
 * its own.  When that is not enough the whole module is refused: NULL, and the log has
 * the reason.
 *
 * What is in the image besides what the module had:
 *
 * .chariot.cache	SHF_ALLOC | SHF_WRITE, no bits: the permission cache, @cache_lines
 *			entries of 8 bytes.  Entry (address >> 6) % cache_lines has the
 *			address of the last byte of a line (64 bytes, all of which the driver
 *			may write); 0: nothing is granted.  It is read by one load, and may
 *			be written at any time, 8 bytes at once.
 * .chariot.data		the same, of the runtime's: struct chariot_inline_data
 * .text.chariot	the runtime, with its relocations: chariot_inline__layout().  At
 *			16 * r is where a check calls for register r (as x86 numbers them),
 *			which has the address; at 16 * CHARIOT_INLINE_RANGE a string
 *			instruction with a count, whose registers have it all.  What only
 *			the host knows chariot_inline__fill() tells; it has to be written
 *			before the module's first instruction runs.
 *			Behind gates is what most checks call to look at the cache; it
 *			goes on at the register's place if that does not know.
 * .text.chariot.view, .init.text.chariot.view
 *			functions that were refused, on pages of their own
 *
 * No symbol of the image is left for the guest's loader that it did not have before.
 *
 * The runtime is called before the store.  At the return address is a nop with 32 bits,
 * CHARIOT_INLINE_NOP and then (number of the check << 8 | bytes).  It keeps all registers
 * but the one with the address (RANGE: all, with flags), and returns there to let the
 * store be, or to where chariot_inline_check.skip lies to leave it out.
 *
 * Each function that the kernel may call begins, behind endbr64 and what ftrace patches,
 * with a call of the runtime's "enter", which keeps all registers, and what the host needs
 * to know of the call.  Calls of the kernel's functions, and jumps to them, go to gates,
 * unless the kernel itself replaces them.
 */
#ifndef CHARIOT_INLINE_H
#define CHARIOT_INLINE_H

#include <chariot.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHARIOT_INLINE_LINE	64	/* bytes of a line */
#define CHARIOT_INLINE_SLOT	16	/* bytes of a place that checks call */
#define CHARIOT_INLINE_RANGE	4	/* its slot: RSP never has an address */
#define CHARIOT_INLINE_SLOTS	16
#define CHARIOT_INLINE_NOP	0x801f0f	/* 3 bytes, before the 32 bits */
#define CHARIOT_INLINE_NO_PERCPU (~0ULL)

struct chariot_inline;

struct chariot_inline_opts {
	size_t sz;		/* sizeof(struct chariot_inline_opts) */
	uint32_t cache_lines;	/* a power of 2, 64 to 65536; 0: 4096 */
	/* Value of the kernel's per-CPU symbol this_cpu_off.  Functions that store to
	 * per-CPU data through a pointer need it: NO_PERCPU refuses them. */
	uint64_t this_cpu_off;
};

/*
 * @ko: the bytes of a .ko, also packed with xz, zstd or gzip.  @opts may be NULL.
 * ENOEXEC: no relocatable module for x86-64; EBADMSG: it contradicts itself; ENOTSUP: it
 * has what the rewriter does not know; ENOMEM, EINVAL (@opts).
 */
CHARIOT_API struct chariot_inline *
chariot_inline__rewrite(const void *ko, size_t len,
			const struct chariot_inline_opts *opts);
CHARIOT_API void chariot_inline__free(struct chariot_inline *x);
/* The new module, as a file; owned by @x. */
CHARIOT_API const void *chariot_inline__image(const struct chariot_inline *x,
					      size_t *len);

/* ---- report ------------------------------------------------------------- */

struct chariot_inline_function {
	const char *name;
	const char *why;	/* why it was refused; NULL: instrumented */
	uint32_t sec, off, len;	/* in the module that was given */
	uint32_t new_sec, new_off, new_len;
	uint32_t checks;	/* of stores: code before each of them */
	uint32_t merged;	/* stores of these that share another one's */
	uint32_t spilled;	/* checks that save a register, or flags */
	uint32_t frame, own, percpu;	/* stores that need none: to the function's own
					 * frame, the module's own data, and per-CPU
					 * data by its name */
	bool entry;		/* its address is taken, or it is exported */
};

/* By sec and off. */
CHARIOT_API const struct chariot_inline_function *
chariot_inline__functions(const struct chariot_inline *x, size_t *nr);

struct chariot_inline_totals {
	uint64_t functions, refused;
	uint64_t instructions, stores, checks, merged, spilled;
	uint64_t text, new_text;	/* bytes of code */
	uint64_t file, new_file;
};

CHARIOT_API void chariot_inline__totals(const struct chariot_inline *x,
					struct chariot_inline_totals *t);

/* ---- map ---------------------------------------------------------------- */

/*
 * Places are a section's index and an offset in it.  Indices of the sections that the
 * module had are the same in the image.
 *
 * Where what is at (@sec, @off) has gone.  @exact: the instruction itself, else where a
 * jump to it goes, which is its check when it has one.  -ENOENT: nothing is there.
 */
CHARIOT_API int chariot_inline__to_new(const struct chariot_inline *x, uint32_t sec,
				       uint32_t off, bool exact, uint32_t *new_sec,
				       uint32_t *new_off);
/* What (@sec, @off) of the image is part of: of a check, the store. */
CHARIOT_API int chariot_inline__to_old(const struct chariot_inline *x, uint32_t sec,
				       uint32_t off, uint32_t *old_sec,
				       uint32_t *old_off);

enum chariot_inline_kind {
	CHARIOT_INLINE_STORE,	/* [address, address + size) */
	CHARIOT_INLINE_STRING,	/* rep: @size bytes, RCX times, from RDI; mind DF */
};

struct chariot_inline_check {
	enum chariot_inline_kind kind;
	uint32_t sec, off;	/* the store, in the module that was given */
	uint32_t new_sec;
	uint32_t start;		/* where the check begins, in new_sec */
	uint32_t slow;		/* where the runtime returns to: the nop */
	uint32_t store, next;	/* the store, and what follows it */
	uint32_t skip;		/* where the runtime returns to, to leave the store out */
	uint8_t size;
	uint8_t pushed;		/* words that the check has on the stack when it calls */
	bool user;		/* a fault is expected there (__ex_table): user memory */
};

/* Check @i has the number @i. */
CHARIOT_API const struct chariot_inline_check *
chariot_inline__checks(const struct chariot_inline *x, size_t *nr);

/* ---- the runtime -------------------------------------------------------- */

/*
 * A function of the kernel's that the module calls: it calls what is at @slot of
 * .text.chariot, which jumps there, or to @body, which asks the host first.
 */
struct chariot_inline_gate {
	const char *name;
	uint32_t slot, body;
};

/* A function that the kernel may call: its symbol, and where it calls "enter". */
struct chariot_inline_entry {
	uint32_t sec, off;	/* of the image */
	uint32_t call;		/* in @sec */
	bool asks;		/* init or exit: the host is always told */
};

struct chariot_inline_layout {
	uint32_t runtime, data, cache;	/* sections of the image */
	uint32_t runtime_len, cache_lines;
	uint32_t hypercall;	/* in the runtime: 3 bytes, the only one */
	uint32_t left;		/* in the runtime: CHARIOT_HC_LEFT */
	const struct chariot_inline_gate *gates;	/* by number, for CHARIOT_HC_PRE */
	const struct chariot_inline_entry *entries;
	size_t nr_gates, nr_entries;
};

CHARIOT_API const struct chariot_inline_layout *
chariot_inline__layout(const struct chariot_inline *x);

enum chariot_inline_arm {
	CHARIOT_INLINE_DIRECT,	/* the function is called, and nobody asked */
	CHARIOT_INLINE_PRE,	/* asked before it runs */
	CHARIOT_INLINE_BOTH,	/* and when it has returned.  Of its arguments on the stack
				 * the first 16 words are there. */
	CHARIOT_INLINE_NR_ARMS
};

struct chariot_inline_fill {
	size_t sz;		/* sizeof(struct chariot_inline_fill) */
	uint64_t runtime;	/* gva of .text.chariot */
	struct chariot_inline_params params;
	const uint8_t *arms;	/* by gate: enum chariot_inline_arm; NULL: all DIRECT */
	bool amd;		/* the hypercall is vmmcall */
};

struct chariot_inline_write {
	uint64_t gva;
	uint32_t len;
	uint8_t bytes[64];
};

/*
 * What has to be written into the guest, in that order, once its loader has relocated the
 * image and before any of it runs.  @params can be written again at any time.  @writes: to be freed with free().  EINVAL: @f; ENOMEM.
 */
CHARIOT_API int chariot_inline__fill(const struct chariot_inline *x,
				     const struct chariot_inline_fill *f,
				     struct chariot_inline_write **writes, size_t *nr);

#ifdef __cplusplus
}
#endif
#endif
