// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file of what is known of a build, which may come from another host.
 */
#include "fuzz.h"
#include "trust.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct chariot_trust t;
	char name[TRUST_NAME_LEN];

	if (trust_parse(&t, "fuzz", (const char *)data, len))
		return 0;
	fuzz_touch_str(t.driver);
	fuzz_touch_str(t.module);
	fuzz_touch_str(t.kernel);
	fuzz_touch_str(t.release);
	fuzz_touch_str(t.chariot);
	fuzz_touch_str(t.reason);
	fuzz_touch_str(t.rules);
	fuzz_assert(t.state < CHARIOT_NR_TRUST_STATES &&
		    t.by < CHARIOT_NR_TRUST_BYS);
	trust_file_name(&t, name);
	fuzz_assert(!strchr(name, '/') && *name != '.' &&
		    !strcmp(strrchr(name, '.'), ".json"));
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	static const char held[] =
		"{\"format\":1,\"driver\":\"e1000\",\"module\":\"7d99\",\n"
		"\"kernel\":\"eb4f\",\"release\":\"6.1\",\"chariot\":\"1.0.0\",\n"
		"\"state\":\"held\",\"by\":\"probation\",\"entries\":9,\"seconds\":7,\n"
		"\"reason\":\"e1000: \\u0041\",\"rules\":[\"rule jiffies 8\",\"\"]}\n";

	emit("held", held, sizeof(held) - 1);
}
