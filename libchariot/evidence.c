// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Evidence that a driver may write somewhere (evidence.h).
 *
 * All that is looked at is guest memory, and may hold anything: it can make us grant
 * the guest's driver more of the guest, and nothing else.  Each search is bounded in
 * bytes and objects.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/btf.h>

#include "evidence.h"
#include "object-index.h"
#include "proto.h"

#define MAX_CPUS	64		/* whose tasks are looked at */
#define MAX_GIVEN	512		/* rows */
#define MAX_OWNED	16384		/* objects of the ACT */
#define NR_SECTIONS	2048		/* the last of them */
#define SECTIONS_MIN	0xffffffff80000000ULL
#define NR_OTHERS	64		/* of another driver's, for one read */
#define MAX_PAGES	(4UL << 20)	/* of one allocation */
#define SCAN_GIVEN	(64UL << 10)	/* bytes of one object that was given */
#define SCAN_OWNED	(1UL << 20)	/* of one of its own */
#define SCAN_ALL	(4UL << 20)	/* for one look through what is its own */
#define REACH_OBJECTS	2048		/* that are looked through for a count */
#define REACH_LOOKS	2048		/* pointers for them */
#define REACH_DEPTH	3		/* pointers in a row */
#define REACH_ARGUMENT	2		/* the same, for what is no count */
#define REACH_VEC	2		/* the same, to a vector of pages */
#define TREE_DEPTH	11		/* nodes of an XArray, one below the other */
#define VEC_MAX		(1UL << 20)	/* bytes that one entry of it is about */
#define NR_PAGES	1024		/* of guest memory that are kept, for one question */

struct page {
	uint64_t gpa;			/* + 1: 0 is none */
	uint8_t bytes[PAGE_SIZE];
};

#define OUT_WORDS	64		/* that a function stores where the driver says */
#define ARRAY_WORDS	8		/* if it is not known how many */
#define MAX_VALUES	(OUT_WORDS + 1)

/* What a function's prototype tells: which registers mean something. */
struct function {
	uint64_t gva;			/* 0: none */
	bool known, returns;
	bool typed;			/* there are types where it is */
	uint8_t args;			/* bit n: argument n is there */
	uint8_t out[6];			/* words that it may store there */
	uint8_t in[6];			/* words of what it points to */
	uint32_t on_stack;		/* bytes of arguments */
};
#define NR_FUNCTIONS	256

/* What a driver has had evidence for, the last ones. */
#define NR_HAD		256
#define NR_LISTED	64		/* of them, that are on a list with it */
#define LISTED_WORDS	64		/* of one, that may be a list's */
struct had {
	uint64_t start[NR_HAD], len[NR_HAD];
	size_t nr;
};

/* Where the pointer was that allowed an instruction something. */
#define NR_HINTS	256
struct hint {
	uint64_t rip, at;
	uint32_t domain;
};

/* What an instruction was allowed for a call, so often in a row. */
#define AGAIN		8
struct again {
	uint64_t rip, start;
	uint32_t domain, times;
};

/* Addresses of what is no function. */
struct variables {
	uint64_t *v;
	size_t nr;
};

struct evidence {
	struct chariot_vm *vm;
	struct object_index *x;
	struct chariot_space space;	/* with the pages */
	struct page *pages;
	uint64_t page_struct_size, percpu_offsets, nr_cpus;
	uint64_t current_task, task_size;
	uint64_t stack_size;		/* a power of 2, and stacks are aligned */
	struct variables imports[NR_DOMAINS];
	struct had had[NR_DOMAINS];
	struct hint hints[NR_HINTS];
	struct again again[NR_HINTS];
	struct function functions[NR_FUNCTIONS];
	struct chariot_value given[MAX_GIVEN];
	struct chariot_object owned[MAX_OWNED];
	struct {
		uint64_t start, len;
		unsigned int depth;
	} reach[REACH_OBJECTS];
};

/* ---- guest memory, each page of it read once ------------------------------ */

static const uint8_t *page_at(struct evidence *e, uint64_t gpa)
{
	struct page *p = &e->pages[gpa >> PAGE_SHIFT & (NR_PAGES - 1)];
	const struct chariot_space *s = &e->vm->space;
	int err;

	gpa &= PAGE_MASK;
	if (p->gpa == gpa + 1)
		return p->bytes;
	p->gpa = 0;
	err = s->ops->read(s->ctx, gpa, p->bytes, PAGE_SIZE);
	if (err)
		return err_null(err);
	p->gpa = gpa + 1;
	return p->bytes;
}

static int read_pages(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const uint8_t *bytes;
	size_t n;

	for (; len; gpa += n, buf = (char *)buf + n, len -= n) {
		n = PAGE_SIZE - (gpa & ~PAGE_MASK);
		if (n > len)
			n = len;
		bytes = page_at(ctx, gpa);
		if (!bytes)
			return -errno;
		memcpy(buf, bytes + (gpa & ~PAGE_MASK), n);
	}
	return 0;
}

static int write_nothing(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	return -EROFS;
}

static const struct chariot_mem_ops page_ops = {
	.sz = sizeof(page_ops), .read = read_pages, .write = write_nothing,
};

static void forget_pages(struct evidence *e)
{
	e->space = e->vm->space;
	e->space.ops = &page_ops;
	e->space.ctx = e;
	for (size_t i = 0; i < NR_PAGES; i++)
		e->pages[i].gpa = 0;
}

/* ---- a question ----------------------------------------------------------- */

struct question {
	struct evidence *e;
	const struct chariot_event *ev;
	uint64_t gva, len;
	struct object target;
	bool any;			/* whatever it is */
	bool others;			/* another domain has it */
	bool count;			/* an atomic change of a count or lock in it */
	bool of_cpu;			/* by an instruction for this CPU's memory */
	bool narrow;			/* that alone is granted, for the call */
	size_t nr_given, nr_owned, nr_reach;
	unsigned int depth, max_depth;
	size_t left;			/* bytes to scan */
	size_t looks;			/* for what a pointer leads to */
	/* found: */
	const struct chariot_value *by;	/* what led there; NULL: */
	uint64_t at;			/* the place of its own where the pointer is */
	bool through;			/* not itself, but what is in the object */
	bool from_argument;		/* over two of them */
	bool from_vec;			/* an entry of a vector of pages: all of it */
	bool from_tree;			/* an XArray has it */
	bool had;			/* it was evident before */
};

