// SPDX-License-Identifier: GPL-2.0
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int kvm_fd = -1, dev_fd = -1;

void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "# error: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", strerror(err));
	va_end(ap);
	_exit(125);
}

void devices_open(void)
{
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		die("/dev/kvm");
	dev_fd = open("/dev/chariot", O_RDWR | O_CLOEXEC);
	if (dev_fd < 0)
		die("/dev/chariot");
}

/* ---- the guest ---------------------------------------------------------- */

/* 4 GiB, each address is its own. */
void guest_tables(struct guest *g)
{
	uint64_t *pml4 = (void *)(g->mem + PML4);
	uint64_t *pdpt = (void *)(g->mem + PDPT);
	uint64_t *pd = (void *)(g->mem + PD);
	uint64_t i;

	pml4[0] = PDPT | 3;
	for (i = 0; i < 4; i++)
		pdpt[i] = (PD + i * PAGE) | 3;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = i << 21 | 0x83;
}

void guest_idt(struct guest *g)
{
	uint64_t *e = (void *)(g->mem + IDT);
	unsigned int i;

	for (i = 0; i < 256; i++) {
		e[2 * i] = (INTR & 0xffffull) | 0x10ull << 16 |
			   0x8e00ull << 32 | (INTR & 0xffff0000ull) << 32;
		e[2 * i + 1] = 0;
	}
}

void guest_gdt(struct guest *g)
{
	uint64_t *e = (void *)(g->mem + GDT);

	e[2] = 0xaf9b000000ffffull;	/* 0x10: code of 64 bits */
	e[3] = 0xcf93000000ffffull;
}

void guest_sregs(struct guest *g, unsigned int nr)
{
	int cpu = g->cpu[nr].fd;
	struct kvm_segment cs = {
		.limit = ~0u, .selector = 0x10, .type = 11, .present = 1,
		.s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment ds = cs;
	struct kvm_sregs s;

	if (ioctl(cpu, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS");
	ds.selector = 0x18;
	ds.type = 3;
	ds.l = 0;
	ds.db = 1;
	s.cs = cs;
	s.ds = s.es = s.fs = s.gs = s.ss = ds;
	s.cr0 = 0x80010033;	/* PG WP NE ET MP PE */
	s.cr3 = PML4;
	s.cr4 = 0x20;		/* PAE */
	s.efer = 0xd00;		/* NX LMA LME */
	s.idt.base = IDT;
	s.idt.limit = 0xfff;
	s.gdt.base = GDT;
	s.gdt.limit = 0x1f;
	if (ioctl(cpu, KVM_SET_SREGS, &s))
		die("KVM_SET_SREGS");
}

static void set_cpuid(int cpu)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[128];
	} id;

	id.head.nent = 128;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &id) ||
	    ioctl(cpu, KVM_SET_CPUID2, &id))
		die("CPUID");
}

void guest_new(struct guest *g, unsigned int nr_cpus)
{
	guest_new_with(g, nr_cpus, NULL);
}

void guest_new_with(struct guest *g, unsigned int nr_cpus,
		    void (*prepare)(struct guest *g))
{
	long size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned int i;
	int err;

	memset(g, 0, sizeof(*g));
	g->nr_cpus = nr_cpus;
	g->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (g->fd < 0)
		die("KVM_CREATE_VM");
	g->mem = mmap(NULL, GUEST_MEM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->mem == MAP_FAILED)
		die("memory of a guest");
	/* A page that does not come is one of 4 KiB. */
	madvise(g->mem, GUEST_MEM, MADV_NOHUGEPAGE);
	err = guest_slot(g, 0, 0, g->mem, GUEST_MEM, 0);
	if (err)
		die("memory slot");
	guest_tables(g);
	if (prepare)
		prepare(g);
	for (i = 0; i < nr_cpus; i++) {
		g->cpu[i].fd = ioctl(g->fd, KVM_CREATE_VCPU, i);
		if (g->cpu[i].fd < 0)
			die("KVM_CREATE_VCPU");
		g->cpu[i].run = mmap(NULL, size, PROT_READ | PROT_WRITE,
				     MAP_SHARED, g->cpu[i].fd, 0);
		if (g->cpu[i].run == MAP_FAILED)
			die("kvm_run");
		set_cpuid(g->cpu[i].fd);
		guest_sregs(g, i);
	}
}

void guest_free(struct guest *g)
{
	long size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned int i;

	for (i = 0; i < g->nr_cpus; i++) {
		munmap(g->cpu[i].run, size);
		close(g->cpu[i].fd);
	}
	close(g->fd);
	munmap(g->mem, GUEST_MEM);
}

void guest_put(struct guest *g, unsigned int at, const void *code, size_t len)
{
	memcpy(g->mem + at, code, len);
}

void guest_regs(struct guest *g, unsigned int cpu, const struct kvm_regs *regs)
{
	if (ioctl(g->cpu[cpu].fd, KVM_SET_REGS, regs))
		die("KVM_SET_REGS");
}

