/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VM, vCPU and domain: what exists and for how long.
 *
 * A VM lives as long as a handle on it (dev.c) or a hooked call in it, and holds
 * the module; its vCPUs live as long as it does.  A domain that is dropped lives
 * until vm->lock is given back.  All that is not marked otherwise is protected by
 * vm->lock.  Documentation/locking.rst has the rules and the order of the locks,
 * limits.rst the bounds.
 */
#ifndef CHARIOT_VM_H
#define CHARIOT_VM_H

#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/chariot.h>

#include "act.h"
#include "gone.h"
#include "guest.h"
#include "kvm.h"

struct chariot_handle;
struct chariot_cache;

/* Where the kernel's addresses begin. */
#define CHARIOT_KERNEL_HALF	0xffff800000000000ULL

/* What the kernel wants to find as it was when its call returns. */
struct chariot_caller {
	u64 regs[6];		/* rbx, rbp, r12 .. r15 */
	u64 rflags;
	u32 preempt_count;
	bool known;		/* else the verdict was another one then */
};

/* What was taken and has to be given back. */
struct chariot_held {
	const struct chariot_lock *lock;
	u64 arg[3];
};

/* A call of a driver function by the kernel. */
struct chariot_entry {
	const struct chariot_gate *gate;	/* NULL: entered at a bad place */
	u64 rip;		/* the function */
	u64 ret;		/* where it returns to */
	u64 slot;		/* address of the return address */
	u64 base;		/* lowest address of the stack, 0: not yet known */
	u64 args[6];
	u64 found, found_len;	/* what a WALK found last for a write */
	struct chariot_caller caller;
	bool stopping;		/* began while the driver was cleaning up */
	bool kept;		/* mode inline: from ENTER or SPILL, else by its record */
	bool in_task;		/* called by a task that is no thread of the kernel's */
	u64 task;
	u32 ticks;		/* of the guest's clock, since it has last called */
	u32 atomic_ticks;	/* since it was called, where it must not sleep */
	/* Locks that it holds, the last one last. */
	u32 nr_locks;
	struct chariot_held locks[32];
	/* Objects that it got beside its arguments; the last ones. */
	u32 nr_got, nr_past, nr_lent;
	bool has_jumped;
	u64 when;		/* it was called, by the domain's clock */
	struct {		/* library code that it has called, and that runs */
		u64 rip, rsp;	/* when it has returned; rip 0: none */
		u64 fn, args[6];
		bool tail;
	} library;
	/* From here on not cleared. */
	struct {
		u64 at;
		const struct chariot_op *op;	/* what its sub says of them */
	} got[64];
	struct chariot_past {	/* functions that it has called, the last ones (ask.c) */
		u64 fn, args[6], result;
		u64 when;	/* by the domain's clock */
	} past[21];	/* so that it has 4096 bytes */
	struct chariot_past jumped;	/* a function of the driver, by the kernel */
	struct {		/* granted for the call */
		u64 gva, len;
	} lent[8];
};
static_assert(sizeof(struct chariot_entry) <= 4096);

/* Driver code that waits on a stack: for a function that it has called, or for
 * the end of an interrupt.  It owns the entry it belongs to. */
struct chariot_frame {
	struct rb_node node;	/* in the domain's, by rsp */
	struct chariot_entry *entry;
	const struct chariot_gate *gate;	/* NULL: no actions */
	bool interrupt;
	bool tail;		/* then it returns to the kernel at once */
	u64 rip, rsp;		/* when the driver runs again */
	u64 fn;			/* that was called; 0: an interrupt, or not known */
	u64 left;		/* rsp of kernel code in the driver's view that left
				 * it: @rip, @rsp are a guess from the stack; or 0 */
	u64 park;		/* @rip is the domain's "ret", which goes on there; 0: no */
	const struct chariot_lock *lock;	/* that the call takes; or NULL */
	u64 args[6];
};

