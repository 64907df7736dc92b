/* SPDX-License-Identifier: GPL-2.0 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "cli.h"

/* Our standard output is the journal's: we are a service. */
bool journal_is_stdout(void);
/* EXIT_FAIL after telling: there is none. */
int journal_check(void);
/* An event of VM @id, and what event_json() has made of it: each member is a field. */
int journal_event(const struct kvm_vm *id, const struct chariot_event *ev,
		  struct json_object *o);

#endif
