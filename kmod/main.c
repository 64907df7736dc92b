// SPDX-License-Identifier: GPL-2.0
/* Begin and end of the module.  Called by the kernel. */
#include "dev.h"
#include "hook.h"
#include "kvm.h"
#include "life.h"

#include <linux/module.h>

static int __init chariot_init(void)
{
	int err;

	err = chariot_life_init();
	if (err)
		return err;
	err = chariot_kvm_init();
	if (err)
		goto life;
	err = chariot_hooks_install();
	if (err)
		goto kvm;
	err = chariot_dev_init();
	if (err)
		goto hooks;
	pr_info("%u domains for each VM, %s\n", CHARIOT_WATCH_VIEW - 1,
		!*chariot_tdp_enabled ? "shadow paging" :
		chariot_kvm_is_amd() ? "NPT" : "EPT");
	return 0;
hooks:
	chariot_hooks_remove();
kvm:
	chariot_kvm_uninit();
life:
	chariot_life_uninit();
	return err;
}

static void __exit chariot_exit(void)
{
	chariot_dev_uninit();
	chariot_hooks_remove();
	chariot_kvm_uninit();
	chariot_life_uninit();
}

module_init(chariot_init);
module_exit(chariot_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Isolation of guest kernel drivers");
MODULE_VERSION(CHARIOT_VERSION);
MODULE_SOFTDEP("pre: kvm");
