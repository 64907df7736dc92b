/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_WAYS_H
#define HOST_WAYS_H

/* Nothing in the VM's tables lets a view do what it must not: a TAP line. */
void audit(int handle, const char *when);

#endif
