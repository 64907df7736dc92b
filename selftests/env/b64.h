/* SPDX-License-Identifier: GPL-2.0 */
/* Base64 for the two ends of the guest's command channel. */
#ifndef CHARIOT_SELFTESTS_B64_H
#define CHARIOT_SELFTESTS_B64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define B64_LEN(n)	(((n) + 2) / 3 * 4)

static const char b64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes B64_LEN(n) characters, and no NUL. */
static inline void b64_encode(const void *src, size_t n, char *out)
{
	const uint8_t *s = src;
	size_t i;

	for (i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)s[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)s[i + 1] << 8;
		if (i + 2 < n)
			v |= s[i + 2];
		*out++ = b64_digits[v >> 18];
		*out++ = b64_digits[v >> 12 & 63];
		*out++ = i + 1 < n ? b64_digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? b64_digits[v & 63] : '=';
	}
}

/* Returns the number of bytes; @out may be @s. */
static inline size_t b64_decode(const char *s, size_t n, void *out)
{
	uint8_t *o = out;
	uint32_t v = 0;
	int bits = 0;

	for (; n; n--, s++) {
		const char *p = memchr(b64_digits, *s, 64);

		if (!p)
			continue;
		v = v << 6 | (uint32_t)(p - b64_digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*o++ = (uint8_t)(v >> bits);
		}
	}
	return (size_t)(o - (uint8_t *)out);
}

#endif
