// SPDX-License-Identifier: GPL-2.0
/*
 * Ways into second-stage tables (Documentation/hooks.rst): around watched pages,
 * and what is left of the one who had the VM before.
 */
#include "vm.h"
#include "ways.h"
#include "hostile.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

void audit(int h, const char *when)
{
	struct chariot_audit a = { .argsz = sizeof(a) };

	if (ioctl(h, CHARIOT_AUDIT, &a)) {
		ok(false, "audit %s: %s", when, strerror(errno));
		return;
	}
	ok(a.checked && !a.bad,
	   "audit %s: %llu bad of %llu mappings (gpa %llx, view %u, access %u)",
	   when, (unsigned long long)a.bad, (unsigned long long)a.checked,
	   (unsigned long long)a.gpa, a.view, a.access);
}

/* ---- the load point ------------------------------------------------------- */

#define LOADFN	0x12000		/* what is watched */
#define OUT(port) 0xe6, port	/* an exit to us, KVM_EXIT_IO */

static int watch(int h, uint64_t gva)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = CHARIOT_WATCH_LOAD,
		.timeout_ms = 600000, .load_gva = gva, .cr3 = PML4, .cr4 = 0x20,
	};

	return ioctl(h, CHARIOT_WATCH, &w);
}

static int attach_and_watch(struct guest *g, uint64_t gva)
{
	int h = attach(g->fd);

	if (h < 0 || watch(h, gva))
		die("attach, WATCH");
	return h;
}

static void go_on(int h, uint64_t seq)
{
	struct chariot_continue c = { .argsz = sizeof(c), .seq = seq };

	if (ioctl(h, CHARIOT_CONTINUE, &c))
		note("CONTINUE: %s", strerror(errno));
}

/* Answer LOADs until the vCPU comes out, or more than @max.  How many there were. */
static unsigned int answer_loads(int h, struct task *vcpu, unsigned int max)
{
	struct pollfd p = { .fd = h, .events = POLLIN };
	struct chariot_event ev;
	unsigned int n = 0, i;

	for (i = 0; i < patience * 20 && n <= max; i++) {
		bool ended = task_wait(vcpu, 0);

		poll(&p, 1, ended ? 0 : 50);
		if (event_find(h, CHARIOT_EV_LOAD, 0, &ev)) {
			n++;
			go_on(h, ev.seq);
		} else if (ended) {
			break;
		}
	}
	return n;
}

#define LOADS	10
#define FAR	0x800000	/* not in the 2 MiB of LOADFN, which are split and zapped */

/*
 * The kernel calls LOADFN, each time with another module.  It comes out of there,
 * and of itself when it has done so for %ebx times.
 */
static void loads_code(struct guest *g)
{
	/* again: inc %edi; call LOADFN; dec %ebx; jnz again; hlt; jmp again */
	guest_code(g, KERNEL, JUMP(FAR));
	guest_code(g, FAR, 0xff, 0xc7, CALL(LOADFN), 0xff, 0xcb, 0x75, 0xf3,
		   HLT, 0xeb, 0xf0);
	/* call FUNC; out; nops for the instruction that is compared */
	guest_code(g, LOADFN, CALL(FUNC), OUT(0x80), 0x90, 0x90, 0x90, 0x90,
		   0x90, 0x90, RET);
	guest_code(g, FUNC, RET);
}

/* From one exit to the next one of another kind; LOADs are answered. */
static long run_answered(struct guest *g, int h, unsigned int *loads)
{
	struct task *t;

	do {
		t = task_start(run_guest, g);
		if (h >= 0)
			*loads += answer_loads(h, t, LOADS);
		if (!task_wait(t, patience))
			return -ETIMEDOUT;
	} while (t->result == KVM_EXIT_IO && h >= 0);
	return t->result;
}

/*
 * While nobody is attached a vCPU keeps the view that it was in, and maps everything
 * there as it may be mapped without us.
 */
