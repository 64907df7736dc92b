// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libchariot that acts a VM out, for tests of the device without KVM:
 * LD_PRELOAD it.  What it is asked for goes to stderr as "mock: ...".  Its
 * guard's thread does what lines in the FIFO $CHARIOT_MOCK say:
 *
 *	violation SEQ	one that waits, as with verdict pause
 *	error TEXT	a failure of the guard, reported to on_event
 *	flood NR	so many warnings
 */
#include <chariot.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MOCK_FD	1000		/* no descriptor of QEMU's */

/* QEMU's */
extern bool kvm_allowed;

struct chariot_guard {
	struct chariot_guard_opts o;
	pthread_t thread;
	int fifo, stop[2];
};

static chariot_log_fn log_fn;
static void *log_ctx;

static void tell(enum chariot_log_level level, const char *text)
{
	if (log_fn)
		log_fn(log_ctx, level, text);
}

void chariot_set_log(chariot_log_fn fn, void *ctx)
{
	log_fn = fn;
	log_ctx = ctx;
}

/* ---- what realize asks for, in that order ------------------------------- */

struct chariot_policy *chariot_policy__load(const char *const *paths)
{
	kvm_allowed = true;
	for (; paths && *paths; paths++) {
		fprintf(stderr, "mock: policy %s\n", *paths);
		if (!access(*paths, R_OK))
			continue;
		tell(CHARIOT_LOG_ERROR, "FILE:7: no such thing");
		errno = EINVAL;
		return NULL;
	}
	return (void *)1;
}

void chariot_policy__free(struct chariot_policy *p)
{
}

struct chariot_vm *chariot_vm__attach_self(void)
{
	const char *err = getenv("CHARIOT_MOCK_ATTACH");

	/* QEMU has no KVM to go on with. */
	kvm_allowed = false;
	if (!err)
		return (void *)1;
	errno = atoi(err);
	return NULL;
}

void chariot_vm__free(struct chariot_vm *vm)
{
}

bool chariot_name_ok(const char *name, size_t len)
{
	return len && len < CHARIOT_NAME_LEN && *name != '-' && *name != '+' &&
	       !memmem(name, len, "++", 2) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-+") >= len;
}

/* ---- the guard ---------------------------------------------------------- */

static void violation(struct chariot_guard *g, uint64_t seq)
{
	struct chariot_event ev = {
		.size = sizeof(ev), .type = CHARIOT_EV_VIOLATION, .seq = seq,
		.flags = CHARIOT_EV_WAITS, .verdict = CHARIOT_VERDICT_PAUSE,
	};

	tell(CHARIOT_LOG_WARN, "e1000 writes where it must not");
	g->o.on_event(g->o.ctx, &ev, "");
}

static void error(struct chariot_guard *g, const char *text)
{
	struct chariot_event ev = {
		.size = sizeof(ev), .type = CHARIOT_EV_ERROR,
	};

	tell(CHARIOT_LOG_ERROR, text);
	g->o.on_event(g->o.ctx, &ev, text);
	fprintf(stderr, "mock: on_event returned\n");
}

static void flood(int nr)
{
	while (nr--)
		tell(CHARIOT_LOG_WARN, "again");
	fprintf(stderr, "mock: flooded\n");
}

static void command(struct chariot_guard *g, char *line)
{
	line[strcspn(line, "\n")] = 0;
	if (!strncmp(line, "violation ", 10))
		violation(g, atoi(line + 10));
	else if (!strncmp(line, "error ", 6))
		error(g, line + 6);
	else if (!strncmp(line, "flood ", 6))
		flood(atoi(line + 6));
}

/* A writer gives one line, and waits for its effect. */
static void *guard_main(void *arg)
{
	struct chariot_guard *g = arg;
	struct pollfd p[2] = {
		{ .fd = g->stop[0], .events = POLLIN },
		{ .fd = g->fifo, .events = POLLIN },
	};
	char line[256];
	ssize_t n;

	while (poll(p, 2, -1) >= 0 && !p[0].revents) {
		n = read(g->fifo, line, sizeof(line) - 1);
		if (n <= 0)
			continue;
		line[n] = 0;
		command(g, line);
	}
	return NULL;
}

