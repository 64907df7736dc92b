// SPDX-License-Identifier: LGPL-2.1-or-later
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

const char *fuzz_file(const void *data, size_t len)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	fuzz_assert(fd >= 0 && !ftruncate(fd, 0) &&
		    pwrite(fd, data, len, 0) == (ssize_t)len);
	return path;
}

void fuzz_touch(const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		(void)((const volatile uint8_t *)data)[i];
}

void fuzz_touch_str(const char *s)
{
	fuzz_touch(s, strlen(s) + 1);
}

/* What is logged has to be there. */
static void log_nothing(void *ctx, enum chariot_log_level level, const char *text)
{
	fuzz_touch_str(text);
}

static void __attribute__((constructor)) log_init(void)
{
	chariot_set_log(log_nothing, NULL);
}