void test_again(void)
{
	unsigned int loads = 0, i;
	struct guest g;
	struct task *t;
	bool ended;
	long r = 0;
	int h;

	guest_new(&g, 1);
	loads_code(&g);
	h = attach_and_watch(&g, LOADFN);
	guest_start(&g, STACK, 1);
	t = task_start(run_guest, &g);
	loads = answer_loads(h, t, LOADS);
	ended = task_wait(t, patience);
	ok(ended && t->result == KVM_EXIT_IO && loads == 1,
	   "one LOAD, and the vCPU is on the watched page: %u, exit %ld", loads,
	   t->result);
	close(h);
	/* The function's out is done; rest of it, and of the kernel. */
	for (i = 0; i < 20 && r != KVM_EXIT_HLT; i++)
		r = run_answered(&g, -1, NULL);
	ok(r == KVM_EXIT_HLT, "goes on with nobody attached: exit %ld", r);
	guest_start(&g, STACK, LOADS);
	for (i = 0, r = 0; i < 40 && r != KVM_EXIT_HLT; i++)
		r = run_answered(&g, -1, NULL);
	ok(r == KVM_EXIT_HLT, "maps all that it executes: exit %ld", r);

	h = attach_and_watch(&g, LOADFN);
	guest_start(&g, STACK, LOADS);
	loads = 0;
	r = run_answered(&g, h, &loads);
	ok(r == KVM_EXIT_HLT && loads == LOADS,
	   "attached again, each of %u LOADs is seen: %u, exit %ld", LOADS,
	   loads, r);
	audit(h, "after that");
	close(h);
}

/* ---- an interrupt at the load point --------------------------------------- */

static void nothing(int sig)
{
	(void)sig;
}

/* The vCPU waits at the load point: it comes out for a signal. */
static bool kick(struct task *t)
{
	struct sigaction sa = { .sa_handler = nothing };
	unsigned int i;

	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < patience * 20 && !task_wait(t, 0); i++) {
		pthread_kill(t->thread, SIGUSR1);
		usleep(50000);
	}
	return task_wait(t, 0) && t->result == -EINTR;
}

void test_same_told(void)
{
	struct pollfd p = { .events = POLLIN };
	struct chariot_event ev = {};
	unsigned int loads = 1;
	struct kvm_regs regs;
	struct guest g;
	struct task *t;
	long r;
	int h;

	guest_new(&g, 1);
	guest_idt(&g);
	guest_gdt(&g);
	/* call LOADFN twice with the same module and stack */
	guest_code(&g, KERNEL, CALL(LOADFN), CALL(LOADFN), HLT);
	guest_code(&g, LOADFN, CALL(FUNC), 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
		   0x90, 0x90, 0x90, 0x90, RET);
	guest_code(&g, FUNC, RET);
	/* inc %r12; iretq */
	guest_code(&g, INTR, 0x49, 0xff, 0xc4, 0x48, 0xcf);
	h = attach_and_watch(&g, LOADFN);
	guest_start(&g, STACK, 0);
	t = task_start(run_guest, &g);
	p.fd = h;
	poll(&p, 1, patience * 1000);
	ok(event_find(h, CHARIOT_EV_LOAD, 0, &ev) && kick(t),
	   "the vCPU waits at the load point, and comes out for a signal");
	if (ioctl(g.cpu[0].fd, KVM_NMI, 0))
		die("KVM_NMI");
	go_on(h, ev.seq);
	r = run_answered(&g, h, &loads);
	ok(r == KVM_EXIT_HLT && loads == 2,
	   "an interrupt there: two calls are two LOADs: %u, exit %ld", loads,
	   r);
	if (ioctl(g.cpu[0].fd, KVM_GET_REGS, &regs))
		die("KVM_GET_REGS");
	ok(regs.r12 == 1, "the interrupt was taken: %llu", regs.r12);
	ok(vm_info(h).state != CHARIOT_VM_DEAD, "the VM is watched still");
	close(h);
}

/* ---- two CPUs at the load point -------------------------------------------- */

static long run_second(void *guest)
{
	return guest_run(guest, 1);
}

/* Each has a module and a stack of its own, and the function counts in %r12. */
static void two_at_once(struct guest *g)
{
	unsigned int cpu;

	guest_new(g, 2);
	guest_code(g, KERNEL, CALL(LOADFN), HLT);
	guest_code(g, LOADFN, 0x49, 0xff, 0xc4, CALL(FUNC), 0x90, 0x90, 0x90,
		   0x90, 0x90, 0x90, RET);
	guest_code(g, FUNC, RET);
	for (cpu = 0; cpu < 2; cpu++)
		guest_regs(g, cpu, &(struct kvm_regs){
			.rip = KERNEL, .rsp = STACK - 0x8000 * cpu,
			.rdi = OBJECT + PAGE * cpu, .rflags = 2 });
}

