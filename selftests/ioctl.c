// SPDX-License-Identifier: GPL-2.0
/*
 * ioctl PID: what the ioctls of /dev/chariot do with bad input, on the VM of
 * process PID.  TAP.  Nothing of this may change the VM or trouble the kernel.
 */
#include <chariot.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int nr, failed;

#define ok(cond, ...) do {						\
	int good = !!(cond);						\
	printf("%sok %d - ", good ? "" : "not ", ++nr);			\
	printf(__VA_ARGS__);						\
	if (!good)							\
		printf(" (errno %s)", strerror(errno));			\
	printf("\n");							\
	failed += !good;						\
} while (0)

/* Every call on a handle, with its known flags and an argument it accepts. */
static struct call {
	const char *name;
	unsigned long cmd;
	unsigned int flags;
	unsigned int size;
} calls[] = {
#define C(name, flags, type) { #name, name, flags, sizeof(struct type) }
	C(CHARIOT_VM_INFO, 0, chariot_vm_info),
	C(CHARIOT_MEM, CHARIOT_MEM_WRITE, chariot_mem),
	C(CHARIOT_WATCH, CHARIOT_WATCH_KERNEL | CHARIOT_WATCH_LOAD,
	  chariot_watch),
	C(CHARIOT_CONTINUE, 0, chariot_continue),
	C(CHARIOT_RESET, 0, chariot_reset),
	C(CHARIOT_POST, 0, chariot_post),
	C(CHARIOT_DOMAIN_CREATE, CHARIOT_DOMAIN_FAST, chariot_domain_create),
	C(CHARIOT_DOMAIN_DROP, 0, chariot_domain_op),
	C(CHARIOT_DOMAIN_SET, 0, chariot_domain_op),
	C(CHARIOT_DOMAIN_INFO, 0, chariot_domain_info),
	C(CHARIOT_GRANT, CHARIOT_GRANT_REVOKE, chariot_grant),
	C(CHARIOT_ACT_READ, 0, chariot_act_read),
	C(CHARIOT_STATS, 0, chariot_stats),
#undef C
};
#define NR_CALLS (sizeof(calls) / sizeof(*calls))

union any {
	struct {
		__u32 argsz, flags;
	};
	char bytes[4096];
};

static int fails(int fd, unsigned long cmd, void *arg, int err)
{
	errno = 0;
	return ioctl(fd, cmd, arg) == -1 && errno == err;
}

static void test_argsz(int fd, const struct call *c)
{
	union any a = { .argsz = c->size - 1 };

	ok(fails(fd, c->cmd, &a, EINVAL), "%s: argsz too small", c->name);
	memset(&a, 0, sizeof(a));
	ok(fails(fd, c->cmd, &a, EINVAL), "%s: argsz 0", c->name);
	ok(fails(fd, c->cmd, NULL, EFAULT), "%s: null pointer", c->name);
	ok(fails(fd, c->cmd, (void *)0xffff800000000000ul, EFAULT),
	   "%s: kernel pointer", c->name);
}

static void test_flags(int fd, const struct call *c)
{
	union any a;
	int bit, bad = 0;

	for (bit = 0; bit < 32; bit++) {
		if (c->flags & 1u << bit)
			continue;
		memset(&a, 0, sizeof(a));
		a.argsz = c->size;
		a.flags = 1u << bit;
		bad += !fails(fd, c->cmd, &a, EINVAL);
	}
	ok(!bad, "%s: every unknown flag is refused", c->name);
}

/* All members 0xff: nothing of it is a sensible request. */
static void test_ones(int fd, const struct call *c)
{
	union any a;
	int r;

	memset(&a, 0xff, sizeof(a));
	a.argsz = c->size;
	a.flags = 0;
	r = ioctl(fd, c->cmd, &a);
	if (c->cmd == CHARIOT_VM_INFO || c->cmd == CHARIOT_RESET)
		ok(!r, "%s: only out members", c->name);
	else
		ok(r == -1, "%s: nonsense is refused", c->name);
}

