// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is done when a driver has failed: what its functions return then, who
 * stands in for them, which locks it may hold, how it is loaded anew.
 */
#include <bpf/btf.h>
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy.h"

/* ---- locks and resources -------------------------------------------------- */

#define NO		CHARIOT_NO_ARG

#define BLK_STS_IOERR	10

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

static const struct chariot_symbol *import_of(const struct chariot_driver *d,
					      const char *name)
{
	const struct chariot_symbol *v;
	size_t nr;

	v = chariot_driver__imports(d, &nr);
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	return NULL;
}

/* The kernel's, or another module's, which the driver names. */
static uint64_t address_of(const struct chariot_profile *p,
			   const struct chariot_driver *d, const char *name)
{
	uint64_t gva = chariot_profile__symbol(p, name);
	const struct chariot_symbol *import = gva ? NULL : import_of(d, name);

	return import ? import->gva : gva;
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
		.gva = address_of(p, d, name), .arg = { 0, NO, NO },
		.when = st->when, .flags = lock_flags(st),
	};
	const struct call *call = st->calls;

	if (st->kind == STMT_LOCK || st->kind == STMT_RESOURCE) {
		while (call && !(l.release = address_of(p, d, call->fn)))
			call = call->next;
		if (!call || (st->without && import_of(d, st->without)))
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
			add_release(rows, st, call, address_of(p, d, call->fn));
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

/*
 * Does the driver import nothing but what has a row by which the kernel may come
 * to know its functions?  What devres and the core of a subsystem give back when
 * the device is gone is none of it.
 */
static bool is_complete(const struct chariot_policy *policy,
			const struct chariot_driver *d)
{
	static const char *const ways[] = {
		"register", "cdev_add", "proc_create", "debugfs_create",
		"device_create", "add_disk", "nvme_init_ctrl", "request_irq",
		"sysfs_create", "tasklet_", "hrtimer_start", "kthread_create",
		"snd_card_new", "alloc_workqueue", "usb_submit", "blk_mq_alloc",
	};
	const struct chariot_symbol *v;
	size_t nr;

	v = chariot_driver__imports(d, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (is_known(policy, v[i].name) || strstr(v[i].name, "unregister") ||
		    !strncmp(v[i].name, "snd_card_register", 17))
			continue;
		for (size_t w = 0; w < ARRAY_SIZE(ways); w++)
			if (strstr(v[i].name, ways[w])) {
				log_debug("%s: if it fails to clean up it stays loaded: %s",
					  chariot_driver__name(d), v[i].name);
				return false;
			}
	}
	return true;
}

/* ---- results and stand-ins ------------------------------------------------ */

enum { RETURN_0, RETURN_ERROR, RETURN_IOERR, RETURN_SIGBUS, RETURN_AGAIN };
enum {
	STAND_IN_NAPI = 1, STAND_IN_XMIT, STAND_IN_IRQ, STAND_IN_TIMEOUT,
	STAND_IN_END_IO
};

/* Without the function that stands in, nothing does. */
static void add_stand_ins(struct recover *out, const struct chariot_profile *p)
{
	struct chariot_stand_in *s = out->stand_ins;
	int64_t state = chariot_profile__member(p, "napi_struct", "state", NULL);
	int64_t rq = chariot_profile__member(p, "request", "state", NULL);

	/* A poll that did nothing; else who closes the device waits for it. */
	s[STAND_IN_NAPI - 1] = (struct chariot_stand_in){
		.fn = chariot_profile__symbol(p, "napi_complete_done"),
		.flags = CHARIOT_STAND_IN_TEST | CHARIOT_STAND_IN_RAN,
		.test_off = state < 0 ? 0 : state,
		.test_mask = 1,			/* NAPIF_STATE_SCHED */
	};
	/* A packet that is dropped. */
	s[STAND_IN_XMIT - 1] = (struct chariot_stand_in){
		.fn = chariot_profile__symbol(p, "consume_skb"),
	};
	/* A device that goes on asking. */
	s[STAND_IN_IRQ - 1] = (struct chariot_stand_in){
		.fn = chariot_profile__symbol(p, "disable_irq_nosync"),
		.flags = CHARIOT_STAND_IN_ONCE | CHARIOT_STAND_IN_IRQ,
		.undo = chariot_profile__symbol(p, "enable_irq"),
	};
	/* A request that would never end. */
	s[STAND_IN_TIMEOUT - 1] = (struct chariot_stand_in){
		.fn = rq < 0 ? 0 : chariot_profile__symbol(p, "blk_mq_end_request"),
		.value = BLK_STS_IOERR,
		.flags = CHARIOT_STAND_IN_OFF | CHARIOT_STAND_IN_RAN |
			 CHARIOT_STAND_IN_TEST,
		.test_off = rq < 0 ? 0 : rq,
		.test_mask = 1,			/* MQ_RQ_IN_FLIGHT */
	};
	/* A request of the driver's own: who cleans up waits until it is gone. */
	s[STAND_IN_END_IO - 1] = (struct chariot_stand_in){
		.fn = chariot_profile__symbol(p, "blk_mq_free_request"),
	};
	if (state < 0 || !s[0].fn || !s[1].fn || !s[2].fn || !s[2].undo)
		return;
	out->r.stand_ins = (uintptr_t)s;
	out->r.nr_stand_ins = s[STAND_IN_TIMEOUT - 1].fn &&
			      s[STAND_IN_END_IO - 1].fn ? STAND_IN_END_IO :
							  STAND_IN_IRQ;
}

/* Is that what the type is called, or a typedef on the way to it? */
static bool is_named(const struct btf *btf, uint32_t id, const char *name)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	const char *n;

	for (int i = 0; t && i < 32; i++) {
		n = btf__name_by_offset(btf, t->name_off);
		if (n && !strcmp(n, name))
			return true;
		if (!btf_is_mod(t) && !btf_is_typedef(t))
			return false;
		t = btf__type_by_id(btf, t->type);
	}
	return false;
}

