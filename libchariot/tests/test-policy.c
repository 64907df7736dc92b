// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The policy's grammar: what is taken, what is refused, and on which line.
 */
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "tap.h"

static char logged[1024];

static void remember(void *ctx, enum chariot_log_level level, const char *text)
{
	if (level == CHARIOT_LOG_ERROR)
		snprintf(logged, sizeof(logged), "%s", text);
}

static struct chariot_policy *parse(const char *text, int *err)
{
	struct chariot_policy *p = policy_new();

	logged[0] = 0;
	*err = policy_parse(p, "x", text, strlen(text));
	return p;
}

static const struct {
	const char *text, *error;	/* error: start of the line in the log */
} bad[] = {
	{ "frobnicate x", "x:1: expected a statement, not 'frobnicate'" },
	{ "\n\n  }", "x:3: expected a statement, not '}'" },
	{ "gate", "x:1: expected a name" },
	{ "gate kfree", "x:1: expected '{'" },
	{ "gate kfree {", "x:1: block is not closed" },
	{ "gate kfree {\n revoke arg0\n", "x:1: block is not closed" },
	{ "gate a {\n grant ret arg0\n revoke\n}", "x:3: expected an expression" },
	{ "gate a {\n\n frob ret\n}", "x:3: expected grant, hand, lend, revoke, free or check" },
	{ "gate a { grant ret }", "x:1: expected an expression, not '}'" },
	{ "gate a { grant ret arg0 arg1 }", "x:1: expected ';', '}' or end" },
	{ "gate a { check arg0 8 in ret }", "x:1: expected arg0 .. arg5" },
	{ "gate a { check arg0 8 in }", "x:1: expected arg0 .. arg5" },
	{ "gate a { pre grant ret 8 }", "x:1: ret is not known before" },
	{ "gate a { revoke ret }", "x:1: ret is not known before" },
	{ "gate a { grant ret ret }", "x:1: only arguments are lengths" },
	{ "gate a { grant arg6 8 }", "x:1: not an address" },
	{ "gate a { grant foo 8 }", "x:1: not an address" },
	{ "gate a { grant 8 8 }", "x:1: not an address" },
	{ "gate a { grant ret arg0 + arg1 }", "x:1: two variable parts" },
	{ "gate a { grant ret arg0 * arg1 * arg2 }", "x:1: only two arguments" },
	{ "gate a { grant ret arg0 << arg1 }", "x:1: only a constant can be" },
	{ "gate a { grant ret 8 << 8 << arg1 << 2 }", "x:1: " },
	{ "gate a { grant ret->a.b->c.d->e.f 8 }", "x:1: more than two deref" },
	{ "gate a { grant ret->head 8 }", "x:1: member without its type" },
	{ "gate a { grant ret->a. 8 }", "x:1: bad member name" },
	{ "gate a { grant ret->.a 8 }", "x:1: bad member name" },
	{ "gate a { grant this 8 }", "x:1: 'this' is for objects" },
	{ "gate a { grant page(page(ret)) 8 }", "x:1: page(), percpu() and" },
	{ "gate a { grant page(ret)->a.b 8 }", "x:1: page(), percpu() and" },
	{ "gate a { grant ret arg0->a.b->c.d->e.f }", "x:1: a length is read at" },
	{ "gate a { grant ret 0x80000000 }", "x:1: length too large" },
	{ "gate a { grant ret + 0x7fffffff 8 }", "x:1: offset too large" },
	{ "gate a { grant ret 99999999999999999999 }", "x:1: '99999999999999999999' is no number" },
	{ "gate a { grant ret 12x }", "x:1: '12x' is no number" },
	{ "gate a { grant ret align(8, 3) }", "x:1: expected a power of 2" },
	{ "gate a { grant ret align(8) }", "x:1: expected ','" },
	{ "gate a { grant ret sizeof() }", "x:1: expected a type" },
	{ "gate a { grant ret offsetof(a) }", "x:1: offsetof() needs" },
	{ "gate a { grant ret (8 }", "x:1: expected ')'" },
	{ "gate a { post check arg0 8 }", "x:1: check comes before" },
	{ "gate a { grant object(ret) 8 }", "x:1: object() is for revoke" },
	{ "gate a { callback revoke arg0 }", "x:1: callback: only grant" },
	{ "gate a { callback grant ret 8 }", "x:1: ret is not known" },
	{ "gate a { callback grant arg0 strlen(ret) }", "x:1: ret is not known" },
	{ "gate a { grant ret strlen(ret->a.b) }", "x:1: strlen() is of argN" },
	{ "gate a { grant strlen(ret) 8 }", "x:1: strlen() is a length" },
	{ "gate a { check page(arg0) 8 }", "x:1: check: at most one deref" },
	{ "gate a { check arg0 8 else ret }", "x:1: expected arg0 .. arg5" },
	{ "gate a { check arg0 as sk_buff }", "x:1: check needs a length" },
	{ "gate a b { $ }", "x:1: unexpected character '$'" },
	{ "gate a { } gate b { }", "x:1: expected end of line" },
	{ "gate a,\n{ }", "x:2: expected a name" },
	{ "inherit a {\n grant ret 8\n}", "x:2: only check can stand in" },
	{ "gate a { check arg0 arg0->t.a + arg0->t.b }", "x:1: check: a length of one member" },
	{ "mode furious", "x:1: mode is strict, fast or inline, not furious" },
	{ "mode fast slow", "x:1: mode takes 1 name, not 2" },
	{ "library maybe", "x:1: library is on or off, not maybe" },
	{ "library", "x:1: expected a name" },
	{ "library on off", "x:1: library takes 1 name, not 2" },
	{ "defer many", "x:1: defer takes a number up to 65536" },
	{ "defer 65537", "x:1: defer takes a number up to 65536" },
	{ "probation 5", "x:1: probation takes how many entries (0 to 4294967295) and how many seconds (0 to 31536000)" },
	{ "probation 4294967296 1", "x:1: probation takes how many entries (0 to 4294967295) and how many seconds (0 to 31536000)" },
	{ "probation 1 31536001", "x:1: probation takes how many entries (0 to 4294967295) and how many seconds (0 to 31536000)" },
	{ "probation many 1", "x:1: probation takes how many entries (0 to 4294967295) and how many seconds (0 to 31536000)" },
	{ "probation 1 2 3", "x:1: expected end of line, not '3'" },
	{ "defer 5 6", "x:1: expected end of line, not '6'" },
	{ "thunk-range a", "x:1: thunk-range takes 2 names, not 1" },
	{ "intr-range a b c", "x:1: intr-range takes 2 names, not 3" },
	{ "gate a { grant ret current }", "x:1: only arguments are lengths" },
	{ "gate a { grant current 8 }", "x:1: current is for rules" },
	{ "gate a { grant ret arg0 / 3 }", "x:1: expected a power of 2" },
	{ "gate a { grant ret 8 / 8 }", "x:1: only an argument or a member can be" },
	{ "gate a { grant ret ret->a.b + ret->a.c + ret->a.d }", "x:1: two variable parts" },
	{ "gate a { grant container(ret, b) 8 }", "x:1: container() needs TYPE.MEMBER" },
	{ "gate a { hand percpu(ret) 8 }", "x:1: percpu() cannot be handed over" },
	{ "gate a { grant ret as * 8 }", "x:1: expected a type" },
	{ "gate a { reach }", "x:1: reach is for objects" },
	{ "object a { grant this as b next }", "x:1: expected a member" },
	{ "object a {\n grant percpu(this->x) 8\n}", "x:2: percpu() is not" },
	{ "object a {\n revoke this\n}", "x:2: only grant and hand are possible" },
	{ "object a {\n grant ret 8\n}", "x:2: ret is not known" },
	{ "object a { grant this->p this->q->c.l }\ngate b {\n grant *ret as a\n}",
	  "x:3: a length is read at argN" },
	{ "entry a b {\n revoke arg0\n}", "x:2: only grant and hand are possible" },
	{ "entry a b c d e f g { }", "x:1: at most 6 parameters" },
	{ "lock a", "x:1: expected '{'" },
	{ "lock a {\n spin\n}", "x:1: what gives it back? release" },
	{ "lock a {\n spin\n", "x:1: block is not closed" },
	{ "lock a { spin release b(arg0) }", "x:1: expected ';', '}' or end" },
	{ "lock a { release b }", "x:1: expected '(', not '}'" },
	{ "lock a { release b(arg0 }", "x:1: expected ')'" },
	{ "lock a { release b(arg6) }", "x:1: expected arg0 .. arg5, ret or a number" },
	{ "lock a { release b(current) }", "x:1: expected arg0 .. arg5, ret or a number" },
	{ "lock a { release b(128) }", "x:1: expected arg0 .. arg5, ret or a number" },
	{ "lock a { release b(1, 2, 3, 4) }", "x:1: at most 3 arguments" },
	{ "lock a { release (arg0) }", "x:1: expected a function" },
	{ "lock a {\n if arg0; release b(arg0)\n}", "x:2: expected ret, not 'arg0'" },
	{ "lock a {\n\n device; release b(arg0)\n}", "x:3: expected release, if, unless, spin or" },
	{ "lock a { without b; release b(arg0) }", "x:1: expected release, if, unless, spin or" },
	{ "resource a { spin; release b(arg0) }", "x:1: expected release, if, unless, without" },
	{ "resource a { device }", "x:1: what gives it back? release" },
	{ "unlock a { release b(arg0) }", "x:1: unlock releases already" },
	{ "unlock a { if ret }", "x:1: unlock has no condition" },
	{ "release a { }", "x:1: expected end of line, not '{'" },
	{ "panics", "x:1: expected a name" },
	{ "panics a { }", "x:1: expected end of line, not '{'" },
	{ "sleeps a, 5", "x:1: expected a name, not '5'" },
	{ "sleeps a_*", "x:1: expected a name, not '*'" },
	{ "registers", "x:1: expected a name" },
	{ "registers a except", "x:1: expected a name" },
	{ "registers a except b but c", "x:1: expected end of line" },
	{ "error a b", "x:1: expected a number, not end of file" },
	{ "error a, 5", "x:1: expected a name, not '5'" },
	{ "error a 1\nerror b 2\nerror b 3\nerror c 4\nerror c 5\nerror d 6\nerror e 1\n"
	  "error f 7", "x:8: at most 6 different values" },
	{ "balanced", "x:1: expected a type or '('" },
	{ "balanced (a, b", "x:1: expected ')'" },
	{ "balanced a(b c)", "x:1: expected ')', not 'c'" },
	{ "balanced (..., a)", "x:1: expected ')'" },
	{ "balanced (a, b, c, d, e, f, g)", "x:1: at most 6 parameters" },
	{ "balanced a except b named c", "x:1: expected end of line" },
	{ "balanced a but b { }", "x:1: expected end of line, not '{'" },
	{ "removes (a) named", "x:1: expected a name" },
	{ "standin a", "x:1: expected '{'" },
	{ "standin (a), (b) { call c(arg0) }", "x:1: expected '{', not ','" },
	{ "standin (a) {\n call b(arg0)\n", "x:1: block is not closed" },
	{ "standin (a) { once }", "x:1: what is done in its place? call" },
	{ "standin (a) { undo b }", "x:1: what is done in its place? call" },
	{ "standin (a) { call b() }", "x:1: it is called with argN" },
	{ "standin (a) { call b(ret) }", "x:1: it is called with argN" },
	{ "standin (a) { call b(1) }", "x:1: it is called with argN" },
	{ "standin (a) { call b(arg0, arg1) }", "x:1: it is called with argN" },
	{ "standin (a) { call b(arg0, 1, 2) }", "x:1: it is called with argN" },
	{ "standin (a) { call b(arg0); call c(arg0) }", "x:1: one call only" },
	{ "standin (a) { call b(arg0); if c 1 }", "x:1: if needs TYPE.MEMBER" },
	{ "standin (a) { call b(arg0); if c.d }", "x:1: expected a mask of 32 bits" },
	{ "standin (a) { call b(arg0); if c.d 0 }", "x:1: expected a mask of 32 bits" },
	{ "standin (a) { return 1 }", "x:1: expected 0, not '1'" },
	{ "standin (a) {\n spin\n}", "x:2: expected call, undo, if, return" },
	{ "frees", "x:1: expected a name" },
	{ "frees a size arg0", "x:1: expected end of line, not 'size'" },
	{ "frees a object ret", "x:1: expected arg0 .. arg5, not 'ret'" },
	{ "allocates a object arg0", "x:1: expected end of line, not 'object'" },
	{ "allocates a size", "x:1: expected arg0 .. arg5" },
	{ "allocates a size arg6", "x:1: expected arg0 .. arg5" },
	{ "copies a", "x:1: expected size argN" },
	{ "locking a size arg0", "x:1: expected end of line" },
	{ "rule", "x:1: expected an expression" },
	{ "rule foo", "x:1: expected an expression" },
	{ "rule foo arg0", "x:1: the length of a rule must be constant" },
	{ "rule arg0 8", "x:1: a rule needs a kernel symbol" },
	{ "rule 8 8", "x:1: a rule needs a kernel symbol" },
	{ "gate a { grant ret ((((((((((((((((((((((((((((((((((8", "x:1: expression too deep" },
};

