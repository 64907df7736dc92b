// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Evidence, in the fake guest of test-object.c: each way that a driver comes by an
 * object, and beside it what looks like it and is refused.  Ioctls end in mock_call().
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "evidence.h"
#include "fake-objects.h"
#include "tap.h"

#define DOMAIN		1
#define OTHER		2
#define FN		(MODULES + 0x40)	/* the driver's, of no prototype */
#define RIP		(MODULES + 0x100)
#define OWN		(LISTS + 0x400)		/* the driver has it */
#define TARGET		object(20)
#define VMAP_STACK	(VMALLOC + 0x104000)
#define MEGABYTE	(1UL << 20)
#define MANY		100000
#define MAX_ROWS	(MANY + 8)

struct row {
	uint32_t domain;
	struct chariot_object o;
};

static struct fake_objects f;
static struct chariot_vm *vm;
static struct evidence *e;
static const char *version;

/* What the module says, and what it is told. */
static struct {
	struct chariot_value given[512];
	uint32_t nr_given;
	struct row rows[MAX_ROWS];	/* by address */
	size_t nr_rows;
	uint32_t domains;
	struct chariot_grant grant;
	int nr_grants, nr_mem, nr_act;
	unsigned long failing;		/* that call fails */
	int error;
} m;

static struct chariot_event ev;
static char text[256];
static bool never;

/* ---- the mock ---------------------------------------------------------------------- */

static int mock_given(struct chariot_given *a)
{
	if (a->seq != ev.seq)
		return -ENOENT;
	if (a->nr < m.nr_given)
		return -EINVAL;
	memcpy((void *)(uintptr_t)a->buf, m.given, m.nr_given * sizeof(*m.given));
	return m.nr_given;
}

/* Those that begin at @start or behind it, as the module has it. */
static int mock_act(struct chariot_act_read *a)
{
	struct chariot_object *buf = (void *)(uintptr_t)a->buf;
	uint32_t n = 0;
	size_t i;

	m.nr_act++;
	if (!(m.domains & 1U << a->domain))
		return -ENOENT;
	for (i = 0; i < m.nr_rows; i++) {
		if (m.rows[i].domain != a->domain || m.rows[i].o.gva < a->start)
			continue;
		if (n == a->nr)
			break;
		buf[n++] = m.rows[i].o;
	}
	a->start = i < m.nr_rows ? m.rows[i].o.gva : 0;
	return n;
}

static int mock_mem(struct chariot_mem *a)
{
	m.nr_mem++;
	return a->flags ? -EPERM :
	       f.g.space.ops->read(f.g.space.ctx, a->gpa,
				   (void *)(uintptr_t)a->buf, a->len);
}

static int mock_call(unsigned long cmd, void *arg)
{
	if (cmd == m.failing)
		return m.error;
	switch (cmd) {
	case CHARIOT_MEM:
		return mock_mem(arg);
	case CHARIOT_VM_INFO:
		((struct chariot_vm_info *)arg)->domains = m.domains;
		return 0;
	case CHARIOT_GIVEN:
		return mock_given(arg);
	case CHARIOT_ACT_READ:
		return mock_act(arg);
	case CHARIOT_GRANT:
		m.grant = *(struct chariot_grant *)arg;
		m.nr_grants++;
		return 0;
	}
	return -ENOTTY;
}

/* ---- a question ---------------------------------------------------------------------- */

static void given(uint32_t kind, uint32_t arg, uint64_t fn, uint64_t value)
{
	m.given[m.nr_given++] = (struct chariot_value){
		.kind = kind, .arg = arg, .fn = fn, .value = value,
	};
}

static void argument(uint64_t value)
{
	given(CHARIOT_GIVEN_ARG, 0, FN, value);
}

static void has_row(uint32_t domain, uint64_t gva, uint64_t len, uint32_t source)
{
	if (m.nr_rows == MAX_ROWS)
		abort();
	m.rows[m.nr_rows++] = (struct row){
		domain, { .gva = gva, .len = len, .source = source },
	};
}

/* Nothing is given, nothing is the driver's, and all objects are empty. */
static void begin(void)
{
	static const struct chariot_driver none;

	evidence_driver(e, DOMAIN, &none, false);
	memset(&m, 0, sizeof(m));
	m.domains = 1U << DOMAIN | 1U << OTHER;
	ev = (struct chariot_event){
		.type = CHARIOT_EV_ASK, .seq = 77, .domain = DOMAIN,
	};
	ev.u.violation.why = CHARIOT_WHY_WRITE;
	ev.u.violation.rip = RIP;
	for (uint64_t at = object(0); at < object(NR); at += 8)
		put(&f, at, 0, 8);
	for (uint64_t at = OWN; at < OWN + 0x400; at += 8)
		put(&f, at, 0, 8);
	put_slab(&f);
}

static void code(const char *bytes, size_t len)
{
	chariot_space__write(&f.g.space, RIP, bytes, len);
}

static int look(uint64_t gva, uint32_t len)
{
	ev.u.violation.gva = gva;
	ev.u.violation.len = len;
	m.nr_grants = 0;
	memset(&m.grant, 0, sizeof(m.grant));
	text[0] = 0;
	return evidence_look(e, &ev, true, &never, text, sizeof(text));
}

static void tell(int r)
{
	printf("# %d, \"%s\", %d grants: %#llx %llu source %u flags %u gate %#llx site %#llx\n",
	       r, text, m.nr_grants, (unsigned long long)m.grant.gva,
	       (unsigned long long)m.grant.len, m.grant.source, m.grant.flags,
	       (unsigned long long)m.grant.gate, (unsigned long long)m.grant.site);
}

/* Handed over for good: [start, start + size), because of @gate. */
static void granted(const char *what, uint64_t gva, uint32_t len, uint64_t start,
		    uint64_t size, uint64_t gate)
{
	int r = look(gva, len);

	if (!tap_ok(r == 1 && m.nr_grants == 1 && m.grant.domain == DOMAIN &&
		    m.grant.source == CHARIOT_SRC_EVIDENCE && !m.grant.flags &&
		    !m.grant.seq && m.grant.gva == start && m.grant.len == size &&
		    m.grant.gate == gate && m.grant.site == RIP && text[0],
		    "%s: granted: %s", version, what))
		tell(r);
}

