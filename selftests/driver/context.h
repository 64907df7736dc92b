/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CONTEXT_H
#define CONTEXT_H

#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "conform.h"

#define RUN_WORDS	16

/*
 * A run and what starts it.  It is given up, not freed, when its trigger does
 * not end: the kernel may still have a part of it.
 */
struct run {
	struct job		job;
	int			(*act)(struct job *job);
	int			ret;
	struct completion	done;
	int			pid[2];		/* of its threads */
	struct tasklet_struct	tasklet;
	struct timer_list	timer;
	struct irq_work		irqwork;
	struct hrtimer		hrtimer;
	struct work_struct	work;
	u64			words[2][RUN_WORDS];
};

struct run *run_alloc(int (*act)(struct job *job), const struct job *job);
/* Run it in @ctx and free it. */
int run_in(struct run *run, enum chariot_context ctx);

#endif
