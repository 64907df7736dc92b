// SPDX-License-Identifier: GPL-2.0
/* A second driver, which calls the first and is called back. */
#include <linux/module.h>

#include "chariot_conform.h"

static u64 word;

static int callback(u64 *val)
{
	*val = CHARIOT_WILD;
	return 0;
}

static int __init second_init(void)
{
	int ret = conform_call(callback, &word);

	if (!ret && word != CHARIOT_WILD)
		ret = -EIO;
	victim_report("second", ret);
	return ret;
}
module_init(second_init);

static void __exit second_exit(void)
{
}
module_exit(second_exit);

MODULE_DESCRIPTION("Chariot conformance: a second driver");
MODULE_LICENSE("GPL");
