// SPDX-License-Identifier: GPL-2.0
/*
 * Ways into second-stage tables (Documentation/hooks.rst): a driver writes to its own
 * page and to one that is not, over and over, while KVM and the VMM do what makes,
 * changes and drops mappings.  Each of the latter writes is seen, nothing else is.
 */
#include "vm.h"
#include "ways.h"
#include "hostile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MMIO	0xd0000000	/* no memory */

#define AT_ROUND 0x80		/* ports, for KVM_EXIT_IO */
#define AT_SMI	0x81

/* As the interrupt entry and handlers of a kernel: on pages of their own. */
static void kernel_code(struct guest *g)
{
	guest_idt(g);
	guest_gdt(g);
	guest_code(g, KERNEL, CALL(DRIVER), HLT);
	guest_code(g, INTR, 0x50, JUMP(HANDLER));	/* push %rax */
	/* mov $MMIO, %eax; mov (%rax), %eax; pop %rax; inc %r12; iretq */
	guest_code(g, HANDLER, 0xb8, LE32(MMIO), 0x8b, 0x00, 0x58, 0x49, 0xff,
		   0xc4, 0x48, 0xcf);
}

/* again: out %al, $AT_ROUND (or nop); mov %ecx, (%rdi); mov %ecx, (%rsi);
 * dec %ebx; jnz again; ret */
static void driver_code(struct guest *g, uint64_t at, bool comes_out)
{
	guest_code(g, at, 0x66, 0x90, 0x89, 0x0f, 0x89, 0x0e, 0xff, 0xcb, 0x75,
		   0xf6, RET);
	if (comes_out)
		guest_code(g, at, 0xe6, AT_ROUND);
}

static void start(struct world *w, unsigned int cpu)
{
	guest_regs(&w->g, cpu, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK - 0x4000 * cpu, .rcx = VALUE,
		.rdi = OWN + 8 * cpu, .rsi = WILD + 8 * cpu, .rbx = w->rounds,
		.rflags = 2 });
}

void world_begin(struct world *w, unsigned int nr_cpus,
		 void (*prepare)(struct guest *g), unsigned int rounds,
		 void (*at)(struct world *w, unsigned int port))
{
	struct domain d;
	unsigned int i;

	memset(w, 0, sizeof(*w));
	guest_new_with(&w->g, nr_cpus, prepare);
	kernel_code(&w->g);
	driver_code(&w->g, DRIVER, at);
	w->at = at;
	w->rounds = rounds;
	w->h = attach(w->g.fd);
	domain_init(&d, DRIVER);
	if (w->h < 0 || domain_create(w->h, &d) != 1 ||
	    grant(w->h, OWN, PAGE))
		die("attach, CREATE, GRANT");
	for (i = 0; i < nr_cpus; i++)
		start(w, i);
}

/* Dirty rings are for who has them. */
static long run_cpu(struct world *w, unsigned int cpu)
{
	struct kvm_run *run = w->g.cpu[cpu].run;
	int r;

	for (;;) {
		r = guest_run(&w->g, cpu);
		if (r == KVM_EXIT_IO && w->at)
			w->at(w, run->io.port);
		else if (r == KVM_EXIT_DIRTY_RING_FULL)
			ioctl(w->g.fd, KVM_RESET_DIRTY_RINGS, 0);
		else if (r != KVM_EXIT_MMIO && r != -EINTR && r != -EAGAIN)
			return r;
	}
}

long world_run(void *w)
{
	return run_cpu(w, 0);
}

static long run_second(void *w)
{
	return run_cpu(w, 1);
}

uint64_t violations(int h)
{
	struct chariot_stats s = { .argsz = sizeof(s), .domain = 1 };

	return ioctl(h, CHARIOT_STATS, &s) ? 0 : s.violations;
}

