// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetimes: who sleeps inside of us, for as long as he likes, while others
 * close, attach, kill and unload.
 */
#include "vm.h"
#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a vCPU that is stuck ----------------------------------------------- */

enum where {
	IN_EMULATOR,	/* a write of the driver, in KVM's emulator */
	IN_FAULT,	/* KVM's own page fault */
	IN_READ,	/* our look at the stack of an entry */
};

static const char *const where_names[] = {
	"in the emulator", "in a fault", "in our read of guest memory",
};

#define MISSING	0x202000	/* page that does not come */

struct stuck {
	struct guest g;
	struct stall page;
	struct task *vcpu;
	int handle;
};

/* From the page before into the missing one, by the stack pointer's rights. */
static void stuck_in_emulator(struct guest *g)
{
	guest_code(g, KERNEL, CALL(DRIVER), HLT);
	/* mov $MISSING - 16, %edi; mov $2048, %ecx; rep stosb */
	guest_code(g, DRIVER, 0xbf, LE32(MISSING - 16), 0xb9, LE32(2048),
		   0xf3, 0xaa, RET);
	guest_start(g, STACK, 0);
}

static void stuck_in_fault(struct guest *g)
{
	/* mov MISSING, %eax by way of (%rdi) */
	guest_code(g, KERNEL, 0xbf, LE32(MISSING), 0x8b, 0x07, HLT);
	guest_start(g, STACK, 0);
}

static void stuck_in_read(struct guest *g)
{
	guest_code(g, KERNEL, JUMP(DRIVER), HLT);
	/* back by a jump: what it would return to is 0 */
	guest_code(g, DRIVER, JUMP(KERNEL + 7), HLT);
	guest_start(g, MISSING + 0x800, 0);
}

static void stuck_make(struct stuck *s, enum where where)
{
	static void (*const make[])(struct guest *g) = {
		stuck_in_emulator, stuck_in_fault, stuck_in_read,
	};
	struct domain d;

	guest_new(&s->g, 1);
	memset(s->g.mem + MISSING - PAGE, 1, PAGE);
	memset(s->g.mem + MISSING + PAGE, 1, 2 * PAGE);
	stall_begin(&s->page, s->g.mem + MISSING, PAGE);
	s->handle = attach(s->g.fd);
	if (s->handle < 0)
		die("attach");
	domain_init(&d, DRIVER);
	if (domain_create(s->handle, &d) != 1)
		die("CREATE");
	make[where](&s->g);
}

static void stuck_run(struct stuck *s, enum where where)
{
	s->vcpu = task_start(run_guest, &s->g);
	ok(stall_wait(&s->page, patience), "a vCPU is stuck %s",
	   where_names[where]);
}

static void stuck_begin(struct stuck *s, enum where where)
{
	stuck_make(s, where);
	stuck_run(s, where);
}

/* Let the page come. */
static void stuck_end(struct stuck *s)
{
	bool ended;

	stall_end(&s->page);
	ended = task_wait(s->vcpu, patience);
	ok(ended && s->vcpu->result == KVM_EXIT_HLT,
	   "when the page has come the VM runs on: %s, exit %ld",
	   ended ? "ended" : "runs for ever", s->vcpu->result);
}

/* ---- the emulator ------------------------------------------------------- */

void test_close_emulating(void)
{
	struct stuck s;

	stuck_begin(&s, IN_EMULATOR);
	close(s.handle);
	stuck_end(&s);
}

void test_attach_emulating(void)
{
	struct stuck s;

	stuck_begin(&s, IN_EMULATOR);
	close(s.handle);
	s.handle = attach(s.g.fd);
	ok(s.handle >= 0, "attached again");
	stuck_end(&s);
}

/* ---- others are not held up --------------------------------------------- */

