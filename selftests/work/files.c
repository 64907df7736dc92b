// SPDX-License-Identifier: GPL-2.0
/*
 * files: four processes make, grow, cut, rename, link and remove files at once,
 * each in a directory of its own, as a seed says; and check what there should be,
 * by the same seed. "make" leaves it there, "check" compares, maybe after the file
 * system was mounted anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "work.h"

#define PROCESSES 4
#define FILES	16
#define STEPS	80
#define MAX	40000

/* What a file should hold: size bytes of a stream. */
static struct { uint32_t stream, size; int there; } files[FILES];
static uint32_t state;

static uint32_t any(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

static unsigned char byte(uint32_t stream, uint32_t at)
{
	return (unsigned char)((stream + at * 2654435761u) >> 13);
}

static const char *name(unsigned int i)
{
	static char buf[2][64];
	static int n;

	n = !n;
	snprintf(buf[n], sizeof(buf[n]), "a file with a longer name.%u", i);
	return buf[n];
}

static int check_file(unsigned int i)
{
	static unsigned char buf[MAX + 1];
	int fd = open(name(i), O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT && !files[i].there ? 0 : -1;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	errno = EILSEQ;
	if (!files[i].there || n != (ssize_t)files[i].size)
		return -1;
	for (uint32_t j = 0; j < files[i].size; j++)
		if (buf[j] != byte(files[i].stream, j))
			return -1;
	return 0;
}

static int write_part(int fd, uint32_t stream, uint32_t from, uint32_t to)
{
	static unsigned char buf[MAX];

	for (uint32_t j = from; j < to; j++)
		buf[j - from] = byte(stream, j);
	return pwrite(fd, buf, to - from, from) == (ssize_t)(to - from) ? 0 : -1;
}

/* Longer, shorter or new */
static int change(unsigned int i, int play)
{
	uint32_t size = 1 + any(MAX), from = files[i].there ? files[i].size : 0;
	int fd, bad;

	if (!files[i].there)
		files[i].stream = state;
	files[i].there = 1;
	files[i].size = size;
	if (!play)
		return 0;
	fd = open(name(i), O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return -1;
	bad = size > from ? write_part(fd, files[i].stream, from, size) :
		ftruncate(fd, size);
	if (!bad && size % 8 == 0)
		bad = fsync(fd);
	return close(fd) || bad ? -1 : 0;
}

static int move(unsigned int i, unsigned int to, int play)
{
	if (!files[i].there || i == to)
		return 0;
	files[to] = files[i];
	files[i].there = 0;
	return play && rename(name(i), name(to)) ? -1 : 0;
}

static int drop(unsigned int i, int play)
{
	if (!files[i].there)
		return 0;
	files[i].there = 0;
	return play && unlink(name(i)) ? -1 : 0;
}

/* A directory, and out of it again: nothing is to be there at the end. */
static int directory(unsigned int i, int play)
{
	char dir[32], file[64];
	int fd;

	if (!play)
		return 0;
	snprintf(dir, sizeof(dir), "d%u", i);
	snprintf(file, sizeof(file), "%s/inside", dir);
	if (mkdir(dir, 0755))
		return -1;
	fd = open(file, O_RDWR | O_CREAT, 0600);
	return fd < 0 || write(fd, dir, 2) != 2 || close(fd) ||
		unlink(file) || rmdir(dir) ? -1 : 0;
}

static int step(int play)
{
	unsigned int what = any(10), i = any(FILES), to = any(FILES);

	if (what < 6)
		return change(i, play);
	if (what < 7)
		return drop(i, play);
	if (what < 9)
		return move(i, to, play);
	return directory(i, play);
}

static int process(unsigned int n, uint32_t seed, int play)
{
	char dir[16];

	snprintf(dir, sizeof(dir), "p%u", n);
	if ((play && mkdir(dir, 0755)) || chdir(dir))
		return fail(dir);
	state = seed * 7919 + n * 104729 + 1;
	for (int i = 0; i < STEPS; i++)
		if (step(play))
			return fail("step");
	for (unsigned int i = 0; i < FILES; i++)
		if (check_file(i))
			return fail(name(i));
	return 0;
}

int files_main(char **arg)
{
	int play = !strcmp(arg[0], "make"), bad = 0, status;
	uint32_t seed = (uint32_t)atoi(arg[2]);

	if (chdir(arg[1]))
		return fail(arg[1]);
	fflush(stdout);
	for (unsigned int n = 0; n < PROCESSES; n++)
		if (!fork()) {
			status = process(n, seed, play);
			fflush(stdout);
			_exit(status);
		}
	while (wait(&status) > 0)
		bad |= status;
	if (!bad)
		printf("ops %d\n", PROCESSES * (play ? STEPS : FILES));
	return bad != 0;
}
