/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Modules of a domain.  Most domains have one; those of one domain call each other
 * without leaving its view, and fail together.  Each brings its tables (vm.h), which
 * go with it; what it has allocated is the domain's, and stays.
 */
#ifndef CHARIOT_PART_H
#define CHARIOT_PART_H

#include "domain.h"

/* Not under vm->lock: copied from user memory, and checked.  ERR_PTR(). */
struct chariot_part *chariot_part_create(const struct chariot_domain_create *args,
					 const char *name);
void chariot_part_free(struct chariot_part *p);
/* Does it call library code? */
bool chariot_part_library(const struct chariot_part *p);

/* Under vm->lock.  The domain has it from now on; or -errno, and all is as it was.
 * Who calls has the vCPUs forget their mappings. */
int chariot_part_join(struct chariot_domain *dom, struct chariot_part *p);
/* Its init has returned: what only that needed goes. */
void chariot_part_loaded(struct chariot_domain *dom, struct chariot_part *p);
/* It is unloaded, and others stay.  Frees @p. */
void chariot_part_leave(struct chariot_domain *dom, struct chariot_part *p);

#endif
