/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's headers, wherever this version has them.  All that differs between
 * versions is here.
 */
#ifndef CHARIOT_QEMU_H
#define CHARIOT_QEMU_H

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/accel.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/notify.h"
#include "qom/object.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"

#if __has_include("hw/pci/pci_device.h")
#include "hw/pci/pci_device.h"
#else
#include "hw/pci/pci.h"
#endif

#if __has_include("system/runstate.h")
#include "system/kvm.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "system/system.h"
#else
#include "sysemu/kvm.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#include "sysemu/sysemu.h"
#endif

#define QEMU_AT_LEAST(major, minor) \
	(QEMU_VERSION_MAJOR > (major) || \
	 (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

/* The second parameter of class_init() */
#if QEMU_AT_LEAST(10, 1)
typedef const void class_data;
#else
typedef void class_data;
#endif

#endif
