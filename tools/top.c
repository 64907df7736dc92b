// SPDX-License-Identifier: GPL-2.0
/*
 * chariot top: what the drivers of all VMs do, and how it changes.
 */
#include "top.h"
#include "counters.h"
#include "survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DELAY_MS	2000
#define MAX_EVENTS	1024	/* that one look takes of a VM */

const struct top_column top_columns[] = {
	{ { "vm", "VM" }, 12 },
	{ { "driver", "DRIVER" }, 12 },
	{ { "status", "VERDICT", COL_STATE }, 12 },
	{ { "violations", "VIOL", COL_NUMBER }, 5 },
	{ { "violation_rate", "VIOL/S", COL_NUMBER }, 7 },
	{ { "exit_rate", "EXITS/S", COL_NUMBER }, 8 },
	{ { "call_rate", "CALLS/S", COL_NUMBER }, 8 },
	{ { "trust", "TRUST" }, 9 },
	{ { "recoveries", "RECOV", COL_NUMBER }, 5 },
	{ { "objects", "OBJECTS", COL_NUMBER }, 7 },
	{ { "memory", "MEMORY", COL_SIZE }, 9 },
	{ { "pid", "PID", COL_NUMBER }, 7 },
	{},
};

struct handle {
	pid_t pid;
	struct chariot_vm *vm;
	bool used;			/* by the last look */
};

/* A domain, from one look to the next. */
struct seen {
	pid_t pid;
	struct chariot_domain_info info;
	struct chariot_stats st;
	bool identified;
	struct chariot_trust trust;	/* driver "": not known */
	char last[512], last_time[16];	/* violation or the like */
};

struct top {
	const char *only;
	struct handle *handles;
	size_t nr_handles;
	struct seen *seen;
	size_t nr_seen;
	int64_t at;			/* when that was; 0: not yet */
	bool identified;		/* one, by the last look */
	struct json_object *rows;
};

/* ---- handles -------------------------------------------------------------- */

static struct handle *handle_of(struct top *t, pid_t pid)
{
	for (size_t i = 0; i < t->nr_handles; i++)
		if (t->handles[i].pid == pid)
			return &t->handles[i];
	return NULL;
}

/* They are kept: events come to those that are there. */
static struct chariot_vm *open_vm(void *ctx, const struct kvm_vm *id)
{
	struct top *t = ctx;
	struct handle *h = handle_of(t, id->pid);
	struct chariot_vm *vm;

	if (!h) {
		vm = chariot_vm__attach_pid(id->pid);
		h = vm ? reallocarray(t->handles, t->nr_handles + 1, sizeof(*h)) :
			 NULL;
		if (!h) {
			chariot_vm__free(vm);
			return NULL;
		}
		t->handles = h;
		h += t->nr_handles++;
		*h = (struct handle){ .pid = id->pid, .vm = vm };
	}
	h->used = true;
	return h->vm;
}

static void keep_vm(void *ctx, struct chariot_vm *vm)
{
	(void)ctx;
	(void)vm;
}

static void drop_handles(struct top *t, bool all)
{
	size_t left = 0;

	for (size_t i = 0; i < t->nr_handles; i++) {
		if (!t->handles[i].used || all) {
			chariot_vm__free(t->handles[i].vm);
			continue;
		}
		t->handles[left] = t->handles[i];
		t->handles[left++].used = false;
	}
	t->nr_handles = left;
}

/* ---- what is remembered --------------------------------------------------- */

static struct seen *find_seen(struct top *t, pid_t pid, uint32_t domain)
{
	for (size_t i = 0; i < t->nr_seen; i++)
		if (t->seen[i].pid == pid && t->seen[i].info.domain == domain)
			return &t->seen[i];
	return NULL;
}

/* Of the row before, unless a number has come to mean another driver. */
static void remember(struct top *t, struct seen *to, pid_t pid,
		     const struct domain_row *d)
{
	struct seen *old = find_seen(t, pid, d->info.domain);

	if (old && !strcmp(old->info.name, d->info.name) &&
	    old->st.exits <= d->st.exits && old->st.entries <= d->st.entries)
		*to = *old;
	else
		to->st = d->st;		/* no rates yet */
	to->pid = pid;
	to->info = d->info;
}

/* Reads the guest's kernel, which takes a while the first time. */
static void identify(struct seen *s, struct chariot_vm *vm)
{
	const struct chariot_profile *p = chariot_vm__profile(vm, 0);
	const struct chariot_space *space = chariot_vm__space(vm);
	struct chariot_driver *d = NULL;
	uint64_t module;

	/* EAGAIN: it was not seen running yet. */
	s->identified = p || errno != EAGAIN;
	if (!p)
		return;
	module = chariot_driver__find(p, space, s->info.name);
	if (module)
		d = chariot_driver__from_guest(p, space, module);
	if (d)
		chariot_trust__of(NULL, p, d, &s->trust);
	chariot_driver__free(d);
}

