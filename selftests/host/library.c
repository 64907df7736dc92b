// SPDX-License-Identifier: GPL-2.0
/*
 * Library code: it is called, writes what the driver may, and what lies beside it is
 * seen.  Its view goes when a domain needs one.  And inherited code, which the driver's
 * view has as well: whose writes these are.
 */
#include "vm.h"
#include "hostile.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define LIBRARY_LEN	16
#define BESIDE		(FUNC + 0x100)	/* on the page, and no library code */
#define ELSEWHERE	(FUNC + PAGE)
#define DRIVERS		0x100000	/* others */
#define PORT		0x51

/* mov $x, %edi */
#define FIRST(x)	0xbf, LE32(x)
/* movq $1, (%rdi) */
#define STORE		0x48, 0xc7, 0x07, 1, 0, 0, 0
/* out %al, $PORT */
#define TELL		0xe6, PORT

static void with_library(struct domain *d, struct chariot_range ranges[3], uint64_t text)
{
	domain_init(d, text);
	memcpy(ranges, d->ranges, sizeof(d->ranges));
	ranges[2] = (struct chariot_range){
		.gva = FUNC, .len = LIBRARY_LEN, .kind = CHARIOT_RANGE_LIBRARY };
	d->create.ranges = (uintptr_t)ranges;
	d->create.nr_ranges = 3;
	domain_ops(d, NULL, 0);
	d->gate.flags = CHARIOT_GATE_LIBRARY;
}

/* The driver may write one word at OBJECT. */
static int begin(struct guest *g)
{
	struct chariot_range ranges[3];
	struct domain d;
	int h;

	guest_new(g, 1);
	guest_code(g, KERNEL, CALL(DRIVER), HLT);
	/* CREATE looks for one; the rest comes later. */
	guest_code(g, DRIVER + PAGE - 1, RET);
	guest_code(g, FUNC, STORE, RET);
	guest_code(g, BESIDE, RET);
	guest_code(g, ELSEWHERE, STORE, RET);
	guest_code(g, INTR, HLT);
	with_library(&d, ranges, DRIVER);
	h = guest_isolate(g, &d);
	if (h < 0 || grant(h, OBJECT, 8))
		die("CREATE, GRANT");
	return h;
}

static uint64_t word(struct guest *g, uint64_t at)
{
	return *(uint64_t *)(g->mem + at);
}

static struct chariot_stats stats(int h)
{
	struct chariot_stats st = { .argsz = sizeof(st) };

	if (ioctl(h, CHARIOT_STATS, &st))
		die("CHARIOT_STATS");
	return st;
}

static void ends(struct guest *g)
{
	int r = guest_run(g, 0);

	ok(r == KVM_EXIT_HLT, "the guest comes to its end: exit %d", r);
}

void test_library(void)
{
	struct chariot_stats st;
	struct guest g;
	int h = begin(&g);

	guest_code(&g, DRIVER, FIRST(OBJECT), CALL(FUNC), FIRST(OBJECT + 64), CALL(FUNC),
		   CALL(BESIDE), RET);
	guest_start(&g, STACK, 0);
	ends(&g);
	st = stats(h);
	ok(word(&g, OBJECT) == 1, "it writes what the driver may");
	ok(!word(&g, OBJECT + 64) && st.violations == 1,
	   "and nothing else: %llu violations", (unsigned long long)st.violations);
	ok(st.library_calls == 2 && st.calls == 3 && st.call_returns == 3,
	   "what lies beside it is called: %llu of %llu calls are of library code, %llu return",
	   (unsigned long long)st.library_calls, (unsigned long long)st.calls,
	   (unsigned long long)st.call_returns);
	close(h);
}

/* Also where the driver's function ends in a jump there. */
void test_library_tail(void)
{
	struct chariot_stats st;
	struct guest g;
	int h = begin(&g);

	guest_code(&g, DRIVER, FIRST(OBJECT + 64), JUMP(FUNC), RET);
	guest_start(&g, STACK, 0);
	ends(&g);
	st = stats(h);
	ok(!word(&g, OBJECT + 64) && st.violations == 1 && st.returns == 1,
	   "a jump is a call: %llu violations", (unsigned long long)st.violations);
	close(h);
}