static void lent(const char *what, uint64_t gva, uint32_t len, uint64_t start,
		 uint64_t size)
{
	int r = look(gva, len);

	if (!tap_ok(r == 1 && m.nr_grants == 1 && m.grant.domain == DOMAIN &&
		    m.grant.source == CHARIOT_SRC_EVIDENCE &&
		    m.grant.flags == CHARIOT_GRANT_CALL && m.grant.seq == ev.seq &&
		    m.grant.gva == start && m.grant.len == size && !m.grant.gate &&
		    !m.grant.site, "%s: for the call: %s", version, what))
		tell(r);
}

/* The target as a whole. */
static void target_granted(const char *what)
{
	granted(what, TARGET + 5, 4, TARGET, OBJECT_SIZE, 0);
}

static void target_lent(const char *what)
{
	lent(what, TARGET + 5, 4, TARGET, OBJECT_SIZE);
}

static void refused(const char *what, uint64_t gva, uint32_t len, const char *why)
{
	int r = look(gva, len);

	if (!tap_ok(!r && !m.nr_grants && !never && strstr(text, why),
		    "%s: refused: %s", version, what))
		tell(r);
}

/* Whatever a driver does not know of it. */
static void never_granted(const char *what, uint64_t gva, uint32_t len,
			  const char *why)
{
	int r = look(gva, len);

	if (!tap_ok(!r && !m.nr_grants && never && strstr(text, why),
		    "%s: never: %s", version, what))
		tell(r);
}

#define NO_POINTER	"that it has no pointer to"

static void no_target(const char *what)
{
	refused(what, TARGET + 5, 4, NO_POINTER);
}

/* ---- what was given ---------------------------------------------------------------------- */

static void test_arguments(void)
{
	begin();
	no_target("what nothing points to");
	tap_ok(strstr(text, "thing") && strstr(text, "72 bytes"),
	       "%s: the text names it: %s", version, text);
	argument(TARGET + 16);
	target_lent("by an argument");
	tap_ok(strstr(text, "argument 1 of"), "%s: so says the text: %s", version,
	       text);
	lent("its last byte", TARGET + OBJECT_SIZE - 1, 1, TARGET, OBJECT_SIZE);
	refused("across its end", TARGET + OBJECT_SIZE - 1, 2,
		"more than the object");
	refused("a length of 4 GiB", TARGET, ~0U, "more than the object");
	refused("the next object", object(21), 4, NO_POINTER);
	begin();
	argument(TARGET + OBJECT_SIZE);
	no_target("by an argument that is behind it");
	begin();
	argument(TARGET - 1);
	no_target("by one that is before it");
}

static void test_prototypes(void)
{
	uint64_t walker = symbol(&f, "walker"), caller = symbol(&f, "caller");
	uint64_t pointer = symbol(&f, "pointer");

	begin();
	given(CHARIOT_GIVEN_RET, 0, caller, TARGET);
	target_lent("by a result");
	tap_ok(strstr(text, "result of caller"), "%s: so says the text: %s",
	       version, text);
	begin();
	given(CHARIOT_GIVEN_RET, 0, walker, TARGET);
	no_target("by the result of a function that has none");
	begin();
	given(CHARIOT_GIVEN_RET, 0, pointer, TARGET);
	no_target("by a result of 4 bytes");
	begin();
	given(CHARIOT_GIVEN_ARG, 0, walker, TARGET);
	target_lent("by an argument that the prototype has");
	begin();
	given(CHARIOT_GIVEN_ARG, 1, walker, TARGET);
	no_target("by a register that it does not have");
	begin();
	given(CHARIOT_GIVEN_ARG, 5, walker + 4, TARGET);
	target_lent("by a register of what is no function's begin");
}

/* It has taken the pointer away. */
static void test_had(void)
{
	begin();
	given(CHARIOT_GIVEN_RET, 0, symbol(&f, "caller"), TARGET);
	target_lent("by a result, once");
	m.nr_given = 0;
	target_lent("what it had");
	refused("the object behind it", object(21), 4, NO_POINTER);
	ev.flags = CHARIOT_EV_GAVE_BACK;
	no_target("what it had and gave back");
	begin();
	argument(TARGET);
	target_lent("by an argument, once");
	m.nr_given = 0;
	no_target("what was only an argument");
}

/* In call after call, and the driver has a pointer to it as well. */
static void test_again(void)
{
	uint64_t caller = symbol(&f, "caller");
	int lent = 0, questions = 0;

	begin();
	has_row(DOMAIN, OWN, 0x400, CHARIOT_SRC_ALLOCATION);
	put(&f, OWN + 64, TARGET, 8);
	given(CHARIOT_GIVEN_OUT, 0, caller, TARGET);
	argument(TARGET);
	for (; questions < 100; questions++) {
		if (look(TARGET + 5, 4) != 1 || !m.grant.flags)
			break;
		lent++;
	}
	tap_ok(m.nr_grants == 1 && !m.grant.flags && m.grant.gva == TARGET &&
	       m.grant.len == OBJECT_SIZE && lent > 1 && lent < 10,
	       "%s: what is asked for again and again is handed over, after %d calls",
	       version, lent);
	tap_ok(strstr(text, "of its own"), "%s: so says the text: %s", version, text);
	put(&f, OWN + 64, 0, 8);
	for (lent = 0; lent < 20; lent++)
		if (look(TARGET + 5, 4) != 1 || !m.grant.flags)
			break;
	tap_ok(lent == 20, "%s: not without a pointer of its own", version);
	put(&f, OWN + 64, TARGET, 8);
	put(&f, OWN + 72, object(21), 8);
	argument(object(21));
	for (lent = 0; lent < 20; lent++)
		if (look((lent & 1 ? object(21) : TARGET) + 5, 4) != 1 || !m.grant.flags)
			break;
	tap_ok(lent == 20, "%s: nor another one each time", version);
	ev.flags = CHARIOT_EV_GAVE_BACK;
	for (lent = 0; lent < 20; lent++)
		if (look(TARGET + 5, 4) != 1 || !m.grant.flags)
			break;
	tap_ok(lent == 20, "%s: nor what it gave back", version);
}

