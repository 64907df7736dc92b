// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects of slab caches, and whether one is on a free list of its slab.
 *
 * A slab has two of them: its own, and, while a CPU allocates from it, that CPU's.
 * The kernel goes on meanwhile, so a list that makes no sense is read again.
 */
#include "object-index.h"

#define TRIES	3

struct slab {
	struct object_index *x;
	const struct chariot_space *s;
	uint64_t page, base, len;	/* len: bytes of all objects */
	struct copy head;		/* struct slab */
	struct copy cache;
	uint64_t size, offset, left;	/* of one object */
	uint64_t objects;
	uint64_t object;		/* the one looked for */
	size_t window;			/* bytes of x->window that are the slab's */
};

static uint64_t cache_get(const struct slab *b, enum member m)
{
	return copy_get(b->x, &b->cache, m);
}

/* Sizes that a cache can have, and the slab room for. */
static int read_cache(struct slab *b, uint64_t room, uint64_t *object_size)
{
	uint64_t cache = copy_get(b->x, &b->head, SLAB_CACHE);
	int err;

	if (cache < KERNEL_MIN)
		return -EBADMSG;
	err = copy_struct(b->x, b->s, C_CACHE, cache, &b->cache);
	if (err)
		return err;
	b->size = cache_get(b, CACHE_SIZE);
	b->left = cache_get(b, CACHE_LEFT);
	b->offset = cache_get(b, CACHE_OFFSET);
	b->objects = copy_get(b->x, &b->head, SLAB_OBJECTS);
	*object_size = cache_get(b, CACHE_OBJECT_SIZE);
	if (b->size < 8 || !*object_size || b->left > b->size ||
	    *object_size > b->size - b->left || b->offset > b->size - 8 ||
	    b->left > b->size - 8 - b->offset)
		return -EBADMSG;
	if (!b->objects || b->size > room || b->objects > room / b->size)
		return -EBADMSG;
	b->len = b->size * b->objects;
	return 0;
}

/* ---- free lists ------------------------------------------------------------ */

static int read_word(const struct slab *b, uint64_t gva, uint64_t *v)
{
	uint64_t at = gva - b->base;

	if (b->window < sizeof(*v) || at > b->window - sizeof(*v))
		return space_read_uint(b->s, gva, sizeof(*v), v);
	memcpy(v, b->x->window + at, sizeof(*v));
	return 0;
}

/* With CONFIG_SLAB_FREELIST_HARDENED as freelist_ptr() in mm/slub.c has it. */
static int next_free(const struct slab *b, uint64_t object, uint64_t *next)
{
	uint64_t at = object + b->offset;
	int err = read_word(b, at, next);

	if (has_member(b->x, CACHE_RANDOM))
		*next ^= cache_get(b, CACHE_RANDOM) ^ __builtin_bswap64(at);
	return err;
}

/* 1: the object is on that list, 0: it is not. */
static int on_list(const struct slab *b, uint64_t first)
{
	uint64_t p = first;
	int err;

	for (uint64_t i = 0; p && i <= b->objects; i++) {
		uint64_t off = p - b->base - b->left;

		if (p == b->object)
			return 1;
		if (off >= b->len || off % b->size)
			return -EBADMSG;
		err = next_free(b, p, &p);
		if (err)
			return err;
	}
	return p ? -EBADMSG : 0;
}

/* On the list of a CPU that allocates from this slab. */
static int on_cpu_list(const struct slab *b)
{
	uint64_t percpu = cache_get(b, CACHE_CPU_SLAB);
	struct copy c;
	int r;

	if (!has_member(b->x, CPU_CACHE_FREE) || !percpu)
		return 0;
	for (uint64_t cpu = 0; cpu < b->x->nr_cpus; cpu++) {
		if (!b->x->cpus[cpu])
			continue;
		r = copy_struct(b->x, b->s, C_CPU_CACHE,
				percpu + b->x->cpus[cpu], &c);
		if (!r && copy_get(b->x, &c, CPU_CACHE_SLAB) == b->page)
			return on_list(b, copy_get(b->x, &c, CPU_CACHE_FREE));
	}
	return 0;
}

