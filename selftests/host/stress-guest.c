// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's side: code of a kernel and of drivers that changes all the
 * time, on several vCPUs, with interrupts and page tables that nobody expects;
 * and the VMM's: pages that come late, slots that come and go.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- code --------------------------------------------------------------- */

static void random_bytes(struct guest *g, struct rng *r, unsigned int at,
			 unsigned int len)
{
	while (len--)
		g->mem[at++] = rng64(r);
}

/* rdi, where the driver writes: its object, another one, a stack, anywhere */
static uint64_t some_address(struct rng *r)
{
	static const uint64_t places[] = {
		OBJECT, OBJECT + PAGE - 4, STACK - 64, LATE, LATE + 16,
		LATE + PAGE - 8, LATE + 2 * PAGE + 64, DRIVER, FUNC, PD, IDT, NOWHERE, GUEST_MEM - 8, 0,
	};

	if (one_in(r, 8))
		return rng64(r);
	return places[below(r, sizeof(places) / sizeof(*places))] +
	       below(r, 3) * 8;
}

static void kernel_code(struct guest *g, struct rng *r)
{
	uint32_t driver = DRIVER + below(r, 2 + NR_MODULES) * PAGE;

	switch (below(r, 6)) {
	case 0:
		guest_code(g, KERNEL, JUMP(driver + below(r, 16)), HLT);
		break;
	case 1:	/* sub $32, %rsp: never comes back */
		guest_code(g, KERNEL, 0x48, 0x83, 0xec, 0x20, CALL(driver),
			   HLT);
		break;
	case 2:	/* a frame of an interrupt: ss rsp rflags cs */
		guest_code(g, KERNEL, 0x6a, 0, 0x54, 0x6a, 2, 0x6a, 0x10,
			   CALL(driver), HLT);
		break;
	case 3:	/* mov some address, %rsp */
		guest_code(g, KERNEL, SET_RSP(some_address(r)), CALL(driver),
			   HLT);
		break;
	default:
		guest_code(g, KERNEL, CALL(driver), CALL(driver), HLT);
	}
}

static void driver_code(struct guest *g, struct rng *r, unsigned int at)
{
	switch (below(r, 11)) {
	case 0:
		guest_code(g, at, CALL(FUNC), RET);
		break;
	case 1:	/* mov %rax, (%rdi); movb $1, 8(%rdi) */
		guest_code(g, at, 0x48, 0x89, 0x07, 0xc6, 0x47, 8, 1, RET);
		break;
	case 2:	/* mov $n, %ecx; rep stosb */
		guest_code(g, at, 0xb9, LE32(below(r, 3 * PAGE)), 0xf3, 0xaa,
			   RET);
		break;
	case 3:
		guest_code(g, at, JUMP(INTR), RET);
		break;
	case 4:	/* push %rax; jump wildly */
		guest_code(g, at, 0x50, JUMP(some_address(r)), RET);
		break;
	case 5:
		random_bytes(g, r, at, 64);
		break;
	case 6:	/* lock cmpxchg %rbx, (%rdi); xchg %rax, (%rdi); fxsave (%rdi) */
		guest_code(g, at, 0xf0, 0x48, 0x0f, 0xb1, 0x1f, 0x48, 0x87,
			   0x07, 0x0f, 0xae, 0x07, RET);
		break;
	case 8:	/* of mode inline: vmmcall, its frame is anywhere */
		guest_code(g, at, SET_RSP(some_address(r)), 0xb8,
			   LE32(CHARIOT_HC + below(r, CHARIOT_NR_HCS)), 0x0f, 0x01, 0xd9,
			   RET);
		break;
	case 9:	/* or where it is */
		guest_code(g, at, 0x48, 0x81, 0xec, LE32(256), 0xb8,
			   LE32(CHARIOT_HC + below(r, CHARIOT_NR_HCS)), 0x0f, 0x01, 0xd9,
			   0x48, 0x81, 0xc4, LE32(256), RET);
		break;
	case 7:	/* jmp *FUNC, as its last act */
		guest_code(g, at, JUMP(FUNC));
		break;
	default: /* sti; push %rdi; call; pop %rdi; mov %eax, (%rdi); cli */
		guest_code(g, at, 0xfb, 0x57, CALL(FUNC), 0x5f, 0x89, 0x07,
			   0xfa, RET);
	}
	g->mem[at + 0xfff] = RET;
}

static void kernel_function(struct guest *g, struct rng *r)
{
	switch (below(r, 5)) {
	case 0:
		guest_code(g, FUNC, CALL(DRIVER2), RET);
		break;
	case 1:	/* dec %rbx; jz to the HLT: goes down the stack */
		guest_code(g, FUNC, 0x48, 0xff, 0xcb, 0x74, 0x07,
			   JUMP(KERNEL), HLT);
		break;
	case 2:	/* vmmcall; vmcall */
		guest_code(g, FUNC, 0x0f, 0x01, 0xd9, RET);
		break;
	case 3:	/* out %al, $0x80; mov %rax, 0xfee00000-ish: device memory */
		guest_code(g, FUNC, 0xe6, 0x80, 0xbf, LE32(0xe0000000), 0x48,
			   0x89, 0x07, RET);
		break;
	default:
		guest_code(g, FUNC, RET);
	}
	/* iretq; or it never comes back */
	if (one_in(r, 3))
		guest_code(g, INTR, HLT);
	else
		guest_code(g, INTR, 0x48, 0xcf);
}

/* Now and then; else the next ones see what a guest should look like. */
static void random_tables(struct guest *g, struct rng *r)
{
	unsigned int at = PML4 + below(r, 6) * PAGE + 8 * below(r, 8);
	uint64_t entry = rng64(r);

	if (one_in(r, 2))
		entry = (below(r, 8) * PAGE) | below(r, 256);
	guest_put(g, at, &entry, sizeof(entry));
}

