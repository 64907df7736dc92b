// SPDX-License-Identifier: GPL-2.0
/*
 * Questions (CHARIOT_WATCH_ASK): the vCPU waits for an answer, or for none; what
 * was granted meanwhile is allowed, and the rest is a violation.
 */
#include "vm.h"
#include "hostile.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define VALUE	0x1122334455667788ull
#define ANY_TIME	600000	/* ms: for what is always answered */

static void watch(int h, unsigned int timeout_ms)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = CHARIOT_WATCH_ASK,
		.timeout_ms = timeout_ms,
	};

	if (ioctl(h, CHARIOT_WATCH, &w))
		die("WATCH");
}

/* A driver that writes %rcx to %rdi and %rsi, and a task that runs it. */
static int begin(struct guest *g, unsigned int timeout_ms)
{
	struct domain d;
	int h;

	guest_new(g, 1);
	guest_code(g, KERNEL, CALL(DRIVER), HLT);
	/* mov %rcx,(%rdi); mov %rcx,(%rsi); ret */
	guest_code(g, DRIVER, 0x48, 0x89, 0x0f, 0x48, 0x89, 0x0e, RET);
	domain_init(&d, DRIVER);
	h = guest_isolate(g, &d);
	watch(h, timeout_ms);
	return h;
}

static struct task *run(struct guest *g)
{
	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = OBJECT, .rsi = OBJECT + 64,
		.rcx = VALUE, .rflags = 2 });
	return task_start(run_guest, g);
}

static bool asked(int h, struct chariot_event *ev)
{
	return event_wait(h, CHARIOT_EV_ASK, patience, ev);
}

static int lend(int h, const struct chariot_event *ev, uint64_t gva,
		unsigned int flags)
{
	struct chariot_grant g = {
		.argsz = sizeof(g), .flags = flags, .domain = 1,
		.source = CHARIOT_SRC_EVIDENCE, .gva = gva, .len = 8,
		.seq = flags ? ev->seq : 0,
	};

	return ioctl(h, CHARIOT_GRANT, &g) ? -errno : 0;
}

static void go_on(int h, const struct chariot_event *ev)
{
	struct chariot_continue c = { .argsz = sizeof(c), .seq = ev->seq };

	if (ioctl(h, CHARIOT_CONTINUE, &c))
		die("CONTINUE");
}

static void halts(struct task *t)
{
	ok(task_wait(t, patience) && t->result == KVM_EXIT_HLT,
	   "the guest goes on: exit %ld", t->result);
}

static uint64_t word(struct guest *g, uint64_t at)
{
	uint64_t v;

	memcpy(&v, g->mem + at, sizeof(v));
	return v;
}

static bool was_given(int h, const struct chariot_event *ev, uint64_t value)
{
	struct chariot_value row[64] = {};
	struct chariot_given q = {
		.argsz = sizeof(q), .seq = ev->seq, .nr = 64,
		.buf = (uintptr_t)row,
	};
	int n = ioctl(h, CHARIOT_GIVEN, &q);

	for (int i = 0; i < n; i++)
		if (row[i].kind == CHARIOT_GIVEN_ARG && row[i].value == value &&
		    row[i].fn == DRIVER)
			return true;
	return false;
}

void test_ask(void)
{
	struct chariot_event ev = {}, v = {};
	struct guest g;
	int h = begin(&g, ANY_TIME);
	struct task *t = run(&g);

	ok(asked(h, &ev) && ev.u.violation.gva == OBJECT &&
	   ev.u.violation.rip == DRIVER && !ev.u.violation.caller,
	   "the first write is asked for: %llx", ev.u.violation.gva);
	ok(was_given(h, &ev, OBJECT) && was_given(h, &ev, OBJECT + 64),
	   "what the driver's function was called with is told");
	ok(!lend(h, &ev, OBJECT, CHARIOT_GRANT_CALL), "granted for the call");
	go_on(h, &ev);
	ok(asked(h, &v) && v.u.violation.gva == OBJECT + 64,
	   "then the second one: %llx", v.u.violation.gva);
	ok(word(&g, OBJECT) == VALUE, "the first one was done");
	ok(lend(h, &ev, OBJECT, CHARIOT_GRANT_CALL) == -ENOENT,
	   "the first question has no call any more");
	go_on(h, &v);
	halts(t);
	ok(event_find(h, CHARIOT_EV_VIOLATION, 1, &v) &&
	   v.u.violation.gva == OBJECT + 64 && !word(&g, OBJECT + 64),
	   "what nobody granted is a violation: %llx", v.u.violation.gva);
	t = run(&g);
	ok(asked(h, &ev) && ev.u.violation.gva == OBJECT,
	   "the next call is asked for the first one again");
	ok(!lend(h, &ev, OBJECT, 0), "granted for good");
	go_on(h, &ev);
	ok(asked(h, &ev) && ev.u.violation.gva == OBJECT + 64, "and the second");
	go_on(h, &ev);
	halts(t);
	t = run(&g);
	ok(asked(h, &ev) && ev.u.violation.gva == OBJECT + 64,
	   "what was granted for good is asked for no more");
	go_on(h, &ev);
	halts(t);
	close(h);
}

