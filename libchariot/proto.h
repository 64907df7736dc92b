/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the prototype of a function tells.
 */
#ifndef CHARIOT_PROTO_H
#define CHARIOT_PROTO_H

#include "policy.h"

struct param {
	int arg;		/* register; -1: none */
	bool pointer, is_const;
	uint32_t to;		/* what it points to, as written */
	uint32_t id;		/* the same without typedefs */
	int64_t size;		/* of that, <= 0: not known */
	bool integer;
	uint32_t type;
	const char *name;	/* "": none */
};

/* Where System V puts it: an integer register each, two for up to 16 bytes. */
void proto_param(const struct btf *btf, uint32_t id, int *reg,
		 struct param *out);
bool proto_is_pointer(const struct btf *btf, uint32_t id);
/* What the struct is called that it points to; NULL: it points to none. */
const char *proto_struct_name(const struct btf *btf, const struct param *p);
/*
 * Does a parameter of type @id point to what @name says?  A type's name or that of a
 * typedef on the way to it; *TYPE: a pointer to one; "any"; "_": it is no pointer.
 */
bool proto_param_fits(const struct btf *btf, uint32_t id, const char *name);
/*
 * Is it plain data: neither it nor what it leads to has a lock, a reference count or a
 * function?  What has is an object of the kernel's, of which others are, too.
 */
bool proto_is_data(const struct btf *btf, uint32_t id);
/*
 * Does it lead to what is the caller's as well?  Elements of a list or a tree, strings, or
 * the arguments of a caller with "...".
 */
bool proto_is_link(const struct btf *btf, uint32_t id);
bool proto_fits(const struct btf *btf, const struct btf_type *proto,
		const struct signature *sig);
/* A bit for each argument: that has 32 bits or less; that there is none. */
uint8_t proto_narrow(const struct btf *btf, const struct btf_type *proto);
uint8_t proto_missing(const struct btf_type *proto);
/* Does the name end in one of these (NULL-terminated)? */
bool proto_ends_in(const char *name, const char *const *ends);
/* Is it named like a length, and like nothing else ("n", "max")? */
bool proto_is_length(const struct param *p);
/* The next argument behind @i that is named like a length, -1: none. */
int proto_length_after(const struct param *p, int nr, int i);
/* Is there one anywhere behind it? */
bool proto_has_length(const struct param *p, int nr, int i);

#endif