/* Of a driver; recover.c has the transitions. */
enum chariot_state {
	CHARIOT_RUNS,
	CHARIOT_FAILED,			/* does not run any more, */
	CHARIOT_STOPS,			/* but to clean up; */
	CHARIOT_BROKEN,			/* which went wrong; */
	CHARIOT_HELD,			/* and so its module stays */
};

/* A module of a domain (part.c), with its own tables. */
struct chariot_part {
	struct chariot_cache *cache;	/* mode inline; else NULL */
	char name[CHARIOT_NAME_LEN];
	u32 slot;			/* in the domain's parts[] */
	struct chariot_range *ranges;
	struct chariot_gate *gates, *entries;	/* sorted by gva */
	struct chariot_op *ops;
	u32 nr_ranges, nr_gates, nr_entries, nr_ops, nr_rules;
	u64 ret, init_ret;	/* ret.h, in its text and in that of its init */
	u64 len;			/* of its ranges, bytes */
	size_t tables;			/* bytes */

	/* recover.c */
	struct chariot_recover recover;
	struct chariot_stand_in *stand_ins;
	struct chariot_lock *locks;
	u32 nr_stand_ins, nr_locks;
};

/* Numbers of ops are those of all of a domain's tables: chariot_op_at(). */
#define CHARIOT_OPS_SHIFT	16
static_assert(CHARIOT_MAX_OPS == 1 << CHARIOT_OPS_SHIFT);

struct chariot_domain {
	struct chariot_vm *vm;
	unsigned int nr;		/* also its view */
	unsigned int library;		/* the view of library code that it calls; 0: none */
	char name[CHARIOT_NAME_LEN];
	u32 verdict;
	u32 mode;			/* CHARIOT_MODE_* */

	struct xarray exec;		/* gfns executable in the view; RCU */
	struct xarray library_exec;	/* and in that of library code; RCU */
	struct xarray open;		/* gfns open beside the ACT (open.c); RCU */
	struct chariot_act act;

	struct chariot_part *parts[CHARIOT_MAX_MODULES];	/* NULL: free */
	u32 nr_slots;			/* none is behind */
	struct chariot_kernel kernel;
	struct chariot_cr cr;
	size_t tables;			/* bytes */
	u64 memory;			/* bytes, its part of vm->memory */

	/* recover.c */
	struct chariot_recover recover;	/* of the part that came last, but for what is the
					 * tables': flags are those that all have */
	enum chariot_state state;
	bool deaf;			/* its interrupt handlers do not run */
	u64 exit_tasks[2];		/* that clean up: a device, all */
	struct chariot_held *resources;	/* the last one last */
	u32 nr_resources;
	bool lost_resource;		/* there was no room */
	bool powered;			/* it has taken one that is CHARIOT_LOCK_POWER */
	u64 tell_refused;		/* when stats.refused has come so far */
	u32 nr_once;
	struct {
		u64 fn, arg, undo;
	} once[8];			/* done already: CHARIOT_STAND_IN_ONCE */

	struct chariot_gone gone_back;	/* what it has freed */
	u64 clock;			/* calls, returns and frees so far */
	struct rb_root frames;		/* frame.c */
	u64 nr_frames;
	u64 run_pages;			/* granted by the gate that runs */
	struct {
		u64 page, gpa;		/* page + 1; 0: none */
	} walked[8];			/* page tables, by its ops (op.c) */
	u32 ask_misses;			/* questions that were of no use, less with time */
	unsigned long ask_since;	/* jiffies */
	struct chariot_stats stats;
	bool gone;			/* dropped: in vm->gone until vm->lock is free */
	struct list_head gone_node;
	struct rcu_work free;
};

/* Calls of an interrupt handler that follow each other (storm.c). */
struct chariot_storm {
	const struct chariot_gate *gate;	/* the handler; NULL: none */
	bool runs;				/* the last one has not returned */
	u64 halts;				/* of the vCPU, up to the last one */
	u64 where[5];				/* what they interrupt */
	u32 calls;				/* at the same place */
};

