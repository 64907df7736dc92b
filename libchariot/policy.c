// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The policy's text: a recursive descent parser, and the built-in policy, which is
 * a file like any other and is parsed by the same code.
 */
#include <stdio.h>
#include <stdlib.h>

#include "scan.h"

#ifndef POLICY_DIR
#define POLICY_DIR "libchariot/policy"
#endif

/* The file itself, not a copy of it: no build step, and .incbin is tracked. */
#define BUILT_IN(name)							\
	__asm__(".pushsection .rodata\n"				\
		#name "_policy:\n"					\
		".incbin \"" POLICY_DIR "/" #name ".policy\"\n"	\
		#name "_policy_end:\n"					\
		".byte 0\n"						\
		".popsection\n");					\
	extern const char name##_policy[], name##_policy_end[]

BUILT_IN(core);
BUILT_IN(recover);
BUILT_IN(inject);

static const struct {
	const char *file, *text, *end;
} built_in[] = {
	{ "core.policy", core_policy, core_policy_end },
	{ "recover.policy", recover_policy, recover_policy_end },
	{ "inject.policy", inject_policy, inject_policy_end },
};

/* ---- expressions -------------------------------------------------------- */

static struct expr *new_expr(struct parser *s, enum expr_kind kind)
{
	struct expr *e = calloc(1, sizeof(*e));

	if (!e) {
		s->err = -ENOMEM;
		return NULL;
	}
	e->kind = kind;
	e->all = s->p->exprs;
	s->p->exprs = e;
	return e;
}

static struct expr *parse_expr(struct parser *s);

/* "struct sk_buff" and "sk_buff" are the same: the kernel's tags are unique. */
static char *parse_type(struct parser *s)
{
	if (scan_is(s, "struct") || scan_is(s, "union"))
		scan_next(s);
	return scan_take_word(s, "a type");
}

/* TYPE, or *TYPE: a pointer to one. */
static char *parse_pointer(struct parser *s)
{
	char *type, *name = NULL;

	if (!scan_accept(s, '*'))
		return parse_type(s);
	type = parse_type(s);
	if (type && asprintf(&name, "*%s", type) < 0)
		s->err = -ENOMEM;
	free(type);
	return name;
}

/* TYPE.MEMBER; a bare MEMBER is of the object's own type. */
static void parse_member(struct parser *s, struct expr *e)
{
	char *w = parse_type(s), *dot;

	if (!w)
		return;
	dot = strchr(w, '.');
	e->member = strdup(dot ? dot + 1 : w);
	if (dot)
		*dot = 0;
	if (dot)
		e->name = w;
	else
		free(w);
	if (!e->member)
		s->err = -ENOMEM;
	else if (!*e->member || (e->name && !*e->name))
		scan_fail(s, s->tok_line, "bad member name");
}

static struct expr *parse_call(struct parser *s, enum expr_kind kind)
{
	struct expr *e = new_expr(s, kind);

	scan_next(s);
	scan_expect(s, '(');
	if (!e)
		return NULL;
	if (kind == EXPR_SIZEOF) {
		e->name = parse_type(s);
	} else if (kind == EXPR_OFFSETOF) {
		parse_member(s, e);
		if (!e->name)
			scan_fail(s, s->tok_line, "offsetof() needs TYPE.MEMBER");
	} else {
		e->a = parse_expr(s);
	}
	if (kind == EXPR_CONTAINER) {
		scan_expect(s, ',');
		parse_member(s, e);
		if (!e->name)
			scan_fail(s, s->tok_line, "container() needs TYPE.MEMBER");
	}
	if (kind == EXPR_ALIGN) {
		scan_expect(s, ',');
		e->num = s->number;
		if (s->tok != T_NUMBER || !e->num || (e->num & (e->num - 1)))
			scan_expected(s, "a power of 2");
		scan_next(s);
	}
	scan_expect(s, ')');
	return e;
}