/* Nobody answers, or he who would goes away. */
void test_ask_left(void)
{
	struct chariot_event ev = {};
	struct guest g;
	int h = begin(&g, ANY_TIME), h2 = attach(g.fd);
	struct task *t = run(&g);

	ok(asked(h, &ev), "asked");
	ok(!event_find(h2, CHARIOT_EV_ASK, 0, &ev), "another handle is not");
	close(h);
	halts(t);
	ok(event_find(h2, CHARIOT_EV_VIOLATION, 1, &ev) && !word(&g, OBJECT),
	   "closed, it is a violation");
	watch(h2, 200);
	halts(run(&g));
	ok(event_find(h2, CHARIOT_EV_ERROR, 0, &ev) &&
	   vm_info(h2).state == CHARIOT_VM_DEAD,
	   "not answered in time, isolation ends: %.80s", ev.u.error.text);
	close(h2);
}

/* Whoever says no a thousand times is not asked without end. */
void test_ask_flood(void)
{
	struct chariot_stats st = { .argsz = sizeof(st), .domain = 1 };
	unsigned int rounds = 2000, answers = 0;
	struct chariot_event ev;
	struct domain d;
	struct guest g;
	struct task *t;
	int h;

	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	/* again: mov %rcx,(%rdi); dec %rbx; jnz again; ret */
	guest_code(&g, DRIVER, 0x48, 0x89, 0x0f, 0x48, 0xff, 0xcb, 0x75, 0xf8,
		   RET);
	domain_init(&d, DRIVER);
	h = guest_isolate(&g, &d);
	watch(h, ANY_TIME);
	guest_regs(&g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = OBJECT, .rbx = rounds,
		.rflags = 2 });
	t = task_start(run_guest, &g);
	while (!task_wait(t, 0) && answers < 2 * rounds)
		if (event_find(h, CHARIOT_EV_ASK, 0, &ev)) {
			go_on(h, &ev);
			answers++;
		}
	halts(t);
	ok(!ioctl(h, CHARIOT_STATS, &st) && st.violations == rounds &&
	   st.asked == answers && answers >= 256 && answers <= rounds,
	   "%llu violations, asked %u times", st.violations, answers);
	close(h);
}

/* The same is given back twice. */
void test_ask_free(void)
{
	struct chariot_op op = {
		.op = CHARIOT_OP_REVOKE, .base = CHARIOT_ARG(0),
		.flags = CHARIOT_REVOKE_FREE,
	};
	struct chariot_event ev = {};
	struct domain d;
	struct guest g;
	struct task *t;
	int h;

	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	guest_code(&g, DRIVER, CALL(FUNC), CALL(FUNC), RET);
	/* incl (%rsi): it has run */
	guest_code(&g, FUNC, 0xff, 0x06, RET);
	domain_init(&d, DRIVER);
	domain_ops(&d, &op, 1);
	h = guest_isolate(&g, &d);
	if (grant(h, OBJECT, 64))
		die("GRANT");
	t = run(&g);
	halts(t);
	ok(word(&g, OBJECT + 64) == 2 && !event_find(h, CHARIOT_EV_VIOLATION, 0, &ev),
	   "nobody is there to be asked: it is called twice");
	if (grant(h, OBJECT, 64))
		die("GRANT");
	watch(h, ANY_TIME);
	t = run(&g);
	ok(asked(h, &ev) && ev.u.violation.why == CHARIOT_WHY_FREE &&
	   ev.u.violation.gva == OBJECT && ev.flags & CHARIOT_EV_GAVE_BACK,
	   "the second time is asked for: flags %x", ev.flags);
	go_on(h, &ev);
	halts(t);
	ok(word(&g, OBJECT + 64) == 3 && event_find(h, CHARIOT_EV_VIOLATION, 1, &ev) &&
	   ev.u.violation.why == CHARIOT_WHY_FREE,
	   "a violation, and the function has not run");
	close(h);
}
