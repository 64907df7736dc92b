// SPDX-License-Identifier: LGPL-2.1-or-later
#include "object-index.h"
int object_on_stack(struct object_index *x, const struct chariot_space *s,
		    uint64_t rip, uint64_t rsp, uint64_t top, uint64_t gva,
		    struct object *o) { return -ENOENT; }
