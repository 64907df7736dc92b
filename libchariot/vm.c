// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The handle on a VM: ioctls of kvm_chariot.ko, and how to find the VM.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "object.h"
#include "vm.h"

#define MAX_FD		4096
#define ACT_ROWS	1024

static int real_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg);
}

int (*vm_ioctl)(int fd, unsigned long cmd, void *arg) = real_ioctl;

int vm_call(int fd, unsigned long cmd, void *arg)
{
	int r;

	do
		r = vm_ioctl(fd, cmd, arg);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* ---- guest memory ------------------------------------------------------- */

static int mem(struct chariot_vm *vm, uint64_t gpa, uint64_t buf, size_t len,
	       uint32_t flags)
{
	struct chariot_mem m = { .argsz = sizeof(m), .flags = flags };
	int err = 0;

	for (; len && !err; len -= m.len) {
		m.gpa = gpa;
		m.buf = buf;
		m.len = len < CHARIOT_MEM_MAX ? len : CHARIOT_MEM_MAX;
		err = vm_call(vm->fd, CHARIOT_MEM, &m);
		gpa += m.len;
		buf += m.len;
	}
	return err;
}

static int mem_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	return mem(ctx, gpa, (uintptr_t)buf, len, 0);
}

static int mem_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	return mem(ctx, gpa, (uintptr_t)buf, len, CHARIOT_MEM_WRITE);
}

static const struct chariot_mem_ops mem_ops = {
	.sz = sizeof(mem_ops), .read = mem_read, .write = mem_write,
};

/* ---- attaching ---------------------------------------------------------- */

struct chariot_vm *vm_new(int fd)
{
	struct chariot_vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		close(fd);
		return NULL;
	}
	vm->fd = fd;
	vm->tail = &vm->queue;
	vm->space.ops = &mem_ops;
	vm->space.ctx = vm;
	return vm;
}

/* With another meaning of a table or an address a driver would not be isolated, and
 * nobody told. */
static int check_version(int dev)
{
	struct chariot_info i = { .argsz = sizeof(i) };
	int err = vm_call(dev, CHARIOT_INFO, &i);

	if (!err && i.api_version == CHARIOT_API_VERSION)
		return dev;
	/* The number of the call was another one before version 3. */
	if (err == -ENOTTY) {
		log_err("%s has an older interface than %u, this library's: both must be of one version",
			DEVICE, CHARIOT_API_VERSION);
		err = -EPROTONOSUPPORT;
	} else if (!err) {
		log_err("%s has interface %u, this library %u: both must be of one version",
			DEVICE, i.api_version, CHARIOT_API_VERSION);
		err = -EPROTONOSUPPORT;
	} else {
		log_err("%s: %s", DEVICE, strerror(-err));
	}
	close(dev);
	return err;
}

static int open_device(void)
{
	int dev = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (dev >= 0)
		return check_version(dev);
	return device_error(-errno);
}

static int attach(int dev, int vm_fd)
{
	struct chariot_attach a = { .argsz = sizeof(a), .vm_fd = vm_fd };

	return vm_call(dev, CHARIOT_ATTACH, &a);
}

static const char *attach_why(int err)
{
	return err == -EOPNOTSUPP ?
	       "its vCPUs' state or its memory is hidden from the host (SEV-ES, SNP, TDX, guest_memfd): what its drivers do cannot be seen" :
	       strerror(-err);
}

struct chariot_vm *chariot_vm__attach_fd(int vm_fd)
{
	int dev = open_device(), fd;

	if (dev < 0)
		return err_null(dev);
	fd = attach(dev, vm_fd);
	close(dev);
	if (fd >= 0)
		return vm_new(fd);
	log_err("cannot attach to descriptor %d: %s", vm_fd,
		fd == -ENOTTY ? "it is not a KVM VM" : attach_why(fd));
	return err_null(fd);
}

