// SPDX-License-Identifier: GPL-2.0
/* Print cases.tsv.  A program of the build machine, no part of the modules. */
#include <stdio.h>

#include "cases.h"

int main(void)
{
	return fputs(CHARIOT_CASES_TSV, stdout) < 0;
}