/* In nodes that the kernel has allocated. */
static void test_tree(void)
{
	uint64_t node = object(30), below = object(31);

	begin();
	has_row(DOMAIN, OWN, 0x400, CHARIOT_SRC_ALLOCATION);
	put(&f, OWN + 64, node + 2, 8);
	put(&f, node + 16, TARGET, 8);
	target_lent("what is in a tree of its own");
	put(&f, OWN + 64, node, 8);
	no_target("in what is no node");
	put(&f, OWN + 64, node + 2, 8);
	put(&f, node + 16, below + 2, 8);
	put(&f, below + 24, TARGET, 8);
	target_lent("in a node below");
	put(&f, node + 16, below, 8);
	no_target("in what a node leads to");
	put(&f, node + 16, node + 2, 8);
	no_target("in a node that leads to itself");
	put(&f, node + 16, TARGET, 8);
	put(&f, OWN + 64, object(4) + 2, 8);
	put(&f, object(4) + 16, TARGET, 8);
	no_target("in a free one");
	put_slab(&f);
}

/* It walks a list, and takes it apart. */
static void test_list(void)
{
	uint64_t caller = symbol(&f, "caller");

	begin();
	given(CHARIOT_GIVEN_RET, 0, caller, TARGET);
	put(&f, TARGET, object(21), 8);
	put(&f, object(21), object(22), 8);
	put(&f, TARGET + 16, object(23) + 16, 8);
	put(&f, TARGET + 32, object(24) + 16, 8);
	target_lent("the first of a list");
	put(&f, TARGET, 0, 8);
	put(&f, object(21), 0, 8);
	m.nr_given = 0;
	lent("the next one", object(21) + 5, 4, object(21), OBJECT_SIZE);
	lent("the one behind it", object(22) + 5, 4, object(22), OBJECT_SIZE);
	lent("the next one of another list", object(23), 4, object(23),
	     OBJECT_SIZE);
	refused("what has no such member there", object(24), 4, NO_POINTER);
	begin();
	refused("the next one of another driver", object(21) + 5, 4, NO_POINTER);
}

static void test_outputs(void)
{
	uint64_t caller = symbol(&f, "caller"), pointer = symbol(&f, "pointer");
	uint64_t out = STACK + 0x800;

	for (int i = 0; i < 16; i++)
		put(&f, out + 8 * i, 0, 8);
	begin();
	put(&f, out + 8, TARGET, 8);
	given(CHARIOT_GIVEN_OUT, 1, caller, out);
	target_lent("by a word that was stored");
	tap_ok(strstr(text, "output of caller"), "%s: so says the text: %s",
	       version, text);
	put(&f, out + 8, 0, 8);
	put(&f, out + 64, TARGET, 8);
	no_target("by the ninth word");
	begin();
	put(&f, out, TARGET, 8);
	given(CHARIOT_GIVEN_OUT, 1, pointer, out);
	target_lent("by one word, as large as the type is");
	put(&f, out, 0, 8);
	put(&f, out + 8, TARGET, 8);
	no_target("by a word behind it");
	begin();
	put(&f, out, TARGET, 8);
	given(CHARIOT_GIVEN_OUT, 0, caller, out);
	no_target("by what is const");
	m.nr_given = 0;
	given(CHARIOT_GIVEN_OUT, 0, pointer, out);
	no_target("by an argument that is no pointer");
	m.nr_given = 0;
	put(&f, out, 0, 8);
	put(&f, out + 12, TARGET, 8);
	given(CHARIOT_GIVEN_OUT, 1, caller, out + 4);
	no_target("by words that are not aligned");
	put(&f, out + 8, 0, 8);
	put(&f, out, TARGET, 8);
	m.nr_given = 0;
	given(CHARIOT_GIVEN_OUT, 0, FN, out);
	no_target("by the output of a function of no prototype");
	m.nr_given = 0;
	given(CHARIOT_GIVEN_OUT, 1, caller, TARGET);
	no_target("by where the output is");
	m.nr_given = 0;
	given(CHARIOT_GIVEN_STACK, 0, caller, TARGET);
	no_target("by a stack pointer");
}

static void test_through(void)
{
	begin();
	argument(object(30) + 8);
	put(&f, object(30) + 40, TARGET + 1, 8);
	target_lent("through an object that an argument leads to");
	tap_ok(strstr(text, "in the argument 1 of"), "%s: so says the text: %s",
	       version, text);
	/* The kernel may have allocated the same memory for it anew. */
	ev.flags = CHARIOT_EV_GAVE_BACK;
	target_lent("through one, what it has freed");
	argument(TARGET);
	target_lent("what it has freed and was given");
	begin();
	argument(object(30));
	put(&f, object(30), object(31), 8);
	put(&f, object(31), TARGET, 8);
	target_lent("through two objects");
	put(&f, object(31), object(32), 8);
	put(&f, object(32), TARGET, 8);
	no_target("through three");
	begin();
	argument(object(4));
	put(&f, object(4), TARGET, 8);
	no_target("through an object that is free");
	/* They have one place in the cache. */
	begin();
	argument(kva(3 * MEGABYTE));
	argument(kva(7 * MEGABYTE));
	put(&f, kva(7 * MEGABYTE), TARGET, 8);
	target_lent("through the second of two pages");
	put(&f, kva(7 * MEGABYTE), 0, 8);
	begin();
	argument(SLAB_PAGE);
	put(&f, SLAB_PAGE + 56, TARGET, 8);
	no_target("through a struct page");
	put(&f, SLAB_PAGE + 56, 0, 8);
	begin();
	argument(put_page(&f, P0));
	put_member(&f, "page", m.given[0].value, "private", TARGET);
	target_lent("by what is kept for a page");
	put_member(&f, "page", m.given[0].value, "private", object(22));
	put(&f, object(22) + 8, object(23), 8);
	put(&f, object(23) + 8, TARGET, 8);
	target_lent("in the ring that is kept for a page");
	put(&f, object(23) + 8, TARGET + 8, 8);
	no_target("by no ring: the middle of an object");
	put(&f, object(23) + 8, object(22), 8);
	no_target("in a ring without it");
	put(&f, object(23) + 8, object(23), 8);
	no_target("in a ring that does not come to its begin");
	put_page(&f, P0);
}

