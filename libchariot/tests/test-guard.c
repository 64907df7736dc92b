// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guard and the VM handle against a mock of the module: ioctls end in
 * mock_ioctl(), events come through a pipe, guest memory is a buffer with a
 * stock kernel's image in it.
 *
 * CHARIOT_KERNELS: where selftests/env/kernels.sh put the kernels.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake-guest.h"
#include "tap.h"
#include "trust.h"

#define SHIFT	0	/* nokaslr: the image has no relocations applied */
#define GPA	0x1000000ULL
#define MODULE	0xffffffffc0400000ULL
#define PAGE_AT(page)	(MODULE + (page) * PAGE_SIZE)	/* text, rodata, data */

static struct {
	pthread_mutex_t lock;
	struct fake_guest guest;
	int events;			/* write end */
	uint64_t seq;
	/* what the guard did */
	struct chariot_watch watch;
	int nr_watch, nr_resets, nr_drops, nr_creates, nr_adds;
	struct chariot_domain_create create, add;	/* the last ones */
	char added[512];		/* modules, each with a space behind */
	uint64_t continued;
	uint32_t domains, verdict, created_as;
	uint64_t entries, reports;
	bool no_recovery, no_images;
	const char *domain_name;
	char posted[CHARIOT_NAME_LEN];
	int watch_error;
	int errors;			/* ERROR events told */
	uint32_t error_verdict;
	uint64_t continued_at_error;
	char text[512];
} m = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void note(void *ctx, enum chariot_log_level level, const char *text)
{
	if (getenv("V"))
		printf("# %s\n", text);
}

/* ---- the mock ----------------------------------------------------------- */

static int mock_mem(struct chariot_mem *a)
{
	const struct chariot_mem_ops *ops = m.guest.space.ops;
	void *buf = (void *)(uintptr_t)a->buf;

	return a->flags & CHARIOT_MEM_WRITE ?
	       ops->write(&m.guest, a->gpa, buf, a->len) :
	       ops->read(&m.guest, a->gpa, buf, a->len);
}

static int mock_info(struct chariot_vm_info *i)
{
	i->domains = m.domains;
	i->watch = m.watch.flags;
	return 0;
}

static int mock_domain_info(struct chariot_domain_info *i)
{
	if (!(m.domains & 1U << i->domain))
		return -ENOENT;
	strcpy(i->name, m.domain_name ?: "e1000");
	i->verdict = m.verdict;
	return 0;
}

static int mock_domain(struct chariot_domain_op *d, bool drop)
{
	if (!(m.domains & 1U << d->domain))
		return -ENOENT;
	if (m.no_recovery && d->verdict == CHARIOT_VERDICT_RECOVER)
		return -EOPNOTSUPP;
	m.verdict = d->verdict;
	if (drop) {
		m.domains &= ~(1U << d->domain);
		m.nr_drops++;
	}
	return 0;
}

static int mock_act(struct chariot_act_read *q)
{
	struct chariot_object *o = (void *)(uintptr_t)q->buf;
	uint32_t n = 0;

	/* 2500 rows, 16 bytes apart. */
	for (; n < q->nr && q->start < 2500 * 16; n++, q->start += 16)
		o[n] = (struct chariot_object){ .gva = q->start, .len = 16 };
	if (q->start >= 2500 * 16)
		q->start = 0;
	return n;
}

static int mock_create(const struct chariot_domain_create *c)
{
	m.nr_creates++;
	m.create = *c;
	m.domains |= 2;
	m.created_as = m.verdict = c->verdict;
	return 1;
}

static int mock_add(const struct chariot_domain_create *c)
{
	m.add = *c;
	if (!(m.domains & 1U << c->domain))
		return -ENOENT;
	m.nr_adds++;
	snprintf(m.added + strlen(m.added), CHARIOT_NAME_LEN + 1, "%.55s ",
		 c->module);
	return 0;
}

static int mock_call(unsigned long cmd, void *arg)
{
	switch (cmd) {
	case CHARIOT_MEM:
		return mock_mem(arg);
	case CHARIOT_VM_INFO:
		return mock_info(arg);
	case CHARIOT_WATCH:
		if (m.watch_error)
			return m.watch_error;
		if (m.no_images &&
		    ((struct chariot_watch *)arg)->flags & CHARIOT_WATCH_IMAGE)
			return -EINVAL;
		m.watch = *(struct chariot_watch *)arg;
		m.nr_watch++;
		return 0;
	case CHARIOT_CONTINUE:
		m.continued = ((struct chariot_continue *)arg)->seq;
		return 0;
	case CHARIOT_RESET:
		m.nr_resets++;
		m.domains = 0;
		m.watch.flags = 0;
		return 0;
	case CHARIOT_POST:
		strcpy(m.posted, ((struct chariot_post *)arg)->name);
		return 0;
	case CHARIOT_DOMAIN_CREATE:
	case CHARIOT_DOMAIN_ADD:
		if (((struct chariot_domain_create *)arg)->verdict >=
		    CHARIOT_NR_VERDICTS)
			return -EINVAL;
		return cmd == CHARIOT_DOMAIN_ADD ? mock_add(arg) :
						   mock_create(arg);
	case CHARIOT_DOMAIN_DROP:
	case CHARIOT_DOMAIN_SET:
		return mock_domain(arg, cmd == CHARIOT_DOMAIN_DROP);
	case CHARIOT_DOMAIN_INFO:
		return mock_domain_info(arg);
	case CHARIOT_ACT_READ:
		return mock_act(arg);
	case CHARIOT_STATS:
		((struct chariot_stats *)arg)->violations = m.reports +
			42 + ((struct chariot_stats *)arg)->domain;
		((struct chariot_stats *)arg)->entries = m.entries;
		return 0;
	}
	return -ENOTTY;
}

static uint32_t size_of(unsigned long cmd)
{
	switch (cmd) {
	case CHARIOT_VM_INFO:
		return sizeof(struct chariot_vm_info);
	case CHARIOT_MEM:
		return sizeof(struct chariot_mem);
	case CHARIOT_WATCH:
		return sizeof(struct chariot_watch);
	case CHARIOT_CONTINUE:
		return sizeof(struct chariot_continue);
	case CHARIOT_RESET:
		return sizeof(struct chariot_reset);
	case CHARIOT_POST:
		return sizeof(struct chariot_post);
	case CHARIOT_DOMAIN_CREATE:
	case CHARIOT_DOMAIN_ADD:
		return sizeof(struct chariot_domain_create);
	case CHARIOT_DOMAIN_DROP:
	case CHARIOT_DOMAIN_SET:
		return sizeof(struct chariot_domain_op);
	case CHARIOT_DOMAIN_INFO:
		return sizeof(struct chariot_domain_info);
	case CHARIOT_GRANT:
		return sizeof(struct chariot_grant);
	case CHARIOT_ACT_READ:
		return sizeof(struct chariot_act_read);
	case CHARIOT_STATS:
		return sizeof(struct chariot_stats);
	}
	return 0;
}

