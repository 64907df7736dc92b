// SPDX-License-Identifier: GPL-2.0
/*
 * The loader of a guest stops (CHARIOT_WATCH_IMAGE), and calls functions for whoever
 * answers (CHARIOT_CALL).
 */
#include "vm.h"
#include "hostile.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LOADER		FUNC		/* returns 7, and counts at RSI */
#define INIT		0x12000		/* is watched, too, and never called */
#define CALLED		0x13000		/* RDI + RSI, and nothing as it was */
#define SLEEPS		0x14000		/* halts, then returns 0 */
#define ADDS		0x15000		/* RDI + RSI */
#define LEAVES		0x16000		/* begins anew on the next stack */
#define RESULT		(OBJECT + 64)	/* what LOADER has returned */

static int watch(int h, unsigned int flags)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = flags, .timeout_ms = 600000,
		.load_gva = INIT, .cr3 = PML4, .cr4 = 0x20,
		.image_gva = flags & CHARIOT_WATCH_IMAGE ? LOADER : 0,
		.image_site = flags & CHARIOT_WATCH_IMAGE ? KERNEL + 5 : 0,
	};

	return ioctl(h, CHARIOT_WATCH, &w) ? -errno : 0;
}

static int begin(struct guest *g)
{
	int h;

	guest_new(g, 2);
	/* call LOADER; mov %eax,(%rbx); mov %r12d,4(%rbx); hlt; ret, which is needed */
	guest_code(g, KERNEL, CALL(LOADER), 0x89, 0x03, 0x44, 0x89, 0x63, 0x04, HLT, RET);
	/* incl (%rsi); mov $7,%eax; ret */
	guest_code(g, LOADER, 0xff, 0x06, 0xb8, 7, 0, 0, 0, RET);
	guest_code(g, INIT, RET);
	/* lea (%rdi,%rsi),%rax; xor of rdi, rsi, rdx, rbx, r12d; ret */
	guest_code(g, CALLED, 0x48, 0x8d, 0x04, 0x37, 0x31, 0xff, 0x31, 0xf6, 0x31, 0xd2,
		   0x31, 0xdb, 0x45, 0x31, 0xe4, RET);
	guest_code(g, ADDS, 0x48, 0x8d, 0x04, 0x37, RET);
	/* hlt; xor %eax,%eax; ret */
	guest_code(g, SLEEPS, HLT, 0x31, 0xc0, RET);
	h = attach(g->fd);
	if (h < 0 || watch(h, CHARIOT_WATCH_LOAD | CHARIOT_WATCH_IMAGE))
		die("attach, WATCH");
	return h;
}

static struct task *run(struct guest *g)
{
	memset(g->mem + OBJECT, 0, 128);
	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = 0xd1, .rsi = OBJECT, .rdx = 0xd3,
		.rbx = RESULT, .r12 = 0x12, .rflags = 2 });
	return task_start(run_guest, g);
}

static bool asked(int h, struct chariot_event *ev)
{
	return event_wait(h, CHARIOT_EV_IMAGE, patience, ev);
}

static int call(int h, const struct chariot_event *ev, uint64_t fn)
{
	struct chariot_call_guest c = {
		.argsz = sizeof(c), .seq = ev->seq, .cookie = fn + 1,
		.call = { fn, { 30, 12 } },
	};

	if (fn == LOADER)
		memcpy(c.call.arg, ev->u.image.arg, sizeof(ev->u.image.arg));
	return ioctl(h, CHARIOT_CALL, &c) ? -errno : 0;
}

static int go_on(int h, const struct chariot_event *ev, unsigned int flags,
		 uint64_t value)
{
	struct chariot_continue c = {
		.argsz = sizeof(c), .flags = flags, .seq = ev->seq, .value = value,
	};

	return ioctl(h, CHARIOT_CONTINUE, &c) ? -errno : 0;
}

static bool returned(int h, struct chariot_event *ev, uint64_t fn, uint64_t result)
{
	return asked(h, ev) && ev->flags & CHARIOT_EV_RETURNED &&
	       ev->u.image.cookie == fn + 1 && ev->u.image.result == result &&
	       ev->u.image.arg[0] == 0xd1 && ev->u.image.arg[1] == OBJECT;
}

static uint32_t word(struct guest *g, uint64_t at)
{
	uint32_t v;

	memcpy(&v, g->mem + at, sizeof(v));
	return v;
}