static void test_device(int dev)
{
	struct chariot_info i = { .argsz = sizeof(i) };
	struct chariot_attach a = { .argsz = sizeof(a), .vm_fd = 0 };
	int null = open("/dev/null", O_RDONLY);

	ok(!ioctl(dev, CHARIOT_INFO, &i) &&
	   i.api_version == CHARIOT_API_VERSION && i.max_domains >= 3 &&
	   (i.caps & (CHARIOT_CAP_NPT | CHARIOT_CAP_EPT | CHARIOT_CAP_SHADOW)),
	   "info: %u domains, caps %llx", i.max_domains,
	   (unsigned long long)i.caps);
	i.flags = 1;
	ok(fails(dev, CHARIOT_INFO, &i, EINVAL), "info: flag");
	a.vm_fd = null;
	ok(fails(dev, CHARIOT_ATTACH, &a, ENOTTY), "attach: not a VM");
	a.vm_fd = dev;
	ok(fails(dev, CHARIOT_ATTACH, &a, ENOTTY), "attach: our own device");
	a.vm_fd = -1;
	ok(fails(dev, CHARIOT_ATTACH, &a, EBADF), "attach: fd -1");
	a.vm_fd = 1 << 30;
	ok(fails(dev, CHARIOT_ATTACH, &a, EBADF), "attach: fd not open");
	a.vm_fd = null;
	a.reserved = 1;
	ok(fails(dev, CHARIOT_ATTACH, &a, EINVAL), "attach: reserved");
	ok(fails(dev, _IO(CHARIOT_IOC, 0x7f), NULL, ENOTTY),
	   "device: unknown call");
	ok(fails(dev, CHARIOT_VM_INFO, NULL, ENOTTY),
	   "device: a call of handles");
	close(null);
}

static void test_domain_calls(int fd)
{
	struct chariot_domain_op op = { .argsz = sizeof(op) };
	struct chariot_stats st = { .argsz = sizeof(st) };
	__u32 bad[] = { 0, 1, 31, 32, 33, 1000, ~0u };
	int r = 0;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		op.domain = bad[i];
		r += !fails(fd, CHARIOT_DOMAIN_DROP, &op, ENOENT);
		r += !fails(fd, CHARIOT_DOMAIN_SET, &op, ENOENT);
	}
	ok(!r, "domains that do not exist");
	ok(!ioctl(fd, CHARIOT_STATS, &st) && !st.entries, "stats of the VM");
}

static void test_create(int fd)
{
	static struct chariot_range ranges[CHARIOT_MAX_RANGES + 1];
	struct chariot_domain_create c;
	struct chariot_range one = { .gva = 0x1000, .len = 0x1000 };
	struct chariot_gate gates[2] = { { .gva = 2 }, { .gva = 1 } };
	struct chariot_op op = { .op = CHARIOT_NR_OPS };
	struct chariot_lock locks[2] = {
		{ .gva = 0xffffffff81000001ull }, { .gva = 0xffffffff81000001ull },
	};
	struct chariot_stand_in stand_in = { .fn = 1 };

#define CREATE(err, what, ...) do {					\
	c = (struct chariot_domain_create){				\
		.argsz = sizeof(c), .name = "x", __VA_ARGS__ };		\
	ok(fails(fd, CHARIOT_DOMAIN_CREATE, &c, err), "create: " what);	\
} while (0)
	CREATE(EINVAL, "no name", .name = "");
	CREATE(EINVAL, "bad verdict", .verdict = CHARIOT_NR_VERDICTS);
	CREATE(EOPNOTSUPP, "recover without means", .verdict = CHARIOT_VERDICT_RECOVER);
