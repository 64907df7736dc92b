// SPDX-License-Identifier: GPL-2.0
/*
 * chariot inject: plant a fault in a guest's driver, from the host.
 *
 * A store of the driver is made to go elsewhere: a wild store.  Or one of many
 * faults of software is put in by a seed.  Only bytes of one instruction, in
 * the text of the named driver, are ever written.
 */
#include "cli.h"
#include "fault.h"
#include "ko.h"
#include "site.h"
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX	(1UL << 20)	/* bytes of one function */
#define DEFAULT_VALUE	0x41414141
#define RODATA_MAX	(8UL << 20)
#define NUMBER_MAX	32		/* characters of a number */

struct inject {
	const char *vm_name, *driver, *function, *target_text, *undo;
	const char *type_text, *file;
	uint64_t value, width, nth, seed, last_seed;
	const char *seed_text;
	bool list, dry_run;
	int type;			/* enum fault_type */

	struct chariot_vm *vm;
	const struct chariot_profile *p;
	const struct chariot_space *s;
	struct chariot_driver *d;

	/* of the function that is being looked through */
	const struct chariot_symbol *sym;
	uint64_t seen, target;
	struct site site;
	bool found;
	int why_not;			/* -errno of site_encode() */
	struct json_object *rows;
};

/* ---- the driver's functions --------------------------------------------- */

static const struct chariot_section *text_of(const struct inject *j,
					     uint64_t gva)
{
	const struct chariot_section *sec;
	size_t nr;

	sec = chariot_driver__sections(j->d, &nr);
	for (size_t i = 0; i < nr; i++)
		if ((sec[i].kind == CHARIOT_RANGE_TEXT ||
		     sec[i].kind == CHARIOT_RANGE_INIT_TEXT) &&
		    gva - sec[i].gva < sec[i].len)
			return &sec[i];
	return NULL;
}

/* Up to the next symbol, and never out of the text. */
static uint64_t function_size(const struct inject *j,
			      const struct chariot_symbol *sym)
{
	const struct chariot_section *sec = text_of(j, sym->gva);
	const struct chariot_symbol *v;
	uint64_t end;
	size_t nr;

	if (!sec)
		return 0;
	end = sec->gva + sec->len;
	v = chariot_driver__symbols(j->d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (v[i].gva > sym->gva && v[i].gva < end)
			end = v[i].gva;
	if (sym->size && sym->size < end - sym->gva)
		end = sym->gva + sym->size;
	return end - sym->gva < TEXT_MAX ? end - sym->gva : TEXT_MAX;
}

/* "f" is also what the compiler made of it: "f.isra.0". */
static bool is_name(const char *symbol, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(symbol, name, len) &&
	       (!symbol[len] || symbol[len] == '.') &&
	       strcmp(symbol + len, ".cold");
}

static const struct chariot_symbol *find_function(const struct inject *j,
						  const char *name)
{
	const struct chariot_symbol *v, *found = NULL;
	unsigned int matches = 0;
	size_t nr;

	v = chariot_driver__symbols(j->d, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!v[i].func || !text_of(j, v[i].gva))
			continue;
		if (!strcmp(v[i].name, name) && !matches++)
			found = &v[i];
	}
	if (matches > 1)
		note("note: %s has %u functions named %s, this is the first",
		     j->driver, matches, name);
	for (size_t i = 0; i < nr && !found; i++)
		if (v[i].func && is_name(v[i].name, name) &&
		    text_of(j, v[i].gva))
			found = &v[i];
	return found;
}

static int scan_function(struct inject *j, const struct chariot_symbol *sym,
			 bool (*fn)(void *ctx, const struct site *s))
{
	uint64_t len = function_size(j, sym);
	uint8_t *code = malloc(len + 1);
	int64_t r;

	if (!code)
		return -ENOMEM;
	j->sym = sym;
	r = chariot_space__read(j->s, sym->gva, code, len);
	if (!r)
		r = site_scan(code, len, sym->gva, SITE_MIN, fn, j);
	free(code);
	return r < 0 ? (int)r : 0;
}

/* ---- list --------------------------------------------------------------- */

