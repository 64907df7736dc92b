/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libchariot share and no program sees.
 */
#ifndef CHARIOT_INTERNAL_H
#define CHARIOT_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "chariot.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- log.c -------------------------------------------------------------- */

/* One line, no \n; thread-safe; errno is left as it was. */
void chariot_log(enum chariot_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_err(...)	chariot_log(CHARIOT_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	chariot_log(CHARIOT_LOG_WARN, __VA_ARGS__)
#define log_info(...)	chariot_log(CHARIOT_LOG_INFO, __VA_ARGS__)
#define log_debug(...)	chariot_log(CHARIOT_LOG_DEBUG, __VA_ARGS__)

/* Set errno, return NULL: for functions that return a pointer. */
static inline void *err_null(int err)
{
	errno = err < 0 ? -err : err;
	return NULL;
}

/* ---- text.c ------------------------------------------------------------- */

/* Of @len bytes what is neither printable ASCII nor NUL becomes '?'. */
void text_make_printable(char *text, size_t len);
/* A driver's name as the kernel has it: with '_'.  @dst has room for @len + 1. */
void text_fold(char *dst, const char *src, size_t len);

/* ---- space.c ------------------------------------------------------------ */

/* Addresses of the kernel's, with 48 bits as with 57. */
#define KERNEL_HALF	0xffff800000000000ULL	/* of what it links to: text, modules */
#define KERNEL_MIN	0xff00000000000000ULL	/* of all of it */

/* Page tables */
#define PTE_PRESENT	(1ULL << 0)
#define PTE_LARGE	(1ULL << 7)
#define PTE_ADDR	0x000ffffffffff000ULL
#define PTES		512

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(uint64_t)(PAGE_SIZE - 1))

/* Read a NUL-terminated string of at most @size - 1 bytes, cut when longer, and
 * made printable. */
int space_read_str(const struct chariot_space *s, uint64_t gva, char *buf,
		   size_t size);

/* Read an unsigned of @len (1, 2, 4, 8) bytes. */
int space_read_uint(const struct chariot_space *s, uint64_t gva, size_t len,
		    uint64_t *value);

/*
 * A walk over the mappings of [start, end): @fn is called by rising address
 * for each present leaf, with its piece of the range; not 0 ends the walk and
 * is returned.  Unmapped parts cost nothing.
 */
typedef int (*space_leaf_fn)(void *ctx, uint64_t gva, uint64_t gpa,
			     uint64_t len);
int space_walk(const struct chariot_space *s, uint64_t start, uint64_t end,
	       space_leaf_fn fn, void *ctx);

/* Is the page at @gpa one of the tables of the kernel's half of it?  1, 0, -E2BIG:
 * there are too many. */
int space_has_table(const struct chariot_space *s, uint64_t gpa);

/* ---- image.c: the kernel's bytes, whichever source they came from -------- */

/*
 * [base, base + len) as the kernel has it mapped; what was not mapped reads as
 * zeroes.
 */
struct image {
	uint64_t base;
	size_t len;
	uint8_t *data;
};

int image_from_guest(struct image *img, const struct chariot_space *s,
		     uint64_t lstar);
int image_from_file(struct image *img, const char *path);
void image_free(struct image *img);

/* The bytes of [addr, addr + len), NULL when they are not all inside. */
const void *image_at(const struct image *img, uint64_t addr, size_t len);

/* Whole file, decompressed by its magic (xz, zstd, gzip, or plain). */
int file_read(const char *path, uint8_t **data, size_t *len);
int file_read_unpacked(const char *path, uint8_t **data, size_t *len);
/* Decompress @len bytes at @src; trailing bytes are ignored. */
int unpack(const uint8_t *src, size_t len, uint8_t **data, size_t *out_len);

/* Of tables by hash: so many steps for each slot of them, in all. */
#define PROBES_MAX	8

/* ---- kallsyms.c: the symbol tables in a kernel image --------------------- */

struct ksym {
	uint64_t addr;
	uint32_t name;		/* offset in ksyms.names */
	char type;		/* as nm(1) */
};

struct ksyms {
	struct ksym *syms;	/* by address */
	size_t nr;
	char *names;		/* NUL-terminated, one behind the other */
	size_t names_len;
	uint32_t *hash;		/* index in syms + 1; 0: empty */
	size_t hash_size;	/* a power of 2 */
};

int ksyms_find(struct ksyms *k, const struct image *img);
void ksyms_free(struct ksyms *k);
/* First symbol of that name by address, or NULL. */
const struct ksym *ksyms_by_name(const struct ksyms *k, const char *name);
/* Index of the last symbol at or below @addr, -1: none. */
ssize_t ksyms_below(const struct ksyms *k, uint64_t addr);
static inline const char *ksyms_name(const struct ksyms *k,
				     const struct ksym *sym)
{
	return k->names + sym->name;
}

/* ---- btf.c: libbpf's BTF, checked and with an index of names -------------- */

struct btf;

/*
 * Copy and check BTF; @base or NULL.  After that every name, type id and
 * length in it is good, whoever wrote it.  NULL with errno.
 */
struct btf *btf_new_checked(const void *data, size_t len, struct btf *base);
/* Bytes of header, types and strings, 0 when there is no sane header. */
size_t btf_total_len(const void *data, size_t max);

/*
 * The first good BTF of a kernel's size in [data, data + len), which a guest may have
 * filled with what looks like it: tries and bytes are bounded.  NULL: -E2BIG in errno
 * when that was the end of it, else ENOENT.
 */
struct btf *btf_search(const uint8_t *data, size_t len);

struct btf_names {
	const struct btf *btf;
	uint32_t *hash;		/* type id; 0: empty */
	size_t hash_size;
};

int btf_names_init(struct btf_names *n, const struct btf *btf);
void btf_names_free(struct btf_names *n);
/* Type id by name and BTF_KIND_*, -ENOENT. */
int32_t btf_names_find(const struct btf_names *n, const char *name,
		       uint32_t kind);
/* A struct or a union, also through a typedef, -ENOENT. */
int32_t btf_names_find_aggregate(const struct btf_names *n, const char *name);
/*
 * Byte offset of a member by dotted path with [index]es in struct or union
 * @id; *@size and the type *@member_id may be left out.  Size 0: a bit field
 * that fills no whole bytes.
 */
int64_t btf_member_path(const struct btf *btf, uint32_t id, const char *path,
			uint64_t *size, uint32_t *member_id);
/* The same in bits: also of a bit field.  *@bits: how many. */
int btf_member_bits(const struct btf *btf, uint32_t id, const char *path,
		    uint64_t *bit, uint64_t *bits);
struct btf_type;
/*
 * The type behind typedefs and qualifiers, and its id; *@is_const (or NULL) is set if
 * const was one of them.  NULL: there is no end to them.
 */
const struct btf_type *btf_strip(const struct btf *btf, uint32_t *id,
				 bool *is_const);
/* Is that what the type is called, or a typedef on the way to it?  0 is "void". */
bool btf_is_named(const struct btf *btf, uint32_t id, const char *name);
int btf_enumerator(const struct btf *btf, uint32_t id, const char *name,
		   int64_t *value);

/* ---- profile.c ---------------------------------------------------------- */

#define TEXT_MAX	(256UL << 20)	/* bytes of the kernel's text */

/* Symbol @idx by address, for walking over all of them: 0, or -ENOENT. */
int profile_symbol_at(const struct chariot_profile *p, size_t idx,
		      const char **name, uint64_t *addr, char *type);
/* Index of the last symbol at or below @addr, wherever that is; of several at one
 * place the first.  -1: none. */
ssize_t profile_symbol_below(const struct chariot_profile *p, uint64_t addr);
/* Of a member as chariot_profile__member(): where its bits are; also of a bit field. */
int profile_member_bits(const struct chariot_profile *p, const char *type,
			const char *path, uint64_t *bit, uint64_t *bits);
/* The struct or union of that name, also by a typedef, or -ENOENT. */
int32_t profile_aggregate(const struct chariot_profile *p, const char *name);
/* The kernel's BTF as a base for a driver's. */
struct btf *profile_btf(const struct chariot_profile *p);
/* Type id by name and BTF_KIND_*, from a hash: libbpf's own search is slow. */
int32_t profile_type_id(const struct chariot_profile *p, const char *name,
			uint32_t kind);
/*
 * Member as chariot_profile__member(), read from a guest object at @gva as an
 * unsigned of the member's size (1, 2, 4, 8).
 */
int profile_read_member(const struct chariot_profile *p,
			const struct chariot_space *s, const char *type,
			uint64_t gva, const char *path, uint64_t *value);
/* The kernel's bytes, of a profile that was made from a file; -EFAULT. */
int profile_read(const struct chariot_profile *p, uint64_t gva, void *buf,
		 size_t len);
/* First of @names (NULL-terminated) that is a kernel symbol, else 0. */
uint64_t profile_symbol_any(const struct chariot_profile *p,
			    const char *const *names);

/* Does anything on the page at @page call or jump to @addr?  Sets *@err. */
bool profile_called_on(const struct chariot_space *s, uint64_t page, uint64_t addr, int *err);
/* Where the module can stop a guest that calls @function; 0 with errno: ENOENT,
 * EFAULT, ENOEXEC when it is called from its own page. */
uint64_t profile_point(const struct chariot_profile *p,
		       const struct chariot_space *s, const char *function);

/* ---- recover.c ---------------------------------------------------------- */

struct stmt;

/* What is done when a driver has failed. */
struct recover {
	struct chariot_recover r;
	const struct chariot_policy *policy;
	struct chariot_stand_in stand_ins[15 + 1];	/* one is scratch */
	const struct stmt *stand_in_of[15];
	int nr_stand_ins;
	struct chariot_lock *locks;
};
struct chariot_driver;
/* Which stand-ins there are in this kernel: recover_flags() numbers them. */
void recover_begin(struct recover *out, const struct chariot_policy *policy,
		   const struct chariot_profile *p);
int recover_build(struct recover *out, const struct chariot_profile *p,
		  const struct chariot_space *s,
		  const struct chariot_driver *d);
void recover_free(struct recover *r);
/* CHARIOT_GATE_* of the entry @name with this prototype; NULL: not known. */
uint16_t recover_flags(const struct recover *r, const struct btf *btf,
		       const struct btf_type *proto, const char *name);
/* One that is loaded. */
struct recover_module {
	const char *name;	/* of the driver */
	const char *modules;	/* all that are to be loaded anew: "name", "name other" */
	uint64_t module;	/* gva of its struct module */
	unsigned int slot;	/* where what is for it is */
	bool several;		/* the driver is: the others use one that is held */
	bool restart;
	bool unbind;		/* before that, if it has to be */
};
/*
 * Unused kernel text, of which a few bytes become the trap and the slot's part holds
 * the arguments of the command that loads the driver anew.  Fills in trap and, with
 * restart, restart and replace.  -ENOSPC: there is none.
 */
int recover_prepare(struct chariot_recover *r, const struct chariot_profile *p,
		    const struct chariot_space *s,
		    const struct recover_module *m);
/* Take it out again: only if it was never used, else the guest may yet come there. */
void recover_undo(const struct chariot_profile *p, const struct chariot_space *s);

/* ---- depend.c ----------------------------------------------------------- */

/*
 * Modules that @module depends on, and that none but it and other ones of these
 * depends on: gvas of their struct module, those that it depends on itself first.
 * Their number, at most @max, or -errno.
 */
int driver_depends(const struct chariot_profile *p, const struct chariot_space *s,
		   uint64_t module, uint64_t *deps, size_t max);

/* ---- driver.c ----------------------------------------------------------- */

struct symbols {
	struct chariot_symbol *v;
	size_t nr, room;
};

#define NOTE_ID_MAX	20		/* bytes of a build-id: SHA-1 */

struct chariot_driver {
	char name[CHARIOT_NAME_LEN];
	char build_id[2 * NOTE_ID_MAX + 1];	/* hex, "": none */
	uint64_t init, exit;
	struct chariot_section *sections;
	size_t nr_sections;
	struct symbols symbols, imports;
	struct btf *btf;
	char *strings;			/* names of symbols */
	char *section_strings;		/* names of sections of a file */
	uint64_t percpu, percpu_size;	/* as symbols have it */
	void *raw_btf;			/* of a file */
	size_t raw_btf_len;
	uint8_t *file;			/* unpacked */
	size_t file_len;
};

/* Its name as it is in the struct module at @module. */
/* Has its init returned, and it is not being unloaded? */
bool driver_is_live(const struct chariot_profile *p, const struct chariot_space *s,
		    uint64_t module);
int driver_read_name(const struct chariot_profile *p,
		     const struct chariot_space *s, uint64_t module,
		     char name[CHARIOT_NAME_LEN]);
/* The import of that name, or NULL. */
const struct chariot_symbol *driver_import(const struct chariot_driver *d,
					   const char *name);
/* Of the kernel, or what the driver's import of that name resolved to; 0: neither. */
uint64_t driver_address_of(const struct chariot_driver *d,
			   const struct chariot_profile *p, const char *name);
/* gva of the struct module that has @gva in its text, or 0. */
uint64_t driver_module_at(const struct chariot_profile *p,
			  const struct chariot_space *s, uint64_t gva);
/* The build-id in the first note of @data that has one; false: there is none. */
bool driver_note(struct chariot_driver *d, const uint8_t *data, size_t len);
int driver_add_section(struct chariot_driver *d, uint64_t gva, uint64_t len,
		       uint32_t kind, const char *name);
int driver_add_symbol(struct symbols *syms, const char *name, uint64_t gva,
		      uint64_t size, bool func);
/* Sort what was added. */
void driver_finish(struct chariot_driver *d);

#endif