/* Its file, which its guard and the operator write.  A new driver takes long: not before
 * there is something to see, and one at a time. */
static void look_up_trust(struct top *t, struct seen *s)
{
	struct handle *h = handle_of(t, s->pid);

	if (!s->identified && h && t->at && !t->identified) {
		identify(s, h->vm);
		t->identified = s->identified;
	} else if (s->trust.driver[0]) {
		chariot_trust__of(NULL, NULL, NULL, &s->trust);
	}
}

/* ---- events --------------------------------------------------------------- */

static bool is_bad(uint32_t type)
{
	return type == CHARIOT_EV_VIOLATION || type == CHARIOT_EV_FAULT ||
	       type == CHARIOT_EV_ERROR;
}

static void tell(struct seen *s, struct chariot_vm *vm,
		 const struct chariot_event *ev)
{
	time_t now = time(NULL);
	struct tm tm;

	chariot_vm__describe(vm, ev, s->last, sizeof(s->last));
	strftime(s->last_time, sizeof(s->last_time), "%H:%M:%S",
		 localtime_r(&now, &tm));
}

/* Only the last one of each driver is told: there may be thousands in a second. */
static void take_events(struct top *t, struct handle *h)
{
	struct chariot_event last[32] = {}, ev;
	struct seen *s;

	for (int i = 0; i < MAX_EVENTS; i++) {
		if (chariot_vm__next_event(h->vm, &ev, 0) <= 0)
			break;
		if (is_bad(ev.type) && ev.domain < ARRAY_SIZE(last))
			last[ev.domain] = ev;
	}
	for (size_t nr = 1; nr < ARRAY_SIZE(last); nr++) {
		s = last[nr].size ? find_seen(t, h->pid, nr) : NULL;
		if (s)
			tell(s, h->vm, &last[nr]);
	}
}

/* ---- rows ----------------------------------------------------------------- */

static void put_rate(struct json_object *o, const char *key, uint64_t now,
		     uint64_t before, double seconds)
{
	json_object_object_add(o, key, json_object_new_double(
		seconds > 0 && now > before ? (now - before) / seconds : 0));
}

static struct json_object *vm_json(const struct vm_row *vm)
{
	struct json_object *o = json_map();
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)vm->id.pid);
	put_str(o, "vm", vm->id.name[0] ? vm->id.name : pid);
	put_u64(o, "pid", vm->id.pid);
	put_str(o, "state", vm->state);
	put_str(o, "status", vm->state);
	return o;
}

static void put_trust(struct json_object *o, const struct chariot_trust *t)
{
	if (!t->driver[0])
		return;
	put_str(o, "trust", chariot_trust_state_name(t->state));
	put_u64(o, "trust_entries", t->entries);
	put_u64(o, "trust_seconds", t->seconds);
	if (t->reason[0])
		put_str(o, "trust_reason", t->reason);
}

static void put_counters(struct json_object *o, const struct chariot_stats *now,
			 const struct chariot_stats *before, double seconds)
{
	struct json_object *all = json_map(), *rates = json_map();

	for (size_t i = 0; i < NR_COUNTERS; i++) {
		uint64_t v = counter_value(now, &counters[i]);

		put_u64(all, counters[i].key, v);
		put_rate(rates, counters[i].key, v,
			 counter_value(before, &counters[i]), seconds);
	}
	json_object_object_add(o, "counters", all);
	json_object_object_add(o, "rates", rates);
}

static struct json_object *domain_json(const struct vm_row *vm,
				       const struct domain_row *d,
				       const struct seen *s, double seconds)
{
	struct json_object *o = vm_json(vm);
	const struct chariot_stats *now = &d->st, *old = &s->st;

	put_str(o, "driver", d->info.name);
	put_u64(o, "domain", d->info.domain);
	put_str(o, "mode", chariot_mode_name(d->info.mode));
	put_str(o, "verdict", chariot_verdict_name(d->info.verdict));
	put_str(o, "status", chariot_verdict_name(d->info.verdict));
	put_u64(o, "violations", now->violations);
	put_rate(o, "violation_rate", now->violations, old->violations, seconds);
	put_rate(o, "exit_rate", now->exits, old->exits, seconds);
	put_rate(o, "call_rate", now->entries + now->calls,
		 old->entries + old->calls, seconds);
	put_trust(o, &s->trust);
	put_u64(o, "recoveries", now->recoveries);
	put_u64(o, "objects", d->info.nr_objects);
	put_u64(o, "memory", d->info.memory);
	if (s->last[0]) {
		put_str(o, "last", s->last);
		put_str(o, "last_time", s->last_time);
	}
	put_counters(o, now, old, seconds);
	return o;
}

