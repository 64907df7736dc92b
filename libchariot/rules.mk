# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The built-in policy is a file that policy.c takes in with .incbin.
$(OUT)/policy.o: private override CPPFLAGS += -DPOLICY_DIR='"$(SRC)/policy"'
$(OUT)/policy.o: $(SRC)/policy/core.policy
