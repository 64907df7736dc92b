// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is known of builds of drivers: a file of JSON for each.
 *
 * A file is never changed but replaced by another, so that whoever reads it has a
 * whole one, and one that has been written survives a crash.  Several guards count
 * for the same build: between reading and replacing they hold a lock.
 */
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trust.h"

#define FORMAT		1
#define FILE_MAX	(64 << 10)	/* bytes */
#define NAME_DIGITS	24		/* of an id, in a file's name */
#define FILES_MAX	4096		/* that guards make in a directory */
#define LOCK_TRIES	50		/* with 10 ms between */
#define MIN_SZ		(offsetof(struct chariot_trust, rules) + \
			 sizeof(((struct chariot_trust *)0)->rules))

const char *chariot_trust__dir(const char *dir)
{
	if (!dir)
		dir = secure_getenv("CHARIOT_STATE");
	return dir && *dir ? dir : CHARIOT_STATE_DIR;
}

/* ---- who it is ---------------------------------------------------------- */

#define HASH_START	0xcbf29ce484222325ULL	/* FNV-1a */

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

/*
 * Of a module without a build-id.  Its text itself is no good: relocated, it is
 * another one each time it is loaded.  That of symbols is where the text differs.
 */
static void hash_symbols(const struct chariot_driver *d, char id[CHARIOT_ID_LEN])
{
	const struct chariot_symbol *v = d->symbols.v;
	uint64_t h, step, sum = 0;

	for (size_t i = 0; i < d->symbols.nr; i++) {
		/* Sections may lie anywhere, on pages of their own. */
		step = v[i].func ? v[i].gva & (PAGE_SIZE - 1) : 0;
		h = hash(HASH_START, v[i].name, strlen(v[i].name) + 1);
		h = hash(h, &v[i].size, sizeof(v[i].size));
		h = hash(h, &step, sizeof(step));
		sum += h;
	}
	for (size_t i = 0; i < d->imports.nr; i++)
		sum += hash(HASH_START, d->imports.v[i].name,
			    strlen(d->imports.v[i].name) + 1);
	snprintf(id, CHARIOT_ID_LEN, "symbols-%016llx", (unsigned long long)sum);
}

void trust_identify(struct chariot_trust *t, const struct chariot_profile *p,
		    const struct chariot_driver *d)
{
	const char *kernel = chariot_profile__build_id(p);
	const char *release = chariot_profile__release(p);

	*t = (struct chariot_trust){ .sz = sizeof(*t) };
	text_fold(t->driver, d->name, strlen(d->name));
	if (d->build_id[0])
		snprintf(t->module, sizeof(t->module), "%s", d->build_id);
	else
		hash_symbols(d, t->module);
	snprintf(t->release, sizeof(t->release), "%s", release);
	if (*kernel)
		snprintf(t->kernel, sizeof(t->kernel), "%s", kernel);
	else
		snprintf(t->kernel, sizeof(t->kernel), "release-%016llx",
			 (unsigned long long)hash(HASH_START, release,
						  strlen(release)));
	snprintf(t->chariot, sizeof(t->chariot), "%s", chariot_version());
}

void trust_file_name(const struct chariot_trust *t, char name[TRUST_NAME_LEN])
{
	snprintf(name, TRUST_NAME_LEN, "%s.%.*s.%.*s.%s.json", t->driver,
		 NAME_DIGITS, t->module, NAME_DIGITS, t->kernel, t->chariot);
}

static bool same_build(const struct chariot_trust *a,
		       const struct chariot_trust *b)
{
	return !strcmp(a->driver, b->driver) && !strcmp(a->module, b->module) &&
	       !strcmp(a->kernel, b->kernel) && !strcmp(a->chariot, b->chariot);
}

/* What becomes part of a file's name. */
static bool good_id(const char *id)
{
	return *id && *id != '.' && !strpbrk(id, "/ ") &&
	       id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-._")] == 0;
}

/* ---- reading ------------------------------------------------------------ */

struct reader {
	const char *path, *text;
	size_t len;
	struct json_object *root;
	int err;
};

static int line_at(const struct reader *r, size_t at)
{
	int line = 1;

	for (size_t i = 0; i < at && i < r->len; i++)
		line += r->text[i] == '\n';
	return line;
}

/* Where the key is, roughly: the parser does not tell. */
static int line_of(const struct reader *r, const char *key)
{
	char quoted[32];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	at = memmem(r->text, r->len, quoted, strlen(quoted));
	return line_at(r, at ? (size_t)(at - r->text) : 0);
}

