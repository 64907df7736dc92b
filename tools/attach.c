// SPDX-License-Identifier: GPL-2.0
/*
 * chariot attach, detach: a guard in the background, for a VM that runs.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#define RUN_DIR		"/run/chariot"
#define STOP_MS		5000

struct attached {
	char vm[VM_NAME_LEN];
	pid_t pid;		/* of the VM */
	char pidfile[64];
	bool started;
};

static void set_pidfile(struct attached *a)
{
	snprintf(a->pidfile, sizeof(a->pidfile), RUN_DIR "/%d", (int)a->pid);
}

/* ---- the background process --------------------------------------------- */

static void to_syslog(void *ctx, enum chariot_log_level level, const char *text)
{
	static const int priority[] = {
		LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG,
	};
	const struct attached *a = ctx;

	/* Who attaches hears it, too; of the errors the last one. */
	if (!a->started)
		lib_log(NULL, level, text);
	if (level <= CHARIOT_LOG_INFO || cli.debug)
		syslog(priority[level], "%s: %s", a->vm, text);
}

static void on_event(void *ctx, const struct chariot_event *ev,
		     const char *text)
{
	const struct attached *a = ctx;
	int priority = LOG_INFO;

	if (ev->type == CHARIOT_EV_ERROR)
		priority = LOG_ERR;
	else if (ev->type == CHARIOT_EV_VIOLATION)
		priority = LOG_WARNING;
	syslog(priority, "%s: %s: %s", a->vm, chariot_event_name(ev->type),
	       text);
}

static int write_pidfile(const struct attached *a)
{
	int fd, err;

	if (mkdir(RUN_DIR, 0755) && errno != EEXIST)
		return -errno;
	fd = open(a->pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = dprintf(fd, "%d\n", (int)getpid()) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* The child: runs for as long as the guard does.  If the guard cannot start it tells why,
 * else it writes to @ready, so that the command can return. */
static int background(struct attached *a, struct chariot_vm *vm,
		      struct chariot_guard_opts *o, int ready)
{
	struct chariot_guard *g;
	int null, err;

	setsid();
	catch_signals();
	openlog("chariot", LOG_PID, LOG_DAEMON);
	o->ctx = a;
	o->on_event = on_event;
	o->events_apart = true;
	chariot_set_log(to_syslog, a);
	err = write_pidfile(a);
	if (err)
		return fail_lib(err, "%s", a->pidfile);
	g = chariot_guard__start(vm, o);
	if (!g) {
		unlink(a->pidfile);
		return fail_lib(errno, "VM %s", a->vm);
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	a->started = true;
	syslog(LOG_INFO, "%s: attached, drivers: %s", a->vm,
	       o->drivers ? o->drivers : "none yet");
	if (write(ready, "", 1) != 1)
		syslog(LOG_WARNING, "%s: nobody waits for us", a->vm);
	close(ready);
	guard_wait(a->pid);
	chariot_guard__stop(g);
	unlink(a->pidfile);
	syslog(LOG_INFO, "%s: %s", a->vm, stopped ? "detached" :
	       "the VM has ended");
	return EXIT_OK;
}

/* ---- attach ------------------------------------------------------------- */

static int start(const char *vm_name, struct chariot_guard_opts *o)
{
	struct attached a = {};
	struct chariot_vm_info info;
	struct chariot_vm *vm;
	struct kvm_vm id;
	int p[2], r;
	pid_t child;
	char byte;

	vm = vm_open(vm_name, &id);
	if (!vm)
		return EXIT_FAIL;
	a.pid = id.pid;
	snprintf(a.vm, sizeof(a.vm), "%s", *id.name ? id.name : vm_name);
	set_pidfile(&a);
	if (!chariot_vm__info(vm, &info) && info.nr_handles > 1) {
		chariot_vm__free(vm);
		return fail("VM %s has a guard already: chariot isolate %s DRIVER",
			    a.vm, a.vm);
	}
	if (pipe2(p, O_CLOEXEC)) {
		chariot_vm__free(vm);
		return fail_lib(errno, "pipe");
	}
	child = fork();
	if (!child) {
		close(p[0]);
		_exit(background(&a, vm, o, p[1]));
	}
	close(p[1]);
	r = child > 0 && read(p[0], &byte, 1) == 1 ? EXIT_OK : EXIT_FAIL;
	close(p[0]);
	if (child < 0)
		return fail_lib(errno, "fork");
	if (r == EXIT_OK)
		note("VM %s: attached; events are in the system log", a.vm);
	return r;
}

static int run_attach(int argc, char **argv)
{
	struct chariot_guard_opts o = {};
	struct option_list policies = {};

	return guard_args(&argc, argv, 1, &o, &policies) ? EXIT_USAGE :
	       start(argv[0], &o);
}

/* ---- detach ------------------------------------------------------------- */

static pid_t guard_pid(const struct attached *a)
{
	FILE *f = fopen(a->pidfile, "re");
	int pid = 0;

	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	/* The file may be older than the last boot. */
	return pid > 0 && !kill(pid, 0) ? pid : 0;
}

static int run_detach(int argc, char **argv)
{
	struct pollfd p = { .events = POLLIN };
	struct attached a = {};
	struct chariot_vm *vm;
	struct kvm_vm id;
	pid_t pid;
	int r;

	if (parse_args(&argc, argv, NULL, 1, 1))
		return EXIT_USAGE;
	vm = vm_open(argv[0], &id);
	if (!vm)
		return EXIT_FAIL;
	chariot_vm__free(vm);
	a.pid = id.pid;
	set_pidfile(&a);
	pid = guard_pid(&a);
	if (!pid)
		return fail("VM %s is not attached by chariot attach", argv[0]);
	p.fd = syscall(SYS_pidfd_open, pid, 0);
	if (kill(pid, SIGTERM))
		return fail_lib(errno, "VM %s: its guard", argv[0]);
	r = p.fd < 0 ? 1 : poll(&p, 1, STOP_MS);
	if (p.fd >= 0)
		close(p.fd);
	if (r <= 0)
		return fail("VM %s: its guard (process %d) does not end",
			    argv[0], (int)pid);
	note("VM %s: detached; its drivers run on, without isolation", argv[0]);
	return EXIT_OK;
}

static const struct command attach_commands[] = {
	{ NULL, "VM [DRIVER[,DRIVER...]] [--verdict VERDICT] [--policy FILE]... [--state DIR]",
	  run_attach },
	{},
};

const struct object attach_object = {
	.name = "attach",
	.summary = "guard a running VM from the background",
	.options = GUARD_OPTIONS,
	.commands = attach_commands,
};

static const struct command detach_commands[] = {
	{ NULL, "VM", run_detach },
	{},
};

const struct object detach_object = {
	.name = "detach", .summary = "end that; the VM runs on as it was",
	.commands = detach_commands,
};
