// SPDX-License-Identifier: GPL-2.0
/*
 * Ways into second-stage tables (Documentation/hooks.rst) that are of KVM's MMU: pages
 * that it maps by itself later, page tables of the guest that it follows late, and
 * those of a guest inside of the guest.
 */
#include "vm.h"
#include "ways.h"
#include "hostile.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- asynchronous page faults --------------------------------------------- */

#define ROUNDS		8
#define LATE_WILD	0x700000	/* a page for each round, none is there */
#define LATE_OWN	0x740000
#define AT_END		0x82
#define AT_NMI		0x83

/*
 * In each round the driver reads a page that is not there, writes to it, which it
 * must not, and to one of its own that is not there either.
 */
static void async_code(struct guest *g)
{
	guest_code(g, KERNEL, CALL(DRIVER), 0xe6, AT_END, HLT);
	/* again: mov (%rsi), %eax; mov %ecx, (%rsi); mov %ecx, (%rdi);
	 * add $PAGE, %rsi; add $PAGE, %rdi; dec %ebx; jnz again; ret */
	guest_code(g, DRIVER, 0x8b, 0x06, 0x89, 0x0e, 0x89, 0x0f,
		   0x48, 0x81, 0xc6, LE32(PAGE), 0x48, 0x81, 0xc7, LE32(PAGE),
		   0xff, 0xcb, 0x75, 0xe8, RET);
	/* out; inc %r12; iretq */
	guest_code(g, HANDLER, 0xe6, AT_NMI, 0x58, 0x49, 0xff, 0xc4, 0x48,
		   0xcf);
	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rcx = VALUE, .rbx = ROUNDS,
		.rdi = LATE_OWN, .rsi = LATE_WILD, .rflags = 0x202 });
}

/*
 * The CPU waits inside of KVM for the page at @at, which somebody else asks for: so it
 * takes an NMI, and is in the kernel's view when the page comes.
 */
static bool nmi_then_give(struct world *w, struct task **t, struct stall *s,
			  size_t at)
{
	/* An ioctl of the CPU would wait for its KVM_RUN. */
	struct kvm_msi nmi = { .address_lo = 0xfee00000, .data = 4 << 8 };

	if (ioctl(w->g.fd, KVM_SIGNAL_MSI, &nmi) <= 0)
		die("KVM_SIGNAL_MSI");
	if (!task_wait(*t, patience) || (*t)->result != KVM_EXIT_IO ||
	    w->g.cpu[0].run->io.port != AT_NMI)
		return false;
	stall_give(s, at);
	/* KVM's worker sees it, likely before this CPU asks for it again. */
	usleep(10000);
	*t = task_start(run_guest, &w->g);
	return true;
}

/* Pages come one by one, in every second round behind an NMI: how many of these. */
static unsigned int give_all(struct world *w, struct task **t,
			     struct stall s[2])
{
	unsigned int i, nmis = 0;

	for (i = 0; i < 2 * ROUNDS; i++) {
		struct stall *now = &s[i & 1];
		size_t at = i / 2 * PAGE;

		if (!stall_wait(now, patience))
			break;
		if (!(i / 2 & 1))
			stall_give(now, at);
		else if (nmi_then_give(w, t, now, at))
			nmis++;
		else
			break;
	}
	return nmis;
}

static unsigned int words(struct guest *g, uint64_t at, unsigned int value)
{
	unsigned int i, n = 0;

	for (i = 0; i < ROUNDS; i++)
		n += *(volatile unsigned int *)(g->mem + at + i * PAGE) == value;
	return n;
}

/* KVM looks for CPUs by their APICs only when these were set. */
static void set_apic(struct guest *g)
{
	struct kvm_lapic_state l;

	if (ioctl(g->cpu[0].fd, KVM_GET_LAPIC, &l) ||
	    ioctl(g->cpu[0].fd, KVM_SET_LAPIC, &l))
		die("KVM_SET_LAPIC");
}

void test_async(void)
{
	static struct world w;
	struct stall late[2];
	unsigned int nmis;
	struct task *t;
	bool ended;

	world_begin(&w, 1, world_irqchip, ROUNDS, NULL);
	set_apic(&w.g);
	async_code(&w.g);
	if (grant(w.h, LATE_OWN, ROUNDS * PAGE))
		die("GRANT");
	stall_begin(&late[0], w.g.mem + LATE_WILD, ROUNDS * PAGE);
	stall_begin(&late[1], w.g.mem + LATE_OWN, ROUNDS * PAGE);
	t = task_start(run_guest, &w.g);
	nmis = give_all(&w, &t, late);
	ok(nmis == ROUNDS,
	   "the CPU takes an interrupt while it waits for a page: %u of %u",
	   nmis, ROUNDS);
	ended = task_wait(t, patience);
	ok(ended && t->result == KVM_EXIT_IO &&
	   w.g.cpu[0].run->io.port == AT_END,
	   "the guest runs to its end: exit %ld", t->result);
	ok(violations(w.h) == ROUNDS,
	   "each wild write is seen, and nothing else: %llu violations of %u writes",
	   (unsigned long long)violations(w.h), ROUNDS);
	audit(w.h, "at the end");
	stall_end(&late[0]);
	stall_end(&late[1]);
	ok(words(&w.g, LATE_WILD, 0) == ROUNDS, "none was done");
	ok(words(&w.g, LATE_OWN, VALUE) == ROUNDS, "the driver's own writes are");
	ok(vm_info(w.h).state == CHARIOT_VM_ISOLATING, "the driver is isolated still");
	close(w.h);
}

