// SPDX-License-Identifier: GPL-2.0
/* The trace points.  Called by cross, emulate and violation. */
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "trace.h"
