// SPDX-License-Identifier: GPL-2.0
/*
 * What is printed, as JSON or for people.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_COLS	16
#define GAP		2

/* ---- making JSON -------------------------------------------------------- */

static struct json_object *made(struct json_object *o)
{
	if (o)
		return o;
	fputs("chariot: out of memory\n", stderr);
	exit(EXIT_FAIL);
}

struct json_object *json_list(void)
{
	return made(json_object_new_array());
}

struct json_object *json_map(void)
{
	return made(json_object_new_object());
}

static struct json_object *safe_string(const char *text)
{
	char *copy = chariot_printable(strdup(text ? text : ""));
	struct json_object *o;

	o = made(copy ? json_object_new_string(copy) : NULL);
	free(copy);
	return o;
}

/* If @o is a list, @v is appended and @key is not used. */
static void put(struct json_object *o, const char *key, struct json_object *v)
{
	made(v);
	if (json_object_is_type(o, json_type_array))
		json_object_array_add(o, v);
	else
		json_object_object_add(o, key, v);
}

void put_str(struct json_object *o, const char *key, const char *value)
{
	put(o, key, safe_string(value));
}

void put_u64(struct json_object *o, const char *key, uint64_t value)
{
	put(o, key, json_object_new_uint64(value));
}

void put_bool(struct json_object *o, const char *key, bool value)
{
	put(o, key, json_object_new_boolean(value));
}

void put_hex(struct json_object *o, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	put(o, key, json_object_new_string(text));
}

void put_bytes(struct json_object *o, const char *key, const uint8_t *bytes,
	       size_t len)
{
	char text[3 * 64 + 1] = "";

	for (size_t i = 0; i < len && i < 64; i++)
		sprintf(text + 3 * i, "%02x%s", bytes[i],
			i + 1 < len ? " " : "");
	put(o, key, json_object_new_string(text));
}

struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, key, &v);
	return v;
}

const char *get_str(struct json_object *o, const char *key)
{
	struct json_object *v = get(o, key);

	return v ? json_object_get_string(v) : "";
}

/* ---- documents ---------------------------------------------------------- */

static void print_json(struct json_object *o, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	puts(json_object_to_json_string_ext(o, flags));
}

int out(struct json_object *o, void (*human)(struct json_object *o))
{
	if (cli.json)
		print_json(o, cli.pretty);
	else if (human)
		human(o);
	json_object_put(o);
	return EXIT_OK;
}

void out_line(struct json_object *o)
{
	print_json(o, false);
	fflush(stdout);
}

/* ---- tables ------------------------------------------------------------- */

static void print_size(char *buf, size_t len, uint64_t n)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = n;
	size_t i = 0;

	for (; v >= 1024 && i + 1 < ARRAY_SIZE(unit); i++)
		v /= 1024;
	snprintf(buf, len, i && v < 100 ? "%.1f %s" : "%.0f %s", v, unit[i]);
}

static void print_list(char *buf, size_t len, struct json_object *list)
{
	size_t nr = json_object_array_length(list), at = 0;

	*buf = 0;
	for (size_t i = 0; i < nr && at < len; i++)
		at += snprintf(buf + at, len - at, "%s%s", i ? "," : "",
			json_object_get_string(json_object_array_get_idx(list,
									 i)));
	if (!nr)
		snprintf(buf, len, "-");
}

const char *cell(char *buf, size_t len, struct json_object *row,
		 const struct column *col)
{
	struct json_object *v = get(row, col->key);

	if (!v)
		snprintf(buf, len, "-");
	else if (col->kind == COL_SIZE)
		print_size(buf, len, json_object_get_uint64(v));
	else if (json_object_is_type(v, json_type_array))
		print_list(buf, len, v);
	else if (json_object_is_type(v, json_type_boolean))
		snprintf(buf, len, json_object_get_boolean(v) ? "yes" : "no");
	else if (json_object_is_type(v, json_type_double))
		snprintf(buf, len, "%.1f", json_object_get_double(v));
	else
		return json_object_get_string(v);
	return buf;
}

