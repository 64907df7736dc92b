// SPDX-License-Identifier: GPL-2.0
#include "counters.h"

#include <string.h>

const struct counter counters[] = {
#define C(name, exit, text) \
	{ #name, text, offsetof(struct chariot_stats, name), exit },
	CHARIOT_COUNTERS(C)
#undef C
};

uint64_t counter_value(const struct chariot_stats *st, const struct counter *c)
{
	uint64_t v;

	memcpy(&v, (const char *)st + c->at, sizeof(v));
	return v;
}

uint64_t counter_other_exits(const struct chariot_stats *st)
{
	uint64_t known = 0;

	for (size_t i = 0; i < NR_COUNTERS; i++)
		if (counters[i].exit)
			known += counter_value(st, &counters[i]);
	return st->exits + st->ahead > known ? st->exits + st->ahead - known : 0;
}
