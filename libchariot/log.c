// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The log callback.  The library itself never prints.
 */
#include <pthread.h>
#include <stdio.h>

#include "internal.h"

static struct {
	pthread_mutex_t lock;
	chariot_log_fn fn;
	void *ctx;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER };

void chariot_set_log(chariot_log_fn fn, void *ctx)
{
	pthread_mutex_lock(&sink.lock);
	sink.fn = fn;
	sink.ctx = ctx;
	pthread_mutex_unlock(&sink.lock);
}

const char *chariot_version(void)
{
	return VERSION;
}

void chariot_log(enum chariot_log_level level, const char *fmt, ...)
{
	int saved = errno;
	chariot_log_fn fn;
	char text[512];
	va_list ap;
	void *ctx;

	/* The callback may log itself: don't hold the lock over it. */
	pthread_mutex_lock(&sink.lock);
	fn = sink.fn;
	ctx = sink.ctx;
	pthread_mutex_unlock(&sink.lock);
	if (fn) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		chariot_printable(text);
		fn(ctx, level, text);
	}
	errno = saved;
}
