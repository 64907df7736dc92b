/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Chariot: isolation of guest kernel drivers by the KVM host.
 *
 * This header is the manual of /dev/chariot.  Every structure starts with
 * @argsz, the size of the structure in bytes as the caller knows it, and @flags.
 * Structures grow at their end (Documentation/api.rst, "Versions"): a member that
 * the caller does not have counts as 0, and one that the module does not have must
 * be 0.  No more than @argsz bytes are read or written, and "out" members that the
 * module does not have stay as they are.  A call fails with
 *
 *   ENOTTY  the number is none of this version;
 *   EINVAL  @argsz is less than the structure had when its version was first
 *           published, an unknown flag is set, a reserved field is not zero, or a
 *           value is out of range;
 *   EFAULT  a pointer does not lead to memory of the caller, or a guest
 *           address is not mapped by the guest;
 *   E2BIG   a member that the module does not have is not 0, or @argsz is more
 *           than a page (4096); a table has more rows than CHARIOT_MAX_* allows;
 *   ENOSPC  the VM has CHARIOT_MAX_MEMORY, or 4096 blocks of 2 MiB of addresses
 *           where it has no memory are named;
 *   EINTR   the caller was killed;
 *   ENOENT  no such domain, vCPU or event;
 *   ESHUTDOWN  the isolation of this VM was switched off, after a failure of
 *           our own or because the VM is going away.
 *
 * and a call that fails changes nothing; only MEM and ACT_READ may have copied a part.
 * Guest addresses are guest-virtual (gva) in the guest kernel's address space, or
 * guest-physical (gpa); lengths are in bytes.
 *
 * Words: a *VM* is a KVM virtual machine.  A *domain* is one isolated driver
 * in one VM; its number, 1 and up, is also the number of its *view*, the
 * second-stage page tables it runs in.  View 0 is the *kernel view*.  A domain with
 * ranges of kind LIBRARY has a second view.
 */
#ifndef _UAPI_LINUX_CHARIOT_H
#define _UAPI_LINUX_CHARIOT_H

#include <linux/types.h>
#include <linux/ioctl.h>

/*
 * 1: load_gva and recover.oops were nops
 * 2: a structure's size was part of the number of its call; the mode was a flag
 */
#define CHARIOT_API_VERSION	3
#define CHARIOT_NAME_LEN	56	/* MODULE_NAME_LEN of Linux, 64-bit */

#define CHARIOT_MAX_RANGES	4096
#define CHARIOT_MAX_GATES	65536
#define CHARIOT_MAX_OPS		65536
#define CHARIOT_MAX_OBJECT	(1ULL << 30)	/* bytes in one grant */
#define CHARIOT_MAX_CHECKS	64		/* CHECKs and LEN_STRINGs of one gate */
/* Of one VM, all its domains together (Documentation/limits.rst): */
#define CHARIOT_MAX_FRAMES	8192		/* calls and interrupts under way */
#define CHARIOT_MAX_MEMORY	(256ULL << 20)	/* bytes of the host, for tables and ACTs */

/*
 * Numbers tell neither direction nor size, which may change: beside each one is
 * its structure, and whether it is only read (in) or also written (in, out).
 */
#define CHARIOT_IOC		0xCB

/* ---- /dev/chariot ------------------------------------------------------ */

/*
 * CHARIOT_INFO: what this host can do.  Its number, and the structure up to
 * @api_version, are the same in all versions from 3 on.
 */
struct chariot_info {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 api_version;		/* out: CHARIOT_API_VERSION */
	__u32 max_domains;		/* out: views beside the kernel view */
	__u32 nr_vms;			/* out: VMs that are attached now */
	__u32 reserved;
	__u64 caps;			/* out: CHARIOT_CAP_* */
};
#define CHARIOT_CAP_NPT		(1ULL << 0)	/* AMD nested paging */
#define CHARIOT_CAP_EPT		(1ULL << 1)	/* Intel EPT */
#define CHARIOT_CAP_SHADOW	(1ULL << 2)	/* shadow paging */
#define CHARIOT_CAP_INLINE	(1ULL << 3)	/* CHARIOT_MODE_INLINE */

/*
 * CHARIOT_ATTACH: a handle on a VM.  @vm_fd is a KVM VM descriptor
 * ("anon_inode:kvm-vm").  With a handle all of the guest's memory is read and
 * written, so the caller must be a thread of the VMM, or allowed to ptrace it
 * (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS); a handle itself can be passed on to
 * anybody.  Returns a new
 * descriptor, the *handle*; a second attach to the same VM gives a second
 * handle on the same state.  Nothing in the VM changes by attaching.  When
 * the last handle is closed all domains of the VM are dropped.
 *
 * EBADF   @vm_fd is no open file
 * ENOTTY  @vm_fd is not a KVM VM
 * EPERM   the VM is another process's, which the caller may not ptrace
 * EOPNOTSUPP  the VM's registers are protected (SEV-ES, SEV-SNP).  The memory of
 *         a plain SEV VM cannot be read: attach works, nothing is found there.
 */
struct chariot_attach {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__s32 vm_fd;
	__u32 reserved;
};

#define CHARIOT_INFO		_IO(CHARIOT_IOC, 0x00)	/* in, out: chariot_info */
#define CHARIOT_ATTACH		_IO(CHARIOT_IOC, 0x01)	/* in: chariot_attach */

/* ---- the VM handle ----------------------------------------------------- */

/* CHARIOT_VM_INFO: state of the VM. */
struct chariot_vm_info {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 state;			/* out: CHARIOT_VM_* */
	__u32 nr_vcpus;			/* out */
	__u32 vmm_pid;			/* out: pid of the VMM, in the initial namespace */
	__u32 domains;			/* out: bit n: domain n exists */
	__u32 watch;			/* out: CHARIOT_WATCH_* armed */
	__u32 nr_handles;		/* out */
	/* Of the KERNEL event, 0 before; cr3 and cr4 as CHARIOT_WATCH gave them
	 * since, which outlast the process that the vCPU then ran. */
	__u64 cr3, cr4, lstar;		/* out */
	__u64 events_lost;		/* out: of this handle */
};
enum {
	CHARIOT_VM_PLAIN,		/* attached, nothing isolated */
	CHARIOT_VM_ISOLATING,		/* at least one domain */
	CHARIOT_VM_DEAD,		/* isolation switched off, see the ERROR event */
};

/*
 * CHARIOT_MEM: read or write guest-physical memory.  Bytes are copied between
 * @gpa and @buf; the call fails with EFAULT when not all could be copied.
 * Works from every process that has the handle.
 */
struct chariot_mem {
	__u32 argsz;
	__u32 flags;			/* CHARIOT_MEM_WRITE or 0 */
	__u64 gpa;
	__u64 len;			/* at most CHARIOT_MEM_MAX */
	__u64 buf;			/* pointer */
};
#define CHARIOT_MEM_WRITE	(1U << 0)
#define CHARIOT_MEM_MAX		(1U << 26)

