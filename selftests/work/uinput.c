// SPDX-License-Identifier: GPL-2.0
/* uinput: a keyboard of this program's own; what it sends has to arrive. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/uinput.h>
#include <sys/ioctl.h>
#include "work.h"

static int create(void)
{
	struct uinput_setup s = { .id = { BUS_VIRTUAL, 1, 2, 3 }, .name = "ours" };
	int fd = open("/dev/uinput", O_RDWR);

	if (fd < 0 || ioctl(fd, UI_SET_EVBIT, EV_KEY) ||
	    ioctl(fd, UI_SET_EVBIT, EV_ABS))
		return -1;
	for (int k = KEY_1; k <= KEY_0; k++)
		if (ioctl(fd, UI_SET_KEYBIT, k))
			return -1;
	return ioctl(fd, UI_DEV_SETUP, &s) || ioctl(fd, UI_DEV_CREATE) ? -1 : fd;
}

static int send_event(int fd, int type, int code, int value)
{
	struct input_event e = { .type = (__u16)type, .code = (__u16)code,
				 .value = value };

	return write(fd, &e, sizeof(e)) == sizeof(e) ? 0 : -1;
}

static int find_node(int fd, int *node)
{
	char sys[64] = "", path[128], dev[64];

	if (ioctl(fd, UI_GET_SYSNAME(sizeof(sys)), sys) < 0)
		return -1;
	for (int n = 0; n < 32; n++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/virtual/input/%s/event%d", sys, n);
		if (access(path, F_OK))
			continue;
		snprintf(dev, sizeof(dev), "/dev/input/event%d", n);
		*node = open(dev, O_RDONLY);
		return *node < 0 ? -1 : 0;
	}
	errno = ENODEV;
	return -1;
}

int uinput_main(char **arg)
{
	int fd = create(), node = -1, n = 0;
	struct input_event e;

	(void)arg;
	if (fd < 0 || find_node(fd, &node))
		return fail("create");
	for (int k = KEY_1; k <= KEY_0; k++)
		for (int down = 1; down >= 0; down--) {
			if (send_event(fd, EV_KEY, k, down) ||
			    send_event(fd, EV_SYN, SYN_REPORT, 0))
				return fail("send");
			for (int i = 0; i < 2; i++) {
				if (read(node, &e, sizeof(e)) != sizeof(e))
					return fail("read");
				errno = EILSEQ;
				if (!i && (e.type != EV_KEY || e.code != k ||
					   e.value != down))
					return fail("another event");
			}
			n++;
		}
	if (ioctl(fd, UI_DEV_DESTROY))
		return fail("destroy");
	printf("ops %d\n", n);
	return 0;
}
