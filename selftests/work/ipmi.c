// SPDX-License-Identifier: GPL-2.0
/* ipmi: ask the BMC for its id, and for its self test's result, many times. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/ipmi.h>
#include <sys/ioctl.h>
#include "work.h"

#define APP	0x06

/* Length of the answer, whose first byte is 0 (fine) */
static int ask(int fd, unsigned char cmd, unsigned char *answer, int size)
{
	struct ipmi_system_interface_addr to = {
		.addr_type = IPMI_SYSTEM_INTERFACE_ADDR_TYPE,
		.channel = IPMI_BMC_CHANNEL,
	};
	static long id;
	struct ipmi_req q = {
		.addr = (void *)&to, .addr_len = sizeof(to), .msgid = ++id,
		.msg = { .netfn = APP, .cmd = cmd },
	};
	struct ipmi_addr from;
	struct ipmi_recv r = {
		.addr = (void *)&from, .addr_len = sizeof(from),
		.msg = { .data = answer, .data_len = (unsigned short)size },
	};
	struct pollfd p = { fd, POLLIN, 0 };

	if (ioctl(fd, IPMICTL_SEND_COMMAND, &q))
		return -1;
	errno = ETIMEDOUT;
	if (poll(&p, 1, 30000) != 1 || ioctl(fd, IPMICTL_RECEIVE_MSG_TRUNC, &r))
		return -1;
	errno = EILSEQ;
	return r.msgid == id && r.msg.cmd == cmd && !answer[0] ?
		r.msg.data_len : -1;
}

int ipmi_main(char **arg)
{
	unsigned char first[64], b[64];
	int fd = open(arg[0], O_RDWR), n = 0, i;

	if (fd < 0)
		return fail(arg[0]);
	for (i = 0; i < 20; i++) {
		n = ask(fd, 0x01, b, sizeof(b));
		if (n < 12)
			return fail("device id");
		if (!i)
			memcpy(first, b, (size_t)n);
		errno = EILSEQ;
		if (memcmp(first, b, (size_t)n))
			return fail("another id");
		/* what is asked for is not implemented everywhere */
		if (ask(fd, 0x04, b, sizeof(b)) < 0 && errno == ETIMEDOUT)
			return fail("self test");
	}
	printf("ops %d\n", 2 * i);
	return 0;
}