static long do_attach(void *guest)
{
	int fd = attach(((struct guest *)guest)->fd);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static long do_close(void *fd)
{
	return close((intptr_t)fd);
}

/* Attach and close of another VM. */
static void other_vm(struct guest *other)
{
	struct task *t = task_start(do_attach, other);
	bool ended = task_wait(t, patience);

	ok(ended && !t->result,
	   "another VM is attached and closed meanwhile%s",
	   ended ? "" : ": it waits");
}

static void close_of(int fd, const char *what)
{
	struct task *t = task_start(do_close, (void *)(intptr_t)fd);
	bool ended = task_wait(t, patience);

	ok(ended, "%s is closed meanwhile%s", what, ended ? "" : ": it waits");
}

struct create {
	int handle;
	struct domain d;
};

static long do_create(void *arg)
{
	struct create *c = arg;
	int r = domain_create(c->handle, &c->d);

	return r < 0 ? -errno : r;
}

void test_create_stalled(void)
{
	static struct create c;
	struct guest g, other;
	struct stall table;
	struct task *t;
	bool ended;
	int second;

	guest_new(&g, 1);
	guest_new(&other, 1);
	c.handle = attach(g.fd);
	second = attach(g.fd);
	domain_init(&c.d, DRIVER);
	stall_begin(&table, mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
	c.d.create.ranges = (uintptr_t)table.at;
	t = task_start(do_create, &c);
	ok(stall_wait(&table, patience), "CREATE waits for its table");
	close_of(second, "another handle of the VM");
	other_vm(&other);
	stall_end(&table);
	ended = task_wait(t, patience);
	ok(ended && t->result < 0, "CREATE with a table of zeros: %ld",
	   t->result);
}

void test_close_stalled(void)
{
	struct guest other;
	struct stuck s;
	int second;

	guest_new(&other, 1);
	stuck_make(&s, IN_READ);
	second = attach(s.g.fd);
	stuck_run(&s, IN_READ);
	close_of(second, "another handle of the VM");
	other_vm(&other);
	stuck_end(&s);
}

struct act_read {
	int handle;
	struct chariot_act_read args;
};

static long do_act_read(void *arg)
{
	struct act_read *a = arg;
	int r = ioctl(a->handle, CHARIOT_ACT_READ, &a->args);

	return r < 0 ? -errno : r;
}

void test_act_read_stalled(void)
{
	static struct act_read a = { .args = {
		.argsz = sizeof(a.args), .domain = 1, .nr = 16 } };
	struct task *reader, *vcpu;
	struct stall buf;
	struct domain d;
	struct guest g;
	bool ended;

	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	guest_code(&g, DRIVER, CALL(FUNC), RET);
	guest_code(&g, FUNC, RET);
	guest_start(&g, STACK, 0);
	a.handle = attach(g.fd);
	domain_init(&d, DRIVER);
	if (domain_create(a.handle, &d) != 1 || grant(a.handle, OBJECT, 64))
		die("CREATE, GRANT");
	stall_begin(&buf, mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
	a.args.buf = (uintptr_t)buf.at;
	reader = task_start(do_act_read, &a);
	ok(stall_wait(&buf, patience), "ACT_READ waits for its buffer");
	vcpu = task_start(run_guest, &g);
	ended = task_wait(vcpu, patience);
	ok(ended && vcpu->result == KVM_EXIT_HLT, "the driver runs meanwhile%s",
	   ended ? "" : ": it waits");
	stall_end(&buf);
	ended = task_wait(reader, patience);
	ok(ended && reader->result == 1,
	   "then ACT_READ gives its row: %ld", reader->result);
	task_wait(vcpu, patience);
}

/* ---- SIGKILL ------------------------------------------------------------ */

/* The VMM: gives its page's descriptor and a handle away and gets stuck. */
static void be_killed(int sock, enum where where)
{
	struct stuck s;

	stuck_make(&s, where);
	send_fds(sock, s.page.fd, s.handle);
	guest_run(&s.g, 0);
	_exit(0);
}

static bool dies(pid_t pid)
{
	unsigned int i;

	kill(pid, SIGKILL);
	for (i = 0; i < patience * 20; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(50000);
	}
	return false;
}

static void kill_in(enum where where)
{
	struct stall page = {};
	int sock[2], fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock))
		die("socketpair");
	pid = fork();
	if (!pid)
		be_killed(sock[1], where);
	close(sock[1]);
	receive_fds(sock[0], fds);
	page.fd = fds[0];
	ok(stall_wait(&page, patience), "a vCPU is stuck %s",
	   where_names[where]);
	ok(dies(pid), "its VMM can be killed");
	/* That lets it go, whatever it waits for. */
	close(fds[0]);
	close(fds[1]);
	close(sock[0]);
}

void test_kill_stalled(void)
{
	kill_in(IN_EMULATOR);
	kill_in(IN_FAULT);
	kill_in(IN_READ);
}

/* ---- rmmod -------------------------------------------------------------- */

static long do_rmmod(void *unused)
{
	(void)unused;
	return syscall(SYS_delete_module, "kvm_chariot", O_NONBLOCK) ? -errno :
								       0;
}

static void load_again(void)
{
	int fd = module_path ? open(module_path, O_RDONLY) : -1;

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		ok(false, "the module can be loaded again: %s",
		   strerror(errno));
	close(fd);
	dev_fd = open("/dev/chariot", O_RDWR | O_CLOEXEC);
}

/* False: it does not end, and nothing can be tried any more. */
static bool rmmod_in(enum where where)
{
	static struct stuck s;
	struct task *t;
	bool ended;

	stuck_begin(&s, where);
	close(s.handle);
	close(dev_fd);
	t = task_start(do_rmmod, NULL);
	ended = task_wait(t, patience);
	ok(ended, "rmmod does not wait for it%s", ended ? "" : ": it does");
	stuck_end(&s);
	if (!task_wait(t, patience)) {
		ok(false, "rmmod ends");
		return false;
	}
	note("rmmod: %s", t->result ? strerror(-t->result) : "is unloaded");
	ok(!t->result || t->result == -EBUSY || t->result == -EAGAIN,
	   "rmmod does it or says EBUSY: %s", strerror(-t->result));
	if (!t->result)
		load_again();
	else
		dev_fd = open("/dev/chariot", O_RDWR | O_CLOEXEC);
	guest_free(&s.g);
	return true;
}

void test_rmmod_stalled(void)
{
	if (!module_path) {
		skip("no -m MODULE to load again");
		return;
	}
	if (rmmod_in(IN_FAULT))
		rmmod_in(IN_EMULATOR);
}

/* ---- an interrupt of kernel code in the driver's view ---------------------- */

#define IN_FUNC		0x80	/* ports that tell where the guest is */
#define IN_HANDLER	0x81
#define VECTOR		0x30
#define HANDLER		(INTR + 0x80)	/* no exception has it */

/* How the driver's functions end. */
enum ending { BY_RET, BY_THUNK, BY_SRSO };
static const char *const endings[] = { "ret", "a return thunk", "SRSO's" };
#define THUNK	(FUNC + 0x40)
#define SAFE	(FUNC + 0x60)

static void end_by(struct guest *g, enum ending how, unsigned int at)
{
	/* jmp, from behind its own 5 bytes */
	const unsigned int rel = THUNK - at - 5;

	if (how == BY_RET) {
		guest_code(g, at, RET);
		return;
	}
	guest_code(g, at, 0xe9, LE32(rel));
	if (how == BY_THUNK) {
		guest_code(g, THUNK, RET);
		return;
	}
	/* call; ud2.  lea 8(%rsp), %rsp; ret */
	guest_code(g, THUNK, 0xe8, LE32(SAFE - THUNK - 5), 0x0f, 0x0b);
	guest_code(g, SAFE, 0x48, 0x8d, 0x64, 0x24, 0x08, RET);
}

/* Counts its calls (r13), and the driver what it was entered (r12). */
static int interrupted_make(struct guest *g, enum ending how, unsigned int kind)
{
	struct chariot_range ranges[3];
	struct domain d;

	guest_new(g, 1);
	guest_idt(g);
	guest_gdt(g);
	((uint64_t *)(g->mem + IDT))[2 * VECTOR] += HANDLER - INTR;
	/* inc %r13 */
	guest_code(g, KERNEL, 0x49, 0xff, 0xc5, CALL(DRIVER), HLT);
	/* inc %r12 */
	guest_code(g, DRIVER, 0x49, 0xff, 0xc4, CALL(FUNC));
	end_by(g, how, DRIVER + 10);
	/* out %al, $IN_FUNC; inc %r14 */
	guest_code(g, FUNC, 0xe6, IN_FUNC, 0x49, 0xff, 0xc6, RET);
	/* out %al, $IN_HANDLER; iretq */
	guest_code(g, HANDLER, 0xe6, IN_HANDLER, 0x48, 0xcf);
	domain_init(&d, DRIVER);
	memcpy(ranges, d.ranges, sizeof(d.ranges));
	ranges[2] = (struct chariot_range){
		.gva = FUNC, .len = 128, .kind = kind };
	d.create.ranges = (uintptr_t)ranges;
	d.create.nr_ranges = 3;
	return guest_isolate(g, &d);
}

static bool comes_to(struct guest *g, unsigned int port)
{
	struct kvm_run *run = g->cpu[0].run;

	return guest_run(g, 0) == KVM_EXIT_IO && run->io.port == port;
}

/* In what the driver has called, with an interrupt to come, and that stack. */
static int interrupted_begin(struct guest *g, uint64_t rsp, enum ending how,
			     unsigned int kind)
{
	struct kvm_interrupt irq = { .irq = VECTOR };
	int h = interrupted_make(g, how, kind);

	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = rsp, .rflags = 0x202 });
	if (!comes_to(g, IN_FUNC) || ioctl(g->cpu[0].fd, KVM_INTERRUPT, &irq))
		die("what the driver calls is not reached");
	return h;
}

