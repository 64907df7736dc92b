// SPDX-License-Identifier: GPL-2.0
/*
 * What subsystems do with their drivers, in ways that no type tells.  The
 * victim plays the subsystem, and looks whether it was done right.
 */
#include <linux/container_of.h>
#include <linux/string.h>

#include "conform.h"

/* The argument is a member of the object that is to be written. */
static int around(struct chariot_arg *arg)
{
	struct chariot_box *box = container_of(arg, struct chariot_box, arg);

	box->state = 7;
	box->sense[15] = 1;
	return 0;
}

int pass_around_argument(struct job *job)
{
	return victim_call_member(around);
}

/* What the argument points to is on the caller's stack, and has no type. */
static int fill_toc(unsigned int cmd, void *arg)
{
	struct chariot_toc *toc = arg;

	if (cmd != CHARIOT_READ_TOC)
		return -EINVAL;
	toc->first = 1;
	toc->last = 12;
	toc->address = 4500;
	return 0;
}

int pass_stack_argument(struct job *job)
{
	return victim_call_opaque(fill_toc);
}

/* As mtd does: length, where to say how much was read, buffer. */
static int read_flash(void *priv, loff_t from, size_t len, size_t *retlen,
		      u8 *buf)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = from + i;
	*retlen = len;
	return 0;
}

int pass_read_retlen(struct job *job)
{
	return victim_call_read(read_flash);
}

static int hooked(u64 *val)
{
	*val = CHARIOT_WILD;
	return 0;
}

/* A variable that its owner exports for drivers to set. */
int pass_hook_variable(struct job *job)
{
	int ret;

	WRITE_ONCE(victim_hook, hooked);
	ret = victim_call_hook();
	WRITE_ONCE(victim_hook, NULL);
	return ret;
}

/* Elements of an array that is another's, and which moves when it grows. */
int pass_grown_array(struct job *job)
{
	struct chariot_array array = { .elem_size = 40, .step = 8 };
	int i, ret = 0;
	u64 *elem;

	for (i = 0; i < 30 && !ret; i++) {
		elem = victim_array_new(&array);
		ret = fill(elem, 40);
		if (!ret)
			elem[0] = i;
	}
	for (i = 0; i < array.used && !ret; i++)
		if (*(u64 *)(array.list + i * 40) != i)
			ret = -EIO;
	victim_array_free(&array);
	return ret;
}
