// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which part of which module an address is in.
 */
#include <elf.h>
#include <stdio.h>

#include "object-index.h"

#define PIECE_MAX	(64UL << 20)	/* bytes of one piece of memory */
#define PIECES_MAX	16
#define SYMBOLS_MAX	65536	/* that are looked at */
#define SYMBOLS_ONCE	170

/* A part of a module's memory, and what it is. */
struct piece {
	uint64_t base, len;
	enum object_never never;
	bool text;
};

static bool add_piece(struct piece *v, size_t *nr, uint64_t base, uint64_t from,
		      uint64_t to, bool text, bool data)
{
	if (base < KERNEL_MIN || from > to || to > PIECE_MAX ||
	    base + to < base || *nr == PIECES_MAX)
		return false;
	if (from < to)
		v[(*nr)++] = (struct piece){
			base + from, to - from,
			data ? OBJECT_MODULE : OBJECT_TEXT, text,
		};
	return true;
}

/* struct module_layout, up to 6.3, or module_memory: @at bytes into the module. */
static uint64_t layout_get(const struct object_index *x,
			   const struct copy *module, size_t at, enum member m)
{
	struct copy c = { .len = x->copied[C_LAYOUT] };

	if (at > module->len || c.len > module->len - at)
		return 0;
	memcpy(c.b, module->b + at, c.len);
	return copy_get(x, &c, m);
}

static void old_pieces(const struct object_index *x, const struct copy *module,
		       enum member m, struct piece *v, size_t *nr)
{
	size_t at = x->field[m].bit / 8;
	uint64_t base = layout_get(x, module, at, LAYOUT_BASE);
	uint64_t text = layout_get(x, module, at, LAYOUT_TEXT);
	uint64_t ro = layout_get(x, module, at, LAYOUT_RO_INIT);

	if (base && add_piece(v, nr, base, 0, text, true, false) &&
	    add_piece(v, nr, base, text, ro, false, false))
		add_piece(v, nr, base, ro,
			  layout_get(x, module, at, LAYOUT_SIZE), false, true);
}

/* Numbers of the kinds of memory that are text, or that are written. */
static bool is_kind(const struct object_index *x, unsigned int i,
		    const char *a, const char *b)
{
	int64_t v;

	return (!chariot_profile__enumerator(x->p, "mod_mem_type", a, &v) &&
		v == i) ||
	       (!chariot_profile__enumerator(x->p, "mod_mem_type", b, &v) &&
		v == i);
}

static void new_pieces(const struct object_index *x, const struct copy *module,
		       struct piece *v, size_t *nr)
{
	size_t size = x->type_size[C_LAYOUT], at = x->field[MODULE_MEM].bit / 8;
	size_t n = size ? x->field[MODULE_MEM].bits / 8 / size : 0;

	for (size_t i = 0; i < n && i < PIECES_MAX; i++, at += size) {
		uint64_t base = layout_get(x, module, at, LAYOUT_BASE);
		uint64_t len = layout_get(x, module, at, LAYOUT_SIZE);

		if (base && len)
			add_piece(v, nr, base, 0, len,
				  is_kind(x, i, "MOD_TEXT", "MOD_INIT_TEXT"),
				  is_kind(x, i, "MOD_DATA", "MOD_INIT_DATA"));
	}
}

static size_t pieces_of(const struct object_index *x, const struct copy *module,
			struct piece *v)
{
	size_t nr = 0;

	if (has_member(x, MODULE_MEM)) {
		new_pieces(x, module, v, &nr);
	} else {
		old_pieces(x, module, MODULE_CORE, v, &nr);
		old_pieces(x, module, MODULE_INIT, v, &nr);
	}
	return nr;
}

/* The module that has @gva, and which piece of it. */
static int find_piece(const struct object_index *x,
		      const struct chariot_space *s, uint64_t gva,
		      struct copy *module, struct piece *piece)
{
	uint64_t head = chariot_profile__symbol(x->p, "modules"), at;
	uint64_t list = x->field[MODULE_LIST].bit / 8;
	struct piece v[PIECES_MAX];

	if (!head || space_read_uint(s, head, 8, &at))
		return -ENOENT;
	for (int n = 0; at != head && n < LIST_MAX; n++) {
		size_t nr;

		if (copy_struct(x, s, C_MODULE, at - list, module))
			return -ENOENT;
		nr = pieces_of(x, module, v);
		for (size_t i = 0; i < nr; i++)
			if (gva - v[i].base < v[i].len) {
				*piece = v[i];
				return 0;
			}
		at = copy_get(x, module, MODULE_LIST);
	}
	return -ENOENT;
}

