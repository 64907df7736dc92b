// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A policy of any bytes; a good one also becomes tables for the guest's driver.
 */
#include "mini.h"
#include "policy.h"

static struct chariot_driver *driver[2];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	for (int old = 0; old < 2; old++) {
		struct mini *m = mini_get(old);

		driver[old] = chariot_driver__from_guest(m->profile,
							 &m->g.space, MINI_THIS);
		fuzz_assert(driver[old]);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct chariot_policy *p = policy_new();
	struct chariot_tables *t;
	unsigned int max, seconds;
	bool old = len & 1;
	int arg;
	struct mini *m = mini_get(old);

	fuzz_assert(p);
	if (!policy_parse(p, "fuzz", (const char *)data, len)) {
		t = chariot_tables__build(p, m->profile, &m->g.space,
					  driver[old]);
		fuzz_check_tables(t);
		chariot_tables__free(t);
		policy_restart(p, &max, &seconds);
		for (int i = 0; i <= CHARIOT_CALL_LOCKING; i++)
			fuzz_assert(!chariot_policy__call(p, i, "kfree", &arg) ||
				    (arg >= -1 && arg < 6));
	}
	chariot_policy__free(p);
	return 0;
}

/* The statements of a file, each by itself. */
static void emit_statements(fuzz_emit emit, const char *file, size_t *nr)
{
	char *text, *pos, *end, name[16];
	size_t len;

	fuzz_assert(!file_read(file, (uint8_t **)&text, &len));
	text[len] = 0;
	for (pos = text; *pos; pos = end) {
		end = strchrnul(pos, '\n');
		end += *end != 0;
		while (strchr("\t }", *end) && *end) {
			end = strchrnul(end, '\n');
			end += *end != 0;
		}
		snprintf(name, sizeof(name), "%zu", (*nr)++);
		if (*pos != '#' && *pos != '\n')
			emit(name, pos, end - pos);
	}
	free(text);
}

/* Those of the built-in policy. */
void fuzz_seeds(fuzz_emit emit)
{
	size_t nr = 0;

	emit_statements(emit, POLICY_DIR "/core.policy", &nr);
	emit_statements(emit, POLICY_DIR "/recover.policy", &nr);
	emit_statements(emit, POLICY_DIR "/inject.policy", &nr);
	emit("mode", "mode fast\ndefer 16\nrestart 3 60\nprobation 9 9\n", 47);
}
