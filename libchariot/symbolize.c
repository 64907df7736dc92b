// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Addresses and events in words that an operator understands.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm.h"

#define MAX_MODULES	1024
#define MAX_KEPT	32	/* modules that have been read */
#define NEAR		4096	/* a grant further away explains nothing */

/* A string that is built up; what does not fit is cut. */
struct text {
	char *buf;
	size_t len, at;
};

static void put(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->at >= t->len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->at, t->len - t->at, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->at += n;
}

/* ---- which module is an address in? ------------------------------------- */

static bool in_piece(const struct chariot_vm *vm, uint64_t module,
		     const char *base, const char *size, uint64_t addr)
{
	uint64_t b, n;

	return !profile_read_member(vm->profile, &vm->space, "module", module,
				    base, &b) &&
	       !profile_read_member(vm->profile, &vm->space, "module", module,
				    size, &n) && addr - b < n;
}

static bool in_module(const struct chariot_vm *vm, uint64_t module,
		      uint64_t addr)
{
	char base[24], size[24];

	if (chariot_profile__member(vm->profile, "module", "core_layout.base",
				    NULL) >= 0)
		return in_piece(vm, module, "core_layout.base",
				"core_layout.size", addr) ||
		       in_piece(vm, module, "init_layout.base",
				"init_layout.size", addr);
	for (int i = 0; i < 8; i++) {
		snprintf(base, sizeof(base), "mem[%d].base", i);
		snprintf(size, sizeof(size), "mem[%d].size", i);
		if (in_piece(vm, module, base, size, addr))
			return true;
	}
	return false;
}

/* gva of the struct module that @addr belongs to, or 0. */
static uint64_t find_module(const struct chariot_vm *vm, uint64_t addr)
{
	uint64_t head = chariot_profile__symbol(vm->profile, "modules");
	int64_t list = chariot_profile__member(vm->profile, "module", "list",
					       NULL);
	uint64_t pos = head;

	if (!head || list < 0)
		return 0;
	for (int i = 0; i < MAX_MODULES; i++) {
		if (space_read_uint(&vm->space, pos, 8, &pos) || pos == head)
			return 0;
		if (in_module(vm, pos - list, addr))
			return pos - list;
	}
	return 0;
}