/* ---- what the driver has ---------------------------------------------------------------------- */

static void test_owned(void)
{
	static const struct {
		const char *what;
		uint32_t source;
		bool yes;
	} sources[] = {
		{ "its section", CHARIOT_SRC_SECTION, true },
		{ "its allocation", CHARIOT_SRC_ALLOCATION, true },
		{ "what it was handed", CHARIOT_SRC_ARGUMENT, false },
		{ "what it was granted so", CHARIOT_SRC_EVIDENCE, false },
		{ "what it has freed", CHARIOT_SRC_FREED, false },
		{ "a stack", CHARIOT_SRC_STACK, false },
	};
	char what[64];

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		begin();
		put(&f, OWN + 0x58, TARGET + 8, 8);
		has_row(DOMAIN, OWN, 0x60, sources[i].source);
		snprintf(what, sizeof(what), "by a pointer in %s", sources[i].what);
		if (sources[i].yes)
			target_granted(what);
		else
			no_target(what);
	}
	begin();
	put(&f, OWN + 0x58, TARGET, 8);
	has_row(DOMAIN, OWN, 0x58, CHARIOT_SRC_SECTION);
	no_target("by a pointer behind its section");
	m.rows[0].o.gva = OWN + 0x5c;
	no_target("by one that begins before its section");
	m.rows[0].o.gva = OWN + 1;
	m.rows[0].o.len = 0x5f;
	target_granted("by one in a section that is not aligned");
	begin();
	put(&f, OWN, TARGET, 8);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	ev.u.violation.caller = RIP + 0x20;
	tap_ok(look(TARGET, 8) == 1 && m.grant.site == RIP + 0x20,
	       "%s: the site is where the driver has called from", version);
	ev.u.violation.caller = 0;
	ev.flags = CHARIOT_EV_GAVE_BACK;
	target_granted("what it has freed, by a pointer in its own memory");
	begin();
	put(&f, OWN, TARGET, 8);
	has_row(OTHER, OWN, 8, CHARIOT_SRC_SECTION);
	no_target("by a pointer that another driver has");
	begin();
	put(&f, OWN, object(30), 8);
	put(&f, object(30), TARGET, 8);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	no_target("a slab object through what it has");
}

static void test_handed(void)
{
	begin();
	put(&f, OWN, object(30) + 8, 8);
	put(&f, object(30) + 16, TARGET, 8);
	has_row(DOMAIN, object(30), OBJECT_SIZE, CHARIOT_SRC_ARGUMENT);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	target_granted("by a pointer in what it was handed, and still has");
	m.rows[0].o.source = CHARIOT_SRC_FREED;
	no_target("in what it has freed, and has a pointer to");
	m.rows[0].o.source = CHARIOT_SRC_ARGUMENT;
	put(&f, OWN, object(31), 8);
	no_target("in what it no longer has a pointer to");
}

static void test_others(void)
{
	uint64_t page = kva(P0);

	begin();
	argument(TARGET);
	has_row(OTHER, TARGET, 64, CHARIOT_SRC_ALLOCATION);
	never_granted("another isolated driver's allocation", TARGET, 8,
		"another isolated driver");
	m.rows[0].o.source = CHARIOT_SRC_ARGUMENT;
	target_lent("what another one was handed, too");
	has_row(OTHER, TARGET + 8, 8, CHARIOT_SRC_ALLOCATION);
	never_granted("with its allocation behind that", TARGET, 8,
		"another isolated driver");
	m.rows[1].o.gva = object(21);
	target_lent("beside another's allocation");
	begin();
	put_page(&f, P0);
	argument(page);
	has_row(OTHER, page - PAGE_SIZE, 2 * PAGE_SIZE, CHARIOT_SRC_ALLOCATION);
	never_granted("the second page of another's", page, 8, "another isolated driver");
	m.rows[0].o.len = PAGE_SIZE;
	lent("the page behind another's", page, 8, page, PAGE_SIZE);
	m.rows[0].o.gva = page - 8;
	m.rows[0].o.len = 8;
	for (int i = 0; i < 100; i++)
		has_row(OTHER, page + 8 * i, 8, CHARIOT_SRC_ARGUMENT);
	has_row(OTHER, page + 8 * 100, 8, CHARIOT_SRC_ALLOCATION);
	never_granted("another's allocation behind 100 other rows", page, 8,
		      "another isolated driver");
	begin();
	argument(TARGET);
	m.domains = 1U << DOMAIN;
	has_row(OTHER, TARGET, 64, CHARIOT_SRC_ALLOCATION);
	target_lent("of a driver that is no longer isolated");
}

/* ---- kinds of objects ---------------------------------------------------------------------- */

static void test_never(void)
{
	uint64_t page = put_page(&f, P0), task = symbol(&f, "init_task");

	begin();
	argument(object(4));
	refused("a free object", object(4), 8, "it is free");
	argument(symbol(&f, "walker"));
	never_granted("text", symbol(&f, "walker") + 8, 8, "it is text");
	argument(symbol(&f, "a_constant"));
	never_granted("a constant", symbol(&f, "a_constant"), 8, "it is text");
	mark_page(&f, page, "table");
	argument(kva(P0));
	never_granted("a page table", kva(P0) + 8, 8, "page table");
	put_page(&f, P0);
	lent("that page when it is none", kva(P0) + 8, 8, kva(P0), PAGE_SIZE);
	argument(task);
	never_granted("a task", task + 8, 8, "it is a task");
	argument(SLAB_PAGE);
	never_granted("a struct page", SLAB_PAGE, 8, "bookkeeping");
	argument(MODULES + 0x2040);
	refused("a module's variable", MODULES + 0x2040, 8, "another module's");
	argument(0x400000);
	refused("an address of user space", 0x400000, 8, "no object");
	argument(DIRECT + (1UL << 40));
	refused("where there is no memory", DIRECT + (1UL << 40), 8, "no object");
}

