/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scanner, as the files that parse statements use it.
 */
#ifndef CHARIOT_SCAN_H
#define CHARIOT_SCAN_H

#include "policy.h"

enum token { T_END, T_NEWLINE, T_WORD, T_NUMBER, T_SHIFT, T_ARROW, T_BAD };
/* Single characters are tokens by their own value, all above T_BAD. */

struct parser {
	struct chariot_policy *p;
	const char *file;	/* owned by the policy */
	const char *at, *end;
	int line;
	int tok, tok_line;
	char word[128];
	uint64_t number;
	int nesting;		/* of expressions */
	int err;
};

void scan_fail(struct parser *s, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void scan_next(struct parser *s);
/* An error: the token is not @what. */
void scan_expected(struct parser *s, const char *what);
/* Go on if the token is @tok. */
bool scan_accept(struct parser *s, int tok);
void scan_expect(struct parser *s, int tok);
bool scan_is(struct parser *s, const char *word);
/* A copy of the word that is there; NULL with an error: none is. */
char *scan_take_word(struct parser *s, const char *what);
void scan_skip_newlines(struct parser *s);
/* @name becomes the list's; NULL: an error. */
void scan_add_name(struct parser *s, struct names *names, char *name);
/*
 * Names up to a block or the end of the line; a comma goes over a line.  @patterns:
 * with * in them; @clauses: up to a word that begins a clause ("except"), too.
 */
void scan_names(struct parser *s, struct names *names, bool patterns,
		bool clauses);
/* The end of a line of a block. */
bool scan_at_end(const struct parser *s);
/* The block of @st, by its lines; true: it had one. */
bool scan_block(struct parser *s, struct stmt *st,
		void (*line)(struct parser *s, struct stmt *st));
/* "arg0".."arg5", "ret" and "current": index in the module's value[], else -1. */
int scan_value(const char *word);

#endif
