// SPDX-License-Identifier: GPL-2.0
/*
 * Bounds: what a guest or a caller can make the host keep and do.
 */
#include "vm.h"
#include "hostile.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Run until it halts; a guest that never does must not keep the test. */
static void runs_on(struct guest *g)
{
	struct task *t;
	bool ended;

	t = task_start(run_guest, g);
	ended = task_wait(t, 3 * patience);
	ok(ended && t->result == KVM_EXIT_HLT, "the VM runs on: %s, exit %ld",
	   ended ? "ended" : "runs for ever", t->result);
}

/* If isolation has ended an event tells so. */
static bool has_ended(int h)
{
	struct chariot_event ev;

	if (vm_info(h).state != CHARIOT_VM_DEAD)
		return false;
	ok(event_find(h, CHARIOT_EV_ERROR, 0, &ev),
	   "isolation ended with an ERROR event: %.180s", ev.u.error.text);
	return true;
}

/* ---- frames ------------------------------------------------------------- */

/* The driver calls the kernel, which calls the driver, and so on, down. */
void test_frames(void)
{
	struct chariot_domain_info i;
	struct domain d;
	struct guest g;
	int h;

	guest_new(&g, 1);
	/* sub $32, %rsp */
	guest_code(&g, KERNEL, 0x48, 0x83, 0xec, 0x20, CALL(DRIVER), HLT);
	guest_code(&g, DRIVER, CALL(FUNC), RET);
	/* dec %rbx; jz to the HLT */
	guest_code(&g, FUNC, 0x48, 0xff, 0xcb, 0x74, 0x07, JUMP(KERNEL), HLT);
	domain_init(&d, DRIVER);
	h = guest_isolate(&g, &d);
	guest_start(&g, 0xe00000, CHARIOT_MAX_FRAMES + 1000);
	runs_on(&g);
	i = domain_info(h, 1);
	note("%u calls that have not returned: %llu frames, %llu KiB",
	     CHARIOT_MAX_FRAMES + 1000, (unsigned long long)i.nr_frames,
	     (unsigned long long)i.memory >> 10);
	if (!has_ended(h))
		ok(i.nr_frames <= CHARIOT_MAX_FRAMES,
		   "no more frames than %u: %llu", CHARIOT_MAX_FRAMES,
		   (unsigned long long)i.nr_frames);
	close(h);
}

/* ---- parked frames ------------------------------------------------------ */

#define PARKED	600

struct closer {
	int handle;
	bool begun;
	double took;
};

static long do_close(void *arg)
{
	struct closer *c = arg;
	double t = now();

	__atomic_store_n(&c->begun, true, __ATOMIC_SEQ_CST);
	close(c->handle);
	c->took = now() - t;
	return 0;
}

/* Kernel code on the way to an interrupt from the driver, that never returns. */
static int park_many(struct guest *g)
{
	struct domain d;
	int h;

	/* A frame of an interrupt of the kernel: push $0 (ss), rsp, 2, cs */
	guest_code(g, KERNEL, 0x6a, 0, 0x54, 0x6a, 2, 0x6a, 0x10,
		   CALL(DRIVER), HLT);
	guest_code(g, DRIVER, JUMP(INTR));
	/* movq $0, (%rsp); dec %rbx; jz to the HLT */
	guest_code(g, INTR, 0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0,
		   0x48, 0xff, 0xcb, 0x74, 0x07, JUMP(KERNEL), HLT);
	domain_init(&d, DRIVER);
	h = guest_isolate(g, &d);
	guest_start(g, 0xe00000, PARKED);
	runs_on(g);
	return h;
}

/*
 * A walk of the guest's page tables for each frame and try was 24 s.  A machine that
 * is slow takes long to make them, too.
 */
