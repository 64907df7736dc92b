// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A driver of any prototypes and imports, and any policy that makes sense: the
 * input chooses the statements, and the types of each function's parameters.
 */
#include <bpf/btf.h>
#include <stdarg.h>

#include "mini.h"
#include "policy.h"

#define MAX_FUNCS	12
#define TEXT		8192

static struct chariot_policy *built_in;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	mini_get(true);
	built_in = chariot_policy__load(NULL);
	fuzz_assert(built_in);
	return 0;
}

/* ---- a policy ------------------------------------------------------------------ */

struct text {
	char buf[TEXT];
	size_t n;
	struct choices *c;
	struct mini *m;
};

static void put(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->n, sizeof(t->buf) - t->n, fmt, ap);
	va_end(ap);
	t->n = t->n + n < sizeof(t->buf) ? t->n + n : sizeof(t->buf) - 1;
}

static const char *any_symbol(struct choices *c)
{
	static const char *const things[] = {
		"thing_alloc", "thing_alloc_priv", "thing_new", "thing_peek",
		"thing_get", "thing_find", "thing_opaque", "thing_huge",
		"thing_values", "thing_many", "thing_print", "thing_float",
		"thing_empty", "kmalloc_trace", "kfree", "register_netdev",
		"__blk_rq_map_sg", "memcpy", "_raw_spin_lock", "_raw_spin_unlock",
	};

	if (choose(c, 4))
		return things[choose(c, ARRAY_SIZE(things))];
	return mini_names[choose(c, mini_nr_names)];
}

/* A struct of the kernel's; *@member: one of its members. */
static const char *any_type(struct text *t, const char **member)
{
	const struct btf *btf = profile_btf(t->m->profile);
	uint32_t id = 1 + choose(t->c, btf__type_cnt(btf) - 1), n;
	const struct btf_type *s = btf__type_by_id(btf, id);
	const char *name;

	/* The next one that has a name and members. */
	for (n = btf__type_cnt(btf); n; n--, id = id % (btf__type_cnt(btf) - 1) + 1) {
		s = btf__type_by_id(btf, id);
		name = btf__str_by_offset(btf, s->name_off);
		if (btf_is_composite(s) && *name && btf_vlen(s))
			break;
	}
	fuzz_assert(n);
	*member = btf__str_by_offset(btf, btf_members(s)[choose(t->c,
				     btf_vlen(s))].name_off);
	return name;
}

static void put_expr(struct text *t, int depth)
{
	static const char *const values[] = {
		"arg0", "arg1", "arg2", "arg3", "arg4", "arg5", "ret", "this",
		"0", "1", "8", "4096", "current", "0xffffffffffffffff",
	};
	static const char *const unary[] = {
		"percpu", "page", "object", "strlen", "*", "align",
	};
	static const char *const binary[] = { "+", "*", "<<", "/" };
	uint32_t kind = choose(t->c, 16);
	const char *type, *member;

	if (kind < 5 || depth > 3) {
		put(t, "%s", values[choose(t->c, ARRAY_SIZE(values))]);
	} else if (kind < 8) {
		put_expr(t, depth + 1);
		type = any_type(t, &member);
		put(t, "->");
		if (choose(t->c, 3))
			put(t, "%s.", type);
		put(t, "%s", member);
	} else if (kind < 10) {
		type = any_type(t, &member);
		if (choose(t->c, 2))
			put(t, "sizeof(%s)", type);
		else
			put(t, "offsetof(%s.%s)", type, member);
	} else if (kind < 12) {
		kind = choose(t->c, ARRAY_SIZE(unary));
		put(t, "%s%s", unary[kind], kind == 4 ? "" : "(");
		put_expr(t, depth + 1);
		put(t, "%s", kind == 5 ? ", 32)" : kind == 4 ? "" : ")");
	} else if (kind == 12) {
		put(t, "container(");
		put_expr(t, depth + 1);
		type = any_type(t, &member);
		put(t, ", %s.%s)", type, member);
	} else if (kind == 13) {
		put(t, "%s", any_symbol(t->c));
	} else {
		put_expr(t, depth + 1);
		put(t, " %s ", binary[choose(t->c, ARRAY_SIZE(binary))]);
		put_expr(t, depth + 1);
	}
}

/* What an object's or argument's memory is. */
static void put_extent(struct text *t)
{
	const char *type, *member;

	put(t, " ");
	if (choose(t->c, 3)) {
		put_expr(t, 1);
		return;
	}
	type = any_type(t, &member);
	put(t, "as %s%s", choose(t->c, 4) ? "" : "*", type);
	if (!choose(t->c, 3))
		put(t, " %s %s", choose(t->c, 2) ? "next" : "list", member);
	else if (choose(t->c, 2)) {
		put(t, " * ");
		put_expr(t, 2);
	}
}

