// SPDX-License-Identifier: GPL-2.0
/* mtd: erase, write and read what is flash, or says so. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <mtd/mtd-user.h>
#include <sys/ioctl.h>
#include "work.h"

static int one_block(int fd, const struct mtd_info_user *info, unsigned int n,
		     unsigned char *out, unsigned char *in)
{
	struct erase_info_user e = { n * info->erasesize, info->erasesize };
	off_t at = e.start;

	if (ioctl(fd, MEMERASE, &e) ||
	    pread(fd, in, e.length, at) != (ssize_t)e.length)
		return -1;
	errno = EILSEQ;
	for (unsigned int i = 0; i < e.length; i++) {
		if (in[i] != 0xff)
			return -1;
		out[i] = (unsigned char)(n + i * 7 + i / 256);
	}
	if (pwrite(fd, out, e.length, at) != (ssize_t)e.length ||
	    pread(fd, in, e.length, at) != (ssize_t)e.length)
		return -1;
	errno = EILSEQ;
	return memcmp(in, out, e.length) ? -1 : 0;
}

int mtd_main(char **arg)
{
	struct mtd_info_user info;
	int fd = open(arg[0], O_RDWR);
	unsigned char *out, *in;
	unsigned int n;

	if (fd < 0 || ioctl(fd, MEMGETINFO, &info))
		return fail(arg[0]);
	out = malloc(info.erasesize);
	in = malloc(info.erasesize);
	if (!out || !in)
		return fail("memory");
	for (n = 0; n < 8 && n < info.size / info.erasesize; n++)
		if (one_block(fd, &info, n, out, in))
			return fail("block");
	printf("ops %u\n", 4 * n);
	return 0;
}
