// SPDX-License-Identifier: GPL-2.0
/* can: frames from one interface to the other, and back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "work.h"

#define FRAMES	50

static int can_socket(const char *name)
{
	struct sockaddr_can a = {
		.can_family = AF_CAN, .can_ifindex = (int)if_nametoindex(name),
	};
	int s = socket(AF_CAN, SOCK_RAW, CAN_RAW);
	struct timeval limit = { .tv_sec = 20 };

	if (s < 0 || !a.can_ifindex ||
	    bind(s, (struct sockaddr *)&a, sizeof(a)) ||
	    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return -1;
	return s;
}

static int one(int from, int to, unsigned int i)
{
	struct can_frame out = {
		.can_id = i % 2 ? i | CAN_EFF_FLAG | 0x10000 : i + 1,
		.can_dlc = i % 9,
	}, in;

	for (unsigned int j = 0; j < out.can_dlc; j++)
		out.data[j] = (__u8)(i * 9 + j);
	if (write(from, &out, sizeof(out)) != sizeof(out) ||
	    read(to, &in, sizeof(in)) != sizeof(in))
		return -1;
	errno = EILSEQ;
	return in.can_id == out.can_id && in.can_dlc == out.can_dlc &&
		!memcmp(in.data, out.data, out.can_dlc) ? 0 : -1;
}

int can_main(char **arg)
{
	int a = can_socket(arg[0]), b = can_socket(arg[1]);

	if (a < 0 || b < 0)
		return fail("socket");
	for (unsigned int i = 0; i < FRAMES; i++)
		if (one(a, b, i) || one(b, a, i + 1000))
			return fail("frame");
	printf("ops %d\n", 2 * FRAMES);
	return 0;
}
