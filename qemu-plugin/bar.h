/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BAR 0 of the chariot device: how a guest asks for isolation (requests=on).
 * All registers are 32 bits wide, little-endian, at 4-byte offsets.
 *
 * Write NAME, then COMMAND; read STATE until it is not BUSY.
 */
#ifndef CHARIOT_BAR_H
#define CHARIOT_BAR_H

#define CHARIOT_PCI_VENDOR	0x1234
#define CHARIOT_PCI_DEVICE	0xc4a7

#define CHARIOT_BAR_SIZE	4096
#define CHARIOT_BAR_MAGIC	0x00	/* ro */
#define CHARIOT_BAR_VERSION	0x04	/* ro */
#define CHARIOT_BAR_COMMAND	0x08	/* wo */
#define CHARIOT_BAR_STATE	0x0c	/* ro: of the driver NAME */
#define CHARIOT_BAR_NAME	0x40	/* rw: 64 bytes, a string with its NUL */
#define CHARIOT_BAR_NAME_LEN	64

#define CHARIOT_BAR_IS		0x54524843u	/* MAGIC: "CHRT" */
#define CHARIOT_BAR_V1		1
#define CHARIOT_BAR_ISOLATE	1	/* COMMAND: the driver NAME */

enum {					/* STATE */
	CHARIOT_BAR_UNKNOWN,		/* not to be isolated */
	CHARIOT_BAR_BUSY,		/* about to be AWAITED */
	CHARIOT_BAR_AWAITED,		/* isolated when it is loaded */
	CHARIOT_BAR_ISOLATED,
	CHARIOT_BAR_REPORTED,		/* isolated with verdict report */
	CHARIOT_BAR_BAD_NAME,
	CHARIOT_BAR_TOO_MANY,		/* requests since the VM started: 64 */
	CHARIOT_BAR_FAILED,
};

#endif