/* As if nobody had been there. */
static void interrupted_end(struct guest *g, int r)
{
	struct kvm_regs regs;

	ioctl(g->cpu[0].fd, KVM_GET_REGS, &regs);
	ok(r == KVM_EXIT_HLT && regs.r12 == 1 && regs.r13 == 1 && regs.r14 == 1,
	   "the guest runs on: exit %d, %llu calls, %llu entries, %llu in the callee, rip %llx",
	   r, (unsigned long long)regs.r13, (unsigned long long)regs.r12,
	   (unsigned long long)regs.r14, (unsigned long long)regs.rip);
}

static void close_in_handler(uint64_t rsp, enum ending how, bool isolated,
			     unsigned int kind)
{
	struct chariot_stats st = { .argsz = sizeof(st) };
	struct guest g;
	int h = interrupted_begin(&g, rsp, how, kind);

	ok(comes_to(&g, IN_HANDLER), "the handler runs; functions end by %s",
	   endings[how]);
	if (!isolated)
		close(h);
	interrupted_end(&g, guest_run(&g, 0));
	if (!isolated)
		return;
	if (ioctl(h, CHARIOT_STATS, &st))
		die("CHARIOT_STATS");
	ok(!st.beside, "in the driver's view, as before");
	close(h);
}

/* The page below is where the CPU saves what it will return to. */
static void close_before_handler(void)
{
	struct stall page;
	struct task *vcpu;
	struct guest g;
	bool ended;
	int h;

	h = interrupted_begin(&g, MISSING + PAGE + 16, BY_RET, CHARIOT_RANGE_INHERIT);
	stall_begin(&page, g.mem + MISSING, PAGE);
	vcpu = task_start(run_guest, &g);
	ok(stall_wait(&page, patience), "the CPU waits for a page of its stack");
	close(h);
	stall_end(&page);
	ended = task_wait(vcpu, patience);
	ok(ended && vcpu->result == KVM_EXIT_IO, "the handler runs then");
	if (ended)
		interrupted_end(&g, guest_run(&g, 0));
}

