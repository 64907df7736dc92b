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
	bool started;
};

/* As long as it starts, fail_lib() says what went wrong.  Once it runs nobody calls that, so
 * errors are told here. */
static void on_log(void *ctx, enum chariot_log_level level, const char *text)
{
	const struct guard *g = ctx;

	if (g->started && level == CHARIOT_LOG_ERROR)
		note("chariot: %s", text);
	else
		lib_log(NULL, level, text);
}

/* Runs in the guard's thread, so it may use @vm, which belongs to that thread. */
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

void guard_wait(pid_t pid)
{
	struct pollfd p = { .events = POLLIN };

	p.fd = syscall(SYS_pidfd_open, pid, 0);
	while (p.fd >= 0 && !stopped && poll(&p, 1, 1000) <= 0)
		;
	if (p.fd >= 0)
		close(p.fd);
}

static int run(struct guard *g, const char *vm_name,
	       struct chariot_guard_opts *o)
{
	struct chariot_guard *guard;
	const char *said;

	g->vm = vm_open(vm_name, &g->id);
	if (!g->vm)
		return EXIT_FAIL;
	o->ctx = g;
	o->events_apart = true;
	chariot_set_log(on_log, g);
	guard = chariot_guard__start(g->vm, o);
	if (!guard) {
		fail_lib(errno, "VM %s", vm_name);
		chariot_vm__free(g->vm);
		return EXIT_FAIL;
	}
	g->started = true;
	said = lib_said();
	if (said)
		note("chariot: %s", said);
	note("guarding until Ctrl-C; then the drivers run on, without isolation");
	guard_wait(g->id.pid);
	if (!stopped)
		note("the VM has ended");
	chariot_guard__stop(guard);
	return EXIT_OK;
}

int guard_args(int *argc, char **argv, int min, struct chariot_guard_opts *o,
	       struct option_list *policies)
{
	const char *verdict = NULL, *state = NULL;
	const struct option_def options[] = {
		{ "verdict", OPT_STRING, &verdict },
		{ "policy", OPT_LIST, policies },
		{ "state", OPT_STRING, &state },
		{},
	};
	int v = CHARIOT_VERDICT_DEFAULT;

	if (parse_args(argc, argv, options, min, 2))
		return EXIT_USAGE;
	if (verdict)
		v = chariot_verdict_by_name(verdict);
	if (v < 0)
		return usage("--verdict: \"%s\" is none of " GUARD_VERDICTS,
			     verdict);
	o->sz = sizeof(*o);
	o->verdict = v;
	o->drivers = *argc > 1 ? argv[1] : NULL;
	o->policies = policies->v;
	o->state_dir = state;
	return EXIT_OK;
}

static int run_guard(int argc, char **argv)
{
	struct chariot_guard_opts o = { .on_event = on_event };
	struct option_list policies = {};
	struct guard g = {};

	if (guard_args(&argc, argv, 2, &o, &policies))
		return EXIT_USAGE;
	catch_signals();
	return run(&g, argv[0], &o);
}

static const struct command commands[] = {
	{ NULL, "VM DRIVER[,DRIVER...] [--verdict VERDICT] [--policy FILE]... [--state DIR]",
	  run_guard },
	{},
};

const struct object guard_object = {
	.name = "guard",
	.summary = "isolate drivers of a VM that has no -device chariot",
	.options = GUARD_OPTIONS,
	.commands = commands,
};