/* The rest is the kernel's, and may write all. */
void test_library_leaves(void)
{
	struct chariot_stats st;
	struct guest g;
	int h = begin(&g);

	guest_code(&g, FUNC, FIRST(OBJECT + 64), CALL(ELSEWHERE), RET);
	guest_code(&g, DRIVER, CALL(FUNC), FIRST(OBJECT + 128), STORE, RET);
	guest_start(&g, STACK, 0);
	ends(&g);
	st = stats(h);
	ok(word(&g, OBJECT + 64) == 1 && st.beside == 1, "other code leaves: %llu",
	   (unsigned long long)st.beside);
	ok(!word(&g, OBJECT + 128) && st.violations == 1 && st.call_returns == 1,
	   "and the driver is met again");
	close(h);
}

/* Domains go first: as many as without it. */
void test_library_views(void)
{
	struct chariot_info info = { .argsz = sizeof(info) };
	struct chariot_range ranges[3];
	struct chariot_stats st;
	unsigned int nr = 1;
	struct domain d;
	struct guest g;
	int h = begin(&g);

	if (ioctl(dev_fd, CHARIOT_INFO, &info))
		die("CHARIOT_INFO");
	guest_code(&g, FUNC, TELL, STORE, RET);
	guest_code(&g, DRIVER, FIRST(OBJECT + 64), CALL(FUNC), FIRST(OBJECT + 128),
		   STORE, RET);
	guest_start(&g, STACK, 0);
	if (guest_run(&g, 0) != KVM_EXIT_IO)
		die("library code is not reached");
	for (; nr < 100; nr++) {
		guest_code(&g, DRIVERS + nr * PAGE, RET);
		with_library(&d, ranges, DRIVERS + nr * PAGE);
		if (domain_create(h, &d) < 0)
			break;
	}
	ok(nr == info.max_domains && errno == EBUSY, "%u domains of %u: %s", nr,
	   info.max_domains, strerror(errno));
	ends(&g);
	st = stats(h);
	ok(word(&g, OBJECT + 64) == 1, "a call that is under way is an ordinary one");
	ok(!word(&g, OBJECT + 128) && st.violations == 1 && st.call_returns == 1,
	   "and the driver is met again");
	close(h);
}

/* CALLER, a kernel function on the page of an inherited one, calls the driver. */
#define CALLER		(FUNC + 0x200)

static int begin_inherit(struct guest *g)
{
	struct chariot_range ranges[3];
	struct domain d;
	int h;

	guest_new(g, 1);
	guest_code(g, KERNEL, CALL(CALLER), HLT);
	guest_code(g, DRIVER, RET);
	guest_code(g, FUNC, STORE, RET);
	guest_code(g, INTR, HLT);
	with_library(&d, ranges, DRIVER);
	ranges[2].kind = CHARIOT_RANGE_INHERIT;
	d.gate.flags = 0;
	h = guest_isolate(g, &d);
	if (h < 0 || grant(h, OBJECT, 8))
		die("CREATE, GRANT");
	guest_start(g, STACK, 0);
	return h;
}

/* Its return is not seen, nor that it ends in the inherited one. */
void test_inherit_returned(void)
{
	struct chariot_stats st;
	struct guest g;
	int h = begin_inherit(&g);

	guest_code(&g, CALLER, CALL(DRIVER), FIRST(OBJECT + 64), JUMP(FUNC));
	ends(&g);
	st = stats(h);
	ok(word(&g, OBJECT + 64) == 1 && !st.violations,
	   "the caller of a driver that has returned is no driver: %llu violations",
	   (unsigned long long)st.violations);
	close(h);
}

void test_inherit(void)
{
	struct chariot_stats st;
	struct guest g;
	int h = begin_inherit(&g);

	guest_code(&g, CALLER, CALL(DRIVER), RET);
	guest_code(&g, DRIVER, FIRST(OBJECT), CALL(FUNC), FIRST(OBJECT + 64), CALL(FUNC),
		   FIRST(OBJECT + 128), JUMP(FUNC));
	ends(&g);
	st = stats(h);
	ok(word(&g, OBJECT) == 1, "a driver that calls it writes what the driver may");
	ok(!word(&g, OBJECT + 64) && !word(&g, OBJECT + 128) && st.violations == 2,
	   "and nothing else, nor when it ends in it: %llu violations",
	   (unsigned long long)st.violations);
	close(h);
}
