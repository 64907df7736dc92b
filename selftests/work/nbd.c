// SPDX-License-Identifier: GPL-2.0
/*
 * nbd: serve a file to the kernel's client. Both ends are in this machine: one
 * process gives the kernel a socket and stays in it, the other one answers.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/nbd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "work.h"

static int all(int fd, void *buf, size_t n, int out)
{
	char *p = buf;

	while (n) {
		ssize_t r = out ? send(fd, p, n, 0) : recv(fd, p, n, 0);

		if (r <= 0)
			return -1;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int serve(int s, int file)
{
	static char buf[1 << 20];
	struct nbd_request q;

	while (!all(s, &q, sizeof(q), 0)) {
		struct nbd_reply r = { .magic = htonl(NBD_REPLY_MAGIC) };
		unsigned int type = ntohl(q.type) & 0xffff, len = ntohl(q.len);
		off_t at = (off_t)be64toh(q.from);

		memcpy(r.handle, q.handle, sizeof(r.handle));
		if (type == NBD_CMD_DISC)
			return 0;
		if (len > sizeof(buf) && type <= NBD_CMD_WRITE)
			return 1;
		if (type == NBD_CMD_WRITE && (all(s, buf, len, 0) ||
		    pwrite(file, buf, len, at) != (ssize_t)len))
			return 1;
		if (type == NBD_CMD_READ &&
		    pread(file, buf, len, at) != (ssize_t)len)
			return 1;
		if (all(s, &r, sizeof(r), 1) ||
		    (type == NBD_CMD_READ && all(s, buf, len, 1)))
			return 1;
	}
	return 0;
}

/* A pair of connected TCP sockets: what is said is that of a network. */
static int tcp_pair(int s[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (l < 0 || s[0] < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(l, 1) || getsockname(l, (struct sockaddr *)&a, &len) ||
	    connect(s[0], (struct sockaddr *)&a, sizeof(a)))
		return -1;
	s[1] = accept(l, NULL, NULL);
	close(l);
	return s[1] < 0 ? -1 : 0;
}

int nbd_main(char **arg)
{
	int dev = open(arg[0], O_RDWR), file = open(arg[1], O_RDWR), s[2];
	struct stat st;

	if (dev < 0 || file < 0 || fstat(file, &st) || tcp_pair(s))
		return fail("open");
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(s[0]);
		close(dev);
		_exit(serve(s[1], file));
	}
	close(s[1]);
	if (ioctl(dev, NBD_SET_BLKSIZE, 1024UL) ||
	    ioctl(dev, NBD_SET_SIZE_BLOCKS, st.st_size / 1024) ||
	    ioctl(dev, NBD_SET_SOCK, s[0]))
		return fail("set up");
	printf("ready\n");
	fflush(stdout);
	/* until NBD_DISCONNECT */
	ioctl(dev, NBD_DO_IT);
	ioctl(dev, NBD_CLEAR_QUE);
	ioctl(dev, NBD_CLEAR_SOCK);
	return 0;
}

int nbd_end_main(char **arg)
{
	int dev = open(arg[0], O_RDWR);

	return dev < 0 || ioctl(dev, NBD_DISCONNECT) ? fail("disconnect") : 0;
}
