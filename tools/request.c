// SPDX-License-Identifier: GPL-2.0
/*
 * chariot isolate, release: ask the VM's guard.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PROFILE_MS	5000
#define CONFIRM_MS	3000
#define RELEASE_MS	5000

struct request {
	const char *vm_name, *driver;
	struct chariot_vm *vm;
	uint32_t what;
	int wait_ms;
	int64_t end;
};

static bool about_us(const struct request *r, const struct chariot_event *ev)
{
	return chariot_same_driver(ev->u.name.name, r->driver);
}

/* 1: it came; 0: time is over; -EXIT_FAIL after telling. */
static int await(struct request *r, uint32_t type)
{
	struct chariot_event ev;
	int64_t left;
	int n;

	while (!stopped && (left = r->end - now_ms()) > 0) {
		n = chariot_vm__next_event(r->vm, &ev, left);
		if (n < 0)
			return -fail_lib(n, "VM %s", r->vm_name);
		if (!n)
			continue;
		if (ev.type == type && about_us(r, &ev))
			return 1;
		if (ev.type == CHARIOT_EV_ERROR)
			return -fail("%.*s (%s)",
				     (int)sizeof(ev.u.error.text),
				     ev.u.error.text,
				     strerror(-ev.u.error.error));
	}
	return 0;
}

static int result(struct request *r, const char *state, const char *text)
{
	struct json_object *o;

	if (!cli.json) {
		printf("%s: %s\n", r->driver, text);
		return EXIT_OK;
	}
	o = json_map();
	put_str(o, "vm", r->vm_name);
	put_str(o, "driver", r->driver);
	put_str(o, "state", state);
	put_str(o, "text", text);
	return out(o, NULL);
}

static int post(struct request *r)
{
	struct chariot_vm_info info;
	int err = chariot_vm__info(r->vm, &info);

	if (!err && info.nr_handles < 2)
		return fail("VM %s has no guard that could do it: start QEMU with -device chariot, or run: chariot attach %s %s",
			    r->vm_name, r->vm_name, r->driver);
	if (!err)
		err = chariot_vm__request(r->vm, r->what, r->driver);
	return err ? fail_lib(err, "VM %s", r->vm_name) : EXIT_OK;
}

/* The guard has taken it when it waits for the guest to load drivers. */
static int confirm(struct request *r)
{
	struct timespec ts = { .tv_nsec = 20000000 };
	int64_t end = now_ms() + CONFIRM_MS;
	struct chariot_vm_info info;
	int err;

	do {
		err = chariot_vm__info(r->vm, &info);
		if (err)
			return fail_lib(err, "VM %s", r->vm_name);
		if (info.watch)
			return EXIT_OK;
		nanosleep(&ts, NULL);
	} while (now_ms() < end && !stopped);
	return fail("VM %s: the request was sent, but no guard answered it",
		    r->vm_name);
}

static bool is_loaded(struct request *r)
{
	const struct chariot_profile *p = chariot_vm__profile(r->vm, PROFILE_MS);

	return p && chariot_driver__find(p, chariot_vm__space(r->vm),
					 r->driver);
}

static int isolate(struct request *r)
{
	int n;

	if (chariot_vm__domain_by_name(r->vm, r->driver) > 0)
		return result(r, "isolated", "isolated already");
	n = post(r);
	if (!n)
		n = confirm(r);
	if (n)
		return n;
	if (!r->wait_ms)
		return is_loaded(r) ?
		       result(r, "learning", "loaded already: what it has allocated is not known, so its verdict is\nreport until the guest unloads it and loads it again") :
		       result(r, "waiting", "will be isolated when the guest loads it");
	r->end = now_ms() + r->wait_ms;
	n = await(r, CHARIOT_EV_DOMAIN_NEW);
	if (n < 0)
		return -n;
	if (n)
		return result(r, "isolated", "isolated");
	return fail("the guest has not loaded %s yet; it will be isolated when it does",
		    r->driver);
}

static int release(struct request *r)
{
	int nr = chariot_vm__domain_by_name(r->vm, r->driver), n;

	n = post(r);
	if (n)
		return n;
	if (nr <= 0)
		return result(r, "not isolated", "was not isolated; is not waited for any more");
	r->end = now_ms() + (r->wait_ms ? r->wait_ms : RELEASE_MS);
	n = await(r, CHARIOT_EV_DOMAIN_GONE);
	if (n < 0)
		return -n;
	if (n)
		return result(r, "released", "runs on, without isolation");
	return fail("VM %s: the request was sent, but %s is isolated still",
		    r->vm_name, r->driver);
}

static int request(int argc, char **argv, uint32_t what,
		   int (*fn)(struct request *r))
{
	struct request r = { .what = what };
	const struct option_def options[] = {
		{ "wait", OPT_MS, &r.wait_ms },
		{},
	};
	int ret;

	if (parse_args(&argc, argv, options, 2, 2))
		return EXIT_USAGE;
	if (!chariot_name_ok(argv[1], strlen(argv[1])))
		return usage("\"%s\" is no name of a driver", argv[1]);
	if (strlen(argv[1]) >= CHARIOT_NAME_LEN)
		return usage("\"%s\" is too long for a request: %d bytes at most; chariot attach takes it",
			     argv[1], CHARIOT_NAME_LEN - 1);
	r.vm_name = argv[0];
	r.driver = argv[1];
	catch_signals();
	r.vm = vm_open(r.vm_name, NULL);
	if (!r.vm)
		return EXIT_FAIL;
	ret = fn(&r);
	chariot_vm__free(r.vm);
	return ret;
}

static int run_isolate(int argc, char **argv)
{
	return request(argc, argv, CHARIOT_REQUEST_ISOLATE, isolate);
}

static int run_release(int argc, char **argv)
{
	return request(argc, argv, CHARIOT_REQUEST_RELEASE, release);
}

static const struct command isolate_commands[] = {
	{ NULL, "VM DRIVER [--wait S]", run_isolate },
	{},
};
static const struct command release_commands[] = {
	{ NULL, "VM DRIVER [--wait S]", run_release },
	{},
};

const struct object isolate_object = {
	.name = "isolate", .summary = "isolate a driver from its next load on",
	.options =
"  --wait S   wait until the driver is isolated, for at most S seconds\n",
	.commands = isolate_commands,
};

const struct object release_object = {
	.name = "release", .summary = "end the isolation of a driver",
	.options =
"  --wait S   wait for the end for at most S seconds (5)\n",
	.commands = release_commands,
};
