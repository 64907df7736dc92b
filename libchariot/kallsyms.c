// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel's own symbol table, found in its image by its structure.
 *
 * scripts/kallsyms.c of Linux writes, each piece aligned to 8, from 7.0 to 4:
 *
 *   up to 6.3                          from 6.4
 *   offsets        s32[num]            num_syms       u32
 *   relative_base  u64                 names
 *   num_syms       u32                 markers        u32[(num + 255) / 256]
 *   names                              token_table
 *   markers                            token_index
 *   seqs_of_names  u8[3 * num] (6.2)   offsets
 *   token_table                        relative_base  (not from 7.0 on)
 *   token_index    u16[256]            seqs_of_names
 *
 * A name is a length (1 or 2 bytes, ULEB128) and as many tokens.  markers[i]
 * is the place of name 256 * i.  token_table is 256 strings, and token_index
 * says where each one starts.
 *
 * The tokens of the digits are "0" to "9" themselves, one behind the other:
 * that is what to look for.  The index must then fit the table, and the
 * markers the names; there is no way to hit something else by chance.  The
 * image may come from a hostile guest, so the work is limited as well.
 */
#include <stdlib.h>

#include "internal.h"

#define SYMS_MIN	4096
#define SYMS_MAX	(4U << 20)
#define TOKENS		256
#define NAME_MAX_LEN	512		/* KSYM_NAME_LEN */
#define NAMES_MAX	(256UL << 20)	/* bytes of all names, expanded */
/* Names and seqs_of_names are at most this long, together. */
#define BEHIND_MAX	(64UL << 20)
/* Shortest and longest 256 names, packed. */
#define STEP_MIN	(256 * 2)
#define STEP_MAX	(256 * (NAME_MAX_LEN + 2))
/* Marker tables and name lists to look closer at. */
#define TRIES_TABLES	64
#define TRIES_MARKERS	256
#define TRIES_NAMES	1024
/* For one layout: token tables, names that are walked, whole tables read. */
#define TRIES_TOKENS	4096
#define WALKED_MAX	(16UL << 20)
#define TRIES_DECODE	4

/* What differs between versions. */
static const struct layout {
	size_t align;			/* of each piece */
	bool offsets_behind;		/* the tokens, not before the names */
	bool from_place;		/* each offset counts from where it is */
} layouts[] = {
	{ .align = 8 },						/* up to 6.3 */
	{ .align = 8, .offsets_behind = true },			/* from 6.4 */
	{ .align = 4, .offsets_behind = true, .from_place = true }, /* 7.0 */
};

struct tables {
	const struct layout *layout;
	const uint8_t *data;		/* the image */
	size_t len;
	size_t token_table, token_index; /* all of these: offsets in data */
	size_t markers, names, names_end;
	size_t offsets;
	uint32_t num;
	uint64_t base;			/* of the offsets */
	bool absolute;			/* some offsets are addresses */
	uint16_t index[TOKENS];
	uint16_t token_len[TOKENS];
	unsigned int tries_tokens, tries_markers, tries_names, tries_decode;
	size_t walked;			/* names */
};

static uint32_t get32(const struct tables *t, size_t off)
{
	uint32_t v;

	memcpy(&v, t->data + off, sizeof(v));
	return v;
}

static uint64_t get64(const struct tables *t, size_t off)
{
	uint64_t v;

	memcpy(&v, t->data + off, sizeof(v));
	return v;
}

static size_t align_up(const struct tables *t, size_t n)
{
	return (n + t->layout->align - 1) & -t->layout->align;
}

/* ---- tokens --------------------------------------------------------------- */

/*
 * End of the token table, when @digits is the place of token '0': behind the
 * last string, or 0.
 */
static size_t tokens_end(const struct tables *t, size_t digits)
{
	size_t pos = digits;
	int i;

	for (i = '0'; i < TOKENS; i++) {
		const uint8_t *end;
		size_t room = t->len - pos;

		if (room > NAME_MAX_LEN)
			room = NAME_MAX_LEN;
		end = memchr(t->data + pos, 0, room);
		if (!end)
			return 0;
		pos = end - t->data + 1;
	}
	return pos;
}

