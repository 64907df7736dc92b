// SPDX-License-Identifier: GPL-2.0
/*
 * A driver in mode inline: what its checks, gates and entries ask of the host, asked by a
 * runtime made by hand (inline-driver.S), also such that lies.
 */
#include "vm.h"
#include "hostile.h"
#include "inline.h"

#include <cpuid.h>
#include <sys/ioctl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define VALUE		0x1122334455667788ull
#define SLOT		(STACK - 8)		/* where KERNEL's call has its return address */
#define BEHIND		(KERNEL + 7)		/* and that */
#define STACK_SIZE	16384
#define TIME_MS		600000

extern const char inline_driver[], inline_driver_end[], inline_runtime[], inline_vmcall[],
	inline_left[];
extern const char inline_write[], inline_entered[], inline_string[], inline_calls[],
	inline_twice[], inline_jumps[], inline_loop[], inline_spilled[];
#define STORE(n) extern const char inline_ret##n[], inline_store##n[], inline_skip##n[];
STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6)
#undef STORE

#define AT(what)	(INLINE_DRIVER + (uint64_t)((what) - inline_driver))
#define PARAMS		(AT(inline_runtime) + CHARIOT_INLINE_PARAMS)

struct guest_inline {
	struct guest g;
	struct domain d;
	struct chariot_store stores[7];
	uint64_t functions[3];
	int h;
};

static uint64_t word(struct guest_inline *x, uint64_t at)
{
	uint64_t v;

	memcpy(&v, x->g.mem + at, sizeof(v));
	return v;
}

static void set_word(struct guest_inline *x, uint64_t at, uint64_t v)
{
	memcpy(x->g.mem + at, &v, sizeof(v));
}

static uint64_t entry_of(uint64_t line)
{
	return INLINE_CACHE + line / 64 % INLINE_LINES * 8;
}

static bool is_amd(void)
{
	unsigned int a, b = 0, c, d;

	__get_cpuid(0, &a, &b, &c, &d);
	return b != 0x756e6547;		/* Genu */
}

static void put_driver(struct guest_inline *x)
{
	guest_put(&x->g, INLINE_DRIVER, inline_driver, inline_driver_end - inline_driver);
	if (!is_amd())
		guest_code(&x->g, AT(inline_vmcall), 0x0f, 0x01, 0xc1);
	/* mov $OBJECT, %eax; ret */
	guest_code(&x->g, INLINE_ALLOC, 0xb8, LE32(OBJECT), RET);
	guest_code(&x->g, INLINE_FREE, RET);
	/* mov %rcx, (%rdi): what a kernel's function does that is not looked at */
	guest_code(&x->g, INLINE_FUNC, 0x48, 0x89, 0x0f, RET);
}

