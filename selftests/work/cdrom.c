// SPDX-License-Identifier: GPL-2.0
/* cdrom: its table of contents; the tray out, nothing to read, and in again. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/cdrom.h>
#include <sys/ioctl.h>
#include "work.h"

static int contents(int fd)
{
	struct cdrom_tocentry e = { .cdte_format = CDROM_LBA };
	struct cdrom_tochdr h;

	if (ioctl(fd, CDROMREADTOCHDR, &h))
		return fail("contents");
	e.cdte_track = h.cdth_trk0;
	if (ioctl(fd, CDROMREADTOCENTRY, &e))
		return fail("track");
	printf("# tracks %d to %d, first at %d\n", h.cdth_trk0, h.cdth_trk1,
	       e.cdte_addr.lba);
	errno = EILSEQ;
	return h.cdth_trk0 != 1 || e.cdte_addr.lba ? fail("contents") : 0;
}

/* The state may take a moment, and the first answer may be of the change. */
static int comes_to(int fd, int status)
{
	for (int i = 0; i < 100; i++) {
		if (ioctl(fd, CDROM_DRIVE_STATUS, CDSL_CURRENT) == status)
			return 1;
		usleep(100000);
	}
	return 0;
}

int cdrom_main(char **arg)
{
	int fd = open(arg[0], O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		return fail(arg[0]);
	if (contents(fd))
		return 1;
	if (ioctl(fd, CDROM_LOCKDOOR, 0) || ioctl(fd, CDROMEJECT))
		return fail("eject");
	if (!comes_to(fd, CDS_TRAY_OPEN))
		return fail("the tray is not out");
	if (ioctl(fd, CDROMCLOSETRAY))
		return fail("close tray");
	if (!comes_to(fd, CDS_DISC_OK))
		return fail("no disc after the tray is in");
	if (contents(fd))
		return 1;
	printf("ops 6\n");
	return 0;
}