static bool check_tokens(struct tables *t, size_t digits)
{
	size_t end = tokens_end(t, digits);
	int i;

	t->token_index = align_up(t, end);
	if (!end || t->token_index + 2 * TOKENS > t->len)
		return false;
	memcpy(t->index, t->data + t->token_index, 2 * TOKENS);
	if (t->index[0] || t->index['0'] > digits)
		return false;
	t->token_table = digits - t->index['0'];
	if (t->token_table & (t->layout->align - 1))
		return false;
	for (i = 0; i < TOKENS; i++) {
		size_t next = i + 1 < TOKENS ? t->index[i + 1] :
					       end - t->token_table;
		const uint8_t *tok = t->data + t->token_table + t->index[i];

		if (next <= t->index[i] || next > end - t->token_table)
			return false;
		t->token_len[i] = next - t->index[i] - 1;
		if (t->token_len[i] >= NAME_MAX_LEN ||
		    memchr(tok, 0, t->token_len[i] + 1) !=
		    tok + t->token_len[i])
			return false;
	}
	return true;
}

/* The next token table at or behind @from. */
static bool find_tokens(struct tables *t, size_t from)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const uint8_t *hit;

	while (from < t->len) {
		hit = memmem(t->data + from, t->len - from, digits,
			     sizeof(digits));
		if (!hit || ++t->tries_tokens > TRIES_TOKENS)
			return false;
		if (check_tokens(t, hit - t->data))
			return true;
		from = hit - t->data + 1;
	}
	return false;
}

/* ---- names and markers ---------------------------------------------------- */

/* Length of the name at *@pos; *@pos goes to its first token.  0: bad. */
static size_t name_len(const struct tables *t, size_t *pos, size_t end)
{
	size_t n;

	if (*pos >= end)
		return 0;
	n = t->data[(*pos)++];
	if (n & 0x80) {
		if (*pos >= end)
			return 0;
		n = (n & 0x7f) | (size_t)t->data[(*pos)++] << 7;
	}
	return n > end - *pos ? 0 : n;
}

/* Do @num names from @names on fit the markers and end right before them? */
static bool check_names(struct tables *t)
{
	size_t pos = t->names, n;
	uint32_t i;

	for (i = 0; i < t->num; i++) {
		if (!(i & 255) &&
		    pos - t->names != get32(t, t->markers + i / 256 * 4))
			return false;
		n = name_len(t, &pos, t->markers);
		if (!n || ++t->walked > WALKED_MAX)
			return false;
		pos += n;
	}
	t->names_end = pos;
	return align_up(t, pos) == t->markers;
}

/*
 * With @nr markers, the names start so far before them as the last marker says
 * and at most 256 names more.  num_syms is right before them.
 */
static bool find_names(struct tables *t, size_t nr)
{
	size_t last = get32(t, t->markers + 4 * (nr - 1)), from, to;
	size_t align = t->layout->align;

	if (last + 16 > t->markers)
		return false;
	to = (t->markers - last) & -align;
	from = to > STEP_MAX + align ? to - STEP_MAX - align : align;
	for (t->names = to; t->names >= from; t->names -= align) {
		t->num = get32(t, t->names - align);
		if (t->num < SYMS_MIN || t->num > SYMS_MAX ||
		    ((size_t)t->num + 255) / 256 != nr)
			continue;
		if (++t->tries_names > TRIES_NAMES)
			return false;
		if (check_names(t))
			return true;
	}
	return false;
}

/* How many entries from @pos on look like markers. */
static size_t markers_run(const struct tables *t, size_t pos)
{
	size_t nr = 1;
	uint32_t prev = 0, v;

	for (pos += 4; pos + 4 <= t->token_table; pos += 4, nr++, prev = v) {
		v = get32(t, pos);
		if (v <= prev || v - prev < STEP_MIN || v - prev > STEP_MAX)
			break;
	}
	return nr;
}

