/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drivers in mode inline: the hypercalls of the runtime in their images (CHARIOT_HC_*).
 * What is done about each is what the other modes do when a driver faults there.
 */
#ifndef CHARIOT_INLINE_H
#define CHARIOT_INLINE_H

struct kvm_vcpu;

/* In place of kvm_emulate_hypercall(). */
int chariot_hypercall(struct kvm_vcpu *vcpu);

#endif
