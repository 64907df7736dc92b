// SPDX-License-Identifier: GPL-2.0
/*
 * hostile [-w SECONDS] [-m MODULE] [NAME...]: what a guest, its driver, its VMM
 * and a caller of the ioctls may try, one test for each; without NAME all.
 * hostile -l: list them.
 *
 * Each runs in a process of its own, which is killed when it does not end.
 * Those come last that have taken the host down: zap-slot where pages are
 * shadowed (NPT=0), and attach-emulating.
 */
#include "vm.h"
#include "hostile.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned int patience = 60;
const char *module_path;

static const struct test {
	const char *name;
	const char *what;
	void (*fn)(void);
} tests[] = {
	{ "checks", "a gate with more CHECKs than are allowed", test_checks },
	{ "create-fails", "a CREATE that fails", test_create_fails },
	{ "sizes", "structures of a newer program", test_sizes },
	{ "who", "ATTACH by others than the VM's owner", test_who },
	{ "inherited", "a handle that outlives its VMM", test_inherited },
	{ "intr-frame", "the driver jumps into the interrupt entry",
	  test_intr_frame },
	{ "intr-stack", "the same, with a stack that is not mapped",
	  test_intr_stack },
	{ "tail-stack", "the driver ends in a jump, at the end of its stack",
	  test_tail_stack },
	{ "entry-stack", "the driver is entered with a stack that is not mapped",
	  test_entry_stack },
	{ "frames", "calls out of the driver that never return", test_frames },
	{ "parked", "interrupts of kernel code that never return",
	  test_parked },
	{ "inherit", "inherited code writes what the driver may", test_inherit },
	{ "inherit-returned", "the kernel calls a driver from the page of inherited code",
	  test_inherit_returned },
	{ "library", "library code writes what the driver may", test_library },
	{ "library-tail", "a driver's function ends in library code",
	  test_library_tail },
	{ "library-leaves", "library code comes to other code", test_library_leaves },
	{ "library-views", "domains need the views of library code",
	  test_library_views },
	{ "close-interrupted", "closed while an interrupt of kernel code in its view is handled",
	  test_close_interrupted },
	{ "memory-grant", "GRANTs without end", test_memory_grant },
	{ "memory-driver", "allocations of a driver without end",
	  test_memory_driver },
	{ "create-stalled", "a table of CREATE does not come",
	  test_create_stalled },
	{ "close-stalled", "a stack of the guest does not come",
	  test_close_stalled },
	{ "act-read-stalled", "the buffer of ACT_READ does not come",
	  test_act_read_stalled },
	{ "kill-stalled", "SIGKILL while memory of the guest does not come",
	  test_kill_stalled },
	{ "rmmod-stalled", "rmmod while memory of the guest does not come",
	  test_rmmod_stalled },
	{ "again", "closed with a vCPU in the view of watched pages, and again",
	  test_again },
	{ "again-split", "what the owner before had split is given back late",
	  test_again_split },
	{ "straddle", "instructions on the edges of a watched page",
	  test_straddle },
	{ "same-told", "an interrupt at the load point", test_same_told },
	{ "two-loads", "two CPUs at the load point at once", test_two_loads },
	{ "ask", "a write is asked for, granted or not", test_ask },
	{ "ask-left", "nobody answers a question", test_ask_left },
	{ "ask-flood", "questions without end", test_ask_flood },
	{ "ask-free", "given back twice", test_ask_free },
	{ "inline-create", "mode inline: what CREATE refuses", test_inline_create },
	{ "inline-store", "stores that a permission cache does not know", test_inline_store },
	{ "inline-device", "mode inline: a line of a device", test_inline_device },
	{ "inline-remapped", "mode inline: another page at a line's address",
	  test_inline_remapped },
	{ "inline-neighbour", "lines of objects on one page", test_inline_neighbour },
	{ "inline-string", "string instructions", test_inline_string },
	{ "inline-stack", "records of entries: the driver's own stack", test_inline_stack },
	{ "inline-argument", "records of entries: arguments", test_inline_argument },
	{ "inline-ask", "a store is asked for, also when the handle is closed",
	  test_inline_ask },
	{ "inline-verdicts", "verdicts report and oops", test_inline_verdicts },
	{ "inline-pause", "verdict pause", test_inline_pause },
	{ "inline-gates", "an allocation and a free", test_inline_gates },
	{ "inline-check", "a function that would write what it must not",
	  test_inline_check },
	{ "inline-tail", "the same, jumped to", test_inline_tail },
	{ "inline-spill", "an entry that has no record", test_inline_spill },
	{ "inline-life", "init and exit", test_inline_life },
	{ "inline-recover", "a driver that is stopped", test_inline_recover },
	{ "inline-lies", "records and frames of a hostile guest", test_inline_lies },
	{ "inline-random", "the same by chance", test_inline_random },
	{ "inline-scribble", "records change while they are read", test_inline_scribble },
	{ "inline-not-ours", "hypercalls of others", test_inline_not_ours },
	{ "inline-cpus", "two CPUs, and what is revoked beside them", test_inline_cpus },
	{ "image", "a module's loader stops, and calls functions for us", test_image },
	{ "image-errors", "... and is asked for what cannot be", test_image_errors },
	{ "image-moves", "... and goes on on another CPU", test_image_moves },
	{ "image-left", "... and nobody is there any more", test_image_left },
	{ "image-flood", "... of which none returns", test_image_flood },
	{ "audit", "AUDIT beside a driver on two CPUs, views come and go",
	  test_audit },
	{ "apic", "a driver writes to the local APIC's page", test_apic },
	{ "sregs", "KVM_SET_SREGS while a driver runs", test_sregs },
	{ "smi", "KVM_SMI while a driver runs", test_smi },
	{ "dirty", "dirty logging beside a driver", test_dirty },
	{ "dirty-large", "dirty logging of large pages beside a driver",
	  test_dirty_large },
	{ "dirty-ring", "a dirty ring beside a driver", test_dirty_ring },
	{ "prefault", "KVM_PRE_FAULT_MEMORY in each view", test_prefault },
	{ "swap", "memory goes and comes beside a driver", test_swap },
	{ "async", "memory comes while the CPU does something else", test_async },
	{ "unsync", "the guest maps another page where a driver has been",
	  test_unsync },
	{ "nested", "a guest of the guest runs beside a driver", test_nested },
	{ "rom", "a driver writes to read-only memory", test_rom },
	{ "nx-huge", "nx_huge_pages is switched on beside a driver", test_nx_huge },
	{ "slot-anew", "a slot is made anew at the same place", test_slot_anew },
	{ "close-emulating", "the handle is closed inside an emulated write",
	  test_close_emulating },
	{ "zap-slot", "a slot is deleted beside a zap", test_zap_slot },
	{ "attach-emulating", "the handle is closed there, and the VM attached again",
	  test_attach_emulating },
};
#define NR_TESTS	(sizeof(tests) / sizeof(*tests))

