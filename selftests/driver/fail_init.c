// SPDX-License-Identifier: GPL-2.0
/* A driver whose init gives up. */
#include <linux/module.h>
#include <linux/slab.h>

static void *kept;

static int __init fail_init(void)
{
	kept = kzalloc(256, GFP_KERNEL);
	if (!kept)
		return -ENOMEM;
	memset(kept, 0x55, 256);
	kfree(kept);
	kept = NULL;
	return -ENODEV;
}
module_init(fail_init);

MODULE_DESCRIPTION("Chariot conformance: init fails");
MODULE_LICENSE("GPL");