static void put_actions(struct text *t)
{
	static const char *const ops[] = {
		"grant", "grant", "revoke", "check", "hand", "lend", "reach",
	};
	static const char *const phases[] = { "", "", "post ", "callback " };
	uint32_t op;

	put(t, " {\n");
	for (uint32_t n = choose(t->c, 4); n; n--) {
		op = choose(t->c, ARRAY_SIZE(ops));
		put(t, "\t%s%s", op < 6 ? phases[choose(t->c, 4)] : "", ops[op]);
		if (op < 6) {
			put(t, " ");
			put_expr(t, choose(t->c, 3));
			put_extent(t);
		}
		if (op == 3 && choose(t->c, 2))
			put(t, choose(t->c, 2) ? " else arg%u" : " in arg%u",
			    choose(t->c, 7));
		put(t, "\n");
	}
	put(t, "}\n");
}

static void put_entry(struct text *t)
{
	static const char *const others[] = {
		"_", "any", "void", "char", "u64", "*request",
	};
	const char *member;

	put(t, "entry");
	for (uint32_t n = 1 + choose(t->c, 4); n; n--)
		put(t, " %s", choose(t->c, 2) ? any_type(t, &member) :
		    others[choose(t->c, ARRAY_SIZE(others))]);
	put_actions(t);
}

static void put_rule(struct text *t)
{
	static const char *const what[] = {
		"usb_hcds_loaded", "current + offsetof(task_struct.flags)",
		"percpu(__preempt_count)", "percpu(pcpu_hot + 8)", "jiffies + 4096",
	};

	put(t, "rule %s ", what[choose(t->c, ARRAY_SIZE(what))]);
	if (choose(t->c, 3))
		put(t, "%u", 1 << choose(t->c, 31));
	else
		put_expr(t, 2);
	put(t, "\n");
}

static void put_statement(struct text *t)
{
	const char *member;

	switch (choose(t->c, 12)) {
	case 0:
		put(t, "inherit %s %s", any_symbol(t->c), any_symbol(t->c));
		put_actions(t);
		break;
	case 1:
		put(t, "%s %s %.5s*\n", choose(t->c, 2) ? "thunk" : "inherit",
		    any_symbol(t->c), any_symbol(t->c));
		break;
	case 2:
		put(t, "%s %s %s\n", choose(t->c, 2) ? "thunk-range" :
		    "intr-range", any_symbol(t->c), any_symbol(t->c));
		break;
	case 3:
		put_entry(t);
		break;
	case 4:
		put_rule(t);
		break;
	case 5:
		put(t, "mode %s\n", choose(t->c, 2) ? "fast" : "strict");
		break;
	case 6:
		put(t, "defer %u\nrestart %u %u\n", (uint32_t)choose_bytes(t->c, 2),
		    choose(t->c, 256), choose(t->c, 256));
		break;
	case 7:
	case 8:
		put(t, "object %s", any_type(t, &member));
		put_actions(t);
		break;
	default:
		put(t, "gate %s, %s", any_symbol(t->c), any_symbol(t->c));
		put_actions(t);
	}
}

/* A statement that is refused is left out: the rest is still of use. */
static struct chariot_policy *make_policy(struct mini *m, struct choices *c)
{
	struct chariot_policy *p = policy_new();
	struct text t = { .c = c, .m = m };

	fuzz_assert(p);
	for (uint32_t n = choose(c, 16); n; n--) {
		struct chariot_policy *one = policy_new();
		size_t from = t.n;

		fuzz_assert(one);
		put_statement(&t);
		if (policy_parse(one, "one", t.buf + from, t.n - from))
			t.n = from;
		chariot_policy__free(one);
	}
	policy_parse(p, "fuzz", t.buf, t.n);
	return p;
}

/* ---- a driver ------------------------------------------------------------------ */

static int any_id(struct btf *btf, struct choices *c, int depth)
{
	uint32_t kind = choose(c, 12), cnt = btf__type_cnt(btf);
	int id, second;

	if (kind < 4 || depth > 3)
		return choose(c, cnt);
	id = any_id(btf, c, depth + 1);
	switch (kind) {
	case 4:
		return btf__add_const(btf, id);
	case 5:
		return btf__add_volatile(btf, id);
	case 6:
		return btf__add_typedef(btf, "irqreturn_t", id);
	case 7:
		return btf__add_array(btf, id, id, choose(c, 256));
	case 8:
		second = btf__add_struct(btf, choose(c, 2) ? "mine" : "net_device",
					 choose_bytes(c, 3));
		btf__add_field(btf, "first", id, 8 * choose(c, 64), 0);
		btf__add_field(btf, "", id, 64 * choose(c, 64), 0);
		btf__add_field(btf, "list", id, choose(c, 64), choose(c, 64));
		return second;
	case 9:
		return btf__add_func_proto(btf, id);
	case 10:
		return btf__add_fwd(btf, "absent", BTF_FWD_STRUCT);
	default:
		return btf__add_ptr(btf, id);
	}
}

