// SPDX-License-Identifier: GPL-2.0
/* input: print the events that come, "TYPE CODE VALUE", but those of report ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/input.h>
#include "work.h"

int input_main(char **arg)
{
	unsigned int end = now_ms() + 1000 * atoi(arg[2]);
	struct pollfd p = { .events = POLLIN };
	int n = atoi(arg[1]), came = 0;
	struct input_event e;

	p.fd = open(arg[0], O_RDONLY);
	if (p.fd < 0)
		return fail(arg[0]);
	printf("ready\n");
	fflush(stdout);
	while (came < n && now_ms() < end) {
		if (poll(&p, 1, 500) <= 0)
			continue;
		if (read(p.fd, &e, sizeof(e)) != sizeof(e))
			return fail("read");
		/* a key that is held for long on a slow machine is repeated */
		if (e.type == EV_SYN || e.type == EV_MSC ||
		    (e.type == EV_KEY && e.value == 2))
			continue;
		printf("event %d %d %d\n", e.type, e.code, e.value);
		fflush(stdout);
		came++;
	}
	printf("ops %d\n", came);
	return came < n;
}
