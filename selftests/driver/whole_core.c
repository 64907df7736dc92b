// SPDX-License-Identifier: GPL-2.0
/* The module that another one needs. */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/utsname.h>

#include "whole.h"

struct thing {
	struct list_head node;
	u8 data[WHOLE_LEN];
};

static LIST_HEAD(things);
static LIST_HEAD(users);
static DEFINE_MUTEX(lock);

void *whole_new(void)
{
	struct thing *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	mutex_lock(&lock);
	list_add(&t->node, &things);
	mutex_unlock(&lock);
	return t->data;
}
EXPORT_SYMBOL_GPL(whole_new);

void whole_delete(void *data)
{
	struct thing *t = container_of(data, struct thing, data[0]);

	mutex_lock(&lock);
	list_del(&t->node);
	mutex_unlock(&lock);
	kfree(t);
}
EXPORT_SYMBOL_GPL(whole_delete);

int whole_each(int (*fn)(void *thing))
{
	struct thing *t;
	int ret = 0;

	mutex_lock(&lock);
	list_for_each_entry(t, &things, node) {
		ret = fn(t->data);
		if (ret)
			break;
	}
	mutex_unlock(&lock);
	return ret;
}
EXPORT_SYMBOL_GPL(whole_each);

void whole_register(struct list_head *node)
{
	mutex_lock(&lock);
	list_add(node, &users);
	mutex_unlock(&lock);
}
EXPORT_SYMBOL_GPL(whole_register);

void whole_unregister(struct list_head *node)
{
	mutex_lock(&lock);
	list_del(node);
	mutex_unlock(&lock);
}
EXPORT_SYMBOL_GPL(whole_unregister);

void whole_damage(void)
{
	WRITE_ONCE(*(u32 *)utsname()->nodename, 0x41414141);
}
EXPORT_SYMBOL_GPL(whole_damage);

static int __init core_init(void)
{
	return 0;
}
module_init(core_init);

static void __exit core_exit(void)
{
}
module_exit(core_exit);

MODULE_DESCRIPTION("Chariot: the library of a driver of two modules");
MODULE_LICENSE("GPL");
