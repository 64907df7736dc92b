// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue: what the policy says of kernel functions beside gates.  Which take
 * or give back a lock or a resource, panic, or sleep.
 */
#include <stdlib.h>

#include "scan.h"

/* ---- blocks --------------------------------------------------------------- */

static const struct {
	const char *word;
	uint32_t flags;		/* CHARIOT_LOCK_* */
	unsigned int kinds;	/* bits: of statements that may have it */
} words[] = {
	{ "spin", CHARIOT_LOCK_SPINS, 1 << STMT_LOCK | 1 << STMT_UNLOCK },
	{ "queued", CHARIOT_LOCK_QUEUED, 1 << STMT_LOCK | 1 << STMT_UNLOCK },
	{ "calls-back", CHARIOT_LOCK_RUNS, 1 << STMT_RESOURCE },
	{ "device", CHARIOT_LOCK_DEVICE, 1 << STMT_RESOURCE },
	{ "power", CHARIOT_LOCK_DEVICE | CHARIOT_LOCK_POWER, 1 << STMT_RESOURCE },
};

/* arg0 .. arg5, ret, or a constant, as chariot_lock has it. */
static void parse_arg(struct parser *s, struct call *call)
{
	int v = s->tok == T_WORD ? scan_value(s->word) : -1;

	if (s->tok == T_NUMBER && s->number <= 127)
		v = CHARIOT_LOCK_CONST(s->number);
	else if (v > CHARIOT_RET)
		v = -1;
	if (v < 0)
		scan_expected(s, "arg0 .. arg5, ret or a number up to 127");
	else if (call->nr == ARRAY_SIZE(call->arg))
		scan_fail(s, s->tok_line, "at most %zu arguments",
			  ARRAY_SIZE(call->arg));
	else
		call->arg[call->nr++] = v;
	scan_next(s);
}

/* FUNCTION(ARG, ...) */
static struct call *parse_call(struct parser *s)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		s->err = -ENOMEM;
		return NULL;
	}
	memset(call->arg, CHARIOT_NO_ARG, sizeof(call->arg));
	call->fn = scan_take_word(s, "a function");
	scan_expect(s, '(');
	if (scan_accept(s, ')'))
		return call;
	do {
		parse_arg(s, call);
	} while (!s->err && scan_accept(s, ','));
	scan_expect(s, ')');
	return call;
}

static void parse_release(struct parser *s, struct stmt *st)
{
	struct call **tail = &st->calls;

	if (st->kind == STMT_UNLOCK) {
		scan_fail(s, s->tok_line, "unlock releases already");
		return;
	}
	while (*tail)
		tail = &(*tail)->next;
	scan_next(s);
	*tail = parse_call(s);
}

/* "if ret", "unless ret": with which result it has taken something. */
static void parse_when(struct parser *s, struct stmt *st, uint8_t when)
{
	if (st->kind == STMT_UNLOCK) {
		scan_fail(s, s->tok_line, "unlock has no condition");
		return;
	}
	scan_next(s);
	if (!scan_is(s, "ret"))
		scan_expected(s, "ret");
	scan_next(s);
	st->when = when;
}

static void parse_line(struct parser *s, struct stmt *st)
{
	if (scan_is(s, "release")) {
		parse_release(s, st);
		return;
	}
	if (scan_is(s, "if") || scan_is(s, "unless")) {
		parse_when(s, st, scan_is(s, "if") ? CHARIOT_LOCK_TRUE :
						     CHARIOT_LOCK_ZERO);
		return;
	}
	if (scan_is(s, "without") && st->kind == STMT_RESOURCE && !st->without) {
		scan_next(s);
		st->without = scan_take_word(s, "a function");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (scan_is(s, words[i].word) && words[i].kinds >> st->kind & 1) {
			st->flags |= words[i].flags;
			scan_next(s);
			return;
		}
	scan_expected(s, st->kind == STMT_RESOURCE ?
		      "release, if, unless, without, calls-back, device or power" :
		      "release, if, unless, spin or queued");
}

void catalogue_parse_block(struct parser *s, struct stmt *st)
{
	bool empty = true;

	scan_expect(s, '{');
	while (!s->err) {
		while (s->tok == T_NEWLINE || s->tok == ';')
			scan_next(s);
		if (scan_accept(s, '}'))
			break;
		if (s->tok == T_END) {
			scan_fail(s, st->line, "block is not closed");
			return;
		}
		empty = false;
		parse_line(s, st);
		if (s->tok != T_NEWLINE && s->tok != ';' && s->tok != '}')
			scan_expected(s, "';', '}' or end of line");
	}
	if (!empty && !st->calls && st->kind != STMT_UNLOCK)
		scan_fail(s, st->line, "what gives it back? release FUNCTION(ARG...)");
}

void catalogue_free(struct stmt *st)
{
	struct call *call, *next;

	for (call = st->calls; call; call = next) {
		next = call->next;
		free(call->fn);
		free(call);
	}
	free(st->without);
}

/* ---- what it says of a function -------------------------------------------- */

bool catalogue_has(const struct stmt *st)
{
	return st->kind == STMT_LOCK || st->kind == STMT_UNLOCK ||
	       st->kind == STMT_RESOURCE || st->kind == STMT_RELEASE ||
	       st->kind == STMT_PANICS || st->kind == STMT_SLEEPS;
}

const struct stmt *catalogue_find(const struct chariot_policy *p,
				  const char *name)
{
	const struct stmt *st, *found = NULL;

	for (st = p->first; st; st = st->next)
		for (size_t i = 0; catalogue_has(st) && i < st->names.nr; i++)
			if (!strcmp(st->names.v[i], name))
				found = st;
	return found;
}