static struct expr *parse_word(struct parser *s)
{
	static const struct {
		const char *name;
		enum expr_kind kind;
	} calls[] = {
		{ "sizeof", EXPR_SIZEOF }, { "offsetof", EXPR_OFFSETOF },
		{ "align", EXPR_ALIGN }, { "page", EXPR_PAGE },
		{ "percpu", EXPR_PERCPU }, { "strlen", EXPR_STRLEN },
		{ "object", EXPR_OBJECT }, { "container", EXPR_CONTAINER },
	};
	struct expr *e;
	int v;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (scan_is(s, calls[i].name))
			return parse_call(s, calls[i].kind);
	v = scan_value(s->word);
	e = new_expr(s, scan_is(s, "this") ? EXPR_THIS :
		     v >= 0 ? EXPR_VALUE : EXPR_SYMBOL);
	if (!e)
		return NULL;
	if (e->kind == EXPR_VALUE)
		e->num = v;
	else if (e->kind == EXPR_SYMBOL)
		e->name = strdup(s->word);
	scan_next(s);
	return e;
}

static struct expr *parse_primary(struct parser *s)
{
	struct expr *e = NULL, *f;

	if (scan_accept(s, '*')) {
		e = new_expr(s, EXPR_DEREF);
		if (e)
			e->a = parse_primary(s);
		return e;
	}
	if (s->tok == T_NUMBER) {
		e = new_expr(s, EXPR_NUM);
		if (e)
			e->num = s->number;
		scan_next(s);
	} else if (s->tok == T_WORD) {
		e = parse_word(s);
	} else if (scan_accept(s, '(')) {
		e = parse_expr(s);
		scan_expect(s, ')');
	} else {
		scan_expected(s, "an expression");
	}
	while (!s->err && scan_accept(s, T_ARROW)) {
		f = new_expr(s, EXPR_FIELD);
		if (!f)
			break;
		f->a = e;
		parse_member(s, f);
		e = f;
	}
	return e;
}

static struct expr *binary(struct parser *s, enum expr_kind kind,
			   struct expr *a, struct expr *b)
{
	struct expr *e = new_expr(s, kind);

	if (e) {
		e->a = a;
		e->b = b;
	}
	return e;
}

static struct expr *parse_product(struct parser *s)
{
	struct expr *e = parse_primary(s);

	while (!s->err && (s->tok == '*' || s->tok == T_SHIFT ||
			   s->tok == '/')) {
		if (scan_accept(s, '/')) {
			e = binary(s, EXPR_DIV, e, NULL);
			if (e)
				e->num = s->number;
			if (s->tok != T_NUMBER || !s->number ||
			    (s->number & (s->number - 1)))
				scan_expected(s, "a power of 2");
			scan_next(s);
			continue;
		}
		enum expr_kind kind = s->tok == '*' ? EXPR_MUL : EXPR_SHIFT;

		scan_next(s);
		e = binary(s, kind, e, parse_primary(s));
	}
	return e;
}

static struct expr *parse_expr(struct parser *s)
{
	struct expr *e = NULL;

	if (++s->nesting > 32)
		scan_fail(s, s->tok_line, "expression too deep");
	else
		e = parse_product(s);
	while (!s->err && scan_accept(s, '+'))
		e = binary(s, EXPR_ADD, e, parse_product(s));
	s->nesting--;
	return e;
}

/* ---- actions ------------------------------------------------------------ */

static void free_actions(struct action *a)
{
	struct action *next;

	for (; a; a = next) {
		next = a->next;
		free(a->as);
		free(a->list);
		free(a);
	}
}

/* "WORD argN" of a check, or CHARIOT_RET */
static int parse_option(struct parser *s, const struct action *a,
			const char *word)
{
	int v;

	if (a->op != CHARIOT_OP_CHECK || !scan_is(s, word))
		return CHARIOT_RET;
	scan_next(s);
	v = s->tok == T_WORD ? scan_value(s->word) : -1;
	if (v < 0 || v >= CHARIOT_RET)
		scan_expected(s, "arg0 .. arg5");
	scan_next(s);
	return v;
}

static void parse_operands(struct parser *s, struct action *a)
{
	a->base = parse_expr(s);
	if (scan_is(s, "as")) {
		scan_next(s);
		a->as = parse_pointer(s);
		if (scan_accept(s, '*')) {
			a->count = parse_expr(s);
		} else if (scan_is(s, "next") || scan_is(s, "list")) {
			a->embedded = scan_is(s, "list");
			scan_next(s);
			a->list = scan_take_word(s, "a member");
		}
	} else if (a->op != CHARIOT_OP_REVOKE || !scan_at_end(s)) {
		a->len = parse_expr(s);
	}
	a->in = parse_option(s, a, "in");
	a->instead = parse_option(s, a, "else");
}

