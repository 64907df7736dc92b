# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The built-in policy is files that policy.c takes in with .incbin.
$(OUT)/policy.o: private override CPPFLAGS += -DPOLICY_DIR='"$(SRC)/policy"'
$(OUT)/policy.o: $(wildcard $(SRC)/policy/*.policy)