/* ---- page tables that KVM follows late ------------------------------------- */

#define MOVING		0x40000000	/* an address whose page changes */
#define PT		0x8000		/* its page table */
#define PAGE_A		(OBJECT + 0x20000)
#define PAGE_B		(OBJECT + 0x30000)
#define MOVES		40

/*
 * The driver reads at MOVING and writes there.  Then the kernel maps the other page
 * there, flushes, and calls it again: %r11 is not 0 if it has once read what it
 * should not.
 */
static void unsync_code(struct guest *g, bool one_page)
{
	/* mov (%rdi), %rdx; mov %ecx, 8(%rdi); ret */
	guest_code(g, DRIVER, 0x48, 0x8b, 0x17, 0x89, 0x4f, 0x08, RET);
	/* again: call; xor %r10, %rdx; or %rdx, %r11; xchg %r12, %r13;
	 * xchg %r10, %r14; mov %r12, (%r15); flush; dec %ebx; jnz again; hlt */
	guest_code(g, KERNEL, CALL(DRIVER), 0x4c, 0x31, 0xd2, 0x49, 0x09, 0xd3,
		   0x4d, 0x87, 0xec, 0x4d, 0x87, 0xd6, 0x4d, 0x89, 0x27,
		   0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda, 0xff, 0xcb, 0x75, 0xe0,
		   HLT);
	/* invlpg (%rdi); nops, instead of mov %cr3, %rdx; mov %rdx, %cr3 */
	if (one_page)
		guest_code(g, KERNEL + 22, 0x0f, 0x01, 0x3f, 0x0f, 0x1f, 0x00);
	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rcx = VALUE, .rbx = MOVES,
		.rdi = MOVING, .r10 = 1, .r14 = 2, .r15 = PT,
		.r12 = PAGE_A | 0x63, .r13 = PAGE_B | 0x63, .rflags = 2 });
}

static void moving_page(struct guest *g)
{
	uint64_t *pd = (void *)(g->mem + PD), *pt = (void *)(g->mem + PT);

	pd[MOVING >> 21] = PT | 0x63;
	pt[0] = PAGE_A | 0x63;
	*(uint64_t *)(g->mem + PAGE_A) = 1;
	*(uint64_t *)(g->mem + PAGE_B) = 2;
}

static unsigned int second_word(struct guest *g, uint64_t page)
{
	return *(volatile unsigned int *)(g->mem + page + 8);
}

static void moves(bool one_page)
{
	const char *how = one_page ? "invlpg" : "CR3";
	static struct world w;
	struct kvm_regs regs;
	struct task *t;
	bool ended;

	world_begin(&w, 1, NULL, MOVES, NULL);
	moving_page(&w.g);
	unsync_code(&w.g, one_page);
	if (grant(w.h, PAGE_A, PAGE))
		die("GRANT");
	t = task_start(world_run, &w);
	ended = task_wait(t, patience);
	if (ioctl(w.g.cpu[0].fd, KVM_GET_REGS, &regs))
		die("KVM_GET_REGS");
	ok(ended && t->result == KVM_EXIT_HLT && !regs.rbx,
	   "%s: the guest runs to its end: exit %ld", how, t->result);
	ok(!regs.r11, "%s: the driver reads what is mapped by then: %llx", how,
	   regs.r11);
	ok(violations(w.h) == MOVES / 2,
	   "%s: each write to what is not its own is seen: %llu of %u", how,
	   (unsigned long long)violations(w.h), MOVES / 2);
	ok(second_word(&w.g, PAGE_A) == VALUE && !second_word(&w.g, PAGE_B),
	   "%s: none was done, and its own are", how);
	audit(w.h, "after that");
	close(w.h);
}

void test_unsync(void)
{
	moves(false);
	moves(true);
}

/* ---- a guest of the guest --------------------------------------------------- */

#define VMCB		0x60000
#define L2_CODE		0x61000
#define L2_PML4		0x62000		/* nested paging: three pages */
#define HSAVE		0x65000
#define MSR_HSAVE	0xc0010117
#define EFER_SVME	0x1000
#define HLT_EXIT	0x78

/* Fields of a VMCB, and its segments. */
#define PUT(type, at, value) (*(type *)(vmcb + (at)) = (value))

static void segment(unsigned char *vmcb, unsigned int at, unsigned int selector,
		    unsigned int attributes)
{
	PUT(uint16_t, at, selector);
	PUT(uint16_t, at + 2, attributes);
	PUT(uint32_t, at + 4, ~0u);
}

