// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The built-in policy against the types and symbols of stock kernels, and the
 * tables it gives for stock drivers.
 *
 * CHARIOT_KERNELS: where selftests/env/kernels.sh put the kernels.
 */
#include <bpf/btf.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "tables.h"
#include "tap.h"

static const char *const versions[] = { "6.1", "6.12", "7.2" };
static const char *const drivers[] = {
	"e1000", "e1000e", "8139cp", "8139too", "virtio_net", "nvme",
	"null_blk", "brd", "dummy", "tun", "snd-ens1370", "ahci",
	"usb-storage",
};
static char kernels[PATH_MAX];
static int warnings;

static void note(void *ctx, enum chariot_log_level level, const char *text)
{
	if (level <= CHARIOT_LOG_WARN) {
		warnings++;
		printf("# %s\n", text);
	}
}

/* ---- prototypes --------------------------------------------------------- */

struct usage {
	const struct btf *btf;
	const struct btf_type *proto;
	const char *bad;
};

static const struct btf_type *plain(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

static void check_value(struct usage *u, uint64_t n, bool address)
{
	const struct btf_type *t;
	uint32_t id = u->proto->type;

	if (n != CHARIOT_RET && n >= btf_vlen(u->proto)) {
		u->bad = "has no such argument";
		return;
	}
	if (n != CHARIOT_RET)
		id = btf_params(u->proto)[n].type;
	t = plain(u->btf, id);
	if (!id)
		u->bad = "returns nothing";
	else if (address && !btf_is_ptr(t) && t->size != 8)
		u->bad = "address is no pointer";
	else if (!address && !btf_is_int(t) && !btf_is_any_enum(t))
		u->bad = "length is no integer";
}

static void check_expr(struct usage *u, const struct expr *e, bool address)
{
	if (!e)
		return;
	if (e->kind == EXPR_VALUE)
		check_value(u, e->num, address);
	check_expr(u, e->a, address || e->kind == EXPR_FIELD ||
		   e->kind == EXPR_STRLEN);
	check_expr(u, e->b, address);
}

static void check_gate(struct usage *u, const struct stmt *st, const char *name,
		       int *checked)
{
	const struct action *a;
	int32_t id = btf__find_by_name_kind(u->btf, name, BTF_KIND_FUNC);

	if (id < 0)
		return;
	u->proto = btf__type_by_id(u->btf, btf__type_by_id(u->btf, id)->type);
	/* It has lost an argument: then its row is left out. */
	if (!strcmp(name, "__blk_rq_map_sg") && btf_vlen(u->proto) < 4)
		return;
	/* Functions in assembler have no prototype. */
	if (!btf_vlen(u->proto) && !u->proto->type)
		return;
	for (a = st->actions; a; a = a->next) {
		u->bad = NULL;
		/* The address of a callback is that one's argument. */
		if (a->phase != CHARIOT_PHASE_CALLBACK)
			check_expr(u, a->base, true);
		check_expr(u, a->len, false);
		if (u->bad)
			tap_ok(false, "%s:%d: %s %s", st->file, st->line, name,
			       u->bad);
	}
	++*checked;
}

static void test_prototypes(const struct chariot_policy *policy,
			    const struct chariot_profile *p, const char *version)
{
	struct usage u = { .btf = chariot_profile__btf(p) };
	const struct stmt *st;
	int checked = 0;

	for (st = policy->first; st; st = st->next)
		for (size_t i = 0; st->kind == STMT_GATE && i < st->names.nr;
		     i++)
			check_gate(&u, st, st->names.v[i], &checked);
	tap_ok(checked > 100, "%s: %d gates have the prototype that the policy says",
	       version, checked);
}

/* ---- tables ------------------------------------------------------------- */

struct view {
	const struct chariot_domain_create *c;
	const struct chariot_range *ranges;
	const struct chariot_gate *gates, *entries;
	const struct chariot_op *ops;
};

static struct view view(const struct chariot_tables *t)
{
	const struct chariot_domain_create *c = chariot_tables__create(t);

	return (struct view){
		c, (void *)(uintptr_t)c->ranges, (void *)(uintptr_t)c->gates,
		(void *)(uintptr_t)c->entries, (void *)(uintptr_t)c->ops,
	};
}

static const struct chariot_gate *find(const struct chariot_gate *g,
				       uint32_t nr, uint64_t gva)
{
	for (uint32_t i = 0; i < nr; i++)
		if (g[i].gva == gva)
			return &g[i];
	return NULL;
}

static bool sane_op(const struct view *v, const struct chariot_op *op,
		    bool entry)
{
	if ((op->op == CHARIOT_OP_WALK || op->op == CHARIOT_OP_REACH) ?
	    op->sub > v->c->nr_ops || op->nr_sub > v->c->nr_ops - op->sub :
	    op->sub || op->nr_sub || op->stride)
		return false;
	return !entry || (op->phase == CHARIOT_PHASE_PRE &&
			  (op->op == CHARIOT_OP_GRANT ||
			   op->op == CHARIOT_OP_HAND ||
			   op->op == CHARIOT_OP_LEND ||
			   op->op == CHARIOT_OP_WALK));
}

/* What the module's check_gates() and check_op() ask for. */
static bool sane(const struct view *v, const struct chariot_gate *g,
		 uint32_t nr, bool entry)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (g[i].op > v->c->nr_ops ||
		    g[i].nr_ops > v->c->nr_ops - g[i].op ||
		    (i && g[i].gva <= g[i - 1].gva))
			return false;
		for (uint32_t k = g[i].op; k < g[i].op + g[i].nr_ops; k++)
			if (!sane_op(v, &v->ops[k], entry))
				return false;
	}
	return true;
}