/*
 * CHARIOT_WATCH: what to stop the guest for.  Replaces the handle's earlier
 * request; @flags 0 disarms.  One handle of a VM can watch: EBUSY for others,
 * and for another @load_gva while LOAD is armed.
 *
 * KERNEL: the next vCPU that is seen to run a 64-bit kernel with its system
 *   call entry set (LSTAR) waits, once, and a KERNEL event is sent.
 * LOAD: a vCPU that arrives at @load_gva, the first instruction of the guest's
 *   do_init_module(), waits, each time, and a LOAD event is sent.  @cr3 and @cr4
 *   say with which page tables @load_gva is looked up.  Nothing is written into
 *   the guest: the page of @load_gva cannot be executed but in a view of its own.
 *   So a call from the same page is not seen.
 *
 * IMAGE: only with LOAD.  A vCPU that has executed the instruction at @image_site, a call
 *   of @image_gva, waits before that function begins, each time, and an IMAGE event is
 *   sent: with the function with which the guest's loader begins (module_sig_check(), in
 *   load_module()), what it is about to read can be exchanged.  The two are on different
 *   pages; that of @image_site cannot be executed, as with LOAD.  CHARIOT_CALL and
 *   CHARIOT_CONTINUE_RETURN are for this event.
 *
 * ASK: before a driver's write to an address that nothing allows is a violation,
 *   and before a function is called that would give back what the driver does not
 *   have, the vCPU waits, and an ASK event is sent.  What CHARIOT_GRANT has added
 *   when it goes on is allowed; else it is a violation.
 *
 * A waiting vCPU goes on after CHARIOT_CONTINUE, or after @timeout_ms (an
 * ERROR event tells).  EFAULT: @load_gva is not mapped, or not executable; EEXIST:
 * a driver's text is there; ENOEXEC: no "ret" is on the page of @image_site, or
 * @image_gva is on a page that is watched.
 */
struct chariot_watch {
	__u32 argsz;
	__u32 flags;			/* CHARIOT_WATCH_* */
	__u32 timeout_ms;		/* 1 .. 600000 */
	__u32 reserved;
	__u64 load_gva;
	__u64 cr3, cr4;
	__u64 image_gva, image_site;	/* IMAGE; else 0 */
};
#define CHARIOT_WATCH_KERNEL	(1U << 0)
#define CHARIOT_WATCH_LOAD	(1U << 1)
#define CHARIOT_WATCH_ASK	(1U << 2)
#define CHARIOT_WATCH_IMAGE	(1U << 3)

/* CHARIOT_CONTINUE: let the vCPU go on that waits for event @seq. */
struct chariot_continue {
	__u32 argsz;
	__u32 flags;			/* one of CHARIOT_CONTINUE_*, or 0 */
	__u64 seq;
	__u64 value;			/* RETURN; else 0 */
};
#define CHARIOT_CONTINUE_NEVER	(1U << 0)	/* ASK: no driver writes there: skip it, if the verdict
						 * is report */
#define CHARIOT_CONTINUE_RETURN	(1U << 1)	/* IMAGE: the function does not run, it returns
						 * @value.  EINVAL: another event */

/*
 * Guest constants that gate actions need; all found by the caller in the
 * guest's own symbols and types.  Zero where the guest has none.
 */
struct chariot_kernel {
	__u64 cr3, cr4;			/* page tables that map the kernel */
	__u64 page_offset;		/* direct map: virtual address of gpa 0 */
	__u64 vmemmap_base;		/* struct page of pfn 0 */
	__u64 page_struct_size;		/* sizeof(struct page) */
	__u64 percpu_offsets;		/* gva of __per_cpu_offset[] */
	__u64 nr_cpus;			/* entries in use there */
	__u64 preempt_count;		/* per-CPU offset of the preempt count */
	__u64 stack_size;		/* THREAD_SIZE */
	__u64 text_start, text_end;	/* kernel text */
	__u64 current_task;		/* per-CPU offset of the running task */
	__u64 irq_regs;			/* per-CPU offset of the struct pt_regs * of what is
					 * interrupted; 0: not known */
	__u64 reserved[2];
};

/* A range of guest-virtual memory and what it is to a domain. */
struct chariot_range {
	__u64 gva;
	__u64 len;
	__u32 kind;			/* CHARIOT_RANGE_* */
	__u32 flags;			/* 0 */
};
enum {
	CHARIOT_RANGE_TEXT,		/* the driver's code; whole pages */
	CHARIOT_RANGE_INIT_TEXT,	/* same, until init has returned */
	CHARIOT_RANGE_DATA,		/* section that the driver may write */
	CHARIOT_RANGE_INIT_DATA,	/* same, until init has returned */
	CHARIOT_RANGE_INHERIT,		/* kernel code that runs in the driver view */
	CHARIOT_RANGE_INTR,		/* the guest's interrupt and exception entry */
	CHARIOT_RANGE_RULE,		/* bytes granted by a rule of the policy */
	CHARIOT_RANGE_LIBRARY,		/* kernel code that runs, when it is called by a
					 * GATE_LIBRARY, in the domain's second view */
	CHARIOT_NR_RANGE_KINDS
};

/*
 * One step of a gate action.  At a call, values are the six integer arguments
 * and the return value of the called function; in ops that a WALK runs, THIS is
 * the element; CURRENT is for rules.
 *
 *   base = value[base]; for each deref: base = *(u64 *)(base + deref[i]);
 *   base += offset; then @map;
 *   len  = len_mul * ((V >> len_shift) + W) + len_add, where V is by @len_kind,
 *          and W is 0 but for LEN_FIELD_SUM.
 *
 * With LEN_ARG and LEN_ARG_MUL, bit n of @len_off tells that arg[n] has 32 bits
 * only: the upper half of its register means nothing.
 *
 * A base that is NULL or an ERR_PTR() makes the step do nothing; so does a
 * dereference that the guest does not map.
 */
struct chariot_op {
	__u8  op;			/* CHARIOT_OP_* */
	__u8  phase;			/* CHARIOT_PHASE_* */
	__u8  base;			/* CHARIOT_ARG(0..5), CHARIOT_RET; in ops that a WALK
					 * or REACH runs CHARIOT_THIS, in rules
					 * CHARIOT_CURRENT */
	__u8  nr_deref;			/* 0..2 */
	__u8  map;			/* CHARIOT_MAP_* */
	__u8  len_kind;			/* CHARIOT_LEN_* */
	__u8  len_a, len_b;
	__s32 deref[2];
	__s32 offset;
	__s32 len_off;
	__u64 len_mul;
	__u64 len_add;
	__u32 sub;			/* WALK, REACH: index of the first op, else 0 */
	__u16 nr_sub;
	__u16 stride;			/* WALK: bytes from one element to the next */
	__u32 len_shift;		/* 0..63 */
	__u32 flags;			/* WALK: CHARIOT_WALK_NOW; CHECK: CHARIOT_CHECK_IN();
					 * REVOKE: CHARIOT_REVOKE_FREE; else 0 */
};
enum {
	CHARIOT_OP_GRANT,		/* [base, base + len) belongs to the domain */
	CHARIOT_OP_REVOKE,		/* the object that starts at base is gone; POST:
					 * unless the function returns NULL or an error.
					 * With a length (PRE, MAP_NONE or MAP_PAGE) the
					 * function gives back so many bytes: as CHECK,
					 * not more pages than were allocated. */
	CHARIOT_OP_CHECK,		/* the function writes [base, base + len) for the
					 * driver: all of it must be granted.  PRE only, at
					 * most one deref.  Where the verdict skips, the
					 * function is not run and returns value[deref[1]],
					 * or 0 when deref[1] is CHARIOT_RET. */
	CHARIOT_OP_HAND,		/* the kernel hands [base, base + len) over: as
					 * GRANT, and in the ACT (SRC_ARGUMENT) until it
					 * is revoked, or 8192 others were handed over;
					 * from a WALK only when it is written.  Not in
					 * the ACT if it is outside the direct map (a
					 * stack), not when the function failed. */
	CHARIOT_OP_LEND,		/* the same, wherever it is */
	CHARIOT_OP_REACH,		/* POST: until the driver's function returns it
					 * may write what ops[sub], nr_sub of them, say
					 * of THIS = base */
	CHARIOT_OP_WALK,		/* run ops[sub], nr_sub of them, for each of len
					 * elements from base on.  At most 4 deep. */
	CHARIOT_NR_OPS
};
#define CHARIOT_CHECK_IN(n)	(((n) + 1U) << 4)	/* CHECK: and, if arg n (0..5) points
						 * into an object of the domain, in the
						 * same one */