void guest_start(struct guest *g, uint64_t rsp, uint64_t rbx)
{
	guest_regs(g, 0, &(struct kvm_regs){
		.rip = KERNEL, .rsp = rsp, .rbx = rbx, .rflags = 2 });
}

int guest_run(struct guest *g, unsigned int cpu)
{
	if (ioctl(g->cpu[cpu].fd, KVM_RUN, 0))
		return -errno;
	return g->cpu[cpu].run->exit_reason;
}

int guest_slot(struct guest *g, unsigned int slot, uint64_t gpa, void *mem,
	       uint64_t size, unsigned int flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = size, .userspace_addr = (uintptr_t)mem,
	};

	return ioctl(g->fd, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

long guest_stat(struct guest *g, const char *name)
{
	struct kvm_stats_header head;
	struct {
		struct kvm_stats_desc desc;
		char name[64];
	} d = {};
	uint64_t val;
	long found = -1;
	size_t size;
	unsigned int i;
	int fd = ioctl(g->fd, KVM_GET_STATS_FD, NULL);

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -1;
	size = sizeof(d.desc) + head.name_size;
	if (size > sizeof(d))
		size = sizeof(d);
	for (i = 0; i < head.num_desc && found < 0; i++) {
		off_t at = head.desc_offset +
			   (off_t)i * (sizeof(d.desc) + head.name_size);

		if (pread(fd, &d, size, at) == (ssize_t)size &&
		    !strcmp(d.name, name) &&
		    pread(fd, &val, sizeof(val),
			  head.data_offset + d.desc.offset) == sizeof(val))
			found = val;
	}
	close(fd);
	return found;
}

char *large_memory(size_t size)
{
	char *m = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t i;

	if (m == MAP_FAILED)
		die("mmap");
	m += -(uintptr_t)m & (LARGE_PAGE - 1);
	madvise(m, size, MADV_HUGEPAGE);
	for (i = 0; i < size / PAGE; i++)
		*(long *)(m + i * PAGE) = i;
	return m;
}

long guest_reads(struct guest *g, uint64_t gpa)
{
	struct kvm_regs r = {
		.rip = KERNEL, .rsp = STACK, .rdi = gpa, .rflags = 2 };

	guest_code(g, KERNEL, 0x48, 0x8b, 0x07, HLT);	/* mov (%rdi), %rax */
	guest_regs(g, 0, &r);
	if (guest_run(g, 0) != KVM_EXIT_HLT ||
	    ioctl(g->cpu[0].fd, KVM_GET_REGS, &r))
		return -1;
	return r.rax;
}

/* ---- /dev/chariot ------------------------------------------------------- */

int attach(int vm_fd)
{
	struct chariot_attach a = { .argsz = sizeof(a), .vm_fd = vm_fd };

	return ioctl(dev_fd, CHARIOT_ATTACH, &a);
}

void domain_init(struct domain *d, uint64_t text)
{
	memset(d, 0, sizeof(*d));
	d->ranges[0] = (struct chariot_range){
		.gva = text, .len = PAGE, .kind = CHARIOT_RANGE_TEXT };
	d->ranges[1] = (struct chariot_range){
		.gva = INTR, .len = PAGE, .kind = CHARIOT_RANGE_INTR };
	d->entry.gva = text;
	d->create.argsz = sizeof(d->create);
	snprintf(d->create.name, sizeof(d->create.name), "at_%llx",
		 (unsigned long long)text);
	d->create.verdict = CHARIOT_VERDICT_SKIP;
	d->create.nr_ranges = 2;
	d->create.ranges = (uintptr_t)d->ranges;
	d->create.nr_entries = 1;
	d->create.entries = (uintptr_t)&d->entry;
	d->create.kernel.cr3 = PML4;
	d->create.kernel.cr4 = 0x20;
}

void domain_ops(struct domain *d, struct chariot_op *ops, unsigned int nr)
{
	d->gate = (struct chariot_gate){ .gva = FUNC, .nr_ops = nr };
	d->create.nr_gates = 1;
	d->create.gates = (uintptr_t)&d->gate;
	d->create.nr_ops = nr;
	d->create.ops = (uintptr_t)ops;
}

int domain_create(int handle, struct domain *d)
{
	return ioctl(handle, CHARIOT_DOMAIN_CREATE, &d->create);
}

int guest_isolate(struct guest *g, struct domain *d)
{
	int h = attach(g->fd);

	if (h < 0 || domain_create(h, d) != 1)
		die("attach, CREATE");
	return h;
}

struct chariot_vm_info vm_info(int handle)
{
	struct chariot_vm_info i = { .argsz = sizeof(i) };

	if (ioctl(handle, CHARIOT_VM_INFO, &i))
		die("CHARIOT_VM_INFO");
	return i;
}

/* All 0 if there is no such domain. */
struct chariot_domain_info domain_info(int handle, unsigned int nr)
{
	struct chariot_domain_info i = { .argsz = sizeof(i), .domain = nr };

	if (ioctl(handle, CHARIOT_DOMAIN_INFO, &i))
		memset(&i, 0, sizeof(i));
	return i;
}

int grant(int handle, uint64_t gva, uint64_t len)
{
	struct chariot_grant gr = {
		.argsz = sizeof(gr), .domain = 1, .source = CHARIOT_SRC_RULE,
		.gva = gva, .len = len,
	};

	return ioctl(handle, CHARIOT_GRANT, &gr);
}

bool event_find(int handle, unsigned int type, unsigned int domain,
		struct chariot_event *ev)
{
	fcntl(handle, F_SETFL, O_NONBLOCK);
	while (read(handle, ev, sizeof(*ev)) == sizeof(*ev))
		if (ev->type == type && (!domain || ev->domain == domain))
			return true;
	return false;
}

bool event_wait(int handle, unsigned int type, unsigned int seconds,
		struct chariot_event *ev)
{
	struct pollfd p = { .fd = handle, .events = POLLIN };
	unsigned int i;

	for (i = 0; i < seconds * 10; i++) {
		if (event_find(handle, type, 0, ev))
			return true;
		poll(&p, 1, 100);
	}
	return false;
}

/* ---- pages that do not come --------------------------------------------- */

void stall_begin(struct stall *s, void *at, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = {
		.range = { (uintptr_t)at, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	s->at = at;
	s->len = len;
	s->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0 || ioctl(s->fd, UFFDIO_API, &api) ||
	    ioctl(s->fd, UFFDIO_REGISTER, &r))
		die("userfaultfd");
}

bool stall_wait(struct stall *s, unsigned int seconds)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&p, 1, seconds * 1000) == 1 &&
	       read(s->fd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

void stall_give(struct stall *s, size_t at)
{
	struct uffdio_zeropage z = {
		.range = { (uintptr_t)s->at + at, PAGE } };

	if (ioctl(s->fd, UFFDIO_ZEROPAGE, &z) && errno != EEXIST)
		fprintf(stderr, "# UFFDIO_ZEROPAGE: %s\n", strerror(errno));
}

void stall_end(struct stall *s)
{
	struct uffdio_range r = { (uintptr_t)s->at, s->len };
	size_t at;

	for (at = 0; at < s->len; at += PAGE)
		stall_give(s, at);
	ioctl(s->fd, UFFDIO_UNREGISTER, &r);
	close(s->fd);
}

/* ---- descriptors for another process ------------------------------------ */

void send_fds(int sock, int a, int b)
{
	char buf[CMSG_SPACE(2 * sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){ a, b }, 2 * sizeof(int));
	if (sendmsg(sock, &m, 0) != 1)
		die("sendmsg");
}

void receive_fds(int sock, int fds[2])
{
	char buf[CMSG_SPACE(2 * sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		die("recvmsg");
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), 2 * sizeof(int));
}

/* ---- tasks -------------------------------------------------------------- */

static void *task_main(void *arg)
{
	struct task *t = arg;

	t->result = t->fn(t->arg);
	return NULL;
}

struct task *task_start(long (*fn)(void *arg), void *arg)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		die("task");
	t->fn = fn;
	t->arg = arg;
	errno = pthread_create(&t->thread, NULL, task_main, t);
	if (errno)
		die("thread");
	return t;
}

bool task_wait(struct task *t, unsigned int seconds)
{
	struct timespec until;

	if (t->joined)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	t->joined = !pthread_timedjoin_np(t->thread, NULL, &until);
	return t->joined;
}

long run_guest(void *guest)
{
	return guest_run(guest, 0);
}

long run_guest_1(void *guest)
{
	return guest_run(guest, 1);
}

bool wait_child(pid_t pid, unsigned int seconds, int *status)
{
	unsigned int i;

	for (i = 0; i < seconds * 20; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(50000);
	}
	return false;
}

/* ---- the kernel's log --------------------------------------------------- */

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/kmsg");
	lseek(fd, 0, SEEK_END);
	return fd;
}

static bool is_bad(const char *line)
{
	static const char *const bad[] = {
		"BUG:", "WARNING:", "Oops", "general protection", "lockup",
		"hung task", "blocked for more than", "rcu_sched",
		"self-detected stall",
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (strstr(line, bad[i]))
			return true;
	return false;
}

bool klog_bad(int fd, char *first, size_t size)
{
	char line[2048], *text;
	ssize_t n;

	first[0] = 0;
	/* EPIPE: some were overwritten */
	while ((n = read(fd, line, sizeof(line) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		line[n < 0 ? 0 : n] = 0;
		text = strchr(line, ';');
		if (text && !first[0] && is_bad(text))
			snprintf(first, size, "%.*s",
				 (int)strcspn(text + 1, "\n"), text + 1);
	}
	close(fd);
	return first[0];
}
