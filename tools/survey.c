// SPDX-License-Identifier: GPL-2.0
#include "survey.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

const char *const vm_states[] = {
	"unknown", "not attached", "plain", "isolating", "dead", NULL,
};

static int add_domain(struct chariot_vm *vm, uint32_t nr,
		      const struct chariot_domain_info *info, void *ctx)
{
	struct vm_row *row = ctx;
	struct domain_row *d, *all;

	all = reallocarray(row->domains, row->nr + 1, sizeof(*all));
	if (!all)
		return 0;
	row->domains = all;
	d = &all[row->nr];
	d->info = *info;
	d->info.domain = nr;
	/* One that went just now is left out. */
	row->nr += !chariot_vm__stats(vm, nr, &d->st);
	return 0;
}

static void look_at(struct vm_row *row, struct chariot_vm *vm, bool module)
{
	row->state = module ? "unknown" : "not attached";
	if (!vm || chariot_vm__info(vm, &row->info) ||
	    chariot_vm__stats(vm, 0, &row->st)) {
		row->info = (struct chariot_vm_info){};
		return;
	}
	row->state = vm_state_name(&row->info);
	vm_each_domain(vm, add_domain, row);
}

int survey_take(struct survey *s,
		struct chariot_vm *(*open)(void *ctx, const struct kvm_vm *id),
		void (*close)(void *ctx, struct chariot_vm *vm), void *ctx)
{
	struct kvm_vm *ids = NULL;
	struct chariot_vm *vm;
	int nr;

	*s = (struct survey){ .module = !access("/dev/chariot", F_OK) };
	nr = vms_find(&ids, &s->hidden);
	if (nr <= 0)
		return nr;
	s->vms = calloc(nr, sizeof(*s->vms));
	for (int i = 0; s->vms && i < nr; i++) {
		s->vms[i].id = ids[i];
		vm = ids[i].readable ? open(ctx, &ids[i]) : NULL;
		look_at(&s->vms[i], vm, s->module);
		if (vm)
			close(ctx, vm);
		s->nr++;
	}
	free(ids);
	return s->vms ? 0 : -ENOMEM;
}

void survey_free(struct survey *s)
{
	for (size_t i = 0; i < s->nr; i++)
		free(s->vms[i].domains);
	free(s->vms);
	*s = (struct survey){};
}