/* Not through /proc/self/fd: confinement may forbid to read that. */
struct chariot_vm *chariot_vm__attach_self(void)
{
	int dev = open_device(), fd = -ENOTTY;
	struct rlimit lim;
	int max = MAX_FD;

	if (dev < 0)
		return err_null(dev);
	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_cur < MAX_FD)
		max = lim.rlim_cur;
	for (int i = 3; i < max && (fd == -ENOTTY || fd == -EBADF); i++)
		if (i != dev)
			fd = attach(dev, i);
	close(dev);
	if (fd >= 0)
		return vm_new(fd);
	if (fd == -ENOTTY || fd == -EBADF)
		fd = -ENOENT;
	log_err("cannot attach to the VM of this process: %s",
		fd == -ENOENT ? "it has none" : attach_why(fd));
	return err_null(fd);
}

/* -ENOTTY: that descriptor is no VM. */
static int attach_remote(int dev, int pidfd, pid_t pid, const char *number)
{
	char path[64], link[64] = "";
	ssize_t n;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, number);
	n = readlink(path, link, sizeof(link) - 1);
	if (n > 0 && strcmp(link, "anon_inode:kvm-vm"))
		return -ENOTTY;
	fd = syscall(SYS_pidfd_getfd, pidfd, atoi(number), 0);
	if (fd < 0)
		return -errno;
	r = attach(dev, fd);
	close(fd);
	return r;
}

