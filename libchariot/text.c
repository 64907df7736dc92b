// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text that others wrote: a guest, a file, whoever asked for something.  It is made
 * harmless where it comes in, so that all who print it need not think of it.
 */
#include "internal.h"

void text_make_printable(char *text, size_t len)
{
	for (; len; len--, text++)
		if (*text && (*text < ' ' || *text > '~'))
			*text = '?';
}

static char fold(char c)
{
	return c == '-' ? '_' : c;
}

/* The end of a module's name; others follow behind a '+'. */
static bool at_end(char c)
{
	return !c || c == '+';
}

void text_fold(char *dst, const char *src, size_t len)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = fold(src[i]);
	dst[len] = 0;
}

bool chariot_same_driver(const char *a, const char *b)
{
	for (; !at_end(*a) && !at_end(*b); a++, b++)
		if (fold(*a) != fold(*b))
			return false;
	return at_end(*a) && at_end(*b);
}

char *chariot_printable(char *text)
{
	if (text)
		text_make_printable(text, strlen(text));
	return text;
}
