// SPDX-License-Identifier: GPL-2.0
/*
 * One VM, "mock", with one isolated driver, "demo", in place of the library's
 * calls that need a host with KVM (ld --wrap).
 *
 *	MOCK_KERNEL	vmlinuz that the guest runs; without: none was seen
 *	MOCK_TEXT	file of the driver's text, which keeps what is written
 *	MOCK_PLAIN	nobody guards this VM
 *	MOCK_SYSLOG	file that gets what would be in the system log
 *	MOCK_TRUST	state of the driver's build
 *	MOCK_NAMES	two more VMs, which have numbers for names
 */
#include "../cli.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#define TEXT	0xffffffffc0400000ULL
#define DATA	0xffffffffc0401000ULL
#define MODULE	0xffffffffc0402000ULL
#define HEAP	0xffff888003fe0000ULL

struct chariot_vm { int unused; };
struct chariot_driver { int unused; };
static struct chariot_vm the_vm;
static struct chariot_driver the_driver;
static struct chariot_profile *profile;
static uint32_t verdict = CHARIOT_VERDICT_SKIP;
static unsigned int nr_events;
static bool released;

static const uint8_t code[4096] = {
	/* demo_open */
	0x48, 0x89, 0xf8,				/* mov %rdi,%rax */
	0x65, 0xc7, 0x05, 0, 0, 0, 0, 1, 0, 0, 0,	/* movl $1,%gs: */
	0x48, 0xc7, 0x44, 0x24, 8, 0, 0, 0, 0,		/* movq $0,8(%rsp) */
	0xc7, 0x83, 0x10, 2, 0, 0, 1, 0, 0, 0,		/* movl $1,0x210(%rbx) */
	0x48, 0xc7, 0x43, 0x18, 0, 0, 0, 0,		/* movq $0,0x18(%rbx) */
	0x48, 0xc7, 0x83, 0x20, 2, 0, 0, 0, 0, 0, 0,	/* movq $0,0x220(%rbx) */
	0xc3,
	/* demo_short, at 53 */
	0x89, 0x07, 0xc3,				/* mov %eax,(%rdi) */
	/* demo_xmit.isra.0, at 56 */
	0x48, 0x89, 0x83, 0, 1, 0, 0, 0xc3,		/* mov %rax,0x100(%rbx) */
};

static const struct chariot_section sections[] = {
	{ TEXT, 4096, CHARIOT_RANGE_TEXT, "text" },
	{ DATA, 4096, CHARIOT_RANGE_DATA, "data" },
};
static const struct chariot_symbol symbols[] = {
	{ "demo_open", TEXT, 53, true },
	{ "demo_short", TEXT + 53, 0, true },
	{ "demo_xmit.isra.0", TEXT + 56, 8, true },
	{ "demo_data", DATA, 64, false },
};

/* ---- the VM ------------------------------------------------------------- */

int __wrap_vms_find(struct kvm_vm **vms, unsigned int *hidden);
int __wrap_vms_find(struct kvm_vm **vms, unsigned int *hidden)
{
	*hidden = 3;
	*vms = calloc(4, sizeof(**vms));
	(*vms)[0] = (struct kvm_vm){
		.pid = 4711, .name = "mock", .vcpus = 2, .readable = true };
	(*vms)[1] = (struct kvm_vm){ .pid = 4712, .name = "other,one" };
	if (!getenv("MOCK_NAMES"))
		return 2;
	(*vms)[2] = (struct kvm_vm){ .pid = 4713, .name = "4711" };
	(*vms)[3] = (struct kvm_vm){ .pid = 4714, .name = "4714" };
	return 4;
}

int __wrap_chariot_device_check(void);
int __wrap_chariot_device_check(void)
{
	return 0;
}

struct chariot_vm *__wrap_chariot_vm__attach_pid(pid_t pid);
struct chariot_vm *__wrap_chariot_vm__attach_pid(pid_t pid)
{
	if (pid == 4711)
		return &the_vm;
	errno = EPERM;
	return NULL;
}

