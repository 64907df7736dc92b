// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of the numbers in the uapi header.
 */
#include "internal.h"

static const char *const verdicts[CHARIOT_NR_VERDICTS] = {
	[CHARIOT_VERDICT_REPORT] = "report",
	[CHARIOT_VERDICT_SKIP] = "skip",
	[CHARIOT_VERDICT_OOPS] = "oops",
	[CHARIOT_VERDICT_PAUSE] = "pause",
	[CHARIOT_VERDICT_RECOVER] = "recover",
};

static const char auto_name[] = "auto";		/* no verdict of the module's */

static const char *const modes[CHARIOT_NR_MODES] = {
	[CHARIOT_MODE_STRICT] = "strict",
	[CHARIOT_MODE_FAST] = "fast",
	[CHARIOT_MODE_INLINE] = "inline",
};

static const char *const sources[CHARIOT_NR_SRCS] = {
	[CHARIOT_SRC_NONE] = "none",
	[CHARIOT_SRC_SECTION] = "section",
	[CHARIOT_SRC_ALLOCATION] = "allocation",
	[CHARIOT_SRC_STACK] = "stack",
	[CHARIOT_SRC_ARGUMENT] = "argument",
	[CHARIOT_SRC_WALK] = "page-walk",
	[CHARIOT_SRC_RULE] = "rule",
	[CHARIOT_SRC_LEARNED] = "learned",
	[CHARIOT_SRC_FREED] = "freed",
	[CHARIOT_SRC_EVIDENCE] = "evidence",
};

static const char *const events[CHARIOT_NR_EVENTS] = {
	[CHARIOT_EV_ERROR] = "error",
	[CHARIOT_EV_KERNEL] = "kernel",
	[CHARIOT_EV_LOAD] = "load",
	[CHARIOT_EV_DOMAIN_NEW] = "domain-new",
	[CHARIOT_EV_INIT_DONE] = "init-done",
	[CHARIOT_EV_DOMAIN_GONE] = "domain-gone",
	[CHARIOT_EV_VIOLATION] = "violation",
	[CHARIOT_EV_UNEMULATED] = "unemulated",
	[CHARIOT_EV_REQUEST] = "request",
	[CHARIOT_EV_RESET] = "reset",
	[CHARIOT_EV_FAULT] = "fault",
	[CHARIOT_EV_RECOVERED] = "recovered",
	[CHARIOT_EV_ASK] = "ask",
	[CHARIOT_EV_MODULE_NEW] = "module-new",
	[CHARIOT_EV_MODULE_GONE] = "module-gone",
	[CHARIOT_EV_IMAGE] = "image",
};

static const char *const trust_states[CHARIOT_NR_TRUST_STATES] = {
	[CHARIOT_TRUST_PROBATION] = "probation",
	[CHARIOT_TRUST_PROVED] = "proved",
	[CHARIOT_TRUST_HELD] = "held",
};

static const char *const trust_bys[CHARIOT_NR_TRUST_BYS] = {
	[CHARIOT_TRUST_BY_PROBATION] = "probation",
	[CHARIOT_TRUST_BY_OPERATOR] = "operator",
	[CHARIOT_TRUST_BY_MEASURED] = "measured",
};

#define NAME_OF(names, i) \
	((i) < ARRAY_SIZE(names) && names[i] ? names[i] : "unknown")

const char *chariot_verdict_name(uint32_t verdict)
{
	return verdict == CHARIOT_VERDICT_AUTO ? auto_name :
	       NAME_OF(verdicts, verdict);
}

int chariot_verdict_by_name(const char *name)
{
	if (name && !strcmp(name, auto_name))
		return CHARIOT_VERDICT_AUTO;
	for (size_t i = 0; name && i < ARRAY_SIZE(verdicts); i++)
		if (!strcmp(verdicts[i], name))
			return i;
	return -EINVAL;
}

const char *chariot_mode_name(uint32_t mode)
{
	return NAME_OF(modes, mode);
}

int chariot_mode_by_name(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i], name))
			return i;
	return -EINVAL;
}

static bool module_ok(const char *name, size_t len)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	/* What begins with '-' is an option, somewhere. */
	if (!len || len >= CHARIOT_NAME_LEN || *name == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!name[i] || !strchr(good, name[i]))
			return false;
	return true;
}

bool chariot_name_ok(const char *name, size_t len)
{
	const char *plus;

	if (!name || len >= CHARIOT_DRIVER_LEN)
		return false;
	while ((plus = memchr(name, '+', len))) {
		if (!module_ok(name, plus - name))
			return false;
		len -= plus + 1 - name;
		name = plus + 1;
		/* "a+": and what it depends on. */
		if (!len)
			return true;
	}
	return module_ok(name, len);
}

const char *chariot_source_name(uint32_t source)
{
	return NAME_OF(sources, source);
}

const char *chariot_event_name(uint32_t type)
{
	return NAME_OF(events, type);
}

const char *chariot_trust_state_name(uint32_t state)
{
	return NAME_OF(trust_states, state);
}

const char *chariot_trust_by_name(uint32_t by)
{
	return NAME_OF(trust_bys, by);
}
