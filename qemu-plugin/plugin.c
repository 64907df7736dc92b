// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way in: QEMU loads this file for -plugin, before it makes any device.
 *
 * QEMU offers plugins a small interface for TCG, and promises nothing about
 * the rest, which we use.  So before the device type is registered, compare
 * all that can be compared with the QEMU that we were built for; registering a
 * type with a wrong layout would corrupt memory rather than fail.
 */
#include "qemu.h"

#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-types-control.h"
#include "qemu/qemu-plugin.h"

#include "device.h"

/* For tests: claim to be built for another QEMU. */
#ifdef CHARIOT_TEST_QEMU_MAJOR
#undef QEMU_VERSION_MAJOR
#define QEMU_VERSION_MAJOR CHARIOT_TEST_QEMU_MAJOR
#endif
#ifndef CHARIOT_TEST_SIZE_ERROR
#define CHARIOT_TEST_SIZE_ERROR 0
#endif

/* A type that every QEMU for x86 has, and what its class is known to hold */
#define PROBE_TYPE	"pci-bridge"
#define PROBE_DEVICE_ID	0x0001
#define PROBE_CLASS_ID	0x0604

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static bool check_target(const qemu_info_t *info)
{
	if (info->system_emulation &&
	    (!strcmp(info->target_name, "x86_64") ||
	     !strcmp(info->target_name, "i386")))
		return true;
	error_report("chariot: target is %s%s: only qemu-system-x86_64 is supported",
		     info->target_name,
		     info->system_emulation ? "" : " (user mode)");
	return false;
}

static bool check_arguments(int argc, char **argv)
{
	if (!argc)
		return true;
	error_report("chariot: -plugin takes no argument \"%s\": options belong to -device chariot,...",
		     argv[0]);
	return false;
}

static bool check_version(void)
{
	VersionInfo *v = qmp_query_version(&error_abort);
	bool ok = v->qemu->major == QEMU_VERSION_MAJOR &&
		  v->qemu->minor == QEMU_VERSION_MINOR;

	if (!ok)
		error_report("chariot: this chariot.so was built for QEMU %d.%d, and this is QEMU %d.%d.%d: rebuild it with the source package of the installed QEMU",
			     QEMU_VERSION_MAJOR, QEMU_VERSION_MINOR,
			     (int)v->qemu->major, (int)v->qemu->minor,
			     (int)v->qemu->micro);
	qapi_free_VersionInfo(v);
	return ok;
}

static bool check_size(const char *type, size_t ours)
{
	size_t theirs;

	if (!object_class_by_name(type)) {
		error_report("chariot: this QEMU has no type \"%s\"", type);
		return false;
	}
	theirs = object_type_get_instance_size(type);
	if (theirs == ours)
		return true;
	error_report("chariot: an object of type \"%s\" has %zu bytes in this QEMU, and %zu in the one that this chariot.so was built for: they are configured differently",
		     type, theirs, ours);
	return false;
}

/*
 * There is no way to ask for the size of a class.  Values that lie behind all
 * that we set in one are where they should be, or they are not.
 */
static bool check_class(void)
{
	ObjectClass *oc = object_class_by_name(PROBE_TYPE);
	PCIDeviceClass *pc = (PCIDeviceClass *)oc;
	DeviceClass *dc = (DeviceClass *)oc;

	if (!oc) {
		error_report("chariot: this QEMU has no type \"%s\"",
			     PROBE_TYPE);
		return false;
	}
	if (test_bit(DEVICE_CATEGORY_BRIDGE, dc->categories) &&
	    dc->user_creatable && dc->hotpluggable &&
	    pc->vendor_id == PCI_VENDOR_ID_REDHAT &&
	    pc->device_id == PROBE_DEVICE_ID && pc->class_id == PROBE_CLASS_ID)
		return true;
	error_report("chariot: the class of \"%s\" should have PCI id %04x:%04x, class %04x, and has %04x:%04x, class %04x: this chariot.so was built for a QEMU that is configured differently",
		     PROBE_TYPE, PCI_VENDOR_ID_REDHAT, PROBE_DEVICE_ID,
		     PROBE_CLASS_ID, pc->vendor_id, pc->device_id,
		     pc->class_id);
	return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
					   const qemu_info_t *info,
					   int argc, char **argv)
{
	static bool installed;

	if (installed) {
		error_report("chariot: -plugin is given twice");
		return -EEXIST;
	}
	if (!check_target(info) || !check_arguments(argc, argv) ||
	    !check_version() ||
	    !check_size(TYPE_OBJECT, sizeof(Object)) ||
	    !check_size(TYPE_DEVICE, sizeof(DeviceState)) ||
	    !check_size(TYPE_PCI_DEVICE,
			sizeof(PCIDevice) + CHARIOT_TEST_SIZE_ERROR) ||
	    !check_class())
		return -EINVAL;
	chariot_device_register();
	installed = true;
	return 0;
}