void __wrap_chariot_vm__free(struct chariot_vm *vm);
void __wrap_chariot_vm__free(struct chariot_vm *vm)
{
	(void)vm;
	chariot_profile__free(profile);
	profile = NULL;
}

int __wrap_chariot_vm__fd(const struct chariot_vm *vm);
int __wrap_chariot_vm__fd(const struct chariot_vm *vm)
{
	static int fd = -1;

	(void)vm;
	if (fd < 0)
		fd = eventfd(1, EFD_CLOEXEC);	/* always readable */
	return fd;
}

const struct chariot_space *__wrap_chariot_vm__space(struct chariot_vm *vm);
const struct chariot_space *__wrap_chariot_vm__space(struct chariot_vm *vm)
{
	static const struct chariot_space space;

	(void)vm;
	return &space;
}

const struct chariot_profile *
__wrap_chariot_vm__profile(struct chariot_vm *vm, int timeout_ms);
const struct chariot_profile *
__wrap_chariot_vm__profile(struct chariot_vm *vm, int timeout_ms)
{
	const char *path = getenv("MOCK_KERNEL");

	(void)vm;
	if (!profile && path)
		profile = chariot_profile__from_file(path);
	/* Nothing in it is looked at: what would do so is made up, too. */
	if (!profile && getenv("MOCK_TRUST"))
		return (const void *)&the_driver;
	if (!profile)
		errno = timeout_ms ? ETIMEDOUT : EAGAIN;
	return profile;
}

int __wrap_chariot_vm__info(struct chariot_vm *vm, struct chariot_vm_info *i);
int __wrap_chariot_vm__info(struct chariot_vm *vm, struct chariot_vm_info *i)
{
	bool plain = getenv("MOCK_PLAIN");

	(void)vm;
	*i = (struct chariot_vm_info){
		.state = plain || released ? CHARIOT_VM_PLAIN :
					     CHARIOT_VM_ISOLATING,
		.nr_vcpus = 2, .vmm_pid = 4711,
		.domains = plain || released ? 0 : 1U << 1,
		.watch = plain ? 0 : CHARIOT_WATCH_LOAD,
		.nr_handles = plain ? 1 : 2,
		.lstar = getenv("MOCK_KERNEL") ? 1 : 0,
	};
	return 0;
}

int __wrap_chariot_vm__domain_info(struct chariot_vm *vm, uint32_t domain,
				   struct chariot_domain_info *i);
int __wrap_chariot_vm__domain_info(struct chariot_vm *vm, uint32_t domain,
				   struct chariot_domain_info *i)
{
	(void)vm;
	*i = (struct chariot_domain_info){
		.domain = domain, .verdict = verdict, .name = "demo",
		.text = TEXT, .text_len = 4096, .nr_objects = 3,
		.nr_pages_full = 1, .nr_pages_shared = 2, .memory = 70000,
	};
	return domain == 1 ? 0 : -ENOENT;
}

int __wrap_chariot_vm__domain_by_name(struct chariot_vm *vm, const char *name);
int __wrap_chariot_vm__domain_by_name(struct chariot_vm *vm, const char *name)
{
	(void)vm;
	return strcmp(name, "demo") || released || getenv("MOCK_PLAIN") ?
	       -ENOENT : 1;
}

int __wrap_chariot_vm__stats(struct chariot_vm *vm, uint32_t domain,
			     struct chariot_stats *st);
int __wrap_chariot_vm__stats(struct chariot_vm *vm, uint32_t domain,
			     struct chariot_stats *st)
{
	static unsigned int n;

	(void)vm;
	n++;
	*st = (struct chariot_stats){
		.domain = domain, .entries = 10 * n, .returns = 10 * n,
		.calls = 200, .call_returns = 200, .emulated_writes = 30,
		.violations = 2, .exits_kvm = 40, .exits = 500 + 20 * n,
		.allocations = 7, .frees = 4, .down_ms = 1250,
	};
	return 0;
}