static const struct column list_cols[] = {
	{ "function", "FUNCTION" }, { "nth", "NTH", COL_NUMBER },
	{ "offset", "OFFSET", COL_NUMBER }, { "length", "LENGTH", COL_NUMBER },
	{ "width", "WIDTH", COL_NUMBER }, { "text", "INSTRUCTION" }, {},
};

static bool list_site(void *ctx, const struct site *s)
{
	struct json_object *o = json_map();
	struct inject *j = ctx;
	uint8_t bytes[SITE_MAX];

	put_str(o, "function", j->sym->name);
	put_u64(o, "nth", ++j->seen);
	put_hex(o, "offset", s->gva - j->sym->gva);
	put_u64(o, "length", s->len);
	/* To its own place: always within reach. */
	put_u64(o, "width", site_encode(s, s->gva, 0, 0, bytes));
	put_bytes(o, "bytes", s->bytes, s->len);
	put_str(o, "text", s->text);
	json_object_array_add(j->rows, o);
	return false;
}

static void show_list(struct json_object *list)
{
	rows(list, list_cols);
}

static int list(struct inject *j, const struct chariot_symbol *only)
{
	const struct chariot_symbol *v;
	uint64_t last = 0;
	int err = 0;
	size_t nr;

	j->rows = json_list();
	v = chariot_driver__symbols(j->d, &nr);
	for (size_t i = 0; i < nr && !err; i++) {
		if (!v[i].func || v[i].gva == last || !text_of(j, v[i].gva) ||
		    (only && only != &v[i]))
			continue;
		last = v[i].gva;
		j->seen = 0;
		err = scan_function(j, &v[i], list_site);
	}
	if (!err)
		return out(j->rows, show_list);
	json_object_put(j->rows);
	return fail_lib(err, "%s: cannot read its text", j->driver);
}

/* ---- the record --------------------------------------------------------- */

static const struct column record_cols[] = {
	{ "driver", "Driver" }, { "build_id", "Build ID" },
	{ "type", "Fault" }, { "seed", "Seed" }, { "what", "What" },
	{ "function", "Function" },
	{ "offset", "Offset" }, { "address", "Address" },
	{ "old", "Old bytes" }, { "old_text", "Old code" },
	{ "before", "Old code" },
	{ "new", "New bytes" }, { "new_text", "New code" },
	{ "after", "New code" },
	{ "target_symbol", "Writes to" }, { "target", "At" },
	{ "value", "Value" }, { "width", "Width" },
	{ "state", "State", COL_STATE }, {},
};

static void show_record(struct json_object *o)
{
	fields(o, record_cols);
}

static const struct column fault_cols[] = {
	{ "seed", "SEED", COL_NUMBER }, { "type", "TYPE" },
	{ "function", "FUNCTION" }, { "offset", "OFFSET" },
	{ "before", "BEFORE" }, { "after", "AFTER" }, {},
};

static void show_faults(struct json_object *list)
{
	rows(list, fault_cols);
}

static struct json_object *record(struct inject *j, const uint8_t *new,
				  unsigned int width)
{
	uint64_t mask = width < 8 ? (1ULL << 8 * width) - 1 : ~0ULL;
	struct json_object *o = json_map();
	const struct site *s = &j->site;
	char text[256];

	put_str(o, "vm", j->vm_name);
	put_str(o, "driver", j->driver);
	put_str(o, "function", j->sym->name);
	put_hex(o, "offset", s->gva - j->sym->gva);
	put_hex(o, "address", s->gva);
	put_bytes(o, "old", s->bytes, s->len);
	put_str(o, "old_text", s->text);
	put_bytes(o, "new", new, s->len);
	site_disassemble(new, s->len, s->gva, text, sizeof(text));
	put_str(o, "new_text", text);
	put_hex(o, "target", j->target);
	chariot_vm__symbolize(j->vm, j->target, text, sizeof(text));
	put_str(o, "target_symbol", text);
	put_hex(o, "value", j->value & mask);
	put_u64(o, "width", width);
	return o;
}

/* ---- writing ------------------------------------------------------------ */