/* The library knows each structure as the mock does. */
static int mock_ioctl(int fd, unsigned long cmd, void *arg)
{
	uint32_t size = size_of(cmd);
	int r;

	pthread_mutex_lock(&m.lock);
	r = !size ? -ENOTTY :
	    *(uint32_t *)arg != size ? -EINVAL : mock_call(cmd, arg);
	pthread_mutex_unlock(&m.lock);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static struct chariot_vm *mock_vm(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		exit(1);
	m.events = fds[1];
	m.watch.flags = 0;
	m.domains = 0;
	m.nr_watch = m.nr_resets = m.nr_drops = m.nr_creates = m.nr_adds = 0;
	m.added[0] = 0;
	m.continued = 0;
	m.watch_error = 0;
	m.errors = 0;
	return vm_new(fds[0]);
}

static uint64_t send_event(struct chariot_event ev)
{
	ev.size = sizeof(ev);
	ev.seq = ++m.seq;
	if (ev.type == CHARIOT_EV_KERNEL || ev.type == CHARIOT_EV_LOAD ||
	    ev.type == CHARIOT_EV_IMAGE)
		ev.flags = CHARIOT_EV_WAITS;
	if (write(m.events, &ev, sizeof(ev)) != sizeof(ev))
		exit(1);
	return ev.seq;
}

static void on_event(void *ctx, const struct chariot_event *ev, const char *text)
{
	pthread_mutex_lock(&m.lock);
	if (ev->type == CHARIOT_EV_ERROR) {
		m.errors++;
		m.error_verdict = ev->verdict;
		m.continued_at_error = m.continued;
		snprintf(m.text, sizeof(m.text), "%s", text);
	}
	pthread_mutex_unlock(&m.lock);
}

/* Wait for what another thread does, for at most ten seconds. */
#define WAIT_FOR(cond) ({						\
	bool yes_ = false;						\
	for (int i_ = 0; i_ < 120000 && !yes_; i_++) {			\
		pthread_mutex_lock(&m.lock);				\
		yes_ = (cond);						\
		pthread_mutex_unlock(&m.lock);				\
		if (!yes_)						\
			usleep(5000);					\
	}								\
	yes_;								\
})

/* ---- the handle --------------------------------------------------------- */

static void test_calls(void)
{
	struct chariot_vm *vm = mock_vm();
	struct chariot_object *rows = NULL;
	struct chariot_stats st;
	struct chariot_event ev;
	ssize_t n;

	n = chariot_vm__act(vm, 1, &rows);
	tap_ok(n == 2500 && rows[2499].gva == 2499 * 16, "ACT in pieces");
	free(rows);
	m.domains = 2;
	tap_ok(chariot_vm__domain_by_name(vm, "e1000") == 1 &&
	       chariot_vm__domain_by_name(vm, "nvme") == -ENOENT,
	       "domain by name");
	tap_ok(!chariot_vm__stats(vm, 1, &st) && st.violations == 43, "stats");
	tap_ok(!chariot_vm__request(vm, CHARIOT_REQUEST_ISOLATE, "x") &&
	       !strcmp(m.posted, "x"), "request");
	tap_ok(chariot_vm__request(vm, 0, "") == -EINVAL &&
	       chariot_vm__request(vm, 0, "0123456789012345678901234567890123456789012345678901234567890") == -EINVAL,
	       "request: bad names");
	tap_ok(chariot_vm__next_event(vm, &ev, 1) == 0, "no event");
	tap_ok(!chariot_vm__profile(vm, 10) && errno == ETIMEDOUT &&
	       !m.watch.flags, "profile: timeout, and the watch is taken back");
	send_event((struct chariot_event){ .type = CHARIOT_EV_REQUEST });
	tap_ok(!chariot_vm__profile(vm, 50) &&
	       chariot_vm__next_event(vm, &ev, 0) == 1 &&
	       ev.type == CHARIOT_EV_REQUEST, "events are kept meanwhile");
	close(m.events);
	tap_ok(chariot_vm__next_event(vm, &ev, 100) == -ESHUTDOWN, "hang-up");
	chariot_vm__free(vm);
}

static void test_names(void)
{
	for (uint32_t i = 0; i < CHARIOT_NR_VERDICTS; i++)
		if (chariot_verdict_by_name(chariot_verdict_name(i)) != (int)i)
			tap_ok(false, "verdict %u", i);
	for (uint32_t i = 0; i < CHARIOT_NR_MODES; i++)
		if (chariot_mode_by_name(chariot_mode_name(i)) != (int)i)
			tap_ok(false, "mode %u", i);
	tap_ok(chariot_mode_by_name("frob") == -EINVAL &&
	       chariot_mode_by_name(NULL) == -EINVAL &&
	       !strcmp(chariot_mode_name(99), "unknown"), "names of modes");
	tap_ok(chariot_name_ok("snd-hda_Intel9", 14) &&
	       chariot_name_ok("e1000,nvme", 5) &&
	       !chariot_name_ok("--help", 6) && !chariot_name_ok("a,b", 3) &&
	       !chariot_name_ok("a\0b", 3) && !chariot_name_ok("", 0) &&
	       !chariot_name_ok("$(a)", 4), "names of drivers");
	tap_ok(chariot_name_ok("qxl+ttm", 7) && chariot_name_ok("qxl+", 4) &&
	       chariot_name_ok("a+b,c+", 3) && chariot_name_ok("a+b+", 4) &&
	       !chariot_name_ok("+a", 2) && !chariot_name_ok("a++b", 4) &&
	       !chariot_name_ok("+", 1) && !chariot_name_ok("a+-b", 4) &&
	       !chariot_name_ok("a++", 3) && !chariot_name_ok("a+b c", 5),
	       "names of several modules");
	tap_ok(chariot_same_driver("snd-a+b", "snd_a") &&
	       chariot_same_driver("a+", "a+b") &&
	       !chariot_same_driver("ab+c", "a+bc") &&
	       !chariot_same_driver("", "a") && !chariot_same_driver("a", "a_"),
	       "the same driver");
	tap_ok(chariot_verdict_by_name("frob") == -EINVAL &&
	       !strcmp(chariot_source_name(99), "unknown") &&
	       !strcmp(chariot_event_name(99), "unknown"), "names");
}

