/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What libchariot has to say, on the way to QEMU's error_report().
 *
 * libchariot speaks in threads of its own, where QEMU's reporting must not be
 * used.  Lines are queued, and printed in the main loop.
 */
#ifndef CHARIOT_MESSAGE_H
#define CHARIOT_MESSAGE_H

/* Main thread. */
void message_start(void);
void message_stop(void);
void message_flush(void);

/*
 * Until message_release(), errors that libchariot tells in this thread are not
 * printed: the last one is kept for message_captured(), "" when there was none.
 */
void message_capture(void);
const char *message_captured(void);
void message_release(void);

#endif