static void test_bad(void)
{
	struct chariot_policy *p;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		p = parse(bad[i].text, &err);
		if (!tap_ok(err == -EINVAL && !strncmp(logged, bad[i].error,
						       strlen(bad[i].error)),
			    "refused: %zu: %s", i, bad[i].error))
			printf("# got %d \"%s\"\n", err, logged);
		chariot_policy__free(p);
	}
}

/* Every cut of the built-in policy's text is taken or refused, never more. */
static void test_cut(void)
{
	static const char text[] =
		"inherit memcpy mem* {\n\tcheck arg0 arg2 else arg0\n}\n"
		"thunk-range a b # why\nthunk __x86_*_r?\nintr-range a b\n"
		"gate a, b,\n c { pre revoke page(arg0); grant ret 4096 << arg1 }\n"
		"object sk_buff { grant this->head this->end + sizeof(x) }\n"
		"gate d { post grant *arg5 8; revoke arg1 as sk_buff\n}\n"
		"entry net_device _ any { grant arg2 arg1 * 4 + 2 }\n"
		"lock f, g { if ret; spin; queued; release h(arg0) }\n"
		"unlock i { spin }\nrelease j k\npanics l\nsleeps m,\nn\n"
		"resource o { unless ret; power; without p; release q(ret, 9)\n"
		"\tcalls-back; release r() }\n"
		"frees a* b object arg0\nallocates *\ncopies a, *b* size arg5\n"
		"locking a *b\n"
		"registers *a* b* except *c, d\nerror a, b 5\n"
		"balanced a(...), (b,\nc, ...), d except *e* but f*\n"
		"removes (a), (b) named *c* *d\n"
		"standin a(b, any) { call c(arg1, 3); undo d; if b.e 4; return 0\n"
		"\tonce; irq; request }\nstandin (x) { }\n"
		"rule percpu(x + offsetof(a.b)) align(sizeof(struct y), 32)\n";
	struct chariot_policy *p;
	char *copy;
	int err;

	for (size_t n = 0; n < sizeof(text); n++) {
		copy = strndup(text, n);
		p = parse(copy, &err);
		chariot_policy__free(p);
		free(copy);
		if (err && err != -EINVAL)
			break;
	}
	tap_ok(!err, "taken as a whole: %s", logged);
}

