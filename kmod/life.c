// SPDX-License-Identifier: GPL-2.0
/*
 * Beginning and end of domains, and of the isolation of a VM.
 * Called by cross, dev, fault and main.
 */
#include "life.h"
#include "call.h"
#include "event.h"
#include "frame.h"
#include "cache.h"
#include "part.h"
#include "recover.h"
#include "view.h"
#include "watch.h"

#include <linux/slab.h>

static struct workqueue_struct *free_wq;

static void domain_free(struct chariot_domain *dom)
{
	struct chariot_part *p, *next;

	chariot_act_destroy(&dom->act);
	chariot_gone_destroy(&dom->gone_back);
	xa_destroy(&dom->exec);
	xa_destroy(&dom->library_exec);
	xa_destroy(&dom->open);
	for (p = chariot_part_next(dom, NULL); p; p = next) {
		next = chariot_part_next(dom, p);
		chariot_part_free(p);
	}
	kfree(dom->resources);
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

/* Take the domain's text out of the kernel view's trap. */
static void unmap_text(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	unsigned long gfn;
	void *nr;

	xa_for_each(&vm->text, gfn, nr)
		if ((xa_to_value(nr) & ~CHARIOT_RUNS_INLINE) == dom->nr)
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
	xa_init_flags(&dom->library_exec, XA_FLAGS_ACCOUNT);
	xa_init_flags(&dom->open, XA_FLAGS_ACCOUNT);
	dom->frames = RB_ROOT;
	chariot_act_init(&dom->act);
	chariot_gone_init(&dom->gone_back);
	dom->act.defer = args->defer;
	dom->tell_refused = 10000;
	INIT_RCU_WORK(&dom->free, domain_free_work);
	return dom;
}

static bool name_ok(const char name[CHARIOT_NAME_LEN])
{
	return strnlen(name, CHARIOT_NAME_LEN) < CHARIOT_NAME_LEN;
}

/* Also of a further module: what it does not use must be sensible, too. */
static int check_create(struct chariot_vm *vm,
			const struct chariot_domain_create *args)
{
	if (!name_ok(args->name) || !args->name[0] || !name_ok(args->module) ||
	    args->verdict >= CHARIOT_NR_VERDICTS || args->reserved ||
	    args->kernel.stack_size > SZ_64K ||
	    args->defer > CHARIOT_MAX_DEFER || args->mode >= CHARIOT_NR_MODES ||
	    memchr_inv(args->kernel.reserved, 0, sizeof(args->kernel.reserved)))
		return -EINVAL;
	if (args->verdict == CHARIOT_VERDICT_RECOVER &&
	    !memchr_inv(&args->recover, 0, sizeof(args->recover)))
		return -EOPNOTSUPP;
	if (chariot_kvm_nx_huge_pages(vm->kvm)) {
		pr_notice_ratelimited("VM of pid %d: kvm's nx_huge_pages is on: split pages would become executable in a driver's view; load kvm with nx_huge_pages=off\n",
			  vm->pid);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* ---- views for library code: domains go first ----------------------------- */

/* From the last one on, while one is free.  Who calls has all mappings forgotten. */
static void take_library_view(struct chariot_domain *dom, const struct chariot_part *p)
{
	struct chariot_vm *vm = dom->vm;
	unsigned int view = CHARIOT_WATCH_VIEW - 1;

	if (dom->library || !chariot_part_library(p))
		return;
	while (view && chariot_domain_in(vm, view))
		view--;
	if (!view)
		return;
	dom->library = view;
	rcu_assign_pointer(vm->domains[view], dom);
}

static void give_library_view(struct chariot_domain *dom)
{
	struct chariot_vm *vm = dom->vm;
	struct chariot_vcpu *vs;
	unsigned long i;
	int err = 0;

	xa_for_each(&vm->vcpus, i, vs)
		if (vs->view == dom->library)
			err = err ?: chariot_frame_push_library(dom, vs);
	RCU_INIT_POINTER(vm->domains[dom->library], NULL);
	dom->library = 0;
	if (err)
		chariot_vm_fail(vm, err, "library code that runs");
}

/* A view for a domain: 0 if all are those of domains. */
static unsigned int free_view(struct chariot_vm *vm)
{
	struct chariot_domain *dom;
	unsigned int view;

	for (view = 1; view < CHARIOT_WATCH_VIEW; view++)
		if (!chariot_domain_in(vm, view))
			return view;
	for (view = CHARIOT_WATCH_VIEW - 1; view; view--) {
		dom = chariot_domain_in(vm, view);
		if (dom->library == view) {
			give_library_view(dom);
			return view;
		}
	}
	return 0;
}

/* The domain's number, or -errno: then all is as it was. */
static int install(struct chariot_domain *dom, struct chariot_part *p)
{
	struct chariot_vm *vm = dom->vm;
	int err;

	if (vm->dead)
		return -ESHUTDOWN;
	dom->nr = free_view(vm);
	if (!dom->nr)
		return -EBUSY;
	chariot_view_splits_begin(vm);
	err = chariot_part_join(dom, p);
	chariot_view_splits_end(vm, !err);
	if (err) {
		vm->memory -= dom->memory;
	} else {
		rcu_assign_pointer(vm->domains[dom->nr], dom);
		vm->nr_domains++;
		take_library_view(dom, p);
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
	struct chariot_part *p;
	int r = args->domain ? -EINVAL : check_create(vm, args);

	if (r)
		return r;
	p = chariot_part_create(args, args->module[0] ? args->module : args->name);
	if (IS_ERR(p))
		return PTR_ERR(p);
	dom = domain_alloc(vm, args);
	r = PTR_ERR_OR_ZERO(dom) ?: chariot_vm_lock(vm);
	if (!r) {
		r = install(dom, p);
		chariot_vm_unlock(vm);
	}
	if (r < 0) {
		chariot_part_free(p);
		if (!IS_ERR(dom))
			domain_free(dom);
	}
	return r;
}

/* ---- a module of it comes, or goes ---------------------------------------- */

static void tell_part(struct chariot_domain *dom, u32 type,
		      const struct chariot_part *p)
{
	struct chariot_event ev = {
		.type = type, .vcpu = ~0U, .domain = dom->nr,
		.verdict = dom->verdict,
	};

	strscpy(ev.u.name.name, p->name, sizeof(ev.u.name.name));
	chariot_event_send(dom->vm, &ev, NULL);
}

static int join(struct chariot_vm *vm, u32 nr, struct chariot_part *p)
{
	struct chariot_domain *dom = chariot_domain_of(vm, nr);
	struct chariot_part *other;
	int err;

	if (vm->dead)
		return -ESHUTDOWN;
	if (!dom)
		return -ENOENT;
	for_each_part(other, dom)
		if (!strcmp(other->name, p->name))
			return -EEXIST;
	chariot_view_splits_begin(vm);
	err = chariot_part_join(dom, p);
	chariot_view_splits_end(vm, !err);
	if (!err)
		take_library_view(dom, p);
	/* As in install(). */
	chariot_view_zap_all(vm);
	if (!err)
		tell_part(dom, CHARIOT_EV_MODULE_NEW, p);
	return err;
}

int chariot_domain_add(struct chariot_vm *vm,
		       const struct chariot_domain_create *args)
{
	struct chariot_part *p;
	int r = args->module[0] ? check_create(vm, args) : -EINVAL;

	if (r)
		return r;
	p = chariot_part_create(args, args->module);
	if (IS_ERR(p))
		return PTR_ERR(p);
	r = chariot_vm_lock(vm);
	if (!r) {
		r = join(vm, args->domain, p);
		chariot_vm_unlock(vm);
	}
	if (r)
		chariot_part_free(p);
	return r;
}

void chariot_domain_unloaded(struct chariot_domain *dom, u64 gva)
{
	struct chariot_part *p = chariot_part_at(dom, gva);

	if (dom->gone)
		return;
	/* With the last one the domain goes. */
	if (!p || (p == chariot_part_next(dom, NULL) &&
		   !chariot_part_next(dom, p))) {
		chariot_domain_drop(dom);
		return;
	}
	tell_part(dom, CHARIOT_EV_MODULE_GONE, p);
	chariot_part_leave(dom, p);
}

/* ---- and ends ------------------------------------------------------------ */

/* In mode inline its checks are still there. */
static void let_go(struct chariot_domain *dom)
{
	struct chariot_part *p;

	for_each_part(p, dom)
		if (p->cache)
			chariot_cache_off(dom, p->cache, true);
}

static void drop(struct chariot_domain *dom)
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
		if (!chariot_runs(vs, dom))
			continue;
		/* The vCPU itself notices at its next fault. */
		vs->view = 0;
		vs->inlined.domain = 0;
		kfree(vs->entry);
		vs->entry = NULL;
	}
	unmap_text(dom);
	chariot_frames_free(dom);
	chariot_calls_dropped(dom);
	RCU_INIT_POINTER(vm->domains[dom->nr], NULL);
	if (dom->library)
		RCU_INIT_POINTER(vm->domains[dom->library], NULL);
	vm->nr_domains--;
	vm->memory -= dom->memory;
	chariot_view_zap_all(vm);
	/* Who called us may still use it. */
	dom->gone = true;
	list_add(&dom->gone_node, &vm->gone);
}

void chariot_domain_drop(struct chariot_domain *dom)
{
	if (!dom->gone)
		let_go(dom);
	drop(dom);
}

void chariot_domain_init_done(struct chariot_domain *dom, u64 gva, s64 result)
{
	struct chariot_part *p = chariot_part_at(dom, gva);
	struct chariot_event ev = {
		.type = CHARIOT_EV_INIT_DONE, .vcpu = ~0U, .domain = dom->nr,
		.verdict = dom->verdict,
	};

	if (dom->gone || !p)
		return;
	strscpy(ev.u.init.name, p->name, sizeof(ev.u.init.name));
	ev.u.init.result = result;
	chariot_event_send(dom->vm, &ev, NULL);
	if (result < 0) {
		chariot_domain_unloaded(dom, gva);
		return;
	}
	/* What others of them are for is its work. */
	if (!strcmp(p->name, dom->name))
		chariot_recover_loaded(dom);
	chariot_part_loaded(dom, p);
}

/* ---- all of a VM --------------------------------------------------------- */

/*
 * @there: the guest that they were of goes on.  Where it has begun anew its memory is
 * something else by now; and who closes a handle looks at none of it (locking.rst): then
 * KVM is asked in mode inline, which does not know what it is about.
 */
static void drop_all(struct chariot_vm *vm, bool there)
{
	struct chariot_domain *dom;
	u32 i;

	for (i = 1; i < CHARIOT_NR_VIEWS; i++) {
		dom = chariot_domain_of(vm, i);
		if (!dom)
			continue;
		if (there)
			let_go(dom);
		drop(dom);
	}
}

static void reset(struct chariot_vm *vm, bool there)
{
	lockdep_assert_held(&vm->lock);
	drop_all(vm, there);
	chariot_recover_forget(vm);
	chariot_watch_disarm(vm);
	chariot_continue_all(vm);
}

void chariot_vm_reset(struct chariot_vm *vm)
{
	reset(vm, false);
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
		chariot_domain_unloaded(dom, vm->drop_at);
	vm->drop = 0;
	if (vm->stuck)
		chariot_vm_fail(vm, -EFAULT, "a permission cache cannot be written");
	vm->stuck = false;
	if (vm->reset)
		reset(vm, true);
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
	free_wq = alloc_workqueue("chariot", WQ_UNBOUND, 0);
	chariot_vm_finish_by(finish);
	return free_wq ? 0 : -ENOMEM;
}

void chariot_life_uninit(void)
{
	rcu_barrier();
	destroy_workqueue(free_wq);
	rcu_barrier();	/* kfree_rcu() of what the work gave back */
}
