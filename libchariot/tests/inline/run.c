// SPDX-License-Identifier: LGPL-2.1-or-later
#include "check.h"
int inline_run(const struct ko_file *old, const struct chariot_inline *x, uint64_t seed,
	       unsigned int functions, unsigned int states, struct inline_runs *r)
{
	return 0;
}