static struct action *parse_action(struct parser *s)
{
	static const char *const verbs[] = { "grant", "revoke", "check", "hand",
					     "lend", "free" };
	static const char *const phases[] = { "pre", "post", "callback" };
	struct action *a = calloc(1, sizeof(*a));
	int phase = -1;
	size_t i;

	if (!a) {
		s->err = -ENOMEM;
		return NULL;
	}
	if (scan_is(s, "reach")) {
		scan_next(s);
		a->op = ACTION_REACH;
		return a;
	}
	for (i = 0; i < ARRAY_SIZE(phases) && phase < 0; i++)
		if (scan_is(s, phases[i]))
			phase = i;
	if (phase >= 0)
		scan_next(s);
	for (i = 0; i < ARRAY_SIZE(verbs) && !scan_is(s, verbs[i]); i++)
		;
	if (i == ARRAY_SIZE(verbs)) {
		scan_expected(s, "grant, hand, lend, revoke, free or check");
		return a;
	}
	scan_next(s);
	a->for_good = i == ARRAY_SIZE(verbs) - 1;
	a->op = a->for_good ? CHARIOT_OP_REVOKE : i;
	a->phase = phase >= 0 ? phase :
		   a->op == CHARIOT_OP_GRANT || a->op == CHARIOT_OP_HAND ||
		   a->op == CHARIOT_OP_LEND ? CHARIOT_PHASE_POST : CHARIOT_PHASE_PRE;
	parse_operands(s, a);
	return a;
}

/* Find mistakes of shape now, while file and line are known. */
static void check_action(struct parser *s, struct stmt *st, struct action *a,
			 int line)
{
	struct expr self = { .kind = EXPR_VALUE };
	struct compiler c = {
		.policy = s->p,
		.entry = st->kind == STMT_OBJECT || st->kind == STMT_ENTRY,
	};
	uint64_t v;
	int err;

	if (s->err)
		return;
	if (a->op == ACTION_REACH) {
		if (st->kind != STMT_OBJECT)
			scan_fail(s, line, "reach is for objects");
		return;
	}
	if (st->kind == STMT_RULE) {
		err = compile_const(&c, a->len, &v);
		if (err)
			c.why = "the length of a rule must be constant";
	} else {
		err = compile_action(&c, a, st->kind == STMT_OBJECT ? &self :
				     NULL, st->names.v[0]);
	}
	free(c.ops);
	if (err == -ENOMEM)
		s->err = err;
	else if (err)
		scan_fail(s, line, "%s", c.why ? c.why : "cannot be done");
	else if (st->kind == STMT_INHERIT && a->op != CHARIOT_OP_CHECK)
		scan_fail(s, line, "only check can stand in for inherit");
}

static void parse_line(struct parser *s, struct stmt *st)
{
	struct action **tail = &st->actions;
	int line = s->tok_line;

	while (*tail)
		tail = &(*tail)->next;
	*tail = parse_action(s);
	if (*tail)
		check_action(s, st, *tail, line);
}

static void parse_block(struct parser *s, struct stmt *st)
{
	scan_block(s, st, parse_line);
}

/* ---- statements --------------------------------------------------------- */

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->v[i]);
	free(names->v);
}

static void free_stmt(struct stmt *st)
{
	names_free(&st->names);
	free_actions(st->actions);
	catalogue_free(st);
	free(st);
}

static bool is_pattern(enum stmt_kind kind)
{
	return kind == STMT_INHERIT || kind == STMT_THUNK || kind == STMT_ENTRY;
}

/* "current + CONSTANT", or that of what a member of the task leads to. */
bool rule_is_current(const struct expr *e)
{
	if (e->kind != EXPR_ADD)
		return false;
	e = e->a;
	if (e->kind == EXPR_FIELD)
		e = e->a;
	return e->kind == EXPR_VALUE && e->num == CHARIOT_CURRENT;
}

