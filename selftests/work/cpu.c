// SPDX-License-Identifier: GPL-2.0
/* cpu: /dev/cpu/0/cpuid says what the instruction says; msr reads the clock. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>
#include "work.h"

#define MSR_TSC	0x10

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

static int msr_clock(int fd)
{
	uint64_t last = __rdtsc(), tsc;

	for (int i = 0; i < 100; i++) {
		if (pread(fd, &tsc, sizeof(tsc), MSR_TSC) != sizeof(tsc))
			return fail("read");
		errno = EILSEQ;
		if (tsc <= last)
			return fail("the clock stands");
		last = tsc;
	}
	errno = EILSEQ;
	if (__rdtsc() <= last)
		return fail("the clock is ahead");
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
	return !strcmp(arg[0], "msr") ? msr_clock(fd) : cpuid_leaves(fd);
}