static void spoilt(struct reader *r, const char *key, const char *what)
{
	if (!r->err)
		log_warn("%s:%d: \"%s\" %s", r->path, line_of(r, key), key, what);
	r->err = -EINVAL;
}

static struct json_object *take(struct reader *r, const char *key,
				enum json_type type, const char *name)
{
	struct json_object *v = NULL;
	char what[48];

	if (!json_object_object_get_ex(r->root, key, &v)) {
		spoilt(r, key, "is missing");
		return NULL;
	}
	if (json_object_is_type(v, type))
		return v;
	snprintf(what, sizeof(what), "is no %s", name);
	spoilt(r, key, what);
	return NULL;
}

static void copy_str(struct reader *r, const char *key, struct json_object *v,
		     char *buf, size_t size)
{
	size_t len = v ? json_object_get_string_len(v) : 0;
	const char *text = v ? json_object_get_string(v) : "";

	if (len >= size)
		spoilt(r, key, "is too long");
	else if (strlen(text) != len)
		spoilt(r, key, "has a zero byte in it");
	else
		memcpy(buf, text, len + 1);
	text_make_printable(buf, size);
}

static void take_str(struct reader *r, const char *key, char *buf, size_t size)
{
	copy_str(r, key, take(r, key, json_type_string, "string"), buf, size);
}

static void take_u64(struct reader *r, const char *key, uint64_t *n)
{
	struct json_object *v = take(r, key, json_type_int, "number");
	int64_t value = v ? json_object_get_int64(v) : 0;

	if (value < 0 || value == INT64_MAX)
		spoilt(r, key, "is out of range");
	*n = value;
}

static uint32_t take_name(struct reader *r, const char *key,
			  const char *(*name_of)(uint32_t), uint32_t nr)
{
	char text[16] = "";
	uint32_t i;

	take_str(r, key, text, sizeof(text));
	for (i = 0; i < nr && strcmp(text, name_of(i)); i++)
		;
	if (i == nr)
		spoilt(r, key, "has no value that is known");
	return i < nr ? i : 0;
}

static void take_rules(struct reader *r, struct chariot_trust *t)
{
	struct json_object *list = take(r, "rules", json_type_array, "list"), *v;
	size_t nr = list ? json_object_array_length(list) : 0, used = 0;
	char rule[256];

	for (size_t i = 0; i < nr && !r->err; i++) {
		v = json_object_array_get_idx(list, i);
		if (!json_object_is_type(v, json_type_string))
			spoilt(r, "rules", "has what is no string");
		else
			copy_str(r, "rules", v, rule, sizeof(rule));
		if (!r->err && used + strlen(rule) + 2 > sizeof(t->rules))
			spoilt(r, "rules", "is too long");
		if (!r->err)
			used += sprintf(t->rules + used, "%s\n", rule);
	}
}

static void take_all(struct reader *r, struct chariot_trust *t)
{
	uint64_t format = 0;

	take_u64(r, "format", &format);
	if (!r->err && format != FORMAT)
		spoilt(r, "format", "is of another version of Chariot");
	take_str(r, "driver", t->driver, sizeof(t->driver));
	if (!r->err && !chariot_name_ok(t->driver, strlen(t->driver)))
		spoilt(r, "driver", "is no name of a driver");
	take_str(r, "module", t->module, sizeof(t->module));
	if (!r->err && !good_id(t->module))
		spoilt(r, "module", "is no build-id");
	take_str(r, "kernel", t->kernel, sizeof(t->kernel));
	if (!r->err && !good_id(t->kernel))
		spoilt(r, "kernel", "is no build-id");
	take_str(r, "release", t->release, sizeof(t->release));
	take_str(r, "chariot", t->chariot, sizeof(t->chariot));
	if (!r->err && !good_id(t->chariot))
		spoilt(r, "chariot", "is no version");
	t->state = take_name(r, "state", chariot_trust_state_name,
			     CHARIOT_NR_TRUST_STATES);
	t->by = take_name(r, "by", chariot_trust_by_name, CHARIOT_NR_TRUST_BYS);
	take_u64(r, "entries", &t->entries);
	take_u64(r, "seconds", &t->seconds);
	take_str(r, "reason", t->reason, sizeof(t->reason));
	take_rules(r, t);
}

