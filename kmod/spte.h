/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a second-stage entry may give, in each view.  Asked by KVM's make_spte()
 * (hook.c) and by the audit.
 */
#ifndef CHARIOT_SPTE_H
#define CHARIOT_SPTE_H

#include "vm.h"

unsigned long chariot_spte_access(struct kvm *kvm, u32 role, gfn_t gfn,
				  unsigned long access);

#endif
