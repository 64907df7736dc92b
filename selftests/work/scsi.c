// SPDX-License-Identifier: GPL-2.0
/* sg: commands to a SCSI disk: INQUIRY, and blocks that are written and read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include "work.h"

#define BLOCKS	64

static unsigned char data[BLOCKS * 512], back[BLOCKS * 512];

static int command(int fd, unsigned char *cdb, int len, int direction,
		   void *buf, unsigned int n)
{
	unsigned char sense[64];
	struct sg_io_hdr h = {
		.interface_id = 'S', .dxfer_direction = direction,
		.cmd_len = (unsigned char)len, .cmdp = cdb, .dxferp = buf,
		.dxfer_len = n, .sbp = sense, .mx_sb_len = sizeof(sense),
		.timeout = 20000,
	};

	if (ioctl(fd, SG_IO, &h))
		return -1;
	errno = EIO;
	return h.info & SG_INFO_CHECK ? -1 : 0;
}

static int transfer(int fd, unsigned char op, int direction, void *buf,
		    unsigned int block)
{
	unsigned char cdb[10] = { op, 0, 0, 0, (unsigned char)(block >> 8),
				  (unsigned char)block, 0, 0, BLOCKS };

	return command(fd, cdb, sizeof(cdb), direction, buf, sizeof(data));
}

int sg_main(char **arg)
{
	unsigned char inquiry[6] = { 0x12, 0, 0, 0, 96 }, answer[96] = "";
	unsigned char ready[6] = "";
	int fd = open(arg[0], O_RDWR);
	unsigned int i;

	if (fd < 0 || command(fd, inquiry, 6, SG_DXFER_FROM_DEV, answer, 96))
		return fail("inquiry");
	/* the first command is told of the reset */
	for (i = 0; command(fd, ready, 6, SG_DXFER_NONE, NULL, 0); i++)
		if (i == 5)
			return fail("not ready");
	printf("# %.28s\n", answer + 8);
	for (i = 0; i < 20; i++) {
		for (unsigned int j = 0; j < sizeof(data); j++)
			data[j] = (unsigned char)(i + j * 13 + j / 512);
		memset(back, 0, sizeof(back));
		if (transfer(fd, 0x2a, SG_DXFER_TO_DEV, data, i * BLOCKS) ||
		    transfer(fd, 0x28, SG_DXFER_FROM_DEV, back, i * BLOCKS))
			return fail("transfer");
		errno = EILSEQ;
		if (memcmp(data, back, sizeof(data)))
			return fail("read back");
	}
	printf("ops %u\n", 2 * i + 1);
	return 0;
}
