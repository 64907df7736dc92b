/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Evidence: is what a driver is about to write, and nothing allows, its own all the
 * same?  Two questions, that need no list: which object is that, by the guest's
 * bookkeeping (object.h)?  And has the driver come by it honestly: is a pointer to it
 * in what the kernel has given to the functions that run, or in what the driver has?
 * Registers and the driver's own frames are no evidence: a wrong pointer is there, too.
 */
#ifndef CHARIOT_EVIDENCE_H
#define CHARIOT_EVIDENCE_H

#include "vm.h"

struct evidence;
struct object_index;

/* For the kernel that @vm runs now, which it borrows. */
struct evidence *evidence_new(struct chariot_vm *vm);
void evidence_free(struct evidence *e);

/*
 * Domain @domain has this driver, or with @more that module as well, whose imports are
 * known only while it is loaded.
 */
int evidence_driver(struct evidence *e, uint32_t domain,
		    const struct chariot_driver *d, bool more);

/* What it finds objects with. */
struct object_index *evidence_objects(struct evidence *e);

/*
 * About an ASK event, for which a vCPU still waits.  1: there is, and with @grant it has
 * been granted; 0: there is none; or -errno.  @text says what was found, or why it was
 * not.  *@never: whatever a driver does not know of it, no driver writes there: text, page
 * tables, the kernel's bookkeeping, tasks and credentials, what another one has.
 */
int evidence_look(struct evidence *e, const struct chariot_event *ev, bool grant,
		  bool *never, char *text, size_t len);

#endif
