// SPDX-License-Identifier: GPL-2.0
/*
 * guest-agent: run commands in an L2 guest that come over a serial port.
 *
 * Requests are lines, "R ID LENGTH BASE64" to run a command with sh, and
 * "K ID" to end one. The answer is a line "@ ID STATUS raw|gz LENGTH BASE64"
 * with the output, after the command's end; "@ ready" says that this program
 * has started. vmsh.c is the other side.
 *
 * Statically linked, and it forks little: a shell that did this work took most
 * of a second per command under nested emulation.
 */
#define _GNU_SOURCE
#include "b64.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define STATUS_KILLED	124
#define MAX_JOBS	64
/* Every byte costs the host several exits: compress what is longer. */
#define COMPRESS_ABOVE	1024

struct job {
	char id[32];
	pid_t pid;		/* of the runner */
};

static struct job jobs[MAX_JOBS];
static int port;

static void write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t r = write(fd, s, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return;
		s += r;
		n -= (size_t)r;
	}
}

/* Compress what @fd holds, into a file of its own; -1 if that fails. */
static int compress_file(int fd)
{
	int out = memfd_create("gz", 0), status;
	pid_t pid = out < 0 ? -1 : fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		lseek(fd, 0, SEEK_SET);
		dup2(fd, 0);
		dup2(out, 1);
		execlp("gzip", "gzip", "-1", NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return -1;
	return out;
}

/*
 * One write() for all: the tty layer does not mix those of different
 * processes.
 */
static void answer(const char *id, int status, int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	const char *form = "raw";
	uint8_t *data = NULL;
	size_t n, head;
	char *buf;

	if (len > COMPRESS_ABOVE) {
		int gz = compress_file(fd);

		if (gz >= 0) {
			form = "gz";
			fd = gz;
			len = lseek(fd, 0, SEEK_END);
		}
	}
	n = len > 0 ? (size_t)len : 0;
	if (n)
		data = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
	buf = malloc(B64_LEN(n) + 128);
	if (!buf || data == MAP_FAILED)
		_exit(1);
	head = (size_t)sprintf(buf, "\n@ %s %d %s %zu ", id, status, form,
			       B64_LEN(n));
	b64_encode(data, n, buf + head);
	head += B64_LEN(n);
	buf[head++] = '\n';
	write_all(port, buf, head);
}

static pid_t start_command(const char *command, int out, sigset_t *old)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	sigprocmask(SIG_SETMASK, old, NULL);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(out, 1);
	dup2(out, 2);
	execl("/bin/sh", "sh", "-c", command, NULL);
	dprintf(2, "guest-agent: sh: %s\n", strerror(errno));
	_exit(126);
}

/*
 * Runs in a process of its own, apart from that of the command: an oops or a
 * hang of the command leaves this one, and the agent, alive.
 */
static void runner(const char *id, const char *command)
{
	int out = memfd_create("out", MFD_CLOEXEC), status, sig;
	sigset_t set, old;
	pid_t pid;

	/* a command's child that outlives it must not write while this reads */
	fcntl(out, F_SETFL, O_APPEND);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = start_command(command, out, &old);
	for (;;) {
		sigwait(&set, &sig);
		if (sig == SIGTERM) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			status = STATUS_KILLED;
			break;
		}
		if (waitpid(pid, &status, WNOHANG) == pid) {
			status = WIFEXITED(status) ? WEXITSTATUS(status) :
				 128 + WTERMSIG(status);
			break;
		}
	}
	answer(id, status, out);
	_exit(0);
}

static struct job *find_job(const char *id)
{
	int i;

	for (i = 0; i < MAX_JOBS; i++)
		if (!strcmp(jobs[i].id, id))
			return &jobs[i];
	return NULL;
}

static void reap(void)
{
	pid_t pid;
	int i;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (i = 0; i < MAX_JOBS; i++)
			if (jobs[i].pid == pid)
				jobs[i] = (struct job){ 0 };
}

static void run(const char *id, char *data)
{
	struct job *job = find_job("");

	if (!job)
		return;
	data[b64_decode(data, strlen(data), data)] = '\0';
	snprintf(job->id, sizeof(job->id), "%s", id);
	job->pid = fork();
	if (!job->pid)
		runner(id, data);
	if (job->pid < 0)
		*job = (struct job){ 0 };
}

static void handle(char *line)
{
	struct job *job;
	char id[32];
	size_t len;
	int n = 0;

	reap();
	if (sscanf(line, "R %31s %zu %n", id, &len, &n) == 2) {
		/* a line that lost its beginning or end is no command */
		if (n && strlen(line + n) == len)
			run(id, line + n);
	} else if (sscanf(line, "K %31s", id) == 1) {
		job = find_job(id);
		if (job)
			kill(job->pid, SIGTERM);
	}
}

static int open_port(const char *path)
{
	struct termios t;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &t))
		return -1;
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	t.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &t))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	size_t size = 0, len = 0;
	char *buf = NULL, *nl;
	ssize_t r;

	if (argc != 2) {
		fprintf(stderr, "usage: guest-agent PORT\n");
		return 2;
	}
	port = open_port(argv[1]);
	if (port < 0) {
		perror(argv[1]);
		return 1;
	}
	write_all(port, "\n@ ready\n", 9);
	for (;;) {
		if (size - len < 4096) {
			size = size * 2 + 65536;
			buf = realloc(buf, size);
			if (!buf)
				return 1;
		}
		r = read(port, buf + len, size - len - 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return 1;
		len += (size_t)r;
		while ((nl = memchr(buf, '\n', len))) {
			*nl = '\0';
			handle(buf);
			len -= (size_t)(nl + 1 - buf);
			memmove(buf, nl + 1, len);
		}
	}
}
