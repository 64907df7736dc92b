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
#include <stdbool.h>
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
	C(CHARIOT_WATCH, CHARIOT_WATCH_KERNEL | CHARIOT_WATCH_LOAD |
	  CHARIOT_WATCH_ASK | CHARIOT_WATCH_IMAGE,
	  chariot_watch),
	C(CHARIOT_CONTINUE, CHARIOT_CONTINUE_NEVER | CHARIOT_CONTINUE_RETURN,
	  chariot_continue),
	C(CHARIOT_CALL, 0, chariot_call_guest),
	C(CHARIOT_RESET, 0, chariot_reset),
	C(CHARIOT_POST, 0, chariot_post),
	C(CHARIOT_DOMAIN_CREATE, 0, chariot_domain_create),
	C(CHARIOT_DOMAIN_DROP, 0, chariot_domain_op),
	C(CHARIOT_DOMAIN_SET, 0, chariot_domain_op),
	C(CHARIOT_DOMAIN_INFO, 0, chariot_domain_info),
	C(CHARIOT_GRANT, CHARIOT_GRANT_REVOKE, chariot_grant),
	C(CHARIOT_ACT_READ, 0, chariot_act_read),
	C(CHARIOT_STATS, 0, chariot_stats),
	C(CHARIOT_DOMAIN_ADD, 0, chariot_domain_create),
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

static unsigned int first_size(unsigned long cmd);

