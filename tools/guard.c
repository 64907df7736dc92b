// SPDX-License-Identifier: GPL-2.0
/*
 * chariot guard: isolate drivers of a VM that runs without -device chariot.
 */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct guard {
	struct chariot_vm *vm;
	struct kvm_vm id;
};

/* In the guard's thread, which @vm belongs to. */
static void on_event(void *ctx, const struct chariot_event *ev,
		     const char *text)
{
	struct guard *g = ctx;
	struct json_object *o = event_json(g->vm, ev);

	put_str(o, "text", text);
	if (cli.json)
		out_line(o);
	else
		event_print(NULL, o);
	json_object_put(o);
}

static void wait_for_end(pid_t pid)
{
	struct pollfd p = { .events = POLLIN };

	p.fd = syscall(SYS_pidfd_open, pid, 0);
	while (p.fd >= 0 && !stopped && poll(&p, 1, 1000) <= 0)
		;
	if (p.fd >= 0)
		close(p.fd);
	if (!stopped)
		note("the VM has ended");
}

static int run(struct guard *g, const char *vm_name,
	       struct chariot_guard_opts *o)
{
	struct chariot_guard *guard;

	g->vm = vm_open(vm_name, &g->id);
	if (!g->vm)
		return EXIT_FAIL;
	o->ctx = g;
	guard = chariot_guard__start(g->vm, o);
	if (!guard) {
		fail_lib(errno, "VM %s", vm_name);
		chariot_vm__free(g->vm);
		return EXIT_FAIL;
	}
	note("guarding until Ctrl-C; then the drivers run on, without isolation");
	wait_for_end(g->id.pid);
	chariot_guard__stop(guard);
	return EXIT_OK;
}

static int run_guard(int argc, char **argv)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .verdict = CHARIOT_VERDICT_SKIP,
		.on_event = on_event,
	};
	const char *verdict = NULL;
	struct option_list policies = {};
	const struct option_def options[] = {
		{ "verdict", OPT_STRING, &verdict },
		{ "policy", OPT_LIST, &policies },
		{},
	};
	struct guard g = {};
	int v = CHARIOT_VERDICT_SKIP;

	if (parse_args(&argc, argv, options, 2, 2))
		return EXIT_USAGE;
	if (verdict)
		v = chariot_verdict_by_name(verdict);
	if (v < 0)
		return usage("--verdict: \"%s\" is none of report, skip, oops, pause",
			     verdict);
	o.verdict = v;
	o.drivers = argv[1];
	o.policies = policies.v;
	catch_signals();
	return run(&g, argv[0], &o);
}

static const struct command commands[] = {
	{ NULL, "VM DRIVER[,DRIVER...] [--verdict VERDICT] [--policy FILE]...",
	  run_guard },
	{},
};

const struct object guard_object = {
	.name = "guard",
	.summary = "isolate drivers of a VM that has no -device chariot",
	.options =
"  --verdict VERDICT  report, skip (default), oops or pause\n"
"  --policy FILE      on top of the built-in policy; may be repeated\n",
	.commands = commands,
};