static void test_import(void)
{
	struct chariot_symbol sym = { .gva = symbol(&f, "jiffies") };
	struct chariot_driver d = { .imports = { &sym, 1, 1 } };

	begin();
	refused("a variable that it does not import", sym.gva + 8, 8, NO_POINTER);
	tap_ok(!evidence_driver(e, DOMAIN, &d, false), "%s: a driver", version);
	granted("one that it imports", sym.gva + 8, 8, sym.gva, SYMBOL_LEN, 0);
	refused("another one", symbol(&f, "other_2051"), 8, NO_POINTER);
	ev.domain = 3;
	refused("one that another driver imports", sym.gva + 8, 8, NO_POINTER);
	ev.domain = DOMAIN;
	d.imports.nr = 0;
	tap_ok(!evidence_driver(e, DOMAIN, &d, true) && look(sym.gva, 8) == 1,
	       "%s: a further module of it", version);
	tap_ok(!evidence_driver(e, DOMAIN, &d, false) && !look(sym.gva, 8),
	       "%s: another driver of that number", version);
	tap_ok(evidence_driver(e, NR_DOMAINS, &d, false) == -EINVAL,
	       "%s: a number that no domain has", version);
}

/* Three objects in a row lead from what it has to @v, in the target; or four. */
static void target_far(const char *what, uint64_t gva, uint64_t v, uint64_t size)
{
	uint64_t start = size == OBJECT_SIZE ? TARGET : gva;
	char text[64];

	for (int i = 30; i < 34; i++)
		put(&f, object(i) + 8, i == 32 ? v : object(i + 1), 8);
	snprintf(text, sizeof(text), "%s through three objects", what);
	granted(text, gva, 4, start, size, 0);
	put(&f, object(32) + 8, object(33), 8);
	put(&f, object(33) + 8, v, 8);
	snprintf(text, sizeof(text), "%s through four", what);
	refused(text, gva, 4, NO_POINTER);
}

static void test_percpu(void)
{
	uint64_t at = AREA + CPU_STEP + CHUNK_OFF + 16, offset, base;

	put_chunk(&f);
	space_read_uint(&f.g.space, symbol(&f, "__per_cpu_offset") + 8, 8, &offset);
	base = at - offset;
	begin();
	refused("per-CPU memory", at + 8, 8, NO_POINTER);
	argument(base);
	granted("per-CPU memory by its __percpu pointer", at + 8, 8, at, 40, FN);
	m.nr_given = 0;
	argument(base + 40);
	refused("by one behind it", at + 8, 8, NO_POINTER);
	begin();
	put(&f, OWN, object(30), 8);
	put(&f, object(30) + 8, base, 8);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	code("\x48\xff\x07", 4);
	refused("per-CPU memory through what it has", at, 8, NO_POINTER);
	code("\x65\x48\xff\x07", 5);
	granted("with an instruction for the CPU's memory", at, 8, at, 40, 0);
	target_far("per-CPU memory", at, base, 40);
}

static void test_pages(void)
{
	uint64_t page = put_compound(&f, P0, 1), behind = put_page(&f, P0 + 0x2000);

	begin();
	argument(page + 64);
	lent("pages by their second struct page", kva(P0) + 8, 8, kva(P0),
	     2 * PAGE_SIZE);
	m.nr_given = 0;
	argument(page + 64 + 2);
	lent("with flags, as in an sg list", kva(P0) + 8, 8, kva(P0), 2 * PAGE_SIZE);
	m.nr_given = 0;
	argument(behind);
	refused("by that of the next page", kva(P0) + 8, 8, NO_POINTER);
	m.nr_given = 0;
	argument(SLAB_PAGE);
	no_target("a slab object by its struct page");
	for (int i = 0; i < 3; i++)
		put_page(&f, P0 + i * PAGE_SIZE);
}

/* ---- for the call ---------------------------------------------------------------------- */

static void test_private(void)
{
	uint64_t page = put_page(&f, P0), at = page + 40;

	chariot_space__write(&f.g.space, kva(P0), "some text, as data has it", 24);
	begin();
	refused("the private word of a page", at, 8, NO_POINTER);
	argument(page);
	lent("of one that it was given", at, 8, at, 8);
	never_granted("the word behind it", at + 8, 8, "bookkeeping");
	never_granted("that and more", at + 4, 8, "bookkeeping");
	mark_page(&f, page, "table");
	never_granted("that of a page table", at, 8, "bookkeeping");
	put_page(&f, P0);
	argument(SLAB_PAGE);
	never_granted("that of a slab", SLAB_PAGE + (at - page), 8, "bookkeeping");
}

/* What it was handed leads to an object with a vector. */
static void test_vec(void)
{
	uint64_t page = put_page(&f, P0), mem = kva(P0);

	chariot_space__write(&f.g.space, mem, "some text, as data has it", 24);
	begin();
	put(&f, OWN, object(30), 8);
	put(&f, object(30) + 8, object(31), 8);
	put(&f, object(31) + 16, page, 8);
	put(&f, object(31) + 24, 0x200 | 0x100ULL << 32, 8);
	has_row(DOMAIN, object(30), OBJECT_SIZE, CHARIOT_SRC_ARGUMENT);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	lent("by a bio_vec", mem + 0x2fc, 4, mem + 0x100, 0x200);
	refused("what is behind it", mem + 0x300, 4, NO_POINTER);
	refused("what is before it", mem + 0xfc, 4, NO_POINTER);
	put(&f, object(31) + 16, page + 2, 8);
	put(&f, object(31) + 24, 0x100 | 0x800ULL << 32, 8);
	lent("by an entry of a scatterlist", mem + 0x17c, 4, mem + 0x100, 0x800);
	put(&f, object(31) + 24, 0x100 | 0x8000ULL << 32, 8);
	lent("no more than the page", mem + 0x17c, 4, mem + 0x100, 0xf00);
	put_page(&f, P0 + PAGE_SIZE);
	chariot_space__write(&f.g.space, mem + PAGE_SIZE,
			     "some text, as data has it", 24);
	lent("a later page", mem + 0x1ffc, 4, mem + 0x1000, 0x1000);
	put(&f, object(31) + 24, ~0ULL, 8);
	refused("by what is no such entry", mem + 0x17c, 4, NO_POINTER);
	put(&f, object(31) + 24, 0x100 | 0x800ULL << 32, 8);
	put(&f, OWN, 0, 8);
	refused("through what it no longer has a pointer to", mem + 0x17c, 4,
		NO_POINTER);
}

