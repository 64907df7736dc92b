// SPDX-License-Identifier: GPL-2.0
/*
 * vmsh: talk to an L2 guest from L1, for vm.sh.
 *
 *	vmsh wait SOCKET SECONDS		until the guest's agent answers
 *	vmsh run SOCKET SECONDS COMMAND		run COMMAND with the guest's sh
 *	vmsh qmp SOCKET SECONDS JSON|COMMAND	one QMP command, print the answer
 *	vmsh events SOCKET SECONDS		print QMP's events until QEMU ends
 *
 * The status of "run" is the command's; 124 is a timeout, 125 a guest that
 * went away (or this program's own failure). guest-agent.c is the other side
 * and explains the lines that go over the socket.
 */
#include "b64.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define STATUS_TIMEOUT	124
#define STATUS_GONE	125
/* What a guest that works gets to say how far a timed out command came */
#define GRACE_MS	20000
#define PING_MS		2000

struct chan {
	int fd;
	char *buf;		/* what was read and is not used yet */
	size_t len, size, line;	/* line: length of the line handed out */
};

static void die(const char *fmt, ...)
{
	va_list ap;

	fputs("vmsh: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(STATUS_GONE);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void *xrealloc(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die("out of memory");
	return p;
}

static void print_decoded(const char *s, size_t n, int compressed)
{
	char *data = xrealloc(NULL, n + 1);
	FILE *out = stdout;

	if (compressed)
		out = popen("gzip -dc", "w");
	if (!out)
		die("gzip: %s", strerror(errno));
	fwrite(data, 1, b64_decode(s, n, data), out);
	if (compressed ? pclose(out) : fflush(out))
		die("cannot write the output");
	free(data);
}

#define LISTEN_MS	20000	/* QEMU's socket is there a moment before it listens */

static void chan_open(struct chan *c, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int64_t deadline = now_ms() + LISTEN_MS;
	int err;

	if (strlen(path) >= sizeof(sa.sun_path))
		die("path too long: %s", path);
	strcpy(sa.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("%s: %s", path, strerror(errno));
	while ((err = connect(c->fd, (struct sockaddr *)&sa, sizeof(sa))) &&
	       errno == ECONNREFUSED && now_ms() < deadline)
		usleep(20000);
	if (err)
		die("%s: %s", path, strerror(errno));
}

/* Wait until @deadline for @events; 0 on timeout. */
static int chan_poll(struct chan *c, short events, int64_t deadline)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int64_t left = deadline - now_ms();
	int r;

	r = poll(&p, 1, left > 0 ? (int)left : 0);
	if (r < 0 && errno != EINTR)
		die("poll: %s", strerror(errno));
	return r > 0;
}

/* False if the other side is gone, or does not read until @deadline. */
static int chan_write(struct chan *c, const char *s, int64_t deadline)
{
	size_t n = strlen(s);

	while (n) {
		ssize_t r;

		if (!chan_poll(c, POLLOUT, deadline))
			return 0;
		r = send(c->fd, s, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (r < 0)
			return 0;
		s += r;
		n -= (size_t)r;
	}
	return 1;
}

/*
 * The next line without its end, valid until the next call. NULL with errno
 * ETIMEDOUT or EPIPE.
 */
static char *chan_line(struct chan *c, int64_t deadline)
{
	char *nl;

	memmove(c->buf, c->buf + c->line, c->len - c->line);
	c->len -= c->line;
	c->line = 0;
	while (!(nl = c->len ? memchr(c->buf, '\n', c->len) : NULL)) {
		ssize_t r;

		if (c->size - c->len < 4096) {
			c->size = c->size * 2 + 65536;
			c->buf = xrealloc(c->buf, c->size);
		}
		if (!chan_poll(c, POLLIN, deadline)) {
			if (now_ms() < deadline)
				continue;
			errno = ETIMEDOUT;
			return NULL;
		}
		r = recv(c->fd, c->buf + c->len, c->size - c->len, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			errno = EPIPE;
			return NULL;
		}
		c->len += (size_t)r;
	}
	c->line = (size_t)(nl - c->buf) + 1;
	while (nl > c->buf && nl[-1] == '\r')
		nl--;
	*nl = '\0';
	return c->buf;
}

static void make_id(char id[32])
{
	snprintf(id, 32, "%d-%lld", (int)getpid(), (long long)now_ms());
}

static char *make_request(const char *id, const char *command)
{
	size_t n = strlen(command);
	char *req = xrealloc(NULL, B64_LEN(n) + 128);
	int head;

	/* the first newline ends what an earlier client may have left */
	head = sprintf(req, "\nR %s %zu ", id, B64_LEN(n));
	b64_encode(command, n, req + head);
	strcpy(req + head + B64_LEN(n), "\n");
	return req;
}

/* If @line is the whole answer to @id, print it and give the status. */
static int parse_answer(const char *line, const char *id, int *status)
{
	size_t len;
	char rid[32], form[4];
	int n = 0, st;

	if (sscanf(line, "@ %31s %d %3s %zu%n", rid, &st, form, &len, &n) < 4)
		return 0;
	/* a space follows, also if the data is empty */
	if (strcmp(rid, id) || line[n] != ' ' || strlen(line + n + 1) != len)
		return 0;
	print_decoded(line + n + 1, len, !strcmp(form, "gz"));
	*status = st;
	return 1;
}

static int await_answer(struct chan *c, const char *id, int64_t deadline)
{
	const char *line;
	int status;

	while ((line = chan_line(c, deadline)))
		if (parse_answer(line, id, &status))
			return status;
	return errno == ETIMEDOUT ? STATUS_TIMEOUT : STATUS_GONE;
}

static int cmd_run(struct chan *c, int64_t deadline, const char *command)
{
	char id[32], kill[64], *req;
	int status;

	make_id(id);
	req = make_request(id, command);
	/* an agent that does not read is a guest that hangs */
	if (!chan_write(c, req, deadline))
		return now_ms() < deadline ? STATUS_GONE : STATUS_TIMEOUT;
	free(req);
	status = await_answer(c, id, deadline);
	if (status != STATUS_TIMEOUT || now_ms() < deadline)
		return status;

	snprintf(kill, sizeof(kill), "\nK %s\n", id);
	if (chan_write(c, kill, now_ms() + GRACE_MS))
		status = await_answer(c, id, now_ms() + GRACE_MS);
	return status == STATUS_GONE ? STATUS_GONE : STATUS_TIMEOUT;
}

/*
 * The agent speaks up when it starts, but it may have done so long ago; then
 * it answers. What it says does not matter.
 */
static int cmd_wait(struct chan *c, int64_t deadline)
{
	while (now_ms() < deadline) {
		int64_t next = now_ms() + PING_MS;
		char id[32], *req;
		const char *line;

		if (next > deadline)
			next = deadline;
		make_id(id);
		req = make_request(id, ":");
		chan_write(c, req, next);
		free(req);
		while ((line = chan_line(c, next)))
			if (!strncmp(line, "@ ", 2))
				return 0;
		if (errno != ETIMEDOUT)
			return STATUS_GONE;
	}
	return STATUS_TIMEOUT;
}

/* All that QMP says until QEMU ends: why it did is the last event. */
static int cmd_events(struct chan *c, int64_t deadline)
{
	const char *line;

	if (!chan_write(c, "{\"execute\":\"qmp_capabilities\"}\n", deadline))
		return STATUS_GONE;
	while ((line = chan_line(c, deadline))) {
		puts(line);
		fflush(stdout);
	}
	return errno == ETIMEDOUT ? STATUS_TIMEOUT : 0;
}

static int cmd_qmp(struct chan *c, int64_t deadline, const char *command)
{
	char *req = xrealloc(NULL, strlen(command) + 64);
	const char *line;
	int answers = 0;

	sprintf(req, *command == '{' ? "%s\n" : "{\"execute\":\"%s\"}\n",
		command);
	if (!chan_write(c, "{\"execute\":\"qmp_capabilities\"}\n", deadline))
		return STATUS_GONE;
	while ((line = chan_line(c, deadline))) {
		int error = !strncmp(line, "{\"error\"", 8);

		if (!error && strncmp(line, "{\"return\"", 9))
			continue;
		if (!answers++) {
			chan_write(c, req, deadline);
			continue;
		}
		puts(line);
		return error;
	}
	return errno == ETIMEDOUT ? STATUS_TIMEOUT : STATUS_GONE;
}

int main(int argc, char **argv)
{
	struct chan c = { .size = 65536 };
	int64_t deadline;

	if (argc < 4)
		die("usage: vmsh wait|run|qmp|events SOCKET SECONDS [COMMAND]");
	deadline = now_ms() + (int64_t)(atof(argv[3]) * 1000);
	c.buf = xrealloc(NULL, c.size);
	chan_open(&c, argv[2]);
	if (!strcmp(argv[1], "wait") && argc == 4)
		return cmd_wait(&c, deadline);
	if (!strcmp(argv[1], "events") && argc == 4)
		return cmd_events(&c, deadline);
	if (!strcmp(argv[1], "run") && argc == 5)
		return cmd_run(&c, deadline, argv[4]);
	if (!strcmp(argv[1], "qmp") && argc == 5)
		return cmd_qmp(&c, deadline, argv[4]);
	die("bad arguments");
}
