// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which members of a struct are reference counts or locks, as its types say.
 */
#include <bpf/btf.h>

#include "object-index.h"

#define DEPTH_MAX	32
#define STEPS_MAX	100000

static const char *const counts[] = {
	"refcount_t", "refcount_struct", "kref", "atomic_t", "atomic64_t",
	"atomic_long_t", "percpu_ref", "lockref", "spinlock_t", "spinlock",
	"raw_spinlock_t", "raw_spinlock", "arch_spinlock_t", "qspinlock",
	"rwlock_t", "qrwlock", "mutex", "rw_semaphore",
};

struct look {
	const struct btf *btf;
	unsigned int steps;
};

static bool is_count_type(const struct btf *btf, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (btf_is_named(btf, id, counts[i]))
			return true;
	return false;
}

static bool find_count(struct look *l, uint32_t id, uint64_t off, uint64_t len,
		       int depth);

/* Of a struct's members one has these bytes; of a union's all that have must agree. */
static bool find_in_members(struct look *l, const struct btf_type *t,
			    uint64_t off, uint64_t len, int depth)
{
	const struct btf_member *m = btf_members(t);
	bool found = false;

	for (int i = 0; i < btf_vlen(t); i++) {
		uint64_t at = btf_member_bit_offset(t, i) / 8;
		int64_t size;

		if (++l->steps > STEPS_MAX)
			return false;
		size = btf__resolve_size(l->btf, m[i].type);
		if (size < 0 || off < at || off - at >= (uint64_t)size)
			continue;
		if (btf_member_bitfield_size(t, i) ||
		    !find_count(l, m[i].type, off - at, len, depth + 1))
			return false;
		found = true;
	}
	return found;
}

/* Bytes [@off, @off + @len) of a type. */
static bool find_count(struct look *l, uint32_t id, uint64_t off, uint64_t len,
		       int depth)
{
	const struct btf_type *t;
	int64_t size = btf__resolve_size(l->btf, id);

	if (depth > DEPTH_MAX || size < 0 || off > (uint64_t)size ||
	    len > (uint64_t)size - off)
		return false;
	if (is_count_type(l->btf, id))
		return true;
	t = btf_strip(l->btf, &id, NULL);
	if (!t)
		return false;
	if (btf_is_composite(t))
		return find_in_members(l, t, off, len, depth);
	if (!btf_is_array(t))
		return false;
	size = btf__resolve_size(l->btf, btf_array(t)->type);
	return size > 0 && find_count(l, btf_array(t)->type, off % size, len,
				      depth + 1);
}

/* A page's flags are changed bit by bit by who holds it: one of them is its lock. */
static bool in_page_flags(const struct object_index *x, uint64_t off, uint64_t len)
{
	uint64_t at = x->field[PAGE_FLAGS].bit / 8;

	return has_member(x, PAGE_FLAGS) && off >= at && off - at < 8 &&
	       len <= 8 - (off - at);
}

bool object_is_count(struct object_index *x, const struct object *o, uint64_t gva,
		     uint64_t len)
{
	struct look l = { .btf = profile_btf(x->p) };
	uint64_t off = gva - o->start;

	if (o->type <= 0 || (uint32_t)o->type >= btf__type_cnt(l.btf) || !len ||
	    gva < o->start || off >= o->len || len > o->len - off)
		return false;
	if (o->kind == OBJECT_PAGE_STRUCT) {	/* several of them */
		off %= x->k.page_struct_size;
		if (in_page_flags(x, off, len))
			return true;
	}
	return find_count(&l, o->type, off, len, 0);
}