int __wrap_chariot_vm__set_verdict(struct chariot_vm *vm, uint32_t domain,
				   uint32_t v);
int __wrap_chariot_vm__set_verdict(struct chariot_vm *vm, uint32_t domain,
				   uint32_t v)
{
	(void)vm;
	(void)domain;
	if (v == CHARIOT_VERDICT_RECOVER)
		return -EOPNOTSUPP;
	verdict = v;
	return 0;
}

ssize_t __wrap_chariot_vm__act(struct chariot_vm *vm, uint32_t domain,
			       struct chariot_object **rows);
ssize_t __wrap_chariot_vm__act(struct chariot_vm *vm, uint32_t domain,
			       struct chariot_object **rows)
{
	static const struct chariot_object act[] = {
		{ HEAP, 64, TEXT + 53, TEXT + 5, CHARIOT_SRC_ALLOCATION, 0 },
		{ HEAP + 128, 1024, TEXT + 53, 0, CHARIOT_SRC_ALLOCATION, 0 },
		{ DATA, 4096, 0, 0, CHARIOT_SRC_SECTION, 0 },
	};

	(void)vm;
	(void)domain;
	*rows = malloc(sizeof(act));
	memcpy(*rows, act, sizeof(act));
	return ARRAY_SIZE(act);
}

void __wrap_chariot_trust__of(const char *dir, const struct chariot_profile *p,
			      const struct chariot_driver *d,
			      struct chariot_trust *t);
void __wrap_chariot_trust__of(const char *dir, const struct chariot_profile *p,
			      const struct chariot_driver *d,
			      struct chariot_trust *t)
{
	(void)dir;
	(void)p;
	(void)d;
	*t = (struct chariot_trust){ .driver = "demo", .entries = 12,
				     .seconds = 34 };
	while (t->state < CHARIOT_NR_TRUST_STATES &&
	       strcmp(chariot_trust_state_name(t->state), getenv("MOCK_TRUST")))
		t->state++;
	if (t->state == CHARIOT_TRUST_HELD)
		strcpy(t->reason, "demo: it has done it before");
}

/* ---- events ------------------------------------------------------------- */

int __wrap_chariot_vm__request(struct chariot_vm *vm, uint32_t what,
			       const char *name);
int __wrap_chariot_vm__request(struct chariot_vm *vm, uint32_t what,
			       const char *name)
{
	(void)vm;
	released = what == CHARIOT_REQUEST_RELEASE && !strcmp(name, "demo");
	return 0;
}

static void violation(struct chariot_event *ev)
{
	ev->type = CHARIOT_EV_VIOLATION;
	ev->domain = 1;
	ev->flags = nr_events == 2 ? CHARIOT_EV_WAITS : 0;
	ev->verdict = verdict;
	ev->u.violation.len = 4;
	ev->u.violation.rip = TEXT + 23;
	ev->u.violation.gva = HEAP + 66;
	ev->u.violation.gpa = 0x3fe0042;
	memset(ev->u.violation.bytes, 0x41, 4);
	ev->u.violation.near[0] = (struct chariot_object){
		.gva = HEAP, .len = 64, .source = CHARIOT_SRC_ALLOCATION };
}

int __wrap_chariot_vm__next_event(struct chariot_vm *vm,
				  struct chariot_event *ev, int timeout_ms);
int __wrap_chariot_vm__next_event(struct chariot_vm *vm,
				  struct chariot_event *ev, int timeout_ms)
{
	(void)vm;
	*ev = (struct chariot_event){
		.size = sizeof(*ev), .seq = ++nr_events,
		.time_ns = now_ms() * 1000000ULL, .vcpu = 1,
	};
	if (released) {
		ev->type = CHARIOT_EV_DOMAIN_GONE;
		strcpy(ev->u.name.name, "demo");
	} else if (nr_events == 1) {
		ev->type = CHARIOT_EV_DOMAIN_NEW;
		ev->domain = 1;
		strcpy(ev->u.name.name, "demo\x1b[31m");
	} else if (nr_events <= 3) {
		violation(ev);
	} else {
		usleep(timeout_ms > 0 ? timeout_ms * 1000 : 1000);
		return 0;
	}
	return 1;
}