/* The seventh and the eighth, behind the return address. */
static void test_stack_arguments(void)
{
	uint64_t sp = VMAP_STACK + 0x1000, fn = symbol(&f, "plain");

	begin();
	given(CHARIOT_GIVEN_ARG, 0, fn, 1);
	given(CHARIOT_GIVEN_RET, 0, symbol(&f, "caller"), 1);
	given(CHARIOT_GIVEN_STACK, 0, symbol(&f, "walker") + 100, sp);
	lent("an argument on the stack", sp, 8, sp, 8);
	lent("half of the last one", sp + 12, 4, sp + 12, 4);
	tap_ok(look(sp + 16, 8) == 0 && !m.nr_grants, "%s: what is behind them", version);
	tap_ok(look(sp + 12, 8) == 0 && !m.nr_grants, "%s: one and more", version);
	tap_ok(look(sp - 8, 8) == 0 && !m.nr_grants, "%s: the return address", version);
	m.given[0].fn = symbol(&f, "walker");
	tap_ok(look(sp, 8) == 0 && !m.nr_grants, "%s: of a function that has none",
	       version);
}

static void frames_of(const char *which, uint64_t stack)
{
	uint64_t sp = stack + 0x1000, ret = sp + 24 + 0x40 - 8;
	char what[80];

	begin();
	put(&f, ret, symbol(&f, "caller") + 50, 8);
	given(CHARIOT_GIVEN_STACK, 0, symbol(&f, "walker") + 100, sp);
	snprintf(what, sizeof(what), "a local %s, of no pointer", which);
	refused(what, sp + 8, 8, NO_POINTER);
	argument(sp + 8);
	snprintf(what, sizeof(what), "a local %s, of a driver without types", which);
	lent(what, sp + 8, 8, sp, 0x40);
	given(CHARIOT_GIVEN_ARG, 0, symbol(&f, "walker"), sp + 8);
	snprintf(what, sizeof(what), "a local %s", which);
	lent(what, sp + 8, 8, sp, 0x40);
	argument(ret);
	snprintf(what, sizeof(what), "a return address %s", which);
	refused(what, ret, 8, "a stack is there");
	argument(ret - 8);
	snprintf(what, sizeof(what), "a saved register %s", which);
	refused(what, ret - 8, 8, "a stack is there");
	snprintf(what, sizeof(what), "the last local and more %s", which);
	refused(what, sp + 0x3c, 8, "more than the object");
	argument(kva(P0 + 0x9000));
	snprintf(what, sizeof(what), "a page elsewhere, %s", which);
	lent(what, kva(P0 + 0x9000), 8, kva(P0 + 0x9000), PAGE_SIZE);
	argument(sp - 0x40);
	snprintf(what, sizeof(what), "below the stack pointer %s", which);
	refused(what, sp - 0x40, 8, "a stack is there");
}

static void test_frames(void)
{
	put_rows(&f);
	frames_of("on a stack of pages", STACK);
	for (int i = 0; i < 4; i++) {
		put_page(&f, P0 + i * PAGE_SIZE);
		fake_map(&f.g, VMAP_STACK + i * PAGE_SIZE, P0 + i * PAGE_SIZE, 1);
	}
	put(&f, VMAP_STACK, 0x57ac6e9d, 8);
	frames_of("on a mapped stack", VMAP_STACK);
	for (int i = 0; i < 4; i++)
		fake_unmap(&f.g, VMAP_STACK + i * PAGE_SIZE);
}

static void new_evidence(void)
{
	evidence_free(e);
	e = evidence_new(vm);
	if (!e)
		exit(1);
}

static void test_counts(void)
{
	static const char locked[] = "\x66\xf0\x48\x0f\xc1\x07";
	static const char up[] = "\x3e\xff\x47\x10";
	static const char swap[] = "\x41\x87\x47\x10";
	static const char plain[] = "\x48\xff\x47\x10\xf0";

	put_variable(&f, "task_struct_cachep", CACHE);
	new_evidence();
	begin();
	argument(TARGET);
	code(locked, sizeof(locked));
	lent("the count of a task, locked", TARGET + 16, 4, TARGET + 16, 4);
	never_granted("another member", TARGET, 8, "it is a task");
	never_granted("a count and more", TARGET + 16, 8, "it is a task");
	code(up, sizeof(up));
	lent("as a guest with one CPU has it", TARGET + 16, 4, TARGET + 16, 4);
	code(swap, sizeof(swap));
	lent("with xchg", TARGET + 36, 4, TARGET + 36, 4);
	code(plain, sizeof(plain));
	never_granted("by a plain instruction", TARGET + 16, 4, "it is a task");
	code(locked, sizeof(locked));
	ev.u.violation.rip = 0x1234;
	never_granted("by one that cannot be read", TARGET + 16, 4, "it is a task");
	ev.u.violation.rip = RIP;
	refused("of a task that is free", object(4) + 16, 4, "it is free");
	ev.u.violation.why = CHARIOT_WHY_FREE;
	argument(TARGET);
	never_granted("to free a task that it was given", TARGET, 0, "it is a task");
	ev.u.violation.why = CHARIOT_WHY_WRITE;
	put_variable(&f, "task_struct_cachep", 0);
	new_evidence();
}