static void create_args(struct guest_inline *x, const char *entry)
{
	struct chariot_domain_create *c = &x->d.create;
	const struct chariot_store rows[] = {
#define ROW(n, bytes) { .ret = AT(inline_ret##n), .rip = AT(inline_store##n),		\
			.skip = AT(inline_skip##n), .len = bytes, .origin = 100 + n }
		ROW(0, 8), ROW(1, 8), ROW(2, 1), ROW(3, 8), ROW(4, 8), ROW(5, 8), ROW(6, 8),
#undef ROW
	};
	unsigned int i, j;

	domain_init(&x->d, INLINE_DRIVER);
	x->d.ranges[0].len = inline_driver_end - inline_driver;
	x->d.entry.gva = AT(entry);
	for (i = 0; i < 7; i++) {
		for (j = i; j && x->stores[j - 1].ret > rows[i].ret; j--)
			x->stores[j] = x->stores[j - 1];
		x->stores[j] = rows[i];
	}
	x->functions[0] = INLINE_ALLOC;
	x->functions[1] = INLINE_FREE;
	x->functions[2] = INLINE_FUNC;
	c->mode = CHARIOT_MODE_INLINE;
	c->cache = INLINE_CACHE;
	c->cache_lines = INLINE_LINES;
	c->data = INLINE_DATA;
	c->runtime = AT(inline_runtime);
	c->runtime_len = inline_driver_end - inline_runtime;
	c->left = AT(inline_left);
	c->stores = (uintptr_t)x->stores;
	c->nr_stores = 7;
	c->functions = (uintptr_t)x->functions;
	c->nr_functions = 3;
	c->inline_flags = CHARIOT_INLINE_COMPARE;
}

/* The kernel calls @entry. */
static void prepare(struct guest_inline *x, unsigned int nr_cpus, const char *entry)
{
	memset(x, 0, sizeof(*x));
	guest_new(&x->g, nr_cpus);
	put_driver(x);
	guest_code(&x->g, KERNEL, CALL(AT(entry)), HLT);
	create_args(x, entry);
}

static void isolate(struct guest_inline *x)
{
	x->h = attach(x->g.fd);
	if (x->h < 0 || domain_create(x->h, &x->d) != 1)
		die("attach, CREATE");
}

static void isolate_again(struct guest_inline *x)
{
	if (domain_create(x->h, &x->d) != 1)
		die("CREATE");
}

static struct chariot_inline_stack *stack_of(struct guest_inline *x, uint64_t slot)
{
	uint64_t base = slot & ~(STACK_SIZE - 1ull);
	unsigned int n = ((uint32_t)(base >> 12) * 0x9e3779b1u) >> 25;
	struct chariot_inline_data *d = (void *)(x->g.mem + INLINE_DATA);

	d->s[n].base = base;
	return &d->s[n];
}

/* As enter would make it. */
static struct chariot_inline_record *record(struct guest_inline *x, const char *entry,
					    uint64_t slot, uint64_t ret, uint64_t rdi)
{
	struct chariot_inline_stack *s = stack_of(x, slot);
	struct chariot_inline_record *r = &s->r[s->nr++];

	*r = (struct chariot_inline_record){
		.rsp = slot, .ret = ret, .entry = AT(entry), .args = { rdi },
		.count = 2ull << 32,
	};
	return r;
}

static int run_with(struct guest_inline *x, struct kvm_regs r)
{
	r.rip = KERNEL;
	r.rsp = STACK;
	r.rflags |= 2;
	guest_regs(&x->g, 0, &r);
	return guest_run(&x->g, 0);
}

/* The driver writes to @at. */
static bool writes(struct guest_inline *x, uint64_t at)
{
	set_word(x, at, 0);
	return run_with(x, (struct kvm_regs){ .rdi = at, .rcx = VALUE }) ==
	       KVM_EXIT_HLT && word(x, at) == VALUE;
}

static struct chariot_stats stats(struct guest_inline *x)
{
	struct chariot_stats st = { .argsz = sizeof(st), .domain = 1 };

	if (ioctl(x->h, CHARIOT_STATS, &st))
		die("STATS");
	return st;
}

static bool violation(struct guest_inline *x, struct chariot_event *ev)
{
	return event_find(x->h, CHARIOT_EV_VIOLATION, 1, ev);
}

static int take_back(struct guest_inline *x, uint64_t gva)
{
	struct chariot_grant g = {
		.argsz = sizeof(g), .flags = CHARIOT_GRANT_REVOKE, .domain = 1,
		.source = CHARIOT_SRC_RULE, .gva = gva,
	};

	return ioctl(x->h, CHARIOT_GRANT, &g);
}

static void end(struct guest_inline *x)
{
	struct chariot_audit a = { .argsz = sizeof(a) };
	int bad = ioctl(x->h, CHARIOT_AUDIT, &a);

	ok(!bad && a.checked && !a.bad, "audit: %llu of %llu mappings are bad", a.bad,
	   a.checked);
	close(x->h);
	guest_free(&x->g);
}

/* ---- stores ------------------------------------------------------------------- */

void test_inline_store(void)
{
	struct guest_inline x;
	struct chariot_event ev = {};
	struct chariot_stats st, st2;

	prepare(&x, 1, inline_write);
	ok(writes(&x, OBJECT), "nobody isolates it: the write is done");
	isolate(&x);
	ok(!writes(&x, OBJECT), "isolated: it is not");
	ok(violation(&x, &ev) && ev.u.violation.gva == OBJECT && ev.u.violation.len == 8 &&
	   ev.u.violation.rip == AT(inline_store0) && ev.u.violation.rsp == SLOT &&
	   ev.u.violation.origin == 100,
	   "a violation of the store: gva %llx, rip %llx", ev.u.violation.gva,
	   ev.u.violation.rip);
	ok(!grant(x.h, OBJECT, 200) && writes(&x, OBJECT) && writes(&x, OBJECT + 128),
	   "granted, it is done");
	ok(word(&x, entry_of(OBJECT)) == (OBJECT | 63) &&
	   word(&x, entry_of(OBJECT + 128)) == (OBJECT | 191),
	   "the cache has the line: %llx", (long long)word(&x, entry_of(OBJECT)));
	st = stats(&x);
	ok(writes(&x, OBJECT + 8) && stats(&x).exits == st.exits, "and from then on no exit");
	ok(writes(&x, OBJECT + 192) && !word(&x, entry_of(OBJECT + 192)),
	   "a line that is the driver's in part is not there");
	st2 = stats(&x);
	ok(st2.misses_filled == 2 && st2.misses_partial == 1 && st2.violations == 1 &&
	   st2.exits == 4 && !st2.lines_differ,
	   "counted: %llu filled, %llu in part, %llu exits", st2.misses_filled,
	   st2.misses_partial, st2.exits);
	ok(!writes(&x, OBJECT + 200), "behind its end it is not");
	ok(!take_back(&x, OBJECT) && !word(&x, entry_of(OBJECT)) &&
	   !word(&x, entry_of(OBJECT + 128)) && !writes(&x, OBJECT),
	   "revoked, the cache has lost it");
	ok(stats(&x).lines_lost == 2 && !stats(&x).lines_differ, "%llu lines lost",
	   stats(&x).lines_lost);
	/* A guest that grants itself something harms its own driver, and is seen. */
	set_word(&x, entry_of(OBJECT), OBJECT | 63);
	ok(writes(&x, OBJECT) && !writes(&x, OBJECT + 64) && stats(&x).lines_differ == 1,
	   "what the guest writes there is told: %llu", stats(&x).lines_differ);
	end(&x);
}

/* What the guard does each second. */
static void look(struct guest_inline *x)
{
	struct chariot_act_read r = { .argsz = sizeof(r), .domain = 1 };

	if (ioctl(x->h, CHARIOT_ACT_READ, &r))
		die("ACT_READ");
}

#define DEVICE	0x20000000
#define ALIAS	0x800000	/* what is mapped there changes */

/* A device gets it, and nobody else. */
static bool writes_device(struct guest_inline *x)
{
	int r = run_with(x, (struct kvm_regs){ .rdi = DEVICE, .rcx = VALUE });

	return r == KVM_EXIT_MMIO && x->g.cpu[0].run->mmio.phys_addr == DEVICE &&
	       guest_run(&x->g, 0) == KVM_EXIT_HLT;
}

void test_inline_device(void)
{
	static unsigned char mem[PAGE] __attribute__((aligned(4096)));
	struct guest_inline x;
	uint64_t exits;
	bool ran;

	prepare(&x, 1, inline_write);
	ok(writes_device(&x), "nobody isolates it: the device is written to");
	isolate(&x);
	ok(writes_device(&x) && word(&x, entry_of(DEVICE)) == (DEVICE | 63),
	   "isolated, too, and the cache has the line");
	exits = stats(&x).exits;
	ok(writes_device(&x) && stats(&x).exits == exits,
	   "from then on there are no exits but the device's");
	look(&x);
	ok(word(&x, entry_of(DEVICE)) == (DEVICE | 63), "looked at, it stays");
	if (guest_slot(&x.g, 1, DEVICE, mem, PAGE, 0))
		die("memory slot");
	look(&x);
	ok(!word(&x, entry_of(DEVICE)), "memory comes there: the line goes");
	ran = run_with(&x, (struct kvm_regs){ .rdi = DEVICE, .rcx = VALUE }) == KVM_EXIT_HLT;
	ok(ran && !*(uint64_t *)mem && stats(&x).violations == 1,
	   "and the driver may not write it: %llu violations", stats(&x).violations);
	end(&x);
}

void test_inline_remapped(void)
{
	struct guest_inline x;

	prepare(&x, 1, inline_write);
	isolate(&x);
	ok(!grant(x.h, ALIAS, PAGE) && writes(&x, ALIAS) &&
	   word(&x, entry_of(ALIAS)) == (ALIAS | 63), "the cache has the line");
	/* 2 MiB of the guest's own tables */
	set_word(&x, PD + ALIAS / LARGE_PAGE * 8, (ALIAS + LARGE_PAGE) | 0x83);
	look(&x);
	ok(!word(&x, entry_of(ALIAS)), "the guest maps another page there: it goes");
	set_word(&x, ALIAS + LARGE_PAGE, 0);
	guest_sregs(&x.g, 0);
	run_with(&x, (struct kvm_regs){ .rdi = ALIAS, .rcx = VALUE });
	ok(!word(&x, ALIAS + LARGE_PAGE) && stats(&x).violations == 1,
	   "and the driver may not write it: %llu violations", stats(&x).violations);
	end(&x);
}

/* A neighbour on the same page keeps its lines. */
void test_inline_neighbour(void)
{
	struct guest_inline x;

	prepare(&x, 1, inline_write);
	isolate(&x);
	ok(!grant(x.h, OBJECT, 128) && !grant(x.h, OBJECT + 128, 128) &&
	   !grant(x.h, OBJECT + PAGE, PAGE) && writes(&x, OBJECT) &&
	   writes(&x, OBJECT + 128) && writes(&x, OBJECT + PAGE + 256),
	   "three objects are written to");
	ok(!take_back(&x, OBJECT) && !word(&x, entry_of(OBJECT)) &&
	   word(&x, entry_of(OBJECT + 128)) && word(&x, entry_of(OBJECT + PAGE + 256)),
	   "one goes, and its lines alone");
	/* The same entry. */
	ok(!grant(x.h, OBJECT + 2 * PAGE, PAGE) && writes(&x, OBJECT + 2 * PAGE + 256) &&
	   word(&x, entry_of(OBJECT + 256)) == (OBJECT + 2 * PAGE + 256 + 63),
	   "a line takes another one's place");
	ok(!take_back(&x, OBJECT + PAGE) &&
	   word(&x, entry_of(OBJECT + 256)) == (OBJECT + 2 * PAGE + 256 + 63),
	   "which goes, and leaves it alone");
	ok(!take_back(&x, OBJECT + 2 * PAGE) && !word(&x, entry_of(OBJECT + 256)),
	   "then it goes itself");
	end(&x);
}

/* rep stosb. */
static bool fills(struct guest_inline *x, uint64_t at, uint64_t len, bool down)
{
	memset(x->g.mem + OBJECT, 0, PAGE);
	return run_with(x, (struct kvm_regs){
		.rdi = at, .rcx = len, .rax = 0xaa, .rflags = down ? 0x400 : 0 }) ==
	       KVM_EXIT_HLT && len && x->g.mem[at] == 0xaa;
}

void test_inline_string(void)
{
	struct chariot_event ev = {};
	struct guest_inline x;

	prepare(&x, 1, inline_string);
	/* mov $x, %r8d; call *%r8 */
	guest_code(&x.g, KERNEL, 0x41, 0xb8, LE32(AT(inline_string)), 0x41, 0xff, 0xd0, HLT);
	ok(fills(&x, OBJECT, 300, false) && x.g.mem[OBJECT + 299] == 0xaa,
	   "nobody isolates it: all is stored");
	isolate(&x);
	ok(!grant(x.h, OBJECT + 64, 256), "256 bytes are granted");
	ok(fills(&x, OBJECT + 64, 256, false) && x.g.mem[OBJECT + 319] == 0xaa,
	   "a string of that length is stored");
	ok(!fills(&x, OBJECT + 64, 257, false) && !x.g.mem[OBJECT + 319],
	   "a byte more, and nothing is");
	ok(violation(&x, &ev) && ev.u.violation.rip == AT(inline_store2) &&
	   ev.u.violation.len == 257, "a violation: %u bytes", ev.u.violation.len);
	ok(fills(&x, OBJECT + 319, 256, true) && x.g.mem[OBJECT + 64] == 0xaa,
	   "downwards it is, too");
	ok(!fills(&x, OBJECT + 318, 256, true), "a byte lower it is not");
	ok(!fills(&x, OBJECT + 64, ~0ull, false) && !fills(&x, OBJECT + 64, 1ull << 63, false),
	   "nor a length that was negative");
	ok(run_with(&x, (struct kvm_regs){ .rdi = OBJECT }) == KVM_EXIT_HLT &&
	   stats(&x).violations == 4, "of no bytes: %llu violations", stats(&x).violations);
	end(&x);
}

/* ---- entries -------------------------------------------------------------------- */

void test_inline_stack(void)
{
	struct guest_inline x;
	struct chariot_inline_record *r;

	prepare(&x, 1, inline_write);
	ok(writes(&x, STACK + 64), "nobody isolates it: the caller's stack is written");
	isolate(&x);
	ok(!writes(&x, SLOT - 512), "without a record there is no own stack");
	r = record(&x, inline_write, SLOT, BEHIND, 0);
	ok(writes(&x, SLOT - 512), "with one there is");
	ok(!writes(&x, STACK + 64), "above its return address it is not its own");
	ok(r->count >> 63 && !word(&x, entry_of(SLOT - 512)), "it was seen; nothing is cached");
	r->ret++;
	ok(!writes(&x, SLOT - 512), "one that the stack does not know is dead");
	r->ret--;
	r->rsp -= 1024;
	ok(!writes(&x, SLOT - 512), "and one below the stack pointer");
	end(&x);
}

/* What is granted for the call is not in the cache. */
void test_inline_argument(void)
{
	struct chariot_op op = { .op = CHARIOT_OP_GRANT, .len_add = 64 };
	struct chariot_inline_record *r;
	struct guest_inline x;

	prepare(&x, 1, inline_write);
	x.d.create.ops = (uintptr_t)&op;
	x.d.create.nr_ops = x.d.entry.nr_ops = 1;
	isolate(&x);
	ok(!writes(&x, OBJECT), "without a record there is no argument");
	r = record(&x, inline_write, SLOT, BEHIND, OBJECT);
	ok(writes(&x, OBJECT + 8) && !word(&x, entry_of(OBJECT)) &&
	   stats(&x).misses_argument == 1, "with one there is, and nothing is cached");
	ok(!writes(&x, OBJECT + 64), "behind it there is none");
	/* The next call of the same function, at the same place. */
	r->args[0] = OBJECT + 4096;
	r->count = 0;
	ok(!writes(&x, OBJECT + 8) && writes(&x, OBJECT + 4096),
	   "the next call has its own argument");
	/* An outer one. */
	r->rsp = STACK + 256;
	r->count = 0;
	set_word(&x, STACK + 256, BEHIND);
	record(&x, inline_write, SLOT, BEHIND, 0);
	ok(writes(&x, OBJECT + 4096) && !writes(&x, OBJECT + 8),
	   "a call further up has, too");
	end(&x);
}

static bool asked(int h, struct chariot_event *ev)
{
	return event_wait(h, CHARIOT_EV_ASK, patience, ev);
}

static struct task *start(struct guest_inline *x)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = CHARIOT_WATCH_ASK, .timeout_ms = TIME_MS,
	};

	if (ioctl(x->h, CHARIOT_WATCH, &w))
		die("WATCH");
	set_word(x, OBJECT, 0);
	guest_regs(&x->g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = OBJECT, .rcx = VALUE, .rflags = 2 });
	return task_start(run_guest, &x->g);
}

