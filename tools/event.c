// SPDX-License-Identifier: GPL-2.0
/*
 * chariot event: what happens in the VMs, live.
 */
#include "cli.h"
#include "journal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RESCAN_MS	2000

struct watched {
	struct kvm_vm id;
	struct chariot_vm *vm;	/* NULL: no more events */
	int pidfd;
};

struct watch {
	struct watched *v;
	size_t nr;
	bool all;		/* also VMs that start later */
	bool journal;		/* they go there, too */
	const char *types;	/* "violation,error", or NULL */
	uint64_t count;		/* 0: no limit */
	int timeout_ms;		/* 0: no limit */
	uint64_t seen;
};

volatile int stopped;

/* ---- time and signals --------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
}

/* Events have monotonic time; people want the clock on the wall. */
static void put_time(struct json_object *o, uint64_t time_ns)
{
	int64_t ns = (uint64_t)(clock_ns(CLOCK_REALTIME) -
				clock_ns(CLOCK_MONOTONIC)) + time_ns;
	time_t s = ns / 1000000000;
	char text[64], full[80];
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(full, sizeof(full), "%s.%03d", text,
		 (int)(ns / 1000000 % 1000));
	put_str(o, "time", full);
	put_u64(o, "time_ns", time_ns);
}

/* ---- one event ---------------------------------------------------------- */

static void put_near(struct json_object *o, const char *key,
		     const struct chariot_object *near)
{
	struct json_object *n;

	if (!near->source)
		return;
	n = json_map();
	put_hex(n, "address", near->gva);
	put_u64(n, "length", near->len);
	put_str(n, "source", chariot_source_name(near->source));
	json_object_object_add(o, key, n);
}

static void put_address(struct json_object *o, const char *key,
			struct chariot_vm *vm, uint64_t addr)
{
	char buf[128], symbol[64];

	if (!addr)
		return;
	put_hex(o, key, addr);
	snprintf(symbol, sizeof(symbol), "%s_symbol", key);
	chariot_vm__symbolize(vm, addr, buf, sizeof(buf));
	if (strncmp(buf, "0x", 2))
		put_str(o, symbol, buf);
}

static void put_violation(struct json_object *o, struct chariot_vm *vm,
			  const struct chariot_event *ev)
{
	static const char *const why[CHARIOT_NR_WHYS] = {
		[CHARIOT_WHY_WRITE] = "write", [CHARIOT_WHY_FETCH] = "fetch",
		[CHARIOT_WHY_ENTRY] = "entry",
		[CHARIOT_WHY_PANIC] = "panic",
		[CHARIOT_WHY_LOOP] = "loop",
		[CHARIOT_WHY_UNBALANCED] = "unbalanced",
		[CHARIOT_WHY_OOPS] = "oops",
		[CHARIOT_WHY_ATOMIC] = "atomic",
		[CHARIOT_WHY_FREE] = "free",
	};
	uint32_t len = ev->u.violation.len;

	if (ev->u.violation.why < CHARIOT_NR_WHYS)
		put_str(o, "why", why[ev->u.violation.why]);
	put_str(o, "verdict", chariot_verdict_name(ev->verdict));
	put_address(o, "rip", vm, ev->u.violation.rip);
	/* Mode inline: in its function, as the module's file has it. */
	if (ev->u.violation.origin)
		put_u64(o, "origin", ev->u.violation.origin - 1);
	put_address(o, "caller", vm, ev->u.violation.caller);
	put_address(o, "entry", vm, ev->u.violation.entry);
	put_address(o, "target", vm, ev->u.violation.gva);
	if (ev->u.violation.gpa != ~0ULL)
		put_hex(o, "gpa", ev->u.violation.gpa);
	put_u64(o, "length", len);
	if (len)
		put_bytes(o, "bytes", ev->u.violation.bytes,
			  len < sizeof(ev->u.violation.bytes) ?
			  len : sizeof(ev->u.violation.bytes));
	put_near(o, "below", &ev->u.violation.near[0]);
	put_near(o, "above", &ev->u.violation.near[1]);
}

static void put_name(struct json_object *o, const char *name)
{
	char copy[CHARIOT_NAME_LEN + 1] = "";

	memcpy(copy, name, CHARIOT_NAME_LEN);
	put_str(o, "driver", copy);
}

static void put_domain(struct json_object *o, struct chariot_vm *vm,
		       uint32_t domain)
{
	struct chariot_domain_info d;

	put_u64(o, "domain", domain);
	if (!chariot_vm__domain_info(vm, domain, &d))
		put_name(o, d.name);
}