static int attach_process(int dev, int pidfd, pid_t pid)
{
	char path[64];
	struct dirent *e;
	int r = -ENOTTY;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (r == -ENOTTY && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			r = attach_remote(dev, pidfd, pid, e->d_name);
	closedir(dir);
	return r;
}

struct chariot_vm *chariot_vm__attach_pid(pid_t pid)
{
	int dev = open_device(), pidfd, fd;

	if (dev < 0)
		return err_null(dev);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	fd = pidfd < 0 ? -errno : attach_process(dev, pidfd, pid);
	if (pidfd >= 0)
		close(pidfd);
	close(dev);
	if (fd >= 0)
		return vm_new(fd);
	log_err("cannot attach to process %d: %s", pid,
		fd == -ENOTTY ? "it has no KVM VM" : attach_why(fd));
	return err_null(fd == -ENOTTY ? -ENOENT : fd);
}

void chariot_vm__free(struct chariot_vm *vm)
{
	struct vm_event *e;

	if (!vm)
		return;
	vm_forget_kernel(vm);
	while ((e = vm->queue)) {
		vm->queue = e->next;
		free(e);
	}
	close(vm->fd);
	free(vm);
}

int chariot_vm__fd(const struct chariot_vm *vm)
{
	return vm->fd;
}

const struct chariot_space *chariot_vm__space(struct chariot_vm *vm)
{
	struct chariot_vm_info i;

	if (!vm->space.cr3 && !chariot_vm__info(vm, &i)) {
		vm->space.cr3 = i.cr3;
		vm->space.cr4 = i.cr4;
	}
	return &vm->space;
}

/* ---- plain calls -------------------------------------------------------- */

int chariot_vm__info(struct chariot_vm *vm, struct chariot_vm_info *i)
{
	*i = (struct chariot_vm_info){ .argsz = sizeof(*i) };
	return vm_call(vm->fd, CHARIOT_VM_INFO, i);
}

int chariot_vm__domain_info(struct chariot_vm *vm, uint32_t domain,
			    struct chariot_domain_info *i)
{
	int err;

	*i = (struct chariot_domain_info){ .argsz = sizeof(*i),
					   .domain = domain };
	err = vm_call(vm->fd, CHARIOT_DOMAIN_INFO, i);
	text_make_printable(i->name, sizeof(i->name));
	return err;
}

int chariot_vm__domain_by_name(struct chariot_vm *vm, const char *name)
{
	struct chariot_domain_info d;
	struct chariot_vm_info i;
	int err = name ? chariot_vm__info(vm, &i) : -ENOENT;

	for (uint32_t nr = 1; !err && nr < NR_DOMAINS; nr++)
		if (i.domains & 1U << nr &&
		    !chariot_vm__domain_info(vm, nr, &d) &&
		    chariot_same_driver(d.name, name))
			return nr;
	return err ?: -ENOENT;
}

int chariot_vm__stats(struct chariot_vm *vm, uint32_t domain,
		      struct chariot_stats *st)
{
	*st = (struct chariot_stats){ .argsz = sizeof(*st), .domain = domain };
	return vm_call(vm->fd, CHARIOT_STATS, st);
}

static int domain_call(struct chariot_vm *vm, unsigned long cmd,
		       uint32_t domain, uint32_t verdict)
{
	struct chariot_domain_op d = {
		.argsz = sizeof(d), .domain = domain, .verdict = verdict,
	};

	return vm_call(vm->fd, cmd, &d);
}

int chariot_vm__set_verdict(struct chariot_vm *vm, uint32_t domain,
			    uint32_t verdict)
{
	return domain_call(vm, CHARIOT_DOMAIN_SET, domain, verdict);
}

int chariot_vm__drop(struct chariot_vm *vm, uint32_t domain)
{
	return domain_call(vm, CHARIOT_DOMAIN_DROP, domain, 0);
}

ssize_t chariot_vm__act(struct chariot_vm *vm, uint32_t domain,
			struct chariot_object **rows)
{
	struct chariot_act_read q = {
		.argsz = sizeof(q), .domain = domain, .nr = ACT_ROWS,
	};
	struct chariot_object *all = NULL, *more;
	size_t nr = 0;
	int n;

	do {
		more = reallocarray(all, nr + ACT_ROWS, sizeof(*all));
		if (!more) {
			free(all);
			return -ENOMEM;
		}
		all = more;
		q.buf = (uintptr_t)(all + nr);
		n = vm_call(vm->fd, CHARIOT_ACT_READ, &q);
		if (n < 0) {
			free(all);
			return n;
		}
		nr += n;
	} while (n && q.start);
	*rows = all;
	return nr;
}

int chariot_vm__request(struct chariot_vm *vm, uint32_t what, const char *name)
{
	struct chariot_post p = { .argsz = sizeof(p), .what = what };

	if (!name || !*name || strlen(name) >= sizeof(p.name))
		return -EINVAL;
	strcpy(p.name, name);
	return vm_call(vm->fd, CHARIOT_POST, &p);
}

int vm_watch(struct chariot_vm *vm, uint32_t flags, uint32_t timeout_ms,
	     uint64_t load_gva, uint64_t image_gva, uint64_t image_site)
{
	struct chariot_watch w = {
		.argsz = sizeof(w), .flags = flags, .timeout_ms = timeout_ms,
		.load_gva = load_gva, .cr3 = vm->space.cr3,
		.cr4 = vm->space.cr4, .image_gva = image_gva,
		.image_site = image_site,
	};

	return device_supports(vm_call(vm->fd, CHARIOT_WATCH, &w));
}

int vm_continue(struct chariot_vm *vm, uint64_t seq, uint32_t flags)
{
	struct chariot_continue c = {
		.argsz = sizeof(c), .flags = flags, .seq = seq,
	};

	return vm_call(vm->fd, CHARIOT_CONTINUE, &c);
}

int vm_return(struct chariot_vm *vm, uint64_t seq, uint64_t value)
{
	struct chariot_continue c = {
		.argsz = sizeof(c), .flags = CHARIOT_CONTINUE_RETURN, .seq = seq,
		.value = value,
	};

	return vm_call(vm->fd, CHARIOT_CONTINUE, &c);
}

int vm_call_guest(struct chariot_vm *vm, uint64_t seq, uint64_t fn,
		  const uint64_t arg[6], uint64_t cookie)
{
	struct chariot_call_guest c = {
		.argsz = sizeof(c), .seq = seq, .call.fn = fn, .cookie = cookie,
	};

	memcpy(c.call.arg, arg, sizeof(c.call.arg));
	return vm_call(vm->fd, CHARIOT_CALL, &c);
}

/* ---- events ------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Names are the guest's, or of whoever has asked for something. */
static void make_printable(struct chariot_event *ev)
{
	switch (ev->type) {
	case CHARIOT_EV_ERROR:
		text_make_printable(ev->u.error.text,
				    sizeof(ev->u.error.text));
		break;
	case CHARIOT_EV_DOMAIN_NEW:
	case CHARIOT_EV_DOMAIN_GONE:
	case CHARIOT_EV_RECOVERED:
	case CHARIOT_EV_MODULE_NEW:
	case CHARIOT_EV_MODULE_GONE:
		text_make_printable(ev->u.name.name, sizeof(ev->u.name.name));
		break;
	case CHARIOT_EV_INIT_DONE:
		text_make_printable(ev->u.init.name, sizeof(ev->u.init.name));
		break;
	case CHARIOT_EV_REQUEST:
		text_make_printable(ev->u.request.name,
				    sizeof(ev->u.request.name));
		break;
	}
}

/* What an event tells of the guest is remembered, whoever asked for it. */
static void learn(struct chariot_vm *vm, const struct chariot_event *ev)
{
	switch (ev->type) {
	case CHARIOT_EV_KERNEL:
		vm->space.cr3 = ev->u.kernel.cr3;
		vm->space.cr4 = ev->u.kernel.cr4;
		break;
	case CHARIOT_EV_LOAD:
		vm_forget_modules(vm);
		break;
	case CHARIOT_EV_INIT_DONE:
	case CHARIOT_EV_DOMAIN_GONE:
	case CHARIOT_EV_MODULE_GONE:
		/* Its addresses may soon be another's, or no init's. */
		vm_forget_modules(vm);
		break;
	case CHARIOT_EV_DOMAIN_NEW:
		if (ev->domain < NR_DOMAINS)
			memcpy(vm->names[ev->domain], ev->u.name.name,
			       CHARIOT_NAME_LEN);
		break;
	}
}

static int read_event(struct chariot_vm *vm, struct chariot_event *ev,
		      int timeout_ms)
{
	struct pollfd p = { .fd = vm->fd, .events = POLLIN };
	ssize_t n;
	int r;

	r = poll(&p, 1, timeout_ms);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (!r)
		return 0;
	if (!(p.revents & POLLIN))
		return p.revents & POLLHUP ? -ESHUTDOWN : -EIO;
	n = read(vm->fd, ev, sizeof(*ev));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n != sizeof(*ev) || ev->size != sizeof(*ev))
		return n ? -EPROTO : -ESHUTDOWN;
	make_printable(ev);
	learn(vm, ev);
	return 1;
}

