/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which builds of drivers have proved themselves (trust.c: the files), and the
 * drivers of a guard that have not (probation.c).
 */
#ifndef CHARIOT_TRUST_H
#define CHARIOT_TRUST_H

#include <time.h>

#include "vm.h"

#define TRUST_NAME_LEN	160	/* of a file, with ".json" */

/* Who this build is: all but the state. */
void trust_identify(struct chariot_trust *t, const struct chariot_profile *p,
		    const struct chariot_driver *d);
/* "e1000.7d99....1.0.0.json" */
void trust_file_name(const struct chariot_trust *t, char name[TRUST_NAME_LEN]);
/* @text, @len bytes, of @path, which errors name, with the line.  -EINVAL. */
int trust_parse(struct chariot_trust *t, const char *path, const char *text,
		size_t len);
/*
 * What is known of the build that @t names: of @dir, or of what is shipped.  What
 * is nowhere, or spoilt, is on probation from the beginning.
 */
void trust_lookup(const char *dir, struct chariot_trust *t);
/*
 * Add to what is known of the build: @t is what this guest has seen since, with the
 * state that it should have, and afterwards what is known in all.  A proved build
 * stays so, and the operator's word is not changed.
 */
int trust_add(const char *dir, struct chariot_trust *t);

/* Another file of that build in @dir than the last time, or none? */
struct trust_seen {
	struct timespec when;
	ino_t ino;
};
bool trust_changed(const char *dir, const struct chariot_trust *t,
		   struct trust_seen *seen);

/* ---- probation.c --------------------------------------------------------- */

struct probation;
struct probation_build;

struct probation *probation_new(const char *dir,
				const struct chariot_policy *policy);
/* What is counted is saved before. */
void probation_free(struct probation *p);
/* The build of a driver that the guest loads; owned by @p.  NULL: no memory, or there
 * are too many. */
struct probation_build *probation_build(struct probation *p,
					const struct chariot_profile *profile,
					const struct chariot_driver *d);
/* With verdict auto: RECOVER, or REPORT and why is told. */
uint32_t probation_verdict(const struct probation *p,
			   const struct probation_build *b);
/* Domain @domain is of that build; @enforced: it has that verdict. */
void probation_begin(struct probation *p, struct chariot_vm *vm,
		     uint32_t domain, struct probation_build *b, bool enforced);
/* The guard has another verdict now, and so have its domains. */
void probation_apply(struct probation *p, struct chariot_vm *vm,
		     uint32_t verdict);
/* A VIOLATION event. */
void probation_violation(struct probation *p, struct chariot_vm *vm,
			 const struct chariot_event *ev);
/* A DOMAIN_GONE event; that number may be another's by now. */
void probation_gone(struct probation *p, struct chariot_vm *vm,
		    uint32_t domain);
/* The domain has a module of which not all is known: it proves nothing. */
void probation_leave(struct probation *p, uint32_t domain);
/* All domains are gone. */
void probation_end(struct probation *p);
/* Count, ask what others know, promote: when probation_timeout() is 0. */
void probation_check(struct probation *p, struct chariot_vm *vm);
/* Milliseconds until then; -1: none is on probation. */
int probation_timeout(const struct probation *p);
/*
 * THE HOOK for what is stopped even then: is the domain on probation, or held?
 * Whoever answers for a write to what evidence never allows is to ask this, and to
 * have the write stopped although the verdict is report.
 */
bool probation_has(const struct probation *p, uint32_t domain);

#endif
