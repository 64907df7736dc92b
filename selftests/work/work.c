// SPDX-License-Identifier: GPL-2.0
/*
 * work: what busybox cannot do for the workloads of make drivers.  Runs in the
 * guest, statically linked.
 *
 *	work play DEVICE FRAMES		a ramp through an ALSA PCM
 *	work record DEVICE FRAMES	read from one
 *	work tun			packets through /dev/net/tun, both ways
 *	work char DEVICE		open, poll, read, ioctl, close
 *
 * It prints "ops N" and exits with 0 if all was right.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sound/asound.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define RATE	44100
#define STEP	37		/* of the ramp; drivers-l1.sh looks for it */

static int fail(const char *what)
{
	printf("work: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- sound -------------------------------------------------------------- */

static void any(struct snd_pcm_hw_params *p)
{
	memset(p, 0, sizeof(*p));
	for (int i = 0; i <= SNDRV_PCM_HW_PARAM_LAST_MASK -
			     SNDRV_PCM_HW_PARAM_FIRST_MASK; i++)
		memset(&p->masks[i], 0xff, sizeof(p->masks[i]));
	for (int i = 0; i <= SNDRV_PCM_HW_PARAM_LAST_INTERVAL -
			     SNDRV_PCM_HW_PARAM_FIRST_INTERVAL; i++)
		p->intervals[i].max = ~0U;
	p->rmask = ~0U;
	p->info = ~0U;
}

static void set_mask(struct snd_pcm_hw_params *p, int n, unsigned int bit)
{
	struct snd_mask *m = &p->masks[n - SNDRV_PCM_HW_PARAM_FIRST_MASK];

	memset(m, 0, sizeof(*m));
	m->bits[bit / 32] = 1U << bit % 32;
}

static void set_range(struct snd_pcm_hw_params *p, int n, unsigned int min,
		      unsigned int max)
{
	struct snd_interval *i =
		&p->intervals[n - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];

	i->min = min;
	i->max = max;
	i->integer = 1;
}

static unsigned int value(const struct snd_pcm_hw_params *p, int n)
{
	return p->intervals[n - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL].min;
}

/* 44100, so that what arrives can be compared, or what the others have. */
static int set_params(int fd, struct snd_pcm_hw_params *hw)
{
	static const unsigned int rates[] = { RATE, 48000 };

	for (int i = 0; i < 2; i++) {
		any(hw);
		set_mask(hw, SNDRV_PCM_HW_PARAM_ACCESS,
			 SNDRV_PCM_ACCESS_RW_INTERLEAVED);
		set_mask(hw, SNDRV_PCM_HW_PARAM_FORMAT,
			 SNDRV_PCM_FORMAT_S16_LE);
		set_range(hw, SNDRV_PCM_HW_PARAM_CHANNELS, 2, 2);
		set_range(hw, SNDRV_PCM_HW_PARAM_RATE, rates[i], rates[i]);
		set_range(hw, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, 1024, 4096);
		set_range(hw, SNDRV_PCM_HW_PARAM_BUFFER_SIZE, 8192, 16384);
		if (!ioctl(fd, SNDRV_PCM_IOCTL_HW_PARAMS, hw))
			return 0;
	}
	return -1;
}

static int pcm_open(const char *dev, int flags, unsigned int *buffer)
{
	struct snd_pcm_sw_params sw = { .period_step = 1, .avail_min = 1 };
	struct snd_pcm_hw_params hw;
	int fd = open(dev, flags);

	if (fd < 0)
		return -1;
	if (set_params(fd, &hw))
		return -1;
	*buffer = value(&hw, SNDRV_PCM_HW_PARAM_BUFFER_SIZE);
	sw.start_threshold = flags == O_RDONLY ? 1 : *buffer / 2;
	sw.stop_threshold = *buffer;
	sw.boundary = *buffer;
	while (sw.boundary * 2 <= 0x40000000)
		sw.boundary *= 2;
	if (ioctl(fd, SNDRV_PCM_IOCTL_SW_PARAMS, &sw) ||
	    ioctl(fd, SNDRV_PCM_IOCTL_PREPARE))
		return -1;
	return fd;
}

static int pcm(const char *dev, unsigned int frames, int record)
{
	static int16_t buf[2 * 1024];
	unsigned int done = 0, xruns = 0, buffer, n = 0;
	struct snd_xferi x = { .buf = buf, .frames = 1024 };
	int fd = pcm_open(dev, record ? O_RDONLY : O_WRONLY, &buffer);

	if (fd < 0)
		return fail(dev);
	alarm(120);
	while (done < frames) {
		for (unsigned int i = 0; !record && i < 1024; i++)
			buf[2 * i] = buf[2 * i + 1] =
				(int16_t)((done + i) * STEP);
		if (ioctl(fd, record ? SNDRV_PCM_IOCTL_READI_FRAMES :
			  SNDRV_PCM_IOCTL_WRITEI_FRAMES, &x)) {
			if (errno != EPIPE || ++xruns > 50 ||
			    ioctl(fd, SNDRV_PCM_IOCTL_PREPARE))
				return fail("transfer");
			continue;
		}
		done += x.result;
		n++;
	}
	if (!record && ioctl(fd, SNDRV_PCM_IOCTL_DRAIN) && errno != EPIPE)
		return fail("drain");
	close(fd);
	printf("ops %u\n# %u frames, %u xruns\n", n, done, xruns);
	return 0;
}

/* ---- tun ---------------------------------------------------------------- */

static int tun_up(const char *name)
{
	struct ifreq r = { 0 };
	struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	a->sin_family = AF_INET;
	inet_pton(AF_INET, "10.9.0.1", &a->sin_addr);
	if (ioctl(s, SIOCSIFADDR, &r))
		return -1;
	inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
	if (ioctl(s, SIOCSIFNETMASK, &r) || ioctl(s, SIOCGIFFLAGS, &r))
		return -1;
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &r))
		return -1;
	close(s);
	return 0;
}