static void parse_rule(struct parser *s, struct stmt *st)
{
	struct action *a = calloc(1, sizeof(*a));
	int line = s->tok_line;
	const struct expr *e;

	if (!a) {
		s->err = -ENOMEM;
		return;
	}
	st->actions = a;
	a->op = CHARIOT_OP_GRANT;
	a->base = parse_expr(s);
	a->len = parse_expr(s);
	check_action(s, st, a, line);
	if (s->err)
		return;
	e = a->base->kind == EXPR_PERCPU ? a->base->a : a->base;
	if (e->kind == EXPR_ADD)
		e = e->a;
	if (rule_is_current(a->base))
		return;
	if (e->kind != EXPR_SYMBOL)
		scan_fail(s, line, "a rule needs a kernel symbol");
}

static void parse_defer(struct parser *s, struct stmt *st)
{
	if (s->tok != T_NUMBER || s->number > CHARIOT_MAX_DEFER) {
		scan_fail(s, st->line, "defer takes a number up to %u",
		     CHARIOT_MAX_DEFER);
		return;
	}
	st->num = s->number;
	scan_next(s);
}

static int evidence_by_name(const char *name)
{
	static const char *const words[NR_EVIDENCE] = {
		[EVIDENCE_OFF] = "off", [EVIDENCE_ON] = "on",
		[EVIDENCE_ASK] = "ask",
	};

	for (int i = 0; i < NR_EVIDENCE; i++)
		if (!strcmp(words[i], name))
			return i;
	return -EINVAL;
}

/* NUMBER SECONDS, up to @max, and from @least to @most; false: it is something else. */
static bool parse_times(struct parser *s, struct stmt *st, uint64_t max, uint64_t least,
			uint64_t most)
{
	if (s->tok != T_NUMBER || s->number > max)
		return false;
	st->num = s->number;
	scan_next(s);
	if (s->tok != T_NUMBER || s->number < least || s->number > most)
		return false;
	st->seconds = s->number;
	scan_next(s);
	return true;
}

#define MAX_SECONDS	86400

/* restart N SECONDS */
static void parse_restart(struct parser *s, struct stmt *st)
{
	if (!parse_times(s, st, POLICY_MAX_RESTARTS, 1, MAX_SECONDS))
		scan_fail(s, st->line, "restart takes how often (0 to %u) and in how many seconds (1 to %u)",
			  POLICY_MAX_RESTARTS, MAX_SECONDS);
}

#define MAX_PROBATION	31536000	/* seconds of a year */

/* probation ENTRIES SECONDS */
static void parse_probation(struct parser *s, struct stmt *st)
{
	if (!parse_times(s, st, UINT32_MAX, 0, MAX_PROBATION))
		scan_fail(s, st->line, "probation takes how many entries (0 to %u) and how many seconds (0 to %u)",
			  UINT32_MAX, MAX_PROBATION);
}

static const struct {
	const char *word;
	enum stmt_kind kind;
	int names;		/* exact number, 0: one or more, -1: @parse does all */
	int block;		/* 0: none, 1: may be, 2: must be: @parse does it */
	void (*parse)(struct parser *s, struct stmt *st);
} stmts[] = {
	{ "inherit", STMT_INHERIT, 0, 1, parse_block },
	{ "thunk", STMT_THUNK, 0, 0, NULL },
	{ "thunk-range", STMT_THUNK_RANGE, 2, 0, NULL },
	{ "intr-range", STMT_INTR_RANGE, 2, 0, NULL },
	{ "gate", STMT_GATE, 0, 2, parse_block },
	{ "entry", STMT_ENTRY, 0, 2, parse_block },
	{ "object", STMT_OBJECT, 0, 2, parse_block },
	{ "rule", STMT_RULE, -1, 0, parse_rule },
	{ "mode", STMT_MODE, 1, 0, NULL },
	{ "library", STMT_LIBRARY, 1, 0, NULL },
	{ "defer", STMT_DEFER, -1, 0, parse_defer },
	{ "restart", STMT_RESTART, -1, 0, parse_restart },
	{ "evidence", STMT_EVIDENCE, 1, 0, NULL },
	{ "probation", STMT_PROBATION, -1, 0, parse_probation },
	{ "lock", STMT_LOCK, 0, 2, catalogue_parse_block },
	{ "unlock", STMT_UNLOCK, 0, 1, catalogue_parse_block },
	{ "resource", STMT_RESOURCE, 0, 2, catalogue_parse_block },
	{ "release", STMT_RELEASE, 0, 0, NULL },
	{ "panics", STMT_PANICS, 0, 0, NULL },
	{ "sleeps", STMT_SLEEPS, 0, 0, NULL },
	{ "registers", STMT_REGISTERS, -1, 0, catalogue_parse_registers },
	{ "frees", STMT_FREES, -1, 0, catalogue_parse_calls },
	{ "allocates", STMT_ALLOCATES, -1, 0, catalogue_parse_calls },
	{ "copies", STMT_COPIES, -1, 0, catalogue_parse_calls },
	{ "locking", STMT_LOCKING, -1, 0, catalogue_parse_calls },
	{ "error", STMT_ERROR, -1, 0, catalogue_parse_error },
	{ "balanced", STMT_BALANCED, -1, 0, catalogue_parse_signatures },
	{ "removes", STMT_REMOVES, -1, 0, catalogue_parse_signatures },
	{ "standin", STMT_STANDIN, -1, 0, catalogue_parse_standin },
};