/* The loader's caller has got @result, its registers are as they were, and LOADER has
 * run so often. */
static void halts(struct guest *g, struct task *t, uint32_t result, uint32_t ran)
{
	ok(task_wait(t, patience) && t->result == KVM_EXIT_HLT,
	   "the guest goes on: exit %ld", t->result);
	ok(word(g, RESULT) == result && word(g, RESULT + 4) == 0x12 &&
	   word(g, OBJECT) == ran, "the loader gets %u, of a function that has run %u times",
	   word(g, RESULT), word(g, OBJECT));
}

void test_image(void)
{
	struct chariot_event ev = {};
	struct guest g;
	int h = begin(&g), h2 = attach(g.fd);
	struct task *t = run(&g);

	ok(asked(h, &ev) && ev.u.image.arg[0] == 0xd1 && ev.u.image.arg[1] == OBJECT &&
	   ev.u.image.arg[2] == 0xd3 && ev.u.image.cr3 == PML4 &&
	   !(ev.flags & CHARIOT_EV_RETURNED), "the loader is seen, with its arguments");
	ok(!event_find(h2, CHARIOT_EV_IMAGE, 0, &ev), "another handle is not told");
	ok(!word(&g, OBJECT), "its function has not run");
	ok(!go_on(h, &ev, 0, 0), "CONTINUE");
	halts(&g, t, 7, 1);

	t = run(&g);
	ok(asked(h, &ev) && !call(h, &ev, CALLED), "CALL");
	ok(returned(h, &ev, CALLED, 42), "it has returned: %llu", ev.u.image.result);
	ok(!call(h, &ev, CALLED) && returned(h, &ev, CALLED, 42), "again");
	ok(!go_on(h, &ev, 0, 0), "CONTINUE");
	halts(&g, t, 7, 1);

	t = run(&g);
	ok(asked(h, &ev) && !call(h, &ev, LOADER), "CALL of the function itself");
	ok(returned(h, &ev, LOADER, 7) && word(&g, OBJECT) == 1,
	   "is not asked about: %llu", ev.u.image.result);
	ok(!go_on(h, &ev, CHARIOT_CONTINUE_RETURN, 5), "CONTINUE with a result");
	halts(&g, t, 5, 1);

	t = run(&g);
	ok(asked(h, &ev) && !go_on(h, &ev, CHARIOT_CONTINUE_RETURN, 6),
	   "CONTINUE with a result at once");
	halts(&g, t, 6, 0);
	close(h2);
	close(h);
}

void test_image_errors(void)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = CHARIOT_WATCH_IMAGE, .timeout_ms = 1000,
		.image_gva = LOADER, .image_site = KERNEL + 5, .load_gva = INIT,
		.cr3 = PML4, .cr4 = 0x20,
	};
	struct chariot_event ev = {}, other;
	struct guest g;
	int h = begin(&g);
	struct task *t = run(&g);

	ok(asked(h, &ev), "the loader is seen");
	ok(ioctl(h, CHARIOT_WATCH, &w) && errno == EINVAL, "watch IMAGE without LOAD");
	w.flags = CHARIOT_WATCH_LOAD;
	ok(ioctl(h, CHARIOT_WATCH, &w) && errno == EINVAL, "an address without IMAGE");
	w.flags |= CHARIOT_WATCH_IMAGE;
	w.image_gva = CALLED;
	ok(ioctl(h, CHARIOT_WATCH, &w) && errno == EBUSY, "another address");
	ok(vm_info(h).watch == (CHARIOT_WATCH_LOAD | CHARIOT_WATCH_IMAGE),
	   "the watch is as it was");
	other = ev;
	other.seq++;
	ok(call(h, &other, CALLED) == -ENOENT, "CALL for another event");
	ok(call(h, &ev, NOWHERE) == -EFAULT, "of what is not mapped");
	ok(call(h, &ev, INIT) == -EINVAL, "of what is on a watched page");
	ok(go_on(h, &ev, 0, 1) == -EINVAL, "CONTINUE with a value and no flag");
	ok(go_on(h, &ev, CHARIOT_CONTINUE_NEVER, 0) == -EINVAL, "as if it were an ASK");
	ok(go_on(h, &other, CHARIOT_CONTINUE_RETURN, 0) == -ENOENT,
	   "CONTINUE of another event");
	ok(!call(h, &ev, ADDS) && call(h, &ev, ADDS) == -ENOENT, "CALL twice");
	ok(returned(h, &ev, ADDS, 42), "it is done once: %llu", ev.u.image.result);
	ok(!watch(h, CHARIOT_WATCH_LOAD) && vm_info(h).watch == CHARIOT_WATCH_LOAD,
	   "the watch of images ends");
	ok(go_on(h, &ev, CHARIOT_CONTINUE_RETURN, 0) == -EINVAL,
	   "is no longer at an image");
	ok(!go_on(h, &ev, 0, 0), "CONTINUE");
	halts(&g, t, 42, 0);
	close(h);
}