static bool both_told(int h, struct chariot_event ev[2])
{
	struct pollfd p = { .fd = h, .events = POLLIN };
	struct chariot_event e;
	unsigned int got = 0, i;

	for (i = 0; i < patience * 20 && got != 3; i++) {
		poll(&p, 1, 50);
		if (!event_find(h, CHARIOT_EV_LOAD, 0, &e) || e.vcpu > 1)
			continue;
		ev[e.vcpu] = e;
		got |= 1 << e.vcpu;
	}
	return got == 3;
}

static uint64_t count_of(struct guest *g, unsigned int cpu)
{
	struct kvm_regs r;

	if (ioctl(g->cpu[cpu].fd, KVM_GET_REGS, &r))
		die("KVM_GET_REGS");
	return r.r12;
}

void test_two_loads(void)
{
	struct chariot_event ev[2] = {}, more;
	struct task *t[2];
	struct guest g;
	bool both;
	int h;

	two_at_once(&g);
	h = attach_and_watch(&g, LOADFN);
	t[0] = task_start(run_guest, &g);
	t[1] = task_start(run_second, &g);
	both = both_told(h, ev);
	ok(both && ev[0].u.load.module == OBJECT &&
	   ev[1].u.load.module == OBJECT + PAGE,
	   "each CPU tells of its module while the other one waits: %llx, %llx",
	   ev[0].u.load.module, ev[1].u.load.module);
	go_on(h, ev[1].seq);
	ok(task_wait(t[1], patience) && t[1]->result == KVM_EXIT_HLT,
	   "the second one is answered, and goes on");
	ok(!task_wait(t[0], 0), "the first one waits still");
	go_on(h, ev[0].seq);
	ok(task_wait(t[0], patience) && t[0]->result == KVM_EXIT_HLT,
	   "it goes on when it is answered, too");
	ok(!event_find(h, CHARIOT_EV_LOAD, 0, &more),
	   "neither has told of its module twice");
	if (t[0]->joined && t[1]->joined)
		ok(count_of(&g, 0) == 1 && count_of(&g, 1) == 1,
		   "both calls were done once");
	ok(vm_info(h).state != CHARIOT_VM_DEAD, "the VM is watched still");
	audit(h, "after that");
	close(h);
}

/* ---- instructions on two pages -------------------------------------------- */

#define EDGE	(LOADFN + PAGE)

/*
 * Into the page by an instruction that lies on its first edge, to the load point
 * behind it; out by one on the other edge.  The former is one of 5 bytes at most.
 */
static void straddle_code(struct guest *g, const void *insn, unsigned int len)
{
	int rel = EDGE - 2 - (LOADFN + 3 + 5);

	/* again: inc %edi; call it; dec %ebx; jnz again; hlt */
	guest_code(g, KERNEL, 0xff, 0xc7, CALL(LOADFN + 3 - 5), 0xff, 0xcb, 0x75,
		   0xf3, HLT);
	memset(g->mem + LOADFN - 2, 0x90, 5);
	guest_put(g, LOADFN + 3 - len, insn, len);
	/* jmp; mov $0x11223344, %ecx; ret */
	guest_code(g, LOADFN + 3, 0xe9, LE32(rel));
	guest_code(g, EDGE - 2, 0xb9, LE32(0x11223344), RET);
}

static long straddle(struct guest *g, int h, unsigned int *loads)
{
	guest_start(g, STACK, LOADS);
	*loads = 0;
	return run_answered(g, h, loads);
}