/* The one place that writes.  @old must be there, and read back as @new. */
static int replace(const struct inject *j, uint64_t gva, const uint8_t *old,
		   const uint8_t *new, size_t len)
{
	const struct chariot_section *sec = text_of(j, gva);
	uint8_t now[SITE_MAX];
	int err;

	if (!sec || !len || len >= SITE_MAX ||
	    len > sec->len - (gva - sec->gva))
		return fail("0x%llx is not in the text of %s",
			    (unsigned long long)gva, j->driver);
	err = chariot_space__read(j->s, gva, now, len);
	if (!err && memcmp(now, old, len))
		return fail("%s: there are other bytes at 0x%llx than expected: nothing was written",
			    j->driver, (unsigned long long)gva);
	if (!err)
		err = chariot_space__write(j->s, gva, new, len);
	if (!err)
		err = chariot_space__read(j->s, gva, now, len);
	if (!err && memcmp(now, new, len))
		err = -EIO;
	return err ? fail_lib(err, "%s: cannot write its text", j->driver) :
	       EXIT_OK;
}

/* ---- wild store --------------------------------------------------------- */

static bool pick_site(void *ctx, const struct site *s)
{
	struct inject *j = ctx;
	uint8_t bytes[SITE_MAX];
	int r = site_encode(s, j->target, j->value, j->width, bytes);

	j->seen++;
	/* --nth counts as --list does; without, the first that will do. */
	if (j->nth ? j->seen != j->nth : r < 0) {
		if (j->why_not != -ERANGE)
			j->why_not = r;
		return false;
	}
	j->why_not = r < 0 ? r : 0;
	j->site = *s;
	j->found = r >= 0;
	return true;
}

static int no_site(const struct inject *j)
{
	if (j->why_not == -ERANGE)
		return fail("0x%llx is not within reach: it takes a symbol of the kernel or of a driver, or an address in the top 2 GiB",
			    (unsigned long long)j->target);
	if (j->nth > j->seen)
		return fail("%s has %llu stores that are long enough, see: chariot inject %s %s --list",
			    j->sym->name, (unsigned long long)j->seen,
			    j->vm_name, j->driver);
	if (j->nth || j->width)
		return fail("%s: that store has no room for %llu bytes, see: chariot inject %s %s --list",
			    j->sym->name, (unsigned long long)j->width,
			    j->vm_name, j->driver);
	return fail("%s has no store that is long enough; these functions have one: chariot inject %s %s --list",
		    j->sym->name, j->vm_name, j->driver);
}

static int wild_store(struct inject *j, const struct chariot_symbol *sym)
{
	uint8_t new[SITE_MAX];
	struct json_object *o;
	int err, width, r = EXIT_OK;

	err = scan_function(j, sym, pick_site);
	if (err)
		return fail_lib(err, "%s: cannot read its text", sym->name);
	if (!j->found)
		return no_site(j);
	width = site_encode(&j->site, j->target, j->value, j->width, new);
	o = record(j, new, width);
	if (!j->dry_run)
		r = replace(j, j->site.gva, j->site.bytes, new, j->site.len);
	put_str(o, "state", j->dry_run ? "not written (dry run)" : "planted");
	if (!r)
		return out(o, show_record);
	json_object_put(o);
	return r;
}

/* ---- faults by type and seed -------------------------------------------- */

struct functions {
	struct fault_function *v;
	size_t nr;
};

static void free_functions(struct functions *fs)
{
	for (size_t i = 0; i < fs->nr; i++)
		free((void *)fs->v[i].code);
	free(fs->v);
}

/* Not of init: that memory is another's once init has returned. */
static bool is_live(const struct inject *j, const struct chariot_symbol *sym)
{
	const struct chariot_section *sec = text_of(j, sym->gva);

	return sym->func && sec && sec->kind == CHARIOT_RANGE_TEXT;
}

static int read_code(const struct inject *j, struct functions *fs)
{
	int err = 0;

	/* Free what was read only. */
	for (size_t i = 0, nr = fs->nr; i < nr && !err; i++) {
		uint8_t *code = malloc(fs->v[i].len);

		fs->v[i].code = code;
		fs->nr = i + 1;
		err = code ? chariot_space__read(j->s, fs->v[i].gva, code,
						 fs->v[i].len) : -ENOMEM;
	}
	return err;
}