static bool answer(struct guest_inline *x, const struct chariot_event *ev, bool lend)
{
	struct chariot_continue c = { .argsz = sizeof(c), .seq = ev->seq };
	struct chariot_grant g = {
		.argsz = sizeof(g), .flags = CHARIOT_GRANT_CALL, .domain = 1,
		.source = CHARIOT_SRC_EVIDENCE, .gva = OBJECT, .len = 64, .seq = ev->seq,
	};

	return (!lend || !ioctl(x->h, CHARIOT_GRANT, &g)) &&
	       !ioctl(x->h, CHARIOT_CONTINUE, &c);
}

static int evident(struct guest_inline *x, uint64_t gva)
{
	struct chariot_grant g = {
		.argsz = sizeof(g), .domain = 1, .source = CHARIOT_SRC_EVIDENCE,
		.gva = gva, .len = 8,
	};

	return ioctl(x->h, CHARIOT_GRANT, &g) ? -errno : 0;
}

static bool halts(struct task *t)
{
	return task_wait(t, patience) && t->result == KVM_EXIT_HLT;
}

void test_inline_ask(void)
{
	struct chariot_value rows[32] = {};
	struct chariot_event ev = {};
	struct chariot_given q = {
		.argsz = sizeof(q), .nr = 32, .buf = (uintptr_t)rows,
	};
	struct guest_inline x;
	struct task *t;

	prepare(&x, 1, inline_write);
	isolate(&x);
	record(&x, inline_write, SLOT, BEHIND, OBJECT + 512);
	t = start(&x);
	ok(asked(x.h, &ev) && ev.u.violation.rip == AT(inline_store0) &&
	   ev.u.violation.entry == AT(inline_write), "it is asked for the store");
	q.seq = ev.seq;
	ok(ioctl(x.h, CHARIOT_GIVEN, &q) >= 7 && rows[0].value == OBJECT + 512 &&
	   rows[0].fn == AT(inline_write), "the call's arguments are told");
	ok(answer(&x, &ev, true) && halts(t) && word(&x, OBJECT) == VALUE &&
	   !word(&x, entry_of(OBJECT)), "evidence for the call: it is done, and not cached");
	ok(writes(&x, OBJECT), "in the same call it is not asked for again");
	/* The record of the next one. */
	stack_of(&x, SLOT)->r[0].count = 0;
	t = start(&x);
	ok(asked(x.h, &ev) && evident(&x, INLINE_CACHE) == -EPERM &&
	   evident(&x, INLINE_DATA + PAGE) == -EPERM && evident(&x, INLINE_DRIVER) == -EPERM,
	   "no evidence is for cache, records or text");
	ok(answer(&x, &ev, false) && halts(t) && !word(&x, OBJECT),
	   "in the next one it is; without an answer it is not done");
	t = start(&x);
	ok(asked(x.h, &ev), "asked");
	close(x.h);
	ok(halts(t) && word(&x, OBJECT) == VALUE, "closed in the middle, the guest goes on");
	guest_free(&x.g);
}

