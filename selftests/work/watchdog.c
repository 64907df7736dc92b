// SPDX-License-Identifier: GPL-2.0
/* watchdog: set its time, feed it, let it be; then stop it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include "work.h"

int watchdog_main(char **arg)
{
	struct watchdog_info info = { 0 };
	int fd = open(arg[0], O_WRONLY), timeout = 8, seconds = atoi(arg[1]);

	if (fd < 0)
		return fail(arg[0]);
	if (ioctl(fd, WDIOC_GETSUPPORT, &info))
		return fail("support");
	printf("# %s\n", info.identity);
	if (info.options & WDIOF_SETTIMEOUT && ioctl(fd, WDIOC_SETTIMEOUT, &timeout))
		return fail("set timeout");
	if (ioctl(fd, WDIOC_GETTIMEOUT, &timeout))
		return fail("timeout");
	for (int i = 0; i < seconds; i++) {
		if (ioctl(fd, WDIOC_KEEPALIVE, 0) || write(fd, "x", 1) != 1)
			return fail("keepalive");
		sleep(1);
	}
	printf("timeout %d\nops %d\n", timeout, 2 * seconds + 3);
	/* closed without the V it goes on, and fires */
	if (write(fd, "V", 1) != 1 || close(fd))
		return fail("close");
	return 0;
}