/* ---- what a test says --------------------------------------------------- */

static const char *current;
static unsigned int failed;

static void say(const char *word, const char *fmt, va_list ap)
{
	printf("%s - %s: ", word, current);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
}

void ok(bool good, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(good ? "ok" : "not ok", fmt, ap);
	va_end(ap);
	failed += !good;
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# %s: ", current);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("ok - %s # SKIP ", current);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

/* ---- run ---------------------------------------------------------------- */

static void run_child(const struct test *t)
{
	setpgid(0, 0);
	devices_open();
	t->fn();
	_exit(failed > 99 ? 99 : failed);
}

/* Longer than all the waits inside of any test. */
static void run(const struct test *t)
{
	int log = klog_open(), status = 0;
	char line[200];
	bool bad;
	pid_t pid;

	current = t->name;
	note("%s", t->what);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		run_child(t);
	if (!wait_child(pid, 4 * patience + 120, &status)) {
		ok(false, "ends");
		kill(-pid, SIGKILL);
		ok(wait_child(pid, patience, &status), "can be killed");
	} else if (WIFSIGNALED(status)) {
		ok(false, "runs to its end: signal %d", WTERMSIG(status));
	} else {
		failed += WEXITSTATUS(status);
		if (WEXITSTATUS(status) == 125)
			ok(false, "runs to its end");
	}
	kill(-pid, SIGKILL);
	bad = klog_bad(log, line, sizeof(line));
	ok(!bad, "kernel log is clean%s%s", bad ? ": " : "", line);
}

static void list(void)
{
	unsigned int i;

	for (i = 0; i < NR_TESTS; i++)
		printf("%-18s%s\n", tests[i].name, tests[i].what);
}

static const struct test *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_TESTS; i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	fprintf(stderr, "hostile: no test '%s'; -l lists them\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned int i;
	int c;

	while ((c = getopt(argc, argv, "lm:w:")) != -1) {
		switch (c) {
		case 'l':
			list();
			return 0;
		case 'm':
			module_path = optarg;
			break;
		case 'w':
			patience = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	for (c = optind; c < argc; c++)
		find(argv[c]);
	for (c = optind; c < argc; c++)
		run(find(argv[c]));
	for (i = 0; optind == argc && i < NR_TESTS; i++)
		run(&tests[i]);
	return failed != 0;
}
