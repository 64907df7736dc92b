// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is done when a driver has failed: what its functions return then, who
 * stands in for them, which locks it may hold, how it is loaded anew.
 */
#include <bpf/btf.h>
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto.h"

/* ---- locks and resources -------------------------------------------------- */

#define NO		CHARIOT_NO_ARG

struct lock_row {
	struct chariot_lock l;
	size_t order;
};

struct lock_rows {
	struct lock_row *v;
	size_t nr, room;
	int err;
};

/* By address; of two the later statement's comes first. */
static int lock_cmp(const void *x, const void *y)
{
	const struct lock_row *a = x, *b = y;

	if (a->l.gva != b->l.gva)
		return a->l.gva < b->l.gva ? -1 : 1;
	return a->order > b->order ? -1 : a->order < b->order;
}

static void add_lock(struct lock_rows *rows, const struct chariot_lock *l)
{
	struct lock_row *v;

	if (rows->err || !l->gva)
		return;
	if (rows->nr == rows->room) {
		v = reallocarray(rows->v, 2 * rows->room + 64, sizeof(*v));
		if (!v) {
			rows->err = -ENOMEM;
			return;
		}
		rows->v = v;
		rows->room = 2 * rows->room + 64;
	}
	rows->v[rows->nr] = (struct lock_row){ *l, rows->nr };
	rows->nr++;
}

/* What a statement says of functions, CHARIOT_LOCK_*. */
static uint32_t lock_flags(const struct stmt *st)
{
	switch (st->kind) {
	case STMT_RESOURCE:
	case STMT_RELEASE:
		return st->flags | CHARIOT_LOCK_RESOURCE;
	case STMT_PANICS:
		return CHARIOT_LOCK_PANICS;
	case STMT_SLEEPS:
		return CHARIOT_LOCK_SLEEPS;
	default:
		return st->flags;
	}
}

/* What gives back gets what it gives back as the arguments that are no constants. */
static void add_release(struct lock_rows *rows, const struct stmt *st,
			const struct call *call, uint64_t gva)
{
	struct chariot_lock l = {
		.gva = gva, .arg = { NO, NO, NO },
		.flags = lock_flags(st) & (CHARIOT_LOCK_RESOURCE |
					   CHARIOT_LOCK_SPINS |
					   CHARIOT_LOCK_QUEUED),
	};

	for (int i = 0; i < call->nr; i++)
		if (!(call->arg[i] & CHARIOT_LOCK_CONST(0)))
			l.arg[i] = i;
	add_lock(rows, &l);
}

/* The function @name of @st. */
static void add_function(struct lock_rows *rows, const struct chariot_profile *p,
			 const struct chariot_driver *d, const struct stmt *st,
			 const char *name)
{
	struct chariot_lock l = {
		.gva = driver_address_of(d, p, name), .arg = { 0, NO, NO },
		.when = st->when, .flags = lock_flags(st),
	};
	const struct call *call = st->calls;

	if (st->kind == STMT_LOCK || st->kind == STMT_RESOURCE) {
		while (call && !(l.release = driver_address_of(d, p, call->fn)))
			call = call->next;
		if (!call || (st->without && driver_import(d, st->without)))
			return;
		memcpy(l.arg, call->arg, sizeof(l.arg));
	}
	add_lock(rows, &l);
}

static void add_statement(struct lock_rows *rows, const struct chariot_policy *policy,
			  const struct chariot_profile *p,
			  const struct chariot_driver *d, const struct stmt *st)
{
	const struct call *call;

	for (size_t i = 0; i < st->names.nr; i++)
		if (catalogue_find(policy, st->names.v[i]) == st)
			add_function(rows, p, d, st, st->names.v[i]);
	for (call = st->calls; call; call = call->next)
		if (!catalogue_find(policy, call->fn))
			add_release(rows, st, call, driver_address_of(d, p, call->fn));
}

