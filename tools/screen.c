// SPDX-License-Identifier: GPL-2.0
/*
 * chariot top on a terminal.  All that is printed is cut to the screen, however small.
 */
#include "top.h"
#include "counters.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS	"q quit  Enter details  v verdict  x release  < > sort  r reverse  ? help"
#define ESCAPE	27
#define PANE	3		/* lines below the table: of the last violation */

enum pair { PAIR_BAD = 1, PAIR_WARN, PAIR_GOOD };

struct screen {
	struct top *top;
	struct json_object *rows;
	int at, first;			/* the row that is chosen, and that is on top */
	pid_t pid;			/* it, whatever becomes of the order */
	uint32_t domain;
	int sort;
	bool reverse;
	enum { ASK_NOTHING, ASK_VERDICT, ASK_RELEASE } ask;
	enum { SHOW_TABLE, SHOW_DETAILS, SHOW_HELP } show;
	char message[256];
};

static const char *const help_text[] = {
	"Up, Down, PgUp, PgDn, Home, End, j, k  choose a driver",
	"Enter   what is known of it, and all counters; again: back",
	"v       another verdict for it",
	"x       end its isolation: its guard is asked, the driver runs on",
	"< >     sort by another column; r: in the other order",
	"Space   look now",
	"q       quit",
	"",
	"TRUST is what is known of this build of the driver: on probation,",
	"proved, or held after a report, see chariot-driver(8).",
	NULL,
};

/* ---- lines ---------------------------------------------------------------- */

static void line(int y, chtype attr, const char *text)
{
	if (y < 0 || y >= LINES)
		return;
	attrset(attr);
	move(y, 0);
	clrtoeol();
	addnstr(text, COLS);
	/* The colour of a bar goes to the edge; its last cell would scroll nothing. */
	for (int x = strlen(text); attr & A_REVERSE && x < COLS; x++)
		mvaddch(y, x, ' ');
	attrset(0);
}

/* @text by words, in at most @nr lines from @y on.  Lines that it took. */
static int paragraph(int y, int nr, const char *text)
{
	int width = COLS > 1 ? COLS - 1 : 1, used = 0, len;
	char buf[512];

	while (*text && used < nr) {
		len = strlen(text);
		if (len > width) {
			for (len = width; len > width / 2 && text[len] != ' '; )
				len--;
			if (text[len] != ' ')
				len = width;
		}
		snprintf(buf, sizeof(buf), "%.*s", len, text);
		line(y + used++, 0, buf);
		text += len;
		text += strspn(text, " ");
	}
	return used;
}

/* ---- the table ------------------------------------------------------------ */

static int nr_rows(const struct screen *s)
{
	return json_object_array_length(s->rows);
}

static struct json_object *chosen(const struct screen *s)
{
	return s->at < nr_rows(s) ? json_object_array_get_idx(s->rows, s->at) : NULL;
}

/* Columns that fit; names get what is left. */
static int fitting(int *more)
{
	int used = 0, c;

	for (c = 0; top_columns[c].width; c++) {
		if (used + top_columns[c].width > COLS && c)
			break;
		used += top_columns[c].width + 1;
	}
	*more = used - 1 < COLS ? (COLS - used + 1) / 2 : 0;
	return c;
}

static void put_cell(char *buf, size_t len, const struct top_column *c,
		     const char *text, int more)
{
	size_t at = strlen(buf);
	int width = c->width + more;
	bool right = c->col.kind == COL_NUMBER || c->col.kind == COL_SIZE;

	snprintf(buf + at, len - at, right ? "%*.*s " : "%-*.*s ", width, width,
		 text);
}

static void table_head(const struct screen *s, int y)
{
	char buf[512] = "", title[32];
	int more, nr = fitting(&more);

	for (int c = 0; c < nr; c++) {
		snprintf(title, sizeof(title), "%s%s", top_columns[c].col.title,
			 c != s->sort ? "" : s->reverse ? "^" : "*");
		put_cell(buf, sizeof(buf), &top_columns[c], title,
			 c < 2 ? more : 0);
	}
	line(y, A_REVERSE, buf);
}