/*
 * What an interrupt returns to must not depend on us, whether the stack is aligned
 * as the CPU aligns its frame or not.
 */
void test_close_interrupted(void)
{
	enum ending how;

	for (how = BY_RET; how <= BY_SRSO; how++) {
		close_in_handler(STACK, how, true, CHARIOT_RANGE_INHERIT);
		close_in_handler(STACK - 8, how, true, CHARIOT_RANGE_INHERIT);
		close_in_handler(STACK, how, false, CHARIOT_RANGE_INHERIT);
		close_in_handler(STACK - 8, how, false, CHARIOT_RANGE_INHERIT);
	}
	close_in_handler(STACK, BY_RET, true, CHARIOT_RANGE_LIBRARY);
	close_in_handler(STACK - 8, BY_RET, false, CHARIOT_RANGE_LIBRARY);
	close_before_handler();
}

/* ---- slots -------------------------------------------------------------- */

#define HIGH_SIZE	(16u << 20)
#define HUGE_SIZE	(16ull << 30)	/* not used */

/* Where KVM's records of slots are: (hashed) addresses. */
static void records(char *text, size_t size)
{
	FILE *f = fopen("/proc/vmallocinfo", "r");
	char line[256];
	size_t n = 0;

	text[0] = 0;
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "kvm_arch_prepare_memory_region") &&
		    n + 64 < size)
			n += snprintf(text + n, size - n, "%.40s\n", line);
	if (f)
		fclose(f);
}