void test_inline_verdicts(void)
{
	struct chariot_domain_op set = {
		.argsz = sizeof(set), .domain = 1, .verdict = CHARIOT_VERDICT_OOPS };
	struct chariot_event ev = {};
	struct guest_inline x;
	struct kvm_regs r = {};

	prepare(&x, 1, inline_write);
	guest_idt(&x.g);
	guest_gdt(&x.g);
	guest_code(&x.g, INTR, HLT);
	x.d.create.verdict = CHARIOT_VERDICT_REPORT;
	isolate(&x);
	ok(writes(&x, OBJECT) && violation(&x, &ev) && ev.verdict == CHARIOT_VERDICT_REPORT &&
	   !word(&x, entry_of(OBJECT)), "report: it is done, told, and not cached");
	ok(!ioctl(x.h, CHARIOT_DOMAIN_SET, &set) && !writes(&x, OBJECT) &&
	   !ioctl(x.g.cpu[0].fd, KVM_GET_REGS, &r) && r.rip == INTR + 1,
	   "oops: the guest has an exception");
	end(&x);
}

void test_inline_pause(void)
{
	struct chariot_event ev = {};
	struct guest_inline x;
	struct pollfd p;
	struct task *t;

	prepare(&x, 1, inline_write);
	x.d.create.verdict = CHARIOT_VERDICT_PAUSE;
	isolate(&x);
	guest_regs(&x.g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = OBJECT, .rcx = VALUE, .rflags = 2 });
	t = task_start(run_guest, &x.g);
	p = (struct pollfd){ .fd = x.h, .events = POLLIN };
	while (!violation(&x, &ev) && poll(&p, 1, patience * 1000) > 0)
		;
	ok(ev.flags & CHARIOT_EV_WAITS && !word(&x, OBJECT), "it waits");
	ok(!grant(x.h, OBJECT, 64) && answer(&x, &ev, false) && halts(t) &&
	   word(&x, OBJECT) == VALUE, "granted meanwhile it is done");
	end(&x);
}

/* ---- gates ---------------------------------------------------------------------- */

