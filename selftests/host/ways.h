/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_WAYS_H
#define HOST_WAYS_H

#include "vm.h"

/* Nothing in the VM's tables lets a view do what it must not: a TAP line. */
void audit(int handle, const char *when);

/* ---- a driver that writes to its own page and to another (ways-driver.c) --- */

#define WILD	0x700000	/* not the driver's */
#define OWN	OBJECT		/* a page that is */
#define HANDLER	0x13000		/* of the kernel: where INTR leads to */
#define VALUE	0x5a5a5a5au	/* what it writes */

struct world {
	struct guest g;
	int h;
	/* What the driver comes out for; may be NULL. */
	void (*at)(struct world *w, unsigned int port);
	bool no_own;			/* is not at OWN */
	unsigned int rounds;
	unsigned int n;
};

/* Isolated, and each CPU before its call of the driver, which writes @rounds times. */
void world_begin(struct world *w, unsigned int nr_cpus,
		 void (*prepare)(struct guest *g), unsigned int rounds,
		 void (*at)(struct world *w, unsigned int port));
/* For that: interrupt controllers inside KVM.  A CPU that halts does not come out. */
void world_irqchip(struct guest *g);
/* In a task: CPU 0 until it halts. */
long world_run(void *world);
/* Each wild write of all rounds of @cpus was seen, and nothing else was one: TAP. */
void world_judge(struct world *w, unsigned int cpus, bool ended, long result);
uint64_t violations(int handle);

#endif