static void parse_body(struct parser *s, struct stmt *st, size_t i)
{
	if (stmts[i].names >= 0)
		scan_names(s, &st->names, is_pattern(st->kind), false);
	else
		stmts[i].parse(s, st);
	if (!s->err && stmts[i].names > 0 &&
	    st->names.nr != (size_t)stmts[i].names)
		scan_fail(s, st->line, "%s takes %d name%s, not %zu", stmts[i].word,
		     stmts[i].names, stmts[i].names > 1 ? "s" : "",
		     st->names.nr);
	if (!s->err && st->kind == STMT_MODE &&
	    chariot_mode_by_name(st->names.v[0]) < 0)
		scan_fail(s, st->line, "mode is strict, fast or inline, not %s",
			  st->names.v[0]);
	if (!s->err && st->kind == STMT_EVIDENCE &&
	    evidence_by_name(st->names.v[0]) < 0)
		scan_fail(s, st->line, "evidence is off, on or ask, not %s",
			  st->names.v[0]);
	if (!s->err && st->kind == STMT_LIBRARY &&
	    strcmp(st->names.v[0], "on") && strcmp(st->names.v[0], "off"))
		scan_fail(s, st->line, "library is on or off, not %s",
			  st->names.v[0]);
	if (!s->err && st->kind == STMT_ENTRY && st->names.nr > 6)
		scan_fail(s, st->line, "at most 6 parameters");
	if (!s->err && (stmts[i].block == 2 ||
			(stmts[i].block == 1 && s->tok == '{')))
		stmts[i].parse(s, st);
	if (!s->err && s->tok != T_NEWLINE && s->tok != ';' && s->tok != T_END)
		scan_expected(s, "end of line");
}

static void parse_stmt(struct parser *s)
{
	struct stmt *st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stmts) && !scan_is(s, stmts[i].word); i++)
		;
	if (i == ARRAY_SIZE(stmts)) {
		scan_expected(s, "a statement");
		return;
	}
	st = calloc(1, sizeof(*st));
	if (!st) {
		s->err = -ENOMEM;
		return;
	}
	st->kind = stmts[i].kind;
	st->file = s->file;
	st->line = s->tok_line;
	scan_next(s);
	parse_body(s, st, i);
	*s->p->last = st;
	s->p->last = &st->next;
}

/* The name has to live as long as the statements, which point to it. */
static const char *keep_file(struct chariot_policy *p, const char *file)
{
	char **files = realloc(p->files, (p->nr_files + 1) * sizeof(*files));

	if (!files)
		return NULL;
	p->files = files;
	files[p->nr_files] = strdup(file);
	return files[p->nr_files] ? files[p->nr_files++] : NULL;
}

int policy_parse(struct chariot_policy *p, const char *file, const char *text,
		 size_t len)
{
	struct parser s = {
		.p = p, .file = keep_file(p, file), .at = text,
		.end = text + len, .line = 1,
	};

	if (!s.file)
		return -ENOMEM;
	scan_next(&s);
	while (!s.err && s.tok != T_END) {
		if (s.tok == T_NEWLINE || s.tok == ';')
			scan_next(&s);
		else
			parse_stmt(&s);
	}
	return s.err;
}

/* ---- policies ----------------------------------------------------------- */