/* None has no name. */
static void test_no_names(void)
{
	struct chariot_guard_opts o = { .sz = sizeof(o), .drivers = "a,--help" };
	struct chariot_vm *vm = mock_vm();
	struct chariot_guard *g;

	tap_ok(chariot_verdict_by_name(NULL) == -EINVAL &&
	       !chariot_name_ok(NULL, 3), "names: NULL");
	tap_ok(chariot_vm__domain_by_name(vm, NULL) == -ENOENT &&
	       chariot_vm__request(vm, CHARIOT_REQUEST_ISOLATE, NULL) == -EINVAL,
	       "handle: NULL");
	tap_ok(!chariot_profile__from_file(NULL) && errno == ENOENT &&
	       !chariot_driver__from_file(NULL) && errno == ENOENT,
	       "files: NULL");
	tap_ok(!chariot_guard__start(vm, NULL) && errno == EINVAL &&
	       !chariot_guard__start(vm, &o) && errno == EINVAL,
	       "guard: NULL, and a bad name");
	o.drivers = NULL;
	g = chariot_guard__start(vm, &o);
	tap_ok(g && chariot_guard__ask(g, NULL) == -EINVAL &&
	       chariot_guard__ask(g, "-x") == -EINVAL &&
	       chariot_guard__state(g, NULL) == -EINVAL, "asking for NULL");
	chariot_guard__stop(g);
	close(m.events);
}

/* ---- descriptions ------------------------------------------------------- */

static void expect_text(struct chariot_vm *vm, const struct chariot_event *ev,
			const char *want)
{
	char buf[512], small[16];

	chariot_vm__describe(vm, ev, buf, sizeof(buf));
	if (!tap_ok(!strcmp(buf, want), "%s", want))
		printf("# got \"%s\"\n", buf);
	chariot_vm__describe(vm, ev, small, sizeof(small));
	if (strncmp(small, buf, sizeof(small) - 1))
		tap_ok(false, "a small buffer");
}

static void test_describe(void)
{
	struct chariot_vm *vm = mock_vm();
	struct chariot_event ev = {
		.type = CHARIOT_EV_VIOLATION, .domain = 1,
		.verdict = CHARIOT_VERDICT_SKIP,
	};

	m.domains = 2;
	ev.u.violation.rip = 0xffffffffc0001234;
	ev.u.violation.gva = 0xffff888000000043;
	ev.u.violation.len = 4;
	expect_text(vm, &ev, "e1000: 0xffffffffc0001234 wrote 4 bytes at 0xffff888000000043: not in its ACT; skipped");
	ev.u.violation.near[0] = (struct chariot_object){
		.gva = 0xffff888000000000, .len = 64, .site = 0x1000,
		.source = CHARIOT_SRC_ALLOCATION,
	};
	ev.u.violation.len = 1;
	/* Of what has no name, there is no other place. */
	ev.u.violation.origin = 0x12;
	ev.u.violation.caller = 0xffffffffc0005678;
	expect_text(vm, &ev, "e1000: 0xffffffffc0001234, called at 0xffffffffc0005678, wrote 1 byte at 0xffff888000000043, 3 bytes past the end of a 64-byte allocation by 0x1000: not in its ACT; skipped");
	ev.u.violation.why = CHARIOT_WHY_FETCH;
	expect_text(vm, &ev, "e1000: went from 0xffffffffc0005678 to 0xffff888000000043: no call of a function; skipped");
	ev.u.violation.why = CHARIOT_WHY_ENTRY;
	expect_text(vm, &ev, "e1000: was entered at 0xffff888000000043: no function begins there; skipped");
	close(m.events);
	chariot_vm__free(vm);
}

/* Names are of the guest, or of who asked for something. */
static void test_rude_names(void)
{
	struct chariot_vm *vm = mock_vm();
	struct chariot_event ev = { .type = CHARIOT_EV_REQUEST }, got;

	m.domains = 2;
	m.domain_name = "rude\x1b[2J";
	strcpy(ev.u.request.name, "rude\x1b[2J");
	send_event(ev);
	chariot_vm__next_event(vm, &got, 1000);
	expect_text(vm, &got, "request to isolate rude?[2J");
	ev.type = CHARIOT_EV_DOMAIN_GONE;
	strcpy(ev.u.name.name, "rude\r\n\x9b");
	send_event(ev);
	chariot_vm__next_event(vm, &got, 1000);
	expect_text(vm, &got, "rude???: isolation has ended");
	ev.type = CHARIOT_EV_INIT_DONE;
	ev.u.init.result = -5;
	strcpy(ev.u.init.name, "rude\x7f");
	send_event(ev);
	chariot_vm__next_event(vm, &got, 1000);
	expect_text(vm, &got, "rude?: init failed with -5");
	ev.type = CHARIOT_EV_ERROR;
	ev.u.error.error = -EINVAL;
	strcpy(ev.u.error.text, "rude\xc2\x9b");
	send_event(ev);
	chariot_vm__next_event(vm, &got, 1000);
	expect_text(vm, &got, "error: rude?? (Invalid argument)");
	ev = (struct chariot_event){ .type = CHARIOT_EV_VIOLATION, .domain = 1 };
	ev.u.violation.rip = 0x1000;
	ev.u.violation.gva = 0x2000;
	expect_text(vm, &ev, "rude?[2J: 0x1000 wrote at 0x2000: not in its ACT; allowed");
	m.domain_name = NULL;
	close(m.events);
	chariot_vm__free(vm);
}

/* ---- the guard ---------------------------------------------------------- */

static void test_idle(void)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .drivers = "", .on_event = on_event,
	};
	struct chariot_guard *g = chariot_guard__start(mock_vm(), &o);
	struct chariot_event ev = { .type = CHARIOT_EV_REQUEST };

	tap_ok(g, "guard without drivers");
	usleep(20000);
	tap_ok(!m.watch.flags, "it watches for nothing");
	strcpy(ev.u.request.name, "snd-dummy");
	send_event(ev);
	tap_ok(WAIT_FOR(m.watch.flags == CHARIOT_WATCH_KERNEL),
	       "a request makes it wait for the kernel");
	ev.u.request.what = CHARIOT_REQUEST_RELEASE;
	strcpy(ev.u.request.name, "snd_dummy");
	send_event(ev);
	tap_ok(WAIT_FOR(!m.watch.flags), "its release ends that");
	chariot_guard__stop(g);
	close(m.events);
	o.verdict = CHARIOT_NR_VERDICTS;
	tap_ok(!chariot_guard__start(NULL, &o) && errno == EINVAL,
	       "bad verdict");
}

static void test_many_names(void)
{
	char list[257 * 5 + 1] = "";
	struct chariot_guard_opts o = { .sz = sizeof(o), .drivers = list };
	struct chariot_vm *vm = mock_vm();

	for (int i = 0; i < 257; i++)
		sprintf(list + 5 * i, "d%03d,", i);
	tap_ok(!chariot_guard__start(vm, &o) && errno == ENOSPC,
	       "too many drivers");
	list[256 * 5] = 0;
	chariot_guard__stop(chariot_guard__start(vm, &o));
	close(m.events);
}

static void bad_drivers(const char *list, int err, const char *what)
{
	struct chariot_guard_opts o = { .sz = sizeof(o), .drivers = list };
	struct chariot_vm *vm = mock_vm();

	tap_ok(!chariot_guard__start(vm, &o) && errno == err, "%s", what);
	close(m.events);
	chariot_vm__free(vm);
}