/* The peer: send the packet back, addresses and ports exchanged. */
static int echo(int fd)
{
	unsigned char p[2048], t[4];
	ssize_t n;

	for (;;) {
		n = read(fd, p, sizeof(p));
		if (n < 28)
			return -1;
		if (p[0] == 0x45 && p[9] == IPPROTO_UDP)
			break;		/* not the router solicitations */
	}
	memcpy(t, p + 12, 4);
	memcpy(p + 12, p + 16, 4);
	memcpy(p + 16, t, 4);
	memcpy(t, p + 20, 2);
	memcpy(p + 20, p + 22, 2);
	memcpy(p + 22, t, 2);
	return write(fd, p, n) == n ? 0 : -1;
}

static int tun(void)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(7777) };
	int fd = open("/dev/net/tun", O_RDWR), s, i;
	unsigned char out[1000], in[1000];

	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) || tun_up(r.ifr_name))
		return fail("tun");
	alarm(60);
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(s, (struct sockaddr *)&to, sizeof(to)))
		return fail("connect");
	for (i = 0; i < 50; i++) {
		for (unsigned int j = 0; j < sizeof(out); j++)
			out[j] = i * 7 + j;
		if (send(s, out, sizeof(out), 0) < 0 || echo(fd) ||
		    recv(s, in, sizeof(in), 0) != sizeof(in))
			return fail("packet");
		if (memcmp(in, out, sizeof(in))) {
			printf("work: packet %d came back damaged\n", i);
			return 1;
		}
	}
	printf("ops %d\n", 2 * i);
	return 0;
}

/* ---- any character device ----------------------------------------------- */

static int chr(const char *dev)
{
	int modes[] = { O_RDWR, O_RDONLY, O_WRONLY }, n = 0, fd = -1;
	struct pollfd p = { .events = POLLIN | POLLOUT };
	char buf[256];

	for (int i = 0; i < 3 && fd < 0; i++)
		fd = open(dev, modes[i] | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fail(dev);
	p.fd = fd;
	poll(&p, 1, 100);
	if (p.revents & POLLIN)
		n += read(fd, buf, sizeof(buf)) >= 0;
	/* Not one of its own: any answer but success is right. */
	if (!ioctl(fd, _IO('?', 0xfe)))
		printf("# %s: ioctl says 0\n", dev);
	if (close(fd))
		return fail("close");
	printf("ops %d\n", n + 4);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "play"))
		return pcm(argv[2], atoi(argv[3]), 0);
	if (argc == 4 && !strcmp(argv[1], "record"))
		return pcm(argv[2], atoi(argv[3]), 1);
	if (argc == 2 && !strcmp(argv[1], "tun"))
		return tun();
	if (argc == 3 && !strcmp(argv[1], "char"))
		return chr(argv[2]);
	return 2;
}