const struct stmt *policy_find(const struct chariot_policy *p,
			       enum stmt_kind kind, const char *name)
{
	const struct stmt *st, *found = NULL;

	for (st = p->first; st; st = st->next) {
		if (st->kind != kind)
			continue;
		for (size_t i = 0; i < st->names.nr; i++)
			if (!strcmp(st->names.v[i], name))
				found = st;
	}
	return found;
}

struct chariot_policy *policy_new(void)
{
	struct chariot_policy *p = calloc(1, sizeof(*p));

	if (p)
		p->last = &p->first;
	return p;
}

/* The last statement of a kind wins; NULL: there is none. */
static const struct stmt *last(const struct chariot_policy *p, enum stmt_kind kind)
{
	const struct stmt *st, *found = NULL;

	for (st = p->first; st; st = st->next)
		if (st->kind == kind)
			found = st;
	return found;
}

enum policy_evidence policy_evidence(const struct chariot_policy *p)
{
	const struct stmt *st = last(p, STMT_EVIDENCE);

	return st ? evidence_by_name(st->names.v[0]) : EVIDENCE_ON;
}

uint32_t policy_mode(const struct chariot_policy *p)
{
	const struct stmt *st = last(p, STMT_MODE);

	return st ? chariot_mode_by_name(st->names.v[0]) : CHARIOT_MODE_STRICT;
}

void policy_restart(const struct chariot_policy *p, unsigned int *max,
		    unsigned int *seconds)
{
	const struct stmt *st = last(p, STMT_RESTART);

	*max = st ? st->num : 5;
	*seconds = st ? st->seconds : 600;
}

/*
 * A day has what a guest does by the clock in it (log files, backups, checks of
 * disks); a driver that is hardly used has not shown much by then, so it is to be
 * called a few thousand times, too, which one at work is in seconds.
 */
#define DEFAULT_ENTRIES		10000
#define DEFAULT_PROBATION	86400

void policy_probation(const struct chariot_policy *p, uint64_t *entries,
		      uint64_t *seconds)
{
	const struct stmt *st = last(p, STMT_PROBATION);

	*entries = st ? st->num : DEFAULT_ENTRIES;
	*seconds = st ? st->seconds : DEFAULT_PROBATION;
}

void chariot_policy__free(struct chariot_policy *p)
{
	struct stmt *st, *next_st;
	struct expr *e, *next_e;

	if (!p)
		return;
	for (st = p->first; st; st = next_st) {
		next_st = st->next;
		free_stmt(st);
	}
	for (e = p->exprs; e; e = next_e) {
		next_e = e->all;
		free(e->name);
		free(e->member);
		free(e);
	}
	for (size_t i = 0; i < p->nr_files; i++)
		free(p->files[i]);
	free(p->files);
	free(p);
}

/* "as TYPE" may come before the object; look when all files are read. */
static int check_objects(const struct chariot_policy *p)
{
	const struct stmt *st;
	const struct action *a;

	for (st = p->first; st; st = st->next)
		for (a = st->actions; a; a = a->next)
			if (a->as && !policy_find(p, STMT_OBJECT,
						  a->as + (*a->as == '*'))) {
				log_err("%s:%d: there is no object %s",
					st->file, st->line, a->as);
				return -EINVAL;
			}
	return 0;
}

static int parse_file(struct chariot_policy *p, const char *path)
{
	uint8_t *data;
	size_t len;
	int err = file_read(path, &data, &len);

	if (err) {
		log_err("%s: %s", path, strerror(-err));
		return err;
	}
	err = policy_parse(p, path, (char *)data, len);
	free(data);
	return err;
}

struct chariot_policy *chariot_policy__load(const char *const *paths)
{
	struct chariot_policy *p = policy_new();
	int err = 0;

	if (!p)
		return err_null(ENOMEM);
	for (size_t i = 0; !err && i < ARRAY_SIZE(built_in); i++)
		err = policy_parse(p, built_in[i].file, built_in[i].text,
				   built_in[i].end - built_in[i].text);
	for (; !err && paths && *paths; paths++)
		err = parse_file(p, *paths);
	if (!err)
		err = check_objects(p);
	if (err) {
		chariot_policy__free(p);
		return err_null(err);
	}
	return p;
}