static const struct btf_type *bare(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	for (int i = 0; t && i < 32 && (btf_is_mod(t) || btf_is_typedef(t)); i++)
		t = t->type ? btf__type_by_id(btf, t->type) : NULL;
	return t;
}

static bool points_to(const struct btf *btf, const struct btf_type *proto,
		      int arg, const char *name)
{
	const struct btf_type *t;

	if (arg >= btf_vlen(proto))
		return false;
	t = bare(btf, btf_params(proto)[arg].type);
	return t && btf_is_ptr(t) && is_named(btf, t->type, name);
}

static bool points_to_one_of(const struct btf *btf, const struct btf_type *proto,
			     const char *const types[], size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (points_to(btf, proto, 0, types[i]))
			return true;
	return false;
}

static int result(const struct btf *btf, const struct btf_type *proto)
{
	const struct btf_type *t = bare(btf, proto->type);

	if (is_named(btf, proto->type, "blk_status_t"))
		return RETURN_IOERR;
	if (is_named(btf, proto->type, "vm_fault_t"))
		return RETURN_SIGBUS;
	/* Whoever cleans up will look at the request then. */
	if (is_named(btf, proto->type, "blk_eh_timer_return") ||
	    is_named(btf, proto->type, "scsi_timeout_action"))
		return RETURN_AGAIN;
	/* Pointers, bool, what counts, and enums: for those 0 is none. */
	if (!t || !btf_is_int(t) || !(btf_int_encoding(t) & BTF_INT_SIGNED))
		return RETURN_0;
	return RETURN_ERROR;
}

/*
 * Functions that the kernel calls with such an argument come back with the
 * preempt count that they went with.  Others may be there to take a lock.
 */
static bool is_balanced(const struct btf *btf, const struct btf_type *proto,
			const char *name)
{
	static const char *const types[] = {
		"work_struct", "timer_list", "tasklet_struct", "napi_struct",
		"net_device", "pci_dev", "device", "file", "inode",
		"snd_pcm_substream", "snd_kcontrol", "blk_mq_hw_ctx",
		"block_device", "usb_interface", "virtio_device", "nvme_ctrl",
		"request", "Scsi_Host", "scsi_cmnd", "scsi_device", "urb",
		"usb_hcd", "snd_card", "snd_device", "snd_rawmidi_substream",
		"snd_info_entry", "mii_bus", "phy_device", "i2c_adapter",
		"rtc_device",
	};

	if (is_named(btf, proto->type, "irqreturn_t"))
		return true;
	if (strstr(name, "lock") && !strstr(name, "block") &&
	    !strstr(name, "clock"))
		return false;
	if (points_to(btf, proto, 0, "sk_buff") &&
	    points_to(btf, proto, 1, "net_device"))
		return true;
	return points_to_one_of(btf, proto, types, ARRAY_SIZE(types));
}