void test_parked(void)
{
	struct guest g, other;
	static struct closer c;
	struct task *t;
	double began, took, made;
	bool ended;
	int fd;

	guest_new(&g, 1);
	guest_new(&other, 1);
	began = now();
	c.handle = park_many(&g);
	made = now() - began;
	note("%llu frames",
	     (unsigned long long)domain_info(c.handle, 1).nr_frames);
	t = task_start(do_close, &c);
	while (!__atomic_load_n(&c.begun, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(200000);
	began = now();
	fd = attach(other.fd);
	took = now() - began;
	ok(fd >= 0 && took < 5 + made,
	   "another VM is attached meanwhile, after %.2f s", took);
	ended = task_wait(t, patience);
	ok(ended && c.took < 5 + made,
	   "the close took %.2f s%s, and to make them %.2f s", now() - began,
	   ended ? "" : " so far", made);
	close(fd);
}

/* ---- CHECKs ------------------------------------------------------------- */

#define STRING	60000

void test_checks(void)
{
	static struct chariot_op ops[CHARIOT_MAX_CHECKS + 1];
	struct chariot_event ev;
	struct domain d;
	struct guest g;
	int i, h, r;

	for (i = 0; i <= CHARIOT_MAX_CHECKS; i++)
		ops[i] = (struct chariot_op){
			.op = CHARIOT_OP_CHECK, .len_kind = CHARIOT_LEN_STRING,
			.len_mul = 1, .deref = { 0, CHARIOT_RET },
		};
	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	/* mov $OBJECT, %edi */
	guest_code(&g, DRIVER, 0xbf, LE32(OBJECT), CALL(FUNC), RET);
	guest_code(&g, FUNC, RET);
	memset(g.mem + OBJECT, 'a', STRING);
	h = attach(g.fd);
	domain_init(&d, DRIVER);
	domain_ops(&d, ops, CHARIOT_MAX_CHECKS + 1);
	r = domain_create(h, &d);
	ok(r < 0 && errno == E2BIG, "%d of them: E2BIG (%d, %s)",
	   CHARIOT_MAX_CHECKS + 1, r, r < 0 ? strerror(errno) : "a domain");
	if (r > 0)
		ioctl(h, CHARIOT_RESET, &(struct chariot_reset){
			.argsz = sizeof(struct chariot_reset) });
	domain_ops(&d, ops, CHARIOT_MAX_CHECKS);
	ok(domain_create(h, &d) == 1, "%d are allowed", CHARIOT_MAX_CHECKS);
	grant(h, OBJECT, STRING);
	guest_start(&g, STACK, 0);
	runs_on(&g);
	ok(!event_find(h, CHARIOT_EV_VIOLATION, 0, &ev), "and pass");
	close(h);
}

/* ---- memory ------------------------------------------------------------- */

#define SLOT	(1ull << 30)		/* guest memory that is nowhere yet */
#define SLOT_SIZE (5ull << 29)

static void add_memory(struct guest *g)
{
	void *m = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (m == MAP_FAILED || guest_slot(g, 1, SLOT, m, SLOT_SIZE, 0))
		die("memory slot");
}

static bool too_much(int h, uint64_t *memory)
{
	*memory = domain_info(h, 1).memory;
	return *memory > CHARIOT_MAX_MEMORY;
}

static void judge_memory(int h, uint64_t memory)
{
	if (!has_ended(h))
		ok(memory <= CHARIOT_MAX_MEMORY,
		   "a domain has no more than %llu MiB: %llu KiB",
		   CHARIOT_MAX_MEMORY >> 20, (unsigned long long)memory >> 10);
}

/* Two bytes on two pages, each of which then has a map of its bytes. */
void test_memory_grant(void)
{
	uint64_t at, memory = 0;
	struct domain d;
	struct guest g;
	int h, err = 0;

	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	guest_code(&g, DRIVER, RET);
	add_memory(&g);
	domain_init(&d, DRIVER);
	h = guest_isolate(&g, &d);
	for (at = 0; at < SLOT_SIZE && !err; at += 2 * PAGE) {
		err = grant(h, SLOT + at + PAGE - 1, 2) ? -errno : 0;
		if (at % (PAGE << 10) == 0 && too_much(h, &memory))
			break;
	}
	too_much(h, &memory);
	note("%llu objects, %llu KiB, then: %s",
	     (unsigned long long)at / (2 * PAGE),
	     (unsigned long long)memory >> 10,
	     err ? strerror(-err) : "no end");
	ok(err, "at some point GRANT fails%s%s", err ? ": " : "",
	   err ? strerror(-err) : "");
	judge_memory(h, memory);
	guest_start(&g, STACK, 0);
	runs_on(&g);
	close(h);
}

#define OFFSETS	0x700000	/* of per-CPU memory */
#define NR_OFFSETS 8192

/* The same by the driver: one call allocates for each of 8192 CPUs. */
void test_memory_driver(void)
{
	struct chariot_op op = {
		.op = CHARIOT_OP_GRANT, .base = CHARIOT_ARG(0),
		.map = CHARIOT_MAP_PERCPU, .len_add = 2,
	};
	uint64_t i, memory, *offsets;
	struct domain d;
	struct guest g;
	int h;

	guest_new(&g, 1);
	add_memory(&g);
	offsets = (void *)(g.mem + OFFSETS);
	for (i = 0; i < NR_OFFSETS; i++)
		offsets[i] = i * 2 * PAGE;
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	/* again: call; add $8192 * 2 pages, %rdi; dec %r12; jnz again; ret */
	guest_code(&g, DRIVER, CALL(FUNC),
		   0x48, 0x81, 0xc7, LE32(NR_OFFSETS * 2 * PAGE),
		   0x49, 0xff, 0xcc, 0x75, 0xed, RET);
	guest_code(&g, FUNC, RET);
	domain_init(&d, DRIVER);
	domain_ops(&d, &op, 1);
	d.create.kernel.percpu_offsets = OFFSETS;
	d.create.kernel.nr_cpus = NR_OFFSETS;
	h = guest_isolate(&g, &d);
	guest_regs(&g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = SLOT + PAGE - 1,
		.r12 = SLOT_SIZE / (NR_OFFSETS * 2 * PAGE), .rflags = 2 });
	runs_on(&g);
	too_much(h, &memory);
	note("%llu objects, %llu KiB",
	     (unsigned long long)domain_info(h, 1).nr_objects,
	     (unsigned long long)memory >> 10);
	judge_memory(h, memory);
	close(h);
}

/* ---- a CREATE that fails ------------------------------------------------ */

#define HIGH_SIZE	(16u << 20)

static long available(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

static void read_all(struct guest *g)
{
	uint64_t at;

	for (at = 0; at < HIGH_SIZE; at += LARGE_PAGE)
		guest_reads(g, HIGH + at);
}

/* All of it is right but the last range, which the guest does not map. */
static void make_bad(struct domain *d, struct chariot_range ranges[3],
		     struct chariot_op *ops)
{
	domain_init(d, DRIVER);
	ranges[0] = d->ranges[0];
	ranges[1] = (struct chariot_range){
		.gva = HIGH + PAGE, .len = HIGH_SIZE - 2 * PAGE,
		.kind = CHARIOT_RANGE_DATA };
	ranges[2] = (struct chariot_range){
		.gva = NOWHERE, .len = 64, .kind = CHARIOT_RANGE_DATA };
	d->create.nr_ranges = 3;
	d->create.ranges = (uintptr_t)ranges;
	d->create.nr_ops = CHARIOT_MAX_OPS;
	d->create.ops = (uintptr_t)ops;
}

void test_create_fails(void)
{
	struct chariot_op *ops = calloc(CHARIOT_MAX_OPS, sizeof(*ops));
	struct chariot_range ranges[3];
	long large, lost, other = 0;
	struct domain bad, good;
	struct guest g;
	int i, h;

	guest_new(&g, 1);
	if (guest_slot(&g, 1, HIGH, large_memory(HIGH_SIZE), HIGH_SIZE, 0))
		die("memory slot");
	h = attach(g.fd);
	make_bad(&bad, ranges, ops);
	read_all(&g);
	large = guest_stat(&g, "pages_2m");
	lost = available();
	for (i = 0; i < 60; i++)
		other += domain_create(h, &bad) != -1 || errno != EFAULT;
	lost -= available();
	ok(!other, "a range that is not mapped: EFAULT, 60 times");
	ok(lost < 60 << 10, "no memory is lost: %ld KiB, tables are %zu KiB",
	   lost, 60 * CHARIOT_MAX_OPS * sizeof(*ops) >> 10);
	ok(!vm_info(h).domains, "no domain is there");
	read_all(&g);
	if (large > 0)
		ok(guest_stat(&g, "pages_2m") == large,
		   "large pages are large again: %ld of %ld",
		   guest_stat(&g, "pages_2m"), large);
	else
		skip("no large pages here");
	domain_init(&good, DRIVER);
	ok(domain_create(h, &good) == 1, "the next one is domain 1");
	close(h);
}
