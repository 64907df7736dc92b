// SPDX-License-Identifier: GPL-2.0
/*
 * memcheck: is what must not change in a guest's kernel as it was?  Runs in L1.
 *
 *	memcheck PID save FILE [MODULE]
 *	memcheck PID compare FILE [MASKFILE]
 *	memcheck PID mask FILE MASKFILE
 *	memcheck PID serve
 *
 * save looks up what there is to compare, and where in the VM's memory, and
 * stores it with hashes of each 256 bytes: the kernel's text and read-only data,
 * those of all modules but MODULE, the IDT, the GDTs, and the tables that map
 * the kernel.  compare hashes the same memory again; it believes nothing that
 * the guest has now.  It says "mem ok", or for the first 20 that differ
 *
 *	mem changed KIND [MODULE:]SYMBOL+OFFSET ADDRESS
 *
 * and "mem changed TOTAL".  ADDRESS is where the 256 bytes begin, of a table
 * what its entry maps.  mask adds what differs to MASKFILE, for compare to
 * leave out: what changes in a healthy guest, too.  It says "mem masked NR".
 * Names and offsets in there hold for each boot of the same kernel.
 *
 * serve reads these commands without PID from its input, and ends each answer
 * with a line "end".  The guest's symbols are read once then, while all is well.
 *
 * All else that can be said is "mem error WHAT".  Exit status: 0 it is as it was,
 * 1 it is not, 2 error.
 *
 * Tables: of the direct map only where an entry leads to counts, since its pages
 * are split and made read-only all the time.  What maps vmalloc() and modules is
 * not looked at.  Accessed and dirty bits do not count.
 */
#include <chariot.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC		0x314b4348434d454dULL
#define PAGE		4096UL
#define CHUNK		256UL
#define WORDS		(CHUNK / 8)
#define BUFFER		(1UL << 20)
#define LINES		20
#define WAIT_MS		600000

#define PIECES_MAX	65536U
#define BYTES_MAX	(512UL << 20)
#define MODULES_MAX	512
#define MODULE_MAX	(64UL << 20)
#define TABLES_MAX	4096
#define CPUS_MAX	64

#define CR4_LA57	(1ULL << 12)
#define PTE_PRESENT	(1ULL << 0)
#define PTE_USER	(1ULL << 2)
#define PTE_ACCESSED	(1ULL << 5)
#define PTE_DIRTY	(1ULL << 6)
#define PTE_LARGE	(1ULL << 7)
#define PTE_ADDR	0x000ffffffffff000ULL

#define IMAGE_START	0xffffffff80000000ULL
#define MODULES_START	0xffffffffc0000000ULL	/* with KASLR in the kernel */
#define KERNEL_HALF	0xffff800000000000ULL

enum kind { TEXT, RODATA, IDT, GDT, TABLE, NR_KINDS };

static const char *const kind_names[NR_KINDS] = {
	"text", "rodata", "idt", "gdt", "table",
};

/* Memory that is one piece in the guest's physical memory, too. */
struct piece {
	char name[72];		/* "vmlinux.text", "e1000.rodata", "direct.2" */
	uint32_t kind;
	uint32_t level;		/* of a table: 1 has pages */
	uint64_t gva;		/* of a table: what its first entry maps */
	uint64_t offset;	/* of gva in what it is named after */
	uint64_t gpa, len;
};

struct header {
	uint64_t magic, nr_pieces, nr_hashes;
};

struct state {
	struct piece *pieces;
	uint64_t *hashes;
	size_t nr_pieces, nr_hashes, room;
	size_t tables;
};

struct masked {
	char name[72];
	uint64_t offset;
};

struct mask {
	struct masked *v;
	size_t nr;
};

#define NR_AREAS	5

struct area {
	const char *name;	/* NULL: not looked at */
	uint64_t start, end;
};

struct check {
	struct chariot_vm *vm;
	const struct chariot_profile *p;
	const struct chariot_space *s;
	struct area areas[NR_AREAS];
	int status;
	size_t changed;
};

