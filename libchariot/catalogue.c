// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue: what the policy says of functions beside gates and entries.  Of the
 * kernel's: which take or give back a lock or a resource, panic, or sleep.  Of the
 * driver's: what is done in the place of one that has failed.
 */
#include <fnmatch.h>
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
	{ "ran", CHARIOT_STAND_IN_RAN, 1 << STMT_STANDIN },
	{ "once", CHARIOT_STAND_IN_ONCE, 1 << STMT_STANDIN },
	{ "irq", CHARIOT_STAND_IN_IRQ, 1 << STMT_STANDIN },
	{ "off", CHARIOT_STAND_IN_OFF, 1 << STMT_STANDIN },
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

static bool parse_flag(struct parser *s, struct stmt *st)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (scan_is(s, words[i].word) && words[i].kinds >> st->kind & 1) {
			st->flags |= words[i].flags;
			scan_next(s);
			return true;
		}
	return false;
}

static void parse_line(struct parser *s, struct stmt *st)
{
	if (parse_flag(s, st))
		return;
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
	scan_expected(s, st->kind == STMT_RESOURCE ?
		      "release, if, unless, without, calls-back, device or power" :
		      "release, if, unless, spin or queued");
}

void catalogue_parse_block(struct parser *s, struct stmt *st)
{
	if (scan_block(s, st, parse_line) && !st->calls && st->kind != STMT_UNLOCK)
		scan_fail(s, st->line, "what gives it back? release FUNCTION(ARG...)");
}

/* ---- functions of the driver ------------------------------------------------ */

static void parse_types(struct parser *s, struct signature *sig)
{
	if (scan_accept(s, ')'))
		return;
	do {
		scan_skip_newlines(s);
		if (scan_is(s, "...")) {
			sig->more = true;
			scan_next(s);
			break;
		}
		scan_add_name(s, &sig->types, scan_take_word(s, "a type"));
	} while (!s->err && scan_accept(s, ','));
	scan_expect(s, ')');
	if (sig->types.nr > 6)
		scan_fail(s, s->tok_line, "at most 6 parameters");
}

/* [RESULT](TYPE, ...), or TYPE: its first parameter points to that. */
static struct signature *parse_signature(struct parser *s)
{
	struct signature *sig = calloc(1, sizeof(*sig));

	if (!sig) {
		s->err = -ENOMEM;
		return NULL;
	}
	if (s->tok != '(')
		sig->result = scan_take_word(s, "a type or '('");
	if (scan_accept(s, '(')) {
		parse_types(s, sig);
		return sig;
	}
	if (sig->result)
		scan_add_name(s, &sig->types, sig->result);
	sig->result = NULL;
	sig->more = true;
	return sig;
}

static void parse_clause(struct parser *s, const char *word,
			 struct names *patterns)
{
	if (!scan_is(s, word))
		return;
	scan_next(s);
	scan_names(s, patterns, true, true);
}

void catalogue_parse_signatures(struct parser *s, struct stmt *st)
{
	struct signature **tail = &st->signatures;

	do {
		scan_skip_newlines(s);
		*tail = parse_signature(s);
		if (*tail)
			tail = &(*tail)->next;
	} while (!s->err && scan_accept(s, ','));
	parse_clause(s, "named", &st->named);
	parse_clause(s, "except", &st->except);
	parse_clause(s, "but", &st->but);
}

void catalogue_parse_registers(struct parser *s, struct stmt *st)
{
	if (!scan_is(s, "except"))
		scan_names(s, &st->names, true, true);
	parse_clause(s, "except", &st->except);
}

/* PATTERN... [size argN], of what is freed: object */
void catalogue_parse_calls(struct parser *s, struct stmt *st)
{
	const char *word = st->kind == STMT_FREES ? "object" : "size";
	int v;

	scan_names(s, &st->names, true, true);
	st->num = CHARIOT_NO_ARG;
	if (st->kind == STMT_LOCKING)
		return;
	if (!scan_is(s, word)) {
		if (st->kind == STMT_COPIES)
			scan_expected(s, "size argN");
		return;
	}
	scan_next(s);
	v = s->tok == T_WORD ? scan_value(s->word) : -1;
	if (v < 0 || v > CHARIOT_ARG(5))
		scan_expected(s, "arg0 .. arg5");
	st->num = v;
	scan_next(s);
}

/* Of different values the module takes so many, beside 0 and -EIO. */
static bool has_room(const struct chariot_policy *p, uint32_t value)
{
	const struct stmt *st, *before;
	int nr = 0;

	for (st = p->first; st; st = st->next) {
		if (st->kind != STMT_ERROR)
			continue;
		if (st->num == value)
			return true;
		for (before = p->first; before != st; before = before->next)
			if (before->kind == STMT_ERROR && before->num == st->num)
				break;
		nr += before == st;
	}
	return nr < POLICY_MAX_ERRORS;
}