static void make_vmcb(struct guest *g, bool paging)
{
	unsigned char *vmcb = g->mem + VMCB;
	unsigned int at;

	memset(vmcb, 0, PAGE);
	PUT(uint32_t, 0x0c, 1 << 24);		/* intercept HLT */
	PUT(uint32_t, 0x10, 1);			/* and VMRUN */
	PUT(uint32_t, 0x58, 1);			/* ASID */
	PUT(uint64_t, 0x90, paging);
	PUT(uint64_t, 0xb0, paging ? L2_PML4 : 0);
	for (at = 0x400; at < 0x460; at += 0x10)
		segment(vmcb, at, 0x18, 0xc93);
	segment(vmcb, 0x410, 0x10, 0xa9b);	/* CS */
	PUT(uint64_t, 0x4d0, 0xd00 | EFER_SVME);
	PUT(uint64_t, 0x548, 0x20);		/* CR4 */
	PUT(uint64_t, 0x550, PML4);
	PUT(uint64_t, 0x558, 0x80010033);	/* CR0 */
	PUT(uint64_t, 0x560, 0x400);		/* DR7, DR6 */
	PUT(uint64_t, 0x568, 0xffff0ff0);
	PUT(uint64_t, 0x570, 2);
	PUT(uint64_t, 0x5d8, STACK - 0x8000);
	PUT(uint64_t, 0x668, 0x0007040600070406);	/* PAT */
}

/* What it maps is the guest's memory, as pages of a user. */
static void l2_tables(struct guest *g)
{
	uint64_t *t = (void *)(g->mem + L2_PML4);
	uint64_t i;

	t[0] = (L2_PML4 + PAGE) | 7;
	t[512] = (L2_PML4 + 2 * PAGE) | 7;
	for (i = 0; i < GUEST_MEM >> 21; i++)
		t[1024 + i] = i << 21 | 0x87;
}

/*
 * In each round a guest runs, which writes where the driver must not and executes the
 * driver's text, and then the driver.  %r13 sums up the guest's exits.
 */
static void nested_code(struct guest *g)
{
	/* again: mov $VMCB, %eax; movq $L2_CODE, 0x578(%rax); vmrun; stgi;
	 * add 0x70(%rax), %r13d; call; dec %ebp; jnz again; hlt */
	guest_code(g, KERNEL, 0xb8, LE32(VMCB), 0x48, 0xc7, 0x80, LE32(0x578),
		   LE32(L2_CODE), 0x0f, 0x01, 0xd8, 0x0f, 0x01, 0xdc,
		   0x44, 0x03, 0x68, 0x70, CALL(DRIVER), 0xff, 0xcd, 0x75, 0xdb,
		   HLT);
	/* mov %ecx, (%rdi); mov %ecx, (%rsi); ret; and a ret that is no entry */
	guest_code(g, DRIVER, 0x89, 0x0f, 0x89, 0x0e, RET);
	guest_code(g, DRIVER + 0x800, RET);
	/* mov $WILD + 256, %eax; incl (%rax); call; hlt */
	guest_code(g, L2_CODE, 0xb8, LE32(WILD + 256), 0xff, 0x00,
		   CALL(DRIVER + 0x800), HLT);
	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rcx = VALUE, .rbp = MOVES,
		.rdi = OWN, .rsi = WILD, .rflags = 2 });
}

/* -errno */
static int svm_on(struct guest *g)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry hsave;
	} m = { { .nmsrs = 1 }, { .index = MSR_HSAVE, .data = HSAVE } };
	struct kvm_sregs s;

	if (ioctl(g->cpu[0].fd, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS");
	s.efer |= EFER_SVME;
	if (ioctl(g->cpu[0].fd, KVM_SET_SREGS, &s))
		return -errno;
	return ioctl(g->cpu[0].fd, KVM_SET_MSRS, &m) == 1 ? 0 : -EINVAL;
}

static void run_nested(bool paging)
{
	const char *how = paging ? "nested paging" : "no nested paging";
	static struct world w;
	struct kvm_regs regs;
	struct task *t;
	bool ended;

	world_begin(&w, 1, NULL, MOVES, NULL);
	nested_code(&w.g);
	make_vmcb(&w.g, paging);
	l2_tables(&w.g);
	if (svm_on(&w.g)) {
		skip("no SVM in a guest here");
		return;
	}
	t = task_start(world_run, &w);
	ended = task_wait(t, patience);
	if (ioctl(w.g.cpu[0].fd, KVM_GET_REGS, &regs))
		die("KVM_GET_REGS");
	ok(regs.r13 == MOVES * HLT_EXIT,
	   "%s: the guest's guest halts, each time: %llx", how, regs.r13);
	ok(*(volatile unsigned int *)(w.g.mem + WILD + 256) == MOVES,
	   "%s: it writes, and executes the driver's text, as it likes", how);
	world_judge(&w, 1, ended, t->result);
	close(w.h);
}

void test_nested(void)
{
	struct chariot_info info = { .argsz = sizeof(info) };

	run_nested(false);
	if (ioctl(dev_fd, CHARIOT_INFO, &info) ||
	    info.caps & CHARIOT_CAP_SHADOW)
		skip("no nested paging here");
	else
		run_nested(true);
}
