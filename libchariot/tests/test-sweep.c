// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is swept out of the ACT, in the fake guest of test-object.c, and what stays.
 * Ioctls end in mock_call().
 */
#include <fcntl.h>
#include <stdlib.h>

#include "fake-objects.h"
#include "sweep.h"
#include "tap.h"

#define DOMAIN		3
#define MAX_ROWS	2000
#define PERIOD		1000	/* at most, while there is something to look at */
#define IDLE		10000	/* and when nothing was granted since */

static struct fake_objects f;
static struct chariot_vm *vm;
static struct sweep *w;
static const char *version;
static int64_t now;

/* The module's ACT: by address. */
static struct {
	struct chariot_object rows[MAX_ROWS];
	uint64_t when[MAX_ROWS];
	size_t nr;
	uint64_t clock;
	int reads, asked;	/* rows that were asked for */
	bool older;		/* a module that has no clock */
} m;

static void mock_read(struct chariot_act_read *a, int *n)
{
	struct chariot_object *buf = (void *)(uintptr_t)a->buf;
	size_t i;

	m.reads++;
	*n = 0;
	for (i = 0; i < m.nr; i++) {
		if (m.rows[i].gva < a->start)
			continue;
		if (*n == (int)a->nr)
			break;
		buf[(*n)++] = m.rows[i];
	}
	m.asked += *n;
	a->start = i < m.nr ? m.rows[i].gva : 0;
	a->clock = m.older ? 0 : m.clock;
}

static int mock_revoke(const struct chariot_grant *g)
{
	for (size_t i = 0; i < m.nr; i++) {
		if (m.rows[i].gva != g->gva)
			continue;
		if (m.when[i] > g->seq)
			return -EAGAIN;
		memmove(m.rows + i, m.rows + i + 1, (m.nr - i - 1) * sizeof(*m.rows));
		memmove(m.when + i, m.when + i + 1, (m.nr - i - 1) * sizeof(*m.when));
		m.nr--;
		return 0;
	}
	return -ENOENT;
}

static int mock_call(unsigned long cmd, void *arg)
{
	struct chariot_mem *a = arg;
	int n;

	switch (cmd) {
	case CHARIOT_MEM:
		return f.g.space.ops->read(f.g.space.ctx, a->gpa,
					   (void *)(uintptr_t)a->buf, a->len);
	case CHARIOT_VM_INFO:
		((struct chariot_vm_info *)arg)->domains = m.nr ? 1U << DOMAIN : 0;
		return 0;
	case CHARIOT_ACT_READ:
		mock_read(arg, &n);
		return n;
	case CHARIOT_GRANT:
		return mock_revoke(arg);
	}
	return -ENOTTY;
}

static void begin(void)
{
	memset(&m, 0, sizeof(m));
	sweep_free(w);
	w = sweep_new();
	if (!w)
		abort();
	put_slab(&f);
}

static void row(uint64_t gva, uint64_t len, uint32_t source)
{
	m.rows[m.nr] = (struct chariot_object){
		.gva = gva, .len = len, .source = source,
	};
	m.when[m.nr++] = ++m.clock;
}

static void run(void)
{
	now += PERIOD;
	sweep_run(w, vm, f.x, now);
}

static bool has(uint64_t gva)
{
	for (size_t i = 0; i < m.nr; i++)
		if (m.rows[i].gva == gva)
			return true;
	return false;
}

static void test_free(void)
{
	begin();
	row(object(0), 8, CHARIOT_SRC_ALLOCATION);
	row(object(1) + 8, 8, CHARIOT_SRC_ARGUMENT);
	row(object(2), OBJECT_SIZE, CHARIOT_SRC_ALLOCATION);
	row(object(3), OBJECT_SIZE, CHARIOT_SRC_ARGUMENT);
	row(object(4), OBJECT_SIZE, CHARIOT_SRC_RULE);
	row(object(7), OBJECT_SIZE, CHARIOT_SRC_EVIDENCE);
	row(object(9), OBJECT_SIZE, CHARIOT_SRC_FREED);
	run();
	tap_ok(!has(object(1) + 8) && !has(object(2)) && !has(object(7)),
	       "%s: what is free goes: handed, allocated, by evidence", version);
	tap_ok(has(object(0)) && has(object(3)), "%s: what is in use stays", version);
	tap_ok(has(object(4)) && has(object(9)),
	       "%s: a rule stays, and what is deferred", version);
}

