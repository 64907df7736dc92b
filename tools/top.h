/* SPDX-License-Identifier: GPL-2.0 */
/*
 * chariot top: the drivers of all VMs, live (top.c), on a screen (screen.c).
 */
#ifndef TOP_H
#define TOP_H

#include "cli.h"

struct top_column {
	struct column col;
	int width;		/* on a screen */
};
/* The more important first: a narrow screen has as many as fit. */
extern const struct top_column top_columns[];
#define TOP_SORT	3	/* the column that they are sorted by at first */

struct top;

/* Of VM @only, or of all with NULL; NULL after telling. */
struct top *top_new(const char *only);
void top_free(struct top *t);
/*
 * A row for each driver, and for each VM that has none, as they are now; of @t until the
 * next time.  NULL: /proc cannot be read.
 */
struct json_object *top_look(struct top *t);
void top_sort(struct json_object *rows, int column, bool reverse);
/* "2 VMs, 3 drivers, 12 violations" */
const char *top_summary(struct json_object *rows, char *buf, size_t len);

/* What is asked for of a row's driver: @buf says what came of it. */
void top_set_verdict(struct top *t, struct json_object *row, uint32_t verdict,
		     char *buf, size_t len);
void top_release(struct top *t, struct json_object *row, char *buf, size_t len);

/* Until it is left.  EXIT_*. */
int screen_run(struct top *t, int delay_ms, uint64_t count);

#endif
