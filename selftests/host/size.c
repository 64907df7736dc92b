// SPDX-License-Identifier: GPL-2.0
/*
 * Structures of a newer program, on a VM with a driver: what the module does not
 * know must be 0, or nothing is done.
 */
#include "vm.h"
#include "hostile.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define MORE	64

/* With MORE bytes behind, the last one of which is @last. */
static int call(int h, unsigned long cmd, void *arg, size_t size, char last)
{
	char buf[1024] = "";
	uint32_t argsz = size + MORE;
	int r;

	memcpy(buf, arg, size);
	memcpy(buf, &argsz, sizeof(argsz));
	buf[argsz - 1] = last;
	r = ioctl(h, cmd, buf);
	memcpy(arg, buf, size);
	return r < 0 ? -errno : r;
}

#define NEWER(h, name, arg, last) \
	call(h, CHARIOT_##name, arg, sizeof(*(arg)), last)

/* What was granted again since the rows were read stays. */
static void test_revoke(int h, uint64_t clock)
{
	struct chariot_grant gr = {
		.argsz = sizeof(gr), .domain = 1, .source = CHARIOT_SRC_RULE,
		.gva = OBJECT, .len = 64,
	};
	struct chariot_grant gone = {
		.argsz = sizeof(gone), .flags = CHARIOT_GRANT_REVOKE, .domain = 1,
		.source = CHARIOT_SRC_RULE, .gva = OBJECT, .seq = clock,
	};

	ok(clock && !ioctl(h, CHARIOT_GRANT, &gr) &&
	   ioctl(h, CHARIOT_GRANT, &gone) && errno == EAGAIN &&
	   domain_info(h, 1).nr_objects == 1, "an older clock revokes nothing");
	gone.seq = ~0ULL;
	ok(!ioctl(h, CHARIOT_GRANT, &gone) && !domain_info(h, 1).nr_objects,
	   "a newer one does");
	ok(!ioctl(h, CHARIOT_GRANT, &gr), "granted again");
}

static void test_grant(int h)
{
	struct chariot_grant gr = {
		.domain = 1, .source = CHARIOT_SRC_RULE, .gva = OBJECT,
		.len = 64,
	};
	struct chariot_object rows[4] = {};
	struct chariot_act_read q = {
		.domain = 1, .nr = 4, .buf = (uintptr_t)rows,
	};

	ok(NEWER(h, GRANT, &gr, 1) == -E2BIG && !domain_info(h, 1).nr_objects,
	   "GRANT is refused");
	ok(!NEWER(h, GRANT, &gr, 0) && domain_info(h, 1).nr_objects == 1,
	   "GRANT of a newer program");
	ok(NEWER(h, ACT_READ, &q, 1) == -E2BIG && !rows[0].gva,
	   "ACT_READ is refused");
	ok(NEWER(h, ACT_READ, &q, 0) == 1 && rows[0].gva == OBJECT &&
	   rows[0].len == 64, "ACT_READ of a newer program");
	test_revoke(h, q.clock);
}

static void test_domain(int h)
{
	struct chariot_domain_op op = {
		.domain = 1, .verdict = CHARIOT_VERDICT_REPORT,
	};
	struct chariot_domain_info i = { .domain = 1 };

	ok(NEWER(h, DOMAIN_SET, &op, 1) == -E2BIG &&
	   domain_info(h, 1).verdict == CHARIOT_VERDICT_SKIP,
	   "DOMAIN_SET is refused");
	ok(!NEWER(h, DOMAIN_SET, &op, 0) &&
	   domain_info(h, 1).verdict == CHARIOT_VERDICT_REPORT,
	   "DOMAIN_SET of a newer program");
	ok(NEWER(h, DOMAIN_INFO, &i, 1) == -E2BIG && !i.text_len,
	   "DOMAIN_INFO is refused");
	ok(!NEWER(h, DOMAIN_INFO, &i, 0) && i.text == DRIVER &&
	   i.text_len == PAGE && i.verdict == CHARIOT_VERDICT_REPORT,
	   "DOMAIN_INFO of a newer program");
	op.verdict = 0;
	ok(NEWER(h, DOMAIN_DROP, &op, 1) == -E2BIG && vm_info(h).domains == 2,
	   "DOMAIN_DROP is refused");
	ok(!NEWER(h, DOMAIN_DROP, &op, 0) && !vm_info(h).domains,
	   "DOMAIN_DROP of a newer program");
}

static void test_vm(int h, struct domain *d)
{
	struct chariot_watch w = {
		.flags = CHARIOT_WATCH_LOAD, .timeout_ms = 1000,
		.load_gva = KERNEL, .cr3 = PML4, .cr4 = 0x20,
	};
	struct chariot_reset r = {};

	domain_create(h, d);
	ok(NEWER(h, WATCH, &w, 1) == -E2BIG && !vm_info(h).watch,
	   "WATCH is refused");
	ok(!NEWER(h, WATCH, &w, 0) && vm_info(h).watch == CHARIOT_WATCH_LOAD,
	   "WATCH of a newer program");
	ok(NEWER(h, RESET, &r, 1) == -E2BIG && vm_info(h).domains == 2 &&
	   vm_info(h).watch, "RESET is refused");
	ok(!NEWER(h, RESET, &r, 0) && !vm_info(h).domains && !vm_info(h).watch,
	   "RESET of a newer program");
}

void test_sizes(void)
{
	struct domain d;
	struct guest g;
	int h;

	guest_new(&g, 1);
	h = attach(g.fd);
	domain_init(&d, DRIVER);
	ok(NEWER(h, DOMAIN_CREATE, &d.create, 1) == -E2BIG && !vm_info(h).domains,
	   "DOMAIN_CREATE is refused");
	ok(NEWER(h, DOMAIN_CREATE, &d.create, 0) == 1 && vm_info(h).domains == 2,
	   "DOMAIN_CREATE of a newer program");
	d.create.argsz = sizeof(d.create);
	test_grant(h);
	test_domain(h);
	test_vm(h, &d);
	close(h);
}
