// SPDX-License-Identifier: GPL-2.0
/*
 * module NAME [MS]: in a guest, load what a module depends on, then it, wait MS
 * milliseconds (300), unload it, and with it all else that came since. Lines come
 * out:
 *
 *	before			it is loaded already; nothing was done
 *	dep MODULE ERROR	so it cannot be loaded; nothing more is tried
 *	load RESULT MS		RESULT: 0, the name of an error, or killed
 *	unload RESULT MS
 *	log LINE		the kernel's complaints meanwhile, the first three
 *	left N			modules that came and did not go
 *	done
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_LOADED	2048
#define NAME_LEN	64
#define MAX_LOG		3
#define KILLED		(-1)

struct loaded {
	char name[NAME_LEN];
	int refs;
};

static struct loaded at_first[MAX_LOADED], now[MAX_LOADED];
static char dir[128], line[16384];

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "module: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const char *result(int err)
{
	return !err ? "0" : err == KILLED ? "killed" : strerrorname_np(err) ?: "?";
}

static long ms_since(const struct timespec *from)
{
	struct timespec to;

	clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from->tv_sec) * 1000 +
	       (to.tv_nsec - from->tv_nsec) / 1000000;
}

/* Of "a/b/c-d.ko": "c_d", as the kernel has it. */
static void name_of(const char *path, char *name)
{
	const char *base = strrchr(path, '/');
	size_t n;

	base = base ? base + 1 : path;
	n = strcspn(base, ".");
	if (n >= NAME_LEN)
		n = NAME_LEN - 1;
	for (size_t i = 0; i < n; i++)
		name[i] = base[i] == '-' ? '_' : base[i];
	name[n] = 0;
}

static int read_loaded(struct loaded *list)
{
	FILE *f = fopen("/proc/modules", "re");
	int n = 0;

	if (!f)
		fail("/proc/modules");
	while (n < MAX_LOADED &&
	       fscanf(f, "%63s %*s %d %*[^\n]", list[n].name, &list[n].refs) == 2)
		n++;
	fclose(f);
	return n;
}

static bool has(const struct loaded *list, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return true;
	return false;
}

static bool is_loaded(const char *name)
{
	return has(now, read_loaded(now), name);
}

/* To @line, its one of modules.dep: "a.ko: b.ko c.ko", c.ko first to be loaded. */
static void find_line(const char *name)
{
	char path[256], at[NAME_LEN], *colon;
	FILE *f;

	snprintf(path, sizeof(path), "%s/modules.dep", dir);
	f = fopen(path, "re");
	if (!f)
		fail(path);
	while (fgets(line, sizeof(line), f)) {
		colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = 0;
		name_of(line, at);
		if (!strcmp(at, name)) {
			*colon = ':';
			fclose(f);
			return;
		}
	}
	errno = ENOENT;
	fail(name);
}

static int insert(const char *rel)
{
	char path[512];
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", dir, rel);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return err;
}

static int take_out(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? errno : 0;
}

/* The kernel may have asked for it itself when another one was loaded. */
static int insert_anew(const char *rel)
{
	int err = insert(rel);
	char name[NAME_LEN];

	name_of(rel, name);
	return err == EEXIST && !take_out(name) ? insert(rel) : err;
}

/* In a process of its own, which an oops may end. */
static int apart(int (*f)(const char *), const char *arg)
{
	int *err = mmap(NULL, sizeof(*err), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0), status;
	pid_t pid;

	if (err == MAP_FAILED)
		fail("mmap");
	*err = KILLED;
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		*err = f(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) != pid)
		;
	return *err;
}

static int timed(const char *what, int (*f)(const char *), const char *arg)
{
	struct timespec from;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &from);
	err = apart(f, arg);
	printf("%s %s %ld\n", what, result(err), ms_since(&from));
	return err;
}

/* From the last one on. */
static bool load_deps(void)
{
	char *deps = line + strcspn(line, ":") + 1, *last, name[NAME_LEN];
	int err;

	deps[strcspn(deps, "\n")] = 0;
	while ((last = strrchr(deps, ' '))) {
		*last = 0;
		name_of(last + 1, name);
		if (!last[1] || is_loaded(name))
			continue;
		err = apart(insert, last + 1);
		if (err && err != EEXIST) {
			printf("dep %s %s\n", name, result(err));
			return false;
		}
	}
	return true;
}

/* All that has come since: as long as one more goes. */
static void clean(int nr_at_first)
{
	bool again = true;
	int n, left = 0;

	while (again) {
		again = false;
		left = 0;
		n = read_loaded(now);
		for (int i = 0; i < n; i++) {
			if (has(at_first, nr_at_first, now[i].name))
				continue;
			left++;
			if (!now[i].refs && !apart(take_out, now[i].name))
				again = true;
		}
	}
	printf("left %d\n", left);
}

static bool is_bad(const char *text)
{
	static const char *const bad[] = {
		"BUG: ", "BUG at ", "WARNING: ", "Oops", "general protection", "UBSAN",
		"detected stalls", "self-detected stall", "soft lockup",
		"blocked for more than", "refcount_t: ", "list_add corruption",
		"list_del corruption",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (strstr(text, bad[i]))
			return true;
	return false;
}

static void print_log(int fd)
{
	char buf[8192];
	int told = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		char *text;

		if (n < 0)
			continue;
		buf[n] = 0;
		text = strchr(buf, ';');
		if (!text++ || told >= MAX_LOG)
			continue;
		text[strcspn(text, "\n")] = 0;
		if (is_bad(text)) {
			printf("log %s\n", text);
			told++;
		}
	}
}

int main(int argc, char **argv)
{
	int kmsg, n, wait_ms = argc > 2 ? atoi(argv[2]) : 300;
	char name[NAME_LEN], *path;
	struct utsname u;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: module NAME [MS]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	uname(&u);
	snprintf(dir, sizeof(dir), "/lib/modules/%s", u.release);
	name_of(argv[1], name);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		fail("/dev/kmsg");
	n = read_loaded(at_first);
	if (has(at_first, n, name)) {
		puts("before");
		puts("done");
		return 0;
	}
	find_line(name);
	path = strndup(line, strcspn(line, ":"));
	if (path && load_deps() && !timed("load", insert_anew, path)) {
		usleep(wait_ms * 1000);
		timed("unload", take_out, name);
	}
	clean(n);
	print_log(kmsg);
	puts("done");
	return 0;
}
