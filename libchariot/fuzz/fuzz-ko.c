// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A driver's file of any bytes, and its types over a kernel's.
 */
#include <bpf/btf.h>

#include "mini.h"
#include "policy.h"

static struct chariot_policy *policy;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char text[] = "gate kfree { revoke arg0 }\n"
				   "object net_device { grant this sizeof(net_device); reach }\n";

	mini_get(false);
	mini_get(true);
	policy = policy_new();
	fuzz_assert(policy && !policy_parse(policy, "small", text, strlen(text)));
	return 0;
}

static void touch(const struct chariot_symbol *v, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		fuzz_touch_str(v[i].name);
}

static void use(struct mini *m, struct chariot_driver *d)
{
	const struct chariot_section *sec;
	const struct chariot_symbol *v;
	struct chariot_tables *t;
	uint64_t off;
	size_t nr;

	v = chariot_driver__symbols(d, &nr);
	touch(v, nr);
	if (nr)
		chariot_driver__name_of(d, v[nr / 2].gva, &off);
	v = chariot_driver__imports(d, &nr);
	touch(v, nr);
	sec = chariot_driver__sections(d, &nr);
	for (size_t i = 0; i < nr; i++)
		fuzz_touch_str(sec[i].name);
	fuzz_touch_str(chariot_driver__name(d));
	chariot_driver__link(d, m->profile);
	t = chariot_tables__build(policy, m->profile, NULL, d);
	fuzz_check_tables(t);
	chariot_tables__free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct chariot_driver *d = chariot_driver__from_file(fuzz_file(data, len));

	if (d)
		use(mini_get(len & 1), d);
	chariot_driver__free(d);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	for (int old = 0; old < 2; old++) {
		struct mini *m = mini_get(old);

		emit(old ? "old" : "new", m->ko, m->ko_len);
	}
}
