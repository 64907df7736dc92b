/* SPDX-License-Identifier: GPL-2.0 */
/* Where things of a guest with a driver in mode inline are; vm.h has the rest. */
#ifndef HOST_INLINE_H
#define HOST_INLINE_H

#define INLINE_DRIVER	0x20000
#define INLINE_LINES	64
#define INLINE_CACHE	0x700000
#define INLINE_DATA	0x710000
/* Functions of the kernel. */
#define INLINE_ALLOC	0x11000
#define INLINE_FREE	0x11100
#define INLINE_FUNC	0x11200

#endif
