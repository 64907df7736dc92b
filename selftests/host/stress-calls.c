// SPDX-License-Identifier: GPL-2.0
/*
 * The calls: each ioctl of /dev/chariot and of its handles with an argument that
 * is right, nearly right, or of random bits; and what its VMM does to a VM.
 *
 * What is called depends on the random numbers alone, and not on what earlier
 * calls returned.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

union any {
	struct {
		__u32 argsz, flags;
	};
	struct chariot_info info;
	struct chariot_attach attach;
	struct chariot_vm_info vm_info;
	struct chariot_mem mem;
	struct chariot_watch watch;
	struct chariot_continue cont;
	struct chariot_call_guest call;
	struct chariot_reset reset;
	struct chariot_post post;
	struct chariot_domain_create create;
	struct chariot_domain_op domain;
	struct chariot_domain_info domain_info;
	struct chariot_grant grant;
	struct chariot_act_read act_read;
	struct chariot_given given;
	struct chariot_stats stats;
	struct chariot_audit audit;
	char bytes[8192];		/* more than any @argsz that is allowed */
	uint64_t words[1024];
};

/* ---- values ------------------------------------------------------------- */

static uint64_t some_pointer(struct world *w, struct rng *r)
{
	switch (below(r, 16)) {
	case 0:
		return 0;
	case 1:
		return 0xffff888000000000ull + below(r, 1 << 20);
	case 2:
		return BUFS_AT + BUF_SIZE - below(r, 64);	/* its end */
	case 3:
	case 4:
		return (uintptr_t)w->late.at + below(r, w->late.len);
	default:
		return BUFS_AT + BUF_SIZE / 2 + 8 * below(r, 4096);
	}
}

static uint64_t some_gva(struct rng *r)
{
	static const uint64_t places[] = {
		DRIVER, DRIVER2, FUNC, KERNEL, INTR, OBJECT, STACK, LATE,
		PML4, NOWHERE, 3ull << 30, GUEST_MEM, 256ull << 20,
	};

	if (one_in(r, 8))
		return rng64(r);
	return places[below(r, sizeof(places) / sizeof(*places))] +
	       (one_in(r, 2) ? 0 : below(r, 2 * PAGE));
}

/* A GiB is walked page by page: seldom. */
static uint64_t some_len(struct rng *r)
{
	switch (below(r, 16)) {
	case 0:
		return rng64(r);
	case 1:
		return below(r, one_in(r, 16) ? GUEST_MEM : 64 * PAGE);
	case 2:
		return 0;
	default:
		return 1 + below(r, 2 * PAGE);
	}
}

static uint32_t some_flags(struct rng *r, uint32_t known)
{
	return one_in(r, 16) ? 1u << below(r, 32) : rng64(r) & known;
}

static void some_name(struct rng *r, char *name)
{
	unsigned int i, len = one_in(r, 16) ? CHARIOT_NAME_LEN : below(r, 12);

	for (i = 0; i < len; i++)
		name[i] = one_in(r, 32) ? rng64(r) : 'a' + below(r, 26);
}

static uint32_t some_domain(struct rng *r)
{
	switch (below(r, 16)) {
	case 0:
		return rng64(r);
	case 1:
		return below(r, 6);
	default:
		return 1 + below(r, 2);
	}
}

/* ---- arguments that are right -------------------------------------------- */

static void fill_attach(struct world *w, struct rng *r, union any *a)
{
	a->attach.vm_fd = one_in(r, 16) ? (int)below(r, 64) - 1 :
					  w->vm[below(r, NR_VMS)].fd;
}

static void fill_mem(struct world *w, struct rng *r, union any *a)
{
	a->flags = some_flags(r, CHARIOT_MEM_WRITE);
	/* Its page tables and code are changed elsewhere. */
	a->mem.gpa = a->flags ? OBJECT + below(r, 64 * PAGE) : some_gva(r);
	a->mem.len = some_len(r) % (BUF_SIZE / 4);
	a->mem.buf = some_pointer(w, r);
}