static void *buffer;

static int error(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int error(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("mem error ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	c->status = 2;
	return -1;
}

/* ---- the guest ---------------------------------------------------------- */

static int read_gpa(const struct check *c, uint64_t gpa, void *buf, size_t len)
{
	return c->s->ops->read(c->s->ctx, gpa, buf, len);
}

static uint64_t read_u64(const struct check *c, uint64_t gva)
{
	uint64_t v;

	return chariot_space__read(c->s, gva, &v, sizeof(v)) ? 0 : v;
}

static uint64_t symbol(const struct check *c, const char *name)
{
	return chariot_profile__symbol(c->p, name);
}

static int need_profile(struct check *c)
{
	if (!c->p)
		c->p = chariot_vm__profile(c->vm, WAIT_MS);
	if (!c->p)
		return error(c, "no profile of the kernel: %s",
			     strerror(errno));
	c->s = chariot_vm__space(c->vm);
	return 0;
}

/* ---- pieces ------------------------------------------------------------- */

static void free_state(struct state *st)
{
	free(st->pieces);
	free(st->hashes);
	memset(st, 0, sizeof(*st));
}

static struct piece *new_piece(struct state *st)
{
	size_t room = st->room ? 2 * st->room : 256;
	struct piece *v;

	if (st->nr_pieces == PIECES_MAX)
		return NULL;
	if (st->nr_pieces == st->room) {
		v = realloc(st->pieces, room * sizeof(*v));
		if (!v)
			return NULL;
		st->pieces = v;
		st->room = room;
	}
	return memset(&st->pieces[st->nr_pieces++], 0, sizeof(*v));
}

static bool continues(const struct piece *last, const struct piece *p)
{
	return last->kind == p->kind && !strcmp(last->name, p->name) &&
	       last->gva + last->len == p->gva &&
	       last->gpa + last->len == p->gpa && !(last->len % CHUNK);
}

static void add_piece(struct state *st, const struct piece *p)
{
	struct piece *last;

	last = st->nr_pieces ? &st->pieces[st->nr_pieces - 1] : NULL;
	if (last && p->kind != TABLE && continues(last, p)) {
		last->len += p->len;
		return;
	}
	last = new_piece(st);
	if (last)
		*last = *p;
}

/* [gva, end), as far as it is mapped */
static void add_range(const struct check *c, struct state *st, enum kind kind,
		      const char *owner, uint64_t gva, uint64_t end)
{
	struct piece p = { .kind = kind };
	uint64_t start = gva, left;

	if (gva < KERNEL_HALF || end <= gva || end - gva > BYTES_MAX)
		return;
	snprintf(p.name, sizeof(p.name), "%s.%s", owner, kind_names[kind]);
	for (; gva < end; gva += left) {
		bool mapped = !chariot_space__translate(c->s, gva, &p.gpa,
							&left);

		if (!mapped)
			left = PAGE - gva % PAGE;
		if (left > end - gva)
			left = end - gva;
		p.gva = gva;
		p.offset = gva - start;
		p.len = left;
		if (mapped)
			add_piece(st, &p);
	}
}

static void add_kernel(const struct check *c, struct state *st)
{
	add_range(c, st, TEXT, "vmlinux", symbol(c, "_text"),
		  symbol(c, "_etext"));
	add_range(c, st, RODATA, "vmlinux", symbol(c, "__start_rodata"),
		  symbol(c, "__end_rodata"));
}

static void add_descriptors(const struct check *c, struct state *st)
{
	uint64_t idt = symbol(c, "idt_table"), gdt = symbol(c, "gdt_page");
	uint64_t offsets = symbol(c, "__per_cpu_offset"), at;
	char name[16];

	if (idt)
		add_range(c, st, IDT, "vmlinux", idt, idt + PAGE);
	for (int cpu = 0; gdt && offsets && cpu < CPUS_MAX; cpu++) {
		at = read_u64(c, offsets + 8 * cpu) + gdt;
		snprintf(name, sizeof(name), "cpu%d", cpu);
		/* of no CPU: what is in no direct map */
		if (at - c->areas[0].start < 1ULL << 46)
			add_range(c, st, GDT, name, at, at + PAGE);
	}
}

/* ---- modules ------------------------------------------------------------ */

static uint64_t member(const struct check *c, uint64_t module,
		       const char *path)
{
	uint64_t size = 0, v = 0;
	int64_t at = chariot_profile__member(c->p, "module", path, &size);

	if (at < 0 || !size || size > sizeof(v) ||
	    chariot_space__read(c->s, module + at, &v, size))
		return 0;
	return v;
}

static void add_mem(const struct check *c, struct state *st, enum kind kind,
		    const char *owner, uint64_t module, const char *type)
{
	char base[24], size[24];
	uint64_t gva, len;
	int64_t i;

	if (chariot_profile__enumerator(c->p, "mod_mem_type", type, &i))
		return;
	snprintf(base, sizeof(base), "mem[%d].base", (int)i);
	snprintf(size, sizeof(size), "mem[%d].size", (int)i);
	gva = member(c, module, base);
	len = member(c, module, size);
	if (len <= MODULE_MAX)
		add_range(c, st, kind, owner, gva, gva + len);
}

/* Up to 6.3 one block, with text and what is read-only at its start. */
static void add_module(const struct check *c, struct state *st,
		       const char *name, uint64_t module)
{
	uint64_t base = member(c, module, "core_layout.base");
	uint64_t text = member(c, module, "core_layout.text_size");
	uint64_t ro = member(c, module, "core_layout.ro_size");

	if (base && text <= ro && ro <= MODULE_MAX) {
		add_range(c, st, TEXT, name, base, base + text);
		add_range(c, st, RODATA, name, base + text, base + ro);
	} else {
		add_mem(c, st, TEXT, name, module, "MOD_TEXT");
		add_mem(c, st, RODATA, name, module, "MOD_RODATA");
	}
}

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	return *a == *b;
}

static void add_modules(const struct check *c, struct state *st,
			const char *but)
{
	int64_t list = chariot_profile__member(c->p, "module", "list", NULL);
	int64_t name_at = chariot_profile__member(c->p, "module", "name", NULL);
	uint64_t head = symbol(c, "modules"), at = head;
	char name[56];

	for (int i = 0; i < MODULES_MAX && list >= 0 && name_at >= 0; i++) {
		at = read_u64(c, at);
		if (!at || at == head ||
		    chariot_space__read(c->s, at - list + name_at, name,
					sizeof(name)))
			return;
		name[sizeof(name) - 1] = 0;
		if (!but || !same_name(name, but))
			add_module(c, st, name, at - list);
	}
}

/* ---- tables ------------------------------------------------------------- */

static uint64_t span(int level)
{
	return 1ULL << (12 + 9 * (level - 1));
}

static bool is_leaf(uint64_t pte, int level)
{
	return level == 1 || (level <= 3 && (pte & PTE_LARGE));
}

static uint64_t base_of(const struct check *c, const char *name, uint64_t base)
{
	uint64_t at = symbol(c, name);

	return (at ? read_u64(c, at) : 0) ?: base;
}

/* Which part of the kernel's half @gva is in.  All begin at whole GiB. */
static struct area area_of(const struct check *c, uint64_t gva)
{
	for (size_t i = 0; i < NR_AREAS; i++)
		if (gva >= c->areas[i].start && gva < c->areas[i].end)
			return c->areas[i];
	return (struct area){ "other", KERNEL_HALF, ~0ULL };
}

static void find_areas(struct check *c)
{
	uint64_t direct = base_of(c, "page_offset_base", 0xffff888000000000ULL);
	uint64_t vmalloc = base_of(c, "vmalloc_base", 0xffffc90000000000ULL);
	uint64_t vmemmap = base_of(c, "vmemmap_base", 0xffffea0000000000ULL);
	const struct area areas[NR_AREAS] = {
		{ "direct", direct, vmalloc },
		{ NULL, vmalloc, vmemmap },
		{ "vmemmap", vmemmap, vmemmap + (1ULL << 44) },
		{ "image", IMAGE_START, MODULES_START },
		{ NULL, MODULES_START, ~0ULL },
	};

	memcpy(c->areas, areas, sizeof(areas));
}

/*
 * In the direct map: is it there, and does it lead to where it must?  The other
 * bits, and whether it is a large page, may change.
 */
static uint64_t direct_entry(const struct piece *p, unsigned int i,
			     uint64_t pte)
{
	uint64_t to = p->offset + i * span(p->level);
	uint64_t low = span(p->level) - 1;	/* PAT, in a large page */

	if (!(pte & PTE_PRESENT))
		return 0;
	if (!is_leaf(pte, p->level))
		return 1;
	pte &= (PTE_ADDR & ~low) | PTE_USER;
	return pte == to ? 1 : pte | 2;
}

static void normalize(const struct piece *p, uint64_t *pte)
{
	bool direct = !strncmp(p->name, "direct.", 7);

	for (unsigned int i = 0; i < p->len / 8; i++)
		if (direct)
			pte[i] = direct_entry(p, i, pte[i]);
		else
			pte[i] &= ~(PTE_ACCESSED | PTE_DIRTY);
}

static uint64_t image_offset(const struct check *c, uint64_t gva)
{
	return gva - (symbol(c, "_text") & ~(span(2) - 1));
}

/* The entries of a high level may be of several areas. */
static bool name_table(const struct check *c, struct piece *p)
{
	struct area a = area_of(c, p->gva);
	struct area b = area_of(c, p->gva + span(p->level + 1) - 1);

	if (!a.name && !b.name)
		return false;
	if (p->level > 2)
		a = (struct area){ "high", KERNEL_HALF, 0 };
	if (!a.name)
		return false;
	snprintf(p->name, sizeof(p->name), "%s.%u", a.name, p->level);
	p->offset = a.start == IMAGE_START ? image_offset(c, p->gva) :
		    p->gva - a.start;
	return true;
}

static void add_table(const struct check *c, struct state *st, uint64_t gpa,
		      uint64_t gva, int level)
{
	struct piece p = { .kind = TABLE, .level = level, .gva = gva,
			   .gpa = gpa, .len = PAGE };
	uint64_t pte[PAGE / 8];

	if (st->tables == TABLES_MAX || !name_table(c, &p) ||
	    read_gpa(c, gpa, pte, sizeof(pte)))
		return;
	st->tables++;
	add_piece(st, &p);
	for (unsigned int i = 0; level > 1 && i < PAGE / 8; i++)
		if ((pte[i] & PTE_PRESENT) && !is_leaf(pte[i], level))
			add_table(c, st, pte[i] & PTE_ADDR,
				  gva + i * span(level), level - 1);
}

/* The upper half of the top table; the lower one is a process's. */
static void add_tables(const struct check *c, struct state *st)
{
	int level = c->s->cr4 & CR4_LA57 ? 5 : 4;
	struct piece p = { .name = "top", .kind = TABLE, .level = level,
			   .gva = -(span(level) * 256),
			   .gpa = (c->s->cr3 & PTE_ADDR) + PAGE / 2,
			   .len = PAGE / 2 };
	uint64_t pte[PAGE / 16];

	if (read_gpa(c, p.gpa, pte, sizeof(pte)))
		return;
	add_piece(st, &p);
	for (unsigned int i = 0; i < PAGE / 16; i++)
		if (pte[i] & PTE_PRESENT)
			add_table(c, st, pte[i] & PTE_ADDR,
				  p.gva + i * span(level), level - 1);
}

/* ---- hashes ------------------------------------------------------------- */

static uint64_t hash(const uint64_t *word, size_t nr)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	while (nr--) {
		h = (h ^ *word++) * 0x100000001b3ULL;
		h ^= h >> 32;	/* what a product never tells of high bits */
	}
	return h;
}

