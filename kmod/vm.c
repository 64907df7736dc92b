// SPDX-License-Identifier: GPL-2.0
/*
 * VMs, vCPUs and their lock: what exists, and for how long.
 * Called by all above it.
 */
#include "vm.h"
#include "event.h"

#include <linux/module.h>
#include <linux/slab.h>

static DEFINE_HASHTABLE(vms, 5);
static DEFINE_MUTEX(vms_lock);		/* the table; nothing sleeps under it */
static unsigned int nr_vms;

unsigned int chariot_vms_count(void)
{
	return READ_ONCE(nr_vms);
}

struct chariot_vm *chariot_vm_find(const struct kvm *kvm)
{
	struct chariot_vm *vm;

	if (!READ_ONCE(nr_vms))
		return NULL;
	hash_for_each_possible_rcu_notrace(vms, vm, node, (unsigned long)kvm)
		if (vm->kvm == kvm)
			return vm;
	return NULL;
}

bool chariot_vm_attached(const struct kvm *kvm)
{
	return chariot_vm_find(kvm);
}

struct chariot_vm *chariot_vm_get(struct kvm *kvm)
{
	struct chariot_vm *vm;

	rcu_read_lock();
	vm = chariot_vm_find(kvm);
	if (vm && !kref_get_unless_zero(&vm->ref))
		vm = NULL;
	rcu_read_unlock();
	return vm;
}

static void vm_release(struct kref *ref)
{
	struct chariot_vm *vm = container_of(ref, struct chariot_vm, ref);
	struct chariot_vcpu *vs;
	unsigned long i;

	xa_for_each(&vm->vcpus, i, vs) {
		kfree(vs->entry);
		kfree_rcu(vs, rcu);
	}
	xa_destroy(&vm->vcpus);
	xa_destroy(&vm->text);
	xa_destroy(&vm->blocks);
	kvm_call(kvm_put_kvm)(vm->kvm);
	kfree_rcu(vm, rcu);
	/* chariot_hooks_remove() waits for who has yet to return from here. */
	module_put(THIS_MODULE);
}

void chariot_vm_put(struct chariot_vm *vm)
{
	kref_put(&vm->ref, vm_release);
}

static struct chariot_vm *vm_alloc(struct kvm *kvm)
{
	struct chariot_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);

	if (!vm)
		return ERR_PTR(-ENOMEM);
	if (!kvm_call(kvm_get_kvm_safe)(kvm)) {
		kfree(vm);
		return ERR_PTR(-ESHUTDOWN);
	}
	__module_get(THIS_MODULE);	/* the device's file has it */
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	spin_lock_init(&vm->handles_lock);
	init_waitqueue_head(&vm->wait);
	INIT_LIST_HEAD(&vm->handles);
	INIT_LIST_HEAD(&vm->calls);
	INIT_LIST_HEAD(&vm->images);
	INIT_LIST_HEAD(&vm->gone);
	xa_init_flags(&vm->text, XA_FLAGS_ACCOUNT);
	xa_init_flags(&vm->blocks, XA_FLAGS_ACCOUNT);
	xa_init_flags(&vm->vcpus, XA_FLAGS_ACCOUNT);
	vm->kvm = kvm;
	vm->pid = kvm->userspace_pid;
	vm->timeout_ms = 60000;
	return vm;
}

/* Every handle has a reference; the table has none of its own. */
int chariot_vm_attach(struct kvm *kvm, struct chariot_handle *h)
{
	struct chariot_vm *new = vm_alloc(kvm), *vm;

	if (IS_ERR(new))
		return PTR_ERR(new);
	mutex_lock(&vms_lock);
	vm = chariot_vm_find(kvm);
	if (vm) {
		kref_get(&vm->ref);
	} else {
		vm = new;
		hash_add_rcu(vms, &vm->node, (unsigned long)kvm);
		WRITE_ONCE(nr_vms, nr_vms + 1);
	}
	vm->nr_handles++;
	h->vm = vm;
	spin_lock(&vm->handles_lock);
	list_add_tail(&h->node, &vm->handles);
	spin_unlock(&vm->handles_lock);
	mutex_unlock(&vms_lock);
	if (vm != new)
		chariot_vm_put(new);
	return 0;
}

