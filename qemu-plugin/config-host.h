/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU's configure would have found out, as far as headers ask.  Only
 * CONFIG_INT128 changes the layout of structures that we use; plugin.c compares
 * sizes with those of the QEMU that it is loaded into.  QEMU_VERSION_MAJOR,
 * _MINOR and _MICRO come from the Makefile.
 */
#define HOST_X86_64		1

#define CONFIG_POSIX		1
#define CONFIG_LINUX		1
#define CONFIG_IOVEC		1
#define CONFIG_BYTESWAP_H	1
#define CONFIG_MADVISE		1
#define CONFIG_POSIX_MADVISE	1
#define CONFIG_EVENTFD		1
#define CONFIG_PLUGIN		1
#define CONFIG_TCG		1

/* "make check" builds without, and sees the plugin refuse. */
#ifndef CHARIOT_TEST_NO_INT128
#define CONFIG_INT128		1
#endif