static size_t chunks_of(const struct piece *p)
{
	return (p->len + CHUNK - 1) / CHUNK;
}

/* A chunk that cannot be read has hash 0. */
static int hash_block(const struct check *c, const struct piece *p,
		      uint64_t at, size_t len, uint64_t *out)
{
	size_t nr = (len + CHUNK - 1) / CHUNK;
	int err;

	memset((char *)buffer + len, 0, nr * CHUNK - len);
	err = read_gpa(c, p->gpa + at, buffer, len);
	if (err == -EFAULT) {
		memset(out, 0, nr * sizeof(*out));
		return 0;
	}
	if (err)
		return err;
	if (p->kind == TABLE)
		normalize(p, buffer);
	for (size_t i = 0; i < nr; i++)
		out[i] = hash((uint64_t *)buffer + i * WORDS, WORDS) | 1;
	return 0;
}

static int hash_piece(const struct check *c, const struct piece *p,
		      uint64_t *out)
{
	uint64_t at, len;
	int err = 0;

	for (at = 0; at < p->len && !err; at += len) {
		len = p->len - at < BUFFER ? p->len - at : BUFFER;
		err = hash_block(c, p, at, len, out + at / CHUNK);
	}
	return err;
}

static bool all_unreadable(const struct state *st, const uint64_t *hashes)
{
	for (size_t i = 0; i < st->nr_hashes; i++)
		if (hashes[i])
			return false;
	return true;
}