static struct chariot_op one_op(const char *text, size_t *nr)
{
	struct chariot_op op = {};
	struct compiler c = {};
	int err;

	c.policy = parse(text, &err);
	if (!err)
		compile_actions(&c, policy_find(c.policy, STMT_GATE,
						"g")->actions, NULL, NULL);
	*nr = c.nr;
	if (c.nr)
		op = c.ops[0];
	free(c.ops);
	chariot_policy__free((struct chariot_policy *)c.policy);
	return op;
}

static void test_ops(void)
{
	struct chariot_op op;
	size_t nr;

	op = one_op("gate g { grant ret 2 * (arg1 * 3 + 4) }", &nr);
	tap_ok(nr == 1 && op.len_kind == CHARIOT_LEN_ARG && op.len_a == 1 &&
	       op.len_mul == 6 && op.len_add == 8 && op.base == CHARIOT_RET &&
	       op.phase == CHARIOT_PHASE_POST, "linear length");
	op = one_op("gate g { grant ret arg1 * arg4 * 1 }", &nr);
	tap_ok(op.len_kind == CHARIOT_LEN_ARG_MUL && op.len_a == 1 &&
	       op.len_b == 4 && op.len_mul == 1, "product of arguments");
	op = one_op("gate g { grant page(ret) 4096 << arg1 }", &nr);
	tap_ok(op.map == CHARIOT_MAP_PAGE && op.len_kind == CHARIOT_LEN_ORDER &&
	       op.len_a == 1 && op.len_mul == 4096, "order");
	op = one_op("gate g { callback grant arg0 arg3->a.b }", &nr);
	tap_ok(op.phase == CHARIOT_PHASE_CALLBACK && op.base == 0 &&
	       op.len_kind == CHARIOT_LEN_FIELD && op.len_a == 3, "callback");
	op = one_op("gate g { grant ret strlen(ret) + 1 }", &nr);
	tap_ok(op.len_kind == CHARIOT_LEN_STRING && op.len_a == CHARIOT_RET &&
	       op.len_mul == 1 && op.len_add == 1, "length of a string");
	op = one_op("gate g { post revoke object(arg2) }", &nr);
	tap_ok(op.op == CHARIOT_OP_REVOKE && op.map == CHARIOT_MAP_OBJECT &&
	       op.phase == CHARIOT_PHASE_POST, "revoke on success");
	op = one_op("gate g { revoke percpu(arg2) }", &nr);
	tap_ok(op.op == CHARIOT_OP_REVOKE && op.phase == CHARIOT_PHASE_PRE &&
	       op.map == CHARIOT_MAP_PERCPU && op.base == 2, "revoke");
	op = one_op("gate g { revoke page(arg2) 4096 << arg1 }", &nr);
	tap_ok(nr == 1 && op.op == CHARIOT_OP_REVOKE && op.len_mul == 4096 &&
	       op.len_kind == CHARIOT_LEN_ORDER && op.map == CHARIOT_MAP_PAGE,
	       "revoke with a length");
	op = one_op("gate g { check arg0 + 8 arg2 * 2 else arg3 }", &nr);
	tap_ok(op.op == CHARIOT_OP_CHECK && op.offset == 8 &&
	       op.deref[1] == 3 && op.len_mul == 2, "check");
	op = one_op("gate g { check *arg3 32 in arg2 }", &nr);
	tap_ok(op.op == CHARIOT_OP_CHECK && op.nr_deref == 1 &&
	       op.flags == CHARIOT_CHECK_IN(2) && op.deref[1] == CHARIOT_RET,
	       "check, in an object");
	op = one_op("gate g { grant *(ret + 16) + 4 1 << 4 }", &nr);
	tap_ok(op.nr_deref == 1 && op.deref[0] == 16 && op.offset == 4 &&
	       op.len_add == 16 && !op.len_kind, "dereference");
	one_op("gate g { grant ret 8 }\ngate g { }", &nr);
	tap_ok(nr == 0, "the last statement wins");
	op = one_op("gate g { revoke arg1 as o }\n"
		    "object o { grant this 8\n grant this->p this->l }", &nr);
	tap_ok(nr == 2 && op.nr_deref == 1 && op.base == 1,
	       "revoke of an object: the struct comes last");
}