/*
 * They are vmalloc'ed: an address can be had again after a purge, when 32 MiB
 * are free.  Where pages are shadowed a slot has an rmap of that size, else
 * only a bitmap.
 */
static void purge(struct guest *g, void *huge)
{
	struct chariot_info info = { .argsz = sizeof(info) };
	unsigned int i, nr = 40;

	if (!ioctl(dev_fd, CHARIOT_INFO, &info) &&
	    info.caps & CHARIOT_CAP_SHADOW)
		nr = 2;
	for (i = 0; i < nr; i++) {
		guest_slot(g, 2, 8ull << 30, huge, HUGE_SIZE,
			   KVM_MEM_LOG_DIRTY_PAGES);
		guest_slot(g, 2, 8ull << 30, NULL, 0, 0);
	}
}

/*
 * The slot comes again at the same guest addresses, one page further up in the
 * VMM, and if luck has it with its records where the old ones were.
 */
static bool replace_slot(struct guest *g, char *m, void *huge)
{
	char before[4096], after[4096];
	unsigned int i;

	records(before, sizeof(before));
	for (i = 0; i < 20; i++) {
		guest_slot(g, 1, HIGH, NULL, 0, 0);
		purge(g, huge);
		guest_slot(g, 1, HIGH, m + PAGE, HIGH_SIZE, 0);
		records(after, sizeof(after));
		if (!strcmp(before, after))
			return true;
	}
	return false;
}

/* No page of 2 MiB can be right in the new slot.  The number of wrong reads. */
static unsigned int slot_anew(char *m, void *huge, unsigned int *same)
{
	unsigned int i, wrong = 0;
	struct domain d;
	struct guest g;
	int h;

	guest_new(&g, 1);
	guest_slot(&g, 1, HIGH, m, HIGH_SIZE, 0);
	h = attach(g.fd);
	domain_init(&d, DRIVER);
	if (domain_create(h, &d) != 1)
		die("CREATE");
	for (i = 0; i < HIGH_SIZE / LARGE_PAGE; i++)
		if (grant(h, HIGH + i * LARGE_PAGE + 3 * PAGE, PAGE))
			die("GRANT");
	*same += replace_slot(&g, m, huge);
	close(h);
	for (i = 0; i < HIGH_SIZE / LARGE_PAGE; i++) {
		uint64_t at = i * LARGE_PAGE + 5 * PAGE;

		wrong += guest_reads(&g, HIGH + at) != (long)(at / PAGE) + 1;
	}
	guest_free(&g);
	return wrong;
}

void test_slot_anew(void)
{
	char *m = large_memory(HIGH_SIZE + LARGE_PAGE);
	void *huge = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned int i, wrong = 0, same = 0;

	if (huge == MAP_FAILED)
		die("mmap");
	for (i = 0; i < 5 && !wrong; i++)
		wrong = slot_anew(m, huge, &same);
	note("KVM's records of the slots were at the same addresses in %u of %u",
	     same, i);
	ok(!wrong, "the guest reads the pages that its slot has: %u wrong in try %u",
	   wrong, i);
}

struct slots {
	struct guest *g;
	void *mem;
	uint64_t size;
};

#define TIMES	200

static long do_slots(void *arg)
{
	struct slots *s = arg;
	long n;

	for (n = 0; n < TIMES; n++) {
		guest_slot(s->g, 1, 4ull << 30, s->mem, s->size, 0);
		usleep(2000);
		guest_slot(s->g, 1, 4ull << 30, NULL, 0, 0);
	}
	return n;
}

/* A large slot has a large rmap, where pages are shadowed (NPT=0). */
void test_zap_slot(void)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = CHARIOT_WATCH_KERNEL,
		.timeout_ms = 1000,
	};
	static struct guest g;
	static struct slots s = { .g = &g, .size = 8ull << 30 };
	struct task *t;
	int h, i, err = 0;

	guest_new(&g, 1);
	s.mem = mmap(NULL, s.size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s.mem == MAP_FAILED)
		die("mmap");
	h = attach(g.fd);
	t = task_start(do_slots, &s);
	for (i = 0; !task_wait(t, 0) && !err; i++) {
		err = ioctl(h, CHARIOT_WATCH, &w);
		if (i % 64 == 0)
			usleep(100);
	}
	ok(!err, "%d zaps of all beside a slot that came and went %d times", i,
	   TIMES);
}