static bool within(uint64_t start, uint64_t size, uint64_t gva, uint64_t len)
{
	return gva - start < size && len <= size - (gva - start);
}

/* Does a pointer of this value lead to the target? */
static bool leads(const struct question *q, uint64_t v)
{
	const struct object *o = &q->target;

	if (v - o->start < o->len)
		return true;
	if (o->kind == OBJECT_PERCPU)
		return v - (o->start - o->cpu_offset) < o->len;
	/* Its pages, by their descriptors; in an sg list with flags. */
	return o->kind == OBJECT_PAGES && o->page &&
	       v - o->page < o->len / PAGE_SIZE *
			     q->e->page_struct_size;
}

static bool is_pointer(uint64_t v)
{
	return v >= KERNEL_MIN && v < (uint64_t)-4095;
}

/* Each word of [gva, gva + len); true: @fn wants no more. */
typedef bool (*word_fn)(struct question *q, uint64_t at, uint64_t v);

static bool scan(struct question *q, uint64_t gva, uint64_t len, uint64_t max,
		 word_fn fn)
{
	uint64_t words[PAGE_SIZE / 8], end;
	size_t n;

	if (len > max)
		len = max;
	if (len > q->left)
		len = q->left;
	q->left -= len;
	end = gva + len;
	for (gva = (gva + 7) & ~7ULL; gva < end; gva += n) {
		n = PAGE_SIZE - (gva & ~PAGE_MASK);
		if (n > end - gva)
			n = end - gva;
		if (n < 8)
			return false;
		if (chariot_space__read(&q->e->space, gva, words, n & ~7UL))
			continue;
		for (size_t i = 0; i < n / 8; i++)
			if (fn(q, gva + 8 * i, words[i]))
				return true;
	}
	return false;
}

static bool word_leads(struct question *q, uint64_t at, uint64_t v)
{
	if (!v || !leads(q, v))
		return false;
	q->at = at;
	return true;
}

/* The next one of its cache that the object leads to, at its beginning; 0: none. */
static uint64_t next_in_ring(struct question *q, const struct object *o,
			     uint64_t cache)
{
	uint64_t words[LISTED_WORDS];
	size_t nr = o->len / 8 < LISTED_WORDS ? o->len / 8 : LISTED_WORDS;
	struct object next;

	if (chariot_space__read(&q->e->space, o->start, words, 8 * nr))
		return 0;
	for (size_t i = 0; i < nr; i++)
		if (is_pointer(words[i]) && words[i] != o->start &&
		    cache_at(q->e->x, &q->e->space, words[i]) == cache &&
		    !object_at(q->e->x, &q->e->space, words[i], &next) &&
		    next.start == words[i] && !next.never)
			return next.start;
	return 0;
}

/* What is kept for a page is a ring of small ones if it has several. */
static bool ring_leads(struct question *q, uint64_t first)
{
	uint64_t cache = cache_at(q->e->x, &q->e->space, first), v = first;
	struct object o;

	if (!cache || q->target.kind != OBJECT_SLAB ||
	    cache_at(q->e->x, &q->e->space, q->target.start) != cache)
		return false;
	for (int i = 0; i < NR_LISTED; i++) {
		if (object_at(q->e->x, &q->e->space, v, &o) || o.never)
			return false;
		v = next_in_ring(q, &o, cache);
		if (!v || v == first)
			return false;
		if (leads(q, v))
			return true;
	}
	return false;
}

/* A page leads to what is kept for it: its buffers. */
static bool page_leads(struct question *q, const struct object *page)
{
	const struct object_index *x = q->e->x;
	uint64_t at = page->start + x->field[PAGE_PRIVATE].bit / 8, v;

	if (!has_member(x, PAGE_PRIVATE) ||
	    space_read_uint(&q->e->space, at, sizeof(v), &v) ||
	    !(word_leads(q, at, v) || ring_leads(q, v)))
		return false;
	q->at = at;
	return true;
}

/* The object at @v has a pointer to the target. */
static bool object_leads(struct question *q, uint64_t v)
{
	struct object o;

	if (!is_pointer(v) || object_at(q->e->x, &q->e->space, v, &o))
		return false;
	if (o.kind == OBJECT_PAGE_STRUCT)
		return page_leads(q, &o);
	return o.never == OBJECT_MAY &&
	       scan(q, o.start, o.len, SCAN_GIVEN, word_leads);
}

/* ---- what the kernel has given to the functions that run ------------------ */

/* Of the kernel's functions, and of modules' by their own types. */
static const struct btf_type *find_proto(struct evidence *e, uint64_t gva,
					 const struct btf **btf)
{
	const struct chariot_profile *p = e->vm->profile;
	const struct chariot_driver *d = NULL;
	const struct btf_type *fn;
	const char *name;
	uint64_t off = 0;
	int32_t id;

	name = chariot_profile__name(p, gva, &off);
	*btf = profile_btf(p);
	if (!name) {
		d = vm_module_at(e->vm, gva);
		name = d ? chariot_driver__name_of(d, gva, &off) : NULL;
		*btf = d ? chariot_driver__btf(d) : NULL;
	}
	if (!name || off || !*btf)
		return NULL;
	id = d ? btf__find_by_name_kind(*btf, name, BTF_KIND_FUNC) :
		 profile_type_id(p, name, BTF_KIND_FUNC);
	fn = id > 0 ? btf__type_by_id(*btf, id) : NULL;
	return fn && btf_is_func(fn) ? btf__type_by_id(*btf, fn->type) : NULL;
}

/* As much as what it points to is large; @more if that is not known. */
static uint8_t words_behind(const struct btf *btf, const struct param *p,
			    uint8_t more)
{
	const struct btf_type *t;
	uint32_t id = p->to;

	if (!p->pointer)
		return 0;
	t = btf_strip(btf, &id, NULL);
	if (!t || btf_is_ptr(t))
		return more;
	return p->size > OUT_WORDS * 8 ? OUT_WORDS :
	       p->size >= 8 ? p->size / 8 : 1;
}

static uint32_t size_on_stack(const struct btf *btf, uint32_t id)
{
	int64_t size = id ? btf__resolve_size(btf, id) : 0;

	return size > 0 && size <= 64 ? (size + 7) & ~7U : 0;
}