#define CHARIOT_CHECK_IN_OF(flags) (((flags) >> 4) - 1U)	/* that n, of flags but 0 */
#define CHARIOT_REVOKE_FREE	(1U << 0)	/* REVOKE: for good: it is a violation (WHY_FREE),
						 * if whoever is asked (watch ASK) does not say
						 * that the driver has it.  PRE, MAP_NONE. */
#define CHARIOT_WALK_NOW	(1U << 0)	/* entry: HAND and LEND of each
						 * element when the driver is called,
						 * and not when it writes */
enum {
	CHARIOT_PHASE_PRE,		/* before the function runs */
	CHARIOT_PHASE_POST,		/* when it has returned */
	CHARIOT_PHASE_CALLBACK,		/* GRANT only, while it runs: for a function
					 * of the driver that it calls; base is an
					 * argument of that one */
	CHARIOT_NR_PHASES
};
#define CHARIOT_ARG(n)		(n)
#define CHARIOT_RET		6
#define CHARIOT_THIS		7	/* element of a WALK */
#define CHARIOT_CURRENT		8	/* the running task; rules only */
enum {
	CHARIOT_MAP_NONE,		/* base is the address */
	CHARIOT_MAP_PAGE,		/* struct page *: the page in the direct map */
	CHARIOT_MAP_PERCPU,		/* per-CPU pointer: one object for each CPU */
	CHARIOT_MAP_OBJECT,		/* REVOKE: the object that base lies in */
	CHARIOT_NR_MAPS
};
enum {
	CHARIOT_LEN_CONST,		/* V = 0 */
	CHARIOT_LEN_ARG,		/* V = arg[len_a] */
	CHARIOT_LEN_ARG_MUL,		/* V = arg[len_a] * arg[len_b] */
	CHARIOT_LEN_ORDER,		/* V = 1 << arg[len_a] */
	CHARIOT_LEN_FIELD,		/* V = (len_b bytes, 1 2 4 8) at value[len_a] + len_off */
	CHARIOT_LEN_STRING,		/* V = strlen(value[len_a]) */
	CHARIOT_LEN_FIELD_SUM,		/* that, and W = (len_b bytes) at value[len_a] +
					 * deref[1]; at most one deref */
	CHARIOT_LEN_FIELD_AT,		/* V = (len_b bytes) at deref[1] + the pointer at
					 * value[len_a] + len_off; at most one deref */
	CHARIOT_LEN_LIST,		/* WALK: as many as there are; the next one is
					 * *(u64 *)(element + len_off) - stride; NULL
					 * or the first one again ends */
	CHARIOT_NR_LENS
};

/*
 * A point where driver and kernel meet.  In the domain's gate table it is a
 * kernel function that the driver may call, in its entry table a function of
 * the driver that the kernel may call; there are GRANT, for the time of the call,
 * HAND, LEND and WALK, PRE only.
 */
struct chariot_gate {
	__u64 gva;
	__u32 op;			/* index of its first op */
	__u16 nr_ops;
	__u16 flags;			/* CHARIOT_GATE_* */
};
#define CHARIOT_GATE_INIT	(1U << 0)	/* entry: the module's init */
#define CHARIOT_GATE_EXIT	(1U << 1)	/* entry: the module's exit */
#define CHARIOT_GATE_BALANCED	(1U << 2)	/* entry: returns with the preempt count that it
						 * was called with; verdict RECOVER */
#define CHARIOT_GATE_REMOVE	(1U << 3)	/* entry: takes the driver from a device; that a
						 * task may have of a driver that has failed */
/* entry: what it returns when the driver has failed, chariot_recover.returns[n] */
#define CHARIOT_GATE_RETURN(n)	((n) << 4)	/* 0..7 */
#define CHARIOT_GATE_RETURN_OF(flags) (((flags) >> 4) & 7)	/* that n */
#define CHARIOT_GATE_REQUEST	(1U << 7)	/* entry: is told of an error when it fails, and
						 * cleans nothing up */
/* entry: what is done in its place then, chariot_recover.stand_ins[n - 1] */
#define CHARIOT_GATE_STAND_IN(n) ((n) << 8)	/* 1..15, 0: nothing */
#define CHARIOT_GATE_STAND_IN_OF(flags) (((flags) >> 8) & 15)	/* that n */

#define CHARIOT_GATE_LIBRARY	(1U << 12)	/* gate: it writes what the driver may, in a view
						 * in which RANGE_LIBRARY and RANGE_INHERIT can be
						 * executed; an ordinary call where no view is free */

/*
 * How a driver is recovered (CHARIOT_VERDICT_RECOVER).  When it does what it may
 * not, or when the guest's kernel is about to die of what it does (@oops), the
 * driver's function that the kernel has called last returns at once: the caller's
 * registers and stack, a result that tells of an error, the preempt count and the
 * interrupt flag as they were, the locks that it took since released.  A FAULT
 * event is sent.  From then on the kernel's calls into the driver return so
 * without running it, and driver code that waits somewhere does not run on, until
 * the module's exit function is called: the driver then runs to clean up,
 * isolated, what it does wrong being skipped.  @restart is called to make that
 * happen, in the context of the fault, which can be any but NMI.
 *
 * Functions of the guest that are called for this return to @trap: 4 bytes of
 * kernel text that nothing else executes, a hypercall instruction and a "ret",
 * which the caller has put there.  Without us the "ret" goes on.
 */
