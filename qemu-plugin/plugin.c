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
#define KNOWN		"pci-bridge"
#define KNOWN_DEVICE	0x0001
#define KNOWN_CLASS	0x0604

#define PROBE		"chariot-probe"
#define FILL		0xa5

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
		error_report("chariot: this chariot.so was built for QEMU %d.%d, and this is QEMU %d.%d.%d: rebuild it (dpkg-reconfigure chariot-qemu, or make plugin)",
			     QEMU_VERSION_MAJOR, QEMU_VERSION_MINOR,
			     (int)v->qemu->major, (int)v->qemu->minor,
			     (int)v->qemu->micro);
	qapi_free_VersionInfo(v);
	return ok;
}

/* A PCI device, and nothing else */
static void probe_class_init(ObjectClass *oc, class_data *data)
{
	DEVICE_CLASS(oc)->user_creatable = false;
}

static void register_probe(void)
{
	static InterfaceInfo interfaces[] = {
		{ INTERFACE_CONVENTIONAL_PCI_DEVICE },
		{ },
	};
	static const TypeInfo info = {
		.name = PROBE,
		.parent = TYPE_PCI_DEVICE,
		.class_init = probe_class_init,
		.interfaces = interfaces,
	};

	type_register_static(&info);
}

/*
 * Not all versions have a function that tells the size of an object.  But all
 * of them clear its memory first, and take what is ours for that.
 */
static bool check_object(void)
{
	size_t ours = sizeof(PCIDevice) + CHARIOT_TEST_SIZE_ERROR;
	size_t theirs = 2 * sizeof(PCIDevice) + 4096;
	uint8_t *mem = g_malloc(theirs);
	PCIDevice *pci = (PCIDevice *)mem;
	bool placed;

	memset(mem, FILL, theirs);
	object_initialize(mem, theirs, PROBE);
	while (theirs && mem[theirs - 1] == FILL)
		theirs--;
	/* Defaults of properties, near the start and near the end. */
	placed = pci->devfn == -1 && pci->romsize == UINT32_MAX;
	object_unref(OBJECT(mem));
	g_free(mem);
	if (theirs == ours && placed)
		return true;
	error_report("chariot: a PCIDevice has %zu bytes in this QEMU, and %zu%s in the one that this chariot.so was built for: they are configured differently",
		     theirs, ours, placed ? "" : ", in another order,");
	return false;
}

/*
 * There is no way to ask for the size of a class.  Values that lie behind all
 * that we set in one are where they should be, or they are not.
 */
static bool check_class(void)
{
	ObjectClass *oc = object_class_by_name(KNOWN);
	PCIDeviceClass *pc = (PCIDeviceClass *)oc;
	DeviceClass *dc = (DeviceClass *)oc;

	if (!oc) {
		error_report("chariot: this QEMU has no type \"%s\"",
			     KNOWN);
		return false;
	}
	if (test_bit(DEVICE_CATEGORY_BRIDGE, dc->categories) &&
	    dc->user_creatable && dc->hotpluggable &&
	    pc->vendor_id == PCI_VENDOR_ID_REDHAT &&
	    pc->device_id == KNOWN_DEVICE && pc->class_id == KNOWN_CLASS)
		return true;
	error_report("chariot: the class of \"%s\" should have PCI id %04x:%04x, class %04x, and has %04x:%04x, class %04x: this chariot.so was built for a QEMU that is configured differently",
		     KNOWN, PCI_VENDOR_ID_REDHAT, KNOWN_DEVICE,
		     KNOWN_CLASS, pc->vendor_id, pc->device_id,
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
	    !check_class())
		return -EINVAL;
	register_probe();
	if (!check_object())
		return -EINVAL;
	chariot_device_register();
	installed = true;
	return 0;
}
