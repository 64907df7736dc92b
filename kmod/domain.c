// SPDX-License-Identifier: GPL-2.0
#include "vm.h"
#include "call.h"
#include "event.h"
#include "frame.h"
#include "gate.h"
#include "recover.h"
#include "view.h"

#include <linux/bsearch.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

static struct workqueue_struct *free_wq;

int chariot_domains_init(void)
{
	free_wq = alloc_workqueue("chariot", 0, 0);
	return free_wq ? 0 : -ENOMEM;
}

void chariot_domains_uninit(void)
{
	rcu_barrier();
	destroy_workqueue(free_wq);
	rcu_barrier();	/* kfree_rcu() of what the work gave back */
}

/* ---- tables ------------------------------------------------------------- */

static int gate_cmp(const void *a, const void *b)
{
	u64 x = ((const struct chariot_gate *)a)->gva;
	u64 y = ((const struct chariot_gate *)b)->gva;

	return x < y ? -1 : x > y;
}

const struct chariot_gate *
chariot_gate_find(const struct chariot_gate *table, u32 nr, u64 gva)
{
	struct chariot_gate key = { .gva = gva };

	return bsearch(&key, table, nr, sizeof(key), gate_cmp);
}

/* By kind: code of the driver, which is looked up most, comes first. */
static int range_cmp(const void *a, const void *b)
{
	const struct chariot_range *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->gva < y->gva ? -1 : x->gva > y->gva;
}

u32 chariot_domain_range(const struct chariot_domain *dom, u64 gva)
{
	u32 i;

	for (i = 0; i < dom->nr_ranges; i++)
		if (gva - dom->ranges[i].gva < dom->ranges[i].len)
			return dom->ranges[i].kind;
	return CHARIOT_NR_RANGE_KINDS;
}

bool chariot_domain_text(const struct chariot_domain *dom, u64 gva)
{
	return chariot_domain_range(dom, gva) <= CHARIOT_RANGE_INIT_TEXT;
}

static int check_range(const struct chariot_range *r)
{
	if (r->kind >= CHARIOT_NR_RANGE_KINDS || r->flags || !r->len ||
	    r->len > CHARIOT_MAX_OBJECT || r->gva + r->len < r->gva)
		return -EINVAL;
	if (r->kind <= CHARIOT_RANGE_INIT_TEXT &&
	    (offset_in_page(r->gva) || offset_in_page(r->len)))
		return -EINVAL;
	return 0;
}

static bool flags_ok(const struct chariot_op *op)
{
	switch (op->op) {
	case CHARIOT_OP_WALK:
		return !(op->flags & ~CHARIOT_WALK_NOW);
	case CHARIOT_OP_CHECK:
		return !(op->flags & 15) && op->flags <= CHARIOT_CHECK_IN(5);
	default:
		return !op->flags;
	}
}