static void fill_watch(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->flags = some_flags(r, CHARIOT_WATCH_KERNEL | CHARIOT_WATCH_LOAD |
				 CHARIOT_WATCH_ASK | CHARIOT_WATCH_IMAGE);
	a->watch.timeout_ms = one_in(r, 8) ? rng64(r) : 1 + below(r, 100);
	a->watch.load_gva = some_gva(r);
	if (a->flags & CHARIOT_WATCH_IMAGE)
		a->watch.image_gva = some_gva(r), a->watch.image_site = some_gva(r);
	a->watch.cr3 = PML4;
	a->watch.cr4 = 0x20;
}

static void fill_continue(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->cont.seq = below(r, 300);
	a->flags = one_in(r, 2) ? 0 : some_flags(r, CHARIOT_CONTINUE_RETURN);
	if (a->flags & CHARIOT_CONTINUE_RETURN)
		a->cont.value = some_gva(r);
}

static void fill_call(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->call.seq = below(r, 300);
	a->call.call.fn = some_gva(r);
	a->call.cookie = rng64(r);
}

static void fill_post(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->post.what = below(r, CHARIOT_NR_REQUESTS + 1);
	some_name(r, a->post.name);
}

static void fill_domain(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->domain.domain = some_domain(r);
	a->domain.verdict = below(r, CHARIOT_NR_VERDICTS + 1);
}

static void fill_drop(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->domain.domain = some_domain(r);
}

static void fill_domain_info(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->domain_info.domain = some_domain(r);
}

static void fill_grant(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->flags = one_in(r, 3) ? CHARIOT_GRANT_REVOKE :
				  some_flags(r, CHARIOT_GRANT_CALL);
	a->grant.domain = some_domain(r);
	a->grant.source = one_in(r, 8) ? below(r, 16) : CHARIOT_SRC_RULE;
	a->grant.gva = some_gva(r);
	a->grant.len = a->flags & CHARIOT_GRANT_REVOKE ? 0 : some_len(r);
	if (one_in(r, 3))
		a->grant.source = CHARIOT_SRC_EVIDENCE;
	if (a->flags & CHARIOT_GRANT_CALL)
		a->grant.seq = below(r, 64);
}

/* Rows for nobody: the answer is in how many. */
static void fill_given(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->given.seq = below(r, 64);
	a->given.nr = below(r, 4098);
}

static void fill_act_read(struct world *w, struct rng *r, union any *a)
{
	a->act_read.domain = some_domain(r);
	a->act_read.nr = one_in(r, 16) ? rng64(r) : below(r, 64);
	a->act_read.start = one_in(r, 2) ? 0 : some_gva(r);
	a->act_read.buf = some_pointer(w, r);
}

static void fill_stats(struct world *w, struct rng *r, union any *a)
{
	(void)w;
	a->stats.domain = some_domain(r);
}

/* ---- CREATE: with tables ------------------------------------------------- */

static void fill_op_length(struct rng *r, struct chariot_op *op)
{
	op->len_kind = below(r, CHARIOT_LEN_LIST);
	op->len_add = below(r, 64);
	op->len_mul = below(r, 3);
	op->len_a = below(r, 6);
	op->len_b = below(r, 6);
	if (op->len_kind >= CHARIOT_LEN_FIELD)
		op->len_b = 1u << below(r, 4);
	op->nr_deref = below(r, 2);
}

