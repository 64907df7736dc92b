# SPDX-License-Identifier: GPL-2.0
# `make help` lists what there is to do.

TOP := $(CURDIR)
O := $(TOP)/.build
PREFIX ?= /usr/local
export O PREFIX DESTDIR

# V=1 shows the commands.
ifneq ($(V),1)
MAKEFLAGS += -s
endif

# Kernels for the nested host and its guests, the older first, fetched from Debian's
# packages. In recipes only: the first time, it asks the mirror.
KERNELS ?= $(shell bash selftests/env/kernels.sh --offered)
OLD = $(firstword $(KERNELS))
CACHE := $(TOP)/.cache/kernels
LAYOUT_ARGS = KDIR=$(CACHE)/$*/build VMLINUX=$(CACHE)/$*/vmlinuz KVER=$* \
	KVM_KO=$$(ls $(CACHE)/$*/modules/kernel/arch/x86/kvm/kvm.ko*)

# The rest is of use without a module: for other hosts, for packages.
if_module = why=$$($(MAKE) -s --no-print-directory -C kmod why) || exit 1; \
	if [ -n "$$why" ]; then echo "  SKIP kmod: $$why"; else $(1); fi

help:
	@echo 'Build and use:'
	@echo '  all         library, tools, QEMU plugin, and the module for the running kernel (KVER=) if it has KVM'
	@echo '  install     all of these; DESTDIR and PREFIX ($(PREFIX)) are honoured'
	@echo '  uninstall   undo it'
	@echo '  clean       remove .build; distclean also the cache of kernels'
	@echo 'Try and test, on any machine with Debian 12 or 13, as root:'
	@echo '  demo        one guest without and with Chariot, with a fault in its driver'
	@echo '  check       unit tests and selftests (LIST=1: what runs where; TESTS= picks tests, HOST=, GUEST=,'
	@echo '              VCPUS=, NPT= one set-up; selftests/README.rst)'
	@echo '  check-full  check, and what takes hours: fuzz, 10^6 calls, Intel, drivers, a fresh Debian 13'
	@echo '  check-debug the nested tests with a host kernel that complains (KASAN, lockdep, kmemleak, UBSAN),'
	@echo '              which is built first, in half an hour (KCSAN=1: one with KCSAN; TESTS=, GUEST=, VCPUS=, NPT=)'
	@echo '  check-intel the e1000 and the conformance driver on kvm-intel, under bochs (INTEL_CPU=, HOST=, GUEST=)'
	@echo '  drivers     stock drivers, isolated, under the workload of their class (DRIVERS=, DRIVERS_FILE=, PLAIN=1)'
	@echo '  drivers-all every module of a kernel, loaded without Chariot and isolated (GUEST=, HOST=, SHARD=, MODULES=)'
	@echo '  campaign    faults in a driver, without and with Chariot (DRIVER=, TYPES=, SEEDS=; selftests/campaign.sh)'
	@echo '  fuzz        what reads bytes of a guest or of a file, under libFuzzer (SECONDS_EACH=60, RUNS=, HARNESSES=)'
	@echo '  bench       exits and instructions for each operation, with and without'
	@echo '  deb         Debian packages, in .build/deb; lintian has a look at them'
	@echo '  deps        install the Debian packages that all this needs'
	@echo '  docs        the documents as HTML, in .build/docs'
	@echo '  tutorial    make the pictures of Documentation/tutorial.rst anew, in a nested machine'
	@echo '  analyze     sparse and cppcheck'

all: lib tools plugin
	@$(call if_module,echo '  BUILD kmod'; $(MAKE) --no-print-directory -C kmod)

lib:
	@echo '  BUILD libchariot'
	@$(MAKE) --no-print-directory -C libchariot
kmod: lib
	@echo '  BUILD kmod'
	@$(MAKE) --no-print-directory -C kmod
tools: lib
	@echo '  BUILD tools'
	@$(MAKE) --no-print-directory -C tools
plugin: lib
	@echo '  BUILD qemu-plugin'
	@$(MAKE) --no-print-directory -C qemu-plugin

# As many at a time as there are CPUs, unless make was told.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# What the nested machines need, for each of $(KERNELS).
nested: lib tools plugin
	@$(MAKE) --no-print-directory $(KERNELS:%=kernel-%)
	@$(MAKE) --no-print-directory -C selftests

kernels:
	@bash selftests/env/kernels.sh $(KERNELS)

# Of all kernels: none of two at a time is to make it.
layout: lib
	@$(MAKE) --no-print-directory -C kmod layout

