// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Per-CPU memory: variables of the kernel's, and what is allocated in chunks.
 *
 * A chunk is as large for each CPU; two bitmaps say for each 4 bytes (mm/percpu.c:
 * PCPU_MIN_ALLOC_SIZE) whether they are allocated and whether something begins there.
 */
#include "object-index.h"

#define UNIT		4		/* bytes for each bit */
#define ALLOC_MAX	32768		/* bytes: PCPU_MIN_UNIT_SIZE */
#define BITS_MAX	(ALLOC_MAX / UNIT)
#define SLOTS_MAX	64
#define PAGES_MAX	65536		/* of a chunk, for each CPU */

struct chunk {
	struct copy c;
	uint64_t base, len;
};

/* ---- chunks ------------------------------------------------------------------- */

static int read_chunk(const struct object_index *x,
		      const struct chariot_space *s, uint64_t gva,
		      struct chunk *ch)
{
	uint64_t pages;
	int err = copy_struct(x, s, C_CHUNK, gva, &ch->c);

	if (err)
		return err;
	pages = copy_get(x, &ch->c, CHUNK_PAGES);
	if (!pages || pages > PAGES_MAX)
		return -EBADMSG;
	ch->base = copy_get(x, &ch->c, CHUNK_BASE);
	ch->len = pages * PAGE_SIZE;
	return 0;
}

typedef bool (*chunk_fn)(void *ctx, const struct chunk *ch);

/* Until @fn says that this is the one. */
static bool each_chunk(const struct object_index *x,
		       const struct chariot_space *s, chunk_fn fn, void *ctx)
{
	uint64_t lists = read_variable(x, s, "pcpu_chunk_lists", 8);
	uint64_t slots = read_variable(x, s, "pcpu_nr_slots", 4);
	uint64_t one = read_variable(x, s, "pcpu_reserved_chunk", 8);
	uint64_t list = x->field[CHUNK_LIST].bit / 8;
	unsigned int seen = 0;
	struct chunk ch;

	if (one && !read_chunk(x, s, one, &ch) && fn(ctx, &ch))
		return true;
	for (uint64_t i = 0; lists && i < slots && i < SLOTS_MAX; i++) {
		uint64_t head = lists + 16 * i, at;

		if (space_read_uint(s, head, 8, &at))
			return false;
		while (at != head) {
			if (++seen > LIST_MAX ||
			    read_chunk(x, s, at - list, &ch))
				return false;
			if (fn(ctx, &ch))
				return true;
			at = copy_get(x, &ch.c, CHUNK_LIST);
		}
	}
	return false;
}

/* ---- what is allocated in one --------------------------------------------------- */

static bool bit_at(const uint8_t *map, uint64_t bit)
{
	return map[bit / 8] >> bit % 8 & 1;
}

/* What has the byte @off of the chunk's area; -ENOENT: nothing. */
static int allocation(const struct object_index *x,
		      const struct chariot_space *s, const struct chunk *ch,
		      uint64_t off, uint64_t *from, uint64_t *to)
{
	uint64_t bit = off / UNIT, bits = ch->len / UNIT, lo, hi, v;
	uint8_t map[2 * BITS_MAX / 8 + 16];
	int err;

	err = space_read_uint(s, copy_get(x, &ch->c, CHUNK_ALLOCATED) + bit / 8,
			      1, &v);
	if (err)
		return err;
	if (!(v >> bit % 8 & 1))
		return -ENOENT;
	lo = bit > BITS_MAX ? (bit - BITS_MAX) & ~7ULL : 0;
	hi = bits - bit > BITS_MAX ? bit + BITS_MAX + 1 : bits;
	err = chariot_space__read(s, copy_get(x, &ch->c, CHUNK_BOUNDS) + lo / 8,
				  map, (hi - lo + 7) / 8);
	if (err)
		return err;
	for (v = bit; v > lo && !bit_at(map, v - lo); v--)
		;
	if (!bit_at(map, v - lo))
		return -EBADMSG;
	*from = v * UNIT;
	for (v = bit + 1; v < hi && !bit_at(map, v - lo); v++)
		;
	/* The map has one bit more, for the end. */
	if (v == hi && hi != bits)
		return -EBADMSG;
	*to = v * UNIT;
	return 0;
}