static int add_locks(struct recover *out, const struct chariot_policy *policy,
		     const struct chariot_profile *p,
		     const struct chariot_driver *d)
{
	struct lock_rows rows = {};
	uint32_t nr = 0, without = 0;
	const struct stmt *st;

	/* Others have spin locks of another kind. */
	if (chariot_profile__type_size(p, "qspinlock") != 4)
		without = CHARIOT_LOCK_QUEUED;
	for (st = policy->first; st; st = st->next)
		if (catalogue_has(st))
			add_statement(&rows, policy, p, d, st);
	out->locks = calloc(rows.nr + 1, sizeof(*out->locks));
	if (!out->locks)
		rows.err = -ENOMEM;
	if (rows.nr)
		qsort(rows.v, rows.nr, sizeof(*rows.v), lock_cmp);
	/* Aliases have one address. */
	for (size_t i = 0; i < rows.nr && !rows.err; i++) {
		if (nr && out->locks[nr - 1].gva == rows.v[i].l.gva)
			continue;
		out->locks[nr] = rows.v[i].l;
		out->locks[nr++].flags &= ~without;
	}
	free(rows.v);
	if (nr > CHARIOT_MAX_LOCKS) {
		log_err("%s: the policy has too many locks and resources",
			chariot_driver__name(d));
		return -E2BIG;
	}
	out->r.locks = (uintptr_t)out->locks;
	out->r.nr_locks = nr;
	return rows.err;
}

/* Does a statement tell how it is undone, or that it undoes? */
static bool is_known(const struct chariot_policy *policy, const char *fn)
{
	const struct stmt *st = catalogue_find(policy, fn);
	const struct call *call;

	if (st)
		return st->calls || (st->kind != STMT_LOCK &&
				     st->kind != STMT_RESOURCE);
	for (st = policy->first; st; st = st->next)
		for (call = st->calls; call; call = call->next)
			if (!strcmp(call->fn, fn))
				return true;
	return false;
}

/* Can it be that the kernel calls the driver's functions because of this import? */
static bool is_registered(const struct chariot_policy *policy, const char *fn)
{
	const struct stmt *st;
	bool found = false;

	for (st = policy->first; st; st = st->next) {
		if (st->kind != STMT_REGISTERS)
			continue;
		if (catalogue_matches(&st->except, fn))
			return false;
		found |= catalogue_matches(&st->names, fn);
	}
	return found && !is_known(policy, fn);
}