/* KVM's emulator operations, of which some are ours. */
struct chariot_ops {
	struct chariot_vcpu *vs;	/* whose emulator it is */
	const void *kvm_ops;		/* KVM's own */
	u8 table[LAYOUT_OPS_SIZE] __aligned(8);
};

/* One for each vCPU; only its own thread uses what is not under the lock. */
struct chariot_vcpu {
	struct rcu_head rcu;
	struct chariot_vm *vm;
	struct kvm_vcpu *vcpu;
	unsigned int view;		/* 0: kernel view */
	struct chariot_entry *entry;	/* of the driver code that runs */
	u64 root;			/* gfn of the page tables' top, in a driver view */
	u64 found, found_len;		/* what an argument granted last */
	struct chariot_storm storm;
	struct {		/* a hypercall of a driver in mode inline (inline.c) */
		u32 domain;	/* 0: none */
		u64 rip, rsp;	/* of the driver */
	} inlined;

	struct {
		u64 rip, gva, when;
		u32 len, why;
		bool never;	/* the answer: no driver does that */
		bool granted;	/* or something was, meanwhile; */
		u32 again;	/* so often already */
	} asked;			/* last, and not yet looked at the answer */
	u64 wait_seq;			/* event that it waits for, 0: none */
	bool wait_done;
	unsigned long wait_until;	/* jiffies */

	/* Own thread only. */
	struct chariot_ops ops;
	bool emulating;			/* a write that faulted */
	bool pausing;			/* the emulator was stopped to wait */
	bool failing;			/* or for the driver to fail */
};

/* An instruction of the guest's kernel that is not passed unseen (watch.c). */
struct chariot_point {
	u64 gva, gpa;			/* gva 0: none */
	u8 insn[8];			/* what is behind its ftrace site */
};

struct chariot_vm {
	struct hlist_node node;		/* in the table of VMs; RCU */
	struct kref ref;
	struct rcu_head rcu;
	struct kvm *kvm;
	pid_t pid;			/* of the VMM, in the initial namespace */
	u32 nr_handles;			/* under vms_lock */
	/* Left to do by whoever holds the lock next, or now (life.c). */
	bool ended;			/* the last handle is closed */
	u64 unwatch;			/* this handle is closed, which watched */

	struct mutex lock;
	bool reset;			/* left to do by who holds it: drop all, */
	bool stuck;			/* or fail: a permission cache cannot be written, */
	u32 drop;			/* or of this domain */
	u64 drop_at;			/*	the module whose exit is there */
	bool dead;
	struct list_head gone;		/* domains that were dropped */
	u64 memory;			/* bytes that its domains use */

	struct chariot_domain __rcu *domains[CHARIOT_NR_VIEWS];	/* by its views */
	unsigned int nr_domains;
	u32 nr_frames;			/* of all domains */
	struct xarray text;		/* gfn -> domain number, CHARIOT_RUNS_INLINE or
					 * CHARIOT_WATCH_VIEW; RCU */
	struct xarray blocks;		/* 2M blocks that are mapped 4K (view.c) */
	u32 nr_blind;			/* of these, those without memory */
	u64 slots;			/* generation of KVM's slots that they are of */
	struct xarray vcpus;		/* vcpu_idx -> struct chariot_vcpu */

	/* watch.c */
	u64 watcher;			/* the handle that watches; 0: none */
	u32 watch;			/* CHARIOT_WATCH_* */
	u32 timeout_ms;
	struct chariot_point load, oops, image;
	struct list_head images;	/* image.c */
	u64 image_fn, image_ret;	/* what is called there; a "ret" on that page */
	u32 nr_told;
	struct {
		u64 rsp, module;
	} told[8];			/* LOAD events, the last ones */
	struct chariot_cr cr;		/* of the kernel, seen last */
	u64 lstar;

