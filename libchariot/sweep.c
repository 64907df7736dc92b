// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Rows of the ACT whose objects are gone (sweep.h).
 *
 * An object that is free goes: whoever still writes there, writes after free.  One that
 * was freed and allocated again between two looks is known by being another one: of
 * another cache, or no slab object any more.  What is not known stays.  The module refuses
 * to revoke what was granted again since it was looked at: that is another object's row.
 */
#include <stdlib.h>

#include "sweep.h"

_Static_assert(NR_DOMAINS <= 1 << 5, "struct seen");

#define PERIOD_MS	1000
#define IDLE_MS		10000	/* nothing was granted since all was looked at */
#define SOON_MS		100	/* while there are rows that were not looked at */
#define MAX_ROWS	512	/* at a time: a vCPU may wait for an answer */
#define NR_SEEN		16384

struct seen {
	uint64_t gva;		/* of the row; 0: none */
	uint64_t start, len;
	uint32_t domain, kind;	/* domain: with its @again above */
	uint32_t name;		/* of its cache: a hash */
	uint64_t clock;		/* the ACT's, before it was looked at */
};

struct sweep {
	int64_t due;		/* ms */
	bool idle;		/* no domain */
	struct {
		uint64_t start;	/* where to go on; 0: not begun */
		uint64_t begun;	/* the ACT's clock then */
		uint64_t done;	/* and the last time */
		int64_t due;	/* ms */
	} at[NR_DOMAINS];
	uint32_t again[NR_DOMAINS];	/* how often the number was used */
	struct chariot_object rows[MAX_ROWS];
	struct seen seen[NR_SEEN];
};

static uint32_t hash_name(const char *name)
{
	uint32_t h = 5381;

	while (*name)
		h = h * 33 + (uint8_t)*name++;
	return h;
}

/*
 * Another one than the last time?  Then it must have been granted before that time
 * (*clock).  A row that is not remembered is new.
 */
static bool is_other(struct sweep *w, uint32_t domain, uint64_t gva,
		     const struct object *o, uint64_t *clock)
{
	struct seen *s = &w->seen[(gva >> 3 ^ gva >> 17 ^ domain) % NR_SEEN];
	struct seen was = *s, is = {
		.gva = gva, .domain = w->again[domain] << 5 | domain, .kind = o->kind,
		.clock = *clock,
	};

	if (o->kind != OBJECT_SLAB && o->kind != OBJECT_PAGES)
		return false;
	/* Pages may be split. */
	if (o->kind == OBJECT_SLAB) {
		is.start = o->start;
		is.len = o->len;
		is.name = hash_name(o->name);
	}
	*s = is;
	if (was.gva != gva || was.domain != is.domain ||
	    (was.kind == is.kind && was.start == is.start && was.len == is.len &&
	     was.name == is.name))
		return false;
	*clock = was.clock;
	return true;
}

/* The kernel goes on meanwhile, and a list that is read then may be torn: looked at twice. */
static bool is_free(const struct chariot_vm *vm, struct object_index *x, uint64_t gva)
{
	struct object o;

	for (int i = 0; i < 2; i++)
		if (object_at(x, &vm->space, gva, &o) || o.never != OBJECT_FREE)
			return false;
	return true;
}

/* Then it goes, if it was not granted after *@clock. */
static bool is_gone(struct sweep *w, const struct chariot_vm *vm,
		    struct object_index *x, uint32_t domain, uint64_t gva,
		    uint64_t *clock)
{
	struct object o;

	if (object_at(x, &vm->space, gva, &o))
		return false;
	/* A struct page is granted with its page, and goes with it. */
	if (o.kind == OBJECT_PAGE_STRUCT) {
		gva = object_page_memory(x, o.start);
		if (object_at(x, &vm->space, gva, &o))
			return false;
	}
	if (o.never == OBJECT_FREE)
		return is_free(vm, x, gva);
	return is_other(w, domain, gva, &o, clock);
}

static bool may_go(const struct chariot_object *row)
{
	return row->source == CHARIOT_SRC_ALLOCATION ||
	       row->source == CHARIOT_SRC_ARGUMENT ||
	       row->source == CHARIOT_SRC_EVIDENCE;
}

static void revoke(struct chariot_vm *vm, uint32_t domain, uint64_t gva,
		   uint64_t clock)
{
	struct chariot_grant g = {
		.argsz = sizeof(g), .flags = CHARIOT_GRANT_REVOKE,
		.domain = domain, .source = CHARIOT_SRC_RULE, .gva = gva,
		.seq = clock,
	};

	vm_call(vm->fd, CHARIOT_GRANT, &g);
}

/* Has anything been granted since all was looked at, or is that long ago? */
static bool is_due(struct sweep *w, struct chariot_vm *vm, uint32_t domain,
		   int64_t now)
{
	struct chariot_act_read r = { .argsz = sizeof(r), .domain = domain };

	if (vm_call(vm->fd, CHARIOT_ACT_READ, &r) < 0 ||
	    (r.clock == w->at[domain].done && now < w->at[domain].due))
		return false;
	w->at[domain].begun = r.clock;
	w->at[domain].due = now + IDLE_MS;
	return true;
}

/* The next rows of one domain; false: there is no more to look at. */
static bool sweep_domain(struct sweep *w, struct chariot_vm *vm,
			 struct object_index *x, uint32_t domain, int64_t now)
{
	struct chariot_act_read r = {
		.argsz = sizeof(r), .domain = domain, .nr = MAX_ROWS,
		.start = w->at[domain].start, .buf = (uintptr_t)w->rows,
	};
	uint64_t clock;
	int n;

	if (!r.start && !is_due(w, vm, domain, now))
		return false;
	n = vm_call(vm->fd, CHARIOT_ACT_READ, &r);
	/* A clock of 0 would revoke whatever is there. */
	if (n < 0 || !r.clock)
		return false;
	for (int i = 0; i < n; i++) {
		clock = r.clock;
		if (may_go(&w->rows[i]) &&
		    is_gone(w, vm, x, domain, w->rows[i].gva, &clock))
			revoke(vm, domain, w->rows[i].gva, clock);
	}
	w->at[domain].start = r.start;
	if (!r.start)
		w->at[domain].done = w->at[domain].begun;
	return r.start;
}

void sweep_run(struct sweep *w, struct chariot_vm *vm, struct object_index *x,
	       int64_t now)
{
	struct chariot_vm_info i;
	bool more = false;

	if (now < w->due)
		return;
	w->idle = chariot_vm__info(vm, &i) || !i.domains;
	for (uint32_t nr = 1; nr < NR_DOMAINS; nr++) {
		if (!w->idle && i.domains & 1U << nr)
			more |= sweep_domain(w, vm, x, nr, now);
		else
			memset(&w->at[nr], 0, sizeof(w->at[nr]));
	}
	w->due = w->idle ? 0 : now + (more ? SOON_MS : PERIOD_MS);
}

int sweep_timeout(const struct sweep *w, int64_t now)
{
	int64_t left = w->due - now;

	return w->idle ? -1 : left > 0 ? left : 0;
}

void sweep_forget(struct sweep *w, uint32_t domain)
{
	if (domain >= NR_DOMAINS)
		return;
	memset(&w->at[domain], 0, sizeof(w->at[domain]));
	w->again[domain]++;
}

struct sweep *sweep_new(void)
{
	struct sweep *w = calloc(1, sizeof(*w));

	if (w)
		w->idle = true;
	return w;
}

void sweep_free(struct sweep *w)
{
	free(w);
}
