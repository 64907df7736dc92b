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

char *chariot_printable(char *text)
{
	if (text)
		text_make_printable(text, strlen(text));
	return text;
}