/* All of the driver's, also when only one of them is asked for: the length of
 * one is up to the next. */
static int read_functions(const struct inject *j, struct functions *fs)
{
	const struct chariot_symbol *v;
	size_t nr;

	v = chariot_driver__symbols(j->d, &nr);
	fs->v = calloc(nr + 1, sizeof(*fs->v));
	if (!fs->v)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		if (is_live(j, &v[i]))
			fs->v[fs->nr++] = (struct fault_function){
				.name = v[i].name, .gva = v[i].gva,
				.len = function_size(j, &v[i]),
			};
	fs->nr = functions_sort(fs->v, fs->nr);
	return read_code(j, fs);
}

static const char *name_by_guest(void *ctx, uint64_t field, uint64_t target,
				 char *buf, size_t size)
{
	const struct inject *j = ctx;

	(void)field;
	chariot_vm__symbolize(j->vm, target, buf, size);
	return strchr(buf, '+') || !strncmp(buf, "0x", 2) ? NULL : buf;
}

/* The build-id's note has no symbol: look for it in all that is read-only. */
static void put_build_id(struct json_object *o, const struct inject *j)
{
	const struct chariot_section *sec;
	uint8_t *data;
	char id[64];
	size_t nr;

	sec = chariot_driver__sections(j->d, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(sec[i].name, "rodata") || sec[i].len > RODATA_MAX)
			continue;
		data = malloc(sec[i].len);
		if (data && !chariot_space__read(j->s, sec[i].gva, data,
						 sec[i].len) &&
		    build_id_find(data, sec[i].len, id, sizeof(id)))
			put_str(o, "build_id", id);
		free(data);
	}
}

static void put_fault(struct json_object *o, const struct inject *j,
		      const struct fault *f)
{
	put_u64(o, "seed", j->seed);
	put_str(o, "type", fault_type_name(f->type));
	put_str(o, "what", f->what);
	put_str(o, "function", f->function->name);
	put_hex(o, "offset", f->offset);
	put_bytes(o, "old", f->old, f->len);
	put_bytes(o, "new", f->new, f->len);
	put_str(o, "before", f->before);
	put_str(o, "after", f->after);
}

/* Those that @j->function names, which stay @d's. */
static int restrict_to(const struct inject *j, struct fault_driver *d)
{
	for (size_t i = 0; i < d->nr && j->function; i++)
		if (is_name(d->functions[i].name, j->function)) {
			d->functions += i;
			d->nr = 1;
			return EXIT_OK;
		}
	return j->function ? fail("%s has no function %s", j->driver,
				  j->function) : EXIT_OK;
}

static int pick_fault(const struct inject *j, const struct fault_driver *all,
		      struct fault *f)
{
	struct fault_driver d = *all;
	int err = restrict_to(j, &d);

	if (err)
		return err;
	err = fault_pick(&d, j->type, j->seed, f);
	if (err == -ENOENT)
		return fail("no instruction in %s%s%s fits type %s", j->driver,
			    j->function ? ": " : "",
			    j->function ? d.functions->name : "",
			    j->type_text);
	return err ? fail_lib(err, "%s", j->driver) : EXIT_OK;
}

static struct json_object *fault_record(const struct inject *j,
					const struct fault *f, uint64_t gva)
{
	struct json_object *o = json_map();

	put_str(o, "vm", j->vm_name);
	put_str(o, "driver", j->driver);
	if (!j->list)
		put_build_id(o, j);
	put_fault(o, j, f);
	put_hex(o, "address", gva);
	return o;
}

static int plant_fault(struct inject *j, const struct fault_driver *d)
{
	struct json_object *o;
	struct fault f;
	uint64_t gva;
	int r = pick_fault(j, d, &f);

	if (r)
		return r;
	gva = f.function->gva + f.offset;
	if (!j->dry_run)
		r = replace(j, gva, f.old, f.new, f.len);
	if (r)
		return r;
	o = fault_record(j, &f, gva);
	put_str(o, "state", j->dry_run ? "not written (dry run)" : "planted");
	return out(o, show_record);
}