int chariot_vm__next_event(struct chariot_vm *vm, struct chariot_event *ev,
			   int timeout_ms)
{
	struct vm_event *e = vm->queue;

	if (!e)
		return read_event(vm, ev, timeout_ms);
	*ev = e->ev;
	vm->queue = e->next;
	if (!vm->queue)
		vm->tail = &vm->queue;
	free(e);
	return 1;
}

static void keep_event(struct chariot_vm *vm, const struct chariot_event *ev)
{
	struct vm_event *e = malloc(sizeof(*e));

	if (!e)
		return;
	e->next = NULL;
	e->ev = *ev;
	*vm->tail = e;
	vm->tail = &e->next;
}

/* ---- the profile -------------------------------------------------------- */

void vm_forget_modules(struct chariot_vm *vm)
{
	struct vm_module *m;

	while ((m = vm->modules)) {
		vm->modules = m->next;
		chariot_driver__free(m->driver);
		free(m);
	}
}

static void forget_profile(struct chariot_vm *vm)
{
	vm_forget_modules(vm);	/* their types lie over the kernel's */
	object_index_free(vm->objects);
	vm->objects = NULL;
	chariot_profile__free(vm->profile);
	vm->profile = NULL;
}

void vm_forget_kernel(struct chariot_vm *vm)
{
	forget_profile(vm);
	vm->space.cr3 = 0;
	vm->space.cr4 = 0;
}