static void test_many_modules(void)
{
	char list[256] = "a";
	struct chariot_guard_opts o = { .sz = sizeof(o), .drivers = list };

	bad_drivers("a+b,c+b", EEXIST, "a module of two drivers");
	bad_drivers("a,b+a", EEXIST, "a driver that is a module of another one");
	for (int i = 0; i < 32; i++)
		sprintf(list + strlen(list), "+m%02d", i);
	bad_drivers(list, E2BIG, "33 modules");
	list[strlen(list) - 4] = 0;
	chariot_guard__stop(chariot_guard__start(mock_vm(), &o));
	close(m.events);
	/* It gets the modules of both. */
	strcpy(list, "a+b,a+c,a+b");
	chariot_guard__stop(chariot_guard__start(mock_vm(), &o));
	close(m.events);
}

static int told_errors;

static void count_errors(void *ctx, enum chariot_log_level level, const char *text)
{
	pthread_mutex_lock(&m.lock);
	told_errors += level == CHARIOT_LOG_ERROR && !strncmp(text, "error: ", 7);
	pthread_mutex_unlock(&m.lock);
}

/* An event is told once, or with the log twice. */
static void test_apart(bool apart)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .drivers = "", .on_event = on_event,
		.events_apart = apart,
	};
	struct chariot_event ev = { .type = CHARIOT_EV_ERROR };
	struct chariot_guard *g;

	told_errors = 0;
	chariot_set_log(count_errors, NULL);
	g = chariot_guard__start(mock_vm(), &o);
	send_event(ev);
	tap_ok(WAIT_FOR(m.errors == 1), "an event");
	chariot_guard__stop(g);
	chariot_set_log(NULL, NULL);
	tap_ok(told_errors == !apart, "%s the log", apart ? "not in" : "also in");
	close(m.events);
}

static void test_errors(void)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .drivers = "e1000,nvme", .fail_stop = true,
		.on_event = on_event,
	};
	struct chariot_event ev = { .type = CHARIOT_EV_KERNEL };
	struct chariot_guard *g;
	uint64_t seq;

	g = chariot_guard__start(mock_vm(), &o);
	tap_ok(WAIT_FOR(m.watch.flags == CHARIOT_WATCH_KERNEL), "armed");
	ev.u.kernel.cr3 = PAGE_SIZE;
	ev.u.kernel.lstar = 0xffffffff81000000;	/* nothing is mapped */
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq && m.errors == 1),
	       "no kernel there: error, and the guest goes on");
	tap_ok(m.continued_at_error != seq &&
	       m.error_verdict == CHARIOT_VERDICT_PAUSE,
	       "fail_stop: told while the guest waits");
	ev.type = CHARIOT_EV_LOAD;
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq), "a load goes on as well");
	chariot_guard__stop(g);
	tap_ok(!m.watch.flags, "stop disarms");
	close(m.events);
}

/* A struct module with nothing but a name: it is not a good one. */
static void put_module(const struct chariot_profile *p, const char *name)
{
	int64_t at = chariot_profile__member(p, "module", "name", NULL);

	pthread_mutex_lock(&m.lock);
	chariot_space__write(&m.guest.space, MODULE + at, name,
			     strlen(name) + 1);
	pthread_mutex_unlock(&m.lock);
}

static void test_load(const struct chariot_profile *p)
{
	struct chariot_event ev = { .type = CHARIOT_EV_LOAD };
	uint64_t seq;

	ev.u.load.module = MODULE;
	ev.u.load.cr3 = m.guest.space.cr3;
	put_module(p, "other");
	m.errors = 0;
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq) && !m.errors && !m.nr_creates,
	       "another driver is let go");
	put_module(p, "e1000");
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq && m.errors == 1) &&
	       strstr(m.text, "e1000 is NOT isolated"),
	       "a driver that cannot be read: %s", m.text);
	ev.u.load.module = 0x1000;
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq && m.errors == 2),
	       "no module there: %s", m.text);
}

/* ---- probation ---------------------------------------------------------- */

static void put_member(const struct chariot_profile *p, const char *type,
		       uint64_t at, const char *path, uint64_t value)
{
	uint64_t size;
	int64_t off = chariot_profile__member(p, type, path, &size);

	if (off >= 0)
		chariot_space__write(&m.guest.space, at + off, &value, size);
}

/* A driver that does nothing, with build-id @id (0: none): its init function is its text. */
static void put_driver(const struct chariot_profile *p, uint8_t id)
{
	static const char names[] = "\0demo_init\0";
	uint8_t note[36] = { 4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U' };
	Elf64_Sym syms[2] = { {}, {
		.st_name = 1, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
		.st_shndx = 1, .st_value = PAGE_AT(1), .st_size = 16,
	} };
	uint32_t cpus = 1;	/* of the thousands that an image has before it boots */
	int64_t coming = 1;

	put_module(p, "e1000");
	pthread_mutex_lock(&m.lock);
	chariot_profile__enumerator(p, "module_state", "MODULE_STATE_COMING",
				    &coming);
	chariot_space__write(&m.guest.space, chariot_profile__symbol(p, "nr_cpu_ids"),
			     &cpus, sizeof(cpus));
	memset(id ? note + 16 : note, id, id ? 20 : sizeof(note));
	chariot_space__write(&m.guest.space, PAGE_AT(2) + 0x40, note, sizeof(note));
	chariot_space__write(&m.guest.space, PAGE_AT(3) + 0x100, syms, sizeof(syms));
	chariot_space__write(&m.guest.space, PAGE_AT(3) + 0x200, names, sizeof(names));
	put_member(p, "module", MODULE, "state", coming);
	put_member(p, "module", MODULE, "init", PAGE_AT(1));
	put_member(p, "module", MODULE, "kallsyms", PAGE_AT(3));
	put_member(p, "mod_kallsyms", PAGE_AT(3), "symtab", PAGE_AT(3) + 0x100);
	put_member(p, "mod_kallsyms", PAGE_AT(3), "num_symtab", 2);
	put_member(p, "mod_kallsyms", PAGE_AT(3), "strtab", PAGE_AT(3) + 0x200);
	put_member(p, "module", MODULE, "core_layout.base", PAGE_AT(1));
	put_member(p, "module", MODULE, "core_layout.text_size", PAGE_SIZE);
	put_member(p, "module", MODULE, "core_layout.ro_size", 2 * PAGE_SIZE);
	put_member(p, "module", MODULE, "core_layout.ro_after_init_size", 2 * PAGE_SIZE);
	put_member(p, "module", MODULE, "core_layout.size", 3 * PAGE_SIZE);
	put_member(p, "module", MODULE, "mem[0].base", PAGE_AT(1));
	put_member(p, "module", MODULE, "mem[0].size", PAGE_SIZE);
	put_member(p, "module", MODULE, "mem[1].base", PAGE_AT(3));
	put_member(p, "module", MODULE, "mem[1].size", PAGE_SIZE);
	put_member(p, "module", MODULE, "mem[2].base", PAGE_AT(2));
	put_member(p, "module", MODULE, "mem[2].size", PAGE_SIZE);
	pthread_mutex_unlock(&m.lock);
}

static char state_dir[] = "/tmp/chariot-guard-XXXXXX";
static char last_warning[512];

static void keep_warning(void *ctx, enum chariot_log_level level, const char *text)
{
	if (getenv("V"))
		printf("# %s\n", text);
	if (level != CHARIOT_LOG_WARN)
		return;
	pthread_mutex_lock(&m.lock);
	snprintf(last_warning, sizeof(last_warning), "%s", text);
	pthread_mutex_unlock(&m.lock);
}

static int keep_trust(void *ctx, const char *path, int err,
		      const struct chariot_trust *t)
{
	*(struct chariot_trust *)ctx = *t;
	return 1;
}

/* The one build in the state's directory. */
static struct chariot_trust known(void)
{
	struct chariot_trust t = {};

	chariot_trust__each(state_dir, keep_trust, &t);
	return t;
}

static void remove_files(const char *which)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s%s", state_dir, which);
	if (system(command))
		exit(1);
}

