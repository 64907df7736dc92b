// SPDX-License-Identifier: GPL-2.0
/*
 * stress [-s SEED] [-n CALLS] [-t THREADS] [-r MODULE] [-w SECONDS] [-v]: random
 * calls of all of /dev/chariot, on VMs of its own whose drivers do what they like.
 *
 *	-s	the same seed gives the same calls, with one thread
 *	-t	that call, in each of two processes (1)
 *	-r	unload and load MODULE between rounds
 *	-w	how long a round may take, which takes a second or two (120)
 *	-v	tell each call
 *
 * In rounds: a process with two VMs of two vCPUs makes calls, another one that
 * has inherited their descriptors does, too, and now and then the first is
 * killed amid it.  After each a fresh VM has to be isolated as it should, and
 * nothing to be left of those before.  TAP.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUND		500	/* calls */

struct counts *counts;

static uint64_t seed = 1, nr_calls = 10000;
static unsigned int nr_threads = 1;
static unsigned int patience = 120;
static const char *module_path;
static bool verbose;

/* ---- a round ------------------------------------------------------------ */

struct worker {
	struct world *w;
	struct rng rng;
	uint64_t calls;
	uint64_t killed;	/* by SIGKILL at that one; 0: not */
	bool counts;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *me = arg;
	uint64_t i;

	for (i = 0; i < me->calls; i++) {
		if (me->killed && i == me->killed)
			kill(getpid(), SIGKILL);
		call_any(me->w, &me->rng, verbose);
		if (me->counts)
			count(&counts->done);
		/* The vCPUs shall run, too, where there is one CPU. */
		if (i % 16 == 0)
			usleep(1000);
	}
	return NULL;
}

static void work_all(struct world *w, struct rng *r, bool main_one)
{
	struct worker workers[64] = {};
	unsigned int i;

	for (i = 0; i < nr_threads; i++) {
		workers[i] = (struct worker){
			.w = w, .rng = { rng64(r) }, .counts = main_one,
			.calls = ROUND / nr_threads,
		};
		if (!i && main_one && one_in(r, 3))
			workers[i].killed = 1 + below(r, workers[i].calls);
	}
	for (i = 1; i < nr_threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work,
				   &workers[i]))
			die("thread");
	work(&workers[0]);
	for (i = 1; i < nr_threads; i++)
		pthread_join(workers[i].thread, NULL);
}

/* Its handles are its own; it goes with its parent. */
static void sibling(struct world *w, uint64_t number)
{
	struct rng r = { number };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	verbose = false;
	work_all(w, &r, false);
	_exit(0);
}

static void one_round(uint64_t number)
{
	static struct world w;
	struct rng r = { number };

	setpgid(0, 0);
	devices_open();
	world_new(&w);
	if (!fork())
		sibling(&w, rng64(&r));
	world_isolate(&w);
	world_start(&w, rng64(&r));
	work_all(&w, &r, true);
	world_stats(&w);
	_exit(0);
}

/* ---- what is left -------------------------------------------------------- */

static void show_stacks(pid_t pid)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd),
		 "cat /proc/%d/task/*/stack 2>/dev/null | sed 's/^/#   /'", pid);
	fflush(stdout);
	if (system(cmd))
		printf("# no stacks\n");
}

/* Processes that were killed may take a moment. */
static bool nothing_left(void)
{
	struct chariot_info info = { .argsz = sizeof(info) };
	unsigned int i;

	for (i = 0; i < patience * 50; i++) {
		if (ioctl(dev_fd, CHARIOT_INFO, &info))
			return false;
		if (!info.nr_vms)
			return true;
		usleep(20000);
	}
	return false;
}

/* A fresh VM attaches, isolates, and has a wild write stopped. */
static const char *sane(void)
{
	struct chariot_event ev;
	struct domain d;
	struct guest g;
	uint64_t *object;
	const char *bad = NULL;
	int h;

	guest_new(&g, 1);
	object = (void *)(g.mem + OBJECT);
	*object = 42;
	guest_code(&g, KERNEL, CALL(DRIVER), HLT);
	/* mov $OBJECT, %edi; mov %rax, (%rdi); mov %rax, PAGE(%rdi) */
	guest_code(&g, DRIVER, 0xbf, LE32(OBJECT), 0x48, 0x89, 0x07,
		   0x48, 0x89, 0x87, LE32(PAGE), RET);
	domain_init(&d, DRIVER);
	h = attach(g.fd);
	if (h < 0 || domain_create(h, &d) != 1 || grant(h, OBJECT + PAGE, 8))
		bad = "a fresh VM cannot be isolated";
	guest_start(&g, STACK, 0);
	if (!bad && guest_run(&g, 0) != KVM_EXIT_HLT)
		bad = "a fresh VM does not run to its end";
	else if (!bad && (*object != 42 ||
			  !event_find(h, CHARIOT_EV_VIOLATION, 1, &ev)))
		bad = "a wild write is not stopped";
	else if (!bad && object[PAGE / 8] == 0)
		bad = "a write that is granted does not happen";
	close(h);
	guest_free(&g);
	return bad;
}