	/* recover.c */
	struct list_head calls;		/* of guest functions, that have not returned */
	u64 trap;
	struct {
		char name[CHARIOT_NAME_LEN];
		u64 since;		/* ns; 0: free */
	} down[CHARIOT_NR_VIEWS];	/* drivers that have failed */

	/* event.c */
	spinlock_t handles_lock;	/* handles */
	struct list_head handles;
	u64 seq;
	wait_queue_head_t wait;		/* vCPUs that wait for CONTINUE */

	struct chariot_stats stats;	/* of domains that are gone */
};

/* Where the watched functions run (watch.c); domains have those below. */
#define CHARIOT_WATCH_VIEW	(CHARIOT_NR_VIEWS - 1)
/* In vm->text, with the domain's number: mode inline, the kernel view has it. */
#define CHARIOT_RUNS_INLINE	0x100

unsigned int chariot_vms_count(void);

/*
 * Give @h, which is all zero but for its FIFO and id, to the VM of @kvm; take it
 * away: true if it was the last one.  Neither waits for vm->lock.
 */
int chariot_vm_attach(struct kvm *kvm, struct chariot_handle *h);
bool chariot_vm_detach(struct chariot_handle *h);
/* NULL: not attached.  find() needs rcu_read_lock() while the result is used. */
struct chariot_vm *chariot_vm_find(const struct kvm *kvm);
bool chariot_vm_attached(const struct kvm *kvm);
struct chariot_vm *chariot_vm_get(struct kvm *kvm);
void chariot_vm_put(struct chariot_vm *vm);

/* -EINTR: the caller was killed.  Who holds it may wait for guest memory. */
int chariot_vm_lock(struct chariot_vm *vm);
/* Does what was left to do (struct chariot_vm), and frees dropped domains. */
void chariot_vm_unlock(struct chariot_vm *vm);
/* That is left to do: now, or by who has the lock. */
void chariot_vm_try_finish(struct chariot_vm *vm);
/* Under the lock, before it is given back.  Set once, at load: it is above us. */
void chariot_vm_finish_by(void (*fn)(struct chariot_vm *vm));

/* Under vm->lock from here on. */
struct chariot_vcpu *chariot_vcpu_of(struct chariot_vm *vm,
				     struct kvm_vcpu *vcpu);
struct chariot_domain *chariot_domain_of(struct chariot_vm *vm, u32 nr);
/* That with this view. */
struct chariot_domain *chariot_domain_in(struct chariot_vm *vm, u32 view);

/* In one of its views. */
static inline bool chariot_runs(const struct chariot_vcpu *vs,
				const struct chariot_domain *dom)
{
	return vs->view == dom->nr || (vs->view && vs->view == dom->library) ||
	       vs->inlined.domain == dom->nr;
}

/* Whose code runs on it, or waits there. */
static inline struct chariot_domain *chariot_domain_on(const struct chariot_vcpu *vs)
{
	return chariot_domain_in(vs->vm, vs->view ?: vs->inlined.domain);
}

/* Where that is, when something is told of it. */
static inline u64 chariot_vcpu_rip(const struct chariot_vcpu *vs)
{
	return vs->inlined.domain ? vs->inlined.rip :
				    kvm_call(kvm_get_linear_rip)(vs->vcpu);
}

static inline u64 chariot_vcpu_rsp(const struct chariot_vcpu *vs)
{
	return vs->inlined.domain ? vs->inlined.rsp :
				    chariot_reg_read(vs->vcpu, VCPU_REGS_RSP);
}

/* In SMM or in a nested guest: KVM's business alone. */
static inline bool chariot_vcpu_elsewhere(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hflags & (HF_GUEST_MASK | HF_SMM_MASK);
}

struct chariot_cr chariot_vcpu_cr(struct kvm_vcpu *vcpu);

#endif