static void test_files(void)
{
	char path[] = "/tmp/chariot-policy-XXXXXX";
	const char *paths[] = { path, NULL }, *none[] = { "/nonexistent", NULL };
	struct chariot_policy *p;
	int fd = mkstemp(path);

	p = chariot_policy__load(NULL);
	tap_ok(p && p->first, "the built-in policy: %s", logged);
	chariot_policy__free(p);
	if (write(fd, "gate kfree { }\ngate x {\n\tgrant ret as foo\n}", 42) < 0)
		tap_ok(false, "write");
	p = chariot_policy__load(paths);
	tap_ok(!p && errno == EINVAL && strstr(logged, path), "bad file: %s",
	       logged);
	if (ftruncate(fd, 14))
		tap_ok(false, "ftruncate");
	p = chariot_policy__load(paths);
	tap_ok(p && !policy_find(p, STMT_GATE, "kfree")->actions,
	       "a file overrides the built-in policy");
	chariot_policy__free(p);
	tap_ok(!chariot_policy__load(none) && errno == ENOENT, "no such file");
	close(fd);
	unlink(path);
}

static const struct {
	enum chariot_call_kind what;
	const char *name;
	int arg;		/* -2: it is none of these */
} calls[] = {
	{ CHARIOT_CALL_FREES, "kfree", 0 },
	{ CHARIOT_CALL_FREES, "kfree_skb_reason", 0 },
	{ CHARIOT_CALL_FREES, "dma_free_attrs", -1 },
	{ CHARIOT_CALL_FREES, "kmalloc_trace", -2 },
	{ CHARIOT_CALL_ALLOCATES, "__kmalloc", 0 },
	{ CHARIOT_CALL_ALLOCATES, "__kmalloc_cache_noprof", -1 },
	{ CHARIOT_CALL_ALLOCATES, "dma_alloc_attrs", 1 },
	{ CHARIOT_CALL_ALLOCATES, "kfree", -2 },
	{ CHARIOT_CALL_COPIES, "__memcpy", 2 },
	{ CHARIOT_CALL_COPIES, "skb_copy_bits", 3 },
	{ CHARIOT_CALL_LOCKING, "_raw_spin_lock_irqsave", -1 },
	{ CHARIOT_CALL_LOCKING, "native_queued_spin_lock_slowpath", -1 },
	{ CHARIOT_CALL_LOCKING, "downgrade", -2 },
};

