/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's counters by name, as the uapi header lists them.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <chariot.h>

struct counter {
	const char *key, *text;
	size_t at;		/* in struct chariot_stats */
	bool exit;		/* each one is an exit of its own */
};

#define COUNT_ONE(name, exit, text)	+ 1
#define NR_COUNTERS	((size_t)(0 CHARIOT_COUNTERS(COUNT_ONE)))

extern const struct counter counters[];

uint64_t counter_value(const struct chariot_stats *st, const struct counter *c);
/* Exits that no counter explains: repeated faults, stale mappings, ... */
uint64_t counter_other_exits(const struct chariot_stats *st);

#endif
