// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest's bookkeeping of which the input has changed some, and questions: what lies
 * here, whose locals are these, is it a count?
 */
#include "fake-objects.h"
#include "fuzz.h"
#include "object-index.h"

#define POKES_MAX	64

static struct fake_objects guests[2];

static struct undo {
	uint64_t gpa;
	uint8_t was[16];
} undos[POKES_MAX];
static int nr_undos;

static void fill(struct fake_objects *f, bool old)
{
	objects_init(f, old);
	put_slab(f);
	put_chunk(f);
	put_module(f);
	put_rows(f);
	put_compound(f, P0, 3);
	for (int i = 0; i < 3; i++)
		fake_map(&f->g, VMALLOC + i * PAGE_SIZE, P0 + 0x40000 + i * PAGE_SIZE,
			 1);
	put(f, STACK + 0x1000 + 80, symbol(f, "caller") + 50, 8);
	put(f, STACK + 0x1000 + 128, symbol(f, "plain") + 50, 8);
	put(f, STACK + 0x1000 + 136, symbol(f, "interrupted"), 8);
	put_variable(f, "vmap_area_cachep", CACHE);
	objects_again(f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fill(&guests[0], false);
	fill(&guests[1], true);
	return 0;
}

/* ---- what is changed ------------------------------------------------------- */

/* Where something is: what to ask for, and what to change. */
static uint64_t any_place(struct fake_objects *f, struct choices *c)
{
	const uint64_t places[] = {
		SLAB_PAGE, SLAB_PAGE + 64, kva(SLAB_GPA), CACHE, LISTS + 0x100,
		CHUNK, MAPS, MAPS + 0x1000, AREA + 4096, AREA + CPU_STEP + 4096,
		AREA + CHUNK_OFF, AREA + CPU_STEP + CHUNK_OFF, STRINGS,
		MODULE, SYMTAB, SYMTAB + 0x800, MODULES, MODULES + 0x2000,
		STACK + 0x1000, VMEMMAP + P0 / PAGE_SIZE * 64, kva(P0),
		VMALLOC, VMALLOC + 0x3000, kva(f->g.space.cr3),
		kva(f->g.used - PAGE_SIZE), kva(f->g.used - 2 * PAGE_SIZE),
		symbol(f, "walker"), symbol(f, "caller"),
		symbol(f, "pcpu_chunk_lists"), symbol(f, "modules"),
		symbol(f, "init_task"), symbol(f, "__start_orc_unwind_ip"),
		symbol(f, "__start_orc_unwind"), symbol(f, "task_struct_cachep"),
		symbol(f, "__per_cpu_offset"), VMEMMAP, DIRECT,
	};
	uint32_t n = choose(c, ARRAY_SIZE(places) + 1);

	if (n == ARRAY_SIZE(places))
		return choose_bytes(c, 8);
	return places[n] + choose(c, 256) * (choose(c, 8) ? 1 : 64);
}

static uint64_t any_value(struct fake_objects *f, struct choices *c)
{
	static const uint64_t values[] = {
		0, 1, 2, 0xff, 0x7fff, 0xffff, 0xffffffff, ~0ULL, 1ULL << 63,
		0xf5000000, 0xf0000000, 1 << 9, 1 << 12, 1 << 13, 1 << 16, 0x67,
	};
	uint32_t n = choose(c, 3);

	if (n == 0)
		return values[choose(c, ARRAY_SIZE(values))];
	if (n == 1)
		return any_place(f, c) + (int8_t)choose(c, 256) * !choose(c, 2);
	return choose_bytes(c, 8);
}

static void poke(struct fake_objects *f, struct choices *c)
{
	uint64_t gva = any_place(f, c), gpa, left, v = any_value(f, c);
	struct undo *u = &undos[nr_undos];
	size_t len = 1 << choose(c, 4);

	gva &= -(uint64_t)len;
	if (chariot_space__translate(&f->g.space, gva, &gpa, &left) ||
	    gpa > GUEST_LEN - 16)
		return;
	/* Free lists are encoded. */
	if (!choose(c, 4))
		v ^= SECRET ^ __builtin_bswap64(gva);
	u->gpa = gpa;
	memcpy(u->was, f->g.mem + gpa, sizeof(u->was));
	nr_undos++;
	memcpy(f->g.mem + gpa, &v, len);
}

static void undo(struct fake_objects *f)
{
	while (nr_undos--)
		memcpy(f->g.mem + undos[nr_undos].gpa, undos[nr_undos].was, 16);
	nr_undos = 0;
}

/* ---- what is asked ----------------------------------------------------------- */

static void check(struct fake_objects *f, uint64_t gva, int err,
		  const struct object *o)
{
	/* What a guest makes us read has an end. */
	fuzz_assert(f->g.reads <= READS_MAX);
	f->g.reads = 0;
	fuzz_assert(!err || err == -ENOENT);
	if (err) {
		fuzz_assert(!o->kind && !o->len);
		return;
	}
	fuzz_assert(o->kind != OBJECT_NONE && o->start <= gva &&
		    gva - o->start < o->len && o->start + o->len > o->start);
	fuzz_assert(memchr(o->name, 0, sizeof(o->name)));
	for (const char *p = o->name; *p; p++)
		fuzz_assert(*p >= ' ' && *p <= '~');
}

static void ask(struct fake_objects *f, struct object_index *x, struct choices *c)
{
	uint64_t gva = any_place(f, c), rip, rsp, top;
	struct object o;

	f->g.reads = 0;
	check(f, gva, object_at(x, &f->g.space, gva, &o), &o);
	object_is_count(x, &o, gva, 1 << choose(c, 4));
	if (choose(c, 2))
		return;
	rip = choose(c, 4) ? symbol(f, "walker") + choose(c, 1024) :
			     any_place(f, c);
	rsp = choose(c, 4) ? STACK + 0x1000 : any_place(f, c);
	top = choose(c, 4) ? TOP : rsp + choose(c, 65536);
	gva = rsp + choose(c, 512);
	check(f, gva, object_on_stack(x, &f->g.space, rip, rsp, top, gva, &o), &o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	struct fake_objects *f = &guests[choose(&c, 2)];
	struct object_index *x = f->x;
	uint32_t how = choose(&c, 256);

	for (int n = how % POKES_MAX; n && c.n > 8; n--)
		poke(f, &c);
	/* Some of it is looked up once, and kept. */
	if (how & 0x80)
		x = object_index_new(f->p, &f->g.space);
	else
		memset(x->caches, 0, sizeof(x->caches));
	for (int n = 0; x && n < 4; n++)
		ask(f, x, &c);
	if (x != f->x)
		object_index_free(x);
	undo(f);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	uint8_t seed[64] = {};
	char name[16];

	for (int i = 0; i < 64; i++) {
		seed[0] = i & 1;
		seed[1] = i % 5 | (i % 3 ? 0 : 0x80);
		for (size_t b = 2; b < sizeof(seed); b++)
			seed[b] = i * 41 + b * (2 * i + 7) + b * b;
		snprintf(name, sizeof(name), "%d", i);
		emit(name, seed, sizeof(seed));
	}
}
