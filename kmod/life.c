// SPDX-License-Identifier: GPL-2.0
/*
 * Beginning and end of domains, and of the isolation of a VM.
 * Called by cross, dev, fault and main.
 */
#include "life.h"
#include "call.h"
#include "check.h"
#include "event.h"
#include "frame.h"
#include "recover.h"
#include "ret.h"
#include "view.h"
#include "watch.h"

#include <linux/slab.h>

static struct workqueue_struct *free_wq;

static void domain_free(struct chariot_domain *dom)
{
	chariot_act_destroy(&dom->act);
	chariot_gone_destroy(&dom->gone_back);
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
static void domain_free_later(struct chariot_domain *dom)
{
	queue_rcu_work(free_wq, &dom->free);
}

/* ---- a domain begins ----------------------------------------------------- */

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
	chariot_gone_init(&dom->gone_back);
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

/* Before it is seen by others. */
static int map_all(struct chariot_domain *dom)
{
	u32 i;
	int err = 0;

	chariot_domain_account(dom);
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
		dom->ret = chariot_ret_find(dom, CHARIOT_RANGE_TEXT);
		dom->init_ret = chariot_ret_find(dom, CHARIOT_RANGE_INIT_TEXT);
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
	r = chariot_check_tables(dom, args) ?:
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

/* ---- and ends ------------------------------------------------------------ */

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

/* ---- all of a VM --------------------------------------------------------- */

static void drop_all(struct chariot_vm *vm)
{
	struct chariot_domain *dom;
	u32 i;

	for (i = 1; i < CHARIOT_NR_VIEWS; i++) {
		dom = chariot_domain_of(vm, i);
		if (dom)
			chariot_domain_drop(dom);
	}
}

void chariot_vm_reset(struct chariot_vm *vm)
{
	lockdep_assert_held(&vm->lock);
	drop_all(vm);
	chariot_recover_forget(vm);
	chariot_watch_disarm(vm);
	chariot_continue_all(vm);
}

void chariot_vm_restarted(struct chariot_vm *vm, struct kvm_vcpu *vcpu)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_RESET, .vcpu = vcpu->vcpu_idx,
	};

	chariot_vm_reset(vm);
	chariot_event_send(vm, &ev, NULL);
}

/* What closed handles have left. */
static void finish_closed(struct chariot_vm *vm)
{
	if (vm->unwatch) {
		/* Who answered is gone: nobody may wait for him. */
		if (vm->unwatch == vm->watcher)
			chariot_watch_disarm(vm);
		chariot_continue_all(vm);
		WRITE_ONCE(vm->unwatch, 0);
	}
	if (vm->ended) {
		chariot_vm_reset(vm);
		chariot_view_join(vm);
		WRITE_ONCE(vm->ended, false);
	}
}

/* Before vm->lock is given back. */
static void finish(struct chariot_vm *vm)
{
	struct chariot_domain *dom = chariot_domain_of(vm, vm->drop), *tmp;

	finish_closed(vm);
	if (dom)
		chariot_domain_drop(dom);
	vm->drop = 0;
	if (vm->reset)
		chariot_vm_reset(vm);
	vm->reset = false;
	list_for_each_entry_safe(dom, tmp, &vm->gone, gone_node) {
		list_del(&dom->gone_node);
		domain_free_later(dom);
	}
}

void chariot_handle_close(struct chariot_handle *h)
{
	struct chariot_vm *vm = h->vm;
	bool last = chariot_vm_detach(h);

	/* Only calls with the handle make it the watcher, and there are none now. */
	if (READ_ONCE(vm->watcher) == h->id)
		WRITE_ONCE(vm->unwatch, h->id);
	if (last)
		WRITE_ONCE(vm->ended, true);
	chariot_vm_try_finish(vm);
	chariot_vm_put(vm);
}

int chariot_life_init(void)
{
	free_wq = alloc_workqueue("chariot", 0, 0);
	chariot_vm_finish_by(finish);
	return free_wq ? 0 : -ENOMEM;
}

void chariot_life_uninit(void)
{
	rcu_barrier();
	destroy_workqueue(free_wq);
	rcu_barrier();	/* kfree_rcu() of what the work gave back */
}
