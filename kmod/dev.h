/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CHARIOT_DEV_H
#define CHARIOT_DEV_H

int chariot_dev_init(void);
void chariot_dev_uninit(void);

#endif