const char *__wrap_chariot_vm__symbolize(struct chariot_vm *vm, uint64_t addr,
					 char *buf, size_t len);
const char *__wrap_chariot_vm__symbolize(struct chariot_vm *vm, uint64_t addr,
					 char *buf, size_t len)
{
	const char *name = profile ? chariot_profile__name(profile, addr,
							   &(uint64_t){ 0 }) :
			   NULL;
	uint64_t off = 0;

	(void)vm;
	if (name)
		chariot_profile__name(profile, addr, &off);
	for (size_t i = 0; !name && i < ARRAY_SIZE(symbols); i++) {
		off = addr - symbols[i].gva;
		if (off < symbols[i].size)
			name = symbols[i].name;
	}
	if (name)
		snprintf(buf, len, off ? "%s+0x%llx" : "%s", name,
			 (unsigned long long)off);
	else
		snprintf(buf, len, "0x%llx", (unsigned long long)addr);
	return buf;
}

const char *__wrap_chariot_vm__describe(struct chariot_vm *vm,
					const struct chariot_event *ev,
					char *buf, size_t len);
const char *__wrap_chariot_vm__describe(struct chariot_vm *vm,
					const struct chariot_event *ev,
					char *buf, size_t len)
{
	(void)vm;
	snprintf(buf, len, "demo: event %u of the mock", ev->type);
	return buf;
}

/* ---- the guard ---------------------------------------------------------- */

struct chariot_guard {
	struct chariot_guard_opts o;
	pthread_t thread;
};

/* Of the library, which shows it to none but itself. */
void chariot_log(enum chariot_log_level level, const char *fmt, ...);

static void *guard_main(void *arg)
{
	struct chariot_guard *g = arg;
	struct chariot_event ev;

	chariot_log(CHARIOT_LOG_INFO, "the guest loads demo");
	chariot_log(CHARIOT_LOG_WARN, "demo has no usable BTF");
	chariot_log(CHARIOT_LOG_ERROR, "demo: bad symbols");
	chariot_log(CHARIOT_LOG_DEBUG, "nobody asked for this");
	__wrap_chariot_vm__next_event(&the_vm, &ev, 0);
	if (!g->o.events_apart)
		chariot_log(CHARIOT_LOG_INFO, "demo: event %u of the mock",
			    ev.type);
	g->o.on_event(g->o.ctx, &ev, "demo: event of the mock");
	return NULL;
}

struct chariot_guard *
__wrap_chariot_guard__start(struct chariot_vm *vm,
			    const struct chariot_guard_opts *o);
struct chariot_guard *
__wrap_chariot_guard__start(struct chariot_vm *vm,
			    const struct chariot_guard_opts *o)
{
	struct chariot_guard *g = calloc(1, sizeof(*g));

	(void)vm;
	g->o = *o;
	pthread_create(&g->thread, NULL, guard_main, g);
	return g;
}

void __wrap_chariot_guard__stop(struct chariot_guard *g);
void __wrap_chariot_guard__stop(struct chariot_guard *g)
{
	pthread_join(g->thread, NULL);
	free(g);
}

void __wrap_syslog(int priority, const char *fmt, ...);
void __wrap_syslog(int priority, const char *fmt, ...)
{
	FILE *f = fopen(getenv("MOCK_SYSLOG") ?: "/dev/null", "ae");
	va_list ap;

	if (!f)
		return;
	fprintf(f, "<%d>", priority);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\n', f);
	fclose(f);
}

/* ---- the driver and memory ---------------------------------------------- */