#define TRAP	0xffffffff81000000ull
	CREATE(EINVAL, "recover: trap in user space", .recover.trap = 0x1000);
	CREATE(EINVAL, "recover: no trap", .recover.hold = TRAP);
	CREATE(EINVAL, "recover: unknown flag", .recover = {
	       .trap = TRAP, .flags = 2 });
	CREATE(EINVAL, "recover: restart in user space", .recover = {
	       .trap = TRAP, .restart.fn = 1 });
	CREATE(E2BIG, "recover: 16 stand-ins", .recover = {
	       .trap = TRAP, .nr_stand_ins = 16 });
	CREATE(E2BIG, "recover: too many locks", .recover = {
	       .trap = TRAP, .nr_locks = CHARIOT_MAX_LOCKS + 1 });
	CREATE(EFAULT, "recover: locks at NULL", .recover = {
	       .trap = TRAP, .nr_locks = 1 });
	CREATE(EINVAL, "recover: locks out of order", .recover = {
	       .trap = TRAP, .nr_locks = 2,
	       .locks = (__u64)(unsigned long)locks });
	locks[1].gva = TRAP + 2;
	locks[1].arg[0] = 8;
	CREATE(EINVAL, "recover: argument 8", .recover = {
	       .trap = TRAP, .nr_locks = 2,
	       .locks = (__u64)(unsigned long)locks });
	CREATE(EINVAL, "recover: stand-in in user space", .recover = {
	       .trap = TRAP, .nr_stand_ins = 1,
	       .stand_ins = (__u64)(unsigned long)&stand_in });
	CREATE(ENOEXEC, "recover: no hypercall at the trap", .recover.trap = TRAP);
	CREATE(EINVAL, "more rules than ops", .nr_rules = 1);
	CREATE(EINVAL, "reserved of the kernel", .kernel.reserved[1] = 1);
	CREATE(E2BIG, "too many ranges", .nr_ranges = CHARIOT_MAX_RANGES + 1,
	       .ranges = (__u64)(unsigned long)ranges);
	CREATE(E2BIG, "~0 gates", .nr_gates = ~0u);
	CREATE(EFAULT, "table at NULL", .nr_ranges = 1);
	CREATE(EFAULT, "table in the kernel", .nr_gates = 1,
	       .gates = 0xffffffff81000000ull);
	CREATE(EFAULT, "text that is not mapped", .nr_ranges = 1,
	       .ranges = (__u64)(unsigned long)&one);
	one.len = 0x800;
	CREATE(EINVAL, "text that is no whole page", .nr_ranges = 1,
	       .ranges = (__u64)(unsigned long)&one);
	one = (struct chariot_range){ .gva = ~0ull - 10, .len = 0x1000,
				      .kind = CHARIOT_RANGE_DATA };
	CREATE(EINVAL, "range that wraps", .nr_ranges = 1,
	       .ranges = (__u64)(unsigned long)&one);
	one = (struct chariot_range){ .gva = 0x1000, .len = 1,
				      .kind = CHARIOT_NR_RANGE_KINDS };
	CREATE(EINVAL, "unknown kind", .nr_ranges = 1,
	       .ranges = (__u64)(unsigned long)&one);
	CREATE(EINVAL, "gates out of order", .nr_gates = 2,
	       .gates = (__u64)(unsigned long)gates);
	for (int i = 0; i < 3; i++)
		ranges[i] = (struct chariot_range){
			.gva = 0x1000 + ((__u64)i << 30), .len = 1 << 29,
			.kind = CHARIOT_RANGE_INTR };
	CREATE(E2BIG, "ranges of more than 1 GiB together", .nr_ranges = 3,
	       .ranges = (__u64)(unsigned long)ranges);
	CREATE(EINVAL, "a stack of 1 GiB", .kernel.stack_size = 1 << 30);
	gates[0].nr_ops = 1;
	CREATE(EINVAL, "ops out of the table", .nr_gates = 1,
	       .gates = (__u64)(unsigned long)gates);
	CREATE(EINVAL, "unknown op", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .base = CHARIOT_CURRENT + 1 };
	CREATE(EINVAL, "op with no such value", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_WALK, .sub = 2 };
	CREATE(EINVAL, "walk with ops out of the table", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_WALK, .sub = 1,
				  .nr_sub = 0xffff };
	CREATE(EINVAL, "walk with too many ops", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .stride = 1 };
	CREATE(EINVAL, "stride of a grant", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .len_kind = CHARIOT_LEN_LIST };
	CREATE(EINVAL, "list of a grant", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_REVOKE,
				  .base = CHARIOT_CURRENT };
	CREATE(EINVAL, "rule that revokes", .nr_ops = 1, .nr_rules = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .len_kind = CHARIOT_LEN_FIELD, .len_b = 3 };
	CREATE(EINVAL, "op with a field of 3 bytes", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .phase = CHARIOT_NR_PHASES };
	CREATE(EINVAL, "op in an unknown phase", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_REVOKE,
				  .phase = CHARIOT_PHASE_CALLBACK };
	CREATE(EINVAL, "revoke in a callback", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_REVOKE, .len_add = 8,
				  .phase = CHARIOT_PHASE_POST };
	CREATE(EINVAL, "revoke of a length after the call", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_CHECK,
				  .phase = CHARIOT_PHASE_POST };
	CREATE(EINVAL, "check after the call", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_CHECK,
				  .len_kind = CHARIOT_LEN_FIELD_SUM,
				  .len_b = 4 };
	CREATE(EINVAL, "check of a length of two members", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_CHECK, .deref[1] = CHARIOT_RET,
				  .flags = CHARIOT_CHECK_IN(6) };
	CREATE(EINVAL, "check in no argument", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	CREATE(EINVAL, "defer too much", .defer = CHARIOT_MAX_DEFER + 1);
	CREATE(EINVAL, "an unknown flag", .flags = CHARIOT_DOMAIN_FAST << 1);
	op = (struct chariot_op){ .len_mul = CHARIOT_MAX_OBJECT + 1 };
	CREATE(EINVAL, "op with too large a factor", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
#undef CREATE
}

static void test_mem(int fd)
{
	char buf[16] = "untouched";
	struct chariot_mem m = {
		.argsz = sizeof(m), .gpa = 0xf0000, .len = 16,
		.buf = (__u64)(unsigned long)buf,
	};

	ok(!ioctl(fd, CHARIOT_MEM, &m) && strcmp(buf, "untouched"),
	   "mem: read the BIOS");
	m.gpa = 1ull << 50;
	ok(fails(fd, CHARIOT_MEM, &m, EFAULT), "mem: no memory there");
	m.gpa = ~0ull - 4;
	ok(fails(fd, CHARIOT_MEM, &m, EINVAL), "mem: wraps");
	m.gpa = 0;
	m.len = CHARIOT_MEM_MAX + 1ull;
	ok(fails(fd, CHARIOT_MEM, &m, EINVAL), "mem: too long");
	m.len = 16;
	m.buf = 0;
	ok(fails(fd, CHARIOT_MEM, &m, EFAULT), "mem: no buffer");
}

static void test_watch(int fd, int fd2)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = CHARIOT_WATCH_LOAD,
		.timeout_ms = 1000, .load_gva = 0xffffffff81000000ull,
	};
	struct chariot_continue c = { .argsz = sizeof(c), .seq = 12345 };

	ok(fails(fd, CHARIOT_WATCH, &w, EFAULT), "watch: not mapped");
	w.timeout_ms = 0;
	ok(fails(fd, CHARIOT_WATCH, &w, EINVAL), "watch: no timeout");
	w.timeout_ms = 600001;
	ok(fails(fd, CHARIOT_WATCH, &w, EINVAL), "watch: endless");
	w.timeout_ms = 1000;
	w.reserved = 1;
	ok(fails(fd, CHARIOT_WATCH, &w, EINVAL), "watch: reserved");
	ok(fails(fd, CHARIOT_CONTINUE, &c, ENOENT), "continue: no such event");
	c.seq = 0;
	ok(fails(fd, CHARIOT_CONTINUE, &c, ENOENT), "continue: event 0");
	(void)fd2;
}

