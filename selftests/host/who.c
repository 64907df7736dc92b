// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a VM's descriptor, inherited or passed, does not therefore own the VM:
 * KVM refuses him, and so do we, unless he may trace the process that owns it.
 */
#include "vm.h"
#include "hostile.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWNER	12345
#define ANOTHER	12346

static void become(unsigned int uid)
{
	if (!uid)
		return;
	if (setgid(uid) || setuid(uid))
		die("setuid");
	/* Else nobody but root could trace it. */
	prctl(PR_SET_DUMPABLE, 1);
}

/* 0, or errno, of an attach by a process of that user. */
static int attach_as(unsigned int uid, int vm_fd)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		become(uid);
		_exit(attach(vm_fd) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(const char *what, unsigned int uid, int fd, int err)
{
	int got = attach_as(uid, fd);

	ok(got == err, "%s: %s", what, got ? strerror(got) : "allowed");
}

/* A VM of that user, alive until the socket is closed. */
static pid_t owner(unsigned int uid, int *vm_fd, int *sock)
{
	struct guest g;
	int s[2], fds[2];
	pid_t pid;
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
		die("socketpair");
	pid = fork();
	if (!pid) {
		close(s[0]);
		become(uid);
		guest_new(&g, 1);
		send_fds(s[1], g.fd, g.fd);
		_exit(read(s[1], &c, 1));
	}
	close(s[1]);
	receive_fds(s[0], fds);
	close(fds[1]);
	*vm_fd = fds[0];
	*sock = s[0];
	return pid;
}

static int ptrace_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "r");
	int scope = 0;

	if (f && fscanf(f, "%d", &scope) != 1)
		scope = 0;
	if (f)
		fclose(f);
	return scope;
}

void test_who(void)
{
	struct guest g;
	int fd, sock;
	pid_t pid;

	guest_new(&g, 1);
	fd = attach(g.fd);
	ok(fd >= 0, "the process that made the VM");
	close(fd);
	expect("root, who inherited it", 0, g.fd, 0);
	expect("another user, who inherited root's", ANOTHER, g.fd, EPERM);

	pid = owner(OWNER, &fd, &sock);
	expect("root, who was passed it", 0, fd, 0);
	if (ptrace_scope())
		skip("ptrace_scope forbids the same user, too");
	else
		expect("the same user, who was passed it", OWNER, fd, 0);
	expect("another user, who was passed it", ANOTHER, fd, EPERM);
	close(sock);
	waitpid(pid, NULL, 0);
	note("root, when the owner is gone: %s", strerror(attach_as(0, fd)));
}

/* ---- a handle that outlives its VMM ------------------------------------------ */

/* A VM, isolated, whose handle the child has; the VMM has ended when it begins. */
static pid_t child_of_vmm(int (*child)(int handle, int vm_fd))
{
	pid_t vmm = fork();
	int status, gone[2];
	struct domain d;
	struct guest g;
	char c;
	int h;

	if (vmm)
		return vmm;
	if (pipe(gone))
		die("pipe");
	guest_new(&g, 1);
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	guest_code(&g, DRIVER, RET);
	domain_init(&d, DRIVER);
	h = guest_isolate(&g, &d);
	guest_start(&g, STACK, 0);
	if (guest_run(&g, 0) != KVM_EXIT_HLT)
		die("the guest does not run");
	status = fork();
	if (status)
		_exit(status < 0);
	close(gone[1]);
	/* The end of the other end: of the VMM. */
	if (read(gone[0], &c, 1))
		_exit(1);
	_exit(child(h, g.fd));
}

static bool reads_memory(int h)
{
	char buf[8];
	struct chariot_mem m = {
		.argsz = sizeof(m), .gpa = KERNEL, .len = sizeof(buf),
		.buf = (uintptr_t)buf,
	};

	return !ioctl(h, CHARIOT_MEM, &m);
}

/* Each call ends, with an error or not.  Counts those that failed. */
static int use_handle(int h, int vm_fd)
{
	struct chariot_stats st = { .argsz = sizeof(st) };
	struct domain d;
	unsigned int i;
	int failed = 0;

	/* From 6.12 on a thread of KVM's is one of the VMM, and goes a moment later. */
	for (i = 0; i < patience * 100 && reads_memory(h); i++)
		usleep(10000);
	failed += !!ioctl(h, CHARIOT_STATS, &st);
	failed += !reads_memory(h);
	domain_init(&d, DRIVER2);
	failed += domain_create(h, &d) < 0;
	failed += grant(h, OBJECT, 64) < 0;
	close(h);
	close(vm_fd);
	return failed;
}

/* Its memory is gone with it; nobody else's is touched. */
void test_inherited(void)
{
	int status = -1, fd[2];
	char count = -1;
	pid_t pid;
	bool got;

	if (pipe(fd))
		die("pipe");
	pid = fork();
	if (!pid) {
		/* The child of the VMM is ours when that has ended. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		waitpid(child_of_vmm(use_handle), &status, 0);
		if (!status)
			waitpid(-1, &status, 0);
		count = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		_exit(write(fd[1], &count, 1) != 1);
	}
	if (!wait_child(pid, patience, &status)) {
		ok(false, "calls on the handle of a VMM that has ended return");
		return;
	}
	close(fd[1]);
	got = read(fd[0], &count, 1) == 1;
	ok(got && count >= 0,
	   "calls on the handle of a VMM that has ended return; %d of 4 fail",
	   count);
	ok(count > 0 && count < 4, "those fail that want its memory");
	close(fd[0]);
}
