// SPDX-License-Identifier: GPL-2.0
/*
 * chariot-load: in a guest, have a driver loaded isolated.  It asks the chariot
 * device of the VM (requests=on), loads the module with modprobe, and says what
 * came of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../qemu-plugin/bar.h"

#define DEVICES	"/sys/bus/pci/devices"
#define WAIT_S	20

/* Exit status. */
enum { ISOLATED, NOT_LOADED, USAGE, NOT_ISOLATED };

static volatile uint32_t *bar;

static void say(const char *what, int err)
{
	fprintf(stderr, "chariot-load: %s%s%s\n", what, err ? ": " : "",
		err ? strerror(err) : "");
}

static unsigned long read_id(const char *dev, const char *file)
{
	char path[512], buf[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", dev, file);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(buf, sizeof(buf), f))
		buf[0] = 0;
	fclose(f);
	return strtoul(buf, NULL, 16);
}

static int enable(const char *dev)
{
	char path[512];
	int fd, err = 0;

	snprintf(path, sizeof(path), DEVICES "/%s/enable", dev);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err;
}

static int map(const char *dev)
{
	char path[512];
	void *p;
	int fd, err;

	snprintf(path, sizeof(path), DEVICES "/%s/resource0", dev);
	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0) {
		if (errno == ENOENT)
			say("the chariot device takes no requests (requests=on)",
			    0);
		else
			say(path, errno);
		return -1;
	}
	err = enable(dev);
	p = mmap(NULL, CHARIOT_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 fd, 0);
	if (p == MAP_FAILED)
		err = errno;
	close(fd);
	if (err) {
		say(path, err);
		return -1;
	}
	bar = p;
	if (bar[CHARIOT_BAR_MAGIC / 4] == CHARIOT_BAR_IS &&
	    bar[CHARIOT_BAR_VERSION / 4] == CHARIOT_BAR_V1)
		return 0;
	say("the chariot device speaks another version", 0);
	return -1;
}

static int find_device(void)
{
	struct dirent *e;
	DIR *d = opendir(DEVICES);
	int r = 1;

	while (d && r > 0 && (e = readdir(d)))
		if (read_id(e->d_name, "vendor") == CHARIOT_PCI_VENDOR &&
		    read_id(e->d_name, "device") == CHARIOT_PCI_DEVICE)
			r = map(e->d_name);
	if (r > 0)
		say("this VM has no chariot device", 0);
	if (d)
		closedir(d);
	return r;
}

static uint32_t state(void)
{
	uint32_t s = CHARIOT_BAR_BUSY;

	for (int i = 0; i < WAIT_S * 100 && s == CHARIOT_BAR_BUSY; i++) {
		if (i)
			usleep(10000);
		s = bar[CHARIOT_BAR_STATE / 4];
	}
	return s;
}

static uint32_t ask(const char *name)
{
	char buf[CHARIOT_BAR_NAME_LEN] = "";
	uint32_t w;

	if (strlen(name) >= sizeof(buf))
		return CHARIOT_BAR_BAD_NAME;
	strcpy(buf, name);
	for (size_t i = 0; i < sizeof(buf); i += 4) {
		memcpy(&w, buf + i, 4);
		bar[(CHARIOT_BAR_NAME + i) / 4] = w;
	}
	bar[CHARIOT_BAR_COMMAND / 4] = CHARIOT_BAR_ISOLATE;
	return state();
}

static const char *why(uint32_t s)
{
	switch (s) {
	case CHARIOT_BAR_UNKNOWN:
		return "the host did not take the request";
	case CHARIOT_BAR_BUSY:
		return "the host does not answer";
	case CHARIOT_BAR_AWAITED:
		return "the host has not seen it being loaded";
	case CHARIOT_BAR_REPORTED:
		return "the host reports what it does, and lets it";
	case CHARIOT_BAR_BAD_NAME:
		return "that is no name of a module";
	case CHARIOT_BAR_TOO_MANY:
		return "too many requests of this VM";
	}
	return "the host failed; its log says why";
}

static int modprobe(char **argv)
{
	int status;
	pid_t pid;

	argv[0] = "modprobe";
	pid = fork();
	if (!pid) {
		execvp(argv[0], argv);
		say(argv[0], errno);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		say("modprobe", errno);
		return -1;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	uint32_t s;

	if (!*name || *name == '-') {
		fprintf(stderr, "Usage: chariot-load MODULE [PARAMETER=VALUE...]\n"
			"\n"
			"Load a module that the host isolates from its first instruction.\n"
			"Exit status: 0 isolated, 1 not loaded, 2 usage, 3 loaded, but not isolated.\n");
		return USAGE;
	}
	if (find_device())
		return NOT_LOADED;
	s = ask(name);
	if (s != CHARIOT_BAR_AWAITED && s != CHARIOT_BAR_ISOLATED &&
	    s != CHARIOT_BAR_REPORTED) {
		fprintf(stderr, "chariot-load: %s is not loaded: %s\n", name,
			why(s));
		return NOT_LOADED;
	}
	if (modprobe(argv)) {
		fprintf(stderr, "chariot-load: %s is not loaded\n", name);
		return NOT_LOADED;
	}
	s = state();
	if (s == CHARIOT_BAR_ISOLATED) {
		printf("%s: isolated\n", name);
		return ISOLATED;
	}
	fprintf(stderr, "chariot-load: %s is loaded, but not isolated: %s\n",
		name, why(s));
	return NOT_ISOLATED;
}
