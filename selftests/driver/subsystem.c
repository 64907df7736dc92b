// SPDX-License-Identifier: GPL-2.0
/*
 * A part of the victim: it plays subsystems which hand the driver memory that
 * no prototype describes, and judges what the driver did to it.
 */
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "chariot_conform.h"

int victim_call_member(int (*fn)(struct chariot_arg *arg))
{
	struct chariot_box *box = kzalloc(sizeof(*box), GFP_KERNEL);
	int ret;

	if (!box)
		return -ENOMEM;
	ret = fn(&box->arg);
	if (!ret && (box->state != 7 || box->sense[15] != 1))
		ret = -EINVAL;
	kfree(box);
	return ret;
}
EXPORT_SYMBOL_GPL(victim_call_member);

noinline int victim_call_opaque(int (*fn)(unsigned int cmd, void *arg))
{
	struct chariot_toc toc = {};
	int ret = fn(CHARIOT_READ_TOC, &toc);

	if (!ret && (toc.first != 1 || toc.last != 12 || toc.address != 4500))
		ret = -EINVAL;
	return ret;
}
EXPORT_SYMBOL_GPL(victim_call_opaque);

#define READ_FROM	3
#define READ_LEN	700

int victim_call_read(int (*fn)(void *priv, loff_t from, size_t len,
			       size_t *retlen, u8 *buf))
{
	u8 *buf = kzalloc(READ_LEN, GFP_KERNEL);
	size_t i, retlen = 0;
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = fn(NULL, READ_FROM, READ_LEN, &retlen, buf);
	if (!ret && retlen != READ_LEN)
		ret = -EINVAL;
	for (i = 0; i < READ_LEN && !ret; i++)
		if (buf[i] != (u8)(READ_FROM + i))
			ret = -EINVAL;
	kfree(buf);
	return ret;
}
EXPORT_SYMBOL_GPL(victim_call_read);

int (*victim_hook)(u64 *val);
EXPORT_SYMBOL_GPL(victim_hook);

int victim_call_hook(void)
{
	int (*hook)(u64 *val) = READ_ONCE(victim_hook);
	u64 val = 0;
	int ret = hook ? hook(&val) : -ENOENT;

	return ret ? ret : val == CHARIOT_WILD ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(victim_call_hook);

/* The next element, zeroed; all of them may move. */
void *victim_array_new(struct chariot_array *array)
{
	unsigned int n = array->alloced + array->step;
	void *list;

	if (array->used == array->alloced) {
		list = krealloc_array(array->list, n, array->elem_size,
				      GFP_KERNEL | __GFP_ZERO);
		if (!list)
			return NULL;
		array->list = list;
		array->alloced = n;
	}
	list = array->list + array->used++ * array->elem_size;
	memset(list, 0, array->elem_size);
	return list;
}
EXPORT_SYMBOL_GPL(victim_array_new);

void victim_array_free(struct chariot_array *array)
{
	kfree(array->list);
	memset(array, 0, sizeof(*array));
}
EXPORT_SYMBOL_GPL(victim_array_free);