static void test_calls(void)
{
	struct chariot_policy *p = chariot_policy__load(NULL);
	static const char own[] = "frees my_* object arg3\nallocates __kmalloc";
	int arg;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		arg = -2;
		chariot_policy__call(p, calls[i].what, calls[i].name, &arg);
		tap_ok(arg == calls[i].arg, "%s: %d", calls[i].name, arg);
	}
	tap_ok(!policy_parse(p, "own", own, strlen(own)) &&
	       chariot_policy__call(p, CHARIOT_CALL_FREES, "my_x", &arg) && arg == 3 &&
	       chariot_policy__call(p, CHARIOT_CALL_ALLOCATES, "__kmalloc", &arg) &&
	       arg == -1, "the last statement wins");
	chariot_policy__free(p);
}

/* Bits of the arguments in an expression. */
static unsigned int args_in(const struct expr *e)
{
	if (!e)
		return 0;
	if (e->kind == EXPR_VALUE)
		return 1U << e->num;
	return args_in(e->a) | args_in(e->b);
}

static unsigned int revoked(const struct stmt *st)
{
	unsigned int args = 0;

	for (const struct action *a = st->actions; a; a = a->next)
		if (a->op == CHARIOT_OP_REVOKE)
			args |= args_in(a->base);
	return args;
}

