// SPDX-License-Identifier: GPL-2.0
/* tsc: print the kHz of this machine's TSC, right also where it is busy. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define TRIES	10000

struct sample {
	uint64_t tsc;
	int64_t ns;
};

/* Of many readings the one that took least: nothing came between its two clocks. */
static struct sample take(void)
{
	struct sample best = {};
	uint64_t least = UINT64_MAX;
	struct timespec t;
	int i;

	for (i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), took;

		clock_gettime(CLOCK_MONOTONIC, &t);
		took = __rdtsc() - before;
		if (took >= least)
			continue;
		least = took;
		best.tsc = before + took / 2;
		best.ns = t.tv_sec * 1000000000ll + t.tv_nsec;
	}
	return best;
}

int main(void)
{
	struct sample a = take(), b;

	usleep(200000);
	b = take();
	printf("%.0f\n", (b.tsc - a.tsc) * 1e6 / (b.ns - a.ns));
	return 0;
}