/*
 * The tables that were seen may be those of a process, which go with it.  Look
 * through the kernel's own from now on.
 */
static void use_kernel_tables(struct chariot_vm *vm)
{
	uint64_t at = chariot_profile__symbol(vm->profile, "init_top_pgt");
	struct chariot_space own = vm->space;
	uint64_t again, left;

	if (!chariot_space__translate(&vm->space, at, &own.cr3, &left) &&
	    !chariot_space__translate(&own, at, &again, &left) &&
	    again == own.cr3)
		vm->space = own;
	else
		log_warn("profile: init_top_pgt does not map itself: staying with cr3 %#llx",
			 (unsigned long long)vm->space.cr3);
}

int vm_make_profile(struct chariot_vm *vm, uint64_t lstar)
{
	struct chariot_profile *p;

	p = chariot_profile__from_guest(&vm->space, lstar);
	if (!p)
		return -errno;
	forget_profile(vm);
	vm->profile = p;
	use_kernel_tables(vm);
	return 0;
}

int vm_object_at(struct chariot_vm *vm, uint64_t gva, struct object *o)
{
	const struct chariot_space *s = chariot_vm__space(vm);

	memset(o, 0, sizeof(*o));
	if (!vm->profile)
		return -EAGAIN;
	if (!vm->objects)
		vm->objects = object_index_new(vm->profile, s);
	return vm->objects ? object_at(vm->objects, s, gva, o) : -errno;
}

/* Of a kernel that the module knows already: 1; 0: it knows none. */
static int profile_known(struct chariot_vm *vm)
{
	struct chariot_vm_info i;
	int err = chariot_vm__info(vm, &i);

	if (err || !i.lstar)
		return err;
	vm->space.cr3 = i.cr3;
	vm->space.cr4 = i.cr4;
	return vm_make_profile(vm, i.lstar) ?: 1;
}

/* Another handle has the watch, and so will hear of the kernel first. */
static int wait_for_other(struct chariot_vm *vm, int64_t end)
{
	struct timespec ts = { .tv_nsec = 50000000 };
	int r;

	do {
		r = profile_known(vm);
		if (r)
			return r < 0 ? r : 0;
		nanosleep(&ts, NULL);
	} while (now_ms() < end);
	return -ETIMEDOUT;
}

static int wait_for_kernel(struct chariot_vm *vm, int64_t end)
{
	struct chariot_event ev;
	int64_t left;
	int r = 0;

	while ((left = end - now_ms()) > 0) {
		r = read_event(vm, &ev, left < INT32_MAX ? left : INT32_MAX);
		if (r < 0)
			return r;
		if (!r)
			continue;
		if (ev.type != CHARIOT_EV_KERNEL) {
			keep_event(vm, &ev);
			continue;
		}
		r = vm_make_profile(vm, ev.u.kernel.lstar);
		vm_continue(vm, ev.seq, 0);
		return r;
	}
	return -ETIMEDOUT;
}

static int find_kernel(struct chariot_vm *vm, int timeout_ms)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
	int err = profile_known(vm);

	if (err)
		return err < 0 ? err : 0;
	if (!timeout_ms)
		return -EAGAIN;
	err = vm_watch(vm, CHARIOT_WATCH_KERNEL, 60000, 0, 0, 0);
	if (err == -EBUSY)
		return wait_for_other(vm, end);
	if (err)
		return err;
	err = wait_for_kernel(vm, end);
	vm_watch(vm, 0, 0, 0, 0, 0);
	return err;
}

const struct chariot_profile *chariot_vm__profile(struct chariot_vm *vm,
						  int timeout_ms)
{
	int err = vm->profile ? 0 : find_kernel(vm, timeout_ms);

	if (err)
		return err_null(err);
	return vm->profile;
}
