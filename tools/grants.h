/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GRANTS_H
#define GRANTS_H

#include <chariot.h>

struct json_object;

/*
 * For each function that a driver calls, or that the kernel may call in it, what
 * the policy makes of it; files: a kernel and a module of it.  NULL after telling.
 */
struct json_object *grants_json(const struct chariot_policy *policy,
				const char *kernel, const char *file);

/* learn.c: the command. */
int policy_learn(int argc, char **argv);

#endif
