// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * BTF that comes from a guest: checked before anyone walks it, and indexed by
 * name.
 *
 * libbpf checks the frame (header, sections, that each type lies inside), not
 * what the types say: ids and names that do not exist, typedefs that lead
 * back to themselves.  These are checked here once, so that all other code
 * may follow ids without a thought.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define BTF_LEN_MAX	(64UL << 20)
#define KERNEL_LEN_MIN	65536	/* less is a table of magics */
/* What is looked closer at, in a search. */
#define TRIES_MAX	16
#define TRIED_MAX	(2 * BTF_LEN_MAX)
#define NAME_MAX_LEN	512		/* KSYM_NAME_LEN */
#define MOD_DEPTH	32	/* as deep as libbpf follows */
#define ANON_STEPS	100000	/* members looked at for one name */

/* ---- making ---------------------------------------------------------------- */

size_t btf_total_len(const void *data, size_t max)
{
	struct btf_header h;
	uint64_t end;

	if (max < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.flags ||
	    h.hdr_len != sizeof(h) || h.type_off || h.type_len & 3 ||
	    h.str_off != h.type_len || !h.str_len)
		return 0;
	end = (uint64_t)h.hdr_len + h.str_off + h.str_len;
	return end > max || end > BTF_LEN_MAX ? 0 : end;
}

static int print_to_log(enum libbpf_print_level level, const char *fmt,
			va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	chariot_log(CHARIOT_LOG_DEBUG, "%s", text);
	return 0;
}

/*
 * libbpf has btf__new_split(), but up to 1.4 does not export it.  What it
 * exports reads a file.
 */
static struct btf *new_split(const void *data, size_t len, struct btf *base)
{
	int fd = memfd_create("chariot-btf", MFD_CLOEXEC), err;
	struct btf *btf = NULL;
	char path[32];

	if (fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, data, len) == (ssize_t)len)
		btf = btf__parse_raw_split(path, base);
	err = errno;
	close(fd);
	errno = err;
	return btf;
}

/* libbpf would print to the program's stderr. */
static struct btf *new_quietly(const void *data, size_t len, struct btf *base)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	libbpf_print_fn_t old;
	struct btf *btf;
	int err;

	pthread_mutex_lock(&lock);
	old = libbpf_set_print(print_to_log);
	btf = base ? new_split(data, len, base) : btf__new(data, len);
	err = errno;
	libbpf_set_print(old);
	pthread_mutex_unlock(&lock);
	errno = err;
	return btf;
}

/* ---- checking -------------------------------------------------------------- */

static bool good_id(const struct btf *btf, uint32_t id)
{
	return id < btf__type_cnt(btf);
}

/* All strings of BTF with a sane header: none is too long, all are printable. */
static bool good_strings(const uint8_t *data)
{
	const char *str, *end;
	struct btf_header h;
	size_t run = 0;

	memcpy(&h, data, sizeof(h));
	str = (const char *)data + h.hdr_len + h.str_off;
	for (end = str + h.str_len; str < end; str++) {
		run = *str ? run + 1 : 0;
		if (run >= NAME_MAX_LEN || (*str && (*str < ' ' || *str > '~')))
			return false;
	}
	return true;
}

static bool good_name(const struct btf *btf, uint32_t off)
{
	return btf__str_by_offset(btf, off) != NULL;
}

static bool good_members(const struct btf *btf, const struct btf_type *t)
{
	const struct btf_member *m = btf_members(t);
	int i;

	for (i = 0; i < btf_vlen(t); i++)
		if (!good_name(btf, m[i].name_off) || !good_id(btf, m[i].type))
			return false;
	return true;
}

static bool good_enum(const struct btf *btf, const struct btf_type *t)
{
	int i;

	for (i = 0; i < btf_vlen(t); i++) {
		uint32_t name = btf_is_enum(t) ? btf_enum(t)[i].name_off :
						 btf_enum64(t)[i].name_off;

		if (!good_name(btf, name))
			return false;
	}
	return true;
}