static void forget(void)
{
	remove_files("/*.json");
}

/* A guard whose guest has loaded the driver, under @probation of the policy. */
static struct chariot_guard *load_on_probation(const struct chariot_profile *p,
					       uint64_t load_at, uint8_t id,
					       const char *probation,
					       uint32_t verdict)
{
	char path[64];
	const char *const policies[] = { path, NULL };
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .drivers = "e1000", .on_event = on_event,
		.verdict = verdict, .policies = policies,
		.state_dir = state_dir,
	};
	struct chariot_event ev = { .type = CHARIOT_EV_KERNEL };
	struct chariot_guard *g;
	uint64_t seq;
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy", state_dir);
	f = fopen(path, "we");
	if (f)
		fprintf(f, "probation %s\n", probation);
	if (!f || fclose(f))
		exit(1);
	m.created_as = ~0U;
	m.entries = m.reports = 0;
	last_warning[0] = 0;
	g = chariot_guard__start(mock_vm(), &o);
	ev.u.kernel.cr3 = m.guest.space.cr3;
	ev.u.kernel.lstar = ev.u.kernel.rip = load_at;
	WAIT_FOR(m.watch.flags == CHARIOT_WATCH_KERNEL);
	seq = send_event(ev);
	WAIT_FOR(m.continued == seq);
	put_driver(p, id);
	ev = (struct chariot_event){ .type = CHARIOT_EV_LOAD };
	ev.u.load.module = MODULE;
	ev.u.load.cr3 = m.guest.space.cr3;
	seq = send_event(ev);
	if (!WAIT_FOR(m.continued == seq) || m.nr_creates != 1)
		tap_ok(false, "the driver is isolated: %s", m.text);
	return g;
}

static void end_probation(struct chariot_guard *g)
{
	chariot_guard__stop(g);
	close(m.events);
}

static void send_report(uint64_t gva)
{
	struct chariot_event ev = {
		.type = CHARIOT_EV_VIOLATION, .domain = 1,
		.verdict = CHARIOT_VERDICT_REPORT,
	};

	ev.u.violation.rip = PAGE_AT(1) + 4;
	ev.u.violation.gva = gva;
	ev.u.violation.len = 4;
	pthread_mutex_lock(&m.lock);
	m.reports++;
	pthread_mutex_unlock(&m.lock);
	send_event(ev);
}

/* Long enough for the guard's thread to do what it should not. */
static void let_it_look(void)
{
	usleep(2500000);
}

static void test_promotion(const struct chariot_profile *p, uint64_t at)
{
	struct chariot_guard *g;

	forget();
	g = load_on_probation(p, at, 0xa1, "100 1", CHARIOT_VERDICT_AUTO);
	tap_ok(m.created_as == CHARIOT_VERDICT_REPORT &&
	       WAIT_FOR(strstr(last_warning, "e1000: on probation")),
	       "auto: a build that is not known runs under report");
	m.entries = 99;
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_REPORT,
	       "it stays so without enough entries");
	end_probation(g);
	tap_ok(known().entries == 99 && known().seconds >= 1 &&
	       known().state == CHARIOT_TRUST_PROBATION &&
	       !strcmp(known().module, "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"),
	       "they are counted: %llu entries", (unsigned long long)known().entries);
	g = load_on_probation(p, at, 0xa1, "100 86400", CHARIOT_VERDICT_AUTO);
	m.entries = 1;
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_REPORT, "nor without enough time");
	end_probation(g);
	g = load_on_probation(p, at, 0xa1, "100 2", CHARIOT_VERDICT_AUTO);
	m.entries = 1;
	tap_ok(m.created_as == CHARIOT_VERDICT_REPORT &&
	       WAIT_FOR(m.verdict == CHARIOT_VERDICT_RECOVER),
	       "with both, of several runs, it is promoted");
	end_probation(g);
	tap_ok(known().state == CHARIOT_TRUST_PROVED &&
	       known().by == CHARIOT_TRUST_BY_PROBATION, "for good");
	g = load_on_probation(p, at, 0xa1, "100 86400", CHARIOT_VERDICT_AUTO);
	tap_ok(m.created_as == CHARIOT_VERDICT_RECOVER,
	       "from then on it is enforced from its start");
	send_report(0x1000);
	end_probation(g);
	tap_ok(known().state == CHARIOT_TRUST_PROVED, "also after a violation");
	g = load_on_probation(p, at, 0xa2, "0 86400", CHARIOT_VERDICT_AUTO);
	tap_ok(m.created_as == CHARIOT_VERDICT_REPORT, "but not another build");
	end_probation(g);
}

static void test_held(const struct chariot_profile *p, uint64_t at)
{
	uint64_t data = chariot_profile__symbol(p, "init_uts_ns");
	struct chariot_trust t;
	struct chariot_guard *g;

	forget();
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_AUTO);
	send_report(data + 0x45);
	tap_ok(WAIT_FOR(known().state == CHARIOT_TRUST_HELD), "a report is kept at once");
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_REPORT, "its verdict stays report");
	send_report(0xffff888000001000);
	end_probation(g);
	t = known();
	tap_ok(strstr(t.reason, "wrote 4 bytes at init_uts_ns+0x45") &&
	       !strcmp(t.rules, "rule init_uts_ns + 0x45 4\n"),
	       "with the first one's text and a rule: %s", t.reason);
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_AUTO);
	tap_ok(m.created_as == CHARIOT_VERDICT_REPORT &&
	       strstr(last_warning, "init_uts_ns+0x45"), "told again with the next load");
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_REPORT, "it stays so");
	t.state = CHARIOT_TRUST_PROVED;
	t.by = CHARIOT_TRUST_BY_OPERATOR;
	chariot_trust__write(state_dir, &t);
	tap_ok(WAIT_FOR(m.verdict == CHARIOT_VERDICT_RECOVER),
	       "until the operator says otherwise, also while it runs");
	end_probation(g);
	/* A report whose event did not fit into the queue. */
	forget();
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_AUTO);
	m.reports++;
	tap_ok(WAIT_FOR(known().state == CHARIOT_TRUST_HELD) &&
	       m.verdict == CHARIOT_VERDICT_REPORT &&
	       strstr(known().reason, "1 reports were lost"),
	       "a report that was lost counts as well");
	end_probation(g);
}