/* Is all that the driver has the kernel know given back for it? */
static bool is_complete(const struct chariot_policy *policy,
			const struct chariot_driver *d)
{
	const struct chariot_symbol *v;
	size_t nr;

	v = chariot_driver__imports(d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (is_registered(policy, v[i].name)) {
			log_debug("%s: if it fails to clean up it stays loaded: %s",
				  chariot_driver__name(d), v[i].name);
			return false;
		}
	return true;
}

/* ---- results and stand-ins ------------------------------------------------ */

/* In chariot_recover.returns[]; behind these those of "error" statements. */
enum { RETURN_0, RETURN_ERROR, NR_RETURNS };

/* False: the kernel lacks what it needs; then nothing stands in. */
static bool compile_stand_in(struct chariot_stand_in *s, const struct stmt *st,
			     const struct chariot_profile *p)
{
	const struct call *call = st->calls;
	char type[128], *dot;
	int64_t off = 0;

	if (!call)
		return false;
	if (st->member) {
		snprintf(type, sizeof(type), "%s", st->member);
		dot = strchr(type, '.');
		*dot = 0;
		off = chariot_profile__member(p, type, dot + 1, NULL);
	}
	*s = (struct chariot_stand_in){
		.fn = chariot_profile__symbol(p, call->fn),
		.value = call->nr > 1 ? call->arg[1] & ~CHARIOT_LOCK_CONST(0) : 0,
		.arg = call->arg[0], .flags = st->flags,
		.test_off = off, .test_mask = st->member ? st->num : 0,
		.undo = st->undo ? chariot_profile__symbol(p, st->undo) : 0,
	};
	return s->fn && off >= 0 && (s->undo || !st->undo);
}

void recover_begin(struct recover *out, const struct chariot_policy *policy,
		   const struct chariot_profile *p)
{
	const struct stmt *st;

	out->policy = policy;
	for (st = policy->first; st; st = st->next) {
		if (st->kind != STMT_STANDIN ||
		    !compile_stand_in(&out->stand_ins[out->nr_stand_ins], st, p))
			continue;
		if (out->nr_stand_ins == ARRAY_SIZE(out->stand_in_of)) {
			log_warn("%s:%d: too many stand-ins for this kernel", st->file, st->line);
			return;
		}
		out->stand_in_of[out->nr_stand_ins++] = st;
	}
}

/* The statement that is about such a function, NULL: none.  The last one wins. */
static const struct stmt *stand_in_for(const struct chariot_policy *policy,
				       const struct btf *btf,
				       const struct btf_type *proto)
{
	const struct stmt *st, *found = NULL;

	for (st = policy->first; st; st = st->next)
		if (st->kind == STMT_STANDIN &&
		    proto_fits(btf, proto, st->signatures))
			found = st;
	return found;
}

/* Index of the value in returns[], by the "error" statements' order. */
static int error_slot(const struct chariot_policy *policy, uint32_t value)
{
	uint32_t seen[POLICY_MAX_ERRORS];
	const struct stmt *st;
	int nr = 0, i;

	for (st = policy->first; st; st = st->next) {
		if (st->kind != STMT_ERROR)
			continue;
		for (i = 0; i < nr && seen[i] != st->num; i++)
			;
		if (i == nr)
			seen[nr++] = st->num;
		if (st->num == value)
			return NR_RETURNS + i;
	}
	return RETURN_ERROR;
}

/* "error" of a type of results; NULL: there is none. */
static const struct stmt *error_of(const struct chariot_policy *policy,
				   const struct btf *btf, uint32_t type)
{
	const struct stmt *st, *found = NULL;

	for (st = policy->first; st; st = st->next)
		for (size_t i = 0; st->kind == STMT_ERROR && i < st->names.nr; i++)
			if (btf_is_named(btf, type, st->names.v[i]))
				found = st;
	return found;
}

static int result(const struct btf *btf, const struct btf_type *proto)
{
	uint32_t id = proto->type;
	const struct btf_type *t = btf_strip(btf, &id, NULL);

	/* Pointers, bool, what counts, and enums: for those 0 is none. */
	if (!t || !btf_is_int(t) || !(btf_int_encoding(t) & BTF_INT_SIGNED))
		return RETURN_0;
	return RETURN_ERROR;
}

/* Is there a statement of @kind that is about such a function? */
static bool is_a(const struct chariot_policy *policy, enum stmt_kind kind,
		 const struct btf *btf, const struct btf_type *proto,
		 const char *name)
{
	const struct signature *sig;
	const struct stmt *st;

	for (st = policy->first; st; st = st->next) {
		if (st->kind != kind ||
		    (st->named.nr && !catalogue_matches(&st->named, name)) ||
		    (catalogue_matches(&st->except, name) &&
		     !catalogue_matches(&st->but, name)))
			continue;
		for (sig = st->signatures; sig; sig = sig->next)
			if (proto_fits(btf, proto, sig))
				return true;
	}
	return false;
}

uint16_t recover_flags(const struct recover *r, const struct btf *btf,
		       const struct btf_type *proto, const char *name)
{
	const struct stmt *error, *in;
	uint16_t flags = 0;
	int ret, n = 0;

	/*
	 * Nobody knows what it returns.  0 is success to most callers, who then
	 * come again for ever; an error ends what they do, also as a pointer
	 * (ERR_PTR()) and as a bool, and who gets nothing does not look.
	 */
	if (!proto)
		return CHARIOT_GATE_RETURN(RETURN_ERROR);
	error = error_of(r->policy, btf, proto->type);
	in = stand_in_for(r->policy, btf, proto);
	ret = in && in->returns_0 ? RETURN_0 :
	      error ? error_slot(r->policy, error->num) : result(btf, proto);
	while (n < r->nr_stand_ins && r->stand_in_of[n] != in)
		n++;
	if (n < r->nr_stand_ins)
		flags |= CHARIOT_GATE_STAND_IN(n + 1);
	if (error || (in && in->request))
		flags |= CHARIOT_GATE_REQUEST;
	if (is_a(r->policy, STMT_BALANCED, btf, proto, name))
		flags |= CHARIOT_GATE_BALANCED;
	if (is_a(r->policy, STMT_REMOVES, btf, proto, name))
		flags |= CHARIOT_GATE_REMOVE;
	return CHARIOT_GATE_RETURN(ret) | flags;
}

static void add_returns(struct chariot_recover *r,
			const struct chariot_policy *policy)
{
	const struct stmt *st;

	r->returns[RETURN_ERROR] = -EIO;
	for (st = policy->first; st; st = st->next)
		if (st->kind == STMT_ERROR)
			r->returns[error_slot(policy, st->num)] = st->num;
}

/* ---- all of it ------------------------------------------------------------ */

#define PF_IDLE		2
#define PF_KTHREAD	0x200000

int recover_build(struct recover *out, const struct chariot_profile *p,
		  const struct chariot_space *s,
		  const struct chariot_driver *d)
{
	const struct chariot_policy *policy = out->policy;
	struct chariot_recover *r = &out->r;
	int64_t flags = chariot_profile__member(p, "task_struct", "flags", NULL);
	int err;

	/* For that there has to be a guest. */
	if (!s)
		return 0;
	err = add_locks(out, policy, p, d);
	if (err)
		return err;
	if (is_complete(policy, d))
		r->flags |= CHARIOT_RECOVER_COMPLETE;
	if (out->nr_stand_ins) {
		r->stand_ins = (uintptr_t)out->stand_ins;
		r->nr_stand_ins = out->nr_stand_ins;
	}
	add_returns(r, policy);
	r->hold = chariot_profile__symbol(p, "schedule_timeout_idle");
	r->oops = profile_point(p, s, "oops_enter");
	if (flags >= 0) {
		r->irq_exit = chariot_profile__symbol(p, "ct_irq_exit");
		r->task_flags = flags;
		r->idle = PF_IDLE;
		r->kthread = PF_KTHREAD;
	}
	return 0;
}

void recover_free(struct recover *r)
{
	free(r->locks);
}

/* ---- in the guest ----------------------------------------------------------- */

#define FILL		0xcc	/* between functions that are aligned apart */
#define SLOT_SIZE	512
#define NR_SLOTS	32
#define UNUSED_SIZE	((NR_SLOTS + 1) * SLOT_SIZE)

static bool is_fill(const uint8_t *p, size_t n)
{
	return *p == FILL && !memcmp(p, p + 1, n - 1);
}

/* Kernel text that nothing jumps to; or what we have made of it before. */
static uint64_t find_unused(const struct chariot_profile *p,
			    const struct chariot_space *s, const uint8_t *trap)
{
	uint64_t at = chariot_profile__symbol(p, "_stext") & PAGE_MASK;
	uint64_t end = chariot_profile__symbol(p, "_etext");
	uint8_t *buf = malloc(UNUSED_SIZE + PAGE_SIZE);
	uint64_t found = 0;

	/* These are what the guest says. */
	if (end - at > TEXT_MAX)
		at = 0;
	for (; buf && at && !found && at + UNUSED_SIZE <= end; at += PAGE_SIZE) {
		if (chariot_space__read(s, at, buf, 64) ||
		    (!is_fill(buf, 64) && memcmp(buf, trap, 4)))
			continue;
		if (!chariot_space__read(s, at, buf, UNUSED_SIZE + 64) &&
		    is_fill(buf + UNUSED_SIZE, 64) &&
		    (is_fill(buf, UNUSED_SIZE) || !memcmp(buf, trap, 4)))
			found = at;
	}
	free(buf);
	return found;
}

/* A hypercall of this host's CPU, and a "ret". */
static void trap_insn(uint8_t insn[4])
{
	unsigned int eax, ebx = 0, ecx, edx;

	__get_cpuid(0, &eax, &ebx, &ecx, &edx);
	memcpy(insn, ebx == signature_INTEL_ebx ? "\x0f\x01\xc1\xc3" :
						  "\x0f\x01\xd9\xc3", 4);
}

/* In the slot: argv, envp, then the strings. */
struct command {
	uint64_t argv[4], envp[3];
	char text[SLOT_SIZE - 7 * 8];
};
struct slot {
	struct command command;
	uint64_t gva;
	size_t used;		/* of text */
};

static uint64_t add_text(struct slot *s, const char *text)
{
	uint64_t at = s->gva + offsetof(struct command, text) + s->used;

	strcpy(s->command.text + s->used, text);
	s->used += strlen(text) + 1;
	return at;
}

/*
 * Users of the device may keep the module busy: they are told by errors, so it
 * is tried for a while, also of several, of which some need others.  Who waits for what the device will never do, with it
 * open, is told when the device is gone: what unbind is for.  One that is held has
 * another name: nothing to remove.
 */
static int make_command(struct slot *s, const struct recover_module *m)
{
	static const char remove[] =
		"[ $i = 3 ]&&(for x in $m;do "
		"for d in /sys/module/$x/drivers/*/*/driver;"
		"do n=${d%/*};echo ${n##*/}>$d/unbind;done;done)&";
	struct command *c = &s->command;
	char script[sizeof(c->text) - 56];	/* of what else is in the text */

	if (snprintf(script, sizeof(script),
		     "m='%s';i=0;"
		     "l(){ for x in $m;do grep -q \"^$x \" /proc/modules&&return;done;false;};"
		     "until ! l||{ rmmod $m;! l;}||[ $i = 60 ];"
		     "do %s sleep 1;i=$((i+1));done;"
		     "l||for x in $m;do modprobe $x;done", m->modules,
		     m->unbind ? remove : "") >= (int)sizeof(script))
		return -E2BIG;
	c->argv[0] = add_text(s, "/bin/sh");
	c->argv[1] = add_text(s, "-c");
	c->argv[2] = add_text(s, script);
	c->envp[0] = add_text(s, "HOME=/");
	c->envp[1] = add_text(s, "PATH=/sbin:/usr/sbin:/bin:/usr/bin");
	return 0;
}

#define MODULE_STATE_GOING	2

/*
 * A module that must not be freed makes room for another one of its name, as
 * delete_module(2) and free_module() do.
 */
static void make_replace(struct chariot_recover *r, struct slot *s,
			 const struct chariot_profile *p,
			 const struct recover_module *m)
{
	uint64_t notify = chariot_profile__symbol(p, "blocking_notifier_call_chain");
	uint64_t list = chariot_profile__symbol(p, "module_notify_list");
	uint64_t teardown = chariot_profile__symbol(p, "mod_sysfs_teardown");
	uint64_t copy = chariot_profile__symbol(p, "__memcpy");
	int64_t name = chariot_profile__member(p, "module", "name", NULL);
	char held[CHARIOT_NAME_LEN];
	uint64_t text;

	/* Before 5.19 it was no function.  modprobe ends a name at a ".". */
	if (!teardown || !copy || name < 0 || m->several ||
	    snprintf(held, sizeof(held), "%s~held", m->name) >= (int)sizeof(held) ||
	    s->used + strlen(held) >= sizeof(s->command.text))
		return;
	text = add_text(s, held);
	if (notify && list)
		r->replace[0] = (struct chariot_call){ notify, {
			list, MODULE_STATE_GOING, m->module } };
	r->replace[1] = (struct chariot_call){ teardown, { m->module } };
	r->replace[2] = (struct chariot_call){ copy, {
		m->module + name, text, strlen(held) + 1 } };
}

void recover_undo(const struct chariot_profile *p, const struct chariot_space *s)
{
	uint8_t insn[4], now[4], *fill;
	uint64_t at;

	trap_insn(insn);
	at = find_unused(p, s, insn);
	if (!at || chariot_space__read(s, at, now, sizeof(now)) ||
	    memcmp(now, insn, sizeof(insn)))
		return;
	fill = malloc(UNUSED_SIZE);
	if (!fill)
		return;
	memset(fill, FILL, UNUSED_SIZE);
	if (chariot_space__write(s, at, fill, UNUSED_SIZE))
		log_warn("what was written into unused kernel text stays there");
	free(fill);
}

int recover_prepare(struct chariot_recover *r, const struct chariot_profile *p,
		    const struct chariot_space *s,
		    const struct recover_module *m)
{
	uint64_t fn = chariot_profile__symbol(p, "call_usermodehelper");
	struct slot slot = {};
	uint8_t insn[4];
	uint64_t at;
	int err;

	trap_insn(insn);
	at = find_unused(p, s, insn);
	if (!at)
		return -ENOSPC;
	err = chariot_space__write(s, at, insn, sizeof(insn));
	if (err)
		return err;
	r->trap = at;
	if (!m->restart || !fn)
		return 0;
	slot.gva = at + SLOT_SIZE * (1 + m->slot % NR_SLOTS);
	if (make_command(&slot, m)) {
		log_warn("%s: the names of its modules are too long for the command that loads them: when it fails, it stays stopped",
			 m->name);
		return 0;
	}
	make_replace(r, &slot, p, m);
	err = chariot_space__write(s, slot.gva, &slot.command,
				   sizeof(slot.command));
	if (err)
		return err;
	/* Not waited for: it may be called in any context. */
	r->restart = (struct chariot_call){ fn, {
		slot.command.argv[0],
		slot.gva + offsetof(struct command, argv),
		slot.gva + offsetof(struct command, envp), 0 } };
	return 0;
}