/* What a bus calls to take the driver from a device. */
static bool is_remove(const struct btf *btf, const struct btf_type *proto,
		      const char *name)
{
	static const char *const types[] = {
		"pci_dev", "virtio_device", "usb_interface", "platform_device",
		"pnp_dev", "serio", "hid_device", "i2c_client",
	};

	if (btf_vlen(proto) != 1 ||
	    !(strstr(name, "remove") || strstr(name, "disconnect")))
		return false;
	return points_to_one_of(btf, proto, types, ARRAY_SIZE(types));
}

uint16_t recover_flags(const struct btf *btf, const struct btf_type *proto,
		       const char *name)
{
	uint16_t flags = 0;
	int in = 0, ret;

	/*
	 * Nobody knows what it returns.  0 is success to most callers, who then
	 * come again for ever; an error ends what they do, also as a pointer
	 * (ERR_PTR()) and as a bool, and who gets nothing does not look.
	 */
	if (!proto)
		return CHARIOT_GATE_RETURN(RETURN_ERROR);
	ret = result(btf, proto);
	if (points_to(btf, proto, 0, "napi_struct") && btf_vlen(proto) == 2) {
		in = STAND_IN_NAPI;
		ret = RETURN_0;
	} else if (points_to(btf, proto, 0, "sk_buff") &&
		   is_named(btf, proto->type, "netdev_tx_t")) {
		in = STAND_IN_XMIT;
	} else if (is_named(btf, proto->type, "irqreturn_t") &&
		   btf_vlen(proto) == 2) {
		in = STAND_IN_IRQ;
	} else if (points_to(btf, proto, 0, "request") &&
		   is_named(btf, proto->type, "blk_eh_timer_return")) {
		in = STAND_IN_TIMEOUT;
	} else if (points_to(btf, proto, 0, "request") && btf_vlen(proto) == 2 &&
		   is_named(btf, btf_params(proto)[1].type, "blk_status_t")) {
		in = STAND_IN_END_IO;
	}
	if (ret == RETURN_IOERR || ret == RETURN_SIGBUS ||
	    ret == RETURN_AGAIN || in == STAND_IN_XMIT)
		flags |= CHARIOT_GATE_REQUEST;
	if (is_balanced(btf, proto, name))
		flags |= CHARIOT_GATE_BALANCED;
	if (is_remove(btf, proto, name))
		flags |= CHARIOT_GATE_REMOVE;
	return CHARIOT_GATE_RETURN(ret) | CHARIOT_GATE_STAND_IN(in) | flags;
}

/* ---- all of it ------------------------------------------------------------ */

#define PF_IDLE		2
#define PF_KTHREAD	0x200000

int recover_build(struct recover *out, const struct chariot_policy *policy,
		  const struct chariot_profile *p, const struct chariot_space *s,
		  const struct chariot_driver *d)
{
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
	add_stand_ins(out, p);
	r->returns[RETURN_ERROR] = -EIO;
	r->returns[RETURN_IOERR] = BLK_STS_IOERR;
	r->returns[RETURN_SIGBUS] = 2;		/* VM_FAULT_SIGBUS */
	r->returns[RETURN_AGAIN] = 1;		/* BLK_EH_, SCSI_EH_RESET_TIMER */
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
 * is tried for a while.  Who waits for what the device will never do, with it
 * open, is told when the device is gone: what unbind is for.  One that is held has
 * another name: nothing to remove.
 */
static void make_command(struct slot *s, const struct recover_module *m)
{
	static const char remove[] =
		"[ $i = 3 ]&&(for d in /sys/module/$m/drivers/*/*/driver;"
		"do n=${d%/*};echo ${n##*/}>$d/unbind;done)&";
	struct command *c = &s->command;
	char script[sizeof(c->text) - 80];

	snprintf(script, sizeof(script),
		 "m=%s;i=0;l(){ grep -q \"^$m \" /proc/modules;};"
		 "until ! l||rmmod $m||[ $i = 60 ];do %s sleep 1;i=$((i+1));done;"
		 "l||modprobe $m", m->name, m->unbind ? remove : "");
	c->argv[0] = add_text(s, "/bin/sh");
	c->argv[1] = add_text(s, "-c");
	c->argv[2] = add_text(s, script);
	c->envp[0] = add_text(s, "HOME=/");
	c->envp[1] = add_text(s, "PATH=/sbin:/usr/sbin:/bin:/usr/bin");
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
	if (!teardown || !copy || name < 0 ||
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
	make_command(&slot, m);
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
