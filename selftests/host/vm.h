/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An own KVM VM with hand-made code, what /dev/chariot does with it, and pages
 * that do not come.
 *
 * The guest's virtual addresses are its physical ones, 4 GiB in pages of 2 MiB;
 * memory slot 0 has the first 16 MiB.
 */
#ifndef HOST_VM_H
#define HOST_VM_H

#include <linux/kvm.h>
#include <linux/chariot.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE		4096
#define GUEST_MEM	(16u << 20)
#define GUEST_CPUS	4
#define GUEST_MAPPED	(4ull << 30)

/* Where things are in the guest. */
#define PML4		0x1000
#define PDPT		0x2000
#define PD		0x3000	/* 4 pages */
#define KERNEL		0x10000	/* runs first */
#define FUNC		0x11000	/* of the kernel: what the driver calls */
#define DRIVER		0x20000
#define DRIVER2		0x21000	/* another one */
#define INTR		0x30000	/* interrupt entry */
#define SMM		0x38000	/* where KVM begins an SMI */
#define IDT		0x50000
#define GDT		0x51000
#define STACK		0x204f00
#define OBJECT		0x600000
#define NOWHERE		0x200000000ull /* not mapped by the guest */

struct guest {
	int fd;
	unsigned int nr_cpus;
	struct {
		int fd;
		struct kvm_run *run;
	} cpu[GUEST_CPUS];
	unsigned char *mem;
};

/* /dev/kvm and /dev/chariot. */
extern int kvm_fd, dev_fd;
/* Dies if one cannot be opened. */
void devices_open(void);

/* These die if KVM refuses: it is no part of a test. */
void guest_new(struct guest *g, unsigned int nr_cpus);
/* With what has to be done before there are CPUs. */
void guest_new_with(struct guest *g, unsigned int nr_cpus,
		    void (*prepare)(struct guest *g));
void guest_free(struct guest *g);
/* Page tables as at first. */
void guest_tables(struct guest *g);
/* All interrupts and exceptions go to INTR; without guest_gdt() they end in a
 * triple fault. */
void guest_idt(struct guest *g);
void guest_gdt(struct guest *g);
void guest_put(struct guest *g, unsigned int at, const void *code, size_t len);
#define guest_code(g, at, ...) do {					\
	const unsigned char code_[] = { __VA_ARGS__ };			\
									\
	guest_put(g, at, code_, sizeof(code_));				\
} while (0)
/* Little-endian bytes of an address, for guest_code(). */
#define LE32(x)	(x) & 255, (x) >> 8 & 255, (x) >> 16 & 255, (x) >> 24 & 255
#define LE64(x)	LE32(x), LE32((x) >> 32)
/* mov $x, %eax; call *%rax or jmp *%rax */
#define CALL(x)	0xb8, LE32(x), 0xff, 0xd0
#define JUMP(x)	0xb8, LE32(x), 0xff, 0xe0
#define SET_RSP(x) 0x48, 0xbc, LE64(x)
#define RET	0xc3
#define HLT	0xf4

/* 64-bit mode, as at first. */
void guest_sregs(struct guest *g, unsigned int cpu);
void guest_regs(struct guest *g, unsigned int cpu, const struct kvm_regs *regs);
/* From KERNEL on, with that stack. */
void guest_start(struct guest *g, uint64_t rsp, uint64_t rbx);
/* KVM_EXIT_*, -errno */
int guest_run(struct guest *g, unsigned int cpu);
/* 0: delete it.  -errno */
int guest_slot(struct guest *g, unsigned int slot, uint64_t gpa, void *mem,
	       uint64_t size, unsigned int flags);
/* A 64-bit word of guest memory; -1: it cannot.  Overwrites KERNEL. */
long guest_reads(struct guest *g, uint64_t gpa);
/* In large pages; each small one begins with its number. */
#define LARGE_PAGE	(2u << 20)
#define HIGH		(256ull << 20)	/* where slot 1 is */
char *large_memory(size_t size);
/* A counter of KVM's binary statistics; -1: there is none. */
long guest_stat(struct guest *g, const char *name);

/* A handle; -1. */
int attach(int vm_fd);
/* Arguments for CHARIOT_DOMAIN_CREATE: a driver of one page, one gate. */
struct domain {
	struct chariot_domain_create create;
	struct chariot_range ranges[2];
	struct chariot_gate entry, gate;
};
void domain_init(struct domain *d, uint64_t text);
/* With that at FUNC. */
void domain_ops(struct domain *d, struct chariot_op *ops, unsigned int nr);
/* Its number; -1. */
int domain_create(int handle, struct domain *d);
/* Attach, and make that the first domain: a handle. */
int guest_isolate(struct guest *g, struct domain *d);
struct chariot_vm_info vm_info(int handle);
struct chariot_domain_info domain_info(int handle, unsigned int nr);
int grant(int handle, uint64_t gva, uint64_t len);
/* Read events until one of that type, of that domain (0: any). */
bool event_find(int handle, unsigned int type, unsigned int domain,
		struct chariot_event *ev);
/* Until one of that type comes; false: none does in @seconds. */
bool event_wait(int handle, unsigned int type, unsigned int seconds,
		struct chariot_event *ev);

/* Pages that come when they are given, and not before (userfaultfd). */
struct stall {
	int fd;
	void *at;
	size_t len;
};
void stall_begin(struct stall *s, void *at, size_t len);
/* Until somebody waits for a page; false: nobody in @seconds. */
bool stall_wait(struct stall *s, unsigned int seconds);
/* One page, zero if nobody has touched it yet; all of them. */
void stall_give(struct stall *s, size_t at);
void stall_end(struct stall *s);

void send_fds(int sock, int a, int b);
void receive_fds(int sock, int fds[2]);

/* Something done in a thread. */
struct task {
	pthread_t thread;
	long (*fn)(void *arg);
	void *arg;
	long result;
	bool joined;
};
/* Never freed: it may not end. */
struct task *task_start(long (*fn)(void *arg), void *arg);
/* false: not ended in @seconds */
bool task_wait(struct task *t, unsigned int seconds);
/* For guest_run() of CPU 0, or 1, in a task. */
long run_guest(void *guest);
long run_guest_1(void *guest);

/* A process of ours; false: it has not ended in @seconds */
bool wait_child(pid_t pid, unsigned int seconds, int *status);

/* From now on; closed by klog_bad(), which gives the first bad line since. */
int klog_open(void);
bool klog_bad(int fd, char *first, size_t size);

__attribute__((noreturn, format(printf, 1, 2)))
void die(const char *fmt, ...);

#endif