static bool inherited(const struct view *v, uint64_t gva)
{
	for (uint32_t i = 0; i < v->c->nr_ranges; i++)
		if (v->ranges[i].kind == CHARIOT_RANGE_INHERIT &&
		    gva - v->ranges[i].gva < v->ranges[i].len)
			return true;
	return false;
}

/* No gate that does something lies on a page that does not trap. */
static bool none_hidden(const struct view *v)
{
	for (uint32_t i = 0; i < v->c->nr_ranges; i++) {
		uint64_t start = v->ranges[i].gva & PAGE_MASK;
		uint64_t end = v->ranges[i].gva + v->ranges[i].len;

		if (v->ranges[i].kind != CHARIOT_RANGE_INHERIT)
			continue;
		end = (end + PAGE_SIZE - 1) & PAGE_MASK;
		for (uint32_t g = 0; g < v->c->nr_gates; g++)
			if (v->gates[g].nr_ops && v->gates[g].gva >= start &&
			    v->gates[g].gva < end)
				return false;
	}
	return true;
}

/* There is no view to run anything in: what is inherited elsewhere is checked. */
static void test_inline(const struct chariot_policy *policy,
			const struct chariot_profile *p,
			const struct chariot_driver *d, const char *what)
{
	struct chariot_tables *t = tables_build(policy, p, NULL, d, CHARIOT_MODE_INLINE);
	uint64_t copy = chariot_profile__symbol(p, "memcpy");
	uint32_t views = 0, checked = 0;
	const struct chariot_op *ops;
	struct view v;

	if (!tap_ok(t, "%s: tables of mode inline", what))
		return;
	v = view(t);
	ops = (void *)(uintptr_t)v.c->ops;
	for (uint32_t i = 0; i < v.c->nr_ranges; i++)
		views += v.ranges[i].kind == CHARIOT_RANGE_INHERIT ||
			 v.ranges[i].kind == CHARIOT_RANGE_LIBRARY;
	for (uint32_t i = 0; i < v.c->nr_gates; i++) {
		views += !!(v.gates[i].flags & CHARIOT_GATE_LIBRARY);
		if (v.gates[i].gva == copy && v.gates[i].nr_ops)
			checked += ops[v.gates[i].op].op == CHARIOT_OP_CHECK;
	}
	tap_ok(v.c->mode == CHARIOT_MODE_INLINE && !views && checked == 1 &&
	       sane(&v, v.gates, v.c->nr_gates, false),
	       "%s: nothing runs in a view, and memcpy() is checked", what);
	chariot_tables__free(t);
}

static void test_driver(const struct chariot_policy *policy,
			const struct chariot_profile *p,
			struct chariot_driver *d, const char *what)
{
	struct chariot_tables *t;
	struct view v;

