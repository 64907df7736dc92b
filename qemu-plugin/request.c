// SPDX-License-Identifier: GPL-2.0-or-later
#include "qemu.h"

#include <chariot.h>

#include "bar.h"
#include "request.h"

#define MAX_REQUESTS	64

/* In a vCPU's thread, under QEMU's lock. */
static void ask(ChariotRequests *r)
{
	r->failed = 0;
	if (!memchr(r->name, 0, sizeof(r->name)) ||
	    !chariot_name_ok(r->name, strlen(r->name)))
		r->failed = CHARIOT_BAR_BAD_NAME;
	else if (r->nr >= MAX_REQUESTS)
		r->failed = CHARIOT_BAR_TOO_MANY;
	else if (chariot_guard__ask(r->guard, r->name))
		r->failed = CHARIOT_BAR_FAILED;
	else
		r->nr++;
}

static uint32_t state(ChariotRequests *r)
{
	static const uint32_t states[] = {
		[CHARIOT_DRIVER_UNKNOWN] = CHARIOT_BAR_UNKNOWN,
		[CHARIOT_DRIVER_ASKED] = CHARIOT_BAR_BUSY,
		[CHARIOT_DRIVER_AWAITED] = CHARIOT_BAR_AWAITED,
		[CHARIOT_DRIVER_ISOLATED] = CHARIOT_BAR_ISOLATED,
		[CHARIOT_DRIVER_REPORTED] = CHARIOT_BAR_REPORTED,
	};
	int s;

	if (r->failed)
		return r->failed;
	if (!memchr(r->name, 0, sizeof(r->name)))
		return CHARIOT_BAR_BAD_NAME;
	s = chariot_guard__state(r->guard, r->name);
	return s >= 0 && s < (int)G_N_ELEMENTS(states) ? states[s] :
							 CHARIOT_BAR_FAILED;
}

static uint64_t bar_read(void *opaque, hwaddr at, unsigned size)
{
	ChariotRequests *r = opaque;

	if (at >= CHARIOT_BAR_NAME &&
	    at < CHARIOT_BAR_NAME + CHARIOT_BAR_NAME_LEN)
		return ldl_le_p(r->name + (at - CHARIOT_BAR_NAME));
	switch (at) {
	case CHARIOT_BAR_MAGIC:
		return CHARIOT_BAR_IS;
	case CHARIOT_BAR_VERSION:
		return CHARIOT_BAR_V1;
	case CHARIOT_BAR_STATE:
		return state(r);
	}
	return 0;
}

static void bar_write(void *opaque, hwaddr at, uint64_t val, unsigned size)
{
	ChariotRequests *r = opaque;

	if (at >= CHARIOT_BAR_NAME &&
	    at < CHARIOT_BAR_NAME + CHARIOT_BAR_NAME_LEN) {
		stl_le_p(r->name + (at - CHARIOT_BAR_NAME), val);
		r->failed = 0;
	} else if (at == CHARIOT_BAR_COMMAND && val == CHARIOT_BAR_ISOLATE) {
		ask(r);
	}
}

/* Others than aligned 32-bit accesses read as all ones, and write nothing. */
static const MemoryRegionOps bar_ops = {
	.read = bar_read,
	.write = bar_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 4, .max_access_size = 4 },
	.impl = { .min_access_size = 4, .max_access_size = 4 },
};

void chariot_requests_start(ChariotRequests *r, PCIDevice *pci,
			    struct chariot_guard *guard)
{
	r->guard = guard;
	memory_region_init_io(&r->bar, OBJECT(pci), &bar_ops, r, "chariot",
			      CHARIOT_BAR_SIZE);
	pci_register_bar(pci, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &r->bar);
}

void chariot_requests_reset(ChariotRequests *r)
{
	memset(r->name, 0, sizeof(r->name));
	r->failed = 0;
}