struct chariot_call {
	__u64 fn;			/* gva; 0: none */
	__u64 arg[6];
};
/*
 * CHARIOT_CALL: have the guest call @call.fn before the vCPU goes on that waits for IMAGE
 * event @seq.  When that function has returned, a vCPU waits again, another one if the
 * guest wants, and a further IMAGE event with CHARIOT_EV_RETURNED is sent: answer it with
 * CALL or CONTINUE.  In between the guest runs: the function may sleep, take as long as it
 * likes, or never return.  CONTINUE has the loader's function run, as if nothing had been
 * called, or return.
 *
 * A call returns to a "ret" on the page of @image_site.  So if the watch ends before it has
 * returned, the guest goes on without us: it is then as if the loader's function had
 * returned what @call.fn does, or -EINTR when nothing was called yet.
 *
 * ENOENT  no vCPU waits for it, or it is no IMAGE event
 * EFAULT  @call.fn is not mapped, or not executable
 * EINVAL  it is on a page that is watched
 */
struct chariot_call_guest {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u64 seq;
	struct chariot_call call;
	__u64 cookie;			/* is in the event */
};

struct chariot_stand_in {		/* call fn(arg, value) */
	__u64 fn;
	__u64 value;
	__u32 arg;			/* 0..5: of the function that it stands in for */
	__u32 flags;			/* CHARIOT_STAND_IN_* */
	__u32 test_off;			/* with TEST: only if *(u32 *)(arg + test_off) */
	__u32 test_mask;		/*	has one of these bits */
	__u64 undo;			/* with ONCE: called when exit is; 0: nothing */
};
#define CHARIOT_STAND_IN_TEST	(1U << 0)
#define CHARIOT_STAND_IN_RAN	(1U << 1)	/* also when the function has begun to run */
#define CHARIOT_STAND_IN_ONCE	(1U << 2)	/* once for each value of the argument */
#define CHARIOT_STAND_IN_IRQ	(1U << 3)	/* for an interrupt handler: CHARIOT_WHY_LOOP */
#define CHARIOT_STAND_IN_OFF	(1U << 4)	/* once the device is off (CHARIOT_LOCK_POWER); the
						 * function returns 0 then.  If it fails while the
						 * driver cleans up, the driver cannot clean up */
/*
 * What the driver takes by calling a function and gives back by another: locks,
 * which are its function's that is running, and resources, which are the driver's.
 */
struct chariot_lock {
	__u64 gva;			/* kernel function that takes or gives back */
	__u64 release;			/* what gives back what it takes; 0: it gives back */
	__u8  arg[3];			/* of @release: CHARIOT_ARG(n), CHARIOT_RET of
					 * the function that takes, CHARIOT_NO_ARG, or
					 * CHARIOT_LOCK_CONST(n) */
#define CHARIOT_LOCK_CONST(n)	(0x80 | (n))	/* 0..127 */
#define CHARIOT_LOCK_IS_CONST(arg) (((arg) & 0x80) != 0)
#define CHARIOT_LOCK_CONST_OF(arg) ((arg) & 0x7f)	/* that n */
	__u8  when;			/* CHARIOT_LOCK_* */
	__u32 flags;			/* CHARIOT_LOCK_* */
};
#define CHARIOT_NO_ARG		7
#define CHARIOT_LOCK_SPINS	(1U << 0)	/* given back with interrupts off */
#define CHARIOT_LOCK_RESOURCE	(1U << 1)	/* the driver's; given back when it could not
						 * clean up */
#define CHARIOT_LOCK_RUNS	(1U << 2)	/* and has the kernel call the driver: given
						 * back as soon as that is known */
#define CHARIOT_LOCK_PANICS	(1U << 3)	/* neither: the guest's kernel ends there, and
						 * the driver shall fail when it calls it */
#define CHARIOT_LOCK_QUEUED	(1U << 4)	/* its first argument is a struct qspinlock *;
						 * where there cannot be one the driver fails
						 * (CHARIOT_WHY_WRITE) */
#define CHARIOT_LOCK_DEVICE	(1U << 5)	/* a resource, that of the device that is the first
						 * argument: given back when the device is taken
						 * from a driver that has failed (REMOVE) */
#define CHARIOT_LOCK_POWER	(1U << 6)	/* and without it the device is off, and writes no
						 * memory any more */
#define CHARIOT_LOCK_SLEEPS	(1U << 7)	/* the function sleeps, each time: where that must
						 * not be the driver fails (CHARIOT_WHY_ATOMIC).
						 * Without @release: it gives nothing back */
enum {
	CHARIOT_LOCK_ALWAYS,
	CHARIOT_LOCK_TRUE,		/* if it returns a (32-bit) value but 0 */
	CHARIOT_LOCK_ZERO,		/* if it returns 0 */
	CHARIOT_NR_LOCK_WHENS
};
struct chariot_recover {
	__u64 trap;
	__u64 oops;			/* gva of oops_enter(), where the kernel comes
					 * from another page when it has no answer to an
					 * exception; 0: not looked at */
	__u64 hold;			/* called, again and again, with UINT_MAX in place of
					 * the return from an exit that went wrong, if not
					 * COMPLETE: the module must not be freed;
					 * schedule_timeout_idle() */
	/* Called before, and @restart after: what makes room for another module of
	 * that name; a fn may be 0, but for all: no room is made.  The domain is then
	 * called NAME~held. */
	struct chariot_call replace[3];
	__s64 returns[8];
	struct chariot_call restart;
	__u64 stand_ins;		/* struct chariot_stand_in[] */
	__u64 locks;			/* struct chariot_lock[], by gva */
	__u32 nr_stand_ins;		/* at most CHARIOT_MAX_STAND_INS */
	__u32 nr_locks;			/* at most CHARIOT_MAX_LOCKS */
	/* An exception in the idle task is entered with irq_enter(): what undoes it,
	 * and where task_struct has flags, of which @idle tells. */
	__u64 irq_exit;
	__u32 task_flags, idle;
	__u32 kthread;			/* of those flags: a thread of the kernel's own */
	__u32 flags;			/* CHARIOT_RECOVER_COMPLETE */
};
/* @locks has all by which the kernel could come to call the driver. */
#define CHARIOT_RECOVER_COMPLETE	(1U << 0)
#define CHARIOT_MAX_STAND_INS	15		/* CHARIOT_GATE_STAND_IN() */
#define CHARIOT_MAX_LOCKS	1024

/*
 * CHARIOT_DOMAIN_CREATE: isolate a driver.  Returns the domain's number.
 * Allowed at any time; a driver is isolated from its first instruction when
 * this is called while its LOAD event waits.
 *
 * EBUSY   all views are in use; another domain of the VM has another trap
 * ENOEXEC recover.trap is not a hypercall and a "ret"
 * EOPNOTSUPP  verdict RECOVER without @recover
 * EEXIST  a domain has text at these addresses already
 * E2BIG   more rows than CHARIOT_MAX_*, or ranges of more than
 *         CHARIOT_MAX_OBJECT bytes together
 */