static bool same_lists(const struct slab *b)
{
	struct copy now;

	return !copy_struct(b->x, b->s, C_SLAB, b->page, &now) &&
	       copy_get(b->x, &now, SLAB_FREE) ==
			copy_get(b->x, &b->head, SLAB_FREE) &&
	       copy_get(b->x, &now, SLAB_COUNTERS) ==
			copy_get(b->x, &b->head, SLAB_COUNTERS);
}

static int is_free(struct slab *b)
{
	int r = -EBADMSG, err;

	for (int i = 0; i < TRIES; i++) {
		if (i) {
			err = copy_struct(b->x, b->s, C_SLAB, b->page, &b->head);
			if (err)
				return err;
		}
		b->window = b->len < WINDOW ? b->len : WINDOW;
		err = chariot_space__read(b->s, b->base, b->x->window,
					  b->window);
		if (err)
			return err;
		r = on_list(b, copy_get(b->x, &b->head, SLAB_FREE));
		if (!r)
			r = on_cpu_list(b);
		/* One that went from list to list may be missed. */
		if (r == 1 || (!r && same_lists(b)))
			return r;
	}
	return r < 0 ? r : -EAGAIN;
}

/* ---- which cache is it? ------------------------------------------------------ */

/*
 * What tells an object from those of other caches that were merged with its own: a
 * list that it is on, or a pointer to what only such a one has.
 */
enum witness { NONE, LIST, HLIST, POINTER };

/* Caches that the kernel's own variables lead to. */
static const struct known {
	const char *variable, *type;
	enum object_never never;
	enum witness witness;
	const char *member;
	const char *symbol, *cache;	/* POINTER: to that, or into that cache */
} known[NR_CACHES] = {
#define CACHE(v, t, n, ...) \
	{ .variable = v, .type = t, .never = OBJECT_##n, __VA_ARGS__ }
#define ON_LIST(m)	.witness = LIST, .member = m
#define ON_HLIST(m)	.witness = HLIST, .member = m
#define LEADS_TO(m, s, c) \
	.witness = POINTER, .member = m, .symbol = s, .cache = c
	/* The first two may be copied to user space, and are never merged. */
	CACHE("task_struct_cachep", "task_struct", IDENTITY),
	CACHE("mm_cachep", "mm_struct", IDENTITY),
	CACHE("cred_jar", "cred", IDENTITY,
	      LEADS_TO("user_ns", "init_user_ns", "user_ns_cachep")),
	CACHE("signal_cachep", "signal_struct", IDENTITY,
	      ON_LIST("thread_head")),
	CACHE("sighand_cachep", "sighand_struct", IDENTITY),
	CACHE("files_cachep", "files_struct", IDENTITY,
	      ON_LIST("resize_wait.head")),
	CACHE("fs_cachep", "fs_struct", IDENTITY,
	      LEADS_TO("root.dentry", NULL, "dentry_cache")),
	CACHE("nsproxy_cachep", "nsproxy", IDENTITY,
	      LEADS_TO("uts_ns", "init_uts_ns", "uts_ns_cache")),
	CACHE("user_ns_cachep", "user_namespace", IDENTITY,
	      LEADS_TO("parent", "init_user_ns", "user_ns_cachep")),
	CACHE("uid_cachep", "user_struct", IDENTITY, ON_HLIST("uidhash_node")),
	CACHE("key_jar", "key", IDENTITY, ON_LIST("sem.wait_list")),
	CACHE("task_group_cache", "task_group", IDENTITY, ON_LIST("list")),
	CACHE("anon_vma_cachep", "anon_vma", IDENTITY),
	CACHE("kmem_cache", "kmem_cache", BOOKKEEPING),
	CACHE("kmem_cache_node", "kmem_cache_node", BOOKKEEPING),
	CACHE("vmap_area_cachep", "vmap_area", BOOKKEEPING, ON_LIST("list")),
	CACHE("pgd_cache", NULL, TABLE),
	/* Drivers are handed these, to fill them in. */
	CACHE("vm_area_cachep", "vm_area_struct", MAY,
	      LEADS_TO("vm_mm", NULL, "mm_cachep")),
	CACHE("filp_cachep", "file", MAY,
	      LEADS_TO("f_path.dentry", NULL, "dentry_cache")),
	CACHE("dentry_cache", "dentry", MAY),
};

/* Index in known[], -1: none.  They are made while the kernel boots. */
static int known_cache(const struct slab *b)
{
	struct object_index *x = b->x;

	for (int i = 0; i < NR_CACHES; i++) {
		if (!x->caches[i])
			x->caches[i] = read_variable(x, b->s, known[i].variable,
						     8);
		if (x->caches[i] == b->cache.gva)
			return i;
	}
	return -1;
}

static bool points_to(const struct slab *b, const struct known *k, uint64_t v)
{
	uint64_t cache = k->cache ? read_variable(b->x, b->s, k->cache, 8) : 0;

	if (k->symbol && v == chariot_profile__symbol(b->x->p, k->symbol))
		return true;
	return cache && cache_at(b->x, b->s, v) == cache;
}

static bool is_really(const struct slab *b, const struct known *k)
{
	uint64_t at, v, back, second;
	int64_t off;

	if (!k->witness || cache_get(b, CACHE_USERS) <= 1)
		return true;
	off = chariot_profile__member(b->x->p, k->type, k->member, NULL);
	if (off < 0)
		return true;
	at = b->object + off;
	/* Of a list's two pointers the next, of an hlist's the second. */
	second = k->witness == HLIST ? 8 : 0;
	if (space_read_uint(b->s, at + second, 8, &v) || v < KERNEL_MIN)
		return false;
	if (k->witness == POINTER)
		return points_to(b, k, v);
	return !space_read_uint(b->s, v + 8 - second, 8, &back) && back == at;
}

/* A cache that is alone is mostly called as the struct is, or nearly so. */
static int32_t type_by_name(const struct slab *b, const char *name,
			    uint64_t object_size)
{
	static const char *const ends[] = { "", "_cache", "_cachep", "_struct" };
	const struct chariot_profile *p = b->x->p;
	size_t len = strlen(name);
	char type[64];

	if (cache_get(b, CACHE_USERS) > 1 || len >= sizeof(type))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t cut = strlen(ends[i]);

		if (len <= cut || strcmp(name + len - cut, ends[i]))
			continue;
		memcpy(type, name, len - cut);
		type[len - cut] = 0;
		if (chariot_profile__type_size(p, type) == (int64_t)object_size)
			return profile_aggregate(p, type);
	}
	return 0;
}