	chariot_driver__link(d, p);
	t = chariot_tables__build(policy, p, NULL, d);
	if (!tap_ok(t, "%s: tables", what))
		return;
	v = view(t);
	tap_ok(sane(&v, v.gates, v.c->nr_gates, false) &&
	       sane(&v, v.entries, v.c->nr_entries, true),
	       "%s: %u ranges, %u gates, %u entries, %u ops", what,
	       v.c->nr_ranges, v.c->nr_gates, v.c->nr_entries, v.c->nr_ops);
	tap_ok(none_hidden(&v), "%s: no gate is hidden by inherited code", what);
	/* chariot.policy(5) says so. */
	tap_ok(!v.c->flags && !v.c->defer,
	       "%s: mode strict, and nothing is deferred, by default", what);
	chariot_tables__free(t);
	test_inline(policy, p, d, what);
}

/* ---- e1000, in detail --------------------------------------------------- */

static uint64_t driver_func(const struct chariot_driver *d, const char *name)
{
	const struct chariot_symbol *s;
	size_t nr;

	s = chariot_driver__symbols(d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(s[i].name, name))
			return s[i].gva;
	return 0;
}

static void e1000_gates(const struct chariot_profile *p, const struct view *v)
{
	const char *gro = chariot_profile__symbol(p, "gro_receive_skb") ?
			  "gro_receive_skb" : "napi_gro_receive";
	const char *const must[] = {
		"__alloc_skb", "alloc_etherdev_mqs", "consume_skb",
		"dma_alloc_attrs", "dma_free_attrs", "free_netdev", "kfree",
		"napi_build_skb", "napi_consume_skb", "napi_get_frags",
		"napi_gro_frags", gro, "page_frag_free",
		"pskb_expand_head", "vfree", "__netdev_alloc_frag_align",
		"__folio_put", "__pskb_pull_tail",
	};
	const struct chariot_gate *g;

	for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
		g = find(v->gates, v->c->nr_gates,
			 chariot_profile__symbol(p, must[i]));
		if (!g || !g->nr_ops)
			tap_ok(false, "e1000: %s does nothing", must[i]);
	}
	tap_ok(inherited(v, chariot_profile__symbol(p, "memcpy")) &&
	       inherited(v, chariot_profile__symbol(p, "memset")) &&
	       inherited(v, chariot_profile__symbol(p, "__x86_return_thunk")) &&
	       inherited(v, chariot_profile__symbol(p,
						    "__x86_indirect_thunk_rax")),
	       "e1000: memcpy, memset and thunks run in the driver's view");
}

static void e1000_entries(const struct chariot_profile *p,
			  struct chariot_driver *d, const struct view *v)
{
	int64_t skb = chariot_profile__type_size(p, "sk_buff");
	int64_t head = chariot_profile__member(p, "sk_buff", "head", NULL);
	int64_t end = chariot_profile__member(p, "sk_buff", "end", NULL);
	const struct chariot_op *op;
	const struct chariot_gate *g;

	g = find(v->entries, v->c->nr_entries,
		 driver_func(d, "e1000_xmit_frame"));
	if (!tap_ok(g && g->nr_ops > 3, "e1000_xmit_frame(skb, netdev)"))
		return;
	op = v->ops + g->op;
	tap_ok(op[0].base == 0 && op[0].len_add == (uint64_t)skb &&
	       op[1].nr_deref == 1 && op[1].deref[0] == head &&
	       op[1].len_kind == CHARIOT_LEN_FIELD && op[1].len_off == end &&
	       op[1].len_b == 4 && op[1].len_a == 0 &&
	       op[2].base == 0 && op[2].op == CHARIOT_OP_WALK &&
	       op[2].nr_sub > 8 && op[3].base == 1, "skb, its data, and the net_device");
	g = find(v->entries, v->c->nr_entries,
		 driver_func(d, "e1000_get_ethtool_stats"));
	tap_ok(g && g->nr_ops && v->ops[g->op + g->nr_ops - 1].base == 2 &&
	       v->ops[g->op + g->nr_ops - 1].len_mul == 8,
	       "an entry by its signature");
}

static void test_e1000(const struct chariot_policy *policy,
		       const struct chariot_profile *p, struct chariot_driver *d)
{
	const struct chariot_symbol *s;
	struct chariot_tables *t;
	struct view v;
	size_t nr;
	int funcs = 0, missing = 0;

	t = chariot_tables__build(policy, p, NULL, d);
	if (!t)
		return;
	v = view(t);
	e1000_gates(p, &v);
	e1000_entries(p, d, &v);
	s = chariot_driver__imports(d, &nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t gva = chariot_profile__symbol(p, s[i].name);

		if (gva < chariot_profile__symbol(p, "_stext") ||
		    gva >= chariot_profile__symbol(p, "_etext"))
			continue;
		funcs++;
		missing += !inherited(&v, gva) &&
			   !find(v.gates, v.c->nr_gates, gva);
	}
	tap_ok(funcs > 80 && !missing, "%d imported functions have a row, %d not",
	       funcs - missing, missing);
	chariot_tables__free(t);
}

