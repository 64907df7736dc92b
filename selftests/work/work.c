// SPDX-License-Identifier: GPL-2.0
/*
 * work: what busybox cannot do for the workloads of make drivers.  Runs in the
 * guest, statically linked.
 *
 *	work play DEVICE FRAMES		a ramp through an ALSA PCM
 *	work record DEVICE FRAMES	read from one
 *	work loopback PLAY RECORD	of a device that is both
 *	work tun			packets through /dev/net/tun, both ways
 *	work char DEVICE		open, poll, read, ioctl, close
 *	work mixer DEVICE		read each control, change it and set it back
 *	work ethtool NAME		what a network device tells, and its rings anew
 *
 * and, in files of their own:
 *
 *	work display DEVICE		set a mode and draw; /tmp/screen.ppm should be seen
 *	work input DEVICE N SECONDS	print N events
 *	work can FROM TO		frames from one interface to the other, and back
 *	work serial TTY TTY		what is written to one comes out of the other
 *	work relay DISCIPLINE A B	two ttys as interfaces that are linked, until killed
 *	work sg DEVICE			INQUIRY, write, read and compare by SG_IO
 *	work ipmi DEVICE		ask the BMC who it is
 *	work watchdog DEVICE SECONDS	feed it so long, and stop it
 *	work vsock			a stream to this machine itself
 *	work mtd DEVICE			erase, write, read and compare
 *	work nbd DEVICE FILE		serve a file as that device
 *	work nbd-end DEVICE		and no longer
 *	work files make|check DIR SEED	a tree of files, made by four processes
 *	work cipher hash|skcipher NAME	AF_ALG
 *	work cdrom DEVICE		contents, tray out and in
 *	work cpu cpuid|msr		its registers as files
 *	work uinput			events of this program's own
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
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <sound/asound.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include "work.h"

#define RATE	44100
#define STEP	37		/* of the ramp; drivers-l1.sh looks for it */

int fail(const char *what)
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

unsigned int now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A device that plays faster than its rate plays something else. */
static int too_fast(unsigned int frames, unsigned int ms)
{
	if (ms >= frames * 1000ULL / 48000 * 3 / 4)
		return 0;
	printf("work: %u frames in %u ms\n", frames, ms);
	return 1;
}

static int pcm(const char *dev, unsigned int frames, int record)
{
	static int16_t buf[2 * 1024];
	unsigned int done = 0, xruns = 0, buffer, n = 0;
	struct snd_xferi x = { .buf = buf, .frames = 1024 };
	int fd = pcm_open(dev, record ? O_RDONLY : O_WRONLY, &buffer);
	unsigned int start = now_ms(), ms;

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
	ms = now_ms() - start;
	close(fd);
	printf("ops %u\n# %u frames, %u xruns, %u ms\n", n, done, xruns, ms);
	return xruns ? 0 : too_fast(done, ms);
}