/* What chariot.h allows; seldom not. */
static void fill_op(struct rng *r, struct chariot_op *op)
{
	*op = (struct chariot_op){
		.op = below(r, CHARIOT_NR_OPS), .phase = below(r, 2),
		.base = below(r, 7),
	};
	fill_op_length(r, op);
	switch (op->op) {
	case CHARIOT_OP_GRANT:
		op->map = below(r, CHARIOT_MAP_OBJECT);
		break;
	case CHARIOT_OP_REVOKE:
		op->map = below(r, CHARIOT_NR_MAPS);
		op->len_kind = op->len_add = 0;
		op->len_b = below(r, 6);
		if (!op->phase && !op->map)
			op->flags = below(r, 2);	/* CHARIOT_REVOKE_FREE */
		break;
	case CHARIOT_OP_CHECK:
		op->phase = CHARIOT_PHASE_PRE;
		op->len_kind = one_in(r, 2) ? CHARIOT_LEN_STRING :
					      CHARIOT_LEN_ARG;
		op->len_b = 0;
		op->deref[1] = below(r, 7);
		break;
	case CHARIOT_OP_WALK:
		op->flags = below(r, 2);
		op->stride = 8 * below(r, 4);
		op->nr_sub = below(r, 4);
		op->sub = below(r, 8);
		break;
	case CHARIOT_OP_REACH:
		op->phase = CHARIOT_PHASE_POST;
		op->nr_sub = below(r, 4);
		op->sub = below(r, 8);
		break;
	}
	if (one_in(r, 256))
		((char *)op)[below(r, sizeof(*op))] = rng64(r);
}

static void fill_tables(struct world *w, struct rng *r,
			struct chariot_domain_create *c, uint64_t text)
{
	char *at = w->buf + below(r, 4) * (BUF_SIZE / 8);
	struct chariot_range *ranges = (void *)at;
	struct chariot_gate *gates = (void *)(at + PAGE);
	struct chariot_op *ops = (void *)(at + 2 * PAGE);
	unsigned int i;

	ranges[0] = (struct chariot_range){
		.gva = text, .len = PAGE, .kind = CHARIOT_RANGE_TEXT };
	ranges[1] = (struct chariot_range){
		.gva = INTR, .len = PAGE, .kind = CHARIOT_RANGE_INTR };
	c->nr_ranges = 2 + below(r, 4);
	/* Pages of which a part is the driver's: each write there is emulated. */
	for (i = 2; i < c->nr_ranges; i++)
		ranges[i] = (struct chariot_range){
			.gva = one_in(r, 16) ? some_gva(r) :
			       LATE + (i - 2) * PAGE + 8,
			.len = 1 + below(r, PAGE),
			.kind = CHARIOT_RANGE_DATA + (one_in(r, 4) ?
				below(r, CHARIOT_NR_RANGE_KINDS -
					 CHARIOT_RANGE_DATA) : 0),
		};
	for (i = 0; i < 16; i++)
		fill_op(r, &ops[i]);
	gates[0] = (struct chariot_gate){ .gva = text, .nr_ops = below(r, 5),
					  .flags = below(r, 8) };
	gates[1] = (struct chariot_gate){ .gva = FUNC, .op = below(r, 8),
					  .nr_ops = below(r, 9) };
	c->nr_ops = 16;
	c->nr_entries = c->nr_gates = 1;
	c->ranges = (uintptr_t)ranges;
	c->entries = (uintptr_t)&gates[0];
	c->gates = (uintptr_t)&gates[1];
	c->ops = (uintptr_t)ops;
}

/* Mode inline; all of the driver's page is its runtime. */
static void fill_image(struct world *w, struct rng *r, struct chariot_domain_create *c,
		       uint64_t text)
{
	char *at = w->buf + below(r, 4) * (BUF_SIZE / 8) + 4 * PAGE;
	struct chariot_store *stores = (void *)at;
	uint64_t *functions = (void *)(at + PAGE);
	unsigned int i;

	for (i = 0; i < 8; i++)
		stores[i] = (struct chariot_store){
			.ret = text + i * 8, .rip = text + i, .skip = some_gva(r),
			.len = 1 + below(r, 64), .pushed = below(r, 4) };
	for (i = 0; i < 4; i++)
		functions[i] = i ? FUNC : some_gva(r);
	c->cache = one_in(r, 16) ? some_gva(r) : one_in(r, 4) ? LATE + 8 * PAGE :
								OBJECT + 16 * PAGE;
	c->cache_lines = one_in(r, 16) ? below(r, 1000) : 64;
	c->data = one_in(r, 16) ? some_gva(r) : OBJECT + 32 * PAGE;
	c->runtime = c->left = text;
	c->runtime_len = PAGE;
	c->stores = one_in(r, 16) ? some_pointer(w, r) : (uintptr_t)stores;
	c->nr_stores = 8;
	c->functions = (uintptr_t)functions;
	c->nr_functions = 4;
	c->inline_flags = below(r, 2);		/* CHARIOT_INLINE_COMPARE */
}