bool chariot_vm_detach(struct chariot_handle *h)
{
	struct chariot_vm *vm = h->vm;
	bool last;

	mutex_lock(&vms_lock);
	spin_lock(&vm->handles_lock);
	list_del(&h->node);
	spin_unlock(&vm->handles_lock);
	last = !--vm->nr_handles;
	if (last) {
		/* From here on an attach makes another one. */
		hash_del_rcu(&vm->node);
		WRITE_ONCE(nr_vms, nr_vms - 1);
	}
	mutex_unlock(&vms_lock);
	return last;
}

/* ---- the lock, and what is left to who holds it -------------------------- */

static void (*finish)(struct chariot_vm *vm);

void chariot_vm_finish_by(void (*fn)(struct chariot_vm *vm))
{
	finish = fn;
}

static bool has_left(struct chariot_vm *vm)
{
	/* Who sets them looks for the lock after that; we gave it back before. */
	smp_mb();
	return READ_ONCE(vm->ended) || READ_ONCE(vm->unwatch);
}

/* What a handle that is closed has left comes before all that is called after that. */
int chariot_vm_lock(struct chariot_vm *vm)
{
	int err = mutex_lock_killable(&vm->lock);

	if (!err && has_left(vm))
		finish(vm);
	return err;
}

void chariot_vm_unlock(struct chariot_vm *vm)
{
	do {
		finish(vm);
		mutex_unlock(&vm->lock);
	} while (has_left(vm) && mutex_trylock(&vm->lock));
}

/*
 * Who closes a handle must not wait for the lock: its holder may sleep for as long
 * as a page of the guest does not come.  Then that holder does it, when it unlocks.
 */
void chariot_vm_try_finish(struct chariot_vm *vm)
{
	smp_mb();
	if (mutex_trylock(&vm->lock))
		chariot_vm_unlock(vm);
}

struct chariot_vcpu *chariot_vcpu_of(struct chariot_vm *vm,
				     struct kvm_vcpu *vcpu)
{
	struct chariot_vcpu *vs = xa_load(&vm->vcpus, vcpu->vcpu_idx);

	lockdep_assert_held(&vm->lock);
	if (vs)
		return vs;
	vs = kzalloc(sizeof(*vs), GFP_KERNEL_ACCOUNT);
	if (!vs)
		return NULL;
	vs->vm = vm;
	vs->vcpu = vcpu;
	vs->ops.vs = vs;
	if (xa_err(xa_store(&vm->vcpus, vcpu->vcpu_idx, vs,
			    GFP_KERNEL_ACCOUNT))) {
		kfree(vs);
		return NULL;
	}
	return vs;
}

struct chariot_domain *chariot_domain_in(struct chariot_vm *vm, u32 view)
{
	if (!view || view >= CHARIOT_NR_VIEWS)
		return NULL;
	return rcu_dereference_protected(vm->domains[view],
					 lockdep_is_held(&vm->lock));
}

struct chariot_domain *chariot_domain_of(struct chariot_vm *vm, u32 nr)
{
	struct chariot_domain *dom = chariot_domain_in(vm, nr);

	return dom && dom->nr == nr ? dom : NULL;
}

struct chariot_cr chariot_vcpu_cr(struct kvm_vcpu *vcpu)
{
	if (!test_bit(CHARIOT_REG_CR3, (unsigned long *)&vcpu->arch.regs_avail))
		chariot_x86_ops->cache_reg(vcpu, CHARIOT_REG_CR3);
	return (struct chariot_cr){ vcpu->arch.cr3, vcpu->arch.cr4 };
}

