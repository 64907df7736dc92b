/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a driver has taken and will have to give back (struct chariot_lock): locks
 * with the function of it that runs, resources with the driver.
 */
#ifndef CHARIOT_HELD_H
#define CHARIOT_HELD_H

#include "domain.h"

int chariot_held_check(const struct chariot_lock *rows, u32 nr);
/* The row of the kernel function @fn, if it takes or gives back. */
const struct chariot_lock *chariot_held_row(struct chariot_domain *dom, u64 fn);
/* Would it give back what was given back for it, when it could not clean up? */
bool chariot_held_gone(struct chariot_domain *dom,
		       const struct chariot_lock *lock, const u64 args[6]);
/* The driver calls it; it has returned. */
void chariot_held_call(struct chariot_domain *dom, struct chariot_entry *e,
		       const struct chariot_lock *lock, const u64 args[6]);
void chariot_held_returned(struct chariot_domain *dom, struct chariot_entry *e,
			   const struct chariot_frame *frame, u64 result);
/* Has it, or have we for it, switched its devices off? */
bool chariot_held_off(const struct chariot_domain *dom);
/* The struct qspinlock at @gva. */
enum chariot_held_word {
	CHARIOT_HELD_UNKNOWN,		/* not mapped */
	CHARIOT_HELD_NO_LOCK,		/* there cannot be one */
	CHARIOT_HELD_FREE,
	CHARIOT_HELD_TAKEN,
};
enum chariot_held_word chariot_held_look(struct chariot_domain *dom, u64 gva);
/* Is it @e that has it? */
bool chariot_held_has(const struct chariot_entry *e, u64 gva);
void chariot_held_take_out(struct chariot_held *list, u32 *nr, u32 i);
/* The tables of @gone go, which has been taken from the domain: rows of the others
 * take the place of its; what only it knew is not given back. */
const struct chariot_lock *chariot_held_other(struct chariot_domain *dom,
					      const struct chariot_part *gone,
					      const struct chariot_lock *lock);
void chariot_held_move(struct chariot_domain *dom, const struct chariot_part *gone,
		       struct chariot_held *list, u32 *nr);

#endif
