/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode inline: a driver whose image has been instrumented, from its delivery until its
 * domain is made.
 */
#ifndef CHARIOT_INSTRUMENT_H
#define CHARIOT_INSTRUMENT_H

#include "internal.h"
#include "tables.h"

struct chariot_inline;
struct instruments;

/* Images that were delivered, and are not loaded yet: at most 64, and 256 MiB; the oldest
 * goes. */
struct instruments *instruments_new(void);
void instruments_free(struct instruments *v);
/* All that were delivered, to another kernel. */
void instruments_forget(struct instruments *v);
/* For deliver_ops.make. */
void *instruments_make(struct instruments *v, const struct chariot_profile *p,
		       const char *name, const void *image, size_t len, size_t *new_len,
		       char *why);
/* To be freed with chariot_inline__free(); NULL: there is none. */
struct chariot_inline *instruments_take(struct instruments *v, const char *name);

/* What DOMAIN_CREATE is told of it. */
struct instrument {
	struct chariot_inline *x;
	struct chariot_store *stores;
	uint64_t *functions;
	uint64_t runtime;	/* gva; 0: not known */
};

/*
 * At do_init_module(): the driver @d, whose image was made with @x, and its tables of mode
 * inline.  Fills in the runtime in the guest, and what @t has to say of it; @out must live
 * as long as that is used.  -errno: then the driver cannot be in this mode.
 */
int instrument_load(struct instrument *out, struct chariot_inline *x,
		    const struct chariot_profile *p, const struct chariot_space *s,
		    uint64_t module, const struct chariot_driver *d,
		    struct chariot_tables *t);
/* The same where there will be no such domain: its checks let everything pass. */
int instrument_off(struct chariot_inline *x, const struct chariot_profile *p,
		   const struct chariot_space *s, uint64_t module);
void instrument_free(struct instrument *i);

#endif