struct chariot_guard *chariot_guard__start(struct chariot_vm *vm,
					   const struct chariot_guard_opts *o)
{
	const char *fifo = getenv("CHARIOT_MOCK");
	struct chariot_guard *g = calloc(1, sizeof(*g));
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	fprintf(stderr, "mock: start drivers=%s verdict=%s fail_stop=%d signals=%s state=%s\n",
		o->drivers, chariot_verdict_name(o->verdict), o->fail_stop,
		sigismember(&mask, SIGTERM) ? "blocked" : "open",
		o->state_dir ?: "default");
	g->o = *o;
	/* Read and write: so that it never ends. */
	g->fifo = fifo ? open(fifo, O_RDWR | O_CLOEXEC) : -1;
	if (pipe(g->stop) || pthread_create(&g->thread, NULL, guard_main, g))
		abort();
	return g;
}

const char *chariot_trust__dir(const char *dir)
{
	return dir ?: CHARIOT_STATE_DIR;
}

void chariot_guard__stop(struct chariot_guard *g)
{
	close(g->stop[1]);
	pthread_join(g->thread, NULL);
	fprintf(stderr, "mock: stop\n");
	close(g->stop[0]);
	close(g->fifo);
	free(g);
}

int chariot_guard__reset(struct chariot_guard *g)
{
	fprintf(stderr, "mock: reset\n");
	return 0;
}

int chariot_guard__stats(struct chariot_guard *g, const char *name,
			 struct chariot_stats *st)
{
	*st = (struct chariot_stats){ .entries = 12, .exits_kvm = 34 };
	return 0;
}

int chariot_guard__set_verdict(struct chariot_guard *g, uint32_t verdict)
{
	fprintf(stderr, "mock: verdict %s\n", chariot_verdict_name(verdict));
	return 0;
}

int chariot_guard__ask(struct chariot_guard *g, const char *name)
{
	fprintf(stderr, "mock: ask %s\n", name);
	return strcmp(name, "refused") ? 0 : -EBUSY;
}

int chariot_guard__state(struct chariot_guard *g, const char *name)
{
	return CHARIOT_DRIVER_AWAITED;
}

/* ---- the VM ------------------------------------------------------------- */

int chariot_vm__fd(const struct chariot_vm *vm)
{
	return MOCK_FD;
}

int chariot_vm__info(struct chariot_vm *vm, struct chariot_vm_info *i)
{
	*i = (struct chariot_vm_info){
		.state = CHARIOT_VM_ISOLATING, .domains = 1 << 3,
	};
	return 0;
}

int chariot_vm__domain_info(struct chariot_vm *vm, uint32_t domain,
			    struct chariot_domain_info *i)
{
	*i = (struct chariot_domain_info){
		.domain = domain, .verdict = CHARIOT_VERDICT_OOPS,
		.name = "e1000", .nr_objects = 56,
	};
	return 0;
}

static const char *const verdicts[] = {
	"report", "skip", "oops", "pause", "recover",
};

const char *chariot_verdict_name(uint32_t verdict)
{
	return verdict == CHARIOT_VERDICT_AUTO ? "auto" : verdicts[verdict];
}

int chariot_verdict_by_name(const char *name)
{
	for (int i = 0; i < CHARIOT_NR_VERDICTS; i++)
		if (!strcmp(verdicts[i], name))
			return i;
	return strcmp(name, "auto") ? -EINVAL : CHARIOT_VERDICT_AUTO;
}

__attribute__((visibility("default")))
int ioctl(int fd, unsigned long cmd, ...)
{
	static int (*real)(int, unsigned long, void *);
	void *arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd == MOCK_FD && cmd == CHARIOT_CONTINUE) {
		fprintf(stderr, "mock: continue %llu\n", (unsigned long long)
			((struct chariot_continue *)arg)->seq);
		return 0;
	}
	if (!real)
		real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, cmd, arg);
}