void world_judge(struct world *w, unsigned int cpus, bool ended, long r)
{
	struct chariot_event ev;
	uint64_t n = violations(w->h);
	unsigned int other = 0;

	ok(ended && r == KVM_EXIT_HLT, "the guest runs to its end: exit %ld", r);
	ok(n == (uint64_t)w->rounds * cpus,
	   "each wild write is seen, and nothing else: %llu violations of %u writes",
	   (unsigned long long)n, w->rounds * cpus);
	while (event_find(w->h, CHARIOT_EV_VIOLATION, 1, &ev))
		other += ev.u.violation.why != CHARIOT_WHY_WRITE;
	ok(!other, "no violation of another kind: %u", other);
	ok(*(volatile unsigned int *)(w->g.mem + WILD) != VALUE,
	   "none was done");
	ok(*(volatile unsigned int *)(w->g.mem + OWN) == VALUE || w->no_own,
	   "the driver's own write is");
	ok(vm_info(w->h).state == CHARIOT_VM_ISOLATING && vm_info(w->h).domains,
	   "the driver is isolated still");
	audit(w->h, "at the end");
}

/* One CPU, whose driver comes out in each round. */
static void run_and_judge(struct world *w)
{
	struct task *t = task_start(world_run, w);
	bool ended = task_wait(t, 3 * patience);

	world_judge(w, 1, ended, t->result);
}

/* ---- audit ---------------------------------------------------------------- */

static int watch(struct world *w, unsigned int flags)
{
	struct chariot_watch a = {
		.argsz = sizeof(a), .flags = flags, .timeout_ms = 1000,
		.load_gva = FUNC, .cr3 = PML4, .cr4 = 0x20,
	};

	return ioctl(w->h, CHARIOT_WATCH, &a);
}

/* Domains, grants and watched pages come and go. */
static void change(struct world *w, unsigned int n)
{
	struct chariot_domain_op op = {
		.argsz = sizeof(op), .domain = 2,
	};
	struct chariot_grant gr = {
		.argsz = sizeof(gr), .domain = 1,
		.flags = CHARIOT_GRANT_REVOKE, .gva = OBJECT + 0x10000,
	};
	struct domain d;

	domain_init(&d, DRIVER2);
	watch(w, n & 1 ? CHARIOT_WATCH_LOAD : 0);
	if (n & 2)
		domain_create(w->h, &d);
	else
		ioctl(w->h, CHARIOT_DOMAIN_DROP, &op);
	if (n & 4)
		grant(w->h, OBJECT + 0x10000, PAGE);
	else
		ioctl(w->h, CHARIOT_GRANT, &gr);
}

void test_audit(void)
{
	struct chariot_audit a = { .argsz = sizeof(a) };
	unsigned int i, err = 0, bad = 0, none = 0;
	static struct world w;
	struct task *t, *u;
	bool ended;

	world_begin(&w, 2, NULL, 600, NULL);
	guest_code(&w.g, DRIVER2, RET);
	guest_code(&w.g, FUNC, RET);
	t = task_start(world_run, &w);
	u = task_start(run_second, &w);
	for (i = 0; !(task_wait(t, 0) && task_wait(u, 0)) && i < 20000; i++) {
		change(&w, i);
		usleep(2000);
		a = (struct chariot_audit){ .argsz = sizeof(a) };
		err += !!ioctl(w.h, CHARIOT_AUDIT, &a);
		bad += !!a.bad;
		none += !a.checked;
		if (a.bad && bad == 1)
			note("gpa %llx, view %u, access %u", a.gpa, a.view,
			     a.access);
	}
	ok(!err && !bad && none < i / 2, "%u audits beside it: %u bad, %u errors, nothing mapped in %u",
	   i, bad, err, none);
	ended = task_wait(t, patience) && task_wait(u, patience);
	/* The last change may have dropped all mappings. */
	if (ended)
		guest_reads(&w.g, WILD);
	world_judge(&w, 2, ended, t->result);
}

/* ---- the local APIC ------------------------------------------------------- */

void world_irqchip(struct guest *g)
{
	if (ioctl(g->fd, KVM_CREATE_IRQCHIP, 0))
		die("KVM_CREATE_IRQCHIP");
}


/* A CPU that halts does so in KVM: the kernel ends in an out. */
void test_apic(void)
{
	static struct world w;
	struct task *t;
	bool ended;

	world_begin(&w, 1, world_irqchip, 1, NULL);
	guest_code(&w.g, KERNEL, CALL(DRIVER), 0xe6, AT_ROUND, HLT);
	guest_regs(&w.g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = OWN, .rsi = 0xfee00080,
		.rcx = VALUE, .rbx = 1, .rflags = 2 });
	t = task_start(world_run, &w);
	ended = task_wait(t, patience);
	ok(ended && t->result == KVM_EXIT_IO, "the guest runs on: exit %ld",
	   t->result);
	note("violations: %llu; without AVIC or APICv it is device memory",
	     (unsigned long long)violations(w.h));
	audit(w.h, "after that");
}