void catalogue_parse_error(struct parser *s, struct stmt *st)
{
	scan_names(s, &st->names, false, false);
	if (s->tok != T_NUMBER || s->number > INT32_MAX)
		scan_expected(s, "a number");
	else if (!has_room(s->p, s->number))
		scan_fail(s, st->line, "at most %d different values", POLICY_MAX_ERRORS);
	st->num = s->number;
	scan_next(s);
}

/* ---- what stands in ----------------------------------------------------------- */

/* call FUNCTION(argN[, NUMBER]) */
static void parse_stand_in_call(struct parser *s, struct stmt *st)
{
	struct call *call;

	if (st->calls) {
		scan_fail(s, s->tok_line, "one call only");
		return;
	}
	scan_next(s);
	call = st->calls = parse_call(s);
	if (!s->err && (!call->nr || call->nr > 2 || call->arg[0] > CHARIOT_ARG(5) ||
			(call->nr == 2 && !(call->arg[1] & CHARIOT_LOCK_CONST(0)))))
		scan_fail(s, s->tok_line, "it is called with argN, or with argN and a number");
}

/* if TYPE.MEMBER MASK */
static void parse_test(struct parser *s, struct stmt *st)
{
	const char *dot;

	scan_next(s);
	free(st->member);
	st->member = scan_take_word(s, "TYPE.MEMBER");
	dot = st->member ? strchr(st->member, '.') : NULL;
	if (!s->err && (!dot || dot == st->member || !dot[1]))
		scan_fail(s, s->tok_line, "if needs TYPE.MEMBER and a mask");
	if (s->tok != T_NUMBER || !s->number || s->number > UINT32_MAX)
		scan_expected(s, "a mask of 32 bits");
	st->num = s->number;
	st->flags |= CHARIOT_STAND_IN_TEST;
	scan_next(s);
}

static void parse_stand_in_line(struct parser *s, struct stmt *st)
{
	if (parse_flag(s, st))
		return;
	if (scan_is(s, "call")) {
		parse_stand_in_call(s, st);
	} else if (scan_is(s, "if")) {
		parse_test(s, st);
	} else if (scan_is(s, "undo") && !st->undo) {
		scan_next(s);
		st->undo = scan_take_word(s, "a function");
	} else if (scan_is(s, "request")) {
		scan_next(s);
		st->request = true;
	} else if (scan_is(s, "return")) {
		scan_next(s);
		if (s->tok != T_NUMBER || s->number)
			scan_expected(s, "0");
		scan_next(s);
		st->returns_0 = true;
	} else {
		scan_expected(s, "call, undo, if, return, request, ran, once, irq or off");
	}
}

void catalogue_parse_standin(struct parser *s, struct stmt *st)
{
	st->signatures = parse_signature(s);
	scan_block(s, st, parse_stand_in_line);
	if ((st->flags || st->undo) && !st->calls)
		scan_fail(s, st->line, "what is done in its place? call FUNCTION(ARG)");
}

void catalogue_free(struct stmt *st)
{
	struct signature *sig, *next_sig;
	struct call *call, *next;

	for (sig = st->signatures; sig; sig = next_sig) {
		next_sig = sig->next;
		free(sig->result);
		names_free(&sig->types);
		free(sig);
	}
	names_free(&st->named);
	names_free(&st->except);
	names_free(&st->but);
	free(st->undo);
	free(st->member);

	for (call = st->calls; call; call = next) {
		next = call->next;
		free(call->fn);
		free(call);
	}
	free(st->without);
}

/* ---- what it says of a function -------------------------------------------- */

bool catalogue_matches(const struct names *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->nr; i++)
		if (!fnmatch(patterns->v[i], name, 0))
			return true;
	return false;
}

bool catalogue_has(const struct stmt *st)
{
	return st->kind == STMT_LOCK || st->kind == STMT_UNLOCK ||
	       st->kind == STMT_RESOURCE || st->kind == STMT_RELEASE ||
	       st->kind == STMT_PANICS || st->kind == STMT_SLEEPS;
}

bool chariot_policy__call(const struct chariot_policy *p,
			  enum chariot_call_kind what, const char *name, int *arg)
{
	const struct stmt *st, *found = NULL;

	for (st = p->first; st; st = st->next)
		if (st->kind == STMT_FREES + what &&
		    catalogue_matches(&st->names, name))
			found = st;
	if (found)
		*arg = found->num == CHARIOT_NO_ARG ? -1 : (int)found->num;
	return found;
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
