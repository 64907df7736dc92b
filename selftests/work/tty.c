// SPDX-License-Identifier: GPL-2.0
/*
 * serial: what is written to one tty comes out of the other, both ways.
 * relay: two pseudo terminals with a line discipline on each, which makes them
 * network interfaces; what one sends, the other gets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <linux/ppp-ioctl.h>
#include <linux/sockios.h>
#include <linux/tty.h>
#include <sys/ioctl.h>
#include "work.h"

static int raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return -1;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	cfsetspeed(&t, B115200);
	return tcsetattr(fd, TCSANOW, &t);
}

static int tty_open(const char *name)
{
	int fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0 && raw(fd) && errno != ENOTTY)
		return -1;
	return fd;
}

/* What a driver drops while nobody has read yet is not what is tested. */
static int pass(int from, int to, unsigned char seed)
{
	unsigned char out[200], in[200];
	unsigned int end = now_ms() + 20000;
	size_t n = 0, sent = 0;
	struct pollfd p[] = { { from, POLLOUT, 0 }, { to, POLLIN, 0 } };

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(seed + i * 7);
	while (n < sizeof(in)) {
		ssize_t r;

		errno = ETIMEDOUT;
		if (now_ms() > end)
			return -1;
		p[0].events = sent < sizeof(out) ? POLLOUT : 0;
		if (poll(p, 2, 500) <= 0)
			continue;
		if (p[0].revents & POLLOUT && sent < sizeof(out)) {
			r = write(from, out + sent, sizeof(out) - sent);
			sent += r > 0 ? (size_t)r : 0;
		}
		r = read(to, in + n, sizeof(in) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	errno = EILSEQ;
	return memcmp(in, out, sizeof(in)) ? -1 : 0;
}

int serial_main(char **arg)
{
	int a = tty_open(arg[0]), b = tty_open(arg[1]);
	int i;

	if (a < 0 || b < 0)
		return fail("open");
	for (i = 0; i < 10; i++)
		if (pass(a, b, (unsigned char)i) || pass(b, a, (unsigned char)~i))
			return fail("bytes");
	printf("ops %d\n", 2 * i);
	return 0;
}

/* The master of a pseudo terminal, with @discipline on its other side. */
static int pty(int discipline, int *slave)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY);

	if (fd < 0 || grantpt(fd) || unlockpt(fd))
		return -1;
	*slave = open(ptsname(fd), O_RDWR | O_NOCTTY);
	if (*slave < 0 || raw(*slave) || ioctl(*slave, TIOCSETD, &discipline))
		return -1;
	return fd;
}

static int copy(int from, int to)
{
	char buf[2048];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && errno == EIO)
		return 0;
	return n < 0 || write(to, buf, (size_t)n) != n ? -1 : 0;
}

/* An interface of PPP without its protocols' talk: IP packets pass at once. */
static int ppp_unit(int slave, char *name)
{
	struct npioctl ip = { PPP_IP, NPMODE_PASS };
	int channel = open("/dev/ppp", O_RDWR), unit = open("/dev/ppp", O_RDWR);
	int nr;

	if (channel < 0 || unit < 0 || ioctl(slave, PPPIOCGCHAN, &nr) ||
	    ioctl(channel, PPPIOCATTCHAN, &nr))
		return -1;
	nr = -1;
	if (ioctl(unit, PPPIOCNEWUNIT, &nr) || ioctl(channel, PPPIOCCONNECT, &nr) ||
	    ioctl(unit, PPPIOCSNPMODE, &ip))
		return -1;
	sprintf(name, "ppp%d", nr);
	return 0;
}

/* The interfaces' names come from the kernel: to the two files. */
static int tell_name(int slave, int discipline, const char *file)
{
	FILE *f = fopen(file, "w");
	char name[64] = "";

	if (!f)
		return -1;
	if (discipline == N_PPP ? ppp_unit(slave, name) :
	    discipline == N_SLIP ? ioctl(slave, SIOCGIFNAME, name) : 0)
		return -1;
	fprintf(f, "%s\n", name);
	return fclose(f);
}

static int write_pid(void)
{
	FILE *f = fopen("/tmp/relay.pid", "w");

	if (!f)
		return -1;
	fprintf(f, "%d\n", getpid());
	return fclose(f);
}

int relay_main(char **arg)
{
	int slave[2], master[2];
	int discipline = !strcmp(arg[0], "ppp") ? N_PPP : atoi(arg[0]);

	if (write_pid())
		return fail("pid");
	for (int i = 0; i < 2; i++) {
		master[i] = pty(discipline, &slave[i]);
		if (master[i] < 0)
			return fail("line discipline");
		if (tell_name(slave[i], discipline, arg[1 + i]))
			return fail(arg[1 + i]);
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd p[] = { { master[0], POLLIN, 0 },
				      { master[1], POLLIN, 0 } };

		if (poll(p, 2, -1) < 0)
			return fail("poll");
		for (int i = 0; i < 2; i++)
			if (p[i].revents && copy(master[i], master[!i]))
				return fail("relay");
	}
}