static uint64_t *hash_all(struct check *c, const struct state *st)
{
	uint64_t *hashes = calloc(st->nr_hashes + 1, sizeof(*hashes));
	size_t at = 0;
	int err = hashes ? 0 : -ENOMEM;

	for (size_t i = 0; i < st->nr_pieces && !err; i++) {
		err = hash_piece(c, &st->pieces[i], hashes + at);
		at += chunks_of(&st->pieces[i]);
	}
	if (!err && all_unreadable(st, hashes))
		err = -ESRCH;
	if (!err)
		return hashes;
	error(c, "cannot read the guest's memory: %s", strerror(-err));
	free(hashes);
	return NULL;
}

/* ---- the file ----------------------------------------------------------- */

static size_t count_hashes(const struct state *st)
{
	size_t nr = 0;

	for (size_t i = 0; i < st->nr_pieces; i++)
		nr += chunks_of(&st->pieces[i]);
	return nr;
}

static int write_state(const struct state *st, const char *file)
{
	struct header h = { MAGIC, st->nr_pieces, st->nr_hashes };
	FILE *f = fopen(file, "we");
	bool ok;

	if (!f)
		return -1;
	ok = fwrite(&h, sizeof(h), 1, f) == 1 &&
	     fwrite(st->pieces, sizeof(*st->pieces), st->nr_pieces, f) ==
	     st->nr_pieces &&
	     fwrite(st->hashes, sizeof(*st->hashes), st->nr_hashes, f) ==
	     st->nr_hashes;
	return fclose(f) || !ok ? -1 : 0;
}