static int check_op(const struct chariot_op *op, u32 nr_ops)
{
	if (op->op >= CHARIOT_NR_OPS || op->phase >= CHARIOT_NR_PHASES ||
	    op->base > CHARIOT_CURRENT || op->nr_deref > 2 ||
	    op->map >= CHARIOT_NR_MAPS || op->len_kind >= CHARIOT_NR_LENS ||
	    op->len_a > CHARIOT_THIS || op->len_mul > CHARIOT_MAX_OBJECT ||
	    op->len_add > CHARIOT_MAX_OBJECT || op->len_shift > 63 ||
	    !flags_ok(op))
		return -EINVAL;
	if ((op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	     op->len_kind == CHARIOT_LEN_FIELD_AT) && op->nr_deref > 1)
		return -EINVAL;
	if (op->len_kind == CHARIOT_LEN_FIELD ||
	    op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	    op->len_kind == CHARIOT_LEN_FIELD_AT ?
	    op->len_b > 8 || !is_power_of_2(op->len_b) : op->len_b > 5)
		return -EINVAL;
	if (op->phase == CHARIOT_PHASE_CALLBACK &&
	    (op->op != CHARIOT_OP_GRANT || op->base >= CHARIOT_RET ||
	     op->map == CHARIOT_MAP_PERCPU))
		return -EINVAL;
	if (op->map == CHARIOT_MAP_OBJECT && op->op != CHARIOT_OP_REVOKE)
		return -EINVAL;
	if (op->op == CHARIOT_OP_REVOKE && (op->len_kind || op->len_add) &&
	    (op->phase || op->map > CHARIOT_MAP_PAGE))
		return -EINVAL;
	if (op->op == CHARIOT_OP_REACH && op->phase != CHARIOT_PHASE_POST)
		return -EINVAL;
	if (op->op == CHARIOT_OP_WALK || op->op == CHARIOT_OP_REACH ?
	    op->map || op->sub > nr_ops || op->nr_sub > nr_ops - op->sub :
	    op->sub || op->nr_sub || op->stride ||
	    op->len_kind == CHARIOT_LEN_LIST)
		return -EINVAL;
	if ((op->op == CHARIOT_OP_HAND || op->op == CHARIOT_OP_LEND) &&
	    op->map == CHARIOT_MAP_PERCPU)
		return -EINVAL;
	if (op->op == CHARIOT_OP_CHECK &&
	    (op->phase || op->nr_deref > 1 || op->map ||
	     /* Both want deref[1]. */
	     op->len_kind == CHARIOT_LEN_FIELD_SUM ||
	     op->len_kind == CHARIOT_LEN_FIELD_AT ||
	     op->deref[1] < 0 || op->deref[1] > CHARIOT_RET))
		return -EINVAL;
	return 0;
}

static int check_rule(const struct chariot_op *op)
{
	return op->op == CHARIOT_OP_GRANT && op->phase == CHARIOT_PHASE_PRE &&
	       op->base == CHARIOT_CURRENT && !op->map &&
	       op->len_kind == CHARIOT_LEN_CONST ? 0 : -EINVAL;
}

/* They are all run at each call, and may read a string each. */
static int check_checks(const struct chariot_op *op, u32 nr)
{
	u32 n = 0;

	for (; nr--; op++)
		n += op->op == CHARIOT_OP_CHECK ||
		     op->len_kind == CHARIOT_LEN_STRING;
	return n > CHARIOT_MAX_CHECKS ? -E2BIG : 0;
}

static int check_gates(const struct chariot_domain *dom,
		       const struct chariot_gate *g, u32 nr, u16 flags)
{
	u32 i;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		if (g[i].flags & ~flags || g[i].op > dom->nr_ops ||
		    g[i].nr_ops > dom->nr_ops - g[i].op ||
		    (i && g[i].gva <= g[i - 1].gva))
			return -EINVAL;
		err = check_checks(dom->ops + g[i].op, g[i].nr_ops);
	}
	return err;
}

void *chariot_copy_table(struct chariot_domain *dom, u64 ptr, u32 nr,
			 size_t size, u32 max)
{
	void *table;

	if (nr > max)
		return ERR_PTR(-E2BIG);
	table = kvmalloc_array(nr + 1, size, GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(table, u64_to_user_ptr(ptr), nr * size)) {
		kvfree(table);
		return ERR_PTR(-EFAULT);
	}
	dom->tables += nr * size;
	return table;
}

#define COPY_TABLE(dom, args, what, max)				\
({									\
	void *t = chariot_copy_table(dom, (args)->what, (args)->nr_##what, \
				     sizeof(*(dom)->what), max);	\
	if (!IS_ERR(t)) {						\
		(dom)->what = t;					\
		(dom)->nr_##what = (args)->nr_##what;			\
	}								\
	PTR_ERR_OR_ZERO(t);						\
})