/* Lists the fault of each seed but those whose type fits nothing in the driver. */
static int list_faults(struct inject *j, const struct fault_driver *all)
{
	struct json_object *list = json_list();
	struct fault_driver d = *all;
	struct fault f;
	int err = restrict_to(j, &d);

	for (; !err; j->seed++) {
		err = fault_pick(&d, j->type, j->seed, &f);
		if (!err)
			json_object_array_add(list,
				fault_record(j, &f, f.function->gva + f.offset));
		else if (err == -ENOENT)
			err = 0;
		else
			err = fail_lib(err, "%s", j->driver);
		/* No seed may be above the last. */
		if (j->seed == j->last_seed)
			break;
	}
	if (!err)
		return out(list, show_faults);
	json_object_put(list);
	return err;
}

static int fault_in_guest(struct inject *j)
{
	struct functions fs = {};
	struct fault_driver d = { .name = name_by_guest, .ctx = j };
	int r = read_functions(j, &fs);

	if (r) {
		r = fail_lib(r, "%s: cannot read its text", j->driver);
	} else {
		d.functions = fs.v;
		d.nr = fs.nr;
		j->list = j->last_seed > j->seed;
		r = j->list ? list_faults(j, &d) : plant_fault(j, &d);
	}
	free_functions(&fs);
	return r;
}

static int fault_in_file(struct inject *j)
{
	struct ko *ko = ko_open(j->file);
	struct json_object *o;
	const void *data;
	struct fault f;
	char id[64];
	size_t len;
	int r;

	if (!ko)
		return fail_lib(errno, "%s", j->file);
	j->driver = chariot_driver__name(ko_driver(ko));
	r = pick_fault(j, ko_functions(ko), &f);
	if (!r) {
		o = json_map();
		put_str(o, "driver", j->driver);
		data = chariot_driver__file(ko_driver(ko), &len);
		if (build_id_find(data, len, id, sizeof(id)))
			put_str(o, "build_id", id);
		put_fault(o, j, &f);
		put_str(o, "state", "not written (file)");
		r = out(o, show_record);
	}
	ko_close(ko);
	return r;
}

/* ---- undo --------------------------------------------------------------- */

static size_t parse_bytes(const char *text, uint8_t *bytes, size_t max)
{
	unsigned int v;
	size_t nr = 0;
	int used;

	for (; nr < max && sscanf(text, " %2x%n", &v, &used) == 1; nr++) {
		bytes[nr] = v;
		text += used;
	}
	return *text ? 0 : nr;
}