static bool good_params(const struct btf *btf, const struct btf_type *t)
{
	const struct btf_param *p = btf_params(t);
	int i;

	for (i = 0; i < btf_vlen(t); i++)
		if (!good_name(btf, p[i].name_off) || !good_id(btf, p[i].type))
			return false;
	return good_id(btf, t->type);
}

static bool good_datasec(const struct btf *btf, const struct btf_type *t)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(t);
	int i;

	for (i = 0; i < btf_vlen(t); i++)
		if (!good_id(btf, v[i].type))
			return false;
	return true;
}

/* Whoever strips typedefs and qualifiers comes to an end. */
static bool good_chain(const struct btf *btf, const struct btf_type *t)
{
	int depth;

	for (depth = 0; btf_is_mod(t) || btf_is_typedef(t); depth++) {
		if (depth == MOD_DEPTH || !good_id(btf, t->type))
			return false;
		t = btf__type_by_id(btf, t->type);
	}
	return true;
}

static bool good_func(const struct btf *btf, const struct btf_type *t)
{
	return good_id(btf, t->type) &&
	       btf_is_func_proto(btf__type_by_id(btf, t->type));
}

static bool good_type(const struct btf *btf, const struct btf_type *t)
{
	if (!good_name(btf, t->name_off))
		return false;
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_FWD:
	case BTF_KIND_FLOAT:
		return true;
	case BTF_KIND_PTR:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return good_id(btf, t->type);
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return good_chain(btf, t);
	case BTF_KIND_ARRAY:
		return good_id(btf, btf_array(t)->type) &&
		       good_id(btf, btf_array(t)->index_type);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return good_members(btf, t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return good_enum(btf, t);
	case BTF_KIND_FUNC:
		return good_func(btf, t);
	case BTF_KIND_FUNC_PROTO:
		return good_params(btf, t);
	case BTF_KIND_DATASEC:
		return good_datasec(btf, t);
	}
	return false;
}

struct btf *btf_new_checked(const void *data, size_t len, struct btf *base)
{
	size_t total = btf_total_len(data, len);
	struct btf *btf;
	uint32_t id;

	if (!total)
		return err_null(EBADMSG);
	if (!good_strings(data)) {
		log_warn("btf: a name is too long, or not printable");
		return err_null(EBADMSG);
	}
	btf = new_quietly(data, total, base);
	if (!btf)
		return NULL;
	btf__set_pointer_size(btf, 8);
	id = base ? btf__type_cnt(base) : 1;
	for (; id < btf__type_cnt(btf); id++)
		if (!good_type(btf, btf__type_by_id(btf, id))) {
			log_warn("btf: type %u is bad", id);
			btf__free(btf);
			return err_null(EBADMSG);
		}
	return btf;
}

struct btf *btf_search(const uint8_t *data, size_t len)
{
	static const uint8_t magic[] = { 0x9f, 0xeb, 0x01, 0x00 };
	const uint8_t *pos = data, *end = data + len;
	unsigned int tries = 0;
	size_t tried = 0, n;
	struct btf *btf;

	for (; (pos = memmem(pos, end - pos, magic, sizeof(magic))); pos++) {
		n = btf_total_len(pos, end - pos);
		if (n <= KERNEL_LEN_MIN)
			continue;
		tried += n;
		if (++tries > TRIES_MAX || tried > TRIED_MAX)
			return err_null(E2BIG);
		btf = btf_new_checked(pos, n, NULL);
		if (btf)
			return btf;
	}
	return err_null(ENOENT);
}

/* ---- by name --------------------------------------------------------------- */

static uint32_t hash_type(const char *name, uint32_t kind)
{
	uint32_t h = 2166136261u ^ kind;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

static bool is_type(const struct btf *btf, uint32_t id, const char *name,
		    uint32_t kind)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	return btf_kind(t) == kind &&
	       !strcmp(btf__str_by_offset(btf, t->name_off), name);
}