static unsigned int sizes(const struct stmt *st)
{
	unsigned int args = 0;

	for (const struct action *a = st->actions; a; a = a->next)
		if (a->op == CHARIOT_OP_CHECK ||
		    (a->op == CHARIOT_OP_GRANT && args_in(a->base) & 1U << CHARIOT_RET))
			args |= args_in(a->len);
	return args;
}

/* What a call is for isolation and for faults is told twice: not differently. */
static unsigned int disagrees(const struct chariot_policy *p, const struct stmt *st,
			      const char *name)
{
	static unsigned int (*const told[])(const struct stmt *st) = {
		[CHARIOT_CALL_FREES] = revoked, [CHARIOT_CALL_ALLOCATES] = sizes,
		[CHARIOT_CALL_COPIES] = sizes,
	};
	unsigned int bad = 0;
	int arg;

	for (size_t what = 0; what < ARRAY_SIZE(told); what++) {
		unsigned int args = told[what](st);

		if (!args || !chariot_policy__call(p, what, name, &arg) || arg < 0)
			continue;
		if (!(args >> arg & 1)) {
			printf("# %s:%d: %s: not arg%d\n", st->file, st->line, name, arg);
			bad++;
		}
	}
	return bad;
}

static void test_agree(const struct chariot_policy *p, unsigned int wanted, const char *what)
{
	unsigned int bad = 0;

	for (const struct stmt *st = p->first; st; st = st->next)
		for (size_t i = 0; i < st->names.nr &&
				   (st->kind == STMT_GATE || st->kind == STMT_INHERIT); i++)
			bad += disagrees(p, st, st->names.v[i]);
	tap_ok(bad == wanted, "%s: %u", what, bad);
}

static void test_told_twice(void)
{
	static const char wrong[] = "gate kfree { free arg1 }\ngate vmalloc { grant ret arg2 }\n";
	struct chariot_policy *p = chariot_policy__load(NULL);

	test_agree(p, 0, "gates and faults differ about an argument");
	tap_ok(!policy_parse(p, "wrong", wrong, strlen(wrong)), "gates that say something else");
	test_agree(p, 2, "they differ");
	chariot_policy__free(p);
}

static void test_probation(void)
{
	static const char text[] = "probation 1 2\nprobation 4294967295 0\n";
	struct chariot_policy *p = policy_new();
	uint64_t entries, seconds;

	policy_probation(p, &entries, &seconds);
	tap_ok(entries == 10000 && seconds == 86400, "probation: the default");
	tap_ok(!policy_parse(p, "x", text, strlen(text)), "probation");
	policy_probation(p, &entries, &seconds);
	tap_ok(entries == 4294967295 && !seconds, "probation: the last one counts");
	chariot_policy__free(p);
}

int main(void)
{
	chariot_set_log(remember, NULL);
	test_bad();
	test_probation();
	test_cut();
	test_ops();
	test_files();
	test_calls();
	test_told_twice();
	return tap_done();
}