static chtype row_attr(struct json_object *row)
{
	const char *trust = get_str(row, "trust"), *state = get_str(row, "state");

	if (json_object_get_double(get(row, "violation_rate")) > 0 ||
	    !strcmp(state, "dead"))
		return A_BOLD | COLOR_PAIR(PAIR_BAD);
	if (!strcmp(trust, "held") || !strcmp(state, "unknown"))
		return COLOR_PAIR(PAIR_WARN);
	return get(row, "driver") ? COLOR_PAIR(PAIR_GOOD) : 0;
}

static void table_row(const struct screen *s, int y, int i)
{
	struct json_object *row = json_object_array_get_idx(s->rows, i);
	int more, nr = fitting(&more);
	char buf[512] = "", text[128];

	for (int c = 0; c < nr; c++)
		put_cell(buf, sizeof(buf), &top_columns[c],
			 cell(text, sizeof(text), row, &top_columns[c].col),
			 c < 2 ? more : 0);
	line(y, i == s->at ? A_REVERSE : row_attr(row), buf);
}

static void last_violation(const struct screen *s, int y)
{
	struct json_object *row = chosen(s);
	char text[640];

	if (!row || !get(row, "last"))
		return;
	snprintf(text, sizeof(text), "%s %s", get_str(row, "last_time"),
		 get_str(row, "last"));
	paragraph(y, PANE, text);
}

static void show_table(struct screen *s)
{
	bool pane = LINES > 10;
	int room = LINES - 3 - (pane ? PANE : 0), y = 2;

	if (room < 1)
		room = 1;
	if (s->at < s->first)
		s->first = s->at;
	if (s->at >= s->first + room)
		s->first = s->at - room + 1;
	table_head(s, 1);
	for (int i = s->first; i < nr_rows(s) && i < s->first + room; i++)
		table_row(s, y++, i);
	if (!nr_rows(s))
		line(2, 0, "No VM runs here.");
	if (pane)
		last_violation(s, LINES - 1 - PANE);
}

/* ---- one driver ----------------------------------------------------------- */

static int detail(int y, const char *key, const char *text)
{
	char buf[1024];

	if (!*text)
		return y;
	snprintf(buf, sizeof(buf), "%-12s %s", key, text);
	return y + paragraph(y, 4, buf);
}

/* In as many columns as there is room for. */
static void show_counters(struct json_object *row, int y)
{
	struct json_object *all = get(row, "counters"), *rates = get(row, "rates");
	int room = LINES - 1 - y, x = 0, at = y;
	char buf[64];

	for (size_t i = 0; all && room > 0 && i < NR_COUNTERS; i++) {
		uint64_t n = json_object_get_uint64(get(all, counters[i].key));

		if (!n)
			continue;
		if (at == y + room) {
			at = y;
			x += 40;
		}
		snprintf(buf, sizeof(buf), "%-17s %11llu %7.0f/s",
			 counters[i].key, (unsigned long long)n,
			 json_object_get_double(get(rates, counters[i].key)));
		if (x < COLS)
			mvaddnstr(at, x, buf, COLS - x);
		at++;
	}
}

static void show_details(struct screen *s)
{
	struct json_object *row = chosen(s);
	char text[256];
	int y = 1;

	if (!row) {
		s->show = SHOW_TABLE;
		show_table(s);
		return;
	}
	snprintf(text, sizeof(text), "%s (process %s), %s", get_str(row, "vm"),
		 get_str(row, "pid"), get_str(row, "state"));
	y = detail(y, "VM", text);
	if (get(row, "driver")) {
		snprintf(text, sizeof(text), "%s, domain %s, verdict %s, mode %s",
			 get_str(row, "driver"), get_str(row, "domain"),
			 get_str(row, "verdict"), get_str(row, "mode"));
		y = detail(y, "Driver", text);
		if (get(row, "trust")) {
			snprintf(text, sizeof(text), "%s: %s calls, %s s",
				 get_str(row, "trust"),
				 get_str(row, "trust_entries"),
				 get_str(row, "trust_seconds"));
			y = detail(y, "Build", text);
		}
		y = detail(y, "Held for", get_str(row, "trust_reason"));
	}
	y = detail(y, "Last", get_str(row, "last"));
	show_counters(row, y + 1);
}