/* ---- the role is made anew ------------------------------------------------- */

static void toggle_sregs(struct world *w, unsigned int port)
{
	int cpu = w->g.cpu[0].fd;
	struct kvm_sregs s;

	(void)port;
	if (ioctl(cpu, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS");
	if (w->n++ & 1)
		s.efer ^= 0x800;	/* NX */
	else
		s.cr4 ^= 1 << 7;	/* PGE */
	if (ioctl(cpu, KVM_SET_SREGS, &s) || ioctl(cpu, KVM_NMI, 0))
		die("KVM_SET_SREGS, KVM_NMI");
}

static void judge_interrupts(struct world *w)
{
	struct kvm_regs r;

	if (ioctl(w->g.cpu[0].fd, KVM_GET_REGS, &r))
		die("KVM_GET_REGS");
	ok(r.r12 == w->rounds, "%llu interrupts of %u were taken", r.r12,
	   w->rounds);
}

/* The view is lost while the driver runs, and an interrupt comes first. */
void test_sregs(void)
{
	static struct world w;

	world_begin(&w, 1, NULL, 100, toggle_sregs);
	run_and_judge(&w);
	judge_interrupts(&w);
}

static void smm_memory(struct guest *g)
{
	if (guest_slot(g, 1 << 16, 0, g->mem, GUEST_MEM, 0))
		die("memory of SMM");
}

/* The NMI comes when the CPU is back from it. */
static void smi(struct world *w, unsigned int port)
{
	if (ioctl(w->g.cpu[0].fd, port == AT_SMI ? KVM_NMI : KVM_SMI, 0))
		die(port == AT_SMI ? "KVM_NMI" : "KVM_SMI");
	w->n += port == AT_SMI;
}

void test_smi(void)
{
	static struct world w;

	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_SMM) <= 0) {
		skip("no SMM here");
		return;
	}
	world_begin(&w, 1, smm_memory, 100, smi);
	guest_code(&w.g, SMM, 0xe6, AT_SMI, 0x0f, 0xaa);	/* out; rsm */
	run_and_judge(&w);
	judge_interrupts(&w);
	ok(w.n == w.rounds, "%u SMIs of %u were taken", w.n, w.rounds);
}

/* ---- dirty logging --------------------------------------------------------- */

static void manual_protect(struct guest *g)
{
	struct kvm_enable_cap c = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
	};

	if (ioctl(g->fd, KVM_ENABLE_CAP, &c) ||
	    guest_slot(g, 0, 0, g->mem, GUEST_MEM, KVM_MEM_LOG_DIRTY_PAGES))
		die("dirty logging");
}

/* The number of times that the driver's page was dirty. */
static unsigned int log_dirty(struct world *w, unsigned char *bits)
{
	struct kvm_dirty_log log = { .dirty_bitmap = bits };
	struct kvm_clear_dirty_log clear = {
		.num_pages = GUEST_MEM / PAGE, .dirty_bitmap = bits };

	if (ioctl(w->g.fd, KVM_GET_DIRTY_LOG, &log) ||
	    ioctl(w->g.fd, KVM_CLEAR_DIRTY_LOG, &clear))
		die("dirty log");
	return bits[OWN / PAGE / 8] >> OWN / PAGE % 8 & 1;
}

void test_dirty(void)
{
	unsigned char bits[GUEST_MEM / PAGE / 8];
	unsigned int dirty = 0, i;
	static struct world w;
	struct task *t;
	bool ended;

	world_begin(&w, 1, manual_protect, 600, NULL);
	t = task_start(world_run, &w);
	for (i = 0; i < 100000 && !task_wait(t, 0); i++) {
		dirty += log_dirty(&w, bits);
		/* As a migration begins and is cancelled. */
		if (i % 64 == 63) {
			guest_slot(&w.g, 0, 0, w.g.mem, GUEST_MEM, 0);
			guest_slot(&w.g, 0, 0, w.g.mem, GUEST_MEM,
				   KVM_MEM_LOG_DIRTY_PAGES);
		}
	}
	dirty += log_dirty(&w, bits);
	note("the driver's page was dirty in %u of %u logs", dirty, i);
	ok(dirty, "the driver's writes are in the log");
	ended = task_wait(t, patience);
	world_judge(&w, 1, ended, t->result);
}

