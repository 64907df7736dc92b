/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of the guest, through BAR 0 (bar.h).  All in QEMU's main loop or in
 * a vCPU's thread, under QEMU's lock.
 */
#ifndef CHARIOT_REQUEST_H
#define CHARIOT_REQUEST_H

#include "qemu.h"
#include "bar.h"

typedef struct ChariotRequests {
	MemoryRegion bar;
	struct chariot_guard *guard;
	char name[CHARIOT_BAR_NAME_LEN];
	uint32_t failed;		/* CHARIOT_BAR_*, of the last command */
	unsigned int nr;
} ChariotRequests;

void chariot_requests_start(ChariotRequests *r, PCIDevice *pci,
			    struct chariot_guard *guard);
void chariot_requests_reset(ChariotRequests *r);

#endif
