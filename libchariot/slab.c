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
 * Caches that the kernel's own variables lead to.  Others may have been merged with
 * them, which then count as what these are.
 */
static const struct {
	const char *variable, *type;
	enum object_never never;
} known[NR_CACHES] = {
	{ "task_struct_cachep", "task_struct", OBJECT_IDENTITY },
	{ "cred_jar", "cred", OBJECT_IDENTITY },
	{ "mm_cachep", "mm_struct", OBJECT_IDENTITY },
	{ "signal_cachep", "signal_struct", OBJECT_IDENTITY },
	{ "sighand_cachep", "sighand_struct", OBJECT_IDENTITY },
	{ "files_cachep", "files_struct", OBJECT_IDENTITY },
	{ "fs_cachep", "fs_struct", OBJECT_IDENTITY },
	{ "nsproxy_cachep", "nsproxy", OBJECT_IDENTITY },
	{ "user_ns_cachep", "user_namespace", OBJECT_IDENTITY },
	{ "uid_cachep", "user_struct", OBJECT_IDENTITY },
	{ "key_jar", "key", OBJECT_IDENTITY },
	{ "task_group_cache", "task_group", OBJECT_IDENTITY },
	{ "anon_vma_cachep", "anon_vma", OBJECT_IDENTITY },
	{ "kmem_cache", "kmem_cache", OBJECT_BOOKKEEPING },
	{ "kmem_cache_node", "kmem_cache_node", OBJECT_BOOKKEEPING },
	{ "vmap_area_cachep", "vmap_area", OBJECT_BOOKKEEPING },
	{ "pgd_cache", NULL, OBJECT_TABLE },
	/* Drivers are handed these, to fill them in. */
	{ "vm_area_cachep", "vm_area_struct", OBJECT_MAY },
	{ "filp_cachep", "file", OBJECT_MAY },
	{ "dentry_cache", "dentry", OBJECT_MAY },
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
	if (i >= 0) {
		o->never = known[i].never;
		type = profile_aggregate(b->x->p, known[i].type ?: "");
	} else {
		type = type_by_name(b, o->name, object_size);
	}
	o->type = type > 0 ? type : 0;
	if (!o->never && is_percpu_chunk(b->x, b->s, o->start, o->len))
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
