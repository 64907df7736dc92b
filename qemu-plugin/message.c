// SPDX-License-Identifier: GPL-2.0-or-later
#include "qemu.h"

#include <chariot.h>

#include "message.h"

/*
 * A driver can violate as often as it likes: don't let it fill the host's disk
 * with QEMU's log.  The counters tell the true number.
 */
#define BURST		50
#define BURST_US	G_USEC_PER_SEC

struct message {
	enum chariot_log_level level;
	char text[];
};

static struct {
	pthread_mutex_t lock;
	GQueue queue;
	QEMUBH *bh;
	int64_t since;			/* start of this burst */
	unsigned int burst;
	unsigned long suppressed;
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .queue = G_QUEUE_INIT };

static __thread char captured[512];
static __thread bool capturing;

static void push(enum chariot_log_level level, const char *text)
{
	size_t len = strlen(text) + 1;
	struct message *m = g_malloc(sizeof(*m) + len);

	m->level = level;
	memcpy(m->text, text, len);
	g_queue_push_tail(&out.queue, m);
}

static void push_suppressed(void)
{
	char text[80];

	if (!out.suppressed)
		return;
	snprintf(text, sizeof(text), "%lu more messages suppressed",
		 out.suppressed);
	push(CHARIOT_LOG_WARN, text);
	out.suppressed = 0;
}

static bool may_push(void)
{
	int64_t now = g_get_monotonic_time();

	if (now - out.since > BURST_US) {
		push_suppressed();
		out.since = now;
		out.burst = 0;
	}
	if (out.burst++ < BURST)
		return true;
	out.suppressed++;
	return false;
}

/* Any thread. */
static void on_log(void *ctx, enum chariot_log_level level, const char *text)
{
	if (level > CHARIOT_LOG_INFO)
		return;
	if (capturing && level == CHARIOT_LOG_ERROR) {
		g_strlcpy(captured, text, sizeof(captured));
		return;
	}
	pthread_mutex_lock(&out.lock);
	if (may_push()) {
		push(level, text);
		if (out.bh)
			qemu_bh_schedule(out.bh);
	}
	pthread_mutex_unlock(&out.lock);
}

static void print(const struct message *m)
{
	switch (m->level) {
	case CHARIOT_LOG_ERROR:
		error_report("chariot: %s", m->text);
		break;
	case CHARIOT_LOG_WARN:
		warn_report("chariot: %s", m->text);
		break;
	default:
		info_report("chariot: %s", m->text);
	}
}

static void print_all(GQueue *queue)
{
	struct message *m;

	while ((m = g_queue_pop_head(queue))) {
		print(m);
		g_free(m);
	}
}

static void flush(void *opaque)
{
	GQueue todo;

	pthread_mutex_lock(&out.lock);
	todo = out.queue;
	g_queue_init(&out.queue);
	pthread_mutex_unlock(&out.lock);
	print_all(&todo);
}

void message_flush(void)
{
	pthread_mutex_lock(&out.lock);
	push_suppressed();
	pthread_mutex_unlock(&out.lock);
	flush(NULL);
}

void message_start(void)
{
	pthread_mutex_lock(&out.lock);
	out.bh = qemu_bh_new(flush, NULL);
	pthread_mutex_unlock(&out.lock);
	chariot_set_log(on_log, NULL);
}

void message_stop(void)
{
	chariot_set_log(NULL, NULL);
	pthread_mutex_lock(&out.lock);
	qemu_bh_delete(out.bh);
	out.bh = NULL;
	push_suppressed();
	pthread_mutex_unlock(&out.lock);
	/* In a monitor's command, to print now would be to answer it. */
	aio_bh_schedule_oneshot(qemu_get_aio_context(), flush, NULL);
}

void message_capture(void)
{
	captured[0] = 0;
	capturing = true;
}

const char *message_captured(void)
{
	return captured;
}

void message_release(void)
{
	capturing = false;
}