struct chariot_domain_create {
	__u32 argsz;
	__u32 flags;			/* 0 */
	char  name[CHARIOT_NAME_LEN];	/* NUL-terminated */
	__u32 verdict;			/* CHARIOT_VERDICT_* */
	__u32 nr_ranges;
	__u32 nr_gates;
	__u32 nr_entries;
	__u32 nr_ops;
	__u32 nr_rules;			/* the first ops: GRANTs to all of the driver's
					 * code, base CHARIOT_CURRENT */
	__u64 ranges;			/* struct chariot_range[] */
	__u64 gates;			/* struct chariot_gate[] */
	__u64 entries;			/* struct chariot_gate[] */
	__u64 ops;			/* struct chariot_op[], of both tables */
	struct chariot_kernel kernel;
	__u32 defer;			/* objects that stay granted after their free, the
					 * last ones; CHARIOT_MAX_DEFER at most */
	__u32 mode;			/* CHARIOT_MODE_* */
	struct chariot_recover recover;	/* all 0: cannot be recovered */
	__u32 domain;			/* DOMAIN_ADD: which one; else 0 */
	__u32 reserved;
	char  module[CHARIOT_NAME_LEN];	/* of the module itself; "": it is called @name */
	/* MODE_INLINE, else all 0: of the module's image ("mode inline", below).  No range of
	 * data may have any of cache, data or runtime. */
	__u64 cache;			/* __u64[cache_lines], by 8: the permission cache */
	__u64 data;			/* struct chariot_inline_data, by 8 */
	__u64 runtime;			/* where its code begins, in a range of kind TEXT */
	__u64 left;			/* in it: where init and exit return to */
	__u64 stores;			/* struct chariot_store[], by @ret */
	__u64 functions;		/* __u64[]: gva of the kernel's function with gate n */
	__u32 cache_lines;		/* a power of 2, 64 to 65536 */
	__u32 runtime_len;
	__u32 nr_stores;
	__u32 nr_functions;
	__u32 inline_flags;		/* CHARIOT_INLINE_COMPARE or 0 */
	__u32 reserved2;
};
/* At each miss compare the cache with the ACT, and count (lines_differ).  Slow. */
#define CHARIOT_INLINE_COMPARE	(1U << 0)
#define CHARIOT_MAX_STORES	262144
/* A store that has a check before it. */
struct chariot_store {
	__u64 ret;			/* where the check has called the runtime from */
	__u64 rip;			/* the store itself */
	__u64 skip;			/* where to go on without it */
	__u32 len;			/* 1 to 64 bytes; of a string instruction, each time */
	__u32 pushed;			/* words on the stack, at @ret, that are the check's */
	__u32 origin;			/* for u.violation.origin */
	__u32 reserved;
};
#define CHARIOT_MAX_DEFER	65536
enum {
	CHARIOT_MODE_STRICT,		/* of a stack the driver writes its own frames, and
					 * what it was granted */
	CHARIOT_MODE_FAST,		/* whole pages of the stacks that the driver runs on
					 * are open to it, and stay so for as long as they
					 * are stacks: a write to a caller's frame is not
					 * seen */
	CHARIOT_MODE_INLINE,		/* it runs in the kernel view, and has checks before
					 * its stores.  No ranges of kind INHERIT, LIBRARY;
					 * CHARIOT_CAP_INLINE */
	CHARIOT_NR_MODES
};
enum {
	CHARIOT_VERDICT_REPORT,		/* let the write happen */
	CHARIOT_VERDICT_SKIP,		/* drop the write, go on behind it */
	CHARIOT_VERDICT_OOPS,		/* #GP at the instruction; in a context where
					 * that would panic the guest, skip */
	CHARIOT_VERDICT_PAUSE,		/* hold the vCPU until CHARIOT_CONTINUE or the
					 * time-out of CHARIOT_WATCH, then
					 * try the write again */
	CHARIOT_VERDICT_RECOVER,	/* struct chariot_recover; EOPNOTSUPP for a domain
					 * that has none */
	CHARIOT_NR_VERDICTS
};

/*
 * CHARIOT_DOMAIN_ADD: a further @module of the driver that is domain @domain; returns
 * 0, and a MODULE_NEW event is sent.  Modules of one domain run in one view, call one
 * another without a gate, may write what any of them may, and fail together.  The
 * tables are those of this module alone.  Of @name, @verdict, @kernel, @defer and
 * @mode, which must be good, nothing is used; of @recover, trap, oops, hold, replace,
 * restart, irq_exit, the flags of a task (for all modules from now on), and
 * CHARIOT_RECOVER_COMPLETE, which the domain has if all its modules had it.  A domain
 * whose first module could not be recovered cannot be with others either.
 *
 * A module whose exit has returned, or whose init failed, is gone (MODULE_GONE), with
 * its sections and tables; with the last one the domain goes.
 *
 * EINVAL  no @module
 * EEXIST  the domain has a module of that name; or as for CREATE
 * EBUSY   it has CHARIOT_MAX_MODULES
 * EOPNOTSUPP  the domain can be recovered, and @recover is all 0
 * and as for CREATE
 */
#define CHARIOT_MAX_MODULES	32

/* CHARIOT_DOMAIN_DROP: end the isolation of a driver; it runs on, unisolated. */
/* CHARIOT_DOMAIN_SET: change the verdict of a domain. */
struct chariot_domain_op {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 domain;
	__u32 verdict;			/* DOMAIN_SET; else 0 */
};

/* CHARIOT_DOMAIN_INFO */
struct chariot_domain_info {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 domain;			/* in */
	__u32 verdict;			/* out */
	char  name[CHARIOT_NAME_LEN];	/* out */
	__u64 text, text_len;		/* out */
	__u64 nr_objects;		/* out: grants in the ACT */
	__u64 nr_pages_full;		/* out: pages wholly the domain's */
	__u64 nr_pages_shared;		/* out: pages with a byte map */
	__u64 nr_frames;		/* out: calls and interrupts under way */
	__u64 memory;			/* out: host bytes used for this domain */
	__u32 mode;			/* out: CHARIOT_MODE_* */
	__u32 nr_modules;		/* out: those that it has now; 0: not told */
	__u64 reserved[3];
};

/*
 * CHARIOT_GRANT: add [gva, gva + len) to a domain's ACT, or revoke.  With CALL it is
 * not entered there, and granted until the driver's function returns that ASK event
 * @seq is about (ENOENT: nobody waits for it, or no function runs); the last 8.
 * EPERM: EVIDENCE, and code that is isolated or inherited lies there.
 */
struct chariot_grant {
	__u32 argsz;
	__u32 flags;			/* CHARIOT_GRANT_* */
	__u32 domain;
	__u32 source;			/* CHARIOT_SRC_RULE, _LEARNED or _EVIDENCE */
	__u64 gva;
	__u64 len;			/* 0 with REVOKE */
	__u64 seq;			/* CALL: of the ASK event; REVOKE: 0, or a @clock of
					 * ACT_READ: EAGAIN if it was granted again since */
	__u64 gate, site;		/* EVIDENCE: as in struct chariot_object; else 0 */
};
#define CHARIOT_GRANT_REVOKE	(1U << 0)
#define CHARIOT_GRANT_CALL	(1U << 1)

/*
 * CHARIOT_GIVEN: what the kernel has given to the driver's functions that run or wait
 * on the stack of the vCPU that waits for ASK event @seq; the innermost first.
 * Returns the number of rows filled.  ENOENT: no vCPU waits for it.
 */