static const char *const functions[MAX_FUNCS] = {
	"demo_a", "demo_remove", "demo_disconnect", "demo_lock", "demo_block",
	"demo_clock", "demo_xmit", "demo_timeout", "demo_end", "demo.part.0",
	"__pfx_demo_a", "init_module",
};

static void add_function(struct btf *btf, const char *name, struct choices *c)
{
	static const char *const params[] = {
		"", "len", "buf_size", "count", "priv", "data", "sizeof_priv", "n",
	};
	static const char *const returns[] = {
		"irqreturn_t", "netdev_tx_t", "blk_status_t", "vm_fault_t",
		"blk_eh_timer_return", "scsi_timeout_action", "int", "bool",
	};
	int types[9], nr = choose(c, 9), ret, proto, id;

	for (int i = 0; i < nr; i++) {
		types[i] = any_id(btf, c, 0);
		/* Mostly pointers to structs. */
		if (choose(c, 2))
			types[i] = btf__add_ptr(btf, types[i]);
	}
	ret = choose(c, 2) ? any_id(btf, c, 0) :
	      btf__find_by_name(btf, returns[choose(c, ARRAY_SIZE(returns))]);
	proto = btf__add_func_proto(btf, ret > 0 ? ret : 0);
	for (int i = 0; i < nr && proto > 0; i++)
		btf__add_func_param(btf, params[choose(c, ARRAY_SIZE(params))],
				    types[i] > 0 ? types[i] : 0);
	id = btf__add_func(btf, name, BTF_FUNC_STATIC, proto);
	(void)id;
}

/* As it would come from a guest: through the check. */
static struct btf *make_btf(struct mini *m, struct choices *c)
{
	struct btf *kernel = profile_btf(m->profile), *btf, *checked;
	const void *raw;
	uint32_t len;

	btf = btf__new_empty_split(kernel);
	fuzz_assert(btf);
	for (int n = choose(c, MAX_FUNCS + 1); n; n--)
		add_function(btf, functions[choose(c, MAX_FUNCS)], c);
	raw = btf__raw_data(btf, &len);
	checked = raw ? btf_new_checked(raw, len, kernel) : NULL;
	btf__free(btf);
	return checked;
}

static void add_imports(struct chariot_driver *d, struct mini *m,
			struct choices *c)
{
	for (uint32_t n = choose(c, 24); n; n--) {
		const char *name = any_symbol(c);
		uint64_t gva = chariot_profile__symbol(m->profile, name);
		uint32_t where = choose(c, 8);

		if (where == 0)		/* of another module */
			gva = MINI_AT(0) + 16 * choose(c, 256);
		else if (where == 1)
			gva = 0;
		else if (where == 2)
			gva += (int8_t)choose(c, 256);
		driver_add_symbol(&d->imports, name, gva, 0, true);
	}
}

static struct chariot_driver *make_driver(struct mini *m, struct choices *c)
{
	struct chariot_driver *d = calloc(1, sizeof(*d));

	fuzz_assert(d);
	strcpy(d->name, "demo");
	d->btf = make_btf(m, c);
	d->init = choose(c, 2) ? MINI_AT(16) : 0;
	d->exit = choose(c, 2) ? MINI_AT(0) + 64 : 0;
	driver_add_section(d, MINI_AT(0), 4 * PAGE_SIZE, CHARIOT_RANGE_TEXT, "text");
	for (uint32_t n = choose(c, 4); n; n--)
		driver_add_section(d, MINI_AT(choose(c, 32)) + choose(c, 256),
				   choose_bytes(c, 1 + choose(c, 8)),
				   choose(c, CHARIOT_NR_RANGE_KINDS + 1), "some");
	for (int i = 0; i < MAX_FUNCS; i++)
		driver_add_symbol(&d->symbols, functions[i], MINI_AT(0) +
				  64 * (i & ~1), 64, i != 5);
	add_imports(d, m, c);
	driver_finish(d);
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	struct mini *m = mini_get(choose(&c, 2));
	uint32_t how = choose(&c, 256);
	struct chariot_driver *d = make_driver(m, &c);
	struct chariot_policy *p = how > 250 ? NULL : make_policy(m, &c);
	struct chariot_tables *t;

	t = chariot_tables__build(p ? p : built_in, m->profile,
				  how & 1 ? &m->g.space : NULL, d);
	fuzz_check_tables(t);
	chariot_tables__free(t);
	chariot_policy__free(p);
	chariot_driver__free(d);
	mini_undo(m);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	uint8_t seed[600];
	uint32_t x = 1;
	char name[16];

	for (int i = 0; i < 40; i++) {
		for (size_t b = 0; b < sizeof(seed); b++) {
			x = x * 1103515245 + 12345;
			seed[b] = x >> 16;
		}
		seed[1] = i % 10 ? seed[1] % 250 | 1 : 255;
		snprintf(name, sizeof(name), "%d", i);
		emit(name, seed, 100 + 12 * i);
	}
}
