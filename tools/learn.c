// SPDX-License-Identifier: GPL-2.0
/*
 * chariot policy learn: writes of a driver that no policy explains, and what
 * would explain them.
 */
#include "cli.h"
#include "grants.h"

#include <bpf/btf.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SITES	1024
#define FAR		4096	/* bytes behind an object that may be its own */

struct site {
	char where[160];	/* function+offset */
	char entry[128];	/* the function that the kernel called */
	char target[160];
	char gate[128];		/* that granted the object in front of it, or "" */
	char rule[256];		/* the library's proposal, or "" */
	uint64_t len;		/* of that object, and of the write */
	uint64_t past;		/* bytes behind that object's start */
	bool symbol;		/* the target is one of the kernel */
	uint32_t bytes;
	unsigned int count;
};

struct learn {
	struct chariot_vm *vm;
	const char *driver;
	struct chariot_driver *d;
	struct site *sites;
	unsigned int nr, lost;
};

static void symbol(struct learn *l, uint64_t gva, char *buf, size_t len)
{
	chariot_vm__symbolize(l->vm, gva, buf, len);
}

static void strip_offset(char *name)
{
	char *plus = strchr(name, '+');

	if (plus)
		*plus = 0;
}

static void note_write(struct learn *l, const struct chariot_event *ev)
{
	uint64_t at = ev->u.violation.caller ?: ev->u.violation.rip;
	const struct chariot_object *below = &ev->u.violation.near[0];
	struct site s = { .bytes = ev->u.violation.len };

	symbol(l, at, s.where, sizeof(s.where));
	for (unsigned int i = 0; i < l->nr; i++) {
		if (strcmp(l->sites[i].where, s.where))
			continue;
		l->sites[i].count++;
		return;
	}
	if (l->nr == MAX_SITES) {
		l->lost++;
		return;
	}
	if (ev->u.violation.entry) {
		symbol(l, ev->u.violation.entry, s.entry, sizeof(s.entry));
		strip_offset(s.entry);
	}
	symbol(l, ev->u.violation.gva, s.target, sizeof(s.target));
	s.symbol = strncmp(s.target, "0x", 2);
	if (below->source && below->gate &&
	    ev->u.violation.gva - (below->gva + below->len) < FAR) {
		symbol(l, below->gate, s.gate, sizeof(s.gate));
		strip_offset(s.gate);
		s.len = below->len;
		s.past = ev->u.violation.gva - below->gva;
	}
	chariot_vm__propose(l->vm, ev, s.rule, sizeof(s.rule));
	s.count = 1;
	l->sites[l->nr++] = s;
}

/* ---- proposals ---------------------------------------------------------- */

/* Structs that the arguments of a driver's function point to. */
static void put_types(struct learn *l, const char *function, FILE *f)
{
	const struct btf *btf = l->d ? chariot_driver__btf(l->d) : NULL;
	const struct btf_type *t, *to;
	const struct btf_param *p;
	int id = btf ? btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) : -1;
	const char *sep = "";

	if (id < 0)
		return;
	t = btf__type_by_id(btf, btf__type_by_id(btf, id)->type);
	p = btf_params(t);
	for (int i = 0; i < btf_vlen(t); i++) {
		to = btf__type_by_id(btf, p[i].type);
		while (to && (btf_is_mod(to) || btf_is_typedef(to) ||
			      btf_is_ptr(to)))
			to = to->type ? btf__type_by_id(btf, to->type) : NULL;
		if (!to || !btf_is_composite(to))
			continue;
		fprintf(f, "%s%s", sep, btf__name_by_offset(btf, to->name_off));
		sep = ", ";
	}
}