/* What one process plays, the other one records: much of the ramp must be there. */
static int loopback(const char *play, const char *record)
{
	static int16_t buf[2 * 1024];
	struct snd_xferi x = { .buf = buf, .frames = 1024 };
	unsigned int buffer, good = 0, all = 0;
	int fd = pcm_open(record, O_RDONLY, &buffer), status;
	int16_t last = 0;
	pid_t child;

	if (fd < 0)
		return fail(record);
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(pcm(play, 40000, 0));
	alarm(120);
	while (waitpid(child, &status, WNOHANG) != child) {
		if (ioctl(fd, SNDRV_PCM_IOCTL_READI_FRAMES, &x)) {
			if (errno != EPIPE || ioctl(fd, SNDRV_PCM_IOCTL_PREPARE))
				return fail("record");
			continue;
		}
		for (unsigned int i = 0; i < x.result; i++, all++) {
			good += (int16_t)(buf[2 * i] - last) == STEP;
			last = buf[2 * i];
		}
	}
	printf("ops %u\n# %u of %u frames\n", all / 1024, good, all);
	errno = EILSEQ;
	return status || good < 30000 ? fail("frames") : 0;
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

/* ---- mixer -------------------------------------------------------------- */

static int same_value(const struct snd_ctl_elem_value *a,
		      const struct snd_ctl_elem_value *b, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (a->value.integer.value[i] != b->value.integer.value[i])
			return 0;
	return 1;
}

/* 0: it is set, and reads as that. */
static int set_value(int fd, struct snd_ctl_elem_value *v, unsigned int count)
{
	struct snd_ctl_elem_value now = { .id = v->id };

	if (ioctl(fd, SNDRV_CTL_IOCTL_ELEM_WRITE, v) < 0 ||
	    ioctl(fd, SNDRV_CTL_IOCTL_ELEM_READ, &now) < 0)
		return -1;
	errno = EILSEQ;
	return same_value(v, &now, count) ? 0 : -1;
}

static int change_value(int fd, const struct snd_ctl_elem_info *info,
			const struct snd_ctl_elem_value *v)
{
	struct snd_ctl_elem_value other = *v;

	other.value.integer.value[0] =
		v->value.integer.value[0] == info->value.integer.min ?
		info->value.integer.max : info->value.integer.min;
	if (set_value(fd, &other, info->count))
		return -1;
	other = *v;
	return set_value(fd, &other, info->count);
}

static int control(int fd, const struct snd_ctl_elem_id *id)
{
	struct snd_ctl_elem_value v = { .id = *id };
	struct snd_ctl_elem_info info = { .id = *id };

	if (ioctl(fd, SNDRV_CTL_IOCTL_ELEM_INFO, &info) < 0)
		return -1;
	if (!(info.access & SNDRV_CTL_ELEM_ACCESS_READ))
		return 0;
	if (ioctl(fd, SNDRV_CTL_IOCTL_ELEM_READ, &v) < 0)
		return -1;
	if (!(info.access & SNDRV_CTL_ELEM_ACCESS_WRITE) ||
	    (info.type != SNDRV_CTL_ELEM_TYPE_INTEGER &&
	     info.type != SNDRV_CTL_ELEM_TYPE_BOOLEAN))
		return 0;
	return change_value(fd, &info, &v);
}

static int mixer(const char *dev)
{
	struct snd_ctl_elem_id ids[256];
	struct snd_ctl_elem_list list = { .space = 256, .pids = ids };
	int fd = open(dev, O_RDWR);

	if (fd < 0 || ioctl(fd, SNDRV_CTL_IOCTL_ELEM_LIST, &list))
		return fail(dev);
	for (unsigned int i = 0; i < list.used; i++)
		if (control(fd, &ids[i]))
			return fail((const char *)ids[i].name);
	close(fd);
	printf("ops %u\n", list.used);
	return 0;
}

/* ---- ethtool ------------------------------------------------------------ */

static struct ifreq ethernet;
static int ethernet_socket;

static int ethtool(void *arg)
{
	ethernet.ifr_data = arg;
	return ioctl(ethernet_socket, SIOCETHTOOL, &ethernet);
}

/* Not what is in it: that the driver fills it. A driver may lack it. */
static int ethtool_read(__u32 cmd, __u32 len)
{
	static union {
		__u32 cmd;
		struct ethtool_regs regs;	/* the others have len there, too */
		struct ethtool_eeprom eeprom;
		char room[1 << 16];
	} u;

	memset(&u, 0, sizeof(u));
	u.cmd = cmd;
	if (len > sizeof(u) / 2)
		len = sizeof(u) / 2;
	if (cmd == ETHTOOL_GREGS)
		u.regs.len = len;
	if (cmd == ETHTOOL_GEEPROM)
		u.eeprom.len = len;
	if (!ethtool(&u) || errno == EOPNOTSUPP)
		return 0;
	printf("work: ethtool command %#x: ", cmd);
	return -1;
}

static int ethtool_reads(void)
{
	static const __u32 simple[] = {
		ETHTOOL_GSET, ETHTOOL_GMSGLVL, ETHTOOL_GWOL, ETHTOOL_GLINK,
		ETHTOOL_GCOALESCE, ETHTOOL_GPAUSEPARAM,
	};
	struct ethtool_drvinfo d = { .cmd = ETHTOOL_GDRVINFO };

	if (ethtool(&d))
		return -1;
	for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
		if (ethtool_read(simple[i], 0))
			return -1;
	if (d.regdump_len && ethtool_read(ETHTOOL_GREGS, d.regdump_len))
		return -1;
	/* bit by bit, with delays: some is enough */
	if (d.eedump_len && ethtool_read(ETHTOOL_GEEPROM, 16))
		return -1;
	return d.n_stats ? ethtool_read(ETHTOOL_GSTATS, 0) : 0;
}

static int set_ring(struct ethtool_ringparam *r, __u32 tx)
{
	struct ethtool_ringparam now = { .cmd = ETHTOOL_GRINGPARAM };

	r->cmd = ETHTOOL_SRINGPARAM;
	r->tx_pending = tx;
	if (ethtool(r) || ethtool(&now))
		return -1;
	errno = EILSEQ;
	return now.tx_pending == tx ? 0 : -1;
}

/* Half the descriptors, and back. */
static int rings(void)
{
	struct ethtool_ringparam r = { .cmd = ETHTOOL_GRINGPARAM };
	__u32 tx;

	if (ethtool(&r))
		return errno == EOPNOTSUPP ? 0 : -1;
	tx = r.tx_pending;
	return set_ring(&r, tx / 2) ?: set_ring(&r, tx);
}

static int ethernet_device(const char *name)
{
	snprintf(ethernet.ifr_name, sizeof(ethernet.ifr_name), "%s", name);
	ethernet_socket = socket(AF_INET, SOCK_DGRAM, 0);
	if (ethernet_socket < 0 || ethtool_reads())
		return fail("ethtool");
	if (rings())
		return fail("rings");
	printf("ops 1\n");
	return 0;
}

static int play_main(char **arg) { return pcm(arg[0], atoi(arg[1]), 0); }
static int record_main(char **arg) { return pcm(arg[0], atoi(arg[1]), 1); }
static int loopback_main(char **arg) { return loopback(arg[0], arg[1]); }
static int tun_main(char **arg) { (void)arg; return tun(); }
static int char_main(char **arg) { return chr(arg[0]); }
static int mixer_main(char **arg) { return mixer(arg[0]); }
static int ethtool_main(char **arg) { return ethernet_device(arg[0]); }

static const struct {
	const char *name;
	int args;
	int (*run)(char **arg);
} commands[] = {
	{ "play", 2, play_main },
	{ "record", 2, record_main },
	{ "loopback", 2, loopback_main },
	{ "tun", 0, tun_main },
	{ "char", 1, char_main },
	{ "mixer", 1, mixer_main },
	{ "ethtool", 1, ethtool_main },
	{ "display", 1, display_main },
	{ "input", 3, input_main },
	{ "can", 2, can_main },
	{ "serial", 2, serial_main },
	{ "relay", 3, relay_main },
	{ "sg", 1, sg_main },
	{ "ipmi", 1, ipmi_main },
	{ "watchdog", 2, watchdog_main },
	{ "vsock", 0, vsock_main },
	{ "mtd", 1, mtd_main },
	{ "nbd", 2, nbd_main },
	{ "nbd-end", 1, nbd_end_main },
	{ "files", 3, files_main },
	{ "cipher", 2, cipher_main },
	{ "cdrom", 1, cdrom_main },
	{ "cpu", 1, cpu_main },
	{ "uinput", 0, uinput_main },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (argc == commands[i].args + 2 &&
		    !strcmp(argv[1], commands[i].name))
			return commands[i].run(argv + 2);
	fprintf(stderr, "work: no such command\n");
	return 2;
}