static int copy_tables(struct chariot_domain *dom,
		       const struct chariot_domain_create *a)
{
	u64 sum = 0;
	u32 i;
	int err;

	err = COPY_TABLE(dom, a, ranges, CHARIOT_MAX_RANGES) ?:
	      COPY_TABLE(dom, a, gates, CHARIOT_MAX_GATES) ?:
	      COPY_TABLE(dom, a, entries, CHARIOT_MAX_GATES) ?:
	      COPY_TABLE(dom, a, ops, CHARIOT_MAX_OPS);
	for (i = 0; i < dom->nr_ranges && !err; i++) {
		err = check_range(&dom->ranges[i]);
		sum += dom->ranges[i].len;
	}
	if (!err && sum > CHARIOT_MAX_OBJECT)
		err = -E2BIG;
	for (i = 0; i < dom->nr_ops && !err; i++)
		err = check_op(&dom->ops[i], dom->nr_ops);
	if (!err && a->nr_rules > dom->nr_ops)
		err = -EINVAL;
	dom->nr_rules = a->nr_rules;
	for (i = 0; !err && i < dom->nr_rules; i++)
		err = check_rule(&dom->ops[i]);
	if (err)
		return err;
	sort(dom->ranges, dom->nr_ranges, sizeof(*dom->ranges), range_cmp,
	     NULL);
	return check_gates(dom, dom->gates, dom->nr_gates, 0) ?:
	       check_gates(dom, dom->entries, dom->nr_entries,
			   CHARIOT_GATE_INIT | CHARIOT_GATE_EXIT |
			   CHARIOT_GATE_BALANCED | CHARIOT_GATE_REMOVE |
			   CHARIOT_GATE_REQUEST |
			   CHARIOT_GATE_RETURN(7) | CHARIOT_GATE_STAND_IN(15));
}

/* ---- grants ------------------------------------------------------------- */

/* In one go: by the ops of a gate, or by one call of ours. */
#define MAX_RUN_PAGES	(2 * CHARIOT_MAX_OBJECT >> PAGE_SHIFT)

static void lost_page(void *ctx, u64 gfn)
{
	struct chariot_domain *dom = ctx;

	chariot_view_zap(dom->vm, gfn);
}

/* Of the host's memory, for this domain; frames are limited by their number. */
static void account(struct chariot_domain *dom)
{
	u64 now = sizeof(*dom) + dom->tables + dom->act.memory;

	/* Then it is no longer counted. */
	if (dom->gone)
		return;
	dom->vm->memory += now - dom->memory;
	dom->memory = now;
}

/* A page on which nothing was granted yet costs an entry and, mostly, a byte map. */
#define PAGE_COST	1200

static bool has_room(struct chariot_domain *dom, u64 len)
{
	u64 nr = (len >> PAGE_SHIFT) + 2, parts = min(nr, 2ULL);

	return dom->vm->memory + chariot_act_obj_size(nr) + nr * 16 +
	       parts * PAGE_COST <= CHARIOT_MAX_MEMORY;
}

