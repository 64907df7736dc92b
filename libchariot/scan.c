// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A policy's text into tokens, and the errors that name file and line.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "scan.h"

/* Only the first error counts: what follows is mostly its consequence. */
void scan_fail(struct parser *s, int line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (s->err)
		return;
	s->err = -EINVAL;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err("%s:%d: %s", s->file, line, text);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '?' ||
	       c == '@';
}

static void skip_blanks(struct parser *s)
{
	while (s->at < s->end) {
		if (*s->at == '#')
			while (s->at < s->end && *s->at != '\n')
				s->at++;
		else if (*s->at == ' ' || *s->at == '\t' || *s->at == '\r')
			s->at++;
		else if (*s->at == '\\' && s->at + 1 < s->end &&
			 s->at[1] == '\n')
			s->at += 2, s->line++;
		else
			break;
	}
}

static int scan_number(struct parser *s)
{
	char *end;

	errno = 0;
	s->number = strtoull(s->word, &end, 0);
	if (*end || errno) {
		scan_fail(s, s->line, "'%s' is no number", s->word);
		return T_BAD;
	}
	return T_NUMBER;
}

/* A name; '-' belongs to it only before a letter (inherit-range, not a->b). */
static int scan_word(struct parser *s)
{
	size_t n = 0;

	while (s->at < s->end &&
	       (is_word(*s->at) || (*s->at == '-' && s->at + 1 < s->end &&
				    isalpha((unsigned char)s->at[1])))) {
		if (n == sizeof(s->word) - 1) {
			scan_fail(s, s->line, "name too long");
			return T_BAD;
		}
		s->word[n++] = *s->at++;
	}
	s->word[n] = 0;
	return isdigit((unsigned char)s->word[0]) ? scan_number(s) : T_WORD;
}

static int scan(struct parser *s)
{
	skip_blanks(s);
	s->tok_line = s->line;
	if (s->at == s->end)
		return T_END;
	if (*s->at == '\n') {
		s->at++;
		s->line++;
		return T_NEWLINE;
	}
	if (is_word(*s->at))
		return scan_word(s);
	if (s->end - s->at > 1 && s->at[0] == '<' && s->at[1] == '<') {
		s->at += 2;
		return T_SHIFT;
	}
	if (s->end - s->at > 1 && s->at[0] == '-' && s->at[1] == '>') {
		s->at += 2;
		return T_ARROW;
	}
	if (strchr("{}();,+*/", *s->at) && *s->at)
		return *s->at++;
	scan_fail(s, s->line, "unexpected character '%c'",
	     isprint((unsigned char)*s->at) ? *s->at : '?');
	return T_BAD;
}

void scan_next(struct parser *s)
{
	s->tok = s->err ? T_END : scan(s);
}

static const char *tok_name(struct parser *s, char buf[static 140])
{
	switch (s->tok) {
	case T_END:
		return "end of file";
	case T_NEWLINE:
		return "end of line";
	case T_WORD:
	case T_NUMBER:
		snprintf(buf, 140, "'%s'", s->word);
		return buf;
	case T_SHIFT:
		return "'<<'";
	case T_ARROW:
		return "'->'";
	}
	snprintf(buf, 140, "'%c'", s->tok);
	return buf;
}

void scan_expected(struct parser *s, const char *what)
{
	char buf[140];

	scan_fail(s, s->tok_line, "expected %s, not %s", what, tok_name(s, buf));
}

bool scan_accept(struct parser *s, int tok)
{
	if (s->tok != tok)
		return false;
	scan_next(s);
	return true;
}

void scan_expect(struct parser *s, int tok)
{
	char what[] = "'?'";

	what[1] = tok;
	if (!scan_accept(s, tok))
		scan_expected(s, what);
}

bool scan_is(struct parser *s, const char *word)
{
	return s->tok == T_WORD && !strcmp(s->word, word);
}

char *scan_take_word(struct parser *s, const char *what)
{
	char *w;

	if (s->tok != T_WORD) {
		scan_expected(s, what);
		return NULL;
	}
	w = strdup(s->word);
	if (!w)
		s->err = -ENOMEM;
	scan_next(s);
	return w;
}

void scan_skip_newlines(struct parser *s)
{
	while (s->tok == T_NEWLINE)
		scan_next(s);
}

/* ---- lists of names ------------------------------------------------------ */

/* A name with * in it, which the scanner has as a token. */
static char *take_pattern(struct parser *s)
{
	char buf[256];
	size_t n = 0, len;

	while (s->tok == T_WORD || s->tok == '*') {
		const char *piece = s->tok == '*' ? "*" : s->word;
		const char *end = s->at;

		len = strlen(piece);
		if (n + len >= sizeof(buf)) {
			scan_fail(s, s->tok_line, "name too long");
			return NULL;
		}
		memcpy(buf + n, piece, len);
		n += len;
		buf[n] = 0;
		/* Glued to what follows, or is a blank between? */
		if (end < s->end && !is_word(*end) && *end != '*') {
			scan_next(s);
			break;
		}
		scan_next(s);
	}
	if (!n) {
		scan_expected(s, "a name");
		return NULL;
	}
	return strdup(buf);
}

void scan_add_name(struct parser *s, struct names *names, char *name)
{
	char **v;

	if (!name) {
		s->err = s->err ?: -ENOMEM;
		return;
	}
	v = realloc(names->v, (names->nr + 1) * sizeof(*v));
	if (!v) {
		s->err = -ENOMEM;
		free(name);
		return;
	}
	names->v = v;
	v[names->nr++] = name;
}

static bool is_clause(struct parser *s)
{
	static const char *const clauses[] = {
		"named", "except", "but", "size", "object",
	};

	for (size_t i = 0; i < ARRAY_SIZE(clauses); i++)
		if (scan_is(s, clauses[i]))
			return true;
	return false;
}

void scan_names(struct parser *s, struct names *names, bool patterns,
		bool clauses)
{
	do {
		scan_skip_newlines(s);
		do {
			scan_add_name(s, names, patterns ? take_pattern(s) :
				      scan_take_word(s, "a name"));
		} while (!s->err && (s->tok == '*' ||
				     (s->tok == T_WORD &&
				      !(clauses && is_clause(s)))));
	} while (!s->err && scan_accept(s, ','));
}

int scan_value(const char *w)
{
	if (!strcmp(w, "ret"))
		return CHARIOT_RET;
	if (!strcmp(w, "current"))
		return CHARIOT_CURRENT;
	if (!strncmp(w, "arg", 3) && w[3] >= '0' && w[3] <= '5' && !w[4])
		return CHARIOT_ARG(w[3] - '0');
	return -1;
}

bool scan_at_end(const struct parser *s)
{
	return s->tok == T_NEWLINE || s->tok == ';' || s->tok == '}';
}

bool scan_block(struct parser *s, struct stmt *st,
		void (*line)(struct parser *s, struct stmt *st))
{
	bool any = false;

	scan_expect(s, '{');
	while (!s->err) {
		while (s->tok == T_NEWLINE || s->tok == ';')
			scan_next(s);
		if (scan_accept(s, '}'))
			break;
		if (s->tok == T_END) {
			scan_fail(s, st->line, "block is not closed");
			break;
		}
		any = true;
		line(s, st);
		if (!scan_at_end(s))
			scan_expected(s, "';', '}' or end of line");
	}
	return any;
}