static bool only_space(const struct reader *r, size_t at)
{
	for (; at < r->len; at++)
		if (!strchr(" \t\r\n", r->text[at]) || !r->text[at])
			return false;
	return true;
}

static int parse_json(struct reader *r)
{
	struct json_tokener *tok = json_tokener_new();
	enum json_tokener_error e;
	size_t at;

	if (!tok)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
			       JSON_TOKENER_VALIDATE_UTF8);
	r->root = json_tokener_parse_ex(tok, r->text, r->len);
	e = json_tokener_get_error(tok);
	at = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	if (e == json_tokener_continue) {
		log_warn("%s:%d: it ends too early, after %zu bytes", r->path,
			 line_at(r, r->len), r->len);
	} else if (e != json_tokener_success) {
		log_warn("%s:%d: byte %zu: no JSON: %s", r->path,
			 line_at(r, at), at, json_tokener_error_desc(e));
	} else if (!only_space(r, at)) {
		log_warn("%s:%d: byte %zu: there is something behind its end",
			 r->path, line_at(r, at), at);
	} else if (!json_object_is_type(r->root, json_type_object)) {
		log_warn("%s:1: no JSON object", r->path);
	} else {
		return 0;
	}
	return -EINVAL;
}

int trust_parse(struct chariot_trust *t, const char *path, const char *text,
		size_t len)
{
	struct reader r = { .path = path, .text = text, .len = len };
	struct chariot_trust got = { .sz = sizeof(got) };

	r.err = parse_json(&r);
	if (!r.err)
		take_all(&r, &got);
	json_object_put(r.root);
	if (!r.err)
		*t = got;
	return r.err;
}