static void fill_module(struct world *w, struct rng *r, union any *a,
			uint64_t text)
{
	struct chariot_domain_create *c = &a->create;

	a->flags = some_flags(r, 0);
	c->mode = below(r, one_in(r, 16) ? CHARIOT_NR_MODES + 1 :
					   CHARIOT_MODE_INLINE + one_in(r, 4));
	strcpy(c->name, "stress");
	c->verdict = one_in(r, 4) ? below(r, CHARIOT_NR_VERDICTS) :
				    CHARIOT_VERDICT_SKIP;
	fill_tables(w, r, c, text);
	if (c->mode == CHARIOT_MODE_INLINE || one_in(r, 64))
		fill_image(w, r, c, text);
	if (one_in(r, 16))
		c->ranges = some_pointer(w, r);
	if (one_in(r, 16))
		c->ops = some_pointer(w, r);
	c->kernel = (struct chariot_kernel){
		.cr3 = one_in(r, 32) ? rng64(r) : PML4, .cr4 = 0x20,
		.percpu_offsets = OBJECT, .nr_cpus = below(r, 4),
		.page_struct_size = 64, .vmemmap_base = OBJECT,
	};
	c->defer = one_in(r, 4) ? below(r, 300) : 0;
	if (one_in(r, 16))
		c->recover.trap = some_gva(r);
}

static void fill_create(struct world *w, struct rng *r, union any *a)
{
	fill_module(w, r, a, one_in(r, 2) ? DRIVER : DRIVER2);
}

/* Further modules, of few names and places: some are there already. */
static void fill_add(struct world *w, struct rng *r, union any *a)
{
	unsigned int nr = below(r, NR_MODULES);

	fill_module(w, r, a, MODULES + nr * PAGE);
	a->create.domain = some_domain(r);
	a->create.module[0] = 'a' + nr;
}

/* ---- what is called ------------------------------------------------------ */

/* A handle, or what was one a moment ago; seldom none. */
static int some_handle(struct world *w, struct rng *r)
{
	unsigned int i = below(r, NR_HANDLES), n;
	int fd = -1;

	for (n = 0; n < NR_HANDLES && fd < 0; n++)
		fd = __atomic_load_n(&w->handle[(i + n) % NR_HANDLES],
				     __ATOMIC_RELAXED);
	return fd;
}

static void put_handle(struct world *w, struct rng *r, int fd)
{
	int old = __atomic_exchange_n(&w->handle[below(r, NR_HANDLES)], fd,
				      __ATOMIC_RELAXED);

	if (old >= 0)
		close(old);
}

static long do_close(struct world *w, struct rng *r)
{
	put_handle(w, r, -1);
	return 0;
}

static long do_read(struct world *w, struct rng *r)
{
	uint64_t len = below(r, 4) * sizeof(struct chariot_event) +
		       below(r, 8);
	long n = read(some_handle(w, r), (void *)some_pointer(w, r), len);

	if (n > 0)
		count(&counts->events);
	return n;
}

static long do_poll(struct world *w, struct rng *r)
{
	struct pollfd p = { .fd = some_handle(w, r), .events = POLLIN };

	return poll(&p, 1, 0);
}

static long do_unknown(struct world *w, struct rng *r)
{
	int fd = one_in(r, 4) ? dev_fd : some_handle(w, r);

	return ioctl(fd, _IOC(below(r, 4), CHARIOT_IOC, below(r, 256),
			      below(r, 1024)), some_pointer(w, r));
}

