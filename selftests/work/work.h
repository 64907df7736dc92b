/* SPDX-License-Identifier: GPL-2.0 */
/* work.h: between the files of work. */
#ifndef WORK_H
#define WORK_H

/* Print @what and errno; 1. */
int fail(const char *what);
unsigned int now_ms(void);

int display_main(char **arg);
int input_main(char **arg);
int can_main(char **arg);
int serial_main(char **arg);
int relay_main(char **arg);
int sg_main(char **arg);
int ipmi_main(char **arg);
int watchdog_main(char **arg);
int vsock_main(char **arg);
int mtd_main(char **arg);
int nbd_main(char **arg);
int nbd_end_main(char **arg);
int files_main(char **arg);
int cipher_main(char **arg);
int cdrom_main(char **arg);
int cpu_main(char **arg);
int uinput_main(char **arg);

#endif