static bool covers(const struct chariot_driver *d, uint64_t addr)
{
	const struct chariot_section *sec;
	size_t nr;

	if (!d)
		return false;
	sec = chariot_driver__sections(d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (addr - sec[i].gva < sec[i].len)
			return true;
	return false;
}

const struct chariot_driver *vm_module_at(struct chariot_vm *vm, uint64_t addr)
{
	struct vm_module *m;
	unsigned int kept = 0;
	uint64_t gva;

	for (m = vm->modules; m; m = m->next, kept++)
		if (covers(m->driver, addr))
			return m->driver;
	gva = find_module(vm, addr);
	for (m = vm->modules; gva && m; m = m->next)
		if (m->gva == gva)
			return m->driver;
	/* The guest decides how many there are, and how often that changes. */
	if (kept >= MAX_KEPT)
		vm_forget_modules(vm);
	m = gva ? calloc(1, sizeof(*m)) : NULL;
	if (!m)
		return NULL;
	m->gva = gva;
	/* One that cannot be read is kept as well: not to try it for each event. */
	m->driver = chariot_driver__from_guest(vm->profile, &vm->space, gva);
	m->next = vm->modules;
	vm->modules = m;
	return m->driver;
}

/* "name+0x12"; false when nobody knows. */
static bool name_addr(struct chariot_vm *vm, uint64_t addr, struct text *t)
{
	const struct chariot_driver *d;
	const char *name = NULL;
	uint64_t offset = 0;

	if (!chariot_vm__profile(vm, 0))
		return false;
	name = chariot_profile__name(vm->profile, addr, &offset);
	if (!name) {
		chariot_vm__space(vm);
		d = vm_module_at(vm, addr);
		name = d ? chariot_driver__name_of(d, addr, &offset) : NULL;
	}
	if (!name)
		return false;
	put(t, offset ? "%s+0x%" PRIx64 : "%s", name, offset);
	return true;
}

static void put_addr(struct chariot_vm *vm, struct text *t, uint64_t addr)
{
	if (!name_addr(vm, addr, t))
		put(t, "0x%" PRIx64, addr);
}

const char *chariot_vm__symbolize(struct chariot_vm *vm, uint64_t addr,
				  char *buf, size_t len)
{
	struct text t = { buf, len, 0 };

	if (len)
		*buf = 0;
	put_addr(vm, &t, addr);
	return buf;
}

/* ---- what lies there? --------------------------------------------------- */

static void put_grant(struct chariot_vm *vm, struct text *t,
		      const struct chariot_object *o)
{
	static const char *const what[CHARIOT_NR_SRCS] = {
		[CHARIOT_SRC_SECTION] = "section",
		[CHARIOT_SRC_ALLOCATION] = "allocation",
		[CHARIOT_SRC_ARGUMENT] = "object handed over",
		[CHARIOT_SRC_RULE] = "area of a rule",
		[CHARIOT_SRC_LEARNED] = "learned area",
		[CHARIOT_SRC_FREED] = "freed object",
		[CHARIOT_SRC_EVIDENCE] = "object found by evidence",
	};
	const char *name = o->source < CHARIOT_NR_SRCS ? what[o->source] : NULL;

	put(t, "%" PRIu64 "-byte %s", (uint64_t)o->len, name ? name : "grant");
	if (o->site) {
		put(t, " by ");
		put_addr(vm, t, o->site);
	}
	if (o->gate) {
		put(t, " (");
		put_addr(vm, t, o->gate);
		put(t, ")");
	}
}

/* "3 bytes past the end of a 64-byte allocation by ...", if one is near. */
static bool put_near(struct chariot_vm *vm, struct text *t, uint64_t gva,
		     uint32_t len, const struct chariot_object near[2])
{
	const struct chariot_object *below = &near[0], *above = &near[1];
	uint64_t end = below->gva + below->len;

	if (below->source && gva < end && gva + len > end) {
		put(t, "across the end of a ");
		put_grant(vm, t, below);
	} else if (below->source && gva >= end && gva - end < NEAR) {
		put(t, "%" PRIu64 " bytes past the end of a ", gva - end);
		put_grant(vm, t, below);
	} else if (above->source && gva < above->gva &&
		   above->gva - gva < NEAR) {
		put(t, "%" PRIu64 " bytes before a ",
		    (uint64_t)above->gva - gva);
		put_grant(vm, t, above);
	} else {
		return false;
	}
	return true;
}

static void put_target(struct chariot_vm *vm, struct text *t,
		       const struct chariot_event *ev)
{
	uint64_t gva = ev->u.violation.gva;

	if (!gva) {
		put(t, "guest-physical 0x%" PRIx64,
		    (uint64_t)ev->u.violation.gpa);
		return;
	}
	if (name_addr(vm, gva, t))
		put(t, " (0x%" PRIx64 ")", gva);
	else
		put(t, "0x%" PRIx64, gva);
}

/* ---- events ------------------------------------------------------------- */

const char *vm_domain_name(struct chariot_vm *vm, uint32_t domain, char *buf,
			   size_t len)
{
	struct chariot_domain_info i;

	if (domain < NR_DOMAINS && vm->names[domain][0])
		snprintf(buf, len, "%s", vm->names[domain]);
	else if (domain && !chariot_vm__domain_info(vm, domain, &i))
		snprintf(buf, len, "%.*s", CHARIOT_NAME_LEN, i.name);
	else
		snprintf(buf, len, "domain %u", domain);
	return buf;
}

static const char *done(uint32_t verdict)
{
	static const char *const what[CHARIOT_NR_VERDICTS] = {
		[CHARIOT_VERDICT_REPORT] = "allowed",
		[CHARIOT_VERDICT_SKIP] = "skipped",
		[CHARIOT_VERDICT_OOPS] = "oops in the guest",
		[CHARIOT_VERDICT_PAUSE] = "paused",
		[CHARIOT_VERDICT_RECOVER] = "driver stopped",
	};

	return verdict < CHARIOT_NR_VERDICTS ? what[verdict] : "?";
}

/* In mode inline as the module's file has it. */
static void put_rip(struct chariot_vm *vm, struct text *t, const struct chariot_event *ev)
{
	char name[128];

	chariot_vm__symbolize(vm, ev->u.violation.rip, name, sizeof(name));
	if (!ev->u.violation.origin || !strncmp(name, "0x", 2))
		put(t, "%s", name);
	else
		put(t, "%.*s+0x%x", (int)strcspn(name, "+"), name,
		    ev->u.violation.origin - 1);
}

static void put_where(struct chariot_vm *vm, struct text *t,
		      const struct chariot_event *ev)
{
	put_rip(vm, t, ev);
	if (ev->u.violation.caller) {
		put(t, ", called at ");
		put_addr(vm, t, ev->u.violation.caller);
		put(t, ",");
	}
}

static void put_write(struct chariot_vm *vm, struct text *t,
		      const struct chariot_event *ev)
{
	struct text near;
	char buf[256] = "";

	put_where(vm, t, ev);
	if (ev->u.violation.len)
		put(t, " wrote %u byte%s at ", ev->u.violation.len,
		    ev->u.violation.len > 1 ? "s" : "");
	else
		put(t, " wrote at ");
	put_target(vm, t, ev);
	near = (struct text){ buf, sizeof(buf), 0 };
	if (put_near(vm, &near, ev->u.violation.gva, ev->u.violation.len,
		     ev->u.violation.near))
		put(t, ", %s", buf);
	put(t, ": not in its ACT");
}

static void put_violation(struct chariot_vm *vm, struct text *t,
			  const struct chariot_event *ev)
{
	switch (ev->u.violation.why) {
	case CHARIOT_WHY_FETCH:
		put(t, "went from ");
		put_addr(vm, t, ev->u.violation.caller ?:
			 ev->u.violation.entry);
		put(t, " to ");
		put_target(vm, t, ev);
		put(t, ": no call of a function");
		break;
	case CHARIOT_WHY_ENTRY:
		put(t, "was entered at ");
		put_target(vm, t, ev);
		put(t, ": no function begins there");
		break;
	case CHARIOT_WHY_FREE:
		put_addr(vm, t, ev->u.violation.caller);
		put(t, " called ");
		put_addr(vm, t, ev->u.violation.rip);
		put(t, " for ");
		put_target(vm, t, ev);
		put(t, ", which it does not have");
		break;
	case CHARIOT_WHY_PANIC:
	case CHARIOT_WHY_ATOMIC:
		put_addr(vm, t, ev->u.violation.entry);
		put(t, " called ");
		put_target(vm, t, ev);
		if (ev->u.violation.why == CHARIOT_WHY_ATOMIC)
			put(t, ", which sleeps, with a lock held or in an interrupt");
		break;
	case CHARIOT_WHY_LOOP:
		put_addr(vm, t, ev->u.violation.rip);
		put(t, " runs on and on");
		break;
	case CHARIOT_WHY_UNBALANCED:
		put_addr(vm, t, ev->u.violation.entry);
		if (ev->u.violation.gva) {
			put(t, " takes the lock ");
			put_target(vm, t, ev);
			put(t, " twice, or gives it back twice");
			break;
		}
		put(t, " returned with another preempt count: a lock that it has not given back, or not taken");
		break;
	default:
		put_write(vm, t, ev);
	}
	put(t, "; %s", done(ev->verdict));
}

static void put_fault(struct chariot_vm *vm, struct text *t,
		      const struct chariot_event *ev)
{
	put(t, "failed at ");
	put_addr(vm, t, ev->u.violation.rip);
	if (ev->u.violation.entry) {
		put(t, " in a call of ");
		put_addr(vm, t, ev->u.violation.entry);
	}
	if (ev->u.violation.why == CHARIOT_WHY_OOPS)
		put(t, ": the guest's kernel has no answer to its exception");
	put(t, "; it is stopped");
}

static void put_request(struct text *t, const struct chariot_event *ev)
{
	put(t, "request to %s %.*s",
	    ev->u.request.what == CHARIOT_REQUEST_RELEASE ? "release" :
	    "isolate", CHARIOT_NAME_LEN, ev->u.request.name);
}

static void put_init(struct text *t, const struct chariot_event *ev)
{
	int64_t result = ev->u.init.result;

	put(t, "%.*s: init ", CHARIOT_NAME_LEN, ev->u.init.name);
	if (result)
		put(t, "failed with %" PRId64, result);
	else
		put(t, "done");
}

const char *chariot_vm__describe(struct chariot_vm *vm,
				 const struct chariot_event *ev,
				 char *buf, size_t len)
{
	struct text t = { buf, len, 0 };
	char name[CHARIOT_NAME_LEN];

	if (len)
		*buf = 0;
	if (ev->type == CHARIOT_EV_VIOLATION ||
	    ev->type == CHARIOT_EV_UNEMULATED ||
	    ev->type == CHARIOT_EV_ASK || ev->type == CHARIOT_EV_FAULT)
		put(&t, "%s: ", vm_domain_name(vm, ev->domain, name,
					       sizeof(name)));
	switch (ev->type) {
	case CHARIOT_EV_ERROR:
		put(&t, "error: %.*s (%s)", (int)sizeof(ev->u.error.text),
		    ev->u.error.text, strerror(-(uint32_t)ev->u.error.error));
		break;
	case CHARIOT_EV_KERNEL:
		put(&t, "the guest's kernel runs at ");
		put_addr(vm, &t, ev->u.kernel.rip);
		break;
	case CHARIOT_EV_LOAD:
		put(&t, "the guest loads a module");
		break;
	case CHARIOT_EV_IMAGE:
		put(&t, "the guest is about to load a module");
		break;
	case CHARIOT_EV_DOMAIN_NEW:
		put(&t, "%.*s: isolated as domain %u", CHARIOT_NAME_LEN,
		    ev->u.name.name, ev->domain);
		break;
	case CHARIOT_EV_INIT_DONE:
		put_init(&t, ev);
		break;
	case CHARIOT_EV_DOMAIN_GONE:
		put(&t, "%.*s: isolation has ended", CHARIOT_NAME_LEN,
		    ev->u.name.name);
		break;
	case CHARIOT_EV_VIOLATION:
		put_violation(vm, &t, ev);
		break;
	case CHARIOT_EV_UNEMULATED:
		put_where(vm, &t, ev);
		put(&t, " wrote in a way that KVM cannot emulate at ");
		put_target(vm, &t, ev);
		put(&t, ": its page is writable from now on");
		break;
	case CHARIOT_EV_ASK:
		put_where(vm, &t, ev);
		put(&t, " is about to write %u bytes at ", ev->u.violation.len);
		put_target(vm, &t, ev);
		put(&t, ": is there evidence?");
		break;
	case CHARIOT_EV_FAULT:
		put_fault(vm, &t, ev);
		break;
	case CHARIOT_EV_RECOVERED:
		put(&t, "%.*s: recovered, it has been loaded again",
		    CHARIOT_NAME_LEN, ev->u.name.name);
		break;
	case CHARIOT_EV_MODULE_NEW:
		put(&t, "%.*s: isolated together with %s", CHARIOT_NAME_LEN,
		    ev->u.name.name,
		    vm_domain_name(vm, ev->domain, name, sizeof(name)));
		break;
	case CHARIOT_EV_MODULE_GONE:
		put(&t, "%.*s: unloaded, %s stays isolated", CHARIOT_NAME_LEN,
		    ev->u.name.name,
		    vm_domain_name(vm, ev->domain, name, sizeof(name)));
		break;
	case CHARIOT_EV_RESET:
		put(&t, "the guest was reset");
		break;
	case CHARIOT_EV_REQUEST:
		put_request(&t, ev);
		break;
	default:
		put(&t, "event %u", ev->type);
	}
	return buf;
}

/* ---- proposals ----------------------------------------------------------- */

#define FAR	4096	/* bytes behind an object that may be its own */

/* "loops_per_jiffy + 0x8", also another module's; text and what lies behind all symbols
 * is nobody's to write. */
static bool put_symbol(struct chariot_vm *vm, uint64_t gva, char *buf, size_t len)
{
	const struct chariot_profile *p = vm->profile;
	const struct chariot_driver *d = NULL;
	uint64_t off = 0;
	const char *name = chariot_profile__name(p, gva, &off);

	if (!name) {
		d = vm_module_at(vm, gva);
		name = d ? chariot_driver__name_of(d, gva, &off) : NULL;
	}
	if (!name || (!d && gva < chariot_profile__symbol(p, "_etext")))
		return false;
	snprintf(buf, len, off ? "%s + 0x%llx" : "%s", name,
		 (unsigned long long)off);
	return true;
}

const char *chariot_vm__propose(struct chariot_vm *vm,
				const struct chariot_event *ev, char *buf,
				size_t len)
{
	const struct chariot_object *below = &ev->u.violation.near[0];
	uint64_t gva = ev->u.violation.gva;
	uint32_t bytes = ev->u.violation.len ?: 1;
	char name[192];

	if (len)
		*buf = 0;
	if (!vm->profile || ev->u.violation.why != CHARIOT_WHY_WRITE)
		return buf;
	if (put_symbol(vm, gva, name, sizeof(name))) {
		snprintf(buf, len, "rule %s %u", name, bytes);
	} else if (below->source && below->gate && gva > below->gva &&
		   gva - (below->gva + below->len) < FAR) {
		/* Also one of another module. */
		chariot_vm__symbolize(vm, below->gate, name, sizeof(name));
		if (strncmp(name, "0x", 2))
			snprintf(buf, len, "gate %.*s { grant ret %llu }",
				 (int)strcspn(name, "+"), name,
				 (unsigned long long)(gva - below->gva + bytes));
	}
	return buf;
}
