/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All VMs of this host with their domains and counters, as they are now.
 */
#ifndef SURVEY_H
#define SURVEY_H

#include "cli.h"

struct domain_row {
	struct chariot_domain_info info;
	struct chariot_stats st;
};

struct vm_row {
	struct kvm_vm id;
	const char *state;		/* one of vm_states[] */
	struct chariot_vm_info info;	/* all 0 if the state is not known */
	struct chariot_stats st;
	struct domain_row *domains;
	size_t nr;
};

struct survey {
	struct vm_row *vms;
	size_t nr;
	unsigned int hidden;		/* processes that could not be looked into */
	bool module;			/* /dev/chariot is there */
};

/* What a VM can be; NULL ends it. */
extern const char *const vm_states[];

/* @open gives the handle of a VM, or NULL; @close is called with it. 0 or -errno. */
int survey_take(struct survey *s,
		struct chariot_vm *(*open)(void *ctx, const struct kvm_vm *id),
		void (*close)(void *ctx, struct chariot_vm *vm), void *ctx);
void survey_free(struct survey *s);

#endif
