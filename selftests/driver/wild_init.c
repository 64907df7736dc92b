// SPDX-License-Identifier: GPL-2.0
/*
 * A driver whose init writes the prepared target first of all: behind the end of a
 * variable that it imports.
 */
#include <linux/module.h>

#include "chariot_conform.h"

static int __init wild_init(void)
{
	WRITE_ONCE((&victim_before)[1], CHARIOT_WILD);
	victim_report("wild_init", 0);
	return 0;
}
module_init(wild_init);

static void __exit wild_exit(void)
{
}
module_exit(wild_exit);

MODULE_DESCRIPTION("Chariot conformance: init does damage");
MODULE_LICENSE("GPL");