void test_inline_gates(void)
{
	struct chariot_op ops[] = {
		{ .op = CHARIOT_OP_GRANT, .phase = CHARIOT_PHASE_POST,
		  .base = CHARIOT_RET, .len_add = 64 },
		{ .op = CHARIOT_OP_REVOKE },
	};
	struct chariot_gate gates[] = {
		{ .gva = INLINE_ALLOC, .op = 0, .nr_ops = 1 },
		{ .gva = INLINE_FREE, .op = 1, .nr_ops = 1 },
	};
	struct chariot_event ev = {};
	struct guest_inline x;
	struct chariot_stats st;

	prepare(&x, 1, inline_calls);
	/* mov %rcx, %r9 in between would be needed; the driver's own is kept. */
	set_word(&x, OBJECT, 0);
	ok(run_with(&x, (struct kvm_regs){ .rcx = VALUE }) == KVM_EXIT_HLT &&
	   word(&x, OBJECT) == VALUE, "nobody isolates it: it writes what it has freed");
	x.d.create.ops = (uintptr_t)ops;
	x.d.create.nr_ops = 2;
	x.d.create.gates = (uintptr_t)gates;
	x.d.create.nr_gates = 2;
	isolate(&x);
	record(&x, inline_calls, SLOT, BEHIND, 0);
	set_word(&x, OBJECT, 0);
	ok(run_with(&x, (struct kvm_regs){ .rcx = VALUE }) == KVM_EXIT_HLT &&
	   word(&x, OBJECT) == VALUE, "what it has allocated it may write");
	ok(violation(&x, &ev) && ev.u.violation.rip == AT(inline_store4) &&
	   ev.u.violation.gva == OBJECT, "what it has freed it may not: rip %llx",
	   ev.u.violation.rip);
	st = stats(&x);
	ok(st.calls == 2 && st.call_returns == 2 && st.allocations == 1 && st.frees == 1 &&
	   st.lines_lost == 1 && st.misses_filled == 1 && st.violations == 1 &&
	   !word(&x, entry_of(OBJECT)),
	   "%llu calls, %llu returns, %llu allocations, %llu frees", st.calls,
	   st.call_returns, st.allocations, st.frees);
	ok(domain_info(x.h, 1).nr_frames <= 1, "no call waits: %llu frames",
	   domain_info(x.h, 1).nr_frames);
	end(&x);
}

/* A CHECK before a function that writes for the driver. */
static void check_gate(const char *entry)
{
	struct chariot_op op = {
		.op = CHARIOT_OP_CHECK, .base = CHARIOT_ARG(0), .len_add = 8,
		.deref = { 0, CHARIOT_ARG(1) },
	};
	struct chariot_gate gate = { .gva = INLINE_FUNC, .nr_ops = 1 };
	struct kvm_regs r = { .rdi = OBJECT, .rsi = 77, .rcx = VALUE, .rbx = 5 };
	struct guest_inline x;

	prepare(&x, 1, entry);
	ok(writes(&x, OBJECT), "nobody isolates it: the function writes");
	x.d.create.ops = (uintptr_t)&op;
	x.d.create.nr_ops = 1;
	x.d.create.gates = (uintptr_t)&gate;
	x.d.create.nr_gates = 1;
	isolate(&x);
	record(&x, entry, SLOT, BEHIND, 0);
	set_word(&x, OBJECT, 0);
	ok(run_with(&x, r) == KVM_EXIT_HLT && !word(&x, OBJECT), "isolated, it is not run");
	ioctl(x.g.cpu[0].fd, KVM_GET_REGS, &r);
	ok(r.rax == 77 && r.rbx == 5 && r.rsp == STACK, "and returns what it is to: %llu",
	   r.rax);
	ok(!grant(x.h, OBJECT, 8) && writes(&x, OBJECT), "granted it is");
	end(&x);
}

void test_inline_check(void)
{
	check_gate(inline_twice);
}

void test_inline_tail(void)
{
	check_gate(inline_jumps);
}

/* ---- hypercalls of entries -------------------------------------------------------- */

void test_inline_spill(void)
{
	struct chariot_op op = {
		.op = CHARIOT_OP_GRANT, .base = CHARIOT_ARG(1), .len_add = 64 };
	struct guest_inline x;

	prepare(&x, 1, inline_spilled);
	x.d.create.ops = (uintptr_t)&op;
	x.d.create.nr_ops = x.d.entry.nr_ops = 1;
	isolate(&x);
	set_word(&x, OBJECT, 0);
	ok(run_with(&x, (struct kvm_regs){ .rdi = OBJECT, .rsi = OBJECT, .rcx = VALUE }) ==
	   KVM_EXIT_HLT && word(&x, OBJECT) == VALUE, "the host has kept its arguments");
	ok(writes(&x, SLOT - 512) && !writes(&x, STACK + 64) && !writes(&x, OBJECT),
	   "and where its stack begins; the next one has others");
	ok(stats(&x).spills == 4, "%llu entries spilled", stats(&x).spills);
	end(&x);
}

void test_inline_life(void)
{
	struct chariot_event ev = {};
	struct guest_inline x;

	prepare(&x, 1, inline_entered);
	x.d.entry.flags = CHARIOT_GATE_INIT;
	isolate(&x);
	ok(word(&x, PARAMS + offsetof(struct chariot_inline_params, ask)) == 1,
	   "before init has run entries are asked for");
	ok(!grant(x.h, OBJECT, 8), "granted");
	set_word(&x, OBJECT, 0);
	ok(run_with(&x, (struct kvm_regs){ .rdi = OBJECT, .rcx = VALUE, .rbx = 12 }) ==
	   KVM_EXIT_HLT && word(&x, OBJECT) == VALUE, "init runs");
	ok(event_find(x.h, CHARIOT_EV_INIT_DONE, 1, &ev) && ev.u.init.result == 12 &&
	   !word(&x, PARAMS + offsetof(struct chariot_inline_params, ask)),
	   "its return is seen: %lld", ev.u.init.result);
	end(&x);

	prepare(&x, 1, inline_entered);
	x.d.entry.flags = CHARIOT_GATE_EXIT;
	isolate(&x);
	ok(run_with(&x, (struct kvm_regs){ .rdi = OBJECT }) == KVM_EXIT_HLT &&
	   event_find(x.h, CHARIOT_EV_DOMAIN_GONE, 1, &ev), "exit returns: the domain goes");
	ok(word(&x, PARAMS + offsetof(struct chariot_inline_params, off)) == 1 &&
	   vm_info(x.h).state == CHARIOT_VM_PLAIN, "its runtime is told");
	end(&x);

	/* What was its memory may be another guest's. */
	prepare(&x, 1, inline_write);
	isolate(&x);
	ok(!writes(&x, OBJECT) &&
	   !ioctl(x.h, CHARIOT_RESET, &(struct chariot_reset){ .argsz = 8 }) &&
	   !word(&x, PARAMS + offsetof(struct chariot_inline_params, off)) &&
	   writes(&x, OBJECT), "RESET writes nothing into the guest");
	isolate_again(&x);
	ok(!writes(&x, OBJECT) &&
	   !ioctl(x.h, CHARIOT_DOMAIN_DROP, &(struct chariot_domain_op){
			.argsz = sizeof(struct chariot_domain_op), .domain = 1 }) &&
	   word(&x, PARAMS + offsetof(struct chariot_inline_params, off)) == 1 &&
	   writes(&x, OBJECT), "DROP tells its runtime");
	end(&x);
}