/* Its own page and the wild one, in large pages. */
#define LARGE_SIZE	(8u << 20)
#define LARGE_OWN	(3 * PAGE)
#define LARGE_WILD	(LARGE_PAGE + 5 * PAGE)

static char *large;
static unsigned int has_large;

static void large_slot(struct guest *g)
{
	large = large_memory(LARGE_SIZE);
	if (guest_slot(g, 1, HIGH, large, LARGE_SIZE, 0))
		die("memory slot");
}

/* Logging begins and ends by turns. */
static void log_in_turn(struct world *w, unsigned int port)
{
	(void)port;
	has_large += guest_stat(&w->g, "pages_2m") > 0;
	if (guest_slot(&w->g, 1, HIGH, large, LARGE_SIZE,
		       w->n++ & 1 ? 0 : KVM_MEM_LOG_DIRTY_PAGES))
		die("dirty logging");
}

/*
 * KVM splits large pages when logging begins, and has them back when it ends: in the
 * driver's view, too, which has read the wild one's whole.
 */
void test_dirty_large(void)
{
	static struct world w;

	world_begin(&w, 1, large_slot, 40, log_in_turn);
	w.no_own = true;
	/* again: out %al, $AT_ROUND; mov (%rsi), %eax; mov %ecx, (%rdi);
	 * mov %ecx, (%rsi); dec %ebx; jnz again; ret */
	guest_code(&w.g, DRIVER, 0xe6, AT_ROUND, 0x8b, 0x06, 0x89, 0x0f, 0x89, 0x0e,
		   0xff, 0xcb, 0x75, 0xf4, RET);
	guest_regs(&w.g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rcx = VALUE, .rdi = HIGH + LARGE_OWN,
		.rsi = HIGH + LARGE_WILD, .rbx = w.rounds, .rflags = 2 });
	if (grant(w.h, HIGH + LARGE_OWN, PAGE))
		die("GRANT");
	run_and_judge(&w);
	note("at %u of %u changes large pages were mapped", has_large, w.n);
	ok(w.n == w.rounds, "logging began or ended %u times", w.n);
	ok(*(unsigned int *)(large + LARGE_OWN) == VALUE, "the driver's own write is");
	ok(*(unsigned int *)(large + LARGE_WILD) != VALUE, "the wild one is not");
}

#define RING	65536	/* bytes */

static void dirty_ring(struct guest *g)
{
	struct kvm_enable_cap c = {
		.cap = KVM_CAP_DIRTY_LOG_RING, .args = { RING } };

	if (ioctl(g->fd, KVM_ENABLE_CAP, &c) ||
	    guest_slot(g, 0, 0, g->mem, GUEST_MEM, KVM_MEM_LOG_DIRTY_PAGES))
		die("dirty ring");
}

/* Give back what is in it; the number of times that the driver's page was. */
static unsigned int harvest(struct world *w, struct kvm_dirty_gfn *ring)
{
	static unsigned int next;
	unsigned int own = 0;

	for (;; next++) {
		struct kvm_dirty_gfn *e =
			&ring[next % (RING / sizeof(*ring))];

		if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) &
		      KVM_DIRTY_GFN_F_DIRTY))
			break;
		own += e->offset == OWN / PAGE;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET,
				 __ATOMIC_RELEASE);
	}
	ioctl(w->g.fd, KVM_RESET_DIRTY_RINGS, 0);
	return own;
}

void test_dirty_ring(void)
{
	struct kvm_dirty_gfn *ring;
	static struct world w;
	unsigned int own = 0;
	struct task *t;
	bool ended;

	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING) < RING) {
		skip("no dirty ring here");
		return;
	}
	world_begin(&w, 1, dirty_ring, 600, NULL);
	ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED,
		    w.g.cpu[0].fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
	if (ring == MAP_FAILED)
		die("dirty ring");
	t = task_start(world_run, &w);
	while (!task_wait(t, 0))
		own += harvest(&w, ring);
	own += harvest(&w, ring);
	ok(own, "the driver's writes are in the ring: %u times", own);
	ended = task_wait(t, patience);
	world_judge(&w, 1, ended, t->result);
}

