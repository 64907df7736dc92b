/* SPDX-License-Identifier: GPL-2.0 */
/* Included before everything: the prefix of our lines in the kernel log. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