static const struct function *look_at(struct evidence *e, uint64_t gva)
{
	struct function *f = &e->functions[gva / 16 % NR_FUNCTIONS];
	const struct btf_type *proto, *ret;
	const struct btf *btf;
	struct param p;
	uint32_t id;
	int reg = 0;

	if (f->gva == gva)
		return f;
	*f = (struct function){ .gva = gva, .returns = true, .args = 0x3f };
	proto = find_proto(e, gva, &btf);
	f->typed = btf;
	if (!proto)
		return f;
	f->known = true;
	id = proto->type;
	ret = id ? btf_strip(btf, &id, NULL) : NULL;
	f->returns = ret && (btf_is_ptr(ret) || (btf_is_int(ret) && ret->size == 8));
	f->args = 0;
	for (int i = 0; i < btf_vlen(proto); i++) {
		proto_param(btf, btf_params(proto)[i].type, &reg, &p);
		if (p.arg < 0 || p.arg > 5) {
			f->on_stack += size_on_stack(btf, btf_params(proto)[i].type);
			continue;
		}
		f->args |= 1 << p.arg;
		/* An array of pointers is written; a pointer to one is read. */
		f->in[p.arg] = words_behind(btf, &p, 1);
		f->out[p.arg] = p.is_const ? 0 : words_behind(btf, &p, ARRAY_WORDS);
	}
	return f;
}

/* Above where the kernel has called a function of the driver on that stack. */
static bool on_callers_stack(const struct question *q, uint64_t v)
{
	for (size_t i = 0; i < q->nr_given; i++)
		if (q->e->given[i].kind == CHARIOT_GIVEN_STACK &&
		    v - q->e->given[i].value < q->e->stack_size)
			return true;
	return false;
}

/* Its values: one, with what it points to on a stack, which is no object; or what a
 * function may have stored. */
static size_t values_of(struct question *q, const struct chariot_value *g,
			uint64_t v[MAX_VALUES])
{
	const struct function *f = look_at(q->e, g->fn);
	size_t n = 0, words;

	if (g->arg >= ARRAY_SIZE(f->out))
		return 0;
	v[0] = g->value;
	/* A caller's local is an argument itself.  Stale registers of the kernel's lead to its
	 * stack, too; but without types there is no other evidence. */
	if (q->target.kind == OBJECT_FRAME)
		return g->kind == CHARIOT_GIVEN_ARG && (f->known || !f->typed) &&
		       f->args >> g->arg & 1;
	switch (g->kind) {
	case CHARIOT_GIVEN_ARG:
		if (!(f->args >> g->arg & 1))
			return 0;
		n = 1;
		words = on_callers_stack(q, g->value) ? f->in[g->arg] : 0;
		if (words > 1 && words < ARRAY_WORDS)
			words = ARRAY_WORDS;	/* there may be more of them */
		break;
	case CHARIOT_GIVEN_RET:
		return f->returns;
	case CHARIOT_GIVEN_OUT:
		words = f->out[g->arg];
		break;
	default:
		return 0;
	}
	for (size_t i = 0; i < words && !(g->value & 7); i++)
		if (!space_read_uint(&q->e->space, g->value + 8 * i, 8, &v[n]))
			n++;
	return n;
}

/* @through: it is in the object that a value leads to. */
static bool value_leads(struct question *q, bool through)
{
	uint64_t v[MAX_VALUES];

	for (size_t i = 0; i < q->nr_given; i++)
		for (size_t n = values_of(q, &q->e->given[i], v); n--; ) {
			if (through ? !object_leads(q, v[n]) :
				      !v[n] || !leads(q, v[n]))
				continue;
			q->by = &q->e->given[i];
			q->through = through;
			return true;
		}
	return false;
}

static bool was_given(struct question *q)
{
	return value_leads(q, false) || value_leads(q, true);
}

/* ---- what the driver has -------------------------------------------------- */

/* Rows that begin at @start or behind it. */
static int read_rows(struct question *q, uint64_t start, struct chariot_object *rows,
		     uint32_t nr)
{
	struct chariot_act_read r = {
		.argsz = sizeof(r), .domain = q->ev->domain, .nr = nr,
		.start = start, .buf = (uintptr_t)rows,
	};

	return vm_call(q->e->vm->fd, CHARIOT_ACT_READ, &r);
}

/* By address its sections come last, and of more than there is room for they count most. */
static int read_owned(struct question *q)
{
	struct chariot_object *rows = q->e->owned, *last = rows + MAX_OWNED - NR_SECTIONS;
	uint64_t start = SECTIONS_MIN;
	int n = read_rows(q, 0, rows, MAX_OWNED);

	if (n == MAX_OWNED) {
		if (last[-1].gva >= start)
			start = last[-1].gva + 1;
		n = read_rows(q, start, last, NR_SECTIONS);
		n = n < 0 ? n : last - rows + n;
	}
	q->nr_owned = n > 0 ? n : 0;
	return n < 0 ? n : 0;
}

/* What it was handed may be another's by now: only where it still has a pointer to. */
static bool is_handed(const struct chariot_object *o)
{
	return o->source == CHARIOT_SRC_ARGUMENT ||
	       o->source == CHARIOT_SRC_EVIDENCE;
}

static bool is_own(const struct chariot_object *o)
{
	return o->source != CHARIOT_SRC_FREED && o->source != CHARIOT_SRC_STACK &&
	       !is_handed(o);
}

static bool each_of(struct question *q, bool sections, word_fn fn)
{
	const struct chariot_object *o;

	for (size_t i = 0; i < q->nr_owned && q->left; i++) {
		o = &q->e->owned[i];
		if (is_own(o) && (o->source == CHARIOT_SRC_SECTION) == sections &&
		    scan(q, o->gva, o->len, SCAN_OWNED, fn))
			return true;
	}
	return false;
}

/* Its sections first: what it allocates may be more than is looked at. */
static bool each_owned(struct question *q, word_fn fn)
{
	q->left = SCAN_ALL;
	return each_of(q, true, fn) || each_of(q, false, fn);
}