static bool piece_has_page(const struct chariot_space *s, const struct piece *p,
			   uint64_t gfn)
{
	uint64_t gpa;

	for (uint64_t at = 0; at < p->len; at += PAGE_SIZE)
		if (!chariot_space__translate(s, p->base + at, &gpa, NULL) &&
		    gpa >> PAGE_SHIFT == gfn)
			return true;
	return false;
}

enum object_never module_page(const struct object_index *x,
			      const struct chariot_space *s, uint64_t gpa)
{
	uint64_t head = chariot_profile__symbol(x->p, "modules"), at;
	uint64_t list = x->field[MODULE_LIST].bit / 8;
	struct piece v[PIECES_MAX];
	struct copy module;

	if (!head || space_read_uint(s, head, 8, &at))
		return OBJECT_MAY;
	for (int n = 0; at != head && n < LIST_MAX; n++) {
		size_t nr;

		if (copy_struct(x, s, C_MODULE, at - list, &module))
			return OBJECT_MAY;
		nr = pieces_of(x, &module, v);
		for (size_t i = 0; i < nr; i++)
			if (piece_has_page(s, &v[i], gpa >> PAGE_SHIFT))
				return v[i].never;
		at = copy_get(x, &module, MODULE_LIST);
	}
	return OBJECT_MAY;
}

int module_of_code(const struct object_index *x, const struct chariot_space *s,
		   uint64_t ip, struct copy *module)
{
	struct piece piece;
	int err = find_piece(x, s, ip, module, &piece);

	return err ?: piece.text ? 0 : -ENOENT;
}

/* ---- symbols ------------------------------------------------------------------ */

struct nearest {
	uint64_t addr;		/* looked for */
	uint64_t below, above;	/* addresses of symbols */
	uint32_t name;		/* of the one below */
};

static void note_symbol(struct nearest *n, const Elf64_Sym *sym)
{
	if (sym->st_shndx == SHN_UNDEF || !sym->st_name)
		return;
	if (sym->st_value > n->addr && sym->st_value < n->above)
		n->above = sym->st_value;
	if (sym->st_value <= n->addr && sym->st_value > n->below) {
		n->below = sym->st_value;
		n->name = sym->st_name;
	}
}

/* They are in no order. */
int module_symbol(const struct object_index *x, const struct chariot_space *s,
		  const struct copy *module, uint64_t addr, struct object *o)
{
	struct nearest n = { .addr = addr, .above = ~0ULL };
	Elf64_Sym syms[SYMBOLS_ONCE];
	uint64_t at, nr, once;
	struct copy c;
	int err = copy_struct(x, s, C_KALLSYMS,
			      copy_get(x, module, MODULE_KALLSYMS), &c);

	if (err)
		return err;
	at = copy_get(x, &c, KALLSYMS_SYMBOLS);
	nr = copy_get(x, &c, KALLSYMS_NR);
	if (nr > SYMBOLS_MAX)
		return -EBADMSG;
	for (; nr; nr -= once, at += once * sizeof(*syms)) {
		once = nr < SYMBOLS_ONCE ? nr : SYMBOLS_ONCE;
		err = chariot_space__read(s, at, syms, once * sizeof(*syms));
		if (err)
			return err;
		for (uint64_t i = 0; i < once; i++)
			note_symbol(&n, &syms[i]);
	}
	if (!n.below || n.above == ~0ULL)
		return -ENOENT;
	o->start = n.below;
	o->len = n.above - n.below;
	return space_read_str(s, copy_get(x, &c, KALLSYMS_STRINGS) + n.name,
			      o->name, sizeof(o->name));
}

/* The symbol, or all of the section where none is known. */
int module_object(const struct object_index *x, const struct chariot_space *s,
		  uint64_t gva, struct object *o)
{
	uint64_t end;
	struct copy module;
	struct piece piece;

	if (find_piece(x, s, gva, &module, &piece))
		return -ENOENT;
	o->kind = OBJECT_SYMBOL;
	o->never = piece.never;
	if (!module_symbol(x, s, &module, gva, o) && o->start >= piece.base) {
		end = piece.base + piece.len;
		if (o->len > end - o->start)
			o->len = end - o->start;
		return 0;
	}
	o->start = piece.base;
	o->len = piece.len;
	return space_read_str(s, module.gva + x->field[MODULE_NAME].bit / 8,
			      o->name, sizeof(o->name));
}
