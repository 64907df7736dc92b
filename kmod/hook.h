/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Our hooks in kvm.ko: which function of KVM's comes to which one of ours.
 * Documentation/hooks.rst tells what each is for.
 */
#ifndef CHARIOT_HOOK_H
#define CHARIOT_HOOK_H

/* All or none.  -ENOENT, -EBUSY. */
int chariot_hooks_install(void);
/* Waits for whoever is still in one. */
void chariot_hooks_remove(void);

#endif