uint64_t __wrap_chariot_driver__find(const struct chariot_profile *p,
				     const struct chariot_space *s,
				     const char *name);
uint64_t __wrap_chariot_driver__find(const struct chariot_profile *p,
				     const struct chariot_space *s,
				     const char *name)
{
	(void)p;
	(void)s;
	errno = ENOENT;
	return strcmp(name, "demo") ? 0 : MODULE;
}

struct chariot_driver *
__wrap_chariot_driver__from_guest(const struct chariot_profile *p,
				  const struct chariot_space *s,
				  uint64_t module);
struct chariot_driver *
__wrap_chariot_driver__from_guest(const struct chariot_profile *p,
				  const struct chariot_space *s,
				  uint64_t module)
{
	(void)p;
	(void)s;
	(void)module;
	return &the_driver;
}

void __wrap_chariot_driver__free(struct chariot_driver *d);
void __wrap_chariot_driver__free(struct chariot_driver *d)
{
	(void)d;
}

const struct chariot_section *
__wrap_chariot_driver__sections(const struct chariot_driver *d, size_t *nr);
const struct chariot_section *
__wrap_chariot_driver__sections(const struct chariot_driver *d, size_t *nr)
{
	(void)d;
	*nr = ARRAY_SIZE(sections);
	return sections;
}

const struct chariot_symbol *
__wrap_chariot_driver__symbols(const struct chariot_driver *d, size_t *nr);
const struct chariot_symbol *
__wrap_chariot_driver__symbols(const struct chariot_driver *d, size_t *nr)
{
	(void)d;
	*nr = ARRAY_SIZE(symbols);
	return symbols;
}

static int text_file(void)
{
	const char *path = getenv("MOCK_TEXT");
	int fd = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;

	if (fd >= 0 && !lseek(fd, 0, SEEK_END) &&
	    write(fd, code, sizeof(code)) != sizeof(code))
		abort();
	return fd;
}

/* A list of modules with this one in it, and its struct module. */
static int read_module(uint64_t gva, void *buf, size_t len)
{
	static uint8_t module[8192];
	uint64_t head = chariot_profile__symbol(profile, "modules");
	int64_t list = chariot_profile__member(profile, "module", "list", NULL);
	int64_t name = chariot_profile__member(profile, "module", "name", NULL);
	uint64_t first = MODULE + list;

	memcpy(module + list, &head, sizeof(head));
	strcpy((char *)module + name, "demo");
	if (gva == head && len == 8) {
		memcpy(buf, &first, 8);
		return 0;
	}
	if (gva - MODULE > sizeof(module) ||
	    len > sizeof(module) - (gva - MODULE))
		return -EFAULT;
	memcpy(buf, module + (gva - MODULE), len);
	return 0;
}

int __wrap_chariot_space__read(const struct chariot_space *s, uint64_t gva,
			       void *buf, size_t len);
int __wrap_chariot_space__read(const struct chariot_space *s, uint64_t gva,
			       void *buf, size_t len)
{
	int fd, err = 0;

	(void)s;
	if (gva - TEXT >= sizeof(code))
		return read_module(gva, buf, len);
	fd = text_file();
	if (fd < 0)
		memcpy(buf, code + (gva - TEXT), len);
	else if (pread(fd, buf, len, gva - TEXT) != (ssize_t)len)
		err = -EFAULT;
	if (fd >= 0)
		close(fd);
	return err;
}

int __wrap_chariot_space__write(const struct chariot_space *s, uint64_t gva,
				const void *buf, size_t len);
int __wrap_chariot_space__write(const struct chariot_space *s, uint64_t gva,
				const void *buf, size_t len)
{
	int fd = text_file(), err = 0;

	(void)s;
	if (fd < 0 || gva - TEXT >= sizeof(code) ||
	    pwrite(fd, buf, len, gva - TEXT) != (ssize_t)len)
		err = -EFAULT;
	if (fd >= 0)
		close(fd);
	return err;
}
