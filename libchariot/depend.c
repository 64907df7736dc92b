// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which modules a loaded one depends on, as the guest's kernel has it: for each
 * such pair it keeps a struct module_use, in the list of the one that uses and in that
 * of the one that is used.  All of that is the guest's: every list may go on for ever.
 */
#include "internal.h"

#define STEPS_MAX	65536	/* pairs looked at for one driver */

struct uses {
	const struct chariot_profile *p;
	const struct chariot_space *s;
	uint64_t *v;		/* found */
	size_t nr, max;
	uint64_t module;	/* that it is about */
	unsigned int steps;
};

/* Not 0 ends the walk, and is returned. */
typedef int (*use_fn)(struct uses *u, uint64_t other);

/* Call @fn for each module that uses @module, or that it uses. */
static int walk(struct uses *u, uint64_t module, bool users, use_fn fn)
{
	const char *list = users ? "source_list" : "target_list";
	int64_t at = chariot_profile__member(u->p, "module", list, NULL);
	int64_t in = chariot_profile__member(u->p, "module_use", list, NULL);
	uint64_t head = module + at, pos = head, other;
	int ret;

	/* A kernel that unloads no modules does not know. */
	if (at < 0 || in < 0)
		return -ENOENT;
	while (u->steps++ < STEPS_MAX) {
		ret = space_read_uint(u->s, pos, 8, &pos);
		if (ret || pos == head)
			return ret;
		ret = profile_read_member(u->p, u->s, "module_use", pos - in,
					  users ? "source" : "target", &other);
		ret = ret ?: fn(u, other);
		if (ret)
			return ret;
	}
	return -ELOOP;
}

static bool is_in(const struct uses *u, uint64_t module)
{
	size_t i = 0;

	while (i < u->nr && u->v[i] != module)
		i++;
	return module == u->module || i < u->nr;
}

static int is_outside(struct uses *u, uint64_t other)
{
	return !is_in(u, other);
}

static int add(struct uses *u, uint64_t other)
{
	int ret;

	if (is_in(u, other))
		return 0;
	ret = walk(u, other, true, is_outside);
	if (ret)
		return ret < 0 ? ret : 0;
	if (u->nr == u->max)
		return -E2BIG;
	u->v[u->nr++] = other;
	return 0;
}

int driver_depends(const struct chariot_profile *p, const struct chariot_space *s,
		   uint64_t module, uint64_t *deps, size_t max)
{
	struct uses u = { .p = p, .s = s, .v = deps, .max = max, .module = module };
	size_t before;
	int err;

	/* What two of them need is known to be theirs when both are found. */
	do {
		before = u.nr;
		err = walk(&u, module, false, add);
		for (size_t i = 0; i < u.nr && !err; i++)
			err = walk(&u, u.v[i], false, add);
	} while (!err && u.nr != before);
	return err ?: (int)u.nr;
}