static void new_code(struct guest *g, struct rng *r)
{
	unsigned int i;

	guest_tables(g);
	guest_idt(g);
	kernel_code(g, r);
	for (i = 0; i < 2 + NR_MODULES; i++)
		driver_code(g, r, DRIVER + i * PAGE);
	kernel_function(g, r);
	if (one_in(r, 8))
		random_tables(g, r);
}

/* ---- threads ------------------------------------------------------------ */

struct runner {
	struct world *w;
	struct guest *g;
	unsigned int cpu;
	struct rng rng;
	pthread_t thread;
};

static struct runner runners[NR_VMS * GUEST_CPUS];
static unsigned int nr_runners;

static void set_regs(struct runner *r)
{
	struct kvm_regs regs = {
		.rip = KERNEL, .rsp = STACK - 0x4000 * r->cpu,
		.rdi = some_address(&r->rng), .rsi = below(&r->rng, 8192),
		.rbx = 1 + below(&r->rng, 40), .rflags = 2,
	};

	if (one_in(&r->rng, 2))
		regs.rflags |= 0x200;
	ioctl(r->g->cpu[r->cpu].fd, KVM_SET_REGS, &regs);
}

static void interrupt(struct runner *r)
{
	struct kvm_interrupt irq = { .irq = 32 + below(&r->rng, 224) };

	if (one_in(&r->rng, 4))
		ioctl(r->g->cpu[r->cpu].fd, KVM_NMI, 0);
	else
		ioctl(r->g->cpu[r->cpu].fd, KVM_INTERRUPT, &irq);
}

static void *run_cpu(void *arg)
{
	struct runner *r = arg;
	unsigned int i;
	int reason;

	for (;;) {
		if (!r->cpu && one_in(&r->rng, 4))
			new_code(r->g, &r->rng);
		/* What ended in a shutdown was reset. */
		guest_sregs(r->g, r->cpu);
		set_regs(r);
		for (i = 0; i < 8; i++) {
			if (one_in(&r->rng, 4))
				interrupt(r);
			count(&counts->runs);
			reason = guest_run(r->g, r->cpu);
			if (reason != KVM_EXIT_MMIO && reason != KVM_EXIT_IO &&
			    reason != -EINTR)
				break;
		}
	}
	return NULL;
}

/* A guest may run for ever. */
static void *interrupt_all(void *arg)
{
	unsigned int i;

	(void)arg;
	for (;;) {
		usleep(5000);
		for (i = 0; i < nr_runners; i++)
			pthread_kill(runners[i].thread, SIGUSR1);
	}
	return NULL;
}

struct giver {
	struct stall s;
	struct rng rng;
};

/* Pages come late, and go again. */
static void *give_pages(void *arg)
{
	struct giver *gv = arg;
	struct pollfd p = { .fd = gv->s.fd, .events = POLLIN };
	struct uffd_msg msg;

	for (;;) {
		if (poll(&p, 1, 50) == 1 &&
		    read(gv->s.fd, &msg, sizeof(msg)) == sizeof(msg)) {
			struct uffdio_zeropage z = { .range = {
				msg.arg.pagefault.address & ~(PAGE - 1ull),
				PAGE } };

			usleep(below(&gv->rng,
				     one_in(&gv->rng, 8) ? 50000 : 5000));
			ioctl(gv->s.fd, UFFDIO_ZEROPAGE, &z);
		} else {
			madvise((char *)gv->s.at + below(&gv->rng, gv->s.len /
							  PAGE) * PAGE,
				PAGE, MADV_DONTNEED);
		}
	}
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

void world_new(struct world *w)
{
	unsigned int i;

	w->buf = mmap((void *)BUFS_AT, BUF_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (w->buf == MAP_FAILED)
		die("buffer");
	stall_begin(&w->late,
		    mmap((void *)(BUFS_AT + 4 * BUF_SIZE), 16 * PAGE,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			 MAP_FIXED_NOREPLACE, -1, 0), 16 * PAGE);
	w->extra = large_memory(4 * LARGE_PAGE);
	for (i = 0; i < NR_VMS; i++)
		guest_new(&w->vm[i], 2);
	for (i = 0; i < NR_HANDLES; i++)
		w->handle[i] = -1;
}

static void thread(void *(*fn)(void *arg), void *arg, pthread_t *t)
{
	pthread_t unused;

	errno = pthread_create(t ?: &unused, NULL, fn, arg);
	if (errno)
		die("thread");
}

void world_start(struct world *w, uint64_t seed)
{
	static struct giver givers[NR_VMS + 1];
	struct rng r = { seed };
	unsigned int i, cpu;

	/* No SA_RESTART: KVM_RUN comes back with EINTR. */
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal },
		  NULL);
	for (i = 0; i < NR_VMS; i++) {
		new_code(&w->vm[i], &r);
		stall_begin(&givers[i].s, w->vm[i].mem + LATE, LATE_SIZE);
	}
	givers[NR_VMS].s = w->late;
	for (i = 0; i <= NR_VMS; i++) {
		givers[i].rng.state = rng64(&r);
		thread(give_pages, &givers[i], NULL);
	}
	for (i = 0; i < NR_VMS; i++)
		for (cpu = 0; cpu < w->vm[i].nr_cpus; cpu++) {
			struct runner *run = &runners[nr_runners++];

			*run = (struct runner){
				.w = w, .g = &w->vm[i], .cpu = cpu,
				.rng = { rng64(&r) } };
			thread(run_cpu, run, &run->thread);
		}
	thread(interrupt_all, NULL, NULL);
}