/* The guest's thread sleeps in what we have it call, and comes back on another CPU. */
void test_image_moves(void)
{
	struct chariot_event ev = {};
	struct kvm_regs regs;
	struct guest g;
	int h = begin(&g);
	struct task *t = run(&g);

	ok(asked(h, &ev) && !call(h, &ev, SLEEPS), "CALL of a function that sleeps");
	ok(task_wait(t, patience) && t->result == KVM_EXIT_HLT, "it does");
	if (ioctl(g.cpu[0].fd, KVM_GET_REGS, &regs))
		die("KVM_GET_REGS");
	guest_regs(&g, 1, &regs);
	t = task_start(run_guest_1, &g);
	ok(returned(h, &ev, SLEEPS, 0) && ev.vcpu == 1, "returned on CPU %u", ev.vcpu);
	ok(!call(h, &ev, CALLED) && returned(h, &ev, CALLED, 42),
	   "another CALL there: %llu", ev.u.image.result);
	ok(!go_on(h, &ev, 0, 0), "CONTINUE");
	halts(&g, t, 7, 1);
	close(h);
}

/* Nobody is there any more when it returns. */
void test_image_left(void)
{
	struct chariot_event ev = {};
	struct kvm_regs regs;
	struct guest g;
	int h = begin(&g);
	struct task *t = run(&g);

	ok(asked(h, &ev) && !call(h, &ev, SLEEPS) && task_wait(t, patience),
	   "CALL of a function that sleeps");
	close(h);
	if (ioctl(g.cpu[0].fd, KVM_GET_REGS, &regs))
		die("KVM_GET_REGS");
	guest_regs(&g, 0, &regs);
	halts(&g, task_start(run_guest, &g), 0, 0);

	h = attach(g.fd);
	if (watch(h, CHARIOT_WATCH_LOAD | CHARIOT_WATCH_IMAGE))
		die("WATCH");
	t = run(&g);
	ok(asked(h, &ev), "the loader waits");
	close(h);
	halts(&g, t, -EINTR, 0);
}

/* Functions that never return, each on a stack of its own. */
void test_image_flood(void)
{
	unsigned int rounds = 300, n = 0;
	struct chariot_event ev = {};
	struct guest g;
	int h = begin(&g);
	struct task *t;

	/* mov 8(OBJECT),%rsp; sub $64,%rsp; mov %rsp,8(OBJECT); decl 16(OBJECT); jz out;
	 * jmp KERNEL; out: hlt */
	guest_code(&g, LEAVES, 0x48, 0x8b, 0x24, 0x25, LE32(OBJECT + 8),
		   0x48, 0x83, 0xec, 0x40, 0x48, 0x89, 0x24, 0x25, LE32(OBJECT + 8),
		   0xff, 0x0c, 0x25, LE32(OBJECT + 16), 0x74, 0x07,
		   JUMP(KERNEL), HLT);
	memset(g.mem + OBJECT, 0, 128);
	*(uint64_t *)(g.mem + OBJECT + 8) = STACK;
	*(uint32_t *)(g.mem + OBJECT + 16) = rounds;
	guest_regs(&g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rsi = OBJECT, .rbx = RESULT,
		.r12 = 0x12, .rflags = 2 });
	t = task_start(run_guest, &g);
	while (n < rounds && asked(h, &ev) && !call(h, &ev, LEAVES))
		n++;
	ok(n == rounds, "%u functions that never return", n);
	ok(task_wait(t, patience) && t->result == KVM_EXIT_HLT,
	   "the guest goes on: exit %ld", t->result);
	t = run(&g);
	ok(asked(h, &ev) && !call(h, &ev, CALLED) && returned(h, &ev, CALLED, 42),
	   "one that does: %llu", ev.u.image.result);
	go_on(h, &ev, 0, 0);
	halts(&g, t, 7, 1);
	close(h);
}
