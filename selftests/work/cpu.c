// SPDX-License-Identifier: GPL-2.0
/* cpu: /dev/cpu/0/cpuid says what the instruction says; msr has the thread pointer. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <asm/prctl.h>
#include <sys/syscall.h>
#include "work.h"

#define MSR_FS_BASE	0xc0000100

static int cpuid_leaves(int fd)
{
	uint32_t here[4], there[4];

	for (uint32_t leaf = 0; leaf < 4; leaf++) {
		__cpuid_count(leaf, 0, here[0], here[1], here[2], here[3]);
		if (pread(fd, there, sizeof(there), leaf) != sizeof(there))
			return fail("read");
		errno = EILSEQ;
		if (memcmp(here, there, sizeof(here)))
			return fail("another answer");
	}
	printf("ops 4\n");
	return 0;
}

/* Of the CPU that this program is on: its own thread pointer */
static int msr_fs_base(int fd)
{
	uint64_t here, there;

	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &here))
		return fail("arch_prctl");
	for (int i = 0; i < 100; i++) {
		if (pread(fd, &there, sizeof(there), MSR_FS_BASE) != sizeof(there))
			return fail("read");
		errno = EILSEQ;
		if (here != there)
			return fail("another value");
	}
	printf("ops 100\n");
	return 0;
}

int cpu_main(char **arg)
{
	cpu_set_t first;
	int fd;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		return fail("affinity");
	fd = open(!strcmp(arg[0], "msr") ? "/dev/cpu/0/msr" : "/dev/cpu/0/cpuid",
		  O_RDONLY);
	if (fd < 0)
		return fail("open");
	return !strcmp(arg[0], "msr") ? msr_fs_base(fd) : cpuid_leaves(fd);
}