static bool wanted(const struct top *t, const struct vm_row *vm)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)vm->id.pid);
	return !t->only || !strcmp(t->only, vm->id.name) || !strcmp(t->only, pid);
}

static size_t nr_domains(const struct survey *s)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->nr; i++)
		nr += s->vms[i].nr;
	return nr;
}

static void add_rows(struct top *t, const struct survey *s, double seconds)
{
	struct json_object *list = t->rows;
	struct seen *v = t->seen;

	for (size_t i = 0; i < s->nr; i++) {
		const struct vm_row *vm = &s->vms[i];

		if (wanted(t, vm) && !vm->nr)
			json_object_array_add(list, vm_json(vm));
		for (size_t k = 0; k < vm->nr; k++, v++) {
			look_up_trust(t, v);
			if (wanted(t, vm))
				json_object_array_add(list, domain_json(vm,
					&vm->domains[k], v, seconds));
			v->st = vm->domains[k].st;
		}
	}
}

/* All domains of @s, with what was known of them. */
static int carry_over(struct top *t, const struct survey *s)
{
	struct seen *all = calloc(nr_domains(s) + 1, sizeof(*all)), *to = all;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr; i++)
		for (size_t k = 0; k < s->vms[i].nr; k++)
			remember(t, to++, s->vms[i].id.pid,
				 &s->vms[i].domains[k]);
	free(t->seen);
	t->seen = all;
	t->nr_seen = to - all;
	return 0;
}

struct json_object *top_look(struct top *t)
{
	int64_t now = now_ms();
	struct survey s;
	int err = survey_take(&s, open_vm, keep_vm, t);

	if (!err)
		err = carry_over(t, &s);
	if (!err) {
		drop_handles(t, false);
		for (size_t i = 0; i < t->nr_handles; i++)
			take_events(t, &t->handles[i]);
		json_object_put(t->rows);
		t->rows = json_list();
		t->identified = false;
		add_rows(t, &s, (now - t->at) / 1000.0);
		t->at = now;
	}
	survey_free(&s);
	errno = -err;
	return err ? NULL : t->rows;
}

/* ---- order ---------------------------------------------------------------- */

static struct { const struct column *by; bool reverse; } order;

static int compare_values(struct json_object *a, struct json_object *b)
{
	double x, y;

	if (!a || !b)
		return !!a - !!b;
	if (json_object_is_type(a, json_type_string))
		return -strcmp(json_object_get_string(a),
			       json_object_get_string(b));
	x = json_object_get_double(a);
	y = json_object_get_double(b);
	return (x > y) - (x < y);
}

/* Names go up and numbers down; what is equal goes by names. */
static int compare(const void *a, const void *b)
{
	struct json_object *x = *(struct json_object *const *)a;
	struct json_object *y = *(struct json_object *const *)b;
	int r = -compare_values(get(x, order.by->key), get(y, order.by->key));

	if (order.reverse)
		r = -r;
	if (!r)
		r = -compare_values(get(x, "exit_rate"), get(y, "exit_rate"));
	if (!r)
		r = strcmp(get_str(x, "vm"), get_str(y, "vm"));
	return r ?: strcmp(get_str(x, "driver"), get_str(y, "driver"));
}

void top_sort(struct json_object *list, int column, bool reverse)
{
	order.by = &top_columns[column].col;
	order.reverse = reverse;
	json_object_array_sort(list, compare);
}

const char *top_summary(struct json_object *list, char *buf, size_t len)
{
	size_t nr = json_object_array_length(list), vms = 0, drivers = 0;
	uint64_t violations = 0;
	struct json_object *o;

	for (size_t i = 0; i < nr; i++) {
		bool first = true;

		o = json_object_array_get_idx(list, i);
		for (size_t k = 0; k < i && first; k++)
			first = json_object_get_int(get(o, "pid")) !=
				json_object_get_int(get(
				json_object_array_get_idx(list, k), "pid"));
		vms += first;
		drivers += !!get(o, "driver");
		violations += json_object_get_uint64(get(o, "violations"));
	}
	snprintf(buf, len, "%zu VM%s, %zu driver%s, %llu violation%s", vms,
		 vms == 1 ? "" : "s", drivers, drivers == 1 ? "" : "s",
		 (unsigned long long)violations, violations == 1 ? "" : "s");
	return buf;
}

/* ---- what can be asked for ------------------------------------------------ */