/* The row that @v lies in; they are by address. */
static const struct chariot_object *row_at(const struct question *q, uint64_t v)
{
	const struct chariot_object *o = q->e->owned;
	size_t lo = 0, hi = q->nr_owned;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (o[mid].gva <= v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && v - o[lo - 1].gva < o[lo - 1].len ? &o[lo - 1] : NULL;
}

/* What has been found for this instruction is often where it was: a queue's end. */
static bool hint_leads(struct question *q)
{
	struct hint *h = &q->e->hints[q->ev->u.violation.rip % NR_HINTS];
	const struct chariot_object *o = row_at(q, h->at);
	uint64_t v;

	return h->rip == q->ev->u.violation.rip && h->domain == q->ev->domain &&
	       o && is_own(o) && within(o->gva, o->len, h->at, sizeof(v)) &&
	       !space_read_uint(&q->e->space, h->at, sizeof(v), &v) &&
	       word_leads(q, h->at, v);
}

static bool owned_leads(struct question *q)
{
	struct hint *h = &q->e->hints[q->ev->u.violation.rip % NR_HINTS];

	if (hint_leads(q))
		return true;
	if (!each_owned(q, word_leads))
		return false;
	*h = (struct hint){
		.rip = q->ev->u.violation.rip, .at = q->at,
		.domain = q->ev->domain,
	};
	return true;
}

static bool word_handed_leads(struct question *q, uint64_t at, uint64_t v)
{
	const struct chariot_object *o = is_pointer(v) ? row_at(q, v) : NULL;

	if (!o || !is_handed(o) || !scan(q, o->gva, o->len, SCAN_GIVEN, word_leads))
		return false;
	q->at = at;
	q->through = true;
	return true;
}

/* ---- further away ----------------------------------------------------------- */

/* Look through the object at @v, too, but once. */
static void reach_for(struct question *q, uint64_t v)
{
	struct evidence *e = q->e;
	struct object o;

	if (!is_pointer(v) || q->nr_reach == REACH_OBJECTS || !q->left)
		return;
	for (size_t i = 0; i < q->nr_reach; i++)
		if (v - e->reach[i].start < e->reach[i].len)
			return;
	if (!q->looks)
		return;
	q->looks--;
	if (object_at(e->x, &e->space, v, &o) || o.never ||
	    (o.kind != OBJECT_SLAB && o.kind != OBJECT_SYMBOL))
		return;
	e->reach[q->nr_reach].start = o.start;
	e->reach[q->nr_reach].len = o.len;
	e->reach[q->nr_reach++].depth = q->depth + 1;
}

static bool word_reaches(struct question *q, uint64_t at, uint64_t v)
{
	if (word_leads(q, at, v))
		return true;
	if (q->depth < q->max_depth)
		reach_for(q, v);
	return false;
}

/* The nearest first. */
static bool look_through(struct question *q, word_fn fn)
{
	for (size_t i = 0; i < q->nr_reach; i++) {
		q->depth = q->e->reach[i].depth;
		if (scan(q, q->e->reach[i].start, q->e->reach[i].len, PAGE_SIZE, fn))
			return true;
	}
	return false;
}

static void begin_reach(struct question *q, unsigned int max_depth)
{
	q->nr_reach = 0;
	q->depth = 0;
	q->max_depth = max_depth;
	q->left = SCAN_ALL;
	q->looks = REACH_LOOKS;
	q->through = true;
}

/* From what was given; of one kind, or of all (CHARIOT_NR_GIVENS). */
static void reach_from_given(struct question *q, uint32_t kind)
{
	uint64_t v[MAX_VALUES];

	for (size_t i = 0; i < q->nr_given; i++)
		if (kind == CHARIOT_NR_GIVENS || q->e->given[i].kind == kind)
			for (size_t n = values_of(q, &q->e->given[i], v); n--; )
				reach_for(q, v[n]);
}

/*
 * A count of an object is changed by code that is inline, and the pointer to it is in no
 * object of the driver's: file, inode, super block.  What else would be atomic, or of the
 * CPU that runs?
 */
static bool count_reached(struct question *q)
{
	begin_reach(q, REACH_DEPTH);
	reach_from_given(q, CHARIOT_NR_GIVENS);
	if (look_through(q, word_reaches))
		return true;
	q->nr_reach = 0;
	q->depth = 0;
	return each_owned(q, word_reaches) || look_through(q, word_reaches);
}

/*
 * From what the driver's functions were called with, and from variables that it imports,
 * one pointer more: net_generic() of an argument is inline.
 */
static bool argument_reaches(struct question *q)
{
	const struct variables *im = &q->e->imports[q->ev->domain];

	begin_reach(q, REACH_ARGUMENT);
	reach_from_given(q, CHARIOT_GIVEN_ARG);
	for (size_t i = 0; i < im->nr; i++)
		reach_for(q, im->v[i]);
	q->from_argument = look_through(q, word_reaches);
	return q->from_argument;
}

static bool covers(uint64_t start, uint64_t len, const struct question *q)
{
	return len && len <= VEC_MAX && within(start, len, q->gva, q->len);
}

/* A bio_vec, or an entry of a scatterlist, that is about these bytes: by chance neither is
 * likely.  It begins with the first of its pages. */
static bool word_in_vec(struct question *q, uint64_t at, uint64_t v)
{
	const struct object_index *x = q->e->x;
	uint64_t page = (v & ~3ULL) - x->k.vmemmap_base, mem, w, start, len;
	struct object *o = &q->target;

	if (page >= x->vmemmap_end - x->k.vmemmap_base ||
	    page % x->k.page_struct_size ||
	    space_read_uint(&q->e->space, at + 8, sizeof(w), &w))
		return false;
	mem = x->k.page_offset + page / x->k.page_struct_size * PAGE_SIZE;
	start = mem + (w >> 32);	/* bv_len, bv_offset */
	len = (uint32_t)w;
	if (!covers(start, len, q)) {
		start = mem + (uint32_t)w;	/* offset, length */
		len = w >> 32;
		if (!covers(start, len, q))
			return false;
	}
	if (start < o->start) {
		len -= o->start - start;
		start = o->start;
	}
	if (len > o->start + o->len - start)
		len = o->start + o->len - start;
	o->start = start;
	o->len = len;
	q->at = at;
	return true;
}

static bool word_in_far_vec(struct question *q, uint64_t at, uint64_t v)
{
	if (word_in_vec(q, at, v))
		return true;
	if (q->depth < q->max_depth)
		reach_for(q, v);
	return false;
}

/* What it has, or was handed. */
static bool word_reaches_row(struct question *q, uint64_t at, uint64_t v)
{
	const struct chariot_object *o = is_pointer(v) ? row_at(q, v) : NULL;
	struct evidence *e = q->e;

	if (!o || !is_handed(o) || q->nr_reach == REACH_OBJECTS)
		return false;
	for (size_t i = 0; i < q->nr_reach; i++)
		if (e->reach[i].start == o->gva)
			return false;
	e->reach[q->nr_reach].start = o->gva;
	e->reach[q->nr_reach].len = o->len;
	e->reach[q->nr_reach++].depth = 0;
	return false;
}

/*
 * A request that the driver was handed, and still has, leads to a bio, and that to its
 * vector: these are written by a worker, when the call with the request is over.
 */
static bool vec_reached(struct question *q)
{
	begin_reach(q, REACH_VEC);
	each_owned(q, word_reaches_row);
	q->left = SCAN_ALL;
	q->from_vec = look_through(q, word_in_far_vec);
	return q->from_vec;
}

/* ---- trees ---------------------------------------------------------------- */

static bool word_in_node(struct question *q, uint64_t at, uint64_t v);

/* The node of an XArray that @v leads to: no other pointer has these two bits. */
static bool node_leads(struct question *q, uint64_t v)
{
	struct object o;
	bool found;

	if ((v & 3) != 2 || !is_pointer(v) || q->depth == TREE_DEPTH || !q->looks)
		return false;
	q->looks--;
	if (object_at(q->e->x, &q->e->space, v, &o) || o.kind != OBJECT_SLAB ||
	    o.never)
		return false;
	q->depth++;
	found = scan(q, o.start, o.len, PAGE_SIZE, word_in_node);
	q->depth--;
	return found;
}

static bool word_in_node(struct question *q, uint64_t at, uint64_t v)
{
	return word_leads(q, at, v) || node_leads(q, v);
}

static bool word_is_tree(struct question *q, uint64_t at, uint64_t v)
{
	if (!node_leads(q, v))
		return false;
	q->at = at;
	return true;
}

/*
 * What it keeps in an XArray, or an IDR, and what the page cache of a file of its own has,
 * is in nodes that the kernel has allocated.
 */
static bool tree_leads(struct question *q)
{
	q->depth = 0;
	q->looks = REACH_LOOKS;
	q->from_tree = each_owned(q, word_is_tree);
	q->through |= q->from_tree;
	return q->from_tree;
}

/* What points to a stack is of a call that may have ended. */
static bool has_it(struct question *q)
{
	if (q->target.kind == OBJECT_FRAME || read_owned(q))
		return false;
	return owned_leads(q) || each_owned(q, word_handed_leads) || tree_leads(q) ||
	       (q->target.kind == OBJECT_SLAB && argument_reaches(q)) ||
	       (q->target.kind == OBJECT_PAGES && q->target.page &&
		vec_reached(q)) ||
	       ((q->count || q->of_cpu) && count_reached(q));
}

/* ---- what it had ------------------------------------------------------------ */

static void remember(struct question *q, const struct object *o)
{
	struct had *h = &q->e->had[q->ev->domain];
	size_t i;

	for (i = 0; i < NR_HAD && i < h->nr; i++)
		if (h->start[i] == o->start)
			break;
	if (i == NR_HAD || i == h->nr)
		i = h->nr++ % NR_HAD;
	h->start[i] = o->start;
	h->len[i] = o->len;
}

/* What is on a list with the target. */
struct list {
	uint64_t cache;
	uint64_t start[NR_LISTED];
	int nr;
};

/* @v, the word @off of one, leads to the beginning of another one of that cache, or to
 * the same list_head of it. */
static void look_at_link(struct question *q, struct list *l, uint64_t off,
			 uint64_t v)
{
	struct object o;
	uint64_t in;

	if (l->nr == NR_LISTED || !is_pointer(v) ||
	    cache_at(q->e->x, &q->e->space, v) != l->cache ||
	    object_at(q->e->x, &q->e->space, v, &o) || o.never)
		return;
	in = v - o.start;
	if (in && in != off && in != off - 8)
		return;
	for (int i = 0; i < l->nr; i++)
		if (l->start[i] == o.start)
			return;
	l->start[l->nr++] = o.start;
	remember(q, &o);
}

/*
 * Who walks a list takes it apart, and then has a pointer to the next one in a register
 * alone.  Of objects that share a cache by their size alone that is not said.
 */
static void remember_list(struct question *q)
{
	const struct object *o = &q->target;
	struct list l = { .cache = cache_at(q->e->x, &q->e->space, o->start) };
	uint64_t words[LISTED_WORDS];
	size_t nr = o->len / 8 < LISTED_WORDS ? o->len / 8 : LISTED_WORDS;

	if (!l.cache || !strncmp(o->name, "kmalloc", 7))
		return;
	l.start[l.nr++] = o->start;
	for (int i = 0; i < l.nr; i++) {
		if (chariot_space__read(&q->e->space, l.start[i], words, 8 * nr))
			continue;
		for (size_t n = 0; n < nr; n++)
			look_at_link(q, &l, 8 * n, words[n]);
	}
}

/* It may also hold what the kernel has given it, and take its pointer away just before it
 * gives it back. */
static void remember_found(struct question *q)
{
	if (q->target.kind != OBJECT_SLAB || q->narrow || q->had ||
	    q->ev->u.violation.why == CHARIOT_WHY_FREE)
		return;
	if (q->by && q->by->kind == CHARIOT_GIVEN_RET)
		remember(q, &q->target);
	remember_list(q);
}

static bool had_it(struct question *q)
{
	const struct had *h = &q->e->had[q->ev->domain];

	if (q->ev->flags & CHARIOT_EV_GAVE_BACK)
		return false;
	for (size_t i = 0; i < NR_HAD && i < h->nr; i++)
		q->had |= h->start[i] == q->target.start &&
			  h->len[i] == q->target.len;
	return q->had;
}

/*
 * One instruction asks for the same object in call after call: then it is no packet.  If
 * the driver has a pointer to it in its own memory it is handed over, and asked for no
 * more.
 */
static void look_for_own(struct question *q)
{
	struct again *a = &q->e->again[q->ev->u.violation.rip % NR_HINTS];
	const struct chariot_value *by = q->by;
	bool through = q->through;

	if ((q->target.kind != OBJECT_SLAB && q->target.kind != OBJECT_PAGES) ||
	    q->narrow || q->ev->flags & CHARIOT_EV_GAVE_BACK ||
	    q->ev->u.violation.why != CHARIOT_WHY_WRITE)
		return;
	if (a->rip != q->ev->u.violation.rip || a->domain != q->ev->domain ||
	    a->start != q->target.start)
		*a = (struct again){
			.rip = q->ev->u.violation.rip, .start = q->target.start,
			.domain = q->ev->domain,
		};
	if (++a->times % AGAIN)
		return;
	q->by = NULL;
	q->through = false;
	if (!read_owned(q) && owned_leads(q))
		return;
	q->by = by;
	q->through = through;
}

/* What it wants to free, and has not freed before, it may have: only the pointer is in a
 * register. */
static bool is_held(struct question *q)
{
	if (q->ev->u.violation.why == CHARIOT_WHY_FREE &&
	    !(q->ev->flags & CHARIOT_EV_GAVE_BACK))
		return true;
	if (!was_given(q))
		return has_it(q) || had_it(q);
	look_for_own(q);
	return true;
}

/* ---- which object is it? --------------------------------------------------- */

/* Has the driver named it when it was linked?  The address, or 0. */
static uint64_t find_import(const struct question *q)
{
	const struct variables *im = &q->e->imports[q->ev->domain];
	uint64_t best = 0;

	for (size_t i = 0; i < im->nr; i++)
		if (im->v[i] <= q->gva && im->v[i] > best &&
		    within(q->target.start, q->target.len, im->v[i], 1))
			best = im->v[i];
	return best;
}

/* A variable that another module exports: that one, and no more of the module. */
static bool is_export(struct question *q)
{
	const struct chariot_driver *other;
	const struct chariot_symbol *symbols;
	uint64_t import = find_import(q);
	size_t nr = 0;

	other = import ? vm_module_at(q->e->vm, q->gva) : NULL;
	symbols = other ? chariot_driver__symbols(other, &nr) : NULL;
	for (size_t i = 0; i < nr; i++) {
		if (symbols[i].gva != import || symbols[i].func ||
		    !within(symbols[i].gva, symbols[i].size, q->gva, q->len))
			continue;
		q->target.start = symbols[i].gva;
		q->target.len = symbols[i].size;
		q->target.never = OBJECT_MAY;
		snprintf(q->target.name, sizeof(q->target.name), "%s",
			 symbols[i].name);
		return true;
	}
	return false;
}

/*
 * The instruction at @rip: is it atomic ("lock", which a guest with one CPU has made a DS
 * prefix, or an xchg, which needs none), or is it about the memory of the CPU (GS)?
 */
static bool is_locked(struct question *q, uint64_t rip, bool *of_cpu)
{
	uint8_t code[16];

	*of_cpu = false;
	if (chariot_space__read(&q->e->space, rip, code, sizeof(code)))
		return false;
	for (size_t i = 0; i < sizeof(code); i++) {
		*of_cpu |= code[i] == 0x65;
		if (code[i] == 0xf0 || code[i] == 0x3e || code[i] == 0x86 ||
		    code[i] == 0x87)
			return true;
		if (!memchr("\x66\x67\x2e\x36\x26\x64\x65\xf2\xf3", code[i], 9) &&
		    (code[i] & 0xf0) != 0x40)
			return false;
	}
	return false;
}

/* Of what it may write, of a task and the like, of bookkeeping: not of what is free. */
static bool is_count(struct question *q)
{
	const struct object *o = &q->target;

	if (q->ev->u.violation.why != CHARIOT_WHY_WRITE || q->len > 8 ||
	    !is_locked(q, q->ev->u.violation.rip, &q->of_cpu))
		return false;
	if (!o->never && !o->type)
		return true;
	return (o->never == OBJECT_MAY || o->never == OBJECT_IDENTITY ||
		o->never == OBJECT_BOOKKEEPING) &&
	       object_is_count(q->e->x, o, q->gva, q->len);
}

/* The word of a page's descriptor that is for who has the page, if somebody has it. */
static bool is_page_private(struct question *q)
{
	const struct object_index *x = q->e->x;
	uint64_t size = x->k.page_struct_size;
	uint64_t page = (q->gva - x->k.vmemmap_base) / size;
	uint64_t at = x->k.vmemmap_base + page * size + x->field[PAGE_PRIVATE].bit / 8;
	struct object o;

	return q->target.kind == OBJECT_PAGE_STRUCT &&
	       q->ev->u.violation.why == CHARIOT_WHY_WRITE &&
	       has_member(x, PAGE_PRIVATE) && within(at, 8, q->gva, q->len) &&
	       !object_at(q->e->x, &q->e->space,
			  x->k.page_offset + page * PAGE_SIZE, &o) &&
	       o.kind == OBJECT_PAGES && !o.never;
}

/* Does a task that runs have a pointer to it? */
static bool tasks_lead(struct question *q)
{
	uint64_t at = q->e->current_task, task;

	for (uint64_t i = 0; at && i < q->e->nr_cpus; i++)
		if (!space_read_uint(&q->e->space, q->e->percpu_offsets + 8 * i, 8,
				     &task) &&
		    !space_read_uint(&q->e->space, task + at, 8, &task) &&
		    is_pointer(task) &&
		    scan(q, task, q->e->task_size, SCAN_GIVEN, word_leads))
			return true;
	return false;
}

/* Its first reference count is 1. */
static bool has_one_user(struct question *q)
{
	const struct object *o = &q->target;
	uint64_t off, n;

	for (off = 0; off + 4 <= o->len; off += 4)
		if (object_is_count(q->e->x, o, o->start + off, 4))
			return !space_read_uint(&q->e->space, o->start + off, 4, &n) &&
			       n == 1;
	return false;
}

/*
 * What a task is known by, and a kernel function has made for the driver: that has it,
 * and nobody else.  Credentials are copied, changed, and only then taken on.
 */
static bool is_new(struct question *q)
{
	const struct object *o = &q->target;
	const struct chariot_value *g;
	bool was_made = false;

	if (o->kind != OBJECT_SLAB || o->never != OBJECT_IDENTITY ||
	    q->ev->u.violation.why != CHARIOT_WHY_WRITE)
		return false;
	for (size_t i = 0; i < q->nr_given && !was_made; i++) {
		g = &q->e->given[i];
		was_made = g->kind == CHARIOT_GIVEN_RET && g->value == o->start &&
			   look_at(q->e, g->fn)->returns;
	}
	return was_made && has_one_user(q) && !tasks_lead(q);
}

static bool on_stack(struct question *q)
{
	const struct chariot_value *g;

	for (size_t i = 0; i < q->nr_given; i++) {
		g = &q->e->given[i];
		if (g->kind == CHARIOT_GIVEN_STACK && q->gva >= g->value &&
		    q->gva - g->value < q->e->stack_size &&
		    !object_on_stack(q->e->x, &q->e->space, g->fn, g->value,
				     g->value + q->e->stack_size, q->gva,
				     &q->target))
			return true;
	}
	return false;
}

/* Arguments beyond the registers lie in the caller's frame, and are the callee's to change:
 * behind the return address. */
static bool is_stack_argument(struct question *q)
{
	const struct chariot_value *g;
	uint64_t fn = 0;

	for (size_t i = 0; i < q->nr_given; i++) {
		g = &q->e->given[i];
		if (g->kind == CHARIOT_GIVEN_ARG && !fn)
			fn = g->fn;
		if (g->kind != CHARIOT_GIVEN_STACK)
			continue;
		if (fn && within(g->value, look_at(q->e, fn)->on_stack, q->gva, q->len))
			return true;
		fn = 0;
	}
	return false;
}

/* A kernel without CONFIG_VMAP_STACK has its stacks in pages as any others. */
static bool is_stack_page(const struct question *q)
{
	const struct chariot_value *g;

	for (size_t i = 0; i < q->nr_given; i++) {
		g = &q->e->given[i];
		if (g->kind == CHARIOT_GIVEN_STACK &&
		    (g->value ^ q->gva) < q->e->stack_size)
			return q->target.kind == OBJECT_PAGES;
	}
	return false;
}

/* Pages are told one by one, of an allocation that begins before them. */
static bool has_part(struct question *q, uint32_t domain)
{
	const struct object *o = &q->target;
	struct chariot_act_read r = {
		.argsz = sizeof(r), .domain = domain, .nr = NR_OTHERS,
		.start = o->start - (o->kind == OBJECT_PAGES ? MAX_PAGES : 0),
		.buf = (uintptr_t)q->e->owned,
	};
	const struct chariot_object *row;
	int n;

	do {
		n = vm_call(q->e->vm->fd, CHARIOT_ACT_READ, &r);
		for (int i = 0; i < n; i++) {
			row = &q->e->owned[i];
			if (row->gva >= o->start + o->len)
				return false;
			if (row->gva + row->len > o->start &&
			    (row->source == CHARIOT_SRC_SECTION ||
			     row->source == CHARIOT_SRC_ALLOCATION))
				return true;
		}
	} while (n > 0 && r.start);
	return n < 0 && n != -ENOENT;
}

/* What another driver has is not this one's, whoever points to it. */
static bool is_others(struct question *q)
{
	struct chariot_vm_info i;

	if (chariot_vm__info(q->e->vm, &i))
		return true;
	for (uint32_t nr = 1; nr < NR_DOMAINS; nr++)
		if (nr != q->ev->domain && i.domains & 1U << nr &&
		    has_part(q, nr))
			return true;
	return false;
}

static const char *const never[] = {
	[OBJECT_FREE] = "it is free",
	[OBJECT_TEXT] = "it is text or read-only",
	[OBJECT_TABLE] = "it is a page table",
	[OBJECT_BOOKKEEPING] = "the kernel's bookkeeping is there",
	[OBJECT_IDENTITY] = "it is a task, or what a task is known by",
	[OBJECT_MODULE] = "it is another module's",
	[OBJECT_OTHER_STACK] = "a stack is there",
};

/* Of what is not free only slabs tell where it begins. */
static const char *what_is_freed(struct question *q)
{
	struct object *o = &q->target;

	object_at(q->e->x, &q->e->space, q->gva, o);	/* or nothing */
	if (o->never == OBJECT_FREE)
		return never[OBJECT_FREE];
	if (o->kind != OBJECT_SLAB) {
		o->start = q->gva;
		o->len = 1;
		q->any = true;
		return NULL;
	}
	/* By whatever pointer: those have functions of their own for it. */
	if (o->never == OBJECT_IDENTITY || o->never == OBJECT_BOOKKEEPING)
		return never[o->never];
	return o->start != q->gva ? "it is the middle of an object" : NULL;
}

/* NULL: one that the driver may have come by. */
static const char *what_is_there(struct question *q)
{
	struct object *o = &q->target;

	if (q->ev->u.violation.why == CHARIOT_WHY_FREE)
		return what_is_freed(q);
	if (is_stack_argument(q)) {
		*o = (struct object){ .kind = OBJECT_FRAME, .start = q->gva,
				      .len = q->len };
		q->any = q->narrow = true;
		return NULL;
	}
	if (!on_stack(q) && object_at(q->e->x, &q->e->space, q->gva, o))
		return "no object is there";
	if (is_stack_page(q))
		o->never = OBJECT_OTHER_STACK;
	if (!within(o->start, o->len, q->gva, q->len))
		return "it is more than the object that is there";
	q->count = is_count(q);
	if (o->never == OBJECT_MODULE && is_export(q)) {
		q->any = true;
		return NULL;
	}
	q->of_cpu &= o->kind == OBJECT_PERCPU;
	q->narrow = o->never;
	if (o->never && !q->count && !is_page_private(q) && !is_new(q))
		return o->never < ARRAY_SIZE(never) ? never[o->never] : "?";
	q->others = is_others(q);
	return q->others ? "another isolated driver has it" : NULL;
}

/* ---- the answer ------------------------------------------------------------ */

static void name_of(struct question *q, uint64_t gva, char *buf, size_t len)
{
	chariot_vm__symbolize(q->e->vm, gva, buf, len);
}

static void tell_object(const struct question *q, char *buf, size_t len)
{
	static const char *const kinds[] = {
		[OBJECT_NONE] = "something", [OBJECT_SLAB] = "slab object",
		[OBJECT_PAGES] = "pages", [OBJECT_MAPPING] = "mapping",
		[OBJECT_PERCPU] = "per-CPU object", [OBJECT_SYMBOL] = "variable",
		[OBJECT_PAGE_STRUCT] = "page descriptor",
		[OBJECT_FRAME] = "locals of a function",
	};
	const struct object *o = &q->target;

	snprintf(buf, len, "%s%s%s, %" PRIu64 " bytes",
		 o->kind < ARRAY_SIZE(kinds) ? kinds[o->kind] : "?",
		 o->name[0] ? " " : "", o->name, o->len);
}

static void tell_no(const struct question *q, char *buf, size_t len)
{
	char object[128];

	tell_object(q, object, sizeof(object));
	snprintf(buf, len, "%s, that it has no pointer to%s", object,
		 q->ev->flags & CHARIOT_EV_GAVE_BACK ? " since it freed it" : "");
}

static void tell_found(struct question *q, char *buf, size_t len)
{
	char object[128], fn[128];
	int n = 0;

	tell_object(q, object, sizeof(object));
	if (!q->by && !q->at) {
		snprintf(buf, len, "%s%s", object, q->had ? ": it had it" : "");
		return;
	}
	if (!q->by) {
		name_of(q, q->at, fn, sizeof(fn));
		snprintf(buf, len, "%s: %s%s%s", object,
			 q->through ? "in what leads from " : "by a pointer at ",
			 fn, q->from_argument ? ", from an argument" : " of its own");
		return;
	}
	name_of(q, q->by->fn, fn, sizeof(fn));
	if (q->through)
		n = snprintf(buf, len, "%s: in the ", object);
	else
		n = snprintf(buf, len, "%s: ", object);
	if (n < 0 || (size_t)n >= len)
		return;
	if (q->by->kind == CHARIOT_GIVEN_ARG)
		snprintf(buf + n, len - n, "argument %u of %s", q->by->arg + 1, fn);
	else
		snprintf(buf + n, len - n, "%s %s",
			 q->by->kind == CHARIOT_GIVEN_RET ? "result of" :
							    "output of", fn);
}

/*
 * What the kernel gave, and the driver has no pointer to in its memory, goes with the
 * call: slabs and pages are somebody else's soon.
 */
static bool for_call(const struct question *q)
{
	return q->narrow || q->had || q->from_vec || q->from_tree ||
	       q->target.kind == OBJECT_FRAME ||
	       ((q->by || q->from_argument) && (q->target.kind == OBJECT_SLAB ||
			  q->target.kind == OBJECT_PAGES) &&
		q->ev->u.violation.why != CHARIOT_WHY_FREE);
}

static int grant_it(struct question *q)
{
	struct chariot_grant g = {
		.argsz = sizeof(g), .domain = q->ev->domain,
		.source = CHARIOT_SRC_EVIDENCE,
		.gva = q->target.start, .len = q->target.len,
	};

	if (q->narrow) {
		g.gva = q->gva;
		g.len = q->len;
	}
	if (for_call(q)) {
		g.flags = CHARIOT_GRANT_CALL;
		g.seq = q->ev->seq;
	} else {
		g.gate = q->by ? q->by->fn : 0;
		g.site = q->ev->u.violation.caller ?: q->ev->u.violation.rip;
	}
	return vm_call(q->e->vm->fd, CHARIOT_GRANT, &g);
}

static int read_given(struct question *q)
{
	struct chariot_given r = {
		.argsz = sizeof(r), .seq = q->ev->seq, .nr = MAX_GIVEN,
		.buf = (uintptr_t)q->e->given,
	};
	int n = vm_call(q->e->vm->fd, CHARIOT_GIVEN, &r);

	q->nr_given = n > 0 ? n : 0;
	return n < 0 && n != -ENOENT ? n : 0;
}

/*
 * An atomic change of a count of a task, or of what it is known by; or of what a task
 * that runs has a pointer to.
 */
static bool is_running(struct question *q)
{
	if (!q->count || q->target.never == OBJECT_IDENTITY)
		return q->count;
	if (!tasks_lead(q))
		return false;
	q->narrow = true;
	return true;
}

/* Where a mistake of ours is least likely, and a write does most. */
static bool is_never(const struct question *q)
{
	return q->others || q->target.never == OBJECT_TEXT ||
	       q->target.never == OBJECT_TABLE ||
	       q->target.never == OBJECT_BOOKKEEPING ||
	       q->target.never == OBJECT_IDENTITY;
}

int evidence_look(struct evidence *e, const struct chariot_event *ev, bool grant,
		  bool *never, char *text, size_t len)
{
	struct question q = {
		.e = e, .ev = ev, .gva = ev->u.violation.gva,
		.len = ev->u.violation.len ?: 1, .left = SCAN_ALL,
	};
	const char *why;
	int err;

	*never = false;
	forget_pages(e);
	err = read_given(&q);
	if (err)
		return err;
	why = what_is_there(&q);
	*never = why && is_never(&q);
	if (why) {
		snprintf(text, len, "%s", why);
		return 0;
	}
	if (!(q.target.kind == OBJECT_SYMBOL && find_import(&q)) &&
	    !q.any && !is_running(&q) && !is_held(&q)) {
		tell_no(&q, text, len);
		return 0;
	}
	remember_found(&q);
	tell_found(&q, text, len);
	err = grant ? grant_it(&q) : 0;
	return err < 0 ? err : 1;
}

struct evidence *evidence_new(struct chariot_vm *vm)
{
	struct evidence *e = calloc(1, sizeof(*e));
	struct chariot_kernel k;
	int64_t size;
	int err;

	if (!e)
		return NULL;
	e->vm = vm;
	err = chariot_profile__kernel(vm->profile, &vm->space, &k);
	if (err) {
		free(e);
		return err_null(err);
	}
	e->page_struct_size = k.page_struct_size;
	e->percpu_offsets = k.percpu_offsets;
	e->current_task = k.current_task;
	e->stack_size = k.stack_size;
	e->nr_cpus = k.nr_cpus < MAX_CPUS ? k.nr_cpus : MAX_CPUS;
	size = chariot_profile__type_size(vm->profile, "task_struct");
	e->task_size = size > 0 ? size : 0;
	e->pages = calloc(NR_PAGES, sizeof(*e->pages));
	e->x = e->pages ? object_index_new(vm->profile, &vm->space) : NULL;
	if (!e->x) {
		evidence_free(e);
		return err_null(errno ?: ENOMEM);
	}
	return e;
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < NR_DOMAINS; i++)
		free(e->imports[i].v);
	object_index_free(e->x);
	free(e->pages);
	free(e);
}

struct object_index *evidence_objects(struct evidence *e)
{
	return e->x;
}

int evidence_driver(struct evidence *e, uint32_t domain,
		    const struct chariot_driver *d, bool more)
{
	const struct chariot_symbol *sym;
	struct variables *im;
	uint64_t *v;
	size_t nr;

	if (domain >= NR_DOMAINS)
		return -EINVAL;
	/* Other modules may be where those were that went. */
	memset(e->functions, 0, sizeof(e->functions));
	im = &e->imports[domain];
	if (!more) {
		im->nr = 0;
		e->had[domain].nr = 0;
		memset(e->again, 0, sizeof(e->again));
	}
	sym = chariot_driver__imports(d, &nr);
	v = realloc(im->v, (im->nr + nr + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	im->v = v;
	for (size_t i = 0; i < nr; i++)
		if (sym[i].gva >= KERNEL_HALF)
			im->v[im->nr++] = sym[i].gva;
	return 0;
}
