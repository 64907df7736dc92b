// SPDX-License-Identifier: GPL-2.0
/*
 * kexec KERNEL INITRD: boot another kernel, with this one's command line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/reboot.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	char line[4096];
	FILE *f = fopen("/proc/cmdline", "r");
	int kernel, initrd;

	if (argc != 3) {
		fprintf(stderr, "usage: kexec KERNEL INITRD\n");
		return 2;
	}
	if (!f || !fgets(line, sizeof(line), f))
		return fail("/proc/cmdline");
	line[strcspn(line, "\n")] = 0;
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (kernel < 0 || initrd < 0)
		return fail("open");
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1,
		    line, 0L))
		return fail("kexec_file_load");
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);
	return fail("reboot");
}
