/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CHARIOT_DEVICE_H
#define CHARIOT_DEVICE_H

#define TYPE_CHARIOT "chariot"

void chariot_device_register(void);

#endif