void test_straddle(void)
{
	static const unsigned char mov[] = { 0xb8, LE32(0x55667788) };
	static const unsigned char lfence[] = { 0x90, 0x0f, 0xae, 0xe8, 0x90 };
	struct chariot_event ev;
	struct kvm_regs regs;
	unsigned int loads;
	struct guest g;
	int h, other;
	long r;

	guest_new(&g, 1);
	straddle_code(&g, mov, sizeof(mov));
	h = attach_and_watch(&g, LOADFN + 3);
	r = straddle(&g, h, &loads);
	if (ioctl(g.cpu[0].fd, KVM_GET_REGS, &regs))
		die("KVM_GET_REGS");
	ok(r == KVM_EXIT_HLT && loads == LOADS,
	   "instructions on the edges run, each LOAD is seen: %u, exit %ld",
	   loads, r);
	ok(regs.rax == 0x55667788 && regs.rcx == 0x11223344,
	   "and do what they do: %llx, %llx", regs.rax, regs.rcx);
	audit(h, "after that");
	close(h);

	straddle_code(&g, lfence, sizeof(lfence));
	h = attach_and_watch(&g, LOADFN + 3);
	other = attach(g.fd);	/* who answers LOADs reads all of his */
	r = straddle(&g, h, &loads);
	ok(r == KVM_EXIT_HLT, "with one that KVM cannot emulate it goes on: exit %ld",
	   r);
	ok(vm_info(h).state == CHARIOT_VM_DEAD &&
	   event_find(other, CHARIOT_EV_ERROR, 0, &ev),
	   "and an ERROR event tells that nothing is watched any more");
	close(other);
	close(h);
}

/* ---- what the owner before had split --------------------------------------- */

#define HIGH_SIZE	(8u << 20)
#define MISSING		0x202000

/* In large memory: two drivers, on one block of 2 MiB. */
static void two_drivers(struct guest *g)
{
	char *m = large_memory(HIGH_SIZE);

	if (guest_slot(g, 1, HIGH, m, HIGH_SIZE, 0))
		die("memory slot");
	/* back by a jump: what it would return to is 0 */
	memcpy(m + DRIVER, (unsigned char[]){ JUMP(KERNEL + 7) }, 7);
	m[DRIVER + PAGE - 1] = RET;
	m[DRIVER2] = RET;
	guest_code(g, KERNEL, JUMP(HIGH + DRIVER), HLT);
}

static int isolate(int h, uint64_t text)
{
	struct domain d;

	domain_init(&d, text);
	return domain_create(h, &d);
}

static bool write_there(struct guest *g)
{
	struct kvm_regs r = {
		.rip = KERNEL, .rsp = STACK, .rdi = HIGH + 0x100000,
		.rflags = 2 };
	struct task *t;

	/* mov %rax, (%rdi) */
	guest_code(g, KERNEL, 0x48, 0x89, 0x07, HLT);
	guest_regs(g, 0, &r);
	t = task_start(run_guest, g);
	return task_wait(t, patience) && t->result == KVM_EXIT_HLT;
}

void test_again_split(void)
{
	struct stall page;
	struct guest g;
	struct task *t;
	bool ended;
	int h;

	guest_new(&g, 2);
	two_drivers(&g);
	guest_code(&g, FUNC, HLT);
	stall_begin(&page, g.mem + MISSING, PAGE);
	h = attach(g.fd);
	if (h < 0 || isolate(h, HIGH + DRIVER) != 1)
		die("attach, CREATE");
	note("large pages: %ld", guest_stat(&g, "pages_2m"));
	guest_start(&g, MISSING + 0x800, 0);
	t = task_start(run_guest, &g);
	ok(stall_wait(&page, patience), "a vCPU is stuck under the VM's lock");
	close(h);
	h = attach(g.fd);
	ok(h >= 0 && isolate(h, HIGH + DRIVER2) == 1,
	   "attached anew, a driver on the same 2 MiB");
	/* The new one has looked at the memory slots when another CPU has faulted. */
	guest_regs(&g, 1, &(struct kvm_regs){
		.rip = FUNC, .rsp = STACK - 0x4000, .rflags = 2 });
	ok(guest_run(&g, 1) == KVM_EXIT_HLT, "another CPU runs meanwhile");
	stall_end(&page);
	ended = task_wait(t, patience);
	ok(ended && t->result == KVM_EXIT_HLT,
	   "the page comes, and the guest goes on: exit %ld", t->result);
	ok(write_there(&g), "it writes there");
	audit(h, "after that");
	close(h);
}