/* Credentials that are made for it, before a task takes them on. */
static void test_new(void)
{
	uint64_t caller = symbol(&f, "caller");
	uint64_t current = symbol(&f, "current_task") - symbol(&f, "__per_cpu_start");

	put_variable(&f, "cred_jar", CACHE);
	new_evidence();
	begin();
	put(&f, TARGET, 1, 4);
	never_granted("credentials", TARGET + 24, 4, "known by");
	argument(TARGET);
	never_granted("credentials that it was given", TARGET + 24, 4, "known by");
	given(CHARIOT_GIVEN_RET, 0, symbol(&f, "walker"), TARGET);
	never_granted("by a function that returns none", TARGET + 24, 4, "known by");
	given(CHARIOT_GIVEN_RET, 0, caller, TARGET + 8);
	never_granted("in the middle of a result", TARGET + 24, 4, "known by");
	given(CHARIOT_GIVEN_RET, 0, caller, TARGET);
	lent("credentials that were made for it", TARGET + 24, 4, TARGET + 24, 4);
	never_granted("others beside them", object(21) + 24, 4, "known by");
	put(&f, TARGET, 2, 4);
	never_granted("when somebody else has them", TARGET + 24, 4, "known by");
	put(&f, TARGET, 1, 4);
	put(&f, AREA + CPU_STEP + current, object(40), 8);
	put(&f, object(40) + 16, TARGET, 8);
	never_granted("when a task has them", TARGET + 24, 4, "known by");
	put(&f, AREA + CPU_STEP + current, 0, 8);
	put_variable(&f, "cred_jar", 0);
	new_evidence();
}

/* What a task that runs leads to, and what an object of its own does. */
static void test_counts_near(void)
{
	static const char locked[] = "\xf0\xff\x47\x08";
	uint64_t current = symbol(&f, "current_task") - symbol(&f, "__per_cpu_start");

	begin();
	code(locked, sizeof(locked));
	refused("a count that nothing leads to", TARGET + 8, 4, NO_POINTER);
	put(&f, AREA + CPU_STEP + current, object(40), 8);
	refused("a count that the task that runs does not have", TARGET + 8, 4,
		NO_POINTER);
	put(&f, object(40) + 16, TARGET, 8);
	lent("a count of what the task that runs has", TARGET + 8, 4, TARGET + 8, 4);
	refused("another member of it", TARGET, 8, NO_POINTER);
	put(&f, AREA + CPU_STEP + current, 0, 8);
	put(&f, OWN, object(30), 8);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	target_far("a count", TARGET + 8, TARGET, OBJECT_SIZE);
	put(&f, OWN, object(4), 8);
	put(&f, object(4), TARGET, 8);
	refused("a count through a free object", TARGET + 8, 4, NO_POINTER);
	put_slab(&f);
	put(&f, OWN, object(30), 8);
	chariot_space__write(&f.g.space, STRINGS, "other", 6);
	target_far("an atomic change of no known type", TARGET, TARGET, OBJECT_SIZE);
	put_slab(&f);
	begin();
	refused("the count of a page", SLAB_PAGE + 52, 4, NO_POINTER);
	argument(SLAB_PAGE);
	lent("by its struct page", SLAB_PAGE + 52, 4, SLAB_PAGE + 52, 4);
	lent("its flags", SLAB_PAGE, 8, SLAB_PAGE, 8);
	never_granted("what is behind them", SLAB_PAGE + 8, 8, "bookkeeping");
	code("\x48\x89\x03", 3);
	never_granted("its flags, all at once", SLAB_PAGE, 8, "bookkeeping");
}

/* ---- what it frees ---------------------------------------------------------------------- */

static void test_free(void)
{
	begin();
	ev.u.violation.why = CHARIOT_WHY_FREE;
	argument(object(4));
	argument(TARGET + 8);
	refused("to free what is free", object(4), 0, "it is free");
	refused("to free the middle of an object", TARGET + 8, 0, "middle");
	m.nr_given = 0;
	granted("to free what it has not freed", TARGET, 0, TARGET, OBJECT_SIZE, 0);
	ev.flags = CHARIOT_EV_GAVE_BACK;
	refused("to free what it has freed", TARGET, 0, NO_POINTER);
	argument(TARGET);
	granted("what it was given back, by an argument", TARGET, 0, TARGET,
		OBJECT_SIZE, FN);
	m.nr_given = 0;
	put(&f, OWN, TARGET, 8);
	has_row(DOMAIN, OWN, 8, CHARIOT_SRC_SECTION);
	granted("what it was given back, by a pointer", TARGET, 0, TARGET,
		OBJECT_SIZE, 0);
	begin();
	ev.u.violation.why = CHARIOT_WHY_FREE;
	granted("to free what no slab has", kva(P0), 0, kva(P0), 1, 0);
	mark_page(&f, put_page(&f, P0), "buddy");
	refused("to free a page that is free", kva(P0), 0, "it is free");
	put_page(&f, P0);
	granted("to free what is nowhere", 77, 0, 77, 1, 0);
}

/* ---- errors, and what no guest has ------------------------------------------------------- */

static void fails_with(const char *what, unsigned long cmd, int error, int result)
{
	int r;

	begin();
	argument(TARGET);
	m.failing = cmd;
	m.error = error;
	r = look(TARGET, 8);
	if (!tap_ok(r == result && !m.nr_grants, "%s: %s: %d", version, what, result))
		tell(r);
}

static void test_errors(void)
{
	begin();
	argument(TARGET);
	ev.u.violation.gva = TARGET;
	ev.u.violation.len = 8;
	tap_ok(evidence_look(e, &ev, false, &never, text, sizeof(text)) == 1 &&
	       !m.nr_grants && strstr(text, "argument 1"),
	       "%s: found, and not granted", version);
	fails_with("what was given cannot be asked for", CHARIOT_GIVEN, -EIO, -EIO);
	fails_with("nobody waits any more", CHARIOT_GIVEN, -ENOENT, 0);
	fails_with("it cannot be granted", CHARIOT_GRANT, -ENOSPC, -ENOSPC);
	fails_with("guest memory cannot be read", CHARIOT_MEM, -EFAULT, 0);
	fails_with("it is not known which domains there are", CHARIOT_VM_INFO, -EIO,
		   0);
	fails_with("it is not known what others have", CHARIOT_ACT_READ, -ENOMEM, 0);
	begin();
	argument(TARGET);
	ev.u.violation.gva = TARGET;
	tap_ok(evidence_look(e, &ev, true, &never, text, 1) == 1 && !text[0],
	       "%s: no room for a text", version);
}