/* ---- mapped with no fault of ours ------------------------------------------ */

/* Linux 6.12 */
struct pre_fault {
	__u64 gpa, size, flags, padding[5];
};
#define PRE_FAULT_MEMORY	_IOWR(KVMIO, 0xd5, struct pre_fault)
#define CAP_PRE_FAULT_MEMORY	236

static void pre_fault(struct world *w)
{
	struct pre_fault p = { .size = GUEST_MEM };

	while (p.size && !ioctl(w->g.cpu[0].fd, PRE_FAULT_MEMORY, &p))
		;
	if (p.size)
		note("%llx is left: %s", p.size, strerror(errno));
	w->n += !p.size;
}

static void pre_fault_at(struct world *w, unsigned int port)
{
	(void)port;
	pre_fault(w);
	if (w->n == 1)
		audit(w->h, "in the driver's view");
}

/* The domain goes while the vCPU is in its view; another driver is called next. */
static void pre_fault_dropped(struct world *w, unsigned int port)
{
	struct chariot_domain_op op = { .argsz = sizeof(op), .domain = 1 };

	(void)port;
	if (w->n++)
		return;
	if (ioctl(w->h, CHARIOT_DOMAIN_DROP, &op))
		die("DROP");
	pre_fault(w);
}

static void drop_and_pre_fault(void)
{
	struct chariot_stats s = { .argsz = sizeof(s), .domain = 2 };
	static struct world w;
	struct domain other;
	struct task *t;
	bool ended;

	world_begin(&w, 1, NULL, 1, pre_fault_dropped);
	/* What is not there yet is mapped read-only, and so faults when it is written. */
	w.g.mem[WILD + 64] = w.g.mem[OWN + 64] = 1;
	domain_init(&other, DRIVER2);
	guest_code(&w.g, KERNEL, CALL(DRIVER), CALL(DRIVER2), HLT);
	guest_code(&w.g, DRIVER2, RET);
	if (domain_create(w.h, &other) != 2)
		die("CREATE");
	t = task_start(world_run, &w);
	ended = task_wait(t, patience);
	ok(ended && t->result == KVM_EXIT_HLT,
	   "the driver is dropped while it runs: exit %ld", t->result);
	if (ioctl(w.h, CHARIOT_STATS, &s))
		die("CHARIOT_STATS");
	ok(s.entries == 1,
	   "another one that is called then is isolated: %llu entries",
	   (unsigned long long)s.entries);
	audit(w.h, "after that");
}

void test_prefault(void)
{
	struct chariot_info info = { .argsz = sizeof(info) };
	static struct world w;

	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, CAP_PRE_FAULT_MEMORY) <= 0 ||
	    ioctl(dev_fd, CHARIOT_INFO, &info) ||
	    info.caps & CHARIOT_CAP_SHADOW) {
		skip("no KVM_PRE_FAULT_MEMORY here");
		return;
	}
	world_begin(&w, 1, NULL, 20, pre_fault_at);
	pre_fault(&w);
	audit(w.h, "in the kernel's view");
	w.n = 0;
	run_and_judge(&w);
	ok(w.n == w.rounds, "all memory was mapped %u of %u times", w.n,
	   w.rounds);
	drop_and_pre_fault();
}

/* ---- memory goes and comes -------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		note("%s: %s", path, strerror(errno));
	close(fd);
}

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

/* Pages with nothing on them are merged, and apart again when they are written. */
static void make_ksm(struct world *w)
{
	madvise(w->g.mem, GUEST_MEM, MADV_MERGEABLE);
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	write_file("/sys/kernel/mm/ksm/run", "1");
}

static void move_memory(struct world *w, unsigned int n)
{
	void *mem = w->g.mem;

	madvise(mem, GUEST_MEM, MADV_PAGEOUT);
	mprotect(mem, GUEST_MEM,
		 PROT_READ | PROT_WRITE | (n & 1 ? PROT_EXEC : 0));
	madvise(mem + WILD, PAGE, MADV_DONTNEED);
	if (n % 16 == 0)
		write_file("/proc/sys/vm/compact_memory", "1");
}

