// SPDX-License-Identifier: GPL-2.0
/*
 * guard PID DRIVERS [VERDICT [POLICY...]]: isolate drivers of a running VM,
 * print one line for each event, until stdin is closed; on SIGUSR1 the
 * statistics.
 */
#define _GNU_SOURCE
#include <chariot.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void log_line(void *ctx, enum chariot_log_level level, const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	(void)ctx;
	if (level < CHARIOT_LOG_DEBUG || getenv("CHARIOT_DEBUG"))
		fprintf(stderr, "guard: %s: %s\n", names[level], text);
}

static void on_event(void *ctx, const struct chariot_event *ev,
		     const char *text)
{
	(void)ctx;
	printf("%s %s\n", chariot_event_name(ev->type), text);
	fflush(stdout);
}

static void print_stats(struct chariot_guard *g)
{
	struct chariot_stats st;

	if (chariot_guard__stats(g, NULL, &st))
		return;
#define PRINT(name, exit, text) \
	printf("stat " #name " %llu\n", (unsigned long long)st.name);
	CHARIOT_COUNTERS(PRINT)
#undef PRINT
	fflush(stdout);
}

static volatile sig_atomic_t asked;

static void on_usr1(int sig)
{
	(void)sig;
	asked = 1;
}

int main(int argc, char **argv)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o), .on_event = on_event,
		.verdict = CHARIOT_VERDICT_SKIP,
	};
	struct pollfd p = { .fd = 0, .events = POLLIN };
	struct chariot_guard *g;
	struct chariot_vm *vm;
	sigset_t none, usr1;
	char byte;

	if (argc < 3)
		return 2;
	/* It comes in ppoll() only, and so is not missed. */
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_usr1 }, NULL);
	chariot_set_log(log_line, NULL);
	vm = chariot_vm__attach_pid(atoi(argv[1]));
	if (!vm) {
		perror("guard: attach");
		return 1;
	}
	o.drivers = argv[2];
	if (argc > 3)
		o.verdict = chariot_verdict_by_name(argv[3]);
	if (argc > 4)
		o.policies = (const char *const *)argv + 4;
	g = chariot_guard__start(vm, &o);
	if (!g) {
		perror("guard: start");
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (ppoll(&p, 1, NULL, &none) < 0 || read(0, &byte, 1) > 0) {
		if (asked)
			print_stats(g);
		asked = 0;
	}
	chariot_guard__stop(g);
	return 0;
}