static void test_garbage(void)
{
	uint64_t v = 0x9e3779b97f4a7c15;
	static const uint64_t bases[] = {
		DIRECT, VMEMMAP, VMALLOC, MODULES, IMAGE, 0, ~0ULL << 24, 1ULL << 47,
	};

	begin();
	for (int i = 0; i < 512; i++) {
		v = v * 6364136223846793005 + 1442695040888963407;
		given(i < 256 ? (uint32_t)i % 5 : v >> 32, i % 3 ? v >> 61 : v >> 32,
		      v & 8 ? symbol(&f, "caller") : v,
		      bases[v >> 20 & 7] + (v >> 40));
	}
	no_target("512 rows of garbage");
	tap_ok(m.nr_mem < 100000, "%s: with %d reads", version, m.nr_mem);
}

/* Objects that lead to one another, and nowhere else. */
static void test_circles(void)
{
	begin();
	for (int i = 30; i < 60; i++)
		for (int n = 0; n < OBJECT_SIZE; n += 8)
			put(&f, object(i) + n, object(30 + (i + n) % 30), 8);
	for (int i = 0; i < 512; i++)
		argument(object(30 + i % 30));
	has_row(DOMAIN, object(30), 30 * SIZE, CHARIOT_SRC_SECTION);
	no_target("objects in circles");
	tap_ok(m.nr_mem < 1000, "%s: with %d reads", version, m.nr_mem);
}

static void test_many(void)
{
	begin();
	put(&f, OWN, TARGET, 8);
	for (int i = 0; i < MANY; i++)
		has_row(DOMAIN, VMALLOC + (1ULL << 40) + i * 64, 64,
			CHARIOT_SRC_ALLOCATION);
	no_target("a hundred thousand objects of its own");
	tap_ok(m.nr_act < 100 && m.nr_mem < MANY / 10,
	       "%s: with %d calls and %d reads", version, m.nr_act, m.nr_mem);
	has_row(DOMAIN, VMALLOC + (2ULL << 40), 1ULL << 62, CHARIOT_SRC_SECTION);
	has_row(DOMAIN, MODULES, ~0ULL, CHARIOT_SRC_SECTION);
	no_target("with some that have no end");
	tap_ok(m.nr_act < 100 && m.nr_mem < MANY / 10,
	       "%s: with %d calls and %d reads", version, m.nr_act, m.nr_mem);
	m.rows[0].o.gva = OWN;
	target_granted("by the first of them");
	m.rows[0].o.gva = OWN + 8;
	put(&f, MODULES + 0x2008, TARGET, 8);
	has_row(DOMAIN, MODULES + 0x2000, PAGE_SIZE, CHARIOT_SRC_SECTION);
	target_granted("by its section behind them");
	put(&f, MODULES + 0x2008, 0, 8);
}

/* Five times what is below the test's own memory. */
static void test_much(void)
{
	begin();
	for (int i = 0; i < 60; i++)
		has_row(DOMAIN, kva(i % 12 * MEGABYTE), MEGABYTE,
			CHARIOT_SRC_ALLOCATION);
	no_target("60 MiB of its own");
	tap_ok(m.nr_mem > 1000 && m.nr_mem < 4000, "%s: with %d reads", version,
	       m.nr_mem);
}

/* 7 MiB of pointers to pages that do not lie in the cache together. */
static void test_deep(void)
{
	uint64_t at = AREA + CHUNK_OFF + 16, own = kva(4 * MEGABYTE);

	put_chunk(&f);
	begin();
	code("\x65\x48\xff\x07", 5);
	for (uint64_t i = 0; i < MEGABYTE; i += 8)
		put(&f, own + i, kva((3 + (i & 8) / 2) * MEGABYTE), 8);
	for (int i = 0; i < 7; i++)
		has_row(DOMAIN, own + 8 * i, MEGABYTE, CHARIOT_SRC_ALLOCATION);
	refused("what 7 MiB of pointers do not lead to", at, 8, NO_POINTER);
	tap_ok(m.nr_mem < 100000, "%s: with %d reads", version, m.nr_mem);
	for (uint64_t i = 0; i < MEGABYTE; i += 8)
		put(&f, own + i, object(30), 8);
	put(&f, own + MEGABYTE - 8, object(31), 8);
	put(&f, object(31), at - (AREA - symbol(&f, "__per_cpu_start")), 8);
	m.nr_rows = 1;
	granted("behind so many of one object, another one", at, 8, at, 40, 0);
}

/* ---- both kernels ---------------------------------------------------------------------- */

static void test_all(bool old)
{
	version = old ? "6.1" : "6.12";
	objects_init(&f, old);
	put_module(&f);
	vm = vm_new(open("/dev/null", O_RDONLY | O_CLOEXEC));
	if (!vm)
		exit(1);
	vm->profile = f.p;
	vm->space.cr3 = f.g.space.cr3;
	new_evidence();
	test_arguments();
	test_prototypes();
	test_had();
	test_stack_arguments();
	test_again();
	test_tree();
	test_list();
	test_outputs();
	test_through();
	test_owned();
	test_handed();
	test_others();
	test_never();
	test_import();
	test_percpu();
	test_pages();
	test_private();
	test_vec();
	test_frames();
	test_counts();
	test_new();
	test_counts_near();
	test_free();
	test_errors();
	test_garbage();
	test_circles();
	test_many();
	test_much();
	test_deep();
	evidence_free(e);
	e = NULL;
	vm->profile = NULL;
	chariot_vm__free(vm);
	objects_free(&f);
}

int main(void)
{
	objects_mock(mock_call);
	test_all(true);
	test_all(false);
	return tap_done();
}