/* At most FILE_MAX bytes of a plain file, malloc()ed. */
static int read_text(const char *path, char **text, size_t *len)
{
	/* A FIFO would have us wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	*text = malloc(FILE_MAX);
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size >= FILE_MAX)
		err = -EFBIG;
	else if (!*text)
		err = -ENOMEM;
	for (*len = 0; !err && *len < FILE_MAX; *len += n) {
		n = read(fd, *text + *len, FILE_MAX - *len);
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
	}
	close(fd);
	if (err)
		free(*text);
	return err;
}

int chariot_trust__read(const char *path, struct chariot_trust *t)
{
	struct chariot_trust got = {};
	char *text = NULL;
	size_t len = 0;
	int err;

	if (!path || !t || t->sz < MIN_SZ)
		return -EINVAL;
	err = read_text(path, &text, &len);
	if (err) {
		if (err != -ENOENT)
			log_warn("%s: %s", path, err == -EFBIG ?
				 "no plain file of a few kilobytes" :
				 strerror(-err));
		return err == -EFBIG ? -EINVAL : err;
	}
	err = trust_parse(&got, path, text, len);
	free(text);
	if (!err) {
		got.sz = t->sz < sizeof(got) ? t->sz : sizeof(got);
		memcpy(t, &got, got.sz);
	}
	return err;
}

static const char *const proved_dirs[] = { CHARIOT_PROVED_DIRS };

static const char *proved_dir(size_t i)
{
	const char *own = secure_getenv("CHARIOT_PROVED");

	if (own)
		return i ? NULL : own;
	return i < ARRAY_SIZE(proved_dirs) ? proved_dirs[i] : NULL;
}

static int path_of(char **path, const char *dir, const struct chariot_trust *t)
{
	char name[TRUST_NAME_LEN];

	trust_file_name(t, name);
	return asprintf(path, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

/* Of @dir alone; -ENOENT, or that it is spoilt: as on the first day. */
static int read_build(const char *dir, struct chariot_trust *t)
{
	struct chariot_trust got = { .sz = sizeof(got) };
	char *path;
	int err = path_of(&path, dir, t);

	if (err)
		return err;
	err = chariot_trust__read(path, &got);
	if (!err && !same_build(t, &got)) {
		log_warn("%s:1: it is about another build, %s %s of kernel %s, Chariot %s",
			 path, got.driver, got.module, got.kernel, got.chariot);
		err = -EINVAL;
	}
	free(path);
	if (!err)
		*t = got;
	return err;
}

bool trust_changed(const char *dir, const struct chariot_trust *t,
		   struct trust_seen *seen)
{
	struct trust_seen is = {};
	struct stat st;
	char *path;
	bool same;

	if (path_of(&path, chariot_trust__dir(dir), t))
		return false;
	if (!stat(path, &st)) {
		is.when = st.st_mtim;
		is.ino = st.st_ino;
	}
	free(path);
	same = is.ino == seen->ino && is.when.tv_sec == seen->when.tv_sec &&
	       is.when.tv_nsec == seen->when.tv_nsec;
	*seen = is;
	return !same;
}

static void first_day(struct chariot_trust *t)
{
	t->state = CHARIOT_TRUST_PROBATION;
	t->by = CHARIOT_TRUST_BY_PROBATION;
	t->entries = t->seconds = 0;
	t->reason[0] = t->rules[0] = 0;
}

void trust_lookup(const char *dir, struct chariot_trust *t)
{
	struct chariot_trust shipped = *t;

	if (read_build(chariot_trust__dir(dir), t))
		first_day(t);
	/* What was said here counts more than what was shipped. */
	if (t->state != CHARIOT_TRUST_PROBATION ||
	    t->by == CHARIOT_TRUST_BY_OPERATOR)
		return;
	for (size_t i = 0; proved_dir(i); i++)
		if (!read_build(proved_dir(i), &shipped) &&
		    shipped.state == CHARIOT_TRUST_PROVED) {
			*t = shipped;
			return;
		}
}

void chariot_trust__of(const char *dir, const struct chariot_profile *p,
		       const struct chariot_driver *d, struct chariot_trust *t)
{
	if (d)
		trust_identify(t, p, d);
	trust_lookup(chariot_trust__dir(dir), t);
}

/* ---- a directory -------------------------------------------------------- */

static int is_record(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return e->d_name[0] != '.' && dot && !strcmp(dot, ".json");
}

static int each_in(const char *dir,
		   int (*fn)(void *ctx, const char *path, int err,
			     const struct chariot_trust *t), void *ctx)
{
	struct chariot_trust t;
	struct dirent **names;
	int nr = scandir(dir, &names, is_record, alphasort), r = 0, err;
	char *path;

	if (nr < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < nr; i++) {
		if (!r && asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0)
			r = -ENOMEM;
		if (!r) {
			t = (struct chariot_trust){ .sz = sizeof(t) };
			err = chariot_trust__read(path, &t);
			/* Gone meanwhile: somebody has removed it. */
			if (err != -ENOENT)
				r = fn(ctx, path, err, &t);
			free(path);
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int chariot_trust__each(const char *dir,
			int (*fn)(void *ctx, const char *path, int err,
				  const struct chariot_trust *t),
			void *ctx)
{
	int r = each_in(chariot_trust__dir(dir), fn, ctx);

	for (size_t i = 0; !r && proved_dir(i); i++)
		r = each_in(proved_dir(i), fn, ctx);
	return r;
}

/* ---- writing ------------------------------------------------------------ */

static struct json_object *rules_json(const char *rules)
{
	struct json_object *list = json_object_new_array();
	size_t len;

	for (; list && *rules; rules += len + (rules[len] == '\n')) {
		len = strcspn(rules, "\n");
		if (len)
			json_object_array_add(list,
				json_object_new_string_len(rules, len));
	}
	return list;
}

static struct json_object *to_json(const struct chariot_trust *t)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
#define STR(key, text) \
	json_object_object_add(o, key, json_object_new_string(text))
	json_object_object_add(o, "format", json_object_new_int(FORMAT));
	STR("driver", t->driver);
	STR("module", t->module);
	STR("kernel", t->kernel);
	STR("release", t->release);
	STR("chariot", t->chariot);
	STR("state", chariot_trust_state_name(t->state));
	STR("by", chariot_trust_by_name(t->by));
	json_object_object_add(o, "entries", json_object_new_int64(t->entries));
	json_object_object_add(o, "seconds", json_object_new_int64(t->seconds));
	STR("reason", t->reason);
	json_object_object_add(o, "rules", rules_json(t->rules));
#undef STR
	return o;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	for (; len; text += n, len -= n) {
		n = write(fd, text, len);
		if (n < 0)
			return -errno;
	}
	return 0;
}

static int write_tmp(const char *tmp, const char *text)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		      0644);
	int err = fd < 0 ? -errno : write_all(fd, text, strlen(text));

	if (!err)
		err = write_all(fd, "\n", 1);
	if (!err && fsync(fd))
		err = -errno;
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	return err;
}

/* With the lock of @dir, so that nobody else uses that name. */
static int replace(const char *dir, int dir_fd, const struct chariot_trust *t,
		   const char *text)
{
	char *path, *tmp = NULL;
	int err = path_of(&path, dir, t);

	if (err)
		return err;
	if (asprintf(&tmp, "%s/.new", dir) < 0)
		err = -ENOMEM;
	if (!err)
		err = write_tmp(tmp, text);
	if (!err && rename(tmp, path))
		err = -errno;
	if (!err && fsync(dir_fd))
		err = -errno;
	if (err && tmp)
		unlink(tmp);
	free(tmp);
	free(path);
	return err;
}

static int write_locked(const char *dir, const struct chariot_trust *t)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct json_object *o;

	if (fd < 0)
		return -errno;
	o = to_json(t);
	err = o ? replace(dir, fd, t,
			  json_object_to_json_string_ext(o,
				JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_NOSLASHESCAPE)) : -ENOMEM;
	json_object_put(o);
	close(fd);
	return err;
}