/* ---- recovery ----------------------------------------------------------------------- */

#define KERNEL_HALF	0xffffff8000000000ull
#define TRAP	0x11f00

static void put_trap(struct guest_inline *x)
{
	uint64_t *pml4 = (void *)(x->g.mem + PML4);

	pml4[511] = pml4[0];
	guest_code(&x->g, TRAP, 0x0f, 0x01, is_amd() ? 0xd9 : 0xc1, RET);
}

static void map_high(struct guest_inline *x)
{
	put_trap(x);
	x->d.create.verdict = CHARIOT_VERDICT_RECOVER;
	x->d.create.recover.trap = KERNEL_HALF + TRAP;
	x->d.create.recover.returns[0] = -5;
}

void test_inline_recover(void)
{
	struct chariot_inline_record *rec;
	struct chariot_event ev = {};
	struct guest_inline x;
	struct kvm_regs r;

	prepare(&x, 1, inline_entered);
	map_high(&x);
	isolate(&x);
	ok(!grant(x.h, OBJECT, 64) && writes(&x, OBJECT), "a write that is granted");
	ok(word(&x, entry_of(OBJECT)), "it is in the cache");
	rec = record(&x, inline_entered, SLOT, BEHIND, 0);
	rec->saved[0] = 0x1234;
	rec->saved[5] = 0x5678;
	ok(!writes(&x, OBJECT + 512), "a wild one is not done");
	ioctl(x.g.cpu[0].fd, KVM_GET_REGS, &r);
	ok((int)r.rax == -5 && r.rbx == 0 && r.rsp == STACK && r.rip == KERNEL + 8,
	   "the kernel gets an error: %d, rsp %llx", (int)r.rax, r.rsp);
	ok(event_find(x.h, CHARIOT_EV_FAULT, 1, &ev) && ev.u.violation.why == CHARIOT_WHY_WRITE &&
	   ev.u.violation.rip == AT(inline_store1), "a FAULT is told");
	ok(!word(&x, entry_of(OBJECT)) &&
	   word(&x, PARAMS + offsetof(struct chariot_inline_params, ask)) == 1,
	   "nothing is cached any more, and entries are asked for");
	ok(!writes(&x, OBJECT), "the driver is not entered any more");
	ioctl(x.g.cpu[0].fd, KVM_GET_REGS, &r);
	ok((int)r.rax == -5 && r.rsp == STACK && stats(&x).refused == 1,
	   "the kernel gets an error: %d, %llu refused", (int)r.rax, stats(&x).refused);
	end(&x);

	/* The record alone says what the caller wants to have back. */
	prepare(&x, 1, inline_write);
	map_high(&x);
	isolate(&x);
	rec = record(&x, inline_write, SLOT, BEHIND, 0);
	rec->saved[0] = 0x1234;
	rec->saved[5] = 0x5678;
	rec->count = 0x202ull << 32;
	ok(!writes(&x, OBJECT + 512), "a wild write, without an enter");
	ioctl(x.g.cpu[0].fd, KVM_GET_REGS, &r);
	ok((int)r.rax == -5 && r.rbx == 0x1234 && r.r15 == 0x5678 && r.rflags & 0x200,
	   "registers as the record has them: %llx, %llx, flags %llx", r.rbx, r.r15, r.rflags);
	end(&x);
}

/* ---- a guest that lies --------------------------------------------------------------- */

static int hypercall(struct guest_inline *x, uint64_t rip, uint64_t reason, uint64_t rsp)
{
	guest_sregs(&x->g, 0);
	guest_regs(&x->g, 0, &(struct kvm_regs){
		.rip = rip, .rax = CHARIOT_HC + reason, .rsp = rsp, .rdx = KERNEL + 7,
		.rflags = 2 });
	return guest_run(&x->g, 0);
}

static uint64_t rax(struct guest_inline *x)
{
	struct kvm_regs r = {};

	ioctl(x->g.cpu[0].fd, KVM_GET_REGS, &r);
	return r.rax;
}

void test_inline_lies(void)
{
	struct chariot_inline_stack *s;
	struct guest_inline x;
	uint64_t i;

	prepare(&x, 1, inline_write);
	isolate(&x);
	record(&x, inline_write, SLOT, BEHIND, 0);
	s = stack_of(&x, SLOT);
	s->nr = ~0u;
	for (i = 1; i < CHARIOT_INLINE_RECORDS; i++)
		s->r[i] = (struct chariot_inline_record){
			.rsp = i & 1 ? SLOT - i * 1000 : NOWHERE + i * 8,
			.ret = ~0ull << (i * 10), .entry = NOWHERE, .count = ~0ull };
	ok(!writes(&x, OBJECT) && writes(&x, SLOT - 64), "more records than there are");
	s->r[0].entry = NOWHERE;
	ok(!writes(&x, OBJECT) && writes(&x, SLOT - 64), "a function that is none");
	s->r[0].rsp = SLOT + 1;
	ok(!writes(&x, OBJECT), "a return address that lies nowhere");
	/* A frame of garbage: every register leads somewhere. */
	for (i = 0; i <= CHARIOT_NR_HCS; i++) {
		memset(x.g.mem + OBJECT, 0x5a, PAGE);
		hypercall(&x, AT(inline_vmcall), i, OBJECT);
		hypercall(&x, AT(inline_vmcall), i, OBJECT + PAGE);
		memset(x.g.mem + OBJECT, 0xff, PAGE);
		hypercall(&x, AT(inline_vmcall), i, OBJECT);
		hypercall(&x, AT(inline_vmcall), i, NOWHERE);
		hypercall(&x, AT(inline_vmcall), i, ~0ull - 7);
	}
	guest_sregs(&x.g, 0);
	ok(vm_info(x.h).state == CHARIOT_VM_ISOLATING && !writes(&x, OBJECT),
	   "frames of garbage: the VM is isolated");
	end(&x);
}