/* ---- which CPU's, which chunk's? -------------------------------------------------- */

struct finder {
	const struct object_index *x;
	uint64_t gva;
	uint64_t first;		/* __per_cpu_offset[] less this: from chunk to CPU */
	uint64_t cpu;		/* which, and where in which chunk */
	uint64_t off;
	struct chunk ch;
};

static bool has_gva(void *ctx, const struct chunk *ch)
{
	struct finder *f = ctx;
	const struct object_index *x = f->x;
	uint64_t start = copy_get(x, &ch->c, CHUNK_START);
	uint64_t end = copy_get(x, &ch->c, CHUNK_END);

	if (start >= ch->len || end >= ch->len - start)
		return false;
	for (uint64_t i = 0; i < x->nr_cpus; i++) {
		uint64_t off = f->gva - (x->cpus[i] - f->first) - ch->base;

		if (!x->cpus[i] || off < start || off >= ch->len - end)
			continue;
		f->cpu = i;
		f->off = off;
		f->ch = *ch;
		return true;
	}
	return false;
}

static int chunk_object(const struct object_index *x,
			const struct chariot_space *s, uint64_t gva,
			struct object *o)
{
	uint64_t base = read_variable(x, s, "pcpu_base_addr", 8), from, to;
	struct finder f = { .x = x, .gva = gva };
	int err;

	if (!base)
		return -ENOENT;
	f.first = base - chariot_profile__symbol(x->p, "__per_cpu_start");
	if (!each_chunk(x, s, has_gva, &f))
		return -ENOENT;
	o->kind = OBJECT_PERCPU;
	o->cpu_offset = x->cpus[f.cpu];
	from = f.off & ~(UNIT - 1ULL);
	to = from + UNIT;
	err = allocation(x, s, &f.ch, f.off, &from, &to);
	if (err && err != -ENOENT)
		return err;
	if (err)
		o->never = OBJECT_FREE;
	o->start = gva - f.off + from;
	o->len = to - from;
	return 0;
}

static int variable_object(const struct object_index *x, uint64_t gva,
			   struct object *o)
{
	uint64_t from = chariot_profile__symbol(x->p, "__per_cpu_start");
	uint64_t to = chariot_profile__symbol(x->p, "__per_cpu_end");

	for (uint64_t i = 0; i < x->nr_cpus; i++) {
		uint64_t at = gva - x->cpus[i];

		if (!x->cpus[i] || at < from || at >= to ||
		    symbol_around(x, at, to, o))
			continue;
		o->kind = OBJECT_PERCPU;
		o->start += x->cpus[i];
		o->cpu_offset = x->cpus[i];
		return 0;
	}
	return -ENOENT;
}

int percpu_object(const struct object_index *x, const struct chariot_space *s,
		  uint64_t gva, struct object *o)
{
	const struct object was = *o;
	int err = variable_object(x, gva, o);

	if (err)
		err = chunk_object(x, s, gva, o);
	if (err)
		*o = was;
	else
		o->page = 0;
	return err;
}

struct place {
	const struct object_index *x;
	uint64_t start, len;
};

static bool is_there(void *ctx, const struct chunk *ch)
{
	static const enum member maps[] = {
		CHUNK_ALLOCATED, CHUNK_BOUNDS, CHUNK_BLOCKS,
	};
	const struct place *pl = ctx;

	if (ch->c.gva - pl->start < pl->len)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		if (copy_get(pl->x, &ch->c, maps[i]) - pl->start < pl->len)
			return true;
	return false;
}

bool is_percpu_chunk(const struct object_index *x, const struct chariot_space *s,
		     uint64_t start, uint64_t len)
{
	struct place pl = { x, start, len };

	return each_chunk(x, s, is_there, &pl);
}