/* Slot 1 comes, goes, moves and is logged; slot 0 is logged or not. */
static long do_slot(struct world *w, struct rng *r)
{
	struct guest *g = &w->vm[below(r, NR_VMS)];
	uint32_t flags = one_in(r, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	int err;

	switch (below(r, 4)) {
	case 0:
		err = guest_slot(g, 1, 256ull << 20, NULL, 0, 0);
		break;
	case 1:
		err = guest_slot(g, 1, (256ull + 2 * below(r, 3)) << 20,
				 w->extra, 2 * LARGE_PAGE, flags);
		break;
	case 2:
		err = guest_slot(g, 1, 256ull << 20,
				 (char *)w->extra + PAGE * below(r, 3),
				 2 * LARGE_PAGE, KVM_MEM_READONLY * one_in(r, 4));
		break;
	default:
		err = guest_slot(g, 0, 0, g->mem, GUEST_MEM, flags);
	}
	errno = -err;
	return err ? -1 : 0;
}

static long do_dirty_log(struct world *w, struct rng *r)
{
	struct kvm_dirty_log log = {
		.slot = below(r, 2),
		.dirty_bitmap = w->buf + BUF_SIZE - 64 * PAGE,
	};

	return ioctl(w->vm[below(r, NR_VMS)].fd, KVM_GET_DIRTY_LOG, &log);
}

typedef void (*fill_fn)(struct world *w, struct rng *r, union any *a);
typedef long (*do_fn)(struct world *w, struct rng *r);

static const struct call {
	const char *name;
	unsigned int weight;
	unsigned long cmd;
	unsigned int size;
	fill_fn fill;
	do_fn fn;		/* instead */
} calls[] = {
#define C(weight, name, type, fill)					\
	{ #name, weight, CHARIOT_##name, sizeof(struct type), fill, NULL }
#define F(weight, name, fn) { name, weight, 0, 0, NULL, fn }
	C(1, INFO, chariot_info, NULL),
	C(6, ATTACH, chariot_attach, fill_attach),
	C(2, VM_INFO, chariot_vm_info, NULL),
	C(4, MEM, chariot_mem, fill_mem),
	C(3, WATCH, chariot_watch, fill_watch),
	C(3, CONTINUE, chariot_continue, fill_continue),
	C(3, CALL, chariot_call_guest, fill_call),
	C(1, RESET, chariot_reset, NULL),
	C(1, AUDIT, chariot_audit, NULL),
	C(2, POST, chariot_post, fill_post),
	C(9, DOMAIN_CREATE, chariot_domain_create, fill_create),
	C(6, DOMAIN_ADD, chariot_domain_create, fill_add),
	C(2, DOMAIN_DROP, chariot_domain_op, fill_drop),
	C(2, DOMAIN_SET, chariot_domain_op, fill_domain),
	C(2, DOMAIN_INFO, chariot_domain_info, fill_domain_info),
	C(8, GRANT, chariot_grant, fill_grant),
	C(4, ACT_READ, chariot_act_read, fill_act_read),
	C(2, STATS, chariot_stats, fill_stats),
	C(3, GIVEN, chariot_given, fill_given),
	F(1, "close", do_close),
	F(4, "read", do_read),
	F(1, "poll", do_poll),
	F(1, "an unknown ioctl", do_unknown),
	F(3, "KVM_SET_USER_MEMORY_REGION", do_slot),
	F(1, "KVM_GET_DIRTY_LOG", do_dirty_log),
};
#define NR_CALLS (sizeof(calls) / sizeof(*calls))
_Static_assert(NR_CALLS <= NR_CALLS_MAX, "counts");

const char *call_name(unsigned int nr)
{
	return nr < NR_CALLS ? calls[nr].name : NULL;
}

static unsigned int choose(struct rng *r)
{
	unsigned int i, sum = 0, at;

	for (i = 0; i < NR_CALLS; i++)
		sum += calls[i].weight;
	at = below(r, sum);
	for (i = 0; at >= calls[i].weight; i++)
		at -= calls[i].weight;
	return i;
}

/* A flip or two, or nothing but noise; pointers stay far from our memory. */
static void spoil(struct rng *r, const struct call *c, union any *a)
{
	unsigned int i, bit;

	if (one_in(r, 4)) {
		for (i = 1; i < c->size / 8; i++)
			a->words[i] = rng64(r) & rng64(r) & rng64(r);
		return;
	}
	for (i = 0; i <= below(r, 2); i++) {
		bit = below(r, 8 * c->size);
		a->bytes[bit / 8] ^= 1 << bit % 8;
	}
}

/* A structure of another version, seldom with something in what it has more. */
static void resize(struct rng *r, const struct call *c, union any *a)
{
	a->argsz = one_in(r, 4) ? rng64(r) :
		   c->size + below(r, 2 * PAGE - 2 * c->size);
	if (one_in(r, 2) && a->argsz > c->size && a->argsz <= sizeof(*a))
		a->bytes[c->size + below(r, a->argsz - c->size)] = rng64(r);
}

static long do_ioctl(struct world *w, struct rng *r, const struct call *c)
{
	bool dev = c->cmd == CHARIOT_INFO || c->cmd == CHARIOT_ATTACH;
	int fd = dev ? dev_fd : some_handle(w, r);
	union any a;
	long ret;

	memset(&a, 0, sizeof(a));
	a.argsz = c->size;
	if (c->fill)
		c->fill(w, r, &a);
	if (one_in(r, 6))
		spoil(r, c, &a);
	if (one_in(r, 16))
		resize(r, c, &a);
	ret = ioctl(fd, c->cmd, &a);
	if (c->cmd == CHARIOT_ATTACH) {
		/* The numbers that this takes do not depend on the result. */
		struct rng slot = { rng64(r) };

		if (ret >= 0) {
			fcntl(ret, F_SETFL, O_NONBLOCK);
			put_handle(w, &slot, ret);
		}
	}
	return ret;
}

void call_any(struct world *w, struct rng *r, bool verbose)
{
	unsigned int nr = choose(r);
	const struct call *c = &calls[nr];
	uint64_t state = r->state;
	long ret;
	int err;

	if (verbose)
		fprintf(stderr, "# %s, state %llx", c->name,
			(unsigned long long)state);
	errno = 0;
	ret = c->fn ? c->fn(w, r) : do_ioctl(w, r, c);
	err = ret < 0 ? errno : 0;
	if (verbose)
		fprintf(stderr, ": %ld %s\n", ret, err ? strerror(err) : "");
	count(&counts->calls[nr]);
	if (err)
		count(&counts->failed[nr]);
	count(&counts->errnos[err < NR_ERRNOS ? err : NR_ERRNOS - 1]);
}

void world_isolate(struct world *w)
{
	struct chariot_range ranges[3];
	unsigned int i, n;
	struct domain d;

	for (i = 0; i < NR_HANDLES; i++) {
		w->handle[i] = attach(w->vm[i % NR_VMS].fd);
		fcntl(w->handle[i], F_SETFL, O_NONBLOCK);
		for (n = 0; i < NR_VMS && n < 2; n++) {
			domain_init(&d, n ? DRIVER2 : DRIVER);
			memcpy(ranges, d.ranges, sizeof(d.ranges));
			ranges[2] = (struct chariot_range){
				.gva = LATE + n * 2 * PAGE + 8,
				.len = 2 * PAGE - 16,
				.kind = CHARIOT_RANGE_DATA };
			d.create.nr_ranges = 3;
			d.create.ranges = (uintptr_t)ranges;
			domain_create(w->handle[i], &d);
		}
	}
}

void world_stats(struct world *w)
{
	struct chariot_stats st, *to = &counts->stats;
	unsigned int i;
	int h;

	for (i = 0; i < NR_VMS; i++) {
		st = (struct chariot_stats){ .argsz = sizeof(st) };
		h = attach(w->vm[i].fd);
		if (h >= 0 && !ioctl(h, CHARIOT_STATS, &st)) {
#define ADD(name, exit, text) \
	__atomic_fetch_add(&to->name, st.name, __ATOMIC_RELAXED);
			CHARIOT_COUNTERS(ADD)
#undef ADD
		}
		close(h);
	}
}