static void put_details(struct json_object *o, struct chariot_vm *vm,
			const struct chariot_event *ev)
{
	switch (ev->type) {
	case CHARIOT_EV_VIOLATION:
	case CHARIOT_EV_UNEMULATED:
	case CHARIOT_EV_FAULT:
		put_violation(o, vm, ev);
		break;
	case CHARIOT_EV_INIT_DONE:
		put_name(o, ev->u.init.name);
		json_object_object_add(o, "result",
			json_object_new_int64(ev->u.init.result));
		break;
	case CHARIOT_EV_DOMAIN_NEW:
	case CHARIOT_EV_DOMAIN_GONE:
	case CHARIOT_EV_RECOVERED:
	case CHARIOT_EV_MODULE_NEW:
	case CHARIOT_EV_MODULE_GONE:
		put_name(o, ev->u.name.name);
		break;
	case CHARIOT_EV_REQUEST:
		put_name(o, ev->u.request.name);
		break;
	}
}

struct json_object *event_json(struct chariot_vm *vm,
			       const struct chariot_event *ev)
{
	struct json_object *o = json_map();
	char text[768];

	put_time(o, ev->time_ns);
	put_u64(o, "seq", ev->seq);
	put_str(o, "event", chariot_event_name(ev->type));
	if (ev->vcpu != ~0U)
		put_u64(o, "vcpu", ev->vcpu);
	if (ev->domain)
		put_domain(o, vm, ev->domain);
	if (ev->flags & CHARIOT_EV_WAITS)
		put_bool(o, "waits", true);
	put_details(o, vm, ev);
	put_str(o, "text", chariot_vm__describe(vm, ev, text, sizeof(text)));
	return o;
}

/* "14:03:07.125 L2 violation  e1000: ..." */
void event_print(const char *vm_name, struct json_object *ev)
{
	const char *time = strchr(get_str(ev, "time"), 'T');
	const char *type = get_str(ev, "event"), *color = "";

	if (cli.color)
		color = !strcmp(type, "violation") ? "\033[1;31m" :
			!strcmp(type, "error") ? "\033[31m" : "\033[1m";
	printf("%s ", time ? time + 1 : "");
	if (vm_name)
		printf("%s ", vm_name);
	printf("%s%-10s%s %s", color, type, *color ? "\033[0m" : "",
	       get_str(ev, "text"));
	if (get(ev, "waits") && !strcmp(type, "violation"))
		printf(" (waits: event %s)", get_str(ev, "seq"));
	putchar('\n');
	fflush(stdout);
}

/* ---- the VMs that are watched ------------------------------------------- */

static void add_watched(struct watch *w, struct chariot_vm *vm,
			const struct kvm_vm *id)
{
	struct watched *v = realloc(w->v, (w->nr + 1) * sizeof(*v));

	if (!v) {
		chariot_vm__free(vm);
		return;
	}
	w->v = v;
	v[w->nr++] = (struct watched){
		.id = *id, .vm = vm,
		.pidfd = syscall(SYS_pidfd_open, id->pid, 0),
	};
}

static bool is_watched(const struct watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->nr; i++)
		if (w->v[i].id.pid == pid)
			return true;
	return false;
}

static void scan(struct watch *w)
{
	struct kvm_vm *vms = NULL;
	struct chariot_vm *vm;
	unsigned int hidden;
	int nr = vms_find(&vms, &hidden);

	for (int i = 0; i < nr; i++) {
		if (!vms[i].readable || is_watched(w, vms[i].pid))
			continue;
		vm = chariot_vm__attach_pid(vms[i].pid);
		if (vm)
			add_watched(w, vm, &vms[i]);
	}
	free(vms);
}

static void unwatch(struct watch *w, size_t i, const char *why)
{
	struct watched *v = &w->v[i];

	note("VM %s: %s", v->id.name[0] ? v->id.name : "", why);
	chariot_vm__free(v->vm);
	if (v->pidfd >= 0)
		close(v->pidfd);
	*v = w->v[--w->nr];
}

static bool wanted(const struct watch *w, const char *type)
{
	const char *at = w->types;
	size_t len;

	for (; at && *at; at += len + (at[len] == ',')) {
		len = strcspn(at, ",");
		if (strlen(type) == len && !strncmp(at, type, len))
			return true;
	}
	return !w->types;
}

static void one_event(struct watch *w, struct watched *v,
		      const struct chariot_event *ev)
{
	struct json_object *o;
	char pid[16];
	int err;

	if (!wanted(w, chariot_event_name(ev->type)))
		return;
	w->seen++;
	snprintf(pid, sizeof(pid), "%d", v->id.pid);
	o = event_json(v->vm, ev);
	err = w->journal ? journal_event(&v->id, ev, o) : 0;
	if (err)
		fail_lib(err, "journal");
	if (w->journal && journal_is_stdout()) {
		/* Once is enough. */
	} else if (cli.json) {
		put_u64(o, "pid", v->id.pid);
		if (v->id.name[0])
			put_str(o, "vm", v->id.name);
		out_line(o);
	} else {
		event_print(!w->all ? NULL : v->id.name[0] ? v->id.name : pid,
			    o);
	}
	json_object_put(o);
}