static void propose(struct learn *l, const struct site *s, FILE *f)
{
	fprintf(f, "# %s wrote %u byte%s, %u time%s, called by the kernel at %s\n",
		s->where, s->bytes, s->bytes == 1 ? "" : "s", s->count,
		s->count == 1 ? "" : "s", *s->entry ? s->entry : "?");
	if (s->symbol) {
		fprintf(f, "# to the kernel's %s\n%s%s", s->target, s->rule,
			*s->rule ? "\n" : "");
	} else if (*s->gate) {
		fprintf(f, "# %llu bytes from the start of an object of %llu by %s\n",
			(unsigned long long)s->past,
			(unsigned long long)s->len, s->gate);
		if (*s->rule)
			fprintf(f, "# if it is larger than that: %s\n", s->rule);
	} else {
		fprintf(f, "# to %s, an object that it was not handed; arguments of %s: ",
			s->target, *s->entry ? s->entry : "?");
		put_types(l, s->entry, f);
		fprintf(f, "\n# what leads there from one of these: object TYPE { hand this->MEMBER sizeof(...) }\n");
	}
	fputc('\n', f);
}

static int by_count(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	return x->count > y->count ? -1 : x->count < y->count;
}

static struct json_object *site_json(struct learn *l, const struct site *s)
{
	struct json_object *o = json_map();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f) {
		propose(l, s, f);
		fclose(f);
	}
	put_str(o, "site", s->where);
	put_str(o, "entry", s->entry);
	put_str(o, "target", s->target);
	put_str(o, "gate", s->gate);
	put_u64(o, "bytes", s->bytes);
	put_u64(o, "count", s->count);
	json_object_object_add(o, "proposal",
			       json_object_new_string(text ? text : ""));
	free(text);
	return o;
}

static void show(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		fputs(get_str(json_object_array_get_idx(list, i), "proposal"),
		      stdout);
}

/* ---- watching ----------------------------------------------------------- */

static void find_driver(struct learn *l)
{
	const struct chariot_profile *p = chariot_vm__profile(l->vm, 0);
	const struct chariot_space *s = chariot_vm__space(l->vm);
	uint64_t module = p ? chariot_driver__find(p, s, l->driver) : 0;

	if (module && !l->d)
		l->d = chariot_driver__from_guest(p, s, module);
}

static int watch(struct learn *l, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	struct chariot_event ev;
	int r = 0, left;

	while (!stopped && r >= 0) {
		left = timeout_ms ? end - now_ms() : 1000;
		if (left <= 0)
			break;
		r = chariot_vm__next_event(l->vm, &ev, left);
		if (r != 1 || ev.type != CHARIOT_EV_VIOLATION ||
		    (int)ev.domain != chariot_vm__domain_by_name(l->vm,
								 l->driver))
			continue;
		if (!l->d)
			find_driver(l);
		note_write(l, &ev);
	}
	return r < 0 && r != -EINTR ? fail_lib(r, "events") : EXIT_OK;
}

int policy_learn(int argc, char **argv)
{
	const struct chariot_profile *profile;
	struct json_object *list;
	struct learn l = {};
	int timeout_ms = 0, r;
	const struct option_def options[] = {
		{ "timeout", OPT_MS, &timeout_ms },
		{},
	};

	if (parse_args(&argc, argv, options, 2, 2))
		return EXIT_USAGE;
	l.driver = argv[1];
	l.sites = calloc(MAX_SITES, sizeof(*l.sites));
	l.vm = l.sites ? vm_open_kernel(argv[0], &profile) : NULL;
	if (!l.vm) {
		free(l.sites);
		return EXIT_FAIL;
	}
	catch_signals();
	note("watching what %s writes%s; its verdict should be report", l.driver,
	     timeout_ms ? "" : " until Ctrl-C");
	r = watch(&l, timeout_ms);
	qsort(l.sites, l.nr, sizeof(*l.sites), by_count);
	list = json_list();
	for (unsigned int i = 0; i < l.nr; i++)
		json_object_array_add(list, site_json(&l, &l.sites[i]));
	if (!r)
		note("%u place%s wrote what no policy explains%s", l.nr,
		     l.nr == 1 ? "" : "s", l.lost ? ", and more" : "");
	out(list, show);
	chariot_driver__free(l.d);
	chariot_vm__free(l.vm);
	free(l.sites);
	return r;
}