static void set_cache(const struct slab *b, uint64_t object_size,
		      struct object *o)
{
	int i = known_cache(b);
	int32_t type = 0;

	if (space_read_str(b->s, cache_get(b, CACHE_NAME), o->name,
			   sizeof(o->name)))
		o->name[0] = 0;
	if (i >= 0 && is_really(b, &known[i])) {
		o->never = known[i].never;
		type = profile_aggregate(b->x->p, known[i].type ?: "");
	} else {
		type = type_by_name(b, o->name, object_size);
	}
	o->type = type > 0 ? type : 0;
	/* These are allocated by size. */
	if (i < 0 && !strncmp(o->name, "kmalloc", 7) &&
	    is_percpu_chunk(b->x, b->s, o->start, o->len))
		o->never = OBJECT_BOOKKEEPING;
}

int slab_object(struct object_index *x, const struct chariot_space *s,
		uint64_t page, uint64_t base, uint64_t len, uint64_t gva,
		struct object *o)
{
	struct slab b = { .x = x, .s = s, .page = page, .base = base };
	uint64_t object_size, in;
	int err = copy_struct(x, s, C_SLAB, page, &b.head);

	if (!err)
		err = read_cache(&b, len, &object_size);
	if (err)
		return err;
	if (gva - base >= b.len)
		return -ENOENT;		/* what is left over behind them */
	in = (gva - base) % b.size;
	if (in < b.left || in - b.left >= object_size)
		return -ENOENT;		/* padding */
	b.object = gva - in + b.left;
	o->kind = OBJECT_SLAB;
	o->start = b.object;
	o->len = object_size;
	o->page = page;
	err = is_free(&b);
	if (err < 0)
		return err;
	set_cache(&b, object_size, o);
	if (err)
		o->never = OBJECT_FREE;
	return 0;
}