static bool enough(const struct watch *w)
{
	return stopped || (w->count && w->seen >= w->count) || ferror(stdout);
}

/* Takes all events that are there.  False: this VM gives no more. */
static bool drain(struct watch *w, struct watched *v)
{
	struct chariot_event ev;
	int r;

	while (!enough(w)) {
		r = chariot_vm__next_event(v->vm, &ev, 0);
		if (r <= 0)
			return !r;
		one_event(w, v, &ev);
	}
	return true;
}

static void wait_for_events(struct watch *w, int ms)
{
	struct pollfd *p = calloc(2 * w->nr + 1, sizeof(*p));
	size_t nr = w->nr;

	if (!p)
		return;
	for (size_t i = 0; i < nr; i++) {
		p[2 * i].fd = chariot_vm__fd(w->v[i].vm);
		p[2 * i + 1].fd = w->v[i].pidfd;
		p[2 * i].events = p[2 * i + 1].events = POLLIN;
	}
	poll(p, 2 * nr, ms);
	/* From the end: unwatch() moves the last one here. */
	for (size_t i = nr; i-- > 0; )
		if (!drain(w, &w->v[i]))
			unwatch(w, i, "its isolation has ended");
		else if (p[2 * i + 1].revents)
			unwatch(w, i, "has ended");
	free(p);
}

static int ms_left(const struct watch *w, int64_t end)
{
	int64_t left = w->all ? RESCAN_MS : 60000;

	if (w->timeout_ms && end - now_ms() < left)
		left = end - now_ms();
	return left > 0 ? left : 0;
}

static int watch_loop(struct watch *w)
{
	int64_t end = now_ms() + w->timeout_ms, scanned = now_ms();

	while (!enough(w) && (w->nr || w->all)) {
		if (w->timeout_ms && now_ms() >= end)
			break;
		wait_for_events(w, ms_left(w, end));
		if (w->all && now_ms() - scanned >= RESCAN_MS) {
			scan(w);
			scanned = now_ms();
		}
	}
	if (w->count && w->seen < w->count && !stopped)
		return fail("%llu of %llu events came",
			    (unsigned long long)w->seen,
			    (unsigned long long)w->count);
	return EXIT_OK;
}

static int start(struct watch *w, const char *arg)
{
	struct kvm_vm found;
	struct chariot_vm *vm;

	w->all = !arg;
	if (arg) {
		vm = vm_open(arg, &found);
		if (!vm)
			return EXIT_FAIL;
		add_watched(w, vm, &found);
		return EXIT_OK;
	}
	if (device_missing())
		return EXIT_FAIL;
	scan(w);
	return EXIT_OK;
}

/* ---- command line ------------------------------------------------------- */

static int check_types(const char *types)
{
	struct watch w = { .types = types };
	unsigned int nr = 1, known = 0;

	for (const char *c = types; c && *c; c++)
		nr += *c == ',';
	for (uint32_t i = 0; types && i < CHARIOT_NR_EVENTS; i++)
		known += wanted(&w, chariot_event_name(i));
	if (types && known != nr)
		return usage("--type: \"%s\" has what is no type of event",
			     types);
	return EXIT_OK;
}

static int event_watch(int argc, char **argv)
{
	struct watch w = {};
	const struct option_def options[] = {
		{ "count", OPT_U64, &w.count },
		{ "timeout", OPT_MS, &w.timeout_ms },
		{ "type", OPT_STRING, &w.types },
		{ "journal", OPT_FLAG, &w.journal },
		{},
	};
	int r;

	if (parse_args(&argc, argv, options, 0, 1) || check_types(w.types))
		return EXIT_USAGE;
	if (w.journal && journal_check())
		return EXIT_FAIL;
	w.journal |= journal_is_stdout();
	catch_signals();
	r = start(&w, argc ? argv[0] : NULL);
	if (!r)
		r = watch_loop(&w);
	while (w.nr) {
		w.nr--;
		chariot_vm__free(w.v[w.nr].vm);
		if (w.v[w.nr].pidfd >= 0)
			close(w.v[w.nr].pidfd);
	}
	free(w.v);
	return r;
}

static const struct command commands[] = {
	{ "watch", "[VM] [--count N] [--timeout S] [--type TYPE,...] [--journal]",
	  event_watch },
	{},
};

const struct object event_object = {
	.name = "event", .summary = "what happens in the VMs, live",
	.options =
"  --count N        end after N events\n"
"  --timeout S      end after S seconds; an error if N events have not come\n"
"  --type TYPE,...  only violation, unemulated, fault, recovered, error, domain-new,\n"
"                   init-done, domain-gone, module-new, module-gone, request, reset,\n"
"                   kernel, load, ask or image\n"
"  --journal        into systemd's journal, too; a service does so without it\n",
	.commands = commands,
};