static void test_other_verdicts(const struct chariot_profile *p, uint64_t at)
{
	struct chariot_guard *g;

	forget();
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_REPORT);
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_REPORT, "verdict report is no probation");
	chariot_guard__set_verdict(g, CHARIOT_VERDICT_AUTO);
	tap_ok(WAIT_FOR(m.verdict == CHARIOT_VERDICT_RECOVER), "auto can be set later");
	chariot_guard__set_verdict(g, CHARIOT_VERDICT_SKIP);
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_SKIP, "and taken back");
	chariot_guard__set_verdict(g, CHARIOT_VERDICT_AUTO);
	tap_ok(WAIT_FOR(m.verdict == CHARIOT_VERDICT_RECOVER), "and again");
	end_probation(g);
	forget();
	g = load_on_probation(p, at, 0xa1, "0 2", CHARIOT_VERDICT_AUTO);
	m.verdict = CHARIOT_VERDICT_OOPS;
	let_it_look();
	tap_ok(m.verdict == CHARIOT_VERDICT_OOPS, "what chariot verdict set says stays");
	end_probation(g);
	forget();
	m.no_recovery = true;
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_AUTO);
	tap_ok(WAIT_FOR(m.verdict == CHARIOT_VERDICT_SKIP),
	       "one that cannot be recovered gets skip");
	end_probation(g);
	m.no_recovery = false;
}

/* Whatever is wrong with the directory: probation, as far as it goes. */
static void test_bad_state(const struct chariot_profile *p, uint64_t at)
{
	struct chariot_trust t;
	struct chariot_guard *g;
	char name[TRUST_NAME_LEN], path[256];
	FILE *f;

	forget();
	snprintf(path, sizeof(path), "%s/.lock", state_dir);
	unlink(path);
	mkdir(path, 0700);	/* also root cannot make one of that name */
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_AUTO);
	tap_ok(WAIT_FOR(m.verdict == CHARIOT_VERDICT_RECOVER) &&
	       strstr(last_warning, "known to this guard only"),
	       "nothing can be written: %s", last_warning);
	end_probation(g);
	rmdir(path);
	t = known();
	tap_ok(!t.sz, "and nothing was");
	g = load_on_probation(p, at, 0xa1, "0 1", CHARIOT_VERDICT_AUTO);
	WAIT_FOR(m.verdict == CHARIOT_VERDICT_RECOVER);
	end_probation(g);
	t = known();
	trust_file_name(&t, name);
	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	f = fopen(path, "we");
	if (!f || fputs("{ \"format\": 1,\n\"state\": proved }\n", f) < 0 ||
	    fclose(f))
		exit(1);
	g = load_on_probation(p, at, 0xa1, "0 86400", CHARIOT_VERDICT_AUTO);
	tap_ok(m.created_as == CHARIOT_VERDICT_REPORT, "a spoilt file means probation");
	end_probation(g);
	for (int i = 1; i < 3; i++) {
		if (i == 1)
			forget();
		g = load_on_probation(p, at, 0, "9 86400", CHARIOT_VERDICT_AUTO);
		m.entries = 5;
		end_probation(g);
		t = known();
		tap_ok(!strncmp(t.module, "symbols-", 8) && t.entries == 5ULL * i,
		       "without a build-id the build is told by its symbols");
	}
}

/* It takes its time: all of it with @kernel 6.1 only. */
static void test_probation(const struct chariot_profile *p, uint64_t at,
			   const char *kernel)
{
	chariot_set_log(keep_warning, NULL);
	test_promotion(p, at);
	if (!strcmp(kernel, "6.1")) {
		test_held(p, at);
		test_other_verdicts(p, at);
		test_bad_state(p, at);
	}
	for (int i = 0; i < 4; i++)
		chariot_space__write(&m.guest.space, PAGE_AT(i),
				     (char[PAGE_SIZE]){}, PAGE_SIZE);
	chariot_set_log(note, NULL);
}

static void test_guard(const struct chariot_profile *p, uint64_t load_at)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .drivers = "e1000", .on_event = on_event,
		.verdict = CHARIOT_VERDICT_OOPS,
	};
	struct chariot_event ev = { .type = CHARIOT_EV_KERNEL };
	struct chariot_stats st;
	struct chariot_guard *g;
	uint64_t seq;

	/* The image's own tables know nothing of MODULE. */
	chariot_space__write(&m.guest.space,
			     chariot_profile__symbol(p, "init_top_pgt"),
			     (char[PAGE_SIZE]){}, PAGE_SIZE);
	g = chariot_guard__start(mock_vm(), &o);
	ev.u.kernel.cr3 = m.guest.space.cr3;
	ev.u.kernel.lstar = load_at;
	ev.u.kernel.rip = load_at;
	WAIT_FOR(m.watch.flags == CHARIOT_WATCH_KERNEL);
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq) && !m.errors,
	       "kernel found: %s", m.errors ? m.text : "");
	tap_ok(WAIT_FOR(m.watch.flags ==
			(CHARIOT_WATCH_LOAD | CHARIOT_WATCH_ASK)) &&
	       m.watch.load_gva == load_at &&
	       m.watch.cr3 == m.guest.space.cr3, "waits for drivers to be loaded");
	test_load(p);
	tap_ok(!chariot_guard__stats(g, NULL, &st) && st.violations == 42,
	       "stats of the VM");
	m.domains = 2;
	tap_ok(!chariot_guard__stats(g, "e1000", &st) && st.violations == 43 &&
	       chariot_guard__stats(g, "nvme", &st) == -ENOENT,
	       "stats of a domain");
	tap_ok(!chariot_guard__set_verdict(g, CHARIOT_VERDICT_REPORT) &&
	       m.verdict == CHARIOT_VERDICT_REPORT, "set verdict");
	tap_ok(!chariot_guard__reset(g) && m.nr_resets == 1 &&
	       WAIT_FOR(m.watch.flags == CHARIOT_WATCH_KERNEL),
	       "reset: waits for a kernel again");
	m.domains = 2;
	chariot_guard__stop(g);
	tap_ok(m.nr_drops == 1 && !m.watch.flags, "stop drops domains");
	close(m.events);
}

