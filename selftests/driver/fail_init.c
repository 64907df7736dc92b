// SPDX-License-Identifier: GPL-2.0
/*
 * A driver whose init gives up.  It forgets an object: what the host knows of
 * that must go with the domain.
 */
#include <linux/module.h>
#include <linux/slab.h>

static int __init fail_init(void)
{
	u8 *freed = kzalloc(256, GFP_KERNEL);
	u8 *forgotten = kzalloc(256, GFP_KERNEL);

	if (!freed || !forgotten)
		return -ENOMEM;
	memset(freed, 0x55, 256);
	memset(forgotten, 0x55, 256);
	kfree(freed);
	return -ENODEV;
}
module_init(fail_init);

MODULE_DESCRIPTION("Chariot conformance: init fails");
MODULE_LICENSE("GPL");