static bool find_markers(struct tables *t)
{
	size_t pos = t->token_table, low, nr, less;

	low = pos > BEHIND_MAX ? pos - BEHIND_MAX : 0;
	while (pos >= low + t->layout->align) {
		pos -= t->layout->align;
		if (get32(t, pos))
			continue;
		nr = markers_run(t, pos);
		if (nr < SYMS_MIN / 256)
			continue;
		if (++t->tries_markers > TRIES_MARKERS)
			return false;
		t->markers = pos;
		/* What follows may look like one or two markers more. */
		for (less = 0; less < 3; less++)
			if (find_names(t, nr - less))
				return true;
	}
	return false;
}

/* ---- addresses ------------------------------------------------------------ */

/*
 * With per-CPU symbols linked at 0, what is not negative is absolute and the
 * rest counts down from base - 1; else all count up from base.
 */
static uint64_t sym_addr(const struct tables *t, size_t i)
{
	size_t place = t->offsets + 4 * i;
	int32_t off = get32(t, place);

	if (t->layout->from_place)
		return t->base + place + (int64_t)off;
	if (!t->absolute)
		return t->base + (uint32_t)off;
	return off >= 0 ? (uint64_t)off : t->base - 1 - (int64_t)off;
}

/* The table is sorted, and its relative part lies around the table itself. */
static bool check_offsets(struct tables *t, const struct image *img)
{
	uint64_t here = img->base + t->offsets, first, prev = 0, addr;
	size_t end = align_up(t, t->offsets + 4 * (size_t)t->num);
	uint32_t i;

	if (t->offsets > t->len || end + 8 > t->len)
		return false;
	if (t->layout->from_place) {
		t->base = img->base;
		first = sym_addr(t, 0);
	} else {
		first = t->base = get64(t, end);
		t->absolute = (int32_t)get32(t, t->offsets +
					     4 * (size_t)(t->num - 1)) < 0;
	}
	for (i = 0; i < t->num; i++, prev = addr) {
		addr = sym_addr(t, i);
		if (addr < prev)
			return false;
	}
	return first <= here && here <= prev && prev - first < (1ULL << 30);
}

static bool find_offsets(struct tables *t, const struct image *img)
{
	size_t table = align_up(t, 4 * (size_t)t->num);

	if (t->layout->offsets_behind)
		t->offsets = t->token_index + 2 * TOKENS;
	else if (t->names >= table + 16)
		t->offsets = t->names - 16 - table;
	else
		return false;
	return check_offsets(t, img);
}

/* ---- the result ----------------------------------------------------------- */

/*
 * Expand the name at *@pos to @out; the first character is the symbol's type.
 * Its length with the type, 0 when it is too long or empty.
 */
static size_t expand(const struct tables *t, size_t *pos, char *out)
{
	size_t n = name_len(t, pos, t->names_end), len = 0;

	for (; n; n--) {
		unsigned int c = t->data[(*pos)++];

		if (len + t->token_len[c] >= NAME_MAX_LEN)
			return 0;
		memcpy(out + len, t->data + t->token_table + t->index[c],
		       t->token_len[c]);
		len += t->token_len[c];
	}
	out[len] = 0;
	return len;
}

static int add_name(struct ksyms *k, size_t *room, const char *name, size_t len)
{
	if (k->names_len + len > *room) {
		char *names;

		*room = *room ? 2 * *room : 4UL << 20;
		names = *room > NAMES_MAX ? NULL : realloc(k->names, *room);
		if (!names)
			return -ENOMEM;
		k->names = names;
	}
	memcpy(k->names + k->names_len, name, len);
	k->names_len += len;
	return 0;
}

