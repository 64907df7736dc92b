/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CHARIOT_AUDIT_H
#define CHARIOT_AUDIT_H

#include "vm.h"

/* Fill in what CHARIOT_AUDIT tells.  Under vm->lock.  -EINTR. */
int chariot_vm_audit(struct chariot_vm *vm, struct chariot_audit *out);

#endif
