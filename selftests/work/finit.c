// SPDX-License-Identifier: GPL-2.0
/* finit FILE: in a guest, load a module that the kernel is to unpack. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULE_INIT_COMPRESSED_FILE	4

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0 && !syscall(SYS_finit_module, fd, "", MODULE_INIT_COMPRESSED_FILE))
		return 0;
	fprintf(stderr, "finit: %s\n", strerror(errno));
	return 1;
}