# A kernel that complains is a host only.
kernel-%: lib layout
	@bash selftests/env/kernels.sh $*
	@echo '  BUILD kmod and test modules for $*'
	@$(MAKE) --no-print-directory -C kmod $(LAYOUT_ARGS)
	$(if $(filter %-debug %-kcsan,$*),,@$(MAKE) --no-print-directory -C selftests/driver KVER=$*)
	@$(MAKE) --no-print-directory -C selftests/act KVER=$*

deps:
	@bash selftests/deps.sh

demo: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested KERNELS='$(sort $(or $(HOST),$(OLD)) $(or $(GUEST),$(OLD)))'
	@bash selftests/demo.sh

ifneq ($(LIST),)
check check-full check-debug:
	@bash selftests/check.sh
else
check: deps
	@bash selftests/prometheus.sh || :
	@$(MAKE) --no-print-directory $(PARALLEL) nested
	@bash selftests/check.sh

DEBUG_HOST = 6.1-$(if $(KCSAN),kcsan,debug)
check-debug: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested KERNELS='$(KERNELS) $(DEBUG_HOST)'
	@bash selftests/check.sh debug $(DEBUG_HOST)

# What takes long and rarely finds anything.
check-full: deps fuzz
	@bash selftests/prometheus.sh || :
	@$(MAKE) --no-print-directory $(PARALLEL) nested
	@bash selftests/deps.sh bpftrace linux-perf
	@$(MAKE) --no-print-directory -C libchariot check-full
	@bash selftests/check.sh full
	@bash selftests/intel.sh
	@bash selftests/drivers.sh
	@bash selftests/packages.sh
	@bash selftests/roots.sh 13
endif

check-intel: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested
	@bash selftests/intel.sh

drivers: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested
	@bash selftests/drivers.sh

drivers-all: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested KERNELS='$(sort $(or $(HOST),$(GUEST),$(OLD)) $(or $(GUEST),$(HOST),$(OLD)))'
	@bash selftests/drivers-all.sh

campaign: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested KERNELS='$(sort $(or $(HOST),$(OLD)) $(or $(GUEST),$(OLD)))'
	@bash selftests/campaign.sh

fuzz: deps
	@bash selftests/deps.sh fuzz
	@$(MAKE) --no-print-directory -C libchariot/fuzz run

bench: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested
	@bash selftests/bench.sh

docs:
	@echo '  BUILD docs'
	@$(MAKE) --no-print-directory -C Documentation

tutorial: deps
	@$(MAKE) --no-print-directory $(PARALLEL) nested KERNELS='$(sort $(or $(HOST),$(OLD)) $(or $(GUEST),$(OLD)))'
	@bash selftests/tutorial.sh

analyze:
	@cppcheck --quiet --enable=warning,portability --inline-suppr \
		-Ikmod/include/uapi -Ilibchariot/include libchariot tools

install:
	@for d in libchariot tools qemu-plugin; do \
		$(MAKE) --no-print-directory -C $$d $@ || exit 1; done
	@$(call if_module,$(MAKE) --no-print-directory -C kmod $@)

uninstall:
	@for d in libchariot tools qemu-plugin kmod; do \
		$(MAKE) --no-print-directory -C $$d $@ || exit 1; done

# In a copy, since packaging leaves its files beside the sources. What was compiled there
# is of use the next time.
COPY := $(O)/deb/chariot
LINTIAN ?= lintian
deb:
	@bash selftests/deps.sh deb
	@mkdir -p $(COPY)
	@rm -f $(O)/deb/chariot_* $(O)/deb/*.deb
	@find $(COPY) -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} +
	@tar --exclude=./.git --exclude=./.build --exclude=./.cache -c . | tar -x -C $(COPY)
	@echo '  BUILD packages'
	@cd $(COPY) && env -u O -u PREFIX -u DESTDIR -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
		DEB_BUILD_OPTIONS=noautodbgsym \
		dpkg-buildpackage -b -nc -us -uc >../log 2>&1 || { tail -n 30 ../log; exit 1; }
	@# the project has no mail address
	@$(LINTIAN) --fail-on error,warning --allow-root \
		--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog $(O)/deb/*.changes
	@ls $(O)/deb/*.deb

clean:
	rm -rf $(O)
distclean: clean
	rm -rf $(TOP)/.cache

.PHONY: help all lib kmod tools plugin nested kernels layout deps demo check check-full check-debug check-intel drivers drivers-all \
	campaign fuzz bench deb docs tutorial \
	analyze install uninstall clean distclean