static void show_help(void)
{
	for (int i = 0; help_text[i]; i++)
		line(i + 2, 0, help_text[i]);
}

/* ---- all of it ------------------------------------------------------------ */

static const char *footer(const struct screen *s)
{
	static char buf[320];
	struct json_object *row = chosen(s);

	switch (s->ask) {
	case ASK_VERDICT:
		snprintf(buf, sizeof(buf),
			 "%s: r report  s skip  o oops  p pause  R recover  (another key: as it is)",
			 get_str(row, "driver"));
		return buf;
	case ASK_RELEASE:
		snprintf(buf, sizeof(buf), "release %s of VM %s? y/n",
			 get_str(row, "driver"), get_str(row, "vm"));
		return buf;
	case ASK_NOTHING:
		break;
	}
	return s->message[0] ? s->message : KEYS;
}

static void draw(struct screen *s)
{
	char text[128], head[160], when[16];
	time_t now = time(NULL);
	struct tm tm;

	erase();
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&now, &tm));
	snprintf(head, sizeof(head), "chariot top %s  %s", when,
		 top_summary(s->rows, text, sizeof(text)));
	line(0, A_BOLD, head);
	if (s->show == SHOW_DETAILS)
		show_details(s);
	else if (s->show == SHOW_HELP)
		show_help();
	else
		show_table(s);
	/* A screen of one line or two is for the rows. */
	if (LINES > 3)
		line(LINES - 1, s->ask ? A_BOLD : A_DIM, footer(s));
	refresh();
}

/* ---- the driver that is chosen -------------------------------------------- */

static void choose(struct screen *s, int at)
{
	struct json_object *row;

	if (at >= nr_rows(s))
		at = nr_rows(s) - 1;
	s->at = at < 0 ? 0 : at;
	row = chosen(s);
	s->pid = row ? json_object_get_int(get(row, "pid")) : 0;
	s->domain = row ? json_object_get_int(get(row, "domain")) : 0;
}

static void sort(struct screen *s)
{
	struct json_object *row;
	int at = s->at;

	top_sort(s->rows, s->sort, s->reverse);
	for (int i = 0; s->pid && i < nr_rows(s); i++) {
		row = json_object_array_get_idx(s->rows, i);
		if (json_object_get_int(get(row, "pid")) == s->pid &&
		    (uint32_t)json_object_get_int(get(row, "domain")) == s->domain)
			at = i;
	}
	choose(s, at);
}

static bool look(struct screen *s)
{
	s->rows = top_look(s->top);
	if (s->rows)
		sort(s);
	return s->rows;
}

/* ---- keys ----------------------------------------------------------------- */

static void answer_verdict(struct screen *s, int key)
{
	static const char keys[CHARIOT_NR_VERDICTS + 1] = "rsopR";
	const char *k = key > 0 && key < 128 ? strchr(keys, key) : NULL;

	if (k)
		top_set_verdict(s->top, chosen(s), k - keys, s->message,
				sizeof(s->message));
}

static void answer(struct screen *s, int key)
{
	bool verdict = s->ask == ASK_VERDICT;

	s->ask = ASK_NOTHING;
	if (!chosen(s))
		return;
	if (verdict)
		answer_verdict(s, key);
	else if (key == 'y')
		top_release(s->top, chosen(s), s->message, sizeof(s->message));
	look(s);
}