static bool good_pieces(struct state *st)
{
	for (size_t i = 0; i < st->nr_pieces; i++) {
		struct piece *p = &st->pieces[i];

		p->name[sizeof(p->name) - 1] = 0;
		if (p->kind >= NR_KINDS || p->len > BYTES_MAX ||
		    (p->kind == TABLE && (p->len > PAGE || p->level - 1 > 4)))
			return false;
	}
	return count_hashes(st) == st->nr_hashes;
}

static bool read_arrays(struct state *st, FILE *f)
{
	struct header h;

	if (fread(&h, sizeof(h), 1, f) != 1 || h.magic != MAGIC ||
	    h.nr_pieces > PIECES_MAX || h.nr_hashes > BYTES_MAX / CHUNK)
		return false;
	st->nr_pieces = h.nr_pieces;
	st->nr_hashes = h.nr_hashes;
	st->pieces = calloc(h.nr_pieces + 1, sizeof(*st->pieces));
	st->hashes = calloc(h.nr_hashes + 1, sizeof(*st->hashes));
	return st->pieces && st->hashes &&
	       fread(st->pieces, sizeof(*st->pieces), h.nr_pieces, f) ==
	       h.nr_pieces &&
	       fread(st->hashes, sizeof(*st->hashes), h.nr_hashes, f) ==
	       h.nr_hashes && good_pieces(st);
}

