/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the sections of a delivered image are in a guest whose loader has been through.
 */
#ifndef CHARIOT_PLACE_H
#define CHARIOT_PLACE_H

#include "internal.h"

struct place {
	char name[48];
	uint64_t gva;		/* 0: not in the guest, or nothing tells where */
	uint64_t len;
	uint32_t flags;		/* SHF_* */
};

/* By the section's index. */
struct places {
	struct place *v;
	size_t nr;
};

/*
 * At do_init_module() of the struct module at @module, whose image was @image: all symbols
 * of the file are in the guest's memory then, in their order.  -EBADMSG: they are not those
 * of @image.
 */
int places_find(struct places *out, const struct chariot_profile *p,
		const struct chariot_space *s, uint64_t module, const void *image,
		size_t len);
void places_free(struct places *p);
/* By name; NULL: there is none, or it is not in the guest. */
const struct place *places_by_name(const struct places *p, const char *name);
/* Of (section, offset); 0: it is not in the guest. */
uint64_t places_at(const struct places *p, uint32_t sec, uint64_t off);

#endif