struct chariot_value {
	__u64 value;
	__u64 fn;			/* gva of the function that is meant by @kind */
	__u32 kind;			/* CHARIOT_GIVEN_* */
	__u32 arg;			/* ARG, OUT: 0..5 */
};
enum {
	CHARIOT_GIVEN_ARG,		/* the driver's function @fn was called with it */
	CHARIOT_GIVEN_RET,		/* the kernel's function @fn has returned it, one of
					 * the last 21 */
	CHARIOT_GIVEN_OUT,		/* ... was called with it, and if it is a pointer to what
					 * can be written, it may have stored something there */
	CHARIOT_GIVEN_STACK,		/* stack pointer of the kernel's function that has called
					 * the driver; @fn: where it goes on there */
	CHARIOT_NR_GIVENS
};
struct chariot_given {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u64 seq;
	__u32 nr;			/* rows that @buf has room for, at most 4096 */
	__u32 reserved;
	__u64 buf;			/* struct chariot_value[] */
};

/* CHARIOT_ACT_READ: the ACT by address.  Returns the number of rows filled.  With no room
 * for any it tells the clock, and in mode inline it looks at the next 1024 lines of the
 * cache: what the guest has mapped to something else is taken out. */
struct chariot_object {
	__u64 gva;
	__u64 len;
	__u64 gate;			/* gva of the gate function, or 0 */
	__u64 site;			/* gva that the gate returned to, or 0 */
	__u32 source;			/* CHARIOT_SRC_* */
	__u32 flags;			/* 0 */
};
enum {
	CHARIOT_SRC_NONE,
	CHARIOT_SRC_SECTION,
	CHARIOT_SRC_ALLOCATION,
	CHARIOT_SRC_STACK,		/* only named in events */
	CHARIOT_SRC_ARGUMENT,		/* handed over by the kernel */
	CHARIOT_SRC_WALK,		/* page written by an AMD guest page walk */
	CHARIOT_SRC_RULE,
	CHARIOT_SRC_LEARNED,
	CHARIOT_SRC_FREED,		/* the driver's until so many others are freed:
					 * chariot_domain_create.defer */
	CHARIOT_SRC_EVIDENCE,		/* found to be the driver's, after an ASK event */
	CHARIOT_NR_SRCS
};
struct chariot_act_read {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 domain;
	__u32 nr;			/* rows that @buf has room for */
	__u64 start;			/* in: first gva; out: where to go on, 0: end */
	__u64 buf;			/* struct chariot_object[] */
	__u64 clock;			/* out: counts grants; for CHARIOT_GRANT_REVOKE */
};

/*
 * CHARIOT_STATS: counters of a domain, or with @domain 0 of the whole VM, with
 * those of its domains that are gone.
 *
 * This is the one list of the counters: X(name, exit, what it counts), where @exit
 * is 1 if each one has been an exit (a second-stage fault, or a hypercall of mode
 * inline) of its own.  Their order is that of the structure: new ones come last.  The
 * violations_* are the violations by CHARIOT_WHY_*.
 *
 * @beside also counts what an exception interrupts there.  The sum of what has an
 * exit of its own is at most @exits + @ahead: a fault can come again, or find that
 * there is nothing left to do.
 */
#define CHARIOT_COUNTERS(X)						\
	X(entries, 1, "kernel called the driver")			\
	X(returns, 1, "driver returned to the kernel")			\
	X(calls, 1, "driver called the kernel")				\
	X(call_returns, 1, "kernel returned to the driver")		\
	X(interrupts, 1, "interrupt taken in the driver")		\
	X(interrupt_returns, 1, "return from an interrupt")		\
	X(emulated_writes, 1, "write to a shared page, granted")	\
	X(stack_writes, 0, "emulated writes on the entry's stack page")	\
	X(argument_writes, 0, "emulated writes by an argument's grant")	\
	X(page_grants, 1, "write to a page of its own")			\
	X(walk_grants, 1, "page opened for AMD page walks")		\
	X(unemulated_grants, 1, "page opened: KVM cannot emulate")	\
	X(violations, 1, "violation")					\
	X(bad_control_flow, 0, "violations by a bad jump or entry")	\
	X(allocations, 0, "objects granted at gates")			\
	X(frees, 0, "objects revoked at gates")				\
	X(unknown_frees, 0, "frees of what was not granted")		\
	X(beside, 1, "kernel code on an inherited page went on")	\
	X(exits, 0, "second-stage faults and hypercalls seen")		\
	X(exits_kvm, 1, "passed on to KVM")				\
	X(ahead, 0, "writes and calls that needed no exit")		\
	X(stack_grants, 1, "stack page opened (mode fast)")		\
	X(call_grants, 0, "pages of arguments opened for a call")	\
	X(faults, 0, "times the driver has failed")			\
	X(refused, 0, "calls of a driver that had failed")		\
	X(recoveries, 0, "times it was loaded again after that")	\
	X(down_ms, 0, "milliseconds without it")			\
	X(asked, 1, "times evidence was asked for")			\
	X(evidence, 0, "objects granted by evidence")			\
	X(violations_write, 0, "violations by a write")			\
	X(violations_fetch, 0, "... by a jump to no function")	\
	X(violations_entry, 0, "... by an entry at a bad place")	\
	X(violations_unbalanced, 0, "... by a lock held, or not taken")	\
	X(violations_loop, 0, "... by a loop without end")		\
	X(violations_panic, 0, "... by a call that ends the guest")	\
	X(violations_atomic, 0, "... by sleep where none may be")	\
	X(violations_free, 0, "... by giving back what it has not")	\
	X(library_calls, 0, "calls of library code")			\
	X(misses_filled, 1, "store that was granted, and its line is in the cache now") \
	X(misses_partial, 1, "... of a line that is the driver's in part") \
	X(misses_stack, 1, "... on a stack")				\
	X(misses_argument, 1, "... for the call")			\
	X(misses_other, 1, "... to a device or a process")		\
	X(misses_range, 1, "... by a string instruction")		\
	X(spills, 1, "entry that found no record")			\
	X(lines_lost, 0, "lines taken out of the cache")		\
	X(lines_differ, 0, "lines in the cache that are not in the ACT")

struct chariot_stats {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 domain;			/* in */
	__u32 reserved;
	/* out */
#define CHARIOT_COUNTER(name, exit, text)	__u64 name;
	CHARIOT_COUNTERS(CHARIOT_COUNTER)
#undef CHARIOT_COUNTER
};

/* CHARIOT_POST: send a REQUEST event to the other handles of this VM. */
struct chariot_post {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u32 what;			/* CHARIOT_REQUEST_* */
	__u32 reserved;
	char  name[CHARIOT_NAME_LEN];
};
enum {
	CHARIOT_REQUEST_ISOLATE,
	CHARIOT_REQUEST_RELEASE,
	CHARIOT_NR_REQUESTS
};

/* CHARIOT_RESET: the guest was reset: drop all domains and watches. */
struct chariot_reset {
	__u32 argsz;
	__u32 flags;			/* 0 */
};

/*
 * CHARIOT_AUDIT: look through all second-stage page tables of the VM for a mapping
 * that lets a view write or execute what it must not: @bad is 0, or there is a bug in
 * the module or a way of KVM's that it does not know.  For tests and support: the
 * VM's vCPUs wait when they fault, while it looks.
 */