static int read_state(struct check *c, struct state *st, const char *file)
{
	FILE *f = fopen(file, "re");
	bool ok;

	if (!f)
		return error(c, "%s: %s", file, strerror(errno));
	ok = read_arrays(st, f);
	fclose(f);
	return ok ? 0 : error(c, "%s: not what save wrote", file);
}

/* ---- the mask ----------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct masked *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ?: (x->offset > y->offset) - (x->offset < y->offset);
}

static int read_mask(struct check *c, struct mask *m, const char *file)
{
	FILE *f = fopen(file, "re");
	struct masked *v, row;

	memset(m, 0, sizeof(*m));
	if (!f)
		return errno == ENOENT ? 0 :
		       error(c, "%s: %s", file, strerror(errno));
	while (fscanf(f, "%71s %lx", row.name, &row.offset) == 2) {
		v = realloc(m->v, (m->nr + 1) * sizeof(*v));
		if (!v)
			break;
		m->v = v;
		m->v[m->nr++] = row;
	}
	fclose(f);
	if (m->nr)
		qsort(m->v, m->nr, sizeof(*m->v), by_place);
	return 0;
}

static bool is_masked(const struct mask *m, const char *name, uint64_t offset)
{
	struct masked key = { .offset = offset };

	snprintf(key.name, sizeof(key.name), "%s", name);
	return m->nr && bsearch(&key, m->v, m->nr, sizeof(key), by_place);
}

/* ---- what has changed --------------------------------------------------- */

/* Chunk @i of a table is as many pages as its entries map. */
static uint64_t chunk_at(const struct piece *p, size_t i)
{
	return p->kind == TABLE ? i * WORDS * span(p->level) : i * CHUNK;
}

typedef void (*changed_fn)(struct check *c, const struct piece *p,
			   uint64_t at, void *ctx);

static void for_changed(struct check *c, const struct state *st,
			const uint64_t *now, const struct mask *m,
			changed_fn fn, void *ctx)
{
	size_t nr = 0;

	for (size_t i = 0; i < st->nr_pieces; i++) {
		const struct piece *p = &st->pieces[i];

		for (size_t j = 0; j < chunks_of(p); j++, nr++) {
			uint64_t at = chunk_at(p, j);

			if (now[nr] != st->hashes[nr] &&
			    !is_masked(m, p->name, p->offset + at))
				fn(c, p, at, ctx);
		}
	}
}

/* "e1000:" for what is a module's */
static const char *owner_of(const struct piece *p, char *buf, size_t size)
{
	size_t len = strcspn(p->name, ".");

	*buf = 0;
	if (p->kind <= RODATA && strncmp(p->name, "vmlinux.", 8))
		snprintf(buf, size, "%.*s:", (int)len, p->name);
	return buf;
}

static void print_changed(struct check *c, const struct piece *p, uint64_t at,
			  void *ctx)
{
	char name[256], owner[80];

	(void)ctx;
	if (!c->changed++ && !c->p)
		c->p = chariot_vm__profile(c->vm, WAIT_MS);
	if (c->changed > LINES)
		return;
	/* A guest that does not run never shows its kernel: no symbols. */
	if (p->kind == TABLE || !c->p)
		snprintf(name, sizeof(name), "%s+0x%lx", p->name,
			 p->offset + at);
	else
		chariot_vm__symbolize(c->vm, p->gva + at, name, sizeof(name));
	printf("mem changed %s %s%s 0x%lx\n", kind_names[p->kind],
	       owner_of(p, owner, sizeof(owner)), name, p->gva + at);
}