/* The page tables are the guest's, and may be changed while we look. */
static int find_pages(struct chariot_domain *dom, struct chariot_obj *obj)
{
	u64 at = obj->start & PAGE_MASK;
	struct chariot_walk w;
	int err = 0;
	u32 i;

	for (i = 0; i < obj->nr && !err; i++, at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		obj->gfns[i] = w.gpa >> PAGE_SHIFT;
		/* Before it can become writable as part of a larger page. */
		err = chariot_view_split(dom->vm, obj->gfns[i]);
		if (i % 256 == 255) {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
	}
	return err;
}

int chariot_domain_grant(struct chariot_domain *dom, u64 gva, u64 len,
			 u32 source, u64 gate, u64 site)
{
	struct chariot_obj *obj;
	int err;

	if (len && len <= CHARIOT_MAX_OBJECT && !has_room(dom, len))
		return -ENOSPC;
	obj = chariot_act_obj_alloc(gva, len);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	dom->run_pages += obj->nr;
	err = dom->run_pages > MAX_RUN_PAGES ? -ENOSPC : find_pages(dom, obj);
	if (err) {
		kvfree(obj);
		return err;
	}
	obj->source = source;
	obj->gate = gate;
	obj->site = site;
	err = chariot_act_grant(&dom->act, obj, lost_page, dom);
	account(dom);
	return err;
}

#define MAX_HANDED	8192

int chariot_domain_hand(struct chariot_domain *dom, u64 gva, u64 len, u64 gate,
			u64 site, bool anywhere)
{
	u64 gfn = (gva - dom->kernel.page_offset) >> PAGE_SHIFT;
	int err;

	/* Stacks are not in the direct map; what is on them goes with the call. */
	if (!anywhere && (!dom->kernel.page_offset ||
			  gva < dom->kernel.page_offset ||
			  !kvm_call(kvm_is_visible_gfn)(dom->vm->kvm, gfn)))
		return 0;
	if (chariot_act_has(&dom->act, gva, len))
		return 0;
	err = chariot_domain_grant(dom, gva, len, CHARIOT_SRC_ARGUMENT, gate,
				   site);
	chariot_act_trim(&dom->act, MAX_HANDED, lost_page, dom);
	account(dom);
	return err == -EFAULT || err == -EINVAL ? 0 : err;
}

int chariot_domain_revoke(struct chariot_domain *dom, u64 gva)
{
	int err = chariot_act_revoke(&dom->act, gva, lost_page, dom);

	account(dom);
	return err;
}

int chariot_domain_freed(struct chariot_domain *dom, u64 gva)
{
	int err = chariot_act_free(&dom->act, gva, lost_page, dom);

	account(dom);
	return err;
}

static void fill_object(struct chariot_object *row,
			const struct chariot_obj *obj)
{
	row->gva = obj->start;
	row->len = obj->last - obj->start + 1;
	row->gate = obj->gate;
	row->site = obj->site;
	row->source = obj->source;
}

void chariot_domain_near(struct chariot_domain *dom, u64 gva,
			 struct chariot_object near[2])
{
	struct chariot_obj *below = chariot_act_prev(&dom->act, gva);
	struct chariot_obj *above = chariot_act_next(&dom->act, gva);

	if (below)
		fill_object(&near[0], below);
	if (above)
		fill_object(&near[1], above);
}

/* ---- life --------------------------------------------------------------- */

static void domain_free(struct chariot_domain *dom)
{
	chariot_act_destroy(&dom->act);
	xa_destroy(&dom->exec);
	xa_destroy(&dom->open);
	kvfree(dom->ranges);
	kvfree(dom->gates);
	kvfree(dom->entries);
	kvfree(dom->ops);
	chariot_recover_free(dom);
	kfree(dom);
}

static void domain_free_work(struct work_struct *work)
{
	domain_free(container_of(to_rcu_work(work), struct chariot_domain,
				 free));
}

/* chariot_spte_access() may still look at it. */
void chariot_domain_free(struct chariot_domain *dom)
{
	queue_rcu_work(free_wq, &dom->free);
}

/* Text of a driver: fetched in its view, trapped in the kernel view. */
static int map_text(struct chariot_domain *dom, const struct chariot_range *r)
{
	struct chariot_vm *vm = dom->vm;
	struct chariot_walk w;
	u64 at, gfn;
	int err;

	for (at = r->gva; at < r->gva + r->len; at += PAGE_SIZE) {
		if (chariot_guest_walk(vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		gfn = w.gpa >> PAGE_SHIFT;
		if (xa_load(&vm->text, gfn))
			return -EEXIST;
		err = chariot_view_split(vm, gfn) ?:
		      xa_err(xa_store(&dom->exec, gfn, xa_mk_value(1),
				      GFP_KERNEL_ACCOUNT)) ?:
		      xa_err(xa_store(&vm->text, gfn, xa_mk_value(dom->nr),
				      GFP_KERNEL_ACCOUNT));
		if (err)
			return err;
	}
	return 0;
}

static int map_inherit(struct chariot_domain *dom,
		       const struct chariot_range *r)
{
	struct chariot_walk w;
	u64 at;
	int err;

	for (at = r->gva & PAGE_MASK; at < r->gva + r->len; at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		err = chariot_view_split(dom->vm, w.gpa >> PAGE_SHIFT) ?:
		      xa_err(xa_store(&dom->exec, w.gpa >> PAGE_SHIFT,
				      xa_mk_value(1), GFP_KERNEL_ACCOUNT));
		if (err)
			return err;
	}
	return 0;
}

void chariot_domain_trap(struct chariot_domain *dom, u64 gva)
{
	struct chariot_walk w;

	if (!chariot_guest_walk(dom->vm->kvm, dom->cr, gva, &w) &&
	    xa_erase(&dom->exec, w.gpa >> PAGE_SHIFT))
		chariot_view_zap(dom->vm, w.gpa >> PAGE_SHIFT);
}

static int map_range(struct chariot_domain *dom, const struct chariot_range *r)
{
	switch (r->kind) {
	case CHARIOT_RANGE_TEXT:
	case CHARIOT_RANGE_INIT_TEXT:
		return map_text(dom, r);
	case CHARIOT_RANGE_INHERIT:
		return map_inherit(dom, r);
	case CHARIOT_RANGE_DATA:
	case CHARIOT_RANGE_INIT_DATA:
		return chariot_domain_grant(dom, r->gva, r->len,
					    CHARIOT_SRC_SECTION, 0, 0);
	case CHARIOT_RANGE_RULE:
		return chariot_domain_grant(dom, r->gva, r->len,
					    CHARIOT_SRC_RULE, 0, 0);
	}
	return 0;
}

/* Take the domain's text out of the kernel view's trap. */
static void unmap_text(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	unsigned long gfn;
	void *nr;

	xa_for_each(&vm->text, gfn, nr)
		if (xa_to_value(nr) == dom->nr)
			xa_erase(&vm->text, gfn);
}

static struct chariot_domain *
domain_alloc(struct chariot_vm *vm, const struct chariot_domain_create *args)
{
	struct chariot_domain *dom = kzalloc(sizeof(*dom), GFP_KERNEL_ACCOUNT);

	if (!dom)
		return ERR_PTR(-ENOMEM);
	dom->vm = vm;
	dom->verdict = args->verdict;
	dom->mode = args->mode;
	dom->kernel = args->kernel;
	dom->cr = (struct chariot_cr){ args->kernel.cr3, args->kernel.cr4 };
	strscpy(dom->name, args->name, sizeof(dom->name));
	xa_init_flags(&dom->exec, XA_FLAGS_ACCOUNT);
	xa_init_flags(&dom->open, XA_FLAGS_ACCOUNT);
	dom->frames = RB_ROOT;
	chariot_act_init(&dom->act);
	dom->act.defer = args->defer;
	dom->tell_refused = 10000;
	INIT_RCU_WORK(&dom->free, domain_free_work);
	return dom;
}

static int check_create(struct chariot_vm *vm,
			const struct chariot_domain_create *args)
{
	if (strnlen(args->name, sizeof(args->name)) == sizeof(args->name) ||
	    !args->name[0] || args->verdict >= CHARIOT_NR_VERDICTS ||
	    args->kernel.stack_size > SZ_64K ||
	    args->defer > CHARIOT_MAX_DEFER || args->mode >= CHARIOT_NR_MODES ||
	    memchr_inv(args->kernel.reserved, 0, sizeof(args->kernel.reserved)))
		return -EINVAL;
	if (chariot_kvm_nx_huge_pages(vm->kvm)) {
		pr_notice_ratelimited("VM of pid %d: kvm's nx_huge_pages is on: split pages would become executable in a driver's view; load kvm with nx_huge_pages=off\n",
			  vm->pid);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Any byte that is a "ret", also in the middle of an instruction. */
static u64 find_ret(struct chariot_domain *dom)
{
	u8 buf[256], *p;
	u64 at;
	u32 i;

	for (i = 0; i < dom->nr_ranges; i++) {
		const struct chariot_range *r = &dom->ranges[i];

		if (r->kind != CHARIOT_RANGE_TEXT)
			continue;
		for (at = r->gva; at < r->gva + r->len; at += sizeof(buf)) {
			if (chariot_guest_read_va(dom->vm->kvm, dom->cr, at,
						  buf, sizeof(buf)))
				break;
			p = memchr(buf, 0xc3, sizeof(buf));
			if (p)
				return at + (p - buf);
		}
	}
	return 0;
}

/* Before it is seen by others. */
static int map_all(struct chariot_domain *dom)
{
	u32 i;
	int err = 0;

	account(dom);
	if (dom->vm->memory > CHARIOT_MAX_MEMORY)
		return -ENOSPC;
	for (i = 0; i < dom->nr_ranges && !err; i++)
		err = map_range(dom, &dom->ranges[i]);
	return err ?: chariot_recover_arm(dom);
}

/* The domain's number, or -errno: then all is as it was. */
static int install(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	int err;

	if (vm->dead)
		return -ESHUTDOWN;
	for (dom->nr = 1; chariot_domain_of(vm, dom->nr); dom->nr++)
		;
	if (dom->nr >= CHARIOT_WATCH_VIEW)
		return -EBUSY;
	chariot_view_splits_begin(vm);
	err = map_all(dom);
	chariot_view_splits_end(vm, !err);
	if (err) {
		unmap_text(dom);
		vm->memory -= dom->memory;
	} else {
		dom->ret = find_ret(dom);
		rcu_assign_pointer(vm->domains[dom->nr], dom);
		vm->nr_domains++;
	}
	/* From here on no vCPU has an old mapping of the driver's text, nor of
	 * anything in a view of this number. */
	chariot_view_zap_all(vm);
	if (err)
		return err;
	chariot_event_name(dom, CHARIOT_EV_DOMAIN_NEW);
	return dom->nr;
}

int chariot_domain_create(struct chariot_vm *vm,
			  const struct chariot_domain_create *args)
{
	struct chariot_domain *dom;
	int r = check_create(vm, args);

	if (r)
		return r;
	dom = domain_alloc(vm, args);
	if (IS_ERR(dom))
		return PTR_ERR(dom);
	r = copy_tables(dom, args) ?:
	    chariot_recover_create(dom, &args->recover) ?:
	    chariot_vm_lock(vm);
	if (!r) {
		r = install(dom);
		chariot_vm_unlock(vm);
	}
	if (r < 0)
		domain_free(dom);
	return r;
}

void chariot_stats_add(struct chariot_stats *to,
		       const struct chariot_stats *from)
{
#define ADD(name, exit, text)	to->name += from->name;
	CHARIOT_COUNTERS(ADD)
#undef ADD
}

void chariot_domain_drop(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	struct chariot_vcpu *vs;
	unsigned long i;

	lockdep_assert_held(&vm->lock);
	if (dom->gone)
		return;
	chariot_event_name(dom, CHARIOT_EV_DOMAIN_GONE);
	chariot_stats_add(&vm->stats, &dom->stats);
	xa_for_each(&vm->vcpus, i, vs) {
		if (vs->view != dom->nr)
			continue;
		/* The vCPU itself notices at its next fault. */
		vs->view = 0;
		kfree(vs->entry);
		vs->entry = NULL;
	}
	unmap_text(dom);
	chariot_frames_free(dom);
	chariot_calls_dropped(dom);
	RCU_INIT_POINTER(vm->domains[dom->nr], NULL);
	vm->nr_domains--;
	vm->memory -= dom->memory;
	chariot_view_zap_all(vm);
	/* Who called us may still use it. */
	dom->gone = true;
	list_add(&dom->gone_node, &vm->gone);
}

static void drop_init_text(struct chariot_domain *dom, struct chariot_range *r)
{
	struct chariot_walk w;
	u64 at;

	for (at = r->gva; at < r->gva + r->len; at += PAGE_SIZE) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			continue;
		xa_erase(&dom->vm->text, w.gpa >> PAGE_SHIFT);
		xa_erase(&dom->exec, w.gpa >> PAGE_SHIFT);
		chariot_view_zap(dom->vm, w.gpa >> PAGE_SHIFT);
	}
}

void chariot_domain_init_done(struct chariot_domain *dom, s64 result)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_INIT_DONE, .vcpu = ~0U, .domain = dom->nr,
		.verdict = dom->verdict,
	};
	u32 i;

	if (dom->gone)
		return;
	strscpy(ev.u.init.name, dom->name, sizeof(ev.u.init.name));
	ev.u.init.result = result;
	chariot_event_send(dom->vm, &ev, NULL);
	if (result < 0) {
		chariot_domain_drop(dom);
		return;
	}
	chariot_recover_loaded(dom);
	for (i = 0; i < dom->nr_ranges; i++) {
		struct chariot_range *r = &dom->ranges[i];

		if (r->kind == CHARIOT_RANGE_INIT_TEXT)
			drop_init_text(dom, r);
		else if (r->kind == CHARIOT_RANGE_INIT_DATA)
			chariot_domain_revoke(dom, r->gva);
		else
			continue;
		r->len = 0;
	}
}
