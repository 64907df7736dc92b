// SPDX-License-Identifier: GPL-2.0
/*
 * Places in the guest, as people write them.
 */
#include "target.h"
#include "cli.h"

#include <stdio.h>
#include <string.h>

struct place {
	char symbol[256];
	const char *type, *path;	/* into @symbol, or NULL */
	uint64_t offset;
};

/* The kernel's BTF has the types of per-CPU variables only. */
static const char *known_type(const char *symbol)
{
	static const struct { const char *symbol, *type; } known[] = {
		{ "init_uts_ns", "uts_namespace" },
		{ "init_task", "task_struct" },
		{ "init_mm", "mm_struct" },
		{ "init_net", "net" },
		{ "init_cred", "cred" },
		{ "init_nsproxy", "nsproxy" },
		{ "init_user_ns", "user_namespace" },
		{ "init_pid_ns", "pid_namespace" },
		{ "init_fs", "fs_struct" },
		{ "init_files", "files_struct" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].symbol, symbol))
			return known[i].type;
	return NULL;
}

static uint64_t symbol(const struct chariot_profile *p,
		       const struct chariot_driver *d, const char *name)
{
	uint64_t addr = chariot_profile__symbol(p, name);
	const struct chariot_symbol *v;
	size_t nr;

	v = chariot_driver__symbols(d, &nr);
	for (size_t i = 0; i < nr && !addr; i++)
		if (!strcmp(v[i].name, name))
			addr = v[i].gva;
	return addr;
}

/* Take "+OFFSET" off the end. */
static bool split_offset(struct place *at)
{
	char *plus = strrchr(at->symbol, '+');

	if (!plus)
		return true;
	*plus = 0;
	return parse_u64(plus + 1, &at->offset);
}

static void split_member(struct place *at)
{
	char *colon = strchr(at->symbol, ':'), *dot;

	dot = strchr(colon ? colon : at->symbol, '.');
	if (dot) {
		*dot = 0;
		at->path = dot + 1;
	}
	if (colon) {
		*colon = 0;
		at->type = colon + 1;
	} else {
		at->type = known_type(at->symbol);
	}
}

static uint64_t find_member(const struct chariot_profile *p,
			    const struct chariot_driver *d, struct place *at)
{
	uint64_t addr;
	int64_t member;

	split_member(at);
	addr = symbol(p, d, at->symbol);
	if (!addr || !at->path || !at->type)
		return 0;
	member = chariot_profile__member(p, at->type, at->path, NULL);
	return member < 0 ? 0 : addr + member + at->offset;
}

uint64_t target_find(const struct chariot_profile *p,
		     const struct chariot_driver *d, const char *text)
{
	struct place at = {};
	uint64_t addr;

	if (parse_u64(text, &addr))
		return addr;
	if (strlen(text) >= sizeof(at.symbol))
		return 0;
	strcpy(at.symbol, text);
	if (!split_offset(&at))
		return 0;
	/* Names may have dots: "__key.3". */
	addr = symbol(p, d, at.symbol);
	return addr ? addr + at.offset : find_member(p, d, &at);
}