struct chariot_audit {
	__u32 argsz;
	__u32 flags;			/* 0 */
	__u64 checked;			/* out: mappings */
	__u64 bad;			/* out: of these; of the first one: */
	__u64 gpa;			/* out */
	__u32 view;			/* out: 0, a domain, or where watched pages run */
	__u32 level;			/* out: 1: 4K, 2: 2M, 3: 1G */
	__u32 access;			/* out: CHARIOT_AUDIT_*, what it should not have */
	__u32 reserved;
};
#define CHARIOT_AUDIT_WRITE	(1U << 0)
#define CHARIOT_AUDIT_EXEC	(1U << 1)

#define CHARIOT_VM_INFO		_IO(CHARIOT_IOC, 0x10)	/* in, out: chariot_vm_info */
#define CHARIOT_MEM		_IO(CHARIOT_IOC, 0x11)	/* in: chariot_mem */
#define CHARIOT_WATCH		_IO(CHARIOT_IOC, 0x12)	/* in: chariot_watch */
#define CHARIOT_CONTINUE	_IO(CHARIOT_IOC, 0x13)	/* in: chariot_continue */
#define CHARIOT_RESET		_IO(CHARIOT_IOC, 0x14)	/* in: chariot_reset */
#define CHARIOT_POST		_IO(CHARIOT_IOC, 0x15)	/* in: chariot_post */
#define CHARIOT_AUDIT		_IO(CHARIOT_IOC, 0x16)	/* in, out: chariot_audit */
#define CHARIOT_CALL		_IO(CHARIOT_IOC, 0x17)	/* in: chariot_call_guest */
#define CHARIOT_DOMAIN_CREATE	_IO(CHARIOT_IOC, 0x20)	/* in: chariot_domain_create */
#define CHARIOT_DOMAIN_DROP	_IO(CHARIOT_IOC, 0x21)	/* in: chariot_domain_op */
#define CHARIOT_DOMAIN_SET	_IO(CHARIOT_IOC, 0x22)	/* in: chariot_domain_op */
#define CHARIOT_DOMAIN_INFO	_IO(CHARIOT_IOC, 0x23)	/* in, out: chariot_domain_info */
#define CHARIOT_GRANT		_IO(CHARIOT_IOC, 0x24)	/* in: chariot_grant */
#define CHARIOT_ACT_READ	_IO(CHARIOT_IOC, 0x25)	/* in, out: chariot_act_read */
#define CHARIOT_STATS		_IO(CHARIOT_IOC, 0x26)	/* in, out: chariot_stats */
#define CHARIOT_GIVEN		_IO(CHARIOT_IOC, 0x27)	/* in: chariot_given */
#define CHARIOT_DOMAIN_ADD	_IO(CHARIOT_IOC, 0x28)	/* in: chariot_domain_create */

/* ---- mode inline ------------------------------------------------------- */

/*
 * What the runtime in an instrumented driver (section .text.chariot, chariot-inline.h)
 * and the host have in common.  All of it is guest memory: the host bounds what it reads
 * there, and trusts none of it.
 *
 * A record is of one call of the driver by the kernel (or by another driver).  No return
 * is seen.  A record is alive as long as
 *
 *	rsp >= RSP	of the driver: chariot_inline_frame.r[4]; on the same stack
 *	*(rsp) == ret
 *
 * and the driver's function that runs is that of the live one with the lowest @rsp.
 */
struct chariot_inline_record {		/* 128 bytes */
	__u64 rsp;			/* RSP at its entry: there is its return address */
	__u64 ret;			/* that */
	__u64 entry;			/* the driver's function: its symbol's address */
	__u64 args[6];			/* rdi rsi rdx rcx r8 r9 */
	__u64 saved[6];			/* rbx rbp r12 r13 r14 r15 */
	__u64 count;			/* the preempt count, and RFLAGS from bit 32; bit 63
					 * is 0, and the host's */
};
#define CHARIOT_INLINE_RECORDS	6

/*
 * A kernel stack that the driver was called on.  Its number is
 *
 *	n = (__u32)((__u32)(base >> 12) * 0x9e3779b1) >> 25
 *
 * or one of the three behind that.  @state has the number of calls of "enter" in the
 * lower half that are at work there, and in the upper half counts those that are done.
 * What is written in the middle of that can be torn.  @nr may count dead ones.
 *
 * A stack need not be aligned to its size: it then has two bases.
 */
struct chariot_inline_stack {		/* 832 bytes */
	__u64 base;			/* RSP & stack_mask; 0: free, 1: being freed */
	__u32 nr;			/* records */
	__u32 state;
	__u64 reserved[6];
	struct chariot_inline_record r[CHARIOT_INLINE_RECORDS];
};
#define CHARIOT_INLINE_STACKS	131
struct chariot_inline_data {		/* section .chariot.data */
	struct chariot_inline_stack s[CHARIOT_INLINE_STACKS];
};

/*
 * What the host tells the runtime; at CHARIOT_INLINE_PARAMS of .text.chariot, which the
 * guest cannot write.  May be changed at any time, 8 bytes at once.
 */
struct chariot_inline_params {
	__u64 text, text_len;		/* the module's: calls from there are not entered */
	__u64 init, init_len;		/* the same, of what is freed after init: then 0 */
	__u64 stack_mask;		/* ~(stack size - 1) */
	__u64 preempt_count;		/* per-CPU offset */
	__u64 off;			/* not 0: everything is allowed, without a hypercall */
	__u64 ask;			/* not 0: each call of the driver makes a hypercall */
};
#define CHARIOT_INLINE_PARAMS	0x180

/*
 * At a hypercall RSP leads to this, and EAX is CHARIOT_HC + the reason; there is one
 * hypercall in the runtime.  All of the driver's registers are restored from here, so the
 * host may change them.  RAX is the result; 0, and what KVM answers where there is no
 * host (-ENOSYS), let everything go on.
 */
struct chariot_inline_frame {
	__u64 r[16];			/* as x86 numbers them.  r[4]: RSP of the driver */
	__u64 flags;
	__u64 back;			/* into the runtime */
	__u64 reason;			/* CHARIOT_HC_*, and in bits from 8 what r[4] is made of */
	__u64 what;
	__u64 ret;
};
#define CHARIOT_HC		0x43480000
enum {
	/*
	 * A store.  @what: the address of its first byte; @ret: where the check had called
	 * from, by which the host knows it (chariot_inline_check.slow).  Result: 0, or where
	 * to go on without the store (chariot_inline_check.skip).  r[4] is RSP before the
	 * call: .pushed words lower than at the store.
	 */
	CHARIOT_HC_MISS = 1,
	/* A string instruction with a count: registers say what it stores; @what: RDI. */
	CHARIOT_HC_RANGE,
	/*
	 * A call of the kernel by the driver.  @what: number of the gate; @ret: where it
	 * returns to; r[4] is RSP at the function's entry, where @ret is: a record of the
	 * same @rsp is alive (the driver has jumped there).  PRE: result 1: the function is
	 * not run, and returns RDX.  POST: r[0] has what it has returned, arguments are lost.
	 */
	CHARIOT_HC_PRE,
	CHARIOT_HC_POST,
	/*
	 * A call of the driver by the kernel that has no room for its record.  @what: where
	 * "enter" was called from, @ret and r[4] as in the record.  Result: 0: the host has
	 * kept it.  2: RDX is a chariot_inline_stack that had @state (R8, 0 in its lower half)
	 * when the host took over what it has: it is freed if it still has, and the runtime
	 * tries again.
	 */
	CHARIOT_HC_SPILL,
	/*
	 * A call of the driver by the kernel: of its init and exit each one, with params.ask
	 * any.  As SPILL, but there is a record, if there was room for it; 2 may be the
	 * result only where there was none.
	 */
	CHARIOT_HC_ENTER,
	/*
	 * The place "left" of the runtime, which the host has made a function of the driver
	 * return to: two words below where its caller's return address is.  r[4]: RSP there,
	 * which leads to the word between them; r[0]: what was returned.
	 */
	CHARIOT_HC_LEFT,
	CHARIOT_NR_HCS
};