/* ---- all ---------------------------------------------------------------- */

static const char *reload(void)
{
	unsigned int i;
	int fd, err = -1;

	for (i = 0; i < patience * 50 && err; i++) {
		err = syscall(SYS_delete_module, "kvm_chariot", O_NONBLOCK);
		if (err)
			usleep(20000);
	}
	if (err)
		return "the module cannot be unloaded";
	fd = open(module_path, O_RDONLY | O_CLOEXEC);
	err = syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return err ? "the module cannot be loaded" : NULL;
}

/* NULL, or what is wrong.  Not in this process, which has no VM. */
static const char *after(void)
{
	static const char *bad;
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		devices_open();
		bad = nothing_left() ? sane() : "a VM is still attached";
		if (bad)
			printf("# %s\n", bad);
		fflush(stdout);
		_exit(!!bad);
	}
	if (!wait_child(pid, patience, &status)) {
		show_stacks(pid);
		kill(pid, SIGKILL);
		return "the check of a fresh VM does not end";
	}
	if (status)
		return "the check of a fresh VM failed";
	return module_path ? reload() : NULL;
}

static const char *run_round(uint64_t number)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		one_round(number);
	if (!wait_child(pid, patience, &status)) {
		show_stacks(pid);
		kill(-pid, SIGKILL);
		return wait_child(pid, patience, &status) ?
		       "it does not end" : "it cannot be killed";
	}
	kill(-pid, SIGKILL);
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		return "it got a signal";
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return "it failed";
	return after();
}

static void print_counts(void)
{
	const struct chariot_stats *st = &counts->stats;
	unsigned int i;

	for (i = 0; call_name(i); i++)
		printf("# %-28s%8llu, failed %llu\n", call_name(i),
		       (unsigned long long)counts->calls[i],
		       (unsigned long long)counts->failed[i]);
	for (i = 0; i < NR_ERRNOS; i++)
		if (counts->errnos[i])
			printf("# %-28s%8llu\n",
			       i ? strerrorname_np(i) : "success",
			       (unsigned long long)counts->errnos[i]);
	printf("# KVM_RUN %llu, reads with events %llu\n",
	       (unsigned long long)counts->runs,
	       (unsigned long long)counts->events);
	printf("# drivers: entries %llu, calls %llu, interrupts %llu, emulated writes %llu, violations %llu, exits %llu\n",
	       st->entries, st->calls, st->interrupts, st->emulated_writes,
	       st->violations, st->exits);
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:n:t:r:w:v")) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			nr_calls = strtoull(optarg, NULL, 0);
			break;
		case 't':
			nr_threads = atoi(optarg);
			if (nr_threads < 1 || nr_threads > 64)
				exit(2);
			break;
		case 'r':
			module_path = optarg;
			break;
		case 'w':
			patience = atoi(optarg);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			exit(2);
		}
	}
}

/* At each tenth. */
static void progress(void)
{
	static unsigned int told;
	unsigned int tenths = counts->done / (nr_calls / 10 + 1);

	if (tenths > told)
		printf("# %llu of %llu calls\n", (unsigned long long)counts->done,
		       (unsigned long long)nr_calls);
	fflush(stdout);
	told = tenths;
}

int main(int argc, char **argv)
{
	const char *bad = NULL;
	unsigned int round;
	char line[200];
	struct rng r;
	int log;

	options(argc, argv);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		die("mmap");
	r.state = seed;
	for (round = 0; counts->done < nr_calls && !bad; round++) {
		log = klog_open();
		bad = run_round(rng64(&r));
		if (klog_bad(log, line, sizeof(line)) && !bad)
			bad = line;
		progress();
	}
	print_counts();
	if (bad)
		printf("not ok - round %u of seed %llu: %s\n", round - 1,
		       (unsigned long long)seed, bad);
	else
		printf("ok - %llu calls, seed %llu, %u rounds\n",
		       (unsigned long long)counts->done,
		       (unsigned long long)seed, round);
	return bad != NULL;
}
