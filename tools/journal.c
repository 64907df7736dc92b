// SPDX-License-Identifier: GPL-2.0
/*
 * Events in systemd's journal, with fields: "journalctl CHARIOT_DRIVER=nvme".
 */
#include "journal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define SOCKET		"/run/systemd/journal/socket"
/* With the type of the event behind it. */
#define MESSAGE_ID	"078db1d1ce0e427e8a44b12592bf2b"
#define MAX_FIELDS	48

struct fields {
	struct iovec v[MAX_FIELDS];
	int nr;
};

bool journal_is_stdout(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDOUT_FILENO, &st) && st.st_dev == dev &&
	       st.st_ino == ino;
}

int journal_check(void)
{
	/* The library says nothing when nobody listens. */
	return access(SOCKET, W_OK) ?
	       fail("%s: %s: there is no journal", SOCKET, strerror(errno)) :
	       EXIT_OK;
}

static __attribute__((format(printf, 2, 3)))
void add(struct fields *f, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = f->nr < MAX_FIELDS ? vasprintf(&text, fmt, ap) : -1;
	va_end(ap);
	if (len >= 0)
		f->v[f->nr++] = (struct iovec){ text, len };
}

static int priority(uint32_t type)
{
	switch (type) {
	case CHARIOT_EV_ERROR:
	case CHARIOT_EV_FAULT:
		return LOG_ERR;
	case CHARIOT_EV_VIOLATION:
	case CHARIOT_EV_UNEMULATED:
		return LOG_WARNING;
	case CHARIOT_EV_DOMAIN_NEW:
	case CHARIOT_EV_DOMAIN_GONE:
	case CHARIOT_EV_RECOVERED:
		return LOG_NOTICE;
	}
	return LOG_INFO;
}

/* "rip_symbol" is CHARIOT_RIP_SYMBOL; what has members of its own is left out. */
static void add_members(struct fields *f, struct json_object *o)
{
	json_object_object_foreach(o, key, value) {
		char name[64];
		size_t i = 0;

		if (json_object_is_type(value, json_type_object) ||
		    json_object_is_type(value, json_type_array) ||
		    !strcmp(key, "text"))
			continue;
		for (; i < sizeof(name) - 1 && key[i]; i++)
			name[i] = toupper((unsigned char)key[i]);
		name[i] = 0;
		add(f, "CHARIOT_%s=%s", name, json_object_get_string(value));
	}
}

int journal_event(const struct kvm_vm *id, const struct chariot_event *ev,
		  struct json_object *o)
{
	struct fields f = {};
	char pid[16];
	const char *vm = id->name[0] ? id->name : pid;
	int err;

	snprintf(pid, sizeof(pid), "%d", (int)id->pid);
	add(&f, "MESSAGE=%s: %s", vm, get_str(o, "text"));
	add(&f, "MESSAGE_ID=" MESSAGE_ID "%02x", ev->type & 0xff);
	add(&f, "PRIORITY=%d", priority(ev->type));
	add(&f, "SYSLOG_IDENTIFIER=chariot");
	add(&f, "CHARIOT_VM=%s", vm);
	add(&f, "CHARIOT_VM_PID=%s", pid);
	add_members(&f, o);
	err = sd_journal_sendv(f.v, f.nr);
	for (int i = 0; i < f.nr; i++)
		free(f.v[i].iov_base);
	return err;
}