static void ask(struct screen *s, int what)
{
	struct json_object *row = chosen(s);

	if (row && get(row, "driver"))
		s->ask = what;
	else
		snprintf(s->message, sizeof(s->message),
			 "no driver of this VM is isolated");
}

static bool move_key(struct screen *s, int key)
{
	int page = LINES > 4 ? LINES - 4 : 1;

	switch (key) {
	case KEY_UP: case 'k':
		choose(s, s->at - 1);
		return true;
	case KEY_DOWN: case 'j':
		choose(s, s->at + 1);
		return true;
	case KEY_PPAGE:
		choose(s, s->at - page);
		return true;
	case KEY_NPAGE:
		choose(s, s->at + page);
		return true;
	case KEY_HOME:
		choose(s, 0);
		return true;
	case KEY_END:
		choose(s, nr_rows(s) - 1);
		return true;
	}
	return false;
}

static void sort_key(struct screen *s, int by)
{
	int more, nr = fitting(&more);

	s->sort = (s->sort + by + nr) % nr;
	sort(s);
}

/* False: quit. */
static bool on_key(struct screen *s, int key)
{
	s->message[0] = 0;
	if (s->ask) {
		answer(s, key);
		return true;
	}
	if (move_key(s, key))
		return true;
	switch (key) {
	case 'q':
		return false;
	case '\n': case '\r': case KEY_ENTER:
		s->show = s->show == SHOW_TABLE ? SHOW_DETAILS : SHOW_TABLE;
		break;
	case ESCAPE:
		s->show = SHOW_TABLE;
		break;
	case '?': case 'h':
		s->show = s->show == SHOW_HELP ? SHOW_TABLE : SHOW_HELP;
		break;
	case 'v':
		ask(s, ASK_VERDICT);
		break;
	case 'x':
		ask(s, ASK_RELEASE);
		break;
	case '<': case '>':
		sort_key(s, key == '<' ? -1 : 1);
		break;
	case 'r':
		s->reverse = !s->reverse;
		sort(s);
		break;
	case ' ':
		look(s);
		break;
	}
	return true;
}

/* ---- the loop ------------------------------------------------------------- */

/* What the library says would be written over the screen; why a call has failed is
 * told by its error. */
static void no_log(void *ctx, enum chariot_log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	(void)text;
}

static SCREEN *begin(void)
{
	SCREEN *terminal;

	setlocale(LC_CTYPE, "");
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return NULL;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	if (cli.color && has_colors()) {
		start_color();
		use_default_colors();
		init_pair(PAIR_BAD, COLOR_RED, -1);
		init_pair(PAIR_WARN, COLOR_YELLOW, -1);
		init_pair(PAIR_GOOD, -1, -1);
	}
	chariot_set_log(no_log, NULL);
	return terminal;
}

/* Keys until the next look.  False: quit. */
static bool wait(struct screen *s, int delay_ms)
{
	int64_t end = now_ms() + delay_ms, left;
	int key;

	while (!stopped && (left = end - now_ms()) > 0) {
		timeout(left);
		key = getch();
		if (key == ERR)
			continue;
		if (!on_key(s, key))
			return false;
		draw(s);
	}
	return !stopped;
}

int screen_run(struct top *t, int delay_ms, uint64_t count)
{
	struct screen s = { .top = t, .sort = TOP_SORT };
	bool good = look(&s);
	int err = errno;
	SCREEN *terminal;

	/* There is something to show. */
	terminal = good ? begin() : NULL;
	if (good && !terminal)
		return fail("TERM=%s: this terminal is not known: --batch",
			    getenv("TERM") ?: "");
	for (uint64_t n = 1; good; n++) {
		draw(&s);
		if (!wait(&s, delay_ms) || n == count)
			break;
		good = look(&s);
		err = errno;
	}
	if (terminal) {
		endwin();
		delscreen(terminal);
		lib_log_init();
	}
	return good ? EXIT_OK : fail_lib(err, "/proc");
}
