/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRESS_H
#define STRESS_H

#include "vm.h"

/* ---- random numbers (splitmix64): the same from the same seed ------------ */

struct rng {
	uint64_t state;
};

static inline uint64_t rng64(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 .. n - 1 */
static inline uint64_t below(struct rng *r, uint64_t n)
{
	return rng64(r) % n;
}

static inline bool one_in(struct rng *r, uint64_t n)
{
	return !below(r, n);
}

/* ---- what is counted, shared by all processes ---------------------------- */

#define NR_ERRNOS	134
#define NR_CALLS_MAX	40

struct counts {
	uint64_t calls[NR_CALLS_MAX], failed[NR_CALLS_MAX];
	uint64_t errnos[NR_ERRNOS];	/* 0: success */
	uint64_t done;			/* by the workers of all rounds */
	uint64_t runs;			/* KVM_RUNs */
	uint64_t events;		/* read */
	struct chariot_stats stats;	/* of all VMs, but those that were killed */
};
extern struct counts *counts;

static inline void count(uint64_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

/* ---- a world: some VMs, handles on them, pages that do not come ---------- */

#define NR_VMS		2
#define NR_HANDLES	3
#define LATE		0x680000		/* guest memory that comes late */
#define MODULES		(DRIVER2 + PAGE)	/* further ones, a page for each */
#define NR_MODULES	4
#define LATE_SIZE	(16 * PAGE)
#define BUF_SIZE	(1u << 20)
#define BUFS_AT		0x100000000000ull	/* far from all else */

struct world {
	struct guest vm[NR_VMS];
	int handle[NR_HANDLES];		/* -1: none; all threads use and close them */
	char *buf;			/* memory for arguments */
	struct stall late;		/* memory that comes late */
	void *extra;			/* memory for slot 1 */
};

void world_new(struct world *w);
/* Threads that run the vCPUs, give pages late, and interrupt KVM_RUN. */
void world_start(struct world *w, uint64_t seed);

/* One call of any kind; counts it.  @verbose: says what. */
void call_any(struct world *w, struct rng *r, bool verbose);
const char *call_name(unsigned int nr);
/* All are attached and isolated at first. */
void world_isolate(struct world *w);
/* At the end of a round: what the drivers did goes into the counts. */
void world_stats(struct world *w);

#endif