int btf_names_init(struct btf_names *n, const struct btf *btf)
{
	uint32_t id, cnt = btf__type_cnt(btf);
	size_t probes = 0;

	n->btf = btf;
	for (n->hash_size = 1024; n->hash_size < 2 * (size_t)cnt; )
		n->hash_size *= 2;
	n->hash = calloc(n->hash_size, sizeof(*n->hash));
	if (!n->hash)
		return -ENOMEM;
	for (id = 1; id < cnt; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf__str_by_offset(btf, t->name_off);
		size_t slot;

		if (!*name)
			continue;
		slot = hash_type(name, btf_kind(t));
		/* First come first served: of types with one name, the first. */
		while (n->hash[slot & (n->hash_size - 1)] &&
		       !is_type(btf, n->hash[slot & (n->hash_size - 1)], name,
				btf_kind(t))) {
			slot++;
			if (++probes > PROBES_MAX * n->hash_size)
				return -E2BIG;
		}
		if (!n->hash[slot & (n->hash_size - 1)])
			n->hash[slot & (n->hash_size - 1)] = id;
	}
	return 0;
}

void btf_names_free(struct btf_names *n)
{
	free(n->hash);
	memset(n, 0, sizeof(*n));
}

int32_t btf_names_find(const struct btf_names *n, const char *name,
		       uint32_t kind)
{
	size_t slot = name ? hash_type(name, kind) : 0;
	uint32_t id;

	if (!name)
		return -ENOENT;
	for (; (id = n->hash[slot & (n->hash_size - 1)]); slot++)
		if (is_type(n->btf, id, name, kind))
			return id;
	return -ENOENT;
}

const struct btf_type *btf_strip(const struct btf *btf, uint32_t *id,
				 bool *is_const)
{
	const struct btf_type *t = btf__type_by_id(btf, *id);

	for (int i = 0; t && i < 32; i++) {
		if (!btf_is_mod(t) && !btf_is_typedef(t))
			return t;
		if (btf_is_const(t) && is_const)
			*is_const = true;
		*id = t->type;
		t = btf__type_by_id(btf, *id);
	}
	return NULL;
}

static uint32_t bare(const struct btf *btf, uint32_t id)
{
	btf_strip(btf, &id, NULL);
	return id;
}

bool btf_is_named(const struct btf *btf, uint32_t id, const char *name)
{
	const struct btf_type *t;
	const char *n;

	for (int i = 0; id && i < 32; i++) {
		t = btf__type_by_id(btf, id);
		n = t ? btf__name_by_offset(btf, t->name_off) : NULL;
		if (n && !strcmp(n, name))
			return true;
		if (!t || (!btf_is_mod(t) && !btf_is_typedef(t)))
			return false;
		id = t->type;
	}
	return !id && !strcmp(name, "void");
}

int32_t btf_names_find_aggregate(const struct btf_names *n, const char *name)
{
	int32_t id = btf_names_find(n, name, BTF_KIND_STRUCT);

	if (id < 0)
		id = btf_names_find(n, name, BTF_KIND_UNION);
	if (id < 0) {
		id = btf_names_find(n, name, BTF_KIND_TYPEDEF);
		if (id < 0)
			return id;
		btf_strip(n->btf, (uint32_t *)&id, NULL);
	}
	return btf_is_composite(btf__type_by_id(n->btf, id)) ? id : -ENOENT;
}

int btf_enumerator(const struct btf *btf, uint32_t id, const char *name,
		   int64_t *value)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	int i;

	for (i = 0; name && i < btf_vlen(t); i++) {
		bool small = btf_is_enum(t);
		uint32_t off = small ? btf_enum(t)[i].name_off :
				       btf_enum64(t)[i].name_off;

		if (strcmp(btf__str_by_offset(btf, off), name))
			continue;
		if (!small)
			*value = btf_enum64_value(&btf_enum64(t)[i]);
		else if (btf_kflag(t))
			*value = btf_enum(t)[i].val;
		else
			*value = (uint32_t)btf_enum(t)[i].val;
		return 0;
	}
	return -ENOENT;
}

