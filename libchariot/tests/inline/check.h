/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A module as a file, as plainly as it can be read: what the rewriter is measured by
 * shares no code with it.
 */
#ifndef INLINE_CHECK_H
#define INLINE_CHECK_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

struct ko_rel {
	uint32_t off, type;
	const char *import;	/* NULL: (sec, target) */
	uint32_t sec;
	int64_t target;		/* symbol and addend; of an import: the addend */
};

struct ko_section {
	const Elf64_Shdr *sh;
	const char *name;
	const uint8_t *data;
	uint32_t size;
	bool code;		/* that the rewriter lays out anew */
	struct ko_rel *rels;	/* by offset */
	uint32_t nr_rels;
};

struct ko_file {
	uint8_t *file;
	uint64_t len;
	struct ko_section *secs;
	uint32_t nr_secs;
	const Elf64_Sym *syms;
	const char *strings;
	uint32_t nr_syms;
};

/* Of a file that was taken already: 0, or -1 when it is not as it should be. */
int ko_file_read(struct ko_file *k, const void *data, uint64_t len);
void ko_file_free(struct ko_file *k);
const struct ko_section *ko_file_section(const struct ko_file *k, const char *name);
/* The relocation of a field within [from, to), NULL. */
const struct ko_rel *ko_rel_in(const struct ko_section *s, uint32_t from, uint32_t to);

/*
 * A module of the function f, and g behind a "|", from hexadecimal digits; make.c has what
 * else may stand there.  @compiled: f begins with a call of ftrace's.  malloc().
 */
void *ko_make(const char *hex, bool compiled, uint64_t *len);

struct chariot_inline;
/*
 * Is @x what should have become of the module @old?  Decodes both again and compares
 * instructions, branches, tables and unwinding; the first few differences are told as
 * TAP's comments.  Returns how many there are.
 */
unsigned int inline_verify(const struct ko_file *old, const struct chariot_inline *x);

/* The same of the runtime in it (verify-runtime.c), which @new has. */
unsigned int inline_verify_runtime(const struct ko_file *old, const struct ko_file *new,
				   const struct chariot_inline *x);

/* Executed beside the original (run.c). */
struct inline_runs {
	unsigned long functions, aligned, runs, events, checked, denied, skipped, misses, gates;
	unsigned long different, passed;	/* must be 0 */
};
/*
 * Up to @functions of the module from the one that @seed picks, and as many behind them of
 * those that align their stack, each on @states random states: registers, flags that
 * matter, stores, calls and memory are the same; and with each checked store of the run denied, it is stopped exactly before that.
 *
 * @real: with the runtime in the image, and what is played is the host.  Stores that are
 * denied are then also left out, in both, and the rest is the same.
 */
int inline_run(const struct ko_file *old, const struct chariot_inline *x, uint64_t seed,
	       bool real, unsigned int functions, unsigned int states,
	       struct inline_runs *r);

#endif