static void test_argsz(int fd, const struct call *c)
{
	union any a = { .argsz = first_size(c->cmd) - 1 };

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

/* ---- structures that are older or newer than the module's ---------------- */

/* More than any argsz that is allowed. */
union shaped {
	struct {
		__u32 argsz, flags;
	};
	struct chariot_attach attach;
	struct chariot_mem mem;
	struct chariot_post post;
	struct chariot_domain_create create;
	struct chariot_domain_op domain;
	struct chariot_domain_info domain_info;
	struct chariot_grant grant;
	struct chariot_act_read act_read;
	unsigned char bytes[8192];
};

static char bios[16];

static void fill_attach(union shaped *a)
{
	a->attach.vm_fd = -1;
}

static void fill_mem(union shaped *a)
{
	a->mem.gpa = 0xf0000;
	a->mem.len = sizeof(bios);
	a->mem.buf = (__u64)(unsigned long)bios;
}

static void fill_post(union shaped *a)
{
	a->post.what = CHARIOT_REQUEST_ISOLATE;
	strcpy(a->post.name, "shape");
}

static void fill_create(union shaped *a)
{
	strcpy(a->create.name, "shape");
	a->create.verdict = CHARIOT_VERDICT_RECOVER;	/* without means */
}

static void fill_add(union shaped *a)
{
	strcpy(a->create.name, "shape");
	strcpy(a->create.module, "shape");
	a->create.domain = 5;
}

static void fill_domain(union shaped *a)
{
	a->domain.domain = 5;
}

static void fill_grant(union shaped *a)
{
	a->grant.domain = 5;
	a->grant.source = CHARIOT_SRC_RULE;
}

/*
 * Every call, with an argument that it understands to its end: @err is what it
 * says of that, and no error is of the argument's size.  @first, of version 3 as it
 * was published, never changes.
 */
static const struct shape {
	const char *name;
	unsigned long cmd;
	unsigned int first, size;
	int err;
	void (*fill)(union shaped *a);
	bool tells;			/* it has something to tell of any VM */
} shapes[] = {
#define S(name, type, first, ...)					\
	{ #name, CHARIOT_##name, first, sizeof(struct type), __VA_ARGS__ }
	S(INFO, chariot_info, 32, 0, NULL, true),
	S(ATTACH, chariot_attach, 16, EBADF, fill_attach, false),
	S(VM_INFO, chariot_vm_info, 64, 0, NULL, true),
	S(MEM, chariot_mem, 32, 0, fill_mem, false),
	S(WATCH, chariot_watch, 40, 0, NULL, false),
	S(CONTINUE, chariot_continue, 16, ENOENT, NULL, false),
	S(CALL, chariot_call_guest, 80, ENOENT, NULL, false),
	S(RESET, chariot_reset, 8, 0, NULL, false),
	S(POST, chariot_post, 72, 0, fill_post, false),
	S(AUDIT, chariot_audit, 48, 0, NULL, false),
	S(DOMAIN_CREATE, chariot_domain_create, 608, EOPNOTSUPP,
	  fill_create, false),
	S(DOMAIN_DROP, chariot_domain_op, 16, ENOENT, fill_domain, false),
	S(DOMAIN_SET, chariot_domain_op, 16, ENOENT, fill_domain, false),
	S(DOMAIN_INFO, chariot_domain_info, 160, ENOENT, fill_domain, false),
	S(GRANT, chariot_grant, 32, ENOENT, fill_grant, false),
	S(ACT_READ, chariot_act_read, 32, ENOENT, fill_domain, false),
	S(STATS, chariot_stats, 240, 0, NULL, false),
	S(DOMAIN_ADD, chariot_domain_create, 672, ENOENT, fill_add, false),
#undef S
};
#define NR_SHAPES (sizeof(shapes) / sizeof(*shapes))

static unsigned int first_size(unsigned long cmd)
{
	for (unsigned int i = 0; i < NR_SHAPES; i++)
		if (shapes[i].cmd == cmd)
			return shapes[i].first;
	return 0;
}

#define MORE	64		/* bytes that a newer structure has behind */
#define CANARY	0xa5

static void shape(const struct shape *s, union shaped *a, unsigned int argsz)
{
	memset(a, CANARY, sizeof(*a));
	memset(a, 0, argsz);
	if (s->fill)
		s->fill(a);
	a->argsz = argsz;
}

static bool all(const unsigned char *p, size_t len, unsigned char byte)
{
	while (len && *p == byte) {
		p++;
		len--;
	}
	return !len;
}

/* The call does what it always does, and with no byte but the structure's. */
static bool as_usual(int fd, const struct shape *s, unsigned int argsz)
{
	unsigned int known = argsz < s->size ? argsz : s->size;
	union shaped a;
	int r;

	shape(s, &a, argsz);
	errno = 0;
	r = ioctl(fd, s->cmd, &a);
	if (s->err ? r != -1 || errno != s->err : r)
		return false;
	return a.argsz == argsz &&
	       (!s->tells || !all(a.bytes + 8, s->first - 8, 0)) &&
	       all(a.bytes + known, argsz - known, 0) &&
	       all(a.bytes + argsz, sizeof(a) - argsz, CANARY);
}

/* It fails, and writes nothing. */
static bool refused(int fd, const struct shape *s, union shaped *a, int err)
{
	union shaped before = *a;

	return fails(fd, s->cmd, a, err) && !memcmp(a, &before, sizeof(before));
}

static void test_shape(int fd, const struct shape *s)
{
	const unsigned int odd[] = { s->size, s->size + MORE - 1 };
	const unsigned int huge[] = { 4097, 1u << 31, ~0u };
	union shaped a;
	int bad = 0;

	shape(s, &a, s->first - 1);
	ok(refused(fd, s, &a, EINVAL), "%s: %u bytes are too few", s->name,
	   s->first - 1);
	ok(as_usual(fd, s, s->first), "%s: %u bytes, of a program of version 3's first days",
	   s->name, s->first);
	ok(as_usual(fd, s, s->size), "%s: %u bytes, of today", s->name, s->size);
	ok(as_usual(fd, s, s->size + MORE), "%s: %u bytes, of a newer program",
	   s->name, s->size + MORE);
	ok(as_usual(fd, s, 4096), "%s: 4096 bytes, the most", s->name);
	for (unsigned int i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		shape(s, &a, s->size + MORE);
		a.bytes[odd[i]] = 1;
		bad += !refused(fd, s, &a, E2BIG);
	}
	ok(!bad, "%s: a newer program wants what is not known here", s->name);
	bad = 0;
	for (unsigned int i = 0; i < sizeof(huge) / sizeof(*huge); i++) {
		shape(s, &a, 4096);
		a.argsz = huge[i];
		bad += !refused(fd, s, &a, E2BIG);
	}
	ok(!bad, "%s: more than a page", s->name);
}

/* What is refused for its size is not done: no event comes. */
static void test_shape_of_post(int fd, int fd2)
{
	struct pollfd pfd = { .fd = fd2, .events = POLLIN };
	struct chariot_event ev;
	union shaped a;

	for (unsigned int i = 0; i < NR_SHAPES; i++) {
		if (shapes[i].cmd != CHARIOT_POST)
			continue;
		while (poll(&pfd, 1, 0) > 0 && read(fd2, &ev, sizeof(ev)) > 0)
			;
		shape(&shapes[i], &a, shapes[i].size + 8);
		a.bytes[shapes[i].size] = 1;
		ok(refused(fd, &shapes[i], &a, E2BIG) && !poll(&pfd, 1, 0),
		   "POST: what is refused is not posted");
		a.bytes[shapes[i].size] = 0;
		ok(!ioctl(fd, CHARIOT_POST, &a) && poll(&pfd, 1, 0) == 1,
		   "POST: and without that it is");
	}
}

/* Of version 2, whose numbers had a size. */
static void test_old_numbers(int dev, int fd)
{
	union shaped a = { .argsz = sizeof(struct chariot_info) };

	ok(fails(dev, _IOWR(CHARIOT_IOC, 0, struct chariot_info), &a, ENOTTY),
	   "device: a number of version 2");
	a.argsz = sizeof(struct chariot_vm_info);
	ok(fails(fd, _IOWR(CHARIOT_IOC, 0x10, struct chariot_vm_info), &a, ENOTTY),
	   "handle: a number of version 2");
}

static void test_shapes(int dev, int fd, int fd2)
{
	for (unsigned int i = 0; i < NR_SHAPES; i++) {
		const struct shape *s = &shapes[i];

		test_shape(s->cmd == CHARIOT_INFO || s->cmd == CHARIOT_ATTACH ?
			   dev : fd, s);
	}
	test_shape_of_post(fd, fd2);
	test_old_numbers(dev, fd);
}

/* ---- what is in them ------------------------------------------------------ */

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
	op = (struct chariot_op){ .op = CHARIOT_OP_REVOKE,
				  .flags = CHARIOT_REVOKE_FREE,
				  .phase = CHARIOT_PHASE_POST };
	CREATE(EINVAL, "free after the call", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_REVOKE,
				  .flags = CHARIOT_REVOKE_FREE,
				  .map = CHARIOT_MAP_PERCPU };
	CREATE(EINVAL, "free of what each CPU has", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
	op = (struct chariot_op){ .op = CHARIOT_OP_REVOKE, .flags = 2 };
	CREATE(EINVAL, "revoke with an unknown flag", .nr_ops = 1,
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
	CREATE(EINVAL, "the number of a domain", .domain = 1);
	CREATE(EINVAL, "reserved", .reserved = 1);
	CREATE(EINVAL, "an endless name of a module",
	       .module = { [0 ... CHARIOT_NAME_LEN - 1] = 'a' });
	CREATE(EINVAL, "an unknown flag", .flags = 1);
	CREATE(EINVAL, "an unknown mode", .mode = CHARIOT_NR_MODES);
	op = (struct chariot_op){ .len_mul = CHARIOT_MAX_OBJECT + 1 };
	CREATE(EINVAL, "op with too large a factor", .nr_ops = 1,
	       .ops = (__u64)(unsigned long)&op);
#undef CREATE
}

/* A further module: what is wrong with its tables is told before who it is for. */
static void test_add(int fd)
{
	struct chariot_domain_create c;
	struct chariot_gate gates[2] = { { .gva = 2 }, { .gva = 1 } };
	struct chariot_op op = { .op = CHARIOT_NR_OPS };
	__u32 bad[] = { 0, 1, 31, 32, 33, 1000, ~0u };
	int r = 0;

#define ADD(err, what, ...) do {					\
	c = (struct chariot_domain_create){				\
		.argsz = sizeof(c), .name = "x", .module = "y",		\
		.domain = 1, __VA_ARGS__ };				\
	ok(fails(fd, CHARIOT_DOMAIN_ADD, &c, err), "add: " what);	\
} while (0)
	ADD(ENOENT, "no such domain", .verdict = CHARIOT_VERDICT_SKIP);
	ADD(EINVAL, "no module", .module = "");
	ADD(EINVAL, "no name", .name = "");
	ADD(EINVAL, "bad verdict", .verdict = CHARIOT_NR_VERDICTS);
	ADD(EINVAL, "reserved", .reserved = 1);
	ADD(EINVAL, "an unknown flag", .flags = 1);
	ADD(EINVAL, "an endless name of a module",
	    .module = { [0 ... CHARIOT_NAME_LEN - 1] = 'a' });
	ADD(EOPNOTSUPP, "recover without means",
	    .verdict = CHARIOT_VERDICT_RECOVER);
	ADD(EINVAL, "recover: no trap", .recover.hold = TRAP);
	ADD(E2BIG, "~0 entries", .nr_entries = ~0u);
	ADD(EFAULT, "table at NULL", .nr_ranges = 1);
	ADD(EINVAL, "gates out of order", .nr_gates = 2,
	    .gates = (__u64)(unsigned long)gates);
	ADD(EINVAL, "unknown op", .nr_ops = 1,
	    .ops = (__u64)(unsigned long)&op);
#undef ADD
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		c = (struct chariot_domain_create){
			.argsz = sizeof(c), .name = "x", .module = "y",
			.domain = bad[i] };
		r += !fails(fd, CHARIOT_DOMAIN_ADD, &c, ENOENT);
	}
	ok(!r, "add: to domains that do not exist");
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

/* Grants by evidence, and what is asked about the vCPU that waits for it. */
static void test_evidence(int fd)
{
	struct chariot_value row[4];
	struct chariot_given q = {
		.argsz = sizeof(q), .nr = 4, .buf = (__u64)(unsigned long)row,
	};
	struct chariot_grant g;

#define GRANT(err, what, ...) do {					\
	g = (struct chariot_grant){ .argsz = sizeof(g), .domain = 1,	\
		.gva = 1ull << 63, .len = 8, __VA_ARGS__ };		\
	ok(fails(fd, CHARIOT_GRANT, &g, err), "grant: " what);		\
} while (0)
	GRANT(EINVAL, "revoke for a call",
	      .flags = CHARIOT_GRANT_REVOKE | CHARIOT_GRANT_CALL, .len = 0);
	GRANT(EINVAL, "for a call, without evidence",
	      .flags = CHARIOT_GRANT_CALL, .source = CHARIOT_SRC_RULE, .seq = 1);
	GRANT(EINVAL, "nothing for a call", .flags = CHARIOT_GRANT_CALL,
	      .source = CHARIOT_SRC_EVIDENCE, .seq = 1, .len = 0);
	GRANT(EINVAL, "an event, and no call", .source = CHARIOT_SRC_EVIDENCE,
	      .seq = 1);
	GRANT(EINVAL, "a rule with a gate", .source = CHARIOT_SRC_RULE, .gate = 1);
	GRANT(ENOENT, "for a call, no such domain", .flags = CHARIOT_GRANT_CALL,
	      .source = CHARIOT_SRC_EVIDENCE, .seq = 1);
#undef GRANT
	ok(fails(fd, CHARIOT_GIVEN, &q, ENOENT), "given: event 0");
	q.seq = 12345;
	ok(fails(fd, CHARIOT_GIVEN, &q, ENOENT), "given: nobody waits for it");
	q.nr = 4097;
	ok(fails(fd, CHARIOT_GIVEN, &q, EINVAL), "given: too many rows");
	q.nr = 4;
	q.reserved = 1;
	ok(fails(fd, CHARIOT_GIVEN, &q, EINVAL), "given: reserved");
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
	int dev, fd, fd2;

	if (argc != 2)
		return 2;
	dev = open("/dev/chariot", O_RDWR);
	test_device(dev);
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
	test_shapes(dev, fd, fd2);
	test_domain_calls(fd);
	test_create(fd);
	test_add(fd);
	test_mem(fd);
	test_evidence(fd);
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