static struct chariot_vm *vm_of(struct top *t, struct json_object *row)
{
	struct handle *h = handle_of(t, json_object_get_int(get(row, "pid")));

	return h ? h->vm : NULL;
}

void top_set_verdict(struct top *t, struct json_object *row, uint32_t verdict,
		     char *buf, size_t len)
{
	struct chariot_vm *vm = vm_of(t, row);
	const char *driver = get_str(row, "driver");
	int err = -ENOENT;

	if (vm)
		err = chariot_vm__set_verdict(vm,
			json_object_get_int(get(row, "domain")), verdict);
	if (err == -EOPNOTSUPP)
		snprintf(buf, len, "%s cannot be recovered", driver);
	else if (err)
		snprintf(buf, len, "%s: %s", driver, strerror(-err));
	else
		snprintf(buf, len, "%s: its verdict is %s now", driver,
			 chariot_verdict_name(verdict));
}

void top_release(struct top *t, struct json_object *row, char *buf, size_t len)
{
	struct chariot_vm *vm = vm_of(t, row);
	const char *driver = get_str(row, "driver");
	int err = vm ? chariot_vm__request(vm, CHARIOT_REQUEST_RELEASE, driver) :
		       -ENOENT;

	if (err)
		snprintf(buf, len, "%s: %s", driver, strerror(-err));
	else
		snprintf(buf, len, "%s: the guard was asked to release it", driver);
}

struct top *top_new(const char *only)
{
	struct chariot_vm *vm = only ? vm_open(only, NULL) : NULL;
	struct top *t;

	if (only && !vm)
		return NULL;
	chariot_vm__free(vm);
	t = calloc(1, sizeof(*t));
	if (!t) {
		fail("out of memory");
		return NULL;
	}
	t->only = only;
	return t;
}

void top_free(struct top *t)
{
	drop_handles(t, true);
	free(t->handles);
	free(t->seen);
	json_object_put(t->rows);
	free(t);
}

/* ---- command -------------------------------------------------------------- */

static void print_rows(struct json_object *list)
{
	struct column cols[ARRAY_SIZE(top_columns)] = {};
	struct json_object *o;
	char text[128];

	printf("%s\n", top_summary(list, text, sizeof(text)));
	for (size_t i = 0; top_columns[i].width; i++)
		cols[i] = top_columns[i].col;
	rows(list, cols);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (get(o, "last"))
			printf("%s %s %s\n", get_str(o, "last_time"),
			       get_str(o, "vm"), get_str(o, "last"));
	}
}

static int batch(struct top *t, int delay_ms, uint64_t count)
{
	struct timespec ts = { delay_ms / 1000, delay_ms % 1000 * 1000000L };
	struct json_object *list;

	/* The first look is what rates begin from. */
	for (uint64_t n = 0; !stopped && (!count || n <= count); n++) {
		list = top_look(t);
		if (!list)
			return fail_lib(errno, "/proc");
		top_sort(list, TOP_SORT, false);
		if (n && cli.json)
			out_line(list);
		else if (n)
			print_rows(list);
		if (n > 0 && !cli.json)
			putchar('\n');
		fflush(stdout);
		if (ferror(stdout))
			return EXIT_FAIL;
		if (!count || n < count)
			nanosleep(&ts, NULL);
	}
	return EXIT_OK;
}

static int run_top(int argc, char **argv)
{
	int delay_ms = DELAY_MS, r;
	uint64_t count = 0;
	bool in_batch = false;
	const struct option_def options[] = {
		{ "batch", OPT_FLAG, &in_batch, 'b' },
		{ "delay", OPT_MS, &delay_ms },
		{ "count", OPT_U64, &count },
		{},
	};
	struct top *t;

	if (parse_args(&argc, argv, options, 0, 1))
		return EXIT_USAGE;
	if (delay_ms < 10)
		return usage("--delay: less than 0.01 s");
	if (!in_batch && !cli.json && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return usage("this is no terminal: --batch");
	catch_signals();
	t = top_new(argc ? argv[0] : NULL);
	if (!t)
		return EXIT_FAIL;
	r = in_batch || cli.json ? batch(t, delay_ms, count) :
				   screen_run(t, delay_ms, count);
	top_free(t);
	return r;
}

static const struct command commands[] = {
	{ NULL, "[VM] [--batch] [--delay S] [--count N]", run_top },
	{},
};

const struct object top_object = {
	.name = "top", .summary = "the drivers of all VMs, live, with rates",
	.options =
"  --batch, -b  as text, one table after the other, until Ctrl-C\n"
"  --delay S    between two looks (2)\n"
"  --count N    end after N looks\n",
	.commands = commands,
};
