/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TARGET_H
#define TARGET_H

#include <chariot.h>

/* "0xffffffff81a00000", "init_uts_ns.name.nodename+1": an address, or 0.
 * Symbols are the kernel's, or else the driver's. */
uint64_t target_find(const struct chariot_profile *p,
		     const struct chariot_driver *d, const char *text);

#endif