static uint64_t random_word(uint64_t *seed)
{
	const uint64_t places[] = {
		0, 1, 8, ~0ull, 1ull << 63, OBJECT, OBJECT + 64, STACK, SLOT, SLOT - 8,
		SLOT - 64, SLOT - 512, BEHIND, KERNEL, INLINE_FUNC, INLINE_CACHE, INLINE_DATA,
		NOWHERE, AT(inline_ret0), AT(inline_ret2), AT(inline_entered),
		AT(inline_entered) + 5, AT(inline_write), AT(inline_left), AT(inline_vmcall),
		AT(inline_skip1), GUEST_MEM - 8, KERNEL_HALF + TRAP,
	};
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z ^= z >> 27;
	return z & 7 ? places[(z >> 8) % (sizeof(places) / sizeof(*places))] : z;
}

static void random_words(struct guest_inline *x, uint64_t at, unsigned int nr, uint64_t *seed)
{
	for (unsigned int i = 0; i < nr; i++)
		set_word(x, at + 8 * i, random_word(seed));
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Where it goes on may be without end. */
static void run_for_ms(struct guest_inline *x, unsigned int ms, uint64_t reason, uint64_t rsp)
{
	struct itimerval on = { .it_value = { .tv_usec = ms * 1000 } }, off = {};

	setitimer(ITIMER_REAL, &on, NULL);
	hypercall(x, AT(inline_vmcall), reason, rsp);
	setitimer(ITIMER_REAL, &off, NULL);
}

void test_inline_random(void)
{
	static const unsigned int verdicts[] = {
		CHARIOT_VERDICT_REPORT, CHARIOT_VERDICT_SKIP, CHARIOT_VERDICT_OOPS,
		CHARIOT_VERDICT_RECOVER,
	};
	struct sigaction act = { .sa_handler = on_alarm };
	struct chariot_inline_stack *s;
	struct guest_inline x;
	uint64_t seed = 4711, rsp;
	unsigned int i, made = 1;

	sigaction(SIGALRM, &act, NULL);
	prepare(&x, 1, inline_entered);
	map_high(&x);
	x.d.entry.flags = CHARIOT_GATE_INIT;
	isolate(&x);
	s = stack_of(&x, SLOT);
	for (i = 0; i < 3000; i++) {
		rsp = i & 1 ? OBJECT : SLOT - 512;
		random_words(&x, rsp, sizeof(struct chariot_inline_frame) / 8, &seed);
		random_words(&x, SLOT - 64, 16, &seed);
		s->nr = i & 2 ? CHARIOT_INLINE_RECORDS : random_word(&seed);
		random_words(&x, (unsigned char *)s->r - x.g.mem, sizeof(s->r) / 8, &seed);
		run_for_ms(&x, 10, i % (CHARIOT_NR_HCS + 1), rsp);
		if (vm_info(x.h).state == CHARIOT_VM_DEAD)
			break;
		/* What it ran may have written anywhere. */
		guest_tables(&x.g);
		put_driver(&x);
		put_trap(&x);
		guest_code(&x.g, KERNEL, CALL(AT(inline_entered)), HLT);
		if (!vm_info(x.h).domains) {
			isolate_again(&x);
			made++;
		}
		ioctl(x.h, CHARIOT_DOMAIN_SET, &(struct chariot_domain_op){
			.argsz = sizeof(struct chariot_domain_op), .domain = 1,
			.verdict = verdicts[i / 16 % 4] });
	}
	ok(i == 3000, "random frames and records: %u; isolated anew %u times", i, made);
	guest_sregs(&x.g, 0);
	end(&x);
}

/* What is not the runtime of a domain, or no kernel code, is KVM's business. */
void test_inline_not_ours(void)
{
	struct guest_inline x;
	struct kvm_sregs s;
	struct kvm_regs r = {};
	uint64_t *pd;

	prepare(&x, 1, inline_write);
	isolate(&x);
	guest_code(&x.g, KERNEL, 0x0f, 0x01, is_amd() ? 0xd9 : 0xc1, HLT);
	ok(hypercall(&x, KERNEL, CHARIOT_HC_MISS, STACK - 512) == KVM_EXIT_HLT &&
	   rax(&x) == -1000ull && !stats(&x).exits, "a hypercall of the kernel: %lld",
	   (long long)rax(&x));
	/* CPL 3, with a port to tell that it has come back. */
	((uint64_t *)(x.g.mem + PML4))[0] |= 4;
	((uint64_t *)(x.g.mem + PDPT))[0] |= 4;
	for (pd = (void *)(x.g.mem + PD); pd < (uint64_t *)(x.g.mem + PD) + 8; pd++)
		*pd |= 4;
	ioctl(x.g.cpu[0].fd, KVM_GET_SREGS, &s);
	s.cs.dpl = 3;
	s.cs.selector = 0x13;
	s.ss.dpl = 3;
	s.ss.selector = 0x1b;
	ioctl(x.g.cpu[0].fd, KVM_SET_SREGS, &s);
	guest_code(&x.g, KERNEL + 7, 0xe6, 0x80);	/* out %al, $0x80 */
	guest_regs(&x.g, 0, &(struct kvm_regs){
		.rip = AT(inline_vmcall), .rax = CHARIOT_HC + CHARIOT_HC_MISS,
		.rsp = STACK - 512, .rdx = KERNEL + 7, .rflags = 0x3002 });
	ok(guest_run(&x.g, 0) == KVM_EXIT_IO && !ioctl(x.g.cpu[0].fd, KVM_GET_REGS, &r) &&
	   r.rax == (uint64_t)-1 && !stats(&x).exits, "one of a process: %lld",
	   (long long)r.rax);
	end(&x);
}

/* ---- two CPUs ------------------------------------------------------------------------- */

static long run_other(void *guest)
{
	return guest_run(guest, 1);
}

void test_inline_cpus(void)
{
	struct guest_inline x;
	unsigned int i, late = 0, rounds = 200;
	struct task *t, *u;

	prepare(&x, 2, inline_loop);
	isolate(&x);
	for (i = 0; i < 2; i++)
		guest_regs(&x.g, i, &(struct kvm_regs){
			.rip = KERNEL, .rsp = STACK + i * 0x10000, .rdi = OBJECT + i * 64,
			.rcx = VALUE, .rbx = 300000, .rflags = 2 });
	t = task_start(run_guest, &x.g);
	u = task_start(run_other, &x.g);
	for (i = 0; i < rounds; i++) {
		if (grant(x.h, OBJECT, 128))
			die("GRANT");
		usleep(1000);
		if (take_back(&x, OBJECT))
			die("REVOKE");
		late += word(&x, entry_of(OBJECT)) || word(&x, entry_of(OBJECT + 64));
	}
	ok(!late, "what is revoked is in no cache: %u of %u times", late, rounds);
	ok(halts(t) && halts(u), "both come to their end");
	ok(stats(&x).lines_lost && !stats(&x).lines_differ, "%llu lines were taken back",
	   stats(&x).lines_lost);
	set_word(&x, OBJECT, 0);
	run_with(&x, (struct kvm_regs){ .rdi = OBJECT, .rcx = VALUE, .rbx = 1 });
	ok(!word(&x, OBJECT), "and nothing is left");
	end(&x);
}

/* Records change while they are read. */
void test_inline_scribble(void)
{
	struct chariot_event ev;
	struct guest_inline x;
	struct task *t, *u;

	prepare(&x, 2, inline_loop);
	/* again: mov %rsi, %rdi; mov $104, %ecx; rep stosq; add $.., %rax; dec %rbx; jnz again */
	guest_code(&x.g, DRIVER2 + 2 * PAGE, 0x48, 0x89, 0xf7, 0xb9, LE32(104), 0xf3, 0x48, 0xab,
		   0x48, 0x05, LE32(0x204001), 0x48, 0xff, 0xcb, 0x75, 0xea, HLT);
	isolate(&x);
	record(&x, inline_loop, SLOT, BEHIND, 0);
	guest_regs(&x.g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = STACK, .rdi = OBJECT, .rcx = VALUE, .rbx = 2000,
		.rflags = 2 });
	guest_regs(&x.g, 1, &(struct kvm_regs){
		.rip = DRIVER2 + 2 * PAGE, .rsp = STACK - 0x10000, .rbx = 300000,
		.rsi = (unsigned char *)stack_of(&x, SLOT) - x.g.mem, .rflags = 2 });
	t = task_start(run_guest, &x.g);
	u = task_start(run_other, &x.g);
	ok(halts(t) && halts(u) && !word(&x, OBJECT), "both come to their end, and it is not done");
	ok(event_find(x.h, CHARIOT_EV_VIOLATION, 1, &ev) && stats(&x).violations == 2000 &&
	   vm_info(x.h).state == CHARIOT_VM_ISOLATING, "%llu violations", stats(&x).violations);
	end(&x);
}