static int decode(struct ksyms *k, const struct tables *t)
{
	char buf[NAME_MAX_LEN + 1];
	size_t pos = t->names, room = 0, len;
	uint32_t i;
	int err;

	k->syms = malloc(t->num * sizeof(*k->syms));
	if (!k->syms)
		return -ENOMEM;
	for (i = 0; i < t->num; i++) {
		len = expand(t, &pos, buf);
		text_make_printable(buf, len);
		if (len < 2)
			return -EBADMSG;
		k->syms[i] = (struct ksym){
			.addr = sym_addr(t, i),
			.name = k->names_len,
			.type = buf[0],
		};
		err = add_name(k, &room, buf + 1, len);
		if (err)
			return err;
		k->nr++;
	}
	return 0;
}

static uint32_t hash_name(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

/* First come first served: of symbols with one name, the lowest. */
static int make_hash(struct ksyms *k)
{
	size_t i, slot, probes = 0;
	const char *name;

	for (k->hash_size = 1024; k->hash_size < 2 * k->nr; )
		k->hash_size *= 2;
	k->hash = calloc(k->hash_size, sizeof(*k->hash));
	if (!k->hash)
		return -ENOMEM;
	for (i = 0; i < k->nr; i++) {
		name = ksyms_name(k, &k->syms[i]);
		slot = hash_name(name);
		while (k->hash[slot & (k->hash_size - 1)] &&
		       strcmp(ksyms_name(k, &k->syms[k->hash[slot &
				(k->hash_size - 1)] - 1]), name)) {
			slot++;
			if (++probes > PROBES_MAX * k->hash_size)
				return -E2BIG;
		}
		if (!k->hash[slot & (k->hash_size - 1)])
			k->hash[slot & (k->hash_size - 1)] = i + 1;
	}
	return 0;
}

void ksyms_free(struct ksyms *k)
{
	free(k->syms);
	free(k->names);
	free(k->hash);
	memset(k, 0, sizeof(*k));
}

/* In the order in which they are looked for. */
static const char *const parts[] = {
	"token table", "markers and names", "offsets", "readable names",
};

/* 0, -ENOMEM, or -ENOENT; *@found: how many of the parts there were at most. */
static int find_layout(struct ksyms *k, struct tables *t,
		       const struct image *img, size_t *found)
{
	size_t from = 0, n;
	int err, tries;

	for (tries = 0; tries < TRIES_TABLES && find_tokens(t, from); tries++) {
		from = t->token_table + t->index['0'] + 1;
		n = !find_markers(t) ? 1 : !find_offsets(t, img) ? 2 : 3;
		if (n > *found)
			*found = n;
		if (n < 3)
			continue;
		if (++t->tries_decode > TRIES_DECODE)
			break;
		err = decode(k, t);
		if (!err)
			err = make_hash(k);
		if (!err)
			return 0;
		ksyms_free(k);
		if (err == -ENOMEM)
			return err;
	}
	return -ENOENT;
}

int ksyms_find(struct ksyms *k, const struct image *img)
{
	size_t i, found = 0;
	int err = -ENOENT;

	memset(k, 0, sizeof(*k));
	for (i = 0; i < ARRAY_SIZE(layouts) && err == -ENOENT; i++) {
		struct tables t = {
			.layout = &layouts[i],
			.data = img->data,
			.len = img->len,
		};

		err = find_layout(k, &t, img, &found);
	}
	if (err == -ENOENT)
		log_err("kallsyms: no %s in %#llx+%#zx", parts[found],
			(unsigned long long)img->base, img->len);
	return err;
}

const struct ksym *ksyms_by_name(const struct ksyms *k, const char *name)
{
	size_t slot = name ? hash_name(name) : 0;
	uint32_t i;

	if (!name)
		return NULL;

	for (; k->hash_size && (i = k->hash[slot & (k->hash_size - 1)]); slot++)
		if (!strcmp(ksyms_name(k, &k->syms[i - 1]), name))
			return &k->syms[i - 1];
	return NULL;
}

ssize_t ksyms_below(const struct ksyms *k, uint64_t addr)
{
	size_t lo = 0, hi = k->nr, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (k->syms[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (ssize_t)lo - 1;
}