/* Its descriptor, or -errno.  Only who may write there can hold others up. */
static int lock(const char *dir)
{
	struct timespec ts = { .tv_nsec = 10000000 };
	int fd, err = 0;
	char *path;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	if (asprintf(&path, "%s/.lock", dir) < 0)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		err = -errno;
	free(path);
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); i++) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		if (err != -EBUSY || i == LOCK_TRIES) {
			close(fd);
			return err;
		}
		nanosleep(&ts, NULL);
		err = 0;
	}
	return err ?: fd;
}

int chariot_trust__write(const char *dir, const struct chariot_trust *t)
{
	int fd, err;

	dir = chariot_trust__dir(dir);
	if (!t || t->sz < MIN_SZ || t->state >= CHARIOT_NR_TRUST_STATES ||
	    t->by >= CHARIOT_NR_TRUST_BYS ||
	    !chariot_name_ok(t->driver, strlen(t->driver)) ||
	    !good_id(t->module) || !good_id(t->kernel) || !good_id(t->chariot))
		return -EINVAL;
	fd = lock(dir);
	if (fd < 0)
		return fd;
	err = write_locked(dir, t);
	close(fd);
	return err;
}

/* ---- adding ------------------------------------------------------------- */

/* A rule that is not there yet, if there is room. */
static void add_rules(struct chariot_trust *t, const char *more)
{
	size_t used = strlen(t->rules), len;
	char rule[256];

	for (; *more; more += len + (more[len] == '\n')) {
		len = strcspn(more, "\n");
		if (!len || len >= sizeof(rule) - 1 ||
		    used + len + 2 > sizeof(t->rules))
			continue;
		snprintf(rule, sizeof(rule), "%.*s\n", (int)len, more);
		if (strstr(t->rules, rule))
			continue;
		memcpy(t->rules + used, rule, len + 2);
		used += len + 1;
	}
}

static void merge(struct chariot_trust *known, const struct chariot_trust *t)
{
	known->entries += t->entries;
	known->seconds += t->seconds;
	if (known->state == CHARIOT_TRUST_PROVED)
		return;
	if (t->state == CHARIOT_TRUST_HELD) {
		if (known->state != CHARIOT_TRUST_HELD)
			memcpy(known->reason, t->reason, sizeof(t->reason));
		known->state = CHARIOT_TRUST_HELD;
		known->by = CHARIOT_TRUST_BY_PROBATION;
		add_rules(known, t->rules);
	} else if (t->state == CHARIOT_TRUST_PROVED &&
		   known->state == CHARIOT_TRUST_PROBATION) {
		known->state = CHARIOT_TRUST_PROVED;
		known->by = CHARIOT_TRUST_BY_PROBATION;
	}
}

/* Guests choose how many builds there are. */
static bool is_full(const char *dir)
{
	DIR *d = opendir(dir);
	int nr = 0;

	while (d && readdir(d))
		nr++;
	if (d)
		closedir(d);
	return nr >= FILES_MAX;
}

int trust_add(const char *dir, struct chariot_trust *t)
{
	struct chariot_trust known = *t;
	int fd, err;

	dir = chariot_trust__dir(dir);
	fd = lock(dir);
	if (fd < 0)
		return fd;
	err = read_build(dir, &known);
	if (err)
		first_day(&known);
	merge(&known, t);
	err = err == -ENOENT && is_full(dir) ? -ENOSPC :
	      write_locked(dir, &known);
	close(fd);
	if (!err)
		*t = known;
	return err;
}