/* ---- CREATE ---------------------------------------------------------------------------- */

void test_inline_create(void)
{
	struct chariot_domain_create good, *c;
	struct chariot_range more[3];
	struct guest_inline x;
	int h;

	prepare(&x, 1, inline_write);
	h = x.h = attach(x.g.fd);
	c = &x.d.create;
	good = *c;
#define REFUSED(err, text, ...) do {						\
	*c = good;								\
	__VA_ARGS__;								\
	ok(ioctl(h, CHARIOT_DOMAIN_CREATE, c) == -1 && errno == (err),		\
	   "CREATE: " text);							\
} while (0)
	REFUSED(EINVAL, "tables of mode inline in another one", c->mode = 0);
	REFUSED(EINVAL, "a cache of 0 lines", c->cache_lines = 0);
	REFUSED(EINVAL, "of 96", c->cache_lines = 96);
	REFUSED(EINVAL, "of too many", c->cache_lines = 131072);
	REFUSED(EINVAL, "a cache that is not aligned", c->cache++);
	REFUSED(EINVAL, "records that are not", c->data++);
	REFUSED(EINVAL, "a cache at the end of all", c->cache = -8ull);
	REFUSED(EINVAL, "a runtime outside of the text", c->runtime = c->left = KERNEL);
	REFUSED(EINVAL, "one that is too short", c->runtime_len = 64);
	REFUSED(EINVAL, "a place that is not in it", c->left = KERNEL);
	REFUSED(EINVAL, "a flag", c->inline_flags = 2);
	REFUSED(EINVAL, "what is reserved", c->reserved2 = 1);
	REFUSED(E2BIG, "too many stores", c->nr_stores = CHARIOT_MAX_STORES + 1);
	REFUSED(E2BIG, "too many functions", c->nr_functions = CHARIOT_MAX_GATES + 1);
	REFUSED(EFAULT, "stores that are not there", c->stores = 8);
	REFUSED(EFAULT, "a cache that is not mapped", c->cache = NOWHERE);
	memcpy(more, x.d.ranges, sizeof(x.d.ranges));
	more[2] = (struct chariot_range){
		.gva = KERNEL, .len = PAGE, .kind = CHARIOT_RANGE_INHERIT };
	REFUSED(EINVAL, "inherited code", c->ranges = (uintptr_t)more; c->nr_ranges = 3);
	more[2] = (struct chariot_range){
		.gva = INLINE_CACHE - 8, .len = 16, .kind = CHARIOT_RANGE_DATA };
	REFUSED(EINVAL, "data in the cache", c->ranges = (uintptr_t)more; c->nr_ranges = 3);
	x.stores[1].ret = x.stores[0].ret;
	REFUSED(EINVAL, "stores out of order", );
	ok(vm_info(h).state == CHARIOT_VM_PLAIN && writes(&x, OBJECT), "nothing has come of it");
	end(&x);
}