/* ---- members --------------------------------------------------------------- */

struct found {
	uint64_t bit_off;	/* from the start of the outermost type */
	uint32_t bits;		/* of a bit field; 0: none */
	uint32_t type;
};

/* Member [name, name + len) of @id, also inside of its anonymous members. */
static bool find_member(const struct btf *btf, uint32_t id, const char *name,
			size_t len, int depth, unsigned int *steps,
			struct found *f)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	const struct btf_member *m = btf_members(t);
	int i;

	if (!btf_is_composite(t) || depth > MOD_DEPTH)
		return false;
	for (i = 0; i < btf_vlen(t); i++) {
		const char *s = btf__str_by_offset(btf, m[i].name_off);
		uint64_t off = f->bit_off;

		if (++*steps > ANON_STEPS)
			return false;
		f->bit_off += btf_member_bit_offset(t, i);
		if (!strncmp(s, name, len) && !s[len] && len) {
			f->bits = btf_member_bitfield_size(t, i);
			f->type = m[i].type;
			return true;
		}
		if (!*s && find_member(btf, bare(btf, m[i].type), name, len,
				       depth + 1, steps, f))
			return true;
		f->bit_off = off;
	}
	return false;
}

/* "[12]" at *@path: the element's type.  *@path goes behind it. */
static int apply_index(const struct btf *btf, const char **path,
		       struct found *f)
{
	const struct btf_type *t = btf__type_by_id(btf, bare(btf, f->type));
	unsigned long idx;
	int64_t size;
	char *end;

	if ((*path)[1] < '0' || (*path)[1] > '9')
		return -EINVAL;
	idx = strtoul(*path + 1, &end, 10);
	if (*end != ']')
		return -EINVAL;
	*path = end + 1;
	if (!btf_is_array(t))
		return -ENOENT;
	/* A flexible array has no elements that could be counted. */
	if (btf_array(t)->nelems && idx >= btf_array(t)->nelems)
		return -ENOENT;
	f->type = btf_array(t)->type;
	size = btf__resolve_size(btf, f->type);
	if (size < 0 || idx > INT32_MAX)
		return -ENOENT;
	f->bit_off += 8 * (uint64_t)size * idx;
	f->bits = 0;
	return 0;
}

static int locate(const struct btf *btf, uint32_t id, const char *path,
		  struct found *f)
{
	unsigned int steps = 0;

	*f = (struct found){ .type = id };
	if (!path)
		return -ENOENT;
	for (;;) {
		size_t len = strcspn(path, ".[");

		if (!find_member(btf, bare(btf, f->type), path, len, 0, &steps,
				 f))
			return -ENOENT;
		path += len;
		while (*path == '[') {
			int err = apply_index(btf, &path, f);

			if (err)
				return err;
		}
		if (*path != '.')
			break;
		path++;
	}
	return *path ? -EINVAL : 0;
}

int64_t btf_member_path(const struct btf *btf, uint32_t id, const char *path,
			uint64_t *size, uint32_t *member_id)
{
	struct found f;
	int64_t n = locate(btf, id, path, &f);

	if (n)
		return n;
	n = f.bits ? f.bits / 8 * !(f.bits % 8) * !(f.bit_off % 8) :
		     btf__resolve_size(btf, f.type);
	if (size)
		*size = n > 0 ? n : 0;
	if (member_id)
		*member_id = f.type;
	return f.bit_off / 8;
}

int btf_member_bits(const struct btf *btf, uint32_t id, const char *path,
		    uint64_t *bit, uint64_t *bits)
{
	struct found f;
	int64_t size;
	int err = locate(btf, id, path, &f);

	if (err)
		return err;
	size = f.bits ? 0 : btf__resolve_size(btf, f.type);
	if (size < 0)
		return -ENOENT;
	*bit = f.bit_off;
	*bits = f.bits ? f.bits : 8 * (uint64_t)size;
	return 0;
}
