/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A module's image is exchanged in the guest before its loader looks at it.
 *
 * The guest stops where its loader begins (CHARIOT_WATCH_IMAGE).  If the module's name is
 * wanted, the guest checks its signature and makes room for the new image, which is written
 * there; then pointer and length are exchanged, and the guest frees the old one.  Whatever
 * fails, the guest loads what it was about to load.
 */
#ifndef CHARIOT_DELIVER_H
#define CHARIOT_DELIVER_H

#include "vm.h"

struct deliver;

/* What is delivered is the caller's business. */
struct deliver_ops {
	/* Is another image wanted for the module of that name?  As in the image: folded. */
	bool (*wanted)(void *ctx, const char *name);
	/* The new image, from malloc(); NULL: none, and @why (256 bytes) may be filled. */
	void *(*make)(void *ctx, const char *name, const void *image, size_t len,
		      size_t *new_len, char *why);
	/* It is in its place, or not: @why. */
	void (*done)(void *ctx, const char *name, size_t len, size_t new_len);
	void (*failed)(void *ctx, const char *name, int err, const char *why);
};

/* Of another VM's, or another kernel's, use another one.  NULL with errno: ENOENT, ENOEXEC:
 * this kernel's loader is not as we know it. */
struct deliver *deliver_new(struct chariot_vm *vm, const struct deliver_ops *ops, void *ctx);
void deliver_free(struct deliver *d);
/* For CHARIOT_WATCH: the function, and where it is called. */
uint64_t deliver_point(const struct deliver *d);
uint64_t deliver_site(const struct deliver *d);
/* An IMAGE event; it is answered. */
void deliver_event(struct deliver *d, const struct chariot_event *ev);

/* For tests: a copy that can be told from the original, as its build-id has one more bit.
 * From malloc(). */
void *image_marked(const void *image, size_t len, size_t *new_len);

#endif
