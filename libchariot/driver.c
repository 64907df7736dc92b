// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A driver as the guest has it in memory.
 *
 * At do_init_module() all of it is in place: the pieces of memory, the full
 * symbol table (in init memory) with the imports resolved, and the types.
 * Once init has returned the symbol table is the smaller one, without imports.
 *
 * mod->btf_data must not be used: it leads into the copy of the module's file,
 * which load_module() has freed by then.  The kernel has its own copy, in the
 * list btf_modules.
 */
#include <bpf/btf.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

#define PIECE_MAX	(64UL << 20)	/* bytes of one piece of memory */
#define SYMBOLS_MAX	(1UL << 18)
#define STRINGS_MAX	(16UL << 20)
#define NAME_MAX_LEN	512		/* KSYM_NAME_LEN */
#define BTF_MAX		(16UL << 20)
#define CPUS_MAX	8192
#define LIST_MAX	4096

/* ---- building -------------------------------------------------------------- */

int driver_add_section(struct chariot_driver *d, uint64_t gva, uint64_t len,
		       uint32_t kind, const char *name)
{
	struct chariot_section *v;

	v = realloc(d->sections, (d->nr_sections + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	v[d->nr_sections++] = (struct chariot_section){
		.gva = gva, .len = len, .kind = kind, .name = name,
	};
	d->sections = v;
	return 0;
}

int driver_add_symbol(struct symbols *syms, const char *name, uint64_t gva,
		      uint64_t size, bool func)
{
	/* They are sorted: names without end would take time without end. */
	if (strnlen(name, NAME_MAX_LEN) == NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (syms->nr == syms->room) {
		size_t room = syms->room ? 2 * syms->room : 256;
		struct chariot_symbol *v = realloc(syms->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		syms->v = v;
		syms->room = room;
	}
	syms->v[syms->nr++] = (struct chariot_symbol){
		.name = name, .gva = gva, .size = size, .func = func,
	};
	return 0;
}

/* Of several at one place functions are first, then the larger ones. */
static int by_address(const void *a, const void *b)
{
	const struct chariot_symbol *x = a, *y = b;

	if (x->gva != y->gva)
		return x->gva < y->gva ? -1 : 1;
	if (x->func != y->func)
		return x->func ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return strcmp(x->name, y->name);
}

void driver_finish(struct chariot_driver *d)
{
	if (d->symbols.nr)
		qsort(d->symbols.v, d->symbols.nr, sizeof(*d->symbols.v),
		      by_address);
	if (d->imports.nr)
		qsort(d->imports.v, d->imports.nr, sizeof(*d->imports.v),
		      by_address);
}

void chariot_driver__free(struct chariot_driver *d)
{
	int saved = errno;

	if (!d)
		return;
	btf__free(d->btf);
	free(d->sections);
	free(d->symbols.v);
	free(d->imports.v);
	free(d->strings);
	free(d->section_strings);
	free(d->raw_btf);
	free(d->file);
	free(d);
	errno = saved;
}

/* ---- what is being read ---------------------------------------------------- */

struct source {
	const struct chariot_profile *p;
	const struct chariot_space *s;
	uint64_t module;
	struct chariot_driver *d;
	bool live;		/* init is over */
};

static int get(const struct source *r, const char *path, uint64_t *value)
{
	return profile_read_member(r->p, r->s, "module", r->module, path,
				   value);
}

/* ---- sections -------------------------------------------------------------- */

static bool good_piece(uint64_t base, uint64_t size)
{
	return base >= KERNEL_HALF && size && size <= PIECE_MAX &&
	       base + size > base;
}

/* [base + from, base + to), in whole pages. */
static int add_piece(const struct source *r, uint64_t base, uint64_t from,
		     uint64_t to, uint32_t kind, const char *name)
{
	uint64_t start = (base + from) & PAGE_MASK;
	uint64_t end = (base + to + PAGE_SIZE - 1) & PAGE_MASK;

	if (from >= to)
		return 0;
	return driver_add_section(r->d, start, end - start, kind, name);
}

/* ro_after_init is data until init has returned, and read-only from then on. */
static uint32_t ro_after_init(const struct source *r)
{
	return r->live ? CHARIOT_NR_RANGE_KINDS : CHARIOT_RANGE_INIT_DATA;
}

/* Up to 6.3: one block with text, read-only, read-only after init, data. */
static int read_layout(const struct source *r, bool init)
{
	static const char *const member[] = {
		"base", "text_size", "ro_size", "ro_after_init_size", "size",
	};
	uint64_t v[ARRAY_SIZE(member)];
	char path[64];
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(member); i++) {
		snprintf(path, sizeof(path), "%s_layout.%s",
			 init ? "init" : "core", member[i]);
		err = get(r, path, &v[i]);
		if (err)
			return err;
	}
	if (!v[4])
		return 0;
	if (!good_piece(v[0], v[4]) || v[1] > v[2] || v[2] > v[3] ||
	    v[3] > v[4])
		return -EBADMSG;
	err = add_piece(r, v[0], 0, v[1], init ? CHARIOT_RANGE_INIT_TEXT :
			CHARIOT_RANGE_TEXT, init ? "init.text" : "text");
	if (!err)
		err = add_piece(r, v[0], v[1], v[2], CHARIOT_NR_RANGE_KINDS,
				init ? "init.rodata" : "rodata");
	if (!err)
		err = add_piece(r, v[0], v[2], v[3], ro_after_init(r),
				init ? "init.ro_after_init" : "ro_after_init");
	if (!err)
		err = add_piece(r, v[0], v[3], v[4], init ?
				CHARIOT_RANGE_INIT_DATA : CHARIOT_RANGE_DATA,
				init ? "init.data" : "data");
	return err;
}

/* From 6.4: a block for each kind. */
static const struct {
	const char *enumerator, *name;
	uint32_t kind;
} mem_types[] = {
	{ "MOD_TEXT", "text", CHARIOT_RANGE_TEXT },
	{ "MOD_DATA", "data", CHARIOT_RANGE_DATA },
	{ "MOD_RODATA", "rodata", CHARIOT_NR_RANGE_KINDS },
	{ "MOD_RO_AFTER_INIT", "ro_after_init", CHARIOT_RANGE_INIT_DATA },
	{ "MOD_INIT_TEXT", "init.text", CHARIOT_RANGE_INIT_TEXT },
	{ "MOD_INIT_DATA", "init.data", CHARIOT_RANGE_INIT_DATA },
	{ "MOD_INIT_RODATA", "init.rodata", CHARIOT_NR_RANGE_KINDS },
};

static int read_mem(const struct source *r, size_t i)
{
	uint32_t kind = mem_types[i].kind;
	uint64_t base, size = 0;
	char path[32];
	int64_t idx;
	int err;

	err = chariot_profile__enumerator(r->p, "mod_mem_type",
					  mem_types[i].enumerator, &idx);
	if (err)
		return err;
	snprintf(path, sizeof(path), "mem[%u].base", (unsigned int)idx);
	err = get(r, path, &base);
	snprintf(path, sizeof(path), "mem[%u].size", (unsigned int)idx);
	if (!err)
		err = get(r, path, &size);
	if (err || !size)
		return err;
	if (!good_piece(base, size))
		return -EBADMSG;
	if (!strcmp(mem_types[i].name, "ro_after_init"))
		kind = ro_after_init(r);
	return add_piece(r, base, 0, size, kind, mem_types[i].name);
}

static bool cpu_possible(const struct source *r, uint64_t cpu)
{
	uint64_t mask = chariot_profile__symbol(r->p, "__cpu_possible_mask");
	uint64_t byte;

	if (!mask || space_read_uint(r->s, mask + cpu / 8, 1, &byte))
		return true;
	return byte >> cpu % 8 & 1;
}

static int read_percpu(const struct source *r)
{
	uint64_t base, size, offset, cpu, n = 1;
	uint64_t offsets = chariot_profile__symbol(r->p, "__per_cpu_offset");
	uint64_t ids = chariot_profile__symbol(r->p, "nr_cpu_ids");
	int err;

	if (get(r, "percpu", &base) || get(r, "percpu_size", &size) || !size)
		return 0;
	if (size > PIECE_MAX || !offsets)
		return -EBADMSG;
	err = ids ? space_read_uint(r->s, ids, 4, &n) : 0;
	if (!err && n > CPUS_MAX)
		err = -EBADMSG;
	for (cpu = 0; cpu < n && !err; cpu++) {
		if (!cpu_possible(r, cpu))
			continue;
		err = space_read_uint(r->s, offsets + 8 * cpu, 8, &offset);
		if (!err)
			err = driver_add_section(r->d, base + offset, size,
						 CHARIOT_RANGE_DATA, "percpu");
	}
	r->d->percpu = base;
	r->d->percpu_size = size;
	return err;
}

static int read_sections(const struct source *r)
{
	size_t i;
	int err = 0;

	if (chariot_profile__member(r->p, "module", "core_layout.base",
				    NULL) >= 0) {
		err = read_layout(r, false);
		if (!err)
			err = read_layout(r, true);
	} else {
		for (i = 0; i < ARRAY_SIZE(mem_types) && !err; i++)
			err = read_mem(r, i);
	}
	return err ? err : read_percpu(r);
}

static const struct chariot_section *
section_of(const struct chariot_driver *d, uint64_t addr)
{
	size_t i;

	for (i = 0; i < d->nr_sections; i++)
		if (addr >= d->sections[i].gva &&
		    addr - d->sections[i].gva < d->sections[i].len)
			return &d->sections[i];
	return NULL;
}

/* ---- the build-id ----------------------------------------------------------- */

#define NOTE_HEAD	16	/* three words, and "GNU" */

bool driver_note(struct chariot_driver *d, const uint8_t *data, size_t len)
{
	static const char gnu[4] = "GNU";
	Elf64_Nhdr n;

	for (size_t at = 0; at + NOTE_HEAD <= len; at += 4) {
		memcpy(&n, data + at, sizeof(n));
		if (n.n_namesz != sizeof(gnu) || n.n_type != NT_GNU_BUILD_ID ||
		    n.n_descsz < 8 || n.n_descsz > NOTE_ID_MAX ||
		    memcmp(data + at + sizeof(n), gnu, sizeof(gnu)) ||
		    n.n_descsz > len - at - NOTE_HEAD)
			continue;
		for (size_t i = 0; i < n.n_descsz; i++)
			sprintf(d->build_id + 2 * i, "%02x",
				data[at + NOTE_HEAD + i]);
		return true;
	}
	return false;
}

/*
 * The note is among the read-only data.  Not by mod->notes_attrs, of which kernels
 * have different ideas.  Without one the build is told by its symbols.
 */
static int read_build_id(const struct source *r)
{
	const size_t step = 64 << 10, over = NOTE_HEAD + NOTE_ID_MAX;
	uint8_t *buf = malloc(step + over);
	bool found = false;

	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < r->d->nr_sections; i++) {
		const struct chariot_section *sec = &r->d->sections[i];

		for (uint64_t at = 0; !found && !strcmp(sec->name, "rodata") &&
		     at < sec->len; at += step) {
			uint64_t n = sec->len - at;

			if (n > step + over)
				n = step + over;
			if (!chariot_space__read(r->s, sec->gva + at, buf, n))
				found = driver_note(r->d, buf, n);
		}
	}
	free(buf);
	return 0;
}

const char *chariot_driver__build_id(const struct chariot_driver *d)
{
	return d->build_id;
}

/* ---- the guest's list of modules -------------------------------------------- */

typedef int (*module_fn)(void *ctx, uint64_t module);

/* Call @fn for each module until it returns something but 0. */
static int walk_modules(const struct chariot_profile *p,
			const struct chariot_space *s, module_fn fn, void *ctx)
{
	uint64_t head = chariot_profile__symbol(p, "modules"), pos = head;
	int64_t list = chariot_profile__member(p, "module", "list", NULL);
	int i, ret;

	if (!head || list < 0)
		return -ENOENT;
	for (i = 0; i < LIST_MAX; i++) {
		ret = space_read_uint(s, pos, 8, &pos);
		if (ret)
			return ret;
		if (pos == head)
			return 0;
		ret = fn(ctx, pos - list);
		if (ret)
			return ret;
	}
	return -ELOOP;
}

struct module_find {
	const struct chariot_profile *p;
	const struct chariot_space *s;
	const char *name;
	uint64_t module;
};

int driver_read_name(const struct chariot_profile *p,
		     const struct chariot_space *s, uint64_t module,
		     char name[CHARIOT_NAME_LEN])
{
	int64_t off = chariot_profile__member(p, "module", "name", NULL);

	return off < 0 ? (int)off :
		space_read_str(s, module + off, name, CHARIOT_NAME_LEN);
}

static int compare_module(void *ctx, uint64_t module)
{
	struct module_find *f = ctx;
	char name[CHARIOT_NAME_LEN];
	int err = driver_read_name(f->p, f->s, module, name);

	if (err)
		return err;
	if (!chariot_same_driver(name, f->name))
		return 0;
	f->module = module;
	return 1;
}

uint64_t chariot_driver__find(const struct chariot_profile *p,
			      const struct chariot_space *s, const char *name)
{
	struct module_find f = { .p = p, .s = s, .name = name };
	int ret = name ? walk_modules(p, s, compare_module, &f) : 0;

	if (ret == 1)
		return f.module;
	if (ret < 0)
		log_warn("driver %s: cannot read the guest's list of modules: %s",
			 name, strerror(-ret));
	errno = ret < 0 ? -ret : ENOENT;
	return 0;
}

/* @ctx: a source, for whose @d the text of every module is collected. */
static int collect_text(void *ctx, uint64_t module)
{
	struct source r = *(struct source *)ctx;

	r.module = module;
	if (chariot_profile__member(r.p, "module", "core_layout.base",
				    NULL) >= 0)
		read_layout(&r, false);
	else
		read_mem(&r, 0);
	return 0;
}

struct module_at {
	struct source r;
	uint64_t gva, module;
};

static int has_text(void *ctx, uint64_t module)
{
	struct module_at *f = ctx;
	struct chariot_driver d = {};
	struct source r = f->r;

	r.d = &d;
	r.module = module;
	collect_text(&r, module);
	for (size_t i = 0; i < d.nr_sections; i++)
		if (f->gva - d.sections[i].gva < d.sections[i].len)
			f->module = module;
	free(d.sections);
	return f->module ? 1 : 0;
}

uint64_t driver_module_at(const struct chariot_profile *p,
			  const struct chariot_space *s, uint64_t gva)
{
	struct module_at f = { .r = { .p = p, .s = s }, .gva = gva };

	return walk_modules(p, s, has_text, &f) == 1 ? f.module : 0;
}

/* ---- symbols ----------------------------------------------------------------- */

struct symtab {
	Elf64_Sym *syms;
	size_t nr, strings_len;
};

static int read_symtab_at(const struct source *r, struct symtab *t,
			  uint64_t symtab, uint64_t nr, uint64_t strtab)
{
	const struct chariot_section *sec = section_of(r->d, strtab);
	int err;

	if (!sec || !nr || nr > SYMBOLS_MAX)
		return -EBADMSG;
	/* How long the strings are nobody says: up to the end of the piece. */
	t->strings_len = sec->gva + sec->len - strtab;
	if (t->strings_len > STRINGS_MAX)
		t->strings_len = STRINGS_MAX;
	t->nr = nr;
	t->syms = malloc(nr * sizeof(*t->syms));
	r->d->strings = malloc(t->strings_len + 1);
	if (!t->syms || !r->d->strings)
		return -ENOMEM;
	r->d->strings[t->strings_len] = 0;
	err = chariot_space__read(r->s, symtab, t->syms,
				  nr * sizeof(*t->syms));
	if (!err)
		err = chariot_space__read(r->s, strtab, r->d->strings,
					  t->strings_len);
	if (!err)
		text_make_printable(r->d->strings, t->strings_len);
	return err;
}

static int read_symtab(const struct source *r, struct symtab *t)
{
	static const char *const member[] = { "symtab", "num_symtab", "strtab" };
	uint64_t kallsyms, v[ARRAY_SIZE(member)];
	size_t i;
	int err;

	err = get(r, "kallsyms", &kallsyms);
	for (i = 0; i < ARRAY_SIZE(member) && !err; i++)
		err = profile_read_member(r->p, r->s, "mod_kallsyms", kallsyms,
					  member[i], &v[i]);
	return err ? err : read_symtab_at(r, t, v[0], v[1], v[2]);
}

static bool in_driver(const struct source *r, uint64_t addr)
{
	return section_of(r->d, addr) ||
	       (addr >= r->d->percpu && addr - r->d->percpu < r->d->percpu_size);
}

static int add_symbols(const struct source *r, const struct symtab *t)
{
	int err = 0;
	size_t i;

	for (i = 1; i < t->nr && !err; i++) {
		const Elf64_Sym *sym = &t->syms[i];
		unsigned int type = ELF64_ST_TYPE(sym->st_info);
		const char *name;
		bool func;

		if (!sym->st_name || sym->st_name >= t->strings_len ||
		    type == STT_SECTION || type == STT_FILE)
			continue;
		name = r->d->strings + sym->st_name;
		if (sym->st_shndx == SHN_UNDEF) {
			err = driver_add_symbol(&r->d->imports, name,
						sym->st_value, 0, false);
			continue;
		}
		/* What was not kept in memory has an address of no meaning. */
		if (sym->st_shndx >= SHN_LORESERVE ||
		    !in_driver(r, sym->st_value))
			continue;
		/* objtool's names for the padding before functions */
		func = type == STT_FUNC && strncmp(name, "__pfx_", 6);
		err = driver_add_symbol(&r->d->symbols, name, sym->st_value,
					sym->st_size, func);
	}
	return err;
}

/*
 * Imports have no type.  Those of the kernel have one in its symbol table, and
 * those of other modules are functions if they are in text.
 */
static void type_imports(const struct source *r)
{
	uint64_t text = chariot_profile__symbol(r->p, "_text");
	uint64_t end = chariot_profile__symbol(r->p, "_end");
	uint64_t etext = chariot_profile__symbol(r->p, "_etext");
	struct chariot_driver others = {};
	struct source modules = { .p = r->p, .s = r->s, .d = &others };
	bool collected = false;
	size_t i;

	for (i = 0; i < r->d->imports.nr; i++) {
		struct chariot_symbol *sym = &r->d->imports.v[i];
		const struct chariot_section *sec;

		if (sym->gva >= text && sym->gva < end) {
			sym->func = sym->gva < etext;
			continue;
		}
		/* below: per-CPU variables, and weak ones without a value */
		if (sym->gva < end)
			continue;
		if (!collected)
			walk_modules(r->p, r->s, collect_text, &modules);
		collected = true;
		sec = section_of(&others, sym->gva);
		sym->func = sec && sec->kind == CHARIOT_RANGE_TEXT;
	}
	free(others.sections);
}

static int read_symbols(const struct source *r)
{
	struct symtab t = {};
	int err = read_symtab(r, &t);

	if (!err)
		err = add_symbols(r, &t);
	free(t.syms);
	if (!err) {
		type_imports(r);
		driver_finish(r->d);
	}
	return err;
}

/* ---- types --------------------------------------------------------------------- */

/* The kernel's struct btf of the module, by the list btf_modules. */
static int find_kernel_btf(const struct source *r, uint64_t *btf)
{
	uint64_t head = chariot_profile__symbol(r->p, "btf_modules");
	int64_t list = chariot_profile__member(r->p, "btf_module", "list",
					       NULL);
	uint64_t pos = head, module;
	int i, err;

	if (!head || list < 0)
		return -ENOENT;
	for (i = 0; i < LIST_MAX; i++) {
		err = space_read_uint(r->s, pos, 8, &pos);
		if (err)
			return err;
		if (pos == head)
			return -ENOENT;
		err = profile_read_member(r->p, r->s, "btf_module", pos - list,
					  "module", &module);
		if (err)
			return err;
		if (module == r->module)
			return profile_read_member(r->p, r->s, "btf_module",
						   pos - list, "btf", btf);
	}
	return -ELOOP;
}

static int read_btf(const struct source *r)
{
	uint64_t btf, data, size;
	void *copy;
	int err;

	err = find_kernel_btf(r, &btf);
	if (!err)
		err = profile_read_member(r->p, r->s, "btf", btf, "data",
					  &data);
	if (!err)
		err = profile_read_member(r->p, r->s, "btf", btf, "data_size",
					  &size);
	if (err)
		return err;
	if (!size || size > BTF_MAX)
		return -EBADMSG;
	copy = malloc(size);
	if (!copy)
		return -ENOMEM;
	err = chariot_space__read(r->s, data, copy, size);
	if (!err) {
		r->d->btf = btf_new_checked(copy, size, profile_btf(r->p));
		if (!r->d->btf)
			err = -errno;
	}
	free(copy);
	return err;
}

int chariot_driver__link(struct chariot_driver *d,
			 const struct chariot_profile *p)
{
	if (!d->raw_btf)
		return -ENOENT;
	btf__free(d->btf);
	d->btf = btf_new_checked(d->raw_btf, d->raw_btf_len, profile_btf(p));
	return d->btf ? 0 : -errno;
}

/* ---- all of it ------------------------------------------------------------------ */

bool driver_is_live(const struct chariot_profile *p, const struct chariot_space *s,
		    uint64_t module)
{
	const struct source r = { .p = p, .s = s, .module = module };
	uint64_t state;
	int64_t live;

	return !get(&r, "state", &state) &&
	       !chariot_profile__enumerator(p, "module_state",
					    "MODULE_STATE_LIVE", &live) &&
	       state == (uint64_t)live;
}

static bool init_is_over(const struct source *r)
{
	uint64_t state;
	int64_t coming;

	if (get(r, "state", &state) ||
	    chariot_profile__enumerator(r->p, "module_state",
					"MODULE_STATE_COMING", &coming))
		return false;
	return state != (uint64_t)coming;
}

static int read_driver(struct source *r)
{
	const char *what = "name";
	int err = driver_read_name(r->p, r->s, r->module, r->d->name);

	r->live = init_is_over(r);
	/* Later there may be other things at its address. */
	if (!err && !r->live) {
		what = "init";
		err = get(r, "init", &r->d->init);
	}
	if (!err) {
		get(r, "exit", &r->d->exit);	/* 0 without MODULE_UNLOAD */
		what = "sections";
		err = read_sections(r);
	}
	if (!err)
		err = read_build_id(r);
	if (!err) {
		what = "symbols";
		err = read_symbols(r);
	}
	if (err) {
		log_err("driver %s: struct module at %#llx: bad %s: %s",
			r->d->name, (unsigned long long)r->module, what,
			strerror(-err));
		return err;
	}
	err = read_btf(r);
	if (err == -ENOMEM)
		return err;
	if (err)
		log_warn("driver %s: no usable BTF in the guest's kernel: %s",
			 r->d->name, err == -ENOENT ? "it has none" : strerror(-err));
	return 0;
}

struct chariot_driver *
chariot_driver__from_guest(const struct chariot_profile *p,
			   const struct chariot_space *s, uint64_t module)
{
	struct source r = { .p = p, .s = s, .module = module };
	int err;

	r.d = calloc(1, sizeof(*r.d));
	if (!r.d)
		return NULL;
	err = read_driver(&r);
	if (err) {
		chariot_driver__free(r.d);
		return err_null(err);
	}
	log_info("driver %s: %zu sections, %zu symbols, %zu imports",
		 r.d->name, r.d->nr_sections, r.d->symbols.nr,
		 r.d->imports.nr);
	return r.d;
}

const void *chariot_driver__file(const struct chariot_driver *d, size_t *len)
{
	*len = d->file_len;
	return d->file;
}

const char *chariot_driver__name(const struct chariot_driver *d)
{
	return d->name;
}

uint64_t chariot_driver__init(const struct chariot_driver *d)
{
	return d->init;
}

uint64_t chariot_driver__exit(const struct chariot_driver *d)
{
	return d->exit;
}

const struct chariot_section *
chariot_driver__sections(const struct chariot_driver *d, size_t *nr)
{
	*nr = d->nr_sections;
	return d->sections;
}

const struct chariot_symbol *
chariot_driver__symbols(const struct chariot_driver *d, size_t *nr)
{
	*nr = d->symbols.nr;
	return d->symbols.v;
}

const struct chariot_symbol *
chariot_driver__imports(const struct chariot_driver *d, size_t *nr)
{
	*nr = d->imports.nr;
	return d->imports.v;
}

const struct chariot_symbol *driver_import(const struct chariot_driver *d,
					   const char *name)
{
	for (size_t i = 0; i < d->imports.nr; i++)
		if (!strcmp(d->imports.v[i].name, name))
			return &d->imports.v[i];
	return NULL;
}

uint64_t driver_address_of(const struct chariot_driver *d,
			   const struct chariot_profile *p, const char *name)
{
	uint64_t gva = chariot_profile__symbol(p, name);
	const struct chariot_symbol *import = gva ? NULL : driver_import(d, name);

	return import ? import->gva : gva;
}

const struct btf *chariot_driver__btf(const struct chariot_driver *d)
{
	return d->btf;
}

const char *chariot_driver__name_of(const struct chariot_driver *d,
				    uint64_t addr, uint64_t *offset)
{
	const struct chariot_section *sec = section_of(d, addr);
	const struct chariot_symbol *v = d->symbols.v;
	size_t lo = 0, hi = d->symbols.nr;

	if (!sec)
		return NULL;
	if (!strcmp(sec->name, "percpu"))
		addr = d->percpu + (addr - sec->gva);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].gva <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || (section_of(d, v[lo - 1].gva) != sec &&
		    strcmp(sec->name, "percpu")))
		return NULL;
	for (lo--; lo > 0 && v[lo - 1].gva == v[lo].gva; )
		lo--;
	if (offset)
		*offset = addr - v[lo].gva;
	return v[lo].name;
}