static void test_again(void)
{
	begin();
	row(object(1), 8, CHARIOT_SRC_ARGUMENT);
	/* Granted while the rows were looked at. */
	m.when[0] = m.clock + 1;
	run();
	tap_ok(has(object(1)), "%s: what was granted again stays", version);
	m.clock++;
	run();
	tap_ok(!has(object(1)), "%s: until the next time", version);
	row(object(1), 8, CHARIOT_SRC_ARGUMENT);
	m.older = true;
	run();
	tap_ok(has(object(1)), "%s: a module without a clock: nothing goes", version);
}

static void test_other(void)
{
	uint64_t page = kva(P0);

	begin();
	row(object(3), OBJECT_SIZE, CHARIOT_SRC_ARGUMENT);
	row(page, 64, CHARIOT_SRC_ARGUMENT);
	put_page(&f, P0);
	run();
	tap_ok(has(object(3)) && has(page), "%s: in use", version);
	/* The slab is another cache's, and the page a slab's. */
	put_member(&f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE - 8);
	m.clock++;
	run();
	put_member(&f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE);
	tap_ok(!has(object(3)) && has(page),
	       "%s: an object of another size is another object", version);
}

static void test_page(void)
{
	uint64_t page;

	begin();
	page = put_page(&f, P0);
	row(page, 64, CHARIOT_SRC_ALLOCATION);
	run();
	tap_ok(has(page), "%s: the struct page of a page in use stays", version);
	mark_page(&f, page, "buddy");
	m.clock++;
	run();
	tap_ok(!has(page), "%s: and goes with the page", version);
}

/* The driver has freed it, and what it was given there since is of another kind. */
static void test_granted_anew(void)
{
	begin();
	row(object(3), OBJECT_SIZE, CHARIOT_SRC_ALLOCATION);
	run();
	m.nr = 0;
	row(object(3), OBJECT_SIZE - 8, CHARIOT_SRC_ALLOCATION);
	put_member(&f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE - 8);
	run();
	m.clock++;
	run();
	tap_ok(has(object(3)), "%s: another object that was granted since stays", version);
	put_member(&f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE);
	m.clock++;
	run();
	tap_ok(!has(object(3)), "%s: until it is another one, too", version);
}

/* Its clock begins anew, and so does what is remembered. */
static void test_forget(void)
{
	begin();
	m.clock = 1000;
	row(object(3), OBJECT_SIZE, CHARIOT_SRC_ARGUMENT);
	run();
	m.nr = 0;
	m.clock = 0;
	sweep_forget(w, DOMAIN);
	row(object(3), OBJECT_SIZE - 8, CHARIOT_SRC_ARGUMENT);
	put_member(&f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE - 8);
	run();
	m.clock++;
	run();
	put_member(&f, "kmem_cache", CACHE, "object_size", OBJECT_SIZE);
	tap_ok(has(object(3)), "%s: another domain of that number knows nothing",
	       version);
}

static void test_pace(void)
{
	int all;

	begin();
	tap_ok(sweep_timeout(w, now) == -1, "%s: without a domain there is no hurry",
	       version);
	for (int i = 0; i < MAX_ROWS - 1; i++)
		row(object(0) + 4 * i, 4, CHARIOT_SRC_RULE);
	run();
	all = m.asked;
	tap_ok(all > 0 && all < MAX_ROWS - 1 && sweep_timeout(w, now) < PERIOD,
	       "%s: a part at a time: %d", version, all);
	for (int i = 0; i < 8; i++)
		run();
	tap_ok(m.asked == MAX_ROWS - 1 && sweep_timeout(w, now) > 0,
	       "%s: and then there is a rest: %d", version, m.asked);
	now += IDLE;
	run();
	tap_ok(m.asked > MAX_ROWS - 1,
	       "%s: after a while all of it again: the kernel frees unseen", version);
}

static void test_all(bool old)
{
	version = old ? "6.1" : "6.12";
	objects_init(&f, old);
	vm = vm_new(open("/dev/null", O_RDONLY | O_CLOEXEC));
	if (!vm)
		exit(1);
	vm->profile = f.p;
	vm->space.cr3 = f.g.space.cr3;
	test_free();
	test_again();
	test_other();
	test_page();
	test_granted_anew();
	test_forget();
	test_pace();
	vm->profile = NULL;
	chariot_vm__free(vm);
	objects_free(&f);
}

int main(void)
{
	objects_mock(mock_call);
	test_all(true);
	test_all(false);
	sweep_free(w);
	return tap_done();
}