/* ---- events ------------------------------------------------------------ */

/*
 * read() on the handle gives whole events, as many as fit; EAGAIN when
 * O_NONBLOCK and none is there; EINVAL when not even one fits.  poll() tells
 * POLLIN when one is there, POLLHUP when the VM's isolation is dead.  When a
 * reader is too slow the newest events are dropped and counted.
 *
 * An event has 248 bytes in this version, which @size tells; what follows the
 * members of its type is 0, and may become members.  A reader passes over types
 * and flags that it does not know, but answers all that WAITS.
 */
enum {
	CHARIOT_EV_ERROR,		/* u.error: our part failed, the guest goes on */
	CHARIOT_EV_KERNEL,		/* u.kernel: watch KERNEL, waits */
	CHARIOT_EV_LOAD,		/* u.load: watch LOAD, waits */
	CHARIOT_EV_DOMAIN_NEW,		/* u.name */
	CHARIOT_EV_INIT_DONE,		/* u.init: the driver's init has returned */
	CHARIOT_EV_DOMAIN_GONE,		/* u.name */
	CHARIOT_EV_VIOLATION,		/* u.violation; waits with verdict PAUSE */
	CHARIOT_EV_UNEMULATED,		/* u.violation: page granted, KVM cannot emulate */
	CHARIOT_EV_REQUEST,		/* u.request */
	CHARIOT_EV_RESET,		/* the guest was reset, and nobody said so with
					 * CHARIOT_RESET: domains and watches are gone */
	CHARIOT_EV_FAULT,		/* u.violation: the driver has failed.  With WHY_OOPS
					 * it is all that is told, else a VIOLATION is
					 * before it. */
	CHARIOT_EV_RECOVERED,		/* u.name: it has been loaded again */
	CHARIOT_EV_ASK,			/* u.violation: is it one?  Waits; only the handle is
					 * told that has asked for it (watch ASK) */
	CHARIOT_EV_MODULE_NEW,		/* u.name: of a further module of the domain */
	CHARIOT_EV_MODULE_GONE,		/* u.name: of one that is unloaded; others stay */
	CHARIOT_EV_IMAGE,		/* u.image: watch IMAGE, waits; only the handle is told
					 * that watches */
	CHARIOT_NR_EVENTS
};
#define CHARIOT_EV_WAITS	(1U << 0)	/* a vCPU waits for CHARIOT_CONTINUE */
#define CHARIOT_EV_GAVE_BACK	(1U << 1)	/* ASK: the driver has freed what is there (the last
						 * 8192), and not got since */
#define CHARIOT_EV_RETURNED	(1U << 2)	/* IMAGE: a CHARIOT_CALL has returned */

enum {
	CHARIOT_WHY_WRITE,		/* a write that no grant covers */
	CHARIOT_WHY_FETCH,		/* a jump to kernel code that is no function call */
	CHARIOT_WHY_ENTRY,		/* the kernel came into the driver at a bad place */
	CHARIOT_WHY_UNBALANCED,		/* a function that CHARIOT_GATE_BALANCED is about
					 * returned with a lock held, or gave back one
					 * that it did not take; with a gva: a spin lock
					 * there is taken or given back twice */
	CHARIOT_WHY_LOOP,		/* it runs on and on, for a thousand ticks of the
					 * guest's clock and more, and calls nothing, or
					 * must not sleep; or its interrupt
					 * handler does not end the interrupt, and the guest
					 * comes to nothing else */
	CHARIOT_WHY_PANIC,		/* a call of a function that ends the guest */
	CHARIOT_WHY_OOPS,		/* an exception, in the driver or in a function that
					 * it has called; rip: where the driver was */
	CHARIOT_WHY_ATOMIC,		/* a call of a function that sleeps (gva), with a
					 * spin lock held or in an interrupt */
	CHARIOT_WHY_FREE,		/* a call of a function (caller: from where) that gives
					 * back what the driver has given back (gva) */
	CHARIOT_NR_WHYS
};

struct chariot_event {
	__u32 size;			/* sizeof(struct chariot_event) */
	__u32 type;			/* CHARIOT_EV_* */
	__u64 seq;			/* of this VM, from 1 */
	__u64 time_ns;			/* CLOCK_MONOTONIC */
	__u32 vcpu;			/* ~0: none */
	__u32 domain;			/* 0: none */
	__u32 flags;			/* CHARIOT_EV_* */
	__u32 verdict;			/* what was done: CHARIOT_VERDICT_* */
	union {
		struct {
			__s32 error;	/* -errno */
			__u32 reserved;
			char  text[184];
		} error;
		struct {
			__u64 cr3, cr4, lstar, rip;
		} kernel;
		struct {
			__u64 module;	/* gva of struct module */
			__u64 cr3, cr4;
		} load;
		struct {
			__u64 arg[3];	/* of the loader's function */
			__u64 cr3, cr4;
			__u64 cookie;	/* RETURNED: of CHARIOT_CALL, and */
			__u64 result;	/*	what its function has returned */
		} image;
		struct {
			char  name[CHARIOT_NAME_LEN];
		} name;
		struct {
			char  name[CHARIOT_NAME_LEN];
			__s64 result;	/* what init returned */
		} init;
		struct {
			__u32 why;	/* CHARIOT_WHY_* */
			__u32 len;	/* bytes of the write; 0: not known */
			__u64 rip, rsp;
			__u64 entry;	/* gva of the driver function the kernel called */
			__u64 caller;	/* driver address, when rip is in an inherit function */
			__u64 gva;	/* what was to be written or jumped to; 0: not known */
			__u64 gpa;	/* ~0: not known */
			__u8  bytes[16];/* what was to be written, as far as known */
			__u64 cr3;
			struct chariot_object near[2]; /* grants below and above */
			__u32 origin;	/* of a store in mode inline: its offset in its
					 * function as the module's file has it, + 1;
					 * 0: not known */
			__u32 reserved;
		} violation;
		struct {
			__u32 what;	/* CHARIOT_REQUEST_* */
			__u32 reserved;
			char  name[CHARIOT_NAME_LEN];
		} request;
		__u8 pad[208];
	} u;
};

#endif