static void print_masked(struct check *c, const struct piece *p, uint64_t at,
			 void *ctx)
{
	c->changed++;
	fprintf(ctx, "%s %lx\n", p->name, p->offset + at);
}

/* ---- commands ----------------------------------------------------------- */

static void save(struct check *c, const char *file, const char *but)
{
	struct state st = {};

	if (need_profile(c))
		return;
	find_areas(c);
	add_kernel(c, &st);
	add_modules(c, &st, but);
	add_descriptors(c, &st);
	add_tables(c, &st);
	st.nr_hashes = count_hashes(&st);
	st.hashes = hash_all(c, &st);
	if (st.hashes && write_state(&st, file))
		error(c, "%s: %s", file, strerror(errno));
	if (!c->status)
		printf("mem saved %zu pieces %zu chunks\n", st.nr_pieces,
		       st.nr_hashes);
	free_state(&st);
}

static void look(struct check *c, const char *file, const char *mask_file,
		 changed_fn fn, void *ctx)
{
	uint64_t *now = NULL;
	struct state st = {};
	struct mask m = {};

	c->changed = 0;
	if (!read_state(c, &st, file) &&
	    (!mask_file || !read_mask(c, &m, mask_file)))
		now = hash_all(c, &st);
	if (now)
		for_changed(c, &st, now, &m, fn, ctx);
	free(now);
	free(m.v);
	free_state(&st);
}

static void compare(struct check *c, const char *file, const char *mask_file)
{
	look(c, file, mask_file, print_changed, NULL);
	if (c->status)
		return;
	if (c->changed)
		printf("mem changed %zu\n", c->changed);
	else
		printf("mem ok\n");
	c->status = !!c->changed;
}

static void mask(struct check *c, const char *file, const char *mask_file)
{
	FILE *f = fopen(mask_file, "ae");

	if (!f) {
		error(c, "%s: %s", mask_file, strerror(errno));
		return;
	}
	look(c, file, mask_file, print_masked, f);
	if (fclose(f))
		error(c, "%s: %s", mask_file, strerror(errno));
	if (!c->status)
		printf("mem masked %zu\n", c->changed);
}

static bool command(struct check *c, int argc, char **argv)
{
	c->status = 0;
	if (argc >= 2 && argc <= 3 && !strcmp(argv[0], "save"))
		save(c, argv[1], argc > 2 ? argv[2] : NULL);
	else if (argc >= 2 && argc <= 3 && !strcmp(argv[0], "compare"))
		compare(c, argv[1], argc > 2 ? argv[2] : NULL);
	else if (argc == 3 && !strcmp(argv[0], "mask"))
		mask(c, argv[1], argv[2]);
	else
		return false;
	return true;
}

static int serve(struct check *c)
{
	char line[1024], *argv[4];
	int argc;

	if (need_profile(c))
		return 2;
	printf("mem ready\nend\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		argc = 0;
		for (char *p = strtok(line, " \t\n"); p && argc < 4;
		     p = strtok(NULL, " \t\n"))
			argv[argc++] = p;
		if (!command(c, argc, argv))
			error(c, "no such command");
		printf("end\n");
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct check c = {};

	if (argc < 3)
		return 2;
	c.vm = chariot_vm__attach_pid(atoi(argv[1]));
	buffer = malloc(BUFFER);
	if (!c.vm || !buffer) {
		error(&c, "process %s: %s", argv[1], strerror(errno));
		return 2;
	}
	c.s = chariot_vm__space(c.vm);
	if (argc == 3 && !strcmp(argv[2], "serve"))
		c.status = serve(&c);
	else if (!command(&c, argc - 2, argv + 2))
		c.status = 2;
	chariot_vm__free(c.vm);
	return c.status;
}