/* ---- drivers of several modules ----------------------------------------- */

#define MODULE_SIZE	0x2000ULL	/* struct module, and a page of its data */
#define NTH_MODULE(i)	(MODULE + (i) * MODULE_SIZE)
#define USE_AT(i)	(NTH_MODULE(8) + (i) * 0x100)	/* struct module_use */
enum { QXL, TTM, DRM, OTHER, NR_MODULES };
static const char *const module_names[] = { "qxl", "ttm", "drm", "other" };

static void put(const struct chariot_profile *p, const char *type, uint64_t gva,
		const char *path, uint64_t value)
{
	uint64_t size;
	int64_t at = chariot_profile__member(p, type, path, &size);

	if (at >= 0)
		chariot_space__write(&m.guest.space, gva + at, &value, size);
}

static uint64_t at_member(const struct chariot_profile *p, const char *type,
			  uint64_t gva, const char *path)
{
	return gva + chariot_profile__member(p, type, path, NULL);
}

static void put_u64(uint64_t gva, uint64_t value)
{
	chariot_space__write(&m.guest.space, gva, &value, 8);
}

static void list_init(uint64_t head)
{
	put_u64(head, head);
	put_u64(head + 8, head);
}

static void list_add(uint64_t node, uint64_t head)
{
	uint64_t first = head;

	chariot_space__read(&m.guest.space, head, &first, 8);
	put_u64(node, first);
	put_u64(node + 8, head);
	put_u64(head, node);
}

/* One that can be read: a page of data, in which its symbol table is. */
static void make_module(const struct chariot_profile *p, int i, const char *state)
{
	uint64_t gva = NTH_MODULE(i), data = gva + PAGE_SIZE;
	static const char zero[MODULE_SIZE];
	int64_t value = 0;
	char path[32];

	chariot_space__write(&m.guest.space, gva, zero, sizeof(zero));
	chariot_space__write(&m.guest.space, at_member(p, "module", gva, "name"),
			     module_names[i], strlen(module_names[i]) + 1);
	chariot_profile__enumerator(p, "module_state", state, &value);
	put(p, "module", gva, "state", value);
	put(p, "module", gva, "core_layout.base", data);
	put(p, "module", gva, "core_layout.size", PAGE_SIZE);
	if (!chariot_profile__enumerator(p, "mod_mem_type", "MOD_DATA", &value)) {
		snprintf(path, sizeof(path), "mem[%d].base", (int)value);
		put(p, "module", gva, path, data);
		snprintf(path, sizeof(path), "mem[%d].size", (int)value);
		put(p, "module", gva, path, PAGE_SIZE);
	}
	put(p, "module", gva, "kallsyms", data);
	put(p, "mod_kallsyms", data, "symtab", data + 0x100);
	put(p, "mod_kallsyms", data, "num_symtab", 1);
	put(p, "mod_kallsyms", data, "strtab", data + 0x200);
	list_init(at_member(p, "module", gva, "source_list"));
	list_init(at_member(p, "module", gva, "target_list"));
	list_add(at_member(p, "module", gva, "list"),
		 chariot_profile__symbol(p, "modules"));
}

static void make_use(const struct chariot_profile *p, int i, int source, int target)
{
	uint64_t use = USE_AT(i);

	put(p, "module_use", use, "source", NTH_MODULE(source));
	put(p, "module_use", use, "target", NTH_MODULE(target));
	list_add(at_member(p, "module_use", use, "source_list"),
		 at_member(p, "module", NTH_MODULE(target), "source_list"));
	list_add(at_member(p, "module_use", use, "target_list"),
		 at_member(p, "module", NTH_MODULE(source), "target_list"));
}

/* What the guest runs to have all modules loaded anew. */
static bool restarts(const struct chariot_recover *r, const char *modules)
{
	char text[512] = "";
	uint64_t at = 0;

	chariot_space__read(&m.guest.space, r->restart.arg[1] + 16, &at, 8);
	chariot_space__read(&m.guest.space, at, text, 256);
	return r->restart.fn && !r->replace[1].fn && strstr(text, modules);
}

static uint64_t load_module(int i)
{
	struct chariot_event ev = { .type = CHARIOT_EV_LOAD };

	ev.u.load.module = NTH_MODULE(i);
	ev.u.load.cr3 = m.guest.space.cr3;
	return send_event(ev);
}

static void send_name(uint32_t type, const char *name)
{
	struct chariot_event ev = { .type = type, .domain = 1 };

	strcpy(ev.u.name.name, name);
	send_event(ev);
}

static struct chariot_guard *start_several(const char *drivers, uint64_t load_at,
					   uint64_t cpus)
{
	static struct chariot_guard_opts o = {
		.sz = sizeof(o), .on_event = on_event,
		.verdict = CHARIOT_VERDICT_OOPS, .state_dir = state_dir,
	};
	struct chariot_event ev = { .type = CHARIOT_EV_KERNEL };
	struct chariot_guard *g;
	uint64_t seq;

	/* In the image it is as many as can be. */
	put_u64(cpus, 1);
	o.drivers = drivers;
	m.domain_name = "qxl";
	g = chariot_guard__start(mock_vm(), &o);
	WAIT_FOR(m.watch.flags == CHARIOT_WATCH_KERNEL);
	ev.u.kernel.cr3 = m.guest.space.cr3;
	ev.u.kernel.lstar = load_at;
	ev.u.kernel.rip = load_at;
	seq = send_event(ev);
	WAIT_FOR(m.continued == seq);
	return g;
}

static void end_several(struct chariot_guard *g)
{
	chariot_guard__stop(g);
	close(m.events);
	m.domain_name = NULL;
}

/* Loaded while the guard waits: one domain, and enforced. */
static void test_named(const struct chariot_profile *p, uint64_t load_at)
{
	struct chariot_guard *g;
	uint64_t seq;

	list_init(chariot_profile__symbol(p, "modules"));
	g = start_several("qxl+ttm", load_at, chariot_profile__symbol(p, "nr_cpu_ids"));
	make_module(p, TTM, "MODULE_STATE_COMING");
	seq = load_module(TTM);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_creates == 1 && !m.nr_adds &&
	       !strcmp(m.create.name, "qxl") && !strcmp(m.create.module, "ttm") &&
	       !m.create.domain && m.create.verdict == CHARIOT_VERDICT_OOPS,
	       "several modules: the first one makes the domain");
	tap_ok(restarts(&m.create.recover, "m='ttm';"), "it alone is loaded anew");
	make_module(p, TTM, "MODULE_STATE_LIVE");
	make_module(p, QXL, "MODULE_STATE_COMING");
	seq = load_module(QXL);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_creates == 1 &&
	       m.nr_adds == 1 && !strcmp(m.add.module, "qxl") &&
	       m.add.domain == 1 && !m.errors,
	       "the next one is added: %s", m.errors ? m.text : "");
	tap_ok(restarts(&m.add.recover, "m='qxl ttm';"), "both are loaded anew");
	make_module(p, OTHER, "MODULE_STATE_COMING");
	seq = load_module(OTHER);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_creates + m.nr_adds == 2,
	       "a module of nobody is let go");
	chariot_guard__set_verdict(g, CHARIOT_VERDICT_AUTO);
	send_name(CHARIOT_EV_MODULE_GONE, "qxl");
	seq = load_module(QXL);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_adds == 2 && !m.errors,
	       "unloaded and loaded: added again");
	m.domains = 0;
	send_name(CHARIOT_EV_DOMAIN_GONE, "qxl");
	seq = load_module(QXL);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_creates == 2 &&
	       m.create.verdict == CHARIOT_VERDICT_REPORT &&
	       WAIT_FOR(m.nr_adds == 3) && !strcmp(m.add.module, "ttm"),
	       "one that was loaded before is added, and the verdict is report");
	end_several(g);
}

