/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The functions of a driver's file, laid out as the kernel lays them out.
 */
#ifndef KO_H
#define KO_H

#include <chariot.h>

#include "fault.h"

struct ko;

/* NULL after telling why, with errno. */
struct ko *ko_open(const char *path);
void ko_close(struct ko *ko);
const struct chariot_driver *ko_driver(const struct ko *ko);
/* Its functions but those of init, and names by its relocations. */
const struct fault_driver *ko_functions(const struct ko *ko);

/* By address, each once, none into the next.  The new number of them. */
size_t functions_sort(struct fault_function *v, size_t nr);
/* The build id in an ELF note in @data as hexadecimal digits, or false. */
bool build_id_find(const uint8_t *data, size_t len, char *buf, size_t size);

#endif