static void test_events(int fd, int fd2)
{
	struct chariot_post p = {
		.argsz = sizeof(p), .what = CHARIOT_REQUEST_ISOLATE,
		.name = "hello",
	};
	struct pollfd pfd = { .fd = fd2, .events = POLLIN };
	struct chariot_event ev;
	char small[8];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd2, F_SETFL, O_NONBLOCK);
	ok(read(fd2, small, sizeof(small)) == -1 && errno == EINVAL,
	   "read: too small");
	while (read(fd2, &ev, sizeof(ev)) > 0)
		;
	ok(errno == EAGAIN && poll(&pfd, 1, 0) == 0, "read: nothing there");
	ok(!ioctl(fd, CHARIOT_POST, &p) && poll(&pfd, 1, 1000) == 1 &&
	   read(fd2, &ev, sizeof(ev)) == sizeof(ev) &&
	   ev.type == CHARIOT_EV_REQUEST && !strcmp(ev.u.request.name, "hello"),
	   "post: the other handle has it");
	ok(read(fd2, (void *)8, sizeof(ev)) == -1, "read: bad pointer");
	p.what = CHARIOT_NR_REQUESTS;
	ok(fails(fd, CHARIOT_POST, &p, EINVAL), "post: unknown request");
	p.what = 0;
	memset(p.name, 'a', sizeof(p.name));
	ok(fails(fd, CHARIOT_POST, &p, EINVAL), "post: endless name");
	strcpy(p.name, "flood");
	for (int i = 0; i < 1000; i++)
		ioctl(fd, CHARIOT_POST, &p);
	struct chariot_vm_info vi = { .argsz = sizeof(vi) };
	ok(!ioctl(fd2, CHARIOT_VM_INFO, &vi) && vi.events_lost > 500,
	   "a slow reader loses events, and knows: %llu",
	   (unsigned long long)vi.events_lost);
}