/* A driver may have several functions of that name: find the one that has @new there. */
static const struct chariot_symbol *
find_changed(const struct inject *j, const char *name, uint64_t offset,
	     const uint8_t *new, size_t len)
{
	const struct chariot_symbol *v;
	uint8_t now[SITE_MAX];
	size_t nr;

	v = chariot_driver__symbols(j->d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (v[i].func && !strcmp(v[i].name, name) &&
		    text_of(j, v[i].gva) && offset < function_size(j, &v[i]) &&
		    !chariot_space__read(j->s, v[i].gva + offset, now, len) &&
		    !memcmp(now, new, len))
			return &v[i];
	return NULL;
}

static int undo(struct inject *j, struct json_object *rec)
{
	uint8_t old[SITE_MAX], new[SITE_MAX], now[SITE_MAX];
	size_t len = parse_bytes(get_str(rec, "old"), old, sizeof(old));
	const char *name = get_str(rec, "function");
	const struct chariot_symbol *sym = NULL;
	uint64_t offset, gva;
	int r;

	if (len && parse_u64(get_str(rec, "offset"), &offset) &&
	    parse_bytes(get_str(rec, "new"), new, sizeof(new)) == len)
		sym = find_changed(j, name, offset, new, len) ?:
		      find_function(j, name);
	if (!sym || offset >= function_size(j, sym))
		return fail("%s: the record does not fit %s", j->undo,
			    j->driver);
	gva = sym->gva + offset;
	if (!chariot_space__read(j->s, gva, now, len) &&
	    !memcmp(now, old, len))
		return fail("%s: the old bytes are there already", j->undo);
	r = j->dry_run ? EXIT_OK : replace(j, gva, new, old, len);
	if (r)
		return r;
	put_hex(rec, "address", gva);
	put_str(rec, "state", j->dry_run ? "not written (dry run)" : "undone");
	return out(json_object_get(rec), show_record);
}

static int read_record(struct inject *j, struct json_object **rec)
{
	struct json_object *o;

	o = strcmp(j->undo, "-") ? json_object_from_file(j->undo) :
				   json_object_from_fd(0);
	if (!json_object_is_type(o, json_type_object) ||
	    !*get_str(o, "driver")) {
		json_object_put(o);
		return fail("%s is no record of chariot -j inject", j->undo);
	}
	*rec = o;
	return EXIT_OK;
}

/* ---- command line ------------------------------------------------------- */

static int open_driver(struct inject *j)
{
	uint64_t module;

	j->vm = vm_open_kernel(j->vm_name, &j->p);
	if (!j->vm)
		return EXIT_FAIL;
	j->s = chariot_vm__space(j->vm);
	module = chariot_driver__find(j->p, j->s, j->driver);
	if (!module)
		return errno == ENOENT ?
		       fail("the guest has not loaded %s, see: chariot guest modules %s",
			    j->driver, j->vm_name) :
		       fail_lib(errno, "%s", j->driver);
	j->d = chariot_driver__from_guest(j->p, j->s, module);
	return j->d ? EXIT_OK : fail_lib(errno, "%s", j->driver);
}

static int find_target(struct inject *j)
{
	j->target = target_find(j->p, j->d, j->target_text);
	if (!j->target)
		return fail("--wild-store: this kernel has no %s",
			    j->target_text);
	if (j->target < KERNEL_HALF)
		return fail("--wild-store: 0x%llx is no address of the kernel",
			    (unsigned long long)j->target);
	return EXIT_OK;
}

static int act_on_driver(struct inject *j)
{
	const struct chariot_symbol *sym = NULL;

	if (j->function)
		sym = find_function(j, j->function);
	if (j->function && !sym)
		return fail("%s has no function %s", j->driver, j->function);
	if (j->list)
		return list(j, sym);
	return find_target(j) ?: wild_store(j, sym);
}

static int act_in_guest(struct inject *j, struct json_object *rec)
{
	if (rec)
		return undo(j, rec);
	return j->type_text ? fault_in_guest(j) : act_on_driver(j);
}

static int run(struct inject *j)
{
	struct json_object *rec = NULL;
	int r = j->undo ? read_record(j, &rec) : EXIT_OK;

	if (rec && !j->driver)
		j->driver = get_str(rec, "driver");
	if (!r)
		r = open_driver(j);
	if (!r)
		r = act_in_guest(j, rec);
	chariot_driver__free(j->d);
	chariot_vm__free(j->vm);
	json_object_put(rec);
	return r;
}

static bool parse_seeds(struct inject *j)
{
	const char *text = j->seed_text, *rest = text + strcspn(text, "-");
	char first[NUMBER_MAX];

	if (rest - text >= NUMBER_MAX)
		return false;
	memcpy(first, text, rest - text);
	first[rest - text] = '\0';
	if (!parse_u64(first, &j->seed))
		return false;
	j->last_seed = j->seed;
	return !*rest || (parse_u64(rest + 1, &j->last_seed) &&
			  j->last_seed >= j->seed);
}

static int check_fault(struct inject *j, int argc)
{
	if (j->list || j->target_text || j->undo || j->width || j->nth)
		return usage("--type goes with --seed, --function, --file and --dry-run only");
	j->type = fault_type_by_name(j->type_text);
	if (j->type < 0)
		return usage("--type: \"%s\" is no type of fault, see: chariot inject help",
			     j->type_text);
	if (!j->seed_text)
		return usage("--type needs --seed");
	if (!parse_seeds(j))
		return usage("--seed: \"%s\" is neither N nor N-M",
			     j->seed_text);
	if (j->last_seed > j->seed && (!j->dry_run || j->file))
		return usage("--seed N-M goes with --dry-run, and not with --file");
	if (j->file)
		return argc ? usage("--file goes without VM and DRIVER") :
			      EXIT_OK;
	return argc < 2 ? usage("no DRIVER given") : EXIT_OK;
}

static int check_usage(struct inject *j, int argc)
{
	if (!argc && !j->file)
		return usage("too few arguments");
	if (j->type_text)
		return check_fault(j, argc);
	if (j->file || j->seed_text)
		return usage("--seed and --file go with --type");
	if (j->width && j->width != 1 && j->width != 2 && j->width != 4)
		return usage("--width is 1, 2 or 4");
	if (j->undo)
		return j->list || j->function || j->target_text ?
		       usage("--undo goes with --dry-run only") : EXIT_OK;
	if (argc < 2)
		return usage("no DRIVER given");
	if (j->list)
		return j->target_text ?
		       usage("--list and --wild-store exclude each other") :
		       EXIT_OK;
	if (!j->function || !j->target_text)
		return usage("--function and --wild-store are needed, or --list, or --undo");
	return EXIT_OK;
}

static int run_inject(int argc, char **argv)
{
	struct inject j = { .value = DEFAULT_VALUE };
	const struct option_def options[] = {
		{ "function", OPT_STRING, &j.function },
		{ "wild-store", OPT_STRING, &j.target_text },
		{ "value", OPT_U64, &j.value },
		{ "width", OPT_U64, &j.width },
		{ "nth", OPT_U64, &j.nth },
		{ "dry-run", OPT_FLAG, &j.dry_run },
		{ "list", OPT_FLAG, &j.list },
		{ "undo", OPT_STRING, &j.undo },
		{ "type", OPT_STRING, &j.type_text },
		{ "seed", OPT_STRING, &j.seed_text },
		{ "file", OPT_STRING, &j.file },
		{},
	};
	int r = parse_args(&argc, argv, options, 0, 2);

	if (r)
		return r;
	r = check_usage(&j, argc);
	if (r)
		return r;
	if (j.file)
		return fault_in_file(&j);
	j.vm_name = argv[0];
	j.driver = argc > 1 ? argv[1] : NULL;
	return run(&j);
}

static const struct command commands[] = {
	{ NULL, "VM DRIVER --function F --wild-store TARGET [--value N]\n"
	  "                      [--width 1|2|4] [--nth N] [--dry-run]",
	  run_inject },
	{ NULL, "VM DRIVER --type TYPE --seed N [--function F] [--dry-run]",
	  run_inject },
	{ NULL, "VM DRIVER --type TYPE --seed N-M [--function F] --dry-run",
	  run_inject },
	{ NULL, "--file DRIVER.ko --type TYPE --seed N [--function F]",
	  run_inject },
	{ NULL, "VM DRIVER --list [--function F]", run_inject },
	{ NULL, "VM [DRIVER] --undo RECORD [--dry-run]", run_inject },
	{},
};

const struct object inject_object = {
	.name = "inject", .summary = "plant a fault in a driver of the guest",
	.options =
"  --function F         in this function of the driver\n"
"  --wild-store TARGET  a store goes to TARGET instead: an address, or\n"
"                       SYMBOL[:TYPE][.MEMBER...][+OFFSET]\n"
"  --value N            what is stored (0x41414141)\n"
"  --width 1|2|4        bytes stored (as many as the instruction has room for)\n"
"  --nth N              the function's Nth store as --list counts them\n"
"  --type TYPE          a fault of that type: source, destination, pointer,\n"
"                       interface, branch, loop, text, nop, init, irq, free,\n"
"                       free-early, alloc, overrun, off-by-one, lock, or random\n"
"  --seed N             which one; the same N is the same fault; N-M: a list\n"
"  --file DRIVER.ko     only show what it would be in this file\n"
"  --dry-run            find and print, write nothing\n"
"  --list               the stores that will do\n"
"  --undo RECORD        put back the old bytes; RECORD is a file with what\n"
"                       chariot -j inject printed, - is standard input\n",
	.commands = commands,
};
