/* SPDX-License-Identifier: GPL-2.0 */
#ifndef INLINE_H
#define INLINE_H

int driver_inline(int argc, char **argv);

#endif