static int storm_fd;

/* Random calls with random bytes, from two threads at once. */
static void *storm(void *arg)
{
	unsigned int seed = (unsigned long)arg;
	union any a;

	for (int i = 0; i < 3000; i++) {
		struct call *c = &calls[rand_r(&seed) % NR_CALLS];

		for (unsigned int j = 0; j < c->size; j++)
			a.bytes[j] = rand_r(&seed) % 4 ? 0 : rand_r(&seed);
		a.argsz = c->size;
		a.flags &= c->flags;
		/* Memory of a running guest is not for random writes. */
		if (c->cmd == CHARIOT_MEM)
			a.flags = 0;
		ioctl(storm_fd, c->cmd, &a);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct chariot_vm *vm, *vm2;
	pthread_t t[2];
	int fd, fd2;

	if (argc != 2)
		return 2;
	test_device(open("/dev/chariot", O_RDWR));
	vm = chariot_vm__attach_pid(atoi(argv[1]));
	vm2 = chariot_vm__attach_pid(atoi(argv[1]));
	ok(vm && vm2, "two handles on one VM");
	if (!vm || !vm2)
		return 1;
	fd = chariot_vm__fd(vm);
	fd2 = chariot_vm__fd(vm2);
	for (unsigned int i = 0; i < NR_CALLS; i++) {
		test_argsz(fd, &calls[i]);
		test_flags(fd, &calls[i]);
		test_ones(fd, &calls[i]);
	}
	ok(fails(fd, _IO(CHARIOT_IOC, 0x7f), NULL, ENOTTY),
	   "handle: unknown call");
	test_domain_calls(fd);
	test_create(fd);
	test_mem(fd);
	test_watch(fd, fd2);
	test_events(fd, fd2);
	storm_fd = fd;
	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, storm, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ok(1, "6000 random calls from two threads");
	chariot_vm__free(vm);
	chariot_vm__free(vm2);
	printf("1..%d\n", nr);
	return failed != 0;
}