static const char *color_of(const char *text)
{
	static const struct { const char *text, *color; } colors[] = {
		{ "isolating", "\033[32m" }, { "domain-new", "\033[32m" },
		{ "dead", "\033[31m" }, { "error", "\033[31m" },
		{ "violation", "\033[1;31m" }, { "unemulated", "\033[33m" },
		{ "unknown", "\033[33m" }, { "report", "\033[33m" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(colors); i++)
		if (!strcmp(colors[i].text, text))
			return colors[i].color;
	return NULL;
}

static void pad(int nr)
{
	if (nr > 0)
		printf("%*s", nr, "");
}

static void print_cell(const char *text, const struct column *col, int width,
		       bool last)
{
	const char *color = cli.color && col->kind == COL_STATE ?
			    color_of(text) : NULL;
	bool right = col->kind == COL_NUMBER || col->kind == COL_SIZE;
	int fill = width - (int)strlen(text);

	if (right)
		pad(fill);
	printf("%s%s%s", color ? color : "", text, color ? "\033[0m" : "");
	if (last)
		return;
	if (!right)
		pad(fill);
	pad(GAP);
}

static void print_row(struct json_object *row, const struct column *cols,
		      const int *width)
{
	char buf[1024];

	for (int c = 0; cols[c].key; c++)
		print_cell(cell(buf, sizeof(buf), row, &cols[c]), &cols[c],
			   width[c], !cols[c + 1].key);
	putchar('\n');
}

static void print_head(const struct column *cols, const int *width)
{
	struct column head;

	if (cli.color)
		fputs("\033[1m", stdout);
	for (int c = 0; cols[c].key; c++) {
		head = cols[c];
		if (head.kind == COL_STATE)
			head.kind = COL_TEXT;
		print_cell(head.title, &head, width[c], !cols[c + 1].key);
	}
	puts(cli.color ? "\033[0m" : "");
}

void rows(struct json_object *list, const struct column *cols)
{
	size_t nr = json_object_array_length(list), i;
	int width[MAX_COLS], c, len;
	char buf[1024];

	for (c = 0; cols[c].key; c++) {
		width[c] = strlen(cols[c].title);
		for (i = 0; i < nr; i++) {
			len = strlen(cell(buf, sizeof(buf),
					  json_object_array_get_idx(list, i),
					  &cols[c]));
			if (len > width[c])
				width[c] = len;
		}
	}
	print_head(cols, width);
	for (i = 0; i < nr; i++)
		print_row(json_object_array_get_idx(list, i), cols, width);
}

void fields(struct json_object *o, const struct column *cols)
{
	int width = 0, len;
	char buf[1024];

	for (int c = 0; cols[c].key; c++) {
		len = strlen(cols[c].title);
		if (len > width)
			width = len;
	}
	for (; cols->key; cols++) {
		if (!get(o, cols->key))
			continue;
		printf("%s:%*s", cols->title,
		       width + GAP - 1 - (int)strlen(cols->title), "");
		print_cell(cell(buf, sizeof(buf), o, cols), cols, 0, true);
		putchar('\n');
	}
}

void title(const char *text)
{
	printf("\n%s%s%s\n", cli.color ? "\033[1m" : "", text,
	       cli.color ? "\033[0m" : "");
}

static int term_width(void)
{
	struct winsize ws;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_col > 40)
		return ws.ws_col;
	return 80;
}

void words(const char *what, struct json_object *list)
{
	size_t nr = json_object_array_length(list);
	int width = term_width(), at = 0, len;
	char head[64];

	snprintf(head, sizeof(head), "%s (%zu):", what, nr);
	title(head);
	for (size_t i = 0; i < nr; i++) {
		const char *w = json_object_get_string(
					json_object_array_get_idx(list, i));

		len = strlen(w) + 1;
		if (at && at + len > width) {
			putchar('\n');
			at = 0;
		}
		printf("%s%s", at ? " " : "  ", w);
		at += at ? len : len + 1;
	}
	if (nr)
		putchar('\n');
}

/* ---- errors ------------------------------------------------------------- */

static char lib_text[1024];

void lib_log(void *ctx, enum chariot_log_level level, const char *text)
{
	(void)ctx;
	if (level == CHARIOT_LOG_ERROR)
		snprintf(lib_text, sizeof(lib_text), "%s", text);
	if (cli.debug || level == CHARIOT_LOG_WARN)
		fprintf(stderr, "libchariot: %s\n", text);
}

void lib_log_init(void)
{
	chariot_set_log(lib_log, NULL);
}

const char *lib_said(void)
{
	static char text[sizeof(lib_text)];

	if (!lib_text[0])
		return NULL;
	memcpy(text, lib_text, sizeof(text));
	lib_text[0] = 0;
	return text;
}

/* A guest, or whoever made a file, has chosen some of the names in it: nothing of these
 * may reach the terminal but printable characters. */
static void tell(const char *fmt, va_list ap)
{
	struct json_object *o;
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	chariot_printable(text);
	if (!cli.json) {
		fflush(stdout);
		fprintf(stderr, "chariot: %s\n", text);
		return;
	}
	o = json_map();
	put_str(o, "error", text);
	print_json(o, cli.pretty);
	json_object_put(o);
}

int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(fmt, ap);
	va_end(ap);
	return EXIT_FAIL;
}

int fail_lib(int err, const char *fmt, ...)
{
	const char *said = lib_said();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return fail("%s: %s", text, said ? said :
		    strerror(err < 0 ? -err : err));
}

int usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}

void note(const char *fmt, ...)
{
	va_list ap;

	if (cli.json)
		return;
	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}