/* ---- locks and resources --------------------------------------------------- */

static const struct {
	const char *fn, *release;
	uint8_t arg[3], when;
	uint32_t flags;
} lock_rows[] = {
#define NO		CHARIOT_NO_ARG
#define SPIN		(CHARIOT_LOCK_SPINS | CHARIOT_LOCK_QUEUED)
#define RESOURCE	CHARIOT_LOCK_RESOURCE
#define DEVICE		(RESOURCE | CHARIOT_LOCK_DEVICE)
	{ "_raw_spin_lock_irqsave", "_raw_spin_unlock", { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, SPIN },
	{ "_raw_spin_trylock", "_raw_spin_unlock", { 0, NO, NO }, CHARIOT_LOCK_TRUE, SPIN },
	{ "_raw_spin_unlock", NULL, { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, SPIN },
	{ "_raw_spin_unlock_irqrestore", NULL, { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, SPIN },
	{ "_raw_write_lock", "_raw_write_unlock", { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, CHARIOT_LOCK_SPINS },
	{ "mutex_lock_killable", "mutex_unlock", { 0, NO, NO }, CHARIOT_LOCK_ZERO, 0 },
	{ "rtnl_lock", "rtnl_unlock", { NO, NO, NO }, CHARIOT_LOCK_ALWAYS, 0 },
	{ "rtnl_unlock", NULL, { NO, NO, NO }, CHARIOT_LOCK_ALWAYS, 0 },
	{ "blk_mq_complete_request_remote", "blk_mq_end_request",
	  { 0, CHARIOT_LOCK_CONST(10), NO }, CHARIOT_LOCK_ZERO, 0 },
	{ "blk_mq_end_request", NULL, { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, 0 },
	{ "fortify_panic", NULL, { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, CHARIOT_LOCK_PANICS },
	{ "msleep", NULL, { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, CHARIOT_LOCK_SLEEPS },
	{ "request_threaded_irq", "free_irq", { 0, 5, NO }, CHARIOT_LOCK_ZERO,
	  RESOURCE | CHARIOT_LOCK_RUNS },
	{ "free_irq", NULL, { 0, 1, NO }, CHARIOT_LOCK_ALWAYS, RESOURCE },
	{ "add_timer", "timer_delete_sync", { 0, NO, NO }, CHARIOT_LOCK_ALWAYS,
	  RESOURCE | CHARIOT_LOCK_RUNS },
	{ "ioremap", "iounmap", { CHARIOT_RET, NO, NO }, CHARIOT_LOCK_TRUE, RESOURCE },
	{ "pci_enable_device", "pci_disable_device", { 0, NO, NO }, CHARIOT_LOCK_ZERO,
	  DEVICE | CHARIOT_LOCK_POWER },
	{ "pci_request_selected_regions", "pci_release_selected_regions", { 0, 1, NO },
	  CHARIOT_LOCK_ZERO, DEVICE },
	{ "pci_release_selected_regions", NULL, { 0, NO, NO }, CHARIOT_LOCK_ALWAYS, RESOURCE },
};

static const struct chariot_lock *find_lock(const struct recover *r, uint64_t gva)
{
	for (uint32_t i = 0; gva && i < r->r.nr_locks; i++)
		if (r->locks[i].gva == gva)
			return &r->locks[i];
	return NULL;
}

static int no_memory(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	return -EFAULT;
}

/* What is known without reading the guest. */
static bool build_recover(struct recover *r, const struct chariot_policy *policy,
			  const struct chariot_profile *p, const struct chariot_driver *d)
{
	static const struct chariot_mem_ops ops = { .read = no_memory };
	const struct chariot_space s = { .ops = &ops };
	int err;

	memset(r, 0, sizeof(*r));
	/* oops_enter() is looked for, and cannot be read. */
	chariot_set_log(NULL, NULL);
	recover_begin(r, policy, p);
	err = recover_build(r, p, &s, d);
	chariot_set_log(note, NULL);
	return !err;
}

static uint64_t either_symbol(const struct chariot_profile *p, const char *name)
{
	uint64_t gva = chariot_profile__symbol(p, name);

	if (!gva && !strcmp(name, "timer_delete_sync"))
		gva = chariot_profile__symbol(p, "del_timer_sync");
	return gva ? gva : !strcmp(name, "fortify_panic") ?
	       chariot_profile__symbol(p, "__fortify_panic") : 0;
}

static void test_stand_ins(const struct recover *r, const struct chariot_profile *p,
			   const char *what)
{
	static const char *const fns[] = {
		"napi_complete_done", "consume_skb", "disable_irq_nosync",
		"blk_mq_end_request", "blk_mq_free_request",
	};
	int64_t state = chariot_profile__member(p, "napi_struct", "state", NULL);
	const struct chariot_stand_in *s = r->stand_ins;
	bool good = r->r.nr_stand_ins == ARRAY_SIZE(fns);

	for (size_t i = 0; i < ARRAY_SIZE(fns); i++)
		good &= s[i].fn == chariot_profile__symbol(p, fns[i]) && !s[i].arg;
	tap_ok(good && s[0].flags == (CHARIOT_STAND_IN_TEST | CHARIOT_STAND_IN_RAN) &&
	       s[0].test_mask == 1 && s[0].test_off == state &&
	       s[2].flags == (CHARIOT_STAND_IN_ONCE | CHARIOT_STAND_IN_IRQ) &&
	       s[2].undo == chariot_profile__symbol(p, "enable_irq") &&
	       s[3].flags == (CHARIOT_STAND_IN_OFF | CHARIOT_STAND_IN_RAN |
			      CHARIOT_STAND_IN_TEST) && s[3].value == 10 &&
	       !s[1].flags && !s[4].flags, "%s: what stands in", what);
	tap_ok((int64_t)r->r.returns[1] == -EIO && r->r.returns[2] == 10 &&
	       r->r.returns[3] == 2 && r->r.returns[4] == 1, "%s: errors", what);
}

static void test_locks(const struct chariot_policy *policy,
		       const struct chariot_profile *p,
		       const struct chariot_driver *d, const char *what)
{
	const struct chariot_lock *l;
	struct recover r;
	bool built = build_recover(&r, policy, p, d);

	if (!tap_ok(built && r.r.nr_locks > 80 && r.r.nr_locks < 150,
		    "%s: %u locks and resources", what, r.r.nr_locks))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(lock_rows); i++) {
		l = find_lock(&r, either_symbol(p, lock_rows[i].fn));
		tap_ok(l && l->when == lock_rows[i].when &&
		       l->flags == lock_rows[i].flags &&
		       !memcmp(l->arg, lock_rows[i].arg, sizeof(l->arg)) &&
		       l->release == (lock_rows[i].release ?
				      either_symbol(p, lock_rows[i].release) : 0),
		       "%s: %s", what, lock_rows[i].fn);
	}
	test_stand_ins(&r, p, what);
	tap_ok(r.r.flags == CHARIOT_RECOVER_COMPLETE,
	       "%s: all that the kernel knows of it can be given back", what);
	recover_free(&r);
}

static const struct {
	const char *driver, *fn;
	uint16_t flags;
} entry_rows[] = {
#define R(n)	CHARIOT_GATE_RETURN(n)
#define IN(n)	CHARIOT_GATE_STAND_IN(n)
#define BALANCED CHARIOT_GATE_BALANCED
#define REQUEST	CHARIOT_GATE_REQUEST
	{ "e1000", "e1000_clean", R(0) | IN(1) | BALANCED },
	{ "e1000", "e1000_xmit_frame", R(0) | IN(2) | BALANCED | REQUEST },
	{ "e1000", "e1000_intr", R(0) | IN(3) | BALANCED },
	{ "e1000", "e1000_probe", R(1) | BALANCED },
	{ "nvme", "nvme_remove", R(0) | BALANCED | CHARIOT_GATE_REMOVE },
	{ "nvme", "nvme_queue_rq", R(2) | BALANCED | REQUEST },
	{ "nvme", "nvme_timeout", R(4) | IN(4) | BALANCED | REQUEST },
	{ "nvme", "abort_endio", R(0) | IN(5) | BALANCED },
};

/* What functions of the driver return, and what stands in for them. */
static void test_failed(const struct chariot_policy *policy,
			const struct chariot_profile *p,
			struct chariot_driver *d, const char *driver, const char *what)
{
	struct chariot_tables *t = chariot_tables__build(policy, p, NULL, d);
	const struct chariot_gate *g;
	struct view v;
	uint64_t gva;

	if (!t)
		return;
	v = view(t);
	for (size_t i = 0; i < ARRAY_SIZE(entry_rows); i++) {
		if (strcmp(entry_rows[i].driver, driver))
			continue;
		gva = driver_func(d, entry_rows[i].fn);
		g = find(v.entries, v.c->nr_entries, gva);
		/* Not all kernels' nvme has all of them. */
		if (gva)
			tap_ok(g && g->flags == entry_rows[i].flags, "%s: %s: %#x",
			       what, entry_rows[i].fn, g ? g->flags : -1);
	}
	chariot_tables__free(t);
}

/* A later statement wins: a file of one's own adds and takes away. */
static void test_own_locks(const struct chariot_profile *p,
			   const struct chariot_driver *d, const char *what)
{
	static const char text[] =
		"lock mutex_lock { }\npanics msleep\nsleeps printk, _printk\n"
		"lock mutex_trylock { if ret; release up(arg0) }\n"
		"registers netif_* except netif_carrier_*\n"
		"standin (napi_struct, any) { }\nerror netdev_tx_t 16\n";
	struct chariot_policy *own = chariot_policy__load(NULL);
	const struct chariot_lock *panics, *sleeps, *try;
	struct recover r;

	if (!tap_ok(own && !policy_parse(own, "own", text, strlen(text)) &&
		    build_recover(&r, own, p, d), "%s: a policy of one's own", what))
		return;
	panics = find_lock(&r, chariot_profile__symbol(p, "msleep"));
	sleeps = find_lock(&r, chariot_profile__symbol(p, "_printk"));
	try = find_lock(&r, chariot_profile__symbol(p, "mutex_trylock"));
	tap_ok(!find_lock(&r, chariot_profile__symbol(p, "mutex_lock")) &&
	       find_lock(&r, chariot_profile__symbol(p, "mutex_unlock")),
	       "%s: an empty block takes away", what);
	tap_ok(panics && panics->flags == CHARIOT_LOCK_PANICS && sleeps &&
	       sleeps->flags == CHARIOT_LOCK_SLEEPS && try &&
	       try->release == chariot_profile__symbol(p, "up"),
	       "%s: the last statement about a function wins", what);
	tap_ok(!r.r.flags && r.r.nr_stand_ins == 5 && r.r.returns[5] == 16,
	       "%s: what else it registers, returns", what);
	recover_free(&r);
	chariot_policy__free(own);
}

/* ---- kernels ------------------------------------------------------------ */

static struct chariot_driver *open_driver(const char *version, const char *name)
{
	char cmd[PATH_MAX + 128], path[PATH_MAX] = "";
	struct chariot_driver *d = NULL;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "find '%s/%s/' -name '%s.ko*' 2>/dev/null",
		 kernels, version, name);
	f = popen(cmd, "r");
	if (f && fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = 0;
		d = chariot_driver__from_file(path);
	}
	if (f)
		pclose(f);
	return d;
}

static char warned[512];

static void keep_warning(void *ctx, enum chariot_log_level level, const char *text)
{
	if (level == CHARIOT_LOG_WARN)
		snprintf(warned, sizeof(warned), "%s", text);
}

/* Functions whose types nobody knows come back with an error (RETURN_ERROR). */
static void test_no_btf(const struct chariot_policy *policy,
			const struct chariot_profile *p,
			const struct chariot_driver *d, const char *what)
{
	struct chariot_tables *t;
	uint32_t errors = 0;
	struct view v;

	*warned = 0;
	chariot_set_log(keep_warning, NULL);
	t = chariot_tables__build(policy, p, NULL, d);
	chariot_set_log(note, NULL);
	if (!tap_ok(t, "%s: tables without BTF", what))
		return;
	v = view(t);
	for (uint32_t i = 0; i < v.c->nr_entries; i++)
		errors += CHARIOT_GATE_RETURN_OF(v.entries[i].flags) == 1;
	tap_ok(v.c->nr_entries > 10 && errors == v.c->nr_entries,
	       "%s: %u of %u functions return an error then", what, errors,
	       v.c->nr_entries);
	tap_ok(strstr(warned, "no usable BTF") && strstr(warned, "-EIO"),
	       "%s: that is warned of: %s", what, warned);
	chariot_tables__free(t);
}

enum { PLAIN, INHERITED, APART, CHECKED };

static bool is_library_gate(const struct view *v, uint64_t gva)
{
	for (uint32_t i = 0; i < v->c->nr_gates; i++)
		if (v->gates[i].gva == gva)
			return v->gates[i].flags & CHARIOT_GATE_LIBRARY;
	return false;
}

static int runs_where(const struct view *v, uint64_t gva)
{
	for (uint32_t i = 0; i < v->c->nr_ranges; i++) {
		if (gva - v->ranges[i].gva >= v->ranges[i].len)
			continue;
		if (v->ranges[i].kind == CHARIOT_RANGE_INHERIT)
			return INHERITED;
		if (v->ranges[i].kind == CHARIOT_RANGE_LIBRARY && is_library_gate(v, gva))
			return APART;
	}
	return PLAIN;
}

static bool is_checked(const struct view *v, uint64_t gva, uint8_t arg, uint64_t len)
{
	const struct chariot_op *op;

	for (uint32_t i = 0; i < v->c->nr_gates; i++)
		for (uint32_t k = 0; v->gates[i].gva == gva && k < v->gates[i].nr_ops; k++) {
			op = &v->ops[v->gates[i].op + k];
			if (op->op == CHARIOT_OP_CHECK && op->base == arg &&
			    !op->len_kind && op->len_add == len)
				return true;
		}
	return false;
}

/* Of a made-up driver that imports these, without and with another word of the policy.
 * @want: or CHECKED and a length. */
static void test_library(const struct chariot_profile *p, const char *more,
			 const char *import, const char *beside, int want,
			 const char *version)
{
	static const char *const names[] = {
		"a plain call", "inherited", "called in the second view", "checked",
	};
	int where = want < CHECKED ? want : PLAIN;
	struct chariot_policy *policy = chariot_policy__load(NULL);
	struct chariot_driver d = { .name = "made_up" };
	uint64_t gva = chariot_profile__symbol(p, import);
	struct chariot_tables *t;
	struct view v;

	policy_parse(policy, "x", more, strlen(more));
	driver_add_symbol(&d.imports, import, 0, 0, true);
	if (beside)
		driver_add_symbol(&d.imports, beside, 0, 0, true);
	t = chariot_tables__build(policy, p, NULL, &d);
	if (tap_ok(t && gva, "%s: tables for %s", version, import)) {
		v = view(t);
		tap_ok(where == runs_where(&v, gva) &&
		       (want < CHECKED || is_checked(&v, gva, 2, want - CHECKED)),
		       "%s: %s%s%s%s is %s, not %s", version, import, beside ? " with " : "",
		       beside ?: "", *more ? " and a word of the policy" : "",
		       names[want < CHECKED ? want : CHECKED],
		       names[runs_where(&v, gva)]);
	}
	chariot_tables__free(t);
	free(d.imports.v);
	chariot_policy__free(policy);
}

/* On the page of sprintf() there is another one, which would not be seen. */
static void test_beside(const struct chariot_profile *p, const char *version)
{
	static const char *const names[] = {
		"num_to_str", "bstr_printf", "bprintf", "vbin_printf", "vsscanf",
		"simple_strtoul", "vscnprintf", "vsprintf", "sscanf",
	};
	uint64_t page = chariot_profile__symbol(p, "sprintf") >> PAGE_SHIFT;
	char more[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (chariot_profile__symbol(p, names[i]) >> PAGE_SHIFT != page)
			continue;
		snprintf(more, sizeof(more), "panics %s\n", names[i]);
		test_library(p, more, "sprintf", names[i], APART, version);
		return;
	}
	tap_ok(false, "%s: what is on the page of sprintf()?", version);
}

static void test_libraries(const struct chariot_profile *p, const char *version)
{
	static const char *const found[] = {
		"sprintf", "snprintf", "kstrtoint", "hex2bin", "nla_strscpy",
	};

	chariot_set_log(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(found); i++) {
		test_library(p, "", found[i], NULL, INHERITED, version);
		test_library(p, "library off\n", found[i], NULL, PLAIN, version);
	}
	test_library(p, "library off\nlibrary on\n", "sprintf", NULL, INHERITED, version);
	test_library(p, "gate sprintf { }\n", "sprintf", NULL, PLAIN, version);
	test_library(p, "release kstrtoint\n", "kstrtoint", NULL, PLAIN, version);
	test_beside(p, version);
	/* What the function calls: the driver might, too. */
	test_library(p, "gate vsnprintf { grant ret 8 }\n", "sprintf", NULL, APART,
		     version);
	/* It runs in that view, and has nothing to be checked. */
	test_library(p, "", "strlen", "strsep", PLAIN, version);
	test_library(p, "", "strcpy", "strsep", APART, version);
	/* It locks, it writes to an object of the kernel's, it returns one. */
	test_library(p, "", "device_add", NULL, PLAIN, version);
	test_library(p, "", "ether_setup", NULL, PLAIN, version);
	test_library(p, "", "sg_next", NULL, PLAIN, version);
	test_library(p, "", "pci_read_config_dword", NULL, CHECKED + 4, version);
	test_library(p, "", "pci_read_config_word", NULL, CHECKED + 2, version);
	test_library(p, "library off\n", "pci_read_config_word", NULL, PLAIN, version);
	chariot_set_log(note, NULL);
}

/* read(mtd, from, len, retlen, buf): the length is before the buffer. */
static void test_length_before(const struct chariot_policy *policy,
			       const struct chariot_profile *p, const char *version)
{
	struct chariot_driver *d = open_driver(version, "mtdram");
	const struct chariot_op *op = NULL;
	const struct chariot_gate *g;
	struct chariot_tables *t;
	struct view v;

	if (!d) {
		tap_skip(version, "mtdram is not in CHARIOT_KERNELS");
		return;
	}
	chariot_driver__link(d, p);
	t = chariot_tables__build(policy, p, NULL, d);
	if (!tap_ok(t, "%s: tables of mtdram", version))
		return;
	v = view(t);
	g = find(v.entries, v.c->nr_entries, driver_func(d, "ram_read"));
	if (g && g->nr_ops)
		op = v.ops + g->op + g->nr_ops - 1;
	tap_ok(op && op->op == CHARIOT_OP_GRANT && op->base == 4 &&
	       op->len_kind == CHARIOT_LEN_ARG && op->len_a == 2 && !op->nr_deref,
	       "%s: a buffer by the length before it", version);
	g = find(v.entries, v.c->nr_entries, driver_func(d, "ram_write"));
	op = g ? v.ops + g->op : NULL;
	for (uint32_t i = 0; g && i < g->nr_ops; i++)
		if (op[i].base == 4)
			g = NULL;
	tap_ok(g, "%s: and no buffer that is const", version);
	chariot_tables__free(t);
	chariot_driver__free(d);
}

static void test_kernel(const struct chariot_policy *policy, const char *version)
{
	struct chariot_profile *p;
	struct chariot_driver *d;
	char path[PATH_MAX + 32], what[64];

	snprintf(path, sizeof(path), "%s/%s/vmlinuz", kernels, version);
	if (access(path, R_OK)) {
		tap_skip(version, "no kernel in CHARIOT_KERNELS");
		return;
	}
	p = chariot_profile__from_file(path);
	if (!tap_ok(p, "%s: profile", version))
		return;
	test_prototypes(policy, p, version);
	test_libraries(p, version);
	test_length_before(policy, p, version);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		snprintf(what, sizeof(what), "%s %s", version, drivers[i]);
		d = open_driver(version, drivers[i]);
		if (!d) {
			tap_skip(what, "not in CHARIOT_KERNELS");
			continue;
		}
		if (!i)
			test_no_btf(policy, p, d, what);
		test_driver(policy, p, d, what);
		test_failed(policy, p, d, drivers[i], what);
		if (!i) {
			test_e1000(policy, p, d);
			test_locks(policy, p, d, what);
			test_own_locks(p, d, what);
		}
		chariot_driver__free(d);
	}
	chariot_profile__free(p);
}

int main(void)
{
	const char *env = getenv("CHARIOT_KERNELS");
	struct chariot_policy *policy;

	chariot_set_log(note, NULL);
	if (env)
		snprintf(kernels, sizeof(kernels), "%s", env);
	else
		snprintf(kernels, sizeof(kernels), "%s/.cache/kernels",
			 getenv("CHARIOT_TOP") ?: "..");
	policy = chariot_policy__load(NULL);
	if (!tap_ok(policy, "the built-in policy"))
		return tap_done();
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		test_kernel(policy, versions[i]);
	tap_ok(!warnings, "no warnings");
	chariot_policy__free(policy);
	return tap_done();
}
