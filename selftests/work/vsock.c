// SPDX-License-Identifier: GPL-2.0
/* vsock: a stream to this machine itself, both ways. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/vm_sockets.h>
#include "work.h"

#define PORT	1234
#define SIZE	(256 * 1024)

static unsigned char out[SIZE], in[SIZE];

static int echo(int listener)
{
	int s = accept(listener, NULL, NULL);
	ssize_t n;

	while ((n = recv(s, in, 4096, 0)) > 0)
		if (send(s, in, (size_t)n, 0) != n)
			return 1;
	return n < 0;
}

static int stream(int s)
{
	size_t sent = 0, got = 0;

	while (got < SIZE) {
		ssize_t n = SIZE - sent > 8192 ? 8192 : SIZE - sent;

		if (n && send(s, out + sent, (size_t)n, 0) != n)
			return -1;
		sent += (size_t)n;
		while (got < sent) {
			n = recv(s, in + got, sent - got, 0);
			if (n <= 0)
				return -1;
			got += (size_t)n;
		}
	}
	errno = EILSEQ;
	return memcmp(in, out, SIZE) ? -1 : 0;
}

int vsock_main(char **arg)
{
	struct sockaddr_vm a = {
		.svm_family = AF_VSOCK, .svm_port = PORT,
		.svm_cid = VMADDR_CID_ANY,
	};
	int l = socket(AF_VSOCK, SOCK_STREAM, 0), s, status;
	pid_t child;

	(void)arg;
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 1))
		return fail("listen");
	child = fork();
	if (!child)
		_exit(echo(l));
	for (unsigned int i = 0; i < SIZE; i++)
		out[i] = (unsigned char)(i * 31 + i / 256);
	s = socket(AF_VSOCK, SOCK_STREAM, 0);
	a.svm_cid = VMADDR_CID_LOCAL;
	if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)))
		return fail("connect");
	if (stream(s))
		return fail("stream");
	close(s);
	close(l);
	if (waitpid(child, &status, 0) != child || status)
		return fail("the other side");
	printf("ops %d\n", SIZE / 4096);
	return 0;
}