/* "qxl+": drm is another's, too. */
static void test_depends(const struct chariot_profile *p, uint64_t load_at)
{
	struct chariot_guard *g;
	uint64_t seq, pos;

	list_init(chariot_profile__symbol(p, "modules"));
	for (int i = 0; i < NR_MODULES; i++)
		make_module(p, i, i == QXL ? "MODULE_STATE_COMING" :
					     "MODULE_STATE_LIVE");
	make_use(p, 0, QXL, TTM);
	make_use(p, 1, QXL, DRM);
	make_use(p, 2, TTM, DRM);
	make_use(p, 3, OTHER, DRM);
	g = start_several("qxl+", load_at, chariot_profile__symbol(p, "nr_cpu_ids"));
	send_name(CHARIOT_EV_DOMAIN_GONE, "qxl");
	m.domains = 0;
	m.added[0] = 0;
	m.nr_creates = m.errors = 0;
	seq = load_module(QXL);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_creates == 1 &&
	       !strcmp(m.create.module, "qxl") && !strcmp(m.added, "ttm ") &&
	       m.create.verdict == CHARIOT_VERDICT_REPORT && !m.errors,
	       "qxl+: what only it needs is added: %s%s", m.added,
	       m.errors ? m.text : "");
	/* The guest loads them anew: by then they are known. */
	m.domains = 0;
	send_name(CHARIOT_EV_DOMAIN_GONE, "qxl");
	list_init(chariot_profile__symbol(p, "modules"));
	make_module(p, TTM, "MODULE_STATE_COMING");
	seq = load_module(TTM);
	tap_ok(WAIT_FOR(m.continued == seq) && m.nr_creates == 2 &&
	       !strcmp(m.create.module, "ttm") &&
	       m.create.verdict == CHARIOT_VERDICT_OOPS,
	       "qxl+: loaded anew it is isolated from the beginning");
	/* A list that never comes to its head. */
	m.domains = 0;
	send_name(CHARIOT_EV_DOMAIN_GONE, "qxl");
	make_module(p, QXL, "MODULE_STATE_COMING");
	pos = at_member(p, "module_use", USE_AT(0), "target_list");
	make_use(p, 0, QXL, TTM);
	put_u64(pos, pos);
	seq = load_module(QXL);
	tap_ok(WAIT_FOR(m.continued == seq) && m.errors &&
	       strstr(m.text, "cannot tell which modules") &&
	       m.nr_creates == 3, "a list without end: %s", m.text);
	end_several(g);
}

/* Images are exchanged where somebody wants it, and the host can. */
static void test_images(const struct chariot_profile *p, uint64_t load_at)
{
	struct chariot_event ev = { .type = CHARIOT_EV_IMAGE };
	uint64_t cpus = chariot_profile__symbol(p, "nr_cpu_ids");
	struct chariot_guard *g;
	uint64_t seq;

	list_init(chariot_profile__symbol(p, "modules"));
	setenv("CHARIOT_DELIVER", "1", 1);
	g = start_several("qxl", load_at, cpus);
	tap_ok(WAIT_FOR(m.watch.flags & CHARIOT_WATCH_IMAGE) && m.watch.load_gva == load_at &&
	       m.watch.image_gva == chariot_profile__symbol(p, "module_sig_check"),
	       "images are waited for");
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq) && !m.errors, "one that cannot be read goes on");
	end_several(g);
	m.no_images = true;
	g = start_several("qxl", load_at, cpus);
	tap_ok(WAIT_FOR(m.watch.flags & CHARIOT_WATCH_LOAD) &&
	       !(m.watch.flags & CHARIOT_WATCH_IMAGE) && !m.watch.image_gva &&
	       WAIT_FOR(m.errors == 1), "an older module: %s", m.text);
	seq = send_event(ev);
	tap_ok(WAIT_FOR(m.continued == seq), "what waits nevertheless goes on");
	end_several(g);
	m.no_images = false;
	unsetenv("CHARIOT_DELIVER");
}

static void test_kernel(const char *version)
{
	const char *dir = getenv("CHARIOT_KERNELS");
	struct chariot_profile *p;
	struct image img;
	char path[PATH_MAX];
	uint64_t at;

	snprintf(path, sizeof(path), "%s%s/%s/vmlinuz",
		 dir ?: getenv("CHARIOT_TOP") ?: "..",
		 dir ? "" : "/.cache/kernels", version);
	if (access(path, R_OK) || image_from_file(&img, path)) {
		tap_skip(version, "no kernel in CHARIOT_KERNELS");
		return;
	}
	p = chariot_profile__from_file(path);
	fake_init(&m.guest, 160 << 20, false);
	m.guest.used = 130 << 20;	/* page tables: behind the image */
	at = chariot_profile__symbol(p, "do_init_module");
	fake_load(&m.guest, &img, GPA, SHIFT, at);
	for (uint64_t i = 0; i < 9 * MODULE_SIZE; i += PAGE_SIZE)
		fake_map(&m.guest, MODULE + i, (150 << 20) + i, 1);
	image_free(&img);
	at += SHIFT;
	test_guard(p, at);
	test_probation(p, at, version);
	test_named(p, at);
	test_depends(p, at);
	test_images(p, at);
	chariot_profile__free(p);
	fake_free(&m.guest);
}

int main(void)
{
	if (!mkdtemp(state_dir))
		return 1;
	setenv("CHARIOT_PROVED", "/nonexistent", 1);
	chariot_set_log(note, NULL);
	vm_ioctl = mock_ioctl;
	test_calls();
	test_names();
	test_describe();
	test_rude_names();
	test_no_names();
	test_many_names();
	test_many_modules();
	test_apart(false);
	test_apart(true);
	fake_init(&m.guest, 1 << 20, false);
	test_idle();
	test_errors();
	fake_free(&m.guest);
	test_kernel("6.1");
	test_kernel("6.12");
	remove_files("");
	return tap_done();
}