#define SWAP_ROUNDS	600

void test_swap(void)
{
	static struct world w;
	struct task *t;
	bool ended;
	unsigned int i;

	world_begin(&w, 1, NULL, SWAP_ROUNDS, NULL);
	make_ksm(&w);
	t = task_start(world_run, &w);
	for (i = 0; i < 100000 && !task_wait(t, 0); i++)
		move_memory(&w, i);
	note("%u times", i);
	write_file("/sys/kernel/mm/ksm/run", "2");
	ended = task_wait(t, patience);
	if (!ended)
		die("the guest does not come to its end");
	/* Nothing may be mapped by now; there has to be something to audit. */
	w.rounds = 1;
	start(&w, 0);
	w.rounds += SWAP_ROUNDS;
	world_judge(&w, 1, true, world_run(&w));
	write_file("/sys/kernel/mm/ksm/run", "0");
}

/* ---- read-only memory -------------------------------------------------------- */

#define ROM	(256u << 20)

static unsigned char *rom;

static void rom_memory(struct guest *g)
{
	rom = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rom == MAP_FAILED ||
	    guest_slot(g, 1, ROM, rom, 2 * PAGE, KVM_MEM_READONLY))
		die("read-only memory");
}

/* What is granted comes out as device memory, as it does without us. */
void test_rom(void)
{
	unsigned int mmio = 0, other = 0;
	static struct world w;
	int r = 0, i;

	world_begin(&w, 1, rom_memory, 10, NULL);
	w.no_own = true;
	guest_regs(&w.g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = ROM, .rsi = ROM + PAGE,
		.rcx = VALUE, .rbx = w.rounds, .rflags = 2 });
	if (grant(w.h, ROM, PAGE))
		die("GRANT");
	for (i = 0; i < 100 && r != KVM_EXIT_HLT; i++) {
		r = guest_run(&w.g, 0);
		if (r == KVM_EXIT_MMIO && w.g.cpu[0].run->mmio.phys_addr == ROM)
			mmio++;
		else if (r == KVM_EXIT_MMIO)
			other++;
	}
	ok(mmio == w.rounds && !other,
	   "granted writes come out, and no others: %u of %u", mmio, w.rounds);
	ok(!rom[0] && !rom[PAGE], "nothing is written");
	world_judge(&w, 1, true, r);
}

/* ---- nx_huge_pages, switched on later --------------------------------------- */

#define NX_HUGE	"/sys/module/kvm/parameters/nx_huge_pages"

static bool nx_huge(const char *value)
{
	int fd = open(NX_HUGE, O_WRONLY), n;

	n = fd < 0 ? -1 : (int)write(fd, value, strlen(value));
	if (fd >= 0)
		close(fd);
	return n > 0;
}

/* KVM makes parts of a split page executable then: isolation ends before that. */
void test_nx_huge(void)
{
	struct chariot_event ev = {};
	struct domain d;
	struct guest g;
	bool told;
	int h, r;

	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	guest_code(&g, DRIVER, RET);
	domain_init(&d, DRIVER);
	h = guest_isolate(&g, &d);
	guest_start(&g, STACK, 0);
	ok(guest_run(&g, 0) == KVM_EXIT_HLT, "the driver runs");
	if (!nx_huge("force")) {
		skip("nx_huge_pages cannot be switched on here");
		close(h);
		return;
	}
	guest_start(&g, STACK, 0);
	ok(guest_run(&g, 0) == KVM_EXIT_HLT, "and with nx_huge_pages, too");
	told = vm_info(h).state == CHARIOT_VM_DEAD &&
	       event_find(h, CHARIOT_EV_ERROR, 0, &ev);
	ok(told, "isolation has ended, and that is told: %.100s", ev.u.error.text);
	close(h);
	h = attach(g.fd);
	r = domain_create(h, &d) < 0 ? errno : 0;
	ok(r == EOPNOTSUPP, "CREATE refuses: %s", strerror(r));
	if (!nx_huge("off"))
		die("nx_huge_pages stays on");
	ok(domain_create(h, &d) == 1, "and does not when it is off again");
	close(h);
}
